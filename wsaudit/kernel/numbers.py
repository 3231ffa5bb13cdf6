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


def text_end(buffer: Buffer, pos: int, end: int, key: int) -> int:
    """Some position up to which buffer[pos:end] consists of whole characters of UTF-8. It is masked with `key`, whose lowest byte
    is that of `pos` (RFC 6455 §5.3). Compiled, few bytes are left over, or no character begins there; interpreted, the codecs
    are faster and this is not called."""
    return pos
