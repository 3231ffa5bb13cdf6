"""Reads the TOML files in data/, and files of users that have the same form.

`read` gives the parsed file, checked for the two things every one of them must say: where its facts come from (`source`) and
when they were last looked at (`date`). `Entry` takes one table of it apart and complains, with file and key, about whatever is
missing, misspelt or of the wrong type: a typing slip in a data file must not become a wrong diagnosis.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeVar

from wsaudit.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")
DATA = os.path.join(os.path.dirname(__file__), "data")

#: The files in data/, for whoever wants to look at all of them.
FILES = (
    "close_codes.toml",
    "private_codes.toml",
    "opcodes.toml",
    "extensions.toml",
    "subprotocols.toml",
    "signatures.toml",
    "deviations.toml",
    "cloudflare.toml",
    "browsers.toml",
    "heartbeats.toml",
)


def read(name: str) -> dict[str, Any]:
    """The shipped data file `name`, parsed. Raises UsageError when it lacks `source` or `date`."""
    code = Shipped(name, os.path.join(DATA, name)).get_code(name)
    assert code is not None
    document: dict[str, Any] = eval(code)
    header = Entry(document, name)
    header.text("source")
    header.text("date")
    return document


class Shipped(SourceFileLoader):
    """Keeps what was parsed as Python keeps what was compiled, in __pycache__ until the file changes: parsing these few takes
    longer than all else that a small capture needs."""

    def source_to_code(self, data: Any, path: Any = "", *, _optimize: int = -1) -> CodeType:  # type: ignore[override]
        return compile(repr(parse(data.decode(), self.name)), path, "eval")


def read_user_file(path: Path) -> dict[str, Any]:
    """A data file that a user gave us, parsed. Raises UsageError naming the file when it cannot be read or is not TOML."""
    try:
        return parse(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error


def parse(text: str, name: str) -> dict[str, Any]:
    """TOML text as a dict. Raises UsageError naming the file and the line."""
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name}: not valid TOML: {error}") from error


def entries(document: Mapping[str, Any], key: str, name: str) -> Iterator[Entry]:
    """Every table of the array `[[key]]`, ready to be taken apart. A missing array is an empty one."""
    tables = document.get(key, [])
    if not isinstance(tables, list):
        raise UsageError(f"{name}: {key}: must be a list of tables, [[{key}]]")
    for number, table in enumerate(tables, 1):
        where = f"{name}: {key}[{number}]"
        if not isinstance(table, dict):
            raise UsageError(f"{where}: must be a table")
        label = table.get("name")
        yield Entry(table, f"{where} ({label})" if isinstance(label, str) else where)


class Entry:
    """One table of a data file. Every getter raises UsageError with file, entry and key; `done` refuses keys nobody asked for."""

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self.where = where
        self._table = table
        self._asked: set[str] = set()

    def error(self, key: str, reason: str) -> UsageError:
        """The exception for a bad `key`; returned, so that the caller's `raise` shows."""
        return UsageError(f"{self.where}: {key}: {reason}")

    def text(self, key: str, default: str | None = None) -> str:
        """A non-empty string."""
        value = self._get(key, str, default, "text in quotes")
        if not value.strip():
            raise self.error(key, "must not be empty")
        return value

    def optional_text(self, key: str) -> str | None:
        """A non-empty string, or None when the key is missing."""
        return self.text(key) if self.has(key) else None

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of strings."""
        value = self._get(key, list, None if default is None else list(default), "a list of texts")
        if not all(isinstance(item, str) for item in value):
            raise self.error(key, "must be a list of texts")
        return tuple(value)

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number."""
        return self._get(key, int, default, "a whole number")

    def optional_integer(self, key: str) -> int | None:
        """A whole number, or None when the key is missing."""
        return self.integer(key) if self.has(key) else None

    def positive(self, key: str, default: float | None = None) -> float:
        """A number greater than zero, whole or not: `inf` and `nan`, which TOML can spell, are no durations."""
        whole = self.has(key) and type(self._table[key]) is int
        value = float(self.integer(key)) if whole else self._get(key, float, default, "a number")
        if not 0 < value < float("inf"):
            raise self.error(key, "must be greater than 0 and finite")
        return value

    def optional_positive(self, key: str) -> float | None:
        """A number greater than zero, or None when the key is missing."""
        return self.positive(key) if self.has(key) else None

    def flag(self, key: str, default: bool = False) -> bool:
        """true or false."""
        return self._get(key, bool, default, "true or false")

    def choice(self, key: str, allowed: Collection[str], default: str | None = None) -> str:
        """One of a closed set of words."""
        value = self.text(key, default)
        if value not in allowed:
            raise self.error(key, f"must be one of {', '.join(sorted(allowed))}, not {value!r}")
        return value

    def choices(self, key: str, allowed: Collection[str], default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of words of a closed set."""
        values = self.texts(key, default)
        for value in values:
            if value not in allowed:
                raise self.error(key, f"must be of {', '.join(sorted(allowed))}, not {value!r}")
        return values

    def pattern(self, key: str) -> re.Pattern[str]:
        """A regular expression, searched with; case matters unless it says (?i)."""
        try:
            return re.compile(self.text(key))
        except re.error as error:
            raise self.error(key, f"not a regular expression: {error}") from error

    def optional_pattern(self, key: str) -> re.Pattern[str] | None:
        """A regular expression, or None when the key is missing."""
        return self.pattern(key) if self.has(key) else None

    def entries(self, key: str) -> Iterator[Entry]:
        """The tables nested under `key`; none when it is missing."""
        self.has(key)
        return entries(self._table, key, self.where)

    def done(self) -> None:
        """Refuse what was never asked for: a misspelt optional key would otherwise be silently ignored."""
        for key in self._table:
            if key not in self._asked:
                raise self.error(key, f"unknown key; known are {', '.join(sorted(self._asked))}")

    def has(self, key: str) -> bool:
        """Is `key` there?"""
        self._asked.add(key)
        return key in self._table

    def _get(self, key: str, kind: type[T], default: T | None, expected: str) -> T:
        if not self.has(key):
            if default is None:
                raise self.error(key, "is missing")
            return default
        value = self._table[key]
        # type(), not isinstance(): True is an int in Python, but `code = true` is a slip
        if type(value) is not kind:
            raise self.error(key, f"must be {expected}, not {value!r}")
        return value
