"""Make a big capture of which everything is known.

    python benchmarks/generate.py chat  chat.pcap               5 million packets, 50,000 connections
    python benchmarks/generate.py feed  feed.pcap  --scale 0.1
    python benchmarks/generate.py noise noise.pcap --seed 7

Writes the capture and, beside it, `chat.pcap.truth.json`: what an audit must find, to the frame. Same arguments, same bytes.

    chat    short JSON texts both ways between many clients and a few servers; pings, binary, fragments, and some large messages
    feed    200 connections on which a server sends 1-16 kB messages in trains of full segments
    noise   chat, and four times as many packets of HTTP, TLS, DNS, QUIC and ARP around it

`--scale` multiplies the number of connections; of `feed`, the messages of each.

The TCP is lively: IPv4, IPv6 and VLANs, sequence numbers near the wrap, frames cut anywhere by segments and several in one,
retransmissions (also cut differently), segments that overtake each other and even the ACK for them, keep-alive probes, 4-tuples
used again, requests in two pieces, a first frame in the segment of the 101. No byte is missing. Checksums are zero.
Connections end in every way: both Closes, one Close, FIN or RST without a Close, in the middle of a frame, not at all.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any

CLIENT, SERVER = 0, 1
DIRECTIONS = ("c2s", "s2c")
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

CONNECTIONS = {"chat": 50_000, "feed": 200, "noise": 6_000}
FEED_MESSAGES = 1_180
OPEN_AT_ONCE = 2_000
NOISE_FLOWS = 600
NOISE_SHARE = 0.8

START = 1_700_000_000_000_000  # microseconds
MEAN_STEP = 20  # microseconds from one packet to the next

# (code, reason, weight): what closes are sent with.
CLOSES: list[tuple[int | None, str, float]] = [
    (1000, "", 60),
    (1000, "done", 4),
    (1001, "", 20),
    (1001, "tab closed \N{CHECK MARK}", 2),
    (None, "", 4),
    (1011, "internal error", 3),
    (1008, "policy", 1),
    (1009, "too big", 1),
    (1002, "", 0.7),
    (1003, "", 0.4),
    (1012, "restart", 0.9),
    (1013, "", 0.4),
    (3000, "", 0.4),
    (4000, "app", 0.8),
    (4001, "token expired", 0.9),
    (4400, "", 0.5),
]
# (what a chat does next, weight)
ACTS = {
    "text": 82.0,
    "burst": 6.0,
    "ping": 4.0,
    "binary": 3.5,
    "fragments": 1.5,
    "large": 1.5,
    "huge": 0.02,
    "keep-alive": 0.28,
    "stray control": 1.2,
}
NOT_UTF8 = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x28\xa1")
WORDS = [
    "order",
    "price",
    "update",
    "joined",
    "left",
    "channel",
    "status",
    "online",
    "trade",
    "volume",
    "bid",
    "ask",
    "quote",
    "reply",
]
FOREIGN = ["über", "你好", "こんにちは", "😀", "🚀📈", "привет", "€99", "café"]


# -- content -----------------------------------------------------------------------------------------------------------


def json_text(random: Random, size: int) -> bytes:
    """A JSON object of about `size` bytes of UTF-8, one of seven not only ASCII."""
    words = WORDS + FOREIGN * 2 if random.random() < 0.15 else WORDS
    body = f'{{"id":{random.randrange(10**9)},"at":{random.randrange(10**12)},"body":"'.encode()
    while len(body) < size - 2:
        body += random.choice(words).encode() + b" "
    return body + b'"}'


class Content:
    """Ready-made payloads: making each one anew would take longer than all the rest."""

    def __init__(self, seed: int) -> None:
        random = Random(f"content {seed}")
        self.small = [json_text(random, round(min(400, max(40, random.lognormvariate(4.8, 0.6))))) for _ in range(4096)]
        self.large = [json_text(random, random.randrange(1024, 16384)) for _ in range(256)]
        self.bytes = random.randbytes(4 << 20)

    def blob(self, random: Random, size: int) -> bytes:
        """`size` random bytes."""
        at = int(random.random() * (len(self.bytes) - size))
        return self.bytes[at : at + size]


# -- truth -------------------------------------------------------------------------------------------------------------


@dataclass
class Truth:
    """What is in the capture."""

    connections: int = 0
    frames: tuple[Counter[int], Counter[int]] = field(default_factory=lambda: (Counter(), Counter()))
    payload_bytes: list[int] = field(default_factory=lambda: [0, 0])
    message_bytes: list[int] = field(default_factory=lambda: [0, 0])
    messages: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    close_frames: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    first_close_code: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Frames, bytes and messages are complete ones. `endings`: clean, no_reply (one Close only), rst, fin, vanish (still
        open), cut (RST inside a frame). `digest`: SHA-256 of the sorted `lines`, one for each connection: client address (hex),
        port, server address, port, frames and payload bytes c2s and s2c, first close codes, bad texts."""

        def by_direction(pair: Any) -> dict[str, Any]:
            return dict(zip(DIRECTIONS, pair, strict=True))

        named = ("fragmented_messages", "bad_utf8_messages", "unmasked_c2s_frames", "retransmits", "reordered", "keepalives")
        return {
            "connections": self.connections,
            "frames": by_direction({str(op): n for op, n in sorted(side.items())} for side in self.frames),
            "payload_bytes": by_direction(self.payload_bytes),
            "message_bytes": by_direction(self.message_bytes),
            "messages": by_direction({kind: side[kind] for kind in ("text", "binary")} for side in self.messages),
            "close_frames": by_direction(dict(sorted(side.items())) for side in self.close_frames),
            "first_close_code": dict(sorted(self.first_close_code.items())),
            "endings": dict(sorted(self.endings.items())),
            "incomplete_frames": self.endings["cut"],
            **{name: self.counts[name] for name in (*named, "reused_tuples", "noise_packets", "packets", "bytes")},
            "digest": hashlib.sha256("".join(sorted(self.lines)).encode()).hexdigest(),
        }


