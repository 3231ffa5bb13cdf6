"""What is learned from a connection, and of what nothing is."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import wire
from rules.talks import CHROME, DEFLATE, Talk, talk
from wire import C, S

import wsaudit.alike
from wsaudit import engine
from wsaudit.capture.reader import open_capture
from wsaudit.engine import Pass
from wsaudit.kernel.constants import AT_ANSWER, AT_CLIENT_CLOSE, AT_END, AT_FIRST_FRAME, AT_REQUEST, AT_SERVER_CLOSE
from wsaudit.kernel.kinds import Ending, Kinds, Opening
from wsaudit.options import Options
from wsaudit.tls.keylog import KeyStore


@pytest.fixture(autouse=True)
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection is judged before the next one ends."""
    monkeypatch.setattr(engine, "TOGETHER", 1)


def learned(*talks: wire.Conversation, **options: Any) -> Kinds:
    """What is known when these are over."""
    work = Pass(Options(**options), KeyStore())
    kinds = work.kinds
    assert kinds is not None
    work.run([open_capture(wire.pcap(wire.merge(*talks)), 0)])
    return kinds


def openings(kinds: Kinds) -> list[Opening]:
    return [opening for request in kinds.requests for opening in request.answers]


def endings(kinds: Kinds) -> list[Ending | None]:
    return [ending for opening in openings(kinds) for ending in opening.endings.values()]


def anchors(known: Kinds) -> list[tuple[int, str]]:
    (ending,) = endings(known)
    assert ending is not None
    return sorted((where, known.findings.kinds[kind][0]) for where, kind, *_ in ending.findings)


def twice(make: Any) -> list[wire.Conversation]:
    """Two connections: the first shows how they open, the second how they end."""
    return [make(port) for port in (40000, 40001)]


def opened(port: int, **how: Any) -> Talk:
    return talk(client=("10.0.0.1", port), start=wire.START + port * wire.SECOND, **how)


def bye(made: wire.Conversation, code: int | None = 1000, reason: bytes = b"", side: int = C) -> wire.Conversation:
    return made.close(side, code, reason).close(1 - side, code, reason).fin(S).fin(C).ack(S)


# -- openings --------------------------------------------------------------------------------------------------------------------


def test_a_handshake_is_learned_with_what_its_row_says() -> None:
    kinds = learned(opened(40000, request=CHROME | {"Cookie": "a=1"}, response={"Server": "nginx/1.27"}))
    (opening,) = openings(kinds)
    row = opening.row
    assert (row.outcome, row.status, row.host, row.server_header) == ("accepted", 101, "example.com", "nginx/1.27")
    assert (row.user_agent, row.auth, opening.browser) == (CHROME["User-Agent"], ("cookie",), True)
    assert (row.key, row.target) == (wire.KEY, "/chat")  # its own, of which `another` takes nothing
    assert not openings(learned(opened(40000)))[0].browser


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (DEFLATE, DEFLATE),
        ({"Sec-WebSocket-Protocol": "chat"}, {"Sec-WebSocket-Protocol": "chat"}),
        ({"Content-Length": "0"}, {}),
        ({}, {"Content-Length": "0"}),
        ({}, {"Sec-WebSocket-Accept": "wrong"}),
        ({}, {"Sec-WebSocket-Accept": wire.accept("other")}),
        ({"X-Odd": "a\x01b"}, {}),
        ({}, {"X-Odd": "\xe9"}),
        ({"Sec-WebSocket-Key": [wire.KEY, wire.KEY]}, {}),
    ],
)
def test_of_these_more_would_have_to_be_known(request_: wire.Headers, response: wire.Headers) -> None:
    assert openings(learned(opened(40000, request=request_, response=response))) == []


@pytest.mark.parametrize("target", ["http://example.com/chat", "/a:b", "/chat#a", "/ch\xe9t", "*"])
def test_nor_of_targets_that_need_a_closer_look(target: str) -> None:
    made = wire.Conversation().open().upgrade(target)
    assert openings(learned(made)) == []


def test_what_came_before_the_answer_is_part_of_no_kind() -> None:
    hint = wire.response("103 Early Hints", {"Content-Length": None})
    made = wire.Conversation().open().send(C, wire.request()).send(S, hint).send(S, wire.response())
    assert openings(learned(made)) == []
    made = wire.Conversation().open().send(C, wire.head("GET /a HTTP/1.1", {"Host": "example.com"}))
    made.send(S, wire.response("200 OK")).upgrade()
    assert openings(learned(made)) == []


