/* test_lifetimes.c: how long values live; what becomes of a backward whose values were changed or whose ops fail. */
#include "tape_kit.h"

/* ---- What backward gives back ------------------------------------------------------------------------------------ */

static void values_are_given_back(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(6, 5)), *gone = gr_square(f->t, x),
              *kept = gr_keep(gr_scale(f->t, gone, 2.0));
    gr_tensor *rows = gr_reshape(f->t, gr_exp(f->t, gr_scale(f->t, kept, 0.0)), GR_SHAPE(30)),
              *part = gr_keep(gr_slice(f->t, rows, 0, 3, 5));
    gr_tensor *y = gr_add(f->t, total(f->t, rows), gr_add(f->t, total(f->t, part), total(f->t, kept)));
    ok(gr_backward(f->t, y, 0));
    assert_true(gr_item(y) == 32.0 + 2.0 * 30 * 31 * 61 / 6);
    assert_true(gr_get(kept, 29) == 1800.0 && gr_get(part, 1) == 1.0);
    const gr_tensor *given_back[] = {gone, rows};
    char text[64];
    for (int i = 0; i < (int)COUNT(given_back); i++) {
        gr_clear_error();
        if (i == 1 && gr_read_f64(rows)) continue; /* `part` shares its values: it may stay */
        assert_null(gr_read_f64(given_back[i]));
        assert_failed_with("read", GR_ERR_STATE, "was given back by backward: read it before, keep it with gr_keep()");
        assert_true(isnan(gr_get(given_back[i], 0)) && isnan(gr_item(given_back[i])));
        assert_null(gr_copy(given_back[i]));
        assert_null(gr_copy_as(GR_F32, given_back[i]));
        assert_true(gr_format(text, sizeof text, given_back[i]) > 0);
    }
    assert_null(gr_f64(gone));
    assert_int_equal(gr_set(gone, 0, 1.0), GR_ERR_STATE);
    assert_int_equal(gr_assign(gone, kept), GR_ERR_STATE);
    assert_null(gr_exp(f->t, gone));
    assert_failed_with("an op", GR_ERR_STATE, "exp: input 0 [6,5] was given back by backward");
    assert_null(gr_reshape(f->t, gone, GR_SHAPE(6, 5)));
    assert_null(gr_broadcast_to(f->t, gone, GR_SHAPE(6, 5)));
    assert_non_null(gr_exp(f->t, kept));
}

/* relu(x - 1) with and without giving up the difference: the same numbers, in less memory. */
static void what_is_given_is_reused(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 0.0, GR_SHAPE(6, 5)), *difference = gr_shift(f->t, x, -10.0);
    const int64_t before = gr_tape_statistics(f->t).bytes;
    gr_tensor *y = gr_relu(f->t, gr_give(difference));
    assert_int_equal(gr_tape_statistics(f->t).bytes, before);
    for (int i = 0; i < 30; i++) assert_true(gr_get(y, i) == fmax((double)i - 10.0, 0.0));
    assert_null(gr_read_f64(difference));
    assert_failed_with("read", GR_ERR_STATE, "read_f64: this [6,5] was given up with gr_give()");
    gr_clear_error();
    assert_null(gr_exp(f->t, difference));
    assert_failed_with("an op", GR_ERR_STATE, "exp: input 0 [6,5] was given up with gr_give()");
    ok(gr_backward(f->t, total(f->t, y), 0));
    for (int i = 0; i < 30; i++) assert_true(gr_get(gr_gradient(x), i) == (i > 10 ? 1.0 : 0.0));
    assert_null(gr_give(NULL));
}

/* What is kept, looked at by a view, yours, or met by an op that needs its input stays as it is. */
static void what_is_given_in_vain(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, -3.0, GR_SHAPE(6, 5)), *kept = gr_keep(gr_scale(f->t, x, 2.0)),
              *seen = gr_scale(f->t, x, 2.0), *squared = gr_scale(f->t, x, 2.0),
              *view = gr_reshape(f->t, seen, GR_SHAPE(30));
    gr_tensor *const given[] = {x, kept, seen, squared};
    for (int i = 0; i < 3; i++) assert_non_null(gr_relu(f->t, gr_give(given[i])));
    assert_non_null(gr_square(f->t, gr_give(squared)));
    for (int i = 0; i < 4; i++) assert_true(gr_get(given[i], 0) == (i ? -6.0 : -3.0));
    assert_true(gr_get(view, 0) == -6.0);
}

