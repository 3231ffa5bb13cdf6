cimport cython

from wsaudit.kernel.streams cimport Flow
from wsaudit.kernel cimport inline_mode as mode

cdef const int SHORT


@cython.final
cdef class Gets:
    cdef readonly list kept
    cdef readonly long long most
    cdef readonly object read
    cdef readonly long long seen

    cpdef add(self, Flow flow, int client, bytes head, long long started, long long first, int status, long long time, long long packet)
