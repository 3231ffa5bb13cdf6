"""Fragments of messages, and control frames between them. RFC 6455 §5.4, §10.4."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wsaudit.kernel.connection import Connection
from wsaudit.kernel.constants import IN_MESSAGE, TINY
from wsaudit.kernel.findings import Findings
from wsaudit.kernel.party import CloseFrame, Party
from wsaudit.model import CLIENT, SERVER, SIDES, Fault, Place
from wsaudit.rules import frame as frames
from wsaudit.rules.frame import Frame
from wsaudit.rules.rule import INFO, MUST, Offences, rule
from wsaudit.rules.timing import ended_first, patience, was_first_to_close
from wsaudit.session import Session

PROTOCOL_WORDS = r"(?i)deflat|inflat|(de)?compress|zlib|\brsv|reserved bit|fragment|continuation|opcode|control frame|fin bit"


@rule("FG-01", "RFC 6455 §5.4", MUST, "error", "sender", "shape")
def stray_continuation(frame: Frame) -> str | None:
    """A continuation frame continues nothing.

    The RFC says: a message in fragments begins with a text or binary frame without FIN; continuation frames come only after it.

    Why it matters: the receiver does not know what the bytes belong to and closes with 1002.

    What to do: the sender lost track of its own messages. Look for two tasks that write to one connection without a lock, or
    for a first fragment that was sent with FIN.
    """
    if frame.opcode == frames.CONTINUATION and not frame.in_message and not frame.message_unknown:
        return f"{frame}, but no message is open"
    return None


@rule("FG-02", "RFC 6455 §5.4", MUST, "error", "sender", "shape")
def interleaved_message(frame: Frame) -> str | None:
    """A new message begins inside another.

    The RFC says: the fragments of one message are not mixed with those of another unless an extension was agreed that says how.

    Why it matters: the receiver cannot put the pieces together and closes with 1002.

    What to do: as for a stray continuation: two writers share one connection. Send each message under one lock, or in one frame.
    """
    if frame.opcode in (frames.TEXT, frames.BINARY) and frame.in_message and frame.extensions != frames.FOREIGN:
        return f"{frame} while the message before it is not complete"
    return None


@rule("FG-03", "RFC 6455 §5.5", MUST, "error", "sender", "shape")
def fragmented_control_frame(frame: Frame) -> str | None:
    """A control frame is fragmented.

    The RFC says: Close, Ping and Pong always have the FIN bit; they cannot be split.

    Why it matters: receivers handle control frames at once, between the fragments of messages, and have no room for half of one.
    They close with 1002.

    What to do: fix the sender. If it sends whole control frames, something on the path splits them (see FG-07).
    """
    if frame.is_control and not frame.fin:
        return f"{frame} without FIN"
    return None


@rule("FG-04", "RFC 6455 §6.1", INFO, "warning", "sender", "session", when="cut")
def aborted_message(session: Session, party: Party, peer: Party) -> Fault | None:
    """A message was begun and never finished.

    The RFC says: the last frame of a message has the FIN bit. A sender may give up in the middle of one, but then the receiver
    never learns what it would have been.

    Why it matters: the application at the other end gets nothing of it, not even an error that says so.

    What to do: look at what the sender was doing: a stream that broke off upstream, a cancelled task, a restart. Wait for the end
    of the message before closing.
    """
    scanner = party.frames
    if scanner.message <= 0 or scanner.lost:
        return None
    if party.close is None and (peer.close is not None or not ended_first(party, peer)):
        return None
    kind = "text" if scanner.message == frames.TEXT else "binary"
    ending = "closed" if party.close is not None else "ended TCP"
    place = Place(scanner.last_data_packet, scanner.last_data_time, scanner.frame_offset)
    return Fault(f"{ending} after {frames.size(scanner.message_length)} of a {kind} message in fragments", place)


@rule("FG-05", "RFC 6455 §5.4", MUST, "error", "receiver", "reaction", when="failed", whole=True)
def interleaving_refused(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """A legal control frame between fragments was taken for a fault.

    The RFC says: control frames may come between the fragments of a message, and every endpoint handles them there.

    Why it matters: the connection fails with 1002 or 1007 although the sender did nothing wrong, and only when a heartbeat
    happens to fall into a long message: the kind of fault that nobody can reproduce.

    What to do: report it to the makers of the receiver. Until then, do not send Pings while a message in fragments is under way.
    """
    close = peer.close
    if close is None or close.code not in (1002, 1007) or party.gaps:
        return None
    if offences[party.side] or was_first_to_close(party, peer):
        return None
    before = last_frame_before(session, party, peer)
    if before is None or not before.shape & IN_MESSAGE:
        return None
    seen = [shape.shape for shape in party.shapes()]
    if not any(shape & 8 and shape & IN_MESSAGE for shape in seen):
        return None
    detail = f"the {SIDES[peer.side]} closed with {close.code} right after legal control frames between fragments"
    return Fault(detail, before.place, doubt=own_choice(close))


class LastFrame(NamedTuple):
    """The frame of a side that its peer closed after."""

    shape: int
    place: Place


def last_frame_before(session: Session, party: Party, peer: Party) -> LastFrame | None:
    """The last frame of `party` before the peer's first Close, if that came at once and the peer sent nothing in between."""
    close = peer.closes[0].place.time
    rows = [row for row in party.frames.recent_rows() if row[0] <= close]
    if not rows:
        return None
    time, packet, shape, _ = rows[-1]
    if close - time > patience(session) or any(time < answer[0] < close for answer in peer.frames.recent_rows()):
        return None
    return LastFrame(shape, Place(packet, time, party.frames.frame_offset))


