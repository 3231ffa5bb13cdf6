"""Tunnels, tags and fragments: what is inside comes out; what is damaged is counted; our own faults are not taken for damage."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import wire
from wire import C, S

import wsaudit
from wsaudit.kernel.packets import Decoder
from wsaudit.net.fragments import MOST_HELD, Fragments
from wsaudit.net.link import ETHERNET, Unwrapper

TALK = wire.Conversation().open().upgrade().text(C, "hi").text(S, "hello").close(C, 1000).close(S, 1000).fin(S).fin(C)
MACS = bytes(12)


def outer(protocol: int, body: bytes, **how: Any) -> bytes:
    return MACS + b"\x08\x00" + wire.ip("192.0.2.1", "192.0.2.2", protocol, body, **how)


def udp(port: int, body: bytes) -> bytes:
    return MACS + b"\x08\x00" + wire.udp(("192.0.2.1", 5555), ("192.0.2.2", port), body)


WRAPPINGS = {
    "plain": lambda frame: frame,
    "qinq": lambda frame: frame[:12] + b"\x88\xa8\0\x05\x81\0\0\x06" + frame[12:],
    "mpls": lambda frame: frame[:12] + b"\x88\x47\0\x01\0\x40\0\x02\x01\x40" + frame[14:],
    "mpls ethernet": lambda frame: MACS + b"\x88\x47\0\x01\x01\x40" + bytes(4) + frame,
    "pppoe": lambda frame: MACS + b"\x88\x64\x11\0\0\x01" + struct.pack(">H", len(frame) - 12) + b"\0\x21" + frame[14:],
    "ip in ip": lambda frame: outer(4, frame[14:]),
    "gre": lambda frame: outer(47, b"\0\0\x08\0" + frame[14:]),
    "gre with key": lambda frame: outer(47, b"\x20\0\x08\0\0\0\0\x09" + frame[14:]),
    "gre ethernet": lambda frame: outer(47, b"\0\0\x65\x58" + frame),
    "gre ppp": lambda frame: outer(47, b"\x20\x01\x88\x0b\0\0\0\x01\xff\x03\0\x21" + frame[14:]),
    "erspan 1": lambda frame: outer(47, b"\0\0\x88\xbe" + frame),
    "erspan 2": lambda frame: outer(47, b"\x10\0\x88\xbe\0\0\0\x01" + bytes(8) + frame),
    "erspan 3": lambda frame: outer(47, b"\x10\0\x22\xeb\0\0\0\x01" + bytes(12) + frame),
    "vxlan": lambda frame: udp(4789, b"\x08\0\0\0\0\0\x07\0" + frame),
    "geneve": lambda frame: udp(6081, b"\0\0\x65\x58\0\0\x07\0" + frame),
}


def audited(frames: list[bytes]) -> dict[str, Any]:
    packets = [wire.Packet(packet.time, frame) for packet, frame in zip(TALK.packets, frames, strict=True)]
    report: dict[str, Any] = wsaudit.audit(wire.pcap(packets)).to_dict()
    return report


@pytest.mark.parametrize("how", WRAPPINGS)
def test_wrapped_is_read_as_plain(how: str) -> None:
    plain = audited([packet.data for packet in TALK.packets])
    wrapped = audited([WRAPPINGS[how](packet.data) for packet in TALK.packets])
    assert wrapped["connections"] == plain["connections"]
    assert wrapped["notices"] == []


def test_fragments_are_joined() -> None:
    packets: list[wire.Packet] = []
    for number, packet in enumerate(TALK.packets):
        body = packet.data[34:]
        cut = len(body) // 16 * 8
        source, target = "10.0.0.1", "10.0.0.2"
        if packet.data[26:30] == bytes((10, 0, 0, 2)):
            source, target = target, source
        pieces = [(0x2000, body[:cut]), (cut // 8, body[cut:])]
        for field, piece in reversed(pieces):
            fragment = MACS + b"\x08\x00" + wire.ip(source, target, 6, piece, ident=number, fragment=field)
            packets.append(wire.Packet(packet.time, fragment))
    report = wsaudit.audit(wire.pcap(packets)).to_dict()
    plain = audited([packet.data for packet in TALK.packets])
    for row, expected in zip(report["connections"], plain["connections"], strict=True):
        assert (row["messages"], row["termination"]["cause"]) == (expected["messages"], expected["termination"]["cause"])


def test_an_incomplete_packet_is_told() -> None:
    first = MACS + b"\x08\x00" + wire.ip("10.0.0.1", "10.0.0.2", 6, bytes(64), ident=7, fragment=0x2000)
    report = wsaudit.audit(wire.pcap([wire.Packet(wire.START, first)])).to_dict()
    assert [notice["text"] for notice in report["notices"]] == [
        "1 IP packets of which not all fragments were captured were left out"
    ]


def test_overlapping_fragments_hold_a_bounded_amount() -> None:
    fragments = Fragments()
    for ident in range(64):
        for offset in range(64):
            fragments.version4(wire.ip("10.0.0.1", "10.0.0.2", 17, bytes(60_000), ident=ident, fragment=0x2000 | offset))
    assert fragments.held <= MOST_HELD
    assert fragments.held == sum(len(part) for pieces in fragments.waiting.values() for part in pieces.parts.values())
    assert fragments.dropped > 0


class FaultyListener:
    """The owner of each flow, which fails as a fault of ours would."""

    def __init__(self) -> None:
        self.unwrapper = Unwrapper(Decoder(self))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unwrapper, name)

    def open(self, flow: Any) -> Any:
        return self

    def data(self, *arguments: Any) -> None:
        raise ZeroDivisionError


def test_our_own_fault_does_not_pass_for_damage() -> None:
    listener = FaultyListener()
    request = next(packet.data for packet in TALK.packets if b"GET" in packet.data)
    with pytest.raises(ZeroDivisionError):
        listener.packet(WRAPPINGS["mpls"](request), ETHERNET, wire.START, 1)
    assert (listener.unwrapper.failed, listener.unwrapper.depth) == (0, 0)


@pytest.mark.parametrize("how", [name for name in WRAPPINGS if name != "plain"])
def test_damage_is_counted_and_nothing_else(how: str) -> None:
    listener = FaultyListener()
    whole = WRAPPINGS[how](TALK.packets[0].data)
    for size in range(14, len(whole)):
        listener.packet(whole[:size], ETHERNET, wire.START, 1)
        if whole[12:14] == b"\x08\x00" and size >= 34:
            listener.network(whole[14:size], 4, wire.START, 1)
    assert listener.unwrapper.depth == 0
