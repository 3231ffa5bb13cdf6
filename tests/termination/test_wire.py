"""Class, how, by and initiator, from nothing but the wire."""

from __future__ import annotations

import pytest
import wire
from termination.endings import ending, gone, read, talk
from wire import C, S

import wsaudit
from tests.rules.talks import history
from wsaudit.termination.wire import Wire
from wsaudit.tls.facts import Alert, TlsFacts


def test_both_closes_make_it_closed() -> None:
    found = ending(gone(talk().close(C, 1000).close(S, 1000), S))
    assert (found.kind, found.how, found.by, found.initiator) == ("closed", "fin", "server", "client")


def test_one_close_is_not_enough() -> None:
    found = ending(gone(talk().close(S, 1001).ack(C), C))
    assert (found.kind, found.how, found.by, found.initiator) == ("close-unanswered", "fin", "client", "server")


def test_no_close_is_a_drop() -> None:
    found = ending(gone(talk(), S))
    assert (found.kind, found.how, found.by, found.initiator) == ("dropped", "fin", "server", None)


def test_rst_names_its_sender() -> None:
    assert ending(talk().rst(C))[:3] == ("dropped", "rst", "client")
    assert ending(talk().rst(S))[:3] == ("dropped", "rst", "server")


def test_rst_after_a_fin_does_not_change_who_left_first() -> None:
    assert ending(talk().fin(C).ack(S).text(S, "late").rst(C))[:3] == ("dropped", "fin", "client")


def test_nothing_ended_is_ongoing() -> None:
    found = ending(talk())
    assert (found.kind, found.how, found.by, found.cause) == ("ongoing", "capture-end", None, "none")
    assert found.client == found.server == (None, None, True)


def test_a_close_at_the_very_end_of_the_capture_is_still_ongoing() -> None:
    found = ending(talk().close(C, 1000))
    assert (found.kind, found.how, found.initiator) == ("ongoing", "capture-end", "client")


def test_both_closes_but_no_fin() -> None:
    found = ending(talk().close(C, 1000).close(S, 1000).ack(C))
    assert (found.kind, found.how, found.by) == ("closed", "capture-end", None)
    assert found.client == found.server == (1000, True, True)


def ends_of_all_kinds() -> list[wire.Conversation]:
    return [
        gone(talk().close(C, 1000).close(S, 1000), S),
        gone(talk().close(S, 1001).close(C, 1001), C),
        gone(talk().close(S, 1001).ack(C), C),
        gone(talk(), S),
        talk().rst(C),
        talk().fin(S).ack(C).text(C, "late").rst(S),
        talk(),
    ]


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
@pytest.mark.parametrize("time", [0, 1000, wire.START])
def test_a_clock_that_stands_still(time: int, kind: str) -> None:
    """The order of packets tells as much as their times do; 0 is a time like any other."""
    for number, conversation in enumerate(ends_of_all_kinds()):
        expected = ending(conversation)
        conversation.packets[:] = [wire.Packet(time, data) for _, data in conversation.packets]
        capture = conversation.pcap() if kind == "pcap" else conversation.pcapng()
        (found,) = map(read, wsaudit.audit(capture).to_dict()["connections"])
        assert found[:3] == expected[:3], number
        assert (found.initiator, found.client, found.server) == (expected.initiator, expected.client, expected.server), number


def test_a_clock_that_stands_still_makes_no_incident_and_no_hasty_client() -> None:
    packets = [wire.Packet(0, data) for i in range(12) for _, data in gone(talk(40000 + i), S).packets]
    found = wsaudit.audit(wire.pcap(packets)).to_dict()
    assert len(found["connections"]) == 12
    assert found["incidents"] == []
    assert not [each["rule"] for each in found["findings"] if each["rule"].startswith("RC-")]
    assert "the same time" in found["inputs"][0]["notices"][0]


def segment_without_news(conversation: wire.Conversation, side: int, payload: bytes, ack: int) -> wire.Conversation:
    """A segment whose sender has not heard of the latest bytes of its peer."""
    conversation.segment(side, payload, wire.PSH | wire.ACK, ack=ack)
    conversation.seq[side] += len(payload)
    return conversation


