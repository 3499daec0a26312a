/* The sum of several ranks' buffers in memory that all of them see: a window of each rank.
 *
 * A core that reads what another one has just written takes it out of the other's cache, a line at a
 * time.  Where they share no cache that is slower than main memory is, 2.5 GB/s against 17, and a
 * rank does better to write past its caches, in streams, what others will read.
 */
#ifndef FBP_WINDOWS_H
#define FBP_WINDOWS_H

#include <stddef.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Bytes of a stretch that is summed in a core's first cache. */
enum { FBP_WINDOW_BLOCK = 4096 };

/* What this rank wrote is there for the others, before it meets them. */
static inline void windows_fence(void) {
#if defined(__SSE2__)
    _mm_sfence();
#endif
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Copy so many bytes to a window; in streams, where a processor has such stores. */
static inline void windows_write(char *window, const char *data, size_t n, int streams) {
#if defined(__SSE2__)
    if (!streams) {
        memcpy(window, data, n);
        return;
    }
    size_t head = (16 - (size_t)window % 16) % 16;
    head = head < n ? head : n;
    memcpy(window, data, head);
    for (window += head, data += head, n -= head; n >= 16; window += 16, data += 16, n -= 16) {
        _mm_stream_si128((__m128i *)window, _mm_loadu_si128((const __m128i *)data));
    }
#else
    (void)streams;
#endif
    memcpy(window, data, n);
}

#define FBP_WINDOWS_ADD(name, real)                                                                \
    static inline void name(real *sum, const real *data, size_t n) {                               \
        for (size_t i = 0; i < n; i++) sum[i] += data[i];                                          \
    }
FBP_WINDOWS_ADD(windows_add_float, float)
FBP_WINDOWS_ADD(windows_add_double, double)

/* The part of `data`, (n bytes), that begins at `begin`: summed over all ranks, of which this is the
 * rank-th, in their order, and written to its window.  windows: (size), each of so many bytes. */
static inline void windows_sum(char *const *windows, int size, int rank, char *data, size_t begin,
                               size_t n, int is_double, int streams) {
    union {
        char bytes[FBP_WINDOW_BLOCK];
        float floats[FBP_WINDOW_BLOCK / 4];
        double doubles[FBP_WINDOW_BLOCK / 8];
    } block;
    for (size_t i = begin; i < begin + n; i += FBP_WINDOW_BLOCK) {
        size_t bytes = begin + n - i < FBP_WINDOW_BLOCK ? begin + n - i : FBP_WINDOW_BLOCK;
        for (int r = 0; r < size; r++) {
            const char *part = (r == rank ? data : windows[r]) + i;
            if (r == 0) memcpy(block.bytes, part, bytes);
            else if (is_double) windows_add_double(block.doubles, (const double *)part, bytes / 8);
            else windows_add_float(block.floats, (const float *)part, bytes / 4);
        }
        memcpy(data + i, block.bytes, bytes);
        windows_write(windows[rank] + i, block.bytes, bytes, streams);
    }
}

#endif
