/* Rows of the data, in any order, into the panels of a batch: dense ones, of bytes too, and CSR. */

/* How far ahead of the copy rows in any order are asked for from memory. */
#define ROWS_AHEAD 4
/* The last columns of a dense row are read as whole vectors, beyond the row's end but not beyond
 * the matrix's, and the surplus is masked. */
#define DEFINE_GATHER(T)                                                                         \
    typedef T FN(T##_lanes)                                                                      \
        __attribute__((vector_size(LANES * sizeof(T)), aligned(sizeof(T)), may_alias));          \
    static void FN(gather_##T)(const FN(plan) *plan, const fbp_source *source, idx from, idx to) \
    {                                                                                            \
        const idx whole = plan->n_in / NR * NR, rest = plan->n_in - whole;                       \
        FN(lanes) keep[2];                                                                       \
        for (int k = 0; k < NR; k++)                                                             \
            keep[k / LANES][k % LANES] = k < rest ? -1 : 0;                                      \
        for (idx r = from; r < to; r++) {                                                        \
            const idx row = source->rows ? (idx)source->rows[r] : r;                             \
            REAL *dst = plan->x + r * NR;                                                        \
            if (source->indptr) {                                                                \
                for (idx j = 0; j < plan->n_in; j += NR)                                         \
                    memset(dst + j / NR * plan->jump, 0, NR * sizeof(REAL));                     \
                for (int64_t e = source->indptr[row]; e < source->indptr[row + 1]; e++) {        \
                    const idx j = (idx)source->indices[e];                                       \
                    dst[j / NR * plan->jump + j % NR] += (REAL)((const T *)source->data)[e];     \
                }                                                                                \
                continue;                                                                        \
            }                                                                                    \
            const T *src = (const T *)source->data + row * source->stride;                       \
            if (source->rows) {                                                                  \
                const idx next = (idx)source->rows[min_idx(r + ROWS_AHEAD, to - 1)];             \
                const char *line = (const char *)((const T *)source->data + next * plan->n_in);  \
                for (idx i = 0; i < plan->n_in * (idx)sizeof(T); i += 64)                        \
                    __builtin_prefetch(line + i);                                                \
            }                                                                                    \
            for (idx j = 0; j < whole; j += NR, src += NR, dst += plan->jump)                    \
                for (idx k = 0; k < NR; k++)                                                     \
                    dst[k] = (REAL)src[k];                                                       \
            if (row * source->stride + whole + NR <= source->size) {                             \
                for (idx k = 0; k < rest; k += LANES) {                                          \
                    const FN(T##_lanes) v = *(const FN(T##_lanes) *)(src + k);                   \
                    FN(store)(dst + k, (FN(vec))((FN(lanes))__builtin_convertvector(v, FN(vec)) & \
                                                 keep[k / LANES]));                              \
                }                                                                                \
            } else {                                                                             \
                for (idx k = 0; k < rest; k++)                                                   \
                    dst[k] = (REAL)src[k];                                                       \
            }                                                                                    \
        }                                                                                        \
    }
DEFINE_GATHER(float)
DEFINE_GATHER(double)
DEFINE_GATHER(uint8_t)

static void FN(gather)(const FN(plan) *plan, const fbp_batch *batch, idx from, idx to)
{
    const fbp_source *x = &batch->x;
    switch (x->type) {
    case FBP_FLOAT32: FN(gather_float)(plan, x, from, to); break;
    case FBP_FLOAT64: FN(gather_double)(plan, x, from, to); break;
    case FBP_UINT8: FN(gather_uint8_t)(plan, x, from, to); break;
    }
    for (idx r = from; r < to; r++) {
        const idx row = x->rows ? (idx)x->rows[r] : r, n = plan->n_out;
        if (batch->classes)
            plan->classes[r] = batch->classes[row];
        else if (batch->t)
            memcpy(plan->t + r * n, (const REAL *)batch->t + row * n, (size_t)n * sizeof(REAL));
        if (batch->weights)
            plan->weights[r] = ((const REAL *)batch->weights)[row];
    }
}
