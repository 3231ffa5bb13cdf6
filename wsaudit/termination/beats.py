"""Pings (RFC 6455 §5.5.2) and heartbeats of applications that were not answered when somebody gave up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsaudit.kernel.constants import SHORTEST_WAIT
from wsaudit.kernel.endings import overdue_ping
from wsaudit.model import SECOND, SIDES
from wsaudit.termination.words import seconds

if TYPE_CHECKING:
    from wsaudit.registry import KeepAlive, Signatures
    from wsaudit.session import Session

REGULAR = 3  # beats from which a next one may be expected
MISSED = 1.4  # intervals without a sign of life after which somebody may give up
LONG_GONE = 4  # intervals after which it would have been before
CLOSE_TO = 0.05  # a patience fits an interval within this fraction


class Beat(NamedTuple):
    """A Ping of `side`, or a message that serves as one, that had waited `age` ns for its answer. `packet` 0: it was answered
    after the end. `acked`: TCP took it. `interval`: of the beats before. `keepalives`: names of those that beat in messages."""

    side: int
    age: int
    packet: int
    acked: bool
    interval: int | None
    kind: str = "Ping"
    answer: str = "a Pong"
    keepalives: tuple[str, ...] = ()


def unanswered(session: Session, side: int, time: int) -> Beat | None:
    """The beat of `side` whose answer was overdue at `time`, None when every one had its answer or could still expect it."""
    found = unanswered_ping(session, side, time) if session.parties[side].pings else None
    return unanswered_message(session, side, time) if found is None else found


def unanswered_message(session: Session, side: int, time: int) -> Beat | None:
    """The same for heartbeats that are messages."""
    beat = session.application
    if beat is None or beat.side != side or not beat.waiting_since or beat.last > time:
        return None
    age = time - beat.waiting_since
    if age < max(SHORTEST_WAIT, (beat.interval or SECOND) // 10):  # nobody measured how long an answer takes
        return None
    acked = session.parties[side].stream.acked > beat.offset
    packet = beat.packet if beat.waiting_since == beat.last else 0
    return Beat(side, age, packet, acked, beat.interval, f"{beat.kind} heartbeat", "an answer", beat.keepalives)


def unanswered_ping(session: Session, side: int, time: int) -> Beat | None:
    """The same for Pings."""
    party, peer = session.parties[side], session.parties[1 - side]
    overdue = overdue_ping(party, peer, time)
    if overdue is None:
        return None
    age, packet, offset = overdue
    acked = not packet or party.stream.acked > offset
    return Beat(side, age, packet, acked, party.interval_sum // party.intervals if party.intervals else None)


class Missed(NamedTuple):
    """Beats of the peer that had come every `interval` ns and did not any more: nothing came from it for `silent` ns."""

    kind: str
    side: int
    interval: int
    silent: int

    @property
    def confidence(self) -> float:
        """How likely somebody gave up for it. An MQTT broker does after one and a half keep-alives (MQTT 3.1.1 §3.1.2.10)."""
        if self.kind == "mqtt":
            return 0.75 if self.silent < 2 * self.interval else 0.5
        return 0.7 if self.kind == "engine.io" else 0.55

    def words(self) -> str:
        beats = "Pings" if self.kind == "Ping" else f"{self.kind} heartbeats"
        usual, now = seconds(self.interval), seconds(self.silent)
        return f"{beats} of the {SIDES[self.side]} had come every {usual}; now nothing had come for {now}"


def missed(session: Session, side: int, time: int) -> Missed | None:
    """The beats that `side` waited for at `time` in vain."""
    peer = session.parties[1 - side]
    beat = session.application
    if beat is not None and beat.side == peer.side and beat.count >= REGULAR and beat.interval:
        kind, interval = beat.kind, beat.interval
    elif peer.intervals >= REGULAR - 1:
        kind, interval = "Ping", peer.interval_sum // peer.intervals
    else:
        return None
    silent = time - peer.stream.last_data_time
    if max(MISSED * interval, SECOND) <= silent <= LONG_GONE * interval:
        return Missed(kind, peer.side, interval, silent)
    return None


def fitting(beat: Beat, signatures: Signatures, closed: bool | None) -> KeepAlive | None:
    """A known keep-alive whose interval and patience fit what was seen. `closed`: did it send a Close; None: nothing got out."""
    age = beat.age / SECOND
    interval = None if beat.interval is None else beat.interval / SECOND
    for known in signatures.keepalives:
        if known.role not in (SIDES[beat.side], "either") or not agree(known.closes, closed):
            continue
        if known.beat != "Ping" if beat.kind == "Ping" else known.name not in beat.keepalives:
            continue
        seen = interval if interval is not None else known.interval
        if seen is None or (known.interval is not None and known.ratio is None and not near(seen, known.interval)):
            continue
        patience = known.patience(seen)
        if patience is not None and near(age, patience):
            return known
    return None


def agree(one: bool | None, other: bool | None) -> bool:
    """Are they the same, as far as both are known?"""
    return one is None or other is None or one == other


def near(seen: float, expected: float) -> bool:
    """Equal, as far as timers go."""
    return abs(seen - expected) <= max(CLOSE_TO * expected, 0.03)


def regular(beat: Beat) -> bool:
    """Is the age a whole number of half seconds, or the beat's own interval? Patience is a setting, and settings are round."""
    if beat.interval and near(beat.age, beat.interval):
        return True
    half = SECOND // 2
    off = (beat.age + half // 2) % half - half // 2
    return abs(off) <= SECOND // 40
