"""What both endpoints were told (RFC 6455 §7.1.5 to §7.1.7)."""

from __future__ import annotations

from typing import Any

import pytest
import wire
from termination.endings import CHROMIUM, ending, gone, read, report, talk
from wire import C, S

import wsaudit

CLEAN = (1000, True, True)
LOST = (1006, False, True)


@pytest.mark.parametrize(("code", "told"), [(1000, 1000), (1001, 1001), (4321, 4321), (None, 1005)])
def test_an_answered_close_is_what_both_report(code: int | None, told: int) -> None:
    found = ending(gone(talk().close(C, code).close(S, code), S))
    assert found.client == found.server == (told, True, True)


def test_each_reports_what_it_received() -> None:
    found = ending(gone(talk().close(C, 3000).close(S, 1000), S))
    assert found.client == (1000, True, True)
    assert found.server == (3000, True, True)


def test_nothing_received_is_1006() -> None:
    found = ending(gone(talk(), C))
    assert found.client == found.server == LOST


def test_an_unanswered_close_is_known_to_its_receiver_only() -> None:
    found = ending(gone(talk().close(C, 1000).ack(S), S))
    assert found.client == LOST
    assert found.server == (1000, False, True)


def test_a_close_that_was_never_acknowledged_is_uncertain() -> None:
    found = ending(talk().close(C, 1000).rst(C))
    assert found.server[0] == 1000
    assert found.server[2] is False


def test_a_close_answered_by_rst_is_uncertain() -> None:
    found = ending(talk().close(C, 1000).rst(S))
    assert found.server == (1000, False, False)
    assert found.client == LOST


def test_a_close_that_lay_there_until_an_rst_was_never_read() -> None:
    """A stopped process that is killed: its kernel had taken the Close, and resets because nobody read it."""
    found = ending(talk().close(C, 1000).ack(S).wait(2).rst(S))
    assert (found.client, found.server) == (LOST, (1006, False, False))


def test_an_answer_that_died_in_a_reset_cannot_be_told_from_none() -> None:
    found = ending(talk().close(S, 1009).rst(S))
    assert found.client == (1009, None, False)


def test_a_close_that_came_to_a_closed_socket_was_not_received() -> None:
    found = ending(talk().close(S, 1001).ack(C).wait(10).fin(S).ack(C).wait(1).close(C, 1001).rst(S))
    assert found.server == (1006, False, False)


def test_half_closed_is_not_closed() -> None:
    """The server sends Close and FIN; the client still answers, and the answer is read."""
    found = ending(talk().close(S, 1001).fin(S).ack(C).text(C, "one more").close(C, 1001).ack(S).fin(C).ack(S))
    assert (found.kind, found.by) == ("closed", "server")
    assert found.client == found.server == (1001, True, True)


def test_a_refused_handshake_is_1006_and_no_session() -> None:
    refused = wire.Conversation().open().send(C, wire.request()).send(S, wire.response("403 Forbidden")).ack(C)
    found = ending(gone(refused, S))
    assert found.kind == "refused"
    assert found.client == LOST
    assert found.server == (None, None, True)


def test_who_fails_the_connection_reports_1006() -> None:
    """RFC 6455 §7.1.7, measured on websockets, ws, undici and Chromium: the answer to its own 1002 is not reported."""
    bad = talk().frame(C, 3, b"reserved")
    found = ending(gone(bad.close(S, 1002).close(C, 1002), S))
    assert found.client == (1002, True, True)
    assert found.server == LOST
    assert found.cause == "protocol-error"


def test_a_1002_without_an_offence_is_only_a_code() -> None:
    found = ending(gone(talk().close(S, 1002).close(C, 1002), S))
    assert found.server == (1002, True, True)


def test_an_offence_long_before_is_not_what_1002_answers() -> None:
    found = ending(gone(talk().frame(C, 3, b"reserved").wait(60).close(S, 1002).close(C, 1002), S))
    assert found.server == (1002, True, True)


def test_1009_right_after_the_largest_frame_fails_the_connection() -> None:
    big = talk().binary(C, bytes(70_000))
    assert ending(gone(big.close(S, 1009).close(C, 1009), S)).server == LOST


def test_1009_after_small_ones_is_only_a_code() -> None:
    small = talk().binary(C, bytes(70_000)).text(C, "small").text(S, "ok")
    assert ending(gone(small.close(S, 1009).close(C, 1009), S)).server == (1009, True, True)


