from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from wsaudit.tls.keylog import KeyStore

RANDOM = bytes(range(32))
MASTER = bytes(range(48))
LINE = b"CLIENT_RANDOM %s %s\n" % (RANDOM.hex().encode(), MASTER.hex().encode())


def tls13_line(label: str, random: bytes = RANDOM, size: int = 32) -> bytes:
    return f"{label} {random.hex()} {'ab' * size}\n".encode()


def test_lookup() -> None:
    store = KeyStore()
    assert store.add(b"# comment\n\n" + LINE + tls13_line("CLIENT_TRAFFIC_SECRET_0") + tls13_line("EXPORTER_SECRET")) == []
    assert store.lookup("CLIENT_RANDOM", RANDOM) == MASTER
    assert store.lookup("CLIENT_TRAFFIC_SECRET_0", RANDOM) == b"\xab" * 32
    assert store.lookup("SERVER_TRAFFIC_SECRET_0", RANDOM) is None
    assert store.lookup("CLIENT_RANDOM", bytes(32)) is None
    assert (store.knows(RANDOM), store.knows(bytes(32))) == (True, False)


def test_line_ends_and_case() -> None:
    store = KeyStore()
    assert store.add(LINE.upper().replace(b"\n", b"\r\n")) == []
    assert store.lookup("CLIENT_RANDOM", RANDOM) == MASTER


def test_forms_for_rsa() -> None:
    store = KeyStore()
    text = [
        f"RSA 0011223344556677 {MASTER.hex()}",
        f"RSA Session-ID:aabb Master-Key:{MASTER.hex()}",
        f"PMS_CLIENT_RANDOM {RANDOM.hex()} 0102",
    ]
    assert store.add("\n".join(text).encode()) == []
    assert store.lookup("RSA", bytes.fromhex("0011223344556677")) == MASTER
    assert store.lookup("SESSION_ID", b"\xaa\xbb") == MASTER
    assert store.lookup("PMS_CLIENT_RANDOM", RANDOM) == b"\x01\x02"


def test_version_grows_with_keys_only() -> None:
    store = KeyStore()
    store.add(LINE)
    assert store.version == 1
    store.add(LINE + b"nonsense\n")
    assert store.version == 1
    store.add(tls13_line("CLIENT_TRAFFIC_SECRET_0") + tls13_line("SERVER_TRAFFIC_SECRET_0"))
    assert store.version == 3


def test_bad_lines_are_counted_and_named_by_nothing() -> None:
    store = KeyStore()
    bad = [
        LINE[:-20] + b"\n",  # cut off
        LINE.replace(b"00", b"zz", 1),
        b"CLIENT_RANDOM\n",
        b"CLIENT_RANDOM " + b"00" * 31 + b" " + b"00" * 48 + b"\n",
        tls13_line("CLIENT_TRAFFIC_SECRET_0", size=33),
        tls13_line("WHATEVER"),
        b"\xff\xfe\x00\n",
    ]
    notices = store.add(b"".join(bad))
    assert notices == [f"key log: {len(bad)} lines are not a usable secret"]
    assert store.version == 0


def test_the_earlier_of_contradicting_lines_is_used() -> None:
    store = KeyStore()
    other = LINE.replace(MASTER.hex().encode(), b"77" * 48)
    assert "contradict" in store.add(LINE + other)[0]
    assert store.lookup("CLIENT_RANDOM", RANDOM) == MASTER


def test_a_line_without_end_fills_no_memory() -> None:
    store = KeyStore()
    assert store.add_pieces([b"x" * 100_000] * 50 + [b"\n" + LINE]) == ["key log: 1 line is not a usable secret"]
    assert store.lookup("CLIENT_RANDOM", RANDOM) == MASTER


@given(st.lists(st.integers(0, 600), max_size=6))
def test_pieces_make_no_difference(cuts: list[int]) -> None:
    text = LINE + tls13_line("CLIENT_TRAFFIC_SECRET_0") + b"bad\n" + tls13_line("SERVER_TRAFFIC_SECRET_0", size=48)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    store = KeyStore()
    notices = store.add_pieces(text[a:b] for a, b in itertools.pairwise(places))
    assert (store.version, len(notices)) == (3, 1)
    assert store.lookup("SERVER_TRAFFIC_SECRET_0", RANDOM) == b"\xab" * 48


@given(st.binary(max_size=300))
def test_arbitrary_text(text: bytes) -> None:
    KeyStore().add(text)


def test_repr_shows_no_secret() -> None:
    store = KeyStore()
    store.add(LINE)
    assert repr(store) == "<KeyStore: 1 sessions>"
