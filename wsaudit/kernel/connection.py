"""One connection as the report keeps it: a compact row, 50,000 of which must fit beside everything else."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from struct import pack, unpack
from typing import Any

from wsaudit.kernel import mode
from wsaudit.kernel.packed import maybe, number_at, unpack_numbers
from wsaudit.model import (
    CLOSES,
    IDLE,
    NO_HEARTBEAT,
    NOT_EXPLAINED,
    SILENCE,
    ApplicationBeat,
    Close,
    Detail,
    Heartbeat,
    Termination,
)

UNKNOWN = -1  # for a time that is not known
M32 = 0xFFFFFFFF

FIELDS = (
    "first_packet", "started", "ended", "client", "server", "packed", "probable", "transport", "http", "tls", "outcome", "status",
    "target", "host", "origin", "user_agent", "server_header", "key", "subprotocols_offered", "subprotocol", "extensions",
    "latency", "auth", "close", "termination", "end_time", "complete", "midstream", "packed_keys", "notices",
)  # fmt: skip
values_of = attrgetter(*FIELDS)


def is_compiled() -> bool:
    return bool(mode.COMPILED)


class Connection:
    """One row of the report. `entry.py` turns it into the contract's JSON, and report.md says what the fields mean.

    Times in ns; `end_time`: of the first FIN or RST; of the last packet, or 0, when there was none. `packed`: model.Detail.
    `tls`: version, cipher, sni, alpn, decrypted, why_not. `packed_keys`: the first masking keys of the client's frames. `number`:
    its id, known when the report is complete; no fact about the connection, so it is neither compared nor sent on.
    """

    __slots__ = (
        "auth", "client", "close", "complete", "end_time", "ended", "extensions", "first_packet", "host", "http", "key",
        "latency_ns", "midstream", "notices", "number", "origin", "outcome", "packed", "packed_keys", "probable", "server",
        "server_header", "started", "status", "subprotocol", "subprotocols_offered", "target", "termination", "tls", "transport",
        "user_agent",
    )  # fmt: skip

    def __init__(
        self,
        first_packet: int,
        started: int,
        ended: int,
        client: tuple[bytes, int],
        server: tuple[bytes, int],
        packed: bytes,
        probable: bool = False,
        transport: str = "tcp",
        http: str | None = "1.1",
        tls: tuple[object, ...] | None = None,
        outcome: str = "not-captured",
        status: int | None = None,
        target: str | None = None,
        host: str | None = None,
        origin: str | None = None,
        user_agent: str | None = None,
        server_header: str | None = None,
        key: str | None = None,
        subprotocols_offered: tuple[str, ...] = (),
        subprotocol: str | None = None,
        extensions: tuple[str, ...] = (),
        latency: int | None = None,
        auth: tuple[str, ...] = (),
        close: tuple[Close | None, Close | None] = (None, None),
        termination: Termination = NOT_EXPLAINED,
        end_time: int = 0,
        complete: bool = True,
        midstream: bool = False,
        packed_keys: bytes = b"",
        notices: tuple[str, ...] = (),
    ) -> None:
        self.first_packet = first_packet
        self.started = started
        self.ended = ended
        self.client = client
        self.server = server
        self.packed = packed
        self.probable = probable
        self.transport = transport
        self.http = http
        self.tls = tls
        self.outcome = outcome
        self.status = status
        self.target = target
        self.host = host
        self.origin = origin
        self.user_agent = user_agent
        self.server_header = server_header
        self.key = key
        self.subprotocols_offered = subprotocols_offered
        self.subprotocol = subprotocol
        self.extensions = extensions
        self.latency_ns = UNKNOWN if latency is None else latency
        self.auth = auth
        self.close = close
        self.termination = termination
        self.end_time = end_time
        self.complete = complete
        self.midstream = midstream
        self.packed_keys = packed_keys
        self.notices = notices
        self.number = 0

    def another(self) -> Connection:
        """A row about which everything is the same that connections with the same opening handshake, but for its key and
        target, have in common. The rest is still to be filled in."""
        made: Connection = Connection.__new__(Connection)
        made.probable = False
        made.transport = self.transport
        made.http = self.http
        made.tls = self.tls
        made.outcome = self.outcome
        made.status = self.status
        made.host = self.host
        made.origin = self.origin
        made.user_agent = self.user_agent
        made.server_header = self.server_header
        made.subprotocols_offered = self.subprotocols_offered
        made.subprotocol = self.subprotocol
        made.extensions = self.extensions
        made.auth = self.auth
        made.complete = True
        made.midstream = False
        made.notices = ()
        made.number = 0
        return made

    def is_another(self, kind: Connection) -> bool:
        """Is this a row that `kind.another()` would begin, as far as that fills it in?"""
        return (
            self.transport is kind.transport
            and self.http is kind.http
            and self.tls is kind.tls
            and self.outcome is kind.outcome
            and self.status is kind.status
            and self.host is kind.host
            and self.origin is kind.origin
            and self.user_agent is kind.user_agent
            and self.server_header is kind.server_header
            and self.subprotocols_offered is kind.subprotocols_offered
            and self.subprotocol is kind.subprotocol
            and self.extensions is kind.extensions
            and self.auth is kind.auth
        )

    @property
    def latency(self) -> int | None:
        """From the request's last byte to the answer's first; None: not known."""
        return None if self.latency_ns < 0 else self.latency_ns

    @latency.setter
    def latency(self, value: int | None) -> None:
        self.latency_ns = UNKNOWN if value is None else value

    @property
    def detail(self) -> Detail:
        """The rest, unpacked: ask once."""
        return unpack_detail(self.packed)

    @property
    def idle(self) -> int | None:
        """The silence at the end, `detail.idle[0]`, without unpacking the rest, as in the next two."""
        value = number_at(self.packed, IDLE)
        return None if value < 0 else value

    @property
    def silence(self) -> int:
        """The longest silence, `detail.silence`."""
        return number_at(self.packed, SILENCE)

    def closed_at(self, side: int) -> int:
        """When this side's first Close was sent, `detail.closes[side][1]`."""
        return number_at(self.packed, CLOSES + 2 * side + 1)

    @property
    def mask_keys(self) -> tuple[int, ...]:
        """The first masking keys of the client's frames."""
        return unpack(f"<{len(self.packed_keys) // 4}I", self.packed_keys)

    @mask_keys.setter
    def mask_keys(self, keys: Sequence[int]) -> None:
        self.packed_keys = pack(f"<{len(keys)}I", *keys)

    def may_count(self) -> bool:
        """Whether the first three masking keys go up in equal steps in one byte order, or may in the other.

        Of a big-endian counter, read as little-endian, the low half is its high half and hardly ever changes.
        """
        packed = self.packed_keys
        if len(packed) < 12:
            return False
        first = second = third = 0
        for i in range(3, -1, -1):
            first = first << 8 | packed[i]
            second = second << 8 | packed[i + 4]
            third = third << 8 | packed[i + 8]
        return ((second - first) ^ (third - second)) & M32 == 0 or (first ^ second) & 0xFFFF == 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Connection) and bool(values_of(self) == values_of(other))

    def __repr__(self) -> str:
        fields = zip(FIELDS, values_of(self), strict=True)
        return f"Connection({', '.join([f'{name}={value!r}' for name, value in fields])})"

    def __reduce__(self) -> tuple[Any, ...]:
        """For worker processes: by position, which takes half the time that names take."""
        return Connection, values_of(self)


