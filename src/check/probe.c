/* probe.c: f at points along a line through its inputs. All that differences are made of.
 *
 * A line. The elements of all inputs that are differentiated are counted through. Along a line some of them, one or
 * all, move by t:
 *
 *     x_k(t) = x_k +- t / length,    first <= k < last
 *
 * A point is f at one t. It is not kept as a number but as the terms that f is the sum of:
 *
 *     f(t) = constant + sum of weight_i term_i(t)
 *
 * Nearly every loss is a sum or a mean, and its ops say of what (gr_term in op.h). Of a mean over a million elements
 * one derivative moves a few, and the difference of those is exact where the difference of two means has lost the
 * digits that count. The weights are the factors of the sums at t = 0; the constant is what was added that is no
 * tensor's. Of a result of more than one element the elements are the terms, and their weights are random.
 *
 * Ties. A term that does not depend on the line adds nothing to a difference. One that depends on it too weakly to be
 * seen in any difference still adds its rounding. So a line begins with a run in which its elements are NaN: the terms
 * that become NaN are tied to it.
 *
 * The signature of a point is a hash of the branches that the ops took (branches.c). Between points of equal signature
 * lies no kink and no step. */
#include "check/check_internal.h"

/* ---- A result as terms -------------------------------------------------------------------------------------- */

enum { MAX_PARTS = 32 };

/* Tensors whose elements, each times the tensor's factor, add up to the result; and what is added to them. */
typedef struct result_parts {
    gr_term part[MAX_PARTS];
    int n;
    int64_t n_terms; /* elements of all parts */
    double constant;
} result_parts;

/* Takes a result apart as far as its ops say what it is the sum of. False when there are too many parts. */
static bool take_apart(result_parts *p, gr_tensor *y, double factor)
{
    gr_term terms[GR_MAX_TERMS];
    const gr_node *n = y->node ? &y->node->call : NULL;
    int n_terms = n && n->op->terms && y->size == 1 ? n->op->terms(n, terms) : 0;
    if (n_terms < 0 || n_terms > GR_MAX_TERMS) return false;
    for (int i = 0; i < n_terms; i++) {
        if (!terms[i].of) p->constant += factor * terms[i].factor;
        else if (!take_apart(p, terms[i].of, factor * terms[i].factor)) return false;
    }
    if (n_terms) return true;
    if (p->n == MAX_PARTS || y->dtype != GR_F64 || gr_is_gone(y)) return false;
    p->part[p->n++] = (gr_term){y, factor};
    p->n_terms += y->size;
    return true;
}

/* False when the op's terms do not sum to its value, or have a factor of 0, by which nothing can be measured; then the
 * whole value is used. */
static bool adds_up(const result_parts *p, const gr_tensor *y)
{
    double sum = p->constant, size = fabs(p->constant);
    for (int i = 0; i < p->n; i++) {
        if (p->part[i].factor == 0.0) return false;
        for (int64_t k = 0; k < p->part[i].of->size; k++) {
            double term = p->part[i].factor * gr_element(p->part[i].of, k);
            sum += term;
            size += fabs(term);
        }
    }
    return fabs(sum - gr_element(y, 0)) <= 1e-10 * size;
}

static result_parts whole_result(gr_tensor *y)
{
    return (result_parts){.part = {{y, 1.0}}, .n = 1, .n_terms = y->size};
}

static result_parts parts_of(const gr_probe *p, gr_tensor *y)
{
    result_parts found = {.n = 0};
    return !p->whole && y->size == 1 && take_apart(&found, y, 1.0) ? found : whole_result(y);
}

/* ---- Running f ---------------------------------------------------------------------------------------------- */

