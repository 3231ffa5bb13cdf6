"""Compile the kernel.

A kernel module is an ordinary `wsaudit/kernel/NAME.py`; a `NAME.pxd` beside it declares the C types, and Cython makes an
extension module of the two. Where that cannot be done (no C compiler, no Cython) the package installs without it and the same
`.py` runs, slower. Everyone else may ignore this file.

    WSAUDIT_COMPILE=auto pip install .       compile if possible (the default)
    WSAUDIT_COMPILE=require pip install .    compile or fail
    WSAUDIT_COMPILE=0 pip install .          do not compile
    python hatch_build.py                    compile in place, what has changed only: for development and the tests

hatchling and not setuptools builds the wheel, because its tag must say "pure" or not by what happened here, not by what was
hoped for.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
KERNEL = Path("wsaudit", "kernel")

DIRECTIVES = {
    "language_level": "3",
    "boundscheck": True,  # 7-16 % of the time, and 20,000 mutated captures without a crash: a fair price
    "wraparound": True,  # without it `data[-4:]` is wrong, silently; switching it off gained nothing measurable
    "initializedcheck": False,
    "annotation_typing": False,  # `int` means a C integer here: the .pxd says which
    "embedsignature": True,
}
COMPILER_FLAGS = [] if sys.platform == "win32" else ["-O3", "-g0"]


def kernel_modules(root: Path) -> list[str]:
    """The names of the modules to compile: those with a `.pxd` beside their `.py`."""
    return sorted(pxd.stem for pxd in (root / KERNEL).glob("*.pxd") if pxd.with_suffix(".py").exists())


def extension_path(name: str) -> Path:
    """Where the extension module of kernel module `name` goes, relative to the root."""
    return KERNEL / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"


def stale_modules(root: Path, destination: Path) -> list[str]:
    """The modules of `root` whose extension below `destination` is missing or older than anything it was made from."""
    shared = max(path.stat().st_mtime for path in [Path(__file__), *(root / KERNEL).glob("*.pxd")])
    stale = []
    for name in kernel_modules(root):
        extension = destination / extension_path(name)
        newest = max(shared, (root / KERNEL / f"{name}.py").stat().st_mtime)
        if not extension.exists() or extension.stat().st_mtime < newest:
            stale.append(name)
    return stale


def compile_kernel(root: Path, destination: Path) -> list[Path]:
    """Compile the kernel of the source tree `root` to below `destination`; return what is there then, relative to it.
    Raises whatever Cython or the compiler raise."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    names = stale_modules(root, destination)
    for name in names:  # if this fails, an old extension must not go on hiding the new source
        (destination / extension_path(name)).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        before = Path.cwd()
        os.chdir(root)  # Cython finds the .pxd by the path of the .py from here
        try:
            extensions = cythonize(
                [
                    Extension(f"wsaudit.kernel.{name}", [str(KERNEL / f"{name}.py")], extra_compile_args=COMPILER_FLAGS)
                    for name in names
                ],
                build_dir=scratch,
                compiler_directives=DIRECTIVES,
                force=True,
                quiet=True,
            )
            command = build_ext(Distribution({"name": "wsaudit", "ext_modules": extensions}))
            command.build_lib = str(destination)
            command.build_temp = scratch
            command.parallel = os.cpu_count()
            command.ensure_finalized()
            command.run()
        finally:
            os.chdir(before)
    return [extension_path(name) for name in kernel_modules(root)]


def compile_if_wanted(root: Path, destination: Path) -> tuple[list[Path], str]:
    """`compile_kernel` as WSAUDIT_COMPILE says: what was made, or nothing and the reason."""
    switch = os.environ.get("WSAUDIT_COMPILE", "auto")
    if switch not in ("auto", "require", "0"):
        raise ValueError(f"WSAUDIT_COMPILE={switch}: must be auto, require or 0")
    if switch == "0":
        return [], "WSAUDIT_COMPILE=0"
    try:
        return compile_kernel(root, destination), ""
    except Exception as problem:  # whatever the reason, the pure kernel works
        if switch == "require":
            raise
        return [], f"{type(problem).__name__}: {problem}"


class KernelBuildHook(BuildHookInterface[Any]):
    """Adds the compiled kernel to the wheel, or compiles it in place for an editable install."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        self.scratch = tempfile.TemporaryDirectory()  # goes with the hook, when the wheel is written
        destination = root if version == "editable" else Path(self.scratch.name)
        extensions, reason = compile_if_wanted(root, destination)
        if not extensions:
            self.app.display_warning(f"wsaudit runs as pure Python, its kernel is not compiled: {reason}")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if version != "editable":
            build_data["force_include"].update({str(destination / path): str(path) for path in extensions})


if __name__ == "__main__":
    extensions, reason = compile_if_wanted(ROOT, ROOT)
    print(*extensions or [f"the kernel is not compiled: {reason}"], sep="\n")
