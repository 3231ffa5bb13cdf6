"""The blocks of a pcapng file that are not packets (draft-ietf-opsawg-pcapng): sections, interfaces, statistics, secrets."""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from

from wsaudit.capture.window import Damage, Window
from wsaudit.kernel.records import RECORD_LIMIT, Interface, PcapngWalker

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
INTERFACE_STATISTICS = 5
DECRYPTION_SECRETS = 10
WANTED = {SECTION_HEADER, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, DECRYPTION_SECRETS}

BYTE_ORDER = 0x1A2B3C4D
TLS_KEY_LOG = 0x544C534B
OPTION_TSRESOL = 9
OPTION_TSOFFSET = 14
OPTION_IFDROP = 5
UNKNOWN_COUNT = 2**64 - 1

MICROSECONDS = 6
MOST_INTERFACES = 65_536
MOST_SECRETS = 64 << 20


class Blocks:
    """Reads blocks that are not packets, one at a time, and keeps the walker's interface table.

    `secrets` collects the TLS key logs of decryption secrets blocks, `dropped` is how many packets the capturing program says it
    lost.
    """

    def __init__(self, walker: PcapngWalker, secrets: list[bytes]) -> None:
        self.walker = walker
        self.secrets = secrets
        self.secrets_left_out = 0
        self._secrets_room = MOST_SECRETS
        self._dropped_before = 0
        self._drops: dict[int, int] = {}

    @property
    def dropped(self) -> int:
        return self._dropped_before + sum(self._drops.values())

    def take(self, window: Window) -> None:
        """Read or skip the block at `window.pos`. Raises Damage if it is none or the stream ends inside."""
        place = window.place
        if not window.ensure(12):
            raise cut(window, place)
        if window.buf.startswith(b"\n\r\r\n", window.pos):
            self._order(window)
        order = self._byte_order
        kind, length = unpack_from(order + "2I", window.buf, window.pos)
        if length < 12 or length & 3:
            raise Damage(f"a block of {length} bytes", place)
        wanted = kind in WANTED
        if wanted and length > RECORD_LIMIT:
            raise Damage(f"a block of type {kind} of {length} bytes", place)
        if wanted:
            if not window.ensure(length):
                raise cut(window, place)
            body = bytes(window.buf[window.pos + 8 : window.pos + length - 4])
            window.pos += length - 4
        elif not window.skip(length - 4) or not window.ensure(4):
            raise cut(window, place)
        if unpack_from(order + "I", window.buf, window.pos)[0] != length:
            raise Damage("the two lengths of a block differ", place)
        window.pos += 4
        if wanted:
            self._read(kind, body, place)

    @property
    def _byte_order(self) -> str:
        return ">" if self.walker.big_endian else "<"

    def _order(self, window: Window) -> None:
        """A section's header says its own byte order, and that before its length can be understood."""
        for big_endian, order in ((False, "<"), (True, ">")):
            if unpack_from(order + "I", window.buf, window.pos + 8)[0] == BYTE_ORDER:
                self.walker.big_endian = big_endian
                return
        raise Damage("a section header without its byte-order mark", window.place)

    def _read(self, kind: int, body: bytes, place: int) -> None:
        if kind == SECTION_HEADER:
            self._begin_section(body, place)
        elif kind == INTERFACE_DESCRIPTION:
            self._add_interface(body, place)
        elif kind == INTERFACE_STATISTICS:
            self._count_drops(body)
        else:
            self._keep_secrets(body)

    def _begin_section(self, body: bytes, place: int) -> None:
        # The section's length (8 bytes behind the version) is not used: blocks are walked one by one, also where it is wrong.
        if len(body) < 16:
            raise Damage(f"a section header of {len(body) + 12} bytes", place)
        (major,) = unpack_from(self._byte_order + "H", body, 4)
        if major != 1:
            raise Damage(f"a section of pcapng version {major}; 1 is the only one defined", place)
        self.walker.interfaces = []
        self._dropped_before = self.dropped
        self._drops = {}

    def _add_interface(self, body: bytes, place: int) -> None:
        if len(body) < 8:
            raise Damage(f"an interface description of {len(body) + 12} bytes", place)
        if len(self.walker.interfaces) == MOST_INTERFACES:
            raise Damage(f"more than {MOST_INTERFACES:,} interfaces in a section", place)
        linktype, _, snaplen = unpack_from(self._byte_order + "2HI", body)
        resolution, offset = MICROSECONDS, 0
        for code, value in self._options(body, 8):
            if code == OPTION_TSRESOL and len(value) == 1:
                resolution = value[0]
            elif code == OPTION_TSOFFSET and len(value) == 8:
                (offset,) = unpack_from(self._byte_order + "q", value)
        self.walker.interfaces.append(Interface(linktype, snaplen, resolution, offset))

    def _count_drops(self, body: bytes) -> None:
        if len(body) < 12:
            return
        (index,) = unpack_from(self._byte_order + "I", body)
        for code, value in self._options(body, 12):
            if code == OPTION_IFDROP and len(value) == 8 and index < len(self.walker.interfaces):
                (count,) = unpack_from(self._byte_order + "Q", value)
                if count != UNKNOWN_COUNT:
                    # A running total: a later block of the interface replaces an earlier one.
                    self._drops[index] = count

    def _keep_secrets(self, body: bytes) -> None:
        if len(body) < 8:
            return
        kind, length = unpack_from(self._byte_order + "2I", body)
        if kind != TLS_KEY_LOG:
            return
        secret = body[8 : 8 + length]
        if len(secret) > self._secrets_room:
            self.secrets_left_out += 1
            return
        self._secrets_room -= len(secret)
        self.secrets.append(secret)

    def _options(self, body: bytes, pos: int) -> Iterator[tuple[int, bytes]]:
        """The options from `pos` on as (code, value), up to the end or the first that does not fit."""
        while pos + 4 <= len(body):
            code, length = unpack_from(self._byte_order + "2H", body, pos)
            if code == 0 or pos + 4 + length > len(body):
                return
            yield code, body[pos + 4 : pos + 4 + length]
            pos += 4 + (length + 3 & ~3)


def cut(window: Window, place: int) -> Damage:
    """The damage of a stream that ends inside the record or block at `place`."""
    return Damage(f"the capture is cut off inside its last record, {window.total - place} bytes after its start", place)
