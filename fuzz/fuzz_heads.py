"""HTTP/1.x heads.

Invariant: however one side's stream is cut, the heads, their offsets and how the side stops are the same.
"""

from __future__ import annotations

from pathlib import Path

from fuzz import corpus
from fuzz.mutation import mutate_bytes as mutate
from wsaudit.http.head import Head
from wsaudit.http.messages import HttpSide
from wsaudit.http.upgrade import build_handshake

__all__ = ["mutate", "one_input", "seeds"]


def read(side: int, data: bytes, sizes: bytes) -> tuple[list[tuple[object, ...]], str, int]:
    """The heads in `data` when it comes in pieces of `sizes`, again and again."""
    http = HttpSide(side)
    if side:
        for method in ("GET", "HEAD", "GET"):
            http.expect(method)
    heads: list[Head] = []
    at = turn = 0
    while at < len(data):
        stop = at + (sizes[turn % len(sizes)] + 1 if sizes else len(data))
        heads += [event for event in http.feed(data[at:stop], at, turn, turn) if isinstance(event, Head)]
        at = stop
        turn += 1
    for head in heads:
        build_handshake(head if not side else None, head if side else None, ())
    return [(head.offset, head.raw, head.kind, tuple(head.oddities)) for head in heads], http.stopped, http.offset


def one_input(data: bytes) -> None:
    """First byte: the side, and whether lost bytes come; then how the rest is cut."""
    side = data[0] & 1 if data else 0
    whole = read(side, data[4:], b"")
    for sizes in (data[1:4], b"\0"):
        pieces = read(side, data[4:], sizes or b"\0")
        if not lost_somewhere(side, data[4:]):
            assert pieces == whole


def lost_somewhere(side: int, data: bytes) -> bool:
    """After bytes that are no HTTP, a head is looked for where pieces begin: then the cuts matter, and must."""
    http = HttpSide(side)
    return any(not isinstance(event, Head) for event in http.feed(data, 0, 0, 0))


def seeds(folders: tuple[Path, ...]) -> list[bytes]:
    made = []
    for side in (0, 1):
        made += [bytes((side, 3, 50, 9)) + data[:4000] for data in corpus.side_bytes(folders, side) if b"HTTP/1" in data[:300]]
    return corpus.or_one(made)
