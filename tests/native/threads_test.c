/* The engine under threads of this harness's own, which thread sanitizer knows (of libgomp's it
 * gives false alarms): plans of their own in several threads, and one plan's step split over
 * several.  kernels.c is included, with a barrier of pthreads in the place of OpenMP's. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>

#define FASTBP_THREADS_H
#define PARALLEL(n, ...)
#define THREAD() 0
#define N_THREADS() 1
#define BARRIER(n) ((n) > 1 ? (void)pthread_barrier_wait(barrier) : (void)0)
#define ATOMIC_SET(flag) __atomic_store_n(&(flag), 1, __ATOMIC_RELAXED)
static _Thread_local pthread_barrier_t *barrier;

#include "kernels.c"

#define TABLE (&PASTE(fbp_kernels_, FBP_ISA))
#define CHECK(what) ((what) ? (void)0 : (printf("FAILED line %d: %s\n", __LINE__, #what), exit(1)))

enum { ROWS = 70, IN = 83, WIDTH = 67, OUT = 5, STEPS = 3, MOST_THREADS = 4 };

static const fbp_layer LAYERS[] = {
    {.kind = FBP_AFFINE, .n_in = IN, .n_out = WIDTH},
    {.kind = FBP_BATCH_NORM, .n_in = WIDTH, .n_out = WIDTH, .a = 1e-3, .momentum = 0.9},
    {.kind = FBP_RELU, .n_in = WIDTH, .n_out = WIDTH},
    {.kind = FBP_DROPOUT, .n_in = WIDTH, .n_out = WIDTH, .a = 0.25},
    {.kind = FBP_AFFINE, .n_in = WIDTH, .n_out = WIDTH},
    {.kind = FBP_RELU, .n_in = WIDTH, .n_out = WIDTH},
    {.kind = FBP_AFFINE, .n_in = WIDTH, .n_out = WIDTH},
    {.kind = FBP_GELU, .n_in = WIDTH, .n_out = WIDTH},
    {.kind = FBP_AFFINE, .n_in = WIDTH, .n_out = OUT},
};
/* Without the barriers of a normalisation, which would stand in for the step's own. */
static const fbp_layer PLAIN[] = {
    {.kind = FBP_AFFINE, .n_in = IN, .n_out = WIDTH},
    {.kind = FBP_RELU, .n_in = WIDTH, .n_out = WIDTH},
    {.kind = FBP_AFFINE, .n_in = WIDTH, .n_out = OUT},
};
static const fbp_layer *const NETWORKS[] = {LAYERS, PLAIN};
static const idx N_LAYERS[] = {sizeof LAYERS / sizeof *LAYERS, sizeof PLAIN / sizeof *PLAIN};

/* One network's plan, and one batch, read by all. */
typedef struct {
    int is_double, n_threads;
    void *plan;
    const fbp_engine *engine;
} network;

static float x[ROWS * IN];
static int64_t classes[ROWS];
static const fbp_rule RULES[] = {
    {.kind = FBP_SGD, .lr = 0.05, .clip_scale = 1},
    {.kind = FBP_ADAM, .lr = 0.01, .beta_1 = 0.9, .beta_2 = 0.99, .eps = 1e-2, .clip_scale = 1,
     .weight_decay = 0.01},
};

static fbp_batch batch_of(int step)
{
    return (fbp_batch){.x = {x, FBP_FLOAT32, IN, ROWS * IN, NULL, NULL, NULL},
                       .classes = classes, .rows = ROWS, .scale = 1.0 / ROWS, .seed = 7,
                       .step = (uint64_t)step};
}

static double noise(uint64_t *state)
{
    *state = mix64(*state + 0x9e3779b97f4a7c15u);
    return (double)(*state >> 11) * 0x1p-53 - 0.5;
}

static network new_network(int which, int is_double, int n_threads)
{
    const fbp_spec spec = {.layers = NETWORKS[which], .n_layers = N_LAYERS[which], .batch_size = ROWS,
                           .loss = FBP_SOFTMAX, .n_states = 2};
    network net = {is_double, n_threads, NULL, &TABLE->engine[is_double]};
    const size_t bytes = net.engine->plan_layout(&spec, n_threads, NULL);
    uint64_t state = 3;
    net.plan = aligned_alloc(64, bytes);
    CHECK(net.plan);
    memset(net.plan, 0, bytes);
    net.engine->plan_layout(&spec, n_threads, net.plan);
    for (idx l = 0; l < N_LAYERS[which]; l++) {
        if (!has_parameters(NETWORKS[which][l].kind))
            continue;
        float W[IN * WIDTH], b[WIDTH] = {0};
        double V[IN * WIDTH], c[WIDTH] = {0};
        for (int i = 0; i < IN * WIDTH; i++)
            V[i] = W[i] = (float)(0.3 * noise(&state));
        net.engine->plan_write(net.plan, l, 0, is_double ? (void *)V : W,
                               is_double ? (void *)c : b);
    }
    return net;
}

/* One thread's part of a step. */
typedef struct {
    const network *net;
    const fbp_rule *rule;
    pthread_barrier_t *barrier;
    int thread, n_threads, step, *stop;
    fbp_result result;
} part;

static void *run_part(void *part_)
{
    part *p = part_;
    const fbp_batch batch = batch_of(p->step);
    barrier = p->barrier;
    if (p->net->is_double)
        step_part_d(p->net->plan, &batch, p->rule, p->thread, p->n_threads, p->stop, &p->result);
    else
        step_part_f(p->net->plan, &batch, p->rule, p->thread, p->n_threads, p->stop, &p->result);
    return NULL;
}

