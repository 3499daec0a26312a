/* The operations as data: a row each, from which follow the enums, the loops, the kernels'
 * dispatch, the engine's bounds, and the names that Python knows them by. */
#ifndef FASTBP_OPERATIONS_H
#define FASTBP_OPERATIONS_H

/* What the derivative of an activation is computed from.  EITHER: of its input only the sign
 * counts, and the output has the same, for numbers of at least 0.  SLOPE: from its input, as d times
 * a number, which has much in common with the value: a training step computes both together. */
enum { FBP_INPUT, FBP_OUTPUT, FBP_EITHER, FBP_SLOPE };

/* The activations: X(kind, name, numbers, reads, value, gradient, offset, gain, slope)
 *
 *     numbers    how many there are of a and b
 *     value      of x, in REAL
 *     gradient   by x, of d, the gradient by the output, and of v, what is read, in REAL
 *     offset, gain, slope, in double:
 *                |value| <= offset + gain |x| and |gradient| <= slope |d| (training/finite.h)
 *
 * NaN stays NaN in a value.  Written for one element, without a branch: the compiler makes vectors
 * of the loops (arithmetic/activations.h). */
#define FBP_ACTIVATIONS(X)                                                                       \
    X(RELU, relu, 0, FBP_OUTPUT, x <= 0 ? 0 : x, FN(keep)(d, !(v <= 0)), 0, 1, 1)                \
    X(SIGMOID, sigmoid, 0, FBP_OUTPUT, FN(sigmoid_)(x), d * (1 - v) * v, 1, 0, 0.25)             \
    X(TANH, tanh, 0, FBP_OUTPUT, FN(tanh_)(x), d * (1 - v * v), 1, 0, 1)                         \
    X(IDENTITY, identity, 0, FBP_OUTPUT, x, d, 0, 1, 1)                                          \
    X(LEAKY_RELU, leaky_relu, 1, FBP_EITHER, x > 0 ? x : a * x, v > 0 ? d : a * d,               \
      0, fmax(1, a), fmax(1, a))                                                                 \
    X(SOFTPLUS, softplus, 0, FBP_SLOPE, FN(softplus_)(x), d * FN(sigmoid_)(v), 0.7, 1, 1)        \
    /* a: PyTorch's beta, b: its threshold */                                                    \
    X(SOFTPLUS_OF, softplus_of, 2, FBP_INPUT, a * x > b ? x : FN(softplus_)(a * x) / a,          \
      a * v > b ? d : d * FN(sigmoid_)(a * v), 0.7 / fabs(a), 1, 1)                              \
    X(GELU, gelu, 0, FBP_SLOPE, FN(gelu_)(x), d * FN(gelu_slope)(v), 0, 1, 1.13)                 \
    X(GELU_TANH, gelu_tanh, 0, FBP_SLOPE, FN(gelu_tanh_)(x), d * FN(gelu_tanh_slope)(v),         \
      0, 1, 1.13)                                                                                \
    /* a: scale times alpha, b: scale */                                                         \
    X(ELU, elu, 2, FBP_SLOPE, x > 0 ? b * x : a * FN(expm1_down)(x > 0 ? 0 : x),                 \
      d * (v > 0 ? b : a * FN(exp_down)(v > 0 ? 0 : v)),                                         \
      0, fmax(fabs(a), fabs(b)), fmax(fabs(a), fabs(b)))                                         \
    X(CELU, celu, 1, FBP_INPUT, x > 0 ? x : a * FN(expm1_)((x > 0 ? 0 : x) / a),                 \
      v > 0 ? d : d * FN(exp_)((v > 0 ? 0 : v) / a),                                             \
      0, a > 0 ? 1 : INFINITY, a > 0 ? 1 : INFINITY)                                             \
    X(SILU, silu, 0, FBP_SLOPE, x * FN(sigmoid_)(x), d * FN(silu_slope)(v), 0, 1, 1.1)           \
    X(MISH, mish, 0, FBP_SLOPE, FN(mish_)(x), d * FN(mish_slope)(v), 0, 1, 1.1)                  \
    X(HARDTANH, hardtanh, 2, FBP_INPUT, x < a ? a : x > b ? b : x,                               \
      FN(keep)(d, !(v <= a || v >= b)), fmax(fabs(a), fabs(b)), 0, 1)                                 \
    X(HARDSIGMOID, hardsigmoid, 0, FBP_INPUT, FN(between)(x + 3, 0, 6) / 6,                      \
      FN(keep)(d, v > -3 && v < 3) / 6, 1, 0, 0.17)                                              \
    X(HARDSWISH, hardswish, 0, FBP_INPUT, x * FN(between)(x + 3, 0, 6) / 6,                      \
      d * (v <= -3 ? 0 : v >= 3 ? 1 : v / 3 + (REAL)0.5), 0, 1, 1.5)                             \
    X(LOGSIGMOID, logsigmoid, 0, FBP_SLOPE, -FN(softplus_)(-x), d * FN(sigmoid_)(-v), 0.7, 1, 1) \
    X(SOFTSIGN, softsign, 0, FBP_INPUT, x / (1 + FN(abs_)(x)), FN(softsign_pullback)(d, v),      \
      1, 0, 1)                                                                                   \
    X(TANHSHRINK, tanhshrink, 0, FBP_INPUT, x - FN(tanh_)(x), d * FN(tanh_)(v) * FN(tanh_)(v),   \
      0, 1, 1)                                                                                   \
    /* a: the threshold, b: the value below */                                                   \
    X(THRESHOLD, threshold, 2, FBP_INPUT, x <= a ? b : x, FN(keep)(d, !(v <= a)), fabs(b), 1, 1) \
    /* the C library's, for all its digits */                                                    \
    X(ERF, erf, 0, FBP_INPUT, (REAL)erf((double)x),                                              \
      d * ((REAL)1.12837916709551257390 * FN(exp_down)(-v * v)), 1, 0, 1.13)

