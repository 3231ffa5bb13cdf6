"""One endpoint: its Closes, and who is told of its frames."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import wire
from kernel.sides import Listener, feed, parties
from wire import S


@pytest.fixture(params=["pure_kernel", "compiled_kernel"])
def kernel(request: pytest.FixtureRequest) -> SimpleNamespace:
    found: SimpleNamespace = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [(b"", None, b""), (b"\x03", None, b""), (b"\x03\xe8", 1000, b""), (b"\xff\xff\xff", 65535, b"\xff"), (None, None, b"")],
)
def test_what_a_close_says(kernel: SimpleNamespace, body: bytes | None, code: int | None, reason: bytes) -> None:
    close = kernel.party.CloseFrame(S, body, 5, 9, 7, 100, 107, 50)
    assert (close.code, close.reason, close.lost) == (code, reason, body is None)
    assert (close.side, close.length, close.end, close.acked, tuple(close.place)) == (S, 5, 107, 50, (9, 7, 100))
    assert kernel.party.code_of(close) == code
    assert kernel.party.code_of(None) is None


def test_the_first_closes_are_kept(kernel: SimpleNamespace) -> None:
    client, _ = parties(kernel)
    assert client.close is None
    for code in range(1000, 1020):
        client.take_close(code.to_bytes(2, "big"), 2, 8, 0)
    assert [close.code for close in client.closes] == [1000, 1001, 1002, 1003]
    assert client.close is client.closes[0]


def test_who_is_told(kernel: SimpleNamespace) -> None:
    """Pings and Pongs are paired without a call; of other control frames the listener is told."""
    client, server = parties(kernel)
    listener = Listener()
    kernel.party.introduce(client, server, listener)
    feed(kernel, client, wire.frame(wire.PING, b"1", mask=wire.MASK))
    feed(kernel, server, wire.frame(wire.PONG, b"1") + wire.frame(wire.CLOSE, b"\x03\xe8"))
    assert (client.pings, client.answered, server.pongs) == (1, 1, 1)
    assert listener.heard == [(S, wire.CLOSE, b"\x03\xe8", 2)]


def test_who_parted_holds_nobody(kernel: SimpleNamespace) -> None:
    client, server = parties(kernel)
    kernel.party.introduce(client, server, Listener())
    kernel.party.part(client, server)
    assert [party.frames.listener for party in (client, server)] == [None, None]
    if not kernel.party.is_compiled():
        assert [party.frames.pings or party.frames.peer_pings for party in (client, server)] == [None, None]


def test_frames_folded_by_shape(kernel: SimpleNamespace) -> None:
    _, server = parties(kernel)
    kernel.party.introduce(*parties(kernel), None)
    feed(kernel, server, wire.frame(wire.TEXT, b"one") + wire.frame(wire.BINARY, b"two") + wire.frame(wire.TEXT, b"three"))
    text, binary = server.shapes()
    assert (text.shape, text.count, text.length, tuple(text.place)) == (0x81, 2, 3, (9, 7, 0))
    assert (binary.shape, binary.count, binary.offset) == (0x82, 1, 5)
