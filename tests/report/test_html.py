import base64
import hashlib
import io
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

import wsaudit
from tests.report.fake import HOSTILE, make_empty, make_report
from wsaudit.report.html import pack, render_html, wireshark_filter, write_html
from wsaudit.report.redact import redacted

pytestmark = pytest.mark.usefixtures("catalogue")


class Outline(HTMLParser):
    """The tags of a page, and the text of each kind of element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def unpack(page: str) -> dict:
    packed = re.search(r'id="data">([^<]*)<', page)[1]
    return json.loads(zlib.decompress(base64.b64decode(packed), -15))


def elements(page: str, tag: str) -> list[str]:
    return re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)


def test_first_screen_says_what_happened() -> None:
    text = " ".join(Outline(render_html(make_report())).text.split())
    for words in (
        "ended connections ended abnormally",
        "One incident explains 30 of them.",
        "mass abrupt end: 30 connections to 10.0.0.9:8080",
        "endpoint killed, confidence 0.86; or restart or deploy, 0.31",
        "FR-01 unmasked client frame",
        "fault of the client",
        "packet 77: packet cut to 96 bytes by the capture",
    ):
        assert words in text


def test_policy_allows_exactly_our_script_and_style() -> None:
    page = render_html(make_report(20))
    policy = dict(
        part.strip().split(" ", 1)
        for part in re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'").split(";")
    )
    assert policy["default-src"] == "'none'"
    for directive, tag in (("script-src", "script"), ("style-src", "style")):
        (text,) = elements(page, tag)
        assert policy[directive] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_nothing_is_fetched_and_nothing_is_inline() -> None:
    for tag, attributes in Outline(render_html(make_report())).tags:
        assert tag not in {"iframe", "img", "object", "embed", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name != "style"
            if name in {"src", "href"}:
                assert value.startswith(("#", "data:image/svg+xml,"))


def test_hostile_text_is_inert() -> None:
    report = make_report()
    plain = render_html(make_report(hostile=False))
    for text in HOSTILE.values():
        report.incidents[0].update(detail=text, confirm=text, server=text)
        report.findings[0].update(detail=text, name=text)
        report.notices[0].update(text=text)
        report.inputs[0].update(path=text)
        report.connection(0)["termination"].update(evidence=[text], confirm=text)
        report.connection(0)["handshake"].update(target=text)
        page = render_html(report)
        page.encode("utf-8")
        for tag in ("script", "img", "b"):
            assert sum(name == tag for name, _ in Outline(page).tags) <= sum(name == tag for name, _ in Outline(plain).tags) + 1
        assert sum(name == "script" for name, _ in Outline(page).tags) == 2
        assert all(character.isprintable() or character == "\n" for character in page)
        assert "49" not in re.findall(r"packet cut(.*)", page)


def test_template_syntax_in_traffic_is_text() -> None:
    report = make_report()
    report.notices[0]["text"] = HOSTILE["template"]
    assert "{{ 7*7 }} {% raw %} ${x}" in Outline(render_html(report)).text


def test_island_holds_every_connection_and_the_details_of_abnormal_ones() -> None:
    report = make_report(300)
    island = unpack(render_html(report))
    strings, columns = island["strings"], island["columns"]
    assert columns["id"] == list(range(1, 301))
    assert {len(column) for column in columns.values()} == {300}
    assert [strings[number] for number in columns["cause"]] == [one["termination"]["cause"] for one in report.iter_connections()]
    assert sum(columns["abnormal"]) == report.summary["abnormal"]["count"]
    assert island["details"]["1"]["evidence"] == report.connection(0)["termination"]["evidence"]
    assert [frame[1] for frame in island["details"]["1"]["frames"]] == [
        frame["packet"] for frame in report.connection(0)["last_frames"]
    ]
    assert len(island["findings"]) == len(report.findings)
    assert island["incidents"] == [list(range(1, 31))]


def test_island_is_printable() -> None:
    assert all(text.isprintable() for text in unpack(render_html(make_report()))["strings"])


def test_each_connection_is_built_once() -> None:
    report = make_report(300)
    render_html(report)
    assert report.built <= 300 + 2  # the verdict may look up an example


@pytest.mark.parametrize("burst", [30, 10_000])
def test_ten_thousand_connections_stay_small(burst: int) -> None:
    """Also when each of them ended abnormally."""
    assert len(render_html(redacted(make_report(10_000, burst=burst, hostile=False)))) < 2_000_000


def test_probable_connections_are_listed_and_counted_apart() -> None:
    report = make_report(40, burst=0)
    report.connection(3)["websocket"] = "probable"
    report.summary["probable"] = 1
    page = render_html(report)
    assert "probable, not counted" in page
    assert unpack(page)["columns"]["probable"].index(1) == 3


def test_same_report_same_page() -> None:
    assert render_html(make_report()) == render_html(make_report())


def test_worst_connections_are_there_without_script() -> None:
    page = render_html(make_report())
    assert 'id="w1"' in page
    assert "server sent FIN in packet 200 without a Close frame" in Outline(page).text
    assert "process exits on 10.0.0.9 around 14:02:11 (journal, OOM killer)" in Outline(page).text


def test_rule_is_explained_from_the_catalogue() -> None:
    page = render_html(make_report())
    assert "A client masks every frame &lt;b&gt;it&lt;/b&gt; sends." in page
    assert "frame.number == " in page or "frame.number in {" in Outline(page).text


def test_a_capture_with_probable_connections_only() -> None:
    report = make_report(2, burst=0)
    for connection in report.iter_connections():
        connection["websocket"] = "probable"
    report.summary.update(connections=0, probable=2)
    page = render_html(report)
    assert "No WebSocket connection was found." in page
    assert 'id="table"' in page
    assert 'id="timeline"' not in page


def test_a_packet_of_several_captures_names_its_own() -> None:
    report = make_report(20, burst=0)
    assert "<td>second.pcap</td>" not in render_html(report)
    report.inputs = [report.inputs[0], {**report.inputs[0], "path": "second.pcap"}]
    report.findings[0]["input"] = 1
    assert render_html(report).count("<td>second.pcap</td>") == 1


def test_empty_capture_says_why() -> None:
    page = render_html(make_empty(tcp_flows=3, tls_connections=3, tls_without_keys=3))
    text = Outline(page).text
    assert "No WebSocket connection was found." in text
    assert "3 TLS connections without keys" in text


@pytest.mark.parametrize("size", [1, 2, 5])
def test_few_connections(size: int) -> None:
    assert unpack(render_html(make_report(size, burst=0)))["columns"]["id"] == list(range(1, size + 1))


def test_capture_without_times() -> None:
    report = make_empty()
    report.inputs[0].update(packets=0, first_time=None, last_time=None)
    assert "The capture holds no packet." in render_html(report)


def test_secrets_stay_out() -> None:
    page = render_html(redacted(make_report()))
    assert "s3cret" not in page
    assert "s3cret" not in json.dumps(unpack(page))


def test_display_filters() -> None:
    connection = make_report(5, burst=0).connection(4)
    assert wireshark_filter(connection) == (
        "ip.addr == 10.0.5.6 && tcp.port == 40005 && ipv6.addr == 2001:db8::9 && tcp.port == 8080"
        " && frame.number >= 970 && frame.number <= 1002"
    )
    assert wireshark_filter(connection, addresses=False) == "frame.number >= 970 && frame.number <= 1002"


def test_pseudonyms_leave_no_address_filter() -> None:
    island = unpack(render_html(redacted(make_report(20), pseudonymize=True)))
    assert island["addresses"] is False
    assert unpack(render_html(redacted(make_report(20))))["addresses"] is True


def test_write_html_writes_the_same() -> None:
    stream = io.StringIO()
    write_html(make_report(5, burst=0), stream)
    assert stream.getvalue() == render_html(make_report(5, burst=0))


def test_pack_is_free_of_markup() -> None:
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", pack({"x": "</script><!--"}))


def test_that_nothing_abnormal_was_captured_completely_is_no_praise() -> None:
    """A connection may have been dropped and not count as abnormal, because part of it is missing."""
    report = wsaudit.audit(Path(__file__).parents[2] / "sample_pcaps" / "snaplen-96.pcap")
    assert "dropped" in set(report.connections["class"])
    page = render_html(redacted(report.records))
    assert "None among the connections that were captured completely" in page
