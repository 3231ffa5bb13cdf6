from __future__ import annotations

import datetime

from tests.gate.fake import BOOK, finding, report
from wsaudit.gate.policy import parse_policy
from wsaudit.gate.screen import explain, render, show_command, toml
from wsaudit.gate.verdict import judge


def screen(made, policy=None, **more):
    verdict = judge(made, parse_policy(policy or {}, BOOK), today=datetime.date(2026, 3, 1), **more)
    return render(verdict)


def test_a_pass_is_one_line():
    assert screen(report([])) == "PASS  traffic.pcap   2 WebSocket connections   nothing at or above error\n"


def test_what_did_not_count_is_counted():
    waiver = {"rule": "FR-02", "reason": "x", "expires": "2030-01-01"}
    findings = [finding(), finding("FR-02"), finding("HS-C14"), finding("HS-S05", verdict="unverifiable")]
    text = screen(report(findings), {"allow": [waiver]}, baseline=[finding()["fingerprint"]])
    assert text.endswith(
        "not counted: 1 known from the baseline, 1 allowed by the policy, 1 below error, 1 unverifiable (evidence lost)\n"
    )


def test_a_limit_names_its_origin():
    text = screen(report([]), {"limits": {"handshake-latency": 0.001}})
    assert "error    handshake-latency   limit of the policy\n" in text
    assert "seen: the handshake took 0.01 s, more than 0.001 (2 connections are\n" in text


def test_repeats_are_counted():
    assert "client at fault   2x in 2 connections\n" in screen(report([finding(), finding(number=2)]))


def test_commands_can_be_pasted():
    assert show_command(["a b.pcap", "-x"], 3) == "wsaudit show 'a b.pcap' -x -c 3"


def test_the_default_policy_explains_itself():
    text = explain(parse_policy({}, BOOK), "none")
    assert text.startswith('# effective policy; file: none\nfail-on = "error"')
    assert "[limits]" in text


def test_toml_texts_are_escaped():
    assert toml('say "x"\\\n\x7f') == '"say \\"x\\"\\\\\\n\\u007f"'


def test_a_failure_without_a_fault_says_what_decided():
    assert screen(report([], [])).startswith("FAIL  traffic.pcap   0 WebSocket connections   too few connections\n")
    assert "   not everything could be read\n      could not be read: x: y\n" in screen(report([]), unreadable=["x: y"])
