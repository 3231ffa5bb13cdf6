"""The compiled form of numbers.py: inlined, and with one bounds check for all bytes of a number or of a header."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from wsaudit.kernel.buffer cimport Buffer

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* GCC sees one load in "p[0] | p[1] << 8 ..." but not where it unrolls a loop: say it. */
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    static inline uint32_t wsaudit_le32(const unsigned char *p) { uint32_t v; memcpy(&v, p, 4); return v; }
    static inline uint64_t wsaudit_le64(const unsigned char *p) { uint64_t v; memcpy(&v, p, 8); return v; }
    static inline uint32_t wsaudit_be32(const unsigned char *p) { return __builtin_bswap32(wsaudit_le32(p)); }
    static inline int wsaudit_same(const unsigned char *p, const unsigned int *w, int n) { return memcmp(p, w, 4 * n) == 0; }
    static inline void wsaudit_put64(unsigned char *p, uint64_t v) { memcpy(p, &v, 8); }
    static inline void wsaudit_put32(unsigned char *p, uint32_t v) { memcpy(p, &v, 4); }
    #else
    static inline uint32_t wsaudit_le32(const unsigned char *p)
    { return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0]; }
    static inline uint64_t wsaudit_le64(const unsigned char *p)
    { return (uint64_t)wsaudit_le32(p + 4) << 32 | wsaudit_le32(p); }
    static inline uint32_t wsaudit_be32(const unsigned char *p)
    { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }
    static inline int wsaudit_same(const unsigned char *p, const unsigned int *w, int n)
    { int i; for (i = 0; i < n; i++) if (w[i] != wsaudit_le32(p + 4 * i)) return 0; return 1; }
    static inline void wsaudit_put64(unsigned char *p, uint64_t v)
    { int i; for (i = 0; i < 8; i++) p[i] = (unsigned char)(v >> (8 * i)); }
    static inline void wsaudit_put32(unsigned char *p, uint32_t v)
    { int i; for (i = 0; i < 4; i++) p[i] = (unsigned char)(v >> (8 * i)); }
    #endif
    /* How many of the lowest bytes of `v`, which is not 0, are 0. */
    #if defined(__GNUC__)
    static inline int wsaudit_low_zeros(uint64_t v) { return __builtin_ctzll(v) >> 3; }
    #else
    static inline int wsaudit_low_zeros(uint64_t v) { int n = 0; while (!(v & 0xFF)) { v >>= 8; n++; } return n; }
    #endif
    /* A masking key, twice in a row, for the eight bytes from payload byte `i` on. */
    static inline uint64_t wsaudit_turned(uint64_t pattern, long long i)
    { int turn = (int)(i & 3) << 3; return turn ? pattern >> turn | pattern << (64 - turn) : pattern; }
    /* Up to where are `n` bytes, behind a mask that is `pattern` again and again, surely whole characters? */
    #if defined(__SSE2__) && defined(__GNUC__)
    #include <emmintrin.h>
    #define wsaudit_plain(p, key) _mm_xor_si128(_mm_loadu_si128((const __m128i *)(p)), key)
    #define wsaudit_where(test) ((unsigned int)_mm_movemask_epi8(test))
    #define wsaudit_below(limit) wsaudit_where(_mm_cmplt_epi8(bytes, _mm_set1_epi8((char)(limit)))) /* of 0x80 and above */
    #define wsaudit_equal(value) wsaudit_where(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)(value))))
    /* RFC 3629 sections 3 and 4: how many of 16 bytes are whole characters; -1: something is wrong there. A number has a bit for
       each byte. */
    static inline int wsaudit_characters(__m128i bytes)
    {
        unsigned int all = wsaudit_where(bytes);
        unsigned int following = wsaudit_below(0xC0);
        unsigned int first = all & ~wsaudit_below(0xC2);
        unsigned int of_three = all & ~wsaudit_below(0xE0);
        unsigned int of_four = all & ~wsaudit_below(0xF0);
        unsigned int wanted = first << 1 | of_three << 2 | of_four << 3;
        if ((following | first) != all || (wanted & 0xFFFF) != following)
            return -1;
        if (of_three) {
            unsigned int low = wsaudit_below(0xA0);
            if (wsaudit_equal(0xE0) << 1 & low || wsaudit_equal(0xED) << 1 & following & ~low)
                return -1;
            if (of_four) {
                unsigned int lowest = wsaudit_below(0x90);
                if (wsaudit_equal(0xF0) << 1 & lowest || wsaudit_equal(0xF4) << 1 & following & ~lowest || all & ~wsaudit_below(0xF5))
                    return -1;
            }
        }
        return wanted >> 16 ? 31 - __builtin_clz(first) : 16;
    }
    static inline long long wsaudit_text(const unsigned char *p, long long n, uint64_t pattern)
    {
        static const unsigned char last[32] = {
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255
        };
        __m128i key = _mm_set1_epi64x((long long)pattern), bytes;
        long long i = 0;
        int some;
        if (n < 16)
            return 0;
        for (;;) {
            while (n - i >= 32 && !_mm_movemask_epi8(_mm_or_si128(wsaudit_plain(p + i, key), wsaudit_plain(p + i + 16, key))))
                i += 32;
            if (n - i < 16)
                break;
            bytes = wsaudit_plain(p + i, key);
            if (!_mm_movemask_epi8(bytes)) {
                i += 16;
                continue;
            }
            some = wsaudit_characters(bytes);
            if (some < 0)
                return i;
            i += some;
            key = _mm_set1_epi64x((long long)wsaudit_turned(pattern, i));
        }
        /* Of the last 16 bytes those that were seen count as zeros. */
        bytes = wsaudit_plain(p + n - 16, _mm_set1_epi64x((long long)wsaudit_turned(pattern, n - 16)));
        bytes = _mm_and_si128(bytes, _mm_loadu_si128((const __m128i *)(last + (n - i))));
        some = _mm_movemask_epi8(bytes) ? wsaudit_characters(bytes) : 16;
        return some < 0 ? i : n - 16 + some;
    }
    #else
    static inline long long wsaudit_text(const unsigned char *p, long long n, uint64_t pattern)
    {
        long long i = 0;
        while (n - i >= 16 && !(((wsaudit_le64(p + i) ^ pattern) | (wsaudit_le64(p + i + 8) ^ pattern)) & 0x8080808080808080ULL))
            i += 16;
        return i;
    }
    #endif
    """
    int wsaudit_low_zeros(unsigned long long v) noexcept nogil
    int wsaudit_same(const unsigned char *p, const unsigned int *w, int n) noexcept nogil
    unsigned long long wsaudit_turned(unsigned long long pattern, long long i) noexcept nogil
    long long wsaudit_text(const unsigned char *p, long long n, unsigned long long pattern) noexcept nogil
    unsigned int wsaudit_le32(const unsigned char *p) noexcept nogil
    unsigned long long wsaudit_le64(const unsigned char *p) noexcept nogil
    unsigned int wsaudit_be32(const unsigned char *p) noexcept nogil
    void wsaudit_put64(unsigned char *p, unsigned long long v) noexcept nogil
    void wsaudit_put32(unsigned char *p, unsigned int v) noexcept nogil


