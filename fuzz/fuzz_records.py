"""TLS records, handshakes and decryption.

Invariant: however the two streams are cut, the same application bytes come out of whole streams, nothing is shown without a key,
and in the end nothing is held.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from fuzz import corpus
from fuzz.mutation import mutate_bytes
from wsaudit.options import Limits
from wsaudit.tls.keylog import KeyStore
from wsaudit.tls.tunnel import Chunk, PlainGap, TlsTunnel

LIMITS = Limits(tls_buffer=64 << 10)
GAP = 2


def parts(data: bytes) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Two bytes of length and a key log; then pieces: a byte with the side and whether it is lost, two of length, the bytes."""
    size = int.from_bytes(data[:2], "big")
    keys, at = data[2 : 2 + size], 2 + size
    found = []
    while at + 3 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 3], "big")
        found.append((data[at], data[at + 3 : at + 3 + size]))
        at += 3 + size
    return keys, found


def joined(keys: bytes, pieces: list[tuple[int, bytes]]) -> bytes:
    body = b"".join(bytes((which,)) + len(piece).to_bytes(2, "big") + piece for which, piece in pieces)
    return len(keys).to_bytes(2, "big") + keys + body


def run(data: bytes, size: int) -> list[Chunk | PlainGap]:
    """What comes out when each piece is fed in parts of `size` bytes."""
    keys, pieces = parts(data)
    store = KeyStore()
    store.add(keys)
    tunnel = TlsTunnel(store, LIMITS)
    offsets = [0, 0]
    out: list[Chunk | PlainGap] = []
    for number, (which, piece) in enumerate(pieces):
        side = which & 1
        if which & GAP and piece:
            out += tunnel.gap(side, offsets[side], len(piece), number, number)
            offsets[side] += len(piece)
            continue
        for at in range(0, len(piece), size):
            part = piece[at : at + size]
            out += tunnel.feed(side, part, offsets[side], number, number)
            offsets[side] += len(part)
    out += tunnel.finish()
    assert store.held == 0
    shown = [event for event in out if isinstance(event, Chunk)]
    assert tunnel.facts.decrypted or not shown
    assert keys or not shown
    return out


def one_input(data: bytes) -> None:
    whole, cut = run(data, 65536), run(data, 1 + len(data) % 50)
    if not any(isinstance(event, PlainGap) for event in whole + cut):  # behind a hole the next record is sought where data end
        assert told(whole) == told(cut)


def told(events: list[Chunk | PlainGap]) -> list[tuple[int, bytes, int]]:
    return [(each.side, each.data, each.tcp_end) for each in events if isinstance(each, Chunk)]


def mutate(random: Random, data: bytes) -> bytes:
    """Changes within the pieces, which stay pieces; some are lost, doubled or swapped."""
    if random.random() < 0.05:
        return mutate_bytes(random, data)
    keys, pieces = parts(data)
    if random.random() < 0.1:
        keys = mutate_bytes(random, keys)[:65535]
    for _ in range(random.randrange(1, 4)):
        if not pieces:
            break
        at = random.randrange(len(pieces))
        which, piece = pieces[at]
        choice = random.randrange(6)
        if choice == 0:
            pieces[at] = (which | GAP, piece)
        elif choice == 1:
            cut = random.randrange(len(piece) + 1)
            lost = cut + random.randrange(1, 40)
            pieces[at : at + 1] = [(which, piece[:cut]), (which | GAP, piece[cut:lost]), (which, piece[lost:])]
        elif choice == 2:
            pieces.insert(random.randrange(len(pieces) + 1), pieces[at])
        elif choice == 3:
            del pieces[at]
        else:
            pieces[at] = (which, mutate_bytes(random, piece)[:65535])
    return joined(keys, pieces)


def seeds(folders: tuple[Path, ...]) -> list[bytes]:
    made = []
    for capture in corpus.captures(folders):
        pieces = corpus.streams(capture)
        if pieces and pieces[0][1][:2] == b"\x16\x03":
            made.append(joined(capture.secrets, pieces))
            made.append(joined(b"", pieces))
    return corpus.or_one(made)
