"""Connections that are like others before them (kernel/ordinary.py, alike.py).

Invariant: the report says the same, byte for byte, whether every connection is followed by a Pipeline from its first packet on or
those that are like others are told from memory.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from fuzz import corpus
from fuzz.captures import Capture, Packet, flow_key, locate, read, write_pcap, write_pcapng
from fuzz.mutation import CHANGES, mutate_bytes, some
from wsaudit import engine
from wsaudit.errors import InputError
from wsaudit.options import Limits, Options
from wsaudit.report.json_format import write_json
from wsaudit.report.records import Records
from wsaudit.report.text import render_text

MOST_PACKETS = 40
LARGEST = 8 << 10  # bytes of one connection, of which an input has up to ten
CHOICES = (Options(), Options(ignore=("HS", "CL-07")), Options(limits=Limits(findings=1)))


def one_input(data: bytes) -> str:
    """Gives what both ways tell."""
    options = CHOICES[len(data) % 7 % len(CHOICES)]
    with one_by_one():
        remembered = told(data, options)
        with patch.object(engine, "Kinds", return_value=None):
            followed_all = told(data, options)
    if remembered != followed_all:
        pairs = zip(remembered.splitlines(), followed_all.splitlines(), strict=False)
        first = next(((one, other) for one, other in pairs if one != other), ("", "one of them tells more"))
        raise AssertionError(f"from memory: {first[0]!r}, followed: {first[1]!r}")
    return remembered


@contextmanager
def one_by_one() -> Iterator[None]:
    """What is learned from a connection is there for the next one, and not only when 32 are over."""
    with patch.object(engine, "TOGETHER", 1):
        yield


def told(data: bytes, options: Options) -> str:
    try:
        records = Records(engine.run([data], options), options)
    except InputError as error:
        return str(error)
    stream = io.StringIO()
    write_json(records, stream)
    return stream.getvalue() + render_text(records)


# -- inputs -----------------------------------------------------------------------------------------------------------


def mutate(random: Random, data: bytes) -> bytes:
    """A connection several times, so that its kind is learned; then others that differ a little, and it again. Sometimes the
    first one is changed already, which makes an unusual kind that is learned."""
    base = read(data)
    if base is None or not base.packets:
        return mutate_bytes(random, data)
    dice = random.random()
    if dice < 0.4:
        change(random, base, CHANGES if dice < 0.2 else ENDS)
    copies = [base] * random.randrange(3, 5)
    for _ in range(random.randrange(1, 5)):
        other = moved(base, 0, 0)
        change(random, other, CHANGES if random.random() < 0.6 else ENDS)
        copies.append(other)
    copies.append(base)
    made = together(copies, random.choice((1_000_000, 300_000_000, 20_000_000_000)))
    if random.random() < 0.3:
        made.packets.sort(key=lambda packet: packet.time)
    if random.random() < 0.2:
        random.choice(CHANGES)(random, made)
    return write_pcapng(made) if random.random() < 0.2 else write_pcap(made)


def change(random: Random, capture: Capture, changes: tuple[Any, ...]) -> None:
    for _ in range(some(random)):
        random.choice(changes)(random, capture)


def change_close(random: Random, capture: Capture) -> None:
    """Another code, or other words, in the last frames: the segments before the first FIN."""
    for packet in reversed(capture.packets):
        layers = locate(capture.linktype, packet.data)
        if layers is None or layers.end - layers.payload < 4 or packet.data[layers.payload] != 0x88:
            continue
        at = layers.payload + (6 if packet.data[layers.payload + 1] & 0x80 else 2)
        if at + 2 <= layers.end and random.random() < 0.7:
            code = random.choice((1000, 1001, 1002, 1005, 1008, 1009, 1011, 3000, 4000, 4999, random.randrange(65536)))
            key = packet.data[at - 4 : at - 2] if at > layers.payload + 2 else b"\0\0"
            masked = bytes(one ^ other for one, other in zip(code.to_bytes(2, "big"), key, strict=True))
            packet.data = packet.data[:at] + masked + packet.data[at + 2 :]


def change_pause(random: Random, capture: Capture) -> None:
    """All from some packet on comes later: a pause that some timer may explain."""
    pause = random.choice((1_000_000, 300_000_000, 900_000_000, 2_000_000_000, 5_000_000_000, 10_000_000_000, 60_000_000_000))
    for packet in capture.packets[random.randrange(len(capture.packets)) :]:
        packet.time += pause


def leave(random: Random, capture: Capture) -> None:
    """Nobody sends a Close: somebody ends TCP with his last packet, or the capture ends."""
    packets = capture.packets
    for at, packet in enumerate(packets):
        layers = locate(capture.linktype, packet.data)
        if at and layers is not None and packet.data[layers.payload : layers.payload + 1] == b"\x88":
            del packets[at:]
            break
    for packet in packets[-random.randrange(3) :]:
        layers = locate(capture.linktype, packet.data)
        if layers is not None and random.random() < 0.7:
            at = layers.tcp + 13
            flags = packet.data[at] | random.choice((0x01, 0x04))
            packet.data = packet.data[:at] + bytes((flags,)) + packet.data[at + 1 :]


ENDS = (change_close, change_close, change_pause, leave)


def moved(capture: Capture, port: int, time: int) -> Capture:
    """The same connection `port` ports further and `time` ns later. The side that moves is that of the first packet."""
    made = Capture(capture.linktype, secrets=capture.secrets)
    first = None
    for packet in capture.packets:
        data = packet.data
        layers = locate(capture.linktype, data)
        if layers is not None and port:
            ends = flow_key(data, layers)
            first = first or ends[0]
            if first in ends:
                at = layers.tcp + 2 * ends.index(first)
                number = (int.from_bytes(data[at : at + 2], "big") + port) & 0xFFFF
                data = data[:at] + struct.pack(">H", number) + data[at + 2 :]
        made.packets.append(Packet(packet.time + time, data, packet.lost))
    return made


def together(copies: list[Capture], apart: int) -> Capture:
    made = Capture(copies[0].linktype, secrets=copies[0].secrets)
    for number, each in enumerate(copies):
        if each.linktype == made.linktype:
            made.packets += moved(each, number, number * apart).packets
    return made


def from_memory(data: bytes) -> int:
    """How many connections of a capture are told from memory."""
    with one_by_one(), patch.object(engine, "row", wraps=engine.row) as row:
        return len(engine.run([data], CHOICES[0]).connections) - row.call_count


def seeds(folders: tuple[Path, ...]) -> list[bytes]:
    """Opening handshakes in cleartext, and more often those after which all was as usual: only they are told from memory."""
    found, usual = [], []
    for capture in corpus.captures(folders):
        small = len(capture.packets) <= MOST_PACKETS and sum(len(packet.data) for packet in capture.packets) <= LARGEST
        if small and any(data.startswith(b"HTTP/1.1 101") for _, data in corpus.streams(capture)):
            found.append(write_pcap(capture))
            if from_memory(write_pcap(together([capture] * 3, 1_000_000_000))):
                usual.append(found[-1])
    return corpus.or_one(found) + corpus.or_one(usual) * (3 * len(found) // max(len(usual), 1))
