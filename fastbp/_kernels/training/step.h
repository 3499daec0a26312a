/* A training step of one network: gather, forward, loss, backward, update, in one call.
 *
 * A step has two phases.  In the first each part takes some rows through everything that
 * rows do alone: forward, loss, and the gradients by the activations.  In the second each
 * takes some input panels of every W, and their update.  (A batch normalisation, whose
 * statistics need all rows, makes four more.)  A team (team.h) runs the parts of a phase in as
 * many threads as there are, and the next phase when all are done. */

/* A step on its way: what the parts of its phases read. */
typedef struct {
    const FN(plan) *plan;
    const fbp_batch *batch;
    const fbp_rule *rule;
    fbp_team *team;
    int n_parts;
    fbp_parts parts; /* of the phase */
    int stop, lost;  /* a part saw a loss that is not finite; rows that are out of range */
    int bounded;     /* rows add up the squares of what gradients are products of, not only x's */
    idx from, to;    /* the next ops forward; a normalisation: from */
    idx top, low;    /* the next ops backward, top .. low */
} FN(step);

/* Some parts' rows through the ops from .. to. */
static void FN(forward_rows)(void *step_, int first, int end)
{
    FN(step) *s = step_;
    const FN(plan) *plan = s->plan;
    const fbp_batch *batch = s->batch;
    REAL *wt = plan->scratch + first * plan->scratch_size;
    idx from, to;
    share_of(batch->rows, first, end, s->n_parts, &from, &to);
    if (s->from == 0 && !FN(gather)(plan, batch, from, to, &plan->squares[first]))
        __atomic_store_n(&s->lost, 1, __ATOMIC_RELAXED);
    for (idx l = s->from; l < s->to; l++) {
        const FN(op) *op = &plan->ops[l];
        if (s->bounded && l > 0 && op->layer.kind == FBP_AFFINE && !op->calm)
            FN(add_squares_of)(op->in + from * NR, op->layer.n_in, plan->jump, to - from,
                               &plan->squares[first]);
        if (l == 0 && plan->sparse)
            FN(sparse_forward)(plan, op, from, to);
        else if (op->layer.kind == FBP_AFFINE)
            FN(affine_op_forward)(plan, op, wt, from, to);
        else if (op->layer.kind == FBP_EMBEDDING)
            FN(embedding_op_forward)(plan, op, from, to);
        else if (!op->done)
            FN(element_op_forward)(plan, op, from, to, dropout_key(batch->seed, batch->step, l),
                                   batch->first_row);
    }
}

static void FN(backward_rows)(void *step_, int first, int end)
{
    const FN(step) *s = step_;
    const FN(plan) *plan = s->plan;
    const fbp_batch *batch = s->batch;
    REAL *wt = plan->scratch + first * plan->scratch_size;
    idx from, to;
    share_of(batch->rows, first, end, s->n_parts, &from, &to);
    for (idx l = s->top; l >= s->low; l--) {
        const FN(op) *op = &plan->ops[l];
        if (s->bounded && has_weights(op->layer.kind))
            FN(add_squares_of)(op->dout + from * NR, op->layer.n_out, plan->jump, to - from,
                               &plan->squares[first]);
        if (!op->din)
            break;
        if (op->layer.kind == FBP_AFFINE)
            FN(affine_op_backward)(plan, op, wt, from, to);
        else if (!op->done_backward)
            FN(element_op_backward)(plan, op, from, to, dropout_key(batch->seed, batch->step, l),
                                    batch->first_row);
    }
}

/* The factor of the loss's gradient; plain SGD's learning rate goes in here. */
static double FN(loss_scale)(const FN(step) *s)
{
    return is_plain_sgd(s->rule) ? -s->rule->lr * s->batch->scale : s->batch->scale;
}

/* The loss of one part's rows. */
static void FN(loss_of_part)(FN(step) *s, int part)
{
    const double scale = FN(loss_scale)(s);
    fbp_result *result = &s->plan->results[part];
    idx from, to;
    share_of(s->batch->rows, part, part + 1, s->n_parts, &from, &to);
    FN(plan_loss)(s->plan, s->batch, scale, from, to, result);
    if (!isfinite(result->loss))
        __atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
}

/* The rows up to the outputs, their losses, and down again. */
static void FN(turn_rows)(void *step_, int first, int end)
{
    FN(forward_rows)(step_, first, end);
    for (int part = first; part < end; part++)
        FN(loss_of_part)(step_, part);
    FN(backward_rows)(step_, first, end);
}

static void FN(forward_norm)(void *step_, int first, int end)
{
    const FN(step) *s = step_;
    FN(norm_op_forward)(s->plan, &s->plan->ops[s->from], s->batch->rows, first, end, s->n_parts);
}

