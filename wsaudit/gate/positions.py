"""Where in a TOML text a key or a list element stands. tomllib gives values without positions, and an error without a line is
half an error.

A scan of lines, not a second parser: the text has passed tomllib before, so tables and keys are known to be well-formed. What
it cannot place (a key inside an inline table) gets the line of the nearest thing around it.
"""

from __future__ import annotations

import re

Path = tuple[str | int, ...]
"""("limits", "abnormal-rate") or, in the second [[allow]] table, ("allow", 1, "rule"). List elements are numbered from 0."""

KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
DOTTED = rf"{KEY}(?:\s*\.\s*{KEY})*"
TABLE = re.compile(rf"\s*(\[\[?)\s*({DOTTED})\s*\]")
ASSIGNMENT = re.compile(rf"\s*({DOTTED})\s*=")


class Positions:
    """Line numbers, from 1, of everything in one TOML text."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.found: dict[Path, int] = {}
        self.scan()

    def scan(self) -> None:
        """Note the line of each table and each key."""
        table: Path = ()
        sizes: dict[Path, int] = {}
        for number, line in enumerate(self.lines, 1):
            if header := TABLE.match(line):
                table = self.enter(header[2], sizes, array=header[1] == "[[")
                self.found.setdefault(table, number)
            elif assignment := ASSIGNMENT.match(line):
                path = table
                for key in split_keys(assignment[1]):
                    path = (*path, key)
                    self.found.setdefault(path, number)

    def enter(self, keys: str, sizes: dict[Path, int], *, array: bool) -> Path:
        """The path of a table header; each [[header]] is the next element of its array, and a [sub.table] belongs to the last
        one."""
        path: Path = ()
        names = split_keys(keys)
        for depth, key in enumerate(names, 1):
            path = (*path, key)
            if array and depth == len(names):
                sizes[path] = sizes.get(path, 0) + 1
            if path in sizes:
                path = (*path, sizes[path] - 1)
        return path

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing around it; 1 when nothing is known."""
        for length in range(len(path), 0, -1):
            if number := self.found.get(path[:length]):
                return self.element(number, path[length:])
        return 1

    def element(self, start: int, rest: Path) -> int:
        """The line, from `start` on, that shows the last text of `rest` (an element of a list that runs over several lines)."""
        words = [part for part in rest if isinstance(part, str)]
        if words:
            for number in range(start, len(self.lines) + 1):
                if words[-1] in self.lines[number - 1]:
                    return number
        return start


def split_keys(dotted: str) -> list[str]:
    """`a."b.c".d` as its keys, quotes taken off."""
    return [key[1:-1] if key[0] in "\"'" else key for key in re.findall(KEY, dotted)]
