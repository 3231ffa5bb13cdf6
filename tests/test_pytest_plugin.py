from __future__ import annotations

import datetime
import subprocess
import sys

import pytest

import wsaudit
from tests.gate.fake import RULES, finding, report
from wsaudit.errors import UsageError
from wsaudit.pytest_plugin import AuditedCapture, wsaudit_audit  # noqa: F401  a fixture, used by its name
from wsaudit.report import rulebook

DAY = datetime.date(2026, 3, 1)


@pytest.fixture(autouse=True)
def _small_catalogue(monkeypatch):
    monkeypatch.setattr(rulebook, "read_catalogue", lambda: RULES)
    rulebook.rulebook.cache_clear()
    yield
    rulebook.rulebook.cache_clear()


def audited(tmp_path, *findings):
    return AuditedCapture(report(list(findings)), "chat.pcap", tmp_path)


def test_clean_passes(tmp_path):
    audited(tmp_path).assert_clean()


def test_a_fault_fails_the_test_with_the_screen(tmp_path):
    with pytest.raises(pytest.fail.Exception) as caught:
        audited(tmp_path, finding()).assert_clean(today=DAY)
    assert str(caught.value).startswith("FAIL  chat.pcap   2 WebSocket connections   1 fault at or above error\n")
    assert "wsaudit show chat.pcap -c 1" in str(caught.value)


def test_a_recording_that_is_too_short_fails(tmp_path):
    with pytest.raises(pytest.fail.Exception, match="3 connections expected"):
        audited(tmp_path).assert_clean(expect_connections=3)


def test_a_policy_may_be_a_dict_a_file_or_the_projects(tmp_path):
    audited(tmp_path, finding()).assert_clean({"fail-on": "never"})
    (tmp_path / "own.toml").write_text('ignore = ["FR"]')
    audited(tmp_path, finding()).assert_clean(tmp_path / "own.toml")
    (tmp_path / "wsaudit.toml").write_text('[severity]\nFR-01 = "info"')
    audited(tmp_path, finding()).assert_clean()
    with pytest.raises(UsageError, match="unknown key 'fail_on'; did you mean 'fail-on'"):
        audited(tmp_path).assert_clean({"fail_on": "never"})


def test_a_baseline_excuses_what_it_knows(tmp_path):
    from wsaudit.report.json_format import write_json

    with open(tmp_path / "base.json", "w") as file:
        write_json(report([finding()]), file)
    audited(tmp_path, finding(packet=99)).assert_clean(baseline=tmp_path / "base.json")


def test_the_fixture_takes_files_and_bytes(monkeypatch, tmp_path, request):
    seen = []

    def audit(captures, **options):
        with open(captures[0], "rb") as file:
            seen.append((file.read(), options))
        return report([])

    monkeypatch.setattr(wsaudit, "audit", audit, raising=False)
    fixture = request.getfixturevalue("wsaudit_audit")
    (tmp_path / "x.pcap").write_bytes(b"file")
    fixture(tmp_path / "x.pcap", keylog="keys.log").assert_clean()
    fixture(b"bytes").assert_clean()
    assert seen == [(b"file", {"keylog": "keys.log"}), (b"bytes", {})]


def test_it_imports_nothing_but_pytest():
    code = (
        "import sys, pytest; before = set(sys.modules); import wsaudit.pytest_plugin; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"wsaudit", "wsaudit.pytest_plugin"}
