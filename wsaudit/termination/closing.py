"""Causes of endings with at least one Close frame (terminations.md T07 to T20, T43, T44)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wsaudit.kernel.connection import Connection
from wsaudit.kernel.constants import LONG_IDLE, PATIENCE
from wsaudit.kernel.endings import FAILURES, answered_at_once
from wsaudit.kernel.party import CloseFrame, code_of
from wsaudit.model import BOTH, CLIENT, PACKET_MASK, SECOND, SERVER, SIDES, Close, Finding, packet_number
from wsaudit.registry import is_sendable
from wsaudit.termination.beats import fitting, missed, regular, unanswered
from wsaudit.termination.cause import Cause, Verdict, decide
from wsaudit.termination.reported import offence, oversized
from wsaudit.termination.wire import Wire, close_acked
from wsaudit.termination.words import close_fact, end_fact, reason_text, seconds

if TYPE_CHECKING:
    from wsaudit.model import Termination
    from wsaudit.registry import Limit, Signatures, Text
    from wsaudit.session import Session

    Polite = tuple[tuple[float, Limit], ...]

CODES = {
    1000: ("normal", 0.95), 1001: ("going-away", 0.95), 1002: ("protocol-error", 0.85), 1003: ("invalid-data", 0.85),
    1007: ("invalid-data", 0.85), 1008: ("policy", 0.9), 1009: ("message-too-big", 0.9), 1010: ("protocol-error", 0.85),
    1011: ("internal-error", 0.9), 1012: ("restart", 0.95), 1013: ("overload", 0.95), 1014: ("bad-gateway", 0.95),
    3000: ("unauthorized", 0.95), 3003: ("unauthorized", 0.9), 3008: ("idle-timeout", 0.6),
}  # fmt: skip
EMPTY = ("normal", 0.8)  # a script's close(), or an object nobody held any more
FALLBACK = {"normal": ("going-away",), "going-away": ("normal",)}
QUIET = frozenset((None, 1000, 1001, 1011))  # codes an endpoint gives when its keep-alive gives up
WORDING = 0.5  # what is left of a code's own meaning when a keep-alive has given up
ORDINARY = frozenset((None, *FAILURES, 1000, 1001, 1008, 1011, 1012, 1013, 1014, *range(3000, 3004), *range(4000, 5000)))
REMEMBERED = 4096
WORDS = "these are the words of "
POLITE = 0.72  # a hop whose limit fits and that closes as it should
GIVEN_BY_CODE = 0.1  # taken off when the other side did not answer as it should


def of_code(code: int | None) -> tuple[str, float]:
    """What a close code says by itself."""
    if code is None:
        return EMPTY
    known = CODES.get(code)
    if known is not None:
        return known
    if 4000 <= code <= 4999:
        return "application", 0.95
    if 3000 <= code <= 3999:
        return "application", 0.7
    return "protocol-error", 0.85 if not is_sendable(code) else 0.5


def closing_cause(session: Session, end: Wire, findings: list[Finding], signatures: Signatures, reasons: Reasons) -> Verdict:
    """Why a connection with a Close ended."""
    side = leading(end.closes, end.initiator)
    lead, answer = end.closes[side], end.closes[1 - side]
    assert lead is not None
    text = reasons.find(lead)
    said = code_cause(session, lead, findings)
    late = keepalive_cause(session, lead, answer, signatures)
    if late and late[0].confidence > WORDING:
        said = said._replace(confidence=WORDING)  # the code is then only how this library says goodbye
    limits = limit_causes(session, lead, reasons.polite)
    if limits:
        said = said._replace(confidence=min(said.confidence, 0.65 if lead.code == 1001 else 0.75))
    candidates = [said, *late, *limits]
    if text is not None:
        candidates.append(text_cause(text))
    facts = [close_fact(lead, lead.side, lead.place.packet)]
    if answer is not None:
        facts.append(answer_fact(answer, answer.side, answer.place.packet, end.initiator))
        if lead.code in (None, 1000, 1001) and candidates[0].confidence < 0.9:
            candidates += [Cause(other, 0.2) for other in FALLBACK.get(candidates[0].cause, ())]
        if gave_up_waiting(end, lead, answer):
            candidates = silent_peer(end, lead, answer, candidates, signatures)
    else:
        facts.append(end_fact(end))
        candidates = unanswered_close(session, end, lead, candidates, signatures)
    return decide(candidates, tuple(facts))


def all_that_tells(session: Session, end: Wire, reasons: Reasons) -> tuple[int | None, int | None, bool] | None:
    """Of an end that `is_plain`: what its cause depends on, if that is no more than the two codes, and whether a keep-alive that
    gave up is among the other explanations."""
    side = leading(end.closes, end.initiator)
    lead, answer = end.closes[side], end.closes[1 - side]
    assert lead is not None
    assert answer is not None
    if lead.code not in ORDINARY or reasons.find(lead) is not None or gave_up_waiting(end, lead, answer):
        return None
    beat = unanswered(session, side, lead.place.time)
    if beat is None:
        if missed(session, side, lead.place.time) is not None:
            return None
    elif beat.kind != "Ping" or not answered_at_once(lead, answer):
        return None
    if side == SERVER and limit_causes(session, lead, reasons.polite):
        return None
    c, s = end.closes
    return code_of(c), code_of(s), beat is not None


def gave_up_waiting(end: Wire, lead: CloseFrame, answer: CloseFrame) -> bool:
    """Had the side that closed ended TCP before the answer came, and not at once?"""
    return end.initiator == lead.side == end.by and answer.place.time > end.time >= lead.place.time + PATIENCE


def leading(closes: tuple[Close | CloseFrame | None, Close | CloseFrame | None], initiator: int | None) -> int:
    """The side whose Close started it; of two that crossed the one that says more."""
    c, s = closes
    if c is None or s is None:
        return SERVER if c is None else CLIENT
    if initiator == BOTH:
        return CLIENT if of_code(s.code)[0] == "normal" else SERVER
    return SERVER if initiator == SERVER else CLIENT


def evidence_of(row: Connection) -> Sequence[str]:
    """The facts behind the cause of a row."""
    end = row.termination
    return closing_facts(end, row.close, row.detail.closes) if end.evidence is None else end.evidence


def closing_facts(
    end: Termination, closes: tuple[Close | None, Close | None], places: Sequence[tuple[int, int]]
) -> tuple[str, ...]:
    """What the two Closes say. `places`: their packets and times."""
    side = leading(closes, end.initiator)
    lead, answer = closes[side], closes[1 - side]
    assert lead is not None
    assert answer is not None
    fact = close_fact(lead, side, places[side][0])
    return fact, answer_fact(answer, 1 - side, places[1 - side][0], end.initiator)


def answer_fact(answer: Close | CloseFrame, side: int, packet: int, initiator: int | None) -> str:
    number = packet & PACKET_MASK
    code = "without a code" if answer.code is None else answer.code
    if answer.lost:
        code = "(its code was not captured)"
    if initiator == BOTH:
        return f"{SIDES[side]} sent its own Close {code} in packet {number}: they crossed"
    return f"{SIDES[side]} answered with Close {code} in packet {number}"


def code_cause(session: Session, lead: CloseFrame, findings: list[Finding]) -> Cause:
    """What the code says, surer when the offence it complains of was captured."""
    if lead.lost:
        return Cause("unknown", 0.3, ("the body of this Close was not captured",))
    cause, confidence = of_code(lead.code)
    peer = session.parties[1 - lead.side]
    if lead.code == 1009 and (what := oversized(peer, lead)) is not None:
        return Cause(cause, 0.95, (f"{SIDES[peer.side]} had just sent {what}",))
    if lead.code in FAILURES:
        offended = offence(findings, peer.side, lead.place.time)
        if offended is not None:
            where = packet_number(offended.place.packet)
            return Cause(cause, 0.95, (f"{SIDES[peer.side]} broke {offended.rule} in packet {where}: {offended.detail}",))
        return Cause(cause, confidence - 0.1)
    if lead.code is not None and not is_sendable(lead.code):
        return Cause(cause, confidence, (f"{lead.code} must not be sent",))
    return Cause(cause, confidence)


class Reasons:
    """Close reasons that give their author away; each is looked up once, because a fleet says the same few things."""

    def __init__(self, signatures: Signatures) -> None:
        self.signatures = signatures
        # Hops that send a Close at their limit, with the time from which on it may have been that.
        self.polite = tuple((limit.range[0] * SECOND, limit) for limit in signatures.limits if "close" in limit.wire)
        self.known: dict[tuple[bytes, int | None], Text | None] = {}

    def find(self, close: CloseFrame) -> Text | None:
        """The signature of these words."""
        if not close.reason:
            return None
        key = close.reason, close.code
        if key not in self.known:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[key] = self.signatures.find_text("reason", reason_text(close), close.code)
        return self.known[key]


def text_cause(text: Text) -> Cause:
    return Cause(text.cause, 0.96, (f"{WORDS}{text.product}",), text.confirm)


def keepalive_cause(session: Session, lead: CloseFrame, answer: CloseFrame | None, signatures: Signatures) -> list[Cause]:
    """T20: the Close came while a Ping of its sender was overdue, or while its sender waited in vain for the peer's."""
    private = lead.code is not None and 4000 <= lead.code <= 4999
    if lead.code not in QUIET and not private:
        return []
    beat = unanswered(session, lead.side, lead.place.time)
    if beat is None:
        gone = missed(session, lead.side, lead.place.time)
        return [] if gone is None else [Cause("keepalive-timeout", gone.confidence, (gone.words(),))]
    known = fitting(beat, signatures, closed=True)
    evidence = [
        f"its {beat.kind}{at(beat.packet)} had waited {seconds(beat.age)} for {beat.answer}",
        "TCP had acknowledged it" if beat.acked else "TCP had not even acknowledged it",
    ]
    if known is not None:
        evidence.append(f"interval and patience are those of {known.name}")
    by_application = known is not None and bool(beat.keepalives)  # it is stuck, the library under it may well answer a Close
    if answer is not None and answered_at_once(lead, answer) and not by_application:
        confidence = 0.4
    else:
        confidence = 0.75 + (0.1 if known is not None or regular(beat) else 0.0) - (0.2 if private else 0.0)
    return [Cause("keepalive-timeout", confidence, tuple(evidence), known.confirm if known else None)]


