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
static gr_status made(const void *it)
{
    return it ? GR_OK : gr_last_status();
}

/* One that gives a number. */
static gr_status gave(double x)
{
    return isnan(x) ? gr_last_status() : GR_OK;
}

/* ---- Tensors ------------------------------------------------------------------------------------------------- */

// clang-format off
static gr_status zeros_rank(world *w) { (void)w; return made(gr_zeros(GR_F32, 9, (int64_t[9]){1})); }
static gr_status zeros_negative(world *w) { (void)w; return made(gr_zeros(GR_F32, GR_SHAPE(2, -1))); }
static gr_status zeros_huge(world *w) { (void)w; return made(gr_zeros(GR_F64, GR_SHAPE(1 << 30, 1 << 30))); }
static gr_status zeros_no_shape(world *w) { (void)w; return made(gr_zeros(GR_F64, 2, NULL)); }
static gr_status ones_dtype(world *w) { (void)w; return made(gr_ones(GR_N_DTYPES, GR_SHAPE(2))); }
static gr_status full_index(world *w) { (void)w; return made(gr_full(GR_I32, GR_SHAPE(2), 1e12)); }
static gr_status scalar_nan_index(world *w) { (void)w; return made(gr_scalar(GR_I32, (double)NAN)); }
static gr_status from_null(world *w) { (void)w; return made(gr_from(GR_F64, GR_SHAPE(2), NULL)); }
static gr_status arange_step(world *w) { (void)w; return made(gr_arange(GR_F64, 0, 1, 0)); }
static gr_status uniform_no_rng(world *w) { (void)w; return made(gr_uniform(GR_F64, GR_SHAPE(2), 0, 1, NULL)); }
static gr_status uniform_index(world *w) { return made(gr_uniform(GR_I32, GR_SHAPE(2), 0, 1, &w->rng)); }
static gr_status uniform_crossed(world *w) { return made(gr_uniform(GR_F64, GR_SHAPE(2), 1, -1, &w->rng)); }
static gr_status uniform_infinite(world *w) { return made(gr_uniform(GR_F64, GR_SHAPE(2), 0, (double)INFINITY, &w->rng)); }
static gr_status normal_negative(world *w) { return made(gr_normal(GR_F64, GR_SHAPE(2), 0, -1, &w->rng)); }
static gr_status normal_nan(world *w) { return made(gr_normal(GR_F64, GR_SHAPE(2), (double)NAN, 1, &w->rng)); }
static gr_status xavier_vector(world *w) { return made(gr_xavier_uniform(GR_F64, GR_SHAPE(5), &w->rng)); }
static gr_status kaiming_nothing(world *w) { return made(gr_kaiming_normal(GR_F64, GR_SHAPE(0, 3), &w->rng)); }
static gr_status free_result(world *w) { gr_tensor_free(w->result); return gr_last_status(); }
static gr_status read_dtype(world *w) { return made(gr_read_f32(w->m)); }
static gr_status write_dtype(world *w) { return made(gr_f64(w->index)); }
static gr_status read_null(world *w) { (void)w; return made(gr_read_i32(NULL)); }
static gr_status read_released(world *w) { return made(gr_read_f64(w->released)); }
static gr_status get_past(world *w) { return gave(gr_get(w->m, 12)); }
static gr_status set_before(world *w) { return gr_set(w->m, -1, 0.0); }
static gr_status set_index(world *w) { return gr_set(w->index, 0, 3e9); }
static gr_status item_many(world *w) { return gave(gr_item(w->row)); }
static gr_status item_null(world *w) { (void)w; return gave(gr_item(NULL)); }
static gr_status copy_null(world *w) { (void)w; return made(gr_copy(NULL)); }
static gr_status copy_as_none(world *w) { return made(gr_copy_as((gr_dtype)9, w->m)); }
static gr_status assign_shape(world *w) { return gr_assign(w->m, w->column); }
static gr_status assign_dtype(world *w) { return gr_assign(w->m, w->single); }
static gr_status view_size(world *w) { return made(gr_view(w->m, GR_SHAPE(5, 5))); }
static gr_status view_result(world *w) { return made(gr_view(w->result, GR_SHAPE(12))); }
static gr_status rows_past(world *w) { return made(gr_view_rows(w->m, 2, 2)); }
static gr_status rows_of_number(world *w) { return made(gr_view_rows(w->number, 0, 1)); }
static gr_status name_null(world *w) { return gr_set_name(w->m, NULL); }

/* ---- Tape ---------------------------------------------------------------------------------------------------- */

static gr_status backward_no_tape(world *w) { return gr_backward(NULL, w->result, 0); }
static gr_status backward_null(world *w) { return gr_backward(w->t, NULL, 0); }
static gr_status backward_leaf(world *w) { return gr_backward(w->t, w->number, 0); }
static gr_status backward_constant(world *w) { return gr_backward(w->t, w->constant, 0); }
static gr_status backward_many(world *w) { return gr_backward(w->t, w->result, 0); }
static gr_status backward_foreign(world *w) { return gr_backward(w->t, w->foreign, 0); }
static gr_status backward_released(world *w) { return gr_backward_from(w->t, w->released, w->single ? w->shares : NULL, 0); }
static gr_status vjp_no_cotangent(world *w) { return gr_vjp(w->t, w->result, NULL, &w->m, 1, w->out, 0); }
static gr_status vjp_shape(world *w) { return gr_vjp(w->t, w->result, w->row, &w->m, 1, w->out, 0); }
static gr_status vjp_dtype(world *w) { return gr_vjp(w->t, w->result, w->single, &w->m, 1, w->out, 0); }
static gr_status vjp_foreign(world *w) { return gr_vjp(w->t, w->result, w->foreign, &w->m, 1, w->out, 0); }
static gr_status vjp_released(world *w) { return gr_vjp(w->t, w->result, w->released, &w->m, 1, w->out, 0); }
static gr_status from_no_cotangent(world *w) { return gr_backward_from(w->t, w->result, NULL, 0); }
static gr_status grad_constant(world *w) { return gr_grad(w->t, w->result, &w->column, 1, w->out, 0); }
static gr_status grad_foreign(world *w) { return gr_grad(w->t, w->result, &w->foreign, 1, w->out, 0); }
static gr_status grad_no_list(world *w) { return gr_grad(w->t, w->result, NULL, 1, w->out, 0); }
static gr_status grad_no_out(world *w) { return gr_grad(w->t, w->result, &w->m, 1, NULL, 0); }
static gr_status grad_of_none(world *w) { return gr_grad(w->t, w->result, &w->m, 0, w->out, 0); }
static gr_status grad_null_input(world *w) { return gr_grad(w->t, w->result, (gr_tensor *[]){w->m, NULL}, 2, w->out, 0); }
static gr_status require_index(world *w) { return gr_require_grad(w->index); }
static gr_status require_result(world *w) { return gr_require_grad(w->constant); }
static gr_status require_null(world *w) { (void)w; return gr_require_grad(NULL); }
static gr_status apply_null(world *w) { return made(gr_apply(w->t, NULL, &w->m, 1, NULL)); }
static gr_status apply_count(world *w) { return made(gr_apply(w->t, gr_op_at(0), &w->m, 1, NULL)); }

