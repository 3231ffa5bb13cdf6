"""Frames: masking, reserved bits, opcodes, lengths. RFC 6455 §5.1-5.3, §10.3."""

from __future__ import annotations

from wsaudit.rules import frame as frames
from wsaudit.rules.frame import Frame
from wsaudit.rules.rule import MUST, rule

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
    if frame.extensions in (frames.DEFLATE, frames.COMPRESSING):
        rsv &= ~4  # permessage-deflate: PMD-01 to PMD-03
    elif frame.extensions == frames.OFFERED and not frame.is_control and frame.opcode:
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
