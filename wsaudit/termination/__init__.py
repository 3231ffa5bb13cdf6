"""Why connections ended: what the wire shows, what the APIs reported, the probable cause, and what many ends have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsaudit.model import Finding, Termination
from wsaudit.registry import load_signatures
from wsaudit.termination.cause import Verdict, evidence_lost, failed, ongoing, refused
from wsaudit.termination.closing import Reasons, all_that_tells, closing_cause, limit_causes
from wsaudit.termination.dropping import dropping_cause, may_be_limit
from wsaudit.termination.edge import cloudflare
from wsaudit.termination.endpoints import Libraries, libraries
from wsaudit.termination.probable import explain_tls
from wsaudit.termination.reported import is_plain, reported
from wsaudit.termination.wire import Wire

if TYPE_CHECKING:
    from wsaudit.kernel.streams import Flow
    from wsaudit.options import Options
    from wsaudit.registry import Signatures
    from wsaudit.session import Session
    from wsaudit.tls.tunnel import TlsTunnel


REMEMBERED = 4096  # ordinary ends: hostile traffic can have any number of codes


class Explainer:
    """Explains the end of each connection, once, when its history is complete."""

    def __init__(self, options: Options) -> None:
        self.signatures: Signatures = load_signatures(options.signatures)
        self.reasons = Reasons(self.signatures)
        self.ordinary: dict[tuple[int | None, ...], Termination] = {}

    def session(self, session: Session, findings: list[Finding]) -> tuple[Termination, int]:
        """How and why a connection ended, and when: at the first FIN or RST; where one side was not heard any more, when it first
        repeated its bytes; else at the last packet.

        Where nothing but codes and libraries tells one end from another, they share their termination.
        """
        end = Wire(session, findings)
        known = libraries(session)
        tell = all_that_tells(session, end, self.reasons) if is_plain(session, end, findings) else None
        if tell is None:
            return self.explain(session, end, known, findings), end.since or end.time
        key = (*tell, end.initiator, end.by, is_captured(session), id(known[0]), id(known[1]))
        found = self.ordinary.get(key)
        if found is None:
            if len(self.ordinary) >= REMEMBERED:
                self.ordinary.clear()
            found = self.ordinary[key] = self.explain(session, end, known, findings)._replace(evidence=None)
        return found, end.time

    def explain(self, session: Session, end: Wire, known: Libraries, findings: list[Finding]) -> Termination:
        told = reported(session, end, findings, known)
        if not is_captured(session):  # nobody knows what was agreed or missed
            told = (told[0]._replace(certain=False), told[1]._replace(certain=False))
        cause, confidence, evidence, alternatives, confirm = self.cause(session, end, findings)
        return Termination(
            end.kind, end.how, end.by, cause, confidence, evidence, alternatives, confirm,
            cloudflare(end.kind, end.how, end.by, cause), end.initiator, told,
        )  # fmt: skip

    def cause(self, session: Session, end: Wire, findings: list[Finding]) -> Verdict:
        """The probable cause, by what is known of the end."""
        kind = end.kind
        if kind in ("closed", "close-unanswered"):
            return closing_cause(session, end, findings, self.signatures, self.reasons)
        if kind == "ongoing":
            return ongoing(session, end)
        if kind == "dropped":
            return dropping_cause(session, end, findings, self.signatures)
        if kind == "refused":
            return refused(session, end)
        if kind == "failed":
            return failed(session, end)
        return evidence_lost(session, end)

    def closed_at_limit(self, session: Session) -> bool:
        """May the server's Close have come at a limit of time of a hop that closes politely?"""
        return bool(limit_causes(session, session.server.closes[0], self.reasons.polite))

    def may_be_limit(self, clocks: tuple[int, ...], age: int, server: str | None) -> bool:
        """May one of the times at the end of a connection tell why it was dropped? `server`: the Server header."""
        return may_be_limit(clocks, age, server, self.signatures)

    def closed_tls(self, flow: Flow, client: int, tunnel: TlsTunnel, ongoing: bool) -> tuple[Termination, int, str] | None:
        """A TLS connection that nobody could look into, if it may have been a WebSocket: its end, the time of it, and the
        outcome of its handshake."""
        return explain_tls(flow, client, tunnel, ongoing)


def is_captured(session: Session) -> bool:
    """Was the opening handshake captured?"""
    return session.handshake is not None and session.handshake.request is not None
