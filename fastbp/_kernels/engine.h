/* A training step of one network: gather, forward, loss, backward, update, in one call.
 *
 * A plan lives in one block of memory: parameters, optimiser state, activations.  Weights lie
 * as panels of output columns, [output panel][n_in][NR]; activations and their gradients as
 * panels of features, [feature panel][rows][NR], `jump` apart.  Missing columns are zero and
 * stay zero.
 *
 * A step has two phases.  In the first each part takes some rows through everything that
 * rows do alone: forward, loss, and the gradients by the activations.  In the second each
 * takes some input panels of every W, and their update.  (A batch normalisation, whose
 * statistics need all rows, makes four more.)  A team (team.h) runs the parts of a phase in as
 * many threads as there are, and the next phase when all are done. */

typedef struct {
    fbp_layer layer;
    idx w_rows;         /* rows of W: n_in, or 1 for a normalisation's gamma */
    const REAL *in;     /* panels of the input */
    REAL *out;          /* panels of the output; relu and its kind write over their input */
    REAL *din, *dout;   /* their gradients; din NULL where nobody needs it */
    REAL *W, *b;        /* panels of W, and b padded to NR behind them */
    REAL *grad;         /* gradients of W and b in the same layout, where they are kept */
    REAL *state[2];     /* the rule's state, likewise */
    REAL *normal, *inverse;
    REAL *running, *fresh; /* of a normalisation: means, then variances; fresh: the batch's */
    idx tail;              /* of an affine op: the columns that go by thin.h */
    int relu_out, relu_in; /* an affine op computes the relu behind it, and the derivative of */
                           /* the relu before it */
    int done, done_backward; /* ... of which this is the relu */
} FN(op);

typedef struct {
    idx n_ops, n_in, n_out, jump;
    fbp_loss_kind loss;
    double delta;
    int clip_loss;
    size_t nbytes;
    FN(op) *ops;
    REAL *x;          /* panels of [rows, n_in] */
    REAL *dlogits;    /* panels of the gradient by the outputs */
    REAL *logits, *y; /* row-major [rows, n_out] */
    REAL *t;          /* row-major targets of the batch, or */
    int64_t *classes; /* their class indices */
    REAL *weights;    /* the batch's weights, where it has some */
    REAL *scratch;    /* per part: a panel of W^T, and NR x NR gradients */
    idx scratch_size;
    fbp_result *results; /* per part */
} FN(plan);

#ifndef FBP_ENGINE_ONCE
#define FBP_ENGINE_ONCE
/* Input panels of a block of dW: their part of x stays in the L2 cache over all outputs. */
#define BLOCK_PANELS 12
/* Rows of a half-empty panel that pass through an activation together. */
#define HALVES 64

/* The next `bytes` of a block, on a cache line's border; with base NULL it only counts. */
static void *carve(char *base, size_t *used, size_t bytes)
{
    void *p = base ? base + *used : NULL;
    *used += (bytes + 63) / 64 * 64;
    return p;
}

static int has_parameters(fbp_layer_kind kind)
{
    return kind == FBP_AFFINE || kind == FBP_BATCH_NORM;
}

/* Layers whose derivative needs the output only. */
static int works_in_place(fbp_layer_kind kind)
{
    return kind == FBP_RELU || kind == FBP_LEAKY_RELU || kind == FBP_SIGMOID || kind == FBP_TANH;
}

/* Plain SGD adds its gradients straight to the weights. */
static int is_plain_sgd(const fbp_rule *rule)
{
    return rule->kind == FBP_SGD && rule->momentum == 0 && rule->weight_decay == 0 &&
           rule->bias_decay == 0 && rule->clip_value == 0 && rule->clip_scale == 1;
}

/* One part's share of n units. */
static void share_of(idx n, int part, int n_parts, idx *from, idx *to)
{
    *from = n * part / n_parts;
    *to = n * (part + 1) / n_parts;
}
#endif

/* --- memory -------------------------------------------------------------------------------- */

static REAL *FN(carve_panels)(char *base, size_t *used, idx n, idx jump)
{
    return carve(base, used, (size_t)(ceil_div(n, NR) * jump) * sizeof(REAL));
}

/* Elements of W in panels; b follows, ceil(n_out / NR) NR elements. */
static idx FN(w_size)(const FN(op) *op)
{
    return ceil_div(op->layer.n_out, NR) * NR * op->w_rows;
}

static idx FN(parameters_size)(const FN(op) *op)
{
    return FN(w_size)(op) + ceil_div(op->layer.n_out, NR) * NR;
}

/* The columns behind the last full vector, where they are few and the sums long. */
static idx FN(tail_of)(idx n_in, idx n_out)
{
    const idx tail = n_out % LANES;
    return tail <= MAX_TAIL && n_in >= 4 * LANES ? tail : 0;
}

/* An affine op before or behind a relu that works in place takes it over. */
static void FN(fuse_relu)(FN(op) *before, FN(op) *op)
{
    if (before->layer.kind == FBP_AFFINE && op->layer.kind == FBP_RELU && op->out == op->in)
        before->relu_out = op->done = 1;
    if (op->layer.kind == FBP_AFFINE && before->done)
        op->relu_in = before->done_backward = 1;
}

