/* test_networks.c: what the library offers to those who build networks, composed as they do, goes through the gradient
 * checker in every way of checking. The headers are read to see that no function is left out. (The networks of the
 * lessons and of the documents go through it too, where they stand: see watch.c.) */
#include "helpers.h"

#include <gradus/gradus.h>

/* ---- What networks are made of ------------------------------------------------------------------------------ */

/* The inputs, by their letters. */
static const struct {
    char letter;
    int rank;
    int64_t shape[4];
    double lo, hi;
    enum { DRAWN, MASK, CLASSES } what; /* the last two are of 0 and 1, and have no gradient */
} inputs[] = {
    {'a', 2, {2, 3}, -2, 2, DRAWN},       {'b', 2, {2, 3}, -2, 2, DRAWN},          /* matrices */
    {'w', 2, {3, 4}, -1, 1, DRAWN},       {'v', 1, {4}, -1, 1, DRAWN},             /* a layer */
    {'p', 2, {2, 3}, 0.1, 0.9, DRAWN},    {'q', 4, {2, 2, 4, 3}, 0.1, 0.9, DRAWN}, /* probabilities */
    {'x', 4, {2, 2, 4, 3}, -2, 2, DRAWN}, {'k', 4, {2, 2, 3, 2}, -1, 1, DRAWN},    /* images, a kernel */
    {'c', 1, {2}, 0.5, 1.5, DRAWN},       {'d', 1, {2}, -1, 1, DRAWN},             /* of channels */
    {'s', 2, {2, 3}, 0, 1, MASK},         {'m', 4, {2, 2, 4, 3}, 0, 1, MASK},      /* targets */
    {'i', 1, {2}, 0, 1, CLASSES},         {'j', 3, {2, 4, 3}, 0, 1, CLASSES},
};
enum { N_INPUTS = (int)(sizeof inputs / sizeof *inputs) };

#define LOGITS .from_logits = true
#define REGION(kind) (&(gr_##kind##_options){.base = {LOGITS}})
#define PLAIN(...) (&(gr_loss_options){__VA_ARGS__})
#define CONV(...) (&(gr_conv2d_options){__VA_ARGS__})
#define BATCH (&(gr_batch_norm_options){.training = true, .epsilon = 1e-2})
#define ALL GR_ALL_AXES, false
#define SAME_RNG ((gr_rng[1]){gr_rng_seed(5)})

