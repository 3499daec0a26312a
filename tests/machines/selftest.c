/* The kernels outside Python: picks a set as the import does, and multiplies, adds biases and takes
 * the gradients of a batch with each usable one, against plain loops.  Gives the level, or 0. */
#include <math.h>
#include <stdio.h>

#include "aligned.h"
#include "cpu.h"

enum { ROWS = 37, N_IN = 29, N_OUT = 19 };

static double x[ROWS * N_IN], W[N_IN * N_OUT], b[N_OUT], out[ROWS * N_OUT];
static double dx[ROWS * N_IN], dW[N_IN * N_OUT], db[N_OUT], y[ROWS * N_OUT];

static double value(int i)
{
    return (i * 7919 % 1009) / 1009.0 - 0.5;
}

static int off(double actual, double desired)
{
    return !(fabs(actual - desired) < 1e-12);
}

/* How many results of the forward and backward maps and of tanh are wrong. */
static int faults(const fbp_kernels *kernels)
{
    int wrong = 0;
    if (kernels->d.affine_forward(x, W, b, out, ROWS, N_IN, N_OUT) ||
        kernels->d.affine_backward(out, x, W, dx, dW, db, ROWS, N_IN, N_OUT))
        return -1;
    kernels->d.tanh_forward(out, y, ROWS * N_OUT);
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < N_OUT; j++) {
            double sum = b[j];
            for (int k = 0; k < N_IN; k++)
                sum += x[r * N_IN + k] * W[k * N_OUT + j];
            wrong += off(out[r * N_OUT + j], sum) + off(y[r * N_OUT + j], tanh(sum));
        }
    for (int k = 0; k < N_IN; k++)
        for (int j = 0; j < N_OUT; j++) {
            double sum = 0;
            for (int r = 0; r < ROWS; r++)
                sum += x[r * N_IN + k] * out[r * N_OUT + j];
            wrong += off(dW[k * N_OUT + j], sum);
        }
    for (int r = 0; r < ROWS; r++)
        for (int k = 0; k < N_IN; k++) {
            double sum = 0;
            for (int j = 0; j < N_OUT; j++)
                sum += out[r * N_OUT + j] * W[k * N_OUT + j];
            wrong += off(dx[r * N_IN + k], sum);
        }
    return wrong;
}

int main(void)
{
    int usable = 0, wrong = 0;
    for (int i = 0; i < ROWS * N_IN; i++)
        x[i] = value(i + 1);
    for (int i = 0; i < N_IN * N_OUT; i++)
        W[i] = value(3 * i + 2);
    for (int i = 0; i < N_OUT; i++)
        b[i] = value(5 * i + 3);
    for (int k = 0; fbp_built(k); k++)
        if (fbp_runs_here(k)) {
            const int here = faults(fbp_built(k));
            printf("%s: %d wrong\n", fbp_built(k)->name, here);
            usable++;
            wrong += here != 0;
        }
    return !usable || wrong;
}
