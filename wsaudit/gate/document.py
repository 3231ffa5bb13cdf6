"""A verdict for programs: JSON, schema `wsaudit.check/1`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict

from wsaudit.gate.verdict import Verdict

SCHEMA = "wsaudit.check/1"


def render(verdict: Verdict) -> str:
    """Everything the gate decided, each issue with its status, as ASCII JSON; the same verdict gives the same bytes."""
    from wsaudit import __version__

    statuses = Counter(each.status for each in verdict.issues)
    document = {
        "schema": SCHEMA,
        "tool": {"name": "wsaudit", "version": __version__},
        "exit_code": verdict.exit_code,
        "fail_on": verdict.policy.fail_on,
        "captures": verdict.captures,
        "unreadable": verdict.unreadable,
        "connections": verdict.connections,
        "expected_connections": verdict.policy.expect_connections,
        "probable": verdict.probable,
        "statuses": dict(sorted(statuses.items())),
        "issues": [asdict(each) for each in verdict.issues],
        "notes": verdict.notes,
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"
