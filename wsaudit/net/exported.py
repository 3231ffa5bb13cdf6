"""Wireshark's exported PDUs (LINKTYPE_WIRESHARK_UPPER_PDU): application bytes with tags that say between whom.

A PDU has no TCP header, so each gets one: sequence numbers that run on per direction, and an acknowledgement of all that was
seen of the other. Above this point it is a connection whose handshake packets were not captured, without loss.
"""

from __future__ import annotations

MOST_FLOWS = 100_000
END, IPV4_SOURCE, IPV4_TARGET, IPV6_SOURCE, IPV6_TARGET, PORT_TYPE, SOURCE_PORT, TARGET_PORT = 0, 20, 21, 22, 23, 24, 25, 26
TCP = 2
PSH_ACK = 0x18


class ExportedPdus:
    """Turns exported PDUs into IP packets."""

    def __init__(self) -> None:
        self.sent: dict[bytes, int] = {}  # bytes so far, by direction

    def segment(self, data: bytes) -> bytes | None:
        """One exported PDU → an IP packet with a TCP segment; None if its tags do not say who sent it to whom."""
        pos = 0
        tags: dict[int, bytes] = {}
        while pos + 4 <= len(data):
            tag = int.from_bytes(data[pos : pos + 2], "big")
            size = int.from_bytes(data[pos + 2 : pos + 4], "big")
            value = data[pos + 4 : pos + 4 + size]
            pos += 4 + size
            if tag == END:
                break
            tags.setdefault(tag, value)
        else:
            return None
        body = data[pos:]
        source = tags.get(IPV4_SOURCE) or tags.get(IPV6_SOURCE)
        target = tags.get(IPV4_TARGET) or tags.get(IPV6_TARGET)
        if not source or not target or len(source) != len(target) or len(source) not in (4, 16) or not body:
            return None
        if int.from_bytes(tags.get(PORT_TYPE, b"\x02"), "big") != TCP:
            return None
        ports = tags.get(SOURCE_PORT, b"")[-2:].rjust(2, b"\0"), tags.get(TARGET_PORT, b"")[-2:].rjust(2, b"\0")
        forward = source + target + ports[0] + ports[1]
        backward = target + source + ports[1] + ports[0]
        if forward not in self.sent and len(self.sent) >= MOST_FLOWS:
            self.sent.clear()
        sequence = self.sent.get(forward, 0)
        acknowledged = self.sent.get(backward, 0)
        self.sent[forward] = sequence + len(body)
        header = (
            ports[0]
            + ports[1]
            + (1 + sequence & 0xFFFFFFFF).to_bytes(4, "big")
            + (1 + acknowledged & 0xFFFFFFFF).to_bytes(4, "big")
            + bytes((0x50, PSH_ACK))
            + b"\xff\xff\0\0\0\0"
        )
        size = len(header) + len(body)
        if len(source) == 4:
            total = size + 20
            # A PDU may be longer than an IP packet can say: length 0 means "as captured", as with segmentation offload.
            return (
                b"\x45\0"
                + (total if total < 65536 else 0).to_bytes(2, "big")
                + b"\0\0\0\0\x40\x06\0\0"
                + source
                + target
                + header
                + body
            )
        return b"\x60\0\0\0" + (size if size < 65536 else 0).to_bytes(2, "big") + b"\x06\x40" + source + target + header + body
