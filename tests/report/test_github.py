from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings

from tests.gate.fake import BOOK, finding, report
from tests.report.ci import TEXTS, hostile
from wsaudit.report import github

COMMAND = re.compile(r"::(error|warning|notice) file=[^:]*,line=1,title=[^:,]*::(.*)")


@pytest.fixture(autouse=True)
def _small_catalogue(monkeypatch):
    monkeypatch.setattr(github, "rulebook", lambda: BOOK)


def test_an_annotation():
    assert github.render(report([finding()])) == (
        "::error file=traffic.pcap,line=1,title=FR-01 unmasked-client-frame::"
        "text frame of 5 bytes without a masking key; client at fault; connection 1; packet 9\n"
    )


def test_the_worst_ten():
    findings = [finding("HS-C14"), *(finding(path=f"/{'a' * number}") for number in range(1, 13)), finding("CL-16")]
    lines = github.render(report(findings)).splitlines()
    assert len(lines) == 10
    assert all(line.startswith("::error ") for line in lines)


def test_what_ends_a_property_is_escaped():
    assert github.escape_property("a:b,c%d\r\n") == "a%3Ab%2Cc%25d%0D%0A"
    assert github.escape_data("a:b,c%d\r\n##[x]") == "a:b,c%25d%0D%0A#%23[x]"


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_traffic_gives_no_commands_of_its_own(text):
    lines = github.render(hostile(text), root="/repo").split("\n")
    assert lines.pop() == ""
    assert len(lines) == 2
    for line in lines:
        assert COMMAND.fullmatch(line)
        assert "##[" not in line
        assert line.isprintable()


def test_the_summary_tells_figures_and_faults():
    page = github.summary(report([finding()]), verdict="**Failed**.")
    assert page.startswith(
        "## WebSocket audit\n\n**Failed**.\n\n- 2 WebSocket connections: 2 closed\n- Clients were told 1000: 2\n"
    )
    assert "FR-01 unmasked-client-frame<br>Client frame without mask | client | 1 in 1 | `text frame of 5 bytes" in page


def test_the_summary_stays_below_a_mebibyte():
    findings = [finding(path=f"/{'é' * (number % 90)}/{'b' * (number // 90)}", detail="\u00e9" * 400) for number in range(4000)]
    page = github.summary(report(findings))
    assert len(page.encode()) <= 1 << 20
    assert page.endswith("more faults: the page is full\n")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_traffic_stays_in_its_cell(text):
    rows = [line for line in github.summary(hostile(text), root="/repo").split("\n") if line.startswith("| ")]
    bodies = [row for row in rows if not row.startswith("| |")]
    assert len(bodies) == 2
    for row in bodies:
        assert len(re.split(r"(?<!\\)\|", row)) == 7
