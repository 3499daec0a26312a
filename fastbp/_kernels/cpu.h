/* Which of the compiled instruction sets there are, and which this processor has. */
#ifndef FASTBP_CPU_H
#define FASTBP_CPU_H
#include "kernels.h"

#if defined(__x86_64__) || defined(_M_X64)
const fbp_kernels *fbp_kernels_v2(void);
const fbp_kernels *fbp_kernels_v3(void);
const fbp_kernels *fbp_kernels_v4(void);

static const fbp_kernels *fbp_built(int k)
{
    return k == 0 ? fbp_kernels_v4() : k == 1 ? fbp_kernels_v3() : k == 2 ? fbp_kernels_v2() : NULL;
}

/* __builtin_cpu_supports asks the operating system's part (XSAVE) too. */
static int fbp_runs_here(int k)
{
    __builtin_cpu_init();
    const int v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    const int v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                   __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    const int v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512vl");
    return k == 0 ? v4 : k == 1 ? v3 : v2;
}
#else
const fbp_kernels *fbp_kernels_plain(void);

static const fbp_kernels *fbp_built(int k)
{
    return k == 0 ? fbp_kernels_plain() : NULL;
}

static int fbp_runs_here(int k)
{
    (void)k;
    return 1;
}
#endif
#endif
