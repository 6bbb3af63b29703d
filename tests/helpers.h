/* helpers.h: what the tests share: cmocka with what it needs, and comparisons of tensors. */
#ifndef GR_TESTS_HELPERS_H
#define GR_TESTS_HELPERS_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gradus/ops.h>
#include <gradus/tape.h>

/* A result of the shape and dtype of x with values between 0.5 and 1.5 that do not repeat: a cotangent that hides no
 * error the way a constant one does. */
static inline gr_tensor *pattern(gr_tape *t, gr_tensor *x, double phase)
{
    gr_tensor *p = gr_zeros(gr_dtype_of(x), gr_rank(x), gr_shape(x));
    for (int64_t i = 0; p && i < gr_size(p); i++)
        if (gr_set(p, i, 1.0 + 0.5 * sin(phase + 1.7 * (double)i))) return NULL;
    gr_tensor *on_tape = p ? gr_scale(t, p, 1.0) : NULL;
    gr_tensor_free(p);
    return on_tape;
}

static inline bool close_to(double a, double b, double tolerance)
{
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b)) return a == b;
    return fabs(a - b) <= tolerance * (1.0 + fabs(b));
}

static inline void assert_close_tensors(const char *what, const char *which, const gr_tensor *a, const gr_tensor *b,
                                        double tolerance)
{
    assert_non_null(a);
    assert_non_null(b);
    if (gr_size(a) != gr_size(b)) fail_msg("%s, %s: sizes differ", what, which);
    for (int64_t i = 0; i < gr_size(a); i++)
        if (!close_to(gr_get(a, i), gr_get(b, i), tolerance))
            fail_msg("%s, %s: element %lld is %.9g and %.9g", what, which, (long long)i, gr_get(a, i), gr_get(b, i));
}

/* The newest failure is this one: its status, and a part of its sentence. */
static inline void assert_failed_with(const char *what, gr_status status, const char *part)
{
    if (gr_last_status() != status || !strstr(gr_last_error(), part))
        fail_msg("%s: expected \"%s\" with \"%s\", got \"%s\" with \"%s\"", what, gr_status_text(status), part,
                 gr_status_text(gr_last_status()), gr_last_error());
}

#endif
