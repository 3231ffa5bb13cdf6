"""What a project asks of its recordings: read from `wsaudit.toml`, or from `[tool.wsaudit]` of a `pyproject.toml`.

A policy is checked as strictly as code: an unknown key, an unknown rule or a share above 1 is an error with file and line,
because a misspelt limit that is silently ignored is a gate that is open. Every value remembers where it came from
(`Policy.origins`), for messages and for `--explain-policy`.
"""

from __future__ import annotations

import datetime
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

from wsaudit.errors import UsageError
from wsaudit.report.issue import SEVERITIES
from wsaudit.report.rulebook import Rulebook, nearest

from . import positions

FILE = "wsaudit.toml"
PYPROJECT = "pyproject.toml"
FAIL_ON = (*SEVERITIES, "never")
AT_FAULT = ("client", "server", "intermediary", "capture")
DEFAULT = "default"

KEYS = ("fail-on", "expect-connections", "select", "ignore", "severity", "limits", "close-codes", "allow")
LIMIT_KEYS = ("abnormal-rate", "abnormal-count", "handshake-latency", "ping-rtt", "message-size", "close-code-share")
CLOSE_CODE_KEYS = ("path", "host", "allow")
WAIVER_KEYS = ("rule", "path", "host", "at-fault", "reason", "expires")


@dataclass(frozen=True, slots=True)
class Place:
    """Which connections something is about: globs over the path (without its query) and the host (with or without its port);
    None: any."""

    path: str | None = None
    host: str | None = None

    def covers(self, path: str | None, host: str | None) -> bool:
        """Whether a connection is meant. One whose path was not captured is covered only when no path is asked for."""
        return matches(self.path, (path,)) and matches(self.host, hosts(host))


def hosts(host: str | None) -> tuple[str | None, ...]:
    """A Host header as globs may name it: as it is, and without its port."""
    if host is None:
        return (None,)
    host = host.lower()
    return (host, re.sub(r":[0-9]+$", "", host))


def matches(glob: str | None, texts: tuple[str | None, ...]) -> bool:
    """Whether one of `texts` matches; no glob matches everything, unknown matches no glob."""
    return glob is None or any(text is not None and fnmatchcase(text, glob) for text in texts)


@dataclass(frozen=True, slots=True)
class CloseCodes:
    """Which close codes are allowed at a place: ranges of codes, inclusive."""

    place: Place
    allow: tuple[range, ...]
    origin: str

    def allows(self, code: int) -> bool:
        """Whether a connection may end with `code`."""
        return any(code in codes for codes in self.allow)


@dataclass(frozen=True, slots=True)
class Waiver:
    """An allow-list entry: these rules may be broken at this place, for this reason, through the day `expires`."""

    rules: frozenset[str]
    selector: str
    place: Place
    at_fault: str | None
    reason: str
    expires: datetime.date
    origin: str

    def expired(self, today: datetime.date) -> bool:
        """Whether the last day is over."""
        return today > self.expires


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper limits, each None when there is none. Rates and shares from 0 to 1, times in seconds, sizes in bytes, shares by
    close code."""

    abnormal_rate: float | None = None
    abnormal_count: int | None = None
    handshake_latency: float | None = None
    ping_rtt: float | None = None
    message_size: int | None = None
    close_code_share: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the gate goes by. `select` and `ignore` hold selectors as written; `rules` the ids they leave."""

    rules: frozenset[str]
    fail_on: str = "error"
    expect_connections: int = 1
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    close_codes: tuple[CloseCodes, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)

    def origin(self, key: str) -> str:
        """Where the value of `key` ("fail-on", "limits.ping-rtt", "severity.FR-01") came from."""
        return self.origins.get(key, DEFAULT)

    def override(self, key: str, value: object, origin: str) -> Policy:
        """The policy with `fail_on` or `expect_connections` set from elsewhere, such as the command line."""
        changes: dict[str, Any] = {key: value, "origins": {**self.origins, key.replace("_", "-"): origin}}
        return replace(self, **changes)


