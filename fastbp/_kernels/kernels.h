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

typedef ptrdiff_t idx;

/* X(return type, name, arguments): the one list from which the table's type and its
 * initialisers are made.  # IN arguments are const, # OUT arguments are not. */
#define FBP_KERNELS(X, T)                                                                        \
    X(int, affine_forward,                                                                       \
      (const T *x, const T *W, const T *b, T *out, idx rows, idx n_in, idx n_out))               \
    X(int, affine_backward,                                                                      \
      (const T *dout, const T *x, const T *W, T *dx, T *dW, T *db, idx rows, idx n_in,           \
       idx n_out))                                                                               \
    X(void, bias_sum, (const T *dout, T *db, idx rows, idx n_out))                               \
    X(void, relu_forward, (const T *x, T *out, idx n))                                           \
    X(void, relu_backward, (const T *dout, const T *out, T *dx, idx n))                          \
    X(void, sigmoid_forward, (const T *x, T *out, idx n))                                        \
    X(void, sigmoid_backward, (const T *dout, const T *out, T *dx, idx n))                       \
    X(void, tanh_forward, (const T *x, T *out, idx n))                                           \
    X(void, tanh_backward, (const T *dout, const T *out, T *dx, idx n))                          \
    X(void, softmax_forward, (const T *x, T *y, idx rows, idx n_out))                            \
    X(double, softmax_cross_entropy_forward,                                                     \
      (const T *x, const int64_t *t, T *y, idx rows, idx n_out))                                 \
    X(void, softmax_cross_entropy_backward,                                                      \
      (const T *y, const int64_t *t, double scale, T *dx, idx rows, idx n_out))                  \
    X(double, soft_cross_entropy_forward,                                                        \
      (const T *x, const T *t, T *y, idx rows, idx n_out))                                       \
    X(void, soft_cross_entropy_backward,                                                         \
      (const T *y, const T *t, double scale, T *dx, idx rows, idx n_out))                        \
    X(double, sigmoid_cross_entropy_forward, (const T *x, const T *t, T *y, idx n))              \
    X(void, sigmoid_cross_entropy_backward,                                                      \
      (const T *y, const T *t, double scale, T *dx, idx n))                                      \
    X(double, squared_error_forward, (const T *y, const T *t, idx n))                            \
    X(void, squared_error_backward, (const T *y, const T *t, double scale, T *dx, idx n))        \
    X(void, sgd_update,                                                                          \
      (T *param, const T *grad, T *velocity, double lr, double momentum, int nesterov,           \
       double weight_decay, idx n))

#define FBP_FIELD(ret, name, args) ret(*name) args;
typedef struct {
    FBP_KERNELS(FBP_FIELD, float)
} fbp_kernels_f;
typedef struct {
    FBP_KERNELS(FBP_FIELD, double)
} fbp_kernels_d;
typedef struct {
    const char *name;
    int vector_bytes;
    fbp_kernels_f f;
    fbp_kernels_d d;
} fbp_kernels;

#endif
