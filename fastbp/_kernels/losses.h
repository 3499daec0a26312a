/* Losses with the activation they belong to.  forward returns the sum over the samples, not
 * yet averaged; backward multiplies by scale, in which each front end puts its own averaging.
 * The losses are exact (log-sum-exp), not log(y + 1e-7). */

/* Partial sums, so that a reduction has LANES independent chains. */
#define CHAINS 16
static inline double FN(sum_chains)(const REAL *chains)
{
    double sum = 0;
    for (int c = 0; c < CHAINS; c++)
        sum += (double)chains[c];
    return sum;
}

/* y[r] = x[r] - max(x[r]); a row's NaN spreads over the row in the exponential. */
static void FN(subtract_row_max)(const REAL *x, REAL *y, idx rows, idx n_out)
{
    for (idx r = 0; r < rows; r++, x += n_out, y += n_out) {
        REAL max = x[0];
        for (idx j = 1; j < n_out; j++)
            max = x[j] > max ? x[j] : max;
        for (idx j = 0; j < n_out; j++)
            y[j] = x[j] - max;
    }
}

static inline REAL FN(row_sum)(const REAL *y, idx n)
{
    REAL chains[CHAINS] = {0};
    idx j = 0;
    for (; j + CHAINS <= n; j += CHAINS)
        for (int c = 0; c < CHAINS; c++)
            chains[c] += y[j + c];
    for (; j < n; j++)
        chains[0] += y[j];
    return (REAL)FN(sum_chains)(chains);
}

/* y[rows, n_out] holds x - max: the exponential of all of it at once (a row alone may be
 * narrower than a vector), then each row over its sum.  Returns the sum of log(row sums), as
 * the logarithm of products of eight: each is between 1 and n_out, so nothing overflows. */
static double FN(exponentiate_rows)(REAL *y, idx rows, idx n_out)
{
    const idx n = rows * n_out;
    double log_sums = 0, product = 1;
    ELEMENTWISE y[i] = FN(exp_)(y[i]);
    for (idx r = 0; r < rows; r++, y += n_out) {
        const REAL sum = FN(row_sum)(y, n_out), inverse = 1 / sum;
        product *= (double)sum;
        if (r % 8 == 7 || r == rows - 1) {
            log_sums += log(product);
            product = 1;
        }
        for (idx j = 0; j < n_out; j++)
            y[j] *= inverse;
    }
    return log_sums;
}

/* Up to CHAINS rows of at most NARROW columns, each row a lane: for the few columns of most
 * outputs a row is shorter than a vector, and rows side by side fill it.  Writes y = softmax(x);
 * for class indices t (or NULL) returns the rows' sum of log sum exp(x - max) - (x[t] - max). */
#define NARROW 32
static double FN(softmax_narrow)(const REAL *x, const int64_t *t, REAL *y, idx rows, idx n_out)
{
    REAL columns[NARROW][CHAINS], max[CHAINS], sum[CHAINS] = {0};
    double loss = 0, product = 1;
    for (idx r = 0; r < CHAINS; r++) { /* lanes without a row repeat the last one */
        const REAL *row = x + (r < rows ? r : rows - 1) * n_out;
        max[r] = row[0];
        for (idx j = 0; j < n_out; j++)
            columns[j][r] = row[j];
    }
    for (idx j = 1; j < n_out; j++)
        for (int r = 0; r < CHAINS; r++)
            max[r] = columns[j][r] > max[r] ? columns[j][r] : max[r];
    if (t)
        for (idx r = 0; r < rows; r++)
            loss -= (double)(columns[t[r]][r] - max[r]);
    for (idx j = 0; j < n_out; j++)
        for (int r = 0; r < CHAINS; r++) {
            columns[j][r] = FN(exp_)(columns[j][r] - max[r]);
            sum[r] += columns[j][r];
        }
    for (idx r = 0; r < rows; r++) { /* logarithms of products: each sum is from 1 to NARROW */
        product *= (double)sum[r];
        sum[r] = 1 / sum[r];
    }
    for (idx r = 0; r < rows; r++)
        for (idx j = 0; j < n_out; j++)
            y[r * n_out + j] = columns[j][r] * sum[r];
    return t ? loss + log(product) : 0;
}

