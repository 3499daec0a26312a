/* The first phase of a step: some rows through each layer, forward and backward. */

#ifndef FBP_ENGINE_ROWS_ONCE
#define FBP_ENGINE_ROWS_ONCE
/* Rows of a half-empty panel that pass through an activation together. */
#define HALVES 64
#endif

static void FN(affine_op_forward)(const FN(plan) *plan, const FN(op) *op, REAL *wt, idx from,
                                  idx to)
{
    const idx jump = plan->jump, n_in = op->layer.n_in, n_out = op->layer.n_out;
    if (to - from <= FEW_PANEL_ROWS) {
        FN(few_rows_forward)(to - from, n_in, n_out, op->in + from * NR, jump, op->W, op->b,
                             op->out + from * NR, op->relu_out);
        return;
    }
    const int copies = n_out >= MANY_PANELS * NR;
    const idx most = FN(block_k)(n_in);
    REAL *copy = wt + plan->copy_at;
    for (idx r = from, m; r < to; r += m) {
        m = block_rows(to - r);
        for (idx k = 0; k < n_in; k += most) {
            const idx K = min_idx(most, n_in - k);
            const REAL *x = op->in + k / NR * jump + r * NR;
            if (copies)
                FN(copy_rows)(m, K, x, jump, copy);
            for (idx j = 0; j < n_out; j += NR) {
                const idx tail = n_out - j <= NR ? op->tail : 0, n = min_idx(NR, n_out - j) - tail;
                const REAL *W = op->W + j * n_in + k * NR;
                const REAL *start = k == 0 ? op->b + j : NULL;
                REAL *out = op->out + j / NR * jump + r * NR;
                const int relu = op->relu_out && k + K == n_in;
                if (copies && n > LANES)
                    FN(panel_rows_product)(m, n, K, copy, 0, W, start, out, relu ? out : NULL);
                else if (n > 0)
                    FN(panel_rows_product)(m, n, K, x, jump, W, start, out, relu ? out : NULL);
                if (tail == 0)
                    continue;
                FN(pack_tail)(W + n, NR, K, tail, wt);
                FN(tail_forward)(m, tail, K, x, jump, wt, start ? start + n : NULL, out + n, relu);
            }
        }
    }
}

/* Outputs k .. k + K of the panel of inputs i0 ..: wt[j - k][i - i0] = W[i, j], in blocks of
 * LANES x LANES.  A panel with one vector of inputs or less fills the first vector only. */
static void FN(transpose_weights)(const FN(op) *op, idx i0, idx k, idx K, REAL *wt)
{
    const idx m = min_idx(NR, op->layer.n_in - i0);
    for (idx j = k; j < k + K; j += LANES, wt += LANES * NR)
        for (idx i = 0; i < m; i += LANES) {
            const REAL *W = op->W + j / NR * NR * op->layer.n_in + (i0 + i) * NR + j % NR;
            if (m - i >= LANES) {
                FN(transpose_square)(W, NR, wt + i, NR);
            } else {
                REAL rows[LANES * LANES] = {0};
                for (idx r = 0; r < m - i; r++)
                    FN(store)(rows + r * LANES, FN(load)(W + r * NR));
                FN(transpose_square)(rows, LANES, wt + i, NR);
            }
        }
}

static void FN(affine_op_backward)(const FN(plan) *plan, const FN(op) *op, REAL *wt, idx from,
                                   idx to)
{
    const idx jump = plan->jump, n_in = op->layer.n_in, n_out = op->layer.n_out;
    if (to - from <= FEW_PANEL_ROWS) {
        FN(few_rows_backward)(to - from, n_in, n_out, op->dout + from * NR, jump, op->W,
                              op->din + from * NR, op->relu_in ? op->in + from * NR : NULL);
        return;
    }
    const int copies = n_in >= MANY_PANELS * NR;
    const idx most = FN(block_k)(n_out);
    REAL *copy = wt + plan->copy_at;
    for (idx r = from, m; r < to; r += m) {
        m = block_rows(to - r);
        for (idx k = 0; k < n_out; k += most) {
            const idx K = min_idx(most, n_out - k);
            const int gated = op->relu_in && k + K == n_out;
            const REAL *dout = op->dout + k / NR * jump + r * NR;
            if (copies)
                FN(copy_rows)(m, K, dout, jump, copy);
            for (idx i = 0; i < n_in; i += NR) {
                const idx at = i / NR * jump + r * NR, n = min_idx(NR, n_in - i);
                const int copied = copies && n > LANES;
                FN(transpose_weights)(op, i, k, K, wt);
                FN(panel_rows_product)(m, n, K, copied ? copy : dout, copied ? 0 : jump, wt,
                                       k == 0 ? FN(zeros) : NULL, op->din + at,
                                       gated ? op->in + at : NULL);
            }
        }
    }
}

/* slope: where it is kept, or NULL. */
static void FN(element_forward)(const fbp_layer *layer, const REAL *in, REAL *out, REAL *slope,
                                idx n)
{
    if (slope)
        FN(activation_both)(in, out, slope, layer->kind, layer->a, layer->b, n);
    else
        FN(activation_forward)(in, out, layer->kind, layer->a, layer->b, n);
}

/* din has the slopes of a layer that keeps them. */
static void FN(element_backward)(const fbp_layer *layer, const REAL *dout, const REAL *in,
                                 const REAL *out, REAL *din, idx n)
{
    if (keeps_slope(layer->kind))
        ELEMENTWISE din[i] *= dout[i];
    else
        FN(activation_backward)(dout, works_in_place(layer->kind) ? out : in, din, layer->kind,
                                layer->a, layer->b, n);
}

