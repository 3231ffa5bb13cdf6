"""Killed or reloaded: what a server did after all its connections had ended."""

from __future__ import annotations

from typing import Any

import pytest
from termination.crowds import answered, connection, dropped, incidents, refused

from wsaudit.kernel.connection import Connection
from wsaudit.model import CLIENT

GONE = 60.0


def ended(count: int = 8) -> list[Connection]:
    return [dropped(i, GONE + i / 10_000, host=i) for i in range(count)]


def end_of(rows: list[Connection]) -> dict[str, Any]:
    (found,) = [each for each in incidents(rows) if each["kind"] == "mass-abrupt-end"]
    return found


def told(*after: Connection) -> tuple[str, float]:
    found = end_of([*ended(), *after])
    return found["cause"], found["confidence"]


def test_nothing_followed() -> None:
    assert told() == ("endpoint-killed", 0.86)


def test_a_connect_that_is_refused_meets_no_reload() -> None:
    assert told(refused(GONE + 0.3)) == ("endpoint-killed", 0.86)
    found = end_of([*ended(), refused(GONE + 0.3)])
    assert "next connect, 299 ms later, was refused" in found["detail"]
    assert all("299 ms later, was refused" in row.termination.evidence[-1] for row in found["rows"])


def test_a_connect_that_was_refused_before_tells_nothing_of_what_followed() -> None:
    assert "refused" not in end_of([*ended(), refused(GONE - 5)])["detail"]


def test_who_is_there_again_was_restarted_or_killed() -> None:
    rows = [*ended(), refused(GONE + 0.3), answered(GONE + 2, 0.002)]
    found = end_of(rows)
    assert (found["cause"], found["confidence"]) == ("endpoint-killed", 0.75)
    assert found["alternatives"] == [{"cause": "restart", "confidence": 0.45}]
    assert "1.70 s later something did again" in found["detail"]


def test_who_answers_at_once_was_there_all_the_time() -> None:
    assert told(answered(GONE + 0.01, 0.002), refused(GONE + 9)) == ("restart", 0.6)


def test_who_accepts_at_once_and_answers_later_was_not() -> None:
    """The listening socket may be the supervisor's."""
    assert told(answered(GONE + 0.01, 0.5)) == ("endpoint-killed", 0.55)


def test_who_answers_after_a_minute_tells_nothing() -> None:
    assert told(answered(GONE + 20, 0.002)) == ("endpoint-killed", 0.86)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_says_that_its_upstream_is_gone(status: int) -> None:
    assert told(answered(GONE + 0.01, 3, status=status)) == ("endpoint-killed", 0.8)


def test_another_refusal_is_an_answer() -> None:
    assert told(answered(GONE + 0.01, 0.002, status=401)) == ("restart", 0.6)


def test_all_that_came_later_stayed() -> None:
    young = [answered(GONE - 3 + i / 10, 0.002, host=i) for i in range(4)]
    found = end_of([*ended(), *young])
    assert (found["cause"], found["confidence"]) == ("restart", 0.75)
    assert "4 others stayed open, all of them younger" in found["detail"]


def test_an_older_one_stayed() -> None:
    young = [answered(GONE - 3 + i / 10, 0.002, host=i) for i in range(4)]
    found = end_of([*ended(), *young, connection(3.5, 100)])
    assert (found["cause"], found["confidence"]) == ("restart", 0.5)


@pytest.mark.parametrize(("young", "cause"), [(True, "restart"), (False, "endpoint-killed")])
def test_of_a_proxy_both_legs(young: bool, cause: str) -> None:
    """Its address is a client's, too."""
    front = ended(6)
    back = [dropped(i + 0.01, GONE + i / 10_000, server=1, by=CLIENT) for i in range(6)]
    for row in back:
        row.client = (front[0].server[0], row.client[1])
    later = [answered(GONE - 3 + i / 10, 0.002, host=i) for i in range(4)] if young else [refused(GONE + 0.1)]
    found = end_of([*front, *back, *later])
    assert (found["cause"], found["other_legs"], len(found["connections"])) == (cause, 6, 12)
    assert ("4 others stayed open, all of them younger" in found["detail"]) == young