def at(packet: int) -> str:
    return f" in packet {packet_number(packet)}" if packet else ""


def limit_causes(session: Session, lead: CloseFrame, polite: Polite) -> list[Cause]:
    """T21, T22: hops that say goodbye when their idle or age limit is reached."""
    age = lead.place.time - session.started
    if lead.side != SERVER or lead.code not in (1000, 1001, None) or age < LONG_IDLE:
        return []
    longest = lead.place.time - session.client.stream.first_data_time
    possible = [
        limit for least, limit in polite if limit.code in (None, lead.code) and least < (longest if limit.kind == "idle" else age)
    ]
    if not possible:
        return []
    idle = lead.place.time - max(session.client.stream.first_data_time, previous_data(session, lead))
    survived = session.flow.silence > idle + SECOND
    found = []
    for limit in possible:
        if limit.kind == "idle" and not survived and limit.fits(idle / SECOND):
            found.append(
                Cause("idle-timeout", POLITE, (f"nothing had been sent for {seconds(idle)}: {limit.where}",), limit.confirm)
            )
        elif limit.kind == "lifetime" and limit.fits(age / SECOND):
            found.append(Cause("lifetime-limit", 0.65, (f"the connection was {seconds(age)} old: {limit.where}",), limit.confirm))
    return found


