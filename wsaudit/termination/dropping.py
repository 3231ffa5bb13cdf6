"""Causes of endings without any Close frame (terminations.md T14, T15, T20 to T30, T39 to T42)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsaudit.kernel.constants import BIG
from wsaudit.model import BOTH, CLIENT, SECOND, SERVER, SIDES, Finding, packet_number
from wsaudit.registry import goodbye
from wsaudit.termination.beats import Beat, fitting, missed, regular, unanswered
from wsaudit.termination.cause import Cause, Verdict, decide
from wsaudit.termination.reported import offence
from wsaudit.termination.wire import GIVEN_UP, Wire, gave_up
from wsaudit.termination.words import end_fact, seconds

if TYPE_CHECKING:
    from wsaudit.registry import KeepAlive, Limit, Signatures
    from wsaudit.session import Session

CLOCKS = ("any", "client", "server", "data")  # the order of Session.idle_at
PROMPT = SECOND  # an end within this time of something answers it
FORGETFUL = 60 * SECOND  # no table of flows forgets sooner
STUCK = SECOND // 2  # a zero window for less is everyday life
SHORTEST_IDLE = SECOND * 98 // 100
USUAL_IDLE = SECOND * 49 // 10  # below, limits are so rare that a program that slept for whole seconds and left is likelier
USUAL_IDLE_OF_CLIENT = 19 * SECOND  # and clients that sleep five or ten seconds and leave are scripts, not hops
LAZY = 3 * SECOND // 10  # nginx: NGX_TIMER_LAZY_DELAY
# Settings are whole seconds, then fives, then half minutes: (from, step, how near), each met by chance once in 15 to 25 times.
ROUND = ((120 * SECOND, 30 * SECOND, SECOND), (20 * SECOND, 5 * SECOND, SECOND // 6), (0, SECOND, SECOND // 50))


def dropping_cause(session: Session, end: Wire, findings: list[Finding], signatures: Signatures) -> Verdict:
    """Why a connection ended without a Close."""
    facts = (end_fact(end), "no Close frame of either side before it")
    doubt = 0.1 if session.midstream else 0.0
    if session.icmp:
        time, packet, said = session.icmp[-1]
        if end.time - time < 60 * SECOND:
            found = [Cause("network-loss", 0.85, (f"ICMP in packet {packet_number(packet)}: {said}",))]
            return decide([*found, *silent_causes(session, end, signatures)], facts, doubt)
    if end.how == "silent":
        return decide(silent_causes(session, end, signatures), facts, doubt)
    ender = end.by if end.by in (CLIENT, SERVER) else None
    found = [*farewell_causes(session, end), *idle_causes(session, end, signatures), *stalled_causes(session, end)]
    if end.goodbye is None:
        found += reset_causes(session, end)
    if ender is not None:
        found += keepalive_causes(session, end, ender, signatures)
        found += deaf_causes(session, end, ender)
        found += provoked_causes(session, end, ender, findings)
        found += exit_causes(session, end, ender)
    else:
        found += [Cause("middlebox-reset", 0.4), Cause("abrupt-exit", 0.3)]
    return decide(found, facts, doubt)


# -- nobody said anything ------------------------------------------------------------------------------------


def silent_causes(session: Session, end: Wire, signatures: Signatures) -> list[Cause]:
    """T20a, T24, T41: packets unanswered, then nothing."""
    if end.silent is None:
        return [Cause("network-loss", 0.5, ("later packets use the same ports for a new connection, or none came",))]
    stream = session.parties[end.silent].stream
    peer = SIDES[1 - end.silent]
    lost = stream.offset - stream.acked
    times = 1 + stream.tail_retransmissions
    fact = f"the {peer} never acknowledged the last {lost} bytes, although they, or the first of them, were sent {times} times"
    if session.parties[1 - end.silent].stream.last_time > stream.tail_first_time:
        fact += f"; it was still sending: the network was gone from {SIDES[end.silent]} to {peer} only"
    found = [Cause("network-loss", 0.8, (fact,))]
    beat = unanswered(session, end.silent, end.time)
    if beat is not None:
        words = beat_words(beat, fitting(beat, signatures, closed=None))
        found[0] = found[0]._replace(confidence=0.6)
        found.append(Cause("keepalive-timeout", 0.75, (fact, *words)))
    return found


def deaf_causes(session: Session, end: Wire, ender: int) -> list[Cause]:
    """T24 in one direction: the side that left had not heard its peer for some time."""
    stream = session.parties[1 - ender].stream
    repeated = stream.tail_retransmissions if stream.acked < stream.offset and stream.tail_last_time <= end.time else 0
    if end.how != "fin" or repeated < GIVEN_UP:
        return []
    peer = SIDES[1 - ender]
    fact = f"before, the {peer} had sent its last bytes {1 + repeated} times, and the {SIDES[ender]} acknowledged none"
    return [Cause("network-loss", 0.75, (fact,))]


# -- somebody said goodbye, in other words -------------------------------------------------------------------


def farewell_causes(session: Session, end: Wire) -> list[Cause]:
    """The last message was its protocol's own goodbye (MQTT DISCONNECT and the like)."""
    handshake = session.handshake
    if handshake is None:
        return []
    for party in session.parties:
        for payload, opcode, _, _, last, _, packet, _ in party.frames.beat_rows():
            if last == party.frames.last_data_time and 0 <= end.time - last < PROMPT:
                name = goodbye(opcode, payload, handshake.subprotocol, handshake.target)
                if name is not None:
                    fact = f"the {SIDES[party.side]} had said goodbye in packet {packet_number(packet)}: {name}"
                    return [Cause("normal", 0.85, (fact,))]
    return []


