"""One TCP connection: which layer comes next, and what it tells the session.

    segments ─▶ (TLS) ─▶ HTTP ─▶ upgrade ─▶ frames

The kernel owns one `Pipeline` per followed flow and calls it for handshakes, gaps and ends only; after the upgrade of a cleartext
connection the bytes go straight from the kernel's stream to its frame scanner. A decrypted stream takes the same way from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from wsaudit.guard import guarded
from wsaudit.http.head import Head, parse_head, recognise_head
from wsaudit.http.messages import Event, HttpSide, looks_like_request, looks_like_response
from wsaudit.http.upgrade import (
    Handshake,
    asks_for_websocket,
    build_handshake,
    is_upgrade_request,
    is_upgrade_response,
    switches_to_other,
)
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.constants import DROP, FIRST, FRAMES, PYTHON, READER
from wsaudit.kernel.exchanges import Exchanges, HttpReader
from wsaudit.kernel.frames import Scanner
from wsaudit.kernel.party import Gap, Party
from wsaudit.kernel.streams import Flow, Stream
from wsaudit.model import CLIENT, SERVER, Place
from wsaudit.options import Options
from wsaudit.session import Session
from wsaudit.websocket.resync import Chunk, Cut, Resync, frames_begin, masked, masked_frame

if TYPE_CHECKING:
    from wsaudit.kernel.ordinary import Ordinary
    from wsaudit.tls.facts import TlsFacts
    from wsaudit.tls.keylog import KeyStore
    from wsaudit.tls.tunnel import TlsTunnel

# What the pipeline is doing.
DETECT = "detect"
HTTP = "http"
OPEN = "open"  # frames
MIDSTREAM = "midstream"  # no handshake was captured: looking for frames
TLS_OPAQUE = "opaque"  # TLS that cannot be opened
OVER = "over"

EARLY = 16  # chunks of client bytes before the answer whose acknowledgements are remembered
MIDSTREAM_CHUNKS = 64  # segments looked at before a flow without handshake is given up
HEADS_CUT = "the capture cut the opening handshake"
CUT_TLS = ("lost-records", "handshake-not-captured", "handshake-incomplete")  # what stays closed for want of bytes, not of keys


Sent = tuple[bytes, int, int]  # a head, its time and packet


class Sink(Protocol):
    """Where a pipeline's results go: the audit that runs it."""

    options: Options

    def fresh_keys(self) -> KeyStore: ...
    def session_over(self, session: Session) -> None: ...
    def accepted(self, session: Session) -> None: ...
    def closed_tls(self, flow: Flow, client: int, tunnel: TlsTunnel, ongoing: bool) -> None: ...
    def forget(self, flow: Flow) -> None: ...
    def internal_error(self, flow: Flow, error: Exception) -> None: ...
    def count_requests(self, number: int) -> None: ...
    def count_tls(self, facts: TlsFacts) -> None: ...
    def plain_get(self, flow: Flow, client: int, request: Sent, status: int, time: int, packet: int) -> None: ...
    def limit_hit(self, packet: int, text: str) -> None: ...
    def cut_flow(self, kept: int) -> None: ...


