"""GETs without an upgrade, and their answers: perhaps an upgrade was lost on the way. Whether that may be shows when all
connections are known, so heads are kept until then, and most of them are never read."""

from __future__ import annotations

from collections.abc import Callable

from wsaudit.kernel import mode
from wsaudit.kernel.streams import Flow
from wsaudit.model import Asked, PlainGet

SHORT = 1024  # bytes of a head that is kept as it is


def is_compiled() -> bool:
    return bool(mode.COMPILED)


class Gets:
    """`seen`: how many there were; `kept` has the first `most` of them. `read(head)` says what a long head asks for."""

    __slots__ = ("kept", "most", "read", "seen")

    def __init__(self, kept: list[PlainGet], most: int, read: Callable[[bytes], Asked]) -> None:
        self.kept = kept
        self.most = most
        self.read = read
        self.seen = 0

    def add(self, flow: Flow, client: int, head: bytes, started: int, first: int, status: int, time: int, packet: int) -> None:
        """`head` came at `started` in packet `first`, its answer at `time` in `packet`."""
        self.seen += 1
        if len(self.kept) >= self.most:
            return
        asked: bytes | Asked = head if len(head) <= SHORT else self.read(head)
        a = (flow.address_a, flow.port_a)
        b = (flow.address_b, flow.port_b)
        ends = (b, a) if client else (a, b)
        self.kept.append(tuple.__new__(PlainGet, (*ends, asked, status, started, first, time, packet)))
