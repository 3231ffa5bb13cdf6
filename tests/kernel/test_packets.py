"""Link, IP and TCP headers → flows: each link type, odd lengths, the table of flows, shards, memory."""

from __future__ import annotations

import itertools
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st
from wire import ACK, FIN, PSH, RST, SYN, C, S

from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.packets import Decoder, is_compiled

MS = 1_000_000
GET = wire.request()


class Listener:
    """Writes down what a decoder tells; is the owner of every flow."""

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self.heard: list[tuple[Any, ...]] = []  # side's port, data, packet
        self.rare: list[tuple[Any, ...]] = []
        self.failed: list[tuple[Any, ...]] = []
        self.ignored: list[tuple[int, int]] = []
        self.over: list[tuple[int, bool]] = []

    def open(self, flow: Any) -> Listener:
        self.opened.append((flow.address_a, flow.port_a, flow.address_b, flow.port_b))
        return self

    def data(self, stream: Any, data: bytes, offset: int, time: int, packet: int) -> None:
        flow = stream.flow
        self.heard.append((flow.port_a if stream is flow.a else flow.port_b, data, packet))

    def gap(self, stream: Any, offset: int, length: int, time: int, packet: int) -> None:
        self.heard.append((0, offset, length))

    def finish(self, flow: Any, ongoing: bool) -> None:
        self.over.append((flow.port_a, ongoing))

    def packet(self, data: bytes, linktype: int, time: int, packet: int) -> None:
        self.rare.append(("packet", linktype, packet))

    def network(self, data: bytes, version: int, time: int, packet: int) -> None:
        self.rare.append(("network", version, packet))

    def icmp(self, data: bytes, version: int, time: int, packet: int) -> None:
        self.rare.append(("icmp", version, packet))

    def connect_failed(self, *given: Any) -> None:
        self.failed.append(given)

    def ignored_flow(self, port_a: int, port_b: int) -> None:
        self.ignored.append((port_a, port_b))


def decode(packets: list[wire.Packet], linktype: int = 1, **how: Any) -> tuple[Decoder, Listener]:
    listener = Listener()
    decoder = Decoder(listener, **how)
    for number, (time, data) in enumerate(packets, 1):
        give(decoder, data, time, number, linktype)
    return decoder, listener


def give(decoder: Decoder, data: bytes, time: int = 0, number: int = 1, linktype: int = 1, wirelen: int = 0) -> None:
    before = number % 7
    decoder.packet(Buffer(bytes(before) + data), before, len(data), wirelen or len(data), time, number, linktype)


CLIENT4, SERVER4 = ("10.0.0.1", 40000), ("10.0.0.2", 80)
CLIENT6, SERVER6 = ("fd00::1", 40000), ("fd00::2", 80)


# -- link types ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(wire.LINK_TYPES))
@pytest.mark.parametrize("ends", [(CLIENT4, SERVER4), (CLIENT6, SERVER6)])
@pytest.mark.parametrize("vlans", [(), (7,), (7, 8)])
def test_link_types(kind: str, ends: Any, vlans: tuple[int, ...]) -> None:
    if vlans and (kind not in ("ethernet", "sll") or (kind == "sll" and len(vlans) > 1)):
        pytest.skip("no tags there")
    talk = wire.Conversation(*ends, kind=kind, vlans=vlans).open().send(C, GET).send(S, b"HTTP/1.1 404 x\r\n\r\n")
    decoder, listener = decode(talk.packets, wire.LINK_TYPES[kind])
    assert [(port, data) for port, data, _ in listener.heard] == [(40000, GET), (80, b"HTTP/1.1 404 x\r\n\r\n")]
    assert (decoder.packets, decoder.tcp_packets, decoder.cut_packets) == (5, 5, 0)


@pytest.mark.parametrize("family", [b"\0\0\0\2", b"\2\0\0\0", b"\0\0\0\x1e", b"\x18\0\0\0", b"\0\0\0\x1c"])
@pytest.mark.parametrize("linktype", [0, 108])
def test_loopback_families_in_either_byte_order(family: bytes, linktype: int) -> None:
    packet = wire.tcp(CLIENT4, SERVER4, 1, 1, PSH | ACK, GET)
    _, listener = decode([wire.Packet(0, family + packet)], linktype)
    assert [data for _, data, _ in listener.heard] == [GET]


