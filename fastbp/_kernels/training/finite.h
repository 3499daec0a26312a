/* Whether an update leaves every number finite.
 *
 * A bound says so at the cost of a look at the activations; the parameters are not looked at.
 * Where it does not, which takes numbers near overflow, what the update writes is copied before,
 * looked at behind, and put back where it is not finite. */

/* Far below the type's largest, so that roundings and sums on the way have room. */
static const double FN(limit) = IS_FLOAT ? 1e36 : 1e300;

/* *squares += those of `rows` rows of a panel, by lanes; `step` NR: of the first vectors only. */
static inline void FN(add_squares)(const REAL *panel, idx rows, idx step, FN(vec) *squares)
{
    const REAL *p = panel, *end = panel + rows * NR;
    FN(vec) a = *squares;
    if (rows * NR >= 4 * step) {
        FN(vec) b = {0}, c = {0}, d = {0};
        for (; end - p >= 4 * step; p += 4 * step) {
            const FN(vec) v = FN(load)(p), w = FN(load)(p + step);
            const FN(vec) x = FN(load)(p + 2 * step), y = FN(load)(p + 3 * step);
            a += v * v;
            b += w * w;
            c += x * x;
            d += y * y;
        }
        a = (a + b) + (c + d);
    }
    for (; p < end; p += step)
        a += FN(load)(p) * FN(load)(p);
    *squares = a;
}

/* ... of panels of n columns. */
static inline void FN(add_squares_of)(const REAL *panels, idx n, idx jump, idx rows,
                                      FN(vec) *squares)
{
    for (idx j = 0; j < n; j += NR, panels += jump)
        FN(add_squares)(panels, rows, n - j > LANES ? LANES : NR, squares);
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

/* The norm of n elements, a multiple of NR. */
static inline double FN(norm_of)(const REAL *x, idx n)
{
    FN(vec) squares = {0};
    FN(add_squares)(x, n / NR, LANES, &squares);
    return sqrt((double)FN(sum_across)(squares));
}

static APART double FN(norms_of_normalisations)(const FN(plan) *plan)
{
    double sum = 0;
    for (idx l = 0; l < plan->n_ops; l++)
        if (plan->ops[l].layer.kind == FBP_BATCH_NORM)
            sum += FN(norm_of)(plan->ops[l].grad, FN(parameters_size)(&plan->ops[l]));
    return sum;
}

/* What no element of a gradient is above, by Cauchy and Schwarz: each is a sum over the rows of an
 * input (of a bias: of 1) times a gradient by an output.  Three such bounds, of which the first has
 * all the squares there are, as sqrt(a b) <= a + b.  A normalisation's gradients are there already. */
static inline double FN(bound_by_all)(const FN(plan) *plan, idx rows)
{
    double bound = (double)(rows * (1 + plan->calm));
    if (plan->normalises)
        bound += FN(norms_of_normalisations)(plan);
    FN(vec) sum = plan->squares[0];
    for (int part = 1; part < plan->n_parts; part++)
        sum += plan->squares[part];
    return bound + (double)FN(sum_across)(sum);
}

/* What the second bound makes of the squares of x, of the rows and of the gradient by the outputs,
 * as long as the parameters' norms have not grown by more than `room` since they were measured: the
 * norm of a product is at most the product of the norms. */
static void FN(prepare)(const FN(plan) *plan, double room)
{
    fbp_bounds *b = plan->bounds;
    double by_x = 1, by_rows = 1, by_dout = 1; /* of the op at hand; rows: a bias has the input 1 */
    b->room = room;
    b->by_x = b->by_rows = b->by_dout = 0;
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        double gain = op->growth.gain;
        if (op->layer.kind == FBP_AFFINE) {
            b->by_x += by_x;
            b->by_rows += by_rows;
            gain = (op->norm + room) * (op->norm + room);
        }
        by_x *= gain;
        by_rows = by_rows * gain + op->growth.more;
    }
    for (idx l = plan->n_ops - 1; l >= 0; l--) {
        const FN(op) *op = &plan->ops[l];
        if (op->layer.kind == FBP_AFFINE) {
            b->by_dout += by_dout;
            by_dout *= (op->norm + room) * (op->norm + room);
        } else {
            by_dout *= op->growth.slope;
        }
    }
}

