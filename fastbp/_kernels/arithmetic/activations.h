/* The loops of the activations, over n elements: those of operations.h, and one function that
 * chooses among them for a whole array.
 * ivdep: an output may be the very array it is computed from, never a shifted one. */

#define ELEMENTWISE _Pragma("GCC ivdep") for (idx i = 0; i < n; i++)

/* The same, the first elements alone, up to where `to` lies on a vector's border.  Beyond the L2
 * cache, stores over the border of two lines cost loops of little arithmetic up to a quarter of the
 * speed, and NumPy's arrays begin 16 bytes behind one. */
#define ELEMENTWISE_ALIGNED(to, statement)                                                       \
    idx i = 0;                                                                                   \
    for (; i < n && (uintptr_t)(to + i) % FBP_VECTOR_BYTES; i++)                                 \
        statement;                                                                               \
    _Pragma("GCC ivdep") for (; i < n; i++) statement

/* d, or 0 where not yes, by the bits: of a choice the compiler makes a masked load, which waits for
 * its mask (30 % slower beyond the L2 cache). */
static inline REAL FN(keep)(REAL d, int yes)
{
    const INT bits = FN(bits)(d) & -(INT)yes;
    memcpy(&d, &bits, sizeof d);
    return d;
}

#define DEFINE_ACTIVATION(KIND, name, numbers, reads, value, gradient, ...)                      \
    static inline REAL FN(name##_value)(REAL x, REAL a, REAL b)                                  \
    {                                                                                            \
        (void)a, (void)b;                                                                        \
        return value;                                                                            \
    }                                                                                            \
    static inline REAL FN(name##_gradient)(REAL d, REAL v, REAL a, REAL b)                       \
    {                                                                                            \
        (void)v, (void)a, (void)b;                                                               \
        return gradient;                                                                         \
    }                                                                                            \
    static APART void FN(name##_forward)(const REAL *x, REAL *out, double a_, double b_, idx n)  \
    {                                                                                            \
        const REAL a = (REAL)a_, b = (REAL)b_;                                                   \
        ELEMENTWISE out[i] = FN(name##_value)(x[i], a, b);                                       \
    }                                                                                            \
    static APART void FN(name##_both)(const REAL *x, REAL *out, REAL *slope, double a_,          \
                                      double b_, idx n)                                          \
    {                                                                                            \
        const REAL a = (REAL)a_, b = (REAL)b_;                                                   \
        if (reads == FBP_SLOPE)                                                                  \
            ELEMENTWISE                                                                          \
            {                                                                                    \
                const REAL v = x[i];                                                             \
                out[i] = FN(name##_value)(v, a, b);                                              \
                slope[i] = FN(name##_gradient)(1, v, a, b);                                      \
            }                                                                                    \
    }                                                                                            \
    static APART void FN(name##_backward)(const REAL *dout, const REAL *read, REAL *dx,          \
                                          double a_, double b_, idx n)                           \
    {                                                                                            \
        const REAL a = (REAL)a_, b = (REAL)b_;                                                   \
        if (reads == FBP_OUTPUT) { /* there is little left to compute */                         \
            ELEMENTWISE_ALIGNED(dx, dx[i] = FN(name##_gradient)(dout[i], read[i], a, b));        \
        } else {                                                                                 \
            ELEMENTWISE dx[i] = FN(name##_gradient)(dout[i], read[i], a, b);                     \
        }                                                                                        \
    }
FBP_ACTIVATIONS(DEFINE_ACTIVATION)
#undef DEFINE_ACTIVATION

#define FORWARD(KIND, name, ...)                                                                 \
    case FBP_##KIND: FN(name##_forward)(x, out, a, b, n); break;
static void FN(activation_forward)(const REAL *x, REAL *out, int kind, double a, double b, idx n)
{
    switch (kind) {
        FBP_ACTIVATIONS(FORWARD)
    default: break;
    }
}
#undef FORWARD

/* ... and d out / d x into `slope`, for the rows that are FBP_SLOPE. */
#define BOTH(KIND, name, ...)                                                                    \
    case FBP_##KIND: FN(name##_both)(x, out, slope, a, b, n); break;
static void FN(activation_both)(const REAL *x, REAL *out, REAL *slope, int kind, double a, double b,
                                idx n)
{
    switch (kind) {
        FBP_ACTIVATIONS(BOTH)
    default: break;
    }
}
#undef BOTH

#define BACKWARD(KIND, name, ...)                                                                \
    case FBP_##KIND: FN(name##_backward)(dout, read, dx, a, b, n); break;
static void FN(activation_backward)(const REAL *dout, const REAL *read, REAL *dx, int kind,
                                    double a, double b, idx n)
{
    switch (kind) {
        FBP_ACTIVATIONS(BACKWARD)
    default: break;
    }
}
#undef BACKWARD
