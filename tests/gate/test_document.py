from __future__ import annotations

import datetime
import json

from tests.gate.fake import BOOK, finding, report
from wsaudit.gate.document import render
from wsaudit.gate.policy import parse_policy
from wsaudit.gate.verdict import judge


def test_the_verdict_as_json():
    verdict = judge(report([finding(), finding("CL-16")]), parse_policy({}, BOOK), today=datetime.date(2026, 3, 1))
    document = json.loads(render(verdict))
    assert document["schema"] == "wsaudit.check/1"
    assert (document["exit_code"], document["statuses"]) == (1, {"fails": 1, "reported": 1})
    assert document["issues"][0]["rule"] == "FR-01"
    assert document["issues"][0]["status"] == "fails"
    assert render(verdict).isascii()
