"""Connections that open and end like others, or differ from them in one or two things; and an audit of them in both ways: with
those like others told from memory (kernel/ordinary.py), and with every one followed by a Pipeline from its first packet on."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from io import StringIO
from itertools import pairwise
from typing import Any, NamedTuple, Self
from unittest.mock import patch

import wire
from termination.endings import CHROMIUM
from wire import C, S

from wsaudit import engine
from wsaudit.engine import run
from wsaudit.options import Limits, Options
from wsaudit.report.json_format import write_json
from wsaudit.report.records import Records
from wsaudit.report.text import render_text

Packet = tuple[int, bytes, int]  # time, bytes, how many of them the capture cut off


class Talk(NamedTuple):
    """What one connection is like. The defaults are those of a connection in which all is as usual; OTHERS has what else a
    field may be."""

    agent: str | None = None
    server: str | None = None
    target: str = "/chat?id={}"
    key: str = "own"
    cookie: str | None = None
    request: tuple[tuple[str, str], ...] = ()
    answer: tuple[tuple[str, str], ...] = ()
    opening: str = "usual"
    ends: str = "v4"
    body: str = "text"
    before: float = 0  # seconds before the first Close
    closes: str = "CS"  # who sends Closes; small letters: without having seen the one before
    codes: tuple[int | None, int | None] = (1000, 1000)
    reasons: tuple[bytes, bytes] = (b"", b"")
    pause: float = 0  # between the Closes
    after: str = ""
    linger: float = 0  # before TCP ends
    tcp: str = "SCs"  # FINs of server and client, then the ACK of the server's side; "-": RST of the side before it
    network: str = ""
    where: int = -4  # packet that the network did something to
    keep: int | None = None  # packets of it that the capture holds


OTHERS: dict[str, Sequence[Any]] = {
    "agent": (CHROMIUM, "Python/3.12 websockets/15.0", "Mozilla/5.0", "curl/8"),
    "server": ("Python/3.12 websockets/15.0", "nginx/1.27", "uvicorn"),
    "target": (
        *("/", "/chat", "/chat?id=", "/chat?id", "/chat?id={}&x=1", "/chat?x={}", "/chat?token=s{}", "/a:b?id={}", "/a#b?id={}"),
        *("/chat?id={}#b", "/caf\xe9?id={}", "/chat?id=\xe9{}", "/chat?id={}&id=", "/chat?a:b={}", "//host/chat?id={}", "*"),
        *("/chat?EIO=4&id={}", "/EIO={}", "/chat?id={}?", "/chat?id=a=b{}", "/ws/{}?id=1", "http://h/chat?id={}", "chat?id={}"),
    ),
    "key": ("odd", "short", "wrong accept", "repeated", "other base64"),
    "cookie": ("a={}", "a={}; b=2", "a  {}", "\xe9{}", ""),
    "request": (
        (("Sec-WebSocket-Extensions", "permessage-deflate"),),
        (("Sec-WebSocket-Protocol", "chat"),),
        (("X-Request-Id", "{}"),),
        (("Origin", "http://example.com"),),
        (("Authorization", "Bearer s{}"),),
        (("Host", "other.example"),),
        (("Connection", "keep-alive, Upgrade"),),
        (("Sec-WebSocket-Version", "8"),),
        (("Content-Length", "0"),),
    ),
    "answer": (
        (("Date", "Sun, 22 Nov 2026 10:58:{:02} GMT"),),
        (("Set-Cookie", "s={}"),),
        (("Upgrade", "WebSocket"),),
        (("Connection", "close"),),
        (("Sec-WebSocket-Protocol", "chat"),),
        (("Content-Length", "0"),),
        (("X-Odd", "{}"),),
    ),
    "opening": (
        *("request in two", "request in pieces", "half a request", "answer before the rest", "answer in two"),
        *( "one with the answer", "two with the answer", "Close with the answer"),
        *("part with the answer", "with the request", "before the answer", "answer not acknowledged", "103 first", "GET first"),
        *("refused", "never answered", "POST", "HTTP/1.0", "old clock", "SYN lost", "SYN-ACK lost"),
        *("asked after two hours", "asked after a day", "asked by the server", "asked twice", "asked by both"),
    ),
    "ends": ("v6", "same address", "same client", "to itself"),
    "body": (
        *("", "binary", "ping of client", "ping of server", "pings of both", "unanswered ping", "unanswered ping of server"),
        *("late pong", "quick pong", "pongs in one", "pong for nothing", "two pongs for nothing", "same pong again"),
        *("many pings", "regular pings", "missed pings", "ping answered after Close", "pongs late"),
        *("heartbeat", "unanswered heartbeat", "beat once", "constant", "fragments", "tiny fragments", "open fragments"),
        *("bad text", "cut text", "bad text in pieces", "unmasked", "masked by server", "reserved", "reserved bit", "long form"),
        *("zero key", "same keys", "counting keys", "long ping", "large", "huge", "huge before", "other shapes"),
        *("frame without end", "header without end", "byte by byte", "quiet", "half quiet", "zero window", "continuation"),
    ),
    "before": (0.3, 0.9, 1.5, 9.99, 10, 10.1, 12, 30, 59, 60, 61, 350),
    "closes": ("SC", "Cs", "Sc", "C", "S", "", "CCS", "CSC", "SCS", "SCC", "Css"),
    "codes": (
        *((None, None), (1001, 1001), (1002, 1002), (1003, 1003), (1005, 1005), (1006, 1006), (1007, 1007), (1008, 1008)),
        *((1009, 1009), (1010, 1010), (1011, 1011), (1012, 1012), (1014, 1014), (1015, 1015), (999, 999), (2999, 2999)),
        *((3000, 3000), (3003, 3003), (3500, 3500), (4000, 4000), (4401, 4401), (4999, 4999), (5000, 5000), (0, 0)),
        *((65535, 65535), (1000, 1001), (1001, 1000), (None, 1000), (1000, None), (1000, 1002), (4000, 1000)),
    ),
    "reasons": (
        *((b"bye", b""), (b"", b"bye"), (b"bye", b"bye"), (b"error", b""), (b"", b"error: failed"), (b"\xc3\xa9", b"")),
        *((b"", b"\xc3\xa9"), (b"\xff", b""), (b"", b"\xff"), (b"Idle timeout", b""), (b"", b"Going away"), (b"x" * 123, b"")),
        *((b"x" * 124, b""), (b"", b"y" * 130), (b"at /srv/app.py line 3", b""), (b"", b"Bearer eyJhbGciOiJIUzI1NiJ9.e30.x")),
        (b"keepalive ping timeout", b""),
    ),
    "pause": (0.1, 0.9, 1.1, 1.9, 2.1, 5.5),
    "after": (
        *("text of client", "text of server", "ping of client", "ping of server", "pong of client", "Close of client"),
        *("byte of client", "byte of server", "keepalive", "FIN and text"),
    ),
    "linger": (0.2, 0.95, 1.1, 3, 12),
    "tcp": (
        *("", "S", "C", "SC", "CSc", "cs", "Sc", "Cs", "S-", "C-", "SC-", "SCS-", "SCsC-", "CS-", "SSC", "SCC", "S-C-", "c-s-"),
        "half",
    ),
    "network": (
        *("repeat", "late copy", "other copy", "swap", "lost", "late", "delayed", "lost for good", "cut", "cut off"),
        *("icmp", "icmp to server", "keepalive", "probe", "same instant", "back in time", "later", "much later"),
        *("doubled", "mirrored"),
    ),
    "keep": (3, 4, 5, 6, 7, 8, 9, 10, 12, -1, -2, -3),
}
PLACES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, -1, -2, -3, -4, -5, -6)


class Conversation(wire.Conversation):
    """With another masking key for each of the client's frames, as it has to be (RFC 6455 §5.3)."""

    def key(self) -> bytes:
        return hashlib.sha256(b"%d %d" % (self.ends[C][1], self.seq[C])).digest()[:4]

    def frame(self, side: int, opcode: int, payload: bytes = b"", **how: Any) -> Self:
        how.setdefault("mask", self.key() if side == C else None)
        return super().frame(side, opcode, payload, **how)


