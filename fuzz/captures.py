"""Captures as fuzzing handles them: a link type, packets, TLS secrets; and where in a packet TCP lies.

Written and read here without wsaudit's own reader, which is what is tested.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

SECOND = 1_000_000_000
ETHERNET = 1
# Bytes before the Ethernet type, for the link types whose header has one; raw IP and null have none.
TYPE_AT = {ETHERNET: 12, 113: 14, 276: 0}
HEADER = {ETHERNET: 14, 113: 16, 276: 20, 101: 0, 228: 0, 229: 0, 0: 4, 108: 4}
KEY_LOG = 0x544C534B


@dataclass(slots=True)
class Packet:
    """`time` in ns; `lost`: bytes of it that the capture does not hold."""

    time: int
    data: bytes
    lost: int = 0


@dataclass(slots=True)
class Capture:
    linktype: int
    packets: list[Packet] = field(default_factory=list)
    secrets: bytes = b""


class Layers(NamedTuple):
    """Offsets in a packet: IP header, TCP header, payload, and where the payload ends."""

    ip: int
    tcp: int
    payload: int
    end: int


def locate(linktype: int, data: bytes) -> Layers | None:
    """Where TCP lies in a packet of one of the plain link types; None if it is not there."""
    ip = HEADER.get(linktype)
    if ip is None or len(data) < ip + 20:
        return None
    kind_at = TYPE_AT.get(linktype)
    if kind_at is not None:
        if linktype != 276:
            while data[kind_at : kind_at + 2] in (b"\x81\x00", b"\x88\xa8") and len(data) > ip + 24:
                kind_at += 4
                ip += 4
        if data[kind_at : kind_at + 2] not in (b"\x08\x00", b"\x86\xdd"):
            return None
    if data[ip] >> 4 == 4:
        tcp = ip + (data[ip] & 15) * 4
        protocol, end = data[ip + 9], ip + int.from_bytes(data[ip + 2 : ip + 4], "big")
    elif len(data) >= ip + 40:
        tcp = ip + 40
        protocol, end = data[ip + 6], tcp + int.from_bytes(data[ip + 4 : ip + 6], "big")
    else:
        return None
    end = min(end, len(data))
    if protocol != 6 or tcp + 20 > end:
        return None
    payload = tcp + (data[tcp + 12] >> 4) * 4
    return Layers(ip, tcp, payload, end) if tcp + 20 <= payload <= end else None


def flow_key(data: bytes, layers: Layers) -> tuple[bytes, bytes]:
    """Source and destination, address and port each."""
    start, width = (layers.ip + 12, 4) if data[layers.ip] >> 4 == 4 else (layers.ip + 8, 16)
    ports = data[layers.tcp : layers.tcp + 4]
    return data[start : start + width] + ports[:2], data[start + width : start + 2 * width] + ports[2:]


def with_payload(data: bytes, layers: Layers, payload: bytes) -> bytes:
    """The packet with another payload, and the IP length that goes with it."""
    made = bytearray(data[: layers.payload] + payload)
    if made[layers.ip] >> 4 == 4:
        struct.pack_into(">H", made, layers.ip + 2, (len(made) - layers.ip) & 0xFFFF)
    else:
        struct.pack_into(">H", made, layers.ip + 4, (len(made) - layers.ip - 40) & 0xFFFF)
    return bytes(made)


def write_pcap(capture: Capture, order: str = "<", nanoseconds: bool = True) -> bytes:
    """A classic pcap file, which has no place for secrets."""
    scale = 1 if nanoseconds else 1000
    parts = [struct.pack(order + "IHHiIII", 0xA1B23C4D if nanoseconds else 0xA1B2C3D4, 2, 4, 0, 0, 262144, capture.linktype)]
    record = struct.Struct(order + "4I").pack
    for packet in capture.packets:
        seconds, rest = divmod(packet.time, SECOND)
        size = len(packet.data)
        parts += record(seconds & 0xFFFFFFFF, rest // scale, size, size + packet.lost), packet.data
    return b"".join(parts)


def write_pcapng(capture: Capture, order: str = "<") -> bytes:
    """A pcapng file of one section and one interface, with nanoseconds; the secrets come first."""
    pack = struct.pack

    def block(kind: int, body: bytes) -> bytes:
        body += b"\0" * (-len(body) % 4)
        size = pack(order + "I", len(body) + 12)
        return pack(order + "I", kind) + size + body + size

    parts = [
        block(0x0A0D0D0A, pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)),
        block(1, pack(order + "HHIHHB3xHH", capture.linktype & 0xFFFF, 0, 262144, 9, 1, 9, 0, 0)),
    ]
    if capture.secrets:
        parts.append(block(10, pack(order + "II", KEY_LOG, len(capture.secrets)) + capture.secrets))
    for packet in capture.packets:
        size = len(packet.data)
        time = max(packet.time, 0)
        parts.append(
            block(6, pack(order + "5I", 0, time >> 32 & 0xFFFFFFFF, time & 0xFFFFFFFF, size, size + packet.lost) + packet.data)
        )
    return b"".join(parts)


def read(data: bytes) -> Capture | None:
    """A capture in one of the two forms above, little-endian; None if it is something else."""
    try:
        if data[:4] == b"\x0a\x0d\x0d\x0a":
            return read_pcapng(data)
        if data[:4] in (b"\x4d\x3c\xb2\xa1", b"\xd4\xc3\xb2\xa1"):
            return read_pcap(data)
    except struct.error:
        pass
    return None


def read_pcap(data: bytes) -> Capture:
    scale = 1 if data[0] == 0x4D else 1000
    capture = Capture(struct.unpack_from("<I", data, 20)[0])
    at = 24
    while at + 16 <= len(data):
        seconds, rest, size, wire = struct.unpack_from("<4I", data, at)
        capture.packets.append(Packet(seconds * SECOND + rest * scale, data[at + 16 : at + 16 + size], max(wire - size, 0)))
        at += 16 + size
    return capture


def read_pcapng(data: bytes) -> Capture:
    capture = Capture(struct.unpack_from("<H", data, 36)[0])
    at = 28
    while at + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 10:
            capture.secrets = data[at + 16 : at + 16 + struct.unpack_from("<I", data, at + 12)[0]]
        elif kind == 6:
            high, low, size, wire = struct.unpack_from("<4I", data, at + 12)
            capture.packets.append(Packet(high << 32 | low, data[at + 28 : at + 28 + size], max(wire - size, 0)))
        at += max(length, 12)
    return capture
