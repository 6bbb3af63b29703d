/* test_messages.c: whose mistake it was. A refusal begins with the name of the function that was called, also where
 * that is composed of others; the table of functions is complete, and each is called wrongly in the same ways. */
#include "helpers.h"

#include <gradus/gradus.h>

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

/* ---- The functions of a tape ---------------------------------------------------------------------------------- */

/* Tensors to call with, all that are not indices of F64. */
enum { NONE, M, P, Y, V, INDEX, IMAGE, KERNEL, C, PLANES, MASK, LABELS, N_KINDS };
static const struct {
    gr_dtype dtype;
    int rank;
    int64_t shape[4];
    double value;
} kinds[N_KINDS] = {[M] = {GR_F64, 2, {3, 3}, 0.5},
                    [P] = {GR_F64, 2, {3, 3}, 0.25},
                    [Y] = {GR_F64, 2, {3, 3}, 1},
                    [V] = {GR_F64, 1, {3}, 0.5},
                    [INDEX] = {GR_I32, 1, {3}, 1},
                    [IMAGE] = {GR_F64, 4, {1, 2, 4, 4}, 0.5},
                    [KERNEL] = {GR_F64, 4, {2, 2, 3, 3}, 1},
                    [C] = {GR_F64, 1, {2}, 0.5},
                    [PLANES] = {GR_F64, 4, {1, 2, 4, 4}, 0.5},
                    [MASK] = {GR_F64, 4, {1, 2, 4, 4}, 1},
                    [LABELS] = {GR_I32, 3, {1, 4, 4}, 1}};

enum { MAX_IN = 5 };
typedef struct function {
    const char *name;
    gr_tensor *(*call)(gr_tape *t, gr_tensor *const x[]);
    int in[MAX_IN];
} function;

static gr_rng rng;

