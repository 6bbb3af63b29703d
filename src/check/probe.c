/* probe.c: f, evaluated at points along a line through its inputs.
 *
 * A result that is a sum, as nearly every loss is, is kept as its terms: of a mean over a million elements one
 * derivative moves a few, and the difference of those is exact where the difference of two means has lost the digits
 * that count. */
#include "internal.h"

/* ---- A result as terms -------------------------------------------------------------------------------------- */

enum { MAX_PARTS = 32 };

typedef struct parts {
    gr_term part[MAX_PARTS];
    int n;
    double constant;
} parts;

/* Takes a result apart as far as its ops say what it is the sum of. False when there are too many parts. */
static bool take_apart(parts *p, gr_tensor *y, double factor)
{
    gr_term terms[GR_MAX_TERMS];
    const gr_node *n = y->node ? &y->node->n : NULL;
    int n_terms = n && n->op->terms && y->size == 1 ? n->op->terms(n, terms) : 0;
    for (int i = 0; i < n_terms; i++) {
        if (!terms[i].of) p->constant += factor * terms[i].factor;
        else if (!take_apart(p, terms[i].of, factor * terms[i].factor)) return false;
    }
    if (n_terms) return true;
    if (p->n == MAX_PARTS) return false;
    p->part[p->n++] = (gr_term){y, factor};
    return true;
}

/* Whether the terms add up to the result, with factors that others can be measured by: a rule that is wrong is not
 * believed. */
static bool adds_up(const parts *p, const gr_tensor *y)
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

static parts parts_of(gr_probe *p, gr_tensor *y)
{
    parts found = {.n = 0};
    if (p->whole || y->size != 1 || !take_apart(&found, y, 1.0)) found = (parts){.part = {{y, 1.0}}, .n = 1};
    return found;
}

static int64_t count_terms(const parts *p)
{
    int64_t count = 0;
    for (int i = 0; i < p->n; i++) count += p->part[i].of->size;
    return count;
}

/* ---- Running f ---------------------------------------------------------------------------------------------- */

gr_tensor *gr_probe_run(gr_probe *p)
{
    gr_tape_reset(p->t);
    gr_clear_error();
    p->evaluations++;
    gr_tensor *y = p->f(p->t, p->x, p->n, p->context);
    if (!y) return gr_fail_null("check_gradients", "the function's result"), NULL;
    if (y->dtype == GR_F64) return y;
    gr_fail(GR_ERR_DTYPE, "check_gradients: the function's result is %s, expected f64", gr_dtype_name(gr_type_of(y)));
    return NULL;
}

/* The weight of element i of a result: in [1/2, 3/2), never a constant. */
static void fill_weights(const gr_probe *p, double *weight, int64_t n)
{
    gr_rng rng = gr_rng_seed(p->seed);
    for (int64_t i = 0; i < n; i++) weight[i] = 0.5 + gr_rng_uniform(&rng);
}

gr_tensor *gr_probe_cotangent(gr_probe *p, const gr_tensor *y)
{
    gr_tensor *g = gr_result(p->t, GR_F64, y->rank, y->shape);
    if (g) fill_weights(p, g->data, g->size);
    return g;
}

/* A part's terms, which are summed with the factor that it had at the base. It has another one where f made it of its
 * inputs. */
static void take_values(double *values, const gr_term *part, double factor)
{
    const double *x = part->of->data; /* F64, as the result is */
    memcpy(values, x, gr_bytes(part->of));
    for (int64_t k = 0; part->factor != factor && k < part->of->size; k++) values[k] = x[k] * (part->factor / factor);
}

