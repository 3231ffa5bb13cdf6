"""Frames behind bytes that were lost."""

from __future__ import annotations

import pytest
import wire
from followed import rows
from wire import C, S

from wsaudit.session import Session

pytestmark = pytest.mark.usefixtures("known")


@pytest.mark.parametrize("side", [C, S])
@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_gap_and_frames_again(side: int, lost: int) -> None:
    """Frames lost at a segment border, proven by an acknowledgement: the rest is found again, the other side goes on."""
    talk = wire.Conversation().open().upgrade()
    talk.text(side, "before").ack(1 - side)
    talk.send(side, wire.frame(wire.TEXT, b"l" * 20 * lost, mask=wire.MASK if side == C else None) + b"\x81").drop()
    for i in range(30):
        if i == 2:
            talk._advance(side, 7)  # the rest of a frame that was never captured
        talk.text(1 - side, f"other {i}")
        talk.text(side, f"after {i}").ack(1 - side)
    [row] = rows(talk.pcap())
    names = ("client", "server")
    assert row["frames"][names[1 - side]]["text"] == 30
    assert 20 <= row["frames"][names[side]]["text"] <= 31
    assert row["evidence"]["gaps"] >= 1


def test_what_was_skipped_is_counted(sessions: list[Session]) -> None:
    talk = wire.Conversation().open().upgrade().text(S, "a" * 100).drop().ack(C)
    for i in range(20):
        talk.text(S, f"after {i}").ack(C)
    rows(talk.pcap())
    [session] = sessions
    party = session.server
    assert (party.resyncs, party.skipped) == (1, 0)
    assert session.client.resyncs == 0
