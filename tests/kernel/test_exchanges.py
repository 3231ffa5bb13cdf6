"""Plain HTTP exchanges that the kernel takes, and that taking them changes nothing in what is found."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import wire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties.mutate import mutated
from wire import C, S

from wsaudit.engine import Pass, run
from wsaudit.options import Options
from wsaudit.pipeline import Pipeline
from wsaudit.report.report import Report

GET = b"GET /a?b HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nUser-Agent: curl/8\r\n\r\n"
PAGE = b"GET / HTTP/1.1\r\nHost: h\r\nAccept: text/html\r\n\r\n"
POST = b"POST /a HTTP/1.0\r\nHost: h\r\ncontent-LENGTH:  5\r\n\r\nhello"
HEAD = b"HEAD /a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: \xe9\r\n\r\nok"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + OK[:40]
MODIFIED = b"HTTP/1.1 304 \r\nContent-Length: 99\r\n\r\n"

STRANGE_REQUESTS = {
    "an upgrade": wire.request("/chat"),
    "a field of a WebSocket": b"GET / HTTP/1.1\r\nSec-WEBSOCKET-Key: a\r\n\r\n",
    "a ws target": b"GET ws://h/ HTTP/1.1\r\n\r\n",
    "a tunnel": b"CONNECT h:80 HTTP/1.1\r\n\r\n",
    "chunks": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "no number": b"POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc",
    "a number of 19 digits": b"POST / HTTP/1.1\r\nContent-Length: 1000000000000000000\r\n\r\n",
    "a blank before the colon": b"POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc",
    "a folded line": b"POST / HTTP/1.1\r\nX: a\r\n Content-Length: 3\r\n\r\nabc",
    "a bare LF": b"GET / HTTP/1.1\nX: a\r\n\r\n",
    "an earlier end": b"GET / HTTP/1.1\r\nX: a\n\r\nPOST / HTTP/1.1\r\nX: b\r\n\r\n",
    "an empty line": b"\r\nGET / HTTP/1.1\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "no head": b"\0\1\2\3 and other bytes\r\n\r\n",
    "half a head": b"GET / HTTP/1.1\r\nX: ",
}
STRANGE_ANSWERS = {
    "another protocol": wire.response(),
    "an upgrade wanted": b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
    "not the final one": b"HTTP/1.1 100 Continue\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "up to the end": b"HTTP/1.0 200 OK\r\n\r\nabc",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    "no status": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "no head": b"SSH-2.0-x\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nX: ",
}
FORMS = pytest.mark.parametrize("form", ["pure_kernel", "compiled_kernel"])
relaxed = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


class Both:
    """Both sides of a connection, and who is told of answers. `pages`: answers that the sink had to look at itself."""

    def __init__(self, kernel: SimpleNamespace, max_head: int = 1000) -> None:
        self.kernel = kernel
        self.gets = kernel.gets.Gets([], 1000, None)
        self.pages: list[tuple[bytes, int, int, int]] = []
        self.exchanges = kernel.exchanges.Exchanges(kernel.streams.Flow(b"a", 1, b"b", 2), 0, self, max_head)
        self.readers = [kernel.exchanges.HttpReader(self.exchanges, answers, 0) for answers in (False, True)]

    def plain_get(self, flow: Any, client: int, request: tuple[bytes, int, int], *answer: int) -> None:
        assert (flow, client) == (self.exchanges.flow, 0)
        assert request == (self.exchanges.asked, self.exchanges.time, self.exchanges.packet)
        self.pages.append((request[0], *answer))

    @property
    def told(self) -> list[tuple[Any, ...]]:
        """What answers to GETs were told: head, status, time and packet."""
        return [(asked, status, *last) for _, _, asked, status, _, _, *last in self.gets.kept] + self.pages

    def feed(self, side: int, data: bytes, size: int = 1 << 20) -> int:
        """How much of `data` is taken, in pieces of `size`; each in the middle of a buffer."""
        taken = 0
        while taken < len(data):
            piece = data[taken : taken + size]
            buffer = self.kernel.buffer.Buffer(bytearray(b"\r\n" + piece + b"\r\n\r\n"))
            position = self.readers[side].feed(buffer, 2, 2 + len(piece), 7, taken) - 2
            taken += position
            if position < len(piece):
                break
        return taken

    def state(self) -> Any:
        exchanges = self.exchanges
        told = (exchanges.requests, exchanges.asked, exchanges.time, exchanges.packet)
        return told, [reader.skip for reader in self.readers], self.told


@FORMS
def test_exchanges(form: str, request: pytest.FixtureRequest) -> None:
    both = Both(request.getfixturevalue(form))
    for asked, answer, status in ((GET, OK, 200), (PAGE, MODIFIED, 304), (POST, OK, 200), (HEAD, OK[:-2], 200), (GET, OK, 200)):
        assert both.feed(C, asked) == len(asked)
        assert both.exchanges.asked == asked.removesuffix(b"hello")
        assert both.feed(S, answer) == len(answer)
        assert both.exchanges.asked == b""
        if asked.startswith(b"GET"):
            assert both.told == [(asked, status, 7, 0)]
            both.gets.kept.clear()
            both.pages.clear()
    assert (both.exchanges.requests, both.told) == (5, [])


@FORMS
@pytest.mark.parametrize("what", STRANGE_REQUESTS)
def test_other_requests_are_left(form: str, what: str, request: pytest.FixtureRequest) -> None:
    both = Both(request.getfixturevalue(form))
    assert both.feed(C, POST + STRANGE_REQUESTS[what]) == len(POST)  # no answer came: any other request is left too
    assert both.feed(S, OK) == len(OK)
    assert both.feed(C, STRANGE_REQUESTS[what]) == 0
    assert both.state() == ((1, b"", 7, 0), [0, 0], [])


@FORMS
@pytest.mark.parametrize("what", STRANGE_ANSWERS)
def test_other_answers_are_left(form: str, what: str, request: pytest.FixtureRequest) -> None:
    both = Both(request.getfixturevalue(form))
    assert both.feed(S, OK) == 0  # to what?
    both.feed(C, GET)
    assert both.feed(S, STRANGE_ANSWERS[what]) == 0
    assert both.state() == ((1, GET, 7, 0), [0, 0], [])


@FORMS
def test_a_head_above_the_limit_is_left(form: str, request: pytest.FixtureRequest) -> None:
    kernel = request.getfixturevalue(form)
    assert Both(kernel, len(GET)).feed(C, GET) == len(GET)
    assert Both(kernel, len(GET) - 1).feed(C, GET) == 0


requests = st.sampled_from([GET, GET, GET, PAGE, POST, HEAD, *STRANGE_REQUESTS.values()])
answers = st.sampled_from([OK, OK, OK, MODIFIED, *STRANGE_ANSWERS.values()])
turns = st.lists(st.one_of(st.tuples(st.just(C), requests), st.tuples(st.just(S), answers)), max_size=12)
exchanges = st.lists(st.tuples(requests, answers), max_size=5).map(
    lambda pairs: [turn for asked, answer in pairs for turn in ((C, asked), (S, answer))]
)


@st.composite
def overlapping(draw: st.DrawFn) -> list[tuple[int, bytes]]:
    """Exchanges in which the end of each message comes behind the beginning of the other side's next one."""
    talk, rest = [], b""
    for asked, answer in draw(st.lists(st.tuples(requests, st.one_of(answers, st.just(LONG))), max_size=5)):
        for side, data in ((C, asked), (S, answer)):
            head, cut = data.find(b"\r\n\r\n") + 4, draw(st.sampled_from([1, 3]))
            cut = min(len(data), head + cut) if draw(st.booleans()) else len(data)
            talk += [(side, data[:cut]), (1 - side, rest)]
            rest = data[cut:]
    return [(side, data) for side, data in talk if data]


