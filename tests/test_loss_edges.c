/* test_loss_edges.c: losses at extreme predictions, at kinks and steps, and the gradients of their targets. */
#include "loss_kit.h"

/* ---- Extremes ---------------------------------------------------------------------------------------------------- */

/* Where PyTorch says 0. */
static void digits_that_others_lose(void **state)
{
    (void)state;
    const double x = 40, y = 1, rows[] = {40, 0};
    const int32_t class = 0;
    for (int k = 0; k < 4; k++) {
        call c = {.l = find("bce", true), .dtype = k % 2 ? GR_F64 : GR_F32, .p = &x, .y = &y};
        if (k / 2)
            c = (call){.l = find("cross_entropy", true),
                       .dtype = c.dtype,
                       .rank = 2,
                       .shape = {1, 2},
                       .p = rows,
                       .index = &class};
        outcome r = run(&c);
        const double tolerance = k % 2 ? 1e-12 : 1e-6;
        expect(&c, "the value", 0, r.values[0], 4.248354255291588986e-18L, tolerance, 0);
        expect(&c, "the slope", 0, r.slopes[0], -4.248354255291588977e-18L, tolerance, 0);
        drop(&r);
    }
}

/* Logits of 1000: exact, and finite. */
static const struct {
    double x, y, value, slope;
} huge[] = {{1000, 1, 0, 0},          {1000, 0, 1000, 1},      {-1000, 1, 1000, -1},          {-1000, 0, 0, 0},
            {0x1p100, 0, 0x1p100, 1}, {1000, 0.25, 750, 0.75}, {-0x1p100, 0.5, 0x1p99, -0.5}, {-0x1p100, 0, 0, 0}};

static const struct {
    double x[3], value, slope[3];
    int32_t class;
} huge_rows[] = {
    {{1000, -1000, 0}, 0, {0, 0, 0}, 0},     {{1000, -1000, 0}, 2000, {1, -1, 0}, 1},
    {{1000, -1000, 0}, 1000, {1, 0, -1}, 2}, {{0x1p100, -0x1p100, 0}, 0x1p101, {1, -1, 0}, 1},
    {{-1000, 0, -0x1p100}, 0, {0, 0, 0}, 1},
};

static void expect_huge(const call *c, double value, int n, const double slope[])
{
    outcome r = run(c);
    expect_exactly(c, "the value", 0, r.values[0], value);
    for (int k = 0; k < n; k++) expect_exactly(c, "the slope", k, r.slopes[k], slope[k]);
    drop(&r);
}

static void huge_logits_are_exact(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        call c = {.l = find("bce", true), .dtype = k % 2 ? GR_F64 : GR_F32, .graph = k / 2};
        for (int i = 0; i < COUNT(huge); i++) {
            c.p = &huge[i].x;
            c.y = &huge[i].y;
            expect_huge(&c, huge[i].value, 1, &huge[i].slope);
        }
        c.rank = 2;
        c.shape[0] = 1;
        c.shape[1] = 3;
        for (int i = 0; i < COUNT(huge_rows) * 4; i++) {
            const int32_t class = huge_rows[i / 4].class;
            const double one_hot[] = {class == 0, class == 1, class == 2};
            c.l = find(i % 2 ? "kl" : "cross_entropy", true);
            c.p = huge_rows[i / 4].x;
            c.y = one_hot;
            c.index = i / 2 % 2 ? &huge_rows[i / 4].class : NULL;
            expect_huge(&c, huge_rows[i / 4].value, 3, huge_rows[i / 4].slope);
        }
    }
}

/* ---- Kinks and steps --------------------------------------------------------------------------------------------- */

static void gradients_at_kinks(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double p, y, value, slope;
    } rows[] = {
        {"l1", 0.75, 0.75, 0, 0},   {"l1", 0, -0.0, 0, 0},       {"hinge", 1, 1, 0, 0},
        {"hinge", -1, -1, 0, 0},    {"hinge", 0.5, 1, 0.5, -1},  {"hinge", -0.5, -1, 0.5, 1},
        {"hinge", 1.5, 1, 0, 0},    {"mse", 0.5, 0.5, 0, 0},     {"zero_one", 0.5, 0, 0, 0},
        {"zero_one", 0.5, 1, 1, 0}, {"zero_one", 0.75, 1, 0, 0}, {"zero_one", 0.75, 0, 1, 0},
    };
    for (int i = 0; i < COUNT(rows) * 4; i++) {
        call c = {.l = find(rows[i / 4].name, false),
                  .dtype = i % 2 ? GR_F64 : GR_F32,
                  .p = &rows[i / 4].p,
                  .y = &rows[i / 4].y,
                  .graph = i / 2 % 2};
        outcome r = run(&c);
        expect_exactly(&c, "the value", 0, r.values[0], rows[i / 4].value);
        expect_exactly(&c, "the slope", 0, r.slopes[0], rows[i / 4].slope);
        drop(&r);
    }
}

