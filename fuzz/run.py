"""python -m fuzz.run: run harnesses for some minutes or for so many executions, and say what was found. Exit code 1 for a crash,
a slow input or too much memory."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from fuzz import driver
from fuzz.corpus import SAMPLES

MEMORY_LIMIT = 512 << 20


def over(executions: int | None, seconds: float | None, done: int, elapsed: float) -> bool:
    return (executions is not None and done >= executions) or (seconds is not None and elapsed >= seconds)


def run(name: str, args: argparse.Namespace) -> driver.Tally:
    """One harness in `args.jobs` processes."""
    folders = (SAMPLES, *args.corpus)
    share = None if args.executions is None else -(-args.executions // args.jobs)
    minutes = None if args.minutes is None else args.minutes * 60 / len(args.harness)
    stop = partial(over, share, minutes)
    total = driver.Tally()
    first = args.start
    if args.jobs == 1:
        return driver.fuzz(name, folders, args.seed, first, 1, stop, args.output)
    with ProcessPoolExecutor(args.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        work = [
            pool.submit(driver.fuzz, name, folders, args.seed, first + job, args.jobs, stop, args.output)
            for job in range(args.jobs)
        ]
        for part in work:
            total.add(part.result())
    return total


def replay(name: str, path: Path) -> None:
    """One saved input; its exception comes out."""
    before = time.process_time()
    driver.load(name).one_input(path.read_bytes())
    print(f"{path}: no failure, {time.process_time() - before:.3f} s")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description=__doc__)
    parser.add_argument("harness", nargs="*", choices=[*driver.HARNESSES, []], help="which ones (default: all)")
    parser.add_argument("--minutes", type=float, help="for all harnesses together")
    parser.add_argument("--executions", type=int, help="of each harness")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, default=1, help="of the campaign: another seed, other inputs")
    parser.add_argument("--start", type=int, default=0, help="number of the first execution")
    parser.add_argument("--corpus", type=Path, action="append", default=[], help="a folder with more captures; repeatable")
    parser.add_argument("--output", type=Path, default=Path("fuzz-findings"), help="where failing inputs are saved")
    parser.add_argument("--replay", type=Path, help="run this one input, saved by an earlier run")
    args = parser.parse_args()
    args.harness = args.harness or list(driver.HARNESSES)
    if args.replay:
        replay(args.harness[0], args.replay)
        return 0
    if args.minutes is None and args.executions is None:
        args.minutes = 1.0
    args.output.mkdir(parents=True, exist_ok=True)
    bad = False
    for name in args.harness:
        found = run(name, args)
        print(
            f"{name}: {found.executions} executions in {found.seconds:.0f} s, {found.crashes} crashes, {found.slow} slow inputs, "
            f"slowest {found.slowest:.3f} s (number {found.slowest_number}), peak memory {found.memory >> 20} MiB",
            flush=True,
        )
        print(*(f"  {line}" for line in found.failures), sep="\n" if found.failures else "", end="\n" if found.failures else "")
        bad = bad or bool(found.crashes or found.slow) or found.memory > MEMORY_LIMIT
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