/* A name, the call, the kinds of its inputs. */
#define FUNCTIONS(F)                                                                                            \
    F(add, gr_add(t, x[0], x[1]), M, M)                                                                         \
    F(sub, gr_sub(t, x[0], x[1]), M, M)                                                                         \
    F(mul, gr_mul(t, x[0], x[1]), M, M)                                                                         \
    F(div, gr_div(t, x[0], x[1]), M, M)                                                                         \
    F(pow, gr_pow(t, x[0], x[1]), M, M)                                                                         \
    F(minimum, gr_minimum(t, x[0], x[1]), M, M)                                                                 \
    F(maximum, gr_maximum(t, x[0], x[1]), M, M)                                                                 \
    F(greater, gr_greater(t, x[0], x[1]), M, M)                                                                 \
    F(equal, gr_equal(t, x[0], x[1]), M, M)                                                                     \
    F(where, gr_where(t, x[0], x[1], x[2]), M, M, M)                                                            \
    F(neg, gr_neg(t, x[0]), M)                                                                                  \
    F(scale, gr_scale(t, x[0], 2), M)                                                                           \
    F(shift, gr_shift(t, x[0], 2), M)                                                                           \
    F(pow_scalar, gr_pow_scalar(t, x[0], 2), M)                                                                 \
    F(square, gr_square(t, x[0]), M)                                                                            \
    F(sqrt, gr_sqrt(t, x[0]), M)                                                                                \
    F(exp, gr_exp(t, x[0]), M)                                                                                  \
    F(expm1, gr_expm1(t, x[0]), M)                                                                              \
    F(log, gr_log(t, x[0]), M)                                                                                  \
    F(log1p, gr_log1p(t, x[0]), M)                                                                              \
    F(abs, gr_abs(t, x[0]), M)                                                                                  \
    F(sign, gr_sign(t, x[0]), M)                                                                                \
    F(sin, gr_sin(t, x[0]), M)                                                                                  \
    F(cos, gr_cos(t, x[0]), M)                                                                                  \
    F(tanh, gr_tanh(t, x[0]), M)                                                                                \
    F(sigmoid, gr_sigmoid(t, x[0]), M)                                                                          \
    F(log_sigmoid, gr_log_sigmoid(t, x[0]), M)                                                                  \
    F(softplus, gr_softplus(t, x[0]), M)                                                                        \
    F(relu, gr_relu(t, x[0]), M)                                                                                \
    F(leaky_relu, gr_leaky_relu(t, x[0], 0.1), M)                                                               \
    F(elu, gr_elu(t, x[0], 1), M)                                                                               \
    F(normal_cdf, gr_normal_cdf(t, x[0]), M)                                                                    \
    F(gelu, gr_gelu(t, x[0]), M)                                                                                \
    F(silu, gr_silu(t, x[0]), M)                                                                                \
    F(clamp, gr_clamp(t, x[0], 0, 1), M)                                                                        \
    F(sum, gr_sum(t, x[0], GR_AXES(0), false), M)                                                               \
    F(mean, gr_mean(t, x[0], GR_AXES(0), false), M)                                                             \
    F(max, gr_max(t, x[0], GR_AXES(0), false), M)                                                               \
    F(min, gr_min(t, x[0], GR_AXES(0), false), M)                                                               \
    F(logsumexp, gr_logsumexp(t, x[0], GR_AXES(0), false), M)                                                   \
    F(var, gr_var(t, x[0], GR_AXES(1), false, 0), M)                                                            \
    F(softmax, gr_softmax(t, x[0], 0), M)                                                                       \
    F(log_softmax, gr_log_softmax(t, x[0], 0), M)                                                               \
    F(matmul, gr_matmul(t, x[0], x[1], 0), M, M)                                                                \
    F(linear, gr_linear(t, x[0], x[1], x[2]), M, M, V)                                                          \
    F(reshape, gr_reshape(t, x[0], GR_SHAPE(9)), M)                                                             \
    F(permute, gr_permute(t, x[0], GR_AXES(1, 0)), M)                                                           \
    F(transpose, gr_transpose(t, x[0]), M)                                                                      \
    F(broadcast_to, gr_broadcast_to(t, x[0], GR_SHAPE(2, 3, 3)), M)                                             \
    F(concat, gr_concat(t, x, 2, 0), M, M)                                                                      \
    F(stack, gr_stack(t, x, 2, 0), M, M)                                                                        \
    F(slice, gr_slice(t, x[0], 1, 0, 1), M)                                                                     \
    F(pad, gr_pad(t, x[0], 0, 1, 1, 0), M)                                                                      \
    F(gather_rows, gr_gather_rows(t, x[0], x[1]), M, INDEX)                                                     \
    F(scatter_rows, gr_scatter_rows(t, x[0], x[1], 4), M, INDEX)                                                \
    F(cast, gr_cast(t, x[0], GR_F32), M)                                                                        \
    F(detach, gr_detach(t, x[0]), M)                                                                            \
    F(constant, gr_constant(t, GR_F64, 1), NONE)                                                                \
    F(conv2d, gr_conv2d(t, x[0], x[1], x[2], NULL), IMAGE, KERNEL, C)                                           \
    F(conv_transpose2d, gr_conv_transpose2d(t, x[0], x[1], x[2], NULL), IMAGE, KERNEL, C)                       \
    F(max_pool2d, gr_max_pool2d(t, x[0], &(gr_pool2d_options){.kernel = {2, 2}}), IMAGE)                        \
    F(avg_pool2d, gr_avg_pool2d(t, x[0], &(gr_pool2d_options){.kernel = {2, 2}}), IMAGE)                        \
    F(global_avg_pool2d, gr_global_avg_pool2d(t, x[0]), IMAGE)                                                  \
    F(upsample2d, gr_upsample2d(t, x[0], 8, 8, GR_BILINEAR), IMAGE)                                             \
    F(batch_norm2d, gr_batch_norm2d(t, x[0], x[1], x[2], x[3], x[4], NULL), IMAGE, C, C, C, C)                  \
    F(layer_norm, gr_layer_norm(t, x[0], 1, x[1], x[2], 0), M, V, V)                                            \
    F(group_norm, gr_group_norm(t, x[0], 1, x[1], x[2], 0), IMAGE, C, C)                                        \
    F(dropout, gr_dropout(t, x[0], 0.5, &rng), M)                                                               \
    F(l1, gr_l1(t, x[0], x[1], &(gr_loss_options){.weight = x[2]}), M, Y, P)                                    \
    F(mse, gr_mse(t, x[0], x[1], &(gr_loss_options){.weight = x[2]}), M, Y, P)                                  \
    F(zero_one, gr_zero_one(t, x[0], x[1], &(gr_loss_options){.weight = x[2]}), P, Y, P)                        \
    F(hinge, gr_hinge(t, x[0], x[1], &(gr_loss_options){.weight = x[2]}), M, Y, P)                              \
    F(bce, gr_bce(t, x[0], x[1], &(gr_loss_options){.weight = x[2]}), P, Y, P)                                  \
    F(cross_entropy, gr_cross_entropy(t, x[0], x[1], &(gr_loss_options){.class_weight = x[2]}), P, INDEX, V)    \
    F(kl, gr_kl(t, x[0], x[1], &(gr_loss_options){.class_weight = x[2]}), P, Y, V)                              \
    F(weighted_bce, gr_weighted_bce(t, x[0], x[1], NULL), PLANES, MASK)                                         \
    F(balanced_bce, gr_balanced_bce(t, x[0], x[1], NULL), PLANES, MASK)                                         \
    F(focal, gr_focal(t, x[0], x[1], NULL), PLANES, MASK)                                                       \
    F(huber, gr_huber(t, x[0], x[1], NULL), M, Y)                                                               \
    F(smooth_l1, gr_smooth_l1(t, x[0], x[1], NULL), M, Y)                                                       \
    F(soft_counts, gr_soft_counts(t, x[0], x[1], &(gr_region_options){.weight = x[2]}), PLANES, MASK, PLANES)   \
    F(sensitivity_specificity, gr_sensitivity_specificity(t, x[0], x[1], NULL), PLANES, MASK)                   \
    F(sensitivity_specificity_score, gr_sensitivity_specificity_score(t, x[0], x[1], NULL), PLANES, MASK)       \
    F(dice, gr_dice(t, x[0], x[1], &(gr_overlap_options){.base.class_weight = x[2]}), PLANES, LABELS, C)        \
    F(jaccard, gr_jaccard(t, x[0], x[1], &(gr_overlap_options){.base.weight = x[2]}), PLANES, MASK, PLANES)     \
    F(generalised_dice, gr_generalised_dice(t, x[0], x[1], NULL), PLANES, MASK)                                 \
    F(log_cosh_dice, gr_log_cosh_dice(t, x[0], x[1], NULL), PLANES, MASK)                                       \
    F(tversky, gr_tversky(t, x[0], x[1], NULL), PLANES, MASK)                                                   \
    F(focal_tversky, gr_focal_tversky(t, x[0], x[1], NULL), PLANES, MASK)                                       \
    F(dice_bce, gr_dice_bce(t, x[0], x[1], &(gr_compound_options){.base.weight = x[2]}), PLANES, MASK, PLANES)  \
    F(dice_ce, gr_dice_ce(t, x[0], x[1], NULL), PLANES, LABELS)                                                 \
    F(dice_focal, gr_dice_focal(t, x[0], x[1], NULL), PLANES, MASK)                                             \
    F(lovasz_hinge, gr_lovasz_hinge(t, x[0], x[1], &(gr_region_options){.weight = x[2]}), PLANES, MASK, PLANES) \
    F(lovasz_softmax, gr_lovasz_softmax(t, x[0], x[1], NULL), PLANES, MASK)

