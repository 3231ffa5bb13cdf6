"""Captures, one or many, packet by packet into a decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from wsaudit.capture.magic import DESCRIPTION_HEAD, PCAP_MAGICS, PCAPNG_MAGIC, describe
from wsaudit.capture.pcap import HEADER_SIZE, PcapHeader
from wsaudit.capture.pcapng import Blocks, cut
from wsaudit.capture.source import Named, Raw, name_of, open_source
from wsaudit.capture.window import Damage, Window
from wsaudit.errors import InputError
from wsaudit.kernel.records import BAD, BLOCK, FOREVER, NEVER, UNTIL, WINDOW, PcapngWalker, PcapWalker

if TYPE_CHECKING:
    from wsaudit.kernel.records import PacketSink

SMALL_CHUNK = 64 << 10
# Many captures that overlap in time share this much buffer and this many file handles (a Mac's default limit is 256).
BUFFER_BUDGET = 64 << 20
MOST_OPEN = 100
STANDSTILL = 20  # so many packets never have one time


def open_capture(named: Named, index: int = 0) -> CaptureReader:
    """A reader for a path, `-`, bytes or a binary file object; `index` (below 2^23) is the input's part of packet references.

    Raises InputError if it cannot be opened or is no capture. Damage further on is no error: see `CaptureReader.notices`.
    """
    return CaptureReader(named, index)


class CaptureReader:
    """Reads one pcap or pcapng capture into a decoder, in the order it was captured.

    `path` is the input as it was named, `format` "pcap" or "pcapng". `notices` says what was wrong, each with the reference of
    the last packet before it (0: none); `truncated` that the capture was not readable to its end. `secrets` are the TLS key logs
    found so far.

    A file is closed again after its header and first packet were looked at, and has a buffer only from its first `run` to its
    end, so that hundreds of readers cost nothing.
    """

    def __init__(self, named: Named, index: int) -> None:
        self.path = name_of(named)
        self.index = index
        self.format = ""
        self.notices: list[tuple[int, str]] = []
        self.secrets: list[bytes] = []
        self.truncated = False
        self.buffer_size = WINDOW
        self.on_chunk: Callable[[int], None] | None = None  # called with the bytes read of this capture so far, once a chunk
        self._named = named
        self._window: Window | None = None
        self._walker: PcapWalker | PcapngWalker = PcapngWalker(0)
        self._blocks: Blocks | None = None
        self._next_time: int | None = None
        self._bytes = 0
        self._parked_at: int | None = None
        self._finished = False
        source = self._start(SMALL_CHUNK).source
        if source.reopenable and self._look_ahead():
            # Nothing was consumed yet but other blocks; the first run begins anew.
            self._next_time = self._walker.next_time
            self.close()

    def renumber(self, index: int) -> None:
        """Become the input `index`; before the first `run`."""
        self.index = index
        self._walker.input_base = index << 40

    @property
    def packets(self) -> int:
        return self._walker.number

    @property
    def bytes(self) -> int:
        """Bytes of capture read, after decompression."""
        return self._window.total if self._window else self._bytes

    @property
    def truncated_packets(self) -> int:
        """Packets of which the capture holds less than was on the wire."""
        return self._walker.truncated_packets

    @property
    def first_time(self) -> int | None:
        """The earliest packet time so far."""
        return self._walker.first_time if self._walker.number else None

    @property
    def last_time(self) -> int | None:
        """The latest packet time so far."""
        return self._walker.last_time if self._walker.number else None

    @property
    def next_time(self) -> int | None:
        """The time of the next packet; None if there is none. Waits for that packet if the input is a pipe."""
        if self._next_time is None and not self._finished and self._look_ahead():
            self._next_time = self._walker.next_time
        return self._next_time

    @property
    def is_open(self) -> bool:
        """Whether it holds a buffer and, for a file, a handle."""
        return self._window is not None

    def run(self, decoder: PacketSink, until: int | None = None) -> bool:
        """Decode the packets up to the time `until` (ns, included; None: all). True if there may be more."""
        if self._finished:
            return False
        self._next_time = None
        try:
            window = self._window or self._resume()
        except InputError as error:
            # It could be read when this reader was made.
            self._damage(error.reason)
            self._finish()
            return False
        window.resize(self.buffer_size)
        if not self._advance(window, FOREVER if until is None else until, decoder):
            return False
        self._next_time = self._walker.next_time
        return True

    def park(self) -> None:
        """Give back the buffer, and the handle where that is possible; the next run continues."""
        window = self._window
        if window is None:
            return
        self._walker.let_go()
        if window.source.reopenable and isinstance(window.source, Raw):
            self._parked_at = window.place
            self.close()
        else:
            window.resize(0)

    def close(self) -> None:
        """Close what is open. A reader that is not at its end opens it again if it is run."""
        if self._window:
            self._bytes = self._window.total
            self._window.source.close()
            self._window = None

    def _look_ahead(self) -> bool:
        """Read up to the next packet without consuming it; False if there is none."""
        return self._advance(self._window or self._resume(), NEVER, None)

    def _resume(self) -> Window:
        if self._parked_at is None:
            return self._start(self.buffer_size)
        source = open_source(self._named)
        if isinstance(source, Raw):
            source.seek(self._parked_at)
        self._window = Window(source, self.buffer_size, self._parked_at)
        self._parked_at = None
        return self._window

    def _start(self, size: int) -> Window:
        """Open the input and read its header."""
        source = open_source(self._named)
        window = Window(source, size)
        try:
            self._read_header(window)
        except InputError:
            source.close()
            raise
        self._window = window
        return window

    def _read_header(self, window: Window) -> None:
        base = self.index << 40
        window.ensure(4)
        magic = bytes(window.buf[: min(window.end, 4)])
        if magic in PCAP_MAGICS:
            if not window.ensure(HEADER_SIZE):
                raise InputError(self.path, "cut off inside the file header", window.total)
            self.format = "pcap"
            self._walker = PcapHeader.parse(bytes(window.buf[:HEADER_SIZE])).walker(base)
            window.pos = HEADER_SIZE
        elif magic == PCAPNG_MAGIC:
            self.format = "pcapng"
            self.secrets.clear()
            self._walker = PcapngWalker(base)
            self._blocks = Blocks(self._walker, self.secrets)
            try:
                self._blocks.take(window)
            except Damage as damage:
                raise InputError(self.path, f"a damaged pcapng file: {damage.reason}", damage.offset) from None
        elif not window.end and window.source.damage:
            raise InputError(self.path, window.source.damage)
        else:
            window.ensure(DESCRIPTION_HEAD)
            head = bytes(window.buf[: min(window.end, DESCRIPTION_HEAD)])
            raise InputError(self.path, f"not a pcap or pcapng capture but {describe(head)}", 0)

    def _advance(self, window: Window, until: int, decoder: PacketSink | None) -> bool:
        """Walk on; True if the next packet is later than `until`, False if this is the end."""
        walker = self._walker
        try:
            while True:
                window.pos = walker.walk(window.buffer, window.pos, window.end, until, decoder)
                status = walker.status
                if status == UNTIL:
                    return True
                if status == BLOCK and self._blocks:
                    self._blocks.take(window)
                elif status == BAD:
                    raise Damage(walker.problem, window.place)
                elif not window.fill():
                    if window.pos < window.end:
                        raise cut(window, window.place)
                    break
                elif self.on_chunk is not None:
                    self.on_chunk(window.total)
        except Damage as damage:
            self._damage(f"byte {damage.offset}: {damage.reason}; what follows was not read")
        self._finish()
        return False

    def _finish(self) -> None:
        self._finished = True
        if self._window:
            source = self._window.source
            if source.damage:
                self._damage(source.damage)
            if source.remark:
                self._note(source.remark)
        self._note_counts()
        self.close()

    def _note_counts(self) -> None:
        walker, blocks = self._walker, self._blocks
        if blocks and blocks.dropped:
            self._note(f"capture dropped {blocks.dropped} packets")
        if blocks and blocks.secrets_left_out:
            self._note(f"{blocks.secrets_left_out} decryption secrets blocks were left out: too much of them")
        if isinstance(walker, PcapngWalker) and walker.homeless:
            self._note(f"{walker.homeless} packets of interfaces that the capture does not describe were passed over")
        if isinstance(walker, PcapngWalker) and walker.undated:
            self._note(f"{walker.undated} packets carry no usable time; each got that of the packet before it")
        if walker.number >= STANDSTILL and walker.first_time == walker.last_time:
            self._note(f"all {walker.number} packets have the same time: durations, and what follows from them, are unknown")

    def _damage(self, text: str) -> None:
        self.truncated = True
        self._note(text)

    def _note(self, text: str) -> None:
        number = self._walker.number
        self.notices.append((self.index << 40 | number if number else 0, text))


def merge_in_time_order(readers: Sequence[CaptureReader], decoder: PacketSink) -> None:
    """Run all readers to their ends as one capture in the order of packet times; equal times go in the order of `readers`.

    Within one capture the order stays as captured. Each step runs the reader with the earliest next packet up to the next packet
    of any other, so captures that follow each other (rotated files) are read one after the other, and no packet becomes an
    object.
    """
    queue = [(NEVER if reader.next_time is None else reader.next_time, order, reader) for order, reader in enumerate(readers)]
    heapify(queue)
    opened: list[CaptureReader] = []
    while queue:
        _, order, reader = heappop(queue)
        until = None
        if queue:
            other_time, other_order, _ = queue[0]
            until = other_time if order < other_order else other_time - 1
        if reader not in opened:
            _make_room(opened)
            reader.buffer_size = min(WINDOW, max(SMALL_CHUNK, BUFFER_BUDGET // (len(opened) + 1)))
            opened.append(reader)
        if reader.run(decoder, until):
            heappush(queue, (reader.next_time or 0, order, reader))
        else:
            opened.remove(reader)


def _make_room(opened: list[CaptureReader]) -> None:
    """Park the reader whose next packet is the furthest when too many are open."""
    if len(opened) >= MOST_OPEN:
        furthest = max(opened, key=lambda reader: reader.next_time or 0)
        furthest.park()
        opened.remove(furthest)


def prescan_secrets(named: Named) -> list[bytes]:
    """The TLS key logs inside a pcapng file, from one pass that only hops from block to block; none for other formats.

    For keys that come after the packets they open: `CaptureReader.secrets` has them only once it got there. Raises InputError if
    the input cannot be opened. Not for pipes, which it would consume.
    """
    secrets: list[bytes] = []
    source = open_source(named)
    window = Window(source, WINDOW)
    walker = PcapngWalker(0)
    blocks = Blocks(walker, secrets)
    try:
        if window.ensure(4) and window.buf.startswith(PCAPNG_MAGIC):
            blocks.take(window)
            while True:
                window.pos = walker.skip(window.buffer, window.pos, window.end)
                if walker.status == BLOCK:
                    blocks.take(window)
                elif walker.status == BAD or not window.fill():
                    break
    except Damage:
        # What can be read is what counts; the reader will report the damage.
        pass
    finally:
        source.close()
    return secrets
