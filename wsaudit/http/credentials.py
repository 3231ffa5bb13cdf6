"""How a request authenticates: the names of the ways, never a value."""

from __future__ import annotations

import re

from wsaudit.http.form import without_values
from wsaudit.http.head import Head

# Schemes of the IANA registry and some in wide use. A word that is none of these may be the secret itself.
SCHEMES = frozenset(
    (
        *("aws4-hmac-sha256", "apikey", "basic", "bearer", "concealed", "digest", "dpop", "gnap", "hawk", "hmac", "hoba", "key"),
        *("mutual", "negotiate", "ntlm", "oauth", "privatetoken", "scram-sha-1", "scram-sha-256", "sharedaccesssignature"),
        *("signature", "splunk", "token", "vapid"),
    )
)

HEADER_TOKENS = frozenset(
    (
        *("api-key", "apikey", "private-token", "x-access-token", "x-amz-security-token", "x-api-key", "x-api-token"),
        *("x-auth-token", "x-goog-api-key", "x-token", "x-user-token"),
    )
)

# Query parameters, in lower case with "-" and "_" left out.
QUERY_TOKENS = frozenset(
    (
        *("accesskey", "accesstoken", "apikey", "apitoken", "auth", "authentication", "authkey", "authorization", "authtoken"),
        *("bearer", "bearertoken", "clientsecret", "connectiontoken", "credential", "credentials", "idtoken", "jwt", "jwttoken"),
        *("pass", "passwd", "password", "pwd", "refreshtoken", "secret", "session", "sessionid", "sessionkey", "sessiontoken"),
        *("sid", "sig", "signature", "sso", "ssotoken", "ticket", "token", "usertoken", "wstoken", "xamzcredential"),
        *("xamzsecuritytoken", "xamzsignature"),
    )
)

# Subprotocols that say "the next one, or the rest of me, is a token".
_MARKERS = frozenset({"access_token", "accesstoken", "apikey", "auth", "authorization", "bearer", "jwt", "token"})
_MARKER = re.compile(
    r"(?:base64url\.bearer\.authorization\.k8s\.io|openai-insecure-api-key|access[-_]?token|authorization|bearer|jwt|token)[.:=-].",
    re.IGNORECASE,
)
_JWT = re.compile(r"(?:^|[^A-Za-z0-9_])eyJ[A-Za-z0-9_-]{8}")  # base64url of '{"'
_OPAQUE = re.compile(r"[A-Za-z0-9_+/~-]{32,}={0,2}")
_HEX = re.compile(r"[0-9a-fA-F]{32,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


MAX_QUERIES = 64  # sets of parameter names remembered for a form of heads


def auth_kinds(request: Head) -> tuple[str, ...]:
    """The ways in which the request carries a credential, sorted: `authorization-<scheme>` (`authorization-other`: no known
    scheme), `cookie`, `header-token`, `query-token`, `subprotocol-token`, `userinfo`."""
    form, target = request.form, request.target
    if form is None or not target.startswith("/") or ":" in target.partition("?")[0]:
        return _auth_kinds(request)
    names = without_values(target.partition("?")[2])
    kinds = form.auth.get(names)
    if kinds is None:
        if len(form.auth) >= MAX_QUERIES:
            form.auth.clear()
        kinds = form.auth[names] = _auth_kinds(request)
    return kinds


def _auth_kinds(request: Head) -> tuple[str, ...]:
    kinds = set()
    for name, value in request.fields:
        if name == "authorization":
            scheme = value.split(" ", 1)[0].lower()
            kinds.add(f"authorization-{scheme if scheme in SCHEMES else 'other'}")
        elif name == "cookie":
            kinds.add("cookie")
        elif name in HEADER_TOKENS:
            kinds.add("header-token")
        elif name == "sec-websocket-protocol" and _has_token(value.split(",")):
            kinds.add("subprotocol-token")
    target, mark, query = request.target.partition("?")
    if mark and any(_is_token_parameter(parameter) for parameter in query.split("&")):
        kinds.add("query-token")
    _, absolute, rest = target.partition("://")
    if absolute and "@" in rest.split("/", 1)[0]:
        kinds.add("userinfo")
    return tuple(sorted(kinds))


def is_token(subprotocol: str) -> bool:
    """Whether a subprotocol reads like a credential: a JWT, a long opaque string, or one marked as a token. A heuristic."""
    if _MARKER.match(subprotocol) or _JWT.search(subprotocol) or _HEX.fullmatch(subprotocol):
        return True
    if not _OPAQUE.fullmatch(subprotocol):
        return False
    return all(any(is_kind(c) for c in subprotocol) for is_kind in (str.isdigit, str.isupper, str.islower))


def _has_token(subprotocols: list[str]) -> bool:
    names = [each.strip(" \t") for each in subprotocols]
    marked = any(name.lower() in _MARKERS for name in names[:-1])
    return marked or any(is_token(name) for name in names)


def _is_token_parameter(parameter: str) -> bool:
    from urllib.parse import unquote_plus

    name, equals, value = parameter.partition("=")
    return bool(equals and value) and unquote_plus(name).lower().replace("-", "").replace("_", "") in QUERY_TOKENS
