"""What a report must not carry on: secrets (by default) and addresses (when asked), removed in one place for every format.

A report is mailed, pasted into an issue and kept for years. So it shows no query values, cookies, credentials, tokens in close
reasons or payload unless `show_payload` lifts that. `pseudonymize` replaces IP addresses and host names consistently within one
report, numbered in order of appearance: 10.0.0.1, 2001:db8::1, host1.example. A number reveals nothing, whereas a keyed hash over
2^32 addresses could be searched.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, Protocol

from wsaudit.report.groups import RuleGroup

HIDDEN = "<redacted>"
Record = dict[str, Any]

SECRET_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "cookie2",
        "set-cookie",
        "set-cookie2",
        "x-api-key",
        "x-auth-token",
        "x-csrf-token",
        "x-access-token",
        "x-amz-security-token",
        "www-authenticate",
        "proxy-authenticate",
        "authentication-info",
    }
)
"""Header fields (lower case) whose value is a credential or travels with one."""

# Every repetition is bounded or cannot overlap with its neighbour, so that no text makes a search take more than linear time.
# Compiled when there is something to look at; `re` remembers them.
JWT = r"\beyJ[\w-]{4,4096}\.[\w-]{1,4096}(?:\.[\w-]{0,4096})?"
CREDENTIALS = (
    r"(?i)\b(Bearer|Basic|Digest|Negotiate|Token|ApiKey)[ :=]{1,3}(?=[\w.~+/=-]{0,64}[\d.~+/=_-]|[\w.~+/=-]{16})[\w.~+/=-]+"
)
SCHEMES = ("bearer", "basic", "digest", "negotiate", "token", "apikey")
SECRET_ROOTS = ("tok", "jwt", "secret", "pass", "pwd", "sid", "session", "key", "cookie", "ticket", "signature", "nonce", "cred")
SECRET_NAME = (
    "token|jwt|secret|passw(?:or)?d|pwd|session(?:_?id)?|sid|api_?key|access_?key|cookie|ticket|signature|nonce|credential"
)
NAMED_SECRET = rf"""(?i)((?<![a-z0-9])(?:{SECRET_NAME}))("?'?\s{{0,2}}[=:]\s{{0,2}}["']?)([^\s"',;&<]+)"""
QUERY = r"""\?(?=[^\s"'<>#]{0,100}[=&])([^\s"'<>#]*)"""
WORD = r"[A-Za-z0-9_-]{20,}"
USERINFO = r"(//)[^/?#@\s]+@"

HOST_NAME = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})\.){1,8}[A-Za-z][A-Za-z0-9-]{1,62}"
IPV4 = r"\d{1,3}(?:\.\d{1,3}){3}"
IPV6 = r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?:\.\d{1,3}){0,3}"
ADDRESS = rf"(?<![\w.:])(?:{IPV4}|{IPV6}|{HOST_NAME})(?![\w])"


def redact_target(target: str) -> str:
    """A request target without query values, user info, path parameters, fragment and tokens in the path.

    >>> redact_target("/chat?token=abc&room")
    '/chat?token=<redacted>&<redacted>'
    """
    path, mark, rest = target.partition("?")
    query, fragment_mark, fragment = rest.partition("#")
    if not mark:
        path, fragment_mark, fragment = target.partition("#")
    return redact_path(path) + (mark and "?" + redact_query(query)) + (fragment_mark and "#" + (HIDDEN if fragment else ""))


@functools.lru_cache(4096)  # paths repeat from connection to connection
def redact_path(path: str) -> str:
    """What stands before the query."""
    path = re.sub(USERINFO, rf"\1{HIDDEN}@", path)
    return _tokens(re.sub(r"(;[\w.-]*=)[^/;]*", rf"\1{HIDDEN}", path))


def redact_query(query: str) -> str:
    """A query string with its names and without its values; a part without "=" may be a bare token, so it goes too."""
    return "&".join(_redact_pair(pair) for pair in query.split("&"))


def _redact_pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    if equals:
        return f"{_tokens(name)}={HIDDEN if value else ''}"
    return HIDDEN if pair else ""


@functools.lru_cache(4096)
def redact_reason(text: str) -> str:
    """A close reason, or a sentence that quotes one, without what looks like a credential: JWTs, `Bearer ...`, `token=...`,
    query values, and words of 20 characters or more that mix letters and digits, as keys and session ids do."""
    if len(text) < 8:
        return text
    if "?" in text:
        text = re.sub(QUERY, lambda found: "?" + redact_query(found[1]), text)
    lower = text.lower()  # looking for a few words costs a tenth of what the patterns cost, and most texts have none of them
    if any(word in lower for word in SCHEMES):
        text = re.sub(CREDENTIALS, rf"\1 {HIDDEN}", text)
    if ("=" in text or ":" in text) and any(word in lower for word in SECRET_ROOTS):
        text = re.sub(NAMED_SECRET, rf"\1\2{HIDDEN}", text)
    return _tokens(text)


