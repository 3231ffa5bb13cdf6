"""The server's part of the opening handshake, and what the client makes of it. RFC 6455 §4.1, §4.2.2, §4.4, §11.3; RFC 9110."""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from typing import Any

from wsaudit.http.credentials import is_token
from wsaudit.http.head import Head
from wsaudit.http.upgrade import Handshake, accept_for
from wsaudit.kernel.party import Party
from wsaudit.model import SECOND, Fault
from wsaudit.registry import browser
from wsaudit.rules.deflate import agreed
from wsaudit.rules.handshake import TOKEN, acceptance_rule, place_of, quote
from wsaudit.rules.handshake_request import REFUSABLE, SAMPLE_KEYS, VERSION, told_grammar
from wsaudit.rules.rule import INFO, MUST, SHOULD, rule
from wsaudit.session import Session
from wsaudit.websocket.extensions import MAX_NAMES, parse_extensions

NOT_HTTP = "bytes that are not HTTP"
DRAFTS = frozenset(str(number) for number in range(9))  # versions a server may really speak beside 13 (RFC 6455 §11.6)

# Why a client has to fail the connection on a 101 (RFC 6455 §4.1), in words. A request without a key is another fault: HS-C07.
REFUSALS = {
    "no-upgrade": "without Upgrade",
    "wrong-upgrade": "with a wrong Upgrade",
    "no-connection-upgrade": "without Connection: Upgrade",
    "no-accept": "without Sec-WebSocket-Accept",
    "wrong-accept": "with a wrong Sec-WebSocket-Accept",
    "unoffered-subprotocol": "with a subprotocol that was not offered",
    "unoffered-extension": "with an extension that was not offered",
}


@rule("HS-S01", "RFC 6455 §4.2.2", MUST, "error", "server", "handshake")
def acceptance_not_101(handshake: Handshake, session: Session) -> str | None:
    """The handshake is accepted with a status other than 101, or with a status line that is none.

    The RFC says: a server that accepts the connection answers 101. Any other status means that there is no WebSocket. The line is
    `HTTP/1.1 101` and a reason, with one space between them, the second one also where there is no reason (RFC 9112 §4).

    Why it matters: clients go by the status and fail, although every other header says yes. Some read a status line word by word.

    What to do: find who changes the status: a framework that answers 200 unless told otherwise, or a proxy that does not know
    101. A 2xx without these headers is something else: the Upgrade was ignored, which HTTP allows. Let an HTTP library write
    the status line.
    """
    response = handshake.response
    if response is None or session.http != "1.1":
        return None
    if response.status == 101:
        if response.version and not response.version.startswith("1."):
            return f"the status line says HTTP/{response.version}"
        odd = "bad-start-line" in response.oddities
        return "the status line is not HTTP/1.1, a space, 101, a space and a reason" if odd else None
    if not 200 <= response.status < 300:
        return None
    if response.get("sec-websocket-accept") is not None:
        return f"status {response.status} with Sec-WebSocket-Accept"
    if "websocket" in response.tokens("upgrade") and "upgrade" in response.tokens("connection"):
        return f"status {response.status} with Upgrade: websocket"
    return None


@acceptance_rule("HS-S02", "RFC 6455 §4.1", MUST, "error")
def accepted_without_upgrade(handshake: Handshake, response: Head) -> str | None:
    """Upgrade in the 101 is not websocket.

    The RFC says: the response has an Upgrade field whose value is websocket, in any case, and nothing else. A client that sees
    another fails the connection.

    Why it matters: the connection fails in every careful client; browsers report 1006.

    What to do: let the server write the field, and tell every proxy in between to keep it.
    """
    if "no-upgrade" in handshake.defects:
        return "there is no Upgrade"
    return f"Upgrade is {quote(response.combined('upgrade') or '')}" if "wrong-upgrade" in handshake.defects else None


@acceptance_rule("HS-S03", "RFC 6455 §4.1", MUST, "error")
def accepted_without_connection(handshake: Handshake, response: Head) -> str | None:
    """Connection in the 101 does not name Upgrade.

    The RFC says: the response has a Connection field with the word Upgrade; a client that misses it fails the connection.

    Why it matters: the connection fails in every careful client; browsers report 1006.

    What to do: look for a proxy that writes `Connection: keep-alive` or `close` into every response.
    """
    if "no-connection-upgrade" not in handshake.defects:
        return None
    value = response.combined("connection")
    return "there is no Connection" if value is None else f"Connection is {quote(value)}"


