"""The bytes that the tests are made of are right: libraries that know read them."""

from __future__ import annotations

import io

import dpkt
import pytest
import wire
from wire import C, S
from wsproto.frame_protocol import FrameDecoder


def conversation(kind: str = "ethernet", **how: object) -> wire.Conversation:
    return wire.Conversation(kind=kind, **how).open().upgrade("/chat").text(C, "hi").close(S, 1001, "bye").fin(S).fin(C)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
@pytest.mark.parametrize("mask", [None, wire.MASK])
def test_frames_decode(size: int, mask: bytes | None) -> None:
    payload = bytes(i & 0x7F for i in range(size))
    decoder = FrameDecoder(client=mask is None)
    decoder.receive_bytes(wire.frame(wire.BINARY, payload, mask=mask))
    received = b""
    while True:
        frame = decoder.process_buffer()
        assert frame is not None
        received += frame.payload
        if frame.message_finished:
            break
    assert received == payload


def test_declared_length_is_free() -> None:
    assert wire.frame(wire.TEXT, b"x", length=2**64 - 1, length_form=64) == b"\x81\x7f" + b"\xff" * 8 + b"x"


def test_headers_are_changed_added_and_removed() -> None:
    head = wire.request("/x", {"sec-websocket-version": "8", "Origin": "http://a", "Host": None, "X": ["1", "2"]})
    lines = head.decode().split("\r\n")
    assert lines[0] == "GET /x HTTP/1.1"
    assert "Sec-WebSocket-Version: 8" in lines
    assert lines.count("Origin: http://a") == 1
    assert not any(line.startswith("Host") for line in lines)
    assert lines[-4:] == ["X: 1", "X: 2", "", ""]


def test_the_accept_of_the_rfc() -> None:
    assert wire.accept() == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(("client", "version"), [("10.0.0.1", dpkt.ip.IP), ("fd00::1", dpkt.ip6.IP6)])
def test_packets_have_right_headers(client: str, version: type) -> None:
    server = "10.0.0.2" if "." in client else "fd00::2"
    for packet in conversation(client=(client, 40000), server=(server, 80), vlans=(7,)).packets:
        network = dpkt.ethernet.Ethernet(packet.data).data
        assert isinstance(network, version)
        tcp, given = network.data, network.data.sum
        network.data.sum = 0
        if isinstance(network, dpkt.ip.IP):
            network.sum = 0
        bytes(network)  # dpkt computes checksums that are zero
        assert tcp.sum == given


def test_both_files_hold_the_same_packets() -> None:
    made = conversation()
    times = [packet.time for packet in made.packets]
    for data, reader in (
        (made.pcap(nanoseconds=True, order=">"), dpkt.pcap.Reader),
        (made.pcapng(order=">"), dpkt.pcapng.Reader),
    ):
        read = list(reader(io.BytesIO(data)))
        assert [each for _, each in read] == [packet.data for packet in made.packets]
        assert [round(float(time) * 1000) for time, _ in read] == [time // 1_000_000 for time in times]


def test_what_happens_to_packets() -> None:
    plain = wire.Conversation().open().text(C, "1").text(C, "2")
    data = [packet.data for packet in plain.packets]
    swapped = wire.Conversation().open().text(C, "1").text(C, "2").swap()
    assert [packet.data for packet in swapped.packets] == [*data[:3], data[4], data[3]]
    assert [packet.time for packet in swapped.packets] == [packet.time for packet in plain.packets]
    assert [packet.data for packet in wire.Conversation().open().text(C, "1").drop().text(C, "2").packets] == [*data[:3], data[4]]
    assert [packet.data for packet in wire.Conversation().open().text(C, "1").repeat(2).packets] == [*data[:4], data[3], data[3]]
