"""Shortcuts for the interpreter: the commonest packets all in one loop, and the commonest frames in one function.

Uncompiled, a call costs as much as ten lines of arithmetic, so the general way (decoder → stream → scanner, a dozen calls a
packet) is ten times too slow. What is taken here is exactly what the general way would have done with it, which a test holds on
arbitrary conversations; whatever is not simply the next segment of an open connection, or of an ignored flow, goes the general
way, at its turn. The compiled kernel never comes here.

The packets of a window are taken flow by flow: all that is known of a flow is in the processor's caches then, which is a tenth of
the time. Flows know nothing of one another before they end, and are finished in order only when the window is taken; packets that
may be of any flow keep their place. What is bounded for all flows together (engine.py) has to keep what came first all the same.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from wsaudit.kernel import numbers
from wsaudit.kernel.beats import Beats
from wsaudit.kernel.constants import FORM_16, FRAMES, MASKED, RECENT, SHORT
from wsaudit.kernel.kept import frame_of, keep_frame, moment, note
from wsaudit.kernel.rows import BINARY, DATA, NO_DATA, OTHER, PING, PONG, ROW, SEGMENT, UDP, table_key

if TYPE_CHECKING:
    from wsaudit.kernel.batch import Batch
    from wsaudit.kernel.buffer import Buffer
    from wsaudit.kernel.frames import Scanner
    from wsaudit.kernel.packets import Decoder
    from wsaudit.kernel.records import PcapngWalker, PcapWalker
    from wsaudit.kernel.streams import Stream

MANY = 4000  # packets, or so many bytes of a capture at once, for which numpy is worth its import
BIG = 1_000_000
SLACK = 32  # as in records.py: so many bytes are read of a frame
HEADERS = Struct("<16x2q20xH2B").unpack  # of what is kept: time, packet, IP id, size of the TCP header, hop limit
MASKING_KEY = Struct("<I").unpack_from
M32 = 0xFFFFFFFF
HALF = 0x80000000
FAR = 1 << 30
IGNORED = 2  # as in packets.py
SKIP, TEXT = 0, 1  # as in frames.py
CLOSE_OPCODE = 8
COUNT, LAST, NEW, NEW_KEPT = 0, 5, 6, 7  # of a shape: frames, packet of the last; those not settled yet, what is kept of the last
HEADER_SIZES = (2, 6, 4, 8)  # of a frame, by its shape without the first byte
MOST_KEPT = 3 * RECENT  # segments of a side: of the last of them (SAMPLES in streams.py) something is asked, the rest go at times
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
            take_due(decoder, batch, due)
            pos = batch.take(due)
        if batch.done < batch.size:
            return pos
        walker.batch = None


def take_due(decoder: Decoder, batch: Batch, due: int) -> None:
    """The next so many rows of a batch."""
    udp = batch.udp_of(due)
    now = batch.clock_after(due)
    # In a table that becomes full, it matters which flow was silent longest when a packet came.
    if due == batch.size and decoder.live + 2 * due < decoder.max_flows:
        decoder.in_any_order = True
        passed_on = take_rows(decoder, batch, batch.by_flow())
        decoder.now = now
        decoder.catch_up()
    else:
        passed_on = take_rows(decoder, batch, batch.in_turn(due))
        decoder.now = now
    decoder.packets += due - passed_on
    decoder.tcp_packets += due - passed_on - udp
    decoder.udp_packets += udp


def take_rows(decoder: Decoder, batch: Batch, rows: memoryview) -> int:
    """These rows (rows.py). Returns how many of them the decoder was given. What is taken here is noted in few places:
    `settle_stream`, `settle_frames`."""
    buffer = batch.buffer
    raw = buffer.raw
    high = batch.high
    ascii = batch.ascii
    followed = decoder.followed.get
    passed_on = 0
    ignored = b""  # the flow of `entry`, of which nobody wants to know
    entry = -1
    for key, code, time, seq, after, ack, n, at, shape, size, mask, kept in ROW.iter_unpack(rows):
        stream = followed(key) if code < SEGMENT else None
        if stream is None or seq != stream.next_seq or not stream.steady:
            if code == UDP:
                continue
            if stream is None and code < SEGMENT:
                if not n:
                    continue
                if key != ignored:
                    entry = decoder.index.get(table_key(key), -1)
                    if entry >= 0 and decoder.state[entry] == IGNORED:
                        ignored = key
                if key == ignored:
                    decoder.seen_time[entry] = time
                    continue
            ignored = b""
            passed_on += 1
            if code == OTHER:
                decoder.packet(buffer, at, n, size, time, moment(kept)[1], 1)
            else:
                pass_on(decoder, buffer, key, at if code >= NO_DATA else at - HEADER_SIZES[shape >> 8], n, kept)
            continue
        peer = stream.peer
        stream.latest_kept = kept
        if ack == peer.next_seq:
            reached = peer.offset
        else:
            reached = (ack - peer.next_seq) & M32
            if reached >= HALF:
                reached -= M32 + 1
            reached = peer.offset + reached if reached < FAR else 0
        if reached > peer.acked:
            peer.acked = reached
            peer.acked_kept = kept
        if not n:
            continue
        quiet = stream.last_data_time
        if not quiet or time - quiet > stream.silence:
            if not quiet:
                stream.first_data_time = time
            if peer.last_data_time > quiet:
                quiet = peer.last_data_time
            if time - quiet > stream.silence and quiet:
                stream.silence = time - quiet
        stream.segment_kept = kept
        stream.samples.append(kept)
        if stream.mode != FRAMES:
            if len(stream.samples) > MOST_KEPT:
                del stream.samples[:-RECENT]
            stream.deliver(buffer, at if code == DATA else at - HEADER_SIZES[shape >> 8], n, time, moment(kept)[1])
            continue
        offset = stream.offset
        stream.last_data_time = time
        stream.offset = offset + n
        stream.next_seq = after
        scanner = stream.scanner
        if not scanner.idle:
            scanner.offset = offset
            start = at if code == DATA else at - HEADER_SIZES[shape >> 8]
            if scanner.remaining <= n or not take_payload(scanner, batch, start, n):
                scanner.feed(buffer, start, start + n, time, moment(kept)[1])
            if len(stream.samples) > MOST_KEPT:
                del stream.samples[:-RECENT]
            continue
        if code < BINARY:
            usual = ascii[code].startswith(high[at : at + size]) or is_text(raw, at, size, mask)
        else:
            usual = code == BINARY or (code != DATA and scanner.pings is not None and scanner.peer_pings is not None)
        seen = scanner.more_shapes.get(shape) or new_shape(scanner, shape, kept, offset) if usual else None
        if seen is None:
            scanner.offset = offset
            start = at if code == DATA else at - HEADER_SIZES[shape >> 8]
            scanner.feed(buffer, start, start + n, time, moment(kept)[1])
            del stream.samples[:-RECENT]
            continue
        seen[NEW] = new = seen[NEW] + 1
        seen[NEW_KEPT] = kept
        scanner.recent.append(kept)
        if not new & 15:
            del scanner.recent[:-RECENT]
            del stream.samples[:-RECENT]
        if shape & MASKED:
            if mask == scanner.last_key or not mask or scanner.masked_frames < FIRST_KEYS:
                count_mask(scanner, mask)
            else:
                scanner.masked_frames += 1
                scanner.last_key = mask
        if size > scanner.largest:
            scanner.largest = size
            scanner.largest_packet = moment(kept)[1]
        if code <= BINARY:
            scanner.latest_kept = kept
            scanner.message_bytes += size
            if size <= SHORT and size:
                if scanner.beats is None:
                    scanner.beats = Beats()
                scanner.beats.take(buffer, at, size, shape & 0xFF, mask, time, moment(kept)[1], offset)
            continue
        packet = moment(kept)[1]
        settle_last_frame(scanner)
        scanner.last_time = time
        scanner.last_packet = packet
        payload = numbers.unmasked(buffer, at, size, mask, 0) if size else b""
        if code == PING:
            scanner.pings.ping(payload, packet, time, offset, False)
        elif code == PONG:
            scanner.pings.pong(scanner.peer_pings, payload, packet, time, offset)
        else:
            scanner.shape = shape
            scanner.frame_offset = offset
            scanner.frame_packet = packet
            scanner.frame_time = time
            scanner.listener.control(scanner, CLOSE_OPCODE, payload, size)
            scanner.closed = True
            scanner.idle = False
    return passed_on


def pass_on(decoder: Decoder, buffer: Buffer, key: bytes, start: int, n: int, kept: bytes) -> None:
    """A TCP segment whose headers are as most are, the general way."""
    time, packet, ident, header, ttl = HEADERS(kept)
    decoder.now = time
    decoder.packets += 1
    words = key[0]
    ports = start - header
    decoder.transport(buffer, ports - 4 * words, words, ports, start + n, start + n, ttl, ident, time, packet)


def settle_stream(stream: Stream) -> None:
    """What `take_rows` noted of a stream, and of what was acknowledged, to where it belongs."""
    kept = stream.latest_kept
    if kept is not None:
        stream.latest_kept = None
        stream.last_time, stream.last_packet = moment(kept)
        stream.ttl = kept[-1]
        if stream.mode == FRAMES:
            stream.scanner.offset = stream.offset
    kept = stream.acked_kept
    if kept is not None:
        stream.acked_kept = None
        stream.acked_time, stream.acked_packet = moment(kept)


def settle_last_frame(scanner: Scanner) -> None:
    """So of the last frame."""
    kept = scanner.latest_kept
    if kept is not None:
        scanner.latest_kept = None
        scanner.last_time, scanner.last_packet = scanner.last_data_time, scanner.last_data_packet = moment(kept)


def settle_frames(scanner: Scanner) -> None:
    """So of all frames."""
    settle_last_frame(scanner)
    shapes: Any = scanner.more_shapes
    for shape, seen in shapes.items():
        new = seen[NEW]
        if new:
            seen[COUNT] += new
            seen[NEW] = 0
            if seen[NEW_KEPT] is not None:
                seen[LAST] = moment(seen[NEW_KEPT])[1]
                seen[NEW_KEPT] = None
            scanner.headers += new
            scanner.counts[shape & 15] += new
            if shape & 15 == 1:
                scanner.text_messages += new
            elif shape & 15 == 2:
                scanner.binary_messages += new


def take_frames(scanner: Scanner, buffer: Buffer, pos: int, end: int, time: int, packet: int) -> int:
    """Whole unfragmented data frames, Pings and Pongs at buffer[pos:end], between two messages; returns the position of the first
    byte left to the general way."""
    raw = buffer.raw
    base = scanner.offset - pos
    begin = pos
    data = False
    pings: Any = scanner.pings if scanner.peer_pings is not None else None
    while end - pos >= 2:
        shape = b0 = raw[pos]
        masked = raw[pos + 1] > 127
        size = raw[pos + 1] & 127
        body = pos + 2
        key = 0
        if size >= 126:
            if size == 127 or end - pos < 4:
                break
            size = raw[body] << 8 | raw[pos + 3]
            if size < 126:
                break
            shape |= FORM_16
            body += 2
        if masked:
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
        elif pings is None or size > 125 or not (b0 == 0x89 or b0 == 0x8A):
            break
        count_shape(scanner, shape, packet, time, base + pos, size)
        scanner.headers += 1
        scanner.counts[b0 & 15] += 1
        if masked:
            count_mask(scanner, key)
        if size > scanner.largest:
            scanner.largest = size
            scanner.largest_packet = packet
        note(scanner.recent, keep_frame(time, packet, shape, size), RECENT)
        if b0 < 0x88:
            data = True
            scanner.message_bytes += size
            if 0 < size <= SHORT:
                if scanner.beats is None:
                    scanner.beats = Beats()
                scanner.beats.take(buffer, body, size, b0, key, time, packet, base + pos)
        else:
            payload = numbers.unmasked(buffer, body, size, key, 0) if size else b""
            if b0 == 0x89:
                pings.ping(payload, packet, time, base + pos, False)
            else:
                pings.pong(scanner.peer_pings, payload, packet, time, base + pos)
        pos = stop
    if pos != begin:
        scanner.offset = base + pos
        scanner.last_time = time
        scanner.last_packet = packet
        if data:
            scanner.last_data_time = time
            scanner.last_data_packet = packet
    return pos


def new_shape(scanner: Scanner, shape: int, kept: bytes, offset: int) -> list[Any] | None:
    """The row of a shape not seen before, if there is room for one."""
    shapes: Any = scanner.more_shapes
    if len(shapes) == MOST_SHAPES:
        return None
    time, packet, _, length = frame_of(kept)
    row = shapes[shape] = [0, packet, time, offset, length, packet, 0, None]
    return row


def count_shape(scanner: Scanner, shape: int, packet: int, time: int, offset: int, length: int) -> None:
    """As `Scanner.count_shape`, compiled, in one table."""
    shapes: Any = scanner.more_shapes
    row = shapes.get(shape)
    if row is not None:
        row[COUNT] += 1
        row[LAST] = packet
        row[NEW_KEPT] = None
    elif len(shapes) < MOST_SHAPES:
        shapes[shape] = [1, packet, time, offset, length, packet, 0, None]
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
