/* exp, sigmoid, tanh, log1p and the normal distribution, written for one element so that the
 * compiler makes vectors of them: no branch, no call, no table.  Accuracy over the full range is
 * held by tests/test_vecmath.py.
 *
 * exp(x) = 2^k exp(r), k = round(x / ln 2), |r| <= ln(2)/2: Cody & Waite, Software Manual for
 * the Elementary Functions (1980).  The polynomials are minimax, from tests/coefficients.py. */

#define VECMATH_CONST(f, d) ((REAL)(IS_FLOAT ? (f) : (d)))
#define MANTISSA (IS_FLOAT ? 23 : 52)
#define EXPONENT_BIAS (IS_FLOAT ? 127 : 1023)
/* 1.5 * 2^MANTISSA: added to a small number it leaves the rounded integer in the low bits; and
 * twice the bias, so that what stands there is positive. */
#define ROUNDER (VECMATH_CONST(0x1.8p23, 0x1.8p52) + 2 * EXPONENT_BIAS)
#define LOG2E ((REAL)1.44269504088896340736)
/* ln 2 in two parts, the first with trailing zeros so that k * LN2_HI is exact. */
#define LN2_HI VECMATH_CONST(0x1.62e4p-1, 0x1.62e42fee00000p-1)
#define LN2_LO VECMATH_CONST(0x1.7f7d1cp-20, 0x1.a39ef35793c76p-33)
#define INV_SQRT_2PI ((REAL)0.39894228040143267794)
#define ROOT_2_OVER_PI ((REAL)0.79788456080286535588)
#define GELU_CUBE ((REAL)0.044715)

/* a x + b y, b y rounded by itself: the compiler may fuse either product with the sum, and takes
 * one in a loop of vectors and the other in its remainder, so that bits would depend on where an
 * element lies. */
static inline REAL FN(mix)(REAL a, REAL x, REAL b, REAL y)
{
#if defined __FMA__ || defined __ARM_FEATURE_FMA
    return (REAL)(IS_FLOAT ? __builtin_fmaf(a, x, b * y) : __builtin_fma(a, x, b * y));
#else
    return a * x + b * y;
#endif
}

static inline INT FN(bits)(REAL x)
{
    INT i;
    memcpy(&i, &x, sizeof i);
    return i;
}

/* The number of these bits. */
static inline REAL FN(of_bits)(UINT i)
{
    REAL x;
    memcpy(&x, &i, sizeof x);
    return x;
}

#include "polynomials.h"

/* n = round(x / ln 2), and in `k` the bits of n + ROUNDER: a NaN gives any. */
static inline REAL FN(whole)(REAL x, UINT *k)
{
    const REAL rounded = x * LOG2E + ROUNDER;
    *k = (UINT)FN(bits)(rounded);
    return rounded - ROUNDER;
}

/* x - n ln 2 */
static inline REAL FN(rest)(REAL x, REAL n)
{
    return (x - n * LN2_HI) - n * LN2_LO;
}

/* exp(r) - 1 for |r| <= ln(2)/2. */
static inline REAL FN(expm1_reduced)(REAL r)
{
    return FN(expm1_tail)(r) * r * r + r;
}

/* m 2^n by two factors of 2^(n/2): by one it would overflow to inf or round to 0 too early. */
static inline REAL FN(scaled)(REAL m, UINT k)
{
    const UINT half = k >> 1; /* what stands above the exponents is shifted out */
    return m * FN(of_bits)(half << MANTISSA) * FN(of_bits)((k - half) << MANTISSA);
}

/* exp(x) for x <= 0 */
static inline REAL FN(exp_down)(REAL x)
{
    UINT k;
    x = x < VECMATH_CONST(-105, -750) ? VECMATH_CONST(-105, -750) : x;
    const REAL n = FN(whole)(x, &k);
    return FN(scaled)(FN(expm1_reduced)(FN(rest)(x, n)) + 1, k);
}

static inline REAL FN(exp_)(REAL x)
{
    return FN(exp_down)(x > VECMATH_CONST(89, 710) ? VECMATH_CONST(89, 710) : x);
}

static inline REAL FN(abs_)(REAL x)
{
    return IS_FLOAT ? (REAL)fabsf((float)x) : (REAL)fabs((double)x);
}

