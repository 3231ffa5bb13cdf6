cimport cython

from wsaudit.kernel cimport inline_mode as mode
from wsaudit.kernel cimport order

cdef const Py_ssize_t FEW, WIDTH, KIND, KEY, PACKET, TIME, OFFSET, LAST_PACKET, COUNT


@cython.final
cdef class Findings:
    cdef readonly list kinds
    cdef dict known
    cdef object store
    cdef long long[::1] numbers
    cdef Py_ssize_t size

    cpdef Py_ssize_t kind_of(self, finding) except -1

    cdef Py_ssize_t number_of(self, tuple kind) except -1

    @cython.locals(at="Py_ssize_t")
    cdef put(self, long long kind, long long key, long long packet, long long time, long long offset, long long last_packet, long long count)

    cdef grow(self, Py_ssize_t more)

    cpdef extend(self, findings)

    @cython.locals(found=Findings)
    cpdef Findings copy(self)

    @cython.locals(kinds="long long[::1]", numbers="long long[::1]", at="Py_ssize_t")
    cpdef merge(self, Findings other)

    @cython.locals(numbers="long long[::1]", at="Py_ssize_t")
    cpdef object finding(self, Py_ssize_t index)

    @cython.locals(rank_of="long long[::1]", numbers="long long[::1]", column="long long[::1]", places="long long[::1]", moved="long long[::1]", sooner="long long[::1]", size="Py_ssize_t", i="Py_ssize_t", at="Py_ssize_t", field="Py_ssize_t", found=Findings)
    cpdef Findings in_order(self)

    @cython.locals(i="Py_ssize_t", wanted=set)
    cpdef list of_rule(self, rule)

    @cython.locals(groups=dict, kinds=list, group_of=list, seen=list, ids=list, group=tuple, numbers="long long[::1]", counts="long long[::1]", last="Py_ssize_t", number="Py_ssize_t", i="Py_ssize_t", at="Py_ssize_t", kind="Py_ssize_t", key="long long")
    cpdef dict groups(self, long long[::1] starts)
