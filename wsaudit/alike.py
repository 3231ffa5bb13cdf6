"""What is learned from a connection for those that will be like it (kernel/ordinary.py): how it opened, and what was said of its
end."""

from __future__ import annotations

from wsaudit.http.upgrade import ACCEPT, KEY
from wsaudit.kernel.connection import Connection
from wsaudit.kernel.constants import (
    AT_ANSWER,
    AT_CLIENT_CLOSE,
    AT_END,
    AT_FIRST_FRAME,
    AT_REQUEST,
    AT_SERVER_CLOSE,
)
from wsaudit.kernel.findings import Findings
from wsaudit.kernel.kinds import Ending, Kinds, Opening
from wsaudit.model import CLIENT, SERVER, Finding, Place, Termination, packet_number
from wsaudit.rows import add_handshake
from wsaudit.rules.agents import is_browser
from wsaudit.rules.judge import ASKED_ALONE, Judge, extensions_of
from wsaudit.rules.rule import CATALOGUE
from wsaudit.session import Session
from wsaudit.termination.closing import WORDS


def learn_opening(kinds: Kinds, session: Session, judge: Judge) -> None:
    """The handshake of `session` was just accepted. The next one that is made so needs no closer look, if all that differs lies
    in values that nobody reads, and nothing was agreed on of which more would have to be known."""
    handshake = session.handshake
    if handshake is None or handshake.outcome != "accepted" or handshake.extensions_lines or handshake.subprotocol is not None:
        return
    request, response = handshake.request, handshake.response
    if request is None or response is None or request.form is None or response.form is None or handshake.target is None:
        return
    asked, answered = request.form, response.form
    if not (asked.bodyless and answered.bodyless and KEY in asked.turn and ACCEPT in answered.turn):
        return
    row = Connection(0, 0, 0, (b"", 0), (b"", 0), b"")
    add_handshake(row, handshake)
    extensions = extensions_of(session)
    clean = judge.clean_shapes[CLIENT, extensions], judge.clean_shapes[SERVER, extensions]
    browser = is_browser(handshake.user_agent)
    opening = Opening(answered.literals, answered.turn[ACCEPT], row, clean, browser, handshake)
    kinds.learn(asked.literals, asked.turn[KEY], handshake.target, opening)


def learn_ending(session: Session, findings: list[Finding], row: Connection, judge: Judge, kept: Findings) -> None:
    """All is said of `session`, whose end is the first of its kind. `kept`: the findings about all connections."""
    if session.alike is not None:
        opening, key = session.alike
        opening.learn(key, ending_of(session, findings, row, judge, kept))


def ending_of(session: Session, findings: list[Finding], row: Connection, judge: Judge, kept: Findings) -> Ending | None:
    """What was said of it without what is its own, numbers above all. None: more than the kind of its end decided."""
    facts = facts_about(session, row.termination)
    if facts is None or row.notices:
        return None
    end = without_packets(session, row.termination, facts)
    if end is None:
        return None
    placed = []
    for finding in findings:
        if CATALOGUE[finding.rule].when in ASKED_ALONE:  # asked about each connection
            continue
        anchor = anchor_of(session, finding, judge)
        if anchor is None:
            return None
        where, (packet, time, offset) = anchor
        place, last = finding.place, finding.last_packet - packet
        from_there = place.packet - packet, place.time - time, place.offset - offset, last, finding.count
        placed.append((where, kept.kind_of(finding), *from_there))
    return Ending(end, row.close, tuple(placed), facts)


def facts_about(session: Session, end: Termination) -> tuple[int, ...] | None:
    """What the first facts behind the end of a connection are about, if those after them are the same for all that end so. None:
    there is more to it."""
    if end.evidence is None or end.kind == "ongoing":
        return ()
    closes = [close for close, party in zip((AT_CLIENT_CLOSE, AT_SERVER_CLOSE), session.parties, strict=True) if party.closes]
    if not closes:
        return (AT_END,) if end.cause in ("abrupt-exit", "endpoint-killed") and end.by in (CLIENT, SERVER) else None
    if any(not fact.startswith(WORDS) for fact in end.evidence[2:]):
        return None
    if len(closes) == 1:
        return (*closes, AT_END) if end.by in (CLIENT, SERVER) else None
    return tuple(reversed(closes)) if end.initiator == SERVER else tuple(closes)


def without_packets(session: Session, end: Termination, facts: tuple[int, ...]) -> Termination | None:
    """The end of a connection, without the numbers of packets with which these facts of its evidence end. None: they do not."""
    if not facts:
        return end
    evidence = list(end.evidence or ())
    for i, about in enumerate(facts):
        number = str(packet_number(place_of(session, about, end.by).packet))
        if not evidence[i].endswith(f" {number}"):
            return None
        evidence[i] = evidence[i].removesuffix(number)
    return end._replace(evidence=tuple(evidence))


def place_of(session: Session, about: int, by: int | None) -> Place:
    """Where the first Close of a side, or the end of TCP by side `by`, is."""
    if about == AT_END:
        assert by is not None
        return left_at(session, by)
    close = session.parties[CLIENT if about == AT_CLIENT_CLOSE else SERVER].close
    assert close is not None
    return close.place


def left_at(session: Session, side: int) -> Place:
    """Where this side ended TCP."""
    stream = session.parties[side].stream
    if stream.rst_time:
        return Place(stream.rst_packet, stream.rst_time, stream.offset)
    return Place(stream.fin_packet, stream.fin_time, stream.offset)


def anchor_of(session: Session, finding: Finding, judge: Judge) -> tuple[int, Place] | None:
    """What a finding is about, and where that is. None: it is about something else, or somebody may have reacted to it."""
    handshake, side, place = session.handshake, finding.side, finding.place
    if finding.rule == "HS-S25":  # a Close in that place is still a Close
        return AT_FIRST_FRAME, place
    if CATALOGUE[finding.rule].when == "dropped" and place == left_at(session, side):
        return AT_END, place
    if CATALOGUE[finding.rule].kind == "handshake":
        head = None if handshake is None else handshake.request if side == CLIENT else handshake.response
        if head is None or head.packet != place.packet:
            return None
        return (AT_REQUEST if side == CLIENT else AT_ANSWER), Place(head.packet, head.time, head.offset)
    close = session.parties[side].close
    about_close = CATALOGUE[finding.rule].kind == "close" or finding.rule == "CL-12"
    if not about_close or finding.rule in judge.offences or close is None or close.place != place:
        return None
    return (AT_CLIENT_CLOSE if side == CLIENT else AT_SERVER_CLOSE), place