def play(talk: Talk, number: int) -> list[Packet]:
    """The connection as it was captured; `number` tells it from others."""
    clients = {"v6": "fd00::1", "same address": "10.0.0.2", "to itself": "10.0.0.2"}
    port = 80 if talk.ends == "to itself" else 2000 if talk.ends == "same client" else 10_000 + number
    server = ("fd00::2" if talk.ends == "v6" else "10.0.0.2", 80)
    isn = (1000 + number * 100_000, 4_294_967_000 + number)
    start = wire.START + number * wire.SECOND // 2
    made = Conversation(client=(clients.get(talk.ends, "10.0.0.1"), port), server=server, start=start, isn=isn)
    made.open().wait({"asked after two hours": 7200, "asked after a day": 86_400}.get(talk.opening, 0))
    opened(made, talk, number)
    if talk.opening not in ("refused", "never answered"):
        talked(made, talk.body)
        made.wait(talk.before)
        closed(made, talk)
        made.wait(talk.linger)
    ended(made, talk.tcp)
    packets = [(time, data, 0) for time, data in made.packets]
    damaged(packets, talk, made)
    if talk.opening == "SYN lost":
        del packets[0]
    elif talk.opening == "SYN-ACK lost":
        del packets[1]
    return packets[: talk.keep]


