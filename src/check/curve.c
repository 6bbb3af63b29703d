/* curve.c: the error of the plain central difference by its step, in F64 and in F32. */
#include "check/check_internal.h"

/* Copies of the inputs, those of floating point in the given dtype. */
typedef struct copies {
    gr_tape *t;
    gr_tensor *x[GR_CHECK_MAX_INPUTS];
} copies;

static gr_status make_copies(copies *c, gr_tensor *const x[], int n, gr_dtype dtype)
{
    *c = (copies){.t = gr_tape_new()};
    for (int i = 0; c->t && i < n; i++) {
        c->x[i] = x[i]->dtype == GR_I32 ? gr_copy(x[i]) : gr_copy_as(dtype, x[i]);
        if (!c->x[i]) return gr_last_status();
        c->x[i]->requires_grad = x[i]->requires_grad;
    }
    return c->t ? GR_OK : gr_last_status();
}

static void free_copies(copies *c, int n)
{
    gr_tape_free(c->t);
    for (int i = 0; i < n; i++) gr_tensor_free(c->x[i]);
}

/* f at the copies, summed with the weights of a check whose options are NULL. */
static gr_status value_at(const gr_subject *of, const copies *c, double *value)
{
    const gr_tensor *y = gr_subject_run(of, c->t, c->x);
    if (!y) return gr_last_status();
    gr_rng rng = gr_rng_seed(0);
    const gr_tensor *weights = y->size == 1 ? NULL : gr_random_weights(c->t, y, &rng);
    if (!weights && y->size != 1) return gr_last_status();
    *value = 0.0;
    for (int64_t k = 0; k < y->size; k++) *value += (weights ? gr_element(weights, k) : 1.0) * gr_element(y, k);
    return GR_OK;
}

/* (f(x+h) - f(x-h)) / 2h by that element; NaN outside of where f is defined. */
static gr_status central_difference(const gr_subject *of, const copies *c, int input, int64_t index, double h,
                                    double *d)
{
    gr_tensor *moved = c->x[input];
    const double at = gr_get(moved, index);
    double above = 0.0, below = 0.0;
    gr_status status = gr_set(moved, index, at + h);
    if (!status) status = value_at(of, c, &above);
    if (!status) status = gr_set(moved, index, at - h);
    if (!status) status = value_at(of, c, &below);
    *d = status ? (double)NAN : (above - below) / (2.0 * h);
    gr_status restored = gr_set(moved, index, at);
    return status == GR_ERR_VALUE || status == GR_ERR_INDEX ? restored : status;
}

gr_status gr_check_curve(gr_check_function f, void *context, gr_tensor *const x[], int n, int input, int64_t index,
                         gr_check_point points[], int n_points, gr_check_element *e)
{
    if (!points) return gr_fail_null("check_curve", "the list of points");
    if (n_points < 0) return gr_fail(GR_ERR_OPTION, "check_curve: %d points, expected 0 or more", n_points);
    for (int i = 0; i < n_points; i++)
        if (!(points[i].h > 0.0 && isfinite(points[i].h)))
            return gr_fail(GR_ERR_OPTION, "check_curve: step %d is %s, expected a finite number above 0", i,
                           GR_NUMBER_TEXT(points[i].h));
    if (gr_check_one(f, context, x, n, input, index, NULL, e)) return gr_last_status();
    const gr_subject of = {f, context, x, n, NULL};
    for (int single = 0; single < 2; single++) {
        copies c;
        double d = (double)NAN;
        gr_status status = make_copies(&c, x, n, single ? GR_F32 : GR_F64);
        for (int i = 0; i < n_points; i++) {
            if (!status) status = central_difference(&of, &c, input, index, points[i].h, &d);
            *(single ? &points[i].f32 : &points[i].f64) = status ? (double)NAN : fabs(d - e->analytic);
        }
        free_copies(&c, n);
        if (status && !(single && status == GR_ERR_DTYPE)) return status;
    }
    gr_clear_error();
    return GR_OK;
}
