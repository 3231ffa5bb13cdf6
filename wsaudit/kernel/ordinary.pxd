cimport cython

from wsaudit.kernel.beats cimport Beats
from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel.connection cimport Connection
from wsaudit.kernel.details cimport pack_history, pack_last
from wsaudit.kernel.endings cimport answered_at_once, fin_of, first_fin, first_to_close, has_reason, heartbeat_numbers, idle_at, is_last, just_sent_largest, left_bytes, overdue_ping, round_trip, undisturbed, who_left
from wsaudit.kernel.exchanges cimport Exchanges
from wsaudit.kernel.frames cimport Scanner, header_size
from wsaudit.kernel.occasions cimport occasions_of_closes, occasions_of_frames, occasions_of_pings
from wsaudit.kernel.kinds cimport Ending, Kinds, Opening, Request
from wsaudit.kernel.packed cimport Packer
from wsaudit.kernel.party cimport CloseFrame, Party, introduce, part, party_of
from wsaudit.kernel.sealed cimport Sealed, begins_handshake, hello_sender
from wsaudit.kernel.streams cimport Flow, Owner, Stream
from wsaudit.kernel cimport inline_mode as mode

cdef int DROP, FIRST, FRAMES, CLIENT, SERVER
cdef int AT_REQUEST, AT_ANSWER, AT_FIRST_FRAME, AT_CLIENT_CLOSE, AT_END, NOBODY
cdef const int START, PART, ASKED, OPEN, OVER, GET, CLOSE, TOO_LONG
cdef int FAILED, BROWSER_PINGS, HASTY
cdef long long QUIET, LONG_IDLE, PATIENCE, SECOND, PACKET_MASK


@cython.final
cdef class Ordinary(Owner):
    cdef readonly Flow flow
    cdef readonly Kinds kinds
    cdef readonly int state
    cdef readonly int client
    cdef readonly Request kind
    cdef readonly Opening opening
    cdef readonly bytes request
    cdef readonly long long request_time
    cdef readonly long long request_packet
    cdef readonly long long request_end
    cdef readonly bytes key
    cdef readonly long long target_end
    cdef readonly bytes answer
    cdef readonly long long answer_time
    cdef readonly long long answer_packet
    cdef readonly Party client_party
    cdef readonly Party server_party
    cdef readonly bint coalesced
    cdef readonly tuple alike

    cdef fill(self, Flow flow, Kinds kinds)
    cpdef gap(self, Stream stream, long long offset, long long length, long long time, long long packet)
    cpdef lost_step(self, Stream stream, long long time, long long packet)
    cpdef early_frames(self, long long size, long long offset, long long time, long long packet)
    cpdef icmp(self, long long time, long long packet, words)

    @cython.locals(party=Party, peer=Party)
    cpdef control(self, Scanner scanner, int opcode, bytes payload, long long length)

    @cython.locals(stream=Stream)
    cdef crashed(self, error)
    cdef hand_over(self)

    @cython.locals(flow=Flow, side="int", exchanges=Exchanges, sealed=Sealed)
    cdef bint entrust(self, Stream stream, bytes data, long long time, long long packet) except -1

    @cython.locals(flow=Flow, from_client="bint", opening=Opening, end="long long")
    cdef bint take(self, Stream stream, bytes data, long long time, long long packet) except -1

    cdef bint take_rest(self, Stream stream, bytes data, long long offset, long long time) except -1

    @cython.locals(kinds=Kinds, kind=Request)
    cdef bint take_request(self, bytes data, long long time) except -1

    @cython.locals(party=Party, stream=Stream)
    cdef open_frames(self, Stream server, Stream client)

    @cython.locals(flow=Flow, client=Party, server=Party, a=Stream, b=Stream, c=CloseFrame, s=CloseFrame, ender=Stream, by="int", initiator="int", waited="int", old="bint", flags="int", occasions="int")
    cdef bint tell(self, bint ongoing) except -1

    @cython.locals(flow=Flow, client=Party, server=Party, party=Party, peer=Party, ender=Stream, by="int", flags="int", end_time="long long")
    cdef bint tell_unclosed(self, bint ongoing) except -1

    @cython.locals(client=Party, server=Party, close=CloseFrame, c=CloseFrame, s=CloseFrame, ender=Stream, by="int", flags="int", occasions="int", wait="long long", old="bint", late="bint")
    cdef bint tell_unanswered(self, Party party, Party peer) except -1

    @cython.locals(flow=Flow, client=Party, server=Party, opening=Opening)
    cdef bint say(self, tuple key, int occasions, CloseFrame c, CloseFrame s, Stream ender, long long end_time) except -1

    @cython.locals(kinds=Kinds, opening=Opening, client=Party, of_pings=tuple, packet="long long")
    cdef bint judge_alone(self, int occasions, Py_ssize_t others) except -1

    @cython.locals(opening=Opening)
    cdef bint is_quiet(self, Scanner f, Scanner g) except -1

    cdef bint is_home(self) except -1

    @cython.locals(flow=Flow, kinds=Kinds, opening=Opening, row=Connection, abnormal="bint", end_packet="long long", where="int", kind="long long", later="long long", after="long long", offset="long long", last="long long", count="long long", time="long long", packet="long long", close=CloseFrame)
    cdef write(self, Party client, Party server, CloseFrame c, CloseFrame s, Stream ender, long long end_time, Ending ending)

    cpdef str target(self)

    @cython.locals(packer=Packer, flow=Flow, sent="long long", received="long long")
    cdef bytes pack(self, Party client, Party server, long long end_time, bint abnormal)



cdef int has_waited(Party party, Party peer, CloseFrame close, CloseFrame answer) except -1

cdef bint may_beat(Scanner frames) except -1
