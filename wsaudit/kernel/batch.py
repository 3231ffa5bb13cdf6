"""The records of a capture's window at once, in numpy's columns: headers, and the first frame of what a packet carries.

Uncompiled, to take the headers of a packet apart costs as much as all the rest that is to be done with most. Here that is done
for some thousand records in a hundred steps; plain.py then goes through the rows one by one, in order. Imported only when a
capture is long enough to be worth it.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

import numpy as np

from wsaudit.kernel.constants import FORM_16, GENEVE_PORT, MASKED, MOST_ROWS, OLD_VXLAN_PORT, VXLAN_PORT
from wsaudit.kernel.rows import BINARY, CLOSE, DATA, KEY_WIDTH, NO_DATA, OTHER, PING, PONG, SEGMENT, TEXT, UDP

if TYPE_CHECKING:
    from wsaudit.kernel.buffer import Buffer
    from wsaudit.kernel.records import Interface, PcapngWalker, PcapWalker

FEW = 32  # records for which it is not worth it
RECORD_LIMIT = 16 << 20  # as in records.py
ETHERNET = 1

ORDERS = {False: "<", True: ">"}
NUMBERS = {big: np.dtype(order + "u4") for big, order in ORDERS.items()}
RECORDS = {big: np.dtype([(name, u4) for name in ("seconds", "fraction", "caplen", "wirelen")]) for big, u4 in NUMBERS.items()}
BLOCKS = {
    big: np.dtype([(name, u4) for name in ("kind", "length", "interface", "high", "low", "caplen", "wirelen")])
    for big, u4 in NUMBERS.items()
}
TCP = [("seq", ">u4"), ("ack", ">u4"), ("offset", "u1"), ("flags", "u1"), ("window", ">u2")]
# From the Ethernet type on: version 4 with no options, version 6 with no extension headers. The key is addresses and ports.
HEAD4 = np.dtype(
    [
        *(("kind", ">u2"), ("first", "u1"), ("tos", "u1"), ("total", ">u2"), ("ident", ">u2"), ("fragment", ">u2")),
        *(("ttl", "u1"), ("protocol", "u1"), ("checksum", ">u2"), ("key", "V12"), *TCP),
    ]
)
HEAD6 = np.dtype(
    [("kind", ">u2"), ("first", "u1"), ("label", "V3"), ("total", ">u2"), ("protocol", "u1"), ("ttl", "u1"), ("key", "V36"), *TCP]
)
FRAME = np.dtype(
    {"names": ["b0", "b1", "length", "key", "key_16"], "formats": ["u1", "u1", ">u2", "<u4", "<u4"], "offsets": [0, 1, 2, 2, 4]}
)
KEY = np.dtype({"names": ["words", "four", "six"], "formats": ["u1", "V12", "V36"], "offsets": [0, 1, 1], "itemsize": KEY_WIDTH})
KEPT = np.dtype(  # as in kept.py
    [
        *(("first", "<u8"), ("last", "<u8"), ("time", "<i8"), ("packet", "<i8"), ("size", "<u8"), ("shape", "<u4")),
        *(("seq", "<u4"), ("n", "<u4"), ("ident", "<u2"), ("header", "u1"), ("ttl", "u1")),
    ]
)
ROWS = np.dtype(  # as in rows.py
    [
        *(("key", KEY), ("code", "u1"), ("time", "<i8"), ("seq", "<u4"), ("after", "<u4"), ("ack", "<u4"), ("n", "<u4")),
        *(("at", "<u4"), ("shape", "<u2"), ("size", "<u4"), ("mask", "<u4"), ("kept", KEPT)),
    ]
)
CODES = np.full(256, DATA, "u1")
CODES[[0x81, 0x82, 0x88, 0x89, 0x8A]] = TEXT, BINARY, CLOSE, PING, PONG
FIRST_BYTES = np.array([(1 << 8 * n) - 1 for n in range(9)], "u8")
FIN, SYN, RST, ACK = 1, 2, 4, 16
# The top bits of ASCII that is masked with a key of which these are the top bits, lowest byte first.
ASCII = [bytes((key >> i & 1) << 7 for i in range(4)) * (1 << 14) for key in range(16)]

SPARE: list[list[Any]] = []  # memory of a batch that is done: new pages would cost as much time as all that is done here


def items(raw: bytes | bytearray, places: Any, kind: Any) -> Any:
    """The `kind` at each of these places of `raw`; where one would reach beyond the end, another that does not."""
    every = np.ndarray(len(raw) - kind.itemsize + 1, f"V{kind.itemsize}", raw, strides=(1,))
    return every[np.minimum(places, len(every) - 1)].view(kind)


class Batch:
    """Records that are decoded, of which some may have been taken. All are of Ethernet.

    `begins`: where each begins in the buffer, and what follows. `rows`: one for each; `done`: how many were taken. `high`: of
    each byte of the buffer its top bit alone; `ascii`: what to hold that against.
    """

    def __init__(
        self,
        walker: PcapWalker | PcapngWalker,
        buffer: Buffer,
        begins: list[int],
        data: Any,
        caplen: Any,
        wirelen: Any,
        time: Any,
    ) -> None:
        """`data`: where each packet begins."""
        self.walker = walker
        self.buffer = buffer
        self.begins = begins
        self.done = 0
        self.size = len(time)
        self.time = time
        self.latest = np.maximum.accumulate(time)
        self.earliest = np.minimum.accumulate(time)
        self.bytes = np.cumsum(caplen)
        self.clipped = np.cumsum(wirelen > caplen)
        packet = np.arange(1, self.size + 1) + (walker.input_base | walker.number)
        self.memory = memory(self.size, begins[-1])
        self.rows = self.memory[0][: self.size]
        self.flow = decode(self.rows, buffer.raw, data, caplen, np.maximum(wirelen, caplen), np.maximum(time, 1), packet)
        tops = self.memory[2][: begins[-1]]
        np.bitwise_and(np.frombuffer(buffer.raw, "u1", begins[-1]), 0x80, out=tops)
        self.high = tops.data
        self.ascii = ASCII

    def goes_on(self, buffer: Buffer, pos: int) -> bool:
        """Does it have the record at buffer[pos:]?"""
        return self.buffer is buffer and self.done < self.size and self.begins[self.done] == pos

    def due(self, until: int) -> int:
        """How many records are not later than `until`, after those that were taken and before one that is."""
        return max(int(np.searchsorted(self.latest, until, "right")) - self.done, 0)

    def in_turn(self, n: int) -> memoryview:
        """The next `n` rows, as they came."""
        rows: memoryview = self.rows[self.done : self.done + n].view("u1").data
        return rows

    def by_flow(self) -> memoryview:
        """All rows of interest, those of a flow one behind the other: all that is known of it is in the processor's caches then.
        What may be of any flow keeps its place."""
        code = self.rows["code"]
        shown = np.flatnonzero(code != UDP)
        flow = self.flow[shown]
        other = code[shown] == OTHER
        if other.any():
            flow = np.where(other, 0, flow.astype(np.int64) + 1) + (np.cumsum(other) << 17)
        order = np.argsort(flow, kind="stable")
        rows = self.memory[1][: len(order)]
        np.take(self.rows, shown[order], out=rows, mode="clip")  # the usual mode would copy it twice, field by field
        data: memoryview = rows.view("u1").data
        return data

    def clock_after(self, n: int) -> int:
        """Time of the last of the next `n`."""
        return max(int(self.time[self.done + n - 1]), 1)

    def udp_of(self, n: int) -> int:
        """How many of the next `n` are of UDP."""
        return int(np.count_nonzero(self.rows["code"][self.done : self.done + n] == UDP))

    def take(self, n: int) -> int:
        """The next `n` are taken: count them where the walker does. Returns where the one after them begins."""
        walker, done, last = self.walker, self.done, self.done + n - 1
        walker.number += n
        walker.bytes += int(self.bytes[last] - (self.bytes[done - 1] if done else 0))
        walker.truncated_packets += int(self.clipped[last] - (self.clipped[done - 1] if done else 0))
        walker.first_time = min(walker.first_time, int(self.earliest[last]))
        walker.last_time = max(walker.last_time, int(self.latest[last]))
        if hasattr(walker, "time"):  # for blocks without one
            walker.time = int(self.time[last])
        self.done += n
        if self.done == self.size:
            SPARE[:] = [self.memory]
        return self.begins[self.done]


def memory(size: int, end: int) -> list[Any]:
    """For twice so many rows, and so many bytes."""
    spare = SPARE.pop() if SPARE else [np.empty(0, ROWS), np.empty(0, ROWS), np.empty(0, "u1")]
    needed = (size, size, end)
    return [each if len(each) >= n else np.empty(n + n // 4, each.dtype) for each, n in zip(spare, needed, strict=True)]


def pcap_batch(walker: PcapWalker, buffer: Buffer, pos: int, end: int) -> Batch | None:
    """The complete records at the beginning of buffer[pos:end], up to one at which there is something to say."""
    if walker.linktype != ETHERNET:  # before anything is looked at: of several captures, it is asked once a packet
        return None
    raw = buffer.raw
    size = walker.header_size
    caplen_at = Struct(ORDERS[walker.big_endian] + "8xI").unpack_from
    begins: list[int] = []
    note = begins.append
    last = end - size
    for _ in range(MOST_ROWS):
        if pos > last:
            break
        note(pos)
        pos += size + caplen_at(raw, pos)[0]
    if pos <= end:
        note(pos)
    begin = np.array(begins[:-1], np.int64)
    if len(begin) < FEW:
        return None
    seconds, fraction, caplen, wirelen = columns(items(raw, begin, RECORDS[walker.big_endian]))
    bad = (caplen > RECORD_LIMIT) | (seconds | fraction | caplen | wirelen == 0)
    n = int(bad.argmax()) if bad.any() else len(begin)
    if n < FEW:
        return None
    time = (seconds * 1_000_000_000 + fraction * (1 if walker.nano else 1000))[:n]
    return Batch(walker, buffer, begins[: n + 1], begin[:n] + size, caplen[:n], wirelen[:n], time)


def pcapng_batch(walker: PcapngWalker, buffer: Buffer, pos: int, end: int) -> Batch | None:
    """The same of the enhanced packet blocks there."""
    interfaces = walker.interfaces
    if not interfaces or any(interface.linktype != ETHERNET for interface in interfaces):
        return None
    raw = buffer.raw
    most = walker.ahead or MOST_ROWS
    head_at = Struct(ORDERS[walker.big_endian] + "2I").unpack_from
    begins: list[int] = []
    while pos + 32 <= end and len(begins) < most:
        kind, length = head_at(raw, pos)
        if kind != 6 or length < 32:
            break
        begins.append(pos)
        pos += length
    if pos <= end:
        begins.append(pos)
    begin = np.array(begins[:-1], np.int64)
    if len(begin) < FEW:
        return None
    _, length, index, high, low, caplen, wirelen = columns(items(raw, begin, BLOCKS[walker.big_endian]))
    again = items(raw, begin + length - 4, NUMBERS[walker.big_endian])
    good = (length & 3 == 0) & (length <= RECORD_LIMIT) & (caplen + 32 <= length) & (again == length) & (index < len(interfaces))
    time = ticks_to_time(interfaces, np.minimum(index, len(interfaces) - 1), high, low)
    good &= time >= 0
    n = len(begin) if good.all() else int(good.argmin())
    walker.ahead = 0 if n == len(begin) else min(max(4 * n, 2 * FEW), MOST_ROWS)  # what is looked at in vain stays in proportion
    if n < FEW:
        return None
    return Batch(walker, buffer, begins[: n + 1], begin[:n] + 28, caplen[:n], wirelen[:n], time[:n])


def ticks_to_time(interfaces: list[Interface], index: Any, high: Any, low: Any) -> Any:
    """Nanoseconds since 1970; negative where 64 bits cannot hold them."""
    easy = np.array([interface.easy_high for interface in interfaces])[index] >= high
    if not easy.all():
        each = zip(index.tolist(), high.tolist(), low.tolist(), strict=True)
        return np.array([interfaces[i].nanoseconds(upper, lower) for i, upper, lower in each])
    factor = np.array([interface.factor for interface in interfaces])[index]
    return (high << 32 | low) * factor + np.array([interface.offset for interface in interfaces])[index]


def columns(table: Any) -> list[Any]:
    """The columns of a structured array, as numbers that do not overflow."""
    return [table[name].astype(np.int64) for name in table.dtype.names]


def decode(rows: Any, raw: bytes | bytearray, begin: Any, caplen: Any, wirelen: Any, time: Any, packet: Any) -> Any:
    """Fill `rows` (rows.py) with the packets that begin there. Returns a number for each that is the same for all of a flow."""
    end = begin + caplen
    at = begin + 12
    tagged = items(raw, at, np.dtype(">u2")) == 0x8100
    at += 4 * tagged
    four = items(raw, at, HEAD4)
    whole = (caplen == wirelen) & (caplen >= 54 + 4 * tagged)
    is_four = whole & (four["kind"] == 0x0800) & (four["first"] == 0x45) & (four["fragment"] & 0x3FFF == 0)
    ends = four["key"].copy()
    port = ends.view(">u2").reshape(-1, 6)[:, 5]
    source, target, ports = ends.view("<u4").reshape(-1, 3).T
    hosts = source ^ target
    udp = is_four & (four["protocol"] == 17) & (port != VXLAN_PORT) & (port != OLD_VXLAN_PORT) & (port != GENEVE_PORT)
    tcp = is_four & (four["protocol"] == 6) & (four["total"] > 0)
    key = rows["key"]
    key["words"] = 2
    key["six"] = np.void(36)
    key["four"] = four["key"]
    head = {name: four[name].astype(np.int64) for name in ("seq", "ack", "offset", "flags", "window", "ttl", "ident")}
    start = at + 22
    stop = at + 2 + four["total"]
    six = np.flatnonzero(whole & (four["kind"] == 0x86DD) & (at + HEAD6.itemsize <= end))
    if len(six):
        of_six = items(raw, at[six], HEAD6)
        tcp[six] = (of_six["first"] >> 4 == 6) & (of_six["protocol"] == 6) & (of_six["total"] > 0)
        key["words"][six] = 8
        key["six"][six] = of_six["key"]
        for name in ("seq", "ack", "offset", "flags", "window", "ttl"):
            head[name][six] = of_six[name]
        head["ident"][six] = 0
        ends = of_six["key"].copy().view("<u4").reshape(-1, 9)
        hosts[six] = np.bitwise_xor.reduce(ends[:, :8], 1)
        ports[six] = ends[:, 8]
        start[six] += 20
        stop[six] = at[six] + 42 + of_six["total"]
    header = head["offset"] >> 4 << 2
    start += header
    tcp &= (header >= 20) & (start <= stop) & (stop <= end)
    simple = tcp & (head["flags"] & (FIN | SYN | RST | ACK) == ACK) & (head["window"] > 0) & (head["ttl"] > 0)
    n = stop - start
    code, at, shape, size, mask = first_frames(raw, start, stop)
    for kind, these in ((NO_DATA, n == 0), (SEGMENT, ~simple), (OTHER, ~tcp), (UDP, udp)):
        code[these] = kind
    framed = code < NO_DATA
    rows["code"] = code
    rows["time"] = time
    rows["seq"] = head["seq"]
    rows["after"] = head["seq"] + n & 0xFFFFFFFF
    rows["ack"] = head["ack"]
    rows["n"] = np.where(tcp, n, caplen)
    rows["at"] = np.where(framed, at, np.where(tcp, start, begin))
    rows["shape"] = shape
    rows["size"] = np.where(tcp, size, wirelen)
    rows["mask"] = mask
    kept = rows["kept"]
    kept["first"] = items(raw, start, np.dtype("<u8")) & FIRST_BYTES[np.clip(n, 0, 8)]
    kept["last"] = np.where(n < 8, kept["first"], items(raw, stop - 8, np.dtype("<u8")))
    kept["time"] = time
    kept["packet"] = packet
    kept["size"] = size
    kept["shape"] = shape
    kept["seq"] = head["seq"]
    kept["n"] = n
    kept["ident"] = head["ident"]
    kept["header"] = header
    kept["ttl"] = head["ttl"]
    flow = hosts * np.uint32(0x9E3779B1) + ((ports ^ ports >> 16) & 0xFFFF) * np.uint32(0x85EBCA6B)  # both directions alike
    return (flow >> 16).astype(np.uint16)


def first_frames(raw: bytes | bytearray, start: Any, stop: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Of the frame at each start: code (DATA where it does not end at the stop, or is none of a known kind), where its
    payload begins, shape, length and masking key."""
    frame = items(raw, start, FRAME)
    length = frame["b1"] & 127
    masked = frame["b1"] >> 7
    wide = length == 126
    size = np.where(wide, frame["length"], length).astype(np.int64)
    mask = np.where(wide, frame["key_16"], frame["key"]) * masked
    at = start + 2 + 2 * wide + 4 * masked
    code = CODES[frame["b0"]]
    whole = (at + size == stop) & (length != 127) & ~(wide & ((size < 126) | (code > BINARY)))
    top = mask >> 7 & 1 | mask >> 14 & 2 | mask >> 21 & 4 | mask >> 28 & 8
    code = np.where(whole, np.where(code == TEXT, top, code), DATA).astype("u1")
    shape = frame["b0"] | wide * FORM_16 | masked.astype(np.int64) * MASKED
    return code, at, shape, size, mask