gr_tensor *gr_subject_run(const gr_subject *s, gr_tape *t, gr_tensor *const x[])
{
    const char *who = "check_gradients", *what = "the function's result";
    gr_tape_reset(t);
    gr_clear_error();
    t->misused = NULL;
    t->under_check = true;
    gr_tensor *y = s->f(t, x, s->n, s->context);
    t->under_check = false;
    if (t->misused) gr_fail(GR_ERR_STATE, "%s: the function calls %s on its own tape: see gr_grad()", who, t->misused);
    else if (!y) gr_fail_null(who, what);
    else if (y->tape && y->tape != t) gr_fail(GR_ERR_STATE, "%s: %s is a result of another tape", who, what);
    else if (gr_is_gone(y)) gr_fail_gone(who, what, y);
    else return y;
    return NULL;
}

gr_tensor *gr_probe_run_at(gr_probe *p, gr_tensor *const x[])
{
    p->evaluations++;
    return gr_subject_run(&p->of, p->t, x);
}

gr_tensor *gr_probe_run(gr_probe *p)
{
    gr_tensor *y = gr_probe_run_at(p, p->of.x);
    if (!y || y->dtype == GR_F64) return y;
    gr_fail(GR_ERR_DTYPE, "check_gradients: the function's result is %s, expected f64", gr_dtype_name(gr_type_of(y)));
    return NULL;
}

/* The terms of one part. The weights are the factors at t = 0; where f makes a factor of its inputs it is another one
 * elsewhere, and the terms take up the difference. */
static void take_values(double *values, const gr_term *part, double weight)
{
    const double *x = part->of->data; /* F64, as the result is */
    memcpy(values, x, gr_bytes(part->of));
    for (int64_t k = 0; part->factor != weight && k < part->of->size; k++) values[k] = x[k] * (part->factor / weight);
}

/* f where the inputs are now, into `point`, which has room for the terms. False when the tape cannot go on. */
static bool evaluate_point(gr_probe *p, gr_point *point)
{
    point->valid = false;
    uint64_t signature = 0, *watched_before = gr_tape_watch(p->t, &signature);
    gr_tensor *y = gr_probe_run(p);
    gr_tape_watch(p->t, watched_before);
    if (!y) {
        gr_status status = gr_last_status();
        if (status == GR_ERR_VALUE || status == GR_ERR_INDEX) return true; /* outside of where f is defined */
        p->refused = status;
        return false;
    }
    point->signature = signature;
    result_parts found = parts_of(p, y);
    if (found.n_terms != p->n_terms) return true;
    point->valid = true;
    point->constant = found.constant;
    for (int64_t i = 0, at = 0; i < found.n; at += found.part[i++].of->size)
        if (found.part[i].of->size)
            take_values(point->values + at, &found.part[i], p->n_outputs == 1 ? p->weights[at] : 1.0);
    return true;
}

static double *new_values(const gr_probe *p) { return gr_allocate((size_t)(p->n_terms + 1) * sizeof(double)); }

/* Finds out what the terms are, at the base. */
static gr_status set_terms(gr_probe *p)
{
    gr_tensor *y = gr_probe_run(p);
    if (!y) return gr_last_status();
    p->n_outputs = y->size;
    result_parts found = parts_of(p, y);
    p->whole = y->size != 1 || !adds_up(&found, y);
    if (p->whole) found = whole_result(y);
    p->n_terms = found.n_terms;
    p->weights = new_values(p);
    p->ties = gr_allocate((size_t)p->n_terms + 1);
    p->base.values = new_values(p);
    const gr_tensor *random = y->size == 1 ? NULL : gr_probe_cotangent(p, y);
    if (!p->weights || !p->ties || !p->base.values || (y->size != 1 && !random)) return gr_last_status();
    if (random) memcpy(p->weights, random->data, gr_bytes(random));
    else
        for (int64_t i = 0, at = 0; i < found.n; i++)
            for (int64_t k = 0; k < found.part[i].of->size; k++) p->weights[at++] = found.part[i].factor;
    return GR_OK;
}

/* ---- Opening and closing ------------------------------------------------------------------------------------ */

