/* CSR rows: a first affine op multiplies by a batch's entries only, forward and for dW.
 *
 * The entries are copied when a step begins, and checked there: whoever owns the arrays may write to
 * them meanwhile.  Sums go entry by entry, in the order of the rows. */

#ifndef FBP_ENGINE_SPARSE_ONCE
#define FBP_ENGINE_SPARSE_ONCE
/* How far ahead of the product rows of W are asked for from memory. */
#define ENTRIES_AHEAD 4

static inline double number_at(const void *data, fbp_type type, idx i)
{
    return type == FBP_FLOAT32   ? (double)((const float *)data)[i]
           : type == FBP_FLOAT64 ? ((const double *)data)[i]
                                 : (double)((const uint8_t *)data)[i];
}

static inline double element_of(const fbp_source *source, idx i)
{
    return number_at(source->data, source->type, i);
}
#endif

/* Places for the entries of each row of a batch; gives whether the rows and their lengths hold. */
static APART int FN(place_entries)(FN(plan) *plan, const fbp_batch *batch)
{
    const fbp_source *x = &batch->x;
    uint64_t used = 0;
    plan->sparse = plan->ops[0].layer.kind == FBP_AFFINE;
    plan->entries = x->room;
    plan->sorted = x->room + x->capacity;
    for (idx r = 0; r < batch->rows; r++) {
        const idx row = row_at(x, r);
        if (row < 0)
            return 0;
        const uint64_t n = (uint64_t)x->indptr[row + 1] - (uint64_t)x->indptr[row];
        if (n > (uint64_t)x->capacity - used)
            return 0;
        plan->starts[r] = (idx)used;
        used += n;
        plan->starts[r + 1] = (idx)used;
    }
    return 1;
}

/* Rows from .. to of a batch of entries into the panels of x, for an op that takes no entries. */
static void FN(make_dense)(const FN(plan) *plan, idx from, idx to)
{
    for (idx j = 0; j < plan->n_in; j += NR)
        memset(plan->x + j / NR * plan->jump + from * NR, 0,
               (size_t)(to - from) * NR * sizeof(REAL));
    for (idx k = plan->starts[from]; k < plan->starts[to]; k++) {
        const fbp_entry e = plan->entries[k];
        plan->x[e.column / NR * plan->jump + e.row * NR + e.column % NR] += (REAL)e.value;
    }
}

/* Copy the entries of rows from .. to into their places; gives whether all were in range. */
static APART int FN(gather_entries)(const FN(plan) *plan, const fbp_source *x, idx from, idx to,
                                    FN(vec) *squares)
{
    int held = 1;
    for (idx r = from; r < to; r++) {
        const idx n = plan->starts[r + 1] - plan->starts[r], row = row_at(x, r);
        const int64_t begin = row < 0 ? -1 : x->indptr[row];
        fbp_entry *entries = plan->entries + plan->starts[r];
        const int here = begin >= 0 && begin <= x->size - n;
        for (idx k = 0; k < n; k++) {
            const int64_t column = here ? x->indices[begin + k] : -1;
            const int within = (uint64_t)column < (uint64_t)plan->n_in;
            held &= within;
            entries[k].row = r;
            entries[k].column = within ? (idx)column : 0;
            entries[k].value = within ? element_of(x, begin + k) : 0;
        }
    }
    FN(add_squares_of_entries)(plan, from, to, squares);
    if (!plan->sparse)
        FN(make_dense)(plan, from, to);
    return held;
}

/* out += value row, of NR columns. */
static inline void FN(add_row)(REAL *out, REAL value, const REAL *row)
{
    for (int k = 0; k < NR; k += LANES)
        FN(store)(out + k, FN(load)(out + k) + value * FN(load)(row + k));
}

static APART void FN(sparse_forward)(const FN(plan) *plan, const FN(op) *op, idx from, idx to)
{
    const idx jump = plan->jump, panel = op->layer.n_in * NR, n = ceil_div(op->layer.n_out, NR);
    const fbp_entry *end = plan->entries + plan->starts[to];
    for (idx j = 0; j < n; j++)
        for (idx r = from; r < to; r++)
            memcpy(op->out + j * jump + r * NR, op->b + j * NR, NR * sizeof(REAL));
    for (const fbp_entry *e = plan->entries + plan->starts[from]; e < end; e++) {
        const REAL *W = op->W + e->column * NR;
        const REAL *next = op->W + e[min_idx(ENTRIES_AHEAD, end - 1 - e)].column * NR;
        REAL *out = op->out + e->row * NR;
        for (idx j = 0; j < n; j++) {
            __builtin_prefetch(next + j * panel);
            FN(add_row)(out + j * jump, (REAL)e->value, W + j * panel);
        }
    }
    for (idx j = 0; op->relu_out && j < n; j++) {
        REAL *out = op->out + j * jump + from * NR;
        FN(relu_forward)(out, out, 0, 0, (to - from) * NR);
    }
}

/* The entries by input panels, in each in the order of the rows: from firsts[panel] on. */
static APART void FN(sort_entries)(const FN(plan) *plan, idx rows)
{
    const idx panels = ceil_div(plan->n_in, NR), n = plan->starts[rows];
    idx *firsts = plan->firsts, *places = firsts + 1;
    memset(firsts, 0, (size_t)(panels + 2) * sizeof *firsts);
    for (idx k = 0; k < n; k++)
        firsts[plan->entries[k].column / NR + 2]++;
    for (idx p = 2; p < panels + 2; p++)
        firsts[p] += firsts[p - 1];
    for (idx k = 0; k < n; k++)
        plan->sorted[places[plan->entries[k].column / NR]++] = plan->entries[k];
}

/* dw[m, NR] = those rows of x^T dout that an input panel has. */
static void FN(sparse_block)(const FN(plan) *plan, idx p, idx m, const REAL *dout, REAL *dw)
{
    memset(dw, 0, (size_t)m * NR * sizeof(REAL));
    for (idx k = plan->firsts[p]; k < plan->firsts[p + 1]; k++) {
        const fbp_entry e = plan->sorted[k];
        FN(add_row)(dw + (e.column - p * NR) * NR, (REAL)e.value, dout + e.row * NR);
    }
}

/* Plain SGD touches the rows of W that have entries: those of an input panel, whose gradients are summed
 * in `block` before they meet W, as tiles.h says. */
static void FN(sparse_add)(const FN(plan) *plan, const FN(op) *op, REAL *block, idx p)
{
    const fbp_entry *first = plan->sorted + plan->firsts[p], *end = plan->sorted + plan->firsts[p + 1];
    const idx panels = ceil_div(op->layer.n_out, NR);
    for (idx j = 0; j < panels && first < end; j++) {
        const REAL *dout = op->dout + j * plan->jump;
        REAL *W = op->W + j * op->layer.n_in * NR + p * NR * NR;
        uint32_t seen = 0; /* rows of the panel, at most 32 */
        for (const fbp_entry *e = first; e < end; e++) {
            const idx r = e->column - p * NR;
            if (!(seen >> r & 1))
                memset(block + r * NR, 0, NR * sizeof(REAL));
            seen |= (uint32_t)1 << r;
            FN(add_row)(block + r * NR, (REAL)e->value, dout + e->row * NR);
        }
        for (idx r = 0; r < NR; r++)
            if (seen >> r & 1)
                FN(add_row)(W + r * NR, 1, block + r * NR);
    }
}