/* ---- Ops ----------------------------------------------------------------------------------------------------- */

static gr_status no_tape(world *w) { return made(gr_exp(NULL, w->m)); }
static gr_status null_input(world *w) { return made(gr_mul(w->t, w->m, NULL)); }
static gr_status foreign_input(world *w) { return made(gr_add(w->t, w->m, w->foreign)); }
static gr_status released_input(world *w) { return made(gr_tanh(w->t, w->released)); }
static gr_status index_input(world *w) { return made(gr_relu(w->t, w->index)); }
static gr_status mixed_dtypes(world *w) { return made(gr_add(w->t, w->m, w->single)); }
static gr_status no_broadcast(world *w) { return made(gr_div(w->t, w->m, w->wide)); }
static gr_status where_shapes(world *w) { return made(gr_where(w->t, w->wide, w->m, w->m)); }
static gr_status clamp_crossed(world *w) { return made(gr_clamp(w->t, w->m, 1, -1)); }
static gr_status clamp_nan(world *w) { return made(gr_clamp(w->t, w->m, (double)NAN, 1)); }
static gr_status sum_axis(world *w) { return made(gr_sum(w->t, w->m, GR_AXES(-3), false)); }
static gr_status sum_twice(world *w) { return made(gr_sum(w->t, w->m, GR_AXES(1, -1), false)); }
static gr_status sum_many(world *w) { return made(gr_sum(w->t, w->m, 9, (int[9]){0}, false)); }
static gr_status sum_no_list(world *w) { return made(gr_sum(w->t, w->m, 1, NULL, false)); }
static gr_status mean_nothing(world *w) { return made(gr_mean(w->t, w->empty, GR_ALL_AXES, false)); }
static gr_status max_nothing(world *w) { return made(gr_max(w->t, w->empty, GR_AXES(0), false)); }
static gr_status logsumexp_nothing(world *w) { return made(gr_logsumexp(w->t, w->empty, GR_AXES(0), true)); }
static gr_status var_of_one(world *w) { return made(gr_var(w->t, w->column, GR_AXES(1), false, 1)); }
static gr_status softmax_axis(world *w) { return made(gr_softmax(w->t, w->row, 1)); }
static gr_status softmax_nothing(world *w) { return made(gr_log_softmax(w->t, w->empty, 0)); }
static gr_status matmul_inner(world *w) { return made(gr_matmul(w->t, w->m, w->wide, 0)); }
static gr_status matmul_transposed(world *w) { return made(gr_matmul(w->t, w->m, w->wide, GR_TRANS_A)); }
static gr_status matmul_vector(world *w) { return made(gr_matmul(w->t, w->m, w->row, 0)); }
static gr_status matmul_flags(world *w) { return made(gr_matmul(w->t, w->m, w->m, 4)); }
static gr_status linear_bias(world *w) { return made(gr_linear(w->t, w->column, gr_slice(w->t, w->m, 0, 0, 1), w->number)); }
static gr_status reshape_size(world *w) { return made(gr_reshape(w->t, w->m, GR_SHAPE(5, -1))); }
static gr_status reshape_two(world *w) { return made(gr_reshape(w->t, w->m, GR_SHAPE(-1, -1))); }
static gr_status reshape_negative(world *w) { return made(gr_reshape(w->t, w->m, GR_SHAPE(-2, 6))); }
static gr_status reshape_rank(world *w) { return made(gr_reshape(w->t, w->m, 9, (int64_t[9]){0})); }
static gr_status permute_twice(world *w) { return made(gr_permute(w->t, w->m, GR_AXES(1, 1))); }
static gr_status permute_few(world *w) { return made(gr_permute(w->t, w->m, GR_AXES(0))); }
static gr_status permute_no_list(world *w) { return made(gr_permute(w->t, w->m, 2, NULL)); }
static gr_status transpose_vector(world *w) { return made(gr_transpose(w->t, w->row)); }
static gr_status broadcast_smaller(world *w) { return made(gr_broadcast_to(w->t, w->m, GR_SHAPE(4))); }
static gr_status broadcast_huge(world *w) { return made(gr_broadcast_to(w->t, w->number, GR_SHAPE(1 << 30, 1 << 30))); }
static gr_status concat_shapes(world *w) { return made(gr_concat(w->t, (gr_tensor *[]){w->m, w->wide}, 2, 0)); }
static gr_status concat_axis(world *w) { return made(gr_concat(w->t, &w->m, 1, 2)); }
static gr_status concat_none(world *w) { return made(gr_concat(w->t, &w->m, 0, 0)); }
static gr_status stack_shapes(world *w) { return made(gr_stack(w->t, (gr_tensor *[]){w->m, w->wide}, 2, 0)); }
static gr_status stack_axis(world *w) { return made(gr_stack(w->t, &w->m, 1, 4)); }
static gr_status stack_no_list(world *w) { return made(gr_stack(w->t, NULL, 2, 0)); }
static gr_status slice_past(world *w) { return made(gr_slice(w->t, w->m, 1, 2, 5)); }
static gr_status slice_crossed(world *w) { return made(gr_slice(w->t, w->m, 0, 2, 1)); }
static gr_status pad_negative(world *w) { return made(gr_pad(w->t, w->m, 0, -1, 0, 0)); }
static gr_status pad_axis(world *w) { return made(gr_pad(w->t, w->m, -3, 1, 0, 0)); }
static gr_status gather_past(world *w) { return made(gr_gather_rows(w->t, w->m, w->bad_index)); }
static gr_status gather_float(world *w) { return made(gr_gather_rows(w->t, w->m, w->column)); }
static gr_status scatter_past(world *w) { return made(gr_scatter_rows(w->t, w->m, w->bad_index, 3)); }
static gr_status scatter_shape(world *w) { return made(gr_scatter_rows(w->t, w->wide, w->index, 3)); }
static gr_status scatter_rows(world *w) { return made(gr_scatter_rows(w->t, w->m, w->index, -1)); }
static gr_status cast_index(world *w) { return made(gr_cast(w->t, w->m, GR_I32)); }
static gr_status constant_index(world *w) { return made(gr_constant(w->t, GR_I32, 1.0)); }

