/* out = x W + b and its backward over row-major arrays, for callers who hold arrays.
 *
 * A batch is copied into panels and multiplied there (gemm.h).  A handful of rows is not
 * worth the copy of W: those products read W where it lies, once. */

#ifndef FBP_AFFINE_ONCE
#define FBP_AFFINE_ONCE
#define FEW_ROWS 4 /* measured: at 4 rows and 512 x 512 both ways take the same time */
/* Rows that are in panels at once, so that scratch memory does not grow with the batch; to pack
 * W once more for each such block costs nothing beside multiplying by it. */
#define PACKED_ROWS 4096
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

/* A panel product writes whole vectors: a narrow panel of c[M, n] goes by way of wide[M, NR]. */
static void FN(copy_rows)(const REAL *src, idx src_row, REAL *dst, idx dst_row, idx M, idx n)
{
    for (idx r = 0; r < M; r++)
        for (idx j = 0; j < n; j++)
            dst[r * dst_row + j] = src[r * src_row + j];
}

/* Column panels of `start` + A B, row-major: c[M, N], from A in panels and one panel of B at a
 * time.  Blocked over K and the rows. */
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
            FN(copy_rows)(wide, NR, c + r * c_row, c_row, m, n);
    }
}

/* out[rows, n_out] of rows whose x is in panels. */
static void FN(affine_forward_packed)(const REAL *x_panels, idx jump, const REAL *W,
                                      const REAL *b, REAL *out, idx rows, idx n_in, idx n_out,
                                      REAL *w_panel, REAL *wide)
{
    for (idx j = 0; j < n_out; j += NR) {
        const idx n = min_idx(NR, n_out - j);
        REAL start[NR] = {0};
        memcpy(start, b + j, (size_t)n * sizeof(REAL));
        FN(pack_panel)(W + j, n_out, n_in, n, w_panel);
        FN(panel_rows_blocked)(rows, n, n_in, x_panels, jump, w_panel, start, out + j, n_out, wide);
    }
}

static int FN(affine_forward)(const REAL *x, const REAL *W, const REAL *b, REAL *out, idx rows,
                              idx n_in, idx n_out)
{
    if (rows <= FEW_ROWS || n_in == 0) {
        FN(affine_forward_few)(x, W, b, out, rows, n_in, n_out);
        return 0;
    }
    const idx jump = panel_rows(min_idx(rows, PACKED_ROWS)) * NR;
    const idx x_size = ceil_div(n_in, NR) * jump, w_size = n_in * NR;
    const idx wide_size = BLOCK_ROWS * NR;
    REAL *buffer = fbp_allocate((size_t)(x_size + w_size + wide_size) * sizeof(REAL));
    if (!buffer)
        return -1;
    REAL *x_panels = buffer, *w_panel = x_panels + x_size, *wide = w_panel + w_size;

    for (idx r = 0; r < rows; r += PACKED_ROWS) {
        const idx m = min_idx(PACKED_ROWS, rows - r);
        FN(pack)(x + r * n_in, m, n_in, x_panels, jump);
        FN(affine_forward_packed)(x_panels, jump, W, b, out + r * n_out, m, n_in, n_out, w_panel,
                                  wide);
    }
    fbp_free(buffer);
    return 0;
}

/* dx[rows, n_in] of rows whose dout is in panels. */
static void FN(affine_dx_packed)(const REAL *dout_panels, idx jump, const REAL *W, REAL *dx,
                                 idx rows, idx n_in, idx n_out, REAL *wt_panel, REAL *wide)
{
    for (idx i = 0; i < n_in; i += NR) {
        const idx m = min_idx(NR, n_in - i);
        FN(pack_transposed_panel)(W + i * n_out, n_out, m, wt_panel);
        FN(panel_rows_blocked)(rows, m, n_out, dout_panels, jump, wt_panel, FN(zeros), dx + i, n_in,
                               wide);
    }
}

/* dW[n_in, n_out] of rows whose dout is in panels; `more` adds to what it is. */
static void FN(affine_dW_packed)(const REAL *dout_panels, idx jump, const REAL *x, REAL *dW,
                                 idx rows, idx n_in, idx n_out, int more, REAL *x_panel,
                                 REAL *wide)
{
    for (idx i = 0; i < n_in; i += NR) {
        const idx m = min_idx(NR, n_in - i);
        FN(pack_panel)(x + i, n_in, rows, m, x_panel);
        for (idx j = 0; j < n_out; j += NR) {
            const idx n = min_idx(NR, n_out - j);
            const int narrow = n % LANES != 0;
            REAL *c = dW + i * n_out + j, *out = narrow ? wide : c;
            const REAL *d = dout_panels + j / NR * jump;
            if (narrow && more)
                FN(copy_rows)(c, n_out, wide, NR, m, n);
            for (idx k = 0; k < rows; k += BLOCK_K)
                FN(panel_cols_product)(m, n, min_idx(BLOCK_K, rows - k), x_panel + k * NR,
                                       d + k * NR, k == 0 && !more ? FN(zeros) : NULL, out,
                                       narrow ? NR : n_out);
            if (narrow)
                FN(copy_rows)(wide, NR, c, n_out, m, n);
        }
    }
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
    const idx jump = panel_rows(min_idx(rows, PACKED_ROWS)) * NR;
    const idx dout_size = ceil_div(n_out, NR) * jump;
    const idx x_size = dW ? jump : 0, wt_size = dx ? n_out * NR : 0;
    const idx wide_size = BLOCK_ROWS * NR;
    REAL *buffer = fbp_allocate((size_t)(dout_size + x_size + wt_size + wide_size) * sizeof(REAL));
    if (!buffer)
        return -1;
    REAL *dout_panels = buffer, *x_panel = dout_panels + dout_size;
    REAL *wt_panel = x_panel + x_size, *wide = wt_panel + wt_size;

    for (idx r = 0; r < rows; r += PACKED_ROWS) {
        const idx m = min_idx(PACKED_ROWS, rows - r);
        FN(pack)(dout + r * n_out, m, n_out, dout_panels, jump);
        if (dx)
            FN(affine_dx_packed)(dout_panels, jump, W, dx + r * n_in, m, n_in, n_out, wt_panel,
                                 wide);
        if (dW)
            FN(affine_dW_packed)(dout_panels, jump, x + r * n_in, dW, m, n_in, n_out, r > 0,
                                 x_panel, wide);
    }
    fbp_free(buffer);
    return 0;
}
