"""Packets that come in bursts are decoded as if they came one by one."""

from __future__ import annotations

from typing import Any

import wire
from hypothesis import given
from hypothesis import strategies as st
from wire import ACK, FIN, PSH, RST, SYN

from tests.kernel.test_packets import CLIENT4, CLIENT6, GET, SERVER4, SERVER6, Listener
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.burst import Burst
from wsaudit.kernel.packets import Decoder
from wsaudit.kernel.records import SLACK, Interface, PcapngWalker, PcapWalker

COUNTERS = ("packets", "tcp_packets", "udp_packets", "other_packets", "cut_packets")


SEGMENTS = [
    wire.link(wire.tcp(*ends, 1, 1, PSH | ACK, GET[:size], options=b"\x01" * words), vlans=vlans)
    for ends in ((CLIENT4, SERVER4), (CLIENT6, SERVER6))
    for size in (0, len(GET))
    for words in (0, 12)
    for vlans in ((), (7,), (7, 8))
]
SEGMENTS.append(wire.link(wire.udp(CLIENT4, SERVER4, bytes(30))))
SEGMENTS.append(wire.link(wire.udp(CLIENT4, (SERVER4[0], 4789), bytes(30)), vlans=(7,)))
SEGMENTS += [wire.link(wire.tcp(CLIENT4, SERVER4, 1, 1, flags)) for flags in (SYN, SYN | ACK, FIN | ACK, RST)]
SEGMENTS.append(wire.link(wire.tcp(SERVER4, CLIENT4, 1, 1, PSH | ACK, b"HTTP/1.1 200 OK\r\n")))
OFFLOADED = [bytearray(segment) for segment in SEGMENTS if len(segment) > 100]  # no length in the IP header: as captured
for segment in OFFLOADED:
    ip = 14 + 4 * (segment[12] == 0x81)
    at = ip + (2 if segment[ip] == 0x45 else 4)
    segment[at : at + 2] = b"\0\0"
SEGMENTS += map(bytes, OFFLOADED)
mutated = st.tuples(
    st.sampled_from(SEGMENTS),
    st.lists(st.tuples(st.integers(0, 85), st.integers(0, 255)), max_size=2),
    st.integers(1, 200),
)


def packets_of(changed: list[tuple[bytes, list[tuple[int, int]], int]]) -> list[wire.Packet]:
    packets = []
    for number, (segment, changes, keep) in enumerate(changed):
        data = bytearray(segment)
        for place, value in changes:
            data[place % len(data)] = value
        packets.append(wire.Packet(wire.START + number, bytes(data[:keep] if keep < 100 else data)))
    return packets


@given(st.lists(mutated, max_size=100), st.sampled_from([1, 1, 1, 101, 113]), st.sampled_from([0, 0, 1, 2**31, 2**32 - 300]))
def test_as_if_they_came_one_by_one(changed: list[tuple[bytes, list[tuple[int, int]], int]], linktype: int, cut: int) -> None:
    packets = packets_of(changed)
    data = b"".join([packet.data for packet in packets])
    buffer = Buffer(bytearray(data))
    told = []
    for together in (False, True):
        listener = Listener()
        decoder = Decoder(listener)
        burst = Burst(decoder)
        pos = 0
        for number, packet in enumerate(packets):
            size = len(packet.data)
            time = packet.time if number else 0  # a clock that was never set
            if together:
                burst.add(buffer, pos, size, size + cut, time, number, linktype)
            else:
                decoder.packet(buffer, pos, size, size + cut, time, number, linktype)
            pos += size
        burst.flush(buffer)
        assert burst.count == 0
        decoder.finish()
        told.append((vars(listener), [getattr(decoder, name) for name in (*COUNTERS, "flows", "truncated", "blind")]))
    assert told[0] == told[1]


def walk(packets: list[wire.Packet], blocks: bool, shard: int, shards: int) -> tuple[Decoder, Listener]:
    """The packets as the walker of either format gives them to a decoder."""
    listener = Listener()
    decoder = Decoder(listener, shard, shards)
    if blocks:
        data = b"".join([wire.enhanced_packet(*packet) for packet in packets])
        walker: Any = PcapngWalker(0)
        walker.interfaces = [Interface(1, 0, 9, 0)]
    else:
        data = wire.pcap(packets, nanoseconds=True)[24:]
        walker = PcapWalker(False, True, 16, 1, 0)
    assert walker.walk(Buffer(bytearray(data + bytes(SLACK))), 0, len(data), 2**62, decoder) == len(data)
    decoder.finish()
    return decoder, listener


@given(
    st.lists(mutated, max_size=60),
    st.booleans(),
)
def test_shards_pass_over_what_is_not_theirs_and_count_it(
    changed: list[tuple[bytes, list[tuple[int, int]], int]], blocks: bool
) -> None:
    packets = packets_of(changed)
    alone, all_heard = walk(packets, blocks, 0, 1)
    assert alone.packets == len(packets)
    heard, flows = [], 0
    for shard in range(3):
        decoder, listener = walk(packets, blocks, shard, 3)
        assert [getattr(decoder, name) for name in COUNTERS] == [getattr(alone, name) for name in COUNTERS]
        assert listener.rare == all_heard.rare
        heard += listener.heard
        flows += decoder.flows
    assert (sorted(heard, key=repr), flows) == (sorted(all_heard.heard, key=repr), alone.flows)