/* A derivative that needs what was given up is refused, not wrong. */
static void what_is_given_and_needed(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(6, 5)), *e = gr_exp(f->t, gr_scale(f->t, x, 0.1)),
              *other = gr_square(f->t, e);
    gr_tensor *y = gr_add(f->t, total(f->t, other), total(f->t, gr_relu(f->t, gr_give(e))));
    assert_int_equal(gr_backward(f->t, y, 0), GR_ERR_STATE);
    assert_non_null(strstr(gr_last_error(), "was given up with gr_give()"));
    assert_null(gr_gradient(x));
}

static void retained_results_have_gradients(void **state)
{
    fixture *f = *state;
    gr_tensor *x = number(f, 3.0), *h = gr_square(f->t, x), *y = gr_scale(f->t, h, 5.0);
    assert_null(gr_gradient(h));
    ok(gr_backward(f->t, y, GR_RETAIN));
    assert_true(gr_item(gr_gradient(y)) == 1.0 && gr_item(gr_gradient(h)) == 5.0);
    const int64_t alive = gr_tape_statistics(f->t).tensors;
    ok(gr_backward(f->t, y, GR_RETAIN));
    assert_int_equal(gr_tape_statistics(f->t).tensors, alive); /* new gradients take the place of old ones */
    assert_true(gr_item(gr_gradient(h)) == 5.0);               /* of the last pass; leaves accumulate */
    assert_gradient(x, 60.0);
    gr_zero_grad(h);
    assert_null(gr_gradient(h));
    ok(gr_backward(f->t, y, 0));
    assert_null(gr_gradient(h));
    assert_true(gr_item(y) == 45.0);
}

/* A tape that is only to be emptied does not look at what it was made from. */
static void leaves_may_go_before_the_tape(void **state)
{
    fixture *f = *state;
    gr_tensor *x = gr_ones(GR_F64, GR_SHAPE(30));
    ok(gr_require_grad(x));
    gr_tensor *view = gr_slice(f->t, gr_reshape(f->t, x, GR_SHAPE(5, 6)), 0, 1, 3),
              *loss = total(f->t, gr_square(f->t, view));
    ok(gr_backward(f->t, loss, 0));
    assert_non_null(gr_detach(f->t, x));
    gr_tensor_free(x);
    gr_tape_reset(f->t);
    assert_int_equal(gr_tape_statistics(f->t).tensors, 0);
}

/* What an op returns is the tape's, even where there was nothing to do. */
static void results_are_new(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(2, 3));
    gr_tensor *results[] = {gr_reshape(f->t, x, GR_SHAPE(2, 3)),
                            gr_broadcast_to(f->t, x, GR_SHAPE(2, 3)),
                            gr_detach(f->t, x),
                            gr_slice(f->t, x, 0, 0, 2),
                            gr_cast(f->t, x, GR_F64),
                            gr_permute(f->t, x, GR_AXES(0, 1)),
                            gr_concat(f->t, &x, 1, 0),
                            gr_pad(f->t, x, 0, 0, 0, 0.0)};
    for (size_t i = 0; i < COUNT(results); i++) {
        assert_non_null(results[i]);
        assert_ptr_not_equal(results[i], x);
        assert_true(gr_get(results[i], 5) == 6.0);
        gr_clear_error();
        gr_tensor_free(results[i]);
        assert_failed_with("its tape's", GR_ERR_STATE, "a result of a tape, which frees it");
    }
    assert_null(gr_reshape(NULL, x, GR_SHAPE(2, 3)));
}

/* ---- Changes between forward and backward ------------------------------------------------------------------------ */

typedef struct changed {
    gr_tensor *table, *w, *view, *base, *index, *h;
} changed;

static void by_pointer(changed *c) { gr_f64(c->w)[0] += 1e-3; }

static void by_set(changed *c) { ok(gr_set(c->w, 3, 0.5)); }

static void by_assign(changed *c) { ok(gr_assign(c->w, c->w)); }

static void through_its_view(changed *c)
{
    gr_tensor *view = gr_view_rows(c->w, 1, 1);
    gr_f64(view)[0] = 3.0;
    gr_tensor_free(view);
}