def redact_header(name: str, value: str) -> str:
    """A header field's value as a report may show it."""
    lower = name.strip().lower()
    if lower in SECRET_HEADERS or "token" in lower or "secret" in lower:
        return HIDDEN
    if lower in {"referer", "location"}:
        return redact_target(value)
    return redact_reason(value)


def _tokens(text: str) -> str:
    if len(text) < 16:
        return text
    if "eyJ" in text:
        text = re.sub(JWT, HIDDEN, text)
    return re.sub(WORD, lambda found: HIDDEN if _opaque(found[0]) else found[0], text)


def _opaque(word: str) -> bool:
    digits = sum(c.isdigit() for c in word)
    return 2 <= digits < len(word) and any(c.isalpha() for c in word)


class Pseudonyms:
    """Stand-ins for addresses and host names, the same one for the same name, numbered in order of appearance."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._next = {4: 0, 6: 0, 0: 0}

    def address(self, address: str) -> str:
        """The stand-in of an IP address, or of whatever stands where one should."""
        return self.names.get(address) or self._assign(address)

    def host(self, host: str) -> str:
        """The stand-in of a Host field, keeping its port: "chat.acme.com:8080" becomes "host1.example:8080"."""
        name, port = self._split(host)
        return (self.address(name) if name else name) + port

    def text(self, text: str) -> str:
        """`text` with every IP address in it, and every host name that was met before, replaced."""
        return re.sub(ADDRESS, lambda found: self._known(found[0]), text) if "." in text or ":" in text else text

    def _known(self, word: str) -> str:
        bare = word.rstrip(".:")
        if bare in self.names:
            return self.names[bare] + word[len(bare) :]
        if self._family(bare):
            return self._assign(bare) + word[len(bare) :]
        return word

    def _assign(self, name: str) -> str:
        from ipaddress import IPv4Address, IPv6Address

        family = self._family(name)
        self._next[family] += 1
        number = self._next[family]
        if family == 4:
            stand_in = str(IPv4Address((10 << 24) + number % (1 << 24)))
        elif family == 6:
            stand_in = str(IPv6Address((0x20010DB8 << 96) + number))
        else:
            stand_in = f"host{number}.example"
        self.names[name] = stand_in
        return stand_in

    @staticmethod
    def _family(name: str) -> int:
        from ipaddress import ip_address

        try:
            return ip_address(name.strip("[]")).version
        except ValueError:
            return 0

    @staticmethod
    def _split(host: str) -> tuple[str, str]:
        found = re.fullmatch(r"(.*?)(:\d{1,5})?", host, re.DOTALL)
        if host.count(":") > 1 and not host.startswith("["):
            return host, ""
        return (found[1], found[2] or "") if found else (host, "")


class Redactor:
    """Turns the dicts of a report into what may be shown. Input dicts are not changed, only handed on."""

    def __init__(self, show_payload: bool = False, pseudonymize: bool = False) -> None:
        self.show_payload = show_payload
        self.pseudonyms = Pseudonyms() if pseudonymize else None

    def text(self, text: str) -> str:
        """A sentence of the report that may quote traffic."""
        if not self.show_payload:
            # Sentences that differ only in the packet they end with are looked through once: no pattern reaches over " packet ".
            said, mark, number = text.rpartition(" packet ")
            text = redact_reason(said + mark) + number if number.isdecimal() else redact_reason(text)
        return self.pseudonyms.text(text) if self.pseudonyms else text

    def connection(self, connection: Record) -> Record:
        """One entry of the report's `connections`."""
        shown = dict(connection)
        if self.pseudonyms:
            for side in ("client", "server"):
                shown[side] = {**shown[side], "address": self.pseudonyms.address(shown[side]["address"])}
            if (shown.get("tls") or {}).get("sni"):
                shown["tls"] = {**shown["tls"], "sni": self.pseudonyms.host(shown["tls"]["sni"])}
        if shown.get("handshake"):
            shown["handshake"] = self._handshake(shown["handshake"])
        if shown.get("close"):
            shown["close"] = {key: self._close(value) for key, value in shown["close"].items()}
        if shown.get("termination"):
            shown["termination"] = self._story(shown["termination"])
        if shown.get("notices"):
            shown["notices"] = [self.text(text) for text in shown["notices"]]
        if shown.get("last_frames") and not self.show_payload:
            shown["last_frames"] = [self._frame(frame) for frame in shown["last_frames"]]
        return shown

    def finding(self, finding: Record) -> Record:
        """One entry of the report's `findings`."""
        detail = self.text(finding["detail"])
        return finding if detail == finding["detail"] else {**finding, "detail": detail}

    def incident(self, incident: Record) -> Record:
        """One entry of the report's `incidents`."""
        shown = self._story(incident)
        if self.pseudonyms and isinstance(shown.get("server"), str):
            shown["server"] = self.pseudonyms.host(shown["server"])
        return shown

    def notice(self, notice: Record) -> Record:
        """One entry of the report's `notices`."""
        return {**notice, "text": self.text(notice.get("text") or "")}

    def _handshake(self, handshake: Record) -> Record:
        shown = dict(handshake)
        if not self.show_payload:
            for key in ("target", "origin"):
                if shown.get(key):
                    shown[key] = redact_target(shown[key])
            for key in ("user_agent", "server", "subprotocol"):
                if shown.get(key):
                    shown[key] = redact_reason(shown[key])
            # A subprotocol list is where browsers hide bearer tokens, since they cannot set headers.
            shown["subprotocols_offered"] = [redact_reason(name) for name in shown.get("subprotocols_offered") or []]
        if self.pseudonyms:
            if shown.get("host"):
                shown["host"] = self.pseudonyms.host(shown["host"])
            if shown.get("origin"):
                scheme, mark, rest = shown["origin"].rpartition("//")
                shown["origin"] = scheme + mark + (self.pseudonyms.host(rest) if rest not in {"", "null"} else rest)
            if shown.get("target"):
                shown["target"] = self.pseudonyms.text(shown["target"])
        return shown

    def _close(self, value: Any) -> Any:
        return {**value, "reason": self.text(value["reason"])} if isinstance(value, dict) and value.get("reason") else value

    def _story(self, record: Record) -> Record:
        shown = dict(record)
        for key in ("detail", "confirm"):
            if shown.get(key):
                shown[key] = self.text(shown[key])
        if shown.get("evidence"):
            shown["evidence"] = [self.text(fact) for fact in shown["evidence"]]
        return shown

    def _frame(self, frame: Record) -> Record:
        if frame.get("reason"):
            frame = {**frame, "reason": redact_reason(frame["reason"])}
        if "payload" in frame or "text" in frame:
            frame = {key: value for key, value in frame.items() if key not in {"payload", "text"}}
        return frame


