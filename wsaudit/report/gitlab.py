"""GitLab's Code Quality report: a JSON list that a merge request shows as its difference to the target branch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from .issue import Fold, Issue, fold, issues_of, times
from .printable import printable
from .redact import ReportLike

FILE = "gl-code-quality-report.json"
SEVERITY = {"error": "critical", "warning": "minor", "info": "info"}


def render(report: ReportLike, issues: Sequence[Issue] | None = None, *, root: str | None = None) -> str:
    """The list. What is allowed, known from the baseline or unverifiable is not in it."""
    issues = issues_of(report, root) if issues is None else issues
    folds = fold((each for each in issues if each.counted), by_capture=True)
    return json.dumps([entry(each) for each in folds], indent=2, ensure_ascii=True) + "\n"


def entry(folded: Fold) -> dict[str, Any]:
    """One fault of one capture. GitLab drops entries whose fingerprint it has seen, so the capture is part of it."""
    issue = folded.first
    identity = f"{issue.fingerprint}\0{issue.capture}\0{issue.severity}\0{issue.status}"
    often = f" ({folded.count:,} times, in {times(len(folded.connections), 'connection')})" if folded.count > 1 else ""
    blame = f" [{issue.at_fault} at fault]" if issue.at_fault else ""
    return {
        "description": f"{issue.rule} {issue.name}: {printable(issue.detail, 500)}{blame}{often}",
        "check_name": issue.rule,
        "fingerprint": hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest(),
        "severity": SEVERITY[issue.severity],
        "location": {"path": printable(issue.capture or "capture", 1000), "lines": {"begin": 1}},
    }