static void FN(backward_norm)(void *step_, int first, int end)
{
    const FN(step) *s = step_;
    FN(norm_op_backward)(s->plan, &s->plan->ops[s->top], s->batch->rows, first, end, s->n_parts);
}

static void FN(update_parts)(void *step_, int first, int end)
{
    const FN(step) *s = step_;
    const FN(plan) *plan = s->plan;
    REAL *block = plan->scratch + (first + 1) * plan->scratch_size - NR * NR;
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        if (op->layer.kind == FBP_AFFINE)
            FN(affine_op_update)(plan, op, s->rule, block, s->batch->rows, first, end, s->n_parts);
        else if (op->layer.kind == FBP_EMBEDDING)
            FN(embedding_op_update)(plan, op, s->rule, s->batch->rows, first, end, s->n_parts);
        else if (op->layer.kind == FBP_BATCH_NORM && first == 0 && s->rule->kind != FBP_STORE)
            FN(norm_op_update)(op, s->rule);
    }
}

/* Some parts' share of an op's n parameters from `at` on, a block at a time: gradients are scaled,
 * clipped and read again while they are in the L1 cache. */
static void FN(apply_share)(const FN(step) *s, const FN(op) *op, idx at, idx n, int first, int end)
{
    idx from, to;
    share_of(n / NR, first, end, s->n_parts, &from, &to);
    for (idx k = at + from * NR, m; k < at + to * NR; k += m) {
        m = min_idx(NR * NR, at + to * NR - k);
        FN(update_op)(s->rule, op, k, op->grad + k, m);
    }
}

/* An update by the stored gradients; with FBP_STORE of the running statistics only. */
static void FN(apply_parts)(void *step_, int first, int end)
{
    const FN(step) *s = step_;
    for (idx l = 0; l < s->plan->n_ops; l++) {
        const FN(op) *op = &s->plan->ops[l];
        if (op->layer.kind == FBP_BATCH_NORM && first == 0)
            FN(running_update)(op);
        if (has_parameters(op->layer.kind) && s->rule->kind != FBP_STORE) {
            const idx w = FN(w_size)(op), b = FN(parameters_size)(op) - w;
            FN(apply_share)(s, op, 0, w, first, end);
            FN(apply_share)(s, op, w, b, first, end);
        }
    }
}

static void FN(one_by_one)(void *step_, int first, int end)
{
    FN(step) *s = step_;
    for (int part = first; part < end; part++)
        s->parts(s, part, part + 1);
}

/* A phase: all parts, in any order and threads, and then on.  A thread that has several takes
 * their rows as one, and W once for all: 8 % quicker in one thread that has both parts of a step.
 * Parts of a few rows stay alone, as their products are summed in another order. */
static inline void FN(run)(FN(step) *s, fbp_parts parts)
{
    if (s->n_parts == 1) {
        parts(s, 0, 1);
        return;
    }
    if (s->batch->rows / s->n_parts <= FEW_PANEL_ROWS) {
        s->parts = parts;
        parts = FN(one_by_one);
    }
    if (s->team)
        s->team->run(s->team, parts, s, s->n_parts);
    else
        parts(s, 0, s->n_parts);
}

