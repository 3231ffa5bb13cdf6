"""Many connections of one host that end together: kills, reloads, drains, deploys; and their clients coming back."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise

from wsaudit.kernel.connection import Connection
from wsaudit.model import CLIENT, SECOND, SERVER, address, timestamp
from wsaudit.registry import Signatures
from wsaudit.termination.aftermath import RETURN, Aftermath, aftermath
from wsaudit.termination.chance import Background, runs
from wsaudit.termination.clusters import (
    FEW,
    INSTANT,
    Ended,
    Endpoint,
    Incident,
    Neighbours,
    Population,
    apart,
    bursts,
    by_client_host,
    by_server,
    ends_of,
    explain,
    goodbyes_of,
    group,
    lasts,
    looks_at,
    make,
    name_of,
    time_and_id,
)
from wsaudit.termination.dropping import is_round
from wsaudit.termination.words import seconds

TOGETHER = SECOND // 4  # the FINs of one dying process leave its host within this time of one another
DRAINED = 2 * SECOND  # between two goodbyes of a server that drains
AT_MOST = 10 * SECOND  # nothing that dies takes longer
NETWORK = 10 * SECOND  # between two clients that notice that the network is gone
MANY = 5
PART = 0.1  # of the server's open connections
PAIR = 2
LEGS = 4  # enough when a proxy ends as many on one side as on the other
SAME_SILENCE = SECOND // 200  # timers of one limit differ by a few ms; the last bytes of connections seldom do
CROWD = SECOND  # within less, people do not leave together; what they have in common does it
TOLD = SECOND // 5  # since the server's last bytes to each of a crowd: they may be why
UNSURE = 0.5  # of one event, where a limit whose timers started together would show the same
ROLLING = 900 * SECOND  # from one server to the next in a deploy
STORM = 10
JITTER = 0.25  # a spread of less than this part of the delay is none
INDIVIDUAL = (
    "keepalive-timeout", "message-too-big", "protocol-error", "invalid-data", "slow-consumer", "normal",
)  # fmt: skip

COMMON = (
    "what these clients have in common: a proxy, load balancer or firewall before them, a deploy of theirs, a message that told "
    "them to leave"
)

Drain = tuple[Endpoint, list[Ended], int]


def find_masses(population: Population, signatures: Signatures) -> list[Incident]:
    """Mass ends, with the rows' causes refined, and what followed them."""
    gone, left, cut, said, silent = candidates(population)
    found = silent_ends(silent, population)
    used: set[int] = set()
    found += abrupt_ends(gone, left, used, population, signatures)
    found += crowd_ends(left, used, population)
    found += client_ends(left, used, population)
    found += cut_ends(cut, population)
    found += [drained(run) for run in rolling(graceful_ends(said, population))]
    return [*found, *returns(population, found)]


def candidates(population: Population) -> tuple[list[Ended], list[Ended], list[Ended], list[Ended], list[Ended]]:
    """Ends that may belong to a mass: left by the server, left by the client, reset on the way, closed by the server, silent."""
    gone: list[Ended] = []
    left: list[Ended] = []
    cut: list[Ended] = []
    said: list[Ended] = []
    silent: list[Ended] = []
    for end, rows in population.alike:
        if end.kind != "dropped":
            if end.initiator == SERVER:
                said += [Ended(row.number, row, row.closed_at(SERVER)) for row in goodbyes_of(rows)]
        elif end.how == "silent":
            silent += ends_of(rows)
        elif end.cause == "middlebox-reset":
            cut += ends_of(rows)
        elif end.cause not in INDIVIDUAL and end.by in (CLIENT, SERVER):
            (gone if end.by == SERVER else left).extend(ends_of(rows))
    return gone, left, cut, said, silent


# -- without a Close -----------------------------------------------------------------------------------------