def test_a_message_may_be_too_big_only_when_inflated() -> None:
    """websockets with max_size: 40,000 equal bytes come in a frame of 60, smaller than others before."""
    pmd = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    conversation = talk(headers=pmd, answer=pmd).binary(C, bytes(range(100))).binary(S, b"x").ack(C)
    big = conversation.text(C, wire.deflate(b"x" * 40_000), rsv=wire.RSV1)
    found = ending(gone(big.close(S, 1009).close(C, 1009), S))
    assert found.server == LOST
    assert "client had just sent its largest message, 40000 bytes when inflated" in found.evidence


def test_an_answer_that_only_an_rst_acknowledged_was_never_read() -> None:
    """ws with a short closeTimeout destroys its socket while the answer lies in the buffer: the kernel sends RST, not FIN."""
    found = ending(talk().close(S, 1012).ack(C).close(C, 1012).rst(S))
    assert found.client == (1012, True, True)
    assert found.server == (1006, False, False)


def test_a_reset_after_both_closes_is_not_clean_for_chromium() -> None:
    browser = talk(headers={"User-Agent": CHROMIUM}).close(S, 1001).ack(C).close(C, 1001)
    assert ending(browser.rst(S)).client == (1001, False, True)


def test_an_answer_that_was_acknowledged_before_the_rst_may_have_been_read() -> None:
    found = ending(talk().close(S, 1012).ack(C).close(C, 1012).ack(S).rst(S))
    assert found.server == (1012, True, False)


@pytest.mark.parametrize("code", [999, 1005, 1006, 1015, 1016, 2999, 5000])
def test_an_illegal_code_is_not_reported_by_who_refuses_it(code: int) -> None:
    found = ending(gone(talk().close(C, code).close(S, 1002), S))
    assert found.server == LOST
    assert found.client == (1002, True, True)


def test_who_repeats_an_illegal_code_has_taken_it() -> None:
    found = ending(gone(talk().close(S, 999).close(C, 999), S))
    assert found.client == found.server == (999, True, True)


def test_a_body_of_one_byte_is_not_a_close_without_a_code() -> None:
    found = ending(gone(talk().frame(C, wire.CLOSE, b"\x03").close(S, 1002), S))
    assert found.server == LOST
    assert found.client == (1002, True, True)


@pytest.mark.parametrize("faults", [{"rsv": 2}, {"fin": False}, {"mask": None}])
def test_a_badly_framed_close_is_none_to_who_complains(faults: dict[str, Any]) -> None:
    for answer, told in ((1002, LOST), (1000, CLEAN)):
        sent = talk().frame(C, wire.CLOSE, wire.close_payload(1000), **faults)
        assert ending(gone(sent.close(S, answer), S)).server == told


def test_chromium_fails_when_frames_follow_the_close() -> None:
    followed = talk(headers={"User-Agent": CHROMIUM}).close(S, 1000).text(S, "and another thing").close(C, 1000)
    assert ending(gone(followed, S)).client == LOST
    assert ending(gone(talk().close(S, 1000).text(S, "and another thing").close(C, 1000), S)).client == CLEAN


def test_a_recognised_library_gets_a_note_and_the_standard_the_code() -> None:
    found = ending(gone(talk(answer={"Server": "hypercorn-h11"}).close(C, 1000).close(S, 1000), S))
    assert found.server == CLEAN
    assert found.notes[0] is None
    assert found.notes[1] is not None
    assert found.notes[1].startswith("hypercorn reports 1006")


def test_an_unknown_library_gets_none() -> None:
    assert ending(gone(talk(answer={"Server": "own"}).close(C, 1000).close(S, 1000), S)).notes == (None, None)


def test_clean_ends_of_different_libraries_are_not_mixed_up() -> None:
    for server, noted in (("uvicorn", True), ("own", False), ("uvicorn", True)):
        found = ending(gone(talk(answer={"Server": server}).close(S, 1000).close(C, 1000), S))
        assert (found.notes[1] is not None) is noted


