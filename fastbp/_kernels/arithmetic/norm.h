/* Batch normalisation over columns: rows `stride` apart, n <= stride columns. */

/* mean[j], inverse[j] = 1 / sqrt(var[j] + eps), normal = (x - mean) inverse,
 * out = gamma normal + beta; the running statistics follow. */
static void FN(batch_norm_forward)(const REAL *x, const REAL *gamma, const REAL *beta, REAL *out,
                                   REAL *normal, REAL *inverse, REAL *running_mean,
                                   REAL *running_var, double eps, double momentum_,
                                   int sample_variance, idx rows, idx n, idx stride)
{
    const REAL share = (REAL)(1.0 / (double)rows), momentum = (REAL)momentum_;
    const REAL correction =
        sample_variance && rows > 1 ? (REAL)((double)rows / (double)(rows - 1)) : 1;
    for (idx j0 = 0; j0 < n; j0 += NR) {
        const idx width = min_idx(NR, n - j0);
        REAL mean[NR] = {0}, var[NR] = {0};
        for (idx r = 0; r < rows; r++)
            for (idx j = 0; j < width; j++)
                mean[j] += x[r * stride + j0 + j];
        for (idx j = 0; j < width; j++)
            mean[j] *= share;
        for (idx r = 0; r < rows; r++)
            for (idx j = 0; j < width; j++) {
                const REAL d = x[r * stride + j0 + j] - mean[j];
                normal[r * stride + j0 + j] = d;
                var[j] += d * d;
            }
        for (idx j = 0; j < width; j++) {
            var[j] *= share;
            inverse[j0 + j] = (REAL)(1 / sqrt((double)var[j] + eps));
            running_mean[j0 + j] = FN(mix)(momentum, running_mean[j0 + j], 1 - momentum, mean[j]);
            running_var[j0 + j] =
                FN(mix)(momentum, running_var[j0 + j], (1 - momentum) * correction, var[j]);
        }
        for (idx r = 0; r < rows; r++)
            for (idx j = 0; j < width; j++) {
                const idx at = r * stride + j0 + j;
                normal[at] *= inverse[j0 + j];
                out[at] = gamma[j0 + j] * normal[at] + beta[j0 + j];
            }
    }
}

/* dgamma = sum_r dout normal;  dbeta = sum_r dout;
 * dx = gamma inverse (dout - dbeta / rows - normal dgamma / rows) */
static void FN(batch_norm_backward)(const REAL *dout, const REAL *normal, const REAL *inverse,
                                    const REAL *gamma, REAL *dx, REAL *dgamma, REAL *dbeta,
                                    idx rows, idx n, idx stride)
{
    const REAL share = (REAL)(1.0 / (double)rows);
    for (idx j = 0; j < n; j++)
        dgamma[j] = dbeta[j] = 0;
    for (idx r = 0; r < rows; r++)
        _Pragma("GCC ivdep") for (idx j = 0; j < n; j++)
        {
            dgamma[j] += dout[r * stride + j] * normal[r * stride + j];
            dbeta[j] += dout[r * stride + j];
        }
    for (idx r = 0; r < rows; r++)
        _Pragma("GCC ivdep") for (idx j = 0; j < n; j++)
        {
            const idx at = r * stride + j;
            dx[at] = gamma[j] * inverse[j] *
                     (dout[at] - share * (dbeta[j] + normal[at] * dgamma[j]));
        }
}
