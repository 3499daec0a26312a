/* A first op of categories: its outputs are rows of tables, and the columns behind them as they are.
 *
 * Where a batch's rows of tables begin is found, and checked, when its rows are taken: whoever owns
 * the arrays may write to them meanwhile.  Gradients are summed in the order of the rows, whatever
 * part of the tables a thread has. */

#ifndef FBP_ENGINE_EMBEDDING_ONCE
#define FBP_ENGINE_EMBEDDING_ONCE
/* How far ahead of their use rows of tables are asked for from memory. */
#define PLACES_AHEAD 8
/* What is done to a batch's rows of tables: their gradients become 0, are added up, go to the tables. */
typedef enum { FBP_CLEAR, FBP_ADD, FBP_MOVE } fbp_gradients;
#endif

static inline __attribute__((always_inline)) int FN(take_categories)(
    const FN(plan) *plan, const fbp_batch *batch, fbp_type type, idx bytes, idx from, idx to)
{
    const fbp_source *const x = &batch->x;
    const FN(op) *op = plan->ops;
    const fbp_layer *layer = &op->layer;
    const idx n = layer->n_columns, n_in = layer->n_in, stride = plan->jump / NR;
    const idx ahead = rows_ahead(n_in * bytes), numbers = layer->n_out - (n_in - n);
    int held = 1;
    for (idx r = from; r < to; r++) {
        idx row = row_at(x, r);
        if (row < 0)
            row = held = 0;
        if (x->rows)
            FN(ask_for)(plan, batch, from, to, r, ahead, n_in * bytes);
        for (idx c = 0; c < n; c++) {
            const fbp_column column = layer->columns[c];
            const double v = number_at(x->data, type, row * n_in + c);
            const idx i = v >= 0 && v < (double)column.size ? (idx)v : 0;
            held &= (double)i == v;
            plan->places[c * stride + r] = column.start + i * column.width;
        }
        for (idx c = n, j = numbers; c < n_in; c++, j++) {
            op->out[j / NR * plan->jump + r * NR + j % NR] =
                (REAL)number_at(x->data, type, row * n_in + c);
        }
    }
    return held;
}

/* Rows from .. to of the batch: the places of their categories, and their other columns.  Gives
 * whether all rows and categories were in range; what is not becomes the first. */
static int FN(gather_categories)(const FN(plan) *plan, const fbp_batch *batch, idx from, idx to)
{
    switch (batch->x.type) {
    case FBP_FLOAT32: return FN(take_categories)(plan, batch, FBP_FLOAT32, 4, from, to);
    case FBP_FLOAT64: return FN(take_categories)(plan, batch, FBP_FLOAT64, 8, from, to);
    default: return FN(take_categories)(plan, batch, FBP_UINT8, 1, from, to);
    }
}

static void FN(embedding_op_forward)(const FN(plan) *plan, const FN(op) *op, idx from, idx to)
{
    for (const FN(piece) *p = plan->pieces, *end = p + plan->n_pieces; p < end; p++) {
        const idx *places = plan->places + p->column * (plan->jump / NR);
        const REAL *W = op->W + p->from;
        REAL *out = op->out + p->at + from * NR;
        for (idx r = from; r < to; r++, out += NR) {
            __builtin_prefetch(W + places[min_idx(r + PLACES_AHEAD, to - 1)]);
            FN(copy_some)(out, W + places[r], p->n);
        }
    }
}

/* Does so with the tables' numbers from .. to. */
static inline __attribute__((always_inline)) void
FN(each_gradient)(const fbp_gradients what, const FN(plan) *plan, const FN(op) *op, idx rows, idx from,
                  idx to)
{
    for (const FN(piece) *p = plan->pieces, *end = p + plan->n_pieces; p < end; p++) {
        const fbp_column *column = &op->layer.columns[p->column];
        const idx *places = plan->places + p->column * (plan->jump / NR);
        const REAL *dout = op->dout + p->at;
        for (idx r = 0; r < rows; r++, dout += NR) {
            const idx at = places[r] + p->from, low = at < from ? from : at;
            const idx n = min_idx(at + p->n, to) - low;
            if (places[r] == column->skip || n <= 0)
                continue;
            if (what == FBP_ADD)
                FN(add_some)(op->grad + low, dout + (low - at), n);
            if (what == FBP_MOVE)
                FN(add_some)(op->W + low, op->grad + low, n);
            if (what != FBP_ADD)
                memset(op->grad + low, 0, (size_t)n * sizeof(REAL));
        }
    }
}

/* Some parts' share of the tables: their gradients, and the update.  Plain SGD adds to the rows that
 * the batch has, once for each; other rules go over all, whose states move on without a gradient too. */
static void FN(embedding_op_update)(const FN(plan) *plan, const FN(op) *op, const fbp_rule *rule,
                                    idx rows, int first, int end, int n_parts)
{
    idx from, to;
    share_of(FN(w_size)(op) / NR, first, end, n_parts, &from, &to);
    from *= NR, to *= NR;
    const int plain = is_plain_sgd(rule);
    if (plain)
        FN(each_gradient)(FBP_CLEAR, plan, op, rows, from, to);
    else
        memset(op->grad + from, 0, (size_t)(to - from) * sizeof(REAL));
    FN(each_gradient)(FBP_ADD, plan, op, rows, from, to);
    if (plain)
        FN(each_gradient)(FBP_MOVE, plan, op, rows, from, to);
    if (plain || rule->kind == FBP_STORE)
        return;
    for (idx k = from, n; k < to; k += n) {
        n = min_idx(NR * NR, to - k);
        FN(update_op)(rule, op, k, op->grad + k, n);
    }
}
