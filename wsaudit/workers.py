"""Worker processes: each reads the captures and follows the flows whose hash falls to it; the parts merge into the same audit."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any

from wsaudit.capture.source import Named
from wsaudit.collector import patient
from wsaudit.engine import Audit, run_shard
from wsaudit.errors import UsageError
from wsaudit.model import Finding, Place
from wsaudit.options import Options

PLACE = Finding._fields.index("place")
Flat = tuple[Any, ...]


def run_shards(captures: Sequence[Named], options: Options, executor: Executor | None = None) -> Audit:
    """Audit with `options.jobs` shards in processes of their own, or in those of `executor`. Captures must be readable by each of
    them: paths or bytes, not standard input or open files."""
    if any(hasattr(item, "read") or item == "-" for item in captures):
        raise UsageError("--jobs needs files: standard input can be read only once")
    with patient():  # rows that come from another process are as lasting as one's own: 1 s for 50,000
        if executor is not None:
            return gather(executor, captures, options)
        with ProcessPoolExecutor(options.jobs - 1) as pool:
            return gather(pool, captures, options, own=0)


def gather(executor: Executor, captures: Sequence[Named], options: Options, own: int | None = None) -> Audit:
    """Shard `own` is done in this process while the others run."""
    futures = [executor.submit(run_part, captures, options, shard) for shard in range(options.jobs) if shard != own]
    whole = run_shard(captures, options, own) if own is not None else Audit()
    for future in futures:
        part, findings = future.result()
        part.findings = [Finding._make((*before, Place._make(at), *after)) for before, at, after in map(apart, findings)]
        whole.merge(part)
    return whole


def run_part(captures: Sequence[Named], options: Options, shard: int) -> tuple[Audit, list[Flat]]:
    """One shard, as another process sends it: its findings apart and flat, which takes a third of the time."""
    part = run_shard(captures, options, shard)
    findings = [(*each[:PLACE], *each.place, *each[PLACE + 1 :]) for each in part.findings]
    part.findings = []
    return part, findings


def apart(flat: Flat) -> tuple[Flat, Flat, Flat]:
    """The fields of a finding before its place, the place, and those after it."""
    return flat[:PLACE], flat[PLACE : PLACE + 3], flat[PLACE + 3 :]
