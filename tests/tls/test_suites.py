from __future__ import annotations

import pytest

from wsaudit.tls.suites import NAMES, suite, suite_name


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0x1301, ("gcm", 16, 16, "sha256", "", True)),
        (0x1302, ("gcm", 32, 16, "sha384", "", True)),
        (0x1303, ("chacha", 32, 16, "sha256", "", True)),
        (0x1304, ("ccm", 16, 16, "sha256", "", True)),
        (0x1305, ("ccm", 16, 8, "sha256", "", True)),
        (0xC02F, ("gcm", 16, 16, "sha256", "", False)),
        (0x009D, ("gcm", 32, 16, "sha384", "", False)),
        (0xC0AF, ("ccm", 32, 8, "sha256", "", False)),
        (0xC09E, ("ccm", 16, 16, "sha256", "", False)),
        (0xCCA9, ("chacha", 32, 16, "sha256", "", False)),
        (0x002F, ("cbc", 16, 0, "sha256", "sha1", False)),
        (0x003D, ("cbc", 32, 0, "sha256", "sha256", False)),
        (0xC024, ("cbc", 32, 0, "sha384", "sha384", False)),
    ],
)
def test_suite(number: int, expected: tuple[str, int, int, str, str, bool]) -> None:
    found = suite(number)
    assert found is not None
    assert (found.kind, found.key_length, found.tag_length, found.hash_name, found.mac_name, found.is_tls13) == expected


@pytest.mark.parametrize("number", [0x0005, 0x000A, 0x0041, 0xC050, 0x003B, 0x9999])
def test_what_cannot_be_opened(number: int) -> None:
    assert suite(number) is None


def test_every_name_can_be_read() -> None:
    assert all(suite(number) is None or suite(number).name == name for number, name in NAMES.items())  # type: ignore[union-attr]
    assert sum(suite(number) is not None for number in NAMES) > 90


def test_suite_name() -> None:
    assert suite_name(0x0005) == "TLS_RSA_WITH_RC4_128_SHA"
    assert suite_name(0x9999) == "0x9999"
