/* check_cmocka.h: the gradient checker as an assertion of cmocka, for your own tests.
 *
 *     #include <gradus/check_cmocka.h>      // includes cmocka and what cmocka needs
 *
 *     static void my_op_is_right(void **state)
 *     {
 *         gr_assert_gradients(f, NULL, inputs, 2, NULL);
 *     }
 *
 * Anything but PASS or KINK fails the test, with the report on cmocka's error output. This header is not part of
 * gradus.h, because it needs cmocka.
 */
#ifndef GRADUS_CHECK_CMOCKA_H
#define GRADUS_CHECK_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gradus/check.h>

/* Fails unless the gradients of f at the n inputs x are right; the arguments are gr_check_gradients()'s. */
#define gr_assert_gradients(f, context, x, n, options) \
    gr_assert_gradients_at(f, context, x, n, options, GR_CHECK_PASS, __FILE__, __LINE__)

/* Fails unless the checker comes to this verdict: GR_CHECK_FAIL for a derivative that is broken on purpose. */
#define gr_assert_gradients_are(verdict, f, context, x, n, options) \
    gr_assert_gradients_at(f, context, x, n, options, verdict, __FILE__, __LINE__)

static inline void gr_assert_gradients_at(gr_check_function f, void *context, gr_tensor *const x[], int n,
                                          const gr_check_options *options, gr_check_verdict expected, const char *file,
                                          int line)
{
    gr_check_report report;
    char text[8192];
    gr_status status = gr_check_gradients(f, context, x, n, options, &report);
    if (status) {
        print_error("the gradients cannot be checked: %s\n", gr_last_error());
        _fail(file, line);
        return;
    }
    if (report.verdict == expected || (expected == GR_CHECK_PASS && report.verdict == GR_CHECK_KINK)) return;
    gr_check_format(text, sizeof text, &report);
    print_error("%s", text);
    if (expected != GR_CHECK_PASS) print_error("expected %s\n", gr_check_verdict_name(expected));
    _fail(file, line);
}

#endif
