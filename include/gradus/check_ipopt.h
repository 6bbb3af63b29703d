/* check_ipopt.h: derivatives of a problem written for Ipopt's interface in C against finite differences.
 *
 *     gr_ipopt problem = {n, x_L, x_U, m, nele_jac, nele_hess, index_style,
 *                         eval_f, eval_g, eval_grad_f, eval_jac_g, eval_h, user_data};
 *     for (int part = 0; part < GR_IPOPT_N_PARTS; part++) {
 *         if (gr_check_ipopt(&problem, (gr_ipopt_part)part, x, NULL, &report)) puts(gr_last_error());
 *         gr_check_fprint(stdout, &report);
 *     }
 *
 * This header is not part of gradus.h, because it needs Ipopt.
 */
#ifndef GRADUS_CHECK_IPOPT_H
#define GRADUS_CHECK_IPOPT_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <IpStdCInterface.h>

#include <gradus/check_plain.h>

/* What CreateIpoptProblem() takes, but for the bounds of the constraints, and the user's data. x_L and x_U may be NULL,
 * and so may functions of parts that are not checked; eval_jac_g and nele_jac count for the Lagrangian, too. */
typedef struct gr_ipopt {
    int n;
    const double *x_L, *x_U;
    int m, nele_jac, nele_hess, index_style;
    Eval_F_CB eval_f;
    Eval_G_CB eval_g;
    Eval_Grad_F_CB eval_grad_f;
    Eval_Jac_G_CB eval_jac_g;
    Eval_H_CB eval_h;
    UserDataPtr user_data;
} gr_ipopt;

/* The objective with its gradient; the constraints with their Jacobian; the gradient of the Lagrangian, made of these
 * two, with its Hessian. */
typedef enum gr_ipopt_part {
    GR_IPOPT_OBJECTIVE,
    GR_IPOPT_CONSTRAINTS,
    GR_IPOPT_LAGRANGIAN,
    GR_IPOPT_N_PARTS
} gr_ipopt_part;

/* The problem and the places of its triplets, from 0 on: the Jacobian's, the Hessian's, those of its other triangle. */
typedef struct gr_ipopt_call {
    const gr_ipopt *of;
    int64_t *row, *column;
    double *jacobian, *lambda;
} gr_ipopt_call;

static const double gr_ipopt_obj_factor = 0.75;

static inline double gr_ipopt_f(const double *x, void *context)
{
    const gr_ipopt *p = ((const gr_ipopt_call *)context)->of;
    double f;
    return p->eval_f(p->n, (double *)x, 1, &f, p->user_data) ? f : (double)NAN;
}

static inline int gr_ipopt_grad_f(const double *x, double *g, void *context)
{
    const gr_ipopt *p = ((const gr_ipopt_call *)context)->of;
    return !p->eval_grad_f(p->n, (double *)x, 1, g, p->user_data);
}

static inline int gr_ipopt_g(const double *x, double *g, void *context)
{
    const gr_ipopt *p = ((const gr_ipopt_call *)context)->of;
    return !p->eval_g(p->n, (double *)x, 1, p->m, g, p->user_data);
}

static inline int gr_ipopt_jac_g(const double *x, double *j, void *context)
{
    const gr_ipopt *p = ((const gr_ipopt_call *)context)->of;
    return !p->eval_jac_g(p->n, (double *)x, 1, p->m, p->nele_jac, NULL, NULL, j, p->user_data);
}

/* The gradient of obj_factor f + sum of lambda_i g_i, */
static inline int gr_ipopt_grad_l(const double *x, double *y, void *context)
{
    const gr_ipopt_call *c = (const gr_ipopt_call *)context;
    if (gr_ipopt_grad_f(x, y, context) || (c->of->m && gr_ipopt_jac_g(x, c->jacobian, context))) return 1;
    for (int i = 0; i < c->of->n; i++) y[i] *= gr_ipopt_obj_factor;
    for (int k = 0; k < c->of->nele_jac; k++) y[c->column[k]] += c->lambda[c->row[k]] * c->jacobian[k];
    return 0;
}

