"""Handshake messages: put together across records, and the few that matter read (RFC 8446 4, RFC 5246 7.4).

Certificates are not read: nothing that is judged depends on them. Every length is hostile until checked; a hello that breaks off
gives what came before the break.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, END_OF_EARLY_DATA, ENCRYPTED_EXTENSIONS = 1, 2, 4, 5, 8
CERTIFICATE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE, CLIENT_KEY_EXCHANGE, FINISHED, KEY_UPDATE = 11, 13, 14, 16, 20, 24

_SNI, _ALPN, _ENCRYPT_THEN_MAC, _EXTENDED_MASTER, _PRE_SHARED_KEY, _EARLY_DATA, _VERSIONS = 0, 16, 22, 23, 41, 42, 43

# A ServerHello with this random is a HelloRetryRequest: the SHA-256 of that name (RFC 8446 4.1.3).
_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

# Real messages stay far below this, certificate chains with post-quantum signatures included. What is larger is stepped over.
_LARGEST_MESSAGE = 1 << 17


class MessageBuffer:
    """Handshake messages of one direction, whose pieces may lie in several records or several in one."""

    __slots__ = ("_buffer", "_skip")

    def __init__(self) -> None:
        self._buffer = b""
        self._skip = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The messages, each with its header of 4 bytes, that `data` completes."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        buffer = self._buffer + data if self._buffer else data
        messages = []
        position = 0
        while len(buffer) - position >= 4:
            end = position + 4 + int.from_bytes(buffer[position + 1 : position + 4], "big")
            if end > len(buffer):
                if end - position > _LARGEST_MESSAGE:
                    self._skip = end - len(buffer)
                    position = len(buffer)
                break
            messages.append(buffer[position:end])
            position = end
        self._buffer = buffer[position:]
        return messages

    def clear(self) -> None:
        """Forget what has begun: the rest of it is lost."""
        self._buffer = b""
        self._skip = 0


@dataclass(slots=True)
class ClientHello:
    """What a ClientHello offers. `random` is what key logs name a session by."""

    random: bytes = b""
    session_id: bytes = b""
    version: int = 0
    versions: tuple[int, ...] = ()
    suites: tuple[int, ...] = ()
    server_name: str | None = None
    alpn: tuple[str, ...] = ()
    early_data: bool = False
    complete: bool = False


@dataclass(slots=True)
class ServerHello:
    """What a ServerHello chose. `version` is the negotiated one, from supported_versions when that is there; `suite` is the
    number on the wire; `retry` marks a HelloRetryRequest."""

    random: bytes = b""
    session_id: bytes = b""
    version: int = 0
    suite: int = 0
    compression: int = 0
    alpn: str | None = None
    encrypt_then_mac: bool = False
    extended_master: bool = False
    pre_shared_key: bool = False
    retry: bool = False
    complete: bool = False


@dataclass(slots=True)
class EncryptedExtensions:
    """The two of a TLS 1.3 server's encrypted extensions that say something about the connection."""

    alpn: str | None = None
    early_data: bool = False


class _BrokenOff(Exception):
    """A length in a message points past its end."""


@dataclass(slots=True)
class _Cursor:
    """Reads a message from its start; raises _BrokenOff instead of reading past its end."""

    data: bytes = field(repr=False)
    position: int = 0

    def take(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self.data):
            raise _BrokenOff
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> bytes:
        """A vector that its length in `width` bytes precedes."""
        return self.take(self.number(width))

    @property
    def more(self) -> bool:
        return self.position < len(self.data)


def parse_client_hello(message: bytes) -> ClientHello:
    """Read a whole ClientHello message, header included (RFC 8446 4.1.2)."""
    hello = ClientHello()
    cursor = _Cursor(message, 4)
    try:
        hello.version = cursor.number(2)
        hello.versions = (hello.version,)
        hello.random = cursor.take(32)
        hello.session_id = cursor.vector(1)
        hello.suites = _numbers(cursor.vector(2))
        cursor.vector(1)
        for kind, body in _extensions(cursor):
            if kind == _SNI:
                hello.server_name = _server_name(body)
            elif kind == _ALPN:
                hello.alpn = _protocols(body)
            elif kind == _EARLY_DATA:
                hello.early_data = True
            elif kind == _VERSIONS:
                hello.versions = _numbers(_Cursor(body).vector(1))
        hello.complete = True
    except _BrokenOff:
        pass
    return hello


def parse_server_hello(message: bytes) -> ServerHello:
    """Read a whole ServerHello message, header included (RFC 8446 4.1.3)."""
    hello = ServerHello()
    cursor = _Cursor(message, 4)
    try:
        hello.version = cursor.number(2)
        hello.random = cursor.take(32)
        hello.retry = hello.random == _RETRY_RANDOM
        hello.session_id = cursor.vector(1)
        hello.suite = cursor.number(2)
        hello.compression = cursor.number(1)
        for kind, body in _extensions(cursor):
            if kind == _ALPN:
                hello.alpn = next(iter(_protocols(body)), None)
            elif kind == _ENCRYPT_THEN_MAC:
                hello.encrypt_then_mac = True
            elif kind == _EXTENDED_MASTER:
                hello.extended_master = True
            elif kind == _PRE_SHARED_KEY:
                hello.pre_shared_key = True
            elif kind == _VERSIONS:
                hello.version = _Cursor(body).number(2)
        hello.complete = True
    except _BrokenOff:
        pass
    return hello


def parse_encrypted_extensions(message: bytes) -> EncryptedExtensions:
    """Read a whole EncryptedExtensions message, header included (RFC 8446 4.3.1)."""
    found = EncryptedExtensions()
    try:
        for kind, body in _extensions(_Cursor(message, 4)):
            if kind == _ALPN:
                found.alpn = next(iter(_protocols(body)), None)
            elif kind == _EARLY_DATA:
                found.early_data = True
    except _BrokenOff:
        pass
    return found


def encrypted_premaster(message: bytes) -> bytes:
    """The encrypted pre-master secret of an RSA ClientKeyExchange (RFC 5246 7.4.7.1); key logs name it by its first 8 bytes."""
    try:
        return _Cursor(message, 4).vector(2)
    except _BrokenOff:
        return b""


def session_ticket(message: bytes) -> bytes:
    """The ticket of a TLS 1.2 NewSessionTicket (RFC 5077 3.3)."""
    try:
        return _Cursor(message, 8).vector(2)
    except _BrokenOff:
        return b""


def _extensions(cursor: _Cursor) -> list[tuple[int, bytes]]:
    if not cursor.more:
        return []
    inside = _Cursor(cursor.vector(2))
    found = []
    while inside.more:
        kind = inside.number(2)
        found.append((kind, inside.vector(2)))
    return found


def _numbers(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data) - 1, 2))


def _server_name(body: bytes) -> str | None:
    """The host_name of a server_name extension (RFC 6066 3)."""
    names = _Cursor(_Cursor(body).vector(2))
    while names.more:
        kind = names.number(1)
        name = names.vector(2)
        if kind == 0:
            return name.decode("ascii", "backslashreplace")
    return None


def _protocols(body: bytes) -> tuple[str, ...]:
    """The names of an ALPN extension (RFC 7301 3.1)."""
    names = _Cursor(_Cursor(body).vector(2))
    found = []
    while names.more:
        found.append(names.vector(1).decode("ascii", "backslashreplace"))
    return tuple(found)
