/* nodes.c: a network taken apart, each op checked by itself at the inputs that it had, so that the first broken one has
 * a name. */
#include "check/check_internal.h"

/* The one op of a node as a function. */
static gr_tensor *run_node(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const gr_node *node = context;
    return gr_apply(t, node->op, x, n, node->attr);
}

/* Samples of each input, or all elements at once along directions. */
static gr_status check_copies(gr_tape_node *node, gr_tensor *const in[], const gr_check_options *o,
                              gr_check_report *report, bool directions)
{
    gr_checker c = {.report = NULL};
    gr_second second;
    const gr_subject of = {run_node, &node->call, in, node->call.n_in, NULL};
    const gr_check_verdict before = report->verdict;
    gr_status status = gr_second_open(&second, &of, o);
    if (!status) status = gr_checker_open(&c, &second.checked, o, GR_FEW_POINTS, report);
    if (!status) status = gr_check_differentiate(&c);
    c.node = node->id;
    c.op = node->call.op->name;
    if (!status && !directions) status = gr_check_graph_agrees(&c, &second);
    if (!status) status = directions ? gr_check_directions(&c) : gr_check_sampled(&c);
    if (!status && !directions) status = gr_check_beyond(&c);
    if (!status) gr_check_settle(&c);
    report->verdict = gr_check_heavier(before, report->verdict);
    status = gr_checker_close(&c, status);
    gr_second_close(&second);
    return status == GR_ERR_DTYPE ? GR_OK : status; /* an op of F32, whatever it is given: nothing to compare */
}

/* Inputs with a zero VJP are held fixed: crossing a step would change the others' slopes. Returns whether one of the
 * others has more elements than samples. */
static bool hold_steps(const gr_tape_node *node, gr_tensor *const in[], int samples)
{
    bool more = false;
    for (int i = 0; i < node->call.n_in; i++) {
        const gr_op *op = node->call.op;
        if (op->n_in != GR_VARIADIC && gr_has_vjp(op, i) && op->vjp[i] == gr_vjp_zero) in[i]->requires_grad = false;
        more |= in[i]->requires_grad && in[i]->size > samples;
    }
    return more;
}

static gr_status check_node(gr_tape_node *node, const gr_check_options *o, gr_check_report *report)
{
    gr_tensor *in[GR_CHECK_MAX_INPUTS] = {NULL};
    const int n = node->call.n_in;
    const int64_t failed = report->failed;
    if (n > GR_CHECK_MAX_INPUTS) return GR_OK;
    for (int i = 0; i < n; i++)
        if (gr_is_gone(node->call.in[i])) return GR_OK; /* f has run its own backward over it */
    gr_status status = gr_check_copies(node->call.in, n, GR_F64, in);
    if (!status) status = check_copies(node, in, o, report, false);
    if (!status && hold_steps(node, in, o->samples)) status = check_copies(node, in, o, report, true);
    for (int i = 0; i < n; i++) gr_tensor_free(in[i]);
    if (report->failed > failed && report->culprit < 0) {
        report->culprit = node->id;
        report->culprit_op = node->call.op->name;
    }
    return status;
}

gr_status gr_check_nodes(const gr_subject *of, const gr_check_options *o, gr_check_report *report)
{
    gr_checker c;
    gr_check_options each = *o;
    gr_status status = gr_checker_open(&c, of, o, 1, report);
    if (!status && !gr_probe_run(&c.probe)) status = gr_last_status();
    gr_tape_node *const first = status ? NULL : c.probe.t->first;
    for (gr_tape_node *node = first; node; node = node->next) c.total++;
    each.progress = NULL;
    for (gr_tape_node *node = first; node && !status; node = node->next) {
        status = check_node(node, &each, report);
        if (!status) status = gr_check_progress(&c);
    }
    return gr_checker_close(&c, status);
}
