"""Which library wrote a handshake head."""

from __future__ import annotations

import pytest
import wire

from wsaudit.http.head import Head, parse_head
from wsaudit.model import CLIENT, SERVER
from wsaudit.termination.endpoints import Library, library_of, spelling

WS = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: {key}", "Connection: Upgrade", "Upgrade: websocket", "Host: a")
KEYS = ("AAECAwQFBgcICQoLDA0ODw==", "EBESExQVFhcYGRobHB0eHw==")


def head(*lines: str, start: str = "GET /ws HTTP/1.1") -> Head:
    return parse_head("\r\n".join((start, *lines, "", "")).encode())


def request(*lines: str, key: str = KEYS[0]) -> Head:
    return head(*(line.format(key=key) for line in lines))


def name(found: Library | None) -> str | None:
    return None if found is None else found.name


def test_a_head_that_was_not_captured_tells_nothing() -> None:
    assert library_of(None, CLIENT) is None
    assert library_of(None, SERVER) is None


@pytest.mark.parametrize(
    ("agent", "known"), [("Python/3.12 websockets/15.0", "websockets"), ("okhttp/4.12", "OkHttp"), ("x", None)]
)
def test_a_client_is_known_by_its_user_agent(agent: str, known: str | None) -> None:
    plain = parse_head(wire.request("/", {"User-Agent": agent}))
    assert name(library_of(plain, CLIENT)) == known


@pytest.mark.parametrize(("server", "known"), [("uvicorn", "uvicorn"), ("TornadoServer/6.4", "tornado"), ("nginx", None)])
def test_a_server_is_known_by_its_server_field(server: str, known: str | None) -> None:
    assert name(library_of(parse_head(wire.response(headers={"Server": server})), SERVER)) == known


def test_a_client_without_a_name_is_known_by_the_order_of_its_fields() -> None:
    assert name(library_of(request(*WS), CLIENT)) == "ws"
    assert library_of(request(*reversed(WS)), CLIENT) is None


def test_fields_as_they_were_written() -> None:
    assert spelling(head("Host: a", "sec-websocket-KEY: b: c")) == (b"Host", b"sec-websocket-KEY")
    assert library_of(request(*(line.lower() for line in WS)), CLIENT) is None


def test_heads_of_one_form_are_of_one_library() -> None:
    first, second = request(*WS), request(*WS, key=KEYS[1])
    assert first.form is second.form is not None
    assert name(library_of(first, CLIENT)) == name(library_of(second, CLIENT)) == "ws"


def test_a_user_agent_is_part_of_the_form() -> None:
    """What is remembered of one client is not told of another."""
    found = [name(library_of(request(*WS[1:], f"User-Agent: {agent}"), CLIENT)) for agent in ("node", "undici", "node", "x")]
    assert found == ["Node's built-in WebSocket", "undici", "Node's built-in WebSocket", None]


def test_an_odd_head_is_recognised_too() -> None:
    odd = head("Host : a", "User-Agent: okhttp/4.12", "Upgrade: websocket")
    assert odd.form is None
    assert name(library_of(odd, CLIENT)) == "OkHttp"
