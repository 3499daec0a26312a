/* The table's kernels, for one element type. */

#define TABLE (&kernels->COLUMN)
#define CALL(name) (seen[IS_DOUBLE].name = 1, called = #name, TABLE->name)
/* tests/conftest.py has the same: shares of the result, and of the sum of the terms' sizes. */
#define TOL (IS_DOUBLE ? 5e-15 : 1e-6)
#define LOSS_TOL (IS_DOUBLE ? 1e-14 : 1e-6)
#define TINY (IS_DOUBLE ? DBL_MIN : (double)FLT_MIN)
/* Every element of out against an expression of i. */
#define EXPECT(out, n, want)                                                                     \
    for (idx i = 0; i < (n); i++)                                                                \
        near(i, (double)(out)[i], (want), TOL *fabs(want) + TINY)
#define EXPECT_WITHIN(out, n, want, scale)                                                       \
    for (idx i = 0; i < (n); i++)                                                                \
        near(i, (double)(out)[i], (want), TOL *(scale) + TINY)

static REAL *FN(between)(double low, double high, idx n)
{
    REAL *x = memory((size_t)n * sizeof *x, sizeof *x);
    for (idx i = 0; i < n; i++)
        x[i] = (REAL)uniform(low, high);
    return x;
}

static REAL *FN(numbers)(idx n)
{
    return FN(between)(-3, 3, n);
}

/* Room for an output: NaN, so that an element that is not written is seen. */
static REAL *FN(room)(idx n)
{
    return FN(between)(NAN, NAN, n);
}

static REAL *FN(copy)(const REAL *x, idx n)
{
    REAL *y = FN(room)(n);
    memcpy(y, x, (size_t)n * sizeof *x);
    return y;
}

/* --- activations --------------------------------------------------------------------------- */

static void FN(activations)(idx n)
{
    const REAL *x = FN(numbers)(n), *dout = FN(numbers)(n), *y = FN(between)(0.01, 0.99, n);
    REAL *out = FN(room)(n);
    const double slope = (double)(REAL)0.1;
    CALL(activation_forward)(x, out, FBP_RELU, 0, 0, n);
    EXPECT(out, n, x[i] > 0 ? x[i] : 0);
    CALL(activation_backward)(dout, x, out, FBP_RELU, 0, 0, n);
    EXPECT(out, n, x[i] > 0 ? dout[i] : 0);
    CALL(activation_forward)(x, out, FBP_LEAKY_RELU, 0.1, 0, n);
    EXPECT(out, n, x[i] > 0 ? x[i] : slope * x[i]);
    CALL(activation_backward)(dout, x, out, FBP_LEAKY_RELU, 0.1, 0, n);
    EXPECT(out, n, x[i] > 0 ? dout[i] : slope * dout[i]);
    CALL(activation_forward)(x, out, FBP_SIGMOID, 0, 0, n);
    EXPECT(out, n, sigmoid(x[i]));
    CALL(activation_backward)(dout, y, out, FBP_SIGMOID, 0, 0, n);
    EXPECT(out, n, dout[i] * (1 - (double)y[i]) * y[i]);
    CALL(activation_forward)(x, out, FBP_TANH, 0, 0, n);
    EXPECT(out, n, tanh(x[i]));
    CALL(activation_backward)(dout, y, out, FBP_TANH, 0, 0, n);
    EXPECT_WITHIN(out, n, dout[i] * (1 - (double)y[i] * y[i]), fabs(dout[i]));
    CALL(activation_forward)(x, out, FBP_SOFTPLUS, 0, 0, n);
    EXPECT(out, n, log1p(exp(x[i])));
    CALL(activation_backward)(dout, x, out, FBP_SOFTPLUS, 0, 0, n);
    EXPECT(out, n, dout[i] * sigmoid(x[i]));
    CALL(activation_forward)(x, out, FBP_GELU, 0, 0, n);
    EXPECT(out, n, x[i] * normal_cdf(x[i]));
    CALL(activation_backward)(dout, x, out, FBP_GELU, 0, 0, n);
    EXPECT_WITHIN(out, n,
                  dout[i] * (normal_cdf(x[i]) +
                             x[i] * exp(-0.5 * x[i] * (double)x[i]) / sqrt(2 * acos(-1))),
                  2 * fabs(dout[i]));
    CALL(activation_forward)(x, out, FBP_ELU, 1.0, 2.0, n);
    EXPECT(out, n, x[i] > 0 ? 2.0 * x[i] : expm1(x[i]));
    CALL(activation_backward)(dout, x, out, FBP_ELU, 1.0, 2.0, n);
    EXPECT(out, n, dout[i] * (x[i] > 0 ? 2.0 : exp(x[i])));
    CALL(activation_forward)(x, out, FBP_SILU, 0, 0, n);
    EXPECT(out, n, x[i] * sigmoid(x[i]));
    CALL(activation_backward)(dout, x, out, FBP_SILU, 0, 0, n);
    EXPECT_WITHIN(out, n, dout[i] * sigmoid(x[i]) * (1 + x[i] * sigmoid(-x[i])), 2 * fabs(dout[i]));
    CALL(activation_forward)(x, out, FBP_MISH, 0, 0, n);
    EXPECT(out, n, x[i] * tanh(log1p(exp(x[i]))));
    CALL(activation_backward)(dout, x, out, FBP_MISH, 0, 0, n);
    EXPECT_WITHIN(out, n,
                  dout[i] * (tanh(log1p(exp(x[i]))) +
                             x[i] * sigmoid(x[i]) / pow(cosh(log1p(exp(x[i]))), 2)),
                  2 * fabs(dout[i]));
    const uint64_t key = draw();
    CALL(dropout)(x, out, key, 0xfffffff0u, 0.3, n); /* whose numbers begin again at 0 */
    EXPECT(out, n,
           dropped(key, 0xfffffff0u + (uint32_t)i, 0.3) ? 0 : x[i] * (double)(REAL)(1 / 0.7));
    REAL *same = FN(copy)(x, n); /* an output may be its input */
    CALL(activation_forward)(same, same, FBP_TANH, 0, 0, n);
    EXPECT(same, n, tanh(x[i]));
    memcpy(same, dout, (size_t)n * sizeof *same);
    CALL(activation_backward)(same, x, same, FBP_RELU, 0, 0, n);
    EXPECT(same, n, x[i] > 0 ? dout[i] : 0);
}

