"""Ends that belong together: rows grouped, sorted and cut where the next one is too far away."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple, TypeVar

from wsaudit.model import Connection, address
from wsaudit.termination.closing import evidence_of
from wsaudit.termination.edge import cloudflare
from wsaudit.termination.words import CONFIRM

K = TypeVar("K", bound=Hashable)
Endpoint = tuple[bytes, int]


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


def bursts(members: list[Ended], gap: int) -> Iterator[list[Ended]]:
    """Runs of a sorted list in which each comes within `gap` ns of the one before."""
    run: list[Ended] = []
    for each in members:
        if run and each.time - run[-1].time > gap:
            yield run
            run = []
        run.append(each)
    if run:
        yield run


def equal_values(members: list[tuple[int, Ended]], fraction: float, slack: int) -> Iterator[list[tuple[int, Ended]]]:
    """Runs of sorted (value, row) whose values are all within `fraction` or `slack` ns of the run's first."""
    run: list[tuple[int, Ended]] = []
    for each in members:
        if run and each[0] - run[0][0] > max(int(run[0][0] * fraction), slack):
            yield run
            run = []
        run.append(each)
    if run:
        yield run


class Census:
    """How many connections of a server were open at a time. Sorted when first asked: most servers have no burst to ask about."""

    def __init__(self, members: list[Ended]) -> None:
        self.members = members

    @cached_property
    def starts(self) -> list[int]:
        return sorted([each.row.started for each in self.members])

    @cached_property
    def ends(self) -> list[int]:
        return sorted([end_time(each.row) for each in self.members])

    def open_at(self, time: int) -> int:
        return bisect_right(self.starts, time) - bisect_left(self.ends, time)


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


def by_server(row: Connection) -> Endpoint:
    return row.server
