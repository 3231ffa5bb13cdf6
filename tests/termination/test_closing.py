"""Causes of endings in which a Close tells, or half tells, why; each with its near miss."""

from __future__ import annotations

from pathlib import Path

import pytest
import wire
from termination.endings import ending, endings, gone, talk
from wire import C, S


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (1000, "normal"), (1001, "going-away"), (1003, "invalid-data"), (1008, "policy"), (1011, "internal-error"),
        (1012, "restart"), (1013, "overload"), (1014, "bad-gateway"), (3000, "unauthorized"),
        (4401, "application"), (None, "normal"),
    ],
)  # fmt: skip
def test_a_code_says_why(code: int | None, cause: str) -> None:
    found = ending(gone(talk().close(S, code).close(C, code), S))
    assert found.cause == cause
    assert found.confidence >= 0.75
    assert "server sent Close" in found.evidence


def test_of_two_that_cross_the_one_that_says_more_counts() -> None:
    conversation = talk().close(C, 1000)
    body = b"\x88\x02\x03\xf3"  # 1011
    conversation.segment(S, body, 0x18, ack=conversation.seq[C] - 8)
    conversation.seq[S] += len(body)
    found = ending(gone(conversation.ack(C), S))
    assert (found.initiator, found.cause) == ("both", "internal-error")


def test_words_outweigh_the_code() -> None:
    said = talk().close(S, 1011, "keepalive ping timeout").close(C, 1011)
    assert ending(gone(said, S)).cause == "keepalive-timeout"
    said = talk().close(S, 1011, "database gone").close(C, 1011)
    assert ending(gone(said, S)).cause == "internal-error"


def test_users_words_count(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        '[[text]]\nname = "drain"\nwhere = "reason"\ntext = "node drain"\n'
        'cause = "restart"\nproduct = "our mesh"\nconfirm = "ask"\n'
    )
    said = gone(talk().close(S, 1001, "node drain").close(C, 1001), S)
    assert ending(said).cause == "going-away"
    assert ending(said, signatures=file).cause == "restart"


def test_an_overdue_ping_is_what_a_vague_goodbye_means() -> None:
    """websocket-client and tornado say 1000 when their Ping times out."""
    late = talk().ping(C, b"1").ack(S).wait(2).close(C, 1000).ack(S).wait(3).fin(C).ack(S)
    found = ending(late)
    assert found.cause == "keepalive-timeout"
    assert "had waited 2.00 s for a Pong" in found.evidence


def test_a_ping_that_was_just_sent_is_not_overdue() -> None:
    soon = talk().ping(C, b"1").ack(S).wait(0.05).close(C, 1000).ack(S).wait(3).fin(C).ack(S)
    assert ending(soon).cause == "peer-silent"


def test_a_ping_that_was_answered_is_not_overdue() -> None:
    well = talk().ping(C, b"1").pong(S, b"1").wait(2).close(C, 1000).ack(S).wait(3).fin(C).ack(S)
    assert ending(well).cause == "peer-silent"


def test_who_answers_the_close_at_once_was_not_too_late_for_a_pong() -> None:
    never = talk().ping(C, b"1").ack(S).wait(2).close(C, 1000).close(S, 1000)
    assert ending(gone(never, S)).cause == "normal"


def test_a_close_never_answered() -> None:
    found = ending(talk().close(S, 1000).ack(C).wait(10).fin(S).ack(C).fin(C).ack(S))
    assert (found.kind, found.cause) == ("close-unanswered", "peer-silent")
    assert "websockets waits 10 s" in found.evidence
    assert found.confidence < 0.9


def test_a_close_that_was_answered_with_fin_keeps_its_meaning() -> None:
    found = ending(gone(talk().close(C, 1001).ack(S), S))
    assert (found.kind, found.cause) == ("close-unanswered", "going-away")


def test_a_close_that_never_arrived() -> None:
    conversation = talk().close(C, 1000)
    for pause in (0.2, 0.4, 0.8, 1.6):
        conversation.wait(pause).repeat()
    found = ending(conversation)
    assert (found.kind, found.how, found.cause) == ("close-unanswered", "silent", "network-loss")
    assert found.server == (None, None, False) or found.server[2] is False


