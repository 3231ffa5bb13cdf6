"""Bytes → frames: every header, however it is cut; control frames; UTF-8 as a stream; gaps. RFC 6455 §5, RFC 3629."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.kernel import constants
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.frames import FrameLog, Scanner, unmask

Fact = tuple[Any, ...]


class Listener:
    """Writes down what a scanner tells."""

    def __init__(self) -> None:
        self.controls: list[tuple[int, bytes | None, int]] = []
        self.places: list[tuple[int, int, int]] = []
        self.compressed_data: list[tuple[bytes, bool]] = []
        self.lost = 0

    def control(self, scanner: Scanner, opcode: int, payload: bytes | None, length: int) -> None:
        self.controls.append((opcode, payload, length))
        self.places.append((scanner.frame_packet, scanner.frame_time, scanner.frame_offset))

    def compressed(self, scanner: Scanner, data: bytes, last: bool) -> None:
        self.compressed_data.append((data, last))

    def compressed_lost(self, scanner: Scanner) -> None:
        self.lost += 1


def scan(pieces: Iterable[bytes], *, inflate: bool = False, log: bool = False) -> Scanner:
    """Feed each piece as packet 1, 2, 3..., at 1,000 ns, 2,000 ns..., behind a few other bytes of its buffer."""
    scanner = Scanner(0, Listener())
    scanner.inflate = inflate
    if log:
        scanner.log = FrameLog()
    feed(scanner, pieces)
    return scanner


def feed(scanner: Scanner, pieces: Iterable[bytes], first: int = 1) -> None:
    for number, piece in enumerate(pieces, first):
        before = number % 9
        scanner.feed(Buffer(bytes(before) + piece), before, before + len(piece), number * 1000, number)


def counted(scanner: Scanner) -> Fact:
    """All that does not depend on where segment borders are."""
    shapes = [(shape, count, offset, length) for shape, count, _, _, offset, length, _ in scanner.shape_rows()]
    numbers = (
        *(scanner.offset, scanner.headers, scanner.text_messages, scanner.binary_messages, scanner.message_bytes),
        *(scanner.deflated_messages, scanner.deflated_bytes, scanner.fragmented_messages),
        *(scanner.aborted_messages, scanner.largest, scanner.tiny_fragments, scanner.bad_text, scanner.bad_text_offset),
        *(scanner.bad_text_message, scanner.unverified_text, scanner.zero_keys, scanner.same_keys, scanner.masked_frames),
        *(scanner.message, scanner.shapes_dropped, scanner.closed, scanner.incomplete),
    )
    return shapes, numbers, scanner.mask_keys(), scanner.opcode_counts(), scanner.listener.controls


def cut_once(data: bytes) -> Iterable[list[bytes]]:
    """`data` in two pieces, at every place."""
    return ([data[:at], data[at:]] for at in range(len(data) + 1))


def every_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


# -- headers -------------------------------------------------------------------------------------------------------------


HEADERS = [
    (opcode, fin, rsv, key, form, size)
    for opcode in range(16)
    for fin, rsv, key in ((True, 0, None), (False, 0, wire.MASK), (True, 5, wire.MASK), (False, 7, None))
    for form, size in ((7, 0), (7, 125), (16, 126), (16, 5), (64, 9), (64, 130))
]


def expected_shape(opcode: int, fin: bool, rsv: int, key: bytes | None, form: int, size: int) -> int:
    shape = (0x80 if fin else 0) | rsv << 4 | opcode
    if key is not None:
        shape |= constants.MASKED
    if form == 16:
        shape |= constants.FORM_16 | (constants.LONGER_FORM if size < 126 else 0)
    if form == 64:
        shape |= constants.FORM_64 | constants.LONGER_FORM
    if opcode >= 8 and size > 125:
        shape |= constants.OVERSIZE
    return shape


@pytest.mark.parametrize(("opcode", "fin", "rsv", "key", "form", "size"), HEADERS)
def test_every_header_form(opcode: int, fin: bool, rsv: int, key: bytes | None, form: int, size: int) -> None:
    """Whole, byte by byte, cut once at every place of the header, and with the next frame behind it: the same facts."""
    data = wire.frame(opcode, b"a" * size, fin=fin, rsv=rsv, mask=key, length_form=form)
    whole = scan([data])
    assert whole.shape_rows() == [(expected_shape(opcode, fin, rsv, key, form, size), 1, 1, 1000, 0, size, 1)]
    assert whole.opcode_counts() == [int(i == opcode) for i in range(16)]
    assert whole.largest == size
    assert not whole.incomplete
    expected = counted(whole)
    assert counted(scan(every_byte(data))) == expected
    for at in range(min(len(data), 16)):
        assert counted(scan([data[:at], data[at:]])) == expected
    trailing = scan([data + b"\x8a\x00"])
    assert trailing.headers == 2
    assert trailing.opcode_counts()[10] == 1 + (opcode == 10)
    assert trailing.shape_rows()[0][1] == 1 + (whole.shape_ids() == (0x8A,))


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**62, 2**63 - 1])
def test_lengths_up_to_the_largest(length: int) -> None:
    data = wire.frame(wire.BINARY, b"x" * 9, mask=wire.MASK, length=length, length_form=64)
    for pieces in ([data], every_byte(data)):
        scanner = scan(pieces)
        assert scanner.largest == scanner.length == length
        assert scanner.remaining == length - 9
        assert scanner.incomplete
        assert scanner.shape_rows()[0][5] == length
        assert scanner.opcode_counts() == [0] * 16


@pytest.mark.parametrize("length", [2**63, 2**63 + 5, 2**64 - 1])
def test_the_top_bit_of_a_length(length: int) -> None:
    """It must be 0 (RFC 6455 §5.2): the fact is kept and the other 63 bits count."""
    scanner = scan([wire.frame(wire.TEXT, length=length, length_form=64)])
    assert scanner.shape_rows()[0][0] & constants.LENGTH_MSB
    assert scanner.largest == length - 2**63


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
@pytest.mark.parametrize("key", [None, wire.MASK])
def test_the_shortest_length_form_is_not_odd(size: int, key: bytes | None) -> None:
    scanner = scan([wire.frame(wire.BINARY, bytes(size), mask=key)])
    assert not scanner.shape_rows()[0][0] & constants.LONGER_FORM
    assert scanner.message_bytes == size


def test_a_shape_keeps_its_first_place_and_counts_the_rest() -> None:
    small, large = wire.frame(wire.TEXT, b"hi"), wire.frame(wire.TEXT, b"x" * 200)
    scanner = scan([small + small, large, small, small[:1], small[1:]])
    assert scanner.shape_rows() == [
        (0x81, 4, 1, 1000, 0, 2, 4),
        (0x81 | constants.FORM_16, 1, 2, 2000, 8, 200, 2),
    ]
    assert scanner.shape_ids() == (0x81, 0x81 | constants.FORM_16)
    assert scanner.recent_rows()[-1] == (4000, 4, 0x81, 2)


def test_shapes_beyond_the_columns_are_kept_and_then_counted() -> None:
    kinds = [(fin << 7 | rsv << 4 | opcode) for opcode in range(8) for rsv in range(8) for fin in (0, 1)]
    scanner = scan([bytes((kind, 0)) for kind in kinds] * 2)
    rows = scanner.shape_rows()
    assert len({row[0] for row in rows}) == len(rows) > 24
    assert sum(row[1] for row in rows) + scanner.shapes_dropped == scanner.headers == 2 * len(kinds)


def test_shapes_kept_are_bounded() -> None:
    forms = [(7, 0), (16, 0), (64, 0), (16, 126)]
    kinds = [
        wire.frame(opcode, bytes(size), fin=fin, rsv=rsv, mask=key, length_form=form)
        for opcode, rsv, fin, key in itertools.product(range(16), range(8), (True, False), (None, wire.MASK))
        for form, size in forms
    ]
    scanner = scan(kinds)
    assert len(scanner.shape_rows()) < 300 < len(kinds)
    assert scanner.shapes_dropped == scanner.headers - sum(row[1] for row in scanner.shape_rows()) > 0


def test_the_last_frames_are_remembered() -> None:
    scanner = scan([wire.frame(wire.BINARY, bytes(n)) for n in range(20)])
    assert [length for _, _, _, length in scanner.recent_rows()] == list(range(12, 20))


# -- masks ---------------------------------------------------------------------------------------------------------------


@given(data=st.binary(max_size=40), key=st.binary(min_size=4, max_size=4), phase=st.integers(0, 3))
def test_unmask(data: bytes, key: bytes, phase: int) -> None:
    assert unmask(data, int.from_bytes(key, "little"), phase) == wire.mask(data, key[phase:] + key[:phase])


def test_facts_about_masking_keys() -> None:
    keys = [b"\0\0\0\0", b"\0\0\0\0", b"abcd", b"abcd", b"abce", b"\xff\xff\xff\xff"]
    scanner = scan([wire.frame(wire.TEXT, b"x", mask=key) for key in keys])
    assert (scanner.masked_frames, scanner.zero_keys, scanner.same_keys) == (6, 2, 2)
    assert scanner.mask_keys() == b"".join(keys[:4])


@pytest.mark.parametrize(
    ("keys", "up"),
    [
        ([], False),
        ([5, 6], False),
        ([7, 7, 7], False),
        ([0xFFFFFFFE, 0xFFFFFFFF, 0, 1], True),
        ([9, 6, 3, 0], True),
        ([1, 2, 3, 5], False),
        ([1, 2, 3, 4, 99], True),  # only the first four are kept
        ([0x1234567, 0xFEDCBA98, 0x89ABCDEF, 5], False),
    ],
)
def test_keys_that_count_up(keys: list[int], up: bool) -> None:
    scanner = scan([wire.frame(wire.TEXT, b"x", mask=key.to_bytes(4, "little")) for key in keys])
    assert scanner.keys_count_up() is up


# -- control frames ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [wire.CLOSE, wire.PING, wire.PONG, 0xB, 0xF])
@pytest.mark.parametrize("key", [None, wire.MASK])
@pytest.mark.parametrize("payload", [b"", b"\x03\xe8bye", bytes(range(125))])
def test_control_frames_are_handed_out_at_their_last_byte(opcode: int, key: bytes | None, payload: bytes) -> None:
    data = wire.frame(opcode, payload, mask=key)
    for pieces in [[data], every_byte(data), *cut_once(data)]:
        scanner = scan(pieces)
        assert scanner.listener.controls == [(opcode, payload, len(payload))]
        assert scanner.closed == (opcode == wire.CLOSE)
    assert scan([data[:-1]]).listener.controls == []


def test_a_control_frame_that_is_too_large_is_cut() -> None:
    data = wire.frame(wire.PING, bytes(i & 255 for i in range(70000)), mask=wire.MASK)
    for pieces in ([data], [data[i : i + 100] for i in range(0, len(data), 100)]):
        scanner = scan(pieces)
        assert scanner.listener.controls == [(wire.PING, bytes(range(125)), 70000)]
        assert scanner.shape_rows()[0][0] & constants.OVERSIZE


def test_the_place_of_a_control_frame_is_that_of_its_first_byte() -> None:
    data = wire.frame(wire.TEXT, b"ab") + wire.frame(wire.PING, b"12345")
    scanner = scan([data[:5], data[5:8], data[8:]])
    assert scanner.listener.places == [(1, 1000, 4)]


def test_frames_behind_a_close_say_so() -> None:
    scanner = scan([wire.frame(wire.CLOSE, b"\x03\xe8") + wire.frame(wire.TEXT, b"a") + wire.frame(wire.CLOSE)])
    assert [row[0] & constants.AFTER_CLOSE for row in scanner.shape_rows()] == [0, constants.AFTER_CLOSE, constants.AFTER_CLOSE]


# -- messages ------------------------------------------------------------------------------------------------------------


def test_control_frames_between_fragments() -> None:
    data = (
        wire.frame(wire.TEXT, "aß".encode()[:2], fin=False)
        + wire.frame(wire.PING, b"1")
        + wire.frame(wire.CONTINUATION, "aß".encode()[2:], fin=False)
        + wire.frame(wire.PONG, "ß".encode()[:1])  # half a character: not of the message
        + wire.frame(wire.CONTINUATION, b"end")
        + wire.frame(wire.BINARY, b"")
    )
    for pieces in [[data], every_byte(data), *cut_once(data)]:
        scanner = scan(pieces)
        assert (scanner.text_messages, scanner.binary_messages, scanner.fragmented_messages) == (1, 1, 1)
        assert (scanner.message_bytes, scanner.bad_text, scanner.message) == (6, 0, 0)
        inside = [row[0] & constants.IN_MESSAGE != 0 for row in scanner.shape_rows()]
        assert inside == [False, True, True, True, True, False]


def test_a_message_that_begins_inside_another() -> None:
    scanner = scan(
        [wire.frame(wire.TEXT, b"\xc3", fin=False) + wire.frame(wire.TEXT, b"ok") + wire.frame(wire.CONTINUATION, b"x")]
    )
    assert (scanner.aborted_messages, scanner.text_messages, scanner.bad_text, scanner.message_bytes) == (1, 1, 0, 2)
    assert [row[0] & constants.IN_MESSAGE for row in scanner.shape_rows()] == [0, constants.IN_MESSAGE, 0]


def test_a_continuation_of_nothing_is_no_message() -> None:
    scanner = scan([wire.frame(wire.CONTINUATION, b"\xff\xff")])
    assert (scanner.text_messages, scanner.binary_messages, scanner.bad_text, scanner.message_bytes) == (0, 0, 0, 0)


def test_reserved_data_opcodes_leave_the_open_message_alone() -> None:
    data = wire.frame(wire.TEXT, b"\xc3", fin=False) + wire.frame(5, b"\xff", fin=False) + wire.frame(wire.CONTINUATION, b"\x9f")
    scanner = scan([data])
    assert (scanner.text_messages, scanner.bad_text, scanner.message_bytes) == (1, 0, 2)


def test_fragments_that_carry_next_to_nothing() -> None:
    scanner = scan(
        [wire.frame(wire.BINARY, b"", fin=False)]
        + [wire.frame(wire.CONTINUATION, b"x", fin=False)] * 3
        + [wire.frame(wire.CONTINUATION, b"", fin=True), wire.frame(wire.BINARY, b"1")]
    )
    assert scanner.tiny_fragments == 5


def test_messages_with_rsv1_are_handed_out_unmasked() -> None:
    data = (
        wire.frame(wire.TEXT, b"abc", fin=False, rsv=4, mask=wire.MASK)
        + wire.frame(wire.PING, b"p", mask=wire.MASK)
        + wire.frame(wire.CONTINUATION, b"defgh", mask=wire.MASK)
        + wire.frame(wire.TEXT, b"plain", mask=wire.MASK)
        + wire.frame(wire.BINARY, b"", rsv=4, mask=wire.MASK)
    )
    for pieces in [[data], every_byte(data), *cut_once(data)]:
        scanner = scan(pieces, inflate=True)
        handed = scanner.listener.compressed_data
        assert b"".join(piece for piece, _ in handed) == b"abcdefgh"
        assert [last for _, last in handed if last] == [True, True]
        assert handed[-1] == (b"", True)
        assert (scanner.deflated_messages, scanner.deflated_bytes, scanner.message_bytes) == (2, 8, 13)
    assert scan([data]).listener.compressed_data == []


def test_every_frame_as_a_row() -> None:
    data = wire.frame(wire.TEXT, b"abc", mask=wire.MASK) + wire.frame(wire.PING, b"") + wire.frame(wire.BINARY, b"12345")
    scanner = scan([data[:4], data[4:12], data[12:-1]], log=True)
    log = scanner.log
    assert log is not None
    assert list(log.offset) == [0, 9, 11]
    assert list(log.packet) == [1, 2, 2]
    assert list(log.end_packet) == [2, 2, 2]
    assert list(log.length) == [3, 0, 5]
    assert list(log.complete) == [1, 1, 0]


def test_payloads_are_kept_up_to_the_preview() -> None:
    scanner = Scanner(0, Listener())
    scanner.log = FrameLog()
    scanner.log.payloads = []
    scanner.preview = 4
    data = (
        wire.frame(wire.TEXT, b"abcdefgh", mask=wire.MASK) + wire.frame(wire.BINARY, b"123") + wire.frame(wire.CLOSE, b"\x03\xe8")
    )
    feed(scanner, every_byte(data))
    assert scanner.log.payloads == [b"abcd", b"123", b"\x03\xe8"]


# -- UTF-8 ---------------------------------------------------------------------------------------------------------------


def impossible_at(data: bytes) -> int:
    """The offset of the first byte that no valid UTF-8 can have there; len(data) if only the end is missing; -1: valid."""
    for end in range(1, len(data) + 1):
        try:
            data[:end].decode()
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data":
                return end - 1
    try:
        data.decode()
    except UnicodeDecodeError:
        return len(data)
    return -1


EDGES = [b"", *(bytes((i,)) for i in (0x00, 0x41, 0x7F, 0x80, 0xBF, 0xC0, 0xC1, 0xF5, 0xF8, 0xFE, 0xFF))]
EDGES += [bytes((lead, last)) for lead in (0xC2, 0xDF) for last in (0x7F, 0x80, 0xBF, 0xC0)]
EDGES += [
    bytes((lead, second, third))
    for lead in (0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF)
    for second in (0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC0)
    for third in (0x7F, 0x80, 0xBF, 0xC0)
]
EDGES += [
    bytes((lead, second, 0x80, last))
    for lead in (0xF0, 0xF1, 0xF3, 0xF4)
    for second in (0x7F, 0x80, 0x8F, 0x90, 0xBF, 0xC0)
    for last in (0x7F, 0x80, 0xBF, 0xC0)
]
EDGES += [b"\xc2", b"\xe1\x80", b"\xe1", b"\xf1\x80\x80", b"\xf1\x80", b"\xf1"]


def bad_text(pieces: Iterable[bytes]) -> tuple[int, int]:
    scanner = scan(pieces)
    return scanner.bad_text, scanner.bad_text_offset if scanner.bad_text else -1


@pytest.mark.parametrize("key", [None, wire.MASK])
@pytest.mark.parametrize("around", [(b"", b""), (b"a", b"b"), (b"a" * 17, b"b" * 9)])
def test_every_class_of_utf8(key: bytes | None, around: tuple[bytes, bytes]) -> None:
    """RFC 3629 §4, at each fragment border and each segment border, against Python's decoder."""
    head = 2 + (4 if key else 0)
    for edge in EDGES:
        text = around[0] + edge + around[1]
        wrong = impossible_at(text)
        expected = (0, -1) if wrong < 0 else (1, head + wrong)
        data = wire.frame(wire.TEXT, text, mask=key)
        assert bad_text([data]) == expected, edge
        assert bad_text(every_byte(data)) == expected, edge
        for at in range(head + len(around[0]), len(data)):
            assert bad_text([data[:at], data[at:]]) == expected, edge
        for at in range(len(around[0]), len(text) + 1):
            first = wire.frame(wire.TEXT, text[:at], fin=False, mask=key)
            last = wire.frame(wire.CONTINUATION, text[at:], mask=key and bytes(reversed(key)))
            scanner = scan([first + last])
            assert scanner.bad_text == expected[0], edge
            if 0 <= wrong < len(text):
                assert scanner.bad_text_offset == wrong + head * (1 if wrong < at else 2), edge


