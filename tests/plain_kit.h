/* plain_kit.h: for the tests of gr_check_plain() and of what makes problems for it. */
#ifndef GR_TESTS_PLAIN_KIT_H
#define GR_TESTS_PLAIN_KIT_H

#include "helpers.h"

#include <gradus/check_plain.h>

static inline void expect_verdict(gr_check_verdict expected, const gr_check_report *r)
{
    if (r->verdict == expected) return;
    gr_check_fprint(stdout, r);
    fail_msg("expected %s, got %s", gr_check_verdict_name(expected), gr_check_verdict_name(r->verdict));
}

/* The report of a check that comes to this verdict. */
static inline gr_check_report plain_is(gr_check_verdict expected, const gr_plain *p, const double x[],
                                       const gr_check_options *o)
{
    gr_check_report r;
    if (gr_check_plain(p, x, o, &r)) fail_msg("%s", gr_last_error());
    expect_verdict(expected, &r);
    return r;
}

#endif