def test_ppp_without_its_address_field() -> None:
    packet = wire.tcp(CLIENT6, SERVER6, 1, 1, PSH | ACK, GET)
    _, listener = decode([wire.Packet(0, b"\x00\x57" + packet)], 9)
    assert [data for _, data, _ in listener.heard] == [GET]


@pytest.mark.parametrize("tag", [0x8100, 0x88A8, 0x9100])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_vlan_tags(tag: int, depth: int) -> None:
    packet = wire.link(wire.tcp(CLIENT4, SERVER4, 1, 1, PSH | ACK, GET))
    tagged = packet[:12] + struct.pack(">HH", tag, 5) * depth + packet[12:]
    _, listener = decode([wire.Packet(0, tagged)])
    assert [data for _, data, _ in listener.heard] == [GET]


def test_what_is_left_to_others() -> None:
    ether = bytes(12)
    icmp = wire.ip("10.0.0.1", "10.0.0.2", 1, bytes(8))
    gre = wire.ip("10.0.0.1", "10.0.0.2", 47, bytes(8))
    fragment = wire.ip("10.0.0.1", "10.0.0.2", 6, bytes(32), fragment=0x2000)
    vxlan = wire.udp(("10.0.0.1", 1), ("10.0.0.2", 4789), bytes(20))
    extension = wire.ip("fd00::1", "fd00::2", 0, bytes(32))
    frames = [
        ether + b"\x88\x47" + bytes(40),
        *(wire.link(packet) for packet in (icmp, gre, fragment, vxlan, extension)),
    ]
    _, listener = decode([wire.Packet(0, frame) for frame in frames])
    assert listener.rare == [
        ("packet", 1, 1),
        ("icmp", 4, 2),
        ("network", 4, 3),
        ("network", 4, 4),
        ("network", 4, 5),
        ("network", 6, 6),
    ]
    _, listener = decode([wire.Packet(0, bytes(60))], 127)
    assert listener.rare == [("packet", 127, 1)]


def test_what_is_only_counted() -> None:
    ether = bytes(12)
    dns = wire.link(wire.udp(("10.0.0.1", 5353), ("10.0.0.2", 53), bytes(20)))
    decoder, listener = decode(
        [wire.Packet(0, each) for each in (ether + b"\x08\x06" + bytes(28), ether + b"\0\x26" + bytes(38), dns)]
    )
    assert listener.rare == []
    assert (decoder.packets, decoder.other_packets, decoder.udp_packets, decoder.tcp_packets) == (3, 2, 1, 0)


@pytest.mark.parametrize("kind", list(wire.LINK_TYPES))
@pytest.mark.parametrize("ends", [(CLIENT4, SERVER4), (CLIENT6, SERVER6)])
def test_packets_cut_anywhere(kind: str, ends: Any) -> None:
    """A capture cut at every length: nothing raises, and no byte beyond the cut is read."""
    whole = wire.link(wire.tcp(*ends, 1, 1, PSH | ACK, GET), kind)
    for keep in range(len(whole)):
        listener = Listener()
        decoder = Decoder(listener)
        give(decoder, whole[:keep], wirelen=len(whole), linktype=wire.LINK_TYPES[kind])
        decoder.finish()
        captured = max(0, keep - len(whole) + len(GET))
        assert b"".join(data for port, data, _ in listener.heard if port) == GET[:captured]


# -- IP and TCP ----------------------------------------------------------------------------------------------------------


def test_ipv4_options() -> None:
    segment = wire.tcp(CLIENT4, SERVER4, 1, 1, PSH | ACK, GET)[20:]
    for words in range(11):
        packet = wire.ip("10.0.0.1", "10.0.0.2", 6, segment, options=b"\x01" * 4 * words)
        _, listener = decode([wire.Packet(0, wire.link(packet))])
        assert [data for _, data, _ in listener.heard] == [GET]


def test_tcp_options() -> None:
    for size in range(0, 41, 4):
        packet = wire.tcp(CLIENT4, SERVER4, 1, 1, PSH | ACK, GET, options=b"\x01" * size)
        _, listener = decode([wire.Packet(0, wire.link(packet))])
        assert [data for _, data, _ in listener.heard] == [GET]


