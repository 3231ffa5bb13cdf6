"""Control frames, and Pings and Pongs among them. RFC 6455 §5.5."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wsaudit.kernel.connection import Connection
from wsaudit.kernel.constants import CLOSE_GRACE, MANY_PINGS, QUIET, SLOW_PONG
from wsaudit.kernel.findings import Findings
from wsaudit.kernel.occasions import end_of
from wsaudit.kernel.party import Party
from wsaudit.kernel.pings import Ping
from wsaudit.model import SECOND, SIDES, Fault, Place
from wsaudit.rules import frame as frames
from wsaudit.rules.agents import is_browser
from wsaudit.rules.frame import Frame
from wsaudit.rules.rule import INFO, MUST, SHOULD, rule
from wsaudit.rules.timing import patience, round_trip, seconds
from wsaudit.session import Session
from wsaudit.together import together

FLOOD = 10  # Pings a second: heartbeats come once in some seconds
NEAR = 0.8  # of a path's idle limit: timers are late by some seconds, in background tabs by up to a minute


@rule("CT-01", "RFC 6455 §5.5", MUST, "error", "sender", "shape")
def control_frame_too_long(frame: Frame) -> str | None:
    """A Ping or Pong has more than 125 bytes of payload.

    The RFC says: all control frames have a payload of at most 125 bytes. (CL-21 is the same rule for Close frames.)

    Why it matters: receivers reserve no more room than that and close with 1002.

    What to do: send the data in a message. A Ping carries an id or a time at most.
    """
    if frame.oversize and frame.opcode != frames.CLOSE:
        return str(frame)
    return None


@rule("CT-02", "RFC 7692 §6.1", MUST, "error", "sender", "shape", must_fail=True)
def compressed_control_frame(frame: Frame) -> str | None:
    """A control frame is marked as compressed.

    The RFC says: extensions that compress messages leave control frames alone. (PMD-03 is this rule for permessage-deflate.)

    Why it matters: a receiver that follows the RFC closes with 1002; one that does not must guess what the body is.

    What to do: old per-frame extensions (deflate-frame, x-webkit-deflate-frame) are done with. Move both ends to
    permessage-deflate.
    """
    if frame.is_control and frame.rsv & 4 and frame.extensions == frames.COMPRESSING:
        return f"{frame} with RSV1 set"
    return None


@rule("PP-01", "RFC 6455 §5.5.2", MUST, "warning", "receiver", "session", when="unanswered", whole=True)
def ping_not_answered(session: Session, party: Party, peer: Party) -> Fault | None:
    """A Ping was never answered.

    The RFC says: who gets a Ping answers it with a Pong, unless a Close came before. One Pong may answer several Pings if it
    answers the last of them.

    Why it matters: the sender of the Ping takes the peer for dead and drops the connection; both report 1006 or 1011.

    What to do: TCP acknowledged the Ping, so the host is alive and its application is not: look for a blocked event loop, a
    stopped process, a garbage collection or a debugger at that time.
    """
    waiting = unanswered(session, party, peer)
    if not waiting or wrong_answer(waiting, peer):
        return None
    first, count = waiting[0], len(waiting) + party.overflow
    times = "a Ping" if count == 1 else f"{count} Pings"
    return Fault(f"the {SIDES[peer.side]} left {times} without an answer", first.place, count, waiting[-1].packet)


@rule("PP-02", "RFC 6455 §5.5.2", SHOULD, "info", "sender", "session", when="heartbeat")
def slow_pong(session: Session, party: Party, peer: Party) -> Fault | None:
    """A Pong took long.

    The RFC says: a Pong is sent as soon as is practical.

    Why it matters: a late Pong is close to none: most heartbeats give up after 20 to 60 s. It shows a busy endpoint before users
    notice.

    What to do: look at the event loop of the side that answers. If a large message was under way at that time, the Pong had to
    wait behind it: send smaller messages.
    """
    late = party.slowest_pong
    place = party.slowest_place
    if late < SLOW_PONG or place is None or late - round_trip(session) < SLOW_PONG:
        return None
    return Fault(f"a Pong came {seconds(late)} after its Ping", place)


@rule("PP-03", "RFC 6455 §5.5.3", MUST, "warning", "sender", "session", when="unanswered", whole=True)
def pong_body_differs(session: Session, party: Party, peer: Party) -> Fault | None:
    """The Pong does not carry the body of the Ping.

    The RFC says: a Pong that answers a Ping has the same body.

    Why it matters: the sender of the Ping takes such a Pong for an unsolicited one and waits on, until its heartbeat gives up.

    What to do: the answering side has to copy the body, empty or not. Some hand-made clients answer every Ping with an empty
    Pong.
    """
    waiting = unanswered(session, peer, party)
    if not waiting or not wrong_answer(waiting, party):
        return None
    assert party.mismatched is not None
    return Fault("a Pong with another body than the Ping, which stays unanswered", party.mismatched)


@rule("PP-04", "RFC 6455 §5.5.3", INFO, "info", "sender", "session", when="pongs")
def pong_out_of_order(session: Session, party: Party, peer: Party) -> Fault | None:
    """An older Ping was answered after a newer one.

    The RFC says: an endpoint may answer only the latest of several Pings. It says nothing of answering the others afterwards.

    Why it matters: a heartbeat that expects answers in order may measure nonsense.

    What to do: look for several threads or a queue with priorities in the side that answers.
    """
    if not party.late_pongs or party.first_late is None:
        return None
    return Fault("a Pong for an older Ping came after that for a newer one", party.first_late, party.late_pongs)


@rule("PP-05", "RFC 6455 §5.5.3", INFO, "info", "sender", "session", when="pongs")
def repeated_pong(session: Session, party: Party, peer: Party) -> Fault | None:
    """A Ping was answered more than once.

    The RFC says: a Ping gets a Pong. More of them are unsolicited, which is allowed and has no meaning.

    Why it matters: usually two layers answer: the library and the application, or an endpoint and a proxy. The traffic doubles.

    What to do: remove the application's own answer; libraries answer Pings by themselves.
    """
    if not party.duplicate_pongs or party.first_duplicate is None:
        return None
    return Fault("a Pong with the body of a Ping that was answered before", party.first_duplicate, party.duplicate_pongs)


@rule("PP-06", "RFC 6455 §5.5.3", INFO, "info", "sender", "session", when="pongs")
def pong_as_heartbeat(session: Session, party: Party, peer: Party) -> Fault | None:
    """Unsolicited Pongs are used as a heartbeat.

    The RFC says: a Pong may be sent unasked, as a heartbeat in one direction; nobody answers it.

    Why it matters: it keeps idle timers of proxies quiet, but its sender never learns that the peer is gone. .NET does this by
    default.

    What to do: send Pings where a dead peer must be noticed (.NET: KeepAliveTimeout).
    """
    if party.unsolicited < 2 or party.first_unsolicited is None:
        return None
    return Fault("Pongs that answer no Ping", party.first_unsolicited, party.unsolicited)


@rule("PP-07", "RFC 6455 §5.5.2", INFO, "info", "server", "session", when="silent", whole=True)
def no_heartbeat(session: Session, party: Party, peer: Party) -> Fault | None:
    """The server sends no Pings, and the connection was silent for long.

    The RFC says: a Ping may serve as a keep-alive or to verify that the peer still responds. It is not required.

    Why it matters: without one a connection that died (suspended laptop, changed network, forgotten NAT entry) looks idle for
    hours, and proxies close it when their idle timer runs out.

    What to do: let the server ping every 20 to 30 s; browsers cannot, so a client there needs a message of its own.
    """
    silence = session.flow.silence
    if silence < QUIET or party.pings or party.unsolicited:
        return None
    place = Place(session.first_packet, session.started, 0)
    other = "only the client pings" if peer.pings else "neither side pings"
    return Fault(f"no Pings in a connection that was silent for {seconds(silence)}; {other}", place)


@rule("PP-08", "RFC 6455 §5.5.2", INFO, "warning", "sender", "report")
def heartbeat_too_slow(connections: Sequence[Connection], findings: Findings) -> Iterator[tuple[Connection, int, Fault]]:
    """The heartbeat is slower than the path's idle timeout, or nearly.

    The RFC says: nothing about intervals; proxies, load balancers and NAT decide how long silence may last.

    Why it matters: other connections to this server were dropped for idleness in this capture. A heartbeat of nearly that
    interval loses some connections by chance, the hardest kind of fault to reproduce.

    What to do: ping at most every third of the limit, or raise the limit on the path (nginx: proxy_read_timeout).
    """
    limits: dict[tuple[bytes, int], int] = {}
    for end, ended in together(connections).alike[0]:
        for connection in ended if end.cause == "idle-timeout" else ():
            idle = connection.idle
            if idle:
                limits[connection.server] = min(idle, limits.get(connection.server, idle))
    for connection in connections if limits else ():
        limit = limits.get(connection.server)
        if limit is None:
            continue
        heartbeat = connection.detail.heartbeat
        interval, own = heartbeat.interval, heartbeat.application
        if interval is None and own is not None and own.interval and own.interval >= NEAR * limit:
            place = Place(own.packet, own.last, own.offset)
            detail = f"{own.kind} heartbeats every {seconds(own.interval)} where connections to this server die after "
            yield connection, own.side, Fault(f"{detail}{seconds(limit)} of silence", place, own.count)
        if interval is not None and interval >= NEAR * limit:
            client, server = heartbeat.pings
            place = Place(connection.first_packet, connection.started, 0)
            detail = f"Pings every {seconds(interval)} where connections to this server die after {seconds(limit)} of silence"
            yield connection, int(server > client), Fault(detail, place, max(client, server))


@rule("PP-09", "RFC 6455 §5.5.1", INFO, "info", "sender", "session", when="heartbeat")
def ping_after_close(session: Session, party: Party, peer: Party) -> Fault | None:
    """A Ping was sent after the Close.

    The RFC says: after a Close no more data frames are sent. Control frames are not mentioned, but nobody has to answer them.

    Why it matters: harmless, and a sign that the heartbeat does not know of the closing: it may report a timeout for a connection
    that ended well.

    What to do: stop the heartbeat when the closing handshake begins.
    """
    if party.ping_after_close is None:
        return None
    return Fault("Ping after its own Close", party.ping_after_close)


@rule("PP-10", "RFC 6455 §10.4", INFO, "warning", "sender", "session", when="heartbeat")
def ping_flood(session: Session, party: Party, peer: Party) -> Fault | None:
    """Pings come in masses.

    The RFC says: implementations protect themselves against what a peer may send too much of.

    Why it matters: each Ping demands a Pong. Many a second are a fault in a timer, or an attempt to keep the peer busy.

    What to do: look at the sender's timer. If the client is not yours, limit Pings a second.
    """
    if party.pings < MANY_PINGS or party.first_ping is None:
        return None
    span = max(party.last_ping_time - party.first_ping.time, 1)
    if party.pings * SECOND < FLOOD * span:
        return None
    return Fault(f"{party.pings:,} Pings within {seconds(span)}", party.first_ping, party.pings)


@rule("PP-11", "WHATWG WebSockets §4", INFO, "info", "client", "session", when="browser pings")
def browser_sends_ping(session: Session, party: Party, peer: Party) -> Fault | None:
    """A client that calls itself a browser sends Pings.

    The RFC says: any endpoint may send Pings. Browsers give scripts no way to do so and send none by themselves.

    Why it matters: the User-Agent is not the truth: a script or a bot behind a borrowed name, or a proxy that keeps its own
    heartbeat towards the server.

    What to do: nothing for a known proxy. Else treat the client as what it is when you count browsers or trust Origin.
    """
    if not party.pings or party.first_ping is None or not is_browser(session.user_agent):
        return None
    return Fault("Pings from a client whose User-Agent is a browser's", party.first_ping, party.pings)


def unanswered(session: Session, asker: Party, answerer: Party) -> list[Ping]:
    """Pings that had no answer although they arrived and there was time for one. What ended the chance to answer: a Close of
    either side, the end of either half of TCP, the end of what was captured."""
    waiting = asker.waiting
    if not waiting:
        return []
    ends = [session.ended]
    for party in (asker, answerer):
        if party.close is not None:
            ends.append(party.close.place.time)
        if end_of(party):
            ends.append(end_of(party))
    until = min(ends) - patience(session, CLOSE_GRACE)
    arrived = asker.stream.acked if session.tls is None else None  # decrypted offsets are not TCP's
    return [ping for ping in waiting if ping.time <= until and (arrived is None or ping.offset < arrived)]


def wrong_answer(waiting: list[Ping], answerer: Party) -> bool:
    """Whether a Pong with another body came after the first of the Pings that stayed unanswered."""
    return answerer.mismatched is not None and answerer.mismatched.time >= waiting[0].time
