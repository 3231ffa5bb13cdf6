"""Secrets from NSS key logs: text that OpenSSL, NSS, BoringSSL, Node and others write, from files and Decryption Secrets Blocks.

One line is `LABEL hex-identity hex-secret` (RFC 9850; the older forms with `RSA` are NSS's own). Only what the record layer can
use is kept; the exporter secrets, a fifth of a TLS 1.3 log, are skipped.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterable, Iterator

_PIECE = 1 << 20
_LONGEST_LINE = 1024  # the longest useful line has 8 + 1 + 96 + 1 + 96 digits

_MASTER = frozenset({48})
_HASHES = frozenset({32, 48})  # secrets of TLS 1.3 are as long as the suite's hash

# label -> (its byte in the store, lengths its identity may have, lengths its secret may have)
_LABELS: dict[bytes, tuple[int, frozenset[int], frozenset[int]]] = {
    b"CLIENT_RANDOM": (1, frozenset({32}), _MASTER),
    b"CLIENT_EARLY_TRAFFIC_SECRET": (2, frozenset({32}), _HASHES),
    b"CLIENT_HANDSHAKE_TRAFFIC_SECRET": (3, frozenset({32}), _HASHES),
    b"SERVER_HANDSHAKE_TRAFFIC_SECRET": (4, frozenset({32}), _HASHES),
    b"CLIENT_TRAFFIC_SECRET_0": (5, frozenset({32}), _HASHES),
    b"SERVER_TRAFFIC_SECRET_0": (6, frozenset({32}), _HASHES),
    b"PMS_CLIENT_RANDOM": (7, frozenset({32}), frozenset(range(1, 257))),
    b"RSA": (8, frozenset({8}), _MASTER),
    b"SESSION_ID": (9, frozenset(range(1, 33)), _MASTER),  # how `RSA Session-ID:... Master-Key:...` is stored
}
_SKIPPED = frozenset(
    {
        b"EXPORTER_SECRET",
        b"EARLY_EXPORTER_SECRET",
        b"CLIENT_TRAFFIC_SECRET_N",
        b"SERVER_TRAFFIC_SECRET_N",
        b"ECH_SECRET",
        b"ECH_CONFIG",
    }
)


class KeyStore:
    """The secrets of many TLS sessions, merged.

    Where a secret came from makes no difference, not even which section of a pcapng file: its identity is 32 random bytes, and a
    connection may go on in another file than the one with its keys. `version` grows with every secret added, so that a connection
    which waits for its keys knows when to look again; `final` says that none will be added. `held` is the number of bytes that
    all connections together keep back while they wait, at most `most_held`.

    A session takes one dictionary entry: the secrets of one identity are joined in one bytes object as (label, length,
    secret)..., which is half the size of the log's text, where an entry per line would be twice its size.
    """

    __slots__ = ("_identities", "final", "held", "most_held", "version")

    def __init__(self, most_held: int = 256 << 20) -> None:
        self._identities: dict[bytes, bytes] = {}
        self.final = False
        self.version = 0
        self.held = 0
        self.most_held = most_held

    def __repr__(self) -> str:
        return f"<KeyStore: {len(self._identities)} sessions>"

    def add(self, text: bytes) -> list[str]:
        """Take a whole key log; give notices about what could not be used. Never raises for what the text says."""
        return self.add_pieces(text[start : start + _PIECE] for start in range(0, len(text), _PIECE))

    def add_pieces(self, pieces: Iterable[bytes]) -> list[str]:
        """Take a key log in pieces of any size, such as reads of a large file; memory stays in proportion to the keys kept."""
        store = self._identities
        bad = contradicting = 0
        for line in _lines(pieces):
            if not line or line.startswith(b"#"):
                continue
            entry = _parse_line(line)
            if entry is None:
                bad += line.partition(b" ")[0] not in _SKIPPED
                continue
            label, identity, secret = entry
            known = store.get(identity, b"")
            earlier = _find(known, label)
            if earlier is None:
                store[identity] = known + bytes((label, len(secret) - 1)) + secret
                self.version += 1
            elif earlier != secret:
                contradicting += 1
        notices = []
        if bad:
            notices.append(f"key log: {bad} {'line is' if bad == 1 else 'lines are'} not a usable secret")
        if contradicting:
            notices.append(
                f"key log: {contradicting} secrets contradict an earlier line for the same session; the earlier one is used"
            )
        return notices

    def lookup(self, label: str, identity: bytes) -> bytes | None:
        """The secret of `label` for an identity: a client random; for "RSA" the first 8 bytes of the encrypted pre-master secret,
        for "SESSION_ID" a session id."""
        return _find(self._identities.get(identity, b""), _LABELS[label.encode()][0])

    def knows(self, client_random: bytes) -> bool:
        """Whether there is any secret for this client random."""
        return client_random in self._identities


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends. One that is too long for a secret comes cut, so that text without line ends fills no memory."""
    rest = b""
    for piece in pieces:
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()[:_LONGEST_LINE]
        for line in lines:
            yield line.strip()
    yield rest.strip()


def _parse_line(line: bytes) -> tuple[int, bytes, bytes] | None:
    words = line.split()
    if len(words) != 3:
        return None
    name, identity, secret = words
    if name == b"RSA" and identity.startswith(b"Session-ID:"):
        name, identity, secret = b"SESSION_ID", identity.partition(b":")[2], secret.removeprefix(b"Master-Key:")
    known = _LABELS.get(name)
    if known is None:
        return None
    label, identity_lengths, secret_lengths = known
    try:
        entry = label, unhexlify(identity), unhexlify(secret)
    except ValueError:
        return None
    if len(entry[1]) not in identity_lengths or len(entry[2]) not in secret_lengths:
        return None
    return entry


def _find(joined: bytes, label: int) -> bytes | None:
    position = 0
    while position < len(joined):
        end = position + 3 + joined[position + 1]
        if joined[position] == label:
            return joined[position + 2 : end]
        position = end
    return None