#define CALL(name, call, ...) \
    static gr_tensor *call_##name(gr_tape *t, gr_tensor *const x[]) { return (void)x, call; }
FUNCTIONS(CALL)
#define ROW(name, call, ...) {#name, call_##name, {__VA_ARGS__}},
static const function functions[] = {FUNCTIONS(ROW)};

/* ---- Wrong in the same ways ----------------------------------------------------------------------------------- */

static gr_tensor *make(int kind, gr_dtype dtype)
{
    return kind == NONE ? NULL : gr_full(dtype, kinds[kind].rank, kinds[kind].shape, kinds[kind].value);
}

/* What is wrong with one input. */
typedef enum fault { IS_NULL, FOREIGN, GONE, OTHER_DTYPE, OTHER_SHAPE, NOT_A_NUMBER, WITH_GRADIENT, N_FAULTS } fault;
static const char *const fault_names[] = {"NULL",        "another tape's", "given back", "of another dtype",
                                          "[7,1,1,1,5]", "a NaN",          "a leaf"};

/* A result of the tape whose values a backward has given back. */
static gr_tensor *given_back(gr_tape *t, gr_tensor *like)
{
    gr_tensor *leaf = gr_copy_as(GR_F64, like);
    assert_false(gr_require_grad(leaf));
    gr_tensor *gone = gr_scale(t, leaf, 1);
    assert_false(gr_backward(t, gr_sum(t, gr_square(t, gone), GR_ALL_AXES, false), 0));
    gr_tensor_free(leaf);
    return gone;
}

