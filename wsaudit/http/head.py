"""One HTTP/1.x head, bytes → facts (RFC 9112 §2-5). Tolerant: whatever the bytes are, the result is a `Head`, its oddities named.

Nearly every head is well formed, and one of each kind is parsed per connection, so there are two readers: a quick one that proves
on the way that nothing is odd, and a patient one for all that the quick one gives up on. Fleets repeat themselves: a head that
differs from an earlier one in its request line and a few values only takes the rest from there (form.py).
"""

from __future__ import annotations

import re

from wsaudit.http.form import Form, find_form, remember_form, start_of, taken_apart

MAX_HEAD = 64 * 1024
MAX_NAMES = 4096  # different spellings of field names that are remembered: real traffic has some hundred

# Octets that make the patient reader look, unless they are the CRLF behind a line: controls, DEL, all beyond ASCII.
_SUSPICIOUS = bytes([*range(32), *range(127, 256)])
_BLANK = ["", ""]
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_REQUEST_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([^ \t]+) HTTP/(\d\.\d)")
_STATUS_LINE = re.compile(r"HTTP/(\d\.\d) ([1-9]\d\d) (.*)", re.DOTALL)
_LOOSE_VERSION = re.compile(r"HTTP/([\d.]{1,8})")


# A field name as sent → in lower case: each spelling once in memory, and only names that are tokens. The patient reader adds to
# it; the names that matter are there from the start, whatever a hostile capture fills it with.
_NAMES = {
    spelling: name.lower()
    for name in (
        *("Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Connection", "Content-Length"),
        *("Content-Type", "Cookie", "Date", "Host", "Keep-Alive", "Location", "Origin", "Pragma", "Sec-Fetch-Dest"),
        *("Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions", "Sec-WebSocket-Key"),
        *("Sec-WebSocket-Protocol", "Sec-WebSocket-Version", "Server", "Set-Cookie", "Transfer-Encoding", "Upgrade"),
        *("User-Agent", "Vary", "Via", "X-Forwarded-For"),
    )
    for spelling in (name, name.lower())
}


