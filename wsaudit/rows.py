"""A connection's history → its compact row, and the row → the report's JSON shape (report.md, "connections")."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wsaudit.http.head import parse_head
from wsaudit.http.upgrade import Handshake, auth_kinds
from wsaudit.kernel import entry
from wsaudit.kernel.connection import Connection
from wsaudit.kernel.details import pack_history, pack_last
from wsaudit.kernel.packed import Packer
from wsaudit.kernel.party import CloseFrame, Party
from wsaudit.kernel.streams import Flow
from wsaudit.model import (
    Asked,
    Close,
    Detail,
    PlainGet,
    Termination,
    packet_number,
)
from wsaudit.session import Session
from wsaudit.termination.closing import closing_facts

if TYPE_CHECKING:
    from wsaudit.termination import Explainer
    from wsaudit.tls.facts import TlsFacts
    from wsaudit.tls.tunnel import TlsTunnel

Closes = tuple[Close | None, Close | None]
Facts = tuple[object, ...]
ENDED_WELL = ("closed", "ongoing", "refused")


def row(session: Session, termination: Termination, end_time: int) -> Connection:
    """What the report keeps of a connection. `end_time`: of the first FIN or RST, or of the last packet."""
    client, server = session.client, session.server
    flow = session.flow
    swapped = client.stream is not flow.a
    complete = not (client.gaps or server.gaps or client.stream.truncated or server.stream.truncated)
    found = Connection(
        session.first_packet, session.started, session.ended, *endpoints(flow, swapped),
        packed(session, end_time, termination.kind), False, "tcp", session.http,
    )  # fmt: skip
    if session.tls is not None:
        found.transport = "tls"
        found.tls = tls_facts(session.tls)
    if session.handshake is not None:
        add_handshake(found, session.handshake)
    if client.closes or server.closes:
        found.close = said(*words_of(client.close), *words_of(server.close))
    found.termination = termination
    found.end_time = end_time
    found.midstream = session.midstream
    found.complete = complete and not session.midstream and found.outcome != "not-captured"
    found.packed_keys = client.frames.mask_keys()
    if session.notices:
        found.notices = tuple(session.notices)
    return found


def packed(session: Session, end_time: int, kind: str) -> bytes:
    """model.Detail of a connection, packed."""
    client, server = session.client, session.server
    packer = Packer()
    sizes = message_bytes(client), message_bytes(server)
    pack_history(packer, client, server, session.last_packet, session.flow.silence, end_time, session.in_tls, *sizes)
    if kind in ENDED_WELL:
        packer.add(0)
    else:
        pack_last(packer, client, server)
    for number in session.heartbeat().as_numbers():
        packer.add(number)
    return packer.taken()


# Servers, kinds of TLS and Closes of one kind are few, and rows are many: one object for all that are equal.


@lru_cache(4096)
def said(
    code_c: int | None, reason_c: bytes | None, lost_c: bool, code_s: int | None, reason_s: bytes | None, lost_s: bool
) -> Closes:
    """What the first Closes of client and server said. Reason None: there was no Close."""
    client = None if reason_c is None else Close(code_c, reason_c, lost_c)
    return client, None if reason_s is None else Close(code_s, reason_s, lost_s)


def words_of(close: CloseFrame | None) -> tuple[int | None, bytes | None, bool]:
    return (None, None, False) if close is None else (close.code, close.reason, close.lost)


@lru_cache(4096)
def server_at(address: bytes, port: int) -> tuple[bytes, int]:
    return address, port


@lru_cache(4096)
def shared(facts: Facts) -> Facts:
    return facts


def endpoints(flow: Flow, swapped: int) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
    """Client and server; `swapped`: the client is the flow's side b."""
    if swapped:
        return (flow.address_b, flow.port_b), server_at(flow.address_a, flow.port_a)
    return (flow.address_a, flow.port_a), server_at(flow.address_b, flow.port_b)