/* ---- Ops for images ------------------------------------------------------------------------------------------ */

#define POOL(...) &(gr_pool2d_options){__VA_ARGS__}
#define TRAINING(...) &(gr_batch_norm_options){.training = true, __VA_ARGS__}
static gr_status max_pool_no_options(world *w) { return made(gr_max_pool2d(w->t, w->images, NULL)); }
static gr_status max_pool_kernel(world *w) { return made(gr_max_pool2d(w->t, w->images, POOL(.kernel = {2, -2}))); }
static gr_status max_pool_stride(world *w) { return made(gr_max_pool2d(w->t, w->images, POOL(.kernel = {2, 2}, .stride = {-1, 2}))); }
static gr_status max_pool_padding(world *w) { return made(gr_max_pool2d(w->t, w->images, POOL(.kernel = {2, 2}, .padding = {0, 2}))); }
static gr_status max_pool_size(world *w) { return made(gr_max_pool2d(w->t, w->images, POOL(.kernel = {5, 2}))); }
static gr_status max_pool_rank(world *w) { return made(gr_max_pool2d(w->t, w->m, POOL(.kernel = {2, 2}))); }
static gr_status avg_pool_padding(world *w) { return made(gr_avg_pool2d(w->t, w->images, POOL(.kernel = {3, 3}, .padding = {-1, 0}))); }
static gr_status avg_pool_rank(world *w) { return made(gr_avg_pool2d(w->t, w->row, POOL(.kernel = {1, 1}))); }
static gr_status global_rank(world *w) { return made(gr_global_avg_pool2d(w->t, w->m)); }
static gr_status upsample_less(world *w) { return made(gr_upsample2d(w->t, w->images, 8, 4, GR_NEAREST)); }
static gr_status upsample_mode(world *w) { return made(gr_upsample2d(w->t, w->images, 8, 8, GR_N_UPSAMPLE_MODES)); }
static gr_status upsample_rank(world *w) { return made(gr_upsample2d(w->t, w->m, 8, 8, GR_BILINEAR)); }
static gr_status upsample_huge(world *w) { return made(gr_upsample2d(w->t, w->images, 1 << 30, 1 << 30, GR_BILINEAR)); }
static gr_status batch_rank(world *w) { return made(gr_batch_norm2d(w->t, w->m, NULL, NULL, NULL, NULL, TRAINING(0))); }
static gr_status batch_gamma(world *w) { return made(gr_batch_norm2d(w->t, w->images, w->row, NULL, NULL, NULL, TRAINING(0))); }
static gr_status batch_beta_in_use(world *w) { return made(gr_batch_norm2d(w->t, w->images, NULL, w->row, w->channels, w->channels, NULL)); }
static gr_status batch_momentum(world *w) { return made(gr_batch_norm2d(w->t, w->images, NULL, NULL, NULL, NULL, TRAINING(.momentum = 1.5))); }
static gr_status batch_epsilon(world *w) { return made(gr_batch_norm2d(w->t, w->images, NULL, NULL, NULL, NULL, TRAINING(.epsilon = -1e-5))); }
static gr_status batch_no_mean(world *w) { return made(gr_batch_norm2d(w->t, w->images, NULL, NULL, NULL, w->channels, NULL)); }
static gr_status batch_no_variance(world *w) { return made(gr_batch_norm2d(w->t, w->images, NULL, NULL, w->channels, NULL, NULL)); }
static gr_status batch_buffer(world *w) { return made(gr_batch_norm2d(w->t, w->images, NULL, NULL, w->row, NULL, TRAINING(0))); }
static gr_status batch_buffer_dtype(world *w) { return made(gr_batch_norm2d(w->t, w->images, NULL, NULL, w->single, NULL, TRAINING(0))); }
static gr_status batch_result(world *w) { return made(gr_batch_norm2d(w->t, w->images, NULL, NULL, gr_exp(w->t, w->channels), NULL, TRAINING(0))); }
static gr_status batch_of_one(world *w) { return made(gr_batch_norm2d(w->t, gr_reshape(w->t, w->row, GR_SHAPE(1, 4, 1, 1)), NULL, NULL, NULL, NULL, TRAINING(0))); }
static gr_status layer_axes(world *w) { return made(gr_layer_norm(w->t, w->m, 3, NULL, NULL, 0)); }
static gr_status layer_gamma(world *w) { return made(gr_layer_norm(w->t, w->images, 2, w->row, NULL, 0)); }
static gr_status layer_nothing(world *w) { return made(gr_layer_norm(w->t, gr_transpose(w->t, w->empty), 1, NULL, NULL, 0)); }
static gr_status layer_epsilon(world *w) { return made(gr_layer_norm(w->t, w->m, 1, NULL, NULL, (double)NAN)); }
static gr_status group_count(world *w) { return made(gr_group_norm(w->t, w->images, 2, NULL, NULL, 0)); }
static gr_status group_rank(world *w) { return made(gr_group_norm(w->t, w->row, 2, NULL, NULL, 0)); }
static gr_status group_dtype(world *w) { return made(gr_group_norm(w->t, w->images, 3, w->single, NULL, 0)); }
static gr_status dropout_share(world *w) { return made(gr_dropout(w->t, w->m, 1.0, &w->rng)); }
static gr_status dropout_no_rng(world *w) { return made(gr_dropout(w->t, w->m, 0.5, NULL)); }

