/* passes.c: what needs no differences: two passes that must agree with one another. */
#include "internal.h"

static void note(gr_checker *c, int64_t element, gr_check_verdict verdict, double a, double b, double scale)
{
    gr_check_element e = {.output = -1, .verdict = verdict};
    gr_check_place(c, element, &e);
    e.analytic = a;
    e.numeric = b;
    e.relative = a == b ? 0.0 : fabs(a - b) / scale;
    c->anything |= a != 0.0 || b != 0.0;
    c->largest = fmax(c->largest, fabs(b));
    if (verdict == GR_CHECK_UNRESOLVED) c->worst_unresolved = fmax(c->worst_unresolved, fabs(a - b));
    gr_note(c->report, &e);
}

/* Room for two gradients of all elements. */
static double *two_gradients(const gr_probe *p, double **other)
{
    const int64_t n = p->start[p->n];
    double *room = gr_allocate((size_t)(2 * n + 1) * sizeof *room);
    if (room) *other = room + n;
    return room;
}

/* ---- The same bits again ------------------------------------------------------------------------------------ */

/* Notes the first difference between two forward or two backward runs. */
gr_status gr_check_repeats(gr_checker *c)
{
    gr_probe *p = &c->probe;
    bool same;
    double *first, *second = NULL;
    if (gr_probe_repeats(p, &same)) return gr_last_status();
    if (!same) {
        gr_check_element e = {.verdict = GR_CHECK_NONDETERMINISTIC,
                              .input = -1,
                              .index = -1,
                              .output = -1,
                              .node = -1,
                              .place = "the forward pass"};
        gr_note(c->report, &e);
        return GR_OK;
    }
    first = two_gradients(p, &second);
    if (!first) return gr_last_status();
    gr_status status = gr_probe_gradient(p, -1, first);
    if (!status) status = gr_probe_gradient(p, -1, second);
    for (int64_t k = 0; k < p->start[p->n] && !status; k++) {
        if (memcmp(&first[k], &second[k], sizeof *first) == 0) continue;
        note(c, k, GR_CHECK_NONDETERMINISTIC, first[k], second[k], fmax(fabs(first[k]), fabs(second[k])));
        break;
    }
    gr_release(first);
    return status;
}

/* ---- With and without a graph ------------------------------------------------------------------------------- */

/* The gradient of s->f, as it is made when it is to be differentiated again, or not. */
static gr_status gradient_of(gr_probe *p, const gr_second *s, int flags, double *gradient)
{
    gr_tensor *wanted[GR_CHECK_MAX_INPUTS], *found[GR_CHECK_MAX_INPUTS];
    int n = 0;
    gr_tape_reset(p->t);
    memset(gradient, 0, (size_t)p->start[p->n] * sizeof *gradient);
    gr_tensor *y = s->f(p->t, p->x, p->n, s->context);
    if (!y) return gr_last_status();
    for (int i = 0; i < p->n; i++)
        if (gr_is_checked(p->x[i])) wanted[n++] = p->x[i];
    if (!y->node || !n) return GR_OK;
    gr_tensor *g = y->size == 1 ? NULL : gr_probe_cotangent(p, y);
    if (y->size != 1 && !g) return gr_last_status();
    p->backwards++;
    if (gr_vjp(p->t, y, g, wanted, n, found, flags)) return gr_last_status();
    for (int i = 0, k = 0; i < p->n; i++)
        if (gr_is_checked(p->x[i])) memcpy(gradient + p->start[i], found[k++]->data, gr_bytes(p->x[i]));
    return GR_OK;
}

/* An op may have a shorter way to its first derivative than the one that can be differentiated: notes where the two
 * differ. */
gr_status gr_check_graph_agrees(gr_checker *c, const gr_second *s)
{
    gr_probe *p = &c->probe;
    double *plain, *graph = NULL, largest = 1e-3;
    plain = two_gradients(p, &graph);
    if (!plain) return gr_last_status();
    gr_status status = gradient_of(p, s, 0, plain);
    if (!status) status = gradient_of(p, s, GR_CREATE_GRAPH, graph);
    for (int64_t k = 0; k < p->start[p->n] && !status; k++) largest = fmax(largest, fabs(plain[k]));
    for (int64_t k = 0; k < p->start[p->n] && !status; k++) {
        const double scale = fmax(fabs(plain[k]), fabs(graph[k]));
        if (isnan(plain[k]) && isnan(graph[k])) continue;
        const double allowed = c->options.rtol * scale + 1e-12 * largest;
        if (!(fabs(plain[k] - graph[k]) <= allowed)) note(c, k, GR_CHECK_FAIL, graph[k], plain[k], scale);
    }
    gr_release(plain);
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
    memset(to, 0, (size_t)p->start[p->n] * sizeof *to);
    for (int i = 0; i < p->n; i++)
        if (gr_is_checked(p->x[i]) && p->x[i]->has_grad)
            memcpy(to + p->start[i], p->x[i]->grad->data, gr_bytes(p->x[i]));
}

static gr_status accumulate_twice(gr_probe *p, gr_tensor *y, double *once, double *twice)
{
    gr_tensor *g = y->size == 1 ? NULL : gr_probe_cotangent(p, y);
    if (y->size != 1 && !g) return gr_last_status();
    p->backwards += 2;
    if (g ? gr_backward_from(p->t, y, g, GR_RETAIN) : gr_backward(p->t, y, GR_RETAIN)) return gr_last_status();
    read_gradients(p, once);
    if (g ? gr_backward_from(p->t, y, g, GR_RETAIN) : gr_backward(p->t, y, GR_RETAIN)) return gr_last_status();
    read_gradients(p, twice);
    return GR_OK;
}

