"""GETs that are kept until all connections are known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from wsaudit.model import PlainGet


@pytest.mark.parametrize("form", ["pure_kernel", "compiled_kernel"])
def test_the_first_are_kept(form: str, request: pytest.FixtureRequest) -> None:
    kernel: SimpleNamespace = request.getfixturevalue(form)
    gets = kernel.gets.Gets([], 3, lambda head: (head[:4].decode(), None, "x"))
    flow = kernel.streams.Flow(b"aaaa", 1, b"bbbb", 2)
    a, b = (b"aaaa", 1), (b"bbbb", 2)
    gets.add(flow, 0, b"GET /", 10, 1, 200, 20, 2)
    gets.add(flow, 1, b"GET /b", 30, 3, 404, 40, 1 << 40)
    for _ in range(2):
        gets.add(flow, 0, b"GET /" + bytes(1020), 50, 5, 200, 60, 6)  # hostile ones may be long
    assert gets.seen == 4
    assert gets.kept == [
        PlainGet(a, b, b"GET /", 200, 10, 1, 20, 2),
        PlainGet(b, a, b"GET /b", 404, 30, 3, 40, 1 << 40),
        PlainGet(a, b, ("GET ", None, "x"), 200, 50, 5, 60, 6),
    ]
    assert all(isinstance(get, PlainGet) for get in gets.kept)
