"""Imports go one way: a module may import what lies below it, never what lies above or beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "wsaudit"

# From the ground up. What stands on one line may not import its neighbours, but for the ground floor and the drivers.
GROUND = ("errors", "collector", "child", "guard", "options", "model", "registry", "kernel", "together")
DRIVERS = ("engine", "workers")
LAYERS = [
    GROUND,
    ("capture", "net", "tls", "http", "websocket"),
    ("heartbeats",),
    ("session",),
    ("rules", "termination", "inflation"),
    ("rows", "framing", "midstream"),
    ("opening",),
    ("pipeline", "alike"),
    DRIVERS,
    ("report",),
    ("gate",),
    ("__init__",),
    ("cli",),
    ("__main__", "pytest_plugin"),
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    """The package or module just below wsaudit that `path` belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, layer) of each import of wsaudit in `path`, wherever it stands in it. The version is nobody's layer."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.relative_to(PACKAGE.parent).parts[: -node.level]) if node.level else ""
            module = ".".join(filter(None, (package, node.module)))
            names = [module] if module != "wsaudit" else [f"wsaudit.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] != "wsaudit" or name == "wsaudit.__version__":
                continue
            layer = parts[1] if len(parts) > 1 else "__init__"
            yield node.lineno, layer if layer in LEVEL or (PACKAGE / layer).exists() else "__init__"


def allowed(importer: str, layer: str) -> bool:
    neighbours = any(importer in floor and layer in floor for floor in (GROUND, DRIVERS))
    return importer == layer or neighbours or LEVEL[layer] < LEVEL[importer]


def test_every_module_has_its_place() -> None:
    assert {layer_of(path) for path in MODULES} <= set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    wrong = [f"line {line}: {layer}" for line, layer in imported(path) if not allowed(layer_of(path), layer)]
    assert not wrong


def test_the_test_sees_what_it_must(tmp_path: Path) -> None:
    source = tmp_path / "x.py"
    source.write_text("from wsaudit import audit, __version__\ndef f():\n    import wsaudit.report.text\n")
    assert list(imported(source)) == [(1, "__init__"), (3, "report")]
    assert not allowed("kernel", "session")
    assert not allowed("http", "tls")
    assert allowed("http", "kernel")