class Head:
    """A request or response head.

    `kind` is "request" or "response"; `raw` the head with its blank line; `offset` the stream offset of its first byte; `time`,
    `packet` belong to the chunk with the first byte, `end_time`, `end_packet` to the chunk with the last.

    Request: `method`, `target`. Response: `status` (0: unreadable), `reason`, and `method` is that of the request it answers, ""
    when that was not seen. Both: `version` ("1.1", "" when unreadable).

    `outstanding` (response): how many newer requests had been seen when it came. With a `method` and nothing outstanding, it
    answers the newest request.

    `fields`: (name in lower case, value without outer whitespace and unfolded) in the order of the lines. Texts are latin-1.

    `oddities`: names of departures from the grammar, each once; `odd_lines` beside it has the line where each was first met (0
    the start line, field lines from 1):
    leading-empty-line, bad-start-line, non-ascii-start-line, lf-only, bare-cr, obs-fold, space-before-colon, bad-field-name,
    bad-field-line (no colon; not in `fields`), non-ascii-field, control-character, nul, no-blank-line.
    """

    __slots__ = (
        "_fields",
        "_first",
        "_lower",
        "_odd_lines",
        "_oddities",
        "_values",
        "end_packet",
        "end_time",
        "form",
        "kind",
        "method",
        "offset",
        "outstanding",
        "packet",
        "raw",
        "reason",
        "status",
        "target",
        "time",
        "version",
    )

    def __init__(
        self,
        kind: str,
        raw: bytes,
        start: tuple[str, str, str, int, str],
        fields: list[tuple[str, str]] | None,
        offset: int = 0,
        time: int = 0,
        packet: int = 0,
        end_time: int = 0,
        end_packet: int = 0,
        form: Form | None = None,
        values: list[bytes] | None = None,
    ) -> None:
        self.kind = kind
        self.raw = raw
        self.method, self.target, self.version, self.status, self.reason = start
        self._fields = fields
        self._oddities: tuple[str, ...] = ()
        self._odd_lines: tuple[int, ...] = ()
        self.offset = offset
        self.time = time
        self.packet = packet
        self.end_time = end_time
        self.end_packet = end_packet
        self.outstanding = 0
        self.form = form  # what it has in common with others
        self._values = values  # and what not
        self._first: dict[str, str] | None = None
        self._lower = b""  # of a plain head: all of it in lower case

    def another(self, raw: bytes, start: tuple[str, str, str, int, str], time: int, packet: int, end_time: int) -> Head:
        """A head of the same form, with this start line, at the beginning of its stream. The values in which it differs are read
        if somebody asks."""
        return Head(self.kind, raw, start, None, 0, time, packet, end_time, packet, self.form)

    @property
    def plain(self) -> bool:
        """Is it one that says nothing about WebSockets? Its fields are read if somebody asks."""
        return self._lower != b""

    @property
    def fields(self) -> list[tuple[str, str]]:
        if self._fields is None:
            return self._read_fields()
        return self._fields

    @property
    def oddities(self) -> tuple[str, ...]:
        if self._fields is None and self._lower:
            self._read_fields()
        return self._oddities

    @property
    def odd_lines(self) -> tuple[int, ...]:
        if self._fields is None and self._lower:
            self._read_fields()
        return self._odd_lines

    def _read_fields(self) -> list[tuple[str, str]]:
        if self.form is not None and self._values is not None:
            self._fields = self.form.filled(self._values)
        else:
            whole = _parse_line_by_line(self.raw, 0, 0, 0, 0, 0)
            self._fields, self._oddities, self._odd_lines = whole.fields, whole.oddities, whole.odd_lines
        return self._fields

    @property
    def end(self) -> int:
        """The stream offset behind its last byte."""
        return self.offset + len(self.raw)

    def get(self, name: str) -> str | None:
        """The value of the first line with this (lower-case) name."""
        first = self._first
        if first is None:
            if self._fields is None and self._lower:
                found = self._look_up(name)
                if found is not None:
                    return found[0] if found else None
            form = self.form
            if form is not None:
                if name not in form.changing:
                    return form.first.get(name)
                if self._values is not None and name in form.turn:
                    return self._values[form.turn[name]].decode("latin-1")
            first = self._first = dict(reversed(self.fields))
        return first.get(name)

    def _look_up(self, name: str) -> list[str] | None:
        """The values of all lines with this name, none or one, without reading the others; None: there is more to it."""
        lower = self._lower
        field = b"\n" + name.encode("latin-1")
        if field not in lower:
            return []
        if field + b" " in lower or field + b"\t" in lower:
            return None
        field += b":"
        at = lower.find(field)
        if at < 0:
            return []
        start = at + len(field)
        end = lower.find(b"\r\n", start)
        value = self.raw[start:end]
        if lower[at - 1] != 13 or end < 0 or lower[end + 2] in b" \t" or not value.isascii() or lower.find(field, start) >= 0:
            return None
        text = value.decode("ascii").strip(" \t")
        return [text] if text.isprintable() else None

    def get_all(self, name: str) -> list[str]:
        """The values of all lines with this name."""
        if self._fields is None and self._lower:
            found = self._look_up(name)
            if found is not None:
                return found
        value = self.get(name)
        if value is None:
            return []
        if self._first is not None and len(self._first) == len(self.fields):  # no name twice
            return [value]
        return [value for each, value in self.fields if each == name]

    def combined(self, name: str) -> str | None:
        """All lines with this name as the one value that they mean (RFC 9110 §5.3)."""
        return ", ".join(self.get_all(name)) if self.get(name) is not None else None

    def tokens(self, name: str) -> list[str]:
        """The elements of a comma list, over all lines with this name, lower-cased, empty ones dropped (RFC 9110 §5.6.1)."""
        return [token for value in self.get_all(name) for each in value.split(",") if (token := each.strip(" \t").lower())]

    def note(self, oddity: str, line: int = 0) -> None:
        """Add an oddity, once."""
        if oddity not in self.oddities:
            self._oddities += (oddity,)
            self._odd_lines += (line,)

    def __repr__(self) -> str:
        what = f"{self.method} {self.target}" if self.kind == "request" else f"{self.status} {self.reason}"
        return f"<Head {self.kind} {what!r} at {self.offset}>"


