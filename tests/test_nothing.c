/* test_nothing.c: tensors without elements. An axis of length 0 that is not reduced leaves a result without elements;
 * one that is reduced gives what nothing sums to, or an error where nothing has no such value. Neither the time nor the
 * memory depends on the lengths of the other axes: here they are 2^40. */
#include "helpers.h"

#include <time.h>

#include <gradus/gradus.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { REFUSED = -1 };

/* ---- A batch of no samples -------------------------------------------------------------------------------------- */

typedef struct inputs {
    gr_tape *t;
    gr_tensor *x, *images, *kernel, *three; /* [0,3]; [0,3,4,4]; [3,3,1,1]; [3] */
    gr_tensor *index;                       /* i32 [0] */
    gr_rng rng;
} inputs;

#define CALL(name, expression) \
    static gr_tensor *name(inputs *in) { return (void)in, expression; }
#define LOSS(loss, options) loss(in->t, in->images, in->images, options)

CALL(sum, gr_sum(in->t, in->x, GR_AXES(1), false))
CALL(mean, gr_mean(in->t, in->x, GR_AXES(1), false))
CALL(largest, gr_max(in->t, in->x, GR_AXES(1), false))
CALL(smallest, gr_min(in->t, in->x, GR_AXES(1), true))
CALL(logsumexp, gr_logsumexp(in->t, in->x, GR_AXES(1), false))
CALL(var, gr_var(in->t, in->x, GR_AXES(1), false, 0))
CALL(var_unbiased, gr_var(in->t, in->x, GR_AXES(1), true, 1))
CALL(var_negative, gr_var(in->t, in->x, GR_AXES(-1), false, 0))
CALL(softmax, gr_softmax(in->t, in->x, 1))
CALL(log_softmax, gr_log_softmax(in->t, in->x, -1))
CALL(layer_norm, gr_layer_norm(in->t, in->x, 1, in->three, in->three, 0.0))
CALL(group_norm, gr_group_norm(in->t, in->images, 3, in->three, in->three, 0.0))
CALL(batch_norm, gr_batch_norm2d(in->t, in->images, in->three, in->three, in->three, in->three, NULL))
CALL(conv2d, gr_conv2d(in->t, in->images, in->kernel, in->three, NULL))
CALL(conv_transpose2d, gr_conv_transpose2d(in->t, in->images, in->kernel, in->three, NULL))
CALL(max_pool, gr_max_pool2d(in->t, in->images, &(gr_pool2d_options){.kernel = {2, 2}}))
CALL(avg_pool, gr_avg_pool2d(in->t, in->images, &(gr_pool2d_options){.kernel = {2, 2}}))
CALL(global_pool, gr_global_avg_pool2d(in->t, in->images))
CALL(upsample, gr_upsample2d(in->t, in->images, 8, 8, GR_BILINEAR))
CALL(dropout, gr_dropout(in->t, in->x, 0.5, &in->rng))
CALL(matmul, gr_matmul(in->t, in->x, gr_reshape(in->t, in->kernel, GR_SHAPE(3, 3)), 0))
CALL(matmul_of_nothing, gr_matmul(in->t, in->x, in->x, GR_TRANS_A))
CALL(linear, gr_linear(in->t, in->x, gr_reshape(in->t, in->kernel, GR_SHAPE(3, 3)), in->three))
CALL(gather, gr_gather_rows(in->t, gr_reshape(in->t, in->kernel, GR_SHAPE(3, 3)), in->index))
CALL(scatter, gr_scatter_rows(in->t, in->x, in->index, 2))
CALL(sum_of_nothing, gr_sum(in->t, in->x, GR_AXES(0), false))
CALL(mean_of_nothing, gr_mean(in->t, in->x, GR_AXES(0), false))
CALL(max_of_nothing, gr_max(in->t, in->x, GR_ALL_AXES, false))
CALL(var_of_nothing, gr_var(in->t, in->x, GR_AXES(0), false, 0))
CALL(var_of_all, gr_var(in->t, in->x, GR_ALL_AXES, false, 0))
CALL(norm_of_nothing,
     gr_batch_norm2d(in->t, in->images, NULL, NULL, NULL, NULL, &(gr_batch_norm_options){.training = true}))
