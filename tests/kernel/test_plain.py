"""The interpreter's shortcuts do what the general way does, to the last counter."""

from __future__ import annotations

import struct
from array import array
from types import SimpleNamespace
from typing import Any

import pytest
import wire
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from wire import ACK, FIN, PSH, RST, SYN, C, S

from wsaudit.kernel.constants import FIRST, FRAMES, READER

quick = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

UNPAIRED = -1  # frames, and nobody keeps Pings

# What a scanner knows of the frame it is in; the shortcut takes whole frames and leaves these alone.
IN_FRAME = {"b0", "shape", "length", "key", "phase", "kind", "frame_offset", "frame_packet", "frame_time", "control"}
IN_FRAME |= {"message_length", "message_deflated", "need", "lo", "hi", "text_bad", "text_tainted", "log_row", "remaining"}


class Owner:
    """Has what follows the first bytes of each side read as frames; `mode`: how."""

    def __init__(self, kernel: SimpleNamespace, mode: int) -> None:
        self.kernel = kernel
        self.mode = mode
        self.pings = (kernel.pings.Pings(), kernel.pings.Pings())
        self.flows: list[Any] = []
        self.events: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.events.append((name, *(each for each in given if isinstance(each, (int, bytes)))))

    def open(self, flow: Any) -> Owner:
        self.flows.append(flow)
        return self

    def data(self, stream: Any, data: bytes, *place: int) -> None:
        self.events.append(("data", data, *place))
        if stream.mode == READER:
            return
        stream.scanner = self.kernel.frames.Scanner(0, self)
        if self.mode != UNPAIRED:
            own, peer = self.pings if stream is stream.flow.a else self.pings[::-1]
            stream.scanner.pair(own, peer)
        stream.reader = self.kernel.tls.RecordReader(self.kernel.tls.RecordCounts(), stream.offset, b"", 0)
        stream.answer_end = 60
        stream.mode = FRAMES if self.mode == UNPAIRED else self.mode


def plain(thing: Any, without: set[str]) -> dict[str, Any]:
    found = {name: getattr(thing, name) for name in type(thing).__slots__ if name not in without}
    return {name: value for name, value in found.items() if isinstance(value, (int, bytes, array, list, dict, type(None)))}


def run(kernel: SimpleNamespace, packets: list[bytes], times: list[int], mode: int) -> Any:
    owner = Owner(kernel, mode)
    decoder = kernel.packets.Decoder(owner, seed=1)
    for number, (data, time) in enumerate(zip(packets, times, strict=True), 1):
        decoder.packet(kernel.buffer.Buffer(data), 0, len(data), len(data), time, number, 1)
    seen: list[Any] = [(decoder.packets, decoder.tcp_packets, decoder.udp_packets, decoder.cut_packets, decoder.live)]
    seen.append(decoder.now)
    seen.append([plain(pings, {"waiting"}) for pings in owner.pings])
    seen.append([[plain(ping, set()) for ping in pings.waiting] for pings in owner.pings])
    for flow in owner.flows:
        seen.append(plain(flow, set()))
        for stream in (flow.a, flow.b):
            seen.append(plain(stream, set()))
            if stream.scanner is not None:
                seen.append(plain(stream.scanner, IN_FRAME))
                seen.append(plain(stream.reader, set()) | plain(stream.reader.counts, set()))
    return seen, owner.events


def both(kernel: SimpleNamespace, packets: list[bytes], times: list[int], mode: int = FRAMES) -> tuple[Any, Any, int]:
    """(by shortcuts, by the general way, packets that the shortcut took)."""
    taken = 0
    shortcut, frames = kernel.packets.take_packet, kernel.frames.take_frames

    def counting(*given: Any) -> bool:
        nonlocal taken
        done = shortcut(*given)
        taken += done
        return bool(done)

    try:
        kernel.packets.take_packet = counting
        first = run(kernel, packets, times, mode)
        kernel.packets.take_packet = lambda *given: False
        kernel.frames.take_frames = lambda scanner, buffer, pos, *given: pos
        return first, run(kernel, packets, times, mode), taken
    finally:
        kernel.packets.take_packet, kernel.frames.take_frames = shortcut, frames


masks = st.one_of(st.none(), st.just(bytes(4)), st.binary(min_size=4, max_size=4))
texts = st.one_of(
    st.text(max_size=150).map(str.encode), st.binary(max_size=30), st.sampled_from([125, 126, 300, 65536]).map(bytes)
)
messages = st.builds(
    wire.frame, st.sampled_from([1, 1, 2, 2, 0, 9, 9, 10, 8]), texts, fin=st.sampled_from([True] * 5 + [False]), mask=masks
)
# TLS records of application data, perhaps cut.
records = st.integers(0, 80).map(lambda n: b"\x17\x03\x03\x00" + bytes((n,)) + bytes(max(n - 3, 0)))
segments = st.tuples(
    st.sampled_from([C, S]),
    st.one_of(st.just(b""), st.lists(messages, max_size=4).map(b"".join), st.binary(max_size=10), records),
    st.sampled_from([PSH | ACK] * 9 + [ACK | FIN, RST, SYN, 0]),
    st.sampled_from([0] * 9 + [-1, -5, 1, 700]),
    st.sampled_from([0] * 9 + [1, -1, -100, 2**28, 2**30, 2**31]),  # added to the acknowledgement
    st.sampled_from([1000] * 9 + [0]),
    st.sampled_from([10**6] * 9 + [0, 10**10]),
)


