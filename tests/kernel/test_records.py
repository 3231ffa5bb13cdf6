"""The walkers alone: both forms of the kernel on the same buffers. What they make of whole captures is in tests/capture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import wire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.capture.fake import PACKETS, Recorder, obsolete_packet, simple_packet

PCAP = wire.pcap(PACKETS)[24:]
PCAPNG = (
    wire.enhanced_packet(2**40 + 5, b"0123456789")
    + simple_packet(b"abc")
    + obsolete_packet(7, b"defgh", interface=1)
    + wire.enhanced_packet(2**63 + 1, b"", interface=1)
    + wire.enhanced_packet(9, b"", interface=2)
)
LIMITS = [-(2**63), 0, PACKETS[1].time, 2**63 - 1]
STATE = ("status", "problem", "number", "bytes", "truncated_packets", "next_time", "first_time", "last_time")


def buffer_of(kernel: SimpleNamespace, data: bytes) -> Any:
    return kernel.buffer.Buffer(bytearray(data + bytes(kernel.records.SLACK)))


def walk_pcap(kernel: SimpleNamespace, data: bytes, until: int, big: bool = False, nano: bool = False, size: int = 16) -> object:
    recorder = Recorder()
    walker = kernel.records.PcapWalker(big, nano, size, 147, 3 << 40)
    stop = walker.walk(buffer_of(kernel, data), 0, len(data), until, recorder)
    return stop, recorder.seen, [getattr(walker, name) for name in STATE]


def walk_pcapng(
    kernel: SimpleNamespace, data: bytes, until: int, big: bool = False, resolution: int = 9, offset: int = 0
) -> object:
    recorder = Recorder()
    walker = kernel.records.PcapngWalker(3 << 40)
    walker.big_endian = big
    walker.interfaces = [kernel.records.Interface(1, 0, 6, 0), kernel.records.Interface(101, 4, resolution, offset)]
    stop = walker.walk(buffer_of(kernel, data), 0, len(data), until, recorder)
    skipper = kernel.records.PcapngWalker(0)
    skipper.big_endian = big
    skipped = skipper.skip(buffer_of(kernel, data), 0, len(data))
    state = [getattr(walker, name) for name in (*STATE, "homeless", "undated", "time")]
    return stop, recorder.seen, state, skipped, skipper.status


def test_a_walk_stops_before_an_incomplete_record(pure_kernel: SimpleNamespace) -> None:
    for length in range(len(PCAP)):
        stop, seen, (status, *_) = walk_pcap(pure_kernel, PCAP[:length], 2**63 - 1)  # type: ignore[misc]
        assert status == pure_kernel.records.MORE
        assert stop == sum(16 + len(packet.data) for packet in seen) <= length
        assert length - stop < 16 + 256


def test_a_walk_stops_before_a_later_record_and_says_its_time(pure_kernel: SimpleNamespace) -> None:
    recorder = Recorder()
    walker = pure_kernel.records.PcapWalker(False, False, 16, 1, 0)
    stop = walker.walk(buffer_of(pure_kernel, PCAP), 0, len(PCAP), PACKETS[1].time, recorder)
    assert (walker.status, walker.next_time, walker.number) == (pure_kernel.records.UNTIL, PACKETS[2].time, 2)
    assert stop == 2 * 16 + len(PACKETS[0].data) + len(PACKETS[1].data)
    assert walker.walk(buffer_of(pure_kernel, PCAP), stop, len(PCAP), 2**63 - 1, recorder) == len(PCAP)
    assert [seen.ref for seen in recorder.seen] == [1, 2, 3, 4]


def test_a_walk_of_blocks_stops_at_another_block(pure_kernel: SimpleNamespace) -> None:
    data = wire.enhanced_packet(1, b"x") + wire.block(5, b"") + wire.enhanced_packet(2, b"y")
    stop, seen, (status, *_), skipped, _ = walk_pcapng(pure_kernel, data, 2**63 - 1)  # type: ignore[misc]
    assert status == pure_kernel.records.BLOCK
    assert stop == skipped == len(wire.enhanced_packet(1, b"x"))
    assert len(seen) == 1


def test_the_path_of_compiled_code_is_right_when_interpreted(
    pure_kernel: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = [(walk_pcap, PCAP), (walk_pcapng, PCAPNG)]
    by_struct = [walk(pure_kernel, data, until) for walk, data in walks for until in LIMITS]
    monkeypatch.setattr(pure_kernel.records.mode, "COMPILED", True)
    monkeypatch.setattr(pure_kernel.records, "Decoder", pure_kernel.packets.Decoder, raising=False)
    assert [walk(pure_kernel, data, until) for walk, data in walks for until in LIMITS] == by_struct


def mutated(data: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    changed = bytearray(data)
    for place, value in changes:
        changed[place % len(changed)] = value
    return bytes(changed[: cut % (len(changed) + 1)])


CHANGES = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=6)
TIMES = st.sampled_from(LIMITS) | st.integers(-(2**63), 2**63 - 1)
SAME = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@SAME
@given(
    data=st.builds(mutated, st.just(PCAP), CHANGES, st.integers(0, 2**16)) | st.binary(max_size=80),
    until=TIMES,
    big=st.booleans(),
    nano=st.booleans(),
    size=st.sampled_from([16, 24]),
)
def test_compiled_and_plain_walk_records_alike(
    data: bytes, until: int, big: bool, nano: bool, size: int, pure_kernel: SimpleNamespace, compiled_kernel: SimpleNamespace
) -> None:
    assert walk_pcap(compiled_kernel, data, until, big, nano, size) == walk_pcap(pure_kernel, data, until, big, nano, size)


@SAME
@given(
    data=st.builds(mutated, st.just(PCAPNG), CHANGES, st.integers(0, 2**16)) | st.binary(max_size=80),
    until=TIMES,
    big=st.booleans(),
    resolution=st.integers(0, 255),
    offset=st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**10), 10**10),
)
def test_compiled_and_plain_walk_blocks_alike(
    data: bytes,
    until: int,
    big: bool,
    resolution: int,
    offset: int,
    pure_kernel: SimpleNamespace,
    compiled_kernel: SimpleNamespace,
) -> None:
    plain = walk_pcapng(pure_kernel, data, until, big, resolution, offset)
    assert walk_pcapng(compiled_kernel, data, until, big, resolution, offset) == plain


@SAME
@given(
    resolution=st.integers(0, 255),
    offset=st.integers(-(10**10), 10**10),
    high=st.integers(0, 2**32 - 1),
    low=st.integers(0, 2**32 - 1),
)
def test_compiled_and_plain_clocks_agree(
    resolution: int, offset: int, high: int, low: int, pure_kernel: SimpleNamespace, compiled_kernel: SimpleNamespace
) -> None:
    plain, compiled = (each.records.Interface(1, 0, resolution, offset) for each in (pure_kernel, compiled_kernel))
    assert compiled.nanoseconds(high, low) == plain.nanoseconds(high, low)
    assert compiled.easy_high == plain.easy_high