def own_choice(close: CloseFrame) -> str | None:
    """Why a Close with 1002 or 1007 may say nothing about the protocol: applications use these codes for their own messages. A
    reason in the words of the protocol settles it."""
    if re.search(PROTOCOL_WORDS, close.reason.decode("utf-8", "replace")):
        return None
    return "an application may choose this code for reasons of its own, and the Close does not say"


@rule("FG-06", "RFC 6455 §10.4", INFO, "info", "sender", "session", when="fragmented")
def tiny_fragments(session: Session, party: Party, peer: Party) -> Fault | None:
    """Messages were sent in fragments of a byte or none.

    The RFC says: an endpoint should guard itself against messages in very many fragments.

    Why it matters: each fragment costs a header of up to 14 bytes and the receiver's work for a frame: bad buffering at best, an
    attempt to wear a server out at worst.

    What to do: let the sender collect bytes before it writes. If the client is not yours, limit frames a second.
    """
    count = party.frames.tiny_fragments
    if count < TINY:
        return None
    for shape in party.shapes():
        if not shape.shape & 8 and shape.length < 2 and (shape.shape & 15 == 0 or not shape.shape & 0x80):
            return Fault(f"{count:,} fragments of at most one byte", shape.place, count, shape.last_packet)
    return Fault(f"{count:,} fragments of at most one byte", Place(party.frames.last_packet, party.frames.last_time, 0), count)


@rule("FG-07", "RFC 6455 §5.4", MUST, "error", "intermediary", "report")
def intermediary_split_control_frame(
    connections: Sequence[Connection], findings: Findings
) -> Iterator[tuple[Connection, int, Fault]]:
    """A proxy split a control frame.

    The RFC says: an intermediary does not change the fragmentation of control frames.

    Why it matters: the endpoint behind it fails the connection, and its log blames the endpoint in front of it.

    What to do: the two legs of one connection in this capture show it: the frame is whole before the proxy and split behind it.
    Update the proxy, or let it tunnel WebSocket bytes without looking at them.
    """
    split = {(found.key, found.side): found for found in findings.of_rule("FG-03") if found.verdict == "violation"}
    if not split:
        return
    legs: dict[str, list[Connection]] = {}
    for connection in connections:
        if connection.key:
            legs.setdefault(connection.key, []).append(connection)
    for same in legs.values():
        for connection in same if len(same) > 1 else ():
            for side in (CLIENT, SERVER):
                found = split.get((connection.first_packet, side))
                whole = [leg for leg in same if (leg.first_packet, side) not in split and any(leg.detail.frames[side][3:6])]
                if found is not None and whole:
                    yield connection, side, Fault("a control frame, whole on the other leg, is split on this one", found.place)
