"""What an opening handshake said: every outcome, every reason to refuse a 101."""

from __future__ import annotations

import pickle

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.http.head import Head, parse_head
from wsaudit.http.upgrade import Handshake, accept_for, build_handshake, is_upgrade_request, is_upgrade_response


def handshake(request: wire.Headers | None = None, response: wire.Headers | None = None, status: str = "101 OK") -> Handshake:
    return build_handshake(
        parse_head(wire.request("/chat", request or {}), 0, 1000, 1, 1500, 2),
        parse_head(wire.response(status, response or {}), 0, 4000, 3),
    )


def test_accept_of_the_rfc() -> None:
    assert accept_for("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize("told", ["first", "last", "first,last", "first, last"])
def test_of_several_keys_any_may_be_answered(told: str) -> None:
    result = handshake({"Sec-WebSocket-Key": ["first", "last"]}, {"Sec-WebSocket-Accept": wire.accept(told)})
    assert result.outcome == "accepted"


def test_several_keys_do_not_make_every_answer_right() -> None:
    result = handshake({"Sec-WebSocket-Key": ["first", "last"]}, {"Sec-WebSocket-Accept": wire.accept("other")})
    assert result.defects == ("wrong-accept",)


def test_accepted() -> None:
    result = handshake(
        {
            "Origin": "https://a",
            "User-Agent": "x/1",
            "Sec-WebSocket-Protocol": ["a, b", "C"],
            "Sec-WebSocket-Extensions": ["e; f", "g"],
        },
        {"Server": "y/2", "Sec-WebSocket-Protocol": "C", "Sec-WebSocket-Extensions": "G"},
    )
    assert (result.outcome, result.status, result.defects) == ("accepted", 101, ())
    assert (result.target, result.host, result.origin) == ("/chat", "example.com", "https://a")
    assert (result.user_agent, result.server_header) == ("x/1", "y/2")
    assert (result.subprotocols_offered, result.subprotocol) == (("a", "b", "C"), "C")
    assert (result.extensions_offered_lines, result.extensions_lines) == (("e; f", "g"), ("G",))
    assert (result.key, result.accept, result.accept_ok) == (wire.KEY, wire.accept(), True)
    assert result.accept == result.accept_expected
    assert result.latency_ns == 2500


@pytest.mark.parametrize(
    ("request_changes", "response_changes", "defects"),
    [
        ({}, {"Upgrade": None}, ("no-upgrade",)),
        ({}, {"Upgrade": "h2c"}, ("wrong-upgrade",)),
        ({}, {"Upgrade": "websocket, h2c"}, ("wrong-upgrade",)),
        ({}, {"Upgrade": ["websocket", "websocket"]}, ("wrong-upgrade",)),
        ({}, {"Connection": None}, ("no-connection-upgrade",)),
        ({}, {"Connection": "keep-alive"}, ("no-connection-upgrade",)),
        ({}, {"Sec-WebSocket-Accept": None}, ("no-accept",)),
        ({}, {"Sec-WebSocket-Accept": wire.accept("x")}, ("wrong-accept",)),
        ({}, {"Sec-WebSocket-Accept": wire.accept().lower()}, ("wrong-accept",)),
        ({}, {"Sec-WebSocket-Accept": [wire.accept(), "other"]}, ("wrong-accept",)),
        ({"Sec-WebSocket-Key": None}, {}, ("no-key",)),
        ({}, {"Sec-WebSocket-Protocol": "a"}, ("unoffered-subprotocol",)),
        ({"Sec-WebSocket-Protocol": "A"}, {"Sec-WebSocket-Protocol": "a"}, ("unoffered-subprotocol",)),
        ({"Sec-WebSocket-Protocol": "a, b"}, {"Sec-WebSocket-Protocol": "a, b"}, ("unoffered-subprotocol",)),
        ({}, {"Sec-WebSocket-Extensions": "x"}, ("unoffered-extension",)),
        ({}, {"Sec-WebSocket-Extensions": 'x; a="b, c"'}, ("unoffered-extension",)),
        ({"Sec-WebSocket-Extensions": "y"}, {"Sec-WebSocket-Extensions": "y, x"}, ("unoffered-extension",)),
        (
            {},
            {"Upgrade": None, "Connection": None, "Sec-WebSocket-Accept": None},
            ("no-upgrade", "no-connection-upgrade", "no-accept"),
        ),
    ],
)
def test_a_101_that_a_client_must_refuse(
    request_changes: wire.Headers, response_changes: wire.Headers, defects: tuple[str, ...]
) -> None:
    result = handshake(request_changes, response_changes)
    assert (result.outcome, result.status) == ("invalid", 101)
    assert result.defects == defects


@pytest.mark.parametrize(
    ("request_changes", "response_changes"),
    [
        ({}, {"Upgrade": "WebSocket", "Connection": "keep-alive, UPGRADE"}),
        ({}, {"Connection": ["keep-alive", "upgrade"]}),
        ({}, {"Sec-WebSocket-Accept": f"  {wire.accept()}\t"}),
        ({"Sec-WebSocket-Extensions": 'y; a="b, c"'}, {"Sec-WebSocket-Extensions": 'y; a="b, c"'}),
        ({"Sec-WebSocket-Extensions": ["a", "b; c"]}, {"Sec-WebSocket-Extensions": "B"}),
        ({}, {"Sec-WebSocket-Extensions": ""}),
        ({}, {"Sec-WebSocket-Protocol": ""}),
        ({"Upgrade": None, "Sec-WebSocket-Version": "8", "Host": None}, {}),
    ],
)
def test_a_101_that_a_client_takes(request_changes: wire.Headers, response_changes: wire.Headers) -> None:
    assert handshake(request_changes, response_changes).outcome == "accepted"


def test_the_accept_is_made_from_the_key_as_sent() -> None:
    result = handshake({"Sec-WebSocket-Key": "short"}, {"Sec-WebSocket-Accept": wire.accept("short")})
    assert (result.outcome, result.accept_ok) == ("accepted", True)


@pytest.mark.parametrize("status", ["200 OK", "301 Moved", "401 Unauthorized", "426 Upgrade Required", "503 Busy"])
def test_every_other_final_status_is_a_refusal(status: str) -> None:
    result = handshake({}, {"Location": "/there"}, status)
    assert (result.outcome, result.status, result.location) == ("refused", int(status[:3]), "/there")
    assert (result.accept_ok, result.defects, result.subprotocol) == (None, (), None)


def test_without_a_response() -> None:
    result = build_handshake(parse_head(wire.request()), None, (100, 103))
    assert (result.outcome, result.status, result.informational, result.latency_ns) == ("unanswered", None, (100, 103), None)


def test_without_a_request() -> None:
    result = build_handshake(None, parse_head(wire.response(headers={"Sec-WebSocket-Protocol": "a"})))
    assert (result.outcome, result.accept_ok, result.latency_ns, result.subprotocol) == ("accepted", None, None, "a")
    assert build_handshake(None, parse_head(wire.response(headers={"Upgrade": None}))).outcome == "invalid"


def test_without_either() -> None:
    assert build_handshake(None, None).outcome == "not-captured"


def test_a_response_before_its_request_has_no_latency() -> None:
    late, early = parse_head(wire.request(), 0, 9, 9), parse_head(wire.response(), 0, 5, 5)
    assert build_handshake(late, early).latency_ns is None


def test_a_handshake_travels_between_processes() -> None:
    result = handshake()
    copy = pickle.loads(pickle.dumps(result))
    assert copy.outcome == result.outcome
    assert copy.request.fields == parse_head(wire.request("/chat")).fields


def request_head(method: str = "GET", target: str = "/", **headers: str) -> Head:
    return parse_head(
        wire.head(f"{method} {target} HTTP/1.1", {name.replace("_", "-"): value for name, value in headers.items()})
    )


@pytest.mark.parametrize(
    "head",
    [
        request_head(Upgrade="websocket"),
        request_head(Upgrade="h2c, WebSocket"),
        request_head("POST", Upgrade="websocket/13"),
        request_head(Sec_WebSocket_Key=wire.KEY),
        request_head(Sec_WebSocket_Version="13"),
        request_head(Sec_WebSocket_Key1="x"),
        request_head(target="ws://example.com/", Connection="Upgrade"),
        request_head(target="WSS://example.com/"),
        parse_head(wire.request(version="HTTP/1.0", method="POST")),
    ],
)
def test_attempts_to_open_a_websocket(head: Head) -> None:
    assert is_upgrade_request(head)


@pytest.mark.parametrize(
    "head",
    [
        request_head(Accept="*/*"),
        request_head(Upgrade="h2c", HTTP2_Settings="x"),
        request_head(Upgrade="notwebsocket"),
        request_head(target="http://example.com/ws"),
        parse_head(wire.response()),
    ],
)
def test_other_requests(head: Head) -> None:
    assert not is_upgrade_request(head)


def test_responses_that_name_websocket() -> None:
    assert is_upgrade_response(parse_head(wire.response()))
    assert is_upgrade_response(parse_head(wire.response("426 Upgrade Required", {"Upgrade": "websocket"})))
    assert is_upgrade_response(parse_head(wire.response("400 Bad", {"Sec-WebSocket-Version": "13, 8"})))
    assert not is_upgrade_response(parse_head(wire.response("200 OK")))
    assert not is_upgrade_response(parse_head(wire.response("101 OK", {"Upgrade": "h2c", "Sec-WebSocket-Accept": None})))
    assert not is_upgrade_response(parse_head(wire.request()))


HEADS = st.none() | st.binary(max_size=200).map(parse_head)
TEXTS = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20)
SPOILT = st.dictionaries(
    st.sampled_from(
        [
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
            "Sec-WebSocket-Accept",
        ]
    ),
    st.none() | TEXTS | st.lists(TEXTS, max_size=3),
)


@given(HEADS, HEADS)
def test_no_heads_raise(request: Head | None, response: Head | None) -> None:
    assert build_handshake(request, response).outcome in ("accepted", "invalid", "refused", "unanswered", "not-captured")


@given(SPOILT, SPOILT)
def test_a_101_is_accepted_or_has_defects(request: wire.Headers, response: wire.Headers) -> None:
    result = handshake(request, response)
    assert (result.outcome == "accepted") == (result.defects == ())
    assert result.outcome in ("accepted", "invalid")
