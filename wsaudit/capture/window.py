"""One reused buffer that slides over a stream."""

from __future__ import annotations

from wsaudit.capture.source import Source
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.records import SLACK


class Damage(Exception):
    """The capture cannot be read on from `offset`, because of `reason`."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


class Window:
    """`buf[pos:end]` are the bytes that are read and not used yet; `place` is the offset of `buf[pos]` in the capture.

    `buffer` is `buf` as the kernel takes it.
    """

    def __init__(self, source: Source, size: int, place: int = 0) -> None:
        self.source = source
        self.buf = bytearray(size + SLACK)
        self.buffer = Buffer(self.buf)
        self.pos = 0
        self.end = 0
        self._start = place

    @property
    def place(self) -> int:
        return self._start + self.pos

    @property
    def total(self) -> int:
        """Bytes read so far, as an offset in the capture."""
        return self._start + self.end

    def fill(self) -> bool:
        """Read more behind what is there; False at the end of the stream."""
        if self.pos:
            self._slide(self.buf)
        elif self.end == len(self.buf) - SLACK:
            # A record is bigger than the buffer. The walkers refuse those above RECORD_LIMIT, so this ends.
            self._slide(bytearray(2 * len(self.buf)))
        with memoryview(self.buf) as view:
            count = self.source.readinto(view[self.end : len(self.buf) - SLACK])
        self.end += count
        return count > 0

    def ensure(self, count: int) -> bool:
        """Have `count` bytes from `pos` on; False if the stream ends before."""
        while self.end - self.pos < count:
            if not self.fill():
                return False
        return True

    def skip(self, count: int) -> bool:
        """Pass over `count` bytes without holding them; False if the stream ends before."""
        while count > self.end - self.pos:
            count -= self.end - self.pos
            self.pos = self.end
            if not self.fill():
                return False
        self.pos += count
        return True

    def resize(self, size: int) -> None:
        """Change the buffer's size to `size`, or to what is unused if that is more."""
        size = max(size, self.end - self.pos)
        if size != len(self.buf) - SLACK:
            self._slide(bytearray(size + SLACK))

    def _slide(self, target: bytearray) -> None:
        left = self.end - self.pos
        target[:left] = self.buf[self.pos : self.end]
        if target is not self.buf:
            self.buf = target
            self.buffer = Buffer(target)
        self._start += self.pos
        self.pos = 0
        self.end = left
