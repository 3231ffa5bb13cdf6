"""One connection from its first packet to its end: which layer takes its bytes, and what is made of captures that lack some."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest
import wire
from followed import OK, PLAIN, cut_talk, rows
from wire import C, S

import wsaudit

pytestmark = pytest.mark.usefixtures("known")
TLS = Path(__file__).resolve().parent.parent / "sample_pcaps" / "tls"


# -- flows that were cut ------------------------------------------------------------------------------------------------


def notices(capture: bytes, **how: Any) -> list[str]:
    report = wsaudit.audit(capture, **how)
    found = [notice["text"] for notice in report.to_dict()["notices"]]
    assert all(each.split(":")[0] in " ".join(report.to_text(width=400).split()) for each in found)
    return found


def answered_with(status: str, port: int) -> wire.Conversation:
    talk = wire.Conversation(("10.0.0.1", port)).open().send(C, wire.request("/" + "x" * 100))
    return talk.send(S, wire.response(status, {"X-Long": "x" * 100})).fin(S).fin(C)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("kept", [6, 60])
def test_flows_that_could_not_be_looked_into_are_counted(kept: int, jobs: int) -> None:
    """No connection may vanish without a word: who knows what the answer refused."""
    talks = [answered_with("403 Forbidden", 2000), answered_with("200 OK", 2001), answered_with("101 Switching", 2002)]
    capture = wire.pcap(wire.merge(*talks), snaplen=54 + kept)
    few = "2 flows" if kept == 60 else "3 flows"  # the 101 is one, with so much of it
    text = f"{few} could not be looked into: the capture cut the packets, to {kept} bytes of what TCP carries at most,"
    assert notices(capture, jobs=jobs) == [f"{text} where an opening handshake may have been"]
    assert wsaudit.audit(capture, jobs=jobs).to_dict()["summary"]["seen"]["cut_flows"] == int(few[0])


def test_a_cut_answer_to_a_request_that_was_not_captured_is_counted() -> None:
    talk = wire.Conversation().open().send(C, PLAIN).drop().send(S, wire.response("404 Not Found", {"X-Long": "x" * 200}))
    assert len(notices(talk.ack(C).fin(S).fin(C).pcap(snaplen=100))) == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_flows_of_which_only_headers_were_captured_are_counted(jobs: int) -> None:
    capture = wire.pcap(wire.merge(*(cut_talk(2000 + i) for i in range(7))), snaplen=54)
    words = "could not be looked into: the capture cut the packets where an opening handshake may have been"
    assert notices(capture, jobs=jobs) == [f"7 flows {words}"]


def test_flows_that_were_looked_into_are_not_counted() -> None:
    """Bodies that were cut, requests that are whole and ask for no upgrade, what a whole capture has, other protocols."""
    long = wire.Conversation(("10.0.0.1", 2000)).open().send(C, PLAIN).send(S, OK.replace(b"5", b"500") + b"x" * 495).fin(S)
    other = wire.Conversation(("10.0.0.1", 2001)).open().send(S, b"SSH-2.0-" + b"x" * 400).send(C, b"SSH-2.0-" + b"x" * 400)
    capture = wire.pcap(wire.merge(long, other, cut_talk(2002)), snaplen=400)
    assert notices(capture) == []
    assert notices(answered_with("403 Forbidden", 2000).pcap()) == []


def test_tls_that_was_cut_is_counted() -> None:
    document = wsaudit.audit(cut((TLS / "tls13-aes128-gcm.pcap").read_bytes(), 100)).to_dict()
    assert document["summary"]["seen"]["cut_flows"] == document["summary"]["seen"]["tls_connections"] > 0


def cut(capture: bytes, snaplen: int) -> bytes:
    """A pcap file in which no packet is longer."""
    made, at = [capture[:24]], 24
    while at < len(capture):
        *time, size, whole = struct.unpack_from("<IIII", capture, at)
        made += [struct.pack("<IIII", *time, min(size, snaplen), whole), capture[at + 16 : at + 16 + min(size, snaplen)]]
        at += 16 + size
    return b"".join(made)


# -- TLS -----------------------------------------------------------------------------------------------------------------


EXPECTED: dict[str, int] = json.loads((TLS / "expected.json").read_text(encoding="utf-8"))["connections"]


@pytest.mark.parametrize("name", list(EXPECTED))
def test_decrypted_connections(name: str) -> None:
    """With the keys a WebSocket is found as in cleartext; without them nothing is claimed."""
    data = (TLS / f"{name}.pcap").read_bytes()
    found = [row for row in rows(data, keylog=TLS / f"{name}.keys.log") if row["websocket"] == "confirmed"]
    assert [row["transport"] for row in found] == ["tls"] * len(found)
    assert all(row["tls"]["decrypted"] for row in found)
    assert {row["websocket"] for row in rows(data)} <= {"probable"}


def test_tls_and_cleartext_tell_the_same() -> None:
    """Above the tunnel nothing can tell that there was TLS."""
    name = "tls13-node"
    [row] = rows((TLS / f"{name}.pcap").read_bytes(), keylog=TLS / f"{name}.keys.log")
    assert row["handshake"]["outcome"] == "accepted"
    assert sum(row["frames"]["client"].values()) > 0
    assert row["close"]["client"] is not None


# -- no WebSocket --------------------------------------------------------------------------------------------------------


def random_bytes(chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice((1, 5, 40, 300, 1400)))


def ascii_text(chance: random.Random) -> bytes:
    words = ("LOGIN", "250 OK", "select * from t", '{"a":1}', "\r\n", "user=x&y=z", "<html>", "PING", "- - [")
    return " ".join(chance.choice(words) for _ in range(chance.randint(1, 40))).encode()


def tls_records(chance: random.Random) -> bytes:
    made = b""
    for _ in range(chance.randint(1, 3)):
        body = chance.randbytes(chance.randint(16, 600))
        made += bytes((chance.choice((0x15, 0x17, 0x17, 0x17)), 3, 3)) + len(body).to_bytes(2, "big") + body
    return made


def small_binary(chance: random.Random) -> bytes:
    """A binary protocol: types, small lengths, counters: the likeliest to be taken for frames."""
    made = b""
    for _ in range(chance.randint(1, 4)):
        body = bytes(chance.choice((0, 0, 0, 1, 2, 65)) for _ in range(chance.randint(0, 30)))
        made += bytes((chance.choice((1, 2, 3, 129, 130)), len(body))) + body
    return made


def mqtt(chance: random.Random) -> bytes:
    body = chance.randbytes(chance.randint(2, 60))
    return bytes((chance.choice((0x30, 0x40, 0x82, 0x90)), len(body))) + body


def ssh_packets(chance: random.Random) -> bytes:
    body = chance.randbytes(chance.choice((12, 28, 44, 300)))
    return len(body).to_bytes(4, "big") + body


PROTOCOLS = [random_bytes, ascii_text, tls_records, mqtt, ssh_packets]


def confirmed(capture: bytes) -> list[dict[str, Any]]:
    return [row for row in rows(capture) if row["websocket"] == "confirmed"]


CUTS = [262144, *range(54 + 2, 54 + 40, 3)]  # nothing is cut; or only the first bytes of what TCP carries are there


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_protocols_whose_packets_were_cut_are_no_websocket(protocol: Any) -> None:
    chance = random.Random(3)
    talks = []
    for i in range(200):
        talk = wire.Conversation(("10.0.0.1", 1025 + i), ("10.0.0.2", 5000), start=wire.START + i)
        for _ in range(20):
            talk.send(chance.choice((C, S)), protocol(chance))
        talks.append(talk)
    for snaplen in CUTS[1:]:
        assert confirmed(wire.pcap(wire.merge(*talks), snaplen=snaplen)) == []


@pytest.mark.parametrize("protocol", [*PROTOCOLS, small_binary])
def test_other_protocols_behind_heads_that_were_cut_are_no_websocket(protocol: Any) -> None:
    """A GET and an answer, cut so early that it may have been a 101; then bodies, and what not."""
    chance = random.Random(4)
    talks = []
    for i in range(200):
        talk = wire.Conversation(("10.0.0.1", 1025 + i), ("10.0.0.2", 5000), start=wire.START + i).open()
        talk.send(C, PLAIN).send(S, OK.replace(b"200", b"100") + protocol(chance))
        for _ in range(20):
            talk.send(chance.choice((S, S, C)), protocol(chance))
        talks.append(talk)
    for snaplen in CUTS[1:5]:
        assert confirmed(wire.pcap(wire.merge(*talks), snaplen=snaplen)) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_protocols_seen_from_the_middle_are_no_websocket(protocol: Any) -> None:
    chance = random.Random(1)
    talks = []
    for i in range(150):
        talk = wire.Conversation(("10.0.0.1", 1025 + i), ("10.0.0.2", 5000), start=wire.START + i)
        for _ in range(20):
            talk.send(chance.choice((C, S)), protocol(chance))
        talks.append(talk)
    assert confirmed(wire.pcap(wire.merge(*talks))) == []


@pytest.mark.parametrize("protocol", [*PROTOCOLS, small_binary])
def test_other_protocols_behind_a_handshake_are_no_websocket(protocol: Any) -> None:
    chance = random.Random(2)
    talks = []
    for i in range(100):
        talk = wire.Conversation(("10.0.0.1", 1025 + i), ("10.0.0.2", 5000), start=wire.START + i).open()
        for _ in range(10):
            talk.send(chance.choice((C, S)), protocol(chance))
        talks.append(talk)
    assert confirmed(wire.pcap(wire.merge(*talks))) == []