/* The plan in `base`, which is zeroed memory; with base NULL only its size in bytes. */
static size_t FN(plan_layout)(const fbp_spec *spec, int n_parts, void *base_)
{
    char *base = base_;
    size_t used = 0;
    const idx rows = spec->batch_size, jump = panel_rows(rows) * NR;
    const idx n_in = spec->layers[0].n_in, n_out = spec->layers[spec->n_layers - 1].n_out;
    FN(plan) *plan = carve(base, &used, sizeof *plan);
    FN(plan) p = {.n_ops = spec->n_layers, .n_in = n_in, .n_out = n_out, .jump = jump,
                  .loss = spec->loss, .delta = spec->delta, .clip_loss = spec->clip_loss};
    p.ops = carve(base, &used, (size_t)spec->n_layers * sizeof *p.ops);
    p.x = FN(carve_panels)(base, &used, n_in, jump);

    REAL *value = p.x, *gradient = NULL;
    int shared = 0, trained = 0; /* is `value` read elsewhere; are there parameters before */
    idx widest = n_in;
    for (idx l = 0; l < spec->n_layers; l++) {
        FN(op) op = {.layer = spec->layers[l], .in = value, .din = trained ? gradient : NULL};
        const fbp_layer_kind kind = op.layer.kind;
        if (works_in_place(kind) && !shared && l > 0) {
            op.out = value;
            op.dout = gradient;
        } else {
            op.out = FN(carve_panels)(base, &used, op.layer.n_out, jump);
            op.dout = FN(carve_panels)(base, &used, op.layer.n_out, jump);
        }
        if (has_parameters(kind)) {
            op.w_rows = kind == FBP_AFFINE ? op.layer.n_in : 1;
            op.tail = kind == FBP_AFFINE ? FN(tail_of)(op.layer.n_in, op.layer.n_out) : 0;
            const size_t bytes = (size_t)FN(parameters_size)(&op) * sizeof(REAL);
            op.W = carve(base, &used, bytes);
            op.b = op.W ? op.W + FN(w_size)(&op) : NULL;
            if (spec->keep_gradients || kind == FBP_BATCH_NORM)
                op.grad = carve(base, &used, bytes);
            for (int s = 0; s < spec->n_states; s++)
                op.state[s] = carve(base, &used, bytes);
            trained = 1;
        }
        if (kind == FBP_BATCH_NORM) {
            op.normal = FN(carve_panels)(base, &used, op.layer.n_out, jump);
            op.inverse = FN(carve_panels)(base, &used, op.layer.n_out, NR);
            op.running = FN(carve_panels)(base, &used, 2 * ceil_div(op.layer.n_out, NR) * NR, NR);
            op.fresh = FN(carve_panels)(base, &used, 2 * ceil_div(op.layer.n_out, NR) * NR, NR);
        }
        /* A later in-place layer would destroy what this one's derivative reads. */
        shared = kind != FBP_AFFINE && kind != FBP_DROPOUT && kind != FBP_BATCH_NORM;
        value = op.out;
        gradient = op.dout;
        widest = op.layer.n_out > widest ? op.layer.n_out : widest;
        if (base) {
            p.ops[l] = op;
            if (l > 0)
                FN(fuse_relu)(&p.ops[l - 1], &p.ops[l]);
        }
    }
    p.dlogits = gradient;
    const size_t outputs = (size_t)(rows * n_out) * sizeof(REAL);
    p.logits = carve(base, &used, outputs);
    p.y = carve(base, &used, outputs);
    p.t = carve(base, &used, outputs);
    p.classes = carve(base, &used, (size_t)rows * sizeof(int64_t));
    p.weights = carve(base, &used, (size_t)rows * sizeof(REAL));
    p.scratch_size = (min_idx(ceil_div(widest, NR) * NR, BLOCK_K) + NR) * NR;
    if (p.scratch_size < MAX_TAIL * BLOCK_K + NR * NR)
        p.scratch_size = MAX_TAIL * BLOCK_K + NR * NR;
    p.scratch = carve(base, &used, (size_t)(n_parts * p.scratch_size) * sizeof(REAL));
    p.results = carve(base, &used, (size_t)n_parts * sizeof *p.results);
    p.nbytes = used;
    if (base)
        *plan = p;
    return used;
}

static void FN(unpack)(const REAL *src, idx jump, idx rows, idx n, REAL *dst)
{
    for (idx j = 0; j < n; j += NR, src += jump)
        for (idx r = 0; r < rows; r++)
            for (idx k = 0; k < min_idx(NR, n - j); k++)
                dst[r * n + j + k] = src[r * NR + k];
}

/* Row-major src into panels whose missing columns are zero already. */
static void FN(scatter)(const REAL *src, idx rows, idx n, REAL *dst, idx jump)
{
    for (idx j = 0; j < n; j += NR, dst += jump)
        for (idx r = 0; r < rows; r++)
            for (idx k = 0; k < min_idx(NR, n - j); k++)
                dst[r * NR + k] = src[r * n + j + k];
}

/* What of a layer is copied: 0 its parameters, 1 its gradients, 2 and 3 its states, 4 the
 * running mean and variance of a normalisation. */
