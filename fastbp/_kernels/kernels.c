/* One body for float and double, compiled once per instruction set.
 * FBP_ISA names the set; FBP_VECTOR_BYTES and FBP_MAX_ROWS describe its registers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "threads.h"

#define REAL float
#define REAL_BYTES 4
#define INT int32_t
#define UINT uint32_t
#define FN(name) name##_f
#include "bodies.h"
#undef REAL
#undef REAL_BYTES
#undef INT
#undef UINT
#undef FN

#define REAL double
#define REAL_BYTES 8
#define INT int64_t
#define UINT uint64_t
#define FN(name) name##_d
#include "bodies.h"
#undef REAL
#undef REAL_BYTES
#undef INT
#undef UINT
#undef FN

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define STRING_(a) #a
#define STRING(a) STRING_(a)

#define ENTRY_F(ret, name, args) .name = name##_f,
#define ENTRY_D(ret, name, args) .name = name##_d,

/* An object and not a function that gives it: the tables of all sets are looked at before the
 * processor is asked, and code compiled for this set may not run on it. */
extern const fbp_kernels PASTE(fbp_kernels_, FBP_ISA);
const fbp_kernels PASTE(fbp_kernels_, FBP_ISA) = {
    .name = STRING(FBP_ISA),
    .vector_bytes = FBP_VECTOR_BYTES,
#ifdef _OPENMP
    .openmp = 1,
#endif
    .f = {FBP_KERNELS(ENTRY_F, float)},
    .d = {FBP_KERNELS(ENTRY_D, double)},
    .engine = {{FBP_ENGINE(ENTRY_F)}, {FBP_ENGINE(ENTRY_D)}},
};
