"""Whether a connection is told from memory or looked at makes no difference to the report, whatever connections there are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties.alike import OTHERS, PLACES, WAYS, Talk, check
from termination.endings import CHROMIUM

USUAL = {
    "client closes": Talk(),
    "server closes": Talk(closes="SC", codes=(1001, 1001)),
    "server closes late": Talk(closes="SC", before=11, codes=(1011, 1011)),
    "server says 1000": Talk(closes="SC"),
    "crossing": Talk(closes="Cs", reasons=(b"error", b"failed")),
    "crossing, one is leaving": Talk(closes="Cs", codes=(1001, 1001), body="ping of server"),
    "crossing after Pings": Talk(closes="Cs", body="regular pings", codes=(1011, 1011)),
    "large messages": Talk(body="large"),
    "Engine.IO": Talk(target="/socket.io/?EIO=4&id={}"),  # any message may be a heartbeat
    "SYN not captured": Talk(opening="SYN lost"),
    "request in two": Talk(opening="request in two", cookie="a={}"),
    "without a code": Talk(codes=(None, None), body="pings of both", ends="v6"),
    "server without a code": Talk(closes="SC", codes=(None, None), body=""),
    "browser that pings": Talk(agent=CHROMIUM, body="ping of client", reasons=(b"error: x", b"error: x")),
    "greeting": Talk(opening="one with the answer", closes="SC", reasons=(b"error", b""), cookie="a={}"),
    "overdue Ping": Talk(body="unanswered ping", server="Python/3.12 websockets/15.0"),
    "two overdue Pings": Talk(closes="Cs", body="unanswered ping of server", before=6),
    "complaint": Talk(closes="SC", codes=(1009, 1009), body="huge before", server="uvicorn"),
    "crossing complaints": Talk(closes="Cs", codes=(1002, 1002), reasons=("\xfc ✓".encode(), b"")),
    "Pongs for nothing": Talk(closes="SC", body="two pongs for nothing", agent=CHROMIUM),
    "known words": Talk(closes="SC", codes=(4001, 4001), reasons=(b"", b"token expired"), body="unanswered ping of server"),
    "known words of a client": Talk(codes=(4001, 4001), reasons=(b"token expired", b""), agent=CHROMIUM, body="ping of client"),
    "words of a library": Talk(closes="SC", codes=(1011, 1011), reasons=(b"", b"keepalive ping timeout"), body="unanswered ping"),
    "words of a proxy": Talk(closes="SC", codes=(1001, 1001), reasons=(b"", b"Idle timeout"), server="nginx/1.27", before=11),
    "private code": Talk(
        closes="SC", codes=(4001, 4001), body="binary", agent="Python/3.12 websockets/15.0", server="nginx/1.27"
    ),
}

NEVER = ("Engine.IO", "SYN not captured")  # told from memory


def differing(usual: Talk, field: str) -> list[Talk]:
    """`usual` with each other value of one field."""
    if field == "network":
        return [usual._replace(network=each, where=where) for each in OTHERS["network"] for where in PLACES]
    return [usual._replace(**{field: each}) for each in OTHERS[field]]


@pytest.mark.parametrize("field", OTHERS)
@pytest.mark.parametrize("name", USUAL)
def test_one_difference(name: str, field: str) -> None:
    """A usual connection until its kind is known, then each that differs in one thing, often enough to be known itself; then all
    once more."""
    usual = USUAL[name]
    others = differing(usual, field)
    remembered = check([usual] * 3 + [each for other in others for each in (other, other, other)] + [usual] + others[::-1])
    assert remembered > 1 or name in NEVER


def test_the_first_of_its_kind_may_have_asked_in_another_way() -> None:
    usual = USUAL["two overdue Pings"]
    assert check([usual._replace(opening="POST")] + [usual] * 5) > 1


talks = st.sampled_from(sorted(USUAL)).map(USUAL.__getitem__)


@st.composite
def changed(draw: st.DrawFn, talk: Talk) -> Talk:
    """`talk`, or another that differs from it in a thing or two."""
    changes: dict[str, Any] = {}
    for field in draw(st.lists(st.sampled_from(sorted(OTHERS)), max_size=3, unique=True)):
        changes[field] = draw(st.sampled_from(OTHERS[field]))
    if "network" in changes:
        changes["where"] = draw(st.sampled_from(PLACES))
    return talk._replace(**changes)


@st.composite
def mixtures(draw: st.DrawFn) -> list[Talk]:
    """30 to 200 connections of a few kinds, the first of each more than once."""
    kinds = draw(st.lists(talks.flatmap(changed), min_size=1, max_size=3))
    more = draw(st.lists(st.sampled_from(kinds).flatmap(changed), max_size=12))
    known = [kind for kind in kinds for _ in range(3)]
    mixed = known + more + more[::-1] + kinds
    return (mixed * (1 + 30 // len(mixed)))[: draw(st.integers(30, 200))]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(mixtures(), st.sampled_from(WAYS), st.sampled_from((1, 32)))
def test_any_mixture(mixture: list[Talk], options: Any, together: int) -> None:
    check(mixture, options, together)


@pytest.mark.parametrize("options", WAYS)
def test_a_fleet(options: Any) -> None:
    """All kinds by turns, as the engine judges them: 32 at a time."""
    fleet = [USUAL[name] for _ in range(25) for name in USUAL]
    assert check(fleet, options, together=32) > (0 if options.limits.findings == 1 else 50)
