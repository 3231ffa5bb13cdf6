from wsaudit.kernel.buffer cimport Buffer


cdef class Reader:
    cpdef long long feed(self, Buffer buffer, long long pos, long long end, long long time, long long packet) except -1