@pytest.mark.parametrize(("ends", "at"), [((CLIENT4, SERVER4), 16), ((CLIENT6, SERVER6), 18)])
def test_a_total_length_of_0_means_as_captured(ends: Any, at: int) -> None:
    """Segmentation offload (TSO): the packet is larger than its header can say."""
    body = GET + bytes(70000)
    packet = wire.link(wire.tcp(*ends, 1, 1, PSH | ACK, body)) if at == 16 else None
    if packet is None:
        packet = wire.link(b"\x60\0\0\0\0\0\x06\x40" + wire.tcp(*ends, 1, 1, PSH | ACK, GET)[8:60] + body)
    packet = packet[:at] + b"\0\0" + packet[at + 2 :]
    _, listener = decode([wire.Packet(0, packet)])
    assert [data for _, data, _ in listener.heard] == [body]


def test_ethernet_padding_is_not_data() -> None:
    packet = wire.link(wire.tcp(CLIENT4, SERVER4, 1, 1, PSH | ACK, b"GET ")) + bytes(20)
    _, listener = decode([wire.Packet(0, packet)])
    assert [data for _, data, _ in listener.heard] == [b"GET "]


ODD = [b"get / HTTP/1.1", b"Get / HTTP/1.1", b"FETCH / HTTP/1.1", b"fetch / HTTP/1.1", b"TRACk / HTTP/1.1", b"dance /x HTTP/2.0"]


@pytest.mark.parametrize("line", ODD)
def test_a_request_with_an_odd_method_is_followed(line: bytes) -> None:
    talk = wire.Conversation().open().send(C, line + b"\r\nHost: a\r\n\r\n")
    assert decode(talk.packets)[1].heard


@pytest.mark.parametrize("data", [b"hello there", b"Getting on", b"Deleted", b"trace me\r\n", b"x" * 1400 + b" HTTP/1.1\r\n"])
def test_other_words_are_no_methods(data: bytes) -> None:
    listener = decode(wire.Conversation().open().send(C, data).packets)[1]
    assert not listener.heard
    assert listener.ignored


def cut_to(talk: wire.Conversation, size: int, only: int | None = None, **how: Any) -> int:
    """How many flows are blind when each packet (or only number `only`) is cut to `size` bytes."""
    decoder = Decoder(Listener(), **how)
    for number, (time, data) in enumerate(talk.packets, 1):
        kept = data[:size] if only in (None, number) else data
        give(decoder, kept, time, number, wirelen=len(data))
    return decoder.blind


@pytest.mark.parametrize("end", ["fin", "rst", "none"])
def test_flows_of_which_only_headers_were_captured_are_counted(end: str) -> None:
    talk = wire.Conversation().open().send(C, GET).send(S, GET).ack(C).send(C, GET)
    talk = talk.fin(S).fin(C) if end == "fin" else talk.rst(S) if end == "rst" else talk
    assert cut_to(talk, 54) == 1
    assert cut_to(talk, 58) == 0
    assert cut_to(talk, 54, ports=(81,)) == 0
    assert cut_to(wire.Conversation().open().ack(C).fin(S).fin(C), 54) == 0
    del talk.packets[:3]
    assert cut_to(talk, 54) == 1
    assert cut_to(talk, 54, midstream=False) == 0


@pytest.mark.parametrize("later", [GET, b"SSH-2.0-x"])
def test_a_flow_that_shows_what_it_is_later_is_not_blind(later: bytes) -> None:
    talk = wire.Conversation().open().send(C, GET).send(S, later).send(C, later)
    assert cut_to(talk, 54, only=4) == 0


def test_a_snaplen_leaves_a_gap() -> None:
    talk = wire.Conversation().open().send(C, GET).send(C, b"more")
    listener = Listener()
    decoder = Decoder(listener)
    for number, (time, data) in enumerate(talk.packets, 1):
        give(decoder, data[:96], time, number, wirelen=len(data))
    kept = 96 - 54
    assert listener.heard == [(40000, GET[:kept], 4), (0, kept, len(GET) - kept), (40000, b"more", 5)]
    assert decoder.truncated == 1


@pytest.mark.parametrize(
    "change",
    [
        (14, 0x44),  # IPv4 header length of 16
        (14, 0x75),  # IP version 7
        (46, 0x40),  # TCP header length of 16
        (46, 0xF0),  # ... longer than the packet says
        (17, 39),  # total length shorter than the headers
    ],
)
def test_damaged_headers_are_counted(change: tuple[int, int]) -> None:
    at, value = change
    packet = bytearray(wire.link(wire.tcp(CLIENT4, SERVER4, 1, 1, PSH | ACK, b"GET ")))
    packet[at] = value
    if at == 17:
        packet[16] = 0
    decoder, listener = decode([wire.Packet(0, bytes(packet))])
    assert (decoder.cut_packets, listener.heard) == (1, [])


