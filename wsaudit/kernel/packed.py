"""Numbers as bytes: seven bits of a number in each, the last one without its top bit; small ones take one byte (LEB128, with the
sign folded in). A row's forty numbers take about 115 bytes; as Python objects they would take ten times that. Uncompiled, each
takes eight bytes, and the end says so: to make fewer of them would cost a twentieth of an audit's time. Either form of the kernel
reads what either has packed, since workers may have another than who puts their parts together."""

from __future__ import annotations

from struct import pack, unpack_from

from wsaudit.kernel import mode, numbers

WIDEST = 10  # bytes of a 64-bit number
WHOLE = 0xFF  # the last byte, where each number takes eight of them (little endian): otherwise that has no top bit


def is_compiled() -> bool:
    return bool(mode.COMPILED)


def maybe(number: int) -> int | None:
    """A number that is not negative; None for a negative one, which stands for "not known"."""
    return None if number < 0 else number


class Packer:
    """Collects numbers of up to 64 bits with a sign."""

    __slots__ = ("n", "numbers", "out", "room", "store")

    def __init__(self) -> None:
        self.n = 0
        self.room = 256
        self.store = bytearray(self.room)
        self.out = self.store  # compiled, a typed view of it
        if not mode.COMPILED:
            self.numbers: list[int] = []

    def add(self, value: int) -> None:
        if not mode.COMPILED:
            self.numbers.append(value)
            return
        if self.room - self.n < WIDEST:
            self.grow()
        left = value
        if value < 0:
            left = -1 - value
            left = left << 1 | 1
        else:
            left = left << 1
        n = self.n
        while left > 0x7F:
            self.out[n] = left & 0x7F | 0x80
            left >>= 7
            n += 1
        self.out[n] = left
        self.n = n + 1

    def grow(self) -> None:
        self.room *= 2
        self.store = self.store + bytearray(self.room - len(self.store))
        self.out = self.store

    def taken(self) -> bytes:
        """What was collected; the next number begins anew."""
        if not mode.COMPILED:
            whole = pack(f"<{len(self.numbers)}qB", *self.numbers, WHOLE)
            self.numbers.clear()
            return whole
        packed = numbers.first(self.out, self.n)
        self.n = 0
        return packed


def pack_numbers(values: list[int]) -> bytes:
    """All of them, packed."""
    packer = Packer()
    for value in values:
        packer.add(value)
    return packer.taken()


def unpack_numbers(packed: bytes) -> list[int]:
    """The numbers again. Only of what `Packer` made."""
    if packed and packed[-1] == WHOLE:
        return list(unpack_from(f"<{len(packed) >> 3}q", packed))
    values = []
    left = 0
    shift = 0
    for octet in packed:
        part = octet & 0x7F
        left |= part << shift
        if octet & 0x80:
            shift += 7
            continue
        value = left >> 1
        values.append(-1 - value if left & 1 else value)
        left = 0
        shift = 0
    return values


def number_at(packed: bytes, place: int) -> int:
    """One of the numbers; IndexError when there are not that many. The ones before it are not looked at."""
    if packed[-1] == WHOLE:
        if place >= len(packed) >> 3:
            raise IndexError("not that many numbers")
        number: int = unpack_from("<q", packed, 8 * place)[0]
        return number
    i = 0
    while place > 0:
        if not packed[i] & 0x80:
            place -= 1
        i += 1
    part = packed[i]
    left = part & 0x7F
    shift = 7
    while part & 0x80:
        i += 1
        part = packed[i]
        left |= (part & 0x7F) << shift
        shift += 7
    value = left >> 1
    return -1 - value if left & 1 else value
