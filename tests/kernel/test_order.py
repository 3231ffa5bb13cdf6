"""Sorting by numbers, in both forms of the kernel."""

from __future__ import annotations

from array import array
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

MOST = (1 << 63) - 1
numbers_of_all_sizes = st.lists(st.integers(0, 5) | st.integers(0, 1 << 24) | st.integers(0, MOST))


@given(numbers_of_all_sizes)
def test_the_smallest_first_and_equal_ones_as_they_come(
    compiled_kernel: SimpleNamespace, pure_kernel: SimpleNamespace, numbers: list[int]
) -> None:
    wanted = sorted(range(len(numbers)), key=numbers.__getitem__)
    for kernel in (compiled_kernel, pure_kernel):
        assert list(kernel.order.order(array("q", numbers))) == wanted


def test_the_largest_number(compiled_kernel: SimpleNamespace) -> None:
    assert list(compiled_kernel.order.order(array("q", [MOST, 0, MOST - 1]))) == [1, 2, 0]