def test_closes_that_cross_were_started_by_both() -> None:
    conversation = talk()
    before = conversation.seq[C]
    conversation.close(C, 4001)
    segment_without_news(conversation, S, wire.frame(wire.CLOSE, wire.close_payload(4002)), before)
    found = ending(gone(conversation.ack(C), S))
    assert (found.kind, found.initiator) == ("closed", "both")
    assert found.client == (4002, True, True)
    assert found.server == (4001, True, True)


def test_capture_order_does_not_say_who_started() -> None:
    """The answer, captured before the Close that it answers, still acknowledges it."""
    found = ending(gone(talk().close(S, 1000).close(C, 1000).swap(), S))
    assert found.initiator == "server"


def test_fins_that_cross_are_by_both() -> None:
    conversation = talk()
    before = conversation.seq[C]
    conversation.fin(C).segment(S, flags=wire.FIN | wire.ACK, ack=before)
    conversation.seq[S] += 1
    assert ending(conversation.ack(C).ack(S)).by == "both"


def test_repeated_bytes_that_nobody_answers_end_it_silently() -> None:
    conversation = talk().text(C, "are you there?")
    for pause in (0.2, 0.4, 0.8, 1.6):
        conversation.wait(pause).repeat()
    found = ending(conversation)
    assert (found.kind, found.how) == ("dropped", "silent")
    assert found.client == (1006, False, False)
    assert found.server == (None, None, False)


def test_so_do_the_first_of_many_bytes() -> None:
    """Of several segments in flight TCP repeats the first one only."""
    conversation = talk().text(S, "x" * 4000)
    lost = len(wire.frame(wire.TEXT, b"x" * 4000))
    first = conversation.seq[S] - lost
    for pause in (0.2, 0.4, 0.8, 1.6):
        conversation.wait(pause).segment(S, b"y", seq=first)
    found = ending(conversation)
    assert (found.kind, found.how, found.cause) == ("dropped", "silent", "network-loss")
    assert f"the last {lost} bytes" in found.evidence


def test_repetitions_that_were_answered_one_by_one_do_not() -> None:
    """Losses here and there: each segment came through in the end."""
    conversation = talk().text(S, "x" * 7000)
    end = conversation.seq[S]
    for number, pause in enumerate((0.2, 0.4, 0.8, 1.6)):
        first = end - 6000 + 1000 * number
        conversation.segment(C, ack=first).wait(pause).segment(S, b"x" * 1000, seq=first)
    assert ending(conversation).kind == "ongoing"


def one_way(repetitions: int, heard: int = 0, window: int = 64240) -> wire.Conversation:
    """The client repeats bytes and backs off; the server, whose packets arrive here, acknowledges so many of them each time."""
    conversation = talk()
    first = conversation.seq[C]
    conversation.text(C, "are you there?")
    for number in range(repetitions):
        conversation.segment(S, ack=first + heard, window=window)
        conversation.wait(0.2 * 2**number).segment(C, wire.frame(wire.TEXT, b"are you there?", mask=wire.MASK), seq=first)
    return conversation.segment(S, ack=first + heard, window=window)


def test_who_still_sends_and_acknowledges_nothing_does_not_hear() -> None:
    found = ending(one_way(6))
    assert (found.kind, found.how, found.cause) == ("dropped", "silent", "network-loss")
    assert "gone from client to server only" in found.evidence
    assert found.client == (1006, False, False)
    assert found.server == (None, None, False)


def test_a_few_repetitions_do_not_say_so_while_the_peer_sends() -> None:
    assert ending(one_way(4)).kind == "ongoing"


def test_who_has_no_room_hears_well() -> None:
    assert ending(one_way(8, window=0)).kind == "ongoing"


def test_who_repeats_what_was_acknowledged_may_not_hear() -> None:
    """Whether it heard the last acknowledgement cannot be told."""
    found = ending(one_way(6, heard=20))
    assert (found.kind, found.cause) == ("ongoing", "none")
    assert "what the server sends may not get through" in found.evidence
    assert "network-loss" in found.others
    assert ending(one_way(4, heard=20)).others == {}


