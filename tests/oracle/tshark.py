"""What tshark sees in a capture, for comparison."""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TSHARK = shutil.which("tshark")
FIELDS = ["stream", "srcport", "dstport"]
HEADER = ["fin", "rsv", "opcode", "mask", "payload_length", "payload_length_ext_16", "payload_length_ext_64"]
STATUS = "payload.close.status_code"


class Frame(NamedTuple):
    """A frame as the header has it. `rsv`: RSV1 is 4. `code`: the status code of a Close that has one."""

    opcode: int
    fin: bool
    rsv: int
    masked: bool
    length: int
    code: int | None = None


class Sent(NamedTuple):
    """Who sent it: number of the TCP connection in the capture, source and destination port."""

    stream: int
    source: int
    destination: int


def frames(path: Path) -> dict[Sent, list[Frame]]:
    """The WebSocket frames of each direction of each connection in stream order."""
    assert TSHARK
    names = [f"tcp.{name}" for name in FIELDS] + [f"websocket.{name}" for name in [*HEADER, STATUS]]
    # By default tshark takes segments as they come; without the option it loses frames wherever two are swapped.
    # What an ICMP message quotes it reads as one more frame.
    command = [TSHARK, "-n", "-r", str(path), "-o", "tcp.reassemble_out_of_order:TRUE", "-T", "fields"]
    command += ["-Y", "websocket and not icmp", *(part for name in names for part in ("-e", name))]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[Sent, list[Frame]] = defaultdict(list)
    for line in table.splitlines():
        stream, source, destination, *columns = line.split("\t")
        found[Sent(int(stream), int(source), int(destination))] += _frames_of_packet(columns)
    return dict(found)


def _frames_of_packet(columns: list[str]) -> Iterator[Frame]:
    """tshark gives one column for each field with the values of all frames that end in the packet. Not every frame has a value
    for the last three, so those are taken as the others ask for them."""
    fin, rsv, opcode, mask, length, *optional = [column.split(",") for column in columns]
    medium, long, codes = (iter(values) for values in optional)
    for i, op in enumerate(opcode):
        size = int(length[i])
        if size == 126:
            size = int(next(medium))
        elif size == 127:
            size = int(next(long))
        code = next(codes, "") if int(op) == 8 and size >= 2 else ""
        yield Frame(int(op), fin[i] in ("1", "True"), int(rsv[i], 0), mask[i] in ("1", "True"), size, int(code) if code else None)