# -- TCP ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ends:
    """A 4-tuple and its VLAN (0: none). Addresses are 4 or 16 bytes."""

    client: bytes
    client_port: int
    server: bytes
    server_port: int
    vlan: int = 0


class Flow:
    """The packets of one TCP connection. `lively`: segments may come twice, late or in another order."""

    def __init__(self, random: Random, ends: Ends, counts: Counter[str], lively: bool = True) -> None:
        self.random, self.counts, self.lively = random, counts, lively
        self.v6 = len(ends.client) == 16
        self.mss = 1428 if self.v6 else 1448
        near_the_wrap = random.random() < 0.01
        self.seq = [2**32 - random.randrange(1, 3000) if near_the_wrap else random.getrandbits(32) for _ in DIRECTIONS]
        self.timestamps = b"\x01\x01\x08\x0a" + random.randbytes(8)
        self.packets = 0
        self.late: list[bytes | None] = [None, None]  # a segment of each side that its successor will overtake
        tag = struct.pack(">HH", 0x8100, ends.vlan) if ends.vlan else b""
        address, port = (ends.client, ends.server), (ends.client_port, ends.server_port)
        macs = (b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02")
        self.before, self.between = [], []  # the length field: the headers up to it, and from it to the sequence number
        for me, peer in ((CLIENT, SERVER), (SERVER, CLIENT)):
            ethernet = macs[peer] + macs[me] + tag
            addresses = address[me] + address[peer] + struct.pack(">HH", port[me], port[peer])
            if self.v6:
                self.before.append(ethernet + b"\x86\xdd\x60\0\0\0")
                self.between.append(b"\x06\x40" + addresses)
            else:
                self.before.append(ethernet + b"\x08\0\x45\0")
                self.between.append(b"\x40\0\x40\x06\0\0" + addresses)

    def segment(self, side: int, flags: int, payload: bytes = b"", seq: int | None = None, options: bytes = b"") -> bytes:
        """One segment; does not move the sequence number."""
        options = options or self.timestamps
        size = 20 + len(options) + len(payload) + (0 if self.v6 else 20)
        seq = self.seq[side] if seq is None else seq
        ack = self.seq[1 - side] if flags & ACK else 0
        tcp = struct.pack(">IIBBHI", seq, ack, 0x50 + (len(options) << 2), flags, 502, 0)
        self.packets += 1  # IPv4 numbers its packets: so a segment sent again is told from a packet captured twice
        ident = b"" if self.v6 else (self.packets & 0xFFFF).to_bytes(2, "big")
        return b"".join((self.before[side], size.to_bytes(2, "big"), ident, self.between[side], tcp, options, payload))

    def advance(self, side: int, count: int) -> None:
        self.seq[side] = (self.seq[side] + count) & 0xFFFFFFFF

    def open(self) -> Iterator[bytes]:
        options = b"\x02\x04\x05\xb4\x04\x02" + self.timestamps[2:] + b"\x01\x03\x03\x07"
        for side, flags in ((CLIENT, SYN), (SERVER, SYN | ACK)):
            yield self.segment(side, flags, options=options)
            self.advance(side, 1)
        yield self.segment(CLIENT, ACK)

    def write(self, side: int, data: bytes, cut: int = 0) -> list[bytes]:
        """One write of an application: its segments, and the ACKs for them. `cut`: the first segment has so many bytes."""
        random, seq = self.random, self.seq[side]
        borders = [0, *range(cut or min(self.mss, len(data)), len(data), self.mss), len(data)]
        pieces = [(seq + at & 0xFFFFFFFF, data[at:to]) for at, to in pairwise(borders)]
        out = [self.segment(side, PSH | ACK, piece, at) for at, piece in pieces]
        self.advance(side, len(data))
        late, self.late[side] = self.late[side], None
        if late is not None:
            out.insert(1, late)
        elif self.lively and random.random() < 0.006:
            if random.random() < 0.5:
                self._retransmit(side, pieces, out)
            else:
                self._reorder(side, out)
        acknowledge = self.segment(1 - side, ACK)
        if len(pieces) > 2:
            return [packet for i, each in enumerate(out) for packet in ((each, acknowledge) if i & 1 else (each,))]
        return [*out, acknowledge] if random.random() < 0.6 else out

    def _retransmit(self, side: int, pieces: list[tuple[int, bytes]], out: list[bytes]) -> None:
        self.counts["retransmits"] += 1
        i = self.random.randrange(len(pieces))
        at, again = pieces[i]
        if i + 1 < len(pieces) and self.random.random() < 0.5:  # the borders may lie elsewhere the second time
            again += pieces[i + 1][1][: self.random.randrange(self.mss)]
        out.append(self.segment(side, PSH | ACK, again, at))

    def _reorder(self, side: int, out: list[bytes]) -> None:
        self.counts["reordered"] += 1
        if len(out) == 1:
            self.late[side] = out.pop()
            return
        i = self.random.randrange(len(out) - 1)
        out[i], out[i + 1] = out[i + 1], out[i]

    def flush(self) -> list[bytes]:
        """What is still late."""
        out = [packet for packet in self.late if packet is not None]
        self.late = [None, None]
        return out

    def keep_alive(self, side: int) -> list[bytes]:
        self.counts["keepalives"] += 1
        probe = self.segment(side, ACK, b"\0", self.seq[side] - 1 & 0xFFFFFFFF)
        return [*self.flush(), probe, self.segment(1 - side, ACK)]

    def close(self, first: int) -> Iterator[bytes]:
        yield from self.flush()
        for side in (first, 1 - first):
            yield self.segment(side, FIN | ACK)
            self.advance(side, 1)
        yield self.segment(first, ACK)


# -- WebSocket ---------------------------------------------------------------------------------------------------------


def frame(opcode: int, payload: bytes, fin: bool, key: bytes | None) -> bytes:
    """A frame, masked with `key` unless that is None (RFC 6455 §5.2)."""
    size = len(payload)
    first, masked = opcode | fin << 7, 0 if key is None else 0x80
    if size < 126:
        header = struct.pack(">BB", first, masked | size)
    elif size < 1 << 16:
        header = struct.pack(">BBH", first, masked | 126, size)
    else:
        header = struct.pack(">BBQ", first, masked | 127, size)
    if key is None:
        return header + payload
    pad = int.from_bytes((key * (size // 4 + 1))[:size], "little")
    return header + key + (int.from_bytes(payload, "little") ^ pad).to_bytes(size, "little")


class Connection:
    """One WebSocket connection: makes its bytes and keeps its truth."""

    def __init__(self, random: Random, ends: Ends, truth: Truth, content: Content) -> None:
        self.random, self.ends, self.truth, self.content = random, ends, truth, content
        self.flow = Flow(random, ends, truth.counts)
        self.frames, self.bytes, self.bad_texts = [0, 0], [0, 0], 0
        self.close_codes = ["-", "-"]
        self.over = False

    def frame(self, side: int, opcode: int, payload: bytes, fin: bool = True, masked: bool | None = None) -> bytes:
        """A frame, counted."""
        self.truth.frames[side][opcode] += 1
        self.truth.payload_bytes[side] += len(payload)
        self.truth.message_bytes[side] += len(payload) if opcode < CLOSE else 0
        self.frames[side] += 1
        self.bytes[side] += len(payload)
        masked = side == CLIENT if masked is None else masked
        return frame(opcode, payload, fin, self.random.randbytes(4) if masked else None)

    def message(self, side: int, opcode: int, payload: bytes, masked: bool | None = None) -> bytes:
        """A message of one frame, counted."""
        self.truth.messages[side]["text" if opcode == TEXT else "binary"] += 1
        return self.frame(side, opcode, payload, masked=masked)

    def say(self, side: int, opcode: int, payload: bytes) -> list[bytes]:
        """The segments of a message of its own."""
        return self.flow.write(side, self.message(side, opcode, payload))

    def small(self) -> bytes:
        return self.random.choice(self.content.small)

    def upgrade(self, host: str, target: str, first: bytes = b"") -> Iterator[bytes]:
        """TCP's handshake and the opening handshake. `first`: what the server sends together with the 101."""
        random = self.random
        key = base64.b64encode(random.randbytes(16)).decode()
        accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
        request = (
            f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n"
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0\r\n"
            f"Upgrade: websocket\r\nOrigin: http://{host}\r\nSec-WebSocket-Version: 13\r\nAccept-Language: en-GB,en;q=0.9\r\n"
            f"Accept-Encoding: gzip, deflate\r\nCookie: session={random.randbytes(16).hex()}\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        ).encode()
        response = (
            "HTTP/1.1 101 Switching Protocols\r\nServer: nginx/1.26.2\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
            f"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        ).encode()
        yield from self.flow.open()
        self.flow.lively = False
        yield from self.flow.write(CLIENT, request, cut=random.randrange(1, len(request)) if random.random() < 0.02 else 0)
        yield from self.flow.write(SERVER, response + first)
        self.flow.lively = True

    def end(self, server_code: int | None = None) -> Iterator[bytes]:
        """The end, by lot; or the server's Close with `server_code`."""
        random, flow = self.random, self.flow
        if server_code is None and random.random() < 0.05:
            yield from flow.flush()
            how = random.choices(("rst", "fin", "vanish", "cut"), (4, 3, 2, 1))[0]
            self._ended(how)
            if how == "rst":
                yield flow.segment(random.randrange(2), RST | ACK)
            elif how == "fin":
                yield from flow.close(random.randrange(2))
            elif how == "cut":
                whole = frame(TEXT, random.choice(self.content.large), True, None)
                yield from flow.write(SERVER, whole[: random.randrange(1, len(whole))])
                yield from flow.flush()
                yield flow.segment(CLIENT, RST)
            return
        side, code, reason = SERVER, server_code, ""
        if server_code is None:
            side = CLIENT if random.random() < 0.65 else SERVER
            code, reason, _ = random.choices(CLOSES, [weight for *_, weight in CLOSES])[0]
        body = b"" if code is None else struct.pack(">H", code) + reason.encode()
        yield from self._close(side, body)
        answered = random.random() < 0.97
        if answered:
            yield from self._close(1 - side, body[:2])
        self.truth.first_close_code[self.close_codes[side]] += 1
        self._ended("clean" if answered else "no_reply")
        yield from flow.close(SERVER)

    def _close(self, side: int, body: bytes) -> list[bytes]:
        code = str(int.from_bytes(body[:2], "big")) if body else "none"
        self.close_codes[side] = code
        self.truth.close_frames[side][code] += 1
        return self.flow.write(side, self.frame(side, CLOSE, body))

    def _ended(self, how: str) -> None:
        self.over = how != "vanish"
        self.truth.endings[how] += 1
        if how in ("rst", "fin", "vanish", "cut"):
            self.truth.first_close_code["-"] += 1
        self.truth.counts["bad_utf8_messages"] += self.bad_texts
        ends = self.ends
        fields = (ends.client.hex(), ends.client_port, ends.server.hex(), ends.server_port, *self.frames, *self.bytes)
        self.truth.lines.append(" ".join(map(str, (*fields, *self.close_codes, self.bad_texts))) + "\n")


# -- scenarios ---------------------------------------------------------------------------------------------------------


def chat(connection: Connection) -> Iterator[bytes]:
    """A client of a chat: about 48 acts of either side."""
    c, random, flow = connection, connection.random, connection.flow
    first = c.message(SERVER, TEXT, c.small()) if random.random() < 0.05 else b""
    yield from c.upgrade("chat.example.com", f"/ws?room={random.randrange(5000)}", first)
    todo = int(random.lognormvariate(3.38, 1.0)) + 1
    spoiled = random.randrange(todo) if random.random() < 0.005 else -1
    unmasked = random.randrange(todo) if random.random() < 0.001 else -1
    acts = random.choices(list(ACTS), list(ACTS.values()), k=todo)
    for i, act in enumerate(acts):
        side = CLIENT if random.random() < 0.42 else SERVER
        if i == spoiled:
            text = c.small()
            c.bad_texts += 1
            yield from c.say(CLIENT, TEXT, text[:20] + random.choice(NOT_UTF8) + text[20:])
            yield from c.end(server_code=1007)
            return
        if i == unmasked:
            c.truth.counts["unmasked_c2s_frames"] += 1
            yield from flow.write(CLIENT, c.message(CLIENT, TEXT, c.small(), masked=False))
        elif act == "text":
            cut = random.randrange(1, 8) if random.random() < 0.004 else 0
            yield from flow.write(side, c.message(side, TEXT, c.small()), cut)
        else:
            yield from RARE_ACTS[act](c, side)
    yield from c.end()


def burst(c: Connection, side: int) -> Iterator[bytes]:
    yield from c.flow.write(side, b"".join(c.message(side, TEXT, c.small()) for _ in range(c.random.randrange(2, 6))))


def ping(c: Connection, side: int) -> Iterator[bytes]:
    payload = c.random.randbytes(4)
    yield from c.flow.write(SERVER, c.frame(SERVER, PING, payload))
    yield from c.flow.write(CLIENT, c.frame(CLIENT, PONG, payload))


def fragments(c: Connection, side: int) -> Iterator[bytes]:
    random = c.random
    text = c.small() if random.random() < 0.8 else random.choice(c.content.large)
    borders = [0, *sorted(random.randrange(len(text) + 1) for _ in range(random.randrange(1, 4))), len(text)]
    pieces = [text[at:to] for at, to in pairwise(borders)]
    frames = [c.frame(side, CONTINUATION if i else TEXT, each, i == len(pieces) - 1) for i, each in enumerate(pieces)]
    if random.random() < 0.2:
        frames.insert(1, c.frame(side, PING, b"beat"))
    c.truth.messages[side]["text"] += 1
    c.truth.counts["fragmented_messages"] += 1
    for write in frames if random.random() < 0.5 else [b"".join(frames)]:
        yield from c.flow.write(side, write)


RARE_ACTS: dict[str, Callable[[Connection, int], Iterator[bytes]]] = {
    "burst": burst,
    "ping": ping,
    "fragments": fragments,
    "binary": lambda c, side: iter(c.say(side, BINARY, c.content.blob(c.random, c.random.randrange(300)))),
    "large": lambda c, side: iter(c.say(side, TEXT, c.random.choice(c.content.large))),
    "huge": lambda c, side: iter(c.say(side, BINARY, c.content.blob(c.random, c.random.randrange(65536, 120000)))),
    "keep-alive": lambda c, side: iter(c.flow.keep_alive(side)),
    "stray control": lambda c, side: iter(c.flow.write(side, c.frame(side, c.random.choice((PING, PONG)), b""))),
}


def feed(connection: Connection, messages: int) -> Iterator[bytes]:
    """A subscriber: the server talks, the client confirms now and then."""
    c, random, flow = connection, connection.random, connection.flow
    yield from c.upgrade("feed.example.com", "/stream")
    yield from c.say(CLIENT, TEXT, b'{"op":"subscribe","topics":["a","b","c"]}')
    for i in range(1, messages + 1):
        if i % 100 == 0:
            yield from flow.write(SERVER, c.frame(SERVER, PING, b"%08d" % i))
            yield from flow.write(CLIENT, c.frame(CLIENT, PONG, b"%08d" % i))
        if i % 20 == 0:
            yield from c.say(CLIENT, TEXT, b'{"op":"seen","upto":%d}' % i)
        if random.random() < 0.2:
            yield from c.say(SERVER, BINARY, c.content.blob(random, random.randrange(1024, 16384)))
        else:
            yield from c.say(SERVER, TEXT, random.choice(c.content.large))
    yield from c.end()


def other_traffic(random: Random, content: Content) -> Iterator[bytes]:
    """One exchange that is not WebSocket."""
    client, server = b"\x0a" + random.randbytes(3), b"\xc6\x33" + random.randbytes(2)
    port = random.randrange(32768, 61000)
    kind = random.choices(("dns", "quic", "arp", "tls", "http"), (22, 8, 2, 38, 30))[0]
    if kind == "arp":
        yield b"\xff" * 6 + b"\x02\0\0\0\0\x01\x08\x06\0\x01\x08\0\x06\x04\0\x01\x02\0\0\0\0\x01" + client + b"\0" * 6 + server
    elif kind == "dns":
        question = b"\x03www\x08%08d\x03com\0\0\1\0\1" % random.randrange(10**8)
        ident = random.randbytes(2)
        yield datagram(client, port, server, 53, ident + b"\1\0\0\1\0\0\0\0\0\0" + question)
        answer = b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4" + server
        yield datagram(server, 53, client, port, ident + b"\x81\x80\0\1\0\1\0\0\0\0" + question + answer)
    elif kind == "quic":
        for _ in range(random.randrange(20, 200)):
            if random.random() < 0.7:
                yield datagram(server, 443, client, port, b"\x52" + content.blob(random, 1199))
            else:
                yield datagram(client, port, server, 443, b"\x52" + content.blob(random, random.randrange(40, 200)))
    else:
        server_port = 443 if kind == "tls" else random.choice((80, 80, 80, 8080))
        flow = Flow(random, Ends(client, port, server, server_port), Counter(), lively=False)
        if random.random() < 0.9:  # the others are seen from the middle
            yield from flow.open()
        yield from (tls if kind == "tls" else http)(random, content, flow)
        if random.random() < 0.9:
            yield from flow.close(random.randrange(2))


def datagram(source: bytes, source_port: int, destination: bytes, port: int, data: bytes) -> bytes:
    """A UDP packet over IPv4."""
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(data), 0, 0, 64, 17, 0) + source + destination
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0" + ip + struct.pack(">HHHH", source_port, port, 8 + len(data), 0) + data


def tls(random: Random, content: Content, flow: Flow) -> Iterator[bytes]:
    """What looks like TLS records."""
    yield from flow.write(CLIENT, b"\x16\x03\x01\x02\x00" + content.blob(random, 512))
    yield from flow.write(SERVER, b"\x16\x03\x03\x10\x00" + content.blob(random, 4096))
    for _ in range(int(random.lognormvariate(1.5, 1.0))):
        yield from flow.write(CLIENT, b"\x17\x03\x03\x01\x2c" + content.blob(random, 300))
        size = min(16384, int(random.lognormvariate(8.5, 1.2)))
        yield from flow.write(SERVER, b"\x17\x03\x03" + struct.pack(">H", size) + content.blob(random, size))


def http(random: Random, content: Content, flow: Flow) -> Iterator[bytes]:
    """Some requests and their answers."""
    for _ in range(random.randrange(1, 6)):
        request = f"GET /api/items/{random.randrange(10**6)} HTTP/1.1\r\nHost: www.example.com\r\nAccept: */*\r\n\r\n"
        yield from flow.write(CLIENT, request.encode())
        size = min(400_000, int(random.lognormvariate(8.5, 2.0)))
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
        yield from flow.write(SERVER, head.encode() + content.blob(random, size))


# -- the whole ---------------------------------------------------------------------------------------------------------


class Generator:
    """All packets of a scenario; `truth` is complete when they have been drawn."""

    def __init__(self, scenario: str, scale: float, seed: int) -> None:
        self.scenario, self.seed = scenario, seed
        self.truth, self.content = Truth(), Content(seed)
        self.random = Random(f"{scenario} {seed}")
        self.total = CONNECTIONS[scenario] if scenario == "feed" else max(1, round(CONNECTIONS[scenario] * scale))
        self.messages = max(1, round(FEED_MESSAGES * scale))
        self.at_once = self.total if scenario == "feed" else max(10, min(OPEN_AT_ONCE, self.total // 25))
        self.finished: list[Ends] = []

    def connections(self) -> Iterator[Iterator[bytes]]:
        """The packets of one connection after the other."""
        for number in range(self.total):
            self.truth.connections += 1
            random = Random(f"{self.scenario} {self.seed} {number}")
            yield self._remembered(Connection(random, self.ends(number), self.truth, self.content))

    def _remembered(self, connection: Connection) -> Iterator[bytes]:
        yield from feed(connection, self.messages) if self.scenario == "feed" else chat(connection)
        if connection.over:
            self.finished.append(connection.ends)

    def ends(self, number: int) -> Ends:
        """A fresh 4-tuple, or now and then one whose connection is over."""
        random = self.random
        if len(self.finished) > 50 and random.random() < 0.005:
            self.truth.counts["reused_tuples"] += 1
            return self.finished.pop(random.randrange(len(self.finished)))
        host, port = divmod(number, 400)
        vlan = random.choice((10, 20, 30)) if random.random() < 0.1 else 0
        client_port, server_port = 32768 + port * 61, random.choice((80, 3000, 8080, 9001))
        if random.random() < 0.1:
            network = bytes.fromhex("20010db8")
            client, server = network + (host + 1).to_bytes(12, "big"), network + b"\xff" * 11 + b"\x10"
        else:
            client, server = b"\x0a" + (host + 257).to_bytes(3, "big"), b"\xc0\0\x02" + bytes([10 + host % 4])
        return Ends(client, client_port, server, server_port, vlan)

    def packets(self) -> Iterator[bytes]:
        """All packets, those of the open connections mixed."""
        random, truth = self.random, self.truth
        waiting = self.connections()
        going = list(islice(waiting, self.at_once))
        around = [other_traffic(random, self.content) for _ in range(NOISE_FLOWS if self.scenario == "noise" else 0)]
        train = 12 if self.scenario == "feed" else 1  # at most so many packets of one connection in a row
        while going:
            if around and truth.connections < self.total and random.random() < NOISE_SHARE:
                at = int(random.random() * len(around))
                packet = next(around[at], None)
                if packet is None:
                    around[at] = other_traffic(random, self.content)
                else:
                    truth.counts["noise_packets"] += 1
                    yield packet
                continue
            at = int(random.random() * len(going))
            for _ in range(int(random.random() * train) + 1):
                packet = next(going[at], None)
                if packet is not None:
                    yield packet
                    continue
                successor = next(waiting, None)
                if successor is not None:
                    going[at] = successor
                else:
                    going[at] = going[-1]
                    going.pop()
                break


def write(path: Path, generator: Generator) -> None:
    """The capture: pcap, microseconds, little endian, Ethernet."""
    random, truth = Random(generator.seed), generator.truth
    time = START
    with path.open("wb", buffering=1 << 20) as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for packet in generator.packets():
            time += int(random.random() * 2 * MEAN_STEP) + 1
            size = len(packet)
            file.write(struct.pack("<IIII", time // 1_000_000, time % 1_000_000, size, size) + packet)
            truth.counts["packets"] += 1
            truth.counts["bytes"] += size


def generate(scenario: str, path: Path, scale: float = 1.0, seed: int = 1) -> dict[str, Any]:
    """Write the capture to `path` and its truth beside it; return the truth."""
    generator = Generator(scenario, scale, seed)
    write(path, generator)
    truth = {"scenario": scenario, "scale": scale, "seed": seed, **generator.truth.to_dict()}
    Path(f"{path}.truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    return truth


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenario", choices=CONNECTIONS)
    parser.add_argument("path", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    truth = generate(options.scenario, options.path, options.scale, options.seed)
    print(f"{options.path}: {truth['packets']:,} packets, {truth['bytes']:,} bytes, {truth['connections']:,} connections")


if __name__ == "__main__":
    main()
