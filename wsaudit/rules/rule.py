"""What a rule is: the decorator and the catalogue that everything else is generated from.

A rule is one function named after the fault. Its docstring is the explanation: the first line is the title, then the paragraphs
*The RFC says*, *Why it matters*, *What to do*. Its body is pure and says what it saw, or None:

    kind       the body is called with            for
    shape      (frame)                            frames of a side that look alike (`Frame`)
    close      (close)                            each Close frame (`CloseBody`)
    handshake  (handshake, session)               the opening handshake
    session    (session, party, peer)             each side that can be at fault, at the end of the connection
    reaction   (session, party, peer, offences)   the same, when the other findings are known: `offences` are
                                                  of each side the proven breaches of a MUST in frames, in order
    report     (connections, findings)            all connections together; yields (connection, side, Fault)

A body returns a sentence, a `Fault`, a list of them, or None; where the sender of the bytes judged is not evident, (side, Fault).
`party` is always the sender of the bytes judged. Verdicts, folding and doubt are the judge's (judge.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from wsaudit.kernel.constants import WHENS
from wsaudit.model import Finding

MUST, SHOULD, INFO = "MUST", "SHOULD", "INFO"
LEVELS = (MUST, SHOULD, INFO)
SEVERITIES = ("error", "warning", "info")
AT_FAULT = ("sender", "receiver", "client", "server", "intermediary", "capture")
KINDS = ("shape", "close", "handshake", "session", "reaction", "report")
# What a rule is about, by the letters of its id; the order is that of the catalogue.
SECTIONS = {
    "HS-C": "Opening handshake, request",
    "HS-S": "Opening handshake, response",
    "FR": "Frames",
    "FG": "Fragmentation",
    "CT": "Control frames",
    "PP": "Ping and Pong",
    "TX": "Text",
    "CL": "Closing",
    "PMD": "permessage-deflate",
    "H2": "HTTP/2",
    "RC": "Reconnecting",
    "SEC": "Exposure",
}
HEADINGS = {"The RFC says:": "says", "Why it matters:": "why", "What to do:": "do"}

Body = TypeVar("Body", bound=Callable[..., Any])


class Rule(NamedTuple):
    """One entry of the catalogue.

    `at_fault`: the sender of the bytes judged, their receiver, or a fixed role. `when`: the occasion on which a session or
    reaction rule is asked (occasions.py). `must_fail`: the receiver has to fail the connection. `whole`: the verdict rests on
    what is absent, so bytes lost anywhere make it unverifiable, not only those before its place.
    """

    id: str
    name: str
    reference: str
    level: str
    severity: str
    at_fault: str
    kind: str
    when: str
    must_fail: bool
    whole: bool
    body: Callable[..., Any]

    @property
    def title(self) -> str:
        """What it is called, in a sentence."""
        return self.texts["title"]

    @property
    def says(self) -> str:
        """What the RFC says."""
        return self.texts["says"]

    @property
    def why(self) -> str:
        """Why it matters."""
        return self.texts["why"]

    @property
    def do(self) -> str:
        """What to do."""
        return self.texts["do"]

    @property
    def texts(self) -> dict[str, str]:
        """The explanation. Taken apart when asked for: most audits show none."""
        return explain(self.body.__doc__ or "")

    @property
    def family(self) -> str:
        """The letters of the id: FR, HS-C..."""
        return self.id.rstrip("0123456789").rstrip("-")

    @property
    def section(self) -> str:
        """What it is about."""
        return SECTIONS[self.family]


CATALOGUE: dict[str, Rule] = {}
NAMES: set[str] = set()


def rule(
    id: str,
    reference: str,
    level: str,
    severity: str,
    at_fault: str,
    kind: str,
    *,
    when: str = "always",
    must_fail: bool = False,
    whole: bool = False,
) -> Callable[[Body], Body]:
    """Enter the decorated function into the catalogue. ValueError for what the catalogue has no word for: a slip in the code."""

    def enter(body: Body) -> Body:
        name = body.__name__.replace("_", "-")
        made = Rule(id, name, reference, level, severity, at_fault, kind, when, must_fail, whole, body)
        check(made)
        CATALOGUE[id] = made
        NAMES.add(name)
        return body

    return enter


def check(made: Rule) -> None:
    """ValueError when `made` does not fit into the catalogue."""
    words = (made.level, made.severity, made.at_fault, made.kind, made.when)
    for value, allowed in zip(words, (LEVELS, SEVERITIES, AT_FAULT, KINDS, WHENS), strict=True):
        if value not in allowed:
            raise ValueError(f"{made.id}: {value!r} is none of {', '.join(allowed)}")
    if made.family not in SECTIONS:
        raise ValueError(f"{made.id} belongs to no section")
    if made.id in CATALOGUE or made.name in NAMES:
        raise ValueError(f"{made.id} {made.name} is in the catalogue already")


def explain(doc: str) -> dict[str, str]:
    """A docstring as title, says, why, do; each paragraph on one line."""
    title, *paragraphs = [" ".join(paragraph.split()) for paragraph in doc.split("\n\n")]
    texts = {"title": title.rstrip("."), "says": "", "why": "", "do": ""}
    for paragraph in paragraphs:
        for heading, key in HEADINGS.items():
            if paragraph.startswith(heading):
                texts[key] = paragraph.removeprefix(heading).strip()
    return texts


def ordered() -> list[Rule]:
    """The catalogue by section, then number."""
    place = {family: index for index, family in enumerate(SECTIONS)}
    return sorted(CATALOGUE.values(), key=lambda each: (place[each.family], each.id))


Offences = tuple[tuple[Finding, ...], tuple[Finding, ...]]
"""What is proven against the frames of the client, and of the server: breaches of a MUST, and what else a peer must fail for."""


class CloseBody(NamedTuple):
    """What one Close frame says, and what its meaning depends on. `code` None: no code in it; `lost`: bytes of it were lost;
    `echo`: it repeats the code of the peer's Close."""

    side: int
    code: int | None
    reason: bytes
    length: int
    lost: bool
    echo: bool
    browser: bool
    subprotocol: str | None
    host: str | None