/* f where the inputs are now, into `point`, which has room for the terms. False when the tape cannot go on. */
static bool evaluate(gr_probe *p, gr_point *point)
{
    point->valid = false;
    uint64_t signature = 0, *before = gr_tape_watch(p->t, &signature);
    gr_tensor *y = gr_probe_run(p);
    gr_tape_watch(p->t, before);
    if (!y) {
        gr_status status = gr_last_status();
        if (status == GR_ERR_VALUE || status == GR_ERR_INDEX) return true; /* outside of where f is defined */
        p->refused = status;
        return false;
    }
    point->signature = signature;
    parts found = parts_of(p, y);
    if (count_terms(&found) != p->n_terms) return true;
    point->valid = true;
    point->constant = found.constant;
    for (int64_t i = 0, at = 0; i < found.n; at += found.part[i++].of->size)
        if (found.part[i].of->size)
            take_values(point->values + at, &found.part[i], p->outputs == 1 ? p->weights[at] : 1.0);
    return true;
}

/* Finds out what the terms are, at the base. */
static gr_status set_terms(gr_probe *p)
{
    gr_tensor *y = gr_probe_run(p);
    if (!y) return gr_last_status();
    p->outputs = y->size;
    parts found = parts_of(p, y);
    p->whole = y->size != 1 || !adds_up(&found, y);
    if (p->whole) found = (parts){.part = {{y, 1.0}}, .n = 1};
    p->n_terms = count_terms(&found);
    const size_t bytes = (size_t)(p->n_terms + 1) * sizeof(double);
    p->weights = gr_allocate(bytes);
    p->ties = gr_allocate((size_t)p->n_terms + 1);
    p->base.values = gr_allocate(bytes);
    if (!p->weights || !p->ties || !p->base.values) return gr_last_status();
    if (y->size != 1) fill_weights(p, p->weights, p->n_terms);
    else
        for (int64_t i = 0, at = 0; i < found.n; i++)
            for (int64_t k = 0; k < found.part[i].of->size; k++) p->weights[at++] = found.part[i].factor;
    return GR_OK;
}

/* ---- Opening and closing ------------------------------------------------------------------------------------ */

