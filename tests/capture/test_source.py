from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.capture import source as module
from wsaudit.capture.source import expand, name_of, open_source
from wsaudit.capture.unpacked import Unpacked
from wsaudit.errors import InputError

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}
# Compressible, but not to nothing.
CONTENT = b"".join(b"%d " % number for number in random.Random(1).choices(range(10**6), k=60_000))
PCAP = bytes.fromhex("d4c3b2a1") + bytes(20)


def drain(source: module.Source, size: int = 1 << 20) -> bytes:
    room = bytearray(size)
    out = bytearray()
    while count := source.readinto(memoryview(room)):
        out += room[:count]
    return bytes(out)


class Trickle(io.RawIOBase):
    """A pipe that gives a byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._rest = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, view: object) -> int:
        data = self._rest.read(1)
        memoryview(view)[: len(data)] = data  # type: ignore[call-overload,arg-type]
        return len(data)


class OnlyRead:
    """The least that can be called a binary file."""

    def __init__(self, data: bytes) -> None:
        self._rest = io.BytesIO(data)

    def read(self, count: int) -> bytes:
        return self._rest.read(count)


@pytest.mark.parametrize("packing", PACKERS)
def test_compression_is_recognised_by_content(packing: str, tmp_path: Path) -> None:
    path = tmp_path / "no suffix"
    path.write_bytes(PACKERS[packing](CONTENT))
    source = open_source(path)
    assert drain(source) == CONTENT
    assert (source.damage, source.remark) == ("", "")
    source.close()


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_read_in_any_portion_from_a_slow_pipe(packing: str, size: int) -> None:
    content = CONTENT[:20_000]
    assert drain(open_source(Trickle(PACKERS[packing](content))), size) == content


@pytest.mark.parametrize("packing", PACKERS)
def test_members_follow_each_other_with_padding(packing: str) -> None:
    pack = PACKERS[packing]
    source = open_source(pack(b"one ") + pack(b"") + bytes(8) + pack(CONTENT) + bytes(12))
    assert drain(source) == b"one " + CONTENT
    assert (source.damage, source.remark) == ("", "")


@pytest.mark.parametrize("packing", PACKERS)
def test_what_follows_the_members_is_ignored_and_told(packing: str) -> None:
    packed = PACKERS[packing](CONTENT)
    source = open_source(packed + b"rubbish")
    assert drain(source) == CONTENT
    assert source.damage == ""
    assert source.remark == f"what follows the {packing} data from byte {len(packed)} of the compressed file was ignored"


@pytest.mark.parametrize("packing", PACKERS)
def test_a_stream_cut_short_gives_what_there_is(packing: str) -> None:
    packed = PACKERS[packing](CONTENT)
    for length in range(10, len(packed), 4999):
        source = open_source(packed[:length])
        out = drain(source)
        assert CONTENT.startswith(out)
        assert source.damage == f"the {packing} data ends early, at byte {length} of the compressed file"
    # gzip and zstd write as they go, xz and bzip2 in blocks.
    if packing in ("gzip", "zstd"):
        assert len(drain(open_source(packed[: len(packed) // 2]))) > len(CONTENT) // 4


@pytest.mark.parametrize("packing", ["gzip", "xz"])
def test_damage_inside_loses_little_of_what_is_before_it(packing: str) -> None:
    packed = bytearray(PACKERS[packing](CONTENT))
    packed[-6] ^= 0xFF
    source = open_source(bytes(packed))
    out = drain(source)
    assert CONTENT.startswith(out)
    assert len(out) > 0.9 * len(CONTENT)
    assert source.damage.startswith(f"damaged {packing} data before byte {len(packed)} of the compressed file: ")


@given(st.sampled_from(sorted(PACKERS)), st.integers(0, 999), st.binary(max_size=40))
def test_any_damage_is_told_and_never_raised(packing: str, place: int, patch: bytes) -> None:
    packed = bytearray(PACKERS[packing](CONTENT[:3000]))
    place = 10 + place % (len(packed) - 10)
    packed[place : place + len(patch)] = patch
    drain(open_source(bytes(packed)))


def test_a_bomb_is_unpacked_in_small_pieces() -> None:
    # 400 MB in a few hundred kilobytes. What is held is bounded, so what is counted is the biggest output of one step.
    block = zstandard.compress(bytes(100 << 20))
    source = open_source(block * 4)
    assert isinstance(source, Unpacked)
    biggest = total = 0
    while not source._ended:
        size = len(source._advance())
        biggest, total = max(biggest, size), total + size
    assert total == 400 << 20
    assert biggest <= 64 << 20


def test_lz4_asks_for_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lz4", None)
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    with pytest.raises(InputError, match="compressed with lz4; install the Python package lz4"):
        open_source(b"\x04\x22\x4d\x18" + bytes(20))


@pytest.mark.parametrize(
    "named",
    [CONTENT, bytearray(CONTENT), memoryview(CONTENT), io.BytesIO(CONTENT), Trickle(CONTENT), OnlyRead(CONTENT)],
    ids=lambda named: type(named).__name__,
)
def test_bytes_and_file_objects(named: module.Named) -> None:
    assert drain(open_source(named)) == CONTENT


def test_a_file_object_is_read_from_where_it_stands_and_stays_open() -> None:
    file = io.BytesIO(b"skipped" + CONTENT)
    file.seek(7)
    source = open_source(file)
    assert drain(source) == CONTENT
    source.close()
    assert not file.closed


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(CONTENT))))
    assert drain(open_source("-")) == CONTENT


def test_a_pipe_gives_what_is_there_without_waiting_for_more() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as file, open(writing, "wb", buffering=0) as feeder:
        feeder.write(b"first portion")
        source = open_source(file)
        room = bytearray(1 << 20)
        assert source.readinto(memoryview(room)) == 13
        feeder.write(b"second")
        assert source.readinto(memoryview(room)) == 6


def test_a_named_pipe_cannot_be_opened_twice(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(CONTENT,))
    writer.start()
    source = open_source(path)
    assert not source.reopenable
    assert drain(source) == CONTENT
    source.close()
    writer.join()


@pytest.mark.parametrize("path", ["missing", "nul\0byte", ""])
def test_what_cannot_be_opened(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="cannot be opened") as caught:
        open_source(path)
    assert caught.value.offset is None
    assert caught.value.path == path


def test_a_folder_is_no_stream(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder"):
        open_source(tmp_path)


def test_a_text_stream_is_refused() -> None:
    with pytest.raises(InputError, match="binary mode"):
        open_source(io.StringIO("text"))  # type: ignore[arg-type]


def test_a_stream_that_fails_is_damage_not_an_exception() -> None:
    class Failing(io.RawIOBase):
        def readinto(self, view: object) -> int:
            raise OSError("the disk is gone")

    source = open_source(Failing())  # type: ignore[arg-type]
    assert drain(source) == b""
    assert source.damage == "reading failed: the disk is gone"


def test_names(tmp_path: Path) -> None:
    with open(tmp_path / "x", "wb") as file:
        assert name_of(file) == str(tmp_path / "x")
    assert name_of(tmp_path / "x") == str(tmp_path / "x")
    assert name_of("-") == "-"
    assert name_of(b"") == "<bytes>"
    assert name_of(io.BytesIO()) == "<stream>"


def test_a_folder_stands_for_its_captures_by_name(tmp_path: Path) -> None:
    for name in ("b.pcap1", "b.pcap", "a.pcapng", "README", "none.pcap"):
        (tmp_path / name).write_bytes(PCAP if name.startswith("b") else b"\n\r\r\n" if name.startswith("a") else b"text")
    (tmp_path / "c.gz").write_bytes(gzip.compress(PCAP))
    (tmp_path / "d.gz").write_bytes(gzip.compress(b"text"))
    (tmp_path / "empty.pcap").touch()
    (tmp_path / "folder.pcap").mkdir()
    names = ["a.pcapng", "b.pcap", "b.pcap1", "c.gz"]
    assert expand([tmp_path, "-", b"x", "missing"]) == [*(str(tmp_path / name) for name in names), "-", b"x", "missing"]


def test_a_folder_without_captures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an empty folder"):
        expand([str(tmp_path)])
    (tmp_path / "text").write_text("text")
    with pytest.raises(InputError, match="no capture among its 1 entries"):
        expand([tmp_path])