def abrupt_ends(
    gone: list[Ended], left: list[Ended], used: set[int], population: Population, signatures: Signatures
) -> list[Incident]:
    """FIN or RST without a Close for everything a process held. `used` takes the ids of a proxy's other legs."""
    found = []
    groups, from_clients = group(gone, by_server), group(left, by_client_host)
    looks = looks_at(groups, PAIR)
    for server, members in sorted(groups.items()):
        if len(members) < PAIR:
            continue
        for burst in bursts(members, population.around_servers[server], TOGETHER, PAIR, looks):
            if lasts(burst) > AT_MOST or same_limit(burst):
                continue
            neighbours = population.servers[server]
            opened = neighbours.open_at(burst[0].time)
            legs = other_legs(from_clients.get(server[0], []), burst)
            if legs:
                used.update(each.id for each in legs)
                found.append(proxy_gone(server, burst, legs, aftermath(server, burst, opened, population)))
            elif enough(len(burst), opened):
                found.append(server_gone(server, burst, opened, population, signatures))
    return found


def client_ends(left: list[Ended], used: set[int], population: Population) -> list[Incident]:
    """The same at a host with many clients; `used` ids are explained already."""
    found = []
    groups = group([each for each in left if each.id not in used], by_client_host)
    groups = {host: members for host, members in sorted(groups.items()) if len(members) >= FEW}
    for host, members in groups.items():
        for burst in bursts(members, population.around_hosts[host], TOGETHER, FEW, len(groups)):
            opened = population.hosts[host].open_at(burst[0].time)
            if lasts(burst) <= AT_MOST and enough(len(burst), opened) and not same_limit(burst):
                found.append(client_host_gone(host, burst, opened))
    return found


def crowd_ends(left: list[Ended], used: set[int], population: Population) -> list[Incident]:
    """Clients of many hosts that leave one server at once. Nobody knows what they have in common, but chance it is not. `used`
    takes their ids: a host that had several of them is no incident of its own."""
    found = []
    free = [each for each in left if each.id not in used]
    groups, from_hosts = group(free, by_server), group(free, by_client_host)
    looks = looks_at(groups, MANY)
    for server, members in sorted(groups.items()):
        for burst in bursts(members, population.around_servers[server], TOGETHER, MANY, looks):
            hosts = Counter([by_client_host(each.row) for each in burst])
            opened = population.servers[server].open_at(burst[0].time)
            is_crowd = len(hosts) >= MANY and max(hosts.values()) * 2 <= len(burst)
            if is_crowd and lasts(burst) <= CROWD and enough(len(burst), opened) and not same_limit(burst):
                legs = other_legs(from_hosts.get(server[0], []), burst)
                used.update(each.id for each in (*burst, *legs))
                found.append(crowd_left(server, burst, legs, len(hosts), opened))
    return found


def cut_ends(cut: list[Ended], population: Population) -> list[Incident]:
    """Connections that something on the way reset, many at a time."""
    found = []
    groups = group(cut, by_server)
    looks = looks_at(groups, FEW)
    for server, members in sorted(groups.items()):
        for burst in bursts(members, population.around_servers[server], TOGETHER, FEW, looks):
            opened = population.servers[server].open_at(burst[0].time)
            if lasts(burst) <= AT_MOST and enough(len(burst), opened) and not same_limit(burst):
                span, others = seconds(lasts(burst)), others_of(len(burst), opened)
                detail = f"{len(burst)} connections to {name_of(server)} reset by something on the way within {span}{others}"
                found.append(settle("mass-abrupt-end", server, burst, detail, "middlebox-reset", 0.85, (("restart", 0.2),)))
    return found


def enough(count: int, opened: int) -> bool:
    return count >= max(MANY, PART * opened) or (count >= FEW and count >= opened)


def same_limit(burst: list[Ended]) -> bool:
    """Do these end together only because their silence began together? Then it is a limit's doing."""
    farther = apart(burst) if may_be_limit(burst) else None
    return farther is not None and farther > 0


