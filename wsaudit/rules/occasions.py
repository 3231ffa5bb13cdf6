"""On which occasions rules about a whole connection are asked. kernel/occasions.py has what the kernel's numbers tell; here is
what handshakes, time, compression and TLS add."""

from __future__ import annotations

from wsaudit.kernel.constants import BIT, QUIET
from wsaudit.kernel.occasions import occasions_of_closes, occasions_of_frames, occasions_of_pings
from wsaudit.kernel.party import Party
from wsaudit.rules.agents import is_browser
from wsaudit.session import Session

ALWAYS, HANDSHAKE, DROPPED, SILENT, BROWSER_PINGS = (
    BIT[name] for name in ("always", "handshake", "dropped", "silent", "browser pings")
)
SUBPROTOCOL, TEXT, DEFLATE, COMPRESSED, ENCRYPTED = (
    BIT[name] for name in ("subprotocol", "text", "deflate", "compressed", "encrypted")
)

ENOUGH = 10  # messages from which "never" and "always" mean something


def occasions_of(session: Session) -> int:
    """The occasions that `session` gives, as bits (BIT has them by name)."""
    client, server = session.client, session.server
    handshake = session.handshake
    found = ALWAYS | occasions_of_frames(client, server)
    if handshake is not None:
        if handshake.outcome != "accepted" or session.coalesced is not None or session.answered_otherwise:
            found |= HANDSHAKE
        if handshake.subprotocol is not None:
            found |= SUBPROTOCOL
    if client.closes or server.closes:
        found |= occasions_of_closes(client, server)
    elif not session.ongoing and was_agreed(session):
        found |= DROPPED
    if client.pings or server.pings or client.pongs or server.pongs:
        found |= occasions_of_pings(client, server, session.ended)
        if client.pings and handshake is not None and is_browser(handshake.user_agent):
            found |= BROWSER_PINGS
    if session.flow.silence >= QUIET and was_open(session):
        found |= SILENT
    if session.deflate is not None:
        found |= compression(session, client, server)
    if session.tls is not None and was_open(session):
        found |= ENCRYPTED
    return found


def was_open(session: Session) -> bool:
    """A 101 was sent, or frames were seen."""
    if session.handshake is not None and session.handshake.status == 101:
        return True
    return session.midstream or session.client.frames.headers > 0 or session.server.frames.headers > 0


def was_agreed(session: Session) -> bool:
    """A 101 to a request was seen, or frames: of a 101 that the capture cut nobody knows whether the client took it."""
    handshake = session.handshake
    if any(party.frames.headers or party.frames.lost for party in session.parties):
        return True
    return handshake is not None and handshake.status == 101 and handshake.request is not None


def compression(session: Session, client: Party, server: Party) -> int:
    """The occasions that compressed messages give."""
    found = DEFLATE if session.deflate is not None and session.deflate.client_must_fail else 0
    for party in (client, server):
        inflation = party.inflation
        if inflation is None:
            continue
        if inflation.faults or inflation.unverifiable:
            found |= DEFLATE
        if inflation.bad_text is not None:
            found |= TEXT
        if party.frames.text_messages + party.frames.binary_messages >= ENOUGH:
            found |= COMPRESSED
    return found