static gr_status expect_leaves(gr_tensor *const x[], int n)
{
    const char *who = "check_gradients";
    if (n < 1 || n > GR_CHECK_MAX_INPUTS)
        return gr_fail(GR_ERR_OPTION, "%s: %d inputs, expected 1 to %d", who, n, GR_CHECK_MAX_INPUTS);
    for (int i = 0; i < n; i++) {
        if (!x[i]) return gr_fail_null(who, "an input");
        if (x[i]->tape) return gr_fail(GR_ERR_STATE, "%s: input %d is a result of a tape, not a leaf", who, i);
        if (x[i]->requires_grad && x[i]->dtype != GR_F64)
            return gr_fail(GR_ERR_DTYPE, "%s: input %d is %s, expected f64", who, i, gr_dtype_name(gr_type_of(x[i])));
    }
    return GR_OK;
}

gr_status gr_probe_open(gr_probe *p, const gr_subject *of, uint64_t seed, int capacity)
{
    assert(capacity >= 1 && capacity <= GR_MAX_POINTS);
    memset(p, 0, sizeof *p);
    if (expect_leaves(of->x, of->n)) return gr_last_status();
    p->of = *of;
    p->seed = seed;
    p->capacity = capacity;
    p->output = -1;
    p->line.length = 1.0; /* along which nothing moves yet */
    p->t = gr_tape_new();
    if (!p->t) return gr_last_status();
    for (int i = 0; i < of->n; i++) {
        p->start[i + 1] = p->start[i] + (of->x[i]->requires_grad ? of->x[i]->size : 0);
        p->saved[i] = gr_copy(of->x[i]);
        if (!p->saved[i]) return gr_last_status();
    }
    p->n_elements = p->start[of->n];
    if (set_terms(p) || !evaluate_point(p, &p->base)) return gr_last_status();
    if (p->base.valid) return GR_OK;
    return gr_fail(GR_ERR_STATE,
                   "check_gradients: two runs of the function differ in the number of elements they make");
}

/* Puts an input back, and says so if f has written to it. */
static gr_status restore(gr_tensor *x, const gr_tensor *saved, int input)
{
    const size_t each = gr_dtype_bytes(gr_type_of(saved));
    char *now = x->data;
    const char *then = saved->data;
    if (memcmp(now, then, gr_bytes(saved)) == 0) return GR_OK;
    int64_t k = 0;
    while (memcmp(now + (size_t)k * each, then + (size_t)k * each, each) == 0) k++;
    memcpy(now, then, gr_bytes(saved));
    return gr_fail(GR_ERR_STATE,
                   "check_gradients: input %d was changed at %s, by the function under check; it is put back", input,
                   gr_position_text(&(gr_text){{0}}, saved, k));
}

gr_status gr_probe_close(gr_probe *p)
{
    gr_status status = GR_OK;
    gr_tape_free(p->t);
    for (int i = 0; i < p->of.n && p->saved[i]; i++) {
        if (restore(p->of.x[i], p->saved[i], i)) status = GR_ERR_STATE;
        gr_tensor_free(p->saved[i]);
    }
    for (int i = 0; i < p->capacity; i++) gr_release(p->points[i].values);
    gr_release(p->base.values);
    gr_release(p->ties);
    gr_release(p->weights);
    memset(p, 0, sizeof *p);
    return status;
}

/* ---- Points on a line --------------------------------------------------------------------------------------- */

int gr_probe_input(const gr_probe *p, int64_t element)
{
    int i = 0;
    while (i < p->of.n - 1 && element >= p->start[i + 1]) i++;
    return i;
}

/* The inputs to x + t d, or to x itself again with t = 0. */
static void move_inputs(const gr_probe *p, double t)
{
    const gr_line *l = &p->line;
    const double step = t / l->length;
    for (int64_t k = l->first, i = gr_probe_input(p, k); k < l->last; k++) {
        while (k >= p->start[i + 1]) i++;
        const int64_t at = k - p->start[i];
        const double saved = ((const double *)p->saved[i]->data)[at];
        double *x = (double *)p->of.x[i]->data + at;
        if (t == 0.0) *x = saved;
        else *x = saved + (gr_goes_down(l, k) ? -step : step);
    }
}

