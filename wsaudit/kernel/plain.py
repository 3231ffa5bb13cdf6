"""Shortcuts for the interpreter: the commonest packet and the commonest frame, each in one function.

Uncompiled, a call costs as much as ten lines of arithmetic, so the general way (decoder → stream → scanner, a dozen calls a
packet) is ten times too slow. What these functions take is exactly what the general way would have done with it, which a test
holds on arbitrary conversations; whatever is not simply the next segment of an open connection, or not a whole unfragmented
data frame, they leave alone. The compiled kernel never calls them.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from wsaudit.kernel.beats import Beats
from wsaudit.kernel.constants import FORM_16, FRAMES, MASKED, RECENT, SHORT

if TYPE_CHECKING:
    from wsaudit.kernel.buffer import Buffer
    from wsaudit.kernel.frames import Scanner
    from wsaudit.kernel.packets import Decoder

# From the Ethernet type on: version 4 with no options, version 6 with no extension headers. The key is addresses and ports.
VERSION4 = Struct(">HBxHHHBBxx12sIIBBH").unpack_from
VERSION6 = Struct(">H4xHBB36sIIBBH").unpack_from
FIN_SYN_RST = 0x07
ACK = 0x10
M32 = 0xFFFFFFFF
HALF = 0x80000000


def take_packet(decoder: Decoder, buffer: Buffer, pos: int, caplen: int, time: int, packet: int) -> bool:
    """An Ethernet packet that was captured whole. True: done; False: nothing was changed, take the general way."""
    raw = buffer.raw
    at = pos + 12
    if caplen < 54:
        return False
    kind, first, total, ident, fragment, ttl, protocol, key, seq, ack, offset, flags, window = VERSION4(raw, at)
    if kind == 0x8100:
        at += 4
        if caplen < 58:
            return False
        kind, first, total, ident, fragment, ttl, protocol, key, seq, ack, offset, flags, window = VERSION4(raw, at)
    if kind == 0x0800:
        if first != 0x45 or protocol != 6 or fragment & 0x3FFF or not total:
            return False
        start = at + 22 + (offset >> 4 << 2)
        stop = at + 2 + total
    elif kind == 0x86DD:
        if at + 62 > pos + caplen:
            return False
        kind, total, protocol, ttl, key, seq, ack, offset, flags, window = VERSION6(raw, at)
        if raw[at + 2] >> 4 != 6 or protocol != 6 or not total:
            return False
        ident = 0
        start = at + 42 + (offset >> 4 << 2)
        stop = at + 42 + total
    else:
        return False
    if stop > pos + caplen or start > stop or offset < 0x50 or flags & FIN_SYN_RST or decoder.shards > 1:
        return False
    e = decoder.index.get(key)
    if e is None:
        if start < stop:
            return False
        decoder.packets += 1
        decoder.tcp_packets += 1
        decoder.now = time
        return True
    stream = decoder.streams[e]
    if stream is None:
        if decoder.state[e] != 2 or start < stop:  # IGNORED, and nothing new
            return False
        decoder.packets += 1
        decoder.tcp_packets += 1
        decoder.now = time
        return True
    peer = stream.peer
    n = stop - start
    if (
        stream.ended
        or not peer.started
        or not flags & ACK
        or stream.pending is not None
        or peer.pending is not None
        or not window
        or stream.zero_since
        or stream.fin_seq >= 0
        or seq != stream.next_seq
        or (n and (stream.mode != FRAMES or not stream.started))
    ):
        return False
    decoder.packets += 1
    decoder.tcp_packets += 1
    decoder.now = time
    stream.last_time = time
    stream.last_packet = packet
    if ttl:
        stream.ttl = ttl
    d = (ack - peer.next_seq) & M32
    if d >= HALF:
        d -= M32 + 1
    reached = peer.offset + d
    if d < 1 << 30 and reached > peer.acked:
        peer.acked = reached
        peer.acked_time = time
        peer.acked_packet = packet
        peer.keepalives_unanswered = 0
    elif peer.keepalives_unanswered and not n and d < 1 << 30:
        peer.keepalives_unanswered = 0
    if not n:
        return True
    quiet = stream.last_data_time
    if peer.last_data_time > quiet:
        quiet = peer.last_data_time
    if quiet and time - quiet > stream.silence:
        stream.silence = time - quiet
    stream.tail_retransmissions = 0
    at = stream.offset
    i = stream.sample_n & 7
    stream.sample_n += 1
    stream.sample_offset[i] = at
    stream.sample_length[i] = n
    if n >= 8:
        stream.sample_first[i] = int.from_bytes(raw[start : start + 8], "big")
        stream.sample_last[i] = int.from_bytes(raw[stop - 8 : stop], "big")
    else:
        stream.sample_first[i] = stream.sample_last[i] = int.from_bytes(raw[start:stop], "big")
    if not stream.last_data_time:
        stream.first_data_time = time
    stream.last_data_time = time
    stream.offset = at + n
    stream.next_seq = (seq + n) & M32
    stream.seg_seq = seq
    stream.seg_len = n
    stream.seg_time = time
    stream.seg_ident = ident
    stream.scanner.feed(buffer, start, stop, time, packet)
    return True


def take_frames(scanner: Scanner, buffer: Buffer, pos: int, end: int, time: int, packet: int) -> int:
    """Whole unfragmented data frames at buffer[pos:end]; returns the position of the first byte left to the general way."""
    raw = buffer.raw
    base = scanner.offset - pos
    begin = pos
    counts = scanner.counts
    while end - pos >= 2:
        b0 = raw[pos]
        if b0 != 0x81 and b0 != 0x82:
            break
        length = raw[pos + 1]
        shape = b0
        p = pos + 2
        masked = length >= 128
        if masked:
            shape |= MASKED
            length &= 127
        if length >= 126:
            if length == 127 or end - pos < 4:
                break
            length = raw[p] << 8 | raw[p + 1]
            if length < 126:
                break
            shape |= FORM_16
            p += 2
        if masked:
            body = p + 4
            stop = body + length
            if stop > end:
                break
            mask = raw[p:body]
        else:
            body = p
            stop = p + length
            if stop > end:
                break
        try:
            i = scanner.shape_id.index(shape, 0, scanner.shapes)
        except ValueError:
            break
        if b0 == 0x81:
            data = raw[body:stop]
            if masked:
                pattern = bytes(mask) * ((length + 3) >> 2)
                number = int.from_bytes(data, "little") ^ int.from_bytes(pattern[:length], "little")
                data = number.to_bytes(length, "little")
            if not data.isascii():
                try:
                    data.decode()
                except UnicodeDecodeError:
                    break
            scanner.text_messages += 1
        else:
            scanner.binary_messages += 1
        key = 0
        if masked:
            key = int.from_bytes(mask, "little")
            scanner.masked_frames += 1
            if not key:
                scanner.zero_keys += 1
            if key == scanner.last_key and scanner.masked_frames > 1:
                scanner.same_keys += 1
            scanner.last_key = key
            if scanner.masked_frames <= 4:
                scanner.first_keys[scanner.masked_frames - 1] = key
        scanner.shape_tally[2 * i] += 1
        scanner.shape_tally[2 * i + 1] = packet
        if length > scanner.largest:
            scanner.largest = length
            scanner.largest_packet = packet
        row = (scanner.headers & (RECENT - 1)) << 2
        scanner.headers += 1
        scanner.recent[row : row + 4] = (time, packet, shape, length)
        if 0 < length <= SHORT:
            if scanner.beats is None:
                scanner.beats = Beats()
            scanner.beats.take(buffer, body, length, b0, key, time, packet, base + pos)
        counts[b0 & 15] += 1
        scanner.message_bytes += length
        pos = stop
    if pos != begin:
        scanner.offset = base + pos
        scanner.last_time = scanner.last_data_time = time
        scanner.last_packet = scanner.last_data_packet = packet
    return pos