CALL(mse_none, LOSS(gr_mse, &(gr_loss_options){.reduction = GR_NONE}))
CALL(mse_sum, LOSS(gr_mse, &(gr_loss_options){.reduction = GR_SUM}))
CALL(mse_mean, LOSS(gr_mse, NULL))
CALL(bce_sum, LOSS(gr_bce, (&(gr_loss_options){.reduction = GR_SUM, .from_logits = true})))
CALL(entropy_none, gr_cross_entropy(in->t, in->x, in->index, &(gr_loss_options){.reduction = GR_NONE}))
CALL(entropy_sum, LOSS(gr_cross_entropy, (&(gr_loss_options){.reduction = GR_SUM, .from_logits = true})))
CALL(focal_sum, LOSS(gr_focal, &(gr_focal_options){.base.reduction = GR_SUM}))
CALL(balanced_sum, LOSS(gr_balanced_bce, &(gr_balanced_bce_options){.base.reduction = GR_SUM}))
CALL(dice_none, LOSS(gr_dice, &(gr_overlap_options){.base.reduction = GR_NONE}))
CALL(dice_sum, LOSS(gr_dice, &(gr_overlap_options){.base.reduction = GR_SUM}))
CALL(dice_mean, LOSS(gr_dice, NULL))
CALL(lovasz_sum,
     gr_lovasz_hinge(in->t, in->images, gr_detach(in->t, in->images), &(gr_region_options){.reduction = GR_SUM}))
CALL(counts, LOSS(gr_soft_counts, NULL))

/* The shape of the result, zeros if it has elements; or REFUSED. */
static const struct {
    const char *name;
    gr_tensor *(*call)(inputs *in);
    int rank;
    int64_t shape[4];
} calls[] = {
    {"sum", sum, 1, {0}},
    {"mean", mean, 1, {0}},
    {"max", largest, 1, {0}},
    {"min", smallest, 2, {0, 1}},
    {"logsumexp", logsumexp, 1, {0}},
    {"var", var, 1, {0}},
    {"unbiased var", var_unbiased, 2, {0, 1}},
    {"var of the last axis", var_negative, 1, {0}},
    {"softmax", softmax, 2, {0, 3}},
    {"log_softmax", log_softmax, 2, {0, 3}},
    {"layer_norm", layer_norm, 2, {0, 3}},
    {"group_norm", group_norm, 4, {0, 3, 4, 4}},
    {"batch_norm2d", batch_norm, 4, {0, 3, 4, 4}},
    {"conv2d", conv2d, 4, {0, 3, 4, 4}},
    {"conv_transpose2d", conv_transpose2d, 4, {0, 3, 4, 4}},
    {"max_pool2d", max_pool, 4, {0, 3, 2, 2}},
    {"avg_pool2d", avg_pool, 4, {0, 3, 2, 2}},
    {"global_avg_pool2d", global_pool, 4, {0, 3, 1, 1}},
    {"upsample2d", upsample, 4, {0, 3, 8, 8}},
    {"dropout", dropout, 2, {0, 3}},
    {"matmul", matmul, 2, {0, 3}},
    {"matmul over nothing", matmul_of_nothing, 2, {3, 3}},
    {"linear", linear, 2, {0, 3}},
    {"gather_rows", gather, 2, {0, 3}},
    {"scatter_rows", scatter, 2, {2, 3}},
    {"sum of nothing", sum_of_nothing, 1, {3}},
    {"mean of nothing", mean_of_nothing, REFUSED, {0}},
    {"max of nothing", max_of_nothing, REFUSED, {0}},
    {"var of nothing", var_of_nothing, REFUSED, {0}},
    {"var of all nothing", var_of_all, REFUSED, {0}},
    {"batch_norm2d in training", norm_of_nothing, REFUSED, {0}},
    {"mse, none", mse_none, 4, {0, 3, 4, 4}},
    {"mse, sum", mse_sum, 0, {0}},
    {"mse, mean", mse_mean, REFUSED, {0}},
    {"bce, sum", bce_sum, 0, {0}},
    {"cross_entropy, none", entropy_none, 1, {0}},
    {"cross_entropy, sum", entropy_sum, 0, {0}},
    {"focal, sum", focal_sum, 0, {0}},
    {"balanced_bce, sum", balanced_sum, 0, {0}},
    {"dice, none", dice_none, 2, {0, 3}},
    {"dice, sum", dice_sum, 0, {0}},
    {"dice, mean", dice_mean, REFUSED, {0}},
    {"lovasz_hinge, sum", lovasz_sum, 0, {0}},
    {"soft_counts", counts, 3, {4, 0, 3}},
};

static void check_result(const char *name, gr_tensor *y, int rank, const int64_t shape[])
{
    if (rank == REFUSED) {
        if (y || gr_last_status() != GR_ERR_SHAPE) fail_msg("%s: not refused, or %s", name, gr_last_error());
        return;
    }
    if (!y) fail_msg("%s: %s", name, gr_last_error());
    if (gr_rank(y) != rank) fail_msg("%s: rank %d", name, gr_rank(y));
    for (int i = 0; i < rank; i++)
        if (gr_dim(y, i) != shape[i]) fail_msg("%s: dimension %d is %lld", name, i, (long long)gr_dim(y, i));
    for (int64_t i = 0; i < gr_size(y); i++)
        if (gr_get(y, i) != 0.0) fail_msg("%s: element %lld is %g", name, (long long)i, gr_get(y, i));
}