def may_be_limit(burst: list[Ended]) -> bool:
    """Is the silence before all of these the same, and one that a limit may have?"""
    idle = [each.row.idle for each in burst]
    known = [value for value in idle if value is not None]
    if len(known) < len(burst) or max(known) - min(known) > max(SAME_SILENCE, known[0] // 500):
        return False
    return is_round(known[0]) or all(each.row.termination.cause == "idle-timeout" for each in burst)


def other_legs(candidates: list[Ended], burst: list[Ended]) -> list[Ended]:
    """The same host's connections as a client that ended with these: the other legs of a proxy."""
    first = bisect_left(candidates, burst[0].time - TOGETHER, key=time_of)
    last = bisect_right(candidates, burst[-1].time + TOGETHER, key=time_of)
    legs = [each for each in candidates[first:last] if each.row.server != burst[0].row.server]
    same = abs(len(legs) - len(burst)) <= max(1, len(burst) // 5)
    return legs if same and len(legs) + len(burst) >= LEGS else []


def time_of(each: Ended) -> int:
    return each.time


def server_gone(server: Endpoint, burst: list[Ended], opened: int, population: Population, signatures: Signatures) -> Incident:
    """T32 at one server."""
    count, span = len(burst), seconds(burst[-1].time - burst[0].time)
    how = "RST" if all(each.row.termination.how == "rst" for each in burst) else "FIN"
    detail = f"{count} connections to {name_of(server)} dropped within {span}, {how} without Close"
    reload = common_instant(burst, population.servers[server], signatures)
    if reload is not None:
        wait, where, confirm = reload
        detail += f", {wait:g} s after an instant that separates them from all that stayed: {where}"
        return settle("proxy-reload", server, burst, detail, "restart", 0.88, (("endpoint-killed", 0.2),), confirm)
    after = aftermath(server, burst, opened, population)
    if after is None or count >= opened:
        detail += others_of(count, opened)
    if after is not None:
        detail += after.fact
        return settle("mass-abrupt-end", server, burst, detail, after.cause, after.confidence, after.others, more=after.fact)
    if count >= opened:
        confidence = 0.86 if count >= MANY else 0.75
        return settle("mass-abrupt-end", server, burst, detail, "endpoint-killed", confidence, (("restart", 0.31),))
    return settle("mass-abrupt-end", server, burst, detail, "restart", 0.5, (("endpoint-killed", 0.45),))


def common_instant(burst: list[Ended], neighbours: Neighbours, signatures: Signatures) -> tuple[float, str, str] | None:
    """Did these end a known time after an instant at which a proxy began to serve new connections elsewhere?"""
    end = burst[0].time
    last = max(each.row.started for each in burst)
    stayed = neighbours.oldest_open(end, {each.row.first_packet for each in burst})
    if stayed is None or stayed <= last:
        return None
    for limit in signatures.limits:
        if limit.kind == "since-common-instant":
            slack = int(max(limit.slack, limit.seconds * limit.tolerance) * SECOND)
            instant = end - int(limit.seconds * SECOND)
            if last - slack <= instant <= stayed + slack:
                return limit.seconds, limit.where, limit.confirm
    return None


def proxy_gone(server: Endpoint, burst: list[Ended], legs: list[Ended], after: Aftermath | None) -> Incident:
    """A proxy that ended both legs of its tunnels at once."""
    every = sorted([*burst, *legs], key=time_and_id)
    span = seconds(every[-1].time - every[0].time)
    detail = (
        f"{address(server[0])} ended {len(burst)} connections as a server and {len(legs)} as a client within {span}, "
        "without Close: both legs of its tunnels"
    )
    if after is None:
        after = Aftermath("", "endpoint-killed", 0.75, (("restart", 0.45),))
    detail += after.fact
    found = settle("mass-abrupt-end", server, every, detail, after.cause, after.confidence, after.others, more=after.fact)
    return found._replace(other_legs=len(legs))


def client_host_gone(host: bytes, burst: list[Ended], opened: int) -> Incident:
    span = seconds(burst[-1].time - burst[0].time)
    detail = f"{len(burst)} connections from {address(host)} dropped by it within {span}, without Close"
    if len(burst) >= opened:
        detail += "; all that it had open"
    servers = {each.row.server for each in burst}
    server = servers.pop() if len(servers) == 1 else None
    return settle("mass-abrupt-end", server, burst, detail, "endpoint-killed", 0.75, (("network-loss", 0.2),))


def crowd_left(server: Endpoint, burst: list[Ended], legs: list[Ended], hosts: int, opened: int) -> Incident:
    """What ended them is none of the two ends as far as a capture tells: every explanation is a modest one. `legs`: to which a
    proxy passed it on."""
    rst = all(each.row.termination.how == "rst" for each in burst)
    detail = (
        f"{len(burst)} connections of {hosts} hosts to {name_of(server)} dropped from the clients' side within "
        f"{seconds(lasts(burst))}, {'RST' if rst else 'FIN'} without Close"
    )
    detail += others_of(len(burst), opened) + ": these clients have something in common"
    told = [each.row.detail.idle[SERVER + 1] for each in burst]
    if rst:
        cause, confidence, others = "middlebox-reset", 0.5, (("endpoint-killed", 0.3), ("restart", 0.3))
    elif all(value is not None and value <= TOLD for value in told):
        detail += ", perhaps what the server had just sent to each of them"
        cause, confidence, others = "abrupt-exit", 0.45, (("restart", 0.35), ("middlebox-reset", 0.25))
    else:
        cause, confidence, others = "restart", 0.45, (("middlebox-reset", 0.35), ("abrupt-exit", 0.3))
    if legs:
        detail += f"; {address(server[0])} passed it on to {len(legs)} other legs of these"
    every = sorted([*burst, *legs], key=time_and_id)
    found = settle("mass-abrupt-end", server, every, detail, cause, confidence, others, COMMON, f", of {hosts} hosts")
    for each in every:
        each.row.termination = each.row.termination._replace(confirm=COMMON)
    return found._replace(other_legs=len(legs))


def others_of(count: int, opened: int) -> str:
    return f"; {opened - count} others stayed open" if count < opened else "; all that were open on that server"


def settle(
    kind: str, server: Endpoint | None, burst: list[Ended], detail: str, cause: str, confidence: float,
    alternatives: tuple[tuple[str, float], ...], confirm: str | None = None, more: str = "",
) -> Incident:  # fmt: skip
    """Make the incident, and tell its rows. `more`: what else speaks for the cause."""
    if kind == "mass-abrupt-end" and may_be_limit(burst) and (apart(burst) or 0) > -INSTANT:
        confidence = min(confidence, UNSURE)
        alternatives = (("idle-timeout", round(confidence - 0.05, 2)), *alternatives)
    tell(burst, cause, confidence, alternatives, more)
    return make(kind, server, burst, detail, cause, confidence, alternatives, confirm)


def tell(burst: list[Ended], cause: str, confidence: float, alternatives: tuple[tuple[str, float], ...], more: str = "") -> None:
    fact = f"one of {len(burst)} connections that ended within {seconds(lasts(burst))}{more}"
    for each in burst:
        explain(each, cause, confidence, fact, alternatives)


def silent_ends(silent: list[Ended], population: Population) -> list[Incident]:
    """T24 for many: nobody answers any more."""
    found = []
    groups = group(silent, by_server)
    looks = looks_at(groups, FEW)
    for server, members in sorted(groups.items()):
        for burst in bursts(members, population.around_servers[server], NETWORK, FEW, looks):
            detail = f"{len(burst)} connections to {name_of(server)} fell silent within {seconds(lasts(burst))}"
            found.append(settle("mass-silent-end", server, burst, detail, "network-loss", 0.88, (("endpoint-killed", 0.2),)))
    return found


# -- with a Close --------------------------------------------------------------------------------------------


def graceful_ends(said: list[Ended], population: Population) -> Iterator[Drain]:
    """T31: a server says goodbye to many at a time. Yields the server, whom, and how many were open."""
    groups = group(said, by_server)
    looks = looks_at(groups, FEW)
    for server, members in sorted(groups.items()):
        for burst in bursts(members, population.around_servers[server], DRAINED, FEW, looks):
            opened = population.servers[server].open_at(burst[0].time)
            if enough(len(burst), opened):
                yield server, burst, opened


def rolling(drains: Iterable[Drain]) -> Iterator[list[Drain]]:
    """Drains that follow one another belong together."""
    run: list[Drain] = []
    end = 0
    for each in sorted(drains, key=began):
        if run and began(each)[0] - end > ROLLING:
            yield run
            run = []
        run.append(each)
        end = max(end, each[1][-1].time)
    if run:
        yield run


def began(drain: Drain) -> tuple[int, int]:
    return drain[1][0].time, drain[1][0].id


def drained(run: list[Drain]) -> Incident:
    """One server drained, or several by a deploy. A drain of one server in several goes is one."""
    servers = sorted({server for server, _, _ in run})
    every = sorted([each for _, burst, _ in run for each in burst], key=time_and_id)
    codes = " or ".join(sorted({str(close.code) for each in every if (close := each.row.close[SERVER]) is not None}))
    within = f"within {seconds(lasts(every))} with {codes}"
    for _, burst, _ in run:
        tell(burst, "restart", 0.9, (("going-away", 0.3),))
    if len(servers) == 1:
        detail = f"{name_of(servers[0])} closed {len(every)} connections {within}"
        if len(run) > 1:
            detail += f", in {len(run)} waves"
        elif len(every) >= run[0][2]:
            detail += ", all that it had"
        return make("mass-graceful-end", servers[0], every, detail, "restart", 0.9, (("going-away", 0.3),))
    names = ", ".join(name_of(server) for server in servers[:4]) + (", ..." if len(servers) > 4 else "")
    in_turn = all(a[1][-1].time < b[1][0].time for a, b in pairwise(run))
    order = " one after the other" if in_turn else ""
    detail = f"{len(servers)} servers closed {len(every)} connections{order} {within}: {names}"
    return make("deploy", None, every, detail, "restart", 0.93, (("going-away", 0.2),))


# -- and back again ------------------------------------------------------------------------------------------


def returns(population: Population, masses: list[Incident]) -> list[Incident]:
    """Clients of a mass end that come back together: without jitter they are the next incident."""
    if not masses:
        return []
    masses = sorted(masses, key=start_of)
    rows = population.rows
    suffered = sufferers(rows, masses)
    connects = [Ended(row.number, row, row.started) for row in rows if row.client[0] in suffered]
    connects.sort(key=time_and_id)
    others = sorted([row.started for row in rows if row.client[0] not in suffered])
    first, last = min(row.started for row in rows), max(row.ended for row in rows)
    background = Background(others, first, last, INSTANT)
    found = []
    for start, stop in runs([each.time for each in connects], background, RETURN, STORM):
        came: dict[int, list[Ended]] = defaultdict(list)
        for each in connects[start:stop]:
            number = last_before(each, suffered[each.row.client[0]], masses)
            if number is not None:
                came[number].append(each)
        found += [storm(masses[number], each) for number, each in sorted(came.items()) if is_storm(masses[number], each)]
    return found


def sufferers(rows: list[Connection], masses: list[Incident]) -> dict[bytes, list[int]]:
    """The hosts whose connections were ended, each with the numbers of these mass ends in order."""
    hosts = {row.number: row.client[0] for row in rows}
    suffered: dict[bytes, list[int]] = defaultdict(list)
    for number, mass in enumerate(masses):
        for host in {hosts[i] for i in mass.connections}:
            suffered[host].append(number)
    return suffered


def last_before(connect: Ended, numbers: list[int], masses: list[Incident]) -> int | None:
    """The last of these mass ends before a connect, if that is not too long ago."""
    place = bisect_left(numbers, connect.time, key=lambda number: masses[number].start)
    if not place:
        return None
    number = numbers[place - 1]
    return number if connect.time <= masses[number].end + RETURN else None


def is_storm(mass: Incident, came: list[Ended]) -> bool:
    if len(came) < STORM:
        return False
    middle, spread = delays(mass, came)
    return spread <= JITTER * middle


def delays(mass: Incident, came: list[Ended]) -> tuple[int, int]:
    """How long after it half of them came, and within how much time the inner four fifths."""
    waits = [each.time - mass.start for each in came]
    return waits[len(waits) // 2], waits[len(waits) * 9 // 10] - waits[len(waits) // 10]


def storm(mass: Incident, came: list[Ended]) -> Incident:
    middle, spread = delays(mass, came)
    detail = (
        f"{len(came)} connects by the clients of the incident at {(timestamp(mass.start) or '?')[11:23]}, half of them within "
        f"{seconds(middle)} and four in five within {seconds(spread)} of one another: no jitter"
    )
    confirm = "the reconnect delays of the clients: a random part spreads the load"
    servers = {each.row.server for each in came}
    server = servers.pop() if len(servers) == 1 else None
    return make("reconnect-storm", server, came, detail, mass.cause, 0.85, (), confirm)


def start_of(incident: Incident) -> tuple[int, tuple[int, ...]]:
    return incident.start, incident.connections
