"""`wsaudit show` as people call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import wire
from click.testing import CliRunner, Result
from wire import C, S

from wsaudit.cli.show import show


def talk(port: int, path: str = "/") -> wire.Conversation:
    return wire.Conversation(client=("10.0.0.1", port)).open().upgrade(path).text(C, f"from {port}").close(S, 1001, "later")


def run(*arguments: str | Path, **how: object) -> Result:
    return CliRunner().invoke(show, [str(argument) for argument in arguments], **how)  # type: ignore[arg-type]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Three connections at the same time."""
    path = tmp_path / "three.pcap"
    path.write_bytes(wire.pcap(wire.merge(talk(40001), talk(40002, "/two?key=s3cret"), talk(40003))))
    return path


def test_one_of_three(capture: Path) -> None:
    result = run(capture, "-c", "2")
    assert result.exit_code == 0, result.output
    assert "connection 2 of 3" in result.output
    assert "GET /two?key=<redacted>" in result.output
    assert '1001 Going Away "later"' in result.output
    assert "from 40002" not in result.output
    assert "40001" not in result.output


def test_payload(capture: Path) -> None:
    result = run(capture, "-c", "2", "--payload")
    assert "| from 40002" in result.output
    assert "key=s3cret" in result.output


def test_show_payload_alone_lifts_redaction_only(capture: Path) -> None:
    result = run(capture, "-c", "2", "--show-payload")
    assert "| from 40002" not in result.output
    assert "key=s3cret" in result.output


def test_pseudonyms(capture: Path) -> None:
    path = capture.with_name("one.pcap")
    path.write_bytes(wire.Conversation(client=("192.0.2.77", 40001), server=("192.0.2.99", 80)).open().upgrade("/").pcap())
    result = run(path, "--pseudonymize")
    assert result.exit_code == 0
    assert "192.0.2" not in result.output
    assert "10.0.0.1:40001" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which of the 3 connections?"),
        (["-c", "4"], "there are 3 connections"),
        (["-c", "0"], "0 is not in the range"),
        (["-c", "1", "--around", "999"], "connection 1 goes from packet 1 to"),
        (["-c", "1", "--lines", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_shown_is_explained(capture: Path, arguments: list[str], said: str) -> None:
    result = run(capture, *arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_the_only_connection_needs_no_number(capture: Path) -> None:
    capture.write_bytes(talk(40001).pcap())
    assert run(capture).exit_code == 0
    assert "there is one connection" in run(capture, "-c", "2").output


def test_nothing_to_show(capture: Path) -> None:
    capture.write_bytes(wire.Conversation().open().pcap())
    result = run(capture, "-c", "1")
    assert result.exit_code == 2
    assert "no WebSocket connection was found" in result.output


def test_no_capture(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_text("nonsense")
    result = run(tmp_path / "x.pcap")
    assert result.exit_code == 3
    assert "not a pcap or pcapng capture" in result.output


def test_standard_input_is_read_once(capture: Path) -> None:
    result = run("-", "-c", "3", input=capture.read_bytes())
    assert result.exit_code == 0, result.output
    assert "10.0.0.1:40003" in result.output


def test_two_files_of_which_one_is_damaged(capture: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.pcap").write_text("nonsense")
    result = run(capture, tmp_path / "bad.pcap", "-c", "1")
    assert result.exit_code == 3
    assert "connection 1 of 3" in result.output


def test_json_has_every_frame(capture: Path) -> None:
    conversation = wire.Conversation().open().upgrade("/")
    for _ in range(300):
        conversation.text(S, "x")
    capture.write_bytes(conversation.pcap())
    document = json.loads(run(capture, "-f", "json").output)
    assert document["schema"] == "wsaudit.show/1"
    assert document["connection"]["id"] == 1
    assert sum(event["event"] == "frame" for event in document["events"]) == 300
    document = json.loads(run(capture, "-f", "json", "--lines", "10").output)
    assert sum(event["event"] == "frame" for event in document["events"]) == 10


def test_json_without_a_look_inside(capture: Path) -> None:
    """A TCP connect that was refused where WebSockets are spoken: listed, with nothing to show."""
    refused = wire.Conversation(client=("10.0.0.1", 50000)).segment(C, flags=wire.SYN).segment(S, flags=wire.RST | wire.ACK)
    capture.write_bytes(wire.pcap(wire.merge(talk(40001), refused)))
    document = json.loads(run(capture, "-c", "2", "-f", "json").output)
    assert document["events"] == []
    assert document["connection"]["termination"]["cause"] == "connect-failed"
    assert "Nobody could look inside" in run(capture, "-c", "2").output
