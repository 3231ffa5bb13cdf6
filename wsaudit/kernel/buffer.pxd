cimport cython

from wsaudit.kernel cimport inline_mode as mode


@cython.final
cdef class Buffer:
    cdef readonly object raw
    cdef readonly Py_ssize_t size
    cdef const unsigned char[::1] b
