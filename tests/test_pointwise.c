/* test_pointwise.c: the losses of pairs of numbers, in each of their forms: values and gradients against 25 digits and
 * against plain loops, whatever the number of threads. */
#include "loss_kit.h"

/* ---- 25 digits --------------------------------------------------------------------------------------------------- */

static void golden_point_by_point(void **state)
{
    (void)state;
    int count[COUNT(pointwise)] = {0};
    for (int i = 0; i < COUNT(golden_points); i++) {
        const golden_point *g = &golden_points[i];
        const loss *l = loss_of(g->name, g->from_logits);
        if (!l) continue;
        const point size = l->at(l->logits, (exact)g->x, (exact)g->y, (exact)DBL_MIN);
        call c = {.l = l, .dtype = GR_F64, .p = &g->x, .y = &g->y, .o = {.reduction = GR_SUM}};
        for (int graph = 0; graph < 2; graph++) {
            c.graph = graph;
            outcome r = run(&c);
            expect_golden(&c, "the golden value", i, r.values[0], g->value, size.value_size);
            expect_golden(&c, "the golden slope", i, r.slopes[0], g->slope, size.slope_size);
            drop(&r);
        }
        count[l - pointwise]++;
    }
    for (int i = 0; i < COUNT(pointwise); i++)
        if (strcmp(pointwise[i].name, "zero_one") && count[i] < 15)
            fail_msg("only %d rows of %s", count[i], pointwise[i].name);
}

/* All rows of one loss as one array, again and again, so that each meets vector and scalar code, and in F32. */
static int64_t gather_points(const loss *l, int64_t n, double p[], double y[], const golden_point *from[])
{
    int64_t rows = 0;
    for (int i = 0; i < COUNT(golden_points); i++)
        if (loss_of(golden_points[i].name, golden_points[i].from_logits) == l) from[rows++] = &golden_points[i];
    for (int64_t i = 0; rows && i < n; i++) {
        from[i] = from[i % rows];
        p[i] = from[i]->x;
        y[i] = from[i]->y;
    }
    return rows;
}

enum { GOLDEN_ARRAY = 5001 };

static void golden_array(const loss *l)
{
    static double p[GOLDEN_ARRAY], y[GOLDEN_ARRAY];
    static const golden_point *from[GOLDEN_ARRAY];
    if (!gather_points(l, GOLDEN_ARRAY, p, y, from)) return;
    call c = {.l = l, .dtype = GR_F64, .rank = 1, .shape = {GOLDEN_ARRAY}, .p = p, .y = y, .o = {.reduction = GR_NONE}};
    outcome r = run(&c);
    assert_int_equal(r.n_values, GOLDEN_ARRAY);
    for (int64_t i = 0; i < GOLDEN_ARRAY; i++) {
        const point size = l->at(l->logits, (exact)p[i], (exact)y[i], (exact)DBL_MIN);
        expect_golden(&c, "the golden value", i, r.values[i], from[i]->value, size.value_size);
        expect_golden(&c, "the golden slope", i, r.slopes[i], from[i]->slope, size.slope_size);
    }
    drop(&r);
}

static void golden_arrays(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(pointwise); i++) golden_array(&pointwise[i]);
}

/* Rows rounded to F32, against the F64 loss of the rounded numbers. */
static bool fits_f32(double x) { return (fabs(x) <= (double)FLT_MAX && fabs(x) >= (double)FLT_MIN) || x == 0; }

static void golden_points_in_f32(void **state)
{
    (void)state;
    int count = 0;
    for (int i = 0; i < COUNT(golden_points); i++) {
        const golden_point *g = &golden_points[i];
        const loss *l = loss_of(g->name, g->from_logits);
        const double x = (double)(float)g->x, y = (double)(float)g->y;
        if (!l || !fits_f32(g->x) || !fits_f32(g->y) || (l->at == bce_at && !l->logits && (x == 0 || x == 1))) continue;
        call c = {.l = l, .dtype = GR_F64, .p = &x, .y = &y, .o = {.reduction = GR_SUM}};
        outcome wide = run(&c);
        c.dtype = GR_F32;
        outcome narrow = run(&c);
        const point size = l->at(l->logits, (exact)x, (exact)y, (exact)FLT_MIN);
        if (fabs(wide.values[0]) < (double)FLT_MAX) {
            expect(&c, "the value", i, narrow.values[0], (exact)wide.values[0], 0,
                   4 * (exact)FLT_EPSILON * size.value_size);
            expect(&c, "the slope", i, narrow.slopes[0], (exact)wide.slopes[0], 0,
                   4 * (exact)FLT_EPSILON * size.slope_size);
            count++;
        }
        drop(&wide);
        drop(&narrow);
    }
    assert_true(count > 150);
}

