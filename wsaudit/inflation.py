"""Compressed messages of one side into its history: the bridge from the frame scanner to `websocket.deflate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsaudit.model import Place
from wsaudit.session import Inflation, Session
from wsaudit.websocket.deflate import Inflater, MessageFacts

if TYPE_CHECKING:
    from wsaudit.kernel.frames import Scanner
    from wsaudit.options import Options


class InflatingSide:
    """Takes the unmasked payload of messages with RSV1 (RFC 7692 §7.2.2) and notes what inflating them showed."""

    __slots__ = ("first", "history", "inflater", "lost_message", "open", "preview")

    def __init__(self, inflater: Inflater, history: Inflation, preview: int) -> None:
        self.inflater = inflater
        self.history = history
        self.preview = preview
        self.open = False  # inside a message that came in pieces
        self.lost_message = False  # bytes of the message under way are missing
        self.first: Place | None = None

    def take(self, scanner: Scanner, data: bytes, last: bool) -> None:
        if self.lost_message:
            if last:
                self.lost_message = False
                self.show(scanner, b"")
                self.history.messages += 1
                self.history.unverifiable += 1
            return
        inflater = self.inflater
        is_text = scanner.message == 1
        if last and not self.open:
            self.note(
                scanner,
                inflater.message(data, is_text, self.preview),
                Place(scanner.frame_packet, scanner.frame_time, scanner.frame_offset),
            )
            return
        if not self.open:
            self.open = True
            self.first = Place(scanner.frame_packet, scanner.frame_time, scanner.frame_offset)
            inflater.start_message(is_text, self.preview)
        inflater.feed(data)
        if last:
            self.open = False
            self.note(scanner, inflater.end_message(), self.first or Place(0, 0, 0))

    def show(self, scanner: Scanner, preview: bytes) -> None:
        """Where payloads are kept, the last frame of a compressed message has its inflated beginning instead of its bytes."""
        if scanner.log is not None and scanner.log.payloads is not None:
            scanner.log.payloads[scanner.log_row] = preview

    def lose(self) -> None:
        self.inflater.lost()
        self.lost_message = self.lost_message or self.open
        self.open = False

    def note(self, scanner: Scanner, facts: MessageFacts, place: Place) -> None:
        history = self.history
        self.show(scanner, facts.preview or b"")
        history.messages += 1
        history.wire_bytes += facts.compressed_bytes
        size = facts.inflated_bytes
        if size is None:
            history.unverifiable += 1
        else:
            history.bytes += size
            if size > history.largest:
                history.largest = size
                history.largest_time = scanner.frame_time
        if (
            facts.text_valid
            and facts.error is None
            and not (
                facts.kept_tail
                or facts.final_block
                or facts.window_exceeded
                or facts.takeover_used
                or facts.bomb
                or facts.empty_payload
            )
        ):
            return
        if facts.text_valid is False:
            first, count = history.bad_text or (place, 0)
            history.bad_text = (first, count + 1)
        if facts.error is not None:
            history.note(facts.error, place)
        for kind in (
            "empty_payload",
            "kept_tail",
            "final_block",
            "bare_final",
            "window_exceeded",
            "takeover_used",
            "over_limit",
            "bomb",
        ):
            if getattr(facts, kind):
                history.note(kind, place, size or 0)


def inflating_side(session: Session, side: int, options: Options) -> InflatingSide:
    """Set up the inflating of what `side` sends, by what was agreed for it."""
    agreement = session.deflate
    promised = agreement.sides[side] if agreement is not None else None
    inflater = Inflater(
        no_takeover=promised.no_takeover if promised else False,
        window_bits=promised.window_bits if promised else 15,
        max_message=options.limits.message,
        max_ratio=options.limits.inflate_ratio,
    )
    history = session.parties[side].inflation = Inflation()
    return InflatingSide(inflater, history, options.limits.preview if options.payload else 0)