static void under_its_view(changed *c) { gr_f64(c->base)[0] = 3.0; }

static void an_index(changed *c) { gr_i32(c->index)[0] = 0; }

static void a_result(changed *c) { gr_f64(c->h)[0] = 0.0; }

static void a_value_that_is_only_read(changed *c)
{
    (void)gr_read_f64(c->w);
    (void)gr_get(c->w, 0);
}

static const struct change {
    const char *what;
    void (*make)(changed *c);
    const char *part; /* NULL: no change */
} changes[] = {
    {"by pointer", by_pointer, "backward: weight [2,3], input 1 of mul, was changed after the forward pass"},
    {"by gr_set", by_set, "weight [2,3], input 1 of mul"},
    {"by gr_assign", by_assign, "weight [2,3], input 1 of mul"},
    {"through a view of it", through_its_view, "weight [2,3], input 1 of mul"},
    {"of what it is a view of", under_its_view, "base [3], input 1 of add"},
    {"of an index", an_index, "classes [2], input 1 of gather_rows"},
    {"of a result", a_result, "hidden [2,3], "},
    {"reading", a_value_that_is_only_read, NULL},
};

static gr_tensor *changed_loss(fixture *f, changed *c)
{
    c->table = counted(f, 1.0, GR_SHAPE(4, 3));
    c->w = counted(f, 1.0, GR_SHAPE(2, 3));
    c->base = own(f, gr_ones(GR_F64, GR_SHAPE(6)));
    c->view = own(f, gr_view_rows(c->base, 2, 3));
    c->index = own(f, gr_from(GR_I32, GR_SHAPE(2), (int32_t[]){3, 1}));
    ok(gr_set_name(c->w, "weight"));
    ok(gr_set_name(c->base, "base"));
    ok(gr_set_name(c->index, "classes"));
    c->h = gr_mul(f->t, gr_gather_rows(f->t, c->table, c->index), c->w);
    ok(gr_set_name(c->h, "hidden"));
    return total(f->t, gr_square(f->t, gr_add(f->t, c->h, c->view)));
}

static void a_change_in_between_is_an_error_that_names_it(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < COUNT(changes); i++) {
        changed c;
        gr_tensor *loss = changed_loss(f, &c), *d[2];
        ok(gr_backward(f->t, loss, GR_RETAIN));
        const double before = gr_get(gr_gradient(c.w), 0);
        changes[i].make(&c);
        const bool fine = changes[i].part == NULL;
        assert_int_equal(gr_backward(f->t, loss, GR_RETAIN), fine ? GR_OK : GR_ERR_STATE);
        if (!fine) assert_failed_with(changes[i].what, GR_ERR_STATE, changes[i].part);
        assert_true(gr_get(gr_gradient(c.w), 0) == (fine ? 2.0 : 1.0) * before);
        assert_int_equal(gr_grad(f->t, loss, (gr_tensor *[]){c.w, c.table}, 2, d, 0), fine ? GR_OK : GR_ERR_STATE);
        gr_tape_reset(f->t);
        for (; f->n_own; f->n_own--) gr_tensor_free(f->own[f->n_own - 1]);
    }
}

/* A result that no other node has read, but its own derivative would. */
static void a_changed_output(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 0.0, GR_SHAPE(3)), *y = gr_exp(f->t, x), *ones = own(f, gr_ones(GR_F64, GR_SHAPE(3)));
    gr_f64(y)[0] = 7.0;
    assert_int_equal(gr_backward_from(f->t, y, ones, 0), GR_ERR_STATE);
    assert_failed_with("backward", GR_ERR_STATE,
                       "backward_from: [3], the result of exp, was changed after the forward pass");
    assert_null(gr_gradient(x));
}

/* The usual order: parameters change after the backward pass that used them. */
static void changes_after_backward_are_fine(void **state)
{
    fixture *f = *state;
    gr_tensor *w = counted(f, 1.0, GR_SHAPE(3));
    for (int step = 0; step < 5; step++) {
        ok(gr_backward(f->t, total(f->t, gr_square(f->t, w)), 0));
        for (int i = 0; i < 3; i++) gr_f64(w)[i] -= 0.25 * gr_get(gr_gradient(w), i);
        gr_zero_grad(w);
        gr_tape_reset(f->t);
    }
    for (int i = 0; i < 3; i++) assert_true(gr_get(w, i) == (i + 1) / 32.0);
}

