from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.gate.chance import chi_square, fisher, holm, two_by_two


def exact(a, of_a, b, of_b):
    """The definition, in whole numbers."""
    hits = a + b
    ways = {k: math.comb(of_a, k) * math.comb(of_b, hits - k) for k in range(max(0, hits - of_b), min(hits, of_a) + 1)}
    return float(Fraction(sum(each for each in ways.values() if each <= ways[a]), math.comb(of_a + of_b, hits)))


def test_the_lady_tasting_tea():
    assert fisher(3, 4, 1, 4) == pytest.approx(34 / 70)
    assert fisher(4, 4, 0, 4) == pytest.approx(2 / 70)


@given(st.integers(0, 60), st.integers(0, 60), st.data())
def test_it_is_the_definition(of_a, of_b, data):
    a, b = data.draw(st.integers(0, of_a)), data.draw(st.integers(0, of_b))
    assert fisher(a, of_a, b, of_b) == pytest.approx(exact(a, of_a, b, of_b), rel=1e-9)


@pytest.mark.parametrize("table", [(0, 0, 0, 0), (0, 5, 0, 9), (5, 5, 9, 9), (0, 0, 3, 9)])
def test_nothing_to_compare_is_chance(table):
    assert fisher(*table) == pytest.approx(1)
    assert chi_square(*table) == 1


def test_large_tables_agree_with_the_exact_test():
    assert chi_square(5100, 100_000, 4900, 100_000) == pytest.approx(fisher(5100, 100_000, 4900, 100_000), rel=0.01)
    assert two_by_two(5100, 200_000, 4900, 200_000) == chi_square(5100, 200_000, 4900, 200_000)


def test_shares_above_one_are_refused():
    with pytest.raises(ValueError, match="no shares"):
        two_by_two(5, 4, 0, 4)


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.9]) == [1, 1]
    assert holm([]) == []
