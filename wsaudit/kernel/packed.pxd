cimport cython
from wsaudit.kernel cimport inline_mode as mode
from wsaudit.kernel cimport inline_numbers as numbers

cdef const int WIDEST

cpdef object maybe(long long number)


@cython.final
cdef class Packer:
    cdef long long n
    cdef long long room
    cdef bytearray store
    cdef unsigned char[::1] out

    @cython.locals(left="unsigned long long", n="long long")
    cpdef add(self, long long value)

    cdef grow(self)
    cpdef bytes taken(self)


cpdef bytes pack_numbers(list values)


@cython.locals(left="unsigned long long", part="unsigned long long", shift="int", octet="int", value="long long")
cpdef list unpack_numbers(bytes packed)

@cython.locals(i="int", left="unsigned long long", part="unsigned long long", shift="int", value="long long")
cpdef long long number_at(bytes packed, int place) except? -2
