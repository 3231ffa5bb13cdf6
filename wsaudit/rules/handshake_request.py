"""The client's part of the opening handshake. RFC 6455 §4.1, §4.3, §9.1, §11.3; RFC 9112."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from wsaudit.http.head import Head
from wsaudit.http.upgrade import Handshake
from wsaudit.kernel.compare import at_once, first_and_last, may_share_keys
from wsaudit.kernel.connection import Connection
from wsaudit.kernel.findings import Findings
from wsaudit.model import CLIENT, SERVER, Fault, Place
from wsaudit.registry import browser, extension
from wsaudit.rules.handshake import TOKEN, RequestBody, host_name, is_address, place_of, quote, request_rule
from wsaudit.rules.rule import INFO, MUST, SHOULD, rule
from wsaudit.session import Session
from wsaudit.together import together
from wsaudit.websocket.extensions import parse_extensions

Found = Iterator[tuple[Connection, int, Fault]]

KEY = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64; readers ignore the last four bits (RFC 4648 §3.5)
SAMPLE_KEYS = {"dGhlIHNhbXBsZSBub25jZQ==": "RFC 6455", "x3JJHMbDL1EzLkh9GBhXDw==": "Wikipedia"}
VERSION = re.compile(r"0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5]")
AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s\[\]@,/?#:]*)(?::\d*)?")
SYNTAX = {
    "bad-start-line": "the request line is not METHOD TARGET HTTP/1.1",
    "non-ascii-start-line": "the request line is not ASCII",
    "lf-only": "a line ends in LF without CR",
    "bad-field-line": "a line has no colon",
    "bad-field-name": "a field name is no token",
    "no-blank-line": "no empty line ends the head",
}
GRAMMAR = {
    "empty-list": "it names no extension",
    "empty-parameter": "a parameter is empty",
    "bad-name": "a name is no token",
    "bad-value": "a value is neither a token nor quoted",
    "missing-value": "a parameter has = without a value",
    "unterminated-quote": "a quoted value has no end",
    "quoted-not-token": "a quoted value is no token when its quotes are taken off",
}
HANDSHAKE_FIELDS = frozenset(
    {
        *("connection", "host", "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-key"),
        *("sec-websocket-protocol", "sec-websocket-version", "upgrade"),
    }
)
OCTETS = {"nul": "NUL", "bare-cr": "CR without LF", "control-character": "a control character"}


@request_rule("HS-C01", "RFC 6455 §4.1", MUST, "error")
def handshake_not_get(request: Head) -> str | None:
    """The handshake's method is not GET.

    The RFC says: the request of the opening handshake is a GET.

    Why it matters: servers route by method. Most answer 405 or 404; one that upgrades a POST does so by accident.

    What to do: send GET. Browsers and libraries can do nothing else, so look for a hand-made client, or for a proxy that turns
    methods round.
    """
    if request.method != "GET" and "websocket" in request.tokens("upgrade"):
        return f"the method is {quote(request.method)}"
    return None


@request_rule("HS-C02", "RFC 6455 §4.1", MUST, "error")
def handshake_http_too_old(request: Head) -> str | None:
    """The handshake is sent as HTTP/1.0.

    The RFC says: the handshake needs HTTP/1.1 or newer. HTTP/1.0 has no Upgrade, and a server ignores one that comes with it
    (RFC 9110 §7.8).

    Why it matters: servers refuse, or answer without upgrading, although everything else in the request is right.

    What to do: when the client is a reverse proxy, this is its setting: in nginx `proxy_http_version 1.1` beside the Upgrade and
    Connection headers. Otherwise update the client.
    """
    if request.version and request.version < "1.1" and "bad-start-line" not in request.oddities:
        return f"the version is HTTP/{request.version}"
    return None


@request_rule("HS-C03", "RFC 6455 §4.1", MUST, "error")
def malformed_request(request: Head) -> str | None:
    """The handshake is not well-formed HTTP.

    The RFC says: the handshake is a valid HTTP request, as RFC 9112 defines it: a request line, fields with a name, a colon and a
    value, each line ended by CR and LF, and an empty line.

    Why it matters: parsers differ in what they forgive. What one server takes, the next proxy refuses, or reads as another
    request: that is how requests are smuggled.

    What to do: let an HTTP library write the request.
    """
    return "; ".join(SYNTAX[oddity] for oddity in request.oddities if oddity in SYNTAX) or None


@request_rule("HS-C04", "RFC 6455 §4.1", MUST, "error")
def bad_host(request: Head) -> str | None:
    """Host is missing, repeated, or names no host.

    The RFC says: the request has one Host field with the host, and the port unless it is the default one. An absolute target
    names the same authority (RFC 9112 §3.2).

    Why it matters: servers and proxies choose the site by it and compare Origin with it. Without it a correct server answers 400;
    with two, the proxy and the server behind it may each believe another one.

    What to do: send exactly one. In a proxy look for a rule that adds Host without removing the one that came.
    """
    hosts = request.get_all("host")
    if not hosts:
        return "there is no Host"
    if len(hosts) > 1:
        return f"there are {len(hosts)} Host lines"
    if not hosts[0]:
        return "Host is empty"
    if not AUTHORITY.fullmatch(hosts[0]):
        return f"Host is {quote(hosts[0])}"
    _, absolute, rest = request.target.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    if absolute and not request.target.startswith("/") and authority.lower() != hosts[0].lower():
        return f"Host is {quote(hosts[0])}, but the target names {quote(authority)}"
    return None


@request_rule("HS-C05", "RFC 6455 §4.1", MUST, "error")
def upgrade_missing(request: Head) -> str | None:
    """Upgrade does not name websocket.

    The RFC says: the request has an Upgrade field with the word websocket, in any case, in a list if need be.

    Why it matters: this field is what makes the request a handshake. Without it the server answers it as a page: 200, 400 or 404.

    What to do: when the client did send it, a proxy took it away: Upgrade holds for one hop only, and every proxy has to be told
    to pass it on.
    """
    if "websocket" in request.tokens("upgrade"):
        return None
    value = request.combined("upgrade")
    return "there is no Upgrade" if value is None else f"Upgrade is {quote(value)}"


@request_rule("HS-C06", "RFC 6455 §4.1", MUST, "error")
def connection_not_upgrade(request: Head) -> str | None:
    """Connection does not name Upgrade.

    The RFC says: the request has a Connection field with the word Upgrade, possibly among others (RFC 9110 §7.8).

    Why it matters: servers that follow the RFC ignore an Upgrade that Connection does not announce, and answer with a page.

    What to do: an Upgrade without it usually means a proxy that rewrote Connection. In nginx: `proxy_set_header Connection
    "upgrade"`.
    """
    if "upgrade" in request.tokens("connection"):
        return None
    value = request.combined("connection")
    return "there is no Connection" if value is None else f"Connection is {quote(value)}"


@request_rule("HS-C07", "RFC 6455 §4.1", MUST, "error")
def key_missing(request: Head) -> str | None:
    """There is no Sec-WebSocket-Key.

    The RFC says: the request has a Sec-WebSocket-Key field with a random value, and the answer must fit it.

    Why it matters: without a key the client cannot tell a WebSocket server from one that echoes headers, or from a cache.

    What to do: use a WebSocket library for the handshake, and check that no filter removes Sec-* fields.
    """
    if request.get("sec-websocket-key") is None and request.get("sec-websocket-key1") is None:
        return "there is no Sec-WebSocket-Key"
    return None


@request_rule("HS-C08", "RFC 6455 §4.1", MUST, "error")
def key_malformed(request: Head) -> str | None:
    """Sec-WebSocket-Key is not the base64 of 16 bytes.

    The RFC says: the key is a nonce of 16 bytes, written in base64: 24 characters that end in ==.

    Why it matters: strict servers answer 400. Lenient ones hash whatever is there, so the fault shows with the next server.

    What to do: encode 16 random bytes with the standard alphabet (+ and /, not - and _) and keep the padding.
    """
    key = request.get("sec-websocket-key")
    if key is None or KEY.fullmatch(key):
        return None
    return f"the key has {len(key)} characters that are not the base64 of 16 bytes" if key else "the key is empty"


@request_rule("HS-C09", "RFC 6455 §11.3.1", MUST, "error")
def key_repeated(request: Head) -> str | None:
    """Sec-WebSocket-Key appears more than once.

    The RFC says: the field must not appear more than once in a request.

    Why it matters: the server takes one of them, the client checks the answer against the other, and the connection fails.

    What to do: look for a proxy that adds fields of its own handshake to those of the client.
    """
    count = len(request.get_all("sec-websocket-key"))
    return f"there are {count} Sec-WebSocket-Key lines" if count > 1 else None


@request_rule("HS-C11", "RFC 6455 §4.1", MUST, "error")
def version_not_13(request: Head) -> str | None:
    """Sec-WebSocket-Version is not 13.

    The RFC says: the request has a Sec-WebSocket-Version field, and its value is 13.

    Why it matters: other numbers are those of drafts with other handshakes and frames, or of nothing at all. Servers answer 400
    or 426.

    What to do: update the client. 8 and 7 are libraries of 2011; a missing version is a hand-made client.
    """
    version = request.get("sec-websocket-version")
    if version == "13" or (version is not None and not VERSION.fullmatch(version)):
        return None
    if version is not None:
        return f"the version is {version}, an interim draft" if int(version) < 9 else f"the version is {version}"
    if request.get("sec-websocket-key1") is not None:
        return "there is no version, and two keys as in the draft Hixie-76"
    return "there is no Sec-WebSocket-Version"


@request_rule("HS-C12", "RFC 6455 §11.3.5", MUST, "error")
def version_repeated(request: Head) -> str | None:
    """Sec-WebSocket-Version appears more than once.

    The RFC says: the field must not appear more than once in a request. Only a response may list versions.

    Why it matters: servers read the first, the last, or "13, 13", which is no number.

    What to do: look for a proxy that adds the field to requests that have it.
    """
    count = len(request.get_all("sec-websocket-version"))
    return f"there are {count} Sec-WebSocket-Version lines" if count > 1 else None


@request_rule("HS-C13", "RFC 6455 §4.3", MUST, "error")
def version_malformed(request: Head) -> str | None:
    """Sec-WebSocket-Version is not a number from 0 to 255.

    The RFC says: a version is a number from 0 to 255 without leading zeros.

    Why it matters: whether "013" or "13.0" is accepted depends on the server's parser.

    What to do: send 13.
    """
    version = request.get("sec-websocket-version")
    return None if version is None or VERSION.fullmatch(version) else f"the version is {quote(version)}"


@request_rule("HS-C14", "RFC 6455 §4.1", MUST, "warning")
def browser_without_origin(request: Head) -> str | None:
    """A browser's request has no Origin.

    The RFC says: a browser sends Origin with every handshake, so that a server can tell which page opened the connection.

    Why it matters: the server cannot tell a foreign page from its own. And since browsers always send it, either this is no
    browser, or something on the way took Origin off.

    What to do: find out which: a script with a browser's User-Agent, or a proxy that removes Origin to get around a server's
    check.
    """
    if request.get("origin") is not None:
        return None
    family = browser(request.get("user-agent"))
    return f"the User-Agent is that of {family}, but there is no Origin" if family else None


@request_rule("HS-C15", "RFC 6455 §4.1", MUST, "error")
def bad_subprotocol_offer(request: Head) -> str | None:
    """The offered subprotocols are empty, repeated, or not tokens.

    The RFC says: the elements of Sec-WebSocket-Protocol are non-empty tokens, each different from the others.

    Why it matters: servers compare them as text. An element with a space or a slash is cut differently by different parsers, and
    browsers refuse to send it at all.

    What to do: offer plain names. A credential that is put into this field has to be written with token characters: base64url
    without padding, not base64.
    """
    lines = request.get_all("sec-websocket-protocol")
    if not lines:
        return None
    names = [name for line in lines for element in line.split(",") if (name := element.strip(" \t"))]
    if not names:
        return "the list of subprotocols is empty"  # an empty element beside others is a reader's to accept (RFC 9110 §5.6.1)
    alien = sorted({character for name in names for character in TOKEN.sub("", name)})
    if alien:
        return f"an offered subprotocol holds {', '.join(repr(character) for character in alien[:5])}"
    if len(set(names)) < len(names):
        return "a subprotocol is offered twice"
    return None


@request_rule("HS-C16", "RFC 6455 §9.1", MUST, "error")
def bad_extension_offer(request: Head) -> str | None:
    """Sec-WebSocket-Extensions breaks its grammar.

    The RFC says: the field is a list of extensions, each a token, followed by parameters after semicolons; a value is a token, in
    quotes or not. A server that cannot read it fails the handshake.

    Why it matters: what one server skips, another answers with 400, and a third takes for an offer that the client never meant.

    What to do: leave writing this field to the library. Look for a proxy or a middleware that edits it as text.
    """
    return told_grammar(request.get_all("sec-websocket-extensions"))


def told_grammar(lines: list[str]) -> str | None:
    """What is wrong with the form of `Sec-WebSocket-Extensions`. Empty elements are a reader's to accept (RFC 9110 §5.6.1)."""
    if not lines:
        return None
    faults = parse_extensions([line.encode("latin-1", "replace") for line in lines]).faults
    return "; ".join(GRAMMAR[fault] for fault in faults if fault in GRAMMAR) or None


