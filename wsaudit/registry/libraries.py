"""Real libraries that report something else than RFC 6455 and the WHATWG standard say, or act in a way that decides what an end
means, and how to recognise them.

`recognise` names the library behind a handshake head, when the head says enough; `deviation_note` is the sentence for a
connection: what that library's log will say instead of the standard's code.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from typing import NamedTuple

from wsaudit.registry.loader import Entry, entries, read

ROLES = ("client", "server")

#: What a deviation may depend on: facts of one connection, seen from the reporting endpoint ("self"). Beside these words,
#: "code=N" (the code of the Close it received) and "sent=N" (the code of the Close it sent).
CONDITIONS = (
    "peer-closed",  # the peer's Close came first
    "self-closed",  # its own Close came first
    "crossing",  # both sent a Close before they saw the other's
    "unanswered",  # its own Close was never answered
    "empty-close",  # the Close it received has no code
    "illegal-code",  # the Close it received has a code that nobody may send
    "no-close",  # no Close was received
    "failed-itself",  # it failed the connection because of what the peer sent
    "refused",  # the handshake was answered with something else than 101
    "tls-failed",  # TLS did not come up
)
#: What decides how a connection of this library is read, beyond what its API says. Each was seen on the wire; most have none.
TRAITS = (
    "page",  # a page's script: it may not send 1001, so that code says that the page is gone; nobody is left to be told
    "strict-after-close",  # fails the connection when frames follow the Close that it answered
    "clean-by-fin-only",  # an RST after both Closes makes the end not clean
    "refuses-in-silence",  # reports a faulty 101 and leaves it to the server to end TCP
)
_CODED_CONDITION = re.compile(r"(?:code|sent)=\d{1,5}")
#: What an API may say instead: a code in digits, no code at all, the code of its own Close, or now this and now that.
_SAYS = re.compile(r"\d{1,5}|nothing|sent|varies")


class Deviation(NamedTuple):
    """Under all the conditions of `when` the library's API says `says` ("1006", "nothing", "sent", "varies"); `note` explains."""

    when: frozenset[str]
    says: str
    note: str


class Library(NamedTuple):
    """An implementation in one role (0 client, 1 server), `versions` in which all this was seen, and how its heads look.

    `headers` is a run of header names, in this order and spelling, that its head contains. `habits` are remarks on what it does
    on the wire that surprises a reader; `traits`, of TRAITS, are those that decide.
    """

    name: str
    role: int
    versions: str
    user_agent: re.Pattern[str] | None
    server: re.Pattern[str] | None
    headers: tuple[str, ...]
    deviations: tuple[Deviation, ...]
    habits: tuple[str, ...]
    traits: frozenset[str]
    source: str


def recognise(
    user_agent: str | None, server_header: str | None, header_names_order: tuple[str, ...] | None, role: int
) -> Library | None:
    """The library behind one side's handshake head, None when the head does not tell.

    `user_agent` and `server_header` are the values of those headers, `header_names_order` the names of that side's headers as
    they were on the wire. A side behind a proxy is recognised only by what the proxy passed on.
    """
    for library in libraries():
        if library.role == role and _fits(library, user_agent, server_header, header_names_order or ()):
            return library
    return None


def deviations(library: Library | None, role: int) -> tuple[Deviation, ...]:
    """What `library` is known to report differently in `role`; empty for an unknown library or the other role."""
    return library.deviations if library is not None and library.role == role else ()


def deviation_note(
    library: Library | None, role: int, conditions: Collection[str], expected_code: int | None
) -> str | None:  # fmt: skip
    """What the library's log will say instead of `expected_code`, in one sentence; None when it says the same.

    `conditions` are the words of CONDITIONS that hold for this endpoint of this connection, with "code=N" and "sent=N". The
    first deviation all of whose conditions hold decides.
    """
    held = frozenset(conditions)
    for deviation in deviations(library, role):
        if deviation.when <= held:
            assert library is not None
            says = _said(deviation.says, held)
            if expected_code is not None and says == str(expected_code):
                return None
            return f"{library.name} {_reports(says)}: {deviation.note}"
    return None


def may_deviate(role: int, conditions: Collection[str], expected_code: int | None) -> bool:
    """Does any known library say something else than `expected_code` there? For an endpoint whose head nobody could read."""
    return any(library.role == role and deviation_note(library, role, conditions, expected_code) for library in libraries())


@cache
def libraries() -> tuple[Library, ...]:
    """Every known library, in the order in which they are tried: what is hard to forge before what is easy."""
    return tuple(_library(entry) for entry in entries(read("deviations.toml"), "library", "deviations.toml"))


UNSEEN = Library("", -1, "", None, None, (), (), (), frozenset(), "")
"""In place of a library where there was a head, but the capture does not have it, or not all of it."""


def _fits(library: Library, user_agent: str | None, server_header: str | None, names: tuple[str, ...]) -> bool:
    if library.user_agent is not None and not (user_agent and library.user_agent.search(user_agent)):
        return False
    if library.server is not None and not (server_header and library.server.search(server_header)):
        return False
    return not library.headers or _has_run(names, library.headers)


def _has_run(names: tuple[str, ...], run: tuple[str, ...]) -> bool:
    return any(names[start : start + len(run)] == run for start in range(len(names) - len(run) + 1))


def _said(says: str, held: frozenset[str]) -> str:
    if says != "sent":
        return says
    return next((condition[5:] for condition in held if condition.startswith("sent=")), "sent")


def _reports(says: str) -> str:
    words = {"nothing": "reports no code", "varies": "reports a code or none", "sent": "reports the code that it sent"}
    return words.get(says, f"reports {says}")


def _library(entry: Entry) -> Library:
    library = Library(
        name=entry.text("name"),
        role=ROLES.index(entry.choice("role", ROLES)),
        versions=entry.text("versions"),
        user_agent=entry.optional_pattern("user_agent"),
        server=entry.optional_pattern("server"),
        headers=entry.texts("headers", ()),
        deviations=tuple(_deviation(each) for each in entry.entries("deviation")),
        habits=entry.texts("habits", ()),
        traits=frozenset(_trait(each) for each in entry.entries("trait")),
        source=entry.text("source"),
    )
    entry.done()
    return library


def _trait(entry: Entry) -> str:
    name = entry.choice("name", TRAITS)
    entry.text("source")
    entry.text("date")
    entry.done()
    return name


def _deviation(entry: Entry) -> Deviation:
    when = entry.texts("when")
    for condition in when:
        if condition not in CONDITIONS and not _CODED_CONDITION.fullmatch(condition):
            raise entry.error("when", f"unknown condition {condition!r}")
    says = entry.text("says")
    if not _SAYS.fullmatch(says):
        raise entry.error("says", f"must be a code, nothing, sent or varies, not {says!r}")
    deviation = Deviation(frozenset(when), says, entry.text("note"))
    entry.done()
    return deviation
