"""Names and numbers that appear in handshakes and frame headers: opcodes, extensions, subprotocols, browsers."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from wsaudit.registry.loader import entries, read

#: Browsers stay far below this; what is longer is not worth a regular expression.
MAX_USER_AGENT = 1024
PAYLOADS = ("text", "binary", "any")


class Opcode(NamedTuple):
    """One of the 16 values of the opcode field (RFC 6455 section 5.2)."""

    value: int
    name: str
    is_control: bool
    is_assigned: bool


class Extension(NamedTuple):
    """An extension name seen in Sec-WebSocket-Extensions. `is_registered`: IANA's registry lists it."""

    name: str
    is_registered: bool
    reference: str


class Subprotocol(NamedTuple):
    """A subprotocol name (compared case-sensitively, RFC 6455 section 4.1).

    `payload` is what its messages must be: "text", "binary" or "any". `heartbeat` describes its own beat in words, None when it
    has none or none is known.
    """

    name: str
    is_registered: bool
    payload: str
    heartbeat: str | None

    @property
    def is_binary_only(self) -> bool:
        """True when the protocol demands binary messages, as MQTT does."""
        return self.payload == "binary"


def opcode(value: int) -> Opcode:
    """The opcode 0..15. Raises ValueError outside of that: the field has four bits."""
    if not 0 <= value <= 15:
        raise ValueError(f"{value} does not fit into the four bits of an opcode")
    return _opcodes()[value]


def extension(name: str) -> Extension | None:
    """What is known of an extension name; None for a name nobody told us of."""
    return _extensions().get(name)


def subprotocol(name: str) -> Subprotocol | None:
    """What is known of a subprotocol name; None for a name nobody told us of."""
    return _subprotocols().get(name)


def browser(user_agent: str | None) -> str | None:
    """The engine behind a browser's User-Agent: "Chromium", "Firefox" or "Safari"; None when it is not clearly a browser.

    Conservative, because browser-only rules hang on it: crawlers, libraries that lean on a browser's name and embedded views
    with their own name give None. A liar cannot be told from the header alone.
    """
    if user_agent is None or len(user_agent) > MAX_USER_AGENT or _not_browsers().search(user_agent):
        return None
    return next((family for family, pattern in _browsers() if pattern.search(user_agent)), None)


def is_browser(user_agent: str | None) -> bool:
    """Is this User-Agent clearly a browser's?"""
    return browser(user_agent) is not None


@cache
def _opcodes() -> tuple[Opcode, ...]:
    found = []
    for entry in entries(read("opcodes.toml"), "opcode", "opcodes.toml"):
        found.append(Opcode(entry.integer("value"), entry.text("name"), entry.flag("control"), entry.flag("assigned", True)))
        entry.done()
    return tuple(sorted(found, key=lambda each: each.value))


@cache
def _extensions() -> dict[str, Extension]:
    found = {}
    for entry in entries(read("extensions.toml"), "extension", "extensions.toml"):
        each = Extension(entry.text("name"), entry.flag("registered"), entry.text("reference"))
        entry.done()
        found[each.name] = each
    return found


@cache
def _subprotocols() -> dict[str, Subprotocol]:
    found = {}
    for entry in entries(read("subprotocols.toml"), "subprotocol", "subprotocols.toml"):
        each = Subprotocol(
            name=entry.text("name"),
            is_registered=entry.flag("registered"),
            payload=entry.choice("payload", PAYLOADS, "any"),
            heartbeat=entry.optional_text("heartbeat"),
        )
        entry.done()
        found[each.name] = each
    return found


@cache
def _browsers() -> tuple[tuple[str, re.Pattern[str]], ...]:
    found = []
    for entry in entries(read("browsers.toml"), "browser", "browsers.toml"):
        found.append((entry.text("family"), entry.pattern("pattern")))
        entry.done()
    return tuple(found)


@cache
def _not_browsers() -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, read("browsers.toml")["never"])), re.IGNORECASE)
