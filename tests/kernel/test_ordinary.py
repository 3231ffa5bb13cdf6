"""What a bug in telling of connections that are like others costs. That telling of them makes no difference to the report:
tests/properties/test_ordinary.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import wire
from wire import C, S

import wsaudit
from wsaudit import engine
from wsaudit.kernel import kinds, ordinary
from wsaudit.kernel.constants import AT_SERVER_CLOSE

# -- one connection after the other ----------------------------------------------------------------------------------------------


def talk(number: int) -> wire.Conversation:
    made = wire.Conversation(client=("10.0.0.1", 40000 + number), start=wire.START + number * wire.SECOND).open()
    made.upgrade(f"/chat?id={number}").text(C, "hi", mask=b"key1").close(C, 1000).close(S, 1000)
    return made.fin(S).fin(C).ack(S)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is learned from a connection is known for the next."""
    monkeypatch.setattr(engine, "TOGETHER", 1)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The clients' ports of the connections that were not told from memory."""
    ports: list[int] = []
    row = engine.row

    def noted(session: Any, *given: Any) -> Any:
        ports.append(session.flow.port_a)
        return row(session, *given)

    monkeypatch.setattr(engine, "row", noted)
    return ports


@pytest.mark.usefixtures("at_once")
def test_the_third_is_told_from_memory(looked_at: list[int]) -> None:
    """The first shows how they open, the second how they end."""
    found = wsaudit.audit(wire.pcap(wire.merge(*map(talk, range(5))))).to_dict()
    assert looked_at == [40000, 40001]
    assert [row["client"]["port"] for row in found["connections"]] == list(range(40000, 40005))
    assert len({row["termination"]["cause"] for row in found["connections"]}) == 1
    assert found["inputs"][0]["packets"] == 55


def raising(*given: Any, **named: Any) -> Any:
    raise KeyError("secret text from the capture")


def learned_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of an ending is without a termination: `tell` raises."""
    wrong: Any = None
    monkeypatch.setattr("wsaudit.alike.ending_of", lambda *given: kinds.Ending(wrong, (None, None), (), (AT_SERVER_CLOSE,)))


def no_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing the answer with the key raises."""
    monkeypatch.setattr(kinds, "SHA1", SimpleNamespace(copy=raising))


def no_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking a Close raises, each time."""
    if ordinary.is_compiled():
        pytest.skip("compiled methods cannot be replaced")
    take_close = ordinary.Party.take_close
    calls = iter(range(100))

    def sometimes(self: Any, *given: Any) -> None:
        if next(calls) < 4:  # of the first two connections
            take_close(self, *given)
        else:
            raising()

    monkeypatch.setattr(ordinary.Party, "take_close", sometimes)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("bug", "lost"), [(learned_wrong, (40002, 40003)), (no_digest, (40001, 40002, 40003)), (no_close, (40002, 40003))]
)
@pytest.mark.parametrize("icmp", [False, True])
def test_a_bug_costs_one_connection(
    bug: Callable[[pytest.MonkeyPatch], None], lost: tuple[int, ...], icmp: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    talks = [talk(number) for number in range(4)]
    if icmp:  # a flow that was given up is told something
        for each in talks:
            quoted = each.packets[0].data[14:42]
            told = wire.ip("10.0.0.9", "10.0.0.1", 1, bytes((3, 1, 0, 0, 0, 0, 0, 0)) + quoted)
            each.packets.insert(9, wire.Packet(each.packets[8].time, wire.link(told)))
    bug(monkeypatch)
    report = wsaudit.audit(wire.pcap(wire.merge(*talks)))
    found = report.to_dict()
    if icmp and bug is learned_wrong:
        assert report.audit.crashes == 0  # a connection with ICMP is none of those
        return
    assert report.audit.crashes == len(lost)
    assert [row["client"]["port"] for row in found["connections"]] == [port for port in range(40000, 40004) if port not in lost]
    told = [notice["text"] for notice in found["notices"]]
    assert [text.partition(" port ")[2].partition(" ")[0] for text in told] == [str(port) for port in lost]
    assert all("internal error (" in text for text in told)
    assert "secret" not in json.dumps(found)
