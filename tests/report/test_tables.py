import re
from pathlib import Path

import pytest

from tests.report.fake import make_report
from wsaudit.report.tables import (
    CONNECTIONS,
    FINDINGS,
    TABLES,
    column,
    connections_frame,
    describe_tables,
    findings_frame,
    incidents_frame,
    typed,
)


def leaves(record: dict, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found = set()
    for key, value in record.items():
        found |= leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key)}
    return found


def test_every_column_leads_somewhere() -> None:
    report = make_report(60)
    for table in TABLES:
        reached = {path for record in table.records(report) for path in leaves(record)}
        assert {one.path for one in table.columns} <= reached, table.name


def test_names_are_unique_and_plain() -> None:
    for table in TABLES:
        names = [one.name for one in table.columns]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)


def test_kinds_are_true() -> None:
    report = make_report(60)
    types = {"int": int, "float": (int, float), "bool": bool, "text": str, "time": str, "texts": list}
    for table in TABLES:
        for row in table.rows(report):
            for one, value in zip(table.columns, row, strict=True):
                assert value is None or isinstance(value, types[one.kind]), one.name


def test_missing_steps_are_unknown() -> None:
    assert column("x", "int", path="tls.version").value({"tls": None}) is None
    assert column("x", "int", path="a.b.c").value({}) is None


def test_a_row_per_record() -> None:
    report = make_report(60)
    assert [row[0] for row in CONNECTIONS.rows(report)] == list(range(1, 61))
    assert len(list(FINDINGS.rows(report))) == len(report.findings)


def test_the_documentation_is_current() -> None:
    """To bring it up to date: python -c "from wsaudit.report.tables import *; print(describe_tables(), end='')" >
    docs/tables.md"""
    assert (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8") == describe_tables()


@pytest.mark.parametrize(
    ("value", "kind", "stored"),
    [
        (2**63 - 1, "int", 2**63 - 1),
        (2**63, "int", None),
        ("2300-01-01T00:00:00Z", "time", None),
        ("1970-01-01T00:00:01.5Z", "time", 1_500_000_000),
        (None, "time", None),
        (0.5, "float", 0.5),
        (True, "bool", True),
        (["a\x00"], "texts", ["a\\x00"]),
    ],
)
def test_cells(value: object, kind: str, stored: object) -> None:
    assert typed(value, kind) == stored


def test_data_frames() -> None:
    report = make_report(120)
    connections = connections_frame(report)
    assert connections["id"].tolist() == list(range(1, 121))
    assert str(connections["started"].dtype) == "datetime64[ns, UTC]"
    assert connections["started"][0].isoformat() == report.connection(0)["started"].replace("Z", "+00:00")
    assert connections["ended"].isna().sum() == report.summary["ongoing"]
    assert str(connections["client_close_code"].dtype) == "Int64"
    assert str(connections["complete"].dtype) == "boolean"
    assert connections["evidence"][0] == report.connection(0)["termination"]["evidence"]
    assert findings_frame(report)["count"].sum() == sum(finding["count"] for finding in report.findings)
    assert incidents_frame(report)["connection_count"].tolist() == [30]


def test_empty_data_frame_keeps_its_types() -> None:
    frame = connections_frame(make_report(0, burst=0))
    assert len(frame) == 0
    assert str(frame["started"].dtype) == "datetime64[ns, UTC]"
