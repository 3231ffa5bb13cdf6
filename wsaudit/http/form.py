"""What the heads of a fleet have in common: everything but the request line and the values of a few fields.

50,000 clients of one service send some twenty different heads, if keys, cookies and dates are left out. Cutting these out is one
search (1.5 us), whereas reading the head line by line, looking for its fields and asking what they mean takes ten times as long.
To hold a head against the forms seen last is faster still: it needs no key to look up.
"""

from __future__ import annotations

import re
from typing import Any

from wsaudit.kernel.forms import values_between

MAX_FORMS = 1024  # forgotten together when there are more: then nobody repeats himself anyway
MAX_SIZE = 2048  # bytes of a head that is worth remembering
RECENT = 8  # forms tried before the search

# Fields whose values differ from connection to connection and decide about nothing but themselves. The value has no outer blanks,
# and no octet that would have to be looked at (head.py).
_CHANGING = re.compile(
    rb"(\r\n(?:Sec-WebSocket-(?:Key|Accept)|Cookie|Date|X-Request-I[dD]"
    rb"|sec-websocket-(?:key|accept)|cookie|date|x-request-id): )([!-~]+(?: [!-~]+)*)(?=\r\n)"
)

_QUERY_VALUE = re.compile(r"=[^&]+")

Key = tuple[bytes, ...]
Start = tuple[str, str, str, int, str]


class Form:
    """The common part. `start`: a response's parsed start line; a request line is no part of a form.

    `literals`: what stands before, between and behind the values that change. `fields` as in Head, with the values of the first
    one seen; `where`: the indexes of those that change, `changing` their names, `turn` of a name that occurs once: which of the
    values is its; `first`: name to value of all. `bodyless`: no field says that a body follows.

    What others work out about a form they keep here: `upgrade` and `handshakes` (upgrade.py), `auth` by the names in the query
    (credentials.py), `signature` (rules/signature.py), `library`, if any, in a tuple of one (termination/endpoints.py).
    """

    __slots__ = (
        "auth", "bodyless", "changing", "fields", "first", "handshakes", "kind", "library", "literals", "signature", "start",
        "turn", "upgrade", "where",
    )  # fmt: skip

    def __init__(self, kind: str, key: Key, fields: list[tuple[str, str]], where: list[int], start: Start | None) -> None:
        self.kind = kind
        self.literals = tuple([b"".join(key[i : i + 2]) for i in range(0, len(key), 2)])
        self.fields = fields
        self.where = where
        self.start = start
        names = [fields[i][0] for i in where]
        self.changing = frozenset(names)
        self.turn = {name: turn for turn, name in enumerate(names) if [each for each, _ in fields].count(name) == 1}
        self.first = dict(reversed(fields))
        self.bodyless = "content-length" not in self.first and "transfer-encoding" not in self.first
        self.upgrade: bool | None = None
        self.handshakes: dict[Form, Any] = {}
        self.signature: Any = None
        self.library: tuple[Any] | None = None
        self.auth: dict[str, tuple[str, ...]] = {}

    def filled(self, values: list[bytes]) -> list[tuple[str, str]]:
        """The fields of a head of this form."""
        fields = self.fields.copy()
        for i, value in zip(self.where, values, strict=True):
            fields[i] = (fields[i][0], value.decode("latin-1"))
        return fields


_FORMS: dict[Key, Form] = {}
_RECENT: list[tuple[Form, ...]] = [(), ()]  # of requests, of responses: the last one first


def taken_apart(head: bytes) -> tuple[Key, list[bytes]]:
    """A head without its request line, as what may be a form and the values between its pieces."""
    pieces = _CHANGING.split(head)
    values = pieces[2::3]
    del pieces[2::3]
    return tuple(pieces), values


def start_of(data: bytes) -> int:
    """Where a form begins in a head: behind the request line, or with a response's status line."""
    return 0 if data.startswith(b"HTTP/") else max(data.find(b"\r\n"), 0)


def find_form(data: bytes, start: int, end: int) -> tuple[Form, list[bytes]] | None:
    """The form, met before, of the head in data[:end], and the values between its pieces. `start`: where it begins."""
    recent = _RECENT[not start]
    for form in recent:
        values = values_between(form.literals, data, start, end)
        if values is not None:
            if form is not recent[0]:
                _RECENT[not start] = (form, *[each for each in recent if each is not form])
            return form, values
    key, values = taken_apart(data[start:end])
    found = _FORMS.get(key)
    if found is None:
        return None
    _RECENT[not start] = (found, *recent[: RECENT - 1])
    return found, values


def remember_form(key: Key, kind: str, fields: list[tuple[str, str]], start: Start | None) -> Form | None:
    """Keep the form of a head in which nothing is odd, unless it is larger than heads of fleets are."""
    if sum(map(len, key)) > MAX_SIZE:
        return None
    where = []
    lines = -1
    for i, piece in enumerate(key):
        lines += piece.count(b"\r\n")
        if i % 2:
            where.append(lines)
    if len(_FORMS) >= MAX_FORMS:
        forget_forms()
    form = _FORMS[key] = Form(kind, key, fields, where, start)
    return form


def without_values(query: str) -> str:
    """What the queries of a fleet have in common: the parameters' names, with 1 for each value that is not empty."""
    return _QUERY_VALUE.sub("=1", query)


def forget_forms() -> None:
    _FORMS.clear()
    _RECENT[:] = [(), ()]