/* f at t into the ring: into a new place, or over the oldest point. NULL when p->refused says why. */
static gr_point *new_point(gr_probe *p, double t)
{
    gr_point *point = &p->points[p->next];
    if (!point->values && !(point->values = new_values(p))) {
        p->refused = gr_last_status();
        return NULL;
    }
    p->next = (p->next + 1) % p->capacity;
    move_inputs(p, t);
    bool done = evaluate_point(p, point);
    move_inputs(p, 0.0);
    point->t = done ? t : 0.0;
    return done ? point : NULL;
}

gr_status gr_probe_repeats(gr_probe *p, bool *same)
{
    const gr_point *base = &p->base, *again = new_point(p, 0.0);
    if (!again) return p->refused;
    *same = again->valid && again->signature == base->signature &&
            memcmp(&again->constant, &base->constant, sizeof base->constant) == 0 &&
            memcmp(again->values, base->values, (size_t)p->n_terms * sizeof *base->values) == 0;
    return GR_OK;
}

gr_status gr_probe_on(gr_probe *p, gr_line line)
{
    assert(line.first >= 0 && line.first < line.last && line.last <= p->n_elements && line.length > 0.0);
    p->line = line;
    p->constant_moves = false;
    for (int i = 0; i < p->capacity; i++) p->points[i].t = 0.0; /* an empty place: f at 0 is the base */
    p->next = 0;
    const gr_point *at_nan = new_point(p, (double)NAN);
    if (!at_nan) return p->refused;
    for (int64_t i = 0; i < p->n_terms; i++) p->ties[i] = !at_nan->valid || isnan(at_nan->values[i]) ? GR_DEPENDS : 0;
    p->next = 0;
    return GR_OK;
}

const gr_point *gr_probe_at(gr_probe *p, double t)
{
    if (t == 0.0) return &p->base;
    for (int i = 0; i < p->capacity; i++)
        if (p->points[i].t == t) return &p->points[i];
    gr_point *point = new_point(p, t);
    if (!point || !point->valid) return point;
    p->constant_moves |= point->constant != p->base.constant;
    for (int64_t i = 0; point->valid && i < p->n_terms; i++) {
        if (point->values[i] == p->base.values[i]) continue;
        p->ties[i] |= point->signature == p->base.signature ? GR_DEPENDS | GR_MOVED : GR_DEPENDS;
        if (!isfinite(point->values[i]) && isfinite(p->base.values[i])) point->valid = false;
    }
    return point;
}

/* ---- Differences -------------------------------------------------------------------------------------------- */

/* Neumaier's sum: what an addition loses is kept apart. */
static inline void add_exactly(double *sum, double *rest, double x)
{
    volatile double total = *sum + x;
    *rest += fabs(*sum) >= fabs(x) ? (*sum - total) + x : (x - total) + *sum;
    *sum = total;
}

static double weight_of_term(const gr_probe *p, int64_t term) { return p->output < 0 ? p->weights[term] : 1.0; }

/* A term as it is summed, at whichever of two points it is larger. */
static double size_of_term(const gr_probe *p, int64_t term, const gr_point *a, const gr_point *b)
{
    return weight_of_term(p, term) * fmax(fabs(a->values[term]), fabs(b->values[term]));
}

/* The root of the terms' squares, of those that are finite. */
static double length_of_terms(const gr_probe *p, int64_t first, int64_t last, const gr_point *a, const gr_point *b)
{
    double squares = 0.0;
    for (int64_t i = first; i < last; i++) {
        const double size = size_of_term(p, i, a, b);
        squares += isfinite(size) ? size * size : 0.0;
    }
    return sqrt(squares);
}

/* Over the terms that are tied to the line, or over all for the noise where none is:
 *
 *     difference = sum of weight_i (a_i - b_i)
 *     noise      = 2^-50 sqrt(sum of size_i^2),  size_i = weight_i max(|a_i|, |b_i|)
 *     total      = sum of |weight_i (a_i - b_i)| */
