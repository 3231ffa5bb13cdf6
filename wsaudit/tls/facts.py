"""What is known of a TLS connection: facts for the report, no judgement about the WebSocket inside."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsaudit.kernel.tls import RecordCounts

# RFC 8446 6, and those of earlier versions (RFC 5246 7.2).
ALERTS: dict[int, str] = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
    121: "ech_required",
}
CERTIFICATE_ALERTS = frozenset({41, 42, 43, 44, 45, 46, 48, 49, 111, 113, 114, 116})

# Why a handshake failed -> a sentence about it.
FAILURES: dict[str, str] = {
    "certificate": "a certificate was not accepted",
    "no-common-cipher": "the two sides have no cipher suite in common",
    "protocol-version": "the two sides have no TLS version in common",
    "no-common-protocol": "the two sides have no application protocol (ALPN) in common",
    "server-name": "the server does not know the name the client asked for",
    "not-tls": "the answer to the ClientHello was not TLS",
    "protocol": "one side found fault with the other's handshake",
}

# Why a connection, or the rest of it, stays closed -> a sentence about it.
REASONS: dict[str, str] = {
    "no-key-log": "no key log and no decryption secrets were given",
    "no-key-for-client-random": "the key log has no key for this client random",
    "incomplete-keys": "the key log has only some of the secrets of this connection",
    "handshake-not-captured": "the TLS handshake was not captured, so the keys cannot be told",
    "handshake-incomplete": "the TLS handshake did not come to its end",
    "unsupported-version": "this version of TLS cannot be opened",
    "unsupported-cipher": "this cipher suite cannot be opened",
    "compressed": "the records are compressed, which cannot be undone",
    "lost-records": "records are missing from the capture and what follows could not be read",
    "wrong-keys": "the key log's keys do not fit this connection: it belongs to another session",
    "corrupt-record": "a record is damaged: its authentication failed although those before it were fine",
    "waiting-limit": "the keys came after more had been sent than is kept back for them",
    "not-tls": "one side does not speak TLS",
}


@dataclass(slots=True)
class Alert:
    """One alert. `level` and `code` are None when it could not be decrypted; `name` then says "encrypted alert"."""

    side: int
    level: int | None
    code: int | None
    name: str
    time: int
    packet: int
    encrypted: bool

    @property
    def is_fatal(self) -> bool:
        """Whether the alert ends the connection with an error. TLS 1.3 ignores the level (RFC 8446 6)."""
        return self.code is not None and self.code not in (0, 90, 100) and (self.level == 2 or self.code in CERTIFICATE_ALERTS)


@dataclass(slots=True)
class TlsFacts:
    """Facts about one TLS connection. Lists of two are by side: client, server.

    `decrypted`: at least one record was opened. `why_not` is a key of REASONS: why the connection, or with `decrypted` the rest
    of it, could not be read. `handshake_failed` is a key of FAILURES and `failed_by` the side that gave up (for "not-tls": that
    does not speak TLS). `handshake_complete` in TLS 1.3 without keys is inferred: the server answered the client's encrypted
    records with more than an alert. `early_data` is what became of 0-RTT data, "accepted" or "rejected", None when none was
    offered or it cannot be told; `early_data_bytes` counts what was rejected (ciphertext where it cannot be opened): the
    server's application never got it. `begun`: the ClientHello was captured. `partial_record`: a side ended in the middle of a
    record. `flight`: encrypted records of the server until both sides had finished the handshake, -1 before that or without keys.
    """

    version: str | None = None
    cipher: str | None = None
    sni: str | None = None
    alpn: str | None = None
    alpn_offered: tuple[str, ...] = ()
    decrypted: bool = False
    why_not: str | None = None
    resumed: bool = False
    early_data: str | None = None
    early_data_bytes: int = 0
    alerts: list[Alert] = field(default_factory=list)
    close_notify: list[bool] = field(default_factory=lambda: [False, False])
    begun: bool = True
    handshake_complete: bool = False
    handshake_failed: str | None = None
    failed_by: int | None = None
    renegotiations: int = 0
    key_updates: list[int] = field(default_factory=lambda: [0, 0])
    gaps: int = 0
    flight: int = -1
    partial_record: list[bool] = field(default_factory=lambda: [False, False])
    records: list[RecordCounts] = field(default_factory=lambda: [RecordCounts(), RecordCounts()])


def version_name(version: int) -> str:
    """The usual name of a protocol version on the wire."""
    if version >> 8 == 3:
        return "SSL 3.0" if version == 0x0300 else f"TLS 1.{(version & 0xFF) - 1}"
    return f"0x{version:04X}"


def failure(alert: Alert, empty_certificate: bool, answered: bool) -> str:
    """Why a handshake failed (a key of FAILURES) that a fatal alert ended. `empty_certificate`: the client said that it has none;
    `answered`: there was a ServerHello."""
    refused = alert.code == 40 and alert.side == 1  # handshake_failure of the server
    if alert.code in CERTIFICATE_ALERTS or (refused and empty_certificate):
        return "certificate"
    if alert.code == 71 or (refused and not answered):
        return "no-common-cipher"
    codes = {70: "protocol-version", 86: "protocol-version", 112: "server-name", 120: "no-common-protocol"}
    return codes.get(alert.code or 0, "protocol")
