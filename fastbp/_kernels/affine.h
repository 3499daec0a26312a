/* out = x W + b and its backward over row-major arrays, for callers who hold arrays.
 *
 * A batch is copied into panels and multiplied there (gemm.h).  A handful of rows is not
 * worth the copy of W: those products read W where it lies, once. */

#ifndef FBP_AFFINE_ONCE
#define FBP_AFFINE_ONCE
#define FEW_ROWS 4 /* measured: at 4 rows and 512 x 512 both ways take the same time */
#endif

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

/* Few rows: out[r] = b + sum_i x[r, i] W[i], four rows of W at a time. */
static void FN(affine_forward_few)(const REAL *restrict x, const REAL *restrict W,
                                   const REAL *restrict b, REAL *restrict out, idx rows, idx n_in,
                                   idx n_out)
{
    for (idx r = 0; r < rows; r++)
        memcpy(out + r * n_out, b, (size_t)n_out * sizeof(REAL));
    idx i = 0;
    for (; i + 4 <= n_in; i += 4, W += 4 * n_out)
        for (idx r = 0; r < rows; r++) {
            const REAL *xr = x + r * n_in + i;
            REAL *o = out + r * n_out;
            for (idx j = 0; j < n_out; j++)
                o[j] += (xr[0] * W[j] + xr[1] * W[n_out + j]) +
                        (xr[2] * W[2 * n_out + j] + xr[3] * W[3 * n_out + j]);
        }
    for (; i < n_in; i++, W += n_out)
        for (idx r = 0; r < rows; r++)
            for (idx j = 0; j < n_out; j++)
                out[r * n_out + j] += x[r * n_in + i] * W[j];
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

/* Few rows: dx[r, i] = dout[r] . W[i];  dW[i] = sum_r x[r, i] dout[r]. */
static void FN(affine_backward_few)(const REAL *restrict dout, const REAL *restrict x,
                                    const REAL *restrict W, REAL *restrict dx,
                                    REAL *restrict dW, idx rows, idx n_in, idx n_out)
{
    if (dx)
        for (idx i = 0; i < n_in; i++)
            for (idx r = 0; r < rows; r++)
                dx[r * n_in + i] = FN(dot)(dout + r * n_out, W + i * n_out, n_out);
    if (dW)
        for (idx i = 0; i < n_in; i++, dW += n_out) {
            const REAL x0 = x[i];
            for (idx j = 0; j < n_out; j++)
                dW[j] = x0 * dout[j];
            for (idx r = 1; r < rows; r++) {
                const REAL xr = x[r * n_in + i];
                for (idx j = 0; j < n_out; j++)
                    dW[j] += xr * dout[r * n_out + j];
            }
        }
}

/* c[M, n] row-major, rows c_row apart, from a panel product that writes whole vectors: a
 * narrow panel goes by way of wide[M, NR]. */
static void FN(copy_narrow)(const REAL *wide, REAL *c, idx c_row, idx M, idx n)
{
    for (idx r = 0; r < M; r++)
        for (idx j = 0; j < n; j++)
            c[r * c_row + j] = wide[r * NR + j];
}

/* Column panels of `start` + A B, row-major: c[M, N], from A in panels and one panel of B at a
 * time, which pack_b makes.  Blocked over K and the rows. */
static void FN(panel_rows_blocked)(idx M, idx n, idx K, const REAL *a, idx jump, const REAL *b,
                                   const REAL *start, REAL *c, idx c_row, REAL *wide)
{
    const int narrow = n % LANES != 0;
    for (idx r = 0; r < M; r += BLOCK_ROWS) {
        const idx m = min_idx(BLOCK_ROWS, M - r);
        REAL *out = narrow ? wide : c + r * c_row;
        const idx out_row = narrow ? NR : c_row;
        for (idx k = 0; k < K; k += BLOCK_K)
            FN(panel_rows_product)(m, n, min_idx(BLOCK_K, K - k), a + r * NR + k / NR * jump, jump,
                                   b + k * NR, k == 0 ? start : NULL, out, out_row, NULL);
        if (narrow)
            FN(copy_narrow)(wide, c + r * c_row, c_row, m, n);
    }
}

static int FN(affine_forward)(const REAL *x, const REAL *W, const REAL *b, REAL *out, idx rows,
                              idx n_in, idx n_out)
{
    if (rows <= FEW_ROWS || n_in == 0) {
        FN(affine_forward_few)(x, W, b, out, rows, n_in, n_out);
        return 0;
    }
    const idx jump = panel_rows(rows) * NR;
    const idx x_size = ceil_div(n_in, NR) * jump, w_size = n_in * NR;
    const idx wide_size = BLOCK_ROWS * NR;
    REAL *buffer = fbp_allocate((size_t)(x_size + w_size + wide_size) * sizeof(REAL));
    if (!buffer)
        return -1;
    REAL *x_panels = buffer, *w_panel = x_panels + x_size, *wide = w_panel + w_size;

    FN(pack)(x, rows, n_in, x_panels, jump);
    for (idx j = 0; j < n_out; j += NR) {
        const idx n = min_idx(NR, n_out - j);
        REAL start[NR] = {0};
        memcpy(start, b + j, (size_t)n * sizeof(REAL));
        FN(pack_panel)(W + j, n_out, n_in, n, w_panel);
        FN(panel_rows_blocked)(rows, n, n_in, x_panels, jump, w_panel, start, out + j, n_out, wide);
    }
    fbp_free(buffer);
    return 0;
}

/* dx = dout W^T;  dW = x^T dout;  db = sum of dout's rows.  Any of the three may be NULL. */
static int FN(affine_backward)(const REAL *dout, const REAL *x, const REAL *W, REAL *dx, REAL *dW,
                               REAL *db, idx rows, idx n_in, idx n_out)
{
    if (db)
        FN(bias_sum)(dout, db, rows, n_out);
    if (!dx && !dW)
        return 0;
    if (rows == 0 || n_out == 0) {
        if (dx)
            memset(dx, 0, (size_t)(rows * n_in) * sizeof(REAL));
        if (dW)
            memset(dW, 0, (size_t)(n_in * n_out) * sizeof(REAL));
        return 0;
    }
    if (rows <= FEW_ROWS) {
        FN(affine_backward_few)(dout, x, W, dx, dW, rows, n_in, n_out);
        return 0;
    }
    const idx jump = panel_rows(rows) * NR;
    const idx dout_size = ceil_div(n_out, NR) * jump;
    const idx x_size = dW ? jump : 0, wt_size = dx ? n_out * NR : 0;
    const idx wide_size = BLOCK_ROWS * NR;
    REAL *buffer = fbp_allocate((size_t)(dout_size + x_size + wt_size + wide_size) * sizeof(REAL));
    if (!buffer)
        return -1;
    REAL *dout_panels = buffer, *x_panel = dout_panels + dout_size;
    REAL *wt_panel = x_panel + x_size, *wide = wt_panel + wt_size;

    FN(pack)(dout, rows, n_out, dout_panels, jump);
    for (idx i = 0; i < n_in; i += NR) {
        const idx m = min_idx(NR, n_in - i);
        if (dx) {
            FN(pack_transposed_panel)(W + i * n_out, n_out, m, wt_panel);
            FN(panel_rows_blocked)(rows, m, n_out, dout_panels, jump, wt_panel, FN(zeros), dx + i,
                                   n_in, wide);
        }
        if (dW) {
            FN(pack_panel)(x + i, n_in, rows, m, x_panel);
            for (idx j = 0; j < n_out; j += NR) {
                const idx n = min_idx(NR, n_out - j);
                const int narrow = n % LANES != 0;
                REAL *out = narrow ? wide : dW + i * n_out + j;
                const REAL *d = dout_panels + j / NR * jump;
                for (idx k = 0; k < rows; k += BLOCK_K)
                    FN(panel_cols_product)(m, n, min_idx(BLOCK_K, rows - k), x_panel + k * NR,
                                           d + k * NR, k == 0 ? FN(zeros) : NULL, out,
                                           narrow ? NR : n_out);
                if (narrow)
                    FN(copy_narrow)(wide, dW + i * n_out + j, n_out, m, n);
            }
        }
    }
    fbp_free(buffer);
    return 0;
}