def opened(made: Conversation, talk: Talk, number: int) -> None:
    nonce = base64.b64encode(hashlib.sha256(b"%d" % number).digest()[:16]).decode()
    keys = {"odd": nonce[:21] + "B==", "short": "YWJj", "repeated": wire.KEY, "other base64": nonce[:4] + "-_" + nonce[6:]}
    key = keys.get(talk.key, nonce)
    headers = {name: value.format(number) for name, value in talk.request}
    headers |= {"User-Agent": talk.agent} if talk.agent else {}
    headers |= {} if talk.cookie is None else {"Cookie": talk.cookie.format(number)}
    target = talk.target.format(number)
    method = "POST" if talk.opening == "POST" else "GET"
    version = "HTTP/1.0" if talk.opening == "HTTP/1.0" else "HTTP/1.1"
    request = wire.request(target, {"Sec-WebSocket-Key": key, **headers}, method=method, version=version)
    answers = {name: value.format(number) for name, value in talk.answer}
    answers |= {"Server": talk.server} if talk.server else {}
    if talk.key == "wrong accept":
        answers["Sec-WebSocket-Accept"] = wire.accept(wire.KEY)
    answer = wire.response(headers=answers, key=key)
    text, early = wire.frame(wire.TEXT, b"welcome"), wire.frame(wire.TEXT, b"early", mask=wire.MASK)
    how = talk.opening
    if how == "GET first":
        made.send(C, wire.head("GET / HTTP/1.1", {"Host": "example.com"}))
        made.send(S, wire.response("200 OK", {"Content-Length": "2"}) + b"ok")
    if how == "asked by the server":
        made.send(S, request).send(C, answer)
        return
    half = (len(request) + 1) // 2
    size = {"request in two": half, "request in pieces": 50}.get(how)
    if how in ("half a request", "answer before the rest"):
        made.send(C, request[:half])
        if how == "half a request":
            return
        made.send(S, answer).send(C, request[half:])
        return
    made.send(C, request + (early if how == "with the request" else b""), size=size)
    if how == "never answered":
        return
    if how == "asked twice":
        made.send(C, request)
    elif how == "asked by both":
        made.send(S, request)
    if how == "before the answer":
        made.send(C, early)
    if how == "103 first":
        made.send(S, wire.response("103 Early Hints", {"Content-Length": None}))
    if how == "old clock":
        made.wait(-5)
    if how == "refused":
        made.send(S, wire.response("403 Forbidden"))
        return
    behind = {
        "one with the answer": text,
        "two with the answer": text + text,
        "part with the answer": text[:4],
        "Close with the answer": wire.frame(wire.CLOSE, wire.close_payload(talk.codes[0], talk.reasons[0])),
    }.get(how, b"")
    seen = made.seq[S]
    made.send(S, answer + behind, size=60 if how == "answer in two" else None)
    if how == "part with the answer":
        made.send(S, text[4:])
    if how == "answer not acknowledged":
        made.segment(C, early, 0x18, ack=seen)._advance(C, len(early))
    else:
        made.ack(C)


