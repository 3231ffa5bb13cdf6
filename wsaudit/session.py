"""The history of one WebSocket connection, and the only place that changes it.

The kernel counts (streams, frames), the pipeline tells (handshake, control frames, inflated messages, gaps, the end); rules and
termination read. Nothing here judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from wsaudit.guard import guarded
from wsaudit.heartbeats import application_beat
from wsaudit.kernel.frames import FrameLog, Scanner, header_size
from wsaudit.kernel.pings import Pings
from wsaudit.kernel.streams import GAPS_KEPT, Flow, Stream
from wsaudit.model import CLIENT, NO_HEARTBEAT, SERVER, SIDES, ApplicationBeat, CloseFrame, Heartbeat, Place

if TYPE_CHECKING:
    from wsaudit.http.upgrade import Handshake
    from wsaudit.options import Limits
    from wsaudit.tls.facts import TlsFacts
    from wsaudit.websocket.extensions import DeflateAgreement

CLOSE = 8
CLOSES = 4  # of one side that are kept


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


class InflateFault(NamedTuple):
    """What permessage-deflate messages of one side had in common: first place, count, one number of interest (bytes, bits,
    ratio)."""

    kind: str
    place: Place
    count: int  # type: ignore[assignment]
    value: int


class Inflation:
    """What inflating one side's messages showed; bytes are payload bytes after inflation."""

    __slots__ = ("bad_text", "bytes", "faults", "largest", "largest_time", "messages", "unverifiable", "wire_bytes")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.wire_bytes = 0
        self.largest = 0
        self.largest_time = 0  # of its last frame
        self.unverifiable = 0  # messages that could not be inflated because bytes before them were lost
        self.bad_text: tuple[Place, int] | None = None  # first text message whose inflated bytes are not UTF-8, and how many
        self.faults: dict[str, InflateFault] = {}

    def note(self, kind: str, place: Place, value: int = 0) -> None:
        known = self.faults.get(kind)
        if known is None:
            self.faults[kind] = InflateFault(kind, place, 1, value)
        else:
            self.faults[kind] = known._replace(count=known.count + 1, value=max(known.value, value))


class Party(Pings):
    """One endpoint: what it sent. Its Pings and Pongs are in kernel/pings.py."""

    __slots__ = ("closes", "frames", "gaps", "inflation", "resyncs", "side", "skipped", "stream")

    def __init__(self, side: int, stream: Stream, frames: Scanner) -> None:
        super().__init__()
        self.side = side
        self.stream = stream  # TCP: offsets, FIN, RST, acknowledgements, retransmissions... (kernel/streams.py)
        self.frames = frames  # frame counts, shapes, messages, UTF-8, mask keys (kernel/frames.py)
        self.closes: list[CloseFrame] = []
        self.gaps: list[Gap] = []  # in the stream that `frames` read: decrypted for wss
        self.inflation: Inflation | None = None
        self.resyncs = 0  # times its frames were found again after a gap
        self.skipped = 0  # bytes that were skipped for that

    @property
    def close(self) -> CloseFrame | None:
        """The first Close frame it sent."""
        return self.closes[0] if self.closes else None

    def shapes(self) -> list[Shape]:
        """The frames it sent, folded by shape, in order of first appearance."""
        return [Shape(*row) for row in self.frames.shape_rows()]

    def doubt(self, offset: int) -> str | None:
        """Why what was read at `offset` of this side is not certain, or None."""
        for gap in self.gaps:
            if gap.offset <= offset:
                size = "an unknown number of" if gap.length is None else f"{gap.length}"
                return f"{size} bytes before it were not captured ({gap.reason})"
        return None


