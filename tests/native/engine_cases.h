/* The engine's step on random networks, for one element type. */

#define ENGINE (&kernels->engine[IS_DOUBLE])
#define RUN(name) (seen[IS_DOUBLE].name = 1, called = #name, ENGINE->name)
#define STEP_TOL (IS_DOUBLE ? 1e-11 : 2e-5)

/* Row-major W and b, and the same in double. */
static void FN(compare)(void *plan, const network *net, idx k, int part, const double *want,
                        idx stride)
{
    const fbp_layer *l = &net->layers[k];
    const idx w = weights_of(l), n = parameters_of(l);
    REAL *W = FN(room)(w), *b = FN(room)(l->n_out);
    double scale = 1;
    RUN(plan_read)(plan, k, part, W, b);
    for (idx i = 0; i < n; i++)
        scale = fmax(scale, fabs(want[i * stride]));
    for (idx i = 0; i < n; i++)
        near(i, (double)(i < w ? W[i] : b[i - w]), want[i * stride], STEP_TOL * scale);
}

static void FN(compare_all)(void *plan, const network *net, int n_states)
{
    for (idx k = 0; k < net->n_layers; k++) {
        if (!has_weights(&net->layers[k]))
            continue;
        FN(compare)(plan, net, k, 0, net->p[k], 1);
        for (int s = 0; s < n_states; s++)
            FN(compare)(plan, net, k, 3 + s, net->s[k] + s, FBP_MOST_STATES);
        if (net->layers[k].kind == FBP_BATCH_NORM)
            FN(compare)(plan, net, k, 2, net->running[k], 1);
    }
}

/* Rows of x in any of the ways that the engine takes them, some rows of more; x also as double. */
static void FN(draw_x)(network *net, fbp_source *x, idx all, idx n_in)
{
    const int sparse = draw() % 4 == 0;
    double *dense = doubles(all * n_in);
    int64_t *indptr = memory((size_t)(all + 1) * 8, 8), *indices;
    int64_t *rows = draw() % 2 ? classes(net->rows, all) : NULL;
    idx n = 0;
    x->type = draw() % 3;
    for (idx i = 0; i < all * n_in; i++) {
        const double v = uniform(-2, 2);
        dense[i] = x->type == FBP_UINT8 ? (double)(draw() % 4) : x->type == FBP_FLOAT32 ? (float)v : v;
        if (sparse && draw() % 3)
            dense[i] = 0;
        n += !sparse || dense[i] != 0;
    }
    const size_t width = x->type == FBP_UINT8 ? 1 : x->type == FBP_FLOAT32 ? 4 : 8;
    char *data = memory((size_t)n * width, width);
    indices = memory((size_t)n * 8, 8);
    idx e = 0;
    for (idx i = 0; i < all * n_in; i++) {
        if (i % n_in == 0)
            indptr[i / n_in] = e;
        if (sparse && dense[i] == 0)
            continue;
        indices[e] = i % n_in;
        if (x->type == FBP_UINT8)
            ((uint8_t *)data)[e] = (uint8_t)dense[i];
        else if (x->type == FBP_FLOAT32)
            ((float *)data)[e] = (float)dense[i];
        else
            ((double *)data)[e] = dense[i];
        e++;
    }
    indptr[all] = e;
    x->data = data;
    x->n_numbers = net->rows;
    x->stride = n_in;
    x->size = sparse ? n : all * n_in;
    x->n_rows = all;
    x->rows = rows;
    x->indptr = sparse ? indptr : NULL;
    x->indices = indices;
    for (idx r = 0; sparse && r < net->rows; r++)
        x->capacity += indptr[(rows ? rows[r] : r) + 1] - indptr[rows ? rows[r] : r];
    x->room = memory((size_t)(2 * x->capacity) * sizeof(fbp_entry), 8);
    for (idx r = 0; r < net->rows; r++)
        for (idx i = 0; i < n_in; i++) /* the engine's arithmetic begins with REAL */
            net->a[0][r * n_in + i] = (double)(REAL)dense[(rows ? rows[r] : r) * n_in + i];
}

