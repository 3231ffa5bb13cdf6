"""What is said about credentials, origins, TLS and masking keys, and what stays unsaid: never a value."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
import wire
from wire import C, S

import wsaudit
from tests.rules.handshakes import handshake, judged
from tests.rules.test_handshake_request import CHROME
from wsaudit.http.head import parse_head
from wsaudit.http.upgrade import build_handshake
from wsaudit.kernel.connection import Connection
from wsaudit.model import Detail, Place
from wsaudit.rules.exposure import (
    cleartext_connection,
    cleartext_credential,
    decompression_bomb,
    insecure_origin,
    is_loopback,
    predictable_client_software,
    unprotected_cookie,
    weak_tls,
)
from wsaudit.rules.handshake_request import no_server_name
from wsaudit.session import Inflation

SECRET = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0"
COOKIE = {"Cookie": f"session={SECRET}"}
FOREIGN = {"Origin": "https://evil.example"}

FIRING = [
    ("SEC-02", "client", handshake(target=f"/ws?room=1&access_token={SECRET}"), "a credential in the query (accesstoken)"),
    ("SEC-02", "client", handshake(target=f"/ws?Api-Key={SECRET}&jwt={SECRET}"), "a credential in the query (apikey, jwt)"),
    ("SEC-03", "client", handshake(COOKIE), "a cookie without TLS"),
    ("SEC-03", "client", handshake({"Authorization": f"Bearer {SECRET}"}), "Authorization (bearer) without TLS"),
    ("SEC-03", "client", handshake({"Authorization": SECRET}), "Authorization without TLS"),
    ("SEC-03", "client", handshake({"X-Api-Key": SECRET, **COOKIE}), "a cookie and a token in x-api-key without TLS"),
    ("SEC-04", "server", handshake({**COOKIE, **FOREIGN}), 'Origin "evil.example" at Host "example.com", with a credential'),
    ("SEC-04", "server", handshake({**COOKIE, "Origin": "https://example.com.evil.example"}), '"example.com.evil.example"'),
    ("SEC-05", "server", handshake({"User-Agent": CHROME}), "101 to Chromium without Origin"),
    ("SEC-06", "server", handshake({"Origin": "null"}), "101 to Origin: null"),
    (
        "SEC-09",
        "server",
        handshake({"Sec-WebSocket-Protocol": SECRET}, {"Sec-WebSocket-Protocol": SECRET}),
        "the chosen subprotocol reads like a credential",
    ),
    ("SEC-10", "server", handshake(response={"Set-Cookie": f"lb={SECRET}; Secure"}), "Set-Cookie without TLS"),
]

NEAR = [
    ("SEC-02", handshake(target="/ws?token=&room=token")),
    ("SEC-02", handshake(target=f"/ws/token/{SECRET}")),
    ("SEC-03", handshake({"Cookie2": "x", "X-Trace": "y"})),
    ("SEC-04", handshake(FOREIGN)),  # without a credential a foreign page gains nothing
    ("SEC-04", handshake({**COOKIE, "Origin": "https://app.example.com"})),
    ("SEC-04", handshake({**COOKIE, "Origin": "https://example.com:8443"})),
    ("SEC-04", handshake({**COOKIE, **FOREIGN}, status="403 Forbidden")),
    ("SEC-04", handshake({**COOKIE, "Origin": "chrome-extension://abcdef"})),
    ("SEC-05", handshake({"User-Agent": CHROME}, status="403 Forbidden")),
    ("SEC-05", handshake({"User-Agent": "curl/8"})),
    ("SEC-06", handshake({"Origin": "null"}, status="403 Forbidden")),
    (
        "SEC-09",
        handshake({"Sec-WebSocket-Protocol": f"v4.channel.k8s.io, {SECRET}"}, {"Sec-WebSocket-Protocol": "v4.channel.k8s.io"}),
    ),
    ("SEC-10", handshake()),
]


def str_only(value: object) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("rule", "at_fault", "capture", "detail"), FIRING, ids=str_only)
def test_exposure_is_told_without_the_secret(rule: str, at_fault: str, capture: bytes, detail: str) -> None:
    told = judged(capture)[rule]
    assert told.detail.startswith(detail) or detail in told.detail
    assert told.at_fault == at_fault
    assert told.verdict == ("non-strict" if rule == "SEC-04" else "informational")
    findings = wsaudit.audit(capture).to_dict()["findings"]
    assert not any(SECRET in each["detail"] for each in findings)


@pytest.mark.parametrize(("rule", "capture"), NEAR, ids=str_only)
def test_near_misses(rule: str, capture: bytes) -> None:
    assert rule not in judged(capture)


def test_a_rewritten_host_leaves_doubt() -> None:
    """Behind a proxy Host is often the backend's address: that a foreign page was let in is not certain then."""
    told = judged(handshake({**COOKIE, **FOREIGN, "Host": "10.0.0.9:3000"}))["SEC-04"]
    assert told.verdict == "unverifiable"
    assert "rewritten" in told.detail


