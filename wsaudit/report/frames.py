"""Every frame and every message as a table: from the columns that the kernel filled, without an object per frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from wsaudit.engine import Audit, Frames
from wsaudit.kernel.constants import FORM_16, FORM_64, IN_MESSAGE, MASKED
from wsaudit.model import CLIENT, PACKET_BITS, PACKET_MASK, SERVER, SIDES
from wsaudit.report.tables import Column, column

if TYPE_CHECKING:
    import numpy
    import pandas

FIN, RSV1, RSV2, RSV3, OPCODE = 0x80, 0x40, 0x20, 0x10, 0x0F
CLOSE = 8
NumberOf = Callable[[int], int | None]
TYPES = ("continuation", "text", "binary", "close", "ping", "pong", "reserved")
KINDS = ("text", "binary")
# Opcode → index in TYPES; 3-7 and 11-15 are reserved (RFC 6455 §5.2).
TYPE_OF = (0, 1, 2, 6, 6, 6, 6, 6, 3, 4, 5, 6, 6, 6, 6, 6)

FRAME_COLUMNS = (
    column("connection", "int", "id in connections"),
    column("side", "word", "who sent it: client or server"),
    column("input", "int", "position in inputs, from 0, of `packet`"),
    column("packet", "int", "with its first byte"),
    column("last_packet", "int", "with its last byte; of an incomplete one, as `packet`"),
    column("time", "time", "of its first byte"),
    column("opcode", "int", "0 to 15"),
    column("type", "word", ", ".join(TYPES)),
    column("fin", "bool"),
    column("rsv1", "bool", "compressed, where permessage-deflate was agreed"),
    column("rsv2", "bool"),
    column("rsv3", "bool"),
    column("masked", "bool"),
    column("length", "int", "bytes of payload, as declared"),
    column("length_form", "int", "bits the length was written in: 7, 16 or 64"),
    column("offset", "int", "of its first byte in that side's stream (TLS: decrypted)"),
    column("complete", "bool", "whether all of it came"),
    column("close_code", "int", "of the first four Close frames of a side"),
)

MESSAGE_COLUMNS = (
    column("connection", "int", "id in connections"),
    column("side", "word", "who sent it: client or server"),
    column("input", "int", "position in inputs, from 0, of `packet`"),
    column("packet", "int", "with its first byte"),
    column("last_packet", "int", "with its last byte"),
    column("time", "time", "of its first byte"),
    column("end_time", "time", "of its last byte"),
    column("kind", "word", ", ".join(KINDS)),
    column("frames", "int", "1, or the number of fragments"),
    column("wire_bytes", "int", "bytes of payload as on the wire: before inflating"),
    column("compressed", "bool", "whether RSV1 was set"),
    column("complete", "bool", "whether it came to its end"),
)


def frames_frame(audit: Audit, number_of: NumberOf) -> pandas.DataFrame:
    """FRAME_COLUMNS of every frame; `number_of`: a connection's first packet → its id. By connection, then in the order they
    came."""
    return data_frame(FRAME_COLUMNS, [frame_columns(one, number) for number, one in in_order(audit.frames, number_of)])


def messages_frame(audit: Audit, number_of: NumberOf) -> pandas.DataFrame:
    """MESSAGE_COLUMNS of every message whose first frame was seen; `number_of` as for `frames_frame`."""
    logs = in_order(audit.frames, number_of)
    tables = [message_columns(one, number, side) for number, one in logs for side in (CLIENT, SERVER)]
    found = data_frame(MESSAGE_COLUMNS, tables)
    return found.sort_values(["connection", "time"], kind="stable", ignore_index=True)


def in_order(logs: Iterable[Frames], number_of: NumberOf) -> list[tuple[int, Frames]]:
    """With the ids of their connections."""
    numbered = [(number, one) for one in logs if (number := number_of(one.key)) is not None]
    return sorted(numbered, key=itemgetter(0))


def frame_columns(one: Frames, number: int) -> dict[str, Any]:
    """The columns of one connection's frames, as numpy arrays."""
    import numpy as np

    log = one.log
    shape, packet = array_of(log.shape), array_of(log.packet)
    opcode = shape & OPCODE
    return {
        "connection": np.full(len(shape), number),
        "side": array_of(log.side),
        "input": packet >> PACKET_BITS,
        "packet": packet & PACKET_MASK,
        "last_packet": array_of(log.end_packet) & PACKET_MASK,
        "time": array_of(log.time),
        "opcode": opcode,
        "type": np.array(TYPE_OF)[opcode],
        "fin": shape & FIN != 0,
        "rsv1": shape & RSV1 != 0,
        "rsv2": shape & RSV2 != 0,
        "rsv3": shape & RSV3 != 0,
        "masked": shape & MASKED != 0,
        "length": array_of(log.length),
        "length_form": np.where(shape & FORM_64, 64, np.where(shape & FORM_16, 16, 7)),
        "offset": array_of(log.offset),
        "complete": array_of(log.complete) != 0,
        "close_code": close_codes(one, opcode),
    }


