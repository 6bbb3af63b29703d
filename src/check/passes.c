/* passes.c: what needs no differences: two passes that must agree with one another. */
#include "check/check_internal.h"

/* ---- The same bits again ------------------------------------------------------------------------------------ */

/* Notes the first element by which two gradients differ, of the first run and of the one that repeated it. Before the
 * second f runs at another point, too: a VJP has no business with the last call. */
static gr_status compare_backward_runs(gr_checker *c)
{
    gr_probe *p = &c->probe;
    const double *a = c->gradient, *b = c->other;
    gr_tensor *y = p->y;
    gr_probe_move(p, 0.125, 31u);
    p->evaluations++;
    const bool ran = gr_subject_call(&p->of, p->t, p->of.x) || gr_last_status() != GR_ERR_MEMORY;
    gr_probe_restore(p);
    if (!ran || gr_probe_vjp(p, y, gr_probe_cotangent(p, y), p->of.x, 0, c->other)) return gr_last_status();
    for (int64_t k = 0; k < p->n_elements; k++) {
        if (memcmp(&a[k], &b[k], sizeof *a) == 0) continue;
        gr_check_note_pair(c, k, GR_CHECK_NONDETERMINISTIC, a[k], b[k]);
        break;
    }
    return GR_OK;
}

gr_status gr_check_repeats(gr_checker *c)
{
    bool same;
    if (gr_probe_repeats(&c->probe, &same)) return gr_last_status();
    if (same) return compare_backward_runs(c);
    gr_check_element e = {.input = -1, .index = -1, .output = -1, .node = -1, .place = "the forward pass"};
    e.verdict = GR_CHECK_NONDETERMINISTIC;
    gr_check_note(c, &e);
    return GR_OK;
}

/* ---- Linear in g ----------------------------------------------------------------------------------------------- */

/* The first element of a mixture's VJP v that is not the mixture of the VJPs w and u, to 1e-10 of the input's largest
 * and to what rounding may have added; -1 without one. */
static int64_t first_wrong(const gr_probe *p, gr_pass m, const double *v, const double *w, const double *u,
                           const double *scatter)
{
    const double of_f = 0x1p-46 * (fabs(m.a) + fabs(m.b)) * fabs(gr_probe_value(p, &p->base));
    for (int i = 0; i < p->of.n; i++) {
        double allowed = of_f / fmax(p->typical[i], 0x1p-1022);
        for (int64_t k = p->start[i]; k < p->start[i + 1]; k++) {
            const double size = fabs(m.a * w[k]) + fabs(m.b * u[k]);
            if (isfinite(size)) allowed = fmax(allowed, fmax(1e-10 * size, 16.0 * scatter[k]));
        }
        for (int64_t k = p->start[i]; k < p->start[i + 1]; k++) {
            const double expected = m.a * w[k] + m.b * u[k];
            if (isfinite(expected) && !(fabs(v[k] - expected) <= allowed)) return k;
        }
    }
    return -1;
}

/* Notes the first wrong element of a mixture's VJP. */
static gr_status compare_mixture(gr_checker *c, gr_pass m, const double *v, const double *u, double *room)
{
    gr_probe *p = &c->probe;
    double *w = c->gradient, *scatter = room, *anew = room + p->n_elements;
    memset(scatter, 0, (size_t)p->n_elements * sizeof *scatter);
    if (first_wrong(p, m, v, w, u, scatter) < 0) return GR_OK;
    const gr_pass all[] = {m, {.a = m.a}, {.b = m.b}};
    for (int i = 0; i < GR_COUNT(all); i++)
        if (gr_pass_scatter(p, all[i], 0x1p-50, 4, anew, c->other, scatter)) return gr_last_status();
    const int64_t k = first_wrong(p, m, v, w, u, scatter);
    if (k < 0) return GR_OK;
    const double expected = m.a * w[k] + m.b * u[k];
    c->nonlinear = true;
    gr_check_note_pair(c, k, GR_CHECK_FAIL, v[k], expected);
    return GR_OK;
}

gr_status gr_check_linear(gr_checker *c)
{
    static const gr_pass others = {.b = 1.0}, mixtures[] = {{.a = -1024.0}, {.a = 0.0}, {.a = 1.0, .b = 1.0}};
    gr_probe *p = &c->probe;
    gr_tensor *y = gr_probe_run(p);
    if (!y || !y->node) return y ? GR_OK : gr_last_status();
    double *u = gr_probe_room(p, 3 + GR_COUNT(mixtures)), *v = u ? u + p->n_elements : NULL;
    gr_status status = u ? gr_pass_vjp(p, y, &others, p->of.x, u) : gr_last_status();
    for (int i = 0; i < GR_COUNT(mixtures) && !status; i++)
        status = gr_pass_vjp(p, y, &mixtures[i], p->of.x, v + i * p->n_elements);
    for (int i = 0; i < GR_COUNT(mixtures) && !status && !c->nonlinear; i++)
        status = compare_mixture(c, mixtures[i], v + i * p->n_elements, u, v + GR_COUNT(mixtures) * p->n_elements);
    gr_release(u);
    return status;
}

