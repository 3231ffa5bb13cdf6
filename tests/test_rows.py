"""A connection's history → its row in the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wire
from wire import C, S

import wsaudit
from wsaudit.kernel.connection import Connection, unpack_detail
from wsaudit.model import NO_HEARTBEAT, ApplicationBeat, Close, Detail, Heartbeat


def rows(talk: wire.Conversation | bytes) -> list[dict[str, Any]]:
    data = talk if isinstance(talk, bytes) else talk.pcap()
    found: list[dict[str, Any]] = wsaudit.audit(data).to_dict()["connections"]
    return found


def test_everything_that_a_row_tells() -> None:
    request = {
        "Origin": "http://a.example",
        "User-Agent": "ua/1",
        "Sec-WebSocket-Protocol": "chat, other",
        "Authorization": "Bearer secret",
    }
    response = {"Server": "srv/2", "Sec-WebSocket-Protocol": "chat"}
    talk = wire.Conversation().open().upgrade("/x?a=1", request, response).text(C, "hi").binary(S, b"123")
    talk.text(C, "a", fin=False).ping(S, b"p").continuation(C, "bc").pong(C, b"p").frame(S, 3, b"??")
    talk.close(C, 1000, "bye").close(S, 1000, "bye").fin(S).fin(C)
    [row] = rows(talk)
    assert row["client"] == {"address": "10.0.0.1", "port": 40000}
    assert row["server"] == {"address": "10.0.0.2", "port": 80}
    shake = row["handshake"]
    assert (shake["outcome"], shake["status"], shake["target"], shake["host"]) == (
        "accepted",
        101,
        "/x?a=<redacted>",
        "example.com",
    )
    assert (shake["origin"], shake["user_agent"], shake["server"]) == ("http://a.example", "ua/1", "srv/2")
    assert (shake["subprotocols_offered"], shake["subprotocol"], shake["latency"]) == (["chat", "other"], "chat", 0.001)
    assert row["frames"]["client"] == {
        "text": 2, "binary": 0, "continuation": 1, "close": 1, "ping": 0, "pong": 1, "reserved": 0,
    }  # fmt: skip
    assert row["frames"]["server"]["reserved"] == 1
    client, server = row["messages"]["client"], row["messages"]["server"]
    assert (client["text"], client["bytes"], client["wire_bytes"]) == (2, 5, 5)
    assert (server["binary"], server["bytes"]) == (1, 3)
    assert row["close"]["client"] == {
        "code": 1000, "reason": "bye", "lost": False, "packet": 13, "time": "2023-11-14T22:13:20.012000000Z",
    }  # fmt: skip
    assert row["close"]["initiator"] == "client"
    assert row["duration"] == 0.015
    assert row["heartbeat"]["pings"] == {"client": 0, "server": 1}
    assert row["last_frames"] == []
    assert "secret" not in str(row)


@pytest.mark.parametrize("payload", [b"", wire.close_payload(1001), wire.close_payload(4001, "kicked")])
def test_a_close_whose_body_was_cut_has_an_unknown_code(payload: bytes, tmp_path: Path) -> None:
    """An empty Close has no code; of one that the capture cut behind its header nobody knows which."""
    long = wire.frame(wire.TEXT, b"x" * 400)
    talk = wire.Conversation().open().upgrade().send(S, long + wire.frame(wire.CLOSE, payload)).close(C, 1001).fin(S).fin(C)
    report = wsaudit.audit(talk.pcap(snaplen=14 + 20 + 20 + len(long) + 2))
    document = report.to_dict()
    close = document["connections"][0]["close"]["server"]
    assert (close["code"], close["lost"]) == (None, payload != b"")
    name = "unknown" if payload else "empty"
    assert document["summary"]["close_codes"] == {"client": {"1001": 1}, "server": {name: 1}}
    words = {"unknown": "cannot be told", "empty": "a Close without a code"}[name]
    assert words in report.to_text()
    assert f'data-facet="sent_server" data-value="{name}"' in report.to_html(tmp_path / "page.html").read_text()
    assert report.connections["server_close_lost"].tolist() == [payload != b""]
    assert f"| {words} |" in report.to_markdown()


def test_network_facts_are_of_both_sides() -> None:
    talk = wire.Conversation().open().upgrade().text(C, "one").text(C, "two").swap().ack(S).segment(S, window=0)
    talk.segment(C, b"\0", seq=(talk.seq[C] - 5) & 0xFFFFFFFF)
    [row] = rows(talk)
    assert row["network"]["out_of_order"] == 1
    assert row["network"]["zero_window"] == 1
    assert row["network"]["retransmissions"] == 1


def test_an_abnormal_end_shows_the_last_frames() -> None:
    talk = wire.Conversation().open().upgrade()
    for i in range(12):
        talk.text(C, "x" * i).text(S, "y")
    [row] = rows(talk.rst(S))
    assert len(row["last_frames"]) == 8
    assert [each["side"] for each in row["last_frames"]] == ["client", "server"] * 4
    assert row["last_frames"][-2]["length"] == 11
    assert row["last_frames"][-1]["packet"] == len(talk.packets) - 1


def test_what_is_missing_is_said() -> None:
    talk = wire.Conversation().open().upgrade().text(C, "x" * 400).text(S, "y").fin(S).fin(C)
    [whole], [cut] = rows(talk), rows(talk.pcap(snaplen=300))
    assert whole["evidence"] == {"complete": True, "midstream": False, "gaps": 0, "truncated_packets": 0}
    assert cut["evidence"] == {"complete": False, "midstream": False, "gaps": 1, "truncated_packets": 1}


@pytest.mark.parametrize("cookie", ["a", 2000 * "a"])
def test_a_get_without_upgrade_to_a_path_that_others_upgrade(cookie: str) -> None:
    """Perhaps a proxy took the upgrade away: told as probable, if the same path is a WebSocket elsewhere."""
    plain = wire.head("GET /ws HTTP/1.1", {"Host": "example.com", "Cookie": cookie, "User-Agent": "ua/1"})
    page = wire.head("GET /page HTTP/1.1", {"Host": "example.com"})
    good = wire.Conversation().open().upgrade("/ws").fin(C).fin(S)
    bad = wire.Conversation(("10.0.0.7", 41000)).open().send(C, plain).send(S, wire.response("404 Not Found"))
    other = wire.Conversation(("10.0.0.8", 41001)).open().send(C, page).send(S, wire.response("404 Not Found"))
    found = rows(wire.pcap(wire.merge(good, bad, other)))
    assert sorted((row["client"]["address"], row["websocket"]) for row in found) == [
        ("10.0.0.1", "confirmed"),
        ("10.0.0.7", "probable"),
    ]
    [probable] = [row["handshake"] for row in found if row["websocket"] == "probable"]
    assert [probable[name] for name in ("target", "host", "user_agent", "status")] == ["/ws", "example.com", "ua/1", 404]


def test_what_is_packed_comes_back() -> None:
    beat = ApplicationBeat("phoenix", 1, 3, None, True, 5, 1 << 41, 9, 0, ("cowboy",))
    for heartbeat in (NO_HEARTBEAT, Heartbeat((1, 2), (0, 1), 10**9, None, 7, (1 << 60, 0)), Heartbeat(application=beat)):
        detail = Detail(
            (1 << 40) + 5, frames=((1 << 40, 2, 3, 4, 5, 6, 7), (0,) * 7), idle=(1, None, 2, 3), heartbeat=heartbeat,
            last_frames=((1 << 60, 8, 1, 0x81, 5),),
        )  # fmt: skip
        made = Connection(1, 2, 3, (b"\n\0\0\1", 4), (b"\n\0\0\2", 5), detail.pack())
        assert made.detail == detail
        assert isinstance(made.detail.heartbeat, Heartbeat)
    assert unpack_detail(Detail(7).pack()) == Detail(7)


def test_rows_that_say_the_same_share_it() -> None:
    talks = [
        wire.Conversation(("10.0.0.1", 40000 + i), start=wire.START + i).open().upgrade().close(C, 1000, "bye").fin(C).fin(S)
        for i in range(2)
    ]
    one, other = wsaudit.audit(wire.pcap(wire.merge(*talks), nanoseconds=True)).audit.connections
    assert one.close == (Close(1000, b"bye"), None)
    assert one.close is other.close
    assert one.server is other.server
