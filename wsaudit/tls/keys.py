"""What opens the records of a session: from its hellos and the key log to record keys (RFC 8446 7, RFC 5246 6.3, 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsaudit.tls.handshake import ClientHello, ServerHello
from wsaudit.tls.keylog import KeyStore
from wsaudit.tls.schedule import TLS13, key_block, prf, updated_secret
from wsaudit.tls.suites import Suite

if TYPE_CHECKING:
    from wsaudit.tls.ciphers import Opener

CLIENT, SERVER = 0, 1

# The keys of one direction of TLS 1.3 in the order they are used; from APPLICATION on, each KeyUpdate counts one up.
EARLY, RECORDS_OF_HANDSHAKE, APPLICATION = 0, 1, 2

LABELS: dict[tuple[int, int], str] = {
    (CLIENT, EARLY): "CLIENT_EARLY_TRAFFIC_SECRET",
    (CLIENT, RECORDS_OF_HANDSHAKE): "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    (SERVER, RECORDS_OF_HANDSHAKE): "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    (CLIENT, APPLICATION): "CLIENT_TRAFFIC_SECRET_0",
    (SERVER, APPLICATION): "SERVER_TRAFFIC_SECRET_0",
}


class Session:
    """One handshake: what both sides said, and the secrets that follow. No repr: it holds secrets."""

    __slots__ = ("client", "finished", "full", "master", "premaster_name", "server", "session_hash", "suite", "transcript")

    def __init__(self, client: ClientHello | None) -> None:
        self.client = client
        self.server: ServerHello | None = None
        self.suite: Suite | None = None
        self.master: bytes | None = None
        self.full = False  # keys were exchanged: no resumption
        self.premaster_name = b""
        self.session_hash = b""
        self.transcript = bytearray()
        self.finished = [False, False]

    @property
    def answered(self) -> bool:
        """Whether the server has chosen version and suite."""
        return self.server is not None and not self.server.retry

    @property
    def is_tls13(self) -> bool:
        """Whether the server chose TLS 1.3; a HelloRetryRequest says so too."""
        return self.server is not None and self.server.version == TLS13


class Keys:
    """What opens the records of one direction for a while. No repr: it holds secrets."""

    __slots__ = ("epoch", "opener", "secret")

    def __init__(self, epoch: int, opener: Opener, secret: bytes) -> None:
        self.epoch = epoch
        self.opener = opener
        self.secret = secret


def tls13_keys(store: KeyStore, session: Session, side: int, epoch: int) -> Keys | None:
    """What opens a side's records of an epoch, None while its secret is not known."""
    label = LABELS.get((side, epoch))
    if session.client is None or session.suite is None or label is None:
        return None
    secret = store.lookup(label, session.client.random)
    if secret is None:
        return None
    from wsaudit.tls.ciphers import tls13_opener

    return Keys(epoch, tls13_opener(secret, session.suite), secret)


def updated_keys(session: Session, keys: Keys) -> Keys:
    """The keys after a KeyUpdate."""
    from wsaudit.tls.ciphers import tls13_opener

    assert session.suite is not None  # there were keys
    secret = updated_secret(keys.secret, session.suite)
    return Keys(keys.epoch + 1, tls13_opener(secret, session.suite), secret)


def tls12_keys(store: KeyStore, session: Session, side: int) -> Keys | None:
    """What opens a side's records after its ChangeCipherSpec, None while the master secret is not known."""
    client, server, chosen = session.client, session.server, session.suite
    if client is None or server is None or chosen is None:
        return None
    session.master = session.master or master_secret(store, session, client, server, chosen)
    if session.master is None:
        return None
    from wsaudit.tls.ciphers import tls12_opener

    block = key_block(server.version, chosen, session.master, client.random, server.random)
    return Keys(0, tls12_opener(server.version, chosen, block[side], server.encrypt_then_mac), session.master)


def master_secret(store: KeyStore, session: Session, client: ClientHello, server: ServerHello, chosen: Suite) -> bytes | None:
    """The master secret: from the key log, or derived from the pre-master secret there (RFC 5246 8.1, RFC 7627 4)."""
    master = store.lookup("CLIENT_RANDOM", client.random)
    if master is None and server.session_id:
        master = store.lookup("SESSION_ID", server.session_id)
    if master is not None:
        return master
    premaster = store.lookup("PMS_CLIENT_RANDOM", client.random)
    if premaster is None and session.premaster_name:
        premaster = store.lookup("RSA", session.premaster_name)
    if premaster is None:
        return None
    if server.extended_master:
        return prf(server.version, chosen.hash_name, premaster, b"extended master secret", session.session_hash, 48)
    return prf(server.version, chosen.hash_name, premaster, b"master secret", client.random + server.random, 48)


def has_keys(store: KeyStore, session: Session) -> bool:
    """Whether there is any secret for a session whose both hellos are known."""
    client, server, chosen = session.client, session.server, session.suite
    if client is None or store.knows(client.random):
        return client is not None
    return server is not None and chosen is not None and master_secret(store, session, client, server, chosen) is not None


def fits(store: KeyStore, client_random: bytes, chosen: Suite) -> bool:
    """Whether there are secrets of TLS 1.3 for a session, of the size of a suite's hash."""
    found = (store.lookup(label, client_random) for label in LABELS.values())
    return any(secret is not None and len(secret) == chosen.hash_size for secret in found)
