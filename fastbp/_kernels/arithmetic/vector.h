/* The vector type of one element type: loads, stores, and the transpose of a square block. */

typedef REAL FN(vec) __attribute__((vector_size(FBP_VECTOR_BYTES)));
typedef REAL FN(unaligned)
    __attribute__((vector_size(FBP_VECTOR_BYTES), aligned(REAL_BYTES), may_alias));
typedef INT FN(lanes) __attribute__((vector_size(FBP_VECTOR_BYTES)));

static inline FN(vec) FN(load)(const REAL *p)
{
    return *(const FN(unaligned) *)p;
}

static inline void FN(store)(REAL *p, FN(vec) v)
{
    *(FN(unaligned) *)p = v;
}

#ifndef FBP_VECTOR_ONCE
#define FBP_VECTOR_ONCE
/* A function that few calls take, so that its callers need not save registers for it. */
#define APART __attribute__((noinline))

static inline idx min_idx(idx a, idx b)
{
    return a < b ? a : b;
}

static inline idx ceil_div(idx a, idx b)
{
    return (a + b - 1) / b;
}

/* n in some parts, all about alike: the first `larger` have size + 1, the others size.  One part
 * needs no division, which small products would feel. */
typedef struct {
    idx parts, size, larger;
} fbp_shares;

static inline fbp_shares shares_of(idx n, idx parts)
{
    return parts > 1 ? (fbp_shares){parts, n / parts, n % parts} : (fbp_shares){parts, n, 0};
}
#endif

/* EACH_LANE(F): F(0), F(1), ... F(LANES - 1) */
#undef EACH_LANE
#if FBP_VECTOR_BYTES / REAL_BYTES == 2
#define EACH_LANE(F, s) F(s, 0), F(s, 1)
#elif FBP_VECTOR_BYTES / REAL_BYTES == 4
#define EACH_LANE(F, s) F(s, 0), F(s, 1), F(s, 2), F(s, 3)
#elif FBP_VECTOR_BYTES / REAL_BYTES == 8
#define EACH_LANE(F, s)                                                                          \
    F(s, 0), F(s, 1), F(s, 2), F(s, 3), F(s, 4), F(s, 5), F(s, 6), F(s, 7)
#else
#define EACH_LANE(F, s)                                                                          \
    F(s, 0), F(s, 1), F(s, 2), F(s, 3), F(s, 4), F(s, 5), F(s, 6), F(s, 7), F(s, 8), F(s, 9),    \
        F(s, 10), F(s, 11), F(s, 12), F(s, 13), F(s, 14), F(s, 15)
#endif
#define UPPER_LANE(s, l) ((l) & (s) ? (l) - (s) + LANES : (l))
#define LOWER_LANE(s, l) ((l) & (s) ? (l) + LANES : (l) + (s))

/* Halve 2s vectors to s, whose lanes with bit s hold the sums of the lower half. */
#define DEFINE_FOLD(s)                                                                           \
    static inline __attribute__((always_inline)) void FN(fold_##s)(FN(vec) * v)                  \
    {                                                                                            \
        _Pragma("GCC unroll 8") for (int i = 0; i < (s); i++)                                    \
        {                                                                                        \
            const FN(vec) upper = v[i], lower = v[i + (s)];                                      \
            v[i] = __builtin_shufflevector(upper, lower, EACH_LANE(UPPER_LANE, s)) +             \
                   __builtin_shufflevector(upper, lower, EACH_LANE(LOWER_LANE, s));              \
        }                                                                                        \
    }

/* Swap the off-diagonal s x s blocks of every 2s x 2s block on the diagonal. */
#define DEFINE_SWAP(s)                                                                           \
    static inline __attribute__((always_inline)) void FN(swap_##s)(FN(vec) * v)                  \
    {                                                                                            \
        _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) if (!(i & (s)))                 \
        {                                                                                        \
            const FN(vec) upper = v[i], lower = v[i + (s)];                                      \
            v[i] = __builtin_shufflevector(upper, lower, EACH_LANE(UPPER_LANE, s));              \
            v[i + (s)] = __builtin_shufflevector(upper, lower, EACH_LANE(LOWER_LANE, s));        \
        }                                                                                        \
    }
DEFINE_SWAP(1)
DEFINE_FOLD(1)
#if FBP_VECTOR_BYTES / REAL_BYTES >= 4
DEFINE_SWAP(2)
DEFINE_FOLD(2)
#endif
#if FBP_VECTOR_BYTES / REAL_BYTES >= 8
DEFINE_SWAP(4)
DEFINE_FOLD(4)
#endif
#if FBP_VECTOR_BYTES / REAL_BYTES >= 16
DEFINE_SWAP(8)
DEFINE_FOLD(8)
#endif

/* dst[j][i] = src[i][j] for a LANES x LANES block, rows src_row and dst_row apart. */
static inline void FN(transpose_square)(const REAL *src, idx src_row, REAL *dst, idx dst_row)
{
    FN(vec) v[LANES];
    _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) v[i] = FN(load)(src + i * src_row);
#if FBP_VECTOR_BYTES / REAL_BYTES >= 16
    FN(swap_8)(v);
#endif
#if FBP_VECTOR_BYTES / REAL_BYTES >= 8
    FN(swap_4)(v);
#endif
#if FBP_VECTOR_BYTES / REAL_BYTES >= 4
    FN(swap_2)(v);
#endif
    FN(swap_1)(v);
    _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) FN(store)(dst + i * dst_row, v[i]);
}

/* The sums of LANES vectors: lane l of the result is that of v[l]'s lanes.  Overwrites v. */
static inline __attribute__((always_inline)) FN(vec) FN(sum_each)(FN(vec) * v)
{
#if FBP_VECTOR_BYTES / REAL_BYTES >= 16
    FN(fold_8)(v);
#endif
#if FBP_VECTOR_BYTES / REAL_BYTES >= 8
    FN(fold_4)(v);
#endif
#if FBP_VECTOR_BYTES / REAL_BYTES >= 4
    FN(fold_2)(v);
#endif
    FN(fold_1)(v);
    return v[0];
}

static inline REAL FN(sum_lanes)(FN(vec) v)
{
    REAL sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += v[i];
    return sum;
}

#define ACROSS(s, l) ((l) ^ (s))

/* The same in a few steps, in which halves are added. */
static inline REAL FN(sum_across)(FN(vec) v)
{
#if FBP_VECTOR_BYTES / REAL_BYTES >= 16
    v += __builtin_shufflevector(v, v, EACH_LANE(ACROSS, 8));
#endif
#if FBP_VECTOR_BYTES / REAL_BYTES >= 8
    v += __builtin_shufflevector(v, v, EACH_LANE(ACROSS, 4));
#endif
#if FBP_VECTOR_BYTES / REAL_BYTES >= 4
    v += __builtin_shufflevector(v, v, EACH_LANE(ACROSS, 2));
#endif
    v += __builtin_shufflevector(v, v, EACH_LANE(ACROSS, 1));
    return v[0];
}
