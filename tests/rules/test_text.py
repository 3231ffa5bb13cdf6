"""What the rules about text say, and what they leave alone: every class of invalid UTF-8 at every border of two fragments."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.rules.talks import C, Case, S, Talk, assert_fires, assert_silent, deflated, judged, name, talk, told, wire

# RFC 3629 §3 and §4: what is not UTF-8, by the reason.
INVALID = {
    "lone continuation": b"\x80",
    "last continuation": b"\xbf",
    "lead of two, cut": b"\xc3",
    "lead of three, cut": b"\xe2\x82",
    "lead of four, cut": b"\xf0\x9f\x98",
    "lead of two, then ASCII": b"\xc3A",
    "lead of three, then ASCII": b"\xe2\x82A",
    "lead of four, then ASCII": b"\xf0\x9f\x98A",
    "overlong of two, C0": b"\xc0\xaf",
    "overlong of two, C1": b"\xc1\xbf",
    "overlong of three": b"\xe0\x80\xaf",
    "longest overlong of three": b"\xe0\x9f\xbf",
    "overlong of four": b"\xf0\x80\x80\xaf",
    "longest overlong of four": b"\xf0\x8f\xbf\xbf",
    "first surrogate": b"\xed\xa0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "pair of surrogates": b"\xed\xa0\x81\xed\xb0\x80",
    "beyond U+10FFFF": b"\xf4\x90\x80\x80",
    "lead F5": b"\xf5\x80\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
}
VALID = {
    "ASCII": b"plain",
    "NUL": b"\0",
    "two bytes": "\x80\u07ff".encode(),
    "three bytes": "\u0800\uffff".encode(),
    "before the surrogates": "\ud7ff".encode(),
    "behind the surrogates": "\ue000".encode(),
    "four bytes": "\U00010000\U0010ffff".encode(),
    "noncharacters": "\ufffe\ufdd0".encode(),
}


def in_pieces(side: int, payload: bytes, *cuts: int) -> Talk:
    """A text message in fragments that are cut at these places."""
    borders = [0, *cuts, len(payload)]
    conversation = talk()
    for index, (start, end) in enumerate(pairwise(borders)):
        conversation.frame(
            side, wire.CONTINUATION if index else wire.TEXT, payload[start:end], fin=end == len(payload) and index == len(cuts)
        )
    return conversation


def mqtt(kind: str) -> bytes:
    chosen = {"Sec-WebSocket-Protocol": "mqtt"}
    conversation = talk(chosen, chosen)
    return (conversation.text(C, "x") if kind == "text" else conversation.binary(C, b"x")).bye()


def graphql(kind: str) -> bytes:
    chosen = {"Sec-WebSocket-Protocol": "graphql-transport-ws"}
    conversation = talk(chosen, chosen)
    return (conversation.text(S, "{}") if kind == "text" else conversation.binary(S, b"{}")).bye()


def slowly(closing: bool) -> bytes:
    """A bad byte, three seconds, the rest of the message; then the server fails the connection, or did so at once."""
    conversation = talk().text(C, b"\xff", fin=False)
    if closing:
        conversation.close(S, 1007)
    conversation.wait(3).continuation(C, "the rest")
    if not closing:
        conversation.close(S, 1007)
    return conversation.fin(S).fin(C).pcap()


BAD = b"good \xff bad"
FIRING: list[Case] = [
    ("TX-01", "client", talk().text(C, "fine").text(C, BAD).bye(), "text message 2 is not valid UTF-8"),
    ("TX-01", "server", deflated().text(S, wire.deflate(BAD), rsv=wire.RSV1).bye(), "a compressed text message"),
    ("TX-02", "server", talk().text(C, BAD).wait(2).text(S, "ok").bye(), "TX-01 (invalid-utf8)"),
    ("TX-03", "server", slowly(closing=False), "closed 3.0 s after the first bad byte"),
    ("TX-04", "client", talk().close(C, 1000, b"\xff").close(S, 1000).fin(S).pcap(), "reason of Close 1000"),
    ("TX-04", "server", talk().close(S, 4000, "grüße".encode()[:-3] + b"\xc3").fin(S).pcap(), "not valid UTF-8 at byte"),
    ("TX-05", "client", mqtt("text"), "text messages in mqtt"),
    ("TX-05", "server", graphql("binary"), "binary messages in graphql-transport-ws"),
]
NEAR: list[tuple[str, bytes]] = [
    ("TX-01", talk().binary(C, BAD).bye()),
    ("TX-01", deflated().text(S, wire.deflate("grüße".encode()), rsv=wire.RSV1).bye()),
    ("TX-02", talk().text(C, BAD).close(S, 1007).wait(2).close(C, 1007).fin(S).pcap()),
    ("TX-02", talk().text(C, BAD).text(S, "under way").fin(S).pcap()),
    ("TX-03", slowly(closing=True)),
    ("TX-04", talk().close(C, 1000, "grüße").close(S, 1000).fin(S).pcap()),
    ("TX-04", talk().close(C, 1000, b"x" * 122 + "ü".encode()).fin(S).pcap()),  # too long; only its beginning is kept
    ("TX-05", mqtt("binary")),
    ("TX-05", graphql("text")),
    ("TX-05", talk().text(C, "x").binary(C, b"x").bye()),
]


@pytest.mark.parametrize(("rule", "at_fault", "capture", "words"), FIRING, ids=name)
def test_fires(rule: str, at_fault: str, capture: bytes, words: str) -> None:
    assert_fires(rule, at_fault, capture, words)


@pytest.mark.parametrize(("rule", "capture"), NEAR, ids=name)
def test_near_misses(rule: str, capture: bytes) -> None:
    assert_silent(rule, capture)


@pytest.mark.parametrize("kind", INVALID)
def test_invalid_sequences_at_every_border(kind: str) -> None:
    payload = b"a" + INVALID[kind]
    for cut in range(len(payload) + 1):
        for side in (C, S):
            assert "TX-01 " + ("client", "server")[side] in told(judged(in_pieces(side, payload, cut).bye())), (cut, side)
    assert told(judged(in_pieces(C, payload, *range(1, len(payload))).bye())) == ["TX-01 client"]


@pytest.mark.parametrize("kind", VALID)
def test_valid_sequences_at_every_border(kind: str) -> None:
    payload = VALID[kind] + "é".encode()
    for cut in range(len(payload) + 1):
        for side in (C, S):
            assert told(judged(in_pieces(side, payload, cut).bye())) == [], (cut, side)


@pytest.mark.parametrize("kind", INVALID)
def test_invalid_sequences_when_inflated(kind: str) -> None:
    wired = wire.deflate(b"a" + INVALID[kind])
    for cut in range(1, len(wired)):
        conversation = deflated().text(C, wired[:cut], rsv=wire.RSV1, fin=False).ping(S).pong(C).continuation(C, wired[cut:])
        assert told(judged(conversation.bye())) == ["TX-01 client"], cut


def test_lost_text_accuses_nobody() -> None:
    bad = wire.frame(wire.TEXT, b"x" * 3000 + b"\xff", mask=wire.MASK)
    conversation = talk().send(C, bad, size=1000)
    del conversation.packets[-3]
    for _ in range(20):
        conversation.ack(S).text(C, "more")
    verdicts = {each.verdict for each in judged(conversation.bye()) if each.rule == "TX-01"}
    assert verdicts == {"unverifiable"}
