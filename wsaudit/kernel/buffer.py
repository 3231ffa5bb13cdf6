"""Bytes that the kernel reads in place.

The capture's chunk, a held-back segment and a decrypted record all come as a `Buffer`, so there is one form of every hot
function. Compiled, `b` is a typed view (bounds checked); plain, `b` is the object itself, which indexes faster than
a memoryview.
"""

from __future__ import annotations


def zeros(n: int) -> list[int]:
    """A column of zeros; compiled, these columns are C arrays and this is never called."""
    return [0] * n


class Buffer:
    """`raw`: bytes or bytearray (never resized while in use). `b`: its bytes."""

    __slots__ = (
        "b",
        "raw",
        "size",
    )

    def __init__(self, raw: bytes | bytearray) -> None:
        self.raw = raw
        self.size = len(raw)
        self.b = raw
