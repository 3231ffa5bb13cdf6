"""Connections as most are: opened by heads made like others before them, closed by the book.

An `Ordinary` is the first owner of every flow. It holds the two heads against those that it knows (`Request`, `Opening`), lets
the frames be counted, and asks at the end whether all that rules and explanations look at is as it was at a connection before
(`Ending`). Then the same is to be said of this one, with other numbers: a row, without a Python object for the handshake, the
history or the end. 50,000 such connections take a fifth of the time.

Nothing is decided here that is not decided elsewhere first: whatever is unusual, a `Pipeline` takes over, with all that is known
of the connection so far; and what is said of the first connection of each kind is what the judge and the explainer say.
"""

from __future__ import annotations

from typing import Any

from wsaudit.kernel import mode
from wsaudit.kernel.buffer import Buffer
from wsaudit.kernel.connection import Connection
from wsaudit.kernel.constants import (
    AT_ANSWER,
    AT_CLIENT_CLOSE,
    AT_END,
    AT_FIRST_FRAME,
    AT_REQUEST,
    BIT,
    DROP,
    FIRST,
    FRAMES,
    LONG_IDLE,
    NOBODY,
    PATIENCE,
    QUIET,
)
from wsaudit.kernel.details import pack_history, pack_last
from wsaudit.kernel.endings import (
    FAILURES,
    answered_at_once,
    fin_of,
    first_fin,
    first_to_close,
    has_reason,
    heartbeat_numbers,
    idle_at,
    is_last,
    just_sent_largest,
    left_bytes,
    overdue_ping,
    round_trip,
    undisturbed,
    who_left,
)
from wsaudit.kernel.exchanges import Exchanges
from wsaudit.kernel.frames import Scanner, header_size
from wsaudit.kernel.kinds import Ending, Kinds, Opening
from wsaudit.kernel.occasions import occasions_of_closes, occasions_of_frames, occasions_of_pings
from wsaudit.kernel.party import CloseFrame, Party, introduce, part, party_of
from wsaudit.kernel.sealed import Sealed, begins_handshake, hello_sender
from wsaudit.kernel.streams import Flow, Owner, Stream
from wsaudit.model import CLIENT, PACKET_MASK, SECOND, SERVER, Termination

POLITE = (None, 1000, 1001)  # codes with which a hop closes at a limit of its own

# What an Ordinary waits for.
START = 0  # the first bytes
PART = 4  # the rest of a head whose first bytes are there
ASKED = 1  # the answer to an upgrade request
OPEN = 2  # the end
OVER = 3  # nothing: it is told, or somebody else's

GET = b"G"[0]  # what the only method begins with
CLOSE = 8
FAILED = BIT["failed"]
BROWSER_PINGS = BIT["browser pings"]
HASTY = BIT["hasty"]
TOO_LONG = 4  # of `has_waited`
EVIDENCE = Termination._fields.index("evidence")


def is_compiled() -> bool:
    return bool(mode.COMPILED)