def parse_head(
    raw: bytes,
    offset: int = 0,
    time: int = 0,
    packet: int = 0,
    end_time: int | None = None,
    end_packet: int | None = None,
) -> Head:
    """Read one head: `raw` from the start line (or empty lines before it) to the blank line. Where the last byte came later than
    the first, `end_time` and `end_packet` say when. Never raises; linear in the length of `raw`."""
    if end_time is None:
        end_time = time
    if end_packet is None:
        end_packet = packet
    lower = raw.lower()
    if b"websocket" not in lower:
        ended = lower.endswith(b"\r\n\r\n") and lower.find(b"\n\r\n") == len(lower) - 3 and b"\n\n" not in lower
        start = _parse_plain_start(raw) if ended else None
        if start is None:
            return _parse_line_by_line(raw, offset, time, packet, end_time, end_packet)
        kind = "request" if start[0] else "response"
        head = Head(kind, raw, start, None, offset, time, packet, end_time, end_packet)
        head._lower = lower
        return head
    begin = start_of(raw)
    known = _head_of_known_form(raw, begin, len(raw), offset, time, packet, end_time, end_packet)
    if known is not None:
        return known
    head = _parse_line_by_line(raw, offset, time, packet, end_time, end_packet)
    if not head.oddities:
        head.form = remember_form(taken_apart(raw[begin:])[0], head.kind, head.fields, _start_of(head))
    return head


def recognise_head(data: bytes, offset: int, time: int, packet: int, max_head: int = MAX_HEAD) -> Head | None:
    """The head that a chunk of the stream begins with, if all of it is there, it has a form that was met before, and no body
    can follow. None says nothing about the chunk."""
    end = data.find(b"\r\n\r\n") + 4
    if not 4 <= end <= max_head or (b"ebSocket" not in data and b"ebsocket" not in data):
        return None
    head = _head_of_known_form(data, start_of(data), end, offset, time, packet, time, packet)
    return head if head is not None and head.form is not None and head.form.bodyless else None


def _head_of_known_form(
    data: bytes, begin: int, end: int, offset: int, time: int, packet: int, end_time: int, end_packet: int
) -> Head | None:
    """The head in data[:end]; its form begins at `begin`."""
    found = find_form(data, begin, end)
    if found is None:
        return None
    form, values = found
    start = form.start or _parse_plain_request_line(data[:begin])
    if start is None:
        return None
    raw = data if end == len(data) else data[:end]
    return Head(form.kind, raw, start, None, offset, time, packet, end_time, end_packet, form, values)


def _start_of(head: Head) -> tuple[str, str, str, int, str] | None:
    """The start line of a response, which its form includes."""
    return None if head.kind == "request" else ("", "", head.version, head.status, head.reason)


def _parse_plain_start(raw: bytes) -> tuple[str, str, str, int, str] | None:
    """The start line; None: it needs a closer look."""
    line = raw[: raw.find(b"\r\n")]
    if not line.startswith(b"HTTP/"):
        return _parse_plain_request_line(line)
    version, _, rest = line.decode("latin-1").partition(" ")
    status, space, reason = rest.partition(" ")
    if version not in _VERSIONS or status not in _STATUSES or not (space and reason.isascii() and reason.isprintable()):
        return None
    return "", "", _VERSIONS[version], _STATUSES[status], reason


def _parse_plain_request_line(line: bytes) -> tuple[str, str, str, int, str] | None:
    """None: it needs a closer look."""
    text = line.decode("latin-1")
    parts = text.split(" ")
    if len(parts) != 3 or not (text.isascii() and text.isprintable() and parts[1]):
        return None
    method, version = _METHODS.get(parts[0]), _VERSIONS.get(parts[2])
    return None if method is None or version is None else (method, parts[1], version, 0, "")


def _parse_line_by_line(raw: bytes, offset: int, time: int, packet: int, end_time: int, end_packet: int) -> Head:
    # A CRLF is two of the octets looked for: if the split has used them all up, then nothing odd is left in any line.
    start, *rest = raw.decode("latin-1").split("\r\n")
    if len(raw) - len(raw.translate(None, _SUSPICIOUS)) == 2 * len(rest) and rest[-2:] == _BLANK:
        del rest[-2:]
        names = _NAMES
        try:
            fields = [(names[name], value.strip()) for name, colon, value in [line.partition(":") for line in rest] if colon]
            if len(fields) != len(rest):
                pass
            elif start.startswith("HTTP/"):
                version, status, reason = start.split(" ", 2)
                parsed = ("", "", _VERSIONS[version], _STATUSES[status], reason)
                return Head("response", raw, parsed, fields, offset, time, packet, end_time, end_packet)
            else:
                method, target, version = start.split(" ")
                if target:
                    parsed = (_METHODS[method], target, _VERSIONS[version], 0, "")
                    return Head("request", raw, parsed, fields, offset, time, packet, end_time, end_packet)
        except (ValueError, KeyError):
            pass
    return _parse_patiently(raw, offset, time, packet, end_time, end_packet)


