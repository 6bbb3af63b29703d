/* plain.c: a plain C function and its derivative as a function of the tape: one op, whose kernel calls the one and
 * whose VJP calls the other. */
#include <gradus/check_plain.h>

#include "autograd/op_kit.h"
#include "check/check_internal.h"

static const char who[] = "check_plain";

/* What the op's options point to. */
typedef struct plain_call {
    const gr_plain *problem;
    const double *direction; /* order 2: the function is the sum of direction[i] g[i] */
    double *row;             /* room for n numbers, */
    double *jacobian;        /* for the Jacobian or its entries, and for the x that it is of */
    double *jacobian_at;
    int64_t jacobians; /* how often it was asked for */
} plain_call;

static plain_call *call_of(const gr_node *n) { return *(plain_call *const *)n->attr; }

static int64_t entries_of(const gr_plain *p) { return p->row ? p->nonzeros : p->m * p->n; }

/* ---- The op --------------------------------------------------------------------------------------------------- */

static gr_status plain_shape(const gr_node *n, gr_type *type)
{
    const gr_plain *p = call_of(n)->problem;
    type->dtype = GR_F64;
    type->rank = p->vector ? 1 : 0;
    type->shape[0] = p->m;
    return GR_OK;
}

/* Where the function ends is no point to compare: GR_ERR_VALUE. */
static gr_status fail_end(const char *what, int status)
{
    if (status) return gr_fail(GR_ERR_VALUE, "%s: %s returns %d", who, what, status);
    return gr_fail(GR_ERR_VALUE, "%s: %s is not finite", who, what);
}

/* What a function leaves unwritten is NaN. */
static void clear(double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = (double)NAN;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static gr_status plain_forward(gr_node *n)
{
    const plain_call *call = call_of(n);
    const gr_plain *p = call->problem;
    const double *x = n->in[0]->data;
    double *y = n->out->data;
    int status = 0;
    clear(y, n->out->size);
    clear(call->row, p->n);
    if (p->vector) status = p->vector(x, y, p->context);
    else if (!call->direction) *y = p->f(x, p->context);
    else if (!(status = p->gradient(x, call->row, p->context))) *y = dot(call->direction, call->row, p->n);
    const char *what = p->vector ? "the vector" : call->direction ? "the gradient" : "f";
    if (status) return fail_end(what, status);
    for (int64_t i = 0; i < n->out->size; i++)
        if (!isfinite(y[i])) return fail_end(what, 0);
    return GR_OK;
}

/* ---- Its derivative ------------------------------------------------------------------------------------------- */

/* J(x) in call->jacobian: it is asked for once, however many rows of it are wanted. But the first two times, which must
 * be the same to the bit, it is asked for anew. */
static int jacobian_at(plain_call *call, const double *x)
{
    const gr_plain *p = call->problem;
    const size_t bytes = (size_t)p->n * sizeof *x;
    if (call->jacobians++ >= 2 && memcmp(call->jacobian_at, x, bytes) == 0) return 0;
    clear(call->jacobian, entries_of(p));
    const int status = p->jacobian(x, call->jacobian, p->context);
    memcpy(call->jacobian_at, x, bytes);
    if (status) call->jacobian_at[0] = (double)NAN;
    return status;
}

/* d = J^T g */
static void pull_back(const plain_call *call, const double *g, double *d)
{
    const gr_plain *p = call->problem;
    const double *j = call->jacobian;
    memset(d, 0, (size_t)p->n * sizeof *d);
    for (int64_t k = 0; p->row && k < p->nonzeros; k++)
        if (g[p->row[k]] != 0.0) d[p->column[k]] += g[p->row[k]] * j[k];
    for (int64_t i = 0; !p->row && i < p->m; i++)
        for (int64_t k = 0; k < p->n && g[i] != 0.0; k++) d[k] += g[i] * j[i * p->n + k];
}

/* The gradient as an op, which hessian_vector differentiates. */
static gr_status slope_forward(gr_node *n)
{
    const gr_plain *p = call_of(n)->problem;
    const int status = p->gradient(n->in[0]->data, n->out->data, p->context);
    return status ? fail_end("the gradient", status) : GR_OK;
}

static gr_tensor *slope_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_plain *p = call_of(n)->problem;
    gr_tensor *d = gr_result(t, GR_F64, 1, &p->n);
    if (!d) return NULL;
    clear(d->data, p->n);
    const int status = p->hessian_vector(n->in[0]->data, g->data, d->data, p->context);
    return status ? fail_end("hessian_vector", status), NULL : d;
}

