"""Records that the kernel takes, and that taking them changes nothing in what is found."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties.mutate import mutated, read, write
from wire import BINARY, frame

from wsaudit.engine import run
from wsaudit.kernel.constants import AEAD_EXPLICIT, AEAD_IMPLICIT, AEAD_TLS13
from wsaudit.options import Options
from wsaudit.report.report import Report
from wsaudit.tls.records import HEADER_SIZE
from wsaudit.tls.tunnel import TlsTunnel

SAMPLES = Path(__file__).resolve().parents[2] / "sample_pcaps" / "tls"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.pcap"))
KEY, IV, SALT = bytes(range(32)), bytes(range(100, 112)), b"salt"
FORMS = (AEAD_TLS13, AEAD_IMPLICIT, AEAD_EXPLICIT)
CIPHER = AESGCM(KEY)

relaxed = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def seal(form: int, sequence: int, content: bytes, inner: int = 23, padding: int = 0) -> bytes:
    """One record of application data by its header, as RFC 8446 §5.2, RFC 7905 §2 and RFC 5288 §3 have it."""
    nonce = (int.from_bytes(IV, "big") ^ sequence).to_bytes(12, "big")
    if form == AEAD_TLS13:
        content += bytes((inner,)) + bytes(padding)
        header = struct.pack(">BHH", 23, 0x0303, len(content) + 16)
        return header + CIPHER.encrypt(nonce, content, header)
    additional = struct.pack(">QBHH", sequence, 23, 0x0303, len(content))
    if form == AEAD_IMPLICIT:
        body = CIPHER.encrypt(nonce, content, additional)
    else:
        explicit = struct.pack(">Q", sequence * 7)
        body = explicit + CIPHER.encrypt(SALT + explicit, content, additional)
    return struct.pack(">BHH", 23, 0x0303, len(body)) + body


def reader_of(kernel: SimpleNamespace, form: int | None, sequence: int = 0, held: bytes = b"") -> Any:
    """A reader and its scanner, counts and ends; `form` None: without a key."""
    counts = kernel.tls.RecordCounts()
    reader = kernel.tls.RecordReader(counts, 1000, held, 0)
    scanner, ends = kernel.frames.Scanner(1, None), [0, 0]
    if form is not None:
        aead = kernel.tls.Aead(CIPHER.decrypt_into, SALT if form == AEAD_EXPLICIT else IV, form, 16)
        reader.open_with(aead, sequence, scanner, ends)
    return reader, scanner, counts, ends


def feed(kernel: SimpleNamespace, reader: Any, data: bytes, sizes: list[int]) -> int:
    """Feed `data` in segments of these sizes, over and over; how many bytes were taken before the reader stopped."""
    at = turn = 0
    while at < len(data):
        piece = data[at : at + sizes[turn % len(sizes)]]
        turn += 1
        taken = reader.feed(kernel.buffer.Buffer(bytearray(b"..." + piece)), 3, 3 + len(piece), turn, turn) - 3
        at += taken
        if taken < len(piece):
            break
    return at


def told(kernel: SimpleNamespace, form: int | None, data: bytes, sizes: list[int]) -> Any:
    reader, scanner, counts, ends = reader_of(kernel, form)
    taken = feed(kernel, reader, data, sizes)
    records = (counts.application, counts.small, counts.last_size)
    return taken, bytes(reader.held or b""), reader.offset, reader.skip, reader.sequence, ends, scanner.opcode_counts(), records


SIZES = st.lists(st.integers(1, 90), min_size=1, max_size=12)
MESSAGES = st.lists(st.integers(0, 300), max_size=8)


@relaxed
@given(form=st.sampled_from(FORMS), messages=MESSAGES, sizes=SIZES, padding=st.integers(0, 3))
@pytest.mark.parametrize("form_of_kernel", ["pure_kernel", "compiled_kernel"])
def test_records_are_opened_however_they_are_cut(
    request: pytest.FixtureRequest, form_of_kernel: str, form: int, messages: list[int], sizes: list[int], padding: int
) -> None:
    kernel = request.getfixturevalue(form_of_kernel)
    records = [seal(form, number, frame(BINARY, bytes(size)), padding=padding) for number, size in enumerate(messages)]
    data = b"".join(records)
    taken, held, offset, _, sequence, ends, opcodes, counted = told(kernel, form, data, sizes)
    assert (taken, held, offset, sequence) == (len(data), b"", 1000 + len(data), len(records))
    assert (opcodes[BINARY], counted[0]) == (len(records), len(records))
    assert ends == [0, 1000 + len(data) if records else 0]


@relaxed
@given(
    form=st.sampled_from(FORMS),
    before=MESSAGES,
    sizes=SIZES,
    strange=st.sampled_from(["alert", "inner", "forged", "zeros", "huge", "empty"]),
)
@pytest.mark.parametrize("form_of_kernel", ["pure_kernel", "compiled_kernel"])
def test_everything_else_is_left_whole(
    request: pytest.FixtureRequest, form_of_kernel: str, form: int, before: list[int], sizes: list[int], strange: str
) -> None:
    """What was held and what was not taken are, in this order, the record that needs Python and all behind it."""
    kernel = request.getfixturevalue(form_of_kernel)
    data = b"".join(seal(form, number, frame(BINARY, bytes(size))) for number, size in enumerate(before))
    good = seal(form, len(before), frame(BINARY, b"next"))
    other = {
        "alert": b"\x15\x03\x03\0\x02\1\0",
        "inner": seal(AEAD_TLS13, len(before), b"\4\0\0\0", inner=22),
        "forged": good[:-1] + bytes((good[-1] ^ 1,)),
        "zeros": seal(AEAD_TLS13, len(before), b"", inner=0, padding=9),
        "huge": b"\x17\x03\x03\xff\xff" + bytes(50),
        "empty": b"\x17\x03\x03\0\0",
    }[strange]
    rest = other + good
    taken, held, offset, _, sequence, _, opcodes, _ = told(kernel, form, data + rest, sizes)
    assert held + (data + rest)[taken:] == rest
    assert (offset, sequence, opcodes[BINARY]) == (1000 + taken, len(before), len(before))


@relaxed
@given(records=st.lists(st.integers(1, 2000), max_size=6), sizes=SIZES, cut=st.integers(0, 30))
@pytest.mark.parametrize("form_of_kernel", ["pure_kernel", "compiled_kernel"])
def test_without_a_key_records_are_counted(
    request: pytest.FixtureRequest, form_of_kernel: str, records: list[int], sizes: list[int], cut: int
) -> None:
    kernel = request.getfixturevalue(form_of_kernel)
    whole = b"".join(struct.pack(">BHH", 23, 0x0301, size) + bytes(size) for size in records)
    reader, _, counts, _ = reader_of(kernel, None, held=whole[:cut] if not records or cut < HEADER_SIZE + records[0] else b"")
    data = whole[len(reader.held or b"") :]
    alert = b"\x15\x03\x03\0\x1a"
    taken = feed(kernel, reader, data + alert, sizes)
    assert bytes(reader.held or b"") + (data + alert)[taken:] == alert
    small = sum(size <= 1024 for size in records)
    assert (counts.application, counts.small, counts.last_size) == (len(records), small, records[-1] if records else 0)


def found(capture: bytes, name: str) -> Any:
    options = Options(keylogs=(SAMPLES / f"{name}.keys.log",), frames=True, payload=True)
    audit = run([capture], options)
    frames = [(each.key, *(list(getattr(each.log, column) or ()) for column in each.log.__slots__)) for each in audit.frames]
    return Report(audit, options).to_dict(), sorted(frames), audit.seen, audit.crashes


def recut(capture: bytes, size: int) -> bytes:
    """The same bytes in segments of at most `size`, the rest of each as a packet of its own."""
    header, records = read(capture)
    made = []
    for record in records:
        start = 14 if header[20] == 1 else 0
        packet = record.data[start:]
        head = 20 + (packet[32] >> 4) * 4
        if packet[0] != 0x45 or len(packet) <= head + size:
            made.append(record)
            continue
        sequence = int.from_bytes(packet[24:28], "big")
        for at in range(head, len(packet), size):
            piece = packet[at : at + size]
            ip = packet[:2] + struct.pack(">H", head + len(piece)) + packet[4:24]
            tcp = struct.pack(">I", (sequence + at - head) & 0xFFFFFFFF) + packet[28:head]
            data = record.data[:start] + ip + tcp + piece
            made.append(record._replace(data=data, length=len(data)))
    return write(header, made)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", ["none", "cut", *range(8)])
def test_what_the_kernel_takes_makes_no_difference(name: str, change: Any) -> None:
    capture = (SAMPLES / f"{name}.pcap").read_bytes()
    if change == "cut":
        capture = recut(capture, 7)
    elif change != "none":
        capture = mutated(capture, change)
    taken = found(capture, name)
    with patch.object(TlsTunnel, "reader", return_value=None):
        assert found(capture, name) == taken


@pytest.mark.parametrize("kernel", ["pure_kernel", "compiled_kernel"])
def test_a_record_opened_meanwhile_leaves_the_one_being_scanned_alone(kernel: str, request: pytest.FixtureRequest) -> None:
    """As when another thread takes its turn while Python hears of a control frame."""
    modules = request.getfixturevalue(kernel)
    other = modules.tls.Aead(CIPHER.decrypt_into, IV, AEAD_TLS13, 16)
    disturbing = seal(AEAD_TLS13, 9, b"\xff" * 500)[HEADER_SIZE:]
    opened = []

    class Listener:
        def control(self, *_: object) -> None:
            opened.append(other.open(9, 23, 0x0303, disturbing))

    reader = modules.tls.RecordReader(modules.tls.RecordCounts(), 0, b"", 0)
    scanner = modules.frames.Scanner(1, Listener())
    reader.open_with(modules.tls.Aead(CIPHER.decrypt_into, IV, AEAD_TLS13, 16), 0, scanner, [0, 0])
    data = seal(AEAD_TLS13, 0, frame(9, b"") + frame(1, b"a text that stays what it was"))
    assert feed(modules, reader, data, [len(data)]) == len(data)
    assert opened == [(23, b"\xff" * 500)]
    assert (scanner.text_messages, scanner.bad_text) == (1, 0)
