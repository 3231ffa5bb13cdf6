"""The types between the layers, and how places and times are written down.

Time is an int of nanoseconds since the Unix epoch. A packet is one int, `input << 40 | number`, with numbers from 1 within
their input as Wireshark counts them; 0 is "no packet". A side is an int: CLIENT or SERVER. Unknown is None.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from wsaudit.kernel.packed import pack_numbers

CLIENT = 0
SERVER = 1
SIDES = ("client", "server")
PACKET_BITS = 40
PACKET_MASK = (1 << PACKET_BITS) - 1
SECOND = 1_000_000_000

VERDICTS = ("violation", "non-strict", "informational", "unverifiable")
SEVERITIES = ("error", "warning", "info")


def packet_number(packet: int) -> int:
    """The number within its input, from 1."""
    return packet & PACKET_MASK


def packet_input(packet: int) -> int:
    """The index of the input it came from, from 0."""
    return packet >> PACKET_BITS


class Place(NamedTuple):
    """Where something was seen: packet, time, offset in its side's TCP stream (wss: in the decrypted stream)."""

    packet: int
    time: int
    offset: int


class Reported(NamedTuple):
    """What an endpoint's API reported (terminations.md §2). `code` None: still open, no session, or it cannot be told."""

    code: int | None
    was_clean: bool | None
    certain: bool
    deviation: str | None = None


class Termination(NamedTuple):
    """How and why connections ended, one object for all that ended alike: `report.md` has the vocabulary of each field.

    `evidence` None: what the two Closes say, which differs from connection to connection (termination.closing.evidence_of).
    """

    kind: str  # "class" in the report
    how: str | None = None
    by: int | None = None  # CLIENT, SERVER, BOTH or None
    cause: str = "unknown"
    confidence: float = 0.0
    evidence: tuple[str, ...] | None = ()
    alternatives: tuple[tuple[str, float], ...] = ()
    confirm: str | None = None
    cloudflare: tuple[str, str] | None = None
    initiator: int | None = None  # who started the close handshake: CLIENT, SERVER, BOTH or None
    reported: tuple[Reported, Reported] = (Reported(None, None, False), Reported(None, None, False))


NOT_EXPLAINED = Termination("unknown")
BOTH = 2
WHO = ("client", "server", "both")  # indexed by CLIENT, SERVER, BOTH


class Fault(NamedTuple):
    """What a rule's body returns: one sentence of what was seen, where, and how often."""

    detail: str
    place: Place
    count: int = 1  # type: ignore[assignment]  # hides tuple.count, which nobody calls
    last_packet: int = 0
    doubt: str | None = None  # why it cannot be verified after all: gap, midstream, snaplen...


class Finding(NamedTuple):
    """One judged fact about one connection. `key` is the connection's first packet; its id is known when the report is
    complete."""

    rule: str
    verdict: str
    at_fault: str  # client | server | intermediary | capture
    side: int  # sender of the bytes judged
    key: int
    place: Place
    last_packet: int
    count: int  # type: ignore[assignment]
    detail: str


class ApplicationBeat(NamedTuple):
    """A heartbeat of the application's own: a short message that `side` repeats (registry/heartbeats.toml has the kinds).

    Times in ns. `interval` None: it came once. `answered` None: nobody answers this kind, or it cannot be told.
    """

    kind: str  # "constant" for one that nobody knows
    side: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody calls
    interval: int | None
    answered: bool | None
    last: int
    packet: int  # of the last one
    offset: int
    waiting_since: int  # when the first beat came that still has no answer, as far as the interval tells; 0: none
    keepalives: tuple[str, ...] = ()  # signatures that this kind may have


class Heartbeat(NamedTuple):
    """Ping/Pong of one connection. Durations in nanoseconds; None where there is nothing to tell."""

    pings: tuple[int, int] = (0, 0)
    unanswered: tuple[int, int] = (0, 0)
    interval: int | None = None
    rtt_p50: int | None = None
    rtt_p99: int | None = None
    last_ping: tuple[int, int] = (0, 0)  # time of the last Ping sent by client, server
    application: ApplicationBeat | None = None

    def as_numbers(self) -> list[int]:
        """The end of a packed `Detail`: 0 when there was nothing; the words of an application's heartbeat come last."""
        if self is NO_HEARTBEAT:
            return [0]
        numbers = [1, *self.pings, *self.unanswered, known(self.interval), known(self.rtt_p50), known(self.rtt_p99)]
        numbers += self.last_ping
        if self.application is None:
            return numbers
        kind, side, count, interval, answered, *rest, keepalives = self.application
        words = "\0".join((kind, *keepalives)).encode()
        return [*numbers, side, count, known(interval), known(answered), *rest, len(words), *words]


