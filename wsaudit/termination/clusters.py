"""Ends that belong together: rows grouped, sorted, and cut to the runs that are no chance."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sized
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import NamedTuple, TypeVar

from wsaudit.kernel import compare
from wsaudit.kernel.connection import Connection
from wsaudit.model import CLIENT, SECOND, SERVER, Termination, address
from wsaudit.termination.chance import Background, runs
from wsaudit.termination.closing import evidence_of
from wsaudit.termination.edge import cloudflare
from wsaudit.termination.words import CONFIRM
from wsaudit.together import together

K = TypeVar("K", bound=Hashable)
Endpoint = tuple[bytes, int]

WITH_CLOSE = ("closed", "close-unanswered")
GOODBYES = (1001, 1012)
NEVER_OPEN = ("refused", "failed")
FEW = 3  # ends are a mass when they were all that was open
SAMPLE = 10_000
NEVER = 1 << 63
FEWER = 2000  # are enough to know how long connections last
INSTANT = SECOND // 1000  # kernels and captures handle packets in batches: less than this between two ends means nothing

AT_ONCE = SECOND // 100  # ends as close as this are one event even where the starts were


class Ended(NamedTuple):
    """A row of the report with its id and the time that is being compared."""

    id: int
    row: Connection
    time: int


class Incident(NamedTuple):
    """One cause, many connections: what the report tells of it. `other_legs`: how many of these are on a proxy's other side, not
    connections to `server`."""

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
    other_legs: int = 0


def end_time(row: Connection) -> int:
    """When the transport's end began."""
    return row.end_time or row.ended


