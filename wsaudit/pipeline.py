"""One TCP connection: which layer comes next, and what it tells the session.

    segments ─▶ (TLS) ─▶ HTTP (opening.py) ─▶ frames (framing.py)
                  │                              ▲
                  └──(no handshake)─▶ midstream.py

The kernel owns one `Pipeline` per followed flow and calls it for handshakes, gaps and ends only; after the upgrade of a cleartext
connection the bytes go straight from the kernel's stream to its frame scanner. A decrypted stream takes the same way from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from wsaudit.framing import Framing
from wsaudit.guard import guarded
from wsaudit.http.head import Head, parse_head
from wsaudit.http.messages import looks_like_request, looks_like_response
from wsaudit.kernel.constants import DROP, FIRST, PYTHON, READER
from wsaudit.kernel.exchanges import Exchanges
from wsaudit.kernel.party import Gap, party_of
from wsaudit.kernel.sealed import Sealed, hello_sender
from wsaudit.kernel.streams import Flow, Stream
from wsaudit.midstream import HEADS_CUT, Found, FrameSearch
from wsaudit.model import CLIENT, SERVER, Place
from wsaudit.opening import HeadsCut, HeadsLost, Listener, Opened, OpeningHandshake, Outcome, Switched, usual_request
from wsaudit.options import Options
from wsaudit.session import Session, session_of
from wsaudit.websocket.resync import Chunk

if TYPE_CHECKING:
    from wsaudit.kernel.ordinary import Ordinary
    from wsaudit.tls.keylog import KeyStore
    from wsaudit.tls.tunnel import TlsTunnel

# What the pipeline is doing.
DETECT = "detect"
HTTP = "http"
OPEN = "open"  # frames
MIDSTREAM = "midstream"  # no handshake was captured: looking for frames
OVER = "over"

CUT_TLS = ("lost-records", "handshake-not-captured", "handshake-incomplete")  # what stays closed for want of bytes, not of keys


class Sink(Listener, Protocol):
    """Where a pipeline's results go: the audit that runs it."""

    options: Options

    def fresh_keys(self) -> KeyStore: ...
    def session_over(self, session: Session) -> None: ...
    def conclude(self) -> None: ...
    def closed_tls(self, flow: Flow, client: int, tunnel: TlsTunnel, ongoing: bool) -> None: ...
    def forget(self, flow: Flow) -> None: ...
    def internal_error(self, flow: Flow, error: Exception) -> None: ...
    def count_tls(self, why_not: str | None) -> None: ...
    def cut_flow(self, kept: int) -> None: ...


