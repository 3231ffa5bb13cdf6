"""Packets on their way to the decoder, a few at a time, so that what they need is in the processor's cache when their turn comes.

With thousands of connections taking turns most of a packet's time would go by waiting for memory, one thing after the other: the
entry of its flow, the stream, what that refers to. So the headers of all packets of a burst are read first, and with each packet
that the decoder gets, one of these things is asked for of each of some later ones. Only compiled that gains anything: uncompiled
packets come in rows of a batch (plain.py), or one by one.

What is in headers as most are (Ethernet, perhaps one VLAN tag, IP without options or extension headers) need not be read again;
everything else the decoder looks at itself.
"""

from __future__ import annotations

from wsaudit.kernel import keys, mode, numbers, prefetch
from wsaudit.kernel.buffer import Buffer, zeros
from wsaudit.kernel.constants import GENEVE_PORT, OLD_VXLAN_PORT, VXLAN_PORT
from wsaudit.kernel.packets import Decoder

SIZE = 32
TO_ENTRY, TO_STREAM, TO_SCANNER, TO_ROWS = 12, 8, 4, 2  # packets before its turn, a packet's entry, stream... are fetched
NOWHERE = -1
OTHER, TCP = 0, 1  # what is known of a packet's headers
DATA, NOTHING, CONTROL = 0, 1, 2  # what it carries: perhaps frames, an acknowledgement only, perhaps a control frame


def is_compiled() -> bool:
    return bool(mode.COMPILED)


class Burst:
    """At most SIZE packets for `decoder`, all in one buffer."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.count = 0
        self.last_tag = NOWHERE  # the hash of the last packet's key
        if not mode.COMPILED:
            self.begin = zeros(SIZE)
            self.end = zeros(SIZE)  # of what was captured
            self.wirelen = zeros(SIZE)
            self.time = zeros(SIZE)
            self.packet = zeros(SIZE)
            self.linktype = zeros(SIZE)
            self.known = zeros(SIZE)
            self.load = zeros(SIZE)
            self.place = zeros(SIZE)  # hashes, then entries; NOWHERE: none, or that of the packet before
            # Of TCP, as for Decoder.transport:
            self.words = zeros(SIZE)
            self.ports = zeros(SIZE)
            self.stop = zeros(SIZE)
            self.ttl = zeros(SIZE)
            self.ident = zeros(SIZE)

    def add(self, buffer: Buffer, pos: int, caplen: int, wirelen: int, time: int, packet: int, linktype: int) -> None:
        """One captured packet at buffer[pos:pos+caplen], as in Decoder.packet."""
        if self.count == SIZE:
            self.flush(buffer)
        i = self.count
        self.known[i] = OTHER
        self.place[i] = NOWHERE
        if linktype != 1 or caplen < 54 or not self.read(buffer, pos, caplen, wirelen, i):
            self.begin[i] = pos
            self.end[i] = pos + caplen
            self.wirelen[i] = wirelen
            self.time[i] = time or 1  # as in Decoder.packet
            self.packet[i] = packet
            self.linktype[i] = linktype
            self.count += 1

    def read(self, buffer: Buffer, pos: int, caplen: int, wirelen: int, i: int) -> bool:
        """The headers of an Ethernet packet of at least 54 bytes. True: it is counted, and that is all there is to do with it."""
        decoder = self.decoder
        head = numbers.at(buffer, pos, caplen)
        kind = head[12] << 8 | head[13]
        if kind == 0x8100 and caplen >= 58:
            pos += 4
            caplen -= 4
            wirelen -= 4
            head = numbers.at(buffer, pos, caplen)
            kind = head[12] << 8 | head[13]
        if kind == 0x0800:
            if head[14] != 0x45 or head[20] & 0x3F or head[21]:
                return False
            if head[23] == 17:
                port = head[36] << 8 | head[37]
                if port in (VXLAN_PORT, OLD_VXLAN_PORT, GENEVE_PORT):
                    return False
                decoder.packets += 1
                decoder.udp_packets += 1
                return True
            if head[23] != 6:
                return False
            total = head[16] << 8 | head[17]
            addresses = 26
            words = 2
            tcp = 34
            stop = 14 + total
            self.ttl[i] = head[22]
            self.ident[i] = head[18] << 8 | head[19]
        else:
            if kind != 0x86DD or caplen < 74 or head[14] >> 4 != 6 or head[20] != 6:
                return False
            total = head[18] << 8 | head[19]
            addresses = 22
            words = 8
            tcp = 54
            stop = 54 + total
            self.ttl[i] = head[21]
            self.ident[i] = 0
        if total == 0:  # segmentation offload: the captured length counts
            stop = wirelen
        start = tcp + (head[tcp + 12] >> 4 << 2)
        if (
            decoder.shards > 1
            and tcp + 20 <= start <= stop
            and keys.shard_of(head, addresses, words, tcp, decoder.shards) != decoder.shard
        ):
            decoder.packets += 1
            decoder.tcp_packets += 1
            return True
        self.known[i] = TCP
        self.words[i] = words
        self.ports[i] = pos + tcp
        self.stop[i] = pos + stop
        tag = keys.hash_of(head, addresses, words, tcp, decoder.seed)
        if tag == self.last_tag:
            return False
        self.last_tag = tag
        self.place[i] = tag
        prefetch.slot(decoder.slots, tag & decoder.slot_mask)
        if start == stop:
            self.load[i] = NOTHING
        elif start < caplen and head[start] & 0x78 == 8:  # opcode 8 and above, no RSV bits
            self.load[i] = CONTROL
        else:
            self.load[i] = DATA
        return False

    def flush(self, buffer: Buffer) -> None:
        """Give all packets to the decoder. The first entry with its hash is taken for the right one of a packet: `Decoder.find`
        looks there first, and nothing else but time depends on it."""
        decoder = self.decoder
        streams = decoder.streams
        count = self.count
        self.count = 0
        for step in range(-TO_ENTRY, count):
            i = step + TO_ENTRY
            if i < count and self.place[i] >= 0:
                self.place[i] = decoder.entry_of(self.place[i])
                prefetch.entry(decoder.words, streams, self.place[i])
            i = step + TO_STREAM
            if 0 <= i < count:
                prefetch.stream(streams, self.place[i])
            i = step + TO_SCANNER
            if 0 <= i < count:
                prefetch.scanner(streams, self.place[i], self.load[i] == NOTHING, self.load[i] == CONTROL)
            i = step + TO_ROWS
            if 0 <= i < count and self.load[i] != NOTHING:
                prefetch.rows(streams, self.place[i], self.load[i] == CONTROL)
            if step < 0:
                continue
            i = step
            if self.place[i] >= 0:
                decoder.guess = self.place[i]
            if self.known[i] == TCP:
                decoder.now = self.time[i]
                decoder.packets += 1
                ports = self.ports[i]
                words = self.words[i]
                decoder.transport(
                    buffer, ports - 4 * words, words, ports, self.stop[i], self.end[i], self.ttl[i], self.ident[i], self.time[i],
                    self.packet[i],
                )  # fmt: skip
            else:
                decoder.packet(
                    buffer, self.begin[i], self.end[i] - self.begin[i], self.wirelen[i], self.time[i], self.packet[i],
                    self.linktype[i],
                )  # fmt: skip
