"""Who knew what when: the times that rules about reactions rest on. All in nanoseconds of packet time.

A capture sees both directions at one point of the path. What a side sends within a round trip of the peer's bytes may have been
on its way before they arrived; only what comes later is an answer, or the lack of one.
"""

from __future__ import annotations

from wsaudit.kernel import endings
from wsaudit.kernel.constants import GRACE
from wsaudit.kernel.occasions import end_of
from wsaudit.kernel.party import Party
from wsaudit.model import SECOND
from wsaudit.session import Session


def round_trip(session: Session) -> int:
    """At most how long a packet and its answer take. From the SYN to the client's first bytes: a whole round trip wherever the
    capture was made, and whatever the client thought in between makes it only longer."""
    return int(endings.round_trip(session.client, session.server))


def patience(session: Session, grace: int = GRACE) -> int:
    """How long to wait for a reaction before its absence means something."""
    return 2 * round_trip(session) + grace


def ended_first(party: Party, peer: Party) -> bool:
    """Whether TCP was ended by this side first, as far as the order of the capture tells."""
    own, other = end_of(party), end_of(peer)
    if own == 0 or party.stream.answers_fin(peer.stream):
        return False
    return not other or own < other or peer.stream.answers_fin(party.stream)


def was_first_to_close(party: Party, peer: Party) -> bool:
    """Whether this side's Close came before the peer's: the peer's acknowledges it, or there is none. Crossing Closes have no
    first, the order of the capture does not tell."""
    own, other = party.close, peer.close
    return own is not None and (other is None or other.acked >= own.end)


def seconds(duration: int) -> str:
    """ "0.2 ms", "12 ms", "3.4 s", "75 s"."""
    value = duration / SECOND
    if value < 1:
        return f"{value * 1000:.1f} ms" if value < 0.01 else f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 10 else f"{value:,.0f} s"
