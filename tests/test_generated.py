"""The audit of a generated capture finds exactly what the generator put in."""

from __future__ import annotations

import ipaddress
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import wsaudit
from benchmarks.generate import Generator, write

SIDES = {"client": "c2s", "server": "s2c"}
OPCODES = {"continuation": "0", "text": "1", "binary": "2", "close": "8", "ping": "9", "pong": "10"}
ENDINGS = {  # (class, how) of each ending that the generator makes
    "clean": ("closed", "fin"),
    "no_reply": ("close-unanswered", "fin"),
    "rst": ("dropped", "rst"),
    "fin": ("dropped", "fin"),
    "cut": ("dropped", "rst"),
    "vanish": ("ongoing", "capture-end"),
}
SCALE = 0.05

Capture = tuple[Generator, dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module", params=["chat", "feed", "noise"])
def generated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """A generator that has written its capture, its truth, and the report."""
    path: Path = tmp_path_factory.mktemp("generated") / f"{request.param}.pcap"
    generator = Generator(request.param, SCALE, seed=1)
    write(path, generator)
    report: dict[str, Any] = wsaudit.audit(path).to_dict()
    path.unlink()
    return generator, generator.truth.to_dict(), report


def total(report: dict[str, Any], table: str) -> dict[str, Counter[str]]:
    """The sum of a table of both sides over all connections, by direction."""
    sums = {direction: Counter[str]() for direction in SIDES.values()}
    for connection in report["connections"]:
        for side, direction in SIDES.items():
            sums[direction].update(connection[table][side])
    return sums


def count(report: dict[str, Any], rule: str) -> int:
    return sum(f["count"] for f in report["findings"] if f["rule"] == rule and f["verdict"] == "violation")


def first_close(connection: dict[str, Any]) -> str:
    closes = [close for side in SIDES if (close := connection["close"][side])]
    return wire_code(min(closes, key=lambda close: close["packet"])) if closes else "-"


def wire_code(close: dict[str, Any] | None) -> str:
    """A Close as the truth writes it."""
    return "-" if close is None else "none" if close["code"] is None else str(close["code"])


def test_connections(generated: Capture) -> None:
    _, truth, report = generated
    assert report["summary"]["connections"] == report["summary"]["accepted"] == truth["connections"]
    assert report["inputs"][0]["packets"] == truth["packets"]


def test_frames_by_direction_and_opcode(generated: Capture) -> None:
    _, truth, report = generated
    found = total(report, "frames")
    for direction, expected in truth["frames"].items():
        assert {OPCODES[name]: n for name, n in found[direction].items() if n} == expected


def test_messages(generated: Capture) -> None:
    _, truth, report = generated
    found = total(report, "messages")
    for direction, expected in truth["messages"].items():
        assert {kind: found[direction][kind] for kind in expected} == expected
        assert found[direction]["bytes"] == truth["message_bytes"][direction]


def test_close_codes(generated: Capture) -> None:
    _, truth, report = generated
    for side, direction in SIDES.items():
        found = dict(report["summary"]["close_codes"][side])
        found.pop("none", None)  # no Close at all
        assert {"none" if code == "empty" else code: n for code, n in found.items()} == truth["close_frames"][direction]
    assert Counter(map(first_close, report["connections"])) == truth["first_close_code"]


def test_endings(generated: Capture) -> None:
    _, truth, report = generated
    found = Counter((each["termination"]["class"], each["termination"]["how"]) for each in report["connections"])
    expected = Counter[tuple[str, str]]()
    for ending, n in truth["endings"].items():
        expected[ENDINGS[ending]] += n
    assert found == expected


def test_violations(generated: Capture) -> None:
    _, truth, report = generated
    assert count(report, "TX-01") == truth["bad_utf8_messages"]
    assert count(report, "FR-01") == truth["unmasked_c2s_frames"]


def test_every_connection(generated: Capture) -> None:
    """Not only the sums: addresses, frames of each side, first Close of each side."""
    generator, _, report = generated

    def found(connection: dict[str, Any]) -> str:
        ends = [f"{ipaddress.ip_address(connection[side]['address']).packed.hex()} {connection[side]['port']}" for side in SIDES]
        frames = [str(sum(connection["frames"][side].values())) for side in SIDES]
        closes = [wire_code(connection["close"][side]) for side in SIDES]
        return " ".join([*ends, *frames, *closes])

    def expected(line: str) -> str:
        fields = line.split()
        return " ".join(fields[:6] + fields[8:10])  # without payload bytes and bad texts

    assert sorted(map(found, report["connections"])) == sorted(map(expected, generator.truth.lines))


def test_the_network_was_lively(generated: Capture) -> None:
    """What the generator did to the packets shows, and cost no evidence."""
    _, truth, report = generated
    network = [connection["network"] for connection in report["connections"]]
    assert truth["retransmits"] > 0
    assert sum(each["retransmissions"] for each in network) > 0
    assert truth["reordered"] > 0
    assert sum(each["out_of_order"] for each in network) > 0
    assert sum(each["conflicts"] for each in network) == 0
    assert all(connection["evidence"]["gaps"] == 0 for connection in report["connections"])