/* ---- Whole arrays against plain loops ---------------------------------------------------------------------------- */

static double draw_prediction(const loss *l, gr_rng *rng)
{
    const int64_t kind = gr_rng_below(rng, 16);
    if (l->targets == SHARES && !l->logits)
        return kind == 0 ? 0 : kind == 1 ? 1 : kind == 2 ? 1e-9 : gr_rng_uniform(rng);
    if (l->targets == BITS && !l->logits) return kind == 0 ? 0.5 : gr_rng_uniform(rng);
    if (l->logits) return kind == 0 ? 40 : kind == 1 ? -60 : kind == 2 ? 0 : draw(rng, -8, 8);
    return kind == 0 ? 1 : kind == 1 ? -1 : draw(rng, -3, 3);
}

static double draw_target(const loss *l, gr_rng *rng, double p)
{
    const int64_t kind = gr_rng_below(rng, 8);
    switch (l->targets) {
    case NUMBERS: return kind == 0 ? p : draw(rng, -3, 3);
    case BITS: return kind < 4;
    case SIGNS: return kind < 4 ? -1 : 1;
    default: return kind < 3 ? 0 : kind < 6 ? 1 : gr_rng_uniform(rng);
    }
}

static trial draw_points(const loss *l, gr_dtype dtype, const setup *s, int64_t n)
{
    trial t = new_trial(l, dtype, s, n, 1, 1);
    gr_rng rng = gr_rng_seed(23);
    for (int64_t i = 0; i < n; i++) {
        t.p[i] = draw_prediction(l, &rng);
        t.y[i] = s->ignore && gr_rng_below(&rng, 6) == 0 ? IGNORED : draw_target(l, &rng, t.p[i]);
    }
    round_to(dtype, n, t.p);
    round_to(dtype, n, t.y);
    for (int64_t i = 0; i < n; i++) {
        const bool ignored = s->ignore && t.y[i] == IGNORED;
        const exact w = factor_of(&t, i, ignored), smooth = (exact)s->smoothing;
        const exact y = smooth > 0 ? (1 - smooth) * (exact)t.y[i] + smooth / 2 : (exact)t.y[i];
        const point at = ignored ? (point){0, 0, 0, 0} : l->at(l->logits, (exact)t.p[i], y, (exact)tiny_of(dtype));
        t.value[i] = w * at.value;
        t.slope[i] = w * at.slope;
        t.value_size[i] = w * at.value_size;
        t.slope_size[i] = w * at.slope_size;
        t.count += !ignored;
    }
    reduce_trial(&t);
    return t;
}

static const setup setups[] = {
    {.reduction = GR_MEAN},
    {.reduction = GR_SUM},
    {.reduction = GR_NONE},
    {.reduction = GR_MEAN, .weighted = true},
    {.reduction = GR_NONE, .weighted = true},
    {.reduction = GR_MEAN, .ignore = true},
    {.reduction = GR_NONE, .ignore = true},
    {.reduction = GR_SUM, .weighted = true, .ignore = true},
    {.reduction = GR_MEAN, .graph = true},
    {.reduction = GR_NONE, .weighted = true, .ignore = true, .graph = true},
    {.reduction = GR_MEAN, .smoothing = 0.25},
    {.reduction = GR_NONE, .smoothing = 0.25, .weighted = true, .graph = true},
};

static bool applies(const setup *s, const loss *l) { return s->smoothing == 0 || l->at == bce_at; }

static void arrays_against_loops(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 2, 3, 7, 15, 16, 17, 33, 2047, 2048, 2049, 4100};
    for (int i = 0; i < COUNT(pointwise); i++)
        for (int k = 0; k < COUNT(setups); k++)
            for (int m = 0; m < COUNT(lengths) * 2 && applies(&setups[k], &pointwise[i]); m++) {
                trial t = draw_points(&pointwise[i], m % 2 ? GR_F64 : GR_F32, &setups[k], lengths[m / 2]);
                compare(&t);
                free_trial(&t);
            }
}

