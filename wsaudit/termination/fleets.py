"""What many clients or many heartbeats have in common."""

from __future__ import annotations

from collections import Counter, defaultdict

from wsaudit.model import CLIENT, SECOND, SERVER, SIDES
from wsaudit.termination.clusters import Ended, Incident, bursts, by_server, group, name_of
from wsaudit.termination.words import CONFIRM, seconds

STORM = 5
NEXT_BEAT = 5 * SECOND  # keep-alives of one fleet give up within this time of one another
OFFENCES = ("protocol-error", "invalid-data", "message-too-big")
BAD_PART = 0.5
OTHERS_PART = 0.1


def heartbeat_storms(rows: list[Ended]) -> list[Incident]:
    """Many keep-alives give up together: it is not the clients, it is what they have in common."""
    late = [each for each in rows if each.row.termination.cause == "keepalive-timeout"]
    found = []
    for server, members in sorted(group(late, by_server).items()):
        for burst in bursts(members, NEXT_BEAT):
            if len(burst) < STORM:
                continue
            sides = Counter(who_gave_up(each) for each in burst)
            who = sides.most_common(1)[0][0]
            blamed = (
                "the server stalled, or the network to it"
                if who == CLIENT
                else "the network to the clients, or the server's own clock"
            )
            gave_up = f"{SIDES[who]}s" if who in (CLIENT, SERVER) else "endpoints"
            span = seconds(burst[-1].time - burst[0].time)
            detail = f"{len(burst)} keep-alives of {name_of(server)} failed within {span}; the {gave_up} gave up: {blamed}"
            found.append(
                Incident(
                    "heartbeat-storm", server, burst[0].time, burst[-1].time, tuple(sorted(each.id for each in burst)), detail,
                    "keepalive-timeout", 0.88, (("network-loss", 0.4),), CONFIRM["keepalive-timeout"],
                )
            )  # fmt: skip
    return found


def who_gave_up(each: Ended) -> int | None:
    """The side that closed, or without a Close the side that left."""
    end = each.row.termination
    return end.by if end.initiator is None else end.initiator


def bad_releases(rows: list[Ended]) -> list[Incident]:
    """One User-Agent that breaks the protocol where others do not."""
    if sum(map(accused, rows)) < STORM:
        return []
    agents: dict[str, list[Ended]] = defaultdict(list)
    for each in rows:
        if each.row.user_agent and each.row.outcome == "accepted":
            agents[each.row.user_agent].append(each)
    bad = {agent: [each for each in members if accused(each)] for agent, members in agents.items()}
    total, total_bad = sum(map(len, agents.values())), sum(map(len, bad.values()))
    found = []
    for agent, accusations in sorted(bad.items()):
        members = agents[agent]
        others, others_bad = total - len(members), total_bad - len(accusations)
        if (
            len(accusations) < STORM
            or len(accusations) < BAD_PART * len(members)
            or not others
            or others_bad > OTHERS_PART * others
        ):
            continue
        causes = Counter(each.row.termination.cause for each in accusations)
        cause = sorted(causes.items(), key=by_count)[0][0]
        servers = {each.row.server for each in accusations}
        times = [each.time for each in accusations]
        detail = (
            f"{len(accusations)} of {len(members)} connections of {agent!r} were ended by the server for {cause}, "
            f"{others_bad} of {others} of all others"
        )
        found.append(
            Incident("bad-client-release", servers.pop() if len(servers) == 1 else None, min(times), max(times),
                     tuple(sorted(each.id for each in accusations)), detail, cause, 0.88, (),
                     "what changed in that client's release; the findings name the frames")
        )  # fmt: skip
    return found


def accused(each: Ended) -> bool:
    """Did the server end it for what the client sent?"""
    end = each.row.termination
    return end.cause in OFFENCES and (end.initiator == SERVER or (end.initiator is None and end.by == SERVER))


def by_count(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
