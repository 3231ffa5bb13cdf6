cimport cython

from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel cimport inline_mode as mode

cdef const int SLOTS
cdef int SHORT
cdef const long long FASTEST
cdef const long long STALE
cdef long long SLOWEST_TALK


@cython.final
cdef class Beats:
    cdef int used
    cdef int kind[3]
    cdef long long count[3]
    cdef long long first[3]
    cdef long long last[3]
    cdef long long longest[3]
    cdef long long packet[3]
    cdef long long offset[3]
    cdef unsigned char sample[120]

    @cython.locals(kind="int", i="int", interval="long long")
    cpdef take(self, Buffer buffer, long long pos, int length, int b0, unsigned long long key, long long time, long long packet, long long offset)

    @cython.locals(found="int", i="int", again="long long", once="bint")
    cdef int free_slot(self, int length, long long time) except -2

    @cython.locals(j="int")
    cdef bint is_sample(self, int at, Buffer buffer, long long pos, int length, unsigned long long key) except *

    @cython.locals(j="int")
    cdef keep_sample(self, int at, Buffer buffer, long long pos, int length, unsigned long long key)

    @cython.locals(i="int", most="long long")
    cpdef long long most(self)

    @cython.locals(i="int", again="long long")
    cpdef bint is_slow(self) except *

    @cython.locals(i="int", j="int", at="int")
    cpdef list rows(self)
