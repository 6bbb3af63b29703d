/* test_metrics.c: confusion counts against counting by hand, the ratios and their 0/0, averages, Otsu's threshold. */
#include "counting.h"
#include "helpers.h"

#include <gradus/metrics.h>

static void assert_counts(const gr_confusion *c, int64_t tp, int64_t fp, int64_t fn, int64_t tn)
{
    if (c->tp != tp || c->fp != fp || c->fn != fn || c->tn != tn)
        fail_msg("tp %lld fp %lld fn %lld tn %lld, expected %lld %lld %lld %lld", (long long)c->tp, (long long)c->fp,
                 (long long)c->fn, (long long)c->tn, (long long)tp, (long long)fp, (long long)fn, (long long)tn);
}

static void two_classes(void **state)
{
    (void)state;
    gr_tensor *p = gr_from(GR_F32, GR_SHAPE(2, 5), (float[]){0.9f, 0.5f, 0.1f, 0.6f, 1, 0, 0.4f, 0.51f, 0.3f, 0.7f});
    gr_tensor *y = gr_from(GR_F32, GR_SHAPE(2, 5), (float[]){1, 1, 0, 0, 1, 0, 1, 1, 0, 0});
    gr_confusion c = {0};
    assert_int_equal(gr_confusion_add(p, y, NULL, &c, 1), GR_OK);
    assert_counts(&c, 3, 2, 2, 3); /* one half is not above one half */
    assert_int_equal(gr_confusion_add(p, y, NULL, &c, 1), GR_OK);
    assert_counts(&c, 6, 4, 4, 6); /* added up */
    c = (gr_confusion){0};
    assert_int_equal(gr_confusion_add(p, y, &(gr_confusion_options){.threshold = 0.35}, &c, 1), GR_OK);
    assert_counts(&c, 5, 2, 0, 3);
    gr_tensor *i32 = gr_copy_as(GR_I32, y), *f64 = gr_copy_as(GR_F64, p);
    c = (gr_confusion){0};
    assert_int_equal(gr_confusion_add(f64, i32, NULL, &c, 1), GR_OK); /* other dtypes */
    assert_counts(&c, 3, 2, 2, 3);
    c = (gr_confusion){0};
    assert_int_equal(gr_confusion_add(i32, i32, NULL, &c, 1), GR_OK);
    assert_counts(&c, 5, 0, 0, 5);
    gr_tensor_free(i32);
    gr_tensor_free(f64);
    gr_tensor_free(p);
    gr_tensor_free(y);
}

static void logits(void **state)
{
    (void)state;
    gr_tensor *x = gr_from(GR_F64, GR_SHAPE(6), (double[]){0, 1e-300, -3, 2, (double)INFINITY, -1e300});
    gr_tensor *y = gr_from(GR_I32, GR_SHAPE(6), (int32_t[]){1, 1, 1, 0, 255, 0});
    gr_confusion_options o = {.from_logits = true, .ignore = true, .ignore_index = 255};
    gr_confusion c = {0};
    assert_int_equal(gr_confusion_add(x, y, &o, &c, 1), GR_OK);
    assert_counts(&c, 1, 1, 2, 1);
    c = (gr_confusion){0};
    o.threshold = 0.9; /* log 9 = 2.197 */
    assert_int_equal(gr_confusion_add(x, y, &o, &c, 1), GR_OK);
    assert_counts(&c, 0, 0, 3, 2);
    gr_tensor_free(x);
    gr_tensor_free(y);
}

/* What is ignored is compared as the target has it, whose 0.3 is not that of a double. */
static void an_ignored_fraction(void **state)
{
    (void)state;
    gr_tensor *p = gr_from(GR_F32, GR_SHAPE(2), (float[]){0.9f, 0.9f}),
              *y = gr_from(GR_F32, GR_SHAPE(2), (float[]){0.3f, 1});
    gr_confusion c = {0};
    assert_int_equal(gr_confusion_add(p, y, &(gr_confusion_options){.ignore = true, .ignore_index = 0.3}, &c, 1),
                     GR_OK);
    assert_counts(&c, 1, 0, 0, 0);
    gr_tensor_free(p);
    gr_tensor_free(y);
}

