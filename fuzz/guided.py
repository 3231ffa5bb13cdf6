"""python -m fuzz.guided HARNESS [libFuzzer options]: the same harness and mutator, guided by coverage.

Needs atheris (`pip install atheris`: Linux and macOS, not every version of Python). The kernel runs as plain Python, since
atheris sees nothing of compiled code.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from random import Random

os.environ["WSAUDIT_PURE"] = "1"
import tests.conftest  # noqa: F401 - puts the finder of the plain kernel in place


def main() -> None:
    name, *options = sys.argv[1:]
    import atheris

    with atheris.instrument_imports(include=["wsaudit"]):
        from fuzz import corpus, driver

        harness = driver.load(name)
    seeds = Path("fuzz-findings", f"{name}-corpus")
    seeds.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(harness.seeds((corpus.SAMPLES,))):
        (seeds / f"seed-{number}").write_bytes(seed)

    def mutate(data: bytes, most: int, number: int) -> bytes:
        return harness.mutate(Random(number), data)[:most]

    atheris.Setup(
        [sys.argv[0], f"-artifact_prefix=fuzz-findings/{name}-", "-max_len=65536", *options, str(seeds)],
        lambda data: harness.one_input(data) and None,
        custom_mutator=mutate,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
