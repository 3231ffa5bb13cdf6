"""Connections that may have been WebSockets although nobody could look inside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wsaudit.kernel.connection import Connection
from wsaudit.model import CLIENT, SECOND, SERVER, SIDES, Detail, Reported, Termination, packet_number
from wsaudit.termination.wire import transport_end
from wsaudit.termination.words import CONFIRM

if TYPE_CHECKING:
    from wsaudit.kernel.streams import Flow
    from wsaudit.tls.facts import TlsFacts
    from wsaudit.tls.tunnel import TlsTunnel

WEBSOCKET_ALPN = (None, "http/1.1")
RECORDS = 4  # application records of each side; a request, its answer and a close_notify make fewer
LAST_WORDS = 150  # bytes of the last record: a Close, a Ping or a close_notify, no request
LONG = 30 * SECOND
AT_ONCE = SECOND
CONNECT_PATIENCE = 3 * SECOND  # a SYN is repeated after 1 s, and again after 2 s more (RFC 6298): until then nothing has failed
ALERT_SIZE = 19  # bytes of an encrypted alert in TLS 1.3
ABNORMAL = Reported(1006, False, True)
NO_SESSION = Reported(None, None, True)
CANNOT_TELL = Reported(None, None, False)


def with_failed_connects(rows: list[Connection], failed_connects: Iterable[Any], capture_end: int) -> list[Connection]:
    """`rows` and one more for each TCP connect that failed (engine.FailedConnect) at a server where WebSockets were seen."""
    servers = {row.server for row in rows}
    return [*rows, *(failed_row(failed, capture_end) for failed in failed_connects if failed.server in servers)]


def failed_row(failed: Any, capture_end: int) -> Connection:
    """A refused or unanswered TCP connect as a connection of the report."""
    packed = Detail(failed.last_packet).pack()
    row = Connection(failed.first_packet, failed.started, failed.ended, failed.client, failed.server, packed)
    row.probable = True
    row.http = None
    row.outcome = "unanswered"
    row.complete = False
    row.end_time = failed.ended
    refused = failed.how == "rst"
    if not refused and capture_end - failed.started < CONNECT_PATIENCE:
        row.termination = still_open()
        return row
    fact = "the server's host refused the connect with an RST" if refused else "nobody answered the SYN"
    row.termination = Termination(
        "failed", failed.how, SERVER if refused else None, "connect-failed", 0.97 if refused else 0.9,
        (f"{fact} in packet {packet_number(failed.last_packet if refused else failed.first_packet)}",), (),
        CONFIRM["connect-failed"], None, None, (ABNORMAL, NO_SESSION),
    )  # fmt: skip
    return row


def still_open() -> Termination:
    """The end of what the capture shows no end of."""
    fact = "the capture ends before the connection does"
    return Termination("ongoing", "capture-end", None, "none", 0.95, (fact,), reported=(NO_SESSION, NO_SESSION))


def explain_tls(flow: Flow, client: int, tunnel: TlsTunnel, ongoing: bool) -> tuple[Termination, int, str] | None:
    """How and when a TLS connection ended in which no WebSocket was seen, and the outcome of its handshake, None when it does not
    look like one.

    A TLS handshake that failed may have been for a WebSocket; so may a connection that cannot be opened and behaves like one.
    """
    facts = tunnel.facts
    a, b = (flow.a, flow.b) if client == 0 else (flow.b, flow.a)
    how, by, time, packet = transport_end(a, b)
    time = time or flow.last_time
    if how is None:
        how = "capture-end" if ongoing else "silent"
    if (
        facts.handshake_failed is not None
        or (never_finished(facts) and how in ("fin", "rst", "silent"))
        or (how != "capture-end" and time - a.last_data_time < AT_ONCE and hung_up(facts, by))
    ):
        return *tls_failed(facts, how, by, time, packet), "unanswered"
    if facts.decrypted and facts.why_not is None:
        return None  # it was opened, and there was no WebSocket inside
    if not behaves(facts, flow):
        return None
    if how == "capture-end":
        return still_open(), time, "not-captured"
    evidence = (
        f"{SIDES[by]} ended TCP first in packet {packet_number(packet)}" if by in (CLIENT, SERVER) else "TCP ended",
        "the frames cannot be read without keys",
    )
    return Termination(
        "unknown", how, by, "unknown", 0.1, evidence, (), "the TLS keys: SSLKEYLOGFILE of the client, or of the server",
        None, None, (CANNOT_TELL, CANNOT_TELL),
    ), time, "not-captured"  # fmt: skip


def never_finished(facts: TlsFacts) -> bool:
    """Was the TLS handshake begun in the capture and never completed?"""
    if facts.gaps or not facts.begun:
        return False
    return not facts.handshake_complete and facts.records[CLIENT].handshake > 0 and not facts.records[CLIENT].application


def hung_up(facts: TlsFacts, by: int | None) -> bool:
    """Did a TLS 1.3 server send nothing, or no more than an alert, after the client's last flight? That is how it refuses the
    certificate in it, or that there is none: the client is done by then, and may have sent its request."""
    client, server = facts.records
    if facts.version != "TLS 1.3" or facts.gaps or not facts.begun or not client.application:
        return False
    if not facts.handshake_complete:
        return by == SERVER or 0 < server.last_size <= ALERT_SIZE
    return by == SERVER and server.application == facts.flight


def tls_failed(facts: TlsFacts, how: str, by: int | None, time: int, packet: int) -> tuple[Termination, int]:
    """T06: the TLS handshake came to nothing."""
    from wsaudit.tls.facts import FAILURES

    evidence = []
    alert = next((alert for alert in facts.alerts if alert.is_fatal), None)
    if alert is not None and (facts.handshake_failed is not None or alert.time <= time):
        how, by, time = "tls-alert", alert.side, alert.time
        evidence.append(f"{SIDES[alert.side]} sent the TLS alert {alert.name} in packet {packet_number(alert.packet)}")
    elif by in (CLIENT, SERVER):
        what = "an RST" if how == "rst" else "FIN"
        evidence.append(
            f"{SIDES[by]} ended TCP with {what} in packet {packet_number(packet)}, amid the TLS handshake and without an alert"
        )
    if facts.handshake_failed is not None:
        evidence.append(FAILURES[facts.handshake_failed])
    confidence = 0.97 if alert is not None or facts.handshake_failed is not None else 0.85
    return Termination(
        "failed", how, by, "tls-failure", confidence, tuple(evidence), (), CONFIRM["tls-failure"],
        None, None, (ABNORMAL, NO_SESSION),
    ), time  # fmt: skip


def behaves(facts: TlsFacts, flow: Flow) -> bool:
    """Small records of both sides to the end: requests and their answers look different."""
    if facts.alpn not in WEBSOCKET_ALPN:
        return False
    if not facts.handshake_complete:  # the start was not captured: only its behaviour can tell
        return facts.why_not == "handshake-not-captured" and all(records.is_chatty(1) for records in facts.records)
    if not all(records.is_chatty(RECORDS) for records in facts.records):
        return False
    lasted = flow.last_time - flow.first_time >= LONG
    return lasted or all(records.last_size <= LAST_WORDS for records in facts.records)
