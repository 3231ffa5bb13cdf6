"""Ask the processor for rows that a walk will come to soon: of 50,000 each is far from the others in memory. Only compiled it
does anything (`inline_ahead.pxd`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsaudit.kernel.connection import Connection


def row(rows: list[Connection], i: int) -> None:
    """A row some places after `i`."""


def client(rows: list[Connection], i: int) -> None:
    """The client of a row after `i`, less far than `row` looks."""


def target(rows: list[Connection], i: int) -> None:
    """The same of what it asked for."""


def key(rows: list[Connection], i: int) -> None:
    """The same of its key."""


def mask_keys(rows: list[Connection], i: int) -> None:
    """The same of its masking keys."""
