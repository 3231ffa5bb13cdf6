"""Why a connection ended: inference from facts, always with a confidence, the facts, the runners-up and how to be sure.

    cause.py      the entry; what never opened, what never ended
    closing.py    endings in which a Close tells, or half tells, why
    dropping.py   endings without a Close
    beats.py      unanswered Pings
    words.py      sentences

A confidence is an estimate of how often such a claim is right: 0.9 and above only where the wire says it in so many words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsaudit.model import SERVER, SIDES, packet_number
from wsaudit.termination.wire import Wire, deaf, gave_up
from wsaudit.termination.words import CONFIRM, close_fact, end_fact, seconds

if TYPE_CHECKING:
    from wsaudit.session import Session

LEAST, MOST = 0.05, 0.98
BLIND = 0.6  # still open, as far as one side tells
HALF_OPEN = 0.5  # still open, as far as its own TCP knows
RUNNERS_UP = 3


class Cause(NamedTuple):
    """One explanation. `confirm` None: what CONFIRM says of the cause."""

    cause: str
    confidence: float
    evidence: tuple[str, ...] = ()
    confirm: str | None = None


class Verdict(NamedTuple):
    """The likeliest explanation with its runners-up."""

    cause: str
    confidence: float
    evidence: tuple[str, ...]
    alternatives: tuple[tuple[str, float], ...]
    confirm: str | None


def decide(candidates: list[Cause], shared: tuple[str, ...] = (), doubt: float = 0.0) -> Verdict:
    """The likeliest of several explanations; `shared` facts hold for all, `doubt` is taken off each confidence."""
    weights: dict[str, Cause] = {}
    for candidate in candidates:
        known = weights.get(candidate.cause)
        if known is None or known.confidence < candidate.confidence:
            weights[candidate.cause] = candidate
    ordered = sorted(weights.values(), key=by_confidence)
    best = ordered[0]
    return Verdict(
        best.cause,
        clamp(best.confidence - doubt),
        (*shared, *best.evidence),
        tuple((other.cause, clamp(other.confidence - doubt)) for other in ordered[1 : 1 + RUNNERS_UP]),
        best.confirm or CONFIRM[best.cause],
    )


def by_confidence(candidate: Cause) -> tuple[float, str]:
    return -candidate.confidence, candidate.cause


def clamp(confidence: float) -> float:
    return min(MOST, max(LEAST, round(confidence, 2)))


def ongoing(session: Session, end: Wire) -> Verdict:
    """T01: nothing has ended."""
    facts = tuple(close_fact(close, close.side, close.place.packet) for close in end.closes if close is not None)
    for party in session.parties:
        if not party.stream.last_time:
            unseen = f"nothing of the {SIDES[party.side]} was captured: an RST of its would not have been either"
            return Verdict("none", BLIND, (end_fact(end), unseen, *facts), (), None)
    unheard = deaf(session.client.stream, session.server.stream)
    if unheard is not None:
        times = session.parties[unheard].stream.tail_retransmissions
        peer = SIDES[1 - unheard]
        fact = (
            f"{SIDES[unheard]} repeated its last bytes {times} times, at growing intervals, although the {peer} acknowledged them"
        )
        lost = f"what the {peer} sends may not get through"
        return Verdict("none", BLIND, (end_fact(end), fact, lost, *facts), (("network-loss", 0.5),), CONFIRM["network-loss"])
    for party in session.parties:
        if gave_up(party.stream):
            probes = (
                f"{party.stream.keepalives_unanswered} TCP keep-alive probes of the {SIDES[party.side]} in a row had no answer"
            )
            gone = (("network-loss", 0.5),)
            return Verdict("none", HALF_OPEN, (end_fact(end), probes, *facts), gone, CONFIRM["network-loss"])
    return Verdict("none", MOST, (end_fact(end), *facts), (), None)


def evidence_lost(session: Session, end: Wire) -> Verdict:
    """T02: the bytes that would tell were not captured."""
    facts = []
    for party in session.parties:
        if end.closes[party.side] is None and (party.frames.lost or party.stream.fin_time):
            gap = party.gaps[-1] if party.gaps else None
            what = "an unknown number of bytes" if gap is None or gap.length is None else f"{gap.length} bytes"
            where = "" if gap is None else f" near packet {packet_number(gap.packet)} ({gap.reason})"
            if party.frames.lost:
                facts.append(f"{what} of the {SIDES[party.side]} are missing{where}: a Close may be among them")
    facts += [close_fact(close, close.side, close.place.packet) for close in end.closes if close is not None]
    return Verdict("unknown", 0.3, (*facts, end_fact(end)), (), CONFIRM["unknown"])


def refused(session: Session, end: Wire) -> Verdict:
    """T03: another answer than 101."""
    handshake = session.handshake
    status = None if handshake is None else handshake.status
    if handshake is None or status is None:
        return Verdict("handshake-refused", 0.8, (end_fact(end),), (), CONFIRM["handshake-refused"])
    response = handshake.response
    where = ", of which the rest was cut" if response is None else f" in packet {packet_number(response.packet)}"
    fact = f"the answer to the upgrade request is {status}{where}"
    hint = STATUS.get(status) or STATUS.get(status // 100)
    return Verdict("handshake-refused", 0.97, (fact, hint) if hint else (fact,), (), CONFIRM["handshake-refused"])


STATUS = {
    400: "400: the request was not understood as an upgrade; a proxy may have stripped Upgrade and Connection",
    401: "401: credentials are missing or wrong",
    403: "403: forbidden, often because of the Origin header",
    404: "404: nothing is served at that path",
    405: "405: the method or the path is not for WebSockets",
    406: "406: nothing that the client accepts, of the subprotocols perhaps",
    407: "407: a forward proxy wants credentials before it connects",
    408: "408: the request was not complete in time; the client, or a proxy before it, stalled",
    410: "410: what was served at that path is gone for good",
    413: "413: the request has a body, or one that is too large; an upgrade has none",
    414: "414: the target is too long, for a token in the query perhaps",
    421: "421: this server does not answer for that Host, or TLS was for another name",
    426: "426: the server wants another Sec-WebSocket-Version, or an Upgrade header that did not reach it",
    429: "429: too many requests from this client",
    431: "431: the header is too large, cookies most often",
    500: "500: the handler failed before it accepted",
    501: "501: the server does not know the method or the upgrade",
    502: "502: the proxy could not reach, or did not understand, its upstream",
    503: "503: the service is not available",
    504: "504: the upstream did not answer the proxy in time",
    505: "505: the server does not speak the HTTP version of the request; an upgrade needs 1.1",
    511: "511: the network wants a login first, as in hotels",
    2: "a 2xx answer: whoever answered took the request for a plain GET and ignored the upgrade",
    3: "a redirect, which WebSocket clients in browsers do not follow",
    4: "a 4xx answer: whoever answered found the request at fault",
    5: "a 5xx answer: whoever answered failed, or what is behind it did",
}


def failed(session: Session, end: Wire) -> Verdict:
    """T04 to T06: no usable answer."""
    handshake = session.handshake
    ended = end_fact(end)
    if handshake is not None and handshake.outcome == "invalid" and handshake.response is not None:
        where = packet_number(handshake.response.packet)
        return Verdict(
            "handshake-invalid",
            0.95,
            (f"the 101 in packet {where} cannot be accepted: {', '.join(handshake.defects)}", ended),
            (),
            CONFIRM["handshake-invalid"],
        )
    if end.repelled is not None:
        fact = f"the client left at once, without a frame, when it had the 101: {end.repelled.detail}"
        return Verdict("handshake-invalid", 0.85, (fact, ended), (("abrupt-exit", 0.2),), CONFIRM["handshake-invalid"])
    server = session.server.stream
    if session.tls is not None and session.tls.alerts and any(alert.is_fatal for alert in session.tls.alerts):
        alert = next(alert for alert in session.tls.alerts if alert.is_fatal)
        fact = f"{SIDES[alert.side]} sent the TLS alert {alert.name} in packet {packet_number(alert.packet)}"
        return Verdict("tls-failure", 0.95, (fact, ended), (), CONFIRM["tls-failure"])
    # Within TLS the number of bytes tells nothing of what is in the records.
    answered = session.answered_otherwise if session.in_tls else server.bytes > 0
    if answered:
        size = "" if session.in_tls else f"{server.bytes} "
        return decide(
            [Cause("handshake-invalid", 0.8, (f"the server answered with {size}bytes that are no HTTP response",)),
             Cause("tls-failure", 0.3)], (ended,),
        )  # fmt: skip
    if end.by == SERVER and end.how in ("fin", "rst"):
        return decide(
            [Cause("handshake-refused", 0.5, ("the server ended the connection instead of answering",)),
             Cause("endpoint-killed", 0.25), Cause("tls-failure", 0.2)], (ended,),
        )  # fmt: skip
    waited = f"no answer to the upgrade request for {seconds(end.time - max(session.client.stream.last_data_time, 1))}"
    taken = session.client.stream.acked >= session.client.stream.offset - session.client.stream.fin_taken
    alive = "the server's TCP acknowledged it" if taken else "it was not even acknowledged"
    causes = [Cause("overload" if taken else "network-loss", 0.5, (waited, alive)), Cause("connect-failed", 0.4)]
    return decide(causes, (ended,))
