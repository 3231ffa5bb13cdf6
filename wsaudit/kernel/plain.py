"""Shortcuts for the interpreter: the commonest packets all in one loop, and the commonest frames in one function.

Uncompiled, a call costs as much as ten lines of arithmetic, so the general way (decoder → stream → scanner, a dozen calls a
packet) is ten times too slow. What is taken here is exactly what the general way would have done with it, which a test holds on
arbitrary conversations; whatever is not simply the next segment of an open connection, or of an ignored flow, goes the general
way, at its turn. The compiled kernel never comes here.
"""

from __future__ import annotations

from itertools import islice
from struct import Struct
from typing import TYPE_CHECKING, Any

from wsaudit.kernel import numbers
from wsaudit.kernel.beats import Beats
from wsaudit.kernel.constants import FORM_16, FRAMES, MASKED, RECENT, SHORT
from wsaudit.kernel.kept import keep_frame
from wsaudit.kernel.rows import BINARY, DATA, NO_DATA, OTHER, PING, PONG, SEGMENT, UDP, table_key

if TYPE_CHECKING:
    from wsaudit.kernel.batch import Batch
    from wsaudit.kernel.buffer import Buffer
    from wsaudit.kernel.frames import Scanner
    from wsaudit.kernel.packets import Decoder
    from wsaudit.kernel.records import PcapngWalker, PcapWalker

MANY = 4000  # packets, or so many bytes of a capture at once, for which numpy is worth its import
BIG = 1_000_000
SLACK = 32  # as in records.py: so many bytes are read of a frame
SEGMENT_END = Struct("<52xHB").unpack  # of what is kept
MASKING_KEY = Struct("<I").unpack_from
M32 = 0xFFFFFFFF
HALF = 0x80000000
FAR = 1 << 30
TOO_FAR = -HALF - 1  # below any offset that an acknowledgement can be of
IGNORED = 2  # as in packets.py
SKIP, TEXT = 0, 1  # as in frames.py
CLOSE_OPCODE = 8
LATEST = RECENT - 1  # and of segments, SAMPLES in streams.py
HEADER_SIZES = (2, 6, 4, 8)  # of a frame, by its shape without the first byte
FIRST_KEYS = 4  # as in frames.py
MOST_SHAPES = 12 + 256  # as in frames.py

