"""TlsTunnel on recordings of real OpenSSL endpoints (sample_pcaps/tls) and on what can be done to them."""

from __future__ import annotations

import json
import random
import traceback
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tls.flows import Flow, Limits, plaintext, read_flows, run

from wsaudit.tls.facts import FAILURES, REASONS
from wsaudit.tls.keylog import KeyStore
from wsaudit.tls.tunnel import CLIENT, SERVER, Chunk, Events, PlainGap, TlsTunnel

FOLDER = Path(__file__).resolve().parents[2] / "sample_pcaps" / "tls"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
SAID = (bytes.fromhex(EXPECTED["said"]["client"]), bytes.fromhex(EXPECTED["said"]["server"]))
CONNECTIONS = [(name, number) for name, count in EXPECTED["connections"].items() for number in range(count)]

SECOND = 1  # the resumed connection of a recording with two

every_connection = pytest.mark.parametrize(("name", "number"), CONNECTIONS)


@cache
def flow(name: str, number: int = 0) -> Flow:
    return read_flows(FOLDER / f"{name}.pcap")[number]


def key_log(name: str) -> bytes:
    return (FOLDER / f"{name}.keys.log").read_bytes()


def keys_of(name: str) -> KeyStore:
    store = KeyStore()
    assert store.add(key_log(name)) == []
    return store


def lines(name: str, *labels: bytes) -> bytes:
    """The lines of a key log that begin with one of `labels`."""
    return b"".join(line for line in key_log(name).splitlines(keepends=True) if line.startswith(labels))


def store_of(text: bytes) -> KeyStore:
    store = KeyStore()
    store.add(text)
    return store


def without(whole: Flow, lost: int, keys: KeyStore) -> tuple[TlsTunnel, Events]:
    """Run a flow with one segment missing."""
    tunnel = TlsTunnel(keys, Limits())
    events: Events = []
    for number, (side, data, offset, time, packet) in enumerate(whole.segments):
        if number == lost:
            events += tunnel.gap(side, offset, len(data), time, packet)
        else:
            events += tunnel.feed(side, data, offset, time, packet)
    return tunnel, events + tunnel.finish()


def test_every_capture_has_its_key_log_and_connections() -> None:
    assert {path.stem for path in FOLDER.glob("*.pcap")} == set(EXPECTED["connections"])
    assert all(len(read_flows(FOLDER / f"{name}.pcap")) == count for name, count in EXPECTED["connections"].items())


@every_connection
def test_plaintext_is_what_the_endpoints_wrote(name: str, number: int) -> None:
    tunnel, events = run(flow(name, number), keys_of(name))
    assert plaintext(events) == SAID
    assert all(isinstance(event, Chunk) for event in events)
    facts = tunnel.facts
    assert (facts.decrypted, facts.why_not, facts.handshake_complete, facts.handshake_failed) == (True, None, True, None)
    assert facts.close_notify == [True, True]
    assert [alert.name for alert in facts.alerts] == ["close_notify"] * 2
    assert facts.sni == "sample.example"
    assert facts.partial_record == [False, False]


@every_connection
def test_byte_by_byte(name: str, number: int) -> None:
    whole = flow(name, number)
    single = [
        (side, data[at : at + 1], offset + at, time, packet)
        for side, data, offset, time, packet in whole.segments
        for at in range(len(data))
    ]
    _, events = run(replace(whole, segments=single), keys_of(name))
    assert events == run(whole, keys_of(name))[1]


@every_connection
def test_memoryviews_and_trailing_data(name: str, number: int) -> None:
    whole = flow(name, number)
    segments = [(side, memoryview(data), *rest) for side, data, *rest in whole.segments]
    end = whole.ends[SERVER]
    last = (SERVER, b"\x17\x03\x03\x40\x00 and the capture ends", end, 0, 99)
    tunnel, events = run(replace(whole, segments=[*segments, last]), keys_of(name))  # type: ignore[list-item]
    assert plaintext(events) == SAID
    assert tunnel.facts.partial_record == [False, True]


