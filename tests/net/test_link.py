"""Tunnels, tags, extension headers, radio frames: the connection inside is found, under the outer packets' numbers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
import wire
from wire import C, S

import wsaudit

Wrap = Callable[[bytes, int], bytes]  # an IP packet and its side → a captured packet

OUTER = ("192.0.2.1", "192.0.2.2")
OUTER6 = ("2001:db8::1", "2001:db8::2")


def conversation(v6: bool = False) -> wire.Conversation:
    ends = {"client": ("fd00::1", 40000), "server": ("fd00::2", 80)} if v6 else {}
    talk = wire.Conversation(kind="raw", **ends).open().upgrade("/inside").text(C, "hi").ping(S, b"1").pong(C, b"1")
    return talk.text(S, "x" * 300).close(C, 1000, "bye").close(S, 1000, "bye").fin(S).fin(C)


def wrapped(wrap: Wrap, linktype: int = 1, v6: bool = False) -> bytes:
    """The conversation wrapped packet by packet, with some other packet before each."""
    other = wire.link(wire.udp(("10.9.9.9", 5353), ("10.9.9.8", 53), b"dns"))
    packets = []
    for packet in conversation(v6).packets:
        side = C if b"\x9c\x40\x00\x50" in packet.data[:44] else S
        if linktype == 1:
            packets.append(wire.Packet(packet.time - 1000, other))
        packets.append(wire.Packet(packet.time, wrap(packet.data, side)))
    return wire.pcap(packets, linktype=linktype)


def expect_inside(capture: bytes, step: int = 2, first: int = 2) -> dict[str, Any]:
    """The audit of a wrapped capture: the connection as it is outside of tunnels, with the outer packets' numbers."""
    document = wsaudit.audit(capture).to_dict()
    [row] = document["connections"]
    assert row["handshake"]["target"] == "/inside"
    assert (row["close"]["client"]["code"], row["close"]["server"]["code"]) == (1000, 1000)
    assert row["frames"]["client"]["text"] == row["frames"]["server"]["text"] == 1
    count = len(conversation().packets)
    assert (row["first_packet"], row["last_packet"]) == (first, first + step * (count - 1))
    assert row["close"]["client"]["packet"] == first + step * 9
    assert row["evidence"]["complete"]
    assert document["notices"] == []
    return row


def ethernet(ip: bytes, side: int) -> bytes:
    return wire.link(ip, side=side)


def typed(kind: int, body: bytes) -> bytes:
    return bytes(12) + struct.pack(">H", kind) + body


def gre(protocol: int, body: bytes, options: bytes = b"", flags: int = 0) -> bytes:
    return wire.link(wire.ip(*OUTER, 47, struct.pack(">HH", flags, protocol) + options + body))


def mpls(*labels: int) -> bytes:
    return b"".join(struct.pack(">I", label << 12 | (i == len(labels) - 1) << 8 | 64) for i, label in enumerate(labels))


def vxlan(ip: bytes, side: int) -> bytes:
    return b"\x08\0\0\0\0\0\x07\0" + ethernet(ip, side)


