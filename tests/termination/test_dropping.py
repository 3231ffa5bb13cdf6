"""Causes of endings without any Close, each with its near miss."""

from __future__ import annotations

import pytest
import wire
from termination.endings import ending, gone, talk
from wire import C, S


def test_simply_gone() -> None:
    found = ending(gone(talk().wait(0.4), S))
    assert (found.cause, found.others.keys()) == ("abrupt-exit", {"endpoint-killed"})
    assert found.confidence < 0.6


def test_gone_in_the_middle_of_a_frame() -> None:
    assert ending(gone(talk().send(S, wire.frame(wire.BINARY, b"half", length=400)), S)).cause == "endpoint-killed"


def test_gone_in_the_middle_of_a_message() -> None:
    assert ending(gone(talk().text(S, "part", fin=False), S)).cause == "endpoint-killed"


def test_a_known_idle_limit() -> None:
    found = ending(gone(talk(answer={"Server": "nginx/1.22.1"}).wait(60.2), S))
    assert found.cause == "idle-timeout"
    assert "nginx" in found.evidence
    assert 0.6 <= found.confidence < 0.9


def test_a_configured_idle_limit_is_a_round_number() -> None:
    assert ending(gone(talk().wait(7.004), S)).cause == "idle-timeout"
    assert ending(gone(talk().wait(7.4), S)).cause == "abrupt-exit"


@pytest.mark.parametrize("pause", [1.0, 2.0, 3.0])
def test_a_few_seconds_are_a_limit_only_where_more_points_to_one(pause: float) -> None:
    found = ending(gone(talk().wait(pause), S))
    assert (found.cause, found.others["idle-timeout"]) == ("abrupt-exit", 0.4)
    assert ending(gone(talk(answer={"Server": "nginx/1.22.1"}).wait(pause), S)).cause == "idle-timeout"


def test_a_silence_that_was_survived_before_is_no_limit() -> None:
    assert ending(gone(talk().wait(9).text(C, "x").ack(S).wait(7.004), S)).cause == "abrupt-exit"


def test_an_end_right_after_data_is_no_idle_limit() -> None:
    assert ending(gone(talk().wait(60).text(C, "x").ack(S), S)).cause == "abrupt-exit"


def test_an_age_limit_ends_a_connection_in_use() -> None:
    conversation = talk()
    for _ in range(10):
        conversation.wait(2.9).text(C, "x").ack(S)
    found = ending(gone(conversation.wait(0.9), S))
    assert "lifetime-limit" in {found.cause, *found.others}


def test_a_keep_alive_that_leaves_without_a_word() -> None:
    """ws: terminate() when the next beat is due; aiohttp: half a heartbeat after the Ping."""
    conversation = talk().ping(S, b"1").pong(C, b"1").wait(30).ping(S, b"2").ack(C).wait(30)
    found = ending(gone(conversation, S))
    assert found.cause == "keepalive-timeout"
    assert "the host is up, the application does not answer" in found.evidence
    assert found.confidence < 0.9


def test_no_library_is_named_that_gives_up_in_another_way() -> None:
    """tornado's interval and patience are equal, too, but it sends a Close."""
    conversation = talk().ping(S, b"1").pong(C, b"1").wait(1.5).ping(S, b"2").ack(C).wait(1.5)
    assert "tornado" not in ending(gone(conversation, S)).evidence
    conversation = talk().ping(S, b"1").pong(C, b"1").wait(1.5).ping(S, b"2").ack(C).wait(1.5)
    assert "tornado" in ending(gone(conversation.close(S, 1000).ack(C), S)).evidence


def test_a_pong_after_the_end_does_not_count() -> None:
    conversation = talk().ping(S, b"1").ack(C).wait(1.01).fin(S).ack(C).wait(0.3).pong(C, b"1").rst(S)
    assert ending(conversation).cause == "keepalive-timeout"


def test_the_other_sides_ping_is_not_what_the_leaver_waited_for() -> None:
    conversation = talk().ping(C, b"1").ack(S).wait(0.65)
    assert ending(gone(conversation, S)).cause == "abrupt-exit"


def test_the_network_is_gone() -> None:
    conversation = talk().text(C, "data")
    for pause in (0.2, 0.4, 0.8, 1.6):
        conversation.wait(pause).repeat()
    found = ending(conversation)
    assert (found.kind, found.how, found.cause) == ("dropped", "silent", "network-loss")
    assert found.confidence < 0.9


def test_the_network_is_gone_and_a_ping_was_waiting() -> None:
    conversation = talk().ping(S, b"1").pong(C, b"1").wait(1).ping(S, b"2")
    for pause in (0.2, 0.4, 0.8, 1.6):
        conversation.wait(pause).repeat()
    found = ending(conversation)
    assert found.cause == "keepalive-timeout"
    assert "network-loss" in found.others


