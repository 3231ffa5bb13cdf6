cimport cython

from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel.foreign cimport Foreign
from wsaudit.kernel.streams cimport Flow, Stream
from wsaudit.kernel.tls cimport RecordCounts, RecordReader

cdef const int MESSAGE_HEADER
cdef int READER, CLIENT, APPLICATION_DATA, HEADER_SIZE, LARGEST_BODY, HANDSHAKE
cdef const long long MOST_KEPT


cdef class Flight:
    cdef readonly RecordCounts counts
    cdef readonly long long left
    cdef readonly long long missing

    cdef fill(self)

    @cython.locals(at="long long", size="long long", step="long long", length="long long")
    cpdef long long step_over(self, bytes data) except -2


cdef class Sealed(Foreign):
    cdef readonly Flight flight_a
    cdef readonly Flight flight_b
    cdef readonly int closed_by
    cdef readonly list chunks
    cdef long long kept

    @cython.locals(a=Flight, b=Flight)
    cdef fill(self, Flow flow, int client, sink)

    @cython.locals(side="int", mine=Flight, other=Flight, at="long long", size="long long", reader=RecordReader, peer_reader=RecordReader)
    cdef bint take(self, Stream stream, bytes data, long long offset, long long time, long long packet) except -1

    @cython.locals(flow=Flow, chatty="bint")
    cdef end(self, bint ongoing)
    cpdef list counts(self)


cpdef int hello_sender(bytes data, int side) except -1
cpdef bint begins_handshake(bytes data) except -1
