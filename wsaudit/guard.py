"""A bug in us costs the connection in which it showed, not the report."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., None])


def guarded(callback: Method) -> Method:
    """A method that the kernel calls. What it raises goes to `crashed` of its object and not through the kernel, where it would
    end the whole audit. The kernel calls for handshakes, control frames, gaps and ends only, so this costs nothing per packet."""

    @wraps(callback)
    def call(self: Any, *given: Any) -> None:
        try:
            callback(self, *given)
        except Exception as error:
            self.crashed(error)

    return cast("Method", call)


def where(error: Exception) -> str:
    """The line of wsaudit that raised: `KeyError in rules/judge.py, line 120`. Not the error's text, which may quote traffic."""
    from pathlib import Path

    package = Path(__file__).parent
    found: Any = None
    step = error.__traceback__
    while step is not None:
        path = Path(step.tb_frame.f_code.co_filename)
        if path.is_relative_to(package) or found is None:
            found = path, step.tb_lineno
        step = step.tb_next
    if found is None:
        return type(error).__name__
    path, line = found
    shown = path.relative_to(package) if path.is_relative_to(package) else path.name
    return f"{type(error).__name__} in {shown}, line {line}"
