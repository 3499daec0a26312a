/* Threads within a step: a team runs the parts of a phase.
 *
 * The thread that steps posts a phase and runs parts of it itself; its helpers claim others,
 * and what no helper has claimed it runs too.  So it waits only for parts that a helper has
 * begun: where the cores belong to other processes and helpers come late or never, a step takes
 * the time that it takes in one thread.  Who runs a part changes no bit of it.
 *
 * Waiting threads spin for a moment, in case the others are about to come, and then sleep.  A
 * phase without help, or for whose helpers the stepping thread waited longer than it had worked,
 * or in which it lost its core, is taken for a sign that cores are short: the team then works
 * without helpers for a while, and longer each time. */
#ifndef FASTBP_TEAM_H
#define FASTBP_TEAM_H
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../plan.h"

#ifdef _OPENMP
#include <omp.h>
#endif

static double fbp_seconds(void)
{
    struct timespec t;
#ifdef CLOCK_MONOTONIC
    clock_gettime(CLOCK_MONOTONIC, &t);
#else
    timespec_get(&t, TIME_UTC);
#endif
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The threads that OpenMP would take: OMP_NUM_THREADS and its kin, threadpoolctl.  Builds without
 * it read that variable; without a team there is one. */
static int fbp_max_threads(void)
{
#ifdef _OPENMP
    const int most = omp_get_max_threads(), limit = omp_get_thread_limit();
    return most < limit ? most : limit;
#elif defined(_WIN32)
    return 1;
#else
    const char *said = getenv("OMP_NUM_THREADS");
    const int most = said ? atoi(said) : 0; /* of a list, the first */
    return most > 0 ? most : 1 << 20;
#endif
}

#if defined(_WIN32)
static fbp_team *fbp_take_team(int n_threads)
{
    return NULL;
}
static void fbp_give_team(fbp_team *team)
{
}
static void fbp_survive_forks(void)
{
}
#else
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#if defined(__linux__) && defined(CPU_COUNT) && !defined(__ANDROID__)
#define FBP_CORES
#endif
#define SPIN_SECONDS 1e-4 /* longer than it takes to wake a thread */
#define LONGEST_REST 0.1  /* seconds without helpers, and ten times what a phase takes */

/* Of this thread. */
static double fbp_processor_seconds(void)
{
#ifdef CLOCK_THREAD_CPUTIME_ID
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
#else
    return fbp_seconds(); /* as if the core was always its own */
#endif
}

typedef struct fbp_crew {
    fbp_team team;
    struct fbp_crew *next; /* of those that nobody uses */
    int n_threads;         /* that it is for */
    int n_helpers;         /* fewer, where there are fewer cores, or the system gives no more */
    pthread_t *helpers;
#ifdef FBP_CORES
    cpu_set_t cores; /* that the helpers were given; none yet: those of their creation */
#endif
    double rest, resting_until; /* seconds */
    double asked;               /* since when helpers are asked for and do not come; 0: they do */
    /* The phase.  `word` is its number times 2^16, plus its parts that nobody has claimed. */
    fbp_parts parts;
    void *work;
    int n_parts;
    fenv_t rounding; /* of the stepping thread: what flushes subnormals does so in all parts */
    _Alignas(64) uint64_t word;
    _Alignas(64) int done; /* parts */
    _Alignas(64) int sleepers, leader_sleeps, hurried;
    pthread_mutex_t mutex;
    pthread_cond_t posted, finished;
} fbp_crew;

static pthread_mutex_t crews_mutex = PTHREAD_MUTEX_INITIALIZER;
static fbp_crew *idle_crews;

static inline void fbp_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Runs a part that nobody has claimed; 0: there is none. */
static int fbp_claim(fbp_crew *crew, int helping)
{
    uint64_t word = __atomic_load_n(&crew->word, __ATOMIC_ACQUIRE);
    do {
        if ((word & 0xffff) == 0)
            return 0;
    } while (!__atomic_compare_exchange_n(&crew->word, &word, word - 1, 0, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    const int n_parts = crew->n_parts, part = n_parts - (int)(word & 0xffff);
    if (helping)
        fesetenv(&crew->rounding);
    crew->parts(crew->work, part, part + 1);
    /* From here on the phase may end, and another one begin. */
    if (__atomic_add_fetch(&crew->done, 1, __ATOMIC_SEQ_CST) == n_parts &&
        __atomic_load_n(&crew->leader_sleeps, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(&crew->mutex);
        pthread_cond_signal(&crew->finished);
        pthread_mutex_unlock(&crew->mutex);
    }
    return 1;
}

static int fbp_has_parts(fbp_crew *crew)
{
    return (__atomic_load_n(&crew->word, __ATOMIC_SEQ_CST) & 0xffff) != 0;
}

static int fbp_is_done(fbp_crew *crew)
{
    return __atomic_load_n(&crew->done, __ATOMIC_SEQ_CST) == crew->n_parts;
}

/* Whether `holds` within a moment; no moment where cores are short. */
static int fbp_spin(fbp_crew *crew, int (*holds)(fbp_crew *))
{
    const double start = fbp_seconds();
    do {
        for (int k = 0; k < 16; k++) {
            if (holds(crew))
                return 1;
            fbp_pause();
        }
    } while (!__atomic_load_n(&crew->hurried, __ATOMIC_RELAXED) &&
             fbp_seconds() - start < SPIN_SECONDS);
    return 0;
}

/* Keep helpers on the stepping thread's cores but its own.  Linux wakes them where they slept, on
 * that very core, to wait there for some milliseconds while another one idles. */
static void fbp_keep_cores(fbp_crew *crew)
{
#ifdef FBP_CORES
    cpu_set_t cores, others;
    const int core = sched_getcpu();
    if (core < 0 || sched_getaffinity(0, sizeof cores, &cores) != 0)
        return;
    others = cores;
    CPU_CLR(core, &others);
    if (CPU_COUNT(&others) == 0)
        others = cores;
    if (CPU_EQUAL(&others, &crew->cores))
        return;
    for (int k = 0; k < crew->n_helpers; k++)
        pthread_setaffinity_np(crew->helpers[k], sizeof others, &others);
    crew->cores = others;
#else
    (void)crew;
#endif
}

static void *fbp_help(void *crew_)
{
    fbp_crew *crew = crew_;
    for (;;) {
        while (fbp_claim(crew, 1)) {
        }
        if (fbp_spin(crew, fbp_has_parts))
            continue;
        pthread_mutex_lock(&crew->mutex);
        __atomic_add_fetch(&crew->sleepers, 1, __ATOMIC_SEQ_CST);
        while (!fbp_has_parts(crew))
            pthread_cond_wait(&crew->posted, &crew->mutex);
        __atomic_sub_fetch(&crew->sleepers, 1, __ATOMIC_SEQ_CST);
        pthread_mutex_unlock(&crew->mutex);
    }
    return NULL;
}

static void fbp_await(fbp_crew *crew)
{
    if (fbp_spin(crew, fbp_is_done))
        return;
    pthread_mutex_lock(&crew->mutex);
    __atomic_store_n(&crew->leader_sleeps, 1, __ATOMIC_SEQ_CST);
    while (!fbp_is_done(crew))
        pthread_cond_wait(&crew->finished, &crew->mutex);
    __atomic_store_n(&crew->leader_sleeps, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&crew->mutex);
}

/* Looks at a phase that began at `start`, and in which the leader worked until `worked`, without
 * a core for the seconds `lost`, and then waited. */
static void fbp_judge(fbp_crew *crew, int helped, double start, double worked, double lost)
{
    const double now = fbp_seconds();
    const double since = helped || crew->asked == 0 ? start : crew->asked;
    /* Helpers that slept may need several phases of a small step to come. */
    const int short_of_cores = helped ? now - worked > worked - start + SPIN_SECONDS ||
                                            lost > (worked - start) / 4 + SPIN_SECONDS
                                      : now - since > 2 * SPIN_SECONDS;
    crew->asked = helped ? 0 : since;
    if (short_of_cores) {
        const double longest = LONGEST_REST + 10 * (now - start);
        crew->rest = 2 * crew->rest + (now - since);
        if (crew->rest > longest)
            crew->rest = longest;
        crew->resting_until = now + crew->rest;
        crew->asked = 0;
        __atomic_store_n(&crew->hurried, 1, __ATOMIC_RELAXED);
    } else if (helped) {
        crew->rest = 0;
    }
}

static void fbp_run(fbp_team *team, fbp_parts parts, void *work, int n_parts)
{
    fbp_crew *crew = (fbp_crew *)team;
    const double start = fbp_seconds();
    if (crew->n_helpers == 0 || start < crew->resting_until) {
        parts(work, 0, n_parts);
        return;
    }
    const double busy = fbp_processor_seconds();
    crew->parts = parts;
    crew->work = work;
    crew->n_parts = n_parts;
    fegetenv(&crew->rounding);
    __atomic_store_n(&crew->done, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&crew->hurried, 0, __ATOMIC_RELAXED);
    const uint64_t number = (__atomic_load_n(&crew->word, __ATOMIC_RELAXED) >> 16) + 1;
    __atomic_store_n(&crew->word, (number << 16) + (uint64_t)n_parts, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&crew->sleepers, __ATOMIC_SEQ_CST) > 0) {
        fbp_keep_cores(crew);
        pthread_mutex_lock(&crew->mutex);
        pthread_cond_broadcast(&crew->posted);
        pthread_mutex_unlock(&crew->mutex);
    }
    int own = 0;
    while (fbp_claim(crew, 0))
        own++;
    const double worked = fbp_seconds(), lost = worked - start - (fbp_processor_seconds() - busy);
    if (!fbp_is_done(crew))
        fbp_await(crew);
    fbp_judge(crew, own < n_parts, start, worked, lost);
}

static void fbp_hire(fbp_crew *crew)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for Python's threads */
    while (crew->n_helpers < crew->n_threads - 1 && crew->n_helpers < cores - 1) {
        if (pthread_create(&crew->helpers[crew->n_helpers], NULL, fbp_help, crew) != 0)
            break;
        pthread_detach(crew->helpers[crew->n_helpers]);
        crew->n_helpers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* A team for one step of n_threads parts, or NULL.  No larger one: all its helpers would wake. */
static fbp_team *fbp_take_team(int n_threads)
{
    if (n_threads == 1)
        return NULL;
    pthread_mutex_lock(&crews_mutex);
    fbp_crew **at = &idle_crews, *crew;
    while (*at && (*at)->n_threads != n_threads)
        at = &(*at)->next;
    crew = *at;
    if (crew)
        *at = crew->next;
    pthread_mutex_unlock(&crews_mutex);
    if (!crew) {
        crew = aligned_alloc(64, (sizeof *crew + 63) / 64 * 64);
        if (!crew)
            return NULL;
        memset(crew, 0, sizeof *crew);
        crew->helpers = malloc((size_t)n_threads * sizeof *crew->helpers);
        if (!crew->helpers) {
            free(crew);
            return NULL;
        }
        crew->team.run = fbp_run;
        crew->n_threads = n_threads;
        pthread_mutex_init(&crew->mutex, NULL);
        pthread_cond_init(&crew->posted, NULL);
        pthread_cond_init(&crew->finished, NULL);
        fbp_hire(crew);
    }
    return &crew->team;
}

static void fbp_give_team(fbp_team *team)
{
    if (!team)
        return;
    fbp_crew *crew = (fbp_crew *)team;
    pthread_mutex_lock(&crews_mutex);
    crew->next = idle_crews;
    idle_crews = crew;
    pthread_mutex_unlock(&crews_mutex);
}

/* A forked child has none of the helpers: it begins without teams. */
static void fbp_before_fork(void)
{
    pthread_mutex_lock(&crews_mutex);
}

static void fbp_parent_after_fork(void)
{
    pthread_mutex_unlock(&crews_mutex);
}

static void fbp_child_after_fork(void)
{
    idle_crews = NULL;
    pthread_mutex_unlock(&crews_mutex);
}

static void fbp_survive_forks(void)
{
    pthread_atfork(fbp_before_fork, fbp_parent_after_fork, fbp_child_after_fork);
}
#endif
#endif
