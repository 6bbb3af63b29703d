/* plain.c: a plain C function and its derivative as a function of the tape: one op, whose kernel calls the one and
 * whose VJP calls the other. */
#include <gradus/check_plain.h>

#include "autograd/op_kit.h"
#include "check/check_internal.h"

static const char who[] = "check_plain";

/* What the options of the ops point to. */
typedef struct plain_call {
    const gr_plain *problem;
    const gr_op *op;                /* that is under check */
    double *jacobian, *jacobian_at; /* room for the Jacobian or its entries, and for the x that it is of */
    int64_t jacobians;              /* how often it was asked for */
} plain_call;

static plain_call *call_of(const gr_node *n) { return *(plain_call *const *)n->attr; }

static int64_t entries_of(const gr_plain *p) { return p->row ? p->nonzeros : p->m * p->n; }

/* What a function leaves unwritten is NaN. */
static void clear(double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = (double)NAN;
}

/* Where a function returns anything but 0 it has no value. */
static gr_status expect_0(const char *what, int status)
{
    return status ? gr_fail(GR_ERR_VALUE, "%s: %s returns %d", who, what, status) : GR_OK;
}

/* ---- The gradient, whose derivative is hessian_vector --------------------------------------------------------- */

static gr_status gradient_forward(gr_node *n)
{
    const gr_plain *p = call_of(n)->problem;
    clear(n->out->data, p->n);
    return expect_0("the gradient", p->gradient(n->in[0]->data, n->out->data, p->context));
}

static gr_tensor *gradient_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_plain *p = call_of(n)->problem;
    if (!p->hessian_vector) return gr_fail_null(who, "hessian_vector"), NULL;
    gr_tensor *d = gr_result(t, GR_F64, 1, &p->n);
    if (!d) return NULL;
    clear(d->data, p->n);
    return expect_0("hessian_vector", p->hessian_vector(n->in[0]->data, g->data, d->data, p->context)) ? NULL : d;
}

static const gr_op gradient_op = {.name = "the gradient",
                                  .formula = "y = df/dx",
                                  .n_in = 1,
                                  .attr_size = sizeof(const plain_call *),
                                  .shape = gr_shape_same,
                                  .forward[GR_ANY_CPU] = {[GR_F64] = gradient_forward},
                                  .vjp = {gradient_vjp}};

/* ---- f, whose derivative is the gradient, or the vector, whose derivative is the Jacobian ---------------------- */

static gr_status plain_shape(const gr_node *n, gr_type *type)
{
    const gr_plain *p = call_of(n)->problem;
    type->dtype = GR_F64;
    type->rank = p->vector ? 1 : 0;
    type->shape[0] = p->m;
    return GR_OK;
}

static gr_status plain_forward(gr_node *n)
{
    const gr_plain *p = call_of(n)->problem;
    double *y = n->out->data;
    clear(y, n->out->size);
    if (p->vector) return expect_0("the vector", p->vector(n->in[0]->data, y, p->context));
    *y = p->f(n->in[0]->data, p->context);
    return GR_OK;
}

/* J(x) in call->jacobian: it is asked for once, however many rows of it are wanted. But the first two times, which must
 * be the same to the bit, it is asked for anew. */
static gr_status jacobian_at(plain_call *call, const double *x)
{
    const gr_plain *p = call->problem;
    const size_t bytes = (size_t)p->n * sizeof *x;
    if (call->jacobians++ >= 2 && memcmp(call->jacobian_at, x, bytes) == 0) return GR_OK;
    clear(call->jacobian, entries_of(p));
    const int status = p->jacobian(x, call->jacobian, p->context);
    memcpy(call->jacobian_at, x, bytes);
    if (status) call->jacobian_at[0] = (double)NAN;
    return expect_0("the Jacobian", status);
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

static gr_tensor *plain_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    plain_call *call = call_of(n);
    if (!call->problem->vector) return gr_mul(t, g, gr_apply(t, &gradient_op, n->in, 1, n->attr));
    gr_tensor *d = gr_result(t, GR_F64, 1, &call->problem->n);
    if (!d || jacobian_at(call, n->in[0]->data)) return NULL;
    pull_back(call, g->data, d->data);
    return d;
}

static const gr_op plain_op = {.name = "plain",
                               .formula = "y = f(x)",
                               .n_in = 1,
                               .attr_size = sizeof(const plain_call *),
                               .shape = plain_shape,
                               .forward[GR_ANY_CPU] = {[GR_F64] = plain_forward},
                               .vjp = {plain_vjp}};

/* ---- The function under check ---------------------------------------------------------------------------------- */

/* It ends where it is not finite, too. */
static gr_tensor *run_plain(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const plain_call *call = context;
    const char *what = call->op == &gradient_op ? "the gradient" : call->problem->vector ? "the vector" : "f";
    gr_tensor *y = gr_apply(t, call->op, x, n, &call);
    for (int64_t k = 0; y && k < y->size; k++)
        if (!isfinite(gr_element(y, k))) return gr_fail(GR_ERR_VALUE, "%s: %s is not finite", who, what), NULL;
    return y;
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
    if (p->n < 1 || (p->vector && p->m < 1) || p->nonzeros < 0)
        return gr_fail(GR_ERR_OPTION, "%s: n is %lld, m %lld, nonzeros %lld: expected n and m of 1 or more", who,
                       (long long)p->n, (long long)p->m, (long long)p->nonzeros);
    if (!p->row != !p->column) return gr_fail(GR_ERR_NULL, "%s: row and column are given together, or neither", who);
    for (int64_t k = 0; p->row && k < p->nonzeros; k++)
        if (p->row[k] < 0 || p->row[k] >= p->m || p->column[k] < 0 || p->column[k] >= p->n)
            return gr_fail(
                GR_ERR_INDEX, "%s: entry %lld is at [%lld,%lld] of a Jacobian [%lld,%lld]; places count from 0", who,
                (long long)k, (long long)p->row[k], (long long)p->column[k], (long long)p->m, (long long)p->n);
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

gr_status gr_check_plain(const gr_plain *p, const double x[], const gr_check_options *options, gr_check_report *report)
{
    gr_check_options o = options ? *options : (gr_check_options){0};
    if (!p || !x || !report) return gr_fail_null(who, !p ? "the problem" : !x ? "x" : "the report");
    if (expect_functions(p, o.order) || expect_numbers(p, x)) return gr_last_status();
    const int64_t entries = p->vector ? entries_of(p) : 0;
    double *room = gr_allocate((size_t)(p->n + entries) * sizeof *room);
    gr_tensor *leaf = gr_from(GR_F64, 1, &p->n, x);
    gr_status status = room && leaf ? gr_require_grad(leaf) : gr_last_status();
    if (!status) {
        plain_call call = {.problem = p, .op = &plain_op, .jacobian_at = room, .jacobian = room + p->n};
        if (p->vector && o.mode == GR_CHECK_FULL) o.mode = GR_CHECK_JACOBIAN;
        if (o.order == 2) call.op = &gradient_op, o.order = 1;
        status = gr_check_subject(&(gr_subject){run_plain, &call, &leaf, 1, p}, &o, report);
    }
    gr_tensor_free(leaf);
    gr_release(room);
    return status;
}