def previous_data(session: Session, lead: CloseFrame) -> int:
    """When the last bytes before the Close were sent."""
    times = [row[0] for party in session.parties for row in party.frames.recent_rows() if row[0] < lead.place.time]
    return max(times, default=0)


def unanswered_close(
    session: Session, end: Wire, lead: CloseFrame, candidates: list[Cause], signatures: Signatures
) -> list[Cause]:
    """T16 to T19: only one side closed."""
    sender = session.parties[lead.side]
    wait = end.time - lead.place.time
    said = [each._replace(confidence=each.confidence - GIVEN_BY_CODE) for each in candidates]
    if not close_acked(sender, lead):
        if end.how == "silent":
            fact = f"the Close was sent {1 + sender.stream.tail_retransmissions} times and never acknowledged"
            return [Cause("network-loss", 0.75, (fact,)), *(each._replace(confidence=each.confidence - 0.3) for each in said)]
        return said
    if wait >= PATIENCE and end.by in (CLIENT, SERVER) and end.how in ("fin", "rst"):
        return silent_peer(end, lead, None, candidates, signatures)
    return said


def silent_peer(
    end: Wire, lead: CloseFrame, answer: CloseFrame | None, candidates: list[Cause], signatures: Signatures
) -> list[Cause]:
    """T16: the Close was acknowledged, but not answered until one side ended TCP."""
    other, wait = SIDES[1 - lead.side], end.time - lead.place.time
    evidence = [f"{other}'s TCP acknowledged the Close, but no Close came back in {seconds(wait)}"]
    if answer is not None:
        evidence.append(f"the answer came {seconds(answer.place.time - end.time)} after the {SIDES[lead.side]} had given up")
    others = [each._replace(confidence=0.3) for each in candidates]
    confidence = 0.88
    if end.by != lead.side:
        evidence.append(f"then the {other} itself left")
        confidence = 0.7
        if end.how == "rst":
            evidence[-1] += " with an RST, as when a process is killed that never read it"
            others.append(Cause("endpoint-killed", 0.5))
    for known in signatures.waits:
        if end.by == lead.side and known.event == "close-answer" and abs(wait / SECOND - known.seconds) < 0.5:
            evidence.append(f"{known.library} waits {known.seconds:g} s")
            break
    if any(each.cause == "keepalive-timeout" and each.confidence > WORDING for each in candidates):
        return [*candidates, Cause("peer-silent", 0.5, tuple(evidence))]
    return [Cause("peer-silent", confidence, tuple(evidence)), *others]