@quick
@given(
    sent=st.lists(segments, max_size=30),
    v6=st.booleans(),
    vlans=st.sampled_from([(), (7,), (7, 8)]),
    isn=st.sampled_from([(1000, 2000), (2**32 - 300, 2**32 - 700)]),
    ttl=st.sampled_from([64, 0]),
    syn=st.booleans(),
    mode=st.sampled_from([FRAMES, FRAMES, UNPAIRED, FIRST, READER]),
)
def test_arbitrary_conversations(
    pure_kernel: SimpleNamespace, sent: list[Any], v6: bool, vlans: Any, isn: Any, ttl: int, syn: bool, mode: int
) -> None:
    ends = {"client": ("fd00::1", 4000), "server": ("fd00::2", 80)} if v6 else {}
    talk = wire.Conversation(vlans=vlans, isn=isn, **ends)
    talk = (talk.open() if syn else talk).upgrade()
    times = [packet.time for packet in talk.packets]
    for side, data, flags, jump, ahead, window, wait in sent:
        seq = (talk.seq[side] + jump) & 0xFFFFFFFF
        talk.segment(side, data[:1460], flags, seq=seq, ack=(talk.seq[1 - side] + ahead) & 0xFFFFFFFF, window=window)
        times.append(times[-1] + wait)
        if jump == 0:
            talk.seq[side] = (seq + len(data[:1460])) & 0xFFFFFFFF
    packets = [packet.data for packet in talk.packets]
    if not v6:
        at = 22 + 4 * len(vlans)
        packets = [data[:at] + bytes((ttl,)) + data[at + 1 :] for data in packets]
    by_shortcut, by_general_way, _ = both(pure_kernel, packets, times, mode)
    assert by_shortcut == by_general_way


@quick
@example(v6=True, at=14, value=0x45, which=6, cut=0)
@given(v6=st.booleans(), at=st.integers(0, 79), value=st.integers(0, 255), which=st.integers(0, 30), cut=st.integers(0, 60))
def test_damaged_packets(pure_kernel: SimpleNamespace, v6: bool, at: int, value: int, which: int, cut: int) -> None:
    ends = {"client": ("fd00::1", 4000), "server": ("fd00::2", 80)} if v6 else {}
    talk = wire.Conversation(**ends).open().upgrade().text(C, "hello").text(S, "x" * 200).ack(C).binary(S, b"123").ack(C)
    packets = [packet.data for packet in talk.packets]
    packets += [wire.link(wire.tcp(("10.0.0.9", 7), ("10.0.0.2", 80), 1, 1, ACK))]
    which %= len(packets)
    changed = bytearray(packets[which])
    changed[at % len(changed)] = value
    packets[which] = bytes(changed[: len(changed) - cut])
    by_shortcut, by_general_way, _ = both(pure_kernel, packets, list(range(1, len(packets) + 1)))
    assert by_shortcut == by_general_way


@pytest.mark.parametrize("vlans", [(), (7,)])
@pytest.mark.parametrize("v6", [False, True])
def test_the_shortcut_takes_what_is_common(pure_kernel: SimpleNamespace, vlans: Any, v6: bool) -> None:
    ends = {"client": ("fd00::1", 4000), "server": ("fd00::2", 80)} if v6 else {}
    talk = wire.Conversation(vlans=vlans, **ends).open().upgrade().text(C, "a").text(S, "b")
    before = len(talk.packets)
    for i in range(50):
        talk.text(C, "ä" * i).ack(S).binary(S, bytes(i) * 5).ack(C)
    packets = [packet.data for packet in talk.packets]
    by_shortcut, by_general_way, taken = both(pure_kernel, packets, list(range(1, len(packets) + 1)))
    assert by_shortcut == by_general_way
    assert taken >= len(packets) - before


def test_a_tcp_header_without_its_length_is_damaged_either_way(pure_kernel: SimpleNamespace) -> None:
    """An IPv4 packet of 20 bytes: its "TCP header" lies beyond it."""
    packet = bytearray(wire.link(wire.tcp(("10.0.0.9", 7), ("10.0.0.2", 80), 1, 1, ACK)))
    packet[16:18] = struct.pack(">H", 20)
    packet[46] = 0
    by_shortcut, by_general_way, _ = both(pure_kernel, [bytes(packet)], [1])
    assert by_shortcut == by_general_way
    assert by_shortcut[0][0][3] == 1