@pytest.mark.parametrize("around", ["a", "a\xe9\u20ac\U0001f600"])
def test_utf8_at_each_place_of_a_block(around: str) -> None:
    """Many bytes are looked at together: nothing depends on where among them a character is, or on what is around it."""
    for edge in EDGES:
        for behind in (b"", (around * 9).encode()):
            wrong = impossible_at(edge + behind)
            for size in range(18):
                before = (around * size).encode()[:size].decode(errors="ignore").encode().ljust(size, b"z")
                data = wire.frame(wire.TEXT, before + edge + behind, mask=wire.MASK)
                head = len(data) - len(before + edge + behind)
                assert bad_text([data]) == ((0, -1) if wrong < 0 else (1, head + size + wrong)), (before, edge)


@given(
    text=st.one_of(st.text(max_size=60).map(str.encode), st.binary(max_size=60)),
    key=st.one_of(st.none(), st.binary(min_size=4, max_size=4)),
    fragments=st.lists(st.integers(0, 20), max_size=6),
    sizes=st.lists(st.integers(1, 20), max_size=12),
)
def test_utf8_like_pythons_decoder(text: bytes, key: bytes | None, fragments: list[int], sizes: list[int]) -> None:
    data, rest = b"", text
    for number, size in enumerate(fragments):
        data += wire.frame(wire.CONTINUATION if number else wire.TEXT, rest[:size], fin=False, mask=key)
        rest = rest[size:]
    data += wire.frame(wire.CONTINUATION if fragments else wire.TEXT, rest, mask=key)
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    scanner = scan([*pieces, data])
    assert scanner.bad_text == (impossible_at(text) >= 0)
    assert scanner.text_messages == 1