static void FN(special_values)(void)
{
    const REAL x[] = {(REAL)NAN, (REAL)-NAN, INFINITY, -INFINITY, 0, -0.0f, 1e30f, -1e30f, 1e-40f,
                      88, -88, 103, -104, 710, -745};
    const REAL ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    enum { N = COUNT(x) };
    REAL out[N];
    CALL(activation_forward)(x, out, FBP_RELU, 0, 0, N);
    EXPECT(out, N, x[i] <= 0 ? 0 : x[i]);
    CALL(activation_backward)(ones, x, out, FBP_RELU, 0, 0, N);
    EXPECT(out, N, x[i] <= 0 ? 0.0 : 1.0); /* NaN lets the gradient through */
    CALL(activation_forward)(x, out, FBP_SIGMOID, 0, 0, N);
    EXPECT(out, N, sigmoid(x[i]));
    CALL(activation_forward)(x, out, FBP_TANH, 0, 0, N);
    EXPECT(out, N, tanh(x[i]));
    CALL(activation_forward)(x, out, FBP_SOFTPLUS, 0, 0, N);
    EXPECT(out, N, x[i] > 30 ? x[i] : log1p(exp(x[i])));
    REAL y[N];
    CALL(loss_forward)(x, ones, y, FBP_POISSON, 0, N);
    EXPECT(y, N, (double)(REAL)exp(x[i]));
    CALL(softmax_forward)(x + 4, y, 1, 6); /* 1e30 takes it all */
    EXPECT(y, 6, i == 2 ? 1.0 : 0.0);
}

/* --- losses -------------------------------------------------------------------------------- */

/* A loss is a sum in double of terms of type REAL. */
static void FN(expect_sum)(double got, double sum, double size)
{
    near(0, got, sum, LOSS_TOL * size + TINY);
}

