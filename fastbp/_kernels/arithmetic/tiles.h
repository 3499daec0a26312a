/* Tiles: the one place where the multiplications of matrices happen.
 *
 *     c[MR, NV * LANES] = start (a row, for every row) or c itself (start NULL), plus A B over K
 *
 * With start NULL the sum goes on from c, which is a part of it; with c as start it begins at 0, and c
 * is added to it at the end: beside a weight each product of a small learning rate would be lost, while
 * their sum is not.
 *
 * A tile is some rows of c times one to three vectors of columns, of which the last begins at
 * `last`: where the columns do not fill it, it begins earlier and computes a few twice, so that no
 * tile needs a mask.  Four kinds, by where A and B lie:
 *
 *     rows         A[m, k] = a[m a_row + k]    B[k] = b[k b_row ..]
 *     cols         A[m, k] = a[k a_row + m]    B[k] = b[k b_row ..]
 *     panel_rows   A[m, k] = a[m NR + k], and `jump` on after every NR steps;  B[k] = b[k NR ..]
 *     panel_cols   A[m, k] = a[k NR + m]       B[k] = b[k NR ..]     c of a panel, too
 *
 * The last two are for panels (gemm.h), two vectors wide at most, with constants for strides.
 * panel_rows takes a gate, which lies like c: elements become 0 where it is not positive, the
 * derivative of a relu; c as its own gate is a relu. */

#ifndef FBP_TILES_ONCE
#define FBP_TILES_ONCE
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

/* Rows of a tile by its vectors: the accumulators, a row of B and an element of A must fit. */
#if FBP_MAX_ROWS == 14
#define TILE_ROWS_1 14
#define TILE_ROWS_2 14
#define TILE_ROWS_3 9
#define FOR_EACH_TILE_1(F, KIND)                                                                 \
    F(KIND, 1, 1) F(KIND, 2, 1) F(KIND, 3, 1) F(KIND, 4, 1) F(KIND, 5, 1) F(KIND, 6, 1)          \
    F(KIND, 7, 1) F(KIND, 8, 1) F(KIND, 9, 1) F(KIND, 10, 1) F(KIND, 11, 1) F(KIND, 12, 1)       \
    F(KIND, 13, 1) F(KIND, 14, 1)
#define FOR_EACH_TILE_2(F, KIND)                                                                 \
    F(KIND, 1, 2) F(KIND, 2, 2) F(KIND, 3, 2) F(KIND, 4, 2) F(KIND, 5, 2) F(KIND, 6, 2)          \
    F(KIND, 7, 2) F(KIND, 8, 2) F(KIND, 9, 2) F(KIND, 10, 2) F(KIND, 11, 2) F(KIND, 12, 2)       \
    F(KIND, 13, 2) F(KIND, 14, 2)
#define FOR_EACH_TILE_3(F, KIND)                                                                 \
    F(KIND, 1, 3) F(KIND, 2, 3) F(KIND, 3, 3) F(KIND, 4, 3) F(KIND, 5, 3) F(KIND, 6, 3)          \
    F(KIND, 7, 3) F(KIND, 8, 3) F(KIND, 9, 3)
#elif FBP_MAX_ROWS == 6
#define TILE_ROWS_1 8
#define TILE_ROWS_2 6
#define TILE_ROWS_3 4
#define FOR_EACH_TILE_1(F, KIND)                                                                 \
    F(KIND, 1, 1) F(KIND, 2, 1) F(KIND, 3, 1) F(KIND, 4, 1) F(KIND, 5, 1) F(KIND, 6, 1)          \
    F(KIND, 7, 1) F(KIND, 8, 1)
#define FOR_EACH_TILE_2(F, KIND)                                                                 \
    F(KIND, 1, 2) F(KIND, 2, 2) F(KIND, 3, 2) F(KIND, 4, 2) F(KIND, 5, 2) F(KIND, 6, 2)
#define FOR_EACH_TILE_3(F, KIND)                                                                 \
    F(KIND, 1, 3) F(KIND, 2, 3) F(KIND, 3, 3) F(KIND, 4, 3)
#else
#error "FBP_MAX_ROWS must be 6 or 14"
#endif
#define TILE_VECTORS 3

/* Tiles of balanced height for so many rows of some vectors. */
static inline fbp_shares tiles_of(idx rows, idx vectors)
{
    return shares_of(rows, vectors == 1   ? ceil_div(rows, TILE_ROWS_1)
                           : vectors == 2 ? ceil_div(rows, TILE_ROWS_2)
                                          : ceil_div(rows, TILE_ROWS_3));
}

