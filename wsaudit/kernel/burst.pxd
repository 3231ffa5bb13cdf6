cimport cython

from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel.packets cimport Decoder
from wsaudit.kernel cimport inline_keys as keys
from wsaudit.kernel cimport inline_mode as mode
from wsaudit.kernel cimport inline_numbers as numbers
from wsaudit.kernel cimport inline_prefetch as prefetch

cdef const int SIZE, NOWHERE, OTHER, TCP, DATA, NOTHING, CONTROL, TO_ENTRY, TO_STREAM, TO_SCANNER, TO_ROWS
cdef int VXLAN_PORT, OLD_VXLAN_PORT, GENEVE_PORT


@cython.final
cdef class Burst:
    cdef readonly Decoder decoder
    cdef readonly int count
    cdef long long last_tag
    cdef long long time[32]  # SIZE
    cdef long long packet[32]
    cdef long long place[32]
    cdef long long begin[32]
    cdef long long end[32]
    cdef long long wirelen[32]
    cdef long long ports[32]
    cdef long long stop[32]
    cdef int linktype[32]
    cdef unsigned short ident[32]
    cdef unsigned char ttl[32]
    cdef unsigned char words[32]
    cdef unsigned char known[32]
    cdef unsigned char load[32]

    @cython.locals(i="unsigned int")
    cpdef int add(self, Buffer buffer, long long pos, long long caplen, long long wirelen, long long time, long long packet, int linktype) except -1

    @cython.locals(decoder=Decoder, head="const unsigned char *", kind="int", port="int", total="int", addresses="int", words="int", tcp="int", stop="long long", start="int", tag="long long")
    cdef bint read(self, Buffer buffer, long long pos, long long caplen, long long wirelen, unsigned int i) except -1

    @cython.locals(decoder=Decoder, streams=list, count="int", step="int", i="int", ports="long long", words="int")
    cpdef int flush(self, Buffer buffer) except -1
