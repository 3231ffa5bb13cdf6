"""Pings that were not answered when somebody gave up (RFC 6455 §5.5.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsaudit.model import SECOND

if TYPE_CHECKING:
    from wsaudit.registry import KeepAlive, Signatures
    from wsaudit.session import Session

SHORTEST = SECOND // 5  # no keep-alive is less patient, and no delayed answer is longer on a healthy network
TIMES_RTT = 4
CLOSE_TO = 0.05  # a patience fits an interval within this fraction


class Beat(NamedTuple):
    """A Ping of `side` that had waited `age` ns for its Pong. `packet` 0: it was answered after the end. `acked`: TCP took it."""

    side: int
    age: int
    packet: int
    acked: bool


def maybe_overdue(session: Session, side: int, time: int) -> bool:
    """A quick look: False when every Ping that `side` sent before `time` had its answer by then."""
    party = session.parties[side]
    return bool(party.waiting) or party.last_ping_time <= time < session.parties[1 - side].last_pong_time


def unanswered(session: Session, side: int, time: int) -> Beat | None:
    """The Ping of `side` whose answer was overdue at `time`, None when every Ping had its answer or could still expect it."""
    party, peer = session.parties[side], session.parties[1 - side]
    if not party.pings or not maybe_overdue(session, side, time):
        return None
    sent, packet, offset = 0, 0, 0
    for ping in party.waiting:
        if ping.place.time <= time:
            sent, packet, offset = ping.place.time, ping.place.packet, ping.place.offset
            break
    if not sent and party.last_ping_time <= time < peer.last_pong_time:
        sent = party.last_ping_time
    if not sent:
        return None
    age = time - sent
    quick = min(session.rtts) if session.rtts else 0
    if age < max(SHORTEST, TIMES_RTT * quick if quick < age else 0):
        return None
    acked = not packet or party.stream.acked > offset
    return Beat(side, age, packet, acked)


def fitting(beat: Beat, session: Session, signatures: Signatures) -> KeepAlive | None:
    """A known keep-alive whose interval and patience fit what was seen."""
    party = session.parties[beat.side]
    age = beat.age / SECOND
    interval = party.interval_sum / party.intervals / SECOND if party.intervals else None
    for known in signatures.keepalives:
        seen = interval if interval is not None else known.interval
        if seen is None or (known.interval is not None and known.ratio is None and not near(seen, known.interval)):
            continue
        patience = known.patience(seen)
        if patience is not None and near(age, patience):
            return known
    return None


def near(seen: float, expected: float) -> bool:
    """Equal, as far as timers go."""
    return abs(seen - expected) <= max(CLOSE_TO * expected, 0.03)


def regular(beat: Beat, session: Session) -> bool:
    """Is the age a whole number of half seconds, or the Ping's own interval? Patience is a setting, and settings are round."""
    party = session.parties[beat.side]
    if party.intervals and near(beat.age, party.interval_sum / party.intervals):
        return True
    half = SECOND // 2
    off = (beat.age + half // 2) % half - half // 2
    return abs(off) <= SECOND // 40