def test_each_bad_message_counts_once_and_the_first_is_placed() -> None:
    bad = wire.frame(wire.TEXT, b"a\xffb\xff")
    scanner = scan([wire.frame(wire.TEXT, b"ok"), bad + bad, bad])
    assert (scanner.bad_text, scanner.bad_text_message, scanner.bad_text_packet, scanner.bad_text_offset) == (3, 2, 2, 7)


def test_compressed_text_is_not_checked_here() -> None:
    assert bad_text([wire.frame(wire.TEXT, b"\xff\xfe", rsv=4)]) == (0, -1)


# -- lost bytes ----------------------------------------------------------------------------------------------------------


def test_a_gap_inside_a_payload_keeps_the_step() -> None:
    data = wire.frame(wire.TEXT, "aäbcdefgh".encode(), mask=wire.MASK)
    after = wire.frame(wire.TEXT, b"next") + wire.frame(wire.TEXT, b"\xff")
    for start in range(6, len(data)):
        for stop in range(start + 1, len(data) + 1):
            scanner = scan([data[:start]])
            assert scanner.gap(stop - start)
            feed(scanner, [data[stop:] + after], 2)
            assert (scanner.text_messages, scanner.unverified_text, scanner.bad_text) == (3, 1, 1)
            assert scanner.bad_text_offset == len(data) + 8
            assert scanner.message_bytes == 15


