"""Connections that were open when the capture ended, but had been silent for much longer than ever before.

Where nothing comes any more, the receiver of a network that was cut has nothing to repeat: no packet tells of it. That is no end,
so the class stays `ongoing`, but who calls such a connection alive may be wrong. Only a rhythm that stopped says so: a heartbeat,
or bytes that had come all the time. What nobody expected to go on tells nothing by its absence.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, chain

from wsaudit.kernel.compare import heard_of_after
from wsaudit.kernel.connection import Connection
from wsaudit.model import SECOND, Detail, packet_input
from wsaudit.termination.chance import runs
from wsaudit.termination.clusters import Ended, Incident, Population, by_server, group, lasts, looks_at, make, name_of
from wsaudit.termination.words import CONFIRM, seconds

REGULAR = 3  # beats are a rhythm
BEATS = 4  # of them that did not come
RECENT = 2  # intervals: the last beat was not much longer ago when the last packet came
STEADY = 20  # frames, and longest pauses that fit into the time they took: what comes in one go and ends is no rhythm
LONGER = 10  # times the longest pause before
LONG = 10 * SECOND  # shorter ones show no rhythm but of a start
NOTICED = 5 * SECOND  # any silence may last so long
STOPPED, SLOWED = (0.5, 0.45), (0.7, 0.3)  # that it is still open, that it is cut off: without heartbeats, without data
NETWORK = 10 * SECOND  # between two that notice nothing of one cut
CROWD = 5
OUTAGE, HUNG = 0.55, 0.5  # that many of a server fell silent together and no end was captured of any
CUT_OFF = "the network to the peer may be gone, or the peer asleep: who only receives has nothing to repeat"
STUCK = "other connections of these two hosts went on: the network is there, and the peer may have hung"
HANGS = "does the process at the other end hang, or was it stopped: its state, its CPU and its event loop at that time"


def doubt_open(population: Population, last_times: Sequence[int] = ()) -> list[Connection]:
    """The open connections whose rhythm has stopped; their rows are told. `last_times`: of the last packet of each input."""
    ends = last_times or last_seen(population.everyone)
    latest = max(ends, default=0)
    doubtful = []
    for row in chain.from_iterable([rows for end, rows in population.alike if end.kind == "ongoing"]):
        if row.termination.cause != "none" or row.outcome not in ("accepted", "not-captured") or any(row.close):
            continue
        if latest - row.ended < NOTICED:
            continue
        detail = row.detail
        number = packet_input(detail.last_packet)
        silence = (ends[number] if number < len(ends) else 0) - row.ended
        found = None if silence < NOTICED or detail.gaps else rhythm(row, detail, silence)
        if found is not None:
            doubtful.append((row, *found))
    earliest = min([row.ended for row, _, _ in doubtful], default=0)
    others = {two_hosts(row): Others(earliest) for row, _, _ in doubtful}
    for rows in population.everyone.clients if doubtful else ():
        if two_hosts(rows[0]) in others:
            others[two_hosts(rows[0])].add(rows)
    for row, fact, (still, gone) in doubtful:
        hung = others[two_hosts(row)].went_on(row.ended)
        cause = "endpoint-killed" if hung else "network-loss"
        end = row.termination
        row.termination = end._replace(
            confidence=min(end.confidence, still),
            evidence=(*(end.evidence or ()), fact, STUCK if hung else CUT_OFF),
            alternatives=((cause, gone),),
            confirm=HANGS if hung else CONFIRM[cause],
        )
    return [row for row, _, _ in doubtful]


class Others:
    """The connections of two hosts, or of one server's host: was any of them open before a time and heard of long after it?
    `earliest`: no time before this one will be asked about."""

    def __init__(self, earliest: int) -> None:
        self.earliest = earliest
        self.rows: list[tuple[int, int]] = []  # when each began, and when it was heard of last
        self.latest: list[int] = []  # when the last packet came of any that began up to each

    def add(self, rows: list[Connection]) -> None:
        self.rows += heard_of_after(rows, self.earliest + NOTICED)

    def went_on(self, time: int) -> bool:
        if not self.latest:
            self.rows.sort()
            self.latest = list(accumulate([ended for _, ended in self.rows], max))
        before = bisect_left(self.rows, (time, 0))
        return before > 0 and self.latest[before - 1] - time >= NOTICED


def two_hosts(row: Connection) -> tuple[bytes, bytes]:
    return row.client[0], row.server[0]


def last_seen(rows: Sequence[Connection]) -> list[int]:
    """When each input was certainly being written, as far as the connections tell."""
    inputs = {packet_input(row.first_packet) for row in rows}
    ends = [0] * (max(inputs, default=0) + 1)
    for row in rows:
        number = packet_input(row.first_packet)
        seen = row.ended if len(inputs) == 1 else row.started  # its last packet may be in another input
        ends[number] = max(ends[number], seen)
    return ends


def rhythm(row: Connection, detail: Detail, silence: int) -> tuple[str, tuple[float, float]] | None:
    """The rhythm that such a silence breaks, in words, and what it makes of the connection."""
    beat = detail.heartbeat
    beats = [(beat.interval, sum(beat.pings), max(beat.last_ping), "Pings")]
    if beat.application is not None:
        beats.append((beat.application.interval, beat.application.count, beat.application.last, "heartbeats"))
    for interval, count, last, name in beats:
        if interval and count >= REGULAR and row.ended - last <= RECENT * interval and silence >= BEATS * interval:
            fact = f"{name} had come every {seconds(interval)}; in the last {seconds(silence)} of the capture nothing came at all"
            return fact, STOPPED
    lasted, pause = row.ended - row.started, detail.silence
    frames = sum(map(sum, detail.frames))
    if frames >= STEADY and lasted >= max(LONG, STEADY * pause) and silence >= LONGER * pause:
        fact = f"in {seconds(lasted)} no pause was longer than {seconds(pause)}; in the last {seconds(silence)} of the capture "
        return fact + "nothing came at all", SLOWED
    return None


def fell_silent(doubtful: list[Connection], population: Population) -> list[Incident]:
    """Many of one server whose rhythm stopped together: what they have in common did not go on."""
    groups = group([Ended(row.number, row, row.ended) for row in doubtful], by_server)
    others: dict[bytes, Others] = {}
    found = []
    for server, each in sorted(groups.items()):
        times, background = [one.time for one in each], population.around_servers[server].background(each)
        for start, stop in runs(times, background, NETWORK, CROWD, looks_at(groups, CROWD)):
            quiet = each[start:stop]
            if server[0] not in others:
                others[server[0]] = others_at(server[0], population, min(each[0].time for each in groups.values()))
            hung = others[server[0]].went_on(quiet[-1].time)
            cause, sure, other = (
                ("endpoint-killed", HUNG, "network-loss") if hung else ("network-loss", OUTAGE, "endpoint-killed")
            )
            detail = (
                f"{len(quiet)} open connections to {name_of(server)} fell silent within {seconds(lasts(quiet))}, against their "
                "rhythm, and no end of them was captured"
            )
            if hung:
                detail += "; other connections to that host went on"
            found.append(
                make(
                    "mass-silent-end", server, quiet, detail, cause, sure, ((other, 0.3), ("none", 0.3)), HANGS if hung else None
                )
            )
    return found


def others_at(host: bytes, population: Population, earliest: int) -> Others:
    """The connections to any server of a host."""
    found = Others(earliest)
    for server, neighbours in population.servers.items():
        if server[0] == host:
            found.add(neighbours.rows)
    return found
