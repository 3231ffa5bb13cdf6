cimport cython

from wsaudit.kernel cimport inline_acyclic as acyclic

cdef int OUTSTANDING
cdef int RTTS


@cython.final
cdef class Ping:
    cdef readonly bytes payload
    cdef readonly long long packet
    cdef readonly long long time
    cdef readonly long long offset

    cdef fill(self, bytes payload, long long packet, long long time, long long offset)


cdef class Pings:
    cdef readonly object waiting
    cdef readonly object rtts
    cdef readonly list superseded
    cdef readonly bytes last_answered
    cdef readonly object first_unsolicited
    cdef readonly object first_duplicate
    cdef readonly object first_late
    cdef readonly object mismatched
    cdef readonly object ping_after_close
    cdef readonly long long pings
    cdef readonly long long pongs
    cdef readonly long long overflow
    cdef readonly long long answered
    cdef readonly long long rtt_count
    cdef readonly long long unsolicited
    cdef readonly long long duplicate_pongs
    cdef readonly long long late_pongs
    cdef readonly long long slowest_pong
    cdef long long slowest_packet
    cdef long long slowest_time
    cdef long long slowest_offset
    cdef long long first_ping_packet
    cdef long long first_ping_time
    cdef long long first_ping_offset
    cdef readonly long long last_ping_time
    cdef readonly long long last_pong_time
    cdef readonly long long intervals
    cdef readonly long long interval_sum
    cdef readonly long long interval_max

    cdef clear(self)

    @cython.locals(interval="long long", waiting=list, ping=Ping)
    cpdef ping(self, bytes payload, long long packet, long long time, long long offset, bint closed)

    @cython.locals(i="Py_ssize_t", ping=Ping, waiting=list)
    cpdef pong(self, Pings asker, bytes payload, long long packet, long long time, long long offset)

    @cython.locals(rtt="long long", rtts=list, waiting=list)
    cdef answer(self, Pings asker, Ping ping, Py_ssize_t i, long long packet, long long time, long long offset)
