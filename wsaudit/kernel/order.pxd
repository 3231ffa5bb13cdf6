cimport cython
from wsaudit.kernel cimport inline_mode as mode

cdef const int BITS
cdef int BUCKETS


@cython.locals(found="long long[::1]", moved="long long[::1]", places="long long[::1]", count="Py_ssize_t", i="Py_ssize_t", largest="long long", shift="int", start="long long", size="long long", bucket="long long")
cpdef long long[::1] order(const long long[::1] numbers)
