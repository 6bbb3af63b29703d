/* passes.c: what needs no differences: two passes that must agree with one another. */
#include "check/check_internal.h"

/* ---- The same bits again ------------------------------------------------------------------------------------ */

/* The gradient once more, after f has run at another point, too: a VJP has no business with the last call. */
static gr_status gradient_after_another(gr_probe *p, double *gradient)
{
    gr_tensor *y = gr_probe_run(p);
    if (!y) return gr_last_status();
    gr_probe_move(p, 0.125, 31u);
    p->evaluations++;
    const bool ran = gr_subject_call(&p->of, p->t, p->of.x) || gr_last_status() != GR_ERR_MEMORY;
    gr_probe_restore(p);
    return ran ? gr_probe_vjp(p, y, gr_probe_cotangent(p, y), p->of.x, 0, gradient) : gr_last_status();
}

/* Notes the first element by which two backward runs differ. */
static gr_status compare_backward_runs(gr_checker *c)
{
    double *a = c->gradient, *b = c->other;
    if (gr_check_take_gradient(c) || gradient_after_another(&c->probe, b)) return gr_last_status();
    for (int64_t k = 0; k < c->probe.n_elements; k++) {
        if (memcmp(&a[k], &b[k], sizeof *a) == 0) continue;
        gr_check_note_pair(c, k, GR_CHECK_NONDETERMINISTIC, a[k], b[k], fmax(fabs(a[k]), fabs(b[k])));
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
    gr_check_note(c->report, &e);
    return GR_OK;
}

/* ---- Linear in g ----------------------------------------------------------------------------------------------- */

/* Cotangents of a result y: a w + b u, where w are the usual weights, and u is of both signs; each element times up to
 * 1 +- nudge. */
typedef struct mixture {
    double a, b, nudge;
} mixture;

static gr_status vjp_of(gr_probe *p, gr_tensor *y, mixture m, double *gradient)
{
    gr_rng rng = gr_rng_seed(p->seed), other = gr_rng_seed(p->seed + 5u);
    gr_tensor *g = gr_result(p->t, GR_F64, y->rank, y->shape);
    for (int64_t k = 0; g && k < g->size; k++) {
        const double w = y->size == 1 ? 1.0 : 0.5 + gr_rng_uniform(&rng), u = 4.0 * gr_rng_uniform(&other) - 2.0;
        ((double *)g->data)[k] = (m.a * w + m.b * u) * (1.0 + m.nudge * gr_rng_uniform(&other));
    }
    return g ? gr_probe_vjp(p, y, g, p->of.x, GR_RETAIN, gradient) : gr_last_status();
}

/* The first element of v that is farther from `expected` than `allowed`, which is for each input; -1 without one. */
static int64_t first_beyond(const gr_probe *p, const double *v, const double *expected, const double allowed[])
{
    for (int i = 0; i < p->of.n; i++)
        for (int64_t k = p->start[i]; k < p->start[i + 1]; k++)
            if (isfinite(expected[k]) && !(fabs(v[k] - expected[k]) <= allowed[i])) return k;
    return -1;
}

/* Adds to what is allowed how far the VJP moves when the inputs and the cotangent do, by no more than rounding. */
static gr_status allow_for_rounding(gr_probe *p, mixture m, double *first, double *moved, double allowed[])
{
    bool known = false;
    for (unsigned times = 0; times < 4; times++) {
        m.nudge = 0x1p-50 * times;
        gr_probe_move(p, 0x1p-50, 99u + times);
        gr_tensor *y = gr_probe_run(p);
        const gr_status status = y ? vjp_of(p, y, m, known ? moved : first) : gr_last_status();
        gr_probe_restore(p);
        if (status == GR_ERR_MEMORY) return status;
        if (status) continue; /* f ends there */
        for (int i = 0; i < p->of.n && known; i++)
            for (int64_t k = p->start[i]; k < p->start[i + 1]; k++)
                if (isfinite(first[k])) allowed[i] = fmax(allowed[i], 16.0 * fabs(moved[k] - first[k]));
        known = true;
    }
    return GR_OK;
}

/* Notes the first element of a mixture's VJP that is not the mixture of the VJPs w and u. */
static gr_status compare_mixture(gr_checker *c, gr_tensor *y, mixture m, const double *w, const double *u, double *room)
{
    gr_probe *p = &c->probe;
    double *v = room, *expected = v + p->n_elements, *first = expected + p->n_elements, *moved = first + p->n_elements;
    double allowed[GR_CHECK_MAX_INPUTS] = {0.0};
    if (vjp_of(p, y, m, v)) return gr_last_status();
    for (int i = 0; i < p->of.n; i++)
        for (int64_t k = p->start[i]; k < p->start[i + 1]; k++) {
            expected[k] = m.a * w[k] + m.b * u[k];
            const double size = fabs(m.a * w[k]) + fabs(m.b * u[k]);
            if (isfinite(size)) allowed[i] = fmax(allowed[i], 1e-10 * size);
        }
    if (first_beyond(p, v, expected, allowed) < 0) return GR_OK;
    if (allow_for_rounding(p, m, first, moved, allowed)) return gr_last_status();
    const int64_t k = first_beyond(p, v, expected, allowed);
    if (k < 0) return GR_OK;
    c->nonlinear = true;
    gr_check_note_pair(c, k, GR_CHECK_FAIL, v[k], expected[k], fmax(fabs(v[k]), fabs(expected[k])));
    return GR_OK;
}

gr_status gr_check_linear(gr_checker *c)
{
    static const mixture tried[] = {{.a = -1024.0}, {.a = 0.0}, {.a = 1.0, .b = 1.0}};
    gr_probe *p = &c->probe;
    gr_tensor *y = gr_check_take_gradient(c) ? NULL : gr_probe_run(p);
    if (!y) return gr_last_status();
    if (!y->node) return GR_OK;
    double *u = gr_probe_room(p, 5);
    gr_status status = u ? vjp_of(p, y, (mixture){.b = 1.0}, u) : gr_last_status();
    for (int i = 0; i < GR_COUNT(tried) && !status && !c->nonlinear; i++)
        status = compare_mixture(c, y, tried[i], c->gradient, u, u + p->n_elements);
    gr_release(u);
    return status;
}

/* ---- Twice is twice ----------------------------------------------------------------------------------------- */

/* A leaf of the tape, and the gradient that it had accumulated before. */
typedef struct stash {
    gr_tensor *leaf, *grad;
    bool has_grad;
} stash;

static int64_t put_aside(stash *s, int64_t n, gr_tensor *x)
{
    if (x->node || !x->requires_grad) return n;
    for (int64_t i = 0; i < n; i++)
        if (s[i].leaf == x) return n;
    s[n] = (stash){x, x->grad, x->has_grad};
    x->grad = NULL;
    x->has_grad = false;
    return n + 1;
}

static void put_back(const stash *s, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        gr_destroy(s[i].leaf->grad);
        s[i].leaf->grad = s[i].grad;
        s[i].leaf->has_grad = s[i].has_grad;
    }
}