def test_what_was_offered_and_not_taken_is_learned() -> None:
    (opening,) = openings(learned(bye(opened(40000, request=DEFLATE | {"Sec-WebSocket-Protocol": "chat"}).text(C, "a"))))
    assert opening.row.subprotocols_offered == ("chat",)
    assert opening.clean[0x181]


# -- endings ---------------------------------------------------------------------------------------------------------------------


def test_an_ending_by_the_book() -> None:
    (ending,) = endings(learned(*twice(lambda port: bye(opened(port), 1001, side=S))))
    assert ending is not None
    assert (ending.termination.kind, ending.termination.cause) == ("closed", "going-away")
    assert [close and (close.code, close.reason) for close in ending.close] == [(1001, b"")] * 2
    assert ending.findings == ()


@pytest.mark.parametrize("reason", [b"Idle timeout", b"keepalive ping timeout"])
@pytest.mark.parametrize("side", [C, S])
def test_words_of_a_product_are_part_of_the_kind(reason: bytes, side: int) -> None:
    """Who said them is known from then on; the numbers of the packets that the facts end with are not."""
    (ending,) = endings(learned(*twice(lambda port: bye(opened(port), 1011, reason, side))))
    assert ending is not None
    assert ending.termination.confidence == 0.96
    assert ending.facts == ((AT_CLIENT_CLOSE, AT_SERVER_CLOSE) if side == C else (AT_SERVER_CLOSE, AT_CLIENT_CLOSE))
    lead, answer, words = ending.termination.evidence or ()
    assert lead.endswith(" in packet ")
    assert answer.endswith(" in packet ")
    assert words.startswith("these are the words of ")


def test_an_offence_may_have_been_answered() -> None:
    assert endings(learned(*twice(lambda port: bye(opened(port), 1005)))) == [None]


def test_an_overdue_ping_is_part_of_the_kind() -> None:
    """Who answers the Close at once was there: that the keep-alive gave up is one of the explanations, without its numbers."""

    def made(port: int) -> wire.Conversation:
        return bye(opened(port).ping(C, b"1").ack(S).wait(port % 10 + 1))

    (ending,) = endings(learned(*twice(made)))
    assert ending is not None
    assert (ending.termination.cause, ending.termination.evidence) == ("normal", None)
    assert ending.termination.alternatives == (("keepalive-timeout", 0.4),)


@pytest.mark.parametrize(("code", "pause"), [(1011, 0), (1000, 1.1)])
def test_a_ping_that_may_have_been_the_reason_is_looked_at_each_time(code: int, pause: float) -> None:
    def made(port: int) -> wire.Conversation:
        conversation = opened(port).ping(C, b"1").ack(S).wait(2).close(C, code).wait(pause)
        return conversation.close(S, code).fin(S).fin(C).ack(S)

    assert endings(learned(*twice(made))) == []


def test_findings_that_were_left_out_are_told_of_each_connection() -> None:
    def made(port: int) -> wire.Conversation:
        return bye(opened(port, request={"Origin": "null"}), 1000, b"error: failed")

    limits = Options().limits
    few = type(limits)(findings=1)
    assert endings(learned(*twice(made), limits=few)) == [None]
    assert endings(learned(*twice(made))) != [None]


def test_what_findings_are_about() -> None:
    """And where they lie, relative to that."""

    def made(port: int) -> wire.Conversation:
        request = CHROME | {"Sec-WebSocket-Version": "13", "Connection": "keep-alive, Upgrade"}
        conversation = Talk(client=("10.0.0.1", port), start=wire.START + port * wire.SECOND).open()
        conversation.upgrade("/chat?token=a", request, {"Set-Cookie": "a=b"}, after=wire.frame(wire.TEXT, b"hello"))
        conversation.ping(C, b"1").pong(S, b"1")
        return bye(conversation, 1000, b"error: failed")

    known = learned(*twice(made))
    (ending,) = endings(known)
    found = anchors(known)
    assert {where for where, _ in found} == {AT_REQUEST, AT_ANSWER, AT_FIRST_FRAME, AT_CLIENT_CLOSE}
    assert (AT_FIRST_FRAME, "HS-S25") in found
    assert "PP-11" not in dict(map(reversed, found))  # asked of each
    assert ending is not None
    assert all(packet == time == 0 for _, _, packet, time, *_ in ending.findings)


