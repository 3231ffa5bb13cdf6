"""The audit of a generated capture finds exactly what the generator put in."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest

import wsaudit
from benchmarks import check
from benchmarks.generate import Generator, write

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


COMPARED = ["connections", "packets", "frames", "messages", "message_bytes", "close_frames", "first_close_code", "endings"]
COMPARED += ["bad_utf8_messages", "unmasked_c2s_frames"]


@pytest.mark.parametrize("what", COMPARED)
def test_truth(generated: Capture, what: str) -> None:
    _, truth, report = generated
    assert check.found(report)[what] == check.expected(truth)[what]


def test_every_connection(generated: Capture) -> None:
    """Not only the sums: addresses, frames of each side, first Close of each side."""
    generator, _, report = generated

    def found(connection: dict[str, Any]) -> str:
        ends = [
            f"{ipaddress.ip_address(connection[side]['address']).packed.hex()} {connection[side]['port']}" for side in check.SIDES
        ]
        frames = [str(sum(connection["frames"][side].values())) for side in check.SIDES]
        closes = [check.close_code(connection["close"][side]) for side in check.SIDES]
        return " ".join([*ends, *frames, *closes])

    def expected(line: str) -> str:
        fields = line.split()
        return " ".join(fields[:6] + fields[8:10])  # without payload bytes and bad texts

    assert sorted(map(found, check.confirmed(report))) == sorted(map(expected, generator.truth.lines))


def test_a_lively_network_costs_no_evidence(generated: Capture) -> None:
    """Retransmissions and reordering show, and nothing is lost or in doubt for them."""
    _, truth, report = generated
    connections = check.confirmed(report)
    network = [connection["network"] for connection in connections]
    assert truth["retransmits"] > 0
    assert truth["reordered"] > 0
    assert sum(each["retransmissions"] for each in network) > 0
    assert sum(each["out_of_order"] for each in network) > 0
    assert sum(each["conflicts"] for each in network) == 0
    assert all(connection["evidence"]["gaps"] == 0 for connection in connections)
