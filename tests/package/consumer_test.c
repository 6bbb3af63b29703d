/* consumer_test.c: a test outside the project, to show that the installed check_cmocka.h is all that it needs. */
#include <gradus/check_cmocka.h>
#include <gradus/gradus.h>

static gr_tensor *f(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const bool *broken = context;
    (void)n;
    return gr_mul(t, x[0], *broken ? gr_detach(t, gr_exp(t, x[0])) : gr_exp(t, x[0]));
}

static void right_and_wrong(void **state)
{
    (void)state;
    bool broken = false;
    gr_tensor *x = gr_full(GR_F64, GR_SHAPE(2, 3), 0.5);
    assert_int_equal(gr_require_grad(x), GR_OK);
    gr_assert_gradients(f, &broken, &x, 1, NULL);
    broken = true;
    gr_assert_gradients_are(GR_CHECK_FAIL, f, &broken, &x, 1, NULL);
    gr_tensor_free(x);
}

/* The test that is to fail, with the report: run with an argument. */
static void wrong(void **state)
{
    (void)state;
    bool broken = true;
    gr_tensor *x = gr_full(GR_F64, GR_SHAPE(2, 3), 0.5);
    assert_int_equal(gr_require_grad(x), GR_OK);
    gr_assert_gradients(f, &broken, &x, 1, NULL);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest good[] = {cmocka_unit_test(right_and_wrong)}, bad[] = {cmocka_unit_test(wrong)};
    (void)argv;
    return argc > 1 ? cmocka_run_group_tests(bad, NULL, NULL) : cmocka_run_group_tests(good, NULL, NULL);
}
