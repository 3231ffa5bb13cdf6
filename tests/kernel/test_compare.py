"""The walks over all connections of a report, in both forms of the kernel."""

from __future__ import annotations

import random
from struct import pack
from types import SimpleNamespace
from typing import Any

import pytest

from wsaudit.model import SERVER, Close, Reported, Termination

SERVERS = [(b"\n\0\0\1", 80), (b"\n\0\0\1", 81)]
HOSTS = [b"\n\0\1\1", b"\n\0\1\2"]
NOW = 1_700_000_000_000_000_000


@pytest.fixture(params=["pure_kernel", "compiled_kernel"])
def kernel(request: pytest.FixtureRequest) -> SimpleNamespace:
    found: SimpleNamespace = request.getfixturevalue(request.param)
    return found


def row(
    kernel: SimpleNamespace, packet: int = 1, start: int = 0, end: int = 0, server: int = 0, host: int = 0, **more: Any
) -> Any:
    return kernel.connection.Connection(packet, NOW + start, NOW + end, (HOSTS[host], 4000), SERVERS[server], b"", **more)


def test_ids_begin_with_1(kernel: SimpleNamespace) -> None:
    rows = [row(kernel), row(kernel), row(kernel)]
    assert rows[0].number == 0
    assert list(kernel.compare.number(rows)) == [1, 1, 1]
    assert [each.number for each in rows] == [1, 2, 3]
    assert list(kernel.compare.number([row(kernel, 7), row(kernel, 9)])) == [7, 9]
    assert list(kernel.compare.number([])) == []


def test_in_order_of_first_packets(kernel: SimpleNamespace) -> None:
    rows = [row(kernel, packet) for packet in (7, 3, 1 << 40 | 2, 7, 1)]
    assert [rows.index(each) for each in kernel.compare.by_first_packet(rows)] == [4, 1, 0, 0, 2]
    assert kernel.compare.by_first_packet(rows)[3] is rows[3]
    assert kernel.compare.by_first_packet([]) == []


def test_in_order_of_start(kernel: SimpleNamespace) -> None:
    rows = [row(kernel, start=start) for start in (0, 5, 5, 9)]
    assert kernel.compare.in_order_of_start(rows)
    assert not kernel.compare.in_order_of_start(rows[::-1])
    assert kernel.compare.in_order_of_start([])


def test_alike_by_the_object_that_tells_how_they_ended(kernel: SimpleNamespace) -> None:
    closed, dropped, ongoing = Termination("closed"), Termination("dropped"), Termination("ongoing")
    ends = [dropped, closed, dropped, ongoing, Termination("closed"), closed]
    rows = [row(kernel, i, termination=end, probable=i in (3, 5)) for i, end in enumerate(ends)]
    found, others = kernel.compare.alike(rows)
    assert [[each.first_packet for each in members] for _, members in found] == [[0, 2], [1], [3], [4]]
    assert found[0][0] is dropped
    assert others == [rows[5]]  # nobody knows whether it was a WebSocket, and it is over


def test_kinds_are_by_what_is_counted(kernel: SimpleNamespace) -> None:
    told = Reported(1000, True, True), Reported(1006, False, True)
    ends = [Termination("closed", evidence=(fact,), reported=told) for fact in "aab"]
    rows = [row(kernel, termination=end) for end in ends] + [row(kernel, termination=ends[0])]
    assert kernel.compare.kinds(rows) == [(rows[0], 4)]
    others: list[dict[str, Any]] = [
        {"outcome": "refused"}, {"complete": False}, {"probable": True}, {"close": (None, "x")},
        {"termination": ends[0]._replace(kind="dropped")}, {"termination": ends[0]._replace(cause="normal")},
        {"termination": ends[0]._replace(reported=told[::-1])},
    ]  # fmt: skip
    rows += [row(kernel, **{"termination": ends[0], **other}) for other in others]
    assert [times for _, times in kernel.compare.kinds(rows)] == [4, *[1] * len(others)]


def test_groups(kernel: SimpleNamespace) -> None:
    compare = kernel.compare
    rows = [row(kernel, server=s, host=h, user_agent=agent) for s in (0, 1) for h in (0, 1) for agent in (None, "a")]
    again = row(kernel, user_agent="a")
    assert compare.by_client([*rows, again]) == [[rows[0]], [rows[1], again], *[[each] for each in rows[2:]]]
    assert compare.by_server(rows) == {SERVERS[0]: rows[:4], SERVERS[1]: rows[4:]}
    assert compare.by_client_host(rows) == {HOSTS[0]: rows[:2] + rows[4:6], HOSTS[1]: rows[2:4] + rows[6:]}


def test_paths_without_their_queries(kernel: SimpleNamespace) -> None:
    rows = [row(kernel, target=target) for target in ("/a?1", "/b", "/a", None, "/a?x?y")]
    rows.append(row(kernel, target="/a", probable=True))
    assert kernel.compare.by_path(rows) == [[rows[0], rows[2], rows[4]], [rows[1]]]