/* ---- Twice is twice ----------------------------------------------------------------------------------------- */

/* A leaf of the tape, and the gradient that it had accumulated before. */
typedef struct stash {
    gr_tensor *leaf, *grad;
    bool has_grad;
} stash;

/* Puts the gradient of a leaf aside, as often as it is met: all but the first are those of none. */
static void put_aside(stash *s, gr_tensor *x)
{
    *s = (stash){x, x->grad, x->has_grad};
    x->grad = NULL;
    x->has_grad = false;
}

static void put_back(const stash *s)
{
    gr_destroy(s->leaf->grad);
    s->leaf->grad = s->grad;
    s->leaf->has_grad = s->has_grad;
}

/* What two passes have accumulated in the inputs, into c->other. */
static gr_status backward_twice(gr_checker *c, gr_tensor *y)
{
    gr_probe *p = &c->probe;
    gr_tensor *g = gr_probe_cotangent(p, y);
    if (y->size != 1 && !g) return gr_last_status();
    p->backwards += 2;
    for (int i = 0; i < 2; i++)
        if (g ? gr_backward_from(p->t, y, g, GR_RETAIN) : gr_backward(p->t, y, GR_RETAIN)) return gr_last_status();
    memset(c->other, 0, (size_t)p->n_elements * sizeof *c->other);
    for (int i = 0; i < p->of.n; i++)
        if (p->of.x[i]->requires_grad && p->of.x[i]->has_grad)
            memcpy(c->other + p->start[i], p->of.x[i]->grad->data, gr_bytes(p->of.x[i]));
    return GR_OK;
}

gr_status gr_check_accumulation(gr_checker *c)
{
    gr_probe *p = &c->probe;
    gr_tensor *y = gr_probe_run(p);
    if (!y || !y->node) return y ? GR_OK : gr_last_status();
    int64_t edges = 1, leaves = 0;
    for (const gr_tape_node *node = p->t->first; node; node = node->next) edges += node->call.n_in;
    stash *s = gr_allocate((size_t)edges * sizeof *s);
    if (!s) return gr_last_status();
    for (const gr_tape_node *node = p->t->first; node; node = node->next)
        for (int i = 0; i < node->call.n_in; i++)
            if (!node->call.in[i]->node && node->call.in[i]->requires_grad) put_aside(&s[leaves++], node->call.in[i]);
    gr_status status = backward_twice(c, y);
    while (leaves) put_back(&s[--leaves]);
    for (int64_t k = 0; k < p->n_elements && !status; k++) {
        const double expected = 2.0 * c->gradient[k], twice = c->other[k];
        gr_check_note_pair(c, k, twice == expected ? GR_CHECK_PASS : GR_CHECK_FAIL, twice, expected);
    }
    gr_release(s);
    return status;
}

/* ---- F32 against F64 ---------------------------------------------------------------------------------------- */

/* To numbers that both can hold. */
static void round_inputs(const gr_probe *p)
{
    for (int i = 0; i < p->of.n; i++)
        for (int64_t k = 0; p->of.x[i]->dtype == GR_F64 && k < p->of.x[i]->size; k++)
            gr_set_element(p->of.x[i], k, (double)(float)gr_element(p->of.x[i], k));
}

gr_status gr_check_f32(gr_checker *c)
{
    gr_pass in_f64 = {.a = 1.0}, in_f32 = {.a = 1.0, .in_f32 = true};
    gr_probe *p = &c->probe;
    double *f32 = c->gradient, *f64 = c->other, *scatter = c->scatter = gr_probe_room(p, 1);
    if (!scatter) return gr_last_status();
    round_inputs(p);
    gr_status status = gr_pass_run(p, &in_f32, f32);
    if (!status) status = gr_pass_run(p, &in_f64, f64);
    gr_probe_restore(p);
    memset(scatter, 0, (size_t)p->n_elements * sizeof *scatter);
    if (status || gr_pass_scatter(p, in_f32, 0x1p-22, 8, f32, c->expected, scatter)) return gr_last_status();
    /* Rounding may put a number on the other side of a kink: then the two are gradients of different branches. */
    const gr_check_verdict otherwise = in_f32.branches == in_f64.branches ? GR_CHECK_FAIL : GR_CHECK_UNRESOLVED;
    for (int i = 0; i < p->of.n; i++) {
        double largest = 0.0;
        for (int64_t k = p->start[i]; k < p->start[i + 1]; k++) largest = fmax(largest, fabs(f64[k]));
        for (int64_t k = p->start[i]; k < p->start[i + 1]; k++) {
            const double size = fmax(fabs(f32[k]), fabs(f64[k])), rounding = 8.0 * scatter[k];
            const double allowed = c->options.rtol * size + fmin(rounding, c->options.rtol * largest) + c->options.atol;
            const bool close = fabs(f32[k] - f64[k]) <= allowed, both_end = isinf(f32[k]) && f32[k] == f64[k];
            gr_check_note_pair(c, k,
                               close      ? GR_CHECK_PASS
                               : both_end ? GR_CHECK_UNRESOLVED
                                          : otherwise,
                               f32[k], f64[k]);
        }
    }
    return GR_OK;
}
