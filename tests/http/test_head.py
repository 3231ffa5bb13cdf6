"""Heads, well formed and not: what is read, what is called odd, and that nothing raises."""

from __future__ import annotations

from operator import attrgetter

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.http import head as module
from wsaudit.http.head import Head, parse_head


def facts(head: Head) -> tuple[object, ...]:
    return (head.kind, head.method, head.target, head.version, head.status, head.reason, head.fields, head.raw)


def test_request() -> None:
    raw = wire.request("/chat?x=1")
    head = parse_head(raw, 7, 100, 3, 200, 4)
    assert (head.kind, head.method, head.target, head.version, head.status) == ("request", "GET", "/chat?x=1", "1.1", 0)
    assert head.fields[0] == ("host", "example.com")
    assert head.get("sec-websocket-key") == wire.KEY
    assert head.get("origin") is None
    assert (head.offset, head.end, head.time, head.packet, head.end_time, head.end_packet) == (7, 7 + len(raw), 100, 3, 200, 4)
    assert head.oddities == ()


def test_response() -> None:
    head = parse_head(wire.response())
    assert (head.kind, head.status, head.reason, head.version) == ("response", 101, "Switching Protocols", "1.1")
    assert head.get("sec-websocket-accept") == wire.accept()
    assert head.oddities == ()


def test_another_of_the_same_form() -> None:
    """Its fields are those of its own bytes, whichever is asked for first."""
    raw = wire.request("/b?x=2", {"Cookie": "b=2", "Sec-WebSocket-Key": "BQ"})
    for name in ("cookie", "host"):
        like = parse_head(wire.request("/a?x=1", {"Cookie": "a=1", "Sec-WebSocket-Key": "AQ"}), 0, 1, 2)
        found, expected = like.another(raw, ("GET", "/b?x=2", "1.1", 0, ""), 7, 9, 8), parse_head(raw, 0, 7, 9, 8, 9)
        assert found.form is expected.form is like.form
        assert found.get(name) == expected.get(name)
        assert facts(found) == facts(expected)
        for each in ("time", "end_time", "end_packet", "end", "oddities"):
            assert getattr(found, each) == getattr(expected, each)


def test_a_head_without_fields() -> None:
    head = parse_head(b"GET / HTTP/1.1\r\n\r\n")
    assert (head.target, head.fields, head.oddities) == ("/", [], ())


def test_the_same_name_on_several_lines() -> None:
    head = parse_head(wire.head("GET / HTTP/1.1", {"Connection": ["keep-alive, ", " , Upgrade"], "X": "1"}))
    assert head.get("connection") == "keep-alive,"
    assert head.get_all("connection") == ["keep-alive,", ", Upgrade"]
    assert head.tokens("connection") == ["keep-alive", "upgrade"]
    assert head.get_all("absent") == head.tokens("absent") == []


def test_a_value_keeps_its_colons_and_inner_space() -> None:
    assert parse_head(b"GET / HTTP/1.1\r\nHost:  [::1]:80  x \r\n\r\n").get("host") == "[::1]:80  x"


