"""A bug in us: the connection in which it shows becomes a notice, the rest of the report is whole."""

from __future__ import annotations

import json
from inspect import unwrap
from pathlib import Path
from typing import Any

import pytest
import wire
from click.testing import CliRunner
from wire import C, S

import wsaudit
from wsaudit.cli import cli
from wsaudit.guard import guarded, where
from wsaudit.pipeline import Pipeline
from wsaudit.rules.judge import Judge
from wsaudit.session import Session

VICTIM = 40001


def capture() -> bytes:
    made = [
        wire.Conversation(client=("10.0.0.1", 40000 + i), start=wire.START + i * 1000)
        .open()
        .upgrade(f"/{i}")
        .ping(C, b"1")
        .text(S, "hello")
        .ping(S, b"2")
        .close(C, 1000)
        .close(S, 1000)
        .fin(S)
        .fin(C)
        for i in range(3)
    ]
    return wire.pcap(wire.merge(*made), nanoseconds=True)


def raising(method: Any, victim: int = VICTIM) -> Any:
    """`method`, with a bug that shows in the victim's connection only."""

    def call(self: Any, *given: Any, **named: Any) -> Any:
        flow = self.flow if hasattr(self, "flow") else given[0].flow
        if flow.port_a == victim:
            raise KeyError("secret text from the capture")
        return method(self, *given, **named)

    return call


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Judge, "session"),
        (Pipeline, "bytes_in"),
        (Pipeline, "new_session"),
        (Pipeline, "close_session"),
        (Session, "control"),
    ],
)
def test_one_connection_is_missing_and_named(owner: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = capture()
    expected = wsaudit.audit(data).to_dict()
    method = getattr(owner, name)
    faulty = raising(unwrap(method))
    monkeypatch.setattr(owner, name, guarded(faulty) if method is not unwrap(method) else faulty)
    report = wsaudit.audit(data)
    found = report.to_dict()
    assert report.audit.crashes == 1
    ports = [row["client"]["port"] for row in found["connections"]]
    assert ports == [40000, 40002]
    whole = {row["client"]["port"]: row for row in expected["connections"]}
    for row in found["connections"]:
        assert {**row, "id": 0} == {**whole[row["client"]["port"]], "id": 0}
    [notice] = found["notices"]
    assert notice["packet"] == 2
    assert "internal error (KeyError in " in notice["text"]
    assert f"10.0.0.1 port {VICTIM}" in notice["text"]
    assert "secret" not in json.dumps(found)


def test_the_exit_code_is_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())
    assert CliRunner().invoke(cli, ["audit", str(path), "-f", "json"]).exit_code == 0
    monkeypatch.setattr(Judge, "session", raising(Judge.session))
    result = CliRunner().invoke(cli, ["audit", str(path), "-f", "json"])
    assert result.exit_code == 3
    assert len(json.loads(result.stdout)["connections"]) == 2


def test_a_bug_that_shows_everywhere_is_not_told_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [wire.Conversation(client=("10.0.0.1", 1025 + i)).open().upgrade().fin(C).fin(S) for i in range(300)]

    def always(self: Any, *given: Any) -> Any:
        raise RecursionError

    monkeypatch.setattr(Judge, "session", always)
    report = wsaudit.audit(wire.pcap(wire.merge(*made)))
    assert report.audit.crashes == 300
    assert len(report.notices) == 100


def test_where_names_our_line() -> None:
    with pytest.raises(AttributeError) as raised:
        wsaudit.audit(capture(), limits=3)  # type: ignore[arg-type]
    assert where(raised.value).startswith("AttributeError in ")
    assert ".py, line " in where(raised.value)
    assert where(ValueError("never raised")) == "ValueError"