talks = st.one_of(exchanges, overlapping(), turns)
sizes = st.sampled_from([1 << 20, 1 << 20, 40, 3])


@relaxed
@given(talk=talks, size=sizes)
def test_both_forms(
    pure_kernel: SimpleNamespace, compiled_kernel: SimpleNamespace, talk: list[tuple[int, bytes]], size: int
) -> None:
    pure, compiled = Both(pure_kernel), Both(compiled_kernel)
    for side, data in talk:
        assert compiled.feed(side, data, size) == pure.feed(side, data, size)
        assert compiled.state() == pure.state()


pieces = st.sampled_from(
    [
        *(
            b"GET ",
            b"gET ",
            b"POST /",
            b"DELETE /",
            b"/",
            b" HTTP/1.1\r\n",
            b" HTTP/1.0",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 204 ",
        ),
        *(b"\r\n", b"\r\n", b"\r", b"\n", b"\r\n\r\n", b" ", b"\t", b":", b"0", b"12", b"999999999", b"-", b"\0", b"\xff"),
        *(b"Content-Length: ", b"content-lENGTH:", b"Content-", b"Length", b"Transfer-Encoding", b"\r\ntransfer-ENCODING: x\r\n"),
        *(b"WebSocKet", b"web", b"so", b"cket", b"Kk", b"X: ", b"text/html"),
    ]
)
lines = st.sampled_from([b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", b"HTTP/1.1 304 \r\n", b""])
odd_heads = st.tuples(lines, st.lists(pieces, max_size=8), st.sampled_from([b"\r\n\r\n", b"\r\n\r\n", b"\r\n", b""])).map(
    lambda parts: parts[0] + b"".join(parts[1]) + parts[2]
)


@settings(relaxed, max_examples=1000)
@given(heads=st.lists(st.tuples(st.sampled_from([C, S]), odd_heads), min_size=1, max_size=3), limit=st.sampled_from([1000, 40]))
def test_both_forms_read_the_same_in_odd_heads(
    pure_kernel: SimpleNamespace, compiled_kernel: SimpleNamespace, heads: list[tuple[int, bytes]], limit: int
) -> None:
    pure, compiled = Both(pure_kernel, limit), Both(compiled_kernel, limit)
    for side, data in heads:
        assert compiled.feed(side, data) == pure.feed(side, data)
        assert compiled.state() == pure.state()


def found(capture: bytes) -> Any:
    audit = run([capture], Options())
    return Report(audit, Options()).to_dict(), audit.seen, audit.plain_gets, audit.crashes


@pytest.mark.parametrize("lost", [0, 10])
@pytest.mark.parametrize("between", [b"", b"\r\n" + GET])
def test_a_body_that_python_goes_on_with(lost: int, between: bytes) -> None:
    cut = LONG.index(b"\r\n\r\n") + 9
    talk = wire.Conversation().open().send(C, GET).send(S, LONG[:cut])
    if lost:
        talk.send(S, LONG[cut : cut + lost]).drop()
    talk.send(C, between).send(S, LONG[cut + lost :])
    for _ in range(15 if lost else 0):
        talk.ack(C)  # which proves that the lost bytes were sent
    talk.send(S, OK if between else b"").send(C, GET).send(S, OK)
    requests, gets = found(talk.pcap())[1:3]
    assert requests["http_requests"] == len(gets) == 2 + bool(between)


@relaxed
@given(talk=talks, size=sizes, seed=st.sampled_from([None, None, *range(40)]))
def test_what_the_kernel_takes_makes_no_difference(talk: list[tuple[int, bytes]], size: int, seed: int | None) -> None:
    conversation = wire.Conversation().open()
    for side, data in talk:
        conversation.send(side, data, size=size)
    conversation.send(C, GET).send(S, OK).upgrade().text(C, "one").close(S, 1000).close(C, 1000).fin(S).fin(C)
    capture = conversation.pcap() if seed is None else mutated(conversation.pcap(), seed)
    taken = found(capture)
    with ExitStack() as without:
        without.enter_context(patch("wsaudit.engine.Kinds", return_value=None))
        without.enter_context(patch.object(Pipeline, "plain_request", return_value=False))
        if seed is None:  # where bytes of heads are lost, only the kernel finds the next exchange
            without.enter_context(patch.object(Pipeline, "lend_http", return_value=False))
        assert found(capture) == taken


def test_a_bug_in_us_costs_one_flow() -> None:
    talks = [
        wire.Conversation(("10.0.0.1", port)).open().send(C, asked).send(S, OK).send(C, b"?").fin(C).fin(S)
        for port, asked in ((2000, PAGE), (2001, GET))
    ]
    with patch.object(Pass, "plain_get", side_effect=AssertionError):
        audit = run([wire.pcap(wire.merge(*talks))], Options())
    assert (audit.crashes, len(audit.plain_gets)) == (1, 1)
    assert "internal error (AssertionError in " in audit.notices[0].text
