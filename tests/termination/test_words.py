"""The sentences of the evidence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from wsaudit.model import BOTH, CLIENT, PACKET_BITS, SERVER, Close
from wsaudit.registry.signatures import CAUSES
from wsaudit.termination.words import CONFIRM, close_fact, end_fact, seconds

PACKET = 3 << PACKET_BITS | 77  # of the fourth input


@pytest.mark.parametrize(
    ("close", "side", "told"),
    [
        (Close(1000, b""), CLIENT, "client sent Close 1000 in packet 77"),
        (Close(None, b""), SERVER, "server sent Close without a code in packet 77"),
        (Close(4001, b"kicked"), SERVER, "server sent Close 4001 'kicked' in packet 77"),
        (Close(1011, b"\xff\n"), CLIENT, r"client sent Close 1011 '\\xff\n' in packet 77"),  # nothing that a terminal would obey
    ],
)
def test_a_close_in_one_sentence(close: Close, side: int, told: str) -> None:
    assert close_fact(close, side, PACKET) == told


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ({"how": "capture-end"}, "the capture ends before the connection does"),
        ({"how": "silent"}, "no packet after number 77, no FIN and no RST"),
        ({"how": "silent", "silent": SERVER}, "server repeated its bytes until packet 77; none were acknowledged"),
        ({"how": "fin", "by": CLIENT}, "client ended TCP first, with FIN in packet 77"),
        (
            {"how": "fin", "by": SERVER, "unseen": True},
            "server ended TCP first, with a FIN that was not captured: packet 77 tells of it",
        ),
        ({"how": "rst", "by": SERVER}, "server ended TCP first, with an RST in packet 77"),
        (
            {"how": "fin", "by": SERVER, "goodbye": SimpleNamespace(side=SERVER, packet=PACKET - 2)},
            "server ended TLS first, with close_notify in packet 75; client ended TCP with FIN in packet 77",
        ),
        ({"how": "rst", "by": BOTH}, "both sides sent an RST without waiting for the other, first in packet 77"),
    ],
)
def test_the_end_of_the_transport_in_one_sentence(end: dict[str, Any], told: str) -> None:
    found: Any = SimpleNamespace(**{"by": None, "silent": None, "goodbye": None, "packet": PACKET, "unseen": False, **end})
    assert end_fact(found) == told


@pytest.mark.parametrize(
    ("ns", "told"),
    [
        (400_000, "0.4 ms"),
        (9_940_000, "9.9 ms"),
        (12_300_000, "12 ms"),
        (1_000_000_000, "1.00 s"),
        (60_004_000_000, "60.00 s"),
        (3_600_400_000_000, "3600 s"),
    ],
)
def test_a_duration_as_people_say_it(ns: int, told: str) -> None:
    assert seconds(ns) == told


def test_every_cause_says_how_to_be_sure() -> None:
    assert set(CONFIRM) == {*CAUSES, "none", "unknown"}
    assert {cause for cause, words in CONFIRM.items() if not words} == {"normal", "none"}
