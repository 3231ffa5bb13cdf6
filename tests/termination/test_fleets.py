"""Heartbeats and releases, each with its near miss."""

from __future__ import annotations

from typing import Any

from termination.crowds import connection, given_up, incidents

from wsaudit.kernel.connection import Connection
from wsaudit.model import CLIENT, SERVER


def kinds(rows: list[Connection]) -> list[str]:
    return [each["kind"] for each in incidents(rows)]


def test_keep_alives_that_fail_together() -> None:
    (found,) = incidents([*(given_up(3 * i, 50 + i / 2) for i in range(6)), connection(0, 100)])
    assert (found["kind"], len(found["connections"])) == ("heartbeat-storm", 6)
    assert "the clients gave up" in found["detail"]


def test_keep_alives_that_fail_at_a_steady_rate() -> None:
    assert kinds([given_up(i * 2, 30 + i * 2 + i * 37 % 5) for i in range(60)]) == []


def test_keep_alives_of_different_servers() -> None:
    assert kinds([given_up(i, 50 + i / 2, server=i % 4) for i in range(8)]) == []


def closed(agent: str, i: int, bad: bool, **how: Any) -> Connection:
    if bad:
        how = {"initiator": SERVER, "code": 1002, "cause": "protocol-error", **how}
    return connection(3 * i, 20 + 5 * i, agent=agent, **{"initiator": CLIENT, "code": 1000, **how})


def test_a_release_that_breaks_the_protocol() -> None:
    rows = [closed("shop/4.2", i, True) for i in range(6)] + [closed("shop/4.1", i, False) for i in range(12)]
    (found,) = incidents(rows)
    assert found["kind"] == "bad-client-release"
    assert found["detail"] == (
        "6 of 6 connections of 'shop/4.2' were ended by the server for protocol-error, of all others 0 of 12"
    )


def test_a_rate_that_others_have_too() -> None:
    rows = [closed("shop/4.2", i, i < 5) for i in range(10)] + [closed("shop/4.1", i, i < 3) for i in range(30)]
    assert kinds(rows) == []


def test_an_only_client_is_no_release() -> None:
    assert kinds([closed("shop/4.2", i, True) for i in range(9)]) == []


def test_what_the_client_noticed_itself_is_no_accusation() -> None:
    rows = [closed("shop/4.2", i, True, initiator=CLIENT) for i in range(6)] + [closed("shop/4.1", i, False) for i in range(12)]
    assert kinds(rows) == []
