/* Matrix products over panels.
 *
 * A panel holds NR columns (two vectors) of a matrix, row after row, so that a tile's
 * addresses are one pointer plus constants.  A matrix [rows, n] lies as ceil(n / NR) panels,
 * `jump` elements apart.  Three products share the tiles:
 *
 *     forward   out[r, j]  = sum_i x[r, i] W[i, j]     A = panels of x,     B = panels of W
 *     dX        dx[r, i]   = sum_j dout[r, j] W[i, j]  A = panels of dout,  B = panels of W^T
 *     dW        dW[i, j]   = sum_r x[r, i] dout[r, j]  A = panels of x,     B = panels of dout
 *
 * In the first two a tile's rows are rows of A (panel_rows_product), in the third they are columns
 * of A (panel_cols_product). */

#ifndef FBP_GEMM_ONCE
#define FBP_GEMM_ONCE
/* Blocks of K and of rows that keep a panel of B and what passes by it in the L1 cache, and a block
 * of A in the L2. */
#define BLOCK_K (1536 / REAL_BYTES)
#define BLOCK_ROWS 252
/* The most rows of a block, see block_rows. */
#define MOST_ROWS (BLOCK_ROWS * 3 / 2)
/* Panels of B that pay for a copy of a block of A, whose panels are so far apart that the processor
 * does not read ahead: a step of 2048-2048-2048 in float64 takes 0.82 to 0.89 of the time. */
#define MANY_PANELS 64

/* Rows of the panels of a batch: for 32 rows and more, the next number that is 16 mod 32, so
 * that panels are never a multiple of 4 KiB apart. */
static inline idx panel_rows(idx rows)
{
    return rows < 32 ? rows : rows + (48 - rows % 32) % 32;
}

/* Rows of the next block of so many that are left: all blocks about BLOCK_ROWS high and alike, as
 * a few rows over would read all of W for themselves. */
static inline idx block_rows(idx rows)
{
    const idx blocks = (rows + BLOCK_ROWS / 2) / BLOCK_ROWS;
    return blocks > 1 ? ceil_div(rows, blocks) : rows;
}
#endif

static const REAL FN(zeros)[NR];

/* Steps of K in a block of so many: whole panels, and all blocks about alike. */
static inline idx FN(block_k)(idx n)
{
    const idx blocks = ceil_div(n, BLOCK_K);
    return blocks > 1 ? ceil_div(ceil_div(n, blocks), NR) * NR : n;
}

/* copy: A[M, K], panels jump apart, as the tiles of a whole panel of B read it, each in one stream. */
static void FN(copy_rows)(idx M, idx K, const REAL *a, idx jump, REAL *copy)
{
    const fbp_shares tiles = tiles_of(M, 2);
    for (idx t = 0; t < tiles.parts; t++) {
        const idx n = (tiles.size + (t < tiles.larger)) * NR;
        const REAL *p = a;
        for (idx k = 0; k < K; k += NR, p += jump)
            for (idx i = 0; i < n; i += LANES, copy += LANES)
                FN(store)(copy, FN(load)(p + i));
        a += n;
    }
}

/* c[M, n] of a panel (n <= NR): start + A B.  a: panels of A[M, K], jump apart, or (jump 0,
 * n > LANES) what copy_rows made of them; b: panel of B[K, NR]; gate: NULL, c, or like c.  Tiles of
 * balanced height. */
static void FN(panel_rows_product)(idx M, idx n, idx K, const REAL *a, idx jump, const REAL *b,
                                   const REAL *start, REAL *c, const REAL *gate)
{
    const idx vectors = n > LANES ? 2 : 1;
    const fbp_shares tiles = tiles_of(M, vectors);
    for (idx t = 0; t < tiles.parts; t++) {
        const idx m = tiles.size + (t < tiles.larger);
        FN(panel_tiles)[vectors - 1][m - 1](K, a, jump ? jump : m * NR, b, start, c, gate);
        a += jump ? m * NR : m * ceil_div(K, NR) * NR;
        c += m * NR;
        gate = gate ? gate + m * NR : NULL;
    }
}

/* c[M, n], M and n <= NR, of a panel: start + the columns of one of A[K, M] times one of B[K, NR]. */
static void FN(panel_cols_product)(idx M, idx n, idx K, const REAL *a, const REAL *b,
                                   const REAL *start, REAL *c)
{
    const idx vectors = n > LANES ? 2 : 1;
    const fbp_shares tiles = tiles_of(M, vectors);
    const int adds = start == c;
    for (idx t = 0; t < tiles.parts; t++) {
        const idx m = tiles.size + (t < tiles.larger);
        FN(panel_cols_tiles)[vectors - 1][m - 1](K, a, b, adds ? c : start, c);
        a += m;
        c += m * NR;
    }
}

/* Row-major src[rows, n], rows src_row apart, as one panel (n <= NR); the missing columns of a
 * narrow panel become zero.  Its rows are read as whole vectors, beyond their end but not beyond
 * the matrix's, and the surplus is masked. */
static void FN(pack_panel)(const REAL *src, idx src_row, idx rows, idx n, REAL *dst)
{
    FN(lanes) keep[2] = {{0}};
    for (int k = 0; k < NR; k++)
        keep[k / LANES][k % LANES] = k < n ? -1 : 0;
    const idx end = (rows - 1) * src_row + n - NR; /* the last start of a whole read */
    idx r = 0;
    for (; r < rows && r * src_row <= end; r++, src += src_row, dst += NR) {
        FN(store)(dst, (FN(vec))((FN(lanes))FN(load)(src) & keep[0]));
        FN(store)(dst + LANES, (FN(vec))((FN(lanes))FN(load)(src + LANES) & keep[1]));
    }
    for (; r < rows; r++, src += src_row, dst += NR)
        for (idx j = 0; j < NR; j++)
            dst[j] = j < n ? src[j] : 0;
}

/* Row-major src[rows, n] into panels `jump` apart. */
static void FN(pack)(const REAL *src, idx rows, idx n, REAL *dst, idx jump)
{
    for (idx j = 0; j < n; j += NR, dst += jump)
        FN(pack_panel)(src + j, n, rows, min_idx(NR, n - j), dst);
}
