/* Rows of tables: of W's numbers `widths` of each column's, from where `places` has them. */

/* to = from, to += from; of n numbers, most often a few. */
#define DEFINE_SOME(name, TAKE)                                                                  \
    static inline __attribute__((always_inline)) void FN(name)(                                  \
        REAL *restrict to, const REAL *restrict from, idx n)                                     \
    {                                                                                            \
        for (; n >= LANES; n -= LANES, to += LANES, from += LANES)                               \
            for (int i = 0; i < LANES; i++)                                                      \
                to[i] TAKE from[i];                                                              \
        SOME_OF(8, TAKE)                                                                         \
        SOME_OF(4, TAKE)                                                                         \
        SOME_OF(2, TAKE)                                                                         \
        SOME_OF(1, TAKE)                                                                         \
    }
#define SOME_OF(m, TAKE)                                                                         \
    if (LANES > (m) && n & (m)) {                                                                \
        for (int i = 0; i < (m); i++)                                                            \
            to[i] TAKE from[i];                                                                  \
        to += (m), from += (m);                                                                  \
    }
DEFINE_SOME(copy_some, =)
DEFINE_SOME(add_some, +=)
#undef SOME_OF
#undef DEFINE_SOME

/* out[rows, stride]: the columns' rows of tables beside each other. */
static void FN(embedding_forward)(const REAL *W, const int64_t *places, const int64_t *widths,
                                  REAL *out, idx rows, idx columns, idx stride)
{
    for (idx r = 0; r < rows; r++, out += stride, places += columns) {
        REAL *to = out;
        for (idx c = 0; c < columns; to += widths[c++])
            FN(copy_some)(to, W + places[c], (idx)widths[c]);
    }
}

/* dW[n] = the sums of dout over the rows of each place. */
static void FN(embedding_backward)(const REAL *dout, const int64_t *places, const int64_t *widths,
                                   REAL *dW, idx rows, idx columns, idx stride, idx n)
{
    memset(dW, 0, (size_t)n * sizeof(REAL));
    for (idx r = 0; r < rows; r++, dout += stride, places += columns) {
        const REAL *from = dout;
        for (idx c = 0; c < columns; from += widths[c++])
            FN(add_some)(dW + places[c], from, (idx)widths[c]);
    }
}
