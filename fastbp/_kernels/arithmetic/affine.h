/* out = x W + b and its backward over row-major arrays, for callers who hold arrays: products of
 * matrices as they lie (direct.h), and for a row alone sums over W. */

/* db[j] = sum_r dout[r, j], eight rows at a time: db is read and written once for them. */
static void FN(bias_sum)(const REAL *dout, REAL *db, idx rows, idx n_out)
{
    const idx n = n_out;
    idx r = 0;
    for (idx j = 0; j < n; j++)
        db[j] = 0;
    for (; r + 8 <= rows; r += 8, dout += 8 * n)
        for (idx j = 0; j < n; j++)
            db[j] += ((dout[j] + dout[n + j]) + (dout[2 * n + j] + dout[3 * n + j])) +
                     ((dout[4 * n + j] + dout[5 * n + j]) + (dout[6 * n + j] + dout[7 * n + j]));
    for (; r < rows; r++, dout += n)
        for (idx j = 0; j < n; j++)
            db[j] += dout[j];
}

/* out[n, rows] = x[rows, n] with rows and columns exchanged. */
static void FN(transpose)(const REAL *x, REAL *out, idx rows, idx n)
{
    if (rows >= LANES) {
        FN(copy_transposed)(x, n, n, rows, out);
        return;
    }
    for (idx r = 0; r < rows; r++)
        for (idx j = 0; j < n; j++)
            out[j * rows + r] = x[r * n + j];
}

/* One row: out = b + sum_i x[i] W[i], four rows of W at a time. */
static void FN(affine_forward_one)(const REAL *restrict x, const REAL *restrict W,
                                   const REAL *restrict b, REAL *restrict out, idx n_in, idx n_out)
{
    idx i = 0;
    memcpy(out, b, (size_t)n_out * sizeof(REAL));
    for (; i + 4 <= n_in; i += 4, W += 4 * n_out)
        for (idx j = 0; j < n_out; j++)
            out[j] += (x[i] * W[j] + x[i + 1] * W[n_out + j]) +
                      (x[i + 2] * W[2 * n_out + j] + x[i + 3] * W[3 * n_out + j]);
    for (; i < n_in; i++, W += n_out)
        for (idx j = 0; j < n_out; j++)
            out[j] += x[i] * W[j];
}

/* a . b over n elements */
static inline REAL FN(dot)(const REAL *a, const REAL *b, idx n)
{
    FN(vec) sum_0 = {0}, sum_1 = {0};
    idx j = 0;
    for (; j + NR <= n; j += NR) {
        sum_0 += FN(load)(a + j) * FN(load)(b + j);
        sum_1 += FN(load)(a + j + LANES) * FN(load)(b + j + LANES);
    }
    if (j + LANES <= n) {
        sum_0 += FN(load)(a + j) * FN(load)(b + j);
        j += LANES;
    }
    REAL sum = FN(sum_lanes)(sum_0 + sum_1);
    for (; j < n; j++)
        sum += a[j] * b[j];
    return sum;
}

/* One row: dx[i] = dout . W[i];  dW[i] = x[i] dout. */
static void FN(affine_backward_one)(const REAL *restrict dout, const REAL *restrict x,
                                    const REAL *restrict W, REAL *restrict dx, REAL *restrict dW,
                                    idx n_in, idx n_out)
{
    if (dx)
        for (idx i = 0; i < n_in; i++)
            dx[i] = FN(dot)(dout, W + i * n_out, n_out);
    if (dW)
        for (idx i = 0; i < n_in; i++, dW += n_out)
            for (idx j = 0; j < n_out; j++)
                dW[j] = x[i] * dout[j];
}

static int FN(affine_forward)(const REAL *x, const REAL *W, const REAL *b, REAL *out, idx rows,
                              idx n_in, idx n_out)
{
    if (rows <= 1 || n_in == 0 || n_out == 0) {
        for (idx r = 0; r < rows; r++)
            FN(affine_forward_one)(x + r * n_in, W, b, out + r * n_out, n_in, n_out);
        return 0;
    }
    return FN(multiply)((FN(product)){.M = rows, .N = n_out, .K = n_in, .a = x, .a_row = n_in, .b = W,
                                      .b_row = n_out, .start = b, .c = out, .c_row = n_out});
}

/* dx = dout W^T;  dW = x^T dout;  db = sum of dout's rows.  Any of the three may be NULL. */
static int FN(affine_backward)(const REAL *dout, const REAL *x, const REAL *W, REAL *dx, REAL *dW,
                               REAL *db, idx rows, idx n_in, idx n_out)
{
    int status = 0;
    if (db)
        FN(bias_sum)(dout, db, rows, n_out);
    if (rows == 0 || n_out == 0 || n_in == 0) {
        if (dx)
            memset(dx, 0, (size_t)(rows * n_in) * sizeof(REAL));
        if (dW)
            memset(dW, 0, (size_t)(n_in * n_out) * sizeof(REAL));
        return 0;
    }
    if (rows == 1) {
        FN(affine_backward_one)(dout, x, W, dx, dW, n_in, n_out);
        return 0;
    }
    if (dx)
        status = FN(multiply)((FN(product)){.M = rows, .N = n_in, .K = n_out, .a = dout,
                                            .a_row = n_out, .b = W, .b_row = n_out,
                                            .transposed = 1, .c = dx, .c_row = n_in});
    if (dW && status == 0)
        status = FN(multiply)((FN(product)){.M = n_in, .N = n_out, .K = rows, .a = x,
                                            .a_row = n_in, .by_columns = 1, .b = dout,
                                            .b_row = n_out, .c = dW, .c_row = n_out});
    return status;
}
