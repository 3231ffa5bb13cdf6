"""Who ended first, what had arrived, how long it had been quiet: by numbers alone, in both forms of the kernel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st
from kernel.sides import feed, parties
from wire import ACK, BINARY, FIN, PING, C, S

from wsaudit.kernel.constants import REACTION, SHORTEST_WAIT, TIMES_RTT
from wsaudit.model import BOTH, CLIENT, PACKET_BITS, SERVER

MS = 1_000_000


@pytest.fixture(params=["pure_kernel", "compiled_kernel"])
def kernel(request: pytest.FixtureRequest) -> SimpleNamespace:
    found: SimpleNamespace = request.getfixturevalue(request.param)
    return found


def fins(kernel: SimpleNamespace, *sent: tuple[int, int, int]) -> tuple[Any, Any]:
    """Two streams of which each FIN is (side, time, what it acknowledges of the peer, whose FIN has the offset 0)."""
    flow = kernel.streams.Flow(b"\n\0\0\1", 40000, b"\n\0\0\2", 80)
    for stream in (flow.a, flow.b):
        stream.start(100)
    for packet, (side, time, acked) in enumerate(sent, 1):
        stream = (flow.a, flow.b)[side]
        stream.segment(kernel.buffer.Buffer(b""), 0, 0, 0, 100, 100 + acked, FIN | ACK, 10, 64, 0, time, packet)
    return flow.a, flow.b


@pytest.mark.parametrize(
    ("sent", "by", "told_by"),
    [
        ([], -1, None),
        ([(C, 1, 0)], CLIENT, C),
        ([(S, 1, 0)], SERVER, S),
        ([(C, 1, 0), (S, 2, 1)], CLIENT, C),
        ([(S, 1, 0), (C, 2, 1)], SERVER, S),
        ([(C, 1, 0), (S, 2, 0)], BOTH, C),
        ([(S, 1, 0), (C, 2, 0)], BOTH, S),
        ([(S, 2, 1), (C, 2, 0)], CLIENT, C),  # captured in the other order
        ([(S, 5, 0), (C, 5, 0)], BOTH, S),  # at one instant: by packets
    ],
)
def test_the_first_fin(kernel: SimpleNamespace, sent: list[tuple[int, int, int]], by: int, told_by: int | None) -> None:
    a, b = fins(kernel, *sent)
    assert kernel.endings.first_fin(a, b) == by
    if told_by is not None:
        assert kernel.endings.fin_of(by, a, b) is (a, b)[told_by]


def close(kernel: SimpleNamespace, side: int, **how: Any) -> Any:
    """A Close of eight bytes from offset 100 on, that acknowledged nothing, in packet 1 at time 10."""
    payload = how.pop("payload", b"\x03\xe8")
    given = {"length": len(payload or b""), "packet": 1, "time": 10, "acked": 0} | how
    return kernel.party.CloseFrame(side, payload, given["length"], given["packet"], given["time"], 100, 108, given["acked"])


@pytest.mark.parametrize(
    ("c", "s", "initiator"),
    [
        ({"acked": 100}, {"acked": 108}, CLIENT),
        ({"acked": 108}, {"acked": 107}, SERVER),
        ({"acked": 107}, {"acked": 107}, BOTH),
        ({"acked": 108, "packet": 2}, {"acked": 108, "packet": 3}, CLIENT),  # both knew: by packets
        ({"acked": 108, "packet": 3}, {"acked": 108, "packet": 2}, SERVER),
        ({"acked": 108, "packet": 2, "time": 5}, {"acked": 108, "packet": 1 << PACKET_BITS, "time": 4}, SERVER),  # two captures
        ({"acked": 108, "packet": 1 << PACKET_BITS, "time": 4}, {"acked": 108, "packet": 2, "time": 4}, CLIENT),
    ],
)
def test_who_closed_first(kernel: SimpleNamespace, c: dict[str, int], s: dict[str, int], initiator: int) -> None:
    assert kernel.endings.first_to_close(close(kernel, C, **c), close(kernel, S, **s)) == initiator


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nothing", True),
        ("FINs", True),
        ("rst of client", False),
        ("rst of server", False),
        ("client's not acknowledged", False),
        ("server's not acknowledged", False),
        ("bytes behind the client's", False),
        ("bytes behind the server's", False),
    ],
)
def test_what_disturbs_an_end(kernel: SimpleNamespace, name: str, expected: bool) -> None:
    a, b = fins(kernel, *([(S, 1, 0), (C, 2, 1)] if name == "FINs" else []))
    for stream, other in ((a, "client"), (b, "server")):
        stream.offset = 108 + stream.fin_taken + (name == f"bytes behind the {other}'s")
        stream.acked = 108 - (name == f"{other}'s not acknowledged")
        stream.rst_time = 3 * (name == f"rst of {other}")
    assert kernel.endings.undisturbed(close(kernel, C), close(kernel, S), a, b) == expected


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, True),
        ({"payload": b""}, True),
        ({"payload": b"\x03\xe8bye"}, True),
        ({"payload": b"\x13\x88"}, True),  # 5000: no fault of the reader
        ({"payload": b"\x03"}, False),
        ({"payload": None, "length": 2}, False),
        ({"payload": b"\x03\xe8\xc3\xa9"}, True),
        ({"payload": b"\x03\xe8\xc3"}, False),
        ({"payload": b"\x03\xe8" + b"x" * 123, "length": 125}, True),
        ({"payload": b"\x03\xe8" + b"x" * 123, "length": 126}, False),
        ({"payload": b"\x03\xea"}, True),  # a complaint can be read, too
    ],
)
def test_a_close_that_cannot_be_refused(kernel: SimpleNamespace, how: dict[str, Any], expected: bool) -> None:
    a, b = fins(kernel)
    for stream in (a, b):
        stream.acked = stream.offset = 108
    for one, other in ((how, {}), ({}, how)):
        assert kernel.endings.undisturbed(close(kernel, C, **one), close(kernel, S, **other), a, b) == expected


def test_a_ping_that_waited_too_long(kernel: SimpleNamespace) -> None:
    overdue = kernel.endings.overdue_ping
    client, server = parties(kernel)
    assert overdue(client, server, 10**12) is None
    client.ping(b"1", 3, 1000, 50, False)
    assert overdue(client, server, 999) is None
    assert overdue(client, server, 1000 + SHORTEST_WAIT - 1) is None
    assert overdue(client, server, 1000 + SHORTEST_WAIT) == (SHORTEST_WAIT, 3, 50)
    server.pong(client, b"1", 4, 1000 + 300 * MS, 70)
    assert overdue(client, server, 10**12) is None
    assert overdue(client, server, 1000 + 250 * MS) == (250 * MS, 0, 0)  # answered, but later
    assert overdue(client, server, 1000 + 300 * MS) is None
    client.ping(b"2", 5, 10**12, 90, False)
    assert overdue(client, server, 10**12 + TIMES_RTT * 300 * MS - 1) is None  # the quickest took as long
    assert overdue(client, server, 10**12 + TIMES_RTT * 300 * MS) == (TIMES_RTT * 300 * MS, 5, 90)


@pytest.mark.parametrize(
    ("code", "pause", "expected"), [(1000, 999, True), (1000, 1000, False), (1011, 0, False), (4000, -5, True)]
)
def test_who_answers_a_close_at_once_is_there(kernel: SimpleNamespace, code: int, pause: int, expected: bool) -> None:
    lead = close(kernel, C, payload=code.to_bytes(2, "big"))
    answer = close(kernel, S, time=lead.time + pause * MS)
    assert kernel.endings.answered_at_once(lead, answer) == expected


@pytest.mark.parametrize(
    ("sent", "time", "expected"),
    [
        ([], 0, False),
        ([(BINARY, 125)], 0, False),
        ([(BINARY, 126)], 0, True),
        ([(BINARY, 126), (PING, 1)], 0, True),
        ([(BINARY, 126), (BINARY, 1)], 0, False),
        ([(BINARY, 126), (BINARY, 126)], 0, True),
        ([(BINARY, 126)], REACTION, False),  # long ago
        ([(BINARY, 126)], -1, False),  # it was not yet there
    ],
)
def test_a_large_frame_just_before(kernel: SimpleNamespace, sent: list[tuple[int, int]], time: int, expected: bool) -> None:
    client, server = parties(kernel)
    kernel.party.introduce(client, server, None)
    for opcode, size in sent:
        feed(kernel, server, wire.frame(opcode, bytes(size)), time=1000)
    assert kernel.endings.just_sent_largest(server.frames, 1000 + time) == expected


def test_clocks_that_stood_still(kernel: SimpleNamespace) -> None:
    idle_at = kernel.endings.idle_at
    client, server = parties(kernel)
    assert idle_at(client, server, False, 100) == (-1, -1, -1, -1)
    client.stream.last_data_time, server.stream.last_data_time = 40, 70
    feed(kernel, client, wire.frame(wire.TEXT, b"x"), time=30)
    assert idle_at(client, server, False, 100) == (30, 60, 30, 70)
    assert idle_at(client, server, True, 100) == (70, 70, -1, 70)  # what TCP carried last may be TLS's own
    assert idle_at(client, server, False, 50) == (-1, 10, -1, 20)


def test_heartbeats_in_numbers(kernel: SimpleNamespace) -> None:
    numbers = kernel.endings.heartbeat_numbers
    client, server = parties(kernel)
    assert numbers(client, server) == (0, 0, 0, 0, -1, -1, -1, 0, 0)
    for i in range(5):
        server.ping(b"%d" % i, i, 100 * i + 10, i, False)
        if i < 3:
            client.pong(server, b"%d" % i, i, 100 * i + 11 + i, i)
    client.ping(b"", 9, 700, 9, False)
    assert numbers(client, server) == (1, 5, 1, 2, 100, 2, 3, 700, 410)


sides = st.tuples(*[st.integers(-1, 3)] * 6)


@given(sides, sides, st.booleans())
def test_both_forms_say_the_same(
    compiled_kernel: SimpleNamespace, pure_kernel: SimpleNamespace, one: tuple[int, ...], other: tuple[int, ...], taken: bool
) -> None:
    """Whatever the numbers are, those that no TCP would make included."""
    found = []
    for kernel in (compiled_kernel, pure_kernel):
        a, b = fins(kernel, *([(C, 1, 0), (S, 2, 1)] if taken else []))
        for stream, numbers in ((a, one), (b, other)):
            stream.fin_time, stream.fin_packet, stream.fin_seq, stream.fin_ack, stream.offset, stream.acked = numbers
        by = kernel.endings.first_fin(a, b)
        closes = [
            close(kernel, side, acked=106 + numbers[0], packet=numbers[1], time=numbers[2])
            for side, numbers in ((C, one), (S, other))
        ]
        first = kernel.endings.first_to_close(*closes)
        fin = kernel.endings.fin_of(by, a, b) is a
        found.append((by, fin, first, kernel.endings.first_to_end(a, b), kernel.endings.undisturbed(*closes, a, b)))
    assert found[0] == found[1]
