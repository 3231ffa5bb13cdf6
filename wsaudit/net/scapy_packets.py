"""A list of scapy packets as input: written as a pcap in memory, so that it goes the same way as every capture."""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack
from typing import Any

ETHERNET, RAW_IP = 1, 101


def as_pcap(packets: Iterable[Any]) -> bytes:
    """scapy packets (all with an Ethernet header, or all without) → the bytes of a pcap with nanosecond times."""
    from scapy.layers.l2 import Ether

    items = list(packets)
    linktype = ETHERNET if items and isinstance(items[0], Ether) else RAW_IP
    out = [pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, linktype)]
    for item in items:
        data = bytes(item)
        nanoseconds = int(item.time * 1_000_000_000)
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        out.append(pack("<IIII", seconds, rest, len(data), len(data)))
        out.append(data)
    return b"".join(out)