/* The second has those of x, of the parameters, which are not looked at for it, and of the gradient
 * by the outputs.  (1e-20: for squares that underflow.)  Not for normalisations and embeddings. */
static APART double FN(bound_by_parameters)(const FN(plan) *plan, const fbp_batch *batch,
                                            double scale)
{
    const fbp_bounds *b = plan->bounds;
    const double rows = (double)batch->rows;
    double in = 0, dout = 1e-20;
    if (!(b->grown <= b->parameters / 2)) /* next to nothing is known of the norms */
        return INFINITY;
    if (b->grown > b->room)
        FN(prepare)(plan, 2 * b->grown);
    for (int part = 0; part < plan->n_parts; part++)
        in += (double)FN(sum_across)(plan->squares[part]);
    if (plan->loss == FBP_SOFTMAX && !batch->weights) { /* probabilities less others, of each row */
        dout += 2 * rows * scale * scale;
    } else {
        FN(vec) sum = {0};
        FN(add_squares_of)(plan->dlogits, plan->n_out, plan->jump, batch->rows, &sum);
        dout += (double)FN(sum_across)(sum);
    }
    return sqrt((b->by_x * in + b->by_rows * rows) * b->by_dout * dout);
}

/* What the squares of the rows' elements are not above: several entries of one are its sum. */
static void FN(add_squares_of_entries)(const FN(plan) *plan, idx from, idx to, FN(vec) *squares)
{
    for (idx r = from; r < to; r++) {
        double sum = 0;
        for (idx k = plan->starts[r]; k < plan->starts[r + 1]; k++)
            sum += fabs(plan->entries[k].value);
        (*squares)[0] += (REAL)(sum * sum);
    }
}

/* The third has each layer's own. */
static double FN(bound_by_layer)(const FN(plan) *plan, idx rows)
{
    double sum = 0;
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        const idx n = FN(parameters_size)(op);
        FN(vec) in = {0}, dout = {0};
        if (op->layer.kind == FBP_BATCH_NORM)
            sum += FN(norm_of)(op->grad, n);
        if (op->layer.kind == FBP_AFFINE) {
            if (l == 0 && plan->sparse)
                FN(add_squares_of_entries)(plan, 0, rows, &in);
            else
                FN(add_squares_of)(op->in, op->layer.n_in, plan->jump, rows, &in);
            FN(add_squares_of)(op->dout, op->layer.n_out, plan->jump, rows, &dout);
            sum += sqrt((double)FN(sum_across)(in) + (double)rows) *
                   sqrt((double)FN(sum_across)(dout) + 1e-20);
        }
        if (op->layer.kind == FBP_EMBEDDING) {
            FN(add_squares_of)(op->dout, op->layer.n_out, plan->jump, rows, &dout);
            sum += sqrt((double)(rows * op->layer.n_columns)) *
                   sqrt((double)FN(sum_across)(dout) + 1e-20);
        }
    }
    return sum;
}

/* The bounds of the numbers as they are. */
static void FN(measure)(const FN(plan) *plan)
{
    double parameters = 1e-15; /* of squares that underflow */
    idx n_ops = 0;
    for (int s = 0; s < FBP_MOST_STATES; s++)
        plan->bounds->state[s] = 1e-15;
    for (idx l = 0; l < plan->n_ops; l++) {
        FN(op) *op = &plan->ops[l];
        if (!has_parameters(op->layer.kind))
            continue;
        const idx n = FN(parameters_size)(op);
        op->norm = FN(norm_of)(op->W, n);
        parameters += op->norm;
        n_ops++;
        if (op->running)
            parameters += FN(norm_of)(op->running, n);
        for (int s = 0; s < FBP_MOST_STATES; s++)
            if (op->state[s])
                plan->bounds->state[s] += FN(norm_of)(op->state[s], n);
    }
    plan->bounds->parameters = parameters;
    plan->bounds->grown = 0;
    FN(prepare)(plan, parameters / (double)(8 * n_ops));
}

/* The bounds after an update by gradients of at most `gradient`.  Numbers pass through REAL as in
 * the update, so that one which overflows in it makes the bound infinite or NaN. */
