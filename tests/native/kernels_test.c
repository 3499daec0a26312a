/* Every row of the table of kernels, and the engine's step, against plain loops in double.
 *
 *     kernels_test [instruction set ...]
 *
 * Without names, every set that this processor has.  An array ends at a page that cannot be
 * touched, so that a kernel that reads or writes beyond it dies there; with FASTBP_TEST_MALLOC
 * (and under address sanitizer) arrays are malloc's, whose checkers know their sizes. */
#define _GNU_SOURCE
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu.h"
#include "arithmetic/rules.h"
#include "training/team.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
static const idx LENGTHS[] = {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 257};
static const idx ROWS[] = {1, 2, 4, 5, 6, 7, 13, 15, 29, 33, 64, 261};
static const idx INPUTS[] = {1, 3, 8, 17, 33, 64, 70, 515};
static const idx OUTPUTS[] = {1, 2, 3, 5, 9, 10, 16, 17, 32, 33, 50, 66};
/* What network.h computes. */
static const idx KINDS[] = {FBP_RELU, FBP_LEAKY_RELU, FBP_SIGMOID, FBP_TANH, FBP_SOFTPLUS, FBP_GELU,
                            FBP_DROPOUT, FBP_BATCH_NORM};
static const idx LOSSES[] = {FBP_SOFTMAX, FBP_SIGMOID_LOSS, FBP_SQUARED, FBP_ABSOLUTE, FBP_HUBER,
                             FBP_QUANTILE, FBP_POISSON};

/* --- what was run, and what failed --------------------------------------------------------- */

#define SEEN(ret, name, args) int name;
static struct {
    FBP_KERNELS(SEEN, float)
    FBP_ENGINE(SEEN)
} seen[2]; /* float, double */

static const fbp_kernels *kernels;
static const char *called = "";
static char what[200];
static int failures, checks;

static void fail(idx i, double got, double want, double bound)
{
    if (++failures <= 20)
        printf("FAILED %s %s%s: element %td is %.17g for %.17g, error %.3g over %.3g\n",
               kernels->name, called, what, i, got, want, fabs(got - want), bound);
}

static void near(idx i, double got, double want, double bound)
{
    checks++;
    if (!(fabs(got - want) <= bound || got == want || (isnan(got) && isnan(want))))
        fail(i, got, want, bound);
}

/* --- memory -------------------------------------------------------------------------------- */

#define MOST_ARRAYS 4096
static struct {
    void *start;
    size_t bytes; /* 0: malloc's */
} arrays[MOST_ARRAYS];
static int n_arrays;

/* `bytes` on a border of `border` bytes, which is as near to the end of the memory as that lets. */
static void *memory(size_t bytes, size_t border)
{
    if (n_arrays == MOST_ARRAYS)
        abort();
    char *p;
#ifdef __SANITIZE_ADDRESS__
    const int mapped = 0;
#else
    const int mapped = !getenv("FASTBP_TEST_MALLOC");
#endif
    if (mapped) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        const size_t whole = (bytes + page - 1) / page * page;
        p = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED || mprotect(p + whole, page, PROT_NONE))
            abort();
        arrays[n_arrays].start = p;
        arrays[n_arrays++].bytes = whole + page;
        return p + (whole - bytes) / border * border;
    }
    p = border > 16 ? aligned_alloc(border, (bytes + border - 1) / border * border) : malloc(bytes);
    if (!p && bytes)
        abort();
    arrays[n_arrays].start = p;
    arrays[n_arrays++].bytes = 0;
    return p;
}

static void release(void)
{
    while (n_arrays > 0) {
        n_arrays--;
        if (arrays[n_arrays].bytes)
            munmap(arrays[n_arrays].start, arrays[n_arrays].bytes);
        else
            free(arrays[n_arrays].start);
    }
}

/* --- numbers ------------------------------------------------------------------------------- */

static uint64_t state = 1;

static uint64_t draw(void) /* xorshift64* (Vigna 2016) */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1du;
}

static double uniform(double low, double high)
{
    return low + (high - low) * (double)(draw() >> 11) * 0x1p-53;
}

static idx draw_from(const idx *list, int n)
{
    return list[draw() % (uint64_t)n];
}

static int64_t *classes(idx rows, idx n)
{
    int64_t *t = memory((size_t)rows * sizeof *t, sizeof *t);
    for (idx r = 0; r < rows; r++)
        t[r] = (int64_t)(draw() % (uint64_t)n);
    return t;
}

/* --- formulas, one element at a time ------------------------------------------------------- */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double normal_cdf(double x)
{
    return 0.5 * erfc(-x * sqrt(0.5));
}

