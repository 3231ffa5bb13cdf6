cimport cython

from wsaudit.kernel.frames cimport Scanner
from wsaudit.kernel.party cimport CloseFrame, Party
from wsaudit.kernel cimport inline_mode as mode

cdef int CLOSED, FAILED, CUT, LOST, KEYS, FRAGMENTED, TEXT, UNANSWERED, PONGS, HEARTBEAT
cdef long long GRACE, CLOSE_GRACE, PROMPT, SLOW_PONG, MANY_PINGS, TINY


@cython.locals(a=Scanner, b=Scanner, found="int")
cpdef int occasions_of_frames(Party client, Party server) except -1

@cython.locals(found="int", one=CloseFrame, other=CloseFrame, first="long long", last="long long", ended="long long", gone="long long")
cpdef int occasions_of_closes(Party client, Party server) except -1

cdef bint is_complaint(code) except -1

@cython.locals(fin="long long", rst="long long")
cpdef Py_ssize_t end_of(Party party) except -1

cpdef int occasions_of_pings(Party client, Party server, long long ended) except -1

@cython.locals(found="int")
cdef int pings_of(Party party, long long ended) except -1