/* The gradient of 0-1 is there, and is 0: ten steps later every weight is where it was. */
static void zero_one_moves_nothing(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(5);
    gr_params *params = gr_params_new();
    gr_tensor *w = gr_params_add(params, "w", gr_normal(GR_F32, GR_SHAPE(3, 1), 0, 1, &rng)), *before = gr_copy(w);
    gr_tensor *x = gr_normal(GR_F32, GR_SHAPE(20, 3), 0, 1, &rng), *y = gr_zeros(GR_F32, GR_SHAPE(20, 1));
    for (int i = 0; i < 20; i++) assert_int_equal(gr_set(y, i, i % 2), GR_OK);
    gr_optimizer *opt = gr_sgd(params, &(gr_sgd_options){.lr = 0.5, .momentum = 0.9});
    gr_tape *t = gr_tape_new();
    for (int step = 0; step < 10; step++) {
        gr_tensor *l = gr_zero_one(t, gr_matmul(t, x, w, 0), y, &(gr_loss_options){.from_logits = true});
        assert_true(gr_item(l) > 0);
        assert_int_equal(gr_backward(t, l, 0), GR_OK);
        assert_non_null(gr_gradient(w));
        for (int i = 0; i < 3; i++) assert_true(gr_get(gr_gradient(w), i) == 0);
        assert_int_equal(gr_step(opt), GR_OK);
        gr_tape_reset(t);
    }
    assert_memory_equal(gr_read_f32(w), gr_read_f32(before), 3 * sizeof(float));
    gr_tape_free(t);
    gr_optimizer_free(opt);
    gr_params_free(params);
    gr_tensor_free(before);
    gr_tensor_free(x);
    gr_tensor_free(y);
}

/* ---- Gradients of targets ---------------------------------------------------------------------------------------- */

static gr_tensor *loss_of_target(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const call *c = context;
    gr_loss_options o = c->o;
    o.from_logits = c->l->logits;
    o.weight = n > 2 ? x[2] : NULL;
    o.class_weight = n > 3 ? x[3] : NULL;
    return c->l->run(t, x[0], x[1], &o);
}

static void check_target(const call *c)
{
    gr_tensor *x[] = {tensor_of(GR_F64, 2, c->shape, c->p), tensor_of(GR_F64, 2, c->shape, c->y), NULL, NULL};
    int64_t shape[GR_MAX_RANK];
    const int rank = result_shape(c, shape), n = c->class_weight ? 4 : c->weight ? 3 : 2;
    if (c->weight) x[2] = tensor_of(GR_F64, rank, shape, c->weight);
    if (c->class_weight) x[3] = tensor_of(GR_F64, 1, &c->shape[1], c->class_weight);
    assert_int_equal(gr_require_grad(x[1]), GR_OK);
    gr_check_report report;
    if (gr_check_gradients(loss_of_target, (void *)(uintptr_t)c, x, n, NULL, &report))
        fail_msg("%s: %s", c->l->name, gr_last_error());
    if (report.verdict != GR_CHECK_PASS)
        fail_msg("%s, target %lld: analytic %.12g, numeric %.12g", c->l->name, (long long)report.index, report.analytic,
                 report.numeric);
    assert_int_equal(report.compared, ROWS * CLASSES);
    for (int i = 0; i < 4; i++) gr_tensor_free(x[i]);
}

static void targets_have_gradients(void **state)
{
    (void)state;
    material m = new_material();
    double weight[ROWS * CLASSES];
    for (int i = 0; i < ROWS * CLASSES; i++) weight[i] = i % 3 * 0.75;
    for (int i = 0; i < (COUNT(pointwise) + COUNT(class_losses)) * GR_N_REDUCTIONS; i++) {
        const int which = i / GR_N_REDUCTIONS, classes = which >= COUNT(pointwise);
        const loss *l = classes ? &class_losses[which - COUNT(pointwise)] : &pointwise[which];
        if (l->targets == BITS || l->targets == SIGNS) continue;
        call c = call_of(l, &m);
        c.o.reduction = (gr_reduction)(i % GR_N_REDUCTIONS);
        check_target(&c);
        c.weight = weight;
        c.class_weight = classes ? m.class_weight : NULL;
        c.o.label_smoothing = l->targets == SHARES ? 0.2 : 0;
        check_target(&c);
    }
}

/* Labels and weights have none, and say so. */
static void what_has_no_gradient_says_so(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *p = gr_full(GR_F64, GR_SHAPE(2), 0.25), *y = gr_ones(GR_F64, GR_SHAPE(2)),
              *w = gr_ones(GR_F64, GR_SHAPE(2));
    assert_int_equal(gr_require_grad(w), GR_OK);
    assert_null(gr_mse(t, p, y, &(gr_loss_options){.weight = w}));
    assert_int_equal(gr_last_status(), GR_ERR_STATE);
    assert_non_null(strstr(gr_last_error(), "mse: input 2 requires a gradient"));
    assert_int_equal(gr_require_grad(y), GR_OK);
    assert_null(gr_hinge(t, p, y, NULL));
    assert_int_equal(gr_last_status(), GR_ERR_STATE);
    assert_null(gr_zero_one(t, p, y, NULL));
    assert_int_equal(gr_last_status(), GR_ERR_STATE);
    gr_tape_free(t);
    gr_tensor_free(p);
    gr_tensor_free(y);
    gr_tensor_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_that_others_lose), cmocka_unit_test(huge_logits_are_exact),
        cmocka_unit_test(gradients_at_kinks),      cmocka_unit_test(zero_one_moves_nothing),
        cmocka_unit_test(targets_have_gradients),  cmocka_unit_test(what_has_no_gradient_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
