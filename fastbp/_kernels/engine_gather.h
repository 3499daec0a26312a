/* Rows of the data, in any order, into the panels of a batch: dense ones, of bytes too, and CSR.
 * Row numbers, classes and columns are checked here, where they are read: whoever owns the arrays
 * may write to them meanwhile. */

/* How far ahead of the copy rows in any order are asked for from memory. */
#define ROWS_AHEAD 4
/* The last columns of a dense row are read as whole vectors, beyond the row's end but not beyond
 * the matrix's, and the surplus is masked.  The squares of what is copied are added up.  Gives
 * whether all was in range; what is not is left out. */
#define DEFINE_GATHER(T)                                                                         \
    typedef T FN(T##_lanes)                                                                      \
        __attribute__((vector_size(LANES * sizeof(T)), aligned(sizeof(T)), may_alias));          \
    static int FN(gather_##T)(const FN(plan) *plan, const fbp_source *source, idx from, idx to,  \
                              FN(vec) *squares)                                                  \
    {                                                                                            \
        const idx whole = plan->n_in / NR * NR, rest = plan->n_in - whole;                       \
        FN(lanes) keep[2];                                                                       \
        FN(vec) even = {0}, odd = {0};                                                           \
        int held = 1;                                                                            \
        for (int k = 0; k < NR; k++)                                                             \
            keep[k / LANES][k % LANES] = k < rest ? -1 : 0;                                      \
        for (idx r = from; r < to; r++) {                                                        \
            const idx row = source->rows ? (idx)source->rows[r] : r;                             \
            REAL *dst = plan->x + r * NR;                                                        \
            if (row < 0 || row >= source->n_rows) {                                              \
                held = 0;                                                                        \
                continue;                                                                        \
            }                                                                                    \
            if (source->indptr) {                                                                \
                const int64_t begin = source->indptr[row], end = source->indptr[row + 1];        \
                for (idx j = 0; j < plan->n_in; j += NR)                                         \
                    memset(dst + j / NR * plan->jump, 0, NR * sizeof(REAL));                     \
                if (begin < 0 || end > source->size) {                                           \
                    held = 0;                                                                    \
                    continue;                                                                    \
                }                                                                                \
                for (int64_t e = begin; e < end; e++) {                                          \
                    const idx j = (idx)source->indices[e];                                       \
                    if (j < 0 || j >= plan->n_in)                                                \
                        held = 0;                                                                \
                    else                                                                         \
                        dst[j / NR * plan->jump + j % NR] +=                                     \
                            (REAL)((const T *)source->data)[e];                                  \
                }                                                                                \
                FN(add_squares)(plan->x + r * NR, plan->n_in, plan->jump, 1, squares);           \
                continue;                                                                        \
            }                                                                                    \
            const T *src = (const T *)source->data + row * source->stride;                       \
            if (source->rows) {                                                                  \
                const idx next = (idx)source->rows[min_idx(r + ROWS_AHEAD, to - 1)];             \
                const char *line = (const char *)((const T *)source->data + next * plan->n_in);  \
                for (idx i = 0; i < plan->n_in * (idx)sizeof(T); i += 64)                        \
                    __builtin_prefetch(line + i);                                                \
            }                                                                                    \
            for (idx j = 0; j < whole; j += NR, src += NR, dst += plan->jump) {                  \
                for (idx k = 0; k < NR; k++)                                                     \
                    dst[k] = (REAL)src[k];                                                       \
                const FN(vec) a = FN(load)(dst), b = FN(load)(dst + LANES);                      \
                even += a * a;                                                                   \
                odd += b * b;                                                                    \
            }                                                                                    \
            if (row * source->stride + whole + NR <= source->size) {                             \
                for (idx k = 0; k < rest; k += LANES) {                                          \
                    const FN(T##_lanes) v = *(const FN(T##_lanes) *)(src + k);                   \
                    const FN(vec) a = (FN(vec))((FN(lanes))__builtin_convertvector(v, FN(vec)) & \
                                                keep[k / LANES]);                                \
                    FN(store)(dst + k, a);                                                       \
                    even += a * a;                                                               \
                }                                                                                \
            } else {                                                                             \
                for (idx k = 0; k < rest; k++) {                                                 \
                    dst[k] = (REAL)src[k];                                                       \
                    odd[0] += dst[k] * dst[k];                                                   \
                }                                                                                \
            }                                                                                    \
        }                                                                                        \
        *squares += even + odd;                                                                  \
        return held;                                                                             \
    }
DEFINE_GATHER(float)
DEFINE_GATHER(double)
DEFINE_GATHER(uint8_t)

static int FN(gather)(const FN(plan) *plan, const fbp_batch *batch, idx from, idx to,
                      FN(vec) *squares)
{
    const fbp_source *x = &batch->x;
    int held = 1;
    switch (x->type) {
    case FBP_FLOAT32: held = FN(gather_float)(plan, x, from, to, squares); break;
    case FBP_FLOAT64: held = FN(gather_double)(plan, x, from, to, squares); break;
    case FBP_UINT8: held = FN(gather_uint8_t)(plan, x, from, to, squares); break;
    }
    for (idx r = from; r < to; r++) {
        const idx row = x->rows ? (idx)x->rows[r] : r, n = plan->n_out;
        if (row < 0 || row >= x->n_rows) {
            held = plan->classes[r] = 0;
            continue;
        }
        if (batch->classes) {
            const int64_t class = batch->classes[row];
            const int known = class >= 0 && class < n;
            held &= known;
            plan->classes[r] = known ? class : 0;
        } else if (batch->t) {
            memcpy(plan->t + r * n, (const REAL *)batch->t + row * n, (size_t)n * sizeof(REAL));
        }
        if (batch->weights)
            plan->weights[r] = ((const REAL *)batch->weights)[row];
    }
    return held;
}