@request_rule("HS-C17", "RFC 6455 §9.1", SHOULD, "info")
def unregistered_extension(request: Head) -> str | None:
    """An extension is offered that is not registered.

    The RFC says: extensions have registered names; IANA keeps the list, and there is no room for private ones.

    Why it matters: a name without a registration means what its author says, and two authors may mean different things. Most are
    drafts that outlived themselves, such as x-webkit-deflate-frame.

    What to do: nothing, when both ends are yours. Otherwise switch the extension off.
    """
    lines = request.get_all("sec-websocket-extensions")
    if not lines:
        return None
    names = {offer.name.lower() for offer in parse_extensions([line.encode("latin-1", "replace") for line in lines]).offers}
    unknown = sorted(name for name in names if TOKEN.fullmatch(name) and not is_registered(name))
    return f"{', '.join(quote(name) for name in unknown[:5])} is not registered" if unknown else None


def is_registered(name: str) -> bool:
    known = extension(name)
    return known is not None and known.is_registered


@rule("HS-C18", "RFC 6455 §4.1", MUST, "error", "client", "handshake")
def data_before_answer(handshake: Handshake, session: Session) -> Fault | None:
    """The client sends data before it has the server's answer.

    The RFC says: once its handshake is sent, the client waits for the response before it sends anything more.

    Why it matters: the server's HTTP parser may take the bytes for a body or a second request and drop them, so the first
    messages are lost, sometimes, depending on how fast the network is.

    What to do: send from the open event on. A proxy that forwards early bytes shows the same: compare the capture on its other
    side.
    """
    if not session.early_client_bytes or session.early_place is None:
        return None
    return Fault(f"{session.early_client_bytes:,} bytes sent before the 101 was acknowledged", session.early_place)


