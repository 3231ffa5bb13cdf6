"""What is computed from the key of a flow's direction: addresses and ports, as they are in the headers of its packets. Compiled,
`inline_keys.pxd` takes the place of this."""

from __future__ import annotations

from collections.abc import Sequence

from wsaudit.kernel import numbers

MIX = 0x9E3779B97F4A7C15
M64 = 0xFFFFFFFFFFFFFFFF
TAG = 0x7FFFFFFF  # a hash has 31 bits: it shares a table's slot with the number of an entry


def hash_of_words(words: Sequence[int], count: int, seed: int) -> int:
    """The hash of a key of so many 32-bit words."""
    h = seed
    for word in words[:count]:
        h = (h ^ word) * MIX & M64
        h ^= h >> 29
    return h >> 7 & TAG


def hash_of(head: bytes | bytearray, addresses: int, words: int, ports: int, seed: int) -> int:
    """The hash of a key whose addresses, of `words` 32-bit words, and ports lie there in `head`."""
    places = (*range(addresses, addresses + 4 * words, 4), ports)
    return hash_of_words([numbers.u32(head, place, False) for place in places], words + 1, seed)


def shard_of(head: bytes | bytearray, addresses: int, words: int, ports: int, shards: int) -> int:
    """The shard, of so many, that a flow falls to: the same for both directions."""
    total = 0
    for at in range(addresses, addresses + 4 * words, 4):
        total += numbers.u32(head, at, False)
    pair = numbers.u32(head, ports, False)
    total += (pair >> 16) + (pair & 0xFFFF)
    return ((total * MIX & M64) >> 32) * shards >> 32
