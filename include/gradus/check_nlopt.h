/* check_nlopt.h: the gradient of a function written for NLopt against finite differences.
 *
 *     gr_nlopt objective = {f, &data, n};        // the nlopt_func, its data, the number of variables
 *     gr_plain problem = gr_plain_from_nlopt(&objective);
 *     problem.lower = lower;                     // f is called between its bounds only: say what they are
 *     if (gr_check_plain(&problem, x, NULL, &report)) puts(gr_last_error());
 *     gr_check_fprint(stdout, &report);
 *
 * This header is not part of gradus.h, because it needs NLopt.
 */
#ifndef GRADUS_CHECK_NLOPT_H
#define GRADUS_CHECK_NLOPT_H

#include <string.h>

#include <nlopt.h>

#include <gradus/check_plain.h>

/* An objective or a constraint, with what is handed to it. */
typedef struct gr_nlopt {
    nlopt_func f;
    void *data;
    unsigned n;
} gr_nlopt;

static inline double gr_nlopt_value(const double *x, void *context)
{
    const gr_nlopt *c = (const gr_nlopt *)context;
    return c->f(c->n, x, NULL, c->data);
}

static inline int gr_nlopt_gradient(const double *x, double *g, void *context)
{
    const gr_nlopt *c = (const gr_nlopt *)context;
    c->f(c->n, x, g, c->data);
    return 0;
}

/* The function as a problem for gr_check_plain(). It points to *c, and has no bounds yet. */
static inline gr_plain gr_plain_from_nlopt(gr_nlopt *c)
{
    gr_plain p;
    memset(&p, 0, sizeof p);
    p.f = gr_nlopt_value;
    p.gradient = gr_nlopt_gradient;
    p.n = c->n;
    p.context = c;
    return p;
}

#endif
