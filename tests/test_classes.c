/* test_classes.c: cross entropy and KL divergence, by index and by distribution: values and gradients against 25
 * digits, against plain loops and against one another. */
#include "loss_kit.h"

/* ---- 25 digits --------------------------------------------------------------------------------------------------- */

/* The sizes of the terms of a row of the table. */
static void size_of_row(row *r, const golden_row *g)
{
    exact x[5], t[5];
    for (int c = 0; c < g->classes; c++) {
        x[c] = (exact)g->x[c];
        t[c] = (exact)g->y[c];
    }
    class_row(r, !strcmp(g->name, "kl"), g->from_logits != 0, g->classes, x, t, NULL, (exact)DBL_MIN);
}

/* The class of a target that is a share of 1 for one class; -1 for another. */
static int32_t class_of(const golden_row *g)
{
    int32_t class = -1;
    for (int32_t c = 0; c < g->classes; c++) {
        if (g->y[c] == 1 && class < 0) class = c;
        else if (g->y[c] != 0) return -1;
    }
    return class;
}

static void check_golden_row(const golden_row *g, int i, const call *c)
{
    row size;
    size_of_row(&size, g);
    outcome r = run(c);
    expect_golden(c, "the golden value", i, r.values[0], g->value, size.value_size);
    for (int k = 0; k < g->classes; k++)
        expect_golden(c, "the golden slope", i, r.slopes[k], g->slope[k], size.slope_size[k]);
    drop(&r);
}

static void golden_row_by_row(void **state)
{
    (void)state;
    int count[COUNT(class_losses)] = {0}, by_index = 0;
    for (int i = 0; i < COUNT(golden_rows); i++) {
        const golden_row *g = &golden_rows[i];
        const loss *l = loss_of(g->name, g->from_logits);
        if (!l) continue;
        call c = {.l = l,
                  .dtype = GR_F64,
                  .rank = 2,
                  .shape = {1, g->classes},
                  .p = g->x,
                  .y = g->y,
                  .o = {.reduction = GR_SUM}};
        check_golden_row(g, i, &c);
        const int32_t class = class_of(g);
        count[l - class_losses]++;
        if (class < 0) continue;
        c.index = &class;
        check_golden_row(g, i, &c);
        by_index++;
    }
    for (int i = 0; i < COUNT(class_losses); i++)
        if (count[i] < 50) fail_msg("only %d rows of %s", count[i], class_losses[i].name);
    assert_true(by_index > 50);
}

/* All rows of one loss and number of classes as one tensor, [n,C] or, with the classes apart, [1,C,n]. */
static void golden_block(const loss *l, int classes, bool apart)
{
    const golden_row *from[COUNT(golden_rows)];
    double p[5 * COUNT(golden_rows)], y[5 * COUNT(golden_rows)];
    int n = 0;
    for (int i = 0; i < COUNT(golden_rows); i++)
        if (loss_of(golden_rows[i].name, golden_rows[i].from_logits) == l && golden_rows[i].classes == classes)
            from[n++] = &golden_rows[i];
    for (int i = 0; i < n * classes; i++) {
        const int at = apart ? i % classes * n + i / classes : i;
        p[at] = from[i / classes]->x[i % classes];
        y[at] = from[i / classes]->y[i % classes];
    }
    assert_true(n > 0);
    call c = {.l = l,
              .dtype = GR_F64,
              .rank = apart ? 3 : 2,
              .shape = {apart ? 1 : n, classes, n},
              .p = p,
              .y = y,
              .o = {.reduction = GR_NONE}};
    outcome r = run(&c);
    assert_int_equal(r.n_values, n);
    for (int i = 0; i < n; i++) {
        row size;
        size_of_row(&size, from[i]);
        expect_golden(&c, "the golden value", i, r.values[i], from[i]->value, size.value_size);
        for (int k = 0; k < classes; k++)
            expect_golden(&c, "the golden slope", i, r.slopes[apart ? k * n + i : i * classes + k], from[i]->slope[k],
                          size.slope_size[k]);
    }
    drop(&r);
}

static void golden_blocks(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(class_losses); i++)
        for (int classes = 2; classes <= 5; classes++) {
            golden_block(&class_losses[i], classes, false);
            golden_block(&class_losses[i], classes, true);
        }
}

/* ---- Whole arrays of classes ------------------------------------------------------------------------------------- */

static void classes_against_loops(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{1, 1, 1},   {1, 2, 1},   {3, 2, 1},   {5, 3, 1},  {63, 10, 1},
                                        {64, 10, 1}, {65, 10, 1}, {200, 7, 1}, {9, 33, 1}, {2, 300, 1},
                                        {2, 3, 4},   {1, 5, 70},  {3, 4, 35}};
    for (int i = 0; i < COUNT(class_losses); i++)
        for (int k = 0; k < COUNT(class_setups); k++)
            for (int m = 0; m < COUNT(shapes) * 2; m++) {
                const int64_t *n = shapes[m / 2];
                trial t = draw_classes(&class_losses[i], m % 2 ? GR_F64 : GR_F32, &class_setups[k], n[0], n[1], n[2]);
                compare(&t);
                free_trial(&t);
            }
}

static void many_rows_against_loops(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(class_losses); i++)
        for (int k = 0; k < 4; k++) {
            trial t = draw_classes(&class_losses[i], k % 2 ? GR_F64 : GR_F32, &class_setups[k], 5003, 10, 1);
            compare(&t);
            free_trial(&t);
        }
}

