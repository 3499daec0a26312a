/* The second phase of a step: some input panels of each dW, and the update of W by them. */

#ifndef FBP_ENGINE_UPDATE_ONCE
#define FBP_ENGINE_UPDATE_ONCE
/* Input panels of a block of dW: their part of x stays in the L2 cache over all outputs. */
#define BLOCK_PANELS 12
#endif

/* An update by gradients g, which are clipped where they lie. */
static void FN(clipped_update)(const fbp_rule *rule, REAL *p, REAL *g, REAL *const *kept,
                               double decay, idx n)
{
    if (rule->clip_scale != 1)
        for (idx i = 0; i < n; i++)
            g[i] *= (REAL)rule->clip_scale;
    if (rule->clip_value > 0) {
        const REAL limit = (REAL)rule->clip_value;
        for (idx i = 0; i < n; i++) {
            g[i] = g[i] > limit ? limit : g[i];
            g[i] = g[i] < -limit ? -limit : g[i];
        }
    }
    FN(update_at)(p, g, kept, rule, decay, n);
}

/* Elements at .. at + n of an op's parameters, by their gradients g. */
static void FN(update_op)(const fbp_rule *rule, const FN(op) *op, idx at, REAL *g, idx n)
{
    const double decay = at < FN(w_size)(op) && has_weights(op->layer.kind) ? rule->weight_decay
                                                                            : rule->bias_decay;
    REAL *kept[FBP_MOST_STATES];
    for (int s = 0; s < FBP_MOST_STATES; s++)
        kept[s] = op->state[s] ? op->state[s] + at : NULL;
    FN(clipped_update)(rule, op->W + at, g, kept, decay, n);
}

/* sums[NR] = (add: sums itself) + the sum of a panel's rows, in four chains. */
static void FN(panel_sums)(const REAL *panel, idx rows, int add, REAL *sums)
{
    for (int v = 0; v < NR; v += LANES, panel += LANES, sums += LANES) {
        const REAL *p = panel;
        FN(vec) a = {0}, b = {0}, c = {0}, d = {0};
        idx r = 0;
        for (; r + 4 <= rows; r += 4, p += 4 * NR) {
            a += FN(load)(p);
            b += FN(load)(p + NR);
            c += FN(load)(p + 2 * NR);
            d += FN(load)(p + 3 * NR);
        }
        for (; r < rows; r++, p += NR)
            a += FN(load)(p);
        a = (a + b) + (c + d);
        FN(store)(sums, add ? FN(load)(sums) + a : a);
    }
}

/* Input panels from .. to of dW and their update, see below. */
static inline void FN(dense_update)(const FN(plan) *plan, const FN(op) *op, const fbp_rule *rule,
                                    REAL *block, REAL *into, idx rows, idx from, idx to)
{
    const idx jump = plan->jump, n_in = op->layer.n_in, n_out = op->layer.n_out;
    const idx most = FN(block_k)(rows);
    const int plain = into == op->W;
    for (idx block_from = from; block_from < to; block_from += BLOCK_PANELS)
        for (idx j = 0; j < n_out; j += NR)
            for (idx p = block_from; p < min_idx(to, block_from + BLOCK_PANELS); p++) {
                const idx i = p * NR, m = min_idx(NR, n_in - i), at = j * n_in + i * NR;
                const idx tail = n_out - j <= NR && rows > FEW_PANEL_ROWS ? op->tail : 0;
                const idx n = min_idx(NR, n_out - j) - tail;
                const REAL *x = op->in + p * jump, *dout = op->dout + j / NR * jump;
                REAL *dw = into ? into + at : block;
                const int sums = plain && rows > most; /* blocks of rows, which W is added to at last */
                REAL *part = sums ? block : dw;
                if (rows <= FEW_PANEL_ROWS)
                    FN(few_rows_update)(rows, m, x, dout, dw, plain);
                for (idx k = rows <= FEW_PANEL_ROWS ? rows : 0; n > 0 && k < rows; k += most)
                    FN(panel_cols_product)(m, n, min_idx(most, rows - k), x + k * NR, dout + k * NR,
                                           k > 0 ? NULL : plain && !sums ? part : FN(zeros), part);
                for (idx r = 0; sums && n > 0 && r < m * NR; r += n > LANES ? LANES : NR)
                    FN(store)(dw + r, FN(load)(dw + r) + FN(load)(block + r));
                if (tail)
                    FN(tail_update)(m, tail, rows, x, dout + n, dw + n, plain);
                if (!into) {
                    if (n_out - j <= LANES) /* missing columns stay 0 */
                        for (idx r = 0; r < m; r++)
                            FN(store)(block + r * NR + LANES, (FN(vec)){0});
                    FN(update_op)(rule, op, at, block, m * NR);
                }
            }
}

