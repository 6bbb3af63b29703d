/* probe.c: f at points along a line through its inputs. All that differences are made of.
 *
 * A line. The elements of all inputs that are differentiated are counted through. Along a line one of them moves by t,
 * or several do, each by its scale and by a sign and a magnitude that are up to chance:
 *
 *     x_k(t) = x_k + t,    or    x_k(t) = x_k + t d_k,    d_k = +-m_k scale_k unit,    first <= k < last
 *
 * The scale is the size of x_k, for 0 that of its neighbours; m_k is in [1/2, 1). All factors have few bits, so that
 * x_k(t) is exact where t is a power of 2.
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

/* Neumaier's sum: what an addition loses is kept apart. */
typedef struct exact {
    double sum, rest;
} exact;

static inline void add(exact *to, double x)
{
    const double total = to->sum + x;
    to->rest += fabs(to->sum) >= fabs(x) ? (to->sum - total) + x : (x - total) + to->sum;
    to->sum = total;
}

static double sum_of_terms(const gr_probe *p, const gr_point *a)
{
    exact sum = {a->constant, 0.0};
    for (int64_t i = 0; i < p->n_terms; i++) add(&sum, p->weights[i] * a->values[i]);
    return sum.sum + sum.rest;
}

/* ---- Running f ---------------------------------------------------------------------------------------------- */

gr_tensor *gr_subject_run(const gr_subject *s, gr_tape *t, gr_tensor *const x[])
{
    gr_tape_reset(t);
    return gr_subject_call(s, t, x);
}

gr_tensor *gr_subject_call(const gr_subject *s, gr_tape *t, gr_tensor *const x[])
{
    const char *who = "check_gradients", *what = "the function's result";
    gr_clear_error();
    t->misused = NULL;
    t->under_check = true;
    gr_tensor *y = s->f(t, x, s->n, s->context);
    t->under_check = false;
    if (t->misused) gr_fail(GR_ERR_STATE, "%s: the function calls %s on its own tape: see gr_grad()", who, t->misused);
    else if (!y) gr_fail_null(who, what);
    else if (y->tape && y->tape != t) gr_fail(GR_ERR_STATE, "%s: %s is a result of another tape", who, what);
    else if (gr_is_gone(y)) gr_fail_gone(who, what, y);
    else return y->tape ? y : gr_scale(t, y, 1.0); /* an input, or a constant */
    return NULL;
}

