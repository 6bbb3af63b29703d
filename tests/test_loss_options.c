/* test_loss_options.c: what all losses share: reductions, weights, ignored positions, smoothing, refusals. */
#include "loss_kit.h"

#define QNAN ((double)NAN)
#define INF ((double)INFINITY)

/* ---- One call against another ------------------------------------------------------------------------------------ */

static void a_mean_is_a_sum_over_the_count(void **state)
{
    (void)state;
    static const setup kinds[] = {{.weighted = false}, {.weighted = true}, {.class_weighted = true}, {.ignore = true}};
    material m = new_material();
    for (int i = 0; i < COUNT(class_losses) * COUNT(kinds); i++) {
        const setup *s = &kinds[i % COUNT(kinds)];
        call c = call_of(&class_losses[i / COUNT(kinds)], &m);
        c.index = m.index;
        c.weight = s->weighted ? m.weight : NULL;
        c.class_weight = s->class_weighted ? m.class_weight : NULL;
        c.o.ignore = s->ignore;
        c.o.ignore_index = 2;
        int count = 0;
        for (int k = 0; k < ROWS; k++) count += !s->ignore || m.index[k] != 2;
        assert_true(!s->ignore || (count > 0 && count < ROWS));
        c.o.reduction = GR_SUM;
        outcome sum = run(&c);
        c.o.reduction = GR_NONE;
        outcome none = run(&c);
        double total = 0;
        for (int k = 0; k < ROWS; k++) total += none.values[k];
        expect(&c, "the sum of all", 0, sum.values[0], (exact)total, 1e-14, 0);
        c.o.reduction = GR_MEAN;
        outcome mean = run(&c);
        expect(&c, "the mean", 0, mean.values[0], (exact)(sum.values[0] / count), 1e-14, 0);
        for (int k = 0; k < ROWS * CLASSES; k++)
            expect(&c, "the mean's slope", k, mean.slopes[k], (exact)(sum.slopes[k] / count), 1e-14, 0);
        drop(&sum);
        drop(&none);
        drop(&mean);
    }
}

/* An ignored position is as if it were not there. */
static void ignored_positions_are_left_out(void **state)
{
    (void)state;
    const double p[] = {0.3, QNAN, 0.8, 0.25, INF}, y[] = {1, -7, 0, 1, -7};
    const double kept_p[] = {0.3, 0.8, 0.25}, kept_y[] = {1, 0, 1};
    for (int i = 0; i < COUNT(pointwise); i++) {
        if (pointwise[i].targets == SIGNS) continue;
        for (int graph = 0; graph < 2; graph++) {
            call all = {.l = &pointwise[i],
                        .dtype = GR_F64,
                        .rank = 1,
                        .shape = {5},
                        .p = p,
                        .y = y,
                        .graph = graph,
                        .o = {.ignore = true, .ignore_index = -7}};
            call kept = {.l = &pointwise[i], .dtype = GR_F64, .rank = 1, .shape = {3}, .p = kept_p, .y = kept_y};
            outcome a = run(&all), b = run(&kept);
            const double expected[] = {b.slopes[0], 0, b.slopes[1], b.slopes[2], 0};
            expect(&all, "the value", 0, a.values[0], (exact)b.values[0], 1e-15, 0);
            for (int k = 0; k < 5; k++) expect(&all, "the slope", k, a.slopes[k], (exact)expected[k], 1e-15, 0);
            assert_true(a.slopes[1] == 0 && a.slopes[4] == 0);
            drop(&a);
            drop(&b);
        }
    }
}