def find_policy(folder: Path) -> Path | None:
    """The policy that holds in `folder`: the nearest `wsaudit.toml`, or `pyproject.toml` with `[tool.wsaudit]`, from there
    upward."""
    folder = folder.resolve()
    for each in (folder, *folder.parents):
        if (own := each / FILE).is_file():
            return own
        project = each / PYPROJECT
        if project.is_file() and tool_table(read_toml(project, os.path.relpath(project, folder))[0]) is not None:
            return project
    return None


def tool_table(document: Mapping[str, Any]) -> object:
    """What a pyproject.toml has under [tool.wsaudit]; None when nothing."""
    tool = document.get("tool")
    return tool.get("wsaudit") if isinstance(tool, dict) else None


def read_toml(path: Path, shown: str) -> tuple[dict[str, Any], str]:
    """The document and its text. UsageError names `shown` and the line."""
    try:
        text = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise UsageError(f"{shown}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{shown}: byte {error.start}: not UTF-8") from error
    try:
        return tomllib.loads(text), text
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(toml_message(shown, str(error), text.count("\n") + 1)) from error


def toml_message(shown: str, message: str, last_line: int) -> str:
    """tomllib's "reason (at line 3, column 7)" in the form `file:3:7: reason` that editors jump to."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    if not found:
        return f"{shown}: {message}"
    return f"{shown}:{found[2]}:{found[3]}: {found[1]}" if found[2] else f"{shown}:{last_line}: {found[1]}"


def load_policy(path: Path | None, book: Rulebook, *, shown: str | None = None) -> Policy:
    """The policy in `path`; the default policy for None. `shown` is how messages name the file. UsageError tells what is
    wrong and where."""
    if path is None:
        return parse_policy({}, book, lambda key: DEFAULT)
    shown = shown or path.name
    document, text = read_toml(path, shown)
    places = positions.Positions(text)
    prefix: positions.Path = ()
    if path.name == PYPROJECT:
        prefix = ("tool", "wsaudit")
        table = tool_table(document)
        if not isinstance(table, dict):
            raise UsageError(f"{shown}: no [tool.wsaudit] table")
        document = table
    return parse_policy(document, book, lambda key: f"{shown}:{places.line((*prefix, *key))}")


def parse_policy(
    document: Mapping[str, Any], book: Rulebook, locate: Callable[[positions.Path], str] = lambda key: "policy"
) -> Policy:
    """The policy that `document` (the tables of the TOML file as a dict) states. `locate` says where a key stands, for
    messages."""
    return Reader(book, locate).policy(document)


def narrow(policy: Policy, book: Rulebook, select: Sequence[str], ignore: Sequence[str]) -> Policy:
    """The policy under --select, which takes the place of its own, and --ignore, which adds to it. UsageError for unknown
    rules."""
    reader = Reader(book, lambda key: f"--{key[0]}")
    select = reader.selectors({"select": list(select)}, "select")
    ignore = reader.selectors({"ignore": list(ignore)}, "ignore")
    if select:
        rules = reader.expand(select) - reader.expand((*policy.ignore, *ignore))
        policy = replace(policy, rules=rules, select=select, origins={**policy.origins, "select": "--select"})
    if ignore:
        origin = f"{policy.origin('ignore')}, --ignore" if policy.ignore else "--ignore"
        rules = policy.rules - reader.expand(ignore)
        policy = replace(policy, rules=rules, ignore=(*policy.ignore, *ignore), origins={**policy.origins, "ignore": origin})
    return policy


class Reader:
    """Turns a document into a Policy, refusing what it does not understand."""

    def __init__(self, book: Rulebook, locate: Callable[[positions.Path], str]) -> None:
        self.book = book
        self.locate = locate
        self.origins: dict[str, str] = {}

    def fail(self, path: positions.Path, message: str) -> NoReturn:
        raise UsageError(f"{self.locate(path)}: {message}")

    def policy(self, document: Mapping[str, Any]) -> Policy:
        self.keys((), document, KEYS)
        select = self.selectors(document, "select")
        ignore = self.selectors(document, "ignore")
        chosen = self.expand(select) if select else frozenset(self.book.rules)
        known: dict[str, Any] = {}
        if "fail-on" in document:
            known["fail_on"] = self.choice(("fail-on",), document["fail-on"], FAIL_ON)
        if "expect-connections" in document:
            known["expect_connections"] = self.whole(("expect-connections",), document["expect-connections"], least=1)
        for key in document:
            if key in ("fail-on", "expect-connections", "select", "ignore"):
                self.origins[key] = self.locate((key,))
        return Policy(
            rules=chosen - self.expand(ignore),
            select=select,
            ignore=ignore,
            severity=self.severities(self.table((), document, "severity")),
            limits=self.limits(self.table((), document, "limits")),
            close_codes=tuple(self.close_codes(document)),
            waivers=tuple(self.waivers(document)),
            origins=self.origins,
            **known,
        )

    # values

    def keys(self, path: positions.Path, table: Mapping[str, Any], known: Iterable[str]) -> None:
        """Every key must be known."""
        known = tuple(known)
        for key in table:
            if key not in known:
                guess = nearest(key, known)
                where = f" in [{'.'.join(str(part) for part in path if isinstance(part, str))}]" if path else ""
                meant = f"; did you mean {guess!r}?" if guess else f"; known are {', '.join(known)}"
                self.fail((*path, key), f"unknown key {key!r}{where}{meant}")

    def table(self, path: positions.Path, document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = document.get(key, {})
        if not isinstance(value, dict):
            self.fail((*path, key), f"{key} must be a table, not {kind(value)}")
        return value

    def tables(self, document: Mapping[str, Any], key: str) -> Iterator[tuple[positions.Path, Mapping[str, Any]]]:
        """The elements of an array of tables, each with its path."""
        value = document.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self.fail((key,), f"{key} must be an array of tables: [[{key}]]")
        yield from (((key, index), each) for index, each in enumerate(value))

    def text(self, path: positions.Path, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            self.fail(path, f"{path[-1]} must be a text, not {kind(value)}")
        return value

    def choice(self, path: positions.Path, value: Any, choices: tuple[str, ...]) -> str:
        if value not in choices:
            guess = nearest(value, choices) if isinstance(value, str) else None
            meant = f"did you mean {guess!r}?" if guess else f"use one of {', '.join(choices)}"
            self.fail(path, f"{path[-1]} cannot be {value!r}; {meant}")
        return str(value)

    def whole(self, path: positions.Path, value: Any, least: int = 0) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.fail(path, f"{path[-1]} must be a whole number of at least {least}, not {value!r}")
        return value

    def number(self, path: positions.Path, value: Any, most: float | None = None) -> float:
        """A number from 0 to `most`; NaN and infinity are refused by the comparison."""
        good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
        if not good or (most is not None and value > most):
            bounds = "of at least 0" if most is None else f"from 0 to {most:g}"
            self.fail(path, f"{path[-1]} must be a number {bounds}, not {value!r}")
        return float(value)

    # parts

    def selectors(self, document: Mapping[str, Any], key: str) -> tuple[str, ...]:
        value = document.get(key, [])
        if not isinstance(value, list):
            self.fail((key,), f"{key} must be a list of rule ids, names or families, not {kind(value)}")
        return tuple(self.selector((key, each if isinstance(each, str) else 0), each) for each in value)

    def selector(self, path: positions.Path, value: Any) -> str:
        if not isinstance(value, str):
            self.fail(path, f"a rule must be a text, not {kind(value)}")
        if not self.book.select(value):
            guess = self.book.nearest(value)
            self.fail(path, f"unknown rule {value!r}; " + (f"did you mean {guess!r}?" if guess else "`wsaudit rules` lists them"))
        return value

    def expand(self, selectors: Iterable[str]) -> frozenset[str]:
        return frozenset[str]().union(*(self.book.select(each) for each in selectors))

    def severities(self, table: Mapping[str, Any]) -> dict[str, str]:
        """Severity by rule id. The narrower selector wins whatever the order: a family gives way to a rule."""
        found: dict[str, str] = {}
        for selector in table:
            self.selector(("severity", selector), selector)
        for selector in sorted(table, key=lambda each: (-len(self.book.select(each)), each)):
            for rule in self.book.select(selector):
                found[rule] = self.choice(("severity", selector), table[selector], SEVERITIES)
                self.origins[f"severity.{rule}"] = self.locate(("severity", selector))
        return dict(sorted(found.items()))

    def limits(self, table: Mapping[str, Any]) -> Limits:
        self.keys(("limits",), table, LIMIT_KEYS)
        readers: dict[str, Callable[[positions.Path, Any], object]] = {
            "abnormal-rate": lambda path, value: self.number(path, value, most=1),
            "abnormal-count": self.whole,
            "handshake-latency": self.number,
            "ping-rtt": self.number,
            "message-size": self.whole,
            "close-code-share": self.shares,
        }
        values: dict[str, Any] = {}
        for key, value in table.items():
            values[key.replace("-", "_")] = readers[key](("limits", key), value)
            self.origins[f"limits.{key}"] = self.locate(("limits", key))
        return Limits(**values)

    def shares(self, path: positions.Path, value: Any) -> dict[int, float]:
        if not isinstance(value, dict):
            self.fail(path, f"{path[-1]} must be a table of close codes and shares, not {kind(value)}")
        shares: dict[int, float] = {}
        for key, share in value.items():
            if not re.fullmatch(r"[0-9]{1,5}", key):
                self.fail((*path, key), f"{key!r} is not a close code")
            shares[int(key)] = self.number((*path, key), share, most=1)
            self.origins[f"limits.close-code-share.{int(key)}"] = self.locate((*path, key))
        return dict(sorted(shares.items()))

    def place(self, path: positions.Path, table: Mapping[str, Any]) -> Place:
        globs = {key: self.text((*path, key), table[key]) for key in ("path", "host") if key in table}
        return Place(globs.get("path"), globs["host"].lower() if "host" in globs else None)

    def close_codes(self, document: Mapping[str, Any]) -> Iterator[CloseCodes]:
        for path, table in self.tables(document, "close-codes"):
            self.keys(path, table, CLOSE_CODE_KEYS)
            allow = table.get("allow")
            if not isinstance(allow, list):
                self.fail((*path, "allow"), 'close-codes needs allow, a list of close codes: allow = [1000, 1001, "4400-4499"]')
            codes = tuple(self.codes((*path, "allow"), each) for each in allow)
            yield CloseCodes(self.place(path, table), codes, self.locate(path))

    def codes(self, path: positions.Path, value: Any) -> range:
        """1000 or "4400-4499"."""
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFF:
            return range(value, value + 1)
        found = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", value) if isinstance(value, str) else None
        if not found or int(found[1]) > int(found[2]):
            self.fail(
                (*path, value) if isinstance(value, str) else path,
                f'{value!r} is neither a close code nor a range such as "4400-4499"',
            )
        return range(int(found[1]), int(found[2]) + 1)

    def waivers(self, document: Mapping[str, Any]) -> Iterator[Waiver]:
        for path, table in self.tables(document, "allow"):
            self.keys(path, table, WAIVER_KEYS)
            for key in ("rule", "reason", "expires"):
                if key not in table:
                    self.fail(path, f"an [[allow]] entry needs {key}")
            selector = self.selector((*path, "rule"), table["rule"])
            at_fault = self.choice((*path, "at-fault"), table["at-fault"], AT_FAULT) if "at-fault" in table else None
            yield Waiver(
                rules=self.book.select(selector),
                selector=selector,
                place=self.place(path, table),
                at_fault=at_fault,
                reason=self.text((*path, "reason"), table["reason"]),
                expires=self.day((*path, "expires"), table["expires"]),
                origin=self.locate(path),
            )

    def day(self, path: positions.Path, value: Any) -> datetime.date:
        if isinstance(value, str):
            try:
                value = datetime.date.fromisoformat(value)
            except ValueError:
                self.fail(path, f"expires must be a day such as 2027-01-31, not {value!r}")
        if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
            self.fail(path, f"expires must be a day such as 2027-01-31, not {kind(value)}")
        return value


def kind(value: object) -> str:
    """What TOML calls a value's type."""
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "an empty text" if value == "" else "a text",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), "a date or time")
