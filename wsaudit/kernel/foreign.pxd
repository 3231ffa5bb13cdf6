cimport cython

from wsaudit.kernel.streams cimport Flow, Stream

cdef int DROP


cdef class Foreign:
    cdef readonly Flow flow
    cdef readonly int client
    cdef readonly object sink
    cdef readonly bint given_up

    cpdef data(self, Stream stream, bytes data, long long offset, long long time, long long packet)
    cpdef gap(self, Stream stream, long long offset, long long length, long long time, long long packet)
    cpdef icmp(self, long long time, long long packet, words)
    cpdef finish(self, Flow flow, bint ongoing)
    cdef end(self, bint ongoing)

    @cython.locals(stream=Stream)
    cpdef crashed(self, error)
    cdef hand_over(self)
