"""One side's records: what opens them, which number the next has, and what a loss means for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsaudit.tls.handshake import MessageBuffer
from wsaudit.tls.keys import RECORDS_OF_HANDSHAKE, Keys, Session
from wsaudit.tls.records import DAMAGED, HEADER_SIZE, Framer

if TYPE_CHECKING:
    from wsaudit.kernel.tls import RecordReader

DROPPED = 2  # beside LOST and DAMAGED: records that came when no more could be held back
SMALLEST_BODY = 17  # an empty TLS 1.3 record
_MOST_LOST = 1 << 40  # so that sequence numbers stay below 2**64, however large the holes


class PlainGap(NamedTuple):
    """Application bytes are missing here. `length` None: how many cannot be told. `time` and `packet` are where the loss was
    noticed."""

    side: int
    time: int
    packet: int
    length: int | None


class Direction:
    """What is known about one side's records."""

    __slots__ = (
        "blocked",
        "closed",
        "encrypted",
        "epoch",
        "framer",
        "gap",
        "keys",
        "lost",
        "messages",
        "opened",
        "reader",
        "searches",
        "sequence",
        "session",
        "side",
        "skipped",
        "steady",
        "unread",
    )

    def __init__(self, side: int) -> None:
        self.side = side
        self.framer = Framer()
        self.messages = MessageBuffer()
        self.session: Session | None = None  # TLS 1.0-1.2: whose keys are in use
        self.encrypted = False  # TLS 1.0-1.2: its ChangeCipherSpec was seen
        self.epoch = RECORDS_OF_HANDSHAKE  # TLS 1.3
        self.keys: Keys | None = None
        self.sequence = 0
        self.opened = False  # the keys in use have opened a record
        self.steady = False  # and none was lost since: the next record opens with `sequence`
        self.lost = 0  # how many records at most are lost since `sequence` was right
        self.searches = 0  # records for which no sequence number was found since then
        self.skipped = 0  # records stepped over because their keys are not known
        self.gap: PlainGap | None = None  # to be told before the next application bytes
        self.blocked = False  # it waits, and what comes is held back
        self.unread = 0  # records that came when no more could be held back
        self.closed = False  # given up
        self.reader: RecordReader | None = None  # what the kernel takes this side's records with

    def use(self, keys: Keys | None, epoch: int) -> None:
        """Go on with other keys (None: not known yet), whose records count from 0."""
        self.keys = keys
        self.epoch = epoch
        self.sequence = 0
        self.steady = False

    def lose(self, kind: int, amount: int, time: int, packet: int) -> None:
        """Records are missing: from here on their number, and so the next sequence number, is a range."""
        opener = None if self.keys is None else self.keys.opener
        length = None
        if kind == DAMAGED:
            self.lost += 1
            if amount >= 0 and opener is not None and self.gap is None:
                length = opener.plain_length(amount)
        elif kind == DROPPED:
            self.lost += amount
        else:
            self.lost += amount // (HEADER_SIZE + (opener.smallest if opener is not None else SMALLEST_BODY)) + 1
        if kind != DAMAGED or amount >= 0:
            self.gap = PlainGap(self.side, time, packet, length) if self.gap is None else self.gap._replace(length=None)
        self.lost = min(self.lost, _MOST_LOST)
        self.steady = False
        self.searches = 0
        self.messages.clear()
