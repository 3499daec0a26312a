/* Element-wise activations and their derivatives, over n elements.  Each backward needs only
 * the forward's output.  Written plainly: the compiler makes the vectors (the loops run at
 * the speed of memory once the arrays leave the L2 cache, so there is nothing to add).
 * ivdep: an output may be the very array it is computed from, never a shifted one. */

#define ELEMENTWISE _Pragma("GCC ivdep") for (idx i = 0; i < n; i++)

/* The comparison keeps NaN: NaN <= 0 is false. */
static void FN(relu_forward)(const REAL *x, REAL *out, idx n)
{
    ELEMENTWISE out[i] = x[i] <= 0 ? 0 : x[i];
}

static void FN(relu_backward)(const REAL *dout, const REAL *out, REAL *dx, idx n)
{
    ELEMENTWISE dx[i] = out[i] <= 0 ? 0 : dout[i];
}

static void FN(sigmoid_forward)(const REAL *x, REAL *out, idx n)
{
    ELEMENTWISE out[i] = FN(sigmoid_)(x[i]);
}

static void FN(sigmoid_backward)(const REAL *dout, const REAL *out, REAL *dx, idx n)
{
    ELEMENTWISE dx[i] = dout[i] * (1 - out[i]) * out[i];
}

static void FN(tanh_forward)(const REAL *x, REAL *out, idx n)
{
    ELEMENTWISE out[i] = FN(tanh_)(x[i]);
}

static void FN(tanh_backward)(const REAL *dout, const REAL *out, REAL *dx, idx n)
{
    ELEMENTWISE dx[i] = dout[i] * (1 - out[i] * out[i]);
}
