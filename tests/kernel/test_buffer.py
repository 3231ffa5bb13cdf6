"""Bytes that the kernel reads in place."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest


@pytest.mark.parametrize("size", [*range(18), 63, 64, 65, 100_000])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_any_size(size: int, kind: type, compiled_kernel: SimpleNamespace, pure_kernel: SimpleNamespace) -> None:
    raw = kind(i * 7 & 255 for i in range(size))
    for kernel in (compiled_kernel, pure_kernel):
        buffer = kernel.buffer.Buffer(raw)
        assert buffer.size == size
        assert buffer.raw is raw


@pytest.mark.parametrize("size", [0, 7, 8, 9, 16, 23, 80])
def test_words_are_the_bytes_eight_at_a_time(size: int, compiled_kernel: SimpleNamespace) -> None:
    """ASCII is checked by words: every size and every place of the first byte that is not ASCII."""
    for wrong in range(size):
        text = bytearray(b"a" * size)
        text[wrong] = 0xFF
        scanner = compiled_kernel.frames.Scanner(0, None)
        data = bytes((0x81, size)) + text
        scanner.feed(compiled_kernel.buffer.Buffer(data), 0, len(data), 1, 1)
        assert (scanner.bad_text, scanner.bad_text_offset) == (1, 2 + wrong)


def test_a_position_outside_is_an_error_and_not_memory(compiled_kernel: SimpleNamespace) -> None:
    scanner = compiled_kernel.frames.Scanner(0, None)
    for start, end in ((0, 9), (8, 20), (100, 108)):
        with pytest.raises(IndexError):
            scanner.feed(compiled_kernel.buffer.Buffer(b"\x81\x05"), start, end, 1, 1)


def test_plain_mode_keeps_no_views(pure_kernel: SimpleNamespace) -> None:
    raw = b"x" * 64
    before = sys.getrefcount(raw)
    buffer = pure_kernel.buffer.Buffer(raw)
    assert buffer.b is raw
    del buffer
    assert sys.getrefcount(raw) == before