/* The loss of the batch, and its gradient times scale in net->d. */
static double FN(reference_loss)(network *net, const fbp_batch *batch, double *correct)
{
    const idx n = net->layers[net->n_layers - 1].n_out;
    double loss = 0;
    *correct = 0;
    for (idx r = 0; r < net->rows; r++) {
        const idx row = batch->x.rows ? (idx)batch->x.rows[r] : r;
        const double weight = batch->weights ? (double)((const REAL *)batch->weights)[row] : 1;
        double *t = batch->classes ? NULL : doubles(n), hits = 0;
        double *dx = net->d[net->n_layers] + r * n;
        for (idx j = 0; t && j < n; j++)
            t[j] = (double)((const REAL *)batch->t)[row * n + j];
        loss += weight * loss_of_row(net, net->a[net->n_layers] + r * n, t,
                                     batch->classes ? batch->classes[row] : 0, dx, &hits);
        *correct += weight * hits;
        for (idx j = 0; j < n; j++)
            dx[j] *= weight * batch->scale;
    }
    return loss;
}

static void FN(draw_layers)(fbp_layer *layers, idx n_layers)
{
    idx n = draw_from(INPUTS, COUNT(INPUTS));
    for (idx k = 0; k < n_layers; k++) {
        fbp_layer *l = &layers[k];
        memset(l, 0, sizeof *l);
        l->kind = draw() % 2 ? FBP_AFFINE : draw_from(KINDS, COUNT(KINDS));
        l->n_in = n;
        if (l->kind == FBP_AFFINE)
            n = draw_from(OUTPUTS, COUNT(OUTPUTS));
        l->n_out = n;
        l->sample_variance = l->no_bias = draw() % 3 == 0;
        l->b = 0.9;
        l->a = l->kind == FBP_DROPOUT ? 0.25 : 0.125; /* without rounding in either type */
    }
}

static void FN(draw_rule)(fbp_rule *rule, int *n_states)
{
    memset(rule, 0, sizeof *rule);
    do
        rule->kind = draw() % FBP_N_RULES;
    while (rule->kind == FBP_LION); /* the sign of a sum that is 0 but for roundings */
    *n_states = fbp_rules[rule->kind].states;
    rule->momentum = 0.75;
    rule->lr = 0.0078125;
    rule->beta_1 = 0.875;
    rule->beta_2 = 0.9375;
    rule->eps = 0.0625;
    rule->lr_decay = 0.25;
    rule->momentum_decay = 0.0078125;
    rule->clip_scale = draw() % 4 ? 1 : 0.5;
    rule->clip_value = draw() % 4 ? 0 : 0.03125;
    if (draw() % 2) {
        rule->weight_decay = 0.03125;
        rule->bias_decay = draw() % 2 ? 0.03125 : 0;
    }
    rule->decoupled = decouples(rule->kind) && draw() % 2;
}

static void FN(draw_targets)(network *net, fbp_batch *batch, idx all, idx n_out)
{
    if (net->loss == FBP_SOFTMAX && draw() % 2)
        batch->classes = classes(all, n_out);
    REAL *t = FN(between)(0.05, 0.95, all * n_out);
    for (idx r = 0; r < all && net->loss == FBP_SOFTMAX; r++) {
        REAL sum = 0;
        for (idx j = 0; j < n_out; j++)
            sum += t[r * n_out + j];
        for (idx j = 0; j < n_out; j++)
            t[r * n_out + j] /= sum;
    }
    batch->t = t;
    if (draw() % 3 == 0)
        batch->weights = FN(between)(0.5, 2, all);
}

static void *FN(new_plan)(const network *net, idx batch_size, int n_states, int keep, int n_parts)
{
    fbp_spec spec = {.layers = net->layers, .n_layers = net->n_layers, .batch_size = batch_size,
                     .loss = net->loss, .loss_number = net->delta, .n_states = n_states,
                     .keep_gradients = keep};
    const size_t bytes = RUN(plan_layout)(&spec, n_parts, NULL);
    void *plan = memory(bytes, 64);
    memset(plan, 0, bytes);
    RUN(plan_layout)(&spec, n_parts, plan);
    return plan;
}