def test_the_network_is_gone_in_one_direction() -> None:
    """The server hears nothing any more; what it sends, its FIN for one, arrives."""
    conversation = talk().text(C, "data")
    for pause in (0.2, 0.4, 0.8, 1.6):
        conversation.wait(pause).repeat()
    lost = len(wire.frame(wire.TEXT, b"data", mask=wire.MASK))
    conversation.segment(S, flags=wire.FIN | wire.ACK, ack=conversation.seq[C] - lost)
    found = ending(conversation)
    assert (found.how, found.by, found.cause) == ("fin", "server", "network-loss")
    assert "sent its last bytes 5 times" in found.evidence


def test_bytes_that_arrived_at_last_are_no_loss() -> None:
    conversation = talk().text(C, "data")
    for pause in (0.2, 0.4, 0.8, 1.6):
        conversation.wait(pause).repeat()
    assert ending(gone(conversation.ack(S).wait(0.4), S)).cause == "abrupt-exit"


def test_a_reset_from_another_machine() -> None:
    conversation = talk().wait(0.4)
    conversation.ttl = getattr(conversation, "ttl", 64)
    forged = conversation.rst(S).packets[-1]
    at = 14 + 8
    data = bytearray(forged.data)
    data[at] = 40
    conversation.packets[-1] = wire.Packet(forged.time, bytes(data))
    found = ending(conversation)
    assert found.cause == "middlebox-reset"
    assert "another machine" in found.evidence


def hop_less(conversation: wire.Conversation, hops: int = 1) -> wire.Conversation:
    """The last packet comes from nearer than those before."""
    last = conversation.packets[-1]
    data = bytearray(last.data)
    data[14 + 8] += hops
    conversation.packets[-1] = wire.Packet(last.time, bytes(data))
    return conversation


def test_a_reset_from_the_next_router() -> None:
    found = ending(hop_less(talk().text(C, "x").rst(S)))
    assert (found.cause, found.by) == ("middlebox-reset", "server")


@pytest.mark.parametrize("hops", [1, 4])
def test_a_reset_captured_on_both_sides_of_routers(hops: int) -> None:
    """Every packet is there twice, `hops` apart: the RST's first copy and the last packet's second differ by as many."""
    conversation = talk()
    for packet in conversation.text(C, "x").packets[-1:]:
        conversation.packets.append(packet)
    assert ending(hop_less(conversation.rst(C), hops)).cause != "middlebox-reset"


@pytest.mark.parametrize("payload", [b"", b"\0"])
def test_keep_alive_probes_of_tcp_without_an_answer(payload: bytes) -> None:
    conversation = talk().wait(7200.4)
    for _ in range(3):
        conversation.keep_alive(C, payload).wait(75)
    found = ending(conversation.rst(C))
    assert (found.cause, found.how, found.by) == ("network-loss", "rst", "client")
    assert "3 TCP keep-alive probes of the client in a row had no answer" in found.evidence
    assert found.client == (1006, False, True)
    assert found.server == (None, None, False)  # nobody told it


def test_keep_alive_probes_of_tcp_that_were_answered() -> None:
    conversation = talk().wait(0.4)
    for _ in range(3):
        conversation.keep_alive(C).ack(S).wait(0.7)
    assert ending(conversation.rst(C)).cause == "abrupt-exit"


def test_waiting_for_the_answer_to_the_handshake_is_no_silence_survived() -> None:
    slow = wire.Conversation().open().send(C, wire.request("/chat")).wait(9).send(S, wire.response())
    found = ending(gone(slow.text(C, "hi").text(S, "hello").ack(C).wait(6), S))
    assert found.cause == "idle-timeout"


def test_resets_of_both_sides_at_once() -> None:
    assert ending(talk().wait(0.4).rst(S).rst(C)).cause == "middlebox-reset"


def test_a_timer_of_nginx_that_the_last_bytes_did_not_move() -> None:
    conversation = talk(answer={"Server": "nginx/1.22.1"}).wait(0.2).text(C, "x").text(S, "y").ack(C)
    found = ending(gone(conversation.wait(2.8), S))
    assert found.cause == "idle-timeout"
    assert "nginx" in found.evidence


@pytest.mark.parametrize("server", [None, "Cowboy"])
def test_others_move_their_timers_at_once(server: str | None) -> None:
    conversation = talk(answer={"Server": server} if server else {}).wait(0.2).text(C, "x").text(S, "y").ack(C)
    assert ending(gone(conversation.wait(2.8), S)).cause == "abrupt-exit"


def test_a_flow_that_was_forgotten() -> None:
    found = ending(talk().wait(350).text(C, "x").rst(S))
    assert found.cause == "flow-forgotten"
    assert "350" in found.evidence