class Pipeline:
    """The layers of one flow. Directions are indexes 0 (`flow.a`) and 1 (`flow.b`); which one is the client turns out here."""

    __slots__ = (
        "blind",
        "check_early",
        "chunks_seen",
        "client",
        "early",
        "exchanges",
        "flow",
        "http",
        "informational",
        "pending",
        "plain",
        "plain_offset",
        "request",
        "response_end",
        "resync",
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
        self.http: list[HttpSide | None] = [None, None]
        self.pending: list[bool] | None = None  # requests without a final answer yet: is it an upgrade?
        self.informational: list[int] | None = None
        self.request: Head | None = None  # the upgrade request that waits
        self.early: list[tuple[int, int, Place]] = []  # client bytes before the answer: size, what it had acknowledged, place
        self.session: Session | None = None
        self.resync: list[Resync | None] = [None, None]
        self.chunks_seen = 0
        self.blind = -1  # bytes left of a segment that was cut, while it may have been a handshake; -1: nothing of the kind
        self.tunnel: TlsTunnel | None = None
        self.plain_offset = [0, 0]
        self.check_early = False
        self.response_end = 0
        self.plain: Sent | None = None  # a GET that asks for no upgrade and waits for its answer
        self.exchanges: Exchanges | None = None  # what the kernel follows of HTTP

    @guarded
    def take_over(self, usual: Ordinary) -> None:
        """Go on with a flow that was like others until now (kernel/ordinary.py)."""
        if usual.kind is None:
            return
        self.state = HTTP
        self.pending = [True]
        head = self.request = parse_head(usual.request, 0, usual.request_time, usual.request_packet)
        parties = None if usual.client_party is None else (usual.client_party, usual.server_party)
        session = self.new_session(head, parties)
        if parties is None:
            return
        answer = parse_head(usual.answer, 0, usual.answer_time, usual.answer_packet)
        answer.method = head.method
        session.handshake = build_handshake(head, answer)
        if usual.coalesced:
            session.coalesced = Place(answer.packet, answer.time, answer.end)
        if usual.alike is not None:
            session.alike = usual.opening, usual.alike
        self.request = None
        self.pending = []
        self.response_end = len(answer.raw)
        self.check_early = self.streams[self.client].mode == FIRST
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
            if self.exchanges is not None:
                self.take_back_http(i, offset)
            self.bytes_in(i, data, offset, time, packet)
            if self.tunnel is None:
                self.set_mode(i, stream)

    def set_mode(self, i: int, stream: Stream) -> None:
        """Let the kernel take over what needs no Python."""
        if self.state == OPEN:
            if self.resync[i] is None:
                stream.mode = FIRST if self.check_early and i == self.client else FRAMES
                stream.answer_end = self.response_end
        elif self.state == HTTP and self.exchanges is None and not self.lend_http():
            http = self.http[i]
            if http is not None and http.skip:
                stream.mode = DROP
                stream.skip = http.skip

    @guarded
    def gap(self, stream: Stream, offset: int, length: int, time: int, packet: int) -> None:
        """Bytes of one side were lost while Python reads them."""
        i = 0 if stream is self.streams[0] else 1
        if self.tunnel is not None:
            self.take_back(i, stream)
            self.tls_events(i, self.tunnel.gap(i ^ self.client, offset, length, time, packet))
        else:
            if self.exchanges is not None:
                self.take_back_http(i, offset)
            self.gap_in(i, offset, length, time, packet)

    @guarded
    def lost_step(self, stream: Stream, time: int, packet: int) -> None:
        """A gap hit a frame header of a side that the kernel scans."""
        i = 0 if stream is self.streams[0] else 1
        self.resync[i] = Resync(i == self.client, self.sink.options.limits.resync)
        if stream.mode == FRAMES and i == self.client:
            self.check_early = False
        stream.mode = PYTHON

    @guarded
    def early_frames(self, size: int, offset: int, time: int, packet: int) -> None:
        """The client sent its first frames before it had acknowledged the whole answer: a FIRST stream tells."""
        session = self.session
        if session is not None:
            session.early_client_bytes += size
            session.early_place = Place(packet, time, offset)

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
            self.sink.count_tls(tunnel.facts)
            if tunnel.facts.why_not in CUT_TLS and not tunnel.facts.decrypted:
                self.blind = 0
        if self.state == MIDSTREAM:
            self.settle()
        self.tell_blind()
        self.end_exchanges()
        if self.state == HTTP and self.request is not None and self.early and not self.streams[1 - self.client].fin_taken:
            self.assume_accepted()  # a FIN in its place says that nothing of the answer is missing
        if self.session is not None:
            self.close_session(ongoing)
        elif tunnel is not None:
            self.sink.closed_tls(flow, self.client, tunnel, ongoing)
        self.state = OVER

    def crashed(self, error: Exception) -> None:
        """A bug in us: this connection is given up, and nobody looks at its bytes any more."""
        if self.state == OVER:
            return
        self.state = OVER
        self.session = None
        self.tunnel = None
        for stream in self.streams:
            stream.mode = DROP
            stream.skip = -1
        self.sink.internal_error(self.flow, error)

    # -- TLS -------------------------------------------------------------

    def start_tls(self, i: int, data: bytes, offset: int, time: int, packet: int) -> None:
        from wsaudit.tls.tunnel import TlsTunnel

        if self.client < 0:
            hello = len(data) > 5 and data[0] == 0x16
            if hello:
                self.client = i if data[5] == 1 else 1 - i
            else:
                self.client = self.guess_client()
        self.tunnel = TlsTunnel(self.sink.fresh_keys(), self.sink.options.limits)
        self.tls_events(i, self.tunnel.feed(i ^ self.client, data, offset, time, packet))

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
        if session is not None and self.state == OPEN and self.resync[i] is None:
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
        if self.state == OPEN:
            self.frames_in(i, data, offset, time, packet)
        elif self.state == HTTP:
            self.http_in(i, data, offset, time, packet)
        elif self.state == DETECT:
            self.detect(i, data, offset, time, packet)
        elif self.state == MIDSTREAM:
            self.midstream_in(i, Chunk(data, offset, time, packet))

    def gap_in(self, i: int, offset: int, length: int | None, time: int, packet: int) -> None:
        session = self.session
        if session is not None and self.tunnel is not None:  # of cleartext the kernel keeps the list
            session.parties[i ^ self.client].gaps.append(Gap(offset, length, time, packet, "never captured"))
        if self.state == OPEN:
            self.frames_lost(i, length)
        elif self.state == HTTP:
            http = self.http_side(i)
            if self.request is not None and i != self.client and http is not None and http.refusal:
                self.refuse_cut(self.request, http.refusal)
            elif self.request is not None and i != self.client:
                self.assume_accepted(cut=http is not None and http.switching)
            elif self.heads_cut():
                self.open_cut()
            elif http is not None and self.session is None and (i == self.client or self.request_lost()):
                if http.partial:
                    self.blind = max(self.blind, http.partial)
                if i != self.client and http.may_switch:
                    self.search_cut()
            if self.state == HTTP and http is not None:
                if length is None:
                    http.gap(1)
                else:
                    http.gap(length)
        elif self.state == MIDSTREAM:
            resync = self.resync[i]
            if resync is not None:
                kept = len(resync.chunks[-1].data) if resync.chunks else 0
                self.blind = max(self.blind, kept)
                pieces = resync.gap(length)
                if pieces is not None:
                    self.midstream_found(i, resync, pieces)

    def detect(self, i: int, data: bytes, offset: int, time: int, packet: int) -> None:
        """The first bytes of a flow: what is it?"""
        if i == self.client and self.usual_request(data, offset, time, packet):
            return
        if self.client in (-1, i) and self.tunnel is None and self.plain_request(i, data, time, packet):
            return
        if looks_like_request(data) or looks_like_response(data):
            self.state = HTTP
            self.http_in(i, data, offset, time, packet)
        elif self.tunnel is None and data[0] in (0x14, 0x15, 0x16, 0x17) and data[1:2] in (b"\x03", b""):
            self.start_tls(i, data, offset, time, packet)
        elif self.sink.options.midstream and (offset > 0 or not self.streams[i].syn_seen):  # its first bytes were not captured
            self.state = MIDSTREAM
            self.midstream_in(i, Chunk(data, offset, time, packet))
        elif data.strip(b"\r\n") == b"":
            return
        else:
            self.give_up()

    def give_up(self) -> None:
        self.state = OVER
        self.tell_blind()
        if self.tunnel is None:
            self.sink.forget(self.flow)

    def tell_blind(self) -> None:
        """Nothing came of this flow. Is that because the capture cut its packets?"""
        blind, self.blind = self.blind, -1
        if blind >= 0 and self.session is None and (self.streams[0].truncated or self.streams[1].truncated):
            self.sink.cut_flow(blind)

    # -- HTTP -------------------------------------------------------------

    def usual_request(self, data: bytes, offset: int, time: int, packet: int) -> bool:
        """A chunk that is one whole upgrade request like many before it: there is nothing to follow byte by byte."""
        head = recognise_head(data, offset, time, packet, self.sink.options.limits.head)
        if head is None or len(head.raw) != len(data) or not is_upgrade_request(head):
            return False
        self.state = HTTP
        self.sink.count_requests(1)
        self.pending = [True]
        self.request = head
        self.new_session(head)
        return True

    def usual_response(self, i: int, data: bytes, offset: int, time: int, packet: int) -> bool:
        """A chunk that begins with a whole 101 like many before it, and answers such a request."""
        head = None if i == self.client else recognise_head(data, offset, time, packet, self.sink.options.limits.head)
        if head is None or self.request is None or head.status != 101:
            return False
        head.method = self.request.method
        self.response_in(i, head, (data[len(head.raw) :], head.end, time, packet))
        return True

    # -- exchanges that have nothing to do with WebSockets -------------------------------------------------------------

    def plain_request(self, i: int, data: bytes, time: int, packet: int) -> bool:
        """A chunk that is one whole request without an upgrade: the kernel takes it from here."""
        exchanges = Exchanges(self, self.sink.options.limits.head)
        requests = HttpReader(exchanges, False, 0)
        if requests.feed(Buffer(data), 0, len(data), time, packet) < len(data):
            return False
        self.state = HTTP
        self.client = i
        self.lend_exchanges(exchanges, requests, HttpReader(exchanges, True, 0))
        return True

    def lend_exchanges(self, exchanges: Exchanges, requests: HttpReader, answers: HttpReader) -> None:
        self.exchanges = exchanges
        for i, reader in ((self.client, requests), (1 - self.client, answers)):
            self.streams[i].reader = reader
            self.streams[i].mode = READER

    def lend_http(self) -> bool:
        """Let the kernel go on where nothing is open, neither an upgrade nor another request."""
        if self.session is not None or self.pending or self.plain is not None:
            return False
        rests = []
        for i in (self.client, 1 - self.client):
            http = self.http_side(i)
            rest = None if http is None else http.rest(self.streams[i].offset)
            if rest is None:
                return False
            rests.append(rest)
        exchanges = Exchanges(self, self.sink.options.limits.head)
        self.lend_exchanges(exchanges, HttpReader(exchanges, False, rests[CLIENT]), HttpReader(exchanges, True, rests[SERVER]))
        return True

    def take_back_http(self, i: int, offset: int) -> None:
        """What comes next, at `offset` of side `i`, needs Python."""
        offsets = [stream.offset for stream in self.streams]
        offsets[i] = offset
        asked, rests = self.end_exchanges()
        for j, stream in enumerate(self.streams):
            http = self.http_side(j)
            if http is None:
                continue
            http.go_on(offsets[j], rests[j])
            if rests[j] and j != i:
                stream.mode = DROP
                stream.skip = rests[j]
            if j != self.client and asked is not None:
                method = asked[0].partition(b" ")[0]
                http.expect(method.decode("ascii"))
                self.pending = [False]
                self.plain = asked if method == b"GET" else None

    def end_exchanges(self) -> tuple[Sent | None, list[int]]:
        """The request that waits, and the bytes of each side up to its next message."""
        exchanges, self.exchanges = self.exchanges, None
        if exchanges is None:
            return None, [0, 0]
        self.sink.count_requests(exchanges.requests)
        rests = []
        for stream in self.streams:
            rests.append(stream.reader.skip)
            stream.reader = None
            stream.mode = PYTHON
        return (exchanges.asked, exchanges.time, exchanges.packet) if exchanges.asked else None, rests

    @guarded
    def answered(self, status: int, time: int, packet: int) -> None:
        """The kernel saw the answer to a GET."""
        exchanges = self.exchanges
        if exchanges is not None:
            asked = exchanges.asked, exchanges.time, exchanges.packet
            self.sink.plain_get(self.flow, self.client, asked, status, time, packet)

    def http_side(self, i: int) -> HttpSide | None:
        http = self.http[i]
        if http is None and self.client >= 0:
            http = self.http[i] = HttpSide(i ^ self.client, self.sink.options.limits.head)
            if self.request is not None:  # taken at a glance (`usual_request`), by nobody's HttpSide
                if i == self.client:
                    http.stop_behind(self.request)
                else:
                    http.expect(self.request.method)
        return http

    def http_in(self, i: int, data: bytes, offset: int, time: int, packet: int) -> None:
        if self.request is not None and self.http[i] is None and self.usual_response(i, data, offset, time, packet):
            return
        http = self.http_side(i)
        if http is None:
            self.client = i if looks_like_request(data) and not looks_like_response(data) else 1 - i
            http = self.http[i] = HttpSide(i ^ self.client, self.sink.options.limits.head)
        if i == self.client and http.lost and self.heads_cut():
            self.open_cut()
            self.frames_in(i, data, offset, time, packet)
            return
        events = http.feed(data, offset, time, packet)
        if http.stopped and i == self.client and self.request is not None and not events:
            self.note_held(data, offset, time, packet)
        self.heads(i, http, events)

    def heads(self, i: int, http: HttpSide, events: list[Event]) -> None:
        for event in events:
            if not isinstance(event, Head):
                if event.name == "head-too-large":
                    self.sink.limit_hit(
                        event.packet, f"an HTTP head of more than {http.max_head} bytes (limit head) was not read"
                    )
                elif event.name == "not-http" and self.request is not None and i != self.client and self.session is not None:
                    self.session.answered_otherwise = True
                    self.session.notices.append("the server answered the upgrade request with bytes that are not HTTP")
                continue
            if event.kind == "request":
                self.request_in(i, event, http)
            else:
                self.response_in(i, event, http.leftover())
            if self.state != HTTP:
                return

    def request_in(self, i: int, head: Head, http: HttpSide) -> None:
        if i != self.client:
            return
        self.sink.count_requests(1)
        answers = self.http_side(1 - i)
        if answers is not None:
            answers.expect(head.method)
        upgrade = is_upgrade_request(head)
        if not upgrade and self.plain is None and head.method == "GET" and self.session is None:
            self.plain = head.raw, head.time, head.packet
        if self.pending is None:
            self.pending = [upgrade]
        elif len(self.pending) < 1000:
            self.pending.append(upgrade)
        if not upgrade:
            return
        if self.session is not None:
            self.close_session(False)
        self.request = head
        self.informational = None
        self.early = []
        self.new_session(head)
        rest, offset, time, packet = http.leftover()
        if rest:
            self.note_held(rest, offset, time, packet)

    def response_in(self, i: int, head: Head, rest: tuple[bytes, int, int, int]) -> None:
        """`rest`: the bytes behind the head, if HTTP ends with it."""
        if i == self.client:
            return
        if 100 <= head.status < 200 and head.status != 101:
            if self.informational is None:
                self.informational = []
            if len(self.informational) < 100:
                self.informational.append(head.status)
            return
        upgrade = self.pending.pop(0) if self.pending else is_upgrade_response(head)
        if not upgrade:
            if self.plain is not None:
                self.sink.plain_get(self.flow, self.client, self.plain, head.status, head.time, head.packet)
                self.plain = None
            return
        request = self.request
        session = self.session
        if session is None:  # the request was not captured
            session = self.new_session(head)
        session.handshake = build_handshake(request, head, tuple(self.informational or ()))
        client = self.http_side(self.client) if head.status != 101 else self.http[self.client]
        self.request = None
        if head.status != 101:
            if client is not None and client.stopped:
                self.heads(self.client, client, client.resume())
            return
        if "wrong-upgrade" in session.handshake.defects and switches_to_other(request, head):
            self.leave(request)
            return
        if self.tunnel is None and not self.informational and session.first_packet == self.flow.first_packet:
            self.sink.accepted(session)
        self.response_end = head.offset + len(head.raw)
        self.check_early = self.tunnel is None and request is not None  # or the request itself may come next
        for size, acked, place in self.early:
            if self.tunnel is None and acked < self.response_end:
                self.check_early = False
                session.early_client_bytes += size
                session.early_place = session.early_place or place
        held = client.held if client is not None else []
        self.open_frames(session, session.handshake)
        if request is None:
            self.search(self.client, expected=True)
        elif held:
            session.client.frames.offset = held[0][1]
        self.take_held(client)
        session.server.frames.offset = self.response_end
        if rest[0]:
            data, offset, time, packet = rest
            session.coalesced = Place(packet, time, offset)
            self.frames_in(i, data, offset, time, packet)
        if self.tunnel is None:
            self.set_mode(self.client, self.streams[self.client])

    def leave(self, request: Head | None) -> None:
        """The 101 switched to another protocol: what follows are no frames. A request that asked for a WebSocket has failed; one
        that asked for the other protocol is none of ours, whatever fields it had."""
        if request is not None and asks_for_websocket(request):
            self.state = OVER
            if self.tunnel is None:
                for stream in self.streams:
                    stream.mode = DROP
                    stream.skip = -1
            return
        self.session = None
        self.give_up()

    def refuse_cut(self, request: Head, status: int) -> None:
        """Of the answer no more than its status was captured, and that is none of an acceptance."""
        session, client = self.session, self.http_side(self.client)
        if session is None:
            return
        if self.pending:
            self.pending.pop(0)
        session.handshake = build_handshake(request, None, tuple(self.informational or ()))
        session.handshake.outcome, session.handshake.status = "refused", status
        self.request = None
        if client is not None and client.stopped:
            self.heads(self.client, client, client.resume())

    def take_held(self, client: HttpSide | None) -> None:
        """The client's bytes behind its request are frames; what was not kept of them, or lost, is a gap."""
        if client is None:
            return
        for chunk in client.held:
            self.frames_in(self.client, *chunk)
        if client.held_lost:
            flow, length = self.flow, client.held_lost
            self.gap_in(self.client, client.offset - length, length, flow.last_time, flow.last_packet)
            if self.session is not None:
                self.session.notices.append(f"{length} bytes of the client, sent before the answer to its request, were not read")

    def new_session(self, head: Head, parties: tuple[Party, Party] | None = None) -> Session:
        c = self.client
        self.blind = -1
        client, server = parties or parties_of(self.streams[c], self.streams[1 - c])
        session = self.session = Session(self.flow, client, server)
        session.http = "1.1"
        flow = self.flow
        session.started = flow.first_time
        session.first_packet = flow.first_packet
        if head.offset > 0:  # requests before it on the same connection
            session.started = head.time
            session.first_packet = head.packet
        if self.tunnel is not None:
            session.tls = self.tunnel.facts
            session.in_tls = True
        return session

    def note_held(self, data: bytes, offset: int, time: int, packet: int) -> None:
        """Client bytes before the answer: frames sent too early, or the next request if the upgrade will be refused."""
        server = self.streams[1 - self.client]
        if len(self.early) < EARLY:
            self.early.append((len(data), server.acked, Place(packet, time, offset)))
        if server.packets == 0 and not server.syn_seen and masked_frame(data):
            self.assume_accepted()  # only this direction was captured

    # -- frames -------------------------------------------------------------

    def open_frames(self, session: Session, handshake: Handshake) -> None:
        self.state = OPEN
        if handshake.extensions_lines:
            from wsaudit.inflation import inflating_side
            from wsaudit.websocket.extensions import agree_deflate, parse_extensions

            offered = parse_extensions([line.encode("latin-1", "replace") for line in handshake.extensions_offered_lines])
            accepted = parse_extensions([line.encode("latin-1", "replace") for line in handshake.extensions_lines])
            session.deflate = agree_deflate(offered if handshake.request is not None else None, accepted)
            if session.deflate is not None:
                for side in (CLIENT, SERVER):
                    session.parties[side].frames.inflate = True
                    session.inflaters[side] = inflating_side(session, side, self.sink.options)
        c = self.client
        for side, i in ((CLIENT, c), (SERVER, 1 - c)):
            stream = self.streams[i]
            scanner = session.parties[side].frames
            scanner.offset = stream.offset if self.tunnel is None else self.plain_offset[i]
            stream.scanner = scanner
            stream.silence = 0  # the wait for the answer belongs to another timeout than those of the open connection
            self.http[i] = None
            if self.tunnel is None:
                stream.mode = PYTHON
            self.keep_frames(session)

    def keep_frames(self, session: Session) -> None:
        """Have every frame logged, if that is asked of this session."""
        options = self.sink.options
        if not options.frames and session.first_packet != options.keep:
            return
        if session.log is None:
            from wsaudit.kernel.frames import FrameLog

            session.log = FrameLog()
            if options.payload:
                session.log.payloads = []
        for party in session.parties:
            party.frames.log = session.log
            party.frames.preview = options.limits.preview if options.payload else 0

    def search(self, i: int, expected: bool = False) -> None:
        """This side's frames begin nobody knows where; `expected`: most likely with its next byte."""
        if self.session is not None:
            self.resync[i] = Resync(i == self.client, self.sink.options.limits.resync, expected=expected)
            self.session.parties[i ^ self.client].frames.lose_step()

    def frames_in(self, i: int, data: bytes, offset: int, time: int, packet: int) -> None:
        session = self.session
        if session is None:
            return
        side = i ^ self.client
        if self.check_early and side == CLIENT:
            self.check_early = False
            if self.streams[1 - i].acked < self.response_end:
                self.early_frames(len(data), offset, time, packet)
        resync = self.resync[i]
        scanner = session.parties[side].frames
        if resync is None:
            scanner.feed(Buffer(data), 0, len(data), time, packet)
            return
        found = resync.feed(Chunk(data, offset, time, packet))
        if found is None:
            return
        self.resync[i] = None
        party = session.parties[side]
        party.resyncs += 1
        party.skipped += resync.dropped
        scanner.resume(found[0].offset)
        for chunk in found:
            scanner.feed(Buffer(chunk.data), 0, len(chunk.data), chunk.time, chunk.packet)

    def frames_lost(self, i: int, length: int | None) -> None:
        """Bytes of this side are missing; None: nobody knows how many."""
        resync, session = self.resync[i], self.session
        if resync is not None:
            self.resume_cut(i, resync, resync.gap(length))
        elif session is not None:
            scanner = session.parties[i ^ self.client].frames
            if length is None:
                scanner.lose_step()
                self.resync[i] = Resync(i == self.client, self.sink.options.limits.resync)
            elif not scanner.gap(length):
                self.resync[i] = Resync(i == self.client, self.sink.options.limits.resync)

    def resume_cut(self, i: int, resync: Resync, found: list[Cut] | None) -> None:
        """Side `i` is in step again with these segments, as far as they were captured: what is missing are payloads."""
        session = self.session
        if session is None or found is None:
            return
        self.resync[i] = None
        party = session.parties[i ^ self.client]
        party.resyncs += 1
        party.skipped += resync.dropped
        party.frames.resume(found[0].chunk.offset)
        for chunk, lost in found:
            self.frames_in(i, *chunk)
            if lost:
                self.frames_lost(i, lost)

    def assume_accepted(self, cut: bool = False) -> None:
        """The answer to an upgrade request was not captured. If the client goes on with frames, it was an acceptance. `cut`: its
        beginning was, and is that of a 101."""
        session = self.session
        c = self.client
        client = self.http[c]
        held = client.held if client is not None else []
        if session is None or self.request is None or (held and not frames_begin(held)):
            return
        session.handshake = build_handshake(self.request, None, tuple(self.informational or ()))
        session.handshake.outcome = "not-captured"
        self.request = None
        self.open_frames(session, session.handshake)
        session.server.gaps.append(Gap(0, None, session.started, session.first_packet, "the answer was not captured"))
        self.search(1 - c, expected=cut)
        if held:
            session.client.frames.offset = held[0][1]
        self.take_held(client)
        if self.tunnel is None:
            for i in (0, 1):
                self.set_mode(i, self.streams[i])

    # -- midstream -------------------------------------------------------------

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

    def midstream_in(self, i: int, chunk: Chunk) -> None:
        resync = self.resync[i]
        if resync is None:
            resync = self.resync[i] = Resync(None, self.sink.options.limits.resync, strict=True)
        self.chunks_seen += 1
        pieces = resync.settle()
        if pieces is not None:
            self.midstream_found(i, resync, pieces)
            self.frames_in(i, *chunk)
            return
        found = resync.feed(chunk)
        if found is not None:
            self.midstream_found(i, resync, [Cut(piece, 0) for piece in found])
        elif self.chunks_seen > MIDSTREAM_CHUNKS:
            self.give_up()

    def midstream_found(self, i: int, resync: Resync, found: list[Cut]) -> None:
        """The frames of side `i`; which one it is, masks tell. Then those of the other side are searched."""
        other = self.resync[1 - i]
        waiting = other.chunks if other is not None else []
        if other is not None and other.chunks and not any(masked(piece.data) != resync.masked_found for piece in other.chunks):
            self.give_up()  # one side of a WebSocket masks, and the other does not (RFC 6455 §5.1)
            return
        self.client = i if resync.masked_found else 1 - i
        cut = other is not None and other.masked is not None
        self.open_midstream(HEADS_CUT if cut else "the capture starts in the middle of the connection")
        self.resume_cut(i, resync, found)
        searched = self.resync[1 - i]
        if cut and other is not None and searched is not None:
            searched.expected = other.behind_head == []
            self.resume_cut(1 - i, other, other.all_behind_head() or other.cut or None)
        for piece in waiting:
            self.frames_in(1 - i, *piece)
        if self.tunnel is None:
            for j in (0, 1):
                self.set_mode(j, self.streams[j])

    def settle(self) -> None:
        """Nothing more comes: the last segments are whole."""
        for i, resync in enumerate(self.resync):
            pieces = resync.settle() if resync is not None else None
            if resync is not None and pieces is not None:
                self.midstream_found(i, resync, pieces)
                return

    def open_midstream(self, why: str) -> Session:
        """A connection whose opening handshake cannot be read: the frames of both sides are to be looked for."""
        flow = self.flow
        self.blind = -1
        session = self.session = Session(flow, *parties_of(self.streams[self.client], self.streams[1 - self.client]))
        session.midstream = True
        session.started = flow.first_time
        session.first_packet = flow.first_packet
        if self.tunnel is not None:
            session.tls = self.tunnel.facts
            session.in_tls = True
        self.state = OPEN
        for side in (CLIENT, SERVER):
            j = side ^ self.client
            party = session.parties[side]
            party.gaps.append(Gap(0, None, session.started, session.first_packet, why))
            party.frames.lose_step()
            self.streams[j].scanner = party.frames
            self.http[j] = None
            self.keep_frames(session)
            self.resync[j] = Resync(side == CLIENT, self.sink.options.limits.resync)
        return session

    def heads_cut(self) -> bool:
        """Are request and answer there, but cut, as by a snap length, and is the answer's beginning that of a 101?"""
        answer = self.http[1 - self.client]
        return self.session is None and answer is not None and answer.switching

    def open_cut(self) -> None:
        """The heads were cut: what follows the 101 are frames, and the next bytes of both sides are the first of them."""
        self.open_midstream(HEADS_CUT)
        for resync in self.resync:
            if resync is not None:
                resync.expected = True
        if self.tunnel is None:
            for j in (0, 1):
                self.set_mode(j, self.streams[j])

    def request_lost(self) -> bool:
        """Was the client's head not captured, or cut?"""
        client = self.http[self.client]
        return client is None or client.offset < 0 or client.lost

    def search_cut(self) -> None:
        """Request and answer were cut so early that nothing tells what they were: frames that follow would."""
        self.state = MIDSTREAM
        for j in (0, 1):
            self.http[j] = None
            self.resync[j] = Resync(j == self.client, self.sink.options.limits.resync, strict=True, behind_head=True)
        one, other = self.resync
        if one is not None and other is not None:
            one.peer, other.peer = other, one

    # -- the end -------------------------------------------------------------

    def close_session(self, ongoing: bool) -> None:
        session = self.session
        if session is None:
            return
        self.session = None
        if session.handshake is None and not session.midstream:
            session.handshake = build_handshake(self.request, None, tuple(self.informational or ()))
            if self.streams[1 - self.client].gap_count:  # there may have been an answer
                session.handshake.outcome = "not-captured"
        for i, stream in enumerate(self.streams):
            party = session.parties[i ^ self.client]
            resync = self.resync[i]
            if resync is not None:
                party.skipped += resync.dropped + resync.size
                if resync.expected:
                    party.frames.resume(stream.offset)  # nothing came: no frame is missing
            if self.tunnel is None and stream.gaps:
                known = len(party.gaps)
                party.gaps.extend(Gap(*gap) for gap in stream.gaps)
                if known:
                    party.gaps.sort(key=gap_offset)
        session.ongoing = ongoing
        session.notices += session.limits_hit(self.sink.options.limits)
        self.flow.settle()
        session.ended = self.flow.last_time
        session.last_packet = self.flow.last_packet
        self.sink.session_over(session)


def parties_of(client: Stream, server: Stream) -> tuple[Party, Party]:
    """Both endpoints, before their first frame."""
    return Party(CLIENT, client, Scanner(CLIENT, None)), Party(SERVER, server, Scanner(SERVER, None))


def gap_offset(gap: Gap) -> int:
    return gap.offset


def in_networks(address: bytes, networks: tuple[str, ...]) -> bool:
    from ipaddress import ip_address, ip_network

    found = ip_address(address)
    return any(found in ip_network(network, strict=False) for network in networks)