/* Random weights into the plan and into the network. */
static void FN(draw_weights)(void *plan, network *net)
{
    for (idx k = 0; k < net->n_layers; k++) {
        const fbp_layer *l = &net->layers[k];
        const idx w = weights_of(l);
        if (!has_weights(l))
            continue;
        const double scale = l->kind == FBP_AFFINE ? 1 / sqrt((double)l->n_in) : 1;
        REAL *W = FN(between)(-scale, scale, w), *b = FN(between)(-1, 1, l->n_out);
        if (l->kind == FBP_AFFINE && l->no_bias)
            memset(b, 0, (size_t)l->n_out * sizeof *b);
        RUN(plan_write)(plan, k, 0, W, b);
        for (idx i = 0; i < w + l->n_out; i++)
            net->p[k][i] = (double)(i < w ? W[i] : b[i - w]);
    }
}

static void FN(copy_weights)(void *to, void *from)
{
    idx n, m;
    const REAL *theirs = RUN(plan_flat)(from, 0, &n);
    REAL *own = RUN(plan_flat)(to, 0, &m);
    near(0, (double)n, (double)m, 0);
    memcpy(own, theirs, (size_t)n * sizeof *own);
}

/* The gradients that a step stores, and the update by them: the step in two parts. */
static void FN(step_in_parts)(void *plan, network *net, const fbp_batch *batch, fbp_rule *rule)
{
    const fbp_rule store = {.kind = FBP_STORE, .clip_scale = 1};
    const idx n = net->layers[net->n_layers - 1].n_out;
    double correct, squares = 0, weights = 0;
    fbp_result result;
    REAL *outputs = FN(room)(net->rows * n), *dout = FN(room)(net->rows * n);
    fbp_batch whole = *batch;
    whole.scale = 1;
    net->near_kink = 0;
    forward(net);
    FN(reference_loss)(net, batch, &correct);
    backward(net);
    if (net->near_kink && !IS_DOUBLE)
        return;
    RUN(plan_outputs)(plan, &whole, outputs);
    for (idx i = 0; i < net->rows * n; i++) {
        near(i, (double)outputs[i], net->a[net->n_layers][i],
             STEP_TOL * (1 + fabs(net->a[net->n_layers][i])));
        dout[i] = (REAL)net->d[net->n_layers][i];
    }
    RUN(plan_backward)(plan, &whole, dout, &store, &result);
    for (idx k = 0; k < net->n_layers; k++) {
        const fbp_layer *l = &net->layers[k];
        if (has_weights(l))
            FN(compare)(plan, net, k, 1, net->g[k], 1);
        for (idx i = 0; i < parameters_of(l); i++) {
            squares += net->g[k][i] * net->g[k][i];
            if (l->kind == FBP_AFFINE && i < weights_of(l))
                weights += net->p[k][i] * net->p[k][i];
        }
    }
    const double norm = RUN(plan_gradient_norm)(plan);
    near(0, norm, sqrt(squares), 10 * STEP_TOL * (1 + sqrt(squares)));
    idx n_flat;
    const REAL *flat = RUN(plan_flat)(plan, 1, &n_flat);
    double sum = 0;
    for (idx i = 0; i < n_flat; i++)
        sum += (double)flat[i] * (double)flat[i];
    near(0, sqrt(sum), sqrt(squares), 10 * STEP_TOL * (1 + sqrt(squares)));
    near(0, RUN(plan_weight_square)(plan), weights, 10 * STEP_TOL * (1 + weights));
    RUN(plan_apply)(plan, rule, norm, 3, NULL, &result); /* elements: in any parts */
    near(0, result.outcome, FBP_DONE, 0);
    update_all(net, rule);
    FN(compare_all)(plan, net, 0);
    RUN(plan_rest)(plan);
    near(0, RUN(plan_gradient_norm)(plan), 0, 0);
}