ODD = {
    "lf-only": b"GET / HTTP/1.1\nHost: a\n\n",
    "obs-fold": b"GET / HTTP/1.1\r\nHost: a\r\n  b\r\n\tc \r\n\r\n",
    "space-before-colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "bad-field-name": b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n",
    "bad-field-line": b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    "leading-empty-line": b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "non-ascii-field": b"GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n",
    "non-ascii-start-line": b"GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n",
    "nul": b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    "control-character": b"GET / HTTP/1.1\r\nHost: a\x01b\r\n\r\n",
    "bare-cr": b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
    "no-blank-line": b"GET / HTTP/1.1\r\nHost: a\r\n",
    "bad-start-line": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", ODD)
def test_one_oddity_at_a_time(name: str) -> None:
    head = parse_head(ODD[name])
    assert head.oddities == (name,)
    assert (head.method, head.version) == ("GET", "1.1")
    assert head.raw == ODD[name]


def test_folded_values_are_joined() -> None:
    assert parse_head(ODD["obs-fold"]).fields == [("host", "a b c")]


def test_a_value_may_begin_on_the_next_line() -> None:
    assert parse_head(b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n").get("host") == "a"


def test_the_line_of_an_oddity() -> None:
    head = parse_head(b"GET / HTTP/1.1\r\nHost: a\r\nA : b\r\nC : d\r\nnonsense\r\n\r\n")
    assert head.oddities == ("space-before-colon", "bad-field-line")
    assert head.odd_lines == (2, 4)
    assert head.fields == [("host", "a"), ("a", "b"), ("c", "d")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET /a b HTTP/1.1", ("GET", "/a b", "1.1")),
        (b"GET /a", ("GET", "/a", "")),
        (b"GET", ("GET", "", "")),
        (b"GET\t/a HTTP/1.1", ("GET\t/a", "HTTP/1.1", "")),
        (b"GET /a http/1.1", ("GET", "/a http/1.1", "")),
        (b"get /a HTTP/2.0", ("get", "/a", "2.0")),
        (b"GET / HTTP/1.10", ("GET", "/", "1.10")),
        (b"", ("", "", "")),
    ],
)
def test_odd_request_lines(line: bytes, expected: tuple[str, str, str]) -> None:
    head = parse_head(line + b"\r\nHost: a\r\n\r\n" if line else b"")
    assert (head.method, head.target, head.version) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"HTTP/1.1 200 ", ("1.1", 200, "", ())),
        (b"HTTP/1.1 200", ("1.1", 200, "", ("bad-start-line",))),
        (b"HTTP/1.1  200 OK", ("1.1", 200, "OK", ("bad-start-line",))),
        (b"HTTP/1.1 99 Odd", ("1.1", 0, "Odd", ("bad-start-line",))),
        (b"HTTP/1.1 abc OK", ("1.1", 0, "OK", ("bad-start-line",))),
        (b"HTTP/1.1 999 OK", ("1.1", 999, "OK", ())),
        (b"HTTP/1.1", ("1.1", 0, "", ("bad-start-line",))),
        (b"HTTP/x 101 Switching", ("", 101, "Switching", ("bad-start-line",))),
        (b"HTTP/1.1 101 Web Socket Protocol Handshake", ("1.1", 101, "Web Socket Protocol Handshake", ())),
    ],
)
def test_status_lines(line: bytes, expected: tuple[str, int, str, tuple[str, ...]]) -> None:
    head = parse_head(line + b"\r\nServer: a\r\n\r\n")
    assert (head.version, head.status, head.reason, head.oddities) == expected
    assert head.get("server") == "a"


def test_the_memory_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    names = dict(module._NAMES)
    monkeypatch.setattr(module, "_NAMES", names)
    lines = "".join(f"X-Fill-{number}: 1\r\n" for number in range(2 * module.MAX_NAMES))
    raw = f"GET / HTTP/1.1\r\n{lines}{'N' * 100}: 1\r\nHost: a\r\n\r\n".encode()
    head = parse_head(raw)
    assert head.fields
    assert len(names) == module.MAX_NAMES
    assert len(head.fields) == 2 * module.MAX_NAMES + 2
    assert head.get("host") == "a"
    assert head.oddities == ()


NAMES = st.from_regex(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}", fullmatch=True)
VALUES = st.from_regex(r"([!-~]([ -~]{0,20}[!-~])?)?", fullmatch=True)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


