/* test_environment.c: what GRADUS_CPU asks for: levels by their names, and anything else is refused. */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"

static gr_tape *tape_with(const char *cpu)
{
    gr_clear_error();
    if (cpu) assert_int_equal(setenv("GRADUS_CPU", cpu, 1), 0);
    else assert_int_equal(unsetenv("GRADUS_CPU"), 0);
    return gr_tape_new();
}

static void known_levels_are_taken(void **state)
{
    (void)state;
    static const char *const levels[] = {NULL, "", "any", "avx2", "avx512"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        gr_tape *tape = tape_with(levels[i]);
        if (!tape) fail_msg("%s: %s", levels[i] ? levels[i] : "unset", gr_last_error());
        gr_tape_free(tape);
    }
}

/* The first test: GRADUS_CPU is read once, here. */
static void the_backend_is_known(void **state)
{
    (void)state;
    const gr_backend_info b = gr_backend();
    printf("%s, %d threads, OpenBLAS %s%s\n", b.cpu, b.threads, b.blas_kernels, b.blas_computes ? "" : ", not used");
    assert_true(!strcmp(b.cpu, "any") || !strcmp(b.cpu, "avx2") || !strcmp(b.cpu, "avx512"));
    assert_true(b.threads >= 1);
    if (!strcmp(b.cpu, "any")) assert_true(b.blas_computes);
    else if (!strcmp(b.blas_kernels, "Prescott")) assert_false(b.blas_computes);
    if (!strcmp(b.blas_kernels, "SkylakeX")) assert_true(b.blas_computes);
}

static void others_are_refused(void **state)
{
    (void)state;
    static const char *const mistakes[] = {"axv2", "AVX2", "avx2 ", "avx", "0"};
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        assert_null(tape_with(mistakes[i]));
        assert_int_equal(gr_last_status(), GR_ERR_OPTION);
        assert_non_null(strstr(gr_last_error(), "tape_new: the environment variable GRADUS_CPU is \""));
        assert_non_null(strstr(gr_last_error(), mistakes[i]));
        assert_non_null(strstr(gr_last_error(), "\": expected any, avx2 or avx512"));
    }
    gr_tape_free(tape_with(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_backend_is_known),
        cmocka_unit_test(known_levels_are_taken),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests_name("environment", tests, NULL, NULL);
}
