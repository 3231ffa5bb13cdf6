"""Shortcuts for the interpreter: the commonest packet and the commonest frames, each in one function.

Uncompiled, a call costs as much as ten lines of arithmetic, so the general way (decoder → stream → scanner, a dozen calls a
packet) is ten times too slow. What these functions take is exactly what the general way would have done with it, which a test
holds on arbitrary conversations; whatever is not simply the next segment of an open connection, or of an ignored flow, they leave
alone. The compiled kernel never calls them.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from wsaudit.kernel import numbers
from wsaudit.kernel.beats import Beats
from wsaudit.kernel.constants import FORM_16, FRAMES, GENEVE_PORT, MASKED, OLD_VXLAN_PORT, RECENT, SHORT, VXLAN_PORT

if TYPE_CHECKING:
    from wsaudit.kernel.buffer import Buffer
    from wsaudit.kernel.frames import Scanner
    from wsaudit.kernel.packets import Decoder

# From the Ethernet type on: version 4 with no options, version 6 with no extension headers. The key is addresses and ports.
VERSION4 = Struct(">HBxHHHBBxx12sIIBBH").unpack_from
VERSION6 = Struct(">H4xHBB36sIIBBH").unpack_from
FOUR = Struct("4q").pack_into  # to an array of such numbers
EIGHT = Struct("<Q").unpack_from
MASKING_KEY = Struct("<I").unpack_from
FIN_SYN_RST = 0x07
ACK = 0x10
TUNNELS = tuple(port.to_bytes(2, "big") for port in (VXLAN_PORT, OLD_VXLAN_PORT, GENEVE_PORT))
M32 = 0xFFFFFFFF
HALF = 0x80000000
FAR = 1 << 30
IGNORED = 2  # as in packets.py
SKIP, TEXT = 0, 1  # as in frames.py

# By the length of a short text: its masking key times the one is the key as often as it is needed, and more; the other has the
# bits that are not set in ASCII.
MASKED_TEXT = 126
REPEATS = [sum(1 << 32 * i for i in range((n + 3) // 4)) for n in range(MASKED_TEXT)]
HIGH_BITS = [int.from_bytes(b"\x80" * n, "little") for n in range(MASKED_TEXT)]


def take_packet(decoder: Decoder, buffer: Buffer, pos: int, caplen: int, time: int, packet: int) -> bool:
    """An Ethernet packet that was captured whole. True: done; False: nothing was changed, take the general way."""
    if caplen < 54:
        return False
    raw = buffer.raw
    end = pos + caplen
    at = pos + 12
    kind, first, total, ident, fragment, ttl, protocol, key, seq, ack, offset, flags, window = VERSION4(raw, at)
    if kind == 0x8100:
        at += 4
        if caplen < 58:
            return False
        kind, first, total, ident, fragment, ttl, protocol, key, seq, ack, offset, flags, window = VERSION4(raw, at)
    if kind == 0x0800:
        if protocol != 6 or first != 0x45 or fragment & 0x3FFF or not total:
            if protocol != 17 or first != 0x45 or fragment & 0x3FFF or key.endswith(TUNNELS):
                return False
            decoder.packets += 1
            decoder.udp_packets += 1
            return True
        start = at + 22 + (offset >> 4 << 2)
        stop = at + 2 + total
    elif kind == 0x86DD:
        if at + 62 > end:
            return False
        kind, total, protocol, ttl, key, seq, ack, offset, flags, window = VERSION6(raw, at)
        if raw[at + 2] >> 4 != 6 or protocol != 6 or not total:
            return False
        ident = 0
        start = at + 42 + (offset >> 4 << 2)
        stop = at + 42 + total
    else:
        return False
    if stop > end or start > stop or offset < 0x50 or flags & FIN_SYN_RST or decoder.shards > 1:
        return False
    n = stop - start
    e = decoder.index.get(key)
    stream = None if e is None else decoder.streams[e]
    if stream is None:
        if n:
            if e is None or decoder.state[e] != IGNORED:
                return False
            decoder.seen_time[e] = time
        decoder.packets += 1
        decoder.tcp_packets += 1
        return True
    peer = stream.peer
    if (
        seq != stream.next_seq
        or not flags & ACK
        or not window
        or not ttl
        or not stream.started
        or not peer.started
        or stream.ended
        or stream.pending is not None
        or peer.pending is not None
        or stream.zero_since
        or stream.fin_seq >= 0
    ):
        return False
    decoder.packets += 1
    decoder.tcp_packets += 1
    stream.last_time = time
    stream.last_packet = packet
    stream.ttl = ttl
    more = (ack - peer.next_seq) & M32
    if more >= HALF:
        more -= M32 + 1
    if more < FAR:
        reached = peer.offset + more
        if reached > peer.acked:
            peer.acked = reached
            peer.acked_time = time
            peer.acked_packet = packet
            peer.keepalives_unanswered = 0
        elif not n:
            peer.keepalives_unanswered = 0
    if not n:
        return True
    quiet = stream.last_data_time
    if peer.last_data_time > quiet:
        quiet = peer.last_data_time
    if time - quiet > stream.silence and quiet:
        stream.silence = time - quiet
    stream.tail_retransmissions = 0
    at = stream.offset
    i = (stream.sample_n & 7) << 2
    stream.sample_n += 1
    samples = stream.samples
    samples[i] = at
    samples[i + 1] = n
    if n >= 8:
        samples[i + 2] = EIGHT(raw, start)[0]
        samples[i + 3] = EIGHT(raw, stop - 8)[0]
    else:
        samples[i + 2] = samples[i + 3] = int.from_bytes(raw[start:stop], "little")
    stream.seg_seq = seq
    stream.seg_len = n
    stream.seg_time = time
    stream.seg_ident = ident
    if stream.mode != FRAMES:
        stream.deliver(buffer, start, n, time, packet)
        return True
    if not stream.last_data_time:
        stream.first_data_time = time
    stream.last_data_time = time
    stream.offset = at + n
    stream.next_seq = (seq + n) & M32
    scanner = stream.scanner
    if not (scanner.remaining or scanner.message or scanner.head or scanner.closed or scanner.log is not None):
        start = take_frames(scanner, buffer, start, stop, time, packet)
        if start == stop:
            return True
    elif scanner.remaining > n and take_payload(scanner, buffer, start, n):
        return True
    scanner.feed(buffer, start, stop, time, packet)
    return True


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
        if shape in scanner.shape_id:
            row = scanner.shape_id.index(shape)
        else:
            row = scanner.shapes
            if row == len(scanner.shape_id):
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
            scanner.masked_frames += 1
            if not key:
                scanner.zero_keys += 1
            if key == scanner.last_key and scanner.masked_frames > 1:
                scanner.same_keys += 1
            scanner.last_key = key
            if scanner.masked_frames <= 4:
                scanner.first_keys[scanner.masked_frames - 1] = key
        if row == scanner.shapes:
            scanner.shapes += 1
            scanner.shape_id[row] = shape
            scanner.shape_packet[row] = packet
            scanner.shape_time[row] = time
            scanner.shape_offset[row] = base + pos
            scanner.shape_length[row] = size
        scanner.shape_tally[2 * row] += 1
        scanner.shape_tally[2 * row + 1] = packet
        if size > scanner.largest:
            scanner.largest = size
            scanner.largest_packet = packet
        FOUR(scanner.recent, (scanner.headers & (RECENT - 1)) << 5, time, packet, shape, size)
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


def take_payload(scanner: Scanner, buffer: Buffer, pos: int, n: int) -> bool:
    """Bytes from the middle of a data frame, if nobody looks at them or they are ASCII. False: nothing was changed."""
    if scanner.kind == TEXT:
        if scanner.message != 1 or scanner.message_deflated or scanner.text_bad or scanner.text_tainted or scanner.need:
            return False
        if scanner.log is not None or not numbers.unmasked(buffer, pos, n, scanner.key, scanner.phase).isascii():
            return False
        scanner.phase = (scanner.phase + n) & 3
    elif scanner.kind != SKIP:
        return False
    scanner.remaining -= n
    scanner.offset += n
    return True


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
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
