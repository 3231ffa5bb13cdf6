"""Drivers: one pass over the captures, or worker processes that each follow the flows of their shard. Results are values that
merge."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from wsaudit.alike import learn_ending, learn_opening
from wsaudit.capture.reader import CaptureReader, merge_in_time_order, open_capture, prescan_secrets
from wsaudit.capture.source import Named, expand, name_of
from wsaudit.collector import patient
from wsaudit.errors import InputError
from wsaudit.guard import where
from wsaudit.http.head import parse_head
from wsaudit.kernel.connection import Connection
from wsaudit.kernel.exchanges import Exchanges
from wsaudit.kernel.findings import Findings
from wsaudit.kernel.gets import Gets
from wsaudit.kernel.kinds import Kinds
from wsaudit.kernel.ordinary import Ordinary
from wsaudit.kernel.packets import Decoder
from wsaudit.kernel.party import CloseFrame
from wsaudit.kernel.records import OUT_OF_TURN
from wsaudit.kernel.sealed import Sealed
from wsaudit.kernel.streams import Flow
from wsaudit.model import NOT_EXPLAINED, PACKET_BITS, FailedConnect, Finding, PlainGet, address, packet_input, packet_number
from wsaudit.opening import Sent
from wsaudit.options import Options
from wsaudit.pipeline import Pipeline
from wsaudit.registry import home_targets
from wsaudit.rows import asked_by, closed_tls_row, row, server_at
from wsaudit.session import Session, session_of
from wsaudit.tls.keylog import KeyStore

if TYPE_CHECKING:
    from wsaudit.kernel.frames import FrameLog
    from wsaudit.net.link import Unwrapper
    from wsaudit.tls.tunnel import TlsTunnel


class Notice(NamedTuple):
    """Something the reader of a report must know about the evidence. `packet` 0: about the whole input."""

    input: int
    packet: int
    text: str


class Input:
    """One capture as it was read. Times in ns; `error`: why nothing of it could be read."""

    def __init__(self, path: str, error: str | None = None) -> None:
        self.path = path
        self.format: str | None = None
        self.packets = 0
        self.bytes = 0
        self.first_time: int | None = None
        self.last_time: int | None = None
        self.truncated = False
        self.notices: tuple[str, ...] = ()
        self.error = error


class Interrupted(Exception):
    """The user has seen enough: raised by a progress callback between two chunks."""


class Frames(NamedTuple):
    """Every frame of one connection, and the first Close frames of each side. `key`: the connection's first packet."""

    key: int
    log: FrameLog
    closes: tuple[CloseFrame, ...]


