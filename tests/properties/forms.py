"""Audit captures in a process of its own, with a kernel of one's choice: compiled, plain, or plain without its shortcuts.

    python forms.py compiled|plain|general < captures > facts

`captures` is a JSON list of base64 texts, `facts` a JSON list with all that an audit of each found.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
FORMS = ("compiled", "plain", "general")


def facts(data: bytes, **options: Any) -> Any:
    """Everything that an audit tells: the report and the counters behind it."""
    from wsaudit.engine import run
    from wsaudit.options import Options
    from wsaudit.report.report import Report

    settings = Options(**options)
    audit = run([data], settings)
    counted = (audit.packets, audit.seen, audit.ports, audit.failed_connects, audit.plain_gets, audit.crashes)
    document = Report(audit, settings).to_dict()
    return json.loads(json.dumps([document, *map(repr_of, counted)], sort_keys=True, default=repr))


def repr_of(value: Any) -> Any:
    return sorted(value.items()) if isinstance(value, dict) else repr(value)


def facts_in(form: str, captures: Sequence[bytes]) -> list[Any]:
    """`facts` of each capture, in a process that runs the kernel in `form`."""
    environment = {**os.environ, "WSAUDIT_PURE": "0" if form == "compiled" else "1"}
    given = json.dumps([base64.b64encode(capture).decode() for capture in captures])
    run = subprocess.run(
        [sys.executable, __file__, form], input=given, capture_output=True, text=True, env=environment, cwd=TESTS.parent
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found: list[Any] = json.loads(run.stdout)
    return found


def use(form: str) -> None:
    sys.path[:0] = [str(TESTS), str(TESTS.parent)]
    if form != "compiled":
        import conftest  # it puts the plain kernel in place

        assert conftest.PURE
    from wsaudit.kernel import compiled, frames, packets

    assert compiled() == (form == "compiled")
    if form == "general":
        packets.take_packet = lambda *given: False
        frames.take_frames = lambda scanner, buffer, pos, *given: pos


if __name__ == "__main__":
    use(sys.argv[1])
    captures = [base64.b64decode(text) for text in json.load(sys.stdin)]
    json.dump([facts(capture) for capture in captures], sys.stdout)