class ReportLike(Protocol):
    """What a renderer asks of a report."""

    @property
    def inputs(self) -> list[Record]: ...
    @property
    def summary(self) -> Record: ...
    @property
    def incidents(self) -> list[Record]: ...
    @property
    def findings(self) -> list[Record]: ...
    def iter_findings(self) -> Iterator[Record]: ...
    @property
    def notices(self) -> list[Record]: ...
    @property
    def groups(self) -> list[RuleGroup]: ...

    def connection_count(self) -> int:
        """Number of connections."""
        ...

    def connection(self, index: int) -> Record:
        """The connection with id `index` + 1."""
        ...

    def is_abnormal(self, index: int) -> bool:
        """Whether that connection counts as an abnormal end. It need not be built for that."""
        ...

    def iter_connections(self) -> Iterator[Record]:
        """All connections in order of id."""
        ...

    def to_dict(self) -> Record:
        """The JSON contract."""
        ...


class RedactedReport:
    """The same report as every renderer may show it: each text went through one `Redactor`."""

    def __init__(self, report: ReportLike, redactor: Redactor) -> None:
        self._report = report
        self._redactor = redactor
        self.pseudonymized = redactor.pseudonyms is not None
        if redactor.pseudonyms:  # number the addresses in order of connection id, whichever connection a renderer asks for first
            for connection in report.iter_connections():
                redactor.connection(connection)
        self.inputs = [
            {**entry, "notices": [redactor.text(text) for text in entry.get("notices") or []]} for entry in report.inputs
        ]
        self.summary = report.summary
        self.incidents = [redactor.incident(incident) for incident in report.incidents]
        if redactor.pseudonyms:
            for _ in self.iter_findings():  # numbers their addresses before those of the notices
                pass
        self.notices = [redactor.notice(notice) for notice in report.notices]

    @functools.cached_property
    def findings(self) -> list[Record]:
        """All findings, redacted."""
        return list(self.iter_findings())

    def iter_findings(self) -> Iterator[Record]:
        """The same one by one, for who needs each but once."""
        return map(self._redactor.finding, self._report.iter_findings())

    @functools.cached_property
    def groups(self) -> list[RuleGroup]:
        """All findings by rule and verdict, the first of each redacted."""
        return [group._replace(first=self._redactor.finding(group.first)) for group in self._report.groups]

    def connection_count(self) -> int:
        """Number of connections."""
        return self._report.connection_count()

    def connection(self, index: int) -> Record:
        """The connection with id `index` + 1, redacted."""
        return self._redactor.connection(self._report.connection(index))

    def is_abnormal(self, index: int) -> bool:
        """Whether that connection counts as an abnormal end."""
        return self._report.is_abnormal(index)

    def iter_connections(self) -> Iterator[Record]:
        """All connections in order of id, redacted."""
        return map(self._redactor.connection, self._report.iter_connections())

    def to_dict(self) -> Record:
        """The JSON contract, redacted."""
        return {
            **self._report.to_dict(),
            "inputs": self.inputs,
            "summary": self.summary,
            "connections": list(self.iter_connections()),
            "findings": self.findings,
            "incidents": self.incidents,
            "notices": self.notices,
        }


def redacted(report: ReportLike, show_payload: bool = False, pseudonymize: bool = False) -> ReportLike:
    """`report` (for a `Report`, its records) as it may leave the house; the records themselves when nothing is to be hidden."""
    report = getattr(report, "records", report)
    if show_payload and not pseudonymize:
        return report
    return RedactedReport(report, Redactor(show_payload, pseudonymize))