/* The tensor that takes the place of `good`; *owned is what is to be freed. */
static gr_tensor *broken(fault f, gr_tape *t, gr_tape *other, gr_tensor *good, gr_tensor **owned)
{
    const gr_dtype dtype = gr_dtype_of(good);
    gr_tensor *x = NULL;
    switch (f) {
    case FOREIGN: return gr_cast(other, good, GR_F64);
    case GONE: return given_back(t, good);
    case OTHER_DTYPE: return *owned = gr_ones(dtype == GR_F64 ? GR_I32 : GR_F64, gr_rank(good), gr_shape(good));
    case OTHER_SHAPE: return *owned = gr_zeros(dtype, GR_SHAPE(7, 1, 1, 1, 5));
    case NOT_A_NUMBER:
    case WITH_GRADIENT:
        x = *owned = gr_copy(good);
        if (dtype == GR_I32) return x;
        assert_false(f == WITH_GRADIENT ? gr_require_grad(x) : gr_set(x, 0, (double)NAN));
        return x;
    default: return NULL;
    }
}

static int complaints;

static void complain(const function *f, int k, const char *what)
{
    if (k < 0) print_error("%s without a tape: %s\n", f->name, what);
    else print_error("%s, input %d %s: %s\n", f->name, k / N_FAULTS, fault_names[k % N_FAULTS], what);
    complaints++;
}

/* How many of the calls of a function with one thing wrong are refused; every refusal is in its name. */
static int wrong_calls(const function *f)
{
    gr_tape *t = gr_tape_new(), *other = gr_tape_new();
    gr_tensor *good[MAX_IN] = {NULL}, *x[MAX_IN];
    int refusals = 0, n = 0;
    while (n < MAX_IN && f->in[n]) good[n] = make(f->in[n], kinds[f->in[n]].dtype), n++;
    if (!f->call(t, good)) fail_msg("%s: %s", f->name, gr_last_error());
    for (int k = -1; k < n * N_FAULTS; k++) {
        gr_tensor *owned = NULL;
        const fault what = k < 0 ? IS_NULL : (fault)(k % N_FAULTS);
        gr_clear_error();
        memcpy(x, good, sizeof x);
        if (k >= 0) x[k / N_FAULTS] = broken(what, t, other, good[k / N_FAULTS], &owned);
        assert_int_equal(gr_last_status(), GR_OK);
        const bool refused = !f->call(k < 0 ? NULL : t, x);
        const size_t length = strlen(f->name);
        if (refused && (strncmp(gr_last_error(), f->name, length) != 0 || gr_last_error()[length] != ':'))
            complain(f, k, gr_last_error());
        if (k < N_FAULTS && what <= GONE && !refused) complain(f, k, "is not refused");
        refusals += refused;
        gr_tape_reset(t);
        gr_tape_reset(other);
        gr_tensor_free(owned);
    }
    for (int i = 0; i < n; i++) gr_tensor_free(good[i]);
    gr_tape_free(other);
    gr_tape_free(t);
    return refusals;
}

static void a_refusal_bears_the_name_that_was_called(void **state)
{
    (void)state;
    _Static_assert(sizeof fault_names / sizeof *fault_names == N_FAULTS, "each fault has a name");
    rng = gr_rng_seed(1);
    for (int i = 0; i < COUNT(functions); i++) assert_true(wrong_calls(&functions[i]) >= (functions[i].in[0] ? 4 : 1));
    assert_int_equal(complaints, 0);
}

/* ---- Nobody is missing ------------------------------------------------------------------------------------------- */

/* Looks for "gr_tensor *gr_NAME(gr_tape *" in a header; returns how many there are. */
static int look_through(const char *header)
{
    char path[4096], line[256];
    int found = 0;
    snprintf(path, sizeof path, "%s/include/gradus/%s", GR_SOURCE_DIR, header);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        char name[64];
        if (sscanf(line, "GR_EXPORT gr_tensor *gr_%63[a-z0-9_](gr_tape ", name) != 1 || !strstr(line, "(gr_tape *"))
            continue;
        int i = 0;
        while (i < COUNT(functions) && strcmp(functions[i].name, name) != 0) i++;
        if (i == COUNT(functions)) fail_msg("%s: gr_%s() is not in the table of this test", header, name);
        found++;
    }
    fclose(file);
    return found;
}

static void the_table_is_complete(void **state)
{
    (void)state;
    const int found =
        look_through("ops.h") + look_through("nn.h") + look_through("losses.h") + look_through("segmentation.h");
    assert_int_equal(found, COUNT(functions));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_bears_the_name_that_was_called),
        cmocka_unit_test(the_table_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
