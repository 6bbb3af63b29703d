/* passes.c: what needs no differences: two passes that must agree with one another. */
#include "check/check_internal.h"

/* ---- The same bits again ------------------------------------------------------------------------------------ */

/* Notes the first element by which two backward runs differ. */
static gr_status compare_backward_runs(gr_checker *c)
{
    double *a = c->gradient, *b = c->other;
    if (gr_probe_gradient(&c->probe, -1, a) || gr_probe_gradient(&c->probe, -1, b)) return gr_last_status();
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
    if (!status) {
        gr_tensor *g = y->size == 1 ? NULL : gr_cast(p->t, gr_probe_cotangent(p, y), gr_type_of(y));
        status = gr_probe_vjp(p, y, g, copy, 0, gradient);
    }
    gr_tape_reset(p->t);
    for (int i = 0; i < p->of.n; i++) gr_tensor_free(copy[i]);
    return status;
}

gr_status gr_check_f32(gr_checker *c)
{
    gr_probe *p = &c->probe;
    double *f32 = c->gradient, *f64 = c->other;
    uint64_t in_f32, in_f64;
    if (gradient_in(p, GR_F32, f32, &in_f32) || gradient_in(p, GR_F64, f64, &in_f64)) return gr_last_status();
    /* Rounding may put a number on the other side of a kink: then the two are gradients of different branches. */
    const gr_check_verdict otherwise = in_f32 == in_f64 ? GR_CHECK_FAIL : GR_CHECK_UNRESOLVED;
    for (int i = 0; i < p->of.n; i++) {
        double largest = 0.0;
        for (int64_t k = p->start[i]; k < p->start[i + 1]; k++) largest = fmax(largest, fabs(f64[k]));
        for (int64_t k = p->start[i]; k < p->start[i + 1]; k++) {
            const bool close = fabs(f32[k] - f64[k]) <= c->options.rtol * largest + c->options.atol;
            gr_check_note_pair(c, k, close ? GR_CHECK_PASS : otherwise, f32[k], f64[k], largest);
        }
    }
    return GR_OK;
}
