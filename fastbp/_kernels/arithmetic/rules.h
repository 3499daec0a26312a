/* What a step makes of a rule's numbers: by `at` of its row in operations.h. */
#ifndef FASTBP_RULES_H
#define FASTBP_RULES_H
#include <math.h>

#include "../plan.h"

/* NAdam's rates at step k: of the mean, and in *share of the gradient.  The momenta are
 * mu_i = beta_1 (1 - 0.96^(i momentum_decay) / 2), of which it takes the product of the first k. */
static double nadam_rates(const fbp_rule *rule, double *share)
{
    const double b1 = rule->beta_1, k = (double)rule->step, fade = pow(0.96, rule->momentum_decay);
    const double now = b1 * (1 - 0.5 * pow(fade, k)), next = b1 * (1 - 0.5 * pow(fade, k + 1));
    double product = 1, faded = 1;
    for (int64_t i = 0; i < rule->step && product > 1e-17; i++) { /* below, 1 less it is 1 */
        faded *= fade;
        product *= b1 * (1 - 0.5 * faded);
    }
    *share = rule->lr * (1 - now) / (1 - product);
    return rule->lr * next / (1 - product * next);
}

/* RAdam's factor of the rate at step k; 0 as long as the variance of 1 / sqrt(v) is too large. */
static double radam_rectification(double b2, double k)
{
    const double end = 2 / (1 - b2) - 1, fade = 1 - pow(b2, k);
    const double length = end - 2 * k * (1 - fade) / fade; /* of the average */
    if (!(length > 5))
        return 0;
    return sqrt((length - 4) * (length - 2) * end / ((end - 4) * (end - 2) * length) * fade);
}

/* The rule with what its step makes of it; in `room`, where that is anything. */
static const fbp_rule *at_step(const fbp_rule *rule, fbp_rule *room)
{
    const double lr = rule->lr, b1 = rule->beta_1, b2 = rule->beta_2, k = (double)rule->step;
    double rate = 0, share = 0, correction = 0;
    switch (rule->kind) {
#define AT(KIND, name, states, numbers, at, ...)                                                 \
    case FBP_##KIND: at; break;
        FBP_RULES(AT)
#undef AT
    default: return rule;
    }
    *room = *rule;
    room->rate = rate;
    room->share = share;
    room->correction = correction;
    return room;
}

#endif
