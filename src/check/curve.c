/* curve.c: the error of the plain central difference by its step, in F64 and in F32. */
#include "check/check_internal.h"

/* f at x[], summed with the weights of a check whose options are NULL. */
static gr_status value_at(const gr_subject *of, gr_tape *t, gr_tensor *const x[], double *value)
{
    const gr_tensor *y = gr_subject_run(of, t, x);
    if (!y) return gr_last_status();
    gr_rng rng = gr_rng_seed(0);
    const gr_tensor *weights = y->size == 1 ? NULL : gr_random_weights(t, y, &rng);
    if (!weights && y->size != 1) return gr_last_status();
    *value = 0.0;
    for (int64_t k = 0; k < y->size; k++) *value += (weights ? gr_element(weights, k) : 1.0) * gr_element(y, k);
    return GR_OK;
}

/* (f(x+h) - f(x-h)) / 2h by element `index` of `moved`, one of x[]; NaN outside of where f is defined. */
static gr_status central_difference(const gr_subject *of, gr_tape *t, gr_tensor *const x[], gr_tensor *moved,
                                    int64_t index, double h, double *d)
{
    const double at = gr_get(moved, index);
    double above = 0.0, below = 0.0;
    gr_status status = gr_set(moved, index, at + h);
    if (!status) status = value_at(of, t, x, &above);
    if (!status) status = gr_set(moved, index, at - h);
    if (!status) status = value_at(of, t, x, &below);
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
        gr_tensor *copy[GR_CHECK_MAX_INPUTS] = {NULL};
        double d = (double)NAN;
        gr_tape *t = gr_tape_new();
        gr_status status = t ? gr_check_copies(x, n, single ? GR_F32 : GR_F64, copy) : gr_last_status();
        for (int i = 0; i < n_points; i++) {
            if (!status) status = central_difference(&of, t, copy, copy[input], index, points[i].h, &d);
            *(single ? &points[i].f32 : &points[i].f64) = status ? (double)NAN : fabs(d - e->analytic);
        }
        gr_tape_free(t);
        for (int i = 0; i < n; i++) gr_tensor_free(copy[i]);
        if (status && !(single && status == GR_ERR_DTYPE)) return status;
    }
    gr_clear_error();
    return GR_OK;
}
