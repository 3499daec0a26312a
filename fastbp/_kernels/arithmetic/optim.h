/* The loops of the update rules, in place over n elements: those of operations.h, and functions that
 * choose among them for a whole array. */
#include "rules.h"

/* d = grad + decay param, or decoupled: d = grad and first param -= lr decay param. */
#define DEFINE_UPDATE(KIND, name, states, numbers, at, update, ...)                              \
    static APART void FN(name##_update)(REAL *param, const REAL *grad, REAL *const *kept,        \
                                        const fbp_rule *rule, double decay_, idx n)              \
    {                                                                                            \
        const REAL lr = (REAL)rule->lr, momentum = (REAL)rule->momentum, eps = (REAL)rule->eps;  \
        const REAL b1 = (REAL)rule->beta_1, c1 = (REAL)(1 - rule->beta_1);                       \
        const REAL b2 = (REAL)rule->beta_2, c2 = (REAL)(1 - rule->beta_2);                       \
        const REAL decay = (REAL)(rule->decoupled ? 0 : decay_);                                 \
        const REAL keep = (REAL)(rule->decoupled ? 1 - rule->lr * decay_ : 1);                   \
        const REAL rate = (REAL)rule->rate, share = (REAL)rule->share;                           \
        const REAL correction = (REAL)rule->correction;                                          \
        REAL *state_0 = states > 0 ? kept[0] : NULL, *state_1 = states > 1 ? kept[1] : NULL;     \
        REAL *state_2 = states > 2 ? kept[2] : NULL;                                             \
        (void)lr, (void)momentum, (void)eps, (void)b1, (void)c1, (void)b2, (void)c2;             \
        (void)keep, (void)rate, (void)share, (void)correction;                                   \
        (void)state_0, (void)state_1, (void)state_2;                                             \
        ELEMENTWISE                                                                              \
        {                                                                                        \
            REAL p = param[i], s0 = states > 0 ? state_0[i] : 0;                                 \
            REAL s1 = states > 1 ? state_1[i] : 0, s2 = states > 2 ? state_2[i] : 0;             \
            const REAL d = grad[i] + decay * p;                                                  \
            update;                                                                              \
            param[i] = p;                                                                        \
            if (states > 0)                                                                      \
                state_0[i] = s0;                                                                 \
            if (states > 1)                                                                      \
                state_1[i] = s1;                                                                 \
            if (states > 2)                                                                      \
                state_2[i] = s2;                                                                 \
            (void)s0, (void)s1, (void)s2;                                                        \
        }                                                                                        \
    }
FBP_RULES(DEFINE_UPDATE)
#undef DEFINE_UPDATE

/* Of a rule as at_step has it. */
#define UPDATE(KIND, name, ...)                                                                  \
    case FBP_##KIND: FN(name##_update)(param, grad, kept, rule, decay, n); break;
static void FN(update_at)(REAL *param, const REAL *grad, REAL *const *kept, const fbp_rule *rule,
                          double decay, idx n)
{
    switch (rule->kind) {
        FBP_RULES(UPDATE)
    default: break;
    }
}
#undef UPDATE

static void FN(update)(REAL *param, const REAL *grad, REAL *const *kept, const fbp_rule *rule,
                       double decay, idx n)
{
    fbp_rule now;
    FN(update_at)(param, grad, kept, at_step(rule, &now), decay, n);
}
