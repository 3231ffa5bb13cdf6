"""What the report keeps of a connection's history in numbers: the beginning of a packed `model.Detail`, which has the order."""

from __future__ import annotations

from wsaudit.kernel import mode
from wsaudit.kernel.constants import RECENT
from wsaudit.kernel.endings import idle_at
from wsaudit.kernel.frames import Scanner
from wsaudit.kernel.packed import Packer
from wsaudit.kernel.party import Party
from wsaudit.model import CLIENT, SERVER


def is_compiled() -> bool:
    return bool(mode.COMPILED)


def pack_history(
    packer: Packer,
    client: Party,
    server: Party,
    last_packet: int,
    silence: int,
    end_time: int,
    in_tls: bool,
    client_size: int,
    server_size: int,
) -> None:
    """All up to the last frames. Sizes: bytes of complete messages, -1: not known (rows.message_bytes)."""
    a = client.stream
    b = server.stream
    packer.add(last_packet)
    pack_frames(packer, client.frames)
    pack_frames(packer, server.frames)
    pack_messages(packer, client.frames, client_size)
    pack_messages(packer, server.frames, server_size)
    pack_close(packer, client)
    pack_close(packer, server)
    packer.add(silence)
    either, of_client, of_server, data = idle_at(client, server, in_tls, end_time)
    packer.add(either)
    packer.add(of_client)
    packer.add(of_server)
    packer.add(data)
    packer.add(a.retransmissions + b.retransmissions)
    packer.add(a.out_of_order + b.out_of_order)
    packer.add(a.zero_windows + b.zero_windows)
    packer.add(a.conflicts + b.conflicts)
    packer.add(a.duplicates + b.duplicates)
    packer.add(len(client.gaps) + len(server.gaps))
    packer.add(a.truncated + b.truncated)


def pack_last(packer: Packer, client: Party, server: Party) -> None:
    """The last frames of both sides in order of time."""
    rows = [(time, packet, CLIENT, shape, length) for time, packet, shape, length in client.frames.recent_rows()]
    rows += [(time, packet, SERVER, shape, length) for time, packet, shape, length in server.frames.recent_rows()]
    rows.sort()
    last = rows[-RECENT:]
    packer.add(len(last))
    for row in last:
        for number in row:
            packer.add(number)


def pack_frames(packer: Packer, frames: Scanner) -> None:
    """Complete frames: text, binary, continuation, close, ping, pong, reserved."""
    counts = frames.counts
    reserved = counts[3] + counts[4] + counts[5] + counts[6] + counts[7]
    reserved += counts[11] + counts[12] + counts[13] + counts[14] + counts[15]
    packer.add(counts[1])
    packer.add(counts[2])
    packer.add(counts[0])
    packer.add(counts[8])
    packer.add(counts[9])
    packer.add(counts[10])
    packer.add(reserved)


def pack_messages(packer: Packer, frames: Scanner, size: int) -> None:
    """Complete messages: text, binary, bytes after inflation, bytes on the wire; the largest frame."""
    packer.add(frames.text_messages)
    packer.add(frames.binary_messages)
    packer.add(size)
    packer.add(frames.message_bytes)
    packer.add(frames.largest)


def pack_close(packer: Packer, party: Party) -> None:
    """Packet and time of its first Close; zeros: there was none."""
    close = party.close
    if close is None:
        packer.add(0)
        packer.add(0)
        return
    packer.add(close.packet)
    packer.add(close.time)
