"""What gives an occasion to ask rules about a whole connection, each with its near miss, in both forms of the kernel."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import wire
from kernel.sides import Listener, feed, parties

from wsaudit.kernel.constants import BIT, CLOSE_GRACE, GRACE, MANY_PINGS, PROMPT, SLOW_PONG, TINY

T = 10**15  # when it happens


@pytest.fixture(params=["pure_kernel", "compiled_kernel"])
def kernel(request: pytest.FixtureRequest) -> SimpleNamespace:
    found: SimpleNamespace = request.getfixturevalue(request.param)
    return found


def names(bits: int) -> set[str]:
    return {name for name, bit in BIT.items() if bits & bit}


# -- frames ----------------------------------------------------------------------------------------------------------------------


def masked(opcode: int, payload: bytes, key: int, **how: Any) -> bytes:
    return wire.frame(opcode, payload, mask=key.to_bytes(4, "little"), **how)


def fragmented(number: int) -> bytes:
    """A message whose fragments have one byte each, but for the last, which has none."""
    return wire.frame(1, b"a", fin=False) + wire.frame(0, b"a", fin=False) * (number - 2) + wire.frame(0)


FRAMES: dict[str, tuple[bytes, bytes, set[str]]] = {  # of client and server, and the occasions
    "nothing": (b"", b"", set()),
    "messages": (masked(wire.TEXT, b"a", 9), wire.frame(wire.TEXT, b"b"), set()),
    "half a frame": (b"", b"\x81\x05he", {"cut"}),
    "half a header": (b"\x81", b"", {"cut"}),
    "half a message": (b"", wire.frame(wire.TEXT, b"ab", fin=False), {"cut"}),
    "key of zeros": (masked(wire.TEXT, b"a", 0), b"", {"keys"}),
    "key again": (masked(wire.TEXT, b"a", 5) * 2, b"", {"keys"}),
    "counting keys": (b"".join(masked(wire.TEXT, b"a", key) for key in (5, 6, 7)), b"", {"keys"}),
    "keys that grow": (b"".join(masked(wire.TEXT, b"a", key) for key in (5, 6, 8)), b"", set()),
    "tiny fragments": (b"", fragmented(TINY), {"fragmented"}),
    "some fragments": (b"", fragmented(TINY - 1), set()),
    "no UTF-8": (b"", wire.frame(wire.TEXT, b"\xff"), {"text"}),
    "no text": (b"", wire.frame(wire.BINARY, b"\xff"), set()),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames(kernel: SimpleNamespace, name: str) -> None:
    client, server = parties(kernel)
    sent, answered, expected = FRAMES[name]
    feed(kernel, client, sent)
    feed(kernel, server, answered)
    assert names(kernel.occasions.occasions_of_frames(client, server)) == expected


def test_lost_bytes(kernel: SimpleNamespace) -> None:
    client, server = parties(kernel)
    server.add_gap(kernel.party.Gap(0, 1, T, 1, "lost"))
    assert names(kernel.occasions.occasions_of_frames(client, server)) == {"lost"}


def test_text_that_nobody_can_check(kernel: SimpleNamespace) -> None:
    client, server = parties(kernel)
    feed(kernel, server, b"\x81\x05he")
    server.frames.gap(3)
    assert names(kernel.occasions.occasions_of_frames(client, server)) == {"text"}


# -- Closes ----------------------------------------------------------------------------------------------------------------------


def closed(kernel: SimpleNamespace, sent: dict[str, Any]) -> tuple[Any, Any]:
    """An end by the book but for what `sent` says: codes, times of Closes (c, s) and of FINs and RSTs."""
    client, server = parties(kernel)
    kernel.party.introduce(client, server, Listener())
    how = {"c": T, "s": T + 1, "codes": (1000, 1000), "fin_c": T + 3, "fin_s": T + 2, "rst_c": 0, "rst_s": 0} | sent
    for party, when, code in ((client, how["c"], how["codes"][0]), (server, how["s"], how["codes"][1])):
        for time in when if isinstance(when, tuple) else (when,):
            feed(kernel, party, wire.frame(wire.CLOSE, wire.close_payload(code)), time)
            party.take_close(wire.close_payload(code), 2, 0, 0)
    client.stream.fin_time, client.stream.rst_time = how["fin_c"], how["rst_c"]
    server.stream.fin_time, server.stream.rst_time = how["fin_s"], how["rst_s"]
    return client, server


CLOSES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set()),
    ({"c": T + 1, "s": T}, set()),
    ({"fin_c": 0}, set()),
    ({"codes": (None, None)}, set()),
    ({"s": T + PROMPT - 1, "fin_s": T + PROMPT, "fin_c": 0}, set()),
    ({"s": T + PROMPT, "fin_s": T + PROMPT, "fin_c": 0}, {"closed", "hasty"}),
    ({"fin_s": T + GRACE, "fin_c": T + GRACE}, set()),
    ({"fin_s": T + 1 + GRACE, "fin_c": 0}, {"closed", "hasty"}),
    ({"fin_s": T}, {"closed", "hasty"}),
    ({"fin_s": 0}, {"closed", "hasty"}),
    ({"fin_c": T + 2}, set()),
    ({"fin_c": T + 1}, {"closed", "hasty"}),
    ({"rst_c": T + 1}, {"closed", "hasty"}),
    ({"rst_s": T + 2, "fin_s": 0}, set()),
    ({"rst_s": T + 1, "fin_s": T + 5, "fin_c": 0}, set()),  # the earlier of the two
    ({"codes": (1000, 1001)}, {"closed", "hasty"}),
    ({"codes": (None, 1000)}, {"closed", "hasty"}),
    ({"codes": (1000, 1002)}, {"closed", "hasty", "failed"}),
    ({"codes": (1002, 1002)}, {"failed"}),
    ({"codes": (1007, 1007)}, {"failed"}),
    ({"codes": (1009, 1009)}, {"failed"}),
    ({"codes": (1003, 1003)}, set()),
    ({"c": ()}, {"closed", "hasty", "failed"}),
    ({"s": (T, T + 1)}, {"closed", "hasty", "failed"}),
]


@pytest.mark.parametrize(("sent", "expected"), CLOSES)
def test_closes(kernel: SimpleNamespace, sent: dict[str, Any], expected: set[str]) -> None:
    assert names(kernel.occasions.occasions_of_closes(*closed(kernel, sent))) == expected


@pytest.mark.parametrize(("fin", "rst", "end"), [(0, 0, 0), (5, 0, 5), (0, 6, 6), (5, 6, 5), (6, 5, 5)])
def test_when_a_side_ended(kernel: SimpleNamespace, fin: int, rst: int, end: int) -> None:
    client, _ = parties(kernel)
    client.stream.fin_time, client.stream.rst_time = fin, rst
    assert kernel.occasions.end_of(client) == end


# -- Pings and Pongs -------------------------------------------------------------------------------------------------------------


def ping(party: Any, time: int, body: bytes = b"", closed: bool = False) -> None:
    party.ping(body, 1, T + time, 0, closed)


def pong(party: Any, asker: Any, time: int, body: bytes = b"") -> None:
    party.pong(asker, body, 1, T + time, 0)


def answered_late(client: Any, server: Any, wait: int) -> None:
    ping(client, 0)
    pong(server, client, wait)


def pinged_often(client: Any, server: Any, times: int) -> None:
    for i in range(times):
        ping(server, i)
        pong(client, server, i)


def settled_together(client: Any, server: Any, again: bytes) -> None:
    ping(client, 0, b"1")
    ping(client, 1, b"2")
    pong(server, client, 2, b"2")
    pong(server, client, 3, again)


HEARTBEATS: dict[str, tuple[Callable[[Any, Any], None], set[str]]] = {
    "none": (lambda client, server: None, set()),
    "answered": (lambda client, server: answered_late(client, server, SLOW_PONG - 1), set()),
    "slowly": (lambda client, server: answered_late(client, server, SLOW_PONG), {"heartbeat"}),
    "many": (lambda client, server: pinged_often(client, server, MANY_PINGS), {"heartbeat"}),
    "less": (lambda client, server: pinged_often(client, server, MANY_PINGS - 1), set()),
    "young": (lambda client, server: ping(server, 1), set()),
    "waiting": (lambda client, server: ping(server, 0), {"unanswered"}),
    "one pong": (lambda client, server: pong(client, server, 0), set()),
    "two pongs": (lambda client, server: [pong(client, server, 0, body) for body in (b"1", b"2")] and None, {"pongs"}),
    "again": (lambda client, server: settled_together(client, server, b"2"), {"pongs"}),
    "late": (lambda client, server: settled_together(client, server, b"1"), {"pongs"}),
    "after Close": (lambda client, server: ping(client, 1, closed=True), {"heartbeat"}),
}


@pytest.mark.parametrize("name", HEARTBEATS)
def test_pings(kernel: SimpleNamespace, name: str) -> None:
    client, server = parties(kernel)
    act, expected = HEARTBEATS[name]
    act(client, server)
    assert names(kernel.occasions.occasions_of_pings(client, server, T + CLOSE_GRACE)) == expected
