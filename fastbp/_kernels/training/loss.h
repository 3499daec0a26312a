/* The loss of some rows of a batch, its gradient by the outputs, and what is classified rightly. */

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

/* The negative log likelihood of n / 2 targets, less a constant, whose gradient times scale is written
 * over x: of pairs x of a mean m and the logarithm s of a variance, which never is below eps, and
 * targets that are there twice, (log v + (m - t)^2 / v) / 2 with v = exp(s) + eps. */
static double FN(gaussian_loss)(REAL *x, const REAL *t, double eps, double scale, idx n)
{
    double sum = 0;
    for (idx i = 0; i < n; i += 2) {
        const double d = (double)x[i] - (double)t[i], e = exp((double)x[i + 1]), v = e + eps;
        sum += 0.5 * (log(v) + d / v * d);
        x[i] = (REAL)(scale * (d / v));
        x[i + 1] = (REAL)(0.5 * scale * (e / v) * (1 - d / v * d));
    }
    return sum;
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
    case FBP_NO_LOSS: break;
    default:
        loss = FN(loss_forward)(x, t, y, kind, plan->loss_number, n);
        FN(loss_backward)(fbp_losses[kind].keeps_y ? y : x, t, x, kind, plan->loss_number, scale, n);
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
    else if (kind == FBP_SIGMOID_LOSS || kind == FBP_FOCAL)
        for (idx i = 0; i < rows * n; i++)
            correct += (x[i] > 0) == (t[i] > (REAL)0.5);
    return (double)correct;
}

/* A softmax's shares, of which a part of `smoothing` goes to all classes alike. */
static void FN(smooth_shares)(REAL *t, double smoothing, idx n_shares, idx n)
{
    const REAL keep = (REAL)(1 - smoothing), all = (REAL)(smoothing / (double)n);
    for (idx i = 0; i < n_shares && smoothing > 0; i++)
        t[i] = all + keep * t[i];
}

/* The losses of rows, each of some columns, whose gradients times scale are written over x; `room` is
 * for one part's columns of x, y and t. */
static double FN(loss_of_parts)(const FN(plan) *plan, REAL *x, const REAL *t, REAL *room,
                                double scale, idx rows, double *correct)
{
    const idx n_out = plan->n_out;
    double sum = 0;
    const fbp_loss_part *part = plan->loss_parts;
    for (idx p = 0; p < plan->n_loss_parts; p++, x += part->width, t += part->width, part++) {
        const fbp_loss_kind kind = part->kind == FBP_SOFTMAX ? FBP_SOFT : part->kind;
        const idx n = part->width, all = rows * n;
        const double factor = part->factor, by = factor * scale, a = part->number;
        REAL *px = room, *py = px + all, *pt = py + all;
        double loss;
        for (idx r = 0; r < rows; r++)
            for (idx j = 0; j < n; j++) {
                px[r * n + j] = x[r * n_out + j];
                pt[r * n + j] = t[r * n_out + j];
            }
        *correct += FN(count_correct)(kind, px, pt, NULL, rows, n);
        if (kind == FBP_SOFT) {
            FN(smooth_shares)(pt, a, all, n);
            loss = FN(soft_cross_entropy_forward)(px, pt, py, rows, n);
            FN(soft_cross_entropy_backward)(py, pt, by, px, rows, n);
        } else if (kind == FBP_GAUSSIAN) {
            loss = FN(gaussian_loss)(px, pt, a, by, all);
        } else {
            loss = FN(loss_forward)(px, pt, py, kind, a, all);
            FN(loss_backward)(fbp_losses[kind].keeps_y ? py : px, pt, px, kind, a, by, all);
        }
        sum += factor * loss;
        for (idx r = 0; r < rows; r++)
            for (idx j = 0; j < n; j++)
                x[r * n_out + j] = px[r * n + j];
    }
    return sum;
}

static void FN(plan_loss)(const FN(plan) *plan, const fbp_batch *batch, double scale, idx from,
                          idx to, fbp_result *result)
{
    const idx n = plan->n_out, rows = to - from;
    REAL *x = plan->logits + from * n, *y = plan->y + from * n, *t = plan->t + from * n;
    const int64_t *classes = plan->classes + from;
    const FN(op) *last = &plan->ops[plan->n_ops - 1];
    const int shares = FN(is_smooth)(plan) || !batch->classes;
    if (plan->loss == FBP_SOFTMAX && !shares && n <= NR) {
        result->loss = FN(softmax_panel)(last->out + from * NR, classes,
                                         batch->weights ? plan->weights + from : NULL, scale,
                                         plan->clip_loss ? -log(FN(eps)) : INFINITY,
                                         plan->dlogits + from * NR, rows, n, &result->correct);
        return;
    }
    const fbp_loss_kind kind = plan->loss == FBP_SOFTMAX && shares ? FBP_SOFT : plan->loss;
    /* Smoothed shares of 1 are all alike. */
    const fbp_loss_kind seen = plan->loss == FBP_SOFTMAX && batch->classes ? FBP_SOFTMAX : kind;
    FN(unpack)(last->out + from * NR, plan->jump, rows, n, x);
    result->loss = result->correct = 0;
    if (kind == FBP_PARTS) {
        REAL *room = plan->part + 3 * from * n;
        if (!batch->weights)
            result->loss = FN(loss_of_parts)(plan, x, t, room, scale, rows, &result->correct);
        for (idx r = 0; r < rows && batch->weights; r++) {
            const double weight = (double)plan->weights[from + r];
            double correct = 0;
            result->loss += weight * FN(loss_of_parts)(plan, x + r * n, t + r * n, room,
                                                       weight * scale, 1, &correct);
            result->correct += weight * correct;
        }
    } else if (!batch->weights) {
        result->correct = FN(count_correct)(seen, x, t, classes, rows, n);
        result->loss = FN(loss_of_rows)(plan, kind, x, y, t, classes, scale, rows);
    } else {
        for (idx r = 0; r < rows; r++) {
            const double weight = (double)plan->weights[from + r];
            result->correct +=
                weight * FN(count_correct)(seen, x + r * n, t + r * n, classes + r, 1, n);
            result->loss += weight * FN(loss_of_rows)(plan, kind, x + r * n, y + r * n, t + r * n,
                                                      classes + r, weight * scale, 1);
        }
    }
    FN(scatter)(x, rows, n, plan->dlogits + from * NR, plan->jump);
}
