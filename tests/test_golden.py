"""The reports of the samples, byte for byte. They are the examples of the README, too.

`make golden` writes them anew: read the difference before you commit it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import samples
from click.testing import CliRunner

from wsaudit.cli import cli

REPORTS = Path(__file__).resolve().parent.parent / "reports"
SUFFIXES = {"text": "txt", "json": "json", "markdown": "md", "html": "html"}
GOLDEN = {
    f"{samples.name(sample)}.{SUFFIXES[form]}": (sample["files"], form)
    for sample in samples.SAMPLES
    for form in sample.get("golden", ())
}


@pytest.mark.parametrize("name", GOLDEN)
def test_report(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    files, form = GOLDEN[name]
    monkeypatch.chdir(samples.FOLDER)  # the report names its inputs as they were given
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    result = CliRunner().invoke(cli, ["audit", *files, "-f", form, "-o", "-", "--quiet"])
    assert result.exit_code == 0, result.output
    golden = REPORTS / name
    if request.config.getoption("--update-golden"):
        REPORTS.mkdir(exist_ok=True)
        golden.write_bytes(result.stdout_bytes)
    assert result.stdout_bytes.decode() == golden.read_bytes().decode()


def test_nothing_but_golden_reports(request: pytest.FixtureRequest) -> None:
    """A report whose sample is gone must go, too."""
    assert {path.name for path in REPORTS.iterdir()} == set(GOLDEN)
