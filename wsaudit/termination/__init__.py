"""Why connections ended: what the wire shows, what the APIs reported, the probable cause, and what many ends have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsaudit.model import WHO, Finding, Termination
from wsaudit.termination.cause import find_cause
from wsaudit.termination.reported import reported
from wsaudit.termination.wire import read_end

if TYPE_CHECKING:
    from wsaudit.kernel.streams import Flow
    from wsaudit.options import Options
    from wsaudit.session import Session
    from wsaudit.tls.tunnel import TlsTunnel


class Explainer:
    """Explains the end of each connection, once, when its history is complete."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def session(self, session: Session, findings: list[Finding]) -> Termination:
        """How and why a connection ended."""
        end = read_end(session)
        told = reported(session, end, findings)
        cause, confidence = find_cause(session, end)
        return Termination(
            end.kind, end.how, end.by, cause, confidence, initiator=end.initiator, reported=told,
        )

    def closed_tls(self, flow: Flow, client: int, tunnel: TlsTunnel, ongoing: bool) -> tuple[Termination, str] | None:
        """A TLS connection that nobody could look into, if it may have been a WebSocket, and the outcome of its handshake."""
        return None
