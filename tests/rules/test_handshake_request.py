"""What the rules about the client's request say, and what they leave alone."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st
from wire import C, S

from tests.rules.handshakes import handshake, heads, judged
from wsaudit.http.head import parse_head
from wsaudit.rules.handshake_request import REFUSABLE
from wsaudit.rules.rule import CATALOGUE, MUST

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
PAGE = {"User-Agent": CHROME, "Origin": "https://example.com"}
KEYS = [base64.b64encode(bytes([number] * 16)).decode() for number in range(1, 9)]


def raw(changed: bytes, to: bytes) -> bytes:
    """A capture of a request with other bytes, which the server accepts all the same."""
    whole = wire.request("/chat", {"X": "1"})
    assert changed in whole
    return heads(whole.replace(changed, to), wire.response())


FIRING: list[tuple[str, bytes, str]] = [
    ("HS-C01", handshake(method="POST"), '"POST"'),
    ("HS-C02", handshake(version="HTTP/1.0"), "HTTP/1.0"),
    ("HS-C03", raw(b"Upgrade: websocket\r\n", b"Upgrade: websocket\n"), "LF without CR"),
    ("HS-C03", raw(b"X: 1", b"no colon here"), "no colon"),
    ("HS-C03", raw(b"X: 1", b"X(): 1"), "no token"),
    ("HS-C04", handshake({"Host": None}), "there is no Host"),
    ("HS-C04", handshake({"Host": ["a.example", "b.example"]}), "2 Host lines"),
    ("HS-C04", handshake({"Host": ""}), "empty"),
    ("HS-C04", handshake({"Host": "a.example/x"}), '"a.example/x"'),
    ("HS-C04", handshake(target="http://other.example/chat"), "other.example"),
    ("HS-C05", handshake({"Upgrade": None}), "there is no Upgrade"),
    ("HS-C05", handshake({"Upgrade": "h2c"}), '"h2c"'),
    ("HS-C06", handshake({"Connection": None}), "there is no Connection"),
    ("HS-C06", handshake({"Connection": "keep-alive"}), '"keep-alive"'),
    ("HS-C07", handshake({"Sec-WebSocket-Key": None}), "there is no"),
    ("HS-C08", handshake(key="short"), "5 characters"),
    ("HS-C08", handshake(key="AAAAAAAAAAAAAAAAAAAAAAAA"), "24 characters"),
    ("HS-C08", handshake(key="____________________-A=="), "24 characters"),
    ("HS-C08", handshake(key=""), "empty"),
    ("HS-C09", handshake({"Sec-WebSocket-Key": [wire.KEY, KEYS[0]]}), "2 Sec-WebSocket-Key lines"),
    ("HS-C11", handshake({"Sec-WebSocket-Version": None}), "there is no"),
    ("HS-C11", handshake({"Sec-WebSocket-Version": "8"}), "interim draft"),
    ("HS-C11", handshake({"Sec-WebSocket-Version": "14"}), "version is 14"),
    ("HS-C12", handshake({"Sec-WebSocket-Version": ["13", "13"]}), "2 Sec-WebSocket-Version lines"),
    ("HS-C13", handshake({"Sec-WebSocket-Version": "013"}), '"013"'),
    ("HS-C13", handshake({"Sec-WebSocket-Version": "256"}), '"256"'),
    ("HS-C14", handshake({"User-Agent": CHROME}), "Chromium"),
    ("HS-C15", handshake({"Sec-WebSocket-Protocol": " , "}), "empty"),
    ("HS-C15", handshake({"Sec-WebSocket-Protocol": "a/b"}, {"Sec-WebSocket-Protocol": "a/b"}), "'/'"),
    ("HS-C15", handshake({"Sec-WebSocket-Protocol": ["a", "a"]}, {"Sec-WebSocket-Protocol": "a"}), "twice"),
    ("HS-C16", handshake({"Sec-WebSocket-Extensions": ""}), "names no extension"),
    ("HS-C16", handshake({"Sec-WebSocket-Extensions": 'a; b="x y"'}), "no token when its quotes"),
    ("HS-C16", handshake({"Sec-WebSocket-Extensions": 'a; b="x'}), "no end"),
    ("HS-C17", handshake({"Sec-WebSocket-Extensions": "x-webkit-deflate-frame"}), "x-webkit-deflate-frame"),
    ("HS-C19", handshake({"Content-Length": "5"}), '"5"'),
    ("HS-C19", handshake({"Transfer-Encoding": "chunked"}), "chunked"),
    ("HS-C21", handshake(target="/chat#top"), "#"),
    ("HS-C22", handshake(target="ws://example.com/"), '"ws"'),
    ("HS-C22", handshake(target="chat"), "does not begin with /"),
    ("HS-C24", raw(b"X: 1", b"X: 1\r\n 2"), "next line"),
    ("HS-C24", raw(b"X: 1", b"X : 1"), "space before a colon"),
    ("HS-C25", raw(b"X: 1", b"X: \x001"), "NUL"),
    ("HS-C25", raw(b"Host: example.com", b"Host: ex\xe4mple.com"), "host is not ASCII"),
    ("HS-C26", handshake({"Sec-WebSocket-Accept": wire.accept()}), "Sec-WebSocket-Accept"),
]

NEAR: list[tuple[str, bytes]] = [
    ("HS-C01", handshake()),
    ("HS-C02", handshake(version="HTTP/1.1")),
    ("HS-C03", heads(b"\r\n" + wire.request(), wire.response())),  # an empty line before the request is to be tolerated
    ("HS-C03", raw(b"X: 1", b"X : 1")),
    ("HS-C04", handshake({"Host": "[::1]:8080"})),
    ("HS-C04", handshake(target="http://EXAMPLE.com/chat")),
    ("HS-C04", handshake(target="/?next=http://other.example/")),
    ("HS-C05", handshake({"Upgrade": "h2c, WebSocket"})),
    ("HS-C05", handshake({"Upgrade": ["h2c", "websocket"]})),
    ("HS-C06", handshake({"Connection": "keep-alive, Upgrade"})),
    ("HS-C06", handshake({"Connection": ",, UPGRADE"})),
    ("HS-C15", handshake({"Sec-WebSocket-Protocol": "chat,,other"}, {"Sec-WebSocket-Protocol": "chat"})),
    ("HS-C07", handshake()),
    ("HS-C08", handshake(key="AQIDBAUGBwgJCgsMDQ4PEC==")),  # the RFC's own example: its last bits are not zero
    ("HS-C09", handshake()),
    ("HS-C11", handshake({"Sec-WebSocket-Version": "013"})),  # HS-C13's
    ("HS-C12", handshake({"Sec-WebSocket-Version": "13"})),
    ("HS-C13", handshake({"Sec-WebSocket-Version": "255"})),
    ("HS-C14", handshake(PAGE)),
    ("HS-C14", handshake({"User-Agent": "Python/3.11 websockets/15.0"})),
    ("HS-C15", handshake({"Sec-WebSocket-Protocol": ["chat", "Chat, a.b-c"]}, {"Sec-WebSocket-Protocol": "chat"})),
    ("HS-C16", handshake({"Sec-WebSocket-Extensions": ['permessage-deflate; client_max_window_bits="10"', "foo, , bar; x"]})),
    ("HS-C17", handshake({"Sec-WebSocket-Extensions": "Permessage-Deflate; client_max_window_bits"})),
    ("HS-C19", handshake({"Content-Length": "0"})),
    ("HS-C21", handshake(target="/chat%23top")),
    ("HS-C22", handshake(target="https://example.com/")),
    ("HS-C24", raw(b"X: 1", b"X:    1   ")),
    ("HS-C25", raw(b"X: 1", "X: grüße".encode())),
    ("HS-C26", handshake()),
]


@pytest.mark.parametrize(("rule", "capture", "words"), FIRING, ids=lambda each: each if isinstance(each, str) else "")
def test_the_client_is_named(rule: str, capture: bytes, words: str) -> None:
    told = judged(capture)[rule]
    assert words in told.detail
    assert told.at_fault == "client"
    assert told.verdict == {"MUST": "violation", "SHOULD": "non-strict", "INFO": "informational"}[CATALOGUE[rule].level]
    assert told.packet == 4  # behind the handshake of TCP


@pytest.mark.parametrize(("rule", "capture"), NEAR, ids=lambda each: each if isinstance(each, str) else "")
def test_near_misses(rule: str, capture: bytes) -> None:
    assert rule not in judged(capture)


def test_a_plain_handshake_breaks_nothing() -> None:
    assert judged(handshake(), "HS") == {}
    assert judged(handshake(PAGE), "HS") == {}


@pytest.mark.parametrize("body", REFUSABLE, ids=lambda body: body.__name__)
def test_a_request_to_be_refused_breaks_a_must(body: Any) -> None:
    [rule] = [rule for rule in CATALOGUE.values() if rule.name == body.__name__.replace("_", "-")]
    assert rule.level == MUST
    assert body(parse_head(wire.request("/chat", PAGE))) is None


@given(st.binary(max_size=300))
def test_bodies_take_any_bytes(noise: bytes) -> None:
    """Whatever the head is, each body answers with a sentence or with nothing."""
    for block in (noise, wire.request("/", {"Sec-WebSocket-Extensions": noise.decode("latin-1")})):
        head = parse_head(block + b"\r\n\r\n")
        for body in REFUSABLE:
            answer = body(head)
            assert answer is None or (answer and len(answer) < 1000)


def test_hixie_76_is_one_fault() -> None:
    keys = {"Sec-WebSocket-Key1": "3e6b263", "Sec-WebSocket-Key2": "17 9 G"}
    draft = {"Sec-WebSocket-Key": None, "Sec-WebSocket-Version": None, **keys}
    told = judged(handshake(draft), "HS-C")
    assert set(told) == {"HS-C11"}
    assert "Hixie-76" in told["HS-C11"].detail


def test_a_method_is_judged_only_with_an_upgrade() -> None:
    assert "HS-C01" not in judged(handshake({"Upgrade": None}, method="POST"))


def test_a_browser_does_not_follow_redirects() -> None:
    moved = {"Location": "https://example.com/login"}
    told = judged(handshake(PAGE, moved, status="302 Found"))["HS-C27"]
    assert (told.at_fault, told.verdict) == ("server", "informational")
    assert "Chromium" in told.detail
    assert "HS-C27" not in judged(handshake({"User-Agent": "curl/8"}, moved, status="302 Found"))
    assert "HS-C27" not in judged(handshake(PAGE, status="404 Not Found"))


# -- before the answer -----------------------------------------------------------------------------------------------------------


def test_data_before_the_answer() -> None:
    conversation = wire.Conversation().open().send(C, wire.request()).ack(S).text(C, "early").send(S, wire.response()).ack(C)
    told = judged(conversation.fin(S).fin(C).pcap())["HS-C18"]
    assert (told.at_fault, told.verdict, told.packet) == ("client", "violation", 6)
    assert told.detail.startswith("11 bytes")


def test_data_that_acknowledges_the_answer_is_not_early() -> None:
    """Captured before the 101, but its ACK number covers it: order is what was acknowledged, not what was captured first."""
    conversation = wire.Conversation().open().send(C, wire.request()).send(S, wire.response()).text(C, "late").swap()
    assert "HS-C18" not in judged(conversation.fin(S).fin(C).pcap())


def test_the_next_request_behind_a_refusal_is_not_early() -> None:
    refused = wire.response("403 Forbidden")
    conversation = wire.Conversation().open().send(C, wire.request() + wire.request()).send(S, refused + refused)
    assert "HS-C18" not in judged(conversation.fin(S).fin(C).pcap())


# -- several connections ---------------------------------------------------------------------------------------------------------


def connection(start: float, stop: float, client: wire.Address, server: wire.Address, **how: Any) -> wire.Conversation:
    """An accepted connection that lasts from `start` to `stop` seconds."""
    status = how.pop("status", None)
    made = wire.Conversation(client=client, server=server).wait(start).open()
    if status:
        made.send(C, wire.request()).send(S, wire.response(status))
    else:
        made.upgrade(**how)
    return made.wait(stop - start).close(S, 1000).close(C, 1000).fin(S).fin(C) if not status else made.fin(S).fin(C)


A, B, PROXY, BACKEND = ("10.0.0.1", 40000), ("10.0.0.2", 80), ("10.0.0.2", 50000), ("10.0.0.3", 8080)


def all_of(*conversations: wire.Conversation) -> bytes:
    return wire.pcap(wire.merge(*conversations))


def test_one_key_for_several_connections() -> None:
    told = judged(all_of(connection(0, 1, A, B), connection(2, 3, ("10.0.0.1", 40001), B)), "HS")["HS-C10"]
    assert (told.at_fault, told.verdict, told.count) == ("client", "violation", 1)
    assert told.detail == "one key for 2 connections, the sample key of RFC 6455"


def test_one_key_for_connections_at_the_same_time() -> None:
    capture = all_of(connection(0, 5, A, B), connection(1, 6, ("10.0.0.1", 40001), B))
    assert "HS-C10" in judged(capture)


def test_a_proxy_passes_the_key_on() -> None:
    assert "HS-C10" not in judged(all_of(connection(0, 5, A, B), connection(0.001, 4.9, PROXY, BACKEND)))


def test_a_key_may_come_again_after_a_refusal() -> None:
    refused = connection(0, 1, A, B, status="401 Unauthorized")
    assert "HS-C10" not in judged(all_of(refused, connection(2, 3, ("10.0.0.1", 40001), B)))


def test_other_keys_are_fresh() -> None:
    capture = all_of(connection(0, 1, A, B, key=KEYS[0]), connection(2, 3, ("10.0.0.1", 40001), B, key=KEYS[1]))
    assert "HS-C10" not in judged(capture)


def slow(start: float, port: int, key: str, host: str = "10.0.0.1") -> wire.Conversation:
    """A connection whose handshake takes a second."""
    made = wire.Conversation(client=(host, port), server=B).wait(start).open()
    made.send(C, wire.request("/", {"Sec-WebSocket-Key": key})).wait(1).send(S, wire.response(key=key))
    return made.close(S, 1000).close(C, 1000).fin(S).fin(C)


def test_handshakes_at_once() -> None:
    told = judged(all_of(slow(0, 40000, KEYS[0]), slow(0.5, 40001, KEYS[1]), slow(0.6, 40002, KEYS[2])))["HS-C20"]
    assert (told.at_fault, told.verdict, told.count) == ("client", "informational", 2)


def test_handshakes_one_after_the_other_or_of_two_clients() -> None:
    assert "HS-C20" not in judged(all_of(slow(0, 40000, KEYS[0]), slow(2, 40001, KEYS[1])))
    assert "HS-C20" not in judged(all_of(slow(0, 40000, KEYS[0]), slow(0.5, 40001, KEYS[1], host="10.0.0.9")))