#define SUM(term)                                                                                \
    double sum = 0, size = 0;                                                                    \
    for (idx i = 0; i < n; i++) {                                                                \
        sum += (term);                                                                           \
        size += fabs(term);                                                                      \
    }                                                                                            \
    FN(expect_sum)(got, sum, size + (double)n)

static void FN(losses_of_elements)(idx n)
{
    const REAL *y = FN(numbers)(n), *t = FN(numbers)(n), *p = FN(between)(0, 1, n);
    const double scale = (double)(REAL)0.37;
    REAL *dx = FN(room)(n), *out = FN(room)(n);
    double got = CALL(loss_forward)(y, t, NULL, FBP_SQUARED, 0, n);
#define D ((double)y[i] - (double)t[i])
#define SIZE (fabs(y[i]) + fabs(t[i]))
    { SUM(D * D); }
    CALL(loss_backward)(y, t, dx, FBP_SQUARED, 0, 0.37, n);
    EXPECT_WITHIN(dx, n, 2 * scale * D, SIZE);
    got = CALL(loss_forward)(y, t, NULL, FBP_ABSOLUTE, 0, n);
    { SUM(fabs(D)); }
    CALL(loss_backward)(y, t, dx, FBP_ABSOLUTE, 0, 0.37, n);
    EXPECT(dx, n, scale * sign(D));
    got = CALL(loss_forward)(y, t, NULL, FBP_HUBER, 0.8, n);
    { SUM(huber(D, 0.8)); }
    CALL(loss_backward)(y, t, dx, FBP_HUBER, 0.8, 0.37, n);
    EXPECT_WITHIN(dx, n, scale * (fabs(D) <= 0.8 ? D : 0.8 * sign(D)), SIZE);
    got = CALL(loss_forward)(y, t, NULL, FBP_QUANTILE, 0.3, n);
    { SUM(D > 0 ? 0.7 * D : -0.3 * D); }
    CALL(loss_backward)(y, t, dx, FBP_QUANTILE, 0.3, 0.37, n);
    EXPECT(dx, n, scale * (D > 0 ? 0.7 : -0.3));
    got = CALL(loss_forward)(y, p, out, FBP_POISSON, 0, n);
    { SUM(exp(y[i]) - p[i] + (p[i] == 0 ? 0 : p[i] * (log(p[i]) - y[i]))); }
    EXPECT(out, n, exp(y[i]));
    CALL(loss_backward)(y, t, dx, FBP_POISSON, 0, 0.37, n);
    EXPECT_WITHIN(dx, n, scale * D, SIZE);
    got = CALL(loss_forward)(y, p, out, FBP_SIGMOID_LOSS, 0, n);
    { SUM(fmax(y[i], 0) - (double)y[i] * p[i] + log1p(exp(-fabs(y[i])))); }
    EXPECT(out, n, sigmoid(y[i]));
    CALL(loss_backward)(y, t, dx, FBP_SIGMOID_LOSS, 0, 0.37, n);
    EXPECT_WITHIN(dx, n, scale * D, SIZE);
#undef D
#undef SIZE
}

