"""Mass ends, each with its near miss."""

from __future__ import annotations

import random
from typing import Any

import pytest
from termination.crowds import connection, dropped, goodbye, incidents, vanished

from wsaudit.kernel.connection import Connection
from wsaudit.model import BOTH, CLIENT


def kinds(rows: list[Connection]) -> list[str]:
    return [each["kind"] for each in incidents(rows)]


def the(rows: list[Connection]) -> dict[str, Any]:
    (found,) = incidents(rows)
    return found


@pytest.mark.parametrize("count", [3, 30])
def test_all_of_a_server_dropped_in_one_instant(count: int) -> None:
    found = the([dropped(i / 7, 20 + i / 10_000) for i in range(count)])
    assert (found["kind"], found["cause"], len(found["connections"])) == ("mass-abrupt-end", "endpoint-killed", count)
    assert "all that were open" in found["detail"]


def test_two_are_no_mass() -> None:
    assert kinds([dropped(i, 20 + i / 10_000) for i in range(2)]) == []


def test_a_few_of_many_are_no_mass() -> None:
    stayed = [connection(i / 10, 60 + i) for i in range(50)]
    assert kinds([*stayed, *(dropped(i, 30 + i / 10_000) for i in range(4))]) == []


def test_three_within_a_second_of_a_short_capture_are_chance() -> None:
    assert kinds([dropped(i / 10, 2 + i / 5) for i in range(3)]) == []


def test_what_a_server_does_all_the_time_is_no_event() -> None:
    """Five within 2 ms, twice a second."""
    rows = [dropped(i / 20, 10 + i / 2 + k / 2000) for i in range(200) for k in range(5)]
    assert kinds(rows) == []


def test_connections_that_began_together_and_had_as_long_to_do() -> None:
    """What they share is their age."""
    assert kinds([dropped(1 + i / 10, 31 + i / 10.5) for i in range(20)]) == ["lifetime-cap"]
    assert kinds([goodbye(1 + i / 10, 31 + i / 10.5) for i in range(20)]) == ["lifetime-cap"]


def test_clients_of_one_host() -> None:
    found = the([dropped(i, 40 + i / 10_000, server=i % 4, by=CLIENT) for i in range(12)])
    assert (found["kind"], found["server"]) == ("mass-abrupt-end", None)
    assert "from 10.0.0.7" in found["detail"]


def crowd(count: int = 12, over: float = 0.001, **end: Any) -> list[Connection]:
    """Clients of as many hosts that leave one server."""
    return [dropped(i, 40 + i * over / count, host=i, by=CLIENT, **end) for i in range(count)]


def test_clients_of_many_hosts_that_leave_at_once_have_something_in_common() -> None:
    found = the(crowd())
    assert (found["kind"], found["server"], len(found["connections"])) == ("mass-abrupt-end", "10.9.0.0:8080", 12)
    assert "12 connections of 12 hosts" in found["detail"]
    assert "something in common" in found["detail"]
    assert found["confidence"] < 0.5  # nobody knows what
    assert {row.termination.cause for row in found["rows"]} == {found["cause"]}
    assert {row.termination.confirm for row in found["rows"]} == {found["confirm"]}
    assert "load balancer" in found["confirm"]


def test_what_the_server_had_just_sent_may_be_why_they_left() -> None:
    found = the(crowd(told=0.02))
    assert found["cause"] == "abrupt-exit"
    assert "had just sent" in found["detail"]
    assert "had just sent" not in the(crowd(told=5))["detail"]


def test_a_crowd_that_is_reset_points_to_the_way() -> None:
    found = the(crowd(how="rst"))
    assert (found["cause"], found["confidence"]) == ("middlebox-reset", 0.5)


def test_a_crowd_whose_hosts_had_several_each_is_one_incident() -> None:
    found = the([dropped(i, 40 + i / 40_000, host=i % 10, by=CLIENT) for i in range(40)])
    assert "40 connections of 10 hosts" in found["detail"]


