/* Element-wise activations and their derivatives, over n elements.  Each backward needs only
 * the forward's output.  Written plainly: the compiler makes the vectors (the loops run at
 * the speed of memory once the arrays leave the L2 cache, so there is nothing to add).
 * ivdep: an output may be the very array it is computed from, never a shifted one. */

#define ELEMENTWISE _Pragma("GCC ivdep") for (idx i = 0; i < n; i++)

/* The same for loops of little arithmetic: the first elements alone, up to where `to` lies on a
 * vector's border.  Beyond the L2 cache, stores over the border of two lines cost up to a
 * quarter of the speed, and NumPy's arrays begin 16 bytes behind one. */
#define ELEMENTWISE_ALIGNED(to, statement)                                                       \
    idx i = 0;                                                                                   \
    for (; i < n && (uintptr_t)(to + i) % FBP_VECTOR_BYTES; i++)                                 \
        statement;                                                                               \
    _Pragma("GCC ivdep") for (; i < n; i++) statement

/* v, or 0 where not keep, by the bits: of a choice the compiler makes a masked load, which waits
 * for its mask (30 % slower beyond the L2 cache). */
static inline REAL FN(keep)(REAL v, int keep)
{
    const INT bits = FN(bits)(v) & -(INT)keep;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The comparison keeps NaN: NaN <= 0 is false. */
static void FN(relu_forward)(const REAL *x, REAL *out, idx n)
{
    ELEMENTWISE out[i] = x[i] <= 0 ? 0 : x[i];
}

static void FN(relu_backward)(const REAL *dout, const REAL *out, REAL *dx, idx n)
{
    ELEMENTWISE_ALIGNED(dx, dx[i] = FN(keep)(dout[i], !(out[i] <= 0)));
}

static void FN(sigmoid_forward)(const REAL *x, REAL *out, idx n)
{
    ELEMENTWISE out[i] = FN(sigmoid_)(x[i]);
}

static void FN(sigmoid_backward)(const REAL *dout, const REAL *out, REAL *dx, idx n)
{
    ELEMENTWISE_ALIGNED(dx, dx[i] = dout[i] * (1 - out[i]) * out[i]);
}

static void FN(tanh_forward)(const REAL *x, REAL *out, idx n)
{
    ELEMENTWISE out[i] = FN(tanh_)(x[i]);
}

static void FN(tanh_backward)(const REAL *dout, const REAL *out, REAL *dx, idx n)
{
    ELEMENTWISE_ALIGNED(dx, dx[i] = dout[i] * (1 - out[i] * out[i]));
}

/* slope x below 0; the output's sign is the input's, for slope >= 0. */
static void FN(leaky_relu_forward)(const REAL *x, REAL *out, double slope_, idx n)
{
    const REAL slope = (REAL)slope_;
    ELEMENTWISE out[i] = x[i] > 0 ? x[i] : slope * x[i];
}

static void FN(leaky_relu_backward)(const REAL *dout, const REAL *x, REAL *dx, double slope_, idx n)
{
    const REAL slope = (REAL)slope_;
    ELEMENTWISE dx[i] = x[i] > 0 ? dout[i] : slope * dout[i];
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)); its derivative is sigmoid(x). */
static void FN(softplus_forward)(const REAL *x, REAL *out, idx n)
{
    ELEMENTWISE out[i] = (x[i] <= 0 ? 0 : x[i]) + FN(log1p_unit)(FN(exp_down)(-FN(abs_)(x[i])));
}

static void FN(softplus_backward)(const REAL *dout, const REAL *x, REAL *dx, idx n)
{
    ELEMENTWISE dx[i] = dout[i] * FN(sigmoid_)(x[i]);
}

static void FN(gelu_forward)(const REAL *x, REAL *out, idx n)
{
    ELEMENTWISE out[i] = FN(gelu_)(x[i]);
}

static void FN(gelu_backward)(const REAL *dout, const REAL *x, REAL *dx, idx n)
{
    ELEMENTWISE dx[i] = dout[i] * FN(gelu_slope)(x[i]);
}

/* scale x above 0, scale alpha (exp(x) - 1) below. */
static void FN(elu_forward)(const REAL *x, REAL *out, double alpha, double scale_, idx n)
{
    const REAL scale = (REAL)scale_, below = (REAL)(scale_ * alpha);
    ELEMENTWISE out[i] = x[i] > 0 ? scale * x[i] : below * FN(expm1_down)(x[i] > 0 ? 0 : x[i]);
}

static void FN(elu_backward)(const REAL *dout, const REAL *x, REAL *dx, double alpha, double scale_,
                             idx n)
{
    const REAL scale = (REAL)scale_, below = (REAL)(scale_ * alpha);
    ELEMENTWISE dx[i] =
        dout[i] * (x[i] > 0 ? scale : below * FN(exp_down)(x[i] > 0 ? 0 : x[i]));
}

static void FN(silu_forward)(const REAL *x, REAL *out, idx n)
{
    ELEMENTWISE out[i] = x[i] * FN(sigmoid_)(x[i]);
}

static void FN(silu_backward)(const REAL *dout, const REAL *x, REAL *dx, idx n)
{
    ELEMENTWISE dx[i] = dout[i] * FN(silu_slope)(x[i]);
}

static void FN(mish_forward)(const REAL *x, REAL *out, idx n)
{
    ELEMENTWISE out[i] = FN(mish_)(x[i]);
}

static void FN(mish_backward)(const REAL *dout, const REAL *x, REAL *dx, idx n)
{
    ELEMENTWISE dx[i] = dout[i] * FN(mish_slope)(x[i]);
}
