"""The gate on real recordings: every exit code, a planted fault through its whole life, every format."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from click.testing import CliRunner

from wsaudit.cli.check import FORMATS, check

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLES = ROOT / "sample_pcaps"
CLEAN = SAMPLES / "crossing-closes.pcap"
PLANTED = SAMPLES / "unmasked-client.pcap"
SARIF = json.loads((ROOT / "tests" / "report" / "schemas" / "sarif-2.1.0-rtm.5.json").read_bytes())


@pytest.fixture(autouse=True)
def _outside_ci(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments):
    return CliRunner().invoke(check, [str(each) for each in arguments], catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([CLEAN], 0),
        ([PLANTED], 1),
        ([PLANTED, "--fail-on", "never"], 0),
        ([PLANTED, "--policy", "gone.toml"], 2),
        ([SAMPLES / "build.py"], 3),
        ([CLEAN, SAMPLES / "build.py"], 3),
        (["gone.pcap"], 3),
        ([SAMPLES / "no-websocket.pcap"], 4),
        ([CLEAN, "--expect-connections", "2"], 4),
    ],
)
def test_exit_codes(arguments, code):
    done = run(*arguments)
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output


def test_an_empty_file_never_passes(tmp_path):
    (tmp_path / "empty.pcap").write_bytes(b"")
    assert run("empty.pcap").exit_code in (3, 4)
    (tmp_path / "header.pcap").write_bytes(CLEAN.read_bytes()[:24])
    assert run("header.pcap").exit_code == 4


def test_the_life_of_a_planted_fault(tmp_path):
    assert run(CLEAN).exit_code == 0
    assert run(PLANTED).exit_code == 1
    assert run(PLANTED, "--baseline", "base.json", "--update-baseline").exit_code == 0
    assert run(PLANTED, "--baseline", "base.json").exit_code == 0
    text = "".join(f'[[allow]]\nrule = "{rule}"\nreason = "old app"\nexpires = 2026-06-30\n' for rule in failing_rules())
    (tmp_path / "wsaudit.toml").write_text(text)
    assert run(PLANTED, "--today", "2026-06-30").exit_code == 0
    done = run(PLANTED, "--today", "2026-07-01", "--baseline", "base.json")
    assert done.exit_code == 1
    assert "allowed until 2026-06-30, expired: old app (wsaudit.toml:" in done.stdout


def failing_rules():
    document = json.loads(run(PLANTED, "-f", "json").stdout)
    rules = sorted({each["rule"] for each in document["issues"] if each["status"] == "fails"})
    assert "FR-01" in rules
    return rules


def test_a_fault_is_shown_with_the_way_to_it():
    done = run(PLANTED)
    assert "FR-01 unmasked-client-frame   client at fault" in done.stdout
    assert f"wsaudit show {PLANTED} -c 1" in done.stdout


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_the_same_twice(form):
    first, second = (run(SAMPLES / "violations-by-client.pcap", "-f", form).stdout for _ in range(2))
    assert first == second
    assert first


def test_outputs_validate():
    capture = SAMPLES / "violations-by-client.pcap"
    log = json.loads(run(capture, "-f", "sarif").stdout)
    jsonschema.Draft4Validator(SARIF).validate(log)
    assert len(log["runs"][0]["results"]) > 3
    assert len(list(ElementTree.fromstring(run(capture, "-f", "junit").stdout.encode()).iter("failure"))) > 3
    assert all(each["location"]["path"] == capture.name for each in json.loads(run(capture, "-f", "gitlab").stdout))


def test_no_output_shows_where_the_capture_was(tmp_path):
    (tmp_path / "here.pcap").write_bytes(PLANTED.read_bytes())
    for form in ("json", "sarif", "junit", "gitlab", "github", "markdown"):
        text = run(tmp_path / "here.pcap", "-f", form).stdout
        assert "here.pcap" in text
        assert str(tmp_path) not in text


def test_nothing_heavy_is_imported():
    code = (
        "import sys\nfrom wsaudit.cli.check import check\n"
        f"try: check([{str(PLANTED)!r}])\nexcept SystemExit: pass\n"
        "print(*sorted(set(sys.modules) & {'pandas', 'numpy', 'rich', 'jinja2', 'scapy'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""
