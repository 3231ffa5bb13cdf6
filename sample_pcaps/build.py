"""Build the samples that nobody recorded. `python sample_pcaps/build.py` writes them anew; same script, same bytes.

What each is for and what an audit must show stands in index.toml.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw
from scapy.utils import PcapWriter

START = 1_700_000_000
CLIENT, SERVER = 0, 1
CONTINUATION, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10


def frame(side: int, opcode: int, payload: bytes, fin: bool = True, masked: bool | None = None) -> bytes:
    """A frame of less than 64 kB as `side` sends it (RFC 6455 §5.2)."""
    masked = side == CLIENT if masked is None else masked
    size = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
    header = bytes([fin << 7 | opcode, masked << 7 | size[0]]) + size[1:]
    if not masked:
        return header + payload
    key = hashlib.sha256(header + payload).digest()[:4]  # another key for every frame, the same in every build
    return header + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


class Talk:
    """A TCP connection, packet by packet. `time` is that of the next packet, in seconds."""

    def __init__(self, port: int = 80, client_port: int = 50_000, time: float = START, isn: int = 1_000_000) -> None:
        self.ends = (("192.0.2.10", client_port), ("198.51.100.20", port))
        self.seq = [isn, 2 * isn]
        self.time = time
        self.packets: list[Packet] = []
        self.key = base64.b64encode(hashlib.sha256(f"{client_port} {isn}".encode()).digest()[:16]).decode()

    def segment(self, side: int, flags: str, payload: bytes = b"", seq: int | None = None) -> Talk:
        """A segment, 10 ms after the last one; the sequence number stays."""
        (source, sport), (destination, dport) = self.ends[side], self.ends[1 - side]
        tcp = TCP(sport=sport, dport=dport, flags=flags, seq=self.seq[side] if seq is None else seq, window=64240)
        if "A" in flags:
            tcp.ack = self.seq[1 - side]
        macs = ("02:00:00:00:00:01", "02:00:00:00:00:02")
        packet = Ether(src=macs[side], dst=macs[1 - side]) / IP(src=source, dst=destination, id=len(self.packets) + 1) / tcp
        packet = packet / Raw(payload) if payload else packet
        packet.time = self.time
        self.time += 0.01
        self.packets.append(packet)
        return self

    def open(self) -> Talk:
        for side, flags in ((CLIENT, "S"), (SERVER, "SA")):
            self.segment(side, flags)
            self.seq[side] += 1
        return self.segment(CLIENT, "A")

    def send(self, side: int, data: bytes) -> Talk:
        self.segment(side, "PA", data)
        self.seq[side] += len(data)
        return self

    def frame(self, side: int, opcode: int, payload: bytes = b"", fin: bool = True, masked: bool | None = None) -> Talk:
        return self.send(side, frame(side, opcode, payload, fin, masked))

    def close(self, side: int, code: int) -> Talk:
        return self.frame(side, CLOSE, code.to_bytes(2, "big"))

    def upgrade(self) -> Talk:
        accept = base64.b64encode(hashlib.sha1(f"{self.key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        request = f"GET /live HTTP/1.1\r\nHost: example.com\r\n{upgrade}Sec-WebSocket-Version: 13\r\n"
        self.send(CLIENT, f"{request}Sec-WebSocket-Key: {self.key}\r\n\r\n".encode())
        return self.send(SERVER, f"HTTP/1.1 101 Switching Protocols\r\n{upgrade}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())

    def fin(self, first: int) -> Talk:
        for side in (first, 1 - first):
            self.segment(side, "FA")
            self.seq[side] += 1
        return self.segment(first, "A")


def unmasked_client() -> list[Packet]:
    talk = Talk().open().upgrade()
    for text in (b"one", b"two", b"three"):
        talk.frame(CLIENT, TEXT, text, masked=False)
    return talk.close(SERVER, 1002).close(CLIENT, 1002).fin(SERVER).packets


def crossing_closes() -> list[Packet]:
    talk = Talk().open().upgrade().frame(CLIENT, TEXT, b"hello").frame(SERVER, TEXT, b"hello")
    first = frame(CLIENT, CLOSE, (1000).to_bytes(2, "big"))
    second = frame(SERVER, CLOSE, (1001).to_bytes(2, "big"))
    talk.segment(CLIENT, "PA", first).segment(SERVER, "PA", second)  # neither acknowledges the other: they crossed
    talk.seq = [talk.seq[CLIENT] + len(first), talk.seq[SERVER] + len(second)]
    return talk.segment(CLIENT, "A").fin(SERVER).packets


def interleaved_fragments() -> list[Packet]:
    """A text in three fragments, cut inside its characters, with a Ping and its Pong between them."""
    text = "grüße 👋".encode()
    talk = Talk().open().upgrade()
    talk.frame(CLIENT, TEXT, text[:3], fin=False).frame(SERVER, PING, b"?").frame(CLIENT, PONG, b"?")
    talk.frame(CLIENT, CONTINUATION, text[3:9], fin=False).frame(CLIENT, PING).frame(SERVER, PONG)
    return talk.frame(CLIENT, CONTINUATION, text[9:]).close(CLIENT, 1000).close(SERVER, 1000).fin(SERVER).packets


def conflicting_copies() -> list[Packet]:
    """A segment comes twice, the second time with other bytes: an injection, or a broken middlebox."""
    talk = Talk().open().upgrade()
    at = talk.seq[SERVER]
    talk.frame(SERVER, TEXT, b"balance: 100")
    talk.segment(SERVER, "PA", frame(SERVER, TEXT, b"balance: 999"), seq=at)
    return talk.segment(CLIENT, "A").close(CLIENT, 1000).close(SERVER, 1000).fin(SERVER).packets


def lost_segment() -> list[Packet]:
    """The capture missed a segment that the receiver acknowledged; frames begin somewhere in it."""
    talk = Talk().open().upgrade().frame(SERVER, TEXT, b"first")
    talk.send(SERVER, frame(SERVER, TEXT, b"x" * 400)[:300])
    del talk.packets[-1]
    talk.send(SERVER, frame(SERVER, TEXT, b"x" * 400)[300:]).segment(CLIENT, "A")
    return talk.fin(SERVER).packets


def port_reuse() -> list[Packet]:
    """Two connections, one after the other, with the same addresses and ports."""
    first = Talk().open().upgrade().close(CLIENT, 1000).close(SERVER, 1000).fin(SERVER)
    second = Talk(time=first.time + 5, isn=9_000_000).open().upgrade().frame(SERVER, TEXT, b"again")
    return first.packets + second.segment(SERVER, "RA").packets


def vxlan() -> list[Packet]:
    """A connection inside a VXLAN tunnel, as a mirror port of a virtual network shows it."""
    inner = Talk().open().upgrade().frame(CLIENT, TEXT, b"tunnelled").close(SERVER, 1012).close(CLIENT, 1012).fin(SERVER)
    packets = []
    for packet in inner.packets:
        outer = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04") / IP(src="203.0.113.1", dst="203.0.113.2", id=1)
        outer = outer / UDP(sport=51234, dport=4789) / VXLAN(vni=7) / packet
        outer.time = packet.time
        packets.append(outer)
    return packets


def no_websocket() -> list[Packet]:
    """Plain HTTP, something that looks like TLS, DNS: what a capture of the wrong host holds."""
    http = Talk(client_port=50_001).open().send(CLIENT, b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
    http.send(SERVER, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").fin(CLIENT)
    hello = b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03" + bytes(range(32)) + b"\x00\x00\x02\x13\x01\x01\x00"
    tls = Talk(port=443, client_port=50_002, time=http.time).open().send(CLIENT, hello).segment(SERVER, "A").fin(CLIENT)
    ethernet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    question = DNS(id=7, rd=1, qd=DNSQR(qname="example.com"))
    dns = ethernet / IP(src="192.0.2.10", dst="192.0.2.53", id=1) / UDP(sport=50_003, dport=53) / question
    dns.time = tls.time
    return [*http.packets, *tls.packets, dns]


BUILT: dict[str, Callable[[], list[Packet]]] = {
    "unmasked-client.pcap": unmasked_client,
    "crossing-closes.pcap": crossing_closes,
    "interleaved-fragments.pcap": interleaved_fragments,
    "conflicting-copies.pcap": conflicting_copies,
    "lost-segment.pcap": lost_segment,
    "port-reuse.pcap": port_reuse,
    "vxlan.pcap": vxlan,
    "no-websocket.pcap": no_websocket,
}


def build(folder: Path) -> list[Path]:
    """Write every built sample into `folder`."""
    paths = []
    for name, packets in BUILT.items():
        path = folder / name
        with PcapWriter(str(path), linktype=1, endianness="<", sync=True) as writer:
            writer.write(packets())
        paths.append(path)
    return paths


if __name__ == "__main__":
    print(*build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent), sep="\n")
