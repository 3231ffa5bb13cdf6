cimport cython

from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel.frames cimport Scanner
from wsaudit.kernel.reader cimport Reader
from wsaudit.kernel cimport inline_mode as mode

cdef int APPLICATION_DATA
cdef int HEADER_SIZE
cdef int LARGEST_BODY
cdef int SMALL_RECORD
cdef int AEAD_TLS13
cdef int AEAD_EXPLICIT
cdef double SMALL_PART
cdef list SPARE


@cython.final
cdef class Scratch:
    cdef Buffer buffer
    cdef object view
    cdef object out

    cdef room(self, long long size)
    cdef Py_ssize_t without_padding(self, long long size) except -2


cdef Scratch borrow()


@cython.final
cdef class RecordCounts:
    cdef public long long handshake
    cdef readonly long long application
    cdef readonly long long small
    cdef readonly long long last_size

    cpdef add_application(self, long long size)
    cpdef bint is_chatty(self, long long least) except -1


@cython.final
cdef class Aead:
    cdef object decrypt_into
    cdef readonly int form
    cdef bytearray iv
    cdef bytearray nonce
    cdef bytearray additional
    cdef int overhead
    cdef readonly int smallest

    @cython.locals(scratch=Scratch, size="long long")
    cpdef open(self, unsigned long long sequence, int kind, int version, body)
    cpdef plain_length(self, long long length)

    @cython.locals(length="long long", size="long long")
    cdef Py_ssize_t unseal(self, Scratch scratch, unsigned long long sequence, int kind, int version, body) except -2

    @cython.locals(i="int")
    cdef write_nonce(self, unsigned long long sequence)
    cdef write_header(self, int at, int kind, int version, long long length)


cdef int record_size(int kind, int major, int length)


cdef class RecordReader(Reader):
    cdef RecordCounts counts
    cdef readonly bytearray held
    cdef readonly long long offset
    cdef readonly long long start
    cdef readonly long long skip
    cdef readonly unsigned long long sequence
    cdef readonly Aead aead
    cdef Scanner scanner
    cdef list ends
    cdef int side
    cdef long long body

    cdef fill(self, RecordCounts counts, long long offset, bytearray held, long long skip)
    cpdef open_with(self, Aead aead, unsigned long long sequence, Scanner scanner, list ends)

    @cython.locals(scratch=Scratch, base="long long", left="long long", due="long long", size="long long", version="int")
    cpdef Py_ssize_t feed(self, Buffer buffer, long long pos, long long end, long long time, long long packet) except -1

    @cython.locals(have="long long", size="long long")
    cdef Py_ssize_t due(self, bytearray held) except -1

    @cython.locals(aead=Aead, size="long long")
    cdef bint take(self, Scratch scratch, body, int version, long long tcp_end, long long time, long long packet) except *
