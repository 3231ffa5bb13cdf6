"""What the fast decoder does not take: tags, tunnels, extension headers, fragments, ICMP, other link types.

Each packet is unwrapped to the IP packet (or Ethernet frame) inside and given back to the decoder, under the outer packet's
number and time. dpkt reads the common wrappings; scapy those that dpkt does not know, and is imported only when one is met.
Both are given hostile bytes and may raise anything, which then counts as a damaged packet. What the decoder does with the inner
packet is done outside of that guard: a fault of our own must not pass for damage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.constants import GENEVE_PORT, OLD_VXLAN_PORT, VXLAN_PORT
from wsaudit.kernel.packets import Decoder
from wsaudit.net.exported import ExportedPdus
from wsaudit.net.fragments import Fragments
from wsaudit.net.icmp import read_icmp

DEEPEST = 6  # tunnels in tunnels
ETHERNET, RAW_IP = 1, 101
ICMP6 = -1  # an `Inner` that is ICMP behind extension headers
EXPORTED_PDU = 252
RADIO = {105: "Dot11", 119: "PrismHeader", 127: "RadioTap", 192: "PPI"}  # link type -> scapy's class


class Inner(NamedTuple):
    """What was inside: an Ethernet frame or an IP packet, as `linktype` says."""

    linktype: int
    data: bytes


class Unwrapper:
    """Rare packets in, IP packets back to `decoder`. `notices` says what could not be unwrapped."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.fragments = Fragments()
        self.exported: ExportedPdus | None = None
        self.depth = 0
        self.failed = 0
        self.unknown: dict[str, int] = {}

    # -- what the decoder hands over -------------------------------------------------------------

    def packet(self, data: bytes, linktype: int, time: int, packet: int) -> None:
        """A link-layer packet that the fast decoder left."""
        self.give(self.guarded(self.open_link, data, linktype), time, packet)

    def network(self, data: bytes, version: int, time: int, packet: int) -> None:
        """An IP packet that is a fragment, has extension headers, or carries a tunnel."""
        self.give(self.guarded(self.version4 if version == 4 else self.version6, data), time, packet)

    def icmp(self, data: bytes, version: int, time: int, packet: int) -> None:
        """ICMP errors about a followed flow become part of its history."""
        read = self.guarded(read_icmp, data, version)
        if read is None:
            return
        words, source, sport, target, dport = read
        flow = self.decoder.lookup(source, sport, target, dport)
        if flow is not None and flow.owner is not None:
            flow.owner.icmp(time, packet, words)

    def guarded(self, read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except Exception:
            self.failed += 1
            return None

    def give(self, inner: Inner | None, time: int, packet: int) -> None:
        """Back to the decoder."""
        if inner is None or not inner.data or self.depth >= DEEPEST:
            return
        linktype, data = inner
        self.depth += 1
        try:
            if linktype == ICMP6:
                self.icmp(data, 6, time, packet)
            elif linktype == ETHERNET:
                self.decoder.packet(Buffer(data), 0, len(data), len(data), time, packet, ETHERNET)
            else:
                self.decoder.network(Buffer(data), 0, len(data), 0, time, packet)
        finally:
            self.depth -= 1

    def count_unknown(self, what: str) -> None:
        if len(self.unknown) < 100 or what in self.unknown:
            self.unknown[what] = self.unknown.get(what, 0) + 1

    # -- link types and Ethernet types -------------------------------------------------------------

    def open_link(self, data: bytes, linktype: int) -> Inner | None:
        if linktype == EXPORTED_PDU:
            if self.exported is None:
                self.exported = ExportedPdus()
            inner = self.exported.segment(data)
            return Inner(RAW_IP, inner) if inner else None
        if linktype in RADIO:
            return self.radio(data, RADIO[linktype])
        if linktype == ETHERNET:
            return self.ethernet(data)
        if linktype == 113:
            return self.ethertype(data, 16, int.from_bytes(data[14:16], "big"))
        if linktype == 276:
            return self.ethertype(data, 20, int.from_bytes(data[:2], "big"))
        self.count_unknown(f"link type {linktype}")
        return None

    def ethernet(self, data: bytes) -> Inner | None:
        pos = 12
        kind = int.from_bytes(data[pos : pos + 2], "big")
        while kind in (0x8100, 0x88A8, 0x9100) and pos + 6 <= len(data):
            pos += 4
            kind = int.from_bytes(data[pos : pos + 2], "big")
        return self.ethertype(data, pos + 2, kind)

    def ethertype(self, data: bytes, pos: int, kind: int) -> Inner | None:
        """What follows an Ethernet type: PPPoE session, MPLS; anything else is not ours."""
        body = data[pos:]
        if kind == 0x8864:
            import dpkt

            inner = dpkt.pppoe.PPPoE(body)
            return self.inner_ip(inner.data, body[6:])
        if kind in (0x8847, 0x8848):
            labels = 0
            while len(body) >= 4 and labels < 16:
                bottom = body[2] & 1
                body = body[4:]
                labels += 1
                if bottom:
                    break
            if body[:1] and body[0] >> 4 in (4, 6):
                return Inner(RAW_IP, body)
            # A pseudowire control word (RFC 4448), then Ethernet.
            return Inner(ETHERNET, body[4:]) if body[:4] == bytes(4) else None
        self.count_unknown(f"Ethernet type 0x{kind:04x}")
        return None

    def inner_ip(self, parsed: Any, raw: bytes) -> Inner | None:
        """The IP packet in what dpkt parsed; `raw` still has its PPP protocol field."""
        skip = 1 if raw[:1] and raw[0] & 1 else 2  # a compressed protocol field has one byte
        body = raw[skip:]
        if body[:1] and body[0] >> 4 in (4, 6):
            return Inner(RAW_IP, body)
        self.count_unknown(type(parsed).__name__)
        return None

    def radio(self, data: bytes, name: str) -> Inner | None:
        """802.11 data frames."""
        from scapy.layers import dot11, ppi
        from scapy.layers.inet import IP
        from scapy.layers.inet6 import IPv6

        parsed = getattr(dot11, name, None) or getattr(ppi, name)
        frame = parsed(data)
        for layer in (IP, IPv6):
            if frame.haslayer(layer):
                return Inner(RAW_IP, bytes(frame[layer].original or bytes(frame[layer])))
        return None

    # -- IP -------------------------------------------------------------

    def version4(self, data: bytes) -> Inner | None:
        if int.from_bytes(data[6:8], "big") & 0x3FFF:
            whole = self.fragments.version4(data)
            return None if whole is None else Inner(RAW_IP, whole)
        header = (data[0] & 15) << 2
        total = int.from_bytes(data[2:4], "big") or len(data)
        return self.payload(data[9], data[header:total])

    def version6(self, data: bytes) -> Inner | None:
        import dpkt

        protocol = data[6]
        pos = 40
        end = 40 + (int.from_bytes(data[4:6], "big") or len(data) - 40)
        while protocol in dpkt.ip6.EXT_HDRS and pos + 8 <= len(data):
            following = data[pos]
            if protocol == dpkt.ip.IP_PROTO_FRAGMENT:
                whole = self.fragments.version6(data[:end], pos)
                return None if whole is None else Inner(RAW_IP, whole)
            size = (data[pos + 1] + 2) * 4 if protocol == dpkt.ip.IP_PROTO_AH else (data[pos + 1] + 1) * 8
            protocol = following
            pos += size
        if protocol == dpkt.ip.IP_PROTO_TCP:
            rest = data[pos:end]
            plain = data[:4] + (end - pos).to_bytes(2, "big") + bytes((protocol,)) + data[7:40] + rest
            return Inner(RAW_IP, plain)
        if protocol in (1, 58):
            return Inner(ICMP6, data[:40] + data[pos:])
        return self.payload(protocol, data[pos:end])

    def payload(self, protocol: int, body: bytes) -> Inner | None:
        """What an IP packet carries: other IP packets, GRE, VXLAN, Geneve."""
        if protocol in (4, 41):
            return Inner(RAW_IP, body)
        if protocol == 47:
            return self.gre(body)
        if protocol == 17 and len(body) > 8:
            port = int.from_bytes(body[2:4], "big")
            if port in (VXLAN_PORT, OLD_VXLAN_PORT):
                from scapy.layers.vxlan import VXLAN

                inner = VXLAN(body[8:]).payload
                return Inner(ETHERNET, bytes(inner.original))
            if port == GENEVE_PORT:
                from scapy.contrib.geneve import GENEVE

                tunnel = GENEVE(body[8:])
                return Inner(ETHERNET if tunnel.proto == 0x6558 else RAW_IP, bytes(tunnel.payload.original))
        return None

    def gre(self, body: bytes) -> Inner | None:
        import dpkt

        tunnel = dpkt.gre.GRE(body)
        size = 4 + 4 * sum(body[0] >> bit & 1 for bit in (7, 5, 4)) + (4 if body[1] & 0x80 else 0)
        inner = body[size:]
        if tunnel.p in (0x0800, 0x86DD):
            return Inner(RAW_IP, inner)
        if tunnel.p == 0x6558:
            return Inner(ETHERNET, inner)
        if tunnel.p == 0x88BE:  # ERSPAN: type I has no header of its own, type II has 8 bytes when GRE has a sequence number
            return Inner(ETHERNET, inner[8:] if body[0] & 0x10 else inner)
        if tunnel.p == 0x22EB:  # ERSPAN type III: 12 bytes and an optional platform header of 8
            return Inner(ETHERNET, inner[20:] if len(inner) > 11 and inner[11] & 1 else inner[12:])
        if tunnel.p == 0x880B:  # PPP (PPTP)
            return self.inner_ip(tunnel, inner[2:] if inner[:2] == b"\xff\x03" else inner)
        self.count_unknown(f"GRE protocol 0x{tunnel.p:04x}")
        return None

    def notices(self) -> list[str]:
        """What was left out, in words."""
        said = [f"{count} packets with {what} were not looked into" for what, count in sorted(self.unknown.items())]
        if self.failed:
            said.append(f"{self.failed} packets with tunnels, fragments or extension headers were damaged")
        incomplete = self.fragments.dropped + len(self.fragments.waiting)
        if incomplete:
            said.append(f"{incomplete} IP packets of which not all fragments were captured were left out")
        return said