/* An index to ignore that F32 does not hold is compared as F32 does. */
static void an_ignored_fraction(void **state)
{
    (void)state;
    const double p[] = {0.5, 0.5, 0.5}, y[] = {0.1, 0.6, 0.1};
    call c = {
        .l = find("mse", false), .rank = 1, .shape = {3}, .p = p, .y = y, .o = {.ignore = true, .ignore_index = 0.1}};
    for (int k = 0; k < 4; k++) {
        c.dtype = k % 2 ? GR_F64 : GR_F32;
        c.graph = k / 2;
        outcome r = run(&c);
        expect(&c, "the value", 0, r.values[0], 0.01L, 1e-6, 0);
        expect(&c, "the slope", 1, r.slopes[1], -0.2L, 1e-6, 0);
        assert_true(r.slopes[0] == 0 && r.slopes[2] == 0);
        drop(&r);
    }
}

static void all_ignored_is_nothing(void **state)
{
    (void)state;
    const double p[] = {0.3, 0.6, 0.2, 0.9, 0.1, 0.5}, y[] = {-7, -7, -7, -7, -7, -7};
    const int32_t index[] = {-7, -7};
    for (int i = 0; i < COUNT(pointwise) + COUNT(class_losses); i++)
        for (int k = 0; k < 12; k++) {
            const bool classes = i >= COUNT(pointwise);
            call c = {.l = classes ? &class_losses[i - COUNT(pointwise)] : &pointwise[i],
                      .dtype = k % 2 ? GR_F64 : GR_F32,
                      .rank = 2,
                      .shape = {2, 3},
                      .p = p,
                      .y = y,
                      .index = classes ? index : NULL,
                      .graph = k / 2 % 2,
                      .o = {.reduction = (gr_reduction)(k / 4), .ignore = true, .ignore_index = -7}};
            outcome r = run(&c);
            for (int64_t m = 0; m < r.n_values; m++) assert_true(r.values[m] == 0);
            for (int64_t m = 0; m < r.n_slopes; m++) assert_true(r.slopes[m] == 0);
            drop(&r);
        }
}

static void smoothing_is_a_smoothed_target(void **state)
{
    (void)state;
    material m = new_material();
    const double s = 0.2;
    double smooth[ROWS * CLASSES], smooth_hot[ROWS * CLASSES], smooth_half[ROWS * CLASSES];
    for (int i = 0; i < ROWS * CLASSES; i++) {
        smooth[i] = (1 - s) * m.shares[i] + s / CLASSES;
        smooth_hot[i] = (1 - s) * m.one_hot[i] + s / CLASSES;
        smooth_half[i] = (1 - s) * m.shares[i] + s / 2;
    }
    for (int i = 0; i < COUNT(class_losses); i++) {
        call soft = call_of(&class_losses[i], &m), hot = soft, explicit = soft;
        soft.o.label_smoothing = hot.o.label_smoothing = s;
        hot.index = m.index;
        explicit.y = smooth;
        compare_calls("shares", &soft, &explicit, 1e-14);
        explicit.y = smooth_hot;
        compare_calls("indices", &hot, &explicit, 1e-14);
    }
    for (int logits = 0; logits < 2; logits++) {
        call soft = call_of(find("bce", logits), &m), explicit = soft;
        soft.o.label_smoothing = s;
        explicit.y = smooth_half;
        compare_calls("smoothed", &soft, &explicit, 1e-14);
    }
}

/* ---- What removes a term, and what does not ---------------------------------------------------------------------- */

/* Positions 1 and 2 are gone, whatever their predictions, and the others finite. */
static void check_gone(const call *c)
{
    outcome r = run(c);
    const int64_t width = r.n_slopes / 4;
    for (int64_t k = 0; k < r.n_values; k++)
        if (!isfinite(r.values[k])) fail_msg("%s: a value of %g", c->l->name, r.values[k]);
    for (int64_t k = 0; k < r.n_slopes; k++)
        if (k / width == 1 || k / width == 2) expect_exactly(c, "the slope of nothing", k, r.slopes[k], 0);
        else if (!isfinite(r.slopes[k])) fail_msg("%s: a slope of %g", c->l->name, r.slopes[k]);
    drop(&r);
}

