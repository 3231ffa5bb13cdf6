"""Text: UTF-8 of messages and reasons, and what subprotocols want. RFC 6455 §5.6, §8.1."""

from __future__ import annotations

import codecs

from wsaudit.kernel.party import Party
from wsaudit.model import SIDES, Fault, Place
from wsaudit.rules import frame as frames
from wsaudit.rules.framing import tolerated
from wsaudit.rules.rule import INFO, MUST, CloseBody, Offences, rule
from wsaudit.rules.timing import patience, seconds
from wsaudit.session import Session

# The kind of message that a subprotocol's specification demands.
BINARY_ONLY = frozenset({"mqtt", "mqttv3.1", "amqp", "wamp.2.msgpack", "binary.ircv3.net", "opcua+uacp", "rfb"})
TEXT_ONLY = frozenset(
    {
        "graphql-transport-ws", "graphql-ws", "ocpp1.2", "ocpp1.5", "ocpp1.6", "ocpp2.0", "ocpp2.0.1", "opcua+uajson", "soap",
        "text.ircv3.net", "wamp.2.json", "xmpp",
    }
)  # fmt: skip


@rule("TX-01", "RFC 6455 §8.1", MUST, "error", "sender", "session", when="text", must_fail=True)
def invalid_utf8(session: Session, party: Party, peer: Party) -> list[Fault]:
    """A text message is not UTF-8.

    The RFC says: the payload of a text message, all fragments together, is valid UTF-8; the receiver fails the connection when it
    is not.

    Why it matters: the receiver closes with 1007 and the message is lost. Some receivers replace the bytes silently, and the data
    is wrong ever after.

    What to do: the sender puts bytes into a text message that are no text: use a binary message, or encode first (base64). A
    string cut by bytes instead of characters is the other usual cause.
    """
    scanner, inflation = party.frames, party.inflation
    found = []
    if scanner.bad_text:
        place = Place(scanner.bad_text_packet, scanner.bad_text_time, scanner.bad_text_offset)
        detail = f"text message {scanner.bad_text_message:,} is not valid UTF-8 from this byte on"
        found.append(Fault(detail, place, scanner.bad_text))
    if inflation is not None and inflation.bad_text is not None:
        place, count = inflation.bad_text
        found.append(Fault("a compressed text message is not valid UTF-8 when inflated", place, count))
    if scanner.unverified_text and not found and party.gaps:
        gap = party.gaps[0]
        doubt = f"bytes were lost to the capture ({gap.reason})"
        detail = "whether text messages are valid UTF-8"
        found.append(Fault(detail, Place(gap.packet, gap.time, gap.offset), scanner.unverified_text, doubt=doubt))
    return found


@rule("TX-02", "RFC 6455 §8.1", MUST, "warning", "receiver", "reaction", when="offended", whole=True)
def invalid_utf8_tolerated(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """The receiver went on after a text message that is not UTF-8.

    The RFC says: an endpoint fails the connection when it sees that a text message is not valid UTF-8.

    Why it matters: nobody knows what the application was given: replaced characters, raw bytes, or nothing.

    What to do: repair the sender (TX-01), then switch the receiver's validation on; some servers skip it for speed.
    """
    return tolerated(session, party, peer, [each for each in offences[party.side] if each.rule == "TX-01"])


@rule("TX-03", "RFC 6455 §8.1", INFO, "info", "receiver", "reaction", when="offended", whole=True)
def invalid_utf8_noticed_late(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """Invalid UTF-8 was noticed only when the message was complete.

    The RFC says: the connection fails when the text is found to be invalid. It does not say how soon.

    Why it matters: a receiver that checks fragment by fragment stops a bad message at its first bad byte, one that checks at the
    end has stored all of it.

    What to do: nothing for small messages. For large ones prefer a receiver that validates as it reads.
    """
    offence = next((each for each in offences[party.side] if each.rule == "TX-01"), None)
    close = peer.close
    if offence is None or close is None or close.code not in (1002, 1007):
        return None
    bad = offence.place.time
    late = close.place.time - bad
    if late <= patience(session) or not bad < party.frames.last_data_time <= close.place.time:
        return None
    return Fault(f"the {SIDES[peer.side]} closed {seconds(late)} after the first bad byte, when more had come", offence.place)


@rule("TX-04", "RFC 6455 §5.5.1", MUST, "error", "sender", "close")
def invalid_utf8_in_reason(close: CloseBody) -> str | None:
    """The reason of a Close is not UTF-8.

    The RFC says: what follows the code in a Close is text in UTF-8.

    Why it matters: the receiver fails the connection instead of closing it: 1006 or 1007 where the sender meant a clean end.

    What to do: a reason cut to 123 bytes in the middle of a character is the usual cause. Cut by characters.
    """
    if close.lost or not close.reason or close.reason.isascii():
        return None
    whole = close.length <= 125  # of a longer one only the beginning is kept
    try:
        codecs.utf_8_decode(close.reason, "strict", whole)
    except UnicodeDecodeError as fault:
        return f"the reason of Close {close.code} is not valid UTF-8 at byte {fault.start}"
    return None


@rule("TX-05", "RFC 6455 §5.6", INFO, "warning", "sender", "session", when="subprotocol")
def wrong_message_type(session: Session, party: Party, peer: Party) -> Fault | None:
    """Messages are of a type that the subprotocol does not use.

    The RFC says: a message is text or binary, and the subprotocol says what it means. MQTT, for one, demands binary messages.

    Why it matters: strict receivers drop the connection without saying why; lenient ones make the next strict one look broken.

    What to do: set the type where the client writes (in browsers: send an ArrayBuffer, not a string).
    """
    handshake = session.handshake
    subprotocol = handshake.subprotocol if handshake is not None else None
    if subprotocol is None:
        return None
    if subprotocol in BINARY_ONLY and party.frames.text_messages:
        return mistyped(party, frames.TEXT, f"text messages in {subprotocol}, which is binary", party.frames.text_messages)
    if subprotocol in TEXT_ONLY and party.frames.binary_messages:
        return mistyped(party, frames.BINARY, f"binary messages in {subprotocol}, which is text", party.frames.binary_messages)
    return None


def mistyped(party: Party, opcode: int, detail: str, count: int) -> Fault | None:
    for shape in party.shapes():
        if shape.shape & 15 == opcode:
            return Fault(detail, shape.place, count, shape.last_packet)
    return None
