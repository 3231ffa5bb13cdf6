"""From secrets to record keys: the key schedules of TLS 1.0-1.2 (RFC 5246 5, 6.3, 8.1) and of TLS 1.3 (RFC 8446 7)."""

from __future__ import annotations

import hashlib
import hmac

from wsaudit.tls.suites import Suite

TLS10, TLS11, TLS12, TLS13 = 0x0301, 0x0302, 0x0303, 0x0304


def expand_label(secret: bytes, label: bytes, length: int, hash_name: str) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446 7.1): `length` bytes, at most those of one hash."""
    info = length.to_bytes(2, "big") + bytes((len(label) + 6,)) + b"tls13 " + label + b"\0"
    return hmac.digest(secret, info + b"\x01", hash_name)[:length]


def traffic_keys(secret: bytes, suite: Suite) -> tuple[bytes, bytes]:
    """(key, iv) of one direction in TLS 1.3 (RFC 8446 7.3)."""
    return expand_label(secret, b"key", suite.key_length, suite.hash_name), expand_label(secret, b"iv", 12, suite.hash_name)


def updated_secret(secret: bytes, suite: Suite) -> bytes:
    """The traffic secret that follows a KeyUpdate (RFC 8446 7.2)."""
    return expand_label(secret, b"traffic upd", len(secret), suite.hash_name)


def prf(version: int, hash_name: str, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """The pseudorandom function: the suite's hash in TLS 1.2 (RFC 5246 5); before, MD5 and SHA-1 over half the secret each (RFC
    2246 5)."""
    if version >= TLS12:
        return _p_hash(hash_name, secret, label + seed, length)
    half = (len(secret) + 1) // 2
    left = _p_hash("md5", secret[:half], label + seed, length)
    right = _p_hash("sha1", secret[len(secret) - half :], label + seed, length)
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def transcript_hash(version: int, hash_name: str, messages: bytes) -> bytes:
    """The hash of handshake messages that the extended master secret uses (RFC 7627 3)."""
    if version >= TLS12:
        return hashlib.new(hash_name, messages).digest()
    return hashlib.md5(messages, usedforsecurity=False).digest() + hashlib.sha1(messages, usedforsecurity=False).digest()


def key_block(
    version: int, suite: Suite, master: bytes, client_random: bytes, server_random: bytes
) -> list[tuple[bytes, bytes, bytes]]:
    """[(MAC key, key, iv) of the client, ... of the server] for TLS 1.0-1.2 (RFC 5246 6.3).

    The iv is the fixed part of the nonce for AEAD suites (4 bytes, 12 for ChaCha20-Poly1305: RFC 7905) and the first
    initialization vector for CBC in TLS 1.0; later CBC records carry their own.
    """
    mac_length = hashlib.new(suite.mac_name, usedforsecurity=False).digest_size if suite.mac_name else 0
    iv_length = {"chacha": 12, "gcm": 4, "ccm": 4}.get(suite.kind, 16 if version == TLS10 else 0)
    lengths = [mac_length] * 2 + [suite.key_length] * 2 + [iv_length] * 2
    block = prf(version, suite.hash_name, master, b"key expansion", server_random + client_random, sum(lengths))
    parts = []
    position = 0
    for length in lengths:
        parts.append(block[position : position + length])
        position += length
    return [(parts[0], parts[2], parts[4]), (parts[1], parts[3], parts[5])]


def _p_hash(hash_name: str, secret: bytes, seed: bytes, length: int) -> bytes:
    result = b""
    link = seed
    while len(result) < length:
        link = hmac.digest(secret, link, hash_name)
        result += hmac.digest(secret, link + seed, hash_name)
    return result[:length]