class Audit:
    """What a pass found. `merge` puts the parts of several shards together; the order of merging does not matter."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.connections: list[Connection] = []
        self.findings = Findings()
        self.notices: list[Notice] = []
        self.limit_hits: list[Notice] = []  # where something that belongs to no connection was too much
        self.failed_connects: list[FailedConnect] = []
        self.plain_gets: list[PlainGet] = []
        self.frames: list[Frames] = []
        self.kept: Session | None = None  # the history of the connection that `Options.keep` names; in one process only
        self.interrupted = False
        self.crashes = 0  # connections that a bug in us kept out of the report
        self.packets: Counter[str] = Counter()  # tcp, udp, other, cut: the same in each shard
        self.seen: Counter[str] = Counter()  # flows, requests, tls...: added up over shards
        self.ports: Counter[int] = Counter()  # flows that were no WebSocket, by lower port

    def merge(self, other: Audit) -> None:
        self.inputs = self.inputs or other.inputs
        self.connections += other.connections
        self.findings.merge(other.findings)
        self.notices += [notice for notice in other.notices if notice not in self.notices]
        self.failed_connects += other.failed_connects
        self.plain_gets += other.plain_gets
        self.limit_hits += other.limit_hits
        self.limit()
        self.frames += other.frames
        self.crashes += other.crashes
        self.interrupted = self.interrupted or other.interrupted
        self.packets = self.packets or other.packets
        self.seen += other.seen
        self.ports += other.ports

    def limit(self) -> None:
        """Of what may be more than is looked at, keep what came first."""
        if len(self.failed_connects) > MAX_FAILED_CONNECTS:
            self.failed_connects.sort(key=lambda failed: (failed.how == "silent", failed.ended, failed.last_packet))
            del self.failed_connects[MAX_FAILED_CONNECTS:]
        if len(self.plain_gets) > MAX_PLAIN_GETS:
            self.plain_gets.sort(key=attrgetter("ended", "last_packet"))
            del self.plain_gets[MAX_PLAIN_GETS:]
        if len(self.limit_hits) > MAX_LIMIT_HITS:
            self.limit_hits.sort()
            del self.limit_hits[MAX_LIMIT_HITS:]

    def left_out(self) -> Iterator[str]:
        """What was more than is kept, in words: for the notices, once all shards are together."""
        for name, most, what in (
            ("failed_connects", MAX_FAILED_CONNECTS, "TCP connects that failed were not looked at"),
            ("plain_gets", MAX_PLAIN_GETS, "requests without an upgrade were not compared with those that have one"),
            ("limit_hits", MAX_LIMIT_HITS, "more HTTP heads were too large"),
        ):
            if self.seen[name] > most:
                yield f"{self.seen[name] - most} {what}"


MAX_FAILED_CONNECTS = 10_000
MAX_PLAIN_GETS = 10_000
MAX_CRASHES = 100  # that are named
MAX_LIMIT_HITS = 100
CUT_FLOWS = "cut_flows "  # and how many bytes are left of what they carried
TOGETHER = 32  # connections that are judged together


class Completed:
    """A connection whose history is complete, and what is found out about it step by step. `given_up`: a bug in us showed."""

    __slots__ = ("end_time", "findings", "given_up", "session", "termination")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.findings: list[Finding] = []
        self.termination = NOT_EXPLAINED
        self.end_time = 0
        self.given_up = False


class Pass:
    """One reading of the captures: the kernel's listener and the pipelines' sink."""

    def __init__(self, options: Options, keys: KeyStore, shard: int = 0) -> None:
        from wsaudit.rules.judge import Judge
        from wsaudit.termination import Explainer

        self.options = options
        self.keys = keys
        self.audit = Audit()
        self.judge = Judge(options)
        self.explain = Explainer(options)
        limits = options.limits
        self.unwrapper: Unwrapper | None = None
        self.readers: Sequence[CaptureReader] = ()
        self.secrets_taken: Counter[int] = Counter()
        self.over: list[Completed] = []
        self.requests = 0  # over plain HTTP
        self.tls_ends: Counter[str | None] = Counter()  # TLS connections by why they were not opened
        self.gets = Gets(self.audit.plain_gets, MAX_PLAIN_GETS + OUT_OF_TURN, asked_by)
        self.kinds: Kinds | None = None  # None: every connection is followed by a Pipeline, which alone keeps frames
        if not options.frames and options.keep is None:
            homes = tuple(target.encode() for target in home_targets())
            self.kinds = Kinds(self, self.audit.connections, self.audit.findings, limits.head, limits.findings, homes, server_at)
        seed = int.from_bytes(os.urandom(8))  # so that nobody can make a capture whose flows all collide
        self.decoder = Decoder(
            self,
            shard,
            options.jobs,
            options.ports,
            seed,
            max_flows=limits.flows,
            midstream=options.midstream,
            buffer_limit=limits.segment_buffer,
            kinds=self.kinds,
        )

    # -- the kernel's listener -------------------------------------------------------------

    def open(self, flow: Flow) -> Pipeline:
        return Pipeline(flow, self)

    def unusual(self, usual: Ordinary | Exchanges | Sealed) -> Pipeline:
        """A flow is no longer like others, or of no interest: who takes over."""
        pipeline = Pipeline(usual.flow, self)
        pipeline.take_over(usual)
        return pipeline

    def ended(self, usual: Ordinary, ongoing: bool) -> None:
        """A flow was like others until it ended in a way of its own."""
        session = session_of(usual)
        session.end(ongoing, self.options.limits)
        self.session_over(session)

    def may_be_limit(self, usual: Ordinary, clocks: tuple[int, ...], age: int) -> bool:
        """May the end of a flow like others have come at a limit of time?"""
        return self.explain.may_be_limit(clocks, age, usual.opening.row.server_header)

    def closed_at_limit(self, usual: Ordinary) -> bool:
        """May the Close of the server of a flow like others have come at a limit of time?"""
        return self.explain.closed_at_limit(session_of(usual))

    def judge_alone(self, usual: Ordinary, occasions: int, others: int) -> list[Finding] | None:
        """What is to be said on some occasions of a flow like others, beside `others` findings. None: that is more than may be
        said of one connection."""
        session = session_of(usual)
        session.ended = usual.flow.last_time
        found = self.judge.only(session, occasions)
        return found if len(found) + others <= self.judge.limit else None

    def accepted(self, session: Session) -> None:
        """A handshake was completed on a cleartext connection."""
        if self.kinds is not None:
            learn_opening(self.kinds, session, self.judge)

    def ignored_flow(self, port_a: int, port_b: int) -> None:
        self.audit.ports[min(port_a, port_b)] += 1

    def packet(self, data: bytes, linktype: int, time: int, packet: int) -> None:
        self.unwrap().packet(data, linktype, time, packet)

    def network(self, data: bytes, version: int, time: int, packet: int) -> None:
        self.unwrap().network(data, version, time, packet)

    def icmp(self, data: bytes, version: int, time: int, packet: int) -> None:
        self.unwrap().icmp(data, version, time, packet)

    def unwrap(self) -> Unwrapper:
        if self.unwrapper is None:
            from wsaudit.net.link import Unwrapper

            self.unwrapper = Unwrapper(self.decoder)
        return self.unwrapper

    def connect_failed(
        self,
        client: bytes,
        client_port: int,
        server: bytes,
        server_port: int,
        how: str,
        started: int,
        first: int,
        ended: int,
        last: int,
    ) -> None:
        if self.options.ports and server_port not in self.options.ports:
            return
        self.audit.seen["failed_connects"] += 1
        if len(self.audit.failed_connects) < MAX_FAILED_CONNECTS + OUT_OF_TURN:
            self.audit.failed_connects.append(
                FailedConnect((client, client_port), (server, server_port), how, started, first, ended, last)
            )

    # -- the pipelines' sink -------------------------------------------------------------

    def forget(self, flow: Flow) -> None:
        self.decoder.forget(flow)

    def internal_error(self, flow: Flow, error: Exception) -> None:
        """A bug in us ended the audit of one connection."""
        self.audit.crashes += 1
        if self.audit.crashes <= MAX_CRASHES:
            ends = (f"{address(flow.address_a)} port {flow.port_a}", f"{address(flow.address_b)} port {flow.port_b}")
            self.audit.notices.append(
                Notice(
                    packet_input(flow.first_packet),
                    packet_number(flow.first_packet),
                    f"internal error ({where(error)}): the connection between {ends[0]} and {ends[1]} is not in this report",
                )
            )

    def fresh_keys(self) -> KeyStore:
        """The key store, with the secrets that the captures have given so far."""
        for reader in self.readers:
            for secret in reader.secrets[self.secrets_taken[reader.index] :]:
                self.keys.add(secret)
                self.secrets_taken[reader.index] += 1
        return self.keys

    def limit_hit(self, packet: int, text: str) -> None:
        """Something that belongs to no connection (yet) was too much."""
        self.audit.seen["limit_hits"] += 1
        if len(self.audit.limit_hits) < MAX_LIMIT_HITS + OUT_OF_TURN:
            self.audit.limit_hits.append(Notice(packet_input(packet), packet_number(packet), text))

    def cut_flow(self, kept: int) -> None:
        """A flow that could not be looked into because its packets were cut, `kept` bytes at most of what was in them."""
        self.audit.seen[f"{CUT_FLOWS}{kept}"] += 1

    def count_requests(self, number: int) -> None:
        self.requests += number

    def count_tls(self, why_not: str | None) -> None:
        """One TLS connection is over. `why_not`: why it was not opened."""
        self.tls_ends[why_not] += 1

    def plain_get(self, flow: Flow, client: int, request: Sent, status: int, time: int, packet: int) -> None:
        raw = request[0]
        if b"text/html" in raw and "text/html" in (parse_head(raw).get("accept") or ""):  # a browser loading a page
            return
        self.gets.add(flow, client, *request, status, time, packet)

    def session_over(self, session: Session) -> None:
        """A connection's history is complete."""
        self.over.append(Completed(session))
        if len(self.over) == TOGETHER:
            self.conclude()

    def conclude(self) -> None:
        """Judge the connections that are over, explain their ends, keep a row of each: one step for all of them, then the next.
        What a step needs is then in the processor's caches for all but the first: 7 % less time for many connections."""
        for step in (self.judge_ended, self.explain_ended, self.keep_ended):
            for ended in self.over:
                try:
                    if not ended.given_up:
                        step(ended)
                except Exception as error:  # a bug in us costs this connection, as in guard.py
                    ended.given_up = True
                    self.internal_error(ended.session.flow, error)
        for ended in self.over:
            ended.session.let_go()
        self.over.clear()

    def judge_ended(self, ended: Completed) -> None:
        ended.findings = self.judge.session(ended.session)

    def explain_ended(self, ended: Completed) -> None:
        ended.termination, ended.end_time = self.explain.session(ended.session, ended.findings)

    def keep_ended(self, ended: Completed) -> None:
        audit, session = self.audit, ended.session
        kept = row(session, ended.termination, ended.end_time)
        audit.connections.append(kept)
        learn_ending(session, ended.findings, kept, self.judge, audit.findings)
        audit.findings.extend(ended.findings)
        if session.log is not None:
            audit.frames.append(Frames(session.first_packet, session.log, (*session.client.closes, *session.server.closes)))
        if session.first_packet == self.options.keep:
            audit.kept = session

    def closed_tls(self, flow: Flow, client: int, tunnel: TlsTunnel, ongoing: bool) -> None:
        """A TLS connection in which no WebSocket was seen."""
        found = closed_tls_row(flow, client, tunnel, ongoing, self.explain)
        if found is not None:
            self.audit.connections.append(found)

    # -- driving -------------------------------------------------------------

    def run(self, readers: Sequence[CaptureReader], progress: Callable[[int], None] | None = None) -> None:
        """Read all of it. `progress` is called once a chunk with the bytes read of all captures; if it raises Interrupted, what
        was read so far is the audit."""
        self.readers = readers
        read: Counter[int] = Counter()
        for reader in readers:
            reader.on_chunk = None if progress is None else partial(self.tell, progress, read, reader.index)
        try:
            merge_in_time_order(readers, self.decoder)
        except Interrupted:
            self.audit.notices.append(
                Notice(0, 0, "interrupted: this is what was read so far; later packets are not in this report")
            )
            self.audit.interrupted = True
        self.fresh_keys()
        self.finish(readers)
        self.part(readers)

    def tell(self, progress: Callable[[int], None], read: Counter[int], index: int, total: int) -> None:
        read[index] = total
        progress(read.total())

    def finish(self, readers: Sequence[CaptureReader]) -> None:
        decoder = self.decoder
        decoder.finish()
        self.conclude()
        audit = self.audit
        audit.limit()
        if self.unwrapper is not None:
            audit.notices += [Notice(0, 0, text) for text in self.unwrapper.notices()]
        for name, value in (
            ("tcp", decoder.tcp_packets),
            ("udp", decoder.udp_packets),
            ("other", decoder.other_packets),
            ("cut", decoder.cut_packets),
            ("truncated", decoder.truncated),
        ):
            audit.packets[name] = value
        audit.seen["flows"] += decoder.flows
        if self.gets.seen:
            audit.seen["plain_gets"] += self.gets.seen
        audit.seen["http_requests"] += self.requests + (self.kinds.requests_seen if self.kinds is not None else 0)
        audit.seen["tls_connections"] += self.tls_ends.total()
        for why_not, count in self.tls_ends.items():
            audit.seen["tls_opened" if why_not is None else f"tls_closed {why_not}"] += count
        if decoder.blind:
            audit.seen[f"{CUT_FLOWS}0"] += decoder.blind
        if decoder.evicted:
            text = f"more than {self.options.limits.flows} directions of flows at a time (limit flows)"
            audit.notices.append(Notice(0, 0, f"{text}: {decoder.evicted} that were silent longest were forgotten"))
        for reader in readers:
            for reference, text in reader.notices:
                audit.notices.append(Notice(reader.index, reference & ((1 << PACKET_BITS) - 1), text))

    def part(self, readers: Sequence[CaptureReader]) -> None:
        """Decoder, readers and kinds know this pass: cut the rings, so that flows are freed before rows are compared."""
        del self.decoder
        self.kinds = None
        self.unwrapper = None
        for reader in readers:
            reader.on_chunk = None


