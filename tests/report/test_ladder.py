"""A ladder has everything that was on the wire, in its order, and folds what nobody can read."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
import wire
from wire import C, S

from wsaudit import engine
from wsaudit.options import Options
from wsaudit.report.ladder import Ladder
from wsaudit.report.ladder_text import render_ladder
from wsaudit.report.records import Records
from wsaudit.report.redact import RedactedReport, Redactor

DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}


def ladder_of(*captures: bytes, show_payload: bool = False) -> tuple[Ladder, RedactedReport]:
    """The ladder of the only connection in the captures."""
    first = engine.run(captures, Options())
    records = Records(first, Options())
    kept = engine.run(captures, Options(keep=records.rows[0].first_packet, payload=show_payload))
    assert kept.kept is not None
    redactor = Redactor(show_payload)
    view = RedactedReport(records, redactor)
    return Ladder(kept.kept, kept.frames[0] if kept.frames else None, view.findings, redactor), view


def text_of(*captures: bytes, frames: int = 100, width: int = 80, show_payload: bool = False) -> str:
    ladder, view = ladder_of(*captures, show_payload=show_payload)
    events = list(ladder.events(ladder.chosen(frames)))
    return render_ladder("x.pcap", view.connection(0), 1, events, view.findings, width)


def kinds(events: list[dict[str, Any]]) -> str:
    return " ".join(event.get("type") or event["event"] for event in events)


def sides(events: list[dict[str, Any]]) -> str:
    return "".join(event["side"][0] for event in events)


def chat() -> wire.Conversation:
    return (
        wire.Conversation()
        .open()
        .upgrade("/chat?token=secret")
        .text(C, "hi")
        .text(S, "hello")
        .close(C, 1000, "bye")
        .close(S, 1000)
        .fin(S)
        .fin(C)
    )


def test_everything_in_order() -> None:
    ladder, _ = ladder_of(chat().pcap())
    events = list(ladder.events())
    assert kinds(events) == "syn syn-ack request response text text close close fin fin"
    assert sides(events) == "cscscscssc"
    assert [event["packet"] for event in events] == sorted(event["packet"] for event in events)
    assert (events[6]["code"], events[6]["name"], events[6]["reason"]) == (1000, "Normal Closure", "bye")
    assert events[4]["masked"]
    assert not events[5]["masked"]


def test_what_is_captured_together_stays_in_order() -> None:
    """101 and first frame in one segment, Close and FIN in another."""
    talk = wire.Conversation().open().send(C, wire.request("/"))
    talk.send(S, wire.response() + wire.frame(wire.TEXT, b"x")).segment(S, wire.frame(wire.CLOSE), wire.ACK | wire.FIN)
    ladder, _ = ladder_of(talk.pcap())
    assert kinds(list(ladder.events())) == "syn syn-ack request response text close fin capture-end"


def test_fragments_are_numbered() -> None:
    talk = wire.Conversation().open().upgrade("/").text(C, "a").text(C, "b", fin=False).text(S, "other")
    talk.ping(C).continuation(C, "c", fin=False).continuation(C, "d")
    ladder, _ = ladder_of(talk.pcap())
    numbers = [(e["message"], e["fragment"]) for e in ladder.events() if e["event"] == "frame" and e["side"] == "client"]
    assert numbers == [(1, None), (2, 1), (None, None), (2, 2), (2, 3)]


def test_findings_stand_at_their_frame() -> None:
    talk = wire.Conversation().open().upgrade("/").text(C, "first").frame(C, wire.TEXT, b"bare", mask=None).text(C, "last")
    ladder, _ = ladder_of(talk.pcap())
    found = {event.get("packet"): [f["rule"] for f in event["findings"]] for event in ladder.events() if event["findings"]}
    bare = next(event for event in ladder.events() if event["event"] == "frame" and not event["masked"])
    assert "FR-01" in found[bare["packet"]]


def test_every_finding_is_somewhere() -> None:
    talk = wire.Conversation().open().upgrade("/", response={"Sec-WebSocket-Accept": "wrong"})
    talk.frame(C, wire.TEXT, b"x", mask=None).frame(S, 3, b"x").close(S, 1005).fin(S).rst(C)
    ladder, view = ladder_of(talk.pcap())
    shown = [finding["fingerprint"] for event in ladder.events() for finding in event["findings"]]
    assert sorted(shown) == sorted(finding["fingerprint"] for finding in view.findings)
    assert len(shown) >= 3
    folded = [finding["fingerprint"] for event in ladder.events(set()) for finding in event["findings"]]
    assert sorted(folded) == sorted(shown)


def long_talk(count: int) -> wire.Conversation:
    talk = wire.Conversation().open().upgrade("/")
    for number in range(count):
        talk.text(S, "x" * 10)
        if number % 10 == 0:
            talk.ping(S).pong(C)
    return talk.close(S, 1001).close(C, 1001).fin(S).fin(C)


def test_long_connections_are_folded() -> None:
    ladder, _ = ladder_of(long_talk(1000).pcap())
    shown = ladder.chosen(30)
    assert len(shown) == 30
    events = list(ladder.events(shown))
    folds = [event for event in events if event["event"] == "folded"]
    frames = [event for event in events if event["event"] == "frame"]
    assert len(frames) + sum(fold["frames"] for fold in folds) == ladder.count == 1202
    assert sum(sum(fold["counts"]["client"].values()) for fold in folds) + sum(f["side"] == "client" for f in frames) == 101
    assert kinds(events).endswith("close close fin fin")
    assert folds[0]["bytes"]["server"]["text"] == 10 * folds[0]["counts"]["server"]["text"]


@pytest.mark.parametrize("limit", [1, 2, 7, 29, 1202, 5000])
def test_never_more_than_asked_for(limit: int) -> None:
    ladder, _ = ladder_of(long_talk(1000).pcap())
    assert len(ladder.chosen(limit)) == min(limit, 1202)
    assert len(ladder.around(600, limit)) == min(limit, 1202)


def test_around_a_packet() -> None:
    ladder, _ = ladder_of(long_talk(1000).pcap())
    packets = [event["packet"] for event in ladder.events(ladder.around(600, 11)) if event["event"] == "frame"]
    assert packets == list(range(595, 606))


def test_the_longest_silence_is_not_folded_away() -> None:
    talk = wire.Conversation().open().upgrade("/")
    for number in range(400):
        talk.text(S, "x")
        if number == 250:
            talk.wait(90)
    assert "(90.0 s of silence)" in text_of(talk.pcap(), frames=30)


def test_the_closes_and_the_faults_are_never_folded() -> None:
    talk = wire.Conversation().open().upgrade("/")
    for number in range(200):
        talk.text(S, "x")
        if number == 77:
            talk.frame(S, 3, b"reserved")
    talk.close(S, 1001)
    for _ in range(200):
        talk.text(C, "still here")
    ladder, _ = ladder_of(talk.pcap())
    shown = [event for event in ladder.events(ladder.chosen(20)) if event["event"] == "frame"]
    assert {"close", "reserved"} <= {event["type"] for event in shown}


def test_lost_bytes_and_refilled_order() -> None:
    talk = wire.Conversation().open().upgrade("/").text(S, "one").text(S, "two").swap().text(S, "three").text(S, "four").drop()
    for number in range(20):
        talk.text(S, str(number)).ack(C)
    ladder, _ = ladder_of(talk.pcap())
    events = list(ladder.events())
    gap = next(event for event in events if event["event"] == "gap")
    assert gap["length"] == 6
    assert gap["side"] == "server"
    packets = [event["packet"] for event in events]
    assert packets == sorted(packets)


def test_secrets_and_payload_need_to_be_asked_for() -> None:
    talk = chat().pcap()
    ladder, _ = ladder_of(talk)
    hidden = str(list(ladder.events()))
    assert "secret" not in hidden
    assert "hello" not in hidden
    ladder, _ = ladder_of(talk, show_payload=True)
    events = list(ladder.events())
    assert events[2]["target"] == "/chat?token=secret"
    assert [event["payload"] for event in events if event.get("type") == "text"] == ["hi", "hello"]


def test_payload_is_inflated() -> None:
    context = zlib.compressobj(wbits=-15)
    talk = wire.Conversation().open().upgrade("/", request=DEFLATE, response=DEFLATE)
    for _ in range(2):
        talk.text(S, wire.deflate(b"compressed words", context), rsv=wire.RSV1)
    parts = wire.deflate(b"in two parts", context)
    talk.text(S, parts[:3], rsv=wire.RSV1, fin=False).continuation(S, parts[3:]).binary(S, b"\x00\xff")
    ladder, _ = ladder_of(talk.pcap(), show_payload=True)
    shown = [event["payload"] for event in ladder.events() if event["event"] == "frame"]
    assert shown == ["compressed words", "compressed words", None, "in two parts", "00 ff"]


def test_compressed_payload_of_unknown_agreement_is_not_shown() -> None:
    talk = wire.Conversation().open().upgrade("/").text(S, wire.deflate(b"words"), rsv=wire.RSV1)
    ladder, _ = ladder_of(talk.pcap(), show_payload=True)
    assert [event["payload"] for event in ladder.events() if event["event"] == "frame"] == [None]


def test_hostile_text_is_inert_and_80_columns_are_enough() -> None:
    evil = "\x1b[2J\u202e\r\n" + "x" * 300
    talk = wire.Conversation().open().upgrade("/" + "y" * 300 + "?a=\x1b[0m").text(S, evil)
    talk.close(S, 1001, "\x1b[31m\u202ered" + "z" * 90).close(C, 4999, b"\xff\xfe").rst(S)
    text = text_of(talk.pcap(), show_payload=True)
    assert all(line.isprintable() for line in text.splitlines())
    assert max(map(len, text.split("\nNext\n")[0].splitlines())) <= 80
    assert "\\x1b[2J" in text
    assert "4999 private" in text


def test_silence_is_seen() -> None:
    talk = wire.Conversation().open().upgrade("/").text(S, "x").wait(60).fin(S).fin(C)
    assert "(60.0 s of silence)" in text_of(talk.pcap())
    assert "silence" not in text_of(chat().pcap())


def test_a_peer_that_vanished() -> None:
    talk = wire.Conversation().open().upgrade("/").text(S, "x").ack(C).text(S, "lost")
    for seconds in (1, 2, 4, 8):
        talk.wait(seconds).repeat()
    text = text_of(talk.pcap())
    assert "its last bytes retransmitted 4 times over" in " ".join(text.split())
    assert "never acknowledged" in " ".join(text.split())


def test_the_end_is_told() -> None:
    text = " ".join(text_of(chat().pcap()).split())
    assert "connection 1 of 1: closed" in text
    assert "client its API reports 1000 Normal Closure, clean" in text
    assert "ip.addr == 10.0.0.1 && ip.addr == 10.0.0.2 && tcp.port == 40000 && tcp.port == 80" in text


def test_without_frames() -> None:
    refused = wire.Conversation().open().send(C, wire.request("/")).send(S, wire.response("403 Forbidden")).fin(S).fin(C)
    ladder, _ = ladder_of(refused.pcap())
    assert kinds(list(ladder.events(ladder.chosen(10)))) == "syn syn-ack request response fin fin"
    assert ladder.around(3, 5) == set()


def test_over_two_captures() -> None:
    packets = chat().packets
    ladder, view = ladder_of(wire.pcap(packets[:6]), wire.pcap(packets[6:]))
    events = list(ladder.events())
    assert kinds(events) == "syn syn-ack request response text text close close fin fin"
    assert {event["input"] for event in events} == {0, 1}
    text = render_ladder("2 captures", view.connection(0), 1, events, view.findings)
    assert "from here on in capture 2" in text
