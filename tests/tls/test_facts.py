from __future__ import annotations

import pytest

from wsaudit.kernel.constants import SMALL_RECORD
from wsaudit.kernel.tls import RecordCounts
from wsaudit.tls.facts import Alert, version_name


@pytest.mark.parametrize(
    ("version", "name"),
    [(0x0300, "SSL 3.0"), (0x0301, "TLS 1.0"), (0x0303, "TLS 1.2"), (0x0304, "TLS 1.3"), (0x7F1C, "0x7F1C"), (0x0200, "0x0200")],
)
def test_version_name(version: int, name: str) -> None:
    assert version_name(version) == name


@pytest.mark.parametrize(
    ("level", "code", "fatal"), [(1, 0, False), (2, 0, False), (2, 40, True), (1, 46, True), (1, 90, False), (None, None, False)]
)
def test_is_fatal(level: int | None, code: int | None, fatal: bool) -> None:
    assert Alert(0, level, code, "", 0, 0, False).is_fatal is fatal


def test_record_counts() -> None:
    counts = RecordCounts()
    for size in (SMALL_RECORD, SMALL_RECORD + 1, 7):
        counts.add_application(size)
    assert (counts.application, counts.small, counts.last_size) == (3, 2, 7)
