"""Plain HTTP/1.x exchanges (RFC 9112): a request that asks for no upgrade, its answer, the next request.

A capture of a web server is full of them, and nothing of them is in the report but how many there were and which paths were asked
for. Only heads at which there is nothing to wonder are taken here, whole in their segment and with bodies of a declared length;
everything else is left as it was for `HttpSide` (http/messages.py), which would have found the same.
"""

from __future__ import annotations

import re
from typing import Any

from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.constants import PYTHON, READER
from wsaudit.kernel.foreign import Foreign
from wsaudit.kernel.reader import Reader
from wsaudit.kernel.streams import Flow
from wsaudit.model import CLIENT, SERVER

REQUEST_LINE = re.compile(rb"(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) /[!-~]* HTTP/1\.[01]\r\n").match
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([2-5][0-9][0-9]) [ -~]*\r\n").match
LENGTH = re.compile(rb"\ncontent-length: *([0-9]{1,18})\r").match
NONE = -1  # no Content-Length
UNCLEAR = -2
BODYLESS = (204, 304)  # RFC 9110 §6.4.1


class Exchanges(Foreign):
    """The exchanges of one connection. `asked`: the head of the request that waits for its answer, b"" if there is none, and
    `time`, `packet` of it; `requests`: how many there were; longer heads than `max_head` are left.

    `sink` gets `count_requests(number)`, and `plain_get(flow, client, request, status, time, packet)` for each answer to a GET.
    """

    __slots__ = ("asked", "max_head", "packet", "requests", "time")

    def __init__(self, flow: Flow, client: int, sink: Any, max_head: int) -> None:
        Foreign.__init__(self, flow, client, sink)
        self.max_head = max_head
        self.requests = 0
        self.asked = b""
        self.time = 0
        self.packet = 0

    def lend_with(self, data: bytes, time: int, packet: int) -> bool:
        """Take the flow, if these first bytes of its client are one whole request without an upgrade."""
        requests = HttpReader(self, False, 0)
        if requests.feed(Buffer(data), 0, len(data), time, packet) < len(data):
            return False
        self.lend(requests, HttpReader(self, True, 0))
        return True

    def lend_between(self, rests: tuple[int, int]) -> None:
        """Take the flow while no request waits. `rests`: bytes of client and server up to their next messages."""
        self.lend(HttpReader(self, False, rests[CLIENT]), HttpReader(self, True, rests[SERVER]))

    def lend(self, requests: HttpReader, answers: HttpReader) -> None:
        flow = self.flow
        client, server = (flow.b, flow.a) if self.client else (flow.a, flow.b)
        client.reader = requests
        server.reader = answers
        client.mode = server.mode = READER

    def take_back(self) -> tuple[tuple[bytes, int, int] | None, tuple[int, int]]:
        """Let the flow go: the request that waits for its answer, its time and packet, and the bytes of client and server up to
        their next messages."""
        flow = self.flow
        client, server = (flow.b, flow.a) if self.client else (flow.a, flow.b)
        requests: Any = client.reader
        answers: Any = server.reader
        for stream in (client, server):
            stream.reader = None
            stream.mode = PYTHON
        self.sink.count_requests(self.requests)
        return (self.asked, self.time, self.packet) if self.asked else None, (requests.skip, answers.skip)

    def answered(self, status: int, time: int, packet: int) -> None:
        """The answer to a GET."""
        try:
            self.sink.plain_get(self.flow, self.client, (self.asked, self.time, self.packet), status, time, packet)
        except Exception as error:
            self.flow.owner.crashed(error)

    def end(self, ongoing: bool) -> None:
        self.take_back()


class HttpReader(Reader):
    """Takes the requests of a client or (`answers`) the answers of a server. `skip`: bytes of a body that are still to come."""

    __slots__ = ("answers", "exchanges", "skip")

    def __init__(self, exchanges: Exchanges, answers: bool, skip: int) -> None:
        self.exchanges = exchanges
        self.answers = answers
        self.skip = skip

    def feed(self, buffer: Buffer, pos: int, end: int, time: int, packet: int) -> int:
        while pos < end:
            if self.skip > 0:
                size = end - pos if end - pos < self.skip else self.skip
                self.skip -= size
            else:
                size = self.head(buffer, pos, end, time, packet)
                if size == 0:
                    break
            pos += size
        return pos

    def head(self, buffer: Buffer, pos: int, end: int, time: int, packet: int) -> int:
        """Take the head at buffer[pos:end]; returns its size, 0 if it is not for here."""
        exchanges = self.exchanges
        stop = buffer.raw.find(b"\r\n\r\n", pos, end) + 4
        size = stop - pos
        if stop < 4 or size > exchanges.max_head or self.answers != (exchanges.asked != b""):
            return 0
        head = bytes(buffer.raw[pos:stop])
        length = body_length(head.lower())
        if length == UNCLEAR:
            return 0
        if self.answers:
            line = STATUS_LINE(head)
            if line is None:
                return 0
            status = int(line[1])
            if status in BODYLESS or exchanges.asked.startswith(b"HEAD"):
                length = 0
            elif length == NONE:  # up to the end of the connection
                return 0
            if exchanges.asked.startswith(b"GET"):
                exchanges.answered(status, time, packet)
            exchanges.asked = b""
        else:
            if REQUEST_LINE(head) is None:
                return 0
            exchanges.requests += 1
            exchanges.asked = head
            exchanges.time = time
            exchanges.packet = packet
        self.skip = 0 if length == NONE else length
        return size


def body_length(lower: bytes) -> int:
    """What Content-Length says in a head in lower case; NONE, or UNCLEAR if there is anything to wonder at."""
    if b"websocket" in lower or b"\ntransfer-encoding" in lower or b"\n " in lower or b"\n\t" in lower:
        return UNCLEAR
    if lower.count(b"\n") != lower.count(b"\r\n"):  # it may end earlier than it seems
        return UNCLEAR
    at = lower.find(b"\ncontent-length")
    if at < 0:
        return NONE
    length = LENGTH(lower, at)
    if length is None or lower.find(b"\ncontent-length", at + 1) >= 0:
        return UNCLEAR
    return int(length[1])
