/* The order of an epoch's rows: a function of a key, the same on every machine. */
#ifndef FASTBP_ORDER_H
#define FASTBP_ORDER_H
#include <stddef.h>
#include "dropout_key.h"

/* Places that are drawn, and asked for from memory, before any of them is read: with more rows than
 * the caches hold, each would be waited for. */
enum { PLACES = 256 };

/* The upper 64 bits of a * b, of halves: not every machine multiplies to 128. */
static inline uint64_t upper_product(uint64_t a, uint64_t b)
{
    const uint64_t a_0 = (uint32_t)a, a_1 = a >> 32, b_0 = (uint32_t)b, b_1 = b >> 32;
    const uint64_t upper = a_1 * b_0 + (a_0 * b_0 >> 32), lower = a_0 * b_1 + (uint32_t)upper;
    return a_1 * b_1 + (upper >> 32) + (lower >> 32);
}

/* One of 0 .. n - 1, all equally often (Lemire, "Fast random integer generation in an interval",
 * 2019), of the numbers of splitmix64 (Steele, Lea & Flood 2014).  The remainder, which a division
 * takes, is looked at where the product's lower half is below n: nearly never. */
static inline uint64_t draw_below(uint64_t n, uint64_t *state)
{
    for (;;) {
        const uint64_t x = mix64(*state += 0x9e3779b97f4a7c15u), lower = x * n;
        if (lower >= n || lower >= -n % n)
            return upper_product(x, n);
    }
}

/* order = 0 .. n - 1 shuffled: row i goes to a place drawn of 0 .. i, and what stood there to
 * place i (Fisher and Yates's shuffle, from the front). */
static void epoch_order(int64_t *order, ptrdiff_t n, uint64_t key)
{
    ptrdiff_t places[PLACES];
    for (ptrdiff_t first = 0; first < n; first += PLACES) {
        const ptrdiff_t end = n - first < PLACES ? n : first + PLACES;
        for (ptrdiff_t i = first; i < end; i++) {
            places[i - first] = (ptrdiff_t)draw_below((uint64_t)i + 1, &key);
            __builtin_prefetch(order + places[i - first], 1);
        }
        for (ptrdiff_t i = first; i < end; i++) {
            int64_t *const there = order + places[i - first];
            order[i] = *there;
            *there = i;
        }
    }
}
#endif
