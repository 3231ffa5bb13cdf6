"""Open connections that fell silent although the capture went on."""

from __future__ import annotations

from typing import Any

import pytest
import wire
from termination.endings import gone, read, report, talk
from wire import C, S

from wsaudit.kernel.connection import Connection
from wsaudit.model import SECOND, Detail, Heartbeat, Termination
from wsaudit.termination.clusters import Population
from wsaudit.termination.incidents import find_incidents
from wsaudit.termination.quiet import doubt_open


def beating(beats: int = 10, every: float = 2.0, port: int = 40000, **how: Any) -> wire.Conversation:
    """Pings of the server with their Pongs; then nothing."""
    conversation = talk(port, **how)
    for number in range(beats):
        conversation.wait(every).ping(S, b"%d" % number).pong(C, b"%d" % number).ack(S)
    return conversation


def witness(lasting: float) -> wire.Conversation:
    """Another connection, closed at the end of the capture."""
    other = talk(50000, "10.0.0.8", "10.0.0.9").wait(lasting)
    return gone(other.close(C, 1000).close(S, 1000), S)


def told(conversation: wire.Conversation, lasting: float) -> tuple[str, str, float, dict[str, float], str]:
    found = read(report([conversation, witness(lasting)])["connections"][0])
    return found.kind, found.cause, found.confidence, found.others, found.evidence


def test_heartbeats_that_no_longer_come() -> None:
    kind, cause, confidence, others, evidence = told(beating(), 60)
    assert (kind, cause, confidence) == ("ongoing", "none", 0.5)
    assert others == {"network-loss": 0.45}
    assert "Pings had come every 2.00 s" in evidence
    assert "in the last 39.98 s of the capture nothing came" in evidence
    assert "asleep" in evidence


def test_an_applications_heartbeats_count_as_well() -> None:
    conversation = talk()
    for _ in range(8):
        conversation.wait(3).text(C, '{"type":"ping"}').text(S, '{"type":"pong"}').ack(C)
    assert told(conversation, 90)[2] == 0.5


def test_the_next_heartbeat_was_hardly_late() -> None:
    assert told(beating(), 25)[2] == 0.98


def test_heartbeats_that_had_stopped_before_are_not_missed() -> None:
    conversation = beating(5).wait(30).text(C, "hi").text(S, "hello").ack(C)
    assert told(conversation, 80)[2] == 0.98


def test_two_beats_are_no_rhythm() -> None:
    assert told(beating(2), 60)[2] == 0.98


def feed(count: int, every: float) -> wire.Conversation:
    conversation = talk()
    for _ in range(count):
        conversation.wait(every).text(S, "tick").ack(C)
    return conversation


def test_a_feed_that_stops() -> None:
    kind, cause, confidence, others, evidence = told(feed(100, 0.3), 80)
    assert (kind, cause, confidence, others) == ("ongoing", "none", 0.7, {"network-loss": 0.3})
    assert "no pause was longer than 302 ms" in evidence


def test_what_came_in_one_go_is_no_feed() -> None:
    """Subscribe, take what there is, wait."""
    assert told(feed(100, 0.01), 80)[2] == 0.98


def test_a_feed_with_such_pauses_has_not_stopped() -> None:
    conversation = feed(50, 0.3).wait(20)
    for _ in range(50):
        conversation.wait(0.3).text(S, "tick").ack(C)
    assert told(conversation, 100)[2] == 0.98


def test_who_has_said_goodbye_is_not_missed() -> None:
    assert told(beating().close(S, 1000).ack(C), 80)[2] == 0.98


def test_lost_packets_tell_nothing_by_their_absence() -> None:
    conversation = beating().text(S, "lost").drop().ping(S, b"x").pong(C, b"x").ack(S)
    assert told(conversation, 80)[4].count("nothing came") == 0


