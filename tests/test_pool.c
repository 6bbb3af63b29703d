/* test_pool.c: where memory comes from and when it goes back: no allocation after a first step, buffers returned while
 * backward runs, and every block to the allocator that it came from. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "helpers.h"

#include <gradus/losses.h>
#include <gradus/optim.h>

#include "counting.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void ok(gr_status status)
{
    if (status) fail_msg("%s", gr_last_error());
}

static gr_tensor *total(gr_tape *t, gr_tensor *x) { return gr_sum(t, x, GR_ALL_AXES, false); }

/* ---- Training steps ------------------------------------------------------------------------------------------ */

/* Two layers on 64 samples of 30 features and 3 classes. */
typedef struct network {
    gr_tape *t;
    gr_params *params;
    gr_tensor *w[4], *x, *classes;
    gr_optimizer *optimizer;
} network;

static void build(network *n, gr_dtype dtype)
{
    static const char *const names[] = {"w1", "b1", "w2", "b2"};
    gr_rng rng = gr_rng_seed(4);
    gr_tensor *made[] = {gr_kaiming_normal(dtype, GR_SHAPE(30, 20), &rng), gr_zeros(dtype, GR_SHAPE(20)),
                         gr_xavier_normal(dtype, GR_SHAPE(20, 3), &rng), gr_zeros(dtype, GR_SHAPE(3))};
    *n = (network){.t = gr_tape_new(), .params = gr_params_new()};
    for (int i = 0; i < 4; i++) n->w[i] = gr_params_add(n->params, names[i], made[i]);
    n->x = gr_normal(dtype, GR_SHAPE(64, 30), 0.0, 1.0, &rng);
    n->classes = gr_zeros(GR_I32, GR_SHAPE(64));
    for (int i = 0; i < 64; i++) gr_i32(n->classes)[i] = i % 3;
}

static void tear_down(network *n)
{
    gr_optimizer_free(n->optimizer);
    gr_tape_free(n->t);
    gr_params_free(n->params);
    gr_tensor_free(n->x);
    gr_tensor_free(n->classes);
}

static gr_tensor *loss_of(network *n)
{
    gr_tensor *h = gr_relu(n->t, gr_linear(n->t, n->x, n->w[0], n->w[1]));
    return gr_cross_entropy(n->t, gr_linear(n->t, h, n->w[2], n->w[3]), n->classes,
                            &(gr_loss_options){.from_logits = true});
}

static void descend_by_hand(network *n)
{
    for (int i = 0; i < 4; i++) {
        for (int64_t k = 0; k < gr_size(n->w[i]); k++)
            if (gr_dtype_of(n->w[i]) == GR_F32) gr_f32(n->w[i])[k] -= 0.1f * gr_read_f32(gr_gradient(n->w[i]))[k];
            else gr_f64(n->w[i])[k] -= 0.1 * gr_read_f64(gr_gradient(n->w[i]))[k];
        gr_zero_grad(n->w[i]);
    }
}

static void plain_step(network *n)
{
    ok(gr_backward(n->t, loss_of(n), 0));
    descend_by_hand(n);
}

static void optimizer_step(network *n)
{
    ok(gr_backward(n->t, loss_of(n), 0));
    ok(gr_clip_grad_norm(n->params, 1.0, NULL));
    ok(gr_step(n->optimizer));
}

static void retaining_step(network *n)
{
    gr_tensor *loss = loss_of(n);
    ok(gr_backward(n->t, loss, GR_RETAIN));
    ok(gr_backward(n->t, loss, 0));
    descend_by_hand(n);
}

/* A penalty on the gradient's length: derivatives of derivatives. */
static void penalty_step(network *n)
{
    gr_tensor *g[4], *loss = loss_of(n), *sum = loss;
    ok(gr_grad(n->t, loss, n->w, 4, g, GR_CREATE_GRAPH));
    for (int i = 0; i < 4; i++) sum = gr_add(n->t, sum, gr_scale(n->t, total(n->t, gr_square(n->t, g[i])), 0.01));
    ok(gr_backward(n->t, sum, 0));
    descend_by_hand(n);
}

static void evaluation(network *n)
{
    bool was = gr_set_recording(n->t, false);
    assert_true(gr_item(loss_of(n)) > 0.0);
    gr_set_recording(n->t, was);
}

static gr_optimizer *no_optimizer(gr_params *params)
{
    (void)params;
    return NULL;
}

static gr_optimizer *sgd(gr_params *params)
{
    return gr_sgd(params, &(gr_sgd_options){.lr = 0.1, .momentum = 0.9, .nesterov = true});
}

static gr_optimizer *adam(gr_params *params) { return gr_adam(params, &(gr_adam_options){.lr = 0.01}); }

static gr_optimizer *rmsprop(gr_params *params) { return gr_rmsprop(params, NULL); }

