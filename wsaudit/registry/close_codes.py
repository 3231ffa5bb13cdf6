"""Close codes: what a number in a Close frame, or in an API's close event, means (RFC 6455 section 7.4)."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import NamedTuple

from wsaudit.registry.loader import Entry, entries, read

MAX_CODE = 0xFFFF
SENDERS = ("both", "client", "server", "nobody")


class CloseCode(NamedTuple):
    """One close code, or the part of a range that one number stands for.

    `sender` says who may put it on the wire: "both", "client", "server" or "nobody". `first` and `last` are equal for a code
    with an entry of its own, else they are the bounds of the range that `code` falls into.
    """

    code: int
    name: str
    sender: str
    meaning: str
    causes: tuple[str, ...]
    advice: tuple[str, ...]
    reference: str
    first: int
    last: int

    @property
    def is_listed(self) -> bool:
        """True when this very number has an entry, False when only its range has one."""
        return self.first == self.last


class PrivateCode(NamedTuple):
    """What one application or subprotocol means by a code of 4000-4999. `owner` is its dictionary's name."""

    code: int
    last: int
    name: str
    meaning: str
    owner: str
    source: str


class Dictionary(NamedTuple):
    """The private codes of one application: used when the negotiated subprotocol or the Host matches."""

    name: str
    subprotocols: tuple[str, ...]
    hosts: tuple[str, ...]
    source: str
    codes: tuple[PrivateCode, ...]

    def covers(self, subprotocol: str | None, host: str | None) -> bool:
        """Is this the dictionary of a connection with that subprotocol (case-sensitive, RFC 6455) or that Host header?"""
        if subprotocol is not None and subprotocol in self.subprotocols:
            return True
        if host is None:
            return False
        name = host.lower().partition(":")[0]
        return any(fnmatchcase(name, pattern) for pattern in self.hosts)

    def find(self, code: int) -> PrivateCode | None:
        """The entry for `code`; an entry of its own wins over a range."""
        found = [entry for entry in self.codes if entry.code <= code <= entry.last]
        return min(found, key=lambda entry: entry.last - entry.code, default=None)


@cache
def close_code(code: int) -> CloseCode:
    """What is known of `code`: an answer for each of 0..65535. Raises ValueError outside of that, which no frame can carry."""
    if not 0 <= code <= MAX_CODE:
        raise ValueError(f"{code} does not fit into the two bytes of a close code")
    for entry in listed():
        if entry.first <= code <= entry.last:
            return entry._replace(code=code)
    raise AssertionError(f"close_codes.toml leaves out {code}")


def is_sendable(code: int) -> bool:
    """May any endpoint put `code` on the wire? False for API-only values, reserved ranges and undefined numbers."""
    return 0 <= code <= MAX_CODE and close_code(code).sender != "nobody"


def describe(code: int, subprotocol: str | None = None, host: str | None = None) -> str:
    """A few words for tables: "Going Away", "private: unauthorized (graphql-transport-ws)", "Unregistered".

    `subprotocol` is the negotiated one and `host` the Host header; both choose among the private dictionaries. Without them, or
    when no dictionary covers them, the 44xx codes are read as HTTP status + 4000, which is what most applications mean.
    """
    if not 4000 <= code <= 4999:
        return close_code(code).name
    known = private_code(code, subprotocol, host)
    if known is not None:
        return f"private: {known.name} ({known.owner})"
    conventional = _convention().find(code)
    return f"private: {conventional.name}" if conventional else "private"


def private_code(code: int, subprotocol: str | None = None, host: str | None = None) -> PrivateCode | None:
    """The meaning of `code` for the application recognised by subprotocol or Host; None when there is no such dictionary."""
    for dictionary in dictionaries():
        if dictionary.covers(subprotocol, host):
            found = dictionary.find(code)
            if found is not None:
                return found
    return None


def private_meanings(code: int) -> tuple[PrivateCode, ...]:
    """Every application's meaning of `code` that we know, the HTTP-like convention last."""
    found = (dictionary.find(code) for dictionary in (*dictionaries(), _convention()))
    return tuple(entry for entry in found if entry is not None)


@cache
def listed() -> tuple[CloseCode, ...]:
    """Every entry of the registry, codes and ranges, the narrowest first: the first that contains a number is its entry."""
    found = tuple(_close_code(entry) for entry in entries(read("close_codes.toml"), "code", "close_codes.toml"))
    return tuple(sorted(found, key=lambda entry: (entry.last - entry.first, entry.first)))


@cache
def dictionaries() -> tuple[Dictionary, ...]:
    """The private dictionaries that are recognised by a subprotocol or a host."""
    return tuple(_dictionaries("dictionary"))


@cache
def _convention() -> Dictionary:
    (convention,) = _dictionaries("convention")
    return convention


def _dictionaries(key: str) -> Iterator[Dictionary]:
    name = "private_codes.toml"
    for entry in entries(read(name), key, name):
        owner, source = entry.text("name"), entry.text("source")
        codes = tuple(_private_code(code, owner, source) for code in entry.entries("code"))
        yield Dictionary(owner, entry.texts("subprotocols", ()), entry.texts("hosts", ()), source, codes)
        entry.done()


def _close_code(entry: Entry) -> CloseCode:
    first = entry.integer("code")
    found = CloseCode(
        code=first,
        name=entry.text("name"),
        sender=entry.choice("sender", SENDERS),
        meaning=entry.text("meaning"),
        causes=entry.texts("causes"),
        advice=entry.texts("advice"),
        reference=entry.text("reference"),
        first=first,
        last=entry.integer("last", first),
    )
    entry.done()
    return found


def _private_code(entry: Entry, owner: str, source: str) -> PrivateCode:
    code = entry.integer("code")
    found = PrivateCode(code, entry.integer("last", code), entry.text("name"), entry.text("meaning"), owner, source)
    entry.done()
    return found
