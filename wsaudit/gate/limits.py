"""The figures a policy bounds, measured on a report. Each limit that is passed becomes one issue that names the worst
connection.

A rate is only as good as its denominator: 1006 is counted over the connections that ended with complete evidence, and close
codes over those that were accepted and ended inside the capture. Zero connections pass no limit; that an empty capture passes
no gate is the verdict's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wsaudit.report.fingerprint import fingerprint
from wsaudit.report.issue import FAILS, Issue, place, times
from wsaudit.report.redact import ReportLike

from .policy import CloseCodes, Policy

ENDED = ("closed", "close-unanswered", "dropped")
SIDES = ("client", "server")
MISSING = -1.0


@dataclass(slots=True)
class Worst:
    """The largest of a series of measurements, and how many were over the limit."""

    limit: float
    value: float = MISSING
    connection: int = 0
    over: int = 0

    def add(self, value: float | None, connection: int) -> None:
        """One measurement; None was not measured."""
        if value is not None and value > self.limit:
            self.over += 1
            if value > self.value:
                self.value, self.connection = value, connection


@dataclass(slots=True)
class Measured:
    """What one pass over the connections found."""

    latency: Worst
    rtt: Worst
    size: Worst
    ended: int = 0
    unsized: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    first: dict[int, int] = field(default_factory=dict)
    refused: list[Issue] = field(default_factory=list)


def end_codes(connection: Mapping[str, Any]) -> set[int]:
    """Every close code with which a connection ended at either end: what a Close frame carried, and what an API certainly
    reported (1005 for a Close without a code, 1006 for none)."""
    codes: set[int] = set()
    for side in SIDES:
        close = (connection.get("close") or {}).get(side)
        reported = (connection.get("reported") or {}).get(side)
        if close and close.get("code") is not None:
            codes.add(close["code"])
        if reported and reported.get("certain") and reported.get("code") is not None:
            codes.add(reported["code"])
    return codes


def largest_message(connection: Mapping[str, Any]) -> tuple[int | None, bool]:
    """Bytes of the largest message of either side, and whether that is all of it: a report without `largest` knows it only
    for a single message."""
    known: list[int] = []
    complete = True
    for side in SIDES:
        sent = (connection.get("messages") or {}).get(side) or {}
        count = (sent.get("text") or 0) + (sent.get("binary") or 0)
        if sent.get("largest") is not None:
            known.append(sent["largest"])
        elif count == 1:
            known.append(sent.get("bytes") or 0)
        elif count:
            complete = False
    return (max(known) if known else None), complete


def judge_limits(report: ReportLike, policy: Policy) -> tuple[list[Issue], list[str]]:
    """The limits and close codes of `policy` that `report` does not keep, as failing issues of severity error, and notes on
    what could not be measured."""
    limits = policy.limits
    if limits == type(limits)() and not policy.close_codes:
        return [], []
    measured = measure(report, policy)
    issues = [*rates(report, policy), *shares(policy, measured), *worsts(policy, measured), *measured.refused]
    notes = []
    if limits.message_size is not None and measured.unsized:
        notes.append(
            f"message-size was not measured on {times(measured.unsized, 'connection')}: the report has no largest message"
        )
    return issues, notes


def measure(report: ReportLike, policy: Policy) -> Measured:
    """One pass over the confirmed connections."""
    limits, never = policy.limits, float("inf")
    found = Measured(
        latency=Worst(never if limits.handshake_latency is None else limits.handshake_latency),
        rtt=Worst(never if limits.ping_rtt is None else limits.ping_rtt),
        size=Worst(never if limits.message_size is None else limits.message_size),
    )
    for connection in report.iter_connections():
        if connection.get("websocket") == "probable":
            continue
        number = connection["id"]
        found.latency.add((connection.get("handshake") or {}).get("latency"), number)
        found.rtt.add(((connection.get("heartbeat") or {}).get("rtt") or {}).get("p99"), number)
        size, complete = largest_message(connection)
        found.size.add(size, number)
        found.unsized += not complete
        if connection["termination"]["class"] in ENDED:
            count_codes(connection, policy, found)
    return found


def count_codes(connection: Mapping[str, Any], policy: Policy, found: Measured) -> None:
    """The codes of one ended connection: counted for the shares, and held against what is allowed there."""
    found.ended += 1
    path, host = place(connection)
    allowed = next((each for each in policy.close_codes if each.place.covers(path, host)), None)
    for code in sorted(end_codes(connection)):
        found.codes[code] += 1
        found.first.setdefault(code, connection["id"])
        if allowed and not allowed.allows(code):
            found.refused.append(code_issue(code, connection["id"], path, host, allowed))


def code_issue(code: int, connection: int, path: str | None, host: str | None, allowed: CloseCodes) -> Issue:
    """A close code that is not on the list."""
    detail = f"ended with close code {code}, which {allowed.origin} does not allow"
    return Issue(
        rule="policy/close-codes",
        name=f"close-code-{code}",
        severity="error",
        status=FAILS,
        detail=detail,
        fingerprint=fingerprint(f"policy/close-codes/{code}", None, None, path),
        reference=allowed.origin,
        connection=connection,
        path=path,
        host=host,
    )


def limit_issue(policy: Policy, key: str, detail: str, connection: int | None = None) -> Issue:
    """A limit that was passed."""
    return Issue(
        rule=f"policy/{key.split('.', 1)[0]}",
        name=key,
        severity="error",
        status=FAILS,
        detail=detail,
        fingerprint=fingerprint(f"policy/{key}", None, None, None),
        reference=policy.origin(f"limits.{key}"),
        connection=connection,
    )


def rates(report: ReportLike, policy: Policy) -> Iterator[Issue]:
    """The two limits on 1006, over the figure that the report prints too."""
    abnormal = report.summary["abnormal"]
    count, of, rate = abnormal["count"], abnormal["of"], abnormal["rate"]
    limits = policy.limits
    if limits.abnormal_rate is not None and rate is not None and rate > limits.abnormal_rate:
        detail = f"{count} of {of} ended connections ended abnormally: {rate:.4g}, more than {limits.abnormal_rate:.4g}"
        yield limit_issue(policy, "abnormal-rate", detail, first_abnormal(report))
    if limits.abnormal_count is not None and count > limits.abnormal_count:
        detail = f"{count} connections ended abnormally (1006), more than {limits.abnormal_count}"
        yield limit_issue(policy, "abnormal-count", detail, first_abnormal(report))


def first_abnormal(report: ReportLike) -> int | None:
    """The first connection that an API reported as 1006: somewhere to start looking."""
    for connection in report.iter_connections():
        if connection.get("websocket") != "probable" and 1006 in end_codes(connection):
            number: int = connection["id"]
            return number
    return None


def shares(policy: Policy, found: Measured) -> Iterator[Issue]:
    """The limits on the share of single close codes."""
    for code, limit in policy.limits.close_code_share.items():
        count = found.codes[code]
        if found.ended and count / found.ended > limit:
            share = count / found.ended
            detail = f"{count} of {found.ended} ended connections ended with {code}: {share:.4g}, more than {limit:.4g}"
            yield limit_issue(policy, f"close-code-share.{code}", detail, found.first[code])


def worsts(policy: Policy, found: Measured) -> Iterator[Issue]:
    """The limits on single connections: one issue for each, on its worst connection."""
    for key, worst, unit, what in (
        ("handshake-latency", found.latency, "s", "the handshake took"),
        ("ping-rtt", found.rtt, "s", "Pongs took (99th percentile)"),
        ("message-size", found.size, "bytes", "the largest message had"),
    ):
        if worst.over:
            others = f" ({worst.over:,} connections are over it)" if worst.over > 1 else ""
            detail = f"{what} {worst.value:.6g} {unit}, more than {worst.limit:.6g}{others}"
            yield limit_issue(policy, key, detail, worst.connection)
