"""The history of a connection: Pings and their Pongs, Closes, clocks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import wire
from wire import C, S

from wsaudit.engine import Pass, run
from wsaudit.kernel.constants import OUTSTANDING, RTTS
from wsaudit.options import Options
from wsaudit.session import Session, header_size

MS = 1_000_000
History = Callable[[wire.Conversation], Session]


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> History:
    """Audit a conversation and return its session."""
    ended: list[Session] = []
    monkeypatch.setattr(Pass, "session_over", lambda self, session: ended.append(session))

    def audited(talk: wire.Conversation) -> Session:
        run([talk.pcap(nanoseconds=True)], Options())
        return ended.pop()

    return audited


def opened() -> wire.Conversation:
    return wire.Conversation().open().upgrade()


# -- Ping and Pong -------------------------------------------------------------------------------------------------------


def test_a_pong_answers_the_ping_of_its_body(history: History) -> None:
    session = history(opened().ping(S, b"a").wait(0.02).pong(C, b"a").ping(C, b"b").pong(S, b"b"))
    assert (session.server.pings, session.server.answered, session.server.waiting) == (1, 1, [])
    assert (session.client.pings, session.client.answered) == (1, 1)
    assert (session.server.rtts, session.client.rtts) == ([21 * MS], [1 * MS])
    assert (session.client.slowest_pong, session.server.slowest_pong) == (21 * MS, 1 * MS)


def test_a_pong_answers_earlier_pings_too(history: History) -> None:
    """RFC 6455 §5.5.3: only the most recent Ping needs an answer; one to an older Ping may still come."""
    session = history(opened().ping(S, b"1").ping(S, b"2").ping(S, b"3").pong(C, b"2").pong(C, b"1").pong(C, b"3"))
    assert session.server.waiting == []
    assert (session.client.pongs, session.client.late_pongs, session.client.unsolicited) == (3, 1, 0)


def test_pongs_that_answer_nothing(history: History) -> None:
    session = history(opened().pong(C, b"beat").ping(S, b"1").pong(C, b"x").pong(C, b"1").pong(C, b"1"))
    client = session.client
    assert (client.unsolicited, client.duplicate_pongs) == (2, 1)
    assert client.first_unsolicited.packet == 6
    assert client.mismatched.packet == 8
    assert client.first_duplicate.packet == 10


def test_intervals_between_pings(history: History) -> None:
    talk = opened()
    for wait in (1, 1, 4):
        talk.ping(S).pong(C).wait(wait)
    party = history(talk.ping(S)).server
    assert (party.intervals, party.interval_max, party.interval_sum) == (3, 4002 * MS, 6006 * MS)


def test_pings_that_wait_are_bounded(history: History) -> None:
    talk = opened()
    for i in range(OUTSTANDING + 10):
        talk.ping(S, bytes((i,)))
    session = history(talk)
    assert len(session.server.waiting) == OUTSTANDING
    assert session.server.overflow == 10
    assert session.heartbeat().unanswered == (0, OUTSTANDING + 10)


def test_round_trips_kept_are_bounded(history: History) -> None:
    talk = opened()
    for _ in range(RTTS + 20):
        talk.ping(S).pong(C)
    session = history(talk)
    assert (session.server.rtt_count, len(session.rtts)) == (RTTS + 20, RTTS)
    assert (session.heartbeat().rtt_p50, session.heartbeat().rtt_p99) == (MS, MS)


def test_a_ping_behind_its_own_close(history: History) -> None:
    session = history(opened().close(S, 1000).ping(S))
    assert session.server.ping_after_close.packet == 7


# -- Close ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        (b"", None, b""),
        (b"\x03", None, b""),
        (b"\x03\xe8", 1000, b""),
        (b"\x0f\xa0why", 4000, b"why"),
        (b"\x03\xe8\xff", 1000, b"\xff"),
    ],
)
@pytest.mark.parametrize("side", [C, S])
def test_what_a_close_says(history: History, side: int, body: bytes, code: int | None, reason: bytes) -> None:
    session = history(opened().frame(side, wire.CLOSE, body).ack(1 - side))
    close = session.parties[side].close
    assert (close.code, close.reason, close.length, close.lost) == (code, reason, len(body), False)
    assert close.end == session.parties[side].stream.offset == session.parties[side].stream.acked


def test_what_a_close_had_seen_of_the_other_side(history: History) -> None:
    """Two Closes are ordered by what each sender had acknowledged, not by the order of their capture."""
    session = history(opened().close(S, 1000).close(C, 1000).close(S, 1001))
    first, answer = session.server.close, session.client.close
    assert answer.acked >= first.end
    assert first.acked < answer.end
    assert [close.code for close in session.server.closes] == [1000, 1001]


# -- clocks and doubts ---------------------------------------------------------------------------------------------------


def test_how_long_each_clock_stood_still(history: History) -> None:
    talk = opened().text(C, "x").wait(1).ping(S).wait(2).ack(C)
    session = history(talk)
    last = session.ended
    anything, client, server, data = session.idle_at(last)
    assert (anything, client, server, data) == (2001 * MS, 3002 * MS, 2001 * MS, 3002 * MS)
    assert session.idle_at(session.started) == (None, None, None, None)


@pytest.mark.parametrize(("form", "size"), [(7, 2), (16, 4), (64, 10)])
@pytest.mark.parametrize("mask", [None, wire.MASK])
def test_header_sizes(history: History, form: int, size: int, mask: bytes | None) -> None:
    session = history(opened().frame(S, wire.BINARY, b"x" * 100, length_form=form, mask=mask))
    [shape] = session.server.shapes()
    assert header_size(shape.shape) == size + (4 if mask else 0)
