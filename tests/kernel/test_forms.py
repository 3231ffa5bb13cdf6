"""Heads held against the fixed parts of others, in both forms of the kernel."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

HEAD = b"GET /chat HTTP/1.1\r\nKey: dGhl+/==\r\nDate: Sun, 22 Nov\r\nHost: h\r\n\r\nbehind"
LITERALS = (b"\r\nKey: ", b"\r\nDate: ", b"\r\nHost: h\r\n\r\n")
START, END = HEAD.index(b"\r\n"), HEAD.index(b"behind")
FORMS = pytest.mark.parametrize("form", ["pure_kernel", "compiled_kernel"])
BAD = [b"", b" a", b"a ", b"a  b", b"a\tb", b"\xe9", b"a\rb", b"a\nb", b"a\0", b"\x7f"]


@FORMS
def test_values(form: str, request: pytest.FixtureRequest) -> None:
    values_between = request.getfixturevalue(form).forms.values_between
    assert values_between(LITERALS, HEAD, START, END) == [b"dGhl+/==", b"Sun, 22 Nov"]
    assert values_between((HEAD[:END],), HEAD, 0, END) == []
    assert values_between(LITERALS, HEAD, START, END - 1) is None
    assert values_between(LITERALS, HEAD, START, END + 1) is None
    assert values_between(LITERALS[:2], HEAD, START, END) is None
    assert values_between((*LITERALS, b""), HEAD, START, END) is None


@FORMS
@pytest.mark.parametrize("value", BAD)
def test_a_value_with_something_odd_is_none(form: str, value: bytes, request: pytest.FixtureRequest) -> None:
    values_between = request.getfixturevalue(form).forms.values_between
    head = HEAD.replace(b"dGhl+/==", value)
    assert values_between(LITERALS, head, START, head.index(b"behind")) is None


pieces = st.sampled_from([b"\r\n", b"\r", b"\n", b" ", b"a", b"bc", b"\r\nKey: ", b"\r\nDate: ", b"\r\n\r\n", *BAD])
heads = st.lists(pieces, max_size=12).map(b"".join)
literals = st.lists(st.sampled_from([b"\r\nKey: ", b"\r\nDate: ", b"\r\n", b"\r\n\r\n"]), min_size=1, max_size=4).map(tuple)


@given(data=heads, fixed=literals, start=st.integers(0, 3), short=st.integers(0, 3))
def test_both_forms(
    pure_kernel: SimpleNamespace,
    compiled_kernel: SimpleNamespace,
    data: bytes,
    fixed: tuple[bytes, ...],
    start: int,
    short: int,
) -> None:
    end = max(start, len(data) - short)
    found = compiled_kernel.forms.values_between(fixed, data, start, end)
    assert found == pure_kernel.forms.values_between(fixed, data, start, end)
    pattern = rb"([!-~]+(?: [!-~]+)*)".join(map(re.escape, fixed))
    match = re.fullmatch(pattern, data[start:end])
    assert found == (None if match is None else list(match.groups()))