static inline REAL FN(sqrt_)(REAL x)
{
    return IS_FLOAT ? (REAL)sqrtf((float)x) : (REAL)sqrt((double)x);
}

/* sigmoid(x) of e = exp(-|x|), which cannot overflow. */
static inline REAL FN(sigmoid_of)(REAL x, REAL e)
{
    return (x < 0 ? e : 1) / (1 + e);
}

static inline REAL FN(sigmoid_)(REAL x)
{
    return FN(sigmoid_of)(x, FN(exp_down)(-FN(abs_)(x)));
}

/* u / (u + 2), u = exp(2|x|) - 1 = 2^n (exp(r) - 1) + (2^n - 1): no cancellation near 0. */
static inline REAL FN(tanh_)(REAL x)
{
    UINT k;
    REAL a = FN(abs_)(x);
    a = a > VECMATH_CONST(10, 20) ? VECMATH_CONST(10, 20) : a;
    const REAL n = FN(whole)(2 * a, &k);
    const REAL scale = FN(of_bits)((k - EXPONENT_BIAS) << MANTISSA);
    const REAL u = scale * FN(expm1_reduced)(FN(rest)(2 * a, n)) + (scale - 1);
    const REAL t = u / (u + 2);
    return IS_FLOAT ? (REAL)copysignf((float)t, (float)x) : (REAL)copysign((double)t, (double)x);
}

/* exp(x) - 1 for x <= 0 */
static inline REAL FN(expm1_down)(REAL x)
{
    UINT k;
    x = x < VECMATH_CONST(-20, -45) ? VECMATH_CONST(-20, -45) : x;
    const REAL n = FN(whole)(x, &k);
    const REAL scale = FN(of_bits)((k - EXPONENT_BIAS) << MANTISSA);
    return scale * FN(expm1_reduced)(FN(rest)(x, n)) + (scale - 1);
}

/* exp(x) - 1 */
static inline REAL FN(expm1_)(REAL x)
{
    const REAL below = FN(expm1_down)(-FN(abs_)(x));
    return x > 0 ? -below * FN(exp_)(x) : below;
}

/* s + x s (1 - s), s = sigmoid(x): the derivative of x s. */
static inline REAL FN(silu_slope)(REAL x)
{
    const REAL e = FN(exp_down)(-FN(abs_)(x)), s = FN(sigmoid_of)(x, e);
    return s + x * s * FN(sigmoid_of)(-x, e);
}

/* t = tanh(log(1 + exp(x))) = (w^2 - 1) / (w^2 + 1), w = 1 + exp(x), by e = exp(-|x|), which cannot
 * overflow; in `rest` 1 - t, without cancellation. */
static inline REAL FN(mish_tanh)(REAL x, REAL e, REAL *rest)
{
    const REAL above = x < 0 ? e * (e + 2) : 1 + 2 * e, left = x < 0 ? 2 : 2 * e * e;
    *rest = left / (above + left);
    return above / (above + left);
}

/* x tanh(log(1 + exp(x))) */
static inline REAL FN(mish_)(REAL x)
{
    REAL rest;
    return x * FN(mish_tanh)(x, FN(exp_down)(-FN(abs_)(x)), &rest);
}

/* t + x sigmoid(x) (1 - t^2) */
static inline REAL FN(mish_slope)(REAL x)
{
    REAL rest;
    const REAL e = FN(exp_down)(-FN(abs_)(x)), t = FN(mish_tanh)(x, e, &rest);
    return t + x * FN(sigmoid_of)(x, e) * (rest * (1 + t));
}

/* log(1 + e) for 0 <= e <= 1 */
static inline REAL FN(log1p_unit)(REAL e)
{
    return e * FN(log1p_over)(e - (REAL)0.5);
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)); its derivative is sigmoid(x). */
static inline REAL FN(softplus_)(REAL x)
{
    return (x <= 0 ? 0 : x) + FN(log1p_unit)(FN(exp_down)(-FN(abs_)(x)));
}

/* x, or the nearer bound; NaN stays NaN. */
static inline REAL FN(between)(REAL x, REAL low, REAL high)
{
    return x < low ? low : x > high ? high : x;
}

/* The greater; NaN where either is. */
static inline REAL FN(max_)(REAL x, REAL y)
{
    return x > y || x != x ? x : y;
}

