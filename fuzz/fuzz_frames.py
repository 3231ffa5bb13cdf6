"""Frames.

Invariant: however a stream is cut, frames, shapes, messages, UTF-8 faults and control payloads are the same, no byte is lost, and
lengths up to 2^63 hold nothing.
"""

from __future__ import annotations

from pathlib import Path

from fuzz import corpus
from fuzz.mutation import mutate_bytes as mutate
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.frames import FrameLog, Scanner

__all__ = ["mutate", "one_input", "seeds"]

COUNTS = (
    *("headers", "shapes", "shapes_dropped", "text_messages", "binary_messages", "message_bytes", "message_bytes", "offset"),
    *("deflated_messages", "deflated_bytes", "fragmented_messages", "aborted_messages", "largest", "tiny_fragments", "bad_text"),
    *(
        "bad_text_offset",
        "bad_text_message",
        "unverified_text",
        "zero_keys",
        "same_keys",
        "masked_frames",
        "incomplete",
        "closed",
    ),
)


class Listener:
    """Writes down control frames, and compressed payload joined."""

    def __init__(self) -> None:
        self.controls: list[tuple[int, bytes | None, int]] = []
        self.messages: list[bytes] = [b""]

    def control(self, scanner: Scanner, opcode: int, payload: bytes | None, length: int) -> None:
        assert payload is None or len(payload) <= 125
        self.controls.append((opcode, payload, length))

    def compressed(self, scanner: Scanner, data: bytes, last: bool) -> None:
        self.messages[-1] += data
        if last:
            self.messages.append(b"")

    def compressed_lost(self, scanner: Scanner) -> None:
        self.messages.append(b"lost")


def scan(data: bytes, sizes: bytes, inflate: bool, log: bool) -> tuple[object, ...]:
    listener = Listener()
    scanner = Scanner(0, listener)
    scanner.inflate = inflate
    if log:
        scanner.log = FrameLog()
    at = turn = 0
    while at < len(data):
        stop = min(len(data), at + (sizes[turn % len(sizes)] + 1 if sizes else len(data)))
        buffer = Buffer(data)  # whole: views of it are read in words, at any alignment
        scanner.feed(buffer, at, stop, 1, 1)
        at = stop
        turn += 1
    assert scanner.offset == len(data)
    facts = tuple(int(getattr(scanner, name)) for name in COUNTS)
    return facts, scanner.shape_rows(), scanner.opcode_counts(), scanner.recent_rows(), listener.controls, listener.messages


def one_input(data: bytes) -> None:
    """First byte: whether compressed payload is handed out; then how the rest is cut."""
    inflate = bool(data and data[0] & 1)
    whole = scan(data[4:], b"", inflate, False)
    assert scan(data[4:], data[1:4] or b"\0", inflate, False) == whole
    assert scan(data[4:], b"\0", inflate, True) == whole


def seeds(folders: tuple[Path, ...]) -> list[bytes]:
    return corpus.or_one([bytes((i & 1, 0, 5, 40)) + data[:4000] for i, data in enumerate(corpus.frames(folders))])
