"""Short messages that come again: found however they are masked and whatever comes between; no others."""

from __future__ import annotations

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.kernel.beats import Beats
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.constants import SHORT
from wsaudit.kernel.frames import Scanner

SECOND = 1_000_000_000
SLOTS = 3
STALE = 120  # seconds
FASTEST = 0.5
MASKS = (None, b"\0\0\0\0", b"\x01\x02\x03\x04", b"\xff\x7f\x80\x00")


class Silent:
    """Listens to a scanner and says nothing."""

    def control(self, *_: object) -> None: ...


def send(scanner: Scanner, data: bytes, time: int, packet: int = 1) -> None:
    scanner.feed(Buffer(b"before" + data + b"after"), 6, 6 + len(data), time, packet)


def beats_of(*messages: tuple[bytes, float]) -> dict[bytes, int]:
    """How often each payload came that is kept at the end of (payload, second it came)."""
    beats = Beats()
    for payload, second in messages:
        beats.take(Buffer(payload), 0, len(payload), 0x81, 0, int(second * SECOND), 1, 0)
    return {row[0]: row[2] for row in beats.rows()}


def test_a_beat_is_counted_with_its_times_and_its_last_place() -> None:
    scanner = Scanner(0, Silent())
    for number, second in enumerate((100, 125, 150, 180), 1):
        send(scanner, wire.frame(1, b"2", mask=MASKS[number % 4]), second * SECOND, number)
    lengths = [len(wire.frame(1, b"2", mask=MASKS[number % 4])) for number in (1, 2, 3)]
    row = (b"2", 1, 4, 100 * SECOND, 180 * SECOND, 30 * SECOND, 4, sum(lengths))
    assert scanner.beat_rows() == [row]


@given(payload=st.binary(min_size=1, max_size=SHORT), masks=st.lists(st.sampled_from(MASKS), min_size=2, max_size=6))
def test_the_mask_makes_no_difference(payload: bytes, masks: list[bytes | None]) -> None:
    scanner = Scanner(0, Silent())
    for mask in masks:
        send(scanner, wire.frame(2, payload, mask=mask), SECOND)
    ((found, opcode, count, *_),) = scanner.beat_rows()
    assert (found, opcode, count) == (payload, 2, len(masks))


def test_text_and_binary_are_two() -> None:
    scanner = Scanner(0, Silent())
    send(scanner, wire.frame(1, b"h") + wire.frame(2, b"h"), SECOND)
    assert [row[:3] for row in scanner.beat_rows()] == [(b"h", 1, 1), (b"h", 2, 1)]


@pytest.mark.parametrize(
    "data",
    [
        wire.frame(1, b""),
        wire.frame(1, bytes(SHORT + 1)),
        wire.frame(1, b"2", rsv=4),
        wire.frame(1, b"2", fin=False) + wire.frame(0, b"2"),
        wire.frame(9, b"2"),
        wire.frame(3, b"2"),
    ],
)
def test_not_whole_short_messages(data: bytes) -> None:
    scanner = Scanner(0, Silent())
    send(scanner, data, SECOND)
    assert scanner.beat_rows() == []


def test_a_message_cut_by_a_segment_border_is_not_looked_at() -> None:
    """Heartbeats are single small segments. Only a header cut in two, or a payload, is passed over; what stands behind counts."""
    data = wire.frame(1, b"ping", mask=MASKS[2])
    for cut in range(1, len(data)):
        scanner = Scanner(0, Silent())
        send(scanner, data[:cut], SECOND)
        send(scanner, data[cut:] + data, SECOND, 2)
        assert [row[0:3] for row in scanner.beat_rows()] == [(b"ping", 1, 1)], cut


def test_a_beat_among_other_short_messages() -> None:
    """The shorter stays while longer ones that never come again pass by."""
    talk = [(f"message {number}".encode(), number) for number in range(100)]
    beat = [(b"2", second + 0.5) for second in range(0, 100, 25)]
    assert beats_of(*sorted([*talk, *beat], key=lambda each: each[1]))[b"2"] == 4


def test_a_beat_among_messages_that_repeat_too_fast() -> None:
    """mqtt.js writes each field of a packet in a frame of its own: the same single bytes again and again."""
    fields = [(bytes([number % 2]), second + number / 1000) for second in range(100) for number in range(8)]
    beat = [(b"\xc0\0", second + 0.5) for second in range(0, 100, 25)]
    assert beats_of(*sorted([*fields, *beat], key=lambda each: each[1]))[b"\xc0\0"] == 4


def test_what_never_came_again_gives_way() -> None:
    once = [(bytes([number]), number) for number in range(SLOTS)]
    stale = STALE + SLOTS
    assert b"long" not in beats_of(*once, (b"long", stale - 1 - SLOTS))
    assert beats_of(*once, (b"long", stale)) == {b"\1": 1, b"\2": 1, b"long": 1}


def test_beats_stay_in_their_places() -> None:
    beats = [(bytes([number]), number + again * FASTEST) for again in (0, 1) for number in range(SLOTS)]
    assert b"?" not in beats_of(*beats, (b"?", 2 * SLOTS))
