"""Our endings in the words of Cloudflare's Logpush dataset `websocket_analytics`, for those who compare with edge logs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from wsaudit.registry.loader import Entry, entries, read

REASONS = ("none", "unspecifiedError", "timedOut", "peerReset", "upstreamReset", "protocolViolation", "peerNoError")
SOURCES = ("upstream", "downstream", "me", "both")


class CloudflareClose(NamedTuple):
    """What Cloudflare would log: candidates for ConnectionCloseReason, likeliest first, and ConnectionCloseSource.

    `source` is None when the side is not known. Cloudflare documents the values, not their exact meaning: the mapping is ours.
    """

    reasons: tuple[str, ...]
    source: str | None


class _Mapping(NamedTuple):
    conditions: Mapping[str, tuple[str, ...]]
    reasons: tuple[str, ...]
    source: str | None


_KEYS = ("class", "how", "by", "cause")


def cloudflare_close(class_: str, how: str | None, by: str | None, cause: str | None) -> CloudflareClose | None:
    """The entry for a termination (the fields of the report's `termination`); None when the edge would have logged nothing.

    Nothing is logged for a WebSocket that never opened or has not ended.
    """
    found = {"class": class_, "how": how or "", "by": by or "", "cause": cause or ""}
    for mapping in _mappings():
        if all(found[key] in allowed for key, allowed in mapping.conditions.items()):
            if not mapping.reasons:
                return None
            return CloudflareClose(mapping.reasons, mapping.source or _sides().get(found["by"]))
    return None


@cache
def _mappings() -> tuple[_Mapping, ...]:
    return tuple(_mapping(entry) for entry in entries(read("cloudflare.toml"), "mapping", "cloudflare.toml"))


@cache
def _sides() -> dict[str, str]:
    entry = Entry(read("cloudflare.toml")["side"], "cloudflare.toml: side")
    return {side: entry.choice(side, SOURCES) for side in ("client", "server", "both")}


def _mapping(entry: Entry) -> _Mapping:
    conditions = {key: entry.texts(key, ()) for key in _KEYS}
    reasons = entry.choices("reasons", REASONS)
    source = entry.choice("source", SOURCES) if entry.has("source") else None
    entry.done()
    return _Mapping({key: allowed for key, allowed in conditions.items() if allowed}, reasons, source)
