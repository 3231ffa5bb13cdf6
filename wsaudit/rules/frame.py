"""What a shape rule sees: one kind of frame, its header bits by name."""

from __future__ import annotations

from wsaudit.kernel.constants import (
    AFTER_CLOSE,
    FORM_16,
    FORM_64,
    IN_MESSAGE,
    LENGTH_MSB,
    LONGER_FORM,
    MASKED,
    OVERSIZE,
    UNKNOWN_MESSAGE,
)
from wsaudit.model import CLIENT

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NAMES = {CONTINUATION: "continuation", TEXT: "text", BINARY: "binary", CLOSE: "Close", PING: "Ping", PONG: "Pong"}

# What is known of the extensions in use, as far as it decides who may use reserved bits.
NONE = 0  # the handshake was captured, none was accepted
OFFERED = 1  # none was accepted, permessage-deflate was offered
DEFLATE = 2  # permessage-deflate and nothing else
COMPRESSING = 3  # another extension that uses RSV1
FOREIGN = 4  # one that nobody here knows: it may use anything that is reserved
UNKNOWN = 5  # the handshake, or its answer, was not captured


class Frame:
    """All frames of `side` with this `shape` (kernel/frames.py); `length` is that of the first, `extensions` one of the above."""

    __slots__ = ("extensions", "length", "shape", "side")

    def __init__(self, side: int, shape: int, length: int, extensions: int) -> None:
        self.side = side
        self.shape = shape
        self.length = length
        self.extensions = extensions

    @property
    def from_client(self) -> bool:
        return self.side == CLIENT

    @property
    def fin(self) -> bool:
        return self.shape & 0x80 != 0

    @property
    def rsv(self) -> int:
        """The reserved bits as a number: RSV1 is 4, RSV2 2, RSV3 1."""
        return self.shape >> 4 & 7

    @property
    def opcode(self) -> int:
        return self.shape & 15

    @property
    def is_control(self) -> bool:
        return self.shape & 8 != 0

    @property
    def masked(self) -> bool:
        return self.shape & MASKED != 0

    @property
    def longer_form(self) -> bool:
        """A shorter form of the length would have done."""
        return self.shape & LONGER_FORM != 0

    @property
    def length_bits(self) -> int:
        """7, 16 or 64: the form that the length was given in."""
        return 64 if self.shape & FORM_64 else 16 if self.shape & FORM_16 else 7

    @property
    def length_top_bit(self) -> bool:
        return self.shape & LENGTH_MSB != 0

    @property
    def in_message(self) -> bool:
        """A fragmented message of this side was open before it."""
        return self.shape & IN_MESSAGE != 0

    @property
    def message_unknown(self) -> bool:
        """Nobody can tell whether one was: the bytes before it were not captured."""
        return self.shape & UNKNOWN_MESSAGE != 0

    @property
    def after_close(self) -> bool:
        """This side had sent a Close before."""
        return self.shape & AFTER_CLOSE != 0

    @property
    def oversize(self) -> bool:
        """A control frame of more than 125 bytes."""
        return self.shape & OVERSIZE != 0

    @property
    def name(self) -> str:
        """ "text frame", "frame with opcode 11"."""
        known = NAMES.get(self.opcode)
        return f"{known} frame" if known else f"frame with opcode {self.opcode}"

    def __str__(self) -> str:
        return f"{self.name} of {size(self.length)}"


def size(count: int) -> str:
    """ "1 byte", "1,024 bytes"."""
    return "1 byte" if count == 1 else f"{count:,} bytes"
