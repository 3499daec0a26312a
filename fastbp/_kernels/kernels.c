/* One body for float and double, compiled once per instruction set.
 * FBP_ISA names the set; FBP_VECTOR_BYTES and FBP_MAX_ROWS describe its registers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

#define FBP_ENTRY(ret, name, args) .name = FN(name),

#define REAL float
#define REAL_BYTES 4
#define INT int32_t
#define UINT uint32_t
#define FN(name) name##_f
#include "bodies.h"
static const fbp_kernels_f table_f = {FBP_KERNELS(FBP_ENTRY, float)};
static const fbp_engine engine_f = {FBP_ENGINE(FBP_ENTRY)};
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
static const fbp_kernels_d table_d = {FBP_KERNELS(FBP_ENTRY, double)};
static const fbp_engine engine_d = {FBP_ENGINE(FBP_ENTRY)};
#undef REAL
#undef REAL_BYTES
#undef INT
#undef UINT
#undef FN

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define STRING_(a) #a
#define STRING(a) STRING_(a)

/* A function rather than an object: its members are copied from the two tables above, which
 * C does not take for constants. */
const fbp_kernels *PASTE(fbp_kernels_, FBP_ISA)(void);
const fbp_kernels *PASTE(fbp_kernels_, FBP_ISA)(void)
{
    static fbp_kernels table;
    table.name = STRING(FBP_ISA);
    table.vector_bytes = FBP_VECTOR_BYTES;
    table.f = table_f;
    table.d = table_d;
    table.engine[0] = engine_f;
    table.engine[1] = engine_d;
#ifdef _OPENMP
    table.openmp = 1;
#endif
    return &table;
}
