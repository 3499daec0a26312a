/* The engine's steps by its own team of threads (training/team.h), with the kernels of TABLE: one
 * plan's step split over several, many plans at once, forks.  Each result has the bits of the same
 * parts run by one thread. */
#define _GNU_SOURCE /* as Python.h does: team.h keeps helpers from the stepping thread's core */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels.h"

#define sysconf(name) 8L /* helpers for all parts on fewer cores, too */
#include "training/team.h"
#undef sysconf

extern const fbp_kernels TABLE;

#define CHECK(what) ((what) ? (void)0 : (printf("FAILED line %d: %s\n", __LINE__, #what), exit(1)))

enum { ROWS = 70, IN = 83, WIDTH = 67, OUT = 5, STEPS = 20, MOST_PARTS = 4, FEW = 11, PLANS = 4, FORKS = 10 };

static const fbp_layer LAYERS[] = {
    {.kind = FBP_AFFINE, .n_in = IN, .n_out = WIDTH},
    {.kind = FBP_BATCH_NORM, .n_in = WIDTH, .n_out = WIDTH, .a = 1e-3, .b = 0.9},
    {.kind = FBP_RELU, .n_in = WIDTH, .n_out = WIDTH},
    {.kind = FBP_DROPOUT, .n_in = WIDTH, .n_out = WIDTH, .a = 0.25},
    {.kind = FBP_AFFINE, .n_in = WIDTH, .n_out = WIDTH},
    {.kind = FBP_RELU, .n_in = WIDTH, .n_out = WIDTH},
    {.kind = FBP_AFFINE, .n_in = WIDTH, .n_out = WIDTH},
    {.kind = FBP_GELU, .n_in = WIDTH, .n_out = WIDTH},
    {.kind = FBP_AFFINE, .n_in = WIDTH, .n_out = OUT},
};
/* Without the phases of a normalisation, whose waiting would stand in for the step's own. */
static const fbp_layer PLAIN[] = {
    {.kind = FBP_AFFINE, .n_in = IN, .n_out = WIDTH},
    {.kind = FBP_RELU, .n_in = WIDTH, .n_out = WIDTH},
    {.kind = FBP_AFFINE, .n_in = WIDTH, .n_out = OUT},
};
static const fbp_layer *const NETWORKS[] = {LAYERS, PLAIN};
static const idx N_LAYERS[] = {sizeof LAYERS / sizeof *LAYERS, sizeof PLAIN / sizeof *PLAIN};

/* A network's plan. */
typedef struct {
    int is_double, n_parts;
    void *plan;
    const fbp_engine *engine;
} network;

/* A phase, and how often each part was run. */
typedef struct {
    fbp_parts parts;
    void *work;
    pthread_t leader;
    int runs[MOST_PARTS + 1];
} phase;

static int helped; /* parts run by helpers */

static float x[ROWS * IN];
static int64_t classes[ROWS];
static const fbp_rule RULES[] = {
    {.kind = FBP_SGD, .lr = 0.05, .clip_scale = 1},
    {.kind = FBP_ADAM, .lr = 0.01, .beta_1 = 0.9, .beta_2 = 0.99, .eps = 1e-2, .clip_scale = 1,
     .weight_decay = 0.01},
};

/* Some have so few rows that each part multiplies its own in a way of its own. */
static fbp_batch batch_of(int step)
{
    const idx rows = step % 4 == 3 ? FEW : ROWS;
    return (fbp_batch){.x = {.data = x, .type = FBP_FLOAT32, .stride = IN, .size = ROWS * IN, .n_rows = ROWS},
                       .classes = classes, .rows = rows, .scale = 1.0 / (double)rows, .seed = 7,
                       .step = (uint64_t)step};
}

static double noise(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (double)(*state >> 11) * 0x1p-53 - 0.5;
}

