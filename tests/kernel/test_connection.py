"""The report's rows: they are compared, sent to other processes, shown, and made from what others have in common."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from wsaudit.kernel.connection import FIELDS, Connection
from wsaudit.model import NOT_EXPLAINED, Close, Detail

GIVEN = (1 << 41, 2, 3, (b"\n\0\0\1", 4), (b"\n\0\0\2", 5), b"packed")
OTHERS: dict[str, Any] = {
    "probable": True,
    "transport": "tls",
    "http": None,
    "tls": ("1.3",),
    "outcome": "accepted",
    "status": 101,
    "target": "/",
    "host": "h",
    "origin": "o",
    "user_agent": "u",
    "server_header": "s",
    "key": "k",
    "subprotocols_offered": ("a", "b"),
    "subprotocol": "a",
    "extensions": ("e",),
    "latency": 0,
    "auth": ("cookie",),
    "close": (Close(1000, b""), None),
    "termination": NOT_EXPLAINED._replace(kind="closed"),
    "end_time": 1 << 60,
    "complete": False,
    "midstream": True,
    "packed_keys": b"\1\2\3\4",
    "notices": ("n",),
}
OWN = ("first_packet", "started", "ended", "client", "server", "packed", "target", "key", "latency", "close", "termination")
OWN += ("end_time", "packed_keys")


@pytest.fixture(params=["pure_kernel", "compiled_kernel"])
def kernel(request: pytest.FixtureRequest) -> SimpleNamespace:
    form: SimpleNamespace = request.getfixturevalue(request.param)
    return form


@pytest.fixture
def kind(kernel: SimpleNamespace) -> Any:
    return kernel.connection.Connection


def test_each_field_counts(kind: Any) -> None:
    plain = kind(*GIVEN)
    assert plain == kind(*GIVEN)
    assert set(OTHERS) == set(FIELDS[len(GIVEN) :])
    for name, value in OTHERS.items():
        other = kind(*GIVEN, **{name: value})
        assert (other == plain, getattr(other, name)) == (False, value)
    for i in range(3):
        assert kind(*[each + (number == i) if number < 3 else each for number, each in enumerate(GIVEN)]) != plain
    assert plain != GIVEN


def test_what_is_shown(kind: Any) -> None:
    shown = repr(kind(*GIVEN, **OTHERS))
    assert shown.startswith(f"Connection(first_packet={1 << 41}, started=2, ")
    assert all(f" {name}={value!r}" in shown for name, value in OTHERS.items())


def test_a_latency_that_is_not_known(kind: Any) -> None:
    row = kind(*GIVEN)
    assert row.latency is None
    for latency in (0, 7, None):
        row.latency = latency
        assert row.latency == latency


def test_what_is_asked_often_is_not_unpacked(kernel: SimpleNamespace, kind: Any) -> None:
    for idle in (None, 0, 1 << 40):
        detail = Detail(7, closes=((1, 2), (3, 4)), silence=5, idle=(idle, 8, None, 9))
        row = kind(*GIVEN[:5], kernel.packed.pack_numbers(detail.as_numbers()))
        assert (row.idle, row.silence, row.closed_at(0), row.closed_at(1)) == (idle, 5, 2, 4)


def test_masking_keys(kind: Any) -> None:
    row = kind(*GIVEN)
    assert row.mask_keys == ()
    row.mask_keys = [0, 1 << 31, 0xFFFFFFFF]
    assert row.mask_keys == (0, 1 << 31, 0xFFFFFFFF)


def test_another_has_in_common_what_the_handshake_says(kind: Any) -> None:
    one = kind(*GIVEN, **OTHERS | {"probable": False, "complete": True, "midstream": False, "notices": ()})
    other = one.another()
    for name in OWN:
        setattr(other, name, getattr(one, name))
    assert other == one


def test_a_row_is_another_of_one_that_says_the_same_of_the_handshake(kind: Any) -> None:
    one = kind(*GIVEN, **OTHERS)
    assert one.another().is_another(one)
    for name in set(OTHERS) - set(OWN) - {"probable", "complete", "midstream", "notices"}:
        other = kind(*GIVEN, **OTHERS | {name: None})
        assert (other.is_another(one), one.is_another(other)) == (OTHERS[name] is None,) * 2


def test_a_row_is_sent_to_another_process() -> None:
    for named in ({}, OTHERS):
        row = Connection(*GIVEN, **named)
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(row, protocol)) == row
