"""The command over a synthetic report: options, files, exit codes. Real recordings are in test_check_recordings.py."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.gate.fake import RULES, connection, finding, report
from wsaudit.cli import check as command
from wsaudit.errors import InputError
from wsaudit.report import rulebook

FAULTY = report([finding(), finding("CL-16", number=2)])
TODAY = ("--today", "2026-03-01")


@pytest.fixture
def check(monkeypatch, tmp_path):
    """Run the command in an empty folder outside CI; the audit gives the report it is told to."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_STEP_SUMMARY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(rulebook, "read_catalogue", lambda: RULES)
    rulebook.rulebook.cache_clear()

    def run(*arguments, made=FAULTY):
        monkeypatch.setattr(command, "audit", lambda captures, options: made)
        return CliRunner().invoke(command.check, [*TODAY, *map(str, arguments)], catch_exceptions=False)

    yield run
    rulebook.rulebook.cache_clear()


def test_a_fault_is_told_in_one_screen(check):
    done = check("traffic.pcap")
    assert done.exit_code == 1
    assert done.stdout == (
        "FAIL  traffic.pcap   2 WebSocket connections   1 fault at or above error\n"
        "\n"
        "error    FR-01 unmasked-client-frame   client at fault\n"
        "         seen: text frame of 5 bytes without a masking key (RFC 6455 §5.1)\n"
        "         in connection 1, packet 9, /chat\n"
        "         wsaudit show traffic.pcap -c 1\n"
        "\n"
        "not counted: 1 below error\n"
    )


def test_many_faults_still_fit_a_screen(check):
    made = report([finding(path=f"/{'x' * number}") for number in range(1, 30)])
    lines = check("traffic.pcap", made=made).stdout.splitlines()
    assert "and 25 more faults; -f json or -f sarif has all of them" in lines
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("made", "arguments", "code"),
    [
        (report([]), (), 0),
        (FAULTY, ("--fail-on", "never"), 0),
        (FAULTY, (), 1),
        (report([finding("CL-16")]), (), 0),
        (report([finding("CL-16")]), ("--fail-on", "warning"), 1),
        (report([], []), (), 4),
        (report([]), ("--expect-connections", "3"), 4),
        (report([]), ("--expect-connections", "0"), 2),
        (report([]), ("--fail-on", "fatal"), 2),
        (report([]), ("--today", "soon"), 2),
        (report([]), ("--ignore", "FR-1"), 2),
        (FAULTY, ("--ignore", "FR"), 0),
        (FAULTY, ("--select", "CL-16"), 0),
        (report([]), ("--policy", "gone.toml"), 2),
        (report([]), ("--baseline", "gone.json"), 2),
        (report([]), ("--update-baseline",), 2),
        (report([]), ("-o", "x"), 2),
        (report([]), ("-f", "json", "-f", "sarif"), 2),
        (report([]), ("-f", "json", "-o", "x", "-f", "sarif", "-o", "x"), 2),
        (report([]), ("-f", "json", "-o", "no/such/folder/x"), 2),
    ],
)
def test_exit_codes(check, made, arguments, code):
    done = check("traffic.pcap", *arguments, made=made)
    assert done.exit_code == code
    if code == 2:
        assert done.stdout == ""
        assert done.stderr


def test_nothing_to_check_is_a_usage_error(check):
    assert check().exit_code == 2


def test_an_input_that_cannot_be_read_is_three(check, monkeypatch):
    made = report([], paths=("a.pcap", "b.pcap"))
    made.inputs[1].update(format=None, error="a PNG image")
    done = check("a.pcap", "b.pcap", made=made)
    assert done.exit_code == 3
    assert "could not be read: b.pcap: a PNG image" in done.stdout

    def refuse(captures, options):
        raise InputError("a.pcap", "an ELF executable", 0)

    monkeypatch.setattr(command, "audit", refuse)
    done = CliRunner().invoke(command.check, ["a.pcap"])
    assert (done.exit_code, done.stderr) == (3, "wsaudit check: a.pcap: byte 0: an ELF executable\n")


def test_an_empty_recording_says_what_was_expected(check):
    done = check("traffic.pcap", made=report([], [connection(1, websocket="probable")]))
    assert (
        "1 connection expected (default), 0 found; 1 more may be WebSocket but are encrypted or failed: is a --keylog missing?"
        in done.stdout
    )


def test_a_policy_is_found_and_the_command_line_wins(check, tmp_path):
    (tmp_path / "wsaudit.toml").write_text('fail-on = "warning"\n[severity]\nFR-01 = "info"\n')
    assert "CL-16" in check("traffic.pcap").stdout
    assert check("traffic.pcap", "--fail-on", "error").exit_code == 0
    (tmp_path / "wsaudit.toml").write_text('[severity]\nFR-1 = "info"\n')
    done = check("traffic.pcap")
    assert (done.exit_code, done.stderr) == (2, "wsaudit check: wsaudit.toml:2: unknown rule 'FR-1'; did you mean 'FR-01'?\n")


def test_a_policy_explains_itself_and_can_be_pasted_back(check, tmp_path):
    text = (
        'select = ["FR"]\n[severity]\nFR-01 = "info"\n[limits]\nping-rtt = 0.5\nclose-code-share.1011 = 0.25\n'
        '[[close-codes]]\npath = "/chat/*"\nallow = [1000, "4400-4499"]\n'
        '[[allow]]\nrule = "FR-02"\nhost = "*.example"\nreason = "say \\"why\\""\nexpires = 2027-01-31\n'
    )
    (tmp_path / "wsaudit.toml").write_text(text)
    first = check("--explain-policy", "--fail-on", "warning")
    assert first.exit_code == 0
    assert 'fail-on = "warning"' in first.stdout
    assert "# --fail-on" in first.stdout
    assert "# wsaudit.toml:3" in first.stdout
    (tmp_path / "wsaudit.toml").write_text(first.stdout)
    second = check("--explain-policy")
    assert [line.split("  # ")[0] for line in second.stdout.splitlines()] == [
        line.split("  # ")[0] for line in first.stdout.splitlines()
    ]


