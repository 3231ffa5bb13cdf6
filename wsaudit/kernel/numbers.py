"""Several bytes of a buffer at once. Compiled, `inline_numbers.pxd` takes the place of this."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsaudit.kernel.buffer import Buffer


def at(buffer: Buffer, pos: int, n: int) -> bytes | bytearray:
    """buffer[pos:pos+n], n > 0; compiled, a pointer to it."""
    return buffer.raw[pos : pos + n]


def copy(buffer: Buffer, pos: int, n: int) -> bytes:
    """buffer[pos:pos+n], n > 0, to keep."""
    return bytes(buffer.raw[pos : pos + n])


def first(octets: bytearray, n: int) -> bytes:
    """The first `n` of these octets."""
    return bytes(octets[:n])


def le32(buffer: Buffer, pos: int) -> int:
    """The little-endian 32-bit number at `pos`."""
    return int.from_bytes(buffer.raw[pos : pos + 4], "little")


def le64(buffer: Buffer, pos: int) -> int:
    """The little-endian 64-bit number at `pos`."""
    return int.from_bytes(buffer.raw[pos : pos + 8], "little")


def u32(data: bytes | bytearray, i: int, big: bool) -> int:
    """The 32-bit number at data[i], which `at` gave."""
    return int.from_bytes(data[i : i + 4], "big" if big else "little")


def are_ends(buffer: Buffer, addresses: int, n: int, ports: int, words: Sequence[int], i: int) -> bool:
    """Are the `n` little-endian 32-bit numbers at `addresses`, and that at `ports` behind them, those of words[i:i+n+1]?"""
    return [le32(buffer, pos) for pos in (*range(addresses, addresses + 4 * n, 4), ports)] == list(words[i : i + n + 1])


def packed(numbers: Sequence[int], n: int) -> bytes:
    """The first `n` of these 32-bit numbers, little-endian."""
    return pack(f"<{n}I", *numbers[:n])


def unmasked(buffer: Buffer, pos: int, n: int, key: int, phase: int) -> bytes:
    """buffer[pos:pos+n], n > 0, without its mask (RFC 6455 §5.3): payload from byte `phase` on, masked with `key`, a number whose
    lowest byte comes first."""
    data = buffer.raw[pos : pos + n]
    if key == 0:
        return bytes(data)
    pattern = key.to_bytes(4, "little")
    phase &= 3
    pattern = pattern[phase:] + pattern[:phase]
    mask = int.from_bytes((pattern * ((n + 3) >> 2))[:n], "little")
    return (int.from_bytes(data, "little") ^ mask).to_bytes(n, "little")


def text_end(buffer: Buffer, pos: int, end: int, key: int) -> int:
    """Some position up to which buffer[pos:end] consists of whole characters of UTF-8. It is masked with `key`, whose lowest byte
    is that of `pos` (RFC 6455 §5.3). Compiled, few bytes are left over, or no character begins there; interpreted, the codecs
    are faster and this is not called."""
    return pos
