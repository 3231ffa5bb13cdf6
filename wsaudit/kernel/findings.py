"""Findings in columns. A report on 50,000 connections has 70,000 of them, and most of what asks for them only counts. As objects
they take 340 bytes and most of a microsecond each; here a finding is seven numbers until somebody wants to see it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from wsaudit.kernel import mode, order
from wsaudit.model import Finding, Place

Kind = tuple[str, str, str, int, str]
Group = tuple[Finding, list[int], dict[str, int]]

WIDTH = 7  # numbers of a finding, in this order:
KIND, KEY, PACKET, TIME, OFFSET, LAST_PACKET, COUNT = 0, 1, 2, 3, 4, 5, 6
NONE = array("q")
FEW = 64


def is_compiled() -> bool:
    return bool(mode.COMPILED)


class Findings:
    """`kinds`: what they say without the numbers (rule, verdict, at_fault, side, detail), each once."""

    __slots__ = ("kinds", "known", "numbers", "size", "store")

    def __init__(self, kinds: Sequence[Kind] = (), numbers: bytes = b"") -> None:
        self.kinds: list[Kind] = list(kinds)
        self.known = {kind: i for i, kind in enumerate(kinds)}
        self.size = len(numbers) // (8 * WIDTH)
        self.store = array("q", numbers)
        self.numbers = self.store  # compiled, a typed view of it

    def kind_of(self, finding: Finding) -> int:
        """The number of what it says."""
        rule, verdict, at_fault, side, _, _, _, _, detail = finding
        return self.number_of((rule, verdict, at_fault, side, detail))

    def number_of(self, kind: Kind) -> int:
        number = self.known.get(kind)
        if number is None:
            number = self.known[kind] = len(self.kinds)
            self.kinds.append(kind)
        return number

    def put(self, kind: int, key: int, packet: int, time: int, offset: int, last_packet: int, count: int) -> None:
        """One more, that says what `kind` has the number of."""
        at = self.size * WIDTH
        if at == len(self.numbers):
            self.grow(self.size // 2 + FEW)
        self.numbers[at + KIND] = kind
        self.numbers[at + KEY] = key
        self.numbers[at + PACKET] = packet
        self.numbers[at + TIME] = time
        self.numbers[at + OFFSET] = offset
        self.numbers[at + LAST_PACKET] = last_packet
        self.numbers[at + COUNT] = count
        self.size += 1

    def grow(self, more: int) -> None:
        """Make room for so many more."""
        self.numbers = NONE  # an array that is looked at cannot grow
        self.store.frombytes(bytes(8 * WIDTH * more))
        self.numbers = self.store

    def extend(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            _, _, _, _, key, (packet, time, offset), last_packet, count, _ = finding
            self.put(self.kind_of(finding), key, packet, time, offset, last_packet, count)

    def copy(self) -> Findings:
        found = Findings(self.kinds)
        found.store = self.store[: self.size * WIDTH]
        found.numbers = found.store
        found.size = self.size
        return found

    def merge(self, other: Findings) -> None:
        """All of `other`, too."""
        kinds = array("q", [self.number_of(kind) for kind in other.kinds])
        numbers = other.numbers
        self.grow(other.size)
        for at in range(0, other.size * WIDTH, WIDTH):
            self.put(
                kinds[numbers[at + KIND]], numbers[at + KEY], numbers[at + PACKET], numbers[at + TIME], numbers[at + OFFSET],
                numbers[at + LAST_PACKET], numbers[at + COUNT],
            )  # fmt: skip

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Finding]:
        return map(self.finding, range(self.size))

    def __getitem__(self, index: int) -> Finding:
        return self.finding(index)

    def finding(self, index: int) -> Finding:
        if not 0 <= index < self.size:
            raise IndexError(index)
        numbers = self.numbers
        at = index * WIDTH
        rule, verdict, at_fault, side, detail = self.kinds[numbers[at + KIND]]
        place = Place(numbers[at + PACKET], numbers[at + TIME], numbers[at + OFFSET])
        last_packet, count = numbers[at + LAST_PACKET], numbers[at + COUNT]
        return Finding(rule, verdict, at_fault, side, numbers[at + KEY], place, last_packet, count, detail)

    def __reduce__(self) -> tuple[type[Findings], tuple[list[Kind], bytes]]:
        return Findings, (self.kinds, self.store[: self.size * WIDTH].tobytes())

    def in_order(self) -> Findings:
        """The same by connection and packet; those about one packet by rule, side and detail."""
        said = [(rule, side, detail) for rule, _, _, side, detail in self.kinds]
        ranks = {each: rank for rank, each in enumerate(sorted(set(said)))}
        rank_of = array("q", [ranks[each] for each in said])
        numbers = self.numbers
        size = self.size
        column = array("q", bytes(8 * size))
        for i in range(size):
            column[i] = rank_of[numbers[i * WIDTH + KIND]]
        places = order.order(column)
        found = Findings(self.kinds)
        found.grow(size)
        for field in (PACKET, KEY):
            for i in range(size):
                column[i] = numbers[places[i] * WIDTH + field]
            sooner = order.order(column)
            moved = array("q", bytes(8 * size))
            for i in range(size):
                moved[i] = places[sooner[i]]
            places = moved
        for i in range(size):
            at = places[i] * WIDTH
            found.put(
                numbers[at + KIND], numbers[at + KEY], numbers[at + PACKET], numbers[at + TIME], numbers[at + OFFSET],
                numbers[at + LAST_PACKET], numbers[at + COUNT],
            )  # fmt: skip
        return found

    def of_rule(self, rule: str) -> list[Finding]:
        """Those of one rule."""
        wanted = {i for i, kind in enumerate(self.kinds) if kind[0] == rule}
        if not wanted:
            return []
        return [self.finding(i) for i in range(self.size) if self.numbers[i * WIDTH + KIND] in wanted]

    def groups(self, starts: Sequence[int]) -> dict[tuple[str, str], Group]:
        """Findings, which are in order, by rule and verdict: the first one, the ids of the connections it was found in, and who
        was at fault how often. `starts`: the first packets of the connections in the order of their ids, which begin with 1."""
        groups: dict[tuple[str, str], Group] = {}
        kinds = self.kinds
        numbers = self.numbers
        group_of: list[list[int] | None] = [None] * len(kinds)
        counts = array("q", bytes(8 * len(kinds)))
        seen = []
        last = len(starts)
        number = 0
        for i in range(self.size):
            at = i * WIDTH
            kind = numbers[at + KIND]
            key = numbers[at + KEY]
            ids = group_of[kind]
            if ids is None:
                seen.append(kind)
                rule, verdict = kinds[kind][:2]
                group = groups.get((rule, verdict))
                if group is None:
                    group = groups[rule, verdict] = (self.finding(i), [], {})
                ids = group_of[kind] = group[1]
            counts[kind] += 1
            while number < last and starts[number] <= key:
                number += 1
            if number and starts[number - 1] == key and (not ids or ids[-1] != number):
                ids.append(number)
        for kind in seen:
            rule, verdict, at_fault = kinds[kind][:3]
            faults = groups[rule, verdict][2]
            faults[at_fault] = faults.get(at_fault, 0) + counts[kind]
        return groups
