"""TCP segments → bytes in order, with gaps, conflicts and ends told apart from what networks do every day. RFC 9293."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from wire import ACK, FIN, PSH, RST, SYN, C, S

from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.constants import DROP, FIRST, FRAMES, PYTHON
from wsaudit.kernel.frames import Scanner
from wsaudit.kernel.streams import Flow, Stream

MS = 1_000_000
ISN = (1000, 2000)
M32 = 0xFFFFFFFF


class Owner:
    """Writes down what the streams of a flow tell."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def data(self, stream: Stream, data: bytes, offset: int, time: int, packet: int) -> None:
        self.events.append(("data", data, offset, packet))

    def gap(self, stream: Stream, offset: int, length: int, time: int, packet: int) -> None:
        self.events.append(("gap", offset, length, packet))

    def lost_step(self, stream: Stream, time: int, packet: int) -> None:
        self.events.append(("lost step", packet))
        stream.mode = PYTHON

    def early_frames(self, size: int, offset: int, time: int, packet: int) -> None:
        self.events.append(("early", size, offset, packet))

    def control(self, scanner: Scanner, opcode: int, payload: bytes | None, length: int) -> None:
        self.events.append(("control", opcode, payload))


class Wire:
    """A flow under test. Sequence numbers are given relative to each side's first byte; every packet is 1 ms later."""

    def __init__(self, isn: tuple[int, int] = ISN, syn: bool = True, limit: int = 1 << 20) -> None:
        self.owner = Owner()
        self.flow = Flow(b"\x0a\0\0\1", 40000, b"\x0a\0\0\2", 80)
        self.flow.owner = self.owner
        self.flow.buffer_limit = limit
        self.sides = (self.flow.a, self.flow.b)
        self.isn = isn
        self.packet = 0
        self.time = 0
        if syn:
            for side in (C, S):
                self.sides[side].syn_seen = True
                self.sides[side].start(isn[side] + 1)

    def send(
        self,
        side: int,
        at: int,
        data: bytes = b"",
        flags: int = PSH | ACK,
        *,
        ack: int = 0,
        lost: int = 0,
        window: int = 1000,
        ident: int = 0,
        after: int = MS,
    ) -> Wire:
        self.packet += 1
        self.time += after
        before = self.packet % 5
        self.sides[side].segment(
            Buffer(bytes(before) + data),
            before,
            len(data),
            lost,
            (self.isn[side] + 1 + at) & M32,
            (self.isn[1 - side] + 1 + ack) & M32,
            flags,
            window,
            64,
            ident,
            self.time,
            self.packet,
        )
        return self

    def over(self) -> Wire:
        self.flow.a.flush(self.time)
        self.flow.b.flush(self.time)
        return self

    @property
    def bytes(self) -> bytes:
        """All bytes told, gaps as dots."""
        return b"".join(event[1] if event[0] == "data" else b"." * event[2] for event in self.owner.events)

    @property
    def gaps(self) -> list[tuple[int, int]]:
        return [event[1:3] for event in self.owner.events if event[0] == "gap"]


class Counts(NamedTuple):
    retransmissions: int = 0
    out_of_order: int = 0
    duplicates: int = 0
    conflicts: int = 0
    keepalives: int = 0
    gap_count: int = 0


def counts(stream: Stream) -> Counts:
    return Counts(*(getattr(stream, name) for name in Counts._fields))


QUIET = Counts()


# -- order ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isn", [ISN, (M32 - 3, M32), (M32, 5), (0x7FFFFFFF, 0x80000000)])
def test_in_order(isn: tuple[int, int]) -> None:
    """Across the wrap of the sequence number, and across its middle."""
    told = Wire(isn).send(C, 0, b"abc").send(C, 3, b"defgh").send(S, 0, b"xyz", ack=8).send(C, 8, b"i", ack=3)
    assert told.bytes == b"abcdefghxyzi"
    assert [event[2] for event in told.owner.events] == [0, 3, 0, 8]
    assert (counts(told.flow.a), counts(told.flow.b)) == (QUIET, QUIET)
    assert (told.flow.a.acked, told.flow.b.acked) == (8, 3)