/* The first vector of each row of a panel, close together, and back. */
static void FN(pack_halves)(const REAL *panel, idx rows, REAL *halves)
{
    for (idx r = 0; r < rows; r++)
        FN(store)(halves + r * LANES, FN(load)(panel + r * NR));
}

static void FN(unpack_halves)(const REAL *halves, idx rows, REAL *panel)
{
    for (idx r = 0; r < rows; r++)
        FN(store)(panel + r * NR, FN(load)(halves + r * LANES));
}

/* first: the place of the batch's first row, by which masks are drawn. */
static void FN(element_op_forward)(const FN(plan) *plan, const FN(op) *op, idx from, idx to,
                                   uint64_t key, idx first)
{
    const idx n_out = op->layer.n_out;
    const int keeps = op->din && keeps_slope(op->layer.kind);
    for (idx j = 0; j < n_out; j += NR) {
        const idx at = j / NR * plan->jump + from * NR;
        const REAL *in = op->in + at;
        REAL *out = op->out + at, *slope = keeps ? op->din + at : NULL;
        if (op->layer.kind == FBP_DROPOUT) {
            for (idx r = from; r < to; r++, in += NR, out += NR)
                FN(dropout)(in, out, key, (uint32_t)((first + r) * n_out + j), op->layer.a,
                            min_idx(NR, n_out - j));
        } else if (n_out - j > LANES) {
            FN(element_forward)(&op->layer, in, out, slope, (to - from) * NR);
        } else {
            REAL halves[HALVES * LANES], slopes[HALVES * LANES];
            for (idx k = 0; k < (to - from) * NR; k += HALVES * NR) {
                const idx m = min_idx(HALVES, to - from - k / NR);
                FN(pack_halves)(in + k, m, halves);
                FN(element_forward)(&op->layer, halves, halves, keeps ? slopes : NULL, m * LANES);
                FN(unpack_halves)(halves, m, out + k);
                if (keeps)
                    FN(unpack_halves)(slopes, m, slope + k);
            }
        }
    }
}

static void FN(element_op_backward)(const FN(plan) *plan, const FN(op) *op, idx from, idx to,
                                    uint64_t key, idx first)
{
    const idx n_out = op->layer.n_out;
    for (idx j = 0; j < n_out; j += NR) {
        const idx at = j / NR * plan->jump + from * NR;
        const REAL *in = op->in + at, *out = op->out + at, *dout = op->dout + at;
        REAL *din = op->din + at;
        if (op->layer.kind == FBP_DROPOUT) {
            for (idx r = from; r < to; r++, dout += NR, din += NR)
                FN(dropout)(dout, din, key, (uint32_t)((first + r) * n_out + j), op->layer.a,
                            min_idx(NR, n_out - j));
        } else if (n_out - j > LANES) {
            FN(element_backward)(&op->layer, dout, in, out, din, (to - from) * NR);
        } else {
            REAL ins[HALVES * LANES], outs[HALVES * LANES];
            REAL douts[HALVES * LANES], dins[HALVES * LANES];
            for (idx k = 0; k < (to - from) * NR; k += HALVES * NR) {
                const idx m = min_idx(HALVES, to - from - k / NR);
                FN(pack_halves)(in + k, m, ins);
                FN(pack_halves)(out + k, m, outs);
                FN(pack_halves)(dout + k, m, douts);
                FN(pack_halves)(din + k, m, dins);
                FN(element_backward)(&op->layer, douts, ins, outs, dins, m * LANES);
                FN(unpack_halves)(dins, m, din + k);
            }
        }
    }
}

/* All rows of some panels. */
static void FN(norm_op_forward)(const FN(plan) *plan, const FN(op) *op, idx rows, int first,
                                int end, int n_parts)
{
    const fbp_layer *l = &op->layer;
    const idx padded = ceil_div(l->n_out, NR) * NR;
    idx from, to;
    share_of(ceil_div(l->n_out, NR), first, end, n_parts, &from, &to);
    for (idx p = from; p < to; p++) {
        const idx at = p * plan->jump, j = p * NR;
        memset(op->fresh + j, 0, NR * sizeof(REAL));
        memset(op->fresh + padded + j, 0, NR * sizeof(REAL));
        FN(batch_norm_forward)(op->in + at, op->W + j, op->b + j, op->out + at, op->normal + at,
                               op->inverse + j, op->fresh + j, op->fresh + padded + j, l->a, 0,
                               l->sample_variance, rows, min_idx(NR, l->n_out - j), NR);
    }
}

static void FN(norm_op_backward)(const FN(plan) *plan, const FN(op) *op, idx rows, int first,
                                 int end, int n_parts)
{
    const fbp_layer *l = &op->layer;
    const idx padded = ceil_div(l->n_out, NR) * NR;
    idx from, to;
    share_of(ceil_div(l->n_out, NR), first, end, n_parts, &from, &to);
    for (idx p = from; p < to; p++) {
        const idx at = p * plan->jump, j = p * NR;
        FN(batch_norm_backward)(op->dout + at, op->normal + at, op->inverse + j, op->W + j,
                                op->din ? op->din + at : op->normal + at, op->grad + j,
                                op->grad + padded + j, rows, min_idx(NR, l->n_out - j), NR);
    }
}
