from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from wsaudit.tls import handshake
from wsaudit.tls.handshake import MessageBuffer, parse_client_hello, parse_encrypted_extensions, parse_server_hello


def vector(data: bytes, width: int) -> bytes:
    return len(data).to_bytes(width, "big") + data


def extension(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(body, 2)


def message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + vector(body, 3)


RANDOM = bytes(range(32))
EXTENSIONS = (
    extension(0, vector(b"\0" + vector(b"ws.example", 2), 2))
    + extension(16, vector(vector(b"h2", 1) + vector(b"http/1.1", 1), 2))
    + extension(42, b"")
    + extension(43, vector(b"\x7a\x7a\x03\x04\x03\x03", 1))
)
HELLO_HEAD = b"\x03\x03" + RANDOM + vector(b"session", 1)
CLIENT_HELLO = message(1, HELLO_HEAD + vector(b"\x13\x01\xc0\x2f", 2) + vector(b"\0", 1) + vector(EXTENSIONS, 2))
SERVER_EXTENSIONS = b"".join(
    (
        extension(22, b""),
        extension(23, b""),
        extension(16, vector(vector(b"http/1.1", 1), 2)),
        extension(41, b"\0\0"),
        extension(43, b"\x03\x04"),
    )
)
SERVER_HELLO = message(2, HELLO_HEAD + b"\x13\x02\0" + vector(SERVER_EXTENSIONS, 2))


def test_client_hello() -> None:
    hello = parse_client_hello(CLIENT_HELLO)
    assert (hello.random, hello.session_id, hello.server_name) == (RANDOM, b"session", "ws.example")
    assert (hello.alpn, hello.suites) == (("h2", "http/1.1"), (0x1301, 0xC02F))
    assert (hello.version, hello.versions) == (0x0303, (0x7A7A, 0x0304, 0x0303))
    assert (hello.early_data, hello.complete) == (True, True)


def test_client_hello_without_extensions() -> None:
    hello = parse_client_hello(message(1, HELLO_HEAD + vector(b"\x00\x2f", 2) + vector(b"\0", 1)))
    assert (hello.complete, hello.server_name, hello.versions) == (True, None, (0x0303,))


def test_server_hello() -> None:
    hello = parse_server_hello(SERVER_HELLO)
    assert (hello.version, hello.suite, hello.alpn, hello.compression) == (0x0304, 0x1302, "http/1.1", 0)
    assert (hello.encrypt_then_mac, hello.extended_master, hello.pre_shared_key) == (True, True, True)
    assert (hello.retry, hello.complete) == (False, True)


def test_retry_request() -> None:
    retry = bytes.fromhex("CF21AD74E59A6111BE1D8C021E65B891C2A211167ABB8C5E079E09E2C8A8339C")
    assert parse_server_hello(SERVER_HELLO.replace(RANDOM, retry)).retry


def test_encrypted_extensions() -> None:
    body = extension(16, vector(vector(b"http/1.1", 1), 2)) + extension(42, b"")
    found = parse_encrypted_extensions(message(8, vector(body, 2)))
    assert (found.alpn, found.early_data) == ("http/1.1", True)
    assert not parse_encrypted_extensions(message(8, vector(b"", 2))).early_data


def test_a_hello_that_breaks_off_gives_what_came_before() -> None:
    hello = parse_client_hello(CLIENT_HELLO[:60])
    assert (hello.random, hello.complete, hello.suites) == (RANDOM, False, (0x1301, 0xC02F))


def test_names_that_are_not_ascii() -> None:
    odd = CLIENT_HELLO.replace(b"ws.example", b"\xff\x00.example")
    assert parse_client_hello(odd).server_name == "\\xff\0.example"


@given(st.integers(0, len(CLIENT_HELLO) - 1), st.integers(0, 255))
def test_hostile_lengths_in_a_client_hello(place: int, value: int) -> None:
    parse_client_hello(CLIENT_HELLO[:place] + bytes((value,)) + CLIENT_HELLO[place + 1 :])


@given(st.binary(max_size=200))
def test_arbitrary_messages(data: bytes) -> None:
    parse_client_hello(data)
    parse_server_hello(data)
    parse_encrypted_extensions(data)
    handshake.encrypted_premaster(data)


@given(st.lists(st.integers(0, 600), max_size=8))
def test_messages_across_records(cuts: list[int]) -> None:
    stream = CLIENT_HELLO + SERVER_HELLO + message(14, b"") + message(20, b"x" * 12)
    buffer = MessageBuffer()
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    found = []
    for start, stop in itertools.pairwise(places):
        found += buffer.feed(stream[start:stop])
    assert found == [CLIENT_HELLO, SERVER_HELLO, message(14, b""), message(20, b"x" * 12)]


def test_a_huge_message_is_stepped_over() -> None:
    buffer = MessageBuffer()
    assert buffer.feed(b"\x0b\xff\xff\xff" + bytes(1000)) == []
    for _ in range(1023):
        assert buffer.feed(bytes(1 << 14)) == []
    assert len(buffer._buffer) == 0
    rest = 0xFFFFFF - 1000 - 1023 * (1 << 14)
    assert buffer.feed(bytes(rest) + SERVER_HELLO) == [SERVER_HELLO]


def test_after_a_hole() -> None:
    buffer = MessageBuffer()
    buffer.feed(CLIENT_HELLO[:50])
    buffer.clear()
    assert buffer.feed(SERVER_HELLO) == [SERVER_HELLO]


def test_encrypted_premaster() -> None:
    assert handshake.encrypted_premaster(message(16, vector(b"abc", 2))) == b"abc"
    assert handshake.encrypted_premaster(message(16, b"\xff\xffabc")) == b""
