/* Whether an update leaves every number finite.
 *
 * A bound says so at the cost of a look at the activations; the parameters are not looked at.
 * Where it does not, which takes numbers near overflow, what the update writes is copied before,
 * looked at behind, and put back where it is not finite. */

/* Far below the type's largest, so that roundings and sums on the way have room. */
static const double FN(limit) = IS_FLOAT ? 1e36 : 1e300;

/* *squares += those of `rows` rows of some panels of n columns, by lanes. */
static inline void FN(add_squares)(const REAL *panels, idx n, idx jump, idx rows, FN(vec) *squares)
{
    FN(vec) a = *squares, b = {0}, c = {0}, d = {0};
    for (idx j = 0; j < n; j += NR, panels += jump) {
        const idx step = n - j > LANES ? LANES : NR; /* a half-empty panel's second vectors are 0 */
        const REAL *p = panels, *end = panels + rows * NR;
        for (; end - p >= 4 * step; p += 4 * step) {
            const FN(vec) v = FN(load)(p), w = FN(load)(p + step);
            const FN(vec) x = FN(load)(p + 2 * step), y = FN(load)(p + 3 * step);
            a += v * v;
            b += w * w;
            c += x * x;
            d += y * y;
        }
        for (; p < end; p += step)
            b += FN(load)(p) * FN(load)(p);
    }
    *squares = (a + b) + (c + d);
}

static inline double FN(sum_in_pairs)(FN(vec) v)
{
    double even = 0, odd = 0;
    for (int i = 0; i < LANES; i += 2) {
        even += (double)v[i];
        odd += (double)v[i + 1];
    }
    return even + odd;
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
 * input (of a bias: of 1) times a gradient by an output.  The first bound is the cheaper one, as
 * 2 sqrt(a b) <= a + b.  A normalisation's gradients are there already. */
static double FN(gradient_bound)(const FN(plan) *plan, idx rows, int sharp)
{
    double in = (double)(rows * (1 + plan->calm)), dout = 1e-20; /* squares that underflow */
    double norms = 0;
    for (idx l = 0; plan->normalises && l < plan->n_ops; l++)
        if (plan->ops[l].layer.kind == FBP_BATCH_NORM)
            norms += sqrt(FN(square_sum)(plan->ops[l].grad, FN(parameters_size)(&plan->ops[l])));
    if (!sharp) {
        FN(vec) sum = plan->squares[0].in + plan->squares[0].dout;
        for (int part = 1; part < plan->n_parts; part++)
            sum += plan->squares[part].in + plan->squares[part].dout;
        return norms + in + FN(sum_in_pairs)(sum);
    }
    for (int part = 0; part < plan->n_parts; part++) {
        in += FN(sum_in_pairs)(plan->squares[part].in);
        dout += FN(sum_in_pairs)(plan->squares[part].dout);
    }
    return norms + sqrt(in * dout);
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
    *b = (fbp_bounds){sqrt(sums[2]), {sqrt(sums[0]), sqrt(sums[1])}};
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

static int FN(all_finite)(const REAL *x, idx n)
{
    int yes = 1;
    for (idx i = 0; i < n; i++)
        yes &= x[i] - x[i] == 0;
    return yes;
}

/* The first layer of whose numbers one is not finite, or -1. */
static idx FN(first_spoilt)(const FN(plan) *plan)
{
    for (idx l = 0; l < plan->n_ops; l++) {
        const FN(op) *op = &plan->ops[l];
        const REAL *const written[] = {op->W, op->state[0], op->state[1], op->running};
        const idx n = has_parameters(op->layer.kind) ? FN(parameters_size)(op) : 0;
        for (int k = 0; k < 4; k++)
            if (n && written[k] && !FN(all_finite)(written[k], n))
                return l;
    }
    return -1;
}