# -- somebody gave up ----------------------------------------------------------------------------------------


def keepalive_causes(session: Session, end: Wire, ender: int, signatures: Signatures) -> list[Cause]:
    """T20: the side that left had a Ping that was overdue, or waited in vain for the peer's."""
    beat = unanswered(session, ender, end.time)
    if beat is None:
        gone = missed(session, ender, end.time)
        return [] if gone is None else [Cause("keepalive-timeout", gone.confidence, (gone.words(),))]
    known = fitting(beat, signatures, closed=False)
    confidence = 0.65 + (0.1 if beat.acked else 0.0) + (0.1 if known is not None or regular(beat) else 0.0)
    return [Cause("keepalive-timeout", confidence, beat_words(beat, known), known.confirm if known else None)]


def beat_words(beat: Beat, known: KeepAlive | None) -> tuple[str, ...]:
    where = f" in packet {packet_number(beat.packet)}" if beat.packet else ""
    words = [f"the {beat.kind} of the {SIDES[beat.side]}{where} had waited {seconds(beat.age)} for {beat.answer}"]
    words.append(
        "TCP had acknowledged it: the host is up, the application does not answer"
        if beat.acked
        else "TCP had not acknowledged it"
    )
    if known is not None:
        words.append(f"interval and patience fit {known.name}")
    return tuple(words)


def stalled_causes(session: Session, end: Wire) -> list[Cause]:
    """T30: a receiver that does not read. Its window may open again when it leaves, after the end that is to be explained. When
    it is the one that leaves, being slow was not why."""
    found = []
    for party in session.parties:
        stream = party.stream
        stuck = end.time - stream.zero_since if stream.zero_since else stream.zero_total
        waited = end.time - session.parties[1 - party.side].stream.last_data_time
        if stuck >= STUCK and stuck * 10 >= waited * 9:
            fact = f"the {SIDES[party.side]}'s receive window had been zero for {seconds(stuck)}"
            if end.by == party.side:
                hung = f"{fact}: it may have hung, and been killed"
                found += [Cause("endpoint-killed", 0.6, (hung,)), Cause("slow-consumer", 0.5, (fact,))]
            else:
                found.append(Cause("slow-consumer", 0.88, (fact,)))
    return found


# -- clocks --------------------------------------------------------------------------------------------------


