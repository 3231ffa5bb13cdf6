"""The compiled form of prefetch.py. Behind these pointers nothing is read but fields of live objects, and nothing written."""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE

from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel.frames cimport Scanner
from wsaudit.kernel.pings cimport Pings
from wsaudit.kernel.streams cimport Flow, Stream

cdef extern from *:
    """
    #if defined(__GNUC__)
    /* GCC takes a function that only prefetches for one without effect and drops its calls; an empty asm prevents that. */
    #define wsaudit_prefetch(p) do { __builtin_prefetch(p); __asm__ volatile(""); } while (0)
    #else
    #define wsaudit_prefetch(p) ((void) (p))
    #endif
    """
    void wsaudit_prefetch(const void *p) noexcept nogil

cdef extern from "Python.h":
    ctypedef struct PyListObject:
        void **ob_item


cdef enum:
    LINE = 64
    KEY = 9  # words of a key in a Decoder's table
    SAMPLE = 32  # of a Stream
    READER = 112  # bytes of a RecordReader
    OWNER = 168  # of an Ordinary
    PARTY = 328


cdef inline void lines(const void *start, const void *end) noexcept:
    """All lines from `start` to before `end`, which need not begin a line."""
    cdef const char *p = <const char *>start
    while p < <const char *>end:
        wsaudit_prefetch(p)
        p += 64
    wsaudit_prefetch(<const char *>end - 1)


cdef inline void header(Buffer buffer, long long pos) noexcept:
    if 0 <= pos < buffer.b.shape[0] - LINE:
        wsaudit_prefetch(&buffer.b[0] + pos)
        wsaudit_prefetch(&buffer.b[0] + pos + LINE)


cdef inline void slot(long long[::1] slots, long long i) noexcept:
    if 0 <= i < slots.shape[0]:
        wsaudit_prefetch(&slots[0] + i)


cdef inline void entry(unsigned int[::1] words, list streams, long long i) noexcept:
    if 0 <= i < PyList_GET_SIZE(streams) and (i + 1) * KEY <= words.shape[0]:
        lines(&words[0] + i * KEY, &words[0] + i * KEY + 3)
        wsaudit_prefetch((<PyListObject *>streams).ob_item + i)


cdef inline void stream(list streams, long long i) noexcept:
    cdef void *p
    if 0 <= i < PyList_GET_SIZE(streams):
        p = <void *>PyList_GET_ITEM(streams, i)
        if p != <void *>None:
            lines(p, &(<Stream>p).sample_n + 1)


cdef inline void scanner(list streams, long long i, bint bare, bint control) noexcept:
    cdef void *p
    cdef void *q
    if 0 <= i < PyList_GET_SIZE(streams):
        p = <void *>PyList_GET_ITEM(streams, i)
        if p != <void *>None:
            q = <void *>(<Stream>p).peer
            if q != <void *>None:
                lines(q, &(<Stream>q).ended + 1)
            if bare:
                return
            q = <void *>(<Stream>p).scanner
            if q == <void *>None:
                q = <void *>(<Stream>p).reader
                if q != <void *>None:
                    lines(q, <char *>q + READER)
                return
            lines(q, &(<Scanner>q).shape_id[4])
            lines(&(<Scanner>q).shape_tally, &(<Scanner>q).shape_tally[8])
            if control:
                lines(&(<Scanner>q).counts[8], &(<Scanner>q).counts[11])
                lines(<char *>&(<Scanner>q).log_row - 40, &(<Scanner>q).log_row + 1)
            else:
                lines(&(<Scanner>q).counts, &(<Scanner>q).counts[3])


cdef inline void rows(list streams, long long i, bint control) noexcept:
    cdef void *p
    cdef void *q
    if 0 <= i < PyList_GET_SIZE(streams):
        p = <void *>PyList_GET_ITEM(streams, i)
        if p == <void *>None:
            return
        q = &(<Stream>p).samples[(<Stream>p).sample_n << 2 & 31]
        lines(q, <char *>q + SAMPLE)
        q = <void *>(<Stream>p).scanner
        if q == <void *>None:
            return
        wsaudit_prefetch(&(<Scanner>q).recent[(<Scanner>q).headers << 2 & 31])
        if control:
            p = <void *>(<Scanner>q).pings
            if p != <void *>None:
                lines(p, <char *>p + PARTY)
            p = <void *>(<Scanner>q).peer_pings
            if p != <void *>None:
                lines(p, <char *>p + PARTY)


cdef inline void flow(list flows, Py_ssize_t i) noexcept:
    cdef void *p
    if 0 <= i < PyList_GET_SIZE(flows):
        p = <void *>PyList_GET_ITEM(flows, i)
        lines(p, &(<Flow>p).limit_hits + 3)


cdef inline void sides(list flows, Py_ssize_t i) noexcept:
    cdef void *p
    cdef void *q
    if 0 <= i < PyList_GET_SIZE(flows):
        p = <void *>PyList_GET_ITEM(flows, i)
        q = <void *>(<Flow>p).a
        lines(q, &(<Stream>q).lost_bytes + 1)
        q = <void *>(<Flow>p).b
        lines(q, &(<Stream>q).lost_bytes + 1)
        q = <void *>(<Flow>p).owner
        lines(q, <char *>q + OWNER)


cdef inline void history(void *p) noexcept:
    cdef void *q = <void *>(<Stream>p).scanner
    if q == <void *>None:
        return
    lines(q, &(<Scanner>q).same_keys + 1)
    lines(<char *>&(<Scanner>q).log_row - 40, &(<Scanner>q).unverified_text + 1)
    q = <void *>(<Scanner>q).pings
    if q != <void *>None:
        lines(q, <char *>q + PARTY)


cdef inline void frames(list flows, Py_ssize_t i) noexcept:
    cdef void *p
    if 0 <= i < PyList_GET_SIZE(flows):
        p = <void *>PyList_GET_ITEM(flows, i)
        history(<void *>(<Flow>p).a)
        history(<void *>(<Flow>p).b)