/* A gradient is a value like others: used as a constant it may not change before that backward has run. */
static void a_gradient_that_went_on(void **state)
{
    fixture *f = *state;
    gr_tensor *w = counted(f, 1.0, GR_SHAPE(3));
    gr_tape *other = gr_tape_new();
    ok(gr_backward(other, total(other, gr_square(other, w)), 0));
    gr_tensor *y = total(f->t, gr_mul(f->t, w, gr_gradient(w)));
    ok(gr_backward(other, total(other, gr_square(other, w)), 0));
    assert_int_equal(gr_backward(f->t, y, 0), GR_ERR_STATE);
    assert_failed_with("backward", GR_ERR_STATE, "backward: [3], input 1 of mul, was changed after the forward pass");
    assert_true(gr_get(gr_gradient(w), 2) == 12.0);
    gr_tape_free(other);
}

/* dy/dy is 1 until somebody changes it. */
static void a_gradient_of_one_that_was_changed(void **state)
{
    fixture *f = *state;
    gr_tensor *w = counted(f, 1.0, GR_SHAPE(3)), *zero = own(f, gr_zeros(GR_F64, GR_SHAPE(3))), *one, *d;
    gr_tensor *loss = gr_mse(f->t, w, zero, &(gr_loss_options){.reduction = GR_SUM});
    ok(gr_grad(f->t, loss, &loss, 1, &one, GR_RETAIN));
    gr_f64(one)[0] = 5.0;
    ok(gr_vjp(f->t, loss, one, &w, 1, &d, GR_RETAIN));
    assert_true(gr_get(d, 2) == 2 * 3 * 5.0);
    ok(gr_backward(f->t, loss, GR_RETAIN));
    gr_f64(gr_gradient(loss))[0] = 7.0;
    ok(gr_vjp(f->t, loss, gr_gradient(loss), &w, 1, &d, 0));
    assert_true(gr_get(d, 2) == 2 * 3 * 7.0);
}

/* A gradient goes with its tensor. */
static void gradients_are_not_yours(void **state)
{
    fixture *f = *state;
    gr_tensor *w = counted(f, 1.0, GR_SHAPE(30));
    ok(gr_backward(f->t, total(f->t, gr_square(f->t, w)), 0));
    gr_tensor *g = gr_gradient(w);
    ok(gr_set_name(g, "slope")); /* goes with it, too */
    gr_tensor_free(g);
    assert_failed_with("free", GR_ERR_STATE,
                       "gr_tensor_free: this [30] is the gradient of another tensor, which frees it");
    assert_int_equal(gr_require_grad(g), GR_ERR_STATE);
    assert_failed_with("require_grad", GR_ERR_STATE,
                       "require_grad: this [30] is the gradient of another tensor, not a leaf");
    assert_true(gr_get(gr_gradient(w), 29) == 60.0);
}

/* ---- Errors in the middle ---------------------------------------------------------------------------------------- */

static gr_status copy_f64(gr_node *n)
{
    memcpy(gr_f64(n->out), gr_read_f64(n->in[0]), (size_t)gr_size(n->out) * sizeof(double));
    return GR_OK;
}

static gr_tensor *failing_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_exp(t, gr_square(t, g)); /* leaves something behind */
    gr_fail(GR_ERR_VALUE, "fragile: a VJP that fails for %lld elements", (long long)gr_size(n->in[0]));
    return NULL;
}

static const gr_op fragile = {.name = "fragile",
                              .formula = "y = x",
                              .n_in = 1,
                              .shape = gr_shape_same,
                              .forward[GR_ANY_CPU] = {[GR_F64] = copy_f64},
                              .vjp = {failing_vjp}};

