/* Dropout.  The mask is a function of (key, index), so that the backward pass makes it again
 * and training can be resumed anywhere. */

#ifndef FBP_DROPOUT_ONCE
#define FBP_DROPOUT_ONCE
#include "dropout_key.h"

/* 32 random bits for one element (Wellons, "lowbias32"), keyed before and behind. */
static inline uint32_t dropout_bits(uint64_t key, uint32_t index)
{
    uint32_t h = index ^ (uint32_t)key;
    h = (h ^ (h >> 16)) * 0x7feb352du;
    h = (h ^ (h >> 15)) * 0x846ca68bu;
    h ^= h >> 16;
    h += (uint32_t)(key >> 32);
    h = (h ^ (h >> 16)) * 0x7feb352du;
    return h ^ (h >> 15);
}

static inline uint32_t dropout_threshold(double ratio)
{
    const double bits = ratio * 4294967296.0;
    return bits >= 4294967295.0 ? 4294967295u : (uint32_t)bits;
}
#endif

/* out[i] = x[i] / (1 - ratio), or 0 with probability ratio; the elements' numbers are first,
 * first + 1, ...  Forward and backward are the same function. */
static void FN(dropout)(const REAL *x, REAL *out, uint64_t key, uint32_t first, double ratio,
                        idx n)
{
    const uint32_t threshold = dropout_threshold(ratio);
    const REAL scale = (REAL)(1 / (1 - ratio));
    ELEMENTWISE out[i] = dropout_bits(key, first + (uint32_t)i) < threshold ? 0 : x[i] * scale;
}
