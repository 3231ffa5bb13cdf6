"""How connections end, as far as numbers tell: who was first, what had arrived, how long it had been quiet. Nothing is judged."""

from __future__ import annotations

from wsaudit.kernel import mode
from wsaudit.kernel.constants import BIG, LONGEST, LONGEST_TRIP, REACTION, SHORTEST_WAIT, TIMES_RTT, UNCLEAR, USUAL_TRIP
from wsaudit.kernel.frames import Scanner
from wsaudit.kernel.party import CloseFrame, Party
from wsaudit.kernel.streams import Stream
from wsaudit.model import BOTH, CLIENT, PACKET_BITS, SECOND, SERVER

FAILURES = (1002, 1003, 1007, 1009, 1010)  # codes with which an endpoint fails the connection (RFC 6455 §7.1.7)


def is_compiled() -> bool:
    return bool(mode.COMPILED)


def first_to_end(a: Stream, b: Stream) -> int:
    """Who sent the first of two FINs, whatever the order of their packets; `a` is the client's stream. One that was not captured
    came first if the other acknowledges it; if not, the other is all there is to go by."""
    if b.answers_fin(a):
        return CLIENT
    if a.answers_fin(b):
        return SERVER
    if a.fin_seq < 0 or b.fin_seq < 0:
        return CLIENT if b.fin_seq < 0 else SERVER
    return BOTH


def first_fin(a: Stream, b: Stream) -> int:
    """Who ended TCP with the first FIN, of a connection without RST: CLIENT, SERVER, BOTH, or -1 when there is none."""
    if a.fin_time and b.fin_time:
        return first_to_end(a, b)
    if a.fin_time:
        return CLIENT
    return SERVER if b.fin_time else -1


def fin_of(by: int, a: Stream, b: Stream) -> Stream:
    """The side whose FIN tells when the connection ended by FIN; of two that crossed the one that was captured first."""
    if by == BOTH:
        earlier = b.fin_time < a.fin_time or (b.fin_time == a.fin_time and b.fin_packet < a.fin_packet)
        return b if earlier else a
    return b if by == SERVER else a


def who_left(client: Party, server: Party) -> int:
    """Who ended TCP: CLIENT, SERVER or NOBODY. UNCLEAR: not by FINs that were captured, one after the other, nor by a single RST
    of that side's own, or bytes or probes waited for the peer, or its window was closed."""
    a = client.stream
    b = server.stream
    if is_troubled(a) or is_troubled(b):
        return UNCLEAR
    if a.rst_time or b.rst_time:
        if a.fin_time or b.fin_time or a.fin_taken or b.fin_taken or (a.rst_time and b.rst_time):
            return UNCLEAR
        return CLIENT if a.rst_time else SERVER
    by = first_fin(a, b)
    if by == BOTH or (by == CLIENT and a.answers_fin(b)):
        return UNCLEAR
    return by


def is_troubled(stream: Stream) -> bool:
    """Is there more about the end of this side than a FIN or an RST?"""
    if stream.tail_retransmissions or stream.keepalives_unanswered or stream.zero_total or stream.zero_since:
        return True
    if stream.fin_time and (stream.fin_seq < 0 or not stream.fin_taken):
        return True
    return bool(stream.rst_time and stream.rst_ttl and stream.ttl and stream.rst_ttl != stream.ttl)


def has_reason(party: Party, peer: Party, time: int) -> bool:
    """May this side have left at `time` because a Ping of its own was overdue, because those of the peer did not come any more,
    or for the size of a frame?"""
    if party.frames.largest >= BIG or peer.frames.largest >= BIG:
        return True
    if peer.intervals and time - peer.stream.last_data_time >= SECOND:
        return True
    return bool(party.pings) and overdue_ping(party, peer, time) is not None


def left_bytes(party: Party, peer: Party, time: int) -> bool:
    """Did this side leave at `time` just after bytes of the peer, which were the last ones?"""
    late = time - peer.stream.last_data_time
    return 0 <= late < SECOND and peer.stream.last_data_time > party.stream.last_data_time


def first_to_close(c: CloseFrame, s: CloseFrame) -> int:
    """Who started the close handshake: a Close whose sender had not acknowledged the peer's was sent without knowing of it."""
    client_knew = c.acked >= s.end
    server_knew = s.acked >= c.end
    if client_knew != server_knew:
        return SERVER if client_knew else CLIENT
    if not client_knew:
        return BOTH
    # Both knew: one is a repetition, or waited behind lost bytes until its sender knew. The order of packets is all that is left.
    if c.packet >> PACKET_BITS == s.packet >> PACKET_BITS:
        return CLIENT if c.packet < s.packet else SERVER
    return CLIENT if c.time <= s.time else SERVER


