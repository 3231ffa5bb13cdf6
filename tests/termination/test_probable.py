"""Connections that may have been WebSockets although nobody could look inside."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import wire
from termination.endings import gone, report, talk
from wire import C, S

from wsaudit.kernel.streams import Flow
from wsaudit.model import CLIENT, SECOND, SERVER
from wsaudit.termination.probable import explain_tls
from wsaudit.tls.facts import Alert, TlsFacts

RST_ACK = wire.RST | wire.ACK


def refused_connect(port: int = 50000, server: str = "10.0.0.2") -> wire.Conversation:
    conversation = wire.Conversation(client=("10.0.0.7", port), server=(server, 80), start=wire.START + 5 * wire.SECOND)
    return conversation.segment(C, flags=wire.SYN)._advance(C, 1).segment(S, flags=RST_ACK)


def test_a_connect_refused_where_websockets_were_seen() -> None:
    found = report([gone(talk().close(C, 1000).close(S, 1000), S), refused_connect()])
    assert [each["websocket"] for each in found["connections"]] == ["confirmed", "probable"]
    end = found["connections"][1]["termination"]
    assert (end["class"], end["how"], end["by"], end["cause"]) == ("failed", "rst", "server", "connect-failed")
    assert found["connections"][1]["reported"]["client"]["code"] == 1006
    assert found["summary"]["connections"] == 1


def test_a_connect_refused_elsewhere_is_none_of_our_business() -> None:
    found = report([gone(talk().close(C, 1000).close(S, 1000), S), refused_connect(server="10.0.0.3")])
    assert len(found["connections"]) == 1


def tls(facts: TlsFacts, seconds: int = 60, fin: int | None = SERVER) -> tuple[Flow, SimpleNamespace]:
    flow = Flow(b"\x0a\0\0\1", 40000, b"\x0a\0\0\2", 443)
    flow.first_time, flow.last_time = SECOND, (1 + seconds) * SECOND
    if fin is not None:
        side = (flow.a, flow.b)[fin]
        side.fin_time, side.fin_packet = flow.last_time, 99
    return flow, SimpleNamespace(facts=facts)


def chatty(records: int, size: int) -> TlsFacts:
    facts = TlsFacts(version="TLS 1.3", handshake_complete=True, why_not="no-key-log")
    for side in (CLIENT, SERVER):
        facts.records[side].handshake = 1
        for _ in range(records):
            facts.records[side].add_application(size)
    return facts


def test_small_records_both_ways_for_long_may_be_a_websocket() -> None:
    flow, tunnel = tls(chatty(20, 90))
    found = explain_tls(flow, 0, tunnel, False)
    assert found is not None
    assert (found[0].kind, found[0].how, found[0].by, found[2]) == ("unknown", "fin", SERVER, "not-captured")
    assert found[0].reported[0].code is None


def test_a_download_is_none() -> None:
    flow, tunnel = tls(chatty(20, 16_000))
    assert explain_tls(flow, 0, tunnel, False) is None


def test_http2_is_none() -> None:
    facts = chatty(20, 90)
    facts.alpn = "h2"
    assert explain_tls(*tls(facts)[:1], 0, tls(facts)[1], False) is None


def test_one_request_and_its_answer_are_none() -> None:
    flow, tunnel = tls(chatty(3, 90), seconds=1)
    assert explain_tls(flow, 0, tunnel, False) is None


def test_still_open_is_ongoing() -> None:
    flow, tunnel = tls(chatty(20, 90), fin=None)
    found = explain_tls(flow, 0, tunnel, True)
    assert found is not None
    assert (found[0].kind, found[0].how) == ("ongoing", "capture-end")


def test_an_alert_ends_the_handshake() -> None:
    facts = TlsFacts(handshake_failed="certificate", failed_by=CLIENT)
    facts.records[CLIENT].handshake = 1
    facts.alerts.append(Alert(CLIENT, 2, 48, "unknown_ca", 3 * SECOND, 8, False))
    flow, tunnel = tls(facts)
    found = explain_tls(flow, 0, tunnel, False)
    assert found is not None
    end = found[0]
    assert (end.kind, end.how, end.by, end.cause) == ("failed", "tls-alert", CLIENT, "tls-failure")
    assert end.reported[CLIENT].code == 1006
    assert "unknown_ca" in end.evidence[0]


def test_a_handshake_that_is_left_without_an_alert() -> None:
    facts = TlsFacts()
    facts.records[CLIENT].handshake = 1
    flow, tunnel = tls(facts, fin=CLIENT)
    found = explain_tls(flow, 0, tunnel, False)
    assert found is not None
    assert (found[0].kind, found[0].how, found[0].by, found[0].cause) == ("failed", "fin", CLIENT, "tls-failure")
    assert found[0].confidence < 0.9


def unfinished(keys: bool, last: int) -> TlsFacts:
    """A TLS 1.3 server's flight of four records, the client's two, and `last`: the size of one more of the server."""
    facts = TlsFacts(version="TLS 1.3", decrypted=keys, why_not=None if keys else "no-key-log", handshake_complete=keys)
    for side, sizes in ((SERVER, [30, 700, 280, 69]), (CLIENT, [25, 69])):
        facts.records[side].handshake = 1
        for size in sizes:
            facts.records[side].add_application(size)
    facts.flight = facts.records[SERVER].application if keys else -1
    for size in [last] * bool(last):
        facts.records[SERVER].add_application(size)
        facts.handshake_complete |= size > 19
    return facts


@pytest.mark.parametrize(
    ("keys", "last", "fin", "failed"),
    [(False, 0, SERVER, True), (False, 19, SERVER, True), (False, 19, CLIENT, True), (False, 200, SERVER, False),
     (False, 0, CLIENT, False), (True, 0, SERVER, True), (True, 0, CLIENT, False), (True, 200, SERVER, False)],
)  # fmt: skip
def test_a_server_that_leaves_at_the_last_flight_has_refused_it(keys: bool, last: int, fin: int, failed: bool) -> None:
    flow, tunnel = tls(unfinished(keys, last), seconds=2, fin=fin)
    flow.a.last_data_time = flow.last_time - SECOND // 100
    found = explain_tls(flow, 0, tunnel, False)
    assert (found is not None and found[0].kind == "failed") == failed
    flow.a.last_data_time = flow.last_time - 2 * SECOND
    assert explain_tls(flow, 0, tunnel, False) is None


def test_a_handshake_at_the_end_of_the_capture_has_not_failed() -> None:
    facts = TlsFacts()
    facts.records[CLIENT].handshake = 1
    flow, tunnel = tls(facts, fin=None)
    assert explain_tls(flow, 0, tunnel, True) is None


def test_what_was_opened_and_holds_no_websocket_is_none() -> None:
    facts = chatty(20, 90)
    facts.decrypted, facts.why_not = True, None
    flow, tunnel = tls(facts)
    assert explain_tls(flow, 0, tunnel, False) is None


def test_a_syn_at_the_end_of_the_capture_has_not_failed() -> None:
    asked = wire.Conversation(client=("10.0.0.7", 50000), server=("10.0.0.2", 80), start=wire.START + 5 * wire.SECOND)
    asked.segment(C, flags=wire.SYN)
    closed = gone(talk().close(C, 1000).close(S, 1000), S)
    assert report([closed, asked])["connections"][1]["termination"]["class"] == "ongoing"
    later = talk(port=40001, start=wire.START + 20 * wire.SECOND)
    assert report([closed, asked, later])["connections"][1]["termination"]["cause"] == "connect-failed"


def test_a_tls_handshake_that_began_before_the_capture_did_not_fail() -> None:
    flow, tunnel = tls(TlsFacts(version="TLS 1.3"), seconds=0)
    flow.a.last_data_time = flow.last_time
    tunnel.facts.records[CLIENT].add_application(40)
    tunnel.facts.records[SERVER].add_application(19)
    assert explain_tls(flow, 0, tunnel, False) is not None
    tunnel.facts.begun = False
    assert explain_tls(flow, 0, tunnel, False) is None
