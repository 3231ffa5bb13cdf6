from __future__ import annotations

import struct
from fractions import Fraction

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.fake import PACKETS, Recorder, expected, obsolete_packet, simple_packet, statistics
from wsaudit.capture.reader import CaptureReader, open_capture, prescan_secrets
from wsaudit.kernel.records import Interface

ORDERS = ["<", ">"]


def read(*blocks: bytes) -> tuple[CaptureReader, Recorder]:
    recorder = Recorder()
    reader = open_capture(b"".join(blocks))
    assert reader.format == "pcapng"
    assert not reader.run(recorder)
    return reader, recorder


@pytest.mark.parametrize("order", ORDERS)
def test_enhanced_packets(order: str) -> None:
    reader, recorder = read(wire.pcapng(PACKETS, order=order))
    assert recorder.seen == expected()
    assert reader.notices == []
    assert (reader.first_time, reader.last_time) == (PACKETS[0].time, PACKETS[-1].time)


@pytest.mark.parametrize("order", ORDERS)
def test_obsolete_packets_have_a_short_interface_number(order: str) -> None:
    _, recorder = read(
        wire.section(order),
        wire.interface(1, order=order),
        wire.interface(101, order=order),
        obsolete_packet(5, b"abc", interface=1, drops=3, order=order),
        obsolete_packet(6, b"abcd", interface=0, order=order),
    )
    assert [(seen.data, seen.time, seen.linktype) for seen in recorder.seen] == [(b"abc", 5, 101), (b"abcd", 6, 1)]


@pytest.mark.parametrize("order", ORDERS)
def test_simple_packets_have_the_time_of_the_packet_before(order: str) -> None:
    reader, recorder = read(
        wire.section(order),
        wire.interface(1, snaplen=6, order=order),
        simple_packet(b"a", order=order),
        wire.enhanced_packet(77, b"bb", order=order),
        simple_packet(b"", order=order),
        simple_packet(b"ccc", order=order),
        simple_packet(b"dddddd", length=1500, order=order),
        simple_packet(b"eeee", length=5, order=order),
    )
    assert [(seen.data, seen.time) for seen in recorder.seen] == [
        (b"a", 0),
        (b"bb", 77),
        (b"", 77),
        (b"ccc", 77),
        (b"dddddd", 77),
        (b"eeee", 77),
    ]
    assert recorder.seen[4].wirelen == 1500
    assert reader.notices == [(6, "5 packets carry no usable time; each got that of the packet before it")]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("resolution", "offset", "ticks", "time"),
    [
        (None, None, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (0, None, 1_700_000_000, 1_700_000_000_000_000_000),
        (3, None, 1_700_000_000_123, 1_700_000_000_123_000_000),
        (9, None, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (9, 1_600_000_000, 100_000_000_123_456_789, 1_700_000_000_123_456_789),
        (9, -10, 1_700_000_010_000_000_000, 1_700_000_000_000_000_000),
        (10, None, 9_000_000_000_000_000_007, 900_000_000_000_000_000),
        (12, 1_700_000_000, 1_234_567, 1_700_000_000_000_001_234),
        (0x80, None, 1_700_000_000, 1_700_000_000_000_000_000),
        (0x80 | 10, None, 1_700_000_000 * 1024 + 512, 1_700_000_000_500_000_000),
        (0x80 | 20, None, (1_700_000_000 << 20) + (3 << 18), 1_700_000_000_750_000_000),
        (0x80 | 32, None, (1_700_000_000 << 32) + (1 << 30), 1_700_000_000_250_000_000),
        (0x80 | 40, 1_700_000_000, 1 << 39, 1_700_000_000_500_000_000),
    ],
)
def test_each_interface_has_its_own_clock(order: str, resolution: int | None, offset: int | None, ticks: int, time: int) -> None:
    _, recorder = read(
        wire.section(order),
        wire.interface(1, resolution=9, order=order),
        wire.interface(1, resolution=resolution, offset=offset, order=order),
        wire.enhanced_packet(42, b"x", order=order),
        wire.enhanced_packet(ticks, b"y", interface=1, order=order),
    )
    assert [seen.time for seen in recorder.seen] == [42, time]


@given(
    resolution=st.integers(0, 255),
    offset=st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**10), 10**10),
    ticks=st.integers(0, 2**64 - 1) | st.integers(0, 2**62),
)
def test_a_time_is_right_to_the_nanosecond_or_unusable(resolution: int, offset: int, ticks: int) -> None:
    interface = Interface(1, 0, resolution, offset)
    time = interface.nanoseconds(ticks >> 32, ticks & 0xFFFFFFFF)
    power = resolution & 127
    exact = Fraction(ticks * wire.SECOND, 2**power if resolution & 128 else 10**power) + interface.offset
    if time >= 0:
        # Rounded down, after a binary fraction lost what is below 2^-33 seconds.
        assert -1 - Fraction(1, 8) < time - exact < 1
        assert time < 2**63
    else:
        assert time == -1
        assert exact < 1 or exact > 9_199_999_999 * wire.SECOND or ticks >= 2**63
    if ticks >> 32 <= interface.easy_high:
        assert time == (ticks * interface.factor) + interface.offset


