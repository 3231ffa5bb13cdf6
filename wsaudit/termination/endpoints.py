"""Who the two endpoints are, as far as their handshake heads tell."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from wsaudit.model import CLIENT, SERVER
from wsaudit.registry import UNSEEN, Library, recognise

if TYPE_CHECKING:
    from wsaudit.http.head import Head
    from wsaudit.session import Session

Libraries = tuple[Library | None, Library | None]


def libraries(session: Session) -> Libraries:
    """The libraries of client and server: None where the head does not tell, UNSEEN where the capture does not have it."""
    handshake = session.handshake
    if handshake is None:
        return UNSEEN, UNSEEN
    request, response = handshake.request, handshake.response
    answered = response is not None or handshake.outcome != "not-captured"
    return (
        UNSEEN if request is None else library_of(request, CLIENT),
        library_of(response, SERVER) if answered else UNSEEN,
    )


def library_of(head: Head | None, role: int) -> Library | None:
    """The library that wrote a head: the same for all heads of a form."""
    if head is None:
        return None
    form = head.form
    if form is None:
        return recognised(head, role)
    if form.library is None:
        form.library = (recognised(head, role),)
    return form.library[0]


def has_trait(library: Library | None, trait: str) -> bool:
    """Is this known of the library (registry/libraries.py)? Of an unknown one nothing is."""
    return library is not None and trait in library.traits


def recognised(head: Head, role: int) -> Library | None:
    if role == CLIENT:
        return known_library(head.get("user-agent"), None, spelling(head), role)
    return known_library(None, head.get("server"), None, role)


@lru_cache(256)
def known_library(user_agent: str | None, server: str | None, names: tuple[bytes, ...] | None, role: int) -> Library | None:
    order = None if names is None else tuple(name.decode("latin-1") for name in names)
    return recognise(user_agent, server, order, role)


def spelling(head: Head) -> tuple[bytes, ...]:
    """The field names of a head as they were written, which tells libraries apart that send no User-Agent."""
    return tuple([line.partition(b":")[0] for line in head.raw.split(b"\r\n")[1:-2]])