cdef inline const unsigned char *at(Buffer buffer, long long pos, long long n) except NULL:
    """Where buffer[pos:pos + n] lies, n > 0."""
    if pos < 0 or pos > buffer.b.shape[0] - n:
        raise IndexError("outside the buffer")
    return &buffer.b[0] + pos


cdef inline bytes copy(Buffer buffer, long long pos, long long n):
    return PyBytes_FromStringAndSize(<const char *>at(buffer, pos, n), n)


cdef inline bytes first(const unsigned char[::1] octets, Py_ssize_t n):
    if n < 0 or n > octets.shape[0]:
        raise IndexError("outside the octets")
    return PyBytes_FromStringAndSize(<const char *>&octets[0], n)


cdef inline long long le32(Buffer buffer, long long pos) except -1:
    return wsaudit_le32(at(buffer, pos, 4))


cdef inline unsigned long long le64(Buffer buffer, long long pos) except? 0:
    return wsaudit_le64(at(buffer, pos, 8))


cdef inline long long u32(const unsigned char *p, long long i, bint big) noexcept nogil:
    return wsaudit_be32(p + i) if big else wsaudit_le32(p + i)


cdef inline bint are_ends(
    Buffer buffer, long long addresses, long long n, long long ports, const unsigned int[::1] words, long long i
) except -1:
    cdef const unsigned char *p = at(buffer, addresses, ports + 4 - addresses)
    cdef const unsigned char *q = p + (ports - addresses)
    cdef const unsigned int *w
    if n < 1 or ports - addresses < 4 * n or i < 0 or i >= words.shape[0] - n:
        raise IndexError("outside the buffer or the words")
    w = &words[0] + i
    if n == 2:  # addresses of IPv4, nearly always: a constant makes it one comparison
        return wsaudit_same(p, w, 2) and wsaudit_same(q, w + 2, 1)
    return wsaudit_same(p, w, <int>n) and wsaudit_same(q, w + n, 1)