def test_a_page_that_is_gone_is_told_nothing() -> None:
    """No script may send 1001, so it was the browser. A reload is no abnormal end."""
    page = {"User-Agent": CHROMIUM}
    for conversation in (
        gone(talk(headers=page).close(C, 1001).close(S, 1001), S),
        talk(headers=page).close(C, 1001).fin(C).close(S, 1001).rst(C),
        talk(headers=page).close(C, 1001).rst(C),
    ):
        assert ending(conversation).client == (None, None, True)
        summary = report([conversation])["summary"]
        assert (summary["abnormal"]["count"], summary["reported_codes"]["client"]) == (0, {"none": 1})
    assert ending(talk().close(C, 1001).fin(C).close(S, 1001).rst(C)).client[0] == 1006
    assert ending(gone(talk(headers=page).close(S, 1001).close(C, 1001), S)).client == (1001, True, True)


def test_a_page_that_closes_as_it_goes_may_be_told_nothing() -> None:
    page = {"User-Agent": CHROMIUM}
    assert ending(talk(headers=page).close(C, 4001).fin(C).close(S, 4001).rst(C)).client == (None, None, False)
    assert ending(gone(talk(headers=page).close(C, 4001).close(S, 4001), S)).client == (4001, True, True)


@pytest.mark.parametrize("frames", [0, 1, 3], ids=["at once", "behind a frame", "behind several"])
def test_a_lost_close_may_be_the_one_that_was_taken(frames: int) -> None:
    """Nobody should send two Closes, but some do; the first one seen may be the second."""
    found = ending(talk().close(S, 1008).ack(C).close(S, 1001).ack(C).close(C, 1008).fin(S).fin(C))
    assert found.client == (1008, True, True)
    lossy = talk().close(S, 1008).drop()
    for _ in range(frames):
        lossy.text(S, "on and on")
    found = ending(lossy.ack(C).close(S, 1001).ack(C).close(C, 1008).fin(S).fin(C))
    assert found.client == (1001, True, False)
    assert found.server == (1008, True, True)


def test_bytes_lost_behind_the_first_close_hide_none_before_it() -> None:
    lossy = talk().text(S, "lost").drop().text(S, "a").text(S, "b").text(S, "c").ack(C)
    assert ending(gone(lossy.close(S, 1001).ack(C).close(C, 1001), S)).client == (1001, True, False)
    lossy = talk().close(S, 1001).text(S, "lost").drop().text(S, "a").text(S, "b").text(S, "c").ack(C)
    assert ending(gone(lossy.close(C, 1001), S)).client == (1001, True, True)


@pytest.mark.parametrize("cut", [True, False])
def test_a_server_whose_answer_was_cut_may_be_one_that_deviates(cut: bool) -> None:
    """What an unknown server reports follows from the standard; one whose Server field the capture cut may be any."""
    answer = {"X-Long": "x" * 300, "Server": "TornadoServer/6.6.1"} if cut else wire.UNCHANGED
    conversation = gone(talk(answer=answer), C)
    (row,) = wsaudit.audit(conversation.pcap(snaplen=300)).to_dict()["connections"]
    assert row["handshake"]["outcome"] == ("not-captured" if cut else "accepted")
    found = read(row)
    assert found.client == LOST
    assert found.server == (1006, False, not cut)


def test_who_fails_a_connection_with_unknown_extensions_may_have_had_a_reason() -> None:
    """RSV1 is a fault only where nothing was agreed: with the answer cut nobody knows."""
    faulty = wire.Conversation().open().upgrade("/", {}, {"X-Long": "x" * 300}).text(C, "not compressed", rsv=wire.RSV1).ack(S)
    conversation = gone(faulty.close(S, 1002).ack(C).close(C, 1002), S)
    (whole,) = wsaudit.audit(conversation.pcap()).to_dict()["connections"]
    (row,) = wsaudit.audit(conversation.pcap(snaplen=300)).to_dict()["connections"]
    assert read(whole).server == LOST
    assert read(row).server == (1002, True, False)


@pytest.mark.parametrize("side", [C, S])
def test_a_cut_101_without_frames_may_have_been_refused(side: int) -> None:
    conversation = gone(wire.Conversation().open().upgrade().ack(C), side)
    document = wsaudit.audit(conversation.pcap(snaplen=120)).to_dict()
    (row,) = document["connections"]
    assert (row["termination"]["class"], row["termination"]["how"]) == ("unknown", "fin")
    assert "CL-19" not in document["summary"]["findings"]
