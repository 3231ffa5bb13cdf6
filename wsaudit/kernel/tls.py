"""TLS records between two events that need Python (RFC 8446 §5, RFC 5246 §6.2).

A tunnel (`tls/tunnel.py`) knows handshakes, keys and losses. In between come records that hold nothing but application data, by
the million: a `RecordReader` opens these, each with the next sequence number, and feeds the frame scanner; or, where nobody has
the key, counts them. It leaves everything else as it was for the tunnel.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from wsaudit.kernel import mode
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.constants import (
    AEAD_EXPLICIT,
    AEAD_TLS13,
    APPLICATION_DATA,
    HEADER_SIZE,
    LARGEST_BODY,
    SMALL_RECORD,
)
from wsaudit.kernel.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsaudit.kernel.frames import Scanner

SMALL_PART = 0.75

pack_header = Struct(">BHH").pack_into
pack_number = Struct(">Q").pack_into


class Scratch:
    """Where plaintext is written and scanned: to make a Buffer for each record takes as long as to open it."""

    __slots__ = ("buffer", "out", "view")

    def __init__(self) -> None:
        self.buffer = Buffer(bytearray(LARGEST_BODY))
        self.view = memoryview(self.buffer.raw)
        self.out = self.view  # as long as the last plaintext

    def room(self, size: int) -> memoryview:
        """Its first `size` bytes, to write to."""
        if len(self.out) != size:
            self.out = self.view[:size]
        return self.out

    def without_padding(self, size: int) -> int:
        """How many of the first `size` bytes are left without the zeros at their end."""
        while size > 0 and self.buffer.b[size - 1] == 0:
            size -= 1
        return size


SPARE: list[Scratch] = []  # one for each thread that ever audited at the same time as others


def borrow() -> Scratch:
    """A scratch that nobody else writes to until it is in SPARE again."""
    try:
        return SPARE.pop()
    except IndexError:
        return Scratch()


class RecordCounts:
    """Records of one side by what their headers say: in TLS 1.3 the handshake's end, alerts and data all look like application
    data.

    Sizes are those on the wire without the 5 bytes of the header. `small` counts application records of at most `SMALL_RECORD`
    bytes.
    """

    __slots__ = ("application", "handshake", "last_size", "small")

    def __init__(self) -> None:
        self.handshake = 0
        self.application = 0
        self.small = 0
        self.last_size = 0

    def add_application(self, size: int) -> None:
        """Count an application data record of `size` bytes."""
        self.application += 1
        self.last_size = size
        if size <= SMALL_RECORD:
            self.small += 1

    def is_chatty(self, least: int) -> bool:
        """Are there at least so many application records, and nearly all of them small?"""
        return self.application >= least and self.small >= SMALL_PART * self.application


class Aead:
    """Opens the records of one direction under one key. `decrypt_into` is that of a cipher of `cryptography`; `iv` are the 12
    bytes (AEAD_EXPLICIT: 4) of the key schedule. No repr: it holds secrets."""

    __slots__ = ("additional", "decrypt_into", "form", "iv", "nonce", "overhead", "smallest")

    def __init__(self, decrypt_into: Callable[[Any, Any, Any, Any], object], iv: bytes, form: int, tag_length: int) -> None:
        self.decrypt_into = decrypt_into
        self.form = form
        self.iv = bytearray(iv)
        self.nonce = bytearray(12)
        self.additional = bytearray(5 if form == AEAD_TLS13 else 13)
        self.overhead = tag_length + (8 if form == AEAD_EXPLICIT else 0)
        self.smallest = self.overhead + (1 if form == AEAD_TLS13 else 0)  # bytes of the smallest body

    def open(self, sequence: int, kind: int, version: int, body: bytes | bytearray | memoryview) -> tuple[int, bytes] | None:
        """(content type, plaintext) of a record, or None when its authentication fails."""
        scratch = borrow()
        size = self.unseal(scratch, sequence, kind, version, body)
        if size >= 0 and self.form == AEAD_TLS13:
            size = scratch.without_padding(size) - 1
            kind = scratch.buffer.b[size] if size >= 0 else 0
            size = max(size, 0)
        found = None if size < 0 else (kind, bytes(scratch.buffer.raw[:size]))
        SPARE.append(scratch)
        return found

    def plain_length(self, length: int) -> int | None:
        """The plaintext bytes in a body of `length`; None when padding hides it."""
        return None if self.form == AEAD_TLS13 else max(0, length - self.overhead)

    def unseal(self, scratch: Scratch, sequence: int, kind: int, version: int, body: bytes | bytearray | memoryview) -> int:
        """Write what a record's body protects, of TLS 1.3 with content type and padding, to `scratch`; returns its size, or -1
        when the record is not authentic."""
        length = len(body)
        size = length - self.overhead
        if length < self.smallest or length > LARGEST_BODY:
            return -1
        if self.form == AEAD_TLS13:
            self.write_header(0, kind, version, length)
        else:
            pack_number(self.additional, 0, sequence)
            self.write_header(8, kind, version, size)
        if self.form == AEAD_EXPLICIT:
            self.nonce[:4] = self.iv
            self.nonce[4:] = body[:8]
            body = body[8:]
        else:
            self.write_nonce(sequence)
        try:
            self.decrypt_into(self.nonce, body, self.additional, scratch.room(size))
        except Exception:  # InvalidTag, mostly; `cryptography` is not imported before there is a key
            return -1
        return size

    def write_nonce(self, sequence: int) -> None:
        if not mode.COMPILED:
            self.nonce[:] = (int.from_bytes(self.iv, "big") ^ sequence).to_bytes(12, "big")
            return
        for i in range(11, -1, -1):
            self.nonce[i] = self.iv[i] ^ (sequence & 0xFF)
            sequence >>= 8

    def write_header(self, at: int, kind: int, version: int, length: int) -> None:
        if not mode.COMPILED:
            pack_header(self.additional, at, kind, version, length)
            return
        self.additional[at] = kind
        self.additional[at + 1] = version >> 8
        self.additional[at + 2] = version & 0xFF
        self.additional[at + 3] = length >> 8
        self.additional[at + 4] = length & 0xFF


def record_size(kind: int, major: int, length: int) -> int:
    """The bytes of an application data record with its header; 0: it is something else."""
    if kind != APPLICATION_DATA or major != 3 or length > LARGEST_BODY or length == 0:
        return 0
    return HEADER_SIZE + length


class RecordReader(Reader):
    """Takes one side's records as long as they are of application data and, with a key, each is authentic.

    `held` is the beginning of a record whose rest has not come, if there is one, `skip` how many bytes are still to come of one
    that is only counted. `offset` is that of the next byte in the side's TCP stream; `ends[side]` is set to where the record ends
    whose frames are being scanned.
    """

    __slots__ = ("aead", "body", "counts", "ends", "held", "offset", "scanner", "sequence", "side", "skip", "start")

    def __init__(self, counts: RecordCounts, offset: int, held: bytes, skip: int) -> None:
        self.fill(counts, offset, bytearray(held) if held else None, skip)

    def fill(self, counts: RecordCounts, offset: int, held: bytearray | None, skip: int) -> None:
        self.counts = counts
        self.start = offset
        self.offset = offset
        self.held = held
        self.skip = skip
        self.body = 0  # size of the record that `skip` is the rest of; 0: it does not count
        self.aead: Aead | None = None
        self.sequence = 0
        self.scanner: Any = None
        self.ends: Any = None
        self.side = 0

    def open_with(self, aead: Aead, sequence: int, scanner: Scanner, ends: list[int]) -> None:
        """Open the records, the next of which has number `sequence`."""
        self.aead = aead
        self.sequence = sequence
        self.scanner = scanner
        self.side = scanner.side
        self.ends = ends

    def feed(self, buffer: Buffer, pos: int, end: int, time: int, packet: int) -> int:
        """Take buffer[pos:end], the next bytes of the stream; returns the position in front of what it leaves, which goes on
        from `held`."""
        base = self.offset - pos
        scratch = None if self.aead is None else borrow()
        while pos < end:
            left = end - pos
            if self.skip > 0:
                size = left if left < self.skip else self.skip
                self.skip -= size
                pos += size
                if self.skip == 0 and self.body > 0:
                    self.counts.add_application(self.body)
                continue
            if self.held:
                due = self.due(self.held)
                if due == 0:
                    break
                if self.aead is None and len(self.held) >= HEADER_SIZE:
                    self.body = len(self.held) - HEADER_SIZE + due
                    self.skip = due
                    self.held = None
                    continue
                size = left if left < due else due
                self.held += buffer.raw[pos : pos + size]
                if size == due and len(self.held) > HEADER_SIZE:
                    version = self.held[1] << 8 | self.held[2]
                    if not self.take(scratch, self.held[HEADER_SIZE:], version, base + pos + size, time, packet):
                        del self.held[len(self.held) - size :]
                        break
                    self.held = None
                pos += size
                continue
            if left >= HEADER_SIZE:
                size = record_size(buffer.b[pos], buffer.b[pos + 1], buffer.b[pos + 3] << 8 | buffer.b[pos + 4])
                if size == 0:
                    break
                if self.aead is None:
                    self.body = self.skip = size - HEADER_SIZE
                    pos += HEADER_SIZE
                    continue
                if size <= left:
                    version = buffer.b[pos + 1] << 8 | buffer.b[pos + 2]
                    body = buffer.raw[pos + HEADER_SIZE : pos + size]
                    if not self.take(scratch, body, version, base + pos + size, time, packet):
                        break
                    pos += size
                    continue
            self.held = bytearray(buffer.raw[pos:end])
            pos = end
        self.offset = base + pos
        if scratch is not None:
            SPARE.append(scratch)
        return pos

    def due(self, held: bytearray) -> int:
        """How many bytes the held record lacks, or first its header; 0: it is not for here."""
        have = len(held)
        if have < HEADER_SIZE:
            return HEADER_SIZE - have
        size = record_size(held[0], held[1], held[3] << 8 | held[4])
        return size - have if size > have else 0

    def take(self, scratch: Scratch | None, body: bytes | bytearray, version: int, tcp_end: int, time: int, packet: int) -> bool:
        """Open one record and scan what it carries. False: it is not authentic, or of another content type."""
        aead = self.aead
        if aead is None or scratch is None:
            return False
        size = aead.unseal(scratch, self.sequence, APPLICATION_DATA, version, body)
        if size < 0:
            return False
        if aead.form == AEAD_TLS13:
            size = scratch.without_padding(size) - 1
            if size < 0 or scratch.buffer.b[size] != APPLICATION_DATA:
                return False
        self.sequence += 1
        self.counts.add_application(len(body))
        if size > 0:
            self.ends[self.side] = tcp_end
            self.scanner.feed(scratch.buffer, 0, size, time, packet)
        return True