static double split_step(const network *net, const fbp_rule *rule, int step, int n_threads)
{
    pthread_t threads[MOST_THREADS];
    part parts[MOST_THREADS];
    pthread_barrier_t shared;
    int stop = 0;
    double loss = 0;
    pthread_barrier_init(&shared, NULL, (unsigned)n_threads);
    for (int t = 0; t < n_threads; t++) {
        parts[t] = (part){net, rule, &shared, t, n_threads, step, &stop, {0, 0}};
        CHECK(!pthread_create(&threads[t], NULL, run_part, &parts[t]));
    }
    for (int t = 0; t < n_threads; t++) {
        pthread_join(threads[t], NULL);
        loss += parts[t].result.loss;
    }
    pthread_barrier_destroy(&shared);
    return loss;
}

/* The weights after some steps by n_threads, as doubles; the last loss. */
static double train(const network *net, const fbp_rule *rule_, int n_threads, double *weights)
{
    fbp_rule rule = *rule_;
    double loss = 0;
    for (int step = 0; step < STEPS; step++) {
        rule.step = step + 1;
        if (n_threads == 0) { /* the engine's own entrance */
            const fbp_batch batch = batch_of(step);
            fbp_result result;
            net->engine->plan_step(net->plan, &batch, &rule, 1, &result);
            loss = result.loss;
        } else {
            loss = split_step(net, &rule, step, n_threads);
        }
    }
    float W[IN * WIDTH], b[WIDTH];
    double V[IN * WIDTH], c[WIDTH];
    net->engine->plan_read(net->plan, 0, 0, net->is_double ? (void *)V : W,
                           net->is_double ? (void *)c : b);
    for (int i = 0; i < IN * WIDTH; i++)
        weights[i] = net->is_double ? V[i] : (double)W[i];
    return loss;
}

static void one_plan_split(int which, int is_double, const fbp_rule *rule)
{
    double alone[IN * WIDTH], first[IN * WIDTH], again[IN * WIDTH];
    network net = new_network(which, is_double, 1);
    const double loss = train(&net, rule, 0, alone);
    free(net.plan);
    for (int n_threads = 2; n_threads <= MOST_THREADS; n_threads++) {
        for (int time = 0; time < 2; time++) {
            net = new_network(which, is_double, n_threads);
            const double split = train(&net, rule, n_threads, time ? again : first);
            free(net.plan);
            CHECK(fabs(split - loss) <= (is_double ? 1e-9 : 1e-3) * fabs(loss));
        }
        CHECK(memcmp(first, again, sizeof first) == 0); /* the same threads give the same bits */
        for (int i = 0; i < IN * WIDTH; i++)
            CHECK(fabs(first[i] - alone[i]) <= (is_double ? 1e-9 : 1e-3));
    }
}

/* A network of its own in each thread, with kernels of the table, all at the same time. */
static void *own_network(void *result)
{
    double weights[IN * WIDTH];
    for (int is_double = 0; is_double < 2; is_double++) {
        network net = new_network(0, is_double, 1);
        ((double *)result)[is_double] = train(&net, &RULES[1], 0, weights);
        free(net.plan);
        float out[ROWS * WIDTH], b[WIDTH] = {0}, W[IN * WIDTH], y[ROWS * WIDTH];
        for (int i = 0; i < IN * WIDTH; i++)
            W[i] = (float)weights[i];
        CHECK(TABLE->f.affine_forward(x, W, b, out, ROWS, IN, WIDTH) == 0);
        ((double *)result)[2] =
            TABLE->f.softmax_cross_entropy_forward(out, classes, y, ROWS, WIDTH);
    }
    return NULL;
}

static void networks_in_threads(void)
{
    pthread_t threads[MOST_THREADS];
    double results[MOST_THREADS][3];
    for (int t = 0; t < MOST_THREADS; t++)
        CHECK(!pthread_create(&threads[t], NULL, own_network, results[t]));
    for (int t = 0; t < MOST_THREADS; t++)
        pthread_join(threads[t], NULL);
    for (int t = 1; t < MOST_THREADS; t++)
        CHECK(memcmp(results[t], results[0], sizeof results[0]) == 0);
}

/* A loss that is not finite in one thread's rows stops the update of all. */
static void a_stop_is_seen_by_all(void)
{
    double before[IN * WIDTH], after[IN * WIDTH];
    network net = new_network(0, 0, 3);
    train(&net, &RULES[0], 3, before);
    const float kept = x[0];
    x[0] = NAN; /* in the first thread's rows; with normalisation everybody's */
    CHECK(!isfinite(split_step(&net, &RULES[0], STEPS, 3)));
    x[0] = kept;
    float W[IN * WIDTH], b[WIDTH];
    net.engine->plan_read(net.plan, 0, 0, W, b);
    for (int i = 0; i < IN * WIDTH; i++)
        after[i] = (double)W[i];
    CHECK(memcmp(before, after, sizeof before) == 0);
    free(net.plan);
}

int main(void)
{
    uint64_t state = 1;
    for (int i = 0; i < ROWS * IN; i++)
        x[i] = (float)noise(&state);
    for (int r = 0; r < ROWS; r++)
        classes[r] = r % OUT;
    for (int k = 0; k < 8; k++)
        one_plan_split(k & 1, k >> 1 & 1, &RULES[k >> 2]);
    networks_in_threads();
    a_stop_is_seen_by_all();
    printf("%s: a step split over 2 to %d threads, %d networks at once\n", TABLE->name,
           MOST_THREADS, MOST_THREADS);
    return 0;
}