/* ---- Losses -------------------------------------------------------------------------------------------------- */

#define OPTIONS(...) &(gr_loss_options){__VA_ARGS__}
static gr_status mse_shapes(world *w) { return made(gr_mse(w->t, w->m, w->row, NULL)); }
static gr_status mse_dtypes(world *w) { return made(gr_mse(w->t, w->m, w->single, NULL)); }
static gr_status mse_null(world *w) { return made(gr_mse(w->t, w->m, NULL, NULL)); }
static gr_status mse_nothing(world *w) { return made(gr_mse(w->t, w->empty, w->empty, NULL)); }
static gr_status mse_reduction(world *w) { return made(gr_mse(w->t, w->m, w->shares, OPTIONS(.reduction = (gr_reduction)3))); }
static gr_status mse_logits(world *w) { return made(gr_mse(w->t, w->m, w->shares, OPTIONS(.from_logits = true))); }
static gr_status mse_weight_shape(world *w) { return made(gr_mse(w->t, w->m, w->shares, OPTIONS(.weight = w->column))); }
static gr_status mse_weight_dtype(world *w) { return made(gr_mse(w->t, w->m, w->shares, OPTIONS(.weight = w->single))); }
static gr_status l1_class_weight(world *w) { return made(gr_l1(w->t, w->m, w->shares, OPTIONS(.class_weight = w->column))); }
static gr_status l1_target(world *w) { return made(gr_l1(w->t, w->m, gr_log(w->t, gr_neg(w->t, w->shares)), NULL)); }
static gr_status l1_weight(world *w) { return made(gr_l1(w->t, w->m, w->shares, OPTIONS(.weight = gr_neg(w->t, w->shares)))); }
static gr_status hinge_target(world *w) { return made(gr_hinge(w->t, w->m, w->shares, NULL)); }
static gr_status zero_one_target(world *w) { return made(gr_zero_one(w->t, w->shares, w->shares, NULL)); }
static gr_status bce_logits(world *w) { return made(gr_bce(w->t, w->m, w->shares, NULL)); }
static gr_status bce_target(world *w) { return made(gr_bce(w->t, w->shares, w->m, NULL)); }
static gr_status bce_smoothing(world *w) { return made(gr_bce(w->t, w->shares, w->shares, OPTIONS(.label_smoothing = 2))); }
static gr_status entropy_class(world *w) { return made(gr_cross_entropy(w->t, w->m, w->bad_index, OPTIONS(.from_logits = true))); }
static gr_status entropy_rank(world *w) { return made(gr_cross_entropy(w->t, w->row, w->index, NULL)); }
static gr_status entropy_target(world *w) { return made(gr_cross_entropy(w->t, w->wide, w->index, NULL)); }
static gr_status entropy_ignore(world *w) { return made(gr_cross_entropy(w->t, w->m, w->shares, OPTIONS(.from_logits = true, .ignore = true))); }
static gr_status entropy_weight(world *w) { return made(gr_cross_entropy(w->t, w->m, w->index, OPTIONS(.from_logits = true, .class_weight = w->column))); }
static gr_status kl_logits(world *w) { return made(gr_kl(w->t, w->m, w->shares, NULL)); }

/* ---- Training, data, checks ---------------------------------------------------------------------------------- */

static gr_status add_taken(world *w) { return made(gr_params_add(w->params, "w", gr_ones(GR_F64, GR_SHAPE(2)))); }
static gr_status add_nameless(world *w) { return made(gr_params_add(w->params, "", gr_ones(GR_F64, GR_SHAPE(2)))); }
static gr_status add_index(world *w) { return made(gr_params_add(w->params, "i", gr_ones(GR_I32, GR_SHAPE(2)))); }
static gr_status add_result(world *w) { return made(gr_params_add(w->params, "r", w->result)); }
static gr_status get_none(world *w) { return made(gr_params_get(w->params, "b")); }
static gr_status sgd_empty(world *w) { return made(gr_sgd(w->no_params, NULL)); }
static gr_status sgd_null(world *w) { (void)w; return made(gr_sgd(NULL, NULL)); }
static gr_status sgd_rate(world *w) { return made(gr_sgd(w->params, &(gr_sgd_options){.lr = -1})); }
static gr_status sgd_nesterov(world *w) { return made(gr_sgd(w->params, &(gr_sgd_options){.nesterov = true})); }
static gr_status adam_beta(world *w) { return made(gr_adam(w->params, &(gr_adam_options){.beta1 = 1})); }
static gr_status rmsprop_nan(world *w) { return made(gr_rmsprop(w->params, &(gr_rmsprop_options){.eps = (double)NAN})); }
static gr_status step_early(world *w) { return gr_step(w->sgd); }
static gr_status rate_infinite(world *w) { return gr_set_learning_rate(w->sgd, (double)INFINITY); }
static gr_status clip_at_nothing(world *w) { return gr_clip_grad_norm(w->params, 0, NULL); }
static gr_status clip_value_nan(world *w) { return gr_clip_grad_value(w->params, (double)NAN); }
static gr_status schedule_period(world *w) { (void)w; return gave(gr_schedule_rate(&(gr_schedule){.kind = GR_COSINE, .base = 1}, 0)); }
static gr_status schedule_kind(world *w) { (void)w; return gave(gr_schedule_rate(&(gr_schedule){.kind = (gr_schedule_kind)7, .base = 1}, 0)); }
static gr_status set_rows(world *w) { (void)w; return made(gr_dataset_new(gr_ones(GR_F32, GR_SHAPE(3, 2)), gr_ones(GR_F32, GR_SHAPE(2)))); }
static gr_status split_all(world *w) { gr_dataset *a, *b; return gr_dataset_split(w->set, 1.0, NULL, &a, &b); }
static gr_status batch_of_none(world *w) { return made(gr_batches_new(w->set, 0, NULL)); }
static gr_status one_hot_class(world *w) { return made(gr_one_hot(GR_F32, w->bad_index, 3)); }
static gr_status csv_missing(world *w) { (void)w; return made(gr_csv_read("/no/such/file.csv", NULL, NULL)); }
static gr_status idx_missing(world *w) { (void)w; return made(gr_idx_read("/no/such/file", false)); }
// clang-format on