@pytest.mark.parametrize("isn", [ISN, (M32 - 3, M32)])
def test_out_of_order(isn: tuple[int, int]) -> None:
    told = Wire(isn).send(C, 4, b"ef").send(C, 6, b"gh").send(C, 2, b"cd").send(C, 0, b"ab").send(C, 8, b"i")
    assert told.bytes == b"abcdefghi"
    assert [event[3] for event in told.owner.events] == [4, 3, 1, 2, 5]
    assert counts(told.flow.a) == QUIET._replace(out_of_order=3)


def test_bytes_that_were_held_carry_the_time_when_they_could_be_read() -> None:
    told = Wire().send(C, 2, b"cd").send(C, 0, b"ab", after=50 * MS)
    assert told.flow.a.last_data_time == told.time


def test_a_stream_of_more_than_four_gigabytes_keeps_its_offsets() -> None:
    told = Wire()
    told.flow.a.mode = DROP
    told.flow.a.skip = -1
    at = 0
    for _ in range(17 << 10):
        told.send(C, at, lost=0, data=BIG)
        at += len(BIG)
    assert told.flow.a.offset == at > 1 << 32
    assert counts(told.flow.a) == QUIET


BIG = bytes(1 << 18)


# -- again ---------------------------------------------------------------------------------------------------------------


def test_a_retransmission_is_not_read_twice() -> None:
    told = Wire().send(C, 0, b"abcdef").send(C, 0, b"abcdef", after=300 * MS).send(C, 6, b"gh")
    assert told.bytes == b"abcdefgh"
    assert counts(told.flow.a) == QUIET._replace(retransmissions=1)
    assert told.flow.a.tail_retransmissions == 0


def test_retransmissions_at_the_tail_are_counted_with_their_times() -> None:
    told = Wire().send(C, 0, b"abcdef")
    for wait in (200, 400, 800):
        told.send(C, 0, b"abcdef", after=wait * MS)
    side = told.flow.a
    assert (side.tail_retransmissions, side.tail_first_time, side.tail_last_gap) == (3, 201 * MS, 800 * MS)


def test_what_a_mirror_port_doubles_is_no_retransmission() -> None:
    told = Wire().send(C, 0, b"abcdef", ident=7).send(C, 0, b"abcdef", ident=7, after=1000)
    told.send(C, 6, b"g", ident=8).send(C, 6, b"g", ident=9, after=1000).send(C, 6, b"g", ident=9, after=MS)
    assert told.bytes == b"abcdefg"
    assert counts(told.flow.a) == QUIET._replace(duplicates=1, keepalives=2)


def test_a_doubled_probe_is_one_probe() -> None:
    told = Wire().send(C, 0, b"abc").send(C, 2, b"c", ident=7).send(C, 2, b"c", ident=7, after=1000)
    assert counts(told.flow.a) == QUIET._replace(duplicates=1, keepalives=1)


def test_a_doubled_byte_is_no_probe() -> None:
    told = Wire().send(C, 0, b"a", ident=7).send(C, 0, b"a", ident=7, after=1000)
    assert counts(told.flow.a) == QUIET._replace(duplicates=1)


