/* taylor.c: how fast what Taylor's series leaves of f shrinks, along a direction v:
 *
 *     r0(h) = |f(x+hv) - f(x)|                            as h
 *     r1(h) = |f(x+hv) - f(x) - h g.v|                    as h^2; as h where g is not the gradient
 *     r2(h) = |f(x+hv) - f(x) - h g.v - h^2/2 v.Hv|       as h^3
 *
 * The order is the slope of log r against log h. Long steps are off the series, and short ones drown in rounding: what
 * counts is the shortest steps whose remainder is above the noise, and all longer ones on one line with them. An error
 * in g.v that the tolerance accepts is noise of r1, one of rounding also of r2. */
#include "check/check_internal.h"

/* A line is that of LEAST_STEPS or more; after MANY_HIDDEN steps in the noise there is nothing more to see. */
enum { MAX_STEPS = 52, LEAST_STEPS = 3, MANY_HIDDEN = 6 };

/* Remainders at steps 1, 1/2, 1/4, ... of the direction, from the last one on at which f had no value. */
typedef struct ladder {
    int n;
    double h[MAX_STEPS], r[GR_CHECK_ORDERS][MAX_STEPS], noise[GR_CHECK_ORDERS][MAX_STEPS];
} ladder;

/* f's terms along a direction, g.v and v.Hv, the noise of f, and by how much h g.v may be off in each remainder. */
typedef struct series {
    double first, second, noise, off[GR_CHECK_ORDERS];
} series;

static void add_step(const gr_probe *p, const series *s, const gr_point *at, ladder *l)
{
    const double h = at->t;
    const gr_difference f = gr_probe_difference(p, at, &p->base);
    const double r[] = {f.value, f.value - h * s->first, f.value - h * s->first - 0.5 * h * h * s->second};
    l->h[l->n] = fabs(h);
    for (int k = 0; k < GR_CHECK_ORDERS; k++) {
        l->r[k][l->n] = fabs(r[k]);
        l->noise[k][l->n] = 8.0 * (f.noise + s->noise) + s->off[k] * fabs(h);
    }
    l->n++;
}

/* Upward, or with h = -1 downward. */
static gr_status climb_down(gr_probe *p, const series *s, double h, ladder *l)
{
    int hidden = 0;
    l->n = 0;
    for (int i = 0; i < MAX_STEPS && hidden < MANY_HIDDEN; i++, h *= 0.5) {
        const gr_point *at = gr_probe_at(p, h);
        if (!at) return p->refused;
        if (!at->valid || at->signature != p->base.signature) l->n = 0;
        else add_step(p, s, at, l);
        hidden = l->n && l->r[1][l->n - 1] <= l->noise[1][l->n - 1] ? hidden + 1 : 0;
    }
    return GR_OK;
}

/* The order of a remainder and the steps it is from; infinite where all is noise, NaN where the steps are too few. */
static double order_of(const ladder *l, int k, double range[2])
{
    const double *r = l->r[k], *noise = l->noise[k];
    double order = (double)NAN, x = 0.0, y = 0.0, xx = 0.0, xy = 0.0;
    int last = l->n - 1, steps = 0;
    while (last >= 0 && r[last] <= noise[last]) last--;
    if (last < 0) return l->n ? (double)INFINITY : (double)NAN;
    range[1] = l->h[last];
    for (int i = last; i >= 0 && r[i] > noise[i]; i--, steps++) {
        if (steps > LEAST_STEPS && fabs(log2(r[i] / r[i + 1]) - order) > 0.15) break;
        const double n = steps + 1.0, u = steps, v = log2(r[i]);
        x += u, y += v, xx += u * u, xy += u * v;
        if (steps >= LEAST_STEPS) order = (n * xy - x * y) / (n * xx - x * x);
        range[0] = l->h[i];
    }
    return order;
}

/* v.Hv, from g.v differentiated once more; NaN where that cannot be done. */
static gr_status second_along(gr_checker *c, double *second)
{
    gr_probe *p = &c->probe;
    gr_tensor *wanted[GR_CHECK_MAX_INPUTS], *d[GR_CHECK_MAX_INPUTS], *along = NULL, *y = gr_probe_run(p);
    int n = 0;
    *second = (double)NAN;
    for (int i = 0; i < p->of.n; i++)
        if (p->of.x[i]->requires_grad && p->of.x[i]->size) wanted[n++] = p->of.x[i];
    if (!y || !gr_requires_grad(y)) return y ? GR_OK : gr_last_status();
    gr_status status = gr_vjp(p->t, y, gr_probe_cotangent(p, y), wanted, n, d, GR_CREATE_GRAPH);
    for (int64_t i = 0, k = 0; i < n && !status; i++) {
        gr_tensor *v = gr_result(p->t, GR_F64, wanted[i]->rank, wanted[i]->shape);
        for (int64_t j = 0; v && j < v->size; j++) ((double *)v->data)[j] = p->parts[k++];
        gr_tensor *part = gr_sum(p->t, gr_mul(p->t, d[i], v), GR_ALL_AXES, false);
        along = along ? gr_add(p->t, along, part) : part;
        if (!along) status = gr_last_status();
    }
    p->backwards++;
    if (!status && gr_requires_grad(along)) {
        status = gr_probe_vjp(p, along, NULL, p->of.x, 0, c->other);
        *second = status ? (double)NAN : 0.0;
        for (int64_t k = 0; k < p->n_elements && !status; k++) *second += c->other[k] * p->parts[k];
    }
    if (!status || status == GR_ERR_MEMORY) return status;
    gr_clear_error(); /* an op whose VJP has no derivative */
    return GR_OK;
}

gr_status gr_check_orders(gr_checker *c, const gr_judged *j, const gr_slope *slope, gr_check_element *e)
{
    gr_probe *p = &c->probe;
    gr_check_report *r = c->report;
    const double rounding = 0x1p-46 * slope->terms_slope, tolerated = c->options.rtol * j->relative_to + rounding;
    series s = {.first = j->analytic, .noise = slope->noise, .off = {0.0, tolerated, rounding}};
    ladder l;
    double order[GR_CHECK_ORDERS], range[GR_CHECK_ORDERS][2] = {{0.0}};
    if (second_along(c, &s.second) || climb_down(p, &s, 1.0, &l)) return gr_last_status();
    if (l.n <= LEAST_STEPS && climb_down(p, &s, -1.0, &l)) return gr_last_status();
    for (int k = 0; k < GR_CHECK_ORDERS; k++) order[k] = order_of(&l, k, range[k]);
    const bool bears_out = order[1] >= 1.9;
    if (bears_out ? e->verdict == GR_CHECK_FAIL : e->verdict == GR_CHECK_PASS) e->verdict = GR_CHECK_UNRESOLVED;
    if (r->order[0] != 0.0 && order[1] >= r->order[1]) return p->refused; /* the least of all directions */
    memcpy(r->order, order, sizeof order);
    memcpy(r->range, range[1], sizeof r->range);
    return p->refused;
}