def ends_of(rows: list[Connection]) -> list[Ended]:
    """These rows with the times of their ends."""
    return [Ended(row.number, row, row.end_time or row.ended) for row in rows]


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
    """The connections that are compared: of `everyone` all but those of which nobody knows that they were WebSockets, unless they
    are still open.

    `alike` are the same by how they ended, before anything was found by comparison. `refused`: when connects to each server were
    answered with an RST, in order.
    """

    def __init__(self, rows: Iterable[Connection]) -> None:
        self.everyone = together(rows)
        self.alike, others = self.everyone.alike
        self.refused: dict[Endpoint, list[int]] = defaultdict(list)
        for row in others:
            if row.termination.cause == "connect-failed" and row.termination.how == "rst":
                self.refused[row.server].append(end_time(row))
        for times in self.refused.values():
            times.sort()

    @cached_property
    def rows(self) -> list[Connection]:
        """All of them, those that ended alike together."""
        return list(chain.from_iterable([rows for _, rows in self.alike]))

    def without(self, ids: Container[int]) -> Population:
        rest = Population([row for row in self.rows if row.number not in ids])
        rest.refused = self.refused
        return rest

    @cached_property
    def sample(self) -> Sample:
        """Some, of each way to end, when there are many: enough to know how ends lie by chance."""
        step = len(self.rows) // SAMPLE + 1
        found = Sample([], [], [])
        ahead = 0  # how many of the next ones are not taken
        for end, rows in self.alike:
            taken = rows[ahead::step]
            ahead = (ahead - len(rows)) % step
            found.rows.extend(taken)
            found.natural.extend(natural_ends(end, taken))
            if end.initiator == CLIENT:
                found.left.extend(natural_ends(end, taken))
        return found

    @cached_property
    def closed_by_clients(self) -> list[Connection]:
        """Those of the sample that lasted as long as their clients wanted."""
        found = self.sample.left
        return found[:: len(found) // FEWER + 1]

    @cached_property
    def servers(self) -> dict[Endpoint, Neighbours]:
        """The connections of each server."""
        return {each: Neighbours(rows) for each, rows in compare.by_server(self.rows).items()}

    @cached_property
    def hosts(self) -> dict[bytes, Neighbours]:
        """The connections of each client's host."""
        return {each: Neighbours(rows) for each, rows in compare.by_client_host(self.rows).items()}

    @cached_property
    def around_servers(self) -> dict[Endpoint, Surroundings]:
        """What the sample tells of each server."""
        return surroundings(self.sample, compare.by_server)

    @cached_property
    def around_hosts(self) -> dict[bytes, Surroundings]:
        """What the sample tells of each client's host."""
        return surroundings(self.sample, compare.by_client_host)


class Sample(NamedTuple):
    """Some connections; those of them with natural ends; those that their clients ended so."""

    rows: list[Connection]
    natural: list[Connection]
    left: list[Connection]


class Surroundings:
    """How ends would lie by chance at one server, or at one client's host: like the natural ones, as long as it was seen."""

    def __init__(self) -> None:
        self.natural: list[int] = []  # in order
        self.first = NEVER
        self.last = 0

    def background(self, members: list[Ended]) -> Background:
        """For ends of `members`, who belong to it as well."""
        first = min(self.first, *[each.row.started for each in members])
        last = max(self.last, *[each.row.ended for each in members])
        return Background(self.natural, first, last, INSTANT)


def surroundings(sample: Sample, by: Callable[[list[Connection]], dict[K, list[Connection]]]) -> dict[K, Surroundings]:
    """What a sample tells of each group that `by` makes."""
    found: dict[K, Surroundings] = defaultdict(Surroundings)
    for key, rows in by(sample.rows).items():
        found[key].first, found[key].last = compare.span(rows)
    for key, rows in by(sample.natural).items():
        found[key].natural = sorted(compare.end_times(rows))
    return found


class Neighbours:
    """The connections of one server, or of one client's host: what was open at a time. Sorted when first asked."""

    def __init__(self, rows: list[Connection]) -> None:
        self.rows = rows
        self.over = 0

    @cached_property
    def starts(self) -> list[int]:
        return sorted([row.started for row in self.rows])

    @cached_property
    def ends(self) -> list[int]:
        return sorted([end_time(row) for row in self.rows])

    @cached_property
    def by_start(self) -> list[Connection]:
        return sorted(self.rows, key=started)

    @cached_property
    def longest_silence(self) -> int:
        """But for those that never opened: while a handshake waits for its answer, other timeouts run."""
        return max([row.silence for row in self.rows if row.termination.kind not in NEVER_OPEN], default=0)

    def open_at(self, time: int) -> int:
        return bisect_right(self.starts, time) - bisect_left(self.ends, time)

    def next_answer(self, time: int) -> tuple[int, int | None] | None:
        """When the first client that connected after `time` was answered, and with which status; None: nobody was."""
        rows = self.by_start
        for i in range(bisect_right(self.starts, time), len(rows)):
            row = rows[i]
            if row.latency is not None and row.outcome in ("accepted", "refused"):
                return row.started + row.latency, row.status
        return None

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


def bursts(members: list[Ended], surroundings: Surroundings, gap: int, least: int, looks: int) -> Iterator[list[Ended]]:
    """Runs of ends, sorted by time and within `gap` ns of the one before, that chance does not bring together (chance.py).

    Connections that began together and grew equally old prove no event at the time of their end: they had as long to do.
    """
    if len(members) < least:
        return
    for start, stop in runs([each.time for each in members], surroundings.background(members), gap, least, looks):
        burst = members[start:stop]
        if not grew_equally_old(burst):
            yield burst


def natural_ends(end: Termination, rows: list[Connection]) -> list[Connection]:
    """Of connections with this end those that nobody takes for a part of an incident at that time: there was a Close, no
    keep-alive sent it, and it was no server's goodbye."""
    if end.kind not in WITH_CLOSE or end.cause == "keepalive-timeout":
        return []
    if end.initiator != SERVER:
        return rows
    goodbyes = {row.number for row in goodbyes_of(rows)}
    return compare.besides(rows, goodbyes) if goodbyes else rows


def goodbyes_of(rows: list[Connection]) -> list[Connection]:
    """Those in which the server's Close says that the server stops."""
    return compare.that_said(rows, SERVER, GOODBYES)


def grew_equally_old(burst: list[Ended]) -> bool:
    """Were the ages as close to each other as the ends, or had the starts been closer already?"""
    starts = [each.row.started for each in burst]
    ages = [each.time - each.row.started for each in burst]
    width = lasts(burst)
    return max(ages) - min(ages) <= width or (width > AT_ONCE and max(starts) - min(starts) <= width)


def lasts(burst: list[Ended]) -> int:
    return burst[-1].time - burst[0].time


def apart(burst: list[Ended]) -> int | None:
    """How much farther the ends lie from one another than the silences before them do, in ns; None when a silence is unknown.

    A limit's timers start with the last bytes: the silences are equal, and the ends as far apart as the last bytes were. One
    event that ends all of them is the other way round (measured: killed backends, and HAProxy's timeout tunnel).
    """
    idle = [each.row.idle for each in burst]
    known = [value for value in idle if value is not None]
    return lasts(burst) - (max(known) - min(known)) if len(known) == len(burst) else None


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