# -- which flows are followed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "followed"),
    [
        (GET, True),
        (b"G", True),
        (b"POST /", True),
        (b"HTTP/1.1 101", True),
        (b"\x16\x03\x01", True),
        (b"\x16\x04", False),
        (b"SSH-2.0", False),
        (b"GOPHER", False),
        (b"\x81\x00", False),
        (b"\x17\x03\x03", False),
        (b"\r\n", True),
        (b"\r\n" + GET, True),  # RFC 9112 §2.2
        (b"\r\n\r\nSSH-2.0", False),
    ],
)
def test_first_bytes_behind_a_syn(first: bytes, followed: bool) -> None:
    _, listener = decode(wire.Conversation().open().send(C, first).packets)
    assert bool(listener.opened) == followed
    assert listener.ignored == ([] if followed else [(40000, 80)])


@pytest.mark.parametrize("first", [b"\x81\x05hello", b"\x01", b"\x89\x00", b"\x17\x03\x03", b"\xc2\x7e"])
def test_first_bytes_without_a_syn(first: bytes) -> None:
    packets = wire.Conversation().send(S, first).packets
    assert decode(packets)[1].opened
    assert first[0] == 0x17 or not decode(packets, midstream=False)[1].opened


def test_only_some_ports() -> None:
    talks = [wire.Conversation(server=("10.0.0.2", port)).open().send(C, GET) for port in (80, 8080, 443)]
    _, listener = decode(wire.merge(*talks), ports=(8080, 443))
    assert {port for *_, port in listener.opened} == {8080, 443}
    assert listener.ignored == [(40000, 80)]


def test_both_ends_may_have_one_address() -> None:
    talk = wire.Conversation(("127.0.0.1", 5000), ("127.0.0.1", 5000)).open().send(C, GET)
    decode(talk.packets)  # even one address and one port: whatever it means, nothing raises
    talk = wire.Conversation(("127.0.0.1", 5000), ("127.0.0.1", 80)).open().send(C, GET).send(S, b"HTTP/1.1 200 OK\r\n\r\n")
    _, listener = decode(talk.packets)
    assert [port for port, _, _ in listener.heard] == [5000, 80]


@pytest.mark.parametrize(("how", "flags"), [("rst", RST | ACK), ("silent", None)])
def test_a_connect_that_failed(how: str, flags: int | None) -> None:
    talk = wire.Conversation().segment(C, flags=SYN)
    if flags:
        talk.segment(S, flags=flags)
    decoder, listener = decode(talk.packets)
    decoder.finish()
    [failed] = listener.failed
    assert failed[:5] == (b"\x0a\0\0\1", 40000, b"\x0a\0\0\2", 80, how)
    assert failed[6] == 1


def test_a_port_that_is_used_again() -> None:
    first = wire.Conversation().open().send(C, GET).fin(C).fin(S)
    again = wire.Conversation(isn=(900_000, 800_000), start=first.time + MS).open().send(C, GET)
    decoder, listener = decode(first.packets + again.packets)
    decoder.finish()
    assert listener.over == [(40000, False), (40000, True)]
    assert [data for _, data, _ in listener.heard] == [GET, GET]


def test_a_port_that_is_used_again_without_an_end() -> None:
    first = wire.Conversation().open().send(C, GET)
    again = wire.Conversation(isn=(900_000, 800_000), start=first.time + MS).open().send(C, GET)
    decoder, listener = decode(first.packets + again.packets)
    decoder.finish()
    assert listener.over == [(40000, False), (40000, True)]


def test_late_packets_belong_to_the_flow_that_ended() -> None:
    talk = wire.Conversation().open().send(C, GET).fin(C).fin(S).rst(C).wait(1).rst(C)
    decoder, listener = decode(talk.packets)
    decoder.finish()
    assert listener.over == [(40000, False)]


def test_the_same_syn_again_changes_nothing() -> None:
    talk = wire.Conversation()
    talk.segment(C, flags=SYN).repeat(2)._advance(C, 1)
    talk.segment(S, flags=SYN | ACK).repeat()._advance(S, 1)
    talk.ack(C).send(C, GET)
    talk.packets.append(talk.packets[0])
    talk.packets.append(talk.packets[3])
    talk.send(C, b"x")
    decoder, listener = decode(talk.packets)
    decoder.finish()
    assert [data for port, data, _ in listener.heard] == [GET, b"x"]
    assert listener.over == [(40000, True)]


