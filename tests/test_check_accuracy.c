/* test_check_accuracy.c: how good the gradient checker's estimate is. Derivatives of smooth losses against their closed
 * forms in long double: the median error, whether the estimated error covers the true one, and beside it what the usual
 * fixed steps give. docs/gradient_checking.md quotes what this prints. The number of points is in GRADUS_POINTS. */
#include "helpers.h"

#include <gradus/gradus.h>

enum { ROWS = 4, CLASSES = 5, SIZE = ROWS * CLASSES };

static int points_each = 1000;

/* ---- Losses and their derivatives --------------------------------------------------------------------------- */

typedef struct smooth {
    const char *name;
    gr_tensor *(*run)(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *o);
    gr_loss_options options;
    double lo, hi; /* of predictions */
    long double (*slope)(const long double *p, const long double *y, int k);
} smooth;

static long double sigma(long double x) { return x >= 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x)); }

static long double mse_slope(const long double *p, const long double *y, int k) { return 2 * (p[k] - y[k]) / SIZE; }

static long double bce_slope(const long double *p, const long double *y, int k)
{
    return ((1 - y[k]) / (1 - p[k]) - y[k] / p[k]) / SIZE;
}

static long double bce_logits_slope(const long double *x, const long double *y, int k)
{
    return ((1 - y[k]) * sigma(x[k]) - y[k] * sigma(-x[k])) / SIZE;
}

static long double class_slope(const long double *p, const long double *y, int k) { return -y[k] / p[k] / ROWS; }

static long double class_logits_slope(const long double *x, const long double *y, int k)
{
    const int row = k / CLASSES * CLASSES;
    long double sum = 0, others = 0, rest = 0;
    for (int c = row; c < row + CLASSES; c++) {
        sum += expl(x[c] - x[k]);
        if (c == k) continue;
        others += y[c];
        rest += expl(x[c] - x[k]);
    }
    return (others - y[k] * rest) / sum / ROWS;
}

static const smooth losses[] = {
    {"MSE", gr_mse, {0}, -3, 3, mse_slope},
    {"BCE of probabilities", gr_bce, {0}, 0.01, 0.99, bce_slope},
    {"BCE of logits", gr_bce, {.from_logits = true}, -8, 8, bce_logits_slope},
    {"cross entropy of probabilities", gr_cross_entropy, {0}, 0.01, 0.99, class_slope},
    {"cross entropy of logits", gr_cross_entropy, {.from_logits = true}, -8, 8, class_logits_slope},
    {"KL of probabilities", gr_kl, {0}, 0.01, 0.99, class_slope},
    {"KL of logits", gr_kl, {.from_logits = true}, -8, 8, class_logits_slope},
};
enum { N_LOSSES = (int)(sizeof losses / sizeof *losses) };

static gr_tensor *run_loss(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const smooth *l = context;
    (void)n;
    return l->run(t, x[0], x[1], &l->options);
}

/* ---- The usual way: one step for all ------------------------------------------------------------------------ */

static const double steps[] = {1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8};
enum { N_STEPS = (int)(sizeof steps / sizeof *steps) };

static double value_at(gr_tape *t, const smooth *l, gr_tensor *const x[], int k, double where)
{
    const double was = gr_get(x[0], k);
    assert_int_equal(gr_set(x[0], k, where), GR_OK);
    gr_tape_reset(t);
    gr_tensor *y = run_loss(t, x, 2, (void *)(uintptr_t)l);
    double value = y ? gr_item(y) : (double)NAN;
    assert_int_equal(gr_set(x[0], k, was), GR_OK);
    return value;
}

/* ---- Errors, collected -------------------------------------------------------------------------------------- */

typedef struct errors {
    double *of;
    int n;
} errors;

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(errors *e, double q)
{
    qsort(e->of, (size_t)e->n, sizeof *e->of, by_size);
    return e->of[(int)(q * (e->n - 1))];
}

static errors no_errors(void) { return (errors){.of = calloc((size_t)points_each, sizeof(double))}; }

static void note(errors *e, double estimate, long double exact)
{
    double relative = (double)(fabsl((long double)estimate - exact) / fabsl(exact));
    e->of[e->n++] = isnan(relative) ? (double)INFINITY : relative;
}

/* What the points of one loss gave. */
typedef struct result {
    double median, most, fixed[N_STEPS];
    double covered; /* share of the points */
} result;

