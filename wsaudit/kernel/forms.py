"""Is a head made like one before it? Asked for every opening handshake, up to eight times (http/form.py)."""

from __future__ import annotations

import re

from wsaudit.kernel import mode

VALUE = re.compile(rb"[!-~]+(?: [!-~]+)*").match


def values_between(literals: tuple[bytes, ...], data: bytes, start: int, end: int) -> list[bytes] | None:
    """The values that stand between `literals` in data[start:end], if it is made so."""
    values: list[bytes] = []
    first = True
    for literal in literals:
        if not first:
            stop = value_end(data, start, end)
            if stop < 0:
                return None
            values.append(data[start:stop])
            start = stop
        if not data.startswith(literal, start):
            return None
        start += len(literal)
        first = False
    return values if start == end else None


def value_end(data: bytes, start: int, end: int) -> int:
    """Where the value of a field ends that begins at `start`: at a CR, and before that there are no octets that have to be looked
    at, and no outer or double blanks. -1: it is none."""
    if not mode.COMPILED:
        found = VALUE(data, start, end)
        stop = found.end() if found is not None else end
        return stop if stop < end and data[stop] == 13 else -1
    blank = True  # before the next octet
    for at in range(start, end):
        octet = data[at]
        if octet == 32:
            if blank:
                return -1
            blank = True
        elif 32 < octet < 127:
            blank = False
        else:
            return -1 if blank or octet != 13 else at
    return -1
