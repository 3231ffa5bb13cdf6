"""Bytes as they are on the wire, for every test: frames, heads, packets, whole conversations, capture files.

Nothing here imports wsaudit, so a test never checks a parser against itself.

    import wire
    from wire import C, S

    capture = (
        wire.Conversation(client=("10.0.0.1", 40000), server=("10.0.0.2", 80))
        .open().upgrade("/chat")
        .text(C, "hi").text(S, "hello").wait(20).ping(S, b"1").pong(C, b"1")
        .close(C, 1000, "bye").close(S, 1000)
        .fin(S).fin(C)
        .pcap()
    )

One call is one segment (or as many as the MSS asks for), and the ACK number in it is always up to date, so there are no
packets that a test did not write down. `drop()`, `swap()` and `repeat()` say what the network or the capture did to the last
packet. Raw bytes of any kind go through `send`, raw segments through `segment`.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

CLIENT = C = 0
SERVER = S = 1

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1, RSV2, RSV3 = 4, 2, 1
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND  # 2023-11-14T22:13:20Z
MASK = b"\x37\xfa\x21\x3d"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the nonce of RFC 6455 §1.3

Address = tuple[str, int]
Headers = Mapping[str, str | Sequence[str] | None]
UNCHANGED: Headers = {}


# -- frames ------------------------------------------------------------------------------------------------------------


def mask(payload: bytes, key: bytes = MASK) -> bytes:
    """Mask, or unmask, `payload` (RFC 6455 §5.3)."""
    return bytes(byte ^ key[i & 3] for i, byte in enumerate(payload))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = None,
    length_form: int | None = None,
    length: int | None = None,
) -> bytes:
    """One frame. `mask`: the four-byte key, or None for an unmasked frame. `length_form`: 7, 16 or 64 bits, by default the
    shortest. `length`: what the header declares when that is not `len(payload)`."""
    declared = len(payload) if length is None else length
    form = length_form or (7 if declared < 126 else 16 if declared < 1 << 16 else 64)
    masked = 0x80 if mask is not None else 0
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if form == 7:
        header = struct.pack(">BB", first, masked | declared)
    elif form == 16:
        header = struct.pack(">BBH", first, masked | 126, declared)
    else:
        header = struct.pack(">BBQ", first, masked | 127, declared)
    if mask is None:
        return header + payload
    return header + mask + _mask(payload, mask)


_mask = mask  # `frame` has a parameter of that name


def close_payload(code: int | None = None, reason: str | bytes = b"") -> bytes:
    """The body of a Close frame; empty without a code (RFC 6455 §5.5.1)."""
    raw = reason.encode() if isinstance(reason, str) else reason
    return b"" if code is None else struct.pack(">H", code) + raw


def deflate(payload: bytes, context: Any = None) -> bytes:
    """A message compressed for permessage-deflate (RFC 7692 §7.2.1). `context`: a raw `zlib.compressobj` that is kept from
    message to message, by default a fresh one."""
    context = context or zlib.compressobj(wbits=-15)
    compressed: bytes = context.compress(payload) + context.flush(zlib.Z_SYNC_FLUSH)
    return compressed[:-4]


# -- the opening handshake ---------------------------------------------------------------------------------------------


def accept(key: str = KEY) -> str:
    """The `Sec-WebSocket-Accept` that answers `key` (RFC 6455 §4.2.2)."""
    return base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()


def head(start_line: str, headers: Headers) -> bytes:
    """An HTTP head. A header whose value is a list gets several lines, one whose value is None gets none."""
    lines = [start_line]
    for name, value in headers.items():
        values = [] if value is None else [value] if isinstance(value, str) else value
        lines += [f"{name}: {each}" for each in values]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def request(target: str = "/", headers: Headers = UNCHANGED, *, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    """An upgrade request that breaks no rule, but for what `headers` adds, replaces or (None) removes."""
    default: Headers = {
        "Host": "example.com",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    return head(f"{method} {target} {version}", _changed(default, headers))


def response(status: str = "101 Switching Protocols", headers: Headers = UNCHANGED, *, key: str = KEY) -> bytes:
    """The answer to it: by default the 101 that accepts `key`; a bare head for any other status."""
    default: Headers = {"Content-Length": "0"}
    if status.startswith("101"):
        default = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept(key)}
    return head(f"HTTP/1.1 {status}", _changed(default, headers))


def _changed(default: Headers, changes: Headers) -> Headers:
    spelling = {name.lower(): name for name in default}
    return {**default, **{spelling.get(name.lower(), name): value for name, value in changes.items()}}


# -- packets -----------------------------------------------------------------------------------------------------------


class Packet(NamedTuple):
    """A captured packet: when (nanoseconds since the epoch), its bytes from the link layer on."""

    time: int
    data: bytes


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) & 1)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(
    source: str, destination: str, protocol: int, payload: bytes, *, ident: int = 0, fragment: int = 0, options: bytes = b""
) -> bytes:
    """An IPv4 or IPv6 packet, as the addresses say. IPv4 only: `fragment`, the flags-and-offset field, and `options`."""
    a, b = ipaddress.ip_address(source).packed, ipaddress.ip_address(destination).packed
    if len(a) == 16:
        return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + a + b + payload
    words = 5 + len(options) // 4
    size = 4 * words + len(payload)
    header = struct.pack(">BBHHHBBH", 0x40 | words, 0, size & 0xFFFF, ident, fragment, 64, protocol, 0) + a + b + options
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload


def tcp(
    source: Address,
    destination: Address,
    seq: int,
    ack: int,
    flags: int,
    payload: bytes = b"",
    *,
    window: int = 64240,
    options: bytes = b"",
) -> bytes:
    """A TCP segment in its IP packet. `options` is padded to four bytes."""
    options += b"\0" * (-len(options) % 4)
    numbers = (source[1], destination[1], seq & 0xFFFFFFFF, ack & 0xFFFFFFFF)
    header = struct.pack(">HHIIBBHHH", *numbers, (5 + len(options) // 4) << 4, flags, window, 0, 0)
    segment = header + options + payload
    addresses = b"".join(ipaddress.ip_address(end[0]).packed for end in (source, destination))
    pseudo = addresses + struct.pack(">II", len(segment), 6)
    segment = segment[:16] + struct.pack(">H", checksum(pseudo + segment)) + segment[18:]
    return ip(source[0], destination[0], 6, segment)


def udp(source: Address, destination: Address, payload: bytes) -> bytes:
    """A UDP datagram in its IP packet, without a checksum."""
    header = struct.pack(">HHHH", source[1], destination[1], 8 + len(payload), 0)
    return ip(source[0], destination[0], 17, header + payload)


LINK_TYPES = {"null": 0, "ethernet": 1, "ppp": 9, "raw": 101, "loop": 108, "sll": 113, "raw4": 228, "raw6": 229, "sll2": 276}


def link(packet: bytes, kind: str = "ethernet", *, vlans: Sequence[int] = (), side: int = CLIENT) -> bytes:
    """An IP packet in the link layer `kind` (a key of LINK_TYPES), sent by `side`. `vlans`: 802.1Q tags, outermost first."""
    v6 = packet[0] >> 4 == 6
    ethertype = struct.pack(">H", 0x86DD if v6 else 0x0800)
    tags = b"".join(struct.pack(">HH", 0x8100, vlan) for vlan in vlans)
    macs = (b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02")
    header = {
        "ethernet": macs[1 - side] + macs[side] + tags + ethertype,
        "null": struct.pack("<I", 10 if v6 else 2),
        "loop": struct.pack(">I", 24 if v6 else 2),
        "ppp": b"\xff\x03" + (b"\x00\x57" if v6 else b"\x00\x21"),
        "sll": struct.pack(">HHH", 4 * side, 1, 6) + macs[side] + b"\0\0" + tags + ethertype,
        "sll2": ethertype + struct.pack(">HIHBB", 0, 1, 1, 4 * side, 6) + macs[side] + b"\0\0",
    }
    return header.get(kind, b"") + packet


# -- conversations -----------------------------------------------------------------------------------------------------


class Conversation:
    """The packets of one TCP connection, built call by call; every method returns the conversation.

    `client`, `server`: (address, port), IPv4 or IPv6. `start`: time of the first packet (ns), `step`: time from each packet to
    the next (seconds). `isn`: initial sequence numbers of client and server. `kind`, `vlans`: the link layer, see `link`.
    `packets` is the list so far; `seq` the next sequence number of each side; `time` that of the next packet.
    """

    def __init__(
        self,
        client: Address = ("10.0.0.1", 40000),
        server: Address = ("10.0.0.2", 80),
        *,
        start: int = START,
        step: float = 0.001,
        isn: tuple[int, int] = (1000, 2000),
        mss: int = 1460,
        kind: str = "ethernet",
        vlans: Sequence[int] = (),
    ) -> None:
        self.ends = (client, server)
        self.time, self.step, self.mss = start, round(step * SECOND), mss
        self.seq = list(isn)
        self.kind, self.vlans = kind, vlans
        self.packets: list[Packet] = []

    # segments

    def segment(
        self,
        side: int,
        payload: bytes = b"",
        flags: int = ACK,
        *,
        seq: int | None = None,
        ack: int | None = None,
        window: int = 64240,
    ) -> Self:
        """One segment exactly as described; does not move the sequence number."""
        packet = tcp(
            self.ends[side],
            self.ends[1 - side],
            self.seq[side] if seq is None else seq,
            (self.seq[1 - side] if flags & ACK else 0) if ack is None else ack,
            flags,
            payload,
            window=window,
        )
        self.packets.append(Packet(self.time, link(packet, self.kind, vlans=self.vlans, side=side)))
        self.time += self.step
        return self

    def _advance(self, side: int, count: int) -> Self:
        self.seq[side] = (self.seq[side] + count) & 0xFFFFFFFF
        return self

    def open(self) -> Self:
        """SYN, SYN-ACK, ACK."""
        self.segment(CLIENT, flags=SYN)._advance(CLIENT, 1)
        self.segment(SERVER, flags=SYN | ACK)._advance(SERVER, 1)
        return self.ack(CLIENT)

    def send(self, side: int, data: bytes, *, size: int | None = None) -> Self:
        """`data` in segments of at most `size` bytes (default: the MSS)."""
        size = size or self.mss
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            self.segment(side, piece, PSH | ACK)._advance(side, len(piece))
        return self

    def ack(self, side: int) -> Self:
        """A pure ACK of all that the other side has sent."""
        return self.segment(side)

    def keep_alive(self, side: int, payload: bytes = b"\0") -> Self:
        """A TCP keep-alive probe: the byte before the next sequence number, or none (RFC 9293 §3.8.4)."""
        return self.segment(side, payload, seq=(self.seq[side] - 1) & 0xFFFFFFFF)

    def fin(self, side: int) -> Self:
        """A FIN; the other side's is its own call."""
        return self.segment(side, flags=FIN | ACK)._advance(side, 1)

    def rst(self, side: int) -> Self:
        """An RST."""
        return self.segment(side, flags=RST | ACK)

    def wait(self, seconds: float) -> Self:
        """Nothing happens for so long."""
        self.time += round(seconds * SECOND)
        return self

    # what happened to the packets

    def drop(self, count: int = 1) -> Self:
        """The last packets were sent but never captured."""
        del self.packets[len(self.packets) - count :]
        return self

    def swap(self) -> Self:
        """The last two packets came in the other order."""
        (t1, first), (t2, second) = self.packets[-2:]
        self.packets[-2:] = [Packet(t1, second), Packet(t2, first)]
        return self

    def repeat(self, count: int = 1) -> Self:
        """The last packet was sent again, `count` times."""
        for _ in range(count):
            self.packets.append(Packet(self.time, self.packets[-1].data))
            self.time += self.step
        return self

    # HTTP and WebSocket

    def upgrade(
        self,
        target: str = "/",
        request: Headers = UNCHANGED,
        response: Headers = UNCHANGED,
        *,
        key: str = KEY,
        after: bytes = b"",
    ) -> Self:
        """An accepted opening handshake. `request`, `response`: headers that differ; `after`: what follows the 101 at once."""
        self.send(CLIENT, _request(target, {"Sec-WebSocket-Key": key, **request}))
        return self.send(SERVER, _response(headers=response, key=key) + after)

    def frame(self, side: int, opcode: int, payload: bytes = b"", **how: Any) -> Self:
        """A frame, masked if the client sends it; `how` as in the function `frame` (`mask=None`: unmasked)."""
        how.setdefault("mask", MASK if side == CLIENT else None)
        return self.send(side, frame(opcode, payload, **how))

    def text(self, side: int, text: str | bytes, **how: Any) -> Self:
        return self.frame(side, TEXT, text.encode() if isinstance(text, str) else text, **how)

    def binary(self, side: int, payload: bytes, **how: Any) -> Self:
        return self.frame(side, BINARY, payload, **how)

    def continuation(self, side: int, payload: str | bytes, **how: Any) -> Self:
        return self.frame(side, CONTINUATION, payload.encode() if isinstance(payload, str) else payload, **how)

    def ping(self, side: int, payload: bytes = b"", **how: Any) -> Self:
        return self.frame(side, PING, payload, **how)

    def pong(self, side: int, payload: bytes = b"", **how: Any) -> Self:
        return self.frame(side, PONG, payload, **how)

    def close(self, side: int, code: int | None = None, reason: str | bytes = b"", **how: Any) -> Self:
        return self.frame(side, CLOSE, close_payload(code, reason), **how)

    # files

    def pcap(self, **how: Any) -> bytes:
        """The conversation as a pcap file; `how` as in the function `pcap`."""
        return pcap(self.packets, linktype=LINK_TYPES[self.kind], **how)

    def pcapng(self, **how: Any) -> bytes:
        """The conversation as a pcapng file; `how` as in the function `pcapng`."""
        return pcapng(self.packets, linktype=LINK_TYPES[self.kind], **how)


