/* Threads within a step: OpenMP where it was there to build with, else one. */
#ifndef FASTBP_THREADS_H
#define FASTBP_THREADS_H
#ifdef _OPENMP
#include <omp.h>
#define PRAGMA_(x) _Pragma(#x)
#define PRAGMA(x) PRAGMA_(x)
#define PARALLEL(n, ...) PRAGMA(omp parallel num_threads(n) __VA_ARGS__)
#define THREAD() omp_get_thread_num()
#define N_THREADS() omp_get_num_threads()
#define BARRIER(n)                                                                               \
    do {                                                                                         \
        if ((n) > 1) {                                                                           \
            _Pragma("omp barrier")                                                               \
        }                                                                                        \
    } while (0)
#define ATOMIC_SET(flag) PRAGMA(omp atomic write) flag = 1
#else
#define PARALLEL(n, ...)
#define THREAD() 0
#define N_THREADS() 1
#define BARRIER(n) ((void)(n))
#define ATOMIC_SET(flag) ((flag) = 1)
#endif
#endif
