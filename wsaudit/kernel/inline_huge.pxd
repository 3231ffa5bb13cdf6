"""The compiled form of huge.py."""

cdef extern from *:
    """
    #if defined(__linux__)
    #include <stdint.h>
    #include <sys/mman.h>
    #if defined(__GLIBC__)
    #include <malloc.h>
    #include <unistd.h>
    #endif

    #define WSAUDIT_HUGE ((size_t)2 << 20)
    #define WSAUDIT_SMALLEST ((size_t)256 << 10) /* an arena of Python up to 3.9; frames take 16 KiB, rarely more */
    #define WSAUDIT_REGION ((size_t)32 << 20)
    #define WSAUDIT_HEAP ((size_t)64 << 20)
    #define wsaudit_up(p) ((char *)(((uintptr_t)(p) + WSAUDIT_HUGE - 1) & ~(uintptr_t)(WSAUDIT_HUGE - 1)))

    /* Python makes objects of up to 512 bytes in arenas of 1 MiB, each of which it maps and unmaps. These are parts of regions that
       begin with a huge page, one behind the other, and are kept for the next one who asks. What it takes here in other sizes, for
       its frames, is left to who gave it before. */
    static PyObjectArenaAllocator wsaudit_arenas;
    static size_t wsaudit_arena_size;
    static struct wsaudit_arena { struct wsaudit_arena *next; } *wsaudit_unused;
    static char *wsaudit_next, *wsaudit_end;

    static void *wsaudit_take_arena(void *context, size_t size)
    {
        char *arena = (char *)wsaudit_unused;
        if (!wsaudit_arena_size && size >= WSAUDIT_SMALLEST && size <= WSAUDIT_REGION) wsaudit_arena_size = size;
        if (size != wsaudit_arena_size) return wsaudit_arenas.alloc(wsaudit_arenas.ctx, size);
        if (arena) {
            wsaudit_unused = wsaudit_unused->next;
            return arena;
        }
        if (size > (size_t)(wsaudit_end - wsaudit_next)) {
            arena = mmap(NULL, WSAUDIT_REGION + WSAUDIT_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (arena == (char *)MAP_FAILED) return NULL;
            wsaudit_next = wsaudit_up(arena);
            wsaudit_end = wsaudit_next + WSAUDIT_REGION;
            madvise(wsaudit_next, WSAUDIT_REGION, MADV_HUGEPAGE);
        }
        arena = wsaudit_next;
        wsaudit_next += size;
        return arena;
    }

    static void wsaudit_give_arena(void *context, void *arena, size_t size)
    {
        if (size != wsaudit_arena_size) {
            wsaudit_arenas.free(wsaudit_arenas.ctx, arena, size);
            return;
        }
        ((struct wsaudit_arena *)arena)->next = wsaudit_unused;
        wsaudit_unused = arena;
    }

    /* Bigger objects are on the heap of the C library: make it grow at once by what it will need, before anything is there. */
    static void wsaudit_grow_heap(void)
    {
    #if defined(__GLIBC__)
        void *held[64];
        char *before = sbrk(0), *after = before;
        int n = 0;
        mallopt(M_TOP_PAD, (int)WSAUDIT_HEAP);
        while (n < 64 && after == before) {
            held[n++] = malloc((size_t)100 << 10);
            after = sbrk(0);
        }
        while (n) free(held[--n]);
        if (after > wsaudit_up(before)) madvise(wsaudit_up(before), after - wsaudit_up(before), MADV_HUGEPAGE);
    #endif
    }

    static int wsaudit_prefer_huge_pages(void)
    {
        PyObjectArenaAllocator ours = {NULL, wsaudit_take_arena, wsaudit_give_arena};
        if (wsaudit_arenas.alloc) return 1;
        wsaudit_grow_heap();
        PyObject_GetArenaAllocator(&wsaudit_arenas);
        PyObject_SetArenaAllocator(&ours);
        return 1;
    }
    #else
    static int wsaudit_prefer_huge_pages(void) { return 0; }
    #endif
    """
    bint prefer "wsaudit_prefer_huge_pages"()