#define FBP_ACTIVATION_KIND(KIND, ...) FBP_##KIND,
typedef enum { FBP_ACTIVATIONS(FBP_ACTIVATION_KIND) FBP_N_ACTIVATIONS } fbp_activation_kind;

/* What Python asks of a row: its name, what its derivative reads, its numbers. */
typedef struct {
    const char *name;
    int reads, numbers;
} fbp_activation_row;
#define FBP_ACTIVATION_ROW(KIND, name, numbers, reads, ...) {#name, reads, numbers},
static const fbp_activation_row fbp_activations[] = {FBP_ACTIVATIONS(FBP_ACTIVATION_ROW)};

/* The losses over pairs of elements, x and its target t:
 * X(kind, name, target, numbers, p, q, term, slope) and Y(kind, name, target)
 *
 *     target     whether t, in double, may be one
 *     numbers    whether there is a, or none
 *     p, q       of a gradient that is multiplied by `scale`, in double
 *     term       of x, t and d = x - t, in double
 *     slope      of the same and p and q, in REAL; NaN stays NaN
 *
 * A Y keeps y for its gradient, scale (y - t), and has a forward of its own in arithmetic/losses.h. */
#define FBP_LOSSES(X, Y)                                                                         \
    X(SQUARED, squared, 1, 0, 2 * scale, 0, d * d, p * d)                                        \
    X(ABSOLUTE, absolute, 1, 0, scale, 0, fabs(d), d > 0 ? p : d < 0 ? -p : p * d)               \
    X(HUBER, huber, 1, 1, scale, a, fabs(d) <= a ? 0.5 * d * d : a * (fabs(d) - 0.5 * a),        \
      p * FN(between)(d, -q, q))                                                                 \
    X(QUANTILE, quantile, 1, 1, scale * (1 - a), -scale * a, d > 0 ? (1 - a) * d : -a * d,       \
      d > 0 ? p : d < 0 ? q : (p - q) * d)                                                       \
    X(LOG_COSH, log_cosh, 1, 0, scale, 0, fbp_log_cosh(d), p * FN(tanh_)(d))                     \
    X(HINGE, hinge, t == 1 || t == -1, 0, scale, 0,                                              \
      t * x < 1 ? 1 - t * x : t * x >= 1 ? 0 : t * x,                                            \
      t * x < 1 ? -p * t : t * x >= 1 ? 0 : t * x)                                               \
    /* by z, the logit of the target's side: a: gamma */                                         \
    X(FOCAL, focal, t == 0 || t == 1, 1, scale, a, fbp_focal((2 * t - 1) * x, a),                \
      p * FN(focal_pull)((2 * t - 1) * x, q) * (2 * t - 1))                                     \
    Y(SIGMOID_LOSS, sigmoid, t >= 0 && t <= 1)                                                   \
    Y(POISSON, poisson, t >= 0)