/* N(name, inputs that are differentiated, formula) */
#define NETWORKS(N)                                                                                                    \
    N(arithmetic, "ab",                                                                                                \
      gr_div(t, gr_sub(t, gr_mul(t, a, b), a), gr_add(t, gr_square(t, b), gr_constant(t, gr_dtype_of(a), 2.0))))       \
    N(powers, "pa", gr_add(t, gr_pow(t, p, a), gr_pow_scalar(t, gr_sqrt(t, p), 3.0)))                                  \
    N(choices, "ab", gr_where(t, gr_greater(t, a, b), gr_minimum(t, gr_exp(t, a), b), gr_maximum(t, a, gr_neg(t, b)))) \
    N(equals, "ab", gr_where(t, gr_equal(t, a, b), gr_square(t, a), gr_mul(t, a, b)))                                  \
    N(exponentials, "ap", gr_add(t, gr_expm1(t, a), gr_mul(t, gr_log1p(t, p), gr_log(t, p))))                          \
    N(circles, "a", gr_mul(t, gr_sin(t, gr_scale(t, a, 2.0)), gr_cos(t, gr_shift(t, a, 0.5))))                         \
    N(signs, "a", gr_add(t, gr_mul(t, gr_sign(t, a), a), gr_square(t, gr_abs(t, a))))                                  \
    N(sigmoids, "a",                                                                                                   \
      gr_add(t, gr_mul(t, gr_tanh(t, a), gr_sigmoid(t, a)), gr_mul(t, gr_log_sigmoid(t, a), gr_softplus(t, a))))       \
    N(rectifiers, "a", gr_add(t, gr_mul(t, gr_relu(t, a), gr_elu(t, a, 0.5)), gr_square(t, gr_leaky_relu(t, a, 0.1)))) \
    N(smooth_rectifiers, "a", gr_add(t, gr_mul(t, gr_gelu(t, a), gr_normal_cdf(t, a)), gr_silu(t, a)))                 \
    N(bounds, "a", gr_square(t, gr_clamp(t, a, -1.0, 1.0)))                                                            \
    N(reductions, "a",                                                                                                 \
      gr_add(t, gr_mul(t, gr_sum(t, a, GR_AXES(1), true), gr_mean(t, gr_square(t, a), GR_AXES(0), true)),              \
             gr_var(t, a, ALL, 1)))                                                                                    \
    N(winners, "a", gr_mul(t, gr_max(t, a, GR_AXES(1), true), gr_min(t, a, GR_AXES(0), true)))                         \
    N(soft_winners, "a",                                                                                               \
      gr_mul(t, gr_logsumexp(t, a, GR_AXES(1), true), gr_add(t, gr_softmax(t, a, 1), gr_log_softmax(t, a, 0))))        \
    N(layers, "awvb",                                                                                                  \
      gr_matmul(t, gr_tanh(t, gr_linear(t, a, w, v)), gr_matmul(t, w, gr_square(t, b), GR_TRANS_A | GR_TRANS_B), 0))   \
    N(shapes, "ab",                                                                                                    \
      gr_concat(t, (gr_tensor *[]){gr_square(t, gr_transpose(t, a)), gr_reshape(t, b, GR_SHAPE(3, 2))}, 2, 1))         \
    N(more_shapes, "ab",                                                                                               \
      gr_square(                                                                                                       \
          t,                                                                                                           \
          gr_pad(t, gr_slice(t, gr_permute(t, gr_stack(t, (gr_tensor *[]){a, b}, 2, 0), GR_AXES(2, 0, 1)), 0, 1, 3),   \
                 1, 1, 0, 0.5)))                                                                                       \
    N(stretched, "d", gr_square(t, gr_broadcast_to(t, d, GR_SHAPE(3, 2))))                                             \
    N(rows, "a", gr_square(t, gr_scatter_rows(t, gr_square(t, gr_gather_rows(t, a, i)), i, 3)))                        \
    N(constants, "a", gr_mul(t, gr_cast(t, a, gr_dtype_of(a)), gr_detach(t, gr_shift(t, s, 0.5))))                     \
    N(convolution, "xkd", gr_tanh(t, gr_conv2d(t, x, k, d, CONV(.padding = {1, 0}))))                                  \
    N(strided, "xkd",                                                                                                  \
      gr_square(t, gr_conv2d(t, x, k, d, CONV(.stride = {2, 2}, .dilation = {1, 2}, .padding = {1, 1}))))              \
    N(groups, "xq",                                                                                                    \
      gr_square(t, gr_conv2d(t, x, gr_slice(t, gr_reshape(t, q, GR_SHAPE(4, 1, 4, 3)), 0, 0, 2), NULL,                 \
                             CONV(.groups = 2, .padding = {1, 1}))))                                                   \
    N(transposed, "xkd",                                                                                               \
      gr_tanh(t,                                                                                                       \
              gr_conv_transpose2d(t, x, k, d, CONV(.stride = {2, 1}, .padding = {1, 0}, .output_padding = {1, 0}))))   \
    N(block, "xkcd",                                                                                                   \
      gr_max_pool2d(                                                                                                   \
          t,                                                                                                           \
          gr_relu(t, gr_batch_norm2d(t, gr_conv2d(t, x, k, NULL, CONV(.padding = {1, 1})), c, d, NULL, NULL, BATCH)),  \
          &(gr_pool2d_options){.kernel = {2, 2}}))                                                                     \
    N(evaluated, "xkcd",                                                                                               \
      gr_silu(t, gr_batch_norm2d(t, gr_conv2d(t, x, k, NULL, CONV(.padding = {1, 1})), c, d, gr_slice(t, v, 0, 0, 2),  \
                                 gr_exp(t, gr_slice(t, v, 0, 2, 4)), NULL)))                                           \
    N(means_of_windows, "xk",                                                                                          \
      gr_avg_pool2d(                                                                                                   \
          t, gr_square(t, gr_conv2d(t, x, k, NULL, NULL)),                                                             \
          &(gr_pool2d_options){.kernel = {2, 2}, .stride = {1, 1}, .padding = {1, 1}, .exclude_padding = true}))       \
    N(head, "xkd",                                                                                                     \
      gr_linear(t, gr_reshape(t, gr_global_avg_pool2d(t, gr_relu(t, gr_conv2d(t, x, k, d, NULL))), GR_SHAPE(2, 2)),    \
                gr_reshape(t, d, GR_SHAPE(2, 1)), gr_slice(t, d, 0, 0, 1)))                                            \
    N(norms, "xcd",                                                                                                    \
      gr_add(t, gr_layer_norm(t, gr_square(t, x), 2, NULL, NULL, 1e-2), gr_group_norm(t, x, 2, c, d, 1e-2)))           \
    N(layer_norms, "awv", gr_layer_norm(t, gr_linear(t, a, w, v), 1, v, v, 1e-2))                                      \
    N(nearest, "xk", gr_square(t, gr_upsample2d(t, gr_conv2d(t, x, k, NULL, NULL), 4, 4, GR_NEAREST)))                 \
    N(bilinear, "xk",                                                                                                  \
      gr_concat(t,                                                                                                     \
                (gr_tensor *[]){x, gr_upsample2d(t, gr_relu(t, gr_conv2d(t, x, k, NULL, NULL)), 4, 3, GR_BILINEAR)},   \
                2, 1))                                                                                                 \
    N(dropped, "awv", gr_square(t, gr_dropout(t, gr_linear(t, a, w, v), 0.4, SAME_RNG)))                               \
    N(regression, "a",                                                                                                 \
      gr_add(t, gr_add(t, gr_l1(t, a, s, NULL), gr_mse(t, a, s, PLAIN(.reduction = GR_SUM))),                          \
             gr_zero_one(t, p, s, NULL)))                                                                              \
    N(huber, "a", gr_add(t, gr_huber(t, a, s, NULL), gr_smooth_l1(t, a, s, NULL)))                                     \
    N(margin, "a", gr_hinge(t, a, gr_shift(t, gr_scale(t, s, 2.0), -1.0), NULL))                                       \
    N(two_classes, "ap", gr_add(t, gr_bce(t, a, s, PLAIN(LOGITS, .label_smoothing = 0.1)), gr_bce(t, p, s, NULL)))     \
    N(classes, "ab", gr_add(t, gr_cross_entropy(t, a, i, PLAIN(LOGITS)), gr_kl(t, b, p, PLAIN(LOGITS))))               \
    N(weighted, "xq",                                                                                                  \
      gr_add(t, gr_weighted_bce(t, q, m, &(gr_weighted_bce_options){.beta = 3}),                                       \
             gr_balanced_bce(t, x, m, &(gr_balanced_bce_options){.base = {LOGITS}, .margin = 0.1})))                   \
    N(focused, "xq", gr_add(t, gr_focal(t, x, m, &(gr_focal_options){.base = {LOGITS}}), gr_focal(t, q, m, NULL)))     \
    N(counts, "xq", gr_mul(t, gr_soft_counts(t, x, m, &(gr_region_options){LOGITS}), gr_soft_counts(t, q, m, NULL)))   \
    N(rates, "xq",                                                                                                     \
      gr_sub(t, gr_sensitivity_specificity(t, x, m, REGION(sensitivity_specificity)),                                  \
             gr_sensitivity_specificity_score(t, q, m, NULL)))                                                         \
    N(overlap, "xq", gr_add(t, gr_dice(t, x, m, REGION(overlap)), gr_jaccard(t, q, m, NULL)))                          \
    N(tverskys, "xq",                                                                                                  \
      gr_add(t, gr_tversky(t, x, m, &(gr_tversky_options){.base = {LOGITS}, .fp_weight = 0.3, .fn_weight = 0.7}),      \
             gr_focal_tversky(t, q, m, NULL)))                                                                         \
    N(dices, "xq", gr_add(t, gr_generalised_dice(t, x, m, REGION(overlap)), gr_log_cosh_dice(t, q, m, NULL)))          \
    N(sums_of_losses, "x",                                                                                             \
      gr_add(t, gr_dice_bce(t, x, m, REGION(compound)), gr_dice_focal(t, x, m, REGION(dice_focal))))                   \
    N(dice_of_classes, "x", gr_dice_ce(t, x, j, REGION(compound)))                                                     \
    N(lovasz, "x", gr_add(t, gr_lovasz_hinge(t, x, m, NULL), gr_lovasz_softmax(t, x, j, REGION(lovasz_softmax))))      \
    N(segmenter, "xkcd",                                                                                               \
      gr_dice_bce(                                                                                                     \
          t,                                                                                                           \
          gr_upsample2d(                                                                                               \
              t,                                                                                                       \
              gr_relu(t, gr_batch_norm2d(t,                                                                            \
                                         gr_conv2d(t, gr_avg_pool2d(t, x, &(gr_pool2d_options){.kernel = {2, 1}}), k,  \
                                                   NULL, CONV(.padding = {1, 1}, .stride = {1, 2})),                   \
                                         c, d, NULL, NULL, BATCH)),                                                    \
              4, 3, GR_BILINEAR),                                                                                      \
          m, REGION(compound)))

