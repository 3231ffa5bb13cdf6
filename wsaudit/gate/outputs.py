"""The formats of a verdict by name, and which of them a CI system wants unasked."""

from __future__ import annotations

import io
from collections.abc import Callable

from wsaudit.gate import document, screen
from wsaudit.gate.verdict import Verdict
from wsaudit.report.redact import ReportLike


def text(report: ReportLike, verdict: Verdict) -> str:
    """The screen, without colours."""
    return screen.render(verdict)


def check_json(report: ReportLike, verdict: Verdict) -> str:
    """The verdict, schema wsaudit.check/1."""
    return document.render(verdict)


def report_json(report: ReportLike, verdict: Verdict) -> str:
    """The audit itself, schema wsaudit.report/1: what `--baseline` and `wsaudit diff` read."""
    from wsaudit.report.json_format import write_json

    stream = io.StringIO()
    write_json(report, stream)
    return stream.getvalue()


def sarif(report: ReportLike, verdict: Verdict) -> str:
    """SARIF 2.1.0."""
    from wsaudit.report import sarif

    return sarif.render(report, verdict.issues)


def junit(report: ReportLike, verdict: Verdict) -> str:
    """JUnit XML; what makes the gate fail besides findings is a case too."""
    from wsaudit.report import junit

    problems = [("readable", reason) for reason in verdict.unreadable]
    problems += [("expect-connections", screen.too_few(verdict))] if verdict.too_few else []
    return junit.render(report, verdict.issues, rules=verdict.policy.rules, problems=problems)


def gitlab(report: ReportLike, verdict: Verdict) -> str:
    """GitLab Code Quality."""
    from wsaudit.report import gitlab

    return gitlab.render(report, verdict.issues)


def github(report: ReportLike, verdict: Verdict) -> str:
    """GitHub annotations. What fails besides findings is one too."""
    from wsaudit.report import github

    problems = [*verdict.unreadable, *([screen.too_few(verdict)] if verdict.too_few else [])]
    lines = [f"::error title=wsaudit check::{github.escape_data(screen.quiet(each, 1000))}\n" for each in problems]
    return "".join(lines) + github.render(report, verdict.issues)


def markdown(report: ReportLike, verdict: Verdict) -> str:
    """GitHub's step summary."""
    from wsaudit.report import github

    word = "Passed" if verdict.exit_code == 0 else "**Failed**"
    sentences = [f"{word}: {screen.outcome(verdict)}."]
    sentences += [f"{screen.too_few(verdict)}."] if verdict.too_few else []
    sentences += [f"{len(verdict.unreadable)} of the captures could not be read."] if verdict.unreadable else []
    return github.summary(report, verdict.issues, verdict=" ".join(sentences))


RENDERERS: dict[str, Callable[[ReportLike, Verdict], str]] = {
    "text": text,
    "json": check_json,
    "report": report_json,
    "sarif": sarif,
    "junit": junit,
    "gitlab": gitlab,
    "github": github,
    "markdown": markdown,
}
