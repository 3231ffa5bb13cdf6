"""Many connections as rows of a report, without packets: for what shows only when they are compared."""

from __future__ import annotations

import random
from typing import Any

from wsaudit.kernel.connection import Connection
from wsaudit.model import CLIENT, SECOND, SERVER, Close, Detail, Termination
from wsaudit.termination.incidents import find_incidents

START = 1_700_000_000 * SECOND
SERVERS = [(bytes([10, 9, 0, i]), 8080) for i in range(4)]
HOSTS = [bytes([10, 0, i, 7]) for i in range(40)]


def connection(started: float, ended: float, server: int = 0, host: int = 0, **end: Any) -> Connection:
    """A connection from `started` to `ended`, in seconds, that ended normally unless `end` (of a Termination) says otherwise."""
    first, last = START + round(started * SECOND), START + round(ended * SECOND)
    idle = round(end.pop("idle", 0.1) * SECOND)
    told = end.pop("told", None)  # seconds since the server's last bytes
    code, agent = end.pop("code", None), end.pop("agent", None)
    sent = last - SECOND // 500
    detail = Detail(first, closes=((first, sent), (first, sent)), idle=(idle, None, told and round(told * SECOND), None))
    row = Connection(first, first, last, (HOSTS[host], 40000), SERVERS[server], detail.pack(), outcome="accepted", target="/")
    row.user_agent = agent
    row.end_time = last
    row.termination = Termination(**{"kind": "closed", "how": "fin", "by": SERVER, "cause": "normal", "confidence": 0.5, **end})
    if code is not None:
        row.close = (Close(code, b""), Close(code, b""))
    return row


def goodbye(started: float, ended: float, server: int = 0, host: int = 0, code: int = 1001) -> Connection:
    return connection(started, ended, server, host, initiator=SERVER, code=code, cause="going-away")


def dropped(started: float, ended: float, server: int = 0, host: int = 0, by: int = SERVER, **end: Any) -> Connection:
    return connection(started, ended, server, host, kind="dropped", by=by, cause="abrupt-exit", **end)


def vanished(started: float, ended: float, server: int = 0, host: int = 0) -> Connection:
    return connection(started, ended, server, host, kind="dropped", how="silent", by=None, cause="network-loss")


def refused(at: float, server: int = 0, host: int = 0) -> Connection:
    """A connect that was answered with an RST."""
    row = connection(at, at, server, host, kind="failed", how="rst", cause="connect-failed")
    row.probable = True
    return row


def answered(at: float, after: float, server: int = 0, host: int = 0, status: int = 101, until: float = 100.0) -> Connection:
    """A connect whose handshake was answered `after` so many seconds."""
    row = connection(at, until, server, host, initiator=CLIENT, code=1000)
    row.latency, row.status = round(after * SECOND), status
    row.outcome = "accepted" if status == 101 else "refused"
    return row


def given_up(started: float, ended: float, server: int = 0, host: int = 0) -> Connection:
    return connection(
        started, ended, server, host, initiator=CLIENT, code=1011, kind="close-unanswered", cause="keepalive-timeout"
    )


def steady(seed: int, count: int = 3000, lasting: float = 100.0) -> list[Connection]:
    """Everyday traffic: nothing that one connection does depends on another. Of every eight, three end in a way that a mass end
    could be made of."""
    dice = random.Random(seed)
    mean = dice.choice((2.0, 10.0, 40.0))
    rows = []
    for _ in range(count):
        start = dice.uniform(0, lasting)
        end = start + dice.expovariate(1 / mean)
        if end >= lasting:
            rows.append(connection(start, lasting, dice.randrange(4), dice.randrange(40), kind="ongoing", how=None, by=None))
            continue
        place = (start, end, dice.randrange(4), dice.randrange(40))
        draw = dice.randrange(16)
        if draw == 0:
            rows.append(vanished(*place))
        elif draw == 1:
            rows.append(given_up(*place))
        elif draw == 2:
            rows.append(dropped(*place, by=CLIENT, idle=dice.expovariate(1)))
        elif draw == 3:
            rows.append(dropped(*place, idle=dice.expovariate(1)))
        elif draw < 6:
            rows.append(goodbye(*place, code=dice.choice((1001, 1012))))
        else:
            closer = dice.randrange(2)
            rows.append(connection(*place, initiator=closer, code=1000 if closer == SERVER else dice.choice((1000, 1001, 4000))))
    return rows


def in_order(rows: list[Connection]) -> list[Connection]:
    return sorted(rows, key=lambda row: row.first_packet)


def incidents(rows: list[Connection]) -> list[dict[str, Any]]:
    """The incidents among `rows`, which are put in the report's order; each with its `rows`."""
    ordered = in_order(rows)
    found = find_incidents(ordered)
    for each in found:
        each["rows"] = [ordered[number - 1] for number in each["connections"]]
    return found