@every_connection
def test_chunks_name_their_place(name: str, number: int) -> None:
    whole = flow(name, number)
    _, events = run(whole, keys_of(name))
    ends = [0, 0]
    for chunk in events:
        assert isinstance(chunk, Chunk)
        assert ends[chunk.side] < chunk.tcp_end <= whole.ends[chunk.side]
        ends[chunk.side] = chunk.tcp_end
        holder = [s for s in whole.segments if s[0] == chunk.side and s[2] < chunk.tcp_end <= s[2] + len(s[1])]
        assert [(s[3], s[4]) for s in holder] == [(chunk.time, chunk.packet)]


VERSIONS = {"tls10": "TLS 1.0", "tls11": "TLS 1.1", "tls12": "TLS 1.2", "tls13": "TLS 1.3"}


@every_connection
def test_version(name: str, number: int) -> None:
    assert run(flow(name, number), keys_of(name))[0].facts.version == VERSIONS[name[:5]]


@pytest.mark.parametrize(
    ("name", "cipher"),
    [
        ("tls12-aes256-gcm", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        ("tls12-aes256-ccm8", "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8"),
        ("tls12-aes256-sha384-mte", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"),
        ("tls13-chacha20", "TLS_CHACHA20_POLY1305_SHA256"),
    ],
)
def test_cipher(name: str, cipher: str) -> None:
    assert run(flow(name), keys_of(name))[0].facts.cipher == cipher


@pytest.mark.parametrize("name", ["tls12-aes128-gcm", "tls13-resumption", "tls13-node"])
def test_alpn(name: str) -> None:
    facts = run(flow(name), keys_of(name))[0].facts
    assert (facts.alpn, facts.alpn_offered) == ("http/1.1", ("http/1.1",))


@pytest.mark.parametrize("name", ["tls12-ticket", "tls12-session-id", "tls13-resumption"])
def test_resumption(name: str) -> None:
    assert [run(flow(name, number), keys_of(name))[0].facts.resumed for number in (0, SECOND)] == [False, True]


def test_early_data_accepted() -> None:
    tunnel, events = run(flow("tls13-early-data", SECOND), keys_of("tls13-early-data"))
    assert tunnel.facts.early_data == "accepted"
    assert tunnel.facts.early_data_bytes == 0
    assert events[0].side == CLIENT


def test_rejected_early_data_is_counted_and_not_delivered() -> None:
    name = "tls13-early-data-rejected"
    tunnel, events = run(flow(name, SECOND), keys_of(name))
    request = SAID[CLIENT].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert (tunnel.facts.early_data, tunnel.facts.early_data_bytes) == ("rejected", len(request))
    assert plaintext(events)[CLIENT].count(request) == 1


def test_early_data_without_its_secret_is_a_gap_or_nothing() -> None:
    later = b"CLIENT_HANDSHAKE", b"SERVER_HANDSHAKE", b"CLIENT_TRAFFIC", b"SERVER_TRAFFIC"
    accepted = "tls13-early-data"
    tunnel, events = run(flow(accepted, SECOND), store_of(lines(accepted, *later)))
    assert isinstance(events[0], PlainGap)
    request = SAID[CLIENT].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert plaintext(events) == (SAID[CLIENT].removeprefix(request), SAID[SERVER])
    rejected = "tls13-early-data-rejected"
    tunnel, events = run(flow(rejected, SECOND), store_of(lines(rejected, *later)))
    assert plaintext(events) == SAID
    assert tunnel.facts.early_data_bytes > len(request)


def test_key_update() -> None:
    tunnel, _ = run(flow("tls13-key-update"), keys_of("tls13-key-update"))
    assert min(tunnel.facts.key_updates) >= 1


def test_renegotiation() -> None:
    tunnel, _ = run(flow("tls12-renegotiation"), keys_of("tls12-renegotiation"))
    assert tunnel.facts.renegotiations == 1


# --- keys ---


@every_connection
def test_keys_that_come_at_the_end(name: str, number: int) -> None:
    keys = KeyStore()
    tunnel = TlsTunnel(keys, Limits())
    assert all(tunnel.feed(*segment) == [] for segment in flow(name, number).segments)
    assert tunnel.facts.why_not == "no-key-log"
    assert keys.held > 0
    keys.add(key_log(name))
    events = tunnel.finish()
    assert plaintext(events) == SAID
    assert [c.time for c in events] == sorted(c.time for c in events)
    assert (tunnel.facts.why_not, keys.held) == (None, 0)


@every_connection
def test_keys_that_come_in_between(name: str, number: int) -> None:
    segments = flow(name, number).segments
    for moment in range(1, len(segments)):
        keys = KeyStore()
        tunnel = TlsTunnel(keys, Limits())
        events: Events = []
        for at, segment in enumerate(segments):
            if at == moment:
                keys.add(key_log(name))
            events += tunnel.feed(*segment)
        assert plaintext(events + tunnel.finish()) == SAID
        assert keys.held == 0


@pytest.mark.parametrize("name", [name for name in EXPECTED["connections"] if not name.startswith("tls10")])
def test_limit_of_what_is_held_back(name: str) -> None:
    """The start is kept, the end too because the numbers of the records between are known; the loss is told."""
    whole = flow(name)
    full = {(c.side, c.tcp_end): c.data for c in run(whole, keys_of(name))[1] if isinstance(c, Chunk)}
    keys = KeyStore()
    limits = Limits(tls_buffer=3900)
    tunnel = TlsTunnel(keys, limits)
    events: Events = []
    for segment in whole.segments[:-4]:
        events += tunnel.feed(*segment)
        assert keys.held <= limits.tls_buffer
    keys.add(key_log(name))
    for segment in whole.segments[-4:]:
        events += tunnel.feed(*segment)
    events += tunnel.finish()
    chunks = {(c.side, c.tcp_end): c.data for c in events if isinstance(c, Chunk)}
    assert chunks.items() < full.items()
    assert {side for side, _ in full.keys() - chunks.keys()} == {e.side for e in events if isinstance(e, PlainGap)}
    assert max(chunks) == max(full)
    assert (tunnel.facts.why_not, keys.held) == ("waiting-limit", 0)


def test_limit_of_all_connections_together() -> None:
    keys = KeyStore(most_held=5000)
    tunnels = [TlsTunnel(keys, Limits()) for _ in range(20)]
    for tunnel in tunnels:
        for segment in flow("tls13-aes256-gcm").segments:
            tunnel.feed(*segment)
    assert 0 < keys.held <= 5000
    for tunnel in tunnels:
        tunnel.finish()
    assert keys.held == 0


@pytest.mark.parametrize("name", [name for name in EXPECTED["connections"] if name.startswith("tls13")])
def test_application_secrets_alone_are_enough(name: str) -> None:
    tunnel, events = run(flow(name), store_of(lines(name, b"CLIENT_TRAFFIC", b"SERVER_TRAFFIC")))
    assert plaintext(events) == SAID
    assert tunnel.facts.handshake_complete


@pytest.mark.parametrize("label", [b"CLIENT_TRAFFIC", b"SERVER_TRAFFIC"])
def test_one_side_alone(label: bytes) -> None:
    tunnel, events = run(flow("tls13-aes128-gcm"), store_of(lines("tls13-aes128-gcm", label)))
    side = int(label.startswith(b"SERVER"))
    assert plaintext(events)[side] == SAID[side]
    assert plaintext(events)[1 - side] == b""
    assert tunnel.facts.why_not == "incomplete-keys"


@pytest.mark.parametrize("name", ["tls12-rsa-aes128-gcm", "tls12-rsa-no-extended-master"])
def test_premaster_secrets(name: str) -> None:
    """`RSA` lines give the pre-master secret, with and without the extended master secret."""
    assert plaintext(run(flow(name), store_of(lines(name, b"RSA")))[1]) == SAID
    word = lines(name, b"CLIENT_RANDOM").split()[1]
    premaster = lines(name, b"RSA").split()[2]
    assert plaintext(run(flow(name), store_of(b"PMS_CLIENT_RANDOM %s %s" % (word, premaster)))[1]) == SAID


def test_master_secret_by_session_id() -> None:
    name = "tls12-session-id"
    hello = flow(name).segments[1][1]
    session_id = hello[44 : 44 + hello[43]]
    master = lines(name, b"CLIENT_RANDOM").split()[2]
    keys = store_of(b"RSA Session-ID:%s Master-Key:%s\n" % (session_id.hex().encode(), master))
    assert [plaintext(run(flow(name, number), keys)[1]) for number in (0, SECOND)] == [SAID, SAID]


# --- why not ---


def test_reason_no_key_for_client_random() -> None:
    tunnel, events = run(flow("tls13-aes128-gcm"), keys_of("tls12-aes128-gcm"))
    assert (events, tunnel.facts.decrypted, tunnel.facts.why_not) == ([], False, "no-key-for-client-random")
    assert tunnel.facts.cipher == "TLS_AES_128_GCM_SHA256"
    assert tunnel.facts.handshake_complete


@every_connection
def test_reason_wrong_keys(name: str, number: int) -> None:
    """Right client random, other secrets."""
    wrong = b"".join(
        b" ".join([*line.split()[:2], bytes(reversed(line.split()[2]))]) + b"\n" for line in lines(name, b"C", b"S").splitlines()
    )
    tunnel, events = run(flow(name, number), store_of(wrong))
    assert (events, tunnel.facts.decrypted, tunnel.facts.why_not, tunnel.opaque) == ([], False, "wrong-keys", True)


@every_connection
def test_reason_handshake_not_captured(name: str, number: int) -> None:
    whole = flow(name, number)
    late = replace(whole, segments=whole.segments[-9:])
    tunnel, events = run(late, keys_of(name))
    assert (events, tunnel.facts.why_not) == ([], "handshake-not-captured")


@pytest.mark.parametrize(
    ("server_hello", "reason"),
    [
        ("0300" + "00" * 32 + "00" + "c02f" + "00", "unsupported-version"),
        ("7f1c" + "00" * 32 + "00" + "1301" + "00", "unsupported-version"),
        ("0303" + "00" * 32 + "00" + "0005" + "00", "unsupported-cipher"),
        ("0303" + "00" * 32 + "00" + "1301" + "00", "unsupported-cipher"),
        ("0301" + "00" * 32 + "00" + "c02f" + "00", "unsupported-cipher"),
        ("0303" + "00" * 32 + "00" + "c02f" + "01", "compressed"),
    ],
)
def test_reason_unsupported(server_hello: str, reason: str) -> None:
    body = bytes.fromhex(server_hello)
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    tunnel = TlsTunnel(KeyStore(), Limits())
    tunnel.feed(*flow("tls12-aes128-gcm").segments[0])
    tunnel.feed(SERVER, b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message, 0, 1, 2)
    assert (tunnel.facts.why_not, tunnel.opaque) == (reason, True)


@every_connection
def test_nothing_is_held_when_no_key_can_come(name: str, number: int) -> None:
    waiting = run(flow(name, number), KeyStore())[0].facts
    keys = KeyStore()
    keys.final = True
    tunnel = TlsTunnel(keys, Limits())
    for segment in flow(name, number).segments:
        tunnel.feed(*segment)
    assert keys.held == 0
    tunnel.finish()
    facts = tunnel.facts
    assert (facts.why_not, tunnel.opaque) == ("no-key-log", True)
    assert facts.handshake_complete
    assert waiting.handshake_complete
    assert [(side.application, side.small, side.last_size, side.handshake) for side in facts.records] == [
        (side.application, side.small, side.last_size, side.handshake) for side in waiting.records
    ]


def test_a_cipher_that_cannot_be_opened_is_no_failed_handshake() -> None:
    keys = KeyStore()
    tunnel = TlsTunnel(keys, Limits())
    for side, data, *place in flow("tls12-aes128-gcm").segments:
        tunnel.feed(side, data.replace(b"\xc0\x2f\0", b"\xc0\x11\0"), *place)  # RC4
    tunnel.finish()
    facts = tunnel.facts
    assert (facts.why_not, facts.handshake_complete, keys.held) == ("unsupported-cipher", True, 0)
    assert all(side.application for side in facts.records)


def test_reason_not_tls() -> None:
    tunnel = TlsTunnel(KeyStore(), Limits())
    tunnel.feed(*flow("tls13-aes128-gcm").segments[0])
    assert tunnel.feed(SERVER, b"HTTP/1.1 400 Bad Request\r\n\r\n", 0, 1, 2) == []
    facts = tunnel.facts
    assert (facts.why_not, facts.handshake_failed, facts.failed_by) == ("not-tls", "not-tls", SERVER)


def test_nothing_is_held_when_the_handshake_was_not_captured() -> None:
    keys = KeyStore()
    tunnel = TlsTunnel(keys, Limits())
    record = b"\x17\x03\x03\x00\x30" + bytes(48)
    tunnel.feed(SERVER, record * 9, 0, 1, 1)
    assert keys.held > 0  # the ClientHello might still come
    tunnel.feed(CLIENT, record, 0, 2, 2)
    assert (tunnel.opaque, tunnel.facts.why_not, keys.held) == (True, "handshake-not-captured", 0)


def test_only_a_client_hello() -> None:
    tunnel = TlsTunnel(KeyStore(), Limits())
    tunnel.feed(*flow("tls13-aes128-gcm").segments[0])
    assert tunnel.finish() == []
    assert (tunnel.facts.why_not, tunnel.facts.handshake_complete) == ("handshake-incomplete", False)


def test_vocabulary() -> None:
    assert all(text and not text.endswith(".") for text in (*REASONS.values(), *FAILURES.values()))


# --- alerts ---


@pytest.mark.parametrize(
    ("side", "code", "failure"),
    [
        (SERVER, 40, "no-common-cipher"),
        (SERVER, 71, "no-common-cipher"),
        (SERVER, 70, "protocol-version"),
        (SERVER, 112, "server-name"),
        (SERVER, 120, "no-common-protocol"),
        (SERVER, 47, "protocol"),
        (CLIENT, 48, "certificate"),
        (CLIENT, 45, "certificate"),
        (CLIENT, 40, "protocol"),
    ],
)
def test_handshake_failures(side: int, code: int, failure: str) -> None:
    tunnel = TlsTunnel(KeyStore(), Limits())
    hello = flow("tls13-aes128-gcm").segments[0]
    tunnel.feed(*hello)
    tunnel.feed(side, b"\x15\x03\x03\x00\x02\x02" + bytes((code,)), len(hello[1]) if side == CLIENT else 0, 7, 8)
    facts = tunnel.facts
    assert (facts.handshake_failed, facts.failed_by) == (failure, side)
    (alert,) = facts.alerts
    assert (alert.side, alert.level, alert.code, alert.time, alert.packet, alert.encrypted) == (side, 2, code, 7, 8, False)


def test_encrypted_alerts_without_keys() -> None:
    tunnel, _ = run(flow("tls12-aes128-gcm"), KeyStore())
    assert [(a.side, a.code, a.encrypted) for a in tunnel.facts.alerts] == [(SERVER, None, True), (CLIENT, None, True)]
    assert tunnel.facts.close_notify == [False, False]


def test_record_counts_need_no_keys() -> None:
    facts = run(flow("tls13-aes128-gcm"), KeyStore())[0].facts
    client = facts.records[CLIENT]
    assert client.application >= 5
    assert client.small < client.application  # one frame is larger
    assert client.handshake == 1


# --- lost and damaged records ---


@every_connection
def test_one_lost_segment(name: str, number: int) -> None:
    """What is opened around a hole is right, a loss is told, and behind the hole it goes on."""
    whole = flow(name, number)
    keys = keys_of(name)
    full = {(c.side, c.tcp_end): c.data for c in run(whole, keys)[1] if isinstance(c, Chunk)}
    for lost, (side, data, offset, _, _) in enumerate(whole.segments):
        tunnel, events = without(whole, lost, keys)
        chunks = {(c.side, c.tcp_end): c.data for c in events if isinstance(c, Chunk)}
        assert chunks.items() <= full.items()
        missing = full.keys() - chunks.keys()
        if not tunnel.facts.decrypted:
            assert tunnel.facts.why_not in ("handshake-not-captured", "lost-records")
            continue
        assert {s for s, _ in missing} <= {e.side for e in events if isinstance(e, PlainGap)}
        if name != "tls12-renegotiation" and not name.startswith("tls10"):
            behind = sorted(end for s, end in full if s == side and end >= offset + len(data))[1:]
            assert all((side, end) in chunks for end in behind)
            assert all(s == side for s, _ in missing)


@pytest.mark.parametrize("name", [name for name in EXPECTED["connections"] if name.startswith("tls13")])
def test_a_lost_server_hello(name: str) -> None:
    """In TLS 1.3 the key log tells all that is needed; the first of two is a HelloRetryRequest or cannot be told from one."""
    whole, keys = flow(name), keys_of(name)
    known = run(whole, keys)[0].facts
    for lost, (side, data, *_) in enumerate(whole.segments):
        if side == SERVER and data.startswith(b"\x16\x03\x03") and data[5] == 2:
            tunnel, events = without(whole, lost, keys)
            facts = tunnel.facts
            assert (facts.decrypted, facts.why_not, facts.version, facts.cipher) == (True, None, "TLS 1.3", known.cipher)
            assert plaintext(events)[CLIENT] == SAID[CLIENT]


@pytest.mark.parametrize("name", ["tls12-aes128-gcm", "tls12-aes128-ccm"])
def test_length_of_a_gap_inside_one_record(name: str) -> None:
    """TLS 1.2 tells how much plaintext a record has."""
    whole = flow(name)
    _, events = run(whole, keys_of(name))
    big = next(c for c in events if isinstance(c, Chunk) and len(c.data) > 1460)
    lost = next(n for n, s in enumerate(whole.segments) if s[0] == big.side and s[2] + len(s[1]) == big.tcp_end)
    gaps = [e for e in without(whole, lost, keys_of(name))[1] if isinstance(e, PlainGap)]
    assert [(g.side, g.length) for g in gaps] == [(big.side, len(big.data))]


def test_many_lost_records() -> None:
    """More records are missing than segments: the sequence number is searched for."""
    name = "tls13-small-records"
    whole = flow(name)
    keys = keys_of(name)
    tunnel = TlsTunnel(keys, Limits())
    events: Events = []
    stream = b"".join(s[1] for s in whole.segments if s[0] == SERVER)
    chunks = [c for c in run(whole, keys)[1] if c.side == SERVER]
    start, stop = chunks[0].tcp_end + 3, chunks[-2].tcp_end - 3  # type: ignore[union-attr]
    events += tunnel.feed(*whole.segments[0])
    events += tunnel.feed(SERVER, stream[:start], 0, 1, 1)
    events += tunnel.gap(SERVER, start, stop - start, 2, 2)
    events += tunnel.feed(SERVER, stream[stop:], stop, 3, 3)
    assert [type(e) for e in events] == [Chunk, PlainGap, Chunk]
    assert events[-1].data == chunks[-1].data  # type: ignore[union-attr]


@every_connection
def test_a_damaged_record_ends_its_direction(name: str, number: int) -> None:
    whole = flow(name, number)
    keys = keys_of(name)
    chunks = [c for c in run(whole, keys)[1] if isinstance(c, Chunk) and c.side == SERVER]
    broken = len(chunks) // 2
    segments = []
    for side, data, offset, time, packet in whole.segments:
        at = chunks[broken].tcp_end - 3 - offset
        if side == SERVER and 0 <= at < len(data):
            data = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
        segments.append((side, data, offset, time, packet))
    tunnel, events = run(replace(whole, segments=segments), keys)
    assert plaintext(events) == (SAID[CLIENT], b"".join(c.data for c in chunks[:broken]))
    assert [e.side for e in events if isinstance(e, PlainGap)] == [SERVER]
    assert (tunnel.facts.why_not, tunnel.facts.decrypted) == ("corrupt-record", True)


# --- hostile input ---


@settings(max_examples=60)
@given(seed=st.integers(0, 1 << 32), which=st.sampled_from(CONNECTIONS))
def test_mutations_raise_nothing_and_invent_nothing(seed: int, which: tuple[str, int]) -> None:
    name, number = which
    whole = flow(name, number)
    keys = keys_of(name)
    full = {c.data for c in run(whole, keys)[1] if isinstance(c, Chunk)}
    chance = random.Random(seed)
    tunnel = TlsTunnel(keys if chance.random() < 0.8 else KeyStore(), Limits(tls_buffer=chance.choice([1000, 1 << 20])))
    events: Events = []
    ends = [0, 0]
    for side, data, _, time, packet in whole.segments:
        act = chance.randrange(8)
        if act == 0:
            events += tunnel.gap(side, ends[side], len(data), time, packet)
            ends[side] += len(data)
            continue
        at = chance.randrange(len(data))
        if act == 1:
            data = data[:at] + chance.randbytes(chance.randrange(1, 9)) + data[at:]
        elif act == 2:
            data = data[:at] + bytes((chance.randrange(256),)) + data[at + 1 :]
        elif act == 3:
            data = data[at:] + data[:at]
        events += tunnel.feed(side, data, ends[side], time, packet)
        ends[side] += len(data)
    events += tunnel.finish()
    opened = {e.data for e in events if isinstance(e, Chunk) and tunnel.facts.decrypted}
    assert opened <= full


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 1), st.binary(max_size=200)), max_size=20))
def test_arbitrary_bytes(pieces: list[tuple[int, bytes]]) -> None:
    keys = KeyStore()
    tunnel = TlsTunnel(keys, Limits())
    ends = [0, 0]
    for side, data in pieces:
        for kind in (b"", b"\x16\x03\x03" + len(data).to_bytes(2, "big")):
            tunnel.feed(side, kind + data, ends[side], 1, 1)
            ends[side] += len(kind + data)
    tunnel.finish()
    assert not tunnel.facts.decrypted
    assert keys.held == 0


