/* check.c: central differences against the tape. */
#include <gradus/check.h>
#include <math.h>

#include "internal.h"

typedef struct checker {
    gr_tape *t;
    gr_check_function f;
    void *context;
    gr_tensor *const *x;
    int n;
    gr_check_options options;
} checker;

static void or_default(double *value, double otherwise)
{
    if (*value == 0.0) *value = otherwise;
}

/* A cotangent for a result of more than one element: numbers in [1/2, 3/2), so that no constant direction of the
 * function (the sum of a softmax is always 1) can hide an error. */
static gr_tensor *cotangent_for(checker *c, const gr_tensor *y)
{
    gr_tensor *g = gr_result(c->t, GR_F64, y->rank, y->shape);
    gr_rng rng = gr_rng_seed(c->options.seed);
    for (int64_t i = 0; g && i < g->size; i++) ((double *)g->data)[i] = 0.5 + gr_rng_uniform(&rng);
    return g;
}

static gr_tensor *evaluate(checker *c)
{
    gr_clear_error();
    gr_tensor *y = c->f(c->t, c->x, c->n, c->context);
    if (!y) return gr_fail_null("check_gradients", "the function's result"), NULL;
    if (y->dtype == GR_F64) return y;
    gr_fail(GR_ERR_DTYPE, "check_gradients: the function's result is %s, expected f64", gr_dtype_name(gr_type_of(y)));
    return NULL;
}

/* sum(cotangent * f) at the inputs as they are. Recording stays on: the function may differentiate on its own. */
static gr_status value_of(checker *c, double *value)
{
    gr_tape_reset(c->t);
    gr_tensor *y = evaluate(c);
    if (!y) return gr_last_status();
    gr_tensor *g = cotangent_for(c, y);
    if (!g) return gr_last_status();
    *value = 0.0;
    for (int64_t i = 0; i < y->size; i++) *value += ((const double *)g->data)[i] * ((const double *)y->data)[i];
    return GR_OK;
}

/* (f(x + h) - f(x - h)) / 2h for one element, which is put back; h is made exactly representable. */
static gr_status difference(checker *c, double *element, double *slope)
{
    const double x = *element, h = c->options.step * fmax(1.0, fabs(x));
    volatile double above = x + h, below = x - h;
    double f_above = 0.0, f_below = 0.0;
    *element = above;
    gr_status status = value_of(c, &f_above);
    *element = below;
    if (!status) status = value_of(c, &f_below);
    *element = x;
    *slope = (f_above - f_below) / (above - below);
    return status;
}

static void compare(const checker *c, gr_check_report *r, int input, int64_t index, double analytic, double numeric)
{
    double larger = fmax(fabs(analytic), fabs(numeric));
    double error = fabs(analytic - numeric) / (c->options.atol + c->options.rtol * larger);
    bool failed = !(error <= 1.0); /* NaN fails */
    r->compared++;
    r->failed += failed;
    if (r->compared > 1 && !(error > r->error) && !(isnan(error) && !isnan(r->error))) return;
    r->input = input;
    r->index = index;
    r->analytic = analytic;
    r->numeric = numeric;
    r->error = error;
}

/* Copies of the analytic gradients: the tape is reset for every difference. */
static gr_status analytic(checker *c, gr_tensor *gradient[])
{
    gr_tensor *y = evaluate(c);
    if (!y) return gr_last_status();
    gr_tensor *wanted[GR_CHECK_MAX_INPUTS], *found[GR_CHECK_MAX_INPUTS];
    int m = 0;
    for (int i = 0; i < c->n; i++)
        if (c->x[i]->requires_grad) wanted[m++] = c->x[i];
    if (!y->requires_grad) return GR_OK;
    gr_tensor *g = cotangent_for(c, y);
    if (!g || gr_vjp(c->t, y, g, wanted, m, found, 0)) return gr_last_status();
    for (int i = 0, k = 0; i < c->n; i++)
        if (c->x[i]->requires_grad && !(gradient[i] = gr_copy(found[k++]))) return gr_last_status();
    return GR_OK;
}

static gr_status compare_all(checker *c, gr_check_report *r)
{
    gr_tensor *gradient[GR_CHECK_MAX_INPUTS] = {NULL};
    gr_status status = analytic(c, gradient);
    for (int i = 0; i < c->n && !status; i++) {
        if (!c->x[i]->requires_grad) continue;
        double *x = c->x[i]->data;
        for (int64_t k = 0; k < c->x[i]->size && !status; k++) {
            double slope;
            status = difference(c, &x[k], &slope);
            if (!status) compare(c, r, i, k, gradient[i] ? gr_get(gradient[i], k) : 0.0, slope);
        }
    }
    for (int i = 0; i < c->n; i++) gr_tensor_free(gradient[i]);
    return status;
}

static gr_status usable(gr_tensor *const x[], int n)
{
    if (n < 1 || n > GR_CHECK_MAX_INPUTS)
        return gr_fail(GR_ERR_OPTION, "check_gradients: %d inputs, expected 1 to %d", n, GR_CHECK_MAX_INPUTS);
    for (int i = 0; i < n; i++) {
        if (!x[i]) return gr_fail_null("check_gradients", "an input");
        if (x[i]->tape) return gr_fail(GR_ERR_STATE, "check_gradients: input %d is a result of a tape, not a leaf", i);
        if (x[i]->requires_grad && x[i]->dtype != GR_F64)
            return gr_fail(GR_ERR_DTYPE, "check_gradients: input %d is %s, expected f64", i, gr_dtype_name(gr_type_of(x[i])));
    }
    return GR_OK;
}

gr_status gr_check_gradients(gr_check_function f, void *context, gr_tensor *const x[], int n, const gr_check_options *options,
                             gr_check_report *report)
{
    if (!f || !x || !report) return gr_fail_null("check_gradients", !f ? "the function" : !x ? "the list of inputs" : "the report");
    *report = (gr_check_report){.verdict = GR_CHECK_VACUOUS, .input = -1, .index = -1};
    if (usable(x, n)) return gr_last_status();
    checker c = {.t = gr_tape_new(), .f = f, .context = context, .x = x, .n = n};
    if (!c.t) return gr_last_status();
    if (options) c.options = *options;
    or_default(&c.options.step, 6e-6);
    or_default(&c.options.rtol, 1e-6);
    or_default(&c.options.atol, 1e-8);
    gr_status status = compare_all(&c, report);
    if (!status && report->compared) report->verdict = report->failed ? GR_CHECK_FAIL : GR_CHECK_PASS;
    gr_tape_free(c.t);
    return status;
}

void gr_check_fprint(FILE *file, const gr_check_report *r)
{
    if (r->verdict == GR_CHECK_VACUOUS) {
        fprintf(file, "VACUOUS: nothing was compared\n");
        return;
    }
    fprintf(file, "%s: %lld of %lld elements agree; the worst is input %d at %lld: analytic %.10g, numeric %.10g\n",
            r->verdict == GR_CHECK_PASS ? "PASS" : "FAIL", (long long)(r->compared - r->failed), (long long)r->compared,
            r->input, (long long)r->index, r->analytic, r->numeric);
}
