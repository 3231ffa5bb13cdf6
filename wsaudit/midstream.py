"""A flow whose opening handshake was not captured, or cut: is it a WebSocket, which of its sides is the client, and where do the
frames begin?

Sides are indexes 0 and 1 here, as nobody may know yet who the client is. What makes a frame believable is in websocket/resync.py.
"""

from __future__ import annotations

from typing import NamedTuple

from wsaudit.websocket.resync import Chunk, Cut, Resync, masked

MIDSTREAM_CHUNKS = 64  # segments looked at before a flow without handshake is given up
HEADS_CUT = "the capture cut the opening handshake"
NOT_FROM_THE_START = "the capture starts in the middle of the connection"


class Regained(NamedTuple):
    """Segments that frames were found in, as far as they were captured, and how many bytes before them could not be read."""

    dropped: int
    segments: list[Cut]


class Found(NamedTuple):
    """The frames of `side` were found in `frames`, and `client` is the side that masks. `rest`: what came behind them already.

    Of the other side: `peer_frames`, if they were found at once, else `peer_expected`: will its next byte most likely begin a
    frame; and `peer_waiting`: what of it has not been looked at as a client's or a server's. `why`: what is missing before all of
    them."""

    side: int
    client: int
    why: str
    frames: Regained
    rest: list[Chunk]
    peer_frames: Regained | None
    peer_expected: bool
    peer_waiting: list[Chunk]


class FrameSearch:
    """Looks for frames on both sides. `limit`: bytes held of each. `client`: which side is the client, if request and answer were
    cut so early that nothing tells what they were; -1: they were not captured.

    `hopeless`, after each call that found nothing: this is no WebSocket, or nobody can tell."""

    __slots__ = ("behind_heads", "hopeless", "limit", "searches", "seen")

    def __init__(self, limit: int, client: int = -1) -> None:
        self.limit = limit
        self.behind_heads = client >= 0
        self.hopeless = False
        self.seen = 0  # segments
        self.searches: list[Resync | None] = [None, None]
        if self.behind_heads:
            one, other = [Resync(i == client, limit, strict=True, behind_head=True) for i in (0, 1)]
            one.peer, other.peer = other, one
            self.searches = [one, other]

    def feed(self, i: int, chunk: Chunk) -> Found | None:
        """The next segment of side `i`."""
        search = self.searches[i]
        if search is None:
            search = self.searches[i] = Resync(None, self.limit, strict=True)
        self.seen += 1
        settled = search.settle()
        if settled is not None:
            return self.found(i, search, settled, [chunk])
        chunks = search.feed(chunk)
        if chunks is not None:
            return self.found(i, search, [Cut(piece, 0) for piece in chunks], [])
        self.hopeless = self.seen > MIDSTREAM_CHUNKS
        return None

    def gap(self, i: int, length: int | None) -> Found | None:
        """Bytes of side `i` are missing; None: nobody knows how many."""
        search = self.searches[i]
        segments = search.gap(length) if search is not None else None
        return None if search is None or segments is None else self.found(i, search, segments, [])

    def kept(self, i: int) -> int:
        """Bytes of the last segment of side `i`, which is cut if a gap comes next; -1: nothing came of this side."""
        search = self.searches[i]
        if search is None:
            return -1
        return len(search.chunks[-1].data) if search.chunks else 0

    def settle(self) -> Found | None:
        """Nothing more comes: the last segments are whole."""
        for i, search in enumerate(self.searches):
            segments = search.settle() if search is not None else None
            if search is not None and segments is not None:
                return self.found(i, search, segments, [])
        return None

    def found(self, i: int, search: Resync, segments: list[Cut], rest: list[Chunk]) -> Found | None:
        """Side `i` has frames; masks tell which one it is, if the other side does not contradict."""
        peer = self.searches[1 - i]
        waiting = peer.chunks if peer is not None else []
        if waiting and not any(masked(piece.data) != search.masked_found for piece in waiting):
            self.hopeless = True  # one side of a WebSocket masks, and the other does not (RFC 6455 §5.1)
            return None
        peer_frames = None
        if self.behind_heads and peer is not None:
            peer_segments = peer.all_behind_head() or peer.cut
            if peer_segments:
                peer_frames = Regained(peer.dropped, peer_segments)
        return Found(
            side=i,
            client=i if search.masked_found else 1 - i,
            why=HEADS_CUT if self.behind_heads else NOT_FROM_THE_START,
            frames=Regained(search.dropped, segments),
            rest=rest,
            peer_frames=peer_frames,
            peer_expected=self.behind_heads and peer is not None and peer.behind_head == [],
            peer_waiting=waiting,
        )