/* ---- One call against another ------------------------------------------------------------------------------------ */

static void an_index_is_a_share_of_one(void **state)
{
    (void)state;
    material m = new_material();
    for (int i = 0; i < COUNT(class_losses) * 2; i++) {
        call hot = call_of(&class_losses[i / 2], &m), index = hot;
        hot.y = m.one_hot;
        index.index = m.index;
        hot.graph = index.graph = i % 2;
        for (int k = 0; k < GR_N_REDUCTIONS; k++) {
            hot.o.reduction = index.o.reduction = (gr_reduction)k;
            hot.weight = index.weight = k ? m.weight : NULL;
            hot.class_weight = index.class_weight = k == 2 ? m.class_weight : NULL;
            hot.cotangent = index.cotangent = k == 2 ? m.cotangent : NULL;
            compare_calls("an index", &index, &hot, 1e-14);
        }
    }
}

/* [2,CLASSES,3,1] holds the rows of [6,CLASSES] in another order of memory. */
static void images_are_rows(void **state)
{
    (void)state;
    material m = new_material();
    double p[ROWS * CLASSES], y[ROWS * CLASSES];
    for (int i = 0; i < COUNT(class_losses) * 4; i++) {
        call rows = call_of(&class_losses[i / 4], &m), image = rows;
        rows.o.reduction = image.o.reduction = GR_NONE;
        rows.index = image.index = i % 2 ? m.index : NULL;
        rows.weight = image.weight = m.weight;
        rows.class_weight = image.class_weight = m.class_weight;
        rows.cotangent = image.cotangent = m.cotangent;
        rows.graph = image.graph = i / 2 % 2;
        image.rank = 4;
        memcpy(image.shape, (int64_t[]){2, CLASSES, 3, 1}, 4 * sizeof(int64_t));
        for (int k = 0; k < ROWS * CLASSES; k++) {
            const int at = (k / CLASSES / 3 * CLASSES + k % CLASSES) * 3 + k / CLASSES % 3;
            p[at] = rows.p[k];
            y[at] = rows.y[k];
        }
        image.p = p;
        image.y = y;
        outcome a = run(&rows), b = run(&image);
        assert_int_equal(b.n_values, ROWS);
        for (int k = 0; k < ROWS; k++) expect(&image, "the value", k, b.values[k], (exact)a.values[k], 1e-15, 0);
        for (int k = 0; k < ROWS * CLASSES; k++) {
            const int at = (k / CLASSES / 3 * CLASSES + k % CLASSES) * 3 + k / CLASSES % 3;
            expect(&image, "the slope", k, b.slopes[at], (exact)a.slopes[k], 1e-14, 1e-15L);
        }
        drop(&a);
        drop(&b);
    }
}

/* KL = CE - H(y), Eq. 9 from Eq. 6; the gradients are the same. */
static void kl_is_cross_entropy_minus_entropy(void **state)
{
    (void)state;
    material m = new_material();
    for (int logits = 0; logits < 2; logits++) {
        call kl = call_of(find("kl", logits), &m), ce = call_of(find("cross_entropy", logits), &m);
        kl.o.reduction = ce.o.reduction = GR_NONE;
        outcome a = run(&kl), b = run(&ce);
        for (int i = 0; i < ROWS; i++) {
            double entropy = 0;
            for (int c = 0; c < CLASSES; c++) entropy -= m.shares[i * CLASSES + c] * log(m.shares[i * CLASSES + c]);
            expect(&kl, "the value", i, a.values[i], (exact)(b.values[i] - entropy), 1e-13, 0);
            assert_true(entropy > 0.1 && a.values[i] > 0);
        }
        for (int i = 0; i < ROWS * CLASSES; i++) expect(&kl, "the slope", i, a.slopes[i], (exact)b.slopes[i], 1e-15, 0);
        drop(&a);
        drop(&b);
    }
    call self = call_of(find("kl", false), &m); /* of a distribution from itself */
    self.y = self.p;
    outcome r = run(&self);
    assert_true(fabs(r.values[0]) < 1e-15);
    drop(&r);
}

/* ---- Refused numbers --------------------------------------------------------------------------------------------- */

static void bad_indices_are_named(void **state)
{
    (void)state;
    const double p[] = {0.25, 0.5, 0.125, 0.5, 0.25, 0.125};
    for (int i = 0; i < COUNT(class_losses) * 8; i++) {
        const int32_t bad = i % 2 ? 3 : -1;
        const int32_t index[] = {1, bad};
        call c = {.l = &class_losses[i / 8],
                  .dtype = i / 2 % 2 ? GR_F64 : GR_F32,
                  .rank = 2,
                  .shape = {2, 3},
                  .p = p,
                  .index = index,
                  .o = {.label_smoothing = i / 4 % 2 ? 0.1 : 0}};
        expect_refusal(&c, " at [1]", i % 2 ? "class 3" : "class -1");
        c.o.ignore = true; /* another one */
        c.o.ignore_index = 5;
        expect_refusal(&c, " at [1]", "is outside the 3 classes");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_row_by_row),
        cmocka_unit_test(golden_blocks),
        cmocka_unit_test(classes_against_loops),
        cmocka_unit_test(many_rows_against_loops),
        cmocka_unit_test(an_index_is_a_share_of_one),
        cmocka_unit_test(images_are_rows),
        cmocka_unit_test(kl_is_cross_entropy_minus_entropy),
        cmocka_unit_test(bad_indices_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
