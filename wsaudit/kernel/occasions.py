"""On which occasions rules are asked about a whole connection, as far as the kernel's numbers tell (rules/occasions.py has the
rest): a few cheap facts that stand for "nothing to see here".

Most connections end by the book, with a regular heartbeat. What this module tells about them in less than a microsecond saves
asking some fifty rules.
"""

from __future__ import annotations

from wsaudit.kernel import mode
from wsaudit.kernel.constants import BIT, CLOSE_GRACE, GRACE, MANY_PINGS, PROMPT, SLOW_PONG, TINY
from wsaudit.kernel.party import Party

CLOSED = BIT["closed"] | BIT["hasty"]
FAILED, CUT, LOST = BIT["failed"], BIT["cut"], BIT["lost"]
KEYS, FRAGMENTED, TEXT = BIT["keys"], BIT["fragmented"], BIT["text"]
UNANSWERED, PONGS, HEARTBEAT = BIT["unanswered"], BIT["pongs"], BIT["heartbeat"]

# Codes that end a connection for a fault. Whoever sends one has given up on the peer.
FAILING = frozenset({1002, 1003, 1007, 1008, 1009, 1010, 1011})


def is_compiled() -> bool:
    return bool(mode.COMPILED)


def occasions_of_frames(client: Party, server: Party) -> int:
    """What the frames of both sides give, but for Closes, Pings and Pongs."""
    a = client.frames
    b = server.frames
    found = 0
    if a.incomplete or b.incomplete or a.message > 0 or b.message > 0:
        found |= CUT
    if client.gaps or server.gaps:
        found |= LOST
    if a.zero_keys or a.same_keys or a.keys_count_up():
        found |= KEYS
    if a.tiny_fragments >= TINY or b.tiny_fragments >= TINY:
        found |= FRAGMENTED
    if a.bad_text or b.bad_text or a.unverified_text or b.unverified_text:
        found |= TEXT
    return found


def occasions_of_closes(client: Party, server: Party) -> int:
    """What Closes give: nothing when there is one each with the same harmless code, promptly; then the server ended TCP,
    promptly; then, if at all, the client."""
    one = client.close
    other = server.close
    if one is None or other is None or client.later_closes or server.later_closes:
        return CLOSED | FAILED
    found = FAILED if is_complaint(one.code) or is_complaint(other.code) else 0
    if one.code != other.code:
        return found | CLOSED
    first = one.time
    last = other.time
    if first > last:
        first = other.time
        last = one.time
    ended = end_of(server)
    gone = end_of(client)
    if last - first < PROMPT and last <= ended < last + GRACE and not 0 < gone < ended:
        return found
    return found | CLOSED


def is_complaint(code: int | None) -> bool:
    """Does it say what was wrong with frames?"""
    return code in (1002, 1007, 1009)  # written out, no objects are compared


def end_of(party: Party) -> int:
    """When this side ended its half of TCP, by FIN or RST; 0: it did not."""
    fin = party.stream.fin_time
    rst = party.stream.rst_time
    if fin and rst:
        return fin if fin < rst else rst
    return fin or rst


def occasions_of_pings(client: Party, server: Party, ended: int) -> int:
    """What Pings and Pongs give: nothing when every Ping had one answer, in time and in order, or was young when the connection
    `ended`, and there are no other Pongs and no masses of Pings."""
    return pings_of(client, ended) | pings_of(server, ended)


def pings_of(party: Party, ended: int) -> int:
    found = 0
    if party.waiting and ended - min([ping.time for ping in party.waiting]) >= CLOSE_GRACE:
        found |= UNANSWERED
    if party.unsolicited > 1 or party.duplicate_pongs or party.late_pongs:
        found |= PONGS
    if party.slowest_pong >= SLOW_PONG or party.pings >= MANY_PINGS or party.ping_after_close is not None:
        found |= HEARTBEAT
    return found
