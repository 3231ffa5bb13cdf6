"""The opening handshake over HTTP/1.1: a request and its response → `Handshake` (RFC 6455 §4, RFC 9110 §7.8)."""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from typing import NamedTuple

from wsaudit.http.credentials import auth_kinds
from wsaudit.http.head import Head
from wsaudit.kernel.constants import GUID

__all__ = [
    "Handshake",
    "accept_for",
    "another_handshake",
    "asks_for_websocket",
    "auth_kinds",
    "build_handshake",
    "is_upgrade_request",
    "is_upgrade_response",
    "switches_to_other",
]

KEY, ACCEPT = "sec-websocket-key", "sec-websocket-accept"
OTHER_PROTOCOLS = frozenset(("h2c", "h2", "http", "tls"))
MAX_PARTNERS = 8  # forms of answers remembered for a form of requests
Text = str | None
Texts = tuple[str, ...]
Common = tuple[Text, Text, Text, Text, Text, Texts, Text, Texts, Texts]  # Handshake's fields from `host` to `extensions_lines`
_NOTHING = {""}


class Handshake(NamedTuple):
    """What one opening handshake said. None: not sent, or not captured.

    `outcome`: accepted (a 101 that the client must take), invalid (a 101 that it must refuse; `defects` says why), refused
    (another final status), unanswered (no final response), not-captured (no head at all).

    `defects` of a 101 (RFC 6455 §4.1): no-upgrade, wrong-upgrade, no-connection-upgrade, no-key (of the request), no-accept,
    wrong-accept, unoffered-subprotocol, unoffered-extension.

    `accept_ok`: whether the 101's Accept fits the key as it was sent; None: nothing to compare.

    `latency_ns`: from the last byte of the request to the first of the response.
    """

    request: Head | None
    response: Head | None
    informational: tuple[int, ...]
    outcome: str
    status: int | None = None
    defects: tuple[str, ...] = ()
    key: str | None = None
    accept: str | None = None
    accept_expected: str | None = None
    accept_ok: bool | None = None
    target: str | None = None
    host: str | None = None
    origin: str | None = None
    user_agent: str | None = None
    server_header: str | None = None
    location: str | None = None
    subprotocols_offered: tuple[str, ...] = ()
    subprotocol: str | None = None
    extensions_offered_lines: tuple[str, ...] = ()
    extensions_lines: tuple[str, ...] = ()
    latency_ns: int | None = None
    pipelined_bytes_after_request: int = 0
    coalesced: bool = False


def accept_for(key: str) -> str:
    """The `Sec-WebSocket-Accept` that answers this key (RFC 6455 §4.2.2), whatever the key is."""
    digest = hashlib.sha1(key.encode("latin-1", "replace") + GUID, usedforsecurity=False).digest()
    return b2a_base64(digest, newline=False).decode("ascii")


def is_upgrade_request(head: Head) -> bool:
    """Whether a request tries to open a WebSocket, however badly: `Upgrade` names websocket, or any `Sec-WebSocket-*` field is
    there, or the target is a ws URL. A plain GET is none: nothing tells it from any other."""
    if head.kind != "request":
        return False
    form = head.form
    if form is None:
        asks = not head.plain and _asks_for_upgrade(head)
    elif form.upgrade is None:
        asks = form.upgrade = _asks_for_upgrade(head)
    else:
        asks = form.upgrade
    return asks or head.target[:6].lower().startswith(("ws://", "wss://"))


def _asks_for_upgrade(head: Head) -> bool:
    upgrade = head.get("upgrade")
    if upgrade is not None and (upgrade.lower() == "websocket" or _names_websocket(head)):
        return True
    return _has_websocket_field(head)


def is_upgrade_response(head: Head) -> bool:
    """Whether a response says by itself that it is about a WebSocket: a 101 to websocket, or a refusal that names it (426)."""
    return head.kind == "response" and not head.plain and (_names_websocket(head) or _has_websocket_field(head))


def switches_to_other(request: Head | None, response: Head) -> bool:
    """Whether a 101 switches to a protocol that is no WebSocket (RFC 9110 §7.8): one that the request itself names, beside or
    instead of a WebSocket's fields, or HTTP/2 (RFC 7540 §3.2) or TLS (RFC 2817) whatever it asked for. What follows are no
    frames."""
    if response.get("upgrade") is None or response.status != 101 or "websocket" in (response.combined("upgrade") or "").lower():
        return False
    names = set(response.tokens("upgrade"))
    asked = set() if request is None else set(request.tokens("upgrade"))
    return not names.isdisjoint(asked) or any(name.partition("/")[0] in OTHER_PROTOCOLS for name in names)


def asks_for_websocket(request: Head) -> bool:
    """Whether the request wants a WebSocket and nothing else: its Upgrade names it, or nothing at all."""
    return request.get("upgrade") is None or _names_websocket(request)


def _names_websocket(head: Head) -> bool:
    return any(token == "websocket" or token.startswith("websocket/") for token in head.tokens("upgrade"))


def _has_websocket_field(head: Head) -> bool:
    return any(name.startswith("sec-websocket-") for name, _ in head.fields)


def build_handshake(request: Head | None, response: Head | None, informational: tuple[int, ...] = ()) -> Handshake:
    """Compare the two heads. `response` is the final one (a 101 is final); `informational` are the statuses of 1xx before it."""
    if request is None or response is None or request.form is None or response.form is None:
        return _compare(request, response, informational)
    common = request.form.handshakes.get(response.form)
    if common is not None:
        repeated = _repeat(request, response, informational, common)
        if repeated is not None:
            return repeated
    handshake = _compare(request, response, informational)
    if handshake.outcome == "accepted" and KEY in request.form.turn and ACCEPT in response.form.turn:
        if len(request.form.handshakes) >= MAX_PARTNERS:
            request.form.handshakes.clear()
        request.form.handshakes[response.form] = common_of(handshake)
    return handshake


