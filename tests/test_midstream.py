"""Connections whose opening handshake was not captured or was cut: where are the frames, and who is the client?"""

from __future__ import annotations

import pytest
import wire
from followed import cut_talk, rows, talk_on
from wire import C, S

import wsaudit

pytestmark = pytest.mark.usefixtures("known")
HEADS = (lambda more: wire.request("/", more), lambda more: wire.response(headers=more))


@pytest.mark.parametrize("first", [C, S])
@pytest.mark.parametrize("snaplen", [96, 128])
def test_a_snap_length_that_cuts_request_and_answer_leaves_the_frames(first: int, snaplen: int) -> None:
    talk = wire.Conversation().open().upgrade("/chat")
    talk.text(first, "one").text(1 - first, "two").ping(S, b"p").pong(C, b"p")
    row = rows(talk.close(C, 4001, "bye").close(S, 4001, "bye").fin(S).fin(C).pcap(snaplen=snaplen))[0]
    assert row["termination"]["class"] == "closed"
    assert [row["reported"][side]["code"] for side in ("client", "server")] == [4001, 4001]
    assert row["close"]["initiator"] == "client"


@pytest.mark.parametrize("side", [C, S])
@pytest.mark.parametrize("cut", [{C, S}, {C}, {S}], ids=["both", "request", "answer"])
def test_behind_heads_that_a_snap_length_cut_a_single_frame_is_read(side: int, cut: set[int]) -> None:
    """The next segment begins with a frame; and where none comes, none was missed."""
    request, answer = (head({"X-Long": "x" * 300 * (i in cut)}) for i, head in enumerate(HEADS))
    talk = wire.Conversation().open().send(C, request).send(S, answer).text(side, "one").ack(1 - side)
    [row] = rows(talk.fin(S).fin(C).pcap(snaplen=300))
    assert row["frames"][("client", "server")[side]]["text"] == 1
    assert (row["termination"]["class"], row["termination"]["by"]) == ("dropped", "server")
    assert not row["evidence"]["complete"]


def test_a_frame_in_the_cut_segment_of_the_answer() -> None:
    """Its rest begins the next segment: that is no header, and nothing is made of it."""
    talk = wire.Conversation().open().send(C, wire.request()).send(S, wire.response() + wire.frame(wire.TEXT, b"~" * 1700))
    [row] = rows(talk.close(C, 1000).ack(S).fin(S).fin(C).pcap(snaplen=150))
    assert row["frames"]["server"]["text"] == 0
    assert row["termination"]["class"] == "unknown"
    assert row["evidence"]["gaps"] > 0


@pytest.mark.parametrize("first", [C, S])
@pytest.mark.parametrize("kept", [8, 9, 10, 11])
def test_heads_of_which_nearly_nothing_is_left_and_frames_that_fit(first: int, kept: int) -> None:
    """Of request and answer so little is there that it may have been anything; but what follows are frames, by their lengths."""
    talk = cut_talk(first=first).fin(S).fin(C)
    document = wsaudit.audit(talk.pcap(snaplen=54 + kept)).to_dict()
    [row] = document["connections"]
    assert (row["handshake"]["outcome"], row["evidence"]["midstream"]) == ("not-captured", True)
    assert not row["evidence"]["complete"]
    counts = row["frames"]
    assert [counts[side]["text"] for side in ("client", "server")] == [1, 1]
    assert (counts["server"]["ping"], counts["client"]["pong"]) == (1, 1)
    assert (row["termination"]["class"], row["close"]["initiator"]) == ("closed", "client")
    assert (row["close"]["client"]["code"], row["close"]["client"]["lost"]) == (None, True)
    assert not row["reported"]["client"]["certain"]
    assert not row["reported"]["server"]["certain"]
    assert document["summary"]["verdicts"]["violation"] == 0
    assert document["summary"]["seen"]["cut_flows"] == 0


def test_frames_that_are_whole_behind_heads_of_which_nearly_nothing_is_left() -> None:
    talk = wire.Conversation().open().upgrade().text(C, "a").text(S, "b").ping(S).pong(C).close(C, 1000).close(S, 1000)
    [row] = rows(talk.fin(S).fin(C).pcap(snaplen=54 + 8))
    assert [row["close"][side]["code"] for side in ("client", "server")] == [1000, 1000]
    assert row["termination"]["class"] == "closed"


def test_frames_longer_than_a_segment_fit_too() -> None:
    talk = wire.Conversation().open().upgrade().binary(C, b"x" * 4000).binary(S, b"x" * 70000).binary(C, b"x" * 4000)
    [row] = rows(talk.close(C, 1001).close(S, 1001).fin(S).fin(C).pcap(snaplen=54 + 10))
    assert [row["frames"][side]["binary"] for side in ("client", "server")] == [2, 1]
    assert row["termination"]["class"] == "closed"


def test_a_cut_capture_from_the_middle_of_the_connection() -> None:
    talk = cut_talk()
    for number in range(4):
        talk.text(C, f"a text that is long: {number}").text(S, f"and its answer, too: {number}")
    del talk.packets[:5]
    [row] = rows(talk.close(C, 1000).close(S, 1000).fin(S).fin(C).pcap(snaplen=54 + 10))
    assert row["evidence"]["midstream"]
    assert row["client"]["port"] == 40000
    assert row["close"]["client"]["lost"]


def chatter(first: int) -> wire.Conversation:
    talk = wire.Conversation()
    for i in range(4):
        talk.text(first, f"message {i}").text(1 - first, f"answer {i}")
    return talk_on(talk)


@pytest.mark.parametrize("first", [C, S])
def test_a_capture_that_begins_in_the_middle(first: int) -> None:
    [row] = rows(chatter(first).pcap())
    assert (row["client"]["port"], row["server"]["port"]) == (40000, 80)
    assert row["evidence"]["midstream"]
    assert row["handshake"]["outcome"] == "not-captured"
    assert (row["frames"]["client"]["text"], row["frames"]["server"]["text"]) == (5, 5)
    assert row["close"]["client"]["code"] == row["close"]["server"]["code"] == 1000


def test_midstream_can_be_switched_off() -> None:
    assert rows(chatter(C).pcap(), midstream=False) == []


def test_masks_tell_the_client_and_not_ports() -> None:
    talk = wire.Conversation(("10.0.0.1", 80), ("10.0.0.2", 40000))
    for i in range(4):
        talk.text(S, f"answer {i}").text(C, f"message {i}")
    [row] = rows(talk.pcap())
    assert row["client"]["port"] == 80
