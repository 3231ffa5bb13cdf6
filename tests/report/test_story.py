"""The sentences that all renderers share."""

from __future__ import annotations

from typing import Any

import pytest
from samples import SAMPLES, name, paths

import wsaudit
from wsaudit.report import story


class Told:
    """As much of a report as the verdict reads."""

    def __init__(self, incidents: int = 0, terminations: dict[str, int] | None = None, **abnormal: Any) -> None:
        self.summary = {
            "connections": 9,
            "terminations": terminations or {},
            "abnormal": {"count": 0, "of": 0, "rate": None, "in_incidents": 0, **abnormal},
        }
        self.incidents = [{"connections": [1, 2, 3]}] * incidents
        self.groups: list[Any] = []


def verdict(*args: Any, **how: Any) -> str:
    return " ".join(story.verdict(Told(*args, **how)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        ({}, "No connection ended within the capture."),
        ({"ongoing": 5, "refused": 2, "failed": 1, "unknown": 1}, "No connection ended within the capture."),
        ({"closed": 2, "dropped": 1}, "3 connections ended within the capture, none of which was captured completely."),
        ({"dropped": 1, "ongoing": 8}, "1 connection ended within the capture, which was not captured completely."),
    ],
)
def test_ends_of_which_none_counts(kinds: dict[str, int], sentence: str) -> None:
    assert verdict(terminations=kinds) == sentence


@pytest.mark.parametrize(
    ("count", "of", "sentence"),
    [
        (0, 1, "The one connection that ended, ended normally."),
        (0, 4, "All 4 ended connections ended normally."),
        (1, 1, "The one connection that ended, ended abnormally."),
        (1, 4, "1 of 4 ended connections ended abnormally (25.0 %)."),
    ],
)
def test_ends(count: int, of: int, sentence: str) -> None:
    assert verdict(count=count, of=of) == sentence


def test_incidents_explain_the_abnormal_ends_among_their_connections_and_no_other() -> None:
    """A deploy has a thousand connections that ended well: it explains none of the five that did not."""
    assert "xplain" not in verdict(1, count=5, of=9)
    assert "One incident explains 3 of them." in verdict(1, count=5, of=9, in_incidents=3)
    assert "Incidents explain all of them." in verdict(2, count=5, of=9, in_incidents=5)


@pytest.mark.parametrize(
    ("incident", "words"),
    [
        ({"kind": "deploy", "connections": [1, 2], "server": None}, "deploy: 2 connections"),
        (
            {"kind": "mass-abrupt-end", "connections": [1], "server": "10.0.0.9:80", "from": "2026-03-01T14:02:11.204Z"},
            "mass abrupt end: 1 connection to 10.0.0.9:80",
        ),
        (
            {"kind": "mass-abrupt-end", "connections": [1, 2, 3, 4], "other_legs": 2, "server": "10.0.0.9:80"},
            "mass abrupt end: 2 connections to 10.0.0.9:80 and 2 other legs of these",
        ),
    ],
)
def test_incident_words(incident: dict[str, Any], words: str) -> None:
    assert story.incident_words(incident) == words


@pytest.mark.parametrize("sample", SAMPLES, ids=name)
def test_whether_an_end_is_abnormal_is_the_same_of_row_and_record(sample: dict[str, Any]) -> None:
    records = wsaudit.audit([str(path) for path in paths(sample)]).records
    for index, connection in enumerate(records.iter_connections()):
        assert records.is_abnormal(index) == story.is_abnormal(connection)
