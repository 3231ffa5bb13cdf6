"""Which of the short messages that came again is the application's heartbeat, and whether the other side answered it."""

from __future__ import annotations

from wsaudit.kernel.constants import SLOWEST_TALK
from wsaudit.model import CLIENT, SERVER, ApplicationBeat
from wsaudit.registry import MessageBeat, compact, message_beats

Row = tuple[bytes, int, int, int, int, int, int, int]  # kernel.beats.Beats.rows

REPEATED = 3  # times from which a message that nobody knows may be a heartbeat
STEADY = 1.25  # an unknown heartbeat's longest interval against its mean


def application_beat(
    rows: tuple[list[Row], list[Row]], spoke: tuple[int, int], subprotocol: str | None, target: str | None
) -> ApplicationBeat | None:
    """The heartbeat among the messages that each side repeated; None when there is none. `spoke`: when each sent its last data.

    Known ones first, among them those of the protocol agreed on; then the one seen most often.
    """
    found: ApplicationBeat | None = None
    best = (0, 0)
    for side in (CLIENT, SERVER):
        for row in rows[side]:
            rank, known = ranked(row, subprotocol, target)
            if rank and (rank, row[2]) > best:
                best = rank, row[2]
                found = made(row, side, known, rows[1 - side], spoke[1 - side])
    return found


def ranked(row: Row, subprotocol: str | None, target: str | None) -> tuple[int, MessageBeat | None]:
    """How surely this message is a heartbeat (0: it is none), and the known one that it is."""
    payload, opcode, count, first, last, longest, _, _ = row
    known = message_beats(opcode, payload)
    for each in known:
        if each.is_at_home(subprotocol, target):
            return 3, each
    if count < 2 or last - first < (count - 1) * SLOWEST_TALK:
        return 0, None
    if known:
        return 2, known[0]
    if count >= REPEATED and longest * (count - 1) <= (last - first) * STEADY:
        return 1, None
    return 0, None


def made(row: Row, side: int, known: MessageBeat | None, others: list[Row], spoke: int) -> ApplicationBeat:
    """The beat `row` of `side`, answered among `others` by a side that sent its last data when it `spoke`."""
    _, opcode, count, first, last, _, packet, offset = row
    interval = (last - first) // (count - 1) if count > 1 else None
    if known is None:
        return ApplicationBeat("constant", side, count, interval, None, last, packet, offset, 0)
    answered: bool | None = None
    waiting = 0
    if known.answer is not None:
        replies = [other[4] for other in others if other[1] == opcode and compact(other[0]) == known.answer]
        replied = max(replies, default=spoke)  # in other words, perhaps
        if replied >= last:
            answered = True if replies else None
        else:
            answered = False
            missed = round((last - replied) / interval) if interval else 1
            waiting = last - (max(1, min(missed, count)) - 1) * (interval or 0)
    return ApplicationBeat(known.name, side, count, interval, answered, last, packet, offset, waiting, known.keepalives)
