"""The interpreter's shortcuts do what the general way does, to the last counter."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import wire
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from wire import ACK, FIN, PSH, RST, SYN, C, S

from tests.capture.fake import obsolete_packet, simple_packet
from wsaudit.kernel import batch, kept
from wsaudit.kernel.constants import FIRST, FRAMES, READER

quick = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

UNPAIRED = -1  # frames, and nobody keeps Pings

# What a scanner knows of the frame it is in; the shortcut takes whole frames and leaves these alone.
IN_FRAME = {"b0", "shape", "length", "key", "phase", "kind", "frame_offset", "frame_packet", "frame_time", "control"}
IN_FRAME |= {"message_length", "message_deflated", "need", "lo", "hi", "text_bad", "text_tainted", "log_row", "remaining"}


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.events.append((name, *(each for each in given if isinstance(each, (int, bytes)))))


class Listener(Told):
    """Has flows followed; `mode`: how."""

    def __init__(self, kernel: SimpleNamespace, mode: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.mode = mode
        self.owners: list[Owner] = []

    def open(self, flow: Any) -> Owner:
        self.owners.append(Owner(self.kernel, self.mode, flow))
        return self.owners[-1]


class Owner(Told):
    """Has what follows the first bytes of each side read as frames; `mode`: how."""

    def __init__(self, kernel: SimpleNamespace, mode: int, flow: Any) -> None:
        super().__init__()
        self.kernel = kernel
        self.mode = mode
        self.flow = flow
        self.pings = (kernel.pings.Pings(), kernel.pings.Pings())

    def data(self, stream: Any, data: bytes, *place: int) -> None:
        self.events.append(("data", data, *place))
        if stream.mode == READER:
            return
        stream.scanner = self.kernel.frames.Scanner(0, self)
        stream.scanner.offset = stream.offset
        if self.mode != UNPAIRED:
            own, peer = self.pings if stream is stream.flow.a else self.pings[::-1]
            stream.scanner.pair(own, peer)
        stream.reader = self.kernel.tls.RecordReader(self.kernel.tls.RecordCounts(), stream.offset, b"", 0)
        stream.answer_end = 60
        stream.mode = FRAMES if self.mode == UNPAIRED else self.mode


def plain(thing: Any, without: set[str]) -> dict[str, Any]:
    found = {name: getattr(thing, name) for name in type(thing).__slots__ if name not in without}
    return {name: value for name, value in found.items() if isinstance(value, (int, bytes, array, list, dict, type(None)))}


def segments_of(stream: Any) -> list[Any]:
    """What is kept of a stream's last segments: of each way what it knows of them."""
    samples = [(kept.kept(segment)[:2], kept.place_of(segment)[:2]) for segment in stream.samples[-8:]]
    return [*samples, kept.place_of(stream.segment_kept)]


class Way:
    """How packets reach the decoder. `cuts`: where the windows of the capture end; `untils`: times up to which it is walked;
    `parked`: whether the buffer is given back between."""

    def __init__(
        self,
        form: str = "pcap",
        cuts: tuple[int, ...] = (),
        untils: tuple[int, ...] = (),
        shards: int = 1,
        parked: bool = False,
    ) -> None:
        self.form = form
        self.cuts = cuts
        self.untils = untils
        self.shards = shards
        self.parked = parked

    def walker(self, kernel: SimpleNamespace) -> Any:
        if self.form == "pcap":
            return kernel.records.PcapWalker(False, True, 16, 1, 3 << 40)
        walker = kernel.records.PcapngWalker(3 << 40)
        walker.interfaces = [kernel.records.Interface(1, 0, 9, 0), kernel.records.Interface(1, 0, 6, 0)]
        return walker

    def write(self, packets: list[bytes], times: list[int]) -> bytes:
        if self.form == "pcap":
            return wire.pcap(map(wire.Packet, times, packets), nanoseconds=True)[24:]
        return b"".join(map(wire.enhanced_packet, times, packets))

    def walk(self, kernel: SimpleNamespace, data: bytes, decoder: Any) -> Any:
        walker = self.walker(kernel)
        stops, held, begin = [], b"", 0
        for end in sorted({*(cut % (len(data) + 1) for cut in self.cuts), len(data)}):
            held += data[begin:end]
            begin = end
            buffer = kernel.buffer.Buffer(bytearray(held + bytes(kernel.records.SLACK)))
            pos = 0
            for until in (*sorted(self.untils), kernel.records.FOREVER):
                pos = walker.walk(buffer, pos, len(held), until, decoder)
                stops.append((pos, walker.status, walker.problem, walker.number, walker.bytes, walker.truncated_packets))
                if self.parked:
                    walker.let_go()
                stops.append((walker.first_time, walker.last_time, getattr(walker, "time", 0)))
            held = held[pos:]
        return stops


