"""Runs one harness on mutated seeds: execution `n` of a campaign depends on nothing but the campaign's seed, the corpus and `n`.

A harness is a module `fuzz.fuzz_NAME` with `one_input(data)`, which raises if its invariant does not hold, `seeds(folders)`, and
`mutate(random, data)`.
"""

from __future__ import annotations

import faulthandler
import resource
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Protocol

HARNESSES = ("reader", "packets", "streams", "heads", "frames", "deflate", "records", "audit", "ordinary")
SLOW = 1.0  # seconds of processor time for one input
HANG = 300.0  # seconds of wall time after which the process is ended with a traceback
MOST_SAVED = 20


class Harness(Protocol):
    """What a harness module holds."""

    @staticmethod
    def one_input(data: bytes) -> None: ...
    @staticmethod
    def seeds(folders: tuple[Path, ...]) -> list[bytes]: ...
    @staticmethod
    def mutate(random: Random, data: bytes) -> bytes: ...


@dataclass
class Tally:
    """What a run found. `memory`: peak of the process in bytes. `failures`: one line each, with the file that was saved."""

    executions: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_number: int = 0
    memory: int = 0
    crashes: int = 0
    slow: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.executions += other.executions
        self.seconds = max(self.seconds, other.seconds)
        if other.slowest > self.slowest:
            self.slowest, self.slowest_number = other.slowest, other.slowest_number
        self.memory = max(self.memory, other.memory)
        self.crashes += other.crashes
        self.slow += other.slow
        self.failures += other.failures


def load(name: str) -> Harness:
    return import_module(f"fuzz.fuzz_{name}")


def make_input(harness: Harness, seeds: list[bytes], campaign: int, number: int) -> bytes:
    """The input of execution `number`."""
    random = Random(campaign << 48 | number)
    return harness.mutate(random, random.choice(seeds))


def fuzz(
    name: str,
    folders: tuple[Path, ...],
    campaign: int,
    start: int,
    step: int,
    stop: Callable[[int, float], bool],
    output: Path,
) -> Tally:
    """Executions `start`, `start + step`, ... until `stop(executions, seconds)`; failing inputs are saved in `output`."""
    harness = load(name)
    seeds = harness.seeds(folders)
    tally = Tally()
    begin = time.monotonic()
    number = start
    kinds: set[str] = set()
    while not stop(tally.executions, time.monotonic() - begin):
        if tally.executions % 500 == 0:
            faulthandler.dump_traceback_later(HANG, exit=True)
            note_progress(output, name, start, number)
        data = make_input(harness, seeds, campaign, number)
        before = time.process_time()
        try:
            harness.one_input(data)
        except Exception as error:
            tally.crashes += 1
            note_failure(tally, output, f"{name}-crash-{campaign}-{number}", data, error, kinds)
        took = time.process_time() - before
        if took > tally.slowest:
            tally.slowest, tally.slowest_number = took, number
        if took > SLOW:
            tally.slow += 1
            note_failure(tally, output, f"{name}-slow-{campaign}-{number}", data, None, kinds)
        tally.executions += 1
        number += step
    faulthandler.cancel_dump_traceback_later()
    tally.seconds = time.monotonic() - begin
    tally.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return tally


def note_progress(output: Path, name: str, start: int, number: int) -> None:
    """If the process dies, the input is one of the 500 from here on."""
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{name}-progress-{start}").write_text(str(number), encoding="utf-8")


def note_failure(tally: Tally, output: Path, name: str, data: bytes, error: Exception | None, kinds: set[str]) -> None:
    """Save an input, the first of each kind and a few more."""
    told = "slow"
    if error is not None:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        told = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {error}"
        kind = told.partition(": ")[0]
        if kind in kinds and len(tally.failures) >= MOST_SAVED:
            return
        kinds.add(kind)
    elif len(tally.failures) >= MOST_SAVED:
        return
    path = output / name
    path.write_bytes(data)
    if error is not None:
        path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    tally.failures.append(f"{path}: {told[:300]}")
