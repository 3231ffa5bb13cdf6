"""Whether values lie so close together by chance: the one place that decides what stands out.

Hundreds of connections end at random moments, some of them within the same second. Only a run that chance hardly makes may be
called an event, so each run is weighed against the hypothesis that its values have nothing to do with one another:

* How dense chance would be at a place is a `Background`: as dense as comparable values that are nobody's suspects, and never less
  dense than values that lie evenly over the whole range.
* Candidates are runs that are denser than DENSER times the average, by the likelihood ratio of each step (CUSUM), and in them
  those that are denser than DENSER^2, DENSER^3... times, where that makes them far less likely to be chance.
* The chance that a value has k - 1 of the n - 1 others within the share p of the background behind it is a binomial tail, of
  which the Chernoff bound is taken. Runs of any size may begin at any value, so it counts n times, and k (k - 1) times: the
  inverses of these add up to one over all sizes. Several groups are looked at, so it counts `looks` times. The product is how
  many such runs a capture shows by chance. It has to stay below RARE: a wrong one in ten thousand captures.
* When the run is all that there is (k = n), it was not chosen among others: n p^(n-1), the chance that all of them fall within
  any such share. Two of two cannot be as rare as that in a short recording. PAIR lets them pass, to whom asks for pairs because
  something else speaks for it as well: both legs of the proxy ended, both silences were as long.
* A run is at least DENSER times as dense as the average. Where the AROUND widths before and behind it are denser than the
  background, their density takes its place.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from math import inf, log

Part = tuple[int, int]  # from, and up to without, as in a slice

RARE = 0.0001  # runs that chance may be expected to make in one capture
PAIR = 0.05  # of two that are all there is
DENSER = 5  # times the average
SHARPER = 10  # the logarithm of how much less likely the core of a run must be to stand for it
SHARPEST = 8  # the highest power of DENSER: 400,000 times the average
BLOCK = 5  # values of others, between which their density is taken as constant
AROUND = 10  # widths on either side of a run


class Background:
    """How values would lie by chance: like `others` (sorted), or evenly from `low` to `high`, whichever is denser at the place.

    `others` are taken as evenly spread between every BLOCK of them, which smooths what is chance in them. `grain` is the
    difference that means nothing: no run is narrower.
    """

    def __init__(self, others: Sequence[float], low: float, high: float, grain: float) -> None:
        self.low = low
        self.width = max(high - low, grain)
        self.grain = grain
        blocks = max(len(others) // BLOCK, 1)
        self.knots = [low, *(others[i * len(others) // blocks] for i in range(1, blocks)), low + self.width]

    def even(self, value: float) -> float:
        """The share up to `value` if values lay evenly."""
        return (value - self.low) / self.width

    def alike(self, value: float) -> float:
        """The share up to `value` if they lay like the others."""
        knots = self.knots
        i = min(max(bisect_right(knots, value) - 1, 0), len(knots) - 2)
        step = knots[i + 1] - knots[i]
        return (i + (value - knots[i]) / step if step else i + 1) / (len(knots) - 1)

    def place(self, value: float) -> float:
        """A measure of length in which chance puts values evenly from 0 to 1."""
        return (self.even(value) + self.alike(value)) / 2

    def share(self, first: float, last: float) -> float:
        """The share that chance puts from `first` to `last`."""
        last += self.grain
        return min(max(self.even(last) - self.even(first), self.alike(last) - self.alike(first)), 1.0)


def runs(
    values: Sequence[float], background: Background, gap: float, least: int, looks: float = 1, total: int | None = None
) -> Iterator[Part]:
    """Parts of sorted `values` that stand out: at least `least` of them, each within `gap` of the one before.

    `looks`: how many groups of values are asked about, this one included; fewer where something else has to be true of a run as
    well, which chance seldom makes so. `total`: how many values there are, when only those are given among which a run would
    matter.
    """
    if len(values) < least:
        return
    scan = Scan(values, background, gap, total or len(values))
    for whole in scan.dense(DENSER, (0, len(values))):
        if whole[1] - whole[0] >= least:
            for part in scan.sharpest(whole):
                if part[1] - part[0] >= least and scan.stands_out(part, looks):
                    yield part


class Scan:
    """Sorted values on their background."""

    def __init__(self, values: Sequence[float], background: Background, gap: float, total: int) -> None:
        self.values = values
        self.places = [background.place(value) for value in values]
        self.background = background
        self.gap = gap
        self.total = total

    def dense(self, ratio: float, part: Part) -> Iterator[Part]:
        """Parts of a part that are more likely when values come `ratio` times as often as on average than when they do not."""
        gain, cost = log(ratio), (ratio - 1) * self.total
        score = best = 0.0
        start = last = part[0]
        for i in range(part[0] + 1, part[1]):
            score += gain - cost * (self.places[i] - self.places[i - 1])
            if score <= 0 or self.values[i] - self.values[i - 1] > self.gap:
                if last > start:
                    yield start, last + 1
                score = best = 0.0
                start = last = i
            elif score >= best:
                best, last = score, i
        if last > start:
            yield start, last + 1

    def sharpest(self, whole: Part) -> list[Part]:
        """What stands for a dense part: itself, or denser parts of it where they are much less likely to be chance."""
        best, least = [whole], self.log_expected(whole)
        for power in range(2, SHARPEST + 1):
            parts = list(self.dense(DENSER**power, whole))
            now = min(map(self.log_expected, parts), default=inf)
            if now < least - SHARPER:
                best, least = parts, now
        return best

    def log_expected(self, part: Part) -> float:
        share = self.background.share(self.values[part[0]], self.values[part[1] - 1])
        return log_expected(part[1] - part[0], self.total, share)

    def stands_out(self, part: Part, looks: float) -> bool:
        first, last, count = self.values[part[0]], self.values[part[1] - 1], part[1] - part[0]
        reach = AROUND * (last - first + self.background.grain)
        around = bisect_right(self.values, last + reach) - bisect_left(self.values, first - reach) - count
        share = max(self.background.share(first, last), around / (2 * AROUND * self.total))
        return is_rare(count, self.total, share, looks)


def is_rare(count: int, total: int, share: float, looks: float = 1) -> bool:
    """Are `count` of `total` values within a `share` of the background too many for chance?"""
    if count < DENSER * share * total:
        return False
    return log_expected(count, total, share) + log(looks) < log(PAIR if count == total == 2 else RARE)


def log_expected(count: int, total: int, share: float) -> float:
    """The logarithm of how many runs of `count` of `total` values chance puts within `share`: an upper bound."""
    if count == total:
        return log(total) + (total - 1) * log(share)
    return log(total * count * (count - 1)) + log_tail(count - 1, total - 1, share)


def log_tail(count: int, total: int, share: float) -> float:
    """The logarithm of an upper bound (Chernoff) for the chance that at least `count` of `total` fall into `share`."""
    part = count / total
    if part <= share:
        return 0.0
    if part >= 1:
        return total * log(share)
    return -total * (part * log(part / share) + (1 - part) * log((1 - part) / (1 - share)))
