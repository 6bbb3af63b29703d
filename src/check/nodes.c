/* nodes.c: a network taken apart, each op checked by itself at the inputs that it had, so that the first broken one has
 * a name; and the gradient of a gradient as a function to be checked like any other. */
#include "internal.h"

/* ---- Each op by itself -------------------------------------------------------------------------------------- */

static gr_tensor *run_node(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const gr_node *node = context;
    return gr_apply(t, node->op, x, n, node->attr);
}

/* A leaf with the value that an input of the node had; in F64, if it is no class index. */
static gr_tensor *copy_input(const gr_node *node, int i)
{
    const gr_tensor *x = node->in[i];
    gr_tensor *copy = x->dtype == GR_I32 ? gr_copy(x) : gr_copy_as(GR_F64, x);
    if (copy) copy->requires_grad = x->requires_grad;
    return copy;
}

/* How the verdicts on two ops make one. */
static gr_check_verdict heavier(gr_check_verdict a, gr_check_verdict b)
{
    static const int weight[GR_CHECK_N_VERDICTS] = {[GR_CHECK_KINK] = 1,
                                                    [GR_CHECK_PASS] = 2,
                                                    [GR_CHECK_UNRESOLVED] = 3,
                                                    [GR_CHECK_NONDETERMINISTIC] = 4,
                                                    [GR_CHECK_FAIL] = 5};
    return weight[a] >= weight[b] ? a : b;
}

/* Elements of each input, or all at once along directions. */
static gr_status check_copies(gr_tape_node *r, gr_tensor *const in[], const gr_check_options *o,
                              gr_check_report *report, bool directions)
{
    gr_checker c;
    gr_second second = {.f = run_node, .context = &r->call, .seed = o->seed};
    const bool twice = o->order == 2;
    const gr_check_verdict before = report->verdict;
    gr_status status = gr_checker_open(&c, twice ? gr_second_run : run_node, twice ? (void *)&second : &r->call, in,
                                       r->call.n_in, o, report);
    c.node = r->id;
    c.op = r->call.op->name;
    if (!status && twice && !directions) status = gr_check_graph_agrees(&c, &second);
    if (!status) status = directions ? gr_check_directions(&c) : gr_check_elements(&c, c.options.samples);
    if (!status) gr_check_settle(&c);
    report->verdict = heavier(before, report->verdict);
    status = gr_checker_close(&c, status);
    return status == GR_ERR_DTYPE ? GR_OK : status; /* an op of F32, whatever it is given: nothing to compare */
}

/* An input that moves the result in steps stays where it is while others move: behind a step their slopes are not those
 * here. Whether there is more to see than samples. */
static bool hold_steps(const gr_tape_node *r, gr_tensor *const in[], int samples)
{
    bool more = false;
    for (int i = 0; i < r->call.n_in; i++) {
        if (r->call.op->n_in != GR_VARIADIC && r->call.op->vjp[i] == gr_vjp_zero) in[i]->requires_grad = false;
        more |= in[i]->requires_grad && in[i]->size > samples;
    }
    return more;
}

static gr_status check_node(gr_tape_node *r, const gr_check_options *o, gr_check_report *report)
{
    gr_tensor *in[GR_CHECK_MAX_INPUTS];
    int n = 0;
    gr_status status = GR_OK;
    if (r->call.n_in > GR_CHECK_MAX_INPUTS) return GR_OK;
    for (int i = 0; i < r->call.n_in; i++)
        if (r->call.in[i]->values_gone || !r->call.in[i]->data) return GR_OK; /* f has run its own backward over it */
    while (n < r->call.n_in && (in[n] = copy_input(&r->call, n))) n++;
    if (n < r->call.n_in) status = gr_last_status();
    const int64_t failed = report->failed;
    if (!status) status = check_copies(r, in, o, report, false);
    if (!status && hold_steps(r, in, o->samples > 0 ? o->samples : GR_CHECK_SAMPLES))
        status = check_copies(r, in, o, report, true);
    for (int i = 0; i < n; i++) gr_tensor_free(in[i]);
    if (report->failed > failed && report->culprit < 0) {
        report->culprit = r->id;
        report->culprit_op = r->call.op->name;
    }
    return status;
}

gr_status gr_check_nodes(gr_check_function f, void *context, gr_tensor *const x[], int n,
                         const gr_check_options *options, gr_check_report *report)
{
    gr_probe p;
    const gr_check_options o = options ? *options : (gr_check_options){0};
    gr_status status = gr_probe_open(&p, "check_gradients", f, context, x, n, o.seed, 1);
    if (!status && !gr_probe_run(&p)) status = gr_last_status();
    report->verdict = GR_CHECK_VACUOUS;
    const gr_tape_node *last = status ? NULL : p.t->last;
    for (gr_tape_node *r = status ? NULL : p.t->first; r && !status; r = r->next) {
        status = check_node(r, &o, report);
        if (r == last) break;
    }
    report->evaluations += p.evaluations;
    gr_status restored = gr_probe_close(&p);
    return status ? status : restored;
}

/* ---- Second order ------------------------------------------------------------------------------------------- */

/* A constant of the tape with weights in [1/2, 3/2). */
static gr_tensor *weights_like(gr_tape *t, const gr_tensor *x, gr_rng *rng)
{
    gr_tensor *w = gr_result(t, GR_F64, x->rank, x->shape);
    for (int64_t i = 0; w && i < w->size; i++) ((double *)w->data)[i] = 0.5 + gr_rng_uniform(rng);
    return w;
}

static gr_tensor *weighted_sum(gr_tape *t, gr_tensor *x, gr_rng *rng)
{
    return gr_sum(t, gr_mul(t, x, weights_like(t, x, rng)), GR_ALL_AXES, false);
}

/* sum of w_i df/dx_i, and of x_i / 8: then a second derivative that is 0 is something to compare as well. */
gr_tensor *gr_second_run(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const gr_second *s = context;
    gr_rng rng = gr_rng_seed(s->seed + 1u);
    gr_tensor *y = s->f(t, x, n, s->context), *wanted[GR_CHECK_MAX_INPUTS], *d[GR_CHECK_MAX_INPUTS];
    if (!y || !gr_requires_grad(y)) return y;
    int m = 0;
    for (int i = 0; i < n; i++)
        if (gr_is_checked(x[i])) wanted[m++] = x[i];
    if (m == 0) return y;
    if (gr_vjp(t, y, y->size == 1 ? NULL : weights_like(t, y, &rng), wanted, m, d, GR_CREATE_GRAPH)) return NULL;
    gr_tensor *sum = NULL;
    for (int i = 0; i < m; i++) {
        gr_tensor *part = weighted_sum(t, d[i], &rng);
        part = gr_add(t, part, gr_scale(t, gr_sum(t, wanted[i], GR_ALL_AXES, false), 0.125));
        sum = sum ? gr_add(t, sum, part) : part;
    }
    return sum;
}
