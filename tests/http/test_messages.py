"""Messages of one direction: the same heads however the stream is cut, bodies stepped over, gaps never guessed away."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.http import messages
from wsaudit.http.head import Head
from wsaudit.http.messages import Event, Fact, HttpSide, looks_like_request, looks_like_response
from wsaudit.model import CLIENT, SERVER

PLAIN = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
FRAMES = b"\x81\x02hi\r\n\r\n"


def cut(data: bytes, cuts: Iterable[int]) -> list[tuple[bytes, int]]:
    edges = sorted({0, len(data), *(each % (len(data) + 1) for each in cuts)})
    return [(data[a:b], a) for a, b in pairwise(edges)]


def run(side: HttpSide, data: bytes, cuts: Iterable[int] = (), *, obey_skip: bool = False) -> list[Event]:
    """Feed `data` in pieces; chunk n comes in packet n at time 10n. `obey_skip`: drop what the side does not want to see."""
    events: list[Event] = []
    drop = 0
    for number, (piece, offset) in enumerate(cut(data, cuts), 1):
        if obey_skip and drop:
            skipped = len(piece) if drop < 0 else min(drop, len(piece))
            drop = drop if drop < 0 else drop - skipped
            piece, offset = piece[skipped:], offset + skipped
            if not piece:
                continue
        events += side.feed(piece, offset, 10 * number, number)
        drop = side.skip
    return events


def server(*methods: str) -> HttpSide:
    side = HttpSide(SERVER)
    for method in methods:
        side.expect(method)
    return side


def heads(events: list[Event]) -> list[tuple[int, int]]:
    assert all(isinstance(event, Head) for event in events), events
    return [(event.offset, event.status) for event in events if isinstance(event, Head)]


def names(events: list[Event]) -> list[str]:
    return [event.name if isinstance(event, Fact) else event.kind for event in events]


def summary(events: list[Event]) -> list[tuple[object, ...]]:
    return [
        (event.offset, event.raw, event.method, event.outstanding, event.oddities)
        if isinstance(event, Head)
        else (event.name, event.offset)
        for event in events
    ]


# -- the upgrade --------------------------------------------------------------------------------------------------------


def test_a_request_and_what_lies_behind_it() -> None:
    side, raw = HttpSide(CLIENT), wire.request()
    (head,) = side.feed(raw + b"early", 0, 10, 1)
    assert isinstance(head, Head)
    assert (head.raw, head.offset, head.time, head.packet) == (raw, 0, 10, 1)
    assert side.stopped == "upgrade"
    assert side.leftover() == (b"early", len(raw), 10, 1)
    assert side.feed(b" frames", len(raw) + 5, 20, 2) == []
    assert side.leftover() == (b"early frames", len(raw), 10, 1)
    assert side.held == [(b"early", len(raw), 10, 1), (b" frames", len(raw) + 5, 20, 2)]


def test_frames_in_the_segment_of_the_101() -> None:
    side, raw = server("GET"), wire.response()
    (head,) = side.feed(raw + FRAMES, 0, 10, 1)
    assert isinstance(head, Head)
    assert (head.status, head.method, head.outstanding) == (101, "GET", 0)
    assert side.stopped == "upgrade"
    assert side.leftover() == (FRAMES, len(raw), 10, 1)


def test_nothing_behind_the_101() -> None:
    side, raw = server("GET"), wire.response()
    side.feed(raw, 0, 10, 1)
    assert side.leftover() == (b"", len(raw), 0, 0)


def test_the_first_and_the_last_byte_of_a_split_head() -> None:
    side, raw = HttpSide(CLIENT), wire.request()
    assert side.feed(raw[:9], 5, 10, 1) == []
    assert side.partial == 9
    assert side.feed(raw[9:40], 14, 20, 2) == []
    (head,) = side.feed(raw[40:], 45, 30, 3)
    assert isinstance(head, Head)
    assert (head.offset, head.time, head.packet, head.end_time, head.end_packet) == (5, 10, 1, 30, 3)
    assert side.partial == 0


def test_a_response_without_a_captured_request() -> None:
    side = server()
    (head,) = side.feed(wire.response(), 0, 10, 1)
    assert isinstance(head, Head)
    assert (head.status, head.method, side.stopped) == (101, "", "upgrade")


def test_informational_responses_before_the_101() -> None:
    data = CONTINUE + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + wire.response()
    events = run(server("GET"), data)
    assert [status for _, status in heads(events)] == [100, 103, 101]
    assert {event.method for event in events if isinstance(event, Head)} == {"GET"}


def test_a_101_has_no_body_whatever_it_says() -> None:
    side, raw = server("GET"), wire.response(headers={"Content-Length": "3", "Transfer-Encoding": "chunked"})
    side.feed(raw + FRAMES, 0, 10, 1)
    assert side.leftover()[0] == FRAMES


def test_a_refused_upgrade_goes_on_as_http() -> None:
    side, first, second = HttpSide(CLIENT), wire.request("/1"), wire.request("/2")
    side.feed(first + PLAIN + second + b"x", 0, 10, 1)
    side.feed(b"y", side.offset, 20, 2)
    events = side.resume()
    assert [event.target for event in events if isinstance(event, Head)] == ["/a", "/2"]
    assert side.stopped == "upgrade"
    assert side.leftover() == (b"xy", len(first + PLAIN + second), 10, 1)


def test_requests_before_the_upgrade() -> None:
    client, replies = HttpSide(CLIENT), server()
    for event in run(client, PLAIN + PLAIN + wire.request()):
        assert isinstance(event, Head)
        replies.expect(event.method)
    events = run(replies, OK + CHUNKED + wire.response() + FRAMES)
    assert [(event.status, event.method, event.outstanding) for event in events if isinstance(event, Head)] == [
        (200, "GET", 2),
        (200, "GET", 1),
        (101, "GET", 0),
    ]
    assert replies.leftover()[0] == FRAMES


def test_an_upgrade_request_with_a_body_stops_behind_it() -> None:
    side, raw = HttpSide(CLIENT), wire.request(headers={"Content-Length": "3"}, method="POST")
    side.feed(raw, 0, 10, 1)
    assert (side.stopped, side.skip) == ("", 3)
    side.feed(b"abcdef", len(raw), 20, 2)
    assert (side.stopped, side.leftover()) == ("upgrade", (b"def", len(raw) + 3, 20, 2))


def test_connect_makes_a_tunnel() -> None:
    client, replies = HttpSide(CLIENT), server("CONNECT")
    client.feed(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16\x03", 0, 10, 1)
    assert (client.stopped, client.leftover()[0]) == ("tunnel", b"\x16\x03")
    replies.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\x16", 0, 20, 2)
    assert (replies.stopped, replies.leftover()[0]) == ("tunnel", b"\x16")


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_HELD", 1000)
    side = HttpSide(CLIENT)
    side.feed(wire.request(), 0, 10, 1)
    for _ in range(100):
        side.feed(b"x" * 50, side.offset, 20, 2)
    held = sum(len(chunk[0]) for chunk in side.held)
    assert 0 < held <= 1000
    assert side.held_lost == 5000 - held


# -- bodies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "first"),
    [
        ("GET", OK),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\nbody"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody"),
        ("GET", CHUNKED),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 99\r\n\r\n0\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n1\na\n0\n\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"),
        ("GET", b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"),
        ("CONNECT", b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno"),
    ],
)
def test_where_a_response_ends(method: str, first: bytes) -> None:
    for cuts in ([], range(1000)):
        for obey_skip in (False, True):
            events = run(server(method, "GET"), first + wire.response(), cuts, obey_skip=obey_skip)
            assert [offset for offset, _ in heads(events)] == [0, len(first)]


def test_a_body_up_to_the_end_of_the_connection() -> None:
    side = server("GET")
    events = side.feed(b"HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 101 no head", 0, 10, 1)
    assert len(heads(events)) == 1
    assert side.skip == -1
    assert side.feed(wire.response(), side.offset, 20, 2) == []


def test_a_request_without_a_length_has_no_body() -> None:
    assert len(heads(run(HttpSide(CLIENT), PLAIN.replace(b"GET", b"POST") + PLAIN))) == 2


def test_skip_counts_the_rest_of_a_body() -> None:
    side = server("GET")
    side.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nabc", 0, 10, 1)
    assert side.skip == 1000000000000 - 3
    side.feed(b"d", side.offset, 20, 2)
    assert side.skip == 1000000000000 - 4


@pytest.mark.parametrize(
    "length", [b"x", b"-1", b"+4", b"4, 5", b"", b"1" * 19, b"\xb2", b"4\r\nContent-Length: 5", b"0x4", b"4_0"], ids=repr
)
def test_a_length_that_is_none(length: bytes) -> None:
    side = server("GET")
    events = side.feed(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nbody", 0, 10, 1)
    assert names(events) == ["response", "bad-length"]
    assert side.lost
    events = side.feed(wire.response(), side.offset, 20, 2)
    assert names(events) == ["resumed", "response"]


@pytest.mark.parametrize("chunks", [b"x\r\n", b"-1\r\n", b"\r\n", b"1\r\nab\r\n", b"0x1\r\n", b"f" * 16 + b"\r\n", b"1" * 5000])
def test_chunks_that_are_none(chunks: bytes) -> None:
    side = server("GET")
    events = side.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, 0, 10, 1)
    assert names(events) == ["response", "bad-chunk"]


# -- trouble ------------------------------------------------------------------------------------------------------------


def test_a_gap_in_a_body_keeps_step() -> None:
    side = server("GET", "GET")
    side.feed(OK[:-3], 0, 10, 1)
    side.gap(2)
    assert (side.lost, side.skip) == (False, 1)
    events = side.feed(b"y" + wire.response(), len(OK) - 1, 20, 2)
    assert heads(events) == [(len(OK), 101)]


def test_a_gap_that_ends_with_the_body_keeps_step() -> None:
    side = server("GET", "GET")
    side.feed(OK[:-3], 0, 10, 1)
    side.gap(3, len(OK) - 3)
    assert heads(side.feed(wire.response(), len(OK), 20, 2)) == [(len(OK), 101)]


def test_a_gap_beyond_a_body_loses_the_place() -> None:
    side = server("GET", "GET")
    side.feed(OK[:-3], 0, 10, 1)
    side.gap(4)
    assert side.lost
    assert side.feed(b"TTP/1.1 101 Switching Protocols\r\n\r\n", len(OK) + 1, 20, 2) == []
    assert side.lost


def test_a_gap_in_a_head_loses_it() -> None:
    side = HttpSide(CLIENT)
    side.feed(PLAIN[:10], 0, 10, 1)
    side.gap(5)
    assert (side.lost, side.partial) == (True, 0)
    assert side.feed(PLAIN[15:] + PLAIN, 15, 20, 2) == []  # a message that begins inside a chunk is a guess
    events = side.feed(PLAIN, side.offset, 30, 3)
    assert names(events) == ["resumed", "request"]
    assert not side.lost


def test_a_gap_that_was_not_announced() -> None:
    side = HttpSide(CLIENT)
    side.feed(PLAIN[:10], 0, 10, 1)
    side.feed(PLAIN[15:], 15, 20, 2)
    assert side.lost


def test_a_gap_at_the_very_start() -> None:
    side = HttpSide(CLIENT)
    side.gap(7)
    assert side.lost
    assert names(side.feed(PLAIN, 7, 10, 1)) == ["resumed", "request"]


def test_after_a_gap_a_response_answers_the_newest_request() -> None:
    side = server("HEAD", "GET")
    side.gap(100, 0)
    events = side.feed(wire.response("403 Forbidden"), 100, 10, 1)
    head = events[-1]
    assert isinstance(head, Head)
    assert (head.method, head.outstanding) == ("GET", 0)


def test_a_gap_behind_the_stop_is_counted() -> None:
    side, raw = HttpSide(CLIENT), wire.request()
    side.feed(raw + b"a", 0, 10, 1)
    side.gap(3)
    side.feed(b"bc", side.offset, 20, 2)
    assert (side.leftover()[0], side.held_lost) == (b"a", 5)
    side.resume()
    assert (side.lost, side.held, side.held_lost) == (True, [], 0)


def test_bytes_that_were_fed_before_are_passed_over() -> None:
    side = HttpSide(CLIENT)
    side.feed(PLAIN[:10], 0, 10, 1)
    assert len(heads(side.feed(PLAIN[4:], 4, 20, 2))) == 1
    assert side.feed(PLAIN, 0, 30, 3) == []


@pytest.mark.parametrize(
    ("side", "data"), [(CLIENT, wire.response()), (SERVER, wire.request()), (SERVER, b"\x15\x03\x01\x00\x02\x02(")]
)
def test_what_is_not_http(side: int, data: bytes) -> None:
    for cuts in ([], range(1000)):
        events = run(HttpSide(side), data, cuts)
        assert events[0] == Fact("not-http", 0, 10, 1)
        assert "request" not in names(events)[:1]


def test_a_side_that_stays_lost_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_LOST", 1000)
    side = server()
    side.feed(b"\0" * 10, 0, 10, 1)
    side.feed(b"\0" * 900, 10, 20, 2)
    assert side.skip == 0
    side.feed(b"\0" * 200, 910, 30, 3)
    assert side.skip == -1
    assert side.feed(wire.response(), side.offset, 40, 4) == []


def test_a_head_that_is_too_large() -> None:
    raw = wire.request(headers={"X": "y" * 1000})
    for cuts in ([], range(0, 2000, 100)):
        side = HttpSide(CLIENT, max_head=800)
        events = run(side, raw, cuts)
        assert names(events) == ["head-too-large"]
        assert side.partial == 0
    assert names(run(HttpSide(CLIENT, max_head=len(raw)), raw)) == ["request"]
    assert names(run(HttpSide(CLIENT, max_head=len(raw) - 1), raw)) == ["head-too-large"]


def test_empty_lines_before_a_request() -> None:
    for cuts in ([], range(100)):
        (head,) = run(HttpSide(CLIENT), b"\r\n\r\n" + PLAIN, cuts)
        assert isinstance(head, Head)
        assert (head.offset, head.raw, head.oddities) == (4, PLAIN, ("leading-empty-line",))


def test_lines_that_end_with_lf() -> None:
    data = PLAIN.replace(b"\r\n", b"\n") + PLAIN.replace(b"\r\n\r\n", b"\n\r\n") + PLAIN
    for cuts in ([], range(100)):
        assert [event.oddities for event in run(HttpSide(CLIENT), data, cuts) if isinstance(event, Head)] == [
            ("lf-only",),
            ("lf-only",),
            (),
        ]


def test_requests_that_wait_are_bounded() -> None:
    side = server(*["GET"] * (3 * messages.MAX_QUEUE))
    (head,) = side.feed(CONTINUE, 0, 10, 1)
    assert isinstance(head, Head)
    assert head.outstanding == messages.MAX_QUEUE - 1


# -- first bytes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [PLAIN, wire.request("/x"), b"POST / HTTP/1.0\r\n", b"BREW /pot HTTP/1.1\r\n\r\n", b"GET /\r\n", b"\r\nGET / H"]
)
def test_every_prefix_of_a_request_looks_like_one(data: bytes) -> None:
    assert all(looks_like_request(data[:end]) for end in range(len(data) + 1))


@pytest.mark.parametrize("data", [OK, CONTINUE, b"HTTP/1.0 404", b"\r\nHTTP/1.1 200 OK"])
def test_every_prefix_of_a_response_looks_like_one(data: bytes) -> None:
    assert all(looks_like_response(data[:end]) for end in range(len(data) + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01",
        b"\x81\x85",
        b"SSH-2.0-OpenSSH_9 x\r\n",
        b"HTTP/1.1 200",
        b"PRI * HTTP/2.0",
        b"EHLO me\r\n",
        b" GET /",
        b"A" * 40,
        b"\0",
    ],
)
def test_other_first_bytes_of_a_client(data: bytes) -> None:
    assert not looks_like_request(data)


@pytest.mark.parametrize("data", [b"\x16\x03", b"\x81", b"HTTP/x", b"HTTPS", b"ICY 200 OK", b"http/1.1 200", b"X"])
def test_other_first_bytes_of_a_server(data: bytes) -> None:
    assert not looks_like_response(data)


# -- properties ---------------------------------------------------------------------------------------------------------

CUTS = st.lists(st.integers(0, 2000), max_size=20)
REQUESTS = st.lists(
    st.sampled_from(
        [
            PLAIN,
            b"\r\n" + PLAIN,
            b"POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\n\r\n\r\nx",
            b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"GET /d HTTP/1.1\nHost: y\n\n",
            b"GET /e HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
        ]
    ),
    max_size=4,
)
RESPONSES = st.lists(st.sampled_from([OK, CHUNKED, CONTINUE, b"HTTP/1.1 204 None\r\n\r\n"]), max_size=4)


@given(REQUESTS, CUTS, st.booleans())
def test_any_cut_gives_the_same_requests(requests: list[bytes], cuts: list[int], obey_skip: bool) -> None:
    data = b"".join(requests) + wire.request() + FRAMES
    whole, pieces = HttpSide(CLIENT), HttpSide(CLIENT)
    expected, events = run(whole, data), run(pieces, data, cuts, obey_skip=obey_skip)
    assert len(heads(expected)) == len(requests) + 1
    assert summary(events) == summary(expected)
    assert pieces.leftover()[:2] == whole.leftover()[:2] == (FRAMES, len(data) - len(FRAMES))


@given(RESPONSES, CUTS, st.booleans())
def test_any_cut_gives_the_same_responses(responses: list[bytes], cuts: list[int], obey_skip: bool) -> None:
    data = b"".join(responses) + wire.response() + FRAMES
    methods = ["GET"] * (len(responses) + 1)
    whole, pieces = server(*methods), server(*methods)
    expected, events = run(whole, data), run(pieces, data, cuts, obey_skip=obey_skip)
    assert len(heads(expected)) == len(responses) + 1
    assert summary(events) == summary(expected)
    assert pieces.leftover()[:2] == whole.leftover()[:2] == (FRAMES, len(data) - len(FRAMES))


HOSTILE = st.lists(
    st.sampled_from(
        [
            PLAIN,
            OK,
            CHUNKED,
            CHUNKED[:60],
            wire.request(),
            wire.response(),
            b"\r\n",
            b"\n",
            b"\0",
            b"GET ",
            b"HTTP/1.1 ",
            b"0\r\n",
        ]
    )
    | st.binary(max_size=20),
    max_size=8,
)


@given(HOSTILE, st.sampled_from([CLIENT, SERVER]), st.lists(st.integers(0, 5), max_size=8))
def test_no_bytes_and_no_gaps_raise(chunks: list[bytes], which: int, gaps: list[int]) -> None:
    side, offset = HttpSide(which, max_head=500), 0
    for number, data in enumerate(chunks):
        for event in side.feed(data, offset, number, number):
            assert event.offset <= offset + len(data)
        offset += len(data)
        assert side.offset == offset
        assert side.skip >= -1
        assert side.partial <= 500
        if number < len(gaps) and gaps[number]:
            side.gap(gaps[number])
            offset += gaps[number]
        if number % 3 == 2 and which == CLIENT:
            side.resume()