class Session:
    """One connection from its first packet to its end."""

    __slots__ = (
        "_application",
        "answered_otherwise",
        "client",
        "coalesced",
        "deflate",
        "early_client_bytes",
        "early_place",
        "ended",
        "first_packet",
        "flow",
        "handshake",
        "http",
        "icmp",
        "in_tls",
        "inflaters",
        "last_packet",
        "log",
        "midstream",
        "notices",
        "ongoing",
        "parties",
        "server",
        "started",
        "tcp_end",
        "tls",
    )

    def __init__(self, flow: Flow, client: Stream, server: Stream) -> None:
        self.flow = flow
        self.handshake: Handshake | None = None
        self.http: str | None = None
        self.tls: TlsFacts | None = None
        self.answered_otherwise = False  # the answer to the upgrade request is not HTTP
        self.midstream = False  # the opening handshake was not captured
        self.ongoing = False  # the capture ended before the connection did
        self.client = Party(CLIENT, client, Scanner(CLIENT, self))
        self.server = Party(SERVER, server, Scanner(SERVER, self))
        self.parties = (self.client, self.server)
        self.client.frames.pair(self.client, self.server)
        self.server.frames.pair(self.server, self.client)
        self.deflate: DeflateAgreement | None = None
        self.inflaters: list[Inflaters | None] = [None, None]
        self.early_client_bytes = 0  # client bytes sent before the server's answer can have been read (RFC 6455 §4.1)
        self.early_place: Place | None = None
        self.coalesced: Place | None = None  # first server frame in the segment of the 101
        self.icmp: list[tuple[int, int, str]] = []  # time, packet, what it said
        self.notices: list[str] = []
        self.log: FrameLog | None = None  # every frame, for those who ask
        self.first_packet = 0
        self.last_packet = 0
        self.started = 0
        self.ended = 0
        self.tcp_end = [0, 0]  # wss: TCP offset behind the record being fed, by side
        self.in_tls = False
        self._application: ApplicationBeat | Literal[False] | None = False  # not looked for yet

    # -- what the frame scanner tells -------------------------------------------------------------

    @guarded
    def control(self, scanner: Scanner, opcode: int, payload: bytes | None, length: int) -> None:
        """A Close, or a control frame with a reserved opcode, is complete (RFC 6455 §5.5). `payload` None: some of its bytes
        were lost."""
        side = scanner.side
        party = self.parties[side]
        if opcode != CLOSE or len(party.closes) == CLOSES:
            return
        place = Place(scanner.frame_packet, scanner.frame_time, scanner.frame_offset)
        code = None
        reason = b""
        if payload and len(payload) >= 2:
            code = payload[0] << 8 | payload[1]
            reason = payload[2:]
        end = self.tcp_end[side] if self.in_tls else scanner.frame_offset + header_size(scanner.shape) + length
        acked = self.parties[1 - side].stream.acked
        party.closes.append(CloseFrame(side, code, reason, length, payload is None, place, end, acked))

    @guarded
    def compressed(self, scanner: Scanner, data: bytes, last: bool) -> None:
        """Unmasked payload of a message with RSV1."""
        inflaters = self.inflaters[scanner.side]
        if inflaters is not None:
            inflaters.take(scanner, data, last)

    @guarded
    def compressed_lost(self, scanner: Scanner) -> None:
        """Bytes of this side are missing: its inflate context is unusable until the sender starts afresh (RFC 7692 §7.1.1)."""
        inflaters = self.inflaters[scanner.side]
        if inflaters is not None:
            inflaters.lose()

    def crashed(self, error: Exception) -> None:
        """A bug in us: the pipeline ends this connection."""
        self.flow.owner.crashed(error)

    # -- what the pipeline asks -------------------------------------------------------------

    def idle_at(self, end: int) -> tuple[int | None, int | None, int | None, int | None]:
        """How long each clock had stood still at `end`: any byte, client's, server's, data frames of either. ns.

        None: there was nothing to measure from, or bytes came after `end` and took the place of those before it.
        """
        c, d = self.client.frames.last_data_time, self.server.frames.last_data_time
        if self.in_tls:  # the last records of TCP are TLS's own goodbye
            a, b = self.client.frames.last_time, self.server.frames.last_time
        else:
            a, b = self.client.stream.last_data_time, self.server.stream.last_data_time
        last, data = a if a > b else b, c if c > d else d
        return (
            end - last if 0 < last <= end else None,
            end - a if 0 < a <= end else None,
            end - b if 0 < b <= end else None,
            end - data if 0 < data <= end else None,
        )

    @property
    def application(self) -> ApplicationBeat | None:
        """The application's own heartbeat; for those who read the complete history."""
        if self._application is False:
            self._application = self._find_application()
        return self._application

    def _find_application(self) -> ApplicationBeat | None:
        a, b, handshake = self.client.frames, self.server.frames, self.handshake
        if a.beats is None and b.beats is None:
            return None
        once = (a.beats is None or a.beats.most() < 2) and (b.beats is None or b.beats.most() < 2)
        if once and (handshake is None or (handshake.subprotocol is None and "?" not in (handshake.target or ""))):
            return None  # what comes once is a beat only where the subprotocol or the query names its protocol
        rows, spoke = (a.beat_rows(), b.beat_rows()), (a.last_data_time, b.last_data_time)
        if handshake is None:
            return application_beat(rows, spoke, None, None)
        return application_beat(rows, spoke, handshake.subprotocol, handshake.target)

    def limits_hit(self, limits: Limits) -> list[str]:
        """What a limit kept out of the history of a connection."""
        said = []
        hits = self.flow.limit_hits
        if hits:
            said.append(
                f"{hits} times more than {limits.segment_buffer} bytes (limit segment_buffer) or 4096 segments "
                "waited for a lost one, which was given up"
            )
        for party in self.parties:
            name, frames, inflation = SIDES[party.side], party.frames, party.inflation
            if frames.shapes_dropped:
                said.append(f"{frames.shapes_dropped} frames of the {name} were not judged: too many kinds of frames")
            if party.stream.gap_count > GAPS_KEPT and not self.in_tls:
                said.append(f"{party.stream.gap_count - GAPS_KEPT} more gaps of the {name} are not listed")
            large = inflation.faults.get("over_limit") if inflation is not None else None
            if large is not None:
                said.append(
                    f"{large.count} messages of the {name} were inflated up to {limits.message} bytes only (limit message)"
                )
        if self.tls is not None and self.tls.why_not == "waiting-limit":
            said.append(
                f"more than {limits.tls_buffer} bytes (limit tls_buffer) of TLS records waited for a key: the rest is lost"
            )
        return said

    @property
    def rtts(self) -> list[int]:
        """Ping to Pong, of either side's Pings, in ns."""
        return self.client.rtts + self.server.rtts

    def let_go(self) -> None:
        """The history is told: cut the rings of references between its parts, so that memory is freed at once."""
        for party in self.parties:
            party.frames.listener = None
            party.frames.pair(None, None)

    def heartbeat(self) -> Heartbeat:
        """Pings, and the application's own beats, as the report tells them."""
        client, server = self.client, self.server
        if not client.pings and not server.pings:
            return NO_HEARTBEAT if self.application is None else Heartbeat(application=self.application)
        asker = client if client.pings >= server.pings else server
        p50 = p99 = None
        ordered = sorted(self.rtts)
        if ordered:
            p50 = ordered[(len(ordered) - 1) // 2]
            p99 = ordered[(len(ordered) * 99 + 99) // 100 - 1]
        interval = asker.interval_sum // asker.intervals if asker.intervals else None
        return Heartbeat(
            (client.pings, server.pings),
            (len(client.waiting) + client.overflow, len(server.waiting) + server.overflow),
            interval,
            p50,
            p99,
            (client.last_ping_time, server.last_ping_time),
            self.application,
        )


class Inflaters(Protocol):
    """The inflating of one side: the bridge between the frame scanner and `websocket.deflate` (set up by the pipeline)."""

    def take(self, scanner: Scanner, data: bytes, last: bool) -> None: ...

    def lose(self) -> None: ...
