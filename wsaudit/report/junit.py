"""JUnit XML, which every CI system draws as a test report: one suite for each capture, one case for each rule, and one suite
for the policy.

A rule that nobody broke is a passed test, so that the report shows what was looked at. What is allowed, known from the
baseline or unverifiable is a skipped test that says why. Traffic can contain what XML 1.0 cannot; all text passes
`printable.xml` first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from . import printable
from .issue import BASELINE, FAILS, REPORTED, UNVERIFIABLE, WAIVED, Issue, captures_of, issues_of, times
from .redact import ReportLike
from .rulebook import rulebook

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LISTED = 20
"""Occurrences listed in one case; the rest is counted."""

SKIPPED = {
    WAIVED: "allowed by the policy",
    BASELINE: "known from the baseline",
    UNVERIFIABLE: "evidence lost",
    REPORTED: "below the threshold",
}
POLICY = "policy"


def render(
    report: ReportLike,
    issues: Sequence[Issue] | None = None,
    *,
    rules: Iterable[str] | None = None,
    problems: Sequence[tuple[str, str]] = (),
    root: str | None = None,
) -> str:
    """The XML document, as text that starts with its declaration.

    Without `issues` (an audit, no gate) every error fails. `rules` are the ids that were looked at (default: all); `problems`
    are (name, reason) pairs that fail the policy's suite, such as too few connections.
    """
    from xml.etree import ElementTree as tree

    if issues is None:
        issues = [
            each if each.status == UNVERIFIABLE or each.severity != "error" else failing(each) for each in issues_of(report, root)
        ]
    book = rulebook()
    looked_at = sorted({*(book.rules if rules is None else rules), *(each.rule for each in issues if not own(each))})
    captures = list(dict.fromkeys(captures_of(report, root))) or ["capture"]
    top = tree.Element("testsuites", name="wsaudit")
    for capture in captures:
        here = [each for each in issues if not own(each) and (each.capture or captures[0]) == capture]
        add_suite(top, capture, looked_at, here)
    if extra := [each for each in issues if own(each)]:
        add_suite(top, POLICY, sorted({each.rule for each in extra}), extra)
    if problems:
        add_problems(top, problems)
    count_totals(top)
    tree.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tree.tostring(top, encoding="unicode") + "\n"


def failing(issue: Issue) -> Issue:
    """The issue as a failure."""
    from dataclasses import replace

    return replace(issue, status=FAILS)


def own(issue: Issue) -> bool:
    """Whether it is about the policy, not about a rule."""
    return issue.rule.startswith("policy/")


def add_suite(top: Element, name: str, rules: Sequence[str], issues: Sequence[Issue]) -> None:
    """A suite with a case for each rule."""
    from xml.etree.ElementTree import SubElement

    shown = printable.xml(name)
    suite = SubElement(top, "testsuite", name=shown)
    by_rule: dict[str, list[Issue]] = {rule: [] for rule in rules}
    for issue in issues:
        by_rule[issue.rule].append(issue)
    for rule, found in by_rule.items():
        info = rulebook().get(rule)
        title = f"{rule} {info.name}" if info else rule
        add_case(SubElement(suite, "testcase", classname=f"wsaudit.{shown}", name=title), found)


def add_case(case: Element, issues: Sequence[Issue]) -> None:
    """The outcome of one rule on one capture: failed if anything fails, skipped if something was found and let go, else
    passed."""
    from xml.etree.ElementTree import SubElement

    if not issues:
        return
    failed = [each for each in issues if each.status == FAILS]
    if failed:
        worst = failed[0]
        element = SubElement(case, "failure", message=summary(failed), type=worst.severity)
        element.text = "\n".join(listing(failed))
        return
    reasons = dict.fromkeys(SKIPPED[each.status] + (f" {each.note}" if each.note else "") for each in issues)
    SubElement(case, "skipped", message=printable.xml(f"{summary(issues)}; {'; '.join(reasons)}", 1000))


def summary(issues: Sequence[Issue]) -> str:
    """The first of them, and how many there are."""
    count = sum(each.count for each in issues)
    return printable.xml(issues[0].detail, 500) + (f" ({times(count, 'finding')})" if count > 1 else "")


def listing(issues: Sequence[Issue]) -> list[str]:
    """One line for each occurrence."""
    lines = [line(each) for each in issues[:LISTED]]
    return [*lines, f"and {len(issues) - LISTED:,} more"] if len(issues) > LISTED else lines


def line(issue: Issue) -> str:
    """One occurrence with where it is and whose fault."""
    where = [f"connection {issue.connection}"] if issue.connection is not None else []
    where += [f"packet {issue.packet}"] if issue.packet else []
    where += [f"byte {issue.offset} from the {issue.direction}"] if issue.offset is not None and issue.direction else []
    parts = [
        issue.detail,
        ", ".join(where),
        f"{issue.at_fault} at fault" if issue.at_fault else "",
        issue.reference or "",
        issue.note or "",
    ]
    return printable.xml("; ".join(part for part in parts if part), 1000)


def add_problems(top: Element, problems: Sequence[tuple[str, str]]) -> None:
    """Failures of the gate that are no findings."""
    from xml.etree.ElementTree import SubElement

    suite = next((each for each in top if each.get("name") == POLICY), None)
    if suite is None:
        suite = SubElement(top, "testsuite", name=POLICY)
    for name, reason in problems:
        case = SubElement(suite, "testcase", classname="wsaudit.policy", name=printable.xml(name))
        SubElement(case, "failure", message=printable.xml(reason, 1000), type="error")


def count_totals(top: Element) -> None:
    """The counters that readers of the format expect on suites and on the whole."""
    for element in (*top, top):
        cases = list(element.iter("testcase"))
        element.set("tests", str(len(cases)))
        element.set("failures", str(sum(case.find("failure") is not None for case in cases)))
        element.set("errors", "0")
        element.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
