"""Several bytes of a buffer at once. Compiled, `inline_numbers.pxd` takes the place of this."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsaudit.kernel.buffer import Buffer


def be16(buffer: Buffer, pos: int) -> int:
    """The big-endian 16-bit number at `pos`."""
    return int.from_bytes(buffer.raw[pos : pos + 2], "big")


def be32(buffer: Buffer, pos: int) -> int:
    """The big-endian 32-bit number at `pos`."""
    return int.from_bytes(buffer.raw[pos : pos + 4], "big")


def le32(buffer: Buffer, pos: int) -> int:
    """The little-endian 32-bit number at `pos`."""
    return int.from_bytes(buffer.raw[pos : pos + 4], "little")


def be64(buffer: Buffer, pos: int) -> int:
    """The big-endian 64-bit number at `pos`."""
    return int.from_bytes(buffer.raw[pos : pos + 8], "big")


def ascii_end(buffer: Buffer, pos: int, end: int, key: int) -> int:
    """Up to where, in whole steps of eight bytes, buffer[pos:end] is ASCII. It is masked with `key`, whose lowest byte is that
    of `pos` (RFC 6455 §5.3)."""
    pattern = key.to_bytes(4, "little") * 2
    while pos + 8 <= end and all((a ^ b) < 0x80 for a, b in zip(buffer.raw[pos : pos + 8], pattern, strict=True)):
        pos += 8
    return pos
