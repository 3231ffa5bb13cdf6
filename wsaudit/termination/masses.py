"""Many connections of one host that end together: kills, reloads, drains, deploys; and their clients coming back."""

from __future__ import annotations

from collections.abc import Iterable

from wsaudit.model import CLIENT, SECOND, SERVER, Connection, address
from wsaudit.registry import Signatures
from wsaudit.termination.clusters import (
    Census,
    Ended,
    Endpoint,
    Incident,
    bursts,
    by_server,
    end_time,
    explain,
    group,
    name_of,
)
from wsaudit.termination.dropping import is_round
from wsaudit.termination.words import CONFIRM, seconds

TOGETHER = SECOND // 4  # the FINs of one dying process leave its host within this time of one another
DRAINED = 2 * SECOND  # between two goodbyes of a server that drains
AT_MOST = 10 * SECOND  # ends that go on for longer are the everyday rate of a bad service, no event
DRAIN_AT_MOST = 600 * SECOND
NETWORK = 10 * SECOND  # between two clients that notice that the network is gone
MANY = 5
PART = 0.1  # of the server's open connections
PAIR = 2
UNUSUAL = 5  # times the everyday rate
DRAINING = (1001, 1012)
FEW = 3  # enough when they were all that was open
LEGS = 4  # enough when a proxy ends as many on one side as on the other
SAME_SILENCE = SECOND // 200  # timers of one limit differ by a few ms; the last bytes of connections seldom do
ROLLING = 900 * SECOND  # from one server to the next in a deploy
RETURN = 60 * SECOND
STORM = 10
JITTER = 0.25  # a spread of less than this part of the delay is none
INDIVIDUAL = ("keepalive-timeout", "message-too-big", "protocol-error", "invalid-data", "slow-consumer", "middlebox-reset")


def find_masses(rows: list[Ended], signatures: Signatures) -> list[Incident]:
    """Mass ends, with the rows' causes refined, and what followed them."""
    gone, left, said, silent = candidates(rows)
    if max(len(gone), len(left), len(said), len(silent)) < FEW and len(gone) + len(left) < LEGS:
        return []
    servers = group(rows, by_server)
    found = silent_ends(silent)
    used: set[int] = set()
    from_clients = group(left, client_host)
    for server, members in sorted(group(gone, by_server).items()):
        found += abrupt_ends(server, members, servers[server], from_clients, used, signatures)
    if any(len(members) >= FEW for members in from_clients.values()):
        found += client_ends(from_clients, group(rows, client_host), used)
    for server, members in sorted(group(said, by_server).items()):
        found += graceful_ends(server, members, servers[server])
    return [*merge_deploys(found), *(returns(rows, found) if found else ())]


def candidates(rows: list[Ended]) -> tuple[list[Ended], list[Ended], list[Ended], list[Ended]]:
    """Ends that may belong to a mass: left by the server, left by the client, closed by the server, silent."""
    gone: list[Ended] = []
    left: list[Ended] = []
    said: list[Ended] = []
    silent: list[Ended] = []
    for each in rows:
        end = each.row.termination
        if end.kind == "dropped":
            if end.how == "silent":
                silent.append(each)
            elif end.cause not in INDIVIDUAL and end.by in (CLIENT, SERVER):
                (gone if end.by == SERVER else left).append(each)
        elif end.initiator == SERVER:
            close = each.row.close[SERVER]
            if close is not None and close.code in DRAINING:
                said.append(each._replace(time=each.row.detail.closes[SERVER][1]))
    return gone, left, said, silent


# -- without a Close -----------------------------------------------------------------------------------------


def abrupt_ends(
    server: Endpoint,
    members: list[Ended],
    neighbours: list[Ended],
    from_clients: dict[bytes, list[Ended]],
    used: set[int],
    signatures: Signatures,
) -> list[Incident]:
    """FIN or RST without a Close for everything a process held. `used` takes the ids of a proxy's other legs."""
    found = []
    census = Census(neighbours)
    for burst in bursts(members, TOGETHER):
        if len(burst) < PAIR or lasts(burst) > AT_MOST or everyday(burst, members) or same_limit(burst):
            continue
        legs = other_legs(from_clients.get(server[0], []), burst)
        opened = census.open_at(burst[0].time)
        if legs:
            used.update(each.id for each in legs)
            found.append(proxy_gone(server, burst, legs))
        elif enough(len(burst), opened):
            found.append(server_gone(server, burst, opened, [each.row for each in neighbours], signatures))
    return found


def client_ends(from_clients: dict[bytes, list[Ended]], hosts: dict[bytes, list[Ended]], used: set[int]) -> list[Incident]:
    """The same at a host with many clients; `used` ids are explained already."""
    found = []
    for host, members in sorted(from_clients.items()):
        if len(members) < FEW:
            continue
        census = Census(hosts[host])
        for burst in bursts([each for each in members if each.id not in used], TOGETHER):
            if len(burst) < FEW or lasts(burst) > AT_MOST:
                continue
            opened = census.open_at(burst[0].time)
            if enough(len(burst), opened) and not (everyday(burst, members) or same_limit(burst)):
                found.append(client_host_gone(host, burst, opened))
    return found