NO_HEARTBEAT = Heartbeat()


class Close(NamedTuple):
    """What a row says of a side's first Close frame, one object for all that say the same. Where and when: `Detail.closes`.

    `code` None: it has none, or (`lost`) nobody knows which, as bytes of it were not captured.
    """

    code: int | None
    reason: bytes
    lost: bool = False


class Detail(NamedTuple):
    """What is only shown of a connection, while connections are not compared by it: packed in its row, unpacked when asked for.

    As objects these numbers took 2.6 of a row's 3.8 KB, since an int takes 32 bytes and a tuple 56; packed they take
    about 115 bytes.
    """

    last_packet: int
    frames: tuple[tuple[int, ...], tuple[int, ...]] = ((0,) * 7, (0,) * 7)  # text binary continuation close ping pong reserved
    # text, binary, bytes after inflation (-1: not known), bytes on the wire, largest frame
    messages: tuple[tuple[int, ...], tuple[int, ...]] = ((0,) * 5, (0,) * 5)
    closes: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))  # packet and time of each side's first Close
    silence: int = 0
    idle: tuple[int | None, ...] = (None,) * 4  # any, client, server, data: at the end
    network: tuple[int, ...] = (0,) * 5  # retransmissions out_of_order zero_window conflicts duplicates
    gaps: int = 0
    truncated_packets: int = 0
    last_frames: tuple[tuple[int, int, int, int, int], ...] = ()  # time, packet, side, shape, length; abnormal ends only
    heartbeat: Heartbeat = NO_HEARTBEAT

    def pack(self) -> bytes:
        return pack_numbers(self.as_numbers())

    def as_numbers(self) -> list[int]:
        """-1 for None. kernel/details.py writes the same of a connection whose history is at hand."""
        numbers = [self.last_packet, *self.frames[0], *self.frames[1], *self.messages[0], *self.messages[1]]
        numbers += [*self.closes[0], *self.closes[1], self.silence, *map(known, self.idle), *self.network]
        numbers += [self.gaps, self.truncated_packets, len(self.last_frames)]
        for frame in self.last_frames:
            numbers += frame
        return numbers + self.heartbeat.as_numbers()


CLOSES, SILENCE, IDLE = 25, 29, 30  # where their numbers begin in a packed Detail


def known(value: int | None) -> int:
    """A number that is not negative, -1 for None."""
    return -1 if value is None else int(value)


# -- how places and times are written down ---------------------------------------------------------------------------------

_DATES: dict[int, str] = {}


def timestamp(ns: int | None) -> str | None:
    """RFC 3339 UTC with nanoseconds."""
    if not ns:
        return None
    seconds, rest = divmod(ns, SECOND)
    text = _DATES.get(seconds)
    if text is None:
        from datetime import UTC, datetime, timedelta

        if len(_DATES) > 4096:
            _DATES.clear()
        try:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        except OverflowError:
            return None
        text = _DATES[seconds] = (
            moment.strftime("%Y-%m-%dT%H:%M:%S")
            if moment.year >= 1000
            else f"{moment.year:04}" + moment.strftime("-%m-%dT%H:%M:%S")
        )
    return f"{text}.{rest:09d}Z"


_ADDRESSES: dict[bytes, str] = {}


def address(raw: bytes) -> str:
    """An IP address, or the hexadecimal form of anything else."""
    if len(raw) == 4:
        return ".".join(map(str, raw))
    text = _ADDRESSES.get(raw)
    if text is None:
        from ipaddress import IPv6Address

        if len(_ADDRESSES) > 1 << 16:
            _ADDRESSES.clear()
        text = _ADDRESSES[raw] = str(IPv6Address(raw)) if len(raw) == 16 else raw.hex(":")
    return text


class FailedConnect(NamedTuple):
    """A TCP connect that never became a connection: SYN answered by RST, or by nothing."""

    client: tuple[bytes, int]
    server: tuple[bytes, int]
    how: str  # rst | silent
    started: int
    first_packet: int
    ended: int
    last_packet: int


Asked: TypeAlias = tuple[str, str | None, str | None]  # target, Host, User-Agent


class PlainGet(NamedTuple):
    """A GET without an upgrade, and its answer: of interest if others asked the same path for a WebSocket. `asked`: its head, or
    what was read in it."""

    client: tuple[bytes, int]
    server: tuple[bytes, int]
    asked: bytes | Asked
    status: int
    started: int
    first_packet: int
    ended: int
    last_packet: int
