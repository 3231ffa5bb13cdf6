"""What happened at the end of a connection: class, how, by, initiator. Facts of the wire, no inference about why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsaudit.kernel.endings import fin_of, first_fin, first_to_close
from wsaudit.model import BOTH, CLIENT, SECOND, SERVER
from wsaudit.termination.endpoints import has_trait, library_of

if TYPE_CHECKING:
    from wsaudit.http.upgrade import Handshake
    from wsaudit.kernel.party import CloseFrame, Party
    from wsaudit.kernel.streams import Stream
    from wsaudit.model import Finding
    from wsaudit.session import Session
    from wsaudit.tls.facts import Alert

GIVEN_UP = 3  # retransmissions without any answer, each later than the one before, after which nobody is taken to be there
UNHEARD = 5  # the same where the peer still sends: with the usual timers that is six seconds
ANSWER_TIME = 5 * SECOND  # an answer may wait for the rest of a message (RFC 6455 §5.5.1)
AT_ONCE = SECOND // 20  # RSTs of both sides within this time are told as "both": neither is the other's answer
CHANCE_TO_REFUSE = SECOND // 5  # a client that has had this long to refuse a faulty 101, or to answer a Close, does not mean to
# What aiohttp, tornado or websocket-client take; nobody was seen to take another defect without sending a frame.
NOT_ALWAYS_CHECKED = frozenset(("unoffered-subprotocol", "unoffered-extension"))
# Faults of a 101 that clients were seen to leave at, beside those for which RFC 6455 §4.1 asks it of all.
REPELLENT = frozenset(
    (
        *("HS-S01", "HS-S06", "HS-S08", "HS-S09", "HS-S13", "HS-S16", "HS-C24", "HS-C25"),
        *(f"PMD-{number}" for number in range(12, 18)),
    )
)


class Wire:
    """The end of one connection as it was captured.

    `kind`, `how`, `by`, `initiator`: as in model.Termination. `time`, `packet`: of the first FIN or RST, or, when that FIN is
    `unseen`, of the packet that tells of it; without one, of the last packet. `silent`: the side that repeated its bytes until
    nobody could believe in an answer, from `since` on. `goodbye`: the close_notify with which a side ended TLS before the other
    one ended TCP, where neither sent a Close: then it is `by` that side, and `time` is when. `closes`: the Close of client and
    server, None where none was captured or none can be read as one. `repelled`: the fault of a 101 at which the client left.
    """

    __slots__ = ("by", "closes", "goodbye", "how", "initiator", "kind", "packet", "repelled", "silent", "since", "time", "unseen")

    def __init__(self, session: Session, findings: list[Finding]) -> None:
        client, server = session.client, session.server
        a, b = client.stream, server.stream
        self.silent: int | None = None
        self.how, self.by, self.time, self.packet = transport_end(a, b)
        self.unseen = self.how == "fin" and self.by != BOTH and session.parties[self.by or 0].stream.fin_seq < 0
        if self.how is None:
            self.silent = silenced(a, b)
            self.how = "silent" if self.silent is not None or not session.ongoing else "capture-end"
            self.time, self.packet = session.ended, session.last_packet
        self.since = 0 if self.silent is None else session.parties[self.silent].stream.tail_first_time
        c = client.closes[0] if client.closes else None
        s = server.closes[0] if server.closes else None
        if findings and (c is not None or s is not None):
            c, s = readable_closes(c, s, findings)
        self.closes = c, s
        self.goodbye = first_goodbye(session, self) if session.tls is not None and c is None and s is None else None
        if self.goodbye is not None:
            self.by, self.time = self.goodbye.side, self.goodbye.time
        self.repelled = fault_of_acceptance(session, self, findings) if findings and self.by == CLIENT else None
        self.kind = kind_of(session, self)
        if c is not None and s is not None:
            self.initiator: int | None = first_to_close(c, s)
        elif (c is None and s is None) or may_hide_close(client if c is None else server):
            self.initiator = None
        else:
            self.initiator = SERVER if c is None else CLIENT


def kind_of(session: Session, end: Wire) -> str:
    """The class of the termination (report.md)."""
    handshake = session.handshake
    if handshake is not None and handshake.outcome not in ("accepted", "not-captured"):
        if handshake.outcome == "refused":
            return "refused"
        if handshake.outcome == "unanswered" or not taken(session, handshake, end):
            return "ongoing" if end.how == "capture-end" else "failed"
    if end.repelled is not None:
        return "failed"
    c, s = end.closes
    if c is not None and s is not None:
        return "closed"
    if end.how == "capture-end":
        if (c is None) != (s is None) and may_hide_close(session.client if c is None else session.server):
            return "unknown"  # its answer may be there: then the connection is over, and only TCP is not
        return "ongoing"
    if (c is None and may_hide_close(session.client)) or (s is None and may_hide_close(session.server)):
        return "unknown"
    if c is None and s is None:
        # Of an opening handshake without one of its heads nobody knows whether it succeeded, unless frames followed.
        return "dropped" if is_agreed(handshake) or any(has_frames(party) for party in session.parties) else "unknown"
    return "unknown" if answer_may_follow(session, end) else "close-unanswered"


def is_agreed(handshake: Handshake | None) -> bool:
    """Were both heads of the opening handshake captured? If not, what was agreed is unknown."""
    return handshake is not None and handshake.request is not None and handshake.response is not None


def has_frames(party: Party) -> bool:
    """Did this side send frames, seen or lost?"""
    return bool(party.frames.headers or party.frames.lost)


def answer_may_follow(session: Session, end: Wire) -> bool:
    """Did the closing side not wait, and the capture end while the other half of TCP was open? The answer may have followed."""
    asked = end.closes[CLIENT] or end.closes[SERVER]
    assert asked is not None
    at_once = end.by == asked.side and end.how == "fin" and end.time - asked.place.time < AT_ONCE
    return at_once and session.ongoing and session.ended - end.time < ANSWER_TIME


def taken(session: Session, handshake: Handshake, end: Wire) -> bool:
    """Did the client take a 101 that it must refuse? It did if it sent frames, or sat there until the server left where it may
    not have looked, unless a Close did not make it speak."""
    if has_frames(session.client):
        return True
    response, close = handshake.response, end.closes[SERVER]
    if end.by != SERVER or response is None or end.time - response.end_time <= CHANCE_TO_REFUSE:
        return False
    if not NOT_ALWAYS_CHECKED.issuperset(handshake.defects) or (close and end.time - close.place.time > CHANCE_TO_REFUSE):
        return False
    return not has_trait(library_of(handshake.request, CLIENT), "refuses-in-silence")


def fault_of_acceptance(session: Session, end: Wire, findings: list[Finding]) -> Finding | None:
    """The server's violation in its 101, where the client ended TCP at once and without a frame."""
    handshake = session.handshake
    if handshake is None or handshake.response is None or has_frames(session.client):
        return None
    start, stop = handshake.response.offset, handshake.response.end
    if end.time - handshake.response.end_time > CHANCE_TO_REFUSE:
        return None
    for found in findings:
        is_its = found.side == SERVER and start <= found.place.offset < stop
        if is_its and found.rule in REPELLENT and found.verdict == "violation":
            return found
    return None


