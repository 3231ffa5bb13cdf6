"""Mutations: of bytes, and of captures in which TCP stays in sequence so that what is broken lies deep.

Every function is a pure function of the `Random` it is given, so a seed number is enough to get an input back.
"""

from __future__ import annotations

import struct
from random import Random

from fuzz.captures import (
    ETHERNET,
    SECOND,
    Capture,
    Layers,
    Packet,
    flow_key,
    locate,
    read,
    with_payload,
    write_pcap,
    write_pcapng,
)

M32 = 0xFFFFFFFF
LENGTHS = (0, 1, 124, 125, 126, 127, 65535, 65536, 1 << 31, (1 << 32) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Pieces that mean something to some layer.
TOKENS = (
    b"GET / HTTP/1.1\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"Upgrade: websocket\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9\r\n",
    b"Sec-WebSocket-Protocol: a, b\r\n",
    b"\r\n\r\n",
    b"\r\n",
    b"\x16\x03\x01\x02\x00\x01",
    b"\x17\x03\x03\x00\x40",
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"\x88\x02\x03\xe8",
    b"\x88\x82\x00\x00\x00\x00\x03\xee",
    b"\x00\x00\xff\xff",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\x1b[2J",
)


# -- bytes ------------------------------------------------------------------------------------------------------------


def mutate_bytes(random: Random, data: bytes) -> bytes:
    """A few small changes anywhere."""
    made = bytearray(data)
    for _ in range(some(random)):
        change_bytes(random, made)
    return bytes(made)


def some(random: Random) -> int:
    """How many changes: mostly few."""
    return 1 + min(int(random.expovariate(0.5)), 11)


def change_bytes(random: Random, made: bytearray) -> None:
    size = len(made)
    at = random.randrange(size + 1)
    choice = random.randrange(9)
    if choice == 0 or size == 0:
        made[at:at] = random.randbytes(random.randrange(1, 9))
    elif choice == 1:
        made[at:at] = random.choice(TOKENS)
    elif choice == 2:
        made[at:at] = any_frame(random)
    elif choice == 3:
        del made[at : at + random.randrange(1, 1 + min(size, 64))]
    elif choice == 4:
        start = random.randrange(size)
        made[at:at] = made[start : start + random.randrange(1, 65)]
    elif choice == 5:
        del made[at:]
    elif choice == 6:
        number = random.choice(NUMBERS).to_bytes(4, "big")[-random.choice((1, 2, 4)) :]
        made[at : at + len(number)] = number
    else:
        at = random.randrange(size)
        made[at] ^= 1 << random.randrange(8) if choice == 7 else random.randrange(1, 256)


def any_frame(random: Random) -> bytes:
    """A frame header with any bits and any length, and as much payload as may follow (RFC 6455 §5.2)."""
    first = random.choice((0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8A, 0xC1, 0x41, 0xF1, random.randrange(256)))
    length = random.choice(LENGTHS)
    form = random.choice((7, 16, 64))
    masked = random.choice((0, 0x80))
    if form == 7:
        header = bytes((first, masked | length & 127))
    elif form == 16:
        header = struct.pack(">BBH", first, masked | 126, length & 0xFFFF)
    else:
        header = struct.pack(">BBQ", first, masked | 127, length)
    return header + random.randbytes(4 if masked else 0) + random.randbytes(min(length, random.randrange(130)))


# -- captures ---------------------------------------------------------------------------------------------------------


def mutate_capture(random: Random, data: bytes) -> bytes:
    """A capture file with a few changes in its packets, and sometimes in the file. What is no capture is changed as bytes."""
    capture = read(data)
    if capture is None or not capture.packets:
        return mutate_bytes(random, data)
    for _ in range(some(random)):
        random.choice(CHANGES)(random, capture)
    if capture.secrets or random.random() < 0.25:
        made = write_pcapng(capture, random.choice("<<<>"))
    else:
        made = write_pcap(capture, random.choice("<<<>"), random.random() < 0.5)
    chance = random.random()
    if chance < 0.06:
        made = made[: random.randrange(len(made) + 1)]
    elif chance < 0.10:
        made = mutate_bytes(random, made)
    return made


def some_range(random: Random, size: int) -> tuple[int, int]:
    start = random.randrange(size)
    return start, min(size, start + 1 + min(int(random.expovariate(0.5)), size))


def drop(random: Random, capture: Capture) -> None:
    if len(capture.packets) > 1:
        start, end = some_range(random, len(capture.packets))
        del capture.packets[start:end]
        capture.packets = capture.packets or [Packet(0, b"")]


def keep_part(random: Random, capture: Capture) -> None:
    """The capture started late, or stopped early."""
    at = random.randrange(len(capture.packets))
    capture.packets = capture.packets[at:] if random.random() < 0.5 else capture.packets[: at + 1]


def duplicate(random: Random, capture: Capture) -> None:
    start, end = some_range(random, len(capture.packets))
    at = random.randrange(len(capture.packets) + 1)
    again = [Packet(packet.time, packet.data, packet.lost) for packet in capture.packets[start:end]]
    capture.packets[at:at] = again


def reorder(random: Random, capture: Capture) -> None:
    packets = capture.packets
    start, end = some_range(random, len(packets))
    part = packets[start:end]
    del packets[start:end]
    at = min(len(packets), max(0, start + random.randrange(-6, 7)))
    packets[at:at] = part


def one_side_only(random: Random, capture: Capture) -> None:
    """Only one direction was captured."""
    first = next((found for packet in capture.packets if (found := source_of(capture, packet))), None)
    flip = random.random() < 0.5
    kept = [packet for packet in capture.packets if (source_of(capture, packet) == first) != flip]
    capture.packets = kept or capture.packets


def source_of(capture: Capture, packet: Packet) -> bytes | None:
    layers = locate(capture.linktype, packet.data)
    return flow_key(packet.data, layers)[0] if layers else None


def cut_packets(random: Random, capture: Capture) -> None:
    """A snap length, for one packet or for all."""
    length = random.choice((0, 13, 33, 53, 54, 60, 66, 68, 96, 128, random.randrange(1, 1500)))
    chosen = [random.choice(capture.packets)] if random.random() < 0.7 else capture.packets
    for packet in chosen:
        if len(packet.data) > length:
            packet.lost += len(packet.data) - length
            packet.data = packet.data[:length]


def change_times(random: Random, capture: Capture) -> None:
    """The clock jumps, stands still or runs backwards from some packet on."""
    at = random.randrange(len(capture.packets))
    choice = random.randrange(4)
    jump = random.choice(
        (-SECOND, SECOND // 1000, 10 * SECOND, 61 * SECOND, 86_400 * SECOND, -3_600 * SECOND, 400_000_000 * SECOND)
    )
    start = capture.packets[at].time
    for index, packet in enumerate(capture.packets[at:]):
        if choice == 0:
            packet.time = start
        elif choice == 1:
            packet.time = max(0, start - index * 1_000_000)
        elif choice == 2:
            packet.time = max(0, packet.time + jump)
        elif index == 0:
            packet.time = random.choice((0, max(0, packet.time + jump), 0xFFFFFFFF * SECOND, packet.time))


def wrap(random: Random, capture: Capture) -> None:
    """Tags and tunnels around one packet or all. Ethernet only."""
    if capture.linktype != ETHERNET:
        return
    choice = random.randrange(7)
    chosen = [random.choice(capture.packets)] if random.random() < 0.5 else capture.packets
    for packet in chosen:
        packet.data = wrapped(packet.data, choice)


def wrapped(data: bytes, how: int) -> bytes:
    macs, kind, body = data[:12], data[12:14], data[14:]
    if how == 0:
        return macs + b"\x81\x00\x00\x05" + kind + body
    if how == 1:
        return macs + b"\x88\xa8\x00\x05\x81\x00\x00\x06" + kind + body
    if how == 2:
        return macs + b"\x88\x47\x00\x01\x01\x40" + body  # MPLS
    if how == 3:
        return macs + b"\x88\x64\x11\x00\x00\x01" + struct.pack(">H", len(body) + 2 & 0xFFFF) + b"\x00\x21" + body  # PPPoE
    if how == 4:
        return macs + b"\x08\x00" + outer_ip(4 if kind == b"\x08\x00" else 41, body)
    if how == 5:
        return macs + b"\x08\x00" + outer_ip(47, b"\x00\x00" + kind + body)
    udp = struct.pack(">HHHH", 5555, 4789, len(data) + 16 & 0xFFFF, 0)
    return macs + b"\x08\x00" + outer_ip(17, udp + b"\x08\0\0\0\0\0\x07\0" + data)


def outer_ip(protocol: int, body: bytes) -> bytes:
    return struct.pack(">BBHHHBBH8s", 0x45, 0, len(body) + 20 & 0xFFFF, 7, 0, 64, protocol, 0, b"\x0a\1\0\1\x0a\1\0\2") + body


def change_header(random: Random, capture: Capture) -> None:
    """One field of one packet's IP or TCP header."""
    packet, layers = a_segment(random, capture)
    if layers is None:
        packet.data = mutate_bytes(random, packet.data)
        return
    made = bytearray(packet.data)
    choice = random.randrange(10)
    if choice < 2:
        made[layers.tcp + 13] = random.choice((1, 2, 4, 0x10, 0x11, 0x12, 0x14, 0x18, 0x19, random.randrange(64)))
    elif choice < 4:
        at = layers.tcp + random.choice((4, 8))  # sequence and acknowledgement numbers
        old = int.from_bytes(made[at : at + 4], "big")
        delta = random.choice((-65536, -1460, -8, -1, 1, 2, 8, 1460, 65536, 1 << 29, 1 << 31, random.randrange(1 << 32)))
        struct.pack_into(">I", made, at, (old + delta) & M32)
    elif choice == 4:
        made[layers.tcp + 12] = random.randrange(256)
    elif choice == 5:
        struct.pack_into(">H", made, layers.tcp + random.choice((0, 2, 14)), random.choice((0, 1, 80, 443, 65535)))
    elif choice == 6:
        struct.pack_into(
            ">H", made, layers.ip + random.choice((2, 4)), random.choice((0, 20, 40, 65535, random.randrange(65536)))
        )
    elif choice == 7:
        struct.pack_into(">H", made, layers.ip + 6, random.choice((0x2000, 0x4000, 1, 0x2001, 0x1FFF, random.randrange(65536))))
    elif choice == 8:
        made[layers.ip] = random.choice((0x40, 0x44, 0x45, 0x46, 0x4F, 0x60, random.randrange(256)))
    else:
        made[random.randrange(layers.payload)] ^= 1 << random.randrange(8)
    packet.data = bytes(made)


def a_segment(random: Random, capture: Capture, with_data: bool = False) -> tuple[Packet, Layers | None]:
    """A packet and its layers: with payload if asked for and if some tries find one."""
    for _ in range(6):
        packet = random.choice(capture.packets)
        layers = locate(capture.linktype, packet.data)
        if layers and (layers.end > layers.payload or not with_data):
            break
    return packet, layers


def change_payload(random: Random, capture: Capture) -> None:
    """Other bytes in one segment; all that follows moves along, so the stream stays whole."""
    packet, layers = a_segment(random, capture, True)
    if layers is None:
        return
    payload = mutate_bytes(random, packet.data[layers.payload : layers.end])[:60_000]
    if random.random() < 0.3:
        payload = payload[:2000] + any_frame(random)
    delta = len(payload) - (layers.end - layers.payload)
    if delta:
        shift_stream(capture, packet, layers, delta)
    packet.data = with_payload(packet.data, layers, payload)


def change_frame_header(random: Random, capture: Capture) -> None:
    """The first bytes of a segment, which usually begin a frame or a TLS record."""
    packet, layers = a_segment(random, capture, True)
    if layers is None or layers.end - layers.payload < 2:
        return
    made = bytearray(packet.data)
    at = layers.payload
    if random.random() < 0.5:
        made[at] = random.choice((0x80, 0x00, 0x01, 0x41, 0xC1, 0x88, 0x08, 0x89, 0x8A, 0x83, 0xFF, random.randrange(256)))
    else:
        made[at + 1] = random.choice((0, 0x80, 1, 0x81, 125, 126, 127, 0xFE, 0xFF, random.randrange(256)))
        if layers.end - at >= 10:
            made[at + 2 : at + 10] = random.choice(LENGTHS).to_bytes(8, "big")
    packet.data = bytes(made)


def swap_payloads(random: Random, capture: Capture) -> None:
    """One segment carries what another carried."""
    packet, layers = a_segment(random, capture, True)
    other, others = a_segment(random, capture, True)
    if layers is None or others is None:
        return
    payload = other.data[others.payload : others.end]
    delta = len(payload) - (layers.end - layers.payload)
    if delta:
        shift_stream(capture, packet, layers, delta)
    packet.data = with_payload(packet.data, layers, payload)


def split_segment(random: Random, capture: Capture) -> None:
    """One segment becomes two or more."""
    packet, layers = a_segment(random, capture, True)
    if layers is None:
        return
    payload = packet.data[layers.payload : layers.end]
    at = next(i for i, each in enumerate(capture.packets) if each is packet)
    size = random.choice((1, 2, 3, 7, max(1, len(payload) // 2)))
    seq = int.from_bytes(packet.data[layers.tcp + 4 : layers.tcp + 8], "big")
    pieces = []
    start = 0
    while start < len(payload):
        stop = start + size if len(pieces) < 40 else len(payload)
        made = bytearray(with_payload(packet.data, layers, payload[start:stop]))
        struct.pack_into(">I", made, layers.tcp + 4, (seq + start) & M32)
        pieces.append(Packet(packet.time, bytes(made)))
        start = stop
    capture.packets[at : at + 1] = pieces or [packet]


def shift_stream(capture: Capture, changed: Packet, layers: Layers, delta: int) -> None:
    """`changed` will carry `delta` more bytes: move the later sequence numbers of its side and the acknowledgements of the
    other's."""
    source, target = flow_key(changed.data, layers)
    base = int.from_bytes(changed.data[layers.tcp + 4 : layers.tcp + 8], "big")
    base += changed.data[layers.tcp + 13] >> 1 & 1  # a SYN comes before the data that are sent with it (RFC 7413)
    was_empty, behind = layers.end == layers.payload, False
    for packet in capture.packets:
        found = locate(capture.linktype, packet.data)
        if found is None:
            continue
        if packet is changed:
            behind = True
            continue
        key = flow_key(packet.data, found)
        at = found.tcp + (4 if key == (source, target) else 8 if key == (target, source) else 0)
        if at == found.tcp:
            continue
        number = int.from_bytes(packet.data[at : at + 4], "big")
        ahead = (number - base) & M32
        if 0 < ahead < 1 << 31 or (ahead == 0 and behind and was_empty and key == (source, target)):
            packet.data = packet.data[:at] + ((number + delta) & M32).to_bytes(4, "big") + packet.data[at + 4 :]


def wrap_sequence(random: Random, capture: Capture) -> None:
    """All sequence numbers move, so that a side's wrap at 2^32 somewhere."""
    moves = [random.choice((0, random.randrange(1 << 32), (1 << 32) - random.randrange(2000))) for _ in range(2)]
    firsts: dict[bytes, int] = {}
    for packet in capture.packets:
        layers = locate(capture.linktype, packet.data)
        if layers is None:
            continue
        source, target = flow_key(packet.data, layers)
        side = source > target
        seq, ack = struct.unpack_from(">II", packet.data, layers.tcp + 4)
        move = (moves[side] - firsts.setdefault(source, seq)) & M32
        back = (moves[1 - side] - firsts.setdefault(target, ack)) & M32 if ack else 0
        numbers = struct.pack(">II", (seq + move) & M32, (ack + back) & M32)
        packet.data = packet.data[: layers.tcp + 4] + numbers + packet.data[layers.tcp + 12 :]


def change_link(random: Random, capture: Capture) -> None:
    """The file claims another link type, or has another one: the same packets without, or with another, link header."""
    if capture.linktype != ETHERNET or random.random() < 0.3:
        capture.linktype = random.choice((0, 1, 9, 12, 101, 105, 108, 113, 127, 228, 252, 276, 147))
        return
    kind = random.choice((101, 113, 276, 0))
    for packet in capture.packets:
        ethertype, body = packet.data[12:14], packet.data[14:]
        header = {101: b"", 113: bytes(14) + ethertype, 276: ethertype + bytes(18), 0: b"\x02\0\0\0"}[kind]
        packet.data = header + body
    capture.linktype = kind


CHANGES = (
    *(drop, keep_part, duplicate, reorder, one_side_only, cut_packets, change_times, wrap, wrap_sequence, change_link),
    *(change_header,) * 4,
    *(change_payload,) * 6,
    *(change_frame_header,) * 3,
    *(swap_payloads, split_segment, split_segment),
)
