"""What takes the bytes of a side between two events that need Python."""

from __future__ import annotations

from wsaudit.kernel.buffer import Buffer


class Reader:
    """Takes a side's bytes as long as it can make something of them."""

    __slots__ = ()

    def feed(self, buffer: Buffer, pos: int, end: int, time: int, packet: int) -> int:
        """Take buffer[pos:end], the next bytes of the stream; returns the position in front of what it leaves to Python."""
        return pos
