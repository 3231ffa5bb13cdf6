"""Wireshark's exported PDUs become the connection they were taken from."""

from __future__ import annotations

import ipaddress
import struct

import pytest
import wire
from wire import C, S

import wsaudit
from wsaudit.net.exported import ExportedPdus


def pdu(data: bytes, side: int, v6: bool = False, port_type: int = 2) -> bytes:
    ends = [("fd00::1", 40000), ("fd00::2", 80)] if v6 else [("10.0.0.1", 40000), ("10.0.0.2", 80)]
    source, target = ends[side], ends[1 - side]
    kind = 22 if v6 else 20
    values = [
        (12, b"websocket\0\0\0"),
        (kind, ipaddress.ip_address(source[0]).packed),
        (kind + 1, ipaddress.ip_address(target[0]).packed),
        (24, struct.pack(">I", port_type)),
        (25, struct.pack(">I", source[1])),
        (26, struct.pack(">I", target[1])),
        (0, b""),
    ]
    return b"".join(struct.pack(">HH", tag, len(value)) + value for tag, value in values) + data


SENT = [
    (C, wire.request("/exported")),
    (S, wire.response()),
    (C, wire.frame(wire.TEXT, b"hi", mask=wire.MASK)),
    (S, wire.frame(wire.BINARY, bytes(100_000))),  # larger than any IP packet
    (S, wire.frame(wire.TEXT, b"after")),
    (C, wire.frame(wire.CLOSE, b"\x03\xe9", mask=wire.MASK)),
    (S, wire.frame(wire.CLOSE, b"\x03\xe9")),
]


@pytest.mark.parametrize("v6", [False, True])
def test_a_connection(v6: bool) -> None:
    packets = [wire.Packet(wire.START + i, pdu(data, side, v6)) for i, (side, data) in enumerate(SENT)]
    [row] = wsaudit.audit(wire.pcap(packets, linktype=252)).to_dict()["connections"]
    assert (row["handshake"]["target"], row["handshake"]["outcome"]) == ("/exported", "accepted")
    assert row["messages"]["server"]["bytes"] == 100_005
    assert row["close"]["client"]["code"] == row["close"]["server"]["code"] == 1001
    assert row["close"]["server"]["packet"] == 7
    assert row["evidence"]["complete"]


def test_what_is_not_of_tcp_or_of_nobody() -> None:
    assert ExportedPdus().segment(pdu(b"x", C, port_type=3)) is None
    assert ExportedPdus().segment(pdu(b"", C)) is None
    assert ExportedPdus().segment(b"\0\0\0\0data") is None


def test_cut_anywhere() -> None:
    data = pdu(b"data", C)
    for keep in range(len(data) - 4):
        assert ExportedPdus().segment(data[:keep]) is None
