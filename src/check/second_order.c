/* second_order.c: the gradient of f as a function that is checked like any other; and whether the gradient that can be
 * differentiated is the one that an op gives without. */
#include "check/check_internal.h"

/* sum over the inputs of sum w_i df/dx_i + 1/8 sum x_i, with random w. The last part makes a second derivative of 0
 * something to compare as well. */
static gr_tensor *run_gradient(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const gr_second *s = context;
    gr_rng rng = gr_rng_seed(s->seed + 2u);
    gr_tensor *y = s->of.f(t, x, n - 1, s->of.context), *wanted[GR_CHECK_MAX_INPUTS], *d[GR_CHECK_MAX_INPUTS];
    if (!y || !gr_requires_grad(y)) return y;
    int m = 0;
    for (int i = 0; i < n - 1; i++)
        if (x[i]->requires_grad) wanted[m++] = x[i];
    if (m == 0) return y;
    gr_tensor *sum = NULL;
    if (gr_vjp(t, y, x[n - 1], wanted, m, d, GR_CREATE_GRAPH)) return NULL;
    for (int i = 0; i < m; i++) {
        gr_tensor *part = gr_sum(t, gr_mul(t, d[i], gr_random_weights(t, d[i], &rng)), GR_ALL_AXES, false);
        part = gr_add(t, part, gr_scale(t, gr_sum(t, wanted[i], GR_ALL_AXES, false), 0.125));
        sum = sum ? gr_add(t, sum, part) : part;
    }
    return sum;
}

/* The cotangent is an input as well, so a VJP is differentiated by its g. */
gr_status gr_second_open(gr_second *s, const gr_subject *of, const gr_check_options *o)
{
    *s = (gr_second){.of = *of, .seed = o->seed, .checked = *of};
    if (o->order < 2) return GR_OK;
    if (of->n >= GR_CHECK_MAX_INPUTS)
        return gr_fail(GR_ERR_OPTION, "check_gradients: order 2 is for up to %d inputs, not %d",
                       GR_CHECK_MAX_INPUTS - 1, of->n);
    gr_tape *t = gr_tape_new();
    const gr_tensor *y = t ? gr_subject_run(of, t, of->x) : NULL;
    gr_rng rng = gr_rng_seed(s->seed + 1u);
    if (y) s->g = gr_uniform(GR_F64, y->rank, y->shape, 0.5, 1.5, &rng);
    gr_tape_free(t);
    if (!s->g) return gr_last_status();
    s->g->requires_grad = true;
    memcpy(s->x, of->x, (size_t)of->n * sizeof *s->x);
    s->x[of->n] = s->g;
    s->checked = (gr_subject){run_gradient, s, s->x, of->n + 1, NULL};
    return gr_set_name(s->g, "g");
}

void gr_second_close(gr_second *s) { gr_tensor_free(s->g); }

/* Notes where two gradients differ. */
static void compare_gradients(gr_checker *c, const double *plain, const double *graph)
{
    double largest = 1e-3;
    const int64_t n = c->probe.n_elements;
    for (int64_t k = 0; k < n; k++) largest = fmax(largest, fabs(plain[k]));
    for (int64_t k = 0; k < n; k++) {
        const double allowed = c->options.rtol * fmax(fabs(plain[k]), fabs(graph[k])) + 1e-12 * largest;
        if (fabs(plain[k] - graph[k]) <= allowed || (isnan(plain[k]) && isnan(graph[k]))) continue;
        gr_check_note_pair(c, k, GR_CHECK_FAIL, graph[k], plain[k]);
    }
}

/* An op may have a shorter way to its first derivative than the one that can be differentiated: the two must agree. */
gr_status gr_check_graph_agrees(gr_checker *c, const gr_second *s)
{
    gr_probe *p = &c->probe;
    if (!s->g) return GR_OK;
    double *plain = gr_probe_room(p, 1), *graph = c->other;
    gr_status status = plain ? GR_OK : gr_last_status();
    for (int recorded = 0; recorded < 2 && !status; recorded++) {
        const int flags = recorded ? GR_CREATE_GRAPH : 0;
        gr_tensor *y = gr_subject_run(&s->of, p->t, s->of.x);
        if (!y) status = gr_last_status();
        else status = gr_probe_vjp(p, y, gr_probe_cotangent(p, y), p->of.x, flags, recorded ? graph : plain);
    }
    if (!status) compare_gradients(c, plain, graph);
    gr_release(plain);
    return status;
}
