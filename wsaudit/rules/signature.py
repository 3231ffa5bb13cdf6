"""What handshake rules can look at, as a key: two handshakes with equal signatures break the same rules."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

from wsaudit.http.form import without_values
from wsaudit.http.head import Head
from wsaudit.session import Session

# Fields whose values rules read. Of all others only their presence counts: their values differ from connection to connection.
READ = frozenset(
    {
        "upgrade", "connection", "host", "origin", "user-agent", "content-length", "transfer-encoding", "sec-websocket-version",
        "sec-websocket-protocol", "sec-websocket-extensions", "www-authenticate", "location",
    }
)  # fmt: skip
KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")  # sixteen bytes in canonical base64


def signature(session: Session) -> tuple[Any, ...]:
    """The facts of the handshake of `session` that decide about rules, without what differs from connection to connection."""
    early, coalesced, headers = session.early_client_bytes > 0, session.coalesced is not None, session.client.frames.headers > 0
    if session.like is not None:
        return session.like, early, coalesced, headers, session.ongoing
    handshake = session.handshake
    assert handshake is not None
    key = handshake.key
    return (
        head_signature(handshake.request),
        head_signature(handshake.response),
        handshake.target and target_signature(handshake.target),
        handshake.informational,
        handshake.outcome,
        handshake.accept_ok or handshake.accept,
        (key is not None and KEY.fullmatch(key) is not None) or key,
        session.tls is not None,
        early,
        coalesced,
        headers,
        session.ongoing,
    )


def head_signature(head: Head | None) -> tuple[Any, ...] | None:
    """Of all but the target."""
    if head is None:
        return None
    form = head.form
    if form is None:
        return (form_signature(head), head.method, head.version, head.status, head.oddities)
    if form.signature is None:
        form.signature = numbered((form_signature(head), form.start))
    return (form.signature, head.method, head.version)


NUMBERS: dict[Any, int] = {}


def numbered(key: Any) -> int:
    """A number for a tuple of forty strings, which would be hashed for each connection. Equal ones have the same."""
    if len(NUMBERS) >= REMEMBERED:
        NUMBERS.clear()
    return NUMBERS.setdefault(key, next(COUNT))


REMEMBERED = 4096
COUNT = count()


def form_signature(head: Head) -> tuple[Any, ...]:
    """Of its fields."""
    read = READ
    fields = tuple([field if field[0] in read else field[0] for field in head.fields])
    secrets = authorization = None
    if "set-cookie" in fields:
        secrets = tuple([value.partition(";")[2] for value in head.get_all("set-cookie")])
    if "authorization" in fields:
        authorization = (head.get("authorization") or "").partition(" ")[0]
    return (fields, secrets, authorization)


def target_signature(target: str) -> str:
    """Of a path nothing but the names in its query; anything else whole."""
    if not target.startswith("/") or "#" in target:
        return target
    mark = target.find("?")
    return "/" if mark < 0 else without_values(target[mark:])
