"""Worker processes: each follows the flows of its shard, and the parts merge into one audit."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import wire
from wire import C, S

import wsaudit
from wsaudit.child import Gone
from wsaudit.engine import Audit, Interrupted, run, run_shard
from wsaudit.errors import InputError, UsageError
from wsaudit.options import Options
from wsaudit.report.report import Report
from wsaudit.workers import run_shards


def capture() -> bytes:
    talks = [
        wire.Conversation((f"10.0.{i}.1", 40000 + i), start=wire.START + i)
        .open()
        .upgrade(f"/{i}")
        .text(C, "x")
        .close(S, 1000 + i % 2)
        .fin(S)
        .fin(C)
        for i in range(40)
    ]
    other = wire.Conversation(("10.9.9.9", 5)).open().send(C, b"SSH-2.0-x\r\n")
    refused = wire.Conversation(("10.9.9.9", 6)).segment(C, flags=wire.SYN).segment(S, flags=wire.RST | wire.ACK)
    return wire.pcap(wire.merge(*talks, other, refused), nanoseconds=True)


def test_any_executor(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())
    alone = wsaudit.audit(path).to_dict()
    options = Options(jobs=3)
    with ThreadPoolExecutor(2) as executor:
        assert Report(run_shards([path], options, executor), options).to_dict() == alone


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_order_of_merging_does_not_matter(order: tuple[int, ...]) -> None:
    options = Options(jobs=3)
    parts = [run_shard([capture()], options, shard) for shard in range(3)]
    assert all(part.connections for part in parts)
    whole = Audit()
    for shard in order:
        whole.merge(parts[shard])
    assert Report(whole, options).to_dict() == wsaudit.audit(capture()).to_dict()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_what_is_too_much_for_one_pass_is_too_much_for_several(order: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsaudit.engine.MAX_PLAIN_GETS", 5)
    monkeypatch.setattr("wsaudit.engine.MAX_FAILED_CONNECTS", 4)
    monkeypatch.setattr("wsaudit.kernel.plain.MANY", 0)  # uncompiled, packets are not taken in turn
    monkeypatch.setattr("wsaudit.kernel.batch.FEW", 1)
    talks = []
    for i in range(20):
        plain = f"GET /{i} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
        talks.append(wire.Conversation(("10.1.0.1", 100 + i), start=wire.START + i).open().send(C, plain))
        talks[-1].send(S, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        refused = wire.Conversation(("10.2.0.1", 100 + i), start=wire.START + i).segment(C, flags=wire.SYN)
        talks.append(refused.segment(S, flags=wire.RST | wire.ACK))
    packets = wire.pcap(wire.merge(*talks), nanoseconds=True)
    options = Options(jobs=3)
    whole = Audit()
    for shard in order:
        whole.merge(run_shard([packets], options, shard))
    alone = run_shard([packets], Options(), 0)
    assert sorted(whole.plain_gets) == sorted(alone.plain_gets)
    assert sorted(whole.failed_connects) == sorted(alone.failed_connects)
    texts = [notice["text"].partition(" ")[0] for notice in Report(whole, options).notices]
    assert texts == [notice["text"].partition(" ")[0] for notice in Report(alone, Options()).notices] == ["15", "16"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("forks", [True, False])
def test_processes_of_its_own(forks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsaudit.child.can_fork", lambda: forks)
    assert wsaudit.audit(capture(), jobs=3).to_dict() == wsaudit.audit(capture()).to_dict()
    with pytest.raises(InputError, match="key log"):
        wsaudit.audit(capture(), jobs=2, keylog="/nowhere/keys.log")


def test_what_can_be_read_once_only() -> None:
    for given in (io.BytesIO(capture()), "-"):
        with pytest.raises(UsageError, match="only once"):
            wsaudit.audit([given], jobs=2)


def test_an_unreadable_input_is_named_once() -> None:
    report = wsaudit.audit([capture(), b"nothing"], jobs=2)
    assert len(report.inputs) == 2
    assert len(report.unread) == 1


def test_all_processes_stop_when_it_is_enough() -> None:
    """As after Ctrl-C, which a terminal sends to all of them."""

    def enough(done: int) -> None:
        raise Interrupted

    data = capture() + 50 * capture()[24:]  # more than a chunk
    audit = run([data], Options(jobs=3), enough)
    assert audit.interrupted
    assert [notice.text for notice in audit.notices if "interrupted" in notice.text] == [
        "interrupted: this is what was read so far; later packets are not in this report"
    ]


def leave(*_: object) -> None:
    os._exit(1)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_process_that_is_gone(interrupted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of this process hears of Ctrl-C as it does; another is ended by it."""

    def enough(done: int) -> None:
        if interrupted:
            raise Interrupted

    monkeypatch.setattr("wsaudit.workers.run_part", leave)
    monkeypatch.setattr("wsaudit.child.can_fork", lambda: True)
    data = capture() + 50 * capture()[24:]
    if interrupted:
        assert run([data], Options(jobs=2), enough).interrupted
    else:
        with pytest.raises(Gone):
            run([data], Options(jobs=2), enough)
