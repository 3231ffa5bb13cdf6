"""The HTML report in a real browser: what a person can do with it, under its own policy."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.fake import FakeReport, make_empty, make_report
from wsaudit.report.html import render_html
from wsaudit.report.redact import redacted

pytestmark = [pytest.mark.usefixtures("catalogue"), pytest.mark.browser]


class Visit:
    """A page opened from a file, with what the browser complained about and what it tried to fetch."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**({"viewport": {"width": 1400, "height": 900}} | options))
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.fetched: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.fetched.append(request.url))
        self.page.goto(path.as_uri())

    def ready(self) -> Any:
        self.page.wait_for_selector("html[data-ready]", state="attached")
        return self.page


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Any]:
    visits: list[Visit] = []

    def go(report: FakeReport | None = None, **options: Any) -> Visit:
        path = tmp_path / "report.html"
        path.write_text(render_html(redacted(report or make_report())), encoding="utf-8")
        visits.append(Visit(browser, path, **options))
        return visits[-1]

    yield go
    for one in visits:
        one.context.close()
        assert one.complaints == []
        assert [url for url in one.fetched if not url.startswith(("file:", "data:", "blob:"))] == []


def shown(page: Any) -> str:
    return page.inner_text("#count")


def column(page: Any, name: str) -> list[str]:
    place = page.eval_on_selector_all(
        "#table thead th", "(cells, name) => cells.findIndex((cell) => cell.dataset.name === name)", name
    )
    return page.eval_on_selector_all(
        "#table tbody tr[data-row]", "(rows, place) => rows.map((row) => row.cells[place].textContent)", place
    )


def test_opens_from_a_file_under_its_policy(visit: Any) -> None:
    page = visit().ready()
    assert shown(page) == "240 connections"
    assert "ended connections ended abnormally" in page.title()
    assert page.locator("#worst").is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 1400


def test_the_policy_stops_foreign_script(visit: Any) -> None:
    there = visit()
    page = there.ready()
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.broken = 1'}))")
    assert page.evaluate("window.broken") is None
    assert any("Content Security Policy" in words for words in there.complaints)
    there.complaints.clear()


def test_a_click_on_any_bar_filters(visit: Any) -> None:
    report = make_report()
    page = visit(report).ready()
    picks = page.eval_on_selector_all(
        ".panels .pick, .legend .pick", "(all) => all.map((one) => [one.dataset.facet, one.dataset.value, one.textContent])"
    )
    assert {facet for facet, _, _ in picks} == {
        "class",
        "cause",
        "rule",
        "sent_client",
        "sent_server",
        "told_client",
        "told_server",
    }
    for facet, value, words in picks:
        bar = page.locator(f':is(.panels, .legend) .pick[data-facet="{facet}"][data-value="{value}"]')
        count = re.search(
            r"[\d,]+$" if facet in {"class", "cause"} or "_" in facet else r"(?<=\D)\d+(?=error|warning|info)", words.strip()
        )[0]
        bar.click()
        assert bar.get_attribute("aria-pressed") == "true"
        assert shown(page) == f"{count} of 240 connections", (facet, value)
        bar.click()
        assert shown(page) == "240 connections"


def test_filters_add_up_and_can_be_taken_away(visit: Any) -> None:
    page = visit().ready()
    page.click('.legend [data-facet="class"][data-value="dropped"]')
    dropped = page.locator("#tray").inner_text()
    assert "dropped" in dropped
    page.click('.panels [data-facet="cause"][data-value="idle-timeout"]')
    assert set(column(page, "cause")) == {"idle timeout 0.84"}
    assert page.locator("#chips button").count() == 3
    page.click("#tray >> text=Show them")
    page.locator("#tray").wait_for(state="hidden")
    page.click("#chips >> text=clear all")
    assert shown(page) == "240 connections"


def test_incident_and_time_filter(visit: Any) -> None:
    page = visit().ready()
    page.click(".incidents .link")
    assert shown(page) == "30 of 240 connections"
    page.click("#chips button")
    box = page.locator("#timeline").bounding_box()
    band = page.locator("#timeline .band").bounding_box()
    page.mouse.click(band["x"] + band["width"] / 2, box["y"] + 60)
    assert int(shown(page).split()[0]) >= 30
    assert set(column(page, "class")) <= {"dropped", "closed"}


def test_search(visit: Any) -> None:
    page = visit(make_report(hostile=False)).ready()
    page.keyboard.press("/")
    page.keyboard.type("OKHTTP")
    assert int(shown(page).split()[0]) == 60
    page.fill("#search", "10.0.3.4")
    assert {address.rsplit(":", 1)[0] for address in column(page, "client")} == {"10.0.3.4", "10.0.3.46"}
    page.fill("#search", "nothing like this")
    assert shown(page) == "0 of 240 connections"
    assert column(page, "id") == []


@pytest.mark.parametrize("name", ["id", "end", "duration", "client", "target", "class", "cause", "told_client"])
def test_sorts_by_every_kind_of_column(visit: Any, name: str) -> None:
    page = visit(make_report(15, burst=0)).ready()
    before = column(page, "id")
    assert before == [str(number) for number in range(1, 16)]
    button = page.locator(f'#table th[data-name="{name}"] button')
    if name != "id":
        button.click()
    head = page.locator(f'#table th[data-name="{name}"]')
    assert head.get_attribute("aria-sort") == "ascending"
    up = column(page, name)
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, name) == up[::-1]
    assert sorted(column(page, "id"), key=int) == before
    if name == "duration":
        assert [float(text.split()[0]) for text in up if text.endswith(" s")] == sorted(
            float(text.split()[0]) for text in up if text.endswith(" s")
        )


