"""What the rules about the two heads of the opening handshake share: when they are asked, and how they quote.

Most of them look at one head and nothing else, so their bodies take that head. What they read of it must be in
`signature.head_signature`, or an answer would be remembered for a head that deserves another.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from wsaudit.http.credentials import QUERY_TOKENS
from wsaudit.http.head import Head
from wsaudit.http.upgrade import Handshake
from wsaudit.model import Fault, Place
from wsaudit.rules.rule import rule
from wsaudit.session import Session

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
LONGEST_QUOTE = 48

RequestBody = Callable[[Head], str | None]
ResponseBody = Callable[[Handshake, Head], str | Fault | None]


def request_rule(id: str, reference: str, level: str, severity: str) -> Callable[[RequestBody], RequestBody]:
    """Enter a rule about the client's request: its body is asked wherever a request was captured."""

    def enter(body: RequestBody) -> RequestBody:
        @functools.wraps(body)
        def judge(handshake: Handshake, session: Session) -> str | None:
            return None if handshake.request is None else body(handshake.request)

        rule(id, reference, level, severity, "client", "handshake")(judge)
        return body

    return enter


def acceptance_rule(id: str, reference: str, level: str, severity: str) -> Callable[[ResponseBody], ResponseBody]:
    """Enter a rule about the server's 101: its body gets the handshake and the 101."""

    def enter(body: ResponseBody) -> ResponseBody:
        @functools.wraps(body)
        def judge(handshake: Handshake, session: Session) -> str | Fault | None:
            response = handshake.response
            return None if response is None or response.status != 101 else body(handshake, response)

        rule(id, reference, level, severity, "server", "handshake")(judge)
        return body

    return enter


def quote(text: str) -> str:
    """Part of a head in a sentence: never long. For values that cannot hold a secret only."""
    return f'"{text}"' if len(text) <= LONGEST_QUOTE else f'"{text[:LONGEST_QUOTE]}…"'


def place_of(head: Head) -> Place:
    return Place(head.packet, head.time, head.offset)


def host_name(authority: str) -> str:
    """The host in `host:port`, in lower case and without the brackets of an IPv6 address."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].lower()


def is_address(host: str) -> bool:
    """Whether a host is written as an IP address."""
    from ipaddress import ip_address

    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def query_tokens(target: str) -> tuple[str, ...]:
    """The names of the query parameters that carry a credential, as the list of known ones spells them, sorted."""
    from urllib.parse import unquote_plus

    found = set()
    for parameter in target.partition("?")[2].split("&"):
        name, equals, value = parameter.partition("=")
        if equals and value:
            name = unquote_plus(name).lower().replace("-", "").replace("_", "")
            if name in QUERY_TOKENS:
                found.add(name)
    return tuple(sorted(found))
