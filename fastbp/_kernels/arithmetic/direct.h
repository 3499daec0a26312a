/* Products of row-major matrices, read where they lie.
 *
 *     forward   out[r, j] = b[j] + sum_i x[r, i] W[i, j]   A = x by rows,     B = W
 *     dX        dx[r, i]  = sum_j dout[r, j] W[i, j]       A = dout by rows,  B = W transposed
 *     dW        dW[i, j]  = sum_r x[r, i] dout[r, j]       A = x by columns,  B = dout
 *
 * Fewer columns than a vector has go by way of copies that are as wide. */

#ifndef FBP_DIRECT_ONCE
#define FBP_DIRECT_ONCE
/* Rows of c in a block, and steps of K: a panel of B stays in the L1 cache, or nearly. */
#define BLOCK_ROWS_DIRECT 512
#define BLOCK_K_DIRECT 512
/* The same where A is read by columns, whose rows are far apart in memory. */
#define BLOCK_ROWS_BY_COLUMNS 256
#define BLOCK_K_BY_COLUMNS 128
/* Where B is larger than the L1 cache, blocks of half as many steps pay for a copy. */
#define L1_BYTES 32768
/* Where each row of B is on a page of its own, so many panels are copied at once: each alone would
 * ask the TLB for every page again. */
#define PAGE_BYTES 4096
#define PANELS_AT_ONCE 4
/* Rows a multiple of so many bytes apart fall on the same few lines of the L1 cache. */
#define ALIASES (FBP_MAX_ROWS == 14 ? 4096 : 1024)

/* The size of a block of n in blocks of at most `most`, all about alike. */
static inline idx balanced(idx n, idx most)
{
    return n <= most ? n : ceil_div(n, ceil_div(n, most));
}
#endif

/* A product: c[M, N] = start (a row for every row; NULL: zeros) + A B, of no empty side. */
typedef struct {
    idx M, N, K;
    const REAL *a;
    idx a_row; /* A[m, k] is a[m a_row + k], or by columns a[k a_row + m] */
    int by_columns;
    const REAL *b;
    idx b_row; /* B[k, j] is b[k b_row + j], or transposed b[j b_row + k] */
    int transposed;
    const REAL *start;
    REAL *c;
    idx c_row;
    int copies_a, copies_b; /* whether blocks of A, panels of B are copied close together, */
    idx at_once;            /* ... so many at once */
    REAL *panel;            /* at_once times [K of a block][columns of a panel] */
    REAL *a_block;          /* [rows of a block][K of a block] */
    REAL *wide;             /* [rows of a block][LANES], for c of less than LANES columns */
} FN(product);

/* Copies pay where they are read often: B once by each tile's height, A once by each panel.  With 32
 * vector registers tiles are so high that only rows which fall on each other ask for them. */
static void FN(choose_copies)(FN(product) *p)
{
    const int many = FBP_MAX_ROWS == 14;
    const int a_aliases = p->a_row * REAL_BYTES % ALIASES == 0;
    const int b_aliases = p->b_row * REAL_BYTES % ALIASES == 0;
    const int pages = p->b_row * REAL_BYTES >= PAGE_BYTES;
    if (p->by_columns) {
        p->copies_a = a_aliases || (!many && p->N >= 32 * LANES);
        const idx worth = p->K * p->N * REAL_BYTES > L1_BYTES ? BLOCK_K_BY_COLUMNS / 2
                                                              : BLOCK_K_BY_COLUMNS;
        p->copies_b = p->copies_a || (!many && p->K > worth);
    } else {
        const idx few = (pages ? 4 : 6) * TILE_ROWS_3;
        p->copies_b = p->M >= 16 * TILE_ROWS_3 ? b_aliases || !many
                                               : b_aliases && !many && p->M >= few;
    }
    p->copies_b |= p->transposed || p->N < LANES;
    p->at_once = pages && !p->transposed ? PANELS_AT_ONCE : 1;
}

static idx FN(rows_of_block)(const FN(product) *p)
{
    return balanced(p->M, p->by_columns ? BLOCK_ROWS_BY_COLUMNS : BLOCK_ROWS_DIRECT);
}

static idx FN(k_of_block)(const FN(product) *p)
{
    return balanced(p->K, p->by_columns ? BLOCK_K_BY_COLUMNS : BLOCK_K_DIRECT);
}

/* One panel of columns, LANES <= n <= TILE_VECTORS * LANES, in tiles of balanced height. */
static void FN(product_tiles)(int by_columns, idx M, idx n, idx K, const REAL *a, idx a_row,
                            const REAL *b, idx b_row, const REAL *start, REAL *c, idx c_row)
{
    const idx vectors = ceil_div(n, LANES), a_step = by_columns ? 1 : a_row;
    const fbp_shares tiles = tiles_of(M, vectors);
    for (idx t = 0; t < tiles.parts; t++) {
        const idx m = tiles.size + (t < tiles.larger);
        FN(tiles)[by_columns][vectors - 1][m - 1](K, a, a_row, b, b_row, n - LANES, start, c,
                                                  c_row);
        a += m * a_step;
        c += m * c_row;
    }
}

