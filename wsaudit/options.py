"""What a caller may choose, and the limits that keep memory bounded on hostile captures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Limits(NamedTuple):
    """Hitting one is a notice in the report, never a silent loss. Sizes in bytes."""

    flows: int = 1 << 20  # TCP flows remembered at a time, each direction one table entry
    segment_buffer: int = 1 << 20  # early segments held per side
    head: int = 64 << 10  # an HTTP head
    message: int = 64 << 20  # inflated bytes measured in one message; beyond, it is only counted as larger
    findings: int = 100  # per connection
    tls_buffer: int = 1 << 20  # records kept per connection while their key has not come
    resync: int = 64 << 10  # bytes searched for the next frame after a gap, per side
    preview: int = 4096  # payload bytes kept of each frame, where payloads are asked for
    inflate_ratio: int = 200  # a message that inflates to more than this many times its size, and is large, is reported


class Options(NamedTuple):
    """Everything `audit` can be told. All fields have the defaults of the command line."""

    keylogs: tuple[Path, ...] = ()
    ports: tuple[int, ...] = ()  # server ports to look at; empty = every TCP port
    client_nets: tuple[str, ...] = ()  # CIDR: the side with such an address is the client where nothing else tells
    jobs: int = 1
    midstream: bool = True  # also connections whose handshake was not captured
    frames: bool = False  # keep every frame as a row
    keep: int | None = None  # first packet of the one connection whose frames and history are kept: for `show`
    payload: bool = False  # keep payloads and secrets: for `--show-payload`
    select: tuple[str, ...] = ()  # rule ids or id prefixes to judge; empty = all
    ignore: tuple[str, ...] = ()
    severities: Mapping[str, str] = {}  # rule id -> error | warning | info
    signatures: Path | None = None
    limits: Limits = Limits()
