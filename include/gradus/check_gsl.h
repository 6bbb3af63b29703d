/* check_gsl.h: derivatives of functions written for GSL against finite differences.
 *
 *     gsl_multimin_function_fdf f = {my_f, my_df, my_fdf, n, &params};
 *     gr_plain problem = gr_plain_from_gsl_multimin(&f);
 *     if (gr_check_plain(&problem, x, NULL, &report)) puts(gr_last_error());
 *     gr_check_fprint(stdout, &report);
 *
 * and so with gr_plain_from_gsl_multifit() for a gsl_multifit_nlinear_fdf. The numbers of a gsl_vector *v are v->data
 * where its stride is 1. This header is not part of gradus.h, because it needs GSL.
 */
#ifndef GRADUS_CHECK_GSL_H
#define GRADUS_CHECK_GSL_H

#include <string.h>

#include <gsl/gsl_multifit_nlinear.h>
#include <gsl/gsl_multimin.h>

#include <gradus/check_plain.h>

static inline double gr_gsl_f(const double *x, void *context)
{
    const gsl_multimin_function_fdf *c = (const gsl_multimin_function_fdf *)context;
    const gsl_vector_const_view in = gsl_vector_const_view_array(x, c->n);
    return c->f(&in.vector, c->params);
}

static inline int gr_gsl_df(const double *x, double *g, void *context)
{
    const gsl_multimin_function_fdf *c = (const gsl_multimin_function_fdf *)context;
    const gsl_vector_const_view in = gsl_vector_const_view_array(x, c->n);
    gsl_vector_view out = gsl_vector_view_array(g, c->n);
    double value;
    if (c->df) c->df(&in.vector, c->params, &out.vector);
    else c->fdf(&in.vector, c->params, &value, &out.vector);
    return 0;
}

/* A function to be minimised: its f and its df or, in a copy of it where df is NULL, its fdf. The problem points to
 * *c. */
static inline gr_plain gr_plain_from_gsl_multimin(gsl_multimin_function_fdf *c)
{
    gr_plain p;
    memset(&p, 0, sizeof p);
    p.f = gr_gsl_f;
    p.gradient = gr_gsl_df;
    p.n = (int64_t)c->n;
    p.context = c;
    return p;
}

static inline int gr_gsl_residuals(const double *x, double *y, void *context)
{
    const gsl_multifit_nlinear_fdf *c = (const gsl_multifit_nlinear_fdf *)context;
    const gsl_vector_const_view in = gsl_vector_const_view_array(x, c->p);
    gsl_vector_view out = gsl_vector_view_array(y, c->n);
    return c->f(&in.vector, c->params, &out.vector);
}

static inline int gr_gsl_jacobian(const double *x, double *j, void *context)
{
    const gsl_multifit_nlinear_fdf *c = (const gsl_multifit_nlinear_fdf *)context;
    const gsl_vector_const_view in = gsl_vector_const_view_array(x, c->p);
    gsl_matrix_view out = gsl_matrix_view_array(j, c->n, c->p);
    return c->df(&in.vector, c->params, &out.matrix);
}

/* Residuals to be fitted, and their Jacobian, without weights. The problem points to *c. */
static inline gr_plain gr_plain_from_gsl_multifit(gsl_multifit_nlinear_fdf *c)
{
    gr_plain p;
    memset(&p, 0, sizeof p);
    p.vector = gr_gsl_residuals;
    if (c->df) p.jacobian = gr_gsl_jacobian; /* without it GSL takes differences, and there is nothing to check */
    p.m = (int64_t)c->n;
    p.n = (int64_t)c->p;
    p.context = c;
    return p;
}

#endif
