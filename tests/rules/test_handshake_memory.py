"""What is remembered about one handshake is never said of another: the signature holds all that the rules look at."""

from __future__ import annotations

import random

import pytest

from tests.rules import test_exposure, test_handshake_request, test_handshake_response
from tests.rules.handshakes import judged
from wsaudit.options import Options
from wsaudit.rules.judge import Judge

CAPTURES = [
    next(each for each in case if isinstance(each, bytes))
    for module in (test_handshake_request, test_handshake_response, test_exposure)
    for case in [*module.FIRING, *module.NEAR]
]


@pytest.mark.parametrize("seed", range(3))
def test_one_judge_for_all(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = {capture: judged(capture) for capture in set(CAPTURES)}
    shared = Judge(Options())
    monkeypatch.setattr("wsaudit.rules.judge.Judge", lambda options: shared)
    again = [*alone, *alone]
    random.Random(seed).shuffle(again)
    for capture in again:
        assert judged(capture) == alone[capture]