# What the quick reader knows; everything else is the patient reader's.
_VERSIONS = {"HTTP/1.1": "1.1", "HTTP/1.0": "1.0"}
_METHODS = {name: name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")}
_STATUSES = {str(code): code for code in range(100, 600)}


def _parse_patiently(raw: bytes, offset: int, time: int, packet: int, end_time: int, end_packet: int) -> Head:
    text = raw.decode("latin-1")
    lines = text.lstrip("\r\n").split("\n")
    start = lines[0].removesuffix("\r")
    kind = "response" if start.startswith("HTTP/") else "request"
    parsed, well_formed = _parse_status_line(start) if kind == "response" else _parse_request_line(start)
    head = Head(kind, raw, parsed, [], offset, time, packet, end_time, end_packet)
    if text[:1] in ("\r", "\n"):
        head.note("leading-empty-line")
    if not well_formed:
        head.note("bad-start-line")
    _note_octets(head, start, 0)
    blank = _parse_field_lines(head, lines)
    if not blank:
        head.note("no-blank-line", len(lines) - 1)
    return head


def _parse_field_lines(head: Head, lines: list[str]) -> bool:
    """Fill `fields`. Returns whether a blank line ended them."""
    names: list[str] = []
    values: list[list[str]] = []  # the pieces of folded values: joined once, so that many folds stay linear
    blank = False
    last = len(lines) - 1
    for number, ended in enumerate(lines):
        line = ended.removesuffix("\r")
        if line is ended and number < last:
            head.note("lf-only", number)
        if number == 0:
            continue
        if not line:
            blank = number < last
            break
        _note_octets(head, line, number)
        if line[0] in " \t" and names:
            head.note("obs-fold", number)
            values[-1].append(line.strip(" \t"))
            continue
        name, colon, value = line.partition(":")
        if not colon:
            head.note("bad-field-line", number)
            continue
        names.append(_parse_name(head, name, number))
        values.append([value.strip(" \t")])
    head._fields = [(name, " ".join(pieces).strip(" \t")) for name, pieces in zip(names, values, strict=True)]
    return blank


def _parse_name(head: Head, name: str, number: int) -> str:
    trimmed = name.rstrip(" \t")
    if trimmed != name:
        head.note("space-before-colon", number)
    if not _TOKEN.fullmatch(trimmed):
        head.note("bad-field-name", number)
        return trimmed.strip(" \t").lower()
    lower = trimmed.lower()
    if len(_NAMES) < MAX_NAMES and len(trimmed) <= 64:
        _NAMES.setdefault(trimmed, lower)
    return _NAMES.get(trimmed, lower)


def _note_octets(head: Head, line: str, number: int) -> None:
    if not line.isascii():
        head.note("non-ascii-field" if number else "non-ascii-start-line", number)
    if "\0" in line:
        head.note("nul", number)
    if "\r" in line:
        head.note("bare-cr", number)
    if _CONTROL.search(line):
        head.note("control-character", number)


def _parse_request_line(line: str) -> tuple[tuple[str, str, str, int, str], bool]:
    if match := _REQUEST_LINE.fullmatch(line):
        return (match[1], match[2], match[3], 0, ""), True
    method, _, rest = line.strip(" \t").partition(" ")
    target, space, version = rest.strip(" \t").rpartition(" ")
    found = _LOOSE_VERSION.fullmatch(version)
    if not (space and found):
        return (method, rest.strip(" \t"), "", 0, ""), False
    return (method, target.strip(" \t"), found[1], 0, ""), False


def _parse_status_line(line: str) -> tuple[tuple[str, str, str, int, str], bool]:
    if match := _STATUS_LINE.fullmatch(line):
        return ("", "", match[1], int(match[2]), match[3]), True
    version, _, rest = line.replace("\t", " ").partition(" ")
    code, _, reason = rest.strip(" ").partition(" ")
    found = _LOOSE_VERSION.fullmatch(version)
    status = int(code) if len(code) == 3 and code.isascii() and code.isdigit() else 0
    return ("", "", found[1] if found else "", status, reason.strip(" ")), False
