"""IP fragments → whole packets (RFC 791 §3.2, RFC 8200 §4.5). Bounded: a flood of first fragments evicts the oldest ones."""

from __future__ import annotations

from collections import OrderedDict

MOST_PACKETS = 1024
MOST_BYTES = 65535
MOST_HELD = 8 << 20  # bytes of all of them: overlapping fragments can be many times the packet they belong to


class Fragments:
    """First copy wins where fragments overlap. `dropped` counts packets given up."""

    def __init__(self) -> None:
        self.waiting: OrderedDict[bytes, Pieces] = OrderedDict()
        self.dropped = 0
        self.held = 0

    def version4(self, data: bytes) -> bytes | None:
        """An IPv4 fragment; the whole packet once its last piece came."""
        header = (data[0] & 15) << 2
        total = int.from_bytes(data[2:4], "big") or len(data)
        field = int.from_bytes(data[6:8], "big")
        body = data[header:total]
        if len(body) < total - header:  # cut by the capture
            self.dropped += 1
            return None
        key = data[4:6] + data[9:10] + data[12:20]
        whole = self.add(key, (field & 0x1FFF) << 3, body, field & 0x2000 == 0)
        if whole is None:
            return None
        size = min(header + len(whole), MOST_BYTES)
        return data[:2] + size.to_bytes(2, "big") + data[4:6] + b"\0\0" + data[8:header] + whole

    def version6(self, data: bytes, pos: int) -> bytes | None:
        """An IPv6 packet whose fragment header is at `pos`."""
        field = int.from_bytes(data[pos + 2 : pos + 4], "big")
        key = data[8:40] + data[pos + 4 : pos + 8]
        whole = self.add(key, field & 0xFFF8, data[pos + 8 :], field & 1 == 0)
        if whole is None:
            return None
        return data[:4] + min(len(whole), MOST_BYTES).to_bytes(2, "big") + data[pos : pos + 1] + data[7:40] + whole

    def add(self, key: bytes, offset: int, body: bytes, last: bool) -> bytes | None:
        if offset + len(body) > MOST_BYTES + 8:
            return None
        pieces = self.waiting.get(key)
        if pieces is None:
            pieces = self.waiting[key] = Pieces()
        if offset not in pieces.parts:
            pieces.parts[offset] = body
            pieces.held += len(body)
            self.held += len(body)
        if last:
            pieces.size = offset + len(body)
        whole = pieces.join()
        if whole is not None:
            self.forget(key)
        elif len(pieces.parts) > 128:
            self.forget(key)
            self.dropped += 1
        while len(self.waiting) > MOST_PACKETS or self.held > MOST_HELD:
            self.forget(next(iter(self.waiting)))
            self.dropped += 1
        return whole

    def forget(self, key: bytes) -> None:
        self.held -= self.waiting.pop(key).held


class Pieces:
    """The fragments of one packet. `size` is known when the last one came, `held` is what they take."""

    def __init__(self) -> None:
        self.parts: dict[int, bytes] = {}
        self.held = 0
        self.size = -1

    def join(self) -> bytes | None:
        if self.size < 0:
            return None
        out = bytearray()
        for offset in sorted(self.parts):
            if offset > len(out):
                return None
            out += self.parts[offset][len(out) - offset :]
        return bytes(out[: self.size]) if len(out) >= self.size else None
