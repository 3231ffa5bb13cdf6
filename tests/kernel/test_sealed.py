"""TLS without a ClientHello: what the kernel alone makes of it, and that this changes nothing in what is found."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import wire
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from properties.mutate import mutated
from wire import C, S

from wsaudit.engine import Pass, run
from wsaudit.options import Options
from wsaudit.report.report import Report

FORMS = pytest.mark.parametrize("form", ["pure_kernel", "compiled_kernel"])
NOT_CAPTURED, INCOMPLETE = "tls_closed handshake-not-captured", "tls_closed handshake-incomplete"


def record(kind: int, size: int, body: bytes = b"") -> bytes:
    return struct.pack(">BHH", kind, 0x0303, size) + body.ljust(size, b"\xaa")


NO_HELLO = record(22, 300)  # of a message of 0xAAAAAA bytes
APPLICATION = record(23, 100)
HELLO = record(22, 60, b"\1\0\0\x38\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0\0\0")
ALERT = record(21, 2, b"\1\0")


@FORMS
@pytest.mark.parametrize(
    ("data", "stop"),
    [
        (NO_HELLO, len(NO_HELLO)),
        (NO_HELLO[:9], 9),
        (NO_HELLO * 2 + APPLICATION, 2 * len(NO_HELLO)),
        (APPLICATION, 0),
        (HELLO, -1),
        (record(22, 4, b"\1\0\1\0"), 9),
        (record(22, 4, b"\1\0\1\0") + record(22, 255), 9 + 5 + 255),
        (record(22, 4, b"\1\0\1\0") + record(22, 256), -1),  # a whole message
        (record(22, 4, b"\1\0\0\0"), -1),
        (record(22, 3), -1),
        (record(22, 0), -1),
        (NO_HELLO + record(22, 0), -1),
        (NO_HELLO + record(22, (1 << 14) + 2049), -1),
        (NO_HELLO + NO_HELLO[:4], -1),
        (NO_HELLO[:8], -1),
        (NO_HELLO + ALERT, -1),
        (NO_HELLO + b"\x16\2\0\0\4abcd", -1),
    ],
)
def test_a_handshake_that_begins(form: str, data: bytes, stop: int, request: pytest.FixtureRequest) -> None:
    flight = request.getfixturevalue(form).sealed.Flight()
    assert flight.step_over(data) == stop
    if data == NO_HELLO:
        assert (flight.counts.handshake, flight.left, flight.missing) == (1, 0, 0xAAAAAA + 4 - 300)


class Told:
    """Who is told what became of a flow."""

    def __init__(self) -> None:
        self.why: list[str] = []
        self.data: list[bytes] = []

    def count_tls(self, why_not: str) -> None:
        self.why.append(why_not)

    def unusual(self, sealed: Any) -> Any:
        return SimpleNamespace(data=lambda stream, data, *_: self.data.append(data))


@FORMS
def test_what_it_keeps_is_bounded(form: str, request: pytest.FixtureRequest) -> None:
    kernel, told = request.getfixturevalue(form), Told()
    flow = kernel.streams.Flow(b"a", 1, b"b", 2)
    sealed = kernel.sealed.Sealed(flow, 0, told)
    piece = record(22, 1 << 14)
    for offset in range(0, 4 * len(piece), len(piece)):
        sealed.data(flow.a, piece, offset, 0, 1)
    assert sum(len(chunk[1]) for chunk in sealed.chunks) == 3 * len(piece)
    assert told.data == [piece]


def seen(*talk: tuple[int, bytes]) -> tuple[dict[str, int], int]:
    """What is counted of TLS in a connection, and in how many cases a Pipeline was needed."""
    conversation = wire.Conversation().open()
    for side, data in talk:
        conversation.send(side, data)
    with patch.object(Pass, "unusual", autospec=True, side_effect=Pass.unusual) as unusual:
        audit = run([conversation.fin(C).fin(S).pcap()], Options())
    assert audit.crashes == 0
    return {name: number for name, number in audit.seen.items() if name.startswith("tls_")}, unusual.call_count


BEGUN = ((C, NO_HELLO), (S, NO_HELLO))


@pytest.mark.parametrize(
    ("talk", "why", "pipelines"),
    [
        (BEGUN, INCOMPLETE, 0),
        ((*BEGUN, (C, APPLICATION), (S, record(23, 5000))), NOT_CAPTURED, 0),
        ((*BEGUN, (C, APPLICATION), (S, APPLICATION)), NOT_CAPTURED, 1),  # perhaps a WebSocket
        ((*BEGUN, (C, APPLICATION + ALERT)), NOT_CAPTURED, 1),
        ((*BEGUN, (C, APPLICATION), (S, record(23, 5000)), (S, ALERT)), NOT_CAPTURED, 1),
        (((S, NO_HELLO), (S, APPLICATION)), NOT_CAPTURED, 1),  # the client's hello may come yet
        (((C, HELLO), (S, NO_HELLO), (C, APPLICATION)), INCOMPLETE, 1),
    ],
)
def test_when_a_pipeline_is_needed(talk: tuple[tuple[int, bytes], ...], why: str, pipelines: int) -> None:
    assert seen(*talk) == ({"tls_connections": 1, why: 1}, pipelines)


def found(capture: bytes) -> Any:
    audit = run([capture], Options())
    return Report(audit, Options()).to_dict(), audit.seen, audit.crashes


CHANGE_CIPHER = record(20, 1, b"\1")
OTHERS = (record(23, 5000), HELLO, ALERT, CHANGE_CIPHER, record(22, 40, b"\2\0\1"))
records = st.sampled_from([NO_HELLO, NO_HELLO, APPLICATION, APPLICATION, *OTHERS])
sides = st.sampled_from([C, S])


# What a tunnel goes on with after the readers had the flow: which side's records still tell how far the handshake came.
@example(
    begun=BEGUN,
    talk=[(C, APPLICATION), (C, HELLO + CHANGE_CIPHER), (S, APPLICATION + CHANGE_CIPHER + APPLICATION), (C, NO_HELLO)],
    size=1 << 20,
    whole=True,
    ended=True,
    seed=None,
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    begun=st.sampled_from([(), ((C, NO_HELLO),), BEGUN, BEGUN]),
    talk=st.lists(st.tuples(sides, st.lists(records, min_size=1, max_size=3).map(b"".join)), max_size=8),
    size=st.sampled_from([1 << 20, 1460, 250, 104]),
    whole=st.booleans(),
    ended=st.booleans(),
    seed=st.sampled_from([None, None, *range(40)]),
)
def test_what_the_kernel_takes_makes_no_difference(
    begun: tuple[tuple[int, bytes], ...], talk: list[tuple[int, bytes]], size: int, whole: bool, ended: bool, seed: int | None
) -> None:
    conversation = wire.Conversation()
    if whole:
        conversation.open()
    for side, data in [*begun, *talk]:
        conversation.send(side, data, size=size)
    if ended:
        conversation.fin(S).fin(C)
    capture = conversation.pcap() if seed is None else mutated(conversation.pcap(), seed)
    taken = found(capture)
    with patch("wsaudit.engine.Kinds", return_value=None):
        assert found(capture) == taken