static void an_error_in_the_middle_adds_nothing(void **state)
{
    fixture *f = *state;
    gr_tensor *a = counted(f, 1.0, GR_SHAPE(20)), *b = counted(f, 2.0, GR_SHAPE(20)),
              *c = counted(f, 3.0, GR_SHAPE(20));
    ok(gr_backward(f->t, total(f->t, gr_mul(f->t, a, b)), 0));
    const double da = gr_get(gr_gradient(a), 7);
    gr_tensor *h = gr_mul(f->t, gr_apply(f->t, &fragile, &a, 1, NULL), b);
    gr_tensor *y = total(f->t, gr_mul(f->t, gr_mul(f->t, h, b), c)), *d[2];
    for (int pass = 0; pass < 3; pass++) {
        const int64_t tensors = gr_tape_statistics(f->t).tensors;
        assert_int_equal(gr_backward(f->t, y, pass < 2 ? GR_RETAIN : 0), GR_ERR_VALUE);
        assert_failed_with("backward", GR_ERR_VALUE, "fragile: a VJP that fails for 20 elements");
        assert_int_equal(gr_tape_statistics(f->t).tensors, tensors); /* nothing is left of it */
        assert_true(gr_get(gr_gradient(a), 7) == da);
        assert_true(gr_get(gr_gradient(b), 7) == gr_get(a, 7));
        assert_null(gr_gradient(c));
        assert_null(gr_gradient(h));
        if (pass == 2) continue;
        assert_int_equal(gr_grad(f->t, y, (gr_tensor *[]){c, a}, 2, d, GR_RETAIN), GR_ERR_VALUE);
        assert_true(d[0] == NULL && d[1] == NULL);
        ok(gr_grad(f->t, y, (gr_tensor *[]){c, h}, 2, d, GR_RETAIN)); /* does not pass the fragile one */
        assert_true(gr_get(d[1], 7) == gr_get(b, 7) * gr_get(c, 7));
    }
}

static void values_survive_an_error(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(3, 4)), *h = gr_square(f->t, x),
              *wrong = own(f, gr_ones(GR_F64, GR_SHAPE(5)));
    assert_null(gr_exp(f->t, gr_add(f->t, h, wrong)));
    assert_failed_with("add", GR_ERR_SHAPE, "add: shapes do not broadcast: [3,4] and [5]");
    assert_null(gr_sum(f->t, h, GR_AXES(2), false));
    assert_int_equal(gr_backward(f->t, h, 0), GR_ERR_SHAPE);
    ok(gr_backward(f->t, total(f->t, h), 0));
    for (int64_t i = 0; i < 12; i++) assert_true(gr_get(gr_gradient(x), i) == 2.0 * ((double)i + 1.0));
}

/* A weight of a loss has no derivative: one that asks for it is refused when the loss is computed, and one that asks
 * later gets none. */
static void an_input_without_a_derivative(void **state)
{
    fixture *f = *state;
    gr_tensor *p = counted(f, 1.0, GR_SHAPE(4)), *y = own(f, gr_zeros(GR_F64, GR_SHAPE(4))),
              *w = own(f, gr_full(GR_F64, GR_SHAPE(4), 2.0));
    const gr_loss_options options = {.reduction = GR_SUM, .weight = w};
    gr_tensor *before = gr_mse(f->t, p, y, &options);
    ok(gr_require_grad(w));
    assert_null(gr_mse(f->t, p, y, &options));
    assert_failed_with("mse", GR_ERR_STATE,
                       "mse: input 2 requires a gradient, and mse has none for it; see gr_detach()");
    ok(gr_backward(f->t, before, 0));
    assert_true(gr_get(gr_gradient(p), 3) == 16.0);
    assert_null(gr_gradient(w));
    const gr_loss_options detached = {.reduction = GR_SUM, .weight = gr_detach(f->t, w)};
    ok(gr_backward(f->t, gr_mse(f->t, p, y, &detached), 0));
    assert_true(gr_get(gr_gradient(p), 3) == 32.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_are_given_back),
        TEST(what_is_given_is_reused),
        TEST(what_is_given_in_vain),
        TEST(what_is_given_and_needed),
        TEST(retained_results_have_gradients),
        TEST(leaves_may_go_before_the_tape),
        TEST(results_are_new),
        TEST(a_change_in_between_is_an_error_that_names_it),
        TEST(a_changed_output),
        TEST(changes_after_backward_are_fine),
        TEST(a_gradient_that_went_on),
        TEST(a_gradient_of_one_that_was_changed),
        TEST(gradients_are_not_yours),
        TEST(an_error_in_the_middle_adds_nothing),
        TEST(values_survive_an_error),
        TEST(an_input_without_a_derivative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