static void read_gradients(const gr_probe *p, double *to)
{
    memset(to, 0, (size_t)p->n_elements * sizeof *to);
    for (int i = 0; i < p->of.n; i++)
        if (p->of.x[i]->requires_grad && p->of.x[i]->has_grad)
            memcpy(to + p->start[i], p->of.x[i]->grad->data, gr_bytes(p->of.x[i]));
}

static gr_status backward_twice(gr_checker *c, gr_tensor *y)
{
    gr_probe *p = &c->probe;
    gr_tensor *g = gr_probe_cotangent(p, y);
    if (y->size != 1 && !g) return gr_last_status();
    p->backwards += 2;
    for (int i = 0; i < 2; i++) {
        if (g ? gr_backward_from(p->t, y, g, GR_RETAIN) : gr_backward(p->t, y, GR_RETAIN)) return gr_last_status();
        read_gradients(p, i ? c->other : c->gradient);
    }
    return GR_OK;
}

gr_status gr_check_accumulation(gr_checker *c)
{
    gr_probe *p = &c->probe;
    gr_tensor *y = gr_probe_run(p);
    if (!y) return gr_last_status();
    if (!y->node) return GR_OK;
    int64_t edges = 1, leaves = 0;
    for (const gr_tape_node *node = p->t->first; node; node = node->next) edges += node->call.n_in;
    stash *s = gr_allocate((size_t)edges * sizeof *s);
    if (!s) return gr_last_status();
    for (const gr_tape_node *node = p->t->first; node; node = node->next)
        for (int i = 0; i < node->call.n_in; i++) leaves = put_aside(s, leaves, node->call.in[i]);
    gr_status status = backward_twice(c, y);
    for (int64_t k = 0; k < p->n_elements && !status; k++) {
        const double expected = 2.0 * c->gradient[k], twice = c->other[k];
        gr_check_note_pair(c, k, twice == expected ? GR_CHECK_PASS : GR_CHECK_FAIL, twice, expected,
                           fmax(fabs(twice), fabs(expected)));
    }
    put_back(s, leaves);
    gr_release(s);
    return status;
}