def test_a_time_that_cannot_be_is_replaced_and_told() -> None:
    reader, recorder = read(
        wire.section(), wire.interface(), wire.enhanced_packet(5, b""), wire.enhanced_packet(2**64 - 1, b"late")
    )
    assert [seen.time for seen in recorder.seen] == [5, 5]
    assert reader.notices == [(2, "1 packets carry no usable time; each got that of the packet before it")]


def test_a_section_brings_its_own_interfaces_and_byte_order() -> None:
    _, recorder = read(
        wire.pcapng(PACKETS[:2], linktype=1, order="<"),
        wire.pcapng(PACKETS[2:3], linktype=101, order=">"),
        wire.section("<"),
        wire.interface(276, resolution=6),
        wire.enhanced_packet(8, b"sll2"),
    )
    assert [(seen.ref, seen.linktype) for seen in recorder.seen] == [(1, 1), (2, 1), (3, 101), (4, 276)]
    assert recorder.seen[3].time == 8_000


@pytest.mark.parametrize("length", [-1, 0, 4, 2**62])
def test_the_length_of_a_section_is_not_needed(length: int) -> None:
    header = wire.block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, length))
    _, recorder = read(header, wire.interface(), wire.enhanced_packet(1, b"x"))
    assert len(recorder.seen) == 1


def test_unknown_blocks_are_passed_over_however_big() -> None:
    big = wire.block(0x40000BAD, bytes(40 << 20))
    reader, recorder = read(
        wire.section(), wire.block(0xBAD, b"abc"), wire.interface(), big, wire.enhanced_packet(1, b"x"), wire.block(4, b"")
    )
    assert len(recorder.seen) == 1
    assert reader.bytes > 40 << 20
    assert reader.notices == []


def test_a_packet_of_an_undescribed_interface_is_counted_and_numbered() -> None:
    reader, recorder = read(
        wire.section(),
        simple_packet(b"too early"),
        wire.interface(),
        wire.enhanced_packet(1, b"x", interface=1),
        wire.enhanced_packet(2, b"y"),
    )
    assert [(seen.ref, seen.data) for seen in recorder.seen] == [(3, b"y")]
    assert reader.notices == [(3, "2 packets of interfaces that the capture does not describe were passed over")]


@pytest.mark.parametrize("order", ORDERS)
def test_drops_are_running_totals_per_interface_and_section(order: str) -> None:
    part = [wire.section(order), wire.interface(order=order), wire.interface(order=order)]
    reader, _ = read(
        *part, statistics(0, 3, order), statistics(1, 4, order), statistics(0, 5, order), *part, statistics(1, 1, order)
    )
    assert reader.notices == [(0, "capture dropped 10 packets")]


