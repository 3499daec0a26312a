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

/* ... of rows from .. to of all that gradients are products of, but x. */
static void FN(add_watched)(const FN(plan) *plan, idx from, idx to, FN(vec) *squares_)
{
    FN(vec) squares = *squares_;
    if (to - from == 1) {
        for (idx k = 0; k < plan->n_watched; k++) { /* the second vector of a half full one is 0 */
            const FN(vec) v = FN(load)(plan->watched[k] + from * NR);
            const FN(vec) w = FN(load)(plan->watched[k] + from * NR + LANES);
            squares += v * v;
            squares += w * w;
        }
        FN(add_squares)(plan->x + from * NR, 1, LANES, &squares); /* see gather */
        *squares_ = squares;
        return;
    }
    for (idx k = 0; k < plan->n_full; k++)
        FN(add_squares)(plan->watched[k] + from * NR, to - from, LANES, &squares);
    for (idx k = plan->n_full; k < plan->n_watched; k++)
        FN(add_squares)(plan->watched[k] + from * NR, to - from, NR, &squares);
    *squares_ = squares;
}

static inline double FN(sum_in_pairs)(FN(vec) v)
{
    REAL even = 0, odd = 0;
    for (int i = 0; i < LANES; i += 2) {
        even += v[i];
        odd += v[i + 1];
    }
    return (double)even + (double)odd;
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

/* What no element of a gradient is above, by Cauchy and Schwarz: each is a sum over the rows of an
 * input (of a bias: of 1) times a gradient by an output.  Three such bounds, of which the first has
 * all the squares there are, as sqrt(a b) <= a + b.  A normalisation's gradients are there already. */
static double FN(bound_by_all)(const FN(plan) *plan, idx rows)
{
    double bound = (double)(rows * (1 + plan->calm));
    for (idx l = 0; plan->normalises && l < plan->n_ops; l++)
        if (plan->ops[l].layer.kind == FBP_BATCH_NORM)
            bound += sqrt(FN(square_sum)(plan->ops[l].grad, FN(parameters_size)(&plan->ops[l])));
    FN(vec) sum = plan->squares[0];
    for (int part = 1; part < plan->n_parts; part++)
        sum += plan->squares[part];
    return bound + FN(sum_in_pairs)(sum);
}

/* The second has those of x, of the parameters and of the gradient by the outputs: the norm of a
 * product is at most the product of the norms.  (1e-20: for squares that underflow.) */
static double FN(bound_by_parameters)(const FN(plan) *plan, const fbp_batch *batch, double scale)
{
    const idx rows = batch->rows;
    const double ones = (double)rows;
    double in = ones, all_in = 0, dout = 1e-20, all_dout = 0, norms = 0;
    FN(vec) sum = {0};
    for (int part = 0; part < plan->n_parts; part++)
        in += FN(sum_in_pairs)(plan->squares[part]);
    if (plan->loss == FBP_SOFTMAX && !batch->weights) { /* probabilities less others, of each row */
        dout += 2 * ones * scale * scale;
    } else {
        FN(add_squares_of)(plan->dlogits, plan->n_out, plan->jump, rows, &sum);
        dout += FN(sum_in_pairs)(sum);
    }
    for (idx l = 0; l < plan->n_ops; l++) {
        FN(op) *op = &plan->ops[l];
        const double a = op->layer.a, n = ones * (double)op->layer.n_out;
        switch (op->layer.kind) {
        case FBP_AFFINE:
            sum = (FN(vec)){0};
            FN(add_squares)(op->W, FN(parameters_size)(op) / NR, LANES, &sum);
            op->square = FN(sum_in_pairs)(sum);
            all_in += in;
            in = op->square * in + ones;
            break;
        case FBP_LEAKY_RELU: in *= 1 + a * a; break;
        case FBP_SIGMOID:
        case FBP_TANH: in = n + ones; break;
        case FBP_SOFTPLUS: in = 2 * in + n; break; /* at most |x| + log 2 */
        case FBP_DROPOUT: in /= (1 - a) * (1 - a); break;
        case FBP_BATCH_NORM: /* gamma normal + beta, of normals whose squares are at most 1 a row */
            op->square = FN(square_sum)(op->W, FN(parameters_size)(op));
            in = ones * (1 + 2 * op->square);
            break;
        default: break; /* at most |x| */
        }
    }
    for (idx l = plan->n_ops - 1; l >= 0; l--) {
        const FN(op) *op = &plan->ops[l];
        const double a = op->layer.a;
        switch (op->layer.kind) {
        case FBP_AFFINE:
            all_dout += dout;
            dout *= op->square;
            break;
        case FBP_LEAKY_RELU: dout *= 1 + a * a; break;
        case FBP_GELU: dout *= 2; break; /* its derivative is at most 1.13 */
        case FBP_DROPOUT: dout /= (1 - a) * (1 - a); break;
        case FBP_BATCH_NORM: /* gamma inverse (a projection of dout) */
            norms += sqrt(FN(square_sum)(op->grad, FN(parameters_size)(op)));
            dout *= op->square * FN(square_sum)(op->inverse, FN(parameters_size)(op) / 2);
            break;
        default: break;
        }
    }
    return norms + sqrt(all_in * all_dout); /* sums, as NaN has to come through */
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
            sum += sqrt(FN(square_sum)(op->grad, n));
        if (op->layer.kind == FBP_AFFINE) {
            FN(add_squares_of)(op->in, op->layer.n_in, plan->jump, rows, &in);
            FN(add_squares_of)(op->dout, op->layer.n_out, plan->jump, rows, &dout);
            sum += sqrt(FN(sum_in_pairs)(in) + (double)rows) *
                   sqrt(FN(sum_in_pairs)(dout) + 1e-20);
        }
    }
    return sum;
}