/* A formula sees all inputs by their letters. */
#define FUNCTION(name, differentiated, ...)                                                                         \
    static gr_tensor *f_##name(gr_tape *t, gr_tensor *const in[], int n, void *context)                             \
    {                                                                                                               \
        gr_tensor *a = in[0], *b = in[1], *w = in[2], *v = in[3], *p = in[4], *q = in[5], *x = in[6], *k = in[7],   \
                  *c = in[8], *d = in[9], *s = in[10], *m = in[11], *i = in[12], *j = in[13];                       \
        (void)a, (void)b, (void)w, (void)v, (void)p, (void)q, (void)x, (void)k, (void)c, (void)d, (void)s, (void)m; \
        (void)i, (void)j, (void)n, (void)context;                                                                   \
        return __VA_ARGS__;                                                                                         \
    }
NETWORKS(FUNCTION)

typedef struct network {
    const char *name, *differentiated, *formula;
    gr_check_function f;
} network;

#define ROW(name, differentiated, ...) {#name, differentiated, #__VA_ARGS__, f_##name},
static const network networks[] = {NETWORKS(ROW)};
enum { N_NETWORKS = (int)(sizeof networks / sizeof *networks) };

static void make_network_inputs(const network *w, gr_tensor *in[N_INPUTS], uint64_t seed)
{
    gr_rng rng = gr_rng_seed(seed);
    for (int i = 0; i < N_INPUTS; i++) {
        in[i] = inputs[i].what == CLASSES
                    ? gr_zeros(GR_I32, inputs[i].rank, inputs[i].shape)
                    : gr_uniform(GR_F64, inputs[i].rank, inputs[i].shape, inputs[i].lo, inputs[i].hi, &rng);
        assert_non_null(in[i]);
        for (int64_t e = 0; e < gr_size(in[i]) && inputs[i].what != DRAWN; e++)
            assert_int_equal(gr_set(in[i], e, (double)gr_rng_below(&rng, 2)), GR_OK);
        if (strchr(w->differentiated, inputs[i].letter)) assert_int_equal(gr_require_grad(in[i]), GR_OK);
    }
}

