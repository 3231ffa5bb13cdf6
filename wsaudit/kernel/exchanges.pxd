cimport cython

from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel.reader cimport Reader

cdef object REQUEST_LINE, STATUS_LINE, LENGTH
cdef int NONE, UNCLEAR


@cython.final
cdef class Exchanges:
    cdef object owner
    cdef long long max_head
    cdef public long long requests
    cdef public bytes asked
    cdef public long long time
    cdef public long long packet


cdef class HttpReader(Reader):
    cdef Exchanges exchanges
    cdef bint answers
    cdef readonly long long skip

    @cython.locals(size="long long")
    cpdef Py_ssize_t feed(self, Buffer buffer, long long pos, long long end, long long time, long long packet) except -1

    @cython.locals(exchanges=Exchanges, stop="long long", size="long long", head=bytes, length="long long", status="long long")
    cdef Py_ssize_t head(self, Buffer buffer, long long pos, long long end, long long time, long long packet) except -1


@cython.locals(at="long long")
cdef long long body_length(bytes lower) except? -3