def close_codes(one: Frames, opcode: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
    """The code of each frame that is a Close with one; -1 for all others."""
    import numpy as np

    codes = np.full(len(opcode), -1)
    places = {(close.side, close.place.offset): close.code for close in one.closes if close.code is not None}
    if places:
        for row in np.flatnonzero(opcode == CLOSE):
            codes[row] = places.get((one.log.side[row], one.log.offset[row]), -1)
    return codes


def message_columns(one: Frames, number: int, side: int) -> dict[str, Any]:
    """The columns of one side's messages. A continuation belongs to the message that was open before it (the kernel's bit says
    whether one was), so a message whose start was lost has no row, and one that another interrupts ends there, incomplete."""
    import numpy as np

    log = one.log
    shape = array_of(log.shape)
    opcode = shape & OPCODE
    starts = (opcode == 1) | (opcode == 2)
    rows = np.flatnonzero((array_of(log.side) == side) & (starts | ((opcode == 0) & (shape & IN_MESSAGE != 0))))
    first = np.flatnonzero(starts[rows])
    rows = rows[first[0] :] if len(first) else rows[:0]
    first = first - first[0] if len(first) else first
    last = np.append(first[1:], len(rows))[: len(first)] - 1
    begin, end = rows[first], rows[last]
    packet = array_of(log.packet)[begin]
    lengths = array_of(log.length)[rows]
    return {
        "connection": np.full(len(first), number),
        "side": np.full(len(first), side),
        "input": packet >> PACKET_BITS,
        "packet": packet & PACKET_MASK,
        "last_packet": array_of(log.end_packet)[end] & PACKET_MASK,
        "time": array_of(log.time)[begin],
        "end_time": array_of(log.end_time)[end],
        "kind": opcode[begin] - 1,
        "frames": last - first + 1,
        "wire_bytes": np.add.reduceat(lengths, first) if len(first) else lengths,
        "compressed": shape[begin] & RSV1 != 0,
        "complete": (shape[end] & FIN != 0) & (array_of(log.complete)[end] != 0),
    }


def array_of(values: Any) -> numpy.ndarray[Any, Any]:
    """A typed column of the kernel as 64-bit integers."""
    import numpy as np

    return np.array(values, dtype=np.int64)


WORDS = {"side": SIDES, "type": TYPES, "kind": KINDS}


def data_frame(columns: tuple[Column, ...], tables: list[dict[str, Any]]) -> pandas.DataFrame:
    """Tables of equal columns, one below the other, as a DataFrame. Integers below zero stand for unknown."""
    import numpy as np
    import pandas as pd

    series: dict[str, Any] = {}
    for one in columns:
        parts = [table[one.name] for table in tables]
        values = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
        if one.kind == "time":
            series[one.name] = pd.Series(pd.to_datetime(values, unit="ns", utc=True))
        elif one.kind == "word":
            series[one.name] = pd.Categorical.from_codes(values, dtype=pd.CategoricalDtype(list(WORDS[one.name])))
        elif one.kind == "bool":
            series[one.name] = pd.array(values.astype(bool), dtype="boolean")
        else:
            series[one.name] = pd.arrays.IntegerArray(values, values < 0)
    return pd.DataFrame(series)
