"""Both forms of the kernel in one test run.

A compiled kernel module shadows the `.py` beside it. With `WSAUDIT_PURE=1` in the environment the whole run uses the `.py`
files instead. The fixtures `pure_kernel` and `compiled_kernel` give a test both forms in one process, whatever the run uses:

    def test_same(pure_kernel, compiled_kernel):
        assert pure_kernel.frames.unmask(data, key, 0) == compiled_kernel.frames.unmask(data, key, 0)

A test that asks for `compiled_kernel` is skipped where nothing is compiled, unless WSAUDIT_COMPILE=require.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from wsaudit.engine import Pass
    from wsaudit.session import Session

KERNEL = Path(__file__).resolve().parent.parent / "wsaudit" / "kernel"
PREFIX = "wsaudit.kernel."
PURE = os.environ.get("WSAUDIT_PURE") == "1"


class PureKernelFinder:
    """A meta path finder that takes the modules of wsaudit.kernel from their sources."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        source = KERNEL / f"{name.removeprefix(PREFIX)}.py"
        if not name.startswith(PREFIX) or not source.exists():
            return None
        return importlib.util.spec_from_file_location(name, source)


if PURE:
    sys.meta_path.insert(0, PureKernelFinder)


def load_kernel(pure: bool) -> SimpleNamespace:
    """All modules of wsaudit.kernel that come in two forms, in one of them. Those of the form that this run does not use are
    imported aside: for everybody else the package stays what it was."""
    names = sorted(path.stem for path in KERNEL.glob("*.pxd") if path.with_suffix(".py").exists())
    if pure == PURE:
        return SimpleNamespace(**{name: importlib.import_module(PREFIX + name) for name in names})
    package = importlib.import_module("wsaudit.kernel")
    attributes, finders = dict(vars(package)), list(sys.meta_path)
    modules = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(PREFIX)}
    if pure:
        sys.meta_path.insert(0, PureKernelFinder)
    else:
        sys.meta_path.remove(PureKernelFinder)
    try:
        return SimpleNamespace(**{name: importlib.import_module(PREFIX + name) for name in names})
    finally:
        sys.meta_path[:] = finders
        for name in [name for name in sys.modules if name.startswith(PREFIX)]:
            del sys.modules[name]
        sys.modules.update(modules)
        vars(package).clear()
        vars(package).update(attributes)


# A test fails for what it finds and not for how busy the machine is.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden reports anew instead of comparing")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes by their size: the default id spells them out, and those with a time inside (gzip's) differ from worker to worker."""
    return f"{argname}={len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def pure_kernel() -> SimpleNamespace:
    """The kernel's modules as plain Python."""
    return load_kernel(pure=True)


@pytest.fixture(scope="session")
def compiled_kernel() -> SimpleNamespace:
    """The kernel's modules as compiled by Cython."""
    kernel = load_kernel(pure=False)
    if not kernel.frames.is_compiled():
        if os.environ.get("WSAUDIT_COMPILE") == "require":
            pytest.fail("WSAUDIT_COMPILE=require, but the kernel is not compiled: run `make kernel`")
        pytest.skip("the kernel is not compiled: run `make kernel`")
    return kernel


@pytest.fixture(params=["first", "repeated"])
def known(request: pytest.FixtureRequest) -> None:
    """Heads like many before them are taken at a glance: everything here holds for the first of a kind and for another one."""
    import wire
    from followed import talk_on

    import wsaudit
    from wsaudit.http.form import _FORMS, forget_forms

    forget_forms()
    if request.param == "repeated":
        wsaudit.audit(talk_on(wire.Conversation().open().upgrade()).pcap())
        assert _FORMS


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """Every session that ends during the test."""
    from wsaudit.engine import Pass

    ended: list[Session] = []
    judge = Pass.session_over

    def over(self: Pass, session: Session) -> None:
        ended.append(session)
        judge(self, session)

    monkeypatch.setattr(Pass, "session_over", over)
    return ended
