"""What was concluded once and is told of all connections alike changes no report: an audit that forgets each connection before it
looks at the next one says the same."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import samples
import wire
from termination.endings import CHROMIUM, talk
from wire import C, S

import wsaudit
from benchmarks.generate import Generator, write
from wsaudit.http.form import forget_forms
from wsaudit.model import Finding
from wsaudit.rules.judge import Judge
from wsaudit.session import Session

CODES = (None, 1000, 1000, 1001, 1002, 1005, 1008, 1009, 1011, 3000, 3008, 4001)
REASONS = (b"", b"", b"bye", b"Idle timeout", b"invalid token", b"\xff")
CLIENTS = (CHROMIUM, "Python/3.12 websockets/15.0", "Python/3.12 aiohttp/3.11", None)
SERVERS = ("Python/3.12 websockets/15.0", "nginx/1.27", None)
WAITS = (0, 0, 0.3, 3, 12, 60)


def audited(captures: Any) -> list[Any]:
    report = wsaudit.audit(captures).to_dict()
    return [report[part] for part in ("connections", "findings", "incidents")]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Undo it for an audit that remembers."""
    judge = Judge.session

    def judge_alone(self: Judge, session: Session) -> list[Finding]:
        for memory in (self.handshakes, self.clean_shapes, self.closes):
            memory.clear()
        return judge(self, session)

    forget_forms()
    monkeypatch.setattr("wsaudit.http.head.remember_form", lambda *head: None)
    monkeypatch.setattr("wsaudit.termination.all_that_tells", lambda *end: None)
    monkeypatch.setattr(Judge, "session", judge_alone)
    return monkeypatch


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=samples.name)
def test_samples(sample: dict[str, Any], forgetful: pytest.MonkeyPatch) -> None:
    alone = audited(samples.paths(sample))
    forgetful.undo()
    assert audited(samples.paths(sample)) == alone


def test_a_fleet(tmp_path: Path, forgetful: pytest.MonkeyPatch) -> None:
    """Many clients of one service: nearly everything is told from memory."""
    path = tmp_path / "chat.pcap"
    write(path, Generator("chat", 0.01, seed=3))
    alone = audited([path])
    forgetful.undo()
    assert audited([path]) == alone


def random_end(dice: random.Random, number: int) -> wire.Conversation:
    """A connection that ends in one of the many ways in which nothing, or only a little, is wrong."""
    conversation = talk(
        port=20000 + number,
        start=wire.START + dice.randrange(wire.SECOND),
        headers={"User-Agent": dice.choice(CLIENTS)},
        answer={"Server": dice.choice(SERVERS)},
    )
    if dice.random() < 0.2:
        del conversation.packets[:5]  # its handshake was not captured
    first = dice.choice((C, S))
    if dice.random() < 0.3:
        conversation.ping(dice.choice((C, S)))
    conversation.wait(dice.choice(WAITS))
    code = dice.choice(CODES)
    if dice.random() < 0.9:
        conversation.close(first, code, dice.choice(REASONS) if code else b"").wait(dice.choice(WAITS[:4]))
    if dice.random() < 0.9:
        conversation.close(1 - first, code if dice.random() < 0.7 else dice.choice((1000, 1001, 4001)))
    if dice.random() < 0.2:
        conversation.swap()
    conversation.wait(dice.choice(WAITS[:4]))
    for side in dice.choice(((S, C), (C, S), (S,), (C,), ())):
        if dice.random() < 0.9:
            conversation.fin(side)
        else:
            conversation.rst(side)
    return conversation


@pytest.mark.parametrize("seed", range(3))
def test_ends_of_all_kinds(seed: int, forgetful: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    capture = wire.pcap(wire.merge(*(random_end(dice, number) for number in range(500))))
    alone = audited(capture)
    forgetful.undo()
    assert audited(capture) == alone