def readable_closes(
    c: CloseFrame | None, s: CloseFrame | None, findings: list[Finding]
) -> tuple[CloseFrame | None, CloseFrame | None]:
    """The Closes that a peer could read as such: behind a length with its top bit set (RFC 6455 §5.2) nothing is."""
    for finding in findings:
        if finding.rule == "FR-06":
            if finding.side == CLIENT and c is not None and finding.place.offset < c.place.offset:
                c = None
            elif finding.side == SERVER and s is not None and finding.place.offset < s.place.offset:
                s = None
    return c, s


def may_hide_close(party: Party) -> bool:
    """May this side have sent a Close that the capture missed?

    A gap before frames that were read again hides none: nothing may follow a Close. So it takes a gap behind the last frame, a
    side that was never captured, or a FIN whose number lies ahead of the bytes seen.
    """
    stream = party.stream
    return party.frames.lost or (stream.fin_time != 0 and not stream.fin_taken)


def may_hide_earlier(party: Party, close: CloseFrame) -> bool:
    """May this side have sent a Close before the first one seen? In a gap behind which its frames had to be found again, it may:
    no endpoint should send two, but some do, and the peer takes the first."""
    return party.resyncs > 0 and any(gap.offset < close.place.offset for gap in party.gaps)


def transport_end(a: Stream, b: Stream) -> tuple[str | None, int | None, int, int]:
    """How TCP ended, by whom, when, and in which packet; `a` is the client's stream.

    Of two FINs the one that acknowledges the other came second; when neither does, they crossed. Capture order says nothing of
    what the endpoints knew.
    """
    if not a.rst_time and not b.rst_time:
        by = first_fin(a, b)
        if by < 0:
            return None, None, 0, 0
        first = fin_of(by, a, b)
        return "fin", by, first.fin_time, first.fin_packet
    events = []
    for side, stream in ((CLIENT, a), (SERVER, b)):
        if stream.fin_time:
            events.append((stream.fin_time, stream.fin_packet, side, "fin"))
        if stream.rst_time:
            events.append((stream.rst_time, stream.rst_packet, side, "rst"))
    events.sort()
    time, packet, side, how = events[0]
    if how == "rst" and len(events) > 1 and events[1][3] == "rst" and events[1][0] - time < AT_ONCE:
        return "rst", BOTH, time, packet
    return how, side, time, packet


