/* checks.c: W6, the gradient checker itself: a convolution, a sigmoid and BCE in F64. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

static gr_tensor *network(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n, (void)context;
    gr_tensor *z = gr_conv2d(t, x[0], x[1], x[2], &(gr_conv2d_options){.padding = {1, 1}});
    return gr_bce(t, gr_sigmoid(t, z), x[3], NULL);
}

static void make_check(task *s)
{
    s->p[0] = param(s, "x", gr_normal(GR_F64, GR_SHAPE(1, 2, 8, 8), 0, 1, &s->rng));
    s->p[1] = param(s, "w", gr_normal(GR_F64, GR_SHAPE(3, 2, 3, 3), 0, 1, &s->rng));
    s->p[2] = param(s, "b", gr_normal(GR_F64, GR_SHAPE(3), 0, 1, &s->rng));
    s->y = s->p[3] = mask(s, gr_zeros(GR_F64, GR_SHAPE(1, 3, 8, 8)));
}

static void compare(task *s)
{
    const gr_check_options options = {.mode = (gr_check_mode)s->w->variant, .directions = 1};
    gr_check_report report;
    check(gr_check_gradients(network, NULL, s->p, 4, &options, &report));
    if (report.verdict == GR_CHECK_PASS) return;
    gr_check_fprint(stderr, &report);
    exit(1);
}

const workload checks[] = {
    {"W6-full", make_check, compare, GR_CHECK_FULL, {0}},
    {"W6-fast", make_check, compare, GR_CHECK_DIRECTIONAL, {0}},
    {0},
};