/* A plan has the numbers of its twin, to the bit. */
static void FN(same)(void *plan, void *twin, const network *net, int n_states)
{
    const int parts[] = {0, 2, 3, 4, 5};
    for (idx k = 0; k < net->n_layers; k++)
        for (int p = 0; p < 2 + n_states; p++) {
            const fbp_layer *l = &net->layers[k];
            if (!has_weights(l) || (parts[p] == 2 && l->kind != FBP_BATCH_NORM))
                continue;
            const idx w = weights_of(l), m = l->n_out;
            REAL *W = FN(room)(w), *b = FN(room)(m), *V = FN(room)(w), *c = FN(room)(m);
            RUN(plan_read)(plan, k, parts[p], W, b);
            RUN(plan_read)(twin, k, parts[p], V, c);
            near(k, memcmp(W, V, (size_t)w * sizeof *W), 0, 0);
            near(k, memcmp(b, c, (size_t)m * sizeof *b), 0, 0);
        }
}

/* An update that would not be finite, and rows that are out of range: nothing changes, and the two
 * plans go on alike. */
static void FN(step_refused)(void *plan, void *twin, const network *net, const fbp_batch *batch,
                             const fbp_rule *rule_, int n_states, int n_parts)
{
    fbp_rule rule = *rule_;
    fbp_batch lost = *batch;
    fbp_result result;
    fbp_team *team = fbp_take_team(n_parts);
    int64_t *classes = memory((size_t)batch->x.n_rows * 8, 8), *rows = NULL;
    for (int step = 0; step < 2; step++) { /* the states get a size */
        RUN(plan_step)(plan, batch, &rule, n_parts, team, &result);
        RUN(plan_step)(twin, batch, &rule, n_parts, team, &result);
    }
    rule.lr = INFINITY;
    RUN(plan_step)(plan, batch, &rule, n_parts, team, &result);
    near(0, result.outcome, FBP_NOT_FINITE, 0);
    near(0, result.layer >= 0 || !isfinite(result.loss), 1, 0);
    FN(same)(plan, twin, net, n_states);
    rule.lr = rule_->lr;
    if (batch->classes) {
        memcpy(classes, batch->classes, (size_t)batch->x.n_rows * 8);
        classes[batch->x.rows ? batch->x.rows[net->rows - 1] : net->rows - 1] = draw() % 2 ? -1 : 1 << 20;
        lost.classes = classes;
    } else {
        rows = memory((size_t)net->rows * 8, 8);
        for (idx r = 0; r < net->rows; r++)
            rows[r] = r;
        rows[net->rows / 2] = draw() % 2 ? INT64_MIN : batch->x.n_rows;
        lost.x.rows = rows;
    }
    RUN(plan_step)(plan, &lost, &rule, n_parts, team, &result);
    near(0, result.outcome, FBP_BAD_ROWS, 0);
    FN(same)(plan, twin, net, n_states);
    RUN(plan_step)(plan, batch, &rule, n_parts, team, &result);
    RUN(plan_step)(twin, batch, &rule, n_parts, team, &result);
    FN(same)(plan, twin, net, n_states);
    fbp_give_team(team);
}

/* A loss that is not finite: the weights stay, and the layer is named. */
static void FN(step_not_finite)(void *plan, void *twin, const network *net, const fbp_batch *batch,
                                const fbp_rule *rule)
{
    fbp_batch poisoned = *batch;
    fbp_result result;
    const idx n = net->layers[0].n_in, all = batch->x.n_rows;
    double *x = doubles(all * n);
    for (idx i = 0; i < all * n; i++)
        x[i] = NAN;
    poisoned.x.data = x;
    poisoned.x.type = FBP_FLOAT64;
    poisoned.x.indptr = NULL;
    FN(copy_weights)(twin, plan);
    RUN(plan_step)(plan, &poisoned, rule, 1, NULL, &result);
    near(0, result.loss, NAN, 0);
    near(0, (double)RUN(plan_first_non_finite)(plan, net->rows), 0, 0);
    FN(same)(plan, twin, net, -1);
}