def test_a_syn_ack_that_comes_late() -> None:
    talk = wire.Conversation().segment(C, flags=SYN)._advance(C, 1)._advance(S, 1)
    talk.ack(C).send(C, GET)
    talk.segment(S, flags=SYN | ACK, seq=2000).send(S, b"HTTP/1.1 200 OK\r\n\r\n")
    decoder, listener = decode(talk.packets)
    decoder.finish()
    assert [port for port, _, _ in listener.heard] == [40000, 80]
    assert listener.over == [(40000, True)]


@pytest.mark.parametrize("side", [C, S])
def test_a_syn_that_only_the_slower_of_two_capture_points_has(side: int) -> None:
    talk = wire.Conversation().open().send(C, GET).send(S, b"HTTP/1.1 101").ack(C)
    late = talk.packets.pop(side)
    talk.packets.append(late)
    talk.send(C, b"x")
    decoder, listener = decode(talk.packets)
    decoder.finish()
    assert [data for port, data, _ in listener.heard if port == 40000] == [GET, b"x"]
    assert listener.over == [(40000, True)]


# -- the table -----------------------------------------------------------------------------------------------------------


def lookup(decoder: Decoder, a: tuple[bytes, int], b: tuple[bytes, int]) -> Any:
    return decoder.lookup(a[0], a[1], b[0], b[1])


def packed(number: int, wide: bool) -> bytes:
    return number.to_bytes(16 if wide else 4, "big")


def quick_tcp(a: tuple[bytes, int], b: tuple[bytes, int], seq: int, flags: int, payload: bytes) -> bytes:
    """An Ethernet packet without checksums: a hundred thousand are wanted."""
    segment = struct.pack(">HHIIBBHHH", a[1], b[1], seq, 1, 0x50, flags, 1000, 0, 0) + payload
    if len(a[0]) == 4:
        header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0)
        return bytes(12) + b"\x08\0" + header + a[0] + b[0] + segment
    return bytes(12) + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, len(segment), 6, 64) + a[0] + b[0] + segment


def test_the_table_grows_to_100_000_flows() -> None:
    listener = Listener()
    decoder = Decoder(listener, seed=12345)
    server = (packed(0x0A000001, False), 80)
    for i in range(100_000):
        give(
            decoder,
            quick_tcp((packed(i, False), 1024 + i % 60_000), server, 1, PSH | ACK, b"GET /" if i % 10 == 0 else b"SSH-"),
            i,
            i,
        )
    assert decoder.flows == 10_000
    for i in range(0, 100_000, 7):
        flow = lookup(decoder, (packed(i, False), 1024 + i % 60_000), server)
        assert (flow is not None) == (i % 10 == 0)
        assert flow is None or flow.address_a == packed(i, False)


ENDS = [(packed(n, False), p) for n, p in itertools.product((1, 2, 3), (80, 81))] + [(packed(1, True), 80), (packed(2, True), 80)]
steps = st.lists(
    st.tuples(
        st.sampled_from(ENDS),
        st.sampled_from(ENDS),
        st.sampled_from(["data", "rst", "fin", "syn", "other"]),
    ).filter(lambda step: len(step[0][0]) == len(step[1][0]) and step[0] != step[1]),
    max_size=60,
)


