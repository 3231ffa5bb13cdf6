"""Rows as columns, in which they go from one process to another: pickled one by one they take four times as long."""

from __future__ import annotations

from array import array
from typing import Any

from wsaudit.kernel import ahead, mode
from wsaudit.kernel.connection import Connection
from wsaudit.model import Termination

FEW = 16  # kinds of rows, met last, that a row may be of without being one that begins a kind of its own

WIDE, NARROW = 5, 8  # numbers of a row, of 64 and of 32 bits

Columns = tuple[Any, ...]


def is_compiled() -> bool:
    return bool(mode.COMPILED)


def from_rows(rows: list[Connection]) -> Columns:
    """One row of each kind, and columns of what differs between rows that are `another` of it. What hardly two rows share is
    joined, since to pickle many small objects takes longer than all the rest."""
    kinds: list[Connection] = []
    ends: dict[int, tuple[object, ...]] = {}
    wide = array("q", bytes(8 * WIDE * len(rows)))
    narrow = array("i", bytes(4 * NARROW * len(rows)))
    targets: list[str] = []
    keys: list[str] = []
    hosts, packed, mask_keys, servers, closes, terminations, notices = [], [], [], [], [], [], []
    at = 0
    to = 0
    for i, row in enumerate(rows):
        ahead.row(rows, i)
        ahead.client(rows, i)
        wide[at] = row.first_packet
        wide[at + 1] = row.started
        wide[at + 2] = row.ended
        wide[at + 3] = row.end_time
        wide[at + 4] = row.latency_ns
        at += WIDE
        client = row.client
        host: bytes = client[0]
        own: bytes = row.packed
        masks: bytes = row.packed_keys
        narrow[to] = kind_among(kinds, row)
        narrow[to + 1] = row.probable | row.complete << 1 | row.midstream << 2
        narrow[to + 2] = client[1]
        narrow[to + 3] = len(host)
        narrow[to + 4] = len(own)
        narrow[to + 5] = len(masks)
        narrow[to + 6] = take_text(targets, row.target)
        narrow[to + 7] = take_text(keys, row.key)
        to += NARROW
        hosts.append(host)
        packed.append(own)
        mask_keys.append(masks)
        servers.append(row.server)
        closes.append(row.close)
        notices.append(row.notices)
        end = ends.get(id(row.termination))
        if end is None:
            end = ends[id(row.termination)] = tuple(row.termination)
        terminations.append(end)
    return (
        kinds, bytes(wide), bytes(narrow), b"".join(hosts), b"".join(packed), b"".join(mask_keys), "".join(targets),
        "".join(keys), servers, closes, notices, terminations,
    )  # fmt: skip


def take_text(texts: list[str], text: str | None) -> int:
    """Add it to the others, unless it is None; returns its length, -1 for None."""
    if text is None:
        return -1
    texts.append(text)
    return len(text)


def kind_among(kinds: list[Connection], row: Connection) -> int:
    """Which of these the row is another of; a new one if it is none of the last."""
    count = len(kinds)
    i = count - 1
    while i >= 0 and count - i <= FEW:
        if row.is_another(kinds[i]):
            return i
        i -= 1
    kinds.append(row)
    return count


def to_rows(columns: Columns) -> list[Connection]:
    """The rows that these columns were made from."""
    kinds, wide_bytes, narrow_bytes, hosts, packed, mask_keys, targets, keys, servers, closes, notices, terminations = columns
    wide = array("q", wide_bytes)
    narrow = array("i", narrow_bytes)
    ends: dict[int, Termination] = {}
    rows = []
    at = 0
    to = 0
    host_at = 0
    packed_at = 0
    mask_at = 0
    target_at = 0
    key_at = 0
    for i in range(len(servers)):
        kind: Connection = kinds[narrow[to]]
        row = kind.another()
        row.first_packet = wide[at]
        row.started = wide[at + 1]
        row.ended = wide[at + 2]
        row.end_time = wide[at + 3]
        row.latency_ns = wide[at + 4]
        at += WIDE
        flags = narrow[to + 1]
        row.probable = flags & 1 != 0
        row.complete = flags & 2 != 0
        row.midstream = flags & 4 != 0
        size = narrow[to + 3]
        row.client = (hosts[host_at : host_at + size], narrow[to + 2])
        host_at += size
        size = narrow[to + 4]
        row.packed = packed[packed_at : packed_at + size]
        packed_at += size
        size = narrow[to + 5]
        row.packed_keys = mask_keys[mask_at : mask_at + size]
        mask_at += size
        size = narrow[to + 6]
        row.target = None
        if size >= 0:
            row.target = targets[target_at : target_at + size]
            target_at += size
        size = narrow[to + 7]
        row.key = None
        if size >= 0:
            row.key = keys[key_at : key_at + size]
            key_at += size
        to += NARROW
        row.server = servers[i]
        row.close = closes[i]
        row.notices = notices[i]
        fields = terminations[i]
        end = ends.get(id(fields))
        if end is None:
            end = ends[id(fields)] = Termination._make(fields)
        row.termination = end
        rows.append(row)
    return rows
