cimport cython

from wsaudit.kernel cimport inline_ahead as ahead
from wsaudit.kernel cimport inline_mode as mode
from wsaudit.kernel cimport order
from wsaudit.kernel.connection cimport Connection

cdef const Py_ssize_t FEW
cdef const long long POSITIVE
cdef const unsigned long long MARKS, MULTIPLIER, SHIFT


@cython.locals(row=Connection, i="Py_ssize_t", count="Py_ssize_t", packets="long long[::1]", places="long long[::1]", place="Py_ssize_t")
cpdef list by_first_packet(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", starts="long long[::1]")
cpdef object number(list rows)

@cython.locals(row=Connection, before="long long")
cpdef bint in_order_of_start(list rows) except *

@cython.locals(row=Connection, i="Py_ssize_t", groups=dict, found=list, apart=list, known=list)
cpdef tuple alike(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", counts=dict, examples=list, key=tuple, found=dict)
cpdef list kinds(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", groups=dict, key=tuple, client=tuple, known=list)
cpdef list by_client(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", groups=dict, known=list)
cpdef dict by_server(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", groups=dict, client=tuple, known=list)
cpdef dict by_client_host(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", first=Connection, last=Connection)
cpdef tuple first_and_last(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", found=list)
cpdef list without_tls(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", found=list)
cpdef list with_tls(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", found=list)
cpdef bytes mask_keys(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", found=list)
cpdef list with_mask_keys(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", found=list, end="long long")
cpdef list at_once(list rows)

@cython.locals(before=Connection, after=Connection, found=list, open_until="long long")
cpdef list successions(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", found=list)
cpdef list that_said(list rows, int side, tuple codes)

@cython.locals(row=Connection, i="Py_ssize_t", found=list)
cpdef list besides(list rows, ids)

@cython.locals(row=Connection, i="Py_ssize_t", found=list, age="long long")
cpdef list ages(list rows, long long shortest)

@cython.locals(row=Connection, i="Py_ssize_t", found=list)
cpdef list end_times(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", first="long long", last="long long")
cpdef tuple span(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", found=list)
cpdef list heard_of_after(list rows, long long time)

@cython.locals(row=Connection, i="Py_ssize_t", counts=dict)
cpdef dict agents_accepted(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", groups=dict, target=str, known=list)
cpdef list by_path(list rows)

@cython.locals(numbers="const unsigned int[::1]", marks="unsigned char[::1]", doubles="unsigned char[::1]", suspects="long long[::1]", places="long long[::1]", count="Py_ssize_t", some="Py_ssize_t", i="Py_ssize_t", found="Py_ssize_t", mark="unsigned long long", bit="unsigned char")
cpdef long long count_repeats(bytes keys) except -1

@cython.locals(row=Connection, i="Py_ssize_t", found=list)
cpdef list that_may_count(list rows)

@cython.locals(row=Connection, i="Py_ssize_t", hashes="long long[::1]", places="long long[::1]")
cpdef bint may_share_keys(list rows) except -1
