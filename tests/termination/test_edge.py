"""Our endings as Cloudflare's edge logs them: by the numbers of the sides, and one of several names."""

from __future__ import annotations

import pytest

from wsaudit.model import BOTH, CLIENT, SERVER
from wsaudit.termination.edge import cloudflare


@pytest.mark.parametrize(
    ("end", "logged"),
    [
        (("closed", "fin", CLIENT, "normal"), ("none", "downstream")),
        (("closed", "fin", SERVER, "normal"), ("none", "upstream")),
        (("closed", "fin", BOTH, "normal"), ("none", "both")),
        (("dropped", "rst", SERVER, "endpoint-killed"), ("upstreamReset", "upstream")),  # the edge has two names for it
        (("dropped", "silent", None, "network-loss"), ("timedOut", "none")),  # by nobody
    ],
)
def test_an_end_has_a_reason_and_a_source(end: tuple[str, str, int | None, str], logged: tuple[str, str]) -> None:
    assert cloudflare(*end) == logged


@pytest.mark.parametrize("end", [("ongoing", "capture-end", None, "none"), ("refused", "fin", SERVER, "handshake-refused")])
def test_what_was_not_open_or_has_not_ended_is_not_logged(end: tuple[str, str, int | None, str]) -> None:
    assert cloudflare(*end) is None
