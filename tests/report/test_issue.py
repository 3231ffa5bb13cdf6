from __future__ import annotations

import pytest

from tests.gate.fake import connection, finding, report
from wsaudit.report.issue import fold, issues_of, relative, sort, times


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("a.pcap", "a.pcap"),
        ("./a/../b/c.pcap", "b/c.pcap"),
        ("../c.pcap", "c.pcap"),
        ("a/../../c.pcap", "c.pcap"),
        ("/repo/a/b.pcap", "a/b.pcap"),
        ("/repository/b.pcap", "b.pcap"),
        ("/elsewhere/b.pcap", "b.pcap"),
        ("-", "-"),
    ],
)
def test_no_path_leaves_the_repository(path, shown):
    assert relative(path, "/repo") == shown


def test_a_finding_becomes_an_issue_with_its_place():
    (issue,) = issues_of(
        report([finding(source=1, number=2)], [connection(1), connection(2, path="/a?token=x#y")], paths=("a", "b"))
    )
    assert (issue.capture, issue.path, issue.host, issue.status) == ("b", "/a", "chat.example:8080", "reported")


def test_a_finding_about_no_connection_has_no_place():
    (issue,) = issues_of(report([finding(number=None)]))
    assert (issue.connection, issue.path) == (None, None)


def test_the_order_does_not_depend_on_the_reports():
    findings = [finding("HS-C14"), finding(packet=9), finding(packet=2), finding(number=2, packet=1), finding("CL-16")]
    there, back = issues_of(report(findings)), issues_of(report(findings[::-1]))
    assert there == back == sort(back)
    assert [(each.rule, each.packet) for each in there] == [("FR-01", 2), ("FR-01", 9), ("FR-01", 1), ("CL-16", 9), ("HS-C14", 9)]


def test_folding_counts_findings_and_connections():
    folds = fold(issues_of(report([finding(count=3), finding(number=2, count=2), finding("CL-16")])))
    assert [(each.first.rule, each.count, each.connections) for each in folds] == [("FR-01", 5, (1, 2)), ("CL-16", 1, (1,))]


def test_numbers_read_well():
    assert (times(1, "fault"), times(2, "fault"), times(1204, "entry", "entries")) == ("1 fault", "2 faults", "1,204 entries")
