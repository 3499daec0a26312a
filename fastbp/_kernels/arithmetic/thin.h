/* Products over panels (gemm.h) with a thin side.
 *
 * A tile multiplies whole vectors of columns, many rows at a time.  With few rows its sums wait
 * for each other; with few columns its lanes are empty.  So a few rows are multiplied in more
 * chains, and by W as it lies, without its transpose; and the few columns that are left of a
 * layer's last vector, its tail, are multiplied with lanes along the inputs. */

#ifndef FBP_THIN_ONCE
#define FBP_THIN_ONCE
/* Measured with 64 x 64 weights: to there the transpose costs more than it saves. */
#define FEW_PANEL_ROWS 6
#endif
/* Columns of a tail: at most a quarter of the lanes. */
#define MAX_TAIL (LANES / 4)

/* --- few rows ------------------------------------------------------------------------------ */

/* c[NV * LANES] = start + x W of one row: x in panels `jump` apart, W one panel [K][NR]. */
static inline __attribute__((always_inline)) void
FN(row_times_panel)(const int nv, idx K, const REAL *x, idx jump, const REAL *W, const REAL *start,
                    REAL *c, int relu)
{
    FN(vec) a_0 = FN(load)(start), b_0 = {0}, c_0 = {0}, d_0 = {0};
    FN(vec) a_1 = FN(load)(start + LANES), b_1 = {0}, c_1 = {0}, d_1 = {0};
    for (; K > 0; K -= NR, x += jump) {
        const idx len = min_idx(NR, K);
        idx k = 0;
        for (; k + 4 <= len; k += 4, W += 4 * NR) {
            a_0 += x[k] * FN(load)(W);
            b_0 += x[k + 1] * FN(load)(W + NR);
            c_0 += x[k + 2] * FN(load)(W + 2 * NR);
            d_0 += x[k + 3] * FN(load)(W + 3 * NR);
            if (nv == 1)
                continue;
            a_1 += x[k] * FN(load)(W + LANES);
            b_1 += x[k + 1] * FN(load)(W + NR + LANES);
            c_1 += x[k + 2] * FN(load)(W + 2 * NR + LANES);
            d_1 += x[k + 3] * FN(load)(W + 3 * NR + LANES);
        }
        for (; k < len; k++, W += NR) {
            a_0 += x[k] * FN(load)(W);
            a_1 += x[k] * FN(load)(W + LANES);
        }
    }
    a_0 = (a_0 + b_0) + (c_0 + d_0);
    a_1 = (a_1 + b_1) + (c_1 + d_1);
    FN(store)(c, relu ? FN(where_positive)(a_0, a_0) : a_0);
    if (nv == 2)
        FN(store)(c + LANES, relu ? FN(where_positive)(a_1, a_1) : a_1);
}

/* out[rows, n_out] = b + x W, each row alone. */
static void FN(few_rows_forward)(idx rows, idx n_in, idx n_out, const REAL *x, idx jump,
                                 const REAL *W, const REAL *b, REAL *out, int relu)
{
    for (idx j = 0; j < n_out; j += NR, W += n_in * NR, out += jump)
        for (idx r = 0; r < rows; r++)
            if (n_out - j > LANES)
                FN(row_times_panel)(2, n_in, x + r * NR, jump, W, b + j, out + r * NR, relu);
            else
                FN(row_times_panel)(1, n_in, x + r * NR, jump, W, b + j, out + r * NR, relu);
}

/* LANES elements of W d, from `width` elements of d: a dot product for each lane. */
static inline FN(vec) FN(panel_times_row)(idx n_out, const REAL *d, idx jump, const REAL *W,
                                          idx w_jump)
{
    FN(vec) sums[LANES] = {0};
    for (idx j = 0; j < n_out; j += NR, d += jump, W += w_jump) {
        const FN(vec) d_0 = FN(load)(d), d_1 = FN(load)(d + LANES);
        _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++)
            sums[l] += d_0 * FN(load)(W + l * NR);
        if (n_out - j > LANES)
            _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++)
                sums[l] += d_1 * FN(load)(W + l * NR + LANES);
    }
    return FN(sum_each)(sums);
}

/* dx[rows, n_in] = dout W^T, 0 where the gate (NULL: none) is not positive.  The last lanes may
 * read beyond W, but not beyond the plan, and are left out. */
static void FN(few_rows_backward)(idx rows, idx n_in, idx n_out, const REAL *dout, idx jump,
                                  const REAL *W, REAL *dx, const REAL *gate)
{
    for (idx i = 0; i < n_in; i += LANES)
        for (idx r = 0; r < rows; r++) {
            const idx at = i / NR * jump + r * NR + i % NR;
            FN(vec) v = FN(panel_times_row)(n_out, dout + r * NR, jump, W + i * NR, n_in * NR);
            if (gate)
                v = FN(where_positive)(v, FN(load)(gate + at));
            if (n_in - i >= LANES)
                FN(store)(dx + at, v);
            else
                memcpy(dx + at, &v, (size_t)(n_in - i) * sizeof(REAL));
        }
}

/* dw[m, NR] = (add: dw itself) + x^T dout, from one panel of each. */
static void FN(few_rows_update)(idx rows, idx m, const REAL *x, const REAL *dout, REAL *dw, int add)
{
    const FN(vec) d_0 = FN(load)(dout), d_1 = FN(load)(dout + LANES); /* the first row's */
    for (idx i = 0; i < m; i++, x++, dw += NR) {
        FN(vec) sum_0 = x[0] * d_0, sum_1 = x[0] * d_1;
        for (idx r = 1; r < rows; r++) {
            sum_0 += x[r * NR] * FN(load)(dout + r * NR);
            sum_1 += x[r * NR] * FN(load)(dout + r * NR + LANES);
        }
        if (add) {
            sum_0 += FN(load)(dw);
            sum_1 += FN(load)(dw + LANES);
        }
        FN(store)(dw, sum_0);
        FN(store)(dw + LANES, sum_1);
    }
}