#define VECTORS_1(v) FN(vec) v##_0;
#define VECTORS_2(v) VECTORS_1(v) FN(vec) v##_1;
#define VECTORS_3(v) VECTORS_2(v) FN(vec) v##_2;
#define LOAD_1(v, from) v##_0 = FN(load)((from) + last);
#define LOAD_2(v, from) v##_0 = FN(load)(from); v##_1 = FN(load)((from) + last);
#define LOAD_3(v, from)                                                                          \
    v##_0 = FN(load)(from); v##_1 = FN(load)((from) + LANES); v##_2 = FN(load)((from) + last);
#define ACC_1(m) VECTORS_1(c##m)
#define ACC_2(m) VECTORS_2(c##m)
#define ACC_3(m) VECTORS_3(c##m)
#define START_1(m) c##m##_0 = s_0;
#define START_2(m) START_1(m) c##m##_1 = s_1;
#define START_3(m) START_2(m) c##m##_2 = s_2;
#define RESUME_1(m) LOAD_1(c##m, c + m * c_row)
#define RESUME_2(m) LOAD_2(c##m, c + m * c_row)
#define RESUME_3(m) LOAD_3(c##m, c + m * c_row)
#define ZERO_1(m) c##m##_0 = (FN(vec)){0};
#define ZERO_2(m) ZERO_1(m) c##m##_1 = (FN(vec)){0};
#define ZERO_3(m) ZERO_2(m) c##m##_2 = (FN(vec)){0};
#define ADD_1(m) c##m##_0 += FN(load)(c + m * c_row + last);
#define ADD_2(m) c##m##_0 += FN(load)(c + m * c_row); c##m##_1 += FN(load)(c + m * c_row + last);
#define ADD_3(m)                                                                                 \
    c##m##_0 += FN(load)(c + m * c_row); c##m##_1 += FN(load)(c + m * c_row + LANES);            \
    c##m##_2 += FN(load)(c + m * c_row + last);
