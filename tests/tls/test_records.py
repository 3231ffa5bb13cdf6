from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.tls.records import (
    ALERT,
    APPLICATION_DATA,
    DAMAGED,
    HANDSHAKE,
    LARGEST_BODY,
    LOST,
    Framer,
    Record,
    looks_like_tls,
)


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    return bytes((kind,)) + version.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def seen(records: list[Record]) -> list[tuple[int, int, bytes, int]]:
    return [(r.kind, r.version, bytes(r.body), r.end) for r in records]


ONE = record(HANDSHAKE, b"hello", 0x0301)
TWO = record(APPLICATION_DATA, b"x" * 300)
STREAM = ONE + TWO + record(APPLICATION_DATA, b"") + record(ALERT, b"\x01\x00")
RECORDS = [
    (HANDSHAKE, 0x0301, b"hello", 10),
    (APPLICATION_DATA, 0x0303, b"x" * 300, 315),
    (APPLICATION_DATA, 0x0303, b"", 320),
    (ALERT, 0x0303, b"\x01\x00", 327),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_segments_make_no_difference(cuts: list[int]) -> None:
    framer = Framer()
    places = sorted({0, len(STREAM), *cuts})
    found = []
    for start, stop in itertools.pairwise(places):
        found += seen(framer.feed(STREAM[start:stop], start))
    assert found == RECORDS
    assert not framer.pending


def test_offsets_start_where_the_stream_does() -> None:
    assert [r.end for r in Framer().feed(STREAM, 1000)] == [end + 1000 for *_, end in RECORDS]


def test_a_gap_inside_a_record() -> None:
    framer = Framer()
    framer.feed(STREAM[:100], 0)
    damaged = framer.gap(150, 100)
    assert damaged is not None
    assert (damaged.kind, damaged.version, damaged.end) == (DAMAGED, 300, 315)
    assert framer.pending
    assert seen(framer.feed(STREAM[250:], 250)) == RECORDS[2:]


def test_a_gap_to_a_records_end() -> None:
    framer = Framer()
    framer.feed(STREAM[:100], 0)
    assert framer.gap(215, 100) is not None
    assert not framer.pending
    assert seen(framer.feed(STREAM[315:], 315)) == RECORDS[2:]


def test_a_second_gap_in_the_same_record() -> None:
    framer = Framer()
    framer.feed(STREAM[:100], 0)
    framer.gap(50, 100)
    framer.feed(STREAM[150:200], 150)
    assert framer.gap(50, 200) is None
    assert seen(framer.feed(STREAM[250:], 250)) == RECORDS[2:]


@pytest.mark.parametrize(("start", "length"), [(0, 5), (3, 1), (10, 2), (10, 5), (12, 10), (100, 216), (200, 117)])
def test_a_gap_over_a_header(start: int, length: int) -> None:
    framer = Framer()
    framer.feed(STREAM[:start], 0)
    assert framer.gap(length, start) is None
    lost, *behind = framer.feed(STREAM[start + length :], start + length)
    assert lost.kind == LOST
    assert lost.version >= length
    assert seen(behind) == [expected for expected in RECORDS if expected[3] - 5 - len(expected[2]) >= lost.end]
    assert seen(behind)[-1] == RECORDS[-1]


def test_a_header_in_ciphertext_is_no_boundary() -> None:
    framer = Framer()
    framer.gap(1, 0)
    fake = b"\x17\x03\x03\x00\x04"  # what follows its four bytes is no header
    found = framer.feed(fake + b"12345678" + TWO + TWO, 1)
    assert [r.kind for r in found] == [LOST, APPLICATION_DATA, APPLICATION_DATA]
    assert found[0].version == 1 + 13


def test_the_search_goes_on_over_segments() -> None:
    framer = Framer()
    framer.gap(50, 0)
    found = []
    stream = b"\x00" * 40 + TWO + TWO + TWO
    for at in range(len(stream)):
        found += seen(framer.feed(stream[at : at + 1], 50 + at))
    assert [r[0] for r in found] == [LOST, *[APPLICATION_DATA] * 3]
    assert found[0][1] == 90


def test_garbage() -> None:
    framer = Framer()
    assert framer.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n", 0) == []
    assert (framer.garbage, framer.started) == (True, False)


def test_garbage_between_records() -> None:
    framer = Framer()
    found = framer.feed(ONE + b"garbage" + TWO + TWO, 0)
    assert [r.kind for r in found] == [HANDSHAKE, LOST, APPLICATION_DATA, APPLICATION_DATA]
    assert framer.garbage


@given(st.lists(st.one_of(st.binary(max_size=80), st.integers(1, 1 << 40), st.sampled_from([ONE, TWO, STREAM])), max_size=20))
def test_bounded_and_forward(pieces: list[bytes | int]) -> None:
    """Whatever comes: ends grow, nothing is kept beyond one record and the header behind it."""
    framer = Framer()
    offset = last = 0
    for piece in pieces:
        if isinstance(piece, int):
            framer.gap(piece, offset)
            offset += piece
        else:
            for found in framer.feed(piece, offset):
                assert last <= found.end <= offset + len(piece)
                last = found.end
            offset += len(piece)
        assert len(framer._buffer) <= LARGEST_BODY + 10


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"", False),
        (b"\x16\x03", False),
        (b"\x16\x03\x01", True),
        (b"\x16\x03\x01\x02\x00\x01", True),
        (b"\x17\x03\x03\x00\x13abc", True),
        (b"\x16\x03\x01\x00\x00", False),
        (b"\x16\x03\x01\xff\xff", False),
        (b"\x16\x03\x05\x00\x10", False),
        (b"\x16\x03\x01\x02\x00\x40", False),
        (b"GET / HTTP", False),
        (b"\x80\x2e\x01\x03\x01", False),
    ],
)
def test_looks_like_tls(data: bytes, answer: bool) -> None:
    assert looks_like_tls(data) is answer
