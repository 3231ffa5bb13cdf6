"""Compressed captures as streams of uncompressed bytes."""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from wsaudit.capture.magic import COMPRESSION_HEAD, compression
from wsaudit.capture.source import RAW_CHUNK, Raw

# Compressed bytes given to a decompressor at once. A zstd block of 4 bytes can stand for 128 KiB and its binding has no output
# limit, so this bounds a bomb to 64 MiB of transient output. It also bounds what is lost before a damaged place: the call that
# fails returns nothing.
PIECE = 2048
# A call returns when it has this much, so that the reader's work per call does not matter.
ENOUGH = 256 << 10
# xz -9 needs 65 MiB; a header can ask for 4 GiB.
MEMORY_LIMIT = 256 << 20


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