def test_the_same_exposure_again_and_again() -> None:
    """What is remembered about a handshake is right for the next one of its kind: each points to its own packet."""
    talks = []
    for number in range(3):
        talk = wire.Conversation(client=("10.0.0.1", 40000 + number)).wait(number).open()
        talks.append(
            talk.upgrade(f"/ws?token={SECRET}{number}", {"Cookie": f"id={number}"}).close(S, 1000).close(C, 1000).fin(S).fin(C)
        )
    report = wsaudit.audit(wire.pcap(wire.merge(*talks))).to_dict()
    for rule in ("SEC-02", "SEC-03"):
        found = [(each["connection"], each["packet"]) for each in report["findings"] if each["rule"] == rule]
        assert found == [(number, connection["first_packet"] + 3) for number, connection in enumerate(report["connections"], 1)]


# -- cleartext and TLS -----------------------------------------------------------------------------------------------------------


def test_cleartext_is_told_once_for_a_server() -> None:
    talks = [wire.Conversation(client=("10.0.0.1", 40000 + n)).wait(n).open().upgrade().fin(S).fin(C) for n in range(3)]
    [found] = [each for each in wsaudit.audit(wire.pcap(wire.merge(*talks))).to_dict()["findings"] if each["rule"] == "SEC-01"]
    assert (found["verdict"], found["count"], found["connection"]) == ("non-strict", 3, 1)
    assert found["detail"] == "3 connections to one server without TLS"


@pytest.mark.parametrize(("client", "server"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("10.0.0.1", "10.0.0.1")])
def test_what_stays_on_one_machine_is_not_exposed(client: str, server: str) -> None:
    talk = wire.Conversation(client=(client, 40000), server=(server, 80)).open().upgrade().fin(S).fin(C)
    rules = {each["rule"] for each in wsaudit.audit(talk.pcap()).to_dict()["findings"]}
    assert "SEC-01" not in rules


def test_loopback_addresses() -> None:
    assert is_loopback(bytes([127, 1, 2, 3]))
    assert is_loopback(bytes(15) + b"\1")
    assert is_loopback(bytes(10) + b"\xff\xff\x7f\0\0\1")
    assert not is_loopback(bytes(16))
    assert not is_loopback(bytes([10, 127, 0, 1]))


def connection(number: int = 1, **facts: Any) -> Connection:
    made = Connection(number, number, number + 1, (b"\n\0\0\1", 40000 + number), (b"\n\0\0\2", 443), Detail(number).pack())
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def tls(version: str | None, cipher: str | None, sni: str | None = None, opened: bool = True) -> dict[str, Any]:
    return {"transport": "tls", "tls": (version, cipher, sni, None, opened, None)}