@given(steps=steps, seed=st.integers(0, 2**63 - 1))
def test_the_table_is_a_dictionary(steps: list[Any], seed: int) -> None:
    """Flows come and go in few slots: what is found is what a dictionary would have."""
    listener = Listener()
    decoder = Decoder(listener, seed=seed, midstream=False)  # so that one packet tells what is ignored
    model: dict[frozenset[tuple[bytes, int]], str] = {}
    fins: dict[frozenset[tuple[bytes, int]], set[tuple[bytes, int]]] = {}
    syns: dict[frozenset[tuple[bytes, int]], tuple[bytes, int]] = {}
    time = 0
    for number, (a, b, what) in enumerate(steps, 1):
        time += 10**10
        key = frozenset((a, b))
        flags = {"data": PSH | ACK, "rst": RST, "fin": FIN | ACK, "syn": SYN, "other": PSH | ACK}[what]
        data = b"GET /" if what == "data" else b"SSH-2.0 x" if what == "other" else b""
        give(decoder, quick_tcp(a, b, number * 1000, flags, data), time, number)
        known = model.get(key)
        if known == "ended":  # ten seconds ago: this packet begins something else
            model.pop(key)
            fins.pop(key, None)
            syns.pop(key, None)
            known = None
        if what == "data" and known is None:
            model[key] = "open"
        elif what == "rst" and known == "open":
            model[key] = "ended"
        elif what == "rst":
            model.pop(key, None)
            syns.pop(key, None)
        elif what == "fin" and known == "open":
            fins.setdefault(key, set()).add(a)
            if len(fins[key]) == 2:
                model[key] = "ended"
        elif what == "syn":
            fins.pop(key, None)
            model.pop(key, None)
            syns[key] = a
        elif what == "other" and known is None:
            model[key] = "open" if syns.get(key) == a else "ignored"  # not the byte behind the SYN: the first may be late
        for x, y in itertools.permutations(ENDS, 2):
            state = model.get(frozenset((x, y)))
            if state in ("open", None) and len(x[0]) == len(y[0]):
                assert (lookup(decoder, x, y) is not None) == (state == "open"), (number, x, y)
    decoder.finish()
    assert len(listener.over) == len(listener.opened)
    assert not any(lookup(decoder, x, y) for x, y in itertools.permutations(ENDS, 2) if len(x[0]) == len(y[0]))


def hash_of(seed: int, key: tuple[int, int, int]) -> int:
    """Of two addresses and the ports, as the compiled kernel has it."""
    h = seed
    for word in struct.unpack("<3I", struct.pack(">3I", *key)):
        h = ((h ^ word) * 0x9E3779B97F4A7C15) & (2**64 - 1)
        h ^= h >> 29
    return h >> 7 & 0x7FFFFFFF


def test_flows_that_collide_without_a_seed_do_not_with_another() -> None:
    """Thousands of flows in one chain of slots would make every packet slow; nobody knows the seed of a process."""
    keys = [(address, 0x0A000002, 40000 << 16 | 80) for address in range(200_000)]
    colliding = [key for key in keys if hash_of(0, key) & 1023 == 0]
    assert len(colliding) > 100
    spread = {hash_of(random.Random(1).getrandbits(63), key) & 1023 for key in colliding}
    assert len(spread) > len(colliding) // 2
    listener = Listener()
    decoder = Decoder(listener, seed=0)
    for address, server, ports in colliding:
        give(decoder, quick_tcp((packed(address, False), ports >> 16), (packed(server, False), 80), 1, PSH | ACK, b"GET /"))
    for address, server, ports in colliding:
        assert lookup(decoder, (packed(address, False), ports >> 16), (packed(server, False), 80)) is not None
    for address, server, ports in colliding[::2]:
        give(decoder, quick_tcp((packed(address, False), ports >> 16), (packed(server, False), 80), 6, SYN, b""))
    found = [lookup(decoder, (packed(a, False), p >> 16), (packed(s, False), 80)) is not None for a, s, p in colliding]
    assert found == [i % 2 == 1 for i in range(len(colliding))]


def test_flows_with_the_same_hash_are_told_apart() -> None:
    """A slot has 31 bits of a hash: among many keys some share them."""
    addresses: dict[int, list[int]] = {}
    for address in range(200_000):
        addresses.setdefault(hash_of(0, (address, 0x0A000002, 40000 << 16 | 80)), []).append(address)
    twins = [each for each in addresses.values() if len(each) > 1]
    assert twins
    server = (packed(0x0A000002, False), 80)
    decoder = Decoder(Listener(), seed=0)
    for one, other in ((each[0], each[1]) for each in twins):
        ends = [(packed(address, False), 40000) for address in (one, other)]
        for end in ends:
            give(decoder, quick_tcp(end, server, 1, PSH | ACK, b"GET /"))
        flows = [lookup(decoder, end, server) for end in ends]
        assert [flow is not None and flow.address_a for flow in flows] == [end[0] for end in ends]
        give(decoder, quick_tcp(ends[0], server, 6, SYN, b""))
        assert [lookup(decoder, end, server) is not None for end in ends] == [False, True]


def test_a_full_table_forgets_the_idle() -> None:
    listener = Listener()
    decoder = Decoder(listener, max_flows=100)
    server = (packed(9, False), 80)
    give(decoder, quick_tcp((packed(1, False), 1), server, 1, PSH | ACK, b"GET /"))
    for i in range(1000):
        give(decoder, quick_tcp((packed(2, False), 2 + i), server, 1, SYN, b""), i, i)
    assert decoder.live <= 100
    assert decoder.evicted > 800
    assert lookup(decoder, (packed(1, False), 1), server) is not None


