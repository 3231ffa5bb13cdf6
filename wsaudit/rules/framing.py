"""Frames: masking, reserved bits, opcodes, lengths. RFC 6455 §5.1-5.3, §10.3."""

from __future__ import annotations

from collections.abc import Sequence

from wsaudit.kernel.constants import MASKED
from wsaudit.kernel.occasions import FAILING, end_of
from wsaudit.kernel.party import Party
from wsaudit.model import SIDES, Fault, Finding, Place
from wsaudit.rules import frame as frames
from wsaudit.rules.frame import Frame
from wsaudit.rules.rule import CATALOGUE, INFO, MUST, SHOULD, Offences, rule
from wsaudit.rules.timing import ended_first, patience, seconds, was_first_to_close
from wsaudit.session import Session

SMALLEST_LIMIT = 1024  # bytes; who says 1009 to less means something else
RSV_NAMES = ((4, "RSV1"), (2, "RSV2"), (1, "RSV3"))


@rule("FR-01", "RFC 6455 §5.1", MUST, "error", "client", "shape", must_fail=True)
def unmasked_client_frame(frame: Frame) -> str | None:
    """A frame of the client is not masked.

    The RFC says: every frame from client to server is masked with a key of its own, control frames and empty ones too, and TLS
    changes nothing about that. A server that gets an unmasked frame closes the connection.

    Why it matters: masking keeps a page's script from writing bytes of its choice onto the wire, which old proxies could take for
    HTTP and cache. Strict servers close with 1002; lenient ones work until one is put in front of them that does not.

    What to do: look at the User-Agent: browsers always mask, so it is a hand-made client, a test tool, or a proxy that opened the
    frames and wrote them anew in the wrong role.
    """
    if frame.from_client and not frame.masked:
        return f"{frame} without a masking key"
    return None


@rule("FR-02", "RFC 6455 §5.1", MUST, "error", "server", "shape", must_fail=True)
def masked_server_frame(frame: Frame) -> str | None:
    """A frame of the server is masked.

    The RFC says: a server masks no frame that it sends, and a client that gets a masked one closes the connection.

    Why it matters: browsers close with 1002 at once, so users see 1006 in the middle of a session that works with other clients.

    What to do: the server side uses a client's frame writer, often a bridge that connects two clients or code that shares one
    writer for both roles. Turn masking off there. If both sides mask, check whether the capture names the right side as client.
    """
    if not frame.from_client and frame.masked:
        return f"{frame} with a masking key"
    return None


@rule("FR-04", "RFC 6455 §5.2", MUST, "error", "sender", "shape", must_fail=True)
def reserved_bit_set(frame: Frame) -> str | None:
    """A reserved bit is set that no agreed extension uses.

    The RFC says: RSV1, RSV2 and RSV3 are zero unless an extension was agreed in the handshake that gives them a meaning. Who
    receives another value fails the connection.

    Why it matters: the receiver cannot know what the payload means (RSV1 usually says that it is compressed), so it closes with
    1002.

    What to do: compare the extensions that were offered with those in the 101. A proxy that removes Sec-WebSocket-Extensions from
    one head and not from the other is the usual culprit; switching compression off at both ends proves it.
    """
    rsv = frame.rsv
    if frame.extensions in (frames.DEFLATE, frames.COMPRESSING, frames.UNKNOWN):
        rsv &= ~4  # its place is PMD-02's, PMD-03's and CT-02's business, or nobody knows whether it was agreed
    elif frame.extensions == frames.OFFERED and frame.opcode in (frames.TEXT, frames.BINARY):
        rsv &= ~4  # PMD-01
    if not rsv or frame.extensions == frames.FOREIGN:
        return None
    names = " and ".join(name for bit, name in RSV_NAMES if rsv & bit)
    return f"{frame} with {names} set, which no agreed extension uses"


@rule("FR-05", "RFC 6455 §5.2", MUST, "error", "sender", "shape", must_fail=True)
def reserved_opcode(frame: Frame) -> str | None:
    """A frame has an opcode that is not assigned.

    The RFC says: opcodes 3 to 7 and 11 to 15 are reserved for the future. Who receives one fails the connection.

    Why it matters: no receiver can do anything with it; strict ones close with 1002. Nearly always the sender's framing has gone
    wrong before: a length that did not fit its payload turns payload into headers.

    What to do: look at the frame before this one with `wsaudit show`: does its declared length fit what was sent?
    """
    if 3 <= frame.opcode <= 7 or frame.opcode >= 11:
        return None if frame.extensions == frames.FOREIGN else f"{frame}, which is reserved"
    return None


@rule("FR-06", "RFC 6455 §5.2", MUST, "error", "sender", "shape")
def length_top_bit_set(frame: Frame) -> str | None:
    """A 64-bit length has its top bit set.

    The RFC says: the most significant bit of a 64-bit length is zero.

    Why it matters: read as a signed number the length is negative. Receivers have crashed on that, or waited for 2⁶³ bytes.

    What to do: a sender in its right mind never gets there: look for an attack, or for payload that was taken for a header
    because the length of the frame before it was wrong.
    """
    if frame.length_top_bit:
        return f"{frame.name} with the top bit of its 64-bit length set"
    return None