static REAL *FN(plan_part)(const FN(op) *op, int part)
{
    return part == 0   ? op->W
           : part == 1 ? op->grad
           : part == 4 ? op->running
                       : op->state[part - 2];
}

/* Row-major W and b into the plan (the second also: running variances, part 4). */
static void FN(plan_write)(void *plan_, idx l, int part, const void *W, const void *b)
{
    const FN(op) *op = &((FN(plan) *)plan_)->ops[l];
    REAL *to = FN(plan_part)(op, part);
    FN(pack)(W, op->w_rows, op->layer.n_out, to, op->w_rows * NR);
    memcpy(to + FN(w_size)(op), b, (size_t)op->layer.n_out * sizeof(REAL));
}

static void FN(plan_read)(const void *plan_, idx l, int part, void *W, void *b)
{
    const FN(op) *op = &((const FN(plan) *)plan_)->ops[l];
    const REAL *from = FN(plan_part)(op, part);
    FN(unpack)(from, op->w_rows * NR, op->w_rows, op->layer.n_out, W);
    memcpy(b, from + FN(w_size)(op), (size_t)op->layer.n_out * sizeof(REAL));
}

/* --- gather -------------------------------------------------------------------------------- */

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

/* --- first phase: some rows of each layer -------------------------------------------------- */