static network new_network(int which, int is_double, int n_parts)
{
    const fbp_spec spec = {.layers = NETWORKS[which], .n_layers = N_LAYERS[which], .batch_size = ROWS,
                           .loss = FBP_SOFTMAX, .n_states = 2};
    network net = {is_double, n_parts, NULL, &TABLE.engine[is_double]};
    const size_t bytes = net.engine->plan_layout(&spec, n_parts, NULL);
    uint64_t state = 3;
    net.plan = aligned_alloc(64, bytes);
    CHECK(net.plan);
    memset(net.plan, 0, bytes);
    net.engine->plan_layout(&spec, n_parts, net.plan);
    for (idx l = 0; l < N_LAYERS[which]; l++) {
        const fbp_layer_kind kind = NETWORKS[which][l].kind;
        if (kind != FBP_AFFINE && kind != FBP_BATCH_NORM)
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

/* --- a team that tells who ran what --------------------------------------------------------- */

typedef struct {
    fbp_team team;
    fbp_team *own;
} watched_team;

static void run_watched(void *phase_, int first, int end)
{
    phase *p = phase_;
    for (int part = first; part < end; part++)
        p->runs[part]++; /* not atomic: a part is one thread's; the leader looks when all are done */
    if (!pthread_equal(pthread_self(), p->leader))
        __atomic_add_fetch(&helped, end - first, __ATOMIC_RELAXED);
    p->parts(p->work, first, end);
}

/* Each part runs once; helpers are let in, whatever the team thinks of their cores. */
static void watch(fbp_team *team, fbp_parts parts, void *work, int n_parts)
{
    fbp_team *own = ((watched_team *)team)->own;
    phase p = {parts, work, pthread_self(), {0}};
    ((fbp_crew *)own)->resting_until = 0;
    own->run(own, run_watched, &p, n_parts);
    for (int k = 0; k <= MOST_PARTS; k++)
        CHECK(p.runs[k] == (k < n_parts));
}

/* A phase that takes long in one of its parts: its leader and the helpers without work sleep. */
static void long_part(void *slow, int first, int end)
{
    if (first <= *(int *)slow && *(int *)slow < end)
        usleep(500);
}

static void phases(void)
{
    for (int k = 0; k < 3000; k++) {
        const int n_parts = 2 + k % (MOST_PARTS - 1);
        int slow = k % 10 ? -1 : k / 10 % n_parts;
        watched_team team = {{watch}, fbp_take_team(n_parts)};
        CHECK(team.own);
        if (k % 17 == 0)
            usleep(500); /* all helpers sleep */
        team.team.run(&team.team, long_part, &slow, n_parts);
        fbp_give_team(team.own);
    }
}

/* --- one plan -------------------------------------------------------------------------------- */

/* The weights after STEPS steps, as doubles; the last loss.  Alone: one thread runs all parts. */
static double train(const network *net, const fbp_rule *rule_, int alone, double *weights)
{
    fbp_rule rule = *rule_;
    fbp_result result;
    for (int step = 0; step < STEPS; step++) {
        const fbp_batch batch = batch_of(step);
        watched_team team = {{watch}, alone ? NULL : fbp_take_team(net->n_parts)};
        CHECK(alone || team.own);
        rule.step = step + 1;
        net->engine->plan_step(net->plan, &batch, &rule, net->n_parts, alone ? NULL : &team.team,
                               &result);
        fbp_give_team(team.own);
    }
    float W[IN * WIDTH], b[WIDTH];
    double V[IN * WIDTH], c[WIDTH];
    net->engine->plan_read(net->plan, 0, 0, net->is_double ? (void *)V : W,
                           net->is_double ? (void *)c : b);
    for (int i = 0; i < IN * WIDTH; i++)
        weights[i] = net->is_double ? V[i] : (double)W[i];
    return result.loss;
}

/* What one thread makes of each plan, by n_parts - 2. */
typedef struct {
    double loss, weights[IN * WIDTH];
} outcome;

static outcome expected[8][MOST_PARTS - 1];

static outcome trained(int which, int n_parts, int alone)
{
    outcome result;
    network net = new_network(which & 1, which >> 1 & 1, n_parts);
    result.loss = train(&net, &RULES[which >> 2], alone, result.weights);
    free(net.plan);
    return result;
}

/* Whether the team's steps have the bits of one thread's. */
static int same_bits(int which, int n_parts)
{
    const outcome result = trained(which, n_parts, 0);
    return memcmp(&result, &expected[which][n_parts - 2], sizeof result) == 0;
}

static void one_plan_split(void)
{
    for (int which = 0; which < 8; which++) {
        const double close = which >> 1 & 1 ? 1e-9 : 1e-3;
        network net = new_network(which & 1, which >> 1 & 1, 1);
        outcome whole;
        whole.loss = train(&net, &RULES[which >> 2], 1, whole.weights);
        free(net.plan);
        for (int n_parts = 2; n_parts <= MOST_PARTS; n_parts++) {
            const outcome parts = expected[which][n_parts - 2] = trained(which, n_parts, 1);
            CHECK(isfinite(parts.loss) && fabs(parts.loss - whole.loss) <= close * fabs(whole.loss));
            CHECK(same_bits(which, n_parts));
        }
    }
}

/* --- many plans, and forks -------------------------------------------------------------------- */

static int stop;

/* Plans and teams of its own, and kernels of the table. */
static void *train_on(void *seed_)
{
    const int seed = *(int *)seed_;
    float out[ROWS * WIDTH], y[ROWS * WIDTH], *W = malloc(IN * WIDTH * sizeof *W), b[WIDTH] = {0};
    double first = 0;
    for (int k = 0; k < 8 || !__atomic_load_n(&stop, __ATOMIC_RELAXED); k++) {
        CHECK(same_bits((seed + k) % 8, 2 + (seed + k) % (MOST_PARTS - 1)));
        for (int i = 0; i < IN * WIDTH; i++)
            W[i] = (float)expected[0][0].weights[i];
        CHECK(TABLE.f.affine_forward(x, W, b, out, ROWS, IN, WIDTH) == 0);
        const double loss = TABLE.f.softmax_cross_entropy_forward(out, classes, y, ROWS, WIDTH);
        first = k == 0 ? loss : first;
        CHECK(loss == first);
    }
    free(W);
    return NULL;
}

#ifdef __SANITIZE_THREAD__
#define CHILD_HAS_NO_THREADS 1 /* "dup thread with used id": it still counts the parent's */
#else
#define CHILD_HAS_NO_THREADS 0
#endif

/* A fork after steps of this thread's team, while other threads' plans are in the midst of theirs. */
static void fork_and_go_on(int k)
{
    int status;
    CHECK(same_bits(k % 8, 2 + k % (MOST_PARTS - 1)));
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        helped = CHILD_HAS_NO_THREADS;
        CHECK(idle_crews == NULL);
        while (!helped) /* its own helpers come, some time */
            CHECK(same_bits(k % 8, MOST_PARTS));
        _exit(0);
    }
    CHECK(child > 0);
    CHECK(same_bits(k % 8, MOST_PARTS));
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void plans_in_threads(int n_forks)
{
    pthread_t threads[PLANS];
    int seeds[PLANS];
    stop = n_forks == 0;
    for (int t = 0; t < PLANS; t++) {
        seeds[t] = t;
        CHECK(!pthread_create(&threads[t], NULL, train_on, &seeds[t]));
    }
    for (int k = 0; k < n_forks; k++)
        fork_and_go_on(k);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int t = 0; t < PLANS; t++)
        pthread_join(threads[t], NULL);
}

/* A loss that is not finite in one part's rows stops the update of all. */
static void a_stop_is_seen_by_all(void)
{
    double before[IN * WIDTH];
    float W[IN * WIDTH], b[WIDTH];
    network net = new_network(1, 0, 3);
    train(&net, &RULES[0], 0, before);
    const float kept = x[0];
    const fbp_batch batch = batch_of(STEPS);
    fbp_result result;
    watched_team team = {{watch}, fbp_take_team(3)};
    x[0] = NAN; /* in the first part's rows */
    net.engine->plan_step(net.plan, &batch, &RULES[0], 3, &team.team, &result);
    x[0] = kept;
    fbp_give_team(team.own);
    CHECK(!isfinite(result.loss));
    net.engine->plan_read(net.plan, 0, 0, W, b);
    for (int i = 0; i < IN * WIDTH; i++)
        CHECK((double)W[i] == before[i]);
    free(net.plan);
}

int main(void)
{
    uint64_t state = 1;
    alarm(900); /* a team that waits for ever */
    fbp_survive_forks();
    for (int i = 0; i < ROWS * IN; i++)
        x[i] = (float)noise(&state);
    for (int r = 0; r < ROWS; r++)
        classes[r] = r % OUT;
    phases();
    printf("phases: %d parts by helpers\n", helped);
    CHECK(helped > 0);
    helped = 0;
    one_plan_split();
    printf("%s: a step split over 2 to %d threads, %d parts by helpers\n", TABLE.name, MOST_PARTS,
           helped);
    CHECK(helped > 0);
    a_stop_is_seen_by_all();
    plans_in_threads(0);
    fork_and_go_on(0);
    plans_in_threads(FORKS);
    printf("threads: no failure; %d forks, %d plans at once, 2 to %d threads a step\n", FORKS + 1, PLANS,
           MOST_PARTS);
    return 0;
}
