"""What the rules about permessage-deflate say, and what they leave alone."""

from __future__ import annotations

import random
import zlib

import pytest

from tests.rules.talks import DEFLATE, C, Case, S, Talk, assert_fires, assert_silent, deflated, judged, name, talk, told, wire

RSV1 = wire.RSV1
TAIL = b"\x00\x00\xff\xff"
NOISE = random.Random(1).randbytes(4000)
NO_TAKEOVER = "; server_no_context_takeover; client_no_context_takeover"


def packed(conversation: Talk, side: int, *messages: bytes, **how: bool) -> Talk:
    """These compressed payloads as binary messages of one side."""
    for payload in messages:
        conversation.binary(side, payload, rsv=RSV1, **how)
    return conversation


def shared(*texts: bytes, bits: int = 15) -> list[bytes]:
    """Messages compressed in one context."""
    context = zlib.compressobj(wbits=-bits)
    return [wire.deflate(text, context) for text in texts]


def final(text: bytes) -> bytes:
    """A message that ends with a final block."""
    context = zlib.compressobj(wbits=-15)
    return context.compress(text) + context.flush(zlib.Z_FINISH)


def agreed(offer: str, answer: str) -> Talk:
    """An open connection after this offer and this answer."""
    return talk(
        {"Sec-WebSocket-Extensions": f"permessage-deflate{offer}"}, {"Sec-WebSocket-Extensions": f"permessage-deflate{answer}"}
    )


def plain(count: int) -> bytes:
    """Compression is agreed and nobody uses it."""
    conversation = deflated()
    for _ in range(count):
        conversation.text(C, "x").text(S, "y")
    return conversation.bye()


def useless(payload: bytes) -> bytes:
    return packed(deflated(), C, *[wire.deflate(payload)] * 10).bye()


def refused(code: int, reason: str, message: bytes) -> bytes:
    return packed(deflated(), C, message).close(S, code, reason).close(C, code).fin(S).fin(C).pcap()


TWICE = [NOISE[:2000], NOISE[:2000]]
FAR = NOISE[:1500] + NOISE[:1500]
BOTH = {"Sec-WebSocket-Extensions": "permessage-deflate, permessage-bzip2"}

