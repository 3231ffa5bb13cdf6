cimport cython

from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel.kinds cimport Kinds
from wsaudit.kernel.ordinary cimport Ordinary
from wsaudit.kernel.streams cimport Flow, Owner, Stream
from wsaudit.kernel cimport inline_keys as keys
from wsaudit.kernel cimport inline_numbers as numbers
from wsaudit.kernel cimport inline_prefetch as prefetch
from wsaudit.kernel cimport inline_mode as mode

cdef const long long M32
cdef const int FIN, SYN, RST, PSH, ACK
cdef const long long LINGER
cdef int VXLAN_PORT, OLD_VXLAN_PORT, GENEVE_PORT
cdef const Py_ssize_t TOGETHER
cdef const int TO_FLOW, TO_SIDES, TO_FRAMES
cdef const int KEY, SPACE, BLIND, PROBES, LONGEST_LINE, FREE, FRESH, IGNORED, ACTIVE, EMPTY


@cython.final
cdef class Decoder:
    cdef readonly object listener
    cdef readonly int shard
    cdef public int shards
    cdef readonly object ports
    cdef readonly bint midstream
    cdef readonly unsigned long long seed
    cdef readonly long long max_flows
    cdef readonly long long buffer_limit
    cdef public Kinds kinds
    cdef readonly long long now
    cdef readonly long long packets
    cdef readonly long long tcp_packets
    cdef readonly long long udp_packets
    cdef readonly long long other_packets
    cdef readonly long long cut_packets
    cdef readonly long long truncated
    cdef readonly long long flows
    cdef readonly long long blind
    cdef readonly long long evicted
    cdef readonly long long live
    cdef readonly long long capacity
    cdef readonly long long top
    cdef int stopped
    cdef list free
    cdef unsigned char[::1] state
    cdef unsigned char[::1] size
    cdef unsigned int[::1] words
    cdef int[::1] other
    cdef unsigned char[::1] probes
    cdef long long[::1] syn_seq
    cdef long long[::1] syn_time
    cdef long long[::1] syn_packet
    cdef long long[::1] seen_time
    cdef list streams
    cdef long long[::1] slots
    cdef long long slot_mask
    cdef dict index
    cdef list keys
    cdef unsigned int word[9]
    cdef list closing
    cdef Flow forgotten
    cdef public long long guess

    @cython.locals(end="long long", p="long long", kind="int", tags="int", head="const unsigned char *")
    cpdef packet(self, Buffer buffer, long long pos, long long caplen, long long wirelen, long long time, long long packet, int linktype)

    @cython.locals(ip="const unsigned char *", first="int", total="long long", fragment="int", ident="int", ttl="int", protocol="int", header="int", port="int", stop="long long")
    cpdef network(self, Buffer buffer, long long pos, long long end, long long cut, long long time, long long packet)

    cdef unusual(self, Buffer buffer, long long pos, long long end, int protocol, int version, long long time, long long packet)

    @cython.locals(tcp="const unsigned char *", seq="long long", ack="long long", flags="int", window="int", start="long long", total="long long", e="long long", stream=Stream, flow=Flow, n="long long")
    cdef transport(self, Buffer buffer, long long addresses, int words, long long pos, long long stop, long long end, int ttl, int ident, long long time, long long packet)

    @cython.locals(r="long long", n="long long", kind="int", stream=Stream)
    cdef other_flow(self, Buffer buffer, long long addresses, int words, long long pos, long long start, long long total, long long stop, long long end, long long seq, long long ack, int flags, int window, int ttl, int ident, long long time, long long packet, long long e)

    @cython.locals(c="int", d="int", has_syn="bint", ahead="long long", opcode="int")
    cdef int classify(self, Buffer buffer, long long start, long long n, long long seq, long long e) except -2

    @cython.locals(r="long long")
    cdef count_blind(self, Buffer buffer, long long pos, long long e)
    cdef see(self, long long e, long long r)

    @cython.locals(r="long long", stream=Stream, old=Stream)
    cdef take_syn(self, Buffer buffer, long long addresses, int words, long long pos, long long seq, long long ack, int flags, long long time, long long packet, long long e)

    @cython.locals(r="long long", width="int", sport="int", dport="int", flow=Flow, old=Stream, ordinary=Ordinary)
    cdef object open_flow(self, Buffer buffer, long long addresses, int words, long long pos, long long e, long long time, long long packet)

    cdef adopt(self, Stream stream, long long e, Flow flow)
    @cython.locals(r="long long", first="bint")
    cdef ignore(self, long long e, Buffer buffer, long long pos)
    @cython.locals(known=Owner)
    cpdef finish_flow(self, Flow flow, bint ongoing=*)
    cpdef sweep(self)
    @cython.locals(closing=list, over=list, flow=Flow, n="Py_ssize_t", i="Py_ssize_t")
    cdef finish_over(self)
    cpdef forget(self, Flow flow)

    cdef Py_ssize_t find(self, Buffer buffer, long long addresses, int words, long long pos) except -2

    cdef inline bint is_key(self, long long e, Buffer buffer, long long addresses, int words, long long pos) except -1

    cdef Py_ssize_t find_reverse(self, Buffer buffer, long long addresses, int words, long long pos) except -2
    cdef bytes reverse_key(self, Buffer buffer, long long addresses, int words, long long pos)
    cdef Py_ssize_t insert(self, Buffer buffer, long long addresses, int words, long long pos) except -2
    cdef Py_ssize_t insert_reverse(self, Buffer buffer, long long addresses, int words, long long pos) except -2

    @cython.locals(ends="const unsigned char *", ports="long long", turn="int", i="int")
    cdef load_key(self, Buffer buffer, long long addresses, int words, long long pos, bint reverse)

    cdef bint foreign(self, Buffer buffer, long long addresses, int words, long long pos) except -1

    @cython.locals(slot="long long", found="long long")
    cdef Py_ssize_t entry_of(self, long long tag) except -2

    @cython.locals(tag="long long", slot="long long", found="long long", e="long long", base="long long", i="int")
    cdef Py_ssize_t probe(self, int n) except -2

    @cython.locals(e="long long", base="long long", i="int", tag="long long")
    cdef Py_ssize_t add(self, bytes key, int n) except -2

    @cython.locals(slot="long long")
    cdef place(self, long long filled)

    @cython.locals(r="long long")
    cdef drop_entry(self, long long e)

    @cython.locals(mask="long long", slot="long long", hole="long long", other="long long", home="long long")
    cdef unplace(self, long long e)

    @cython.locals(base="long long", i="int")
    cdef recall(self, long long e)

    @cython.locals(r="long long")
    cdef release_pair(self, long long e)

    @cython.locals(old="long long", slots="long long[::1]", i="long long")
    cdef grow(self)

    @cython.locals(e="long long", before="long long", oldest="long long")
    cdef evict(self)
    cdef tell_failed(self, long long e, str how, long long time, long long packet)


cdef cut_ties(Flow flow)