/* Counts by class of random classes against counting the other way round; with positions behind the class axis. */
static void many_classes(void **state)
{
    (void)state;
    enum { N = 3, C = 4, H = 5, W = 3, POSITIONS = N * H * W };
    gr_rng rng = gr_rng_seed(1);
    gr_tensor *p = gr_normal(GR_F32, GR_SHAPE(N, C, H, W), 0, 1, &rng),
              *predicted = gr_zeros(GR_I32, GR_SHAPE(N, H, W));
    gr_tensor *y = gr_zeros(GR_I32, GR_SHAPE(N, H, W));
    gr_confusion expected[C] = {{0, 0, 0, 0}}, c[C] = {{0, 0, 0, 0}}, again[C] = {{0, 0, 0, 0}};
    for (int i = 0; i < POSITIONS; i++) {
        gr_i32(y)[i] = i % 7 == 0 ? -1 : (int32_t)gr_rng_below(&rng, C);
        int best = 0;
        for (int k = 1; k < C; k++) {
            int64_t at = (int64_t)(i / (H * W)) * C * H * W + i % (H * W);
            if (gr_get(p, at + k * H * W) > gr_get(p, at + best * H * W)) best = k;
        }
        gr_i32(predicted)[i] = best;
        for (int k = 0; k < C && gr_read_i32(y)[i] >= 0; k++) {
            bool truth = gr_read_i32(y)[i] == k, found = best == k;
            (truth ? found ? &expected[k].tp : &expected[k].fn : found ? &expected[k].fp : &expected[k].tn)[0]++;
        }
    }
    gr_confusion_options o = {.ignore = true, .ignore_index = -1};
    assert_int_equal(gr_confusion_add(p, y, &o, c, C), GR_OK);
    assert_int_equal(gr_confusion_add(predicted, y, &o, again, C), GR_OK);
    assert_memory_equal(c, expected, sizeof c);
    assert_memory_equal(again, expected, sizeof again);
    gr_metrics micro = gr_metrics_micro(c, C), macro = gr_metrics_macro(c, C, false);
    double mean = 0.0;
    int64_t tp = 0;
    for (int k = 0; k < C; k++) {
        mean += gr_metrics_of(&c[k]).dice / C;
        tp += c[k].tp;
    }
    assert_true(close_to(macro.dice, mean, 1e-12));
    assert_true(
        close_to(micro.dice, (double)tp / (POSITIONS - 7), 1e-12)); /* of one class each: the share that is right */
    assert_true(micro.precision == micro.sensitivity);
    gr_tensor_free(p);
    gr_tensor_free(predicted);
    gr_tensor_free(y);
}

