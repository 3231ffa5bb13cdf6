"""The geometry of the HTML report's drawings: numbers in, percentages and pixels out.

Horizontal positions are percentages, so that a drawing fills a wide screen and a narrow one without distorting its text; vertical
ones are pixels.
"""

from __future__ import annotations

import datetime
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

SECOND = 10**9
LAST_SECOND = 253_402_300_799
"""The end of the year 9999: a capture's times are 64-bit numbers, a calendar's are not."""
ORDERLY = ("closed",)
DISORDERLY = ("dropped", "close-unanswered", "failed", "refused", "unknown")
STEPS = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14400,
    21600,
    43200,
    86400,
    2 * 86400,
    7 * 86400,
    30 * 86400,
)


@dataclass(frozen=True)
class End:
    """One connection on the time axis, in nanoseconds; `ended` is None while it is open."""

    id: int
    client: str
    port: int
    kind: str
    started: int
    ended: int | None
    abnormal: bool


@dataclass(frozen=True)
class Tick:
    """A label on the time axis."""

    x: float
    label: str


@dataclass(frozen=True)
class Block:
    """One coloured part of a column: x and width in percent, y and height in pixels."""

    kind: str
    x: float
    width: float
    y: float
    height: float
    count: int


@dataclass(frozen=True)
class Band:
    """A stretch of the time axis."""

    x: float
    width: float
    label: str


@dataclass
class Timeline:
    """Ends over time: disorderly ones grow upwards from the axis, orderly ones downwards, each half on its own scale."""

    start: int
    end: int
    columns: int
    up: int
    down: int
    blocks: list[Block] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)
    most_up: int = 0
    most_down: int = 0


def timeline(
    ends: Sequence[End],
    start: int,
    end: int,
    bursts: Sequence[tuple[int, int]] = (),
    columns: int = 120,
    up: int = 96,
    down: int = 44,
) -> Timeline:
    """The timeline of `ends` between two times in ns, with a band for each burst (from, to); heights in pixels."""
    span = max(end - start, 1)
    result = Timeline(start, end, columns, up, down, ticks=time_ticks(start, end))
    bins: dict[int, Counter[str]] = defaultdict(Counter)
    for one in ends:
        if one.ended is not None:
            bins[min(max((one.ended - start) * columns // span, 0), columns - 1)][one.kind] += 1
    heights_up = {number: sum(found[kind] for kind in DISORDERLY) for number, found in bins.items()}
    heights_down = {number: sum(found[kind] for kind in ORDERLY) for number, found in bins.items()}
    result.most_up, result.most_down = max(heights_up.values(), default=0), max(heights_down.values(), default=0)
    width = 100 / columns
    for number in sorted(bins):
        for kinds, most, size, direction in ((DISORDERLY, result.most_up, up, -1), (ORDERLY, result.most_down, down, 1)):
            edge = 0.0
            for kind in kinds:
                count = bins[number][kind]
                if count:
                    height = max(size * count / most, 1.5)
                    y = up - edge - height if direction < 0 else up + edge
                    result.blocks.append(
                        Block(kind, round(number * width, 3), round(width * 0.86, 3), round(y, 1), round(height, 1), count)
                    )
                    edge += height
    for number, (first, last) in enumerate(bursts, 1):
        x = min(max(100 * (first - start) / span, 0), 100)
        result.bands.append(Band(round(x, 3), round(max(100 * (last - first) / span, 0.4), 3), str(number)))
    return result


def time_ticks(start: int, end: int, most: int = 7) -> list[Tick]:
    """Labels at round times between `start` and `end`, `most` at the utmost."""
    span = max(end - start, 1)
    step = next((s for s in STEPS if span / (s * SECOND) <= most), span / SECOND / most)
    size = max(int(step * SECOND), 1)
    ticks = []
    for time in range(-(-start // size) * size, end + 1, size):
        whole = datetime.datetime.fromtimestamp(min(time // SECOND, LAST_SECOND), datetime.UTC)
        if step >= 86400:
            label = f"{whole:%d %b}"
        elif step < 1:
            label = f"{whole:%H:%M:%S}.{time % SECOND // 10**6:03d}"
        else:
            label = f"{whole:%H:%M:%S}" if step % 60 else f"{whole:%H:%M}"
        ticks.append(Tick(round(100 * (time - start) / span, 3), label))
    return ticks


def biggest_burst(ends: Sequence[End], window: int = SECOND, least: int = 3) -> tuple[int, int] | None:
    """The `window` in which most connections ended abnormally, as (first end, last end); None when there were fewer than
    `least`."""
    times = sorted(one.ended for one in ends if one.abnormal and one.ended is not None)
    best, found = least - 1, None
    for first, time in enumerate(times):
        after = bisect_left(times, time + window, first)
        if after - first > best:
            best, found = after - first, (time, times[after - 1])
    return found


@dataclass(frozen=True)
class Stretch:
    """One connection in a lane; `opens` and `closes` say whether its ends lie within the drawing."""

    id: int
    kind: str
    x1: float
    x2: float
    opens: bool
    closes: bool


@dataclass
class Lane:
    """The connections of one client, one after the other, so that a reconnection is seen as a gap.

    A client with several connections at once has several lanes; all but the first are labelled with their first port.
    """

    client: str
    label: str
    stretches: list[Stretch] = field(default_factory=list)
    until: int = 0


@dataclass
class Lanes:
    """The lanes around a burst."""

    start: int
    end: int
    lanes: list[Lane]
    ticks: list[Tick]
    band: Band
    left_out: int


def lanes(ends: Sequence[End], burst: tuple[int, int], members: Sequence[int] = (), most: int = 40) -> Lanes:
    """Connections as lanes around `burst` (from, to): those in `members` first, then whoever was open or opened then."""
    first, last = burst
    span = last - first
    start, end = first - max(4 * SECOND, span // 2), last + max(8 * SECOND, span)
    chosen = set(members)
    near = [one for one in ends if one.started < end and (one.ended is None or one.ended > start)]
    clients = {one.client for one in near if one.id in chosen} or {
        one.client for one in near if one.ended and first <= one.ended <= last
    }
    near.sort(key=lambda one: (one.client not in clients, one.started, one.id))
    found: list[Lane] = []
    by_client: dict[str, list[Lane]] = defaultdict(list)
    left_out = 0
    for one in near:
        lane = next((lane for lane in by_client[one.client] if lane.until <= one.started), None)
        if lane is None:
            if len(found) >= most:
                left_out += 1
                continue
            lane = Lane(one.client, one.client if not by_client[one.client] else f":{one.port}")
            found.append(lane)
            by_client[one.client].append(lane)
        ended = end if one.ended is None else one.ended
        lane.until = ended
        x1, x2 = (round(100 * (min(max(time, start), end) - start) / (end - start), 3) for time in (one.started, ended))
        lane.stretches.append(Stretch(one.id, one.kind, x1, x2, one.started >= start, one.ended is not None and ended <= end))
    band = Band(round(100 * (first - start) / (end - start), 3), round(max(100 * span / (end - start), 0.3), 3), "")
    return Lanes(start, end, found, time_ticks(start, end), band, left_out)