def talked(made: Conversation, body: str) -> None:
    """Messages, Pings and what is wrong with them."""
    key = int.from_bytes(made.key(), "little")
    if body:
        made.text(C, "hi").text(S, "hello").ack(C)
    match body:
        case "binary":
            made.binary(C, b"\0\1").binary(S, bytes(300))
        case "ping of client":
            made.ping(C, b"1").pong(S, b"1")
        case "ping of server":
            made.ping(S, b"1").pong(C, b"1")
        case "pings of both":
            made.ping(S, b"1").ping(C, b"2").pong(C, b"1").pong(S, b"2").wait(3).ping(S, b"3").pong(C, b"3")
        case "unanswered ping":
            made.ping(C, b"1").ack(S).wait(0.5)
        case "unanswered ping of server":
            made.ping(S, b"1").ack(C).wait(0.5)
        case "late pong":
            made.ping(C, b"1").wait(1.5).pong(S, b"1")
        case "quick pong":
            made.ping(C, b"1").pong(S, b"1").wait(0.5).ping(C, b"2").wait(0.1)
        case "pongs in one":
            made.ping(C, b"1").ping(C, b"2").pong(S, b"2")
        case "pongs late":
            made.ping(C, b"1").ping(C, b"2").pong(S, b"2").pong(S, b"1")
        case "pong for nothing":
            made.pong(C, b"x")
        case "two pongs for nothing":
            made.pong(S, b"x").pong(S, b"y")
        case "same pong again":
            made.ping(C, b"1").pong(S, b"1").pong(S, b"1")
        case "many pings":
            for _ in range(101):
                made.ping(C, b"1").pong(S, b"1")
        case "regular pings" | "missed pings":
            for _ in range(4):
                made.ping(C, b"1").pong(S, b"1").wait(0.6)
            made.wait(0.6 if body == "missed pings" else 0)
        case "heartbeat" | "unanswered heartbeat":
            for _ in range(3):
                made.text(C, '{"type":"ping"}')
                if body == "heartbeat":
                    made.text(S, '{"type":"pong"}')
                made.wait(1.5)
        case "beat once":
            made.text(S, "2").text(C, "3")
        case "constant":
            for _ in range(4):
                made.text(S, "tick").wait(1.2)
        case "fragments":
            made.text(C, "one", fin=False).continuation(C, "two")
        case "tiny fragments":
            made.text(C, "1", fin=False)
            for _ in range(70):
                made.continuation(C, "1", fin=False)
            made.continuation(C, "1")
        case "open fragments":
            made.text(S, "one", fin=False)
        case "bad text":
            made.text(C, b"\xff")
        case "cut text":
            made.text(S, b"\xc3")
        case "bad text in pieces":
            made.text(S, b"\xe2\x82", fin=False).continuation(S, b"\xff")  # type: ignore[arg-type]
        case "unmasked":
            made.text(C, "hi", mask=None)
        case "masked by server":
            made.text(S, "hi", mask=wire.MASK)
        case "reserved":
            made.frame(S, 3, b"?")
        case "reserved bit":
            made.text(C, "hi", rsv=2)
        case "long form":
            made.text(C, "hi", length_form=16)
        case "zero key":
            made.text(C, "hi", mask=bytes(4))
        case "same keys":
            made.text(C, "hi", mask=made.key()).text(C, "hi", mask=wire.MASK).text(C, "hi", mask=wire.MASK)
        case "counting keys":
            for step in range(1, 4):
                made.text(C, "hi", mask=(key + step & 0xFFFFFFFF).to_bytes(4, "little"))
        case "long ping":
            made.ping(S, bytes(126))
        case "large":
            made.binary(S, bytes(5000)).binary(C, bytes(2000))
        case "huge":
            made.binary(S, bytes(70_000)).binary(C, bytes(70_000))
        case "huge before":
            made.binary(S, bytes(70_000)).binary(C, bytes(70_000)).text(C, "so").text(S, "what")
        case "other shapes":
            made.binary(C, b"").text(S, "").binary(S, bytes(130)).ping(S).pong(C)
        case "frame without end":
            made.send(S, wire.frame(wire.TEXT, b"abc", length=9))
        case "header without end":
            made.send(C, b"\x81")
        case "byte by byte":
            made.send(S, wire.frame(wire.TEXT, b"slowly"), size=1)
        case "quiet":
            made.wait(61).text(S, "again")
        case "half quiet":
            made.wait(31).text(S, "again").wait(31).text(C, "yes")
        case "zero window":
            made.segment(C, window=0).wait(1).segment(C)
        case "continuation":
            made.continuation(C, "of nothing")