/* Returns whether the case could be compared: nothing near a kink, no loss that ran away. */
static int FN(random_case)(void)
{
    fbp_layer layers[MOST_LAYERS];
    network net = {.layers = layers, .n_layers = 1 + (idx)(draw() % 6), .delta = 0.75};
    const idx all = draw_from(ROWS + 2, COUNT(ROWS) - 2); /* at least 4, to normalise over */
    net.rows = all < 64 ? all : all - (idx)(draw() % 9);
    net.loss = draw_from(LOSSES, COUNT(LOSSES));
    if (net.loss == FBP_SOFTMAX) /* of its targets' smoothing */
        net.delta = draw() % 2 ? 0 : 0.125;
    FN(draw_layers)(layers, net.n_layers);
    const idx n_in = layers[0].n_in, n_out = layers[net.n_layers - 1].n_out;
    prepare(&net);
    net.seed = draw();

    int n_states;
    fbp_rule rule;
    FN(draw_rule)(&rule, &n_states);
    fbp_batch batch = {.rows = net.rows, .scale = 1 / (double)net.rows, .seed = net.seed};
    FN(draw_x)(&net, &batch.x, all, n_in);
    FN(draw_targets)(&net, &batch, all, n_out);
    const int n_parts = draw() % 4 == 0 ? 3 : 1;
    void *plan = FN(new_plan)(&net, net.rows, n_states, 0, n_parts);
    FN(draw_weights)(plan, &net);
    for (idx k = 0; k < net.n_layers; k++)
        RUN(plan_adjust)(plan, k, layers[k].a, layers[k].b);
    RUN(plan_adjust_loss)(plan, net.delta);

    int compared = 1;
    for (int step = 0; step < 2 && compared; step++) {
        double correct;
        fbp_result result;
        net.step = batch.step = (uint64_t)step;
        rule.step = step + 1;
        forward(&net);
        const double loss = FN(reference_loss)(&net, &batch, &correct);
        backward(&net);
        update_all(&net, &rule);
        fbp_team *team = fbp_take_team(n_parts);
        RUN(plan_step)(plan, &batch, &rule, n_parts, team, &result);
        fbp_give_team(team);
        compared = (IS_DOUBLE || !net.near_kink) && fabs(loss) < 100 * (double)net.rows;
        if (!compared)
            break;
        near(0, result.loss, loss, STEP_TOL * (fabs(loss) + (double)net.rows));
        near(1, result.correct, correct, STEP_TOL * (double)net.rows);
        FN(compare_all)(plan, &net, n_states);
    }
    void *parts = FN(new_plan)(&net, net.rows, n_states, 1, 1);
    FN(step_not_finite)(plan, parts, &net, &batch, &rule);
    int trained = 0;
    for (idx k = 0; k < net.n_layers; k++)
        trained |= has_weights(&layers[k]);
    if (compared && trained) {
        void *one = FN(new_plan)(&net, net.rows, n_states, 0, n_parts);
        void *two = FN(new_plan)(&net, net.rows, n_states, 0, n_parts);
        FN(draw_weights)(one, &net);
        FN(copy_weights)(two, one);
        FN(step_refused)(one, two, &net, &batch, &rule, n_states, n_parts);
    }
    if (compared) { /* the reference's weights are still the plan's */
        for (idx k = 0; k < net.n_layers; k++) {
            memset(net.s[k], 0,
                   FBP_MOST_STATES * (size_t)parameters_of(&layers[k]) * sizeof(double));
            memset(net.running[k], 0, (size_t)parameters_of(&layers[k]) * sizeof(double));
        }
        rule.step = 1;
        FN(draw_weights)(parts, &net);
        FN(step_in_parts)(parts, &net, &batch, &rule);
    }
    release();
    return compared;
}

static void FN(engine)(void)
{
    enum { CASES = 300 };
    int compared = 0;
    for (int k = 0; k < CASES; k++) {
        sprintf(what, "(network %d, %s)", k, IS_DOUBLE ? "double" : "float");
        compared += FN(random_case)();
    }
    if (compared < CASES * 4 / 5) {
        printf("FAILED: only %d of %d networks could be compared\n", compared, CASES);
        failures++;
    }
}
