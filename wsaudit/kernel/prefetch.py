"""Ask the processor for cache lines that will be needed soon. Only compiled it does anything (`inline_prefetch.pxd`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsaudit.kernel.buffer import Buffer


def header(buffer: Buffer, pos: int) -> None:
    """The headers of a record and its packet, at buffer[pos:]."""


def slot(slots: Sequence[int], i: int) -> None:
    """Where entry numbers are looked up."""


def entry(words: Sequence[int], streams: list[Any], i: int) -> None:
    """The key of entry `i` and the place of its stream."""


def stream(streams: list[Any], i: int) -> None:
    """The stream of entry `i`."""


def scanner(streams: list[Any], i: int, bare: bool, control: bool) -> None:
    """What the stream of entry `i` refers to: its peer and, if the packet is not `bare`, its scanner or reader. `control`: it
    carries a control frame."""


def rows(streams: list[Any], i: int, control: bool) -> None:
    """What stream and scanner of entry `i` write to about the next segment and frame, and who keeps the Pings."""


def flow(flows: list[Any], i: int) -> None:
    """Flow `i`."""


def sides(flows: list[Any], i: int) -> None:
    """Both streams of flow `i`, and its owner."""


def frames(flows: list[Any], i: int) -> None:
    """What the streams of flow `i` refer to: scanners, and the parties that these know."""
