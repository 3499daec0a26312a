/* A plan's memory: one block with parameters, optimiser state and activations.
 *
 * Weights lie as panels of output columns, [output panel][n_in][NR]; activations and their
 * gradients as panels of features, [feature panel][rows][NR], `jump` apart.  Missing columns are
 * zero and stay zero. */

#ifndef FBP_BOUNDS
#define FBP_BOUNDS
/* What no parameter, and no element of a state, is above; infinite: not known. */
typedef struct {
    double parameters, state[FBP_MOST_STATES];
    double gradient; /* of a step, with the decay, or what a rule makes of it on its way */
    double grown; /* the most that the parameters' norm has grown since they were measured */
    double room, by_x, by_rows, by_dout; /* see prepare */
    int spoilt; /* whether activations or their gradients may be NaN or inf, in missing columns too */
} fbp_bounds;

/* Of an op, for all inputs: |out|^2 <= gain |in|^2 + more rows, and |din|^2 <= slope |dout|^2; of an
 * affine op gain and slope are its W's norm squared instead. */
typedef struct {
    double gain, more, slope;
} fbp_growth;

static fbp_growth growth_of(const fbp_layer *layer)
{
    const double a = layer->a, b = layer->b, n = (double)layer->n_out;
    double most = 0, steepest = 1, slope_ = 1; /* |value| <= most + steepest |x| */
    switch (layer->kind) {
    case FBP_AFFINE: return (fbp_growth){.more = 1};
    case FBP_DROPOUT: steepest = slope_ = 1 / (1 - a); break;
#define GROWTH(KIND, name, numbers, reads, value, gradient, offset, gain, slope)                 \
    case FBP_##KIND: most = offset, steepest = gain, slope_ = slope; break;
        FBP_ACTIVATIONS(GROWTH)
#undef GROWTH
    default: break;
    }
    /* |most + steepest x|^2 <= 2 most^2 + 2 steepest^2 |x|^2 */
    const double gain = (most > 0 ? 2 : 1) * steepest * steepest;
    return (fbp_growth){gain, 2 * most * most * n + (gain < 1), slope_ * slope_};
}
#endif

typedef struct {
    fbp_layer layer;
    idx w_rows;         /* rows of W: n_in, or 1 for a normalisation's gamma */
    const REAL *in;     /* panels of the input */
    REAL *out;          /* panels of the output; relu and its kind write over their input */
    REAL *din, *dout;   /* their gradients, din NULL where nobody needs it; of a layer that keeps */
                        /* its slopes, din has these until backward */
    REAL *W, *b;        /* panels of W, and b padded to NR behind them */
    REAL *grad;         /* gradients of W and b in the same layout, where they are kept */
    REAL *state[FBP_MOST_STATES]; /* the rule's, likewise */
    REAL *normal, *inverse;
    REAL *running, *fresh; /* of a normalisation: means, then variances; fresh: the batch's */
    idx tail;              /* of an affine op: the columns that go by thin.h */
    int relu_out, relu_in; /* an affine op computes the relu behind it, and the derivative of */
                           /* the relu before it */
    int done, done_backward; /* ... of which this is the relu */
    int calm;                /* the input comes from a sigmoid or a tanh: at most 1 */
    fbp_growth growth;
    double norm; /* of its parameters, when they were measured last */
} FN(op);

/* Outputs of an embedding that lie in one panel, of one column. */
typedef struct {
    idx column, from; /* ... the numbers of a table's row from here on, */
    idx at, n;        /* ... so many, and where the first row's lie in the panels */
} FN(piece);

typedef struct {
    idx n_ops, n_in, n_out, jump;
    fbp_loss_kind loss;
    double loss_number;
    fbp_loss_part *loss_parts;
    idx n_loss_parts;
    int clip_loss;
    size_t nbytes;
    FN(op) *ops;
    REAL *x;          /* panels of [rows, n_in]; not touched where an affine op takes CSR rows */
    int sparse;       /* whether it does so in this step; see sparse.h */
    idx *places;      /* of an embedding: where the batch's rows of tables begin, [column][row] */
    FN(piece) *pieces;
    idx n_pieces;
    fbp_entry *entries, *sorted; /* the batch's; the same by input panels */
    idx *starts, *firsts; /* where each row's entries begin, and each panel's, and where they end */
    REAL *dlogits;    /* panels of the gradient by the outputs */
    REAL *logits, *y; /* row-major [rows, n_out] */
    REAL *part;       /* of a loss of parts: columns of logits, y and t, [3 rows, n_out] */
    REAL *t;          /* row-major targets of the batch, or */
    int64_t *classes; /* their class indices */
    REAL *weights;    /* the batch's weights, where it has some */
    REAL *scratch;    /* per part: a panel of W^T, */
    idx copy_at;      /* ... a block of rows, where some layer has many panels, */
    idx scratch_size; /* ... and NR x NR gradients */
    fbp_result *results;   /* per part */
    FN(vec) *squares;      /* per part: sums of squares of what gradients are products of */
    idx many_rows;         /* of so many, the parameters are fewer by far */
    idx calm;              /* inputs of a row that are at most 1 */
    int n_parts, normalises;
    fbp_bounds *bounds;
    REAL *stretches[3 + FBP_MOST_STATES]; /* the parts of all layers, see part_of */
    idx lengths[3 + FBP_MOST_STATES];
} FN(plan);

