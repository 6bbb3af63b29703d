/* test_reductions.c: sums, means, extremes, log-sum-exp and softmax over one axis, against plain loops in double, with
 * numbers that are large, infinite or NaN, and over axes that are long. */
#include "helpers.h"

/* ---- Over the middle of three axes, and the same over the last and the first ---------------------------------- */

/* x as [outer, c, inner] with the axis in the middle: outer 1 is a first axis, inner 1 a last one. */
typedef struct planes {
    gr_dtype dtype;
    int64_t outer, c, inner;
} planes;

static int64_t place(const planes *p, int64_t o, int64_t c, int64_t i) { return (o * p->c + c) * p->inner + i; }

/* -log of the softmax's sum over a column, as e^(x - m). */
static double log_sum(const gr_tensor *x, const planes *p, int64_t o, int64_t i, double *m)
{
    double sum = 0;
    *m = gr_get(x, place(p, o, 0, i));
    for (int64_t c = 0; c < p->c; c++) *m = fmax(*m, gr_get(x, place(p, o, c, i)));
    for (int64_t c = 0; c < p->c; c++) sum += exp(gr_get(x, place(p, o, c, i)) - *m);
    return log(sum);
}

static void expect(const planes *p, double level, const char *what, double got, double expected)
{
    if (!close_to(got, expected, p->dtype == GR_F32 ? 4e-7 : 1e-15))
        fail_msg("%s of [%d,%d,%d] around %g in %s is %.9g, expected %.9g", what, (int)p->outer, (int)p->c,
                 (int)p->inner, level, gr_dtype_name(p->dtype), got, expected);
}

/* Logits of any level: what counts is how far they are from one another. */
static void check_softmax(gr_tape *t, const planes *p, double level)
{
    gr_tensor *x = gr_zeros(p->dtype, GR_SHAPE(p->outer, p->c, p->inner));
    for (int64_t k = 0; k < gr_size(x); k++) assert_int_equal(gr_set(x, k, level + 2 * sin(1.7 * (double)k)), GR_OK);
    const gr_tensor *log_p = gr_log_softmax(t, x, 1), *q = gr_softmax(t, x, 1),
                    *lse = gr_logsumexp(t, x, GR_AXES(1), false);
    assert_non_null(log_p);
    assert_non_null(q);
    assert_non_null(lse);
    for (int64_t k = 0; k < gr_size(x); k++) {
        double m, o = (double)(k / (p->c * p->inner)), sum = log_sum(x, p, (int64_t)o, k % p->inner, &m);
        expect(p, level, "log_softmax", gr_get(log_p, k), (gr_get(x, k) - m) - sum);
        expect(p, level, "softmax", gr_get(q, k), exp((gr_get(x, k) - m) - sum));
        expect(p, level, "logsumexp", gr_get(lse, (int64_t)o * p->inner + k % p->inner), m + sum);
    }
    gr_tape_reset(t);
    gr_tensor_free(x);
}

static void softmax_at_any_level(void **state)
{
    (void)state;
    static const double levels[] = {0, 50, -700, 1e4, -3e5, 1e6, 1e10};
    static const int64_t sizes[][3] = {{3, 2, 1}, {70, 5, 1}, {2, 3, 5}, {1, 40, 300}, {1, 1, 4}};
    gr_tape *t = gr_tape_new();
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t l = 0; l < sizeof levels / sizeof *levels; l++)
            for (int d = 0; d < 2; d++)
                check_softmax(t, &(planes){d ? GR_F64 : GR_F32, sizes[s][0], sizes[s][1], sizes[s][2]}, levels[l]);
    gr_tape_free(t);
}

/* ---- Sums of much ----------------------------------------------------------------------------------------------- */