typedef struct wrong_call {
    const char *what;
    gr_status (*call)(world *w);
    gr_status status;
    const char *part;
} wrong_call;

static const wrong_call tensor_calls[] = {
    {"rank 9", zeros_rank, GR_ERR_SHAPE, "zeros: rank 9 is outside 0..8"},
    {"a negative dimension", zeros_negative, GR_ERR_SHAPE, "zeros: dimension 1 of [2,-1] is negative"},
    {"2^60 elements", zeros_huge, GR_ERR_SHAPE, "zeros: [1073741824,1073741824] has too many elements"},
    {"a rank without a shape", zeros_no_shape, GR_ERR_NULL, "zeros: shape is NULL for rank 2"},
    {"no dtype", ones_dtype, GR_ERR_DTYPE, "ones: no such dtype: 3"},
    {"an index of 1e12", full_index, GR_ERR_VALUE, "full: 1e+12 is no value of i32"},
    {"an index of NaN", scalar_nan_index, GR_ERR_VALUE, "scalar: nan is no value of i32"},
    {"from NULL", from_null, GR_ERR_NULL, "from: data is NULL for [2]"},
    {"arange by 0", arange_step, GR_ERR_VALUE, "arange: no steps of 0 lead from 0 to 1"},
    {"uniform without a state", uniform_no_rng, GR_ERR_NULL, "uniform: rng is NULL"},
    {"uniform indices", uniform_index, GR_ERR_DTYPE, "uniform: draws are f32 or f64, not i32"},
    {"bounds that cross", uniform_crossed, GR_ERR_VALUE, "uniform: no numbers to draw from 1 up to -1"},
    {"an infinite bound", uniform_infinite, GR_ERR_VALUE, "uniform: no numbers to draw from 0 up to inf"},
    {"a negative deviation", normal_negative, GR_ERR_VALUE,
     "normal: no normal distribution has mean 0 and deviation -1"},
    {"a mean of NaN", normal_nan, GR_ERR_VALUE, "normal: no normal distribution has mean nan"},
    {"Xavier of a vector", xavier_vector, GR_ERR_SHAPE, "xavier_uniform: [5] has no fan"},
    {"Kaiming of nothing", kaiming_nothing, GR_ERR_SHAPE, "kaiming_normal: [0,3] has no fan"},
    {"freeing a result", free_result, GR_ERR_STATE, "gr_tensor_free: this [3,4] is a result of a tape, which frees it"},
    {"f64 as f32", read_dtype, GR_ERR_DTYPE, "read_f32: the tensor is f64"},
    {"i32 as f64", write_dtype, GR_ERR_DTYPE, "f64: the tensor is i32"},
    {"reading NULL", read_null, GR_ERR_NULL, "read_i32: tensor is NULL"},
    {"reading what was given back", read_released, GR_ERR_STATE, "read_f64: this [3,4] was given back by backward"},
    {"get past the end", get_past, GR_ERR_INDEX, "get: position 12 is outside the 12 elements of [3,4]"},
    {"set before the start", set_before, GR_ERR_INDEX, "set: position -1 is outside the 12 elements"},
    {"set an index to 3e9", set_index, GR_ERR_VALUE, "set: 3e+09 is no value of i32"},
    {"the item of four", item_many, GR_ERR_SHAPE, "item: [4] has 4 elements, not one"},
    {"the item of NULL", item_null, GR_ERR_NULL, "item: tensor is NULL"},
    {"a copy of NULL", copy_null, GR_ERR_NULL, "copy: tensor is NULL"},
    {"a copy as no dtype", copy_as_none, GR_ERR_DTYPE, "copy_as: no such dtype: 9"},
    {"assign another shape", assign_shape, GR_ERR_SHAPE, "assign: shapes differ: [3,4] and [3,1]"},
    {"assign another dtype", assign_dtype, GR_ERR_DTYPE, "assign: dtypes differ: f64 and f32"},
    {"a view of another size", view_size, GR_ERR_SHAPE, "view: [5,5] has not as many elements as [3,4]"},
    {"a view of a result", view_result, GR_ERR_STATE, "view: a result of a tape: use gr_reshape()"},
    {"rows past the end", rows_past, GR_ERR_INDEX, "view_rows: 2 rows from 2 on are not all in [3,4]"},
    {"rows of a scalar", rows_of_number, GR_ERR_SHAPE, "view_rows: a scalar has no rows"},
    {"a name of NULL", name_null, GR_ERR_NULL, "set_name: name is NULL"},
};

static const wrong_call tape_calls[] = {
    {"backward without a tape", backward_no_tape, GR_ERR_NULL, "backward: tape is NULL"},
    {"backward from NULL", backward_null, GR_ERR_NULL, "backward: the output is NULL"},
    {"backward from a leaf", backward_leaf, GR_ERR_STATE, "backward: the output [] was not recorded"},
    {"backward from a constant", backward_constant, GR_ERR_STATE, "backward: the output [3,1] was not recorded"},
    {"backward from many", backward_many, GR_ERR_SHAPE, "backward: the output [3,4] has 12 elements, not one"},
    {"backward on another tape", backward_foreign, GR_ERR_STATE, "backward: the output is a result of another tape"},
    {"backward from what was given back", backward_released, GR_ERR_STATE,
     "gave the values of mul back: pass it GR_RETAIN"},
    {"vjp without a cotangent", vjp_no_cotangent, GR_ERR_SHAPE, "reduce it, or give a cotangent to gr_vjp()"},
    {"a cotangent of another shape", vjp_shape, GR_ERR_SHAPE, "the cotangent is [4], the output [3,4]"},
    {"a cotangent of another dtype", vjp_dtype, GR_ERR_DTYPE, "the cotangent is f32, the output f64"},
    {"a cotangent of another tape", vjp_foreign, GR_ERR_STATE, "the cotangent is a result of another tape"},
    {"a cotangent that was given back", vjp_released, GR_ERR_STATE, "the cotangent [3,4] was given back"},
    {"backward_from without a cotangent", from_no_cotangent, GR_ERR_NULL, "backward: the cotangent is NULL"},
    {"the gradient of a constant", grad_constant, GR_ERR_STATE, "grad: input 0, [3,1], does not require a gradient"},
    {"the gradient of another tape's", grad_foreign, GR_ERR_STATE, "grad: input 0 is a result of another tape"},
    {"grad without a list", grad_no_list, GR_ERR_NULL, "grad: the list of inputs is NULL"},
    {"grad without room", grad_no_out, GR_ERR_NULL, "grad: the list of results is NULL"},
    {"grad of no inputs", grad_of_none, GR_ERR_NULL, "grad: every input is NULL"},
    {"grad of NULL", grad_null_input, GR_ERR_NULL, "grad: an input is NULL"},
    {"indices that require a gradient", require_index, GR_ERR_DTYPE, "require_grad: i32 has no gradients"},
    {"a result that requires one", require_result, GR_ERR_STATE,
     "require_grad: this [3,1] is a result of a tape, not a leaf"},
    {"NULL that requires one", require_null, GR_ERR_NULL, "require_grad: tensor is NULL"},
    {"no op", apply_null, GR_ERR_NULL, "apply: op is NULL"},
    {"too few inputs", apply_count, GR_ERR_SHAPE, "add: takes 2 inputs, not 1"},
};

