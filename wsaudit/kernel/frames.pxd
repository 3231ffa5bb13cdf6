cimport cython

from wsaudit.kernel.beats cimport Beats
from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel.pings cimport Pings
from wsaudit.kernel cimport inline_numbers as numbers
from wsaudit.kernel cimport inline_mode as mode

cdef const long long M32

cdef int MASKED
cdef int FORM_16
cdef int FORM_64
cdef int LONGER_FORM
cdef int LENGTH_MSB
cdef int IN_MESSAGE
cdef int UNKNOWN_MESSAGE
cdef int AFTER_CLOSE
cdef int OVERSIZE
cdef const int MAX_SHAPES
cdef const int MORE_SHAPES
cdef int RECENT
cdef int SHORT
cdef const int CONTROL_LIMIT
cdef const int FIRST_KEYS
cdef const int PING
cdef const int PONG
cdef const int SKIP
cdef const int TEXT
cdef const int CONTROL
cdef const int HAND_OUT


cpdef bytes unmask(data, unsigned long long key, long long phase)

cpdef int header_size(int shape)


@cython.final
cdef class FrameLog:
    cdef readonly object side, packet, time, end_packet, end_time, offset, shape, length, complete
    cdef public list payloads


# What every frame touches stands together and is no wider than need be, as in streams.pxd.
@cython.final
cdef class Scanner:
    cdef readonly bytes head
    cdef public FrameLog log
    cdef readonly Beats beats
    cdef public unsigned char lost
    cdef readonly unsigned char b0
    cdef readonly unsigned char kind
    cdef readonly unsigned char incomplete
    cdef public signed char message
    cdef readonly unsigned char message_deflated
    cdef public unsigned char closed
    cdef unsigned char need
    cdef unsigned char lo
    cdef unsigned char hi
    cdef readonly unsigned char text_bad
    cdef public unsigned char text_tainted
    cdef public unsigned char inflate
    cdef readonly unsigned char shapes
    cdef readonly unsigned char side
    cdef readonly unsigned char phase
    cdef readonly int shape
    cdef readonly unsigned int key
    cdef public long long preview
    cdef readonly long long remaining
    cdef public long long offset
    cdef readonly long long length
    cdef readonly long long frame_offset
    cdef readonly long long frame_packet
    cdef readonly long long frame_time
    cdef readonly long long headers
    cdef readonly long long largest
    cdef readonly long long last_time
    cdef readonly long long last_packet
    cdef readonly long long last_data_time
    cdef readonly long long last_data_packet
    cdef readonly long long message_length
    cdef readonly long long message_bytes
    cdef readonly long long text_messages
    cdef readonly long long binary_messages
    cdef readonly long long masked_frames
    cdef unsigned int last_key
    cdef int shape_id[12]
    cdef long long shape_tally[24]
    cdef long long counts[16]
    cdef long long recent[32]
    cdef unsigned int first_keys[4]
    cdef readonly long long zero_keys
    cdef readonly long long same_keys
    cdef long long shape_packet[12]
    cdef long long shape_time[12]
    cdef long long shape_offset[12]
    cdef long long shape_length[12]
    cdef public object listener
    cdef readonly Pings pings
    cdef readonly Pings peer_pings
    cdef readonly bytes control
    cdef readonly dict more_shapes
    cdef public long long log_row
    cdef readonly long long shapes_dropped
    cdef readonly long long deflated_messages
    cdef readonly long long deflated_bytes
    cdef readonly long long fragmented_messages
    cdef readonly long long aborted_messages
    cdef readonly long long largest_packet
    cdef readonly long long tiny_fragments
    cdef readonly long long bad_text
    cdef readonly long long bad_text_packet
    cdef readonly long long bad_text_time
    cdef readonly long long bad_text_offset
    cdef readonly long long bad_text_message
    cdef readonly long long unverified_text

    cdef fill(self, unsigned char side, listener)

    @cython.locals(base="long long", n="long long", left="long long", b1="int", length="int", need="int")
    cpdef int feed(self, Buffer buffer, long long pos, long long end, long long time, long long packet) except -1

    cdef bint plain_ready(self) except *
    cdef note_short(self, Buffer buffer, long long pos, long long time, long long packet)
    cdef keep_header(self, Buffer buffer, long long pos, long long end, long long time, long long packet, long long base)

    @cython.locals(head=bytes, have="int", need="int", b1="int")
    cdef Py_ssize_t join_header(self, Buffer buffer, long long pos, long long end, long long time, long long packet, long long base) except -1

    @cython.locals(b0="int", b1="int", opcode="int", length="long long", shape="int", high="long long", key="unsigned long long", i="int", row="int")
    cdef int begin_frame(self, Buffer buffer, long long pos) except -1

    @cython.locals(i="int")
    cdef inline count_shape(self, int shape, long long length)

    @cython.locals(at="long long", room="long long")
    cdef int take_payload(self, Buffer buffer, long long pos, long long n, long long time, long long packet, long long offset) except -1

    cdef note_bad_text(self, long long time, long long packet, long long offset)

    @cython.locals(opcode="int")
    cdef int end_frame(self, long long time, long long packet) except -1

    cdef end_control(self, int opcode)

    cdef inline int end_message(self, int opcode, long long time, long long packet) except -1

    @cython.locals(n="int")
    cpdef bytes mask_keys(self)

    @cython.locals(n="int", i="int", step="long long")
    cpdef bint keys_count_up(self) except *

    @cython.locals(i="int")
    cpdef bint has_only(self, bytearray shapes) except *

    cpdef pair(self, Pings own, Pings peer)
    cpdef bint gap(self, long long length) except *
    cpdef end_tainted_frame(self)
    cpdef lose_step(self)
    cpdef resume(self, long long offset)

    cdef Py_ssize_t check_text(self, Buffer buffer, long long pos, long long end) except -2

    @cython.locals(need="int", lo="int", hi="int", key="unsigned long long", turn="long long", i="long long", shift="int", c="int")
    cdef Py_ssize_t check_bytes(self, Buffer buffer, long long pos, long long end) except -2
