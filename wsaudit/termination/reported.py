"""What each endpoint's API reported (RFC 6455 §7.1.5 to §7.1.7, WHATWG WebSockets): the code, and whether the end was clean.

The wire decides by rule; what a recognised library says instead is a note, never the code (deviations.toml).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from wsaudit.model import BOTH, CLIENT, SECOND, SERVER, CloseFrame, Finding, Reported
from wsaudit.registry import Library, deviation_note, is_sendable, recognise
from wsaudit.termination.wire import Wire, close_acked, may_hide_close

if TYPE_CHECKING:
    from wsaudit.http.head import Head
    from wsaudit.session import Party, Session

NO_CODE, ABNORMAL = 1005, 1006
PROTOCOL_FAILURES = (1002, 1003, 1007, 1009, 1010)  # codes with which an endpoint fails the connection (RFC 6455 §7.1.7)
REACTION = 5 * SECOND  # a failure answers what came before it within this time
FRAME_FAULTS = ("FR-", "FG-", "CT-", "TX-", "PMD-")  # rule families for which an endpoint has to fail the connection
NOTHING = Reported(None, None, True)  # still open, or never open
UNKNOWN = Reported(None, None, False)
STRICT_AFTER_CLOSE = ("Chromium",)  # fail the connection when data follow the Close they have answered (measured)


def reported(session: Session, end: Wire, findings: list[Finding]) -> tuple[Reported, Reported]:
    """(client's, server's) report."""
    if end.kind == "closed" and not findings:
        c, s = session.client.close, session.server.close
        assert c is not None and s is not None
        a, b = session.client.stream, session.server.stream
        if not (c.lost or s.lost or a.rst_time or b.rst_time) and a.acked >= c.end and b.acked >= s.end and end.how == "fin":
            return clean(c.code, s.code, c.length == 1 or s.length == 1, end.initiator, *libraries(session))
    if end.kind == "ongoing":
        return NOTHING, NOTHING
    known = libraries(session)
    if end.kind in ("refused", "failed"):
        return handshake_failed(session, end, known)
    return told(session, CLIENT, end, findings, known[CLIENT]), told(session, SERVER, end, findings, known[SERVER])


@lru_cache(4096)
def clean(
    client_code: int | None, server_code: int | None, one_byte: bool, initiator: int | None, client: Library | None, server: Library | None
) -> tuple[Reported, Reported]:
    """The ordinary end: both Closes arrived and nothing disturbed them."""
    codes = (client_code, server_code)
    found = []
    for side, library in ((CLIENT, client), (SERVER, server)):
        got, sent = codes[1 - side], codes[side]
        conditions = {"crossing" if initiator == BOTH else "self-closed" if initiator == side else "peer-closed"}
        if got is None:
            conditions.add("empty-close")
        illegal = not is_legal(got) or one_byte
        if illegal:
            conditions.add("illegal-code")
        code = ABNORMAL if illegal else NO_CODE if got is None else got
        found.append(with_note(Reported(code, not illegal, True), library, side, conditions, got, sent))
    return found[0], found[1]


def told(session: Session, side: int, end: Wire, findings: list[Finding], library: Library | None) -> Reported:
    """What one endpoint reported of a connection that had been open."""
    party, peer = session.parties[side], session.parties[1 - side]
    sent, got = party.close, peer.close
    conditions: set[str] = set()
    if sent is not None:
        conditions.add("crossing" if end.initiator == BOTH else "self-closed" if end.initiator == side else "peer-closed")
    elif got is not None:
        conditions.add("peer-closed")
    if failed_itself(session, side, end, findings, library):
        conditions.add("failed-itself")
        if got is None:
            conditions.add("no-close")
        return with_note(Reported(ABNORMAL, False, True), library, side, conditions, got and got.code, sent and sent.code)
    if got is None:
        return nothing_received(session, side, end, conditions, library)
    code = NO_CODE if got.code is None else got.code
    if got.lost:
        return UNKNOWN
    if not is_legal(got.code) or got.length == 1:
        conditions.add("illegal-code")
        return with_note(Reported(ABNORMAL, False, sent is not None), library, side, conditions, got.code, sent and sent.code)
    if got.code is None:
        conditions.add("empty-close")
    if never_arrived(party, peer, got):
        conditions.add("no-close")
        return with_note(Reported(ABNORMAL, False, False), library, side, conditions, None, sent and sent.code)
    certain = close_acked(peer) and not overtaken(party, peer, got)
    was_clean: bool | None = sent is not None
    if sent is None and (may_hide_close(party) or (party.frames.incomplete and party.stream.last_data_time > got.place.time)):
        was_clean = None  # it may have sent a Close that cannot be seen as one
    return with_note(Reported(code, was_clean, certain), library, side, conditions, got.code, sent and sent.code)


def nothing_received(session: Session, side: int, end: Wire, conditions: set[str], library: Library | None) -> Reported:
    """No Close of the peer was captured."""
    party, peer = session.parties[side], session.parties[1 - side]
    if may_hide_close(peer):
        return UNKNOWN
    conditions.add("no-close")
    if party.close is not None:
        conditions.add("unanswered")
    if end.how == "silent" and end.silent != side:
        return UNKNOWN  # nothing told this side that anything had happened
    certain = end.how != "silent"
    return with_note(Reported(ABNORMAL, False, certain), library, side, conditions, None, party.close and party.close.code)


def handshake_failed(session: Session, end: Wire, known: tuple[Library | None, Library | None]) -> tuple[Reported, Reported]:
    """A handshake that came to nothing: 1006 at the client whatever the reason was (it must not be told), no session at the server."""
    client = with_note(Reported(ABNORMAL, False, True), known[CLIENT], CLIENT, {"refused"}, None, None)
    handshake = session.handshake
    if handshake is not None and handshake.outcome == "invalid":  # the server believes in its 101
        return client, Reported(ABNORMAL, False, False)
    return client, NOTHING


def failed_itself(session: Session, side: int, end: Wire, findings: list[Finding], library: Library | None) -> bool:
    """Did this endpoint fail the connection because of what its peer sent (RFC 6455 §7.1.7)? Then it reports 1006, whatever comes."""
    party, peer = session.parties[side], session.parties[1 - side]
    sent, got = party.close, peer.close
    if got is not None and sent is not None and library is not None and library.name in STRICT_AFTER_CLOSE and peer.frames.headers:
        if any(row[2] & 1 << 15 for row in peer.frames.recent_rows()):
            return True
    if sent is None or sent.code not in PROTOCOL_FAILURES:
        return False
    if end.initiator != side:
        return got is not None and (not is_legal(got.code) or got.length == 1 or bad_reason(got.reason))
    if sent.code == 1009 and oversized(peer, sent):
        return True
    for finding in findings:
        if (
            finding.side != side
            and finding.verdict == "violation"
            and finding.rule.startswith(FRAME_FAULTS)
            and 0 <= sent.place.time - finding.place.time < REACTION
        ):
            return True
    return False


def oversized(peer: Party, sent: CloseFrame) -> bool:
    """Had the peer just sent its largest frame, or was it in the middle of one, when it was told 1009?"""
    frames = peer.frames
    if frames.incomplete or frames.message > 0:
        return True
    rows = [row for row in frames.recent_rows() if row[2] & 15 < 8 and row[0] <= sent.place.time]
    return bool(rows) and rows[-1][3] == frames.largest and frames.largest > 125 and sent.place.time - rows[-1][0] < REACTION


def never_arrived(party: Party, peer: Party, got: CloseFrame) -> bool:
    """Was this side's socket gone when the peer's Close came? Its TCP then answers with an RST, and nobody has read it."""
    stream = party.stream
    gone = stream.fin_time or stream.rst_time
    return bool(stream.rst_time and gone < got.place.time)


def overtaken(party: Party, peer: Party, got: CloseFrame) -> bool:
    """May an RST have swept the peer's Close away before it was read?"""
    if party.close is not None and party.close.acked >= got.end:
        return False  # it was answered
    return bool(party.stream.rst_time or peer.stream.rst_time)


