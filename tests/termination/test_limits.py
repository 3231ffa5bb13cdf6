"""Silences and ages that several ends share, each with its near miss."""

from __future__ import annotations

import random
from typing import Any

import pytest
from termination.crowds import connection, dropped, incidents

from wsaudit.kernel.connection import Connection
from wsaudit.model import CLIENT, SERVER


def kinds(rows: list[Connection]) -> list[str]:
    return [each["kind"] for each in incidents(rows)]


def causes(rows: list[Connection]) -> set[str]:
    return {row.termination.cause for row in rows}


def idle(value: float, i: int) -> Connection:
    return dropped(3 * i, 100 + 7 * i, idle=value)


def capped(age: float, start: float, **how: Any) -> Connection:
    return connection(start, start + age, initiator=SERVER, code=1000, **how)


def test_equal_silences() -> None:
    rows = [idle(41.3 + i / 500, i) for i in range(5)]
    (found,) = incidents(rows)
    assert (found["kind"], len(found["connections"])) == ("idle-limit", 5)
    assert causes(rows) == {"idle-timeout"}


def test_equal_silences_among_others() -> None:
    dice = random.Random(1)
    limited = [idle(41.3 + i / 500, i) for i in range(8)]
    others = [idle(dice.uniform(1, 60), i) for i in range(20)]
    (found,) = incidents([*limited, *others])
    assert {id(row) for row in found["rows"]} >= {id(row) for row in limited}
    assert len(found["connections"]) <= 10


def test_silences_that_are_near_each_other_by_chance() -> None:
    for seed in range(20):
        dice = random.Random(seed)
        assert kinds([idle(dice.lognormvariate(2, 0.5), i) for i in range(60)]) == []


@pytest.mark.parametrize(("off", "expected"), [(0.0, ["idle-limit"]), (0.4, [])])
def test_a_few_silences_beside_another_need_a_value_like_a_setting(off: float, expected: list[str]) -> None:
    """As recorded with nginx, whose timer is not moved by bytes that would move it by less than 0.3 s."""
    silences = (3.0055, 3.0182, 2.9997, 2.7029, 3.0025)
    assert kinds([dropped(20.0 * i, 20.0 * i + 7 + i, idle=value + off) for i, value in enumerate(silences)]) == expected


def test_a_pair_is_explained_and_no_incident() -> None:
    rows = [idle(41.3, 0), idle(41.31, 1)]
    assert kinds(rows) == []
    assert causes(rows) == {"idle-timeout"}


def test_a_pair_among_others_is_neither() -> None:
    rows = [idle(41.3, 0), idle(41.31, 1), *(idle(2.0 + 1.37 * i, i + 2) for i in range(8))]
    assert kinds(rows) == []
    assert causes(rows) == {"abrupt-exit"}


def test_an_odd_silence_of_ends_at_one_instant_is_their_common_past() -> None:
    assert "idle-limit" not in kinds([dropped(i, 100 + i / 1000, idle=41.3) for i in range(5)])


def test_equal_ages() -> None:
    rows = [capped(300.4 + i / 300, 11 * i) for i in range(6)]
    (found,) = incidents(rows)
    assert (found["kind"], len(found["connections"])) == ("lifetime-cap", 6)
    assert causes(rows) == {"lifetime-limit"}


def test_equal_ages_among_others() -> None:
    dice = random.Random(2)
    limited = [capped(60.4 + i / 1000, 11 * i) for i in range(12)]
    others = [connection(i, i + dice.expovariate(1 / 40), initiator=i % 2, code=1000) for i in range(400)]
    (found,) = incidents([*limited, *others])
    assert found["kind"] == "lifetime-cap"
    assert {id(row) for row in found["rows"]} >= {id(row) for row in limited}
    assert len(found["connections"]) <= 13


def test_ages_that_everybody_reaches_are_no_cap() -> None:
    """A test that holds each connection for a minute, whoever closes it."""
    rows = [connection(i, i + 60 + i % 7 / 100, initiator=CLIENT, code=1000) for i in range(100)]
    assert kinds([*rows, *(capped(60 + i % 7 / 100, 13 * i) for i in range(10))]) == []


def test_ages_that_are_near_each_other_by_chance() -> None:
    for seed in range(20):
        dice = random.Random(seed)
        assert kinds([capped(dice.gauss(60, 6), dice.uniform(0, 900)) for _ in range(200)]) == []


def test_ages_of_unused_connections_are_no_cap() -> None:
    assert "lifetime-cap" not in kinds([capped(300.4, 11 * i, idle=300.3) for i in range(6)])


def test_ages_of_seconds_are_no_cap() -> None:
    assert kinds([capped(9.5, 11 * i) for i in range(6)]) == []


def test_a_server_that_closes_all_at_once_caps_no_age() -> None:
    assert "lifetime-cap" not in kinds([capped(300.4, i / 100) for i in range(6)])


def test_equal_silences_of_clients_that_grew_equally_old_may_be_a_script() -> None:
    """Connect, say hello, sleep for ten seconds, leave: a load test does that again and again."""
    script = [dropped(7 * i, 7 * i + 10.5, by=CLIENT, idle=10.0) for i in range(6)]
    (found,) = incidents(script)
    assert (found["kind"], found["confidence"]) == ("idle-limit", 0.55)
    assert "sleeps and leaves" in found["detail"]
    hop = [dropped(7 * i, 7 * i + 10.5 + 2 * i, by=CLIENT, idle=10.0) for i in range(6)]
    assert incidents(hop)[0]["confidence"] > 0.9