static const gr_op slope_op = {.name = "gradient",
                               .formula = "y = df/dx",
                               .n_in = 1,
                               .attr_size = sizeof(const plain_call *),
                               .shape = gr_shape_same,
                               .forward[GR_ANY_CPU] = {[GR_F64] = slope_forward},
                               .vjp = {slope_vjp}};

static gr_tensor *plain_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    plain_call *call = call_of(n);
    const gr_plain *p = call->problem;
    gr_tensor *d = gr_result(t, GR_F64, 1, &p->n);
    if (!d) return NULL;
    const double *x = n->in[0]->data;
    int status;
    clear(d->data, p->n);
    if (p->vector) status = jacobian_at(call, x);
    else if (call->direction) status = p->hessian_vector(x, call->direction, d->data, p->context);
    else status = p->gradient(x, d->data, p->context);
    if (status) return gr_fail(GR_ERR_VALUE, "%s: the derivative returns %d", who, status), NULL;
    if (p->vector) pull_back(call, g->data, d->data);
    if (p->vector) return d;
    const bool again = p->hessian_vector && !call->direction && !gr_takes_shortcut(t);
    return gr_mul(t, g, again ? gr_apply(t, &slope_op, n->in, 1, &call) : d);
}

static const gr_op plain_op = {.name = "plain",
                               .formula = "y = f(x)",
                               .n_in = 1,
                               .attr_size = sizeof(const plain_call *),
                               .shape = plain_shape,
                               .forward[GR_ANY_CPU] = {[GR_F64] = plain_forward},
                               .vjp = {plain_vjp}};

static gr_tensor *run_plain(gr_tape *t, gr_tensor *const x[], int n, void *call)
{
    return gr_apply(t, &plain_op, x, n, &call);
}

/* ---- Places ---------------------------------------------------------------------------------------------------- */

static bool is_given(const gr_plain *p, int64_t row, int64_t column)
{
    int64_t k = 0;
    while (k < p->nonzeros && !(p->row[k] == row && p->column[k] == column)) k++;
    return k < p->nonzeros;
}

/* Of a Jacobian with one row no row is noted. */
static int64_t row_of(const gr_check_element *e) { return e->output < 0 ? 0 : e->output; }

#define AT(e) (long long)row_of(e), (long long)(e)->index

/* Tells wrong places of a sparse Jacobian from wrong numbers: y depends on x where no entry is given, which is missing
 * then, or it does not where there is one. */
static void hint_at_places(const gr_plain *p, gr_check_report *r)
{
    const gr_check_element *missing = NULL, *needless = NULL;
    for (int i = r->n_worst - 1; i >= 0; i--) {
        const gr_check_element *e = &r->worst[i];
        if (e->verdict != GR_CHECK_FAIL) continue;
        if (!is_given(p, row_of(e), e->index)) missing = e;
        else if (isfinite(e->analytic) && fabs(e->numeric) <= GR_CONFIDENCE * e->error) needless = e;
    }
    char *hint = r->hint;
    const size_t room = sizeof r->hint;
    if (missing && needless)
        snprintf(hint, room,
                 "wrong places: no entry is given at [%lld,%lld], where the Jacobian is %s, and there is one at "
                 "[%lld,%lld], where it is 0",
                 AT(missing), GR_DIGITS(6, missing->numeric), AT(needless));
    else if (missing)
        snprintf(hint, room, "a missing place: no entry is given at [%lld,%lld], where the Jacobian is %s", AT(missing),
                 GR_DIGITS(6, missing->numeric));
    else if (needless)
        snprintf(hint, room, "an entry at [%lld,%lld] is not 0, as the Jacobian is: a wrong place, or number",
                 AT(needless));
    else {
        char numbers[240];
        snprintf(numbers, sizeof numbers, "%.239s", hint);
        snprintf(hint, room, "the places are right, the numbers are not%s%s", *numbers ? ": " : "", numbers);
    }
}

/* ---- The problem ---------------------------------------------------------------------------------------------- */

