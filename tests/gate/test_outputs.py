from __future__ import annotations

import datetime
import json
from xml.etree import ElementTree

import pytest

from tests.gate.fake import BOOK, RULES, finding, report
from wsaudit.cli.check import FORMATS
from wsaudit.gate.outputs import RENDERERS
from wsaudit.gate.policy import parse_policy
from wsaudit.gate.verdict import judge
from wsaudit.report import rulebook


@pytest.fixture(autouse=True)
def _small_catalogue(monkeypatch):
    monkeypatch.setattr(rulebook, "read_catalogue", lambda: RULES)
    rulebook.rulebook.cache_clear()
    yield
    rulebook.rulebook.cache_clear()


def test_the_command_offers_what_there_is():
    assert tuple(RENDERERS) == FORMATS


def test_too_few_connections_are_told_in_every_format():
    made = report([], [])
    verdict = judge(made, parse_policy({}, BOOK), today=datetime.date(2026, 3, 1), unreadable=["x: a PNG image"])
    assert "1 connection expected" in RENDERERS["text"](made, verdict)
    assert json.loads(RENDERERS["json"](made, verdict))["exit_code"] == 3
    assert len(list(ElementTree.fromstring(RENDERERS["junit"](made, verdict).encode()).iter("failure"))) == 2
    assert RENDERERS["github"](made, verdict).count("::error title=wsaudit check::") == 2
    assert "1 connection expected" in RENDERERS["markdown"](made, verdict)


def test_the_report_is_a_baseline():
    from wsaudit.gate.baseline import check_shape

    made = report([finding()])
    verdict = judge(made, parse_policy({}, BOOK), today=datetime.date(2026, 3, 1))
    check_shape(json.loads(RENDERERS["report"](made, verdict)), "x")
