"""Captures → packets.

Invariant: any bytes give packets and notices or an InputError, and a pipe that brings them in odd pieces gives the same ones.
"""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

from fuzz import corpus
from fuzz.mutation import mutate_capture as mutate
from wsaudit.capture.reader import open_capture, prescan_secrets
from wsaudit.errors import InputError
from wsaudit.kernel.buffer import Buffer

__all__ = ["mutate", "one_input", "seeds"]


class Pipe(io.RawIOBase):
    """Gives its bytes in pieces of 1 to 97; cannot seek."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        size = min(len(target), 1 + self.at * 31 % 97)
        piece = self.data[self.at : self.at + size]
        target[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)


class Packets:
    """Writes down what a reader gives."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def packet(self, buffer: Buffer, pos: int, caplen: int, wirelen: int, time: int, ref: int, linktype: int) -> None:
        assert 0 <= caplen <= wirelen
        data = bytes(buffer.raw[pos : pos + caplen])
        assert len(data) == caplen
        self.seen.append((data, wirelen, time, ref, linktype))


def read(source: bytes | Pipe) -> tuple[object, ...]:
    packets = Packets()
    try:
        reader = open_capture(source)
    except InputError as error:
        return error.reason, error.offset
    reader.run(packets)
    reader.close()
    return packets.seen, reader.notices, reader.secrets, reader.truncated, reader.packets, reader.first_time, reader.last_time


def one_input(data: bytes) -> None:
    assert read(data) == read(Pipe(data))
    with suppress(InputError):
        prescan_secrets(data)


def seeds(folders: tuple[Path, ...]) -> list[bytes]:
    return corpus.or_one(corpus.capture_files(folders))
