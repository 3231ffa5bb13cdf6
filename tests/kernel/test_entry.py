"""One connection as an entry of the JSON report: the same in both forms of the kernel. tests/test_rows.py holds what it says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from wsaudit.model import NOT_EXPLAINED, ApplicationBeat, Close, Detail, Heartbeat

NOW = 1_700_000_000_000_000_000
BEAT = ApplicationBeat("constant", 1, 3, 1_000_000_000, None, NOW + 7, 9, 10, 0, ())
FULL = Detail(
    9, ((1, 2, 3, 4, 5, 6, 7), (8, 9, 10, 11, 12, 13, 14)), ((1, 2, -1, 4, 5), (6, 7, 8, 9, 10)), ((3, NOW + 1), (0, 0)), 77,
    (1, None, 3, None), (1, 2, 3, 4, 5), 6, 7, ((NOW + 2, 4, 1, 0x81, 5),), Heartbeat((1, 2), (0, 1), 5, None, 6, (3, 4), BEAT),
)  # fmt: skip


def no_facts(*said: Any) -> tuple[str, ...]:
    raise AssertionError("this end has sentences of its own")


def entry(kernel: SimpleNamespace, detail: Detail, **more: Any) -> dict[str, Any]:
    ends = (b"\n\0\0\1", 4000), (b"\n\0\0\2", 80)
    packed = kernel.packed.pack_numbers(detail.as_numbers())
    row = kernel.connection.Connection(1 << 40 | 3, NOW, NOW + 9, *ends, packed, **more)
    assert row.detail == detail
    found: dict[str, Any] = kernel.entry.connection_dict(4, row, no_facts)
    return found


def test_both_forms_say_the_same(compiled_kernel: SimpleNamespace, pure_kernel: SimpleNamespace) -> None:
    said = NOT_EXPLAINED._replace(evidence=("a fact",), initiator=0)
    known: dict[str, Any] = {"close": (Close(1000, b"\xff", False), None), "tls": ("TLS 1.3", "c", "a", None, True, None)}
    for detail in (Detail(5), FULL):
        for more in ({}, known):
            found = [entry(kernel, detail, termination=said, **more) for kernel in (compiled_kernel, pure_kernel)]
            assert found[0] == found[1]


def test_an_end_without_sentences_gets_them_from_the_closes(compiled_kernel: SimpleNamespace) -> None:
    row = compiled_kernel.connection.Connection(
        1,
        NOW,
        NOW,
        (b"\n\0\0\1", 1),
        (b"\n\0\0\2", 2),
        compiled_kernel.packed.pack_numbers(FULL.as_numbers()),
        termination=NOT_EXPLAINED._replace(evidence=None),
    )
    asked = []

    def facts(end: Any, closes: Any, places: Any) -> tuple[str, ...]:
        asked.append((end, closes, places))
        return ("said",)

    assert compiled_kernel.entry.connection_dict(1, row, facts)["termination"]["evidence"] == ["said"]
    assert asked == [(row.termination, (None, None), FULL.closes)]
