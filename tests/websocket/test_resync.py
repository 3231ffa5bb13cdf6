"""Where do the frames begin? Believed only when three in a row are plausible, or a whole Close ends a segment."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import wire
from wire import MASK

from wsaudit.websocket.resync import MAX_CANDIDATES, Chunk, Cut, Resync


def search(segments: Sequence[bytes], masked: bool | None = None, strict: bool = False) -> tuple[int | None, Resync]:
    """The index of the segment that the first believed frame begins, or None."""
    resync = Resync(masked, 64 << 10, strict)
    offset = 0
    for number, data in enumerate(segments):
        found = resync.feed(Chunk(data, offset, number, number))
        offset += len(data)
        if found is not None:
            return found[0].packet, resync
    return None, resync


def text(payload: bytes = b"hello", mask: bytes | None = None) -> bytes:
    return wire.frame(wire.TEXT, payload, mask=mask)


NOISE = bytes((0x33, 0x44)) * 20  # the rest of a frame that began before


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_three_frames_behind_noise(mask: bytes | None, strict: bool, together: bool) -> None:
    frames = [text(mask=mask), wire.frame(wire.PING, b"1", mask=mask), text(mask=mask)]
    segments = [NOISE, b"".join(frames)] if together else [NOISE, *frames]
    found, resync = search(segments, strict=strict)
    assert found == 1
    assert resync.dropped == len(NOISE)
    assert resync.masked_found == (mask is not None)


def test_two_frames_are_not_enough() -> None:
    assert search([NOISE, text(), text()])[0] is None


@pytest.mark.parametrize("masked", [True, False])
def test_the_polarity_must_fit(masked: bool) -> None:
    assert search([text(mask=None if masked else MASK)] * 5, masked=masked)[0] is None


@pytest.mark.parametrize(
    "bad",
    [
        b"\xb1\x05hello",  # RSV2, RSV3
        b"\x83\x05hello",  # reserved opcode
        b"\x8b\x00",
        b"\x89\x7e\x00\x80" + bytes(128),  # a Ping of 128 bytes
        b"\x09\x00",  # a Ping in fragments
        b"\xc9\x00",  # a compressed Ping
        b"\x81\x7e\x00\x05hello",  # 16 bits for a length of 5
        b"\x82\x7f" + (65535).to_bytes(8, "big") + bytes(65535),  # 64 bits for 65,535
        b"\x88\x01\x03",  # a Close of one byte
        b"\x80\x00",  # a continuation where no message is open
    ],
)
def test_a_chain_breaks_at_what_nobody_sends(bad: bytes) -> None:
    assert search([text() + bad + text()])[0] is None


def test_fragments_in_their_order() -> None:
    first = wire.frame(wire.TEXT, b"a", fin=False)
    assert search([first + wire.frame(0, b"b", fin=False) + wire.frame(wire.PING) + wire.frame(0, b"c")])[0] == 0
    assert search([first + first + text()])[0] is None
    assert search([wire.frame(0, b"b") + text() + text()])[0] == 0  # the end of a message that began in the gap


@pytest.mark.parametrize("mask", [None, MASK])
def test_a_close_at_the_end_of_a_segment_is_believed(mask: bytes | None) -> None:
    close = wire.frame(wire.CLOSE, b"\x03\xe9going away", mask=mask)
    assert search([NOISE, close])[0] == 1
    assert search([NOISE, text(mask=mask) + close])[0] == 1
    assert search([NOISE, close + b"x"])[0] is None


@pytest.mark.parametrize("payload", [b"\x03\xee", b"\x00\x00", b"\x07\xd0", b"\x13\x88", b"\x03\xe8\xff"])
def test_a_close_that_nobody_sends_is_not(payload: bytes) -> None:
    assert search([NOISE, wire.frame(wire.CLOSE, payload)])[0] is None


def test_every_cut_of_the_chain() -> None:
    chain = text(b"x" * 130) + text(b"y" * 7, None) + text(b"z")
    for cut in range(1, len(chain)):
        found, resync = search([NOISE, chain[:cut], chain[cut:]])
        assert found == 1
        assert resync.dropped == len(NOISE)


def test_a_gap_forgets_what_was_held() -> None:
    resync = Resync(None, 64 << 10)
    assert resync.feed(Chunk(text() + text(), 0, 0, 0)) is None
    resync.gap()
    assert resync.feed(Chunk(text(), 100, 0, 1)) is None
    assert resync.dropped == len(text()) * 2


def test_what_is_held_is_bounded() -> None:
    resync = Resync(None, 1000)
    for number in range(2000):
        resync.feed(Chunk(b"\xff" * 50, 50 * number, 0, number))
        assert resync.size <= 1000
        assert len(resync.chunks) <= MAX_CANDIDATES
    assert resync.dropped + resync.size == 100_000


# -- nothing else says that this is a WebSocket --------------------------------------------------------------------------


def test_length_prefixed_protocols_are_no_chains() -> None:
    for body in (b"x" * 28, bytes(28), b'{"json": 1}'):
        for width in (2, 4):
            for order in ("big", "little"):
                packet = len(body).to_bytes(width, order) + body  # type: ignore[arg-type]
                assert search([packet] * 10, strict=True)[0] is None, (width, order)


def test_binary_frames_without_masks_need_more() -> None:
    frame = wire.frame(wire.BINARY, b"\x00\x01\x02")
    assert search([frame] * 4, strict=True)[0] is None
    assert search([frame] * 5, strict=True)[0] == 0
    assert search([wire.frame(wire.BINARY, b"\x00\x01", mask=MASK)] * 3, strict=True)[0] == 0


def test_text_must_be_text() -> None:
    assert search([text(b"\xff\xfe")] * 10, strict=True)[0] is None
    assert search([text(b"\xff\xfe")] * 3)[0] == 0  # after a gap of a known WebSocket it may be broken


def test_a_frame_must_end_where_a_segment_ends() -> None:
    chain = text() * 3
    assert search([chain + b"\x7f"], strict=True)[0] is None
    assert search([chain + b"\x7f"])[0] == 0


def test_random_bytes_are_never_believed() -> None:
    chance = random.Random(3)
    believed = 0
    for _ in range(2000):
        segments = [chance.randbytes(chance.choice((2, 10, 60, 1400))) for _ in range(10)]
        believed += search(segments, strict=True)[0] is not None
    assert believed == 0


@pytest.mark.parametrize("mask", [None, MASK])
def test_an_empty_close_ends_a_chain_where_frames_are_known_to_be(mask: bytes | None) -> None:
    empty = wire.frame(wire.CLOSE, mask=mask)
    assert search([NOISE, empty], masked=mask is not None)[0] == 1
    assert search([NOISE, empty + b"\x00"], masked=mask is not None)[0] is None


@pytest.mark.parametrize("mask", [None, MASK])
def test_elsewhere_it_takes_a_text_before_an_empty_close(mask: bytes | None) -> None:
    empty = wire.frame(wire.CLOSE, mask=mask)
    assert search([NOISE, empty], strict=True)[0] is None
    assert search([NOISE, text(mask=mask), empty], strict=True)[0] == 1


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("frame", [text, lambda mask: wire.frame(wire.CLOSE, b"", mask=mask)])
def test_one_header_will_do_where_a_frame_is_expected(mask: bytes | None, frame: Any) -> None:
    for cut in (1, 2, 5):
        resync = Resync(mask is not None, 64 << 10, expected=True)
        pieces = [Chunk(frame(mask=mask)[:cut], 0, 0, 1), Chunk(frame(mask=mask)[cut:], cut, 0, 2)]
        found = resync.feed(pieces[0]) or resync.feed(pieces[1])
        assert found is not None
        assert found[0].packet == 1


@pytest.mark.parametrize(
    "first",
    [
        NOISE,
        b"\x00\x05hello",  # nothing that it continues
        b"\x91\x05hello",
        b"\x81\x85hello",  # not this side's polarity
        b"\x83\x05hello",
        b"\x08\x00",
        b"\x89\x7e\x00\x80",
    ],
)
def test_what_cannot_begin_a_frame_is_not_expected(first: bytes) -> None:
    resync = Resync(False, 64 << 10, expected=True)
    assert resync.feed(Chunk(first, 0, 0, 1)) is None
    assert not resync.expected


def test_behind_a_gap_nothing_is_expected() -> None:
    resync = Resync(False, 64 << 10, expected=True)
    resync.gap()
    assert resync.feed(Chunk(text(), 0, 0, 1)) is None


# -- segments that were cut ----------------------------------------------------------------------------------------------


def search_cut(segments: Sequence[bytes], kept: int, masked: bool | None = True) -> tuple[list[Cut] | None, Resync]:
    """What is believed when of each segment only the first bytes are there."""
    resync = Resync(masked, 64 << 10)
    offset = 0
    for number, data in enumerate(segments):
        found: Any = resync.feed(Chunk(data[:kept], offset, number, number))
        assert found is None
        offset += len(data)
        if len(data) > kept:
            found = resync.gap(len(data) - kept)
            if found is not None:
                return found, resync
    return None, resync


def packets(found: list[Cut] | None) -> list[int]:
    return [segment.chunk.packet for segment in found or ()]


LONG = text(b"long enough to be cut", MASK)


@pytest.mark.parametrize(("masked", "enough"), [(True, 2), (None, 3)])
@pytest.mark.parametrize("kept", [6, 8, 20])
def test_headers_that_fit_their_segments(kept: int, masked: bool | None, enough: int) -> None:
    found, resync = search_cut([NOISE, *[LONG] * 5], kept, masked)
    assert packets(found) == list(range(1, 1 + enough))
    assert resync.dropped == min(kept, len(NOISE))
    assert resync.masked_found


def test_a_header_of_which_bytes_are_missing_fits_nothing() -> None:
    assert search_cut([LONG] * 5, 5)[0] is None
    assert search_cut([text(b"x" * 300, MASK)] * 5, 7)[0] is None
    assert search_cut([text(b"x" * 300, MASK)] * 5, 8)[0] is not None


def test_without_a_mask_nothing_tells_frames_from_lengths() -> None:
    server = text(b"long enough to be cut")
    assert packets(search_cut([server] * 5, 6, False)[0]) == [0, 1]
    assert search_cut([server] * 9, 6, None)[0] is None
    assert search_cut([server] * 9, 6, True)[0] is None


def test_a_frame_of_several_segments() -> None:
    large = text(b"x" * 3000, MASK)
    segments = [large[:1460], large[1460:2920], large[2920:], LONG]
    assert packets(search_cut(segments, 10)[0]) == [0, 1, 2, 3]


def test_several_frames_in_a_segment() -> None:
    """A second header that was cut leaves the chain in doubt; one that is there does not."""
    pair = text(b"", MASK) + LONG
    assert packets(search_cut([pair, pair], 20)[0]) == [0, 1]
    assert search_cut([LONG + LONG] * 5, 20)[0] is None


WRONG = [LONG + b"?", LONG[:-1], b"\x91" + LONG[1:], b"\x89\xfe" + LONG[2:], b"\x09" + LONG[1:], b"\x80\x80" + MASK * 4]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_fits_not_quite_begins_anew(wrong: bytes) -> None:
    assert search_cut([LONG, wrong, LONG, wrong, LONG, wrong], 10)[0] is None
    assert packets(search_cut([LONG, wrong, LONG, LONG], 10)[0]) == [2, 3]


def test_a_loss_of_unknown_size_begins_anew() -> None:
    resync = Resync(True, 64 << 10)
    for at in range(8):
        assert resync.feed(Chunk(LONG[:8], 100 * at, at, at)) is None
        assert resync.gap(len(LONG) - 8) is None
        assert resync.gap() is None
    assert resync.dropped == 8 * 8


def test_a_long_chain_without_an_end_is_not_kept() -> None:
    endless = wire.frame(wire.BINARY, b"", mask=MASK, length=15 << 20, length_form=64)
    resync = Resync(True, 64 << 10)
    for at in range(1000):
        data = endless if at == 0 else b"some bytes"
        assert resync.feed(Chunk(data, 2000 * at, at, at)) is None
        assert resync.gap(1400) is None
        assert len(resync.cut) <= MAX_CANDIDATES
