"""What the fast decoder does not take: tags, tunnels, extension headers, fragments, ICMP, other link types.

Each packet is unwrapped to the IP packet (or Ethernet frame) inside and given back to the decoder, under the outer packet's
number and time. dpkt reads the common wrappings; scapy those that dpkt does not know, and is imported only when one is met.
Both are given hostile bytes and may raise anything, which then counts as a cut packet.
"""

from __future__ import annotations

from typing import Any

from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.packets import Decoder
from wsaudit.net.exported import ExportedPdus
from wsaudit.net.fragments import Fragments
from wsaudit.net.icmp import read_icmp

DEEPEST = 6  # tunnels in tunnels
ETHERNET = 1
EXPORTED_PDU = 252
RADIO = {105: "Dot11", 119: "PrismHeader", 127: "RadioTap", 192: "PPI"}  # link type -> scapy's class
VXLAN_PORTS = (4789, 8472)
GENEVE_PORT = 6081


class Unwrapper:
    """Rare packets in, IP packets back to `decoder`. `notices` says what could not be unwrapped."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.fragments = Fragments()
        self.exported: ExportedPdus | None = None
        self.depth = 0
        self.failed = 0
        self.unknown: dict[str, int] = {}

    # -- back to the decoder -------------------------------------------------------------

    def give_ip(self, data: bytes, time: int, packet: int) -> None:
        if self.depth >= DEEPEST or not data:
            return
        self.depth += 1
        self.decoder.network(Buffer(data), 0, len(data), 0, time, packet)
        self.depth -= 1

    def give_ethernet(self, data: bytes, time: int, packet: int) -> None:
        if self.depth >= DEEPEST or not data:
            return
        self.depth += 1
        self.decoder.packet(Buffer(data), 0, len(data), len(data), time, packet, ETHERNET)
        self.depth -= 1

    def count_unknown(self, what: str) -> None:
        if len(self.unknown) < 100 or what in self.unknown:
            self.unknown[what] = self.unknown.get(what, 0) + 1

    # -- link types and Ethernet types -------------------------------------------------------------

    def packet(self, data: bytes, linktype: int, time: int, packet: int) -> None:
        """A link-layer packet that the fast decoder left."""
        try:
            if linktype == EXPORTED_PDU:
                if self.exported is None:
                    self.exported = ExportedPdus()
                inner = self.exported.segment(data)
                if inner:
                    self.give_ip(inner, time, packet)
            elif linktype in RADIO:
                self.radio(data, RADIO[linktype], time, packet)
            elif linktype == ETHERNET:
                self.ethernet(data, time, packet)
            elif linktype in (113, 276):
                self.ethertype(
                    data,
                    16 if linktype == 113 else 20,
                    int.from_bytes(data[14:16] if linktype == 113 else data[:2], "big"),
                    time,
                    packet,
                )
            else:
                self.count_unknown(f"link type {linktype}")
        except Exception:
            self.failed += 1

    def ethernet(self, data: bytes, time: int, packet: int) -> None:
        pos = 12
        kind = int.from_bytes(data[pos : pos + 2], "big")
        while kind in (0x8100, 0x88A8, 0x9100) and pos + 6 <= len(data):
            pos += 4
            kind = int.from_bytes(data[pos : pos + 2], "big")
        self.ethertype(data, pos + 2, kind, time, packet)

    def ethertype(self, data: bytes, pos: int, kind: int, time: int, packet: int) -> None:
        """What follows an Ethernet type: PPPoE session, MPLS; anything else is not ours."""
        body = data[pos:]
        if kind == 0x8864:
            import dpkt

            inner = dpkt.pppoe.PPPoE(body)
            self.inner_ip(inner.data, body[8:], time, packet)
        elif kind in (0x8847, 0x8848):
            labels = 0
            while len(body) >= 4 and labels < 16:
                bottom = body[2] & 1
                body = body[4:]
                labels += 1
                if bottom:
                    break
            if body[:1] and body[0] >> 4 in (4, 6):
                self.give_ip(body, time, packet)
            elif body[:4] == bytes(4):  # pseudowire control word (RFC 4448), then Ethernet
                self.give_ethernet(body[4:], time, packet)
        else:
            self.count_unknown(f"Ethernet type 0x{kind:04x}")

    def inner_ip(self, parsed: Any, raw: bytes, time: int, packet: int) -> None:
        """The IP packet in what dpkt parsed; `raw` still has its PPP protocol field."""
        skip = 1 if raw[:1] and raw[0] & 1 else 2  # a compressed protocol field has one byte
        body = raw[skip:]
        if body[:1] and body[0] >> 4 in (4, 6):
            self.give_ip(body, time, packet)
        else:
            self.count_unknown(type(parsed).__name__)

    def radio(self, data: bytes, name: str, time: int, packet: int) -> None:
        """802.11 data frames."""
        from scapy.layers import dot11, ppi
        from scapy.layers.inet import IP
        from scapy.layers.inet6 import IPv6

        parsed = getattr(dot11, name, None) or getattr(ppi, name)
        frame = parsed(data)
        for layer in (IP, IPv6):
            if frame.haslayer(layer):
                self.give_ip(bytes(frame[layer].original or bytes(frame[layer])), time, packet)
                return

    # -- IP -------------------------------------------------------------

    def network(self, data: bytes, version: int, time: int, packet: int) -> None:
        """An IP packet that is a fragment, has extension headers, or carries a tunnel."""
        try:
            if version == 4:
                self.version4(data, time, packet)
            else:
                self.version6(data, time, packet)
        except Exception:
            self.failed += 1

    def version4(self, data: bytes, time: int, packet: int) -> None:
        if int.from_bytes(data[6:8], "big") & 0x3FFF:
            whole = self.fragments.version4(data)
            if whole is not None:
                self.give_ip(whole, time, packet)
            return
        header = (data[0] & 15) << 2
        total = int.from_bytes(data[2:4], "big") or len(data)
        self.payload(data[9], data[header:total], time, packet)

    def version6(self, data: bytes, time: int, packet: int) -> None:
        import dpkt

        protocol = data[6]
        pos = 40
        end = 40 + (int.from_bytes(data[4:6], "big") or len(data) - 40)
        while protocol in dpkt.ip6.EXT_HDRS and pos + 8 <= len(data):
            following = data[pos]
            if protocol == dpkt.ip.IP_PROTO_FRAGMENT:
                whole = self.fragments.version6(data[:end], pos)
                if whole is not None:
                    self.give_ip(whole, time, packet)
                return
            size = (data[pos + 1] + 2) * 4 if protocol == dpkt.ip.IP_PROTO_AH else (data[pos + 1] + 1) * 8
            protocol = following
            pos += size
        if protocol == dpkt.ip.IP_PROTO_TCP:
            rest = data[pos:end]
            plain = data[:4] + (end - pos).to_bytes(2, "big") + bytes((protocol,)) + data[7:40] + rest
            self.give_ip(plain, time, packet)
        elif protocol in (1, 58):
            self.icmp(data, 6, time, packet)
        else:
            self.payload(protocol, data[pos:end], time, packet)

    def payload(self, protocol: int, body: bytes, time: int, packet: int) -> None:
        """What an IP packet carries: other IP packets, GRE, VXLAN, Geneve."""
        if protocol in (4, 41):
            self.give_ip(body, time, packet)
        elif protocol == 47:
            self.gre(body, time, packet)
        elif protocol == 17 and len(body) > 8:
            port = int.from_bytes(body[2:4], "big")
            if port in VXLAN_PORTS:
                from scapy.layers.vxlan import VXLAN

                inner = VXLAN(body[8:]).payload
                self.give_ethernet(bytes(inner.original), time, packet)
            elif port == GENEVE_PORT:
                from scapy.contrib.geneve import GENEVE

                tunnel = GENEVE(body[8:])
                give = self.give_ethernet if tunnel.proto == 0x6558 else self.give_ip
                give(bytes(tunnel.payload.original), time, packet)

    def gre(self, body: bytes, time: int, packet: int) -> None:
        import dpkt

        tunnel = dpkt.gre.GRE(body)
        size = 4 + 4 * sum(body[0] >> bit & 1 for bit in (7, 5, 4)) + (4 if body[1] & 0x80 else 0)
        inner = body[size:]
        if tunnel.p in (0x0800, 0x86DD):
            self.give_ip(inner, time, packet)
        elif tunnel.p == 0x6558:
            self.give_ethernet(inner, time, packet)
        elif tunnel.p == 0x88BE:  # ERSPAN: type I has no header of its own, type II has 8 bytes when GRE has a sequence number
            self.give_ethernet(inner[8:] if body[0] & 0x10 else inner, time, packet)
        elif tunnel.p == 0x22EB:  # ERSPAN type III: 12 bytes and an optional platform header of 8
            self.give_ethernet(inner[20:] if len(inner) > 11 and inner[11] & 1 else inner[12:], time, packet)
        elif tunnel.p == 0x880B:  # PPP (PPTP)
            if inner[:2] == b"\xff\x03":
                inner = inner[2:]
            self.inner_ip(tunnel, inner, time, packet)
        else:
            self.count_unknown(f"GRE protocol 0x{tunnel.p:04x}")

    def icmp(self, data: bytes, version: int, time: int, packet: int) -> None:
        """ICMP errors about a followed flow become part of its history."""
        try:
            read = read_icmp(data, version)
            if read is None:
                return
            words, source, sport, target, dport = read
            flow = self.decoder.lookup(source, sport, target, dport)
            if flow is not None and flow.owner is not None:
                flow.owner.icmp(time, packet, words)
        except Exception:
            self.failed += 1

    def notices(self) -> list[str]:
        """What was left out, in words."""
        said = [f"{count} packets with {what} were not looked into" for what, count in sorted(self.unknown.items())]
        if self.failed:
            said.append(f"{self.failed} packets with tunnels, fragments or extension headers were damaged")
        if self.fragments.dropped:
            said.append(f"{self.fragments.dropped} IP fragments stayed incomplete")
        return said