class Ordinary(Owner):
    """One flow, for as long as it is like others before it: the owner whom the kernel calls, as it calls a `Pipeline`.

    `request`, `answer`: the two heads; `request_end`: when the last bytes of the request came, which may have two pieces.
    `client`: 0 if that is the flow's side a, 1 for b, -1: it cannot be told. `coalesced`: frames came with the answer. `alike`:
    the kind of its end, if that is the first of a kind that may be told of many.
    """

    __slots__ = (
        "alike", "answer", "answer_packet", "answer_time", "client", "client_party", "coalesced", "flow", "key", "kind", "kinds",
        "opening", "request", "request_end", "request_packet", "request_time", "server_party", "state", "target_end",
    )  # fmt: skip

    def __init__(self, flow: Flow, kinds: Kinds) -> None:
        self.fill(flow, kinds)

    def fill(self, flow: Flow, kinds: Kinds) -> None:
        self.flow = flow
        self.kinds = kinds
        self.state = START
        self.client = -1
        if flow.a.syn_seen and flow.b.syn_seen:  # one alone may be a SYN-ACK whose SYN was not captured
            self.client = 0 if flow.a.syn_packet < flow.b.syn_packet else 1
        self.kind: Any = None  # a Request
        self.opening: Any = None  # an Opening
        self.request = b""
        self.request_time = 0
        self.request_packet = 0
        self.request_end = 0
        self.key = b""
        self.target_end = 0
        self.answer = b""
        self.answer_time = 0
        self.answer_packet = 0
        self.client_party: Any = None  # a Party
        self.server_party: Any = None
        self.coalesced = False
        self.alike: tuple[Any, ...] | None = None

    # -- what the kernel calls -------------------------------------------------------------

    def data(self, stream: Stream, data: bytes, offset: int, time: int, packet: int) -> None:
        """The next bytes of one side, in order."""
        try:
            if self.state == PART:
                if self.take_rest(stream, data, offset, time):
                    return
            elif offset == 0 and (self.take(stream, data, time, packet) or self.entrust(stream, data, time, packet)):
                return
        except Exception as error:
            self.crashed(error)
            return
        self.hand_over().data(stream, data, offset, time, packet)

    def gap(self, stream: Stream, offset: int, length: int, time: int, packet: int) -> None:
        """Bytes of one side were lost while nobody scans its frames."""
        self.hand_over().gap(stream, offset, length, time, packet)

    def lost_step(self, stream: Stream, time: int, packet: int) -> None:
        """A gap hit a frame header."""
        self.hand_over().lost_step(stream, time, packet)

    def early_frames(self, size: int, offset: int, time: int, packet: int) -> None:
        """The client sent its first frames before it had acknowledged the whole answer."""
        self.hand_over().early_frames(size, offset, time, packet)

    def icmp(self, time: int, packet: int, words: str) -> None:
        """A router or host said something about this flow."""
        if self.state == ASKED or self.state == OPEN:
            self.hand_over().icmp(time, packet, words)

    def control(self, scanner: Scanner, opcode: int, payload: bytes | None, length: int) -> None:
        """A control frame that is no Ping or Pong."""
        if opcode != CLOSE:
            return
        party, peer = self.client_party, self.server_party
        if scanner.side == SERVER:
            party, peer = peer, party
        try:
            party.take_close(payload, length, scanner.frame_offset + header_size(scanner.shape) + length, peer.stream.acked)
        except Exception as error:
            self.crashed(error)

    def finish(self, flow: Flow, ongoing: bool) -> None:
        """The flow is over; `ongoing`: because the capture is."""
        if self.state == START or self.state == OVER:
            return
        if self.state != OPEN:
            self.hand_over().finish(flow, ongoing)
            return
        try:
            if self.tell(ongoing):
                part(self.client_party, self.server_party)
            else:
                self.kinds.sink.ended(self, ongoing)
            self.state = OVER
        except Exception as error:
            self.crashed(error)

    def crashed(self, error: Exception) -> None:
        """A bug in us: this connection is given up, as pipeline.py does."""
        if self.state == OVER:
            return
        self.state = OVER
        for stream in (self.flow.a, self.flow.b):
            stream.mode = DROP
            stream.skip = -1
        self.kinds.sink.internal_error(self.flow, error)

    def hand_over(self) -> Any:
        """Something is not as usual: who looks at this connection from now on."""
        owner = self.kinds.sink.unusual(self)
        self.flow.owner = owner
        self.state = OVER
        return owner

    def entrust(self, stream: Stream, data: bytes, time: int, packet: int) -> bool:
        """Leave a flow with these first bytes to an owner of what is no WebSocket, if they are of that."""
        if self.state != START:
            return False
        flow = self.flow
        side = 0 if stream is flow.a else 1
        if begins_handshake(data):
            sealed = Sealed.__new__(Sealed)
            sealed.fill(flow, hello_sender(data, side) if self.client < 0 else self.client, self.kinds.sink)
            if sealed.take(stream, data, 0, time, packet):
                flow.owner = sealed
                self.state = OVER
        elif self.client < 0 or self.client == side:
            exchanges = Exchanges.__new__(Exchanges)
            exchanges.fill_with(flow, side, self.kinds.sink, self.kinds.max_head)
            if exchanges.lend_with(data, time, packet):
                flow.owner = exchanges
                self.state = OVER
        return self.state == OVER

    # -- the opening handshake -------------------------------------------------------------

    def take(self, stream: Stream, data: bytes, time: int, packet: int) -> bool:
        """The first bytes of a side, if they are a head of a known kind where it belongs."""
        flow = self.flow
        from_client = stream is (flow.a if self.client == 0 else flow.b)
        if self.state == START:
            if self.client < 0 or not from_client or data[0] != GET:
                return False
            self.request_time = time
            self.request_packet = packet
            if self.kinds.may_begin(data):
                self.request = data
                self.state = PART
                return True
            return self.take_request(data, time)
        if self.state != ASKED or from_client:
            return False
        opening = self.kinds.find_answer(self.kind, self.key, data)
        if opening is None:
            return False
        end = self.kinds.answer_end
        self.opening = opening
        self.answer = data[:end]
        self.answer_time = time
        self.answer_packet = packet
        self.open_frames(stream, stream.peer)
        if end < len(data):
            self.coalesced = True
            self.server_party.frames.feed(Buffer(data), end, len(data), time, packet)
        return True

    def take_rest(self, stream: Stream, data: bytes, offset: int, time: int) -> bool:
        """The next bytes of a side, if they complete a request of a known kind. Requests in more than two pieces are rare."""
        if offset == 0 or stream is not (self.flow.a if self.client == 0 else self.flow.b):
            return False
        return self.take_request(self.request + data, time)

    def take_request(self, data: bytes, time: int) -> bool:
        """All that the client has sent, at `time` the last of it, if that is a request of a known kind."""
        kinds = self.kinds
        kind = kinds.find_request(data)
        if kind is None:
            return False
        kinds.requests_seen += 1
        self.kind = kind
        self.request = data
        self.request_end = time
        self.key = kinds.key
        self.target_end = kinds.target_end
        self.state = ASKED
        return True

    def open_frames(self, server: Stream, client: Stream) -> None:
        """From here on both sides send frames."""
        self.client_party = party_of(CLIENT, client)
        self.server_party = party_of(SERVER, server)
        introduce(self.client_party, self.server_party, self)
        for party in (self.client_party, self.server_party):
            stream = party.stream
            party.frames.offset = stream.offset
            stream.scanner = party.frames
            stream.silence = 0  # the wait for the answer belongs to another timeout than those of the open connection
            stream.answer_end = len(self.answer)
        self.server_party.frames.offset = len(self.answer)
        client.mode = FIRST
        server.mode = FRAMES
        self.state = OPEN

    # -- the end -------------------------------------------------------------

    def tell(self, ongoing: bool) -> bool:
        """Write down what is to be said of this connection, if the same was to be said of one before it.

        Asked for here is no more than that nothing is there for a rule to look at (rules/occasions.py), but for those that may be
        asked alone (rules/judge.py, ASKED_ALONE), that the end is one of which the codes say everything
        (termination.closing.all_that_tells), and which of the kinds it is.
        """
        flow = self.flow
        client: Party = self.client_party
        server: Party = self.server_party
        a = client.stream
        b = server.stream
        flow.settle()
        if flow.silence >= QUIET or a.gaps is not None or b.gaps is not None:  # a packet cut short, too, leaves a gap
            return False
        c = client.close
        s = server.close
        if c is None and s is None:
            return self.tell_unclosed(ongoing)
        if ongoing:
            return False
        if c is None or s is None:
            return self.tell_unanswered(server if c is None else client, client if c is None else server)
        occasions = occasions_of_closes(client, server)
        if occasions & ~FAILED or not self.is_quiet(client.frames, server.frames):
            return False
        if not undisturbed(c, s, a, b):
            return False
        if c.code == 1009 and (just_sent_largest(client.frames, s.time) or just_sent_largest(server.frames, c.time)):
            return False
        by = first_fin(a, b)
        initiator = first_to_close(c, s)
        waited = 0
        if initiator != SERVER:
            waited = has_waited(client, server, c, s)
        if initiator != CLIENT:
            waited += 2 * has_waited(server, client, s, c)
        if waited >= TOO_LONG:
            return False
        old = s.time - flow.first_time >= LONG_IDLE
        if old and initiator != CLIENT and s.code in POLITE and self.kinds.sink.closed_at_limit(self):
            return False
        flags = (2 if c.acked >= s.end else 0) + (1 if s.acked >= c.end else 0)
        flags += 4 if self.coalesced else 0
        key = (c.code, c.reason, s.reason, ((initiator * 4 + by) * 4 + waited) * 8 + flags)
        ender = fin_of(by, a, b)
        return self.say(key, occasions, c, s, ender, ender.fin_time)

    def tell_unclosed(self, ongoing: bool) -> bool:
        """The same without any Close: the capture ended, or one side left, and nothing tells why (termination/dropping.py)."""
        flow = self.flow
        client: Party = self.client_party
        server: Party = self.server_party
        if client.frames.headers == 0 or not self.is_quiet(client.frames, server.frames):
            return False
        by = who_left(client, server)
        flags = 1 if self.coalesced else 0
        if ongoing:
            return by == NOBODY and self.say((flags,), 0, None, None, None, flow.last_time)
        if by < 0:
            return False
        party = client if by == CLIENT else server
        peer = server if by == CLIENT else client
        ender = party.stream
        end_time = ender.fin_time
        if ender.rst_time:
            end_time = ender.rst_time
            flags += 4 if left_bytes(party, peer, end_time) else 2
        if has_reason(party, peer, end_time):
            return False
        if self.kinds.sink.may_be_limit(self, idle_at(client, server, False, end_time), end_time - flow.first_time):
            return False
        return self.say((by, flags), 0, None, None, ender, end_time)

    def tell_unanswered(self, party: Party, peer: Party) -> bool:
        """The same with a Close of `party` only, soon after which somebody ended TCP by FIN (termination/closing.py)."""
        client: Party = self.client_party
        server: Party = self.server_party
        close: Any = party.close
        if party.later_closes or close.code in FAILURES or not is_last(close, party.stream):
            return False
        if client.frames.headers == 0 or not self.is_quiet(client.frames, server.frames):
            return False
        by = who_left(client, server)
        if by < 0:
            return False
        ender = client.stream if by == CLIENT else server.stream
        wait = ender.fin_time - close.time
        if ender.rst_time or not 0 <= wait < PATIENCE or has_reason(party, peer, close.time):
            return False
        old = close.time - self.flow.first_time >= LONG_IDLE
        if old and party.side == SERVER and close.code in POLITE and self.kinds.sink.closed_at_limit(self):
            return False
        late = wait > round_trip(client, server)
        occasions = HASTY if by == party.side and not late else 0
        flags = (by * 2 + party.side) * 4 + (2 if late else 0) + (1 if self.coalesced else 0)
        c = close if party.side == CLIENT else None
        s = close if party.side == SERVER else None
        return self.say((close.code, close.reason, flags), occasions, c, s, ender, ender.fin_time)

    def say(self, key: tuple[Any, ...], occasions: int, c: Any, s: Any, ender: Any, end_time: int) -> bool:
        """Write down what is known of ends with this key, and what is to be said on some occasions. `c`, `s`: the Closes, if any;
        `ender`: who ended TCP, if anybody did, at `end_time`."""
        flow = self.flow
        opening: Opening = self.opening
        client: Party = self.client_party
        server: Party = self.server_party
        ending: Any = opening.endings.get(key, opening)
        if ending is None:
            return False
        if ending is opening:  # the first of its kind
            self.alike = key
            return False
        if client.pings or server.pings or client.pongs or server.pongs:
            occasions |= occasions_of_pings(client, server, flow.last_time)
            if client.pings and opening.browser:
                occasions |= BROWSER_PINGS
        if occasions and not self.judge_alone(occasions, len(ending.findings)):
            return False
        self.write(client, server, c, s, ender, end_time, ending)
        return True

    def judge_alone(self, occasions: int, others: int) -> bool:
        """Write down what is to be said on these occasions beside `others` findings, unless that is more than may be said of one
        connection. What is said of a browser's Pings is the same for all of this kind but for the place of the first and their
        number."""
        kinds = self.kinds
        opening: Opening = self.opening
        client: Party = self.client_party
        of_pings: tuple[int, ...] = ()
        if occasions & BROWSER_PINGS and opening.of_pings is not None:
            of_pings = opening.of_pings
            occasions &= ~BROWSER_PINGS
        others += len(of_pings)
        if others > kinds.max_findings:
            return False
        if occasions:
            found = kinds.sink.judge_alone(self, occasions, others)
            if found is None:
                return False
            if occasions == BROWSER_PINGS:
                opening.of_pings = tuple([kinds.findings.kind_of(each) for each in found])
            kinds.findings.extend(found)
        packet = client.first_ping_packet
        for kind in of_pings:
            kinds.findings.put(
                kind, self.flow.first_packet, packet, client.first_ping_time, client.first_ping_offset, packet, client.pings
            )
        return True

    def is_quiet(self, f: Scanner, g: Scanner) -> bool:
        """Is there nothing about the frames of both sides, but for Closes, Pings and Pongs, that a rule would be asked about?"""
        opening: Opening = self.opening
        if occasions_of_frames(self.client_party, self.server_party):
            return False
        if (f.beats is not None or g.beats is not None) and (may_beat(f) or may_beat(g) or self.is_home()):
            return False
        return f.has_only(opening.clean) and g.has_only(opening.clean_server)

    def is_home(self) -> bool:
        """Does the target name a protocol in which a message that comes once is a heartbeat?"""
        for part_of_target in self.kinds.homes:  # noqa: SIM110 - no generator when compiled
            if self.request.find(part_of_target, 0, self.target_end) >= 0:
                return True
        return False

    def write(self, client: Party, server: Party, c: Any, s: Any, ender: Any, end_time: int, ending: Ending) -> None:
        """The row of this connection, and the findings about it."""
        flow = self.flow
        kinds = self.kinds
        opening: Opening = self.opening
        row: Connection = opening.row.another()
        row.first_packet = flow.first_packet
        row.started = flow.first_time
        row.ended = flow.last_time
        if self.client == 0:
            row.client = (flow.address_a, flow.port_a)
            row.server = kinds.server_at(flow.address_b, flow.port_b)
        else:
            row.client = (flow.address_b, flow.port_b)
            row.server = kinds.server_at(flow.address_a, flow.port_a)
        abnormal = ender is not None and (c is None or s is None)
        end_packet = 0
        if abnormal:
            end_packet = ender.rst_packet if ender.rst_time else ender.fin_packet
        row.packed = self.pack(client, server, end_time, abnormal)
        row.target = self.target()
        row.key = self.key.decode("latin-1")
        row.latency_ns = self.answer_time - self.request_end if self.answer_time >= self.request_end else -1
        row.close = ending.close
        row.termination = ending.termination
        if ending.facts:
            packets = [end_packet if about == AT_END else (c if about == AT_CLIENT_CLOSE else s).packet for about in ending.facts]
            row.termination = with_packets(ending.termination, packets)
        row.end_time = end_time
        row.packed_keys = client.frames.mask_keys()
        kinds.rows.append(row)
        for where, kind, later, after, offset, last, count in ending.findings:
            if where == AT_REQUEST:
                packet = self.request_packet
                time = self.request_time
            elif where == AT_ANSWER:
                packet = self.answer_packet
                time = self.answer_time
            elif where == AT_FIRST_FRAME:
                packet = self.answer_packet
                time = self.answer_time
                offset = len(self.answer)
            elif where == AT_END:
                packet = end_packet
                time = end_time
                offset = ender.offset
            else:
                close = c if where == AT_CLIENT_CLOSE else s
                packet = close.packet
                time = close.time
                offset += close.offset
            kinds.findings.put(kind, flow.first_packet, packet + later, time + after, offset, packet + last, count)

    def target(self) -> str:
        return self.request[4 : self.target_end].decode("latin-1")

    def pack(self, client: Party, server: Party, end_time: int, abnormal: bool) -> bytes:
        """model.Detail, packed."""
        packer = self.kinds.packer
        flow = self.flow
        sent, received = client.frames.message_bytes, server.frames.message_bytes
        pack_history(packer, client, server, flow.last_packet, flow.silence, end_time, False, sent, received)
        if abnormal:
            pack_last(packer, client, server)
        else:
            packer.add(0)
        if client.pings or server.pings:
            packer.add(1)
            for number in heartbeat_numbers(client, server):
                packer.add(number)
        else:
            packer.add(0)
        return packer.taken()


def with_packets(termination: Termination, packets: list[int]) -> Termination:
    """The same with the numbers of these packets behind its first facts (kinds.Ending)."""
    facts = list(termination.evidence or ())
    for i in range(len(packets)):
        facts[i] += str(packets[i] & PACKET_MASK)
    return tuple.__new__(Termination, (*termination[:EVIDENCE], tuple(facts), *termination[EVIDENCE + 1 :]))


def has_waited(party: Party, peer: Party, close: CloseFrame, answer: CloseFrame) -> int:
    """When `party` sent its Close, had a Ping of its own waited too long for its answer: 1, or 0? TOO_LONG: that may be why it
    closed, or that it missed those of the peer (termination.beats.missed)."""
    if peer.intervals and close.time - peer.stream.last_data_time >= SECOND:
        return TOO_LONG
    if not party.pings or overdue_ping(party, peer, close.time) is None:
        return 0
    return 1 if answered_at_once(close, answer) else TOO_LONG


def may_beat(frames: Scanner) -> bool:
    """May one of its short messages be a heartbeat (heartbeats.py)?"""
    return frames.beats is not None and frames.beats.is_slow()
