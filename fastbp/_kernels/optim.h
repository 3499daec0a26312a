/* The loops of the update rules, in place over n elements: those of operations.h, and functions that
 * choose among them for a whole array. */

#ifndef FBP_OPTIM_ONCE
#define FBP_OPTIM_ONCE
/* The rule with what its step 1, 2, ... makes of it: rate = lr / (1 - beta_1^step) and
 * correction = 1 / sqrt(1 - beta_2^step).  In `room`, where that is anything. */
static const fbp_rule *at_step(const fbp_rule *rule, fbp_rule *room)
{
    if (rule->kind != FBP_ADAM)
        return rule;
    *room = *rule;
    room->rate = rule->lr / (1 - pow(rule->beta_1, (double)rule->step));
    room->correction = 1 / sqrt(1 - pow(rule->beta_2, (double)rule->step));
    return room;
}
#endif

/* d = grad + decay param, or decoupled: d = grad and first param -= lr decay param. */
#define DEFINE_UPDATE(KIND, name, states, update, ...)                                           \
    static APART void FN(name##_update)(REAL *param, const REAL *grad, REAL *state_0,            \
                                        REAL *state_1, const fbp_rule *rule, double decay_,      \
                                        idx n)                                                   \
    {                                                                                            \
        const REAL lr = (REAL)rule->lr, momentum = (REAL)rule->momentum, eps = (REAL)rule->eps;  \
        const REAL b1 = (REAL)rule->beta_1, c1 = (REAL)(1 - rule->beta_1);                       \
        const REAL b2 = (REAL)rule->beta_2, c2 = (REAL)(1 - rule->beta_2);                       \
        const REAL decay = (REAL)(rule->decoupled ? 0 : decay_);                                 \
        const REAL keep = (REAL)(rule->decoupled ? 1 - rule->lr * decay_ : 1);                   \
        const REAL rate = (REAL)rule->rate, correction = (REAL)rule->correction;                 \
        (void)lr, (void)momentum, (void)eps, (void)b1, (void)c1, (void)b2, (void)c2;             \
        (void)keep, (void)rate, (void)correction, (void)state_0, (void)state_1;                  \
        ELEMENTWISE                                                                              \
        {                                                                                        \
            REAL p = param[i];                                                                   \
            REAL s0 = states > 0 ? state_0[i] : 0, s1 = states > 1 ? state_1[i] : 0;             \
            const REAL d = grad[i] + decay * p;                                                  \
            update;                                                                              \
            param[i] = p;                                                                        \
            if (states > 0)                                                                      \
                state_0[i] = s0;                                                                 \
            if (states > 1)                                                                      \
                state_1[i] = s1;                                                                 \
        }                                                                                        \
    }
FBP_RULES(DEFINE_UPDATE)
#undef DEFINE_UPDATE

/* Of a rule as at_step has it. */
#define UPDATE(KIND, name, ...)                                                                  \
    case FBP_##KIND: FN(name##_update)(param, grad, state_0, state_1, rule, decay, n); break;
static void FN(update_at)(REAL *param, const REAL *grad, REAL *state_0, REAL *state_1,
                          const fbp_rule *rule, double decay, idx n)
{
    switch (rule->kind) {
        FBP_RULES(UPDATE)
    default: break;
    }
}
#undef UPDATE

static void FN(update)(REAL *param, const REAL *grad, REAL *state_0, REAL *state_1,
                       const fbp_rule *rule, double decay, idx n)
{
    fbp_rule now;
    FN(update_at)(param, grad, state_0, state_1, at_step(rule, &now), decay, n);
}