class Pipeline:
    """The layers of one flow. Directions are indexes 0 (`flow.a`) and 1 (`flow.b`); which one is the client turns out here, and
    with an index `i`, `i ^ client` is the side, CLIENT or SERVER."""

    __slots__ = (
        "blind",
        "client",
        "flow",
        "framing",
        "opening",
        "plain",
        "plain_offset",
        "search",
        "session",
        "sink",
        "state",
        "streams",
        "tunnel",
    )

    def __init__(self, flow: Flow, sink: Sink) -> None:
        self.sink = sink
        self.flow = flow
        self.streams: tuple[Stream, Stream] = (flow.a, flow.b)
        self.state = DETECT
        self.client = -1
        if flow.a.syn_seen and flow.b.syn_seen:  # one alone may be a SYN-ACK whose SYN was not captured
            self.client = 0 if flow.a.syn_packet < flow.b.syn_packet else 1
        self.session: Session | None = None
        self.tunnel: TlsTunnel | None = None
        self.plain_offset = [0, 0]  # of the decrypted streams
        self.plain: Exchanges | None = None  # while the kernel follows HTTP
        self.opening: OpeningHandshake | None = None  # from the first head that the kernel does not take until frames follow
        self.search: FrameSearch | None = None  # while it is MIDSTREAM
        self.framing: Framing | None = None  # while it is OPEN
        self.blind = -1  # bytes left of a segment that was cut, while it may have been a handshake; -1: nothing of the kind

    @guarded
    def take_over(self, usual: Ordinary | Exchanges | Sealed) -> None:
        """Go on with a flow that was like others until now (kernel/ordinary.py), or of no interest (kernel/foreign.py)."""
        if isinstance(usual, Exchanges):
            self.state = HTTP
            self.client = usual.client
            self.plain = usual
            return
        if isinstance(usual, Sealed):
            self.client = usual.client
            self.go_on_sealed(usual)
            return
        if usual.kind is None:
            if usual.request:  # the first part of a head
                self.data(self.streams[self.client], usual.request, 0, usual.request_time, usual.request_packet)
            return
        if usual.client_party is None:
            self.await_answer(parse_head(usual.request, 0, usual.request_time, usual.request_packet, usual.request_end))
            return
        self.session = session_of(usual)
        check_early = self.streams[self.client].mode == FIRST
        self.framing = Framing(self.session, self.sink.options, len(usual.answer), check_early)
        self.state = OPEN

    # -- what the kernel calls -------------------------------------------------------------

    @guarded
    def data(self, stream: Stream, data: bytes, offset: int, time: int, packet: int) -> None:
        """The next bytes of one side, in order."""
        i = 0 if stream is self.streams[0] else 1
        if self.tunnel is not None:
            self.take_back(i, stream)
            self.tls_events(i, self.tunnel.feed(i ^ self.client, data, offset, time, packet))
        else:
            if self.plain is not None:
                self.take_back_http(i, offset)
            self.bytes_in(i, data, offset, time, packet)
            if self.tunnel is None:
                self.set_mode(i, stream)

    def set_mode(self, i: int, stream: Stream) -> None:
        """Let the kernel take over what needs no Python of cleartext."""
        if self.framing is not None:
            self.framing.lend(i ^ self.client)
        elif self.state == HTTP and self.opening is not None and not self.lend_http():
            skip = self.opening.skip(i ^ self.client)
            if skip:
                stream.mode = DROP
                stream.skip = skip

    @guarded
    def gap(self, stream: Stream, offset: int, length: int, time: int, packet: int) -> None:
        """Bytes of one side were lost while Python reads them."""
        i = 0 if stream is self.streams[0] else 1
        if self.tunnel is not None:
            self.take_back(i, stream)
            self.tls_events(i, self.tunnel.gap(i ^ self.client, offset, length, time, packet))
        else:
            if self.plain is not None:
                self.take_back_http(i, offset)
            self.gap_in(i, offset, length, time, packet)

    @guarded
    def lost_step(self, stream: Stream, time: int, packet: int) -> None:
        """A gap hit a frame header of a side that the kernel scans."""
        if self.framing is not None:
            self.framing.lost_step(CLIENT if stream is self.streams[self.client] else SERVER)
        stream.mode = PYTHON

    @guarded
    def early_frames(self, size: int, offset: int, time: int, packet: int) -> None:
        """The client sent its first frames before it had acknowledged the whole answer: a FIRST stream tells."""
        if self.framing is not None:
            self.framing.note_early(size, offset, time, packet)

    @guarded
    def icmp(self, time: int, packet: int, words: str) -> None:
        """A router or host said something about this flow."""
        if self.session is not None and len(self.session.icmp) < 16:
            self.session.icmp.append((time, packet, words))

    @guarded
    def finish(self, flow: Flow, ongoing: bool) -> None:
        """The flow is over; `ongoing`: because the capture is."""
        tunnel = self.tunnel
        if tunnel is not None:
            for i, stream in enumerate(self.streams):
                self.take_back(i, stream)
            for event in tunnel.finish():
                self.tls_event(event)
            facts = tunnel.facts
            self.sink.count_tls(None if facts.decrypted else facts.why_not or facts.handshake_failed or "unknown")
            if facts.why_not in CUT_TLS and not facts.decrypted:
                self.blind = 0
        if self.search is not None:
            self.searched(self.search.settle())
        self.tell_blind()
        if self.plain is not None:
            self.plain.take_back()
            self.plain = None
        if self.state == HTTP and self.opening is not None:
            self.follow(self.opening.finish())
        if self.session is not None:
            self.close_session(ongoing)
        elif tunnel is not None:
            self.sink.closed_tls(flow, self.client, tunnel, ongoing)
        self.opening = None
        self.state = OVER

    def crashed(self, error: Exception) -> None:
        """A bug in us: this connection is given up, and nobody looks at its bytes any more."""
        if self.state == OVER:
            return
        self.state = OVER
        self.session = None
        self.tunnel = None
        self.opening = self.search = self.framing = None
        for stream in self.streams:
            stream.mode = DROP
            stream.skip = -1
        self.sink.internal_error(self.flow, error)

    # -- TLS -------------------------------------------------------------

    def start_tls(self, i: int, data: bytes, offset: int, time: int, packet: int) -> None:
        from wsaudit.tls.tunnel import TlsTunnel

        if self.client < 0:
            hello = len(data) > 5 and data[0] == 0x16
            self.client = hello_sender(data, i) if hello else self.guess_client()
        self.tunnel = TlsTunnel(self.sink.fresh_keys(), self.sink.options.limits)
        self.tls_events(i, self.tunnel.feed(i ^ self.client, data, offset, time, packet))

    def go_on_sealed(self, sealed: Sealed) -> None:
        from wsaudit.tls.tunnel import TlsTunnel

        tunnel = self.tunnel = TlsTunnel(self.sink.fresh_keys(), self.sink.options.limits)
        if sealed.closed_by >= 0:
            client = self.client
            tunnel.go_on_closed(sealed.closed_by, sealed.counts(), (self.streams[client].reader, self.streams[1 - client].reader))
        for chunk in sealed.chunks:
            tunnel.feed(*chunk)

    def tls_events(self, i: int, events: Any) -> None:
        for event in events:
            self.tls_event(event)
        self.lend(i, self.streams[i])

    def lend(self, i: int, stream: Stream) -> None:
        """Let the kernel take over what needs no Python of TLS."""
        tunnel, session = self.tunnel, self.session
        if tunnel is None:
            return
        side = i ^ self.client
        scanner = None
        ends: list[int] = []
        if session is not None and self.framing is not None and self.framing.in_step(side):
            scanner, ends = session.parties[side].frames, session.tcp_end
        stream.reader = tunnel.reader(side, stream.offset, scanner, ends)
        if stream.reader is not None:
            stream.mode = READER
        elif self.state == OVER:
            stream.mode = DROP
            stream.skip = -1

    def take_back(self, i: int, stream: Stream) -> None:
        """What comes next from a side of TLS needs Python."""
        reader = stream.reader
        if reader is None:
            return
        stream.reader = None
        stream.mode = PYTHON
        if reader.aead is not None and self.session is not None:
            self.plain_offset[i] = self.session.parties[i ^ self.client].frames.offset

    def tls_event(self, event: Any) -> None:
        """A piece of the decrypted stream: bytes or a gap. Above this point nothing can tell that there was TLS."""
        i = event.side ^ self.client
        offset = self.plain_offset[i]
        if hasattr(event, "data"):
            if not event.data:
                return
            self.plain_offset[i] = offset + len(event.data)
            if self.session is not None:
                self.session.tcp_end[event.side] = event.tcp_end
            self.bytes_in(i, event.data, offset, event.time, event.packet)
        else:
            length = event.length
            self.plain_offset[i] = offset + (length or 0)
            self.gap_in(i, offset, length, event.time, event.packet)

    # -- bytes of the cleartext or decrypted stream -------------------------------------------------------------

    def bytes_in(self, i: int, data: bytes, offset: int, time: int, packet: int) -> None:
        if self.framing is not None:
            self.framing.feed(i ^ self.client, data, offset, time, packet)
        elif self.state == HTTP and self.opening is not None:
            outcome = self.opening.feed(i ^ self.client, data, offset, time, packet)
            self.follow(outcome)
            if isinstance(outcome, HeadsCut):
                self.bytes_in(i, data, offset, time, packet)
        elif self.state == DETECT:
            self.detect(i, data, offset, time, packet)
        elif self.search is not None:
            self.searched(self.search.feed(i, Chunk(data, offset, time, packet)))

    def gap_in(self, i: int, offset: int, length: int | None, time: int, packet: int) -> None:
        session = self.session
        if session is not None and self.tunnel is not None:  # of cleartext the kernel keeps the list
            session.parties[i ^ self.client].add_gap(Gap(offset, length, time, packet, "never captured"))
        if self.framing is not None:
            self.framing.gap(i ^ self.client, length)
        elif self.state == HTTP and self.opening is not None:
            outcome = self.opening.gap(i ^ self.client, length)
            self.blind = max(self.blind, self.opening.kept)
            self.follow(outcome)
        elif self.search is not None:
            self.blind = max(self.blind, self.search.kept(i))
            self.searched(self.search.gap(i, length))

    def detect(self, i: int, data: bytes, offset: int, time: int, packet: int) -> None:
        """The first bytes of a flow: what is it?"""
        if i == self.client:
            head = usual_request(data, offset, time, packet, self.sink.options.limits.head)
            if head is not None:
                self.sink.count_requests(1)
                self.await_answer(head)
                return
        if self.client in (-1, i) and self.tunnel is None and self.plain_request(i, data, time, packet):
            return
        if looks_like_request(data) or looks_like_response(data):
            self.state = HTTP
            if self.client < 0:
                self.client = i if looks_like_request(data) and not looks_like_response(data) else 1 - i
            self.opening = self.new_opening()
            self.bytes_in(i, data, offset, time, packet)
        elif self.tunnel is None and data[0] in (0x14, 0x15, 0x16, 0x17) and data[1:2] in (b"\x03", b""):
            self.start_tls(i, data, offset, time, packet)
        elif self.sink.options.midstream and (offset > 0 or not self.streams[i].syn_seen):  # its first bytes were not captured
            self.state = MIDSTREAM
            self.search = FrameSearch(self.sink.options.limits.resync)
            self.bytes_in(i, data, offset, time, packet)
        elif data.strip(b"\r\n") == b"":
            return
        else:
            self.give_up()

    def guess_client(self) -> int:
        """Nothing but addresses and ports tells: those that the user named as clients', then the server's port, which is
        usually the lower one."""
        flow = self.flow
        nets = self.sink.options.client_nets
        if nets:
            inside = [in_networks(address, nets) for address in (flow.address_a, flow.address_b)]
            if inside[0] != inside[1]:
                return 0 if inside[0] else 1
        return 0 if flow.port_a > flow.port_b else 1

    def give_up(self) -> None:
        self.state = OVER
        self.opening = self.search = None
        self.tell_blind()
        if self.tunnel is None:
            self.sink.forget(self.flow)

    def tell_blind(self) -> None:
        """Nothing came of this flow. Is that because the capture cut its packets?"""
        blind, self.blind = self.blind, -1
        if blind >= 0 and self.session is None and (self.streams[0].truncated or self.streams[1].truncated):
            self.sink.cut_flow(blind)

    # -- HTTP -------------------------------------------------------------

    def new_opening(self) -> OpeningHandshake:
        return OpeningHandshake(self.flow, self.client, self.sink, self.sink.options.limits.head, self.begin_session)

    def await_answer(self, request: Head) -> None:
        """An upgrade request is all there is so far."""
        self.state = HTTP
        opening = self.opening = self.new_opening()
        opening.begin_with(request, self.new_session(request))

    def plain_request(self, i: int, data: bytes, time: int, packet: int) -> bool:
        """A chunk that is one whole request without an upgrade: the kernel takes it from here."""
        plain = Exchanges(self.flow, i, self.sink, self.sink.options.limits.head)
        if not plain.lend_with(data, time, packet):
            return False
        self.state = HTTP
        self.client = i
        self.plain = plain
        return True

    def lend_http(self) -> bool:
        """Let the kernel go on where nothing is open, neither an upgrade nor another request."""
        client, server = self.streams[self.client], self.streams[1 - self.client]
        rests = None if self.opening is None else self.opening.rests((client.offset, server.offset))
        if rests is None:
            return False
        self.plain = Exchanges(self.flow, self.client, self.sink, self.sink.options.limits.head)
        self.plain.lend_between(rests)
        return True

    def take_back_http(self, i: int, offset: int) -> None:
        """What comes next, at `offset` of side `i`, needs Python."""
        plain, self.plain = self.plain, None
        if plain is None:
            return
        asked, rests = plain.take_back()
        if self.opening is None:
            self.opening = self.new_opening()
        other = self.streams[1 - i]
        from_client = i == self.client
        self.opening.go_on(asked, (offset, other.offset) if from_client else (other.offset, offset), rests)
        rest = rests[SERVER if from_client else CLIENT]
        if rest:
            other.mode = DROP
            other.skip = rest

    def follow(self, outcome: Outcome | None) -> None:
        """HTTP is over, if there is an outcome: what comes next?"""
        if outcome is None:
            return
        self.opening = None
        if isinstance(outcome, Opened):
            self.open_frames(outcome)
        elif isinstance(outcome, HeadsCut):
            self.open_midstream(HEADS_CUT, (True, True))
            self.lend_frames()
        elif isinstance(outcome, HeadsLost):
            self.state = MIDSTREAM
            self.search = FrameSearch(self.sink.options.limits.resync, self.client)
        else:
            self.leave(outcome)

    def leave(self, switched: Switched) -> None:
        """What follows are no frames. A request that asked for a WebSocket has failed; another is none of ours."""
        if not switched.failed:
            self.session = None
            self.give_up()
            return
        self.state = OVER
        if self.tunnel is None:
            for stream in self.streams:
                stream.mode = DROP
                stream.skip = -1

    # -- frames -------------------------------------------------------------

    def open_frames(self, opened: Opened) -> None:
        """Frames follow the handshake: first those that came before it was read."""
        session = self.session
        if session is None:
            return
        self.state = OPEN
        c = self.client
        framing = self.framing = Framing(session, self.sink.options, opened.answer_end, opened.check_early)
        offsets = []
        for side, i in ((CLIENT, c), (SERVER, 1 - c)):
            stream = self.streams[i]
            known = opened.offsets[side]
            offsets.append(known if known is not None else stream.offset if self.tunnel is None else self.plain_offset[i])
            if self.tunnel is None:
                stream.mode = PYTHON
        framing.begin(opened.handshake, offsets)
        for side, expected in enumerate(opened.searched):
            if expected is not None:
                framing.search(side, expected)
        for chunk in opened.held:
            framing.feed(CLIENT, *chunk)
        if opened.held_lost:
            flow, length = self.flow, opened.held_lost
            self.gap_in(c, opened.held_end - length, length, flow.last_time, flow.last_packet)
            session.notices.append(f"{length} bytes of the client, sent before the answer to its request, were not read")
        if opened.rest is not None:
            data, offset, time, packet = opened.rest
            session.coalesced = Place(packet, time, offset)
            framing.feed(SERVER, data, offset, time, packet)
        self.lend_frames()

    def open_midstream(self, why: str, expected: tuple[bool, bool]) -> Framing:
        """A connection whose opening handshake cannot be read: the frames of both sides are to be looked for."""
        session = self.begin()
        session.midstream = True
        self.state = OPEN
        framing = self.framing = Framing(session, self.sink.options)
        framing.begin_midstream(why, expected)
        return framing

    def searched(self, found: Found | None) -> None:
        """Frames were looked for on a flow without a handshake."""
        if found is None:
            if self.search is not None and self.search.hopeless:
                self.give_up()
            return
        self.search = None
        self.client = found.client
        side = found.side ^ found.client
        peer = 1 - side
        framing = self.open_midstream(found.why, (found.peer_expected, found.peer_expected))
        framing.resume(side, *found.frames)
        if found.peer_frames is not None:
            framing.resume(peer, *found.peer_frames)
        for chunk in found.peer_waiting:
            framing.feed(peer, *chunk)
        self.lend_frames()
        for chunk in found.rest:
            framing.feed(side, *chunk)

    def lend_frames(self) -> None:
        """Let the kernel scan what is in step of cleartext."""
        if self.tunnel is None:
            for i, stream in enumerate(self.streams):
                self.set_mode(i, stream)

    # -- the session -------------------------------------------------------------

    def begin_session(self, head: Head) -> Session:
        """Another upgrade request on the same flow: the one before has failed."""
        if self.session is not None:
            self.close_session(False)
            self.sink.conclude()  # before its flow goes on
        return self.new_session(head)

    def new_session(self, head: Head) -> Session:
        session = self.begin()
        session.http = "1.1"
        if head.offset > 0:  # requests before it on the same connection
            session.started = head.time
            session.first_packet = head.packet
        return session

    def begin(self) -> Session:
        flow = self.flow
        self.blind = -1
        client, server = self.streams[self.client], self.streams[1 - self.client]
        session = self.session = Session(flow, party_of(CLIENT, client), party_of(SERVER, server))
        session.started = flow.first_time
        session.first_packet = flow.first_packet
        if self.tunnel is not None:
            session.tls = self.tunnel.facts
            session.in_tls = True
        return session

    def close_session(self, ongoing: bool) -> None:
        session = self.session
        if session is None:
            return
        self.session = None
        if session.handshake is None and self.opening is not None:
            session.handshake = self.opening.unanswered()
        if self.framing is not None:
            self.framing.finish()
            self.framing = None
        session.end(ongoing, self.sink.options.limits)
        self.sink.session_over(session)


def in_networks(address: bytes, networks: tuple[str, ...]) -> bool:
    from ipaddress import ip_address, ip_network

    found = ip_address(address)
    return any(found in ip_network(network, strict=False) for network in networks)
