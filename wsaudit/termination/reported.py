"""What each endpoint's API reported (RFC 6455 §7.1.5 to §7.1.7, WHATWG WebSockets): the code, and whether the end was clean.

The wire decides by rule; what a recognised library says instead is a note, never the code (deviations.toml).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsaudit.kernel.constants import AFTER_CLOSE, LONGEST, REACTION
from wsaudit.kernel.endings import FAILURES, is_text, just_sent_largest, undisturbed
from wsaudit.kernel.party import CloseFrame, code_of
from wsaudit.model import BOTH, CLIENT, SECOND, SERVER, SIDES, Finding, Reported
from wsaudit.registry import UNSEEN, Library, deviation_note, is_sendable, may_deviate
from wsaudit.termination.endpoints import Libraries, has_trait
from wsaudit.termination.wire import Wire, close_acked, gave_up, is_agreed, may_hide_close, may_hide_earlier

if TYPE_CHECKING:
    from wsaudit.kernel.party import Party
    from wsaudit.kernel.streams import Stream
    from wsaudit.session import Session

GOING_AWAY, NO_CODE, ABNORMAL = 1001, 1005, 1006
# Breaches that a receiver notices and answers by failing the connection. Bad Closes are told apart by `acceptable`; what nobody
# checks while he reads (masking keys that repeat, say) is not among them.
FAULTS = frozenset(
    (
        *("FR-01", "FR-02", "FR-04", "FR-05", "FR-06", "FR-07", "FR-13", "FG-01", "FG-02", "FG-03", "CT-01", "CT-02", "TX-01"),
        *(f"PMD-{number:02}" for number in range(1, 10)),
    )
)
UNREAD = SECOND * 9 // 10  # no endpoint that read a Close takes longer to react
NOTHING = Reported(None, None, True)  # still open, or never open
UNKNOWN = Reported(None, None, False)


def reported(session: Session, end: Wire, findings: list[Finding], known: Libraries) -> tuple[Reported, Reported]:
    """(client's, server's) report."""
    if is_plain(session, end, findings):
        c, s = end.closes
        return clean((code_of(c), code_of(s)), end.initiator, known)
    if end.kind == "ongoing":
        return NOTHING, NOTHING
    if end.kind in ("refused", "failed"):
        return handshake_failed(session, known)
    return told(session, CLIENT, end, findings, known[CLIENT]), told(session, SERVER, end, findings, known[SERVER])


def is_plain(session: Session, end: Wire, findings: list[Finding]) -> bool:
    """Both Closes arrived, nothing disturbed or followed them, neither complains of anything that was seen: what nearly every
    connection shows."""
    c, s = end.closes
    if c is None or s is None or end.kind != "closed" or end.how != "fin":
        return False
    client, server = session.client, session.server
    if client.resyncs or server.resyncs or not undisturbed(c, s, client.stream, server.stream):
        return False
    if c.code not in FAILURES and s.code not in FAILURES:
        return True
    return c.code == s.code and is_unfounded(session, c, findings) and is_unfounded(session, s, findings)


def is_unfounded(session: Session, close: CloseFrame, findings: list[Finding]) -> bool:
    """A Close says that the peer was at fault: is nothing known of that, and did the capture miss nothing?"""
    peer = session.parties[1 - close.side]
    if peer.gaps or may_hide_close(peer) or not is_agreed(session.handshake) or not well_framed(close, findings):
        return False
    if close.code == 1009 and oversized(peer, close) is not None:
        return False
    return offence(findings, peer.side, close.place.time) is None


def clean(codes: tuple[int | None, int | None], initiator: int | None, known: Libraries) -> tuple[Reported, Reported]:
    """The ordinary end, by the few facts that matter."""
    found = []
    for side, library in ((CLIENT, known[CLIENT]), (SERVER, known[SERVER])):
        got, sent = codes[1 - side], codes[side]
        conditions = {part_in_close(side, initiator)}
        if sent == GOING_AWAY and initiator != SERVER and is_page(side, library):
            found.append(with_note(NOTHING, library, side, conditions, got, sent))
            continue
        legal = is_legal(got) or got == sent  # who repeats a code has taken it (tornado and Chromium, measured)
        if got is None:
            conditions.add("empty-close")
        if not legal:
            conditions.add("illegal-code")
        code = ABNORMAL if not legal else NO_CODE if got is None else got
        found.append(with_note(Reported(code, legal, True), library, side, conditions, got, sent))
    return found[0], found[1]


def told(session: Session, side: int, end: Wire, findings: list[Finding], library: Library | None) -> Reported:
    """What one endpoint reported of a connection that had been open."""
    party, peer = session.parties[side], session.parties[1 - side]
    sent, got = end.closes[side], end.closes[1 - side]
    conditions: set[str] = set()
    if sent is not None or got is not None:
        conditions.add(part_in_close(side, end.initiator))
    if sent is not None and end.initiator != SERVER and is_page(side, library):
        if sent.code == GOING_AWAY:
            return with_note(NOTHING, library, side, conditions, code_of(got), sent.code)
        at_once = end.by == side and end.time - sent.place.time < SECOND
        if at_once and sent.code not in FAILURES and (got is None or got.place.time > end.time):
            return UNKNOWN
    if failed_itself(session, side, end, findings, library):
        conditions.add("failed-itself")
        if got is None:
            conditions.add("no-close")
        return with_note(Reported(ABNORMAL, False, True), library, side, conditions, code_of(got), code_of(sent))
    if got is None:
        return nothing_received(session, side, end, conditions, library)
    if got.lost:
        return UNKNOWN
    repeated = sent is not None and got.code is not None and sent.code == got.code
    if not repeated and not (acceptable(got) and (sent or well_framed(got, findings))):
        conditions.add("illegal-code")
        return with_note(Reported(ABNORMAL, False, sent is not None), library, side, conditions, got.code, code_of(sent))
    if got.code is None:
        conditions.add("empty-close")
    if gone_before(party.stream, got) or left_unread(session, side, end, got, sent):
        conditions.add("no-close")
        return with_note(Reported(ABNORMAL, False, False), library, side, conditions, None, code_of(sent))
    code = NO_CODE if got.code is None else got.code
    certain = close_acked(peer, got) and not overtaken(session, side, got, sent)
    if may_hide_close(party) or may_hide_earlier(peer, got):
        certain = False  # what it said itself, or the Close that it took, may be among the lost bytes
    elif sent is not None and sent.code in FAILURES and end.initiator == side and (peer.gaps or not is_agreed(session.handshake)):
        certain = False  # so may what it complains of, or whether that was agreed
    clean = was_clean(party, peer, end, got)
    if clean and end.how == "rst" and end.by == peer.side and has_trait(library, "clean-by-fin-only"):
        clean = False
    return with_note(Reported(code, clean, certain), library, side, conditions, got.code, code_of(sent))


def was_clean(party: Party, peer: Party, end: Wire, got: CloseFrame) -> bool | None:
    """Does this side, which received a Close, believe that it answered? None: its answer may have died on the way out."""
    if end.closes[party.side] is not None:
        return True
    stream = party.stream
    if may_hide_close(party) or party.close is not None:
        return None
    if party.frames.incomplete and stream.last_data_time > got.place.time:
        return None  # what it sent afterwards lies inside a frame that never ends
    if peer.stream.rst_time and end.by != party.side:
        return None  # the RST of a peer that had left came before any answer could
    return False


def nothing_received(session: Session, side: int, end: Wire, conditions: set[str], library: Library | None) -> Reported:
    """No Close of the peer was captured."""
    party, peer = session.parties[side], session.parties[1 - side]
    if may_hide_close(peer) or (end.kind == "unknown" and not may_hide_close(party)):
        return UNKNOWN  # lost, or not yet sent when the capture ended
    if (end.how == "silent" and end.silent != side) or (end.by == 1 - side and gave_up(peer.stream)):
        return UNKNOWN  # nothing told this side that anything had happened
    conditions.add("no-close")
    sent = end.closes[side]
    if sent is not None:
        conditions.add("unanswered")
    certain = end.how != "silent" and not party.frames.lost
    return with_note(Reported(ABNORMAL, False, certain), library, side, conditions, None, code_of(sent))


def handshake_failed(session: Session, known: Libraries) -> tuple[Reported, Reported]:
    """A handshake that came to nothing: 1006 at the client, whatever the reason was; no session at the server."""
    client = with_note(Reported(ABNORMAL, False, True), known[CLIENT], CLIENT, {"refused"}, None, None)
    handshake = session.handshake
    if handshake is not None and handshake.outcome == "invalid":  # the server believes in its 101
        return client, Reported(ABNORMAL, False, False)
    return client, NOTHING


def is_page(side: int, library: Library | None) -> bool:
    """Is this side the script of a page? Of its 1001, and of its leaving without waiting for the answer to its own Close, nobody
    is left to be told."""
    return side == CLIENT and has_trait(library, "page")


def failed_itself(session: Session, side: int, end: Wire, findings: list[Finding], library: Library | None) -> bool:
    """Did this endpoint fail the connection for what its peer sent (RFC 6455 §7.1.7)? Then it reports 1006, whatever comes."""
    peer = session.parties[1 - side]
    sent, got = end.closes[side], end.closes[1 - side]
    if sent is None:
        return False
    if got is not None and has_trait(library, "strict-after-close") and followed(peer):
        return True
    if sent.code not in FAILURES:
        return False
    if got is not None and end.initiator != side:
        return not acceptable(got) or not well_framed(got, findings)
    if sent.code == 1009 and oversized(peer, sent) is not None:
        return True
    return offence(findings, 1 - side, sent.place.time) is not None


def offence(findings: list[Finding], side: int, time: int) -> Finding | None:
    """The violation by `side` that an endpoint which acted at `time` answered: the last one before, if it was not long before."""
    found = None
    for finding in findings:
        if (
            finding.side == side
            and finding.at_fault == SIDES[side]
            and finding.verdict == "violation"
            and finding.rule in FAULTS
            and 0 <= time - finding.place.time < REACTION
        ):
            found = finding
    return found


def oversized(peer: Party, sent: CloseFrame) -> str | None:
    """What the peer, when it was told 1009, was sending or had just sent: its largest frame or message, in words."""
    frames, inflation = peer.frames, peer.inflation
    frame = f"its largest frame, {frames.largest} bytes"
    if frames.incomplete or frames.message > 0:
        return frame
    if inflation is not None and inflation.largest > LONGEST:
        rows = [row for row in frames.recent_rows() if row[2] & 15 < 8 and 0 <= sent.place.time - row[0] < REACTION]
        if rows and inflation.largest_time == rows[-1][0]:
            return f"its largest message, {inflation.largest} bytes when inflated"
    return frame if just_sent_largest(frames, sent.place.time) else None


def followed(party: Party) -> bool:
    """Did this side send frames after its Close?"""
    return any(shape & AFTER_CLOSE for shape in party.frames.shape_ids())


def gone_before(stream: Stream, got: CloseFrame) -> bool:
    """Was this side's socket gone when the peer's Close came? Its TCP then answers with an RST, and nobody has read the Close."""
    gone = (stream.fin_time, stream.fin_packet) if stream.fin_time else (stream.rst_time, stream.rst_packet)
    return bool(stream.rst_time and gone < (got.place.time, got.place.packet))


def left_unread(session: Session, side: int, end: Wire, got: CloseFrame, sent: CloseFrame | None) -> bool:
    """Did this side leave with an RST that nothing but the peer's Close explains? Kernels send it in place of FIN when bytes were
    never read (RFC 1122 §4.2.2.13). Within TLS such bytes may as well be a close_notify, and who drops a Close that it has just
    read may do so by RST."""
    peer = session.parties[1 - side].stream
    if session.tls is not None or end.how != "rst" or end.by != side or peer.offset - peer.fin_taken > got.end:
        return False
    return bool(peer.acked_packet == end.packet if sent is not None else end.time - got.place.time > UNREAD)


def overtaken(session: Session, side: int, got: CloseFrame, sent: CloseFrame | None) -> bool:
    """May an RST have swept the peer's Close away before it was read?"""
    if sent is not None and sent.acked >= got.end:
        return False  # it was answered
    return bool(session.client.stream.rst_time or session.server.stream.rst_time)


