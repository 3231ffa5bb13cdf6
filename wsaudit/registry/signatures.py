"""Signatures of timeouts and of products: the numbers and the words by which an ending gives its author away.

Four kinds, four dataclasses: `Limit` (a hop's idle or lifetime limit), `Wait` (how long an endpoint waits before it gives up on
something), `KeepAlive` (interval and timeout of a heartbeat), `Text` (words in a close reason or in the stream). Users add their
own with a file of the same form as signatures.toml; an entry with the name of a shipped one replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from wsaudit.registry.loader import Entry, read, read_user_file

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("idle", "lifetime", "since-common-instant")
CLOCKS = ("any", "client", "server", "data")
WIRE = ("fin", "rst", "silent", "close")
WAITS_FOR = ("close-answer", "tcp-close", "handshake", "pong")
ROLES = ("client", "server", "either")
PLACES = ("reason", "payload", "response")
CAUSES = (
    "normal", "going-away", "protocol-error", "invalid-data", "message-too-big", "policy", "unauthorized", "internal-error",
    "restart", "overload", "bad-gateway", "application", "keepalive-timeout", "idle-timeout", "lifetime-limit",
    "flow-forgotten", "slow-consumer", "endpoint-killed", "abrupt-exit", "network-loss", "middlebox-reset", "tls-failure",
    "handshake-refused", "handshake-invalid", "connect-failed", "peer-silent",
)  # fmt: skip


class Limit(NamedTuple):
    """A hop that ends connections after a fixed time.

    `kind` says what the time counts: "idle" (silence on `clock`), "lifetime" (age) or "since-common-instant" (time since
    something hit all connections at once, such as a reload). `clock` is what must be silent: "any" byte, bytes from the
    "client" or the "server", or "data" frames alone (pings do not help). `wire` is what the end may look like and `code` the
    close code that comes with it, if one does. `repeats`: any whole multiple fits as well.
    """

    name: str
    seconds: float
    kind: str
    clock: str
    where: str
    wire: tuple[str, ...]
    code: int | None
    tolerance: float
    slack: float
    repeats: bool
    confirm: str
    source: str

    @property
    def range(self) -> tuple[float, float]:
        """Bounds outside of which no time fits; not so narrow that rounding mattered."""
        slack = max(self.seconds * self.tolerance, self.slack) + 1
        return self.seconds - slack, inf if self.repeats else self.seconds + slack

    def fits(self, seconds: float) -> bool:
        """Is a measured time this limit, within `tolerance` (a fraction) or `slack` (seconds), whichever is more generous?"""
        expected = self.seconds * max(1, round(seconds / self.seconds)) if self.repeats else self.seconds
        return abs(seconds - expected) <= max(expected * self.tolerance, self.slack)


class Wait(NamedTuple):
    """How long a `library` in `role` waits for `event` ("close-answer", "tcp-close", "handshake", "pong") before it gives up."""

    name: str
    library: str
    role: str
    event: str
    seconds: float
    confirm: str
    source: str


class KeepAlive(NamedTuple):
    """A heartbeat: every `interval` seconds, given up `timeout` seconds later (from the beat, unless `beat` says otherwise).

    None: not fixed, or no timeout at all. `ratio`: the timeout as a fraction of the interval, for libraries where the user sets
    the interval and the timeout follows. `beat` says what a beat is, `effect` what the wire shows when it gives up, `closes`
    whether a Close is part of that (None: sometimes, or nobody knows).
    """

    name: str
    role: str
    beat: str
    interval: float | None
    timeout: float | None
    ratio: float | None
    effect: str
    closes: bool | None
    confirm: str
    source: str

    def patience(self, interval: float) -> float | None:
        """Seconds from an unanswered beat to giving up, for a heartbeat that was seen to run at `interval`."""
        return interval * self.ratio if self.ratio is not None else self.timeout


class Text(NamedTuple):
    """Words that give an author away: `text` inside a close "reason", a "payload" or an HTTP "response", in any case."""

    name: str
    where: str
    text: str
    code: int | None
    cause: str
    product: str
    confirm: str
    source: str

    def is_in(self, where: str, said: str, code: int | None = None) -> bool:
        """Does `said`, found at `where`, carry this signature? A signature with a code wants that close code, too."""
        return where == self.where and self.code in (None, code) and self.text.casefold() in said.casefold()


class Signatures:
    """All signatures: the shipped ones and the user's, the user's first."""

    def __init__(
        self,
        limits: tuple[Limit, ...],
        waits: tuple[Wait, ...],
        keepalives: tuple[KeepAlive, ...],
        texts: tuple[Text, ...],
    ) -> None:
        self.limits = limits
        self.waits = waits
        self.keepalives = keepalives
        self.texts = texts
        self.ranges = {kind: [(*limit.range, limit) for limit in limits if limit.kind == kind] for kind in KINDS}

    def limits_at(self, seconds: float, kind: str) -> tuple[Limit, ...]:
        """Every limit of that kind that a measured time fits."""
        return tuple([limit for low, high, limit in self.ranges[kind] if low < seconds < high and limit.fits(seconds)])

    def find_text(self, where: str, said: str, code: int | None = None) -> Text | None:
        """The first text signature in what was said; None when nothing is recognised."""
        return next((text for text in self.texts if text.is_in(where, said, code)), None)


def load_signatures(extra: Path | None = None) -> Signatures:
    """The shipped signatures, and those of the file `extra` in front of them.

    An entry of `extra` replaces the shipped entry of the same name. Raises UsageError naming file, entry and key when something
    in it is missing, misspelt, of the wrong type or there twice.
    """
    shipped = _shipped()
    if extra is None:
        return shipped
    own = _signatures(read_user_file(extra), str(extra))
    return Signatures(
        _merged(own.limits, shipped.limits),
        _merged(own.waits, shipped.waits),
        _merged(own.keepalives, shipped.keepalives),
        _merged(own.texts, shipped.texts),
    )


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


@cache
def _shipped() -> Signatures:
    return _signatures(read("signatures.toml"), "signatures.toml")


def _merged(own: tuple[N, ...], shipped: tuple[N, ...]) -> tuple[N, ...]:
    names = {each.name for each in own}
    return (*own, *(each for each in shipped if each.name not in names))


def _signatures(document: Mapping[str, Any], name: str) -> Signatures:
    header = Entry(document, name)
    header.text("date", "unknown")
    source = header.text("source", name)  # a user's own file is source enough

    def all_of(key: str, make: Callable[[Entry, str], N]) -> tuple[N, ...]:
        return tuple(_unique(header.entries(key), make, source))

    found = Signatures(
        all_of("limit", _limit), all_of("wait", _wait), all_of("keepalive", _keepalive), all_of("text", _text)
    )  # fmt: skip
    header.done()
    return found


def _unique(tables: Iterator[Entry], make: Callable[[Entry, str], N], source: str) -> Iterator[N]:
    seen: set[str] = set()
    for entry in tables:
        made = make(entry, source)
        entry.done()
        if made.name in seen:
            raise entry.error("name", f"{made.name!r} is there twice")
        seen.add(made.name)
        yield made


def _limit(entry: Entry, source: str) -> Limit:
    return Limit(
        name=entry.text("name"),
        seconds=entry.positive("seconds"),
        kind=entry.choice("kind", KINDS),
        clock=entry.choice("clock", CLOCKS, "any"),
        where=entry.text("where"),
        wire=entry.choices("wire", WIRE),
        code=entry.optional_integer("code"),
        tolerance=entry.positive("tolerance", 0.02),
        slack=entry.positive("slack", 1.0),
        repeats=entry.flag("repeats"),
        confirm=entry.text("confirm"),
        source=entry.text("source", source),
    )


def _wait(entry: Entry, source: str) -> Wait:
    return Wait(
        name=entry.text("name"),
        library=entry.text("library"),
        role=entry.choice("role", ROLES),
        event=entry.choice("event", WAITS_FOR),
        seconds=entry.positive("seconds"),
        confirm=entry.text("confirm"),
        source=entry.text("source", source),
    )


def _keepalive(entry: Entry, source: str) -> KeepAlive:
    return KeepAlive(
        name=entry.text("name"),
        role=entry.choice("role", ROLES),
        beat=entry.text("beat"),
        interval=entry.optional_positive("interval"),
        timeout=entry.optional_positive("timeout"),
        ratio=entry.optional_positive("ratio"),
        effect=entry.text("effect"),
        closes=entry.flag("closes") if entry.has("closes") else None,
        confirm=entry.text("confirm"),
        source=entry.text("source", source),
    )


def _text(entry: Entry, source: str) -> Text:
    return Text(
        name=entry.text("name"),
        where=entry.choice("where", PLACES),
        text=entry.text("text"),
        code=entry.optional_integer("code"),
        cause=entry.choice("cause", CAUSES),
        product=entry.text("product"),
        confirm=entry.text("confirm"),
        source=entry.text("source", source),
    )
