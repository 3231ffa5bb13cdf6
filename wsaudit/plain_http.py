"""HTTP exchanges that have nothing to do with WebSockets: lending a flow to the kernel while it has nothing else, and taking it
back (kernel/exchanges.py follows them).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from wsaudit.guard import guarded
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.constants import PYTHON, READER
from wsaudit.kernel.exchanges import Exchanges, HttpReader
from wsaudit.kernel.streams import Flow, Stream
from wsaudit.model import CLIENT, SERVER

Sent = tuple[bytes, int, int]  # a head, its time and packet


class Counter(Protocol):
    """Who is told of exchanges: how many requests there were, and each answer to a GET."""

    def count_requests(self, number: int) -> None: ...
    def plain_get(self, flow: Flow, client: int, request: Sent, status: int, time: int, packet: int) -> None: ...


class PlainHttp:
    """The exchanges of a flow whose client is its side `client`, 0 or 1. `max_head`: longer heads are not for the kernel;
    `crashed` gets what a bug here raises."""

    __slots__ = ("client", "counter", "crashed", "exchanges", "flow", "max_head")

    def __init__(self, flow: Flow, client: int, counter: Counter, max_head: int, crashed: Callable[[Exception], None]) -> None:
        self.flow = flow
        self.client = client
        self.counter = counter
        self.crashed = crashed
        self.max_head = max_head
        self.exchanges: Exchanges | None = None  # while they are lent

    def lend_with(self, data: bytes, time: int, packet: int) -> bool:
        """Lend the flow to the kernel, if these first bytes of its client are one whole request without an upgrade."""
        exchanges = Exchanges(self, self.max_head)
        requests = HttpReader(exchanges, False, 0)
        if requests.feed(Buffer(data), 0, len(data), time, packet) < len(data):
            return False
        self.lend(exchanges, requests, HttpReader(exchanges, True, 0))
        return True

    def lend_between(self, rests: tuple[int, int]) -> None:
        """Lend the flow to the kernel while no request waits. `rests`: bytes of client and server up to their next messages."""
        exchanges = Exchanges(self, self.max_head)
        self.lend(exchanges, HttpReader(exchanges, False, rests[CLIENT]), HttpReader(exchanges, True, rests[SERVER]))

    def lend(self, exchanges: Exchanges, requests: HttpReader, answers: HttpReader) -> None:
        self.exchanges = exchanges
        client, server = self.streams()
        client.reader = requests
        server.reader = answers
        client.mode = server.mode = READER

    def take_back(self) -> tuple[Sent | None, tuple[int, int]]:
        """The request that waits for its answer, and the bytes of client and server up to their next messages."""
        exchanges, self.exchanges = self.exchanges, None
        if exchanges is None:
            return None, (0, 0)
        self.counter.count_requests(exchanges.requests)
        client, server = self.streams()
        rests = client.reader.skip, server.reader.skip
        for stream in (client, server):
            stream.reader = None
            stream.mode = PYTHON
        return (exchanges.asked, exchanges.time, exchanges.packet) if exchanges.asked else None, rests

    @guarded
    def answered(self, status: int, time: int, packet: int) -> None:
        """The kernel saw the answer to a GET."""
        exchanges = self.exchanges
        if exchanges is not None:
            asked = exchanges.asked, exchanges.time, exchanges.packet
            self.counter.plain_get(self.flow, self.client, asked, status, time, packet)

    def streams(self) -> tuple[Stream, Stream]:
        """Client's and server's."""
        flow = self.flow
        return (flow.b, flow.a) if self.client else (flow.a, flow.b)
