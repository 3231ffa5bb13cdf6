from __future__ import annotations

import pytest

from tests.gate.fake import BOOK, connection, report
from wsaudit.gate.limits import end_codes, judge_limits
from wsaudit.gate.policy import parse_policy


def judged(connections, **limits):
    issues, notes = judge_limits(report([], connections), parse_policy({"limits": limits}, BOOK))
    return [(each.name, each.connection) for each in issues], notes


def test_no_limit_is_no_issue():
    assert judged([connection(1, code=None)]) == ([], [])


@pytest.mark.parametrize(
    ("limits", "fails"),
    [
        ({"abnormal-rate": 0.5}, []),
        ({"abnormal-rate": 0.49}, [("abnormal-rate", 2)]),
        ({"abnormal-count": 1}, []),
        ({"abnormal-count": 0}, [("abnormal-count", 2)]),
        ({"handshake-latency": 0.5}, []),
        ({"handshake-latency": 0.4}, [("handshake-latency", 1)]),
        ({"ping-rtt": 0.25}, []),
        ({"ping-rtt": 0.2}, [("ping-rtt", 2)]),
        ({"message-size": 100}, []),
        ({"message-size": 99}, [("message-size", 1)]),
        ({"close-code-share": {"1006": 0.5, "1011": 0}}, []),
        ({"close-code-share": {"1006": 0.4, "1000": 0.4}}, [("close-code-share.1000", 1), ("close-code-share.1006", 2)]),
    ],
)
def test_a_limit_may_be_reached_but_not_passed(limits, fails):
    connections = [connection(1, latency=0.5), connection(2, code=None, rtt=0.25)]
    assert judged(connections, **limits) == (fails, [])


def test_the_worst_connection_is_named_and_the_others_counted():
    connections = [connection(1, latency=2), connection(2, latency=3), connection(3, latency=0.1)]
    (issue,) = judge_limits(report([], connections), parse_policy({"limits": {"handshake-latency": 1}}, BOOK))[0]
    assert issue.connection == 2
    assert issue.detail == "the handshake took 3 s, more than 1 (2 connections are over it)"


def test_unmeasured_is_no_pass_in_silence():
    issues, notes = judged([connection(1, largest=None), connection(2, largest=None, texts=1)], **{"message-size": 300})
    assert issues == []
    assert notes == ["message-size was not measured on 1 connection: the report has no largest message"]


def test_probable_and_ongoing_connections_are_not_counted():
    connections = [connection(1, websocket="probable", latency=9), connection(2, ended="ongoing"), connection(3)]
    assert judged(connections, **{"handshake-latency": 1, "close-code-share": {"1000": 0.99}}) == (
        [("close-code-share.1000", 3)],
        [],
    )


def test_uncertain_reports_accuse_nobody():
    assert end_codes(connection(1, code=None, certain=False)) == set()
    assert end_codes(connection(1, code=None)) == {1006}


def test_the_first_place_that_matches_decides_on_close_codes():
    rules = [{"path": "/admin/*", "allow": [4401]}, {"host": "chat.example", "allow": [1000, "4000-4499"]}]
    connections = [
        connection(1, path="/admin/1"),
        connection(2),
        connection(3, code=4400),
        connection(4, code=None),
        connection(5, host="b"),
    ]
    issues, _ = judge_limits(report([], connections), parse_policy({"close-codes": rules}, BOOK))
    assert [(each.name, each.connection) for each in issues] == [("close-code-1000", 1), ("close-code-1006", 4)]


def test_nothing_recorded_passes_no_rate():
    assert judged([], **{"abnormal-rate": 0, "close-code-share": {"1000": 0}}) == ([], [])
