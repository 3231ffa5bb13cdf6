"""What the rules about closing say, and what they leave alone."""

from __future__ import annotations

import pytest

from tests.rules.talks import CHROME, C, Case, S, Talk, assert_fires, assert_silent, history, judged, name, talk, told, wire
from wsaudit.options import Options
from wsaudit.rules.judge import Judge
from wsaudit.tls.facts import TlsFacts

GRAPHQL = {"Sec-WebSocket-Protocol": "graphql-transport-ws"}


def closing(side: int, code: int | None, reason: str | bytes = b"", answer: int | None = 1000, **how: wire.Headers) -> bytes:
    """A Close, another that answers it, and the end."""
    return talk(**how).close(side, code, reason).close(1 - side, answer).fin(S).fin(C).pcap()


def echoed(side: int, code: int) -> bytes:
    return closing(side, code, answer=code)


def crossing() -> bytes:
    """Both sides close before either has seen the other's Close."""
    conversation = talk()
    before = conversation.seq[C]
    frame = wire.frame(wire.CLOSE, wire.close_payload(1001))
    conversation.close(C, 1000).segment(S, frame, ack=before)
    conversation.seq[S] += len(frame)
    return conversation.fin(S).fin(C).pcap()


def unread(seconds: float) -> Talk:
    """The server's TCP acknowledged a Close and its application did nothing about it for so long."""
    return talk().close(C, 1000).ack(S).wait(seconds)


