"""One endpoint of a WebSocket connection: what it sent. Nothing is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from wsaudit.kernel import acyclic, mode
from wsaudit.kernel.frames import Scanner
from wsaudit.kernel.pings import Pings
from wsaudit.kernel.streams import Stream
from wsaudit.model import Place

CLOSES = 4  # Close frames of one side that are kept


def is_compiled() -> bool:
    return bool(mode.COMPILED)


class Gap(NamedTuple):
    """Bytes of one side that nobody can read. `length` None: unknown (after lost TLS records)."""

    offset: int
    length: int | None
    time: int
    packet: int
    reason: str


class Shape(NamedTuple):
    """All frames of one side that look alike (kernel/frames.py has the bits of `shape`), with the place of the first."""

    shape: int
    count: int  # type: ignore[assignment]
    packet: int
    time: int
    offset: int
    length: int
    last_packet: int

    @property
    def place(self) -> Place:
        return Place(self.packet, self.time, self.offset)


class CloseFrame:
    """One Close frame (RFC 6455 §5.5.1). `code` None: empty body or a body of one byte (`length` tells); `lost`: bytes of it
    were lost.

    `end` is the TCP stream offset behind its last byte, to compare with what the peer acknowledged; `acked` is how much of the
    peer's stream this side had acknowledged when it sent it, which orders two Closes (capture order does not).
    """

    __slots__ = ("acked", "code", "end", "length", "lost", "offset", "packet", "reason", "side", "time")

    def __init__(
        self, side: int, payload: bytes | None, length: int, packet: int, time: int, offset: int, end: int, acked: int
    ) -> None:
        """`payload` None: some of its bytes were lost."""
        self.fill(side, payload, length, packet, time, offset, end, acked)

    def fill(
        self, side: int, payload: bytes | None, length: int, packet: int, time: int, offset: int, end: int, acked: int
    ) -> None:
        """Apart from making it, so that the kernel's numbers need not become objects in between."""
        acyclic.untrack(self)
        self.side = side
        self.code: int | None = None
        self.reason = b""
        self.length = length
        self.lost = payload is None
        self.packet = packet
        self.time = time
        self.offset = offset
        self.end = end
        self.acked = acked
        if payload is not None and len(payload) >= 2:
            self.code = payload[0] << 8 | payload[1]
            self.reason = payload[2:]

    @property
    def place(self) -> Place:
        return Place(self.packet, self.time, self.offset)


def code_of(close: CloseFrame | None) -> int | None:
    """The code of a Close, None if it has none or if there is no Close."""
    return None if close is None else close.code


class Party(Pings):
    """One endpoint: what it sent. Its Pings and Pongs are in kernel/pings.py."""

    __slots__ = ("close", "frames", "gaps", "inflation", "later_closes", "resyncs", "side", "skipped", "stream")

    def __init__(self, side: int, stream: Stream, frames: Scanner) -> None:
        self.fill(side, stream, frames)

    def fill(self, side: int, stream: Stream, frames: Scanner) -> None:
        self.clear()
        self.side = side
        self.stream = stream  # TCP: offsets, FIN, RST, acknowledgements, retransmissions... (kernel/streams.py)
        self.frames = frames  # frame counts, shapes, messages, UTF-8, mask keys (kernel/frames.py)
        self.close: CloseFrame | None = None  # the first Close frame it sent, and those that came after it
        self.later_closes: Sequence[CloseFrame] = ()
        self.gaps: Sequence[Gap] = ()  # in the stream that `frames` read: decrypted for wss
        self.inflation: Any = None  # session.Inflation, or None
        self.resyncs = 0  # times its frames were found again after a gap
        self.skipped = 0  # bytes that were skipped for that

    @property
    def closes(self) -> list[CloseFrame]:
        """The Close frames it sent, up to CLOSES of them."""
        return [] if self.close is None else [self.close, *self.later_closes]

    def take_close(self, payload: bytes | None, length: int, end: int, acked: int) -> None:
        """The frame at hand is a Close. `end`, `acked`: as in CloseFrame."""
        if self.close is None or len(self.later_closes) < CLOSES - 1:
            frames = self.frames
            close: CloseFrame = CloseFrame.__new__(CloseFrame)
            close.fill(self.side, payload, length, frames.frame_packet, frames.frame_time, frames.frame_offset, end, acked)
            if self.close is None:
                self.close = close
            else:
                self.later_closes = [*self.later_closes, close]

    def add_gap(self, gap: Gap) -> None:
        self.gaps = [*self.gaps, gap]

    def shapes(self) -> list[Shape]:
        """The frames it sent, folded by shape, in order of first appearance."""
        return [Shape(*row) for row in self.frames.shape_rows()]


def party_of(side: int, stream: Stream) -> Party:
    """Who sends this stream, of which no frame was seen yet."""
    frames = Scanner.__new__(Scanner)
    frames.fill(side, None)
    party = Party.__new__(Party)
    party.fill(side, stream, frames)
    return party


def introduce(client: Party, server: Party, listener: Any) -> None:
    """Tell both scanners who keeps their Pings and Pongs, and who is told of what else they cannot keep."""
    client.frames.pair(client, server)
    server.frames.pair(server, client)
    client.frames.listener = listener
    server.frames.listener = listener


def part(client: Party, server: Party) -> None:
    """Cut the rings of references between them, so that memory is freed at once."""
    client.frames.pair(None, None)
    server.frames.pair(None, None)
    client.frames.listener = None
    server.frames.listener = None
