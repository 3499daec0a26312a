/* A network's training step in plain loops and double: what the engine is held to. */

enum { MOST_LAYERS = 8 };

typedef struct {
    const fbp_layer *layers;
    idx n_layers, rows;
    fbp_loss_kind loss;
    double delta;
    uint64_t seed, step;
    /* by layer: inputs (the last: outputs) and their gradients; parameters, W then b, with
     * gradients and states each; a normalisation's mean and variance */
    double *a[MOST_LAYERS + 1], *d[MOST_LAYERS + 1];
    double *p[MOST_LAYERS], *g[MOST_LAYERS], *s[MOST_LAYERS], *running[MOST_LAYERS];
    int near_kink; /* a rounding could go over the kink of a relu or of an absolute value */
} network;

static double *doubles(idx n)
{
    double *x = memory((size_t)n * sizeof *x, sizeof *x);
    memset(x, 0, (size_t)n * sizeof *x);
    return x;
}

/* Elements of W, or of gamma. */
static idx weights_of(const fbp_layer *l)
{
    return l->kind == FBP_AFFINE ? l->n_in * l->n_out : l->kind == FBP_BATCH_NORM ? l->n_out : 0;
}

static int has_weights(const fbp_layer *l)
{
    return weights_of(l) > 0;
}

static idx parameters_of(const fbp_layer *l)
{
    return has_weights(l) ? weights_of(l) + l->n_out : 0;
}

static void prepare(network *net)
{
    net->a[0] = doubles(net->rows * net->layers[0].n_in);
    net->d[0] = doubles(net->rows * net->layers[0].n_in);
    for (idx l = 0; l < net->n_layers; l++) {
        const idx n = parameters_of(&net->layers[l]), size = net->rows * net->layers[l].n_out;
        net->a[l + 1] = doubles(size);
        net->d[l + 1] = doubles(size);
        net->p[l] = doubles(n);
        net->g[l] = doubles(n);
        net->s[l] = doubles(FBP_MOST_STATES * n);
        net->running[l] = doubles(n);
    }
}

static double activation(const fbp_layer *l, double x)
{
    switch (l->kind) {
    case FBP_RELU: return x > 0 ? x : 0;
    case FBP_LEAKY_RELU: return x > 0 ? x : l->a * x;
    case FBP_SIGMOID: return sigmoid(x);
    case FBP_TANH: return tanh(x);
    case FBP_SOFTPLUS: return log1p(exp(x));
    default: return x * normal_cdf(x);
    }
}

static double derivative(const fbp_layer *l, double x)
{
    switch (l->kind) {
    case FBP_RELU: return x > 0;
    case FBP_LEAKY_RELU: return x > 0 ? 1 : l->a;
    case FBP_SIGMOID: return sigmoid(x) * (1 - sigmoid(x));
    case FBP_TANH: return 1 - tanh(x) * tanh(x);
    case FBP_SOFTPLUS: return sigmoid(x);
    default: return normal_cdf(x) + x * exp(-0.5 * x * x) / sqrt(2 * acos(-1));
    }
}

static void look_for_kink(network *net, double x)
{
    net->near_kink |= x != 0 && fabs(x) < 1e-5;
}

/* mean and 1 / sqrt(var + eps) of a column */
static double statistics(const fbp_layer *l, const double *x, idx rows, idx j, double *mean,
                         double *var)
{
    *mean = *var = 0;
    for (idx r = 0; r < rows; r++)
        *mean += x[r * l->n_out + j] / (double)rows;
    for (idx r = 0; r < rows; r++)
        *var += pow(x[r * l->n_out + j] - *mean, 2) / (double)rows;
    return 1 / sqrt(*var + l->a);
}

static void forward(network *net)
{
    const idx rows = net->rows;
    for (idx k = 0; k < net->n_layers; k++) {
        const fbp_layer *l = &net->layers[k];
        const double *x = net->a[k], *W = net->p[k], *b = W + weights_of(l);
        double *y = net->a[k + 1];
        const idx n = l->n_out;
        for (idx j = 0; j < n; j++) {
            double mean = 0, var = 0, inverse = 0;
            if (l->kind == FBP_BATCH_NORM) {
                inverse = statistics(l, x, rows, j, &mean, &var);
                const double by =
                    l->sample_variance && rows > 1 ? (double)rows / (double)(rows - 1) : 1;
                double *running = net->running[k];
                running[j] = l->b * running[j] + (1 - l->b) * mean;
                running[n + j] = l->b * running[n + j] + (1 - l->b) * by * var;
            }
            for (idx r = 0; r < rows; r++) {
                const idx at = r * n + j;
                if (l->kind == FBP_AFFINE) {
                    y[at] = b[j];
                    for (idx i = 0; i < l->n_in; i++)
                        y[at] += x[r * l->n_in + i] * W[i * n + j];
                } else if (l->kind == FBP_BATCH_NORM) {
                    y[at] = W[j] * (x[at] - mean) * inverse + b[j];
                } else if (l->kind == FBP_DROPOUT) {
                    const uint64_t key = mask_key(net->seed, net->step, (uint64_t)k);
                    y[at] = dropped(key, (uint32_t)at, l->a) ? 0 : x[at] / (1 - l->a);
                } else {
                    y[at] = activation(l, x[at]);
                    if (l->kind == FBP_RELU || l->kind == FBP_LEAKY_RELU)
                        look_for_kink(net, x[at]);
                }
            }
        }
    }
}

