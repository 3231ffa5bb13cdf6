"""Verdicts, doubt, folding, selecting, limits: what the judge decides for all rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.talks import DEFLATE, C, S, Talk, history, judged, talk, told, wire
from wsaudit.options import Limits, Options
from wsaudit.rules.judge import ASKED_ALONE, Judge, make_plan, rules_of
from wsaudit.rules.occasions import BIT, occasions_of
from wsaudit.rules.rule import CATALOGUE
from wsaudit.termination.reported import FAULTS
from wsaudit.termination.wire import REPELLENT

FAULTY = talk().text(C, "a", mask=None).text(C, "b", mask=None).ping(C, mask=None).frame(S, 3).close(C, 1006).close(S, 1006)
CAPTURE = FAULTY.fin(S).fin(C).pcap()


def test_repeats_of_a_rule_are_one_finding() -> None:
    (found,) = [each for each in judged(CAPTURE) if each.rule == "FR-01"]
    assert (found.count, found.at_fault, found.side, found.key) == (3, "client", C, 1)
    assert found.detail == "text frame of 1 byte without a masking key"  # the first of them
    assert (found.place.packet, found.last_packet) == (6, 8)


def test_findings_come_in_the_order_of_their_packets() -> None:
    packets = [each.place.packet for each in judged(CAPTURE)]
    assert packets == sorted(packets)
    assert len(packets) > 3


def test_a_connection_without_faults_has_no_findings() -> None:
    assert judged(talk().text(C, "hi").text(S, "hello").ping(S, b"1").pong(C, b"1").bye()) == []


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        (("FR",), (), {"FR-01", "FR-05"}),
        (("FR-01", "CL"), (), {"FR-01", "CL-02"}),
        (("fr-05",), (), {"FR-05"}),
        (("unmasked-client-frame",), (), {"FR-01"}),
        ((), ("CL", "reserved-opcode"), {"FR-01"}),
        (("FR",), ("FR-01",), {"FR-05"}),
        (("PMD",), (), set()),
    ],
)
def test_selecting(select: tuple[str, ...], ignore: tuple[str, ...], expected: set[str]) -> None:
    assert {each.rule for each in judged(CAPTURE, select=select, ignore=ignore)} == expected


def test_a_reaction_is_judged_when_the_fault_it_answers_is_not_selected() -> None:
    capture = talk().frame(C, 3).wait(2).text(S, "ok").bye()
    assert told(judged(capture, select=("FR-09",))) == ["FR-09 server"]


def test_only_some_occasions() -> None:
    """When all else about a connection is known, whatever else there would be to say."""
    pongs = BIT["pongs"] | BIT["heartbeat"]
    session = history(talk().pong(S, b"x").pong(S, b"y").text(C, "a", rsv=2).close(C, 1005).pcap())
    assert [finding.rule for finding in Judge(Options()).only(session, pongs)] == ["PP-06"]
    assert Judge(Options()).only(session, BIT["heartbeat"]) == []
    assert Judge(Options(ignore=("PP-06",))).only(session, pongs) == []


def test_what_is_asked_alone_explains_nothing() -> None:
    """Nobody reacts to it, and no end is explained by it: so it may be asked when all else is known."""
    asked = {rule.id for rule in CATALOGUE.values() if rule.when in ASKED_ALONE}
    assert not asked & (Judge(Options()).offences | FAULTS | REPELLENT | {"FR-06"})


def test_findings_beyond_the_limit_are_left_out_and_said_to_be() -> None:
    session = history(CAPTURE)
    assert len(Judge(Options(limits=Limits(findings=2))).session(session)) == 2
    assert [text for text in session.notices if "left out" in text]


def holed(conversation: Talk) -> Talk:
    """Whole frames of the client are lost, and noticed."""
    conversation.text(C, "lost").drop()
    for _ in range(20):
        conversation.ack(S).text(C, "found again")
    return conversation


def test_what_follows_a_lost_step_is_not_certain() -> None:
    capture = holed(talk().frame(C, 3)).frame(C, 4).close(C, 1016).close(S, 1000).fin(S).pcap()
    found = {(each.rule, each.verdict) for each in judged(capture)}
    assert ("FR-05", "violation") in found  # it came before
    assert ("CL-05", "unverifiable") in found
    (close,) = [each for each in judged(capture) if each.rule == "CL-05"]
    assert "Close 1016, which nothing defines; not certain: " in close.detail
    assert "lost to the capture" in close.detail


def test_a_hole_within_a_payload_leaves_the_headers_certain() -> None:
    conversation = talk().send(C, wire.frame(wire.BINARY, bytes(3000), mask=b"abcd"), size=1000)
    del conversation.packets[-2]
    for _ in range(20):
        conversation.ack(S).text(C, "more")
    assert told(judged(conversation.frame(C, 3).bye())) == ["FR-05 client"]


def test_a_capture_from_the_middle_accuses_nobody() -> None:
    conversation = talk()
    for _ in range(5):
        conversation.text(C, "a").text(S, "b")
    conversation.frame(C, 3).text(S, b"\xff").close(C, 1006).fin(S).fin(C)
    del conversation.packets[:5]
    found = judged(conversation.pcap())
    assert found
    assert {each.verdict for each in found} == {"unverifiable"}


def test_cut_packets_leave_the_headers_certain() -> None:
    """A snap length keeps what stands at the beginning of a packet: frame headers, not what is far into a payload."""
    conversation = talk().binary(C, bytes(1000)).frame(C, 3, bytes(500)).text(C, b"x" * 900 + b"\xff")
    conversation.close(C, 1000).close(S, 1000).fin(S).fin(C)
    found = judged(wire.pcap(conversation.packets, snaplen=300))
    assert told(found) == ["FR-05 client"]
    assert [each.rule for each in found if each.verdict == "unverifiable"] == ["TX-01"]


def test_reserved_bits_are_nobodys_fault_when_the_answer_was_not_captured() -> None:
    conversation = Talk().open().send(C, wire.request(headers=DEFLATE))
    conversation.send(S, wire.response(headers=DEFLATE)).drop().ack(C)
    for _ in range(20):
        conversation.text(C, wire.deflate(b"hi"), rsv=wire.RSV1).ack(S)
    assert [each for each in told(judged(conversation.pcap())) if each.startswith(("FR-04", "PMD-01"))] == []


def test_hits_of_handshakes_are_remembered_with_places_of_their_own() -> None:
    def faulty(port: int, first: int) -> Talk:
        start = wire.START + port * wire.SECOND
        return Talk(client=("10.0.0.1", port), start=start).open().upgrade("/chat", {"Sec-WebSocket-Version": "14"}).wait(first)

    conversations = [faulty(port, port - 40000).close(C, 1000).close(S, 1000).fin(S).fin(C) for port in (40000, 40001, 40002)]
    capture = wire.pcap(wire.merge(*conversations))
    found = [each for each in judged(capture) if each.rule == "HS-C11"]
    assert len(found) == 3
    assert [each.place.packet - each.key for each in found] == [3, 3, 3]
    assert [each.place.time for each in found] == [wire.START + port * wire.SECOND + 3_000_000 for port in (40000, 40001, 40002)]
    assert {each.last_packet == each.place.packet for each in found} == {True}


def test_what_is_said_of_first_frames_is_not_remembered() -> None:
    """Where they are, and how many bytes, is their own: of three handshakes alike none may lend the others its words."""
    request, answer = wire.request("/chat"), wire.response()
    talks = []
    for i, text in enumerate((b"hi", b"hello", b"hey")):
        each = Talk(client=("10.0.0.1", 40000 + i), start=wire.START + i * wire.SECOND).open()
        early = wire.frame(wire.TEXT, text, mask=b"abcd")
        if i == 0:
            each.send(C, request + early)
        else:
            each.send(C, request).send(C, early)
        talks.append(each.send(S, answer).close(C, 1000).close(S, 1000).fin(S).fin(C))
    found = [each for each in judged(wire.pcap(wire.merge(*talks))) if each.rule == "HS-C18"]
    assert [each.detail.split()[0] for each in found] == ["8", "11", "9"]
    assert [each.place.packet - each.key for each in found] == [3, 4, 4]
    assert [each.place.offset for each in found] == [len(request)] * 3


def test_the_first_frame_behind_answers_of_several_lengths() -> None:
    talks = []
    for i, date in enumerate(("today", "tomorrow", "x")):
        each = Talk(client=("10.0.0.1", 40000 + i), start=wire.START + i * wire.SECOND).open()
        each.upgrade("/chat", {"Sec-WebSocket-Version": "14"}, {"Date": date}, after=wire.frame(wire.TEXT, b"hi"))
        talks.append(each.close(C, 1000).close(S, 1000).fin(S).fin(C))
    found = [each for each in judged(wire.pcap(wire.merge(*talks))) if each.rule == "HS-S25"]
    assert [each.place.offset - found[0].place.offset for each in found] == [0, 3, -4]


ACTS = [(act, side) for act in ("text", "part", "rest", "ping", "pong", "close", "bad", "fin", "rst") for side in (C, S)]
STEPS = st.lists(st.sampled_from([*ACTS, ("wait", 1), ("wait", 70)]), max_size=14)


def acted(steps: list[tuple[str, int]]) -> bytes:
    """A conversation of these steps."""
    conversation = talk()
    for act, side in steps:
        match act:
            case "text":
                conversation.text(side, "hi")
            case "part":
                conversation.text(side, "a", fin=False)
            case "rest":
                conversation.continuation(side, "b")
            case "ping":
                conversation.ping(side, b"1")
            case "pong":
                conversation.pong(side, b"1")
            case "close":
                conversation.close(side, 1000)
            case "bad":
                conversation.text(side, b"\xff")
            case "fin":
                conversation.fin(side)
            case "rst":
                conversation.rst(side)
            case "wait":
                conversation.wait(side)
    return conversation.pcap()


@settings(max_examples=300)
@given(STEPS)
def test_no_occasion_hides_a_finding(steps: list[tuple[str, int]]) -> None:
    """Asked without an occasion, every rule about the whole connection says what it says with one."""
    session = history(acted(steps))
    judge = Judge(Options())
    usual = judge.session(session)
    everything = sum(BIT.values()) & ~BIT["offended"]
    given_occasions = occasions_of(session)
    hidden = everything & ~given_occasions
    judge.plans[given_occasions] = make_plan(given_occasions | hidden & ~BIT["dropped"])  # the one occasion that rules rely on
    assert judge.session(session) == usual


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from([C, S]), st.binary(min_size=1, max_size=60)), max_size=6), st.booleans())
def test_any_bytes_can_be_judged(pieces: list[tuple[int, bytes]], compressed: bool) -> None:
    """And who sent nothing but a handshake did nothing wrong, except by what it did not do."""
    conversation = talk(DEFLATE, DEFLATE) if compressed else talk()
    for side, data in pieces:
        conversation.send(side, data)
    found = judged(conversation.fin(S).fin(C).pcap())
    senders = {("client", "server")[side] for side, _ in pieces}
    blamed = {each.at_fault for each in found if each.verdict == "violation" and CATALOGUE[each.rule].at_fault != "receiver"}
    assert blamed <= senders


def test_weak_keys_excuse_no_reaction() -> None:
    conversation = wire.Conversation().open().upgrade("/chat").text(C, "a").text(C, "b").close(C, 1000).ack(S)
    assert told(judged(conversation.wait(1).fin(S).fin(C).pcap())) == ["FR-08 client", "CL-12 server"]


def test_every_rule_can_be_asked() -> None:
    asked = make_plan(sum(BIT.values()))
    assert {rule.id for rule in (*asked.client, *asked.server)} == {rule.id for rule in rules_of("session")}
    assert {rule.id for rules in asked.reactions for rule in rules} == {rule.id for rule in rules_of("reaction")}