static const struct training {
    const char *what;
    gr_dtype dtype;
    void (*step)(network *n);
    gr_optimizer *(*optimizer)(gr_params *params);
} trainings[] = {
    {"SGD by hand, f32", GR_F32, plain_step, no_optimizer},
    {"SGD by hand, f64", GR_F64, plain_step, no_optimizer},
    {"SGD", GR_F32, optimizer_step, sgd},
    {"Adam", GR_F32, optimizer_step, adam},
    {"RMSprop", GR_F64, optimizer_step, rmsprop},
    {"two backwards", GR_F32, retaining_step, no_optimizer},
    {"a gradient penalty", GR_F64, penalty_step, no_optimizer},
    {"evaluation", GR_F32, evaluation, no_optimizer},
};

static void only_the_first_step_allocates(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(trainings); i++) {
        counting memory;
        network n;
        counting_begin(&memory);
        build(&n, trainings[i].dtype);
        n.optimizer = trainings[i].optimizer(n.params);
        const int64_t before = memory.calls;
        int64_t first = 0;
        for (int step = 1; step <= 20; step++) {
            trainings[i].step(&n);
            gr_tape_reset(n.t);
            if (step == 1) first = memory.calls;
            if (memory.calls != first)
                fail_msg("%s: step %d called the allocator %d times", trainings[i].what, step,
                         (int)(memory.calls - first));
        }
        assert_true(first > before);
        tear_down(&n);
        counting_end();
        if (memory.live) fail_msg("%s: %d blocks leaked", trainings[i].what, (int)memory.live);
    }
}

/* Shapes that come back find their buffers again. */
static void shapes_that_take_turns(void **state)
{
    (void)state;
    counting memory;
    counting_begin(&memory);
    gr_tape *t = gr_tape_new();
    gr_tensor *w = gr_ones(GR_F32, GR_SHAPE(50)),
              *x[] = {gr_ones(GR_F32, GR_SHAPE(64, 50)), gr_ones(GR_F32, GR_SHAPE(17, 50))};
    ok(gr_require_grad(w));
    int64_t after_both = 0;
    for (int step = 0; step < 20; step++) {
        ok(gr_backward(t, total(t, gr_sigmoid(t, gr_mul(t, x[step % 2], w))), 0));
        gr_tape_reset(t);
        if (step == 1) after_both = memory.calls;
        if (step > 1) assert_int_equal(memory.calls, after_both);
    }
    gr_tape_free(t);
    gr_tensor_free(w);
    for (size_t i = 0; i < COUNT(x); i++) gr_tensor_free(x[i]);
    counting_end();
    assert_int_equal(memory.live, 0);
}

/* ---- While backward runs ------------------------------------------------------------------------------------- */

enum { LINKS = 60, ELEMENTS = 1000, BUFFER = ELEMENTS * 8 };

static gr_tensor *chain(gr_tape *t, gr_tensor *x)
{
    for (int i = 0; i < LINKS; i++) x = gr_sin(t, x);
    return total(t, x);
}

/* The forward pass holds a buffer for each link. Backward needs the gradient in hand, what it is made of, and no more:
 * as it moves down the chain the links' own buffers serve for that. */
static void backward_gives_buffers_back(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_full(GR_F64, GR_SHAPE(ELEMENTS), 0.5), *d;
    ok(gr_require_grad(x));
    gr_tensor *y = chain(t, x);
    gr_tape_stats forward = gr_tape_statistics(t);
    assert_true(forward.bytes >= LINKS * BUFFER && forward.bytes <= LINKS * BUFFER * 9 / 8);
    ok(gr_backward(t, y, 0));
    gr_tape_stats after = gr_tape_statistics(t);
    assert_true(after.peak_bytes <= forward.bytes + 4 * BUFFER);
    assert_true(after.bytes <= BUFFER);
    assert_true(after.tensors <= LINKS + 2);
    gr_tape_reset(t);
    ok(gr_grad(t, chain(t, x), &x, 1, &d, 0));
    assert_true(gr_tape_statistics(t).peak_bytes <= forward.bytes + 4 * BUFFER);
    gr_tape_reset(t);
    ok(gr_backward(t, chain(t, x), GR_RETAIN)); /* which keeps values and gradients */
    assert_true(gr_tape_statistics(t).bytes >= 2 * LINKS * BUFFER);
    gr_tape_free(t);
    gr_tensor_free(x);
}

