"""The kernel compiled and the kernel as plain Python are one program: the same bytes give the same facts.

C integers wrap, C arrays end, typed views need other bytes than `bytes`: whatever differs, differs here first.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import wire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire import C, S

from wsaudit.kernel.constants import FIRST

slow_to_load = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

Event = tuple[Any, ...]


class Recorder:
    """Listens to everything: writes down each call with its plain arguments. Opens flows as their owner; from the second chunk of
    a side on its bytes go to a frame scanner, as they do after an upgrade."""

    def __init__(self, kernel: SimpleNamespace) -> None:
        self.kernel = kernel
        self.events: list[Event] = []
        self.flows: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        def record(*arguments: Any) -> None:
            self.note(name, arguments)

        return record

    def note(self, name: str, arguments: tuple[Any, ...]) -> None:
        plain = (int, bytes, str, type(None))
        self.events.append((name, *(each if isinstance(each, plain) else type(each).__name__ for each in arguments)))

    def open(self, flow: Any) -> Recorder:
        self.note("open", (flow.address_a, flow.port_a, flow.address_b, flow.port_b))
        self.flows.append(flow)
        return self

    def data(self, stream: Any, data: bytes, *place: int) -> None:
        self.note("data", (data, *place))
        stream.scanner = self.kernel.frames.Scanner(0, self)
        stream.scanner.log = self.kernel.frames.FrameLog()
        stream.mode = FIRST
        stream.answer_end = 20


def facts(thing: Any, names: list[str]) -> dict[str, Any]:
    """The plain values among the attributes `names`; a flag is a number in one form and a truth value in the other."""
    plain = (int, bytes, list, dict, type(None))
    values = {name: getattr(thing, name) for name in names}
    return {name: int(value) if isinstance(value, bool) else value for name, value in values.items() if isinstance(value, plain)}


# What each form keeps in its own way (kernel/kept.py); `shape_rows`, and the counts of copies, tell the same.
KEPT = {"shapes", "more_shapes", "seg_seq", "seg_len", "seg_time", "seg_ident"}


def open_attributes(kind: type) -> list[str]:
    """The attributes that a compiled class shows to Python."""
    return [
        name
        for name, value in vars(kind).items()
        if type(value).__name__ == "getset_descriptor" and not name.startswith("_") and name not in KEPT
    ]


def facts_of_scanner(scanner: Any, names: list[str]) -> Any:
    log = [list(getattr(scanner.log, column)) for column in ("side", "packet", "time", "offset", "shape", "length", "complete")]
    return facts(scanner, names), scanner.shape_rows(), scanner.beat_rows(), log


masks = st.one_of(st.none(), st.binary(min_size=4, max_size=4))
payloads = st.one_of(
    st.binary(max_size=140),
    st.text(max_size=40).map(str.encode),
    st.sampled_from([126, 65535, 65536]).map(bytes),
    st.sampled_from([b"2", b"ping", b"pong", b"\n", bytes(40), bytes(41)]),
)
honest = st.builds(wire.frame, st.integers(0, 15), payloads, fin=st.booleans(), rsv=st.sampled_from([0, 0, 4, 3]), mask=masks)
lengths = st.sampled_from([0, 125, 126, 2**31, 2**32 + 1, 2**63 - 1, 2**63, 2**64 - 1])
absurd = st.builds(wire.frame, st.integers(0, 15), st.binary(max_size=9), mask=masks, length=lengths, length_form=st.just(64))
streams = st.lists(st.one_of(honest, honest, honest, absurd, st.binary(max_size=20)), max_size=12).map(b"".join)
cuts = st.lists(st.integers(1, 300), max_size=20)


def scan(kernel: SimpleNamespace, names: list[str], data: bytes, sizes: list[int], gap: int, inflate: bool) -> Any:
    """Feed `data` in pieces of `sizes`, the rest at once, behind some bytes so that words are not always aligned; after the first
    piece `gap` bytes are lost."""
    recorder = Recorder(kernel)
    scanner = kernel.frames.Scanner(0, recorder)
    scanner.log = kernel.frames.FrameLog()
    scanner.inflate = inflate
    at = 0
    for number, size in enumerate([*sizes, len(data)]):
        piece = data[at : at + size]
        at += len(piece)
        buffer = kernel.buffer.Buffer(bytes(number) + piece)
        scanner.feed(buffer, number, number + len(piece), 1000 + number, number)
        if number == 0 and gap:
            scanner.gap(gap)
    return recorder.events, facts_of_scanner(scanner, names)


@slow_to_load
@given(data=streams, sizes=cuts, gap=st.sampled_from([0, 0, 1, 7, 2**40]), inflate=st.booleans())
def test_scanner(
    pure_kernel: SimpleNamespace, compiled_kernel: SimpleNamespace, data: bytes, sizes: list[int], gap: int, inflate: bool
) -> None:
    names = open_attributes(compiled_kernel.frames.Scanner)
    pure = scan(pure_kernel, names, data, sizes, gap, inflate)
    assert scan(compiled_kernel, names, data, sizes, gap, inflate) == pure


characters = st.sampled_from(
    ["a", "text in ascii " * 8, "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff"]
)
edges = st.sampled_from(
    [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF]
)


@slow_to_load
@given(
    text=st.lists(characters, max_size=30).map("".join),
    damage=st.lists(st.tuples(st.integers(0, 200), edges), max_size=2),
    mask=masks,
    sizes=cuts,
)
def test_text_is_utf8_or_its_first_wrong_byte_is_told(
    pure_kernel: SimpleNamespace,
    compiled_kernel: SimpleNamespace,
    text: str,
    damage: list[tuple[int, int]],
    mask: bytes | None,
    sizes: list[int],
) -> None:
    payload = bytearray(text.encode())
    for at, byte in damage:
        payload[at : at + 1] = bytes([byte])
    try:
        payload.decode()
        right = True
    except UnicodeDecodeError:
        right = False
    data = wire.frame(1, bytes(payload), mask=mask)
    names = open_attributes(compiled_kernel.frames.Scanner)
    compiled = scan(compiled_kernel, names, data, sizes, 0, False)
    assert compiled == scan(pure_kernel, names, data, sizes, 0, False)
    assert compiled[1][0]["bad_text"] == (not right)


@slow_to_load
@given(data=st.binary(max_size=80), key=st.integers(0, 2**32 - 1), phase=st.integers(0, 7))
def test_unmask(pure_kernel: SimpleNamespace, compiled_kernel: SimpleNamespace, data: bytes, key: int, phase: int) -> None:
    expected = wire.mask(data, (key.to_bytes(4, "little") * 3)[phase : phase + 4])
    assert pure_kernel.frames.unmask(data, key, phase) == expected
    assert compiled_kernel.frames.unmask(data, key, phase) == expected


SECOND = 10**9
beats = st.tuples(st.sampled_from([b"2", b"3", b"\n", b"ping", b"pong", b"p" * 40]), st.sampled_from([0, 1, SECOND, 99 * SECOND]))


@slow_to_load
@given(messages=st.lists(beats, max_size=30), key=st.integers(0, 2**32 - 1))
def test_beats(
    pure_kernel: SimpleNamespace, compiled_kernel: SimpleNamespace, messages: list[tuple[bytes, int]], key: int
) -> None:
    rows = []
    for kernel in (pure_kernel, compiled_kernel):
        found, time = kernel.beats.Beats(), SECOND
        for number, (payload, wait) in enumerate(messages):
            time += wait
            masked = wire.mask(payload, key.to_bytes(4, "little"))
            found.take(kernel.buffer.Buffer(b"?" + masked + b"?"), 1, len(masked), 0x81, key, time, number, number * 7)
        rows.append(found.rows())
    assert rows[0] == rows[1]


def decode(kernel: SimpleNamespace, names: dict[str, list[str]], packets: list[tuple[int, bytes, int]]) -> Any:
    """Every packet (time, bytes, link type) through a decoder: all that it told, and all that it counted."""
    recorder = Recorder(kernel)
    decoder = kernel.packets.Decoder(recorder, seed=7)
    for number, (time, data, linktype) in enumerate(packets, 1):
        decoder.packet(kernel.buffer.Buffer(data), 0, len(data), len(data), time, number, linktype)
    decoder.finish()
    seen = []
    for flow in recorder.flows:
        seen.append(facts(flow, names["Flow"]))
        for stream in (flow.a, flow.b):
            seen.append(facts(stream, names["Stream"]))
            if stream.scanner is not None:
                seen.append(facts_of_scanner(stream.scanner, names["Scanner"]))
    return recorder.events, facts(decoder, names["Decoder"]), seen


def both_decode_the_same(pure: SimpleNamespace, compiled: SimpleNamespace, packets: list[tuple[int, bytes, int]]) -> None:
    names = {
        "Flow": open_attributes(compiled.streams.Flow),
        "Stream": open_attributes(compiled.streams.Stream),
        "Scanner": open_attributes(compiled.frames.Scanner),
        "Decoder": open_attributes(compiled.packets.Decoder),
    }
    assert decode(compiled, names, packets) == decode(pure, names, packets)


segments = st.tuples(
    st.sampled_from([C, S]),
    st.one_of(st.just(b""), streams.map(lambda data: data[:1400])),
    st.sampled_from([wire.ACK, wire.ACK, wire.ACK, wire.ACK | wire.FIN, wire.RST, wire.SYN, 0]),
    st.sampled_from([0, 0, 0, 0, -1, -500, 1, 700, 2**30, 2**31, 2**32 - 1]),
)


@slow_to_load
@given(
    isn=st.sampled_from([(1000, 2000), (2**32 - 200, 2**32 - 1), (2**31 - 100, 0)]),
    kind=st.sampled_from(list(wire.LINK_TYPES)),
    sent=st.lists(segments, max_size=20),
)
def test_decoder_and_streams(
    pure_kernel: SimpleNamespace, compiled_kernel: SimpleNamespace, isn: tuple[int, int], kind: str, sent: list[Any]
) -> None:
    conversation = wire.Conversation(isn=isn, kind=kind).open().upgrade()
    for side, data, flags, jump in sent:
        seq = (conversation.seq[side] + jump) & 0xFFFFFFFF
        conversation.segment(side, data, flags, seq=seq)
        if jump == 0:
            conversation.seq[side] = (seq + len(data)) & 0xFFFFFFFF
    packets = [(packet.time, packet.data, wire.LINK_TYPES[kind]) for packet in conversation.packets]
    both_decode_the_same(pure_kernel, compiled_kernel, packets)


@slow_to_load
@given(data=st.data())
def test_mutated_packets(pure_kernel: SimpleNamespace, compiled_kernel: SimpleNamespace, data: st.DataObject) -> None:
    """Bytes of headers and payloads changed at random, packets cut anywhere."""
    v6 = data.draw(st.booleans())
    ends = {"client": ("fd00::1", 4000), "server": ("fd00::2", 80)} if v6 else {}
    conversation = wire.Conversation(**ends).open().upgrade().text(C, "hello").ping(S, b"1").pong(C, b"1").text(S, "x" * 200)
    conversation.close(C, 1000).close(S, 1000).fin(S).fin(C)
    packets = []
    for packet in conversation.packets:
        changed = bytearray(packet.data)
        for at, value in data.draw(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=2)):
            changed[at % len(changed)] = value
        keep = data.draw(st.one_of(st.just(len(changed)), st.just(len(changed)), st.integers(0, len(changed))))
        packets.append((packet.time, bytes(changed[:keep]), 1))
    both_decode_the_same(pure_kernel, compiled_kernel, packets)


def test_each_is_what_it_says(pure_kernel: SimpleNamespace, compiled_kernel: SimpleNamespace) -> None:
    for name in ("buffer", "frames", "packets", "records", "streams"):
        assert getattr(pure_kernel, name).__file__.endswith(".py")
        assert not getattr(compiled_kernel, name).__file__.endswith(".py")


def test_facts_are_compared(pure_kernel: SimpleNamespace, compiled_kernel: SimpleNamespace) -> None:
    """A class that hides its attributes would make the tests above compare nothing."""
    for module, kind in (("frames", "Scanner"), ("streams", "Stream"), ("packets", "Decoder")):
        assert len(open_attributes(getattr(getattr(compiled_kernel, module), kind))) > 10