gr_tensor *gr_probe_run_at(gr_probe *p, gr_tensor *const x[])
{
    p->evaluations++;
    return p->y = gr_subject_run(&p->of, p->t, x);
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

/* f where the inputs are now, and the branches that its ops took. */
static gr_tensor *run_watched(gr_probe *p, uint64_t *signature)
{
    *signature = 0;
    uint64_t *watched_before = gr_tape_watch(p->t, signature);
    gr_tensor *y = gr_probe_run(p);
    gr_tape_watch(p->t, watched_before);
    if (y) gr_fold_reached(y, signature);
    return y;
}

/* The parts of f's result into a point, which has room for the terms. */
static void take_point(const gr_probe *p, const result_parts *found, uint64_t signature, gr_point *point)
{
    point->valid = true;
    point->signature = signature;
    point->constant = found->constant;
    for (int64_t i = 0, at = 0; i < found->n; at += found->part[i++].of->size)
        if (found->part[i].of->size)
            take_values(point->values + at, &found->part[i], p->n_outputs == 1 ? p->weights[at] : 1.0);
}

/* f where the inputs are now, into `point`. False when the tape cannot go on. */
static bool evaluate_point(gr_probe *p, gr_point *point)
{
    uint64_t signature;
    gr_tensor *y = run_watched(p, &signature);
    point->valid = false;
    if (!y) {
        gr_status status = gr_last_status();
        if (status == GR_ERR_VALUE || status == GR_ERR_INDEX) return true; /* outside of where f is defined */
        p->refused = status;
        return false;
    }
    const result_parts found = parts_of(p, y);
    if (found.n_terms == p->n_terms) take_point(p, &found, signature, point);
    return true;
}

static double *new_values(const gr_probe *p) { return gr_allocate((size_t)(p->n_terms + 1) * sizeof(double)); }

/* f at the base, and what its terms are. */
static gr_status take_base(gr_probe *p)
{
    uint64_t signature;
    gr_tensor *y = run_watched(p, &signature);
    if (!y) return gr_last_status();
    p->n_outputs = y->size;
    result_parts found = parts_of(p, y);
    p->whole = y->size != 1 || !adds_up(&found, y);
    if (p->whole) found = whole_result(y);
    p->n_terms = found.n_terms;
    p->weights = new_values(p);
    p->quanta = new_values(p);
    p->ties = gr_allocate((size_t)p->n_terms + 1);
    p->base.values = new_values(p);
    const gr_tensor *random = y->size == 1 ? NULL : gr_probe_cotangent(p, y);
    if (!p->weights || !p->quanta || !p->ties || !p->base.values || (y->size != 1 && !random)) return gr_last_status();
    if (random) memcpy(p->weights, random->data, gr_bytes(random));
    else
        for (int64_t i = 0, at = 0; i < found.n; i++)
            for (int64_t k = 0; k < found.part[i].of->size; k++) p->weights[at++] = found.part[i].factor;
    take_point(p, &found, signature, &p->base);
    p->value = sum_of_terms(p, &p->base);
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

/* The geometric mean of the elements that are not 0, as a power of 2; 0 without any. */
static double typical_size(const gr_tensor *x)
{
    double exponents = 0.0;
    int64_t n = 0;
    for (int64_t k = 0; k < x->size; k++) {
        const double size = fabs(((const double *)x->data)[k]);
        if (!(size > 0.0 && size < (double)INFINITY)) continue;
        exponents += (double)ilogb(size);
        n++;
    }
    return n ? ldexp(1.0, (int)(exponents / (double)n)) : 0.0;
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
    p->t = gr_tape_new();
    p->points = gr_allocate((size_t)capacity * sizeof *p->points);
    for (int i = 0; i < capacity && p->points; i++) p->points[i] = (gr_point){0};
    if (!p->t || !p->points) return gr_last_status();
    for (int i = 0; i < of->n; i++) {
        p->start[i + 1] = p->start[i] + (of->x[i]->requires_grad ? of->x[i]->size : 0);
        p->saved[i] = gr_copy(of->x[i]);
        if (!p->saved[i]) return gr_last_status();
        if (of->x[i]->requires_grad) p->typical[i] = typical_size(p->saved[i]);
    }
    p->n_elements = p->start[of->n];
    p->parts = gr_probe_room(p, 1);
    return p->parts ? take_base(p) : gr_last_status();
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

void gr_probe_restore(const gr_probe *p)
{
    for (int i = 0; i < p->of.n; i++) memcpy(p->of.x[i]->data, p->saved[i]->data, gr_bytes(p->saved[i]));
}

gr_status gr_probe_close(gr_probe *p)
{
    gr_status status = GR_OK;
    gr_tape_free(p->t);
    for (int i = 0; i < p->of.n && p->saved[i]; i++) {
        if (restore(p->of.x[i], p->saved[i], i)) status = GR_ERR_STATE;
        gr_tensor_free(p->saved[i]);
    }
    for (int i = 0; i < p->capacity && p->points; i++) gr_release(p->points[i].values);
    gr_release(p->points);
    gr_release(p->parts);
    gr_release(p->base.values);
    gr_release(p->quanta);
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

/* The largest that is no larger than x, which is positive; of a subnormal number the smallest normal one. */
static double power_of_2(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= 0x7ff0000000000000u;
    memcpy(&x, &bits, sizeof bits);
    return x > 0.0 ? x : 0x1p-1022;
}

static double element_of(const gr_probe *p, int64_t k)
{
    const int i = gr_probe_input(p, k);
    return ((const double *)p->saved[i]->data)[k - p->start[i]];
}

double gr_probe_scale(const gr_probe *p, int64_t k)
{
    const gr_plain *plain = p->of.plain;
    double given = plain && plain->scale ? plain->scale[k] : p->scale;
    if (!(given > 0.0)) given = fabs(element_of(p, k));
    if (given > 0.0 && given < (double)INFINITY) return power_of_2(given);
    const double typical = p->typical[gr_probe_input(p, k)];
    return typical > 0.0 ? typical : 1.0;
}

/* Beside elements that are larger a small one has their scale, as a rule. */
double gr_probe_guess(const gr_probe *p)
{
    const gr_line *l = &p->line;
    if (l->chance) return 1.0;
    const bool given = p->scale > 0.0 || (p->of.plain && p->of.plain->scale);
    const double scale = gr_probe_scale(p, l->first), typical = p->typical[gr_probe_input(p, l->first)];
    return given ? scale : fmax(scale, 0.5 * typical);
}

double gr_probe_shortest(const gr_probe *p)
{
    const double x = p->line.chance ? 0x1p6 : fabs(element_of(p, p->line.first));
    const double bit = p->of.plain && p->of.plain->is_float ? 0x1p-22 : 0x1p-50;
    return x > 0.0 ? fmax(bit * power_of_2(x), 1e-290) : 1e-290;
}

bool gr_probe_is_fixed(const gr_probe *p, int64_t k)
{
    const gr_plain *plain = p->of.plain;
    return plain && plain->lower && plain->upper && plain->lower[k] == plain->upper[k];
}

/* By how much the element moves along the line, for t = 1: inward from a bound, not at all between equal ones. */
static double part_of(const gr_probe *p, int64_t k)
{
    const gr_plain *plain = p->of.plain;
    uint64_t z = p->line.chance;
    if (!z) return 1.0;
    gr_fold_branch(&z, k);
    gr_fold_branch(&z, k);
    const double magnitude = (double)(32 + (z >> 58 & 31)) / 64.0 * gr_probe_scale(p, k) * p->unit;
    if (gr_probe_is_fixed(p, k)) return 0.0;
    if (plain && plain->lower && element_of(p, k) <= plain->lower[k]) return magnitude;
    if (plain && plain->upper && element_of(p, k) >= plain->upper[k]) return -magnitude;
    return z >> 63 ? -magnitude : magnitude;
}

void gr_probe_move(const gr_probe *p, double part, uint64_t chance)
{
    const gr_plain *plain = p->of.plain;
    gr_rng rng = gr_rng_seed(p->seed + chance);
    for (int64_t k = 0, i = 0; k < p->n_elements; k++) {
        while (k >= p->start[i + 1]) i++;
        double *x = (double *)p->of.x[i]->data + (k - p->start[i]);
        if (part < 1e-6 && *x == 0.0) continue; /* 0 is not rounded */
        *x += part * gr_probe_scale(p, k) * (2.0 * gr_rng_uniform(&rng) - 1.0);
        if (plain && plain->lower) *x = fmax(*x, plain->lower[k]);
        if (plain && plain->upper) *x = fmin(*x, plain->upper[k]);
    }
}

static bool is_within(const gr_plain *plain, int64_t k, double x)
{
    return isfinite(x) && !(plain->lower && x < plain->lower[k]) && !(plain->upper && x > plain->upper[k]);
}

/* The inputs to x + t d, or to x itself again with t = 0. False if one is out of a plain function's bounds. */
static bool move_inputs(const gr_probe *p, double t)
{
    bool within = true;
    int i = gr_probe_input(p, p->line.first);
    for (int64_t k = p->line.first, end; k < p->line.last; k = end, i++) {
        const int64_t at = k - p->start[i];
        const double *saved = (const double *)p->saved[i]->data + at, *part = p->parts + k;
        double *x = (double *)p->of.x[i]->data + at;
        end = gr_lesser(p->line.last, p->start[i + 1]);
        for (int64_t j = 0; j < end - k; j++) x[j] = t == 0.0 ? saved[j] : saved[j] + t * part[j];
        for (int64_t j = 0; j < end - k && p->of.plain; j++) within &= is_within(p->of.plain, k + j, x[j]);
    }
    return within;
}

/* f at t into the ring: into a new place, or over the oldest point. NULL when p->refused says why. */
static gr_point *new_point(gr_probe *p, double t)
{
    gr_point *point = &p->points[p->next];
    if (p->refused) return NULL; /* the message stays */
    if (!point->values && !(point->values = new_values(p))) {
        p->refused = gr_last_status();
        return NULL;
    }
    p->next = (p->next + 1) % p->capacity;
    point->valid = false;
    const bool done = !move_inputs(p, t) || evaluate_point(p, point);
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
    assert(line.first >= 0 && line.first < line.last && line.last <= p->n_elements);
    p->line = line;
    p->unit = ldexp(1.0, -(int)(0.5 * log2((double)(line.last - line.first)) + 0.5));
    p->constant_moves = p->tied = false;
    memset(p->ties, 0, (size_t)p->n_terms);
    for (int i = 0; i < p->capacity; i++) p->points[i].t = 0.0; /* an empty place: f at 0 is the base */
    p->next = 0;
    for (int64_t k = line.first; k < line.last; k++) p->parts[k] = part_of(p, k);
    return GR_OK;
}

gr_status gr_probe_tie(gr_probe *p)
{
    if (p->tied) return GR_OK;
    p->tied = true;
    for (int64_t i = 0; i < p->n_terms; i++) p->quanta[i] = (double)INFINITY;
    if (p->of.plain) { /* which is given no NaN */
        memset(p->ties, GR_DEPENDS, (size_t)p->n_terms);
        return GR_OK;
    }
    gr_point *at_nan = new_point(p, (double)NAN);
    if (!at_nan) return p->refused;
    for (int64_t i = 0; i < p->n_terms; i++)
        if (!at_nan->valid || isnan(at_nan->values[i])) p->ties[i] |= GR_DEPENDS;
    at_nan->t = 0.0;
    return GR_OK;
}

/* The lowest bit of x that is set; infinite for 0. */
static double lowest_bit(double x)
{
    int exponent;
    const double fraction = frexp(x, &exponent);
    if (fraction == 0.0 || !isfinite(x)) return (double)INFINITY;
    int64_t bits = (int64_t)ldexp(fraction, 53);
    return ldexp((double)(bits & -bits), exponent - 53);
}

/* Values that are far smaller than at x are multiples of less, and one that has not moved tells nothing. */
static void note_quanta(gr_probe *p, const gr_point *at)
{
    for (int64_t i = 0; i < p->n_terms; i++) {
        const double size = fabs(at->values[i]);
        if (at->values[i] == p->base.values[i]) continue;
        if (p->ties[i] && p->quanta[i] > 0x1p-51 * size && size >= 0.5 * fabs(p->base.values[i]))
            p->quanta[i] = fmin(p->quanta[i], lowest_bit(at->values[i]));
    }
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
    if (p->tied && fabs(t) <= gr_probe_guess(p)) note_quanta(p, point); /* numbers far away are round */
    return point;
}

/* ---- Differences -------------------------------------------------------------------------------------------- */

static double weight_of_term(const gr_probe *p, int64_t term) { return p->output < 0 ? p->weights[term] : 1.0; }

static int64_t first_term(const gr_probe *p) { return p->output < 0 ? 0 : p->output; }
static int64_t end_of_terms(const gr_probe *p) { return p->output < 0 ? p->n_terms : p->output + 1; }

static inline double larger(double a, double b) { return a > b ? a : b; }

/* A term as it is summed, at whichever of two points it is larger. */
static inline double size_of_term(const gr_probe *p, int64_t term, const gr_point *a, const gr_point *b)
{
    return fabs(weight_of_term(p, term)) * larger(fabs(a->values[term]), fabs(b->values[term]));
}

/* Over the terms that are tied to the line, or over all where that is not known:
 *
 *     value  = sum of weight_i (a_i - b_i)
 *     second = sum of weight_i (a_i - 2 base_i + b_i)
 *     total  = sum of |weight_i (a_i - b_i)|
 *     around = sum of |weight_i| (|a_i - base_i| + |base_i - b_i|)
 *     noise  = 2^-50 sqrt(sum of size_i^2),  size_i = |weight_i| max(|a_i|, |b_i|)
 *
 * For float code it is 2^-24, and never less than the smallest number. */
gr_difference gr_probe_difference(const gr_probe *p, const gr_point *a, const gr_point *b)
{
    const double *const base = p->base.values;
    exact first = {0}, second = {0};
    double squares = 0.0, largest = 0.0, total = 0.0, around = 0.0;
    for (int64_t i = first_term(p), end = end_of_terms(p); i < end; i++) {
        const double u = a->values[i], v = b->values[i], weight = weight_of_term(p, i);
        if ((p->tied && !p->ties[i]) || (u == v && !isfinite(u))) continue;
        const double size = size_of_term(p, i, a, b);
        squares += size * size;
        largest = larger(size, largest); /* whose square may be too small to be there */
        if (u == v && u == base[i]) continue;
        total += fabs(weight * (u - v));
        around += fabs(weight) * (fabs(u - base[i]) + fabs(base[i] - v));
        add(&first, weight * (u - v));
        add(&second, weight * ((u - base[i]) - (base[i] - v)));
    }
    if (p->output < 0 && p->constant_moves) {
        largest = larger(fabs(a->constant), largest);
        add(&first, a->constant - b->constant);
        add(&second, (a->constant - p->base.constant) - (p->base.constant - b->constant));
    }
    if (squares > 1e300 && largest < (double)INFINITY) squares = 0.0; /* too large to be squared: the largest must do */
    const double size = larger(largest, sqrt(squares));
    const double rounding = p->of.plain && p->of.plain->is_float ? 0x1p-24 : 0x1p-50;
    return (gr_difference){first.sum + first.rest, second.sum + second.rest, total, around,
                           rounding * size + 0x1p-1074};
}

double gr_probe_rounding(gr_probe *p, double h)
{
    enum { TIMES = 2 };
    double most = 0.0;
    assert(p->tied && p->capacity > TIMES);
    for (int i = 0; i < 2 * TIMES && !p->of.plain; i++) {
        p->t->rounding = 0x9e3779b97f4a7c15u * (uint64_t)(1 + i);
        gr_point *rounded = new_point(p, i % 2 ? -h : h);
        p->t->rounding = 0;
        if (!rounded) return most;
        rounded->t = 0.0; /* an empty place: it is no point of the line */
        const gr_point *as_it_is = gr_probe_at(p, i % 2 ? -h : h);
        if (!as_it_is || !as_it_is->valid || !rounded->valid) return most;
        most = fmax(most, fabs(gr_probe_difference(p, rounded, as_it_is).value));
    }
    return most;
}

double gr_probe_quantum(const gr_probe *p)
{
    double most = 0.0;
    for (int64_t i = first_term(p); p->tied && i < end_of_terms(p); i++)
        if (p->ties[i] & GR_MOVED && p->quanta[i] < (double)INFINITY)
            most = fmax(most, fabs(weight_of_term(p, i)) * p->quanta[i]);
    return most;
}

double gr_probe_value(const gr_probe *p, const gr_point *a)
{
    if (p->output >= 0) return a->values[p->output];
    return a == &p->base ? p->value : sum_of_terms(p, a);
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

gr_status gr_probe_slope_at(gr_probe *p, double t, double *gradient, double *slope)
{
    *slope = (double)NAN;
    const gr_status status = move_inputs(p, t) ? gr_probe_gradient(p, p->output, gradient) : GR_ERR_VALUE;
    move_inputs(p, 0.0);
    if (status) return status == GR_ERR_MEMORY ? status : GR_OK;
    *slope = 0.0;
    for (int64_t k = p->line.first; k < p->line.last; k++) *slope += gradient[k] * p->parts[k];
    return GR_OK;
}
