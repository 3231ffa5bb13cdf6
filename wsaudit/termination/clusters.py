"""Ends that belong together: rows grouped, sorted, and cut to the runs that are no chance."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sized
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple, TypeVar

from wsaudit.model import CLIENT, SECOND, SERVER, Connection, Termination, address
from wsaudit.termination.chance import Background, runs
from wsaudit.termination.closing import evidence_of
from wsaudit.termination.edge import cloudflare
from wsaudit.termination.words import CONFIRM

K = TypeVar("K", bound=Hashable)
Endpoint = tuple[bytes, int]
Numbered = tuple[int, Connection]  # with its id

WITH_CLOSE = ("closed", "close-unanswered")
GOODBYES = (1001, 1012)
NEVER_OPEN = ("refused", "failed")
SAMPLE = 2000  # of connections are enough to know how long they last
INSTANT = SECOND // 1000  # kernels and captures handle packets in batches: less than this between two ends means nothing

AT_ONCE = SECOND // 100  # ends as close as this are one event even where the starts were


class Ended(NamedTuple):
    """A row of the report with its id and the time that is being compared."""

    id: int
    row: Connection
    time: int


class Incident(NamedTuple):
    """One cause, many connections: what the report tells of it."""

    kind: str
    server: Endpoint | None
    start: int
    end: int
    connections: tuple[int, ...]
    detail: str
    cause: str
    confidence: float
    alternatives: tuple[tuple[str, float], ...] = ()
    confirm: str | None = None


def end_time(row: Connection) -> int:
    """When the transport's end began."""
    return row.end_time or row.ended


def group(rows: Iterable[Ended], key: Callable[[Connection], K]) -> dict[K, list[Ended]]:
    """Rows by `key`, each group in the order of `time`."""
    groups: dict[K, list[Ended]] = defaultdict(list)
    for each in rows:
        groups[key(each.row)].append(each)
    for members in groups.values():
        members.sort(key=time_and_id)
    return groups


def time_and_id(each: Ended) -> tuple[int, int]:
    return each.time, each.id


