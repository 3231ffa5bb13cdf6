cimport cython

from wsaudit.kernel.buffer cimport Buffer


cdef class Reader:
    cpdef Py_ssize_t feed(self, Buffer buffer, long long pos, long long end, long long time, long long packet) except -1
