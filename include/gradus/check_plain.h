/* check_plain.h: derivatives of any function in C against finite differences. Neither tensors nor a tape are needed.
 *
 *     static double f(const double *x, void *context) { return x[0] * x[0] + sin(x[1]); }
 *
 *     static int gradient(const double *x, double *g, void *context)
 *     {
 *         g[0] = 2 * x[0];
 *         g[1] = cos(x[1]);
 *         return 0;
 *     }
 *
 *     gr_check_report report;
 *     if (gr_check_plain(&(gr_plain){.f = f, .gradient = gradient, .n = 2}, (double[]){1, 2}, NULL, &report))
 *         puts(gr_last_error());
 *     gr_check_fprint(stdout, &report);
 *
 * The checker is that of check.h, with the same verdicts, modes and report: the n numbers of x are its one input. What
 * a tape tells of its ops nobody tells of a plain function. So there are no modes GR_CHECK_PER_NODE,
 * GR_CHECK_ACCUMULATION and GR_CHECK_F32, no op is named, and a kink is found by its slopes alone.
 *
 * docs/gradient_checking.md shows how functions written for NLopt, GSL and Ipopt, or in Fortran, are checked.
 */
#ifndef GRADUS_CHECK_PLAIN_H
#define GRADUS_CHECK_PLAIN_H

#include <gradus/check.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A function of n numbers and its derivative; what is not needed is NULL or 0. All pointers stay the caller's. The
 * function itself, f or vector, is always needed.
 *
 * The function is f, a number, or vector, m numbers y. It ends where f is not finite, or where vector returns anything
 * but 0 or an element of y is not finite: there nothing is compared, and beside such an edge the slope on one side
 * counts. It is called with finite numbers between lower and upper only, and must not write to x.
 *
 * The derivative of f is gradient, n numbers g, which is to write each of them: g is handed to it filled with NaN, and
 * so are the other results. That of vector is jacobian, m rows of n numbers; or, where row and column are given, only
 * the nonzeros entries of which entry k is that of element row[k] of y by x[column[k]], and all others are 0. Entries
 * with the same place add up. With `.order = 2` in the options it is hessian_vector that is
 * checked, hv = H(x) v, against the differences of gradient, for a v of random numbers, and for being linear in v; in
 * the mode GR_CHECK_JACOBIAN each entry of H. Each returns 0, or anything else where it has no value. */
typedef struct gr_plain {
    double (*f)(const double *x, void *context);
    int (*gradient)(const double *x, double *g, void *context);
    int (*vector)(const double *x, double *y, void *context);
    int (*jacobian)(const double *x, double *j, void *context);
    const int64_t *row, *column; /* from 0 on */
    int64_t nonzeros;
    int (*hessian_vector)(const double *x, const double *v, double *hv, void *context);
    int64_t n, m;
    const double
        *scale; /* n steps that each element can take, about: f differs, but not beyond recognition; or found */
    const double *lower, *upper; /* n bounds each, or none; -INFINITY and INFINITY are none, too */
    bool is_float;               /* f and the derivative compute in float, behind these doubles */
    const char *const *names;    /* n names for the report; a NULL among them is x[k] */
    void *context;               /* handed to all of them */
} gr_plain;

/* Checks the derivative at x, n finite numbers within the bounds, and fills in the report. The mode GR_CHECK_FULL looks
 * at each element of the gradient or of the Jacobian; GR_CHECK_SAMPLED at 16 of all n, since x is one input. Returns
 * GR_OK when the comparison could be made, whatever its verdict. Errors: GR_ERR_NULL; GR_ERR_OPTION for a problem or a
 * mode that does not fit; GR_ERR_INDEX for a row or column that is not there; GR_ERR_VALUE where the function or its
 * derivative has no value at x; GR_ERR_STATE when one of them wrote to x. `options` may be NULL. */
GR_EXPORT GR_NODISCARD gr_status gr_check_plain(const gr_plain *problem, const double x[],
                                                const gr_check_options *options, gr_check_report *report);

#ifdef __cplusplus
}
#endif
#endif