# By the length of a short text: its masking key times the one is the key as often as it is needed, and more; the other has the
# bits that are not set in ASCII.
MASKED_TEXT = 126
REPEATS = [sum(1 << 32 * i for i in range((n + 3) // 4)) for n in range(MASKED_TEXT)]
HIGH_BITS = [int.from_bytes(b"\x80" * n, "little") for n in range(MASKED_TEXT)]


def take_ahead(walker: PcapWalker | PcapngWalker, buffer: Buffer, pos: int, end: int, until: int, decoder: Any) -> int:
    """Do what `walker.walk` would with the first records of buffer[pos:end], where they can be decoded many at once; returns the
    position of the first that is left to it."""
    if decoder.packets < MANY and end - pos < BIG:
        return pos
    while True:
        batch: Any = walker.batch
        if batch is None or not batch.goes_on(buffer, pos):
            if len(buffer.raw) < end + SLACK:
                return pos
            batch = walker.batch = walker.look_ahead(buffer, pos, end)
            if batch is None:
                return pos
        due = batch.due(until)
        if due:
            take_rows(decoder, batch, due)
            pos = batch.take(due)
        if batch.done < batch.size:
            return pos
        walker.batch = None


def take_rows(decoder: Decoder, batch: Batch, count: int) -> None:
    """The next so many rows (rows.py)."""
    buffer = batch.buffer
    raw = buffer.raw
    high = batch.high
    ascii = batch.ascii
    followed = decoder.followed.get
    udp = others = 0
    for key, code, ttl, time, packet, seq, after, ack, n, at, shape, size, mask, kept in islice(batch.rows, count):
        if code >= SEGMENT:
            if code == UDP:
                udp += 1
                continue
            others += 1
            if code == OTHER:
                decoder.packet(buffer, at, n, size, time, packet, 1)
            else:
                pass_on(decoder, buffer, key, at, n, ttl, time, packet, kept)
            continue
        stream = followed(key)
        if stream is None:
            if n:
                e = decoder.index.get(table_key(key))
                if e is None or decoder.state[e] != IGNORED:
                    others += 1
                    start = at if code == DATA else at - HEADER_SIZES[shape >> 8]
                    pass_on(decoder, buffer, key, start, n, ttl, time, packet, kept)
                else:
                    decoder.seen_time[e] = time
            continue
        if seq != stream.next_seq or not stream.steady:
            others += 1
            start = at if code >= NO_DATA else at - HEADER_SIZES[shape >> 8]
            pass_on(decoder, buffer, key, start, n, ttl, time, packet, kept)
            continue
        peer = stream.peer
        stream.last_time = time
        stream.last_packet = packet
        stream.ttl = ttl
        if ack == peer.next_seq:
            reached = peer.offset
        else:
            reached = (ack - peer.next_seq) & M32
            if reached >= HALF:
                reached -= M32 + 1
            reached = peer.offset + reached if reached < FAR else TOO_FAR
        if reached > peer.acked:
            peer.acked = reached
            peer.acked_time = time
            peer.acked_packet = packet
            peer.keepalives_unanswered = 0
        elif not n and reached != TOO_FAR:
            peer.keepalives_unanswered = 0
        if not n:
            continue
        if time - stream.last_data_time > stream.silence:
            quiet = stream.last_data_time
            if peer.last_data_time > quiet:
                quiet = peer.last_data_time
            if time - quiet > stream.silence and quiet:
                stream.silence = time - quiet
        stream.tail_retransmissions = 0
        offset = stream.offset
        samples = stream.samples
        i = (stream.sample_n & LATEST) << 1
        samples[i] = offset
        samples[i + 1] = kept
        stream.sample_n += 1
        stream.segment_kept = kept
        if stream.mode != FRAMES:
            start = at if code == DATA else at - HEADER_SIZES[shape >> 8]
            stream.deliver(buffer, start, n, time, packet)
            continue
        if not stream.last_data_time:
            stream.first_data_time = time
        stream.last_data_time = time
        stream.offset = offset + n
        stream.next_seq = after
        scanner = stream.scanner
        if scanner.remaining or scanner.message or scanner.head or scanner.closed or scanner.log is not None:
            start = at if code == DATA else at - HEADER_SIZES[shape >> 8]
            if scanner.remaining <= n or not take_payload(scanner, batch, start, n):
                scanner.feed(buffer, start, start + n, time, packet)
            continue
        if code < BINARY:
            if not ascii[code].startswith(high[at : at + size]) and not is_text(raw, at, size, mask):
                start = at - HEADER_SIZES[shape >> 8]
                scanner.feed(buffer, start, start + n, time, packet)
                continue
        elif code == DATA or (code > BINARY and (scanner.pings is None or scanner.peer_pings is None)):
            start = at if code == DATA else at - HEADER_SIZES[shape >> 8]
            scanner.feed(buffer, start, start + n, time, packet)
            continue
        here = scanner.offset
        seen = scanner.more_shapes.get(shape)
        if seen is not None:
            seen[0] += 1
            seen[5] = packet
        else:
            count_shape(scanner, shape, packet, time, here, size)
        if shape & MASKED:
            if mask == scanner.last_key or not mask or scanner.masked_frames < FIRST_KEYS:
                count_mask(scanner, mask)
            else:
                scanner.masked_frames += 1
                scanner.last_key = mask
        if size > scanner.largest:
            scanner.largest = size
            scanner.largest_packet = packet
        scanner.recent[scanner.headers & LATEST] = kept
        scanner.headers += 1
        scanner.counts[shape & 15] += 1
        scanner.offset = here + n
        scanner.last_time = time
        scanner.last_packet = packet
        if code > BINARY:
            payload = numbers.unmasked(buffer, at, size, mask, 0) if size else b""
            if code == PING:
                scanner.pings.ping(payload, packet, time, here, False)
            elif code == PONG:
                scanner.pings.pong(scanner.peer_pings, payload, packet, time, here)
            else:
                scanner.shape = shape
                scanner.frame_offset = here
                scanner.frame_packet = packet
                scanner.frame_time = time
                scanner.listener.control(scanner, CLOSE_OPCODE, payload, size)
                scanner.closed = True
            continue
        scanner.last_data_time = time
        scanner.last_data_packet = packet
        if code < BINARY:
            scanner.text_messages += 1
        else:
            scanner.binary_messages += 1
        scanner.message_bytes += size
        if 0 < size <= SHORT:
            if scanner.beats is None:
                scanner.beats = Beats()
            scanner.beats.take(buffer, at, size, shape & 0xFF, mask, time, packet, here)
    decoder.now = time
    decoder.packets += count - others
    decoder.tcp_packets += count - others - udp
    decoder.udp_packets += udp


def pass_on(
    decoder: Decoder, buffer: Buffer, key: bytes, start: int, n: int, ttl: int, time: int, packet: int, kept: bytes
) -> None:
    """A TCP segment whose headers are as most are, the general way."""
    decoder.now = time
    decoder.packets += 1
    words = key[0]
    ident, header = SEGMENT_END(kept)
    ports = start - header
    decoder.transport(buffer, ports - 4 * words, words, ports, start + n, start + n, ttl, ident, time, packet)


def take_frames(scanner: Scanner, buffer: Buffer, pos: int, end: int, time: int, packet: int) -> int:
    """Whole unfragmented data frames, Pings and Pongs at buffer[pos:end], between two messages; returns the position of the first
    byte left to the general way."""
    raw = buffer.raw
    base = scanner.offset - pos
    begin = pos
    data = False
    while end - pos >= 2:
        shape = b0 = raw[pos]
        length = raw[pos + 1]
        body = pos + 2
        if length & 127 >= 126:
            if length & 1 or end - pos < 4:
                break
            size = raw[body] << 8 | raw[pos + 3]
            if size < 126:
                break
            shape |= FORM_16
            body += 2
        else:
            size = length & 127
        key = 0
        if length & 128:
            if end - body < 4:
                break
            key = MASKING_KEY(raw, body)[0]
            shape |= MASKED
            body += 4
        stop = body + size
        if stop > end:
            break
        if b0 == 0x81:
            if not is_text(raw, body, size, key):
                break
            scanner.text_messages += 1
        elif b0 == 0x82:
            scanner.binary_messages += 1
        elif not (b0 == 0x89 or b0 == 0x8A) or size > 125 or scanner.pings is None or scanner.peer_pings is None:
            break
        if length & 128:
            count_mask(scanner, key)
        count_shape(scanner, shape, packet, time, base + pos, size)
        if size > scanner.largest:
            scanner.largest = size
            scanner.largest_packet = packet
        scanner.recent[scanner.headers & LATEST] = keep_frame(time, packet, shape, size)
        scanner.headers += 1
        scanner.counts[b0 & 15] += 1
        if b0 < 0x88:
            data = True
            scanner.message_bytes += size
            if 0 < size <= SHORT:
                if scanner.beats is None:
                    scanner.beats = Beats()
                scanner.beats.take(buffer, body, size, b0, key, time, packet, base + pos)
        elif scanner.pings is not None and scanner.peer_pings is not None:
            payload = numbers.unmasked(buffer, body, size, key, 0) if size else b""
            if b0 == 0x89:
                scanner.pings.ping(payload, packet, time, base + pos, False)
            else:
                scanner.pings.pong(scanner.peer_pings, payload, packet, time, base + pos)
        pos = stop
    if pos != begin:
        scanner.offset = base + pos
        scanner.last_time = time
        scanner.last_packet = packet
        if data:
            scanner.last_data_time = time
            scanner.last_data_packet = packet
    return pos


def count_shape(scanner: Scanner, shape: int, packet: int, time: int, offset: int, length: int) -> None:
    """As `Scanner.count_shape`."""
    shapes: Any = scanner.more_shapes
    row = shapes.get(shape)
    if row is not None:
        row[0] += 1
        row[5] = packet
    elif len(shapes) < MOST_SHAPES:
        shapes[shape] = [1, packet, time, offset, length, packet]
    else:
        scanner.shapes_dropped += 1


def count_mask(scanner: Scanner, key: int) -> None:
    """As in `Scanner.begin_frame`."""
    masked = scanner.masked_frames
    scanner.masked_frames = masked + 1
    if not key:
        scanner.zero_keys += 1
    if key == scanner.last_key and masked:
        scanner.same_keys += 1
    scanner.last_key = key
    if masked < FIRST_KEYS:
        scanner.first_keys[masked] = key


def take_payload(scanner: Scanner, batch: Batch, pos: int, n: int) -> bool:
    """Bytes from the middle of a data frame, if nobody looks at them or they are ASCII. False: nothing was changed."""
    if scanner.kind == TEXT:
        if scanner.message != 1 or scanner.message_deflated or scanner.text_bad or scanner.text_tainted or scanner.need:
            return False
        phase = scanner.phase
        key = scanner.key >> 8 * phase | scanner.key << 32 - 8 * phase
        if scanner.log is not None or not is_ascii(batch, pos, n, key):
            return False
        scanner.phase = (phase + n) & 3
    elif scanner.kind != SKIP:
        return False
    scanner.remaining -= n
    scanner.offset += n
    return True


def is_ascii(batch: Batch, pos: int, size: int, key: int) -> bool:
    """Is that of the batch's buffer, masked with `key`, ASCII? So it is if its top bits are those of the key."""
    code = key >> 7 & 1 | key >> 14 & 2 | key >> 21 & 4 | key >> 28 & 8
    return batch.ascii[code].startswith(batch.high[pos : pos + size])


def is_text(raw: bytes | bytearray, pos: int, size: int, key: int) -> bool:
    """Is raw[pos:pos+size], masked with `key`, UTF-8?"""
    data = raw[pos : pos + size]
    if key:
        number = int.from_bytes(data, "little")
        if size < MASKED_TEXT:
            number ^= REPEATS[size] * key
            if not number & HIGH_BITS[size]:
                return True
            number &= (1 << 8 * size) - 1
        else:
            number ^= int.from_bytes((key.to_bytes(4, "little") * ((size + 3) >> 2))[:size], "little")
        data = number.to_bytes(size, "little")
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
