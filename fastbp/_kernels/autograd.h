/* Element-wise arithmetic of small contiguous arrays: x and y advance by 1, or by 0 where they
 * are one number.  out may be x or y.  Larger arrays go to NumPy, whose loops are compiled for
 * the processor at hand. */
#ifndef FBP_AUTOGRAD_H
#define FBP_AUTOGRAD_H

#include <stddef.h>
#include <stdint.h>

#if defined(_MSC_VER)
static __declspec(thread) int fbp_grad_off = 0;
#else
static _Thread_local int fbp_grad_off = 0; /* whether this thread records no operations */
#endif

#define FBP_LOOPS(NAME, T, RESULT)                                                               \
    static void fbp_##NAME##_##T(const T *x, int sx, const T *y, int sy, T *out, ptrdiff_t n)    \
    {                                                                                            \
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

#define FBP_OPERATION(NAME, RESULT) FBP_LOOPS(NAME, float, RESULT) FBP_LOOPS(NAME, double, RESULT)
FBP_OPERATION(add, a + b)
FBP_OPERATION(subtract, a - b)
FBP_OPERATION(multiply, a * b)
FBP_OPERATION(divide, a / b)

typedef void (*fbp_loop_float)(const float *, int, const float *, int, float *, ptrdiff_t);
typedef void (*fbp_loop_double)(const double *, int, const double *, int, double *, ptrdiff_t);
static const fbp_loop_float fbp_float[] = {
    fbp_add_float, fbp_subtract_float, fbp_multiply_float, fbp_divide_float};
static const fbp_loop_double fbp_double[] = {
    fbp_add_double, fbp_subtract_double, fbp_multiply_double, fbp_divide_double};

/* x < y and so on as bytes of 0 and 1; y advances by `step`, which is 1 or 0.  The order is that of
 * Python's Py_LT, ... */
#define FBP_COMPARISON(NAME, T, SIGN)                                                              \
    static void fbp_##NAME##_##T(const T *x, const T *y, int step, char *out, ptrdiff_t n)         \
    {                                                                                              \
        if (step)                                                                                  \
            for (ptrdiff_t i = 0; i < n; i++) out[i] = x[i] SIGN y[i];                             \
        else {                                                                                     \
            const T b = *y;                                                                        \
            for (ptrdiff_t i = 0; i < n; i++) out[i] = x[i] SIGN b;                                \
        }                                                                                          \
    }
#define FBP_COMPARISONS(T)                                                                         \
    FBP_COMPARISON(lt, T, <) FBP_COMPARISON(le, T, <=) FBP_COMPARISON(eq, T, ==)                   \
    FBP_COMPARISON(ne, T, !=) FBP_COMPARISON(gt, T, >) FBP_COMPARISON(ge, T, >=)                   \
    typedef void (*fbp_compare_of_##T)(const T *, const T *, int, char *, ptrdiff_t);              \
    static const fbp_compare_of_##T fbp_compare_##T[] = {fbp_lt_##T, fbp_le_##T, fbp_eq_##T,       \
                                                         fbp_ne_##T, fbp_gt_##T, fbp_ge_##T};
FBP_COMPARISONS(float)
FBP_COMPARISONS(double)
FBP_COMPARISONS(int64_t)

#endif
