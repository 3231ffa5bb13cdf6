cimport cython

from wsaudit.kernel.connection cimport Connection
from wsaudit.kernel.findings cimport Findings
from wsaudit.kernel.forms cimport values_between
from wsaudit.kernel.packed cimport Packer
from wsaudit.kernel cimport inline_mode as mode

cdef const int KEY_SIZE
cdef int SHORTEST, CLIENT, SERVER
cdef bytes IN_ALPHABET, LAST


@cython.final
cdef class Ending:
    cdef readonly object termination
    cdef readonly object close
    cdef readonly tuple findings
    cdef readonly tuple facts


@cython.final
cdef class Opening:
    cdef readonly tuple literals
    cdef readonly int accept_turn
    cdef readonly Connection row
    cdef readonly bytearray clean
    cdef readonly bytearray clean_server
    cdef readonly bint browser
    cdef tuple of_pings
    cdef readonly object handshake
    cdef readonly dict endings

    cpdef learn(self, tuple key, Ending ending)


@cython.final
cdef class Request:
    cdef readonly tuple literals
    cdef readonly int key_turn
    cdef readonly bytes names
    cdef readonly list answers


@cython.final
cdef class Kinds:
    cdef readonly object sink
    cdef readonly list rows
    cdef readonly Findings findings
    cdef readonly long long max_head
    cdef readonly long long max_findings
    cdef readonly tuple homes
    cdef readonly object server_at
    cdef readonly list requests
    cdef readonly long long requests_seen
    cdef readonly Packer packer
    cdef readonly bytes key
    cdef readonly long long target_end
    cdef readonly long long answer_end

    @cython.locals(line="long long", i="int", request=Request, values=list)
    cpdef Request find_request(self, bytes data)

    cpdef bint may_begin(self, bytes data) except -1

    @cython.locals(end="long long", i="int", opening=Opening, values=list)
    cpdef Opening find_answer(self, Request request, bytes key, bytes data)


@cython.locals(octet="int")
cpdef bint is_key(bytes key) except -1

@cython.locals(i="long long", at="long long", size="long long", value="bint", octet="int")
cpdef bint has_names(bytes data, long long start, long long end, bytes names) except -1
