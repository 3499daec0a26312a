#ifndef FASTBP_DROPOUT_KEY_H
#define FASTBP_DROPOUT_KEY_H
#include <stdint.h>

/* splitmix64's finaliser (Steele, Lea & Flood 2014), over the parts of the key in turn. */
static inline uint64_t mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t dropout_key(uint64_t seed, uint64_t step, uint64_t layer)
{
    uint64_t z = mix64(seed + 0x9e3779b97f4a7c15u);
    z = mix64(z ^ (step + 0x9e3779b97f4a7c15u));
    return mix64(z ^ (layer + 0x9e3779b97f4a7c15u));
}
#endif
