cimport cython
from wsaudit.kernel cimport inline_mode as mode
from wsaudit.kernel.packed cimport maybe, number_at, unpack_numbers

cdef const long long UNKNOWN, M32


@cython.final
@cython.no_gc  # nothing that a row refers to refers to rows
cdef class Connection:
    cdef public long long first_packet
    cdef public long long started
    cdef public long long ended
    cdef public long long end_time
    cdef public long long latency_ns
    cdef public bint probable
    cdef public bint complete
    cdef public bint midstream
    cdef public object client, server, packed, transport, http, tls, outcome, status, target, host, origin, user_agent
    cdef public object server_header, key, subprotocols_offered, subprotocol, extensions, auth, close, termination
    cdef public object packed_keys, notices
    cdef public int number  # the last field: inline_ahead.pxd

    @cython.locals(made=Connection)
    cpdef Connection another(self)
    cpdef bint is_another(self, Connection kind)

    @cython.locals(packed=bytes, i="int", first="long long", second="long long", third="long long")
    cpdef bint may_count(self) except *


@cython.locals(numbers=list, end="Py_ssize_t", i="Py_ssize_t")
cpdef object unpack_detail(bytes packed)

cpdef object unpack_heartbeat(list numbers)
