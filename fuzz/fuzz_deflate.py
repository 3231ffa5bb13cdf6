"""permessage-deflate.

Invariant: any payload gives facts, the same whole and in pieces; what is kept of it stays bounded, and nothing is shown of what
is faulty.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from random import Random

from fuzz import corpus
from fuzz.mutation import mutate_bytes
from wsaudit.websocket.deflate import Inflater

LIMIT = 200_000
PREVIEW = 100


def messages(data: bytes) -> list[bytes]:
    """Each message stands behind two bytes of length."""
    found, at = [], 0
    while at + 2 <= len(data) and len(found) < 20:
        size = int.from_bytes(data[at : at + 2], "big")
        found.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return found


def one_input(data: bytes) -> None:
    """First byte: what was agreed; second: the size of pieces."""
    if len(data) < 2:
        return
    agreed = {"no_takeover": bool(data[0] & 1), "window_bits": 8 + (data[0] >> 1 & 7)}
    is_text = bool(data[0] & 16)
    whole = Inflater(**agreed, max_message=LIMIT)
    cut = Inflater(**agreed, max_message=LIMIT)
    size = data[1] + 1
    for message in messages(data[2:]):
        facts = whole.message(message, is_text, PREVIEW)
        cut.start_message(is_text, PREVIEW)
        for at in range(0, len(message), size):
            cut.feed(message[at : at + size])
        assert cut.end_message() == facts
        assert facts.inflated_bytes is None or facts.inflated_bytes <= LIMIT + 1
        if facts.error or facts.unverifiable:
            assert facts.preview is None
        if facts.preview is not None:
            assert len(facts.preview) <= PREVIEW


def mutate(random: Random, data: bytes) -> bytes:
    """Real compressed messages between what is damaged."""
    made = mutate_bytes(random, data)
    if random.random() < 0.5:
        text = random.choice(
            (b"a" * random.randrange(5000), random.randbytes(200), "žluťoučký kůň ".encode() * 20, bytes(300_000))
        )
        level, bits = random.choice((0, 1, 9)), random.choice((-9, -12, -15))
        packer = zlib.compressobj(level, zlib.DEFLATED, bits)
        message = packer.compress(text) + packer.flush(random.choice((zlib.Z_SYNC_FLUSH, zlib.Z_FINISH)))
        message = message[: random.choice((-4, len(message), random.randrange(len(message) + 1)))]
        if len(message) < 65536:
            made += len(message).to_bytes(2, "big") + message
    return made


def seeds(folders: tuple[Path, ...]) -> list[bytes]:
    made = [b"\x00\x05", b"\x01\x00", b"\x10\xff", b"\x0e\x07"]
    for data in corpus.frames(folders):
        made.append(b"\x10\x07" + len(data[2:1000]).to_bytes(2, "big") + data[2:1000])
    return corpus.or_one(made)