/* ---- Every way of checking ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    gr_check_options o;
} ways[] = {
    {"in full", {.mode = GR_CHECK_FULL}},
    {"sampled", {.mode = GR_CHECK_SAMPLED, .samples = 3}},
    {"along directions", {.mode = GR_CHECK_DIRECTIONAL}},
    {"as a Jacobian", {.mode = GR_CHECK_JACOBIAN}},
    {"per node", {.mode = GR_CHECK_PER_NODE}},
    {"accumulated", {.mode = GR_CHECK_ACCUMULATION}},
    {"F32", {.mode = GR_CHECK_F32}},
    {"in full, second order", {.mode = GR_CHECK_FULL, .order = 2}},
    {"sampled, second order", {.mode = GR_CHECK_SAMPLED, .order = 2, .samples = 3}},
    {"along directions, second order", {.mode = GR_CHECK_DIRECTIONAL, .order = 2}},
    {"per node, second order", {.mode = GR_CHECK_PER_NODE, .order = 2, .samples = 3}},
};
enum { N_WAYS = (int)(sizeof ways / sizeof *ways) };

static void every_network_in_every_way(void **state)
{
    (void)state;
    int64_t compared[N_WAYS] = {0}, evaluations[N_WAYS] = {0};
    for (int k = 0; k < N_NETWORKS; k++) {
        const network *w = &networks[k];
        gr_tensor *in[N_INPUTS];
        make_network_inputs(w, in, 3);
        for (int i = 0; i < N_WAYS; i++) {
            gr_check_report r;
            if (gr_check_gradients(w->f, NULL, in, N_INPUTS, &ways[i].o, &r))
                fail_msg("%s, %s: %s", w->name, ways[i].name, gr_last_error());
            if (r.verdict != GR_CHECK_PASS) {
                gr_check_fprint(stdout, &r);
                fail_msg("%s, %s: %s", w->name, ways[i].name, gr_check_verdict_name(r.verdict));
            }
            compared[i] += r.compared;
            evaluations[i] += r.evaluations;
        }
        for (int i = 0; i < N_INPUTS; i++) gr_tensor_free(in[i]);
    }
    printf("%d networks, each checked\n", N_NETWORKS);
    for (int i = 0; i < N_WAYS; i++)
        printf("%-31s %6lld derivatives, %7lld evaluations\n", ways[i].name, (long long)compared[i],
               (long long)evaluations[i]);
}

/* ---- None is left out --------------------------------------------------------------------------------------- */