static result measure(const smooth *l)
{
    errors checker = no_errors(), fixed[N_STEPS];
    int covered = 0;
    gr_tape *t = gr_tape_new();
    for (int s = 0; s < N_STEPS; s++) fixed[s] = no_errors();
    for (int p = 0; p < points_each; p++) {
        gr_rng rng = gr_rng_seed((uint64_t)p);
        gr_tensor *x[2] = {gr_uniform(GR_F64, GR_SHAPE(ROWS, CLASSES), l->lo, l->hi, &rng),
                           gr_uniform(GR_F64, GR_SHAPE(ROWS, CLASSES), 0.05, 0.95, &rng)};
        const int k = (int)gr_rng_below(&rng, SIZE);
        assert_int_equal(gr_require_grad(x[0]), GR_OK);
        long double at[2][SIZE];
        for (int i = 0; i < 2 * SIZE; i++) at[i / SIZE][i % SIZE] = (long double)gr_get(x[i / SIZE], i % SIZE);
        const long double exact = l->slope(at[0], at[1], k);
        gr_check_element e;
        assert_int_equal(gr_check_one(run_loss, (void *)(uintptr_t)l, x, 2, 0, k, NULL, &e), GR_OK);
        note(&checker, e.numeric, exact);
        covered += fabsl((long double)e.numeric - exact) <= (long double)e.error;
        for (int s = 0; s < N_STEPS; s++) {
            const double where = gr_get(x[0], k), h = steps[s];
            note(&fixed[s], (value_at(t, l, x, k, where + h) - value_at(t, l, x, k, where - h)) / (2 * h), exact);
        }
        gr_tensor_free(x[0]);
        gr_tensor_free(x[1]);
    }
    result r = {
        .median = quantile(&checker, 0.5), .most = quantile(&checker, 1.0), .covered = (double)covered / points_each};
    for (int s = 0; s < N_STEPS; s++) {
        r.fixed[s] = quantile(&fixed[s], 0.5);
        free(fixed[s].of);
    }
    free(checker.of);
    gr_tape_free(t);
    return r;
}

static void smooth_losses(void **state)
{
    (void)state;
    double covered = 0;
    printf("| loss | the checker, median | largest | covered |");
    for (int s = 0; s < N_STEPS; s++) printf(" h = %.0e |", steps[s]);
    printf("\n| --- | --- | --- | --- |");
    for (int s = 0; s < N_STEPS; s++) printf(" --- |");
    printf("\n");
    for (int i = 0; i < N_LOSSES; i++) {
        result r = measure(&losses[i]);
        printf("| %s | %.1e | %.1e | %.2f %% |", losses[i].name, r.median, r.most, 100 * r.covered);
        for (int s = 0; s < N_STEPS; s++) printf(" %.0e |", r.fixed[s]);
        printf("\n");
        assert_true(r.median < 1e-11);
        covered += r.covered / N_LOSSES;
    }
    printf("the estimated error covers the true one at %.3f %% of the points\n", 100 * covered);
    assert_true(covered >= 0.999);
}

/* ---- A mean over many pixels -------------------------------------------------------------------------------- */

static void means_over_many(void **state)
{
    (void)state;
    const smooth *l = &losses[0];
    gr_tape *t = gr_tape_new();
    printf("| pixels in the mean | the checker, by terms | h = 1e-4 | h = 1e-6 | h = 1e-8 |\n| --- | --- | --- | --- | "
           "--- "
           "|\n");
    for (int64_t n = 100; n <= 1000000; n *= 10) {
        gr_rng rng = gr_rng_seed(7);
        gr_tensor *x[2] = {gr_uniform(GR_F64, GR_SHAPE(n), 0, 1, &rng), gr_uniform(GR_F64, GR_SHAPE(n), 0, 1, &rng)};
        const int k = (int)(n / 3);
        assert_int_equal(gr_require_grad(x[0]), GR_OK);
        const double exact = 2 * (gr_get(x[0], k) - gr_get(x[1], k)) / (double)n, at = gr_get(x[0], k);
        gr_check_element e;
        assert_int_equal(gr_check_one(run_loss, (void *)(uintptr_t)l, x, 2, 0, k, NULL, &e), GR_OK);
        printf("| %lld | %.0e |", (long long)n, fabs(e.numeric / exact - 1));
        for (int s = 2; s < N_STEPS; s += 2) {
            const double h = steps[s];
            printf(" %.0e |",
                   fabs((value_at(t, l, x, k, at + h) - value_at(t, l, x, k, at - h)) / (2 * h) / exact - 1));
        }
        printf("\n");
        assert_true(fabs(e.numeric / exact - 1) < 1e-12);
        gr_tensor_free(x[0]);
        gr_tensor_free(x[1]);
    }
    gr_tape_free(t);
}

int main(void)
{
    const char *points = getenv("GRADUS_POINTS");
    if (points && atoi(points) > 0) points_each = atoi(points);
    const struct CMUnitTest tests[] = {cmocka_unit_test(smooth_losses), cmocka_unit_test(means_over_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
