"""Both legs of one connection through a proxy in one capture."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import wire
from termination.endings import gone, report
from wire import C, S

PROXY, BACKEND = "10.0.0.5", "10.0.0.9"


def legs(number: int = 0, answer: wire.Headers = wire.UNCHANGED) -> tuple[wire.Conversation, wire.Conversation]:
    """A client's connection to a proxy, and the proxy's own to the backend: one key, the second inside the first's handshake."""
    key = base64.b64encode(b"%016d" % number).decode()
    start = wire.START + number * wire.SECOND
    front = wire.Conversation((f"10.1.0.{number}", 40000 + number), (PROXY, 80), start=start).open()
    front.send(C, wire.request("/", {"Sec-WebSocket-Key": key}))
    back = wire.Conversation((PROXY, 50000 + number), (BACKEND, 9000), start=front.time).open()
    back.upgrade("/", key=key)
    front.time = back.time
    front.send(S, wire.response(headers=answer, key=key))
    return front, back


def used(front: wire.Conversation, back: wire.Conversation) -> None:
    """A question and its answer, through the proxy."""
    for leg in (front, back):
        leg.text(C, "hi").text(S, "hello").ack(C)


def ended(front: wire.Conversation, back: wire.Conversation) -> tuple[Any, Any]:
    """The terminations of both legs."""
    first, second = (each["termination"] for each in report([front, back])["connections"])
    return first, second


def test_a_backend_that_dies_takes_the_client_s_leg_with_it() -> None:
    front, back = legs()
    back.send(S, wire.frame(wire.BINARY, b"half", length=400)).rst(S)
    front.time = back.time + wire.SECOND // 1000
    first, second = ended(gone(front, S), back)
    assert (second["by"], second["cause"]) == ("server", "endpoint-killed")
    assert (first["cause"], first["confidence"]) == (second["cause"], second["confidence"])
    assert "10.0.0.5:50000 to 10.0.0.9:9000" in first["evidence"][-1]


def test_a_client_that_dies_takes_the_backend_s_leg_with_it() -> None:
    front, back = legs()
    front.send(C, wire.frame(wire.BINARY, b"half", mask=wire.MASK, length=400)).fin(C)
    back.time = front.time + wire.SECOND // 1000
    first, second = ended(front, gone(back, C))
    assert (first["cause"], second["cause"]) == ("endpoint-killed", "endpoint-killed")
    assert "a proxy passed it on" in second["evidence"][-1]


@pytest.mark.parametrize("apart", [1.0, 30.0])
def test_ends_that_are_apart_have_nothing_to_do_with_each_other(apart: float) -> None:
    front, back = legs()
    back.send(S, wire.frame(wire.BINARY, b"half", length=400)).rst(S)
    front.time = back.time + round(apart * wire.SECOND)
    first, _ = ended(gone(front, S), back)
    assert "leg" not in " ".join(first["evidence"])