static const wrong_call op_calls[] = {
    {"an op without a tape", no_tape, GR_ERR_NULL, "exp: tape is NULL"},
    {"an op of NULL", null_input, GR_ERR_NULL, "mul: input 1 is NULL"},
    {"an op of another tape's", foreign_input, GR_ERR_STATE, "add: input 1 is a result of another tape"},
    {"an op of what was given back", released_input, GR_ERR_STATE, "tanh: input 0, [3,4], was given back by backward"},
    {"an op of indices", index_input, GR_ERR_DTYPE, "relu: input 0 is i32, expected f32 or f64"},
    {"an op of two dtypes", mixed_dtypes, GR_ERR_DTYPE, "add: dtypes differ: f64 and f32; see gr_cast()"},
    {"shapes that do not broadcast", no_broadcast, GR_ERR_SHAPE, "div: shapes do not broadcast: [3,4] and [2,5]"},
    {"a condition that does not", where_shapes, GR_ERR_SHAPE, "where: shapes do not broadcast: [2,5] and [3,4]"},
    {"clamp between crossed bounds", clamp_crossed, GR_ERR_OPTION, "clamp: bounds 1 and -1 hold nothing"},
    {"clamp from NaN", clamp_nan, GR_ERR_OPTION, "clamp: bounds nan and 1 hold nothing"},
    {"the sum over no axis", sum_axis, GR_ERR_INDEX, "sum: axis -3 is not in [3,4]"},
    {"the sum over one twice", sum_twice, GR_ERR_INDEX, "sum: axis -1 is named twice in [3,4]"},
    {"the sum over nine", sum_many, GR_ERR_INDEX, "sum: 9 axes, expected 0 to 8"},
    {"axes of NULL", sum_no_list, GR_ERR_NULL, "sum: the list of axes is NULL"},
    {"the mean of nothing", mean_nothing, GR_ERR_SHAPE, "mean: of nothing: [0,4]"},
    {"the largest of nothing", max_nothing, GR_ERR_SHAPE, "max: of nothing: [0,4]"},
    {"logsumexp of nothing", logsumexp_nothing, GR_ERR_SHAPE, "logsumexp: of nothing: [0,4]"},
    {"the unbiased variance of one", var_of_one, GR_ERR_SHAPE, "var: 1 elements with a correction of 1"},
    {"softmax over no axis", softmax_axis, GR_ERR_INDEX, "softmax: axis 1 is not in [4]"},
    {"log_softmax of nothing", softmax_nothing, GR_ERR_SHAPE, "log_softmax: of nothing: [0,4]"},
    {"inner dimensions", matmul_inner, GR_ERR_SHAPE, "matmul: inner dimensions differ: [3,4] x [2,5]"},
    {"inner dimensions, transposed", matmul_transposed, GR_ERR_SHAPE,
     "matmul: inner dimensions differ: [3,4]^T x [2,5]"},
    {"a matrix and a vector", matmul_vector, GR_ERR_SHAPE,
     "matmul: expected two ranks of at least 2: [3,4] x [4]; see gr_reshape()"},
    {"flags of matmul", matmul_flags, GR_ERR_OPTION, "matmul: unknown flags 4"},
    {"a bias that is none", linear_bias, GR_ERR_SHAPE,
     "linear: expected [n,in] x [in,out] + [out]: [3,1] x [1,4] + []"},
    {"12 elements in fives", reshape_size, GR_ERR_SHAPE, "reshape: [3,4] has not the elements of [5,-1]"},
    {"two to work out", reshape_two, GR_ERR_SHAPE, "reshape: [3,4] has not the elements of [-1,-1]"},
    {"a dimension of -2", reshape_negative, GR_ERR_SHAPE, "reshape: dimension 0 of [-2,6] is negative"},
    {"reshape to rank 9", reshape_rank, GR_ERR_SHAPE, "reshape: rank 9 is outside 0..8"},
    {"an axis twice", permute_twice, GR_ERR_INDEX, "permute: not each axis of [3,4] once"},
    {"an axis missing", permute_few, GR_ERR_INDEX, "permute: not each axis of [3,4] once"},
    {"permute by NULL", permute_no_list, GR_ERR_INDEX, "permute: 2 axes without a list"},
    {"the transpose of a vector", transpose_vector, GR_ERR_SHAPE, "transpose: expected a rank of at least 2: [4]"},
    {"broadcast to less", broadcast_smaller, GR_ERR_SHAPE, "broadcast_to: [3,4] does not broadcast to [4]"},
    {"broadcast to 2^60", broadcast_huge, GR_ERR_SHAPE, "broadcast_to: [1073741824,1073741824] has too many elements"},
    {"concat of other shapes", concat_shapes, GR_ERR_SHAPE,
     "concat: input 1, [2,5], differs from [3,4] in more than axis 0"},
    {"concat along no axis", concat_axis, GR_ERR_INDEX, "concat: axis 2 is not in [3,4]"},
    {"concat of none", concat_none, GR_ERR_SHAPE, "concat: takes at least 1 inputs, not 0"},
    {"stack of other shapes", stack_shapes, GR_ERR_SHAPE, "stack: input 1 is [2,5], input 0 is [3,4]"},
    {"stack along no axis", stack_axis, GR_ERR_INDEX, "stack: no axis 4 can be added to [3,4]"},
    {"stack of NULL", stack_no_list, GR_ERR_NULL, "stack: the list of inputs is NULL"},
    {"a slice past the end", slice_past, GR_ERR_INDEX, "slice: 2..5 of axis 1 is not in [3,4]"},
    {"a slice backwards", slice_crossed, GR_ERR_INDEX, "slice: 2..1 of axis 0 is not in [3,4]"},
    {"a negative pad", pad_negative, GR_ERR_OPTION, "pad: -1 before and 0 after, expected 0 or more"},
    {"a pad of no axis", pad_axis, GR_ERR_INDEX, "pad: axis -3 is not in [3,4]"},
    {"gather past the end", gather_past, GR_ERR_INDEX, "gather_rows: index 7 at [2] is outside the 3 rows"},
    {"gather by floats", gather_float, GR_ERR_DTYPE, "gather_rows: expected f32 or f64 by an index of i32: f64 by f64"},
    {"scatter past the end", scatter_past, GR_ERR_INDEX, "scatter_rows: index 7 at [2] is outside the 3 rows"},
    {"scatter of other rows", scatter_shape, GR_ERR_SHAPE,
     "scatter_rows: [2,5] does not begin with the index's shape [3]"},
    {"scatter into -1 rows", scatter_rows, GR_ERR_OPTION, "scatter_rows: -1 rows"},
    {"cast to i32", cast_index, GR_ERR_DTYPE, "cast: to i32, expected f32 or f64"},
    {"a constant of i32", constant_index, GR_ERR_DTYPE, "constant: expected f32 or f64"},
};

