"""One connection as events in the order of the wire: TCP, TLS, handshake, every frame, gaps, and findings where they belong.

A connection may have a million frames. They stay in the kernel's columns; of a long one only the frames that tell its story
become events, and each run of others is folded into one event that counts them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from itertools import chain
from operator import lt
from typing import TYPE_CHECKING, Any

from wsaudit.kernel.constants import IN_MESSAGE, MASKED
from wsaudit.kernel.entry import OPCODE_NAMES
from wsaudit.model import CLIENT, SECOND, SERVER, SIDES, packet_input, packet_number, timestamp
from wsaudit.registry.close_codes import describe
from wsaudit.report.redact import Redactor, redact_header, redact_target
from wsaudit.report.story import nanoseconds

if TYPE_CHECKING:
    from wsaudit.engine import Frames
    from wsaudit.http.head import Head
    from wsaudit.kernel.party import Party
    from wsaudit.kernel.streams import Stream
    from wsaudit.session import Session

Record = dict[str, Any]

FIN, RSV1, CLOSE = 0x80, 0x40, 8
RSV = ((RSV1, "RSV1"), (0x20, "RSV2"), (0x10, "RSV3"))
# Within a packet: what comes before its frames, and what behind them.
BEFORE, BEHIND = 0, 1
CONTEXT = 2
"""Frames shown on either side of one with a finding."""
FIELDS = (
    *("host", "origin", "user-agent", "server", "location", "upgrade", "connection", "authorization", "cookie"),
    *("sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions", "via", "x-forwarded-for"),
)
"""Header fields of the handshake that a postmortem asks for, in lower case."""
MOST_FIELDS = 24
SILENCES = 3


class Mark:
    """What is no frame: when, where, whether before or behind the frames of its packet, and what happened."""

    __slots__ = ("event", "key", "packet", "rank", "time")

    def __init__(self, time: int, packet: int, rank: int, side: int | None, kind: str, **facts: Any) -> None:
        self.time = time
        self.packet = packet
        self.rank = rank
        self.key: tuple[int, ...] = ()  # for the order of the wire
        self.event: Record = {**where(time, packet), "side": None if side is None else SIDES[side], "event": kind, **facts}
        self.event["findings"] = []


def where(time: int, packet: int) -> Record:
    """The place of an event; `time` in ns, `packet` a reference, 0 for none."""
    known = packet_number(packet)
    return {"time": timestamp(time), "input": packet_input(packet) if known else None, "packet": known or None}


class Ladder:
    """The events of one connection.

    `session`: its history. `frames`: its frames, None when it had none. `findings`: those of this connection, in the report's
    shape. `redactor`: what texts pass through; with its `show_payload`, events carry payload where it was kept.
    """

    def __init__(self, session: Session, frames: Frames | None, findings: Iterable[Record], redactor: Redactor) -> None:
        self.session = session
        self.log = frames.log if frames is not None else None
        self.count = len(self.log.side) if self.log is not None else 0
        self.redactor = redactor
        self.closes = {(close.side, close.place.offset): close for close in frames.closes} if frames is not None else {}
        self.message = array("q")  # of each frame: which message of its side it belongs to, from 1; 0: to none that is known
        self.fragment = array("q")  # and which fragment of it, from 1; 0: it is all of it
        self.compressed = array("b")  # whether that message is
        self.order: Sequence[int] = range(self.count)
        self.rows = (array("q"), array("q"))  # the frames of each side
        self.first_of_shape: list[int] = []
        self.ends: list[int] = []  # Close frames
        self.number_messages()
        self.found: dict[int, list[Record]] = {}
        self.marks = list(marks(session, redactor))
        for finding in findings:
            self.place(finding)
        self.sort()

    def number_messages(self) -> None:
        """One pass over all frames: to which message each belongs, and which are worth showing."""
        if self.log is None:
            return
        log = self.log
        message, fragment, compressed = [0, 0], [0, 0], [0, 0]
        seen = set()
        for row, (side, shape) in enumerate(zip(log.side, log.shape, strict=True)):
            opcode = shape & 15
            number = part = 0
            if opcode in (1, 2):
                message[side] += 1
                fragment[side] = part = 0 if shape & FIN else 1
                compressed[side] = shape & RSV1 != 0
                number = message[side]
            elif opcode == 0 and shape & IN_MESSAGE and fragment[side]:
                fragment[side] = part = fragment[side] + 1
                number = message[side]
            self.message.append(number)
            self.fragment.append(part)
            self.compressed.append(compressed[side] if number else 0)
            self.rows[side].append(row)
            if opcode == CLOSE:
                self.ends.append(row)
            if (side, shape) not in seen:
                seen.add((side, shape))
                self.first_of_shape.append(row)

    def sort(self) -> None:
        """Everything in the order of the wire.

        That is the order of packets: the time of a frame that waited for lost bytes is when it could be read. In several captures
        packet numbers say nothing, so there it is the order of time.
        """
        log = self.log
        one_capture = packet_input(self.session.first_packet) == packet_input(self.session.last_packet)
        if log is not None:
            keys = log.packet if one_capture else list(zip(log.time, log.packet, strict=True))
            if any(map(lt, keys[1:], keys)):
                self.order = sorted(self.order, key=keys.__getitem__)
        for mark in self.marks:
            if one_capture:
                mark.key = (mark.packet or self.packet_before(mark.time), mark.rank)
            else:
                mark.key = (mark.time, mark.packet, mark.rank)
        self.marks.sort(key=lambda mark: mark.key)
        self.one_capture = one_capture

    def packet_before(self, time: int) -> int:
        """The last packet of this connection known to be not later than `time`, for what the kernel dates without a packet."""
        packets = [mark.packet for mark in self.marks if mark.time <= time]
        if self.log is not None:
            packets += [packet for packet, at in zip(self.log.packet, self.log.time, strict=True) if at <= time]
        return max(packets, default=0)

    def place(self, finding: Record) -> None:
        """Put a finding to the frame it is about, else to what else was in its packet, else on a line of its own."""
        packet = finding["input"] << 40 | (finding["packet"] or 0)
        row = self.row_at(SIDES.index(finding["direction"]), finding["offset"], packet)
        if row is not None:
            self.found.setdefault(row, []).append(finding)
            return
        for mark in self.marks:
            if mark.packet == packet and mark.event["side"] in (finding["direction"], None):
                mark.event["findings"].append(finding)
                return
        time = nanoseconds(finding["time"]) if finding["time"] else self.session.ended
        own = Mark(time, packet, BEHIND, SIDES.index(finding["direction"]), "finding")
        own.event["findings"].append(finding)
        self.marks.append(own)

    def row_at(self, side: int, offset: int, packet: int) -> int | None:
        """The frame with byte `offset` of this side's stream, if that was in `packet`."""
        log, rows = self.log, self.rows[side]
        if log is None or not rows:
            return None
        at = bisect_right(rows, offset, key=log.offset.__getitem__) - 1
        if at < 0 or not log.packet[rows[at]] <= packet <= log.end_packet[rows[at]]:
            return None
        return rows[at]

    # -- which frames to show -------------------------------------------------------------

    def chosen(self, limit: int) -> set[int]:
        """At most `limit` frames: Closes, those with findings, both sides of a long silence, the end, the beginning, the first of
        each kind, and then more of the end: it is why people look."""
        n, order = self.count, self.order
        if n <= limit:
            return set(range(n))
        broken = [row for row in order if row in self.found]
        around = (at for row in broken for at in range(row - CONTEXT, row + CONTEXT + 1))
        by_worth = chain(
            self.ends[:8],
            broken[: limit // 3],
            self.silences(),
            order[n - limit // 3 :],
            order[: limit // 6],
            self.first_of_shape,
            around,
            reversed(order),
        )
        found: set[int] = set()
        for row in by_worth:
            if len(found) >= limit:
                break
            if 0 <= row < n:
                found.add(row)
        return found

    def silences(self) -> Iterator[int]:
        """The frames on both sides of the longest times without any."""
        if self.log is None:
            return
        times = [self.log.time[row] for row in self.order]
        for at in nlargest(SILENCES, range(1, self.count), key=lambda at: times[at] - times[at - 1]):
            if times[at] - times[at - 1] >= SECOND:
                yield from (self.order[at - 1], self.order[at])

    def around(self, number: int, limit: int) -> set[int]:
        """The `limit` frames nearest to the packet with this number, in the order of the wire."""
        if self.log is None or not self.count:
            return set()
        away = [abs(packet_number(self.log.packet[row]) - number) for row in self.order]
        middle = away.index(min(away))
        first = max(0, min(middle - limit // 2, self.count - limit))
        return set(self.order[first : first + limit])

    # -- events -------------------------------------------------------------

    def events(self, shown: set[int] | None = None) -> Iterator[Record]:
        """All events in the order of the wire; frames that are not in `shown` (None: all are) folded, run by run."""
        waiting = iter(self.marks)
        mark = next(waiting, None)
        first = 0  # of the run of frames not shown, as an index of `order`
        for at, row in enumerate(self.order):
            while mark is not None and self.precedes(mark, row):
                yield from self.fold(first, at)
                first = at
                yield mark.event
                mark = next(waiting, None)
            if shown is None or row in shown:
                yield from self.fold(first, at)
                first = at + 1
                yield self.frame(row)
        yield from self.fold(first, self.count)
        while mark is not None:
            yield mark.event
            mark = next(waiting, None)

    def precedes(self, mark: Mark, row: int) -> bool:
        if self.log is None:
            return False
        packet = self.log.packet[row]
        return mark.key < ((packet, BEHIND) if self.one_capture else (self.log.time[row], packet, BEHIND))

    def frame(self, row: int) -> Record:
        """One frame as an event."""
        log = self.log
        if log is None:
            raise LookupError(row)
        side, shape, packet = log.side[row], log.shape[row], log.packet[row]
        event = {
            **where(log.time[row], packet),
            "last_packet": packet_number(log.end_packet[row]),
            "side": SIDES[side],
            "event": "frame",
            "type": OPCODE_NAMES[shape & 15],
            "opcode": shape & 15,
            "fin": shape & FIN != 0,
            "rsv": [name for bit, name in RSV if shape & bit],
            "masked": shape & MASKED != 0,
            "length": log.length[row],
            "message": self.message[row] or None,
            "fragment": self.fragment[row] or None,
            "complete": log.complete[row] != 0,
        }
        if shape & 15 == CLOSE:
            event |= self.close(side, log.offset[row])
        if log.payloads is not None and self.redactor.show_payload:
            event["payload"] = self.payload(row, log.payloads[row])
        event["findings"] = self.found.get(row, [])
        return event

    def payload(self, row: int, data: bytes) -> str | None:
        """The beginning of a frame's payload as text, or in hexadecimal. A compressed message is inflated, and then all of it
        stands at its last frame; where it could not be inflated there is nothing to read."""
        shape = self.shape_of(row)
        last = shape & FIN
        if shape & 15 == CLOSE or not data or (self.compressed[row] and (self.session.deflate is None or not last)):
            return None
        if shape & 15 in (0, 1):
            return data.decode("utf-8", "backslashreplace")
        return data.decode("ascii") if data.isascii() and data.decode("ascii").isprintable() else data.hex(" ")

    def shape_of(self, row: int) -> int:
        return 0 if self.log is None else int(self.log.shape[row])

    def close(self, side: int, offset: int) -> Record:
        """What a Close frame says."""
        close = self.closes.get((side, offset))
        if close is None or close.lost:
            return {"code": None, "name": None, "reason": None}
        if close.code is None:
            return {"code": None, "name": "no code", "reason": None}
        reason = self.redactor.text(close.reason.decode("utf-8", "backslashreplace"))
        return {"code": close.code, "name": describe(close.code), "reason": reason}

    def fold(self, first: int, behind: int) -> Iterator[Record]:
        """The frames of `order[first:behind]` as one event, if there are any: how many of which kind, how many bytes."""
        log = self.log
        if log is None or first >= behind:
            return
        counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        sizes: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        rows = self.order[first:behind]
        for row in rows:
            name, side = OPCODE_NAMES[log.shape[row] & 15], log.side[row]
            counts[side][name] += 1
            sizes[side][name] += log.length[row]
        yield {
            **where(log.time[rows[0]], log.packet[rows[0]]),
            "last_packet": packet_number(log.packet[rows[-1]]),
            "side": None,
            "event": "folded",
            "frames": behind - first,
            "duration": (log.time[rows[-1]] - log.time[rows[0]]) / SECOND,
            "counts": {SIDES[side]: dict(counts[side]) for side in (CLIENT, SERVER)},
            "bytes": {SIDES[side]: dict(sizes[side]) for side in (CLIENT, SERVER)},
            "findings": [finding for row in rows for finding in self.found.get(row, ())],
        }


# -- what is no frame -------------------------------------------------------------


def marks(session: Session, redactor: Redactor) -> Iterator[Mark]:
    """Everything in a connection's history but its frames, in no order."""
    client, server = session.parties
    yield from handshake_marks(session, redactor)
    yield from tcp_marks(client, server)
    yield from tcp_marks(server, client)
    if session.tls is not None:
        for alert in session.tls.alerts:
            yield Mark(alert.time, alert.packet, BEHIND, alert.side, "tls-alert", name=alert.name, fatal=alert.is_fatal)
    for time, packet, words in session.icmp:
        yield Mark(time, packet, BEHIND, None, "icmp", text=redactor.text(words))
    if session.ongoing:
        yield Mark(session.ended, session.last_packet, BEHIND, None, "capture-end")


def tcp_marks(party: Party, peer: Party) -> Iterator[Mark]:
    """What one side's TCP did: SYN, gaps, unanswered repetitions, FIN and RST."""
    stream: Stream = party.stream
    side = party.side
    if stream.syn_packet:
        answer = 0 < peer.stream.syn_packet < stream.syn_packet
        yield Mark(stream.syn_time, stream.syn_packet, BEFORE, side, "syn-ack" if answer else "syn")
    for gap in party.gaps:
        yield Mark(gap.time, gap.packet, BEFORE, side, "gap", length=gap.length, offset=gap.offset, reason=gap.reason)
    if stream.tail_retransmissions > 1 or (stream.tail_retransmissions and stream.acked < stream.offset):
        yield Mark(
            stream.tail_first_time,
            0,
            BEHIND,
            side,
            "retransmissions",
            count=stream.tail_retransmissions,
            duration=(stream.tail_last_time - stream.tail_first_time) / SECOND,
            answered=stream.acked >= stream.offset,
        )
    if stream.keepalives_unanswered:
        yield Mark(stream.last_time, 0, BEHIND, side, "keepalives-unanswered", count=stream.keepalives_unanswered)
    if stream.fin_seq >= 0:
        yield Mark(stream.fin_time, stream.fin_packet, BEHIND, side, "fin")
    if stream.rst_packet:
        yield Mark(stream.rst_time, stream.rst_packet, BEHIND, side, "rst", count=stream.rsts)


def handshake_marks(session: Session, redactor: Redactor) -> Iterator[Mark]:
    """Request and response of the opening handshake."""
    handshake = session.handshake
    request = response = None
    if handshake is not None:
        request, response = handshake.request, handshake.response
    if request is not None:
        target = request.target if redactor.show_payload else redact_target(request.target)
        target = redactor.pseudonyms.text(target) if redactor.pseudonyms else target
        facts: Record = {"method": request.method, "target": target, "fields": fields(request, redactor)}
        yield Mark(request.time, request.packet, BEFORE, CLIENT, "request", **facts)
    if response is not None:
        facts = {"status": response.status, "reason": redactor.text(response.reason), "fields": fields(response, redactor)}
        yield Mark(response.time, response.packet, BEFORE, SERVER, "response", **facts)


def fields(head: Head, redactor: Redactor) -> list[list[str]]:
    """The header fields that matter for a WebSocket: name, value."""
    shown: list[list[str]] = []
    for name, value in head.fields:
        if name in FIELDS and len(shown) < MOST_FIELDS:
            value = value if redactor.show_payload else redact_header(name, value)
            if redactor.pseudonyms:
                value = redactor.pseudonyms.host(value) if name == "host" else redactor.pseudonyms.text(value)
            shown.append([name, value])
    return shown
