"""How clients come back after a connection was lost. RFC 6455 §7.2.3; meanings of codes 1012 and 1013 in IANA's registry.

A client is known by its address, User-Agent, server and path. Several behind one address look like one, so a delay counts only
where exactly one connection of that client was open before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from wsaudit.kernel.compare import by_path, successions
from wsaudit.kernel.connection import Connection
from wsaudit.kernel.findings import Findings
from wsaudit.model import CLIENT, SECOND, SERVER, Fault
from wsaudit.rules.handshake import quote
from wsaudit.rules.handshake_request import Found, start_of
from wsaudit.rules.rule import INFO, SHOULD, rule
from wsaudit.together import Together, together

Client = tuple[bytes, str | None, tuple[bytes, int], str]

NOT_NORMAL = frozenset({"dropped", "failed", "refused", "close-unanswered"})
REMEMBERED = 600 * SECOND  # who comes back later than this starts anew
AT_ONCE = SECOND  # a delay below this is none: RFC 6455 §7.2.3 names 0 to 5 seconds at random for the first retry
CAP = 30 * SECOND  # delays that have grown this far need not grow any more
FEWEST_HASTY = 5  # retries at once, in a row: fewer may be somebody who reloads a page, or a test
FEWEST_TRIES = 4  # retries in a row before their delays mean something
FEWEST_DELAYS = 8  # before the spread of delays means something
SPREAD = 0.05
OVERLOADED = frozenset({1012, 1013})
TROUBLED = OVERLOADED | {1011, 1014}  # the closing handshake of a server that cannot go on

# Codes after which the same attempt fails in the same way: the peer objects to what this client is or sends.
FATAL = frozenset({1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003, 4400, 4401, 4403, 4406})
TELLING = TROUBLED | FATAL


class Return(NamedTuple):
    """A client came back: the connection that ended, the one that followed, the time between in ns."""

    before: Connection
    after: Connection
    delay: int

    @property
    def failed(self) -> bool:
        return ended_badly(self.before)

    @property
    def code(self) -> int | None:
        """The server's close code."""
        close = self.before.close[SERVER]
        return None if close is None else close.code


def ended_badly(connection: Connection) -> bool:
    """By no closing handshake, or by one that says that something is wrong."""
    if connection.termination.kind in NOT_NORMAL:
        return True
    close = connection.close[SERVER]
    return close is not None and close.code in TROUBLED


@rule("RC-01", "RFC 6455 §7.2.3", SHOULD, "warning", "client", "report")
def reconnect_without_delay(connections: Sequence[Connection], findings: Findings) -> Found:
    """A client reconnects at once, again and again.

    The RFC says: after an abnormal closure clients use some form of back-off: the first retry after a random delay, the next ones
    after longer and longer ones.

    Why it matters: a server that restarts or is overloaded is met by all its clients at once, and goes down again.

    What to do: wait a random time of up to 5 seconds before the first retry, and double it from then on. Most reconnecting
    libraries have settings for both.
    """
    for tries in runs(connections):
        for hasty, group in groupby(tries, lambda each: each.delay < AT_ONCE):
            row = list(group)
            if hasty and len(row) >= FEWEST_HASTY:
                slowest = max(each.delay for each in row)
                yield told(row, f"{len(row):,} retries in a row, none later than {slowest / SECOND:.3g} s after the end before")


