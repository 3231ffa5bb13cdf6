"""What is asked of every connection of a report when connections are compared. Of 50,000 rows each is far from the others in
memory, so a walk over them costs more than what is asked on the way: it is made here, once, and all else looks at the groups."""

from __future__ import annotations

from array import array

from wsaudit.kernel import mode
from wsaudit.kernel.connection import Connection
from wsaudit.model import Finding, Termination

Endpoint = tuple[bytes, int]
RuleGroup = tuple[Finding, set[int], dict[str, int]]


def is_compiled() -> bool:
    return bool(mode.COMPILED)


def number(rows: list[Connection]) -> None:
    """Give the connections of a report, in their final order, their ids."""
    for i, row in enumerate(rows, 1):
        row.number = i


def in_order_of_start(rows: list[Connection]) -> bool:
    """Did each begin no sooner than the one before it? Then there is nothing to sort."""
    before = 0
    for row in rows:
        if row.started < before:
            return False
        before = row.started
    return True


def alike(rows: list[Connection]) -> tuple[list[tuple[Termination, list[Connection]]], list[Connection]]:
    """Connections by the object that tells how they ended: of thousands that ended alike, most share one. Apart from them those
    of which nobody knows that they were WebSockets, unless they are still open."""
    groups: dict[int, list[Connection]] = {}
    found: list[tuple[Termination, list[Connection]]] = []
    apart = []
    for row in rows:
        end = row.termination
        if row.probable and end.kind != "ongoing":
            apart.append(row)
            continue
        known = groups.get(id(end))
        if known is None:
            known = groups[id(end)] = []
            found.append((end, known))
        known.append(row)
    return found, apart


def kinds(rows: list[Connection]) -> list[tuple[Connection, int]]:
    """One of each kind of connections, and how many there are of it: all that a summary counts by is the same within a kind.
    Most rows share these objects with others, so they are compared first, and what they say only of the few that are left."""
    counts: dict[tuple[object, ...], int] = {}
    examples: list[Connection] = []
    for row in rows:
        key = (id(row.termination), id(row.close), row.outcome, row.complete, row.probable)
        times = counts.get(key)
        if times is None:
            examples.append(row)
            counts[key] = 1
        else:
            counts[key] = times + 1
    found: dict[tuple[object, ...], tuple[Connection, int]] = {}
    for row, times in zip(examples, counts.values(), strict=True):
        end = row.termination
        said = (end.kind, end.cause, end.reported, row.close, row.outcome, row.complete, row.probable)
        example, before = found.get(said, (row, 0))
        found[said] = (example, before + times)
    return list(found.values())


def by_client(rows: list[Connection]) -> list[list[Connection]]:
    """The connections of each client: of one host, to one server, with one User-Agent."""
    groups: dict[tuple[object, ...], list[Connection]] = {}
    for row in rows:
        client = row.client
        key = (client[0], row.server, row.user_agent)
        known = groups.get(key)
        if known is None:
            groups[key] = [row]
        else:
            known.append(row)
    return list(groups.values())


def by_server(rows: list[Connection]) -> dict[Endpoint, list[Connection]]:
    """The connections of each server."""
    groups: dict[Endpoint, list[Connection]] = {}
    for row in rows:
        known = groups.get(row.server)
        if known is None:
            groups[row.server] = [row]
        else:
            known.append(row)
    return groups


def by_client_host(rows: list[Connection]) -> dict[bytes, list[Connection]]:
    """The connections of each client's host."""
    groups: dict[bytes, list[Connection]] = {}
    for row in rows:
        client = row.client
        host = client[0]
        known = groups.get(host)
        if known is None:
            groups[host] = [row]
        else:
            known.append(row)
    return groups


def first_and_last(rows: list[Connection]) -> tuple[Connection, Connection]:
    """Those with the first and with the last first packet; of several with the same one the first."""
    first = last = rows[0]
    for row in rows:
        if row.first_packet < first.first_packet:
            first = row
        if row.first_packet > last.first_packet:
            last = row
    return first, last


def without_tls(rows: list[Connection]) -> list[Connection]:
    """Those that were certainly WebSockets and had no TLS."""
    found = []
    for row in rows:
        if not row.probable and row.transport == "tcp":
            found.append(row)
    return found


