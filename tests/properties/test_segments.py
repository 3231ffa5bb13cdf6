"""What one side said does not depend on how it was cut into segments, nor on the order and number of times they were captured."""

from __future__ import annotations

from typing import Any

import wire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire import PSH, C, S

import wsaudit

relaxed = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
OPCODES = st.sampled_from([wire.TEXT, wire.TEXT, wire.BINARY, wire.CONTINUATION, wire.PING, wire.PONG, 3])
PAYLOADS = st.one_of(st.text(max_size=30).map(str.encode), st.binary(max_size=200))
FRAMES = st.lists(
    st.builds(wire.frame, OPCODES, PAYLOADS, fin=st.booleans(), rsv=st.sampled_from([0] * 5 + [4, 1]), mask=st.just(wire.MASK)),
    max_size=8,
)


def facts(packets: list[wire.Packet], start: int = wire.START) -> Any:
    """What was found, without the places in the capture and what depends on time and on the network."""
    found = wsaudit.audit(wire.pcap([packet._replace(time=start + i * 1000) for i, packet in enumerate(packets)])).to_dict()
    rows = [
        {name: row[name] for name in ("frames", "messages", "reported", "handshake")}
        | {"codes": [close and (close["code"], close["reason"]) for close in (row["close"]["client"], row["close"]["server"])]}
        | {"gaps": row["evidence"]["gaps"], "class": row["termination"]["class"], "by": row["termination"]["by"]}
        for row in found["connections"]
    ]
    for row in rows:
        row["handshake"] = {name: value for name, value in row["handshake"].items() if name != "latency"}
    judged = [(each["rule"], each["verdict"], each["direction"], each["offset"], each["count"]) for each in found["findings"]]
    return rows, sorted(each for each in judged if each[0][:2] in ("FR", "FG", "CT", "TX"))


def opened() -> wire.Conversation:
    return wire.Conversation().open().upgrade()


@relaxed
@given(frames=FRAMES, sizes=st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_any_cut_of_a_stream(frames: list[bytes], sizes: list[int]) -> None:
    data = b"".join(frames) + wire.frame(wire.CLOSE, b"\x03\xe8", mask=wire.MASK)
    whole = opened().send(C, data, size=60_000).fin(C).fin(S)
    cut = opened()
    at = 0
    for size in (sizes * (len(data) // sum(sizes) + 1))[: len(data)]:
        cut.send(C, data[at : at + size])
        at += size
        if at >= len(data):
            break
    assert facts(cut.fin(C).fin(S).packets) == facts(whole.packets)


@relaxed
@given(
    frames=FRAMES,
    size=st.integers(1, 50),
    moves=st.lists(st.tuples(st.integers(0, 200), st.integers(1, 10)), max_size=12),
    doubles=st.lists(st.integers(0, 200), max_size=8),
    joins=st.lists(st.integers(0, 200), max_size=4),
)
def test_any_reordering_and_duplication(
    frames: list[bytes], size: int, moves: list[Any], doubles: list[int], joins: list[int]
) -> None:
    """Segments come up to ten places too late, come again, and come again joined with the next."""
    data = b"".join(frames) + wire.frame(wire.CLOSE, b"\x03\xe8", mask=wire.MASK)
    talk = opened()
    first = len(talk.packets)
    start = talk.seq[C]
    talk.send(C, data, size=size)
    segments = talk.packets[first:]
    expected = facts([*talk.packets[:first], *segments, *opened_end(talk)])
    for i in joins:
        at = i % len(segments) * size
        packet = wire.tcp(*talk.ends, start + at, talk.seq[S], PSH | wire.ACK, data[at : at + 2 * size])
        segments.append(wire.Packet(0, wire.link(packet)))
    for i in doubles:
        segments.insert(i % (len(segments) + 1), segments[i % len(segments)])
    for i, places in moves:
        segment = segments.pop(i % len(segments))
        segments.insert(i % (len(segments) + 1) + places, segment)
    assert facts([*talk.packets[:first], *segments, *opened_end(talk)]) == expected


def opened_end(talk: wire.Conversation) -> list[wire.Packet]:
    """The packets that end the conversation, without changing it."""
    ending = wire.Conversation()
    ending.seq = list(talk.seq)
    return ending.ack(S).fin(C).fin(S).packets