/* Value and gradient, with and without a record of the backward pass. */
static void a_batch_of_no_samples(void **state)
{
    (void)state;
    for (gr_dtype dtype = GR_F32; dtype <= GR_F64; dtype++)
        for (size_t i = 0; i < COUNT(calls); i++) {
            inputs in = {.t = gr_tape_new(), .rng = gr_rng_seed(1)};
            in.x = gr_zeros(dtype, GR_SHAPE(0, 3));
            in.images = gr_zeros(dtype, GR_SHAPE(0, 3, 4, 4));
            in.kernel = gr_zeros(dtype, GR_SHAPE(3, 3, 1, 1));
            in.three = gr_zeros(dtype, GR_SHAPE(3));
            in.index = gr_zeros(GR_I32, GR_SHAPE(0));
            assert_false(gr_require_grad(in.x) || gr_require_grad(in.images) || gr_require_grad(in.kernel));
            gr_clear_error();
            gr_tensor *y = calls[i].call(&in), *by[] = {in.x, in.images, in.kernel}, *d[3];
            check_result(calls[i].name, y, calls[i].rank, calls[i].shape);
            for (int flags = GR_RETAIN; y && flags <= GR_CREATE_GRAPH; flags++) {
                if (gr_grad(in.t, gr_sum(in.t, y, GR_ALL_AXES, false), by, 3, d, flags))
                    fail_msg("%s, backward: %s", calls[i].name, gr_last_error());
                for (int k = 0; k < 3; k++) check_result(calls[i].name, d[k], gr_rank(by[k]), gr_shape(by[k]));
            }
            gr_tape_free(in.t);
            gr_tensor *const all[] = {in.x, in.images, in.kernel, in.three, in.index};
            for (size_t k = 0; k < COUNT(all); k++) gr_tensor_free(all[k]);
        }
}

/* ---- 2^40 times nothing ------------------------------------------------------------------------------------------ */

static const int64_t rows = (int64_t)1 << 40;

static void huge_and_empty(void **state)
{
    (void)state;
    const clock_t begin = clock();
    char text[64];
    gr_tape *t = gr_tape_new();
    gr_rng rng = gr_rng_seed(1);
    gr_tensor *x = gr_zeros(GR_F32, GR_SHAPE(rows, 0)), *wide = gr_zeros(GR_F64, GR_SHAPE(2, rows, 0, 3));
    gr_tensor *index = gr_zeros(GR_I32, GR_SHAPE(rows, 0)), *pair[] = {x, x}, *d;
    gr_format(text, sizeof text, x);
    assert_string_equal(text, "[]  f32[1099511627776,0]");
    gr_format(text, sizeof text, wide);
    assert_string_equal(text, "[]  f64[2,1099511627776,0,3]");
    assert_false(gr_require_grad(x));
    gr_tensor *const results[] = {
        gr_relu(t, x),
        gr_add(t, x, x),
        gr_softmax(t, x, 0),
        gr_transpose(t, x),
        gr_permute(t, wide, GR_AXES(3, 1, 0, 2)),
        gr_concat(t, pair, 2, 0),
        gr_concat(t, pair, 2, 1),
        gr_stack(t, pair, 2, 1),
        gr_slice(t, x, 1, 0, 0),
        gr_slice(t, wide, 3, 1, 2),
        gr_pad(t, x, 0, 1, 1, 0.0),
        gr_reshape(t, x, GR_SHAPE(0, rows)),
        gr_broadcast_to(t, x, GR_SHAPE(3, rows, 0)),
        gr_sum(t, x, GR_AXES(0), false),
        gr_sum(t, wide, GR_AXES(1), false),
        gr_var(t, x, GR_AXES(0), true, 1),
        gr_max(t, wide, GR_AXES(1, 0), false),
        gr_dropout(t, x, 0.5, &rng),
        gr_cast(t, x, GR_F64),
        gr_mse(t, x, x, &(gr_loss_options){.reduction = GR_NONE}),
        gr_layer_norm(t, wide, 1, NULL, NULL, 0.0),
    };
    for (size_t i = 0; i < COUNT(results); i++) {
        if (!results[i]) fail_msg("result %d: %s", (int)i, gr_last_error());
        assert_int_equal(gr_size(results[i]), 0);
        if (!gr_requires_grad(results[i]) || gr_dtype_of(results[i]) != GR_F32) continue;
        if (gr_grad(t, gr_sum(t, results[i], GR_ALL_AXES, false), &x, 1, &d, GR_RETAIN))
            fail_msg("result %d: %s", (int)i, gr_last_error());
        assert_int_equal(gr_size(d), 0);
    }
    gr_tensor *hot = gr_one_hot(GR_F32, index, 3), *copy = gr_copy(x), *same = gr_copy_as(GR_I32, x);
    assert_true(hot && copy && same && !gr_assign(copy, x));
    gr_tensor *const all[] = {x, wide, index, hot, copy, same};
    for (size_t i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
    gr_tape_free(t);
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 5.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_of_no_samples),
        cmocka_unit_test(huge_and_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
