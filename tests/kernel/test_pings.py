"""Pings and Pongs: whatever the order, each Ping is answered, waits or was dropped; both forms of the kernel pair them alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wsaudit.kernel.constants import OUTSTANDING, RTTS
from wsaudit.kernel.pings import Pings
from wsaudit.model import Place

BODIES = st.sampled_from((None, b"", b"a", b"b", b"c"))
Step = tuple[bool, int, bytes | None]
STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from((0, 1)), BODIES), max_size=60)
FACTS = (
    *("pings", "pongs", "overflow", "answered", "rtts", "rtt_count", "unsolicited", "first_unsolicited", "mismatched"),
    *("duplicate_pongs", "late_pongs", "superseded", "slowest_pong", "slowest_place", "first_duplicate", "first_late"),
    *("last_answered", "first_ping", "last_ping_time", "last_pong_time", "intervals", "interval_sum", "interval_max"),
    "ping_after_close",
)


def play(kind: Any, steps: list[Step]) -> tuple[Any, Any]:
    """Two sides; step n is packet n at time 10 n: a Ping or a Pong, of which side, its body."""
    sides = (kind(), kind())
    for number, (is_ping, side, body) in enumerate(steps, 1):
        if is_ping:
            sides[side].ping(body, number, number * 10, number * 100, False)
        else:
            sides[side].pong(sides[1 - side], body, number, number * 10, number * 100)
    return sides


@given(STEPS)
def test_no_ping_is_counted_twice_or_forgotten(steps: list[Step]) -> None:
    for side in (sides := play(Pings, steps)):
        assert side.pings == side.answered + len(side.waiting) + side.overflow
        assert side.rtt_count == len(side.rtts) <= side.answered
        assert [ping.packet for ping in side.waiting] == sorted(ping.packet for ping in side.waiting)
    for side, peer in (sides, sides[::-1]):
        assert side.pongs == peer.rtt_count + side.duplicate_pongs + side.late_pongs + side.unsolicited
        assert side.slowest_pong == max(peer.rtts, default=0)


@given(STEPS)
def test_compiled_and_plain_pair_alike(compiled_kernel: SimpleNamespace, pure_kernel: SimpleNamespace, steps: list[Step]) -> None:
    for one, other in zip(play(compiled_kernel.pings.Pings, steps), play(pure_kernel.pings.Pings, steps), strict=True):
        assert [getattr(one, name) for name in FACTS] == [getattr(other, name) for name in FACTS]
        assert [(ping.payload, ping.place) for ping in one.waiting] == [(ping.payload, ping.place) for ping in other.waiting]


def test_what_is_kept_is_bounded() -> None:
    side, peer = Pings(), Pings()
    for number in range(OUTSTANDING + RTTS):
        side.ping(b"%d" % number, number, number, number, False)
    assert (len(side.waiting), side.overflow) == (OUTSTANDING, RTTS)
    peer.pong(side, side.waiting[-1].payload, 1, 10_000, 1)
    assert side.superseded is not None
    assert (len(side.waiting), len(side.superseded), side.answered) == (0, OUTSTANDING - 1, OUTSTANDING)
    for number in range(RTTS + 10):
        side.ping(b"", number, number, number, False)
        peer.pong(side, b"", number, number + 7, number)
    assert (len(side.rtts), side.rtt_count) == (RTTS, RTTS + 11)


def test_a_ping_behind_a_close_has_its_place() -> None:
    side = Pings()
    side.ping(b"", 1, 2, 3, False)
    side.ping(b"", 4, 5, 6, True)
    side.ping(b"", 7, 8, 9, True)
    assert (side.first_ping, side.ping_after_close) == (Place(1, 2, 3), Place(4, 5, 6))
