/* test_fork.c: training goes on in a child of fork() after threads have run, and ends with the same bits. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers.h"

#include <gradus/gradus.h>

/* Some steps with loops and products that several threads share; a hash of the weights. */
static uint64_t train(void)
{
    gr_rng rng = gr_rng_seed(1);
    gr_params *params = gr_params_new();
    gr_tensor *w = gr_params_add(params, "w", gr_xavier_uniform(GR_F32, GR_SHAPE(600, 700), &rng));
    gr_tensor *x = gr_normal(GR_F32, GR_SHAPE(900, 600), 0.0, 1.0, &rng), *y = gr_zeros(GR_F32, GR_SHAPE(900, 700));
    gr_optimizer *o = gr_adam(params, NULL);
    gr_tape *t = gr_tape_new();
    for (int step = 0; step < 2; step++) {
        gr_tensor *loss = gr_mse(t, gr_tanh(t, gr_matmul(t, x, w, 0)), y, NULL);
        if (gr_backward(t, loss, 0) || gr_step(o)) return 0;
        gr_tape_reset(t);
    }
    uint64_t hash = 1;
    for (int64_t i = 0; i < gr_size(w); i++) hash = hash * 31 + (uint64_t)(int64_t)(gr_get(w, i) * 0x1p40);
    gr_tape_free(t);
    gr_optimizer_free(o);
    gr_params_free(params);
    gr_tensor_free(x);
    gr_tensor_free(y);
    return hash;
}

/* In the child of a child, too. An alarm ends one that waits for ever. */
static int in_child(int depth, uint64_t expected)
{
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        const bool same = train() == expected;
        exit(same && (depth == 0 || in_child(depth - 1, expected) == 0) ? 0 : 1);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child) return -1;
    if (WIFSIGNALED(status)) print_error("the child was ended by signal %d\n", WTERMSIG(status));
    return status;
}

static void training_in_a_child(void **state)
{
    (void)state;
    const uint64_t expected = train();
    assert_true(expected != 0);
    assert_int_equal(in_child(1, expected), 0);
    assert_true(train() == expected); /* the parent has its threads still */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(training_in_a_child)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
