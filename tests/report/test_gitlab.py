from __future__ import annotations

import json

from hypothesis import given, settings

from tests.gate.fake import finding, report
from tests.report.ci import TEXTS, hostile
from wsaudit.report import gitlab


def rendered(made):
    """The list, held against what GitLab's documentation demands of an entry."""
    entries = json.loads(gitlab.render(made, root="/repo"))
    for entry in entries:
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert entry["location"]["lines"]["begin"] == 1
        assert not entry["location"]["path"].startswith(("/", "./"))
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)
    return entries


def test_nothing_found_is_an_empty_list():
    assert gitlab.render(report([])) == "[]\n"


def test_one_entry_for_each_fault_of_each_capture():
    findings = [finding(), finding(number=2), finding(source=1), finding("HS-C14"), finding("FR-02", verdict="unverifiable")]
    entries = rendered(report(findings, paths=("a.pcap", "b.pcap")))
    assert [(entry["check_name"], entry["severity"], entry["location"]["path"]) for entry in entries] == [
        ("FR-01", "critical", "a.pcap"),
        ("FR-01", "critical", "b.pcap"),
        ("HS-C14", "info", "a.pcap"),
    ]
    assert entries[0]["description"] == (
        "FR-01 unmasked-client-frame: text frame of 5 bytes without a masking key [client at fault] (2 times, in 2 connections)"
    )


def test_the_fingerprint_does_not_depend_on_packets():
    one, two = rendered(report([finding(packet=1)])), rendered(report([finding(packet=2, detail="text frame of 7 bytes")]))
    assert one[0]["fingerprint"] == two[0]["fingerprint"]


@settings(max_examples=100)
@given(TEXTS)
def test_any_traffic_gives_entries(text):
    entries = rendered(hostile(text))
    assert [entry["check_name"] for entry in entries] == ["FR-01", "CL-16"]
    assert all(entry["description"].isprintable() for entry in entries)