def test_a_proxy_that_passes_a_crowds_end_on_did_not_die() -> None:
    """Without the keys of the handshakes, as where the capture starts in the middle."""
    front = crowd()
    back = [dropped(i, 40.0002 + i * 0.001 / 12, server=1, by=CLIENT) for i in range(12)]
    for row in back:
        row.client = (front[0].server[0], row.client[1])
    found = the([*front, *back])
    assert (found["server"], len(found["connections"]), found["other_legs"]) == ("10.9.0.0:8080", 24, 12)
    assert "10.9.0.0 passed it on to 12 other legs" in found["detail"]


def test_a_crowd_within_minutes_is_none() -> None:
    assert kinds(crowd(over=80)) == []


def test_a_crowd_within_seconds_may_be_people() -> None:
    assert kinds([*crowd(30, over=5), connection(0, 600)]) == []


def test_a_few_of_many_clients_are_no_crowd() -> None:
    stayed = [connection(i / 10, 60 + i, host=i % 40) for i in range(150)]
    assert kinds([*stayed, *crowd(10)]) == []


def test_one_host_among_others_is_told_of_that_host() -> None:
    of_one = [dropped(i, 40 + i / 100_000, host=39, by=CLIENT) for i in range(20)]
    found = the([*of_one, *crowd(6)])
    assert "from 10.0.39.7" in found["detail"]
    assert len(found["connections"]) == 20


def test_resets_from_between_at_once() -> None:
    rows = [dropped(i, 40 + i / 10_000, host=i, how="rst", by=BOTH) for i in range(8)]
    for row in rows:
        row.termination = row.termination._replace(cause="middlebox-reset", confidence=0.8)
    found = the(rows)
    assert (found["kind"], found["cause"], found["confidence"]) == ("mass-abrupt-end", "middlebox-reset", 0.85)
    assert "on the way" in found["detail"]


def test_resets_from_between_after_the_same_silence_are_a_limits() -> None:
    """Some load balancers reset both sides of what was idle."""
    rows = [dropped(i, 300 + i / 50, host=i, how="rst", by=BOTH, idle=240 + i / 1000) for i in range(8)]
    for row in rows:
        row.termination = row.termination._replace(cause="middlebox-reset", confidence=0.8)
    assert kinds(rows) == ["idle-limit"]


def test_resets_from_between_now_and_then() -> None:
    rows = [dropped(i, 40 + 9 * i, host=i, how="rst", by=BOTH) for i in range(8)]
    for row in rows:
        row.termination = row.termination._replace(cause="middlebox-reset", confidence=0.8)
    assert kinds(rows) == []


def silent(silences: list[float], ends: list[float]) -> list[Connection]:
    """Connections whose silences look as those of a limit do."""
    rows = [dropped(i, end, idle=idle) for i, (idle, end) in enumerate(zip(silences, ends, strict=True))]
    for row in rows:
        row.termination = row.termination._replace(cause="idle-timeout", confidence=0.6)
    return rows


def test_ends_that_are_nearer_than_the_silences_before_them_are_one_event() -> None:
    """Connections that were used at the same time and killed whole seconds later."""
    found = the(silent([3.001, 3.0025, 3.004, 3.0005], [40 + i / 10_000 for i in range(4)]))
    assert (found["kind"], found["cause"], found["confidence"]) == ("mass-abrupt-end", "endpoint-killed", 0.75)


def test_ends_that_are_farther_apart_than_the_silences_before_them_are_a_limits() -> None:
    found = the(silent([3.001, 3.0012, 3.001, 3.0013], [40 + i / 500 for i in range(4)]))
    assert (found["kind"], found["cause"]) == ("idle-limit", "idle-timeout")