def run(kernel: SimpleNamespace, data: bytes, mode: int, way: Way, flows: int) -> Any:
    listener = Listener(kernel, mode)
    decoder = kernel.packets.Decoder(listener, 0, way.shards, seed=1, max_flows=flows)
    seen: list[Any] = way.walk(kernel, data, decoder)
    with changed(vars(kernel.packets), TOGETHER=1):  # when flows that are over are finished is no matter
        decoder.catch_up()
    seen.append((decoder.now, decoder.packets, decoder.tcp_packets, decoder.udp_packets, decoder.cut_packets, decoder.live))
    # Flows may have come in another order, and have other entries then.
    columns = [getattr(decoder, name) for name in ("state", "probes", "syn_seq", "syn_time", "syn_packet", "seen_time")]
    seen.append({key: [column[e] for column in columns] for key, e in decoder.index.items()})
    seen.append(sorted(listener.events, key=repr))
    for owner in sorted(listener.owners, key=lambda owner: (owner.flow.first_packet, owner.flow.first_time)):
        flow = owner.flow
        seen.append(owner.events)
        seen.append([plain(pings, {"waiting"}) for pings in owner.pings])
        seen.append([[plain(ping, set()) for ping in pings.waiting] for pings in owner.pings])
        flow.settle()
        seen.append(plain(flow, {"entry_a", "entry_b"}))
        for stream in (flow.a, flow.b):
            seen.append(plain(stream, {"samples", "segment_kept"}))
            seen.append(segments_of(stream))
            if stream.scanner is not None:
                seen.append(plain(stream.scanner, IN_FRAME | {"recent", "idle"}))
                seen.append(stream.scanner.recent_rows())
                seen.append(plain(stream.reader, set()) | plain(stream.reader.counts, set()))
    return seen


@contextmanager
def changed(space: Any, **to: Any) -> Iterator[None]:
    before = {name: space[name] for name in to}
    space.update(to)
    try:
        yield
    finally:
        space.update(before)


def both(kernel: SimpleNamespace, data: bytes, way: Way, mode: int = FRAMES, flows: int = 1 << 20) -> tuple[Any, Any, int]:
    """(by shortcuts, by the general way, segments of TCP that went the general way all the same)."""
    shortcuts = kernel.records.take_ahead.__globals__
    left = 0

    def counting(name: str) -> Any:
        general = getattr(kernel.packets.Decoder, name)

        def counted(*given: Any) -> None:
            nonlocal left
            left += 1
            general(*given)

        return counted

    with changed(shortcuts, MANY=0), changed(vars(batch), FEW=1), pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel.packets.Decoder, "transport", counting("transport"))
        first = run(kernel, data, mode, way, flows)
    with (
        changed(shortcuts, MANY=sys.maxsize, BIG=sys.maxsize),
        changed(vars(kernel.frames), take_frames=lambda scanner, buffer, pos, *given: pos),
    ):
        second = run(kernel, data, mode, way, flows)
    return first, second, left


def same(
    kernel: SimpleNamespace,
    packets: list[bytes],
    times: list[int],
    way: Way | None = None,
    mode: int = FRAMES,
    flows: int = 1 << 20,
) -> int:
    """Both ways find the same; returns how many segments of TCP went the general way where shortcuts were to be had."""
    way = way or Way()
    by_shortcut, by_general_way, left = both(kernel, way.write(packets, times), way, mode, flows)
    assert by_shortcut == by_general_way
    return left