static gr_status expect_functions(const gr_plain *p, int order)
{
    const char *missing = NULL;
    if (!p->f == !p->vector) missing = "f or vector, and not both";
    else if (order == 2 && !(p->gradient && p->hessian_vector)) missing = "gradient and hessian_vector for order 2";
    else if (p->f && !p->gradient) missing = "gradient";
    else if (p->vector && (!p->jacobian || order == 2)) missing = order == 2 ? "f for order 2" : "jacobian";
    if (missing) return gr_fail(GR_ERR_NULL, "%s: the problem needs %s", who, missing);
    if (p->n < 1 || (p->vector && p->m < 1) || p->nonzeros < 0 || !p->row != !p->column)
        return gr_fail(GR_ERR_OPTION, "%s: n %lld, m %lld, %lld nonzeros: expected 1 or more, and row with column", who,
                       (long long)p->n, (long long)p->m, (long long)p->nonzeros);
    for (int64_t k = 0; p->row && k < p->nonzeros; k++)
        if (p->row[k] < 0 || p->row[k] >= p->m || p->column[k] < 0 || p->column[k] >= p->n)
            return gr_fail(GR_ERR_INDEX, "%s: entry %lld is at [%lld,%lld] of a Jacobian [%lld,%lld]", who,
                           (long long)k, (long long)p->row[k], (long long)p->column[k], (long long)p->m,
                           (long long)p->n);
    return GR_OK;
}

static gr_status expect_numbers(const gr_plain *p, const double x[])
{
    for (int64_t k = 0; k < p->n; k++) {
        const double lower = p->lower ? p->lower[k] : -(double)INFINITY,
                     upper = p->upper ? p->upper[k] : (double)INFINITY;
        if (!isfinite(x[k]) || !(x[k] >= lower && x[k] <= upper))
            return gr_fail(GR_ERR_VALUE, "%s: x[%lld] is %s, expected a finite number in [%s,%s]", who, (long long)k,
                           GR_NUMBER_TEXT(x[k]), GR_NUMBER_TEXT(lower), GR_NUMBER_TEXT(upper));
        if (p->scale && !(p->scale[k] > 0.0 && isfinite(p->scale[k])))
            return gr_fail(GR_ERR_OPTION, "%s: scale[%lld] is %s, expected a finite number above 0", who, (long long)k,
                           GR_NUMBER_TEXT(p->scale[k]));
    }
    return GR_OK;
}

/* The options as they are for a plain function. */
static gr_status plain_options(const gr_plain *p, const gr_check_options *given, gr_check_options *o)
{
    *o = given ? *given : (gr_check_options){0};
    if (o->mode == GR_CHECK_PER_NODE || o->mode == GR_CHECK_ACCUMULATION || o->mode == GR_CHECK_F32)
        return gr_fail(GR_ERR_OPTION, "%s: mode \"%s\" is for functions on a tape", who, gr_check_mode_name(o->mode));
    if (o->mode == GR_CHECK_FULL && p->vector) o->mode = GR_CHECK_JACOBIAN;
    return GR_OK;
}

/* With order 2 the function under check is the sum of random weights times the gradient: its own order is 1. */
static gr_status check_call(plain_call *call, gr_tensor *x, gr_check_options *o, gr_check_report *report)
{
    const gr_plain *p = call->problem;
    if (o->order == 2) {
        gr_rng rng = gr_rng_seed(o->seed + 1u);
        double *direction = call->row + p->n;
        for (int64_t k = 0; k < p->n; k++) direction[k] = 0.5 + gr_rng_uniform(&rng);
        call->direction = direction;
        o->order = 1;
    }
    const gr_status status = gr_check_subject(&(gr_subject){run_plain, call, &x, 1, p}, o, report);
    if (!status && p->row && report->verdict == GR_CHECK_FAIL && o->mode == GR_CHECK_JACOBIAN)
        hint_at_places(p, report);
    return status;
}

gr_status gr_check_plain(const gr_plain *p, const double x[], const gr_check_options *options, gr_check_report *report)
{
    gr_check_options o;
    if (!p || !x || !report) return gr_fail_null(who, !p ? "the problem" : !x ? "x" : "the report");
    if (plain_options(p, options, &o) || expect_functions(p, o.order) || expect_numbers(p, x)) return gr_last_status();
    const size_t n = (size_t)p->n, entries = p->vector ? (size_t)entries_of(p) : 0;
    double *room = gr_allocate((3 * n + entries) * sizeof *room);
    gr_tensor *leaf = gr_from(GR_F64, 1, &p->n, x);
    gr_status status = room && leaf ? gr_require_grad(leaf) : gr_last_status();
    if (!status) {
        plain_call call = {.problem = p, .row = room, .jacobian_at = room + 2 * n, .jacobian = room + 3 * n};
        call.jacobian_at[0] = (double)NAN;
        status = check_call(&call, leaf, &o, report);
    }
    gr_tensor_free(leaf);
    gr_release(room);
    return status;
}
