/* test_fast_math.c: -ffast-math and -Ofast do not reach the library's code, nor do they make denormal numbers 0. */
#include "helpers.h"

#include <gradus/nn.h>
#include <gradus/ops.h>

/* softmax of n logits, of each dtype in turn, by a table of what mpmath says. */
static void is_softmax(int n, const double *x, const double *expected)
{
    static const struct {
        gr_dtype dtype;
        double ulp, smallest;
    } types[] = {{GR_F32, 0x1p-22, 0x1p-149}, {GR_F64, 0x1p-51, 0x1p-1074}};
    gr_tape *tape = gr_tape_new();
    for (int k = 0; k < 2; k++) {
        gr_tensor *logits = gr_zeros(types[k].dtype, GR_SHAPE(n));
        for (int i = 0; i < n; i++) assert_int_equal(gr_set(logits, i, x[i]), GR_OK);
        gr_tensor *p = gr_softmax(tape, logits, 0);
        assert_non_null(p);
        for (int i = 0; i < n; i++) {
            double off = fabs(gr_get(p, i) - expected[i]);
            bool both_nan = isnan(expected[i]) && isnan(gr_get(p, i));
            if (!both_nan && !(off <= types[k].ulp * expected[i] + types[k].smallest))
                fail_msg("F%d [%d]: %.17g for %.17g", k ? 64 : 32, i, gr_get(p, i), expected[i]);
        }
        gr_tensor_free(logits);
    }
    gr_tape_free(tape);
}

static void exponentials_are_right(void **state)
{
    (void)state;
    is_softmax(3, (double[]){0, 1, 2}, (double[]){0.090030573170380458, 0.24472847105479764, 0.6652409557748219});
    is_softmax(2, (double[]){0, -20}, (double[]){0.99999999793884631, 2.0611536181902037e-9});
}

static void denormal_numbers_are_there(void **state)
{
    (void)state;
    is_softmax(2, (double[]){0, -100}, (double[]){1.0, 3.7200759760208360e-44});
    is_softmax(2, (double[]){0, -740}, (double[]){1.0, 4.1887398800480489e-322});
}

static void infinities_and_nans_are_there(void **state)
{
    (void)state;
    const double inf = (double)INFINITY, nan = (double)NAN;
    is_softmax(3, (double[]){-inf, 0, 0}, (double[]){0, 0.5, 0.5});
    is_softmax(2, (double[]){nan, 0}, (double[]){nan, nan});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponentials_are_right),
        cmocka_unit_test(denormal_numbers_are_there),
        cmocka_unit_test(infinities_and_nans_are_there),
    };
    return cmocka_run_group_tests_name("fast_math", tests, NULL, NULL);
}
