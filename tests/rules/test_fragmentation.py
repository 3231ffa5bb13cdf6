"""What the rules about fragments say, and what they leave alone."""

from __future__ import annotations

import pytest

import wsaudit
from tests.rules.talks import C, Case, S, Talk, assert_fires, assert_silent, judged, name, talk, wire

FOREIGN = {"Sec-WebSocket-Extensions": "x-mux"}
REASON = "control frame in the middle of fragments"


def dribble(count: int) -> bytes:
    """A message in this many fragments of one byte, and a last one."""
    conversation = talk().text(C, "x", fin=False)
    for _ in range(count - 1):
        conversation.continuation(C, "x", fin=False)
    return conversation.continuation(C, "the rest").bye()


def interleaved(reason: str = REASON, code: int = 1002) -> Talk:
    return talk().text(C, "one ", fin=False).ping(C, b"1").close(S, code, reason).close(C, code)


def two_legs(whole: bool) -> bytes:
    """A connection before and behind a proxy; `whole`: on both legs the Ping is in one piece."""
    legs = []
    for split in (False, not whole):
        leg = Talk(client=("10.0.0.2" if legs else "10.0.0.1", 40000), server=("10.0.0.3" if legs else "10.0.0.2", 80))
        leg.open().upgrade("/chat")
        if split:
            leg.ping(C, b"1", fin=False).continuation(C, b"2")
        else:
            leg.ping(C, b"12")
        legs.append(leg.close(C, 1000).close(S, 1000).fin(S).fin(C))
    return wire.pcap(wire.merge(*legs))


FIRING: list[Case] = [
    ("FG-01", "client", talk().continuation(C, "x").bye(), "no message is open"),
    ("FG-01", "server", talk().text(S, "x").continuation(S, "y", fin=False).bye(), "continuation frame of 1 byte"),
    ("FG-02", "client", talk().text(C, "x", fin=False).text(C, "y").continuation(C, "z").bye(), "text frame of 1 byte while"),
    ("FG-02", "server", talk().binary(S, b"x", fin=False).text(S, "y", fin=False).continuation(S, "z").bye(), "text frame"),
    ("FG-03", "client", talk().ping(C, b"x", fin=False).bye(), "Ping frame of 1 byte without FIN"),
    ("FG-03", "server", talk().frame(S, wire.CLOSE, b"\x03\xe8", fin=False).fin(S).pcap(), "Close frame"),
    ("FG-04", "client", talk().text(C, "hello", fin=False).bye(), "closed after 5 bytes of a text message"),
    ("FG-04", "server", talk().binary(S, bytes(9), fin=False).fin(S).fin(C).pcap(), "ended TCP after 9 bytes of a binary"),
    ("FG-05", "server", interleaved().fin(S).pcap(), "closed with 1002 right after legal control frames"),
    ("FG-06", "client", dribble(64), "64 fragments of at most one byte"),
]
NEAR: list[tuple[str, bytes]] = [
    ("FG-01", talk().text(C, "x", fin=False).ping(C).continuation(C, "y").bye()),
    ("FG-02", talk().text(C, "x", fin=False).continuation(C, "y").text(C, "z").bye()),
    ("FG-02", talk(FOREIGN, FOREIGN).text(C, "x", fin=False).text(C, "y").continuation(C, "z").bye()),
    ("FG-03", talk().text(C, "x", fin=False).ping(C).continuation(C, "y").bye()),
    ("FG-04", talk().text(C, "x", fin=False).continuation(C, "y").bye()),
    ("FG-04", talk().text(C, "x", fin=False).close(S, 1001).fin(S).fin(C).pcap()),  # the server left while it came
    ("FG-04", talk().text(C, "x", fin=False).pcap()),
    ("FG-05", interleaved("").fin(S).pcap()),  # an application may say 1002
    ("FG-05", interleaved(code=1001).fin(S).pcap()),
    ("FG-05", talk().text(C, "a").ping(C).close(S, 1002, REASON).close(C, 1002).fin(S).pcap()),
    ("FG-05", talk().text(C, "a", fin=False).ping(C).text(C, "b").close(S, 1002, REASON).fin(S).pcap()),  # a fault it was
    ("FG-06", dribble(63)),
    ("FG-07", two_legs(whole=True)),
]


@pytest.mark.parametrize(("rule", "at_fault", "capture", "words"), FIRING, ids=name)
def test_fires(rule: str, at_fault: str, capture: bytes, words: str) -> None:
    assert_fires(rule, at_fault, capture, words)


@pytest.mark.parametrize(("rule", "capture"), NEAR, ids=name)
def test_near_misses(rule: str, capture: bytes) -> None:
    assert_silent(rule, capture)


COMPARING: list[Case] = [("FG-07", "intermediary", two_legs(whole=False), "whole on the other leg")]


@pytest.mark.parametrize(("rule", "at_fault", "capture", "words"), COMPARING, ids=name)
def test_two_legs_of_a_connection_name_the_proxy(rule: str, at_fault: str, capture: bytes, words: str) -> None:
    (found,) = [each for each in wsaudit.audit(capture).to_dict()["findings"] if each["rule"] == rule]
    assert (found["at_fault"], found["verdict"], found["connection"]) == (at_fault, "violation", 2)
    assert words in found["detail"]


def test_whole_legs_name_nobody() -> None:
    assert "FG-07" not in {each["rule"] for each in wsaudit.audit(two_legs(whole=True)).to_dict()["findings"]}


def test_what_is_between_fragments_and_what_an_application_may_have_meant() -> None:
    (finding,) = [each for each in judged(interleaved("").fin(S).pcap()) if each.rule == "FG-05"]
    assert finding.verdict == "unverifiable"
    assert "an application may choose this code" in finding.detail
