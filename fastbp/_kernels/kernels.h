/* The table of kernels: one row per kernel, one column per element type, one table per
 * instruction set.  Everything outside the C files reaches the arithmetic through it.
 *
 * Arrays are row-major and dense.  rows: samples; n_in, n_out: features; n: elements.
 * Return values: int kernels give 0, or -1 when scratch memory could not be had;
 * losses give the unscaled sum over the rows. */
#ifndef FASTBP_KERNELS_H
#define FASTBP_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "plan.h"

/* X(return type, name, arguments): the one list from which the table's type and its
 * initialisers are made.  # IN arguments are const, # OUT arguments are not. */
#define FBP_KERNELS(X, T)                                                                        \
    X(int, affine_forward,                                                                       \
      (const T *x, const T *W, const T *b, T *out, idx rows, idx n_in, idx n_out))               \
    X(int, affine_backward,                                                                      \
      (const T *dout, const T *x, const T *W, T *dx, T *dW, T *db, idx rows, idx n_in,           \
       idx n_out))                                                                               \
    X(void, bias_sum, (const T *dout, T *db, idx rows, idx n_out))                               \
    X(void, transpose, (const T *x, T *out, idx rows, idx n))                                    \
    X(void, activation_forward,                                                                  \
      (const T *x, T *out, int kind, double a, double b, idx n))                                 \
    X(void, activation_backward,                                                                 \
      (const T *dout, const T *read, T *dx, int kind, double a, double b, idx n))                \
    X(void, embedding_forward,                                                                   \
      (const T *W, const int64_t *places, const int64_t *widths, T *out, idx rows, idx columns,  \
       idx stride))                                                                              \
    X(void, embedding_backward,                                                                  \
      (const T *dout, const int64_t *places, const int64_t *widths, T *dW, idx rows,             \
       idx columns, idx stride, idx n))                                                          \
    X(void, softmax_forward, (const T *x, T *y, idx rows, idx n_out))                            \
    X(double, softmax_cross_entropy_forward,                                                     \
      (const T *x, const int64_t *t, T *y, idx rows, idx n_out))                                 \
    X(void, softmax_cross_entropy_backward,                                                      \
      (const T *y, const int64_t *t, double scale, T *dx, idx rows, idx n_out))                  \
    X(double, soft_cross_entropy_forward,                                                        \
      (const T *x, const T *t, T *y, idx rows, idx n_out))                                       \
    X(void, soft_cross_entropy_backward,                                                         \
      (const T *y, const T *t, double scale, T *dx, idx rows, idx n_out))                        \
    X(void, update,                                                                              \
      (T *param, const T *grad, T *const *kept, const fbp_rule *rule, double decay, idx n))      \
    X(void, dropout,                                                                             \
      (const T *x, T *out, uint64_t key, uint32_t first, double ratio, idx n))                   \
    X(void, batch_norm_forward,                                                                  \
      (const T *x, const T *gamma, const T *beta, T *out, T *normal, T *inverse,                 \
       T *running_mean, T *running_var, double eps, double momentum, int sample_variance,        \
       idx rows, idx n, idx stride))                                                             \
    X(void, batch_norm_backward,                                                                 \
      (const T *dout, const T *normal, const T *inverse, const T *gamma, T *dx, T *dgamma,       \
       T *dbeta, idx rows, idx n, idx stride))                                                   \
    X(double, loss_forward, (const T *x, const T *t, T *y, int kind, double a, idx n))           \
    X(void, loss_backward,                                                                       \
      (const T *y, const T *t, T *dx, int kind, double a, double scale, idx n))
/* The engine's entrances: a plan is a block of zeroed memory of plan_layout(spec, n_parts,
 * NULL) bytes; W, b, outputs and dout are of the plan's element type. */
#define FBP_ENGINE(X)                                                                            \
    X(size_t, plan_layout, (const fbp_spec *spec, int n_parts, void *plan))                      \
    X(void, plan_write, (void *plan, idx layer, int part, const void *W, const void *b))         \
    X(void, plan_read, (const void *plan, idx layer, int part, void *W, void *b))                \
    X(void, plan_step,                                                                           \
      (void *plan, const fbp_batch *batch, const fbp_rule *rule, int n_parts, fbp_team *team,    \
       fbp_result *result))                                                                      \
    X(int, plan_outputs, (void *plan, const fbp_batch *batch, void *outputs))                    \
    X(void, plan_backward,                                                                       \
      (void *plan, const fbp_batch *batch, const void *dout, const fbp_rule *rule,               \
       fbp_result *result))                                                                      \
    X(double, plan_gradient_norm, (const void *plan))                                            \
    X(double, plan_weight_square, (const void *plan))                                            \
    X(void, plan_apply,                                                                          \
      (void *plan, const fbp_rule *rule, double gradient, int n_parts, fbp_team *team,           \
       fbp_result *result))                                                                      \
    X(void *, plan_flat, (void *plan, int part, idx *n))                                         \
    X(void, plan_rest, (void *plan))                                                             \
    X(void, plan_adjust, (void *plan, idx layer, double a, double momentum))                     \
    X(void, plan_adjust_loss, (void *plan, double number))                                        \
    X(idx, plan_first_non_finite, (const void *plan, idx rows))

#define FBP_FIELD(ret, name, args) ret(*name) args;
typedef struct {
    FBP_KERNELS(FBP_FIELD, float)
} fbp_kernels_f;
typedef struct {
    FBP_KERNELS(FBP_FIELD, double)
} fbp_kernels_d;
typedef struct {
    FBP_ENGINE(FBP_FIELD)
} fbp_engine;
typedef struct {
    const char *name;
    int vector_bytes, openmp;
    fbp_kernels_f f;
    fbp_kernels_d d;
    fbp_engine engine[2]; /* float, double */
} fbp_kernels;

#endif
