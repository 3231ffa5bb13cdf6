"""What a connection shows to those who read along or get into it: credentials, origins, weak TLS. RFC 6455 §10, RFC 6265.

Details name kinds of secrets, never a value.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter
from struct import unpack

from wsaudit.http.credentials import HEADER_TOKENS, SCHEMES, is_token
from wsaudit.http.upgrade import Handshake
from wsaudit.kernel.compare import (
    by_server,
    count_repeats,
    first_and_last,
    mask_keys,
    that_may_count,
    with_mask_keys,
    without_tls,
)
from wsaudit.kernel.connection import Connection
from wsaudit.kernel.findings import Findings
from wsaudit.kernel.party import Party
from wsaudit.model import CLIENT, SERVER, Fault
from wsaudit.registry import browser
from wsaudit.rules.handshake import host_name, is_address, place_of, query_tokens, quote
from wsaudit.rules.handshake_request import Found, start_of
from wsaudit.rules.rule import INFO, MUST, SHOULD, rule
from wsaudit.session import Session
from wsaudit.together import together

WEAK_VERSIONS = frozenset({"SSL 3.0", "TLS 1.0", "TLS 1.1"})  # RFC 8996, RFC 7568
WEAK_CIPHERS = ("_NULL_", "_RC4_", "_3DES_", "_DES_", "_DES40_", "_RC2_", "_EXPORT_", "_anon_", "_MD5")

FEWEST_KEYS = 16  # before masking keys are compared: fewer prove nothing
KEY_BITS = 32
first_packet = attrgetter("first_packet")
SAMPLE = 1024  # keys looked at before all of them: random ones have shown each bit both ways by then


# -- cleartext -------------------------------------------------------------------------------------------------------------------


@rule("SEC-01", "RFC 6455 §10.6", SHOULD, "warning", "sender", "report")
def cleartext_connection(connections: Sequence[Connection], findings: Findings) -> Found:
    """Connections cross the network without TLS.

    The RFC says: for confidentiality and integrity, WebSockets run over TLS (wss).

    Why it matters: everyone on the path can read and change messages and take the session's credentials along. Old proxies also
    break cleartext WebSockets more often.

    What to do: use wss. If TLS ends at a proxy in front of the point of capture, this finding is about the leg behind it: decide
    whether that network deserves the trust. One finding tells of all connections to a server.
    """
    servers: defaultdict[tuple[bytes, int], list[Connection]] = defaultdict(list)
    for group in together(connections).clients:
        if is_remote(group[0]):
            servers[group[0].server] += without_tls(group)
    for users in filter(None, servers.values()):
        first, last = first_and_last(users)
        many = "1 connection" if len(users) == 1 else f"{len(users):,} connections"
        yield first, CLIENT, Fault(f"{many} to one server without TLS", start_of(first), len(users), last.first_packet)


def is_remote(connection: Connection) -> bool:
    """Whether the bytes left the machine."""
    return connection.client[0] != connection.server[0] and not (
        is_loopback(connection.server[0]) or is_loopback(connection.client[0])
    )


def is_loopback(raw: bytes) -> bool:
    if len(raw) == 4:
        return raw[0] == 127
    return len(raw) == 16 and (raw == b"\0" * 15 + b"\1" or raw.startswith(b"\0" * 10 + b"\xff\xff\x7f"))


@rule("SEC-03", "RFC 6455 §10.6", INFO, "warning", "client", "handshake")
def cleartext_credential(handshake: Handshake, session: Session) -> str | None:
    """A cookie or another credential is sent without TLS.

    The RFC says: who needs confidentiality uses wss; what a cookie or Authorization header carries needs it.

    Why it matters: whoever reads it once can use it as long as it is valid, for the WebSocket and for the whole site.

    What to do: use wss, and mark cookies Secure so that they are never sent otherwise.
    """
    if session.tls is not None or handshake.request is None:
        return None
    kinds = sorted({kind for name, value in handshake.request.fields if (kind := credential(name, value))})
    return f"{' and '.join(kinds)} without TLS" if kinds else None


def credential(name: str, value: str) -> str | None:
    """What kind of credential a header is; None: it is none."""
    if name == "cookie":
        return "a cookie"
    if name == "authorization":
        scheme = value.split(" ", 1)[0].lower()
        return f"Authorization ({scheme})" if scheme in SCHEMES else "Authorization"
    return f"a token in {name}" if name in HEADER_TOKENS else None


@rule("SEC-10", "RFC 6265 §4.1.2.5", INFO, "warning", "server", "handshake")
def unprotected_cookie(handshake: Handshake, session: Session) -> str | None:
    """The answer sets a cookie that is not protected.

    The RFC says: a cookie with the attribute Secure is sent over TLS only (RFC 6265 §4.1.2.5).

    Why it matters: without it the browser sends the cookie in clear text to the same host, where others can read it.

    What to do: set it over TLS and with Secure. Load balancers that set a cookie for stickiness have a switch for it.
    """
    response = handshake.response
    if response is None or response.get("set-cookie") is None:
        return None
    if session.tls is None:
        return "Set-Cookie without TLS"
    bare = any(not is_secure_cookie(value) for value in response.get_all("set-cookie"))
    return "Set-Cookie without Secure" if bare else None


def is_secure_cookie(value: str) -> bool:
    return any(attribute.strip().lower() == "secure" for attribute in value.split(";")[1:])


@rule("SEC-08", "RFC 6455 §10.6", INFO, "warning", "server", "report")
def weak_tls(connections: Sequence[Connection], findings: Findings) -> Found:
    """A server agrees to an outdated version of TLS or a broken cipher.

    The RFC says: the security of wss is that of the TLS below it, which has to be of sufficient strength.

    Why it matters: SSL 3.0, TLS 1.0 and TLS 1.1 are withdrawn (RFC 7568, RFC 8996); RC4, DES, 3DES and MD5 are broken or nearly
    so. Browsers refuse most of them, and report 1006.

    What to do: switch the old versions and ciphers off in the server or in the proxy that ends TLS for it.
    """
    for users in by_server([each for each in together(connections).with_tls if weakness(each)]).values():
        for why, count in Counter(weakness(each) for each in users).items():
            first = next(each for each in users if weakness(each) == why)
            yield first, SERVER, Fault(why, start_of(first), count)


def weakness(connection: Connection) -> str:
    """What is weak about the TLS of a connection; "" when nothing is known to be."""
    version, cipher = (connection.tls or (None, None))[:2]
    told = [str(version)] if version in WEAK_VERSIONS else []
    if isinstance(cipher, str) and any(word in f"{cipher}_" for word in WEAK_CIPHERS):
        told.append(cipher)
    return " with ".join(told)


# -- credentials in the wrong place ----------------------------------------------------------------------------------------------


@rule("SEC-02", "RFC 6750 §2.3", INFO, "warning", "client", "handshake")
def credential_in_query(handshake: Handshake, session: Session) -> str | None:
    """The target carries a credential in its query.

    The RFC says: secrets in URLs are likely to be logged and are to be avoided (RFC 6750 §2.3, of bearer tokens).

    Why it matters: access logs of every proxy and server keep the URL, with the token, for as long as they are kept.

    What to do: send the credential in the first message, or a ticket that is valid once and for seconds. Cookies and, outside
    browsers, the Authorization header stay out of logs.
    """
    if handshake.target is None or "?" not in handshake.target:
        return None
    names = query_tokens(handshake.target)
    return f"a credential in the query ({', '.join(names)})" if names else None


@rule("SEC-09", "RFC 6455 §4.1", INFO, "warning", "server", "handshake")
def credential_echoed(handshake: Handshake, session: Session) -> str | None:
    """The server sends a credential back as the chosen subprotocol.

    The RFC says: the field names a subprotocol. A page can set no other header, so credentials travel in it as well.

    Why it matters: responses are logged and cached by those who keep requests apart, and the client's code sees the token as the
    name of its protocol.

    What to do: offer a real subprotocol beside the credential and let the server choose that one, as Kubernetes does.
    """
    name = handshake.subprotocol
    return "the chosen subprotocol reads like a credential" if name and is_token(name) else None


# -- origins ---------------------------------------------------------------------------------------------------------------------


@rule("SEC-04", "RFC 6455 §10.2", SHOULD, "warning", "server", "handshake")
def foreign_origin_accepted(handshake: Handshake, session: Session) -> str | Fault | None:
    """A page of another site is let in with the user's cookie or login.

    The RFC says: a server that is not meant for every page checks Origin, and answers 403 where it does not fit.

    Why it matters: browsers send the user's cookies with a WebSocket from any page. Without the check, a foreign page acts as the
    user: cross-site WebSocket hijacking.

    What to do: compare Origin with a list of your own origins in the server. If this origin is on it, silence this rule for it.
    """
    request = handshake.request
    if handshake.status != 101 or request is None or not handshake.origin or not handshake.host:
        return None
    if request.get("cookie") is None and request.get("authorization") is None:
        return None
    scheme, separator, authority = handshake.origin.partition("://")
    if not separator or not scheme.lower().startswith("http"):
        return None
    origin, host = host_name(authority), host_name(handshake.host)
    if same_site(origin, host):
        return None
    detail = f"Origin {quote(origin)} at Host {quote(host)}, with a credential that browsers add by themselves"
    if is_address(host) or "." not in host:
        return Fault(detail, place_of(request), doubt="a proxy may have rewritten Host")
    return detail


def same_site(one: str, other: str) -> bool:
    """Whether two hosts belong together, as far as names tell: equal, or with the same last two labels."""
    if one == other:
        return True
    if is_address(one) or is_address(other):
        return {one, other} <= {"localhost", "127.0.0.1", "::1"}
    return one.split(".")[-2:] == other.split(".")[-2:]


@rule("SEC-05", "RFC 6455 §10.2", INFO, "info", "server", "handshake")
def missing_origin_accepted(handshake: Handshake, session: Session) -> str | None:
    """A browser without Origin is let in.

    The RFC says: a browser always sends Origin (§4.1), and a server that cares about it checks it (§4.2.1, §10.2).

    Why it matters: whatever took Origin off the request has also taken the server's protection against foreign pages off.

    What to do: refuse requests without Origin that come with cookies, or find the proxy that removes it.
    """
    if handshake.status != 101 or handshake.request is None or handshake.origin is not None:
        return None
    family = browser(handshake.user_agent)
    return f"101 to {family} without Origin" if family else None


@rule("SEC-06", "RFC 6455 §10.2", INFO, "warning", "server", "handshake")
def null_origin_accepted(handshake: Handshake, session: Session) -> str | None:
    """A page with the origin "null" is let in.

    The RFC says: Origin tells which page asks. "null" stands for pages that have none: files, data URLs, sandboxed frames
    (RFC 6454 §7).

    Why it matters: any site can make such a page with a sandboxed frame, so letting "null" in lets every site in.

    What to do: take null off the list of origins. For apps that load their pages from files, ask for a token in the first
    message.
    """
    return "101 to Origin: null" if handshake.status == 101 and handshake.origin == "null" else None


@rule("SEC-07", "W3C Mixed Content", INFO, "info", "client", "handshake")
def insecure_origin(handshake: Handshake, session: Session) -> str | None:
    """A page that was loaded without TLS opens a connection with TLS.

    The RFC says: nothing against it. The page itself came without protection, though.

    Why it matters: who can change the page can change the script that uses the connection, so TLS protects nothing here.

    What to do: serve the page over https as well.
    """
    if session.tls is None or handshake.origin is None or handshake.origin[:7].lower() != "http://":
        return None
    host = host_name(handshake.origin[7:])
    return None if host in ("localhost", "127.0.0.1", "::1") else "an http:// Origin over TLS"


# -- content ---------------------------------------------------------------------------------------------------------------------


@rule("SEC-15", "RFC 6455 §10.4", INFO, "warning", "sender", "session", when="deflate")
def decompression_bomb(session: Session, party: Party, peer: Party) -> Fault | None:
    """A small compressed message becomes a very large one.

    The RFC says: endpoints put a limit on the size of messages, and with compression the limit counts inflated bytes (RFC 7692
    §8).

    Why it matters: a few kilobytes on the wire can take gigabytes of the receiver's memory.

    What to do: check that the receiver limits what it inflates and not only what it reads; it closes with 1009.
    """
    inflation = party.inflation
    if inflation is None or "bomb" not in inflation.faults:
        return None
    fault = inflation.faults["bomb"]
    many = "1 message inflates" if fault.count == 1 else f"{fault.count:,} messages inflate"
    return Fault(f"{many} far beyond the size on the wire, to {fault.value:,} bytes or more", fault.place, fault.count)


# -- masking keys ----------------------------------------------------------------------------------------------------------------


@rule("SEC-14", "RFC 6455 §10.3", MUST, "warning", "client", "report")
def predictable_client_software(connections: Sequence[Connection], findings: Findings) -> Found:
    """The masking keys of a client software can be predicted.

    The RFC says: masking keys come from a strong source of randomness, so that a page cannot choose the bytes on the wire (§5.3,
    §10.3).

    Why it matters: with keys that repeat, count or leave bits alone, an attacker can write what old proxies take for HTTP, and
    poison their caches.

    What to do: find the library by its User-Agent and update it. The first keys of all its connections were compared.
    """
    groups: defaultdict[tuple[str | None, bool], list[Connection]] = defaultdict(list)
    for group in together(connections).clients:
        groups[group[0].user_agent, group[0].target is None] += with_mask_keys(group)
    for (agent, unread), users in groups.items():
        why = predictable(users)
        if why and len(users := without_copies(sorted(users, key=first_packet))) > 1 and (why := predictable(users)):
            nameless = "clients whose request was not captured" if unread else "clients without User-Agent"
            who = nameless if agent is None else quote(agent)
            first, last = users[0], users[-1]
            detail = f"{why} of {len(users):,} connections of {who}"
            yield first, CLIENT, Fault(detail, start_of(first), len(users), last.first_packet)


def without_copies(connections: list[Connection]) -> list[Connection]:
    """Each connection once: a proxy that tunnels passes handshake and masked frames on as they are."""
    return list({(each.key, each.packed_keys): each for each in reversed(connections)}.values())[::-1]


def predictable(connections: list[Connection]) -> str | None:
    """What is not random about the first masking keys of these connections; None when nothing shows."""
    packed = mask_keys(connections)
    count = len(packed) // 4
    if count < FEWEST_KEYS:
        return None
    repeats = count_repeats(packed)
    if repeats > 3 + count * count / (1 << KEY_BITS):  # twice what chance gives, and three
        key, times = Counter(unpacked(packed)).most_common(1)[0]
        told = f"the key 0x{key:08x} {times:,} times" if times > count // 2 else f"{repeats:,} repeats"
        return f"{told} in {count:,} keys"
    counting = sum([is_counting(each.mask_keys) for each in that_may_count(connections)])
    if counting:
        return f"equal steps from key to key (in {counting:,} connections) in {count:,} keys"
    still = still_bits(unpacked(packed[: 4 * SAMPLE])) and still_bits(unpacked(packed))
    return f"{still} bits that never change in {count:,} keys" if still and count >= 2 * FEWEST_KEYS else None


def unpacked(keys: bytes) -> tuple[int, ...]:
    return unpack(f"<{len(keys) // 4}I", keys)


def still_bits(keys: Sequence[int]) -> int:
    """How many bits are the same in all keys. That one of 32 is, in n random keys, has the chance 64 / 2^n."""
    always, ever = (1 << KEY_BITS) - 1, 0
    for key in keys:
        always &= key
        ever |= key
    return (always | ~ever & (1 << KEY_BITS) - 1).bit_count()


def is_counting(keys: tuple[int, ...]) -> bool:
    """Whether the keys go up in equal steps, in either byte order: by chance once in 2^32."""
    return has_equal_steps(keys) or has_equal_steps([int.from_bytes(key.to_bytes(4, "little"), "big") for key in keys])


def has_equal_steps(numbers: Sequence[int]) -> bool:
    steps = {(after - before) % (1 << KEY_BITS) for before, after in pairwise(numbers)}
    return len(steps) == 1 and steps != {0}
