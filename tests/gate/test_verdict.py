from __future__ import annotations

import datetime

import pytest

from tests.gate.fake import BOOK, connection, finding, report
from wsaudit.gate.policy import parse_policy
from wsaudit.gate.verdict import judge

TODAY = datetime.date(2026, 3, 1)
WAIVER = {"rule": "FR-01", "path": "/ch*", "reason": "old app", "expires": datetime.date(2026, 3, 1)}


def statuses(verdict):
    return [(each.rule, each.status) for each in verdict.issues]


def decided(findings, policy=None, *, today=TODAY, **more):
    return judge(report(findings), parse_policy(policy or {}, BOOK), today=today, **more)


def test_clean_is_zero():
    assert decided([]).exit_code == 0


@pytest.mark.parametrize(
    ("fail_on", "rule", "code"),
    [
        ("error", "FR-01", 1),
        ("error", "CL-16", 0),
        ("warning", "CL-16", 1),
        ("warning", "HS-C14", 0),
        ("info", "HS-C14", 1),
        ("never", "FR-01", 0),
    ],
)
def test_the_threshold_decides(fail_on, rule, code):
    assert decided([finding(rule)], {"fail-on": fail_on}).exit_code == code


def test_a_policy_changes_severities():
    assert decided([finding()], {"severity": {"FR": "warning"}}).exit_code == 0
    assert decided([finding("HS-C14")], {"severity": {"HS-C14": "error"}}).exit_code == 1


def test_select_and_ignore():
    assert statuses(decided([finding(), finding("FR-02")], {"select": ["FR"], "ignore": ["FR-02"]})) == [("FR-01", "fails")]


def test_what_lost_its_evidence_never_fails():
    verdict = decided([finding(verdict="unverifiable")], {"fail-on": "info"})
    assert verdict.exit_code == 0
    assert statuses(verdict) == [("FR-01", "unverifiable")]


def test_a_waiver_holds_through_its_last_day_then_fails_and_says_so():
    assert statuses(decided([finding()], {"allow": [WAIVER]})) == [("FR-01", "waived")]
    late = decided([finding()], {"allow": [WAIVER]}, today=TODAY + datetime.timedelta(days=1))
    assert late.exit_code == 1
    assert late.issues[0].note == "allowed until 2026-03-01, expired: old app (policy)"


def test_a_baseline_does_not_hide_that_a_waiver_expired():
    known = [finding()["fingerprint"]]
    assert decided([finding()], {"allow": [WAIVER]}, today=datetime.date(2027, 1, 1), baseline=known).exit_code == 1


def test_a_waiver_for_elsewhere_covers_nothing():
    verdict = decided([finding()], {"allow": [{**WAIVER, "path": "/other"}]})
    assert statuses(verdict) == [("FR-01", "fails")]
    assert verdict.notes == ("policy: the allow entry for FR-01 is not needed: matches nothing here",)
    assert decided([finding()], {"allow": [{**WAIVER, "at-fault": "server"}]}).exit_code == 1


def test_of_two_waivers_the_longer_one_counts():
    longer = {**WAIVER, "rule": "FR", "expires": datetime.date(2030, 1, 1)}
    assert decided([finding()], {"allow": [WAIVER, longer]}, today=datetime.date(2028, 1, 1)).exit_code == 0


def test_only_new_faults_fail_with_a_baseline():
    known = [finding()["fingerprint"], "gone"]
    verdict = decided([finding(), finding("FR-02")], baseline=known)
    assert statuses(verdict) == [("FR-02", "fails"), ("FR-01", "baseline")]
    assert verdict.notes == ("1 fault of the baseline did not occur: --update-baseline takes it out",)


def test_too_few_connections():
    assert judge(report([], []), parse_policy({}, BOOK), today=TODAY).exit_code == 4
    assert decided([], {"expect-connections": 3}).exit_code == 4
    probable = report([], [connection(1, websocket="probable")])
    assert judge(probable, parse_policy({}, BOOK), today=TODAY).exit_code == 4


def test_what_was_not_examined_comes_before_what_was_found():
    policy = {"expect-connections": 9}
    assert decided([finding()], policy, unreadable=["x: no capture"]).exit_code == 3
    assert decided([finding()], policy).exit_code == 4


def test_never_also_holds_for_limits():
    policy = {"fail-on": "never", "limits": {"handshake-latency": 0}}
    assert decided([], policy).exit_code == 0
    assert statuses(decided([], policy)) == [("policy/handshake-latency", "reported")]


def test_paths_are_relative_to_the_root():
    made = report([finding()], paths=("/repo/a/b.pcap",))
    assert judge(made, parse_policy({}, BOOK), today=TODAY, root="/repo").captures == ("a/b.pcap",)
    assert judge(made, parse_policy({}, BOOK), today=TODAY, root="/elsewhere").captures == ("b.pcap",)
