"""A head read by its form is the head read line by line, and so is everything concluded from it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsaudit.http import head as heads
from wsaudit.http.credentials import _auth_kinds, auth_kinds
from wsaudit.http.form import _FORMS, MAX_FORMS
from wsaudit.http.head import Head, _parse_line_by_line, parse_head, recognise_head
from wsaudit.http.upgrade import _asks_for_upgrade, _compare, accept_for, build_handshake, is_upgrade_request

NAMES = ("Sec-WebSocket-Key", "Cookie", "Date", "Host", "Upgrade", "Connection", "X-Request-ID", "Authorization")
VALUES = ("websocket", "Upgrade", "a.example", "c2VjcmV0", "x y", "", " padded ", "a\tb", "Bearer abc", "\x01", "é", "1\r\n 2")
TARGETS = ("/", "/a?token=1", "/a?token=", "/b?x=2&y", "ws://u@h/", "/c:d?t", "/e f", "", "/x://u@h/?q", "/ä")
fields = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=5)
requests = st.builds(
    lambda method, target, version, lines, end: (
        f"{method} {target} {version}\r\nUpgrade: websocket\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines) + end
    ).encode("latin-1"),
    st.sampled_from(("GET", "POST", "get", "HTTP/1.1", "")),
    st.sampled_from(TARGETS),
    st.sampled_from(("HTTP/1.1", "HTTP/1.0", "HTTP/2", "")),
    fields,
    st.sampled_from(("\r\n", "", "\n", "\r\n\r\n")),
)


def facts(head: Head) -> tuple[object, ...]:
    names = {name for name, _ in head.fields} | {"absent"}
    return (
        (head.kind, head.method, head.target, head.version, head.status, head.reason, head.fields, head.oddities, head.odd_lines),
        {name: (head.get(name), head.get_all(name), head.combined(name), head.tokens(name)) for name in names},
    )


@given(st.lists(requests, min_size=1, max_size=4))
def test_known_forms_change_nothing(sent: list[bytes]) -> None:
    for raw in [*sent, *sent]:
        slow = _parse_line_by_line(raw, 7, 1, 2, 3, 4)
        assert facts(parse_head(raw, 7, 1, 2, 3, 4)) == facts(slow)
        quick = parse_head(raw, 7, 1, 2, 3, 4)
        assert auth_kinds(quick) == _auth_kinds(slow)
        if quick.kind == "request":
            assert is_upgrade_request(quick) == (_asks_for_upgrade(slow) or slow.target.lower().startswith(("ws://", "wss://")))


@given(st.lists(requests, min_size=1, max_size=4), st.sampled_from((b"", b"\x81\x00", b"GET / HTTP/1.1\r\n\r\n")))
def test_a_head_recognised_is_the_head_read(sent: list[bytes], behind: bytes) -> None:
    for raw in [*sent, *sent, *reversed(sent)]:
        slow = parse_head(raw, 7, 1, 2, 1, 2)
        quick = recognise_head(raw + behind, 7, 1, 2)
        if quick is not None:
            assert quick.raw == raw[: len(quick.raw)]
            assert facts(quick) == facts(parse_head(quick.raw, 7, 1, 2, 1, 2))
            assert quick.get("content-length") is quick.get("transfer-encoding") is None
        elif slow.form is not None and slow.method == "GET" and raw.find(b"\r\n\r\n") == len(raw) - 4:
            assert not slow.form.bodyless


def test_a_head_with_a_body_is_not_recognised() -> None:
    raw = request("AAAA").replace(b"Host: h", b"Content-Length: 1")
    assert parse_head(raw).form is not None
    assert recognise_head(raw, 0, 0, 0) is None


def request(key: str, query: str = "") -> bytes:
    return f"GET /chat{query} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()


def response(accept: str, more: str = "") -> bytes:
    return (
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
        f"{more}\r\n"
    ).encode()


KEYS = st.sampled_from(("AAAAAAAAAAAAAAAAAAAAAA==", "BBBBBBBBBBBBBBBBBBBBBA==", "short"))


@given(st.lists(st.tuples(KEYS, KEYS, st.sampled_from(("", "?room=1")), st.sampled_from(("", "Server: s\r\n"))), max_size=6))
def test_handshakes_of_known_forms(pairs: list[tuple[str, str, str, str]]) -> None:
    for key, answered, query, more in pairs:
        asked = parse_head(request(key, query), 0, 5, 1)
        answer = parse_head(response(accept_for(answered), more), 0, 9, 2)
        assert build_handshake(asked, answer) == _compare(asked, answer, ())


def test_a_form_is_shared() -> None:
    first, second = parse_head(request("AAAA")), parse_head(request("BBBB", "?x=1"))
    assert first.form is not None
    assert first.form is second.form
    assert second.get("sec-websocket-key") == "BBBB"


def test_forms_are_bounded() -> None:
    for number in range(MAX_FORMS + 10):
        parse_head(request("AAAA").replace(b"Host: h", b"Host: h%d" % number))
    assert len(_FORMS) <= MAX_FORMS


def test_a_page_has_no_form() -> None:
    head = heads.parse_head(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert head.form is None
