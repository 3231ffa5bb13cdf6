"""What is asked of every connection of a report when connections are compared. Of 50,000 rows each is far from the others in
memory, so a walk over them costs more than what is asked on the way: it is made here, once, and all else looks at the groups."""

from __future__ import annotations

from array import array
from collections.abc import Container
from struct import unpack

from wsaudit.kernel import ahead, mode, order
from wsaudit.kernel.connection import Connection
from wsaudit.model import Termination

Endpoint = tuple[bytes, int]

FEW = 1 << 14  # keys that a set is fast enough for
MARKS = 1 << 24  # bits to tell masking keys apart by: 2 MiB
POSITIVE = (1 << 63) - 1
SHIFT = 20  # the bits above are mixed best
MULTIPLIER = 0x9E3779B1  # spreads keys that count


def is_compiled() -> bool:
    return bool(mode.COMPILED)


def by_first_packet(rows: list[Connection]) -> list[Connection]:
    """The connections in the order of their first packets, those with the same one as they come."""
    count = len(rows)
    packets = array("q", bytes(8 * count))
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        packets[i] = row.first_packet
    return [rows[place] for place in order.order(packets)]


def number(rows: list[Connection]) -> array[int]:
    """Give the connections of a report, in their final order, their ids. Their first packets."""
    found = array("q", bytes(8 * len(rows)))
    starts = found
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        row.number = i + 1
        starts[i] = row.first_packet
    return found


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
    for i, row in enumerate(rows):
        ahead.row(rows, i)
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
    for i, row in enumerate(rows):
        ahead.row(rows, i)
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
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        ahead.client(rows, i)
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
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        known = groups.get(row.server)
        if known is None:
            groups[row.server] = [row]
        else:
            known.append(row)
    return groups


def by_client_host(rows: list[Connection]) -> dict[bytes, list[Connection]]:
    """The connections of each client's host."""
    groups: dict[bytes, list[Connection]] = {}
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        ahead.client(rows, i)
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
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        if row.first_packet < first.first_packet:
            first = row
        if row.first_packet > last.first_packet:
            last = row
    return first, last


def without_tls(rows: list[Connection]) -> list[Connection]:
    """Those that were certainly WebSockets and had no TLS."""
    found = []
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        if not row.probable and row.transport == "tcp":
            found.append(row)
    return found


def with_tls(rows: list[Connection]) -> list[Connection]:
    """Those of whose TLS something is known."""
    found = []
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        if row.tls is not None:
            found.append(row)
    return found


def mask_keys(rows: list[Connection]) -> bytes:
    """The first masking keys of all, of four bytes each."""
    found = []
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        ahead.mask_keys(rows, i)
        found.append(row.packed_keys)
    return b"".join(found)


def with_mask_keys(rows: list[Connection]) -> list[Connection]:
    """Those whose first masking keys are known."""
    found = []
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        ahead.mask_keys(rows, i)
        if row.packed_keys:
            found.append(row)
    return found


def count_repeats(keys: bytes) -> int:
    """How many of these keys, of four bytes each, had come before.

    Compiled, many of them are first told apart by a bit each, of as many as the processor's caches hold: only those that share
    theirs with others are compared.
    """
    count = len(keys) // 4
    if not mode.COMPILED or count < FEW:
        return count - len(set(unpack(f"<{count}I", keys)))
    numbers = memoryview(keys).cast("I")
    seen, shared = bytearray(MARKS // 8), bytearray(MARKS // 8)
    marks, doubles = memoryview(seen), memoryview(shared)
    for i in range(count):
        mark = numbers[i] * MULTIPLIER >> SHIFT & MARKS - 1
        bit = 1 << (mark & 7)
        doubles[mark >> 3] |= marks[mark >> 3] & bit
        marks[mark >> 3] |= bit
    suspects = array("q", bytes(8 * count))
    some = 0
    for i in range(count):
        mark = numbers[i] * MULTIPLIER >> SHIFT & MARKS - 1
        if doubles[mark >> 3] & 1 << (mark & 7):
            suspects[some] = numbers[i]
            some += 1
    found = 0
    places = order.order(suspects[:some])
    for i in range(1, some):
        found += suspects[places[i]] == suspects[places[i - 1]]
    return found


def that_may_count(rows: list[Connection]) -> list[Connection]:
    """Those whose masking keys may be those of a counter (Connection.may_count)."""
    found = []
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        ahead.mask_keys(rows, i)
        if row.may_count():
            found.append(row)
    return found


def may_share_keys(rows: list[Connection]) -> bool:
    """May two of these have the same Sec-WebSocket-Key? A set of all keys would tell, too, in three times the time."""
    hashes = array("q", bytes(8 * len(rows)))
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        ahead.key(rows, i)
        hashes[i] = hash(row.key) & POSITIVE
    places = order.order(hashes)
    for i in range(1, len(rows)):  # noqa: SIM110 - no generator when compiled
        if hashes[places[i]] == hashes[places[i - 1]]:
            return True
    return False


def at_once(rows: list[Connection]) -> list[Connection]:
    """Those of a group, in the order of their starts, that began while the handshake of another was surely under way: from its
    start for as long as the server took to answer, which leaves out the time before its request."""
    found = []
    end = 0
    for i, row in enumerate(rows):
        ahead.row(rows, i)
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


def that_said(rows: list[Connection], side: int, codes: tuple[int, ...]) -> list[Connection]:
    """Those in which this side sent a Close with one of these codes."""
    found = []
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        close = row.close[side]
        if close is not None and close.code in codes:
            found.append(row)
    return found


def besides(rows: list[Connection], ids: Container[int]) -> list[Connection]:
    """Those that are not among these."""
    found = []
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        if row.number not in ids:
            found.append(row)
    return found


def ages(rows: list[Connection], shortest: int) -> list[tuple[int, int, Connection]]:
    """How old each grew until its transport's end began, its id, and the row, of those that grew at least this old."""
    found = []
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        age = (row.end_time or row.ended) - row.started
        if age >= shortest:
            found.append((age, row.number, row))
    return found


def end_times(rows: list[Connection]) -> list[int]:
    """When the transport's end of each began."""
    found = []
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        found.append(row.end_time or row.ended)
    return found


def span(rows: list[Connection]) -> tuple[int, int]:
    """From the first start of these to the last time that one was heard of. Of at least one."""
    first = rows[0].started
    last = 0
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        first = min(first, row.started)
        last = max(last, row.ended)
    return first, last


def heard_of_after(rows: list[Connection], time: int) -> list[tuple[int, int]]:
    """From when to when those were heard of that were so at this time or later."""
    found = []
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        if row.ended >= time:
            found.append((row.started, row.ended))
    return found


def agents_accepted(rows: list[Connection]) -> dict[str, int]:
    """How many connections each User-Agent opened."""
    counts: dict[str, int] = {}
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        agent = row.user_agent
        if agent and row.outcome == "accepted":
            counts[agent] = counts.get(agent, 0) + 1
    return counts


def by_path(rows: list[Connection]) -> list[list[Connection]]:
    """Those that certainly were WebSockets, by the path that was asked for; without those of which it was not captured."""
    groups: dict[str, list[Connection]] = {}
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        ahead.target(rows, i)
        target = row.target
        if target is not None and not row.probable:
            path = target.partition("?")[0]
            known = groups.get(path)
            if known is None:
                groups[path] = [row]
            else:
                known.append(row)
    return list(groups.values())
