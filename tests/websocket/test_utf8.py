"""Utf8Check: every invalid form of RFC 3629, at every cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.websocket.utf8 import Utf8Check


def check(*pieces: bytes) -> int | None:
    checker = Utf8Check()
    for piece in pieces:
        checker.feed(piece)
    assert checker.finish() is (checker.invalid_at is None)
    return checker.invalid_at


INVALID = [
    b"\x80",  # a continuation byte alone
    b"\xbf",
    b"\xc0\x80",  # overlong NUL
    b"\xc1\xbf",
    b"\xe0\x80\x80",
    b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\x80",
    b"\xf0\x8f\xbf\xbf",
    b"\xed\xa0\x80",  # surrogates
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xf4\x90\x80\x80",  # above U+10FFFF
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",  # forms of five and six bytes
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xc3",  # cut short
    b"\xc3(",
    b"\xe2\x82",
    b"\xe2\x82(",
    b"\xf0\x9f\x98",
    b"\xf0\x9f\x98(",
]

VALID = [
    "",
    "ascii",
    "\x00\x7f",
    "\x80\u07ff\u0800\ud7ff\ue000\ufffd\uffff\U00010000\U0010ffff",
    "κόσμε",
    "\ufeff",
    "\ufdd0\ufffe",
]


@pytest.mark.parametrize("sequence", INVALID, ids=bytes.hex)
@pytest.mark.parametrize("before", ["", "abc", "\u20ac"])
def test_invalid_at_every_cut(sequence, before):
    text = before.encode() + sequence + b"z"
    for cut in range(len(text) + 1):
        assert check(text[:cut], text[cut:]) == len(before.encode())
    assert check(*(bytes([byte]) for byte in text)) == len(before.encode())


@pytest.mark.parametrize("sequence", [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"], ids=bytes.hex)
def test_cut_short_at_the_end(sequence):
    assert check(b"ab" + sequence) == 2
    assert check(b"ab", sequence, b"") == 2


@pytest.mark.parametrize("text", VALID)
def test_valid_at_every_cut(text):
    data = text.encode()
    for cut in range(len(data) + 1):
        assert check(data[:cut], data[cut:]) is None


@pytest.mark.parametrize(
    "sequence", [b"\xed\xa0\x80", b"\xf4\x90", b"\xe0\x80", b"\xf0\x80", b"\xc0", b"\xf5", b"\xf8"], ids=bytes.hex
)
def test_fault_is_known_as_soon_as_the_byte_is_there(sequence):
    checker = Utf8Check()
    checker.feed(b"ok" + sequence)
    assert checker.invalid_at == 2


@given(st.binary(max_size=40) | st.text(max_size=20).map(str.encode), st.lists(st.integers(0, 40), max_size=4))
def test_agrees_with_a_decode_of_the_whole(data, cuts):
    bounds = [0, *sorted(cuts), len(data)]
    expected: int | None = None
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as fault:
        expected = fault.start
    assert check(*(data[a:b] for a, b in itertools.pairwise(bounds))) == expected
