/* Memory on the border of a cache line.  Windows has its own pair of functions for it. */
#ifndef FASTBP_ALIGNED_H
#define FASTBP_ALIGNED_H
#include <stdlib.h>

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
#endif