/* 0.1 is not exact, and its sum, taken number by number in F32, is wrong by percents from a few million on. */
static void long_sums_keep_their_digits(void **state)
{
    (void)state;
    const int64_t n = (int64_t)1 << 22;
    const struct {
        const char *what;
        int64_t shape[3];
        int axis;
    } cases[] = {{"rows", {1, 2, n}, 2},
                 {"columns", {1, n, 2}, 1},
                 {"the first of three", {n, 1, 2}, 0},
                 {"the middle of three", {2, n / 2, 2}, 1},
                 {"all but the middle", {n / 2, 2, 2}, -1},
                 {"everything", {2, n, 1}, -2}};
    gr_tape *t = gr_tape_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_tensor *x = gr_full(GR_F32, 3, cases[i].shape, 0.1);
        gr_f32(x)[0] = gr_f32(x)[gr_size(x) - 1] =
            1.0f; /* so that the exponentials of logsumexp are no whole numbers */
        const int axes[] = {cases[i].axis == -1 ? 0 : cases[i].axis, 2}, n_axes = cases[i].axis == -2   ? 0
                                                                                  : cases[i].axis == -1 ? 2
                                                                                                        : 1;
        const gr_tensor *sum = gr_sum(t, x, n_axes, axes, false), *mean = gr_mean(t, x, n_axes, axes, false),
                        *lse = gr_logsumexp(t, x, n_axes, axes, false);
        assert_non_null(lse);
        const double count = (double)gr_size(x) / (double)gr_size(sum), value = (double)0.1f;
        for (int64_t k = 0; k < gr_size(sum); k++)
            if (fabs(gr_get(sum, k) / (count * value) - 1) > 1e-5 || fabs(gr_get(mean, k) / value - 1) > 1e-5 ||
                fabs(gr_get(lse, k) / (value + log(count)) - 1) > 1e-6)
                fail_msg("%s: the sum of %g is %.9g, the mean %.9g, logsumexp %.9g", cases[i].what, count,
                         gr_get(sum, k), gr_get(mean, k), gr_get(lse, k));
        gr_tape_reset(t);
        gr_tensor_free(x);
    }
    gr_tape_free(t);
}

/* ---- Special values --------------------------------------------------------------------------------------------- */

static void special_values(void **state)
{
    (void)state;
    const double inf = (double)INFINITY, none = (double)NAN;
    const struct {
        double x[3], sum, largest, smallest, log_sum_exp;
    } rows[] = {
        {{1, inf, 2}, inf, inf, 1, inf},
        {{1, -inf, 2}, -inf, 2, -inf, 2.3132616875182228},
        {{-inf, -inf, -inf}, -inf, -inf, -inf, -inf},
        {{inf, -inf, 0}, none, inf, -inf, inf},
        {{none, 1, 2}, none, none, none, none},
        {{1, 2, none}, none, none, none, none},
        {{1, none, inf}, none, none, none, none},
        {{-1e300, 1e300, 0}, 0, 1e300, -1e300, 1e300},
        {{800, 0, 800}, 1600, 800, 0, 800.6931471805599453},
    };
    gr_tape *t = gr_tape_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int column = 0; column < 2; column++) {
            gr_tensor *x = gr_from(GR_F64, GR_SHAPE(1, 3), rows[i].x), *seen = column ? gr_transpose(t, x) : x;
            const int axis = column ? 0 : 1;
            const double got[] = {gr_item(gr_sum(t, seen, 1, &axis, false)), gr_item(gr_max(t, seen, 1, &axis, false)),
                                  gr_item(gr_min(t, seen, 1, &axis, false)),
                                  gr_item(gr_logsumexp(t, seen, 1, &axis, false))};
            const double expected[] = {rows[i].sum, rows[i].largest, rows[i].smallest, rows[i].log_sum_exp};
            for (int k = 0; k < 4; k++)
                if (!close_to(got[k], expected[k], 1e-15))
                    fail_msg("row %d, function %d: %g, expected %g", (int)i, k, got[k], expected[k]);
            gr_tape_reset(t);
            gr_tensor_free(x);
        }
    gr_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_at_any_level),
        cmocka_unit_test(long_sums_keep_their_digits),
        cmocka_unit_test(special_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
