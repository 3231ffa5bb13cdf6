"""Whatever a user names as a capture, as one stream of uncompressed bytes."""

from __future__ import annotations

import bz2
import importlib
import io
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Protocol, TypeAlias

from wsaudit.capture.magic import COMPRESSION_HEAD, compression, is_capture
from wsaudit.errors import InputError

Named: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO"

# Compressed bytes given to a decompressor at once. A zstd block of 4 bytes can stand for 128 KiB and its binding has no output
# limit, so this bounds a bomb to 64 MiB of transient output. It also bounds what is lost before a damaged place: the call that
# fails returns nothing.
PIECE = 2048
RAW_CHUNK = 64 << 10
# A call returns when it has this much, so that the reader's work per call does not matter.
ENOUGH = 256 << 10
# xz -9 needs 65 MiB; a header can ask for 4 GiB.
MEMORY_LIMIT = 256 << 20


class Source(Protocol):
    """A stream of uncompressed bytes. `damage` says what ended it early, `remark` what else is odd; "" if nothing is."""

    damage: str
    remark: str
    reopenable: bool

    def readinto(self, view: memoryview) -> int:
        """Read some bytes to the start of `view`; 0 at the end. Never raises for what the stream contains."""

    def close(self) -> None:
        """Close what `open_source` opened; streams that were given stay open."""


def name_of(named: Named) -> str:
    """How messages and reports call an input: its path as it was given, `-`, `<bytes>`, or a stream's own name."""
    if isinstance(named, (bytes, bytearray, memoryview)):
        return "<bytes>"
    if isinstance(named, (str, os.PathLike)):
        return os.fspath(named)
    name = getattr(named, "name", None)
    return name if isinstance(name, str) else "<stream>"


def open_source(named: Named) -> Source:
    """Open a path, `-` (standard input), bytes or a binary file object; compressed content is recognised and unpacked.

    Raises InputError if it cannot be opened or needs a decompressor that is not installed.
    """
    raw = _open_raw(named)
    raw.peek(COMPRESSION_HEAD)
    packing = compression(raw.head)
    if packing is None:
        return raw
    try:
        return Unpacked(raw, packing)
    except ModuleNotFoundError as error:
        raw.close()
        raise InputError(
            name_of(named), f"compressed with {packing}; install the Python package {error.name} to read it or unpack it first"
        ) from None


def expand(named: Iterable[Named]) -> list[Named]:
    """The inputs with each folder replaced by the captures in it, sorted by name.

    What is a capture is decided by content, so `x.pcap1`, `x.pcap.gz` and names without a suffix count; other files are passed
    over. Raises InputError for a folder that cannot be read or holds no capture.
    """
    found: list[Named] = []
    for item in named:
        if isinstance(item, (str, os.PathLike)) and item != "-" and os.path.isdir(item):
            found += _captures_in(os.fspath(item))
        else:
            found.append(item)
    return found


