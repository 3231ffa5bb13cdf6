"""Limits that show only when connections are compared: the same silence, or the same age, again and again."""

from __future__ import annotations

from collections.abc import Hashable

from wsaudit.model import CLIENT, SECOND, SERVER, Connection
from wsaudit.registry import Signatures
from wsaudit.termination.clusters import Ended, Endpoint, Incident, equal_values, explain, name_of
from wsaudit.termination.dropping import is_round
from wsaudit.termination.words import CONFIRM, seconds

SHARED = 3  # connections with one value make a limit
PAIR = 2
UNLIKELY = 5  # times as many as chance would have it
FRACTION = 0.01
SLACK = SECOND // 33
SHORTEST = SECOND * 98 // 100
SHORTEST_AGE = 10 * SECOND
ONE_INSTANT = SECOND  # ends nearer than this are one event, whatever the ages were
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


def find_limits(rows: list[Ended], taken: set[int], signatures: Signatures) -> list[Incident]:
    """Idle limits and lifetime caps; `taken` are the ids that a mass end has explained."""
    free = [each for each in rows if each.id not in taken and each.row.termination.cause in UNSURE]
    found = idle_limits(free, rows, signatures)
    taken = taken | {i for incident in found for i in incident.connections}
    return found + lifetime_caps([each for each in free if each.id not in taken], signatures)


def ender(row: Connection) -> tuple[Endpoint, bytes | None, int | None, str | None]:
    """Who ended it, towards whom, and how: connections of one key meet the same hop."""
    end = row.termination
    return row.server, row.client[0] if end.by == CLIENT else None, end.by, end.how


def idle_limits(free: list[Ended], rows: list[Ended], signatures: Signatures) -> list[Incident]:
    """Silences that several ends have in common."""
    groups: dict[Hashable, list[tuple[int, Ended]]] = {}
    for each in free:
        end = each.row.termination
        if end.kind != "dropped" or end.how not in ("fin", "rst"):
            continue
        idle = each.row.detail.idle[0]
        if idle is not None and idle >= SHORTEST:
            groups.setdefault(ender(each.row), []).append((idle, each))
    if not groups:
        return []
    outlived: dict[Endpoint, int] = {}  # the longest silence that a connection of each server has seen
    for each in rows:
        if each.row.termination.kind in ("refused", "failed"):
            continue  # never open: another timeout was running
        outlived[each.row.server] = max(outlived.get(each.row.server, 0), each.row.detail.silence)
    found = []
    for members in groups.values():
        members.sort(key=value_and_id)
        for run in equal_values(members, FRACTION, SLACK):
            if stands_out(run, members):
                found += shared_idle(run, outlived[run[0][1].row.server], signatures)
    return found


def value_and_id(item: tuple[int, Ended]) -> tuple[int, int]:
    return item[0], item[1].id


def stands_out(run: list[tuple[int, Ended]], members: list[tuple[int, Ended]]) -> bool:
    """Are there more equal values than chance would put so near to each other, given how the others are spread?"""
    others = len(members) - len(run)
    width = max(run[0][0] * FRACTION, SLACK)
    spread = max(members[-1][0] - members[0][0], width)
    expected = others * width / spread
    return len(run) >= PAIR + UNLIKELY * expected if len(run) >= SHARED else len(run) == PAIR and expected < 0.1


def shared_idle(run: list[tuple[int, Ended]], outlived: int, signatures: Signatures) -> list[Incident]:
    """T21 for several: surer, unless another connection of that server outlived a longer silence."""
    value = run[len(run) // 2][0]
    members = [each for _, each in run]
    server = members[0].row.server
    times = [each.time for each in members]
    together = max(times) - min(times) < ONE_INSTANT
    known = [limit for limit in signatures.limits_at(value / SECOND, "idle") if limit.clock == "any"]
    if together and not is_round(value) and not known:
        return []  # one event that hit all of them
    confidence = 0.92 if len(run) >= SHARED else 0.78
    if together:
        confidence -= 0.1
    if outlived > value + value // 20 + SECOND // 10:
        confidence -= 0.25
    confidence = round(confidence, 2)
    fact = f"{len(run)} connections of this server ended after the same silence of {seconds(value)}"
    for each in members:
        explain(each, "idle-timeout", confidence, fact, (("abrupt-exit", 0.2),))
    if len(run) < SHARED:
        return []
    detail = f"{len(run)} connections to {name_of(server)} ended after {seconds(value)} without a byte, whatever their age"
    if known:
        detail += f": {known[0].where}"
    ids = tuple(sorted(each.id for each in members))
    confirm = known[0].confirm if known else CONFIRM["idle-timeout"]
    alternatives = (("abrupt-exit", 0.2),)
    return [
        Incident("idle-limit", server, min(times), max(times), ids, detail, "idle-timeout", confidence, alternatives, confirm)
    ]


def lifetime_caps(free: list[Ended], signatures: Signatures) -> list[Incident]:
    """T22 for several: the ages are equal, the silences are not, and the ends are not one event."""
    groups: dict[Endpoint, list[tuple[int, Ended]]] = {}
    for each in free:
        end = each.row.termination
        age = each.time - each.row.started
        ended_by_server = (end.kind == "dropped" and end.by == SERVER) or end.initiator == SERVER
        if ended_by_server and age >= SHORTEST_AGE:
            groups.setdefault(each.row.server, []).append((age, each))
    found = []
    for server, members in sorted(groups.items()):
        members.sort(key=value_and_id)
        for run in equal_values(members, FRACTION / 2, SECOND // 5):
            times = [each.time for _, each in run]
            idles = [each.row.detail.idle[0] or 0 for _, each in run]
            age = run[len(run) // 2][0]
            if (
                len(run) < SHARED
                or not stands_out(run, members)
                or max(times) - min(times) < ONE_INSTANT
                or min(idles) > age - age // 10
            ):
                continue
            known = signatures.limits_at(age / SECOND, "lifetime")
            confidence = 0.93 if known else 0.9
            fact = f"{len(run)} connections of this server ended at the same age of {seconds(age)}"
            for _, each in run:
                explain(each, "lifetime-limit", confidence, fact)
            detail = f"{len(run)} connections to {name_of(server)} ended at the age of {seconds(age)}, in use or not"
            if known:
                detail += f": {known[0].where}"
            ids = tuple(sorted(each.id for _, each in run))
            found.append(
                Incident("lifetime-cap", server, min(times), max(times), ids, detail, "lifetime-limit", confidence, (),
                         known[0].confirm if known else CONFIRM["lifetime-limit"])
            )  # fmt: skip
    return found
