"""Numbers that the kernel and those who read its facts share. The kernel's modules have them as C integers too (see each
`.pxd`)."""

from __future__ import annotations

# A shape is one integer: the first header byte (FIN, RSV, opcode: RFC 6455 §5.2) and these bits above it.
MASKED = 1 << 8
FORM_16 = 1 << 9  # the length was given in 16 bits
FORM_64 = 1 << 10  # ... in 64 bits
LONGER_FORM = 1 << 11  # a shorter form would have done
LENGTH_MSB = 1 << 12  # the top bit of a 64-bit length was set
IN_MESSAGE = 1 << 13  # a fragmented message was open before this frame
UNKNOWN_MESSAGE = 1 << 14  # nobody can tell whether one was (midstream start, gap)
AFTER_CLOSE = 1 << 15  # this side had sent a Close before
OVERSIZE = 1 << 16  # a control frame of more than 125 bytes, whatever form its length had
SHAPES = 1 << 17  # above all of them

SHORT = 40  # bytes of payload that a heartbeat has at most; those of known protocols have up to 20
SLOWEST_TALK = 1_000_000_000  # ns: messages that come faster are talk and no heartbeat
RECENT = 8  # last frames of a side that are kept for the ladder of an abnormal end

MOST_ROWS = 1 << 16  # packets that are decoded at once, uncompiled: a window that grew for a long one may have millions

# Who takes a stream's bytes.
PYTHON = 0  # owner.data(...): handshakes
FRAMES = 1  # the frame scanner
DROP = 2  # counted only, `skip` bytes or (skip < 0) all that come
READER = 3  # a `Reader`: of TLS records, which has its own scanner or only counts, or of plain HTTP exchanges
FIRST = 4  # the frame scanner too, but the owner is told if the first bytes are earlier than the client had the whole 101

# What is kept of a heartbeat (kernel/pings.py).
OUTSTANDING = 32  # Pings remembered until their Pong; older ones are then unanswered by RFC 6455 §5.5.3 anyway
RTTS = 512  # round trips kept for percentiles

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # what an Accept is made with (RFC 6455 §1.3)
LONGEST = 125  # bytes of a control frame's payload (RFC 6455 §5.5)

# On which occasions rules are asked about a whole connection, each with its bit (occasions.py, rules/occasions.py).
WHENS = (
    *("always", "handshake", "closed", "failed", "dropped", "cut", "lost", "keys", "silent", "fragmented"),
    *("unanswered", "pongs", "heartbeat", "browser pings", "subprotocol", "text", "deflate", "compressed", "encrypted"),
    *("hasty", "offended"),
)
BIT = {when: 1 << index for index, when in enumerate(WHENS)}

# What makes an occasion, times in ns.
GRACE = 1_000_000_000  # for a healthy endpoint beyond the round trips: real ones react within 10 ms, a loaded one within a second
CLOSE_GRACE = 5_000_000_000  # for an answer that may wait for the rest of a message (RFC 6455 §5.5.1)
PROMPT = 2_000_000_000  # an answer to a Close that is not late
SHORTEST_WAIT = 200_000_000  # no keep-alive is less patient, and no delayed answer is longer on a healthy network
REACTION = 5_000_000_000  # a failure answers what came before it within this time
LONGEST_TRIP = 3_000_000_000
USUAL_TRIP = 200_000_000  # where nothing tells
PATIENCE = 900_000_000  # shorter than any close timeout in use
TIMES_RTT = 4  # a Ping is overdue when it waits so many times as long as the quickest did
SLOW_PONG = 1_000_000_000
QUIET = 60_000_000_000  # the shortest idle timeout in common use (nginx, AWS ALB): silence below it needs no heartbeat
LONG_IDLE = 10_000_000_000  # no hop that closes politely at a limit of its own waits less
MANY_PINGS = 100
BIG = 16 << 10  # frames below this are refused by nobody
TINY = 64  # fragments of at most one byte: some happen to every sender that flushes, this many are a habit

# Who ended TCP (kernel/endings.py), where it was neither CLIENT nor SERVER.
NOBODY, UNCLEAR = -1, -2

# What a finding about a connection of a known kind is about (ordinary.py).
AT_REQUEST, AT_ANSWER, AT_FIRST_FRAME, AT_CLIENT_CLOSE, AT_SERVER_CLOSE, AT_END = range(6)

# UDP ports of tunnels: RFC 7348, what Linux used for it before, RFC 8926.
VXLAN_PORT, OLD_VXLAN_PORT, GENEVE_PORT = 4789, 8472, 6081

# TLS records (RFC 8446 §5.1).
HANDSHAKE, APPLICATION_DATA = 22, 23
HEADER_SIZE = 5
LARGEST_BODY = (1 << 14) + 2048  # RFC 5246 §6.2.3; TLS 1.3 allows less
SMALL_RECORD = 1024  # bytes of a TLS record that may be one message of a WebSocket

# Where the nonce of an AEAD cipher comes from in TLS, and what is authenticated beside the record.
AEAD_TLS13 = 0  # RFC 8446 §5.2: iv XOR sequence number; the record's header; the content type is inside, before zero padding
AEAD_IMPLICIT = 1  # RFC 7905 (ChaCha20-Poly1305 in TLS 1.2): the same nonce; sequence number, type, version, plaintext length
AEAD_EXPLICIT = 2  # RFC 5288, RFC 6655 (GCM, CCM): 4 bytes of the key block and 8 that come with the record; the same
