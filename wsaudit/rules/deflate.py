"""permessage-deflate: what was agreed, and what compressed messages hold. RFC 7692."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsaudit.kernel.occasions import FAILING
from wsaudit.kernel.party import Party
from wsaudit.model import SERVER, SIDES, Fault, Place
from wsaudit.rules import frame as frames
from wsaudit.rules.fragmentation import last_frame_before, own_choice
from wsaudit.rules.frame import Frame
from wsaudit.rules.occasions import ENOUGH
from wsaudit.rules.rule import INFO, MUST, SHOULD, Offences, rule
from wsaudit.rules.timing import was_first_to_close
from wsaudit.session import InflateFault, Session
from wsaudit.websocket.extensions import deflate_offer_faults, parse_extensions

if TYPE_CHECKING:
    from wsaudit.http.upgrade import Handshake

BROKEN = {
    "corrupt": "the payload of a compressed message is no deflate stream",
    "too-far-back": "a compressed message refers to bytes that were never sent",
    "truncated-block": "a compressed message stops within a deflate block",
}
RSV1 = 0x40  # in a shape


@rule("PMD-01", "RFC 7692 §6", MUST, "error", "sender", "shape", must_fail=True)
def compression_not_accepted(frame: Frame) -> str | None:
    """A message is marked as compressed although compression was not accepted.

    The RFC says: RSV1 marks a compressed message only when the server's answer accepted permessage-deflate. Offering it is not
    enough.

    Why it matters: the receiver reads RSV1 as a fault and closes with 1002.

    What to do: look at both heads: the client compresses as soon as it has offered to, or something between the two removed the
    extension from the answer.
    """
    if frame.rsv & 4 and frame.opcode in (frames.TEXT, frames.BINARY) and frame.extensions == frames.OFFERED:
        return f"{frame} with RSV1 set; permessage-deflate was offered, but the server did not accept it"
    return None


@rule("PMD-02", "RFC 7692 §6.1", MUST, "error", "sender", "shape", must_fail=True)
def compression_bit_on_continuation(frame: Frame) -> str | None:
    """A continuation frame is marked as compressed.

    The RFC says: a message is compressed as a whole, and only its first frame says so.

    Why it matters: the receiver closes with 1002, but only for messages that are long enough to be fragmented.

    What to do: the sender sets the bit per frame, as the old x-webkit-deflate-frame did. Set it on the first frame only.
    """
    if frame.rsv & 4 and frame.opcode == frames.CONTINUATION and frame.extensions == frames.DEFLATE:
        return f"{frame} with RSV1 set"
    return None


@rule("PMD-03", "RFC 7692 §6.1", MUST, "error", "sender", "shape", must_fail=True)
def deflated_control_frame(frame: Frame) -> str | None:
    """A control frame is marked as compressed.

    The RFC says: permessage-deflate never touches control frames.

    Why it matters: the receiver closes with 1002; a Close marked like this loses its code and reason.

    What to do: the sender passes every frame through its compressor. Leave out opcodes 8 and above.
    """
    if frame.rsv & 4 and frame.is_control and frame.extensions == frames.DEFLATE:
        return f"{frame} with RSV1 set"
    return None


@rule("PMD-04", "RFC 7692 §7.2.2", MUST, "error", "sender", "session", when="deflate", must_fail=True)
def compressed_message_broken(session: Session, party: Party, peer: Party) -> list[Fault]:
    """A compressed message cannot be inflated.

    The RFC says: the payload with 00 00 ff ff behind it is a deflate stream. The receiver fails the connection when it is none.

    Why it matters: the message is lost and the connection fails, often long after the message that really broke the context.

    What to do: one compressor per connection and direction, used by one writer at a time. Messages that are compressed in one
    order and sent in another break exactly like this.
    """
    inflation = party.inflation
    if inflation is None or not (inflation.faults or inflation.unverifiable):
        return []
    found = [told(fault, BROKEN[kind]) for kind, fault in inflation.faults.items() if kind in BROKEN]
    if inflation.unverifiable and party.gaps:
        gap = party.gaps[0]
        doubt = f"bytes before them were lost to the capture ({gap.reason})"
        detail = "whether compressed messages can be inflated"
        found.append(Fault(detail, Place(gap.packet, gap.time, gap.offset), inflation.unverifiable, doubt=doubt))
    return found


@rule("PMD-05", "RFC 7692 §7.2.1", SHOULD, "info", "sender", "session", when="deflate")
def deflate_tail_kept(session: Session, party: Party, peer: Party) -> Fault | None:
    """The four bytes at the end of a compressed message were not removed.

    The RFC says: the sender removes 00 00 ff ff from the end of what it flushed.

    Why it matters: it still inflates. Four bytes a message are wasted, much where messages are small.

    What to do: cut the last four bytes after a sync flush.
    """
    return kind_of(party, "kept_tail", "compressed message that still ends with 00 00 ff ff")


@rule("PMD-06", "RFC 7692 §7.1.1.1", MUST, "error", "server", "session", when="deflate")
def server_context_kept(session: Session, party: Party, peer: Party) -> Fault | None:
    """The server used an earlier message's window although it promised not to.

    The RFC says: with server_no_context_takeover the server starts each message with an empty window.

    Why it matters: a client that freed its window cannot inflate the message; one that kept it does not notice. So it works with
    one client and not with another.

    What to do: reset the server's compressor after each message, or leave the parameter out of the answer.
    """
    return kind_of(party, "takeover_used", "compressed message that needs the window of those before it")


@rule("PMD-07", "RFC 7692 §7.1.1.2", MUST, "error", "client", "session", when="deflate")
def client_context_kept(session: Session, party: Party, peer: Party) -> Fault | None:
    """The client used an earlier message's window although it was agreed not to.

    The RFC says: with client_no_context_takeover in the answer the client starts each message with an empty window.

    Why it matters: the server freed the window to save memory and cannot inflate the message.

    What to do: reset the client's compressor after each message when the answer has the parameter.
    """
    return kind_of(party, "takeover_used", "compressed message that needs the window of those before it")


@rule("PMD-08", "RFC 7692 §7.1.2.1", MUST, "error", "server", "session", when="deflate")
def server_window_exceeded(session: Session, party: Party, peer: Party) -> Fault | None:
    """The server refers further back than the agreed window.

    The RFC says: with server_max_window_bits the server compresses with a window of at most two to that power.

    Why it matters: a client with little memory keeps no more and gets rubbish or fails.

    What to do: give the compressor the agreed bits. zlib makes 9 of 8: agree on 9 or more.
    """
    return window_exceeded(session, party)


@rule("PMD-09", "RFC 7692 §7.1.2.2", MUST, "error", "client", "session", when="deflate")
def client_window_exceeded(session: Session, party: Party, peer: Party) -> Fault | None:
    """The client refers further back than the agreed window.

    The RFC says: with client_max_window_bits in the answer the client compresses with a window of at most two to that power.

    Why it matters: servers ask for small windows because they hold thousands of them; the message cannot be inflated there.

    What to do: give the compressor the agreed bits. zlib makes 9 of 8: agree on 9 or more.
    """
    return window_exceeded(session, party)


@rule("PMD-10", "RFC 7692 §7.1", MUST, "error", "server", "handshake")
def invalid_offer_accepted(handshake: Handshake, session: Session) -> list[Fault]:
    """The server accepted an offer that it has to decline.

    The RFC says: a server declines an offer of permessage-deflate with unknown, repeated or invalid parameters.

    Why it matters: the two sides now mean different things by "compressed".

    What to do: repair the server's reading of the header, and the client's offer.
    """
    return agreed("PMD-10", handshake, session)


@rule("PMD-11", "RFC 7692 §7.1", MUST, "error", "client", "session", when="deflate")
def invalid_answer_taken(session: Session, party: Party, peer: Party) -> Fault | None:
    """The client went on after an answer that it has to refuse.

    The RFC says: a client fails the connection when the answer's permessage-deflate parameters are unknown, repeated or invalid.

    Why it matters: the two sides now mean different things by "compressed", and messages break later.

    What to do: repair the answer first; the finding says what is wrong with it.
    """
    agreement = session.deflate
    if agreement is None or not agreement.client_must_fail or not party.frames.last_data_time:
        return None
    if party.close is not None and party.close.code in FAILING:
        return None
    shape = party.shapes()[0]
    return Fault(f"frames followed although the client has to refuse the answer: {agreement.client_must_fail[0]}", shape.place)


@rule("PMD-12", "RFC 7692 §7.1.2.2", MUST, "error", "server", "handshake")
def client_window_not_offered(handshake: Handshake, session: Session) -> list[Fault]:
    """The answer limits the client's window although the client did not offer that.

    The RFC says: client_max_window_bits appears in an answer only if it was in the offer.

    Why it matters: the client may not be able to limit its window and has to fail the connection; browsers do.

    What to do: send the parameter only to clients that offered it.
    """
    return agreed("PMD-12", handshake, session)


@rule("PMD-13", "RFC 7692 §7.1.2.1", MUST, "error", "server", "handshake")
def server_window_too_large(handshake: Handshake, session: Session) -> list[Fault]:
    """The server did not accept the limit on its window.

    The RFC says: who accepts an offer with server_max_window_bits answers with the parameter and the same or a smaller value.

    Why it matters: the client has no room for a larger window.

    What to do: repeat the offered value, or decline the offer.
    """
    return agreed("PMD-13", handshake, session)


@rule("PMD-14", "RFC 7692 §7.1.1.1", MUST, "error", "server", "handshake")
def server_takeover_not_declined(handshake: Handshake, session: Session) -> list[Fault]:
    """The server did not repeat server_no_context_takeover.

    The RFC says: who accepts an offer with this parameter has it in the answer.

    Why it matters: the client asked because it cannot keep a window between messages. Without the promise it has to fail.

    What to do: repeat the parameter and reset the compressor after each message, or decline the offer.
    """
    return agreed("PMD-14", handshake, session)


@rule("PMD-15", "RFC 7692 §7.1.2.2", MUST, "error", "server", "handshake")
def client_window_too_large(handshake: Handshake, session: Session) -> list[Fault]:
    """The answer's client_max_window_bits has no value, or a larger one than was offered.

    The RFC says: in an answer the parameter has a value, and one not above that of the offer.

    Why it matters: the client cannot know what window the server is ready for.

    What to do: answer with a number from 8 to what was offered.
    """
    return agreed("PMD-15", handshake, session)


@rule("PMD-16", "RFC 7692 §7.1.2", MUST, "error", "sender", "handshake")
def deflate_parameter_invalid(handshake: Handshake, session: Session) -> list[tuple[int, Fault]]:
    """A parameter of permessage-deflate has an impossible value.

    The RFC says: window bits are 8 to 15 without leading zeros, and the context takeover parameters have no value.

    Why it matters: the other side has to decline the offer, or to fail the connection if it is in the answer.

    What to do: repair the header; `wsaudit show` has it.
    """
    if session.deflate is not None:
        faults = session.deflate.faults
    elif handshake.extensions_offered_lines:
        lines = [line.encode("latin-1", "replace") for line in handshake.extensions_offered_lines]
        faults = deflate_offer_faults(parse_extensions(lines))
    else:
        return []
    return [(fault.side, Fault(fault.detail, head_place(handshake, fault.side))) for fault in faults if fault.rule == "PMD-16"]


@rule("PMD-17", "RFC 7692 §5", MUST, "error", "server", "handshake")
def two_compressions_accepted(handshake: Handshake, session: Session) -> list[Fault]:
    """The server accepted two extensions that use the same bit.

    The RFC says: extensions that conflict, because they use the same reserved bit, are not accepted together.

    Why it matters: nobody can tell which of them RSV1 stands for.

    What to do: accept one, the client's first choice.
    """
    return agreed("PMD-17", handshake, session)


@rule("PMD-18", "RFC 7692 §7.2.3.6", SHOULD, "info", "sender", "session", when="deflate")
def empty_compressed_payload(session: Session, party: Party, peer: Party) -> Fault | None:
    """A compressed message has no bytes at all.

    The RFC says: an empty message, compressed, is the single byte 00.

    Why it matters: zlib takes it, other decoders fail.

    What to do: send the byte, or send empty messages uncompressed.
    """
    return kind_of(party, "empty_payload", "compressed message of 0 bytes")


@rule("PMD-19", "RFC 7692 §7.2.3.4", INFO, "info", "sender", "session", when="deflate")
def final_deflate_block(session: Session, party: Party, peer: Party) -> Fault | None:
    """A compressed message has a block marked as the last.

    The RFC says: that is allowed; another block, at least an empty one, has to follow it.

    Why it matters: decoders that do not start afresh behind such a block fail at the next message, so it works in one pairing of
    libraries and not in another.

    What to do: flush (Z_SYNC_FLUSH) instead of finishing the stream.
    """
    bare = kind_of(party, "bare_final", "compressed message that ends with a final block and lacks the byte that must follow")
    return bare or kind_of(party, "final_block", "compressed message with a final block")


@rule("PMD-20", "RFC 7692 §8", INFO, "warning", "sender", "session", when="deflate")
def inflates_enormously(session: Session, party: Party, peer: Party) -> Fault | None:
    """A small compressed message inflates to a very large one.

    The RFC says: a receiver must be ready for it, limits on the size of messages are for what comes out.

    Why it matters: a few kilobytes can become gigabytes. One client can take a server's memory that way.

    What to do: limit the inflated size at the receiver (max_size, maxPayload, client_max_body_size is not it). Then ask what the
    sender wanted.
    """
    if party.inflation is None or not party.inflation.faults:
        return None
    fault = party.inflation.faults.get("over_limit") or party.inflation.faults.get("bomb")
    if fault is None:
        return None
    return told(fault, f"a compressed message inflates to {frames.size(fault.value)} or more")


@rule("PMD-21", "RFC 7692 §6", INFO, "info", "sender", "session", when="compressed")
def useless_compression(session: Session, party: Party, peer: Party) -> Fault | None:
    """Compression is in use and saves nothing, or was agreed and is never used.

    The RFC says: every sender decides message by message whether to compress.

    Why it matters: each compressing connection costs up to 300 KiB of memory at either end, and time for each message.

    What to do: leave out messages that are small or compressed already, or the extension altogether.
    """
    scanner, inflation = party.frames, party.inflation
    messages = scanner.text_messages + scanner.binary_messages
    if inflation is None or messages < ENOUGH:
        return None
    place = party.shapes()[0].place
    if inflation.messages >= ENOUGH and not inflation.unverifiable and inflation.wire_bytes > inflation.bytes:
        before, after = frames.size(inflation.bytes), frames.size(inflation.wire_bytes)
        return Fault(f"{inflation.messages:,} messages of {before} were compressed to {after}", place, inflation.messages)
    other = session.parties[1 - party.side].frames
    if party.side == SERVER and not scanner.deflated_messages and not other.deflated_messages:
        return Fault(f"compression was agreed and none of {messages:,} messages uses it", place)
    return None


@rule("PMD-23", "RFC 7692 §7.2.2", MUST, "error", "receiver", "reaction", when="failed", whole=True)
def legal_compression_refused(session: Session, party: Party, peer: Party, offences: Offences) -> Fault | None:
    """A correct compressed message was taken for a fault.

    The RFC says: every message that inflates and follows what was agreed is to be accepted.

    Why it matters: the connection fails with 1002 or 1007 and the sender is blamed. Final blocks, empty messages and control
    frames between fragments are where receivers differ.

    What to do: report it to the makers of the receiver with this capture. Until then switch compression off.
    """
    close, inflation = peer.close, party.inflation
    if inflation is None or close is None or close.code not in (1002, 1007) or inflation.unverifiable or party.gaps:
        return None
    if offences[party.side] or was_first_to_close(party, peer):
        return None
    before = last_frame_before(session, party, peer)
    if before is None or not before.shape & RSV1:
        return None
    detail = f"the {SIDES[peer.side]} closed with {close.code} right after a compressed message that inflates well"
    return Fault(detail, before.place, doubt=own_choice(close))


def told(fault: InflateFault, detail: str) -> Fault:
    return Fault(detail, fault.place, fault.count)


def kind_of(party: Party, kind: str, detail: str) -> Fault | None:
    """One kind of what inflating showed."""
    if party.inflation is None or not party.inflation.faults:
        return None
    fault = party.inflation.faults.get(kind)
    return told(fault, detail) if fault is not None else None


def window_exceeded(session: Session, party: Party) -> Fault | None:
    if session.deflate is None:
        return None
    bits = session.deflate.sides[party.side].window_bits
    fault = kind_of(party, "window_exceeded", f"compressed message that refers further back than {1 << bits:,} bytes")
    if fault is not None and bits == 8:
        return fault._replace(doubt="zlib makes a window of 9 bits where 8 are asked for, and receivers know that")
    return fault


def agreed(rule: str, handshake: Handshake, session: Session) -> list[Fault]:
    """What the two heads alone prove."""
    if session.deflate is None or not session.deflate.faults:
        return []
    return [Fault(fault.detail, head_place(handshake, fault.side)) for fault in session.deflate.faults if fault.rule == rule]


def head_place(handshake: Handshake, side: int) -> Place:
    head = handshake.response if side == SERVER else handshake.request
    return Place(head.packet, head.time, head.offset) if head is not None else Place(0, 0, 0)