class Population:
    """The connections that are compared, each with its id: all but those of which nobody knows that they were WebSockets, unless
    they are still open.

    `alike` are the same by how they ended, before anything was found by comparison: of thousands that ended alike, most share one
    object (termination.Explainer).
    """

    def __init__(self, rows: Iterable[Numbered]) -> None:
        self.rows = [each for each in rows if not each[1].probable or each[1].termination.kind == "ongoing"]
        groups: dict[int, tuple[Termination, list[Numbered]]] = {}
        for each in self.rows:
            end = each[1].termination
            known = groups.get(id(end))
            if known is None:
                groups[id(end)] = end, [each]
            else:
                known[1].append(each)
        self.alike = list(groups.values())

    def without(self, ids: Container[int]) -> Population:
        return Population([each for each in self.rows if each[0] not in ids])

    @cached_property
    def closed_by_clients(self) -> list[Connection]:
        """Those that lasted as long as their clients wanted: some of them, spread over all, when there are many."""
        found = [row for end, rows in self.alike if end.initiator == CLIENT and is_natural(end) for _, row in rows]
        return found[:: len(found) // SAMPLE + 1]

    @cached_property
    def servers(self) -> dict[Endpoint, Neighbours]:
        """The connections of each server."""
        return self.neighbours(by_server, {row.server for _, row in self.rows})

    def neighbours(self, key: Callable[[Connection], K], wanted: Iterable[K]) -> dict[K, Neighbours]:
        """The connections of each of `wanted`."""
        found = {each: Neighbours() for each in wanted}
        for end, rows in self.alike:
            natural, by_server = is_natural(end), end.initiator == SERVER
            for _, row in rows:
                near = found.get(key(row))
                if near is not None:
                    near.rows.append(row)
                    if natural and not (by_server and says_goodbye(row)):
                        near.natural.append(end_time(row))
        return found


class Neighbours:
    """The connections of one server, or of one client's host: what was open at a time, and how ends would lie by chance.

    `natural` are the times of ends that nobody takes for a part of an incident: there was a Close, no keep-alive sent it, and it
    was no server's goodbye. What is sorted is sorted when first asked: most have no burst to ask about.
    """

    def __init__(self) -> None:
        self.rows: list[Connection] = []
        self.natural: list[int] = []
        self.over = 0

    @cached_property
    def starts(self) -> list[int]:
        return sorted([row.started for row in self.rows])

    @cached_property
    def ends(self) -> list[int]:
        return sorted([end_time(row) for row in self.rows])

    @cached_property
    def background(self) -> Background:
        first, last = min([row.started for row in self.rows]), max([row.ended for row in self.rows])
        return Background(sorted(self.natural), first, last, INSTANT)

    @cached_property
    def by_start(self) -> list[Connection]:
        return sorted(self.rows, key=started)

    @cached_property
    def longest_silence(self) -> int:
        """But for those that never opened: while a handshake waits for its answer, other timeouts run."""
        return max([row.detail.silence for row in self.rows if row.termination.kind not in NEVER_OPEN], default=0)

    def open_at(self, time: int) -> int:
        return bisect_right(self.starts, time) - bisect_left(self.ends, time)

    def oldest_open(self, time: int, besides: Container[int]) -> int | None:
        """When the oldest connection began that is still open after `time`, but for those whose first packet is in `besides`.

        To be asked in the order of time: those that have ended by then are not looked at again.
        """
        rows = self.by_start
        while self.over < len(rows) and end_time(rows[self.over]) <= time:
            self.over += 1
        for i in range(self.over, len(rows)):
            row = rows[i]
            if row.started > time:
                return None
            if end_time(row) > time and row.first_packet not in besides:
                return row.started
        return None


def bursts(members: list[Ended], neighbours: Neighbours, gap: int, least: int, looks: int) -> Iterator[list[Ended]]:
    """Runs of ends, sorted by time and within `gap` ns of the one before, that chance does not bring together (chance.py).

    Connections that began together and grew equally old prove no event at the time of their end: they had as long to do.
    """
    if len(members) < least:
        return
    for start, stop in runs([each.time for each in members], neighbours.background, gap, least, looks):
        burst = members[start:stop]
        if not grew_equally_old(burst):
            yield burst


def is_natural(end: Termination) -> bool:
    """Does nobody take such an end for a part of an incident, unless it was a server's goodbye?"""
    return end.kind in WITH_CLOSE and end.cause != "keepalive-timeout"


def says_goodbye(row: Connection) -> bool:
    """Does the server's Close say that the server stops?"""
    close = row.close[SERVER]
    return close is not None and close.code in GOODBYES


def grew_equally_old(burst: list[Ended]) -> bool:
    """Were the ages as close to each other as the ends, or had the starts been closer already?"""
    starts = [each.row.started for each in burst]
    ages = [each.time - each.row.started for each in burst]
    width = lasts(burst)
    return max(ages) - min(ages) <= width or (width > AT_ONCE and max(starts) - min(starts) <= width)


def lasts(burst: list[Ended]) -> int:
    return burst[-1].time - burst[0].time


def looks_at(groups: Mapping[K, Sized], least: int) -> int:
    """How many of the groups could show a run of `least`."""
    return sum([len(members) >= least for members in groups.values()])


def make(
    kind: str, server: Endpoint | None, members: list[Ended], detail: str, cause: str, confidence: float,
    alternatives: tuple[tuple[str, float], ...] = (), confirm: str | None = None,
) -> Incident:  # fmt: skip
    """The incident of these ends, which are sorted by time."""
    ids = tuple(sorted([each.id for each in members]))
    return Incident(
        kind, server, members[0].time, members[-1].time, ids, detail, cause, confidence, alternatives, confirm or CONFIRM[cause]
    )


def explain(each: Ended, cause: str, confidence: float, fact: str, alternatives: tuple[tuple[str, float], ...] = ()) -> None:
    """Give a row the explanation that only the comparison with others could give."""
    found = each.row.termination
    others = dict(alternatives)
    for other, weight in (*found.alternatives, (found.cause, found.confidence)):
        if other not in (cause, "unknown", "none"):
            others[other] = max(others.get(other, 0.0), min(weight, round(confidence - 0.3, 2), 0.4))
    runners_up = sorted(((name, weight) for name, weight in others.items() if weight > 0.05), key=by_weight)
    each.row.termination = found._replace(
        cause=cause,
        confidence=confidence,
        evidence=(*evidence_of(each.row), fact),
        alternatives=tuple(runners_up[:3]),
        confirm=CONFIRM[cause],
        cloudflare=cloudflare(found.kind, found.how, found.by, cause),
    )


def by_weight(item: tuple[str, float]) -> tuple[float, str]:
    return -item[1], item[0]


def name_of(end: Endpoint) -> str:
    """An endpoint as `address:port`."""
    text = address(end[0])
    return f"[{text}]:{end[1]}" if ":" in text else f"{text}:{end[1]}"


by_server: Callable[[Connection], Endpoint] = attrgetter("server")
started: Callable[[Connection], int] = attrgetter("started")


def by_client_host(row: Connection) -> bytes:
    return row.client[0]
