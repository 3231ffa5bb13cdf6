"""Recorded connections for the tests: a capture's TCP streams put in order the simplest way, and fed to a tunnel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dpkt

from wsaudit.tls.keylog import KeyStore
from wsaudit.tls.tunnel import Chunk, PlainGap, TlsTunnel


@dataclass(frozen=True)
class Limits:
    """The limit a tunnel reads."""

    tls_buffer: int = 1 << 20


@dataclass
class Flow:
    """One connection: its segments as (side, data, offset, time, packet), in capture order, without retransmissions."""

    client: tuple[bytes, int]
    segments: list[tuple[int, bytes, int, int, int]] = field(default_factory=list)
    starts: list[int | None] = field(default_factory=lambda: [None, None])
    ends: list[int] = field(default_factory=lambda: [0, 0])


def read_flows(path: Path) -> list[Flow]:
    """The TCP connections of a capture (the first sender is the client), in order of their first packet."""
    flows: dict[frozenset[tuple[bytes, int]], Flow] = {}
    for number, time, ip in _packets(path):
        tcp = ip.data
        if not isinstance(tcp, dpkt.tcp.TCP):
            continue
        source, target = (ip.src, tcp.sport), (ip.dst, tcp.dport)
        key = frozenset((source, target))
        fresh = tcp.flags & dpkt.tcp.TH_SYN and not tcp.flags & dpkt.tcp.TH_ACK
        if key not in flows or (fresh and flows[key].segments):
            flows[key] = Flow(source)
        flow = flows[key]
        side = int(source != flow.client)
        start = flow.starts[side]
        if tcp.flags & dpkt.tcp.TH_SYN:
            flow.starts[side] = tcp.seq + 1
            continue
        if start is None:
            flow.starts[side] = start = tcp.seq
        offset = (tcp.seq - start) & 0xFFFFFFFF
        if tcp.data and offset == flow.ends[side]:
            flow.segments.append((side, bytes(tcp.data), offset, time, number))
            flow.ends[side] += len(tcp.data)
    return list(flows.values())


def run(flow: Flow, keys: KeyStore, limits: Limits = Limits()) -> tuple[TlsTunnel, list[Chunk | PlainGap]]:
    """A tunnel after the whole flow, and all it gave."""
    tunnel = TlsTunnel(keys, limits)
    events: list[Chunk | PlainGap] = []
    for segment in flow.segments:
        events += tunnel.feed(*segment)
    return tunnel, events + tunnel.finish()


def plaintext(events: list[Chunk | PlainGap]) -> tuple[bytes, bytes]:
    """What each side said, holes left out."""
    return tuple(b"".join(e.data for e in events if isinstance(e, Chunk) and e.side == side) for side in (0, 1))  # type: ignore[return-value]


def _packets(path: Path) -> Iterator[tuple[int, int, Any]]:
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        reader: Any = dpkt.pcapng.Reader(file) if magic == b"\x0a\x0d\x0d\x0a" else dpkt.pcap.Reader(file)
        for number, (time, data) in enumerate(reader, 1):
            link = reader.datalink()
            if link == dpkt.pcap.DLT_EN10MB:
                ip = dpkt.ethernet.Ethernet(data).data
            elif link == dpkt.pcap.DLT_LINUX_SLL:
                ip = dpkt.sll.SLL(data).data
            elif link == 276:
                ip = dpkt.sll2.SLL2(data).data
            elif link == dpkt.pcap.DLT_NULL:
                ip = dpkt.loopback.Loopback(data).data
            else:
                ip = dpkt.ip.IP(data)
            if isinstance(ip, (dpkt.ip.IP, dpkt.ip6.IP6)):
                yield number, int(time * 1_000_000_000), ip
