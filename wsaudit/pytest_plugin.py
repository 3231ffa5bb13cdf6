"""The pytest plugin: a fixture that audits what a test recorded.

def test_chat(wsaudit_audit, tmp_path): ...                                                # run the test, with tcpdump
writing tmp_path / "chat.pcap" wsaudit_audit(tmp_path / "chat.pcap").assert_clean()

Every pytest run that has wsaudit installed imports this file, so it imports nothing but pytest; the rest comes when the
fixture is called.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wsaudit.gate.policy import Policy
    from wsaudit.report.redact import ReportLike

Source = str | os.PathLike[str] | bytes
Audit = Callable[..., "AuditedCapture"]


class AuditedCapture:
    """A report, and the question a test has for it."""

    def __init__(self, report: Any, capture: str, folder: Path) -> None:
        self.report = report
        self.records: ReportLike = getattr(report, "records", report)
        self._capture = capture
        self._folder = folder

    def assert_clean(
        self,
        policy: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        baseline: str | os.PathLike[str] | None = None,
        expect_connections: int | None = None,
        today: datetime.date | None = None,
    ) -> None:
        """Fail the test when `wsaudit check` would fail.

        `policy` is a policy file, or the same as a dict (`{"fail-on": "warning"}`); without it the nearest `wsaudit.toml` or
        `[tool.wsaudit]` above pytest's root folder holds. `baseline` is an earlier JSON report. `today` is the day for expiry
        dates (default: the clock's, in UTC). UsageError when one of them cannot be used.
        """
        __tracebackhide__ = True
        from wsaudit.gate.baseline import fingerprints, load_report
        from wsaudit.gate.screen import render
        from wsaudit.gate.verdict import judge
        from wsaudit.report.redact import redacted

        chosen = self._policy(policy)
        if expect_connections is not None:
            chosen = chosen.override("expect_connections", expect_connections, "expect_connections")
        known = fingerprints(load_report(Path(baseline))) if baseline else frozenset()
        day = today or datetime.datetime.now(datetime.UTC).date()
        verdict = judge(redacted(self.records), chosen, today=day, baseline=known)
        if verdict.exit_code:
            pytest.fail(render(verdict, captures=[self._capture]), pytrace=False)

    def _policy(self, policy: Mapping[str, Any] | str | os.PathLike[str] | None) -> Policy:
        from wsaudit.gate.policy import find_policy, load_policy, parse_policy
        from wsaudit.report.rulebook import rulebook

        if isinstance(policy, Mapping):
            return parse_policy(policy, rulebook())
        path = find_policy(self._folder) if policy is None else Path(policy)
        return load_policy(path, rulebook())


@pytest.fixture
def wsaudit_audit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """`wsaudit_audit(capture, **options)`: audit a capture file, or the bytes of one, and get an object with `.report` and
    `.assert_clean()`.

    `options` are those of `wsaudit.audit`: `keylog`, `ports` and so on. InputError when it is no capture.
    """

    def audit(capture: Source, **options: Any) -> AuditedCapture:
        import wsaudit

        if isinstance(capture, bytes):
            path = tmp_path_factory.mktemp("wsaudit") / "capture.pcap"
            path.write_bytes(capture)
        else:
            path = Path(capture)
        return AuditedCapture(wsaudit.audit([str(path)], **options), str(path), request.config.rootpath)

    return audit