static void FN(affine_op_forward)(const FN(plan) *plan, const FN(op) *op, REAL *wt, idx from,
                                  idx to)
{
    const idx jump = plan->jump, n_in = op->layer.n_in, n_out = op->layer.n_out;
    if (to - from <= FEW_PANEL_ROWS) {
        FN(few_rows_forward)(to - from, n_in, n_out, op->in + from * NR, jump, op->W, op->b,
                             op->out + from * NR, op->relu_out);
        return;
    }
    for (idx r = from; r < to; r += BLOCK_ROWS)
        for (idx k = 0; k < n_in; k += BLOCK_K)
            for (idx j = 0; j < n_out; j += NR) {
                const idx m = min_idx(BLOCK_ROWS, to - r), K = min_idx(BLOCK_K, n_in - k);
                const idx tail = n_out - j <= NR ? op->tail : 0, n = min_idx(NR, n_out - j) - tail;
                const REAL *x = op->in + k / NR * jump + r * NR, *W = op->W + j * n_in + k * NR;
                const REAL *start = k == 0 ? op->b + j : NULL;
                REAL *out = op->out + j / NR * jump + r * NR;
                const int relu = op->relu_out && k + K == n_in;
                if (n > 0)
                    FN(panel_rows_product)(m, n, K, x, jump, W, start, out, NR, relu ? out : NULL);
                if (tail == 0)
                    continue;
                FN(pack_tail)(W + n, K, tail, wt);
                FN(tail_forward)(m, tail, K, x, jump, wt, start ? start + n : NULL, out + n, relu);
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
                FN(transpose)(W, NR, wt + i, NR);
            } else {
                REAL rows[LANES * LANES] = {0};
                for (idx r = 0; r < m - i; r++)
                    FN(store)(rows + r * LANES, FN(load)(W + r * NR));
                FN(transpose)(rows, LANES, wt + i, NR);
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
    for (idx r = from; r < to; r += BLOCK_ROWS)
        for (idx k = 0; k < n_out; k += BLOCK_K) {
            const idx K = min_idx(BLOCK_K, n_out - k);
            const int gated = op->relu_in && k + K == n_out;
            for (idx i = 0; i < n_in; i += NR) {
                const idx at = i / NR * jump + r * NR;
                FN(transpose_weights)(op, i, k, K, wt);
                FN(panel_rows_product)(min_idx(BLOCK_ROWS, to - r), min_idx(NR, n_in - i), K,
                                       op->dout + k / NR * jump + r * NR, jump, wt,
                                       k == 0 ? FN(zeros) : NULL, op->din + at, NR,
                                       gated ? op->in + at : NULL);
            }
        }
}

static void FN(element_forward)(const fbp_layer *layer, const REAL *in, REAL *out, idx n)
{
    switch (layer->kind) {
    case FBP_RELU: FN(relu_forward)(in, out, n); break;
    case FBP_LEAKY_RELU: FN(leaky_relu_forward)(in, out, layer->a, n); break;
    case FBP_SIGMOID: FN(sigmoid_forward)(in, out, n); break;
    case FBP_TANH: FN(tanh_forward)(in, out, n); break;
    case FBP_SOFTPLUS: FN(softplus_forward)(in, out, n); break;
    case FBP_GELU: FN(gelu_forward)(in, out, n); break;
    default: break;
    }
}

static void FN(element_backward)(const fbp_layer *layer, const REAL *dout, const REAL *in,
                                 const REAL *out, REAL *din, idx n)
{
    switch (layer->kind) {
    case FBP_RELU: FN(relu_backward)(dout, out, din, n); break;
    case FBP_LEAKY_RELU: FN(leaky_relu_backward)(dout, out, din, layer->a, n); break;
    case FBP_SIGMOID: FN(sigmoid_backward)(dout, out, din, n); break;
    case FBP_TANH: FN(tanh_backward)(dout, out, din, n); break;
    case FBP_SOFTPLUS: FN(softplus_backward)(dout, in, din, n); break;
    case FBP_GELU: FN(gelu_backward)(dout, in, din, n); break;
    default: break;
    }
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

static void FN(element_op_forward)(const FN(plan) *plan, const FN(op) *op, idx from, idx to,
                                   uint64_t key)
{
    const idx n_out = op->layer.n_out;
    for (idx j = 0; j < n_out; j += NR) {
        const idx at = j / NR * plan->jump + from * NR;
        const REAL *in = op->in + at;
        REAL *out = op->out + at;
        if (op->layer.kind == FBP_DROPOUT) {
            for (idx r = from; r < to; r++, in += NR, out += NR)
                FN(dropout)(in, out, key, (uint32_t)(r * n_out + j), op->layer.a,
                            min_idx(NR, n_out - j));
        } else if (n_out - j > LANES) {
            FN(element_forward)(&op->layer, in, out, (to - from) * NR);
        } else {
            REAL halves[HALVES * LANES];
            for (idx r = from; r < to; r += HALVES, in += HALVES * NR, out += HALVES * NR) {
                const idx m = min_idx(HALVES, to - r);
                FN(pack_halves)(in, m, halves);
                FN(element_forward)(&op->layer, halves, halves, m * LANES);
                FN(unpack_halves)(halves, m, out);
            }
        }
    }
}

static void FN(element_op_backward)(const FN(plan) *plan, const FN(op) *op, idx from, idx to,
                                    uint64_t key)
{
    const idx n_out = op->layer.n_out;
    for (idx j = 0; j < n_out; j += NR) {
        const idx at = j / NR * plan->jump + from * NR;
        const REAL *in = op->in + at, *out = op->out + at, *dout = op->dout + at;
        REAL *din = op->din + at;
        if (op->layer.kind == FBP_DROPOUT) {
            for (idx r = from; r < to; r++, dout += NR, din += NR)
                FN(dropout)(dout, din, key, (uint32_t)(r * n_out + j), op->layer.a,
                            min_idx(NR, n_out - j));
        } else if (n_out - j > LANES) {
            FN(element_backward)(&op->layer, dout, in, out, din, (to - from) * NR);
        } else {
            REAL ins[HALVES * LANES], outs[HALVES * LANES], d[HALVES * LANES];
            for (idx k = 0; k < (to - from) * NR; k += HALVES * NR) {
                const idx m = min_idx(HALVES, to - from - k / NR);
                FN(pack_halves)(in + k, m, ins);
                FN(pack_halves)(out + k, m, outs);
                FN(pack_halves)(dout + k, m, d);
                FN(element_backward)(&op->layer, d, ins, outs, d, m * LANES);
                FN(unpack_halves)(d, m, din + k);
            }
        }
    }
}

/* All rows of some panels. */
static void FN(norm_op_forward)(const FN(plan) *plan, const FN(op) *op, idx rows, int part,
                                int n_parts)
{
    const fbp_layer *l = &op->layer;
    const idx padded = ceil_div(l->n_out, NR) * NR;
    idx from, to;
    share_of(ceil_div(l->n_out, NR), part, n_parts, &from, &to);
    for (idx p = from; p < to; p++) {
        const idx at = p * plan->jump, j = p * NR;
        memset(op->fresh + j, 0, NR * sizeof(REAL));
        memset(op->fresh + padded + j, 0, NR * sizeof(REAL));
        FN(batch_norm_forward)(op->in + at, op->W + j, op->b + j, op->out + at, op->normal + at,
                               op->inverse + j, op->fresh + j, op->fresh + padded + j, l->a, 0,
                               l->unbiased, rows, min_idx(NR, l->n_out - j), NR);
    }
}

static void FN(norm_op_backward)(const FN(plan) *plan, const FN(op) *op, idx rows, int part,
                                 int n_parts)
{
    const fbp_layer *l = &op->layer;
    const idx padded = ceil_div(l->n_out, NR) * NR;
    idx from, to;
    share_of(ceil_div(l->n_out, NR), part, n_parts, &from, &to);
    for (idx p = from; p < to; p++) {
        const idx at = p * plan->jump, j = p * NR;
        FN(batch_norm_backward)(op->dout + at, op->normal + at, op->inverse + j, op->W + j,
                                op->din ? op->din + at : op->normal + at, op->grad + j,
                                op->grad + padded + j, rows, min_idx(NR, l->n_out - j), NR);
    }
}

/* --- the loss ------------------------------------------------------------------------------ */

static idx FN(argmax)(const REAL *x, idx n)
{
    idx best = 0;
    for (idx j = 1; j < n; j++)
        if (x[j] > x[best])
            best = j;
    return best;
}

static const double FN(eps) = IS_FLOAT ? 0x1p-23 : 0x1p-52;

/* A cross-entropy's loss with probabilities y of at least eps; where all are,
 * it is the exact `loss`. */
static double FN(clipped_loss)(fbp_loss_kind kind, const REAL *y, const REAL *t,
                               const int64_t *classes, idx rows, idx n_out, double loss)
{
    const REAL eps = (REAL)FN(eps);
    int exact = 1;
    double clipped = 0;
    if (kind == FBP_SOFTMAX) {
        for (idx r = 0; r < rows; r++)
            exact &= y[r * n_out + classes[r]] >= eps;
        for (idx r = 0; r < rows && !exact; r++) {
            const REAL p = y[r * n_out + classes[r]];
            clipped -= log((double)(p < eps ? eps : p)); /* NaN stays NaN */
        }
    } else if (kind == FBP_SIGMOID_LOSS) {
        for (idx i = 0; i < rows * n_out; i++)
            exact &= (t[i] == 0 || y[i] >= eps) & (t[i] == 1 || 1 - y[i] >= eps);
        for (idx i = 0; i < rows * n_out && !exact; i++) {
            const REAL p = y[i] < eps ? eps : y[i], q = 1 - y[i] < eps ? eps : 1 - y[i];
            clipped -= (double)t[i] * log((double)p) + (1 - (double)t[i]) * log((double)q);
        }
    }
    return exact ? loss : clipped;
}

/* Loss of rows [0, rows) of x, whose gradient times scale is written over x. */
static double FN(loss_of_rows)(const FN(plan) *plan, fbp_loss_kind kind, REAL *x, REAL *y,
                               const REAL *t, const int64_t *classes, double scale, idx rows)
{
    const idx n = rows * plan->n_out;
    double loss = 0;
    switch (kind) {
    case FBP_SOFTMAX:
        loss = FN(softmax_cross_entropy_forward)(x, classes, y, rows, plan->n_out);
        FN(softmax_cross_entropy_backward)(y, classes, scale, x, rows, plan->n_out);
        break;
    case FBP_SOFT:
        loss = FN(soft_cross_entropy_forward)(x, t, y, rows, plan->n_out);
        FN(soft_cross_entropy_backward)(y, t, scale, x, rows, plan->n_out);
        break;
    case FBP_SIGMOID_LOSS:
        loss = FN(sigmoid_cross_entropy_forward)(x, t, y, n);
        FN(sigmoid_cross_entropy_backward)(y, t, scale, x, n);
        break;
    case FBP_SQUARED:
        loss = FN(squared_error_forward)(x, t, n);
        FN(squared_error_backward)(x, t, scale, x, n);
        break;
    case FBP_ABSOLUTE:
        loss = FN(absolute_error_forward)(x, t, n);
        FN(absolute_error_backward)(x, t, scale, x, n);
        break;
    case FBP_HUBER:
        loss = FN(huber_forward)(x, t, plan->delta, n);
        FN(huber_backward)(x, t, plan->delta, scale, x, n);
        break;
    case FBP_QUANTILE:
        loss = FN(quantile_forward)(x, t, plan->delta, n);
        FN(quantile_backward)(x, t, plan->delta, scale, x, n);
        break;
    case FBP_POISSON:
        loss = FN(poisson_forward)(x, t, y, n);
        FN(poisson_backward)(y, t, scale, x, n);
        break;
    case FBP_NO_LOSS: break;
    }
    return plan->clip_loss ? FN(clipped_loss)(kind, y, t, classes, rows, plan->n_out, loss) : loss;
}

/* Whether class t is the first of the greatest: without a branch, unlike argmax. */
static inline int FN(is_first_greatest)(const REAL *x, idx t, idx n)
{
    int yes = 1;
    for (idx j = 0; j < n; j++)
        yes &= j < t ? x[j] < x[t] : x[j] <= x[t];
    return yes;
}

/* Elements (rows, for a softmax) that are classified rightly. */
static double FN(count_correct)(fbp_loss_kind kind, const REAL *x, const REAL *t,
                                const int64_t *classes, idx rows, idx n)
{
    idx correct = 0;
    if (kind == FBP_SOFTMAX || kind == FBP_SOFT)
        for (idx r = 0; r < rows; r++)
            correct += FN(is_first_greatest)(
                x + r * n, kind == FBP_SOFTMAX ? (idx)classes[r] : FN(argmax)(t + r * n, n), n);
    else if (kind == FBP_SIGMOID_LOSS)
        for (idx i = 0; i < rows * n; i++)
            correct += (x[i] > 0) == (t[i] > (REAL)0.5);
    return (double)correct;
}

static void FN(plan_loss)(const FN(plan) *plan, const fbp_batch *batch, double scale, idx from,
                          idx to, fbp_result *result)
{
    const idx n = plan->n_out, rows = to - from;
    REAL *x = plan->logits + from * n, *y = plan->y + from * n, *t = plan->t + from * n;
    const int64_t *classes = plan->classes + from;
    const FN(op) *last = &plan->ops[plan->n_ops - 1];
    if (plan->loss == FBP_SOFTMAX && batch->classes && n <= NR) {
        result->loss = FN(softmax_panel)(last->out + from * NR, classes,
                                         batch->weights ? plan->weights + from : NULL, scale,
                                         plan->clip_loss ? -log(FN(eps)) : INFINITY,
                                         plan->dlogits + from * NR, rows, n, &result->correct);
        return;
    }
    const fbp_loss_kind kind = plan->loss == FBP_SOFTMAX && !batch->classes ? FBP_SOFT : plan->loss;
    FN(unpack)(last->out + from * NR, plan->jump, rows, n, x);
    result->loss = result->correct = 0;
    if (!batch->weights) {
        result->correct = FN(count_correct)(kind, x, t, classes, rows, n);
        result->loss = FN(loss_of_rows)(plan, kind, x, y, t, classes, scale, rows);
    } else {
        for (idx r = 0; r < rows; r++) {
            const double weight = (double)plan->weights[from + r];
            result->correct +=
                weight * FN(count_correct)(kind, x + r * n, t + r * n, classes + r, 1, n);
            result->loss += weight * FN(loss_of_rows)(plan, kind, x + r * n, y + r * n, t + r * n,
                                                      classes + r, weight * scale, 1);
        }
    }
    FN(scatter)(x, rows, n, plan->dlogits + from * NR, plan->jump);
}

/* --- second phase: some input panels of each W --------------------------------------------- */

static void FN(update)(const fbp_rule *rule, REAL *p, REAL *g, REAL *s0, REAL *s1, double decay,
                       idx n)
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
    switch (rule->kind) {
    case FBP_SGD:
        FN(sgd_update)(p, g, s0, rule->lr, rule->momentum, rule->nesterov, decay, n);
        break;
    case FBP_ADAGRAD: FN(adagrad_update)(p, g, s0, rule->lr, rule->eps, decay, n); break;
    case FBP_RMSPROP:
        FN(rmsprop_update)(p, g, s0, s1, rule->lr, rule->beta_2, rule->eps, rule->momentum, decay,
                           n);
        break;
    case FBP_ADAM:
    case FBP_ADAMW:
        FN(adam_update)(p, g, s0, s1, rule->lr, rule->beta_1, rule->beta_2, rule->eps, decay,
                        rule->kind == FBP_ADAMW, rule->step, n);
        break;
    case FBP_STORE: break;
    }
}

/* Elements at .. at + n of an op's parameters, by their gradients g. */
static void FN(update_op)(const fbp_rule *rule, const FN(op) *op, idx at, REAL *g, idx n)
{
    const double decay = at < FN(w_size)(op) && op->layer.kind == FBP_AFFINE ? rule->weight_decay
                                                                             : rule->bias_decay;
    FN(update)(rule, op->W + at, g, op->state[0] ? op->state[0] + at : NULL,
               op->state[1] ? op->state[1] + at : NULL, decay, n);
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

/* Where the gradients of W and b go.  Plain SGD adds them straight to W and b (the loss's
 * gradient already bears the factor -lr); kept gradients are stored; else each block of
 * NR x NR passes through the rule while it is in the L1 cache. */
static void FN(affine_op_update)(const FN(plan) *plan, const FN(op) *op, const fbp_rule *rule,
                                 REAL *block, idx rows, int part, int n_parts)
{
    const idx jump = plan->jump, n_in = op->layer.n_in, n_out = op->layer.n_out;
    const int plain = is_plain_sgd(rule);
    REAL *into = plain ? op->W : rule->kind == FBP_STORE ? op->grad : NULL;
    idx from, to;
    share_of(ceil_div(n_in, NR), part, n_parts, &from, &to);
    for (idx first = from; first < to; first += BLOCK_PANELS)
        for (idx j = 0; j < n_out; j += NR)
            for (idx p = first; p < min_idx(to, first + BLOCK_PANELS); p++) {
                const idx i = p * NR, m = min_idx(NR, n_in - i), at = j * n_in + i * NR;
                const idx tail = n_out - j <= NR && rows > FEW_PANEL_ROWS ? op->tail : 0;
                const idx n = min_idx(NR, n_out - j) - tail;
                const REAL *x = op->in + p * jump, *dout = op->dout + j / NR * jump;
                REAL *dw = into ? into + at : block;
                if (rows <= FEW_PANEL_ROWS)
                    FN(few_rows_update)(rows, m, x, dout, dw, plain);
                for (idx k = rows <= FEW_PANEL_ROWS ? rows : 0; n > 0 && k < rows; k += BLOCK_K)
                    FN(panel_cols_product)(m, n, min_idx(BLOCK_K, rows - k), x + k * NR,
                                           dout + k * NR, k == 0 && !plain ? FN(zeros) : NULL, dw,
                                           NR);
                if (tail)
                    FN(tail_update)(m, tail, rows, x, dout + n, dw + n, plain);
                if (!into) {
                    if (n_out - j <= LANES) /* missing columns stay 0 */
                        for (idx r = 0; r < m; r++)
                            FN(store)(block + r * NR + LANES, (FN(vec)){0});
                    FN(update_op)(rule, op, at, block, m * NR);
                }
            }
    if (op->layer.unbiased)
        return;
    share_of(ceil_div(n_out, NR), part, n_parts, &from, &to);
    for (idx p = from; p < to; p++) {
        const idx at = FN(w_size)(op) + p * NR;
        REAL *out = into ? into + at : block;
        FN(panel_sums)(op->dout + p * jump, rows, plain, out);
        if (!into)
            FN(update_op)(rule, op, at, out, NR);
    }
}

/* A normalisation's gradients and statistics are there since the first phase. */
static void FN(norm_op_update)(const FN(op) *op, const fbp_rule *rule, int part)
{
    const idx n = FN(parameters_size)(op);
    const REAL momentum = (REAL)op->layer.momentum;
    if (part > 0)
        return;
    for (idx i = 0; i < n; i++) /* as many as gamma and beta */
        op->running[i] = FN(mix)(momentum, op->running[i], 1 - momentum, op->fresh[i]);
    if (rule->kind == FBP_STORE)
        return;
    if (is_plain_sgd(rule))
        for (idx i = 0; i < n; i++)
            op->W[i] += op->grad[i];
    else
        FN(update_op)(rule, op, 0, op->grad, n);
}

/* --- the step ------------------------------------------------------------------------------ */

/* A step on its way: what the parts of its phases read. */
typedef struct {
    const FN(plan) *plan;
    const fbp_batch *batch;
    const fbp_rule *rule;
    fbp_team *team;
    int n_parts;
    int stop;     /* a part saw a loss that is not finite */
    idx from, to; /* the next ops forward; a normalisation: from */
    idx top, low; /* the next ops backward, top .. low */
} FN(step);

/* One part's rows through the ops from .. to. */
static void FN(forward_rows)(void *step_, int part)
{
    const FN(step) *s = step_;
    const FN(plan) *plan = s->plan;
    const fbp_batch *batch = s->batch;
    REAL *wt = plan->scratch + part * plan->scratch_size;
    idx from, to;
    share_of(batch->rows, part, s->n_parts, &from, &to);
    if (s->from == 0)
        FN(gather)(plan, batch, from, to);
    for (idx l = s->from; l < s->to; l++) {
        const FN(op) *op = &plan->ops[l];
        if (op->layer.kind == FBP_AFFINE)
            FN(affine_op_forward)(plan, op, wt, from, to);
        else if (!op->done)
            FN(element_op_forward)(plan, op, from, to, dropout_key(batch->seed, batch->step, l));
    }
}

static void FN(backward_rows)(void *step_, int part)
{
    const FN(step) *s = step_;
    const FN(plan) *plan = s->plan;
    const fbp_batch *batch = s->batch;
    REAL *wt = plan->scratch + part * plan->scratch_size;
    idx from, to;
    share_of(batch->rows, part, s->n_parts, &from, &to);
    for (idx l = s->top; l >= s->low && plan->ops[l].din; l--) {
        const FN(op) *op = &plan->ops[l];
        if (op->layer.kind == FBP_AFFINE)
            FN(affine_op_backward)(plan, op, wt, from, to);
        else if (!op->done_backward)
            FN(element_op_backward)(plan, op, from, to, dropout_key(batch->seed, batch->step, l));
    }
}

/* The rows up to the outputs, their loss, and down again. */
static void FN(turn_rows)(void *step_, int part)
{
    FN(step) *s = step_;
    const double scale = is_plain_sgd(s->rule) ? -s->rule->lr * s->batch->scale : s->batch->scale;
    fbp_result *result = &s->plan->results[part];
    idx from, to;
    share_of(s->batch->rows, part, s->n_parts, &from, &to);
    FN(forward_rows)(s, part);
    FN(plan_loss)(s->plan, s->batch, scale, from, to, result);
    if (!isfinite(result->loss))
        __atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
    FN(backward_rows)(s, part);
}

static void FN(forward_norm)(void *step_, int part)
{
    const FN(step) *s = step_;
    FN(norm_op_forward)(s->plan, &s->plan->ops[s->from], s->batch->rows, part, s->n_parts);
}

static void FN(backward_norm)(void *step_, int part)
{
    const FN(step) *s = step_;
    FN(norm_op_backward)(s->plan, &s->plan->ops[s->top], s->batch->rows, part, s->n_parts);
}

static void FN(update_part)(void *step_, int part)
{
    const FN(step) *s = step_;
    const FN(plan) *plan = s->plan;
    REAL *block = plan->scratch + (part + 1) * plan->scratch_size - NR * NR;
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        if (op->layer.kind == FBP_AFFINE)
            FN(affine_op_update)(plan, op, s->rule, block, s->batch->rows, part, s->n_parts);
        else if (op->layer.kind == FBP_BATCH_NORM)
            FN(norm_op_update)(op, s->rule, part);
    }
}

/* A phase: all parts, in any order and threads, and then on. */
static inline void FN(run)(FN(step) *s, fbp_part part)
{
    if (s->team) {
        s->team->run(s->team, part, s, s->n_parts);
        return;
    }
    for (int k = 0; k < s->n_parts; k++)
        part(s, k);
}

/* Forward to the last normalisation; from .. to are the ops behind it. */
static void FN(forward_phases)(FN(step) *s)
{
    const FN(plan) *plan = s->plan;
    s->from = 0;
    for (s->to = 0; s->to < plan->n_ops; s->to++)
        if (plan->ops[s->to].layer.kind == FBP_BATCH_NORM) {
            FN(run)(s, FN(forward_rows));
            s->from = s->to;
            FN(run)(s, FN(forward_norm));
            s->from = s->to + 1;
        }
    s->top = plan->n_ops - 1;
    s->low = s->from;
}

/* Backward from the normalisation before low. */
static void FN(backward_phases)(FN(step) *s)
{
    while (s->low > 0) {
        s->top = s->low - 1;
        FN(run)(s, FN(backward_norm));
        s->top--;
        for (s->low = s->top + 1; s->low > 0; s->low--)
            if (s->plan->ops[s->low - 1].layer.kind == FBP_BATCH_NORM)
                break;
        FN(run)(s, FN(backward_rows));
    }
}

/* One training step of batch->rows rows, in n_parts parts, of which its bits depend; the team
 * that runs them may be NULL.  Where a loss is not finite nothing is updated: the weights stay
 * those that led there.  (A plan without a loss takes the gradient by its outputs instead:
 * plan_outputs, then plan_backward.) */
static void FN(plan_step)(void *plan_, const fbp_batch *batch, const fbp_rule *rule, int n_parts,
                          fbp_team *team, fbp_result *result)
{
    FN(step) s = {.plan = plan_, .batch = batch, .rule = rule, .team = team, .n_parts = n_parts};
    FN(forward_phases)(&s);
    FN(run)(&s, FN(turn_rows));
    result->loss = result->correct = 0;
    for (int k = 0; k < n_parts; k++) {
        result->loss += s.plan->results[k].loss;
        result->correct += s.plan->results[k].correct;
    }
    if (s.stop)
        return;
    FN(backward_phases)(&s);
    FN(run)(&s, FN(update_part));
}

/* The outputs of batch->rows rows in training mode, row-major. */
static void FN(plan_outputs)(void *plan_, const fbp_batch *batch, void *outputs)
{
    FN(step) s = {.plan = plan_, .batch = batch, .n_parts = 1};
    FN(forward_phases)(&s);
    FN(run)(&s, FN(forward_rows));
    FN(unpack)(s.plan->ops[s.plan->n_ops - 1].out, s.plan->jump, batch->rows, s.plan->n_out,
               outputs);
}

/* The rest of the step after plan_outputs, from the gradient by the outputs, row-major. */
static void FN(plan_backward)(void *plan_, const fbp_batch *batch, const void *dout,
                              const fbp_rule *rule)
{
    const FN(plan) *plan = plan_;
    const idx n = batch->rows * plan->n_out;
    const REAL scale = (REAL)(is_plain_sgd(rule) ? -rule->lr * batch->scale : batch->scale);
    FN(step) s = {.plan = plan, .batch = batch, .rule = rule, .n_parts = 1};
    for (idx i = 0; i < n; i++)
        plan->logits[i] = scale * ((const REAL *)dout)[i];
    FN(scatter)(plan->logits, batch->rows, plan->n_out, plan->dlogits, plan->jump);
    s.top = plan->n_ops - 1;
    for (s.low = plan->n_ops; s.low > 0; s.low--)
        if (plan->ops[s.low - 1].layer.kind == FBP_BATCH_NORM)
            break;
    FN(run)(&s, FN(backward_rows));
    FN(backward_phases)(&s);
    FN(run)(&s, FN(update_part));
}

/* The sum of the squares of n elements, a multiple of NR. */
static double FN(square_sum)(const REAL *x, idx n)
{
    double sum = 0;
    for (idx k = 0; k < n; k += BLOCK_K * NR) {
        FN(vec) sum_0 = {0}, sum_1 = {0};
        for (idx i = k; i < min_idx(n, k + BLOCK_K * NR); i += NR) {
            const FN(vec) v_0 = FN(load)(x + i), v_1 = FN(load)(x + i + LANES);
            sum_0 += v_0 * v_0;
            sum_1 += v_1 * v_1;
        }
        for (int lane = 0; lane < LANES; lane++)
            sum += (double)sum_0[lane] + (double)sum_1[lane];
    }
    return sum;
}

/* The sum of the squares of the stored gradients. */
static double FN(plan_gradient_square)(const void *plan_)
{
    const FN(plan) *plan = plan_;
    double sum = 0;
    for (idx l = 0; l < plan->n_ops; l++)
        if (has_parameters(plan->ops[l].layer.kind))
            sum += FN(square_sum)(plan->ops[l].grad, FN(parameters_size)(&plan->ops[l]));
    return sum;
}

/* The sum of the squares of all W (not of biases, nor of a normalisation's parameters). */
static double FN(plan_weight_square)(const void *plan_)
{
    const FN(plan) *plan = plan_;
    double sum = 0;
    for (idx l = 0; l < plan->n_ops; l++)
        if (plan->ops[l].layer.kind == FBP_AFFINE)
            sum += FN(square_sum)(plan->ops[l].W, FN(w_size)(&plan->ops[l]));
    return sum;
}

/* An update by the stored gradients. */
static void FN(plan_apply)(void *plan_, const fbp_rule *rule)
{
    const FN(plan) *plan = plan_;
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        if (!has_parameters(op->layer.kind))
            continue;
        const idx w = FN(w_size)(op);
        FN(update_op)(rule, op, 0, op->grad, w);
        FN(update_op)(rule, op, w, op->grad + w, FN(parameters_size)(op) - w);
    }
}

/* The first layer with a non-finite output for the last batch's rows, or -1: 0 is the first. */
static idx FN(plan_first_non_finite)(const void *plan_, idx rows)
{
    const FN(plan) *plan = plan_;
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        for (idx j = 0; j < op->layer.n_out; j++)
            for (idx r = 0; r < rows; r++) {
                const REAL v = op->out[j / NR * plan->jump + r * NR + j % NR];
                if (!(v - v == 0))
                    return l;
            }
    }
    return -1;
}