#define STORE_1(m) FN(store)(c + m * c_row + last, c##m##_0);
#define STORE_2(m)                                                                               \
    FN(store)(c + m * c_row, c##m##_0); FN(store)(c + m * c_row + last, c##m##_1);
#define STORE_3(m)                                                                               \
    FN(store)(c + m * c_row, c##m##_0); FN(store)(c + m * c_row + LANES, c##m##_1);              \
    FN(store)(c + m * c_row + last, c##m##_2);
#define RELU_1(m) c##m##_0 = FN(where_positive)(c##m##_0, c##m##_0);
#define RELU_2(m) RELU_1(m) c##m##_1 = FN(where_positive)(c##m##_1, c##m##_1);
#define GATE_1(m) c##m##_0 = FN(where_positive)(c##m##_0, FN(load)(gate + m * c_row));
#define GATE_2(m)                                                                                \
    GATE_1(m) c##m##_1 = FN(where_positive)(c##m##_1, FN(load)(gate + m * c_row + LANES));
#define MULTIPLY_1(m, A) c##m##_0 += A(m) * b_0;
#define MULTIPLY_2(m, A) MULTIPLY_1(m, A) c##m##_1 += A(m) * b_1;
#define MULTIPLY_3(m, A) MULTIPLY_2(m, A) c##m##_2 += A(m) * b_2;

/* A kind is its arguments, what it begins with, the loop over K, and the end before c is stored. */
#define ARGUMENTS_STRIDES                                                                        \
    (idx K, const REAL *a, idx a_row, const REAL *b, idx b_row, idx last, const REAL *start,     \
     REAL *c, idx c_row)
#define LOOP_STRIDES(MR, NV, STEP, ADVANCE)                                                      \
    for (; K > 0; K--) {                                                                         \
        VECTORS_##NV(b) LOAD_##NV(b, b)                                                          \
        REPEAT_##MR(STEP)                                                                        \
        b += b_row;                                                                              \
        ADVANCE                                                                                  \
    }

#define ARGUMENTS_rows ARGUMENTS_STRIDES
/* One pointer for four rows: an address reaches 0, 1, 2 and, with a register, 3 strides. */
#define BEGIN_rows(NV)                                                                           \
    const REAL *a_of[4] = {a, a + 4 * a_row, a + 8 * a_row, a + 12 * a_row};
#define A_rows(m) a_of[(m) / 4][(m) % 4 * a_row]
#define STEP_rows_1(m) MULTIPLY_1(m, A_rows)
#define STEP_rows_2(m) MULTIPLY_2(m, A_rows)
#define STEP_rows_3(m) MULTIPLY_3(m, A_rows)
#define LOOP_rows(MR, NV)                                                                        \
    LOOP_STRIDES(MR, NV, STEP_rows_##NV, a_of[0]++; a_of[1]++; a_of[2]++; a_of[3]++;)
#define END_rows(MR, NV)

#define ARGUMENTS_cols ARGUMENTS_STRIDES
#define BEGIN_cols(NV)
#define A_cols(m) a[m]
#define STEP_cols_1(m) MULTIPLY_1(m, A_cols)
#define STEP_cols_2(m) MULTIPLY_2(m, A_cols)
#define STEP_cols_3(m) MULTIPLY_3(m, A_cols)
#define LOOP_cols(MR, NV) LOOP_STRIDES(MR, NV, STEP_cols_##NV, a += a_row;)
#define END_cols(MR, NV)

#define ARGUMENTS_panel_cols (idx K, const REAL *a, const REAL *b, const REAL *start, REAL *c)
#define BEGIN_panel_cols(NV) enum { last = (NV - 1) * LANES, c_row = NR, a_row = NR, b_row = NR };
#define LOOP_panel_cols(MR, NV) LOOP_cols(MR, NV)
#define END_panel_cols(MR, NV)

#define ARGUMENTS_panel_rows                                                                     \
    (idx K, const REAL *a, idx jump, const REAL *b, const REAL *start, REAL *c, const REAL *gate)
#define BEGIN_panel_rows(NV) enum { last = (NV - 1) * LANES, c_row = NR };
#define A_panel_rows(m) a[m * NR + k]
#define STEP_panel_rows_1(m) MULTIPLY_1(m, A_panel_rows)
#define STEP_panel_rows_2(m) MULTIPLY_2(m, A_panel_rows)
#define LOOP_panel_rows(MR, NV)                                                                  \
    for (; K > 0; K -= NR, a += jump) {                                                          \
        const idx len = K < NR ? K : NR;                                                         \
        for (idx k = 0; k < len; k++, b += NR) {                                                 \
            VECTORS_##NV(b) LOAD_##NV(b, b)                                                      \
            REPEAT_##MR(STEP_panel_rows_##NV)                                                    \
        }                                                                                        \
    }
#define END_panel_rows(MR, NV)                                                                   \
    if (gate == c) {                                                                             \
        REPEAT_##MR(RELU_##NV)                                                                   \
    } else if (gate) {                                                                           \
        REPEAT_##MR(GATE_##NV)                                                                   \
    }

#define DEFINE_TILE(KIND, MR, NV)                                                                \
    static void FN(KIND##_##MR##x##NV)ARGUMENTS_##KIND                                           \
    {                                                                                            \
        BEGIN_##KIND(NV)                                                                         \
        REPEAT_##MR(ACC_##NV)                                                                    \
        if (start == c) {                                                                        \
            REPEAT_##MR(ZERO_##NV)                                                               \
        } else if (start) {                                                                      \
            VECTORS_##NV(s) LOAD_##NV(s, start)                                                  \
            REPEAT_##MR(START_##NV)                                                              \
        } else {                                                                                 \
            REPEAT_##MR(RESUME_##NV)                                                             \
        }                                                                                        \
        LOOP_##KIND(MR, NV)                                                                      \
        if (start == c) {                                                                        \
            REPEAT_##MR(ADD_##NV)                                                                \
        }                                                                                        \
        END_##KIND(MR, NV)                                                                       \
        REPEAT_##MR(STORE_##NV)                                                                  \
    }
#define TILE_ENTRY(KIND, MR, NV) [NV - 1][MR - 1] = FN(KIND##_##MR##x##NV),
#define FOR_EACH_PANEL_TILE(F, KIND) FOR_EACH_TILE_1(F, KIND) FOR_EACH_TILE_2(F, KIND)
#define FOR_EACH_TILE(F, KIND) FOR_EACH_PANEL_TILE(F, KIND) FOR_EACH_TILE_3(F, KIND)
#endif

/* v where the gate is positive or NaN, else 0. */
static inline FN(vec) FN(where_positive)(FN(vec) v, FN(vec) gate)
{
    return (FN(vec))((FN(lanes))v & ~(FN(lanes))(gate <= 0));
}

FOR_EACH_TILE(DEFINE_TILE, rows)
FOR_EACH_TILE(DEFINE_TILE, cols)
FOR_EACH_PANEL_TILE(DEFINE_TILE, panel_rows)
FOR_EACH_PANEL_TILE(DEFINE_TILE, panel_cols)

typedef void FN(tile) ARGUMENTS_STRIDES;
typedef void FN(panel_tile) ARGUMENTS_panel_rows;
typedef void FN(panel_cols_tile) ARGUMENTS_panel_cols;
/* By vectors and rows, less 1 each; the first by columns of A, too. */
static FN(tile) *const FN(tiles)[2][TILE_VECTORS][TILE_ROWS_1] = {
    {FOR_EACH_TILE(TILE_ENTRY, rows)},
    {FOR_EACH_TILE(TILE_ENTRY, cols)},
};
static FN(panel_tile) *const FN(panel_tiles)[2][TILE_ROWS_1] = {
    FOR_EACH_PANEL_TILE(TILE_ENTRY, panel_rows)};
static FN(panel_cols_tile) *const FN(panel_cols_tiles)[2][TILE_ROWS_1] = {
    FOR_EACH_PANEL_TILE(TILE_ENTRY, panel_cols)};