static bool is_used(const char *function)
{
    char call[80];
    snprintf(call, sizeof call, "%s(", function);
    for (int k = 0; k < N_NETWORKS; k++)
        if (strstr(networks[k].formula, call)) return true;
    return false;
}

/* Every function of these headers that makes a tensor on a tape is part of a network above. */
static void no_function_is_left_out(void **state)
{
    (void)state;
    static const char *const headers[] = {"ops", "nn", "losses", "segmentation"};
    int found = 0;
    for (int i = 0; i < (int)(sizeof headers / sizeof *headers); i++) {
        char path[512], line[512], name[64];
        snprintf(path, sizeof path, "%s/include/gradus/%s.h", GR_SOURCE_DIR, headers[i]);
        FILE *file = fopen(path, "r");
        if (!file) fail_msg("%s cannot be read", path);
        while (fgets(line, sizeof line, file)) {
            if (sscanf(line, "GR_EXPORT gr_tensor *%63[a-z0-9_](gr_tape", name) != 1) continue;
            found++;
            if (!is_used(name)) fail_msg("%s of %s.h is in no network", name, headers[i]);
        }
        fclose(file);
    }
    printf("%d functions\n", found);
    assert_true(found >= 88);
}

/* ---- Running statistics ------------------------------------------------------------------------------------- */

typedef struct statistics {
    gr_tensor *mean, *var;
} statistics;

static gr_tensor *normalised(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const statistics *s = context;
    (void)n;
    return gr_tanh(t, gr_batch_norm2d(t, x[0], x[1], NULL, s->mean, s->var, BATCH));
}

/* A check runs the function a thousand times, at points of its own, one of them NaN: no running mean sees it. */
static void running_statistics_stay(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(2);
    gr_tensor *x[2] = {gr_uniform(GR_F64, GR_SHAPE(2, 2, 2, 3), -1, 1, &rng),
                       gr_uniform(GR_F64, GR_SHAPE(2), 0.5, 1, &rng)};
    for (int i = 0; i < 2; i++) assert_int_equal(gr_require_grad(x[i]), GR_OK);
    statistics s = {gr_full(GR_F64, GR_SHAPE(2), 0.25), gr_full(GR_F64, GR_SHAPE(2), 4.0)};
    for (int i = 0; i < N_WAYS; i++) {
        gr_check_report r;
        if (ways[i].o.mode == GR_CHECK_F32) continue; /* they are F64 */
        if (gr_check_gradients(normalised, &s, x, 2, &ways[i].o, &r)) fail_msg("%s: %s", ways[i].name, gr_last_error());
        assert_int_equal(r.verdict, GR_CHECK_PASS);
        for (int k = 0; k < 2; k++) assert_true(gr_get(s.mean, k) == 0.25 && gr_get(s.var, k) == 4.0);
    }
    for (int i = 0; i < 2; i++) gr_tensor_free(x[i]);
    gr_tensor_free(s.mean);
    gr_tensor_free(s.var);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_network_in_every_way),
        cmocka_unit_test(no_function_is_left_out),
        cmocka_unit_test(running_statistics_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
