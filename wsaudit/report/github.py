"""GitHub Actions: annotations, which are lines that the runner reads from the log, and the step summary, a Markdown page of
at most 1 MiB.

The runner takes `::` at the start of a line and `##[` anywhere for a command. Text from traffic must become neither, so it is
made printable, and escaped as the runner's own toolkit does.
"""

from __future__ import annotations

from collections.abc import Sequence

from .issue import FAILS, Fold, Issue, fold, issues_of, times
from .printable import markdown, printable
from .redact import ReportLike
from .rulebook import rulebook

ANNOTATIONS = 10
"""GitHub keeps ten annotations of each kind from a step; ten in all are what a person reads."""

SUMMARY_LIMIT = 1 << 20
"""Bytes of one step's summary; GitHub drops a longer one as a whole."""

COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


def render(report: ReportLike, issues: Sequence[Issue] | None = None, *, root: str | None = None) -> str:
    """The annotations of the ten worst faults, one a line."""
    issues = issues_of(report, root) if issues is None else issues
    folds = fold((each for each in issues if each.counted), by_capture=True)
    return "".join(annotation(each) + "\n" for each in folds[:ANNOTATIONS])


def annotation(folded: Fold) -> str:
    """One workflow command."""
    issue = folded.first
    properties = {"file": issue.capture, "line": "1", "title": f"{issue.rule} {issue.name}"}
    listed = ",".join(f"{key}={escape_property(printable(value, 300))}" for key, value in properties.items() if value)
    return f"::{COMMANDS[issue.severity]} {listed}::{escape_data(printable(sentence(folded), 1000))}"


def sentence(folded: Fold) -> str:
    """What was seen, whose fault, how often and where."""
    issue = folded.first
    parts = [issue.detail, f"{issue.at_fault} at fault" if issue.at_fault else ""]
    parts.append(f"{folded.count:,} times in {times(len(folded.connections), 'connection')}" if folded.count > 1 else "")
    parts.append(f"connection {issue.connection}" if issue.connection is not None else "")
    parts.append(f"packet {issue.packet}" if issue.packet else "")
    parts.append(issue.note or "")
    return "; ".join(part for part in parts if part)


def escape_data(text: str) -> str:
    """The message of a command. `##[` is an older form of command that is found anywhere in a line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A").replace("##[", "#%23[")


def escape_property(text: str) -> str:
    """A property of a command, where colon and comma end it."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def summary(report: ReportLike, issues: Sequence[Issue] | None = None, *, verdict: str = "", root: str | None = None) -> str:
    """The step summary in Markdown. `verdict` is a sentence of ours, put first. Rows that would pass the limit are counted
    instead."""
    issues = issues_of(report, root) if issues is None else issues
    folds = fold(each for each in issues if each.counted)
    lines = ["## WebSocket audit", "", *([verdict, ""] if verdict else []), *figures(report), ""]
    if folds:
        lines += ["| | rule | fault | seen | where |", "|---|---|---|---|---|"]
    text = "\n".join(lines) + "\n"
    size = len(text.encode())
    for number, each in enumerate(folds):
        added = row(each) + "\n"
        size += len(added.encode())
        if size > SUMMARY_LIMIT - 200:
            return text + f"\nand {times(len(folds) - number, 'more fault')}: the page is full\n"
        text += added
    return text


def figures(report: ReportLike) -> list[str]:
    """The distribution of endings and of the codes that clients were told."""
    found = report.summary
    endings = ", ".join(f"{count:,} {name}" for name, count in found["terminations"].items() if count)
    codes = ", ".join(f"{code}: {count:,}" for code, count in found["reported_codes"].get("client", {}).items() if count)
    abnormal = found["abnormal"]
    lines = [f"{times(found['connections'], 'WebSocket connection')}" + (f": {endings}" if endings else "")]
    lines += [f"Clients were told {codes}"] if codes else []
    lines += [f"{abnormal['count']:,} of {abnormal['of']:,} ended abnormally"] if abnormal["of"] else []
    return [f"- {line}" for line in lines]


def row(folded: Fold) -> str:
    """One fault as a row of the table."""
    issue = folded.first
    info = rulebook().get(issue.rule)
    mark = "❌" if issue.status == FAILS else "⚠️" if issue.severity != "info" else "ℹ️"
    rule = f"{issue.rule} {issue.name}" + (f"<br>{cell(info.title)}" if info and info.title else "")
    where = ", ".join(
        [f"connection {issue.connection}"] * (issue.connection is not None)
        + [f"packet {issue.packet}"] * bool(issue.packet)
        + [markdown(issue.capture or "", table=True)] * bool(issue.capture)
        + [markdown(issue.path or "", table=True)] * bool(issue.path)
    )
    note = f"<br>{markdown(issue.note, 400, table=True)}" if issue.note else ""
    seen = f"{folded.count:,} in {len(folded.connections):,}"
    what = markdown(issue.detail, 400, table=True)
    return f"| {mark} {issue.severity} | {rule} | {issue.at_fault or ''} | {seen} | {what}{note}<br>{where} |"


def cell(text: str) -> str:
    """Our own prose in a table cell."""
    return text.replace("|", "\\|").replace("<", "&lt;")
