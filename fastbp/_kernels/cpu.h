/* Which of the compiled instruction sets there are, and which this processor has. */
#ifndef FASTBP_CPU_H
#define FASTBP_CPU_H
#include "kernels.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>

extern const fbp_kernels fbp_kernels_v2, fbp_kernels_v3, fbp_kernels_v4;
static const fbp_kernels *const fbp_tables[] = {&fbp_kernels_v4, &fbp_kernels_v3, &fbp_kernels_v2};

/* The x86-64 psABI's level of this processor, all of whose instructions the compiler may have
 * used: 1 to 4.  Not __builtin_cpu_supports, which knows neither MOVBE nor LZCNT in all
 * compilers, and is a library function that clang-cl does not link. */
static int fbp_level(void)
{
    const unsigned sse = 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23;
    const unsigned avx = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29;
    const unsigned avx2 = 1u << 3 | 1u << 5 | 1u << 8;
    const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
    const unsigned lahf = 1u << 0, lzcnt = 1u << 5;
    unsigned a, b, c, d, features, extended, leaf_7 = 0, enabled, high;

    if (!__get_cpuid(1, &a, &b, &features, &d) || !__get_cpuid(0x80000001, &a, &b, &extended, &d) ||
        (features & sse) != sse || !(extended & lahf))
        return 1;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        leaf_7 = b;
    if ((features & avx) != avx || (leaf_7 & avx2) != avx2 || !(extended & lzcnt))
        return 2;
    /* XCR0: which registers the operating system saves. */
    __asm__ volatile("xgetbv" : "=a"(enabled), "=d"(high) : "c"(0));
    if ((enabled & 0x06) != 0x06)
        return 2;
    return (leaf_7 & avx512) == avx512 && (enabled & 0xe6) == 0xe6 ? 4 : 3;
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
