from __future__ import annotations

import gzip
import io
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.fake import PACKETS, Recorder, Seen, expected, modified_pcap, obsolete_packet, simple_packet
from tests.capture.test_source import PACKERS, Trickle
from wsaudit.capture import reader as module
from wsaudit.capture.reader import CaptureReader, merge_in_time_order, open_capture
from wsaudit.errors import InputError

FORMS = {
    "pcap": wire.pcap(PACKETS),
    "pcap, big": wire.pcap(PACKETS, order=">", nanoseconds=True),
    "modified pcap": modified_pcap(PACKETS),
    "pcapng": wire.pcapng(PACKETS),
    "pcapng, big": wire.pcapng(PACKETS, order=">", keylog=b"CLIENT_RANDOM"),
}


def read(named: object, until: int | None = None) -> tuple[CaptureReader, list[Seen]]:
    recorder = Recorder()
    reader = open_capture(named)  # type: ignore[arg-type]
    reader.run(recorder, until)
    return reader, recorder.seen


def boundaries(form: str) -> list[int]:
    """The offsets at which the capture could end without being cut: behind its header and behind each record or block."""
    if "pcapng" in form:
        order = ">" if "big" in form else "<"
        ends, pos = [], 0
        while pos < len(FORMS[form]):
            pos += struct.unpack_from(order + "I", FORMS[form], pos + 4)[0]
            ends.append(pos)
        return ends
    ends = [24]
    for _, data in PACKETS:
        ends.append(ends[-1] + (24 if "modified" in form else 16) + len(data))
    return ends


@pytest.mark.parametrize("form", FORMS)
def test_the_facts_of_a_capture(form: str) -> None:
    reader, seen = read(FORMS[form])
    assert seen == expected()
    assert (reader.packets, reader.bytes) == (4, len(FORMS[form]))
    assert (reader.first_time, reader.last_time) == (PACKETS[0].time, PACKETS[-1].time)
    assert (reader.truncated, reader.notices, reader.next_time, reader.is_open) == (False, [], None, False)
    assert not reader.run(Recorder())


@pytest.mark.parametrize("form", FORMS)
def test_byte_by_byte(form: str) -> None:
    reader, seen = read(Trickle(FORMS[form]))
    assert seen == expected()
    assert reader.notices == []


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("form", FORMS)
def test_compressed(form: str, packing: str, tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(PACKERS[packing](FORMS[form]))
    reader, seen = read(path)
    assert seen == expected()
    assert (reader.path, reader.bytes, reader.notices) == (str(path), len(FORMS[form]), [])


@pytest.mark.parametrize("form", FORMS)
def test_cut_at_every_byte(form: str) -> None:
    data, ends = FORMS[form], boundaries(form)
    records = len(ends) - len(PACKETS)
    for length in range(len(data)):
        if length < ends[0]:
            with pytest.raises(InputError) as caught:
                open_capture(data[:length])
            assert caught.value.offset == (length if length >= 4 and "pcapng" not in form else 0)
            continue
        complete = sum(end <= length for end in ends)
        reader, seen = read(data[:length])
        assert seen == expected()[: max(complete - records, 0)]
        assert reader.bytes == length
        if length in ends:
            assert (reader.truncated, reader.notices) == (False, [])
        else:
            start = ends[complete - 1]
            text = f"byte {start}: the capture is cut off inside its last record, {length - start} bytes after its start"
            assert reader.truncated
            assert reader.notices == [(len(seen), f"{text}; what follows was not read")]


@pytest.mark.parametrize("form", FORMS)
def test_a_header_and_nothing_more_is_an_empty_capture(form: str) -> None:
    reader, seen = read(FORMS[form][: boundaries(form)[0]])
    assert seen == []
    assert (reader.packets, reader.first_time, reader.last_time, reader.truncated) == (0, None, None, False)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (struct.pack("<IIII", 5, 5, 2**31, 60), "a record that claims 2147483648 captured bytes"),
        (struct.pack("<IIII", 5, 5, (16 << 20) + 1, 60), "a record that claims 16777217 captured bytes"),
        (bytes(64), "zero bytes instead of a record"),
    ],
)
def test_a_damaged_record_ends_the_reading_with_its_place(record: bytes, reason: str) -> None:
    good = FORMS["pcap"]
    reader, seen = read(good + record + good[24:])
    assert seen == expected()
    assert reader.notices == [(4, f"byte {len(good)}: {reason}; what follows was not read")]
    assert reader.truncated


