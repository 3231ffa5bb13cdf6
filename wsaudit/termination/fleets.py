"""What many clients or many heartbeats have in common."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import chain
from math import log

from wsaudit.kernel.compare import agents_accepted
from wsaudit.model import CLIENT, SECOND, SERVER
from wsaudit.termination.chance import RARE, log_tail
from wsaudit.termination.clusters import (
    Ended,
    Incident,
    Population,
    bursts,
    by_server,
    ends_of,
    group,
    lasts,
    looks_at,
    make,
    name_of,
    time_and_id,
)
from wsaudit.termination.words import seconds

STORM = 5
NEXT_BEAT = 5 * SECOND  # keep-alives of one fleet give up within this time of one another
OFFENCES = ("protocol-error", "invalid-data", "message-too-big")
BAD_PART = 0.5
OTHERS_PART = 0.1


def heartbeat_storms(population: Population) -> list[Incident]:
    """Many keep-alives give up together: it is not the clients, it is what they have in common."""
    late = [each for end, rows in population.alike if end.cause == "keepalive-timeout" for each in ends_of(rows)]
    found = []
    groups = group(late, by_server)
    looks = looks_at(groups, STORM)
    for server, members in sorted(groups.items()):
        for burst in bursts(members, population.around_servers[server], NEXT_BEAT, STORM, looks):
            sides = Counter(who_gave_up(each) for each in burst)
            who = sides.most_common(1)[0][0]
            blamed = (
                "the server stalled, or the network to it"
                if who == CLIENT
                else "the network to the clients, or the server's own clock"
            )
            gave_up = "clients" if who == CLIENT else "server" if who == SERVER else "endpoints"
            span = seconds(lasts(burst))
            detail = f"{len(burst)} keep-alives of {name_of(server)} failed within {span}; the {gave_up} gave up: {blamed}"
            alternatives = (("network-loss", 0.4),)
            found.append(make("heartbeat-storm", server, burst, detail, "keepalive-timeout", 0.88, alternatives))
    return found


def who_gave_up(each: Ended) -> int | None:
    """The side that closed, or without a Close the side that left."""
    end = each.row.termination
    return end.by if end.initiator is None else end.initiator


def bad_releases(population: Population) -> list[Incident]:
    """One User-Agent that the server ends for what it sent, where it does not end others, and not by the others' rate either."""
    bad: dict[str, list[Ended]] = defaultdict(list)
    for end, rows in population.alike:
        if end.cause in OFFENCES and (end.initiator == SERVER or (end.initiator is None and end.by == SERVER)):
            for each in ends_of(rows):
                if each.row.user_agent and each.row.outcome == "accepted":
                    bad[each.row.user_agent].append(each)
    if not looks_at(bad, STORM):
        return []
    over = chain.from_iterable([rows for end, rows in population.alike if end.kind != "ongoing"])
    members = Counter(agents_accepted(list(over)))
    total, total_bad = members.total(), sum(map(len, bad.values()))
    found = []
    for agent, accused in sorted(bad.items()):
        count, of = len(accused), members[agent]
        others, others_bad = total - of, total_bad - count
        if count < STORM or count < BAD_PART * of or not others or others_bad > OTHERS_PART * others:
            continue
        if log_tail(count, of, (others_bad + 1) / (others + 1)) + log(len(members)) > log(RARE):
            continue
        causes = Counter(each.row.termination.cause for each in accused)
        cause = sorted(causes.items(), key=by_count)[0][0]
        servers = {each.row.server for each in accused}
        detail = (
            f"{count} of {of} connections of {agent!r} were ended by the server for {cause}, "
            f"of all others {others_bad} of {others}"
        )
        accused.sort(key=time_and_id)
        server = servers.pop() if len(servers) == 1 else None
        confirm = "what changed in that client's release; the findings name the frames"
        found.append(make("bad-client-release", server, accused, detail, cause, 0.88, (), confirm))
    return found


def by_count(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
