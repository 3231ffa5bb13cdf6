"""SARIF 2.1.0, for code scanning on GitHub and every viewer of that format.

One result is one fault of one capture, however often it was seen: `occurrenceCount` says how often. GitHub shows the first
5,000 results of a run and refuses more than 25,000 or 10 MB compressed; 5,000 results of at most 4 kB stay below that, and
what was left out is said in a notification.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from . import printable
from .issue import BASELINE, UNVERIFIABLE, WAIVED, Fold, Issue, captures_of, fold, issues_of, times
from .redact import ReportLike
from .rulebook import RuleInfo, rulebook

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST_RESULTS = 5000
LONGEST_MESSAGE = 1000
LEVELS = {"error": "error", "warning": "warning", "info": "note"}
HOME = "https://pypi.org/project/wsaudit/"


def render(report: ReportLike, issues: Sequence[Issue] | None = None, *, root: str | None = None) -> str:
    """The SARIF log of `report`, or of `issues` when the gate has decided on them. Findings whose evidence was lost are
    counted, not listed."""
    issues = issues_of(report, root) if issues is None else issues
    shown = [each for each in issues if each.status != UNVERIFIABLE]
    folds = fold(shown, by_capture=True)
    rules = sorted({each.first.rule for each in folds[:MOST_RESULTS]})
    index = {rule: number for number, rule in enumerate(rules)}
    captures = captures_of(report, root)
    gated = any(each.status == BASELINE for each in issues)
    first = {each.rule: each for each in reversed(shown)}
    run: dict[str, Any] = {
        "tool": {"driver": driver([descriptor(rule, first[rule]) for rule in rules])},
        "automationDetails": {"id": "wsaudit/"},
        "invocations": [{"executionSuccessful": True, **notifications(issues, folds)}],
        "artifacts": [{"location": location(path), "roles": ["analysisTarget"]} for path in captures],
        "results": [result(each, index, captures, gated=gated) for each in folds[:MOST_RESULTS]],
        "columnKind": "unicodeCodePoints",
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=True) + "\n"


def driver(rules: list[dict[str, Any]]) -> dict[str, Any]:
    """The tool and the rules that the results name."""
    from wsaudit import __version__

    return {"name": "wsaudit", "version": __version__, "informationUri": HOME, "rules": rules}


def descriptor(rule: str, issue: Issue) -> dict[str, Any]:
    """The catalogue's page on a rule; limits of a policy have none and are described by themselves."""
    info = rulebook().get(rule)
    if info is None:
        info = RuleInfo(rule, issue.name, "MUST", issue.severity, "", "", "A limit of the project's policy")
    return {
        "id": rule,
        "name": info.name,
        "shortDescription": {"text": info.title or info.name},
        "fullDescription": {"text": info.why or info.title or info.name},
        "help": {"text": help_text(info), "markdown": help_text(info, "**", "\n\n")},
        "defaultConfiguration": {"level": LEVELS[info.severity]},
        "properties": {"tags": ["websocket", info.level], "precision": "high", "problem.severity": problem(info.severity)},
    }


def problem(severity: str) -> str:
    """GitHub's word for a severity."""
    return "recommendation" if severity == "info" else severity


def help_text(info: RuleInfo, bold: str = "", gap: str = "\n") -> str:
    """What the rule says, why it matters, what to do."""
    parts = (
        ("", info.title),
        ("The RFC says", info.says),
        ("Why it matters", info.why),
        ("What to do", info.do),
        ("Reference", info.reference),
    )
    lines = [f"{bold}{label}:{bold} {text}" if label else text for label, text in parts if text]
    return gap.join([*lines, f"wsaudit rules {info.id}"])


def location(capture: str | None) -> dict[str, Any]:
    """A relative URI. What URIs do not allow is percent-encoded, and a colon too, so that no file name looks like a scheme."""
    return {"uri": quote(capture or "capture", safe="/", errors="surrogatepass"), "uriBaseId": "%SRCROOT%"}


def result(folded: Fold, index: dict[str, int], captures: list[str], *, gated: bool) -> dict[str, Any]:
    """One fault of one capture."""
    issue = folded.first
    where = location(issue.capture)
    if issue.capture in captures:
        where["index"] = captures.index(issue.capture)
    found: dict[str, Any] = {
        "ruleId": issue.rule,
        "ruleIndex": index[issue.rule],
        "level": LEVELS[issue.severity],
        "message": {"text": message(folded)},
        "locations": [{"physicalLocation": {"artifactLocation": where, "region": region(issue)}}],
        "partialFingerprints": {"wsauditFault/v1": issue.fingerprint, "primaryLocationLineHash": f"{issue.fingerprint}:1"},
        "occurrenceCount": folded.count,
    }
    if issue.connection is not None:
        found["locations"][0]["logicalLocations"] = [{"name": f"connection {issue.connection}", "kind": "resource"}]
    if issue.status == WAIVED:
        found["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": clean(issue.note or "allowed by the policy")}
        ]
    if gated:
        found["baselineState"] = "unchanged" if issue.status == BASELINE else "new"
    facts = {"connection": issue.connection, "packet": issue.packet, "direction": issue.direction, "atFault": issue.at_fault}
    found["properties"] = {key: value for key, value in facts.items() if value is not None}
    return found


def region(issue: Issue) -> dict[str, Any]:
    """Line 1, as GitHub wants a line even in a binary file, and the byte offset in the stream that the fault is at."""
    found: dict[str, Any] = {"startLine": 1}
    if issue.offset is not None:
        found["byteOffset"] = issue.offset
        side = f"the {issue.direction}'s" if issue.direction else "that"
        found["message"] = {"text": f"byte {issue.offset} of {side} TCP stream, packet {issue.packet or 'unknown'}"}
    return found


def message(folded: Fold) -> str:
    """What was seen, by whom, how often and where."""
    issue = folded.first
    parts = [clean(issue.detail or issue.name)]
    if issue.at_fault:
        parts.append(f"{issue.at_fault} at fault")
    if folded.count > 1:
        parts.append(f"seen {folded.count:,} times in {times(len(folded.connections), 'connection')}")
    if issue.connection is not None:
        parts.append(f"first in connection {issue.connection}" + (f", packet {issue.packet}" if issue.packet else ""))
    if issue.note and issue.status != WAIVED:
        parts.append(clean(issue.note))
    return "; ".join(parts)


def clean(text: str) -> str:
    """Text from traffic. Square brackets are links in SARIF messages, so they are escaped."""
    return printable.printable(text, LONGEST_MESSAGE).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def notifications(issues: Sequence[Issue], folds: Sequence[Fold]) -> dict[str, Any]:
    """What is not among the results, and why."""
    texts = []
    if unverifiable := sum(each.status == UNVERIFIABLE for each in issues):
        texts.append(f"{times(unverifiable, 'finding')} could not be verified because the capture lost the evidence")
    if (left := len(folds) - MOST_RESULTS) > 0:
        texts.append(f"{times(left, 'result')} left out: code scanning shows {MOST_RESULTS:,}; the JSON report has all of them")
    return {"toolExecutionNotifications": [{"level": "note", "message": {"text": text}} for text in texts]} if texts else {}
