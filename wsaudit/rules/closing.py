"""Closing: what Close frames say, and how the two sides end. RFC 6455 §5.5.1, §7."""

from __future__ import annotations

import re
from functools import lru_cache

from wsaudit.kernel.constants import CLOSE_GRACE, PROMPT
from wsaudit.kernel.occasions import FAILING, end_of
from wsaudit.kernel.party import Party
from wsaudit.model import SECOND, SIDES, Fault, Place
from wsaudit.registry.close_codes import close_code, dictionaries, is_sendable
from wsaudit.rules import frame as frames
from wsaudit.rules.frame import Frame
from wsaudit.rules.rule import INFO, MUST, SHOULD, CloseBody, Offences, rule
from wsaudit.rules.timing import ended_first, patience, round_trip, seconds, was_first_to_close
from wsaudit.session import Session

API_ONLY = frozenset({1005, 1006, 1015})

# Patterns are compiled when there is a reason to look at.
ERROR_WORDS = (
    r"(?i)\b(errors?|fail(s|ed|ure)?|exception|timeout|timed out|denied|invalid|unauthori[sz]ed|forbidden|refused|rejected|"
    r"expired|crash(ed)?|panic|abort(ed)?)\b"
)
LEAKS = (
    ("a stack trace", r"(?i)Traceback|Exception in|\bat [\w.$]+\(|\.(py|js|ts|java|go|rb|cs|rs):\d+|goroutine \d|panic:"),
    ("a path of the file system", r"(?<![\w/:])/(home|usr|var|opt|etc|srv|root|app|Users)/|\b[A-Z]:\\|node_modules"),
    ("an internal address", r"\b(10|127|192\.168|172\.(1[6-9]|2\d|3[01]))(\.\d{1,3}){2,3}\b|\w\.(internal|local|svc)\b"),
    ("a credential", r"(?i)\beyJ[\w-]{8,}\.|\b(token|api[_-]?key|password|secret)\s*[=:]\s*\S"),
    ("a database statement", r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b.+\b(FROM|VALUES|SET|WHERE)\b"),
)

# What a receiver says that fails a connection for a fault of this family; 1008 and 1011 say nothing of the fault.
FITTING = {"TX": (1007,), "FR": (1002,), "FG": (1002,), "CT": (1002,), "CL": (1002, 1007), "PMD": (1002, 1007)}
EXACT = (1002, 1003, 1007, 1009)


@rule("CL-01", "RFC 6455 §5.5.1", MUST, "error", "sender", "close")
def close_body_of_one_byte(close: CloseBody) -> str | None:
    """A Close has a body of one byte.

    The RFC says: the body of a Close is empty or begins with a code of two bytes.

    Why it matters: the receiver has half a code and closes with 1002.

    What to do: write the code as two bytes, the higher first, also when it is small.
    """
    return "Close with a body of one byte" if close.length == 1 else None


@rule("CL-02", "RFC 6455 §7.4.1", MUST, "error", "sender", "close")
def api_code_on_the_wire(close: CloseBody) -> str | None:
    """A Close carries a code that only APIs use.

    The RFC says: 1005, 1006 and 1015 tell an application that no code arrived, that there was no Close, or that TLS failed. They
    are never sent.

    Why it matters: strict receivers fail the connection with 1002. What was to be reported is lost on the way.

    What to do: usually a proxy or a bridge hands on the code that its own library reported for the other leg. Map it: 1005 to an
    empty Close, 1006 to 1001 or 1011 (1014 at a gateway).
    """
    if close.code not in API_ONLY:
        return None
    return f"Close {close.code}, which is never sent" + (", as an echo of the peer's" if close.echo else "")


@rule("CL-03", "RFC 6455 §7.4.1", MUST, "error", "sender", "close")
def reserved_code_1004(close: CloseBody) -> str | None:
    """A Close carries the code 1004.

    The RFC says: 1004 is reserved; a meaning may be defined later.

    Why it matters: strict receivers fail the connection with 1002, browsers report it.

    What to do: old lists of codes give it the meaning "message too large". That is 1009.
    """
    return "Close 1004, which is reserved" if close.code == 1004 and not close.echo else None


@rule("CL-04", "RFC 6455 §7.4.2", MUST, "error", "sender", "close")
def code_below_1000(close: CloseBody) -> str | None:
    """A Close carries a code below 1000.

    The RFC says: 0 to 999 are not used.

    Why it matters: strict receivers fail the connection with 1002.

    What to do: often an HTTP status or a process's exit code. Add 4000 (401 becomes 4401), or read the two bytes in network
    order.
    """
    known = close.code is not None and close.code < 1000 and not close.echo
    return f"Close {close.code}; codes begin at 1000" if known else None


@rule("CL-05", "RFC 6455 §7.4.2", MUST, "error", "sender", "close")
def unassigned_code(close: CloseBody) -> str | None:
    """A Close carries a code of the standard's range that has no meaning.

    The RFC says: codes up to 2999 are defined by the protocol, its extensions and the registry. One that is not in there must not
    be used.

    Why it matters: strict receivers fail the connection with 1002. Chromium and aiohttp differ about which codes they let pass.

    What to do: for codes of your own use 4000 to 4999.
    """
    code = close.code
    if code is None or not 1016 <= code <= 2999 or close.echo or close_code(code).sender != "nobody":
        return None
    return f"Close {code}, which nothing defines"


@rule("CL-06", "RFC 6455 §7.4.2", INFO, "warning", "sender", "close")
def code_above_4999(close: CloseBody) -> str | None:
    """A Close carries a code above 4999.

    The RFC says: nothing about codes from 5000 on; two bytes can carry them.

    Why it matters: some libraries hand it on, others fail the connection with 1002.

    What to do: for codes of your own use 4000 to 4999.
    """
    known = close.code is not None and close.code > 4999 and not close.echo
    return f"Close {close.code}; codes end at 4999" if known else None


@rule("CL-07", "RFC 6455 §7.4.2", INFO, "info", "sender", "close")
def unregistered_code(close: CloseBody) -> str | None:
    """A Close carries a code of 3000 to 3999 that is not registered.

    The RFC says: this range is for libraries and frameworks, which register their codes with IANA.

    Why it matters: two frameworks may mean different things by it.

    What to do: register the code, or use 4000 to 4999.
    """
    code = close.code
    if code is None or not 3000 <= code <= 3999 or close.echo or close_code(code).is_listed:
        return None
    return f"Close {code}, which is not registered"


@rule("CL-08", "RFC 6455 §7.4.1", MUST, "warning", "server", "close")
def mandatory_extension_from_server(close: CloseBody) -> str | None:
    """A server closes with 1010.

    The RFC says: 1010 is a client's: it needed an extension and the server did not accept it. A server that misses one
    refuses the handshake instead.

    Why it matters: the client cannot know what it should have offered.

    What to do: answer the handshake with 400 and say why, or close with 1008.
    """
    return "Close 1010 from a server" if close.code == 1010 and not close.echo else None


@rule("CL-09", "RFC 6455 §7.4.1", INFO, "info", "client", "close")
def server_code_from_client(close: CloseBody) -> str | None:
    """A client closes with a code that is meant for servers.

    The RFC says: 1011 is a server's that met something unexpected; 1012 to 1014 were registered for servers and gateways too.

    Why it matters: statistics on the server count their own errors and the clients' as one. The websockets library says 1011 when
    its ping is not answered.

    What to do: look at the reason. For errors in the client's application use 4000 to 4999.
    """
    known = close.code is not None and 1011 <= close.code <= 1014 and not close.echo
    return f"Close {close.code} from a client" if known else None


@rule("CL-10", "RFC 6455 §5.5.1", MUST, "error", "sender", "shape")
def data_after_close(frame: Frame) -> str | None:
    """Data was sent after the Close.

    The RFC says: after its Close an endpoint sends no more data frames.

    Why it matters: the peer has stopped reading. What comes later is lost, and the sender believes that it was delivered.

    What to do: let the closing wait for tasks that still write, or make them fail once it has begun.
    """
    if frame.after_close and not frame.is_control and frame.opcode <= frames.BINARY:
        return f"{frame} after its own Close"
    return None


@rule("CL-11", "RFC 6455 §7.1.5", SHOULD, "info", "sender", "shape")
def second_close(frame: Frame) -> str | None:
    """A side sent more than one Close.

    The RFC says: the first Close that arrives decides code and reason; an endpoint sends one.

    Why it matters: logs of the two sides may show different codes.

    What to do: two parts of the application close on their own. Let the second see that closing has begun.
    """
    return f"{frame} after its own Close" if frame.after_close and frame.opcode == frames.CLOSE else None


@rule("CL-12", "RFC 6455 §5.5.1", MUST, "warning", "receiver", "reaction", when="closed", whole=True)
def close_not_answered(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """A Close was not answered with a Close.

    The RFC says: who receives a Close and has not sent one sends one back.

    Why it matters: the side that closed waits for its timeout (10 s in most libraries) and reports 1006 for what it meant as a
    clean end.

    What to do: if the peer ended TCP at once, its code ends the socket instead of the WebSocket. If it did nothing, it was stuck:
    look at its event loop.
    """
    close = party.close
    if close is None or peer.closes or offences[party.side] or party.stream.acked < close.end:
        return None
    if close.code is not None and not is_sendable(close.code):
        return None  # the peer may fail the connection for it
    sent, own_end, peer_end = close.place.time, end_of(party), end_of(peer)
    if peer_end and peer_end == peer.stream.fin_time and ended_first(peer, party):
        if peer_end - sent <= round_trip(session):
            return None  # it may have ended before the Close arrived
        return Fault(f"the {SIDES[peer.side]} ended TCP without answering Close {named(close.code)}", close.place)
    if peer_end and peer_end <= (own_end or peer_end):
        return None  # an RST: it may never have read the Close
    waited = (own_end or session.ended) - sent
    if waited < patience(session, CLOSE_GRACE):
        return None
    return Fault(f"the {SIDES[peer.side]} did not answer Close {named(close.code)} within {seconds(waited)}", close.place)


@rule("CL-13", "RFC 6455 §5.5.1", SHOULD, "info", "receiver", "reaction", when="closed")
def close_answered_late(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """A Close was answered late.

    The RFC says: the answer is sent as soon as practical; a message that is under way may be finished first.

    Why it matters: most libraries wait 10 s or less, then drop the connection and report 1006.

    What to do: look at what the answering side did in between: a handler that runs on, a blocked event loop.
    """
    if not peer.closes or not party.closes or not was_first_to_close(party, peer):
        return None
    asked, answered = party.closes[0].place, peer.closes[0].place.time
    late, trip = answered - asked.time, round_trip(session)
    if late - trip < PROMPT or asked.time + trip < peer.frames.last_data_time < answered:
        return None
    return Fault(f"the {SIDES[peer.side]} answered after {seconds(late)}", asked)


@rule("CL-14", "RFC 6455 §5.5.1", INFO, "info", "receiver", "reaction", when="closed")
def close_code_not_echoed(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """The answer to a Close has another code.

    The RFC says: the answer typically echoes the code that was received.

    Why it matters: each side reports the code of the other, so the two logs differ about the same end.

    What to do: nothing if you know it. Count each end once, by the side that closed first.
    """
    close, answer = party.close, peer.close
    if close is None or answer is None or close.code is None or answer.code == close.code:
        return None
    if answer.lost or offences[party.side] or not is_sendable(close.code) or not was_first_to_close(party, peer):
        return None
    return Fault(f"Close {named(close.code)} was answered with {named(answer.code)}", close.place)


@rule("CL-15", "RFC 6455 §7.1.1", MUST, "warning", "server", "reaction", when="closed", whole=True)
def server_keeps_tcp_open(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """The server did not end TCP after both Closes.

    The RFC says: the server ends TCP at once when both Closes are sent. It goes first so that it, and not the client, keeps the
    state of an ended connection for a while.

    Why it matters: clients wait, some seconds as a rule, before they report the end; sockets pile up.

    What to do: look for a handler on the server that does not return, or a proxy that keeps the connection to reuse it.
    """
    if not party.closes or not peer.closes:
        return None
    place = max(party.closes[0].place, peer.closes[0].place, key=lambda each: each.time)
    until, wait = end_of(party) or session.ended, patience(session)
    if until - place.time <= wait or (end_of(peer) and end_of(peer) - place.time <= wait):
        return None
    return Fault(f"TCP was still open {seconds(until - place.time)} after both Closes", party.closes[0].place)


@rule("CL-16", "RFC 6455 §7.1.1", SHOULD, "info", "client", "reaction", when="closed", whole=True)
def client_ends_tcp_first(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """The client ended TCP before the server.

    The RFC says: after both Closes the client waits for the server to end TCP, for a reasonable time.

    Why it matters: the client's port stays in TIME_WAIT. A load generator or a proxy with one address runs out of ports.

    What to do: nothing for browsers and single clients. In proxies and load tests let the server go first.
    """
    if not party.closes or not peer.closes or party.closes[0].code in FAILING or offences[peer.side]:
        return None
    own, other, both = end_of(party), end_of(peer), max(party.closes[0].place.time, peer.closes[0].place.time)
    if not other or not ended_first(party, peer):
        return None  # the server's end may be missing from the capture
    if other - own <= round_trip(session) or not 0 <= own - both < SECOND:
        return None
    return Fault(f"the client ended TCP {seconds(own - both)} after both Closes, the server had not", party.closes[0].place)


@rule("CL-17", "RFC 6455 §7.1.1", SHOULD, "info", "sender", "reaction", when="closed", whole=True)
def reset_while_closing(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """The connection was reset before the closing handshake was complete.

    The RFC says: TCP should be ended in an orderly way, by FIN. (An RST after both Closes is common and harmless: an endpoint
    that closes its socket with bytes unread sends one.)

    Why it matters: an RST makes the receiver throw away what it has not read yet, a Close among it, and report 1006.

    What to do: look for SO_LINGER 0, a killed process, or a firewall that sends resets in the endpoint's name.
    """
    stream = party.stream
    if not stream.rst_time or stream.fin_time or not ended_first(party, peer):
        return None
    if bool(party.closes) == bool(peer.closes) or offences[peer.side]:
        return None  # both: harmless; none: CL-19
    return Fault("RST before both Closes were exchanged", Place(stream.rst_packet, stream.rst_time, max(stream.rst_offset, 0)))


@rule("CL-18", "RFC 6455 §7.1.1", SHOULD, "info", "sender", "session", when="encrypted", whole=True)
def tls_not_closed(session: Session, party: Party, peer: Party) -> Fault | None:
    """TLS was not closed before TCP.

    The RFC says: where TLS is in use, TCP is ended after TLS's own close (close_notify, RFC 8446 §6.1).

    Why it matters: without it nobody can tell an end from bytes cut off by an attacker. Some stacks report an error instead of
    the end.

    What to do: shut TLS down before closing the socket.
    """
    facts, stream = session.tls, party.stream
    if facts is None or not facts.decrypted or facts.why_not or facts.close_notify[party.side] or party.gaps:
        return None
    if not stream.fin_time or not ended_first(party, peer):
        return None
    return Fault("FIN without close_notify", Place(stream.fin_packet, stream.fin_time, party.frames.offset))


@rule("CL-19", "RFC 6455 §7.1.2", SHOULD, "warning", "sender", "reaction", when="dropped", whole=True)
def ended_without_close(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """A connection ended without any Close.

    The RFC says: a connection should be ended by the closing handshake; anything else is for when something went wrong.

    Why it matters: both applications report 1006 and nobody knows why.

    What to do: the connection's cause in this report names the likeliest reason: a killed process, an idle timeout, a lost
    network.
    """
    if not ended_first(party, peer) or offences[peer.side]:
        return None  # with a reason: FR-10
    stream = party.stream
    if stream.fin_time == end_of(party):
        how, packet = "FIN", stream.fin_packet
    else:
        how, packet = "RST", stream.rst_packet
    return Fault(f"{how} without a Close by either side", Place(packet, end_of(party), stream.offset))


@rule("CL-20", "RFC 6455 §7.4.1", INFO, "info", "receiver", "reaction", when="offended")
def code_does_not_fit(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """The connection was failed with a code that names another fault.

    The RFC says: 1002 is for breaches of the protocol, 1007 for data that does not fit its type, 1009 for size, 1003 for a type
    that is not accepted.

    Why it matters: the code is all that the faulty side learns; a wrong one sends its developers the wrong way.

    What to do: believe the finding that this one names, not the code. Chromium says 1002 for everything.
    """
    close = peer.close
    if close is None or close.code not in EXACT:
        return None
    before = [each for each in offences[party.side] if each.place.time <= close.place.time]
    if not before:
        return None
    offence = before[-1]
    fitting = (1002, 1009) if offence.rule == "FR-06" else FITTING.get(offence.rule.partition("-")[0], EXACT)
    if close.code in fitting or any(close.code in FITTING.get(each.rule.partition("-")[0], ()) for each in before):
        return None
    wanted = " or ".join(map(str, fitting))
    detail = f"the {SIDES[peer.side]} failed the connection with {close.code} for {offence.rule}, {wanted} fits"
    return Fault(detail, offence.place)


@rule("CL-21", "RFC 6455 §5.5", MUST, "error", "sender", "shape")
def close_too_long(frame: Frame) -> str | None:
    """A Close has more than 125 bytes.

    The RFC says: a control frame has at most 125 bytes of payload, which leaves 123 for the reason of a Close.

    Why it matters: the receiver closes with 1002, and the reason that was so long is lost.

    What to do: cut the reason to 123 bytes of UTF-8, at a character's border.
    """
    return f"{frame}, 125 are allowed" if frame.oversize and frame.opcode == frames.CLOSE else None


@rule("CL-22", "RFC 6455 §7.4.1", INFO, "info", "sender", "close")
def error_closed_as_normal(close: CloseBody) -> str | None:
    """An error is reported as a normal closure.

    The RFC says: 1000 means that the purpose of the connection was fulfilled.

    Why it matters: clients do not come back after 1000, and no alarm counts it.

    What to do: use 1011 for errors of the server, 1008 or a code of 4000 to 4999 for refusals.
    """
    if close.code != 1000 or not close.reason:
        return None
    word = re.search(ERROR_WORDS, close.reason.decode("utf-8", "replace"))
    return f'Close 1000 with a reason that says "{word[0].lower()}"' if word and not close.echo else None


@rule("CL-23", "WHATWG WebSockets §3", INFO, "info", "client", "close")
def code_no_browser_sends(close: CloseBody) -> str | None:
    """A client that calls itself a browser sent a code that no browser sends.

    The RFC says: any endpoint may send it. In browsers a script can send 1000 and 3000 to 4999; the browser itself adds 1001 for
    a page that is left and 1002, 1007, 1009 when it fails a connection.

    Why it matters: the client is something else, or a proxy made the Close.

    What to do: do not count it among browsers.
    """
    code = close.code
    if not close.browser or code is None or close.echo or code in (1000, 1001, 1002, 1007, 1009) or 3000 <= code <= 4999:
        return None
    return f"Close {code} from a client whose User-Agent is a browser's"


@rule("CL-24", "RFC 6455 §7.1.6", INFO, "warning", "sender", "close")
def reason_leaks_internals(close: CloseBody) -> str | None:
    """The reason of a Close tells what is nobody's business.

    The RFC says: the reason is for debugging and need not be readable; scripts in a page can read it all the same.

    Why it matters: stack traces, paths and addresses tell an attacker what to try; a token in a reason is in every log on the
    way.

    What to do: send a code and a short text that you chose, log the rest on the server.
    """
    if not close.reason:
        return None
    text = close.reason.decode("utf-8", "replace")
    kinds = [kind for kind, pattern in LEAKS if re.search(pattern, text)]
    return f"the reason seems to hold {' and '.join(kinds)}" if kinds and not close.echo else None


@rule("CL-25", "RFC 6455 §7.4.2", INFO, "info", "sender", "close")
def unknown_private_code(close: CloseBody) -> str | None:
    """A private code is not among those of the application.

    The RFC says: 4000 to 4999 mean what client and server have agreed on.

    Why it matters: clients of this subprotocol or service do not know what to do with it, and treat it as any lost connection.

    What to do: look the code up in the application's own documentation; `wsaudit codes` lists the ones known here.
    """
    code = close.code
    if code is None or not 4000 <= code <= 4999 or close.echo:
        return None
    owner = dictionary_without(code, close.subprotocol, close.host)
    return f"Close {code}, which {owner} does not define" if owner else None


@rule("CL-26", "RFC 6455 §7.1.1", INFO, "info", "sender", "reaction", when="hasty", whole=True)
def closed_without_waiting(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """A side sent its Close and ended TCP at once.

    The RFC says: who sends a Close waits for the peer's before it ends TCP.

    Why it matters: when bytes of the peer arrive at the closed socket it answers with RST, and the peer may lose the Close before
    it read it: 1006 instead of the code that was sent.

    What to do: wait for the answer, with a limit of some seconds.
    """
    close, own = party.close, end_of(party)
    if close is None or not own or close.code in FAILING or offences[peer.side] or not was_first_to_close(party, peer):
        return None
    if (peer.closes and peer.closes[0].place.time <= own) or not ended_first(party, peer):
        return None
    if not 0 <= own - close.place.time <= round_trip(session):
        return None
    return Fault(f"TCP was ended {seconds(own - close.place.time)} after its Close, without an answer", close.place)


@lru_cache(4096)
def dictionary_without(code: int, subprotocol: str | None, host: str | None) -> str | None:
    """The application whose dictionary covers the connection and has no entry for `code`."""
    covering = [each for each in dictionaries() if each.covers(subprotocol, host)]
    if not covering or any(each.find(code) is not None for each in covering):
        return None
    return covering[0].name


def named(code: int | None) -> str:
    return "without a code" if code is None else str(code)