#ifndef FBP_ENGINE_ONCE
#define FBP_ENGINE_ONCE
/* The next `bytes` of a block, on a cache line's border; with base NULL it only counts. */
static void *carve(char *base, size_t *used, size_t bytes)
{
    void *p = base ? base + *used : NULL;
    *used += (bytes + 63) / 64 * 64;
    return p;
}

static int has_parameters(fbp_layer_kind kind)
{
    return kind == FBP_AFFINE || kind == FBP_BATCH_NORM || kind == FBP_EMBEDDING;
}

/* Layers whose gradients are sums of products, each of an input and a gradient by an output. */
static int has_weights(fbp_layer_kind kind)
{
    return kind == FBP_AFFINE || kind == FBP_EMBEDDING;
}

static int is_activation(fbp_layer_kind kind)
{
    return kind < FBP_N_ACTIVATIONS;
}

/* Layers whose derivative does not need the input. */
static int works_in_place(fbp_layer_kind kind)
{
    return is_activation(kind) && (fbp_activations[kind].reads == FBP_OUTPUT ||
                                   fbp_activations[kind].reads == FBP_EITHER);
}

/* Layers whose derivative is computed with the output. */
static int keeps_slope(fbp_layer_kind kind)
{
    return is_activation(kind) && fbp_activations[kind].reads == FBP_SLOPE;
}

/* Whether all outputs are at most 1. */
static int is_calm(fbp_layer_kind kind)
{
    return kind == FBP_SIGMOID || kind == FBP_TANH;
}

/* Plain SGD adds its gradients straight to the weights. */
static int is_plain_sgd(const fbp_rule *rule)
{
    return rule->kind == FBP_SGD && rule->weight_decay == 0 &&
           rule->bias_decay == 0 && rule->clip_value == 0 && rule->clip_scale == 1;
}

/* The number of a batch's r-th row, or -1: what is none of the rows could be one of them as an idx of
 * 32 bits. */
static inline idx row_at(const fbp_source *x, idx r)
{
    const int64_t row = x->rows ? x->rows[r] : r;
    return (uint64_t)row < (uint64_t)x->n_rows ? (idx)row : -1;
}

/* The share of n units that the parts first .. end - 1 of n_parts have.  One part alone needs no
 * division, which the smallest steps would feel. */
static inline void share_of(idx n, int first, int end, int n_parts, idx *from, idx *to)
{
    *from = first == 0 ? 0 : n * first / n_parts;
    *to = end == n_parts ? n : n * end / n_parts;
}
#endif

static REAL *FN(carve_panels)(char *base, size_t *used, idx n, idx jump)
{
    return carve(base, used, (size_t)(ceil_div(n, NR) * jump) * sizeof(REAL));
}

/* Elements of W in panels; b follows, ceil(n_out / NR) NR elements.  An embedding's tables lie row by
 * row, one behind another, and there is no b. */
static idx FN(w_size)(const FN(op) *op)
{
    if (op->layer.kind == FBP_EMBEDDING)
        return ceil_div(op->layer.n_weights, NR) * NR;
    return ceil_div(op->layer.n_out, NR) * NR * op->w_rows;
}

static idx FN(parameters_size)(const FN(op) *op)
{
    if (op->layer.kind == FBP_EMBEDDING)
        return FN(w_size)(op);
    return FN(w_size)(op) + ceil_div(op->layer.n_out, NR) * NR;
}

/* The columns behind the last full vector, where they are few and the sums long. */
static idx FN(tail_of)(idx n_in, idx n_out)
{
    const idx tail = n_out % LANES;
    return tail <= MAX_TAIL && n_in >= 4 * LANES ? tail : 0;
}

/* What of a layer is copied: 0 its parameters, 1 its gradients, 2 the running mean and variance of a
 * normalisation, 3 and beyond its states. */
static REAL **FN(part_of)(FN(op) *op, int part)
{
    return part == 0   ? &op->W
           : part == 1 ? &op->grad
           : part == 2 ? &op->running
                       : &op->state[part - 3];
}

