"""Who is compared with whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from termination.crowds import SERVERS, START, connection, dropped, given_up, goodbye, incidents

from wsaudit.model import CLIENT, SECOND, SERVER
from wsaudit.termination import clusters
from wsaudit.termination.clusters import (
    Ended,
    Neighbours,
    Population,
    bursts,
    end_time,
    explain,
    grew_equally_old,
    name_of,
)

TIMES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted), max_size=20)


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def ends(*rows: object) -> list[Ended]:
    return [Ended(number, row, end_time(row)) for number, row in enumerate(rows, 1)]  # type: ignore[arg-type]


@given(TIMES, st.sets(st.integers(0, 19)))
def test_the_oldest_that_is_open_is_found_at_every_time(spans: list[list[int]], besides: set[int]) -> None:
    near = Neighbours([connection(start, end) for start, end in spans])
    for number, row in enumerate(near.rows):
        row.first_packet = number
    for time in range(21):
        stayed = [row.started for row in near.rows if row.started <= at(time) < end_time(row) and row.first_packet not in besides]
        assert near.oldest_open(at(time), besides) == min(stayed, default=None)


@given(TIMES)
def test_open_at(spans: list[list[int]]) -> None:
    near = Neighbours([connection(start, end) for start, end in spans])
    for time in range(21):
        assert near.open_at(at(time)) == sum(start <= time <= end for start, end in spans)


def test_probable_connections_are_compared_only_while_they_are_open() -> None:
    rows = [connection(0, 1), connection(0, 2), connection(0, 9, kind="ongoing")]
    for row in rows[1:]:
        row.probable = True
    assert Population(rows).rows == [rows[0], rows[2]]


def test_neighbours_by_server_and_by_host() -> None:
    population = Population([connection(0, 1, server=0, host=1), connection(0, 1, server=1, host=1)])
    assert [len(each.rows) for each in population.servers.values()] == [1, 1]
    assert [len(each.rows) for each in population.hosts.values()] == [2]


def test_natural_ends_are_no_part_of_an_incident() -> None:
    natural = [connection(0, 1, initiator=CLIENT, code=1001), connection(0, 1, initiator=SERVER, code=1000)]
    others = [goodbye(0, 1), goodbye(0, 1, code=1012), dropped(0, 1), given_up(0, 1)]
    population = Population([*natural, *others])
    assert population.closed_by_clients == natural[:1]
    assert population.around_servers[SERVERS[0]].natural == sorted(end_time(row) for row in natural)


def test_those_that_ended_alike_are_together() -> None:
    rows = [connection(i, i + 1) for i in range(4)]
    rows[2].termination = rows[0].termination
    assert [members for _, members in Population(rows).alike] == [[rows[0], rows[2]], [rows[1]], [rows[3]]]


def test_equal_ages_prove_no_event() -> None:
    together = ends(*(dropped(i / 1000, 5 + i / 1000) for i in range(9)))
    assert grew_equally_old(together)
    apart = ends(*(dropped(i, 50 + i / 1000) for i in range(9)))
    assert not grew_equally_old(apart)
    for members, found in ((together, []), (apart, [apart])):
        near = Population([connection(0, 100)]).around_servers[SERVERS[0]]
        assert list(bursts(members, near, SECOND, 3, 1)) == found


def test_explaining_keeps_what_was_thought_before() -> None:
    row = dropped(0, 1)
    explain(Ended(1, row, end_time(row)), "restart", 0.9, "one of many", (("going-away", 0.3),))
    found = row.termination
    assert (found.cause, found.confidence, found.evidence) == ("restart", 0.9, ("one of many",))
    assert found.alternatives == (("abrupt-exit", 0.4), ("going-away", 0.3))
    assert found.confirm


def test_names() -> None:
    assert name_of((bytes([10, 0, 0, 1]), 80)) == "10.0.0.1:80"
    assert name_of((b"\0" * 15 + b"\1", 443)) == "[::1]:443"


def test_a_sample_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for servers of which it has nothing."""
    monkeypatch.setattr(clusters, "SAMPLE", 7)
    rows = [connection(i / 10, 40 + i / 10, server=i % 2) for i in range(400)]
    killed = [dropped(10 + i, 60 + i / 10_000, server=3) for i in range(12)]
    (found,) = incidents([*rows, *killed])
    assert found["kind"] == "mass-abrupt-end"
    assert found["rows"] == killed