def tls_facts(facts: TlsFacts) -> Facts:
    return shared((facts.version, facts.cipher, facts.sni, facts.alpn, facts.decrypted, facts.why_not))


def add_handshake(found: Connection, handshake: Handshake) -> None:
    found.outcome = handshake.outcome
    found.status = handshake.status
    found.target = handshake.target
    found.host = handshake.host
    found.origin = handshake.origin
    found.user_agent = handshake.user_agent
    found.server_header = handshake.server_header
    found.key = handshake.key
    found.subprotocols_offered = handshake.subprotocols_offered
    found.subprotocol = handshake.subprotocol
    if handshake.extensions_lines:
        found.extensions = extension_names(handshake.extensions_lines)
    found.latency = handshake.latency_ns
    if handshake.request is not None:
        found.auth = auth_kinds(handshake.request)


@lru_cache(256)
def extension_names(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.split(";")[0].strip() for line in lines for part in line.split(","))


def message_bytes(party: Party) -> int:
    """Bytes of its complete messages after inflation; -1: not all could be inflated."""
    frames, inflation = party.frames, party.inflation
    if inflation is not None and inflation.messages:
        return -1 if inflation.unverifiable else frames.message_bytes - frames.deflated_bytes + inflation.bytes
    return -1 if frames.deflated_messages else frames.message_bytes


def closed_tls_row(flow: Flow, client: int, tunnel: TlsTunnel, ongoing: bool, explain: Explainer) -> Connection | None:
    """A TLS connection that nobody could look into, if it may have been a WebSocket (report.md, `probable`)."""
    found = explain.closed_tls(flow, client, tunnel, ongoing)
    if found is None:
        return None
    termination, end_time, outcome = found
    gaps = flow.a.gap_count + flow.b.gap_count
    detail = Detail(flow.last_packet, silence=flow.silence, gaps=gaps)
    ends = endpoints(flow, client)
    made = Connection(flow.first_packet, flow.first_time, flow.last_time, *ends, detail.pack())
    made.probable = True
    made.transport = "tls"
    made.http = None
    made.outcome = outcome
    made.tls = tls_facts(tunnel.facts)
    made.termination = termination
    made.end_time = end_time
    made.complete = False
    return made


def plain_get_rows(rows: list[Connection], gets: list[PlainGet]) -> list[Connection]:
    """GETs without an upgrade to a path that others asked for a WebSocket: perhaps the upgrade was lost on the way (report.md,
    `probable`)."""
    if not gets:
        return []
    wanted = {(row.server, path_of(row.target)) for row in rows if row.target is not None and not row.probable}
    servers = {server for server, _ in wanted}
    known = {(row.client, row.server) for row in rows}
    found = []
    for get in gets:
        if get.server not in servers:
            continue
        target, host, user_agent = asked_by(get.asked) if isinstance(get.asked, bytes) else get.asked
        if (get.server, path_of(target)) not in wanted or (get.client, get.server) in known:
            continue
        made = Connection(get.first_packet, get.started, get.ended, get.client, get.server, Detail(get.last_packet).pack())
        made.probable = True
        made.outcome = "refused"
        made.status, made.target, made.host, made.user_agent = get.status, target, host, user_agent
        made.latency = get.ended - get.started
        made.complete = False
        made.termination = Termination(
            "refused",
            cause="handshake-refused",
            confidence=0.5,
            evidence=(
                f"GET without Upgrade in packet {packet_number(get.first_packet)}, answered {get.status}",
                "others asked the same path of this server for a WebSocket",
            ),
            confirm="whether a proxy in front of the client's side removed Upgrade and Connection",
        )
        found.append(made)
    return found


def asked_by(head: bytes) -> Asked:
    request = parse_head(head)
    return request.target, request.get("host"), request.get("user-agent")


def path_of(target: str | None) -> str:
    return (target or "").partition("?")[0]


def connection_dict(number: int, made: Connection) -> dict[str, Any]:
    """One entry of `connections` in the JSON report."""
    return entry.connection_dict(number, made, closing_facts)