@acceptance_rule("HS-S04", "RFC 6455 §4.1", MUST, "error")
def accept_missing(handshake: Handshake, response: Head) -> str | None:
    """The 101 has no Sec-WebSocket-Accept.

    The RFC says: the response has a Sec-WebSocket-Accept field that is made of the client's key; without it the client fails the
    connection.

    Why it matters: it is the only proof that the server understood the handshake and did not just echo it.

    What to do: use a WebSocket library for the answer, and check that no proxy removes Sec-* fields.
    """
    return "there is no Sec-WebSocket-Accept" if "no-accept" in handshake.defects else None


@acceptance_rule("HS-S05", "RFC 6455 §4.2.2", MUST, "error")
def accept_wrong(handshake: Handshake, response: Head) -> Fault | None:
    """Sec-WebSocket-Accept does not fit the key.

    The RFC says: the value is the base64 of the SHA-1 of the key's text followed by a fixed GUID. A client that gets another
    fails the connection.

    Why it matters: the client cannot know who answered: another server, a cache, or its own server with another connection's key.

    What to do: compare with `Sec-WebSocket-Key` of this request. An answer that fits another request's key is a proxy that mixes
    connections up; one that never fits is a server that computes it wrongly.
    """
    lines = response.get_all("sec-websocket-accept")
    if handshake.accept_ok is not False or not lines or handshake.accept_expected in lines:
        return None
    return Fault(f"the value {told_accept(lines[0], handshake.key or '')}", place_of(response))


def told_accept(accept: str, key: str) -> str:
    """What a wrong Accept turns out to be."""
    bare = b2a_base64(hashlib.sha1(key.encode("latin-1", "replace"), usedforsecurity=False).digest(), newline=False).decode()
    expected = accept_for(key)
    told = {
        "": "is empty",
        key: "is the key itself",
        bare: "is the hash of the key without the GUID",
        expected.lower(): "has lost its upper case",
        expected.rstrip("="): "has lost its padding",
        accept_for(key.lower()): "is made of the key in lower case",
        **{accept_for(sample): f"is the example of {where}" for sample, where in SAMPLE_KEYS.items()},
    }
    return told.get(accept, "is not made of this request's key")


@acceptance_rule("HS-S06", "RFC 6455 §11.3.3", MUST, "error")
def accept_repeated(handshake: Handshake, response: Head) -> str | None:
    """Sec-WebSocket-Accept appears more than once.

    The RFC says: the field must not appear more than once in a response.

    Why it matters: clients that join the lines compare a value that cannot fit, and fail.

    What to do: look for a proxy or a middleware that answers the handshake a second time.
    """
    count = len(response.get_all("sec-websocket-accept"))
    return f"there are {count} Sec-WebSocket-Accept lines" if count > 1 else None


@acceptance_rule("HS-S07", "RFC 6455 §4.1", MUST, "error")
def unoffered_subprotocol(handshake: Handshake, response: Head) -> str | None:
    """The 101 names a subprotocol that the client did not offer.

    The RFC says: the server picks one of the client's subprotocols or none. A client that gets another fails the connection.

    Why it matters: browsers fail with 1006; clients that do not check go on and the two sides speak different languages.

    What to do: compare case as well: "Chat" was not offered when "chat" was. A server that always names its subprotocol has to
    look at the offer first.
    """
    name = handshake.subprotocol
    if "unoffered-subprotocol" not in handshake.defects or name is None or not TOKEN.fullmatch(name):
        return None
    offered = "nothing was offered" if not handshake.subprotocols_offered else "it is not among those offered"
    return f"{quote_subprotocol(name)}, but {offered}"


def quote_subprotocol(name: str) -> str:
    """The name of a subprotocol in a sentence, unless it may be a credential."""
    return "a subprotocol that reads like a credential" if is_token(name) else quote(name)


@acceptance_rule("HS-S08", "RFC 6455 §11.3.4", MUST, "error")
def subprotocol_repeated(handshake: Handshake, response: Head) -> str | None:
    """Sec-WebSocket-Protocol appears more than once in the 101.

    The RFC says: in a response the field must not appear more than once.

    Why it matters: clients disagree about which line counts, and browsers fail.

    What to do: look for two layers of the server that both negotiate the subprotocol.
    """
    count = len(response.get_all("sec-websocket-protocol"))
    return f"there are {count} Sec-WebSocket-Protocol lines" if count > 1 else None


