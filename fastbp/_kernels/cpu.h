/* Which of the compiled instruction sets there are, and which this processor has. */
#ifndef FASTBP_CPU_H
#define FASTBP_CPU_H
#include "kernels.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>

extern const fbp_kernels fbp_kernels_v2, fbp_kernels_v3, fbp_kernels_v4;
static const fbp_kernels *const fbp_tables[] = {&fbp_kernels_v4, &fbp_kernels_v3, &fbp_kernels_v2};

/* The x86-64 psABI's level, 1 to 4, by CPUID's leaf 1 (ECX), 0x80000001 (ECX) and 7 (EBX), and by
 * XCR0, the registers that the operating system saves.  All instructions of a level are asked for,
 * as the compiler may have used any. */
static int fbp_level_of(unsigned features, unsigned extended, unsigned leaf_7, unsigned saved)
{
    /* SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; LAHF */
    const unsigned v2 = 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23;
    const unsigned extended_v2 = 1u << 0;
    /* FMA, MOVBE, OSXSAVE, AVX, F16C; LZCNT; BMI1, AVX2, BMI2; XMM and YMM */
    const unsigned v3 = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29;
    const unsigned extended_v3 = 1u << 5, leaf_7_v3 = 1u << 3 | 1u << 5 | 1u << 8, saved_v3 = 0x06;
    /* AVX-512 F, DQ, CD, BW, VL; masks and ZMM */
    const unsigned leaf_7_v4 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
    const unsigned saved_v4 = 0xe6;

    if ((features & v2) != v2 || !(extended & extended_v2))
        return 1;
    if ((features & v3) != v3 || !(extended & extended_v3) || (leaf_7 & leaf_7_v3) != leaf_7_v3 ||
        (saved & saved_v3) != saved_v3)
        return 2;
    return (leaf_7 & leaf_7_v4) == leaf_7_v4 && (saved & saved_v4) == saved_v4 ? 4 : 3;
}

/* Not by __builtin_cpu_supports: not every compiler's knows MOVBE and LZCNT, and it is a library
 * function that clang-cl does not link. */
static int fbp_level(void)
{
    unsigned a, b, c, d, features = 0, extended = 0, leaf_7 = 0, saved = 0;
    if (__get_cpuid(1, &a, &b, &c, &d))
        features = c;
    if (__get_cpuid(0x80000001, &a, &b, &c, &d))
        extended = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        leaf_7 = b;
    if (features & 1u << 27) /* OSXSAVE: XGETBV exists */
        __asm__ volatile("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
    return fbp_level_of(features, extended, leaf_7, saved);
}

static int fbp_runs_here(int k)
{
    return fbp_level() >= 4 - k;
}
#else
extern const fbp_kernels fbp_kernels_plain;
static const fbp_kernels *const fbp_tables[] = {&fbp_kernels_plain};

static int fbp_runs_here(int k)
{
    (void)k;
    return 1;
}
#endif

static const fbp_kernels *fbp_built(int k)
{
    return k < (int)(sizeof fbp_tables / sizeof *fbp_tables) ? fbp_tables[k] : NULL;
}
#endif