static void weight_zero_and_ignored_remove_a_term(void **state)
{
    (void)state;
    static const double weight[] = {1, 0, 0, 2}, y[] = {1, 1, 1, 1};
    static const double numbers_[] = {0.25, QNAN, INF, 0.75}, probabilities[] = {0.25, QNAN, QNAN, 0.75};
    static const double logit_rows[] = {0.25, 0.5, 1, QNAN, 0.5, 1, INF, -INF, QNAN, 0.75, 0.5, 1};
    static const double rows[] = {0.25, 0.5, 0.25, 0.5, QNAN, 0.25, 0, 1, QNAN, 0.75, 0.5, 0.25};
    static const double no_probabilities[] = {0.25, 0.5, 0.25, 5, QNAN, 0.25, 0, -1, QNAN, 0.75, 0.5, 0.25};
    static const int32_t index[] = {0, 2, 1, 1}, ignoring[] = {0, -7, -7, 1};
    for (int k = 0; k < 12; k++) {
        call c = {.dtype = k % 2 ? GR_F64 : GR_F32,
                  .rank = 1,
                  .shape = {4, 3},
                  .y = y,
                  .weight = weight,
                  .graph = k / 2 % 2,
                  .o = {.reduction = (gr_reduction)(k / 4)}};
        for (int i = 0; i < COUNT(pointwise); i++) {
            c.l = &pointwise[i];
            c.p = (c.l->at == bce_at || c.l->at == zero_one_at) && !c.l->logits ? probabilities : numbers_;
            check_gone(&c);
        }
        c.rank = 2;
        for (int i = 0; i < COUNT(class_losses) * 2; i++) {
            c.l = &class_losses[i / 2];
            c.p = c.l->logits ? logit_rows : i % 2 ? rows : no_probabilities;
            c.index = i % 2 ? index : ignoring;
            c.weight = i % 2 ? weight : NULL;
            c.o.ignore = i % 2 == 0;
            c.o.ignore_index = -7;
            check_gone(&c);
        }
    }
}

/* Target 0: whatever the logarithm. */
static void target_zero_removes_a_term(void **state)
{
    (void)state;
    const double p[] = {0, 1}, y[] = {0, 1}, slope[] = {1, -1}, class_slope[] = {0, -1};
    const double class_weight[] = {1, 0}, both[] = {1, 1}, certain[] = {1, 0}, weighted_slope[] = {-1, 0};
    for (int i = 0; i < 12; i++) {
        call c = {.l = find("bce", false),
                  .dtype = i % 2 ? GR_F64 : GR_F32,
                  .rank = 1,
                  .shape = {2},
                  .p = p,
                  .y = y,
                  .o = {.reduction = GR_SUM},
                  .graph = i / 2 % 2};
        if (i >= 4) c.l = find(i >= 8 ? "kl" : "cross_entropy", false), c.rank = 2, c.shape[0] = 1, c.shape[1] = 2;
        outcome r = run(&c);
        assert_true(r.values[0] == 0);
        for (int k = 0; k < 2; k++) expect_exactly(&c, "the slope", k, r.slopes[k], (i < 4 ? slope : class_slope)[k]);
        drop(&r);
        if (i < 4) continue;
        c.class_weight = class_weight; /* the same of a class of weight 0 */
        c.p = certain;
        c.y = both;
        r = run(&c);
        assert_true(r.values[0] == 0);
        for (int k = 0; k < 2; k++) expect_exactly(&c, "the weighted slope", k, r.slopes[k], weighted_slope[k]);
        drop(&r);
    }
}