@acceptance_rule("HS-S09", "RFC 6455 §4.2.2", MUST, "error")
def bad_subprotocol_answer(handshake: Handshake, response: Head) -> str | None:
    """The subprotocol in the 101 is not one single token.

    The RFC says: the server names one subprotocol of the list, or leaves the field out.

    Why it matters: a client compares the value with what it offered. "chat, superchat" is neither, and an empty value is no name.

    What to do: choose one in the server. The usual fault is to send the client's list back as it came.
    """
    name = response.get("sec-websocket-protocol")
    if name is None or TOKEN.fullmatch(name):
        return None
    if "," in name:
        return f"{name.count(',') + 1} subprotocols in one answer"
    return "the subprotocol holds what no token may hold" if name else "the subprotocol is empty"


@acceptance_rule("HS-S10", "WHATWG WebSockets, handshake", INFO, "warning")
def no_subprotocol_selected(handshake: Handshake, response: Head) -> str | None:
    """The client offered subprotocols, and the server chose none.

    The RFC says: a server may leave the field out. Browsers do not put up with that: a page that asked for a subprotocol and gets
    none fails the connection.

    Why it matters: the server works with every test client and fails with 1006 in every browser.

    What to do: answer with one of those offered, or do not offer any.
    """
    if not handshake.subprotocols_offered or response.get("sec-websocket-protocol") is not None:
        return None
    family = browser(handshake.user_agent)
    count = len(handshake.subprotocols_offered)
    return f"{count} offered, none chosen" + (f"; {family} fails the connection for that" if family else "")


@acceptance_rule("HS-S11", "RFC 6455 §9.1", MUST, "error")
def unoffered_extension(handshake: Handshake, response: Head) -> str | None:
    """The 101 accepts an extension that the client did not offer.

    The RFC says: the server accepts from what was offered and nothing else. A client that gets another extension fails the
    connection.

    Why it matters: the client cannot read what the extension makes of the frames: it fails now, or with 1002 at the first
    message.

    What to do: a proxy that removes Sec-WebSocket-Extensions from the request has to remove it from the response as well. A
    server that always compresses has to ask first.
    """
    if handshake.request is None or not handshake.extensions_lines:
        return None
    offered, names = extension_names(handshake.extensions_offered_lines), extension_names(handshake.extensions_lines)
    unoffered = sorted(name for name in names - offered if TOKEN.fullmatch(name))
    if not unoffered or len(offered) >= MAX_NAMES:
        return None
    return f"{', '.join(quote(name) for name in unoffered[:5])} was not offered"


def extension_names(lines: tuple[str, ...]) -> set[str]:
    return {each.name.lower() for each in parse_extensions([line.encode("latin-1", "replace") for line in lines]).offers}


@acceptance_rule("HS-S12", "RFC 6455 §11.3.2", SHOULD, "info")
def extensions_repeated(handshake: Handshake, response: Head) -> str | None:
    """Sec-WebSocket-Extensions appears more than once in the 101.

    The RFC says: it contradicts itself. §11.3.2 wants one line in a response, §4.2.2 and §9.1 allow several.

    Why it matters: clients that look at one line only miss what the others say.

    What to do: write all extensions into one line.
    """
    count = len(handshake.extensions_lines)
    return f"there are {count} Sec-WebSocket-Extensions lines" if count > 1 else None


@rule("HS-S13", "RFC 6455 §9.1", MUST, "error", "server", "handshake")
def bad_extension_answer(handshake: Handshake, session: Session) -> list[Fault]:
    """Sec-WebSocket-Extensions in the answer breaks its grammar, or has parameters that are not defined.

    The RFC says: the field is a list of extensions with parameters, all of them tokens; an extension defines its parameters, and
    permessage-deflate has each at most once (RFC 7692 §7.1). A client that cannot read it fails the connection.

    Why it matters: whether compression is on depends on how the client's parser guesses.

    What to do: leave writing this field to the library; leave it out when nothing was agreed.
    """
    response = handshake.response
    if response is not None and response.status == 101:
        broken = told_grammar(response.get_all("sec-websocket-extensions"))
        if broken is not None:
            return [Fault(broken, place_of(response))]
    return agreed("HS-S13", handshake, session)


@rule("HS-S14", "RFC 6455 §4.4", MUST, "error", "server", "handshake")
def version_not_refused(handshake: Handshake, session: Session) -> str | Fault | None:
    """A version that does not exist is not refused, or refused without saying which ones are spoken.

    The RFC says: a server that does not speak the client's version does not upgrade. It answers with an error, 426 for example,
    and a Sec-WebSocket-Version field that lists what it speaks (RFC 6455 §4.2.2 and §4.4).

    Why it matters: a client that speaks several versions cannot find the right one, and one that speaks another believes itself
    understood.

    What to do: check the version before everything else in the server, and put `Sec-WebSocket-Version: 13` into the refusal.
    """
    request, response = handshake.request, handshake.response
    version = request.get("sec-websocket-version") if request is not None else None
    if request is None or response is None or version is None or version == "13":
        return None
    if response.status == 101:
        known = not VERSION.fullmatch(version) or version in DRAFTS  # malformed: HS-S15
        return None if known else f"101 to version {version}, which was never one"
    if response.get("sec-websocket-version") is not None or any(body(request) for body in REFUSABLE):
        return None
    if response.status == 426:
        return f"426 to version {quote(version)} without Sec-WebSocket-Version"
    if response.status == 400:
        detail = f"400 to version {quote(version)} without Sec-WebSocket-Version"
        return Fault(detail, place_of(response), doubt="a 400 can have had another reason")
    return None