def _repeat(request: Head, response: Head, informational: tuple[int, ...], common: Common) -> Handshake | None:
    """An accepted handshake whose two heads have the forms of an earlier one: only the key can have gone wrong (then None)."""
    key, accept = request.get(KEY), response.get(ACCEPT)
    if key is None:
        return None
    expected = accept_for(key)
    if accept != expected:
        return None
    return _accepted(request, response, informational, key, accept, common)


def _accepted(request: Head, response: Head, informational: tuple[int, ...], key: str, accept: str, common: Common) -> Handshake:
    latency = response.time - request.end_time if response.time >= request.end_time else None
    return Handshake(
        request, response, informational, "accepted", 101, (), key, accept, accept, True, request.target, *common, latency
    )


def another_handshake(like: Handshake, request: Head, response: Head, key: str, accept: str) -> Handshake:
    """An accepted handshake whose heads have the forms of those of `like`, and an `accept` that fits its `key`."""
    return _accepted(request, response, (), key, accept, common_of(like))


def common_of(handshake: Handshake) -> Common:
    """What it has in common with all whose heads have the same forms."""
    return (
        handshake.host, handshake.origin, handshake.user_agent, handshake.server_header, handshake.location,
        handshake.subprotocols_offered, handshake.subprotocol, handshake.extensions_offered_lines, handshake.extensions_lines,
    )  # fmt: skip


def _compare(request: Head | None, response: Head | None, informational: tuple[int, ...]) -> Handshake:
    handshake = Handshake(request, response, informational, "not-captured")
    if request is not None:
        key = request.get("sec-websocket-key")
        handshake = handshake._replace(
            outcome="unanswered",
            key=key,
            accept_expected=None if key is None else accept_for(key),
            target=request.target,
            host=request.get("host"),
            origin=request.get("origin"),
            user_agent=request.get("user-agent"),
            subprotocols_offered=_elements(request, "sec-websocket-protocol"),
            extensions_offered_lines=tuple(request.get_all("sec-websocket-extensions")),
        )
    if response is not None:
        latency = None
        if request is not None and response.time >= request.end_time:
            latency = response.time - request.end_time
        handshake = handshake._replace(
            outcome="refused",
            status=response.status,
            server_header=response.get("server"),
            location=response.get("location"),
            latency_ns=latency,
        )
        if response.status == 101:
            return _with_acceptance(handshake, response)
    return handshake


def _with_acceptance(handshake: Handshake, response: Head) -> Handshake:
    handshake = handshake._replace(
        accept=response.combined("sec-websocket-accept"),
        subprotocol=response.get("sec-websocket-protocol"),
        extensions_lines=tuple(response.get_all("sec-websocket-extensions")),
    )
    if handshake.accept_expected is not None:
        fits = handshake.accept == handshake.accept_expected or _fits_repeated_key(handshake)
        handshake = handshake._replace(accept_ok=fits)
    defects = tuple(_find_defects(handshake, response))
    return handshake._replace(outcome="invalid" if defects else "accepted", defects=defects)


def _fits_repeated_key(handshake: Handshake) -> bool:
    """Of several Sec-WebSocket-Key lines servers take the first, the last, or all of them joined (tornado): which one the client
    compares with, nobody knows."""
    keys = handshake.request.get_all("sec-websocket-key") if handshake.request is not None else []
    return len(keys) > 1 and any(handshake.accept == accept_for(key) for key in (*keys, ",".join(keys), ", ".join(keys)))


def _find_defects(handshake: Handshake, response: Head) -> list[str]:
    """Why a client must refuse this 101. What needs the request is left out when there is none."""
    defects = []
    upgrade = response.combined("upgrade")
    if upgrade is None:
        defects.append("no-upgrade")
    elif upgrade.lower() != "websocket":
        defects.append("wrong-upgrade")
    connection = response.get("connection")
    if connection is None or (connection.lower() != "upgrade" and "upgrade" not in response.tokens("connection")):
        defects.append("no-connection-upgrade")
    if handshake.accept is None:
        defects.append("no-accept")
    elif handshake.accept_ok is False:
        defects.append("wrong-accept")
    if handshake.request is None:
        return defects
    if handshake.key is None:
        defects.append("no-key")
    if handshake.subprotocol and handshake.subprotocol not in handshake.subprotocols_offered:
        defects.append("unoffered-subprotocol")
    if handshake.extensions_lines and _has_unoffered(handshake.extensions_offered_lines, handshake.extensions_lines):
        defects.append("unoffered-extension")
    return defects


def _elements(head: Head, name: str) -> tuple[str, ...]:
    """A comma list in its own case (subprotocols are case-sensitive), empty elements dropped."""
    return tuple(element for value in head.get_all(name) for each in value.split(",") if (element := each.strip(" \t")))


def _has_unoffered(offered: tuple[str, ...], accepted: tuple[str, ...]) -> bool:
    """Whether an extension was clearly never offered. A quoted string may hold commas, so with one in the response only "nothing
    was offered at all" is clear."""
    names, chosen = _extension_names(",".join(offered)), _extension_names(",".join(accepted))
    if not names or '"' in "".join(accepted):
        return bool(chosen) and not names
    return not chosen <= names


def _extension_names(value: str) -> set[str]:
    return {each.partition(";")[0].strip(" \t").lower() for each in value.split(",")} - _NOTHING
