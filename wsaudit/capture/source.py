"""Whatever a user names as a capture, as one stream of uncompressed bytes."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Protocol, TypeAlias

from wsaudit.capture.magic import COMPRESSION_HEAD, compression, is_capture
from wsaudit.errors import InputError

Named: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO"

RAW_CHUNK = 64 << 10


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
    from wsaudit.capture.unpacked import Unpacked  # few captures need it, and it needs the compression libraries

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