/* Forward to the last normalisation; from .. to are the ops behind it. */
static void FN(forward_phases)(FN(step) *s)
{
    const FN(plan) *plan = s->plan;
    s->from = 0;
    for (s->to = plan->normalises ? 0 : plan->n_ops; s->to < plan->n_ops; s->to++)
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

/* An update, unless a number would not stay finite. */
static APART void FN(update_carefully)(FN(step) *s, fbp_parts update, fbp_result *result)
{
    const FN(plan) *plan = s->plan;
    REAL *copy = fbp_allocate((size_t)FN(exchange)(plan, NULL, 0) * sizeof(REAL));
    if (!copy) {
        result->outcome = FBP_NO_MEMORY;
        return;
    }
    FN(exchange)(plan, copy, 0);
    FN(run)(s, update);
    plan->bounds->parameters = INFINITY;
    result->layer = FN(first_spoilt)(plan, s->rule->lenient);
    if (result->layer >= 0) {
        FN(exchange)(plan, copy, 1);
        result->outcome = FBP_NOT_FINITE;
        plan->bounds->spoilt = 1;
    }
    fbp_free(copy);
}

/* What no element of the step's gradients is above. */
static inline double FN(bound_of_step)(const FN(step) *s)
{
    return s->batch->rows > s->plan->many_rows
               ? FN(bound_by_parameters)(s->plan, s->batch, FN(loss_scale)(s))
               : FN(bound_by_all)(s->plan, s->batch->rows);
}

/* Whether a step's update is safe by the bounds as they are now: they grow from step to step. */
static APART int FN(is_safe_measured)(const FN(step) *s)
{
    FN(measure)(s->plan);
    return FN(is_safe)(s->plan, s->rule, FN(bound_of_step)(s)) ||
           FN(is_safe)(s->plan, s->rule, FN(bound_by_layer)(s->plan, s->batch->rows));
}

/* The least of the bounds of the gradients that a step keeps. */
static APART double FN(bound_of_kept)(const FN(step) *s)
{
    const double bound = FN(bound_of_step)(s);
    if (bound <= FN(limit))
        return bound;
    FN(measure)(s->plan);
    return fmin(FN(bound_of_step)(s), FN(bound_by_layer)(s->plan, s->batch->rows));
}

/* Whether the statistics that an update would take are finite. */
static APART int FN(fresh_is_finite)(const FN(plan) *plan)
{
    for (idx l = 0; l < plan->n_ops; l++)
        if (plan->ops[l].fresh &&
            !FN(all_finite)(plan->ops[l].fresh, FN(parameters_size)(&plan->ops[l])))
            return 0;
    return 1;
}

/* The update of a step. */
static void FN(update_all)(FN(step) *s, fbp_result *result)
{
    if (s->plan->sparse)
        FN(sort_entries)(s->plan, s->batch->rows);
    if (s->rule->kind == FBP_STORE) {
        FN(run)(s, FN(update_parts));
        if (s->batch->bounds) {
            result->bound = FN(bound_of_kept)(s);
            if (s->plan->normalises && !FN(fresh_is_finite)(s->plan))
                result->loss = INFINITY; /* all ranks shall see it: they are of this one's rows */
        }
        return;
    }
    if (FN(is_safe)(s->plan, s->rule, FN(bound_of_step)(s)) || FN(is_safe_measured)(s))
        FN(run)(s, FN(update_parts));
    else
        FN(update_carefully)(s, FN(update_parts), result);
}

/* Whether a step can begin with these rows. */
static inline int FN(take_rows)(FN(plan) *plan, const fbp_batch *batch)
{
    plan->sparse = 0;
    return !batch->x.indptr || FN(place_entries)(plan, batch);
}

/* One training step of batch->rows rows, in n_parts parts, of which its bits depend; the team
 * that runs them may be NULL.  Where the loss, or a number that the update would write, is not
 * finite, nothing is updated: the weights stay those that led there.  With FBP_STORE the gradients
 * are left for plan_apply.  (A plan without a loss takes the gradient by its outputs instead:
 * plan_outputs, then plan_backward.) */
static void FN(plan_step)(void *plan_, const fbp_batch *batch, const fbp_rule *rule, int n_parts,
                          fbp_team *team, fbp_result *result)
{
    fbp_rule now;
    FN(step) s = {.plan = plan_, .batch = batch, .rule = at_step(rule, &now), .team = team,
                  .n_parts = n_parts};
    s.bounded = (rule->kind != FBP_STORE || batch->bounds) && batch->rows <= s.plan->many_rows;
    for (int part = 0; part < n_parts; part++)
        s.plan->squares[part] = (FN(vec)){0};
    if (s.plan->bounds->spoilt)
        FN(clear)(s.plan);
    *result = (fbp_result){.layer = -1};
    if (!FN(take_rows)(plan_, batch)) {
        result->outcome = FBP_BAD_ROWS;
        return;
    }
    FN(forward_phases)(&s);
    FN(run)(&s, FN(turn_rows));
    for (int k = 0; k < n_parts; k++) {
        result->loss += s.plan->results[k].loss;
        result->correct += s.plan->results[k].correct;
    }
    if (s.lost)
        result->outcome = FBP_BAD_ROWS;
    else if (s.stop || !isfinite(result->loss * batch->scale))
        result->outcome = FBP_NOT_FINITE;
    if (result->outcome != FBP_DONE) {
        s.plan->bounds->spoilt = 1;
        return;
    }
    FN(backward_phases)(&s);
    FN(update_all)(&s, result);
}

/* The outputs of batch->rows rows in training mode, row-major; gives an fbp_outcome. */
static int FN(plan_outputs)(void *plan_, const fbp_batch *batch, void *outputs)
{
    FN(step) s = {.plan = plan_, .batch = batch, .n_parts = 1};
    s.bounded = batch->rows <= s.plan->many_rows;
    memset(s.plan->squares, 0, (size_t)s.plan->n_parts * sizeof *s.plan->squares);
    if (s.plan->bounds->spoilt)
        FN(clear)(s.plan);
    if (!FN(take_rows)(plan_, batch))
        return FBP_BAD_ROWS;
    FN(forward_phases)(&s);
    FN(run)(&s, FN(forward_rows));
    FN(unpack)(s.plan->ops[s.plan->n_ops - 1].out, s.plan->jump, batch->rows, s.plan->n_out,
               outputs);
    s.plan->bounds->spoilt = !FN(all_finite)(outputs, batch->rows * s.plan->n_out);
    return s.lost ? FBP_BAD_ROWS : FBP_DONE;
}

/* The rest of the step after plan_outputs, from the gradient by the outputs, row-major. */
static void FN(plan_backward)(void *plan_, const fbp_batch *batch, const void *dout,
                              const fbp_rule *rule, fbp_result *result)
{
    const FN(plan) *plan = plan_;
    const idx n = batch->rows * plan->n_out;
    const REAL scale = (REAL)(is_plain_sgd(rule) ? -rule->lr * batch->scale : batch->scale);
    fbp_rule now;
    FN(step) s = {.plan = plan, .batch = batch, .rule = at_step(rule, &now), .n_parts = 1,
                  .bounded = batch->rows <= plan->many_rows};
    for (idx i = 0; i < n; i++)
        plan->logits[i] = scale * ((const REAL *)dout)[i];
    FN(scatter)(plan->logits, batch->rows, plan->n_out, plan->dlogits, plan->jump);
    *result = (fbp_result){.layer = -1};
    s.top = plan->n_ops - 1;
    for (s.low = plan->n_ops; s.low > 0; s.low--)
        if (plan->ops[s.low - 1].layer.kind == FBP_BATCH_NORM)
            break;
    FN(run)(&s, FN(backward_rows));
    FN(backward_phases)(&s);
    FN(update_all)(&s, result);
}

/* The Euclidean norm of the stored gradients, also where their squares overflow or underflow;
 * infinite or NaN where they are not finite. */
static double FN(plan_gradient_norm)(const void *plan_)
{
    const FN(plan) *plan = plan_;
    double largest = 0, sum = 0, scale = 1;
    for (int scaled = 0; scaled < 2; scaled++) {
        sum = 0;
        for (idx l = 0; l < plan->n_ops; l++) {
            const FN(op) *op = &plan->ops[l];
            const idx n = has_parameters(op->layer.kind) ? FN(parameters_size)(op) : 0;
            if (!scaled)
                sum += FN(square_sum)(op->grad, n);
            for (idx i = 0; scaled && i < n; i++)
                sum += (double)op->grad[i] / scale * ((double)op->grad[i] / scale);
        }
        if (scaled || (isfinite(sum) && sum > (IS_FLOAT ? 1e-20 : 1e-200)))
            break;
        for (idx l = 0; l < plan->n_ops; l++) {
            const FN(op) *op = &plan->ops[l];
            const idx n = has_parameters(op->layer.kind) ? FN(parameters_size)(op) : 0;
            for (idx i = 0; i < n; i++) {
                const double g = fabs((double)op->grad[i]);
                largest = g > largest || !(g - g == 0) ? g : largest;
            }
        }
        if (!(largest > 0 && isfinite(largest)))
            return largest;
        scale = largest;
    }
    return scale * sqrt(sum);
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

/* The update by the stored gradients, of at most `gradient`, in n_parts parts, as plan_step's; with
 * FBP_STORE only that of the running statistics. */
static void FN(plan_apply)(void *plan_, const fbp_rule *rule, double gradient, int n_parts,
                           fbp_team *team, fbp_result *result)
{
    const fbp_batch whole = {.rows = PTRDIFF_MAX}; /* no few rows, which parts would keep apart */
    fbp_rule now;
    FN(step) s = {.plan = plan_, .batch = &whole, .rule = at_step(rule, &now), .team = team,
                  .n_parts = n_parts};
    result->layer = -1;
    result->outcome = FBP_DONE;
    const double bound = is_plain_sgd(rule) ? rule->lr * gradient : gradient;
    int safe = FN(is_safe)(s.plan, rule, bound);
    if (!safe) {
        FN(measure)(s.plan);
        safe = FN(is_safe)(s.plan, rule, bound);
    }
    if (safe)
        FN(run)(&s, FN(apply_parts));
    else
        FN(update_carefully)(&s, FN(apply_parts), result);
}

/* What a step without rows would keep: gradients of 0, and statistics that stay. */
static void FN(plan_rest)(void *plan_)
{
    const FN(plan) *plan = plan_;
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        const size_t bytes = (size_t)FN(parameters_size)(op) * sizeof(REAL);
        if (has_parameters(op->layer.kind))
            memset(op->grad, 0, bytes);
        if (op->running)
            memcpy(op->fresh, op->running, bytes);
    }
}

/* Other numbers of a layer. */
static void FN(plan_adjust)(void *plan_, idx l, double a, double b)
{
    const FN(plan) *plan = plan_;
    FN(op) *op = &plan->ops[l];
    op->layer.a = a;
    op->layer.b = b;
    op->growth = growth_of(&op->layer);
    plan->bounds->parameters = INFINITY;
}

/* Another number of the loss. */
static void FN(plan_adjust_loss)(void *plan_, double number)
{
    ((FN(plan) *)plan_)->loss_number = number;
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
