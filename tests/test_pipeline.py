"""One connection from its first packet to its end: which layer takes its bytes, and what is made of captures that lack some."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest
import wire
from wire import ACK, PSH, SYN, C, S

import wsaudit
from wsaudit.engine import Pass
from wsaudit.http.form import _FORMS, forget_forms
from wsaudit.session import Session
from wsaudit.termination.cause import failed
from wsaudit.termination.wire import Wire

TLS = Path(__file__).resolve().parent.parent / "sample_pcaps" / "tls"
PLAIN = wire.head("GET /page HTTP/1.1", {"Host": "example.com"})
HEADS = (lambda more: wire.request("/", more), lambda more: wire.response(headers=more))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(autouse=True, params=["first", "repeated"])
def known(request: pytest.FixtureRequest) -> None:
    """Heads like many before them are taken at a glance: everything here holds for the first of a kind and for another one."""
    forget_forms()
    if request.param == "repeated":
        wsaudit.audit(talk_on(wire.Conversation().open().upgrade()).pcap())
        assert _FORMS


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """Every session that ends during the test."""
    ended: list[Session] = []
    judge = Pass.session_over

    def over(self: Pass, session: Session) -> None:
        ended.append(session)
        judge(self, session)

    monkeypatch.setattr(Pass, "session_over", over)
    return ended


def rows(capture: bytes, **how: Any) -> list[dict[str, Any]]:
    document = wsaudit.audit(capture, **how).to_dict()
    assert not [notice for notice in document["notices"] if "internal error" in notice["text"]]
    found: list[dict[str, Any]] = document["connections"]
    return found


def talk_on(talk: wire.Conversation) -> wire.Conversation:
    """A little of everything, and an orderly end."""
    talk.text(C, "one").text(S, "two").ping(S, b"p").pong(C, b"p")
    return talk.close(C, 1000).close(S, 1000).fin(S).fin(C)


def whole(row: dict[str, Any]) -> bool:
    """Was `talk_on` seen entirely?"""
    counts = row["frames"]
    return bool(
        (counts["client"]["text"], counts["server"]["text"], counts["server"]["ping"], counts["client"]["pong"]) == (1, 1, 1, 1)
        and row["close"]["client"]["code"] == row["close"]["server"]["code"] == 1000
    )


# -- before the frames ---------------------------------------------------------------------------------------------------


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


def cut_talk(port: int = 40000, first: int = C, text: str = "a text of some length") -> wire.Conversation:
    """A connection whose every segment with something in it is longer than ten bytes."""
    talk = wire.Conversation(("10.0.0.1", port)).open().upgrade("/chat").text(first, text).text(1 - first, text * 9)
    return talk.ping(S, b"twelve bytes").pong(C, b"twelve bytes").close(C, 4001, "good bye").close(S, 4001, "good bye")


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


def notices(capture: bytes, **how: Any) -> list[str]:
    report = wsaudit.audit(capture, **how)
    found = [notice["text"] for notice in report.to_dict()["notices"]]
    assert all(each.split(":")[0] in " ".join(report.to_text(width=400).split()) for each in found)
    return found


def answered_with(status: str, port: int) -> wire.Conversation:
    talk = wire.Conversation(("10.0.0.1", port)).open().send(C, wire.request("/" + "x" * 100))
    return talk.send(S, wire.response(status, {"X-Long": "x" * 100})).fin(S).fin(C)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("kept", [6, 60])
def test_flows_that_could_not_be_looked_into_are_counted(kept: int, jobs: int) -> None:
    """No connection may vanish without a word: who knows what the answer refused."""
    talks = [answered_with("403 Forbidden", 2000), answered_with("200 OK", 2001), answered_with("101 Switching", 2002)]
    capture = wire.pcap(wire.merge(*talks), snaplen=54 + kept)
    few = "2 flows" if kept == 60 else "3 flows"  # the 101 is one, with so much of it
    text = f"{few} could not be looked into: the capture cut the packets, to {kept} bytes of what TCP carries at most,"
    assert notices(capture, jobs=jobs) == [f"{text} where an opening handshake may have been"]
    assert wsaudit.audit(capture, jobs=jobs).to_dict()["summary"]["seen"]["cut_flows"] == int(few[0])


def test_a_cut_answer_to_a_request_that_was_not_captured_is_counted() -> None:
    talk = wire.Conversation().open().send(C, PLAIN).drop().send(S, wire.response("404 Not Found", {"X-Long": "x" * 200}))
    assert len(notices(talk.ack(C).fin(S).fin(C).pcap(snaplen=100))) == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_flows_of_which_only_headers_were_captured_are_counted(jobs: int) -> None:
    capture = wire.pcap(wire.merge(*(cut_talk(2000 + i) for i in range(7))), snaplen=54)
    words = "could not be looked into: the capture cut the packets where an opening handshake may have been"
    assert notices(capture, jobs=jobs) == [f"7 flows {words}"]


@pytest.mark.parametrize("method", ["get", "Get", "FETCH"])
def test_an_odd_method_is_followed_and_judged(method: str) -> None:
    talk = wire.Conversation().open().send(C, wire.request(method=method)).send(S, wire.response())
    document = wsaudit.audit(talk_on(talk).pcap()).to_dict()
    assert whole(document["connections"][0])
    assert document["summary"]["findings"]["HS-C01"] == 1


def test_flows_that_were_looked_into_are_not_counted() -> None:
    """Bodies that were cut, requests that are whole and ask for no upgrade, what a whole capture has, other protocols."""
    long = wire.Conversation(("10.0.0.1", 2000)).open().send(C, PLAIN).send(S, OK.replace(b"5", b"500") + b"x" * 495).fin(S)
    other = wire.Conversation(("10.0.0.1", 2001)).open().send(S, b"SSH-2.0-" + b"x" * 400).send(C, b"SSH-2.0-" + b"x" * 400)
    capture = wire.pcap(wire.merge(long, other, cut_talk(2002)), snaplen=400)
    assert notices(capture) == []
    assert notices(answered_with("403 Forbidden", 2000).pcap()) == []


def test_tls_that_was_cut_is_counted() -> None:
    document = wsaudit.audit(cut((TLS / "tls13-aes128-gcm.pcap").read_bytes(), 100)).to_dict()
    assert document["summary"]["seen"]["cut_flows"] == document["summary"]["seen"]["tls_connections"] > 0


def cut(capture: bytes, snaplen: int) -> bytes:
    """A pcap file in which no packet is longer."""
    made, at = [capture[:24]], 24
    while at < len(capture):
        *time, size, whole = struct.unpack_from("<IIII", capture, at)
        made += [struct.pack("<IIII", *time, min(size, snaplen), whole), capture[at + 16 : at + 16 + min(size, snaplen)]]
        at += 16 + size
    return b"".join(made)


@pytest.mark.parametrize("again", [True, False])
def test_an_answer_of_which_only_the_status_is_left_is_a_refusal(again: bool) -> None:
    refusal = wire.response("403 Forbidden", {"X-Long": "x" * 300})
    talk = wire.Conversation().open().send(C, wire.request("/no")).send(S, refusal)
    if again:
        talk_on(talk.upgrade("/yes"))
    else:
        talk.fin(S).fin(C)
    document = wsaudit.audit(talk.pcap(snaplen=300)).to_dict()
    row = document["connections"][0]
    assert (row["handshake"]["outcome"], row["handshake"]["status"], row["handshake"]["target"]) == ("refused", 403, "/no")
    assert (row["termination"]["class"], row["termination"]["cause"]) == ("refused", "handshake-refused")
    assert (row["reported"]["client"]["code"], row["reported"]["client"]["certain"]) == (1006, True)
    assert row["termination"]["evidence"][0] == "the answer to the upgrade request is 403, of which the rest was cut"
    assert {found["rule"] for found in document["findings"] if found["connection"] == 1} <= {"SEC-01"}
    assert [each["handshake"]["target"] for each in document["connections"]] == (["/no", "/yes"] if again else ["/no"])
    assert not again or whole(document["connections"][1])


def test_a_cut_answer_that_is_no_101_is_no_websocket() -> None:
    long = wire.response("200 OK", {"X-Long": "x" * 200})
    talk = wire.Conversation().open().send(C, wire.request("/" + "x" * 200)).send(S, long).text(C, "one").text(S, "two")
    assert rows(talk.close(C, 1000).close(S, 1000).fin(S).fin(C).pcap(snaplen=96)) == []


def test_requests_before_the_upgrade() -> None:
    talk = wire.Conversation().open()
    for _ in range(3):
        talk.send(C, PLAIN).send(S, OK)
    before = len(talk.packets)
    [row] = rows(talk_on(talk.upgrade("/ws")).pcap())
    assert whole(row)
    assert row["first_packet"] == before + 1
    assert row["handshake"]["target"] == "/ws"


def test_pipelined_requests() -> None:
    talk = wire.Conversation().open().send(C, PLAIN + PLAIN + wire.request("/ws")).send(S, OK).send(S, OK + wire.response())
    [row] = rows(talk_on(talk).pcap())
    assert whole(row)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_heads_in_pieces(size: int) -> None:
    talk = wire.Conversation().open().send(C, wire.request(), size=size).send(S, wire.response(), size=size)
    [row] = rows(talk_on(talk).pcap())
    assert whole(row)
    assert row["handshake"]["outcome"] == "accepted"


def test_answers_on_the_way_to_the_101() -> None:
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    talk = wire.Conversation().open().send(C, wire.request()).send(S, hints + wire.response())
    [row] = rows(talk_on(talk).pcap())
    assert whole(row)
    assert row["handshake"]["status"] == 101


@pytest.mark.parametrize("cut", range(12))
def test_frames_in_the_segment_of_the_101(cut: int) -> None:
    """However the segment borders fall around the end of the head."""
    after = wire.frame(wire.TEXT, b"at once") + wire.frame(wire.PING, b"")
    data = wire.response() + after
    at = len(wire.response()) - 4 + cut
    talk = wire.Conversation().open().send(C, wire.request()).send(S, data[:at]).send(S, data[at:]).ack(C)
    [row] = rows(talk.text(C, "x").pcap())
    assert (row["frames"]["server"]["text"], row["frames"]["server"]["ping"], row["frames"]["client"]["text"]) == (1, 1, 1)


def test_client_bytes_before_the_answer_can_have_been_read(sessions: list[Session]) -> None:
    early = wire.frame(wire.TEXT, b"early", mask=wire.MASK)
    talk = wire.Conversation().open().send(C, wire.request() + early).ack(S).send(S, wire.response())
    [row] = rows(talk.text(C, "later").pcap())
    assert row["frames"]["client"]["text"] == 2
    [session] = sessions
    assert session.early_client_bytes == len(early)
    assert session.early_place is not None
    assert session.early_place.offset == len(wire.request())


def test_frames_sent_while_the_answer_was_on_its_way(sessions: list[Session]) -> None:
    """Captured before the 101, but also when captured after it: what it acknowledges tells."""
    frame = wire.frame(wire.TEXT, b"early", mask=wire.MASK)
    talk = wire.Conversation().open().send(C, wire.request()).send(S, wire.response())
    talk.segment(C, frame, PSH | ACK, ack=2001)._advance(C, len(frame))
    rows(talk.text(C, "later").pcap())
    assert sessions[0].early_client_bytes == len(frame)


def test_a_request_captured_after_its_answer_is_not_early(sessions: list[Session]) -> None:
    talk = wire.Conversation().open().upgrade()
    talk.packets[3:5] = talk.packets[4], talk.packets[3]
    rows(talk_on(talk).pcap())
    assert [each.early_client_bytes for each in sessions] == [0]


def test_only_the_first_frames_are_early(sessions: list[Session]) -> None:
    """Those that are found again behind a gap are not, whatever they acknowledge."""
    frames = [wire.frame(wire.TEXT, b"%d" % i, mask=wire.MASK) for i in range(20)]
    talk = wire.Conversation().open().send(C, wire.request()).send(S, wire.response())
    talk.segment(C, frames[0], PSH | ACK, ack=2001)._advance(C, len(frames[0]))
    talk.send(C, b"\x81").drop()
    for frame in frames[1:]:
        talk.segment(C, frame, PSH | ACK, ack=2001)._advance(C, len(frame)).ack(S)
    rows(talk.pcap())
    [session] = sessions
    assert session.client.resyncs == 1
    assert session.early_client_bytes == len(frames[0])


def test_frames_after_the_answer_are_not_early(sessions: list[Session]) -> None:
    rows(talk_on(wire.Conversation().open().upgrade()).pcap())
    assert sessions[0].early_client_bytes == 0


@pytest.mark.parametrize(
    "status", ["401 Unauthorized", "403 Forbidden", "426 Upgrade Required", "503 Busy", "200 OK", "302 Found"]
)
def test_refused_and_then_accepted_on_the_same_connection(status: str) -> None:
    talk = wire.Conversation().open().send(C, wire.request("/no")).send(S, wire.response(status))
    found = rows(talk_on(talk.upgrade("/yes")).pcap())
    assert [row["handshake"]["target"] for row in found] == ["/no", "/yes"]
    assert [row["handshake"]["outcome"] for row in found] == ["refused", "accepted"]
    assert whole(found[1])
    assert found[0]["frames"]["client"]["text"] == 0


H2C = {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABk"}
NO_KEY = {"Sec-WebSocket-Key": None, "Sec-WebSocket-Version": None}
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" * 3


def switched(request: bytes, to: str = "h2c", **how: Any) -> dict[str, Any]:
    """A 101 to another protocol, which is then spoken."""
    answer = wire.head("HTTP/1.1 101 Switching Protocols", {"Connection": "Upgrade", "Upgrade": to})
    talk = wire.Conversation().open().send(C, request).send(S, answer + HTTP2[24:]).send(C, HTTP2).send(S, HTTP2[24:])
    document: dict[str, Any] = wsaudit.audit(talk.fin(S).fin(C).pcap(**how)).to_dict()
    return document


@pytest.mark.parametrize("headers", [H2C, {**H2C, **NO_KEY}], ids=["with a key", "without"])
@pytest.mark.parametrize("snaplen", [262144, 150])
def test_an_upgrade_to_another_protocol_is_no_websocket(headers: wire.Headers, snaplen: int) -> None:
    """As hypercorn does: asked for h2c, it answers 101 and speaks HTTP/2, whatever other fields the request has."""
    document = switched(wire.request("/", headers), snaplen=snaplen)
    assert document["connections"] == document["findings"] == []


@pytest.mark.parametrize("upgrade", ["websocket", "websocket, h2c", None])
def test_who_asked_for_a_websocket_and_got_another_protocol_has_failed(upgrade: str | None) -> None:
    """No frames are looked for in what follows, and nobody is accused for them."""
    document = switched(wire.request("/", {"Upgrade": upgrade}))
    [row] = document["connections"]
    assert row["handshake"]["outcome"] == "invalid"
    assert (row["termination"]["class"], row["termination"]["cause"]) == ("failed", "handshake-invalid")
    assert "HS-S02" in document["summary"]["findings"]
    assert not [rule for rule in document["summary"]["findings"] if rule.startswith(("FR-", "FG-", "CT-"))]


def test_a_wrong_name_of_the_websocket_is_none_of_another_protocol() -> None:
    """A server that misspells it still sends frames, and clients that do not look take them."""
    talk = wire.Conversation().open().upgrade("/", {}, {"Upgrade": "web-socket"})
    [row] = rows(talk_on(talk).pcap())
    assert whole(row)
    assert row["handshake"]["outcome"] == "invalid"


STATUS_LINES = ["HTTP/2.0 101 Yes", "HTTP/2 101 Yes", "HTTP/1.1  101 Yes", "HTTP/1.1\t101 Yes", "HTTP/1.1 101"]


@pytest.mark.parametrize("line", STATUS_LINES)
@pytest.mark.parametrize("size", [1460, 1])
def test_a_status_line_that_is_none_is_read_and_judged(line: str, size: int) -> None:
    answer = wire.response().replace(b"HTTP/1.1 101 Switching Protocols", line.encode())
    taken, left = (wire.Conversation().open().send(C, wire.request()).send(S, answer, size=size) for _ in range(2))
    document = wsaudit.audit(talk_on(taken).pcap()).to_dict()
    assert whole(document["connections"][0])
    assert document["summary"]["findings"]["HS-S01"] == 1
    [row] = rows(left.ack(C).fin(C).fin(S).pcap())
    assert (row["termination"]["class"], row["termination"]["cause"]) == ("failed", "handshake-invalid")


@pytest.mark.parametrize("line", ["HTTP/1.1 101 ", "HTTP/1.0 101 Switching", "HTTP/1.1 101 Web Socket Protocol Handshake"])
def test_a_status_line_that_is_one(line: str) -> None:
    answer = wire.response().replace(b"HTTP/1.1 101 Switching Protocols", line.encode())
    talk = wire.Conversation().open().send(C, wire.request()).send(S, answer)
    assert "HS-S01" not in wsaudit.audit(talk_on(talk).pcap()).to_dict()["summary"]["findings"]


def test_bodies_between_requests_are_not_taken_for_heads() -> None:
    body = wire.request("/in-the-body") + wire.response()
    post = wire.head("POST /a HTTP/1.1", {"Host": "x", "Content-Length": str(len(body))}) + body
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    talk = wire.Conversation().open().send(C, post, size=100).send(S, chunked, size=77)
    found = rows(talk_on(talk.upgrade("/real")).pcap())
    assert [row["handshake"]["target"] for row in found] == ["/real"]
    assert whole(found[0])


def test_no_answer_at_all() -> None:
    [row] = rows(wire.Conversation().open().send(C, wire.request()).ack(S).wait(30).fin(C).fin(S).pcap())
    assert row["handshake"]["outcome"] == "unanswered"
    assert row["reported"]["client"]["code"] in (1006, None)


def test_an_answer_that_is_no_http_is_a_fact_and_not_a_text(sessions: list[Session]) -> None:
    """Within TLS nothing else tells it: the number of bytes is that of the records."""
    talk = wire.Conversation().open().send(C, wire.request()).send(S, b"\x00\x01nothing like it\r\n\r\n").fin(S).fin(C)
    assert rows(talk.pcap())[0]["termination"]["cause"] == "handshake-invalid"
    [session] = sessions
    assert session.answered_otherwise
    session.in_tls = True
    session.notices.clear()  # whatever their words are
    assert failed(session, Wire(session, [])).cause == "handshake-invalid"


def test_a_server_that_left_before_the_next_request_has_lost_no_answer() -> None:
    """websockets ends TCP with its 400; the client did not look."""
    talk = wire.Conversation().open().send(C, wire.request("/no")).send(S, wire.response("400 Bad Request")).fin(S)
    talk.send(C, wire.request("/again")).close(C, 1000).ack(S).rst(S)
    found = rows(talk.pcap())
    assert [row["handshake"]["outcome"] for row in found] == ["refused", "unanswered"]
    assert found[1]["termination"]["class"] == "failed"


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "sent again"])
@pytest.mark.parametrize("again", [False, True], ids=["once", "SYN repeated"])
def test_a_request_in_the_syn(taken: bool, again: bool) -> None:
    """TCP Fast Open (RFC 7413): a server that does not take the bytes acknowledges the SYN alone, and gets them again."""
    talk, request = wire.Conversation(), wire.request("/fast")
    talk.segment(C, request, SYN)
    if again:
        talk.repeat()
    talk.seq[C] += 1 + len(request) if taken else 1
    talk.segment(S, flags=SYN | ACK)
    talk.seq[S] += 1
    talk.ack(C)
    if not taken:
        talk.send(C, request)
    [row] = rows(talk_on(talk.send(S, wire.response())).pcap())
    assert row["handshake"]["outcome"] == "accepted"
    assert row["evidence"]["complete"]
    assert whole(row)


def test_bytes_in_a_syn_that_the_server_did_not_take() -> None:
    talk = wire.Conversation().segment(C, b"knock knock", SYN)
    talk.seq[C] += 1
    talk.segment(S, flags=SYN | ACK)
    talk.seq[S] += 1
    [row] = rows(talk_on(talk.ack(C).upgrade("/late")).pcap())
    assert whole(row)


# -- one side, lost answers ----------------------------------------------------------------------------------------------


def without(talk: wire.Conversation, side: int) -> bytes:
    ports = (40000, 80)
    kept = [packet for packet in talk.packets if int.from_bytes(packet.data[34:36], "big") != ports[side]]
    return wire.pcap(kept)


def test_only_the_client_was_captured() -> None:
    [row] = rows(without(talk_on(wire.Conversation().open().upgrade("/half")), S))
    assert row["handshake"]["target"] == "/half"
    assert row["frames"]["client"]["text"] == 1
    assert row["close"]["client"]["code"] == 1000
    assert row["close"]["server"] is None
    assert not row["evidence"]["complete"]


def test_only_the_server_was_captured() -> None:
    [row] = rows(without(talk_on(wire.Conversation().open().upgrade("/half")), C))
    assert row["frames"]["server"]["text"] == 1
    assert row["close"]["server"]["code"] == 1000
    assert row["close"]["client"] is None
    assert not row["evidence"]["complete"]


def test_the_answer_was_lost() -> None:
    talk = wire.Conversation().open().upgrade("/lost").drop().ack(C)
    [row] = rows(talk_on(talk).pcap())
    assert row["handshake"]["outcome"] == "not-captured"
    assert row["close"]["client"]["code"] == 1000
    assert not row["evidence"]["complete"]


def test_the_answer_to_a_client_that_does_not_mask_was_lost() -> None:
    talk = wire.Conversation().open().upgrade("/lost").drop()
    for word in ("one", "two", "three"):
        talk.text(C, word, mask=None)
    [row] = rows(talk.close(S, 1002).close(C, 1002).fin(S).fin(C).pcap())
    assert row["handshake"]["outcome"] == "not-captured"
    assert row["frames"]["client"]["text"] == 3
    assert row["close"]["client"]["code"] == 1002


def test_the_request_was_lost() -> None:
    talk = wire.Conversation().open().send(C, wire.request("/lost")).drop().send(S, wire.response()).ack(C)
    [row] = rows(talk_on(talk).pcap())
    assert row["handshake"]["status"] == 101
    assert row["close"]["server"]["code"] == 1000
    assert row["frames"]["server"]["text"] == 1
    assert not row["evidence"]["complete"]


# -- midstream -----------------------------------------------------------------------------------------------------------


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


# -- TLS -----------------------------------------------------------------------------------------------------------------


EXPECTED: dict[str, int] = json.loads((TLS / "expected.json").read_text(encoding="utf-8"))["connections"]


@pytest.mark.parametrize("name", list(EXPECTED))
def test_decrypted_connections(name: str) -> None:
    """With the keys a WebSocket is found as in cleartext; without them nothing is claimed."""
    data = (TLS / f"{name}.pcap").read_bytes()
    found = [row for row in rows(data, keylog=TLS / f"{name}.keys.log") if row["websocket"] == "confirmed"]
    assert [row["transport"] for row in found] == ["tls"] * len(found)
    assert all(row["tls"]["decrypted"] for row in found)
    assert {row["websocket"] for row in rows(data)} <= {"probable"}


def test_tls_and_cleartext_tell_the_same() -> None:
    """Above the tunnel nothing can tell that there was TLS."""
    name = "tls13-node"
    [row] = rows((TLS / f"{name}.pcap").read_bytes(), keylog=TLS / f"{name}.keys.log")
    assert row["handshake"]["outcome"] == "accepted"
    assert sum(row["frames"]["client"].values()) > 0
    assert row["close"]["client"] is not None


# -- no WebSocket --------------------------------------------------------------------------------------------------------


def random_bytes(chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice((1, 5, 40, 300, 1400)))


def ascii_text(chance: random.Random) -> bytes:
    words = ("LOGIN", "250 OK", "select * from t", '{"a":1}', "\r\n", "user=x&y=z", "<html>", "PING", "- - [")
    return " ".join(chance.choice(words) for _ in range(chance.randint(1, 40))).encode()


def tls_records(chance: random.Random) -> bytes:
    made = b""
    for _ in range(chance.randint(1, 3)):
        body = chance.randbytes(chance.randint(16, 600))
        made += bytes((chance.choice((0x15, 0x17, 0x17, 0x17)), 3, 3)) + len(body).to_bytes(2, "big") + body
    return made


def small_binary(chance: random.Random) -> bytes:
    """A binary protocol: types, small lengths, counters: the likeliest to be taken for frames."""
    made = b""
    for _ in range(chance.randint(1, 4)):
        body = bytes(chance.choice((0, 0, 0, 1, 2, 65)) for _ in range(chance.randint(0, 30)))
        made += bytes((chance.choice((1, 2, 3, 129, 130)), len(body))) + body
    return made


def mqtt(chance: random.Random) -> bytes:
    body = chance.randbytes(chance.randint(2, 60))
    return bytes((chance.choice((0x30, 0x40, 0x82, 0x90)), len(body))) + body


def ssh_packets(chance: random.Random) -> bytes:
    body = chance.randbytes(chance.choice((12, 28, 44, 300)))
    return len(body).to_bytes(4, "big") + body


PROTOCOLS = [random_bytes, ascii_text, tls_records, mqtt, ssh_packets]


def confirmed(capture: bytes) -> list[dict[str, Any]]:
    return [row for row in rows(capture) if row["websocket"] == "confirmed"]


CUTS = [262144, *range(54 + 2, 54 + 40, 3)]  # nothing is cut; or only the first bytes of what TCP carries are there


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_protocols_whose_packets_were_cut_are_no_websocket(protocol: Any) -> None:
    chance = random.Random(3)
    talks = []
    for i in range(200):
        talk = wire.Conversation(("10.0.0.1", 1025 + i), ("10.0.0.2", 5000), start=wire.START + i)
        for _ in range(20):
            talk.send(chance.choice((C, S)), protocol(chance))
        talks.append(talk)
    for snaplen in CUTS[1:]:
        assert confirmed(wire.pcap(wire.merge(*talks), snaplen=snaplen)) == []


@pytest.mark.parametrize("protocol", [*PROTOCOLS, small_binary])
def test_other_protocols_behind_heads_that_were_cut_are_no_websocket(protocol: Any) -> None:
    """A GET and an answer, cut so early that it may have been a 101; then bodies, and what not."""
    chance = random.Random(4)
    talks = []
    for i in range(200):
        talk = wire.Conversation(("10.0.0.1", 1025 + i), ("10.0.0.2", 5000), start=wire.START + i).open()
        talk.send(C, PLAIN).send(S, OK.replace(b"200", b"100") + protocol(chance))
        for _ in range(20):
            talk.send(chance.choice((S, S, C)), protocol(chance))
        talks.append(talk)
    for snaplen in CUTS[1:5]:
        assert confirmed(wire.pcap(wire.merge(*talks), snaplen=snaplen)) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_protocols_seen_from_the_middle_are_no_websocket(protocol: Any) -> None:
    chance = random.Random(1)
    talks = []
    for i in range(150):
        talk = wire.Conversation(("10.0.0.1", 1025 + i), ("10.0.0.2", 5000), start=wire.START + i)
        for _ in range(20):
            talk.send(chance.choice((C, S)), protocol(chance))
        talks.append(talk)
    assert confirmed(wire.pcap(wire.merge(*talks))) == []


@pytest.mark.parametrize("protocol", [*PROTOCOLS, small_binary])
def test_other_protocols_behind_a_handshake_are_no_websocket(protocol: Any) -> None:
    chance = random.Random(2)
    talks = []
    for i in range(100):
        talk = wire.Conversation(("10.0.0.1", 1025 + i), ("10.0.0.2", 5000), start=wire.START + i).open()
        for _ in range(10):
            talk.send(chance.choice((C, S)), protocol(chance))
        talks.append(talk)
    assert confirmed(wire.pcap(wire.merge(*talks))) == []