def test_many_that_fall_silent_together_are_an_incident() -> None:
    cut = [beating(10, 2, 40000 + i, start=wire.START + i * SECOND // 7) for i in range(8)]
    found = report([*cut, witness(80)])
    (incident,) = found["incidents"]
    assert (incident["kind"], incident["cause"], incident["confidence"]) == ("mass-silent-end", "network-loss", 0.55)
    assert len(incident["connections"]) == 8
    told = [found["connections"][number - 1]["termination"] for number in incident["connections"]]
    assert {(each["class"], each["cause"]) for each in told} == {("ongoing", "none")}
    assert found["summary"]["abnormal"]["count"] == 0


def test_where_others_of_the_two_hosts_go_on_the_network_is_there() -> None:
    """A server process that hangs beside one that does not."""
    stuck = [beating(10, 2, 40000 + i, start=wire.START + i * SECOND // 7) for i in range(8)]
    other = wire.Conversation(("10.0.0.1", 41000), ("10.0.0.2", 81)).open().upgrade()
    for number in range(40):
        other.wait(2).ping(S, b"%d" % number).pong(C, b"%d" % number).ack(S)
    found = report([*stuck, other])
    (incident,) = found["incidents"]
    assert (incident["cause"], incident["confidence"]) == ("endpoint-killed", 0.5)
    assert "went on" in incident["detail"]
    assert "hang" in incident["confirm"]
    first = read(found["connections"][0])
    assert (first.cause, first.confidence, first.others) == ("none", 0.5, {"endpoint-killed": 0.45})
    assert "the network is there" in first.evidence


def test_who_comes_back_later_does_not_tell_that_the_network_was_there() -> None:
    stuck = [beating(10, 2, 40000 + i, start=wire.START + i * SECOND // 7) for i in range(8)]
    again = beating(10, 2, 41000, start=wire.START + 60 * SECOND)
    found = report([*stuck, again])
    assert [each["cause"] for each in found["incidents"]] == ["network-loss"]
    assert read(found["connections"][0]).others == {"network-loss": 0.45}


def test_those_that_fall_silent_one_by_one_are_none() -> None:
    apart = [beating(10 + 6 * i, 2, 40000 + i, address=f"10.0.1.{i}") for i in range(8)]
    assert report([*apart, witness(200)])["incidents"] == []


@pytest.mark.parametrize("probes", [2, 4])
def test_probes_that_nobody_answers_when_the_capture_ends(probes: int) -> None:
    conversation = talk()
    for _ in range(probes):
        conversation.wait(10).keep_alive(S)
    found = read(report([conversation])["connections"][0])
    assert (found.kind, found.cause) == ("ongoing", "none")
    assert found.confidence == (0.5 if probes == 4 else 0.98)
    assert found.others == ({"network-loss": 0.5} if probes == 4 else {})


# -- how long the capture went on ----------------------------------------------------------------------------


def pinged(ended: int, number: int = 0) -> Connection:
    """An open connection of the input `number`, with Pings up to its end."""
    packet, last = (number << 40) + 1 + ended, wire.START + ended * SECOND
    beat = Heartbeat((0, 9), interval=2 * SECOND, last_ping=(0, last))
    detail = Detail(packet, heartbeat=beat, silence=2 * SECOND)
    row = Connection(packet, wire.START, last, (b"\n\0\0\1", 1), (b"\n\0\0\2", 80), detail.pack(), outcome="accepted")
    row.termination = Termination("ongoing", "capture-end", None, "none", 0.98, ())
    return row


def test_without_a_witness_the_input_tells() -> None:
    assert doubt_open(Population([pinged(20)])) == []
    assert len(doubt_open(Population([pinged(20)]), [wire.START + 60 * SECOND])) == 1
    row = pinged(20)
    find_incidents([row], last_times=[wire.START + 60 * SECOND])
    assert row.termination.confidence == 0.5


def test_another_input_tells_nothing() -> None:
    """It may be of another machine."""
    assert doubt_open(Population([pinged(20), pinged(90, 1)])) == []
    assert doubt_open(Population([pinged(20), pinged(90, 1)]), [wire.START + 21 * SECOND, wire.START + 90 * SECOND]) == []


def test_of_several_inputs_each_has_its_end() -> None:
    late = pinged(20)
    late.started = wire.START + 70 * SECOND
    late.first_packet += 5
    assert len(doubt_open(Population([pinged(20), late, pinged(90, 1)]))) == 2