/* --- a tail of columns --------------------------------------------------------------------- */

/* Columns 0 .. n of W[K], whose rows are w_row apart, each as a row of wt, BLOCK_K apart; n rounded
 * up to 1, 2 or 4, and K to NR, with zeros. */
static void FN(pack_tail)(const REAL *W, idx w_row, idx K, idx n, REAL *wt)
{
    for (idx j = 0; j < MAX_TAIL; j++, wt += BLOCK_K) {
        for (idx k = 0; k < K; k++)
            wt[k] = j < n ? W[k * w_row + j] : 0;
        for (idx k = K; k % NR; k++)
            wt[k] = 0;
    }
}

/* a b + c, fused wherever the processor can: left to the compiler, a row among others and the same
 * row alone differ in their bits, and with them a step by who runs its parts. */
static inline __attribute__((always_inline)) FN(vec) FN(fused)(FN(vec) a, FN(vec) b, FN(vec) c)
{
#if defined __FMA__ || defined __ARM_FEATURE_FMA
    _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++)
        c[l] = FN(mix)(a[l], b[l], 1, c[l]);
    return c;
#else
    return a * b + c;
#endif
}

/* sums[r n + j] = x[r] . wt[j] for the LANES / n rows from x on, x_row apart, NR elements of each
 * together and `jump` to the next; rows from `rows` on repeat the last one. */
static inline __attribute__((always_inline)) FN(vec)
FN(tail_dots)(const int n, const int whole, idx rows, idx K, const REAL *x, idx x_row, idx jump,
              const REAL *wt)
{
    FN(vec) sums[LANES] = {0};
    for (idx k = 0; k < K; k += NR, x += jump)
        for (idx v = k; v < min_idx(k + NR, K); v += LANES)
            _Pragma("GCC unroll 16") for (int r = 0; r < LANES / n; r++)
            {
                const idx row = whole || r < rows ? r : rows - 1;
                const FN(vec) x_r = FN(load)(x + row * x_row + (v - k));
                _Pragma("GCC unroll 4") for (int j = 0; j < n; j++)
                {
                    const FN(vec) w_j = FN(load)(wt + j * BLOCK_K + v);
                    sums[r * n + j] = FN(fused)(x_r, w_j, sums[r * n + j]);
                }
            }
    return FN(sum_each)(sums);
}

/* Some rows of out's n columns: start (NULL: out itself) + x wt^T. */
static inline __attribute__((always_inline)) void
FN(tail_rows)(const int padded, idx rows, idx n, idx K, const REAL *x, idx x_row, idx jump,
              const REAL *wt, const REAL *start, REAL *out, idx out_row, int relu)
{
    for (idx left = rows; left > 0; left -= LANES / padded) {
        const idx m = min_idx(left, LANES / padded);
        const FN(vec) dots = m == LANES / padded ? FN(tail_dots)(padded, 1, m, K, x, x_row, jump, wt)
                                                 : FN(tail_dots)(padded, 0, m, K, x, x_row, jump, wt);
        for (idx r = 0; r < m; r++)
            for (idx j = 0; j < n; j++) {
                const REAL v = (start ? start[j] : out[r * out_row + j]) + dots[r * padded + j];
                out[r * out_row + j] = relu && v <= 0 ? 0 : v;
            }
        x += m * x_row;
        out += m * out_row;
    }
}

/* The tail's part of a product of K inputs: out[rows, n] = start (NULL: out itself) + x W. */
static inline __attribute__((always_inline)) void
FN(tail_product)(idx rows, idx n, idx K, const REAL *x, idx x_row, idx jump, const REAL *wt,
                 const REAL *start, REAL *out, idx out_row, int relu)
{
    if (n == 1)
        FN(tail_rows)(1, rows, n, K, x, x_row, jump, wt, start, out, out_row, relu);
    else if (n == 2)
        FN(tail_rows)(2, rows, n, K, x, x_row, jump, wt, start, out, out_row, relu);
    else
        FN(tail_rows)(4, rows, n, K, x, x_row, jump, wt, start, out, out_row, relu);
}

/* The same over panels; apart, so that steps without a tail stay small. */
static APART void FN(tail_forward)(idx rows, idx n, idx K, const REAL *x, idx jump,
                                   const REAL *wt, const REAL *start, REAL *out, int relu)
{
    FN(tail_product)(rows, n, K, x, NR, jump, wt, start, out, NR, relu);
}

/* The tail's gradients: dw[m, n] = (add: dw itself) + x^T dout, from one panel of x and n <=
 * MAX_TAIL columns of a panel of dout.  Without `add` the vector's other columns become 0. */
static void FN(tail_update)(idx m, idx n, idx rows, const REAL *x, const REAL *dout, REAL *dw,
                            int add)
{
    REAL sums[(MAX_TAIL + 1) * NR]; /* [n][inputs] */
    for (idx k = 0; k < rows; k += BLOCK_K)
        FN(panel_cols_product)(n, m, min_idx(BLOCK_K, rows - k), dout + k * NR, x + k * NR,
                               k == 0 ? FN(zeros) : NULL, sums);
    for (idx i = 0; i < m; i++, dw += NR) {
        if (!add)
            FN(store)(dw, (FN(vec)){0});
        for (idx j = 0; j < n; j++)
            dw[j] += sums[j * NR + i];
    }
}