FIRING: list[Case] = [
    ("PMD-01", "client", talk(DEFLATE).text(C, wire.deflate(b"hi"), rsv=RSV1).bye(), "the server did not accept it"),
    ("PMD-02", "client", deflated().text(C, b"a", rsv=RSV1, fin=False).continuation(C, b"b", rsv=RSV1).bye(), "continuation"),
    ("PMD-03", "server", deflated().ping(S, rsv=RSV1).bye(), "Ping frame of 0 bytes with RSV1"),
    ("PMD-04", "client", packed(deflated(), C, b"\xff\xff\xff\xff").bye(), "no deflate stream"),
    ("PMD-04", "server", packed(deflated(), S, wire.deflate(b"hello hello hello")[:-3]).bye(), "stops within"),
    ("PMD-04", "client", packed(deflated(), C, shared(*TWICE)[1]).bye(), "never sent"),
    ("PMD-05", "server", packed(deflated(), S, wire.deflate(b"hi") + TAIL).bye(), "still ends with 00 00 ff ff"),
    ("PMD-06", "server", packed(deflated(NO_TAKEOVER), S, *shared(*TWICE)).bye(), "needs the window"),
    ("PMD-07", "client", packed(deflated(NO_TAKEOVER), C, *shared(*TWICE)).bye(), "needs the window"),
    ("PMD-08", "server", packed(deflated("; server_max_window_bits=9"), S, wire.deflate(FAR)).bye(), "than 512 bytes"),
    ("PMD-09", "client", packed(deflated("; client_max_window_bits=9"), C, wire.deflate(FAR)).bye(), "than 512 bytes"),
    ("PMD-10", "server", agreed("; x=1", "").bye(), "accepted an offer that has the parameter x"),
    ("PMD-11", "client", agreed("", "; x=1").text(C, "hi").bye(), "has to refuse the answer"),
    ("PMD-12", "server", agreed("", "; client_max_window_bits=10").bye(), "did not offer"),
    ("PMD-13", "server", agreed("; server_max_window_bits=10", "").bye(), "leaves out server_max_window_bits"),
    ("PMD-13", "server", agreed("; server_max_window_bits=10", "; server_max_window_bits=12").bye(), "at most 10"),
    ("PMD-14", "server", agreed("; server_no_context_takeover", "").bye(), "does not repeat"),
    ("PMD-15", "server", agreed("; client_max_window_bits", "; client_max_window_bits").bye(), "without a value"),
    ("PMD-15", "server", agreed("; client_max_window_bits=10", "; client_max_window_bits=11").bye(), "at most 10"),
    ("PMD-16", "client", talk({"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=7"}).bye(), "the value 7"),
    ("PMD-16", "server", agreed("", "; server_max_window_bits=16").bye(), "the value 16"),
    ("PMD-17", "server", talk(BOTH, BOTH).bye(), "2 extensions that use RSV1"),
    ("PMD-18", "client", packed(deflated(), C, b"").bye(), "0 bytes"),
    ("PMD-19", "server", packed(deflated(), S, final(b"hello") + b"\0").bye(), "with a final block"),
    ("PMD-19", "server", packed(deflated(), S, final(b"hello")).bye(), "lacks the byte that must follow"),
    ("PMD-20", "client", packed(deflated(), C, wire.deflate(bytes(2 << 20))).bye(), "inflates to 2,097,152 bytes"),
    ("PMD-21", "client", useless(NOISE[:50]), "10 messages of 500 bytes were compressed to"),
    ("PMD-21", "server", plain(10), "none of 10 messages uses it"),
    ("PMD-23", "server", refused(1002, "RSV1 must be clear", wire.deflate(b"hi")), "a compressed message that inflates well"),
    ("PMD-23", "server", refused(1007, "inflate failed", wire.deflate(b"hi")), "closed with 1007"),
]
NEAR: list[tuple[str, bytes]] = [
    ("PMD-01", deflated().text(C, wire.deflate(b"hi"), rsv=RSV1).bye()),
    ("PMD-01", talk().text(C, b"hi", rsv=RSV1).bye()),  # nothing was offered: FR-04
    ("PMD-02", deflated().text(C, wire.deflate(b"hi")[:2], rsv=RSV1, fin=False).continuation(C, wire.deflate(b"hi")[2:]).bye()),
    ("PMD-03", deflated().ping(S).bye()),
    ("PMD-04", packed(deflated(), C, *shared(*TWICE)).bye()),
    ("PMD-04", packed(deflated(), C, b"\0").bye()),
    ("PMD-05", packed(deflated(), S, wire.deflate(b"hi")).bye()),
    ("PMD-06", packed(deflated(NO_TAKEOVER), S, *map(wire.deflate, TWICE)).bye()),
    ("PMD-06", packed(deflated("; client_no_context_takeover"), S, *shared(*TWICE)).bye()),
    ("PMD-07", packed(deflated("; server_no_context_takeover"), C, *shared(*TWICE)).bye()),
    ("PMD-07", packed(agreed("; client_no_context_takeover", ""), C, *shared(*TWICE)).bye()),  # only a hint
    ("PMD-08", packed(deflated("; server_max_window_bits=9"), S, *shared(FAR, bits=9)).bye()),
    ("PMD-08", packed(deflated("; server_max_window_bits=8"), S, *shared(NOISE[:400] * 2, bits=9)).bye()),  # zlib's 8 is 9
    ("PMD-09", packed(deflated("; client_max_window_bits=12"), C, *shared(FAR, bits=12)).bye()),
    ("PMD-10", agreed("; x=1, permessage-deflate", "").bye()),  # the second offer was accepted
    ("PMD-11", agreed("", "; x=1").close(C, 1010).fin(C).fin(S).pcap()),
    ("PMD-12", agreed("; client_max_window_bits", "; client_max_window_bits=10").bye()),
    ("PMD-13", agreed("; server_max_window_bits=10", "; server_max_window_bits=9").bye()),
    ("PMD-14", agreed("; server_no_context_takeover", "; server_no_context_takeover").bye()),
    ("PMD-15", agreed("; client_max_window_bits=10", "; client_max_window_bits=10").bye()),
    ("PMD-16", agreed('; server_max_window_bits="8"', "; server_max_window_bits=8").bye()),
    ("PMD-17", talk(BOTH, DEFLATE).bye()),
    ("PMD-18", packed(deflated(), C, b"\0").bye()),
    ("PMD-19", packed(deflated(), C, wire.deflate(b"hello")).bye()),
    ("PMD-20", packed(deflated(), C, wire.deflate(bytes(1 << 19))).bye()),
    ("PMD-21", useless(b"hello " * 20)),
    ("PMD-21", plain(9)),
    ("PMD-23", refused(1000, "", wire.deflate(b"hi"))),
    ("PMD-23", refused(1002, "", wire.deflate(b"hi"))),  # an application may say 1002
    ("PMD-23", refused(1007, "inflate failed", b"\xff\xff\xff\xff")),  # a fault it was
]


@pytest.mark.parametrize(("rule", "at_fault", "capture", "words"), FIRING, ids=name)
def test_fires(rule: str, at_fault: str, capture: bytes, words: str) -> None:
    assert_fires(rule, at_fault, capture, words)


@pytest.mark.parametrize(("rule", "capture"), NEAR, ids=name)
def test_near_misses(rule: str, capture: bytes) -> None:
    assert_silent(rule, capture)


@pytest.mark.parametrize("parameters", ["", NO_TAKEOVER, "; server_max_window_bits=10; client_max_window_bits=10"])
def test_compression_as_agreed_breaks_nothing(parameters: str) -> None:
    bits = 10 if "bits" in parameters else 15
    texts = [b"hello hello", b"hello again", NOISE[:3000] * 2]
    messages = [shared(text, bits=bits)[0] for text in texts] if "no_context" in parameters else shared(*texts, bits=bits)
    for side in (C, S):
        assert told(judged(packed(deflated(parameters), side, *messages).bye())) == []


def test_after_lost_bytes_nothing_is_said_of_what_needs_them() -> None:
    first, second = shared(*TWICE)
    conversation = packed(deflated(), C, first)
    del conversation.packets[-1]
    for _ in range(20):
        conversation.ack(S)
        packed(conversation, C, second)
    found = judged(conversation.bye())
    assert told(found) == []
    assert "PMD-04" in {each.rule for each in found}