/* Several blocks for the threads; and slopes of 8 MiB and more, which go past the caches. */
static void long_arrays_against_loops(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool logits;
        gr_dtype dtype;
        int64_t n;
        setup s;
    } rows[] = {
        {"l1", false, GR_F32, 40001, {.reduction = GR_MEAN}},
        {"hinge", false, GR_F64, 40001, {.reduction = GR_NONE}},
        {"bce", true, GR_F32, 40001, {.reduction = GR_MEAN, .ignore = true}},
        {"bce", false, GR_F64, 40001, {.reduction = GR_SUM}},
        {"zero_one", true, GR_F32, 40001, {.reduction = GR_MEAN}},
        {"mse", false, GR_F32, 16384, {.reduction = GR_MEAN, .graph = true}},
        {"mse", false, GR_F32, (1 << 21) + 3, {.reduction = GR_MEAN}},
        {"l1", false, GR_F32, (1 << 21) + 2047, {.reduction = GR_NONE}},
        {"hinge", false, GR_F32, 1 << 21, {.reduction = GR_SUM, .weighted = true}},
        {"mse", false, GR_F64, (1 << 20) + 3, {.reduction = GR_SUM}},
        {"bce", true, GR_F64, (1 << 20) + 1, {.reduction = GR_MEAN}},
    };
    for (int i = 0; i < COUNT(rows); i++) {
        trial t = draw_points(find(rows[i].name, rows[i].logits), rows[i].dtype, &rows[i].s, rows[i].n);
        compare(&t);
        free_trial(&t);
    }
}

/* Beyond 1024 blocks of the usual size blocks grow. The terms are small integers, so the sum is exact. */
static void more_blocks_than_there_are(void **state)
{
    (void)state;
    const int64_t n = 1024 * 16384 + 4321;
    gr_tape *t = gr_tape_new();
    gr_tensor *p = gr_zeros(GR_F32, GR_SHAPE(n)), *y = gr_zeros(GR_F32, GR_SHAPE(n));
    float *x = gr_f32(p);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)(i % 3);
        sum += (double)(i % 3) * (double)(i % 3);
    }
    assert_true(gr_item(gr_mse(t, p, y, &(gr_loss_options){.reduction = GR_SUM})) == (double)(float)sum);
    gr_tape_free(t);
    gr_tensor_free(p);
    gr_tensor_free(y);
}

/* ---- One call against another ------------------------------------------------------------------------------------ */

/* Not of what is minimised, but of how it is differentiated. */
static void both_gradients_agree(void **state)
{
    (void)state;
    material m = new_material();
    const double bits[] = {1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0};
    double signs[ROWS * CLASSES], weights[ROWS * CLASSES];
    for (int i = 0; i < ROWS * CLASSES; i++) {
        signs[i] = 2 * bits[i] - 1;
        weights[i] = i % 5 * 0.5;
    }
    for (int i = 0; i < (COUNT(pointwise) + COUNT(class_losses)) * GR_N_REDUCTIONS; i++) {
        const int which = i / GR_N_REDUCTIONS;
        const loss *l = which < COUNT(pointwise) ? &pointwise[which] : &class_losses[which - COUNT(pointwise)];
        call fused = call_of(l, &m);
        fused.y = l->targets == SIGNS ? signs : l->targets == BITS ? bits : m.shares;
        fused.o.reduction = (gr_reduction)(i % GR_N_REDUCTIONS);
        fused.weight = weights;
        fused.cotangent = m.logits;
        call graph = fused;
        graph.graph = true;
        compare_calls("fused", &fused, &graph, 1e-12);
    }
}

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

#ifdef _OPENMP
static outcome run_on(int threads, const call *c)
{
    omp_set_num_threads(threads);
    return run(c);
}

static void check_threads(trial t)
{
    const int threads = omp_get_max_threads();
    outcome one = run_on(1, &t.c), two = run_on(2, &t.c), three = run_on(3, &t.c);
    omp_set_num_threads(threads);
    expect_same_bits(&t.c, "one and two threads", &one, &two);
    expect_same_bits(&t.c, "one and three threads", &one, &three);
    drop(&one);
    drop(&two);
    drop(&three);
    free_trial(&t);
}
#endif

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
#ifdef _OPENMP
    static const setup kinds[] = {{.reduction = GR_MEAN}, {.reduction = GR_SUM, .weighted = true, .graph = true}};
    for (int k = 0; k < 4; k++) {
        const gr_dtype dtype = k % 2 ? GR_F64 : GR_F32;
        for (int i = 0; i < COUNT(pointwise); i++)
            check_threads(draw_points(&pointwise[i], dtype, &kinds[k / 2], 100003));
        for (int i = 0; i < COUNT(class_losses); i++)
            check_threads(draw_classes(&class_losses[i], dtype, &kinds[k / 2], 7001, 7, 1));
        check_threads(draw_classes(&class_losses[1], dtype, &class_setups[k / 2], 7001, 7, 1));
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_point_by_point),     cmocka_unit_test(golden_arrays),
        cmocka_unit_test(golden_points_in_f32),      cmocka_unit_test(arrays_against_loops),
        cmocka_unit_test(long_arrays_against_loops), cmocka_unit_test(more_blocks_than_there_are),
        cmocka_unit_test(both_gradients_agree),      cmocka_unit_test(bits_do_not_depend_on_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
