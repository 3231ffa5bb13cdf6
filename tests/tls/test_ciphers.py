"""Record protection against records made here with the same primitives, sealed as the RFCs say."""

from __future__ import annotations

import hmac
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.tls.ciphers import tls12_opener, tls13_opener
from wsaudit.tls.schedule import TLS10, TLS12, traffic_keys
from wsaudit.tls.suites import Suite, suite

SECRET = bytes(range(32))
MAC_KEY, KEY, IV = b"m" * 48, b"k" * 16, b"i" * 16


def known(number: int) -> Suite:
    found = suite(number)
    assert found is not None
    return found


def seal13(sequence: int, content: bytes, kind: int = 23, padding: int = 0) -> bytes:
    key, iv = traffic_keys(SECRET, known(0x1301))
    inner = content + (bytes((kind,)) if kind else b"") + bytes(padding)
    nonce = (int.from_bytes(iv, "big") ^ sequence).to_bytes(12, "big")
    return AESGCM(key).encrypt(nonce, inner, struct.pack(">BHH", 23, 0x0303, len(inner) + 16))


@given(st.binary(max_size=100), st.integers(0, 300), st.integers(0, 2**64 - 1))
def test_tls13_padding(content: bytes, padding: int, sequence: int) -> None:
    opener = tls13_opener(SECRET, known(0x1301))
    assert opener.open(sequence, 23, 0x0303, seal13(sequence, content, 23, padding)) == (23, content)


def test_tls13_inner_type() -> None:
    opener = tls13_opener(SECRET, known(0x1301))
    assert opener.open(0, 23, 0x0303, seal13(0, b"\1\0", 21)) == (21, b"\1\0")
    assert opener.open(0, 23, 0x0303, seal13(0, b"", 0, padding=9)) == (0, b"")  # nothing but padding: no content type


def test_tls13_refuses_what_is_not_authentic() -> None:
    opener = tls13_opener(SECRET, known(0x1301))
    sealed = seal13(7, b"data")
    assert opener.open(8, 23, 0x0303, sealed) is None
    assert opener.open(7, 23, 0x0301, sealed) is None
    assert opener.open(7, 23, 0x0303, sealed[:-1]) is None
    assert opener.open(7, 23, 0x0303, b"") is None


@pytest.mark.parametrize("number", [0xC02F, 0xC0AE, 0xCCA8, 0xC013, 0xC027])
@pytest.mark.parametrize("encrypt_then_mac", [False, True])
@pytest.mark.parametrize("length", [0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 64, 200])
def test_tls12_refuses_nonsense_of_any_length(number: int, encrypt_then_mac: bool, length: int) -> None:
    chosen = known(number)
    iv = bytes(12 if chosen.kind == "chacha" else 4)
    opener = tls12_opener(TLS12, chosen, (bytes(32), bytes(chosen.key_length), iv), encrypt_then_mac)
    assert opener.open(0, 23, 0x0303, bytes(length)) is None


def seal_cbc(sequence: int, content: bytes, extra: int, encrypt_then_mac: bool, iv: bytes, explicit: bool, name: str) -> bytes:
    def mac(data: bytes) -> bytes:
        return hmac.digest(MAC_KEY, struct.pack(">QBHH", sequence, 23, 0x0303, len(data)) + data, name)

    plain = content if encrypt_then_mac else content + mac(content)
    pad = 15 - len(plain) % 16 + 16 * extra
    encryptor = Cipher(algorithms.AES(KEY), modes.CBC(iv)).encryptor()
    blocks = (iv if explicit else b"") + encryptor.update(plain + bytes((pad,)) * (pad + 1)) + encryptor.finalize()
    return blocks + mac(blocks) if encrypt_then_mac else blocks


@given(
    content=st.binary(max_size=70),
    extra=st.integers(0, 14),
    encrypt_then_mac=st.booleans(),
    number=st.sampled_from([0xC013, 0xC027]),
    flip=st.integers(0, 1000),
)
def test_cbc(content: bytes, extra: int, encrypt_then_mac: bool, number: int, flip: int) -> None:
    """Padding of every length, both MAC orders; one flipped bit anywhere is refused."""
    chosen = known(number)
    opener = tls12_opener(TLS12, chosen, (MAC_KEY, KEY, b""), encrypt_then_mac)
    sealed = seal_cbc(3, content, extra, encrypt_then_mac, IV, True, chosen.mac_name)
    assert opener.open(3, 23, 0x0303, sealed) == (23, content)
    assert opener.open(4, 23, 0x0303, sealed) is None
    assert len(sealed) >= opener.smallest
    place = flip % len(sealed)
    broken = sealed[:place] + bytes((sealed[place] ^ 1,)) + sealed[place + 1 :]
    assert opener.open(3, 23, 0x0303, broken) is None


@pytest.mark.parametrize("encrypt_then_mac", [False, True])
def test_cbc_of_tls10_chains_its_records(encrypt_then_mac: bool) -> None:
    opener = tls12_opener(TLS10, known(0xC013), (MAC_KEY, KEY, IV), encrypt_then_mac)
    mac = 20 if encrypt_then_mac else 0
    iv = IV
    for sequence in range(4):
        sealed = seal_cbc(sequence, b"record", 0, encrypt_then_mac, iv, False, "sha1")
        assert opener.open(sequence + 9, 23, 0x0303, sealed) is None  # trying does not spoil the chain
        assert opener.open(sequence, 23, 0x0303, sealed) == (23, b"record")
        iv = sealed[: len(sealed) - mac][-16:]


@pytest.mark.parametrize(("number", "overhead"), [(0xC02F, 24), (0xC0AE, 16), (0xC0AC, 24), (0xCCA8, 16), (0xC013, None)])
def test_plain_length(number: int, overhead: int | None) -> None:
    chosen = known(number)
    opener = tls12_opener(TLS12, chosen, (MAC_KEY, bytes(chosen.key_length), bytes(12)), False)
    assert opener.plain_length(100) == (None if overhead is None else 100 - overhead)
    assert tls13_opener(SECRET, known(0x1301)).plain_length(100) is None


def test_openers_show_no_keys() -> None:
    assert SECRET.hex() not in repr(tls13_opener(SECRET, known(0x1301)))
