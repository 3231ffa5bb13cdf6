"""What the tests of the capture layer share: a sink that remembers, and the pcap and pcapng forms that `wire` has no use for."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import wire


class Seen(NamedTuple):
    data: bytes
    wirelen: int
    time: int
    ref: int
    linktype: int


class Recorder:
    """Remembers each packet it is given."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def packet(self, buffer: Any, pos: int, caplen: int, wirelen: int, time: int, ref: int, linktype: int) -> None:
        data = bytes(buffer.raw[pos : pos + caplen])
        assert len(data) == caplen
        self.seen.append(Seen(data, wirelen, time, ref, linktype))


PACKETS = [
    wire.Packet(wire.START + 1_000, b"one"),
    wire.Packet(wire.START + 2_000, b"the second"),
    wire.Packet(wire.START + 3_000, bytes(range(256))),
    wire.Packet(wire.START + wire.SECOND, b""),
]


def expected(packets: list[wire.Packet] = PACKETS, index: int = 0, linktype: int = 1) -> list[Seen]:
    """What a recorder must have seen of `packets`."""
    return [Seen(data, len(data), time, index << 40 | number, linktype) for number, (time, data) in enumerate(packets, 1)]


def modified_pcap(packets: list[wire.Packet], order: str = "<") -> bytes:
    """Kuznetzov's format: 24 bytes before each packet."""
    out = [struct.pack(order + "IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)]
    for time, data in packets:
        seconds, fraction = divmod(time, wire.SECOND)
        out += [struct.pack(order + "IIIIIHBB", seconds, fraction // 1000, len(data), len(data), 7, 8, 0, 0), data]
    return b"".join(out)


def simple_packet(data: bytes, *, length: int | None = None, order: str = "<") -> bytes:
    return wire.block(3, struct.pack(order + "I", len(data) if length is None else length) + data, order)


def obsolete_packet(ticks: int, data: bytes, *, interface: int = 0, drops: int = 0xFFFF, order: str = "<") -> bytes:
    fixed = struct.pack(order + "HHIIII", interface, drops, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return wire.block(2, fixed + data, order)


def statistics(interface: int, dropped: int, order: str = "<") -> bytes:
    options = wire.option(4, struct.pack(order + "Q", 1000), order) + wire.option(5, struct.pack(order + "Q", dropped), order)
    return wire.block(5, struct.pack(order + "III", interface, 0, 0) + options + wire.option(0, b"", order), order)
