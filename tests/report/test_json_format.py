import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.report.fake import HOSTILE, make_empty, make_report
from wsaudit.report.json_format import encode, write_json
from wsaudit.report.redact import redacted


def written(report) -> str:
    stream = io.StringIO()
    write_json(report, stream)
    return stream.getvalue()


@pytest.mark.parametrize("size", [0, 1, 2, 300])
def test_says_what_the_report_says(size: int) -> None:
    report = make_report(size, burst=0)
    parsed = json.loads(written(report))
    for key in ("inputs", "summary", "connections", "findings", "incidents", "notices"):
        assert parsed[key] == json.loads(json.dumps(report.to_dict()[key]))
    assert parsed["schema"] == "wsaudit.report/1"
    assert parsed["tool"]["name"] == "wsaudit"


def test_same_report_same_characters() -> None:
    assert written(make_report()) == written(make_report())


def test_one_connection_per_line() -> None:
    lines = written(make_report(50)).splitlines()
    assert [json.loads(line.rstrip(",]"))["id"] for line in lines if line.startswith('{"id":')] == list(range(1, 51))


def test_hostile_text_is_ascii_and_comes_back_unchanged() -> None:
    report = make_report()
    text = written(report)
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)
    agents = {connection["handshake"]["user_agent"] for connection in json.loads(text)["connections"]}
    assert agents >= set(HOSTILE.values())


def test_each_connection_is_built_once() -> None:
    report = make_report(100)
    written(report)
    assert report.built == 100


def test_redacted_view() -> None:
    assert "s3cret" not in written(redacted(make_report(50)))


def test_empty_capture() -> None:
    assert json.loads(written(make_empty()))["connections"] == []


@given(st.text())
@example("§ \x7f \U0001f600 \ud800")
@example("\x7f")
def test_what_is_not_ascii_is_escaped_as_the_standard_library_does(text: str) -> None:
    assert encode([text]) == json.dumps([text])
