"""Every sample shows what index.toml says it must."""

from __future__ import annotations

import filecmp
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import samples

import wsaudit
from sample_pcaps import build

NAMES = {samples.name(sample): sample for sample in samples.SAMPLES}


def having(*keys: str) -> pytest.MarkDecorator:
    """Parametrize with the samples that say anything about one of `keys`."""
    return pytest.mark.parametrize("name", [name for name, sample in NAMES.items() if any(key in sample for key in keys)])


@cache
def audit(name: str) -> dict[str, Any]:
    report: dict[str, Any] = wsaudit.audit(samples.paths(NAMES[name])).to_dict()
    return report


def without_zeros(counts: dict[str, int]) -> dict[str, int]:
    return {key: n for key, n in counts.items() if n}


def test_every_capture_is_in_the_index() -> None:
    present = {path.name for path in samples.FOLDER.glob("*.pcap*")}
    assert present == {name for sample in samples.SAMPLES for name in sample["files"]}


def test_every_entry_says_why_and_whence() -> None:
    assert [sample["files"] for sample in samples.SAMPLES if not (sample.get("purpose") and sample.get("origin"))] == []


def test_built_samples_are_what_the_script_builds(tmp_path: Path) -> None:
    built = build.build(tmp_path)
    assert {path.name for path in built} == {sample["files"][0] for sample in samples.SAMPLES if sample["origin"] == "built"}
    assert [path.name for path in built if not filecmp.cmp(path, samples.FOLDER / path.name, shallow=False)] == []


@having("connections")
def test_connections(name: str) -> None:
    assert audit(name)["summary"]["connections"] == NAMES[name]["connections"]


@having("terminations")
def test_terminations(name: str) -> None:
    assert without_zeros(audit(name)["summary"]["terminations"]) == NAMES[name]["terminations"]


@having("how")
def test_how(name: str) -> None:
    endings = [connection["termination"]["how"] for connection in audit(name)["connections"]]
    assert {how: endings.count(how) for how in endings} == NAMES[name]["how"]


@having("close_codes", "reported_codes")
def test_codes(name: str) -> None:
    summary = audit(name)["summary"]
    for table in ("close_codes", "reported_codes"):
        for side, codes in NAMES[name].get(table, {}).items():
            assert without_zeros(summary[table][side]) == codes, (table, side)


@having("causes")
def test_causes(name: str) -> None:
    found = audit(name)["summary"]["causes"]
    assert {cause: found.get(cause, 0) for cause in NAMES[name]["causes"]} == NAMES[name]["causes"]


@having("rules")
def test_rules(name: str) -> None:
    findings = [each for each in audit(name)["findings"] if each["verdict"] == "violation"]
    found = {each["rule"] for each in findings if each["at_fault"] == NAMES[name]["at_fault"]}
    assert set(NAMES[name]["rules"]) <= found


@having("violations")
def test_no_violations(name: str) -> None:
    assert NAMES[name]["violations"] == 0
    assert [each for each in audit(name)["findings"] if each["verdict"] == "violation"] == []
