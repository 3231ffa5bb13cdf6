cimport cython

from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel.frames cimport Scanner
from wsaudit.kernel.reader cimport Reader
from wsaudit.kernel cimport inline_numbers as numbers
from wsaudit.kernel cimport inline_mode as mode

cdef const long long M32
cdef const long long HALF
cdef const long long FAR
cdef const int FIN, SYN, RST, PSH, ACK
cdef const long long MIRROR
cdef const int PATIENCE
cdef int DROP, FIRST, FRAMES, PYTHON, READER
cdef const int SAMPLES, SAMPLE


cdef class Owner:
    cpdef data(self, Stream stream, bytes data, long long offset, long long time, long long packet)
    cpdef finish(self, Flow flow, bint ongoing)


@cython.final
cdef class Flow:
    cdef readonly bytes address_a
    cdef readonly int port_a
    cdef readonly bytes address_b
    cdef readonly int port_b
    cdef public object owner
    cdef public long long entry_a
    cdef public long long entry_b
    cdef public long long first_time
    cdef public long long first_packet
    cdef public long long last_time
    cdef public long long last_packet
    cdef public long long silence
    cdef public long long ended
    cdef public long long buffer_limit
    cdef public long long limit_hits
    cdef readonly Stream a
    cdef readonly Stream b

    @cython.locals(a=Stream, b=Stream)
    cdef fill(self, bytes address_a, int port_a, bytes address_b, int port_b)
    cpdef settle(self)


# Functions that return nothing but are called for each packet return 0 here: None would be counted up and down each time.
# With thousands of open connections the cache lines of a flow are what a packet costs: what every packet touches stands together, no
# wider than need be, and first of all what a packet of the other side touches. `prefetch` knows how much that is.
@cython.final
cdef class Stream:
    cdef public Stream peer
    cdef readonly list pending
    cdef public unsigned char mode
    cdef public unsigned char started
    cdef readonly unsigned char fin_taken
    cdef public unsigned char syn_seen
    cdef public unsigned int next_seq
    cdef public long long offset
    cdef public long long acked
    cdef public long long acked_time
    cdef public long long acked_packet
    cdef public long long last_data_time
    cdef public long long ended
    cdef public unsigned int keepalives_unanswered
    cdef public unsigned int tail_retransmissions
    cdef public Scanner scanner
    cdef public Reader reader
    cdef public long long last_time
    cdef public long long last_packet
    cdef public long long zero_since
    cdef public long long fin_seq
    cdef public long long silence
    cdef public long long seg_time
    cdef public unsigned int seg_seq
    cdef public unsigned int seg_len
    cdef public unsigned short seg_ident
    cdef public unsigned char ttl
    cdef unsigned int sample_n
    cdef unsigned long long samples[32]  # SAMPLE * SAMPLES
    cdef public Flow flow
    cdef readonly list gaps
    cdef public long long skip
    cdef public long long answer_end
    cdef public long long pending_bytes
    cdef public long long hole_packets
    cdef public long long first_data_time
    cdef public long long syn_time
    cdef public long long syn_packet
    cdef public long long fin_time
    cdef public long long fin_packet
    cdef public long long fin_ack
    cdef public long long rst_time
    cdef public long long rst_packet
    cdef public long long rst_ttl
    cdef public long long rst_offset
    cdef public long long rsts
    cdef public long long retransmissions
    cdef public long long tail_first_time
    cdef public long long tail_last_time
    cdef public long long tail_last_gap
    cdef public long long out_of_order
    cdef public long long duplicates
    cdef public long long conflicts
    cdef public long long conflict_packet
    cdef public long long keepalives
    cdef public long long zero_windows
    cdef public long long zero_total
    cdef public long long truncated
    cdef public long long gap_count
    cdef readonly long long lost_bytes

    cdef fill(self, Flow flow, Stream peer)
    cpdef start(self, long long seq)

    @cython.locals(flow=Flow, peer=Stream, d="long long", reached="long long", total="long long", quiet="long long")
    cpdef int segment(self, Buffer buffer, long long pos, long long n, long long lost, long long seq, long long ack, int flags, int window, int ttl, int ident, long long time, long long packet) except -1

    cdef bint is_steady(self) except *

    @cython.locals(flow=Flow, d="long long")
    cdef ending(self, long long seq, long long ack, long long total, int flags, int ttl, long long time, long long packet)

    cdef take_fin(self)

    cdef unseen_fin(self)

    cpdef bint answers_fin(self, Stream peer)

    @cython.locals(at="long long")
    cdef int deliver(self, Buffer buffer, long long pos, long long n, long long time, long long packet) except -1

    @cython.locals(taken="long long", known=Owner)
    cdef deliver_other(self, Buffer buffer, long long pos, long long n, long long at, long long time, long long packet)

    @cython.locals(total="long long", mirrored="bint", skip="long long")
    cdef unordered(self, Buffer buffer, long long pos, long long n, long long lost, long long d, long long seq, int ident, long long time, long long packet)

    cdef hold(self, Buffer buffer, long long pos, long long n, long long lost, long long offset, long long time, long long packet)

    cdef drain(self, long long time)
    cdef weigh_hole(self, long long time, long long packet)
    cdef declare_hole(self, long long time, long long packet, reason)

    @cython.locals(at="long long")
    cdef gap(self, long long length, long long time, long long packet, reason)

    @cython.locals(missing="long long", ahead="long long")
    cpdef flush(self, long long time)

    @cython.locals(i="int")
    cdef int remember(self, Buffer buffer, long long pos, long long n) except -1

    @cython.locals(i="int", length="long long", at="long long", width="long long", offset="long long")
    cdef compare(self, Buffer buffer, long long pos, long long n, long long d, long long packet)

    cdef note_conflict(self, long long packet)


@cython.locals(value="unsigned long long", i="long long")
cdef unsigned long long as_number(Buffer buffer, long long pos, long long width) except? 0