FIRING: list[Case] = [
    ("CL-01", "client", talk().frame(C, wire.CLOSE, b"\x03").close(S, 1002).fin(S).pcap(), "a body of one byte"),
    ("CL-02", "server", closing(S, 1006), "Close 1006, which is never sent"),
    ("CL-02", "client", closing(C, 1005), "Close 1005"),
    ("CL-02", "server", echoed(C, 1015), "as an echo of the peer's"),
    ("CL-03", "client", closing(C, 1004), "1004"),
    ("CL-04", "client", closing(C, 999), "Close 999; codes begin at 1000"),
    ("CL-04", "server", closing(S, 0), "Close 0"),
    ("CL-05", "client", closing(C, 1016), "Close 1016"),
    ("CL-05", "server", closing(S, 2999), "Close 2999"),
    ("CL-06", "client", closing(C, 5000), "Close 5000"),
    ("CL-06", "client", closing(C, 65535), "Close 65535"),
    ("CL-07", "server", closing(S, 3999), "Close 3999, which is not registered"),
    ("CL-08", "server", closing(S, 1010), "1010 from a server"),
    ("CL-09", "client", closing(C, 1011), "1011 from a client"),
    ("CL-10", "client", talk().close(C, 1000).text(C, "late").close(S, 1000).fin(S).pcap(), "text frame of 4 bytes after"),
    ("CL-10", "server", talk().text(S, "a", fin=False).close(S).continuation(S, "b").fin(S).pcap(), "continuation frame"),
    ("CL-11", "server", talk().close(S, 1000).close(S, 1001).close(C, 1000).fin(S).pcap(), "after its own Close"),
    ("CL-12", "server", unread(0.5).fin(S).fin(C).pcap(), "ended TCP without answering Close 1000"),
    ("CL-12", "server", unread(10).fin(C).pcap(), "did not answer Close 1000 within 10"),
    ("CL-12", "client", talk().close(S).ack(C).wait(10).fin(S).pcap(), "the client did not answer Close without a code"),
    ("CL-13", "server", unread(4).close(S, 1000).fin(S).fin(C).pcap(), "answered after 4.0 s"),
    ("CL-14", "server", closing(C, 4000), "Close 4000 was answered with 1000"),
    ("CL-15", "server", talk().close(C, 1000).close(S, 1000).wait(3).fin(C).fin(S).pcap(), "still open 3.0 s after both"),
    ("CL-15", "server", talk().close(S).close(C).wait(3).fin(S).fin(C).pcap(), "still open 3.0 s after both"),
    ("CL-16", "client", talk().close(S, 1000).close(C, 1000).fin(C).wait(0.5).fin(S).pcap(), "the server had not"),
    ("CL-17", "server", talk().close(C, 1000).ack(S).rst(S).pcap(), "RST before both"),
    ("CL-19", "server", talk().text(C, "x").fin(S).fin(C).pcap(), "FIN without a Close"),
    ("CL-19", "client", talk().text(C, "x").rst(C).pcap(), "RST without a Close"),
    ("CL-20", "server", talk().text(C, b"\xff").close(S, 1002).close(C, 1002).fin(S).pcap(), "with 1002 for TX-01, 1007 fits"),
    ("CL-21", "client", closing(C, 1000, "x" * 124), "126 bytes, 125 are allowed"),
    ("CL-22", "server", closing(S, 1000, "Internal Error: oops"), '"error"'),
    ("CL-23", "client", closing(C, 1008, request=CHROME), "Close 1008"),
    ("CL-24", "server", closing(S, 1011, "Traceback (most recent call last)"), "a stack trace"),
    ("CL-24", "server", closing(S, 1011, "cannot open /home/deploy/app/config.yml"), "a path of the file system"),
    ("CL-24", "server", closing(S, 1011, "connect to 10.1.2.3:5432 refused"), "an internal address"),
    ("CL-24", "server", closing(S, 4001, "bad token=abc123"), "a credential"),
    ("CL-25", "server", closing(S, 4999, request=GRAPHQL, response=GRAPHQL), "Close 4999, which graphql-transport-ws does not"),
    (
        "CL-26",
        "client",
        talk().close(C, 1000).fin(C).wait(0.1).close(S, 1000).fin(S).pcap(),
        "after its Close, without an answer",
    ),
]
NEAR: list[tuple[str, bytes]] = [
    ("CL-01", closing(C, None)),
    ("CL-02", closing(C, 1007)),
    ("CL-03", echoed(S, 1003)),
    ("CL-04", closing(C, 1000)),
    ("CL-05", closing(S, 1015)),
    ("CL-05", closing(S, 3000)),
    ("CL-06", closing(C, 4999)),
    ("CL-07", closing(S, 3000)),
    ("CL-08", closing(C, 1010)),
    ("CL-08", closing(C, 1010, answer=1010)),  # the server echoes
    ("CL-09", closing(S, 1011, answer=1011)),
    ("CL-10", talk().close(C, 1000).pong(C).close(S, 1000).fin(S).pcap()),
    ("CL-10", talk().close(C, 1000).text(S, "x").close(S, 1000).fin(S).pcap()),  # the other side may finish
    ("CL-11", talk().close(C, 1000).repeat().close(S, 1000).fin(S).pcap()),  # TCP sent it twice
    ("CL-12", talk().close(C, 1000).fin(S).fin(C).pcap()),  # the server may have ended before it came
    ("CL-12", unread(1).fin(C).pcap()),
    ("CL-12", unread(10).pcap()),  # nothing was captured afterwards
    ("CL-12", talk().frame(C, 3).close(C, 1000).ack(S).wait(1).fin(S).pcap()),  # it failed the connection
    ("CL-12", talk().close(C, 5000).ack(S).wait(1).fin(S).pcap()),
    ("CL-12", talk().close(C, 1000).ack(S).wait(1).rst(S).pcap()),  # it may never have read it
    ("CL-13", unread(1.5).close(S, 1000).fin(S).fin(C).pcap()),
    ("CL-13", unread(1).binary(S, bytes(5000)).wait(3).close(S, 1000).fin(S).fin(C).pcap()),
    ("CL-14", echoed(C, 4000)),
    ("CL-14", closing(C, None)),
    ("CL-14", crossing()),
    ("CL-14", closing(C, 5000, answer=1002)),
    ("CL-15", talk().close(C, 1000).close(S, 1000).wait(0.5).fin(S).fin(C).pcap()),
    ("CL-15", talk().close(C, 1000).close(S, 1000).fin(C).wait(5).fin(S).pcap()),
    ("CL-16", echoed(S, 1000)),
    ("CL-16", talk().close(S, 1000).close(C, 1000).fin(C).fin(S).pcap()),  # the server's FIN may have been under way
    ("CL-16", talk().close(S, 1000).close(C, 1000).fin(C).ack(S).pcap()),  # the server's FIN may be missing from the capture
    ("CL-16", talk().close(S, 1000).close(C, 1000).fin(S).drop().fin(C).ack(S).pcap()),  # and here it is
    ("CL-16", talk().close(S, 1000).close(C, 1000).wait(2).fin(C).wait(1).fin(S).pcap()),  # it waited
    ("CL-17", talk().close(C, 1000).close(S, 1000).rst(S).pcap()),
    ("CL-17", talk().close(C, 1000).fin(C).fin(S).rst(C).pcap()),
    ("CL-19", echoed(C, 1000)),
    ("CL-19", talk().text(C, "x").pcap()),
    ("CL-19", talk().frame(C, 3).fin(S).fin(C).pcap()),  # FR-10's
    ("CL-20", talk().text(C, b"\xff").close(S, 1007).close(C, 1007).fin(S).pcap()),
    ("CL-20", talk().text(C, b"\xff").close(S, 1011).close(C, 1011).fin(S).pcap()),
    ("CL-21", closing(C, 1000, "x" * 123)),
    ("CL-22", closing(S, 1000, "see you, terror of the seas")),
    ("CL-22", closing(S, 1011, "error")),
    ("CL-23", closing(C, 1007, request=CHROME)),
    ("CL-23", closing(S, 1008, answer=1008, request=CHROME)),  # the browser echoes
    ("CL-23", closing(C, 1008)),
    ("CL-24", closing(S, 1011, "the room is full, see https://example.com/home/help")),
    ("CL-25", closing(S, 4401, request=GRAPHQL, response=GRAPHQL)),
    ("CL-25", closing(S, 4999)),  # no dictionary covers it
    ("CL-26", talk().close(C, 1000).close(S, 1000).fin(C).fin(S).pcap()),
    ("CL-26", talk().close(C, 1000).ack(S).wait(5).fin(C).pcap()),
]