@rule("HS-S15", "RFC 6455 §4.2.1", MUST, "error", "server", "handshake")
def malformed_handshake_accepted(handshake: Handshake, session: Session) -> str | None:
    """The server accepts a handshake that it has to refuse.

    The RFC says: when the request does not match the description, including its grammar, the server stops and answers with an
    HTTP error such as 400.

    Why it matters: a client that is wrong works here and fails elsewhere. What the server does not check, an attacker can leave
    out.

    What to do: repair the client first: it is named by the rule about the request. Then ask for strictness in the server.
    """
    request = handshake.request
    if request is None or handshake.status != 101:
        return None
    told = [detail for body in REFUSABLE if (detail := body(request))]
    if "space-before-colon" in request.oddities:
        told.append("there is a space before a colon")
    return f"101 although {'; '.join(told)}" if told else None


@acceptance_rule("HS-S16", "RFC 9110 §8.6", MUST, "warning")
def acceptance_with_body(handshake: Handshake, response: Head) -> str | None:
    """The 101 announces a body.

    The RFC says: a 1xx response has neither Content-Length (RFC 9110 §8.6) nor Transfer-Encoding (RFC 9112 §6.1): it has no body.

    Why it matters: clients and proxies that believe it wait for a body and read the first frames as one, or fail.

    What to do: look for a proxy or framework that adds these fields to every response.
    """
    told = [name for name in ("Content-Length", "Transfer-Encoding") if response.get(name.lower()) is not None]
    return f"the 101 has {' and '.join(told)}" if told else None


@rule("HS-S17", "RFC 6455 §4.2.2", MUST, "error", "server", "reaction", when="handshake")
def bytes_before_acceptance(session: Session, party: Party, peer: Party, offences: Any) -> str | None:
    """The server sends other bytes before its 101.

    The RFC says: the connection is open, and frames may be sent, when the response is complete.

    Why it matters: a client reads the bytes as the start of the response, and fails.

    What to do: look for code that writes to the connection when it is created and not when the handshake is done.
    """
    handshake = session.handshake
    if not session.answered_otherwise or handshake is None or handshake.status != 101:
        return None
    return f"{NOT_HTTP} stand before the 101"


@acceptance_rule("HS-S18", "RFC 9110 §7.8", MUST, "error")
def unasked_upgrade(handshake: Handshake, response: Head) -> str | None:
    """The server switches to a protocol that the client did not ask for.

    The RFC says: a server must not switch to a protocol that the request's Upgrade does not name (RFC 9110 §7.8).

    Why it matters: the client, or the proxy in between, still speaks HTTP and takes the frames for a broken response.

    What to do: check Upgrade in the server before answering 101. When the client did send it, a proxy removed it on the way.
    """
    if handshake.request is None:
        return None
    asked = {token.partition("/")[0] for token in handshake.request.tokens("upgrade")}
    alien = sorted({token.partition("/")[0] for token in response.tokens("upgrade")} - asked)
    return f"101 to {', '.join(quote(name) for name in alien[:5])}, which the request does not name" if alien else None


@rule("HS-S19", "RFC 9110 §15.2", MUST, "warning", "server", "handshake")
def informational_to_http_10(handshake: Handshake, session: Session) -> str | None:
    """A 1xx response goes to an HTTP/1.0 client.

    The RFC says: HTTP/1.0 has no 1xx responses, so a server must not send one to such a client (RFC 9110 §15.2), and it ignores
    the Upgrade in an HTTP/1.0 request (§7.8).

    Why it matters: the client takes the 1xx for the final answer. A proxy that speaks 1.0 to its backend closes after it.

    What to do: in the proxy, speak HTTP/1.1 to the backend (nginx: `proxy_http_version 1.1`); in the server, refuse.
    """
    request = handshake.request
    if request is None or request.version not in ("0.9", "1.0"):
        return None
    statuses = [*handshake.informational, *([101] if handshake.status == 101 else [])]
    return f"{', '.join(map(str, statuses[:5]))} to HTTP/{request.version}" if statuses else None