def test_a_polite_hop_at_its_idle_limit() -> None:
    found = ending(gone(talk().wait(600).close(S, 1001, "Going away").close(C, 1001), S))
    assert found.cause == "idle-timeout"
    assert "API Gateway" in found.evidence
    assert found.others["going-away"] > 0.5


def test_the_same_goodbye_at_another_time_is_a_goodbye() -> None:
    assert ending(gone(talk().wait(500).close(S, 1001, "Going away").close(C, 1001), S)).cause == "going-away"


def test_a_limit_that_was_survived_before_is_none() -> None:
    survived = talk().wait(900).text(C, "x").wait(600).close(S, 1001).close(C, 1001)
    assert ending(gone(survived, S)).cause == "going-away"


def test_the_offence_is_named() -> None:
    found = ending(gone(talk().text(C, b"\xff\xfe").close(S, 1007).close(C, 1007), S))
    assert (found.cause, found.confidence) == ("invalid-data", 0.95)
    assert "client broke TX-01" in found.evidence


def test_a_complaint_without_an_offence_is_doubted() -> None:
    found = ending(gone(talk().close(S, 1007).close(C, 1007), S))
    assert found.cause == "invalid-data"
    assert found.confidence < 0.9


def test_who_never_answered_and_was_killed() -> None:
    found = ending(talk().close(C, 1000).ack(S).wait(2).rst(S))
    assert found.cause == "peer-silent"
    assert "as when a process is killed that never read it" in found.evidence
    assert "endpoint-killed" in found.others


def test_who_leaves_at_once_instead_of_answering_was_not_silent() -> None:
    assert ending(gone(talk().close(C, 1000).ack(S).wait(0.2), S)).cause == "normal"


def test_an_answer_to_somebody_who_had_given_up() -> None:
    late = talk().close(S, 1001).ack(C).wait(10).fin(S).ack(C).wait(2).close(C, 1001).rst(S)
    found = ending(late)
    assert (found.kind, found.cause) == ("closed", "peer-silent")
    assert "the answer came 2.00 s after the server had given up" in found.evidence


def test_who_gave_up_says_nothing_about_those_who_did_not() -> None:
    """Both ends have the same codes and the same side leaves first: they share no explanation all the same."""
    given_up = talk(port=1025).close(S, 1001).ack(C).wait(10).fin(S).ack(C).wait(2).close(C, 1001).fin(C).ack(S)
    orderly = [gone(talk(port=1026 + i, start=given_up.time).close(S, 1001).close(C, 1001), S) for i in range(40)]
    found = endings([given_up, *orderly])
    assert (found[0].cause, "had given up" in found[0].evidence) == ("peer-silent", True)
    assert {each.cause for each in found[1:]} == {"going-away"}
    assert {each.confidence for each in found[1:]} == {ending(orderly[0]).confidence}


def crossing(conversation: wire.Conversation, code: int, pause: float = 0) -> wire.Conversation:
    """Both close, the server `pause` s later, and neither has seen the other's Close."""
    seen = conversation.seq[C]
    body = wire.frame(wire.CLOSE, wire.close_payload(code))
    conversation.close(C, code).wait(pause).segment(S, body, 0x18, ack=seen)
    conversation.seq[S] += len(body)
    return gone(conversation.ack(C), S)


def test_who_missed_pings_says_nothing_about_those_who_did_not() -> None:
    missing = talk(port=1026)
    for _ in range(4):
        missing.ping(C).pong(S).wait(0.7)
    crossing(missing, 1011, 1.2)
    before, after = (
        crossing(talk(port=port, start=missing.time + shift), 1011) for port, shift in ((1025, -(10**11)), (1027, 1))
    )
    found = endings([before, missing, after])
    assert [each.cause for each in found] == ["internal-error", "keepalive-timeout", "internal-error"]
    assert "had come every" in found[1].evidence
    assert found[0].confidence == found[2].confidence == ending(after).confidence


def test_a_close_whose_body_was_not_captured_says_nothing() -> None:
    asked = wire.frame(wire.CLOSE, wire.close_payload(1011, "oops"))
    found = ending(gone(talk().send(S, asked[:2]).send(S, asked[2:]).drop().close(C, 1011), S))
    assert (found.kind, found.cause) == ("closed", "unknown")
    assert "its code was not captured" in found.evidence
