"""Is a difference more than chance? Fisher's exact test, and Holm's correction for asking many times. Pure Python.

Two recordings of the same system never show the same counts. With small numbers, which recordings of test suites have, only
an exact test is honest; above `LARGE` it and the chi-square test agree to more digits than anybody prints, and the latter
does not sum over thousands of tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

SURE = 0.05
"""Below this probability a difference is called more than chance."""

LARGE = 200_000
"""Observations in a table from which the chi-square test is used."""

SLACK = 1e-7
"""Tables as probable as the observed one count as extreme; the relative tolerance absorbs the rounding of lgamma."""


def two_by_two(a: int, of_a: int, b: int, of_b: int) -> float:
    """The probability that two samples from one population differ at least as much as `a` of `of_a` and `b` of `of_b` do
    (two-sided)."""
    if not 0 <= a <= of_a or not 0 <= b <= of_b:
        raise ValueError(f"{a} of {of_a} and {b} of {of_b} are no shares")
    if of_a + of_b > LARGE:
        return chi_square(a, of_a, b, of_b)
    return fisher(a, of_a, b, of_b)


def fisher(a: int, of_a: int, b: int, of_b: int) -> float:
    """Fisher's exact test: the sum over all tables with these margins that are at most as probable as the observed one."""
    hits, total = a + b, of_a + of_b
    low, high = max(0, hits - of_b), min(hits, of_a)
    whole = log_choose(total, hits)
    logs = [log_choose(of_a, k) + log_choose(of_b, hits - k) - whole for k in range(low, high + 1)]
    limit = logs[a - low] + SLACK
    return min(1.0, math.fsum(math.exp(each) for each in logs if each <= limit))


def chi_square(a: int, of_a: int, b: int, of_b: int) -> float:
    """Pearson's test with one degree of freedom and Yates's correction; 1.0 when a margin is empty."""
    hits, total = a + b, of_a + of_b
    misses = total - hits
    if not (of_a and of_b and hits and misses):
        return 1.0
    distance = max(0.0, abs(a * (of_b - b) - b * (of_a - a)) - total / 2)
    statistic = total * distance**2 / (of_a * of_b * hits * misses)
    return math.erfc(math.sqrt(statistic / 2))


def log_choose(n: int, k: int) -> float:
    """The logarithm of a binomial coefficient."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def holm(probabilities: Sequence[float]) -> list[float]:
    """Each probability corrected for the number of questions, in the given order (Holm 1979): twenty comparisons of nothing
    otherwise find something."""
    order = sorted(range(len(probabilities)), key=probabilities.__getitem__)
    corrected = [0.0] * len(probabilities)
    worst = 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * probabilities[index]))
        corrected[index] = worst
    return corrected
