"""`wsaudit rules`: the table, a page, JSON, and what is no rule."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from wsaudit.cli.rules import rules
from wsaudit.rules.rule import CATALOGUE, ordered


def run(*arguments: str) -> Result:
    return CliRunner().invoke(rules, list(arguments))


def test_the_table_has_every_rule_within_80_columns() -> None:
    done = run()
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert max(map(len, lines)) <= 80
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert listed == [rule.id for rule in ordered()]
    assert "Frames" in lines
    assert lines[-1].startswith(f"{len(CATALOGUE)} rules.")


@pytest.mark.parametrize("name", ["FR-01", "fr-01", "unmasked-client-frame"])
def test_a_page_explains_one_rule(name: str) -> None:
    done = run(name)
    assert done.exit_code == 0
    assert done.output.startswith("FR-01 unmasked-client-frame\n")
    for words in (
        "The RFC says",
        "Why it matters",
        "What to do",
        "RFC 6455 §5.1",
        "MUST: a finding is called violation",
        "the client",
    ):
        assert words in done.output


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_page_fits_80_columns(name: str) -> None:
    done = run(name)
    assert done.exit_code == 0
    assert max(map(len, done.output.splitlines())) <= 80


def test_the_beginning_of_ids_lists_them() -> None:
    done = run("PMD")
    assert "PMD-04" in done.output
    assert "FR-01" not in done.output


def test_json() -> None:
    every = json.loads(run("-f", "json").output)
    assert [rule["id"] for rule in every] == [rule.id for rule in ordered()]
    one = json.loads(run("FR-01", "--format", "json").output)
    assert one == every[[rule["id"] for rule in every].index("FR-01")]
    keys = {"id", "name", "section", "title", "level", "severity", "at_fault", "reference", "says", "why", "do"}
    assert set(one) == keys
    assert all(one.values())
    assert {rule["id"] for rule in json.loads(run("CT", "-f", "json").output)} == {"CT-01", "CT-02"}


@pytest.mark.parametrize(
    ("name", "hint"), [("FR-1x", "did you mean FR-1"), ("unmasked-frame", "unmasked-client-frame"), ("zzz", "lists them")]
)
def test_no_rule(name: str, hint: str) -> None:
    done = run(name)
    assert done.exit_code == 2
    assert f"there is no rule '{name}'" in done.output
    assert hint in done.output
