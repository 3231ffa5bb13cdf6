from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.gate.fake import finding, report
from wsaudit.cli.diff import diff


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.json").write_text(json.dumps(report([finding()]).to_dict()))
    (tmp_path / "new.json").write_text(json.dumps(report([finding(), finding("FR-02")]).to_dict()))
    (tmp_path / "bad.json").write_text("{")


def run(*arguments):
    return CliRunner().invoke(diff, arguments, catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("old.json", "new.json"), 0),
        (("old.json", "new.json", "--fail-on-new"), 1),
        (("new.json", "old.json", "--fail-on-new"), 0),
        (("old.json", "bad.json"), 2),
        (("gone.json", "new.json"), 2),
        (("old.json",), 2),
        (("old.json", "new.json", "-o", "no/such/folder"), 2),
    ],
)
@pytest.mark.usefixtures("files")
def test_exit_codes(arguments, code):
    assert run(*arguments).exit_code == code


@pytest.mark.usefixtures("files")
def test_text_and_json(tmp_path):
    assert "+ error    FR-02 masked-server-frame   server at fault   1x   /chat" in run("old.json", "new.json").stdout
    run("old.json", "new.json", "-f", "json", "-o", "d.json")
    assert json.loads((tmp_path / "d.json").read_text())["came"][0]["rule"] == "FR-02"


@pytest.mark.usefixtures("files")
def test_an_unreadable_report_is_named_with_its_line():
    assert run("old.json", "bad.json").stderr.startswith("wsaudit diff: bad.json:1:2: not JSON: ")