def test_only_rows_in_sight_exist(visit: Any) -> None:
    from playwright.sync_api import expect

    page = visit(make_report(5000)).ready()
    assert page.locator("#table tbody tr").count() < 60
    page.evaluate("document.querySelector('#viewport').scrollTop = 1e9")
    expect(page.locator("#table tbody th").last).to_have_text("5000")  # waits; a function would be text that the policy forbids
    assert page.locator("#table").get_attribute("aria-rowcount") == "5001"


def test_drill_down_of_an_abnormal_connection(visit: Any) -> None:
    page = visit().ready()
    page.click('#table tbody tr[data-row="2"]')
    sheet = page.locator("#sheet")
    text = sheet.inner_text()
    for words in (
        "Connection 3",
        "endpoint killed, confidence 0.86",
        "server sent FIN in packet 600 without a Close frame",
        "To be sure",
        "Both sides",
        "tcp.port == 40003",
        "frame.number >= 570 && frame.number <= 602",
        "wsaudit show incident.pcap -c 3",
    ):
        assert words in text
    assert sheet.locator(".ladder .arrow").count() == 6
    assert "FIN" in sheet.locator(".ladder").text_content()
    assert page.evaluate("location.hash") == "#c3"
    page.keyboard.press("ArrowRight")
    assert "Connection 4" in sheet.inner_text()
    page.keyboard.press("Escape")
    assert sheet.is_hidden()


def test_drill_down_of_a_finding(visit: Any) -> None:
    page = visit().ready()
    page.click('.rules a[href="#c46"]')
    text = page.locator("#sheet").inner_text()
    assert "FR-01 unmasked client frame" in text
    assert "RFC 6455 §5.1" in text
    assert "frame.number in {9179, 9183}" in text


def test_a_link_opens_its_connection(visit: Any, tmp_path: Path) -> None:
    there = visit()
    there.ready()
    page = there.context.new_page()
    page.goto((tmp_path / "report.html").as_uri() + "#c17")
    page.wait_for_selector("#sheet[open]")
    assert "Connection 17" in page.inner_text("#sheet")


def test_keyboard_alone(visit: Any) -> None:
    page = visit().ready()
    page.focus("#viewport")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert "Connection 3" in page.inner_text("#sheet")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "viewport"
    page.keyboard.press("End")
    page.wait_for_selector('#table tr.active[data-row="239"]')
    page.focus('.legend [data-value="refused"]')
    page.keyboard.press("Space")
    assert shown(page).startswith("7 of ")


def test_hostile_text_runs_nothing(visit: Any) -> None:
    report = make_report()
    page = visit(report).ready()
    page.on("dialog", lambda dialog: pytest.fail("a script from traffic ran"))
    for row in range(30, 38):
        page.evaluate("(top) => { document.querySelector('#viewport').scrollTop = top }", row * 30)
        page.wait_for_selector(f'#table tr[data-row="{row}"]')
        page.evaluate("(row) => document.querySelector(`#table tr[data-row='${row}']`).click()", row)
        assert page.locator("#sheet img, #sheet script").count() == 0
        page.keyboard.press("Escape")


def test_dark_and_light(visit: Any) -> None:
    paper = [
        visit(color_scheme=scheme).ready().evaluate("getComputedStyle(document.documentElement).backgroundColor")
        for scheme in ("light", "dark")
    ]
    light, dark = ([int(number) for number in re.findall(r"\d+", color)] for color in paper)
    assert min(light) > 200
    assert max(dark) < 60


def test_narrow_screen_does_not_scroll_sideways(visit: Any) -> None:
    page = visit(viewport={"width": 390, "height": 844}).ready()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.querySelector('#viewport').scrollWidth") <= 390
    page.click('#table tbody tr[data-row="1"]')
    assert page.evaluate("document.querySelector('#sheet').scrollWidth") <= 390


def test_without_script_the_static_part_is_there(visit: Any) -> None:
    page = visit(java_script_enabled=False).page
    assert page.locator("#explorer").is_hidden()
    assert page.locator("#worst tbody tr").count() >= 20
    assert page.locator("#timeline rect").count() > 50
    assert page.locator(".script").first.is_hidden()


def test_prints_without_empty_pages(visit: Any) -> None:
    pdf = visit().ready().pdf(format="A4", margin=dict.fromkeys(("top", "bottom", "left", "right"), "12mm"))
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    drawn = []
    for found in re.finditer(rb"stream\r?\n", pdf):
        try:
            content = zlib.decompressobj().decompress(pdf[found.end() :])
        except zlib.error:
            continue
        if b" Tf" in content or b" Tj" in content or b" TJ" in content:
            drawn.append(len(content))
    assert 2 <= pages <= 10
    assert len(drawn) == pages, "every page has text"


def test_print_shows_the_worst_rows_and_no_controls(visit: Any) -> None:
    page = visit().ready()
    page.emulate_media(media="print")
    assert page.locator("#worst").is_visible()
    assert page.locator("#explorer").is_hidden()


def test_empty_capture_has_no_table(visit: Any) -> None:
    page = visit(make_empty(tcp_flows=2)).page
    assert "No WebSocket connection was found." in page.inner_text("main")
    assert page.locator("table").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_no_accessibility_violation(visit: Any, axe: str, scheme: str, width: int) -> None:
    page = visit(color_scheme=scheme, viewport={"width": width, "height": 900}).ready()
    page.evaluate(axe)
    for state in ("page", "filtered", "sheet"):
        if state == "filtered":
            page.click('.legend [data-value="dropped"]')
        if state == "sheet":
            page.evaluate("document.querySelector('#table tbody tr[data-row]').click()")
        found = page.evaluate("axe.run().then((result) => result.violations)")
        assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == [], state