/* softmax_narrow over all rows. */
static double FN(softmax_narrow_rows)(const REAL *x, const int64_t *t, REAL *y, idx rows,
                                      idx n_out)
{
    double loss = 0;
    for (idx r = 0; r < rows; r += CHAINS)
        loss += FN(softmax_narrow)(x + r * n_out, t ? t + r : NULL, y + r * n_out,
                                   min_idx(CHAINS, rows - r), n_out);
    return loss;
}

static void FN(softmax_forward)(const REAL *x, REAL *y, idx rows, idx n_out)
{
    if (n_out <= NARROW) {
        FN(softmax_narrow_rows)(x, NULL, y, rows, n_out);
        return;
    }
    FN(subtract_row_max)(x, y, rows, n_out);
    FN(exponentiate_rows)(y, rows, n_out);
}

/* -sum_r log softmax(x[r])[t[r]] = sum_r (log sum_j exp(y[r, j]) - y[r, t[r]]), y = x - max. */
static double FN(softmax_cross_entropy_forward)(const REAL *x, const int64_t *t, REAL *y,
                                                idx rows, idx n_out)
{
    double picked = 0;
    if (n_out <= NARROW)
        return FN(softmax_narrow_rows)(x, t, y, rows, n_out);
    FN(subtract_row_max)(x, y, rows, n_out);
    for (idx r = 0; r < rows; r++)
        picked += (double)y[r * n_out + t[r]];
    return FN(exponentiate_rows)(y, rows, n_out) - picked;
}

static void FN(softmax_cross_entropy_backward)(const REAL *y, const int64_t *t, double scale_,
                                               REAL *dx, idx rows, idx n_out)
{
    const REAL scale = (REAL)scale_;
    for (idx r = 0; r < rows; r++, y += n_out, dx += n_out) {
        const REAL at_t = y[t[r]] - 1; /* read before dx, which may be y */
        for (idx j = 0; j < n_out; j++)
            dx[j] = scale * y[j];
        dx[t[r]] = scale * at_t;
    }
}

/* Rows of probabilities that sum to 1: sum_r (log sum exp(y[r]) - t[r] . y[r]); a target of 0
 * adds 0 even where y is -inf. */
static double FN(soft_cross_entropy_forward)(const REAL *x, const REAL *t, REAL *y, idx rows,
                                             idx n_out)
{
    double expected = 0;
    FN(subtract_row_max)(x, y, rows, n_out);
    for (idx i = 0; i < rows * n_out; i++)
        expected += t[i] == 0 ? 0 : (double)t[i] * (double)y[i];
    return FN(exponentiate_rows)(y, rows, n_out) - expected;
}

static void FN(scaled_difference)(const REAL *y, const REAL *t, REAL scale, REAL *dx, idx n)
{
    ELEMENTWISE dx[i] = scale * (y[i] - t[i]);
}

static void FN(soft_cross_entropy_backward)(const REAL *y, const REAL *t, double scale, REAL *dx,
                                            idx rows, idx n_out)
{
    FN(scaled_difference)(y, t, (REAL)scale, dx, rows * n_out);
}

/* sum of max(x, 0) - x t + log(1 + exp(-|x|)), and y = sigmoid(x). */
static double FN(sigmoid_cross_entropy_forward)(const REAL *x, const REAL *t, REAL *y, idx n)
{
    double sum = 0;
    for (idx start = 0; start < n; start += CHAINS) {
        const idx width = n - start < CHAINS ? n - start : CHAINS;
        REAL xs[CHAINS] = {0}, ts[CHAINS] = {0}, ys[CHAINS], losses[CHAINS] = {0};
        memcpy(xs, x + start, (size_t)width * sizeof(REAL));
        memcpy(ts, t + start, (size_t)width * sizeof(REAL));
        for (int c = 0; c < CHAINS; c++) {
            const REAL e = FN(exp_)(-FN(abs_)(xs[c])), s = 1 / (1 + e);
            ys[c] = xs[c] < 0 ? e * s : s;
            losses[c] = (xs[c] < 0 ? 0 : xs[c]) - xs[c] * ts[c] + FN(log1p_unit)(e);
        }
        memcpy(y + start, ys, (size_t)width * sizeof(REAL));
        for (idx c = 0; c < width; c++)
            sum += (double)losses[c];
    }
    return sum;
}

static void FN(sigmoid_cross_entropy_backward)(const REAL *y, const REAL *t, double scale,
                                               REAL *dx, idx n)
{
    FN(scaled_difference)(y, t, (REAL)scale, dx, n);
}