@pytest.mark.parametrize(
    ("at", "data", "expected"),
    [
        (0, b"abcdefgh", b"abcdefgh"),  # all of it, and more
        (2, b"cdefgh", b"abcdefgh"),  # its end, and more
        (3, b"de", b"abcdef"),  # a part
        (-3, b"???abcdefgh", b"abcdefgh"),  # from before the first byte
    ],
)
def test_an_overlap_with_equal_bytes(at: int, data: bytes, expected: bytes) -> None:
    told = Wire().send(C, 0, b"abcdef").send(C, at, data)
    assert told.bytes == expected
    assert counts(told.flow.a) == QUIET._replace(retransmissions=1)


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (0, b"XbcdefghijklmnopqrstuvwX"),
        (0, b"Xbcdefghijklmnopqrstuvwx"),
        (0, b"abcdefgXijklmnopqrstuvwx"),
        (0, b"abcdefghijklmnopXrstuvwx"),
        (16, b"qrstuvwXyz"),
        (0, b"abcdefgX"),
    ],
)
def test_an_overlap_with_differing_bytes_is_a_conflict(at: int, data: bytes) -> None:
    """The first copy wins. Compared are the first and last eight bytes of what was delivered."""
    told = Wire().send(C, 0, b"abcdefghijklmnopqrstuvwx").send(C, at, data)
    assert told.bytes.startswith(b"abcdefghijklmnopqrstuvwx")
    assert (told.flow.a.conflicts, told.flow.a.conflict_packet) == (1, 2)


def test_bytes_of_the_same_sequence_number_are_not_the_same_after_4_gb() -> None:
    told = Wire().send(C, 0, b"a" * 40).send(C, 40, b"b" * 20, lost=2**32 - 20).send(C, 40, b"c" * 300)
    told.send(C, 0, b"d" * 40)  # the first time it was lost
    assert (told.flow.a.retransmissions, told.flow.a.conflicts) == (1, 0)


def test_held_segments_that_differ_are_a_conflict() -> None:
    told = Wire().send(C, 4, b"efgh").send(C, 6, b"gX").send(C, 4, b"efgh").send(C, 0, b"abcd")
    assert told.bytes == b"abcdefgh"
    assert counts(told.flow.a) == QUIET._replace(out_of_order=1, conflicts=1, retransmissions=2)
    assert told.flow.a.conflict_packet == 2


def test_overlapping_held_segments_join() -> None:
    told = Wire().send(C, 5, b"fgh").send(C, 2, b"cdefg").send(C, 7, b"hij").send(C, 0, b"abc")
    assert told.bytes == b"abcdefghij"
    assert told.flow.a.conflicts == 0


# -- probes and windows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"\0", b"c", b""])
def test_keepalive_probes(data: bytes) -> None:
    told = Wire().send(C, 0, b"abc").send(S, 0, ack=3)
    for _ in range(3):
        told.send(C, 2, data, ACK)
    side = told.flow.a
    assert counts(side) == QUIET._replace(keepalives=3)
    assert side.keepalives_unanswered == 3
    told.send(S, 0, b"", ACK, ack=3)
    assert (side.keepalives, side.keepalives_unanswered) == (3, 0)


def test_zero_windows() -> None:
    told = Wire().send(C, 0, b"abc").send(S, 0, ack=3, window=0).send(S, 0, ack=3, window=0, after=100 * MS)
    side = told.flow.b
    assert (side.zero_windows, side.zero_since) == (1, 2 * MS)
    told.send(C, 2, b"c").send(S, 0, ack=3, window=900, after=100 * MS)
    assert (side.zero_windows, side.zero_since, side.zero_total) == (1, 0, 201 * MS)
    told.send(S, 0, ack=3, window=0)
    assert side.zero_windows == 2


def test_an_rst_has_no_window() -> None:
    assert Wire().send(C, 0, b"", RST, window=0).flow.a.zero_windows == 0


# -- starts and ends -----------------------------------------------------------------------------------------------------


def test_without_syn_the_first_byte_seen_is_offset_0() -> None:
    told = Wire(syn=False).send(C, 500, b"abc", ack=70).send(S, 70, b"xyz", ack=503)
    assert told.bytes == b"abcxyz"
    assert (told.flow.a.acked, told.flow.b.acked) == (3, 0)


def test_without_syn_the_acknowledgement_says_where_the_other_side_begins() -> None:
    told = Wire(syn=False).send(C, 500, b"abc", ack=70).send(S, 75, b"f", ack=503).send(S, 70, b"abcde", ack=503)
    assert told.bytes == b"abcabcdef"


