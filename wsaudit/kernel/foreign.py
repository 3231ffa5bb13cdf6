"""A flow that is no WebSocket as far as one can tell by now: its owner looks for what would change that, and counts the rest."""

from __future__ import annotations

from typing import Any

from wsaudit.kernel.constants import DROP
from wsaudit.kernel.streams import Flow, Owner, Stream


class Foreign(Owner):
    """The owner whom the kernel calls, as it calls a `Pipeline`. `client`: 0 if that is the flow's side a, 1 for b; `sink` gets
    `unusual(foreign)`, which returns who takes over, and `internal_error(flow, error)`."""

    __slots__ = ("client", "flow", "given_up", "sink")

    def __init__(self, flow: Flow, client: int, sink: Any) -> None:
        self.fill(flow, client, sink)

    def fill(self, flow: Flow, client: int, sink: Any) -> None:
        self.flow = flow
        self.client = client
        self.sink = sink
        self.given_up = False  # a bug in us showed

    def data(self, stream: Stream, data: bytes, offset: int, time: int, packet: int) -> None:
        """What comes next of one side is for somebody else."""
        self.hand_over().data(stream, data, offset, time, packet)

    def gap(self, stream: Stream, offset: int, length: int, time: int, packet: int) -> None:
        """Bytes of one side were lost."""
        self.hand_over().gap(stream, offset, length, time, packet)

    def icmp(self, time: int, packet: int, words: str) -> None:
        """What a router or host said of it is of no interest."""

    def finish(self, flow: Flow, ongoing: bool) -> None:
        """The flow is over; `ongoing`: because the capture is."""
        if self.given_up:
            return
        try:
            self.end(ongoing)
        except Exception as error:
            self.crashed(error)

    def end(self, ongoing: bool) -> None:
        """Tell the sink what is to be said of the flow."""

    def crashed(self, error: Exception) -> None:
        """A bug in us: this connection is given up, as pipeline.py does."""
        if self.given_up:
            return
        self.given_up = True
        for stream in (self.flow.a, self.flow.b):
            stream.mode = DROP
            stream.skip = -1
        self.sink.internal_error(self.flow, error)

    def hand_over(self) -> Any:
        """This needs a closer look: who looks at the flow from now on."""
        owner = self.sink.unusual(self)
        self.flow.owner = owner
        return owner
