"""The identity of a fault across captures, so that a baseline knows again tomorrow what it accepted today.

Two recordings of the same behaviour differ in time, address, port, packet number and in the ids inside the path. What stays
is the rule that was broken, the side that sent the bytes, the role that is to blame and the path with its ids taken out. That
is the fingerprint, and nothing else.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

VERSION = "wsaudit.fingerprint/1"
"""Part of the hash: a change of the recipe gives new fingerprints instead of silent mismatches."""

LONGEST = 512
"""Characters of a path that count. A path is attacker-controlled and has no limit of its own."""

AUTHORITY = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
HEX = re.compile(r"[0-9A-Fa-f]{8,}")
DIGITS = re.compile(r"[0-9]+")
OPAQUE = re.compile(r"[A-Za-z0-9_~.=-]{8,}")
CHANGES = re.compile(r"(?:(?<=[A-Za-z])[0-9]|(?<=[0-9])[A-Za-z])")


def normal_segment(segment: str) -> str:
    """One path segment with what changes from run to run replaced: `{uuid}`, `{id}` for tokens and hexadecimal ids, `{n}` for
    numbers.

    A mixed segment counts as a random token when it is 20 characters or longer, or when letters and digits alternate three
    times or more: `k3j9x0ab` does, `graphql-v2` and `room42` do not and only lose their digits.
    """
    segment = UUID.sub("{uuid}", segment)
    if "{" in segment or not DIGITS.search(segment):
        return segment
    if HEX.fullmatch(segment) and not segment.isdecimal():
        return "{id}"
    if OPAQUE.fullmatch(segment) and (len(segment) >= 20 or len(CHANGES.findall(segment)) >= 3):
        return "{id}"
    return DIGITS.sub("{n}", segment)


def normal_path(target: str | None) -> str:
    """A request target without scheme, authority, query and fragment, its ids replaced by placeholders; "-" when it was not
    captured."""
    return "-" if target is None else normal(target[:LONGEST].partition("?")[0].partition("#")[0])


@lru_cache(4096)  # a fleet asks for few paths: of 70,000 findings, some hundred differ here
def normal(path: str) -> str:
    """The same of a target without query and fragment."""
    return "/".join(normal_segment(segment) for segment in AUTHORITY.sub("", path).split("/")) or "/"


def fingerprint(rule: str, direction: str | None, at_fault: str | None, path: str | None) -> str:
    """32 hexadecimal digits that name this fault in every capture of the same behaviour.

    `rule` is the id, `direction` the sender of the bytes judged ("client", "server", None), `at_fault` the role to blame,
    `path` the request target as it was on the wire (None: the handshake was not captured).
    """
    return hashed(VERSION, rule, direction or "-", at_fault or "-", normal_path(path))


@lru_cache(4096)
def hashed(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
