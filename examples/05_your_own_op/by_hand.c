/* by_hand.c: a small network in plain C, without tensors and without a tape. Its backpropagation is written by hand,
 * with one factor taken at the wrong place. All that the checker asks for is the function, and what is said to be its
 * gradient. */
#include "by_hand.h"

#include <gradus/check_plain.h>

/* p = w2 . tanh(W1 x + b1) + b2, and the loss is the mean of (p - y)^2. All weights lie in one row: */
enum { UNITS = 3, SAMPLES = 16, W1 = 0, B1 = 2 * UNITS, W2 = B1 + UNITS, B2 = W2 + UNITS, WEIGHTS = B2 + 1 };

static const char *const weight_names[WEIGHTS] = {"W1[0,0]", "W1[0,1]", "W1[1,0]", "W1[1,1]", "W1[2,0]",
                                                  "W1[2,1]", "b1[0]",   "b1[1]",   "b1[2]",   "w2[0]",
                                                  "w2[1]",   "w2[2]",   "b2"};

typedef struct hand_made {
    double x[SAMPLES][2], y[SAMPLES];
    bool slip;
} hand_made;

/* z = W1 x + b1, a = tanh z; returns p. */
static double forward(const double *w, const double x[2], double z[UNITS], double a[UNITS])
{
    double p = w[B2];
    for (int j = 0; j < UNITS; j++) {
        z[j] = w[W1 + 2 * j] * x[0] + w[W1 + 2 * j + 1] * x[1] + w[B1 + j];
        a[j] = tanh(z[j]);
        p += w[W2 + j] * a[j];
    }
    return p;
}

static double loss_by_hand(const double *w, void *context)
{
    const hand_made *m = context;
    double z[UNITS], a[UNITS], sum = 0.0;
    for (int i = 0; i < SAMPLES; i++) {
        const double d = forward(w, m->x[i], z, a) - m->y[i];
        sum += d * d / SAMPLES;
    }
    return sum;
}

/* tanh' = 1 - tanh^2, so at z it is 1 - a^2. The slip takes it of z itself. */
static int backward_by_hand(const double *w, double *g, void *context)
{
    const hand_made *m = context;
    double z[UNITS], a[UNITS];
    for (int k = 0; k < WEIGHTS; k++) g[k] = 0.0;
    for (int i = 0; i < SAMPLES; i++) {
        const double dp = 2.0 * (forward(w, m->x[i], z, a) - m->y[i]) / SAMPLES;
        g[B2] += dp;
        for (int j = 0; j < UNITS; j++) {
            const double slope = m->slip ? 1.0 - z[j] * z[j] : 1.0 - a[j] * a[j], dz = dp * w[W2 + j] * slope;
            g[W2 + j] += dp * a[j];
            g[B1 + j] += dz;
            g[W1 + 2 * j] += dz * m->x[i][0];
            g[W1 + 2 * j + 1] += dz * m->x[i][1];
        }
    }
    return 0;
}

/* Every weight by itself; and in *order how the remainder |f(x+hv) - f(x) - h g.v| shrinks, as h^order. */
static gr_check_report check_by_hand(hand_made *m, const double w[WEIGHTS], double *order)
{
    const gr_plain problem = {
        .f = loss_by_hand, .gradient = backward_by_hand, .n = WEIGHTS, .names = weight_names, .context = m};
    gr_check_report r, taylor;
    check(gr_check_plain(&problem, w, NULL, &r));
    check(gr_check_plain(&problem, w, &(gr_check_options){.mode = GR_CHECK_TAYLOR}, &taylor));
    *order = taylor.order[1];
    return r;
}

gr_check_report check_hand_made(gr_rng *rng)
{
    hand_made m = {.slip = true};
    double w[WEIGHTS], order;
    for (int k = 0; k < WEIGHTS; k++) w[k] = 2.0 * gr_rng_uniform(rng) - 1.0;
    for (int i = 0; i < SAMPLES; i++) {
        for (int k = 0; k < 2; k++) m.x[i][k] = 4.0 * gr_rng_uniform(rng) - 2.0;
        m.y[i] = sin(m.x[i][0]) + 0.5 * m.x[i][1];
    }
    printf("\nBackpropagation by hand, in plain C, with tanh' taken at the wrong place:\n\n");
    const gr_check_report caught = check_by_hand(&m, w, &order);
    gr_check_fprint(stdout, &caught);
    printf("|f(x+hv) - f(x) - h g.v| shrinks as h^%.2f: that is no gradient.\n", order);
    if (caught.verdict != GR_CHECK_FAIL || caught.failed != W2) fail("expected W1 and b1 to be wrong, and no others");
    m.slip = false;
    const gr_check_report mended = check_by_hand(&m, w, &order);
    printf("\nW1 and b1, before the tanh, are wrong, w2 and b2 behind it are right. Mended: %s, and it shrinks as "
           "h^%.2f.\n",
           gr_check_verdict_name(mended.verdict), order);
    if (mended.verdict != GR_CHECK_PASS) fail("expected the gradient by hand to be right");
    return caught;
}
