"""The report as Python and notebooks hold it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import wire
from wire import C, S

import wsaudit
from wsaudit.errors import InputError, UsageError


def conversation() -> wire.Conversation:
    talk = wire.Conversation().open().upgrade("/chat?token=s3cr3t").frame(C, wire.TEXT, b"bare", mask=None)
    return talk.close(C, 1000, "token=abcdef123").close(S, 1000).fin(S).fin(C)


@pytest.fixture
def report() -> wsaudit.Report:
    return wsaudit.audit(conversation().pcap())


def test_tables(report: wsaudit.Report) -> None:
    assert report.connections["server_close_code"].tolist() == [1000]
    assert "FR-01" in report.findings["rule"].tolist()
    assert len(report.incidents) == 0
    assert report.summary["connections"] == 1
    assert repr(report) == f"<wsaudit.Report: 1 connections, {len(report.findings)} findings>"


def test_nothing_secret_leaves_unasked(report: wsaudit.Report, tmp_path: Path) -> None:
    report.to_json(tmp_path / "r.json")
    report.to_html(tmp_path / "r.html")
    report.to_csv(tmp_path / "csv")
    report.to_sarif(tmp_path / "r.sarif")
    report.to_junit(tmp_path / "r.xml")
    texts = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    texts += [report.to_markdown(), report.to_text(), report._repr_html_(), str(report.to_dict()), report.connections.to_csv()]
    assert len(texts) > 10
    assert not [text for text in texts if "s3cr3t" in text or "abcdef123" in text]
    assert "s3cr3t" in str(report.to_dict(show_payload=True))
    assert "s3cr3t" in report.to_json(tmp_path / "full.json", show_payload=True).read_text(encoding="utf-8")
    assert "s3cr3t" in wsaudit.audit(conversation().pcap(), payload=True).connections["target"][0]


def test_files(report: wsaudit.Report, tmp_path: Path) -> None:
    assert json.loads(report.to_json(tmp_path / "r.json").read_text(encoding="utf-8")) == report.to_dict()
    assert report.to_html(tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads(report.to_sarif(str(tmp_path / "r.sarif")).read_text(encoding="utf-8"))["version"] == "2.1.0"
    assert report.to_junit(tmp_path / "r.xml").read_text(encoding="utf-8").startswith("<?xml")
    assert (tmp_path / "tables" / "connections.csv") in report.to_csv(tmp_path / "tables")


def test_parquet(report: wsaudit.Report, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    assert (tmp_path / "connections.parquet") in report.to_parquet(tmp_path)


def test_html_of_a_cell_is_inert() -> None:
    evil = wire.Conversation().open().upgrade("/", request={"User-Agent": "<script>alert(1)</script>"})
    evil.frame(C, wire.TEXT, b"bare", mask=None).rst(S)
    shown = wsaudit.audit(evil.pcap())._repr_html_()
    assert shown.startswith("<pre>")
    assert "<script" not in shown


def test_show_outside_of_a_notebook(report: wsaudit.Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(UsageError, match="needs IPython"):
        report.show()
    install_ipython(monkeypatch, shell=None)
    with pytest.raises(UsageError, match="in a notebook"):
        report.show()


def test_show_in_a_notebook(report: wsaudit.Report, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = install_ipython(monkeypatch, shell=object())
    report.show()
    (frame,) = shown
    assert frame.startswith("<iframe sandbox=")
    assert "allow-same-origin" not in frame
    assert 'srcdoc="&lt;!doctype html&gt;' in frame


def install_ipython(monkeypatch: pytest.MonkeyPatch, shell: Any) -> list[str]:
    """An IPython that remembers what was displayed."""
    shown: list[str] = []
    package, display = ModuleType("IPython"), ModuleType("IPython.display")
    package.get_ipython = lambda: shell  # type: ignore[attr-defined]
    display.HTML = lambda text: SimpleNamespace(data=text)  # type: ignore[attr-defined]
    display.display = lambda item: shown.append(item.data)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


# -- what can be audited -------------------------------------------------------------


def outcome(captures: Any) -> dict[str, Any]:
    """What does not depend on how the input is named."""
    found = wsaudit.audit(captures).to_dict()
    return {key: found[key] for key in ("summary", "connections", "findings")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.pcap"
    path.write_bytes(conversation().pcap(nanoseconds=True))
    return path


def test_every_kind_of_input(path: Path) -> None:
    expected = outcome(path)
    assert expected["summary"]["connections"] == 1
    data = path.read_bytes()
    for captures in (str(path), [path], path.parent, data, bytearray(data), memoryview(data), io.BytesIO(data), [data]):
        assert outcome(captures) == expected
    with path.open("rb") as file:
        assert outcome(file) == expected
        assert not file.closed


def test_scapy_packets(path: Path) -> None:
    from scapy.layers.inet import IP
    from scapy.utils import rdpcap

    packets = rdpcap(str(path))
    expected = outcome(path)
    assert outcome(packets) == expected
    assert outcome(list(packets)) == expected
    bare = []
    for packet in packets:
        inner = packet[IP]
        inner.time = packet.time
        bare.append(inner)
    assert outcome(bare) == expected


def test_two_captures_are_one_audit(tmp_path: Path) -> None:
    packets = conversation().packets
    halves = [wire.pcap(packets[:7]), wire.pcap(packets[7:])]
    report = wsaudit.audit(halves)
    assert report.summary["connections"] == 1
    assert wsaudit.audit(halves[::-1]).summary == report.summary


def test_what_cannot_be_audited() -> None:
    with pytest.raises(InputError):
        wsaudit.audit(b"nonsense")
    with pytest.raises(InputError):
        wsaudit.audit(io.StringIO("text"))
