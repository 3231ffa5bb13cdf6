from __future__ import annotations

import struct

import pytest
import wire

from tests.capture.fake import PACKETS, Recorder, expected, modified_pcap
from wsaudit.capture.pcap import PcapHeader
from wsaudit.capture.reader import open_capture

ORDERS = ["<", ">"]


def read(data: bytes) -> Recorder:
    recorder = Recorder()
    reader = open_capture(data)
    assert reader.format == "pcap"
    assert not reader.run(recorder)
    assert reader.notices == []
    return recorder


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_packets_come_with_time_length_and_number(order: str, nanoseconds: bool) -> None:
    assert read(wire.pcap(PACKETS, order=order, nanoseconds=nanoseconds)).seen == expected()


@pytest.mark.parametrize("order", ORDERS)
def test_the_modified_format_has_longer_record_headers(order: str) -> None:
    assert read(modified_pcap(PACKETS, order)).seen == expected()


@pytest.mark.parametrize("order", ORDERS)
def test_the_upper_half_of_the_link_type_is_the_frame_check_sequence(order: str) -> None:
    header = PcapHeader.parse(struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1000, 0x24000001))
    assert (header.linktype, header.fcs_length, header.snaplen) == (1, 4, 1000)
    assert PcapHeader.parse(struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0, 276)).fcs_length is None


def test_a_packet_cut_by_the_snap_length_keeps_its_length_on_the_wire() -> None:
    reader = open_capture(wire.pcap(PACKETS, snaplen=5))
    recorder = Recorder()
    reader.run(recorder)
    assert [(len(seen.data), seen.wirelen) for seen in recorder.seen] == [(3, 3), (5, 10), (5, 256), (0, 0)]
    assert reader.truncated_packets == 2


def test_a_length_on_the_wire_below_the_captured_one_is_raised_to_it() -> None:
    data = wire.pcap([]) + struct.pack("<IIII", 1, 2, 4, 0) + b"data"
    assert [(seen.data, seen.wirelen) for seen in read(data).seen] == [(b"data", 4)]


def test_times_are_unsigned_and_fractions_may_overflow_into_seconds() -> None:
    data = wire.pcap([], nanoseconds=True) + struct.pack("<IIII", 2**32 - 1, 2**32 - 1, 1, 1) + b"x"
    assert read(data).seen[0].time == (2**32 - 1) * wire.SECOND + 2**32 - 1
