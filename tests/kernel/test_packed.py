"""Numbers packed as bytes come back, in both forms of the kernel, whatever 64 bits they are."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

EDGES = [edge + step for bit in range(64) for edge in (1 << bit, -(1 << bit)) for step in (-1, 0, 1)]
EDGES = [edge for edge in EDGES if -(1 << 63) <= edge < 1 << 63]
numbers = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.sampled_from(EDGES), st.integers(-70, 70))


@given(st.lists(numbers, max_size=200))
def test_what_is_packed_comes_back(compiled_kernel: SimpleNamespace, pure_kernel: SimpleNamespace, values: list[int]) -> None:
    for packer in (compiled_kernel, pure_kernel):
        packed = packer.packed.pack_numbers(values)
        for kernel in (compiled_kernel, pure_kernel):
            assert kernel.packed.unpack_numbers(packed) == values


@pytest.fixture(params=["pure_kernel", "compiled_kernel"])
def packed(request: pytest.FixtureRequest) -> SimpleNamespace:
    kernel: SimpleNamespace = request.getfixturevalue(request.param).packed
    return kernel


def test_every_edge(packed: SimpleNamespace) -> None:
    assert packed.unpack_numbers(packed.pack_numbers(EDGES)) == EDGES


@pytest.mark.parametrize(
    ("value", "size"),
    [(0, 1), (-1, 1), (63, 1), (-64, 1), (64, 2), (-65, 2), (8191, 2), (8192, 3), ((1 << 63) - 1, 10), (-(1 << 63), 10)],
)
def test_small_numbers_are_short(compiled_kernel: SimpleNamespace, value: int, size: int) -> None:
    assert len(compiled_kernel.packed.pack_numbers([value])) == size


def test_a_packer_begins_anew(packed: SimpleNamespace) -> None:
    packer = packed.Packer()
    for count in (3, 2000, 0, 5):  # more than it has room for at first
        values = list(range(-count, 9 * 10**18, 10**18 // max(count, 1)))[:count]
        for value in values:
            packer.add(value)
        taken = packer.taken()
        assert taken == packed.pack_numbers(values)
        assert packed.unpack_numbers(taken) == values


@given(st.lists(numbers, min_size=1, max_size=50), st.data())
def test_one_of_many(
    compiled_kernel: SimpleNamespace, pure_kernel: SimpleNamespace, values: list[int], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    for packer in (compiled_kernel, pure_kernel):
        packed = packer.packed.pack_numbers(values)
        for kernel in (compiled_kernel, pure_kernel):
            assert kernel.packed.number_at(packed, place) == values[place]
            with pytest.raises(IndexError):
                kernel.packed.number_at(packed, len(values))
