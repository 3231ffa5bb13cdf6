"""TLS whose ClientHello was not captured, or is none: nobody can tell its keys, whatever key log there is (RFC 8446 §4.1.2).

A `Sealed` steps over the handshake records that a flow begins with. If a whole handshake message is in them, a `TlsTunnel`
(tls/tunnel.py) has to read it. If application data comes before that, there will be no keys, and all that is left to do is to
count records. Everything else is left to the tunnel too, which gets what came before, and would have found the same.
"""

from __future__ import annotations

from typing import Any

from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.constants import APPLICATION_DATA, HANDSHAKE, HEADER_SIZE, LARGEST_BODY, READER
from wsaudit.kernel.foreign import Foreign
from wsaudit.kernel.streams import Flow, Stream
from wsaudit.kernel.tls import RecordCounts, RecordReader
from wsaudit.model import CLIENT

MESSAGE_HEADER = 4
MOST_KEPT = 1 << 16  # bytes of a handshake that goes on and on


class Flight:
    """The handshake records that one side begins with. `left`: bytes of the last record still to come; `missing`: those of the
    first handshake message still to come behind the records that began, 0 before the first."""

    __slots__ = ("counts", "left", "missing")

    def __init__(self) -> None:
        self.fill()

    def fill(self) -> None:
        self.counts = RecordCounts()
        self.left = 0
        self.missing = 0

    def step_over(self, data: bytes) -> int:
        """The records of an incomplete handshake message in front of `data`: where something else begins, -1 if that, or the
        end of the message, is nothing to wait for."""
        at = 0
        size = len(data)
        while at < size:
            if self.left > 0:
                step = self.left if self.left < size - at else size - at
                self.left -= step
                at += step
                if self.left == 0:
                    self.counts.handshake += 1
                continue
            if size - at < HEADER_SIZE or data[at + 1] != 3:
                return -1
            if data[at] == APPLICATION_DATA:
                return at
            length = data[at + 3] << 8 | data[at + 4]
            if data[at] != HANDSHAKE or not 0 < length <= LARGEST_BODY:
                return -1
            at += HEADER_SIZE
            if self.missing == 0:
                if length < MESSAGE_HEADER or size - at < MESSAGE_HEADER:
                    return -1
                self.missing = MESSAGE_HEADER + (data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3])
            self.missing -= length
            if self.missing <= 0:
                return -1
            self.left = length
        return at


class Sealed(Foreign):
    """`closed_by`: whose application data told that there will be no keys, -1 before that. Until then `chunks` has what came:
    side, bytes, offset, time, packet."""

    __slots__ = ("chunks", "closed_by", "flight_a", "flight_b", "kept")

    def fill(self, flow: Flow, client: int, sink: Any) -> None:
        Foreign.fill(self, flow, client, sink)
        a = self.flight_a = Flight.__new__(Flight)
        b = self.flight_b = Flight.__new__(Flight)
        a.fill()
        b.fill()
        self.closed_by = -1
        self.chunks: list[tuple[int, bytes, int, int, int]] = []
        self.kept = 0

    def data(self, stream: Stream, data: bytes, offset: int, time: int, packet: int) -> None:
        """The next bytes of one side, as far as no reader takes them."""
        try:
            if self.take(stream, data, offset, time, packet):
                return
        except Exception as error:
            self.crashed(error)
            return
        self.hand_over().data(stream, data, offset, time, packet)

    def take(self, stream: Stream, data: bytes, offset: int, time: int, packet: int) -> bool:
        """False: somebody else has to look at these bytes."""
        if self.closed_by >= 0:
            return False
        side = (0 if stream is self.flow.a else 1) ^ self.client
        mine, other = (self.flight_a, self.flight_b) if stream is self.flow.a else (self.flight_b, self.flight_a)
        at = mine.step_over(data)
        size = len(data)
        self.kept += size
        if at < 0 or self.kept > MOST_KEPT:
            return False
        if at == size:
            self.chunks.append((side, data, offset, time, packet))
            return True
        if other.left > 0 or (side != CLIENT and other.counts.handshake == 0):  # its handshake may come yet
            return False
        reader = RecordReader.__new__(RecordReader)
        reader.fill(mine.counts, offset + at, None, 0)
        if reader.feed(Buffer(data), at, size, time, packet) < size or mine.counts.application == 0:
            return False
        stream.reader = reader
        peer_reader = RecordReader.__new__(RecordReader)
        peer_reader.fill(other.counts, stream.peer.offset, None, 0)
        stream.peer.reader = peer_reader
        stream.mode = stream.peer.mode = READER
        self.closed_by = side
        self.chunks.clear()
        return True

    def end(self, ongoing: bool) -> None:
        flow = self.flow
        chatty = self.closed_by >= 0 and self.flight_a.counts.is_chatty(1) and self.flight_b.counts.is_chatty(1)
        if chatty or flow.a.truncated or flow.b.truncated:
            self.hand_over().finish(flow, ongoing)
        else:
            self.sink.count_tls("handshake-not-captured" if self.closed_by >= 0 else "handshake-incomplete")

    def counts(self) -> list[RecordCounts]:
        """Those of the client and the server."""
        both = [self.flight_a.counts, self.flight_b.counts]
        return both[::-1] if self.client else both


def hello_sender(data: bytes, side: int) -> int:
    """Which side is the client, by the first handshake record, which `side` sent: a ClientHello is the client's."""
    return side if data[HEADER_SIZE] == 1 else 1 - side


def begins_handshake(data: bytes) -> bool:
    """Are these first bytes those of a record with a handshake message?"""
    return len(data) >= HEADER_SIZE + MESSAGE_HEADER and data[0] == HANDSHAKE and data[1] == 3
