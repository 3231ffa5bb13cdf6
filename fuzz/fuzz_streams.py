"""TCP segments → in-order bytes.

Invariant: whatever segments come in whatever order, a side's owner gets every offset once and in order, as data or as a gap, and
the data are the bytes that were sent there.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from fuzz import corpus
from fuzz.mutation import mutate_bytes
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.streams import Flow

ACK = 0x10
FLAGS = (ACK, ACK, ACK, ACK, ACK | 1, ACK | 8, 0, 4)
PATTERN = bytes(i * 7 & 0xFF for i in range(256)) * 300
RECORD = 6
FAR = 1 << 20


class Owner:
    """Takes a flow's data and gaps and holds them to the invariant."""

    def __init__(self, flow: Flow) -> None:
        self.streams = (flow.a, flow.b)
        self.reached = [0, 0]

    def data(self, stream: Any, data: bytes, offset: int, time: int, packet: int) -> None:
        side = int(stream is self.streams[1])
        assert offset == self.reached[side]
        assert data
        start = offset & 0xFF
        assert data == PATTERN[start : start + len(data)]
        self.reached[side] += len(data)

    def gap(self, stream: Any, offset: int, length: int, time: int, packet: int) -> None:
        side = int(stream is self.streams[1])
        assert offset == self.reached[side]
        assert length > 0
        self.reached[side] += length


def one_input(data: bytes) -> None:
    """The first byte chooses where sequence numbers start and how much is held; then records of 6 bytes, a segment each: side and
    flags, length, cut-off bytes, sequence number and acknowledgement around what would be next."""
    flow = Flow(b"\x7f\0\0\1", 1, b"\x7f\0\0\1", 2)
    owner = flow.owner = Owner(flow)
    flow.buffer_limit = 3000 if data[:1] > b"\x80" else 1 << 20
    origin = (data[0] << 25) - 700 & 0xFFFFFFFF if data else 0
    for stream in owner.streams:
        stream.start(origin)
    sent = [0, 0]
    for number, at in enumerate(range(1, len(data) - RECORD + 1, RECORD), 1):
        first, size, lost, seq_step, ack_step, scale = data[at : at + RECORD]
        side = first & 1
        length = size << (scale & 3)
        offset = max(0, sent[side] + (seq_step - 128) * (1, 1, 40, 1460)[scale >> 2 & 3])
        acked = max(0, sent[1 - side] + (ack_step - 128) * (0, 1, 40, 1460)[scale >> 4 & 3])
        start = offset & 0xFF
        buffer = Buffer(PATTERN[start : start + length])
        owner.streams[side].segment(
            *(buffer, 0, length, lost if scale & 0xC0 == 0xC0 else 0, origin + offset & 0xFFFFFFFF, origin + acked & 0xFFFFFFFF),
            *(FLAGS[first >> 1 & 7], 100, 64, number, number * 1_000_000, number),
        )
        if seq_step >= 100:
            sent[side] = max(sent[side], offset + length)
    for stream in owner.streams:
        stream.flush(1)
        assert stream.pending is None
        assert stream.pending_bytes == 0
    assert [stream.offset - stream.fin_taken for stream in owner.streams] == owner.reached


def mutate(random: Random, data: bytes) -> bytes:
    """Segments anew from here on, or other bytes."""
    made = bytearray(data)
    for _ in range(random.randrange(1, 40)):
        near = 128 + random.choice((0, 0, 0, 0, 1, -1, 3, -3, 20, -20))
        segment = (random.randrange(256) & 0x11, random.randrange(40), 3, near, 128 - random.randrange(4), random.randrange(256))
        made += bytes(segment)
    return mutate_bytes(random, bytes(made)) if random.random() < 0.5 else bytes(made)


def seeds(folders: tuple[Path, ...]) -> list[bytes]:
    return [
        bytes((i,)) + bytes((0, 20, 0, 128, 128, 1, 1, 30, 0, 128, 128, 0)) * i for i in (0, 1, 64, 129, 255)
    ] + corpus.or_one([])