@request_rule("HS-C19", "RFC 9110 §9.3.1", INFO, "warning")
def handshake_with_body(request: Head) -> str | None:
    """The handshake announces a body.

    The RFC says: a GET has no body with a meaning, and the handshake has none at all: what follows it are frames.

    Why it matters: a server that believes the length takes the first frames for the body; one that does not takes the body for
    frames. That difference is what request smuggling lives on.

    What to do: remove Content-Length and Transfer-Encoding from the request, and find out who put them there.
    """
    lengths = [length for length in request.get_all("content-length") if length.strip("0")]
    if lengths:
        return f"Content-Length is {quote(lengths[0])}"
    coding = request.combined("transfer-encoding")
    return f"Transfer-Encoding is {quote(coding)}" if coding is not None else None


@request_rule("HS-C21", "RFC 6455 §3", MUST, "error")
def fragment_in_target(request: Head) -> str | None:
    """The target has a fragment.

    The RFC says: fragments mean nothing in a WebSocket URI and must not be used; a # that is part of a name is written %23.

    Why it matters: the server sees a path or a token that ends in "#...", which matches no route, or cuts the query short.

    What to do: escape the character. It often comes from a token or an id that was put into the URL as it was.
    """
    return "the target has a #" if "#" in request.target else None


@request_rule("HS-C22", "RFC 6455 §4.1", MUST, "error")
def bad_target_form(request: Head) -> str | None:
    """The target is neither a path nor an http URL.

    The RFC says: the request line names the resource by its path and query, or as an absolute http or https URI.

    Why it matters: `GET ws://...` is what a reader of the URL would write by hand; servers answer 400 or 404.

    What to do: send the path. Proxies are asked with CONNECT, not with a ws URL.
    """
    target = request.target
    if target.startswith("/") or target[:8].lower().startswith(("http://", "https://")) or "bad-start-line" in request.oddities:
        return None
    scheme, absolute, _ = target.partition("://")
    return f"the target is a {quote(scheme)} URL" if absolute else "the target does not begin with /"