static const wrong_call image_calls[] = {
    {"windows of nothing", max_pool_no_options, GR_ERR_OPTION, "max_pool2d: the kernel is 0 x 0, expected 1 or more"},
    {"a negative kernel", max_pool_kernel, GR_ERR_OPTION, "max_pool2d: the kernel is 2 x -2, expected 1 or more"},
    {"windows backwards", max_pool_stride, GR_ERR_OPTION, "max_pool2d: the stride is -1 x 2, expected 1 or more"},
    {"windows of padding", max_pool_padding, GR_ERR_OPTION,
     "max_pool2d: the padding is 0 x 2, expected 0 to half the kernel, which is 2 x 2"},
    {"windows larger than images", max_pool_size, GR_ERR_SHAPE, "max_pool2d: no window of 5 x 2 fits into [2,3,4,5]"},
    {"pooling a matrix", max_pool_rank, GR_ERR_SHAPE, "max_pool2d: expected images [N,C,H,W]: [3,4]"},
    {"negative padding", avg_pool_padding, GR_ERR_OPTION, "avg_pool2d: the padding is -1 x 0, expected 0 to half"},
    {"the windows of a vector", avg_pool_rank, GR_ERR_SHAPE, "avg_pool2d: expected images [N,C,H,W]: [4]"},
    {"the planes of a matrix", global_rank, GR_ERR_SHAPE, "global_avg_pool2d: expected images [N,C,H,W]: [3,4]"},
    {"upsampling to less", upsample_less, GR_ERR_OPTION,
     "upsample2d: [2,3,4,5] to 8 x 4, expected no fewer rows and columns"},
    {"no such way up", upsample_mode, GR_ERR_OPTION, "upsample2d: no such mode: 3"},
    {"upsampling a matrix", upsample_rank, GR_ERR_SHAPE, "upsample2d: expected images [N,C,H,W]: [3,4]"},
    {"upsampling to 2^60", upsample_huge, GR_ERR_SHAPE,
     "upsample2d: [2,3,1073741824,1073741824] has too many elements"},
    {"the channels of a matrix", batch_rank, GR_ERR_SHAPE, "batch_norm2d: expected images [N,C,H,W]: [3,4]"},
    {"gamma of four for three", batch_gamma, GR_ERR_SHAPE, "batch_norm2d: gamma is [4], expected [3]"},
    {"beta of four in use", batch_beta_in_use, GR_ERR_SHAPE, "batch_norm2d: beta is [4], expected [3]"},
    {"a momentum above 1", batch_momentum, GR_ERR_OPTION,
     "batch_norm2d: momentum is 1.5, expected a number above 0 and up to 1"},
    {"a negative epsilon", batch_epsilon, GR_ERR_OPTION, "batch_norm2d: epsilon is -1e-05, expected a number above 0"},
    {"use without a mean", batch_no_mean, GR_ERR_NULL, "batch_norm2d: running_mean is NULL"},
    {"use without a variance", batch_no_variance, GR_ERR_NULL, "batch_norm2d: running_var is NULL"},
    {"a mean of four for three", batch_buffer, GR_ERR_SHAPE, "batch_norm2d: running_mean is [4], expected [3]"},
    {"a mean in f32", batch_buffer_dtype, GR_ERR_DTYPE, "batch_norm2d: running_mean is f32, x is f64"},
    {"a mean of the tape's", batch_result, GR_ERR_STATE,
     "batch_norm2d: running_mean is a result of a tape, expected a buffer of yours"},
    {"training on one value", batch_of_one, GR_ERR_SHAPE,
     "batch_norm2d: training takes two values a channel or more: [1,4,1,1] has 1"},
    {"three of two axes", layer_axes, GR_ERR_OPTION, "layer_norm: the last 3 axes of [3,4], expected 1 to 2"},
    {"gamma of other axes", layer_gamma, GR_ERR_SHAPE, "layer_norm: gamma is [4], expected [4,5]"},
    {"rows of nothing", layer_nothing, GR_ERR_SHAPE, "layer_norm: of nothing: [4,0]"},
    {"an epsilon of NaN", layer_epsilon, GR_ERR_OPTION, "layer_norm: epsilon is nan, expected a number above 0"},
    {"three channels in two groups", group_count, GR_ERR_OPTION,
     "group_norm: the channels of [2,3,4,5] do not fall into 2 groups"},
    {"the groups of a vector", group_rank, GR_ERR_SHAPE, "group_norm: expected [N,C,...]: [4]"},
    {"gamma in f32", group_dtype, GR_ERR_DTYPE, "group_norm: dtypes differ: f64 and f32; see gr_cast()"},
    {"dropping everything", dropout_share, GR_ERR_OPTION, "dropout: p is 1, expected 0 or more and less than 1"},
    {"dropout without a state", dropout_no_rng, GR_ERR_NULL, "dropout: rng is NULL"},
};