def silenced(a: Stream, b: Stream) -> int | None:
    """The side that repeated its bytes again and again, backing off, and was not heard: nothing at all came from its peer, or the
    peer went on, with an open window, and acknowledged none of them."""
    for side, stream, peer in ((CLIENT, a, b), (SERVER, b, a)):
        if stream.acked < stream.offset and backed_off(stream):
            mute = peer.last_time < stream.tail_first_time
            if mute or (stream.tail_retransmissions >= UNHEARD and not peer.zero_since):
                return side
    return None


def backed_off(stream: Stream) -> bool:
    """Did this side repeat bytes until nobody could believe in an answer, at growing intervals (RFC 6298 §5.5)?"""
    return bool(
        stream.tail_retransmissions >= GIVEN_UP
        and stream.tail_last_gap * stream.tail_retransmissions >= stream.tail_last_time - stream.tail_first_time
    )


def deaf(a: Stream, b: Stream) -> int | None:
    """The side that repeated its bytes, backing off, although they had been acknowledged: what its peer sends is lost behind the
    point of capture. Whether that went on cannot be told."""
    for side, stream in ((CLIENT, a), (SERVER, b)):
        if stream.acked == stream.offset and stream.tail_retransmissions >= UNHEARD and backed_off(stream):
            return side
    return None


def gave_up(stream: Stream) -> bool:
    """Did this side's TCP probe (RFC 9293 §3.8.4) until nobody could believe in an answer?"""
    return bool(stream.keepalives_unanswered >= GIVEN_UP)


def first_goodbye(session: Session, end: Wire) -> Alert | None:
    """The first close_notify, if the other side's FIN or RST only answers it (RFC 8446 §6.1)."""
    alerts = session.tls.alerts if session.tls is not None and end.how in ("fin", "rst") else ()
    first = next((alert for alert in alerts if alert.code == 0), None)
    return first if first is not None and first.side != end.by and first.time <= end.time else None


def close_acked(party: Party, close: CloseFrame) -> bool:
    """Did the peer's TCP acknowledge this side's Close?"""
    return bool(party.stream.acked >= close.end)
