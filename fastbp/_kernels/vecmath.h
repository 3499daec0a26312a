/* exp, sigmoid, tanh and log1p, written for one element so that the compiler makes vectors
 * of them: no branch, no call, no table.  Accuracy over the full range is held by
 * tests/test_vecmath.py.
 *
 * exp(x) = 2^k exp(r), k = round(x / ln 2), |r| <= ln(2)/2: Cody & Waite, Software Manual for
 * the Elementary Functions (1980); exp(r) is its Taylor polynomial, whose error is below a
 * tenth of an ulp at degree 7 (float) and 13 (double). */

#define VECMATH_CONST(f, d) ((REAL)(IS_FLOAT ? (f) : (d)))
#define MANTISSA (IS_FLOAT ? 23 : 52)
#define EXPONENT_BIAS (IS_FLOAT ? 127 : 1023)
/* 1.5 * 2^MANTISSA: added to a small number it leaves the rounded integer in the low bits. */
#define ROUNDER VECMATH_CONST(0x1.8p23, 0x1.8p52)
#define LOG2E ((REAL)1.44269504088896340736)
/* ln 2 in two parts, the first with trailing zeros so that k * LN2_HI is exact. */
#define LN2_HI VECMATH_CONST(0x1.62e4p-1, 0x1.62e42fee00000p-1)
#define LN2_LO VECMATH_CONST(0x1.7f7d1cp-20, 0x1.a39ef35793c76p-33)

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

static inline REAL FN(pow2)(INT k)
{
    const UINT i = ((UINT)k + EXPONENT_BIAS) << MANTISSA; /* unsigned: a NaN gives any k */
    REAL x;
    memcpy(&x, &i, sizeof x);
    return x;
}

/* x = k ln 2 + r, for |x| < 2^20. */
static inline REAL FN(reduce)(REAL x, INT *k)
{
    const REAL rounded = x * LOG2E + ROUNDER;
    const REAL n = rounded - ROUNDER;
    *k = (INT)((UINT)FN(bits)(rounded) - (UINT)FN(bits)(ROUNDER));
    return (x - n * LN2_HI) - n * LN2_LO;
}

/* exp(r) - 1 for |r| <= ln(2)/2. */
static inline REAL FN(expm1_reduced)(REAL r)
{
    REAL p;
    if (IS_FLOAT) {
        p = (REAL)(1.0 / 5040);
    } else {
        p = (REAL)(1.0 / 6227020800.0);
        p = p * r + (REAL)(1.0 / 479001600);
        p = p * r + (REAL)(1.0 / 39916800);
        p = p * r + (REAL)(1.0 / 3628800);
        p = p * r + (REAL)(1.0 / 362880);
        p = p * r + (REAL)(1.0 / 40320);
        p = p * r + (REAL)(1.0 / 5040);
    }
    p = p * r + (REAL)(1.0 / 720);
    p = p * r + (REAL)(1.0 / 120);
    p = p * r + (REAL)(1.0 / 24);
    p = p * r + (REAL)(1.0 / 6);
    p = p * r + (REAL)0.5;
    return p * r * r + r;
}

/* Two factors of 2^(k/2): the product alone overflows to inf or rounds to a subnormal. */
static inline REAL FN(exp_)(REAL x)
{
    x = x > VECMATH_CONST(89, 710) ? VECMATH_CONST(89, 710) : x;
    x = x < VECMATH_CONST(-105, -750) ? VECMATH_CONST(-105, -750) : x;
    INT k;
    const REAL r = FN(reduce)(x, &k);
    const INT half = k >> 1;
    return (FN(expm1_reduced)(r) + 1) * FN(pow2)(half) * FN(pow2)((INT)((UINT)k - (UINT)half));
}

static inline REAL FN(abs_)(REAL x)
{
    return IS_FLOAT ? (REAL)fabsf((float)x) : (REAL)fabs((double)x);
}

static inline REAL FN(sqrt_)(REAL x)
{
    return IS_FLOAT ? (REAL)sqrtf((float)x) : (REAL)sqrt((double)x);
}

/* 1 / (1 + exp(-x)) from exp(-|x|), which cannot overflow. */
static inline REAL FN(sigmoid_)(REAL x)
{
    const REAL e = FN(exp_)(-FN(abs_)(x));
    const REAL s = 1 / (1 + e);
    return x < 0 ? e * s : s;
}

/* u / (u + 2), u = exp(2|x|) - 1 = 2^k (exp(r) - 1) + (2^k - 1): no cancellation near 0. */
static inline REAL FN(tanh_)(REAL x)
{
    REAL a = FN(abs_)(x);
    a = a > VECMATH_CONST(10, 20) ? VECMATH_CONST(10, 20) : a;
    INT k;
    const REAL r = FN(reduce)(2 * a, &k);
    const REAL scale = FN(pow2)(k);
    const REAL u = scale * FN(expm1_reduced)(r) + (scale - 1);
    const REAL t = u / (u + 2);
    return IS_FLOAT ? (REAL)copysignf((float)t, (float)x) : (REAL)copysign((double)t, (double)x);
}

/* log(1 + e) for 0 <= e <= 1: 2 artanh(s), s = e / (2 + e) <= 1/3, as its series. */
static inline REAL FN(log1p_unit)(REAL e)
{
    const REAL s = e / (2 + e), q = s * s;
    REAL p;
    if (IS_FLOAT) {
        p = (REAL)(1.0 / 15);
    } else {
        p = (REAL)(1.0 / 33);
        p = p * q + (REAL)(1.0 / 31);
        p = p * q + (REAL)(1.0 / 29);
        p = p * q + (REAL)(1.0 / 27);
        p = p * q + (REAL)(1.0 / 25);
        p = p * q + (REAL)(1.0 / 23);
        p = p * q + (REAL)(1.0 / 21);
        p = p * q + (REAL)(1.0 / 19);
        p = p * q + (REAL)(1.0 / 17);
        p = p * q + (REAL)(1.0 / 15);
    }
    p = p * q + (REAL)(1.0 / 13);
    p = p * q + (REAL)(1.0 / 11);
    p = p * q + (REAL)(1.0 / 9);
    p = p * q + (REAL)(1.0 / 7);
    p = p * q + (REAL)(1.0 / 5);
    p = p * q + (REAL)(1.0 / 3);
    return 2 * (s * q * p + s);
}

#undef VECMATH_CONST
#undef MANTISSA
#undef EXPONENT_BIAS
#undef ROUNDER
#undef LOG2E
#undef LN2_HI
#undef LN2_LO