ways = st.builds(
    Way,
    st.sampled_from(["pcap", "pcapng"]),
    st.lists(st.integers(0, 20_000), max_size=3).map(tuple),
    st.lists(st.integers(0, 20).map(lambda n: wire.START + n * 10**6), max_size=3).map(tuple),
    st.sampled_from([1, 1, 2]),
    st.booleans(),
)
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
    way=ways,
)
def test_arbitrary_conversations(
    pure_kernel: SimpleNamespace, sent: list[Any], v6: bool, vlans: Any, isn: Any, ttl: int, syn: bool, mode: int, way: Way
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
    same(pure_kernel, packets, times, way, mode)


@quick
@given(
    sent=st.lists(st.tuples(st.integers(0, 3), segments), max_size=60),
    syn=st.booleans(),
    mode=st.sampled_from([FRAMES, FRAMES, FIRST, READER]),
    flows=st.sampled_from([1 << 20, 1 << 20, 5, 3]),
    way=ways,
)
def test_flows_side_by_side(pure_kernel: SimpleNamespace, sent: list[Any], syn: bool, mode: int, flows: int, way: Way) -> None:
    """Their packets are taken flow by flow: flows end, begin anew, and are finished as if they were not."""
    talks = [wire.Conversation(client=(f"10.0.0.{i}", 4000)) for i in range(3, 7)]
    packets, times, now = [], [], wire.START
    for which, (side, data, flags, jump, ahead, window, wait) in sent:
        talk = talks[which]
        before = len(talk.packets)
        if not before or (flags & SYN and syn):
            talk = (talk.open() if syn else talk).upgrade()
        seq = (talk.seq[side] + jump) & 0xFFFFFFFF
        talk.segment(side, data[:1460], flags & ~SYN, seq=seq, ack=(talk.seq[1 - side] + ahead) & 0xFFFFFFFF, window=window)
        if jump == 0:
            talk.seq[side] = (seq + len(data[:1460])) & 0xFFFFFFFF
        for packet in talk.packets[before:]:
            packets.append(packet.data)
            times.append(now)
            now += 1000
        now += wait
    with changed(vars(pure_kernel.packets), TOGETHER=1):
        same(pure_kernel, packets, times, way, mode, flows)


@pytest.mark.parametrize("border", ["ARP", "window", "time"])
def test_a_flow_that_ended_is_kept_as_long_as_others_would_have_it(pure_kernel: SimpleNamespace, border: str) -> None:
    """Its last packets come half a second behind its end, and behind packets of other flows that are seconds later."""
    talks = [wire.Conversation(client=(f"10.0.1.{i}", 4000)).open().upgrade().fin(S).fin(C) for i in range(20)]
    early = sorted((packet for talk in talks for packet in talk.packets), key=lambda packet: packet.time)
    for talk in talks:
        talk.packets.clear()
        talk.wait(0.5).ack(S).segment(C, flags=RST)
    later = [
        wire.Conversation(client=(f"10.0.2.{i}", 4000), start=wire.START + 4 * wire.SECOND).open().upgrade().fin(S).fin(C).ack(S)
        for i in range(60)
    ]
    rest = sorted((packet for talk in talks + later for packet in talk.packets), key=lambda packet: packet.time)
    arp = [wire.Packet(early[-1].time, bytes(12) + b"\x08\x06" + bytes(46))] if border == "ARP" else []
    packets = [*early, *arp, *rest]
    way = Way(
        cuts=(sum(16 + len(packet.data) for packet in early),) if border == "window" else (),
        untils=(early[-1].time,) if border == "time" else (),
    )
    same(pure_kernel, [packet.data for packet in packets], [packet.time for packet in packets], way)


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
    same(pure_kernel, packets, list(range(len(packets))))


@pytest.mark.parametrize("vlans", [(), (7,)])
@pytest.mark.parametrize("v6", [False, True])
def test_the_shortcut_takes_what_is_common(pure_kernel: SimpleNamespace, vlans: Any, v6: bool) -> None:
    ends = {"client": ("fd00::1", 4000), "server": ("fd00::2", 80)} if v6 else {}
    talk = wire.Conversation(vlans=vlans, **ends).open().upgrade().text(C, "a").text(S, "b")
    before = len(talk.packets)
    for i in range(50):
        talk.text(C, "ä" * i).ack(S).binary(S, bytes(i) * 5).ack(C).ping(S).pong(C)
    packets = [packet.data for packet in talk.packets]
    assert same(pure_kernel, packets, list(range(1, len(packets) + 1))) <= before


def test_a_tcp_header_without_its_length_is_damaged_either_way(pure_kernel: SimpleNamespace) -> None:
    """An IPv4 packet of 20 bytes: its "TCP header" lies beyond it."""
    packet = bytearray(wire.link(wire.tcp(("10.0.0.9", 7), ("10.0.0.2", 80), 1, 1, ACK)))
    packet[16:18] = struct.pack(">H", 20)
    packet[46] = 0
    assert same(pure_kernel, [bytes(packet)], [1]) == 1


def odd_block(size: int = 64, caplen: int = 32, again: int = 64, interface: int = 0) -> bytes:
    return struct.pack("<7I", 6, size, interface, 1, 2, caplen, 60) + bytes(32) + struct.pack("<I", again)


ODD = [
    *(("pcap", struct.pack("<4I", *numbers) + bytes(10)) for numbers in [(0, 0, 0, 0), (5, 0, 17 << 20, 60), (5, 0, 10, 60)]),
    *(("pcap", struct.pack("<4I", *numbers)) for numbers in [(0, 0, 0, 0), (5, 0, 0, 0), (0, 0, 0, 1)]),
    *(("pcapng", block) for block in [odd_block(), odd_block(size=62), odd_block(size=20), odd_block(size=17 << 20)]),
    *(
        ("pcapng", block)
        for block in [odd_block(caplen=33), odd_block(caplen=2**32 - 1), odd_block(again=0), odd_block(interface=2)]
    ),
    *(("pcapng", wire.enhanced_packet(ticks, bytes(60))) for ticks in (0, 2**62, 2**63, 2**64 - 1)),
    *(
        ("pcapng", block)
        for block in [simple_packet(bytes(60)), obsolete_packet(7, bytes(60), interface=1), wire.block(5, bytes(8))]
    ),
]


@pytest.mark.parametrize(("form", "odd"), ODD)
@pytest.mark.parametrize("at", [0, 7, 30, 46])
def test_odd_records(pure_kernel: SimpleNamespace, form: str, odd: bytes, at: int) -> None:
    """What is no record, or not one like the others, has its turn and its say as if it came alone."""
    talk = wire.Conversation().open().upgrade()
    for i in range(10):
        talk.text(C, "a" * i).ack(S).text(S, "b").ack(C)
    pieces = [Way(form).write([packet.data], [packet.time]) for packet in talk.packets]
    pieces.insert(at, odd)
    for cuts in ((), (700, 2000)):
        by_shortcut, by_general_way, _ = both(pure_kernel, b"".join(pieces), Way(form, cuts))
        assert by_shortcut == by_general_way


KEY = b"\x85\x01\xf2\x7f"  # top bits set and not


def odd_things(talk: wire.Conversation) -> list[wire.Packet]:
    """A conversation in which what comes next is hardly ever what is common."""
    talk.send(C, wire.frame(1, b"long " * 1000, mask=KEY), size=1001)
    talk.text(S, "x" * 200, length_form=64).text(S, "short", length_form=16)
    talk.text(C, "half a ", fin=False, mask=KEY).ping(S, b"?").continuation(C, "message", mask=KEY).pong(C, b"?", mask=KEY)
    talk.frame(S, 9, bytes(126)).text(S, b"\xff\xfe").text(C, b"\xc3\x28", mask=KEY).text(C, "\u00e9" * 70, mask=KEY)
    talk.binary(C, bytes(10), mask=bytes(4)).binary(C, bytes(10), mask=bytes(4)).text(S, "a", rsv=4)
    talk.keep_alive(S).keep_alive(S)
    talk.segment(C, b"", ACK, ack=(talk.seq[S] + 2**30 + 5) & 0xFFFFFFFF).segment(C, b"", ACK)
    talk.keep_alive(S).segment(C, b"", ACK, ack=(talk.seq[S] - 2**30 - 2**29) & 0xFFFFFFFF)
    other = [wire.tcp(("10.0.0.9", 7), ("10.0.0.2", 80), seq, 1, ACK, b"\0nothing") for seq in (1, 9, 17)]
    of_client = talk.packets[-1].data
    fragment = bytearray(of_client)
    fragment[20] = 0x20  # more fragments
    others = [*map(wire.link, other), wire.link(wire.udp(("10.0.0.9", 7), ("10.0.0.2", 53), b"?")), bytes(fragment), b"\1" * 60]
    for data in others:
        talk.packets.append(wire.Packet(talk.wait(1).time, data))
    return talk.close(C, 1000).close(S, 1000).text(S, "late").ack(C).fin(S).ack(C).fin(C).packets


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
@pytest.mark.parametrize("mode", [FRAMES, UNPAIRED])
def test_odd_things(pure_kernel: SimpleNamespace, form: str, mode: int) -> None:
    packets = odd_things(wire.Conversation().open().upgrade())
    for n in range(len(packets)):
        same(pure_kernel, [packet.data for packet in packets[:n]], [packet.time for packet in packets[:n]], Way(form), mode)


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_windows_of_more_records_than_are_decoded_at_once(pure_kernel: SimpleNamespace, form: str) -> None:
    packets = odd_things(wire.Conversation().open().upgrade())
    way = Way(form, untils=(packets[9].time, packets[30].time))
    data = way.write([packet.data for packet in packets], [packet.time for packet in packets])
    with changed(vars(batch), MOST_ROWS=7):
        by_shortcut, by_general_way, _ = both(pure_kernel, data, way)
    assert by_shortcut == by_general_way


LONG = b"\x82\x7f" + (1 << 40).to_bytes(8, "big")  # the header of a frame that does not end


@pytest.mark.parametrize("mode", [FRAMES, READER])
@pytest.mark.parametrize(
    "data", [wire.frame(1, b"x"), wire.frame(1, b"x") * 2, wire.frame(9), wire.frame(1, b"\xff"), wire.frame(2, fin=False), LONG]
)
def test_what_is_kept_of_segments_is_bounded(pure_kernel: SimpleNamespace, data: bytes, mode: int) -> None:
    talk = wire.Conversation().open().upgrade().text(S, "a").text(S, "b")
    for _ in range(300):
        talk.send(S, data)
    listener = Listener(pure_kernel, mode)
    decoder = pure_kernel.packets.Decoder(listener, 0, 1, seed=1)
    packets = [packet.data for packet in talk.packets]
    with changed(pure_kernel.records.take_ahead.__globals__, MANY=0), changed(vars(batch), FEW=1):
        Way().walk(pure_kernel, Way().write(packets, list(range(len(packets)))), decoder)
    (owner,) = listener.owners
    assert len(owner.flow.b.samples) <= 40
    assert len(owner.flow.b.scanner.recent) <= 40


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_memory_is_bounded(pure_kernel: SimpleNamespace, form: str) -> None:
    """A window that grew for one long record may hold millions of empty ones."""
    way = Way(form)
    data = way.write([b""], [5]) * (3 * batch.MOST_ROWS)
    buffer = pure_kernel.buffer.Buffer(bytearray(data + bytes(pure_kernel.records.SLACK)))
    found = way.walker(pure_kernel).look_ahead(buffer, 0, len(data))
    assert found.size <= batch.MOST_ROWS


def test_a_record_above_the_limit(pure_kernel: SimpleNamespace) -> None:
    packets = wire.Conversation().open().upgrade().text(S, "x" * 300).text(C, "y").packets
    data = Way().write([packet.data for packet in packets], [packet.time for packet in packets])
    with changed(vars(batch), RECORD_LIMIT=300), changed(vars(pure_kernel.records), RECORD_LIMIT=300):
        by_shortcut, by_general_way, _ = both(pure_kernel, data, Way())
    assert by_shortcut == by_general_way
    assert by_shortcut[0][1] == pure_kernel.records.BAD
