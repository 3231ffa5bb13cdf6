"""Walk the packet records of a capture inside one buffer, without an object per packet.

Plain Python that also compiles: the widths are declared in `records.pxd`. A walker knows nothing of files. It is given a buffer,
calls `sink.packet(...)` for each complete record and returns where it stopped; `status` says why. Everything rare (headers, other
blocks, damage, refilling) is the caller's, see `wsaudit.capture.reader`.

Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from wsaudit.kernel import mode, numbers, prefetch
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.constants import MOST_ROWS
from wsaudit.kernel.plain import take_ahead

if TYPE_CHECKING:
    from typing import Protocol

    from wsaudit.kernel.burst import Burst
    from wsaudit.kernel.packets import Decoder

    class PacketSink(Protocol):
        """What a walker calls for each packet; `wsaudit.kernel.packets.Decoder` is the one that matters."""

        def packet(self, buffer: Buffer, pos: int, caplen: int, wirelen: int, time: int, ref: int, linktype: int, /) -> object:
            """`buffer.raw[pos:pos + caplen]` is the packet, `wirelen` its length on the wire, `time` nanoseconds since 1970."""


# Compiled, numbers are composed of bytes in registers; interpreted, one call of `struct` for a whole record is much faster. This
# is a C global when compiled, so the choice costs a predicted branch.

# Why a walk stopped.
MORE = 0  # the record at the returned position is not complete in the buffer
UNTIL = 1  # the next record is later than `until`; it was not consumed and `next_time` is its time
BAD = 2  # this cannot be a record: `problem` says why
BLOCK = 3  # pcapng: a block that is not a packet

FOREVER = 2**63 - 1
NEVER = -(2**63)

# The biggest record that is believed. libpcap's limit for most link types is 262,144 bytes; offloaded "super packets" and D-Bus
# exceed it, and random bytes stay below 16 MiB once in 256 times only.
RECORD_LIMIT = 16 << 20

# Bytes that must exist in the buffer behind `end`: the fixed part of a packet block is read in one step, also where the last
# block is a shorter one.
SLACK = 32

# How much of a capture is best looked at at once. Compiled, more is slower: 64 MiB leaves the cache and costs 20 %. Uncompiled,
# the packets of a flow that are in it are taken one behind the other (plain.py), of which there are more then.
WINDOW = 1 << 20 if mode.COMPILED else 4 << 20
OUT_OF_TURN = 0 if mode.COMPILED else MOST_ROWS  # packets that may be taken before one that came earlier, of another flow

ONE_LITTLE, ONE_BIG = Struct("<I").unpack_from, Struct(">I").unpack_from
TWO_LITTLE, TWO_BIG = Struct("<2I").unpack_from, Struct(">2I").unpack_from
FOUR_LITTLE, FOUR_BIG = Struct("<4I").unpack_from, Struct(">4I").unpack_from
SEVEN_LITTLE, SEVEN_BIG = Struct("<7I").unpack_from, Struct(">7I").unpack_from


class PcapWalker:
    """Walks the records of a classic pcap file.

    `big_endian` and `nano` come from the magic number, `header_size` is 16, or 24 for Kuznetzov's modified format (0xa1b2cd34),
    `input_base` is the input's index shifted left by 40: a packet's reference is `input_base | number`.
    """

    def __init__(self, big_endian: bool, nano: bool, header_size: int, linktype: int, input_base: int) -> None:
        self.big_endian = big_endian
        self.nano = nano
        self.header_size = header_size
        self.linktype = linktype
        self.input_base = input_base
        self.status = MORE
        self.problem = ""
        self.number = 0
        self.bytes = 0
        self.truncated_packets = 0
        self.next_time = 0
        self.first_time = FOREVER
        self.last_time = NEVER
        if not mode.COMPILED:
            self.batch: Any = None  # records that are decoded already

    def look_ahead(self, buffer: Buffer, pos: int, end: int) -> Any:
        """The records at the beginning of buffer[pos:end], decoded; None: there are too few."""
        from wsaudit.kernel.batch import pcap_batch

        return pcap_batch(self, buffer, pos, end)

    def let_go(self) -> None:
        """The buffer is given back."""
        if not mode.COMPILED:
            self.batch = None

    def walk(self, buffer: Buffer, pos: int, end: int, until: int, sink: PacketSink | None) -> int:
        """Give the complete records of `buffer[pos:end]` that are not later than `until` (ns) to `sink`; return where it stopped.

        `status` is MORE, UNTIL or BAD then. `sink` may be None only when no record can be due (`until` is NEVER).
        """
        if not mode.COMPILED and hasattr(sink, "followed"):
            pos = take_ahead(self, buffer, pos, end, until, sink)
        big = self.big_endian
        scale = 1 if self.nano else 1000
        header_size = self.header_size
        linktype = self.linktype
        base = self.input_base
        number = self.number
        total = self.bytes
        clipped = self.truncated_packets
        first = self.first_time
        last = self.last_time
        limit = RECORD_LIMIT
        raw = buffer.raw
        burst = Burst(sink) if mode.COMPILED and isinstance(sink, Decoder) else None  # the names come from the .pxd then
        unpack = FOUR_BIG if big else FOUR_LITTLE
        self.status = MORE
        while pos + header_size <= end:
            if not mode.COMPILED:
                seconds, fraction, caplen, wirelen = unpack(raw, pos)
            else:
                header = numbers.at(buffer, pos, 16)
                seconds = numbers.u32(header, 0, big)
                fraction = numbers.u32(header, 4, big)
                caplen = numbers.u32(header, 8, big)
                wirelen = numbers.u32(header, 12, big)
            if caplen > limit:
                self.status = BAD
                self.problem = f"a record that claims {caplen} captured bytes"
                break
            if wirelen == 0 and caplen == 0 and seconds == 0 and fraction == 0:
                # A machine that crashed leaves such a tail; 16 zero bytes would pass for an empty packet of 1970.
                self.status = BAD
                self.problem = "zero bytes instead of a record"
                break
            data = pos + header_size
            after = data + caplen
            if after > end:
                break
            time = seconds * 1_000_000_000 + fraction * scale
            if time > until:
                self.status = UNTIL
                self.next_time = time
                break
            number += 1
            total += caplen
            if wirelen != caplen:
                if wirelen > caplen:
                    clipped += 1
                else:
                    wirelen = caplen
            if time < first:
                first = time
            if time > last:
                last = time
            if burst is not None:
                prefetch.header(buffer, after)
                burst.add(buffer, data, caplen, wirelen, time, base | number, linktype)
            else:
                sink.packet(buffer, data, caplen, wirelen, time, base | number, linktype)  # type: ignore[union-attr]
            pos = after
        if burst is not None:
            burst.flush(buffer)
        self.number = number
        self.bytes = total
        self.truncated_packets = clipped
        self.first_time = first
        self.last_time = last
        return pos


class Interface:
    """One interface of a pcapng section: link type, snap length and how its ticks become nanoseconds.

    `resolution` is the byte of the if_tsresol option: 10^-n seconds, or 2^-n with the top bit set. `offset` is if_tsoffset in
    seconds.
    """

    def __init__(self, linktype: int, snaplen: int, resolution: int, offset: int) -> None:
        self.linktype = linktype
        self.snaplen = snaplen
        self.binary = resolution >= 128
        power = resolution & 127
        # Decimal: ns = ticks * factor // divisor.
        self.factor = 10 ** max(9 - power, 0)
        self.divisor = min(10 ** max(power - 9, 0), FOREVER)
        # Binary: whole seconds are the ticks above `shift`; of the fraction the top 33 bits (0.1 ns) are kept, so that a
        # multiplication by 10^9 stays below 2^63.
        self.shift = min(power, 63)
        self.drop = min(max(power - 33, 0), 63)
        self.keep = min(power, 33)
        # Past these it is no time that 64 bits of nanoseconds can hold (the year 2262); nor is an offset of 190 years meant.
        self.offset = offset * 1_000_000_000 if -6_000_000_000 < offset < 6_000_000_000 else 0
        self.most_time = FOREVER - max(self.offset, 0)
        self.most_ticks = FOREVER // self.factor
        if self.binary and power < 30:
            self.most_ticks = 9_200_000_000 << power
        # Up to this upper half of the counter (nearly always) a multiplication and an addition do.
        self.easy_high = -1
        if not self.binary and self.divisor == 1 and self.offset >= 0:
            self.easy_high = (self.most_time // self.factor >> 32) - 1

    def nanoseconds(self, high: int, low: int) -> int:
        """The time of a tick counter in ns since 1970; -1 if 64 bits of ns cannot hold it."""
        if high > 2147483647 or (high << 32 | low) > self.most_ticks:
            return -1
        ticks = high << 32 | low
        if self.binary:
            seconds = ticks >> self.shift
            fraction = (ticks - (seconds << self.shift)) >> self.drop
            time = seconds * 1_000_000_000 + (fraction * 1_000_000_000 >> self.keep)
        else:
            time = ticks * self.factor // self.divisor
        if time > self.most_time:
            return -1
        return max(time + self.offset, -1)


class PcapngWalker:
    """Walks the packet blocks of a pcapng section: enhanced, simple and obsolete ones.

    Any other block stops the walk with status BLOCK. `interfaces` is the section's table; the caller fills it, and replaces it
    and `big_endian` at a new section. Packets of an interface that is not in the table are counted in `homeless`, those whose
    block carries no usable time in `undated`; these take the time of the packet before them.
    """

    def __init__(self, input_base: int) -> None:
        self.big_endian = False
        self.interfaces: list[Interface] = []
        self.input_base = input_base
        self.status = MORE
        self.problem = ""
        self.number = 0
        self.bytes = 0
        self.truncated_packets = 0
        self.homeless = 0
        self.undated = 0
        self.time = 0
        self.next_time = 0
        self.first_time = FOREVER
        self.last_time = NEVER
        if not mode.COMPILED:
            self.batch: Any = None  # records that are decoded already
            self.ahead = 0  # how many are looked at next, if fewer than usual (batch.py)

    def look_ahead(self, buffer: Buffer, pos: int, end: int) -> Any:
        """The records at the beginning of buffer[pos:end], decoded; None: there are too few."""
        from wsaudit.kernel.batch import pcapng_batch

        return pcapng_batch(self, buffer, pos, end)

    def let_go(self) -> None:
        """The buffer is given back."""
        if not mode.COMPILED:
            self.batch = None

    def walk(self, buffer: Buffer, pos: int, end: int, until: int, sink: PacketSink | None) -> int:
        """Give the complete packet blocks of `buffer[pos:end]` not later than `until` (ns) to `sink`; return where it stopped.

        `status` is MORE, UNTIL, BLOCK or BAD then. `buffer` has SLACK bytes behind `end`. `sink` may be None only when no record
        can be due (`until` is NEVER).
        """
        if not mode.COMPILED and hasattr(sink, "followed"):
            pos = take_ahead(self, buffer, pos, end, until, sink)
        big = self.big_endian
        interfaces = self.interfaces
        count = len(interfaces)
        base = self.input_base
        number = self.number
        total = self.bytes
        clipped = self.truncated_packets
        now = self.time
        first = self.first_time
        last = self.last_time
        limit = RECORD_LIMIT
        raw = buffer.raw
        burst = Burst(sink) if mode.COMPILED and isinstance(sink, Decoder) else None
        unpack = SEVEN_BIG if big else SEVEN_LITTLE
        unpack_one = ONE_BIG if big else ONE_LITTLE
        self.status = MORE
        while pos + 12 <= end:
            if not mode.COMPILED:
                kind, length, index, high, low, caplen, wirelen = unpack(raw, pos)
            else:
                header = numbers.at(buffer, pos, 28)
                kind = numbers.u32(header, 0, big)
                length = numbers.u32(header, 4, big)
                index = numbers.u32(header, 8, big)
                high = numbers.u32(header, 12, big)
                low = numbers.u32(header, 16, big)
                caplen = numbers.u32(header, 20, big)
                wirelen = numbers.u32(header, 24, big)
            # 6 enhanced, 3 simple, 2 obsolete. Names would be looked up for each packet.
            if kind == 6:
                data = pos + 28
            elif kind == 3:
                data = pos + 12
                wirelen = index
                index = 0
                caplen = self.simple_length(wirelen, length - 16)
            elif kind == 2:
                data = pos + 28
                index = index >> 16 if big else index & 65535
            else:
                self.status = BLOCK
                break
            after = pos + length
            if after > end and length <= limit:
                break
            # Only now is all that was read above of this block for sure.
            if length & 3 or length > limit or data + caplen + 4 > after:
                self.status = BAD
                self.problem = f"a packet block of {length} bytes"
                if 32 <= length <= limit:
                    self.problem += f" that claims {caplen} captured bytes"
                break
            again = unpack_one(raw, after - 4)[0] if not mode.COMPILED else numbers.u32(numbers.at(buffer, after - 4, 4), 0, big)
            if again != length:
                self.status = BAD
                self.problem = "the two lengths of a packet block differ"
                break
            if index >= count:
                number += 1
                self.homeless += 1
                pos = after
                continue
            interface = interfaces[index]
            if kind == 3:
                time = -1
            elif high <= interface.easy_high:
                time = (high << 32 | low) * interface.factor + interface.offset
            else:
                time = interface.nanoseconds(high, low)
            if time < 0:
                time = now
                if time <= until:
                    self.undated += 1
            if time > until:
                self.status = UNTIL
                self.next_time = time
                break
            now = time
            number += 1
            total += caplen
            if wirelen != caplen:
                if wirelen > caplen:
                    clipped += 1
                else:
                    wirelen = caplen
            if time < first:
                first = time
            if time > last:
                last = time
            if burst is not None:
                prefetch.header(buffer, after)
                burst.add(buffer, data, caplen, wirelen, time, base | number, interface.linktype)
            else:
                sink.packet(buffer, data, caplen, wirelen, time, base | number, interface.linktype)  # type: ignore[union-attr]
            pos = after
        if burst is not None:
            burst.flush(buffer)
        self.number = number
        self.bytes = total
        self.truncated_packets = clipped
        self.time = now
        self.first_time = first
        self.last_time = last
        return pos

    def simple_length(self, wirelen: int, room: int) -> int:
        """The captured length of a simple packet block, which does not say it: the least of three, but no less than 0."""
        caplen = max(min(wirelen, room), 0)
        if self.interfaces and self.interfaces[0].snaplen:
            caplen = min(caplen, self.interfaces[0].snaplen)
        return caplen

    def skip(self, buffer: Buffer, pos: int, end: int) -> int:
        """Pass over the complete packet blocks of `buffer[pos:end]` unseen; `status` is MORE, BLOCK or BAD then."""
        big = self.big_endian
        raw = buffer.raw
        unpack = TWO_BIG if big else TWO_LITTLE
        self.status = MORE
        while pos + 12 <= end:
            if not mode.COMPILED:
                kind, length = unpack(raw, pos)
            else:
                header = numbers.at(buffer, pos, 8)
                kind = numbers.u32(header, 0, big)
                length = numbers.u32(header, 4, big)
            if kind != 6 and kind != 3 and kind != 2:
                self.status = BLOCK
                break
            if length < 16 or length & 3 or length > RECORD_LIMIT:
                self.status = BAD
                self.problem = f"a packet block of {length} bytes"
                break
            if pos + length > end:
                break
            pos += length
        return pos
