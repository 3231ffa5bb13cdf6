"""On which occasions rules about a whole connection are asked: a few cheap facts that stand for "nothing to see here".

Most connections end by the book, with a regular heartbeat and no compression fault. What this module tells about them in one
microsecond saves asking some fifty rules.
"""

from __future__ import annotations

from itertools import pairwise

from wsaudit.model import SECOND
from wsaudit.rules.agents import is_browser
from wsaudit.rules.rule import WHENS
from wsaudit.rules.timing import CLOSE_GRACE, FAILING, GRACE, end_of
from wsaudit.session import Party, Session

BIT = {when: 1 << index for index, when in enumerate(WHENS)}
ALWAYS, HANDSHAKE, CLOSED, FAILED, DROPPED, CUT, LOST = (
    BIT[name] for name in ("always", "handshake", "closed", "failed", "dropped", "cut", "lost")
)
KEYS, SILENT, FRAGMENTED, UNANSWERED, PONGS, HEARTBEAT = (
    BIT[name] for name in ("keys", "silent", "fragmented", "unanswered", "pongs", "heartbeat")
)
SUBPROTOCOL, TEXT, DEFLATE, COMPRESSED, ENCRYPTED = (
    BIT[name] for name in ("subprotocol", "text", "deflate", "compressed", "encrypted")
)

PROMPT = 2 * SECOND  # an answer to a Close that is not late
SLOW_PONG = SECOND
MANY_PINGS = 100
QUIET = 60 * SECOND  # the shortest idle timeout in common use (nginx, AWS ALB): silence below it needs no heartbeat
TINY = 64  # fragments of at most one byte: some happen to every sender that flushes, this many are a habit
ENOUGH = 10  # messages from which "never" and "always" mean something


def occasions_of(session: Session) -> int:
    """The occasions that `session` gives, as bits (BIT has them by name)."""
    client, server = session.client, session.server
    a, b = client.frames, server.frames
    handshake = session.handshake
    found = ALWAYS
    if handshake is not None:
        if handshake.outcome != "accepted" or session.coalesced is not None or session.answered_otherwise:
            found |= HANDSHAKE
        if handshake.subprotocol is not None:
            found |= SUBPROTOCOL
    if client.closes or server.closes:
        found |= closing(client, server)
    elif not session.ongoing and was_agreed(session):
        found |= DROPPED
    if a.incomplete or b.incomplete or a.message > 0 or b.message > 0:
        found |= CUT
    if client.gaps or server.gaps:
        found |= LOST
    if a.zero_keys or a.same_keys or counts_up(a.first_keys):
        found |= KEYS
    if client.pings or server.pings or client.pongs or server.pongs:
        found |= heartbeat(session, client, server)
    if session.flow.silence >= QUIET and was_open(session):
        found |= SILENT
    if a.tiny_fragments >= TINY or b.tiny_fragments >= TINY:
        found |= FRAGMENTED
    if a.bad_text or b.bad_text or a.unverified_text or b.unverified_text:
        found |= TEXT
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


def closing(client: Party, server: Party) -> int:
    """The occasions that Closes give: none when there is one each with the same harmless code, promptly; then the server ended
    TCP, promptly; then, if at all, the client."""
    if len(client.closes) != 1 or len(server.closes) != 1:
        return CLOSED | FAILED
    one, other = client.closes[0], server.closes[0]
    found = FAILED if one.code in FAILING or other.code in FAILING else 0
    if one.code != other.code:
        return found | CLOSED
    first, last, ended = one.place.time, other.place.time, end_of(server)
    if first > last:
        first, last = last, first
    if last - first < PROMPT and last <= ended < last + GRACE and not 0 < end_of(client) < ended:
        return found
    return found | CLOSED


def heartbeat(session: Session, client: Party, server: Party) -> int:
    """The occasions that Pings and Pongs give: none when every Ping had one answer, in time and in order, or was young when the
    end came, and there are no other Pongs, no masses of Pings, and none by a browser."""
    found = 0
    for party in (client, server):
        if party.waiting and session.ended - min([ping.time for ping in party.waiting]) >= CLOSE_GRACE:
            found |= UNANSWERED
        if party.unsolicited > 1 or party.duplicate_pongs or party.late_pongs:
            found |= PONGS
        if party.slowest_pong >= SLOW_PONG or party.pings >= MANY_PINGS or party.ping_after_close is not None:
            found |= HEARTBEAT
    handshake = session.handshake
    if client.pings and handshake is not None and is_browser(handshake.user_agent):
        found |= HEARTBEAT
    return found


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


def counts_up(keys: list[int] | None) -> bool:
    """Whether the first masking keys grow by the same step: for random ones the odds are 1 to 2³²."""
    if keys is None or len(keys) < 3:
        return False
    step = keys[1] - keys[0]
    if (keys[2] - keys[1] - step) & 0xFFFFFFFF:
        return False
    return step != 0 and all((b - a - step) & 0xFFFFFFFF == 0 for a, b in pairwise(keys))
