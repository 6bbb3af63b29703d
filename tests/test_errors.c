/* test_errors.c: wrong calls. Each is refused with the status and the sentence that say what is wrong; nothing is
 * lost or broken by it, and the objects that were handed in compute as before. */
#include "helpers.h"

#include <pthread.h>

#include <gradus/gradus.h>

#include "counting.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void ok(gr_status status)
{
    if (status) fail_msg("%s", gr_last_error());
}

/* ---- The objects that calls are made with -------------------------------------------------------------------- */

typedef struct world {
    gr_tape *t, *other;
    gr_tensor *m, *row, *column, *wide, *empty, *number; /* f64: [3,4] and [4], leaves; [3,1]; [2,5]; [0,4]; [] */
    gr_tensor *single, *index, *bad_index, *shares;      /* f32 [3,4]; i32 [3]: 2,0,1 and 2,0,7; f64 [3,4] in 0..1 */
    gr_tensor *images, *channels;                        /* f64 [2,3,4,5], a leaf, and [3] */
    gr_tensor *foreign, *released, *constant, *result;   /* of the other tape; given back; recorded by none; recorded */
    gr_params *params, *no_params;
    gr_optimizer *sgd;
    gr_dataset *set;
    gr_rng rng;
    gr_tensor *out[2];
    char text[8];
} world;

static void make_tensors(world *w)
{
    w->m = gr_arange(GR_F64, 0, 12, 1);
    gr_tensor *m = gr_view(w->m, GR_SHAPE(3, 4));
    gr_tensor *copy = gr_copy(m);
    gr_tensor_free(m);
    gr_tensor_free(w->m);
    w->m = copy;
    w->row = gr_from(GR_F64, GR_SHAPE(4), (double[]){1, 2, 3, 4});
    w->column = gr_ones(GR_F64, GR_SHAPE(3, 1));
    w->wide = gr_ones(GR_F64, GR_SHAPE(2, 5));
    w->empty = gr_zeros(GR_F64, GR_SHAPE(0, 4));
    w->number = gr_scalar(GR_F64, 0.5);
    w->single = gr_ones(GR_F32, GR_SHAPE(3, 4));
    w->index = gr_from(GR_I32, GR_SHAPE(3), (int32_t[]){2, 0, 1});
    w->bad_index = gr_from(GR_I32, GR_SHAPE(3), (int32_t[]){2, 0, 7});
    w->shares = gr_full(GR_F64, GR_SHAPE(3, 4), 0.25);
    w->images = gr_full(GR_F64, GR_SHAPE(2, 3, 4, 5), 0.5);
    w->channels = gr_ones(GR_F64, GR_SHAPE(3));
    ok(gr_require_grad(w->images));
    ok(gr_require_grad(w->m));
    ok(gr_require_grad(w->row));
}

static void make_world(world *w)
{
    *w = (world){.t = gr_tape_new(), .other = gr_tape_new(), .rng = gr_rng_seed(1)};
    make_tensors(w);
    w->foreign = gr_square(w->other, w->m);
    w->released = gr_mul(w->t, w->m, w->row);
    ok(gr_backward(w->t, gr_sum(w->t, w->released, GR_ALL_AXES, false), 0));
    gr_zero_grad(w->m);
    gr_zero_grad(w->row);
    w->constant = gr_exp(w->t, w->column);
    w->result = gr_square(w->t, w->m);
    w->no_params = gr_params_new();
    w->params = gr_params_new();
    assert_non_null(gr_params_add(w->params, "w", gr_ones(GR_F64, GR_SHAPE(3))));
    w->sgd = gr_sgd(w->params, NULL);
    w->set = gr_dataset_new(gr_ones(GR_F32, GR_SHAPE(3, 2)), gr_copy(w->index));
    assert_true(w->foreign && w->constant && w->result && w->sgd && w->set);
}

