/* Element-wise arithmetic of small contiguous arrays: x and y advance by 1, or by 0 where they
 * are one number.  out may be x or y.  Larger arrays go to NumPy, whose loops are compiled for
 * the processor at hand. */
#ifndef FBP_AUTOGRAD_H
#define FBP_AUTOGRAD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_MSC_VER)
static __declspec(thread) int fbp_grad_off = 0;
#else
static _Thread_local int fbp_grad_off = 0; /* whether this thread records no operations */
#endif

/* Of pointers of no type; the tables' rows are float, double and, for comparisons, int64_t. */
typedef void (*fbp_loop)(const void *, int, const void *, int, void *, ptrdiff_t);
typedef void (*fbp_comparison)(const void *, const void *, int, char *, ptrdiff_t);

#define FBP_LOOP(NAME, T, RESULT)                                                                \
    static void fbp_##NAME##_##T(                                                                \
        const void *x_, int sx, const void *y_, int sy, void *out_, ptrdiff_t n)                 \
    {                                                                                            \
        const T *x = x_, *y = y_;                                                                \
        T *out = out_;                                                                           \
        if (sx && sy)                                                                            \
            for (ptrdiff_t i = 0; i < n; i++) { const T a = x[i], b = y[i]; out[i] = RESULT; }   \
        else if (sx) {                                                                           \
            const T b = *y;                                                                      \
            for (ptrdiff_t i = 0; i < n; i++) { const T a = x[i]; out[i] = RESULT; }             \
        }                                                                                        \
        else {                                                                                   \
            const T a = *x;                                                                      \
            for (ptrdiff_t i = 0; i < n; i++) { const T b = y[i]; out[i] = RESULT; }             \
        }                                                                                        \
    }
#define FBP_LOOPS(T)                                                                             \
    FBP_LOOP(add, T, a + b) FBP_LOOP(subtract, T, a - b)                                         \
    FBP_LOOP(multiply, T, a * b) FBP_LOOP(divide, T, a / b)
FBP_LOOPS(float)
FBP_LOOPS(double)
#define FBP_LOOPS_OF(T) {fbp_add_##T, fbp_subtract_##T, fbp_multiply_##T, fbp_divide_##T}
static const fbp_loop fbp_loops[][4] = {FBP_LOOPS_OF(float), FBP_LOOPS_OF(double)};

/* x < y and so on as bytes of 0 and 1; y advances by `step`, which is 1 or 0.  The order is that of
 * Python's Py_LT, ... */
#define FBP_COMPARISON(NAME, T, SIGN)                                                              \
    static void fbp_##NAME##_##T(                                                                  \
        const void *x_, const void *y_, int step, char *out, ptrdiff_t n)                          \
    {                                                                                              \
        const T *x = x_, *y = y_;                                                                  \
        if (step)                                                                                  \
            for (ptrdiff_t i = 0; i < n; i++) out[i] = x[i] SIGN y[i];                             \
        else {                                                                                     \
            const T b = *y;                                                                        \
            for (ptrdiff_t i = 0; i < n; i++) out[i] = x[i] SIGN b;                                \
        }                                                                                          \
    }
#define FBP_COMPARISONS(T)                                                                         \
    FBP_COMPARISON(lt, T, <) FBP_COMPARISON(le, T, <=) FBP_COMPARISON(eq, T, ==)                   \
    FBP_COMPARISON(ne, T, !=) FBP_COMPARISON(gt, T, >) FBP_COMPARISON(ge, T, >=)
FBP_COMPARISONS(float)
FBP_COMPARISONS(double)
FBP_COMPARISONS(int64_t)
#define FBP_COMPARISONS_OF(T)                                                                      \
    {fbp_lt_##T, fbp_le_##T, fbp_eq_##T, fbp_ne_##T, fbp_gt_##T, fbp_ge_##T}
static const fbp_comparison fbp_comparisons[][6] = {
    FBP_COMPARISONS_OF(float), FBP_COMPARISONS_OF(double), FBP_COMPARISONS_OF(int64_t)};

/* What the quick forms compute, for float and double. */
#define REAL float
#define FN(name) name##_float
#include "tensors/loops.h"
#undef REAL
#undef FN
#define REAL double
#define FN(name) name##_double
#include "tensors/loops.h"
#undef REAL
#undef FN
#define FBP_OF(name, typenum, ...) \
    ((typenum) == NPY_FLOAT ? name##_float(__VA_ARGS__) : name##_double(__VA_ARGS__))
#define fbp_clamp(...) FBP_OF(fbp_clamp, __VA_ARGS__)
#define fbp_sum(...) FBP_OF(fbp_sum, __VA_ARGS__)
#define fbp_extreme(...) FBP_OF(fbp_extreme, __VA_ARGS__)
#define fbp_logs(...) FBP_OF(fbp_logs, __VA_ARGS__)
#define fbp_bce(...) FBP_OF(fbp_bce, __VA_ARGS__)
#define fbp_bce_slopes(...) FBP_OF(fbp_bce_slopes, __VA_ARGS__)

#endif