static const wrong_call loss_calls[] = {
    {"losses do not broadcast", mse_shapes, GR_ERR_SHAPE,
     "mse: the prediction is [3,4], the target [4]; losses do not broadcast"},
    {"a target of another dtype", mse_dtypes, GR_ERR_DTYPE,
     "mse: expected prediction and target both f32 or both f64: f64 and f32"},
    {"a target of NULL", mse_null, GR_ERR_NULL, "mse: input 1 is NULL"},
    {"a mean over nothing", mse_nothing, GR_ERR_SHAPE, "mse: a mean over nothing: [0,4]"},
    {"no such reduction", mse_reduction, GR_ERR_OPTION, "mse: no such reduction: 3"},
    {"mse from logits", mse_logits, GR_ERR_OPTION, "mse: has no from_logits"},
    {"a weight of another shape", mse_weight_shape, GR_ERR_SHAPE, "mse: the weight is [3,1], expected [3,4]"},
    {"a weight of another dtype", mse_weight_dtype, GR_ERR_DTYPE, "mse: the weight is f32, the prediction f64"},
    {"l1 with class weights", l1_class_weight, GR_ERR_OPTION, "l1: has no class_weight"},
    {"a target of NaN", l1_target, GR_ERR_VALUE, "l1: target "},
    {"a negative weight", l1_weight, GR_ERR_VALUE, "l1: the weight is -0.25 at [0,0], expected 0 or more"},
    {"hinge with a target of 1/4", hinge_target, GR_ERR_VALUE, "hinge: target 0.25 at [0,0], expected -1 or 1"},
    {"0-1 with a target of 1/4", zero_one_target, GR_ERR_VALUE, "zero_one: target 0.25 at [0,0], expected 0 or 1"},
    {"bce of logits", bce_logits, GR_ERR_VALUE, "bce: prediction 2 at [0,2] is outside [0,1]; are these logits?"},
    {"bce with a target of 2", bce_target, GR_ERR_VALUE, "bce: target 2 at [0,2], expected a number in [0,1]"},
    {"a smoothing of 2", bce_smoothing, GR_ERR_OPTION, "bce: label_smoothing 2 is outside [0,1]"},
    {"a class that is none", entropy_class, GR_ERR_VALUE, "cross_entropy: class 7 at [2] is outside the 4 classes"},
    {"classes of a vector", entropy_rank, GR_ERR_SHAPE,
     "cross_entropy: the prediction is [4], expected classes along axis 1"},
    {"classes of other rows", entropy_target, GR_ERR_SHAPE, "cross_entropy: the prediction is [2,5], the target [3]"},
    {"ignoring a share", entropy_ignore, GR_ERR_OPTION, "cross_entropy: ignore_index goes with class indices"},
    {"a class weight of another shape", entropy_weight, GR_ERR_SHAPE,
     "cross_entropy: the class_weight is [3,1], expected [4]"},
    {"kl of logits", kl_logits, GR_ERR_VALUE, "kl: prediction 2 at [0,2] is outside [0,1]; are these logits?"},
};

static const wrong_call training_calls[] = {
    {"a name that is taken", add_taken, GR_ERR_OPTION, "params_add: the set has a parameter w already"},
    {"a name that is empty", add_nameless, GR_ERR_OPTION, "params_add: the name is empty"},
    {"a parameter of i32", add_index, GR_ERR_DTYPE, "params_add: i is i32, expected f32 or f64"},
    {"a parameter of a tape", add_result, GR_ERR_STATE, "params_add: this [3,4] is a result of a tape"},
    {"no such parameter", get_none, GR_ERR_INDEX, "params_get: no parameter is called b"},
    {"nothing to optimise", sgd_empty, GR_ERR_SHAPE, "sgd: the set of parameters is empty"},
    {"NULL to optimise", sgd_null, GR_ERR_NULL, "sgd: the set of parameters is NULL"},
    {"a negative rate", sgd_rate, GR_ERR_OPTION, "sgd: lr is -1"},
    {"Nesterov without momentum", sgd_nesterov, GR_ERR_OPTION, "sgd: nesterov needs a momentum above 0"},
    {"beta1 of 1", adam_beta, GR_ERR_OPTION, "adam: beta1 is 1, expected 0 <= beta1 < 1"},
    {"eps of NaN", rmsprop_nan, GR_ERR_OPTION, "rmsprop: eps is nan"},
    {"a step before backward", step_early, GR_ERR_STATE, "has a gradient: run gr_backward() first"},
    {"an infinite rate", rate_infinite, GR_ERR_OPTION, "set_learning_rate: lr is inf"},
    {"clip at 0", clip_at_nothing, GR_ERR_OPTION, "clip_grad_norm: max_norm is 0"},
    {"clip at NaN", clip_value_nan, GR_ERR_OPTION, "clip_grad_value: limit is nan"},
    {"a period of 0", schedule_period, GR_ERR_OPTION, "schedule_rate: period is 0, cosine needs 1 or more"},
    {"no such schedule", schedule_kind, GR_ERR_OPTION, "schedule_rate: no such kind: 7"},
    {"rows that differ", set_rows, GR_ERR_SHAPE, "dataset_new: x is [3,2] and y [2]"},
    {"nothing to split off", split_all, GR_ERR_OPTION, "dataset_split"},
    {"batches of nothing", batch_of_none, GR_ERR_OPTION, "batches_new"},
    {"a class beyond the last", one_hot_class, GR_ERR_INDEX, "one_hot"},
    {"no such table", csv_missing, GR_ERR_IO, "/no/such/file.csv"},
    {"no such image", idx_missing, GR_ERR_IO, "/no/such/file"},
};

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
        cmocka_unit_test(the_first_sentence_stays),
        cmocka_unit_test(every_op_passes_null_on),
        cmocka_unit_test(statuses),
        cmocka_unit_test(sentences),
        cmocka_unit_test(each_thread_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