def test_filters(kernel: SimpleNamespace) -> None:
    compare = kernel.compare
    rows = [row(kernel), row(kernel, probable=True), row(kernel, transport="tls", tls=("1.3",)), row(kernel, packed_keys=b"1234")]
    assert compare.without_tls(rows) == [rows[0], rows[3]]
    assert compare.with_tls(rows) == [rows[2]]
    assert compare.with_mask_keys(rows) == [rows[3]]


def test_closes_by_code(kernel: SimpleNamespace) -> None:
    said = [(None, Close(1001, b"", False)), (Close(1001, b"", False), None), (None, None), (None, Close(1012, b"", False))]
    rows = [row(kernel, close=close) for close in said]
    assert kernel.compare.that_said(rows, SERVER, (1001, 1012)) == [rows[0], rows[3]]


def test_besides(kernel: SimpleNamespace) -> None:
    rows = [row(kernel, packet) for packet in (1, 2, 3)]
    kernel.compare.number(rows)
    assert kernel.compare.besides(rows, {2, 9}) == [rows[0], rows[2]]


def test_times(kernel: SimpleNamespace) -> None:
    compare = kernel.compare
    rows = [row(kernel, 1, 5, 10), row(kernel, 2, 2, 30, end_time=NOW + 4), row(kernel, 3, 9, 20)]
    compare.number(rows)
    assert compare.end_times(rows) == [NOW + 10, NOW + 4, NOW + 20]
    assert compare.ages(rows, 5) == [(5, 1, rows[0]), (11, 3, rows[2])]
    assert compare.span(rows) == (NOW + 2, NOW + 30)
    assert compare.heard_of_after(rows, NOW + 20) == [(NOW + 2, NOW + 30), (NOW + 9, NOW + 20)]


def test_keys_that_come_again(kernel: SimpleNamespace) -> None:
    compare = kernel.compare
    numbers = [0, 7, 0xFFFFFFFF, 7, 1 << 12, 0, 0]
    rows = [row(kernel, packed_keys=pack("<3I", *numbers[:3])), row(kernel), row(kernel, packed_keys=pack("<4I", *numbers[3:]))]
    packed = compare.mask_keys(rows)
    assert packed == pack("<7I", *numbers)
    assert compare.count_repeats(packed) == 3
    assert compare.count_repeats(b"") == 0


@pytest.mark.parametrize("count", [10, 20_000, 1 << 18])
def test_repeats_among_any_number_of_keys_are_counted(kernel: SimpleNamespace, count: int) -> None:
    chance = random.Random(count)
    for keys in (
        [chance.getrandbits(32) for _ in range(count)],
        [chance.randrange(count) for _ in range(count)],
        [0xFFFFFFFF - 3 * i for i in range(count)],
        [0x80000001, 0xFFFFFFFF] * (count // 2),  # as signed numbers, all negative
    ):
        assert kernel.compare.count_repeats(pack(f"<{count}I", *keys)) == count - len(set(keys))


def test_those_whose_keys_may_count(kernel: SimpleNamespace) -> None:
    rows = [row(kernel, packed_keys=pack("<3I", *keys)) for keys in ((1, 2, 3), (1, 99, 3 << 20))]
    assert kernel.compare.that_may_count(rows) == [rows[0]]


def test_keys_of_two(kernel: SimpleNamespace) -> None:
    keys = [*map(str, range(1000)), None]
    assert not kernel.compare.may_share_keys([row(kernel, key=key) for key in keys])
    for again in ("0", "999", None):
        assert kernel.compare.may_share_keys([row(kernel, key=key) for key in [*keys, again]])
    assert not kernel.compare.may_share_keys([])


def test_first_and_last(kernel: SimpleNamespace) -> None:
    rows = [row(kernel, packet) for packet in (5, 3, 9, 3, 9)]
    first, last = kernel.compare.first_and_last(rows)
    assert (first is rows[1], last is rows[2]) == (True, True)


def test_handshakes_at_once(kernel: SimpleNamespace) -> None:
    waits = ((0, 10), (5, 1), (9, 0), (9, None), (10, 3), (12, 1))
    rows = [row(kernel, start=start, latency=latency) for start, latency in waits]
    assert kernel.compare.at_once(rows) == [rows[1], rows[2], rows[5]]


def test_successions(kernel: SimpleNamespace) -> None:
    rows = [row(kernel, i, *span) for i, span in enumerate([(0, 9), (2, 3), (4, 5), (9, 10), (10, 20), (21, 22), (23, 24)])]
    found = [(before.first_packet, after.first_packet) for before, after in kernel.compare.successions(rows)]
    assert found == [(4, 5), (5, 6)]  # 0 was open around 1 and 2; 4 began in the instant in which 3 ended


def test_agents(kernel: SimpleNamespace) -> None:
    rows = [row(kernel, user_agent=agent, outcome="accepted") for agent in ("a", "b", "a", None, "")]
    rows.append(row(kernel, user_agent="a", outcome="refused"))
    assert kernel.compare.agents_accepted(rows) == {"a": 2, "b": 1}