def test_a_fin_counts_as_one_offset() -> None:
    told = Wire().send(C, 0, b"abc", FIN | ACK).send(S, 0, b"", ack=4)
    side = told.flow.a
    assert (side.fin_packet, side.fin_taken, side.offset, side.acked) == (1, True, 4, 4)
    assert told.flow.ended == 0
    told.send(S, 0, b"", FIN | ACK, ack=4)
    assert told.flow.ended == told.time
    assert told.over().gaps == []


def test_a_fin_before_the_data_waits_for_them() -> None:
    told = Wire().send(C, 3, b"de", FIN | ACK)
    assert not told.flow.a.fin_taken
    told.send(C, 0, b"abc")
    assert told.bytes == b"abcde"
    assert (told.flow.a.fin_taken, told.flow.a.fin_packet) == (True, 1)


def test_a_lone_fin_before_the_data_waits_too() -> None:
    told = Wire().send(C, 5, b"", FIN | ACK).send(C, 0, b"abc")
    assert not told.flow.a.fin_taken
    told.send(C, 3, b"de")
    assert told.flow.a.fin_taken
    assert told.over().bytes == b"abcde"


def test_bytes_before_a_fin_that_never_came_are_a_gap() -> None:
    told = Wire().send(C, 0, b"abc").send(C, 5, b"", FIN | ACK).send(S, 0, ack=6).over()
    assert told.gaps == [(3, 2)]
    assert told.flow.a.fin_taken


def test_data_behind_a_fin_are_not_read() -> None:
    told = Wire().send(C, 0, b"abc", FIN | ACK).send(C, 3, b"de").send(C, 4, b"fg").over()
    assert told.bytes == b"abc"
    assert told.flow.a.offset == 4


def test_the_first_rst_counts() -> None:
    told = Wire().send(C, 0, b"abc").send(S, 0, b"", RST, ident=5).send(S, 0, b"", RST, ident=6)
    side = told.flow.b
    assert (side.rsts, side.rst_packet, side.rst_ttl, side.rst_offset) == (2, 2, 64, 0)
    assert told.flow.ended == 2 * MS


@pytest.mark.parametrize(("at", "offset"), [(-5, -2), (3, 3), (10, 10)])
def test_where_an_rst_lies_in_its_stream(at: int, offset: int) -> None:
    told = Wire().send(S, 0, b"abc").send(S, at, b"why this reset", RST | ACK)
    assert told.flow.b.rst_offset == (at if at != -5 else -5)
    assert told.bytes == b"abc"


# -- lost bytes ----------------------------------------------------------------------------------------------------------


def test_an_acknowledgement_proves_a_hole_once_it_had_time_to_be_filled() -> None:
    told = Wire().send(C, 0, b"ab").send(C, 5, b"fg").send(S, 0, ack=7)
    assert told.gaps == []
    for at in range(14):
        told.send(S, at, b"x", ack=7)
    assert told.gaps == [(2, 3)]
    assert [event for event in told.owner.events if event[0] == "data" and event[1] != b"x"] == [
        ("data", b"ab", 0, 1),
        ("data", b"fg", 5, 2),
    ]
    assert told.flow.a.gaps == [(2, 3, 2 * MS, 2, "acknowledged, never captured")]


def test_without_an_acknowledgement_a_hole_waits() -> None:
    told = Wire().send(C, 0, b"ab").send(C, 5, b"fg")
    for at in range(50):
        told.send(S, at, b"x", ack=2)
    assert told.gaps == []
    told.send(C, 2, b"cde")
    assert told.flow.a.offset == 7


def test_at_the_end_every_hole_is_a_gap() -> None:
    told = Wire().send(C, 2, b"c").send(C, 5, b"f").over()
    assert told.bytes == b"..c..f"


def test_bytes_acknowledged_but_never_seen_at_the_end() -> None:
    told = Wire().send(C, 0, b"ab").send(S, 0, b"x", ack=9).over()
    assert told.gaps == [(2, 7)]