/* One part of all layers in one stretch, which others can take as a whole: one layer's behind
 * another's, and behind the gradients 64 bytes for what goes with them. */
static void FN(carve_part)(FN(plan) *p, const fbp_spec *spec, int part, char *base, size_t *used)
{
    const size_t begin = *used;
    for (idx l = 0; l < spec->n_layers; l++) {
        const fbp_layer layer = spec->layers[l];
        const int normalises = layer.kind == FBP_BATCH_NORM;
        const int stored = part == 1 && (layer.kind == FBP_EMBEDDING || spec->keep_gradients);
        FN(op) op = {.layer = layer, .w_rows = normalises ? 1 : layer.n_in};
        if (normalises || (has_weights(layer.kind) && part != 2 && (part != 1 || stored))) {
            REAL *at = carve(base, used, (size_t)FN(parameters_size)(&op) * sizeof(REAL));
            if (base)
                *FN(part_of)(&p->ops[l], part) = at;
            if (base && part == 0)
                p->ops[l].b = at + FN(w_size)(&op);
        }
    }
    if (part == 1)
        carve(base, used, 64);
    p->stretches[part] = base ? (REAL *)(base + begin) : NULL;
    p->lengths[part] = (idx)((*used - begin) / sizeof(REAL));
}

/* An affine op before or behind a relu that works in place takes it over. */
static void FN(fuse_relu)(FN(op) *before, FN(op) *op)
{
    if (before->layer.kind == FBP_AFFINE && op->layer.kind == FBP_RELU && op->out == op->in)
        before->relu_out = op->done = 1;
    if (op->layer.kind == FBP_AFFINE && before->done)
        op->relu_in = before->done_backward = 1;
}

/* The pieces of an embedding's outputs; with `pieces` NULL only their number. */
static idx FN(make_pieces)(const fbp_layer *layer, idx jump, FN(piece) *pieces)
{
    idx count = 0, to = 0;
    for (idx c = 0; c < layer->n_columns; c++)
        for (idx from = 0, n; from < layer->columns[c].width; from += n, to += n, count++) {
            n = min_idx(NR - to % NR, layer->columns[c].width - from);
            if (pieces)
                pieces[count] = (FN(piece)){c, from, to / NR * jump + to % NR, n};
        }
    return count;
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
                  .loss = spec->loss, .loss_number = spec->loss_number,
                  .clip_loss = spec->clip_loss};
    if (spec->loss == FBP_PARTS) {
        p.n_loss_parts = spec->n_loss_parts;
        const size_t bytes = (size_t)p.n_loss_parts * sizeof *p.loss_parts;
        p.loss_parts = carve(base, &used, bytes);
        p.part = carve(base, &used, (size_t)(3 * rows * n_out) * sizeof(REAL));
        if (base)
            memcpy(p.loss_parts, spec->loss_parts, bytes);
    }
    p.ops = carve(base, &used, (size_t)spec->n_layers * sizeof *p.ops);
    p.x = FN(carve_panels)(base, &used, n_in, jump);
    p.starts = carve(base, &used, (size_t)(rows + 1) * sizeof *p.starts);
    p.firsts = carve(base, &used, (size_t)(ceil_div(n_in, NR) + 2) * sizeof *p.firsts);
    if (spec->layers[0].kind == FBP_EMBEDDING) {
        p.n_pieces = FN(make_pieces)(spec->layers, jump, NULL);
        p.pieces = carve(base, &used, (size_t)p.n_pieces * sizeof *p.pieces);
        p.places = carve(base, &used,
                         (size_t)(spec->layers[0].n_columns * jump / NR) * sizeof *p.places);
        if (base)
            FN(make_pieces)(spec->layers, jump, p.pieces);
        p.calm += spec->layers[0].n_columns; /* rows of tables are multiplied by 1 */
    }

    REAL *value = p.x, *gradient = NULL;
    idx elements = 0, panels = 0; /* of the affine layers' parameters; of their inputs and outputs */
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
        op.growth = growth_of(&op.layer);
        const fbp_layer_kind before = l > 0 ? spec->layers[l - 1].kind : kind;
        op.calm = kind == FBP_AFFINE && is_calm(before);
        p.calm += op.calm * op.layer.n_in;
        p.normalises |= kind == FBP_BATCH_NORM;
        if (kind == FBP_AFFINE) {
            elements += FN(parameters_size)(&(FN(op)){.layer = op.layer, .w_rows = op.layer.n_in});
            panels += ceil_div(op.layer.n_in, NR) + ceil_div(op.layer.n_out, NR);
        }
        if (has_parameters(kind)) {
            op.w_rows = kind == FBP_AFFINE ? op.layer.n_in : 1;
            op.tail = kind == FBP_AFFINE ? FN(tail_of)(op.layer.n_in, op.layer.n_out) : 0;
            trained = 1;
        }
        if (kind == FBP_BATCH_NORM) {
            op.normal = FN(carve_panels)(base, &used, op.layer.n_out, jump);
            op.inverse = FN(carve_panels)(base, &used, op.layer.n_out, NR);
            op.fresh = FN(carve_panels)(base, &used, 2 * ceil_div(op.layer.n_out, NR) * NR, NR);
        }
        /* A later in-place layer would destroy what this one's derivative reads. */
        shared = is_activation(kind);
        value = op.out;
        gradient = op.dout;
        widest = op.layer.n_out > widest ? op.layer.n_out : widest;
        if (base) {
            p.ops[l] = op;
            if (l > 0)
                FN(fuse_relu)(&p.ops[l - 1], &p.ops[l]);
        }
    }
    for (int part = 0; part < 3 + spec->n_states; part++)
        FN(carve_part)(&p, spec, part, base, &used);
    p.dlogits = gradient;
    const size_t outputs = (size_t)(rows * n_out) * sizeof(REAL);
    p.logits = carve(base, &used, outputs);
    p.y = carve(base, &used, outputs);
    p.t = carve(base, &used, outputs);
    p.classes = carve(base, &used, (size_t)rows * sizeof(int64_t));
    p.weights = carve(base, &used, (size_t)rows * sizeof(REAL));
    p.copy_at = min_idx(ceil_div(widest, NR) * NR, BLOCK_K) * NR;
    if (p.copy_at < MAX_TAIL * BLOCK_K)
        p.copy_at = MAX_TAIL * BLOCK_K;
    p.scratch_size = p.copy_at + NR * NR;
    if (widest >= MANY_PANELS * NR)
        p.scratch_size += min_idx(rows, MOST_ROWS) * BLOCK_K;
    p.scratch = carve(base, &used, (size_t)(n_parts * p.scratch_size) * sizeof(REAL));
    p.n_parts = n_parts;
    p.results = carve(base, &used, (size_t)n_parts * sizeof *p.results);
    p.squares = carve(base, &used, (size_t)n_parts * sizeof *p.squares);
    p.bounds = carve(base, &used, sizeof *p.bounds);
    /* A bound by the parameters grows with each layer, and has them measured every few steps, which
     * tables are too large for. */
    p.many_rows = p.normalises || p.places || p.n_ops > 16
                      ? PTRDIFF_MAX
                      : elements * (1 + spec->n_states) / (2 * NR * (panels + 1));
    if (base)
        p.bounds->parameters = INFINITY;
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