@rule("FR-07", "RFC 6455 §5.2", MUST, "warning", "sender", "shape")
def length_not_minimal(frame: Frame) -> str | None:
    """A length is written in a longer form than it needs.

    The RFC says: a length is given in the fewest bytes that can hold it.

    Why it matters: most receivers put up with it; Chromium closes with 1002. Filters that look for patterns in headers can be
    evaded this way.

    What to do: some writers always reserve the 16- or 64-bit form so that they can fill the length in later. Choose the form when
    the length is known.
    """
    if frame.longer_form:
        return f"{frame} with its length in {frame.length_bits} bits"
    return None


# The first two bytes of what is no WebSocket frame, read as (header byte, length): text of HTTP, and a TLS record.
SPELLED = {
    (ord(word[0]), ord(word[1])): what
    for what, words in (
        ("an HTTP response", ["HTTP"]),
        ("an HTTP request", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT"]),
        ("an HTTP/2 preface", ["PRI"]),
        ("a TLS record", ["\x16\x03"]),
    )
    for word in words
}


@rule("FR-13", "RFC 6455 §6.2", INFO, "error", "sender", "shape", must_fail=True)
def alien_bytes(frame: Frame) -> str | None:
    """Bytes of another protocol stand where a frame should begin.

    The RFC says: after the handshake the connection carries frames and nothing else.

    Why it matters: a proxy that loses its upstream writes its error page into the open tunnel, two handlers share one port, or a
    connection was reused for a second request. The receiver sees reserved bits or opcodes and closes with 1002, which points
    nowhere near the cause.

    What to do: read the bytes with `wsaudit show --show-payload`. A response with 4xx or 5xx comes from a proxy: look at its
    error log at that time.
    """
    if frame.masked or frame.extensions == frames.FOREIGN:
        return None
    what = SPELLED.get((frame.shape & 0xFF, frame.length)) if frame.length_bits == 7 else None
    return f"the bytes of {what} where a frame should begin" if what else None


@rule("FR-03", "RFC 6455 §5.1", MUST, "warning", "receiver", "reaction", when="offended", whole=True)
def wrong_masking_tolerated(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """Frames with the wrong masking were taken as if nothing were wrong.

    The RFC says: a server closes the connection when a frame is not masked, and a client when one is.

    Why it matters: the faulty peer seems to work and is found out only by the next server, client or proxy, which is strict.

    What to do: repair the side that masks wrongly; it is named by FR-01 or FR-02. Then ask for strictness where it was tolerated.
    """
    return tolerated(session, party, peer, [each for each in offences[party.side] if each.rule in ("FR-01", "FR-02")])


@rule("FR-08", "RFC 6455 §5.3", MUST, "warning", "client", "session", when="keys")
def predictable_masking_key(session: Session, party: Party, peer: Party) -> Fault | None:
    """The client's masking keys can be predicted.

    The RFC says: every frame gets a new masking key from a strong source of randomness, so that nobody who supplies the data can
    know it.

    Why it matters: with a known key a web page decides which bytes appear on the wire, which is what masking is there to prevent.
    Frames still work, so nobody notices.

    What to do: find the client library by its User-Agent and update it. A key of zero is often a "fast path" that can be switched
    off.
    """
    scanner = party.frames
    masked, zero, same = scanner.masked_frames, scanner.zero_keys, scanner.same_keys
    place = next((shape.place for shape in party.shapes() if shape.shape & MASKED), None)
    if place is None:
        return None
    last = scanner.last_packet
    if zero and (zero == masked or zero > 1):
        return Fault(f"{zero:,} of {masked:,} frames have the masking key 0", place, zero, last)
    if same and (same == masked - 1 or same > 1):
        return Fault(f"{same + 1:,} of {masked:,} frames have the same masking key", place, same + 1, last)
    if scanner.keys_count_up():
        return Fault("masking keys grow by the same step from frame to frame", place, masked, last)
    return None


@rule("FR-09", "RFC 6455 §5.2", MUST, "warning", "receiver", "reaction", when="offended", whole=True)
def fault_tolerated(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """The receiver went on after a fault for which it must fail the connection.

    The RFC says: for reserved bits, reserved opcodes and misused compression the receiver fails the connection.

    Why it matters: what the receiver made of such a frame is anybody's guess: dropped, misread, or handed to the application.

    What to do: repair the sender first, it is named by the finding that this one mentions. Then check what the receiver did with
    the frame.
    """
    others = ("FR-01", "FR-02", "TX-01")  # FR-03 and TX-02 are about these
    faults = [each for each in offences[party.side] if CATALOGUE[each.rule].must_fail and each.rule not in others]
    return tolerated(session, party, peer, faults)


@rule("FR-10", "RFC 6455 §7.1.7", SHOULD, "info", "receiver", "reaction", when="offended", whole=True)
def failed_without_close(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """The connection was failed without a Close.

    The RFC says: who fails a connection should send a Close with a code that says why before it ends TCP.

    Why it matters: the faulty peer sees 1006 and learns nothing. Its logs say "connection lost" and somebody goes looking for a
    network problem.

    What to do: repair the sender of the fault that this finding names. If the receiver is yours, let it say 1002, 1007 or 1009.
    """
    if peer.closes or not ended_first(peer, party):
        return None
    offence = next((each for each in offences[party.side] if each.place.time <= end_of(peer)), None)
    if offence is None or end_of(peer) - offence.place.time > patience(session):
        return None
    how = "RST" if peer.stream.rst_time == end_of(peer) else "FIN"
    return Fault(f"the {SIDES[peer.side]} answered {named(offence)} with {how} and no Close", offence.place)


@rule("FR-11", "RFC 6455 §7.1.4", INFO, "warning", "sender", "session", when="cut")
def stream_ends_in_frame(session: Session, party: Party, peer: Party) -> Fault | None:
    """The stream ends in the middle of a frame.

    The RFC says: a connection ends with a Close. One that ends inside a frame was cut.

    Why it matters: the process was killed, crashed, or a proxy gave up. What was in the frame is lost, and the receiver reports
    1006.

    What to do: look at the sender's host at that time (exit, out of memory, deployment) and at proxies with a limit on time or
    size.
    """
    scanner = party.frames
    if not scanner.incomplete or scanner.lost or not ended_first(party, peer):
        return None
    place = Place(scanner.frame_packet, scanner.frame_time, scanner.frame_offset)
    if scanner.remaining <= 0:
        return Fault("the stream ends inside the header of a frame", place)
    got, length = scanner.length - scanner.remaining, frames.size(scanner.length)
    return Fault(f"the stream ends after {got:,} of {length} of a {Frame(party.side, scanner.shape, 0, 0).name}", place)


@rule("FR-12", "RFC 6455 §6.2", INFO, "info", "capture", "session", when="lost")
def frames_lost_from_sight(session: Session, party: Party, peer: Party) -> Fault | None:
    """Some bytes could not be read as frames.

    The RFC says: a frame's length is the only thing that tells where the next one begins, so bytes that are missing from a
    capture can hide that border.

    Why it matters: frames in between were not seen. What rests on them is called unverifiable, nobody is accused.

    What to do: capture closer to the endpoint, with a larger buffer (`tcpdump -B 65536`) and without a snap length.
    """
    scanner = party.frames
    if not party.gaps or not (scanner.lost or party.resyncs):
        return None
    gap = party.gaps[0]
    detail = "frames were lost from sight" + ("" if scanner.lost else " and found again")
    if party.skipped:
        detail += f"; {frames.size(party.skipped)} in between could not be read"
    return Fault(detail, Place(gap.packet, gap.time, gap.offset))


@rule("FR-14", "RFC 6455 §10.4", INFO, "warning", "sender", "reaction", when="failed")
def larger_than_accepted(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """A message was larger than the receiver takes.

    The RFC says: an endpoint should limit the size of frames and messages, and says 1009 when a limit is passed.

    Why it matters: the limit differs from library to library (1 MiB in websockets, none in browsers, 32 KiB a frame at API
    Gateway), so it is met in production first.

    What to do: send the data in several messages, or raise the limit: it has to be raised in every proxy on the path too.
    """
    close = peer.close
    if close is None or close.code != 1009 or was_first_to_close(party, peer):
        return None
    if any(each.rule == "FR-06" for each in offences[party.side]):
        return None
    scanner, inflation = party.frames, party.inflation
    largest = max(scanner.largest, inflation.largest if inflation is not None else 0)
    if largest < SMALLEST_LIMIT:
        return None
    place = Place(scanner.largest_packet, close.place.time, scanner.offset)
    place = next((shape.place for shape in party.shapes() if shape.length == scanner.largest), place)
    return Fault(f"{frames.size(largest)} in a frame or message, and the {SIDES[peer.side]} closed with 1009", place)


def tolerated(session: Session, party: Party, peer: Party, offences: Sequence[Finding]) -> Fault | None:
    """The fault of a `peer` that went on as before after the first of `offences`. Proof is a frame that it sent when it must have
    known: silence may mean that it is stuck, and what was under way before does not count."""
    if not offences:
        return None
    offence = offences[0]
    close, at = peer.close, offence.place.time
    if party.close is not None and party.close.place.offset < offence.place.offset:
        return None  # nobody needs to read what follows a Close
    if close is not None and (close.place.time < at or close.code in FAILING):
        return None
    late = peer.frames.last_time - at
    ended = end_of(peer)
    if late <= patience(session) or (ended and ended - at <= patience(session)):
        return None
    return Fault(f"the {SIDES[peer.side]} still sent frames {seconds(late)} after {named(offence)}", offence.place)


def named(offence: Finding) -> str:
    """ "FR-05 (reserved-opcode)"."""
    return f"{offence.rule} ({CATALOGUE[offence.rule].name})"