/* From net->d of the outputs down; gradients by parameters into net->g. */
static void backward(network *net)
{
    const idx rows = net->rows;
    for (idx k = net->n_layers - 1; k >= 0; k--) {
        const fbp_layer *l = &net->layers[k];
        const double *x = net->a[k], *W = net->p[k], *dout = net->d[k + 1];
        double *dx = net->d[k], *dW = net->g[k], *db = dW + weights_of(l);
        const idx n = l->n_out, n_in = l->n_in;
        for (idx i = 0; i < parameters_of(l); i++)
            dW[i] = 0;
        for (idx r = 0; r < rows && l->kind == FBP_AFFINE; r++)
            for (idx i = 0; i < n_in; i++) {
                double sum = 0;
                for (idx j = 0; j < n; j++) {
                    sum += dout[r * n + j] * W[i * n + j];
                    dW[i * n + j] += x[r * n_in + i] * dout[r * n + j];
                }
                dx[r * n_in + i] = sum;
            }
        for (idx j = 0; j < n; j++) {
            double mean, var, inverse = 0;
            if (l->kind == FBP_BATCH_NORM)
                inverse = statistics(l, x, rows, j, &mean, &var);
            for (idx r = 0; r < rows; r++) {
                const idx at = r * n + j;
                if (has_weights(l))
                    db[j] += dout[at];
                if (l->kind == FBP_BATCH_NORM)
                    dW[j] += dout[at] * (x[at] - mean) * inverse;
                else if (l->kind == FBP_DROPOUT)
                    dx[at] = dropped(mask_key(net->seed, net->step, (uint64_t)k), (uint32_t)at,
                                     l->a) ? 0 : dout[at] / (1 - l->a);
                else if (l->kind != FBP_AFFINE)
                    dx[at] = dout[at] * derivative(l, x[at]);
            }
            for (idx r = 0; r < rows && l->kind == FBP_BATCH_NORM; r++) {
                const idx at = r * n + j;
                dx[at] = W[j] * inverse *
                         (dout[at] - (db[j] + (x[at] - mean) * inverse * dW[j]) / (double)rows);
            }
            if (l->kind == FBP_AFFINE && l->no_bias)
                db[j] = 0;
        }
    }
}

/* One row's loss, and its gradient by the row's outputs x; *correct counts as the engine does. */
static double loss_of_row(network *net, const double *x, const double *t, int64_t class,
                          double *dx, double *correct)
{
    const idx n = net->layers[net->n_layers - 1].n_out;
    double loss = 0, sum = 0;
    idx best = 0, target = 0;
    for (idx j = 0; j < n; j++) {
        sum += exp(x[j]);
        best = x[j] > x[best] ? j : best;
        target = t && t[j] > t[target] ? j : target;
    }
    for (idx j = 0; j < n; j++) {
        const double t_j = net->loss != FBP_SOFTMAX ? t[j]
                           : (1 - net->delta) * (t ? t[j] : j == class) + net->delta / (double)n;
        const double d = x[j] - t_j;
        switch (net->loss) {
        case FBP_SOFTMAX:
            loss += t_j * (log(sum) - x[j]);
            dx[j] = exp(x[j]) / sum - t_j;
            *correct += j == 0 && best == (t ? target : class);
            break;
        case FBP_SIGMOID_LOSS:
            loss += fmax(x[j], 0) - x[j] * t_j + log1p(exp(-fabs(x[j])));
            dx[j] = sigmoid(x[j]) - t_j;
            *correct += (x[j] > 0) == (t_j > 0.5);
            break;
        case FBP_SQUARED:
            loss += d * d;
            dx[j] = 2 * d;
            break;
        case FBP_ABSOLUTE:
            loss += fabs(d);
            dx[j] = sign(d);
            look_for_kink(net, d);
            break;
        case FBP_HUBER:
            loss += huber(d, net->delta);
            dx[j] = fabs(d) <= net->delta ? d : net->delta * sign(d);
            break;
        case FBP_QUANTILE:
            loss += d > 0 ? (1 - net->delta) * d : -net->delta * d;
            dx[j] = d > 0 ? 1 - net->delta : -net->delta;
            look_for_kink(net, d);
            break;
        default: /* FBP_POISSON */
            loss += (t_j == 0 ? 0 : t_j * (log(t_j) - x[j])) - t_j + exp(x[j]);
            dx[j] = exp(x[j]) - t_j;
        }
    }
    return loss;
}

/* By net->g. */
static void update_all(network *net, const fbp_rule *rule)
{
    for (idx k = 0; k < net->n_layers; k++) {
        const fbp_layer *l = &net->layers[k];
        const idx size = weights_of(l);
        for (idx i = 0; i < parameters_of(l); i++) {
            if (l->kind == FBP_AFFINE && l->no_bias && i >= size)
                continue;
            double g = net->g[k][i] * rule->clip_scale;
            if (rule->clip_value > 0)
                g = fmax(-rule->clip_value, fmin(rule->clip_value, g));
            update(rule, l->kind == FBP_AFFINE && i < size ? rule->weight_decay : rule->bias_decay,
                   &net->p[k][i], g, &net->s[k][FBP_MOST_STATES * i]);
        }
    }
}