static void free_world(world *w)
{
    gr_tensor *const all[] = {w->m,      w->row,   w->column,    w->wide,   w->empty,  w->number,
                              w->single, w->index, w->bad_index, w->shares, w->images, w->channels};
    gr_tape_free(w->t);
    gr_tape_free(w->other);
    for (size_t i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
    gr_optimizer_free(w->sgd);
    gr_params_free(w->params);
    gr_params_free(w->no_params);
    gr_dataset_free(w->set);
}

/* sum(m row^2) on the tape that the wrong call was made on: value and gradients, exactly. */
static void assert_usable(world *w, const char *what)
{
    gr_tensor *y = gr_sum(w->t, gr_mul(w->t, w->m, gr_square(w->t, w->row)), GR_ALL_AXES, false), *d;
    const double dm[] = {1, 4, 9, 16}, drow[] = {24, 60, 108, 168};
    bool right = y && gr_item(y) == 0 * 1 + 4 * 1 + 8 * 1 + 1 * 4 + 5 * 4 + 9 * 4 + 2 * 9 + 6 * 9 + 10 * 9 + 3 * 16 +
                                        7 * 16 + 11 * 16;
    right = right && !gr_grad(w->t, y, &w->m, 1, &d, GR_RETAIN) && !gr_backward(w->t, y, 0);
    for (int i = 0; right && i < 12; i++)
        right = gr_get(gr_gradient(w->m), i) == dm[i % 4] && gr_get(d, i) == dm[i % 4];
    for (int i = 0; right && i < 4; i++) right = gr_get(gr_gradient(w->row), i) == drow[i];
    right = right && gr_get(w->single, 11) == 1.0 && gr_get(w->index, 2) == 1.0 &&
            gr_get(w->params ? gr_params_at(w->params, 0) : NULL, 2) == 1.0;
    if (!right) fail_msg("after \"%s\" the objects are not what they were", what);
}

/* A function that makes something: how it failed. */
static gr_status made(const void *it) { return it ? GR_OK : gr_last_status(); }

/* One that gives a number. */
static gr_status gave(double x) { return isnan(x) ? gr_last_status() : GR_OK; }

/* ---- Wrong calls ---------------------------------------------------------------------------------------------- */

/* A row of wrong_calls/: what is wrong with a call, how it is refused, and the call. */
typedef struct wrong_call {
    const char *what;
    gr_status (*call)(world *w);
    gr_status status;
    const char *part;
} wrong_call;

static const gr_op *op_of_name(const char *name)
{
    int i = 0;
    while (gr_op_at(i) && strcmp(gr_op_at(i)->name, name) != 0) i++;
    return gr_op_at(i);
}

#define POOL(...) \
    &(gr_pool2d_options) { __VA_ARGS__ }
#define TRAINING(...) \
    &(gr_batch_norm_options) { .training = true, __VA_ARGS__ }
#define OPTIONS(...) \
    &(gr_loss_options) { __VA_ARGS__ }

#define WRONG(name, what, status, part, ...) \
    static gr_status name(world *w) { return (void)w, __VA_ARGS__; }
#include "wrong_calls/tensors.inc"
#include "wrong_calls/tapes.inc"
#include "wrong_calls/ops.inc"
#include "wrong_calls/images.inc"
#include "wrong_calls/losses.inc"
#include "wrong_calls/training.inc"
#include "wrong_calls/messages.inc"
#undef WRONG

#define WRONG(name, what, status, part, ...) {what, name, status, part},
static const wrong_call tensor_calls[] = {
#include "wrong_calls/tensors.inc"
};
static const wrong_call tape_calls[] = {
#include "wrong_calls/tapes.inc"
};
static const wrong_call op_calls[] = {
#include "wrong_calls/ops.inc"
};
static const wrong_call image_calls[] = {
#include "wrong_calls/images.inc"
};
static const wrong_call loss_calls[] = {
#include "wrong_calls/losses.inc"
};
static const wrong_call training_calls[] = {
#include "wrong_calls/training.inc"
};
static const wrong_call message_calls[] = {
#include "wrong_calls/messages.inc"
};
#undef WRONG

/* Makes each wrong call on fresh objects, twice: after no error and after another one, unless it is about NULL, for
 * then the first sentence stays. */
static void refuse(const wrong_call calls[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const wrong_call *c = &calls[i];
        counting memory;
        world w;
        counting_begin(&memory);
        make_world(&w);
        gr_clear_error();
        for (int again = 0; again < (c->status == GR_ERR_NULL ? 1 : 2); again++) {
            gr_status status = c->call(&w);
            if (status != c->status) fail_msg("%s: got \"%s\": %s", c->what, gr_status_text(status), gr_last_error());
            assert_failed_with(c->what, c->status, c->part);
            assert_null(w.out[0]);
            gr_fail(GR_ERR_FORMAT, "an older failure");
        }
        assert_usable(&w, c->what);
        assert_string_equal(gr_last_error(), "an older failure"); /* success says nothing */
        free_world(&w);
        counting_end();
        if (memory.live) fail_msg("%s: %d blocks leaked", c->what, (int)memory.live);
    }
}

static void of_tensors(void **state)
{
    (void)state;
    refuse(tensor_calls, COUNT(tensor_calls));
}

static void of_tapes(void **state)
{
    (void)state;
    refuse(tape_calls, COUNT(tape_calls));
}

static void of_ops(void **state)
{
    (void)state;
    refuse(op_calls, COUNT(op_calls));
}

static void of_ops_for_images(void **state)
{
    (void)state;
    refuse(image_calls, COUNT(image_calls));
}

static void of_losses(void **state)
{
    (void)state;
    refuse(loss_calls, COUNT(loss_calls));
}

static void of_training_and_data(void **state)
{
    (void)state;
    refuse(training_calls, COUNT(training_calls));
}

static void with_messages_of_their_own(void **state)
{
    (void)state;
    refuse(message_calls, COUNT(message_calls));
}

/* ---- NULL in, NULL out --------------------------------------------------------------------------------------- */

static void the_first_sentence_stays(void **state)
{
    (void)state;
    world w;
    make_world(&w);
    gr_tensor *y = gr_mean(w.t, gr_square(w.t, gr_sub(w.t, gr_matmul(w.t, w.m, w.wide, 0), w.row)), GR_ALL_AXES, false);
    assert_null(y);
    for (int i = 0; i < 3; i++) {
        gr_status status = i == 0   ? gr_backward(w.t, y, 0)
                           : i == 1 ? gr_grad(w.t, y, &w.m, 1, w.out, 0)
                                    : gr_require_grad(y);
        assert_int_equal(status, GR_ERR_SHAPE);
        assert_string_equal(gr_last_error(), "matmul: inner dimensions differ: [3,4] x [2,5]");
    }
    assert_true(isnan(gr_item(y)));
    assert_null(gr_read_f64(y));
    assert_null(gr_copy(y));
    assert_string_equal(gr_last_error(), "matmul: inner dimensions differ: [3,4] x [2,5]");
    free_world(&w);
}

typedef gr_tensor *(*unary)(gr_tape *t, gr_tensor *x);
typedef gr_tensor *(*binary)(gr_tape *t, gr_tensor *a, gr_tensor *b);
typedef gr_tensor *(*reduction)(gr_tape *t, gr_tensor *x, int n, const int axes[], bool keep);
typedef gr_tensor *(*loss)(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options);

static const unary unaries[] = {gr_neg,      gr_square, gr_sqrt,       gr_exp,  gr_expm1, gr_log,       gr_log1p,
                                gr_abs,      gr_sign,   gr_sin,        gr_cos,  gr_tanh,  gr_sigmoid,   gr_log_sigmoid,
                                gr_softplus, gr_relu,   gr_normal_cdf, gr_gelu, gr_silu,  gr_transpose, gr_detach};
static const binary binaries[] = {gr_add,     gr_sub,     gr_mul,     gr_div,   gr_pow,
                                  gr_minimum, gr_maximum, gr_greater, gr_equal, gr_gather_rows};
static const reduction reductions[] = {gr_sum, gr_mean, gr_max, gr_min, gr_logsumexp};
static const loss losses[] = {gr_l1, gr_mse, gr_zero_one, gr_hinge, gr_bce, gr_cross_entropy, gr_kl};

/* Every op, given NULL: how many returned something, or broke the rule about sentences. */
static void feed_null(gr_tape *t, gr_tensor *x, gr_status expected)
{
    gr_tensor *none = NULL, *results[128];
    gr_rng rng = gr_rng_seed(1);
    int n = 0;
    for (size_t i = 0; i < COUNT(unaries); i++) results[n++] = unaries[i](t, NULL);
    for (size_t i = 0; i < COUNT(binaries); i++)
        results[n++] = binaries[i](t, NULL, x), results[n++] = binaries[i](t, x, NULL);
    for (size_t i = 0; i < COUNT(reductions); i++) results[n++] = reductions[i](t, NULL, GR_ALL_AXES, false);
    for (size_t i = 0; i < COUNT(losses); i++)
        results[n++] = losses[i](t, NULL, x, NULL), results[n++] = losses[i](t, x, NULL, NULL);
    gr_tensor *const rest[] = {
        gr_where(t, NULL, x, x),
        gr_where(t, x, NULL, x),
        gr_where(t, x, x, NULL),
        gr_scale(t, NULL, 2),
        gr_shift(t, NULL, 2),
        gr_pow_scalar(t, NULL, 2),
        gr_leaky_relu(t, NULL, 0.1),
        gr_elu(t, NULL, 1),
        gr_clamp(t, NULL, 0, 1),
        gr_var(t, NULL, GR_ALL_AXES, false, 0),
        gr_softmax(t, NULL, 0),
        gr_log_softmax(t, NULL, 0),
        gr_matmul(t, NULL, x, 0),
        gr_matmul(t, x, NULL, 0),
        gr_linear(t, NULL, x, x),
        gr_linear(t, x, NULL, x),
        gr_linear(t, x, x, NULL),
        gr_reshape(t, NULL, GR_SHAPE(1)),
        gr_permute(t, NULL, GR_AXES(0)),
        gr_broadcast_to(t, NULL, GR_SHAPE(1)),
        gr_concat(t, &none, 1, 0),
        gr_stack(t, &none, 1, 0),
        gr_slice(t, NULL, 0, 0, 1),
        gr_pad(t, NULL, 0, 1, 1, 0),
        gr_scatter_rows(t, NULL, x, 1),
        gr_scatter_rows(t, x, NULL, 1),
        gr_cast(t, NULL, GR_F32),
        gr_max_pool2d(t, NULL, NULL),
        gr_avg_pool2d(t, NULL, NULL),
        gr_global_avg_pool2d(t, NULL),
        gr_upsample2d(t, NULL, 2, 2, GR_NEAREST),
        gr_batch_norm2d(t, NULL, x, x, x, x, NULL),
        gr_layer_norm(t, NULL, 1, x, x, 0),
        gr_group_norm(t, NULL, 1, x, x, 0),
        gr_dropout(t, NULL, 0.5, &rng),
        gr_keep(NULL),
    };
    for (size_t i = 0; i < COUNT(rest); i++) results[n++] = rest[i];
    for (int i = 0; i < n; i++)
        if (results[i]) fail_msg("call %d made something of NULL", i);
    assert_int_equal(gr_last_status(), expected);
}

static void every_op_passes_null_on(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_ones(GR_F64, GR_SHAPE(2, 2));
    gr_fail(GR_ERR_FORMAT, "the first failure");
    feed_null(t, x, GR_ERR_FORMAT);
    assert_string_equal(gr_last_error(), "the first failure");
    gr_clear_error();
    feed_null(t, x, GR_ERR_NULL);
    assert_string_equal(gr_last_error(), "neg: input 0 is NULL");
    assert_int_equal(gr_tape_statistics(t).tensors, 0);
    gr_tensor_free(x);
    gr_tape_free(t);
}

/* ---- Statuses and sentences ---------------------------------------------------------------------------------- */

static void statuses(void **state)
{
    (void)state;
    for (int s = 0; s < GR_N_STATUSES; s++) {
        assert_true(strlen(gr_status_text((gr_status)s)) > 0);
        assert_string_not_equal(gr_status_text((gr_status)s), "unknown status");
    }
    assert_string_equal(gr_status_text(GR_OK), "success");
    assert_string_equal(gr_status_text(GR_N_STATUSES), "unknown status");
    assert_string_equal(gr_status_text((gr_status)-1), "unknown status");
}

static void sentences(void **state)
{
    (void)state;
    char longer[1000];
    gr_clear_error();
    assert_string_equal(gr_last_error(), "");
    assert_int_equal(gr_last_status(), GR_OK);
    assert_int_equal(gr_fail(GR_ERR_VALUE, "%s is %d", "x", 3), GR_ERR_VALUE);
    gr_fail(GR_ERR_INDEX, "%s, and %s", gr_last_error(), "more"); /* may quote what it replaces */
    assert_string_equal(gr_last_error(), "x is 3, and more");
    assert_int_equal(gr_last_status(), GR_ERR_INDEX);
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    gr_fail(GR_ERR_VALUE, "%s", longer);
    assert_int_equal(strlen(gr_last_error()), 511);
    gr_clear_error();
    assert_int_equal(gr_last_status(), GR_OK);
}

static void *fail_in_a_thread(void *argument)
{
    bool *right = argument;
    *right = strcmp(gr_last_error(), "") == 0 && gr_last_status() == GR_OK;
    gr_fail(GR_ERR_IO, "of this thread");
    *right = *right && strcmp(gr_last_error(), "of this thread") == 0;
    return NULL;
}

static void each_thread_has_its_own(void **state)
{
    (void)state;
    bool right = false;
    pthread_t thread;
    gr_fail(GR_ERR_VALUE, "of the main thread");
    assert_int_equal(pthread_create(&thread, NULL, fail_in_a_thread, &right), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(right);
    assert_string_equal(gr_last_error(), "of the main thread");
    assert_int_equal(gr_last_status(), GR_ERR_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_tensors),
        cmocka_unit_test(of_tapes),
        cmocka_unit_test(of_ops),
        cmocka_unit_test(of_ops_for_images),
        cmocka_unit_test(of_losses),
        cmocka_unit_test(of_training_and_data),
        cmocka_unit_test(with_messages_of_their_own),
        cmocka_unit_test(the_first_sentence_stays),
        cmocka_unit_test(every_op_passes_null_on),
        cmocka_unit_test(statuses),
        cmocka_unit_test(sentences),
        cmocka_unit_test(each_thread_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
