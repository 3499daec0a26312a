/* Update rules, in place over n elements, with PyTorch's formulas. */

/* d = grad + weight_decay param;  v = momentum v + d;
 * param -= lr (nesterov ? d + momentum v : v).  velocity NULL: no momentum, v = d. */
static void FN(sgd_update)(REAL *param, const REAL *grad, REAL *velocity, double lr_,
                           double momentum_, int nesterov, double weight_decay, idx n)
{
    const REAL lr = (REAL)lr_, momentum = (REAL)momentum_, decay = (REAL)weight_decay;
    if (!velocity) {
        ELEMENTWISE param[i] -= lr * (grad[i] + decay * param[i]);
    } else if (nesterov) {
        ELEMENTWISE
        {
            const REAL d = grad[i] + decay * param[i];
            velocity[i] = momentum * velocity[i] + d;
            param[i] -= lr * (d + momentum * velocity[i]);
        }
    } else {
        ELEMENTWISE
        {
            velocity[i] = momentum * velocity[i] + (grad[i] + decay * param[i]);
            param[i] -= lr * velocity[i];
        }
    }
}

/* d = grad + weight_decay param;  s = s + d^2;  param -= lr d / (sqrt(s) + eps) */
static void FN(adagrad_update)(REAL *param, const REAL *grad, REAL *square_sum, double lr_,
                               double eps_, double weight_decay, idx n)
{
    const REAL lr = (REAL)lr_, eps = (REAL)eps_, decay = (REAL)weight_decay;
    ELEMENTWISE
    {
        const REAL d = grad[i] + decay * param[i];
        square_sum[i] += d * d;
        param[i] -= lr * d / (FN(sqrt_)(square_sum[i]) + eps);
    }
}

/* d = grad + weight_decay param;  s = alpha s + (1 - alpha) d^2;  u = d / (sqrt(s) + eps);
 * v = momentum v + u;  param -= lr v.  velocity NULL: no momentum, v = u. */
static void FN(rmsprop_update)(REAL *param, const REAL *grad, REAL *square_mean, REAL *velocity,
                               double lr_, double alpha_, double eps_, double momentum_,
                               double weight_decay, idx n)
{
    const REAL lr = (REAL)lr_, alpha = (REAL)alpha_, rest = (REAL)(1 - alpha_);
    const REAL eps = (REAL)eps_, momentum = (REAL)momentum_, decay = (REAL)weight_decay;
    if (velocity) {
        ELEMENTWISE
        {
            const REAL d = grad[i] + decay * param[i];
            square_mean[i] = FN(mix)(alpha, square_mean[i], rest * d, d);
            velocity[i] = momentum * velocity[i] + d / (FN(sqrt_)(square_mean[i]) + eps);
            param[i] -= lr * velocity[i];
        }
    } else {
        ELEMENTWISE
        {
            const REAL d = grad[i] + decay * param[i];
            square_mean[i] = FN(mix)(alpha, square_mean[i], rest * d, d);
            param[i] -= lr * d / (FN(sqrt_)(square_mean[i]) + eps);
        }
    }
}

/* Of Adam's step 1, 2, ...: rate = lr / (1 - beta_1^step), correction = 1 / sqrt(1 - beta_2^step) */
#ifndef FBP_ADAM_ONCE
#define FBP_ADAM_ONCE
static double adam_rate(double lr, double beta_1, int64_t step)
{
    return lr / (1 - pow(beta_1, (double)step));
}

static double adam_correction(double beta_2, int64_t step)
{
    return 1 / sqrt(1 - pow(beta_2, (double)step));
}
#endif

/* m = beta_1 m + (1 - beta_1) d;  v = beta_2 v + (1 - beta_2) d^2;
 * param -= rate m / (sqrt(v) correction + eps)
 * with d = grad + weight_decay param, or decoupled: d = grad and first param -= lr decay param. */
static void FN(adam_update_at)(REAL *param, const REAL *grad, REAL *mean, REAL *square_mean,
                               double lr, double beta_1, double beta_2, double eps_,
                               double weight_decay, int decoupled, double rate_,
                               double correction_, idx n)
{
    const REAL b1 = (REAL)beta_1, b2 = (REAL)beta_2;
    const REAL rest_1 = (REAL)(1 - beta_1), rest_2 = (REAL)(1 - beta_2), eps = (REAL)eps_;
    const REAL keep = (REAL)(decoupled ? 1 - lr * weight_decay : 1);
    const REAL decay = (REAL)(decoupled ? 0 : weight_decay);
    const REAL rate = (REAL)rate_, correction = (REAL)correction_;
    ELEMENTWISE
    {
        const REAL d = grad[i] + decay * param[i];
        mean[i] = FN(mix)(b1, mean[i], rest_1, d);
        square_mean[i] = FN(mix)(b2, square_mean[i], rest_2 * d, d);
        param[i] = keep * param[i] -
                   rate * mean[i] / (FN(sqrt_)(square_mean[i]) * correction + eps);
    }
}

static void FN(adam_update)(REAL *param, const REAL *grad, REAL *mean, REAL *square_mean, double lr,
                            double beta_1, double beta_2, double eps, double weight_decay,
                            int decoupled, int64_t step, idx n)
{
    FN(adam_update_at)(param, grad, mean, square_mean, lr, beta_1, beta_2, eps, weight_decay,
                       decoupled, adam_rate(lr, beta_1, step), adam_correction(beta_2, step), n);
}
