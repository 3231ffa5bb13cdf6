"""Both forms of the kernel in one test run.

A compiled kernel module shadows the `.py` beside it. With `WSAUDIT_PURE=1` in the environment the whole run uses the `.py`
files; `load_pure` and `load_compiled` give one test both forms of a module, whatever the run uses.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

KERNEL = Path(__file__).resolve().parent.parent / "wsaudit" / "kernel"
PREFIX = "wsaudit.kernel."


class PureKernelFinder:
    """A meta path finder that takes the modules of wsaudit.kernel from their sources."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        source = KERNEL / f"{fullname.removeprefix(PREFIX)}.py"
        if not fullname.startswith(PREFIX) or not source.exists():
            return None
        return importlib.util.spec_from_file_location(fullname, source)


if os.environ.get("WSAUDIT_PURE") == "1":
    sys.meta_path.insert(0, PureKernelFinder)
