/* Loops over small contiguous arrays of REAL, called FN(name), for tensors/quick.pxi.
 *
 * An array is (outer, n, inner) around the dimension that a loop goes over. */

/* A NaN goes through. */
static void FN(fbp_clamp)(const REAL *x, double low_, double high_, REAL *out, ptrdiff_t n)
{
    const REAL low = (REAL)low_, high = (REAL)high_;
    for (ptrdiff_t i = 0; i < n; i++) {
        const REAL v = x[i] < low ? low : x[i];
        out[i] = v > high ? high : v;
    }
}

/* Sums of rows in double precision; of columns row after row. */
static void FN(fbp_sum)(
    const REAL *x, REAL *out, ptrdiff_t outer, ptrdiff_t n, ptrdiff_t inner)
{
    for (; outer > 0; outer--, x += n * inner, out += inner) {
        if (inner == 1) {
            double total = 0;
            for (ptrdiff_t k = 0; k < n; k++) total += x[k];
            out[0] = (REAL)total;
            continue;
        }
        for (ptrdiff_t i = 0; i < inner; i++) out[i] = x[i];
        for (ptrdiff_t k = 1; k < n; k++)
            for (ptrdiff_t i = 0; i < inner; i++) out[i] += x[k * inner + i];
    }
}

/* Where the first largest or smallest is, NaN before all, and in `found`, if not NULL, which. */
static void FN(fbp_extreme)(const REAL *x, int smallest, int64_t *places, REAL *found,
                            ptrdiff_t outer, ptrdiff_t n, ptrdiff_t inner)
{
    for (ptrdiff_t o = 0; o < outer; o++, x += n * inner)
        for (ptrdiff_t i = 0; i < inner; i++) {
            ptrdiff_t best = 0;
            REAL top = x[i];
            for (ptrdiff_t k = top == top ? 1 : n; k < n; k++) {
                const REAL value = x[k * inner + i];
                if (smallest ? value >= top : value <= top) continue; /* not so of a NaN */
                best = k;
                top = value;
                if (top != top) break;
            }
            places[o * inner + i] = best;
            if (found) found[o * inner + i] = top;
        }
}

/* y = softmax(x) by log_softmax(x): at a row's maximum softmax is 1 / sum(exp(x - maximum)). */
static void FN(fbp_logs)(const REAL *x, REAL *y, ptrdiff_t rows, ptrdiff_t n)
{
    for (; rows > 0; rows--, x += n, y += n) {
        int64_t best;
        REAL top;
        FN(fbp_extreme)(x, 0, &best, &top, 1, n, 1);
        const double rest = log(y[best]);
        for (ptrdiff_t i = 0; i < n; i++) y[i] = (REAL)((x[i] - top) + rest);
    }
}

/* PyTorch lets no logarithm go below -100. */
static double FN(limited)(double logarithm) { return logarithm < -100 ? -100 : logarithm; }

/* The sum of -t log x - (1 - t) log(1 - x); NaN where one is not within [0, 1]. */
static double FN(fbp_bce)(const REAL *x, const REAL *t, ptrdiff_t n)
{
    double total = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        if (!(0 <= x[i] && x[i] <= 1 && 0 <= t[i] && t[i] <= 1)) return NAN;
        if (t[i] == 0)
            total -= FN(limited)(log1p(-x[i]));
        else if (t[i] == 1)
            total -= FN(limited)(log(x[i]));
        else
            total -= t[i] * FN(limited)(log(x[i])) + (1 - t[i]) * FN(limited)(log1p(-x[i]));
    }
    return total;
}

/* Its gradients times `scale`, by x and by t, of which either may be NULL. */
static void FN(fbp_bce_slopes)(
    const REAL *x, const REAL *t, double scale, REAL *dx, REAL *dt, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        const double v = x[i], steep = v * (1 - v);
        if (dx) dx[i] = (REAL)(scale * ((v - t[i]) / (steep < 1e-12 ? 1e-12 : steep)));
        if (dt) dt[i] = (REAL)(scale * (FN(limited)(log1p(-v)) - FN(limited)(log(v))));
    }
}
