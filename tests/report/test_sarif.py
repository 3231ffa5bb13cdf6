from __future__ import annotations

import datetime
import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings

from tests.gate.fake import BOOK, connection, finding, report
from tests.report.ci import TEXTS, hostile
from wsaudit.gate.policy import parse_policy
from wsaudit.gate.verdict import judge
from wsaudit.report import sarif

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0-rtm.5.json").read_bytes())
VALIDATOR = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


@pytest.fixture(autouse=True)
def _small_catalogue(monkeypatch):
    monkeypatch.setattr(sarif, "rulebook", lambda: BOOK)


def rendered(made, issues=None):
    document = json.loads(sarif.render(made, issues, root="/repo"))
    VALIDATOR.validate(document)
    (run,) = document["runs"]
    return run


def test_an_empty_audit_is_valid():
    assert rendered(report([], []))["results"] == []


def test_a_finding_has_all_that_code_scanning_needs():
    run = rendered(report([finding()], paths=("captures/a b.pcap",)))
    (result,) = run["results"]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "captures/a%20b.pcap", "uriBaseId": "%SRCROOT%", "index": 0}
    assert (physical["region"]["startLine"], physical["region"]["byteOffset"]) == (1, 412)
    assert result["level"] == "error"
    assert result["message"]["text"] == (
        "text frame of 5 bytes without a masking key; client at fault; first in connection 1, packet 9"
    )
    assert result["partialFingerprints"]["primaryLocationLineHash"] == finding()["fingerprint"] + ":1"
    (rule,) = run["tool"]["driver"]["rules"]
    assert (rule["id"], rule["name"], rule["defaultConfiguration"]) == ("FR-01", "unmasked-client-frame", {"level": "error"})
    assert "What to do: mask" in rule["help"]["text"]


def test_repeats_are_one_result_for_each_capture():
    findings = [finding(), finding(number=2, packet=40), finding(source=1)]
    results = rendered(report(findings, paths=("a.pcap", "b.pcap")))["results"]
    assert [each["occurrenceCount"] for each in results] == [2, 1]
    assert "seen 2 times in 2 connections" in results[0]["message"]["text"]
    assert len({each["partialFingerprints"]["wsauditFault/v1"] for each in results}) == 1


def test_lost_evidence_is_counted_not_listed():
    run = rendered(report([finding(verdict="unverifiable")]))
    assert run["results"] == []
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"].startswith("1 finding could not be verified")


def test_the_gates_decisions_are_in_it():
    waiver = {"rule": "FR-02", "reason": "known [bug]", "expires": "2030-01-01"}
    made = report([finding(), finding("FR-02"), finding("HS-S05")])
    policy = parse_policy({"allow": [waiver], "limits": {"handshake-latency": 0}}, BOOK)
    verdict = judge(made, policy, today=datetime.date(2026, 1, 1), baseline=[finding()["fingerprint"]])
    results = {each["ruleId"]: each for each in rendered(made, verdict.issues)["results"]}
    assert results["FR-01"]["baselineState"] == "unchanged"
    assert results["HS-S05"]["baselineState"] == "new"
    assert results["FR-02"]["suppressions"][0]["justification"] == "until 2030-01-01: known \\[bug\\]"
    assert results["policy/handshake-latency"]["level"] == "error"


def test_githubs_limits_hold():
    findings = [finding(path=f"/{'x' * (number % 97)}-{'yz'[number % 2] * (number // 97)}", number=1) for number in range(6000)]
    run = rendered_fast(report(findings))
    assert len(run["results"]) == 5000
    text = run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert text == "1,000 results left out: code scanning shows 5,000; the JSON report has all of them"


def rendered_fast(made):
    """Without validation: 5,000 results take the validator a minute."""
    return json.loads(sarif.render(made, root="/repo"))["runs"][0]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_any_traffic_gives_a_valid_log(text):
    run = rendered(hostile(text))
    for result in run["results"]:
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isascii()
        assert not uri.startswith("/")
        assert ":" not in uri


def test_same_report_same_bytes():
    made = report([finding(), finding("CL-16", number=2)], [connection(1), connection(2)])
    assert sarif.render(made) == sarif.render(made)
