"""Several bytes of a buffer at once, as the interpreter reads them; tests/kernel/test_records.py and test_packets.py hold both
kernels to the same walk and the same keys."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.kernel import numbers
from wsaudit.kernel.buffer import Buffer


@pytest.mark.parametrize("big", [False, True])
@given(number=st.integers(0, 2**32 - 1))
def test_numbers_composed_of_bytes_are_those_of_struct(big: bool, number: int) -> None:
    buffer = Buffer(b"\xff" + struct.pack(">I" if big else "<I", number) + b"\xff")
    assert numbers.u32(numbers.at(buffer, 1, 4), 0, big) == number


@given(data=st.binary(min_size=12, max_size=12), other=st.integers(0, 2))
def test_words_are_compared_one_by_one(data: bytes, other: int) -> None:
    words = [0, *struct.unpack("<3I", data), 0]
    buffer = Buffer(b"\xff" + data[:8] + b"\xff" + data[8:])
    assert numbers.are_ends(buffer, 1, 2, 10, words, 1)
    words[1 + other] ^= 1
    assert not numbers.are_ends(buffer, 1, 2, 10, words, 1)


def test_four_or_eight_bytes_are_one_number() -> None:
    assert numbers.le32(Buffer(b"\0" + struct.pack("<I", 2**31 + 5)), 1) == 2**31 + 5
    assert numbers.le64(Buffer(b"\0" + struct.pack("<Q", 2**63 + 5)), 1) == 2**63 + 5
