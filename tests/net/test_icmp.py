"""ICMP errors belong to the connection that they are about (RFC 792, RFC 4443)."""

from __future__ import annotations

from typing import Any

import pytest
import wire
from wire import C, S

from wsaudit.engine import Pass
from wsaudit.net.icmp import read_icmp
from wsaudit.session import Session

QUOTED4 = wire.tcp(("10.0.0.2", 80), ("10.0.0.1", 40000), 1, 1, 16, b"data")[:28]
QUOTED6 = wire.tcp(("fd00::2", 80), ("fd00::1", 40000), 1, 1, 16, b"data")[:48]


def icmp4(kind: int, code: int, quoted: bytes = QUOTED4) -> bytes:
    return wire.ip("10.0.0.9", "10.0.0.2", 1, bytes((kind, code)) + bytes(6) + quoted)


def icmp6(kind: int, code: int, quoted: bytes = QUOTED6) -> bytes:
    return wire.ip("fd00::9", "fd00::2", 58, bytes((kind, code)) + bytes(6) + quoted)


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (icmp4(3, 1), "host unreachable"),
        (icmp4(3, 4), "fragmentation needed (path MTU)"),
        (icmp4(3, 200), "unreachable, code 200"),
        (icmp4(11, 0), "time to live exceeded"),
        (icmp6(1, 4), "port unreachable"),
        (icmp6(1, 99), "unreachable, code 99"),
        (icmp6(2, 0), "packet too big (path MTU)"),
        (icmp6(3, 0), "hop limit exceeded"),
    ],
)
def test_errors(packet: bytes, words: str) -> None:
    found = read_icmp(packet, packet[0] >> 4)
    assert found is not None
    assert (found[0], found[2], found[4]) == (words, 80, 40000)
    for keep in range(len(packet)):
        shorter = read_icmp(packet[:keep], packet[0] >> 4)
        assert shorter is None or keep >= len(packet) - 4


@pytest.mark.parametrize("packet", [icmp4(8, 0), icmp4(0, 0), icmp6(128, 0), icmp4(3, 1, bytes(28)), icmp4(3, 1, b"")])
def test_what_is_no_error_about_tcp(packet: bytes) -> None:
    assert read_icmp(packet, packet[0] >> 4) is None


@pytest.mark.parametrize("v6", [False, True])
def test_an_error_reaches_its_connection(v6: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: dict[str, Any] = {"client": ("fd00::1", 40000), "server": ("fd00::2", 80)} if v6 else {}
    talk = wire.Conversation(**ends).open().upgrade().text(S, "x")
    talk.packets.append(wire.Packet(talk.time, wire.link(icmp6(1, 3) if v6 else icmp4(3, 1))))
    talk.packets.append(wire.Packet(talk.time, wire.link(icmp6(1, 3, QUOTED4) if v6 else icmp4(3, 1, QUOTED6))))  # of nobody
    talk.fin(C).fin(S)
    sessions: list[Session] = []
    monkeypatch.setattr(Pass, "session_over", lambda self, session: sessions.append(session))
    from wsaudit.engine import run
    from wsaudit.options import Options

    run([talk.pcap()], Options())
    [session] = sessions
    [(_, packet, words)] = session.icmp
    assert (packet, words) == (7, "address unreachable" if v6 else "host unreachable")
