cimport cython

from wsaudit.kernel.frames cimport Scanner
from wsaudit.kernel.pings cimport Pings
from wsaudit.kernel.streams cimport Stream
from wsaudit.kernel cimport inline_mode as mode
from wsaudit.kernel cimport inline_acyclic as acyclic

cdef const Py_ssize_t CLOSES


@cython.final
cdef class CloseFrame:
    cdef readonly int side
    cdef readonly bint lost
    cdef readonly object code
    cdef readonly bytes reason
    cdef readonly long long length
    cdef readonly long long packet
    cdef readonly long long time
    cdef readonly long long offset
    cdef readonly long long end
    cdef readonly long long acked

    cdef fill(self, int side, bytes payload, long long length, long long packet, long long time, long long offset, long long end, long long acked)


@cython.final
cdef class Party(Pings):
    cdef readonly int side
    cdef readonly Stream stream
    cdef readonly Scanner frames
    cdef readonly CloseFrame close
    cdef readonly object later_closes
    cdef public object gaps
    cdef public object inflation
    cdef public long long resyncs
    cdef public long long skipped

    cdef fill(self, int side, Stream stream, Scanner frames)

    @cython.locals(close=CloseFrame)
    cpdef take_close(self, bytes payload, long long length, long long end, long long acked)


@cython.locals(frames=Scanner, party=Party)
cpdef Party party_of(int side, Stream stream)
cpdef introduce(Party client, Party server, listener)
cpdef part(Party client, Party server)
