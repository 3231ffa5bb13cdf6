"""Why it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsaudit.session import Session
    from wsaudit.termination.wire import Wire

CODE_CAUSES = {
    1000: "normal", 1001: "going-away", 1002: "protocol-error", 1003: "invalid-data", 1005: "normal", 1007: "invalid-data", 1008: "policy",
    1009: "message-too-big", 1010: "protocol-error", 1011: "internal-error", 1012: "restart", 1013: "overload", 1014: "bad-gateway",
    3000: "unauthorized", 3003: "unauthorized",
}


def find_cause(session: Session, end: Wire) -> tuple[str, float]:
    """The cause as far as a Close says it."""
    if end.kind == "ongoing":
        return "none", 0.95
    if end.kind == "refused":
        return "handshake-refused", 0.95
    if end.kind == "failed":
        return "handshake-invalid", 0.6
    party = session.parties[end.initiator if end.initiator in (0, 1) else 0]
    if party.close is None:
        return "unknown", 0.0
    code = party.close.code
    if code is None:
        return "normal", 0.8
    if 4000 <= code <= 4999:
        return "application", 0.9
    return CODE_CAUSES.get(code, "unknown"), 0.9