def _captures_in(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(folder, f"the folder cannot be read: {error.strerror}") from None
    paths = [os.path.join(folder, name) for name in names]
    captures = [path for path in paths if os.path.isfile(path) and _holds_capture(path)]
    if not captures:
        raise InputError(folder, f"no capture among its {len(names)} entries" if names else "an empty folder")
    return captures


def _holds_capture(path: str) -> bool:
    try:
        source = open_source(path)
    except InputError:
        return False
    head = bytearray(4)
    with memoryview(head) as view:
        got = 0
        while got < 4 and (count := source.readinto(view[got:])):
            got += count
    source.close()
    return is_capture(bytes(head[:got]))


def _open_raw(named: Named) -> Raw:
    if isinstance(named, (bytes, bytearray, memoryview)):
        return Raw(io.BytesIO(named), reopenable=True)
    if not isinstance(named, (str, os.PathLike)):
        if isinstance(named, io.TextIOBase):
            raise InputError(name_of(named), "a stream opened as text; open it in binary mode")
        return Raw(named)
    if named == "-":
        return Raw(sys.stdin.buffer)
    path = os.fspath(named)
    try:
        if os.path.isdir(path):
            raise InputError(path, "a folder")
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - the reader owns it
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the path.
        raise InputError(path, f"cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    return Raw(file, owned=True, reopenable=regular)


class Raw:
    """The bytes of a stream as they are. `head` holds what was peeked at and not read yet."""

    def __init__(self, file: Any, *, owned: bool = False, reopenable: bool = False) -> None:
        self.damage = ""
        self.remark = ""
        self.reopenable = reopenable
        self.head = b""
        self._file = file
        self._owned = owned
        # `readinto1` does not wait until the buffer is full, which a live pipe would take minutes for.
        read = getattr(file, "readinto1", None) or getattr(file, "readinto", None) or self._copy
        self._readinto: Callable[[memoryview], int | None] = read

    def peek(self, count: int) -> None:
        """Have at least `count` bytes in `head`, or all there are."""
        # In one big read: what a buffered reader keeps of a smaller one makes its next `readinto1` wait for the pipe after all.
        room = bytearray(max(count, RAW_CHUNK))
        while len(self.head) < count and (got := self._read(memoryview(room))):
            self.head += room[:got]

    def readinto(self, view: memoryview) -> int:
        if not self.head:
            return self._read(view)
        count = min(len(self.head), len(view))
        view[:count] = self.head[:count]
        self.head = self.head[count:]
        return count

    def seek(self, offset: int) -> None:
        """Go on at `offset`; only for reopenable streams."""
        self.head = b""
        self._file.seek(offset)

    def close(self) -> None:
        if self._owned:
            self._file.close()

    def _read(self, view: memoryview) -> int:
        if self.damage:
            return 0
        try:
            return self._readinto(view) or 0
        except (OSError, ValueError, EOFError, TypeError) as error:
            self.damage = f"reading failed: {error}"
            return 0

    def _copy(self, view: memoryview) -> int:
        data = self._file.read(len(view))
        view[: len(data)] = data
        return len(data)


class Decompressor(Protocol):
    """What bz2, lzma and lz4 offer."""

    @property
    def eof(self) -> bool:
        """The end of the member was reached."""

    @property
    def needs_input(self) -> bool:
        """No output is left that earlier input allows."""

    @property
    def unused_data(self) -> bytes:
        """Input behind the end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Give the output, about `max_length` bytes of it at most."""


class Gzip:
    """zlib with the interface of bz2 and lzma."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)


class Zstd:
    """zstandard with the interface of bz2 and lzma, except that it gives all output at once (see PIECE)."""

    needs_input = True

    def __init__(self, library: Any) -> None:
        self._stream = library.ZstdDecompressor(max_window_size=MEMORY_LIMIT).decompressobj()
        self._error = library.ZstdError

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._stream.unused_data)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            return bytes(self._stream.decompress(data))
        except self._error as error:
            raise ValueError(str(error)) from None


def _decompressor(packing: str) -> Callable[[], Decompressor]:
    """What makes a new decompressor for each member; ModuleNotFoundError if the library for it is not installed."""
    if packing == "gzip":
        return Gzip
    if packing == "bzip2":
        return bz2.BZ2Decompressor
    if packing == "xz":
        return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY_LIMIT)
    if packing == "zstd":
        library = importlib.import_module("zstandard")
        return lambda: Zstd(library)
    lz4: Callable[[], Decompressor] = importlib.import_module("lz4.frame").LZ4FrameDecompressor
    return lz4


class Unpacked:
    """The uncompressed bytes of a compressed stream of one or more members, in bounded memory."""

    def __init__(self, raw: Raw, packing: str) -> None:
        self.damage = ""
        self.remark = ""
        self.reopenable = raw.reopenable
        self._raw = raw
        self._packing = packing
        self._make = _decompressor(packing)
        self._member = self._make()
        self._room = memoryview(bytearray(RAW_CHUNK))
        self._input = b""  # compressed, not given to the decompressor yet
        self._taken = 0  # compressed bytes taken from the stream
        self._ready = memoryview(b"")
        self._ended = False

    def readinto(self, view: memoryview) -> int:
        filled = 0
        while filled < len(view) and filled < ENOUGH:
            if not self._ready:
                if self._ended:
                    break
                self._ready = memoryview(self._advance())
                continue
            count = min(len(self._ready), len(view) - filled)
            view[filled : filled + count] = self._ready[:count]
            self._ready = self._ready[count:]
            filled += count
        return filled

    def close(self) -> None:
        self._ready = memoryview(b"")
        self._raw.close()

    def _advance(self) -> bytes:
        """One step: some output, or none and the next member or the end reached."""
        try:
            if self._member.eof:
                self._next_member()
                return b""
            return self._unpack()
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError) as error:
            self._end(f"damaged {self._packing} data before byte {self._taken} of the compressed file: {error}")
            return b""

    def _unpack(self) -> bytes:
        if not self._member.needs_input:
            return self._member.decompress(b"", RAW_CHUNK)
        if self._input or self._refill():
            piece, self._input = self._input[:PIECE], self._input[PIECE:]
            return self._member.decompress(piece, RAW_CHUNK)
        rest = b"" if self._packing == "zstd" else self._member.decompress(b"", RAW_CHUNK)
        if not rest and not self._member.eof:
            self._end(self._raw.damage or f"the {self._packing} data ends early, at byte {self._taken} of the compressed file")
        return rest

    def _next_member(self) -> None:
        # Zero bytes between and behind members are padding (tapes, and xz by its specification).
        rest = (self._member.unused_data + self._input).lstrip(b"\0")
        self._input = rest
        while len(self._input) < COMPRESSION_HEAD and self._refill():
            self._input = self._input.lstrip(b"\0")
        if compression(self._input) == self._packing:
            self._member = self._make()
            return
        if self._input:
            place = self._taken - len(self._input)
            self.remark = f"what follows the {self._packing} data from byte {place} of the compressed file was ignored"
        self._end(self._raw.damage)

    def _refill(self) -> bool:
        count = self._raw.readinto(self._room)
        self._input += self._room[:count]
        self._taken += count
        return count > 0

    def _end(self, damage: str) -> None:
        self.damage = damage
        self._ended = True
