/* Rows of the data, in any order, into the panels of a batch: dense ones, of bytes too (CSR:
 * sparse.h).  Row numbers and classes are checked here, where they are read: whoever owns the
 * arrays may write to them meanwhile. */

#ifndef FBP_ENGINE_GATHER_ONCE
#define FBP_ENGINE_GATHER_ONCE
/* How many rows in any order are asked for ahead of their copy: of more bytes, and of more than the
 * cache holds, fewer. */
static inline idx rows_ahead(idx bytes)
{
    return bytes < 128 ? 32 : bytes < 1024 ? 4096 / bytes : 4;
}

/* Row `row` of rows of so many bytes; without effect where there is no such memory. */
static inline void prefetch(const void *start, int64_t row, idx bytes)
{
    const uintptr_t address = (uintptr_t)start + (uintptr_t)row * (uintptr_t)bytes;
    for (uintptr_t line = address / 64 * 64; line < address + (uintptr_t)bytes; line += 64)
        __builtin_prefetch((const void *)line);
}
#endif

/* Ask for the row, of so many bytes, that is copied so many rows after row r of a part from .. to,
 * with its target and weight: of the next batch, where this one has no more.  Its number may be any:
 * it is checked when its turn comes. */
static inline void FN(ask_for)(const FN(plan) *plan, const fbp_batch *batch, idx from, idx to, idx r,
                               idx ahead, idx bytes)
{
    const fbp_source *const x = &batch->x;
    const idx place = r + ahead < to ? r + ahead : r + ahead + batch->rows - (to - from);
    if (place >= x->n_numbers)
        return;
    const int64_t row = x->rows[place];
    prefetch(x->data, row, bytes);
    if (batch->classes)
        prefetch(batch->classes, row, sizeof *batch->classes);
    else if (batch->t)
        prefetch(batch->t, row, plan->n_out * (idx)sizeof(REAL));
    if (batch->weights)
        prefetch(batch->weights, row, sizeof(REAL));
}

/* The last columns of a dense row are read as whole vectors, beyond the row's end but not beyond
 * the matrix's, and the surplus is masked.  The squares of rows are added up on the way.  Gives
 * whether all row numbers were in range; what is not is left out. */
