cimport cython

from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel.burst cimport Burst
from wsaudit.kernel.packets cimport Decoder
from wsaudit.kernel cimport inline_numbers as numbers
from wsaudit.kernel cimport inline_prefetch as prefetch
from wsaudit.kernel cimport inline_mode as mode



@cython.final
cdef class PcapWalker:
    cdef public bint big_endian
    cdef public bint nano
    cdef public long long header_size
    cdef public long long linktype
    cdef public long long input_base
    cdef public int status
    cdef public str problem
    cdef public long long number
    cdef public long long bytes
    cdef public long long truncated_packets
    cdef public long long next_time
    cdef public long long first_time
    cdef public long long last_time

    @cython.locals(
        burst=Burst, header="const unsigned char *",
        big=bint, scale="long long", header_size="long long", linktype="long long", base="long long", number="long long",
        total="long long", clipped="long long", first="long long", last="long long", limit="long long", seconds="long long",
        fraction="long long", caplen="long long", wirelen="long long", data="long long", after="long long", time="long long",
    )
    cpdef long long walk(self, Buffer buffer, long long pos, long long end, long long until, sink)


@cython.final
cdef class Interface:
    cdef public long long linktype
    cdef public long long snaplen
    cdef public bint binary
    cdef public long long factor
    cdef public long long divisor
    cdef public int shift
    cdef public int drop
    cdef public int keep
    cdef public long long offset
    cdef public long long most_time
    cdef public long long most_ticks
    cdef public long long easy_high

    @cython.locals(ticks="long long", seconds="long long", fraction="long long", time="long long")
    cpdef long long nanoseconds(self, long long high, long long low)


@cython.final
cdef class PcapngWalker:
    cdef public bint big_endian
    cdef public list interfaces
    cdef public long long input_base
    cdef public int status
    cdef public str problem
    cdef public long long number
    cdef public long long bytes
    cdef public long long truncated_packets
    cdef public long long homeless
    cdef public long long undated
    cdef public long long time
    cdef public long long next_time
    cdef public long long first_time
    cdef public long long last_time

    @cython.locals(
        burst=Burst, header="const unsigned char *",
        big=bint, interfaces=list, interface=Interface, count="long long", base="long long", number="long long",
        total="long long", clipped="long long", now="long long", first="long long", last="long long", limit="long long",
        kind="long long", length="long long", after="long long", again="long long", index="long long", high="long long",
        low="long long", caplen="long long", wirelen="long long", data="long long", time="long long",
    )
    cpdef long long walk(self, Buffer buffer, long long pos, long long end, long long until, sink)

    @cython.locals(caplen="long long")
    cpdef long long simple_length(self, long long wirelen, long long room)

    @cython.locals(header="const unsigned char *", big=bint, kind="long long", length="long long", limit="long long")
    cpdef long long skip(self, Buffer buffer, long long pos, long long end)
