"""Both legs of one connection in one capture: which of them ended first, and what the proxy between them only passed on.

A proxy forwards Sec-WebSocket-Key as it came, so two connections of one key, the second opened while the handshake of the first
was under way, are the legs of one (checked with nginx and HAProxy).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from itertools import pairwise

from wsaudit.model import CLIENT, SECOND, SERVER
from wsaudit.termination.clusters import Ended, Incident, Population, end_time, explain, name_of
from wsaudit.termination.words import seconds

PASSED_ON = SECOND // 4  # proxies that end one leg end the other within milliseconds
MOST_LEGS = 4  # more connections of one key are clients that always send the same one
UNEXPLAINED = ("abrupt-exit", "endpoint-killed")  # as one leg alone tells it
BOTH_LEGS = 0.7  # neither endpoint left: a setting of the proxy is likelier than its death at a whole second
AFTER_SYN = SECOND  # from a connection's first packet to its request


def find_legs(population: Population) -> list[tuple[Ended, Ended]]:
    """Legs of one connection that both ended without a Close, next to each other on the way, as (client's, server's)."""
    keys = Counter([row.key for end, rows in population.alike if end.kind == "dropped" for row in rows])
    shared = {key for key, count in keys.items() if count > 1 and key is not None}
    by_key: dict[str, list[Ended]] = {}
    for row in population.rows if shared else ():
        if row.key in shared and row.latency is not None and row.termination.kind != "ongoing":
            by_key.setdefault(row.key or "", []).append(Ended(row.number, row, end_time(row)))
    pairs = []
    for legs in by_key.values():
        if 2 <= len(legs) <= MOST_LEGS:
            legs.sort(key=opened)
            pairs += [pair for pair in pairwise(legs) if of_one(*pair) and ended_together(*pair)]
    return pairs


def opened(each: Ended) -> tuple[int, int]:
    return each.row.started, each.id


def of_one(front: Ended, back: Ended) -> bool:
    """Was the second opened while the first waited for its answer?"""
    waited = back.row.started - front.row.started
    return front.row.server != back.row.server and waited <= (front.row.latency or 0) + AFTER_SYN


def ended_together(front: Ended, back: Ended) -> bool:
    ends = front.row.termination, back.row.termination
    return abs(front.time - back.time) <= PASSED_ON and all(
        end.kind == "dropped" and end.how in ("fin", "rst") and end.by in (CLIENT, SERVER) for end in ends
    )


def passed_on(pairs: list[tuple[Ended, Ended]]) -> dict[int, Ended]:
    """By the id of a leg that was ended only because the other one had been: that other leg."""
    origin: dict[int, Ended] = {}
    for front, back in pairs:
        by = front.row.termination.by, back.row.termination.by
        if by == (SERVER, SERVER) and back.time <= front.time:
            origin[front.id] = back
        elif by == (CLIENT, CLIENT) and front.time <= back.time:
            origin[back.id] = front
    return origin


def explain_legs(pairs: list[tuple[Ended, Ended]], origin: dict[int, Ended], taken: Container[int]) -> None:
    """Give legs the explanation of the other one where that one tells more. Called when all else has been explained; `taken` are
    the ids that an incident has explained."""
    for front, back in pairs:
        first = origin.get(front.id) or origin.get(back.id)
        if first is not None:
            other = front if first is back else back
            after = seconds(other.time - first.time)
            fact = f"the other leg of this connection ({ends(first)}) had ended {after} before: a proxy passed it on"
            share(first, other, fact)
        elif (front.row.termination.by, back.row.termination.by) == (SERVER, CLIENT) and not (
            front.id in taken and back.id in taken
        ):
            sure, other = sorted((front, back), key=surest)
            if sure.row.termination.cause in UNEXPLAINED and (either := limited(front) or limited(back)):
                fact = f"something between them ended both legs of this connection after {seconds(either)} of silence"
                for each in (front, back):
                    explain(each, "idle-timeout", BOTH_LEGS, fact)
            elif sure.row.termination.cause != other.row.termination.cause:
                share(sure, other, f"the proxy ended the other leg of this connection ({ends(sure)}) as well")
            elif sure.row.termination.cause in UNEXPLAINED:  # neither endpoint left
                for each, twin in ((front, back), (back, front)):
                    share(twin, each, f"the proxy ended the other leg of this connection ({ends(twin)}) as well")
            elif sure.row.termination.confidence > other.row.termination.confidence:
                share(sure, other, f"the proxy ended the other leg of this connection ({ends(sure)}) as well")


def one_limit(found: list[Incident], pairs: list[tuple[Ended, Ended]]) -> list[Incident]:
    """Limits, the idle limit of a proxy once: it ends both legs of its tunnels, and both show the same silence. It is told of
    the clients' legs; those to the backends are `other_legs`."""
    other = {
        front.id: back.id for front, back in pairs if (front.row.termination.by, back.row.termination.by) == (SERVER, CLIENT)
    }
    limits = [each for each in found if each.kind == "idle-limit"]
    limit_of = {i: number for number, each in enumerate(limits) for i in each.connections}
    backs_of, merged = [], set()
    for each in limits:
        backs = {other[i] for i in each.connections if i in other}
        for number, count in Counter([limit_of[i] for i in backs if i in limit_of]).items():
            if count * 2 > len(limits[number].connections):
                merged.add(number)
                backs.update(limits[number].connections)
        backs_of.append(backs)
    told = [with_backs(each, backs_of[number]) for number, each in enumerate(limits) if number not in merged]
    return told + [each for each in found if each.kind != "idle-limit"]


def with_backs(limit: Incident, backs: set[int]) -> Incident:
    """An idle limit together with the backends' legs that it ended too."""
    if not backs:
        return limit
    detail = f"{limit.detail}; the proxy ended {len(backs)} other legs of these as well"
    return limit._replace(connections=tuple(sorted(backs.union(limit.connections))), detail=detail, other_legs=len(backs))


def limited(each: Ended) -> int | None:
    """The silence before this end, if it is as long as a setting may be."""
    possible = any(cause == "idle-timeout" for cause, _ in each.row.termination.alternatives)
    return each.row.idle if possible else None


def surest(each: Ended) -> tuple[float, int]:
    return -each.row.termination.confidence, each.id


def ends(each: Ended) -> str:
    return f"{name_of(each.row.client)} to {name_of(each.row.server)}"


def share(known: Ended, other: Ended, fact: str) -> None:
    """Explain `other` as `known` is explained."""
    end = known.row.termination
    explain(other, end.cause, end.confidence, fact, end.alternatives)
    other.row.termination = other.row.termination._replace(confirm=end.confirm)


def with_legs(incident: Incident, origin: dict[int, Ended]) -> Incident:
    """An incident together with the legs to which proxies passed it on."""
    members = set(incident.connections)
    more = [leg for leg, first in origin.items() if first.id in members and leg not in members]
    if not more:
        return incident
    detail = f"{incident.detail}; proxies passed it on to {len(more)} other legs of these"
    legs = incident.other_legs + len(more)
    return incident._replace(connections=tuple(sorted(members.union(more))), detail=detail, other_legs=legs)
