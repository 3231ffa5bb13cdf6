"""The compiled form of heads.py: a walk over the lines, and no object. Every pointer is one that `numbers.at` has checked, and no
byte is read behind the `n` that go with it."""

from libc.string cimport memchr, memcmp

from wsaudit.kernel.buffer cimport Buffer
from wsaudit.kernel.inline_numbers cimport at

cdef enum:
    NONE = -1
    UNCLEAR = -2
    SPACE = 32
    TAB = 9
    CR = 13
    LF = 10
    MOST_DIGITS = 18


cdef inline bint begins(const unsigned char *p, long long n, const char *word, long long size) noexcept nogil:
    """Do these bytes begin with `word`?"""
    return n >= size and memcmp(p, word, size) == 0


cdef inline bint names(const unsigned char *p, long long n, const char *word, long long size) noexcept nogil:
    """The same for a word of small letters and hyphens, in whatever case."""
    cdef long long i
    if n < size:
        return False
    for i in range(size):
        if p[i] != word[i] and (word[i] == c'-' or p[i] | 0x20 != word[i]):
            return False
    return True


cdef inline long long next_line(const unsigned char *p, long long i, long long n) noexcept nogil:
    """Where the line behind that of byte `i` begins, 0 if this one has no end."""
    cdef const void *found = memchr(p + i, LF, n - i)
    return 0 if found == NULL else <const unsigned char *>found - p + 1


cdef inline bint has_websocket(const unsigned char *p, long long n, int k) noexcept nogil:
    """Is there a "websocket" with this `k` in it?"""
    cdef long long i = 6
    cdef const void *found
    while i < n - 2:
        found = memchr(p + i, k, n - 2 - i)
        if found == NULL:
            return False
        i = <const unsigned char *>found - p
        if names(p + i - 6, 9, b"websocket", 9):
            return True
        i += 1
    return False


cdef inline long long number(const unsigned char *p, long long n) noexcept nogil:
    """What such a line says behind its name."""
    cdef long long i = 1, first, value = 0
    if n < 1 or p[0] != c':':
        return UNCLEAR
    while i < n and p[i] == SPACE:
        i += 1
    first = i
    while i < n and 48 <= p[i] <= 57 and i - first < MOST_DIGITS:
        value = value * 10 + p[i] - 48
        i += 1
    return value if i > first and i < n and p[i] == CR else UNCLEAR


cdef inline long long stop_of(Buffer buffer, long long pos, long long end) except -1:
    cdef const unsigned char *p
    cdef long long i = 0, n = end - pos
    if n < 4:
        return 0
    p = at(buffer, pos, n)
    while True:
        i = next_line(p, i, n)
        if i == 0 or n - i < 2:
            return 0
        if p[i] == CR and p[i + 1] == LF and i >= 2 and p[i - 2] == CR:
            return pos + i + 2


cdef inline bint is_request(Buffer buffer, long long pos, long long stop) except -1:
    cdef long long i, n = stop - pos
    cdef const unsigned char *p = at(buffer, pos, n)
    if begins(p, n, b"GET /", 5) or begins(p, n, b"PUT /", 5):
        i = 5
    elif begins(p, n, b"POST /", 6) or begins(p, n, b"HEAD /", 6):
        i = 6
    elif begins(p, n, b"PATCH /", 7):
        i = 7
    elif begins(p, n, b"DELETE /", 8):
        i = 8
    elif begins(p, n, b"OPTIONS /", 9):
        i = 9
    else:
        return False
    while i < n and 33 <= p[i] <= 126:
        i += 1
    return n - i >= 11 and begins(p + i, 8, b" HTTP/1.", 8) and 48 <= p[i + 8] <= 49 and p[i + 9] == CR and p[i + 10] == LF


cdef inline int status_of(Buffer buffer, long long pos, long long stop) except -1:
    cdef long long i = 13, n = stop - pos
    cdef const unsigned char *p = at(buffer, pos, n)
    if n < 15 or not begins(p, n, b"HTTP/1.", 7) or not 48 <= p[7] <= 49 or p[8] != SPACE or p[12] != SPACE:
        return 0
    if not 50 <= p[9] <= 53 or not 48 <= p[10] <= 57 or not 48 <= p[11] <= 57:
        return 0
    while i < n and 32 <= p[i] <= 126:
        i += 1
    if n - i < 2 or p[i] != CR or p[i + 1] != LF:
        return 0
    return (p[9] - 48) * 100 + (p[10] - 48) * 10 + p[11] - 48


cdef inline long long body_length(Buffer buffer, long long pos, long long stop) except? -3:
    cdef long long i = 0, n = stop - pos
    cdef long long length = NONE
    cdef const unsigned char *p = at(buffer, pos, n)
    if has_websocket(p, n, c'k') or has_websocket(p, n, c'K'):
        return UNCLEAR
    while True:
        i = next_line(p, i, n)
        if i == 0:
            return length
        if i == 1 or p[i - 2] != CR:
            return UNCLEAR
        if i == n:
            return length
        if p[i] == SPACE or p[i] == TAB or names(p + i, n - i, b"transfer-encoding", 17):
            return UNCLEAR
        if names(p + i, n - i, b"content-length", 14):
            if length != NONE:
                return UNCLEAR
            length = number(p + i + 14, n - i - 14)
            if length == UNCLEAR:
                return UNCLEAR