@rule("HS-S21", "RFC 9110 §15.5.22", MUST, "warning", "server", "handshake")
def upgrade_required_without_upgrade(handshake: Handshake, session: Session) -> str | None:
    """A 426 does not say what to upgrade to.

    The RFC says: a server that answers 426 sends an Upgrade field with the protocols it wants (RFC 9110 §15.5.22).

    Why it matters: the client is told to upgrade and not to what.

    What to do: add `Upgrade: websocket` and `Connection: Upgrade` to the refusal.
    """
    response = handshake.response
    missing = response is not None and response.status == 426 and response.get("upgrade") is None
    return "426 without Upgrade" if missing else None


@rule("HS-S22", "RFC 9110 §11.6.1", MUST, "warning", "server", "handshake")
def unauthorized_without_challenge(handshake: Handshake, session: Session) -> str | None:
    """A 401 does not say how to authenticate.

    The RFC says: a server that answers 401 sends a WWW-Authenticate field with at least one challenge (RFC 9110 §11.6.1).

    Why it matters: clients that could authenticate do not know how. Browsers cannot answer one for a WebSocket at all.

    What to do: send the challenge, or 403 when no header would help.
    """
    response = handshake.response
    missing = response is not None and response.status == 401 and response.get("www-authenticate") is None
    return "401 without WWW-Authenticate" if missing else None


@rule("HS-S23", "RFC 6455 §4.2.2", INFO, "warning", "server", "session", when="handshake", whole=True)
def handshake_unanswered(session: Session, party: Party, peer: Party) -> Fault | None:
    """The handshake gets no answer.

    The RFC says: a server answers with 101 or with an HTTP status that says why not.

    Why it matters: the client waits for its own time-out and learns nothing: browsers report 1006, libraries an exception.

    What to do: see who ended the connection and when. At once: a server or proxy that does not want this request. After a round
    number of seconds: a time-out. Bytes that are no HTTP: another service on that port, or TLS on one side only.
    """
    handshake = session.handshake
    if handshake is None or handshake.request is None or handshake.outcome != "unanswered" or session.ongoing:
        return None
    request = handshake.request
    waited = f"{max(0, session.ended - request.end_time) / SECOND:.3g} s"
    place = place_of(request)
    if session.answered_otherwise:
        return Fault(f"the answer is {NOT_HTTP}", place)
    detail = f"no complete answer until the connection ended {waited} later"
    if party.stream.last_time == 0:
        return Fault(detail, place, doubt="no packet of the server was captured")
    return Fault(detail, place, doubt="bytes of the server lost to the capture" if party.gaps else None)


@rule("HS-S24", "RFC 6455 §4.1", MUST, "error", "client", "reaction", when="handshake", whole=True)
def invalid_acceptance_taken(session: Session, party: Party, peer: Party, offences: Any) -> Fault | None:
    """The client goes on although the 101 is not valid.

    The RFC says: a client checks Upgrade, Connection, Sec-WebSocket-Accept, the extensions and the subprotocol of the 101, and
    fails the connection when one is wrong.

    Why it matters: what it talks to may be no WebSocket server, or one that speaks another subprotocol. The server's fault stays
    hidden until a stricter client comes.

    What to do: repair the server, which another rule names. Then update the client: current libraries check all of it.
    """
    handshake = session.handshake
    if handshake is None or not handshake.defects or handshake.response is None or session.early_client_bytes:
        return None
    why = [REFUSALS[defect] for defect in handshake.defects if defect in REFUSALS]
    counts = party.frames.opcode_counts()
    going_on = counts[0] + counts[1] + counts[2] + counts[9] + counts[10]  # a Close alone may be the failing
    if not why or not going_on:
        return None
    place = next((shape.place for shape in party.shapes() if shape.shape & 15 != 8), place_of(handshake.response))
    frames = "frame" if going_on == 1 else "frames"
    return Fault(f"{going_on:,} {frames} after a 101 {' and '.join(why)}", place, going_on)


@rule("HS-S25", "RFC 6455 §4.2.2", INFO, "info", "server", "session", when="handshake")
def frame_with_acceptance(session: Session, party: Party, peer: Party) -> Fault | None:
    """The first frame comes in the same segment as the 101.

    The RFC says: that is legal: once the response is sent, the connection is open.

    Why it matters: clients and proxies that hand the connection over after the head lose what was read along with it. The first
    message is then missing, now and then, and nothing tells why.

    What to do: nothing, when the first message arrives. When a greeting gets lost, send it after the client's first message.
    """
    if session.coalesced is None:
        return None
    return Fault("the first frame is in the segment of the 101", session.coalesced)
