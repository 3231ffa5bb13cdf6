cdef bint COMPILED

cdef class Buffer:
    cdef readonly object raw
    cdef readonly Py_ssize_t size
    cdef const unsigned char[::1] b