def test_a_waiver_holds_until_it_expires(check, tmp_path):
    (tmp_path / "wsaudit.toml").write_text('[[allow]]\nrule = "FR-01"\nreason = "old app"\nexpires = 2026-03-01\n')
    done = check("traffic.pcap")
    assert done.exit_code == 0
    assert "1 allowed by the policy" in done.stdout
    (tmp_path / "wsaudit.toml").write_text('[[allow]]\nrule = "FR-01"\nreason = "old app"\nexpires = 2026-02-28\n')
    done = check("traffic.pcap")
    assert done.exit_code == 1
    assert "         allowed until 2026-02-28, expired: old app (wsaudit.toml:1)\n" in done.stdout


def test_a_baseline_is_written_then_only_new_faults_fail(check, tmp_path):
    assert check("traffic.pcap", "--baseline", "base.json", "--update-baseline").exit_code == 0
    assert check("traffic.pcap", "--baseline", "base.json").exit_code == 0
    worse = report([finding(packet=77), finding("FR-02")])
    done = check("traffic.pcap", "--baseline", "base.json", made=worse)
    assert done.exit_code == 1
    assert "FR-02" in done.stdout
    assert "1 known from the baseline" in done.stdout


def test_an_empty_recording_does_not_empty_the_baseline(check, tmp_path):
    check("traffic.pcap", "--baseline", "base.json", "--update-baseline")
    before = (tmp_path / "base.json").read_bytes()
    done = check("traffic.pcap", "--baseline", "base.json", "--update-baseline", made=report([], []))
    assert (done.exit_code, done.stderr) == (4, "wsaudit check: base.json left as it is\n")
    assert (tmp_path / "base.json").read_bytes() == before


def test_a_baseline_of_another_version_is_refused(check, tmp_path):
    (tmp_path / "base.json").write_text('{"schema": "wsaudit.report/9"}')
    done = check("traffic.pcap", "--baseline", "base.json")
    assert done.exit_code == 2
    assert done.stderr.startswith("wsaudit check: base.json: schema wsaudit.report/9, but")


def test_each_format_goes_where_it_is_sent(check, tmp_path):
    done = check("traffic.pcap", "-f", "sarif", "-o", "a.sarif", "-f", "junit", "-o", "a.xml", "-f", "json", "-o", "-")
    assert json.loads(done.stdout)["exit_code"] == 1
    assert done.stderr.startswith("FAIL  traffic.pcap")
    assert json.loads((tmp_path / "a.sarif").read_text())["version"] == "2.1.0"
    assert (tmp_path / "a.xml").read_text().startswith("<?xml")
    done = check("traffic.pcap", "-f", "sarif", "-o", "a.sarif")
    assert done.stdout.startswith("FAIL  traffic.pcap")


def test_quiet_is_quiet_unless_it_fails(check):
    assert check("traffic.pcap", "--quiet", made=report([])).output == ""
    assert check("traffic.pcap", "--quiet").stdout.startswith("FAIL")


def test_github_gets_annotations_and_a_summary_unasked(check, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page.md"))
    (tmp_path / "page.md").write_text("before\n")
    done = check("traffic.pcap", "-f", "json")
    assert json.loads(done.stdout)
    assert "::error file=traffic.pcap,line=1,title=FR-01 unmasked-client-frame::" in done.stderr
    assert (tmp_path / "page.md").read_text().startswith("before\n## WebSocket audit\n\n**Failed**: 1 fault at or above error.")


def test_an_empty_recording_is_annotated_too(check, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = check("traffic.pcap", made=report([], []))
    assert "::error title=wsaudit check::1 connection expected (default), 0 found\n" in done.stderr


def test_gitlab_gets_its_file_unasked(check, tmp_path, monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    check("traffic.pcap")
    assert [each["check_name"] for each in json.loads((tmp_path / "gl-code-quality-report.json").read_text())] == [
        "FR-01",
        "CL-16",
    ]


def test_traffic_cannot_speak_to_the_ci_runner_through_the_screen(check):
    attack = "::error::x\n::add-mask::y ##[add-mask]z \x1b[2J"
    done = check("traffic.pcap", made=report([finding(detail=attack, path="/" + attack)], [connection(1, path="/" + attack)]))
    assert "##[" not in done.stdout
    assert "\x1b" not in done.stdout
    assert not any(line.strip().startswith("::") for line in done.stdout.splitlines())


@pytest.mark.parametrize("form", command.FORMATS)
def test_same_report_same_bytes_and_no_absolute_path(check, form, tmp_path):
    made = report([finding(), finding("CL-16", number=2)], paths=(str(tmp_path / "traffic.pcap"),))
    first, second = check("traffic.pcap", "-f", form, made=made), check("traffic.pcap", "-f", form, made=made)
    assert first.stdout == second.stdout
    assert first.stdout
    if form != "report":
        assert str(tmp_path) not in first.stdout


def test_the_way_to_reproduce_names_every_capture_and_option(check, tmp_path):
    (tmp_path / "keys.log").touch()
    done = check("a b.pcap", "c.pcap", "--keylog", "keys.log", "--port", "8080", "--no-midstream")
    assert "wsaudit show 'a b.pcap' c.pcap --keylog=keys.log --port=8080 --no-midstream -c 1" in done.stdout