@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_flow_that_makes_room_for_itself_is_the_right_one(before: int) -> None:
    """Making room looks at other keys and may not take the entry of the flow it is made for."""
    decoder = Decoder(Listener(), max_flows=4)
    server = (packed(9, False), 80)
    for i in range(before):
        give(decoder, quick_tcp((packed(3, False), 7 + i), server, 1, SYN, b""), 5, i)
    for i in range(30):
        client = (packed(2, False), 100 + i)
        give(decoder, quick_tcp(client, server, 1, PSH | ACK, b"GET /"), 5, 10 + i)
        flow = lookup(decoder, client, server)
        assert flow is not None
        assert (flow.port_a, flow.entry_a != flow.entry_b) == (100 + i, True)
        assert lookup(decoder, server, client) is flow
        assert decoder.live <= 4


def test_a_table_full_of_followed_flows_ends_the_oldest() -> None:
    listener = Listener()
    decoder = Decoder(listener, max_flows=10)
    server = (packed(9, False), 80)
    for i in range(20):
        give(decoder, quick_tcp((packed(1, False), 1 + i), server, 1, PSH | ACK, b"GET /"), i, i)
    assert decoder.live <= 10
    assert listener.over[0] == (1, True)  # followed no longer, which is not its end


# -- shards --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_each_flow_falls_to_one_shard_with_both_directions(shards: int) -> None:
    talks = [
        wire.Conversation((f"10.0.{i}.1", 40000 + i), server, start=wire.START + i)
        .open()
        .send(C, GET)
        .send(S, b"HTTP/1.1 200 OK\r\n\r\n")
        for i in range(60)
        for server in (SERVER4,)
    ]
    talks += [wire.Conversation(("fd00::1", 4000 + i), SERVER6).open().send(C, GET).send(S, b"HTTP/1.1 2") for i in range(60)]
    packets = wire.merge(*talks)
    heard = []
    for shard in range(shards):
        decoder, listener = decode(packets, shard=shard, shards=shards)
        assert decoder.tcp_packets == len(packets)
        assert 120 / shards / 3 < decoder.flows < 120 / shards * 3
        heard += listener.heard
    assert sorted(heard) == sorted(decode(packets)[1].heard)


# -- memory --------------------------------------------------------------------------------------------------------------

FLOOD = """
import struct
from wsaudit.engine import Pass
from wsaudit.kernel.buffer import Buffer
from wsaudit.options import Options
from wsaudit.tls.keylog import KeyStore
decoder = Pass(Options(), KeyStore()).decoder
head = bytes(12) + b"\\x08\\0" + struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0)
tail = struct.pack(">IIBBHHH", 1, 0, 0x50, 2, 1000, 0, 0)
for i in range(1_000_000):
    data = head + struct.pack(">IIHH", i, 0x0A000001, i & 0xFFFF, 80) + tail
    decoder.packet(Buffer(data), 0, len(data), len(data), i * 1000, i + 1, 1)
decoder.finish()
with open("/proc/self/status") as status:
    peak = next(line for line in status if line.startswith("VmHWM:"))
print(int(peak.split()[1]) // 1024, decoder.live)
"""


def test_a_million_half_open_flows_fit_in_256_mib() -> None:
    if not is_compiled():
        pytest.skip("a process of its own runs the compiled kernel")
    if not Path("/proc/self/status").exists():
        pytest.skip("VmHWM needs Linux: getrusage's peak would be that of the process that started this one")
    run = subprocess.run([sys.executable, "-c", FLOOD], capture_output=True, text=True, check=True)
    mebibytes, live = map(int, run.stdout.split())
    assert live >= 1_000_000
    assert mebibytes <= 256


def test_a_port_that_talks_to_itself_is_not_followed() -> None:
    """Nobody could tell who sent what, and both directions would be one entry of the table."""
    listener = Listener()
    decoder = Decoder(listener)
    end = (packed(1, False), 80)
    for number in range(3):
        give(decoder, quick_tcp(end, end, 1 + number * len(GET), PSH | ACK, GET), number, number)
    decoder.finish()
    assert (listener.opened, decoder.flows) == ([], 0)