@rule("HS-C24", "RFC 9112 §5.1", MUST, "warning", "sender", "handshake")
def folded_field(handshake: Handshake, session: Session) -> list[tuple[int, Fault]]:
    """A header line is folded, or has a space before its colon.

    The RFC says: a field's value stays on one line, and nothing stands between its name and the colon (RFC 9112 §5.1 and §5.2).

    Why it matters: both have been used to show one header to the proxy and another to the server. Careful servers answer 400.

    What to do: write each field on one line. Folding comes from code that breaks long lines as e-mail does.
    """
    told = {"obs-fold": "a value goes on in the next line", "space-before-colon": "there is a space before a colon"}
    return told_oddities(handshake, told)


@rule("HS-C25", "RFC 9110 §5.5", MUST, "warning", "sender", "handshake")
def bad_octets(handshake: Handshake, session: Session) -> list[tuple[int, Fault]]:
    """A header holds octets that no field may hold.

    The RFC says: CR, LF, NUL and other controls are invalid in field values (RFC 9110 §5.5), and the fields of the WebSocket
    handshake are ASCII. What is to be read as UTF-8 and is not makes the endpoint fail the connection (RFC 6455 §8.1).

    Why it matters: such octets cut a head in two for one parser and not for another. They come from values that nobody checked.

    What to do: find where user input gets into a header unescaped.
    """
    found = told_oddities(handshake, OCTETS)
    for side, head in enumerate((handshake.request, handshake.response)):
        if head is not None and "non-ascii-field" in head.oddities:
            bad = {name for name, value in head.fields if name in HANDSHAKE_FIELDS and not value.isascii()}
            found += [(side, Fault(f"{name} is not ASCII", place_of(head))) for name in sorted(bad)]
    return found


