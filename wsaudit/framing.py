"""The frames of one connection, from the end of its opening handshake on: bytes of both sides → the frame scanners.

A side is in step, then the kernel scans its cleartext or decrypted stream alone, or it is searched for its next frame
(websocket/resync.py): after bytes that were lost, and where the beginning was not captured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.constants import FIRST, FRAMES
from wsaudit.kernel.party import Gap
from wsaudit.model import CLIENT, SERVER, Place
from wsaudit.websocket.resync import Chunk, Cut, Resync

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsaudit.http.upgrade import Handshake
    from wsaudit.options import Options
    from wsaudit.session import Session


class Framing:
    """Both sides of `session`, CLIENT and SERVER. `answer_end`: where the server's 101 ends in its stream; `check_early`: is it
    still to be seen whether the client had acknowledged that when it sent its first frames."""

    __slots__ = ("answer_end", "check_early", "options", "searches", "session")

    def __init__(self, session: Session, options: Options, answer_end: int = 0, check_early: bool = False) -> None:
        self.session = session
        self.options = options
        self.answer_end = answer_end
        self.check_early = check_early
        self.searches: list[Resync | None] = [None, None]  # None: in step

    # -- how it begins -------------------------------------------------------------

    def begin(self, handshake: Handshake, offsets: Sequence[int]) -> None:
        """Behind this handshake both sides send frames, each from its offset on."""
        session = self.session
        if handshake.extensions_lines:
            from wsaudit.inflation import inflating_side
            from wsaudit.websocket.extensions import agree_deflate, parse_extensions

            offered = parse_extensions([line.encode("latin-1", "replace") for line in handshake.extensions_offered_lines])
            accepted = parse_extensions([line.encode("latin-1", "replace") for line in handshake.extensions_lines])
            session.deflate = agree_deflate(offered if handshake.request is not None else None, accepted)
            if session.deflate is not None:
                for side in (CLIENT, SERVER):
                    session.parties[side].frames.inflate = True
                    session.inflaters[side] = inflating_side(session, side, self.options)
        for side, party in enumerate(session.parties):
            party.frames.offset = offsets[side]
            party.stream.scanner = party.frames
            party.stream.silence = 0  # the wait for the answer belongs to another timeout than those of the open connection
        self.keep_frames()

    def begin_midstream(self, why: str, expected: tuple[bool, bool] = (False, False)) -> None:
        """The frames of both sides are to be looked for, as no handshake can be read; `expected`: does a side's next byte most
        likely begin one."""
        session = self.session
        for side, party in enumerate(session.parties):
            party.add_gap(Gap(0, None, session.started, session.first_packet, why))
            party.stream.scanner = party.frames
            self.search(side, expected[side])
        self.keep_frames()

    def keep_frames(self) -> None:
        """Have every frame logged, if that is asked of this session."""
        session, options = self.session, self.options
        if not options.frames and session.first_packet != options.keep:
            return
        if session.log is None:
            from wsaudit.kernel.frames import FrameLog

            session.log = FrameLog()
            if options.payload:
                session.log.payloads = []
        for party in session.parties:
            party.frames.log = session.log
            party.frames.preview = options.limits.preview if options.payload else 0

    # -- bytes and losses -------------------------------------------------------------

    def in_step(self, side: int) -> bool:
        """Is the next byte's place in its frame known?"""
        return self.searches[side] is None

    def lend(self, side: int) -> None:
        """Let the kernel scan the cleartext of a side that is in step."""
        if self.searches[side] is None:
            stream = self.session.parties[side].stream
            stream.mode = FIRST if self.check_early and side == CLIENT else FRAMES
            stream.answer_end = self.answer_end

    def feed(self, side: int, data: bytes, offset: int, time: int, packet: int) -> None:
        """The next bytes of a side that the kernel does not scan alone."""
        session = self.session
        if self.check_early and side == CLIENT:
            self.check_early = False
            if session.server.stream.acked < self.answer_end:
                self.note_early(len(data), offset, time, packet)
        search = self.searches[side]
        scanner = session.parties[side].frames
        if search is None:
            scanner.feed(Buffer(data), 0, len(data), time, packet)
            return
        found = search.feed(Chunk(data, offset, time, packet))
        if found is None:
            return
        self.regain(side, search.dropped, found[0].offset)
        for chunk in found:
            scanner.feed(Buffer(chunk.data), 0, len(chunk.data), chunk.time, chunk.packet)

    def gap(self, side: int, length: int | None) -> None:
        """Bytes of this side are missing; None: nobody knows how many."""
        search = self.searches[side]
        if search is not None:
            found = search.gap(length)
            if found is not None:
                self.resume(side, search.dropped, found)
            return
        scanner = self.session.parties[side].frames
        if length is None:
            self.search(side)
        elif not scanner.gap(length):
            self.searches[side] = Resync(side == CLIENT, self.options.limits.resync)

    def lost_step(self, side: int) -> None:
        """A gap hit a frame header while the kernel scanned this side."""
        self.searches[side] = Resync(side == CLIENT, self.options.limits.resync)
        if side == CLIENT and self.session.client.stream.mode == FRAMES:
            self.check_early = False

    def search(self, side: int, expected: bool = False) -> None:
        """This side's frames begin nobody knows where; `expected`: most likely with its next byte."""
        self.searches[side] = Resync(side == CLIENT, self.options.limits.resync, expected=expected)
        self.session.parties[side].frames.lose_step()

    def resume(self, side: int, dropped: int, found: list[Cut]) -> None:
        """A side is in step again with these segments, as far as they were captured: what is missing are payloads. `dropped`:
        bytes before them that could not be read."""
        self.regain(side, dropped, found[0].chunk.offset)
        for chunk, lost in found:
            self.feed(side, *chunk)
            if lost:
                self.gap(side, lost)

    def regain(self, side: int, dropped: int, offset: int) -> None:
        self.searches[side] = None
        party = self.session.parties[side]
        party.resyncs += 1
        party.skipped += dropped
        party.frames.resume(offset)

    def note_early(self, size: int, offset: int, time: int, packet: int) -> None:
        """The client's first frames came before it had acknowledged the whole answer."""
        self.session.early_client_bytes += size
        self.session.early_place = Place(packet, time, offset)

    def finish(self) -> None:
        """Nothing more comes: what is held of a search was no frame."""
        for side, party in enumerate(self.session.parties):
            search = self.searches[side]
            if search is None:
                continue
            party.skipped += search.dropped + search.size
            if search.expected:
                party.frames.resume(party.stream.offset)  # nothing came: no frame is missing