#define DEFINE_GATHER(T)                                                                         \
    typedef T FN(T##_lanes)                                                                      \
        __attribute__((vector_size(LANES * sizeof(T)), aligned(sizeof(T)), may_alias));          \
    static inline FN(vec) FN(T##_vec)(const T *src)                                              \
    {                                                                                            \
        return __builtin_convertvector(*(const FN(T##_lanes) *)src, FN(vec));                    \
    }                                                                                            \
    static int FN(gather_##T)(const FN(plan) *plan, const fbp_batch *batch, idx from, idx to,    \
                              FN(vec) *squares)                                                  \
    {                                                                                            \
        const fbp_source *const source = &batch->x;                                              \
        const idx n_in = plan->n_in;                                                             \
        const idx whole = n_in > NR ? n_in / NR * NR : 0, rest = n_in - whole;                   \
        const idx jump = plan->jump, size = source->size;                                        \
        const int64_t *const rows = source->rows;                                                \
        const idx bytes = n_in * (idx)sizeof(T), ahead = rows_ahead(bytes);                      \
        FN(lanes) keep[2];                                                                       \
        FN(vec) s_0 = {0}, s_1 = {0}, s_2 = {0}, s_3 = {0};                                      \
        int held = 1;                                                                            \
        for (int k = 0; k < NR; k++)                                                             \
            keep[k / LANES][k % LANES] = k < rest ? -1 : 0;                                      \
        /* Rows of one panel, which a few instructions would delay. */                           \
        for (idx r = from; r < to && whole == 0; r++) {                                          \
            const idx row = row_at(source, r);                                                   \
            REAL *dst = plan->x + r * NR;                                                        \
            if (row < 0) {                                                                       \
                held = 0;                                                                        \
                continue;                                                                        \
            }                                                                                    \
            const T *src = (const T *)source->data + row * rest;                                 \
            if (row * rest + NR <= size) {                                                       \
                if (rows)                                                                        \
                    FN(ask_for)(plan, batch, from, to, r, ahead, bytes);                         \
                const FN(vec) v = (FN(vec))((FN(lanes))FN(T##_vec)(src) & keep[0]);              \
                FN(store)(dst, v);                                                               \
                s_0 += v * v;                                                                    \
                if (rest <= LANES)                                                               \
                    continue;                                                                    \
                const FN(vec) w = (FN(vec))((FN(lanes))FN(T##_vec)(src + LANES) & keep[1]);      \
                FN(store)(dst + LANES, w);                                                       \
                s_1 += w * w;                                                                    \
            } else {                                                                             \
                for (idx k = 0; k < rest; k++)                                                   \
                    dst[k] = (REAL)src[k];                                                       \
                FN(add_squares)(dst, 1, LANES, &s_2);                                            \
            }                                                                                    \
        }                                                                                        \
        for (idx r = from; r < to && whole > 0; r++) {                                           \
            idx row = row_at(source, r);                                                         \
            REAL *dst = plan->x + r * NR;                                                        \
            if (row < 0)                                                                         \
                row = held = 0;                                                                  \
            const T *src = (const T *)source->data + row * n_in;                                 \
            if (rows)                                                                            \
                FN(ask_for)(plan, batch, from, to, r, ahead, bytes);                             \
            idx j = 0;                                                                           \
            for (; j + 2 * NR <= whole; j += 2 * NR, src += 2 * NR, dst += 2 * jump) {           \
                const FN(vec) a = FN(T##_vec)(src), b = FN(T##_vec)(src + LANES);                \
                const FN(vec) c = FN(T##_vec)(src + NR), d = FN(T##_vec)(src + NR + LANES);      \
                FN(store)(dst, a);                                                               \
                FN(store)(dst + LANES, b);                                                       \
                FN(store)(dst + jump, c);                                                        \
                FN(store)(dst + jump + LANES, d);                                                \
                s_0 += a * a;                                                                    \
                s_1 += b * b;                                                                    \
                s_2 += c * c;                                                                    \
                s_3 += d * d;                                                                    \
            }                                                                                    \
            for (; j < whole; j += NR, src += NR, dst += jump)                                   \
                for (idx k = 0; k < NR; k++)                                                     \
                    dst[k] = (REAL)src[k];                                                       \
            if (row * n_in + whole + NR <= size) {                                               \
                for (idx k = 0; k < rest; k += LANES) {                                          \
                    FN(store)(dst + k, (FN(vec))((FN(lanes))FN(T##_vec)(src + k) &               \
                                                 keep[k / LANES]));                              \
                }                                                                                \
            } else {                                                                             \
                for (idx k = 0; k < rest; k++)                                                   \
                    dst[k] = (REAL)src[k];                                                       \
            }                                                                                    \
        }                                                                                        \
        /* ... and those of wide rows' other columns here: one sum would wait for itself. */     \
        const idx done = whole == 0 ? n_in : whole / (2 * NR) * 2 * NR;                          \
        s_0 = (s_0 + s_1) + (s_2 + s_3);                                                         \
        FN(add_squares_of)(plan->x + done / NR * jump + from * NR, n_in - done, jump, to - from, \
                           &s_0);                                                                \
        *squares += s_0;                                                                         \
        return held;                                                                             \
    }
DEFINE_GATHER(float)
DEFINE_GATHER(double)
DEFINE_GATHER(uint8_t)

/* Whether the classes of rows from .. to, copied already, are some of the outputs; others become 0. */
static int FN(check_classes)(const FN(plan) *plan, idx from, idx to)
{
    const uint64_t n = (uint64_t)plan->n_out;
    int64_t *classes = plan->classes;
    int yes = 1;
    for (idx r = from; r < to; r++)
        yes &= (uint64_t)classes[r] < n;
    for (idx r = from; r < to && !yes; r++)
        classes[r] = 0;
    return yes;
}

/* A softmax's targets of rows from .. to, classes or shares, as shares of which a part of
 * `loss_number` goes to all classes alike. */
static void FN(smooth)(const FN(plan) *plan, int by_classes, idx from, idx to)
{
    const idx n = plan->n_out;
    const REAL keep = (REAL)(1 - plan->loss_number), all = (REAL)(plan->loss_number / (double)n);
    for (idx r = from; r < to; r++) {
        REAL *t = plan->t + r * n;
        for (idx j = 0; j < n; j++)
            t[j] = all + keep * (by_classes ? (REAL)(j == (idx)plan->classes[r]) : t[j]);
    }
}

static int FN(gather_categories)(const FN(plan) *plan, const fbp_batch *batch, idx from, idx to);

static int FN(gather)(const FN(plan) *plan, const fbp_batch *batch, idx from, idx to,
                      FN(vec) *squares)
{
    const fbp_source *x = &batch->x;
    const int64_t *const rows = x->rows, *const classes = batch->classes;
    const REAL *const weights = batch->weights, *const t = batch->t;
    const idx n = plan->n_out, n_rows = x->n_rows;
    int held = 1;
    switch (plan->places ? -2 : x->indptr ? -1 : (int)x->type) {
    case -2: held = FN(gather_categories)(plan, batch, from, to); break;
    case FBP_FLOAT32: held = FN(gather_float)(plan, batch, from, to, squares); break;
    case FBP_FLOAT64: held = FN(gather_double)(plan, batch, from, to, squares); break;
    case FBP_UINT8: held = FN(gather_uint8_t)(plan, batch, from, to, squares); break;
    default: held = FN(gather_entries)(plan, x, from, to, squares); break;
    }
    for (idx r = from, row, m; r < to; r += m) { /* rows in their order go all at once */
        row = row_at(x, r);
        m = rows ? 1 : to - from;
        if (row < 0 || m > n_rows - row)
            return 0;
        if (classes)
            memcpy(plan->classes + r, classes + row, (size_t)m * sizeof *classes);
        else if (t)
            memcpy(plan->t + r * n, t + row * n, (size_t)(m * n) * sizeof(REAL));
        if (weights)
            memcpy(plan->weights + r, weights + row, (size_t)m * sizeof(REAL));
    }
    held &= !classes || FN(check_classes)(plan, from, to);
    if (FN(is_smooth)(plan))
        FN(smooth)(plan, classes != NULL, from, to);
    return held;
}
