"""The compiled form of numbers.py: inlined, and with one bounds check for all bytes of a number."""

from libc.string cimport memcpy

from wsaudit.kernel.buffer cimport Buffer

cdef enum:
    LINE = 64


cdef inline const unsigned char *at(Buffer buffer, long long pos, long long n) except NULL:
    """Where buffer[pos:pos + n] lies, n > 0."""
    if pos < 0 or pos > buffer.b.shape[0] - n:
        raise IndexError("outside the buffer")
    return &buffer.b[0] + pos


cdef inline long long be16(Buffer buffer, long long pos) except -1:
    cdef const unsigned char *p = at(buffer, pos, 2)
    return p[0] << 8 | p[1]


cdef inline long long be32(Buffer buffer, long long pos) except -1:
    cdef const unsigned char *p = at(buffer, pos, 4)
    return <unsigned int>p[0] << 24 | <unsigned int>p[1] << 16 | <unsigned int>p[2] << 8 | p[3]


cdef inline long long le32(Buffer buffer, long long pos) except -1:
    cdef const unsigned char *p = at(buffer, pos, 4)
    return <unsigned int>p[3] << 24 | <unsigned int>p[2] << 16 | <unsigned int>p[1] << 8 | p[0]


cdef inline unsigned long long be64(Buffer buffer, long long pos) except? 0:
    return <unsigned long long>be32(buffer, pos) << 32 | <unsigned long long>be32(buffer, pos + 4)


cdef inline long long ascii_end(Buffer buffer, long long pos, long long end, unsigned long long key) except -1:
    cdef const unsigned char *p
    cdef unsigned long long pattern, word, seen
    cdef unsigned char repeated[8]
    cdef Py_ssize_t i, n = end - pos
    if n < 8:
        return pos
    p = at(buffer, pos, n)
    for i in range(8):
        repeated[i] = (key >> ((i & 3) << 3)) & 0xFF
    memcpy(&pattern, repeated, 8)
    while n >= LINE:
        seen = 0
        for i in range(0, LINE, 8):
            memcpy(&word, p + i, 8)
            seen |= word ^ pattern
        if seen & 0x8080808080808080ULL:
            break
        p += LINE
        n -= LINE
    while n >= 8:
        memcpy(&word, p, 8)
        if (word ^ pattern) & 0x8080808080808080ULL:
            break
        p += 8
        n -= 8
    return end - n
