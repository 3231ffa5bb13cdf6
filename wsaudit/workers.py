"""Worker processes: each reads the captures and follows the flows whose hash falls to it; the parts merge into the same audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from wsaudit.capture.source import Named
from wsaudit.collector import patient
from wsaudit.engine import Audit, run_shard
from wsaudit.errors import UsageError
from wsaudit.kernel.columns import Columns, from_rows, to_rows
from wsaudit.options import Options

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from wsaudit.child import Child

Part = tuple[Audit, Columns]


def run_shards(
    captures: Sequence[Named],
    options: Options,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Audit:
    """Audit with `options.jobs` shards, the first in this process and the others in processes of their own, or all in those of
    `executor`. Captures must be readable by each of them: paths or bytes, not standard input or open files. `progress` is called
    as by `engine.run`, in this process and in copies of it."""
    if any(hasattr(item, "read") or item == "-" for item in captures):
        raise UsageError("--jobs needs files: standard input can be read only once")
    with patient(), ExitStack() as stack:  # rows that come from another process are as lasting as one's own: 1 s for 50,000
        if executor is not None:
            return merged(Audit(), [executor.submit(run_part, captures, options, shard) for shard in range(options.jobs)])
        from wsaudit.child import (  # multiprocessing takes 20 ms, and is for those who asked for more than one
            Child,
            Gone,
            can_fork,
        )

        children = []
        for shard in range(1, options.jobs):
            child = Child(run_part, captures, options, shard, progress if can_fork() else None)
            stack.callback(child.end)
            children.append(child)
        whole = run_shard(captures, options, 0, progress)
        try:
            return merged(whole, children)
        except Gone:  # after Ctrl-C, which ends at once what is no copy of this process: its connections are not in the report
            if not whole.interrupted:
                raise
            return whole


def merged(whole: Audit, parts: Iterable[Future[Part] | Child]) -> Audit:
    """`whole` with what these other processes found."""
    for part in parts:
        whole.merge(put_together(*part.result()))
    return whole


def run_part(captures: Sequence[Named], options: Options, shard: int, progress: Callable[[int], None] | None = None) -> Part:
    """One shard, as another process sends it: its rows apart."""
    part = run_shard(captures, options, shard, progress)
    rows = from_rows(part.connections)
    part.connections = []
    return part, rows


def put_together(part: Audit, rows: Columns) -> Audit:
    """The shard again that another process sent."""
    part.connections = to_rows(rows)
    return part