def lasts(burst: list[Ended]) -> int:
    return burst[-1].time - burst[0].time


def everyday(burst: list[Ended], members: list[Ended]) -> bool:
    """Does the host lose as many in any such span of time?"""
    span = lasts(burst)
    others = len(members) - len(burst)
    total = max(lasts(members) - span, SECOND)
    return len(burst) < UNUSUAL * others * max(span, TOGETHER) / total


def client_host(row: Connection) -> bytes:
    return row.client[0]


def enough(count: int, opened: int) -> bool:
    return count >= max(MANY, PART * opened) or (count >= FEW and count >= opened)


def same_limit(burst: list[Ended]) -> bool:
    """Do these end together only because their silence began together? Then it is a limit's doing."""
    idle = [each.row.detail.idle[0] for each in burst]
    known = [value for value in idle if value is not None]
    if len(known) < len(burst) or max(known) - min(known) > max(SAME_SILENCE, known[0] // 500):
        return False
    return is_round(known[0]) or all(each.row.termination.cause == "idle-timeout" for each in burst)


def other_legs(candidates: list[Ended], burst: list[Ended]) -> list[Ended]:
    """The same host's connections as a client that ended with these: the other legs of a proxy."""
    start, end = burst[0].time - TOGETHER, burst[-1].time + TOGETHER
    legs = [each for each in candidates if start <= each.time <= end and each.row.server != burst[0].row.server]
    same = abs(len(legs) - len(burst)) <= max(1, len(burst) // 5)
    return legs if same and len(legs) + len(burst) >= LEGS else []


def server_gone(
    server: Endpoint, burst: list[Ended], opened: int, neighbours: list[Connection], signatures: Signatures
) -> Incident:
    """T32 at one server."""
    count, span = len(burst), seconds(burst[-1].time - burst[0].time)
    how = "RST" if all(each.row.termination.how == "rst" for each in burst) else "FIN"
    detail = f"{count} connections to {name_of(server)} dropped within {span}, {how} without Close"
    reload = common_instant(burst, neighbours, signatures)
    if reload is not None:
        wait, where, confirm = reload
        detail += f", {wait:g} s after an instant that separates them from all that stayed: {where}"
        return settle("proxy-reload", server, burst, detail, "restart", 0.88, (("endpoint-killed", 0.2),), confirm)
    if count >= opened:
        detail += "; all that were open on that server"
        confidence = 0.86 if count >= MANY else 0.75
        return settle("mass-abrupt-end", server, burst, detail, "endpoint-killed", confidence, (("restart", 0.31),))
    detail += f"; {opened - count} others stayed open"
    return settle("mass-abrupt-end", server, burst, detail, "restart", 0.5, (("endpoint-killed", 0.45),))


def common_instant(burst: list[Ended], neighbours: list[Connection], signatures: Signatures) -> tuple[float, str, str] | None:
    """Did these end a known time after an instant at which a proxy began to serve new connections elsewhere?"""
    ids = {each.row.first_packet for each in burst}
    end = burst[0].time
    last = max(each.row.started for each in burst)
    stayed = [row.started for row in neighbours if row.first_packet not in ids and row.started <= end < end_time(row)]
    if not stayed or min(stayed) <= last:
        return None
    for limit in signatures.limits:
        if limit.kind == "since-common-instant":
            slack = int(max(limit.slack, limit.seconds * limit.tolerance) * SECOND)
            instant = end - int(limit.seconds * SECOND)
            if last - slack <= instant <= min(stayed) + slack:
                return limit.seconds, limit.where, limit.confirm
    return None


def proxy_gone(server: Endpoint, burst: list[Ended], legs: list[Ended]) -> Incident:
    """A proxy that ended both legs of its tunnels at once."""
    every = sorted([*burst, *legs], key=time_of)
    span = seconds(every[-1].time - every[0].time)
    detail = (
        f"{address(server[0])} ended {len(burst)} connections as a server and {len(legs)} as a client within {span}, "
        "without Close: both legs of its tunnels"
    )
    return settle("mass-abrupt-end", server, every, detail, "endpoint-killed", 0.75, (("restart", 0.45),))


def client_host_gone(host: bytes, burst: list[Ended], opened: int) -> Incident:
    span = seconds(burst[-1].time - burst[0].time)
    detail = f"{len(burst)} connections from {address(host)} dropped by it within {span}, without Close"
    if len(burst) >= opened:
        detail += "; all that it had open"
    servers = {each.row.server for each in burst}
    server = servers.pop() if len(servers) == 1 else None
    return settle("mass-abrupt-end", server, burst, detail, "endpoint-killed", 0.75, (("network-loss", 0.2),))


def settle(
    kind: str, server: Endpoint | None, burst: list[Ended], detail: str, cause: str, confidence: float,
    alternatives: tuple[tuple[str, float], ...], confirm: str | None = None,
) -> Incident:  # fmt: skip
    """Make the incident, and tell its rows."""
    fact = f"one of {len(burst)} connections that ended within {seconds(burst[-1].time - burst[0].time)}"
    for each in burst:
        explain(each, cause, confidence, fact, alternatives)
    return Incident(
        kind, server, burst[0].time, burst[-1].time, tuple(sorted(each.id for each in burst)), detail, cause, confidence,
        alternatives, confirm or CONFIRM[cause],
    )  # fmt: skip


def time_of(each: Ended) -> tuple[int, int]:
    return each.time, each.id


def silent_ends(silent: list[Ended]) -> list[Incident]:
    """T24 for many: nobody answers any more."""
    found = []
    for server, members in sorted(group(silent, by_server).items()):
        for burst in bursts(members, NETWORK):
            if len(burst) >= FEW:
                span = seconds(burst[-1].time - burst[0].time)
                detail = f"{len(burst)} connections to {name_of(server)} fell silent within {span}"
                found.append(settle("mass-silent-end", server, burst, detail, "network-loss", 0.88, (("endpoint-killed", 0.2),)))
    return found


# -- with a Close --------------------------------------------------------------------------------------------


def graceful_ends(server: Endpoint, members: list[Ended], neighbours: list[Ended]) -> list[Incident]:
    """T31: a server says goodbye to many at a time."""
    found = []
    census = Census(neighbours)
    for burst in bursts(members, DRAINED):
        if len(burst) < FEW or lasts(burst) > DRAIN_AT_MOST:
            continue
        opened = census.open_at(burst[0].time)
        if enough(len(burst), opened):
            span = seconds(burst[-1].time - burst[0].time)
            detail = f"{name_of(server)} closed {len(burst)} connections within {span} with 1001 or 1012"
            if len(burst) >= opened:
                detail += ", all that it had"
            found.append(settle("mass-graceful-end", server, burst, detail, "restart", 0.9, (("going-away", 0.3),)))
    return found


def merge_deploys(found: list[Incident]) -> list[Incident]:
    """Drains of one server after the other are one deploy."""
    drains = sorted((each for each in found if each.kind == "mass-graceful-end"), key=start_of)
    others = [each for each in found if each.kind != "mass-graceful-end"]
    run: list[Incident] = []
    for each in drains:
        if run and each.start - run[-1].end > ROLLING:
            others.append(deploy(run))
            run = []
        run.append(each)
    if run:
        others.append(deploy(run))
    return others


def start_of(incident: Incident) -> tuple[int, tuple[int, ...]]:
    return incident.start, incident.connections


def deploy(run: list[Incident]) -> Incident:
    servers = sorted({each.server for each in run if each.server is not None})
    if len(servers) < 2:
        return run[0] if len(run) == 1 else run[0]._replace(
            end=run[-1].end, connections=tuple(sorted(i for each in run for i in each.connections)),
            detail=f"{run[0].detail}; {len(run)} waves",
        )  # fmt: skip
    ids = tuple(sorted(i for each in run for i in each.connections))
    names = ", ".join(name_of(server) for server in servers[:4]) + (", ..." if len(servers) > 4 else "")
    detail = f"{len(servers)} servers closed {len(ids)} connections one after the other with 1001 or 1012: {names}"
    return Incident(
        "deploy", None, run[0].start, run[-1].end, ids, detail, "restart", 0.93, (("going-away", 0.2),), CONFIRM["restart"]
    )


# -- and back again ------------------------------------------------------------------------------------------


def returns(rows: list[Ended], masses: Iterable[Incident]) -> list[Incident]:
    """Clients of a mass end that come back together: without jitter they are the next incident."""
    found = []
    by_client = group([each._replace(time=each.row.started) for each in rows], client_host)
    clients = {each.id: each.row.client[0] for each in rows}
    for mass in masses:
        came: list[Ended] = []
        for host in sorted({clients[i] for i in mass.connections}):
            came += [
                each
                for each in by_client[host]
                if mass.start < each.time <= mass.end + RETURN and each.id not in mass.connections
            ]
        if len(came) < STORM:
            continue
        came.sort(key=time_of)
        delays = sorted(each.time - mass.start for each in came)
        middle = delays[len(delays) // 2]
        spread = delays[len(delays) * 9 // 10] - delays[len(delays) // 10]
        if spread > JITTER * middle:
            continue
        detail = (
            f"{len(came)} connects by the clients of an earlier incident, half of them within {seconds(middle)} and "
            f"nine in ten within {seconds(spread)} of one another: no jitter"
        )
        found.append(
            Incident("reconnect-storm", mass.server, came[0].time, came[-1].time, tuple(sorted(each.id for each in came)), detail,
                     mass.cause, 0.85, (), "the reconnect delays of the clients: a random part spreads the load")
        )  # fmt: skip
    return found
