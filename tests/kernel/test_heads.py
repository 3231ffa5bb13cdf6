"""Heads as the interpreter reads them; tests/kernel/test_exchanges.py holds both kernels to the same facts."""

from __future__ import annotations

import pytest

from wsaudit.kernel import heads
from wsaudit.kernel.buffer import Buffer

START = b"GET / HTTP/1.1\r\n"


def length_in(fields: bytes) -> int:
    data = b"\n websocket" + START + fields + b"\r\nContent-Length: 7\r\n"
    return heads.body_length(Buffer(bytearray(data)), 11, len(data) - 19)


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        (b"", heads.NONE),
        (b"X-Content-Length: 3\r\n", heads.NONE),
        (b"Content-Length: 3\r\n", 3),
        (b"content-LENGTH:0012\r\n", 12),
        (b"Content-Length: 999999999999999999\r\n", 999999999999999999),
        (b"Content-Length: 1000000000000000000\r\n", heads.UNCLEAR),
        (b"Content-Length: \r\n", heads.UNCLEAR),
        (b"Content-Length: 3 \r\n", heads.UNCLEAR),
        (b"Content-Length\x0d: 3\r\n", heads.UNCLEAR),
        (b"Content\x0dLength: 3\r\n", heads.NONE),
        (b"Content-Lengths: 3\r\n", heads.UNCLEAR),
        (b"Content-Length: 3\r\nContent-Length: 3\r\n", heads.UNCLEAR),
        (b"transfer-Encoding-x: 3\r\n", heads.UNCLEAR),
        (b"X: Transfer-Encoding\r\n", heads.NONE),
        (b"X: websocKet\r\n", heads.UNCLEAR),
        (b"X: web\r\nsocket: kK\r\n", heads.NONE),
        (b"X: a\r\n\tb\r\n", heads.UNCLEAR),
        (b"X: a\nY: b\r\n", heads.UNCLEAR),
        (b"X: a\rY: b\r\n", heads.NONE),
    ],
)
def test_the_length_of_a_body(fields: bytes, length: int) -> None:
    assert length_in(fields) == length


def test_a_head_ends_with_the_first_blank_line() -> None:
    data = START + b"\r\nX: a\n\r\n\r\n\r\n"
    assert heads.stop_of(Buffer(data), 0, len(data)) == len(START) + 2
    assert heads.stop_of(Buffer(data), 0, len(START) + 1) == 0
    assert heads.stop_of(Buffer(data), len(START), len(data)) == len(data) - 2
    assert heads.stop_of(Buffer(data), len(data) - 3, len(data)) == 0


@pytest.mark.parametrize("line", [b"GET / HTTP/1.0", b"OPTIONS /*?a=%20 HTTP/1.1"])
def test_a_request_for_a_path(line: bytes) -> None:
    data = b"\r\n" + line + b"\r\n\r\n"
    assert heads.is_request(Buffer(data), 2, len(data))
    for other in (line.lower(), b"X" + line, line[:-1] + b"2", line[:-1], line + b" ", line.replace(b" /", b" *")):
        data = other + b"\r\n\r\n"
        assert not heads.is_request(Buffer(data), 0, len(data))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 200 OK", 200),
        (b"HTTP/1.0 599 ", 599),
        (b"HTTP/1.1 200", 0),
        (b"HTTP/1.1 101 Switching Protocols", 0),
        (b"HTTP/1.1 600 Odd", 0),
        (b"HTTP/1.1 2 00 OK", 0),
        (b"HTTP/1.2 200 OK", 0),
        (b"HTTP/1.1 200 \xe9", 0),
    ],
)
def test_the_status_of_a_final_response(line: bytes, status: int) -> None:
    data = line + b"\r\n\r\n"
    assert heads.status_of(Buffer(data), 0, len(data)) == status