def told_oddities(handshake: Handshake, told: dict[str, str]) -> list[tuple[int, Fault]]:
    """One fault for each oddity of either head that `told` has words for."""
    found: list[tuple[int, Fault]] = []
    for side, head in ((CLIENT, handshake.request), (SERVER, handshake.response)):
        if head is not None and head.oddities:
            found += [(side, Fault(told[oddity], place_of(head))) for oddity in head.oddities if oddity in told]
    return found


@request_rule("HS-C26", "RFC 6455 §11.3.3", INFO, "warning")
def accept_in_request(request: Head) -> str | None:
    """The request carries Sec-WebSocket-Accept.

    The RFC says: this field belongs to the response alone.

    Why it matters: nothing but a mix-up puts it here: a proxy that copies the headers of one connection into another, or a test
    tool.

    What to do: look at the proxy in front of this server: which fields does it copy, and from where?
    """
    return "there is a Sec-WebSocket-Accept" if request.get("sec-websocket-accept") is not None else None


@rule("HS-C27", "WHATWG WebSockets, handshake", INFO, "warning", "server", "handshake")
def browser_redirected(handshake: Handshake, session: Session) -> str | None:
    """A browser is answered with a redirect.

    The RFC says: a client may follow a 3xx answer, but need not. Browsers never do: they fail the connection, and the script sees
    close code 1006 without a reason.

    Why it matters: sign-in pages, http-to-https and trailing-slash redirects work for every page and break every WebSocket.

    What to do: let the path of the WebSocket answer without redirect: 401 or 403 for who is not signed in.
    """
    if handshake.status is None or not 300 <= handshake.status < 400:
        return None
    family = browser(handshake.user_agent)
    return f"status {handshake.status} to {family}, which does not follow it" if family else None


# What a server must refuse (RFC 6455 §4.2.1). The version has a rule of its own (HS-S14), and so has a missing Upgrade (HS-S18).
REFUSABLE: tuple[RequestBody, ...] = (
    *(handshake_not_get, handshake_http_too_old, malformed_request, bad_host, connection_not_upgrade, key_missing, key_malformed),
    *(key_repeated, version_repeated, version_malformed, bad_subprotocol_offer, bad_extension_offer, fragment_in_target),
    bad_target_form,
)


# -- what shows when connections are compared ------------------------------------------------------------------------------------