static gr_status usable(const char *who, gr_tensor *const x[], int n)
{
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

gr_status gr_probe_open(gr_probe *p, const char *who, gr_check_function f, void *context, gr_tensor *const x[], int n,
                        uint64_t seed, int capacity)
{
    memset(p, 0, sizeof *p);
    if (usable(who, x, n)) return gr_last_status();
    p->f = f;
    p->context = context;
    p->x = x;
    p->n = n;
    p->seed = seed;
    p->capacity = capacity;
    p->only = -1;
    p->t = gr_tape_new();
    if (!p->t) return gr_last_status();
    p->t->keeps_all = true;
    for (int i = 0; i < n; i++) {
        p->start[i + 1] = p->start[i] + (gr_is_checked(x[i]) ? x[i]->size : 0);
        p->saved[i] = gr_copy(x[i]);
        if (!p->saved[i]) return gr_last_status();
    }
    if (set_terms(p)) return gr_last_status();
    if (!evaluate(p, &p->base)) return gr_last_status();
    if (p->base.valid) return GR_OK;
    return gr_fail(GR_ERR_STATE, "%s: two runs of the function differ in the number of elements they make", who);
}

gr_status gr_probe_close(gr_probe *p)
{
    gr_status status = GR_OK;
    gr_tape_free(p->t);
    for (int i = 0; i < p->n && p->saved[i]; i++) {
        const gr_tensor *saved = p->saved[i];
        if (memcmp(p->x[i]->data, saved->data, gr_bytes(saved)) != 0) {
            const size_t each = gr_dtype_bytes(gr_type_of(saved));
            int64_t k = 0;
            while (memcmp((char *)p->x[i]->data + (size_t)k * each, (char *)saved->data + (size_t)k * each, each) == 0)
                k++;
            status = gr_fail(GR_ERR_STATE,
                             "check_gradients: input %d was changed at %s, by the function under check; it is put back",
                             i, gr_position_text(&(gr_text){{0}}, saved, k));
            memcpy(p->x[i]->data, saved->data, gr_bytes(saved));
        }
        gr_tensor_free(p->saved[i]);
    }
    for (int i = 0; i < p->n_points; i++) gr_release(p->points[i].values);
    gr_release(p->base.values);
    gr_release(p->ties);
    gr_release(p->weights);
    memset(p, 0, sizeof *p);
    return status;
}

/* ---- Points on a line --------------------------------------------------------------------------------------- */

gr_status gr_probe_repeats(gr_probe *p, bool *same)
{
    gr_point again = {.values = gr_allocate((size_t)(p->n_terms + 1) * sizeof(double))};
    if (!again.values) return gr_last_status();
    bool done = evaluate(p, &again);
    *same = done && again.valid && again.signature == p->base.signature &&
            memcmp(&again.constant, &p->base.constant, sizeof again.constant) == 0 &&
            memcmp(again.values, p->base.values, (size_t)p->n_terms * sizeof(double)) == 0;
    gr_release(again.values);
    return done ? GR_OK : p->refused;
}

int gr_probe_input(const gr_probe *p, int64_t element)
{
    int i = 0;
    while (i < p->n - 1 && element >= p->start[i + 1]) i++;
    return i;
}

/* x + t d, or x itself again for t = 0. */
static void move(const gr_probe *p, double t)
{
    const gr_line *l = &p->line;
    const double step = t / l->share;
    for (int64_t k = l->first, i = gr_probe_input(p, k); k < l->last; k++) {
        while (k >= p->start[i + 1]) i++;
        const int64_t at = k - p->start[i];
        const double saved = ((const double *)p->saved[i]->data)[at];
        double *x = (double *)p->x[i]->data + at;
        if (t == 0.0) *x = saved;
        else *x = saved + (gr_sign_of(l, k) ? -step : step);
    }
}

/* A place for one more point: a new one, or the oldest. */
static gr_point *place_for_point(gr_probe *p)
{
    gr_point *point = &p->points[p->next];
    if (p->next >= p->n_points) {
        point->values = gr_allocate((size_t)(p->n_terms + 1) * sizeof(double));
        if (!point->values) {
            p->refused = gr_last_status();
            return NULL;
        }
        p->n_points++;
    }
    p->next = (p->next + 1) % p->capacity;
    return point;
}

gr_status gr_probe_on(gr_probe *p, gr_line line)
{
    p->line = line;
    p->drifts = false;
    p->n_points = p->n_points > p->capacity ? p->capacity : p->n_points;
    for (int i = 0; i < p->n_points; i++) p->points[i].t = 0.0;
    p->next = 0;
    gr_point *lost = place_for_point(p);
    if (!lost) return gr_last_status();
    lost->t = 0.0;
    move(p, (double)NAN);
    bool done = evaluate(p, lost);
    move(p, 0.0);
    if (!done) return p->refused;
    for (int64_t i = 0; i < p->n_terms; i++) p->ties[i] = !lost->valid || isnan(lost->values[i]) ? GR_DEPENDS : 0;
    p->next = 0;
    return GR_OK;
}

const gr_point *gr_probe_at(gr_probe *p, double t)
{
    if (t == 0.0) return &p->base;
    for (int i = 0; i < p->n_points; i++)
        if (p->points[i].t == t) return &p->points[i];
    gr_point *point = place_for_point(p);
    if (!point) return NULL;
    point->t = t;
    move(p, t);
    bool done = evaluate(p, point);
    move(p, 0.0);
    if (!done) {
        point->t = 0.0;
        return NULL;
    }
    p->drifts |= point->valid && point->constant != p->base.constant;
    for (int64_t i = 0; point->valid && i < p->n_terms; i++) {
        if (point->values[i] == p->base.values[i]) continue;
        p->ties[i] |= point->signature == p->base.signature ? GR_DEPENDS | GR_MOVED : GR_DEPENDS;
        if (!isfinite(point->values[i]) && isfinite(p->base.values[i])) point->valid = false;
    }
    return point;
}

/* Neumaier's sum: what an addition loses is kept apart. */
static inline void add(double *sum, double *rest, double x)
{
    volatile double total = *sum + x;
    *rest += fabs(*sum) >= fabs(x) ? (*sum - total) + x : (x - total) + *sum;
    *sum = total;
}

static double weight_of(const gr_probe *p, int64_t term)
{
    return p->only < 0 ? p->weights[term] : 1.0;
}

/* The size of a term, as it is summed, at whichever of two points it is larger. */
static double size_of(const gr_probe *p, int64_t term, const gr_point *a, const gr_point *b)
{
    return weight_of(p, term) * fmax(fabs(a->values[term]), fabs(b->values[term]));
}

/* The root of the terms' squares, of those that are finite. */
static double length_of(const gr_probe *p, int64_t first, int64_t last, const gr_point *a, const gr_point *b)
{
    double squares = 0.0;
    for (int64_t i = first; i < last; i++) {
        const double size = size_of(p, i, a, b);
        squares += isfinite(size) ? size * size : 0.0;
    }
    return sqrt(squares);
}

double gr_probe_difference(const gr_probe *p, const gr_point *a, const gr_point *b, double *noise, double *total)
{
    double sum = 0.0, rest = 0.0, squares = 0.0, largest = 0.0, sizes = 0.0;
    const int64_t first = p->only < 0 ? 0 : p->only, last = p->only < 0 ? p->n_terms : p->only + 1;
    for (int64_t i = first; i < last; i++) {
        const double u = a->values[i], v = b->values[i];
        if (!p->ties[i] || (u == v && !isfinite(u))) continue;
        const double size = fabs(size_of(p, i, a, b)), moved = weight_of(p, i) * (u - v);
        squares += size * size;
        largest = fmax(largest, size); /* whose square may be too small to be there */
        sizes += fabs(moved);
        add(&sum, &rest, moved);
    }
    if (p->only < 0 && p->drifts) {
        largest = fmax(largest, fabs(a->constant));
        add(&sum, &rest, a->constant - b->constant);
    }
    if (squares > 1e300 && largest < (double)INFINITY) squares = 0.0; /* too large to be squared: the largest must do */
    *noise = 0x1p-50 * (largest > 0.0 ? fmax(largest, sqrt(squares)) : length_of(p, first, last, a, b));
    if (total) *total = sizes;
    return sum + rest;
}

double gr_probe_value(const gr_probe *p, const gr_point *a)
{
    double sum = a->constant, rest = 0.0;
    if (p->only >= 0) return a->values[p->only];
    for (int64_t i = 0; i < p->n_terms; i++) add(&sum, &rest, p->weights[i] * a->values[i]);
    return sum + rest;
}

/* ---- The tape's gradient ------------------------------------------------------------------------------------ */

/* The cotangent of y for one output by itself. */
static gr_tensor *unit(gr_probe *p, const gr_tensor *y, int64_t output)
{
    gr_tensor *g = gr_result(p->t, GR_F64, y->rank, y->shape);
    if (!g) return NULL;
    memset(g->data, 0, gr_bytes(g));
    ((double *)g->data)[output] = 1.0;
    return g;
}

gr_status gr_probe_gradient(gr_probe *p, int64_t output, double *gradient)
{
    gr_tensor *y = gr_probe_run(p), *g = NULL, *wanted[GR_CHECK_MAX_INPUTS], *found[GR_CHECK_MAX_INPUTS];
    if (!y) return gr_last_status();
    memset(gradient, 0, (size_t)p->start[p->n] * sizeof *gradient);
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if (gr_is_checked(p->x[i])) wanted[n++] = p->x[i];
    if (!y->node || n == 0) return GR_OK; /* no gradient reaches any input */
    if (y->size != 1) {
        g = output < 0 ? gr_probe_cotangent(p, y) : unit(p, y, output);
        if (!g) return gr_last_status();
    }
    p->backwards++;
    if (gr_vjp(p->t, y, g, wanted, n, found, 0)) return gr_last_status();
    for (int i = 0, k = 0; i < p->n; i++)
        if (gr_is_checked(p->x[i])) memcpy(gradient + p->start[i], found[k++]->data, gr_bytes(p->x[i]));
    return GR_OK;
}
