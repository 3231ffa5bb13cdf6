"""What is no chance: found with its bounds; what is chance: never."""

from __future__ import annotations

import random
from math import comb, exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.termination.chance import Background, is_rare, log_tail, runs

EVEN = Background((), 0.0, 100.0, 0.001)


def scattered(seed: int, count: int, low: float = 0.0, high: float = 100.0) -> list[float]:
    dice = random.Random(seed)
    return sorted(dice.uniform(low, high) for _ in range(count))


@given(st.integers(1, 60), st.integers(0, 60), st.floats(0.001, 0.999))
def test_the_tail_is_an_upper_bound_and_not_a_wild_one(total: int, count: int, share: float) -> None:
    count = min(count, total)
    exact = sum(comb(total, i) * share**i * (1 - share) ** (total - i) for i in range(count, total + 1))
    bound = exp(log_tail(count, total, share))
    assert exact <= bound * 1.000001
    if count > share * total:
        assert bound <= exact * 10 * total


@pytest.mark.parametrize("count", [2, 3, 10, 100, 1000])
@pytest.mark.parametrize("seed", range(20))
def test_scattered_values_have_no_runs(seed: int, count: int) -> None:
    assert list(runs(scattered(seed, count), EVEN, 5.0, 3)) == []


@given(st.lists(st.floats(0, 100), max_size=40).map(sorted), st.floats(0.001, 50), st.integers(2, 5))
def test_runs_are_apart_in_order_and_within_the_gap(values: list[float], gap: float, least: int) -> None:
    end = 0
    for start, stop in runs(values, EVEN, gap, least):
        assert end <= start <= stop - least
        assert stop <= len(values)
        assert all(b - a <= gap for a, b in zip(values[start:stop], values[start + 1 : stop], strict=False))
        end = stop


def test_a_run_among_scattered_values_has_its_bounds() -> None:
    planted = [50 + i / 10_000 for i in range(20)]
    values = sorted(scattered(1, 500) + planted)
    ((start, stop),) = runs(values, EVEN, 5.0, 3)
    assert values[start:stop] == planted


def test_a_long_run_is_not_cut_down_to_its_densest_part() -> None:
    planted = scattered(2, 60, 40.0, 45.0)
    values = sorted(scattered(3, 60, 0.0, 39.0) + planted)
    ((start, stop),) = runs(values, EVEN, 5.0, 3)
    assert values[start:stop] == planted


def test_two_runs_are_two() -> None:
    values = [*(20 + i / 1000 for i in range(8)), *(70 + i / 1000 for i in range(8))]
    assert list(runs(values, EVEN, 5.0, 3)) == [(0, 8), (8, 16)]


def test_equal_values_are_one_run() -> None:
    assert list(runs([30.0] * 9, EVEN, 5.0, 3)) == [(0, 9)]


def test_what_others_do_as_well_is_no_run() -> None:
    values = scattered(4, 30, 90.0, 92.0)
    assert list(runs(values, EVEN, 5.0, 3)) == [(0, 30)]
    assert list(runs(values, Background(scattered(5, 200, 90.0, 92.0), 0.0, 100.0, 0.001), 5.0, 3)) == []


def test_a_few_others_prove_nothing() -> None:
    values = [50 + i / 1000 for i in range(30)]
    assert list(runs(values, Background([50.01, 50.02, 50.03], 0.0, 100.0, 0.001), 5.0, 3)) == [(0, 30)]


@pytest.mark.parametrize("seed", range(20))
def test_a_dense_time_has_no_runs_of_its_own(seed: int) -> None:
    """A rush hour in which the gaps are wider than those of a run."""
    values = sorted([*scattered(seed, 200, 40.0, 60.0), *scattered(seed + 100, 40)])
    assert list(runs(values, EVEN, 0.2, 3)) == []


def test_looking_at_more_groups_needs_more_evidence() -> None:
    assert is_rare(4, 8, 0.002)
    assert not is_rare(4, 8, 0.002, looks=1000)


def test_a_pair_needs_to_be_all_there_is() -> None:
    assert is_rare(2, 2, 0.01)
    assert not is_rare(2, 3, 0.01)
    assert not is_rare(2, 2, 0.04)


def test_a_share_that_is_nearly_everything_is_never_rare() -> None:
    assert not is_rare(1000, 1000, 0.5)
    assert log_tail(10, 10, 1.0) == 0.0
    assert log_tail(10, 10, 0.5) == pytest.approx(10 * log(0.5))


@given(st.lists(st.floats(0, 10), max_size=60).map(sorted), st.floats(0, 10), st.floats(0, 10))
def test_places_rise_and_shares_are_shares(others: list[float], one: float, two: float) -> None:
    background = Background(others, 0.0, 10.0, 0.001)
    low, high = sorted((one, two))
    assert background.place(low) <= background.place(high) + 1e-9
    assert (high - low) / 10 <= background.share(low, high) + 1e-9
    assert 0 < background.share(low, high) <= 1
