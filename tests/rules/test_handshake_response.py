"""What the rules about the server's answer say, and about a client that takes it."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
import wire
from wire import C, S

from tests.rules.handshakes import handshake, heads, judged
from tests.rules.test_handshake_request import CHROME, PAGE
from wsaudit.rules.rule import CATALOGUE

BARE = base64.b64encode(hashlib.sha1(wire.KEY.encode()).digest()).decode()
OTHER = base64.b64encode(bytes(16)).decode()
CHAT = {"Sec-WebSocket-Protocol": "chat, Superchat"}
DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}


def answer(request: wire.Headers = wire.UNCHANGED, response: wire.Headers = wire.UNCHANGED, **how: Any) -> bytes:
    return handshake(request, response, **how)


FIRING: list[tuple[str, bytes, str]] = [
    ("HS-S01", answer(status="200 OK", response={"Sec-WebSocket-Accept": wire.accept()}), "200 with Sec-WebSocket-Accept"),
    ("HS-S01", answer(status="204 No Content", response={"Upgrade": "websocket", "Connection": "Upgrade"}), "204"),
    ("HS-S02", answer(response={"Upgrade": None}), "there is no Upgrade"),
    ("HS-S02", answer(response={"Upgrade": "websocket, foo"}), '"websocket, foo"'),
    ("HS-S03", answer(response={"Connection": None}), "there is no Connection"),
    ("HS-S03", answer(response={"Connection": "keep-alive"}), '"keep-alive"'),
    ("HS-S04", answer(response={"Sec-WebSocket-Accept": None}), "there is no"),
    ("HS-S05", answer(response={"Sec-WebSocket-Accept": BARE}), "without the GUID"),
    ("HS-S05", answer(response={"Sec-WebSocket-Accept": wire.KEY}), "the key itself"),
    ("HS-S05", answer(key=OTHER, response={"Sec-WebSocket-Accept": wire.accept()}), "example of RFC 6455"),
    ("HS-S05", answer(response={"Sec-WebSocket-Accept": wire.accept(OTHER)}), "not made of this request's key"),
    ("HS-S05", answer(response={"Sec-WebSocket-Accept": ""}), "empty"),
    ("HS-S06", answer(response={"Sec-WebSocket-Accept": [wire.accept(), wire.accept()]}), "2 Sec-WebSocket-Accept lines"),
    ("HS-S07", answer(response={"Sec-WebSocket-Protocol": "chat"}), "nothing was offered"),
    ("HS-S07", answer(CHAT, {"Sec-WebSocket-Protocol": "superchat"}), "not among those offered"),
    ("HS-S08", answer(CHAT, {"Sec-WebSocket-Protocol": ["chat", "chat"]}), "2 Sec-WebSocket-Protocol lines"),
    ("HS-S09", answer(CHAT, CHAT), "2 subprotocols"),
    ("HS-S09", answer(CHAT, {"Sec-WebSocket-Protocol": ""}), "empty"),
    ("HS-S10", answer({**CHAT, **PAGE}), "2 offered, none chosen; Chromium fails"),
    ("HS-S11", answer(response=DEFLATE), '"permessage-deflate"'),
    ("HS-S11", answer(DEFLATE, {"Sec-WebSocket-Extensions": "permessage-deflate, x-made-up"}), '"x-made-up"'),
    ("HS-S12", answer({"Sec-WebSocket-Extensions": "a, b"}, {"Sec-WebSocket-Extensions": ["a", "b"]}), "2 Sec-"),
    ("HS-S13", answer(DEFLATE, {"Sec-WebSocket-Extensions": "permessage-deflate;;"}), "a parameter is empty"),
    ("HS-S13", answer(response={"Sec-WebSocket-Extensions": ""}), "names no extension"),
    ("HS-S13", answer(DEFLATE, {"Sec-WebSocket-Extensions": "permessage-deflate; foo"}), "foo"),
    ("HS-S14", answer({"Sec-WebSocket-Version": "99"}), "101 to version 99"),
    ("HS-S14", answer({"Sec-WebSocket-Version": "99"}, {"Upgrade": "websocket"}, status="426 Upgrade Required"), "426 to"),
    ("HS-S15", answer({"Host": None}), "there is no Host"),
    ("HS-S15", answer(key="short", method="PUT"), '"PUT"; the key has'),
    ("HS-S15", heads(wire.request().replace(b"Host:", b"Host :"), wire.response()), "space before a colon"),
    ("HS-S16", answer(response={"Content-Length": "0"}), "Content-Length"),
    ("HS-S16", answer(response={"Transfer-Encoding": "chunked"}), "Transfer-Encoding"),
    ("HS-S18", answer({"Upgrade": None}), '101 to "websocket"'),
    ("HS-S18", answer({"Upgrade": "websocket"}, {"Upgrade": "h2c"}), '101 to "h2c"'),
    ("HS-S19", answer(version="HTTP/1.0"), "101 to HTTP/1.0"),
    ("HS-S21", answer(status="426 Upgrade Required", response={"Sec-WebSocket-Version": "13"}), "426 without Upgrade"),
    ("HS-S22", answer(status="401 Unauthorized"), "401 without WWW-Authenticate"),
]

NEAR: list[tuple[str, bytes]] = [
    ("HS-S01", answer(status="200 OK")),  # the Upgrade was ignored, as HTTP allows
    ("HS-S02", answer(response={"Upgrade": "WebSocket"})),
    ("HS-S03", answer(response={"Connection": "keep-alive, UPGRADE"})),
    ("HS-S04", answer()),
    ("HS-S05", answer(key=OTHER)),
    ("HS-S05", answer(key="AQIDBAUGBwgJCgsMDQ4PEC==")),
    ("HS-S05", answer(response={"Sec-WebSocket-Accept": [wire.accept(), BARE]})),  # HS-S06's
    ("HS-S06", answer()),
    ("HS-S07", answer(CHAT, {"Sec-WebSocket-Protocol": "Superchat"})),
    ("HS-S08", answer(CHAT, {"Sec-WebSocket-Protocol": "chat"})),
    ("HS-S09", answer(CHAT, {"Sec-WebSocket-Protocol": "chat"})),
    ("HS-S10", answer({**CHAT, **PAGE}, {"Sec-WebSocket-Protocol": "chat"})),
    ("HS-S11", answer({"Sec-WebSocket-Extensions": ["foo", "Permessage-Deflate; client_max_window_bits"]}, DEFLATE)),
    ("HS-S12", answer(DEFLATE, DEFLATE)),
    ("HS-S13", answer(DEFLATE, {"Sec-WebSocket-Extensions": 'permessage-deflate; server_max_window_bits="10",'})),
    ("HS-S14", answer({"Sec-WebSocket-Version": "8"})),  # a server may speak the drafts
    ("HS-S14", answer({"Sec-WebSocket-Version": "99"}, {"Sec-WebSocket-Version": "13, 8"}, status="400 Bad Request")),
    ("HS-S14", answer({"Sec-WebSocket-Version": "99"}, status="403 Forbidden")),
    ("HS-S14", answer({"Sec-WebSocket-Version": "99", "Host": None}, status="400 Bad Request")),  # refused for Host, maybe
    ("HS-S15", answer({"Host": None}, status="400 Bad Request")),
    ("HS-S15", heads(wire.request("/", {"X": "1\r\n 2"}), wire.response())),  # a server may unfold a line
    ("HS-S16", answer()),
    ("HS-S17", answer()),
    ("HS-S18", answer({"Upgrade": "WebSocket, h2c"}, {"Upgrade": "websocket"})),
    ("HS-S19", answer(version="HTTP/1.0", status="400 Bad Request")),
    ("HS-S21", answer(status="426 Upgrade Required", response={"Upgrade": "websocket"})),
    ("HS-S22", answer(status="401 Unauthorized", response={"WWW-Authenticate": "Basic"})),
    ("HS-S23", answer(status="500 Internal Server Error")),
]


@pytest.mark.parametrize(("rule", "capture", "words"), FIRING, ids=lambda each: each if isinstance(each, str) else "")
def test_the_server_is_named(rule: str, capture: bytes, words: str) -> None:
    told = judged(capture)[rule]
    assert words in told.detail
    assert told.at_fault == "server"
    assert told.verdict == {"MUST": "violation", "SHOULD": "non-strict", "INFO": "informational"}[CATALOGUE[rule].level]
    assert told.packet == 5  # behind the request


@pytest.mark.parametrize(("rule", "capture"), NEAR, ids=lambda each: each if isinstance(each, str) else "")
def test_near_misses(rule: str, capture: bytes) -> None:
    assert rule not in judged(capture)


def test_a_client_alone_is_not_told_that_browsers_fail() -> None:
    assert judged(answer(CHAT))["HS-S10"].detail == "2 offered, none chosen"


def test_an_answer_without_its_request_is_not_compared() -> None:
    """The capture began between request and answer: what needs the request stays unsaid."""
    capture = wire.Conversation().send(S, wire.response(headers={**CHAT, **DEFLATE})).text(S, "x").fin(S).pcap()
    assert {rule for rule in judged(capture, "HS") if rule not in ("HS-S09", "HS-S25")} == set()


def test_a_refusal_of_a_version_may_have_another_reason() -> None:
    told = judged(answer({"Sec-WebSocket-Version": "99"}, status="400 Bad Request"))["HS-S14"]
    assert told.verdict == "unverifiable"
    assert "another reason" in told.detail


def test_informational_answers_to_http_10() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n" + wire.response("403 Forbidden")
    assert judged(heads(wire.request(version="HTTP/1.0"), early))["HS-S19"].detail == "103 to HTTP/1.0"
    assert "HS-S19" not in judged(heads(wire.request(), early))


# -- no answer, another answer ---------------------------------------------------------------------------------------------------


def test_no_answer() -> None:
    told = judged(wire.Conversation().open().send(C, wire.request()).ack(S).wait(30).fin(S).fin(C).pcap())["HS-S23"]
    assert (told.at_fault, told.verdict, told.packet) == ("server", "informational", 4)
    assert "30 s later" in told.detail


def test_an_answer_that_is_cut_short() -> None:
    conversation = wire.Conversation().open().send(C, wire.request()).send(S, b"HTTP/1.1 101 Swit").rst(S)
    assert "no complete answer" in judged(conversation.pcap())["HS-S23"].detail


def test_an_answer_may_come_after_the_capture() -> None:
    assert "HS-S23" not in judged(wire.Conversation().open().send(C, wire.request()).ack(S).wait(30).ack(S).pcap())


def test_an_answer_may_have_been_lost_to_the_capture() -> None:
    conversation = wire.Conversation().open().send(C, wire.request()).send(S, wire.response("403 Forbidden")).drop()
    assert "HS-S23" not in judged(conversation.ack(C).fin(S).fin(C).pcap())
    impatient = wire.Conversation().open().send(C, wire.request() + wire.request("/again"))
    impatient.send(S, wire.response("403 Forbidden")).drop().ack(C).fin(S).fin(C)
    assert {told.verdict for rule, told in judged(impatient.pcap()).items() if rule == "HS-S23"} <= {"unverifiable"}


def test_a_capture_of_one_direction_does_not_accuse_the_other() -> None:
    conversation = wire.Conversation().open().drop(2).send(C, wire.request()).wait(5).rst(C)
    told = judged(conversation.pcap())["HS-S23"]
    assert told.verdict == "unverifiable"
    assert "no packet of the server" in told.detail


def test_other_bytes_than_http() -> None:
    alert = b"\x15\x03\x01\x00\x02\x02("
    told = judged(wire.Conversation().open().send(C, wire.request()).send(S, alert).fin(S).fin(C).pcap())
    assert told["HS-S23"].detail == "the answer is bytes that are not HTTP"


def test_bytes_before_the_acceptance() -> None:
    conversation = wire.Conversation().open().send(C, wire.request())
    conversation.text(S, "welcome, whoever you are, to this server").send(S, wire.response()).ack(C)
    told = judged(conversation.close(S, 1000).close(C, 1000).fin(S).fin(C).pcap())["HS-S17"]
    assert (told.at_fault, told.verdict) == ("server", "violation")


def test_the_first_frame_with_the_acceptance() -> None:
    opened = wire.Conversation().open().upgrade(after=wire.frame(wire.TEXT, b"hello"))
    told = judged(opened.close(S, 1000).close(C, 1000).fin(S).fin(C).pcap())["HS-S25"]
    assert (told.at_fault, told.verdict, told.packet) == ("server", "informational", 5)
    apart = wire.Conversation().open().upgrade().text(S, "hello").close(S, 1000).close(C, 1000).fin(S).fin(C)
    assert "HS-S25" not in judged(apart.pcap())


# -- a client that does not check ------------------------------------------------------------------------------------------------


def after(response: wire.Headers, *, request: wire.Headers = wire.UNCHANGED) -> wire.Conversation:
    return wire.Conversation().open().upgrade(request=request, response=response)


@pytest.mark.parametrize(
    "response",
    [
        {"Upgrade": None},
        {"Connection": None},
        {"Sec-WebSocket-Accept": None},
        {"Sec-WebSocket-Accept": BARE},
        {"Sec-WebSocket-Protocol": "never-offered"},
        {"Sec-WebSocket-Extensions": "x-made-up"},
    ],
)
def test_a_lenient_client(response: wire.Headers) -> None:
    told = judged(after(response).text(C, "on we go").text(C, "and on").close(C, 1000).close(S, 1000).fin(S).fin(C).pcap())
    assert (told["HS-S24"].at_fault, told["HS-S24"].verdict, told["HS-S24"].count) == ("client", "violation", 2)
    assert told["HS-S24"].packet == 6
    strict = judged(after(response).close(C, 1002).fin(C).fin(S).pcap())
    assert "HS-S24" not in strict


def test_a_client_that_goes_on_after_a_valid_acceptance() -> None:
    assert "HS-S24" not in judged(after({"User-Agent": CHROME}).text(C, "hi").fin(C).fin(S).pcap())


def test_a_missing_key_is_the_clients_fault_alone() -> None:
    request = {"Sec-WebSocket-Key": None}
    told = judged(after({}, request=request).text(C, "hi").fin(C).fin(S).pcap(), "HS")
    assert "HS-C07" in told
    assert "HS-S24" not in told