def first_to_leave(how: str, *notified: int) -> Wire:
    """The end of a connection over TLS in which these sides sent close_notify, the server first ended TCP, and nobody a Close."""
    conversation = talk()
    conversation = gone(conversation, S) if how == "fin" else conversation.rst(S)
    session = history(conversation.pcap())
    alerts = [Alert(side, 1, 0, "close_notify", session.ended - wire.SECOND + i, 7 + i, True) for i, side in enumerate(notified)]
    session.tls = TlsFacts(decrypted=True, alerts=alerts)
    return Wire(session, [])


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_who_ended_tls_first_left_whoever_ended_tcp(how: str) -> None:
    assert first_to_leave(how, C, S).by == C
    assert first_to_leave(how, S, C).by == S
    assert first_to_leave(how).by == S


def test_repeated_bytes_that_were_answered_in_the_end_do_not() -> None:
    conversation = talk().text(C, "are you there?")
    for pause in (0.2, 0.4, 0.8, 1.6):
        conversation.wait(pause).repeat()
    assert ending(conversation.ack(S)).kind == "ongoing"


def test_lost_bytes_that_may_be_a_close_make_it_unknown() -> None:
    found = ending(gone(talk().close(C, 1000).ack(S).text(S, "x" * 30).drop(), S))
    assert found.kind == "unknown"
    assert found.client == (None, None, False)
    assert found.server[0] == 1000


def test_lost_bytes_before_frames_that_were_read_again_do_not() -> None:
    conversation = talk().text(S, "x" * 300).drop()
    for i in range(20):
        conversation.text(S, f"more {i} " + "y" * 40).ack(C)
    assert ending(gone(conversation, S)).kind == "dropped"


def test_nothing_behind_an_impossible_length_is_a_close() -> None:
    conversation = talk()
    conversation.send(C, b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x02" + wire.MASK + wire.mask(b"ab"))
    found = ending(gone(conversation.close(S, 1009).close(C, 1009), S))
    assert found.kind == "close-unanswered"
    assert found.client == (1009, None, True)
    assert found.server[:2] == (1006, False)


def test_a_faulty_101_was_refused_by_a_client_that_leaves() -> None:
    opened = wire.Conversation().open().upgrade(response={"Sec-WebSocket-Accept": "wrong"})
    assert ending(gone(opened.ack(C), C)).kind == "failed"


def test_a_faulty_101_was_taken_by_a_client_that_stays() -> None:
    opened = wire.Conversation().open().upgrade(response={"Sec-WebSocket-Protocol": "never-offered"})
    assert ending(gone(opened.ack(C).wait(2), S)).kind == "dropped"


def test_a_close_whose_answer_was_never_captured_leaves_the_class_open() -> None:
    """Of one direction only, without a FIN: the connection may be closed, so `ongoing` would be a guess."""
    both = wire.Conversation(client=("10.0.0.1", 40000)).open().upgrade().text(C, "a").text(S, "b").close(C, 1000).close(S, 1000)
    only = [packet for packet in both.packets if packet.data[26:30] == bytes((10, 0, 0, 1))]
    found = [wsaudit.audit(wire.pcap(packets)).to_dict()["connections"][0] for packets in (both.packets, only)]
    assert [row["termination"]["class"] for row in found] == ["closed", "unknown"]


def test_of_two_fins_the_lost_one_came_first_if_the_other_acknowledges_it() -> None:
    found = ending(talk().close(S, 1000).close(C, 1000).fin(S).drop().fin(C).ack(S))
    assert (found.kind, found.how, found.by) == ("closed", "fin", "server")
    found = ending(talk().fin(S).drop().fin(C).ack(S))
    assert (found.kind, found.by) == ("dropped", "server")
    assert "a FIN that was not captured" in found.evidence


def test_swapped_fins_change_nothing() -> None:
    assert ending(talk().close(S, 1000).close(C, 1000).fin(S).fin(C).swap().ack(S)).by == "server"


def test_an_answer_may_have_come_after_the_end_of_the_capture() -> None:
    """Half of TCP is still open."""
    found = ending(talk().close(S, 1001).fin(S).ack(C))
    assert (found.kind, found.server) == ("unknown", (None, None, False))


def test_a_101_without_its_request_may_not_have_been_taken() -> None:
    silent = wire.Conversation().open().upgrade()
    del silent.packets[:4]
    found = ending(gone(silent.wait(10), S))
    assert found.kind == "unknown"
    assert not found.client[2]