@pytest.mark.parametrize(("rule", "at_fault", "capture", "words"), FIRING, ids=name)
def test_fires(rule: str, at_fault: str, capture: bytes, words: str) -> None:
    assert_fires(rule, at_fault, capture, words)


@pytest.mark.parametrize(("rule", "capture"), NEAR, ids=name)
def test_near_misses(rule: str, capture: bytes) -> None:
    assert_silent(rule, capture)


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1008, 1009, 1011, 3000, 3008, 4000, 4999, None])
@pytest.mark.parametrize("side", [C, S])
def test_an_end_by_the_book_breaks_nothing(side: int, code: int | None) -> None:
    found = told(judged(echoed(side, code) if code is not None else closing(side, None, answer=None)))
    assert [each for each in found if not each.startswith("CL-09")] == []


def over_tls(rule: str, *notified: bool) -> list[str]:
    """Who breaks `rule` in a connection over TLS which the client ends, when these sides sent close_notify."""
    session = history(talk().close(S, 1000).close(C, 1000).fin(C).fin(S).pcap())
    session.tls = TlsFacts(decrypted=True, close_notify=list(notified))
    return [each.at_fault for each in Judge(Options()).session(session) if each.rule == rule]


ENCRYPTED = [("CL-18", (False, True), ["client"])]
NEAR_ENCRYPTED = [("CL-18", (True, False), [])]  # who ends TCP second may do without


@pytest.mark.parametrize(("rule", "notified", "blamed"), ENCRYPTED + NEAR_ENCRYPTED)
def test_close_notify(rule: str, notified: tuple[bool, bool], blamed: list[str]) -> None:
    assert over_tls(rule, *notified) == blamed


def test_closes_that_repeat_a_fault_are_one_finding() -> None:
    found = [each for each in judged(talk().close(S, 1006).close(S, 1006).close(C, 1000).fin(S).pcap()) if each.rule == "CL-02"]
    assert [(each.at_fault, each.count) for each in found] == [("server", 2)]


def test_an_answer_that_was_lost_is_no_missing_answer() -> None:
    conversation = talk().close(C, 1000).close(S, 1000).drop().ack(C).wait(10).fin(C)
    assert {each.verdict for each in judged(conversation.pcap()) if each.rule == "CL-12"} <= {"unverifiable"}
