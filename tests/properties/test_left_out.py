"""A packet that the capture missed makes the answers less certain, never wrong: nobody is accused by it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import dpkt
import pytest
import wire

import wsaudit

SAMPLES = Path(__file__).resolve().parents[2] / "sample_pcaps"
NAMES = (
    "close-codes-by-server.pcap",
    "close-unanswered.pcap",
    "crossing-closes.pcap",
    "killed-server.pcap",
    "proxy-read-timeout.pcap",
    "refused.pcap",
    "reset-by-server.pcap",
    "unmasked-client.pcap",
)
MOST = 16  # of the first and of the last packets of each connection
LESS_SURE = ("unknown", "ongoing")  # classes that say less than the truth


def packets_of(path: Path) -> list[wire.Packet]:
    with path.open("rb") as stream:
        return [wire.Packet(round(time * 1e6) * 1000, data) for time, data in dpkt.pcap.Reader(stream)]


def by_connection(packets: list[wire.Packet]) -> list[list[int]]:
    """The positions of each connection's packets."""
    places: dict[frozenset[Any], list[int]] = defaultdict(list)
    for i, (_, data) in enumerate(packets):
        packet = dpkt.ethernet.Ethernet(data).data
        places[frozenset(((packet.src, packet.data.sport), (packet.dst, packet.data.dport)))].append(i)
    return list(places.values())


def answers(packets: list[wire.Packet]) -> dict[Any, Any]:
    """By the client's port: class and sides' codes, and who is accused of what."""
    found = wsaudit.audit(wire.pcap(packets)).to_dict()
    accused: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for each in found["findings"]:
        if each["verdict"] == "violation":
            accused[each["connection"]].add((each["rule"], each["at_fault"]))
    return {row["client"]["port"]: (row["termination"], row["reported"], accused[row["id"]]) for row in found["connections"]}


@pytest.mark.parametrize("name", NAMES)
def test_a_packet_left_out(name: str) -> None:
    packets = packets_of(SAMPLES / name)
    places = by_connection(packets)
    truth = answers(packets)
    longest = max(map(len, places))
    for k in (*range(min(longest, MOST)), *range(-min(longest, MOST), 0)):
        missed = {each[k] for each in places if -len(each) <= k < len(each)}
        told = answers([packet for i, packet in enumerate(packets) if i not in missed])
        assert told.keys() <= truth.keys()
        for port, (end, reported, accused) in told.items():
            true_end, true_reported, guilty = truth[port]
            assert accused <= guilty, (port, k)
            if end["class"] not in LESS_SURE:
                assert end["class"] == true_end["class"], (port, k)
                assert end["by"] in (true_end["by"], None), (port, k)
            for side in ("client", "server"):
                if reported[side]["certain"] and reported[side]["code"] is not None and end["class"] not in LESS_SURE:
                    assert reported[side]["code"] == true_reported[side]["code"], (port, k, side)