def is_legal(code: int | None) -> bool:
    """May this code be on the wire at all? An empty Close may."""
    return code is None or is_sendable(code)


def bad_reason(reason: bytes) -> bool:
    try:
        reason.decode()
    except UnicodeDecodeError:
        return True
    return False


def with_note(
    told: Reported, library: Library | None, side: int, conditions: set[str], got: int | None, sent: int | None
) -> Reported:
    """`told`, with what the library's log says instead."""
    if library is None or not library.deviations:
        return told
    if got is not None:
        conditions.add(f"code={got}")
    if sent is not None:
        conditions.add(f"sent={sent}")
    return told._replace(deviation=deviation_note(library, side, conditions, told.code))


# -- who are they? -------------------------------------------------------------------------------------------------------------------------


def libraries(session: Session) -> tuple[Library | None, Library | None]:
    """The libraries behind both heads, where the heads tell."""
    handshake = session.handshake
    if handshake is None:
        return None, None
    request, response = handshake.request, handshake.response
    return (
        None if request is None else known_library(handshake.user_agent, None, spelling(request), CLIENT),
        None if response is None else known_library(None, handshake.server_header, None, SERVER),
    )


@lru_cache(4096)
def known_library(user_agent: str | None, server: str | None, names: tuple[str, ...] | None, role: int) -> Library | None:
    return recognise(user_agent, server, names, role)


def spelling(head: Head) -> tuple[str, ...]:
    """The field names of a head as they were written."""
    return tuple([line.partition(b":")[0].decode("latin-1") for line in head.raw.split(b"\r\n")[1:-2]])
