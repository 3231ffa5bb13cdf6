"""What happened at the end of a connection: class, how, by, initiator. Facts of the wire, no inference about why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsaudit.model import BOTH, CLIENT, SECOND, SERVER

if TYPE_CHECKING:
    from wsaudit.kernel.streams import Stream
    from wsaudit.session import Party, Session

GIVEN_UP = 3  # retransmissions without any answer, each later than the one before, after which nobody is taken to be there
AT_ONCE = SECOND // 20  # two ends of which neither answers the other, nearer than this, are told as "both"


class Wire:
    """The end of one connection as it was captured.

    `kind`, `how`, `by`, `initiator`: as in model.Termination. `first`: the side whose FIN or RST came first, None when there was
    none. `time`, `packet`: of that FIN or RST, 0 without one. `silent`: the side whose bytes were repeated until nobody could
    believe in an answer, None otherwise.
    """

    __slots__ = ("kind", "how", "by", "initiator", "time", "packet", "silent")

    def __init__(self, kind: str, how: str | None, by: int | None, initiator: int | None, time: int, packet: int) -> None:
        self.kind = kind
        self.how = how
        self.by = by
        self.initiator = initiator
        self.time = time
        self.packet = packet
        self.silent: int | None = None


def read_end(session: Session) -> Wire:
    """How the connection ended on the wire."""
    client, server = session.client, session.server
    a, b = client.stream, server.stream
    how, by, time, packet = transport_end(a, b)
    silent = None
    if how is None:
        silent = silenced(a, b)
        if silent is not None or not session.ongoing:
            how = "silent"
        elif session.ongoing:
            how = "capture-end"
    initiator = who_closed_first(client, server) if client.closes or server.closes else None
    end = Wire(kind_of(session, how), how, by, initiator, time, packet)
    end.silent = silent
    return end


def kind_of(session: Session, how: str | None) -> str:
    """The class of the termination (report.md)."""
    handshake = session.handshake
    client, server = session.client, session.server
    if handshake is not None and handshake.outcome != "accepted" and handshake.outcome != "not-captured":
        if handshake.outcome == "refused":
            return "refused"
        if handshake.outcome == "unanswered":
            return "ongoing" if how == "capture-end" else "failed"
        if not client.frames.headers and not client.frames.lost:  # a 101 that the client must not take, and did not take
            return "ongoing" if how == "capture-end" else "failed"
    if client.closes and server.closes:
        return "closed"
    if how == "capture-end":
        return "ongoing"
    if (not client.closes and may_hide_close(client)) or (not server.closes and may_hide_close(server)):
        return "unknown"
    return "close-unanswered" if client.closes or server.closes else "dropped"


def may_hide_close(party: Party) -> bool:
    """May this side have sent a Close that the capture missed?

    A gap before frames that were read again hides none: nothing may follow a Close. So it takes a gap behind the last frame, a
    side that was never captured, or a FIN whose number lies ahead of the bytes seen.
    """
    stream = party.stream
    return party.frames.lost or (stream.fin_time != 0 and not stream.fin_taken)


def transport_end(a: Stream, b: Stream) -> tuple[str | None, int | None, int, int]:
    """How TCP ended, by whom, when, and in which packet; `a` is the client's stream.

    Of two FINs the one that acknowledges the other came second; when neither does, they crossed. Capture order says nothing of
    what the endpoints knew.
    """
    if not a.rst_time and not b.rst_time:
        if a.fin_time and b.fin_time:
            if a.acked_time <= b.fin_time and fin_acked(a):
                return "fin", CLIENT, a.fin_time, a.fin_packet
            if b.acked_time <= a.fin_time and fin_acked(b):
                return "fin", SERVER, b.fin_time, b.fin_packet
            if a.fin_time <= b.fin_time:
                return "fin", BOTH, a.fin_time, a.fin_packet
            return "fin", BOTH, b.fin_time, b.fin_packet
        if a.fin_time:
            return "fin", CLIENT, a.fin_time, a.fin_packet
        if b.fin_time:
            return "fin", SERVER, b.fin_time, b.fin_packet
        return None, None, 0, 0
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


def fin_acked(stream: Stream) -> bool:
    """Did the peer acknowledge this side's FIN?"""
    return stream.fin_taken and stream.acked >= stream.offset


def silenced(a: Stream, b: Stream) -> int | None:
    """The side that repeated its last bytes again and again, backing off, while nothing at all came from its peer."""
    for side, stream in ((CLIENT, a), (SERVER, b)):
        if (
            stream.tail_retransmissions >= GIVEN_UP
            and stream.acked < stream.offset
            and stream.peer.last_time < stream.tail_first_time
            and stream.tail_last_gap >= (stream.tail_last_time - stream.tail_first_time) // stream.tail_retransmissions
        ):
            return side
    return None


def who_closed_first(client: Party, server: Party) -> int | None:
    """Who started the close handshake. A Close whose sender had not acknowledged the peer's Close was sent without knowing of it."""
    c, s = client.close, server.close
    if c is None or s is None:
        if (c is None and may_hide_close(client)) or (s is None and may_hide_close(server)):
            return None
        return SERVER if c is None else CLIENT
    client_knew = c.acked >= s.end
    server_knew = s.acked >= c.end
    if client_knew != server_knew:
        return SERVER if client_knew else CLIENT
    if not client_knew:
        return BOTH
    # Both knew: what was captured of one is a repetition. The order of packets is all that is left.
    return CLIENT if (c.place.time, c.place.packet) < (s.place.time, s.place.packet) else SERVER


def close_acked(party: Party) -> bool:
    """Did the peer's TCP acknowledge this side's Close?"""
    close = party.close
    return close is not None and party.stream.acked >= close.end