static void ratios(void **state)
{
    (void)state;
    gr_metrics m = gr_metrics_of(&(gr_confusion){.tp = 6, .fp = 2, .fn = 4, .tn = 8});
    assert_true(m.iou == 0.5 && m.dice == 12.0 / 18.0 && m.sensitivity == 0.6 && m.specificity == 0.8);
    assert_true(m.precision == 0.75 && m.accuracy == 0.7);
    static const struct {
        gr_confusion c;
        gr_metrics m;
    } edges[] = {{{0, 0, 0, 0}, {1, 1, 1, 1, 1, 1}}, {{0, 0, 0, 5}, {1, 1, 1, 1, 1, 1}},
                 {{5, 0, 0, 0}, {1, 1, 1, 1, 1, 1}}, {{0, 3, 0, 0}, {0, 0, 1, 0, 0, 0}},
                 {{0, 0, 3, 0}, {0, 0, 0, 1, 1, 0}}, {{0, 1, 0, 3}, {0, 0, 1, 0.75, 0, 0.75}}};
    for (int i = 0; i < 6; i++) {
        gr_metrics got = gr_metrics_of(&edges[i].c);
        assert_memory_equal(&got, &edges[i].m, sizeof got);
    }
    const gr_confusion classes[] = {{2, 0, 0, 8}, {0, 0, 0, 10}, {0, 5, 5, 0}};
    assert_true(close_to(gr_metrics_macro(classes, 3, false).iou, 2.0 / 3.0, 1e-15));
    assert_true(close_to(gr_metrics_macro(classes, 3, true).iou, 0.5, 1e-15));
    assert_true(gr_metrics_macro(classes + 1, 1, true).iou == 1.0);
    assert_true(close_to(gr_metrics_micro(classes, 3).iou, 2.0 / 12.0, 1e-15));
    gr_clear_error();
    assert_true(isnan(gr_metrics_macro(classes, 0, false).dice));
    assert_failed_with("no classes", GR_ERR_OPTION, "of 0 classes");
    assert_true(isnan(gr_metrics_micro(NULL, 1).dice) && isnan(gr_metrics_of(NULL).iou));
}

