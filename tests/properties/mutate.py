"""Captures as networks, capture tools and attackers change them. Deterministic: a seed gives the same capture everywhere."""

from __future__ import annotations

import random
import struct
from typing import NamedTuple


class Record(NamedTuple):
    head: bytes  # seconds and fraction
    data: bytes
    length: int  # on the wire


def read(pcap: bytes) -> tuple[bytes, list[Record]]:
    """A little-endian pcap → its file header and its records."""
    header, at, records = pcap[:24], 24, []
    while at + 16 <= len(pcap):
        captured, length = struct.unpack("<II", pcap[at + 8 : at + 16])
        records.append(Record(pcap[at : at + 8], pcap[at + 16 : at + 16 + captured], length))
        at += 16 + captured
    return header, records


def write(header: bytes, records: list[Record]) -> bytes:
    return header + b"".join(
        record.head + struct.pack("<II", len(record.data), record.length) + record.data for record in records
    )


def mutated(pcap: bytes, seed: int) -> bytes:
    """A few of: bytes changed, packets lost, doubled, swapped, cut; and sometimes the file itself."""
    chance = random.Random(seed)
    header, records = read(pcap)
    for _ in range(chance.randint(1, 6)):
        if not records:
            break
        i = chance.randrange(len(records))
        record = records[i]
        what = chance.choice(("byte", "byte", "byte", "bit", "lose", "double", "swap", "cut", "payload", "many"))
        if what in ("byte", "bit") and record.data:
            data = bytearray(record.data)
            at = chance.randrange(min(len(data), 120))
            data[at] = (
                chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
                if what == "byte"
                else data[at] ^ 1 << chance.randrange(8)
            )
            records[i] = record._replace(data=bytes(data))
        elif what == "lose":
            del records[i]
        elif what == "double":
            records.insert(min(len(records), i + chance.randint(1, 4)), record)
        elif what == "swap":
            j = min(len(records) - 1, i + chance.randint(1, 3))
            records[i], records[j] = records[j]._replace(head=record.head), record._replace(head=records[j].head)
        elif what == "cut":
            records[i] = record._replace(data=record.data[: chance.randint(0, len(record.data))])
        elif what == "payload" and len(record.data) > 66:
            data = bytearray(record.data)
            for _ in range(chance.randint(1, 20)):
                data[chance.randrange(54, len(data))] = chance.randrange(256)
            records[i] = record._replace(data=bytes(data))
        elif what == "many":
            keep = chance.randint(54, 200)
            records = [each._replace(data=each.data[:keep]) for each in records]
    made = write(header, records)
    if chance.random() < 0.1:
        made = made[: chance.randint(24, len(made))]
    return made
