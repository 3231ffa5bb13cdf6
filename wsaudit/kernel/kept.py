"""What the interpreter keeps of a segment and of the frame in it, for as long as it is among the last: one object of bytes and
not ten numbers, so that a batch of them is made at once (batch.py). Compiled, the numbers are in C arrays."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

# First and last bytes, time, packet, length of the frame, shape; sequence number, length, IP id, header size and hop limit of the
# segment. `batch.KEPT` is the same.
KEPT = Struct("<QQqqQIIIHBB")
keep = KEPT.pack
kept = KEPT.unpack
moment = Struct("<16x2q24x").unpack  # time, packet
NOTHING = bytes(KEPT.size)
M32 = 0xFFFFFFFF


def nothing() -> list[Any]:
    """Where nothing is kept yet. (A list as such cannot be put where the compiled form has a C array.)"""
    return []


def keep_frame(time: int, packet: int, shape: int, length: int) -> bytes:
    return keep(0, 0, time, packet, length, shape, 0, 0, 0, 0, 0)


def keep_bytes(raw: bytes | bytearray, pos: int, n: int, seq: int) -> bytes:
    """A segment's, raw[pos:pos+n]."""
    first = int.from_bytes(raw[pos : pos + min(n, 8)], "little")
    return keep(first, int.from_bytes(raw[pos + n - 8 : pos + n], "little") if n > 8 else first, 0, 0, 0, 0, seq, n, 0, 0, 0)


def keep_place(seq: int, n: int, time: int, ident: int) -> bytes:
    """Of a segment, what another that repeats it has too, and when it came. (Of a length that no packet has, a part.)"""
    return keep(0, 0, time, 0, 0, 0, seq, n & M32, ident, 0, 0)


def place_of(segment: bytes) -> tuple[int, int, int, int]:
    """Sequence number, length, time, IP id."""
    _, _, time, _, _, _, seq, n, ident, _, _ = kept(segment)
    return seq, n, time, ident


def frame_of(segment: bytes) -> tuple[int, int, int, int]:
    """Time, packet, shape, length."""
    _, _, time, packet, length, shape, _, _, _, _, _ = kept(segment)
    return time, packet, shape, length


def frames_of(last: list[bytes], n: int) -> list[tuple[int, int, int, int]]:
    """The last `n` of them, so."""
    return [frame_of(segment) for segment in last[-n:]]


def note(last: list[bytes], segment: bytes, n: int) -> None:
    """One more of those of which the last `n` are kept; some more may be there."""
    last.append(segment)
    if len(last) > 3 * n:
        del last[:-n]


def within(segments: Sequence[bytes], next_seq: int, reach: int) -> list[bytes]:
    """Those segments that begin no further than so many bytes before `next_seq`."""
    return [segment for segment in segments if next_seq - place_of(segment)[0] & M32 <= reach]


def differs(segments: Sequence[bytes], last: int, raw: bytes | bytearray, pos: int, n: int, behind: int, next_seq: int) -> bool:
    """Is anything of raw[pos:pos+n], which is so many bytes before `next_seq` in its stream, not as it is in the last of these
    segments, so many?"""
    for segment in segments[-last:]:
        head, tail, _, _, _, _, seq, length, _, _, _ = kept(segment)
        at = behind - (next_seq - seq & M32)  # in raw[pos:]
        width = min(length, 8)
        for start, number in ((at, head), (at + length - width, tail)):
            if 0 <= start <= n - width and int.from_bytes(raw[pos + start : pos + start + width], "little") != number:
                return True
    return False
