"""A packet as the interpreter goes through it (plain.py): a row of numbers, of which a batch is made at once (batch.py)."""

from __future__ import annotations

from struct import Struct

# What is in a packet. Below BINARY: one text message, whole, and the top bits of its masking key; then one other frame, whole; no
# data; other data; TCP that is not simply the next segment; anything else; UDP that is only counted.
TEXT, BINARY, PING, PONG, CLOSE, NO_DATA, DATA, SEGMENT, OTHER, UDP = 0, *range(16, 25)

# Key (see `row_key`), code, time, sequence number, that of the next segment, acknowledgement, bytes of payload, where that of the
# frame begins, its shape, length and masking key, what is kept (kept.py). Without a whole frame it is where the payload of the
# packet begins. OTHER has the packet itself there, before it the captured length, and that on the wire in place of the frame's.
ROW = Struct("<37sBq5IH2I56s")
KEY_WIDTH = 37


def row_key(key: bytes) -> bytes:
    """A key of the decoder's table as it is in rows: the 32-bit words of the addresses, and as long as any."""
    return (bytes(((len(key) >> 2) - 1,)) + key).ljust(KEY_WIDTH, b"\0")


def table_key(key: bytes) -> bytes:
    """The other way round."""
    return key[1 : 5 + 4 * key[0]]