def closed(made: Conversation, talk: Talk) -> None:
    sent: dict[int, int] = {}  # sides that sent a Close: what the other knew before
    for letter in talk.closes:
        side = C if letter in "Cc" else S
        if talk.opening == "Close with the answer" and side == S:
            continue
        turn = min(len(sent), 1)
        body = wire.close_payload(talk.codes[turn], talk.reasons[turn])
        frame = wire.frame(wire.CLOSE, body, mask=made.key() if side == C else None)
        if sent:
            made.wait(talk.pause)
        knew = sent.get(1 - side, made.seq[1 - side]) if letter.islower() else made.seq[1 - side]
        sent.setdefault(side, made.seq[side])
        made.segment(side, frame, 0x18, ack=knew)._advance(side, len(frame))
    match talk.after:
        case "text of client":
            made.text(C, "more")
        case "text of server":
            made.text(S, "more")
        case "ping of client":
            made.ping(C, b"9")
        case "ping of server":
            made.ping(S, b"9").ack(C)
        case "pong of client":
            made.pong(C, b"1")
        case "Close of client":
            made.close(C, 1000)
        case "byte of client":
            made.send(C, b"\x81")
        case "byte of server":
            made.send(S, b"\0")
        case "keepalive":
            made.keep_alive(S).ack(C)
        case "FIN and text":
            made.fin(S).text(C, "more")
    made.ack(S if talk.closes[-1:] in ("C", "c") else C)


def ended(made: Conversation, tcp: str) -> None:
    if tcp == "half":
        made.fin(S).ack(C).wait(3).fin(C).ack(S)
        return
    seen = list(made.seq)
    for letter, following in pairwise(tcp + " "):
        if letter == "-":
            continue
        side = C if letter in "Cc" else S
        if following == "-":
            made.rst(side)
        elif letter.islower() and tcp[0] in "SC" and made.seq[side] != seen[side]:
            made.ack(side)
        else:
            made.segment(side, flags=wire.FIN | wire.ACK, ack=seen[1 - side] if letter.islower() else None)
            made._advance(side, 1)


