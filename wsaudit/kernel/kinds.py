"""Kinds of connections: how their opening handshakes are made, and what is said of those that ended alike.

A kind is learned from the first connection of it (alike.py); kernel/ordinary.py holds the next ones against what is known.
"""

from __future__ import annotations

import hashlib
import re
from binascii import b2a_base64
from typing import Any

from wsaudit.kernel import mode
from wsaudit.kernel.connection import Connection
from wsaudit.kernel.constants import GUID
from wsaudit.kernel.findings import Findings
from wsaudit.kernel.forms import values_between
from wsaudit.kernel.packed import Packer
from wsaudit.model import CLIENT, SERVER, Close, Termination

SHORTEST = len(b"GET / HTTP/1.1")
KEY_SIZE = 24  # characters of a Sec-WebSocket-Key (RFC 6455 §4.1)
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
IN_ALPHABET = bytes([octet in ALPHABET for octet in range(256)])
TARGET = re.compile(rb"[!\"$-9;->@-~]*(\?[!\"$-~]*)?")  # a path without "#" and ":", a query without "#"
VALUE = re.compile(rb"=[^&]+")
LAST = b"AQgw"  # of sixteen bytes in base64, when nothing is left over
SHA1 = hashlib.sha1(usedforsecurity=False)  # a copy of it costs half of what a new one does
MAX_REQUESTS = 64  # kinds of requests that are known at a time
MAX_ANSWERS = 8  # kinds of answers known to one of them
MAX_ENDINGS = 256  # kinds of endings known to one opening handshake


def is_compiled() -> bool:
    return bool(mode.COMPILED)


Told = tuple[int, int, int, int, int, int, int]


class Ending:
    """What connections that opened and ended alike have in common. `findings`: of each what it is about (AT_REQUEST...), what it
    says (Findings.kind_of), packet, time, offset and last packet relative to that, and the count. `facts`: about what each of the
    first facts of the termination's evidence is: the number of its packet, with which the fact ends, is left out."""

    __slots__ = ("close", "facts", "findings", "termination")

    def __init__(
        self,
        termination: Termination,
        close: tuple[Close | None, Close | None],
        findings: tuple[Told, ...],
        facts: tuple[int, ...],
    ) -> None:
        self.termination = termination
        self.close = close
        self.findings = findings
        self.facts = facts


class Opening:
    """A kind of opening handshake: a `Request`, and an answer that accepts it. `row`: what the report says of all of them;
    `clean`: shapes of frames, of client and server, that break no rule here; `browser`: does the client say that it is one;
    `of_pings`: what is said of the first Ping of a browser when nothing else is to be said of Pings (Findings.kind_of); None: not
    known; `handshake`: the first of them."""

    __slots__ = ("accept_turn", "browser", "clean", "clean_server", "endings", "handshake", "literals", "of_pings", "row")

    def __init__(
        self,
        literals: tuple[bytes, ...],
        accept_turn: int,
        row: Connection,
        clean: tuple[bytearray, bytearray],
        browser: bool,
        handshake: Any,
    ) -> None:
        self.literals = literals
        self.accept_turn = accept_turn
        self.row = row
        self.clean = clean[CLIENT]
        self.clean_server = clean[SERVER]
        self.browser = browser
        self.of_pings: tuple[int, ...] | None = None
        self.handshake = handshake
        self.endings: dict[tuple[Any, ...], Ending | None] = {}  # None: such ends must be looked at one by one

    def learn(self, key: tuple[Any, ...], ending: Ending | None) -> None:
        if len(self.endings) >= MAX_ENDINGS:
            self.endings.clear()
        self.endings[key] = ending


class Request:
    """A kind of request: the literals between its changing values (http/form.py), which of these is the key, the names in the
    target's query, and the answers it got."""

    __slots__ = ("answers", "key_turn", "literals", "names")

    def __init__(self, literals: tuple[bytes, ...], key_turn: int, names: bytes) -> None:
        self.literals = literals
        self.key_turn = key_turn
        self.names = names
        self.answers: list[Opening] = []