def with_tls(rows: list[Connection]) -> list[Connection]:
    """Those of whose TLS something is known."""
    found = []
    for row in rows:
        if row.tls is not None:
            found.append(row)
    return found


def with_mask_keys(rows: list[Connection]) -> list[Connection]:
    """Those whose first masking keys are known."""
    found = []
    for row in rows:
        if row.packed_keys:
            found.append(row)
    return found


def at_once(rows: list[Connection]) -> list[Connection]:
    """Those of a group, in the order of their starts, that began while the handshake of another was surely under way: from its
    start for as long as the server took to answer, which leaves out the time before its request."""
    found = []
    end = 0
    for row in rows:
        if row.latency_ns >= 0:
            if row.started < end:
                found.append(row)
            end = max(end, row.started + row.latency_ns)
    return found


def successions(rows: list[Connection]) -> list[tuple[Connection, Connection]]:
    """Of one client's connections, in the order of their starts, each and the next one, where the next one is its successor for
    certain: nothing else was open. At one instant the clock is too coarse to tell."""
    found = []
    open_until = 0  # the end of all before `before`
    before = None
    for after in rows:
        if before is not None:
            if open_until <= before.started and before.ended < after.started:
                found.append((before, after))
            open_until = max(open_until, before.ended)
        before = after
    return found


def agents_accepted(rows: list[Connection]) -> dict[str, int]:
    """How many connections each User-Agent opened."""
    counts: dict[str, int] = {}
    for row in rows:
        agent = row.user_agent
        if agent and row.outcome == "accepted":
            counts[agent] = counts.get(agent, 0) + 1
    return counts


def by_path(rows: list[Connection]) -> list[list[Connection]]:
    """Those that certainly were WebSockets, by the path that was asked for; without those of which it was not captured."""
    groups: dict[str, list[Connection]] = {}
    for row in rows:
        target = row.target
        if target is not None and not row.probable:
            path = target.partition("?")[0]
            known = groups.get(path)
            if known is None:
                groups[path] = [row]
            else:
                known.append(row)
    return list(groups.values())


def by_connection(findings: list[Finding], ids: dict[int, int], rows: int) -> list[Finding] | None:
    """Findings in the order of their connections' ids, those about one connection as they came; None when a connection has no id.
    To count how many each has takes half the time that sorting takes. `rows`: how many there are, which is more than there are
    ids by first packet where two opening handshakes shared a TCP connection."""
    numbers = array("q", bytes(8 * len(findings)))
    places = array("q", bytes(8 * (rows + 2)))  # by id, where its next finding goes
    for i, finding in enumerate(findings):
        number = ids.get(finding.key)
        if number is None:
            return None
        numbers[i] = number
        places[number + 1] += 1
    for i in range(1, rows + 2):
        places[i] += places[i - 1]
    ordered = list(findings)
    for i, finding in enumerate(findings):
        ordered[places[numbers[i]]] = finding
        places[numbers[i]] += 1
    return ordered


def unsettled(findings: list[Finding]) -> list[tuple[int, int]]:
    """Of findings by connection the parts, as of a slice, about one connection whose packets do not grow from one to the next."""
    found = []
    before = packet_before = -1
    start = 0
    grows = True
    for i, finding in enumerate(findings):
        key = finding.key
        packet = finding.place.packet
        if key != before:
            if not grows:
                found.append((start, i))
            start = i
            grows = True
        elif packet <= packet_before:
            grows = False
        before = key
        packet_before = packet
    if not grows:
        found.append((start, len(findings)))
    return found


def rule_groups(findings: list[Finding], ids: dict[int, int]) -> dict[tuple[str, str], RuleGroup]:
    """Findings by rule and verdict: the first one, the ids of the connections it was found in, and who was at fault how often."""
    groups: dict[tuple[str, str], RuleGroup] = {}
    for finding in findings:
        key = (finding.rule, finding.verdict)
        group = groups.get(key)
        if group is None:
            group = groups[key] = (finding, set(), {})
        number = ids.get(finding.key)
        if number is not None:
            connections = group[1]
            connections.add(number)
        faults = group[2]
        at_fault = finding.at_fault
        faults[at_fault] = faults.get(at_fault, 0) + 1
    return groups
