cimport cython
from wsaudit.kernel cimport inline_mode as mode

cdef object VALUE


@cython.locals(literal=bytes, values=list, first="bint", stop="long long")
cpdef list values_between(tuple literals, bytes data, long long start, long long end)


@cython.locals(blank="bint", at="long long", octet="int")
cdef Py_ssize_t value_end(bytes data, long long start, long long end) except -2
