"""What handshake rules can look at, as a key: two handshakes with equal signatures break the same rules."""

from __future__ import annotations

import re
from typing import Any

from wsaudit.http.head import Head
from wsaudit.session import Session

# Fields whose values rules read. Of all others only their presence counts: their values differ from connection to connection.
READ = frozenset(
    {
        "upgrade", "connection", "host", "origin", "user-agent", "content-length", "transfer-encoding", "sec-websocket-version",
        "sec-websocket-protocol", "sec-websocket-extensions", "www-authenticate", "set-cookie", "location",
    }
)  # fmt: skip
KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")  # sixteen bytes in canonical base64


def signature(session: Session) -> tuple[Any, ...]:
    """The facts of the handshake of `session` that decide about rules, without what differs from connection to connection."""
    handshake = session.handshake
    assert handshake is not None
    key = handshake.key
    return (
        head_signature(handshake.request),
        head_signature(handshake.response),
        handshake.informational,
        handshake.outcome,
        handshake.accept_ok,
        key is not None and KEY.fullmatch(key) is not None,
        session.early_client_bytes > 0,
        session.coalesced is not None,
        session.tls is not None,
        bool(session.client.frames.headers),
        session.ongoing,
    )


def head_signature(head: Head | None) -> tuple[Any, ...] | None:
    if head is None:
        return None
    read = READ
    fields = tuple([field if field[0] in read else field[0] for field in head.fields])
    return (fields, head.method, head.target, head.version, head.status, head.oddities)
