"""IP fragments in any order → the packet they were (RFC 791 §3.2, RFC 8200 §4.5)."""

from __future__ import annotations

import itertools
import random
import struct

import pytest
import wire
from wire import C, S

import wsaudit
from wsaudit.net.fragments import MOST_PACKETS, Fragments


def pieces4(packet: bytes, size: int, ident: int = 7) -> list[bytes]:
    """An IPv4 packet in fragments of `size` payload bytes."""
    body = packet[20:]
    made = []
    for at in range(0, len(body), size):
        piece = body[at : at + size]
        more = 0x2000 if at + size < len(body) else 0
        made.append(packet[:2] + struct.pack(">HHH", 20 + len(piece), ident, more | at >> 3) + packet[8:20] + piece)
    return made


def pieces6(packet: bytes, size: int, ident: int = 7) -> list[bytes]:
    body = packet[40:]
    made = []
    for at in range(0, len(body), size):
        piece = body[at : at + size]
        header = struct.pack(">BBHI", packet[6], 0, at | (at + size < len(body)), ident)
        made.append(packet[:4] + struct.pack(">HB", 8 + len(piece), 44) + packet[7:40] + header + piece)
    return made


def give(fragments: Fragments, piece: bytes) -> bytes | None:
    return fragments.version4(piece) if piece[0] >> 4 == 4 else fragments.version6(piece, 40)


PACKET4 = wire.tcp(("10.0.0.1", 1), ("10.0.0.2", 2), 3, 4, 16, bytes(range(50)))
PACKET6 = wire.tcp(("fd00::1", 1), ("fd00::2", 2), 3, 4, 16, bytes(range(50)))


@pytest.mark.parametrize("pieces", [pieces4(PACKET4, 24), pieces6(PACKET6, 24), pieces4(PACKET4, 32), pieces6(PACKET6, 16)])
def test_any_order_and_any_doubles(pieces: list[bytes]) -> None:
    whole = PACKET4 if pieces[0][0] >> 4 == 4 else PACKET6
    for order in itertools.permutations(pieces):
        fragments = Fragments()
        for piece in order[:-1]:
            assert give(fragments, piece) is None
            assert give(fragments, piece) is None  # again
        found = give(fragments, order[-1])
        assert found is not None
        assert found[20:] == whole[20:]
        assert fragments.waiting == {}


def test_packets_are_told_apart() -> None:
    fragments = Fragments()
    first, second = pieces4(PACKET4, 40, ident=1), pieces4(PACKET4, 40, ident=2)
    assert [give(fragments, piece) for piece in (first[0], second[1])] == [None, None]
    assert give(fragments, second[0]) is not None
    assert give(fragments, first[1]) is not None


def test_the_first_copy_wins_where_they_overlap() -> None:
    fragments = Fragments()
    first, last = pieces4(PACKET4, 40)
    assert give(fragments, first) is None
    assert give(fragments, first[:20] + bytes(40)) is None
    found = give(fragments, last)
    assert found is not None
    assert found[20:] == PACKET4[20:]


def test_a_flood_of_first_fragments_is_bounded() -> None:
    fragments = Fragments()
    for ident in range(3 * MOST_PACKETS):
        give(fragments, pieces4(PACKET4, 40, ident & 0xFFFF)[0])
    assert len(fragments.waiting) == MOST_PACKETS
    assert fragments.dropped == 2 * MOST_PACKETS


def test_tiny_fragments_without_end_are_bounded() -> None:
    fragments = Fragments()
    for at in range(5000):
        fragments.version4(PACKET4[:2] + struct.pack(">HHH", 28, 7, 0x2000 | at) + PACKET4[8:20] + bytes(8))
    assert sum(len(pieces.parts) for pieces in fragments.waiting.values()) <= 129


def test_no_packet_is_larger_than_ip_allows() -> None:
    fragments = Fragments()
    assert fragments.version4(PACKET4[:2] + struct.pack(">HHH", 28, 7, 0x1FFF) + PACKET4[8:20] + bytes(8)) is None
    assert fragments.version4(PACKET4[:2] + struct.pack(">HHH", 28, 7, 0x2000) + PACKET4[8:20] + bytes(8)) is None


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_a_connection_in_fragments(v6: bool, seed: int) -> None:
    chance = random.Random(seed)
    ends = {"client": ("fd00::1", 40000), "server": ("fd00::2", 80)} if v6 else {}
    talk = wire.Conversation(kind="raw", **ends).open().upgrade("/x").text(C, "a" * 500).text(S, "b" * 900)
    talk.close(C, 1001, "bye").close(S, 1001).fin(S).fin(C)
    packets = []
    for number, (time, data) in enumerate(talk.packets):
        pieces = (pieces6 if v6 else pieces4)(data, 8 * chance.randint(4, 40), number + 1)
        chance.shuffle(pieces)
        packets += [wire.Packet(time + i, wire.link(piece)) for i, piece in enumerate(pieces)]
    document = wsaudit.audit(wire.pcap(packets)).to_dict()
    [row] = document["connections"]
    assert (row["handshake"]["target"], row["close"]["client"]["code"], row["evidence"]["gaps"]) == ("/x", 1001, 0)
    assert (row["messages"]["client"]["bytes"], row["messages"]["server"]["bytes"]) == (500, 900)
    assert document["notices"] == []


@pytest.mark.parametrize(("snaplen", "left_out"), [(70, 0), (262144, 1)])
def test_packets_that_stayed_incomplete_are_said(snaplen: int, left_out: int) -> None:
    pieces = [wire.Packet(wire.START, wire.link(piece)) for piece in pieces4(PACKET4, 40)][left_out:]
    notices = wsaudit.audit(wire.pcap(pieces, snaplen=snaplen)).notices
    assert "not all fragments were captured" in notices[-1]["text"]
