"""Key schedules against published vectors: RFC 8448 for TLS 1.3, and the usual one of the TLS 1.2 PRF."""

from __future__ import annotations

import hashlib

import pytest

from wsaudit.tls.schedule import TLS10, TLS12, key_block, prf, traffic_keys, transcript_hash, updated_secret
from wsaudit.tls.suites import Suite, suite


def known(number: int) -> Suite:
    found = suite(number)
    assert found is not None
    return found


def test_traffic_keys() -> None:
    """RFC 8448 section 3, the client's handshake traffic secret."""
    secret = bytes.fromhex("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21")
    key, iv = traffic_keys(secret, known(0x1301))
    assert (key.hex(), iv.hex()) == ("dbfaa693d1762c5b666af5d950258d01", "5bd3c71b836e0b76bb73265f")


def test_prf_of_tls12() -> None:
    secret = bytes.fromhex("9bbe436ba940f017b17652849a71db35")
    seed = bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c")
    output = prf(TLS12, "sha256", secret, b"test label", seed, 100).hex()
    assert output.startswith("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a")
    assert output.endswith("5a5110fff70187347b66")


def test_prf_of_tls10_uses_both_halves() -> None:
    one = prf(TLS10, "sha256", b"\1" * 24 + b"\2" * 24, b"x", b"y", 60)
    assert len(one) == 60
    assert one != prf(TLS10, "sha256", b"\1" * 24 + b"\3" * 24, b"x", b"y", 60)
    assert one != prf(TLS10, "sha256", b"\3" * 24 + b"\2" * 24, b"x", b"y", 60)


def test_updated_secret_keeps_its_length() -> None:
    assert len(updated_secret(bytes(32), known(0x1301))) == 32
    assert len(updated_secret(bytes(48), known(0x1302))) == 48
    assert updated_secret(bytes(32), known(0x1301)) != bytes(32)


@pytest.mark.parametrize(
    ("version", "number", "lengths"),
    [
        (TLS12, 0xC02F, (0, 16, 4)),
        (TLS12, 0xC0AE, (0, 16, 4)),
        (TLS12, 0xCCA8, (0, 32, 12)),
        (TLS12, 0xC028, (48, 32, 0)),
        (TLS12, 0xC013, (20, 16, 0)),
        (TLS10, 0xC013, (20, 16, 16)),
    ],
)
def test_key_block(version: int, number: int, lengths: tuple[int, int, int]) -> None:
    client, server = key_block(version, known(number), bytes(48), b"c" * 32, b"s" * 32)
    assert tuple(map(len, client)) == tuple(map(len, server)) == lengths
    assert client != server


def test_transcript_hash() -> None:
    assert transcript_hash(TLS12, "sha384", b"m") == hashlib.sha384(b"m").digest()
    assert len(transcript_hash(TLS10, "sha256", b"m")) == 36