def test_search_after_holes_is_bounded() -> None:
    """A capture full of holes and records that nothing opens: the trials stay in proportion to the bytes."""
    name = "tls13-aes128-gcm"
    tunnel = TlsTunnel(keys_of(name), Limits())
    for segment in flow(name).segments[:8]:
        tunnel.feed(*segment)
    record = b"\x17\x03\x03\x00\x40" + bytes(64)
    fed = 0
    for number in range(2000):
        tunnel.gap(SERVER, 1 << 20, 1 << 30, number, number)
        tunnel.feed(SERVER, record * 4, 1 << 30, number, number)
        fed += 4 * len(record)
    tunnel.finish()
    assert tunnel._effort <= (1 << 20) + 64 * (fed + 20_000)
    assert tunnel.facts.why_not == "lost-records"


def test_secrets_show_nowhere() -> None:
    name = "tls13-aes128-gcm"
    keys = keys_of(name)
    tunnel, _ = run(flow(name), keys)
    secrets = {line.split()[2].lower() for line in lines(name, b"C", b"S").splitlines()}
    direction = tunnel._directions[CLIENT]
    shown = [repr(thing) for thing in (keys, tunnel, tunnel.facts, direction, direction.keys, tunnel._session)]
    try:
        keys.lookup("NO_SUCH_LABEL", b"")
    except KeyError:
        shown.append(traceback.format_exc())
    text = "".join(shown).lower().encode()
    assert not [secret for secret in secrets if secret in text or repr(bytes.fromhex(secret.decode())).encode() in text]