def test_a_fin_proves_the_bytes_before_it() -> None:
    """Although nobody acknowledged them: the sender's last word has their number."""
    told = Wire().send(C, 0, b"ab").send(C, 9, b"", FIN | ACK).over()
    assert told.gaps == [(2, 7)]
    assert told.flow.a.fin_taken


def test_so_does_an_rst() -> None:
    assert Wire().send(C, 0, b"ab").send(C, 9, b"", RST).over().gaps == [(2, 7)]
    assert Wire().send(C, 0, b"ab").send(C, 3, b"", RST).over().gaps == []  # one byte: a FIN that was not captured
    assert Wire().send(C, 0, b"ab").send(C, 1 << 22, b"", RST).over().gaps == []  # somebody's guess


def test_one_acknowledged_byte_may_be_a_fin() -> None:
    assert Wire().send(C, 0, b"ab").send(S, 0, b"x", ack=3).over().gaps == []


def test_an_absurd_acknowledgement_proves_nothing() -> None:
    told = Wire().send(C, 0, b"ab").send(S, 0, b"x", ack=(1 << 30) + 2).send(S, 1, b"y", ack=1 << 31).over()
    assert told.gaps == []
    assert told.flow.a.acked == 0


def test_a_segment_from_nowhere_is_not_held() -> None:
    told = Wire().send(C, 0, b"ab").send(C, (1 << 30) + 2, b"z").send(C, 1 << 31, b"z").send(C, 2, b"c").over()
    assert told.bytes == b"abc"


def test_what_the_capture_cut_off_is_a_gap() -> None:
    told = Wire().send(C, 0, b"abc", lost=4).send(C, 7, b"h").send(C, 8, b"", lost=2).send(C, 10, b"k")
    assert told.bytes == b"abc....h..k"
    assert [reason for *_, reason in told.flow.a.gaps] == ["snaplen", "snaplen"]
    assert told.flow.a.truncated == 2


def test_a_cut_segment_that_was_held() -> None:
    told = Wire().send(C, 3, b"d", lost=2).send(C, 6, b"g").send(C, 0, b"abc")
    assert told.bytes == b"abcd..g"


def test_a_retransmission_of_a_cut_segment_is_read_past_the_cut() -> None:
    told = Wire().send(C, 0, b"ab", lost=2).send(C, 0, b"ab", lost=4).over()
    assert told.bytes == b"ab...."


def test_the_buffer_limit_gives_the_oldest_hole_up() -> None:
    told = Wire(limit=10).send(C, 3, b"defgh").send(C, 10, b"klmno").send(C, 20, b"uvw")
    assert told.flow.limit_hits == 1
    assert told.bytes == b"...defgh"
    assert told.flow.a.gaps[0][4] == "buffer limit"
    assert told.flow.a.pending_bytes == 8
    assert told.over().bytes == b"...defgh..klmno.....uvw"


def test_held_segments_are_bounded_in_number() -> None:
    told = Wire()
    for at in range(5000):
        told.send(C, 2 + 2 * at, b"x")
    assert told.flow.limit_hits > 0
    assert len(told.flow.a.pending) <= 4096


# -- who reads -----------------------------------------------------------------------------------------------------------


def test_skipping_bytes() -> None:
    """A body whose length is known goes by uncopied, in whatever pieces; Python reads on behind it."""
    for size in range(1, 12):
        told = Wire()
        told.flow.a.mode = DROP
        told.flow.a.skip = 6
        data = b"abcdefghijk"
        for at in range(0, len(data), size):
            told.send(C, at, data[at : at + size])
        assert told.bytes == b"ghijk"
        assert next(event[2] for event in told.owner.events) == 6
        assert told.flow.a.mode == PYTHON


def test_a_gap_while_skipping() -> None:
    told = Wire()
    told.flow.a.mode = DROP
    told.flow.a.skip = 6
    told.send(C, 0, b"ab", lost=6).send(C, 8, b"i")
    assert told.owner.events == [("gap", 6, 2, 1), ("data", b"i", 8, 2)]


