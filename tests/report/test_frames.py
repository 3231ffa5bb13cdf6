"""The tables of frames and messages, from bytes that are known."""

from __future__ import annotations

import pandas
import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st
from wire import C, S

import wsaudit
from wsaudit.errors import UsageError
from wsaudit.report.frames import FRAME_COLUMNS, MESSAGE_COLUMNS


def talk() -> wire.Conversation:
    return wire.Conversation().open().upgrade("/")


def test_frames() -> None:
    sent = talk().text(C, "hi").frame(S, wire.BINARY, b"x" * 300, rsv=wire.RSV2).ping(S, b"1").close(C, 4000, "why").close(S)
    frames = wsaudit.audit(sent.pcap(), frames=True).frames
    assert list(frames.columns) == [column.name for column in FRAME_COLUMNS]
    assert frames["side"].tolist() == ["client", "server", "server", "client", "server"]
    assert frames["type"].tolist() == ["text", "binary", "ping", "close", "close"]
    assert frames["opcode"].tolist() == [1, 2, 9, 8, 8]
    assert frames["length"].tolist() == [2, 300, 1, 5, 0]
    assert frames["length_form"].tolist() == [7, 16, 7, 7, 7]
    assert frames["masked"].tolist() == [True, False, False, True, False]
    assert frames["rsv2"].tolist() == [False, True, False, False, False]
    assert frames["complete"].all()
    assert frames["close_code"].tolist()[3] == 4000
    assert frames["close_code"].isna().tolist() == [True, True, True, False, True]
    assert frames["packet"].tolist() == [6, 7, 8, 9, 10]
    assert frames["time"].tolist() == [pandas.Timestamp(sent.packets[number - 1].time, tz="UTC") for number in (6, 7, 8, 9, 10)]
    assert str(frames["time"].dtype) == "datetime64[ns, UTC]"


def test_a_frame_over_several_packets_and_one_cut_off() -> None:
    sent = talk().send(S, wire.frame(wire.BINARY, bytes(1000)), size=400).send(S, wire.frame(wire.TEXT, b"x", length=99))
    frames = wsaudit.audit(sent.pcap(), frames=True).frames
    assert frames[["packet", "last_packet"]].values.tolist() == [[6, 8], [9, 9]]
    assert frames["complete"].tolist() == [True, False]


def test_messages() -> None:
    sent = talk().text(C, "one").text(C, "two ", fin=False).ping(C).binary(S, b"\0\1", rsv=wire.RSV1)
    sent.continuation(C, "is ", fin=False).continuation(C, "long")
    messages = wsaudit.audit(sent.pcap(), frames=True).messages
    assert list(messages.columns) == [column.name for column in MESSAGE_COLUMNS]
    assert messages["side"].tolist() == ["client", "client", "server"]
    assert messages["kind"].tolist() == ["text", "text", "binary"]
    assert messages["frames"].tolist() == [1, 3, 1]
    assert messages["wire_bytes"].tolist() == [3, 11, 2]
    assert messages["compressed"].tolist() == [False, False, True]
    assert messages["complete"].all()
    assert messages[["packet", "last_packet"]].values.tolist() == [[6, 6], [7, 11], [9, 9]]


def test_messages_that_were_never_finished() -> None:
    sent = talk().text(S, "a", fin=False).text(S, "b").continuation(C, "of nothing").text(C, "c", fin=False)
    messages = wsaudit.audit(sent.pcap(), frames=True).messages
    assert messages[["side", "frames", "complete"]].values.tolist() == [
        ["server", 1, False],
        ["server", 1, True],
        ["client", 1, False],
    ]


def test_connections_apart() -> None:
    conversations = [wire.Conversation(client=("10.0.0.1", port)).open().upgrade("/").text(C, "x") for port in (1000, 1001, 1002)]
    capture = wire.pcap(wire.merge(*conversations))
    report = wsaudit.audit(capture, frames=True)
    assert report.frames["connection"].tolist() == report.messages["connection"].tolist() == [1, 2, 3]


def test_nothing_has_the_same_columns() -> None:
    full, empty = wsaudit.audit(talk().text(C, "x").pcap(), frames=True), wsaudit.audit(talk().pcap(), frames=True)
    for name in ("frames", "messages"):
        assert len(getattr(empty, name)) == 0
        assert getattr(empty, name).dtypes.astype(str).tolist() == getattr(full, name).dtypes.astype(str).tolist()


def test_they_must_be_asked_for() -> None:
    report = wsaudit.audit(talk().pcap())
    with pytest.raises(UsageError, match="frames=True"):
        _ = report.frames
    with pytest.raises(UsageError, match="frames=True"):
        _ = report.messages


SENT = st.tuples(st.sampled_from([C, S]), st.sampled_from([0, 1, 2, 9]), st.booleans(), st.integers(0, 200))


@given(st.lists(SENT, max_size=20))
def test_every_data_frame_is_in_one_message_or_continues_nothing(sent: list[tuple[int, int, bool, int]]) -> None:
    conversation = talk()
    for side, opcode, fin, size in sent:
        conversation.frame(side, opcode, bytes(size), fin=fin or opcode == 9)
    report = wsaudit.audit(conversation.pcap(), frames=True)
    assert report.frames[["opcode", "fin", "length"]].values.tolist() == [[o, f or o == 9, n] for _, o, f, n in sent]
    messages = {C: 0, S: 0}
    orphans, opened = 0, {C: False, S: False}
    for side, opcode, fin, _ in sent:
        if opcode in (1, 2):
            messages[side] += 1
            opened[side] = not fin
        elif opcode == 0 and not opened[side]:
            orphans += 1
        elif opcode == 0 and fin:
            opened[side] = False
    assert len(report.messages) == messages[C] + messages[S]
    assert report.messages["frames"].sum() == sum(opcode != 9 for _, opcode, _, _ in sent) - orphans
