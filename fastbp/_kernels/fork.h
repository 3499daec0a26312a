/* Time, and forks: a child that was forked after a parallel region would wait for threads that
 * it does not have, so the region's threads are given back before every fork. */
#ifndef FASTBP_FORK_H
#define FASTBP_FORK_H
#include <time.h>

static double fbp_seconds(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#ifdef _OPENMP
#include <omp.h>
static int fbp_max_threads(void)
{
    return omp_get_max_threads();
}
#else
static int fbp_max_threads(void)
{
    return 1;
}
#endif

/* GCC's library has OpenMP 5's pause since GCC 9, though its _OPENMP still says 4.5. */
#if defined(_OPENMP) && !defined(_WIN32) && (_OPENMP >= 201811 || __GNUC__ >= 9)
#include <pthread.h>
static void fbp_before_fork(void)
{
    omp_pause_resource_all(omp_pause_soft);
}
static void fbp_survive_forks(void)
{
    pthread_atfork(fbp_before_fork, NULL, NULL);
}
#else
static void fbp_survive_forks(void)
{
}
#endif
#endif
