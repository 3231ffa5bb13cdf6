"""TCP segments → in-order bytes of one side. RFC 9293 §3.4, §3.10.

Sequence numbers become 64-bit stream offsets at once. In-order data goes on without a copy; early segments wait in a bounded
list. A hole is a gap when the receiver acknowledged bytes that were never captured, when a limit is hit, or at the end: never
by wall time. The first copy of a byte wins; a differing copy is a conflict. FIN counts as one offset, so that "was the FIN
acknowledged" is the same question as for data.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any

from wsaudit.kernel import mode, numbers
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.constants import DROP, FIRST, FRAMES, PYTHON, READER
from wsaudit.kernel.kept import NOTHING, differs, keep_bytes, keep_place, note, nothing, place_of, within
from wsaudit.kernel.plain import settle_frames, settle_stream

M32 = 0xFFFFFFFF
HALF = 0x80000000
FAR = 1 << 30  # an acknowledgement further ahead than any window is not one
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MIRROR = 1_000_000  # ns: the same segment within this time and with the same IP id came from a mirror port, not from the sender
PATIENCE = 12  # packets that a proven hole may still be filled in: captures swap packets that the wire had in order
GAPS_KEPT = 64  # of a side that are listed; more are counted
SAMPLES = 8  # delivered segments whose first and last bytes are remembered, to notice a differing copy
SAMPLE = 4  # numbers of each


def is_compiled() -> bool:
    return bool(mode.COMPILED)


class Owner:
    """Who follows a flow: its stream and the decoder call this. Any object will do that has these methods; one of a class made
    from this is called without a detour through Python when compiled."""

    __slots__ = ()

    def data(self, stream: Stream, data: bytes, offset: int, time: int, packet: int) -> None:
        """The next bytes of one side, in order, as far as no scanner or reader takes them."""
        raise NotImplementedError

    def finish(self, flow: Flow, ongoing: bool) -> None:
        """The flow is over; `ongoing`: because the capture is."""
        raise NotImplementedError


class Flow:
    """Both sides of one TCP connection. `a` is the side whose packet came first."""

    __slots__ = (
        "a",
        "address_a",
        "address_b",
        "b",
        "buffer_limit",
        "ended",
        "entry_a",
        "entry_b",
        "first_packet",
        "first_time",
        "last_packet",
        "last_time",
        "limit_hits",
        "owner",
        "port_a",
        "port_b",
        "silence",
    )

    def __init__(self, address_a: bytes, port_a: int, address_b: bytes, port_b: int) -> None:
        self.fill(address_a, port_a, address_b, port_b)

    def fill(self, address_a: bytes, port_a: int, address_b: bytes, port_b: int) -> None:
        """Apart from making it: compiled, that takes half the time. So with all objects of which each flow has some."""
        self.address_a = address_a
        self.port_a = port_a
        self.address_b = address_b
        self.port_b = port_b
        self.owner: Any = None
        self.entry_a = -1
        self.entry_b = -1
        self.first_time = 0
        self.first_packet = 0
        self.last_time = 0
        self.last_packet = 0
        self.silence = 0  # ns: longest time between two segments with new data, either side
        self.ended = 0  # time of the RST or of the second FIN
        self.buffer_limit = 1 << 20
        self.limit_hits = 0
        a = self.a = Stream.__new__(Stream)
        b = self.b = Stream.__new__(Stream)
        a.fill(self, b)
        b.fill(self, a)

    def settle(self) -> None:
        """Bring what both sides know together; the sides keep it themselves, so that a packet touches one object less."""
        a, b = self.a, self.b
        if not mode.COMPILED:
            for side in (a, b):
                settle_stream(side)
                if side.scanner is not None:
                    settle_frames(side.scanner)
        self.silence = a.silence if a.silence > b.silence else b.silence
        later = b if b.last_time > a.last_time or (b.last_time == a.last_time and b.last_packet > a.last_packet) else a
        self.last_time = later.last_time
        self.last_packet = later.last_packet


class Stream:
    """One side's bytes in order, and what TCP told about them."""

    __slots__ = (
        "acked",
        "acked_kept",
        "acked_packet",
        "acked_time",
        "answer_end",
        "conflict_packet",
        "conflicts",
        "duplicates",
        "ended",
        "fin_ack",
        "fin_packet",
        "fin_seq",
        "fin_taken",
        "fin_time",
        "first_data_time",
        "flow",
        "gap_count",
        "gaps",
        "hole_packets",
        "keepalives",
        "keepalives_unanswered",
        "last_data_time",
        "last_packet",
        "last_time",
        "latest_kept",
        "lost_bytes",
        "mode",
        "next_seq",
        "offset",
        "out_of_order",
        "peer",
        "pending",
        "pending_bytes",
        "reader",
        "retransmissions",
        "rst_offset",
        "rst_packet",
        "rst_time",
        "rst_ttl",
        "rsts",
        "sample_n",
        "samples",
        "scanner",
        "seg_ident",
        "seg_len",
        "seg_seq",
        "seg_time",
        "segment_kept",
        "silence",
        "skip",
        "started",
        "steady",
        "syn_packet",
        "syn_seen",
        "syn_time",
        "tail_first_time",
        "tail_last_gap",
        "tail_last_time",
        "tail_retransmissions",
        "truncated",
        "ttl",
        "zero_since",
        "zero_total",
        "zero_windows",
    )

    def fill(self, flow: Flow, peer: Stream) -> None:
        self.flow: Any = flow
        self.peer: Any = peer
        self.mode = PYTHON
        self.skip = 0
        self.answer_end = 0  # FIRST: where the peer's 101 ends
        self.scanner: Any = None
        self.reader: Any = None

        self.started = False  # the sequence number of offset 0 is known
        self.next_seq = 0
        self.offset = 0  # of next_seq
        self.acked = 0  # offset up to which the peer has acknowledged
        self.acked_time = 0
        self.acked_packet = 0
        self.pending: list[tuple[int, bytes, int, int, int]] | None = None  # early segments: offset, data, lost, time, packet
        self.pending_bytes = 0
        self.hole_packets = 0

        self.ended = 0  # time of the RST or of the second FIN: the flow's, kept here too
        self.silence = 0  # ns: longest time without data of either side before data of this side
        self.syn_time = 0
        self.syn_packet = 0
        self.syn_seen = False
        self.fin_time = 0  # of a FIN that was not captured: when it was seen to have been sent
        self.fin_packet = 0
        self.fin_ack = -1  # how much of the peer's stream the FIN acknowledged
        self.fin_seq = -1  # it stays so when the FIN was not captured
        self.fin_taken = False
        self.rst_time = 0
        self.rst_packet = 0
        self.rst_ttl = 0
        self.rst_offset = 0
        self.rsts = 0

        self.first_data_time = 0
        self.last_time = 0
        self.last_packet = 0
        self.last_data_time = 0
        self.ttl = 0
        self.retransmissions = 0
        self.tail_retransmissions = 0  # of the last bytes sent, or the first unacknowledged ones, since anything new was seen
        self.tail_first_time = 0
        self.tail_last_time = 0
        self.tail_last_gap = 0
        self.out_of_order = 0
        self.duplicates = 0
        self.conflicts = 0
        self.conflict_packet = 0
        self.keepalives = 0
        self.keepalives_unanswered = 0
        self.zero_windows = 0
        self.zero_since = 0
        self.zero_total = 0
        self.truncated = 0
        self.gap_count = 0
        self.lost_bytes = 0  # in gaps
        self.gaps: list[tuple[int, int, int, int, str]] | None = None  # offset, length, time, packet, reason
        self.seg_seq = 0
        self.seg_len = 0
        self.seg_time = 0
        self.seg_ident = 0
        self.sample_n = 0
        if not mode.COMPILED:
            self.steady = False  # nothing but the next segment is due: plain.py need not ask more
            # Of the last segment where plain.py took it, for last_time, last_packet and ttl; for acked_time and acked_packet.
            self.latest_kept: bytes | None = None
            self.acked_kept: bytes | None = None
            self.segment_kept = NOTHING  # in place of seg_...
            self.samples = nothing()  # delivered segments; compiled, a C array: offset, length, first and last bytes of each

    @property
    def bytes(self) -> int:
        """New bytes of the stream that were captured."""
        return self.offset - self.fin_taken - self.lost_bytes

    def start(self, seq: int) -> None:
        """The byte with sequence number `seq` is offset 0."""
        self.started = True
        self.next_seq = seq & M32

    def segment(
        self,
        buffer: Buffer,
        pos: int,
        n: int,
        lost: int,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        ttl: int,
        ident: int,
        time: int,
        packet: int,
    ) -> None:
        """One TCP segment of this side: `n` payload bytes captured at buffer[pos:], `lost` more cut off by the capture."""
        peer = self.peer
        if not mode.COMPILED:
            if self.latest_kept is not None:
                settle_stream(self)
            if peer.latest_kept is not None or peer.acked_kept is not None:
                settle_stream(peer)
        self.last_time = time
        self.last_packet = packet
        if flags & ACK:
            if peer.started:
                d = (ack - peer.next_seq) & M32
                if d >= HALF:
                    d -= M32 + 1
                if d < FAR:
                    reached = peer.offset + d
                    if reached > peer.acked:
                        peer.acked = reached
                        peer.acked_time = time
                        peer.acked_packet = packet
                        peer.keepalives_unanswered = 0
                    elif n == 0 and peer.keepalives_unanswered:
                        peer.keepalives_unanswered = 0
                if peer.pending is not None:
                    peer.weigh_hole(time, packet)
            else:
                peer.start(ack)
        if window == 0:
            if not flags & (RST | SYN) and self.zero_since == 0:
                self.zero_windows += 1
                self.zero_since = time
        elif self.zero_since:
            self.zero_total += time - self.zero_since
            self.zero_since = 0
        total = n + lost
        if total > 0 and not flags & RST:
            if not self.started:
                self.start(seq)
            d = (seq - self.next_seq) & M32
            if d >= HALF:
                d -= M32 + 1
            if d == 0 and not self.fin_taken:
                quiet = self.last_data_time if self.last_data_time > peer.last_data_time else peer.last_data_time
                if quiet and time - quiet > self.silence:
                    self.silence = time - quiet
                self.tail_retransmissions = 0
                self.remember(buffer, pos, n)
                self.deliver(buffer, pos, n, time, packet)
                if lost:
                    self.truncated += 1
                    self.gap(lost, time, packet, "snaplen")
                if self.pending is not None:
                    self.drain(time)
                    if self.pending is not None:
                        self.weigh_hole(time, packet)
            else:
                self.unordered(buffer, pos, n, lost, d, seq, ident, time, packet)
            if mode.COMPILED:
                self.seg_seq = seq
                self.seg_len = total
                self.seg_time = time
                self.seg_ident = ident
            else:
                self.segment_kept = keep_place(seq, total, time, ident)
        elif self.started and seq == ((self.next_seq - 1) & M32) and not flags & (SYN | FIN | RST):
            self.keepalives += 1  # without a byte, as nearly all systems send them
            self.keepalives_unanswered += 1
        if flags & (FIN | RST):
            self.ending(seq, ack, total, flags, ttl, time, packet)
        elif ttl:
            self.ttl = ttl
        if self.fin_seq >= 0 and not self.fin_taken and self.fin_seq == self.next_seq:
            self.take_fin()
        if not mode.COMPILED:
            self.steady = self.is_steady()
            peer.steady = peer.is_steady()

    def is_steady(self) -> bool:
        """Is nothing due but the next segment of this side, which changes nothing but how far things are?"""
        peer = self.peer
        if self.ended or self.fin_seq >= 0 or self.pending is not None or peer.pending is not None:
            return False
        if self.zero_since or self.tail_retransmissions or peer.keepalives_unanswered:
            return False
        return self.started and peer.started

    def ending(self, seq: int, ack: int, total: int, flags: int, ttl: int, time: int, packet: int) -> None:
        """FIN and RST."""
        flow = self.flow
        if flags & RST:
            self.rsts += 1
            if self.rst_time == 0:
                self.rst_time = time
                self.rst_packet = packet
                self.rst_ttl = ttl
                d = (seq - self.next_seq) & M32
                if d >= HALF:
                    d -= M32 + 1
                self.rst_offset = self.offset + d if self.started else -1
            if flow.ended == 0:
                flow.ended = self.ended = self.peer.ended = time
            return
        if self.fin_time == 0:
            self.fin_time = time
            self.fin_packet = packet
            self.fin_seq = (seq + total) & M32
            if flags & ACK:
                d = (ack - self.peer.next_seq) & M32
                self.fin_ack = self.peer.offset + (d if d < HALF else d - M32 - 1)
            if not self.started:
                self.start(self.fin_seq)
        if flow.ended == 0 and self.peer.fin_time:
            flow.ended = self.ended = self.peer.ended = time

    def take_fin(self) -> None:
        self.fin_taken = True
        self.offset += 1
        self.next_seq = (self.next_seq + 1) & M32
        self.pending = None  # nothing of the stream lies behind its end (RFC 9293 §3.10.7.4)
        self.pending_bytes = 0

    def answers_fin(self, peer: Stream) -> bool:
        """Did this side know, when it sent its FIN, that the peer had sent one? Whatever the order of their packets."""
        return bool(peer.fin_taken and self.fin_ack >= peer.offset)

    def deliver(self, buffer: Buffer, pos: int, n: int, time: int, packet: int) -> None:
        """Bytes in order, to whoever takes them."""
        if n > 0:
            if self.last_data_time == 0:
                self.first_data_time = time
            self.last_data_time = time
            at = self.offset
            self.offset += n
            self.next_seq = (self.next_seq + n) & M32
            if self.mode == FRAMES:
                self.scanner.feed(buffer, pos, pos + n, time, packet)
            elif self.mode == FIRST:
                self.mode = FRAMES
                if self.peer.acked < self.answer_end:
                    self.flow.owner.early_frames(n, at, time, packet)
                self.scanner.feed(buffer, pos, pos + n, time, packet)
            else:
                self.deliver_other(buffer, pos, n, at, time, packet)

    def deliver_other(self, buffer: Buffer, pos: int, n: int, at: int, time: int, packet: int) -> None:
        """Bytes, at offset `at`, that are not known to be frames."""
        if self.mode == READER:
            taken = self.reader.feed(buffer, pos, pos + n, time, packet) - pos
            if taken == n:
                return
            pos += taken
            at += taken
            n -= taken
        if self.mode == DROP:
            if self.skip < 0:
                return
            if self.skip >= n:
                self.skip -= n
                if self.skip == 0:
                    self.mode = PYTHON
                return
            pos += self.skip
            at += self.skip
            n -= self.skip
            self.skip = 0
            self.mode = PYTHON
        owner = self.flow.owner
        if mode.COMPILED and isinstance(owner, Owner):
            known: Owner = owner
            known.data(self, numbers.copy(buffer, pos, n), at, time, packet)
        else:
            if not mode.COMPILED:
                settle_stream(self)
                settle_stream(self.peer)
            owner.data(self, numbers.copy(buffer, pos, n), at, time, packet)

    # -- everything that is not simply the next segment -------------------------------------------------------------

    def unordered(
        self, buffer: Buffer, pos: int, n: int, lost: int, d: int, seq: int, ident: int, time: int, packet: int
    ) -> None:
        total = n + lost
        if d < 0 or self.fin_taken:
            if not mode.COMPILED:
                settle_stream(self)
                self.seg_seq, self.seg_len, self.seg_time, self.seg_ident = place_of(self.segment_kept)
            mirrored = ident == self.seg_ident and seq == self.seg_seq and total == self.seg_len and time - self.seg_time < MIRROR
            if d == -1 and total <= 1 and not mirrored:
                self.keepalives += 1
                self.keepalives_unanswered += 1
                return
            if mirrored:
                self.duplicates += 1
            else:
                self.retransmissions += 1
                # The last bytes, or the first ones that nobody has acknowledged: of many, TCP repeats no others (RFC 6298 §5.4).
                if d + total >= 0 or self.offset + d == self.acked:
                    if self.acked_time > self.tail_last_time:
                        self.tail_retransmissions = 0  # those before were answered
                    self.tail_retransmissions += 1
                    if self.tail_retransmissions == 1:
                        self.tail_first_time = time
                    else:
                        self.tail_last_gap = time - self.tail_last_time
                    self.tail_last_time = time
            self.compare(buffer, pos, n, d, packet)
            if d + total > 0 and d < 0 and not self.fin_taken:  # its tail is new
                skip = -d
                if skip < n:
                    self.remember(buffer, pos + skip, n - skip)
                    self.deliver(buffer, pos + skip, n - skip, time, packet)
                    if lost:
                        self.truncated += 1
                        self.gap(lost, time, packet, "snaplen")
                else:
                    self.gap(total - skip, time, packet, "snaplen")
                if self.pending is not None:
                    self.drain(time)
            return
        if d >= FAR:
            return
        self.hold(buffer, pos, n, lost, self.offset + d, time, packet)

    def hold(self, buffer: Buffer, pos: int, n: int, lost: int, offset: int, time: int, packet: int) -> None:
        """An early segment waits for the bytes before it."""
        data = bytes(buffer.raw[pos : pos + n])
        if self.pending is None:
            self.pending = []
            self.hole_packets = 0
        at = bisect_left(self.pending, (offset,))
        first = at
        while first > 0 and self.pending[first - 1][0] + len(self.pending[first - 1][1]) > offset:
            first -= 1
        for i in range(first, len(self.pending)):
            held = self.pending[i]
            if held[0] >= offset + n:
                break
            lo = max(offset, held[0])
            hi = min(offset + n, held[0] + len(held[1]))
            if data[lo - offset : hi - offset] != held[1][lo - held[0] : hi - held[0]]:
                self.note_conflict(packet)
            if held[0] <= offset and held[0] + len(held[1]) >= offset + n and held[2] >= lost:
                self.retransmissions += 1
                return
        self.out_of_order += 1
        insort(self.pending, (offset, data, lost, time, packet), at)
        self.pending_bytes += n
        if self.pending_bytes > self.flow.buffer_limit or len(self.pending) > 4096:
            self.flow.limit_hits += 1
            self.declare_hole(time, packet, "buffer limit")
        else:
            self.weigh_hole(time, packet)

    def drain(self, time: int) -> None:
        """Hand on the held segments that are next now."""
        pending = self.pending
        while pending:
            offset, data, lost, at, packet = pending[0]
            if offset > self.offset:
                return
            pending.pop(0)
            self.pending_bytes -= len(data)
            old = self.offset - offset
            if at < time:
                at = time
            if old < len(data):
                buffer = Buffer(data)
                self.remember(buffer, old, len(data) - old)
                self.deliver(buffer, old, len(data) - old, at, packet)
                old = len(data)
            if lost and old < len(data) + lost:
                self.truncated += 1
                self.gap(len(data) + lost - old, at, packet, "snaplen")
        self.pending = None
        self.pending_bytes = 0

    def weigh_hole(self, time: int, packet: int) -> None:
        """Is the hole before the first held segment proven, and has it had its time to be filled?"""
        if self.pending and self.acked >= self.pending[0][0]:
            self.hole_packets += 1
            if self.hole_packets > PATIENCE:
                self.declare_hole(time, packet, "acknowledged, never captured")

    def declare_hole(self, time: int, packet: int, reason: str) -> None:
        self.hole_packets = 0
        if self.pending:
            held = self.pending[0]
            if held[0] > self.offset:
                self.gap(held[0] - self.offset, held[3], held[4], reason)
            self.drain(held[3])  # lost to the capture alone: the receiver did not wait for it

    def gap(self, length: int, time: int, packet: int, reason: str) -> None:
        """`length` bytes from here on were never captured."""
        at = self.offset
        self.gap_count += 1
        self.lost_bytes += length
        if self.gaps is None:
            self.gaps = []
        if len(self.gaps) < GAPS_KEPT:
            self.gaps.append((at, length, time, packet, reason))
        if not mode.COMPILED:  # further back, a sequence number does not tell where a segment was
            self.samples = within(self.samples, self.next_seq, HALF - length)
        self.offset += length
        self.next_seq = (self.next_seq + length) & M32
        if self.mode == FRAMES or self.mode == FIRST:
            if not self.scanner.gap(length):
                self.flow.owner.lost_step(self, time, packet)
            return
        if self.mode == DROP:
            if self.skip < 0:
                return
            if self.skip >= length:
                self.skip -= length
                if self.skip == 0:
                    self.mode = PYTHON
                return
            at += self.skip
            length -= self.skip
            self.skip = 0
            self.mode = PYTHON
        self.flow.owner.gap(self, at, length, time, packet)

    def flush(self, time: int) -> None:
        """The flow is over: what is still held goes on behind declared gaps, and what was acknowledged but never seen is one."""
        while self.pending:
            self.declare_hole(time, self.last_packet, "never captured")
        if self.fin_seq >= 0 and not self.fin_taken and self.fin_seq == self.next_seq:
            self.take_fin()
        if not self.started or self.fin_taken:
            return
        missing = self.acked - self.offset
        if self.fin_seq >= 0:
            ahead = (self.fin_seq - self.next_seq) & M32
            if 0 < ahead < FAR:  # a FIN follows the last byte sent, so those before it exist, acknowledged or not
                self.gap(ahead, time, self.fin_packet, "acknowledged, never captured" if missing > 0 else "never captured")
            if 0 < ahead < FAR or missing > 0:
                self.take_fin()
            return
        reason = "acknowledged, never captured"
        if self.rst_time and missing < self.rst_offset - self.offset < FAR >> 10:  # so does an RST, if it is not a forgery
            missing = self.rst_offset - self.offset
            reason = "never captured"
        if missing > 1:
            self.gap(missing, time, self.acked_packet or self.last_packet, reason)
        elif missing == 1 and (self.rst_time or self.peer.fin_seq >= 0):  # one byte: a FIN that was not captured
            self.unseen_fin()

    def unseen_fin(self) -> None:
        """The FIN came before what tells of it: the first acknowledgement of it, or this side's RST."""
        if self.acked > self.offset and (self.rst_time == 0 or self.acked_time < self.rst_time):
            self.fin_time = self.acked_time
            self.fin_packet = self.acked_packet
        else:
            self.fin_time = self.rst_time
            self.fin_packet = self.rst_packet
        self.take_fin()

    # -- differing copies -------------------------------------------------------------

    def remember(self, buffer: Buffer, pos: int, n: int) -> None:
        """Keep the first and last eight bytes of a delivered segment: a retransmission that differs there is proven to differ."""
        if n > 0 and not mode.COMPILED:
            note(self.samples, keep_bytes(buffer.raw, pos, n, self.next_seq), SAMPLES)
        elif n > 0:
            i = (self.sample_n & (SAMPLES - 1)) * SAMPLE
            self.sample_n += 1
            self.samples[i] = self.offset
            self.samples[i + 1] = n
            if n >= 8:
                self.samples[i + 2] = numbers.le64(buffer, pos)
                self.samples[i + 3] = numbers.le64(buffer, pos + n - 8)
            else:
                self.samples[i + 2] = self.samples[i + 3] = as_number(buffer, pos, n)

    def compare(self, buffer: Buffer, pos: int, n: int, d: int, packet: int) -> None:
        """Old bytes came again, that begin at `d` from the next: do they equal what is remembered of the first copy?"""
        if not mode.COMPILED:
            if differs(self.samples, SAMPLES, buffer.raw, pos, n, -d, self.next_seq):
                self.note_conflict(packet)
            return
        offset = self.offset + d
        for i in range(0, SAMPLE * SAMPLES, SAMPLE):
            at = self.samples[i]
            length = self.samples[i + 1]
            if length == 0:
                continue
            width = length if length < 8 else 8
            if offset <= at and at + width <= offset + n and as_number(buffer, pos + at - offset, width) != self.samples[i + 2]:
                self.note_conflict(packet)
                return
            at = at + length - width
            if offset <= at and at + width <= offset + n and as_number(buffer, pos + at - offset, width) != self.samples[i + 3]:
                self.note_conflict(packet)
                return

    def note_conflict(self, packet: int) -> None:
        self.conflicts += 1
        if self.conflict_packet == 0:
            self.conflict_packet = packet


def as_number(buffer: Buffer, pos: int, width: int) -> int:
    """Up to eight bytes as a number."""
    if width == 8:
        return numbers.le64(buffer, pos)
    value = 0
    for i in range(pos + width - 1, pos - 1, -1):
        value = value << 8 | buffer.b[i]
    return value