def unpack_detail(packed: bytes) -> Detail:
    """What was given to `Detail.pack`."""
    numbers = unpack_numbers(packed)
    messages = tuple(numbers[15:20]), tuple(numbers[20:25])
    closes = (numbers[CLOSES], numbers[CLOSES + 1]), (numbers[CLOSES + 2], numbers[CLOSES + 3])
    idle = tuple([maybe(number) for number in numbers[IDLE : IDLE + 4]])
    end = 42 + 5 * numbers[41]
    last = tuple([(at[0], at[1], at[2], at[3], at[4]) for at in [numbers[i : i + 5] for i in range(42, end, 5)]])
    beat = unpack_heartbeat(numbers[end + 1 :]) if numbers[end] else NO_HEARTBEAT
    return Detail(
        numbers[0], (tuple(numbers[1:8]), tuple(numbers[8:15])), messages, closes, numbers[SILENCE], idle, tuple(numbers[34:39]),
        numbers[39], numbers[40], last, beat,
    )  # fmt: skip


def unpack_heartbeat(numbers: list[int]) -> Heartbeat:
    application = None
    if len(numbers) > 9:
        side, count, interval, answered, last, packet, offset, waiting, _, *words = numbers[9:]
        kind, *keepalives = bytes(words).decode().split("\0")
        application = ApplicationBeat(
            kind, side, count, maybe(interval), None if answered < 0 else answered > 0, last, packet, offset, waiting,
            tuple(keepalives),
        )  # fmt: skip
    a, b, c, d, interval, p50, p99, e, f = numbers[:9]
    return Heartbeat((a, b), (c, d), maybe(interval), maybe(p50), maybe(p99), (e, f), application)