/* and its Hessian: the triangle that is given, then the other one, with 0 for the diagonal. */
static inline int gr_ipopt_h(const double *x, double *h, void *context)
{
    const gr_ipopt_call *c = (const gr_ipopt_call *)context;
    const gr_ipopt *p = c->of;
    const int64_t *row = c->row + p->nele_jac, *column = c->column + p->nele_jac;
    const int done = p->eval_h(p->n, (double *)x, 1, gr_ipopt_obj_factor, p->m, c->lambda, 1, p->nele_hess, NULL, NULL,
                               h, p->user_data);
    for (int k = 0; done && k < p->nele_hess; k++) h[p->nele_hess + k] = row[k] == column[k] ? 0.0 : h[k];
    return !done;
}

/* Asks for the places, into `at` first. 0 where there are none to be had. */
static inline int gr_ipopt_places(gr_ipopt_call *c, int *at)
{
    const gr_ipopt *p = c->of;
    const int jac = p->nele_jac, hess = p->eval_h ? p->nele_hess : 0, both = jac + hess;
    if (jac && !p->eval_jac_g(p->n, NULL, 0, p->m, jac, at, at + both, NULL, p->user_data)) return 0;
    if (hess && !p->eval_h(p->n, NULL, 0, 0.0, p->m, NULL, 0, hess, at + jac, at + both + jac, NULL, p->user_data))
        return 0;
    for (int k = 0; k < both; k++) {
        c->row[k] = at[k] - p->index_style;
        c->column[k] = at[both + k] - p->index_style;
        if (c->row[k] < 0 || c->row[k] >= (k < jac ? p->m : p->n) || c->column[k] < 0 || c->column[k] >= p->n) return 0;
    }
    memcpy(c->row + both, c->column + jac, (size_t)hess * sizeof *c->row);
    memcpy(c->column + both, c->row + jac, (size_t)hess * sizeof *c->row);
    return 1;
}

static inline gr_plain gr_ipopt_plain(gr_ipopt_call *c, gr_ipopt_part part)
{
    const gr_ipopt *p = c->of;
    const int lagrangian = part == GR_IPOPT_LAGRANGIAN;
    gr_plain plain;
    memset(&plain, 0, sizeof plain);
    plain.n = p->n;
    plain.lower = p->x_L;
    plain.upper = p->x_U;
    plain.context = c;
    if (part == GR_IPOPT_OBJECTIVE) {
        plain.f = gr_ipopt_f;
        plain.gradient = gr_ipopt_grad_f;
        return plain;
    }
    plain.vector = lagrangian ? gr_ipopt_grad_l : gr_ipopt_g;
    plain.jacobian = !lagrangian ? gr_ipopt_jac_g : p->eval_h ? gr_ipopt_h : NULL; /* NULL is refused */
    plain.m = lagrangian ? p->n : p->m;
    plain.row = c->row + (lagrangian ? p->nele_jac : 0);
    plain.column = c->column + (lagrangian ? p->nele_jac : 0);
    plain.nonzeros = lagrangian ? 2 * (int64_t)p->nele_hess : p->nele_jac;
    return plain;
}

/* Checks one part of the problem at x, as gr_check_plain() does. Errors of its own: GR_ERR_INDEX where the callbacks
 * give no places, or some outside of the Jacobian and the Hessian; GR_ERR_MEMORY. */
static inline gr_status gr_check_ipopt(const gr_ipopt *problem, gr_ipopt_part part, const double x[],
                                       const gr_check_options *options, gr_check_report *report)
{
    const size_t entries = (size_t)problem->nele_jac + 2 * (size_t)problem->nele_hess;
    int64_t *places = (int64_t *)calloc(2 * entries + 1, sizeof *places);
    double *room = (double *)calloc((size_t)problem->nele_jac + (size_t)problem->m + 1, sizeof *room);
    int *at = (int *)calloc(2 * entries + 1, sizeof *at);
    gr_ipopt_call call = {problem, places, places + entries, room, room + problem->nele_jac};
    gr_status status = GR_OK;
    if (!places || !room || !at) status = gr_fail(GR_ERR_MEMORY, "check_ipopt: out of memory");
    else if (part != GR_IPOPT_OBJECTIVE && !gr_ipopt_places(&call, at))
        status = gr_fail(GR_ERR_INDEX, "check_ipopt: eval_jac_g or eval_h gives no places, or some that do not fit");
    for (int i = 0; !status && i < problem->m; i++) call.lambda[i] = 0.5 + fmod(0.618 * (i + 1), 1.0);
    const gr_plain plain = gr_ipopt_plain(&call, part);
    if (!status) status = gr_check_plain(&plain, x, options, report);
    free(at);
    free(room);
    free(places);
    return status;
}

#endif