/* -1, 0 or 1; NaN stays NaN. */
static inline REAL FN(sign_)(REAL x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x;
}

/* d / (1 + |x|)^2, and NaN where the value, inf / inf, is. */
static inline REAL FN(softsign_pullback)(REAL d, REAL x)
{
    const REAL divisor = 1 + FN(abs_)(x);
    return d * (divisor / divisor) / divisor / divisor;
}

/* Hendrycks & Gimpel's approximation of the gelu, x (1 + tanh(u)) / 2 = x sigmoid(2 u), in which
 * nothing cancels; u = sqrt(2 / pi) (x + 0.044715 x^3). */
static inline REAL FN(gelu_tanh_)(REAL x)
{
    return x * FN(sigmoid_)(2 * ROOT_2_OVER_PI * (x + GELU_CUBE * (x * x * x)));
}

/* s + x s (1 - s) 2 u', s = sigmoid(2 u); beyond 100, 0 or 1 in all digits. */
static inline REAL FN(gelu_tanh_slope)(REAL x)
{
    const REAL v = FN(between)(x, -100, 100);
    const REAL u = 2 * ROOT_2_OVER_PI * (v + GELU_CUBE * (v * v * v));
    const REAL e = FN(exp_down)(-FN(abs_)(u)), s = FN(sigmoid_of)(u, e);
    return s + v * s * FN(sigmoid_of)(-u, e) * (2 * ROOT_2_OVER_PI * (1 + 3 * GELU_CUBE * v * v));
}

/* max(x, 0), of the sign of x; NaN stays NaN. */
static inline REAL FN(positive)(REAL x)
{
    return x < 0 ? -(REAL)0 : x;
}

/* |x|, or where Phi(-|x|) is 0 a number that does not make NaN of it. */
static inline REAL FN(normal_limit)(REAL x)
{
    const REAL a = FN(abs_)(x);
    return a > MILLS_LIMIT ? MILLS_LIMIT : a;
}

/* exp(-a^2/2) without its 2^n, n in k; a = h + l, h of half the digits, so that h^2 is exact:
 * else the error of a^2 would be one of the result that grows as a^2. */
static inline REAL FN(normal_exp)(REAL a, UINT *k)
{
    const UINT half = ((UINT)1 << (MANTISSA + 2) / 2) - 1;
    const REAL h = FN(of_bits)((UINT)FN(bits)(a) & ~half), l = a - h;
    const REAL n = FN(whole)((REAL)-0.5 * a * a, k);
    return FN(expm1_reduced)(FN(rest)((REAL)-0.5 * h * h, n) - (REAL)0.5 * l * (a + h)) + 1;
}

/* Phi(-a) exp(a^2/2), by Shepherd & Laframboise's variable (Math. Comp. 36, 1981), which takes
 * all a >= 0 to -1 .. 1. */
static inline REAL FN(mills_ratio)(REAL a)
{
    const REAL inverse = 1 / (a + MILLS_SHIFT);
    return FN(mills)((a - MILLS_SHIFT) * inverse) * inverse;
}

/* x Phi(x), Phi the normal distribution function, as max(x, 0) - |x| Phi(-|x|): exact to a few
 * ulp where it is small, too. */
static inline REAL FN(gelu_)(REAL x)
{
    UINT k;
    const REAL a = FN(normal_limit)(x), e = FN(normal_exp)(a, &k);
    return FN(positive)(x) - FN(scaled)(a * FN(mills_ratio)(a) * e, k);
}

/* Phi(x) + x phi(x), phi the normal density, of which only the one below 0 is a small number. */
static inline REAL FN(gelu_slope)(REAL x)
{
    UINT k;
    const REAL a = FN(normal_limit)(x), e = FN(normal_exp)(a, &k);
    const REAL below = FN(scaled)((FN(mills_ratio)(a) - a * INV_SQRT_2PI) * e, k);
    return x < 0 ? below : 1 - below;
}

#undef VECMATH_CONST
#undef MANTISSA
#undef EXPONENT_BIAS
#undef ROUNDER
#undef LOG2E
#undef LN2_HI
#undef LN2_LO
#undef INV_SQRT_2PI
#undef ROOT_2_OVER_PI
#undef GELU_CUBE
#undef MILLS_SHIFT
#undef MILLS_LIMIT