static void FN(losses_of_rows)(idx rows, idx n_out)
{
    const idx n = rows * n_out;
    const REAL *x = FN(numbers)(n), *p = FN(between)(0, 1, n);
    const int64_t *t = classes(rows, n_out);
    const double scale = (double)(REAL)0.37;
    REAL *y = FN(room)(n), *dx = FN(room)(n);
    double *log_sums = memory((size_t)rows * sizeof *log_sums, 8), picked = 0, expected = 0;
    double log_sum = 0;
    for (idx r = 0; r < rows; r++) {
        double sum = 0;
        for (idx j = 0; j < n_out; j++)
            sum += exp(x[r * n_out + j]);
        log_sum += log_sums[r] = log(sum);
        picked += log_sums[r] - (double)x[r * n_out + t[r]];
        for (idx j = 0; j < n_out; j++)
            expected += (double)p[r * n_out + j] * (log_sums[r] - (double)x[r * n_out + j]);
    }
    const double size = (double)rows * (6 + log((double)n_out)) * (1 + (double)n_out);
    double want_soft = expected;
    /* with rows that do not sum to 1 the kernel's formula is log_sum - t . x */
    for (idx r = 0; r < rows; r++) {
        double sum = 0;
        for (idx j = 0; j < n_out; j++)
            sum += (double)p[r * n_out + j];
        REAL max = x[r * n_out];
        for (idx j = 1; j < n_out; j++)
            max = x[r * n_out + j] > max ? x[r * n_out + j] : max;
        want_soft += (1 - sum) * (log_sums[r] - (double)max);
    }
#define SOFTMAX exp((double)x[i] - log_sums[i / n_out])
    CALL(softmax_forward)(x, y, rows, n_out);
    EXPECT_WITHIN(y, n, SOFTMAX, 4 * SOFTMAX);
    memset(y, 0, (size_t)n * sizeof *y);
    FN(expect_sum)(CALL(softmax_cross_entropy_forward)(x, t, y, rows, n_out), picked, size);
    EXPECT_WITHIN(y, n, SOFTMAX, 4 * SOFTMAX);
    CALL(softmax_cross_entropy_backward)(y, t, 0.37, dx, rows, n_out);
    EXPECT_WITHIN(dx, n, scale * ((double)y[i] - (t[i / n_out] == i % n_out)), 1);
    memset(y, 0, (size_t)n * sizeof *y);
    FN(expect_sum)(CALL(soft_cross_entropy_forward)(x, p, y, rows, n_out), want_soft, size);
    EXPECT_WITHIN(y, n, SOFTMAX, 4 * SOFTMAX);
    CALL(soft_cross_entropy_backward)(y, p, 0.37, dx, rows, n_out);
    EXPECT_WITHIN(dx, n, scale * ((double)y[i] - (double)p[i]), 1);
#undef SOFTMAX
}

/* --- affine, normalisation ----------------------------------------------------------------- */

static void FN(affine)(idx rows, idx n_in, idx n_out)
{
    const REAL *x = FN(numbers)(rows * n_in), *W = FN(numbers)(n_in * n_out);
    const REAL *b = FN(numbers)(n_out), *dout = FN(numbers)(rows * n_out);
    REAL *out = FN(room)(rows * n_out), *dx = FN(room)(rows * n_in);
    REAL *dW = FN(room)(n_in * n_out), *db = FN(room)(n_out);
/* A sum over k, and its bound from the sizes of its terms. */
#define PRODUCT(array, at, start, k, K, term)                                                    \
    {                                                                                            \
        double sum = (start), size = fabs(start);                                                \
        for (idx k = 0; k < (K); k++) {                                                          \
            sum += (double)(term);                                                               \
            size += fabs((double)(term));                                                        \
        }                                                                                        \
        near((at), (double)(array)[at], sum, TOL * size + TINY);                                 \
    }
    near(0, CALL(affine_forward)(x, W, b, out, rows, n_in, n_out), 0, 0);
    for (idx r = 0; r < rows; r++)
        for (idx j = 0; j < n_out; j++)
            PRODUCT(out, r * n_out + j, (double)b[j], k, n_in,
                    (double)x[r * n_in + k] * (double)W[k * n_out + j])
    near(0, CALL(affine_backward)(dout, x, W, dx, dW, db, rows, n_in, n_out), 0, 0);
    for (idx r = 0; r < rows; r++)
        for (idx i = 0; i < n_in; i++)
            PRODUCT(dx, r * n_in + i, 0.0, k, n_out,
                    (double)dout[r * n_out + k] * (double)W[i * n_out + k])
    for (idx i = 0; i < n_in; i++)
        for (idx j = 0; j < n_out; j++)
            PRODUCT(dW, i * n_out + j, 0.0, k, rows,
                    (double)x[k * n_in + i] * (double)dout[k * n_out + j])
    for (idx j = 0; j < n_out; j++)
        PRODUCT(db, j, 0.0, k, rows, (double)dout[k * n_out + j])
    REAL *alone = FN(room)(rows * n_in), *sums = FN(room)(n_out);
    CALL(affine_backward)(dout, x, W, alone, NULL, NULL, rows, n_in, n_out);
    EXPECT(alone, rows * n_in, (double)dx[i]);
    CALL(bias_sum)(dout, sums, rows, n_out);
    EXPECT(sums, n_out, (double)db[i]);
    REAL *turned = FN(room)(n_in * n_out);
    CALL(transpose)(W, turned, n_in, n_out);
    EXPECT(turned, n_in * n_out, (double)W[i % n_in * n_out + i / n_in]);
#undef PRODUCT
}