def geneve(ip: bytes, side: int, options: bytes = b"") -> bytes:
    return struct.pack(">BBHI", len(options) // 4, 0, 0x6558, 7 << 8) + options + ethernet(ip, side)


def qinq(ip: bytes, side: int) -> bytes:
    frame = ethernet(ip, side)
    return frame[:12] + struct.pack(">HHHH", 0x88A8, 5, 0x8100, 6) + frame[12:]


def in_udp(port: int, body: bytes, outer: tuple[str, str] = OUTER) -> bytes:
    return wire.link(wire.udp((outer[0], 50000), (outer[1], port), body))


WRAPS: dict[str, Wrap] = {
    "mpls": lambda ip, side: typed(0x8847, mpls(16) + ip),
    "mpls, three labels": lambda ip, side: typed(0x8847, mpls(16, 17, 18) + ip),
    "mpls multicast": lambda ip, side: typed(0x8848, mpls(16) + ip),
    "mpls pseudowire": lambda ip, side: typed(0x8847, mpls(16) + bytes(4) + ethernet(ip, side)),
    "vlan, mpls": lambda ip, side: bytes(12) + struct.pack(">HHH", 0x8100, 5, 0x8847) + mpls(16) + ip,
    "pppoe": lambda ip, side: typed(
        0x8864, struct.pack(">BBHHH", 0x11, 0, 1, len(ip) + 2, 0x57 if ip[0] >> 4 == 6 else 0x21) + ip
    ),
    "qinq, pppoe": lambda ip, side: (
        bytes(12)
        + struct.pack(">HHHHH", 0x88A8, 5, 0x8100, 6, 0x8864)
        + struct.pack(">BBHHH", 0x11, 0, 1, len(ip) + 2, 0x57 if ip[0] >> 4 == 6 else 0x21)
        + ip
    ),
    "gre": lambda ip, side: gre(0x86DD if ip[0] >> 4 == 6 else 0x800, ip),
    "gre with checksum, key and sequence": lambda ip, side: gre(0x86DD if ip[0] >> 4 == 6 else 0x800, ip, bytes(12), 0xB000),
    "gre ethernet": lambda ip, side: gre(0x6558, qinq(ip, side)),
    "gre, ppp": lambda ip, side: gre(0x880B, b"\xff\x03" + (b"\0\x57" if ip[0] >> 4 == 6 else b"\0\x21") + ip, bytes(8), 0x3001),
    "erspan I": lambda ip, side: gre(0x88BE, ethernet(ip, side)),
    "erspan II": lambda ip, side: gre(0x88BE, b"\x10\0\0\0\0\0\0\0" + ethernet(ip, side), bytes(4), 0x1000),
    "erspan III": lambda ip, side: gre(0x22EB, b"\x20" + bytes(11) + ethernet(ip, side), bytes(4), 0x1000),
    "erspan III with its subheader": lambda ip, side: gre(
        0x22EB, b"\x20" + bytes(10) + b"\x01" + bytes(8) + ethernet(ip, side), bytes(4), 0x1000
    ),
    "ip in ip": lambda ip, side: wire.link(wire.ip(*OUTER, 41 if ip[0] >> 4 == 6 else 4, ip)),
    "ip in ipv6": lambda ip, side: wire.link(wire.ip(*OUTER6, 41 if ip[0] >> 4 == 6 else 4, ip)),
    "vxlan": lambda ip, side: in_udp(4789, vxlan(ip, side)),
    "vxlan on its old port": lambda ip, side: in_udp(8472, vxlan(ip, side)),
    "vxlan over ipv6": lambda ip, side: in_udp(4789, vxlan(ip, side), OUTER6),
    "vxlan, qinq": lambda ip, side: in_udp(4789, b"\x08\0\0\0\0\0\x07\0" + qinq(ip, side)),
    "geneve": lambda ip, side: in_udp(6081, geneve(ip, side)),
    "geneve with options": lambda ip, side: in_udp(6081, geneve(ip, side, struct.pack(">HBBI", 0x0102, 3, 1, 9))),
    "geneve, ip": lambda ip, side: in_udp(6081, struct.pack(">BBHI", 0, 0, 0x86DD if ip[0] >> 4 == 6 else 0x800, 7 << 8) + ip),
    "ip options, gre": lambda ip, side: wire.link(
        wire.ip(*OUTER, 47, b"\0\0" + (b"\x86\xdd" if ip[0] >> 4 == 6 else b"\x08\0") + ip, options=b"\x01" * 8)
    ),
    "gre in gre": lambda ip, side: gre(
        0x800, wire.ip("10.1.1.1", "10.1.1.2", 47, b"\0\0" + (b"\x86\xdd" if ip[0] >> 4 == 6 else b"\x08\0") + ip)
    ),
    "ipv6 extensions, vxlan": lambda ip, side: wire.link(
        wire.ip(*OUTER6, 60, b"\x11\0" + bytes(6) + wire.udp(("10.0.0.1", 5), ("10.0.0.2", 4789), vxlan(ip, side))[20:])
    ),
}


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
@pytest.mark.parametrize("name", list(WRAPS))
def test_wrappings(name: str, v6: bool) -> None:
    expect_inside(wrapped(WRAPS[name], v6=v6))


@pytest.mark.parametrize("name", ["mpls", "pppoe"])
@pytest.mark.parametrize("linktype", [113, 276])
def test_wrappings_in_linux_cooked_captures(name: str, linktype: int) -> None:
    def cooked(ip: bytes, side: int) -> bytes:
        frame = WRAPS[name](ip, side)
        kind, body = frame[12:14], frame[14:]
        if linktype == 113:
            return struct.pack(">HHH", 0, 1, 6) + bytes(8) + kind + body
        return kind + bytes(18) + body

    expect_inside(wrapped(cooked, linktype), step=1, first=1)


EXTENSIONS = {
    "hop by hop": lambda inner: (0, inner.to_bytes(1, "big") + b"\0" + bytes(6)),
    "destination": lambda inner: (60, inner.to_bytes(1, "big") + b"\x01" + bytes(14)),
    "routing": lambda inner: (43, inner.to_bytes(1, "big") + b"\x02" + bytes(22)),
    "authentication": lambda inner: (51, inner.to_bytes(1, "big") + b"\x04" + bytes(22)),
}


@pytest.mark.parametrize("names", [*([name] for name in EXTENSIONS), list(EXTENSIONS), list(EXTENSIONS)[::-1]])
def test_ipv6_extension_headers(names: list[str]) -> None:
    def extended(ip: bytes, side: int) -> bytes:
        protocol, body = ip[6], ip[40:]
        for name in names:
            protocol, header = EXTENSIONS[name](protocol)
            body = header + body
        return wire.link(ip[:4] + struct.pack(">H", len(body)) + bytes((protocol,)) + ip[7:40] + body)

    expect_inside(wrapped(extended, v6=True))


def test_an_unknown_extension_header_is_no_traceback() -> None:
    capture = wrapped(lambda ip, side: wire.link(wire.ip(*OUTER6, 253, bytes(8) + ip)))
    assert wsaudit.audit(capture).to_dict()["connections"] == []


# -- 802.11 --------------------------------------------------------------------------------------------------------------


def dot11(ip: bytes, side: int, subtype: int = 0x08) -> bytes:
    """A data frame (QoS: subtype 0x88) with LLC and SNAP."""
    quality = b"\0\0" if subtype == 0x88 else b""
    snap = b"\xaa\xaa\x03\0\0\0" + (b"\x86\xdd" if ip[0] >> 4 == 6 else b"\x08\0")
    return bytes((subtype, 1)) + b"\0\0" + bytes(18) + b"\x10\0" + quality + snap + ip


@pytest.mark.parametrize("subtype", [0x08, 0x88])
@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("linktype", [105, 127])
def test_radio_frames(linktype: int, v6: bool, subtype: int) -> None:
    radiotap = b"\0\0\x08\0\0\0\0\0" if linktype == 127 else b""
    expect_inside(wrapped(lambda ip, side: radiotap + dot11(ip, side, subtype), linktype, v6), step=1, first=1)


# -- limits and damage ---------------------------------------------------------------------------------------------------


def test_tunnels_in_tunnels_end_somewhere() -> None:
    def deep(ip: bytes, side: int) -> bytes:
        for _ in range(50):
            ip = wire.ip(*OUTER, 4, ip)
        return wire.link(ip)

    assert wsaudit.audit(wrapped(deep)).to_dict()["connections"] == []


@pytest.mark.parametrize("name", list(WRAPS))
def test_wrappings_cut_anywhere(name: str) -> None:
    """Each wrapping of one packet, cut at every byte, before a whole connection in the same wrapping: that one is found."""
    whole = conversation().packets
    packets = []
    frame = WRAPS[name](whole[0].data, C)
    for keep in range(len(frame)):
        packets.append(wire.Packet(wire.START - 1000, frame[:keep]))
    packets += [wire.Packet(packet.time, WRAPS[name](packet.data, C)) for packet in whole]
    document = wsaudit.audit(wire.pcap(packets)).to_dict()
    assert [row["handshake"]["target"] for row in document["connections"] if row["handshake"]["outcome"] == "accepted"] == [
        "/inside"
    ]


def test_what_is_not_looked_into_is_said() -> None:
    packets = [wire.Packet(wire.START, typed(0x88CC, bytes(60)))] * 3
    notices = [notice["text"] for notice in wsaudit.audit(wire.pcap(packets)).notices]
    assert notices == ["3 packets with Ethernet type 0x88cc were not looked into"]
    notices = [notice["text"] for notice in wsaudit.audit(wire.pcap(packets, linktype=220)).notices]
    assert notices == ["3 packets with link type 220 were not looked into"]
