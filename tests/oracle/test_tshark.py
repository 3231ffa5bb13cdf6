"""On every sample, our frames are tshark's: opcode, FIN, RSV, mask, length, close code, in the same order."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

import pandas
import pytest
import samples
from oracle import tshark
from oracle.tshark import Frame

import wsaudit

# Who sent it, in terms both sides know: source and destination port, and the how manieth connection of the two ports it is.
Direction = tuple[int, int, int]
Frames = dict[Direction, list[Frame]]

# Without a 101 in the capture tshark does not know that this is WebSocket; we do, by the frames. Nothing else may differ.
WITHOUT_HANDSHAKE = {"midstream", "lossy-capture", "snaplen-96"}
# A frame that declares more bytes than ever come is no complete frame to us; tshark shows its header.
NEVER_COMPLETE = 1 << 40
# The top bit of a 64-bit length must be 0 (RFC 6455 §5.2). Where it is not, tshark prints 64 bits and we take 63, as that
# sender's own frames show: the next one begins where 63 bits say.
LENGTH_BITS = (1 << 63) - 1

pytestmark = pytest.mark.skipif(tshark.TSHARK is None or shutil.which("mergecap") is None, reason="no tshark")


def seen_by_tshark(paths: list[Path], scratch: Path) -> Frames:
    path = paths[0]
    if len(paths) > 1:
        path = scratch / "merged.pcapng"
        subprocess.run(["mergecap", "-w", str(path), *map(str, paths)], check=True)
    found = tshark.frames(path)
    streams: dict[frozenset[int], list[int]] = defaultdict(list)
    for sent in sorted(found):
        same_ports = streams[frozenset((sent.source, sent.destination))]
        if sent.stream not in same_ports:
            same_ports.append(sent.stream)
    return {
        (sent.source, sent.destination, streams[frozenset((sent.source, sent.destination))].index(sent.stream)): frames
        for sent, frames in found.items()
    }


def seen_by_wsaudit(paths: list[Path]) -> Frames:
    """Complete frames only: tshark does not show the others."""
    report = wsaudit.audit(paths, frames=True)
    table = report.frames
    found: Frames = {}
    before: Counter[frozenset[int]] = Counter()
    for connection in report.to_dict()["connections"]:
        ports = {side: connection[side]["port"] for side in ("client", "server")}
        rows = table[(table["connection"] == connection["id"]) & table["complete"]]
        for side, other in (("client", "server"), ("server", "client")):
            frames = [
                Frame(
                    row.opcode,
                    row.fin,
                    row.rsv1 * 4 + row.rsv2 * 2 + row.rsv3,
                    row.masked,
                    row.length,
                    None if pandas.isna(row.close_code) else int(row.close_code),
                )
                for row in rows[rows["side"] == side].itertuples()
            ]
            if frames:
                found[ports[side], ports[other], before[frozenset(ports.values())]] = frames
        before[frozenset(ports.values())] += 1
    return found


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=samples.name)
def test_frames_are_tsharks(sample: dict[str, list[str]], tmp_path: Path) -> None:
    ours, theirs = seen_by_wsaudit(samples.paths(sample)), seen_by_tshark(samples.paths(sample), tmp_path)
    if samples.name(sample) in WITHOUT_HANDSHAKE:
        assert theirs.keys() < ours.keys(), "the difference is gone: take it off the list"
        ours = {direction: ours[direction] for direction in theirs}
    assert ours == {direction: comparable(frames) for direction, frames in theirs.items()}


def comparable(frames: list[Frame]) -> list[Frame]:
    """tshark's frames in our terms of length."""
    return [frame._replace(length=frame.length & LENGTH_BITS) for frame in frames if frame.length != NEVER_COMPLETE]
