import itertools

import pytest

from wsaudit.registry.cloudflare import CloudflareClose, cloudflare_close

CLASSES = ("closed", "close-unanswered", "dropped", "refused", "failed", "ongoing", "unknown")
HOWS = ("fin", "rst", "silent", "stream-reset", "goaway", "tls-alert", "capture-end", None)
SIDES = ("client", "server", "both", None)
CAUSES = ("normal", "idle-timeout", "protocol-error", "network-loss", "unknown", None)


def test_every_ending_has_an_answer_and_only_endings_have() -> None:
    for class_, how, by, cause in itertools.product(CLASSES, HOWS, SIDES, CAUSES):
        found = cloudflare_close(class_, how, by, cause)
        assert (found is not None) == (class_ in ("closed", "close-unanswered", "dropped"))


@pytest.mark.parametrize(
    ("class_", "how", "by", "cause", "expected"),
    [
        ("closed", "fin", "server", "normal", CloudflareClose(("none", "peerNoError"), "upstream")),
        ("dropped", "rst", "client", "unknown", CloudflareClose(("peerReset",), "downstream")),
        ("dropped", "rst", "server", "unknown", CloudflareClose(("upstreamReset", "peerReset"), "upstream")),
        ("dropped", "fin", "server", "idle-timeout", CloudflareClose(("timedOut",), "upstream")),
        ("dropped", "silent", None, "unknown", CloudflareClose(("timedOut",), None)),
        ("closed", "fin", "both", "protocol-error", CloudflareClose(("protocolViolation", "peerNoError"), "both")),
        ("dropped", "tls-alert", "client", "tls-failure", CloudflareClose(("unspecifiedError",), "downstream")),
    ],
)
def test_mapping(class_: str, how: str, by: str | None, cause: str, expected: CloudflareClose) -> None:
    assert cloudflare_close(class_, how, by, cause) == expected