#define FBP_LOSS_KIND(KIND, ...) FBP_##KIND,
typedef enum {
    FBP_LOSSES(FBP_LOSS_KIND, FBP_LOSS_KIND)
    FBP_N_LOSSES,
    FBP_SOFTMAX = FBP_N_LOSSES, /* of class indices; */
    FBP_SOFT,                   /* what a batch with rows of probabilities makes of it */
    FBP_GAUSSIAN,               /* pairs of outputs, a mean and the logarithm of a variance */
    FBP_PARTS,                  /* some outputs each, of a loss of their own */
    FBP_NO_LOSS
} fbp_loss_kind;

typedef struct {
    const char *name;
    int keeps_y, numbers;
} fbp_loss_row;
#define FBP_LOSS_ROW_X(KIND, name, target, numbers, ...) {#name, 0, numbers},
#define FBP_LOSS_ROW_Y(KIND, name, target) {#name, 1, 0},
static const fbp_loss_row fbp_losses[] = {FBP_LOSSES(FBP_LOSS_ROW_X, FBP_LOSS_ROW_Y)};

/* Whether a loss of that kind takes t for a target. */
static inline int fbp_takes_target(int kind, double t)
{
    (void)t;
    switch (kind) {
#define FBP_TAKES(KIND, name, target, ...)                                                       \
    case FBP_##KIND: return target;
        FBP_LOSSES(FBP_TAKES, FBP_TAKES)
#undef FBP_TAKES
    default: return 1;
    }
}

/* The update rules: X(kind, name, states, numbers, at, update, bound)
 *
 *     states    how many arrays of the parameters' size a rule keeps
 *     numbers   of fbp_rule, that it reads beside lr, as Python calls them; "decoupled" where it
 *               takes a decay beside the gradient
 *     at        what step k = 1, 2, ... makes of them, in double: rate, share, correction
 *     update    of a parameter p by d, its gradient, and s0, s1, s2, its states, in REAL
 *     bound     what p may grow by, `most`, and the states, where these are no bigger than they
 *               are and d is not, and in d what is the biggest on the way, in double
 *               (training/finite.h)
 *
 * By lr, momentum, b1, b2, c1 = 1 - b1, c2 = 1 - b2, eps, and keep, which is 1 but for a decoupled
 * decay; `rate` in a bound is that of any step of Adam. */
