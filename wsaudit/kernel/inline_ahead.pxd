"""The compiled form of ahead.py. Behind these pointers nothing is read but fields of live rows, and nothing written."""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE

from wsaudit.kernel.connection cimport Connection
from wsaudit.kernel.inline_prefetch cimport lines, wsaudit_prefetch

cdef enum:
    FAR = 16  # rows
    NEAR = 8
    LINE = 64  # bytes


cdef inline void *near(list rows, long long i) noexcept:
    """The row, NULL after the last one and for what is none. By now `row` has fetched it."""
    cdef void *p
    if i + NEAR >= PyList_GET_SIZE(rows):
        return NULL
    p = <void *>PyList_GET_ITEM(rows, i + NEAR)
    return p if type(<object>p) is Connection else NULL


cdef inline void text(void *start) noexcept:
    lines(start, <char *>start + 2 * LINE)


cdef inline void row(list rows, long long i) noexcept:
    cdef void *p
    if i + FAR < PyList_GET_SIZE(rows):
        p = <void *>PyList_GET_ITEM(rows, i + FAR)
        lines(p, &(<Connection>p).number)


cdef inline void client(list rows, long long i) noexcept:
    cdef void *p = near(rows, i)
    if p != NULL:
        wsaudit_prefetch(<void *>(<Connection>p).client)


cdef inline void target(list rows, long long i) noexcept:
    cdef void *p = near(rows, i)
    if p != NULL:
        text(<void *>(<Connection>p).target)


cdef inline void key(list rows, long long i) noexcept:
    cdef void *p = near(rows, i)
    if p != NULL:
        text(<void *>(<Connection>p).key)


cdef inline void mask_keys(list rows, long long i) noexcept:
    cdef void *p = near(rows, i)
    if p != NULL:
        wsaudit_prefetch(<void *>(<Connection>p).packed_keys)