static void refusals(void **state)
{
    (void)state;
    gr_tensor *p = gr_full(GR_F32, GR_SHAPE(2, 3), 0.5), *y = gr_zeros(GR_F32, GR_SHAPE(2, 3));
    gr_tensor *k = gr_zeros(GR_I32, GR_SHAPE(2, 3)), *row = gr_zeros(GR_I32, GR_SHAPE(2)), *none = NULL;
    gr_confusion c[3] = {{1, 2, 3, 4}, {0}, {0}}, before = c[0];
#define REFUSES(p, y, options, n, status, part)                          \
    do {                                                                 \
        gr_clear_error();                                                \
        assert_int_equal(gr_confusion_add(p, y, options, c, n), status); \
        assert_failed_with(#p ", " #y, status, part);                    \
        assert_memory_equal(&c[0], &before, sizeof before);              \
    } while (0)
    REFUSES(none, y, NULL, 1, GR_ERR_NULL, "p is NULL");
    REFUSES(p, none, NULL, 1, GR_ERR_NULL, "y is NULL");
    REFUSES(p, y, NULL, 0, GR_ERR_OPTION, "0 counts");
    REFUSES(p, y, (&(gr_confusion_options){.threshold = 1.0}), 1, GR_ERR_OPTION, "a threshold of 1");
    REFUSES(p, row, NULL, 1, GR_ERR_SHAPE, "p is [2,3] and y [2]: expected one shape");
    REFUSES(p, y, NULL, 3, GR_ERR_DTYPE, "y is f32: expected i32");
    REFUSES(p, row, NULL, 2, GR_ERR_SHAPE, "p is [2,3] and y [2]: expected [N,2,...] and [N,...]");
    REFUSES(p, k, NULL, 3, GR_ERR_SHAPE, "expected [N,3,...]");
    REFUSES(k, y, NULL, 1, GR_ERR_DTYPE, "y is f32");
    gr_i32(row)[1] = 3;
    REFUSES(p, row, NULL, 3, GR_ERR_INDEX, "target 3 at [1] is outside 0..2");
    REFUSES(row, row, NULL, 3, GR_ERR_INDEX, "target 3 at [1]");
    REFUSES(row, row, NULL, 1, GR_ERR_VALUE, "target 3 at [1] is neither 0 nor 1");
    gr_f32(y)[4] = 0.5f;
    REFUSES(p, y, NULL, 1, GR_ERR_VALUE, "target 0.5 at [1,1] is neither 0 nor 1");
    gr_f32(y)[4] = 1;
    gr_f32(p)[5] = 1.5f;
    REFUSES(p, y, NULL, 1, GR_ERR_VALUE, "prediction 1.5 at [1,2] is outside [0,1]; are these logits?");
    gr_f32(p)[5] = NAN;
    REFUSES(p, y, (&(gr_confusion_options){.from_logits = true}), 1, GR_ERR_VALUE, "[1,2] is not a number");
    gr_i32(row)[1] = 2;
    REFUSES(p, row, NULL, 3, GR_ERR_VALUE, "[1,2] is not a number");
    counting memory;
    counting_begin(&memory);
    memory.fail_at = 1;
    REFUSES(row, row, NULL, 3, GR_ERR_MEMORY, "out of memory");
    assert_int_equal(memory.live, 0);
    counting_end();
    gr_tensor_free(p);
    gr_tensor_free(y);
    gr_tensor_free(k);
    gr_tensor_free(row);
}

/* ---- Otsu --------------------------------------------------------------------------------------------------- */

/* The split that leaves the smallest variance within, by trying each value as a threshold. */
static double within(const gr_tensor *v, double t)
{
    double n[2] = {0, 0}, sum[2] = {0, 0}, squares = 0.0;
    for (int64_t i = 0; i < gr_size(v); i++) {
        int above = gr_get(v, i) > t;
        n[above]++;
        sum[above] += gr_get(v, i);
        squares += gr_get(v, i) * gr_get(v, i);
    }
    for (int k = 0; k < 2; k++) squares -= n[k] > 0 ? sum[k] * sum[k] / n[k] : 0.0;
    return squares;
}

static void otsu(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(9);
    for (int round = 0; round < 20; round++) {
        gr_tensor *v = gr_zeros(round % 2 ? GR_F32 : GR_F64, GR_SHAPE(40, 10));
        for (int64_t i = 0; i < 400; i++) /* whole numbers 0 .. 255: each has its bin */
            assert_int_equal(
                gr_set(v, i,
                       i == 0   ? 0.0
                       : i == 1 ? 255.0
                                : floor(fmin(fmax((i % 3 ? 90 : 90 + 8 * round) + 20 * gr_rng_normal(&rng), 0), 255))),
                GR_OK);
        double t = gr_otsu(v), best = (double)INFINITY;
        for (int k = 0; k < 255; k++) best = fmin(best, within(v, k));
        if (!close_to(within(v, t), best, 1e-9))
            fail_msg("round %d: %g leaves %g, best %g", round, t, within(v, t), best);
        gr_tensor_free(v);
    }
    gr_tensor *v = gr_from(GR_F32, GR_SHAPE(4), (float[]){0.1f, 0.1f, 0.9f, 0.9f});
    assert_true(fabs(gr_otsu(v) - 0.5) < 0.01); /* the middle of the gap */
    gr_f32(v)[2] = gr_f32(v)[3] = 0.1f;
    assert_true(gr_otsu(v) == (double)0.1f);
    gr_f32(v)[1] = INFINITY;
    assert_true(isnan(gr_otsu(v)));
    assert_failed_with("otsu", GR_ERR_VALUE, "otsu: inf at [1] is not finite");
    gr_tensor *index = gr_zeros(GR_I32, GR_SHAPE(2)), *none = gr_zeros(GR_F32, GR_SHAPE(0));
    assert_true(isnan(gr_otsu(index)) && gr_last_status() == GR_ERR_DTYPE);
    assert_true(isnan(gr_otsu(none)) && gr_last_status() == GR_ERR_SHAPE);
    gr_clear_error();
    assert_true(isnan(gr_otsu(NULL)) && gr_last_status() == GR_ERR_NULL);
    gr_tensor_free(index);
    gr_tensor_free(none);
    gr_tensor_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_classes),  cmocka_unit_test(logits), cmocka_unit_test(an_ignored_fraction),
        cmocka_unit_test(many_classes), cmocka_unit_test(ratios), cmocka_unit_test(refusals),
        cmocka_unit_test(otsu),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
