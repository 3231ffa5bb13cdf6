"""The history of one WebSocket connection, and the only place that changes it.

The kernel counts (streams, frames), the pipeline tells (handshake, control frames, inflated messages, gaps, the end); rules and
termination read. Nothing here judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from wsaudit.guard import guarded
from wsaudit.heartbeats import application_beat
from wsaudit.http.upgrade import another_handshake
from wsaudit.kernel.endings import all_rtts, heartbeat_numbers, idle_at
from wsaudit.kernel.forms import values_between
from wsaudit.kernel.frames import FrameLog, Scanner, header_size
from wsaudit.kernel.packed import maybe
from wsaudit.kernel.party import Gap, Party, introduce, part
from wsaudit.kernel.streams import GAPS_KEPT, Flow
from wsaudit.model import NO_HEARTBEAT, SIDES, ApplicationBeat, Heartbeat, Place

if TYPE_CHECKING:
    from wsaudit.http.upgrade import Handshake
    from wsaudit.kernel.kinds import Opening
    from wsaudit.kernel.ordinary import Ordinary
    from wsaudit.options import Limits
    from wsaudit.tls.facts import TlsFacts
    from wsaudit.websocket.extensions import DeflateAgreement

CLOSE = 8


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


class Session:
    """One connection from its first packet to its end."""

    __slots__ = (
        "_application",
        "_handshake",
        "alike",
        "answered_otherwise",
        "client",
        "coalesced",
        "deflate",
        "early_client_bytes",
        "early_place",
        "ended",
        "first_packet",
        "flow",
        "http",
        "icmp",
        "in_tls",
        "inflaters",
        "last_packet",
        "like",
        "log",
        "midstream",
        "notices",
        "ongoing",
        "parties",
        "server",
        "started",
        "tcp_end",
        "tls",
        "usual",
    )

    def __init__(self, flow: Flow, client: Party, server: Party) -> None:
        self.flow = flow
        self.like: Opening | None = None  # the known kind of its opening handshake
        self.usual: Ordinary | None = None  # who followed it until its handshake was asked for (kernel/ordinary.py)
        self._handshake: Handshake | None = None
        self.http: str | None = None
        self.tls: TlsFacts | None = None
        self.answered_otherwise = False  # the answer to the upgrade request is not HTTP
        self.midstream = False  # the opening handshake was not captured
        self.ongoing = False  # the capture ended before the connection did
        self.client = client
        self.server = server
        self.parties = (client, server)
        introduce(client, server, self)
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
        self.alike: tuple[Opening, tuple[Any, ...]] | None = None  # the kind of its end, if it is the first (kernel/ordinary.py)
        self._application: ApplicationBeat | Literal[False] | None = False  # not looked for yet

    # -- what the frame scanner tells -------------------------------------------------------------

    @guarded
    def control(self, scanner: Scanner, opcode: int, payload: bytes | None, length: int) -> None:
        """A Close, or a control frame with a reserved opcode, is complete (RFC 6455 §5.5). `payload` None: some of its bytes
        were lost."""
        if opcode != CLOSE:
            return
        side = scanner.side
        end = self.tcp_end[side] if self.in_tls else scanner.frame_offset + header_size(scanner.shape) + length
        self.parties[side].take_close(payload, length, end, self.parties[1 - side].stream.acked)

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

    @property
    def handshake(self) -> Handshake | None:
        """The opening handshake. One that was like others before it is read when somebody asks."""
        if self.usual is not None:
            self._handshake = handshake_of(self.usual)
            self.usual = None
        return self._handshake

    @handshake.setter
    def handshake(self, handshake: Handshake | None) -> None:
        self._handshake = handshake

    @property
    def user_agent(self) -> str | None:
        if self.usual is not None:
            agent: str | None = self.usual.opening.row.user_agent
            return agent
        return None if self._handshake is None else self._handshake.user_agent

    def idle_at(self, end: int) -> tuple[int | None, int | None, int | None, int | None]:
        """How long each clock had stood still at `end`: any byte, client's, server's, data frames of either. ns.

        None: there was nothing to measure from, or bytes came after `end` and took the place of those before it.
        """
        any_byte, client, server, data = idle_at(self.client, self.server, self.in_tls, end)
        return maybe(any_byte), maybe(client), maybe(server), maybe(data)

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

    def end(self, ongoing: bool, limits: Limits) -> None:
        """Nothing more comes. `ongoing`: because the capture is over."""
        flow = self.flow
        if not self.in_tls:
            for party in self.parties:
                if party.stream.gaps:
                    party.gaps = sorted([*party.gaps, *(Gap(*gap) for gap in party.stream.gaps)], key=gap_offset)
        self.ongoing = ongoing
        self.notices += self.limits_hit(limits)
        flow.settle()
        self.ended = flow.last_time
        self.last_packet = flow.last_packet

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
        return all_rtts(self.client, self.server)

    def let_go(self) -> None:
        """The history is told: cut the rings of references between its parts, so that memory is freed at once."""
        part(self.client, self.server)

    def heartbeat(self) -> Heartbeat:
        """Pings, and the application's own beats, as the report tells them."""
        client, server = self.client, self.server
        if not client.pings and not server.pings:
            return NO_HEARTBEAT if self.application is None else Heartbeat(application=self.application)
        a, b, c, d, interval, p50, p99, e, f = heartbeat_numbers(client, server)
        return Heartbeat((a, b), (c, d), maybe(interval), maybe(p50), maybe(p99), (e, f), self.application)


def session_of(usual: Ordinary) -> Session:
    """The history of a connection that was opened like others before it (kernel/ordinary.py): nothing has to be parsed again."""
    flow, opening = usual.flow, usual.opening
    session = Session(flow, usual.client_party, usual.server_party)
    session.http = "1.1"
    session.started = flow.first_time
    session.first_packet = flow.first_packet
    session.like = opening
    session.usual = usual
    if usual.coalesced:
        session.coalesced = Place(usual.answer_packet, usual.answer_time, len(usual.answer))
    if usual.alike is not None:
        session.alike = opening, usual.alike
    return session


def handshake_of(usual: Ordinary) -> Handshake:
    opening = usual.opening
    like = opening.handshake
    asked = ("GET", usual.target(), "1.1", 0, "")  # the first of its kind may have asked in another way
    answered = ("GET", "", like.response.version, like.response.status, like.response.reason)
    request = like.request.another(usual.request, asked, usual.request_time, usual.request_packet, usual.request_end)
    answer = like.response.another(usual.answer, answered, usual.answer_time, usual.answer_packet, usual.answer_time)
    values = values_between(opening.literals, usual.answer, 0, len(usual.answer))
    assert values is not None  # as when it was found
    accept = values[opening.accept_turn].decode("ascii")
    return another_handshake(like, request, answer, usual.key.decode("ascii"), accept)


def gap_offset(gap: Gap) -> int:
    return gap.offset


class Inflaters(Protocol):
    """The inflating of one side: the bridge between the frame scanner and `websocket.deflate` (set up by framing.py)."""

    def take(self, scanner: Scanner, data: bytes, last: bool) -> None: ...

    def lose(self) -> None: ...
