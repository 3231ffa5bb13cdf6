"""Where do the frames begin? After a gap, and in a capture that starts in the middle.

A candidate is the start of a captured segment: senders usually begin a frame there. It is believed when three consecutive headers
are plausible (known opcode, RSV2 and RSV3 zero, shortest length form, one mask polarity, control frames short and whole), or when
a chain of frames ends exactly with a segment and its last is a whole Close with a code that may be sent and a readable reason,
or an empty one where frames are known to be or text was read: the end of a connection rarely leaves three frames. Behind a 101
that a snap length cut, the next segment begins with a frame: there one header will do. Nothing is guessed beyond that; what was
skipped is counted.

Where a snap length leaves only the first bytes of each segment, frames are known by their lengths: a header whose frame ends
exactly where its segment did is one in some thousands by chance, and several in a row are believed.
"""

from __future__ import annotations

from typing import NamedTuple

from wsaudit.kernel.frames import unmask

ENOUGH = 3
ENOUGH_BARE = 5  # without a mask and without text
LONGEST = 16 << 20  # a longer frame is not believed here
MAX_CANDIDATES = 64
ENOUGH_CUT = 2  # segments in a row that their headers fit, of a side whose polarity is known
ENOUGH_CUT_MASKED = 3  # the same where nothing is known; only masked ones count, as other protocols begin with lengths, too


class Chunk(NamedTuple):
    """Bytes of one segment: data, stream offset, time, packet."""

    data: bytes
    offset: int
    time: int
    packet: int


class Cut(NamedTuple):
    """A segment of which the capture has the first bytes only, and how many it has not."""

    chunk: Chunk
    lost: int


class Resync:
    """Looks for the next frame of one side. `masked`: the polarity this side must have, None when nobody knows who the client
    is."""

    def __init__(
        self, masked: bool | None, limit: int, strict: bool = False, expected: bool = False, behind_head: bool = False
    ) -> None:
        self.masked = masked
        self.behind_head: list[Cut] | None = [] if behind_head else None  # all segments, while the first may begin with a frame
        self.peer: Resync | None = None  # behind heads that were cut: the search of the other side
        self.expected = expected  # the next byte should be the first of a frame
        self.strict = strict  # nothing else says that this is a WebSocket: a frame must also end where a segment ends
        self.masked_found = False
        self.limit = limit
        self.chunks: list[Chunk] = []
        self.size = 0
        self.cut: list[Cut] = []  # segments before `chunks` that are a chain of frames, as far as they are there
        self.cut_ends = 0  # how many of their ends are the end of a frame
        self.cut_due = 0  # bytes of the last frame that the next segments must have
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

    def gap(self, length: int | None = None) -> list[Cut] | None:
        """More bytes were lost (None: nobody knows how many): what is held does not join what comes. But if the capture has cut
        one segment after the other, their headers may do: returns the segments from the first believed frame on, or None."""
        chunks, self.chunks = self.chunks, []
        self.size = 0
        self.expected = False
        if length is None or not chunks:
            self.dropped += sum([len(piece.data) for piece in chunks])
            self.behind_head = None
            self.forget_cut()
            return None
        for piece in chunks:
            segment = Cut(piece, length if piece is chunks[-1] else 0)
            if self.behind_head is not None:
                self.behind_head.append(segment)
            self.take_cut(segment)
        if not self.is_believed():
            return None
        self.masked_found = self.masked is not False
        return self.all_behind_head() or self.cut

    def is_believed(self) -> bool:
        """Are these enough segments that are whole frames? Behind heads of which nearly nothing is left those of a server alone
        are not, as without a mask other protocols look like that."""
        if self.peer is None:
            return self.cut_ends >= (ENOUGH_CUT if self.masked is not None else ENOUGH_CUT_MASKED)
        client, server = (self, self.peer) if self.masked else (self.peer, self)
        return client.cut_ends >= ENOUGH_CUT or (client.cut_ends > 0 and server.cut_ends >= ENOUGH_CUT)

    def take_cut(self, segment: Cut) -> None:
        """Does this segment go on with the chain, or begin one?"""
        due = self.go_on(segment, self.cut_due)
        if due is None or len(self.cut) == MAX_CANDIDATES:
            self.forget_cut()
            due = self.go_on(segment, 0)
        if due is None:
            self.dropped += len(segment.chunk.data)
            return
        self.cut.append(segment)
        self.cut_due = due
        self.cut_ends += due == 0

    def forget_cut(self) -> None:
        self.dropped += sum([len(segment.chunk.data) for segment in self.cut])
        self.cut = []
        self.cut_ends = self.cut_due = 0

    def go_on(self, segment: Cut, due: int) -> int | None:
        """How many bytes of a frame must come behind `segment`, if `due` of them come first in it; None: it is no chain of
        frames, or a header in it was cut."""
        data = segment.chunk.data
        size = len(data) + segment.lost
        while due < size:
            frame = whole_header(data, due, self.masked is not False)
            if frame is None:
                return None
            due += frame
        return due - size

    def settle(self) -> list[Cut] | None:
        """Behind a head that was cut: the segments held are whole. What `gap` returns."""
        return self.gap(0) if self.peer is not None and self.chunks else None

    def all_behind_head(self) -> list[Cut]:
        """All segments so far, if frames are believed now and the first one can begin with one; else none."""
        all_of_them = self.behind_head
        if all_of_them and len(all_of_them[0].chunk.data) > 1 and begins(all_of_them[0].chunk.data, self.masked):
            return all_of_them
        return []


def whole_header(data: bytes, pos: int, masked: bool) -> int | None:
    """The size of the frame whose header is at `pos`; None: it is not all there, or not one to be believed."""
    if pos + 2 > len(data):
        return None
    opcode, length = data[pos] & 15, data[pos + 1] & 127
    if data[pos] & 0x30 or opcode not in (0, 1, 2, 8, 9, 10) or (data[pos + 1] & 128 != 0) != masked:
        return None
    if opcode >= 8 and (length > 125 or data[pos] & 0xC0 != 0x80):
        return None
    head, least = (2, 0) if length < 126 else (4, 126) if length == 126 else (10, 65536)
    if pos + head + 4 * masked > len(data):
        return None
    if least:
        length = int.from_bytes(data[pos + 2 : pos + head], "big")
    if length < least or length > LONGEST or (opcode == 0 and not length):
        return None
    return head + 4 * masked + length


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
