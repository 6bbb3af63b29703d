/* second_order.c: the gradient of f as a function that is checked like any other; and whether the gradient that can be
 * differentiated is the one that an op gives without. */
#include "check_internal.h"

static gr_tensor *weighted_sum(gr_tape *t, gr_tensor *x, gr_rng *rng)
{
    return gr_sum(t, gr_mul(t, x, gr_random_weights(t, x, rng)), GR_ALL_AXES, false);
}

/* sum over the inputs of sum w_i df/dx_i + 1/8 sum x_i, with random w. The last part makes a second derivative of 0
 * something to compare as well. */
gr_tensor *gr_second_run(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const gr_second *s = context;
    gr_rng rng = gr_rng_seed(s->seed + 1u);
    gr_tensor *y = s->f(t, x, n, s->context), *wanted[GR_CHECK_MAX_INPUTS], *d[GR_CHECK_MAX_INPUTS];
    if (!y || !gr_requires_grad(y)) return y;
    int m = 0;
    for (int i = 0; i < n; i++)
        if (x[i]->requires_grad) wanted[m++] = x[i];
    if (m == 0) return y;
    gr_tensor *g = y->size == 1 ? NULL : gr_random_weights(t, y, &rng), *sum = NULL;
    if (gr_vjp(t, y, g, wanted, m, d, GR_CREATE_GRAPH)) return NULL;
    for (int i = 0; i < m; i++) {
        gr_tensor *part = weighted_sum(t, d[i], &rng);
        part = gr_add(t, part, gr_scale(t, gr_sum(t, wanted[i], GR_ALL_AXES, false), 0.125));
        sum = sum ? gr_add(t, sum, part) : part;
    }
    return sum;
}

/* The gradient of s->f, as it is made when it is to be differentiated again, or not. */
static gr_status first_gradient(gr_probe *p, const gr_second *s, int flags, double *gradient)
{
    gr_tape_reset(p->t);
    gr_tensor *y = s->f(p->t, p->of.x, p->of.n, s->context);
    return y ? gr_probe_vjp(p, y, gr_probe_cotangent(p, y), p->of.x, flags, gradient) : gr_last_status();
}

/* An op may have a shorter way to its first derivative than the one that can be differentiated: notes where the two
 * differ. */
gr_status gr_check_graph_agrees(gr_checker *c, const gr_second *s)
{
    gr_probe *p = &c->probe;
    const int64_t n = p->start[p->of.n];
    double *plain = gr_probe_room(p, 2), largest = 1e-3;
    if (!plain) return gr_last_status();
    double *graph = plain + n;
    gr_status status = first_gradient(p, s, 0, plain);
    if (!status) status = first_gradient(p, s, GR_CREATE_GRAPH, graph);
    for (int64_t k = 0; k < n && !status; k++) largest = fmax(largest, fabs(plain[k]));
    for (int64_t k = 0; k < n && !status; k++) {
        const double scale = fmax(fabs(plain[k]), fabs(graph[k]));
        if (isnan(plain[k]) && isnan(graph[k])) continue;
        const double allowed = c->options.rtol * scale + 1e-12 * largest;
        if (!(fabs(plain[k] - graph[k]) <= allowed)) gr_check_note_pair(c, k, GR_CHECK_FAIL, graph[k], plain[k], scale);
    }
    gr_release(plain);
    return status;
}