def test_a_close_that_came_with_the_answer_is_a_close() -> None:
    """Not the first frame: in another connection that is a message, and what is said of the Close was put there."""

    def made(port: int) -> wire.Conversation:
        conversation = Talk(client=("10.0.0.1", port), start=wire.START + port * wire.SECOND).open()
        conversation.upgrade(after=wire.frame(wire.CLOSE, wire.close_payload(1000, "error: failed")))
        return conversation.close(C, 1000).fin(S).fin(C).ack(S)

    assert [where for where, rule in anchors(learned(*twice(made))) if rule == "CL-22"] == [AT_SERVER_CLOSE]


@pytest.mark.parametrize(
    ("leave", "fact"),
    [
        (lambda made: made.fin(C).fin(S), "client ended TCP first, with FIN in packet "),
        (lambda made: made.fin(S).fin(C), "server ended TCP first, with FIN in packet "),
        (lambda made: made.rst(C), "client ended TCP first, with an RST in packet "),
        (lambda made: made.rst(S), "server ended TCP first, with an RST in packet "),
    ],
)
def test_an_end_without_a_close_but_for_the_packet_that_was_it(leave: Any, fact: str) -> None:
    known = learned(*twice(lambda port: leave(opened(port).text(C, "a").text(S, "b").ack(C))))
    (ending,) = endings(known)
    assert ending is not None
    assert (ending.termination.kind, ending.close) == ("dropped", (None, None))
    assert ending.termination.evidence is not None
    assert ending.termination.evidence[0] == fact
    assert (AT_END, "CL-19") in anchors(known)


@pytest.mark.parametrize("pause", [0, 0.5])
@pytest.mark.parametrize(("side", "first"), [(C, S), (S, C)])
def test_a_close_of_one_side_but_for_its_packet_and_that_of_the_end(side: int, first: int, pause: float) -> None:
    def made(port: int) -> wire.Conversation:
        conversation = opened(port).text(C, "a").text(S, "b").ack(C).close(side, 1000).ack(1 - side)
        return conversation.wait(pause).fin(first).fin(1 - first)

    known = learned(*twice(made))
    (ending,) = endings(known)
    assert ending is not None
    assert (ending.termination.kind, ending.termination.by) == ("close-unanswered", first)
    assert ending.termination.evidence is not None
    assert all(fact.endswith(" in packet ") for fact in ending.termination.evidence)
    anchor = AT_CLIENT_CLOSE if side == C else AT_SERVER_CLOSE
    assert ((anchor, "CL-12") in anchors(known)) == (pause > 0)


def left(pause: float, port: int) -> wire.Conversation:
    """The server closed and left."""
    return opened(port).text(C, "a").text(S, "b").ack(C).close(S, 1000).ack(C).wait(pause).fin(S).fin(C)


def test_how_late_a_side_left_after_its_own_close_is_its_own() -> None:
    assert endings(learned(*twice(partial(left, 2)))) == []


def test_how_soon_is_asked_of_each() -> None:
    assert anchors(learned(*twice(partial(left, 0)))) == []
    talks = [left(number / 10_000, 40000 + number) for number in range(10)]
    findings = wsaudit.audit(wire.pcap(wire.merge(*talks))).to_dict()["findings"]
    details = [each["detail"] for each in findings if each["rule"] == "CL-26"]
    assert details == [f"TCP was ended 2.{number} ms after its Close, without an answer" for number in range(10)]


def test_the_end_of_the_capture() -> None:
    ongoing = endings(learned(*twice(lambda port: opened(port).text(C, "a").ack(S))))
    assert [ending and ending.termination.kind for ending in ongoing] == ["ongoing"]


@pytest.mark.parametrize(
    "leave",
    [
        lambda made: made.wait(30).fin(C).fin(S),  # at a usual idle limit
        lambda made: made.ping(C, b"1").ack(S).wait(0.7).fin(C).fin(S),  # the Pong was overdue
        lambda made: made.segment(C, window=0).wait(0.1).fin(S).fin(C),  # the client did not read
        lambda made: made.rst(C).rst(S),
        lambda made: made.frame(S, wire.BINARY, bytes(1 << 14)).ack(C).fin(C).fin(S),  # too large perhaps
    ],
)
def test_an_end_that_something_tells_of_is_looked_at_each_time(leave: Any) -> None:
    assert endings(learned(*twice(lambda port: leave(opened(port).text(C, "a").text(S, "b").ack(C))))) == []


def test_nothing_is_learned_of_an_end_that_was_looked_at_for_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsaudit.alike, "ending_of", lambda *given: pytest.fail("learned"))
    learned(*twice(lambda port: bye(opened(port).wait(61))), *twice(lambda port: opened(port + 2).fin(C).fin(S)))