#define FBP_RULES(X)                                                                             \
    X(SGD, sgd, 0, "", return rule, p -= lr * d, most = lr * d)                                  \
    /* share: 1 - dampening, after the first step */                                             \
    X(MOMENTUM, momentum, 1, "momentum dampening", share = k > 1 ? 1 - rule->dampening : 1,      \
      s0 = FN(mix)(momentum, s0, share, d); p -= lr * s0,                                        \
      s0 = momentum * s0 + share * d; most = lr * s0)                                            \
    X(NESTEROV, nesterov, 1, "momentum dampening", share = k > 1 ? 1 - rule->dampening : 1,      \
      s0 = FN(mix)(momentum, s0, share, d); p -= lr * (d + momentum * s0),                       \
      s0 = momentum * s0 + share * d; d += momentum * s0; most = lr * d)                         \
    X(ADAGRAD, adagrad, 1, "eps lr_decay", rate = lr / (1 + (k - 1) * rule->lr_decay),           \
      s0 += d * d; p -= rate * d / (FN(sqrt_)(s0) + eps),                                        \
      s0 += d * d; most = lr * d / eps)                                                          \
    X(RMSPROP, rmsprop, 1, "beta_2 eps", return rule,                                            \
      s0 = FN(mix)(b2, s0, c2 * d, d); p -= lr * d / (FN(sqrt_)(s0) + eps),                      \
      s0 += d * d; most = lr * d / eps)                                                          \
    X(RMSPROP_MOMENTUM, rmsprop_momentum, 2, "beta_2 eps momentum", return rule,                 \
      s0 = FN(mix)(b2, s0, c2 * d, d); s1 = momentum * s1 + d / (FN(sqrt_)(s0) + eps);           \
      p -= lr * s1,                                                                              \
      s0 += d * d; s1 = momentum * s1 + d / eps; most = lr * s1)                                 \
    X(ADADELTA, adadelta, 2, "beta_2 eps", return rule,                                          \
      s0 = FN(mix)(b2, s0, c2 * d, d);                                                           \
      const REAL move = FN(sqrt_)(s1 + eps) / FN(sqrt_)(s0 + eps) * d;                           \
      s1 = FN(mix)(b2, s1, c2 * move, move); p -= lr * move,                                     \
      s0 += d * d; most = sqrt(s1 + rule->eps) / sqrt(eps) * d; s1 += most * most; most *= lr;   \
      d += (double)(REAL)rule->eps)                                                              \
    X(ADAM, adam, 2, "beta_1 beta_2 eps decoupled",                                              \
      rate = lr / (1 - pow(b1, k)); correction = 1 / sqrt(1 - pow(b2, k)),                       \
      s0 = FN(mix)(b1, s0, c1, d); s1 = FN(mix)(b2, s1, c2 * d, d);                              \
      p = keep * p - rate * s0 / (FN(sqrt_)(s1) * correction + eps),                             \
      s0 += d; s1 += d * d; most = rate * s0 / eps)                                              \
    X(AMSGRAD, amsgrad, 3, "beta_1 beta_2 eps decoupled",                                        \
      rate = lr / (1 - pow(b1, k)); correction = 1 / sqrt(1 - pow(b2, k)),                       \
      s0 = FN(mix)(b1, s0, c1, d); s1 = FN(mix)(b2, s1, c2 * d, d); s2 = FN(max_)(s1, s2);       \
      p = keep * p - rate * s0 / (FN(sqrt_)(s2) * correction + eps),                             \
      s0 += d; s1 += d * d; s2 += s1; most = rate * s0 / eps)                                    \
    X(ADAMAX, adamax, 2, "beta_1 beta_2 eps", rate = lr / (1 - pow(b1, k)),                      \
      s0 = FN(mix)(b1, s0, c1, d); s1 = FN(max_)(FN(abs_)(d) + eps, b2 * s1);                    \
      p -= rate * s0 / s1,                                                                       \
      s0 += d; s1 += d + rule->eps; most = rate * s0 / eps)                                      \
    X(NADAM, nadam, 2, "beta_1 beta_2 eps momentum_decay decoupled",                             \
      rate = nadam_rates(rule, &share); correction = 1 / sqrt(1 - pow(b2, k)),                   \
      s0 = FN(mix)(b1, s0, c1, d); s1 = FN(mix)(b2, s1, c2 * d, d);                              \
      p = keep * p - FN(mix)(rate, s0, share, d) / (FN(sqrt_)(s1) * correction + eps),           \
      s0 += d; s1 += d * d; most = (rate * s0 + lr * d) / eps)                                   \
    /* correction: 0 as long as the second moments say too little */                             \
    X(RADAM, radam, 2, "beta_1 beta_2 eps decoupled",                                            \
      correction = radam_rectification(b2, k);                                                   \
      rate = lr / (1 - pow(b1, k)) * (correction > 0 ? correction : 1),                          \
      s0 = FN(mix)(b1, s0, c1, d); s1 = FN(mix)(b2, s1, c2 * d, d);                              \
      p = keep * p - rate * s0 / (correction > 0 ? FN(sqrt_)(s1) + eps : 1),                     \
      s0 += d; s1 += d * d; most = rate * s0 / eps)                                              \
    X(LION, lion, 1, "beta_1 beta_2 decoupled", return rule,                                     \
      p = keep * p - lr * FN(sign_)(FN(mix)(b1, s0, c1, d)); s0 = FN(mix)(b2, s0, c2, d),        \
      s0 += d; most = lr)

#define FBP_RULE_KIND(KIND, ...) FBP_##KIND,
typedef enum {
    FBP_RULES(FBP_RULE_KIND)
    FBP_N_RULES,
    FBP_STORE = FBP_N_RULES /* gradients are kept, nothing is updated */
} fbp_rule_kind;
enum { FBP_MOST_STATES = 3 };

typedef struct {
    const char *name;
    int states;
    const char *numbers;
} fbp_rule_row;
#define FBP_RULE_ROW(KIND, name, states, numbers, ...) {#name, states, numbers},
static const fbp_rule_row fbp_rules[] = {FBP_RULES(FBP_RULE_ROW)};

#endif
