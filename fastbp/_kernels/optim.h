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
