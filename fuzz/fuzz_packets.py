"""Link, IP and TCP headers, tunnels and fragments.

Invariant: any bytes as a packet of any link type are counted and raise nothing, and each flow that was opened is finished.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from fuzz import corpus
from fuzz.mutation import mutate_bytes, wrapped
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.packets import Decoder
from wsaudit.net.link import Unwrapper

LINK_TYPES = (1, 1, 1, 0, 9, 12, 50, 101, 105, 108, 113, 119, 127, 192, 228, 229, 252, 276, 147)


class Listener:
    """Unwraps what the decoder hands over, as the engine does, and is the owner of every flow."""

    def __init__(self) -> None:
        self.decoder = Decoder(self)
        self.unwrapper = Unwrapper(self.decoder)
        self.opened = self.finished = 0
        self.packet = self.unwrapper.packet
        self.network = self.unwrapper.network
        self.icmp = self.unwrapper.icmp

    def open(self, flow: Any) -> Any:
        self.opened += 1
        return Owner(self)

    def connect_failed(self, *arguments: Any) -> None:
        assert len(arguments) == 9

    def ignored_flow(self, port_a: int, port_b: int) -> None:
        assert 0 <= min(port_a, port_b) <= max(port_a, port_b) < 65536


class Owner:
    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def data(self, *arguments: Any) -> None:
        pass

    gap = icmp = data

    def finish(self, flow: Any, ongoing: bool) -> None:
        self.listener.finished += 1


def one_input(data: bytes) -> None:
    """The first byte chooses the link type; then packets, each behind two bytes of length."""
    listener = Listener()
    decoder = listener.decoder
    linktype = LINK_TYPES[data[0] % len(LINK_TYPES)] if data else 1
    at, number = 1, 0
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        packet = data[at + 2 : at + 2 + size]
        at += 2 + size
        number += 1
        decoder.packet(Buffer(packet), 0, len(packet), max(size, len(packet)), number * 1_000_000, number, linktype)
    decoder.finish()
    assert decoder.packets >= number  # tunnels count again what is in them
    assert listener.opened == listener.finished == decoder.flows
    assert listener.unwrapper.depth == 0


def mutate(random: Random, data: bytes) -> bytes:
    """Changes within packets, which stay packets."""
    made = bytearray(data[:1] if random.random() < 0.7 else random.randbytes(1))
    at = 1
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        packet = data[at + 2 : at + 2 + size]
        at += 2 + size
        if random.random() < 0.2:
            packet = wrapped(packet, random.randrange(7))
        if random.random() < 0.4:
            packet = mutate_bytes(random, packet)
        declared = size if random.random() < 0.02 else len(packet)
        made += declared.to_bytes(2, "big")[-2:] + packet if declared < 65536 else b""
    return bytes(made)


def seeds(folders: tuple[Path, ...]) -> list[bytes]:
    made = []
    for capture in corpus.captures(folders):
        if capture.linktype in LINK_TYPES:
            packets = [each.data[:2000] for each in capture.packets[:12]]
            body = b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)
            made.append(bytes((LINK_TYPES.index(capture.linktype),)) + body)
    return corpus.or_one(made)
