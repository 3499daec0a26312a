/* Matrix products over panels: the one place where the multiplications happen.
 *
 * A panel holds NR columns (two vectors) of a matrix, row after row, so that a tile's
 * addresses are one pointer plus constants.  A matrix [rows, n] lies as ceil(n / NR) panels,
 * `jump` elements apart.  Three products share the tiles:
 *
 *     forward   out[r, j]  = sum_i x[r, i] W[i, j]     A = panels of x,     B = panels of W
 *     dX        dx[r, i]   = sum_j dout[r, j] W[i, j]  A = panels of dout,  B = panels of W^T
 *     dW        dW[i, j]   = sum_r x[r, i] dout[r, j]  A = panels of x,     B = panels of dout
 *
 * In the first two a tile's rows are rows of A (product_rows), in the third they are columns
 * of A (product_cols).  B always steps NR per k. */

#ifndef FBP_GEMM_ONCE
#define FBP_GEMM_ONCE
/* Blocks of K and of rows that keep a panel of B in the L1 cache and a block of A in the L2.
 * Insensitive within 3 % around these values. */
#define BLOCK_K 512
#define BLOCK_ROWS 252

/* REPEAT_n(F): F(0) F(1) ... F(n - 1).  The accumulators have to be named variables: as an
 * array with any run-time choice of its start value, GCC 12 keeps them in memory (a quarter
 * of the speed). */
#define REPEAT_1(F) F(0)
#define REPEAT_2(F) REPEAT_1(F) F(1)
#define REPEAT_3(F) REPEAT_2(F) F(2)
#define REPEAT_4(F) REPEAT_3(F) F(3)
#define REPEAT_5(F) REPEAT_4(F) F(4)
#define REPEAT_6(F) REPEAT_5(F) F(5)
#define REPEAT_7(F) REPEAT_6(F) F(6)
#define REPEAT_8(F) REPEAT_7(F) F(7)
#define REPEAT_9(F) REPEAT_8(F) F(8)
#define REPEAT_10(F) REPEAT_9(F) F(9)
#define REPEAT_11(F) REPEAT_10(F) F(10)
#define REPEAT_12(F) REPEAT_11(F) F(11)
#define REPEAT_13(F) REPEAT_12(F) F(12)
#define REPEAT_14(F) REPEAT_13(F) F(13)

/* Rows a tile may have: 2 vectors a row of accumulators, 2 of B and 1 of A must fit. */
#if FBP_MAX_ROWS == 14
#define FOR_EACH_ROW_COUNT(F)                                                                    \
    F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14)
#elif FBP_MAX_ROWS == 6
#define FOR_EACH_ROW_COUNT(F) F(1) F(2) F(3) F(4) F(5) F(6)
#else
#error "FBP_MAX_ROWS must be 6 or 14"
#endif

#define ACC_1(m) FN(vec) c##m##_0;
#define ACC_2(m) FN(vec) c##m##_0, c##m##_1;
#define START_1(m) c##m##_0 = start_0;
#define START_2(m) c##m##_0 = start_0; c##m##_1 = start_1;
#define RESUME_1(m) c##m##_0 = FN(load)(c + m * c_row);
#define RESUME_2(m) RESUME_1(m) c##m##_1 = FN(load)(c + m * c_row + LANES);
#define RELU_1(m) c##m##_0 = FN(where_positive)(c##m##_0, c##m##_0);
#define RELU_2(m) RELU_1(m) c##m##_1 = FN(where_positive)(c##m##_1, c##m##_1);
#define GATE_1(m) c##m##_0 = FN(where_positive)(c##m##_0, FN(load)(gate + m * c_row));
#define GATE_2(m)                                                                                \
    GATE_1(m) c##m##_1 = FN(where_positive)(c##m##_1, FN(load)(gate + m * c_row + LANES));
#define STORE_1(m) FN(store)(c + m * c_row, c##m##_0);
#define STORE_2(m) STORE_1(m) FN(store)(c + m * c_row + LANES, c##m##_1);
#define LOAD_B_1 const FN(vec) b_0 = FN(load)(b);
#define LOAD_B_2 LOAD_B_1 const FN(vec) b_1 = FN(load)(b + LANES);
#define START_VALUES_1 const FN(vec) start_0 = FN(load)(start);
#define START_VALUES_2 START_VALUES_1 const FN(vec) start_1 = FN(load)(start + LANES);
/* A's element of row m at k: rows of a panel, or columns of one. */
#define A_ROWS(m) a[m * NR + k]
#define A_COLS(m) a[m + k * NR]
#define MULTIPLY_ROWS_1(m) c##m##_0 += A_ROWS(m) * b_0;
#define MULTIPLY_ROWS_2(m) MULTIPLY_ROWS_1(m) c##m##_1 += A_ROWS(m) * b_1;
#define MULTIPLY_COLS_1(m) c##m##_0 += A_COLS(m) * b_0;
#define MULTIPLY_COLS_2(m) MULTIPLY_COLS_1(m) c##m##_1 += A_COLS(m) * b_1;

