"""How a client says who it is: the way is named, the secret never."""

from __future__ import annotations

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.http.credentials import SCHEMES, auth_kinds, is_token
from wsaudit.http.head import parse_head
from wsaudit.http.upgrade import auth_kinds as exported

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def kinds(target: str = "/", **headers: str | list[str]) -> tuple[str, ...]:
    return auth_kinds(parse_head(wire.request(target, {name.replace("_", "-"): value for name, value in headers.items()})))


def test_none() -> None:
    assert kinds("/chat?room=1&tokens=&key") == ()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("Basic YTpi", "basic"),
        ("bearer x", "bearer"),
        ("Digest username=a", "digest"),
        ("s3cr3t", "other"),
        ("Mine abc", "other"),
        ("", "other"),
    ],
)
def test_authorization(value: str, kind: str) -> None:
    assert kinds(Authorization=value) == (f"authorization-{kind}",)


def test_cookie_and_header_token() -> None:
    assert kinds(Cookie="a=b", X_API_Key="k") == ("cookie", "header-token")


@pytest.mark.parametrize(
    "query",
    [
        "token=x",
        "a=b&jwt=x",
        "access_token=x",
        "accessToken=x",
        "api-key=x",
        "API_KEY=x",
        "%74icket=x",
        "sid=x",
        "X-Amz-Signature=x",
        "token=x&token=y",
    ],
)
def test_query_token(query: str) -> None:
    assert kinds(f"/ws?{query}") == ("query-token",)


def test_an_empty_query_token_is_none() -> None:
    assert kinds("/ws?token=") == ()


def test_userinfo() -> None:
    assert kinds("ws://me:pw@example.com/") == ("userinfo",)
    assert kinds("http://example.com/@me") == ()


@pytest.mark.parametrize(
    "offer",
    [
        f"base64url.bearer.authorization.k8s.io.{'YWJj' * 5}, v4.channel.k8s.io",
        "realtime, openai-insecure-api-key.sk-abc",
        f"graphql-ws, header-{JWT.split('.')[0]}",
        JWT,
        "bearer, abc",
        ["access_token", "Bearer.abc"],
        "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MEFCQ0RFRg",
        "0123456789abcdef0123456789abcdef",
        "123e4567-e89b-12d3-a456-426614174000",
    ],
)
def test_subprotocol_token(offer: str | list[str]) -> None:
    assert kinds(Sec_WebSocket_Protocol=offer) == ("subprotocol-token",)


@pytest.mark.parametrize(
    "name",
    [
        "graphql-transport-ws",
        "v12.stomp",
        "ocpp1.6",
        "actioncable-v1-json",
        "actioncable-unsupported",
        "protobuf.reliable.webpubsub.azure.v1",
        "v5.channel.k8s.io",
        "urn:oma:xml:xdm:resource-list-subscription-change",
        "aVeryLongButPlainSubprotocolNameWithoutDigits",
        "mqtt",
        "token",
        "",
    ],
)
def test_real_subprotocols_are_no_tokens(name: str) -> None:
    assert not is_token(name)


@given(st.binary(max_size=300), st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40))
def test_any_bytes_give_known_kinds(raw: bytes, value: str) -> None:
    known = {"cookie", "header-token", "query-token", "subprotocol-token", "userinfo", "authorization-other"}
    known |= {f"authorization-{scheme}" for scheme in SCHEMES}
    assert known.issuperset(auth_kinds(parse_head(raw)))
    head = parse_head(wire.request("/?" + value.replace(" ", ""), {"Authorization": value, "Sec-WebSocket-Protocol": value}))
    assert known.issuperset(auth_kinds(head))


def test_the_handshake_module_gives_it_too() -> None:
    assert exported is auth_kinds
