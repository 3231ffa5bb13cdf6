"""What the interpreter keeps of a segment and of the frame in it, for as long as it is among the last: one object of bytes and
not ten numbers, so that a batch of them is made at once (batch.py). Compiled, the numbers are in C arrays."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

# First and last bytes, time, packet, length of the frame, shape; sequence number, length, IP id and header size of the segment.
# `batch.KEPT` is the same.
KEPT = Struct("<QQqqQIIIHB")
keep = KEPT.pack
kept = KEPT.unpack
NOTHING = bytes(KEPT.size)


def no_frames(n: int) -> list[Any]:
    return [NOTHING] * n


def no_segments(n: int) -> list[Any]:
    """Each with its offset before it."""
    return [0, NOTHING] * n


def keep_frame(time: int, packet: int, shape: int, length: int) -> bytes:
    return keep(0, 0, time, packet, length, shape, 0, 0, 0, 0)


def keep_bytes(raw: bytes | bytearray, pos: int, n: int) -> bytes:
    """A segment's, raw[pos:pos+n]."""
    first = int.from_bytes(raw[pos : pos + min(n, 8)], "little")
    return keep(first, int.from_bytes(raw[pos + n - 8 : pos + n], "little") if n > 8 else first, 0, 0, 0, 0, 0, n, 0, 0)


def keep_place(seq: int, n: int, time: int, ident: int) -> bytes:
    """Of a segment, what another that repeats it has too, and when it came."""
    return keep(0, 0, time, 0, 0, 0, seq, n, ident, 0)


def place_of(segment: bytes) -> tuple[int, int, int, int]:
    """Sequence number, length, time, IP id."""
    _, _, time, _, _, _, seq, n, ident, _ = kept(segment)
    return seq, n, time, ident


def frame_of(segment: bytes) -> tuple[int, int, int, int]:
    """Time, packet, shape, length."""
    _, _, time, packet, length, shape, _, _, _, _ = kept(segment)
    return time, packet, shape, length


def differs(samples: Sequence[Any], raw: bytes | bytearray, pos: int, n: int, offset: int) -> bool:
    """Is anything of raw[pos:pos+n], which is at `offset` of a stream, not as it is in one of these segments, each with
    its offset before it?"""
    for at, segment in zip(samples[::2], samples[1::2], strict=True):
        head, tail, _, _, _, _, _, length, _, _ = kept(segment)
        width = min(length, 8)
        for place, number in ((at, head), (at + length - width, tail)):
            if length and offset <= place and place + width <= offset + n:
                start = pos + place - offset
                if int.from_bytes(raw[start : start + width], "little") != number:
                    return True
    return False
