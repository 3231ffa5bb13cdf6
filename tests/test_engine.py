"""However the packets come (file, pipe, bytes, list; one process or several; one file or many) the report is the same."""

from __future__ import annotations

import io
import itertools
import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import wire
from properties.mutate import read, write

import wsaudit

SAMPLES = Path(__file__).resolve().parent.parent / "sample_pcaps"
SMALL = sorted(path.name for path in SAMPLES.glob("*.pcap") if path.stat().st_size < 100_000)


def document(captures: Any, **how: Any) -> dict[str, Any]:
    """The JSON report, but for the names and sizes of inputs."""
    found: dict[str, Any] = json.loads(json.dumps(wsaudit.audit(captures, **how).to_dict(), default=str))
    return found


def without_inputs(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "inputs"}


@cache
def serial(name: str) -> str:
    return json.dumps(without_inputs(document(SAMPLES / name)), sort_keys=True)


class Pipe(io.RawIOBase):
    """A stream that gives its bytes once, in small uneven pieces, and cannot seek."""

    def __init__(self, data: bytes, seed: int = 0) -> None:
        self.left = io.BytesIO(data)
        self.chance = random.Random(seed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.left.read(min(len(buffer), self.chance.randint(1, 3000)))
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("name", SMALL)
def test_a_file_a_pipe_and_bytes(name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    for capture in (data, io.BytesIO(data), Pipe(data), Pipe(data, 1)):
        assert json.dumps(without_inputs(document(capture)), sort_keys=True) == serial(name)


@pytest.mark.parametrize("name", ["violations-by-client.pcap", "lossy-capture.pcap", "midstream.pcap"])
def test_a_list_of_scapy_packets(name: str) -> None:
    import scapy.layers.l2  # noqa: F401 - what knows Ethernet; without it the reader gives bytes and no packets
    from scapy.utils import rdpcap

    found = document(list(rdpcap(str(SAMPLES / name))))
    expected = json.loads(serial(name))
    assert found["connections"] == expected["connections"]
    assert found["findings"] == expected["findings"]


@pytest.mark.parametrize("jobs", [2, 3])
def test_jobs_change_nothing(jobs: int) -> None:
    """All samples as one audit: byte for byte the same report."""
    captures = [SAMPLES / name for name in SMALL]
    alone = json.dumps(document(captures), sort_keys=True)
    assert json.dumps(document(captures, jobs=jobs), sort_keys=True) == alone


def pieces(data: bytes, seed: int) -> list[bytes]:
    """A capture as a rotated one: cut between packets, in any order."""
    chance = random.Random(seed)
    header, records = read(data)
    cuts = sorted(chance.sample(range(1, len(records)), min(len(records) - 1, chance.randint(1, 4))))
    made = [write(header, records[a:b]) for a, b in zip([0, *cuts], [*cuts, len(records)], strict=True)]
    chance.shuffle(made)
    return made


def unnumbered(value: Any) -> Any:
    """A report without packet numbers, which count from 1 in each file, and what is made of them."""
    numbers = ("packet", "first_packet", "last_packet", "input", "inputs", "id", "evidence", "detail", "confirm", "fingerprint")
    if isinstance(value, dict):
        return {name: unnumbered(each) for name, each in value.items() if name not in numbers}
    return [unnumbered(each) for each in value] if isinstance(value, list) else value


def in_time_order(data: bytes) -> bool:
    times = [record.head for record in read(data)[1]]
    numbers = [(int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")) for head in times]
    return all(a < b for a, b in itertools.pairwise(numbers))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("seed", range(3))
def test_rotated_files_in_any_order(name: str, seed: int) -> None:
    data = (SAMPLES / name).read_bytes()
    if data[:4] != b"\xd4\xc3\xb2\xa1" and data[:4] != b"\x4d\x3c\xb2\xa1":
        pytest.skip("not a little-endian pcap")
    if not in_time_order(data):
        pytest.skip("packets of one time: only the order in their file tells which came first")
    whole, rotated = document(data), document(pieces(data, seed))
    for part in ("summary", "connections", "findings", "incidents"):
        assert unnumbered(rotated[part]) == unnumbered(whole[part])


# -- lost packets --------------------------------------------------------------------------------------------------------

Accusation = tuple[str, str, str, Any]


def accusations(found: dict[str, Any]) -> set[Accusation]:
    ports = {row["id"]: (row["client"]["port"], row["server"]["port"]) for row in found["connections"]}
    return {
        (finding["rule"], finding["direction"], finding["at_fault"], ports.get(finding["connection"]))
        for finding in found["findings"]
        if finding["verdict"] == "violation"
    }


def certain_codes(found: dict[str, Any]) -> dict[Any, int]:
    """What each endpoint of each connection is said to have reported for certain; connections that share their ends left out."""
    codes: dict[Any, list[Any]] = {}
    for row in found["connections"]:
        for side in ("client", "server"):
            key = (row["client"]["address"], row["client"]["port"], row["server"]["port"], side)
            codes.setdefault(key, []).append(row["reported"][side])
    known = {key: each[0]["code"] if each[0]["certain"] else None for key, each in codes.items() if len(each) == 1}
    return {key: code for key, code in known.items() if code is not None}


@pytest.mark.parametrize("name", SMALL)
def test_a_lost_packet_never_adds_a_certain_accusation(name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    if data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
        pytest.skip("not a little-endian pcap")
    header, records = read(data)
    whole = json.loads(serial(name))
    known, codes = accusations(whole), certain_codes(whole)
    step = max(1, len(records) // 60)
    for lost in range(0, len(records), step):
        found = json.loads(json.dumps(wsaudit.audit(write(header, records[:lost] + records[lost + 1 :])).to_dict(), default=str))
        assert accusations(found) <= known, f"without packet {lost + 1}"
        for key, code in certain_codes(found).items():
            assert codes.get(key, code) == code, f"without packet {lost + 1}: {key}"


def test_an_input_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    good = wire.Conversation().open().upgrade().pcap()
    report = wsaudit.audit([b"not a capture", good, tmp_path / "nothing.pcap"])
    assert [entry["path"] for entry in report.inputs if entry.get("error")] or len(report.unread) == 2
    assert len(report.to_dict()["connections"]) == 1


def test_a_progress_callback_that_has_seen_enough() -> None:
    from wsaudit.engine import Interrupted, run
    from wsaudit.options import Options

    def enough(done: int) -> None:
        raise Interrupted

    data = (SAMPLES / SMALL[0]).read_bytes()
    audit = run([Pipe(data)], Options(), enough)
    assert audit.interrupted
    assert any("interrupted" in notice.text for notice in audit.notices)


def verdicts(capture: bytes, rule: str) -> list[str]:
    return [finding["verdict"] for finding in wsaudit.audit(capture).to_dict()["findings"] if finding["rule"] == rule]


@pytest.mark.parametrize("lost", [False, True])
def test_a_reserved_code_may_repeat_a_close_that_was_lost(lost: bool) -> None:
    talk = wire.Conversation().open().upgrade().close(wire.S, 1016)
    if lost:
        talk.drop()
    data = talk.ack(wire.C).close(wire.C, 1016).ack(wire.S).fin(wire.S).fin(wire.C).pcap()
    found = [each for each in wsaudit.audit(data).to_dict()["findings"] if each["rule"] == "CL-05"]
    accused = [(each["at_fault"], each["verdict"]) for each in found if each["verdict"] == "violation"]
    assert accused == ([] if lost else [("server", "violation")])
    assert [each["verdict"] for each in found if each["direction"] == "client"] == (["unverifiable"] if lost else [])


@pytest.mark.parametrize(("fin_first", "expected"), [(False, ["violation"]), (True, [])])
def test_a_lost_fin_may_have_ended_tcp_before_the_close_was_answered(fin_first: bool, expected: list[str]) -> None:
    talk = wire.Conversation().open().upgrade().close(wire.S, 1001).ack(wire.C)
    if fin_first:
        talk.fin(wire.S).drop()
    talk.wait(1).fin(wire.C)
    if not fin_first:
        talk.fin(wire.S)
    assert verdicts(talk.ack(wire.C).pcap(), "CL-12") == expected


@pytest.mark.parametrize("others", [0, 31])
def test_a_connection_with_the_numbers_of_one_that_is_over(others: int) -> None:
    """As in replayed traffic: its SYN begins a new one, whether or not others have ended in between."""

    def talk(start: int, client: tuple[str, int]) -> wire.Conversation:
        made = wire.Conversation(client=client, start=start).open().upgrade().text(wire.C, "a")
        return made.fin(wire.S).fin(wire.C).ack(wire.S)

    me = ("10.0.0.1", 4000)
    talks = [talk(wire.START, me), talk(wire.START + 5 * wire.SECOND, me)]
    talks += [talk(wire.START + 3 * wire.SECOND, (f"10.3.0.{i}", 5000 + i)) for i in range(others)]
    found = document(wire.pcap(wire.merge(*talks)))["connections"]
    first, second = [connection for connection in found if connection["client"]["port"] == 4000]
    assert first["duration"] == second["duration"]


def test_a_handshake_that_was_refused_is_judged_before_the_next_one_on_its_connection() -> None:
    """Whatever other connections do meanwhile."""
    talks = []
    for i in range(40):
        talk = wire.Conversation((f"10.2.0.{i}", 10000 + i), start=wire.START + i * 7_000_000).open()
        for target, answer in (("/a", wire.response("401 Unauthorized")), ("/b", wire.response())):
            talk.send(wire.C, wire.request(target)).send(wire.S, answer)
        talks.append(talk.text(wire.C, "a").text(wire.S, "b").wait(0.2).fin(wire.S).fin(wire.C).ack(wire.S))
    found = document(wire.pcap(wire.merge(*talks)))["connections"]
    for target in ("/a", "/b"):
        alike = [connection for connection in found if connection["handshake"]["target"] == target]
        told = {json.dumps([one["idle"], one["duration"], one["termination"]["class"], one["network"]]) for one in alike}
        assert (len(alike), len(told)) == (40, 1)