gr_status gr_check_accumulation(gr_checker *c)
{
    gr_probe *p = &c->probe;
    gr_tensor *y = gr_probe_run(p);
    if (!y) return gr_last_status();
    if (!y->node) return GR_OK;
    int64_t edges = 1, leaves = 0;
    for (const gr_record *r = p->t->first; r; r = r->next) edges += r->n.n_in;
    double *once, *twice = NULL;
    stash *s = gr_allocate((size_t)edges * sizeof *s);
    once = two_gradients(p, &twice);
    gr_status status = s && once ? GR_OK : gr_last_status();
    for (const gr_record *r = p->t->first; r && !status; r = r->next)
        for (int i = 0; i < r->n.n_in; i++) leaves = put_aside(s, leaves, r->n.in[i]);
    if (!status) status = accumulate_twice(p, y, once, twice);
    for (int64_t k = 0; k < p->start[p->n] && !status; k++) {
        const bool same = twice[k] == 2.0 * once[k];
        note(c, k, same ? GR_CHECK_PASS : GR_CHECK_FAIL, twice[k], 2.0 * once[k],
             fmax(fabs(twice[k]), fabs(2.0 * once[k])));
    }
    if (s) put_back(s, leaves);
    gr_release(once);
    gr_release(s);
    return status;
}

/* ---- F32 against F64 ---------------------------------------------------------------------------------------- */

/* Copies of all inputs, rounded to F32, in the given dtype. */
static gr_status rounded_inputs(const gr_probe *p, gr_dtype dtype, gr_tensor *copy[])
{
    for (int i = 0; i < p->n; i++) {
        const gr_tensor *x = p->x[i];
        gr_tensor *single = x->dtype == GR_I32 ? NULL : gr_copy_as(GR_F32, x);
        copy[i] = x->dtype == GR_I32 ? gr_copy(x) : gr_copy_as(dtype, single);
        gr_tensor_free(single);
        if (!copy[i]) return gr_last_status();
        copy[i]->requires_grad = x->requires_grad;
    }
    return GR_OK;
}

/* And the branches that f took. */
static gr_status gradient_in(gr_probe *p, gr_dtype dtype, double *gradient, uint64_t *branches)
{
    gr_tensor *copy[GR_CHECK_MAX_INPUTS] = {NULL}, *wanted[GR_CHECK_MAX_INPUTS], *found[GR_CHECK_MAX_INPUTS], *y = NULL,
              *g = NULL;
    int n = 0;
    gr_tape_reset(p->t);
    gr_clear_error();
    gr_status status = rounded_inputs(p, dtype, copy);
    *branches = 0;
    uint64_t *before = gr_tape_watch(p->t, branches);
    if (!status && !(y = p->f(p->t, copy, p->n, p->context)))
        status = gr_fail_null("check_gradients", "the function's result");
    gr_tape_watch(p->t, before);
    for (int i = 0; i < p->n && !status; i++)
        if (gr_is_checked(copy[i])) wanted[n++] = copy[i];
    if (!status && y->node && n) {
        if (y->size != 1) g = gr_cast(p->t, gr_probe_cotangent(p, y), gr_type_of(y));
        p->evaluations++, p->backwards++;
        status = y->size != 1 && !g ? gr_last_status() : gr_vjp(p->t, y, g, wanted, n, found, 0);
        for (int i = 0, k = 0; i < p->n && !status; i++) {
            if (!gr_is_checked(copy[i])) continue;
            for (int64_t j = 0; j < copy[i]->size; j++) gradient[p->start[i] + j] = gr_element(found[k], j);
            k++;
        }
    }
    gr_tape_reset(p->t);
    for (int i = 0; i < p->n; i++) gr_tensor_free(copy[i]);
    return status;
}

gr_status gr_check_f32(gr_checker *c)
{
    gr_probe *p = &c->probe;
    double *single, *pair = NULL;
    single = two_gradients(p, &pair);
    if (!single) return gr_last_status();
    memset(single, 0, (size_t)(2 * p->start[p->n]) * sizeof *single);
    uint64_t in_f32, in_f64;
    gr_status status = gradient_in(p, GR_F32, single, &in_f32);
    if (!status) status = gradient_in(p, GR_F64, pair, &in_f64);
    /* Rounding may put a number on the other side of a kink: then the two are gradients of different branches. */
    const gr_check_verdict otherwise = !status && in_f32 != in_f64 ? GR_CHECK_UNRESOLVED : GR_CHECK_FAIL;
    for (int i = 0; i < p->n && !status; i++) {
        double largest = 0.0;
        for (int64_t k = p->start[i]; k < p->start[i + 1]; k++) largest = fmax(largest, fabs(pair[k]));
        for (int64_t k = p->start[i]; k < p->start[i + 1]; k++) {
            const bool close = fabs(single[k] - pair[k]) <= c->options.rtol * largest + c->options.atol;
            note(c, k, close ? GR_CHECK_PASS : otherwise, single[k], pair[k], largest);
        }
    }
    gr_release(single);
    return status;
}
