cimport cython

cdef bint COMPILED
cdef object VALUE


@cython.locals(literal=bytes, values=list, first="bint", stop="long long")
cpdef list values_between(tuple literals, bytes data, long long start, long long end)


@cython.locals(blank="bint", at="long long", octet="int")
cdef long long value_end(bytes data, long long start, long long end) except -2