def test_a_packet_bigger_than_the_buffer() -> None:
    packets = [wire.Packet(1_000, b"x"), wire.Packet(2_000, bytes(5 << 20)), wire.Packet(3_000, b"y")]
    for data in (wire.pcap(packets, snaplen=8 << 20), wire.pcapng(packets)):
        _, seen = read(data)
        assert [(seen.time, len(seen.data)) for seen in seen] == [(1_000, 1), (2_000, 5 << 20), (3_000, 1)]


def test_many_packets_across_the_borders_of_the_buffer() -> None:
    chance = random.Random(3)
    packets = [wire.Packet((number + 1) * 1_000, chance.randbytes(chance.randrange(3_000))) for number in range(6_000)]
    assert sum(len(packet.data) for packet in packets) > 2 * module.WINDOW
    for data in (wire.pcap(packets), wire.pcapng(packets)):
        assert read(data)[1] == expected(packets)


def test_a_damaged_compressed_file_gives_what_is_before_the_damage() -> None:
    packets = [wire.Packet(number, random.Random(number).randbytes(1000)) for number in range(100)]
    packed = gzip.compress(wire.pcapng(packets))
    reader, seen = read(packed[: len(packed) // 2])
    assert 40 < len(seen) < 60
    assert seen == expected(packets)[: len(seen)]
    assert reader.truncated
    (_, cut), (_, early) = reader.notices
    assert "cut off inside its last record" in cut
    assert early == f"the gzip data ends early, at byte {len(packed) // 2} of the compressed file"


@pytest.mark.parametrize(
    ("content", "reason", "offset"),
    [
        (b"", "not a pcap or pcapng capture but an empty file (0 bytes)", 0),
        (b"<html><body>404", "not a pcap or pcapng capture but an HTML page", 0),
        (gzip.compress(b"plain words"), "not a pcap or pcapng capture but text", 0),
        (gzip.compress(gzip.compress(FORMS["pcap"])), "but gzip inside a compressed file", 0),
        (gzip.compress(FORMS["pcap"])[:10], "the gzip data ends early, at byte 10", None),
        (FORMS["pcap"][:23], "cut off inside the file header", 23),
        (b"\n\r\r\n" + bytes(40), "a damaged pcapng file: a section header without its byte-order mark", 0),
        (FORMS["pcapng"][:20], "a damaged pcapng file: the capture is cut off", 0),
    ],
)
def test_no_capture_says_what_it_is_instead(content: bytes, reason: str, offset: int | None, tmp_path: Path) -> None:
    path = tmp_path / "named.pcap"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_capture(str(path))
    assert caught.value.reason.startswith(reason) or reason in caught.value.reason
    assert (caught.value.path, caught.value.offset) == (str(path), offset)


@given(
    st.sampled_from([b"", *(FORMS[form][:24] for form in FORMS), *(FORMS[form] for form in FORMS), gzip.compress(FORMS["pcap"])]),
    st.binary(max_size=200),
)
def test_any_bytes_behind_anything_are_facts_or_an_input_error(start: bytes, rest: bytes) -> None:
    try:
        reader, seen = read(start + rest)
    except InputError:
        return
    assert reader.packets >= len(seen)
    assert (reader.first_time is None) == (reader.last_time is None) == (not seen)
    assert all(ref <= reader.packets and text for ref, text in reader.notices)


@given(st.sampled_from(sorted(FORMS)), st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=4))
def test_a_mutated_capture_is_read_the_same_in_one_piece_and_byte_by_byte(form: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(FORMS[form])
    for place, value in changes:
        data[place % len(data)] = value
    try:
        whole, seen = read(bytes(data))
    except InputError:
        with pytest.raises(InputError):
            read(Trickle(bytes(data)))
        return
    slow, slow_seen = read(Trickle(bytes(data)))
    assert seen == slow_seen
    assert whole.notices == slow.notices
    assert (whole.packets, whole.first_time, whole.last_time) == (slow.packets, slow.first_time, slow.last_time)


# -- one after the other, up to a time ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pipe", [False, True])
def test_run_until_a_time_includes_it_and_leaves_the_rest(form: str, pipe: bool) -> None:
    reader, recorder = open_capture(Trickle(FORMS[form]) if pipe else FORMS[form]), Recorder()
    assert reader.next_time == PACKETS[0].time
    assert reader.run(recorder, PACKETS[0].time - 1)
    assert (recorder.seen, reader.next_time) == ([], PACKETS[0].time)
    assert reader.run(recorder, PACKETS[1].time)
    assert (recorder.seen, reader.next_time) == (expected()[:2], PACKETS[2].time)
    assert reader.is_open
    assert not reader.run(recorder)
    assert (recorder.seen, reader.next_time) == (expected(), None)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["file", "compressed", "pipe", "bytes"])
def test_a_parked_reader_continues_where_it_was(form: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(gzip.compress(FORMS[form]) if kind == "compressed" else FORMS[form])
    named = {"pipe": Trickle(FORMS[form]), "bytes": FORMS[form]}.get(kind, path)
    reader, recorder = open_capture(named), Recorder()  # type: ignore[arg-type]
    reader.park()
    for packet in PACKETS:
        reader.run(recorder, packet.time)
        reader.park()
        assert reader.is_open == (kind in ("compressed", "pipe") and packet != PACKETS[-1])
    assert recorder.seen == expected()
    assert (reader.packets, reader.bytes, reader.notices) == (4, len(FORMS[form]), [])


def test_a_file_is_closed_until_it_is_run(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(FORMS["pcapng"])
    reader = open_capture(path)
    assert (reader.is_open, reader.next_time, reader.packets) == (False, PACKETS[0].time, 0)


def test_a_file_that_vanished_before_its_run_is_a_notice(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(FORMS["pcap"])
    reader = open_capture(path)
    path.unlink()
    assert not reader.run(Recorder())
    assert reader.truncated
    assert reader.notices == [(0, "cannot be opened: No such file or directory")]
    assert reader.next_time is None


# -- several as one ----------------------------------------------------------------------------------------------------


def merged(readers: list[CaptureReader]) -> list[Seen]:
    recorder = Recorder()
    merge_in_time_order(readers, recorder)
    return recorder.seen


def test_rotated_files_in_any_order_run_one_after_the_other(tmp_path: Path) -> None:
    parts = [[wire.Packet(1_000_000 * (10 * part + number), b"%d" % number) for number in range(10)] for part in range(300)]
    order = list(range(300))
    random.Random(5).shuffle(order)
    readers = []
    for index, part in enumerate(order):
        path = tmp_path / f"x.pcap{part}"
        path.write_bytes(wire.pcap(parts[part]))
        readers.append(open_capture(path, index))
    seen = merged(readers)
    assert [packet.time for packet in seen] == [packet.time for part in parts for packet in part]
    assert [packet.ref >> 40 for packet in seen[::10]] == [order.index(part) for part in range(300)]
    assert not any(reader.is_open for reader in readers)


def test_equal_times_go_in_the_order_of_the_inputs() -> None:
    times = [[5, 5, 7], [5, 6, 7, 7], [4, 5, 7]]
    readers = [open_capture(wire.pcapng([wire.Packet(time, b"") for time in each]), n) for n, each in enumerate(times)]
    assert [(packet.time, packet.ref >> 40) for packet in merged(readers)] == [
        (4, 2),
        (5, 0),
        (5, 0),
        (5, 1),
        (5, 2),
        (6, 1),
        (7, 0),
        (7, 1),
        (7, 1),
        (7, 2),
    ]


def test_more_overlapping_captures_than_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 3)
    chance = random.Random(7)
    everything, readers = [], []
    for index in range(12):
        packets = sorted(wire.Packet(chance.randrange(1, 500), bytes([index])) for _ in range(40))
        everything += [(packet.time, index, number) for number, packet in enumerate(packets, 1)]
        path = tmp_path / str(index)
        path.write_bytes(wire.pcapng(packets))
        readers.append(open_capture(path, index))
    most = 0

    class Watcher(Recorder):
        def packet(self, *fields: object) -> None:
            nonlocal most
            most = max(most, sum(reader.is_open for reader in readers))
            super().packet(*fields)  # type: ignore[arg-type]

    watcher = Watcher()
    merge_in_time_order(readers, watcher)
    assert [(seen.time, seen.ref >> 40, seen.ref & 2**40 - 1) for seen in watcher.seen] == sorted(everything)
    assert most == 3
    assert all(reader.packets == 40 for reader in readers)


@given(st.lists(st.lists(st.integers(0, 30), max_size=8), max_size=5))
def test_every_packet_comes_once_and_sorted_captures_merge_sorted(times: list[list[int]]) -> None:
    readers = [open_capture(wire.pcapng([wire.Packet(time, b"") for time in each]), n) for n, each in enumerate(times)]
    seen = merged(readers)
    for index, each in enumerate(times):
        assert [packet.time for packet in seen if packet.ref >> 40 == index] == each
    if all(each == sorted(each) for each in times):
        keys = [(packet.time, packet.ref) for packet in seen]
        assert keys == sorted(keys)


def test_empty_damaged_and_piped_captures_merge_too() -> None:
    readers = [
        open_capture(FORMS["pcap"][:24], 0),
        open_capture(FORMS["pcapng"][:-1], 1),
        open_capture(Trickle(FORMS["pcap, big"]), 2),
    ]
    seen = merged(readers)
    assert [packet.ref >> 40 for packet in seen] == [1, 2, 1, 2, 1, 2, 2]
    assert [reader.truncated for reader in readers] == [False, True, False]


# -- as others see it --------------------------------------------------------------------------------------------------

MIXED = (
    wire.section()
    + wire.interface(1, resolution=6)
    + wire.interface(101, resolution=0x80 | 20, offset=1_000)
    + wire.enhanced_packet(1_700_000_000_000_007, bytes(60))
    + wire.block(0x7000, b"unknown")
    + wire.enhanced_packet((1_700_000_000 << 20) + 12345, bytes(61), interface=1, length=99)
    + obsolete_packet(1_700_000_001_000_000, bytes(62))
    + wire.section(">")
    + wire.interface(1, resolution=3, order=">")
    + wire.enhanced_packet(1_700_000_002_123, bytes(63), order=">")
)


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("form", [*FORMS, "mixed", "simple", "gzip"])
def test_tshark_sees_the_same_packets(form: str, tmp_path: Path) -> None:
    simple = wire.section() + wire.interface(1, snaplen=50) + simple_packet(bytes(20)) + simple_packet(bytes(50), length=70)
    data = {"mixed": MIXED, "simple": simple, "gzip": gzip.compress(FORMS["pcap"])}.get(form) or FORMS[form]
    path = tmp_path / "capture"
    path.write_bytes(data)
    _, seen = read(path)
    command = ["tshark", "-n", "-r", str(path), "-T", "fields"]
    fields = ("frame.number", "frame.time_epoch", "frame.cap_len", "frame.len")
    out = subprocess.run(
        [*command, *(word for field in fields for word in ("-e", field))], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    assert [(int(number), int(cap), int(length)) for number, _, cap, length in rows] == [
        (packet.ref, len(packet.data), packet.wirelen) for packet in seen
    ]
    if form != "simple":
        # tshark has no time for simple packets.
        assert [nanoseconds(time) for _, time, _, _ in rows] == [packet.time for packet in seen]


def nanoseconds(epoch: str) -> int:
    seconds, _, fraction = epoch.partition(".")
    return int(seconds) * wire.SECOND + int(fraction.ljust(9, "0")[:9])


def test_a_reader_takes_a_file_object() -> None:
    reader, seen = read(io.BytesIO(FORMS["pcapng"]))
    assert (reader.path, seen) == ("<stream>", expected())
