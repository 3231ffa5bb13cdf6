"""Limits that show only when connections are compared: the same silence, or the same age, again and again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from itertools import chain
from math import log

from wsaudit.kernel import compare
from wsaudit.kernel.connection import Connection
from wsaudit.model import CLIENT, SECOND, SERVER, Termination
from wsaudit.registry import Signatures
from wsaudit.termination.chance import Background, runs
from wsaudit.termination.clusters import (
    INSTANT,
    Ended,
    Endpoint,
    Incident,
    Population,
    apart,
    end_time,
    ends_of,
    explain,
    lasts,
    make,
    name_of,
    time_and_id,
)
from wsaudit.termination.dropping import is_round
from wsaudit.termination.words import seconds

SHARED = 3  # connections with one value make a limit
PAIR = 2
FRACTION = 0.01
SLACK = SECOND // 33
AGE_FRACTION = 0.005
AGE_SLACK = SECOND // 5
WIDEST = 0.03  # between the logarithms of two values that may be one
GRAIN = 0.001  # of a value: timers are no better
ROUND_ODDS = 15  # to one against a value that is like a setting by chance (dropping.is_round)
SHORTEST = SECOND * 98 // 100
SHORTEST_AGE = 10 * SECOND
SCRIPTED = 0.55  # a limit, where a client's program would show the same
ONE_INSTANT = SECOND  # ends nearer than this are one event, whatever the ages were
Value = tuple[int, int, Connection]  # a duration, whose
Alike = list[tuple[Termination, list[Connection]]]  # as of clusters.Population

UNSURE = (
    "abrupt-exit",
    "endpoint-killed",
    "idle-timeout",
    "flow-forgotten",
    "middlebox-reset",
    "unknown",
    "lifetime-limit",
    "going-away",
    "normal",
)


def find_limits(population: Population, taken: set[int], signatures: Signatures) -> list[Incident]:
    """Idle limits and lifetime caps; `taken` are the ids that a mass end has explained."""
    free = [
        (end, rows)
        for end, rows in population.alike
        if (end.kind == "dropped" or end.initiator == SERVER) and end.cause in UNSURE
    ]
    free = left_over(free, taken)
    found = idle_limits(free, population, signatures)
    taken = {i for incident in found for i in incident.connections}
    return found + lifetime_caps(left_over(free, taken), population, signatures)


def left_over(alike: Alike, taken: set[int]) -> Alike:
    """Those whose ids are not `taken`."""
    return [(end, compare.besides(rows, taken)) for end, rows in alike] if taken else alike


class Durations:
    """How long something lasted, for connections that meet the same hop: all are counted, those are kept that may be limited."""

    def __init__(self) -> None:
        self.count = 0
        self.values: list[Value] = []


def ender(row: Connection) -> tuple[Endpoint, bytes | None, int | None, str | None]:
    """Who ended it, towards whom, and how: connections of one key meet the same hop."""
    end = row.termination
    return row.server, row.client[0] if end.by == CLIENT else None, end.by, end.how


def idle_limits(free: Alike, population: Population, signatures: Signatures) -> list[Incident]:
    """Silences that several ends have in common."""
    groups: dict[Hashable, Durations] = defaultdict(Durations)
    for end, rows in free:
        for row in rows if end.kind == "dropped" and end.how in ("fin", "rst") else ():
            if (idle := row.idle) is not None:
                group = groups[ender(row)]
                group.count += 1
                if idle >= SHORTEST:
                    group.values.append((idle, row.number, row))
    looked_at = [each for each in groups.values() if len(each.values) >= PAIR]
    if not looked_at:
        return []
    background = background_of([row.idle or 0 for row in population.closed_by_clients], looked_at)
    found = []
    for each in looked_at:
        rare = list(equal_values(each, background, PAIR, len(looked_at), FRACTION, SLACK))
        for run in equal_values(each, background, PAIR, len(looked_at) / ROUND_ODDS, FRACTION, SLACK):
            if run not in rare and (len(run) < SHARED or not is_round(run[len(run) // 2][0])):
                continue
            found += shared_idle(run, population.servers[run[0][2].server].longest_silence, signatures)
    return found


def background_of(natural: Iterable[int], groups: Iterable[Durations]) -> Background:
    """How durations lie by chance: like those of connections that their clients closed, or evenly between the shortest and the
    longest; in logarithms, because nobody knows whether seconds or hours are usual."""
    known = sorted([log(max(value, INSTANT)) for value in natural])
    suspects = [value for each in groups for value, _, _ in each.values]
    low, high = min([log(min(suspects)), *known[:1]]), max([log(max(suspects)), *known[-1:]])
    return Background(known, low, max(high, low + 1), GRAIN)


def equal_values(
    group: Durations, background: Background, least: int, looks: float, fraction: float, slack: int
) -> Iterator[list[Value]]:
    """Runs of at least `least` values that are all within `fraction` or `slack` ns of the first, by no chance."""
    members = sorted(group.values, key=value_and_id)
    values = [log(value) for value, _, _ in members]
    for start, stop in runs(values, background, WIDEST, least, looks, group.count):
        run = members[start:stop]
        if run[-1][0] - run[0][0] <= max(run[0][0] * fraction, slack):
            yield run


def value_and_id(value: Value) -> tuple[int, int]:
    return value[0], value[1]


def shared_idle(run: list[Value], outlived: int, signatures: Signatures) -> list[Incident]:
    """T21 for several: surer, unless another connection of that server outlived a longer silence."""
    value = run[len(run) // 2][0]
    members = ends_of_run(run)
    together = lasts(members) < ONE_INSTANT
    known = [limit for limit in signatures.limits_at(value / SECOND, "idle") if limit.clock == "any"]
    if together and ((not is_round(value) and not known) or (apart(members) or 0) <= -INSTANT):
        return []  # one event that hit all of them
    confidence = 0.92 if len(run) >= SHARED else 0.78
    if together:
        confidence -= 0.1
    if outlived > value + value // 20 + SECOND // 10:
        confidence -= 0.25
    others: tuple[tuple[str, float], ...] = (("abrupt-exit", 0.2),)
    scripted = len(run) >= SHARED and members[0].row.termination.by == CLIENT and equally_old(members)
    if scripted:  # as those of a load test that sleeps and leaves
        confidence, others = min(confidence, SCRIPTED), (("abrupt-exit", 0.45),)
    confidence = round(confidence, 2)
    fact = f"{len(run)} connections of this server ended after the same silence of {seconds(value)}"
    for each in members:
        explain(each, "idle-timeout", confidence, fact, others)
    if len(run) < SHARED:
        return []
    server = members[0].row.server
    ages = "; all were of one age, as a program's would be that sleeps and leaves" if scripted else ", whatever their age"
    detail = f"{len(run)} connections to {name_of(server)} ended after {seconds(value)} without a byte{ages}"
    if known:
        detail += f": {known[0].where}"
    confirm = known[0].confirm if known else None
    return [make("idle-limit", server, members, detail, "idle-timeout", confidence, others, confirm)]


def equally_old(members: list[Ended]) -> bool:
    """Had these lasted equally long when they ended?"""
    ages = [each.time - each.row.started for each in members]
    return max(ages) - min(ages) <= max(max(ages) * FRACTION, SLACK)


def ends_of_run(run: list[Value]) -> list[Ended]:
    """Whose these durations are, by the time of their ends."""
    return sorted(ends_of([row for _, _, row in run]), key=time_and_id)


def lifetime_caps(free: Alike, population: Population, signatures: Signatures) -> list[Incident]:
    """T22 for several: the ages are equal, the silences are not, and the ends are not one event."""
    groups: dict[Endpoint, Durations] = defaultdict(Durations)
    by_server = compare.by_server(list(chain.from_iterable([rows for end, rows in free if SERVER in (end.by, end.initiator)])))
    for server, rows in by_server.items():
        groups[server].count = len(rows)
        groups[server].values = compare.ages(rows, SHORTEST_AGE)
    looked_at = {server: each for server, each in sorted(groups.items()) if len(each.values) >= SHARED}
    if not looked_at:
        return []
    background = background_of([end_time(row) - row.started for row in population.closed_by_clients], looked_at.values())
    found = []
    for server, each in looked_at.items():
        for run in equal_values(each, background, SHARED, len(looked_at), AGE_FRACTION, AGE_SLACK):
            age = run[len(run) // 2][0]
            members = ends_of_run(run)
            in_use = min([row.idle or 0 for _, _, row in run]) <= age - age // 10
            if in_use and lasts(members) >= ONE_INSTANT:
                found.append(lifetime_cap(server, members, age, signatures))
    return found


def lifetime_cap(server: Endpoint, members: list[Ended], age: int, signatures: Signatures) -> Incident:
    known = signatures.limits_at(age / SECOND, "lifetime")
    fact = f"{len(members)} connections of this server ended at the same age of {seconds(age)}"
    confidence = 0.93 if known else 0.9
    for each in members:
        explain(each, "lifetime-limit", confidence, fact)
    detail = f"{len(members)} connections to {name_of(server)} ended at the age of {seconds(age)}, in use or not"
    if known:
        detail += f": {known[0].where}"
    confirm = known[0].confirm if known else None
    return make("lifetime-cap", server, members, detail, "lifetime-limit", confidence, (), confirm)
