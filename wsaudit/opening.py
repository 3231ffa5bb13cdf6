"""The opening handshake of one connection: HTTP bytes of both sides → an upgrade request, its answer, and what follows them.

    heads ─▶ requests and answers, which belong together ─▶ accepted, refused, switched to another protocol, cut by the capture

While nothing has come of it, HTTP goes on; an `Outcome` ends it. Sides are CLIENT and SERVER.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from wsaudit.http.head import Head, recognise_head
from wsaudit.http.messages import Chunk, Event, HttpSide
from wsaudit.http.upgrade import (
    Handshake,
    asks_for_websocket,
    build_handshake,
    is_upgrade_request,
    is_upgrade_response,
    switches_to_other,
)
from wsaudit.kernel.party import Gap
from wsaudit.kernel.streams import Flow
from wsaudit.model import CLIENT, SERVER, Place
from wsaudit.session import Session
from wsaudit.websocket.resync import frames_begin, masked_frame

EARLY = 16  # chunks of client bytes before the answer whose acknowledgements are remembered


class Opened(NamedTuple):
    """The upgrade was accepted: frames follow. `answer_end`: where the 101 ends in the server's stream; `check_early`: is it
    still to be seen whether the client had acknowledged that when it sent its first frames.

    Of each side: `offsets` of its first frame, None: of the next byte; `searched`: None, or nobody knows where its frames begin,
    and True if most likely with its next byte. `held`: client bytes that came before the answer, `held_lost` more behind them, up
    to `held_end`, are missing. `rest`: server bytes in the segment of the 101."""

    handshake: Handshake
    answer_end: int
    check_early: bool
    offsets: tuple[int | None, int | None]
    searched: tuple[bool | None, bool | None]
    held: list[Chunk]
    held_lost: int
    held_end: int
    rest: Chunk | None


class Switched(NamedTuple):
    """The 101 switched to another protocol: what follows are no frames. `failed`: the request had asked for a WebSocket; if not,
    it is none of ours, whatever fields it had."""

    failed: bool


class HeadsCut(NamedTuple):
    """The heads were cut, as by a snap length, but the answer's beginning is that of a 101: what follows are frames, and the next
    bytes of both sides are the first of them."""


class HeadsLost(NamedTuple):
    """Request and answer were cut so early that nothing tells what they were: frames that follow would."""


Outcome: TypeAlias = Opened | Switched | HeadsCut | HeadsLost
Sent: TypeAlias = tuple[bytes, int, int]  # a head, its time and packet


class Listener(Protocol):
    """Who is told what heads say beside the outcome: how many requests there were, each answer to a GET without an upgrade..."""

    def count_requests(self, number: int) -> None: ...
    def plain_get(self, flow: Flow, client: int, request: Sent, status: int, time: int, packet: int) -> None: ...
    def accepted(self, session: Session) -> None: ...
    def limit_hit(self, packet: int, text: str) -> None: ...


def usual_request(data: bytes, offset: int, time: int, packet: int, max_head: int) -> Head | None:
    """A chunk that is one whole upgrade request like many before it: there is nothing to follow byte by byte."""
    head = recognise_head(data, offset, time, packet, max_head)
    if head is None or len(head.raw) != len(data) or not is_upgrade_request(head):
        return None
    return head


class OpeningHandshake:
    """HTTP on a flow whose client is its side `client`, 0 or 1. `begin_session` is called with the head that each connection of
    ours begins with, and returns its session; the one before it has failed.

    `session`: that of the last upgrade request. `kept`: bytes seen of a head that was cut, while nobody knows whether it was of a
    handshake; -1: there is nothing of the kind."""

    __slots__ = (
        "begin_session", "client", "early", "flow", "http", "informational", "kept", "listener", "max_head", "outcome", "pending",
        "plain", "request", "server_stream", "session",
    )  # fmt: skip

    def __init__(
        self, flow: Flow, client: int, listener: Listener, max_head: int, begin_session: Callable[[Head], Session]
    ) -> None:
        self.flow = flow
        self.client = client
        self.server_stream = flow.a if client else flow.b
        self.listener = listener
        self.max_head = max_head
        self.begin_session = begin_session
        self.http: list[HttpSide | None] = [None, None]
        self.pending: list[bool] = []  # requests without a final answer yet: is it an upgrade?
        self.informational: list[int] = []
        self.request: Head | None = None  # the upgrade request that waits
        self.early: list[tuple[int, int, Place]] = []  # client bytes before the answer: size, what it had acknowledged, place
        self.plain: Sent | None = None  # a GET that asks for no upgrade and waits for its answer
        self.session: Session | None = None
        self.kept = -1
        self.outcome: Outcome | None = None

    # -- what the pipeline calls -------------------------------------------------------------

    def begin_with(self, request: Head, session: Session) -> None:
        """This upgrade request was read by somebody else (`usual_request`, kernel/ordinary.py), and is all there is so far."""
        self.pending = [True]
        self.request = request
        self.session = session

    def feed(self, side: int, data: bytes, offset: int, time: int, packet: int) -> Outcome | None:
        """The next bytes of one side."""
        if self.request is not None and self.http[side] is None and self.usual_response(side, data, offset, time, packet):
            return self.outcome
        http = self.http_side(side)
        if side == CLIENT and http.lost and self.heads_cut():
            return HeadsCut()
        events = http.feed(data, offset, time, packet)
        if http.stopped and side == CLIENT and self.request is not None and not events:
            self.note_held(data, offset, time, packet)
        self.heads(side, http, events)
        return self.outcome

    def gap(self, side: int, length: int | None) -> Outcome | None:
        """Bytes of one side are missing; None: nobody knows how many."""
        http = self.http_side(side)
        if self.request is not None and side == SERVER and http.refusal:
            self.refuse_cut(self.request, http.refusal)
        elif self.request is not None and side == SERVER:
            self.assume_accepted(cut=http.switching)
        elif self.heads_cut():
            return HeadsCut()
        elif self.session is None and (side == CLIENT or self.request_lost()):
            if http.partial:
                self.kept = max(self.kept, http.partial)
            if side == SERVER and http.may_switch:
                return HeadsLost()
        if self.outcome is None:
            http.gap(1 if length is None else length)
        return self.outcome

    def finish(self) -> Outcome | None:
        """Nothing more comes."""
        if self.request is not None and self.early and not self.server_stream.fin_taken:
            self.assume_accepted()  # a FIN in its place says that nothing of the answer is missing
        return self.outcome

    def unanswered(self) -> Handshake:
        """The handshake of the request that waits, if nothing more comes."""
        handshake = build_handshake(self.request, None, tuple(self.informational))
        if self.server_stream.gap_count:  # there may have been an answer
            return handshake._replace(outcome="not-captured")
        return handshake

    def skip(self, side: int) -> int:
        """How many of the coming bytes are of no interest; -1: all."""
        http = self.http[side]
        return 0 if http is None else http.skip

    def rests(self, offsets: tuple[int, int]) -> tuple[int, int] | None:
        """The bytes of each side, from these offsets on, up to its next message, if nothing is open, neither an upgrade nor
        another request: then somebody else may follow the exchanges."""
        if self.session is not None or self.pending or self.plain is not None:
            return None
        client = self.http_side(CLIENT).rest(offsets[CLIENT])
        server = None if client is None else self.http_side(SERVER).rest(offsets[SERVER])
        return None if client is None or server is None else (client, server)

    def go_on(self, asked: Sent | None, offsets: tuple[int, int], rests: tuple[int, int]) -> None:
        """Somebody else followed the exchanges up to these offsets, where `rests` are the bytes up to each side's next message.
        `asked`: the request that waits for its answer."""
        for side in (CLIENT, SERVER):
            self.http_side(side).go_on(offsets[side], rests[side])
        if asked is not None:
            method = asked[0].partition(b" ")[0]
            self.http_side(SERVER).expect(method.decode("ascii"))
            self.pending = [False]
            self.plain = asked if method == b"GET" else None

    # -- heads -------------------------------------------------------------

    def http_side(self, side: int) -> HttpSide:
        http = self.http[side]
        if http is None:
            http = self.http[side] = HttpSide(side, self.max_head)
            if self.request is not None:  # taken at a glance (`begin_with`), by nobody's HttpSide
                if side == CLIENT:
                    http.stop_behind(self.request)
                else:
                    http.expect(self.request.method)
        return http

    def usual_response(self, side: int, data: bytes, offset: int, time: int, packet: int) -> bool:
        """A chunk that begins with a whole 101 like many before it, and answers such a request."""
        head = None if side == CLIENT else recognise_head(data, offset, time, packet, self.max_head)
        if head is None or self.request is None or head.status != 101:
            return False
        head.method = self.request.method
        self.response_in(head, (data[len(head.raw) :], head.end, time, packet))
        return True

    def heads(self, side: int, http: HttpSide, events: list[Event]) -> None:
        for event in events:
            if not isinstance(event, Head):
                if event.name == "head-too-large":
                    self.listener.limit_hit(
                        event.packet, f"an HTTP head of more than {http.max_head} bytes (limit head) was not read"
                    )
                elif event.name == "not-http" and self.request is not None and side == SERVER and self.session is not None:
                    self.session.answered_otherwise = True
                    self.session.notices.append("the server answered the upgrade request with bytes that are not HTTP")
                continue
            if event.kind == "request":
                if side == CLIENT:
                    self.request_in(event, http)
            elif side == SERVER:
                self.response_in(event, http.leftover())
            if self.outcome is not None:
                return

    def request_in(self, head: Head, http: HttpSide) -> None:
        self.listener.count_requests(1)
        self.http_side(SERVER).expect(head.method)
        upgrade = is_upgrade_request(head)
        if not upgrade and self.plain is None and head.method == "GET" and self.session is None:
            self.plain = head.raw, head.time, head.packet
        if len(self.pending) < 1000:
            self.pending.append(upgrade)
        if not upgrade:
            return
        self.session = self.begin_session(head)
        self.kept = -1
        self.request = head
        self.informational = []
        self.early = []
        rest, offset, time, packet = http.leftover()
        if rest:
            self.note_held(rest, offset, time, packet)

    def note_held(self, data: bytes, offset: int, time: int, packet: int) -> None:
        """Client bytes before the answer: frames sent too early, or the next request if the upgrade will be refused."""
        server = self.server_stream
        if len(self.early) < EARLY:
            self.early.append((len(data), server.acked, Place(packet, time, offset)))
        if server.last_time == 0 and not server.syn_seen and masked_frame(data):
            self.assume_accepted()  # only this direction was captured

    def response_in(self, head: Head, rest: Chunk) -> None:
        """`rest`: the bytes behind the head, if HTTP ends with it."""
        if 100 <= head.status < 200 and head.status != 101:
            if len(self.informational) < 100:
                self.informational.append(head.status)
            return
        upgrade = self.pending.pop(0) if self.pending else is_upgrade_response(head)
        if not upgrade:
            if self.plain is not None:
                self.listener.plain_get(self.flow, self.client, self.plain, head.status, head.time, head.packet)
                self.plain = None
            return
        request = self.request
        session = self.session
        if session is None:  # the request was not captured
            session = self.session = self.begin_session(head)
            self.kept = -1
        handshake = session.handshake = build_handshake(request, head, tuple(self.informational))
        if head.status != 101:
            self.go_on_refused()
            return
        self.request = None
        if "wrong-upgrade" in handshake.defects and switches_to_other(request, head):
            self.outcome = Switched(failed=request is not None and asks_for_websocket(request))
        else:
            self.accept(session, handshake, head, rest)

    # -- what comes of it -------------------------------------------------------------

    def accept(self, session: Session, handshake: Handshake, answer: Head, rest: Chunk) -> None:
        client = self.http[CLIENT]
        asked = handshake.request is not None
        if not session.in_tls and not self.informational and session.first_packet == self.flow.first_packet:
            self.listener.accepted(session)
        answer_end = answer.offset + len(answer.raw)
        check_early = not session.in_tls and asked  # or the request itself may come next
        for size, acked, place in self.early:
            if not session.in_tls and acked < answer_end:
                check_early = False
                session.early_client_bytes += size
                session.early_place = session.early_place or place
        held = client.held if client is not None else []
        self.outcome = Opened(
            handshake=handshake,
            answer_end=answer_end,
            check_early=check_early,
            offsets=(held[0][1] if held and asked else None, answer_end),
            searched=(None if asked else True, None),
            held=held,
            held_lost=client.held_lost if client is not None else 0,
            held_end=client.offset if client is not None else 0,
            rest=rest if rest[0] else None,
        )

    def assume_accepted(self, cut: bool = False) -> None:
        """The answer to an upgrade request was not captured. If the client goes on with frames, it was an acceptance. `cut`: its
        beginning was, and is that of a 101."""
        session = self.session
        client = self.http[CLIENT]
        held = client.held if client is not None else []
        if session is None or self.request is None or (held and not frames_begin(held)):
            return
        unanswered = build_handshake(self.request, None, tuple(self.informational))
        handshake = session.handshake = unanswered._replace(outcome="not-captured")
        self.request = None
        session.server.add_gap(Gap(0, None, session.started, session.first_packet, "the answer was not captured"))
        self.outcome = Opened(
            handshake=handshake,
            answer_end=0,
            check_early=False,
            offsets=(held[0][1] if held else None, None),
            searched=(None, cut),
            held=held,
            held_lost=client.held_lost if client is not None else 0,
            held_end=client.offset if client is not None else 0,
            rest=None,
        )

    def refuse_cut(self, request: Head, status: int) -> None:
        """Of the answer no more than its status was captured, and that is none of an acceptance."""
        session = self.session
        if session is None:
            return
        if self.pending:
            self.pending.pop(0)
        unanswered = build_handshake(request, None, tuple(self.informational))
        session.handshake = unanswered._replace(outcome="refused", status=status)
        self.go_on_refused()

    def go_on_refused(self) -> None:
        """The upgrade was refused: what the client sent behind its request is HTTP."""
        client = self.http_side(CLIENT)  # behind the request, while that is known
        self.request = None
        if client.stopped:
            self.heads(CLIENT, client, client.resume())

    def heads_cut(self) -> bool:
        """Are request and answer there, but cut, and is the answer's beginning that of a 101?"""
        answer = self.http[SERVER]
        return self.session is None and answer is not None and answer.switching

    def request_lost(self) -> bool:
        """Was the client's head not captured, or cut?"""
        client = self.http[CLIENT]
        return client is None or client.offset < 0 or client.lost