def run(captures: Sequence[Named], options: Options, progress: Callable[[int], None] | None = None) -> Audit:
    """Audit `captures` (paths, folders, `-`, bytes, binary files) as one, in packet-time order.

    Inputs that cannot be read are named in `Audit.inputs` with their error; InputError is raised only by callers who want it.
    """
    named = expand(captures)
    if options.jobs > 1:
        from wsaudit.workers import run_shards

        return run_shards(named, options, progress=progress)
    return run_shard(named, options, 0, progress)


def run_shard(named: Sequence[Named], options: Options, shard: int, progress: Callable[[int], None] | None = None) -> Audit:
    """One pass that follows the flows of one shard."""
    keys = KeyStore()
    keys.final = True
    readers: list[CaptureReader] = []
    inputs: list[Input] = []
    notices: list[Notice] = []
    for path in options.keylogs:
        try:
            text = path.read_bytes()
        except OSError as error:
            raise InputError(str(path), f"the key log cannot be read: {error.strerror or error}") from None
        notices += [Notice(0, 0, f"{path.name}: {text}") for text in keys.add(text)]
    opened: list[tuple[CaptureReader, Named]] = []
    unreadable: list[Input] = []
    for item in named:
        try:
            opened.append((open_capture(item), item))
        except InputError as error:
            reason = error.reason if error.offset is None else f"byte {error.offset}: {error.reason}"
            unreadable.append(Input(name_of(item), error=reason))
    # Packet references then grow with time, so that rotated files give one report in whatever order they are named.
    if len(opened) > 1:
        opened.sort(key=first_time)
    for index, (reader, item) in enumerate(opened):
        reader.renumber(index)
        readers.append(reader)
        inputs.append(Input(reader.path))
        if reader.format != "pcapng":
            continue
        if isinstance(item, (str, bytes)) and item != "-":
            for secret in prescan_secrets(item):
                notices += [Notice(index, 0, text) for text in keys.add(secret)]
        else:
            keys.final = False  # secrets may come with the packets
    inputs += unreadable
    work = Pass(options, keys, shard)
    work.audit.inputs = inputs
    work.audit.notices = notices
    try:
        with patient():
            work.run(readers, progress)
    finally:
        for reader in readers:
            reader.close()
    for reader in readers:
        entry = inputs[reader.index]
        entry.format = reader.format
        entry.packets = reader.packets
        entry.bytes = reader.bytes
        entry.first_time = reader.first_time
        entry.last_time = reader.last_time
        entry.truncated = reader.truncated
        entry.notices = tuple(text for _, text in reader.notices)
    return work.audit


def first_time(opened: tuple[CaptureReader, Named]) -> int:
    """The time of its first packet; a capture without packets goes first."""
    return opened[0].next_time or 0
