"""Two parties without a capture, for tests of what their numbers mean."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from wire import C, S


class Listener:
    """Writes down the control frames that nobody else keeps."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, int, bytes | None, int]] = []

    def control(self, scanner: Any, opcode: int, payload: bytes | None, length: int) -> None:
        self.heard.append((scanner.side, opcode, payload, length))


def parties(kernel: SimpleNamespace) -> tuple[Any, Any]:
    """Client and server of one flow, in the given form of the kernel."""
    flow = kernel.streams.Flow(b"\n\0\0\1", 40000, b"\n\0\0\2", 80)
    client, server = (
        kernel.party.Party(side, stream, kernel.frames.Scanner(side, None)) for side, stream in ((C, flow.a), (S, flow.b))
    )
    return client, server


def feed(kernel: SimpleNamespace, party: Any, data: bytes, time: int = 7, packet: int = 9) -> None:
    """The next bytes that `party` sent."""
    party.frames.feed(kernel.buffer.Buffer(data), 0, len(data), time, packet)