/* Two columns of five categories, whose rows of tables have `width` numbers, and about half of them. */
static void FN(embedding)(idx rows, idx width)
{
    const int64_t widths[2] = {width, width / 2 + 1};
    const idx n = 5 * (idx)(widths[0] + widths[1]), stride = (idx)(widths[0] + widths[1]) + 2;
    const int64_t *first = classes(rows, 5), *second = classes(rows, 5);
    int64_t *places = memory((size_t)rows * 2 * sizeof *places, sizeof *places);
    for (idx r = 0; r < rows; r++) {
        places[2 * r] = first[r] * widths[0];
        places[2 * r + 1] = 5 * widths[0] + second[r] * widths[1];
    }
    const REAL *W = FN(numbers)(n), *dout = FN(numbers)(rows * stride);
    REAL *out = FN(numbers)(rows * stride), *before = FN(copy)(out, rows * stride), *dW = FN(room)(n);
    CALL(embedding_forward)(W, places, widths, out, rows, 2, stride);
    for (idx r = 0; r < rows; r++)
        for (idx j = 0; j < stride; j++) {
            const idx at = r * stride + j, behind = j - (idx)widths[0];
            const double want = behind < 0            ? W[places[2 * r] + j]
                                : behind < widths[1] ? W[places[2 * r + 1] + behind]
                                                     : before[at];
            near(at, (double)out[at], want, 0);
        }
    CALL(embedding_backward)(dout, places, widths, dW, rows, 2, stride, n);
    for (idx k = 0; k < n; k++) {
        double sum = 0, size = 0;
        for (idx r = 0; r < rows; r++)
            for (idx c = 0, begin = 0; c < 2; begin += (idx)widths[c++]) {
                const idx i = k - (idx)places[2 * r + c];
                if (i < 0 || i >= widths[c])
                    continue;
                sum += (double)dout[r * stride + begin + i];
                size += fabs((double)dout[r * stride + begin + i]);
            }
        near(k, (double)dW[k], sum, TOL * size + TINY);
    }
}

static void FN(batch_norm)(idx rows, idx n, idx stride)
{
    const idx size = (rows - 1) * stride + n;
    const REAL *x = FN(numbers)(size), *gamma = FN(numbers)(n), *beta = FN(numbers)(n);
    const REAL *dout = FN(numbers)(size);
    REAL *out = FN(room)(size), *normal = FN(room)(size), *inverse = FN(room)(n);
    REAL *running = FN(numbers)(n), *before = FN(copy)(running, n);
    REAL *running_var = FN(between)(0, 1, n), *var_before = FN(copy)(running_var, n);
    REAL *dx = FN(room)(size), *dgamma = FN(room)(n), *dbeta = FN(room)(n);
    CALL(batch_norm_forward)(x, gamma, beta, out, normal, inverse, running, running_var, 1e-3, 0.9,
                             1, rows, n, stride);
    const double close = (double)rows * TOL;
    for (idx j = 0; j < n; j++) {
        double mean = 0, var = 0;
        for (idx r = 0; r < rows; r++)
            mean += (double)x[r * stride + j] / (double)rows;
        for (idx r = 0; r < rows; r++)
            var += pow((double)x[r * stride + j] - mean, 2) / (double)rows;
        const double scale = 1 / sqrt(var + 1e-3);
        const double unbiased = rows > 1 ? (double)rows / (double)(rows - 1) : 1;
        near(j, (double)inverse[j], scale, close * scale * scale);
        near(j, (double)running[j], 0.9 * (double)before[j] + 0.1 * mean, close);
        near(j, (double)running_var[j], 0.9 * (double)var_before[j] + 0.1 * unbiased * var, close);
        for (idx r = 0; r < rows; r++) {
            const double v = ((double)x[r * stride + j] - mean) * scale;
            near(r, (double)normal[r * stride + j], v, 10 * close * scale);
            near(r, (double)out[r * stride + j], (double)gamma[j] * v + (double)beta[j],
                 30 * close * scale);
        }
    }
    CALL(batch_norm_backward)(dout, normal, inverse, gamma, dx, dgamma, dbeta, rows, n, stride);
    for (idx j = 0; j < n; j++) {
        double by_gamma = 0, by_beta = 0;
        for (idx r = 0; r < rows; r++) {
            by_gamma += (double)dout[r * stride + j] * (double)normal[r * stride + j];
            by_beta += (double)dout[r * stride + j];
        }
        near(j, (double)dgamma[j], by_gamma, 10 * close);
        near(j, (double)dbeta[j], by_beta, 3 * close);
        for (idx r = 0; r < rows; r++)
            near(r, (double)dx[r * stride + j],
                 (double)gamma[j] * (double)inverse[j] *
                     ((double)dout[r * stride + j] -
                      (by_beta + (double)normal[r * stride + j] * by_gamma) / (double)rows),
                 30 * close * (double)inverse[j]);
    }
}