static void FN(follow)(const FN(plan) *plan, const fbp_rule *rule, double gradient, fbp_bounds *b)
{
    const double lr = (double)(REAL)rule->lr, momentum = (double)(REAL)rule->momentum;
    const double eps = fmin(1, (double)(REAL)rule->eps); /* above 1: for what it divides */
    const double rate = (double)(REAL)(rule->lr / (1 - rule->beta_1)); /* of any step */
    const double decay = rule->weight_decay + rule->bias_decay;
    const double share = 1;
    double d = gradient, most = 0, s0 = b->state[0], s1 = b->state[1], s2 = b->state[2];
    for (idx l = 0; plan->normalises && l < plan->n_ops; l++) /* running = a mean of running and fresh */
        if (plan->ops[l].fresh)
            b->parameters += FN(norm_of)(plan->ops[l].fresh, FN(parameters_size)(&plan->ops[l]));
    if (rule->clip_value > 0 && d > rule->clip_value)
        d = (double)(REAL)rule->clip_value;
    if (!rule->decoupled)
        d += (double)(REAL)decay * b->parameters;
    switch (rule->kind) {
#define BOUND(KIND, name, states, numbers, at, update, bound)                                    \
    case FBP_##KIND: bound; break;
        FBP_RULES(BOUND)
#undef BOUND
    default: return; /* nothing is updated */
    }
    if (is_plain_sgd(rule)) /* the gradients bear the factor lr */
        most = d;
    if (rule->decoupled)
        most += (double)(REAL)(rule->lr * decay) * b->parameters;
    b->gradient = d;
    b->state[0] = s0;
    b->state[1] = s1;
    b->state[2] = s2;
    b->parameters += most;
    b->grown += most;
}

/* Whether an update by gradients of at most `gradient` leaves all finite for sure. */
static APART int FN(is_safe_by_rule)(const FN(plan) *plan, const fbp_rule *rule, double gradient)
{
    fbp_bounds b = *plan->bounds;
    FN(follow)(plan, rule, gradient, &b);
    if (!(gradient <= FN(limit) &&
          b.gradient + b.parameters + b.state[0] + b.state[1] + b.state[2] <= FN(limit)))
        return 0;
    *plan->bounds = b;
    return 1;
}

/* The same, where plain SGD leaves little of it to do. */
static inline int FN(is_safe)(const FN(plan) *plan, const fbp_rule *rule, double gradient)
{
    fbp_bounds *b = plan->bounds;
    if (!is_plain_sgd(rule) || plan->normalises)
        return FN(is_safe_by_rule)(plan, rule, gradient);
    if (!(b->parameters + gradient <= FN(limit)))
        return 0;
    b->parameters += gradient;
    b->grown += gradient;
    return 1;
}

/* All that an update writes, into `copy` or (back) out of it; gives the elements. */
static idx FN(exchange)(const FN(plan) *plan, REAL *copy, int back)
{
    idx used = 0;
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        REAL *const written[] = {op->W, op->running, op->state[0], op->state[1], op->state[2]};
        const idx n = has_parameters(op->layer.kind) ? FN(parameters_size)(op) : 0;
        for (int k = 0; k < 2 + FBP_MOST_STATES; k++)
            if (n && written[k]) {
                if (copy)
                    memcpy(back ? written[k] : copy + used, back ? copy + used : written[k],
                           (size_t)n * sizeof(REAL));
                used += n;
            }
    }
    return used;
}

/* Missing columns are zero again after a step that was not finite. */
static void FN(clear)(const FN(plan) *plan)
{
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        const size_t bytes = (size_t)(ceil_div(op->layer.n_out, NR) * plan->jump) * sizeof(REAL);
        memset(op->out, 0, bytes);
        memset(op->dout, 0, bytes);
        if (op->normal)
            memset(op->normal, 0, bytes);
    }
    plan->bounds->spoilt = 0;
}

static int FN(all_finite)(const REAL *x, idx n)
{
    int yes = 1;
    for (idx i = 0; i < n; i++)
        yes &= x[i] - x[i] == 0;
    return yes;
}

/* The first layer of whose numbers one is not finite, or -1; states count unless `lenient`. */
static idx FN(first_spoilt)(const FN(plan) *plan, int lenient)
{
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        const REAL *const written[] = {op->W, op->running, op->state[0], op->state[1], op->state[2]};
        const idx n = has_parameters(op->layer.kind) ? FN(parameters_size)(op) : 0;
        for (int k = 0; k < (lenient ? 2 : 2 + FBP_MOST_STATES); k++)
            if (n && written[k] && !FN(all_finite)(written[k], n))
                return l;
    }
    return -1;
}