/* c[MR, NV * LANES] = start (a row, for every row) or c itself (start NULL), plus A B over
 * K.  A advances by jump after every a_len steps.  With a gate, which lies like c, elements
 * become 0 where it is not positive: the derivative of a relu; c as its own gate is a relu. */
#define DEFINE_TILE(MR, NV, KIND, A_LEN)                                                         \
    static void FN(tile_##KIND##_##MR##x##NV)(idx K, const REAL *a, idx jump, const REAL *b,     \
                                              const REAL *start, REAL *c, idx c_row,             \
                                              const REAL *gate)                                  \
    {                                                                                            \
        REPEAT_##MR(ACC_##NV)                                                                    \
        if (start) {                                                                             \
            START_VALUES_##NV                                                                    \
            REPEAT_##MR(START_##NV)                                                              \
        } else {                                                                                 \
            REPEAT_##MR(RESUME_##NV)                                                             \
        }                                                                                        \
        for (; K > 0; K -= A_LEN, a += jump) {                                                   \
            const idx len = K < (A_LEN) ? K : (A_LEN);                                           \
            for (idx k = 0; k < len; k++, b += NR) {                                             \
                LOAD_B_##NV                                                                      \
                REPEAT_##MR(MULTIPLY_##KIND##_##NV)                                              \
            }                                                                                    \
        }                                                                                        \
        if (gate == c) {                                                                         \
            REPEAT_##MR(RELU_##NV)                                                               \
        } else if (gate) {                                                                       \
            REPEAT_##MR(GATE_##NV)                                                               \
        }                                                                                        \
        REPEAT_##MR(STORE_##NV)                                                                  \
    }
#define DEFINE_TILES(MR)                                                                         \
    DEFINE_TILE(MR, 1, ROWS, NR)                                                                 \
    DEFINE_TILE(MR, 2, ROWS, NR)                                                                 \
    DEFINE_TILE(MR, 1, COLS, BLOCK_K)                                                            \
    DEFINE_TILE(MR, 2, COLS, BLOCK_K)
#define ROWS_ENTRY(MR) {FN(tile_ROWS_##MR##x1), FN(tile_ROWS_##MR##x2)},
#define COLS_ENTRY(MR) {FN(tile_COLS_##MR##x1), FN(tile_COLS_##MR##x2)},

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

/* v where the gate is positive or NaN, else 0. */
static inline FN(vec) FN(where_positive)(FN(vec) v, FN(vec) gate)
{
    return (FN(vec))((FN(lanes))v & ~(FN(lanes))(gate <= 0));
}

FOR_EACH_ROW_COUNT(DEFINE_TILES)

typedef void (*FN(tile))(idx, const REAL *, idx, const REAL *, const REAL *, REAL *, idx,
                         const REAL *);
static const FN(tile) FN(rows_tiles)[][2] = {FOR_EACH_ROW_COUNT(ROWS_ENTRY)};
static const FN(tile) FN(cols_tiles)[][2] = {FOR_EACH_ROW_COUNT(COLS_ENTRY)};

static const REAL FN(zeros)[NR];

/* c[M, n], one panel wide (n <= NR), row stride c_row: start + A B.  a: panels of A[M, K],
 * jump apart; b: panel of B[K, NR]; gate: NULL, c, or like c.  Tiles of balanced height. */
static void FN(panel_rows_product)(idx M, idx n, idx K, const REAL *a, idx jump, const REAL *b,
                                   const REAL *start, REAL *c, idx c_row, const REAL *gate)
{
    const int nv = n > LANES;
    for (idx tiles = ceil_div(M, FBP_MAX_ROWS); tiles > 0; tiles--) {
        const idx m = ceil_div(M, tiles);
        FN(rows_tiles)[m - 1][nv](K, a, jump, b, start, c, c_row, gate);
        a += m * NR;
        c += m * c_row;
        gate = gate ? gate + m * c_row : NULL;
        M -= m;
    }
}

/* c[M, n], M and n <= NR: the columns of one panel of A[K, M] times a panel of B[K, NR]. */
static void FN(panel_cols_product)(idx M, idx n, idx K, const REAL *a, const REAL *b,
                                   const REAL *start, REAL *c, idx c_row)
{
    const int nv = n > LANES;
    for (idx tiles = ceil_div(M, FBP_MAX_ROWS); tiles > 0; tiles--) {
        const idx m = ceil_div(M, tiles);
        FN(cols_tiles)[m - 1][nv](K, a, BLOCK_K * NR, b, start, c, c_row, NULL);
        a += m;
        c += m * c_row;
        M -= m;
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
