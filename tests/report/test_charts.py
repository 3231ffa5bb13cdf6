from hypothesis import given
from hypothesis import strategies as st

from wsaudit.report.charts import SECOND, End, biggest_burst, lanes, time_ticks, timeline

T0 = 1_772_373_667 * SECOND


def end(number: int, started: float, ended: float | None, kind: str = "dropped", client: str = "") -> End:
    at = None if ended is None else T0 + round(ended * SECOND)
    return End(number, client or f"10.0.0.{number}", 40000 + number, kind, T0 + round(started * SECOND), at, kind == "dropped")


def test_disorderly_ends_grow_up_and_orderly_ones_down() -> None:
    ends = [end(1, 0, 5), end(2, 0, 5), end(3, 0, 5, "refused"), end(4, 0, 5, "closed"), end(5, 0, None, "ongoing")]
    drawn = timeline(ends, T0, T0 + 10 * SECOND, columns=10, up=90, down=40)
    assert [(block.kind, block.count, block.x) for block in drawn.blocks] == [
        ("dropped", 2, 50.0),
        ("refused", 1, 50.0),
        ("closed", 1, 50.0),
    ]
    dropped, refused, closed = drawn.blocks
    assert (dropped.y, dropped.height) == (30, 60)
    assert (refused.y, refused.height) == (0, 30)
    assert (closed.y, closed.height) == (90, 40)
    assert (drawn.most_up, drawn.most_down) == (3, 1)


def test_a_burst_is_marked() -> None:
    (band,) = timeline([end(1, 0, 5)], T0, T0 + 10 * SECOND, [(T0 + 5 * SECOND, T0 + 6 * SECOND)]).bands
    assert (band.x, band.width, band.label) == (50.0, 10.0, "1")


@given(st.lists(st.tuples(st.floats(-5, 20), st.floats(0, 20)), max_size=30), st.integers(0, 10**12))
def test_everything_drawn_lies_within_the_drawing(times: list[tuple[float, float]], span: int) -> None:
    drawn = timeline([end(number, a, a + b) for number, (a, b) in enumerate(times)], T0, T0 + span)
    for block in drawn.blocks:
        assert 0 <= block.x <= 100
        assert -0.11 <= block.y <= drawn.up + drawn.down
    assert sum(block.count for block in drawn.blocks) == len(times)


@given(st.integers(0, 4 * 10**18), st.integers(0, 10**17))
def test_ticks_are_few_and_in_order(start: int, span: int) -> None:
    ticks = time_ticks(start, start + span)
    assert len(ticks) <= 9
    assert [tick.x for tick in ticks] == sorted(tick.x for tick in ticks)
    assert all(0 <= tick.x <= 100 for tick in ticks)


def test_ticks_are_round() -> None:
    assert [tick.label for tick in time_ticks(T0, T0 + 300 * SECOND)] == ["14:02", "14:03", "14:04", "14:05", "14:06"]
    assert time_ticks(T0, T0 + SECOND // 2)[1].label == "14:01:07.100"
    assert time_ticks(T0, T0 + 4 * 86400 * SECOND)[0].label == "02 Mar"


def test_biggest_burst() -> None:
    ends = [end(1, 0, 1), end(2, 0, 5.0), end(3, 0, 5.1), end(4, 0, 5.2), end(5, 0, 9), end(6, 0, 9.1, "closed")]
    assert biggest_burst(ends) == (T0 + 5 * SECOND, T0 + 5 * SECOND + 200_000_000)
    assert biggest_burst(ends[:3]) is None
    assert biggest_burst([]) is None


def test_a_client_that_comes_back_stays_in_its_lane() -> None:
    ends = [
        end(1, 0, 20, client="a"),
        end(2, 0, 20, client="b"),
        end(3, 21, 50, "closed", client="a"),
        end(4, 10, 22, client="b"),
    ]
    drawn = lanes(ends, (T0 + 20 * SECOND, T0 + 20 * SECOND), [1, 2])
    assert [(lane.client, [one.id for one in lane.stretches]) for lane in drawn.lanes] == [("a", [1, 3]), ("b", [2]), ("b", [4])]
    assert [lane.label for lane in drawn.lanes] == ["a", "b", ":40004"]
    first, again = drawn.lanes[0].stretches
    assert (first.opens, first.closes, again.opens, again.closes) == (False, True, True, False)
    assert first.x2 == drawn.band.x < again.x1


def test_lanes_are_few_and_say_how_many_are_missing() -> None:
    drawn = lanes([end(number, 0, 20) for number in range(100)], (T0 + 20 * SECOND, T0 + 20 * SECOND), most=40)
    assert (len(drawn.lanes), drawn.left_out) == (40, 60)


def test_connections_elsewhere_in_time_are_not_drawn() -> None:
    assert [
        lane.client
        for lane in lanes([end(1, 0, 1, client="a"), end(2, 15, 20, client="b")], (T0 + 20 * SECOND, T0 + 20 * SECOND)).lanes
    ] == ["b"]
