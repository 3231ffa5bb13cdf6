"""One direction of a WebSocket connection: bytes → frame headers, control frames, UTF-8 of text. RFC 6455 §5.

The scanner is streaming: it holds at most one header and one control frame, whatever lengths are declared, and it goes on where
an endpoint would stop. It judges nothing: it counts frames by *shape* and keeps the first place of each shape, so that a rule
about headers is asked once a shape and not once a frame.
"""

from __future__ import annotations

import codecs
from array import array
from typing import Any

from wsaudit.kernel import mode, numbers
from wsaudit.kernel.beats import Beats
from wsaudit.kernel.buffer import Buffer, zeros
from wsaudit.kernel.constants import (
    AFTER_CLOSE,
    FORM_16,
    FORM_64,
    IN_MESSAGE,
    LENGTH_MSB,
    LONGER_FORM,
    MASKED,
    OVERSIZE,
    RECENT,
    SHORT,
    UNKNOWN_MESSAGE,
)
from wsaudit.kernel.kept import frames_of, keep_frame, note, nothing
from wsaudit.kernel.pings import Pings
from wsaudit.kernel.plain import count_shape, settle_frames, settle_last_frame, take_frames

M32 = 0xFFFFFFFF
MAX_SHAPES = 12  # kept in typed columns, compiled; legal traffic has about ten
MORE_SHAPES = 256  # kept beyond that; then only counted
UNUSED: list[int] = []  # uncompiled, all shapes are kept as those beyond: a dict is the faster table
CONTROL_LIMIT = 125
FIRST_KEYS = 4  # masking keys that are kept
PING = 9
PONG = 10

# What the current frame's payload is for.
SKIP = 0
TEXT = 1
CONTROL = 2
HAND_OUT = 3


def is_compiled() -> bool:
    return bool(mode.COMPILED)


def unmask(data: bytes | bytearray, key: int, phase: int) -> bytes:
    """Undo RFC 6455 §5.3: `key` little endian, `phase` = index of data[0] in the payload."""
    return numbers.unmasked(Buffer(data), 0, len(data), key, phase) if data else b""


def header_size(shape: int) -> int:
    """Bytes of the frame header with this shape (RFC 6455 §5.2)."""
    return 2 + (2 if shape & FORM_16 else 8 if shape & FORM_64 else 0) + (4 if shape & MASKED else 0)


class FrameLog:
    """Every frame as a row of typed columns; only for those who ask (`show`, `report.frames`)."""

    __slots__ = (
        "complete",
        "end_packet",
        "end_time",
        "length",
        "offset",
        "packet",
        "payloads",
        "shape",
        "side",
        "time",
    )

    def __init__(self) -> None:
        self.side = array("b")
        self.packet = array("q")
        self.time = array("q")
        self.end_packet = array("q")
        self.end_time = array("q")
        self.offset = array("q")
        self.shape = array("q")
        self.length = array("q")
        self.complete = array("b")
        self.payloads: list[bytes] | None = None

    def add(self, side: int, packet: int, time: int, offset: int, shape: int, length: int) -> int:
        self.side.append(side)
        self.packet.append(packet)
        self.time.append(time)
        self.end_packet.append(packet)
        self.end_time.append(time)
        self.offset.append(offset)
        self.shape.append(shape)
        self.length.append(length)
        self.complete.append(0)
        if self.payloads is not None:
            self.payloads.append(b"")
        return len(self.side) - 1

    def finish(self, row: int, packet: int, time: int) -> None:
        self.end_packet[row] = packet
        self.end_time[row] = time
        self.complete[row] = 1

    def payload(self, row: int, data: bytes, limit: int) -> None:
        if self.payloads is not None and len(self.payloads[row]) < limit:
            self.payloads[row] += data[: limit - len(self.payloads[row])]


