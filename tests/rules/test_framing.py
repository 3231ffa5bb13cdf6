"""What the rules about frames say, and what they leave alone."""

from __future__ import annotations

import pytest

from tests.rules.talks import DEFLATE, C, Case, S, assert_fires, assert_silent, deflated, judged, name, talk, told, wire

KEYS = [b"\1\0\0\1", b"\1\0\0\2", b"\1\0\0\3", b"\1\0\0\4"]


def keyed(*keys: bytes) -> bytes:
    """A conversation whose client uses these masking keys."""
    conversation = talk()
    for key in keys:
        conversation.text(C, "x", mask=key)
    return conversation.close(S, 1000).pcap()


def cut(side: int) -> wire.Conversation:
    """A side stops in the middle of a frame of 100 bytes."""
    frame = wire.frame(wire.BINARY, bytes(100), mask=wire.MASK if side == C else None)
    return talk().send(side, frame[:40])


FIRING: list[Case] = [
    ("FR-01", "client", talk().text(C, "hi", mask=None).bye(), "text frame of 2 bytes without"),
    ("FR-01", "client", talk().ping(C, mask=None).bye(), "Ping frame of 0 bytes"),
    ("FR-02", "server", talk().text(S, "hi", mask=wire.MASK).bye(), "text frame of 2 bytes with"),
    ("FR-02", "server", talk().close(C, 1000).close(S, 1000, mask=wire.MASK).pcap(), "Close frame"),
    ("FR-03", "server", talk().text(C, "hi", mask=None).wait(2).text(S, "ok").bye(), "FR-01 (unmasked-client-frame)"),
    ("FR-03", "client", talk().text(S, "hi", mask=wire.MASK).wait(2).text(C, "ok").bye(), "FR-02"),
    ("FR-04", "client", talk().text(C, "hi", rsv=wire.RSV2).bye(), "RSV2 set"),
    ("FR-04", "server", talk().text(S, "hi", rsv=7).bye(), "RSV1 and RSV2 and RSV3"),
    ("FR-04", "server", deflated().text(S, "hi", rsv=wire.RSV3).bye(), "RSV3 set"),
    ("FR-04", "client", talk(DEFLATE).ping(C, rsv=wire.RSV1).bye(), "Ping frame of 0 bytes with RSV1"),
    ("FR-05", "client", talk().frame(C, 3, b"x").bye(), "opcode 3 of 1 byte"),
    ("FR-05", "server", talk().frame(S, 15).bye(), "opcode 15"),
    ("FR-06", "client", talk().send(C, wire.frame(2, mask=wire.MASK, length_form=64, length=1 << 63)).pcap(), "top bit"),
    ("FR-07", "client", talk().text(C, "hello", length_form=16).bye(), "in 16 bits"),
    ("FR-07", "server", talk().binary(S, bytes(125), length_form=64).bye(), "in 64 bits"),
    ("FR-07", "server", talk().ping(S, b"1", length_form=16).bye(), "Ping frame of 1 byte"),
    ("FR-08", "client", keyed(bytes(4), bytes(4)), "2 of 2 frames have the masking key 0"),
    ("FR-08", "client", keyed(wire.MASK, wire.MASK, wire.MASK), "3 of 3 frames have the same"),
    ("FR-08", "client", keyed(*KEYS), "grow by the same step"),
    ("FR-09", "server", talk().frame(C, 3).wait(2).text(S, "ok").bye(), "FR-05 (reserved-opcode)"),
    ("FR-09", "client", talk().text(S, "x", rsv=2).wait(3).pong(C).bye(), "FR-04"),
    ("FR-10", "server", talk().frame(C, 3).fin(S).fin(C).pcap(), "FR-05 (reserved-opcode) with FIN and no Close"),
    ("FR-10", "client", talk().text(S, b"\xff").rst(C).pcap(), "TX-01 (invalid-utf8) with RST"),
    ("FR-11", "client", cut(C).fin(C).fin(S).pcap(), "ends after 34 of 100 bytes of a binary frame"),
    ("FR-11", "server", cut(S).rst(S).pcap(), "38 of 100"),
    ("FR-11", "server", talk().send(S, b"\x82").fin(S).pcap(), "inside the header"),
    ("FR-13", "server", talk().send(S, b"HTTP/1.1 502 Bad Gateway\r\n\r\n").fin(S).pcap(), "an HTTP response"),
    ("FR-13", "client", talk().send(C, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").fin(C).pcap(), "an HTTP request"),
    ("FR-13", "client", talk().send(C, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").fin(C).pcap(), "an HTTP/2 preface"),
    ("FR-13", "client", talk().send(C, b"\x16\x03\x01\x00\x05hello").fin(C).pcap(), "a TLS record"),
    ("FR-14", "client", talk().binary(C, bytes(70_000)).close(S, 1009).close(C, 1009).fin(S).pcap(), "70,000 bytes"),
]

NEAR: list[tuple[str, bytes]] = [
    ("FR-01", talk().text(C, "").ping(C).binary(C, bytes(70_000)).bye()),
    ("FR-02", talk().text(S, "").ping(S).binary(S, bytes(70_000)).bye()),
    ("FR-03", talk().text(C, "hi", mask=None).close(S, 1002).wait(2).close(C, 1002).fin(S).pcap()),
    ("FR-03", talk().text(C, "hi", mask=None).text(S, "under way").fin(S).fin(C).pcap()),
    ("FR-03", talk().text(C, "hi", mask=None).fin(S).wait(5).fin(C).pcap()),
    ("FR-03", talk().text(C, "hi", mask=None).wait(60).fin(C).pcap()),  # silence proves nothing
    ("FR-04", deflated().text(C, wire.deflate(b"hi"), rsv=wire.RSV1).bye()),
    ("FR-04", talk({"Sec-WebSocket-Extensions": "x-new"}, {"Sec-WebSocket-Extensions": "x-new"}).text(C, "hi", rsv=3).bye()),
    ("FR-05", talk().text(C, "h", fin=False).continuation(C, "i").ping(C).pong(C).bye()),
    ("FR-05", talk({"Sec-WebSocket-Extensions": "x-new"}, {"Sec-WebSocket-Extensions": "x-new"}).frame(C, 3).bye()),
    ("FR-06", talk().send(C, wire.frame(2, mask=wire.MASK, length_form=64, length=(1 << 63) - 1)).pcap()),
    ("FR-07", talk().binary(C, bytes(126)).binary(S, bytes(65535)).binary(C, bytes(65536)).bye()),
    ("FR-08", keyed(*KEYS[:2], b"\1\0\0\4", b"abcd")),
    ("FR-08", keyed(bytes(4), *KEYS[:1], b"abcd")),  # one zero among others is chance
    ("FR-09", talk().frame(C, 3).close(S, 1002).wait(2).close(C, 1002).fin(S).pcap()),
    ("FR-09", talk().close(C, 1000).frame(C, 3).wait(2).close(S, 1000).fin(S).pcap()),  # nobody reads what follows a Close
    ("FR-09", talk().text(C, "hello", length_form=16).wait(2).text(S, "ok").bye()),  # nobody has to fail for that
    ("FR-10", talk().frame(C, 3).close(S, 1002).fin(S).pcap()),
    ("FR-10", talk().text(C, "fine").fin(S).fin(C).pcap()),
    ("FR-10", talk().frame(C, 3).fin(C).fin(S).pcap()),  # the faulty side left by itself
    ("FR-10", talk().frame(C, 3).wait(30).fin(S).pcap()),  # too late to be a reaction
    ("FR-11", cut(C).pcap()),  # the capture ended, not the stream
    ("FR-11", cut(C).fin(S).fin(C).pcap()),
    ("FR-12", talk().send(C, wire.frame(2, bytes(3000), mask=wire.MASK), size=1000).bye()),
    ("FR-13", talk().text(S, "HTTP/1.1 502 Bad Gateway\r\n\r\n").bye()),
    ("FR-14", talk().binary(C, bytes(70_000)).close(S, 1008).close(C, 1008).fin(S).pcap()),
    ("FR-14", talk().binary(C, bytes(1000)).close(S, 1009).close(C, 1009).fin(S).pcap()),  # no limit is that low
]
UNVERIFIABLE = ("FR-12",)  # can have no other verdict


@pytest.mark.parametrize(("rule", "at_fault", "capture", "words"), FIRING, ids=name)
def test_fires(rule: str, at_fault: str, capture: bytes, words: str) -> None:
    assert_fires(rule, at_fault, capture, words)


@pytest.mark.parametrize(("rule", "capture"), NEAR, ids=name)
def test_near_misses(rule: str, capture: bytes) -> None:
    assert_silent(rule, capture)


def test_the_limit_that_the_peer_stated_is_named_once() -> None:
    capture = talk().binary(C, bytes(70_000)).close(S, 1009).close(C, 1009).fin(S).fin(C).pcap()
    assert [each.at_fault for each in judged(capture) if each.rule == "FR-14"] == ["client"]


def test_bytes_of_another_protocol_are_told_as_that_and_nothing_else() -> None:
    page = b"HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\nContent-Length: 3\r\n\r\n" + b"\x88\x02\x00\x01" * 100
    assert told(judged(talk().text(C, "hi").send(S, page).fin(S).fin(C).pcap())) == ["FR-13 server"]


def test_frames_lost_from_sight_are_the_captures_fault() -> None:
    conversation = talk().text(C, "one").text(C, "two").drop()
    for _ in range(20):
        conversation.ack(S).text(C, "more")
    (finding,) = [each for each in judged(conversation.bye()) if each.rule == "FR-12"]
    assert (finding.at_fault, finding.verdict) == ("capture", "unverifiable")