@pytest.mark.parametrize("start", range(2, 9))
def test_a_gap_inside_a_control_frame_leaves_its_content_unknown(start: int) -> None:
    data = wire.frame(wire.CLOSE, b"\x03\xe8bye!!")
    scanner = scan([data[:start]])
    assert scanner.gap(1)
    feed(scanner, [data[start + 1 :]], 2)
    assert scanner.listener.controls == [(wire.CLOSE, None, 7)]
    assert scanner.closed


def test_a_gap_that_cuts_a_header_or_more_loses_the_step() -> None:
    data = wire.frame(wire.TEXT, b"x" * 200, mask=wire.MASK)
    for start, size in [(0, 1), (1, 1), (3, 1), (7, 2), (8, 201), (50, 159), (208, 1)]:
        scanner = scan([data[:start]])
        assert not scanner.gap(size), (start, size)
        assert scanner.lost
        assert not scanner.gap(5)
        scanner.resume(1000)
        feed(scanner, [wire.frame(wire.PONG, b"1") + wire.frame(wire.CONTINUATION, b"\xff") + wire.frame(wire.TEXT, b"a")], 2)
        assert (scanner.text_messages, scanner.bad_text, scanner.offset) == ((start == 208) + 1, 0, 1009)
        behind = [row for row in scanner.shape_rows() if row[4] >= 1000]
        assert [row[0] & constants.UNKNOWN_MESSAGE != 0 for row in behind] == [True, True, False]


def test_a_gap_inside_a_compressed_message_is_told() -> None:
    data = wire.frame(wire.TEXT, b"abcdef", rsv=4)
    scanner = scan([data[:4]], inflate=True)
    assert scanner.gap(2)
    feed(scanner, [data[6:]], 2)
    assert scanner.listener.lost == 1
    assert scanner.listener.compressed_data == [(b"ab", False)]
    assert (scanner.text_messages, scanner.deflated_messages) == (1, 1)


def test_a_gap_of_the_largest_size() -> None:
    scanner = scan([wire.frame(wire.BINARY, b"", length=2**63 - 1, length_form=64)])
    assert scanner.gap(2**40)
    assert scanner.remaining == 2**63 - 1 - 2**40


@pytest.mark.parametrize("before", [b"", wire.frame(wire.PING, b"1")])
def test_text_that_ends_within_a_character_is_bad_at_its_end(before: bytes) -> None:
    """Not at the end of the segment, which may hold more frames."""
    text = before + wire.frame(wire.TEXT, "né".encode()[:-1], mask=wire.MASK)
    scanner = scan([text + wire.frame(wire.BINARY, b"more")])
    assert (scanner.bad_text, scanner.bad_text_offset) == (1, len(text))