def test_dropping_all() -> None:
    told = Wire()
    told.flow.a.mode = DROP
    told.flow.a.skip = -1
    told.send(C, 0, b"ab", lost=6).send(C, 8, b"i").over()
    assert told.owner.events == []
    assert (told.flow.a.bytes, told.flow.a.offset) == (3, 9)


def test_frames_go_straight_to_the_scanner() -> None:
    told = Wire()
    told.flow.a.mode = FRAMES
    told.flow.a.scanner = Scanner(0, told.owner)
    told.send(C, 0, b"\x89\x05ab", lost=1).send(C, 5, b"de").send(C, 7, b"\x8a\x00").send(C, 9, b"\x8a", lost=1).send(C, 11, b"x")
    assert told.owner.events == [
        ("control", 9, None),
        ("control", 10, b""),
        ("lost step", 4),
        ("data", b"x", 11, 5),
    ]


@pytest.mark.parametrize(("acked", "early"), [(9, [("early", 2, 4, 3)]), (10, [])])
def test_frames_before_the_answer_was_acknowledged(acked: int, early: list[Any]) -> None:
    """The answer has 10 bytes; the first frame counts only, and what it acknowledges itself."""
    told = Wire().send(C, 0, b"ask!").send(S, 0, b"the answer", ack=4)
    told.flow.a.mode = FIRST
    told.flow.a.answer_end = 10
    told.flow.a.scanner = scanner = Scanner(0, told.owner)
    told.send(C, 4, b"\x81\x00", ack=acked).send(C, 6, b"\x82\x00", ack=acked)
    assert told.owner.events[2:] == early
    assert (scanner.text_messages, scanner.binary_messages, told.flow.a.mode) == (1, 1, FRAMES)


def test_a_gap_before_the_first_frames() -> None:
    told = Wire()
    told.flow.a.mode = FIRST
    told.flow.a.scanner = Scanner(0, told.owner)
    told.send(C, 3, b"\x81\x00")
    told.flow.a.flush(told.time)
    assert told.owner.events == [("lost step", 1), ("data", b"\x81\x00", 3, 1)]


def test_the_longest_silence_between_data_of_either_side() -> None:
    told = Wire().send(C, 0, b"a").send(S, 0, ack=1, after=500 * MS).send(S, 0, b"b", ack=1, after=20 * MS)
    assert max(told.flow.a.silence, told.flow.b.silence) == 520 * MS


def test_a_syn_is_no_data() -> None:
    told = Wire(syn=False).send(C, -1, b"", SYN)
    assert not told.flow.a.started


def test_nothing_lies_behind_a_fin() -> None:
    """Bytes that claim to were held back, as early segments are; the FIN's own number is no byte, so they must not follow it."""
    told = Wire().send(C, 6, b"behind").send(C, 2, b"", FIN | ACK).send(C, 0, b"ab").over()
    assert told.bytes == b"ab"
    assert (told.flow.a.offset, told.flow.a.gap_count) == (3, 0)


def test_a_fin_that_was_not_captured_is_known_from_what_followed_it() -> None:
    told = Wire().send(C, 0, b"ab").send(S, 0, b"", FIN | ACK, ack=3).over()
    client, server = told.flow.a, told.flow.b
    assert (client.fin_taken, client.fin_packet, client.fin_seq, told.gaps) == (True, 2, -1, [])
    assert server.answers_fin(client)
    assert Wire().send(C, 0, b"ab").send(C, 3, b"", RST).over().flow.a.fin_taken


def test_a_fin_knows_of_the_other_whatever_the_order_of_their_packets() -> None:
    told = Wire().send(S, 0, b"", FIN | ACK, ack=3).send(C, 0, b"ab", FIN | ACK, ack=0).over()
    assert told.flow.b.answers_fin(told.flow.a)
    assert not told.flow.a.answers_fin(told.flow.b)
