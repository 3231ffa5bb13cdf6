"""The Pings and Pongs of one endpoint, paired (RFC 6455 §5.5.2, §5.5.3).

Heartbeats are most of the control frames of long connections, so the frame scanner hands them over here without a call into
Python. Nothing is judged.
"""

from __future__ import annotations

from typing import Any

from wsaudit.kernel import acyclic
from wsaudit.kernel.constants import OUTSTANDING, RTTS
from wsaudit.model import Place

NOTHING: Any = ()  # lists are made when there is something to put in


class Ping:
    """One Ping that waits. `payload` None: some of its bytes were lost."""

    __slots__ = ("offset", "packet", "payload", "time")

    def fill(self, payload: bytes | None, packet: int, time: int, offset: int) -> None:
        """Apart from making it, so that the kernel's numbers need not become objects in between."""
        self.payload = payload
        self.packet = packet
        self.time = time
        self.offset = offset

    @property
    def place(self) -> Place:
        return Place(self.packet, self.time, self.offset)


class Pings:
    """What one endpoint sent of them. Times and durations in ns; a place is None until there is one."""

    __slots__ = (
        "answered",
        "duplicate_pongs",
        "first_duplicate",
        "first_late",
        "first_ping_offset",
        "first_ping_packet",
        "first_ping_time",
        "first_unsolicited",
        "interval_max",
        "interval_sum",
        "intervals",
        "last_answered",
        "last_ping_time",
        "last_pong_time",
        "late_pongs",
        "mismatched",
        "overflow",
        "ping_after_close",
        "pings",
        "pongs",
        "rtt_count",
        "rtts",
        "slowest_offset",
        "slowest_packet",
        "slowest_pong",
        "slowest_time",
        "superseded",
        "unsolicited",
        "waiting",
    )

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.pings = 0
        self.pongs = 0
        # NOTHING until there is something to be put in.
        self.waiting: list[Ping] = NOTHING  # Pings of this side without an answer yet, oldest first
        self.overflow = 0  # waiting Pings dropped for memory
        self.answered = 0
        self.rtts: list[int] = NOTHING  # how long Pings of this side waited: the last RTTS of them
        self.rtt_count = 0
        self.unsolicited = 0  # Pongs of this side that answer no Ping
        self.first_unsolicited: Place | None = None
        self.mismatched: Place | None = None  # first Pong of this side, sent while a Ping waited, whose body matches none
        self.duplicate_pongs = 0
        self.late_pongs = 0  # Pongs of this side for an older Ping after a newer one was answered
        self.superseded: list[bytes | None] | None = None  # bodies of its Pings that the answer to a newer one settled
        self.slowest_pong = 0  # the longest that a Ping waited for this side's answer
        self.slowest_packet = 0  # of that answer
        self.slowest_time = 0
        self.slowest_offset = 0
        self.first_duplicate: Place | None = None
        self.first_late: Place | None = None
        self.last_answered: bytes | None = None
        self.first_ping_packet = 0
        self.first_ping_time = 0
        self.first_ping_offset = 0
        self.last_ping_time = 0
        self.last_pong_time = 0
        self.intervals = 0
        self.interval_sum = 0
        self.interval_max = 0
        self.ping_after_close: Place | None = None

    @property
    def slowest_place(self) -> Place | None:
        """Of the Pong that was waited for longest."""
        return Place(self.slowest_packet, self.slowest_time, self.slowest_offset) if self.slowest_pong else None

    @property
    def first_ping(self) -> Place | None:
        return Place(self.first_ping_packet, self.first_ping_time, self.first_ping_offset) if self.pings else None

    def ping(self, payload: bytes | None, packet: int, time: int, offset: int, closed: bool) -> None:
        """This side sent a Ping; `closed`: after its own Close."""
        self.pings += 1
        if self.pings == 1:
            self.first_ping_packet = packet
            self.first_ping_time = time
            self.first_ping_offset = offset
        elif time > self.last_ping_time:
            interval = time - self.last_ping_time
            self.intervals += 1
            self.interval_sum += interval
            if interval > self.interval_max:
                self.interval_max = interval
        self.last_ping_time = time
        if closed and self.ping_after_close is None:
            self.ping_after_close = Place(packet, time, offset)
        if self.waiting is NOTHING:
            self.waiting = []
            acyclic.untrack(self.waiting)
        waiting = self.waiting
        if len(waiting) >= OUTSTANDING:
            del waiting[0]
            self.overflow += 1
        ping: Ping = Ping.__new__(Ping)
        ping.fill(payload, packet, time, offset)
        waiting.append(ping)

    def pong(self, asker: Pings, payload: bytes | None, packet: int, time: int, offset: int) -> None:
        """This side sent a Pong: pair it with the newest Ping of that body that `asker` sent. An answer to a later Ping answers
        the earlier ones too (RFC 6455 §5.5.3)."""
        self.pongs += 1
        self.last_pong_time = time
        waiting = asker.waiting or []
        i = len(waiting) - 1
        while i >= 0:
            ping = waiting[i]
            if payload is None or ping.payload is None or ping.payload == payload:
                self.answer(asker, ping, i, packet, time, offset)
                return
            i -= 1
        if waiting and self.mismatched is None:
            self.mismatched = Place(packet, time, offset)
        if payload is not None and payload == self.last_answered:
            self.duplicate_pongs += 1
            self.first_duplicate = self.first_duplicate or Place(packet, time, offset)
        elif payload is not None and asker.superseded is not None and payload in asker.superseded:
            self.late_pongs += 1
            self.first_late = self.first_late or Place(packet, time, offset)
            asker.superseded.remove(payload)
        else:
            self.unsolicited += 1
            if self.first_unsolicited is None:
                self.first_unsolicited = Place(packet, time, offset)

    def answer(self, asker: Pings, ping: Ping, i: int, packet: int, time: int, offset: int) -> None:
        """This side's Pong answers `ping`, number `i` of those that `asker` waits for."""
        rtt = time - ping.time
        if rtt >= 0:
            if rtt > self.slowest_pong:
                self.slowest_pong = rtt
                self.slowest_packet = packet
                self.slowest_time = time
                self.slowest_offset = offset
            asker.rtt_count += 1
            if asker.rtts is NOTHING:
                asker.rtts = []
                acyclic.untrack(asker.rtts)
            rtts = asker.rtts
            if len(rtts) < RTTS:
                rtts.append(rtt)
            else:
                rtts[asker.rtt_count % RTTS] = rtt
        asker.answered += i + 1
        self.last_answered = ping.payload
        waiting = asker.waiting
        if i:
            settled = [each.payload for each in waiting[:i]]
            asker.superseded = [*(asker.superseded or ()), *settled][-OUTSTANDING:]
        del waiting[: i + 1]
