"""The whole tree of exceptions. Bad traffic is never an exception: it is a fact. These are for bad inputs and bad calls.

WsauditError
├── InputError   an input could not be read          (exit code 3)
└── UsageError   options or files that contradict     (exit code 2)
"""

from __future__ import annotations


class WsauditError(Exception):
    """Base of all that wsaudit raises on purpose."""


class InputError(WsauditError):
    """An input could not be read at all.

    `path` names the input as the user did, `offset` is the byte where reading stopped (None: it could not be opened), `reason`
    says what is there instead of a capture.
    """

    def __init__(self, path: str, reason: str, offset: int | None = None) -> None:
        self.path = path
        self.reason = reason
        self.offset = offset
        where = path if offset is None else f"{path}: byte {offset}"
        super().__init__(f"{where}: {reason}")


class UsageError(WsauditError):
    """Options, policy files or baselines that cannot be used as they are."""
