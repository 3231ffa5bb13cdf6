"""HTTP/1.x messages of one direction: chunks of the TCP stream → heads, with the bodies stepped over (RFC 9112 §2-7).

Nothing of a body is kept, and nothing of a past message. Where a message's end cannot be known (a gap, lengths that contradict
each other) the side is lost, says so, and goes on only at a chunk that begins like a message.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple, TypeAlias

from wsaudit.http.head import MAX_HEAD, Head, parse_head
from wsaudit.http.upgrade import is_upgrade_request
from wsaudit.model import CLIENT

MAX_HELD = 1 << 20  # bytes kept behind an upgrade request while its response has not been seen
CHUNK_COST = 128  # what a held chunk takes beside its bytes: a million chunks of one byte are not 1 MB
MAX_LOST = 1 << 20  # bytes looked at for the start of a message before the side is given up
MAX_LINE = 4096  # of a chunk header or a trailer field
MAX_QUEUE = 1024  # pipelined requests whose responses are still to come

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")

_TOKEN_SPACE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}(?: |$)")
_REQUEST_START = re.compile(rb"(?:%s) [!-~]" % "|".join(METHODS).encode())
_RESPONSE_START = re.compile(rb"HTTP/\d(?:\.\d)? +\d")
_VERSION_START = re.compile(rb"HTTP/(?:\d|$)")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")  # lines may end with a bare LF (RFC 9112 §2.2)
_SWITCHING = re.compile(rb"HTTP/\d(?:\.\d)? +101")
_FINAL = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d) [^\n]*\n")
_ALIEN = re.compile(rb"\nupgrade:(?![^\n]*websocket)[^\n]*\n", re.IGNORECASE)  # a whole Upgrade line that names something else
_VERSIONS = ("1.1", "1.0")
_BLANK_LINES = (b"\r\n", b"\n")

Chunk: TypeAlias = tuple[bytes, int, int, int]  # data, offset, time, packet


class Fact(NamedTuple):
    """What is no head but worth knowing: not-http (other bytes where a head should begin), head-too-large, bad-length (body
    length unreadable or contradictory), bad-chunk, resumed (a message begins again after the side was lost)."""

    name: str
    offset: int
    time: int
    packet: int


Event: TypeAlias = Head | Fact


def looks_like_request(data: bytes) -> bool:
    """Whether these first bytes of a stream, however few, can be the start of an HTTP/1.x request."""
    data = data[:4096].lstrip(b"\r\n")
    if not _TOKEN_SPACE.match(data):
        return not data
    if data.startswith(b"PRI "):  # the preface of HTTP/2 (RFC 9113 §3.4)
        return False
    line, newline, _ = data.partition(b"\n")
    return not newline or b" HTTP/" in line or _REQUEST_START.match(line) is not None


def looks_like_response(data: bytes) -> bool:
    """Whether these first bytes of a stream, however few, can be the start of an HTTP/1.x response. Servers were seen to write
    other versions into its first line: what follows is read all the same, and a rule judges the line."""
    data = data[:4096].lstrip(b"\r\n")
    return _VERSION_START.match(data) is not None or b"HTTP/".startswith(data)


# What comes next in the stream.
_START, _HEAD, _BODY, _CHUNK, _CHUNK_END, _TRAILER, _REST, _LOST = range(8)


class HttpSide:
    """The HTTP/1.x messages that one side sends: requests of CLIENT, responses of SERVER.

    `skip`, after each call: how many of the coming bytes are of no interest; the caller may drop them unseen (or feed them all
    the same). -1: all that come.

    `stopped`: "" while HTTP goes on. A client's side stops behind an upgrade request or CONNECT ("upgrade", "tunnel"): what
    follows is held until `resume` (the request was refused: HTTP goes on) or taken with `leftover` or `held`. A server's side
    stops behind a 101 or a 2xx to CONNECT, for good.

    `held`: the chunks behind the stop, and `held_lost`: how many bytes behind those were lost or too many to keep.

    `lost`: the place in the stream is unknown at the moment.
    """

    __slots__ = (
        "_body_end",
        "_buffer",
        "_chunked",
        "_held_size",
        "_lost_bytes",
        "_queue",
        "_searched",
        "_started",
        "_state",
        "_stop",
        "_vetted",
        "held",
        "held_lost",
        "max_head",
        "offset",
        "side",
        "skip",
        "stopped",
    )

    def __init__(self, side: int, max_head: int = MAX_HEAD) -> None:
        self.side = side
        self.max_head = max_head
        self.offset = -1  # of the next byte; -1: nothing seen yet
        self.skip = 0
        self.stopped = ""
        self.held: list[Chunk] = []
        self.held_lost = 0
        self._held_size = 0
        self._state = _START
        self._buffer = bytearray()  # an unfinished head or line
        self._searched = 0  # how much of it was searched for its end
        self._started = (0, 0, 0, False)  # offset, time, packet of its first byte; empty lines before it
        self._vetted = False  # its first bytes look like HTTP
        self._body_end = 0
        self._chunked = False
        self._stop = ""  # how the side stops when the message it is in ends
        self._lost_bytes = 0
        self._queue: deque[str] = deque(maxlen=MAX_QUEUE)  # methods of the requests that wait for their responses

    @property
    def lost(self) -> bool:
        return self._state == _LOST

    @property
    def partial(self) -> int:
        """Bytes seen of a head that is not complete."""
        return len(self._buffer) if self._state == _HEAD else 0

    @property
    def switching(self) -> bool:
        """Is the head that is not complete that of a 101 (RFC 9110 §15.2.2), as far as it goes not to another protocol?"""
        return self._state == _HEAD and _SWITCHING.match(self._buffer) is not None and _ALIEN.search(self._buffer) is None

    @property
    def may_switch(self) -> bool:
        """Is there of a head so little that it may be that of a 101?"""
        return self._state == _HEAD and b"HTTP/1.1 101".startswith(self._buffer)

    @property
    def refusal(self) -> int:
        """The final status of a head that is not complete, if its first line is and tells of no 101; else 0."""
        line = _FINAL.match(self._buffer) if self._state == _HEAD else None
        return int(line[1]) if line is not None else 0

    def expect(self, method: str) -> None:
        """A request with this method was sent, and its response will come on this side."""
        self._queue.append(method)

    def stop_behind(self, request: Head) -> None:
        """This upgrade request, without a body, was read by somebody else; what follows comes here."""
        self.offset = request.end
        self.stopped = "upgrade"

    def rest(self, offset: int) -> int | None:
        """At `offset` of the stream: bytes up to the next message, 0 between two. None: it is in something else than a body of
        known length, or a request waits for its answer."""
        if self.stopped or self._stop or self._queue or self._chunked or self._started[3] or self._state not in (_START, _BODY):
            return None
        return max(0, self._body_end - offset) if self._state == _BODY else 0

    def go_on(self, offset: int, rest: int) -> None:
        """Somebody else followed the stream from where `rest` was told up to `offset`, where it is `rest` bytes now."""
        self.offset = offset
        self._state = _BODY if rest else _START
        self._body_end = offset + rest

    def feed(self, data: bytes, offset: int, time: int, packet: int) -> list[Event]:
        """The next chunk of the stream. Returns the heads that it completes, and facts, in stream order."""
        events: list[Event] = []
        if offset != self.offset:
            if offset < self.offset:
                data = data[self.offset - offset :]
                offset = self.offset
            elif self.offset >= 0:
                self.gap(offset - self.offset)
        self.offset = offset + len(data)
        if self.stopped:
            self._hold(data, offset, time, packet)
            return events
        self._run(data, offset, time, packet, events)
        return events

    def gap(self, length: int, offset: int | None = None) -> None:
        """`length` bytes of the stream were lost, by default those that should come next."""
        start = self.offset if offset is None else offset
        end = start + length
        in_body = self._state == _REST or (self._state == _BODY and end <= self._body_end)
        if self.stopped:
            self.held_lost += length
        elif not in_body:
            self._lose()
        if start >= 0:
            self.offset = end
        self._set_skip()

    def resume(self) -> list[Event]:
        """HTTP goes on behind a request that was refused. Returns what `feed` would have."""
        events: list[Event] = []
        held, lost = self.held, self.held_lost
        self.stopped, self.held, self.held_lost, self._held_size = "", [], 0, 0
        for data, offset, time, packet in held:
            if self.stopped:
                self._hold(data, offset, time, packet)
            else:
                self._run(data, offset, time, packet, events)
        if lost:
            self.gap(lost, self.offset - lost)
        self._set_skip()
        return events

    def leftover(self) -> Chunk:
        """What lies behind the stop so far, as one chunk with the place of its first byte."""
        if not self.held:
            return b"", self.offset, 0, 0
        _, offset, time, packet = self.held[0]
        return b"".join(chunk[0] for chunk in self.held), offset, time, packet

    # one step of each state: takes data from `at` on, returns how far it came

    def _run(self, data: bytes, offset: int, time: int, packet: int, events: list[Event]) -> None:
        at, size = 0, len(data)
        while at < size:
            if self.stopped:
                self._hold(data[at:], offset + at, time, packet)
                break
            at = _STEPS[self._state](self, data, at, offset, time, packet, events)
        self._set_skip()

    def _in_start(self, data: bytes, at: int, offset: int, time: int, packet: int, events: list[Event]) -> int:
        begin, size = at, len(data)
        while at < size and data[at] in b"\r\n":
            at += 1
        empty_lines = at > begin or self._started[3]
        self._started = (offset + at, time, packet, empty_lines)
        if at < size:
            self._state = _HEAD
            self._vetted = False
        return at

    def _in_head(self, data: bytes, at: int, offset: int, time: int, packet: int, events: list[Event]) -> int:
        before = len(self._buffer)
        if before:  # then this is the beginning of `data`
            self._buffer += data
        block, begin = (self._buffer, 0) if before else (data, at)
        blank = _BLANK_LINE.search(block, begin + max(0, self._searched - 2))
        end = blank.end() if blank else len(block)
        if end - begin > self.max_head:
            return self._fail("head-too-large", len(data), events)
        if not blank:
            if not before:
                self._buffer += data[at:]
            self._searched = len(self._buffer)
            known = self._vetted or self._vet(self._buffer)
            return len(data) if known else self._fail("not-http", len(data), events)
        raw = bytes(block[begin:end])
        self._clear()
        start, start_time, start_packet, empty_lines = self._started
        head = parse_head(raw, start, start_time, start_packet, time, packet)
        if not self._is_usual(head) and not self._vet(raw):
            return self._fail("not-http", len(data), events)
        if empty_lines:
            head.note("leading-empty-line")
        self._started = (0, 0, 0, False)
        events.append(head)
        at = end - before
        length = self._request_body(head) if self.side == CLIENT else self._response_body(head)
        if length is None:
            return self._fail("bad-length", len(data), events, (offset + at, time, packet))
        self._enter_body(length, offset + at)
        return at

    def _is_usual(self, head: Head) -> bool:
        """Whether there is no need to look at its first bytes again."""
        kind, method = ("response", "") if self.side else ("request", head.method)
        if head.plain:  # its start line is
            return head.kind == kind
        return head.kind == kind and not head.oddities and head.version in _VERSIONS and (not method or method in METHODS)

    def _vet(self, block: bytes | bytearray) -> bool:
        first = bytes(block[:4096])
        self._vetted = len(first) > 32
        return looks_like_request(first) if self.side == CLIENT else looks_like_response(first)

    def _in_body(self, data: bytes, at: int, offset: int, time: int, packet: int, events: list[Event]) -> int:
        there = self._body_end - offset
        if there > len(data):
            return len(data)
        if self._chunked:
            self._state = _CHUNK_END
        else:
            self._end_message()
        return max(at, there)

    def _in_line(self, data: bytes, at: int, offset: int, time: int, packet: int, events: list[Event]) -> int:
        """Chunk headers, the ends of chunks, trailers: each is a line."""
        stop = data.find(b"\n", at) + 1
        piece = data[at : stop or len(data)]
        if not self._buffer:
            self._started = (offset + at, time, packet, False)
        if len(self._buffer) + len(piece) > MAX_LINE:
            return self._fail("bad-chunk", len(data), events)
        self._buffer += piece
        if not stop:
            return len(data)
        line = bytes(self._buffer)
        self._buffer.clear()
        return stop if self._take_line(line, offset + stop) else self._fail("bad-chunk", len(data), events)

    def _take_line(self, line: bytes, end: int) -> bool:
        if self._state == _TRAILER:
            if line in _BLANK_LINES:
                self._end_message()
            return True
        if self._state == _CHUNK_END:
            self._state = _CHUNK
            return line in _BLANK_LINES
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            return False
        size = int(match[1], 16)
        self._body_end = end + size
        self._state = _BODY if size else _TRAILER
        return True

    def _in_rest(self, data: bytes, at: int, offset: int, time: int, packet: int, events: list[Event]) -> int:
        return len(data)

    def _in_lost(self, data: bytes, at: int, offset: int, time: int, packet: int, events: list[Event]) -> int:
        start = _REQUEST_START if self.side == CLIENT else _RESPONSE_START
        if at == 0 and start.match(data):
            self._state = _START
            if self._queue:  # which of the older requests were answered meanwhile is not known
                newest = self._queue[-1]
                self._queue.clear()
                self._queue.append(newest)
            events.append(Fact("resumed", offset, time, packet))
            return 0
        self._lost_bytes += len(data) - at
        if self._lost_bytes > MAX_LOST:
            self._state = _REST
        return len(data)

    # where a body ends (RFC 9112 §6.3)

    def _request_body(self, head: Head) -> int | None:
        """Length of the body; None: not to be known. Chunked: see `_chunked`."""
        self._chunked = False
        if is_upgrade_request(head):
            self._stop = "upgrade"
        elif head.method == "CONNECT":
            self._stop = "tunnel"
            return 0
        if codings := _codings(head):
            self._chunked = codings[-1] == "chunked"
            return 0 if self._chunked else None
        return _content_length(head)

    def _response_body(self, head: Head) -> int | None:
        """The same; -1: up to the end of the connection."""
        self._chunked = False
        queue, status = self._queue, head.status
        head.method = queue[0] if queue else ""
        head.outstanding = max(0, len(queue) - 1)
        if status == 101:
            queue.clear()
            self._stop = "upgrade"
            return 0
        if 100 <= status < 200:
            return 0
        if queue:
            queue.popleft()
        if head.method == "CONNECT" and 200 <= status < 300:
            self._stop = "tunnel"
            return 0
        if head.method == "HEAD" or status in (204, 304):
            return 0
        if codings := _codings(head):
            self._chunked = codings[-1] == "chunked"
            return 0 if self._chunked else -1
        return -1 if head.get("content-length") is None else _content_length(head)

    def _enter_body(self, length: int, at: int) -> None:
        if self._chunked:
            self._state = _CHUNK
        elif length < 0:
            self._state = _REST
        elif length:
            self._state, self._body_end = _BODY, at + length
        else:
            self._end_message()

    def _end_message(self) -> None:
        self._state = _START
        self.stopped, self._stop = self._stop, ""

    # trouble

    def _fail(self, name: str, at: int, events: list[Event], place: tuple[int, int, int] | None = None) -> int:
        events.append(Fact(name, *(place or self._started[:3])))
        self._lose()
        return at

    def _lose(self) -> None:
        self._state = _LOST
        self._stop = ""
        self._started = (0, 0, 0, False)
        self._lost_bytes = 0
        self._clear()

    def _clear(self) -> None:
        self._buffer.clear()
        self._searched = 0

    def _hold(self, data: bytes, offset: int, time: int, packet: int) -> None:
        self._held_size += len(data) + CHUNK_COST
        if self.held_lost == 0 and self._held_size <= MAX_HELD:
            self.held.append((data, offset, time, packet))
        else:
            self.held_lost += len(data)

    def _set_skip(self) -> None:
        if self.stopped:
            self.skip = 0
        elif self._state == _BODY:
            self.skip = max(0, self._body_end - self.offset)
        else:
            self.skip = -1 if self._state == _REST else 0


_STEPS = (
    HttpSide._in_start,
    HttpSide._in_head,
    HttpSide._in_body,
    HttpSide._in_line,
    HttpSide._in_line,
    HttpSide._in_line,
    HttpSide._in_rest,
    HttpSide._in_lost,
)


def _codings(head: Head) -> list[str]:
    """Transfer codings in the order applied; "identity" was once the name of none."""
    if head.get("transfer-encoding") is None:
        return []
    return [coding for coding in head.tokens("transfer-encoding") if coding != "identity"]


def _content_length(head: Head) -> int | None:
    """The declared length, 0 without one, None when it is no number or several (RFC 9110 §8.6)."""
    if head.get("content-length") is None:
        return 0
    lengths = set(head.tokens("content-length"))
    length = lengths.pop() if len(lengths) == 1 else ""
    return int(length) if length.isascii() and length.isdigit() and len(length) <= 18 else None
