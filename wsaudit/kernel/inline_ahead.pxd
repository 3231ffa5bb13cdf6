"""The compiled form of ahead.py. Behind these pointers nothing is read but fields of live rows, and nothing written."""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.tuple cimport PyTuple_Check, PyTuple_GET_ITEM, PyTuple_GET_SIZE

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


cdef inline void *item(void *values, Py_ssize_t place) noexcept:
    if not PyTuple_Check(<object>values) or place >= PyTuple_GET_SIZE(<object>values):
        return NULL
    return <void *>PyTuple_GET_ITEM(<object>values, place)


cdef inline void finding(list findings, long long i, Py_ssize_t key, Py_ssize_t place) noexcept:
    cdef void *p
    if i + FAR < PyList_GET_SIZE(findings):
        text(<void *>PyList_GET_ITEM(findings, i + FAR))
    if i + NEAR < PyList_GET_SIZE(findings):
        p = <void *>PyList_GET_ITEM(findings, i + NEAR)
        wsaudit_prefetch(item(p, key))
        wsaudit_prefetch(item(p, place))


cdef inline object field(object values, Py_ssize_t place):
    cdef void *p = item(<void *>values, place)
    return values[place] if p == NULL else <object>p