def test_where_both_fit_neither_is_sure() -> None:
    found = the(silent([3.001, 3.0012, 3.0014, 3.0016], [40 + i / 10_000 for i in range(4)]))
    assert (found["cause"], found["confidence"]) == ("endpoint-killed", 0.5)
    assert found["alternatives"][0] == {"cause": "idle-timeout", "confidence": 0.45}


def test_silence_at_once() -> None:
    found = the([*(vanished(i, 50 + i / 3) for i in range(6)), connection(0, 120)])
    assert (found["kind"], found["cause"]) == ("mass-silent-end", "network-loss")


def test_silence_now_and_then() -> None:
    assert kinds([*(vanished(i, 50 + 9 * i) for i in range(6)), connection(0, 120)]) == []


def test_goodbyes_of_one_server_name_their_codes() -> None:
    found = the([*(goodbye(i, 60 + i / 10, code=1012) for i in range(12)), connection(0, 90)])
    assert found["kind"] == "mass-graceful-end"
    assert found["detail"] == "10.9.0.0:8080 closed 12 connections within 1.10 s with 1012"


def test_goodbyes_in_waves_are_one_incident() -> None:
    waves = [goodbye(i, 60 + 30 * wave + i / 50) for wave in range(2) for i in range(12)]
    found = the([*waves, connection(0, 400)])
    assert (found["kind"], len(found["connections"])) == ("mass-graceful-end", 24)
    assert "in 2 waves" in found["detail"]


def test_servers_in_turn_are_a_deploy() -> None:
    rows = [goodbye(i, 60 + 30 * server + i / 50, server) for server in range(3) for i in range(8)]
    found = the(rows)
    assert found["kind"] == "deploy"
    assert "one after the other" in found["detail"]


def test_servers_at_once_are_not_said_to_follow_one_another() -> None:
    rows = [goodbye(i, 60 + server / 100 + i / 50, server) for server in range(3) for i in range(8)]
    found = the(rows)
    assert found["kind"] == "deploy"
    assert "one after the other" not in found["detail"]


def test_goodbyes_at_a_steady_rate_are_no_deploy() -> None:
    dice = random.Random(1)
    rows = [goodbye(i / 2, 5 + i / 2 + dice.expovariate(0.1), server=i % 4) for i in range(400)]
    assert kinds(rows) == []


def test_goodbyes_when_everybody_leaves_are_no_drain() -> None:
    """Of a load test that ends, some connections are closed by the server: it is the test that ends."""
    left = [connection(i / 10, 60 + i / 40, initiator=CLIENT, code=1000) for i in range(200)]
    assert kinds([*left, *(goodbye(i, 61 + i / 2) for i in range(7))]) == []


def back(count: int, delay: float, spread: float, before: int = 0) -> list[Connection]:
    rows = [dropped(i / 3, 60 + i / 10_000, host=i) for i in range(count)]
    rows += [connection(60 + delay + i * spread / count, 100, server=1, host=i) for i in range(count)]
    return rows + [connection(i * 100 / (before or 1), 100, server=1, host=i % count) for i in range(before)]


def test_clients_that_come_back_together() -> None:
    storm = incidents(back(20, 5, 0.2))[-1]
    assert storm["kind"] == "reconnect-storm"
    assert [row.started for row in storm["rows"]] == sorted(row.started for row in back(20, 5, 0.2)[20:])


def test_clients_that_come_back_one_by_one() -> None:
    assert kinds(back(20, 1, 19)) == ["mass-abrupt-end"]


def test_clients_that_connect_all_the_time_do_not_come_back() -> None:
    assert kinds(back(20, 5, 8, before=4000)) == ["mass-abrupt-end"]


def test_clients_of_two_servers_that_died_together_are_two_storms() -> None:
    rows = [dropped(i / 3, 60 + i / 10_000, server=i % 2, host=i) for i in range(40)]
    rows += [connection(65 + i / 200, 100, server=2, host=i) for i in range(40)]
    assert kinds(rows) == ["mass-abrupt-end", "mass-abrupt-end", "reconnect-storm", "reconnect-storm"]
