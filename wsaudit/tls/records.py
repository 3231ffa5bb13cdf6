"""TLS records cut out of a byte stream (RFC 8446 5.1), across segments and across holes."""

from __future__ import annotations

import re
from struct import Struct
from typing import NamedTuple

# What Record.kind can be: the content types, and two kinds of loss.
LOST, DAMAGED = 0, 1
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = 20, 21, 22, 23, 24

HEADER_SIZE = 5
LARGEST_BODY = (1 << 14) + 2048  # RFC 5246 6.2.3; TLS 1.3 allows less

_unpack = Struct(">BHH").unpack_from
_KINDS = frozenset({CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT})
_BOUNDARY = re.compile(rb"[\x14-\x18]\x03[\x00-\x04]")


class Record(NamedTuple):
    """One record, or a loss between records.

    `kind` and `version` are the header's; `body` is a view into the data that was fed; `end` is the stream offset behind the
    record.

    `kind` LOST: `version` is a number of bytes in which records may have been that nobody saw. `kind` DAMAGED: one record whose
    header was seen lost bytes of its body; `version` is the size of that body when it was application data, else -1.
    """

    kind: int
    version: int
    body: memoryview
    end: int


_NOTHING = memoryview(b"")


class Framer:
    """Cuts one direction into records.

    After a hole, or bytes that cannot be a header, it looks for the next boundary: a header with another one, or the end of the
    data, exactly behind its body. Ciphertext looks like such a pair once in 10^12 bytes. `started` is False until the first
    record was cut.
    """

    __slots__ = ("_base", "_buffer", "_lost", "_need", "_searching", "_skip", "garbage", "started")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._base = 0  # stream offset of the buffer's start
        self._need = HEADER_SIZE  # bytes without which nothing can be done
        self._skip = 0  # bytes of a damaged record still to step over
        self._searching = False
        self._lost = 0  # bytes that no record was cut from, since the search began
        self.started = False
        self.garbage = False  # bytes that are no record were met

    @property
    def pending(self) -> bool:
        """Whether a record has begun and not ended."""
        return bool(self._buffer) or self._skip > 0

    def feed(self, data: bytes | memoryview, offset: int) -> list[Record]:
        """The records that `data`, at stream offset `offset`, completes."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
            offset += skipped
        whole: bytes | memoryview | bytearray = data
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return []
            whole, self._buffer = self._buffer, bytearray()
            offset = self._base
        records: list[Record] = []
        view = memoryview(whole)
        size = len(view)
        position = 0
        while True:
            if self._searching:
                found = self._find_boundary(view, position)
                self._lost += found - position
                position = found
                if self._searching:
                    break
                records.append(Record(LOST, self._lost, _NOTHING, offset + position))
                self._lost = 0
            while size - position >= HEADER_SIZE:
                kind, version, length = _unpack(whole, position)
                if kind not in _KINDS or version >> 8 != 3 or length > LARGEST_BODY:
                    self._searching = self.garbage = True
                    break
                end = position + HEADER_SIZE + length
                if end > size:
                    self._need = end - position
                    break
                records.append(Record(kind, version, view[position + HEADER_SIZE : end], offset + end))
                position = end
            else:
                self._need = HEADER_SIZE
            if not self._searching:
                break
            self._lost += 1  # a bad header is stepped over byte by byte
            position += 1
        if records:
            self.started = True
        if position < size:
            self._buffer = bytearray(view[position:])
            self._base = offset + position
        return records

    def gap(self, length: int, offset: int) -> Record | None:
        """`length` bytes are missing at stream offset `offset`. Gives the record that lost them when it is one only, and the
        place of the next is known. A LOST record comes otherwise, as soon as `feed` has found the next boundary."""
        if self._skip:
            if length <= self._skip:
                self._skip -= length
                return None
            length -= self._skip
            self._skip = 0
        elif len(self._buffer) >= HEADER_SIZE and not self._searching:
            kind, _, size = _unpack(self._buffer)
            missing = HEADER_SIZE + size - len(self._buffer)
            if length <= missing:
                self._skip = missing - length
                self._buffer = bytearray()
                self._need = HEADER_SIZE
                return Record(DAMAGED, size if kind == APPLICATION_DATA else -1, _NOTHING, offset + missing)
        self._lost += length + len(self._buffer)
        self._buffer = bytearray()
        self._searching = True
        self._need = HEADER_SIZE
        return None

    def give_up(self) -> tuple[bytes, int] | None:
        """Let something else cut what comes: the record that has begun, and the bytes of a damaged one still to come. None: the
        next record's place is not known."""
        if self._searching:
            return None
        held, self._buffer = bytes(self._buffer), bytearray()
        skip, self._skip = self._skip, 0
        self._need = HEADER_SIZE
        return held, skip

    def go_on(self, held: bytes, skip: int, offset: int) -> None:
        """The reverse; `offset` is that of the next byte."""
        self._buffer = bytearray(held)
        self._base = offset - len(held)
        self._skip = skip

    def _find_boundary(self, view: memoryview, position: int) -> int:
        """Where the next record starts; while that cannot be told, from where on bytes must be kept (and the search goes on)."""
        size = len(view)
        for match in _BOUNDARY.finditer(view, position):
            start = match.start()
            if start + HEADER_SIZE > size:
                self._need = HEADER_SIZE
                return start
            end = start + HEADER_SIZE + _unpack(view, start)[2]
            if end - start > HEADER_SIZE + LARGEST_BODY:
                continue
            if end > size or size - HEADER_SIZE < end < size:
                self._need = end - start + (HEADER_SIZE if end <= size else 0)
                return start
            if end == size or _is_header(view, end):
                self._searching = False
                return start
        self._need = HEADER_SIZE
        return max(position, size - 2)


def looks_like_tls(first_bytes: bytes | bytearray | memoryview) -> bool:
    """Whether a side's first bytes can be TLS: at least 3 are needed, and as many of a record header as there are must fit."""
    if len(first_bytes) < 3 or first_bytes[0] not in _KINDS or first_bytes[1] != 3 or first_bytes[2] > 4:
        return False
    if len(first_bytes) < HEADER_SIZE:
        return True
    kind, _, length = _unpack(first_bytes)
    if not 0 < length <= LARGEST_BODY:
        return False
    return kind != HANDSHAKE or len(first_bytes) == HEADER_SIZE or first_bytes[HEADER_SIZE] <= 24


def _is_header(view: memoryview, position: int) -> bool:
    kind, version, length = _unpack(view, position)
    return kind in _KINDS and version >> 8 == 3 and version & 0xFF <= 4 and length <= LARGEST_BODY