def test_one_key_for_all_is_no_pair_of_legs() -> None:
    """Some clients send the key of the RFC's example every time."""
    one = wire.Conversation(("10.1.0.1", 40000), (PROXY, 80)).open().upgrade()
    other = wire.Conversation(("10.1.0.2", 40000), (BACKEND, 80), start=wire.START + 54 * wire.SECOND // 10).open().upgrade()
    one.time = other.time
    other.send(S, wire.frame(wire.BINARY, b"half", length=400)).rst(S)
    first, _ = ended(gone(one, S), other)
    assert first["cause"] == "abrupt-exit"


def test_what_is_surer_of_one_leg_holds_for_both_that_a_proxy_cut() -> None:
    """nginx names itself to the client only, and its timer may have started a little before the last bytes."""
    front, back = legs(answer={"Server": "nginx/1.22.1"})
    for leg in (front, back):
        leg.wait(0.2)
    used(front, back)
    for leg, side in ((front, S), (back, C)):
        gone(leg.wait(2.8), side)
    first, second = ended(front, back)
    assert (first["by"], second["by"]) == ("server", "client")
    assert (first["cause"], second["cause"]) == ("idle-timeout", "idle-timeout")
    assert "as well" in second["evidence"][-1]


def test_an_end_of_both_legs_after_whole_seconds_is_a_limit_of_the_proxy() -> None:
    """HAProxy names itself to nobody. One leg alone would be an exit after three seconds."""
    front, back = legs()
    used(front, back)
    for leg, side in ((front, S), (back, C)):
        gone(leg.wait(3), side)
    first, second = ended(front, back)
    assert (first["cause"], second["cause"]) == ("idle-timeout", "idle-timeout")
    assert "ended both legs" in first["evidence"][-1]


def limited(count: int, apart: float) -> Any:
    """Tunnels that a proxy ended after three seconds of silence."""
    conversations = []
    for number in range(count):
        front, back = legs(number)
        for leg in (front, back):
            leg.time += round(number * apart * wire.SECOND)
        used(front, back)
        for leg, side in ((front, S), (back, C)):
            gone(leg.wait(3), side)
        conversations += [front, back]
    return report(conversations)


@pytest.mark.parametrize("apart", [0.0, 0.7])
def test_a_limit_of_a_proxy_is_one_incident(apart: float) -> None:
    """Alone the legs to the backend look like a program that sleeps and leaves, if they grew equally old."""
    found = limited(5, apart)
    (incident,) = found["incidents"]
    assert (incident["kind"], incident["server"]) == ("idle-limit", f"{PROXY}:80")
    assert (len(incident["connections"]), incident["other_legs"]) == (10, 5)
    assert "the proxy ended 5 other legs" in incident["detail"]
    told = {(each["termination"]["cause"], each["termination"]["confidence"]) for each in found["connections"]}
    assert told == {("idle-timeout", incident["confidence"])}


def test_limits_of_two_servers_that_no_proxy_joins_are_two() -> None:
    fronts = [gone(legs(number)[0].wait(3), S) for number in range(4)]
    others = [gone(legs(number + 20)[1].wait(3), C) for number in range(4)]
    assert [each["kind"] for each in report([*fronts, *others])["incidents"]] == ["idle-limit", "idle-limit"]


def test_a_killed_backend_after_whole_seconds_is_no_limit() -> None:
    """Three tunnels, used at the same time, then the upstream is killed: recorded with HAProxy."""
    conversations = []
    for number in range(3):
        front, back = legs(number)
        for leg, later in ((front, 0), (back, wire.SECOND // 5000)):
            leg.step = wire.SECOND // 5000
            leg.time = wire.START + 5 * wire.SECOND + number * wire.SECOND // 800 + later
        used(front, back)
        back.time = wire.START + 8 * wire.SECOND + number * wire.SECOND // 10_000
        front.time = back.time + wire.SECOND // 5000
        conversations += [gone(front, S), gone(back, S)]
    found = report(conversations)
    (incident,) = found["incidents"]
    assert (incident["kind"], incident["server"]) == ("mass-abrupt-end", f"{BACKEND}:9000")
    assert (len(incident["connections"]), incident["other_legs"]) == (6, 3)
    assert {each["termination"]["cause"] for each in found["connections"]} == {"endpoint-killed"}


def test_an_end_of_both_legs_at_any_time_is_not() -> None:
    front, back = legs()
    used(front, back)
    for leg, side in ((front, S), (back, C)):
        gone(leg.wait(3.4), side)
    first, second = ended(front, back)
    assert (first["cause"], second["cause"]) == ("abrupt-exit", "abrupt-exit")
    assert all("the proxy ended the other leg" in each["evidence"][-1] for each in (first, second))


def test_a_whole_number_of_seconds_of_one_tunnel_does_not_outweigh_that_all_ended_at_once() -> None:
    """A proxy that reloads: its worker cut six tunnels, and one of them had been silent for three seconds by chance."""
    moment = wire.START + 8 * wire.SECOND
    conversations = []
    for number in range(6):
        for leg, side in zip(legs(number), (S, C), strict=True):
            if number < 5:
                leg.time = moment - (20 + number) * wire.SECOND // 10
            leg.text(C, "hi").text(S, "hello").ack(C).time = moment
            conversations.append(gone(leg, side))
    found = report(conversations)
    (incident,) = found["incidents"]
    assert len(incident["connections"]) == 12
    assert "idle-timeout" in {each["cause"] for each in found["connections"][-1]["termination"]["alternatives"]}
    assert {each["termination"]["cause"] for each in found["connections"]} == {"endpoint-killed"}


def test_a_killed_backend_is_one_incident_and_nobody_says_that_the_proxy_was_killed() -> None:
    conversations = []
    for number in range(6):
        front, back = legs(number)
        used(front, back)
        conversations += [front, back]
    moment = wire.START + 20 * wire.SECOND
    for i, each in enumerate(conversations):
        each.time = moment + (0 if i % 2 else wire.SECOND // 500)
        gone(each, S)
    found = report(conversations)
    (incident,) = found["incidents"]
    assert incident["server"] == f"{BACKEND}:9000"
    assert (len(incident["connections"]), incident["other_legs"]) == (12, 6)
    assert "6 other legs" in incident["detail"]
    assert {each["termination"]["cause"] for each in found["connections"]} == {"endpoint-killed"}
