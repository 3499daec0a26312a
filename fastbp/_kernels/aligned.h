/* Memory on the border of a cache line.  Windows has its own pair of functions for it. */
#ifndef FASTBP_ALIGNED_H
#define FASTBP_ALIGNED_H
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <malloc.h>
static inline void *fbp_allocate(size_t bytes)
{
    return _aligned_malloc(bytes ? bytes : 1, 64);
}

static inline void fbp_free(void *memory)
{
    _aligned_free(memory);
}
#else
static inline void *fbp_allocate(size_t bytes)
{
    return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

static inline void fbp_free(void *memory)
{
    free(memory);
}
#endif

/* Zeros, of which the system gives a page when it is first touched. */
static inline void *fbp_allocate_zeros(size_t bytes)
{
    char *raw = calloc(bytes + 64 + sizeof raw, 1);
    if (!raw)
        return NULL;
    char *p = raw + sizeof raw + 63;
    p -= (uintptr_t)p % 64;
    memcpy(p - sizeof raw, &raw, sizeof raw);
    return p;
}

static inline void fbp_free_zeros(void *memory)
{
    char *raw;
    if (!memory)
        return;
    memcpy(&raw, (char *)memory - sizeof raw, sizeof raw);
    free(raw);
}
#endif
