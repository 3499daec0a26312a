/* How a Cython module calls a kernel: fbp_NAME(pointers...), float or double by its first argument;
 * or with pointers of no type behind one of NumPy's numbers of types, fbp_NAME_of(typenum, ...). */
#ifndef FASTBP_CALL_H
#define FASTBP_CALL_H
#include "kernels.h"

/* Each including module sets its copy once, at import, from isa.active(). */
static const fbp_kernels *fbp_active;

/* The element type of the first argument chooses the column. */
#define FBP_CALL(name, x, ...)                                                                   \
    _Generic(*(x), float: fbp_active->f.name, double: fbp_active->d.name)((x), __VA_ARGS__)

#define fbp_affine_forward(...) FBP_CALL(affine_forward, __VA_ARGS__)
#define fbp_affine_backward(...) FBP_CALL(affine_backward, __VA_ARGS__)
#define fbp_bias_sum(...) FBP_CALL(bias_sum, __VA_ARGS__)
#define fbp_transpose(...) FBP_CALL(transpose, __VA_ARGS__)
#define fbp_embedding_forward(...) FBP_CALL(embedding_forward, __VA_ARGS__)
#define fbp_embedding_backward(...) FBP_CALL(embedding_backward, __VA_ARGS__)
#define fbp_activation_forward(...) FBP_CALL(activation_forward, __VA_ARGS__)
#define fbp_activation_backward(...) FBP_CALL(activation_backward, __VA_ARGS__)
#define fbp_softmax_forward(...) FBP_CALL(softmax_forward, __VA_ARGS__)
#define fbp_softmax_cross_entropy_forward(...) FBP_CALL(softmax_cross_entropy_forward, __VA_ARGS__)
#define fbp_softmax_cross_entropy_backward(...) \
    FBP_CALL(softmax_cross_entropy_backward, __VA_ARGS__)
#define fbp_soft_cross_entropy_forward(...) FBP_CALL(soft_cross_entropy_forward, __VA_ARGS__)
#define fbp_soft_cross_entropy_backward(...) FBP_CALL(soft_cross_entropy_backward, __VA_ARGS__)
#define fbp_loss_forward(...) FBP_CALL(loss_forward, __VA_ARGS__)
#define fbp_loss_backward(...) FBP_CALL(loss_backward, __VA_ARGS__)
#define fbp_update(...) FBP_CALL(update, __VA_ARGS__)
#define fbp_dropout(...) FBP_CALL(dropout, __VA_ARGS__)
#define fbp_batch_norm_forward(...) FBP_CALL(batch_norm_forward, __VA_ARGS__)
#define fbp_batch_norm_backward(...) FBP_CALL(batch_norm_backward, __VA_ARGS__)

#define FBP_CALL_OF(name, typenum, ...)                                                          \
    ((typenum) == NPY_FLOAT ? fbp_active->f.name(__VA_ARGS__) : fbp_active->d.name(__VA_ARGS__))

#define fbp_affine_forward_of(...) FBP_CALL_OF(affine_forward, __VA_ARGS__)
#define fbp_affine_backward_of(...) FBP_CALL_OF(affine_backward, __VA_ARGS__)
#define fbp_transpose_of(...) FBP_CALL_OF(transpose, __VA_ARGS__)
#define fbp_activation_forward_of(...) FBP_CALL_OF(activation_forward, __VA_ARGS__)
#define fbp_activation_backward_of(...) FBP_CALL_OF(activation_backward, __VA_ARGS__)
#define fbp_softmax_forward_of(...) FBP_CALL_OF(softmax_forward, __VA_ARGS__)
#define fbp_softmax_cross_entropy_forward_of(...) \
    FBP_CALL_OF(softmax_cross_entropy_forward, __VA_ARGS__)
#define fbp_softmax_cross_entropy_backward_of(...) \
    FBP_CALL_OF(softmax_cross_entropy_backward, __VA_ARGS__)
#define fbp_loss_forward_of(...) FBP_CALL_OF(loss_forward, __VA_ARGS__)
#define fbp_loss_backward_of(...) FBP_CALL_OF(loss_backward, __VA_ARGS__)

#endif