def undisturbed(c: CloseFrame, s: CloseFrame, a: Stream, b: Stream) -> bool:
    """Did both Closes arrive, with nothing that follows them and no RST, and can they be read?"""
    if a.rst_time or b.rst_time or a.acked < c.end or b.acked < s.end:
        return False
    if a.offset - a.fin_taken > c.end or b.offset - b.fin_taken > s.end:
        return False
    return is_readable(c) and is_readable(s)


def is_readable(close: CloseFrame) -> bool:
    """Is there nothing about the body of a Close that anybody could refuse?"""
    if close.lost or close.length == 1 or close.length > LONGEST:
        return False
    return not close.reason or is_text(close.reason)


def is_text(reason: bytes) -> bool:
    if reason.isascii():
        return True
    try:
        reason.decode()
    except UnicodeDecodeError:
        return False
    return True


def just_sent_largest(frames: Scanner, time: int) -> bool:
    """Was the last data frame that came before `time`, and not long before, the largest one, and large?"""
    if frames.largest <= LONGEST:
        return False
    for at, _, shape, length in reversed(frames.recent_rows()):
        if shape & 15 < 8 and 0 <= time - at < REACTION:
            return bool(length == frames.largest)
    return False


def all_rtts(client: Party, server: Party) -> list[int]:
    """Ping to Pong, of either side's Pings, in ns."""
    return [*client.rtts, *server.rtts]


def overdue_ping(party: Party, peer: Party, time: int) -> tuple[int, int, int] | None:
    """The Ping of `party` whose answer was overdue at `time`: its age in ns, packet and offset (zeros: it was answered after
    that, and where it was sent is not known any more). None: every one had its answer or could still expect it (RFC 6455
    §5.5.2)."""
    sent = packet = offset = 0
    for ping in party.waiting:
        if ping.time <= time:
            sent = ping.time
            packet = ping.packet
            offset = ping.offset
            break
    if not sent and party.last_ping_time <= time < peer.last_pong_time:
        sent = party.last_ping_time
    if not sent:
        return None
    age = time - sent
    if age < SHORTEST_WAIT:
        return None
    quick = min(all_rtts(party, peer), default=0)
    if quick < age < TIMES_RTT * quick:
        return None
    return age, packet, offset


def answered_at_once(lead: CloseFrame, answer: CloseFrame) -> bool:
    """Could whoever answered this Close have answered a Ping, too? Then it did not for another reason than being gone. A library
    whose keep-alive gives up, with 1011, drops the connection whatever comes."""
    return answer.time - lead.time < SECOND and lead.code != 1011


def round_trip(client: Party, server: Party) -> int:
    """At most how long a packet and its answer take (rules/timing.py)."""
    a = client.stream
    b = server.stream
    trip = USUAL_TRIP
    if a.syn_time and b.syn_time and a.first_data_time > a.syn_time:
        trip = a.first_data_time - a.syn_time
    elif client.rtts or server.rtts:
        trip = max(all_rtts(client, server))
    return trip if trip < LONGEST_TRIP else LONGEST_TRIP


def is_last(close: CloseFrame, stream: Stream) -> bool:
    """Did this Close arrive, with nothing that follows it, and can it be read?"""
    return stream.acked >= close.end and stream.offset - stream.fin_taken <= close.end and is_readable(close)


def idle_at(client: Party, server: Party, in_tls: bool, end: int) -> tuple[int, int, int, int]:
    """How long each clock had stood still at `end`, in ns: any byte, client's, server's, data frames of either. -1: there was
    nothing to measure from, or bytes came after `end` and took the place of those before it."""
    c = client.frames.last_data_time
    d = server.frames.last_data_time
    if in_tls:  # the last records of TCP are TLS's own goodbye
        a = client.frames.last_time
        b = server.frames.last_time
    else:
        a = client.stream.last_data_time
        b = server.stream.last_data_time
    last = a if a > b else b
    data = c if c > d else d
    return (
        end - last if 0 < last <= end else -1,
        end - a if 0 < a <= end else -1,
        end - b if 0 < b <= end else -1,
        end - data if 0 < data <= end else -1,
    )


def heartbeat_numbers(client: Party, server: Party) -> tuple[int, ...]:
    """Pings of client and server, how many of each wait for an answer, the mean interval of those of the side that sent more, the
    median and the 99th percentile of all round trips (-1: none), the time of the last Ping of each. Times in ns."""
    asker = client if client.pings >= server.pings else server
    ordered = all_rtts(client, server)
    ordered.sort()
    p50 = p99 = -1
    if ordered:
        p50 = ordered[(len(ordered) - 1) // 2]
        p99 = ordered[(len(ordered) * 99 + 99) // 100 - 1]
    return (
        client.pings,
        server.pings,
        len(client.waiting) + client.overflow,
        len(server.waiting) + server.overflow,
        asker.interval_sum // asker.intervals if asker.intervals else -1,
        p50,
        p99,
        client.last_ping_time,
        server.last_ping_time,
    )
