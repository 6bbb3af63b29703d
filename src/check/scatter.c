/* scatter.c: how far rounding moves what the tape says. Each op's result is changed by some units in the last place, up
 * to chance, and so are the inputs (Monte Carlo arithmetic): what a gradient moves by then is its own error. */
#include "check/check_internal.h"

gr_status gr_check_copies(gr_tensor *const x[], int n, gr_dtype dtype, gr_tensor *copy[])
{
    for (int i = 0; i < n; i++) {
        copy[i] = x[i]->dtype == GR_I32 ? gr_copy(x[i]) : gr_copy_as(dtype, x[i]);
        if (!copy[i]) return gr_last_status();
        copy[i]->requires_grad = x[i]->requires_grad;
    }
    return GR_OK;
}

gr_status gr_pass_vjp(gr_probe *p, gr_tensor *y, const gr_pass *m, gr_tensor *const x[], double *gradient)
{
    gr_rng rng = gr_rng_seed(p->seed), other = gr_rng_seed(p->seed + 5u);
    gr_tensor *g = gr_result(p->t, gr_type_of(y), y->rank, y->shape);
    for (int64_t k = 0; g && k < g->size; k++) {
        const double random = 0.5 + gr_rng_uniform(&rng), one = p->output < 0 ? random : k == p->output;
        const double w = y->size == 1 ? 1.0 : one, u = 4.0 * gr_rng_uniform(&other) - 2.0;
        gr_set_element(g, k, (m->a * w + m->b * u) * (1.0 + m->nudge * gr_rng_uniform(&other)));
    }
    return g ? gr_probe_vjp(p, y, g, x, GR_RETAIN, gradient) : gr_last_status();
}

gr_status gr_pass_run(gr_probe *p, gr_pass *m, double *gradient)
{
    uint64_t of_vjp = 0;
    gr_tensor *copy[GR_CHECK_MAX_INPUTS] = {NULL}, *y = NULL, *const *x = m->in_f32 ? copy : p->of.x;
    gr_status status = m->in_f32 ? gr_check_copies(p->of.x, p->of.n, GR_F32, copy) : GR_OK;
    m->branches = 0;
    uint64_t *watched_before = gr_tape_watch(p->t, &m->branches);
    p->t->rounding = m->rounding;
    if (!status && !(y = gr_probe_run_at(p, x))) status = gr_last_status();
    if (y) gr_fold_reached(y, &m->branches);
    gr_tape_watch(p->t, &of_vjp);
    if (y) status = gr_pass_vjp(p, y, m, x, gradient);
    gr_tape_watch(p->t, watched_before);
    p->t->rounding = 0;
    gr_tape_reset(p->t);
    for (int i = 0; i < p->of.n; i++) gr_tensor_free(copy[i]);
    return status;
}

gr_status gr_pass_scatter(gr_probe *p, gr_pass m, double part, int times, double *v, double *moved, double *scatter)
{
    if (gr_pass_run(p, &m, v)) return gr_last_status();
    for (int i = 0; i < times; i++) {
        m.nudge = part * i;
        m.rounding = 0x9e3779b97f4a7c15u * (1 + (uint64_t)i);
        gr_probe_move(p, part, 99u + (unsigned)i);
        const gr_status status = gr_pass_run(p, &m, moved);
        gr_probe_restore(p);
        if (status == GR_ERR_MEMORY) return status;
        for (int64_t k = 0; k < p->n_elements && !status; k++) /* else f ends there */
            if (isfinite(moved[k])) scatter[k] = fmax(scatter[k], fabs(moved[k] - v[k]));
    }
    return GR_OK;
}