class Kinds:
    """What is known of ordinary connections, and where they are written down.

    `sink` gets `unusual(ordinary)`, which returns who takes over, `ended(ordinary, ongoing)`, whose end is unusual,
    `judge_alone(ordinary, occasions, others)`, which returns findings, and `internal_error(flow, error)`; it is asked whether
    somebody's timer may tell of an end (`closed_at_limit`, `may_be_limit`). `rows` and `findings` get what is said of connections
    of known kinds; `requests_seen` counts the upgrade requests that were taken here. `homes`: what is in the targets of protocols
    in which a message that comes once is a heartbeat, or a goodbye. Longer heads than `max_head`, and connections of which more
    than `max_findings` are to be said, are for others.
    """

    __slots__ = (
        "answer_end", "findings", "homes", "key", "max_findings", "max_head", "packer", "requests", "requests_seen", "rows",
        "server_at", "sink", "target_end",
    )  # fmt: skip

    def __init__(
        self,
        sink: Any,
        rows: list[Connection],
        findings: Findings,
        max_head: int,
        max_findings: int,
        homes: tuple[bytes, ...],
        server_at: Any,
    ) -> None:
        self.sink = sink
        self.rows = rows
        self.findings = findings
        self.max_head = max_head
        self.max_findings = max_findings
        self.homes = homes
        self.server_at = server_at  # one object for equal servers
        self.requests: list[Request] = []
        self.requests_seen = 0
        self.packer = Packer()
        self.key = b""  # of the request that was found last, and where its target ends
        self.target_end = 0
        self.answer_end = 0  # of the answer that was found last

    def learn(self, literals: tuple[bytes, ...], key_turn: int, target: str, opening: Opening) -> None:
        """From now on connections that open in this way need nobody else until they end. `target` is one of them."""
        data = target.encode("latin-1")
        names = names_in(data)
        if names is None:
            return
        for request in self.requests:
            if request.literals == literals and request.names == names:
                break
        else:
            request = Request(literals, key_turn, names)
            self.requests.insert(0, request)
            del self.requests[MAX_REQUESTS:]
        if all(known.literals != opening.literals for known in request.answers):
            request.answers.insert(0, opening)
            del request.answers[MAX_ANSWERS:]

    def find_request(self, data: bytes) -> Request | None:
        """The kind of the upgrade request that `data` is, no more and no less."""
        line = data.find(b"\r\n")
        if line < SHORTEST or len(data) > self.max_head:
            return None
        if not data.startswith(b"GET /") or not data.startswith(b" HTTP/1.1", line - 9):
            return None
        for i in range(len(self.requests)):
            request: Request = self.requests[i]
            if not has_names(data, 4, line - 9, request.names):
                continue
            values = values_between(request.literals, data, line, len(data))
            if values is None:
                continue
            self.key = values[request.key_turn]
            self.target_end = line - 9
            if i:
                del self.requests[i]
                self.requests.insert(0, request)
            return request if is_key(self.key) else None
        return None

    def may_begin(self, data: bytes) -> bool:
        """Is `data` a part of a request of which the rest is missing, while kinds are known to which it may belong?"""
        if data.endswith(b"\r\n\r\n") or not data.startswith(b"GET /") or len(data) > self.max_head:
            return False
        return len(self.requests) > 0 and data.find(b"\r\n\r\n") < 0

    def find_answer(self, request: Request, key: bytes, data: bytes) -> Opening | None:
        """The kind of the handshake that the head at the beginning of `data` completes."""
        end = data.find(b"\r\n\r\n") + 4
        if not 4 <= end <= self.max_head:
            return None
        self.answer_end = end
        for i in range(len(request.answers)):
            opening: Opening = request.answers[i]
            values = values_between(opening.literals, data, 0, end)
            if values is not None:
                digest = SHA1.copy()
                digest.update(key + GUID)
                return opening if values[opening.accept_turn] == b2a_base64(digest.digest(), newline=False) else None
        return None


def is_key(key: bytes) -> bool:
    """Are these sixteen bytes in canonical base64?"""
    if len(key) != KEY_SIZE or not key.endswith(b"==") or key[21] not in LAST:
        return False
    if not mode.COMPILED:
        return not key[:21].strip(ALPHABET)
    for i in range(21):  # noqa: SIM110 - no generator when compiled
        if not IN_ALPHABET[key[i]]:
            return False
    return True


def has_names(data: bytes, start: int, end: int, names: bytes) -> bool:
    """Is data[start:end] a target, of a path and perhaps a query, with these names in its query: "?a=1&b=" stands for any value
    of `a` and an empty `b`? Nothing in it may need a closer look."""
    if not mode.COMPILED:
        target = TARGET.fullmatch(data, start, end)
        return target is not None and VALUE.sub(b"=1", target[1] or b"") == names
    i = start
    while i < end and data[i] != 63:  # up to the "?"
        octet = data[i]
        if octet <= 32 or octet >= 127 or octet == 35 or octet == 58:  # "#", ":"
            return False
        i += 1
    at = 0
    size = len(names)
    value = False
    while i < end:
        octet = data[i]
        if octet <= 32 or octet >= 127 or octet == 35:
            return False
        i += 1
        if octet == 38:  # "&"
            value = False
        elif value:
            continue
        if at == size or names[at] != octet:
            return False
        at += 1
        if octet == 61 and i < end and data[i] != 38:  # "=" and a value
            value = True
            if at == size or names[at] != 49:
                return False
            at += 1
    return at == size


def names_in(target: bytes) -> bytes | None:
    """The names in the query of a target, as `has_names` takes them; None: it is no such target."""
    query = target.partition(b"?")
    names = query[1] + b"&".join([name_in(each) for each in query[2].split(b"&")]) if query[1] else b""
    return names if target.startswith(b"/") and has_names(target, 0, len(target), names) else None


def name_in(parameter: bytes) -> bytes:
    name, equals, value = parameter.partition(b"=")
    return name + equals + (b"1" if value else b"")