class Scanner:
    """The frames of one side (`side`: 0 client, 1 server), fed in stream order.

    `listener.control(scanner, opcode, payload, length)` gets each control frame at its last byte (payload None: bytes of it
    were lost), but for Pings and Pongs where `pair` has said who keeps them. `listener.compressed(scanner, data, last)` gets the
    unmasked payload of messages with RSV1 when `inflate` is set. All
    else stays here, as counts and first places.
    """

    __slots__ = (
        "aborted_messages",
        "b0",
        "bad_text",
        "bad_text_message",
        "bad_text_offset",
        "bad_text_packet",
        "bad_text_time",
        "beats",
        "binary_messages",
        "closed",
        "control",
        "counts",
        "deflated_bytes",
        "deflated_messages",
        "first_keys",
        "fragmented_messages",
        "frame_offset",
        "frame_packet",
        "frame_time",
        "head",
        "headers",
        "hi",
        "idle",
        "incomplete",
        "inflate",
        "key",
        "kind",
        "largest",
        "largest_packet",
        "last_data_packet",
        "last_data_time",
        "last_key",
        "last_packet",
        "last_time",
        "latest_kept",
        "length",
        "listener",
        "lo",
        "log",
        "log_row",
        "lost",
        "masked_frames",
        "message",
        "message_bytes",
        "message_deflated",
        "message_length",
        "more_shapes",
        "need",
        "offset",
        "peer_pings",
        "phase",
        "pings",
        "preview",
        "recent",
        "remaining",
        "same_keys",
        "shape",
        "shape_id",
        "shape_length",
        "shape_offset",
        "shape_packet",
        "shape_tally",
        "shape_time",
        "shapes",
        "shapes_dropped",
        "side",
        "text_bad",
        "text_messages",
        "text_tainted",
        "tiny_fragments",
        "unverified_text",
        "zero_keys",
    )

    def __init__(self, side: int, listener: Any) -> None:
        self.fill(side, listener)

    def fill(self, side: int, listener: Any) -> None:
        self.side = side
        self.listener = listener
        self.pings: Pings | None = None
        self.peer_pings: Pings | None = None
        self.inflate = False
        self.log: FrameLog | None = None
        self.log_row = -1
        self.preview = 0
        self.offset = 0  # of the next byte in this side's stream
        self.lost = False  # out of step after a gap: fed no more until `resume`

        # the header under way, when a segment border cuts it
        self.head = b""
        # the current frame
        self.b0 = 0
        self.shape = 0
        self.length = 0
        self.remaining = 0
        self.key = 0
        self.phase = 0
        self.kind = SKIP
        self.control: bytes | None = b""  # payload of a control frame so far; None: some of it was lost
        self.frame_offset = 0
        self.frame_packet = 0
        self.frame_time = 0
        self.incomplete = False  # inside a frame's header or payload

        # the current message
        self.message = 0  # opcode of the open fragmented message (1, 2), 0 = none, -1 = nobody can tell
        self.message_length = 0
        self.message_deflated = False
        self.closed = False  # this side has sent a Close
        self.need = 0  # UTF-8: continuation bytes still due, and the range of the next one
        self.lo = 0x80
        self.hi = 0xBF
        self.text_bad = False
        self.text_tainted = False  # bytes of this message were lost

        # history
        self.headers = 0
        self.shapes = 0  # rows used below
        self.more_shapes: dict[int, list[int]] | None = None
        self.shapes_dropped = 0

        self.text_messages = 0
        self.binary_messages = 0
        self.message_bytes = 0  # payload of complete messages, as on the wire
        self.deflated_messages = 0
        self.deflated_bytes = 0  # wire bytes of complete messages with RSV1
        self.fragmented_messages = 0
        self.aborted_messages = 0  # a new message began inside
        self.largest = 0  # largest frame payload declared
        self.largest_packet = 0
        self.tiny_fragments = 0  # data fragments of 0 or 1 byte without FIN, or continuations
        self.bad_text = 0  # text messages whose bytes are not UTF-8
        self.bad_text_packet = 0
        self.bad_text_time = 0
        self.bad_text_offset = 0
        self.bad_text_message = 0
        self.unverified_text = 0
        self.last_time = 0  # of the last complete frame
        self.last_packet = 0
        self.last_data_time = 0
        self.last_data_packet = 0
        self.zero_keys = 0
        self.same_keys = 0  # masking key equal to the one before
        self.masked_frames = 0
        self.last_key = 0
        self.beats: Beats | None = None  # short messages that may be heartbeats
        if not mode.COMPILED:  # compiled, these are C arrays and start as zeros
            self.counts = zeros(16)  # complete frames by opcode
            self.first_keys = zeros(FIRST_KEYS)
            self.shape_id = UNUSED
            self.shape_tally = UNUSED  # how many of each, and the packet of the last
            self.shape_packet = UNUSED
            self.shape_time = UNUSED
            self.shape_offset = UNUSED
            self.shape_length = UNUSED
            self.more_shapes = {}
            self.recent = nothing()
            self.idle = False  # nothing but a new frame is due: plain.py need not ask more
            self.latest_kept: bytes | None = None  # of the last frame, one of data, where plain.py took it: for last_...

    def pair(self, own: Pings | None, peer: Pings | None) -> None:
        """Where this side's Pings and Pongs go, and where the Pings are that its Pongs may answer."""
        self.pings = own
        self.peer_pings = peer

    # -- bytes in -------------------------------------------------------------

    def feed(self, buffer: Buffer, pos: int, end: int, time: int, packet: int) -> None:
        """Take buffer[pos:end], the next bytes of the stream, captured at `time` in `packet`."""
        if not mode.COMPILED:
            settle_last_frame(self)
            if self.idle or self.plain_ready():
                pos = take_frames(self, buffer, pos, end, time, packet)
        base = self.offset - pos
        self.offset = base + end
        while pos < end:
            if self.remaining > 0:
                n = end - pos
                if n > self.remaining:
                    n = self.remaining
                if self.kind != SKIP:
                    self.take_payload(buffer, pos, n, time, packet, base + pos)
                pos += n
                self.remaining -= n
                if self.remaining == 0:
                    self.end_frame(time, packet)
                continue
            if self.head:
                pos = self.join_header(buffer, pos, end, time, packet, base)
                continue
            left = end - pos
            if left < 2:
                self.keep_header(buffer, pos, end, time, packet, base)
                break
            b1 = buffer.b[pos + 1]
            length = b1 & 0x7F
            need = 6 if b1 & 0x80 else 2
            if length == 126:
                need += 2
            elif length == 127:
                need += 8
            if left < need:
                self.keep_header(buffer, pos, end, time, packet, base)
                break
            self.frame_offset = base + pos
            self.frame_packet = packet
            self.frame_time = time
            self.begin_frame(buffer, pos)
            pos += need
            if 0 < length <= SHORT and length <= left - need:
                self.note_short(buffer, pos, time, packet)
            if self.remaining == 0:
                self.end_frame(time, packet)
        if not mode.COMPILED:
            self.idle = self.plain_ready()

    def plain_ready(self) -> bool:
        """Between two frames, with nothing about the next that the shortcut does not know."""
        return not (self.remaining or self.head or self.message or self.closed or self.log is not None)

    def note_short(self, buffer: Buffer, pos: int, time: int, packet: int) -> None:
        """The whole payload of the current frame, a short one, is at buffer[pos:]."""
        if self.b0 == 0x81 or self.b0 == 0x82:
            if self.beats is None:
                self.beats = Beats()
            self.beats.take(buffer, pos, self.length, self.b0, self.key, time, packet, self.frame_offset)

    def keep_header(self, buffer: Buffer, pos: int, end: int, time: int, packet: int, base: int) -> None:
        """A segment border cuts a header: hold its first bytes."""
        self.head = bytes(buffer.raw[pos:end])
        self.incomplete = True
        self.frame_offset = base + pos
        self.frame_packet = packet
        self.frame_time = time

    def join_header(self, buffer: Buffer, pos: int, end: int, time: int, packet: int, base: int) -> int:
        """Complete a cut header byte by byte; returns the position behind what was taken."""
        head = self.head
        while pos < end:
            have = len(head)
            if have >= 2:
                b1 = head[1]
                need = (6 if b1 & 0x80 else 2) + (2 if b1 & 0x7F == 126 else 8 if b1 & 0x7F == 127 else 0)
                if have == need:
                    break
            head += bytes(buffer.raw[pos : pos + 1])
            pos += 1
        have = len(head)
        b1 = head[1] if have > 1 else 0
        need = (6 if b1 & 0x80 else 2) + (2 if b1 & 0x7F == 126 else 8 if b1 & 0x7F == 127 else 0)
        if have < need:
            self.head = head
            return pos
        self.head = b""
        self.begin_frame(Buffer(head), 0)
        if self.remaining == 0:
            self.end_frame(time, packet)
        return pos

    # -- one frame -------------------------------------------------------------

    def begin_frame(self, buffer: Buffer, pos: int) -> None:
        """The whole header is at buffer[pos:]. RFC 6455 §5.2."""
        b0 = buffer.b[pos]
        b1 = buffer.b[pos + 1]
        opcode = b0 & 15
        length = b1 & 0x7F
        shape = b0
        if length == 126:
            length = buffer.b[pos + 2] << 8 | buffer.b[pos + 3]
            shape |= FORM_16
            if length < 126:
                shape |= LONGER_FORM
            pos += 4
        elif length == 127:
            high = buffer.b[pos + 2] << 8 | buffer.b[pos + 3]
            shape |= FORM_64
            if high & 0x8000:
                shape |= LENGTH_MSB
                high &= 0x7FFF
            length = high
            for i in range(4, 10):
                length = length << 8 | buffer.b[pos + i]
            if length < 65536 and not shape & LENGTH_MSB:
                shape |= LONGER_FORM
            pos += 10
        else:
            pos += 2
        key = 0
        if b1 & 0x80:
            shape |= MASKED
            key = numbers.le32(buffer, pos)
            self.masked_frames += 1
            if key == 0:
                self.zero_keys += 1
            if self.masked_frames > 1 and key == self.last_key:
                self.same_keys += 1
            self.last_key = key
            if self.masked_frames <= FIRST_KEYS:
                self.first_keys[self.masked_frames - 1] = key
        if self.message > 0:
            shape |= IN_MESSAGE
        elif self.message < 0:
            shape |= UNKNOWN_MESSAGE
        if self.closed:
            shape |= AFTER_CLOSE
        if opcode >= 8 and length > CONTROL_LIMIT:
            shape |= OVERSIZE
        self.b0 = b0
        self.shape = shape
        self.length = length
        self.remaining = length
        self.key = key
        self.phase = 0
        self.incomplete = True
        if length > self.largest:
            self.largest = length
            self.largest_packet = self.frame_packet
        self.count_shape(shape, length)
        if mode.COMPILED:
            row = (self.headers & (RECENT - 1)) << 2
            self.recent[row] = self.frame_time
            self.recent[row + 1] = self.frame_packet
            self.recent[row + 2] = shape
            self.recent[row + 3] = length
        else:
            note(self.recent, keep_frame(self.frame_time, self.frame_packet, shape, length), RECENT)
        self.headers += 1
        if self.log is not None:
            self.log_row = self.log.add(self.side, self.frame_packet, self.frame_time, self.frame_offset, shape, length)

        if opcode >= 8:
            self.kind = CONTROL
            self.control = b""
        elif opcode > 2 or (opcode == 0 and self.message <= 0):  # reserved, or a continuation of nothing: belongs to no message
            self.kind = SKIP
        else:
            if opcode:
                if self.message > 0:
                    self.aborted_messages += 1
                self.message = opcode
                self.message_length = 0
                self.message_deflated = b0 & 0x40 != 0
                self.need = 0
                self.lo = 0x80
                self.hi = 0xBF
                self.text_bad = False
                self.text_tainted = False
            if length < 2 and (opcode == 0 or b0 & 0x80 == 0):
                self.tiny_fragments += 1
            if self.message_deflated:
                self.kind = HAND_OUT if self.inflate else SKIP
            elif self.message == 1 and not self.text_tainted:
                self.kind = TEXT
            else:
                self.kind = SKIP
            if self.preview and self.kind == SKIP:
                self.kind = TEXT

    def count_shape(self, shape: int, length: int) -> None:
        if not mode.COMPILED:
            count_shape(self, shape, self.frame_packet, self.frame_time, self.frame_offset, length)
            return
        for i in range(self.shapes):
            if self.shape_id[i] == shape:
                self.shape_tally[2 * i] += 1
                self.shape_tally[2 * i + 1] = self.frame_packet
                return
        i = self.shapes
        if i < MAX_SHAPES:
            self.shape_id[i] = shape
            self.shape_tally[2 * i] = 1
            self.shape_tally[2 * i + 1] = self.frame_packet
            self.shape_packet[i] = self.frame_packet
            self.shape_time[i] = self.frame_time
            self.shape_offset[i] = self.frame_offset
            self.shape_length[i] = length
            self.shapes = i + 1
            return
        if self.more_shapes is None:
            self.more_shapes = {}
        row = self.more_shapes.get(shape)
        if row is not None:
            row[0] += 1
            row[5] = self.frame_packet
        elif len(self.more_shapes) < MORE_SHAPES:
            self.more_shapes[shape] = [1, self.frame_packet, self.frame_time, self.frame_offset, length, self.frame_packet]
        else:
            self.shapes_dropped += 1

    def take_payload(self, buffer: Buffer, pos: int, n: int, time: int, packet: int, offset: int) -> None:
        """Payload that somebody must look at."""
        if self.preview and self.log is not None:
            piece = numbers.unmasked(buffer, pos, min(n, self.preview), self.key, self.phase)
            self.log.payload(self.log_row, piece, self.preview)
        if self.kind == TEXT:
            if self.message == 1 and not self.message_deflated and not self.text_bad and not self.text_tainted:
                at = self.check_text(buffer, pos, pos + n)
                if at >= 0:
                    self.note_bad_text(time, packet, offset + at - pos)
        elif self.kind == CONTROL:
            control = self.control
            if control is not None and len(control) < CONTROL_LIMIT:
                room = CONTROL_LIMIT - len(control)
                piece = numbers.unmasked(buffer, pos, min(n, room), self.key, self.phase)
                self.control = control + piece if control else piece
        elif self.kind == HAND_OUT:
            piece = numbers.unmasked(buffer, pos, n, self.key, self.phase)
            last = n == self.remaining and self.b0 & 0x80 != 0
            self.listener.compressed(self, piece, last)
        self.phase = (self.phase + n) & 3

    def note_bad_text(self, time: int, packet: int, offset: int) -> None:
        if not mode.COMPILED:
            settle_frames(self)
        self.text_bad = True
        self.bad_text += 1
        if self.bad_text == 1:
            self.bad_text_packet = packet
            self.bad_text_time = time
            self.bad_text_offset = offset
            self.bad_text_message = self.text_messages + 1

    def end_frame(self, time: int, packet: int) -> None:
        """The last byte of a frame was taken."""
        opcode = self.b0 & 15
        self.counts[opcode] += 1
        self.incomplete = False
        self.last_time = time
        self.last_packet = packet
        if self.log is not None and self.log_row >= 0:
            self.log.finish(self.log_row, packet, time)
        if opcode >= 8:
            self.end_control(opcode)
        else:
            self.last_data_time = time
            self.last_data_packet = packet
            if opcode <= 2 and self.message > 0:
                self.message_length += self.length
                if self.b0 & 0x80:
                    self.end_message(opcode, time, packet)
            elif opcode == 0 and self.message < 0 and self.b0 & 0x80:
                self.message = 0  # whatever it was, it ended here

    def end_control(self, opcode: int) -> None:
        payload = self.control
        self.control = b""
        if opcode == PING and self.pings is not None:
            self.pings.ping(payload, self.frame_packet, self.frame_time, self.frame_offset, self.closed)
        elif opcode == PONG and self.pings is not None and self.peer_pings is not None:
            self.pings.pong(self.peer_pings, payload, self.frame_packet, self.frame_time, self.frame_offset)
        else:
            self.listener.control(self, opcode, payload, self.length)
        if opcode == 8:
            self.closed = True

    def end_message(self, opcode: int, time: int, packet: int) -> None:
        """The last frame of a message, which has this opcode, is complete."""
        if opcode == 0:
            self.fragmented_messages += 1
        self.message_bytes += self.message_length
        if self.message_deflated:
            self.deflated_messages += 1
            self.deflated_bytes += self.message_length
            if self.inflate and self.length == 0:
                self.listener.compressed(self, b"", True)
        if self.message == 1:
            if self.text_tainted:
                self.unverified_text += 1
            elif self.need and not self.text_bad and not self.message_deflated:
                self.note_bad_text(time, packet, self.frame_offset + header_size(self.shape) + self.length)
            self.text_messages += 1
        else:
            self.binary_messages += 1
        self.message = 0

    # -- lost bytes -------------------------------------------------------------

    def gap(self, length: int) -> bool:
        """`length` bytes of this side were lost. True: still in step, because they lay inside a payload of known length."""
        if not mode.COMPILED:
            settle_last_frame(self)
            self.idle = False
        self.offset += length
        if self.lost:
            return False
        if self.remaining >= length and self.remaining > 0:
            self.remaining -= length
            self.phase = (self.phase + length) & 3
            self.text_tainted = True
            if self.kind == CONTROL:
                self.control = None
            elif self.kind == HAND_OUT:
                self.listener.compressed_lost(self)
            self.kind = SKIP
            if self.remaining == 0:
                self.end_tainted_frame()
            return True
        self.lose_step()
        return False

    def end_tainted_frame(self) -> None:
        """A frame whose last bytes were lost: counted, its content unknown."""
        self.end_frame(self.frame_time, self.frame_packet)

    def lose_step(self) -> None:
        """Nobody knows where the next frame begins."""
        if not mode.COMPILED:
            self.idle = False
        self.lost = True
        self.remaining = 0
        self.head = b""
        self.incomplete = False
        self.message = -1
        self.text_tainted = True
        if self.inflate:
            self.listener.compressed_lost(self)

    def resume(self, offset: int) -> None:
        """In step again: the next byte fed is the first of a frame and lies at `offset`."""
        self.lost = False
        self.offset = offset
        self.remaining = 0
        self.head = b""

    # -- UTF-8 -------------------------------------------------------------

    def check_text(self, buffer: Buffer, pos: int, end: int) -> int:
        """Go on checking UTF-8 (RFC 3629) in masked buffer[pos:end]; returns the position of the first impossible byte, or -1."""
        if not mode.COMPILED:
            return self.check_text_plain(buffer, pos, end)
        return self.check_bytes(buffer, pos, end)

    def check_bytes(self, buffer: Buffer, pos: int, end: int) -> int:
        need = self.need
        lo = self.lo
        hi = self.hi
        key = self.key
        turn = (self.phase - pos) & 3  # (turn + i) & 3 is the key byte for position i
        i = pos
        while i < end:
            if mode.COMPILED and need == 0:
                shift = ((turn + i) & 3) << 3
                i = numbers.text_end(buffer, i, end, (key >> shift) | (key << (32 - shift)))
                if i >= end:
                    break
            c = buffer.b[i] ^ ((key >> (((turn + i) & 3) << 3)) & 0xFF)
            if need == 0:
                if c >= 0x80:
                    if c < 0xC2 or c > 0xF4:
                        return i
                    lo = 0x80
                    hi = 0xBF
                    if c < 0xE0:
                        need = 1
                    elif c < 0xF0:
                        need = 2
                        if c == 0xE0:
                            lo = 0xA0
                        elif c == 0xED:
                            hi = 0x9F
                    else:
                        need = 3
                        if c == 0xF0:
                            lo = 0x90
                        elif c == 0xF4:
                            hi = 0x8F
            else:
                if c < lo or c > hi:
                    return i
                need -= 1
                lo = 0x80
                hi = 0xBF
            i += 1
        self.need = need
        self.lo = lo
        self.hi = hi
        return -1

    def check_text_plain(self, buffer: Buffer, pos: int, end: int) -> int:
        """The same in plain Python: the C decoder does the work, the state machine above only the borders."""
        data = numbers.unmasked(buffer, pos, end - pos, self.key, self.phase)
        start = 0
        if self.need:
            start = min(len(data), self.need)
            at = self.check_plain_bytes(data[:start])
            if at >= 0:
                return pos + at
            if self.need:
                return -1
        rest = data[start:] if start else data
        if rest.isascii():
            return -1
        try:
            _, used = codecs.utf_8_decode(rest, "strict", False)
        except UnicodeDecodeError as error:
            used = error.start
        at = self.check_plain_bytes(rest[used:])
        return -1 if at < 0 else pos + start + used + at

    def check_plain_bytes(self, data: bytes) -> int:
        key, phase = self.key, self.phase
        self.key = self.phase = 0
        at = self.check_bytes(Buffer(data), 0, len(data)) if not mode.COMPILED else -1
        self.key, self.phase = key, phase
        return at

    # -- facts out -------------------------------------------------------------

    def shape_rows(self) -> list[tuple[int, int, int, int, int, int, int]]:
        """(shape, count, first packet, first time, first offset, first length, last packet) of each shape, in order of
        appearance."""
        rows = []
        for i in range(self.shapes):
            rows.append(
                (
                    self.shape_id[i],
                    self.shape_tally[2 * i],
                    self.shape_packet[i],
                    self.shape_time[i],
                    self.shape_offset[i],
                    self.shape_length[i],
                    self.shape_tally[2 * i + 1],
                )
            )
        if self.more_shapes is not None:
            for shape, row in self.more_shapes.items():
                rows.append((shape, row[0], row[1], row[2], row[3], row[4], row[5]))
        return rows

    def shape_ids(self) -> tuple[int, ...]:
        """The shapes seen, in order of appearance."""
        ids = [self.shape_id[i] for i in range(self.shapes)]
        return tuple(ids if self.more_shapes is None else [*ids, *self.more_shapes])

    def mask_keys(self) -> bytes:
        """The first masking keys as they came, four bytes each."""
        n = self.masked_frames if self.masked_frames < FIRST_KEYS else FIRST_KEYS
        return numbers.packed(self.first_keys, n)

    def keys_count_up(self) -> bool:
        """Whether the first masking keys grow by the same step: for random ones the odds are 1 to 2³²."""
        n = self.masked_frames if self.masked_frames < FIRST_KEYS else FIRST_KEYS
        if n < 3:
            return False
        step: int = (self.first_keys[1] - self.first_keys[0]) & M32
        for i in range(2, n):
            if (self.first_keys[i] - self.first_keys[i - 1]) & M32 != step:
                return False
        return step != 0

    def has_only(self, shapes: bytearray) -> bool:
        """Are all shapes that were seen among these? There is a byte for each shape, 0 if it is not."""
        if self.more_shapes is not None:
            for shape in self.more_shapes:
                if not shapes[shape]:
                    return False
        for i in range(self.shapes):  # noqa: SIM110 - no generator when compiled
            if not shapes[self.shape_id[i]]:
                return False
        return True

    def opcode_counts(self) -> list[int]:
        """Complete frames by opcode, 16 numbers."""
        return [self.counts[i] for i in range(16)]

    def beat_rows(self) -> list[tuple[bytes, int, int, int, int, int, int, int]]:
        """Short messages and how often they came (`Beats.rows`)."""
        return [] if self.beats is None else self.beats.rows()

    def recent_rows(self) -> list[tuple[int, int, int, int]]:
        """(time, packet, shape, length) of the last frames, oldest first."""
        if not mode.COMPILED:
            return frames_of(self.recent, RECENT)
        n = self.headers if self.headers < RECENT else RECENT
        rows = []
        for i in range(self.headers - n, self.headers):
            j = (i & (RECENT - 1)) << 2
            rows.append((self.recent[j], self.recent[j + 1], self.recent[j + 2], self.recent[j + 3]))
        return rows
