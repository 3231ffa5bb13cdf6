"""The opening handshake as it comes: in pieces, late, refused, cut, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
import wire
from followed import OK, PLAIN, rows, talk_on, whole
from wire import ACK, PSH, SYN, C, S

import wsaudit
from wsaudit.session import Session
from wsaudit.termination.cause import failed
from wsaudit.termination.wire import Wire

pytestmark = pytest.mark.usefixtures("known")


@pytest.mark.parametrize("method", ["get", "Get", "FETCH"])
def test_an_odd_method_is_followed_and_judged(method: str) -> None:
    talk = wire.Conversation().open().send(C, wire.request(method=method)).send(S, wire.response())
    document = wsaudit.audit(talk_on(talk).pcap()).to_dict()
    assert whole(document["connections"][0])
    assert document["summary"]["findings"]["HS-C01"] == 1


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