def idle_causes(session: Session, end: Wire, signatures: Signatures) -> list[Cause]:
    """T21, T22: an idle clock, or the age, stands at a limit."""
    clocks = session.idle_at(end.time)
    found = []
    idle = clocks[0]
    fitting_limits = [
        (limit, clock)
        for name, clock in zip(CLOCKS, clocks, strict=True)
        if clock is not None and clock >= SHORTEST_IDLE
        for limit in signatures.limits_at(clock / SECOND, "idle")
        if limit.clock == name and end.how in limit.wire and not refuted(session, name, clock)
    ]
    server = session.handshake.server_header if session.handshake is not None else None
    nginx = server is not None and "nginx" in server.lower()
    if fitting_limits:
        limit, clock = min(fitting_limits, key=lambda each: rank(each[0], server))
        named = is_named(limit, server)
        confidence = 0.6 + (0.1 if named else 0.0) + (0.05 if is_round(clock) else 0.0)
        fact = f"{quiet(limit.clock)} for {seconds(clock)} when it ended: {limit.where}"
        found.append(Cause("idle-timeout", confidence, (fact, *margin(session, clock)), limit.confirm))
    elif idle is not None and idle >= SHORTEST_IDLE and is_round(idle) and not refuted(session, "any", idle):
        usual = idle >= (USUAL_IDLE_OF_CLIENT if end.by == CLIENT else USUAL_IDLE)
        confidence = 0.65 if nginx else 0.6 if usual else 0.4
        fact = f"{quiet('any')} for {seconds(idle)} when it ended, a whole number of seconds as in a configured limit"
        found.append(Cause("idle-timeout", confidence, (fact, *margin(session, idle))))
    elif idle is not None and nginx and (since := lazy_idle(session, end.time, idle)) and not refuted(session, "any", since):
        fact = (
            f"{quiet('any')} for {seconds(idle)} when it ended, and little in the {seconds(since - idle)} before: nginx lets "
            f"its timer run when traffic would move it by less than 0.3 s, and {seconds(since)} is like a configured limit"
        )
        found.append(Cause("idle-timeout", 0.6, (fact,)))
    age = end.time - session.started
    for limit in signatures.limits_at(age / SECOND, "lifetime"):
        if end.how in limit.wire and (idle is None or idle < age // 2):
            fact = f"the connection was {seconds(age)} old and in use: {limit.where}"
            found.append(Cause("lifetime-limit", 0.5, (fact,), limit.confirm))
            break
    return found


def may_be_limit(clocks: tuple[int, ...], age: int, server: str | None, signatures: Signatures) -> bool:
    """May there be an idle cause where the clocks stood like this (-1: not known), and the connection was so old?"""
    for clock in clocks:
        if clock >= SHORTEST_IDLE and signatures.limits_at(clock / SECOND, "idle"):
            return True
    idle = clocks[0]
    if idle >= SHORTEST_IDLE and is_round(idle):
        return True
    if idle + LAZY >= SHORTEST_IDLE and server is not None and "nginx" in server.lower():
        return True
    return bool(signatures.limits_at(age / SECOND, "lifetime"))


def margin(session: Session, limit: int) -> tuple[str, ...]:
    """How far the heartbeat, if there is one, is from keeping the connection alive."""
    interval, beats = session.heartbeat().interval, "Pings"
    if interval is None and session.application is not None:
        interval, beats = session.application.interval, f"{session.application.kind} heartbeats"
    if interval is None:
        return ()
    left = limit - interval
    if left <= limit // 20:
        return (f"{beats} came every {seconds(interval)}: too seldom for that limit",)
    return (f"{beats} had come every {seconds(interval)}, {seconds(left)} within that limit, and stopped",)


def lazy_idle(session: Session, end: int, idle: int) -> int | None:
    """How long a timer may have run at `end` that the last bytes did not move: a time as of a setting, or None."""
    if idle + LAZY < SHORTEST_IDLE:
        return None
    response = session.handshake.response if session.handshake is not None else None
    moments = [row[0] for party in session.parties for row in party.frames.recent_rows()]
    if response is not None:
        moments.append(response.end_time)
    waits = [end - moment for moment in moments if 0 < end - moment - idle <= LAZY]
    return next((wait for wait in sorted(waits) if wait >= SHORTEST_IDLE and is_round(wait)), None)


def refuted(session: Session, clock: str, value: int) -> bool:
    """Has the connection survived a longer silence before? Then this one was not its limit."""
    return clock in ("any", "data") and session.flow.silence > value + max(value // 50, SECOND // 10)


def is_round(value: int) -> bool:
    """Is it as near to a setting's usual values as few times are by chance?"""
    for start, step, near in ROUND:
        if value >= start:
            return abs((value + step // 2) % step - step // 2) <= near
    return False


def rank(limit: Limit, server: str | None) -> tuple[bool, str]:
    return not is_named(limit, server), limit.name


def is_named(limit: Limit, server: str | None) -> bool:
    """Does the Server header name the product of this limit?"""
    return server is not None and limit.where.split(":")[0].split()[0].lower() in server.lower()


def quiet(clock: str) -> str:
    return {"any": "nothing had been sent", "data": "no data frame had been sent"}.get(clock, f"the {clock} had sent nothing")


# -- resets --------------------------------------------------------------------------------------------------


def reset_causes(session: Session, end: Wire) -> list[Cause]:
    """T23, T25, T27, T42: an RST that is not the endpoint's own, or that answers old news."""
    if end.how != "rst":
        return []
    found = []
    if end.by == BOTH:
        found.append(Cause("middlebox-reset", 0.8, ("RSTs of both sides at the same time: something between them sent both",)))
    for party in session.parties:
        stream = party.stream
        hops = abs(stream.rst_ttl - stream.ttl) if stream.rst_time and stream.rst_ttl and stream.ttl else 0
        if hops and not stream.duplicates:  # two captures of one packet differ by the routers between them
            fact = (
                f"the RST has TTL {stream.rst_ttl}, the {SIDES[party.side]}'s other packets {stream.ttl}: another machine sent it"
            )
            found.append(Cause("middlebox-reset", 0.8 if hops > 1 else 0.65, (fact,)))
    if end.by not in (CLIENT, SERVER):
        return found
    leaver = session.parties[end.by].stream
    if gave_up(leaver):
        fact = f"{leaver.keepalives_unanswered} TCP keep-alive probes of the {SIDES[end.by]} in a row had no answer"
        found.append(Cause("network-loss", 0.85, (fact,)))
    sender = session.parties[1 - end.by].stream
    unread = sender.acked < sender.offset or sender.acked_packet == end.packet  # nothing but the RST acknowledged them
    unread = unread and end.time - max(sender.last_data_time, sender.tail_last_time) < PROMPT
    if unread and sender.tail_retransmissions:
        times = 1 + sender.tail_retransmissions
        fact = f"the RST answers bytes that the {SIDES[1 - end.by]} sent {times} times: nobody knew the connection any more"
        found += [Cause("endpoint-killed", 0.6, (fact,)), Cause("network-loss", 0.45), Cause("flow-forgotten", 0.3)]
    elif unread and session.flow.silence >= FORGETFUL:
        fact = f"the RST answers the first bytes after {seconds(session.flow.silence)} of silence"
        found.append(Cause("flow-forgotten", 0.72, (fact,)))
    return found


# -- provoked, or simply gone --------------------------------------------------------------------------------


def provoked_causes(session: Session, end: Wire, ender: int, findings: list[Finding]) -> list[Cause]:
    """T14, T15: the last thing the other side did was too much."""
    found = []
    broken = offence(findings, 1 - ender, end.time)
    if broken is not None and end.time - broken.place.time < PROMPT:
        where = packet_number(broken.place.packet)
        invalid = broken.rule.startswith("TX")
        fact = f"just before, the {SIDES[1 - ender]} broke {broken.rule} in packet {where}: {broken.detail}"
        found.append(Cause("invalid-data" if invalid else "protocol-error", 0.8, (fact,)))
    frames = session.parties[1 - ender].frames
    if frames.largest >= BIG:
        rows = frames.recent_rows()
        if rows and rows[-1][3] == frames.largest and end.time - max(rows[-1][0], frames.last_time) < PROMPT:
            fact = f"the {SIDES[1 - ender]} was sending, or had just sent, its largest frame: {frames.largest} bytes"
            found.append(Cause("message-too-big", 0.6 if frames.incomplete else 0.45, (fact,)))
    return found


def exit_causes(session: Session, end: Wire, ender: int) -> list[Cause]:
    """T26 to T29: the endpoint, or its process, was simply gone."""
    party, peer = session.parties[ender], session.parties[1 - ender]
    who = SIDES[ender]
    if party.frames.incomplete or party.frames.message > 0:
        what = "frame" if party.frames.incomplete else "message"
        return [Cause("endpoint-killed", 0.7, (f"the {who} ended in the middle of a {what}",)), Cause("abrupt-exit", 0.4)]
    if session.tls is not None and session.tls.close_notify[ender]:
        fact = f"the {who} said goodbye in TLS (close_notify), not in WebSocket: its program ended the connection"
        return [Cause("abrupt-exit", 0.6, (fact,)), Cause("endpoint-killed", 0.2)]
    if (
        end.how == "rst"
        and 0 <= end.time - peer.stream.last_data_time < PROMPT
        and peer.stream.last_data_time > party.stream.last_data_time
    ):
        fact = f"the RST says that bytes of the {SIDES[1 - ender]} were thrown away unread, as when a process dies"
        return [Cause("endpoint-killed", 0.5, (fact,)), Cause("abrupt-exit", 0.45)]
    fact = f"the {who} was neither asked to leave nor provoked"
    if session.tls is not None and session.tls.decrypted and end.how == "fin":
        fact += ", and did not end TLS (close_notify): its process may have died; some programs never do"
    return [Cause("abrupt-exit", 0.5, (fact,)), Cause("endpoint-killed", 0.4)]
