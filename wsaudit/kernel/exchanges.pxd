cimport cython

from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel.foreign cimport Foreign
from wsaudit.kernel.gets cimport Gets
from wsaudit.kernel.reader cimport Reader
from wsaudit.kernel.streams cimport Flow, Stream
from wsaudit.kernel cimport inline_heads as heads
from wsaudit.kernel cimport inline_numbers as numbers

cdef const int NO_CONTENT, NOT_MODIFIED
cdef int GET, HEAD, PYTHON, READER, CLIENT, SERVER
cdef bytes PAGE


cdef class HttpReader(Reader)


cdef class Exchanges(Foreign):
    cdef long long max_head
    cdef public long long requests
    cdef public bytes asked
    cdef public long long time
    cdef public long long packet

    cdef fill_with(self, Flow flow, int client, sink, long long max_head)

    @cython.locals(requests=HttpReader)
    cpdef bint lend_with(self, bytes data, long long time, long long packet) except -1
    cpdef lend_between(self, tuple rests)

    @cython.locals(flow=Flow, client=Stream, server=Stream)
    cdef lend(self, HttpReader requests, HttpReader answers)

    @cython.locals(flow=Flow, client=Stream, server=Stream, requests=HttpReader, answers=HttpReader, stream=Stream)
    cpdef take_back(self)
    @cython.locals(gets=Gets)
    cdef answered(self, int status, long long time, long long packet)
    cdef end(self, bint ongoing)


cdef class HttpReader(Reader):
    cdef Exchanges exchanges
    cdef bint answers
    cdef readonly long long skip

    cdef fill(self, Exchanges exchanges, bint answers, long long skip)

    @cython.locals(size="long long")
    cpdef Py_ssize_t feed(self, Buffer buffer, long long pos, long long end, long long time, long long packet) except -1

    @cython.locals(exchanges=Exchanges, stop="long long", size="long long", length="long long", status="int", method="int")
    cdef Py_ssize_t head(self, Buffer buffer, long long pos, long long end, long long time, long long packet) except -1


@cython.locals(reader=HttpReader)
cdef HttpReader reader_of(Exchanges exchanges, bint answers, long long skip)
