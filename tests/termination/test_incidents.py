"""What many ends have in common, each with its near miss."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import wire
from hypothesis import given, settings
from hypothesis import strategies as st
from termination.crowds import HOSTS, connection, dropped, given_up, goodbye, incidents, steady, vanished
from termination.endings import gone, report, talk
from wire import C, S

from wsaudit.kernel.connection import Connection
from wsaudit.model import CLIENT, SERVER, timestamp

Conversations = list[wire.Conversation]
START = wire.START


def late(seconds: float) -> int:
    return START + round(seconds * wire.SECOND)


def fleet(count: int, first_port: int = 40000, **how: Any) -> Conversations:
    """Connections that were opened one after the other, 0.7 s apart."""
    return [talk(first_port + i, f"10.0.{i >> 8}.{i & 255}", start=late(0.7 * i), **how) for i in range(count)]


def until(conversation: wire.Conversation, seconds: float) -> wire.Conversation:
    """Nothing happens until `seconds` after the start of the capture."""
    conversation.time = late(seconds)
    return conversation


def kinds(found: dict[str, Any]) -> list[str]:
    return [incident["kind"] for incident in found["incidents"]]


def test_a_server_that_is_killed_is_one_incident() -> None:
    killed = [gone(until(each, 60 + i / 1000), S) for i, each in enumerate(fleet(30))]
    found = report(killed)
    (incident,) = found["incidents"]
    assert incident["kind"] == "mass-abrupt-end"
    assert incident["server"] == "10.0.0.2:80"
    assert incident["connections"] == list(range(1, 31))
    assert (incident["cause"], incident["confidence"]) == ("endpoint-killed", 0.86)
    assert "all that were open" in incident["detail"]
    assert incident["confirm"]
    assert all(each["termination"]["cause"] == "endpoint-killed" for each in found["connections"])


def test_a_network_cut_is_told_with_the_time_of_the_cut() -> None:
    """Not with that of the last of the repetitions, which go on for a quarter of an hour."""
    conversations = fleet(8)
    for number, each in enumerate(conversations):
        until(each, 60 + number / 10).text(S, "news")
        lost = len(wire.frame(wire.TEXT, b"news"))
        for pause in (0.2, 0.4, 0.8, 1.6, 3.2, 6.4):
            each.wait(pause).segment(S, wire.frame(wire.TEXT, b"news"), seq=each.seq[S] - lost)
    (incident,) = report(conversations)["incidents"]
    assert incident["kind"] == "mass-silent-end"
    assert incident["from"] == timestamp(late(60.201))
    assert incident["to"] == timestamp(late(60.901))


def test_ends_spread_over_minutes_are_none() -> None:
    assert kinds(report([gone(until(each, 60 + 2.3 * i), S) for i, each in enumerate(fleet(30))])) == []


def test_some_of_many_that_end_together_are_not_a_killed_server() -> None:
    conversations = fleet(40)
    for i, each in enumerate(conversations):
        until(each, 60 + i / 1000)
        if i % 2:
            gone(each, S)
        else:
            each.wait(5).text(C, "still here")
    found = report(conversations)
    assert kinds(found) == ["mass-abrupt-end"]
    assert found["incidents"][0]["cause"] == "restart"
    assert found["incidents"][0]["confidence"] <= 0.5
    assert "20 others stayed open" in found["incidents"][0]["detail"]


def test_a_proxy_reload_is_known_by_its_wait_after_a_common_instant() -> None:
    old = [gone(until(each, 300 + i / 1000), S) for i, each in enumerate(fleet(12))]  # opened in the first 8.4 s
    new = [talk(50000 + i, f"10.9.0.{i}", start=late(70 + i)) for i in range(6)]
    for each in new:
        until(each, 320).text(C, "still here")
    found = report([*old, *new])
    assert kinds(found) == ["proxy-reload"]
    assert found["incidents"][0]["cause"] == "restart"
    assert "240 s after an instant" in found["incidents"][0]["detail"]


def test_both_legs_of_a_proxy() -> None:
    proxy = "10.0.0.5"
    front = [talk(40000 + i, f"10.1.0.{i}", proxy, start=late(i)) for i in range(4)]
    back = [talk(50000 + i, proxy, "10.0.0.9", start=late(i + 0.1)) for i in range(4)]
    found = report([*(gone(until(each, 9.4), S) for each in front), *(gone(until(each, 9.401), C) for each in back)])
    (incident,) = found["incidents"]
    assert incident["server"] == f"{proxy}:80"
    assert len(incident["connections"]) == 8
    assert "both legs" in incident["detail"]


def test_a_drained_server() -> None:
    drained = [gone(until(each, 60 + i / 10).close(S, 1001).close(C, 1001), S) for i, each in enumerate(fleet(12))]
    found = report(drained)
    assert kinds(found) == ["mass-graceful-end"]
    assert found["incidents"][0]["cause"] == "restart"
    assert all(each["termination"]["cause"] == "restart" for each in found["connections"])


def test_users_who_leave_together_drain_nothing() -> None:
    left = [gone(until(each, 60 + i / 10).close(C, 1001).close(S, 1001), S) for i, each in enumerate(fleet(12))]
    found = report(left)
    assert kinds(found) == []
    assert all(each["termination"]["cause"] == "going-away" for each in found["connections"])


def test_drains_of_one_server_after_the_other_are_a_deploy() -> None:
    conversations = []
    for k, server in enumerate(("10.0.0.2", "10.0.0.3", "10.0.0.4")):
        for each in fleet(8, 40000 + 100 * k, server=server):
            conversations.append(gone(until(each, 60 + 120 * k).close(S, 1012).close(C, 1012), S))
    found = report(conversations)
    assert kinds(found) == ["deploy"]
    assert "3 servers" in found["incidents"][0]["detail"]
    assert len(found["incidents"][0]["connections"]) == 24


def test_the_same_silence_again_and_again_is_a_limit() -> None:
    """Also one that nobody has heard of, 41.3 s: what they share is what counts."""
    conversations = []
    for i, each in enumerate(fleet(5)):
        conversations.append(gone(each.wait(3.1 * i).text(C, "x").ack(S).wait(41.3), S))
    found = report(conversations)
    assert kinds(found) == ["idle-limit"]
    assert found["incidents"][0]["confidence"] >= 0.9
    assert {each["termination"]["cause"] for each in found["connections"]} == {"idle-timeout"}


def test_an_outlived_silence_weakens_the_limit() -> None:
    conversations = [gone(each.wait(3.1 * i).text(C, "x").ack(S).wait(41.3), S) for i, each in enumerate(fleet(5))]
    outlived = talk(60000, "10.8.0.1").wait(80).text(C, "x").text(S, "y")
    found = report([*conversations, outlived])
    assert kinds(found) == ["idle-limit"]
    assert found["incidents"][0]["confidence"] < 0.7


def test_waits_for_the_answer_to_a_handshake_are_no_silence_outlived() -> None:
    conversations = [gone(each.wait(2.51), S) for each in fleet(5)]
    refused = wire.Conversation(("10.8.0.1", 60000), ("10.0.0.2", 80)).open().send(C, wire.request("/chat")).wait(4)
    refused.send(S, wire.response("504 Gateway Timeout")).fin(C).fin(S)
    found = report([*conversations, refused])
    assert kinds(found) == ["idle-limit"]
    assert found["incidents"][0]["confidence"] >= 0.9


def test_different_silences_are_no_limit() -> None:
    conversations = [gone(each.wait(3.1 * i).text(C, "x").ack(S).wait(20.4 + 3.7 * i), S) for i, each in enumerate(fleet(5))]
    assert kinds(report(conversations)) == []


def test_the_same_age_whatever_the_traffic_is_a_cap() -> None:
    conversations = []
    for i, each in enumerate(fleet(5)):
        born = late(0.7 * i)
        each.time = born + (100 + 37 * i) * wire.SECOND
        each.text(C, "x").ack(S)
        each.time = born + 300_400_000_000
        conversations.append(gone(each, S))
    found = report(conversations)
    assert kinds(found) == ["lifetime-cap"]
    assert {each["termination"]["cause"] for each in found["connections"]} == {"lifetime-limit"}
    assert found["incidents"][0]["confidence"] >= 0.9


def test_heartbeats_that_fail_together() -> None:
    conversations = []
    for i, each in enumerate(fleet(6)):
        until(each, 30 + i / 5).ping(S, b"1").ack(C).wait(20)
        conversations.append(gone(each, S))
    found = report(conversations)
    assert kinds(found) == ["heartbeat-storm"]
    assert found["incidents"][0]["cause"] == "keepalive-timeout"


def test_heartbeats_that_fail_now_and_then_are_no_storm() -> None:
    conversations = [gone(until(each, 30 + 40.7 * i).ping(S, b"1").ack(C).wait(20), S) for i, each in enumerate(fleet(6))]
    assert kinds(report(conversations)) == []


def returning(delay: Any, count: int = 20) -> dict[str, Any]:
    """A killed server, and its clients back after `delay(i)` seconds."""
    killed = [gone(until(each, 60), S) for each in fleet(count)]
    back = [talk(50000 + i, f"10.0.0.{i}", start=late(60 + delay(i))) for i in range(count)]
    return report([*killed, *back])


def test_clients_that_come_back_in_lockstep() -> None:
    found = returning(lambda i: 5 + i / 100)
    assert sorted(kinds(found)) == ["mass-abrupt-end", "reconnect-storm"]
    storm = next(each for each in found["incidents"] if each["kind"] == "reconnect-storm")
    assert len(storm["connections"]) == 20
    assert "no jitter" in storm["detail"]


def test_clients_that_come_back_with_jitter() -> None:
    assert kinds(returning(lambda i: 1 + i * 0.9)) == ["mass-abrupt-end"]


def released(bad: str, good: str) -> Conversations:
    conversations = []
    for i, each in enumerate(fleet(6, 40000, headers={"User-Agent": bad})):
        conversations.append(gone(until(each, 30 + 3 * i).frame(C, 3, b"x").close(S, 1002).close(C, 1002), S))
    for i, each in enumerate(fleet(12, 41000, headers={"User-Agent": good})):
        conversations.append(gone(until(each, 30 + 3 * i).close(C, 1000).close(S, 1000), S))
    return conversations


def test_one_bad_release() -> None:
    found = report(released("shop/4.2", "shop/4.1"))
    assert kinds(found) == ["bad-client-release"]
    incident = found["incidents"][0]
    assert "'shop/4.2'" in incident["detail"]
    assert len(incident["connections"]) == 6
    assert incident["cause"] == "protocol-error"


def test_a_bad_server_breaks_every_release() -> None:
    conversations = released("shop/4.2", "shop/4.1")
    for i, each in enumerate(fleet(12, 42000, headers={"User-Agent": "shop/4.0"})):
        conversations.append(gone(until(each, 30 + 3 * i).frame(C, 3, b"x").close(S, 1002).close(C, 1002), S))
    assert kinds(report(conversations)) == []


def test_sharding_and_order_change_nothing() -> None:
    killed = [gone(until(each, 60 + i / 7), S) for i, each in enumerate(fleet(12))]  # no two packets at the same time
    alone = report(killed)
    shuffled = list(killed)
    random.Random(7).shuffle(shuffled)
    again = report(shuffled)
    for each in (alone, again):
        each.pop("inputs")
    assert alone == again


# -- everyday traffic, and what is planted into it -----------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_everyday_traffic_has_no_incident(seed: int) -> None:
    assert incidents(steady(seed)) == []


@settings(max_examples=40, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 400), st.sampled_from((0.5, 5.0, 60.0, 600.0, 7200.0)))
def test_everyday_traffic_of_any_size_has_no_incident(seed: int, count: int, lasting: float) -> None:
    assert incidents(steady(seed, count, lasting)) == []


def deploy(dice: random.Random) -> list[Connection]:
    return [
        goodbye(dice.uniform(0, 25), 30 + 10 * server + dice.random(), server, dice.randrange(40), 1012)
        for server in range(4)
        for _ in range(60)
    ]


def kill(dice: random.Random) -> list[Connection]:
    return [dropped(dice.uniform(0, 40), 50 + dice.uniform(0, 0.002), 1, dice.randrange(40)) for _ in range(30)]


def crowd(dice: random.Random) -> list[Connection]:
    return [dropped(dice.uniform(0, 40), 50 + dice.uniform(0, 0.001), 1, host, by=CLIENT) for host in range(40)]


def stall(dice: random.Random) -> list[Connection]:
    return [given_up(dice.uniform(0, 40), 50 + dice.uniform(0, 3), 1, dice.randrange(40)) for _ in range(30)]


def cut(dice: random.Random) -> list[Connection]:
    return [vanished(dice.uniform(0, 40), 50 + dice.uniform(0, 2), 1, dice.randrange(40)) for _ in range(30)]


def cap(dice: random.Random) -> list[Connection]:
    starts = [dice.uniform(0, 80) for _ in range(20)]
    return [
        connection(start, start + 15 + dice.uniform(0, 0.005), 1, dice.randrange(40), initiator=SERVER, code=1000)
        for start in starts
    ]


def kill_and_return(dice: random.Random) -> list[Connection]:
    killed = kill(dice)
    return killed + [
        connection(55 + dice.uniform(0, 0.2), 90, 2, HOSTS.index(row.client[0]), initiator=CLIENT, code=1000) for row in killed
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (deploy, ["deploy"]),
        (kill, ["mass-abrupt-end"]),
        (crowd, ["mass-abrupt-end"]),
        (stall, ["heartbeat-storm"]),
        (cut, ["mass-silent-end"]),
        (cap, ["lifetime-cap"]),
        (kill_and_return, ["mass-abrupt-end", "reconnect-storm"]),
    ],
)
def test_an_incident_amid_everyday_traffic(
    plant: Callable[[random.Random], list[Connection]], expected: list[str], seed: int
) -> None:
    """It is found, with nothing else; of its connections none is missing, and few that ended among them were everyday ends."""
    planted = plant(random.Random(seed))
    found = incidents(steady(seed) + planted)
    assert [each["kind"] for each in found] == expected
    told = {id(row) for each in found for row in each["rows"]}
    mine = {id(row) for row in planted}
    assert len(mine - told) <= len(mine) // 50
    assert len(told - mine) <= len(mine) // 4
