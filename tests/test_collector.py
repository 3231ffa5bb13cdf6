"""What is freed is freed at once, so that the collector of cycles may come late."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import wire
from wire import C, S

import wsaudit
from wsaudit.collector import PATIENCE, patient
from wsaudit.options import Limits

MANY = 30
PER_CONNECTION = {"Flow", "Stream", "Scanner", "Session", "Party", "Pipeline", "HttpSide", "Resync", "Inflation", "TlsTunnel"}
PER_PASS = {"Pass", "Decoder", "CaptureReader", "Judge", "Explainer"}


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left_over() -> Counter[str]:
    """The objects of finished connections and passes that are still there, by type."""
    names = Counter(type(each).__name__ for each in gc.get_objects())
    return Counter({name: names[name] for name in PER_CONNECTION | PER_PASS if names[name]})


def talk(i: int, target: str = "/ws") -> wire.Conversation:
    return wire.Conversation((f"10.0.{i}.1", 40000 + i), start=wire.START + i).open().upgrade(target)


def ordinary(i: int) -> wire.Conversation:
    return talk(i).text(C, "x").ping(S, b"p").pong(C, b"p").close(S, 1000).close(C, 1000).fin(S).fin(C)


def reset(i: int) -> wire.Conversation:
    return talk(i).text(C, "x").rst(S)


def open_at_the_end(i: int) -> wire.Conversation:
    return talk(i).text(C, "x")


def refused(i: int) -> wire.Conversation:
    made = wire.Conversation((f"10.0.{i}.1", 40000 + i), start=wire.START + i).open()
    return made.send(C, wire.head("GET /page HTTP/1.1", {"Host": "example.com"})).send(S, wire.response("404 Not Found")).fin(C)


def not_http(i: int) -> wire.Conversation:
    return wire.Conversation((f"10.0.{i}.1", 40000 + i), start=wire.START + i).open().send(C, b"SSH-2.0-x\r\n")


def half_open(i: int) -> wire.Conversation:
    return wire.Conversation((f"10.0.{i}.1", 40000 + i), start=wire.START + i).segment(C, flags=wire.SYN)


def another_protocol(i: int) -> wire.Conversation:
    made = wire.Conversation((f"10.0.{i}.1", 40000 + i), start=wire.START + i).open()
    made.send(C, wire.head("GET /attach HTTP/1.1", {"Host": "example.com", "Connection": "Upgrade", "Upgrade": "tcp"}))
    made.send(S, wire.response("101 UPGRADED", {"Connection": "Upgrade", "Upgrade": "tcp"}))
    return made.send(C, b"ls\n").send(S, b"a b c\n")


def given_up(i: int) -> wire.Conversation:
    """Its first byte may begin a frame, and then there is none."""
    made = wire.Conversation((f"10.0.{i}.1", 40000 + i), start=wire.START + i)
    for _ in range(40):
        made.send(C, b"\x81" + bytes(range(200, 250))).send(S, b"\x82" + bytes(range(200, 250)))
    return made


CASES = [ordinary, reset, open_at_the_end, refused, not_http, half_open, another_protocol, given_up]


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.__name__)
@pytest.mark.usefixtures("no_collector")
def test_an_audit_leaves_rows_only(one: Callable[[int], wire.Conversation]) -> None:
    data = wire.pcap(wire.merge(*(one(i) for i in range(MANY))), nanoseconds=True)
    before = left_over()
    report = wsaudit.audit(data)
    assert report.audit.packets["tcp"] >= MANY
    assert left_over() == before


@pytest.mark.usefixtures("no_collector")
def test_so_does_one_that_forgets_flows() -> None:
    data = wire.pcap(wire.merge(*map(open_at_the_end, range(MANY))), nanoseconds=True)
    before = left_over()
    report = wsaudit.audit(data, limits=Limits(flows=16))
    assert any("limit flows" in notice["text"] for notice in report.notices)
    assert left_over() == before


@pytest.mark.usefixtures("no_collector")
def test_so_does_one_with_gaps() -> None:
    talks = [talk(i).text(C, "x" * 300).text(S, "y").text(C, "z").fin(S).fin(C) for i in range(MANY)]
    data = wire.pcap(wire.merge(*talks), nanoseconds=True, snaplen=250)
    before = left_over()
    report = wsaudit.audit(data)
    assert report.summary["connections"] == MANY
    assert left_over() == before


def test_blocks_that_overlap_are_patient_until_the_last_ends() -> None:
    before = gc.get_threshold()
    one, other = patient(), patient()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert gc.get_threshold()[0] == PATIENCE
    other.__exit__(None, None, None)
    assert gc.get_threshold() == before


def test_the_callers_settings_come_back() -> None:
    before = gc.get_threshold()
    with patient():
        assert gc.get_threshold()[0] == PATIENCE
    wsaudit.audit(ordinary(1).pcap())
    assert gc.get_threshold() == before
    assert gc.isenabled()