/* ---- F32 against F64 ---------------------------------------------------------------------------------------- */

/* Copies of all inputs, rounded to F32, in the given dtype: both can hold them. */
static gr_status rounded_inputs(const gr_probe *p, gr_dtype dtype, gr_tensor *copy[])
{
    for (int i = 0; i < p->of.n; i++) {
        const gr_tensor *x = p->of.x[i];
        gr_tensor *single = x->dtype == GR_I32 ? NULL : gr_copy_as(GR_F32, x);
        copy[i] = x->dtype == GR_I32 ? gr_copy(x) : gr_copy_as(dtype, single);
        gr_tensor_free(single);
        if (!copy[i]) return gr_last_status();
        copy[i]->requires_grad = x->requires_grad;
    }
    return GR_OK;
}

/* The gradient computed in F32 or F64 at the rounded inputs, and the branches that f took. */
static gr_status gradient_in(gr_probe *p, gr_dtype dtype, double *gradient, uint64_t *branches)
{
    gr_tensor *copy[GR_CHECK_MAX_INPUTS] = {NULL}, *y = NULL;
    gr_status status = rounded_inputs(p, dtype, copy);
    *branches = 0;
    uint64_t *watched_before = gr_tape_watch(p->t, branches);
    if (!status && !(y = gr_probe_run_at(p, copy))) status = gr_last_status();
    gr_tape_watch(p->t, watched_before);
    if (y) gr_fold_reached(y, branches);
    if (!status) {
        gr_tensor *g = y->size == 1 ? NULL : gr_cast(p->t, gr_probe_cotangent(p, y), gr_type_of(y));
        status = gr_probe_vjp(p, y, g, copy, 0, gradient);
    }
    gr_tape_reset(p->t);
    for (int i = 0; i < p->of.n; i++) gr_tensor_free(copy[i]);
    return status;
}

/* How far each element of the F32 gradient moves when the inputs do by a few of F32's units in the last place: what
 * rounding within f makes of a small element beside large ones. */
static gr_status scatter_in_f32(gr_checker *c, const double *f32, double *scatter)
{
    gr_probe *p = &c->probe;
    uint64_t branches;
    memset(scatter, 0, (size_t)p->n_elements * sizeof *scatter);
    for (unsigned times = 0; times < 8; times++) {
        gr_probe_move(p, 0x1p-22, 99u + times);
        const gr_status status = gradient_in(p, GR_F32, c->expected, &branches);
        gr_probe_restore(p);
        if (status) return status;
        for (int64_t k = 0; k < p->n_elements; k++) scatter[k] = fmax(scatter[k], fabs(c->expected[k] - f32[k]));
    }
    return GR_OK;
}

gr_status gr_check_f32(gr_checker *c)
{
    gr_probe *p = &c->probe;
    double *f32 = c->gradient, *f64 = c->other;
    uint64_t in_f32, in_f64;
    if (gradient_in(p, GR_F32, f32, &in_f32) || gradient_in(p, GR_F64, f64, &in_f64)) return gr_last_status();
    double *scatter = c->scatter = gr_probe_room(p, 1);
    if (!scatter || scatter_in_f32(c, f32, scatter)) return gr_last_status();
    /* Rounding may put a number on the other side of a kink: then the two are gradients of different branches. */
    const gr_check_verdict otherwise = in_f32 == in_f64 ? GR_CHECK_FAIL : GR_CHECK_UNRESOLVED;
    for (int i = 0; i < p->of.n; i++) {
        double largest = 0.0;
        for (int64_t k = p->start[i]; k < p->start[i + 1]; k++) largest = fmax(largest, fabs(f64[k]));
        for (int64_t k = p->start[i]; k < p->start[i + 1]; k++) {
            const double size = fmax(fabs(f32[k]), fabs(f64[k])), rounding = 8.0 * scatter[k];
            const double allowed = c->options.rtol * size + fmin(rounding, c->options.rtol * largest) + c->options.atol;
            const bool close = fabs(f32[k] - f64[k]) <= allowed;
            gr_check_note_pair(c, k, close ? GR_CHECK_PASS : otherwise, f32[k], f64[k], size);
        }
    }
    return GR_OK;
}
