"""Short messages that come again and again: what an application's own heartbeat looks like ("2", {"type":"ping"}, a line feed).

Kept are three payloads a side, with how often and when they came. Nobody knows yet which of them is a heartbeat, so the places go
to what may become one: not what repeats faster than any heartbeat, and rather the shorter than the longer.
"""

from __future__ import annotations

from wsaudit.kernel import mode
from wsaudit.kernel.buffer import Buffer, zeros
from wsaudit.kernel.constants import SHORT, SLOWEST_TALK

SLOTS = 3
FASTEST = 500_000_000  # ns: no heartbeat beats faster
STALE = 120_000_000_000  # ns: what beats comes again within this time


class Beats:
    """Identical short payloads of one side. Made when the first such message comes; takes no Python object a message."""

    __slots__ = ("count", "first", "kind", "last", "longest", "offset", "packet", "sample", "used")

    def __init__(self) -> None:
        self.used = 0
        if not mode.COMPILED:  # compiled, these are C arrays and start as zeros
            self.kind = zeros(SLOTS)  # length << 8 | first header byte
            self.count = zeros(SLOTS)
            self.first = zeros(SLOTS)
            self.last = zeros(SLOTS)
            self.longest = zeros(SLOTS)  # interval
            self.packet = zeros(SLOTS)  # of the last one
            self.offset = zeros(SLOTS)
            self.sample = bytearray(SLOTS * SHORT)

    def take(self, buffer: Buffer, pos: int, length: int, b0: int, key: int, time: int, packet: int, offset: int) -> None:
        """A whole message, its payload at buffer[pos:pos + length] masked with `key`; `offset` is its frame's in the stream."""
        kind = length << 8 | b0
        for i in range(self.used):
            if self.kind[i] == kind and self.is_sample(i * SHORT, buffer, pos, length, key):
                interval = time - self.last[i]
                if interval > self.longest[i]:
                    self.longest[i] = interval
                self.count[i] += 1
                self.last[i] = time
                self.packet[i] = packet
                self.offset[i] = offset
                return
        i = self.free_slot(length, time)
        if i < 0:
            return
        self.keep_sample(i * SHORT, buffer, pos, length, key)
        self.kind[i] = kind
        self.count[i] = 1
        self.first[i] = time
        self.last[i] = time
        self.longest[i] = 0
        self.packet[i] = packet
        self.offset[i] = offset

    def free_slot(self, length: int, time: int) -> int:
        """Where a new payload may go, or -1: in place of one that repeats too fast, or else of the oldest that came once and is
        not shorter, or has had its time to come again."""
        if self.used < SLOTS:
            self.used += 1
            return self.used - 1
        found = -1
        for i in range(SLOTS):
            again = self.count[i] - 1
            if again and self.last[i] - self.first[i] < again * FASTEST:
                return i
            once = not again and self.kind[i] >> 8 >= length
            if (once or time - self.last[i] > STALE) and (found < 0 or self.last[i] < self.last[found]):
                found = i
        return found

    def is_sample(self, at: int, buffer: Buffer, pos: int, length: int, key: int) -> bool:
        """Is it the payload kept at `at`?"""
        for j in range(length):  # noqa: SIM110 - a C loop when compiled
            if self.sample[at + j] != buffer.b[pos + j] ^ ((key >> ((j & 3) << 3)) & 0xFF):
                return False
        return True

    def keep_sample(self, at: int, buffer: Buffer, pos: int, length: int, key: int) -> None:
        for j in range(length):
            self.sample[at + j] = buffer.b[pos + j] ^ ((key >> ((j & 3) << 3)) & 0xFF)

    def most(self) -> int:
        """How often the commonest of them came."""
        most = 0
        for i in range(self.used):
            if self.count[i] > most:
                most = self.count[i]
        return most

    def is_slow(self) -> bool:
        """Did any of them come again, and not faster than a heartbeat does?"""
        for i in range(self.used):
            again = self.count[i] - 1
            if again > 0 and self.last[i] - self.first[i] >= again * SLOWEST_TALK:
                return True
        return False

    def rows(self) -> list[tuple[bytes, int, int, int, int, int, int, int]]:
        """(payload, opcode, count, first time, last time, longest interval, last packet, last offset) of each payload kept."""
        rows = []
        for i in range(self.used):
            at = i * SHORT
            payload = bytes([self.sample[at + j] for j in range(self.kind[i] >> 8)])
            rows.append(
                (
                    payload,
                    self.kind[i] & 15,
                    self.count[i],
                    self.first[i],
                    self.last[i],
                    self.longest[i],
                    self.packet[i],
                    self.offset[i],
                )
            )
        return rows
