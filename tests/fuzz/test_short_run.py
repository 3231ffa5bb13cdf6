"""A short run of every harness, and what the fuzzing itself must hold to. `python -m fuzz.run` runs longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from fuzz import captures, corpus, driver, mutation
from fuzz.corpus import SAMPLES

ROOT = Path(__file__).resolve().parent.parent.parent
EXECUTIONS = {"audit": 400}


@pytest.mark.parametrize("name", driver.HARNESSES)
def test_short_run(name: str, tmp_path: Path) -> None:
    most = EXECUTIONS.get(name, 600)
    found = driver.fuzz(name, (SAMPLES,), 1, 0, 1, lambda done, seconds: done >= most, tmp_path)
    assert (found.executions, found.failures) == (most, [])


@pytest.mark.parametrize("name", driver.HARNESSES)
def test_seeds_hold_the_invariant_unchanged(name: str) -> None:
    harness = driver.load(name)
    seeds = harness.seeds((SAMPLES,))
    assert len(seeds) > 3
    for seed in seeds[::7]:
        harness.one_input(seed)


@pytest.mark.parametrize("name", driver.HARNESSES)
def test_an_execution_is_its_number(name: str) -> None:
    harness = driver.load(name)
    seeds = harness.seeds((SAMPLES,))
    inputs = [driver.make_input(harness, seeds, 3, number) for number in range(40)]
    assert inputs == [driver.make_input(harness, seeds, 3, number) for number in range(40)]
    assert len(set(inputs)) > 30


def test_a_failure_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = driver.load("frames")
    monkeypatch.setattr(harness, "one_input", lambda data: 1 / 0)
    found = driver.fuzz("frames", (SAMPLES,), 1, 5, 1, lambda done, seconds: done >= 1, tmp_path)
    assert found.crashes == 1
    assert "ZeroDivisionError" in found.failures[0]
    assert (tmp_path / "frames-crash-1-5").read_bytes() == driver.make_input(harness, harness.seeds((SAMPLES,)), 1, 5)
    assert "one_input" in (tmp_path / "frames-crash-1-5.txt").read_text(encoding="utf-8")


def test_ordinary_connections_are_told_from_memory() -> None:
    """Otherwise both ways would be the same one."""
    harness = driver.load("ordinary")
    seeds = harness.seeds((SAMPLES,))
    reached = [harness.from_memory(driver.make_input(harness, seeds, 1, number)) > 0 for number in range(60)]
    assert sum(reached) > 20


def test_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzz.run", "streams", "--executions", "20", "--jobs", "2", "--output", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("streams: 20 executions in ")
    assert "0 crashes, 0 slow inputs" in run.stdout


def is_whole(capture: captures.Capture) -> bool:
    """Does each segment of a side begin where the one before it ended?"""
    expected: dict[bytes, int] = {}
    for packet in capture.packets:
        layers = captures.locate(capture.linktype, packet.data)
        if layers is None:
            return False
        source = captures.flow_key(packet.data, layers)[0]
        seq = int.from_bytes(packet.data[layers.tcp + 4 : layers.tcp + 8], "big")
        flags = packet.data[layers.tcp + 13]
        if expected.setdefault(source, seq) != seq:
            return False
        expected[source] = (seq + layers.end - layers.payload + bool(flags & 3)) & 0xFFFFFFFF
    return True


def test_changed_payloads_leave_the_stream_whole() -> None:
    """Otherwise all that a mutation broke would hide behind a gap."""
    whole = next(each for each in corpus.captures() if len(corpus.streams(each)) > 6 and is_whole(each))
    for number in range(60):
        capture = captures.read(captures.write_pcap(whole))
        assert capture is not None
        mutation.change_payload(Random(number), capture)
        assert is_whole(capture)


@pytest.mark.parametrize("write", [captures.write_pcap, captures.write_pcapng])
def test_captures_come_back(write: object) -> None:
    for capture in corpus.captures()[:20]:
        again = captures.read(write(capture))  # type: ignore[operator]
        assert again is not None
        assert (again.linktype, again.packets) == (capture.linktype, capture.packets)
