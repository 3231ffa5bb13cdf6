"""What a CI system is told: findings of a report as flat, sorted, location-bearing items, without anything that differs
between machines.

The renderers for CI systems (`sarif`, `junit`, `gitlab`, `github`) take a list of these. `audit` passes a report's findings
as they are; the gate passes them with its decision in `status`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from wsaudit.report.redact import ReportLike

SEVERITIES = ("error", "warning", "info")
"""Worst first."""

RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}

FAILS = "fails"
REPORTED = "reported"
BASELINE = "baseline"
WAIVED = "waived"
UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding, or one limit of a policy that was passed.

    `status` is "fails" (the gate fails for it), "reported" (it does not), "baseline" (known before), "waived" (allowed for
    now, `note` says why) or "unverifiable" (the capture lost the evidence: nobody is accused). `capture` is a relative path,
    `path` the request target without its query, `offset` a byte offset in the TCP stream of `direction`. Issues of a policy
    have no connection when they are about all of them.
    """

    rule: str
    name: str
    severity: str
    status: str
    detail: str
    fingerprint: str
    at_fault: str | None = None
    direction: str | None = None
    reference: str | None = None
    connection: int | None = None
    capture: str | None = None
    packet: int | None = None
    offset: int | None = None
    count: int = 1
    path: str | None = None
    host: str | None = None
    note: str | None = None

    @property
    def counted(self) -> bool:
        """Whether CI systems should show it: neither allowed, nor known before, nor without evidence."""
        return self.status in (FAILS, REPORTED)


@dataclass(frozen=True, slots=True)
class Fold:
    """Issues that are one fault seen again and again: the first of them, how often, in which connections."""

    first: Issue
    count: int
    connections: tuple[int, ...]


def relative(path: str, root: str) -> str:
    """`path` as CI may see it: relative to `root` with forward slashes; only the file's name when it lies elsewhere."""
    normal = PurePath(os.path.normpath(path))
    if normal.is_absolute() and normal.is_relative_to(root):
        normal = normal.relative_to(root)
    outside = normal.is_absolute() or ".." in normal.parts
    return normal.name if outside else normal.as_posix()


def captures_of(report: ReportLike, root: str | None = None) -> list[str]:
    """The inputs of `report`, in their order, as CI may see them."""
    root = os.getcwd() if root is None else root
    return [relative(str(each["path"]), root) for each in report.inputs]


def issues_of(report: ReportLike, root: str | None = None) -> list[Issue]:
    """The findings of `report`, worst first, all with status "reported" or "unverifiable". `root` (default: the current
    folder) is what paths are relative to."""
    captures = captures_of(report, root)
    places: dict[int, tuple[str | None, str | None]] = {}
    return sort(finding_issue(finding, report, captures, places) for finding in report.findings)


def finding_issue(
    finding: Mapping[str, Any], report: ReportLike, captures: list[str], places: dict[int, tuple[str | None, str | None]]
) -> Issue:
    """One finding of the contract as an issue; `places` remembers path and host of the connections already asked for."""
    number = finding.get("connection")
    if number is not None and number not in places:
        places[number] = place(report.connection(number - 1))
    path, host = places.get(number, (None, None)) if number is not None else (None, None)
    source = finding.get("input") or 0
    return Issue(
        rule=finding["rule"],
        name=finding["name"],
        severity=finding["severity"],
        status=UNVERIFIABLE if finding["verdict"] == "unverifiable" else REPORTED,
        detail=finding.get("detail") or "",
        fingerprint=finding["fingerprint"],
        at_fault=finding.get("at_fault"),
        direction=finding.get("direction"),
        reference=finding.get("reference"),
        connection=number,
        capture=captures[source] if source < len(captures) else None,
        packet=finding.get("packet"),
        offset=finding.get("offset"),
        count=finding.get("count") or 1,
        path=path,
        host=host,
    )


def place(connection: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Path without query and host of a connection; None for what was not captured."""
    handshake = connection.get("handshake") or {}
    target = handshake.get("target")
    return (None if target is None else target.split("?", 1)[0].split("#", 1)[0], handshake.get("host"))


def sort(issues: Iterable[Issue]) -> list[Issue]:
    """Failing first, then worst first, then in the order of rule, connection and packet: the same for the same report, always."""
    return sorted(
        issues,
        key=lambda each: (
            each.status != FAILS,
            RANK[each.severity],
            each.rule,
            each.connection or 0,
            each.packet or 0,
            each.direction or "",
            each.offset or 0,
        ),
    )


def fold(issues: Iterable[Issue], *, by_capture: bool = False) -> list[Fold]:
    """Issues of one fault as one item, in the order of their first. With `by_capture` one item for each capture."""
    groups: dict[tuple[str | None, ...], list[Issue]] = {}
    for issue in issues:
        key = (issue.fingerprint, issue.status, issue.severity, issue.note, issue.capture if by_capture else None)
        groups.setdefault(key, []).append(issue)
    return [
        Fold(
            group[0],
            sum(each.count for each in group),
            tuple(sorted({each.connection for each in group if each.connection is not None})),
        )
        for group in groups.values()
    ]


def with_status(issue: Issue, status: str, note: str | None = None) -> Issue:
    """The same issue after a decision."""
    return replace(issue, status=status, note=note)


def times(count: int, one: str, many: str | None = None) -> str:
    """`3 findings`, `1 finding`, `1,204 findings`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
