"""What the heads of a fleet have in common: everything but the request line and the values of a few fields.

50,000 clients of one service send some twenty different heads, if keys, cookies and dates are left out. Cutting these out is one
search (1.5 us), whereas reading the head line by line, looking for its fields and asking what they mean takes ten times as long.
"""

from __future__ import annotations

import re
from typing import Any

MAX_FORMS = 1024  # forgotten together when there are more: then nobody repeats himself anyway
MAX_SIZE = 2048  # bytes of a head that is worth remembering

# Fields whose values differ from connection to connection and decide about nothing but themselves. The value has no outer blanks,
# and no octet that would have to be looked at (head.py).
_CHANGING = re.compile(
    rb"(\r\n(?:Sec-WebSocket-(?:Key|Accept)|Cookie|Date|X-Request-I[dD]"
    rb"|sec-websocket-(?:key|accept)|cookie|date|x-request-id): )([!-~]+(?: [!-~]+)*)(?=\r\n)"
)

Key = tuple[bytes, ...]
Start = tuple[str, str, str, int, str]


class Form:
    """The common part. `start`: a response's parsed start line; a request line is no part of a form.

    `fields` as in Head, with the values of the first one seen; `where`: the indexes of those that change, `changing` their names,
    `index` where the names that occur once among them are; `first`: name to value of all.

    What others work out about a form they keep here: `upgrade` and `handshakes` (upgrade.py), `auth` by the names in the query
    (credentials.py), `signature` (rules/signature.py).
    """

    __slots__ = (
        "auth", "bodyless", "changing", "fields", "first", "handshakes", "index", "kind", "signature", "start", "upgrade",
        "where",
    )  # fmt: skip

    def __init__(self, kind: str, fields: list[tuple[str, str]], where: list[int], start: Start | None) -> None:
        self.kind = kind
        self.fields = fields
        self.where = where
        self.start = start
        names = [fields[i][0] for i in where]
        self.changing = frozenset(names)
        self.index = {name: i for name, i in zip(names, where, strict=True) if [each for each, _ in fields].count(name) == 1}
        self.first = dict(reversed(fields))
        self.bodyless = "content-length" not in self.first and "transfer-encoding" not in self.first
        self.upgrade: bool | None = None
        self.handshakes: dict[Form, Any] = {}
        self.signature: Any = None
        self.auth: dict[str, tuple[str, ...]] = {}

    def filled(self, values: list[bytes]) -> list[tuple[str, str]]:
        """The fields of a head of this form."""
        fields = self.fields.copy()
        for i, value in zip(self.where, values, strict=True):
            fields[i] = (fields[i][0], value.decode("latin-1"))
        return fields


_FORMS: dict[Key, Form] = {}


def taken_apart(raw: bytes) -> tuple[bytes, Key, list[bytes]]:
    """A head as request line (empty for a response), what may be a form, and the values between its pieces."""
    line = b""
    if not raw.startswith(b"HTTP/"):
        end = raw.find(b"\r\n")
        if end > 0:
            line, raw = raw[:end], raw[end:]
    pieces = _CHANGING.split(raw)
    values = pieces[2::3]
    del pieces[2::3]
    return line, tuple(pieces), values


def known_form(key: Key) -> Form | None:
    return _FORMS.get(key)


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
        _FORMS.clear()
    form = _FORMS[key] = Form(kind, fields, where, start)
    return form