@rule("HS-C10", "RFC 6455 §4.1", MUST, "warning", "client", "report")
def key_reused(connections: Sequence[Connection], findings: Findings) -> Found:
    """One Sec-WebSocket-Key opens several connections.

    The RFC says: the key is chosen at random for each connection.

    Why it matters: the answer to a known key is known, too, so the check that a server and no cache answers means nothing.

    What to do: look at the client by its User-Agent: hand-made ones carry the key of an example around. The same key on both
    sides of a proxy is legal and not counted, nor is a second try after a refusal.
    """
    if not may_share_keys(list(connections)):
        return
    times = Counter([each.key for each in connections])
    by_key: defaultdict[str, list[Connection]] = defaultdict(list)
    for each in connections:
        if each.key is not None and times[each.key] > 1 and each.status == 101:
            by_key[each.key].append(each)
    for key, users in by_key.items():
        if len(users) > 1:
            uses = without_legs(users)
            if len(uses) > 1:
                sample = f", the sample key of {SAMPLE_KEYS[key]}" if key in SAMPLE_KEYS else ""
                first, last = uses[0], uses[-1]
                detail = f"one key for {len(uses):,} connections{sample}"
                yield first, CLIENT, Fault(detail, start_of(first), len(uses) - 1, last.first_packet)


def without_legs(connections: Sequence[Connection]) -> list[Connection]:
    """Of connections with one key, in order of time, those that are no other leg of one before: a proxy passes the key on, and
    its leg to the server lives inside the one to the client. The same client asking the same server is no leg of itself."""
    kept: list[Connection] = []
    latest: dict[tuple[bytes, tuple[bytes, int]], int] = {}  # the end of all kept, by who asks whom
    end = 0
    for each in sorted(connections, key=lambda each: each.started):
        ends = (each.client[0], each.server)
        if each.started > end or ends in latest:
            kept.append(each)
        latest[ends] = each.ended
        end = max(end, each.ended)
    return kept


def start_of(connection: Connection) -> Place:
    return Place(connection.first_packet, connection.started, 0)


@rule("HS-C23", "RFC 6455 §4.1", MUST, "warning", "client", "report")
def no_server_name(connections: Sequence[Connection], findings: Findings) -> Found:
    """The TLS handshake does not say which host is meant.

    The RFC says: a client that uses TLS sends the Server Name Indication.

    Why it matters: a server with several names answers with the wrong certificate or the wrong site.

    What to do: pass the host name to the TLS layer. It gets lost where a client connects to an address and sets Host by hand.
    """
    groups: defaultdict[tuple[str, str | None], list[Connection]] = defaultdict(list)
    for each in together(connections).with_tls:
        if host := unnamed_host(each):
            groups[host, each.user_agent].append(each)
    for (host, _), users in groups.items():
        detail = f"Host is {quote(host)}, but the ClientHello names no server"
        yield users[0], CLIENT, Fault(detail, start_of(users[0]), len(users), users[-1].first_packet)


def unnamed_host(connection: Connection) -> str:
    """The host that the ClientHello should have named; "": there is none, or the ClientHello was not read to the end, which only
    opened records prove. A name without a dot is not for everyone to put into SNI."""
    _, _, name, _, opened, _ = connection.tls or (None,) * 6
    host = host_name(connection.host or "")
    return host if opened and name is None and "." in host and not is_address(host) else ""


@rule("HS-C20", "RFC 6455 §4.1", INFO, "info", "client", "report")
def handshakes_at_once(connections: Sequence[Connection], findings: Findings) -> Found:
    """A client opens several connections to one server at a time.

    The RFC says: a client has at most one connection in the connecting state to one address and port; the next waits until it is
    established or has failed.

    Why it matters: the rule spares servers from floods. A client that breaks it opens all its connections at once after every
    restart.

    What to do: open them one after the other. Several programs or users behind one address look the same here, so this is
    information and no accusation.
    """
    told: defaultdict[tuple[tuple[bytes, int], str | None], list[Connection]] = defaultdict(list)
    for group in together(connections).clients:
        overlapping = at_once(group)
        if overlapping:
            told[group[0].server, group[0].user_agent] += overlapping
    for (_, agent), overlapping in told.items():
        first, last = first_and_last(overlapping)
        who = "a client without User-Agent" if agent is None else quote(agent)
        detail = f"{len(overlapping):,} handshakes of {who} while another one of the same address was under way"
        yield first, CLIENT, Fault(detail, start_of(first), len(overlapping), last.first_packet)