/* The same of entries.  Rules with a state go over all of W, whose state moves on without an entry
 * too; what they write is as if the rows were dense. */
static APART void FN(sparse_update)(const FN(plan) *plan, const FN(op) *op, const fbp_rule *rule,
                                    REAL *block, REAL *into, idx from, idx to)
{
    const idx n_in = op->layer.n_in, n_out = op->layer.n_out;
    if (into == op->W) {
        for (idx p = from; p < to; p++)
            FN(sparse_add)(plan, op, block, p);
        return;
    }
    for (idx block_from = from; block_from < to; block_from += BLOCK_PANELS)
        for (idx j = 0; j < n_out; j += NR)
            for (idx p = block_from; p < min_idx(to, block_from + BLOCK_PANELS); p++) {
                const idx i = p * NR, m = min_idx(NR, n_in - i), at = j * n_in + i * NR;
                REAL *dw = into ? into + at : block;
                FN(sparse_block)(plan, p, m, op->dout + j / NR * plan->jump, dw);
                if (!into)
                    FN(update_op)(rule, op, at, block, m * NR);
            }
}

/* Where the gradients of W and b go.  Plain SGD adds them straight to W and b (the loss's
 * gradient already bears the factor -lr); kept gradients are stored; else each block of
 * NR x NR passes through the rule while it is in the L1 cache. */
static void FN(affine_op_update)(const FN(plan) *plan, const FN(op) *op, const fbp_rule *rule,
                                 REAL *block, idx rows, int first, int end,
                                 int n_parts)
{
    const int plain = is_plain_sgd(rule);
    REAL *into = plain ? op->W : rule->kind == FBP_STORE ? op->grad : NULL;
    idx from, to;
    share_of(ceil_div(op->layer.n_in, NR), first, end, n_parts, &from, &to);
    if (plan->sparse && op == plan->ops)
        FN(sparse_update)(plan, op, rule, block, into, from, to);
    else
        FN(dense_update)(plan, op, rule, block, into, rows, from, to);
    if (op->layer.no_bias)
        return;
    share_of(ceil_div(op->layer.n_out, NR), first, end, n_parts, &from, &to);
    for (idx p = from; p < to; p++) {
        const idx at = FN(w_size)(op) + p * NR;
        REAL *out = into ? into + at : block;
        FN(panel_sums)(op->dout + p * plan->jump, rows, plain, out);
        if (!into)
            FN(update_op)(rule, op, at, out, NR);
    }
}

static void FN(running_update)(const FN(op) *op)
{
    const idx n = FN(parameters_size)(op); /* as many as gamma and beta */
    const REAL momentum = (REAL)op->layer.b;
    for (idx i = 0; i < n; i++)
        op->running[i] = FN(mix)(momentum, op->running[i], 1 - momentum, op->fresh[i]);
}

/* A normalisation's gradients and statistics are there since the first phase. */
static void FN(norm_op_update)(const FN(op) *op, const fbp_rule *rule)
{
    const idx n = FN(parameters_size)(op);
    FN(running_update)(op);
    if (is_plain_sgd(rule))
        for (idx i = 0; i < n; i++)
            op->W[i] += op->grad[i];
    else
        FN(update_op)(rule, op, 0, op->grad, n);
}