cdef inline bytes packed(const unsigned int *numbers, Py_ssize_t n):
    cdef bytes out = PyBytes_FromStringAndSize(NULL, 4 * n)
    cdef unsigned char *q = <unsigned char *>PyBytes_AS_STRING(out)
    cdef Py_ssize_t i
    for i in range(n):
        wsaudit_put32(q + 4 * i, numbers[i])
    return out


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


cdef inline bytes unmasked(Buffer buffer, long long pos, long long n, unsigned long long key, long long phase):
    cdef const unsigned char *p = at(buffer, pos, n)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, n)
    cdef unsigned char *q = <unsigned char *>PyBytes_AS_STRING(out)
    cdef long long i = 0
    key = <unsigned int>key  # "& 0xFFFFFFFF" would take two Python objects: the literal is wider than 32 bits
    key = wsaudit_turned(key | key << 32, phase)
    while n - i >= 8:
        wsaudit_put64(q + i, wsaudit_le64(p + i) ^ key)
        i += 8
    while i < n:
        q[i] = p[i] ^ (key >> ((i & 7) << 3) & 0xFF)
        i += 1
    return out


cdef inline long long text_end(Buffer buffer, long long pos, long long end, unsigned long long key) except -1:
    cdef const unsigned char *p
    cdef unsigned long long pattern, word
    cdef unsigned long long above = 0x8080808080808080ULL  # the bits that no ASCII character has
    cdef long long n = end - pos, i = 0
    cdef int left, size
    if n < 8:
        return pos
    p = at(buffer, pos, n)
    key = <unsigned int>key
    key |= key << 32
    i = wsaudit_text(p, n, key)
    while n - i >= 8:
        pattern = wsaudit_turned(key, i)
        word = wsaudit_le64(p + i) ^ pattern
        if not word & above:
            i += 8
            i += wsaudit_text(p + i, n - i, pattern)
            continue
        size = wsaudit_low_zeros(word & above)  # bytes of ASCII before the first other
        word >>= size << 3
        left = 8 - size
        i += size
        while left >= 4 and word & 0x80:
            size = character(word)
            if not size:
                return pos + i
            word >>= size << 3
            left -= size
            i += size
    if i < n:  # less than eight bytes are left: look at the last eight, without those that were seen
        word = (wsaudit_le64(p + n - 8) ^ wsaudit_turned(key, n - 8)) >> ((8 - (n - i)) << 3)
        if not word & above:
            i = n
    return pos + i
