"""The package as it is installed: with a compiler and without, and with no dependency too many or too few."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# The names under which distributions are imported, where they are not their own.
IMPORT_NAMES = {"fsspec[http]": "fsspec"}
# Imported where a user has them, never needed.
OPTIONAL = {"distributed", "IPython", "pytest"}
# What a declared dependency cannot do without: markupsafe is jinja2's, numpy pandas'.
COMES_ALONG = {"markupsafe", "numpy"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with our build and a kernel of one small module."""
    kernel = tmp_path / "wsaudit" / "kernel"
    kernel.mkdir(parents=True)
    for name in ("hatch_build.py", "pyproject.toml", "LICENSE", "README.md", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "wsaudit" / "__init__.py").touch()
    (kernel / "__init__.py").touch()
    (kernel / "small.py").write_text("COMPILED = not __file__.endswith('.py')\n\n\ndef twice(n):\n    return n + n\n")
    (kernel / "small.pxd").write_text("cpdef long long twice(long long n)\n")
    return tmp_path


def build(tree: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build the wheel of `tree` into tree/dist."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    return subprocess.run(command, cwd=tree, env={**os.environ, **environment}, capture_output=True, text=True)


def wheel_of(tree: Path) -> tuple[str, list[str]]:
    """The file name of the wheel, and what is in its kernel."""
    (wheel,) = (tree / "dist").glob("*.whl")
    return wheel.name, [Path(name).name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("wsaudit/kernel/")]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_with_a_compiler(tree: Path) -> None:
    assert build(tree, WSAUDIT_COMPILE="require").returncode == 0
    name, kernel = wheel_of(tree)
    assert f"cp{sys.version_info.major}{sys.version_info.minor}" in name
    assert "none-any" not in name
    assert {"small.py"} < set(kernel)
    assert any(file.startswith("small.") and file.endswith((".so", ".pyd")) for file in kernel)
    assert not list((tree / "wsaudit").rglob("*.so")), "a wheel build leaves the sources alone"


@pytest.mark.parametrize("environment", [{"CC": "/bin/false"}, {"WSAUDIT_COMPILE": "0"}])
def test_without_a_compiler(tree: Path, environment: dict[str, str]) -> None:
    done = build(tree, **{"WSAUDIT_COMPILE": "auto", **environment})
    assert done.returncode == 0, done.stderr
    assert "pure Python" in done.stdout + done.stderr
    name, kernel = wheel_of(tree)
    assert name.endswith("py3-none-any.whl")
    assert sorted(kernel) == ["__init__.py", "small.pxd", "small.py"]


@pytest.mark.parametrize("environment", [{"CC": "/bin/false", "WSAUDIT_COMPILE": "require"}, {"WSAUDIT_COMPILE": "maybe"}])
def test_refuses_to_build(tree: Path, environment: dict[str, str]) -> None:
    assert build(tree, **environment).returncode != 0


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_in_place_only_what_changed(tree: Path) -> None:
    def compile_in_place() -> dict[str, int]:
        environment = {**os.environ, "WSAUDIT_COMPILE": "require"}
        subprocess.run([sys.executable, "hatch_build.py"], cwd=tree, env=environment, check=True, capture_output=True)
        return {path.name: path.stat().st_mtime_ns for path in (tree / "wsaudit" / "kernel").glob("*.so")}

    first = compile_in_place()
    assert first
    assert compile_in_place() == first
    source = tree / "wsaudit" / "kernel" / "small.py"
    os.utime(source, ns=(source.stat().st_atime_ns, max(first.values()) + 10**9))
    assert compile_in_place() != first


def third_party_imports() -> dict[str, Path]:
    """Every distribution that wsaudit imports, with a file that does."""
    found = {}
    for path in sorted((ROOT / "wsaudit").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            found.update({name.partition(".")[0]: path for name in names})
    return {name: path for name, path in found.items() if name != "wsaudit" and name not in sys.stdlib_module_names}


def declared(requirements: list[str]) -> set[str]:
    names = {requirement.split(">")[0].split("=")[0].split("<")[0].strip() for requirement in requirements}
    return {IMPORT_NAMES.get(name, name) for name in names}


def test_dependencies_are_what_is_imported() -> None:
    needed = declared(PROJECT["dependencies"])
    extras = {
        name
        for extra, requirements in PROJECT["optional-dependencies"].items()
        if extra != "dev"
        for name in declared(requirements)
    }
    imported = set(third_party_imports())
    assert needed - imported == set(), "declared and not imported"
    assert imported - needed - extras - OPTIONAL - COMES_ALONG == set(), "imported and not declared"


def test_one_version() -> None:
    import wsaudit

    assert wsaudit.__version__ == PROJECT["version"]
    assert (
        f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()
        or "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
    )