/* The sum of term, an expression of d = y[i] - t[i], in double and CHAINS chains. */
#define SUM_OF_DIFFERENCES(term)                                                                 \
    double sum = 0, chains[CHAINS] = {0};                                                        \
    idx i = 0;                                                                                   \
    for (; i + CHAINS <= n; i += CHAINS)                                                         \
        for (int c = 0; c < CHAINS; c++) {                                                       \
            const double d = (double)y[i + c] - (double)t[i + c];                                \
            chains[c] += (term);                                                                 \
        }                                                                                        \
    for (; i < n; i++) {                                                                         \
        const double d = (double)y[i] - (double)t[i];                                            \
        sum += (term);                                                                           \
    }                                                                                            \
    for (int c = 0; c < CHAINS; c++)                                                             \
        sum += chains[c];                                                                        \
    return sum;

/* sum of (y - t)^2; its derivative is 2 (y - t). */
static double FN(squared_error_forward)(const REAL *y, const REAL *t, idx n)
{
    SUM_OF_DIFFERENCES(d * d)
}

static void FN(squared_error_backward)(const REAL *y, const REAL *t, double scale, REAL *dx,
                                       idx n)
{
    FN(scaled_difference)(y, t, (REAL)(2 * scale), dx, n);
}

/* sum of |y - t|; its derivative is the sign of y - t. */
static double FN(absolute_error_forward)(const REAL *y, const REAL *t, idx n)
{
    SUM_OF_DIFFERENCES(fabs(d))
}

static void FN(absolute_error_backward)(const REAL *y, const REAL *t, double scale_, REAL *dx,
                                        idx n)
{
    const REAL scale = (REAL)scale_;
    ELEMENTWISE
    {
        const REAL d = y[i] - t[i];
        dx[i] = d > 0 ? scale : d < 0 ? -scale : scale * d; /* 0, and NaN stays NaN */
    }
}

/* sum of d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2), d = y - t. */
static double FN(huber_forward)(const REAL *y, const REAL *t, double delta, idx n)
{
    SUM_OF_DIFFERENCES(fabs(d) <= delta ? 0.5 * d * d : delta * (fabs(d) - 0.5 * delta))
}

/* its derivative: d, kept between -delta and delta. */
static void FN(huber_backward)(const REAL *y, const REAL *t, double delta_, double scale_, REAL *dx,
                               idx n)
{
    const REAL delta = (REAL)delta_, scale = (REAL)scale_;
    ELEMENTWISE
    {
        REAL d = y[i] - t[i];
        d = d > delta ? delta : d;
        d = d < -delta ? -delta : d;
        dx[i] = scale * d;
    }
}

/* sum of the pinball loss max(quantile (t - y), (1 - quantile) (y - t)). */
static double FN(quantile_forward)(const REAL *y, const REAL *t, double quantile, idx n)
{
    SUM_OF_DIFFERENCES(d > 0 ? (1 - quantile) * d : -quantile * d)
}

/* its derivative: 1 - quantile above t, -quantile below. */
static void FN(quantile_backward)(const REAL *y, const REAL *t, double quantile, double scale_,
                                  REAL *dx, idx n)
{
    const REAL scale = (REAL)scale_;
    const REAL above = (REAL)(scale_ * (1 - quantile)), below = (REAL)(-scale_ * quantile);
    ELEMENTWISE
    {
        const REAL d = y[i] - t[i];
        dx[i] = d > 0 ? above : d < 0 ? below : scale * d; /* 0, and NaN stays NaN */
    }
}

/* Half the Poisson deviance, sum of t log(t / y) - t + y with y = exp(x); 0 log 0 is 0. */
static double FN(poisson_forward)(const REAL *x, const REAL *t, REAL *y, idx n)
{
    double sum = 0;
    for (idx i = 0; i < n; i++) /* before y, which may be x */
        sum += (t[i] == 0 ? 0 : (double)t[i] * (log((double)t[i]) - (double)x[i])) - (double)t[i];
    ELEMENTWISE y[i] = FN(exp_)(x[i]);
    for (idx i = 0; i < n; i++)
        sum += (double)y[i];
    return sum;
}

static void FN(poisson_backward)(const REAL *y, const REAL *t, double scale, REAL *dx, idx n)
{
    FN(scaled_difference)(y, t, (REAL)scale, dx, n);
}
#undef SUM_OF_DIFFERENCES
#undef NARROW
#undef CHAINS