/* d2l/dp2 = (1-y)/(1-p)^2 + y/p^2 is 1 for a prediction that is certain and right, not 0/0. */
static void second_derivative_of_a_certain_prediction(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (int k = 0; k < 4; k++) {
        gr_tensor *p = gr_scalar(k / 2 ? GR_F64 : GR_F32, k % 2), *y = gr_copy(p), *d1, *d2;
        assert_int_equal(gr_require_grad(p), GR_OK);
        assert_int_equal(gr_grad(t, gr_bce(t, p, y, NULL), &p, 1, &d1, GR_CREATE_GRAPH), GR_OK);
        assert_int_equal(gr_grad(t, d1, &p, 1, &d2, 0), GR_OK);
        if (gr_item(d2) != 1) fail_msg("the second derivative of bce at p = y = %d is %g", k % 2, gr_item(d2));
        gr_tape_reset(t);
        gr_tensor_free(p);
        gr_tensor_free(y);
    }
    gr_tape_free(t);
}

/* A NaN prediction shows in its own value and slopes, in every reduction, and nowhere else. */
static void nan_predictions_propagate(void **state)
{
    (void)state;
    enum { N = 21, WIDTH = 3, AT = 17 };
    double p[N * WIDTH], y[N * WIDTH];
    int32_t index[N];
    for (int i = 0; i < (COUNT(pointwise) + COUNT(class_losses) * 2) * 8; i++) {
        const int which = i / 8, classes = which >= COUNT(pointwise), width = classes ? WIDTH : 1;
        const loss *l = classes ? &class_losses[(which - COUNT(pointwise)) / 2] : &pointwise[which];
        for (int k = 0; k < N * WIDTH; k++) {
            p[k] = 0.1 + 0.01 * k;
            y[k] = classes ? 1.0 / WIDTH : 1;
            index[k / WIDTH] = k / WIDTH % WIDTH;
        }
        p[AT * width + (classes ? index[AT] : 0)] = QNAN;
        call c = {.l = l,
                  .dtype = i % 2 ? GR_F64 : GR_F32,
                  .rank = classes ? 2 : 1,
                  .shape = {N, WIDTH},
                  .p = p,
                  .y = y,
                  .index = classes && which % 2 ? index : NULL,
                  .graph = i / 2 % 2,
                  .o = {.reduction = i / 4 % 2 ? GR_NONE : GR_MEAN}};
        outcome r = run(&c);
        for (int64_t k = 0; k < r.n_values; k++)
            if (!isnan(r.values[k]) == (k == AT || r.n_values == 1))
                fail_msg("%s: value %lld is %g", l->name, (long long)k, r.values[k]);
        for (int64_t k = 0; k < r.n_slopes; k++) {
            const bool hit = l->at != zero_one_at && (l->logits ? k / width == AT : isnan(p[k]));
            if (!isnan(r.slopes[k]) == hit) fail_msg("%s: slope %lld is %g", l->name, (long long)k, r.slopes[k]);
        }
        drop(&r);
    }
}

/* ---- Refused numbers --------------------------------------------------------------------------------------------- */

static const struct refusal {
    const char *name;
    bool logits, prediction; /* which of the two is out of range */
    double x;
    const char *expected; /* in the message, after the position */
} refusals[] = {
    {"l1", false, false, (double)NAN, "expected a number"},
    {"mse", false, false, (double)NAN, "expected a number"},
    {"zero_one", false, false, (double)NAN, "expected 0 or 1"},
    {"zero_one", true, false, 0.5, "expected 0 or 1"},
    {"hinge", false, false, 0, "expected -1 or 1"},
    {"hinge", false, false, (double)NAN, "expected -1 or 1"},
    {"bce", false, false, 1.25, "expected a number in [0,1]"},
    {"bce", true, false, -0.25, "expected a number in [0,1]"},
    {"bce", true, false, (double)NAN, "expected a number in [0,1]"},
    {"bce", true, false, (double)INFINITY, "expected a number in [0,1]"},
    {"bce", false, true, 1.5, "is outside [0,1]; are these logits?"},
    {"bce", false, true, -0.5, "is outside [0,1]; are these logits?"},
    {"cross_entropy", false, false, -0.5, "expected 0 or more"},
    {"cross_entropy", true, false, (double)NAN, "expected 0 or more"},
    {"kl", true, false, (double)INFINITY, "expected 0 or more"},
    {"kl", false, false, (double)NAN, "expected 0 or more"},
    {"cross_entropy", false, true, 3, "is outside [0,1]; are these logits?"},
    {"kl", false, true, -3, "is outside [0,1]; are these logits?"},
};

