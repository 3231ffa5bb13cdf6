"""The three forms of the kernel find the same in the same capture: compiled, plain, and plain without its shortcuts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from properties.forms import FORMS, facts_in
from properties.mutate import mutated

SAMPLES = Path(__file__).resolve().parents[2] / "sample_pcaps"
EACH = 8  # mutations of a sample


@cache
def captures() -> list[tuple[str, bytes]]:
    """The samples that are classic pcap files, as they are and mutated."""
    found = []
    for path in sorted(SAMPLES.glob("*.pcap")):
        data = path.read_bytes()
        if len(data) > 300_000 or data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
            continue
        found.append((path.name, data))
        found += [(f"{path.name}, seed {seed}", mutated(data, seed)) for seed in range(EACH)]
    return found


@cache
def found_in(form: str) -> list[Any]:
    return facts_in(form, [data for _, data in captures()])


@pytest.mark.parametrize("form", FORMS[:-1])
def test_a_form_finds_what_the_general_way_finds(form: str) -> None:
    if form == "compiled":
        from wsaudit.kernel import buffer

        if not list(Path(buffer.__file__).parent.glob("packets.*.so")):
            pytest.skip("the kernel is not compiled: run `make kernel`")
    assert len(captures()) > 100
    for (name, _), expected, found in zip(captures(), found_in("general"), found_in(form), strict=True):
        assert found == expected, name


def test_something_was_found() -> None:
    """Mutations that leave nothing to find would prove nothing."""
    connections = [len(document["connections"]) for document, *_ in found_in("general")]
    assert sum(count > 0 for count in connections) > len(connections) / 2
    assert sum(len(document["findings"]) for document, *_ in found_in("general")) > 100
