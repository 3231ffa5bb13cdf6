"""Where do the frames begin? After a gap, and in a capture that starts in the middle.

A candidate is the start of a captured segment: senders usually begin a frame there. It is believed when three consecutive headers
are plausible (known opcode, RSV2 and RSV3 zero, shortest length form, one mask polarity, control frames short and whole), or when
a chain of frames ends exactly with a segment and its last is a whole Close with a code that may be sent and a readable reason,
or an empty one where frames are known to be or text was read: the end of a connection rarely leaves three frames. Behind a 101
that a snap length cut, the next segment begins with a frame: there one header will do. Nothing is guessed beyond that; what was
skipped is counted.
"""

from __future__ import annotations

from typing import NamedTuple

from wsaudit.kernel.frames import unmask

ENOUGH = 3
ENOUGH_BARE = 5  # without a mask and without text
LONGEST = 16 << 20  # a longer frame is not believed here
MAX_CANDIDATES = 64


class Chunk(NamedTuple):
    """Bytes of one segment: data, stream offset, time, packet."""

    data: bytes
    offset: int
    time: int
    packet: int


class Resync:
    """Looks for the next frame of one side. `masked`: the polarity this side must have, None when nobody knows who the client
    is."""

    def __init__(self, masked: bool | None, limit: int, strict: bool = False, expected: bool = False) -> None:
        self.masked = masked
        self.expected = expected  # the next byte should be the first of a frame
        self.strict = strict  # nothing else says that this is a WebSocket: a frame must also end where a segment ends
        self.masked_found = False
        self.limit = limit
        self.chunks: list[Chunk] = []
        self.size = 0
        self.dropped = 0  # bytes given up as not readable

    def feed(self, chunk: Chunk) -> list[Chunk] | None:
        """Take a segment; returns the chunks from the first believed frame on (to be scanned), or None."""
        self.chunks.append(chunk)
        self.size += len(chunk.data)
        while len(self.chunks) > 1 and (self.size > self.limit or len(self.chunks) > MAX_CANDIDATES):
            gone = self.chunks.pop(0)
            self.size -= len(gone.data)
            self.dropped += len(gone.data)
        joined = b"".join([piece.data for piece in self.chunks])
        if self.expected and len(joined) >= 2:
            self.expected = False
            if begins(joined, self.masked):
                found, self.chunks = self.chunks, []
                self.size = 0
                return found
        ends = set()
        at = 0
        for piece in self.chunks:
            at += len(piece.data)
            ends.add(at)
        at = 0
        for i, piece in enumerate(self.chunks):
            if plausible(joined, at, self.masked, ends, self.strict):
                self.dropped += at
                self.masked_found = joined[at + 1] & 0x80 != 0
                found = self.chunks[i:]
                self.chunks = []
                self.size = 0
                return found
            at += len(piece.data)
        return None

    def gap(self) -> None:
        """More bytes were lost: what is held does not join what comes."""
        self.dropped += self.size
        self.chunks = []
        self.size = 0
        self.expected = False


def begins(data: bytes, masked: bool | None) -> bool:
    """Can these be the first bytes of a side's first frame?"""
    opcode, length = data[0] & 15, data[1] & 127
    if data[0] & 0x30 or (data[1] & 128 != 0) != masked:
        return False
    return opcode in (1, 2) or (opcode in (8, 9, 10) and length <= 125 and data[0] & 0xC0 == 0x80)


def plausible(data: bytes, pos: int, masked: bool | None, ends: set[int], strict: bool) -> bool:
    """Does a believable chain of frames begin at `pos`? `ends`: positions where segments end.

    `strict`: nothing but these bytes says that this is a WebSocket. Then a chain may not begin inside a message nor have empty
    fragments (with them every length-prefixed protocol is a chain: `00 00 00 1c`), whole text must be UTF-8, and without a mask
    or readable text it must be longer (MQTT's SUBSCRIBE, `82 0a`, is the header of a binary frame).
    """
    seen = aligned = 0
    enough = ENOUGH
    readable = False
    if strict and pos + 2 <= len(data):
        if data[pos] & 15 == 0:
            return False
        if not data[pos + 1] & 0x80:
            enough = ENOUGH_BARE
    open_message: bool | None = None
    while pos + 2 <= len(data):
        b0, b1 = data[pos], data[pos + 1]
        opcode = b0 & 15
        length = b1 & 127
        has_mask = b1 & 128 != 0
        if masked is None:
            masked = has_mask
        if b0 & 0x30 or opcode not in (0, 1, 2, 8, 9, 10) or has_mask != masked:
            return False
        if opcode >= 8 and (length > 125 or not b0 & 0x80 or b0 & 0x40):
            return False
        if opcode == 0 and (b0 & 0x40 or open_message is False):
            return False
        if opcode < 8:
            if opcode and open_message:
                return False
            open_message = b0 & 0x80 == 0
        head = 2
        if length == 126:
            if pos + 4 > len(data):
                return False
            length = int.from_bytes(data[pos + 2 : pos + 4], "big")
            head = 4
            if length < 126:
                return False
        elif length == 127:
            if pos + 10 > len(data):
                return False
            length = int.from_bytes(data[pos + 2 : pos + 10], "big")
            head = 10
            if length < 65536 or length > LONGEST:
                return False
        if opcode == 8 and length == 1:
            return False
        key = 0
        if has_mask:
            if pos + head + 4 > len(data):
                return False
            key = int.from_bytes(data[pos + head : pos + head + 4], "little")
            head += 4
        seen += 1
        body = pos + head
        pos = body + length
        if strict and opcode < 8:
            if not b0 & 0x80 and length == 0:
                return False
            if b0 == 0x81 and length and pos <= len(data):
                text = unmask(data[body:pos], key, 0)
                if not is_utf8(text):
                    return False
                if min(text) >= 0x20:
                    enough = ENOUGH
                    readable = True
        aligned += pos in ends
        if seen >= enough and (aligned or not strict):
            return True
        if opcode == 8 and pos in ends:
            if length == 0:
                return not strict or readable
            return believable_close(unmask(data[body:pos], key, 0))
    return False


def believable_close(payload: bytes) -> bool:
    code = int.from_bytes(payload[:2], "big")
    if not ((1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999):
        return False
    return is_utf8(payload[2:])


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def masked_frame(data: bytes) -> bool:
    """May these be the first bytes of a client's frame? No HTTP method begins so."""
    return data[0] & 0x30 == 0 and data[0] & 15 in (0, 1, 2, 8, 9, 10) and (len(data) < 2 or data[1] & 0x80 != 0)


def frames_begin(held: list[tuple[bytes, int, int, int]]) -> bool:
    """Are the bytes behind the upgrade request frames? Masked as they must be, or several that are plausible without."""
    data = b"".join([chunk[0] for chunk in held])
    return masked_frame(data) or plausible(data, 0, False, set(), False)


def masked(data: bytes) -> bool | None:
    """The mask bit of the frame that `data` may begin; None if it is not there yet."""
    return data[1] & 0x80 != 0 if len(data) > 1 else None
