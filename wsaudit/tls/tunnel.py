"""One TLS connection: stream events in, stream events out, so that nothing above can tell whether there was TLS.

Records are cut (`records`), handshakes read (`handshake`), keys derived (`schedule`) and records opened (`ciphers`). What needs
a key that is not there yet, or the other side's answer, is held back in the order of arrival and goes on when it can.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wsaudit.kernel.tls import Aead, RecordCounts, RecordReader
from wsaudit.tls import handshake as messages
from wsaudit.tls.direction import DROPPED, SMALLEST_BODY, Direction
from wsaudit.tls.direction import PlainGap as PlainGap
from wsaudit.tls.facts import ALERTS, CERTIFICATE_ALERTS, Alert, TlsFacts, failure, version_name
from wsaudit.tls.handshake import ServerHello
from wsaudit.tls.keylog import KeyStore
from wsaudit.tls.keys import (
    APPLICATION,
    CLIENT,
    EARLY,
    RECORDS_OF_HANDSHAKE,
    SERVER,
    Keys,
    Session,
    fits,
    has_keys,
    tls12_keys,
    tls13_keys,
    updated_keys,
)
from wsaudit.tls.records import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, HEADER_SIZE, LOST
from wsaudit.tls.records import looks_like_tls as looks_like_tls
from wsaudit.tls.schedule import TLS10, TLS12, TLS13, transcript_hash
from wsaudit.tls.suites import Suite, suite, suite_name

if TYPE_CHECKING:
    from wsaudit.kernel.frames import Scanner

# After lost records their number is not known: sequence numbers are tried until one authenticates. The work is bounded by a
# multiple of the bytes that came, so that holes in hostile captures cost linear time.
_MOST_TRIED = 4096
_MOST_UPDATES = 4  # KeyUpdates that may be among the lost records
_TRIAL_COST = 512  # bytes that could be opened in the time one call takes
_EFFORT_BASE = 1 << 20
_EFFORT_PER_BYTE = 64
_SEARCHES_PER_GAP = 8

_ALERT_SIZE = 19  # an alert in TLS 1.3 without padding
_HELD_COST = 300  # what holding a record costs beside its bytes

_MOST_TRANSCRIPT = 1 << 17
_MOST_SKIPPED = 4096  # records without a fitting key that are stepped over before a direction is given up
_MOST_ALERTS = 64


class TunnelLimits(Protocol):
    """The limit a tunnel obeys: bytes it may hold back while it waits for keys."""

    @property
    def tls_buffer(self) -> int: ...


class Chunk(NamedTuple):
    """The application bytes of one record. `tcp_end` is where the record ends in that side's TCP stream; `time` and `packet`
    are those of the segment that completed it."""

    side: int
    data: bytes
    tcp_end: int
    time: int
    packet: int


Events = list[Chunk | PlainGap]
_Candidate = tuple["Keys", int, int]  # keys, first and last sequence number


class _Held(NamedTuple):
    """A record that waits, as Framer gave it but with bytes of its own."""

    side: int
    kind: int
    version: int
    body: bytes
    end: int
    time: int
    packet: int


class TlsTunnel:
    """Opens one TLS connection. Side 0 is the client. Call `finish` once at the end; it also gives back what is held.

    Nothing here raises for what the traffic or a key log says; `facts` tells what went wrong.
    """

    __slots__ = (
        "_directions",
        "_effort",
        "_empty_certificate",
        "_ending",
        "_fed",
        "_held",
        "_held_bytes",
        "_keys",
        "_keys_seen",
        "_limits",
        "_news",
        "_reason",
        "_session",
        "facts",
    )

    def __init__(self, keys: KeyStore, limits: TunnelLimits) -> None:
        self.facts = TlsFacts()
        self._keys = keys
        self._keys_seen = keys.version
        self._limits = limits
        self._directions = (Direction(CLIENT), Direction(SERVER))
        self._session = Session(None)
        self._held: list[_Held] = []
        self._held_bytes = 0
        self._news = False  # something became known that held records may wait for
        self._reason: str | None = None  # why something stays closed for good
        self._empty_certificate = False
        self._ending = False
        self._fed = 0
        self._effort = 0

    @property
    def opaque(self) -> bool:
        """Whether nothing more can be opened, whatever is fed."""
        return self._directions[CLIENT].closed and self._directions[SERVER].closed

    def feed(self, side: int, data: bytes | memoryview, offset: int, time: int, packet: int) -> Events:
        """Take the next bytes of a side's TCP stream, which start at `offset`; give the application bytes they complete."""
        out: Events = []
        if self._keys.version != self._keys_seen:
            self._retry(out)
        direction = self._directions[side]
        self._take_back(direction)
        self._fed += len(data)
        counts = self.facts.records[side]
        for kind, version, body, end in direction.framer.feed(data, offset):
            if kind == APPLICATION_DATA:
                counts.add_application(len(body))
            elif kind == HANDSHAKE:
                counts.handshake += 1
            if direction.blocked or not self._take(direction, kind, version, body, end, time, packet, out):
                self._hold(direction, kind, version, body, end, time, packet)
            elif self._news:
                self._release(out)
        if direction.framer.garbage:
            self._note_garbage(side)
        return out

    def gap(self, side: int, offset: int, length: int, time: int, packet: int) -> Events:
        """`length` bytes of a side's TCP stream from `offset` on are missing. What that costs is told when it is known."""
        out: Events = []
        if self._keys.version != self._keys_seen:
            self._retry(out)
        self.facts.gaps += 1
        direction = self._directions[side]
        self._take_back(direction)
        damaged = direction.framer.gap(length, offset)
        if damaged is None:
            direction.gap = direction.gap or PlainGap(side, time, packet, None)
        elif direction.blocked:
            self._hold(direction, *damaged, time, packet)
        else:
            self._take(direction, *damaged, time, packet, out)
        return out

    def finish(self) -> Events:
        """The connection or the capture ended: use the keys that came late, and tell what stays unread."""
        out: Events = []
        for direction in self._directions:
            self._take_back(direction)
        self._ending = True
        self._retry(out)
        for item in self._held:
            if item.kind == ALERT:
                self._add_alert(item.side, None, item.time, item.packet, True)
            elif self._directions[item.side].gap is None:
                self._directions[item.side].gap = PlainGap(item.side, item.time, item.packet, None)
        if any(direction.searches for direction in self._directions):
            self._reason = self._reason or "lost-records"
        self._explain()
        for direction in self._directions:
            self._tell_gap(direction, out)
            self.facts.partial_record[direction.side] = direction.framer.pending
        self._keys.held -= self._held_bytes
        self._held = []
        self._held_bytes = 0
        return out

    # --- what needs nothing of this ---

    def go_on_closed(self, side: int, counts: list[RecordCounts], readers: tuple[RecordReader, RecordReader]) -> None:
        """Application data of `side` came before any ClientHello, and since then these readers, of client and server, have taken
        all records."""
        self.facts.records = counts
        for direction, reader in zip(self._directions, readers, strict=True):
            direction.reader = reader
            direction.framer.started = True
        self._directions[side].blocked = True
        self._close("handshake-not-captured")

    def reader(self, side: int, offset: int, scanner: Scanner | None, ends: list[int]) -> RecordReader | None:
        """What takes a side's records from TCP offset `offset` on as long as nothing but data comes: opens them and feeds
        `scanner`, or only counts them where they stay closed. None: not now, or for lack of a scanner not yet. Whatever is fed
        next, or a gap, or the end, takes back what the reader has left."""
        direction = self._directions[side]
        aead = direction.keys.opener if direction.keys is not None and direction.steady else None
        if direction.closed:
            aead = None
            if self._session.client is not None and not self.facts.handshake_complete:
                return None
        elif scanner is None or not isinstance(aead, Aead) or not (direction.encrypted or direction.epoch >= APPLICATION):
            return None
        begun = direction.framer.give_up()
        if begun is None:
            return None
        direction.reader = reader = RecordReader(self.facts.records[side], offset, *begun)
        if isinstance(aead, Aead) and scanner is not None:
            reader.open_with(aead, direction.sequence, scanner, ends)
        return reader

    def _take_back(self, direction: Direction) -> None:
        reader = direction.reader
        if reader is None:
            return
        direction.reader = None
        if reader.aead is not None:
            direction.sequence = reader.sequence
        direction.framer.go_on(bytes(reader.held or b""), reader.skip, reader.offset)
        self._fed += reader.offset - reader.start

    # --- one record ---

    def _take(
        self,
        direction: Direction,
        kind: int,
        version: int,
        body: memoryview | bytes,
        end: int,
        time: int,
        packet: int,
        out: Events,
    ) -> bool:
        """Deal with one record. False: it must wait, and nothing has changed."""
        if (
            direction.steady
            and (kind == APPLICATION_DATA or direction.encrypted)
            and direction.keys is not None
            and kind > DROPPED
        ):
            opened = direction.keys.opener.open(direction.sequence, kind, version, body)
            if opened is not None:
                direction.sequence += 1
                kind, content = opened
                if kind == APPLICATION_DATA and direction.epoch != EARLY:
                    out.append(Chunk(direction.side, content, end, time, packet))
                else:
                    self._content(direction, kind, content, True, end, time, packet, out)
                return True
        if direction.closed:
            self._watch(direction, kind, body, time, packet)
            return True
        if kind <= DROPPED:
            direction.lose(kind, version, time, packet)
            return True
        session = self._session
        if not session.answered:
            if kind == CHANGE_CIPHER_SPEC and session.server is None:
                return False
            if kind == APPLICATION_DATA:
                opened = self._guess_answer(direction, version, body)
                if opened is None:
                    return False
                self._tell_gap(direction, out)
                self._content(direction, opened[0], opened[1], True, end, time, packet, out)
                return True
        if kind == APPLICATION_DATA and not session.is_tls13 and not direction.encrypted:
            self._change_cipher(direction)  # the ChangeCipherSpec was lost
            direction.lost += 1
        if not direction.encrypted and kind != APPLICATION_DATA:
            self._content(direction, kind, bytes(body), False, end, time, packet, out)
            return True
        if direction.encrypted and kind in (HANDSHAKE, APPLICATION_DATA):
            self._finished(direction.session or session, direction.side)
        candidates = self._tls13_candidates(direction) if session.is_tls13 else self._tls12_candidates(direction)
        if candidates is None:
            return False
        opened = self._search(direction, candidates, kind, version, body)
        if opened is None:
            self._not_opened(direction, kind, len(body), time, packet, out)
        else:
            self._tell_gap(direction, out)
            self._content(direction, opened[0], opened[1], True, end, time, packet, out)
        return True

    def _content(
        self, direction: Direction, kind: int, content: bytes, encrypted: bool, end: int, time: int, packet: int, out: Events
    ) -> None:
        """Deal with what a record carried."""
        if kind == APPLICATION_DATA:
            if encrypted and direction.epoch == EARLY and self.facts.early_data == "rejected":
                self.facts.early_data_bytes += len(content)
            else:
                out.append(Chunk(direction.side, content, end, time, packet))
        elif kind == HANDSHAKE:
            for message in direction.messages.feed(content):
                self._message(direction, message, encrypted)
        elif kind == ALERT:
            self._add_alert(direction.side, content, time, packet, encrypted)
        elif kind == CHANGE_CIPHER_SPEC and not self._session.is_tls13:
            self._change_cipher(direction)

    def _watch(self, direction: Direction, kind: int, body: memoryview | bytes, time: int, packet: int) -> None:
        """A record that stays closed still tells how far the handshake came, and of alerts."""
        if kind == ALERT:
            encrypted = len(body) != 2
            self._add_alert(direction.side, None if encrypted else bytes(body), time, packet, encrypted)
        elif self._session.is_tls13:
            self._infer_completion(direction.side, kind, len(body))
        elif kind == CHANGE_CIPHER_SPEC:
            direction.encrypted = True
        elif direction.encrypted and kind in (HANDSHAKE, APPLICATION_DATA):
            self._finished(self._session, direction.side)

    # --- opening ---

    def _search(
        self, direction: Direction, candidates: list[_Candidate], kind: int, version: int, body: memoryview | bytes
    ) -> tuple[int, bytes] | None:
        """Find the keys and the sequence number that open a record."""
        for keys, first, last in candidates:
            # What was dropped on purpose is counted exactly, and a hole most often took one record: the far end first.
            for sequence in chain((last,), range(first, min(last, first + _MOST_TRIED))):
                opened = keys.opener.open(sequence, kind, version, body)
                if opened is not None:
                    self._found(direction, keys, sequence)
                    return opened
                self._effort += len(body) + _TRIAL_COST
                if self._effort > _EFFORT_BASE + _EFFORT_PER_BYTE * self._fed:
                    return None
        return None

    def _found(self, direction: Direction, keys: Keys, sequence: int) -> None:
        """A record opened with `keys` as number `sequence`: that settles what was lost."""
        if keys is not direction.keys:
            handshake_only = direction.epoch == RECORDS_OF_HANDSHAKE and sequence == 0
            direction.use(keys, keys.epoch)
            direction.messages.clear()
        else:
            # Record 0 of TLS 1.0-1.2 is always the Finished.
            finished = not direction.opened and sequence == 1 and not self._session.is_tls13
            handshake_only = direction.sequence == sequence or finished
        if handshake_only:
            direction.gap = None
        if keys.epoch >= APPLICATION:
            self._finished(self._session, direction.side)
        direction.sequence = sequence + 1
        direction.lost = direction.searches = 0
        direction.opened = direction.steady = self.facts.decrypted = True

    def _not_opened(self, direction: Direction, kind: int, size: int, time: int, packet: int, out: Events) -> None:
        """No key opened a record: step over it where that is to be expected, else give the direction up."""
        tls13 = self._session.is_tls13
        if tls13 and self._is_passed_over(direction):
            if direction.epoch == EARLY and self.facts.early_data == "rejected":
                self.facts.early_data_bytes += size
            elif direction.epoch == EARLY:
                direction.gap = direction.gap or PlainGap(direction.side, time, packet, None)
            return
        if direction.lost and direction.searches < _SEARCHES_PER_GAP:
            direction.searches += 1
            direction.lost += 1
            return
        if direction.lost or (self.facts.gaps and not direction.opened):
            self._reason = "lost-records"
        else:
            self._reason = "corrupt-record" if direction.opened else "wrong-keys"
        direction.closed = True
        direction.gap = direction.gap or PlainGap(direction.side, time, packet, None)
        self._tell_gap(direction, out)
        self._explain()

    def _is_passed_over(self, direction: Direction) -> bool:
        """Whether a TLS 1.3 record may be early data, or of the handshake, whose secret is not in the key log."""
        if direction.epoch >= APPLICATION or direction.skipped >= _MOST_SKIPPED or self._directions[SERVER].closed:
            return False
        direction.skipped += 1
        return direction.epoch == EARLY or direction.keys is None

    def _tell_gap(self, direction: Direction, out: Events) -> None:
        if direction.gap is not None and self.facts.decrypted:
            out.append(direction.gap)
        direction.gap = None

    def _tls13_candidates(self, direction: Direction) -> list[_Candidate] | None:
        """The keys that can open a direction's next record, with the first and last sequence number; None: wait for the keys."""
        epoch, lost = direction.epoch, direction.lost
        if epoch == EARLY and self._early_data_open():
            return None
        if direction.keys is None:
            keys = tls13_keys(self._keys, self._session, direction.side, epoch)
            if keys is not None:
                direction.use(keys, epoch)
        current = direction.keys
        later: Iterable[int] = ()
        if epoch == EARLY or (epoch < APPLICATION and (lost or current is None)):
            later = range(epoch + 1, APPLICATION + 1)
        found = [] if current is None else [current]
        found += filter(None, (tls13_keys(self._keys, self._session, direction.side, other) for other in later))
        if lost and found and found[-1].epoch >= APPLICATION:
            for _ in range(_MOST_UPDATES):
                found.append(updated_keys(self._session, found[-1]))
        return [
            (keys, 0, lost) if keys is not current else (keys, direction.sequence, direction.sequence + lost) for keys in found
        ] or None

    def _tls12_candidates(self, direction: Direction) -> list[_Candidate] | None:
        """The same for TLS 1.0-1.2, where only a lost ChangeCipherSpec can bring other keys."""
        if direction.keys is None:
            direction.use(tls12_keys(self._keys, direction.session or self._session, direction.side), 0)
        if direction.keys is None:
            return None
        candidates = [(direction.keys, direction.sequence, direction.sequence + direction.lost)]
        if direction.lost and self._session is not direction.session and self._session.answered:
            keys = tls12_keys(self._keys, self._session, direction.side)
            if keys is not None:
                candidates.append((keys, 0, direction.lost))
        return candidates

    def _early_data_open(self) -> bool:
        """Whether it may still come out what became of 0-RTT data, so that it has to wait."""
        server = self._directions[SERVER]
        if self.facts.early_data is not None or self._ending or server.closed or server.lost or server.epoch >= APPLICATION:
            return False
        return server.keys is not None or tls13_keys(self._keys, self._session, SERVER, RECORDS_OF_HANDSHAKE) is not None

    # --- the handshake ---

    def _message(self, direction: Direction, message: bytes, encrypted: bool) -> None:
        session = self._session
        kind = message[0]
        if session.is_tls13 and session.answered:
            if encrypted:
                self._tls13_message(direction, kind, message)
            return
        if kind == messages.CLIENT_HELLO and direction.side == CLIENT:
            self._client_hello(direction, message, encrypted)
        elif kind == messages.SERVER_HELLO and direction.side == SERVER and not session.answered:
            self._server_hello(message)
        elif kind in (messages.CERTIFICATE, messages.SERVER_HELLO_DONE):
            session.full = True
            self._note_certificate(direction, kind, message)
        session = self._session
        if kind and not session.session_hash and len(session.transcript) < _MOST_TRANSCRIPT:  # 0 is HelloRequest, not hashed
            session.transcript += message
            if kind == messages.CLIENT_KEY_EXCHANGE and session.server is not None and session.suite is not None:
                session.premaster_name = messages.encrypted_premaster(message)[:8]
                session.session_hash = transcript_hash(session.server.version, session.suite.hash_name, bytes(session.transcript))
                session.transcript = bytearray()

    def _client_hello(self, direction: Direction, message: bytes, encrypted: bool) -> None:
        hello = messages.parse_client_hello(message)
        if len(hello.random) < 32:
            return
        if self._session.client is None or self._session.answered:
            self._session = Session(hello)
            self.facts.renegotiations += encrypted
        self._session.client = hello
        if not encrypted:
            self.facts.sni = hello.server_name
            self.facts.alpn_offered = hello.alpn
            if hello.early_data:
                direction.epoch = EARLY
        self._news = True

    def _server_hello(self, message: bytes) -> None:
        hello = messages.parse_server_hello(message)
        session, facts = self._session, self.facts
        if not hello.suite:
            return
        session.server = hello
        facts.version = version_name(hello.version)
        facts.cipher = suite_name(hello.suite)
        if hello.retry:
            self._reject_early_data()
            return
        if hello.version == TLS13:
            facts.resumed = hello.pre_shared_key
            session.transcript = bytearray()
            if not hello.pre_shared_key:
                self._reject_early_data()
        else:
            facts.alpn = hello.alpn
        session.suite = suite(hello.suite)
        self._news = True
        reason = _unsupported(hello, session.suite)
        if reason is not None:
            session.suite = None
            self._close(reason)

    def _guess_answer(self, direction: Direction, version: int, body: memoryview | bytes) -> tuple[int, bytes] | None:
        """The ServerHello was lost. That the key log has secrets of TLS 1.3 tells the version, their length the hash, and what
        opens a record the suite: gives what `open` gives for the record `body` of application data. Not after early data: only
        the server's first messages tell whether it took that."""
        session, before = self._session, self._session.server
        if session.client is None or session.client.early_data or not self._directions[SERVER].lost:
            return None
        for number in session.client.suites:
            session.suite = suite(number)
            if session.suite is None or not session.suite.is_tls13 or not fits(self._keys, session.client.random, session.suite):
                continue
            session.server = ServerHello(version=TLS13, suite=number)
            epoch = direction.epoch
            opened = self._search(direction, self._tls13_candidates(direction) or [], APPLICATION_DATA, version, body)
            if opened is not None:
                self.facts.version, self.facts.cipher = version_name(TLS13), suite_name(number)
                self._news = True
                return opened
            direction.use(None, epoch)
        session.server, session.suite = before, None
        return None

    def _tls13_message(self, direction: Direction, kind: int, message: bytes) -> None:
        session = self._session
        if kind == messages.ENCRYPTED_EXTENSIONS and direction.side == SERVER:
            extensions = messages.parse_encrypted_extensions(message)
            self.facts.alpn = extensions.alpn
            if extensions.early_data:
                self.facts.early_data = "accepted"
            else:
                self._reject_early_data()
            self._news = True
        elif kind == messages.END_OF_EARLY_DATA and direction.side == CLIENT:
            self.facts.early_data = "accepted"  # it is sent in no other case (RFC 8446 4.5)
            direction.use(tls13_keys(self._keys, self._session, direction.side, RECORDS_OF_HANDSHAKE), RECORDS_OF_HANDSHAKE)
        elif kind == messages.FINISHED and direction.epoch < APPLICATION:
            self._finished(session, direction.side)
            direction.use(tls13_keys(self._keys, self._session, direction.side, APPLICATION), APPLICATION)
            self._news = True
        elif kind == messages.KEY_UPDATE and direction.keys is not None and direction.epoch >= APPLICATION:
            self.facts.key_updates[direction.side] += 1
            direction.use(updated_keys(self._session, direction.keys), direction.epoch + 1)
        elif kind == messages.CERTIFICATE:
            self._note_certificate(direction, kind, message)

    def _note_certificate(self, direction: Direction, kind: int, message: bytes) -> None:
        if kind == messages.CERTIFICATE and direction.side == CLIENT:
            self._empty_certificate = len(message) <= 8  # RFC 8446 4.4.2, RFC 5246 7.4.6: an empty list says "I have none"

    def _reject_early_data(self) -> None:
        if self._directions[CLIENT].epoch == EARLY and self.facts.early_data is None:
            self.facts.early_data = "rejected"
            self._news = True

    def _change_cipher(self, direction: Direction) -> None:
        """From here on a direction of TLS 1.0-1.2 uses the keys of the latest handshake."""
        session = self._session
        if direction.side == SERVER and not session.full:
            self.facts.resumed = True
        direction.session = session
        direction.encrypted = True
        direction.use(None, 0)
        direction.lost = 0
        direction.opened = False
        direction.messages.clear()

    def _finished(self, session: Session, side: int) -> None:
        session.finished[side] = True
        if all(session.finished):
            self.facts.handshake_complete = True
            self.facts.flight = self.facts.records[SERVER].application

    # --- alerts and other ends ---

    def _add_alert(self, side: int, content: bytes | None, time: int, packet: int, encrypted: bool) -> None:
        """Note an alert; `content` None when it could not be opened."""
        if len(self.facts.alerts) >= _MOST_ALERTS:
            return
        if content is None or len(content) < 2:
            self.facts.alerts.append(Alert(side, None, None, "encrypted alert", time, packet, encrypted))
            return
        level, code = content[0], content[1]
        alert = Alert(side, level, code, ALERTS.get(code, f"alert {code}"), time, packet, encrypted)
        self.facts.alerts.append(alert)
        if code == 0:
            self.facts.close_notify[side] = True
        elif alert.is_fatal:
            self._note_failure(alert)

    def _note_failure(self, alert: Alert) -> None:
        """A fatal alert before the handshake's end, or about a certificate: TLS 1.3 clients are done before theirs is judged."""
        if self.facts.handshake_failed or (self.facts.handshake_complete and alert.code not in CERTIFICATE_ALERTS):
            return
        self.facts.handshake_failed = failure(alert, self._empty_certificate, self._session.server is not None)
        self.facts.failed_by = alert.side

    def _note_garbage(self, side: int) -> None:
        """One side's bytes are no records: if they are its first ones, it does not speak TLS at all."""
        facts = self.facts
        self._directions[side].framer.garbage = False
        if self._directions[side].framer.started or self._session.client is None or self._session.server is not None:
            return
        facts.handshake_failed = "not-tls"
        facts.failed_by = side
        self._reason = "not-tls"
        self._explain()

    # --- waiting ---

    def _hold(
        self, direction: Direction, kind: int, version: int, body: memoryview | bytes, end: int, time: int, packet: int
    ) -> None:
        """Keep a record until it can be dealt with, as far as the limits allow."""
        if not direction.blocked:
            direction.blocked = True
            self._explain()
        if self._session.client is None and self._directions[CLIENT].framer.started:
            self._close("handshake-not-captured")  # nothing that comes can tell the keys
            return
        self._infer_completion(direction.side, kind, len(body))
        if self._keys.final and self._session.answered and not has_keys(self._keys, self._session):
            self._close("no-key-for-client-random" if self._keys.version else "no-key-log")
            return
        cost = len(body) + _HELD_COST
        if direction.unread or self._held_bytes + cost > self._limits.tls_buffer or self._keys.held + cost > self._keys.most_held:
            if not direction.unread:
                self._held.append(_Held(direction.side, DROPPED, 0, b"", end, time, packet))
            direction.unread += 1 if kind > LOST else version // (HEADER_SIZE + SMALLEST_BODY) + 1
            if kind == ALERT:
                self._add_alert(direction.side, None, time, packet, True)
            return
        self._held.append(_Held(direction.side, kind, version, bytes(body), end, time, packet))
        self._held_bytes += cost
        self._keys.held += cost

    def _close(self, reason: str) -> None:
        """Nothing of this connection can be opened; what is held is let go."""
        self._reason = reason
        for direction in self._directions:
            direction.closed = True
        self._release([])

    def _retry(self, out: Events) -> None:
        self._keys_seen = self._keys.version
        self._release(out)

    def _release(self, out: Events) -> None:
        """Go through what is held, in the order it came, and again as long as that makes more of it readable."""
        self._news = True
        while self._news and self._held:
            self._news = False
            for direction in self._directions:
                direction.blocked = False
            held, self._held = self._held, []
            for item in held:
                direction = self._directions[item.side]
                if not direction.blocked and self._take_held(direction, item, out):
                    cost = len(item.body) + _HELD_COST if item.kind != DROPPED else 0
                    self._held_bytes -= cost
                    self._keys.held -= cost
                else:
                    direction.blocked = True
                    self._held.append(item)
        self._news = False
        self._explain()

    def _take_held(self, direction: Direction, item: _Held, out: Events) -> bool:
        _, kind, amount, body, end, time, packet = item
        if kind == DROPPED:
            amount, direction.unread = direction.unread, 0
            self._reason = self._reason or "waiting-limit"
        return self._take(direction, kind, amount, body, end, time, packet, out)

    def _infer_completion(self, side: int, kind: int, size: int) -> None:
        """TLS 1.3 without keys: the server answers the client's encrypted records with more than an alert."""
        if kind != APPLICATION_DATA or not self._session.is_tls13 or self.facts.handshake_complete:
            return
        if side == SERVER and self.facts.records[CLIENT].application and size > _ALERT_SIZE:
            self.facts.handshake_complete = True

    def _explain(self) -> None:
        """Say why the connection, or the rest of it, is closed."""
        session, facts = self._session, self.facts
        facts.begun = session.client is not None
        waiting = any(direction.blocked for direction in self._directions)
        if self._reason is not None:
            facts.why_not = self._reason
        elif not waiting:
            facts.why_not = None if facts.decrypted or not self._ending else "handshake-incomplete"
        elif session.client is None:
            facts.why_not = "handshake-not-captured"
        elif not session.answered:
            facts.why_not = "lost-records" if facts.gaps else "handshake-incomplete"
        elif not self._keys.version:
            facts.why_not = "no-key-log"
        elif not facts.decrypted and not self._keys.knows(session.client.random):
            facts.why_not = "no-key-for-client-random"
        else:
            facts.why_not = "incomplete-keys"


def _unsupported(hello: ServerHello, chosen: Suite | None) -> str | None:
    """Why records under what the server chose cannot be opened; None when they can."""
    if not TLS10 <= hello.version <= TLS13:
        return "unsupported-version"
    if hello.compression:
        return "compressed"
    if chosen is None or chosen.is_tls13 != (hello.version == TLS13) or (hello.version < TLS12 and chosen.kind != "cbc"):
        return "unsupported-cipher"
    return None