_request, _response = request, response  # `Conversation.upgrade` has parameters of these names


def merge(*conversations: Conversation) -> list[Packet]:
    """The packets of several conversations in the order of time."""
    return sorted((packet for each in conversations for packet in each.packets), key=lambda packet: packet.time)


# -- capture files -----------------------------------------------------------------------------------------------------


def pcap(
    packets: Iterable[Packet], *, linktype: int = 1, nanoseconds: bool = False, order: str = "<", snaplen: int = 262144
) -> bytes:
    """A pcap file. `order`: `<` or `>`, the writer's byte order. Packets are cut to `snaplen`."""
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, linktype)]
    for time, data in packets:
        cut = data[:snaplen]
        out += [struct.pack(order + "IIII", time // SECOND, time % SECOND // unit, len(cut), len(data)), cut]
    return b"".join(out)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    """A pcapng option."""
    return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block."""
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    """A pcapng Section Header Block of unknown section length."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(
    linktype: int = 1, *, resolution: int | None = 9, offset: int | None = None, snaplen: int = 0, order: str = "<"
) -> bytes:
    """An Interface Description Block. `resolution`: the if_tsresol byte, None for no option; `offset`: if_tsoffset."""
    options = b""
    if resolution is not None:
        options += option(9, bytes([resolution]), order)
    if offset is not None:
        options += option(14, struct.pack(order + "q", offset), order)
    options += option(0, b"", order) if options else b""
    return block(1, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order)


def enhanced_packet(ticks: int, data: bytes, *, interface: int = 0, length: int | None = None, order: str = "<") -> bytes:
    """An Enhanced Packet Block. `ticks` are in the interface's resolution; `length`: the original length."""
    length = len(data) if length is None else length
    fixed = struct.pack(order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), length)
    return block(6, fixed + data, order)


def secrets(keylog: bytes, order: str = "<") -> bytes:
    """A Decryption Secrets Block that holds a TLS key log."""
    return block(10, struct.pack(order + "II", 0x544C534B, len(keylog)) + keylog, order)


def pcapng(packets: Iterable[Packet], *, linktype: int = 1, order: str = "<", keylog: bytes | None = None) -> bytes:
    """A pcapng file of one section and one interface with nanoseconds."""
    out = [section(order), interface(linktype, order=order)]
    if keylog is not None:
        out.append(secrets(keylog, order))
    out += [enhanced_packet(time, data, order=order) for time, data in packets]
    return b"".join(out)