def test_no_drops_no_notice() -> None:
    reader, _ = read(wire.section(), wire.interface(), statistics(0, 0), statistics(0, 2**64 - 1), statistics(9, 5))
    assert reader.notices == []


@pytest.mark.parametrize("order", ORDERS)
def test_secrets_are_collected_from_all_sections(order: str) -> None:
    ssh = wire.block(10, struct.pack(order + "II", 0x5353484B, 4) + b"nope", order)
    data = (
        wire.pcapng(PACKETS, order=order, keylog=b"CLIENT_RANDOM a\n")
        + ssh
        + wire.pcapng(PACKETS, order=order, keylog=b"CLIENT_RANDOM b")
        + wire.secrets(b"the last", order)
    )
    reader, _ = read(data)
    assert reader.secrets == [b"CLIENT_RANDOM a\n", b"CLIENT_RANDOM b", b"the last"]
    assert prescan_secrets(data) == reader.secrets


def test_secrets_before_the_first_packet_are_there_before_the_first_run() -> None:
    assert open_capture(wire.pcapng(PACKETS, keylog=b"early")).secrets == [b"early"]


def test_a_prescan_takes_what_it_can() -> None:
    data = wire.pcapng(PACKETS, keylog=b"early")
    assert prescan_secrets(data[:-3]) == [b"early"]
    assert prescan_secrets(data + bytes(100)) == [b"early"]
    assert prescan_secrets(wire.pcap(PACKETS)) == []
    assert prescan_secrets(b"no capture") == []


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (lambda order: struct.pack(order + "III", 7, 8, 8), "a block of 8 bytes"),
        (lambda order: struct.pack(order + "IIII", 7, 14, 0, 14), "a block of 14 bytes"),
        (lambda order: struct.pack(order + "IIII", 7, 16, 0, 20), "the two lengths of a block differ"),
        (lambda order: bytes(64), "a block of 0 bytes"),
        (lambda order: struct.pack(order + "IIII", 1, 2**31, 0, 0), "a block of type 1 of 2147483648 bytes"),
        (lambda order: b"\n\r\r\n" + bytes(24), "a section header without its byte-order mark"),
        (lambda order: wire.block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 2, 0, 0), order), "pcapng version 2"),
        (lambda order: wire.block(0x0A0D0D0A, struct.pack(order + "I", 0x1A2B3C4D), order), "a section header of 16 bytes"),
        (lambda order: wire.block(1, b"abcd", order), "an interface description of 16 bytes"),
        (lambda order: struct.pack(order + "8I", 6, 28, 0, 0, 0, 0, 0, 28), "a packet block of 28 bytes"),
        (lambda order: struct.pack(order + "8I", 6, 34, 0, 0, 0, 0, 0, 34), "a packet block of 34 bytes"),
        (lambda order: struct.pack(order + "8I", 6, 2**31, 0, 0, 0, 0, 0, 32), "a packet block of 2147483648 bytes"),
        (lambda order: struct.pack(order + "8I", 6, 32, 0, 0, 0, 1, 1, 32), "claims 1 captured bytes"),
        (lambda order: struct.pack(order + "8I", 6, 32, 0, 0, 0, 0, 0, 36), "the two lengths of a packet block differ"),
        (lambda order: struct.pack(order + "4I", 3, 12, 12, 0), "a packet block of 12 bytes"),
    ],
)
def test_a_damaged_block_ends_the_reading_with_its_place(order: str, block: object, reason: str) -> None:
    good = wire.section(order) + wire.interface(order=order) + wire.enhanced_packet(1, b"x", order=order)
    reader, recorder = read(good, block(order), wire.enhanced_packet(2, b"lost", order=order))  # type: ignore[operator]
    assert [seen.data for seen in recorder.seen] == [b"x"]
    ((ref, text),) = reader.notices
    assert ref == 1
    assert text.startswith(f"byte {len(good)}: ")
    assert reason in text
    assert reader.truncated
