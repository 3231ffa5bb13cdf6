cimport cython

from wsaudit.kernel cimport inline_ahead as ahead
from wsaudit.kernel cimport inline_mode as mode
from wsaudit.kernel.connection cimport Connection

cdef const int FEW, WIDE, NARROW


@cython.locals(
    i="Py_ssize_t", at="Py_ssize_t", to="Py_ssize_t", row=Connection, wide="long long[::1]", narrow="int[::1]", kinds=list, ends=dict,
    hosts=list, targets=list, keys=list, packed=list, mask_keys=list, servers=list, closes=list, terminations=list, notices=list,
    client=tuple, host=bytes, own=bytes, masks=bytes,
)
cpdef tuple from_rows(list rows)

cdef Py_ssize_t take_text(list texts, str text) except -2

@cython.locals(count="Py_ssize_t", i="Py_ssize_t")
cdef Py_ssize_t kind_among(list kinds, Connection row) except -1

@cython.locals(
    i="Py_ssize_t", at="Py_ssize_t", to="Py_ssize_t", row=Connection, kind=Connection, wide="long long[::1]", narrow="int[::1]",
    flags="int", size="Py_ssize_t", kinds=list, ends=dict, hosts=bytes, packed=bytes, mask_keys=bytes, targets=str, keys=str,
    host_at="Py_ssize_t", packed_at="Py_ssize_t", mask_at="Py_ssize_t", target_at="Py_ssize_t", key_at="Py_ssize_t",
    servers=list, closes=list, terminations=list, notices=list, rows=list,
)
cpdef list to_rows(tuple columns)