/* Whether a softmax's targets are smoothed, by a share of the loss's number. */
static inline int FN(is_smooth)(const FN(plan) *plan)
{
    return plan->loss == FBP_SOFTMAX && plan->loss_number > 0;
}

/* Row-major W and b (an embedding's tables, and nothing) into the plan (the second also: running variances, part 2). */
static void FN(plan_write)(void *plan_, idx l, int part, const void *W, const void *b)
{
    const FN(plan) *plan = plan_;
    FN(op) *op = &plan->ops[l];
    REAL *to = *FN(part_of)(op, part);
    plan->bounds->parameters = INFINITY;
    if (op->layer.kind == FBP_EMBEDDING) {
        memcpy(to, W, (size_t)op->layer.n_weights * sizeof(REAL));
        return;
    }
    FN(pack)(W, op->w_rows, op->layer.n_out, to, op->w_rows * NR);
    memcpy(to + FN(w_size)(op), b, (size_t)op->layer.n_out * sizeof(REAL));
}

static void FN(plan_read)(const void *plan_, idx l, int part, void *W, void *b)
{
    FN(op) *op = &((const FN(plan) *)plan_)->ops[l];
    const REAL *from = *FN(part_of)(op, part);
    if (op->layer.kind == FBP_EMBEDDING) {
        memcpy(W, from, (size_t)op->layer.n_weights * sizeof(REAL));
        return;
    }
    FN(unpack)(from, op->w_rows * NR, op->w_rows, op->layer.n_out, W);
    memcpy(b, from + FN(w_size)(op), (size_t)op->layer.n_out * sizeof(REAL));
}

/* One part of all layers, which the caller may write into, and its elements: of the gradients with
 * the 64 bytes behind them. */
static void *FN(plan_flat)(void *plan_, int part, idx *n)
{
    const FN(plan) *plan = plan_;
    if (part != 1)
        plan->bounds->parameters = INFINITY;
    *n = plan->lengths[part];
    return plan->stretches[part];
}
