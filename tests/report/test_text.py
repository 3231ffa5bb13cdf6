import re

import pytest

from tests.report.fake import HOSTILE, make_empty, make_report
from wsaudit.report.redact import redacted
from wsaudit.report.text import Page, render_text, wrap

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def test_thoughts_come_in_order() -> None:
    text = render_text(make_report())
    order = [
        "incident.pcap",
        "ended abnormally",
        "Incidents",
        "Endings",
        "Close codes on the wire",
        "Abnormal ends by cause",
        "Violations",
        "Notices",
        "Next",
    ]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert "One incident explains 30 of them." in " ".join(text.split())


@pytest.mark.parametrize("width", [60, 80, 132])
def test_no_line_is_wider_than_the_page(width: int) -> None:
    for line in render_text(redacted(make_report()), width=max(width, 80)).splitlines():
        assert len(line) <= max(width, 80), line


def test_colour_moves_no_column() -> None:
    report = make_report()
    plain = render_text(report)
    assert "\x1b" not in plain
    assert ANSI.sub("", render_text(report, color=True)).replace("█", "#") == plain


def test_hostile_text_is_inert_on_a_terminal() -> None:
    report = make_report()
    for text in HOSTILE.values():
        report.incidents[0].update(detail=text, confirm=text, server=text)
        report.findings[0].update(detail=text)
        report.notices[0].update(text=text)
        report.inputs[0].update(path=text)
        report.connection(0)["handshake"].update(target=text, user_agent=text)
        report.connection(0)["termination"].update(evidence=[text], confirm=text)
        shown = render_text(report)
        assert all(character.isprintable() or character == "\n" for character in shown)
        shown.encode("utf-8")


def test_a_big_report_touches_a_handful_of_connections() -> None:
    report = make_report(3000)
    render_text(report)
    assert report.built < 600


def test_summary_may_name_the_examples() -> None:
    report = make_report(3000)
    report.summary["abnormal"]["causes"] = [
        {"cause": "endpoint-killed", "count": 30, "example": 17},
        {"cause": "unknown", "count": 2, "example": None},
    ]
    text = render_text(report)
    assert "-c 17" in text
    assert report.built < 10


def test_evidence_and_how_to_be_sure_are_shown() -> None:
    text = render_text(make_report())
    assert "server sent FIN in packet 200 without a Close frame" in text
    assert "to be sure: process exits on 10.0.0.9" in text
    assert "okhttp/4.9.3" in text, "who broke the rule"


def test_a_rule_that_both_sides_broke() -> None:
    report = make_report(60)
    broken = [finding for finding in report.findings if finding["rule"] == "FR-01"]
    broken[0]["at_fault"] = "server"
    assert re.search(r"FR-01 unmasked-client-frame +error +2 +both", render_text(report))


def test_every_end_was_normal() -> None:
    report = make_report(20, burst=0, hostile=False)
    report.summary.update(abnormal={"count": 0, "of": 20, "rate": 0.0}, refused=0)
    report.findings.clear()
    text = render_text(report)
    assert "All 20 ended connections ended normally." in text
    assert "Abnormal ends by cause" not in text


def test_one_connection() -> None:
    report = make_report(1, burst=0)
    report.summary["abnormal"] = {"count": 1, "of": 1, "rate": 1.0}
    assert "The one connection that ended, ended abnormally." in render_text(report)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"tcp_flows": 12, "tls_connections": 8, "tls_without_keys": 8, "ports": {"443": 8}}, "8 TLS connections without keys"),
        ({"tcp_flows": 12, "http_requests": 5, "ports": {"80": 12}}, "5 HTTP requests, none of which asked"),
        ({"udp_packets": 120}, "QUIC (HTTP/3 over UDP) is not read."),
        ({"tcp_flows": 3, "tls_connections": 3}, "3 TLS connections, decrypted: no WebSocket inside."),
    ],
)
def test_empty_capture_says_why(seen: dict, words: str) -> None:
    text = " ".join(render_text(make_empty(**seen)).split())
    assert "No WebSocket connection was found." in text
    assert words in text
    assert "Endings" not in text


def test_capture_without_packets() -> None:
    report = make_empty()
    report.inputs[0].update(packets=0, first_time=None, last_time=None)
    text = render_text(report)
    assert "The capture holds no packet." in text


def test_the_verdict_names_the_cause_of_most() -> None:
    report = make_report(60)
    report.incidents.clear()
    report.summary["abnormal"]["in_incidents"] = 0
    causes = report.summary["abnormal"]["causes"] = [
        {"cause": "unknown", "count": 1, "example": None},
        {"cause": "idle-timeout", "count": report.summary["abnormal"]["count"] - 1, "example": 2},
    ]
    assert f"Most of them by idle timeout ({causes[1]['count']})" in " ".join(render_text(report).split())


def test_commands_name_the_captures() -> None:
    report = make_report(40)
    assert "wsaudit show incident.pcap -c 1" in render_text(report)
    report.inputs = [{**report.inputs[0], "path": "a b.pcap"}, {**report.inputs[0], "path": "c.pcap"}]
    assert "wsaudit show 'a b.pcap' c.pcap -c 1" in render_text(report)
    report.inputs *= 2
    assert "wsaudit show CAPTURE... -c 1" in render_text(report)


def test_several_captures_and_probable_connections() -> None:
    report = make_report(20)
    report.inputs = report.inputs * 3
    report.summary["probable"] = 2
    text = render_text(report)
    assert text.startswith("3 captures")
    assert "2 more connections may have been WebSockets" in text
    report.summary["probable"] = 1
    assert "1 more connection may have been a WebSocket" in render_text(report)


def test_long_lists_say_what_they_leave_out() -> None:
    report = make_report(40)
    report.notices *= 9
    report.incidents *= 8
    text = render_text(report)
    assert "and 3 more notices" in text
    assert "and 2 more incidents" in text


def test_wrap_breaks_long_words_and_counts_wide_characters() -> None:
    assert list(wrap("aa bbbbbbb c", 4)) == ["aa", "bbbb", "bbb", "c"]
    assert list(wrap("日本語日本", 4)) == ["日本", "語日", "本"]
    assert list(wrap("", 4)) == []


def test_a_bar_shows_one_of_a_million() -> None:
    page = Page(80, color=False)
    assert page.bar(1, 10**6, 10, "") == "#" + " " * 9
    assert page.bar(0, 10**6, 10, "") == " " * 10
    assert page.bar(0, 0, 10, "") == " " * 10