def damaged(packets: list[Packet], talk: Talk, made: Conversation) -> None:
    """What the network, or the capture, did to one packet."""
    i = talk.where % len(packets)
    time, data, _ = packets[i]
    match talk.network:
        case "repeat":
            packets.insert(i + 1, (time + 300_000_000, data, 0))
        case "late copy":
            packets.append((packets[-1][0] + 1_000_000, data, 0))
        case "other copy":
            packets.insert(i + 1, (time + 10_000_000, data[:-1] + bytes((data[-1] ^ 1,)), 0))
        case "swap" if i:
            packets[i - 1 : i + 1] = [(packets[i - 1][0], data, 0), (time, packets[i - 1][1], 0)]
        case "lost" | "late" | "delayed":  # sent again, or captured late: after two, four, six other packets
            packets[i] = (time + {"lost": 2_500_000, "late": 4_500_000, "delayed": 6_500_000}[talk.network], data, 0)
            packets.sort(key=lambda packet: packet[0])
        case "lost for good":
            del packets[i]
        case "cut":
            packets[i] = (time, data[:-2], 2)
        case "cut off":
            packets[i] = (time, data[:54], len(data) - 54)
        case "icmp" | "icmp to server" if talk.ends == "v4":
            about = next(packet for _, packet, _ in packets if (packet[34:36] == b"\0\x50") == (talk.network == "icmp to server"))
            told = bytes((3, 1, 0, 0, 0, 0, 0, 0)) + about[14:42]
            packets.insert(i, (time, wire.link(wire.ip("10.0.0.9", "10.0.0.1", 1, told)), 0))
        case "keepalive" | "probe":
            made.packets.clear()
            made.time = packets[-1][0]
            made.keep_alive(C, b"" if talk.network == "probe" else b"\0").ack(S)
            packets += [(time, data, 0) for time, data in made.packets]
        case "same instant":
            packets[:] = [(time, data, 0) for _, data, _ in packets]
        case "back in time":
            packets[i:] = [(at - 2_000_000_000, each, 0) for at, each, _ in packets[i:]]
        case "later":
            packets[i:] = [(at + 1_200_000_000, each, 0) for at, each, _ in packets[i:]]
        case "much later":
            packets[i:] = [(at + 61_000_000_000, each, 0) for at, each, _ in packets[i:]]
        case "doubled":
            packets[:] = [packet for packet in packets for _ in (0, 1)]
        case "mirrored":
            packets.insert(i + 1, (time + 1000, data, 0))


def capture(talks: Iterable[Talk]) -> bytes:
    """All of them in one pcapng file, each half a second after the one before."""
    packets = sorted((packet for number, talk in enumerate(talks) for packet in play(talk, number)), key=lambda packet: packet[0])
    blocks = [wire.section(), wire.interface()]
    blocks += [wire.enhanced_packet(time, data, length=len(data) + cut) for time, data, cut in packets]
    return b"".join(blocks)


# -- both ways -------------------------------------------------------------------------------------------------------------------

WAYS = (Options(), Options(select=("CL", "HS-C")), Options(ignore=("HS", "CL-07", "PP")), Options(limits=Limits(findings=1)))


def told(data: bytes, options: Options) -> tuple[str, str, int]:
    """The JSON report, the text report, and how many connections were told from memory."""
    with patch.object(engine, "row", wraps=engine.row) as row:
        audit = run([data], options)
    remembered = len(audit.connections) - row.call_count
    records = Records(audit, options)
    write_json(records, stream := StringIO())  # nothing is redacted
    return stream.getvalue(), render_text(records), remembered


def check(talks: Sequence[Talk], options: Options = WAYS[0], together: int = 1) -> int:
    """Both ways tell the same. `together`: connections that are judged in one go, before which nothing is learned of their ends.
    Gives how many of them were told from memory."""
    data = capture(talks)
    with patch.object(engine, "TOGETHER", together):
        *found, remembered = told(data, options)
        with patch.object(engine, "Kinds", return_value=None):
            *expected, none = told(data, options)
    assert none == 0
    assert found == expected
    return remembered