double gr_probe_difference(const gr_probe *p, const gr_point *a, const gr_point *b, double *noise, double *total)
{
    double sum = 0.0, rest = 0.0, squares = 0.0, largest = 0.0, sizes = 0.0;
    const int64_t first = p->output < 0 ? 0 : p->output, last = p->output < 0 ? p->n_terms : p->output + 1;
    for (int64_t i = first; i < last; i++) {
        const double u = a->values[i], v = b->values[i];
        if (!p->ties[i] || (u == v && !isfinite(u))) continue;
        const double size = fabs(size_of_term(p, i, a, b)), moved = weight_of_term(p, i) * (u - v);
        squares += size * size;
        largest = fmax(largest, size); /* whose square may be too small to be there */
        sizes += fabs(moved);
        add_exactly(&sum, &rest, moved);
    }
    if (p->output < 0 && p->constant_moves) {
        largest = fmax(largest, fabs(a->constant));
        add_exactly(&sum, &rest, a->constant - b->constant);
    }
    if (squares > 1e300 && largest < (double)INFINITY) squares = 0.0; /* too large to be squared: the largest must do */
    *noise = 0x1p-50 * (largest > 0.0 ? fmax(largest, sqrt(squares)) : length_of_terms(p, first, last, a, b));
    if (total) *total = sizes;
    return sum + rest;
}

double gr_probe_value(const gr_probe *p, const gr_point *a)
{
    double sum = a->constant, rest = 0.0;
    if (p->output >= 0) return a->values[p->output];
    for (int64_t i = 0; i < p->n_terms; i++) add_exactly(&sum, &rest, p->weights[i] * a->values[i]);
    return sum + rest;
}

/* ---- The tape's gradient ------------------------------------------------------------------------------------ */

gr_tensor *gr_random_weights(gr_tape *t, const gr_tensor *x, gr_rng *rng)
{
    gr_tensor *w = gr_result(t, GR_F64, x->rank, x->shape);
    for (int64_t i = 0; w && i < w->size; i++) ((double *)w->data)[i] = 0.5 + gr_rng_uniform(rng);
    return w;
}

gr_tensor *gr_probe_cotangent(gr_probe *p, const gr_tensor *y)
{
    gr_rng rng = gr_rng_seed(p->seed);
    return y->size == 1 ? NULL : gr_random_weights(p->t, y, &rng);
}

/* The cotangent of y for one output by itself. */
static gr_tensor *unit_cotangent(gr_probe *p, const gr_tensor *y, int64_t output)
{
    assert(output < y->size);
    gr_tensor *g = gr_result(p->t, GR_F64, y->rank, y->shape);
    if (!g) return NULL;
    memset(g->data, 0, gr_bytes(g));
    ((double *)g->data)[output] = 1.0;
    return g;
}

double *gr_probe_room(const gr_probe *p, int64_t count)
{
    return gr_allocate((size_t)(p->n_elements * count + 1) * sizeof(double));
}

gr_status gr_probe_vjp(gr_probe *p, gr_tensor *y, gr_tensor *g, gr_tensor *const x[], int flags, double *gradient)
{
    gr_tensor *wanted[GR_CHECK_MAX_INPUTS], *found[GR_CHECK_MAX_INPUTS];
    int n = 0;
    memset(gradient, 0, (size_t)p->n_elements * sizeof *gradient);
    for (int i = 0; i < p->of.n; i++)
        if (x[i]->requires_grad) wanted[n++] = x[i];
    if (!y->node || n == 0) return GR_OK; /* no gradient reaches any input */
    if (y->size != 1 && !g) return gr_last_status();
    p->backwards++;
    if (gr_vjp(p->t, y, g, wanted, n, found, flags)) return gr_last_status();
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < found[i]->size; k++) *gradient++ = gr_element(found[i], k);
    return GR_OK;
}

gr_status gr_probe_gradient(gr_probe *p, int64_t output, double *gradient)
{
    gr_tensor *y = gr_probe_run(p);
    if (!y) return gr_last_status();
    gr_tensor *g = output < 0 ? gr_probe_cotangent(p, y) : unit_cotangent(p, y, output);
    return gr_probe_vjp(p, y, g, p->of.x, 0, gradient);
}
