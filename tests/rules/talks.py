"""Conversations after the handshake, and the findings about them, for tests of rules."""

from __future__ import annotations

import hashlib
from typing import Any, Self

import wire
from wire import C, S

from wsaudit.capture.reader import open_capture
from wsaudit.engine import Pass, run
from wsaudit.model import SIDES, Finding
from wsaudit.options import Options
from wsaudit.rules.judge import VERDICTS
from wsaudit.rules.rule import CATALOGUE
from wsaudit.session import Session
from wsaudit.tls.keylog import KeyStore

DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}
CHROME = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "Origin": "https://example.com",
}

Case = tuple[str, str, bytes, str]
"""Rule, who is at fault, capture, words of the detail."""


class Talk(wire.Conversation):
    """A conversation whose client takes a new masking key for every frame, as it should."""

    def frame(self, side: int, opcode: int, payload: bytes = b"", **how: Any) -> Self:
        if side == C:
            how.setdefault("mask", hashlib.sha256(b"%d" % len(self.packets)).digest()[:4])
        return super().frame(side, opcode, payload, **how)

    def bye(self, code: int | None = 1000) -> bytes:
        """The capture, after an end by the book."""
        return self.close(C, code).close(S, code).fin(S).fin(C).pcap()


def talk(request: wire.Headers = wire.UNCHANGED, response: wire.Headers = wire.UNCHANGED, **how: Any) -> Talk:
    """An open connection."""
    return Talk(**how).open().upgrade("/chat", request, response)


def deflated(parameters: str = "") -> Talk:
    """An open connection with permessage-deflate."""
    extension = {"Sec-WebSocket-Extensions": f"permessage-deflate{parameters}"}
    return talk(extension, extension)


def judged(capture: bytes, **options: Any) -> list[Finding]:
    """The findings about a capture, without those that compare connections."""
    return list(run([capture], Options(**options)).findings)


def history(capture: bytes) -> Session:
    """The history of the first connection of a capture, as rules get it."""
    kept: list[Session] = []
    work = Pass(Options(), KeyStore())
    work.session_over = kept.append  # type: ignore[method-assign]
    work.run([open_capture(capture, 0)])
    return kept[0]


def told(findings: list[Finding]) -> list[str]:
    """The rules that are certainly broken, with who is at fault: "FR-01 client"."""
    return [f"{each.rule} {each.at_fault}" for each in findings if each.verdict != "unverifiable"]


def assert_fires(rule: str, at_fault: str, capture: bytes, words: str) -> None:
    found = [each for each in judged(capture) if each.rule == rule and each.at_fault == at_fault]
    assert found, (rule, at_fault, told(judged(capture)))
    assert any(words in each.detail for each in found), [each.detail for each in found]
    for each in found:
        assert each.verdict == VERDICTS[CATALOGUE[rule].level], each
        assert each.place.packet > 0
        assert each.count >= 1
        assert each.last_packet >= each.place.packet
        assert SIDES[each.side] in (each.at_fault, *SIDES)


def assert_silent(rule: str, capture: bytes) -> None:
    """The rule says nothing, or nothing that accuses anybody."""
    assert [each for each in judged(capture) if each.rule == rule and each.verdict != "unverifiable"] == []


def name(value: object) -> str:
    """For the ids of parametrised tests."""
    return value if isinstance(value, str) and len(value) < 12 else ""


__all__ = [
    *(
        "CHROME",
        "DEFLATE",
        "C",
        "Case",
        "S",
        "Talk",
        "assert_fires",
        "assert_silent",
        "deflated",
        "history",
        "judged",
        "name",
        "talk",
    ),
    *("told", "wire"),
]
