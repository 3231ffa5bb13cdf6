"""The compiled form of keys.py."""

from wsaudit.kernel.inline_numbers cimport wsaudit_le32

cdef extern from *:
    """
    #define WSAUDIT_MIX 0x9E3779B97F4A7C15ULL
    """
    unsigned long long WSAUDIT_MIX


cdef inline unsigned long long mixed(unsigned long long h, unsigned int word) noexcept nogil:
    h = (h ^ word) * WSAUDIT_MIX
    return h ^ (h >> 29)


cdef inline long long tag_of(unsigned long long h) noexcept nogil:
    return h >> 7 & 0x7FFFFFFF


cdef inline long long hash_of_words(const unsigned int *words, int count, unsigned long long seed) noexcept nogil:
    cdef int i
    for i in range(count):
        seed = mixed(seed, words[i])
    return tag_of(seed)


cdef inline long long hash_of(
    const unsigned char *head, long long addresses, int words, long long ports, unsigned long long seed
) noexcept nogil:
    cdef int i
    for i in range(words):
        seed = mixed(seed, wsaudit_le32(head + addresses + 4 * i))
    return tag_of(mixed(seed, wsaudit_le32(head + ports)))


cdef inline int shard_of(const unsigned char *head, long long addresses, int words, long long ports, int shards) noexcept nogil:
    cdef unsigned long long total = 0
    cdef unsigned int pair = wsaudit_le32(head + ports)
    cdef int i
    for i in range(words):
        total += wsaudit_le32(head + addresses + 4 * i)
    total += (pair >> 16) + (pair & 0xFFFF)
    return <int>((total * WSAUDIT_MIX >> 32) * <unsigned long long>shards >> 32)