/* --- update rules -------------------------------------------------------------------------- */

static void FN(rule)(fbp_rule rule, int n_states, idx n)
{
    REAL *p = FN(numbers)(n), *g = FN(numbers)(n);
    REAL *s[] = {FN(between)(0, 1, n), FN(between)(0, 1, n), FN(between)(0, 1, n)};
    REAL *before[] = {FN(copy)(p, n), FN(copy)(s[0], n), FN(copy)(s[1], n), FN(copy)(s[2], n)};
    const double decay = (double)(REAL)rule.weight_decay;
    CALL(update)(p, g, s, &rule, decay, n);
    for (idx i = 0; i < n; i++) {
        double want = (double)before[0][i], states[FBP_MOST_STATES];
        for (int k = 0; k < FBP_MOST_STATES; k++)
            states[k] = (double)before[1 + k][i];
        update(&rule, decay, &want, (double)g[i], states);
        near(i, (double)p[i], want, 10 * TOL * (fabs(want) + fabs((double)g[i]) + 1));
        for (int k = 0; k < n_states; k++)
            near(i, (double)s[k][i], states[k], 10 * TOL * (fabs(states[k]) + 10));
    }
}

static void FN(rules)(idx n)
{
    fbp_rule rule = {.lr = 0.1, .momentum = 0.8, .beta_1 = 0.9, .beta_2 = 0.99, .eps = 1e-3,
                     .dampening = 0.3, .lr_decay = 0.1, .momentum_decay = 0.004, .step = 3};
    for (int kind = 0; kind < FBP_N_RULES; kind++)
        for (int how = 0; how < (decouples(kind) ? 4 : 2); how++) {
            rule.kind = (fbp_rule_kind)kind;
            rule.weight_decay = how % 2 ? 0.05 : 0;
            rule.decoupled = how > 1;
            FN(rule)(rule, fbp_rules[kind].states, n);
        }
}

static void FN(kernels)(void)
{
    for (int k = 0; k < COUNT(LENGTHS); k++) {
        sprintf(what, "(%td)", LENGTHS[k]);
        FN(activations)(LENGTHS[k]);
        FN(losses_of_elements)(LENGTHS[k]);
        FN(rules)(LENGTHS[k]);
        release();
    }
    strcpy(what, "(special values)");
    FN(special_values)();
    for (int r = 0; r < COUNT(ROWS); r++)
        for (int j = 0; j < COUNT(OUTPUTS); j++) {
            sprintf(what, "(%td x %td)", ROWS[r], OUTPUTS[j]);
            FN(losses_of_rows)(ROWS[r], OUTPUTS[j]);
            FN(embedding)(ROWS[r], OUTPUTS[j]);
            if (r % 3 == 0)
                FN(batch_norm)(ROWS[r], OUTPUTS[j], OUTPUTS[j] + r % 2 * 5);
            /* every pair of widths, and every number of rows with each */
            const idx n_in = INPUTS[(r + j) % COUNT(INPUTS)];
            sprintf(what, "(%td x %td x %td)", ROWS[r], n_in, OUTPUTS[j]);
            FN(affine)(ROWS[r], n_in, OUTPUTS[j]);
            release();
        }
}
