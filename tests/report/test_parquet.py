import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.report.fake import make_empty, make_report
from wsaudit.errors import UsageError
from wsaudit.report.parquet import write_parquet
from wsaudit.report.redact import redacted


def test_pandas_reads_it_without_a_word(tmp_path: Path) -> None:
    report = make_report(120)
    paths = write_parquet(report, tmp_path / "out")
    frames = {path.stem: pd.read_parquet(path) for path in paths}
    connections = frames["connections"]
    assert len(connections) == 120
    assert str(connections["started"].dtype) == "datetime64[ns, UTC]"
    assert connections["started"][0].isoformat() == report.connection(0)["started"].replace("Z", "+00:00")
    assert connections["duration"].dtype == float
    assert list(connections["evidence"][0]) == report.connection(0)["termination"]["evidence"]
    assert set(frames) == {"connections", "findings", "incidents", "incident_connections", "notices", "inputs"}
    assert frames["findings"]["count"].sum() == sum(finding["count"] for finding in report.findings)


def test_several_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import parquet

    monkeypatch.setattr("wsaudit.report.parquet.GROUP", 50)
    path = write_parquet(make_report(120), tmp_path)[0]
    assert parquet.ParquetFile(path).num_row_groups == 3
    assert pd.read_parquet(path)["id"].tolist() == list(range(1, 121))


def test_fields_carry_their_meaning(tmp_path: Path) -> None:
    from pyarrow import parquet

    schema = parquet.read_schema(write_parquet(make_report(5, burst=0), tmp_path)[0])
    assert schema.field("duration").metadata[b"about"] == b"seconds"


def test_hostile_text_is_utf8_and_printable(tmp_path: Path) -> None:
    agents = pd.read_parquet(write_parquet(make_report(120), tmp_path)[0])["user_agent"].dropna()
    assert all(text.isprintable() for text in agents)
    assert any("\\ud800" in text for text in agents)


def test_secrets_stay_out(tmp_path: Path) -> None:
    frame = pd.read_parquet(write_parquet(redacted(make_report(60)), tmp_path)[0])
    assert not frame["target"].str.contains("s3cret").any()


def test_empty_report_keeps_its_types(tmp_path: Path) -> None:
    frame = pd.read_parquet(write_parquet(make_empty(), tmp_path)[0])
    assert len(frame) == 0
    assert str(frame["started"].dtype) == "datetime64[ns, UTC]"


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"wsaudit\[parquet\]"):
        write_parquet(make_report(5, burst=0), tmp_path)