static double huber(double d, double delta)
{
    return fabs(d) <= delta ? 0.5 * d * d : delta * (fabs(d) - 0.5 * delta);
}

static double sign(double d)
{
    return (d > 0) - (d < 0);
}

static uint64_t mixed(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t mask_key(uint64_t seed, uint64_t step, uint64_t layer)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u;
    return mixed(mixed(mixed(seed + golden) ^ (step + golden)) ^ (layer + golden));
}

static int dropped(uint64_t key, uint32_t index, double ratio)
{
    uint32_t h = index ^ (uint32_t)(key & 0xffffffffu);
    h = (h ^ h >> 16) * 0x7feb352du;
    h = (h ^ h >> 15) * 0x846ca68bu;
    h = (h ^ h >> 16) + (uint32_t)(key >> 32);
    h = (h ^ h >> 16) * 0x7feb352du;
    return (double)(h ^ h >> 15) < floor(ratio * 0x1p32);
}

/* What the rows of rules are written with, in double. */
#define REAL double
#define FN(name) name##_in_double
static double mix_in_double(double a, double x, double b, double y) { return a * x + b * y; }
static double sqrt__in_double(double x) { return sqrt(x); }
static double abs__in_double(double x) { return fabs(x); }
static double max__in_double(double x, double y) { return x > y ? x : y; }
static double sign__in_double(double x) { return (x > 0) - (x < 0); }

/* One parameter p with gradient g and states s, by the rule's row: what is tested are the loops, as
 * the formulas are by their twins in NumPy. */
static void update(const fbp_rule *rule_, double decay, double *p_, double g, double *s)
{
    fbp_rule room;
    const fbp_rule *rule = at_step(rule_, &room);
    const double lr = rule->lr, momentum = rule->momentum, eps = rule->eps;
    const double b1 = rule->beta_1, c1 = 1 - b1, b2 = rule->beta_2, c2 = 1 - b2;
    const double keep = rule->decoupled ? 1 - lr * decay : 1;
    const double rate = rule->rate, share = rule->share, correction = rule->correction;
    const double d = rule->decoupled ? g : g + decay * *p_;
    double p = *p_, s0 = s[0], s1 = s[1], s2 = s[2];
    (void)c1, (void)c2, (void)keep, (void)correction, (void)share;
    switch (rule->kind) {
#define UPDATE(KIND, name, states, numbers, at, update, bound)                                   \
    case FBP_##KIND: {                                                                           \
        update;                                                                                  \
        break;                                                                                   \
    }
        FBP_RULES(UPDATE)
    default: return;
    }
    *p_ = p, s[0] = s0, s[1] = s1, s[2] = s2;
}
#undef UPDATE
#undef REAL
#undef FN

/* Whether a rule takes a decay beside the gradient. */
static int decouples(int kind)
{
    return strstr(fbp_rules[kind].numbers, "decoupled") != NULL;
}

#include "network.h"

/* --- both precisions ----------------------------------------------------------------------- */

#define REAL float
#define FN(name) name##_f
#define IS_DOUBLE 0
#define COLUMN f
#include "kernels_cases.h"
#include "engine_cases.h"
#undef REAL
#undef FN
#undef IS_DOUBLE
#undef COLUMN

#define REAL double
#define FN(name) name##_d
#define IS_DOUBLE 1
#define COLUMN d
#include "kernels_cases.h"
#include "engine_cases.h"

static int all_seen(void)
{
    int missing = 0;
#define REPORT(ret, name, args)                                                                  \
    for (int k = 0; k < 2; k++)                                                                  \
        if (!seen[k].name) {                                                                     \
            printf("FAILED: no test calls %s in %s\n", #name, k ? "double" : "float");           \
            missing++;                                                                           \
        }
    FBP_KERNELS(REPORT, float)
    FBP_ENGINE(REPORT)
    return missing == 0;
}

static void run(const fbp_kernels *table)
{
    kernels = table;
    state = 1;
    checks = 0;
    memset(seen, 0, sizeof seen);
    kernels_f();
    kernels_d();
    engine_f();
    engine_d();
    if (!all_seen())
        failures++;
    printf("%s: %d numbers checked, %d failures\n", table->name, checks, failures);
}

int main(int n, char **names)
{
    int runs = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int k = 0; fbp_built(k); k++) {
        int wanted = n == 1;
        for (int i = 1; i < n; i++)
            wanted |= strcmp(names[i], fbp_built(k)->name) == 0;
        if (wanted && fbp_runs_here(k)) {
            run(fbp_built(k));
            runs++;
        }
    }
    if (runs == 0 || runs < n - 1)
        printf("FAILED: this processor lacks an instruction set asked for\n");
    return failures > 0 || runs == 0 || runs < n - 1;
}