@given(FIELDS)
def test_both_readers_agree(fields: list[tuple[str, str]]) -> None:
    for start in ("GET /x HTTP/1.1", "HTTP/1.0 404 Not Found"):
        raw = "\r\n".join([start, *(f"{name}: {value}" for name, value in fields), "", ""]).encode()
        patient = module._parse_patiently(raw, 0, 0, 0, 0, 0)
        first, second = parse_head(raw), parse_head(raw)  # the second knows every name
        assert facts(first) == facts(second) == facts(patient)
        assert first.oddities == second.oddities == patient.oddities == ()
        assert first.fields == [(name.lower(), value) for name, value in fields]


HOSTILE = st.lists(
    st.sampled_from(
        [b"GET", b" ", b"/", b"HTTP/1.1", b"HTTP/1.1 101 OK", b"\r\n", b"\n", b"\r", b"\t", b":", b"Host", b"\0", b"\xff", b","]
    ),
    max_size=30,
).map(b"".join)


@given(st.binary() | HOSTILE)
def test_no_bytes_raise(raw: bytes) -> None:
    head = parse_head(raw)
    assert head.raw == raw
    assert len(head.oddities) == len(head.odd_lines)
    for name, value in head.fields:
        assert name == name.lower()
        assert value == value.strip(" \t")
        assert head.get(name) == head.get_all(name)[0]
        assert all(head.tokens(name))
    assert repr(head)


@given(HOSTILE)
def test_a_head_that_is_not_odd_is_one_that_the_grammar_allows(raw: bytes) -> None:
    head = parse_head(raw)
    if not head.oddities:
        lines = raw[: raw.index(b"\r\n\r\n") + 4].split(b"\r\n")  # nobody hands over what follows
        assert lines[-2:] == [b"", b""]
        assert not any(b"\r" in line or b"\n" in line for line in lines)
        assert len(lines) == len(head.fields) + 3


PLAIN_LINES = (
    *(
        b"Host: h",
        b"host: other",
        b"Host : h",
        b"Host:h",
        b"Host:",
        b" folded: x",
        b"\tb",
        b"Content-Length: 5",
        b"content-length:5",
    ),
    *(
        b"Transfer-Encoding: gzip, chunked",
        b"X-Host: y",
        b"Upgrade: h2c",
        b"no colon",
        b"Host\t: x",
        b"A: \xe9",
        b"B: \x01",
        b": v",
    ),
    *(b"Host: a\rb", b"Host:  two  ", b"Content-Length: 1, 2", b"Range: h\x00"),
)
STARTS = (
    b"GET /a HTTP/1.1",
    b"HEAD / HTTP/1.0",
    b"HTTP/1.1 200 OK",
    b"HTTP/1.0 404 ",
    b"HTTP/1.1 204",
    b"GET  HTTP/1.1",
    b"get / HTTP/1.1",
)
LINE_ENDS = st.sampled_from((b"\r\n", b"\r\n", b"\r\n", b"\n"))


@given(
    st.sampled_from(STARTS),
    st.lists(st.tuples(LINE_ENDS, st.sampled_from(PLAIN_LINES)), max_size=6),
    st.sampled_from((b"\r\n\r\n", b"\n\r\n", b"\r\n\n", b"", b"\r\n\r\nHost: z\r\n\r\n", b"\n\nA: z\r\n\r\n")),
)
def test_a_plain_head_tells_the_same_before_its_fields_are_read(
    start: bytes, lines: list[tuple[bytes, bytes]], end: bytes
) -> None:
    raw = start + b"".join([ending + line for ending, line in lines]) + end
    slow = module._parse_line_by_line(raw, 3, 1, 1, 2, 2)
    for name in ("host", "x-host", "content-length", "transfer-encoding", "upgrade", "a", "absent"):
        for ask in (Head.get, Head.get_all, Head.combined, Head.tokens):
            assert ask(parse_head(raw, 3, 1, 1, 2, 2), name) == ask(slow, name)
    for ask in (
        attrgetter("fields"),
        attrgetter("oddities"),
        attrgetter("odd_lines"),
        attrgetter("method", "version", "status", "kind"),
    ):
        assert ask(parse_head(raw)) == ask(slow)
