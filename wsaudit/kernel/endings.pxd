cimport cython

from wsaudit.kernel.frames cimport Scanner
from wsaudit.kernel.party cimport CloseFrame, Party
from wsaudit.kernel.pings cimport Ping
from wsaudit.kernel.streams cimport Stream
from wsaudit.kernel cimport inline_mode as mode

cdef int BOTH, CLIENT, SERVER, PACKET_BITS, NOBODY, UNCLEAR
cdef long long BIG, LONGEST, LONGEST_TRIP, USUAL_TRIP, SHORTEST_WAIT, TIMES_RTT, SECOND, REACTION


cpdef int first_to_end(Stream a, Stream b) except -2
cpdef int first_fin(Stream a, Stream b) except -2

@cython.locals(earlier="bint")
cpdef Stream fin_of(int by, Stream a, Stream b)

@cython.locals(a=Stream, b=Stream, by="int")
cpdef int who_left(Party client, Party server) except -3
cdef bint is_troubled(Stream stream) except -1
cpdef bint has_reason(Party party, Party peer, long long time) except -1

@cython.locals(late="long long")
cpdef bint left_bytes(Party party, Party peer, long long time) except -1

@cython.locals(client_knew="bint", server_knew="bint")
cpdef int first_to_close(CloseFrame c, CloseFrame s) except -2

cpdef bint undisturbed(CloseFrame c, CloseFrame s, Stream a, Stream b) except *
cdef bint is_readable(CloseFrame close) except *
cpdef bint is_text(bytes reason) except *

@cython.locals(at="long long", shape="long long", length="long long")
cpdef bint just_sent_largest(Scanner frames, long long time) except *

cpdef list all_rtts(Party client, Party server)

@cython.locals(ping=Ping, sent="long long", packet="long long", offset="long long", age="long long", quick="long long")
cpdef tuple overdue_ping(Party party, Party peer, long long time)

cpdef bint answered_at_once(CloseFrame lead, CloseFrame answer) except *

@cython.locals(a=Stream, b=Stream, trip="long long")
cpdef long long round_trip(Party client, Party server) except -1
cpdef bint is_last(CloseFrame close, Stream stream) except -1

@cython.locals(a="long long", b="long long", c="long long", d="long long", last="long long", data="long long")
cpdef (long long, long long, long long, long long) idle_at(Party client, Party server, bint in_tls, long long end)

@cython.locals(asker=Party, ordered=list)
cpdef tuple heartbeat_numbers(Party client, Party server)