def acceptable(close: CloseFrame) -> bool:
    """May an endpoint take this Close (RFC 6455 §5.5.1, §7.4)?"""
    return close.length != 1 and close.length <= LONGEST and is_legal(close.code) and is_text(close.reason)


def well_framed(close: CloseFrame, findings: list[Finding]) -> bool:
    """Is the frame of this Close as it should be: masked or not, with no reserved bit, in one piece?"""
    return not any(
        finding.rule in FAULTS and finding.side == close.side and finding.place.offset == close.place.offset
        for finding in findings
    )


def is_legal(code: int | None) -> bool:
    """May this code be on the wire at all? A Close without one may."""
    return code is None or is_sendable(code)


def part_in_close(side: int, initiator: int | None) -> str:
    """The part this side had in the close handshake, as a condition of deviations.toml."""
    return "crossing" if initiator == BOTH else "self-closed" if initiator == side else "peer-closed"


def with_note(
    told: Reported, library: Library | None, side: int, conditions: set[str], got: int | None, sent: int | None
) -> Reported:
    """`told`, with what the library's log says instead. Whose head the capture cut or missed may be any library: `told` is only
    certain if all of them say the same."""
    if library is UNSEEN:
        return told._replace(certain=told.certain and not may_deviate(side, spelled(conditions, got, sent), told.code))
    if library is None or not library.deviations:
        return told
    return told._replace(deviation=deviation_note(library, side, spelled(conditions, got, sent), told.code))


def spelled(conditions: set[str], got: int | None, sent: int | None) -> set[str]:
    """`conditions`, with the codes of the two Closes as deviations.toml writes them."""
    if got is not None:
        conditions.add(f"code={got}")
    if sent is not None:
        conditions.add(f"sent={sent}")
    return conditions
