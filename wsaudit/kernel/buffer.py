"""Bytes that the kernel reads in place.

The capture's chunk, a held-back segment and a decrypted record all come as a `Buffer`, so there is one form of every hot
function. Compiled, `b` and `words` are typed views (bounds checked); plain, `b` is the object itself, which indexes faster than
a memoryview.
"""

from __future__ import annotations

COMPILED = not __file__.endswith(".py")
EMPTY_WORD = bytes(8)


def zeros(n: int) -> list[int]:
    """A column of zeros; compiled, these columns are C arrays and this is never called."""
    return [0] * n


class Buffer:
    """`raw`: bytes or bytearray (never resized while in use). `b`: its bytes. `words`: its whole 8-byte words, native order."""

    __slots__ = (
        "b",
        "raw",
        "size",
        "words",
    )

    def __init__(self, raw: bytes | bytearray) -> None:
        self.raw = raw
        self.size = len(raw)
        if COMPILED:
            self.b = raw
            whole = self.size & ~7
            self.words = memoryview(raw)[:whole].cast("Q") if whole else memoryview(EMPTY_WORD).cast("Q")
        else:
            self.b = raw
            self.words = ()  # type: ignore[assignment]
