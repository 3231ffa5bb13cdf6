import re

from tests.report.fake import HOSTILE, make_empty, make_report
from wsaudit.report.markdown import render_markdown
from wsaudit.report.redact import redacted


def test_verdict_comes_first_and_the_rest_supports_it() -> None:
    text = render_markdown(make_report())
    assert re.match(r"\*\*\d+ of \d+ ended connections ended abnormally", text)
    order = ["### Incidents", "### Endings", "### Close codes", "### Abnormal ends by cause", "### Broken rules", "### Notices"]
    places = [text.index(title) for title in order]
    assert places == sorted(places)
    assert "`server sent FIN in packet 200 without a Close frame`" in text
    assert "to be sure: `process exits on 10.0.0.9" in text


def test_tables_are_rectangular() -> None:
    widths = []
    for line in render_markdown(make_report()).splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        if cells and widths and widths[-1]:
            assert cells == widths[-1], line
        widths.append(cells)
    assert max(widths) == 6


def test_hostile_text_stays_in_code_spans() -> None:
    report = make_report()
    for text in HOSTILE.values():
        report.incidents[0].update(detail=text, confirm=text, server=text)
        report.findings[0].update(detail=text)
        report.notices[0].update(text=text)
        report.inputs[0].update(path=text)
        report.connection(0)["termination"].update(evidence=[text], confirm=text)
        shown = render_markdown(report)
        assert all(character.isprintable() or character == "\n" for character in shown)
        outside = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", shown)
        assert not re.search(r"[<@`{]|\]\(", outside)


def test_fits_into_an_issue() -> None:
    report = make_report(2000)
    report.notices *= 1000
    report.incidents *= 100
    assert len(render_markdown(report)) < 65_536
    assert "and 80 more" in render_markdown(report)


def test_secrets_stay_out() -> None:
    assert "s3cret" not in render_markdown(redacted(make_report()))


def test_empty_capture_says_why() -> None:
    text = render_markdown(make_empty(tcp_flows=2, http_requests=1))
    assert text.startswith("**No WebSocket connection was found.**")
    assert "- 1 HTTP request, which did not ask for an upgrade to WebSocket." in text
    assert "###" not in text.replace("### Notices", "")