/* The bounds of the numbers as they are. */
static void FN(measure)(const FN(plan) *plan, fbp_bounds *b)
{
    double sums[3] = {0};
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        if (!has_parameters(op->layer.kind))
            continue;
        sums[2] += FN(square_sum)(op->W, FN(parameters_size)(op));
        if (op->running)
            sums[2] += FN(square_sum)(op->running, FN(parameters_size)(op));
        for (int s = 0; s < 2; s++)
            if (op->state[s])
                sums[s] += FN(square_sum)(op->state[s], FN(parameters_size)(op));
    }
    b->parameters = sqrt(sums[2]);
    b->state[0] = sqrt(sums[0]);
    b->state[1] = sqrt(sums[1]);
}

/* The bounds after an update by gradients of at most `gradient`; see optim.h.  Numbers pass through
 * REAL as there, so that one which overflows in it makes the bound infinite or NaN. */
static void FN(follow)(const FN(plan) *plan, const fbp_rule *rule, double gradient, fbp_bounds *b)
{
    const int decoupled = rule->kind == FBP_ADAMW;
    const double lr = (double)(REAL)rule->lr, momentum = (double)(REAL)rule->momentum;
    const double eps = (double)(REAL)rule->eps;
    const double decay = (double)(REAL)(rule->weight_decay + rule->bias_decay);
    double d = gradient, step = 0;
    for (idx l = 0; plan->normalises && l < plan->n_ops; l++) /* running = a mean of running and fresh */
        if (plan->ops[l].fresh)
            b->parameters +=
                sqrt(FN(square_sum)(plan->ops[l].fresh, FN(parameters_size)(&plan->ops[l])));
    if (rule->clip_value > 0 && d > rule->clip_value)
        d = (double)(REAL)rule->clip_value;
    if (!decoupled)
        d += decay * b->parameters;
    switch (rule->kind) {
    case FBP_STORE: return;
    case FBP_SGD:
        if (is_plain_sgd(rule)) { /* the gradients bear the factor lr */
            step = d;
        } else {
            b->state[0] = momentum * b->state[0] + d;
            step = lr * (d + (1 + momentum) * b->state[0]);
        }
        break;
    case FBP_ADAGRAD:
        b->state[0] += d * d;
        step = lr * d / eps;
        break;
    case FBP_RMSPROP:
        b->state[0] += d * d;
        b->state[1] = momentum * b->state[1] + d / eps;
        step = lr * b->state[1];
        break;
    case FBP_ADAM:
    case FBP_ADAMW:
        b->state[0] += d;
        b->state[1] += d * d;
        step = lr / (1 - rule->beta_1) * b->state[0] / eps + decoupled * lr * decay * b->parameters;
        break;
    }
    b->parameters += step;
}

/* Whether an update by gradients of at most `gradient` leaves all finite for sure. */
static int FN(is_safe)(const FN(plan) *plan, const fbp_rule *rule, double gradient)
{
    fbp_bounds b = *plan->bounds;
    if (!(gradient <= FN(limit)))
        return 0;
    if (is_plain_sgd(rule) && !plan->normalises && b.parameters + gradient <= FN(limit)) {
        plan->bounds->parameters += gradient; /* as below, where most of it is nothing */
        return 1;
    }
    for (int measured = 0; measured < 2; measured++) {
        if (measured) /* the bounds have grown from step to step */
            FN(measure)(plan, &b);
        FN(follow)(plan, rule, gradient, &b);
        if (b.parameters + b.state[0] + b.state[1] <= FN(limit)) {
            *plan->bounds = b;
            return 1;
        }
    }
    return 0;
}

/* All that an update writes, into `copy` or (back) out of it; gives the elements. */
static idx FN(exchange)(const FN(plan) *plan, REAL *copy, int back)
{
    idx used = 0;
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        REAL *const written[] = {op->W, op->state[0], op->state[1], op->running};
        const idx n = has_parameters(op->layer.kind) ? FN(parameters_size)(op) : 0;
        for (int k = 0; k < 4; k++)
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
        const REAL *const written[] = {op->W, op->state[0], op->state[1], op->running};
        const idx n = has_parameters(op->layer.kind) ? FN(parameters_size)(op) : 0;
        for (int k = 0; k < 4; k++)
            if (n && written[k] && !(lenient && (k == 1 || k == 2)) &&
                !FN(all_finite)(written[k], n))
                return l;
    }
    return -1;
}
