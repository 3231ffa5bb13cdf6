"""Seeds: short excerpts of recorded captures, one connection each, and what the single layers make of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from fuzz.captures import Capture, Packet, flow_key, locate, write_pcap, write_pcapng
from wsaudit.capture.reader import open_capture
from wsaudit.kernel.buffer import Buffer

SAMPLES = Path(__file__).resolve().parent.parent / "sample_pcaps"
LONGEST = 60  # packets of a seed
LARGEST = 32 << 10  # bytes of a seed: small ones run in a millisecond or two


class Collector:
    """Takes a reader's packets, of one link type."""

    def __init__(self) -> None:
        self.captures: dict[int, Capture] = {}

    def packet(self, buffer: Buffer, pos: int, caplen: int, wirelen: int, time: int, ref: int, linktype: int) -> None:
        capture = self.captures.setdefault(linktype, Capture(linktype))
        capture.packets.append(Packet(max(time, 0), bytes(buffer.raw[pos : pos + caplen]), wirelen - caplen))


def load(path: Path) -> list[Capture]:
    """The capture at `path`, one value for each of its link types, with the secrets in it or in the key log beside it."""
    reader = open_capture(str(path))
    collector = Collector()
    reader.run(collector)
    secrets = b"\n".join(reader.secrets)
    keylog = path.with_suffix(".keys.log")
    if keylog.exists():
        secrets += keylog.read_bytes()
    for capture in collector.captures.values():
        capture.secrets = secrets[:8192]
    return list(collector.captures.values())


def excerpts(capture: Capture, most: int) -> Iterator[Capture]:
    """Up to `most` connections of a capture: the first packets of each, and the beginning and end of long ones. Packets in which
    no connection can be seen (tunnels) go as one."""
    flows: dict[tuple[bytes, ...], list[Packet]] = {}
    for packet in capture.packets:
        layers = locate(capture.linktype, packet.data)
        flows.setdefault(tuple(sorted(flow_key(packet.data, layers))) if layers else (), []).append(packet)
    for packets in list(flows.values())[:most]:
        yield short(capture, packets[:LONGEST])
        if len(packets) > LONGEST:
            yield short(capture, packets[:8] + packets[-30:])


def short(capture: Capture, packets: Iterable[Packet]) -> Capture:
    kept, size = [], 0
    for packet in packets:
        size += len(packet.data)
        if kept and size > LARGEST:
            break
        kept.append(packet)
    return Capture(capture.linktype, kept, capture.secrets)


@cache
def captures(folders: tuple[Path, ...] = (SAMPLES,), most: int = 12) -> tuple[Capture, ...]:
    """The excerpts of all captures below `folders`."""
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*.pcap*")):
            for capture in load(path):
                found += excerpts(capture, most)
    return tuple(found)


def capture_files(folders: tuple[Path, ...]) -> list[bytes]:
    return [write_pcapng(each) if each.secrets else write_pcap(each) for each in captures(folders)]


def streams(capture: Capture) -> list[tuple[int, bytes]]:
    """The payloads of a capture in the order they came: (side, bytes). Side 0 is that of the first payload."""
    found, first = [], None
    for packet in capture.packets:
        layers = locate(capture.linktype, packet.data)
        if layers is None or layers.payload == layers.end:
            continue
        source = flow_key(packet.data, layers)[0]
        first = first or source
        found.append((int(source != first), packet.data[layers.payload : layers.end]))
    return found


def side_bytes(folders: tuple[Path, ...], side: int) -> list[bytes]:
    """What one side of each excerpt sent."""
    return [b"".join(data for which, data in streams(each) if which == side) for each in captures(folders)]


def frames(folders: tuple[Path, ...]) -> list[bytes]:
    """What follows the heads of a handshake in each excerpt, of both sides."""
    found = []
    for side in (0, 1):
        for data in side_bytes(folders, side):
            head, _, rest = data.partition(b"\r\n\r\n")
            if rest and b"pgrade" in head:
                found.append(rest)
    return found


def or_one(seeds: Sequence[bytes]) -> list[bytes]:
    """Seeds without doubles, small ones only; never none."""
    return sorted({seed for seed in seeds if len(seed) <= LARGEST}) or [b""]
