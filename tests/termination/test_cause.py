"""What never opened, what never ended, and how explanations are weighed."""

from __future__ import annotations

import pytest
import wire
from termination.endings import ending, gone, talk
from wire import C, S

from wsaudit.registry.signatures import CAUSES
from wsaudit.termination.cause import Cause, clamp, decide
from wsaudit.termination.words import CONFIRM


def asked() -> wire.Conversation:
    return wire.Conversation().open().send(C, wire.request())


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "403 Forbidden", "404 Not Found", "302 Found", "502 Bad Gateway", "200 OK"]
)
def test_refused(status: str) -> None:
    found = ending(gone(asked().send(S, wire.response(status)).ack(C), S))
    assert (found.kind, found.cause) == ("refused", "handshake-refused")
    assert status[:3] in found.evidence


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("505 HTTP Version Not Supported", "an upgrade needs 1.1"),
        ("418 I'm a teapot", "found the request at fault"),
        ("520 Unknown", "what is behind it"),
    ],
)
def test_every_refusal_is_explained(status: str, words: str) -> None:
    assert words in ending(gone(asked().send(S, wire.response(status)).ack(C), S)).evidence


def test_an_answer_that_is_no_http() -> None:
    found = ending(gone(asked().send(S, b"220 mail.example ESMTP\r\n").ack(C), S))
    assert (found.kind, found.cause) == ("failed", "handshake-invalid")


def test_a_faulty_acceptance_names_its_defects() -> None:
    opened = wire.Conversation().open().upgrade(response={"Sec-WebSocket-Accept": "wrong"})
    found = ending(gone(opened.ack(C), C))
    assert (found.kind, found.cause) == ("failed", "handshake-invalid")
    assert "wrong-accept" in found.evidence


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=16"},
        {"Sec-WebSocket-Extensions": "permessage-deflate;;=1"},
        {"Sec-WebSocket-Protocol": ""},
        {"X-Odd": "a\0b"},
    ],
)
def test_a_client_that_leaves_at_a_faulty_acceptance_has_refused_it(headers: dict[str, str]) -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    found = ending(gone(wire.Conversation().open().upgrade(request=offer, response=headers).ack(C), C))
    assert (found.kind, found.cause) == ("failed", "handshake-invalid")
    assert "the client left at once" in found.evidence
    stayed = ending(gone(wire.Conversation().open().upgrade(request=offer, response=headers).ack(C).wait(5), C))
    assert stayed.kind == "dropped"


def test_a_server_that_waits_in_vain_was_refused() -> None:
    opened = wire.Conversation().open().upgrade(response={"Sec-WebSocket-Accept": "wrong"})
    assert ending(gone(opened.ack(C).wait(10), S)).kind == "failed"


@pytest.mark.parametrize(("agent", "kind"), [("undici", "failed"), ("Python/3.11 aiohttp/3.14.5", "dropped")])
def test_who_checks_a_subprotocol_refuses_it_in_silence(agent: str, kind: str) -> None:
    opened = wire.Conversation().open().upgrade(request={"User-Agent": agent}, response={"Sec-WebSocket-Protocol": "chat"})
    assert ending(gone(opened.ack(C).wait(10), S)).kind == kind


def test_who_does_not_answer_a_close_has_not_taken_the_acceptance() -> None:
    opened = wire.Conversation().open().upgrade(response={"Sec-WebSocket-Protocol": "chat"})
    found = ending(gone(opened.ack(C).wait(2).close(S, 1000).ack(C).wait(2), S))
    assert (found.kind, found.client) == ("failed", (1006, False, True))


def test_no_answer_at_all() -> None:
    found = ending(gone(asked().ack(S).wait(10), C))
    assert (found.kind, found.client) == ("failed", (1006, False, True))
    assert "the server's TCP acknowledged it" in found.evidence


def test_the_server_hangs_up_instead_of_answering() -> None:
    found = ending(gone(asked().ack(S), S))
    assert (found.kind, found.cause) == ("failed", "handshake-refused")
    assert found.confidence < 0.6


def test_a_request_at_the_end_of_the_capture_is_ongoing() -> None:
    assert ending(asked().ack(S)).kind == "ongoing"


def test_of_one_direction_an_end_may_be_missing() -> None:
    whole = talk()
    assert ending(whole).confidence > 0.9
    whole.packets = [each for i, each in enumerate(whole.packets) if i in (0, 2, 3, 5, 7)]
    found = ending(whole)
    assert (found.kind, found.confidence) == ("ongoing", 0.6)
    assert "nothing of the server was captured" in found.evidence


def test_lost_evidence_names_what_is_missing() -> None:
    found = ending(gone(talk().close(C, 1000).ack(S).text(S, "x" * 30).drop(), S))
    assert (found.kind, found.cause) == ("unknown", "unknown")
    assert "a Close may be among them" in found.evidence
    assert found.confidence <= 0.3


def test_the_likeliest_wins_and_the_rest_are_runners_up() -> None:
    verdict = decide([Cause("normal", 0.2), Cause("restart", 0.8, ("because",)), Cause("normal", 0.4)], ("fact",), 0.1)
    assert verdict[:4] == ("restart", 0.7, ("fact", "because"), (("normal", 0.3),))


def test_nothing_is_certain_and_nothing_impossible() -> None:
    assert (clamp(1.2), clamp(-1)) == (0.98, 0.05)


def test_every_cause_says_how_to_be_sure() -> None:
    assert set(CONFIRM) == {*CAUSES, "none", "unknown"}
