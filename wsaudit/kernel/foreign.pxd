cimport cython

from wsaudit.kernel.streams cimport Flow, Owner, Stream

cdef int DROP


cdef class Foreign(Owner):
    cdef readonly Flow flow
    cdef readonly int client
    cdef readonly object sink
    cdef readonly bint given_up

    cpdef gap(self, Stream stream, long long offset, long long length, long long time, long long packet)
    cpdef icmp(self, long long time, long long packet, words)
    cdef fill(self, Flow flow, int client, sink)
    cdef end(self, bint ongoing)

    @cython.locals(stream=Stream)
    cpdef crashed(self, error)
    cdef hand_over(self)
