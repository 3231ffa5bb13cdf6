import csv
from pathlib import Path

import pandas as pd
import pytest

from tests.report.fake import HOSTILE, make_empty, make_report
from wsaudit.report.csv_tables import cell, write_csv
from wsaudit.report.redact import redacted


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_file_per_table(tmp_path: Path) -> None:
    report = make_report(120)
    paths = write_csv(report, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == [
        f"{name}.csv" for name in ("connections", "findings", "incidents", "incident_connections", "notices", "inputs")
    ]
    connections = read(paths[0])
    first = report.connection(0)
    assert len(connections) == 120
    assert connections[0]["client_address"] == first["client"]["address"]
    assert connections[0]["server_reported_code"] == "1006"
    assert connections[0]["client_close_code"] == ""
    assert connections[0]["evidence"] == "; ".join(first["termination"]["evidence"])
    assert connections[0]["complete"] == "true"
    assert len(read(paths[1])) == len(report.findings)
    assert len(read(paths[3])) == 30


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    report = make_report(120)
    for number, text in enumerate(["=1+1", "+1", "-1", "@x", "\t=1", *HOSTILE.values()]):
        report.connection(number)["handshake"].update(target=text, extensions=[text])
    for path in write_csv(report, tmp_path):
        for row in read(path):
            for value in row.values():
                assert value[:1] not in set("=+@\t\r")
                assert all(character.isprintable() for character in value)
                assert not value.startswith("-")


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (True, "true"), (-5, -5), (-0.5, -0.5), (["a", "b"], "a; b"), ("-5", "'-5"), ([], "")]
)
def test_cells(value: object, shown: object) -> None:
    assert cell(value) == shown


def test_pandas_reads_it(tmp_path: Path) -> None:
    write_csv(make_report(120), tmp_path)
    frame = pd.read_csv(tmp_path / "connections.csv", parse_dates=["started"])
    assert frame["started"].dt.tz is not None
    assert frame["duration"].dtype == float


def test_secrets_stay_out(tmp_path: Path) -> None:
    for path in write_csv(redacted(make_report(120)), tmp_path):
        assert "s3cret" not in path.read_text(encoding="utf-8")


def test_empty_report_has_headers_only(tmp_path: Path) -> None:
    assert read(write_csv(make_empty(), tmp_path)[0]) == []
    assert (tmp_path / "connections.csv").read_text().startswith("id,websocket,client_address,")