/* copy[K][n] of n >= LANES columns of some rows; the last vector begins earlier. */
static void FN(copy_columns)(const REAL *src, idx src_row, idx K, idx n, REAL *copy)
{
    for (idx k = 0; k < K; k++, src += src_row, copy += n) {
        for (idx j = 0; j + LANES < n; j += LANES)
            FN(store)(copy + j, FN(load)(src + j));
        FN(store)(copy + n - LANES, FN(load)(src + n - LANES));
    }
}

/* The same for some panels, one behind the other, the last one of `last` columns: few rows are read
 * for all of them before the next ones. */
static void FN(copy_panels)(const REAL *src, idx src_row, idx K, idx panels, idx n, idx last,
                            REAL *copy)
{
    const idx few = panels == 1 ? K : 8;
    for (idx k = 0; k < K; k += few)
        for (idx i = 0; i < panels; i++) {
            const idx width = i + 1 < panels ? n : last;
            FN(copy_columns)(src + k * src_row + i * n, src_row, min_idx(few, K - k), width,
                             copy + i * K * n + k * width);
        }
}

/* copy[K][n] of n >= LANES rows as columns, in square blocks; the last ones begin earlier. */
static void FN(copy_transposed)(const REAL *src, idx src_row, idx K, idx n, REAL *copy)
{
    for (idx j = 0; j < n; j += LANES) {
        const idx at = min_idx(j, n - LANES);
        idx k = 0;
        for (; k + LANES <= K; k += LANES)
            FN(transpose_square)(src + at * src_row + k, src_row, copy + k * n + at, n);
        for (; k < K; k++)
            for (idx l = at; l < at + LANES; l++)
                copy[k * n + l] = src[l * src_row + k];
    }
}

/* copy[K][LANES] of n < LANES columns, `step` apart, of rows `src_row` apart; zeros behind them. */
static void FN(copy_narrow)(const REAL *src, idx src_row, idx step, idx K, idx n, REAL *copy)
{
    for (idx k = 0; k < K; k++, src += src_row, copy += LANES)
        for (idx j = 0; j < LANES; j++)
            copy[j] = j < n ? src[j * step] : 0;
}

/* Rows r .. r + M of c, of less than LANES columns, from k .. k + K. */
static void FN(narrow_block)(const FN(product) *p, idx M, idx k, idx K, const REAL *a, idx a_row,
                             int by_columns, REAL *c)
{
    REAL start[LANES] = {0};
    const idx n = p->N;
    FN(copy_narrow)(p->transposed ? p->b + k : p->b + k * p->b_row, p->transposed ? 1 : p->b_row,
                    p->transposed ? p->b_row : 1, K, n, p->panel);
    if (k > 0)
        FN(copy_narrow)(c, p->c_row, 1, M, n, p->wide);
    else if (p->start)
        memcpy(start, p->start, (size_t)n * sizeof(REAL));
    FN(product_tiles)(by_columns, M, LANES, K, a, a_row, p->panel, LANES, k == 0 ? start : NULL,
                    p->wide, LANES);
    for (idx r = 0; r < M; r++)
        memcpy(c + r * p->c_row, p->wide + r * LANES, (size_t)n * sizeof(REAL));
}

/* Rows r .. r + M of c from k .. k + K: panels of columns of balanced widths. */
static void FN(wide_block)(const FN(product) *p, idx M, idx k, idx K, const REAL *a, idx a_row,
                           int by_columns, REAL *c)
{
    static const REAL zeros[TILE_VECTORS * LANES];
    const REAL *start = p->start ? p->start : zeros;
    const idx vectors = ceil_div(p->N, LANES);
    const fbp_shares panels = shares_of(vectors, ceil_div(vectors, TILE_VECTORS));
    idx j = 0, copied = 0; /* panels that are copied ahead */
    const REAL *panel = p->panel;
    for (idx i = 0; i < panels.parts; i++) {
        const int larger = i < panels.larger;
        const idx wide = (panels.size + larger) * LANES, n = min_idx(wide, p->N - j);
        const REAL *b = p->transposed ? p->b + j * p->b_row + k : p->b + k * p->b_row + j;
        if (p->transposed) {
            FN(copy_transposed)(b, p->b_row, K, n, p->panel);
        } else if (p->copies_b && copied == 0) { /* panels of the same width */
            copied = min_idx(p->at_once, (larger ? panels.larger : panels.parts) - i);
            const idx last = min_idx(wide, p->N - j - (copied - 1) * wide);
            FN(copy_panels)(b, p->b_row, K, copied, wide, last, p->panel);
            panel = p->panel;
        }
        FN(product_tiles)(by_columns, M, n, K, a, a_row, p->copies_b ? panel : b,
                        p->copies_b ? n : p->b_row, k == 0 ? start : NULL, c + j, p->c_row);
        if (copied > 0)
            panel += K * n, copied--;
        start = p->start ? start + n : zeros;
        j += n;
    }
}