@rule("RC-02", "RFC 6455 §7.2.3", SHOULD, "info", "client", "report")
def reconnect_without_jitter(connections: Sequence[Connection], findings: Findings) -> Found:
    """Clients of one kind all wait equally long before they reconnect.

    The RFC says: the first retry is delayed by a random amount of time, so that not all clients come back together.

    Why it matters: after a restart the herd arrives in one instant, and again after each further delay.

    What to do: add randomness to the delay, of the size of the delay itself.
    """
    kinds: defaultdict[str | None, list[Return]] = defaultdict(list)
    for tries in runs(connections):
        if tries[0].delay >= AT_ONCE // 10:  # below, it is no delay: RC-01
            kinds[tries[0].after.user_agent].append(tries[0])
    for agent, firsts in kinds.items():
        delays = sorted(each.delay for each in firsts)
        middle = delays[len(delays) // 2]
        if len(delays) >= FEWEST_DELAYS and delays[-1] - delays[0] <= 2 * SPREAD * middle:
            who = "clients without User-Agent" if agent is None else quote(agent)
            yield told(firsts, f"{len(delays):,} first retries of {who}, all {middle / SECOND:.3g} s after the end")


@rule("RC-03", "RFC 6455 §7.2.3", SHOULD, "info", "client", "report")
def reconnect_delay_constant(connections: Sequence[Connection], findings: Findings) -> Found:
    """A client's delay does not grow from retry to retry.

    The RFC says: further attempts are delayed by increasingly longer times, for example by doubling.

    Why it matters: as long as the server is down, the load of the retries stays as high as in the first second.

    What to do: let the delay grow to half a minute or so.
    """
    for tries in runs(connections):
        delays = [each.delay for each in tries]
        if len(delays) >= FEWEST_TRIES and min(delays) >= AT_ONCE and max(delays) < CAP and delays[-1] < delays[0] * 1.5:
            shown = ", ".join(f"{delay / SECOND:.3g}" for delay in delays[:6])
            yield told(tries, f"{len(tries):,} retries in a row after {shown} s")


@rule("RC-04", "RFC 6455 §7.4.1", INFO, "warning", "client", "report")
def reconnect_after_fatal_code(connections: Sequence[Connection], findings: Findings) -> Found:
    """A client keeps coming back after a code that says it is not wanted as it is.

    The RFC says: 1002, 1003, 1007 to 1010 mean that the peer cannot go on with what this side is or sends (§7.4.1). Codes such as
    3000, 4401 and 4403 say that it is not authorized.

    Why it matters: nothing changes by trying again: the loop only fills logs and hides the cause.

    What to do: stop at these codes and tell the user or renew the token. Only what may pass deserves a retry.
    """
    loops: defaultdict[tuple[Client, int], list[Return]] = defaultdict(list)
    for each in returns(connections):
        if each.code in FATAL and each.delay < REMEMBERED:
            loops[client_of(each.after), each.code or 0].append(each)
    for (_, code), loop in loops.items():
        if len(loop) > 1 and loop[-1].after.termination.kind != "ongoing":
            yield told(loop, f"{len(loop):,} times back after close code {code}")


@rule("RC-05", "IANA WebSocket Close Code Number Registry", INFO, "info", "client", "report")
def reconnect_ignores_overload(connections: Sequence[Connection], findings: Findings) -> Found:
    """A client comes back at once although the server restarts or is overloaded.

    The RFC says: code 1012 tells of a restart, and asks for a reconnect after a random delay of 5 to 30 seconds; 1013 asks to try
    again later, or elsewhere.

    Why it matters: the server said what it needs, and gets the opposite.

    What to do: treat both codes apart from others in the client, with a longer delay.
    """
    hasty: defaultdict[tuple[str | None, int], list[Return]] = defaultdict(list)
    for each in returns(connections):
        if each.code in OVERLOADED and each.delay < AT_ONCE:
            hasty[each.after.user_agent, each.code or 0].append(each)
    for (_, code), group in hasty.items():
        slowest = max(each.delay for each in group) / SECOND
        times = "once" if len(group) == 1 else f"{len(group):,} times"
        yield told(group, f"{times} back within {slowest:.3g} s of close code {code}")


def told(found: Sequence[Return], detail: str) -> tuple[Connection, int, Fault]:
    """One finding about several returns, at the first of the connections that came back."""
    first, last = found[0].after, found[-1].after
    return first, CLIENT, Fault(detail, start_of(first), len(found), last.first_packet)


def runs(connections: Sequence[Connection]) -> Iterator[list[Return]]:
    """Returns of one client in a row, each after a connection that ended badly."""
    run: list[Return] = []
    for each in returns(connections):
        if run and (each.before is not run[-1].after or not each.failed):
            yield run
            run = []
        if each.failed and each.delay < REMEMBERED:
            run.append(each)
    if run:
        yield run


def returns(connections: Sequence[Connection]) -> list[Return]:
    """Every return of a client that matters, client by client, in order of time; found once for all rules of a report."""
    connections = together(connections)
    if "returns" not in connections.facts:
        connections.facts["returns"] = list(find_returns(connections))
    known: list[Return] = connections.facts["returns"]
    return known


def find_returns(connections: Together) -> Iterator[Return]:
    """Only of clients for whom something went wrong: in a healthy capture there is nothing to compare."""
    for group in connections.clients:
        if len(group) > 1 and any(map(matters, group)):
            for users in by_path(group):
                yield from returns_of(users)


def matters(connection: Connection) -> bool:
    """Is it of interest whether the client came back after this one?"""
    if connection.termination.kind in NOT_NORMAL:
        return True
    close = connection.close[SERVER]
    return close is not None and close.code in TELLING


def client_of(connection: Connection) -> Client:
    path = (connection.target or "").partition("?")[0]
    return connection.client[0], connection.user_agent, connection.server, path


def returns_of(group: list[Connection]) -> Iterator[Return]:
    """The returns of one client, whose connections come in the order of their starts. Where connections overlap, nobody can tell
    whose successor the next one is."""
    for before, after in successions(group):
        if matters(before):
            yield Return(before, after, after.started - before.ended)