/* What a node saved for its derivative goes with it. */
static void saved_values_go_back_too(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *p = gr_full(GR_F64, GR_SHAPE(ELEMENTS), 0.5), *y = gr_zeros(GR_F64, GR_SHAPE(ELEMENTS));
    ok(gr_require_grad(p));
    gr_tensor *loss = gr_mse(t, p, y, NULL);
    assert_true(gr_tape_statistics(t).bytes >= BUFFER);
    ok(gr_backward(t, loss, 0));
    assert_int_equal(gr_tape_statistics(t).bytes, 0);
    gr_set_recording(t, false); /* nobody will ask: nothing is saved */
    assert_non_null(gr_mse(t, p, y, NULL));
    assert_int_equal(gr_tape_statistics(t).bytes, 0);
    gr_tape_free(t);
    gr_tensor_free(p);
    gr_tensor_free(y);
}

/* ---- The books ----------------------------------------------------------------------------------------------- */

static void statistics_agree_with_the_allocator(void **state)
{
    (void)state;
    counting memory;
    counting_begin(&memory);
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_ones(GR_F32, GR_SHAPE(5000));
    for (int64_t n = 17; n < 5000; n += n / 3) {
        const int64_t bytes = 4 * n, before = memory.bytes;
        gr_tape_stats a = gr_tape_statistics(t);
        assert_non_null(gr_pad(t, gr_slice(t, x, 0, 0, n - 1), 0, 1, 0, 7.0));
        gr_tape_stats b = gr_tape_statistics(t);
        assert_int_equal(b.tensors, a.tensors + 2);
        assert_true(b.bytes - a.bytes >= bytes &&
                    b.bytes - a.bytes <= bytes * 9 / 8 + 8); /* an eighth is the most that is wasted */
        assert_int_equal(b.pool_bytes - a.pool_bytes, b.bytes - a.bytes);
        assert_true(memory.bytes - before >= b.bytes - a.bytes);
    }
    gr_tape_stats full = gr_tape_statistics(t);
    assert_int_equal(full.peak_bytes, full.bytes);
    gr_tape_reset(t);
    gr_tape_stats empty = gr_tape_statistics(t);
    assert_int_equal(empty.bytes, 0);
    assert_int_equal(empty.tensors, 0);
    assert_int_equal(empty.pool_bytes, full.pool_bytes);
    assert_int_equal(empty.peak_bytes, full.peak_bytes);
    assert_int_equal(gr_tape_statistics(NULL).bytes, 0);
    gr_tape_free(t);
    gr_tensor_free(x);
    counting_end();
    assert_int_equal(memory.live, 0);
    assert_int_equal(memory.bytes, 0);
}

/* A small tensor lives in its own record. */
static void small_results_need_no_buffer(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_ones(GR_F64, GR_SHAPE(8));
    assert_non_null(gr_exp(t, x));
    assert_int_equal(gr_tape_statistics(t).bytes, 0);
    gr_tensor_free(x);
    gr_tape_free(t);
}

/* A gradient changes hands between tape and leaf. Whatever is set by then, each block goes home. */
static void blocks_go_back_where_they_came_from(void **state)
{
    (void)state;
    counting memory[3];
    gr_tensor *w, *x;
    for (size_t i = 0; i < COUNT(memory); i++) counting_begin(&memory[COUNT(memory) - 1 - i]); /* ends with the first */
    w = gr_ones(GR_F64, GR_SHAPE(100));
    ok(gr_require_grad(w));
    gr_tape *t = gr_tape_new(), *other = NULL;
    for (int step = 0; step < 12; step++) {
        gr_set_allocator(&(gr_allocator){counting_allocate, counting_release, &memory[step / 4]});
        if (step == 4) other = gr_tape_new();
        gr_tape *now = other && step % 2 ? other : t;
        const int64_t shape[2] = {1 + step, 100};
        x = gr_ones(GR_F64, 2, shape);
        ok(gr_set_name(w, step % 2 ? "odd" : "even"));
        ok(gr_backward(now, total(now, gr_square(now, gr_mul(now, x, w))), 0));
        if (step % 3 == 0) gr_zero_grad(w);
        gr_tape_reset(now);
        gr_tensor_free(x);
    }
    counting_end();
    gr_tape_free(t);
    gr_tape_free(other);
    gr_tensor_free(w);
    for (size_t i = 0; i < COUNT(memory); i++) {
        assert_true(memory[i].calls > 0);
        assert_int_equal(memory[i].live, 0);
        assert_int_equal(memory[i].bytes, 0);
        assert_false(memory[i].foreign);
    }
}

int main(void)
{
    setenv("GRADUS_DEBUG", "0", 1); /* which keeps records apart, and so allocates for a while */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_first_step_allocates),       cmocka_unit_test(shapes_that_take_turns),
        cmocka_unit_test(backward_gives_buffers_back),         cmocka_unit_test(saved_values_go_back_too),
        cmocka_unit_test(statistics_agree_with_the_allocator), cmocka_unit_test(small_results_need_no_buffer),
        cmocka_unit_test(blocks_go_back_where_they_came_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