static void FN(product_block)(const FN(product) *p, idx r, idx M, idx k, idx K)
{
    const REAL *a = p->by_columns ? p->a + k * p->a_row + r : p->a + r * p->a_row + k;
    const int copies = p->copies_a && K >= LANES;
    if (copies)
        FN(copy_transposed)(a, p->a_row, M, K, p->a_block);
    (p->N < LANES ? FN(narrow_block) : FN(wide_block))(
        p, M, k, K, copies ? p->a_block : a, copies ? K : p->a_row, p->by_columns && !copies,
        p->c + r * p->c_row);
}

/* The product in blocks; -1 where scratch memory could not be had: c is unchanged then. */
static int FN(multiply_blocks)(FN(product) p)
{
    FN(choose_copies)(&p);
    const idx m = FN(rows_of_block)(&p), n = FN(k_of_block)(&p);
    const idx panel = p.copies_b ? p.at_once * n * TILE_VECTORS * LANES : 0;
    const idx a_block = p.copies_a ? m * n : 0, wide = p.N < LANES ? m * LANES : 0;
    if (panel + a_block + wide > 0) {
        p.panel = fbp_allocate((size_t)(panel + a_block + wide) * sizeof(REAL));
        if (!p.panel)
            return -1;
        p.a_block = p.panel + panel;
        p.wide = p.a_block + a_block;
    }
    for (idx r = 0; r < p.M; r += m)
        for (idx k = 0; k < p.K; k += n)
            FN(product_block)(&p, r, min_idx(m, p.M - r), k, min_idx(n, p.K - k));
    fbp_free(p.panel);
    return 0;
}

/* The last columns of c, A by rows: dot products of K steps, of which the last few go one by one. */
static void FN(tail_by_rows)(const FN(product) *p, idx tail)
{
    REAL wt[4 * BLOCK_K]; /* pack_tail rounds up */
    REAL *c = p->c + p->N - tail;
    const REAL *start = p->start ? p->start + p->N - tail : FN(zeros);
    for (idx k = 0; k < p->K; k += BLOCK_K) {
        const idx K = min_idx(BLOCK_K, p->K - k), whole = K / LANES * LANES;
        const REAL *a = p->a + k, *b = p->b + k * p->b_row + p->N - tail;
        FN(pack_tail)(b, p->b_row, K, tail, wt);
        FN(tail_product)(p->M, tail, whole, a, p->a_row, NR, wt, k == 0 ? start : NULL, c, p->c_row,
                         0);
        for (idx r = 0; r < p->M; r++)
            for (idx i = whole; i < K; i++)
                for (idx j = 0; j < tail; j++)
                    c[r * p->c_row + j] += a[r * p->a_row + i] * wt[j * BLOCK_K + i];
    }
}

/* The last columns of c, A by columns: c^T = B^T A, with A's columns as lanes, and then c. */
static int FN(tail_by_columns)(const FN(product) *p, idx tail)
{
    REAL *ct = fbp_allocate((size_t)(tail * p->M) * sizeof(REAL)), *c = p->c + p->N - tail;
    int status = -1;
    if (ct)
        status = FN(multiply_blocks)((FN(product)){
            .M = tail, .N = p->M, .K = p->K, .a = p->b + p->N - tail, .a_row = p->b_row,
            .by_columns = 1, .b = p->a, .b_row = p->a_row, .c = ct, .c_row = p->M});
    for (idx m = 0; status == 0 && m < p->M; m++)
        for (idx j = 0; j < tail; j++)
            c[m * p->c_row + j] = ct[j * p->M + m];
    fbp_free(ct);
    return status;
}

/* The product; -1 where scratch memory could not be had.  Columns that barely begin a vector, a tail,
 * are computed with lanes along the longer side, as in thin.h. */
static int FN(multiply)(FN(product) p)
{
    const idx tail = p.N % LANES, lanes_along = p.by_columns ? p.M : p.K;
    FN(product) rest = p;
    if (p.transposed || tail == 0 || tail > MAX_TAIL || p.N < LANES || lanes_along < 4 * LANES)
        return FN(multiply_blocks)(p);
    rest.N -= tail;
    if (FN(multiply_blocks)(rest))
        return -1;
    if (p.by_columns)
        return FN(tail_by_columns)(&p, tail);
    FN(tail_by_rows)(&p, tail);
    return 0;
}
