"""The heads of connections that are like others, and what is kept of them."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.http.form import without_values
from wsaudit.rules.signature import KEY as CANONICAL

MAX_HEAD = 4096
OTHER_KEY = base64.b64encode(bytes(range(16))).decode()


class Known:
    """One form of the kernel, and what it has learned."""

    def __init__(self, kernel: SimpleNamespace) -> None:
        self.kernel = kernel
        self.module = kernel.kinds
        self.kinds = self.module.Kinds(None, [], kernel.findings.Findings(), MAX_HEAD, 100, (b"EIO=",), lambda *end: end)

    def learn(self, target: str = "/chat?id=7", host: str = "example.com", server: str = "a") -> None:
        head = asked(target, host=host)
        literals = tuple(head[head.index(b"\r\n") :].split(wire.KEY.encode()))
        row = self.kernel.connection.Connection(0, 0, 0, (b"", 0), (b"", 0), b"")
        behind = tuple(answered(server=server).split(wire.accept().encode()))
        self.kinds.learn(literals, 0, target, self.module.Opening(behind, 0, row, (bytearray(), bytearray()), False, None))


def asked(target: str = "/chat?id=7", key: str = wire.KEY, host: str = "example.com") -> bytes:
    return wire.request(target, {"Host": host, "Sec-WebSocket-Key": key})


def answered(key: str = wire.KEY, server: str = "a") -> bytes:
    return wire.response(headers={"Server": server}, key=key)


@pytest.fixture(params=["pure_kernel", "compiled_kernel"])
def known(request: pytest.FixtureRequest) -> Known:
    return Known(request.getfixturevalue(request.param))


def test_a_request_like_one_before(known: Known) -> None:
    known.learn()
    kinds = known.kinds
    head = asked("/other?id=x%20y", OTHER_KEY)
    assert kinds.find_request(head) is kinds.requests[0]
    assert (kinds.key, kinds.target_end) == (OTHER_KEY.encode(), head.index(b" HTTP"))


def test_a_part_of_a_request(known: Known) -> None:
    """Only while there is a kind to which it may belong is it worth waiting for the rest."""
    may_begin = known.kinds.may_begin
    assert not may_begin(asked()[:50])
    known.learn()
    assert may_begin(asked()[:50])
    assert may_begin(asked()[:-1])
    assert not may_begin(asked())
    assert not may_begin(b"POST " + asked()[:50])
    assert not may_begin(asked()[:50] + b"a" * MAX_HEAD)


@pytest.mark.parametrize(
    "head",
    [
        asked() + b"x",
        asked()[:-1],
        asked().replace(b"\r\n", b"\n"),
        asked("/chat"),
        asked("/chat?id="),
        asked("/chat?id=1&id=2"),
        asked("/chat?id=1#x"),
        asked("chat?id=1"),
        asked("http://h/chat?id=1"),
        asked("/ch at?id=1"),
        asked(host="other.example"),
        asked(key="YWJj"),
        asked(key=OTHER_KEY[:21] + "B=="),
        asked().replace(b"GET", b"PUT"),
        asked().replace(b"HTTP/1.1", b"HTTP/1.0"),
        asked("/" + "x" * MAX_HEAD + "?id=1"),
        b"",
        b"\r\n",
        b"GET / HTTP/1.1",
    ],
)
def test_another_request_is_none(known: Known, head: bytes) -> None:
    known.learn()
    assert known.kinds.find_request(head) is None


def test_the_answer_to_it(known: Known) -> None:
    known.learn()
    kinds = known.kinds
    kind = kinds.find_request(asked(key=OTHER_KEY))
    head = answered(OTHER_KEY)
    assert kinds.find_answer(kind, kinds.key, head) is kind.answers[0]
    assert kinds.answer_end == len(head)
    assert kinds.find_answer(kind, kinds.key, head + b"\x81\x02hi") is kind.answers[0]
    assert kinds.answer_end == len(head)
    assert kinds.find_answer(kind, kinds.key, answered()) is None  # the Accept of another key
    assert kinds.find_answer(kind, kinds.key, answered(OTHER_KEY, server="b")) is None
    assert kinds.find_answer(kind, kinds.key, head[:-1]) is None
    assert kinds.find_answer(kind, kinds.key, b"\r\n\r\n" + head) is None
    assert kinds.find_answer(kind, kinds.key, head[:-2] + b"X: " + b"x" * MAX_HEAD + b"\r\n\r\n") is None


def test_what_is_known_is_bounded(known: Known) -> None:
    module, kinds = known.module, known.kinds
    for number in range(module.MAX_REQUESTS + 5):
        known.learn(host=f"host-{number}")
    assert len(kinds.requests) == module.MAX_REQUESTS
    assert kinds.find_request(asked(host="host-0")) is None
    oldest = asked(host="host-5")
    kind = kinds.find_request(oldest)
    assert kind is kinds.requests[0]  # asked for again, so it stays
    known.learn(host="one more")
    assert kinds.find_request(oldest) is kind
    for number in range(module.MAX_ANSWERS + 5):
        known.learn(server=f"server-{number}")
        known.learn(server=f"server-{number}")
    kind = kinds.find_request(asked())
    assert len(kind.answers) == module.MAX_ANSWERS
    assert len({opening.literals for opening in kind.answers}) == module.MAX_ANSWERS
    opening = kind.answers[0]
    for number in range(module.MAX_ENDINGS + 5):
        opening.learn((number,), None)
    assert len(opening.endings) == 5


def test_targets_with_other_names_are_other_kinds(known: Known) -> None:
    for target in ("/a", "/a?x=1", "/a?y=1", "/a?x=", "/a?x=1&y"):
        known.learn(target)
    assert [kind.names for kind in known.kinds.requests] == [b"?x=1&y", b"?x=", b"?y=1", b"?x=1", b""]
    known.learn("/b?x=2")
    assert len(known.kinds.requests) == 5
    for target in ("*", "a", "/a:b", "/#", "/\xe9", "/a?\xe9=1"):
        known.learn(target)
    assert len(known.kinds.requests) == 5


@given(st.text("aA&=?/#:1 \x7f\xe9", max_size=12))
def test_names_in_a_query(compiled_kernel: SimpleNamespace, pure_kernel: SimpleNamespace, rest: str) -> None:
    target = "/" + rest
    raw = target.encode("latin-1")
    names = pure_kernel.kinds.names_in(raw)
    path, mark, query = target.partition("?")
    odd = any(not "!" <= each <= "~" or each == "#" for each in target) or ":" in path
    assert names == (None if odd else (mark + without_values(query)).encode())
    for kernel in (compiled_kernel, pure_kernel):
        module = kernel.kinds
        assert module.names_in(raw) == names
        wrapped = b"GET " + raw + b" HTTP/1.1"
        assert module.has_names(wrapped, 4, 4 + len(raw), names or b"") == (names is not None)
        assert not module.has_names(wrapped, 4, 4 + len(raw), (names or b"") + b"&")


@given(st.one_of(st.binary(max_size=17).map(base64.b64encode), st.text("AQgwB+/=-", min_size=20, max_size=26).map(str.encode)))
def test_a_key_is_sixteen_bytes(compiled_kernel: SimpleNamespace, pure_kernel: SimpleNamespace, key: bytes) -> None:
    expected = CANONICAL.fullmatch(key.decode()) is not None
    assert compiled_kernel.kinds.is_key(key) == pure_kernel.kinds.is_key(key) == expected
