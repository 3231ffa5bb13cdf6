"""Rows as columns: what is made from them is what they were made from, in both forms of the kernel."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from tests.kernel.test_connection import GIVEN, OTHERS


@pytest.fixture(params=["pure_kernel", "compiled_kernel"])
def kernel(request: pytest.FixtureRequest) -> SimpleNamespace:
    found: SimpleNamespace = request.getfixturevalue(request.param)
    return found


def sent(columns: Any) -> Any:
    """As another process gets it; rows of the form that this run does not use cannot be pickled."""
    return (*columns[:1], *pickle.loads(pickle.dumps(columns[1:])))


def test_rows(kernel: SimpleNamespace) -> None:
    kind = kernel.connection.Connection
    rows = [kind(*GIVEN), kind(*GIVEN, **OTHERS)]
    rows += [kind(*GIVEN, **{name: value}) for name, value in OTHERS.items()]
    rows += [kind(number, *GIVEN[1:], **OTHERS | {"latency": None, "key": None}) for number in range(3)]
    found = kernel.columns.to_rows(sent(kernel.columns.from_rows(rows)))
    assert found == rows
    assert not any(row.number for row in found)
    assert kernel.columns.to_rows(kernel.columns.from_rows([])) == []


def test_rows_that_are_another_of_one_are_of_its_kind(kernel: SimpleNamespace) -> None:
    first = kernel.connection.Connection(*GIVEN, **OTHERS)
    rows = [first]
    for number in range(40):
        row = first.another()
        for name in ("first_packet", "started", "ended", "client", "server", "packed", "target", "key", "close", "termination"):
            setattr(row, name, getattr(first, name))
        row.end_time = number
        row.packed_keys = bytes(number)
        row.latency = number
        rows.append(row)
    columns = kernel.columns.from_rows(rows)
    assert len(columns[0]) == 1
    assert kernel.columns.to_rows(sent(columns)) == rows


def test_many_kinds(kernel: SimpleNamespace) -> None:
    rows = [kernel.connection.Connection(*GIVEN, host=f"host {number % 50}") for number in range(200)]
    assert kernel.columns.to_rows(sent(kernel.columns.from_rows(rows))) == rows
