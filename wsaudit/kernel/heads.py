"""HTTP/1.x heads (RFC 9112 §2-5) at which there is nothing to wonder, read in place. Compiled, `inline_heads.pxd` takes the place
of this.

Each function takes the position of a head in a buffer and, but for the first, the one behind its blank line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsaudit.kernel.buffer import Buffer

REQUEST_LINE = re.compile(rb"(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) /[!-~]* HTTP/1\.[01]\r\n").match
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([2-5][0-9][0-9]) [ -~]*\r\n").match
LENGTH = re.compile(rb"\ncontent-length: *([0-9]{1,18})\r").match
NONE = -1  # no Content-Length
UNCLEAR = -2


def stop_of(buffer: Buffer, pos: int, end: int) -> int:
    """The position behind the blank line in buffer[pos:end], 0 if there is none."""
    stop = buffer.raw.find(b"\r\n\r\n", pos, end) + 4
    return stop if stop >= 4 else 0


def is_request(buffer: Buffer, pos: int, stop: int) -> bool:
    """Is that a request for a path, with a common method?"""
    return REQUEST_LINE(buffer.raw, pos, stop) is not None


def status_of(buffer: Buffer, pos: int, stop: int) -> int:
    """The status of a final response, 0 if it is none."""
    line = STATUS_LINE(buffer.raw, pos, stop)
    return 0 if line is None else int(line[1])


def body_length(buffer: Buffer, pos: int, stop: int) -> int:
    """What Content-Length says; NONE, or UNCLEAR if there is anything to wonder at, or anything about WebSockets."""
    lower = bytes(buffer.raw[pos:stop]).lower()
    if b"websocket" in lower or b"\ntransfer-encoding" in lower or b"\n " in lower or b"\n\t" in lower:
        return UNCLEAR
    if lower.count(b"\n") != lower.count(b"\r\n"):  # it may end earlier than it seems
        return UNCLEAR
    at = lower.find(b"\ncontent-length")
    if at < 0:
        return NONE
    length = LENGTH(lower, at)
    if length is None or lower.find(b"\ncontent-length", at + 1) >= 0:
        return UNCLEAR
    return int(length[1])
