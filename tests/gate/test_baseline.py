from __future__ import annotations

import json

import pytest

from tests.gate.fake import finding, report
from wsaudit.errors import UsageError
from wsaudit.gate.baseline import fingerprints, load_report


def save(tmp_path, text):
    path = tmp_path / "base.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_report_is_a_baseline(tmp_path):
    made = report([finding(), finding("FR-02", verdict="unverifiable")]).to_dict()
    assert fingerprints(load_report(save(tmp_path, json.dumps(made)))) == {finding()["fingerprint"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "base.json:1:1: not JSON: Expecting value"),
        ('{"schema": \n', "base.json:2:1: not JSON"),
        (b"\xff\xfe\xfd", "base.json: byte 0: not UTF-8"),
        ("[" * 100_000, "base.json: nested too deeply for a report"),
        ("[]", "base.json: not a wsaudit report"),
        ("{}", "base.json: not a wsaudit report"),
        ('{"schema": "wsaudit.check/1"}', "base.json: not a wsaudit report"),
        ('{"schema": "wsaudit.report/2"}', "base.json: schema wsaudit.report/2, but this wsaudit reads wsaudit.report/1"),
        ('{"schema": "wsaudit.report/1"}', "base.json: findings is missing or of the wrong type"),
        (
            '{"schema": "wsaudit.report/1", "findings": [{}], "summary": {}, "connections": []}',
            "base.json: findings[0] has no fingerprint",
        ),
    ],
)
def test_anything_else_is_refused(tmp_path, text, message):
    with pytest.raises(UsageError) as caught:
        load_report(save(tmp_path, text), "base.json")
    assert str(caught.value).startswith(message)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"gone.json: No such file"):
        load_report(tmp_path / "gone.json")
