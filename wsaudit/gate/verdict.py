"""The decision: report, policy, baseline and today's date in, what fails and the exit code out."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from wsaudit.report.issue import (
    BASELINE,
    FAILS,
    RANK,
    REPORTED,
    UNVERIFIABLE,
    WAIVED,
    Issue,
    captures_of,
    issues_of,
    sort,
    times,
)
from wsaudit.report.redact import ReportLike

from .limits import judge_limits
from .policy import Policy, Waiver

CLEAN, FOUND, USAGE, UNREADABLE, TOO_FEW = range(5)
"""The exit codes of the contract."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says. `issues` are sorted, failing first; `notes` are sentences for the maintainer of the policy;
    `unreadable` says of each input that could not be read why; `captures` are the inputs as CI may see them."""

    policy: Policy
    issues: tuple[Issue, ...]
    notes: tuple[str, ...]
    connections: int
    probable: int
    captures: tuple[str, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def failing(self) -> tuple[Issue, ...]:
        """What the gate fails for."""
        return self.having(FAILS)

    @property
    def too_few(self) -> bool:
        """Whether the capture holds fewer connections than it must: a test suite that recorded nothing proves nothing."""
        return self.connections < self.policy.expect_connections

    @property
    def exit_code(self) -> int:
        """3 before 4 before 1: what could not be examined comes before what was found, because it makes the findings
        incomplete."""
        if self.unreadable:
            return UNREADABLE
        if self.too_few:
            return TOO_FEW
        return FOUND if self.failing else CLEAN

    def having(self, status: str) -> tuple[Issue, ...]:
        """The issues with this status."""
        return tuple(each for each in self.issues if each.status == status)


def judge(
    report: ReportLike,
    policy: Policy,
    *,
    today: datetime.date,
    baseline: Iterable[str] = (),
    unreadable: Sequence[str] = (),
    root: str | None = None,
) -> Verdict:
    """Hold `report` against `policy`. `baseline` are the fingerprints known before, `today` decides which waivers have
    expired, `root` (default: the current folder) is what paths are relative to, `unreadable` says which inputs were not
    read."""
    known = frozenset(baseline)
    used: set[Waiver] = set()
    findings = issues_of(report, root)
    seen = {each.fingerprint for each in findings}
    decided = [decide(each, policy, known, today, used) for each in findings if each.rule in policy.rules]
    limits, notes = judge_limits(report, policy)
    if policy.fail_on == "never":
        limits = [replace(each, status=REPORTED) for each in limits]
    issues = sort([*decided, *limits])
    return Verdict(
        policy=policy,
        issues=tuple(issues),
        notes=(*notes, *waiver_notes(policy, used, today), *baseline_notes(known, seen)),
        connections=report.summary["connections"],
        probable=report.summary.get("probable", 0),
        captures=tuple(captures_of(report, root)),
        unreadable=tuple(unreadable),
    )


def decide(issue: Issue, policy: Policy, known: Collection[str], today: datetime.date, used: set[Waiver]) -> Issue:
    """One finding with the policy's severity and the gate's decision. A waiver is asked before the baseline, so that its
    expiry is never hidden by it."""
    issue = replace(issue, severity=policy.severity.get(issue.rule, issue.severity))
    if issue.status == UNVERIFIABLE:
        return issue
    waiver = waiver_for(issue, policy.waivers)
    if waiver:
        used.add(waiver)
        if not waiver.expired(today):
            return replace(issue, status=WAIVED, note=f"until {waiver.expires}: {waiver.reason}")
        issue = replace(issue, note=f"allowed until {waiver.expires}, expired: {waiver.reason} ({waiver.origin})")
    elif issue.fingerprint in known:
        return replace(issue, status=BASELINE)
    fails = policy.fail_on != "never" and RANK[issue.severity] <= RANK[policy.fail_on]
    return replace(issue, status=FAILS if fails else REPORTED)


def waiver_for(issue: Issue, waivers: Iterable[Waiver]) -> Waiver | None:
    """The waiver that covers `issue`: the one that holds longest, as several may."""
    covering = [
        each
        for each in waivers
        if issue.rule in each.rules and each.place.covers(issue.path, issue.host) and each.at_fault in (None, issue.at_fault)
    ]
    return max(covering, key=lambda each: each.expires, default=None)


def waiver_notes(policy: Policy, used: Collection[Waiver], today: datetime.date) -> Iterator[str]:
    """Allow-list entries that can go."""
    for waiver in policy.waivers:
        if waiver not in used:
            state = f"expired on {waiver.expires} and" if waiver.expired(today) else "is not needed:"
            yield f"{waiver.origin}: the allow entry for {waiver.selector} {state} matches nothing here"


def baseline_notes(known: Collection[str], seen: Collection[str]) -> Iterator[str]:
    """Faults that the baseline knows and that are gone."""
    gone = sum(each not in seen for each in known)
    if gone:
        yield f"{times(gone, 'fault')} of the baseline did not occur: --update-baseline takes {'it' if gone == 1 else 'them'} out"
