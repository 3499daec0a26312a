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

/* The largest of x, which may be any where one is NaN. */
static inline REAL FN(row_max)(const REAL *x, idx n)
{
    REAL chains[CHAINS], max;
    idx j = 0;
    for (int c = 0; c < CHAINS; c++)
        chains[c] = x[0];
    for (; j + CHAINS <= n; j += CHAINS)
        for (int c = 0; c < CHAINS; c++)
            chains[c] = x[j + c] > chains[c] ? x[j + c] : chains[c];
    for (; j < n; j++)
        chains[0] = x[j] > chains[0] ? x[j] : chains[0];
    max = chains[0];
    for (int c = 1; c < CHAINS; c++)
        max = chains[c] > max ? chains[c] : max;
    return max;
}

/* y[r] = x[r] - max(x[r]); a row's NaN spreads over the row in the exponential. */
static void FN(subtract_row_max)(const REAL *x, REAL *y, idx rows, idx n_out)
{
    for (idx r = 0; r < rows; r++, x += n_out, y += n_out) {
        const REAL max = FN(row_max)(x, n_out);
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
    ELEMENTWISE y[i] = FN(exp_down)(y[i]);
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

/* The few columns of most outputs are shorter than a vector, so CHAINS rows lie side by side:
 * columns[j][r], j < n_out <= NARROW.  In place exp(x - max), and the rows' sums of it. */
#define NARROW 32
static inline void FN(exponentiate_columns)(REAL (*columns)[CHAINS], idx n_out, const REAL *max,
                                            REAL *sum)
{
    for (int r = 0; r < CHAINS; r++)
        sum[r] = 0;
    for (idx j = 0; j < n_out; j++)
        for (int r = 0; r < CHAINS; r++) {
            columns[j][r] = FN(exp_down)(columns[j][r] - max[r]);
            sum[r] += columns[j][r];
        }
}

#ifndef FBP_LOSSES_ONCE
#define FBP_LOSSES_ONCE
/* log(cosh(d)), to all digits near 0 too: cosh(d) = 1 + (1 - e)^2 / (2 e), e = exp(-|d|). */
static double fbp_log_cosh(double d)
{
    const double a = fabs(d), e = expm1(-a);
    return a < 1 ? log1p(0.5 * e * e * exp(a)) : a + log1p(exp(-2 * a)) - 0.693147180559945309;
}

/* -(1 - y)^gamma log(y), y = sigmoid(z): 1 - y = exp(-softplus(z)) and log(y) = -softplus(-z). */
static double fbp_focal(double z, double gamma)
{
    const double tail = log1p(exp(-fabs(z))), most = fmax(z, 0) + tail, loss = fmax(-z, 0) + tail;
    const double factor = gamma == 0 ? 1 : exp(-gamma * most);
    return z != z ? z : factor == 0 ? 0 : factor * loss;
}

/* A class index, read once, or -1 of none: another thread may have written to it since it was
 * checked.  Such a row's loss and gradient are NaN. */
static inline idx class_of(int64_t t, idx n_out)
{
    return (uint64_t)t < (uint64_t)n_out ? (idx)t : -1;
}
#endif

/* Up to CHAINS row-major rows: y = softmax(x); for class indices t (or NULL) returns the rows'
 * sum of log sum exp(x - max) - (x[t] - max). */
static double FN(softmax_narrow)(const REAL *x, const int64_t *t, REAL *y, idx rows, idx n_out)
{
    REAL columns[NARROW][CHAINS], max[CHAINS], sum[CHAINS];
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
        for (idx r = 0; r < rows; r++) {
            const idx at = class_of(t[r], n_out);
            loss -= at < 0 ? NAN : (double)(columns[at][r] - max[r]);
        }
    FN(exponentiate_columns)(columns, n_out, max, sum);
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
    for (idx r = 0; r < rows; r++) {
        const idx at = class_of(t[r], n_out);
        picked += at < 0 ? NAN : (double)y[r * n_out + at];
    }
    return FN(exponentiate_rows)(y, rows, n_out) - picked;
}

static void FN(softmax_cross_entropy_backward)(const REAL *y, const int64_t *t, double scale_,
                                               REAL *dx, idx rows, idx n_out)
{
    const REAL scale = (REAL)scale_;
    for (idx r = 0; r < rows; r++, y += n_out, dx += n_out) {
        const idx at = class_of(t[r], n_out);
        const REAL at_t = at < 0 ? (REAL)NAN : y[at] - 1; /* read before dx, which may be y */
        for (idx j = 0; j < n_out; j++)
            dx[j] = scale * y[j];
        dx[at < 0 ? 0 : at] = scale * at_t;
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

/* What `width` <= `most` elements add to a sum of max(x, 0) - x t + log(1 + exp(-|x|)), and y =
 * sigmoid(x); `most`, a constant, is computed. */
static inline double FN(add_sigmoid_losses)(double sum, const REAL *x, const REAL *t, REAL *y,
                                            idx width, const int most)
{
    REAL xs[4 * CHAINS] = {0}, ts[4 * CHAINS] = {0}, ys[4 * CHAINS], losses[4 * CHAINS];
    memcpy(xs, x, (size_t)width * sizeof(REAL));
    memcpy(ts, t, (size_t)width * sizeof(REAL));
    for (int c = 0; c < most; c++) {
        const REAL e = FN(exp_down)(-FN(abs_)(xs[c]));
        ys[c] = FN(sigmoid_of)(xs[c], e);
        losses[c] = (xs[c] < 0 ? 0 : xs[c]) - xs[c] * ts[c] + FN(log1p_unit)(e);
    }
    memcpy(y, ys, (size_t)width * sizeof(REAL));
    for (idx c = 0; c < width; c++)
        sum += (double)losses[c];
    return sum;
}

static double FN(sigmoid_loss)(const REAL *x, const REAL *t, REAL *y, idx n)
{
    double sum = 0;
    idx i = 0;
    for (; i + 4 * CHAINS <= n; i += 4 * CHAINS)
        sum = FN(add_sigmoid_losses)(sum, x + i, t + i, y + i, 4 * CHAINS, 4 * CHAINS);
    for (; i < n; i += CHAINS)
        sum = FN(add_sigmoid_losses)(sum, x + i, t + i, y + i, min_idx(CHAINS, n - i), CHAINS);
    return sum;
}

/* The derivative of fbp_focal: -(1 - y)^gamma (1 - y + gamma y softplus(-z)). */
static inline REAL FN(focal_pull)(REAL z, REAL gamma)
{
    const REAL y = FN(sigmoid_)(z), rest = FN(sigmoid_)(-z), loss = FN(softplus_)(-z);
    const REAL exponent = gamma == 0 ? 0 : -gamma * FN(softplus_)(z);
    return -FN(exp_)(exponent) * (rest + (y == 0 ? 0 : gamma * y * loss));
}

/* The sum of the terms, in double and CHAINS chains. */
#define DEFINE_LOSS(KIND, name, target, numbers, p_, q_, term, slope)                            \
    static inline double FN(name##_term)(REAL x_, REAL t_, double a)                             \
    {                                                                                            \
        const double x = (double)x_, t = (double)t_, d = x - t;                                  \
        (void)x, (void)t, (void)d, (void)a;                                                      \
        return term;                                                                             \
    }                                                                                            \
    static inline REAL FN(name##_slope)(REAL x, REAL t, REAL p, REAL q)                          \
    {                                                                                            \
        const REAL d = x - t;                                                                    \
        (void)d, (void)q;                                                                        \
        return slope;                                                                            \
    }                                                                                            \
    static APART double FN(name##_loss)(const REAL *x, const REAL *t, double a, idx n)           \
    {                                                                                            \
        double sum = 0, chains[CHAINS] = {0};                                                    \
        idx i = 0;                                                                               \
        for (; i + CHAINS <= n; i += CHAINS)                                                     \
            for (int c = 0; c < CHAINS; c++)                                                     \
                chains[c] += FN(name##_term)(x[i + c], t[i + c], a);                             \
        for (; i < n; i++)                                                                       \
            sum += FN(name##_term)(x[i], t[i], a);                                               \
        for (int c = 0; c < CHAINS; c++)                                                         \
            sum += chains[c];                                                                    \
        return sum;                                                                              \
    }                                                                                            \
    static APART void FN(name##_loss_gradient)(const REAL *x, const REAL *t, REAL *dx, double a, \
                                               double scale, idx n)                              \
    {                                                                                            \
        const REAL p = (REAL)(p_), q = (REAL)(q_);                                               \
        (void)a;                                                                                 \
        ELEMENTWISE dx[i] = FN(name##_slope)(x[i], t[i], p, q);                                  \
    }
#define NO_DEFINITION(KIND, ...)
FBP_LOSSES(DEFINE_LOSS, NO_DEFINITION)
#undef DEFINE_LOSS
#undef NO_DEFINITION

/* Half the Poisson deviance, sum of t log(t / y) - t + y with y = exp(x); 0 log 0 is 0. */
static double FN(poisson_loss)(const REAL *x, const REAL *t, REAL *y, idx n)
{
    double sum = 0;
    for (idx i = 0; i < n; i++) /* before y, which may be x */
        sum += (t[i] == 0 ? 0 : (double)t[i] * (log((double)t[i]) - (double)x[i])) - (double)t[i];
    ELEMENTWISE y[i] = FN(exp_)(x[i]);
    for (idx i = 0; i < n; i++)
        sum += (double)y[i];
    if (!isnan(sum))
        return sum;
    for (idx i = 0; i < n; i++)
        if (isnan(y[i]) || !(t[i] >= 0 && t[i] - t[i] == 0))
            return sum;
    return INFINITY; /* not inf - inf: no element's loss is below 0 */
}

#define FORWARD_X(KIND, name, ...)                                                               \
    case FBP_##KIND: return FN(name##_loss)(x, t, a, n);
#define FORWARD_Y(KIND, name, ...)                                                               \
    case FBP_##KIND: return FN(name##_loss)(x, t, y, n);
/* The sum of a loss of operations.h over n elements; y is written by those that keep it. */
static double FN(loss_forward)(const REAL *x, const REAL *t, REAL *y, int kind, double a, idx n)
{
    switch (kind) {
        FBP_LOSSES(FORWARD_X, FORWARD_Y)
    default: return 0;
    }
}
#undef FORWARD_X
#undef FORWARD_Y

#define BACKWARD_X(KIND, name, ...)                                                              \
    case FBP_##KIND: FN(name##_loss_gradient)(y, t, dx, a, scale, n); break;
#define BACKWARD_Y(KIND, name, ...)                                                              \
    case FBP_##KIND: FN(scaled_difference)(y, t, (REAL)scale, dx, n); break;
/* Its gradient by x, times scale; y is what forward kept, or x. */
static void FN(loss_backward)(const REAL *y, const REAL *t, REAL *dx, int kind, double a,
                              double scale, idx n)
{
    switch (kind) {
        FBP_LOSSES(BACKWARD_X, BACKWARD_Y)
    default: break;
    }
}
#undef BACKWARD_X
#undef BACKWARD_Y

#undef NARROW
#undef CHAINS

/* --- the softmax loss of a panel, for the engine ------------------------------------------- */

static inline FN(vec) FN(choose)(FN(lanes) which, FN(vec) yes, FN(vec) no)
{
    return (FN(vec))((which & (FN(lanes))yes) | (~which & (FN(lanes))no));
}

/* `rows` <= LANES rows of a panel as columns, whose other lanes become 0. */
static void FN(panel_to_columns)(const REAL *panel, idx rows, idx n_out, FN(vec) *columns)
{
    if (rows == LANES) {
        for (idx j = 0; j < n_out; j += LANES)
            FN(transpose_square)(panel + j, NR, (REAL *)(columns + j), LANES);
        return;
    }
    memset(columns, 0, (size_t)n_out * sizeof columns[0]);
    for (idx r = 0; r < rows; r++)
        for (idx j = 0; j < n_out; j++)
            columns[j][r] = panel[r * NR + j];
}

/* Back; the missing columns, up to a multiple of LANES, become 0. */
static void FN(columns_to_panel)(FN(vec) *columns, idx rows, idx n_out, REAL *panel)
{
    if (rows == LANES) {
        for (idx j = n_out; j % LANES; j++)
            columns[j] = (FN(vec)){0};
        for (idx j = 0; j < n_out; j += LANES)
            FN(transpose_square)((REAL *)(columns + j), LANES, panel + j, NR);
        return;
    }
    for (idx r = 0; r < rows; r++)
        for (idx j = 0; j < n_out; j++)
            panel[r * NR + j] = columns[j][r];
}

/* `rows` <= LANES rows x of a panel, n_out <= NR: dx = factor (softmax(x) - onehot(t)), a lane a
 * row.  Gives the sum of exp(x - max), x[t] - max, and whether t is the first of the greatest. */
static void FN(softmax_panel_block)(const REAL *x, FN(lanes) t, FN(vec) factor, REAL *dx, idx rows,
                                    idx n_out, FN(vec) *sum_, FN(vec) *at_t_, FN(lanes) *right)
{
    FN(vec) columns[NR];
    FN(panel_to_columns)(x, rows, n_out, columns);
    FN(vec) max = columns[0], sum = {0}, at_t = {0};
    FN(lanes) best = {0};
    for (idx j = 1; j < n_out; j++) {
        const FN(lanes) greater = (FN(lanes))(columns[j] > max);
        best = (best & ~greater) | ((INT)j & greater);
        max = FN(choose)(greater, columns[j], max);
    }
    for (idx j = 0; j < n_out; j++) {
        columns[j] -= max;
        at_t = FN(choose)((FN(lanes))(t == (INT)j), columns[j], at_t);
    }
    REAL *flat = (REAL *)columns;
    for (idx i = 0; i < n_out * LANES; i++)
        flat[i] = FN(exp_down)(flat[i]);
    for (idx j = 0; j < n_out; j++)
        sum += columns[j];
    const FN(vec) share = factor / sum;
    for (idx j = 0; j < n_out; j++) {
        const FN(vec) y = columns[j] * share;
        columns[j] = FN(choose)((FN(lanes))(t == (INT)j), y - factor, y);
    }
    FN(columns_to_panel)(columns, rows, n_out, dx);
    *sum_ = sum;
    *at_t_ = at_t;
    *right = (FN(lanes))(best == t);
}

/* What a block gave, row by row: the loss (weighted, each row's at most `most`). */
static double FN(softmax_rows_loss)(FN(vec) weight, FN(vec) sum, FN(vec) at_t, double most,
                                    idx rows)
{
    double loss = 0;
    for (idx r = 0; r < rows; r++) {
        const double row = log((double)sum[r]) - (double)at_t[r];
        loss += (double)weight[r] * (row > most ? most : row);
    }
    return loss;
}

/* Softmax cross-entropy of rows of a panel, n_out <= NR: its sum (weighted, where there are
 * weights) with each row's at most `most`, the (weights of) rows classified rightly, and dx = scale
 * times its gradient. */
static double FN(softmax_panel)(const REAL *x, const int64_t *classes, const REAL *weights,
                                double scale, double most, REAL *dx, idx rows, idx n_out,
                                double *correct)
{
    double loss = 0;
    FN(vec) hits = {0};
    for (idx start = 0; start < rows; start += LANES, x += LANES * NR, dx += LANES * NR) {
        const idx m = min_idx(LANES, rows - start);
        REAL weight_[LANES] = {0}, factor_[LANES] = {0};
        INT t_[LANES] = {0};
        for (idx r = 0; r < m; r++) {
            t_[r] = (INT)classes[start + r];
            weight_[r] = weights ? weights[start + r] : 1;
            factor_[r] = (REAL)(scale * (double)weight_[r]); /* of two that may overflow alone */
        }
        FN(lanes) t, right;
        FN(vec) sum, at_t;
        const FN(vec) weight = FN(load)(weight_);
        memcpy(&t, t_, sizeof t);
        FN(softmax_panel_block)(x, t, FN(load)(factor_), dx, m, n_out, &sum, &at_t, &right);
        hits += (FN(vec))((FN(lanes))weight & right);
        REAL sums[LANES], picked[LANES], least = 0;
        FN(store)(sums, sum);
        FN(store)(picked, at_t);
        for (int l = 0; l < LANES; l++)
            least = picked[l] < least ? picked[l] : least;
        if (weights || m < LANES || -(double)least > most - 4) { /* log(NR) < 4 */
            loss += FN(softmax_rows_loss)(weight, sum, at_t, most, m);
            continue;
        }
        double even = 1, odd = 1; /* the logarithm of their product: each is from 1 to NR */
        for (int l = 0; l < LANES; l += 2) {
            even *= (double)sums[l];
            odd *= (double)sums[l + 1];
        }
        loss += log(even * odd) - (double)FN(sum_lanes)(at_t);
    }
    *correct = (double)FN(sum_lanes)(hits);
    return loss;
}
