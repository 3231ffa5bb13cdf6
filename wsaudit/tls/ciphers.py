"""Record protection undone: one object per key, `open(sequence, kind, version, body)` per record.

`open` gives (content type, plaintext), or None when the authentication fails; it never raises. This is the only module that
imports `cryptography`; the tunnel imports it with the first key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import Any, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from wsaudit.kernel.constants import AEAD_EXPLICIT, AEAD_IMPLICIT, AEAD_TLS13
from wsaudit.kernel.tls import Aead
from wsaudit.tls.schedule import TLS10, traffic_keys
from wsaudit.tls.suites import Suite

_additional = Struct(">QBHH").pack

_BLOCK = 16


class Opener(Protocol):
    """What opens the records of one direction under one key."""

    smallest: int  # bytes of the smallest body under this key

    def open(self, sequence: int, kind: int, version: int, body: memoryview | bytes) -> tuple[int, bytes] | None:
        """Undo the protection of one record's body."""

    def plain_length(self, length: int) -> int | None:
        """The plaintext bytes in a body of `length`; None when padding hides it."""


def tls13_opener(secret: bytes, suite: Suite) -> Opener:
    """For the traffic secret of one direction in TLS 1.3."""
    key, iv = traffic_keys(secret, suite)
    return Aead(_decrypt_into(suite, key), iv, AEAD_TLS13, suite.tag_length)


def tls12_opener(version: int, suite: Suite, keys: tuple[bytes, bytes, bytes], encrypt_then_mac: bool) -> Opener:
    """For one direction of TLS 1.0-1.2; `keys` as schedule.key_block gives them."""
    mac_key, key, iv = keys
    if suite.kind == "cbc":
        return _Cbc(version, key, iv, mac_key, suite.mac_name, encrypt_then_mac)
    return Aead(_decrypt_into(suite, key), iv, AEAD_IMPLICIT if suite.kind == "chacha" else AEAD_EXPLICIT, suite.tag_length)


def _decrypt_into(suite: Suite, key: bytes) -> Callable[[Any, Any, Any, Any], object]:
    """`decrypt_into(nonce, sealed, additional, target)` of a suite's cipher."""
    cipher: Any
    if suite.kind == "chacha":
        cipher = ChaCha20Poly1305(key)
    elif suite.kind == "ccm":
        cipher = AESCCM(key, suite.tag_length)
    else:
        cipher = AESGCM(key)
    return getattr(cipher, "decrypt_into", None) or partial(_decrypt_and_copy, cipher.decrypt)


def _decrypt_and_copy(decrypt: Callable[[Any, Any, Any], bytes], nonce: Any, sealed: Any, additional: Any, target: Any) -> None:
    """For releases of `cryptography` that cannot decrypt into a buffer."""
    target[:] = decrypt(nonce, sealed, additional)


class _Cbc:
    """AES-CBC with a MAC (RFC 5246 6.2.3.2), over the plaintext or (RFC 7366) over the ciphertext."""

    __slots__ = (
        "_algorithm",
        "_body",
        "_chained",
        "_encrypt_then_mac",
        "_iv",
        "_mac_key",
        "_mac_length",
        "_mac_name",
        "_next_iv",
        "smallest",
    )

    def __init__(self, version: int, key: bytes, iv: bytes, mac_key: bytes, mac_name: str, encrypt_then_mac: bool) -> None:
        self._algorithm = algorithms.AES(key)
        self._mac_key = mac_key
        self._mac_name = mac_name
        self._mac_length = hashlib.new(mac_name, usedforsecurity=False).digest_size
        self._encrypt_then_mac = encrypt_then_mac
        self._chained = version <= TLS10  # the iv is the last block of the record before
        self._iv = self._next_iv = iv
        self._body: memoryview | bytes = b""  # the record that `_iv` belongs to: it may be tried with many sequence numbers
        blocks = _BLOCK + self._mac_length if encrypt_then_mac else -(-(self._mac_length + 1) // _BLOCK) * _BLOCK
        self.smallest = blocks if self._chained else blocks + _BLOCK

    def open(self, sequence: int, kind: int, version: int, body: memoryview | bytes) -> tuple[int, bytes] | None:
        mac_length = self._mac_length
        if len(body) < self.smallest:
            return None
        blocks: memoryview | bytes = body
        if self._encrypt_then_mac:
            blocks, mac = body[:-mac_length], bytes(body[-mac_length:])
        if self._chained:
            iv = self._chain(body, blocks)
        if self._encrypt_then_mac and not self._is_authentic(sequence, kind, version, blocks, mac):
            return None
        if not self._chained:
            iv, blocks = bytes(blocks[:_BLOCK]), blocks[_BLOCK:]
        if len(blocks) % _BLOCK:
            return None
        decryptor = Cipher(self._algorithm, modes.CBC(iv)).decryptor()
        plain = decryptor.update(blocks) + decryptor.finalize()
        end = len(plain) - 1 - plain[-1] - (0 if self._encrypt_then_mac else mac_length)
        if end < 0 or plain.count(plain[-1], len(plain) - 1 - plain[-1]) != plain[-1] + 1:
            return None
        content = plain[:end]
        if not self._encrypt_then_mac and not self._is_authentic(sequence, kind, version, content, plain[end : end + mac_length]):
            return None
        return kind, content

    def plain_length(self, length: int) -> int | None:
        return None

    def _chain(self, body: memoryview | bytes, blocks: memoryview | bytes) -> bytes:
        """The initialization vector of a TLS 1.0 record (RFC 2246 6.2.3.2); the next one starts from its last block."""
        if body is not self._body:
            self._body, self._iv, self._next_iv = body, self._next_iv, bytes(blocks[-_BLOCK:])
        return self._iv

    def _is_authentic(self, sequence: int, kind: int, version: int, data: bytes | memoryview, mac: bytes) -> bool:
        message = _additional(sequence, kind, version, len(data)) + data
        return hmac.compare_digest(hmac.digest(self._mac_key, message, self._mac_name), mac)
