"""A child process: what it sends, and its end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from wsaudit.child import Child, can_fork

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # what these children do needs no lock


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        child.end()
        assert child.process.exitcode is not None  # it is gone, and nothing of it is left


def fail(*what: Any) -> None:
    raise ValueError(*what)


def test_results(children: list[Child]) -> None:
    children += [Child(bytes.__mul__, b"x", size) for size in (0, 1, 1 << 20)]
    assert [child.result() for child in reversed(children)] == [b"x" * (1 << 20), b"x", b""]


def test_an_error_is_raised_by_who_asks(children: list[Child]) -> None:
    children.append(Child(fail, "no", 7))
    with pytest.raises(ValueError, match="no") as raised:
        children[0].result()
    assert raised.value.args == ("no", 7)


def test_a_child_that_is_killed(children: list[Child]) -> None:
    children.append(Child(os._exit, 1))
    with pytest.raises(RuntimeError, match="ended before"):
        children[0].result()


@pytest.mark.parametrize("threads", [1, 2])
def test_with_and_without_fork(children: list[Child], threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsaudit.child.active_count", lambda: threads)
    children.append(Child(divmod, 7, 2))
    assert children[0].result() == (3, 1)


def unsendable() -> Any:
    return lambda: 0


def test_what_cannot_be_sent(children: list[Child]) -> None:
    children.append(Child(unsendable))
    with pytest.raises(RuntimeError, match="ended before"):
        children[0].result()


def test_nobody_waits_for_what_nobody_asks_for(children: list[Child]) -> None:
    started = time.monotonic()
    Child(time.sleep, 60).end()
    assert time.monotonic() - started < 30


def test_threads_and_forks_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsaudit.child.active_count", lambda: 1)
    assert can_fork() == (hasattr(os, "fork") and sys.platform != "darwin")
    monkeypatch.setattr("wsaudit.child.active_count", lambda: 2)
    assert not can_fork()
