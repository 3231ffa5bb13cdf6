import re

from tests.report.fake import make_report
from wsaudit.report.tables import CONNECTIONS, FINDINGS, TABLES, column, describe_tables


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


def test_the_documentation_names_every_column() -> None:
    text = describe_tables()
    for table in TABLES:
        assert f"### {table.name}\n" in text
        for one in table.columns:
            assert f"| `{one.name}` | {one.kind} | {one.about} |" in text
