"""Plain HTTP/1.x exchanges (RFC 9112): a request that asks for no upgrade, its answer, the next request.

A capture of a web server is full of them, and nothing of them is in the report but how many there were and which paths were asked
for. Only heads at which there is nothing to wonder are taken here, whole in their segment and with bodies of a declared length;
everything else is left as it was for `HttpSide` (http/messages.py), which would have found the same.
"""

from __future__ import annotations

from typing import Any

from wsaudit.kernel import heads, numbers
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.constants import PYTHON, READER
from wsaudit.kernel.foreign import Foreign
from wsaudit.kernel.gets import Gets
from wsaudit.kernel.reader import Reader
from wsaudit.kernel.streams import Flow
from wsaudit.model import CLIENT, SERVER

GET, HEAD = b"GH"  # what these methods begin with, and no other that is taken here
PAGE = b"text/html"
NO_CONTENT, NOT_MODIFIED = 204, 304  # without a body, whatever they say (RFC 9110 §6.4.1)


class Exchanges(Foreign):
    """The exchanges of one connection. `asked`: the head of the request that waits for its answer, b"" if there is none, and
    `time`, `packet` of it; `requests`: how many there were; longer heads than `max_head` are left.

    `sink` gets `count_requests(number)`. Its `gets` (a `Gets`) get each answer to a GET, but for those which it has to look at
    itself in `plain_get(flow, client, request, status, time, packet)`: they may ask for a page.
    """

    __slots__ = ("asked", "max_head", "packet", "requests", "time")

    def __init__(self, flow: Flow, client: int, sink: Any, max_head: int) -> None:
        self.fill_with(flow, client, sink, max_head)

    def fill_with(self, flow: Flow, client: int, sink: Any, max_head: int) -> None:
        self.fill(flow, client, sink)
        self.max_head = max_head
        self.requests = 0
        self.asked = b""
        self.time = 0
        self.packet = 0

    def lend_with(self, data: bytes, time: int, packet: int) -> bool:
        """Take the flow, if these first bytes of its client are one whole request without an upgrade."""
        requests = reader_of(self, False, 0)
        if requests.feed(Buffer(data), 0, len(data), time, packet) < len(data):
            return False
        self.lend(requests, reader_of(self, True, 0))
        return True

    def lend_between(self, rests: tuple[int, int]) -> None:
        """Take the flow while no request waits. `rests`: bytes of client and server up to their next messages."""
        self.lend(reader_of(self, False, rests[CLIENT]), reader_of(self, True, rests[SERVER]))

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
            if self.asked.find(PAGE) < 0:
                gets: Gets = self.sink.gets
                gets.add(self.flow, self.client, self.asked, self.time, self.packet, status, time, packet)
            else:
                self.sink.plain_get(self.flow, self.client, (self.asked, self.time, self.packet), status, time, packet)
        except Exception as error:
            self.flow.owner.crashed(error)

    def end(self, ongoing: bool) -> None:
        self.take_back()


class HttpReader(Reader):
    """Takes the requests of a client or (`answers`) the answers of a server. `skip`: bytes of a body that are still to come."""

    __slots__ = ("answers", "exchanges", "skip")

    def __init__(self, exchanges: Exchanges, answers: bool, skip: int) -> None:
        self.fill(exchanges, answers, skip)

    def fill(self, exchanges: Exchanges, answers: bool, skip: int) -> None:
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
        stop = heads.stop_of(buffer, pos, end)
        size = stop - pos
        if not 0 < size <= exchanges.max_head or self.answers == (exchanges.asked == b""):
            return 0
        length = heads.body_length(buffer, pos, stop)
        if length == heads.UNCLEAR:
            return 0
        if self.answers:
            status = heads.status_of(buffer, pos, stop)
            method = exchanges.asked[0]
            if status == 0:
                return 0
            if status in (NO_CONTENT, NOT_MODIFIED) or method == HEAD:
                length = 0
            elif length == heads.NONE:  # up to the end of the connection
                return 0
            if method == GET:
                exchanges.answered(status, time, packet)
            exchanges.asked = b""
        else:
            if not heads.is_request(buffer, pos, stop):
                return 0
            exchanges.requests += 1
            exchanges.asked = numbers.copy(buffer, pos, size)
            exchanges.time = time
            exchanges.packet = packet
        self.skip = 0 if length == heads.NONE else length
        return size


def reader_of(exchanges: Exchanges, answers: bool, skip: int) -> HttpReader:
    reader = HttpReader.__new__(HttpReader)
    reader.fill(exchanges, answers, skip)
    return reader
