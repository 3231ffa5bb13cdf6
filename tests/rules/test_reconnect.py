"""When a client's way of coming back is remarked upon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import wire
from wire import C, S

import wsaudit
from wsaudit.kernel.connection import Connection
from wsaudit.model import CLIENT, SECOND, Close, Detail, Fault, Termination
from wsaudit.rules.reconnect import (
    reconnect_after_fatal_code,
    reconnect_delay_constant,
    reconnect_ignores_overload,
    reconnect_without_delay,
    reconnect_without_jitter,
)

SERVER_END = (b"\n\0\0\2", 80)


def row(start: float, stop: float, kind: str = "dropped", code: int | None = None, **facts: Any) -> Connection:
    """A connection from `start` to `stop` seconds. `code`: of the server's Close."""
    first = round(start * 1000) + 1
    times = round(start * SECOND), round(stop * SECOND)
    made = Connection(first, *times, (b"\n\0\0\1", 40000), SERVER_END, Detail(first + 1).pack())
    made.target, made.user_agent, made.termination = "/ws?t=1", "agent/1", Termination(kind)
    if code is not None:
        made.close = (None, Close(code, b""))
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def after(*delays: float, kind: str = "dropped", last: str = "ongoing", **facts: Any) -> list[Connection]:
    """Connections of a second each, with these delays between them."""
    rows, now = [], 0.0
    for delay in (*delays, None):
        rows.append(row(now, now + 1, last if delay is None else kind, **facts))
        now += 1 + (delay or 0)
    return rows


def told(rule: Any, rows: Sequence[Connection]) -> list[Fault]:
    found = list(rule(rows, []))
    assert all(side == CLIENT for _, side, _ in found)
    return [fault for _, _, fault in found]


# -- RC-01 -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dropped", "refused", "failed", "close-unanswered"])
def test_without_delay(kind: str) -> None:
    [fault] = told(reconnect_without_delay, after(9, 0.01, 0.5, 0.2, 0.001, 0.1, 4, kind=kind))
    assert fault.count == 5
    assert fault.detail == "5 retries in a row, none later than 0.5 s after the end before"


@pytest.mark.parametrize(
    "rows",
    [
        after(0.01, 0.5, 0.001, 0.001),  # four are an accident
        after(0.01, 0.01, 0.01, 2, 0.01, 0.01),
        after(0.01, 0.01, 0.01, 0.01, 0.01, kind="closed"),
        after(0, 0, 0, 0, 0, 0, 0),  # by a clock that cannot tell
        [*after(0.01, 0.5), *(row(9 + n, 9.5 + n, "closed") for n in range(5))],
        [row(n, n + 3) for n in range(6)],  # open at the same time: several clients
        [row(n, n + 1, target=f"/{n}") for n in range(6)],
        [row(n, n + 1, user_agent=f"agent/{n}") for n in range(6)],
        [row(n, n + 1, probable=True) for n in range(6)],
    ],
)
def test_with_a_delay_or_without_need(rows: list[Connection]) -> None:
    assert told(reconnect_without_delay, rows) == []


def test_the_query_is_not_the_path() -> None:
    """Tokens in the query change from try to try; it is the same client."""
    rows = [row(n, n + 0.9, target=f"/ws?token={n}") for n in range(6)]
    assert [fault.count for fault in told(reconnect_without_delay, rows)] == [5]


def test_a_closing_handshake_can_be_abnormal() -> None:
    assert told(reconnect_without_delay, after(*[0.001] * 5, kind="closed", code=1011)) != []
    assert told(reconnect_without_delay, after(*[0.001] * 5, kind="closed", code=1000)) == []


# -- RC-02 -----------------------------------------------------------------------------------------------------------------------


def fleet(delays: Sequence[float]) -> list[Connection]:
    """Clients that are dropped together and come back once each."""
    rows = []
    for number, delay in enumerate(delays):
        client = (bytes([10, 0, 1, number]), 40000)
        rows += [row(0, 1, client=client), row(1 + delay, 60 + delay, "closed", client=client)]
    return rows


def test_all_together() -> None:
    [fault] = told(reconnect_without_jitter, fleet([2 + n / 100 for n in range(8)]))
    assert fault.count == 8
    assert fault.detail == '8 first retries of "agent/1", all 2.04 s after the end'


@pytest.mark.parametrize("delays", [[2] * 7, [1 + n / 2 for n in range(12)], [0.01] * 12])
def test_too_few_or_spread_or_at_once(delays: list[float]) -> None:
    assert told(reconnect_without_jitter, fleet(delays)) == []


# -- RC-03 -----------------------------------------------------------------------------------------------------------------------


def test_a_constant_delay() -> None:
    [fault] = told(reconnect_delay_constant, after(3, 3.1, 2.9, 3))
    assert fault.detail == "4 retries in a row after 3, 3.1, 2.9, 3 s"


@pytest.mark.parametrize("delays", [(1, 2, 4, 8), (3, 3, 3), (30, 30, 30, 30), (10, 0.1, 0.1, 0.1)])
def test_growing_or_short_or_long_enough(delays: tuple[float, ...]) -> None:
    assert told(reconnect_delay_constant, after(*delays)) == []


# -- RC-04, RC-05 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1002, 1007, 1009, 4401, 4403])
def test_a_loop_of_fatal_codes(code: int) -> None:
    [fault] = told(reconnect_after_fatal_code, after(1, 5, 30, kind="closed", last="closed", code=code))
    assert (fault.count, fault.detail) == (3, f"3 times back after close code {code}")


@pytest.mark.parametrize(
    "rows",
    [
        after(1, kind="closed", last="closed", code=4401),  # once may be a fresh token
        after(1, 1, kind="closed", last="ongoing", code=4401),  # the last one works
        after(1, 1, kind="closed", last="closed", code=1001),
        after(900, 900, kind="closed", last="closed", code=4401),
    ],
)
def test_no_loop(rows: list[Connection]) -> None:
    assert told(reconnect_after_fatal_code, rows) == []


@pytest.mark.parametrize("code", [1012, 1013])
def test_haste_after_overload(code: int) -> None:
    [fault] = told(reconnect_ignores_overload, after(0.2, kind="closed", code=code))
    assert fault.detail == f"once back within 0.2 s of close code {code}"
    assert told(reconnect_ignores_overload, after(7, kind="closed", code=code)) == []
    assert told(reconnect_ignores_overload, after(0.2, kind="closed", code=1001)) == []


# -- the whole way ---------------------------------------------------------------------------------------------------------------


def test_in_a_capture() -> None:
    talks = []
    for number in range(6):
        talk = wire.Conversation(client=("10.0.0.1", 40000 + number)).wait(number).open().upgrade("/ws", {"User-Agent": "a/1"})
        talks.append(talk.text(S, "x").ack(C).rst(S))
    report = wsaudit.audit(wire.pcap(wire.merge(*talks))).to_dict()
    [found] = [each for each in report["findings"] if each["rule"] == "RC-01"]
    assert (found["at_fault"], found["verdict"], found["connection"], found["count"]) == ("client", "non-strict", 2, 5)