static void check_refusal(const struct refusal *f, int64_t rows, int64_t at)
{
    enum { WIDTH = 3 };
    const loss *l = find(f->name, f->logits);
    double *p = numbers(rows * WIDTH), *y = numbers(rows * WIDTH), *weight = numbers(rows * WIDTH);
    for (int64_t i = 0; i < rows * WIDTH; i++) {
        p[i] = 0.25;
        y[i] = 1;
    }
    (f->prediction ? p : y)[at] = f->x;
    char position[64];
    snprintf(position, sizeof position, " at [%lld,%lld]", (long long)(at / WIDTH), (long long)(at % WIDTH));
    for (int k = 0; k < 8; k++) {
        call c = {.l = l,
                  .dtype = k % 2 ? GR_F64 : GR_F32,
                  .rank = 2,
                  .shape = {rows, WIDTH},
                  .p = p,
                  .y = y,
                  .weight = k / 2 % 2 ? weight : NULL,
                  .o = {.reduction = k / 4 % 2 ? GR_NONE : GR_MEAN},
                  .without_gradient = k % 3 == 0};
        expect_refusal(&c, position, f->expected);
    }
    free(p);
    free(y);
    free(weight);
}

static void bad_numbers_are_named(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(refusals); i++) {
        static const int64_t places[] = {0, 1, 4, 14};
        for (int k = 0; k < COUNT(places); k++) check_refusal(&refusals[i], 5, places[k]);
        check_refusal(&refusals[i], 7001, 3 * 7001 - 1); /* the last of the last block */
        check_refusal(&refusals[i], 7001, 6145);
    }
}

/* ---- Nothing ----------------------------------------------------------------------------------------------------- */

static void a_mean_over_nothing_is_an_error(void **state)
{
    (void)state;
    const double none[] = {0};
    for (int i = 0; i < (COUNT(pointwise) + COUNT(class_losses)) * GR_N_REDUCTIONS; i++) {
        const int which = i / GR_N_REDUCTIONS;
        call c = {.l = which < COUNT(pointwise) ? &pointwise[which] : &class_losses[which - COUNT(pointwise)],
                  .dtype = GR_F64,
                  .rank = 2,
                  .shape = {0, 3},
                  .p = none,
                  .y = none,
                  .o = {.reduction = (gr_reduction)(i % GR_N_REDUCTIONS)}};
        if (c.o.reduction == GR_MEAN) {
            gr_tape *t = gr_tape_new();
            arguments a = new_arguments(&c);
            assert_null(c.l->run(t, a.p, a.y, &a.o));
            assert_int_equal(gr_last_status(), GR_ERR_SHAPE);
            assert_non_null(strstr(gr_last_error(), "a mean over nothing"));
            gr_tape_free(t);
            free_arguments(&a);
            continue;
        }
        outcome r = run(&c);
        assert_int_equal(r.n_values, c.o.reduction == GR_SUM);
        if (r.n_values) assert_true(r.values[0] == 0);
        drop(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mean_is_a_sum_over_the_count),
        cmocka_unit_test(ignored_positions_are_left_out),
        cmocka_unit_test(an_ignored_fraction),
        cmocka_unit_test(all_ignored_is_nothing),
        cmocka_unit_test(smoothing_is_a_smoothed_target),
        cmocka_unit_test(weight_zero_and_ignored_remove_a_term),
        cmocka_unit_test(target_zero_removes_a_term),
        cmocka_unit_test(second_derivative_of_a_certain_prediction),
        cmocka_unit_test(nan_predictions_propagate),
        cmocka_unit_test(bad_numbers_are_named),
        cmocka_unit_test(a_mean_over_nothing_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
