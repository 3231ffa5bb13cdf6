"""Worker processes: each reads the captures and follows the flows whose hash falls to it; the parts merge into the same audit."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor

from wsaudit.capture.source import Named
from wsaudit.collector import patient
from wsaudit.engine import Audit, run_shard
from wsaudit.errors import UsageError
from wsaudit.kernel.columns import Columns, from_findings, from_rows, to_findings, to_rows
from wsaudit.options import Options

Part = tuple[Audit, Columns, Columns]


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
        whole.merge(put_together(*future.result()))
    return whole


def run_part(captures: Sequence[Named], options: Options, shard: int) -> Part:
    """One shard, as another process sends it: its rows and findings apart."""
    part = run_shard(captures, options, shard)
    rows, findings = from_rows(part.connections), from_findings(part.findings)
    part.connections = []
    part.findings = []
    return part, rows, findings


def put_together(part: Audit, rows: Columns, findings: Columns) -> Audit:
    """The shard again that another process sent."""
    part.connections = to_rows(rows)
    part.findings = to_findings(findings)
    return part