def test_a_reset_of_data_after_a_short_silence_is_no_forgotten_flow() -> None:
    assert ending(talk().wait(5.4).text(C, "x").rst(S)).cause == "endpoint-killed"


def test_a_receiver_that_does_not_read() -> None:
    conversation = talk().binary(S, bytes(9000)).segment(C, window=0).wait(4.3)
    assert ending(gone(conversation, S)).cause == "slow-consumer"


def test_a_receiver_that_does_not_read_and_leaves_was_not_dropped_for_it() -> None:
    found = ending(talk().binary(S, bytes(9000)).segment(C, window=0).wait(4.3).rst(C))
    assert found.cause == "endpoint-killed"
    assert "zero for 4.30 s" in found.evidence
    assert "slow-consumer" in found.others


def test_a_receiver_that_reads_again_is_not_slow() -> None:
    conversation = talk().binary(S, bytes(9000)).segment(C, window=0).wait(1).ack(C).wait(4.3)
    assert ending(gone(conversation, S)).cause == "abrupt-exit"


def test_a_strict_server_that_says_nothing() -> None:
    """hypercorn ends TCP without a Close when a frame is wrong."""
    found = ending(gone(talk().frame(C, 11, b"").ack(S), S))
    assert found.cause == "protocol-error"
    assert "FR-05" in found.evidence


def test_an_old_offence_is_not_the_reason() -> None:
    assert ending(gone(talk().frame(C, 11, b"").ack(S).wait(20.4), S)).cause == "abrupt-exit"


def test_too_big_for_the_receiver() -> None:
    huge = talk().send(C, wire.frame(wire.BINARY, bytes(30_000), mask=wire.MASK, length=200_000)).ack(S)
    assert ending(gone(huge, S)).cause == "message-too-big"


def test_midstream_takes_off_confidence() -> None:
    whole = talk()
    for i in range(6):
        whole.text(C, f"client {i}").text(S, f"server {i}")
    sure = ending(gone(whole.wait(0.4), S))
    del whole.packets[:5]
    unsure = ending(whole)
    assert unsure.cause == sure.cause
    assert unsure.confidence < sure.confidence


def test_a_heartbeat_that_is_too_slow_for_the_limit() -> None:
    """The race of mattermost issue 8929: the Ping is due when the limit is reached."""
    conversation = talk()
    for i in range(3):
        conversation.wait(59.9).ping(C, b"%d" % i).pong(S, b"%d" % i).ack(C)
    found = ending(gone(conversation.wait(60.01), S))
    assert found.cause == "idle-timeout"
    assert "too seldom for that limit" in found.evidence


@pytest.mark.parametrize(
    ("target", "protocol", "opcode", "goodbye"),
    [("/mqtt", "mqtt", wire.BINARY, b"\xe0\x00"), ("/socket.io/?EIO=4", None, wire.TEXT, b"41")],
)
def test_a_goodbye_of_the_protocol_inside(target: str, protocol: str | None, opcode: int, goodbye: bytes) -> None:
    """paho sends DISCONNECT, the broker ends TCP: nobody crashed."""
    agreed = {"Sec-WebSocket-Protocol": protocol} if protocol else {}
    conversation = wire.Conversation().open().upgrade(target, agreed, agreed).text(C, "hi").text(S, "hello").ack(C).wait(1.4)
    found = ending(gone(conversation.frame(C, opcode, goodbye).ack(S), S))
    assert (found.kind, found.cause) == ("dropped", "normal")
    assert "the client had said goodbye in packet" in found.evidence


def test_the_same_bytes_elsewhere_are_no_goodbye() -> None:
    assert ending(gone(talk().wait(1.4).text(C, "41").ack(S), S)).cause == "abrupt-exit"


def test_a_goodbye_long_before_explains_no_end() -> None:
    agreed = {"Sec-WebSocket-Protocol": "mqtt"}
    conversation = wire.Conversation().open().upgrade("/mqtt", agreed, agreed).binary(C, b"\xe0\x00").ack(S).wait(3.4)
    assert ending(gone(conversation, S)).cause == "abrupt-exit"


@pytest.mark.parametrize(
    ("side", "silence", "cause"),
    [
        (S, 5, "idle-timeout"),
        (C, 5, "abrupt-exit"),
        (C, 10, "abrupt-exit"),
        (C, 20, "idle-timeout"),
        (S, 5.4, "abrupt-exit"),
    ],
)
def test_a_client_that_leaves_after_five_seconds_is_likelier_a_script_than_a_hop(side: int, silence: float, cause: str) -> None:
    found = ending(gone(talk().wait(silence), side))
    assert found.cause == cause
    assert found.confidence <= 0.65