@pytest.mark.parametrize(
    ("version", "cipher", "detail"),
    [
        ("TLS 1.0", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS 1.0"),
        ("SSL 3.0", "TLS_RSA_WITH_RC4_128_MD5", "SSL 3.0 with TLS_RSA_WITH_RC4_128_MD5"),
        ("TLS 1.2", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
        ("TLS 1.2", "TLS_DH_anon_WITH_AES_128_CBC_SHA", "TLS_DH_anon_WITH_AES_128_CBC_SHA"),
    ],
)
def test_weak_tls(version: str, cipher: str, detail: str) -> None:
    rows = [connection(number, **tls(version, cipher)) for number in (1, 2)]
    [(row, side, fault)] = weak_tls(rows, [])
    assert (row, side, fault.detail, fault.count) == (rows[0], 1, detail, 2)


@pytest.mark.parametrize(
    ("version", "cipher"),
    [("TLS 1.2", "TLS_RSA_WITH_AES_128_CBC_SHA"), ("TLS 1.3", "TLS_AES_128_GCM_SHA256"), (None, None)],
)
def test_tls_that_is_not_known_to_be_weak(version: str | None, cipher: str | None) -> None:
    assert list(weak_tls([connection(**tls(version, cipher))], [])) == []


def test_cleartext_rows() -> None:
    assert [fault.detail for _, _, fault in cleartext_connection([connection()], [])] == [
        "1 connection to one server without TLS"
    ]
    assert list(cleartext_connection([connection(**tls("TLS 1.3", None)), connection(probable=True)], [])) == []


def test_no_server_name() -> None:
    nameless = connection(host="www.example.com:8443", **tls("TLS 1.3", "x"))
    [(row, side, fault)] = no_server_name([nameless], [])
    assert (row, side) == (nameless, 0)
    assert "www.example.com" in fault.detail


@pytest.mark.parametrize(
    "facts",
    [
        {"host": "www.example.com", **tls("TLS 1.3", "x", "www.example.com")},
        {"host": "192.0.2.1:443", **tls("TLS 1.3", "x")},
        {"host": "[2001:db8::1]", **tls("TLS 1.3", "x")},
        {"host": "localhost:8443", **tls("TLS 1.3", "x")},
        {"host": "www.example.com", **tls("TLS 1.3", "x", opened=False)},
        {"host": "www.example.com"},
    ],
)
def test_a_server_name_that_is_there_or_cannot_be(facts: dict[str, Any]) -> None:
    assert list(no_server_name([connection(**facts)], [])) == []


def over_tls(request: wire.Headers = wire.UNCHANGED, response: wire.Headers = wire.UNCHANGED) -> tuple[Any, Any]:
    made = build_handshake(parse_head(wire.request("/", request)), parse_head(wire.response(headers=response)))
    return made, SimpleNamespace(tls=object())


def test_tls_protects_credentials() -> None:
    assert cleartext_credential(*over_tls(COOKIE)) is None


def test_cookies_set_over_tls() -> None:
    assert unprotected_cookie(*over_tls(response={"Set-Cookie": "a=1; Path=/; secure"})) is None
    assert unprotected_cookie(*over_tls(response={"Set-Cookie": ["a=1; Secure", "secure=2"]})) == "Set-Cookie without Secure"


def test_an_insecure_page_over_tls() -> None:
    assert insecure_origin(*over_tls({"Origin": "http://example.com"})) == "an http:// Origin over TLS"
    assert insecure_origin(*over_tls({"Origin": "https://example.com"})) is None
    assert insecure_origin(*over_tls({"Origin": "http://localhost:3000"})) is None
    assert "SEC-07" not in judged(handshake({"Origin": "http://example.com"}))


# -- bombs -----------------------------------------------------------------------------------------------------------------------


def test_a_decompression_bomb() -> None:
    deflate = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    talk = wire.Conversation().open().upgrade(request=deflate, response=deflate)
    bomb = talk.binary(C, wire.deflate(bytes(4 << 20)), rsv=wire.RSV1).close(S, 1009).close(C, 1009).fin(S).fin(C)
    told = judged(bomb.pcap())["SEC-15"]
    assert (told.at_fault, told.verdict, told.count) == ("client", "informational", 1)
    assert told.detail == f"1 message inflates far beyond the size on the wire, to {4 << 20:,} bytes or more"


def test_messages_that_compress_well_are_no_bombs() -> None:
    inflation = Inflation()
    inflation.note("final_block", Place(1, 2, 3))
    party: Any = SimpleNamespace(inflation=inflation)
    session: Any = SimpleNamespace()
    assert decompression_bomb(session, party, party) is None


# -- masking keys ----------------------------------------------------------------------------------------------------------------

RANDOM = random.Random(6455)


def clients(*keys: tuple[int, ...], agent: str | None = "agent/1") -> list[Connection]:
    return [connection(number, mask_keys=each, user_agent=agent, key=f"key {number}") for number, each in enumerate(keys, 1)]


def fours(source: Any, connections: int) -> list[tuple[int, ...]]:
    return [tuple(source() for _ in range(4)) for _ in range(connections)]


def test_random_masking_keys() -> None:
    rows = clients(*fours(lambda: RANDOM.getrandbits(32), 2000))
    assert list(predictable_client_software(rows, [])) == []


PREDICTABLE = [
    ("constant", fours(lambda: 0x3D21FA37, 4), "the key 0x3d21fa37 16 times"),
    ("seeded alike", [(1 << 20, 7 << 9, 5, number) for number in range(8)], "22 repeats"),
    (
        "little-endian counter",
        [tuple(range(n * 99, n * 99 + 4)) for n in range(1, 5)],
        "equal steps from key to key (in 4 connections)",
    ),
    (
        "big-endian counter",
        [tuple(int.from_bytes((n * 999 + i).to_bytes(4, "big"), "little") for i in range(4)) for n in range(1, 5)],
        "equal steps from key to key (in 4 connections)",
    ),
    (
        "15 bits",
        fours(lambda: RANDOM.getrandbits(15), 12),
        "17 bits that never change",
    ),
]


@pytest.mark.parametrize(("keys", "why"), [each[1:] for each in PREDICTABLE], ids=[each[0] for each in PREDICTABLE])
def test_predictable_masking_keys(keys: list[tuple[int, ...]], why: str) -> None:
    rows = clients(*keys)
    [(row, side, fault)] = predictable_client_software(
        [*rows, *clients(*fours(lambda: RANDOM.getrandbits(32), 9), agent="b")], []
    )
    assert (row, side, fault.count) == (rows[0], 0, len(rows))
    assert fault.detail.startswith(why)
    assert fault.detail.endswith(f'of {len(rows)} connections of "agent/1"')


def test_few_keys_prove_nothing() -> None:
    assert list(predictable_client_software(clients((5, 5), (5, 5)), [])) == []
    assert list(predictable_client_software(clients(tuple([5] * 4)), [])) == []


def test_a_proxy_passes_masked_frames_on() -> None:
    """Both legs of a tunnel show the same frames: that is no repetition."""
    rows = clients(*fours(lambda: RANDOM.getrandbits(32), 6))
    assert list(predictable_client_software([*rows, *rows], [])) == []
