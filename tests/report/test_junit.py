from __future__ import annotations

import datetime
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings

from tests.gate.fake import BOOK, finding, report
from tests.report.ci import TEXTS, hostile
from wsaudit.gate.policy import parse_policy
from wsaudit.gate.verdict import judge
from wsaudit.report import junit


@pytest.fixture(autouse=True)
def _small_catalogue(monkeypatch):
    monkeypatch.setattr(junit, "rulebook", lambda: BOOK)


def parsed(text):
    """The document, its counters checked against its cases."""
    top = ElementTree.fromstring(text.encode())
    for element in (top, *top):
        assert int(element.get("tests")) == len(list(element.iter("testcase")))
        assert int(element.get("failures")) == len(list(element.iter("failure")))
        assert int(element.get("skipped")) == len(list(element.iter("skipped")))
    return top


def outcomes(suite):
    return {case.get("name").split()[0]: (case[0].tag if len(case) else "passed") for case in suite}


def test_one_suite_a_capture_one_case_a_rule():
    top = parsed(junit.render(report([finding(source=1), finding("CL-16")], paths=("a.pcap", "b.pcap"))))
    assert [suite.get("name") for suite in top] == ["a.pcap", "b.pcap"]
    assert outcomes(top[0]) == {"CL-16": "skipped", **dict.fromkeys(("FR-01", "FR-02", "HS-C14", "HS-S05"), "passed")}
    assert outcomes(top[1])["FR-01"] == "failure"


def test_a_failure_says_what_where_and_whose():
    top = parsed(junit.render(report([finding(), finding(number=2, packet=30)])))
    failure = next(top.iter("failure"))
    assert failure.get("message") == "text frame of 5 bytes without a masking key (2 findings)"
    assert failure.text.splitlines()[1] == (
        "text frame of 5 bytes without a masking key; connection 2, packet 30, byte 412 from the client; client at fault; "
        "RFC 6455 §5.1"
    )


def test_what_the_gate_lets_go_is_skipped_with_its_reason():
    policy = parse_policy({"ignore": ["HS"], "allow": [{"rule": "FR-02", "reason": "old app", "expires": "2030-01-01"}]}, BOOK)
    made = report([finding(), finding("FR-02"), finding("CL-16", verdict="unverifiable")])
    verdict = judge(made, policy, today=datetime.date(2026, 1, 1), baseline=[finding()["fingerprint"]])
    top = parsed(junit.render(made, verdict.issues, rules=policy.rules))
    assert outcomes(top[0]) == {"CL-16": "skipped", "FR-01": "skipped", "FR-02": "skipped"}
    assert "allowed by the policy until 2030-01-01: old app" in top[0][2][0].get("message")


def test_limits_and_problems_are_the_suite_of_the_policy():
    made = report([])
    policy = parse_policy({"limits": {"handshake-latency": 0}}, BOOK)
    verdict = judge(made, policy, today=datetime.date(2026, 1, 1))
    top = parsed(junit.render(made, verdict.issues, problems=[("expect-connections", "9 expected, 2 found")]))
    assert outcomes(top[1]) == {"policy/handshake-latency": "failure", "expect-connections": "failure"}


def test_many_occurrences_are_listed_in_part():
    top = parsed(junit.render(report([finding(packet=number) for number in range(1, 31)])))
    lines = next(top.iter("failure")).text.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 10 more"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_any_traffic_gives_legal_xml(text):
    top = parsed(junit.render(hostile(text), root="/repo"))
    assert len(top) == 1
    assert len(list(top.iter("failure"))) == 1
