"""Why connections ended: what the wire shows, what the APIs reported, the probable cause, and what many ends have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsaudit.model import Finding, Termination
from wsaudit.registry import load_signatures
from wsaudit.termination.cause import Verdict, evidence_lost, failed, ongoing, refused
from wsaudit.termination.closing import Reasons, closing_cause
from wsaudit.termination.dropping import dropping_cause
from wsaudit.termination.edge import cloudflare
from wsaudit.termination.endpoints import libraries
from wsaudit.termination.probable import explain_tls
from wsaudit.termination.reported import reported
from wsaudit.termination.wire import Wire

if TYPE_CHECKING:
    from wsaudit.kernel.streams import Flow
    from wsaudit.options import Options
    from wsaudit.registry import Signatures
    from wsaudit.session import Session
    from wsaudit.tls.tunnel import TlsTunnel


class Explainer:
    """Explains the end of each connection, once, when its history is complete."""

    def __init__(self, options: Options) -> None:
        self.signatures: Signatures = load_signatures(options.signatures)
        self.reasons = Reasons(self.signatures)

    def session(self, session: Session, findings: list[Finding]) -> Termination:
        """How and why a connection ended."""
        end = Wire(session, findings)
        told = reported(session, end, findings, libraries(session))
        if session.handshake is None or session.handshake.outcome == "not-captured":  # nobody knows what was agreed or missed
            told = (told[0]._replace(certain=False), told[1]._replace(certain=False))
        cause, confidence, evidence, alternatives, confirm = self.cause(session, end, findings)
        return Termination(
            end.kind, end.how, end.by, cause, confidence, evidence, alternatives, confirm,
            cloudflare(end.kind, end.how, end.by, cause), end.initiator, told, end.time,
        )  # fmt: skip

    def cause(self, session: Session, end: Wire, findings: list[Finding]) -> Verdict:
        """The probable cause, by what is known of the end."""
        kind = end.kind
        if kind in ("closed", "close-unanswered"):
            return closing_cause(session, end, findings, self.signatures, self.reasons)
        if kind == "ongoing":
            return ongoing(end)
        if kind == "dropped":
            return dropping_cause(session, end, findings, self.signatures)
        if kind == "refused":
            return refused(session, end)
        if kind == "failed":
            return failed(session, end)
        return evidence_lost(session, end)

    def closed_tls(self, flow: Flow, client: int, tunnel: TlsTunnel, ongoing: bool) -> tuple[Termination, str] | None:
        """A TLS connection that nobody could look into, if it may have been a WebSocket, and the outcome of its handshake."""
        return explain_tls(flow, client, tunnel, ongoing)
