"""The compiled form of numbers.py: inlined, and with one bounds check for all bytes of a number."""

from wsaudit.kernel.buffer cimport Buffer

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


cdef inline unsigned long long le64(const unsigned char *p) noexcept nogil:
    return (
        <unsigned long long>p[0] | <unsigned long long>p[1] << 8 | <unsigned long long>p[2] << 16 | <unsigned long long>p[3] << 24
        | <unsigned long long>p[4] << 32 | <unsigned long long>p[5] << 40 | <unsigned long long>p[6] << 48
        | <unsigned long long>p[7] << 56
    )


cdef inline int character(unsigned long long bytes) noexcept nogil:
    """How long the character is that begins with the lowest of `bytes`, which is not ASCII; 0 if it is none. RFC 3629 §4."""
    cdef unsigned int first = bytes & 0xFF
    cdef unsigned int second = bytes >> 8 & 0xFF
    if bytes & 0xC0E0 == 0x80C0:
        return 2 if first >= 0xC2 else 0
    if bytes & 0xC0C0F0 == 0x8080E0:
        if (first == 0xE0 and second < 0xA0) or (first == 0xED and second > 0x9F):
            return 0
        return 3
    if bytes & 0xC0C0C0F8ULL == 0x808080F0ULL:
        if first > 0xF4 or (first == 0xF0 and second < 0x90) or (first == 0xF4 and second > 0x8F):
            return 0
        return 4
    return 0


cdef inline long long text_end(Buffer buffer, long long pos, long long end, unsigned long long key) except -1:
    cdef const unsigned char *p
    cdef unsigned long long pattern, word, seen
    cdef long long n = end - pos, i = 0, turn
    cdef int left, size, j, run = 0
    if n < 8:
        return pos
    p = at(buffer, pos, n)
    key &= 0xFFFFFFFF
    key |= key << 32
    while n - i >= 8:
        turn = (i & 3) << 3
        pattern = key >> turn | key << (64 - turn) if turn else key
        word = le64(p + i) ^ pattern
        if not word & 0x8080808080808080ULL:
            i += 8
            run += 1
            while run >= 4 and n - i >= 64:
                seen = 0
                for j in range(0, 64, 8):
                    seen |= le64(p + i + j) ^ pattern
                if seen & 0x8080808080808080ULL:
                    break
                i += 64
            continue
        run = 0
        left = 8
        while left >= 4:
            size = 1
            if word & 0x80:
                size = character(word)
                if not size:
                    return pos + i
            word >>= size << 3
            left -= size
            i += size
    return pos + i
