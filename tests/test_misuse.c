/* test_misuse.c: what a caller, a user's op or a function under check may not do to a tape is an error and no crash:
 * each of these calls alone, and then whether the tape is as it was. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include <stdlib.h>

#include "tape_kit.h"

#include <gradus/check.h>
#include <gradus/data.h>
#include <gradus/draw.h>
#include <gradus/metrics.h>

/* ---- A function under check -------------------------------------------------------------------------------------- */

typedef struct own_call {
    const char *what;
    gr_tensor *(*f)(gr_tape *t, gr_tensor *x);
    gr_status status;
    const char *part;
} own_call;

static gr_tensor *calls_backward(gr_tape *t, gr_tensor *x)
{
    gr_tensor *y = total(t, gr_square(t, x));
    return gr_backward(t, y, 0) ? y : NULL;
}

static gr_tensor *calls_backward_from(gr_tape *t, gr_tensor *x)
{
    gr_tensor *y = gr_square(t, x);
    return gr_backward_from(t, y, y, GR_RETAIN) ? total(t, y) : NULL;
}

static gr_tensor *resets_first(gr_tape *t, gr_tensor *x)
{
    gr_tape_reset(t);
    return total(t, gr_square(t, x));
}

static gr_tensor *resets_last(gr_tape *t, gr_tensor *x)
{
    gr_tensor *y = total(t, gr_square(t, x));
    gr_tape_reset(t);
    gr_clear_error();
    return y;
}

static gr_tensor *frees(gr_tape *t, gr_tensor *x)
{
    gr_tensor *y = total(t, gr_square(t, x));
    gr_tape_free(t);
    return y;
}

static gr_tensor *returns_what_is_gone(gr_tape *t, gr_tensor *x)
{
    gr_tensor *h = gr_square(t, x), *d;
    return gr_grad(t, total(t, h), &x, 1, &d, 0) ? NULL : h;
}

static gr_tensor *gives_values_back(gr_tape *t, gr_tensor *x)
{
    gr_tensor *y = total(t, gr_square(t, x)), *d;
    return gr_grad(t, y, &x, 1, &d, 0) ? NULL : y;
}

static gr_tensor *asks_and_retains(gr_tape *t, gr_tensor *x)
{
    gr_tensor *y = total(t, gr_square(t, x)), *d;
    return gr_grad(t, y, &x, 1, &d, GR_RETAIN) ? NULL : y;
}

static gr_tensor *asks_and_records(gr_tape *t, gr_tensor *x)
{
    gr_tensor *d;
    return gr_grad(t, total(t, gr_square(t, x)), &x, 1, &d, GR_CREATE_GRAPH) ? NULL : total(t, gr_square(t, d));
}

static gr_tape *another;

static gr_tensor *of_another_tape(gr_tape *t, gr_tensor *x)
{
    (void)t;
    return total(another, gr_square(another, x));
}

static const own_call own_calls[] = {
    {"backward", calls_backward, GR_ERR_STATE, "check_gradients: the function calls backward on its own tape"},
    {"backward from", calls_backward_from, GR_ERR_STATE,
     "the function calls backward_from on its own tape: see gr_grad()"},
    {"a reset before", resets_first, GR_ERR_STATE, "the function calls tape_reset on its own tape"},
    {"a reset after", resets_last, GR_ERR_STATE, "the function calls tape_reset on its own tape"},
    {"the tape freed", frees, GR_ERR_STATE, "the function calls tape_free on its own tape"},
    {"a result that is gone", returns_what_is_gone, GR_ERR_STATE,
     "the function's result [5] was given back by backward"},
    {"values given back", gives_values_back, GR_ERR_STATE, "an earlier backward gave the values of sum back"},
    {"another tape", of_another_tape, GR_ERR_STATE, "the function's result is a result of another tape"},
    {"a gradient, retained", asks_and_retains, GR_OK, NULL},
    {"a gradient, recorded", asks_and_records, GR_OK, NULL},
};

static gr_tensor *run_own_call(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n;
    return ((const own_call *)context)->f(t, x[0]);
}

static void a_function_under_check(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 0.5, GR_SHAPE(5));
    another = f->t;
    for (int mode = 0; mode < GR_CHECK_N_MODES; mode++)
        for (size_t i = 0; i < COUNT(own_calls); i++) {
            const own_call *c = &own_calls[i];
            gr_check_report r;
            gr_clear_error();
            gr_status status = gr_check_gradients(run_own_call, (void *)(uintptr_t)c, &x, 1,
                                                  &(gr_check_options){.mode = (gr_check_mode)mode}, &r);
            if (c->f == gives_values_back && mode == GR_CHECK_PER_NODE) continue; /* it checks what is left */
            if (status != c->status) fail_msg("%s in mode %d: %s", c->what, mode, gr_last_error());
            if (status) assert_failed_with(c->what, c->status, c->part);
            else assert_int_equal(r.verdict, GR_CHECK_PASS);
            assert_null(gr_gradient(x));
        }
}

/* y = relu(a) with twice its derivative; it may overwrite a. */
static gr_status relu_f64(gr_node *n)
{
    const double *a = gr_read_f64(n->in[0]);
    double *y = gr_f64(n->out);
    for (int64_t i = 0; i < gr_size(n->out); i++) y[i] = a[i] > 0.0 ? a[i] : 0.0;
    return GR_OK;
}

static gr_tensor *twice_too_large(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_scale(t, gr_mul(t, g, gr_sign(t, n->out)), 2.0);
}

static const gr_op wrong_relu = {.name = "wrong_relu",
                                 .n_in = 1,
                                 .shape = gr_shape_same,
                                 .forward[GR_ANY_CPU] = {[GR_F64] = relu_f64},
                                 .vjp = {twice_too_large},
                                 .in_place = true};

static gr_tensor *run_in_place(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n, (void)context;
    gr_tensor *h = gr_give(gr_scale(t, x[0], 2.0));
    return total(t, gr_apply(t, &wrong_relu, &h, 1, NULL));
}

/* Under check an op does not work in place: then its input is there for the op to be checked at. */
static void what_is_given_up_stays_for_the_check(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 0.5, GR_SHAPE(20));
    gr_check_report r;
    ok(gr_check_gradients(run_in_place, NULL, &x, 1, &(gr_check_options){.mode = GR_CHECK_PER_NODE}, &r));
    assert_int_equal(r.verdict, GR_CHECK_FAIL);
    assert_string_equal(r.culprit_op, "wrong_relu");
}

/* ---- From within an op ------------------------------------------------------------------------------------------- */

static gr_tensor *loss_of_within; /* on the same tape */
static int refusals;

static void try_everything(gr_tape *t)
{
    gr_tensor *x = loss_of_within, *d;
    const gr_status before = gr_last_status();
    refusals = 0;
    refusals += gr_backward(t, loss_of_within, 0) == GR_ERR_STATE;
    refusals += gr_backward_from(t, loss_of_within, loss_of_within, GR_RETAIN) == GR_ERR_STATE;
    refusals += gr_grad(t, loss_of_within, &x, 1, &d, GR_CREATE_GRAPH) == GR_ERR_STATE && !d;
    gr_clear_error();
    gr_tape_reset(t);
    refusals += gr_last_status() == GR_ERR_STATE;
    gr_clear_error();
    gr_tape_free(t);
    refusals += gr_last_status() == GR_ERR_STATE;
    gr_clear_error();
    assert_int_equal(before, GR_OK);
}

static gr_status bold_shape(const gr_node *n, gr_type *type)
{
    if (n->attr && *(const int *)n->attr == 0) try_everything(n->tape);
    return gr_shape_same(n, type);
}

static gr_status bold_f64(gr_node *n)
{
    if (*(const int *)n->attr == 1) {
        gr_tensor *x = n->in[0];
        assert_non_null(gr_square(n->tape, x)); /* an op within an op: then the outer one still runs */
        try_everything(n->tape);
    }
    return relu_f64(n);
}

static gr_tensor *bold_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (*(const int *)n->attr == 2) try_everything(t);
    return gr_mul(t, g, gr_sign(t, n->out));
}

static const gr_op bold = {.name = "bold",
                           .n_in = 1,
                           .attr_size = sizeof(int),
                           .shape = bold_shape,
                           .forward[GR_ANY_CPU] = {[GR_F64] = bold_f64},
                           .vjp = {bold_vjp}};

static void calls_from_within_an_op(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(20));
    for (int where = 0; where < 3; where++) {
        gr_clear_error();
        refusals = 0;
        loss_of_within = total(f->t, gr_square(f->t, x));
        gr_tensor *y = total(f->t, gr_apply(f->t, &bold, &x, 1, &where));
        for (int pass = 0; pass < 2; pass++) ok(gr_backward(f->t, y, pass ? 0 : GR_RETAIN));
        assert_int_equal(refusals, 5);
        assert_gradient(x, 2.0);
        gr_zero_grad(x);
        ok(gr_backward(f->t, loss_of_within, 0)); /* free again */
        gr_zero_grad(x);
        gr_tape_reset(f->t);
        assert_int_equal(gr_tape_statistics(f->t).tensors, 0);
    }
}

/* ---- Results that the tape has deleted --------------------------------------------------------------------------- */

typedef struct deleted_use {
    fixture *f;
    gr_tensor *x;     /* a leaf of the deleted result's shape */
    gr_tensor *gone;  /* [6,5], of square */
    gr_status status; /* of what was tried */
} deleted_use;

#define USE(name, ...)                        \
    static void use_##name(deleted_use *u)    \
    {                                         \
        gr_tape *t = u->f->t;                 \
        gr_tensor *gone = u->gone, *x = u->x; \
        (void)t, (void)x;                     \
        __VA_ARGS__;                          \
    }
#define USE_OF_DELETED(X)                                                                                          \
    X(read_f64, assert_null(gr_read_f64(gone)))                                                                    \
    X(f64, assert_null(gr_f64(gone)))                                                                              \
    X(get, assert_true(isnan(gr_get(gone, 0))))                                                                    \
    X(item, assert_true(isnan(gr_item(gone))))                                                                     \
    X(set, assert_int_equal(gr_set(gone, 0, 1.0), GR_ERR_STATE))                                                   \
    X(set_name, assert_int_equal(gr_set_name(gone, "name"), GR_ERR_STATE))                                         \
    X(copy, assert_null(gr_copy(gone)))                                                                            \
    X(copy_as, assert_null(gr_copy_as(GR_F32, gone)))                                                              \
    X(assign, assert_int_equal(gr_assign(x, gone), GR_ERR_STATE))                                                  \
    X(assign_to, assert_int_equal(gr_assign(gone, x), GR_ERR_STATE))                                               \
    X(gradient, assert_null(gr_gradient(gone)))                                                                    \
    X(op, assert_null(gr_exp(t, gone)))                                                                            \
    X(second_input, assert_null(gr_mul(t, x, gone)))                                                               \
    X(view, assert_null(gr_reshape(t, gone, GR_SHAPE(30))))                                                        \
    X(loss, assert_null(gr_mse(t, gone, x, NULL)))                                                                 \
    X(weight, assert_null(gr_mse(t, x, x, &(gr_loss_options){.weight = gone})))                                    \
    X(backward, assert_int_equal(gr_backward(t, gone, 0), GR_ERR_STATE))                                           \
    X(cotangent, assert_int_equal(gr_backward_from(t, gr_square(t, x), gone, 0), GR_ERR_STATE))                    \
    X(input, gr_tensor *d; assert_int_equal(gr_grad(t, total(t, gr_square(t, x)), &gone, 1, &d, 0), GR_ERR_STATE)) \
    X(otsu, assert_true(isnan(gr_otsu(gone))))                                                                     \
    X(confusion, gr_confusion c = {0}; assert_int_equal(gr_confusion_add(gone, x, NULL, &c, 1), GR_ERR_STATE))

USE_OF_DELETED(USE)

#define ROW(name, ...) {#name, use_##name},
static const struct {
    const char *what;
    void (*use)(deleted_use *u);
} uses[] = {USE_OF_DELETED(ROW)};

static int begin_debugging(void **state)
{
    setenv("GRADUS_DEBUG", "1", 1);
    return begin(state);
}

static int end_debugging(void **state)
{
    unsetenv("GRADUS_DEBUG");
    return end(state);
}

/* Recorded or not, and with other results made since. */
static void a_deleted_result_is_known(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(6, 5));
    for (int recorded = 0; recorded < 2; recorded++) {
        gr_set_recording(f->t, recorded);
        gr_tensor *gone = gr_square(f->t, x), *small = gr_mean(f->t, gone, GR_ALL_AXES, false);
        ok(gr_set_name(gone, "squares"));
        gr_tape_reset(f->t);
        gr_set_recording(f->t, true);
        for (int i = 0; i < 50; i++) assert_non_null(gr_scale(f->t, x, 2.0));
        for (size_t i = 0; i < COUNT(uses); i++) {
            deleted_use u = {.f = f, .x = x, .gone = gone};
            gr_clear_error();
            uses[i].use(&u);
            assert_failed_with(uses[i].what, GR_ERR_STATE, "was a result of square, and its tape has deleted it since");
        }
        gr_clear_error();
        assert_true(isnan(gr_item(small)));
        assert_failed_with("a scalar", GR_ERR_STATE, "item: this [] was a result of mean");
        char text[128];
        gr_format(text, sizeof text, gone);
        assert_string_equal(text, "a result of square, and its tape has deleted it since");
        assert_false(gr_requires_grad(gone));
        gr_keep(gr_give(gone));
        gr_zero_grad(gone);
        gr_tensor_free(gone);
        gr_tape_reset(f->t);
    }
}

/* The gradient that a pass with GR_RETAIN left goes when the next one makes another. */
static void a_gradient_that_was_replaced(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(6, 5)), *h = gr_square(f->t, x), *y = total(f->t, gr_exp(f->t, h));
    ok(gr_backward(f->t, y, GR_RETAIN));
    gr_tensor *first = gr_gradient(h);
    ok(gr_backward(f->t, y, GR_RETAIN));
    gr_clear_error();
    assert_null(gr_read_f64(first));
    assert_failed_with("read", GR_ERR_STATE, "was a result of mul, and its tape has deleted it since");
    assert_non_null(gr_read_f64(gr_gradient(h)));
}

/* Records are kept apart for a while and not for ever. */
static void the_records_kept_are_bounded(void **state)
{
    fixture *f = *state;
    gr_tensor *x = number(f, 1.0);
    int64_t bytes = 0;
    for (int step = 0; step < 60000; step++) {
        ok(gr_backward(f->t, gr_square(f->t, gr_scale(f->t, x, 0.5)), 0));
        gr_tape_reset(f->t);
        if (step == 30000) bytes = f->memory.bytes;
    }
    assert_int_equal(f->memory.bytes, bytes);
    gr_zero_grad(x);
}

/* ---- Records of ops that say what is wrong ----------------------------------------------------------------------- */

static gr_type claimed; /* what the rule of `claims` says */

static gr_status claims(const gr_node *n, gr_type *type)
{
    (void)n;
    *type = claimed;
    return GR_OK;
}

static gr_status says_nothing(const gr_node *n, gr_type *type)
{
    (void)n, (void)type;
    return GR_OK;
}

static gr_tensor *foreign; /* of another tape, or deleted by it */

static gr_tensor *foreign_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)t, (void)n, (void)g;
    return foreign;
}

static gr_tensor *spent_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    gr_tensor *d = gr_scale(t, g, 2.0);
    assert_non_null(gr_relu(t, gr_give(d)));
    return d;
}

static gr_tensor *saved_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *d = gr_mul(t, g, n->saved);
    gr_f64(n->saved)[0] += 1.0;
    return d;
}

static gr_status saves_twice(gr_node *n)
{
    for (int i = 0; i < 2; i++)
        if (!gr_save(n, GR_F64, gr_rank(n->in[0]), gr_shape(n->in[0]))) return gr_last_status();
    for (int64_t i = 0; i < gr_size(n->saved); i++) gr_f64(n->saved)[i] = 1.0;
    return relu_f64(n);
}

#define OP_OF(n, ...)                                                                         \
    {                                                                                         \
        .name = "odd", .forward[GR_ANY_CPU] = {[GR_F64] = relu_f64}, .n_in = (n), __VA_ARGS__ \
    }
#define OP(...) OP_OF(1, __VA_ARGS__)
#define CLAIM(...) \
    OP(.shape = claims), { .dtype = GR_F64, __VA_ARGS__ }
#define VIEW(...) CLAIM(.view = true, __VA_ARGS__)

static const int option = 1;

/* Called with one F64 input [2,10]. */
static const struct {
    const char *what;
    gr_op op;
    gr_type type;
    const void *attr;
    bool twice; /* two inputs */
    gr_status status;
    const char *part;
} odd[] = {
    {"a view of more", VIEW(.rank = 1, .shape = {21}), NULL, false, GR_ERR_SHAPE,
     "odd: a view [21] from element 0 on does not lie within the 20 elements of [2,10]"},
    {"a view past the end", VIEW(.rank = 1, .shape = {11}, .offset = 10), NULL, false, GR_ERR_SHAPE,
     "odd: a view [11] from element 10 on does not lie within the 20 elements of [2,10]"},
    {"a view in front", VIEW(.rank = 1, .shape = {5}, .offset = -1), NULL, false, GR_ERR_SHAPE,
     "odd: a view [5] from element -1 on"},
    {"a view far away", VIEW(.rank = 1, .shape = {5}, .offset = INT64_MAX), NULL, false, GR_ERR_SHAPE,
     "odd: a view [5] from element 9223372036854775807 on"},
    {"a scalar past the end", VIEW(.offset = 20), NULL, false, GR_ERR_SHAPE, "odd: a view [] from element 20 on"},
    {"a view of another dtype",
     OP(.shape = claims),
     {.dtype = GR_I32, .view = true, .rank = 1, .shape = {20}},
     NULL,
     false,
     GR_ERR_DTYPE,
     "odd: a view of dtype i32 in f64"},
    {"a negative extent", CLAIM(.rank = 2, .shape = {2, -10}), NULL, false, GR_ERR_SHAPE,
     "odd: dimension 1 of [2,-10] is negative"},
    {"a rank of 9", CLAIM(.rank = 9), NULL, false, GR_ERR_SHAPE, "odd: rank 9 is outside 0..8"},
    {"a negative rank", CLAIM(.rank = -1), NULL, false, GR_ERR_SHAPE, "odd: rank -1"},
    {"more than there is", CLAIM(.rank = 2, .shape = {INT64_MAX, 2}), NULL, false, GR_ERR_SHAPE,
     "has too many elements"},
    {"no kernel",
     {.name = "odd", .n_in = 1, .shape = gr_shape_same},
     {0},
     NULL,
     false,
     GR_ERR_DTYPE,
     "odd: has no kernel for f64"},
    {"a rule that says nothing", OP(.shape = says_nothing), {0}, NULL, false, GR_ERR_DTYPE, "odd: no such dtype"},
    {"no name", {.n_in = 1, .shape = gr_shape_same}, {0}, NULL, false, GR_ERR_NULL, "apply: the op's name is NULL"},
    {"no inputs", OP_OF(0, .shape = gr_shape_same), {0}, NULL, false, GR_ERR_OPTION, "odd: its record has n_in 0"},
    {"fewer than none", OP_OF(-2, .shape = gr_shape_same), {0}, NULL, false, GR_ERR_OPTION, "its record has n_in -2"},
    {"fewer optional", OP(.shape = gr_shape_same, .n_optional = -1), {0}, NULL, true, GR_ERR_OPTION, "n_optional -1"},
    {"options missing",
     OP(.shape = gr_shape_same, .attr_size = 8),
     {0},
     NULL,
     false,
     GR_ERR_NULL,
     "odd: its options are NULL"},
    {"options for nothing",
     OP(.shape = gr_shape_same),
     {0},
     &option,
     false,
     GR_ERR_OPTION,
     "odd: takes no options, for its attr_size is 0"},
    {"two inputs", OP(.shape = gr_shape_same), {0}, NULL, true, GR_ERR_SHAPE, "odd: takes 1 input, not 2"},
};

static void records_that_are_wrong(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(2, 10)), *in[] = {x, x};
    for (int recording = 0; recording < 2; recording++)
        for (size_t i = 0; i < COUNT(odd); i++) {
            gr_op op = odd[i].op;
            if (!op.vjp[0]) op.vjp[0] = twice_too_large;
            claimed = odd[i].type;
            gr_set_recording(f->t, recording);
            gr_clear_error();
            if (gr_apply(f->t, &op, in, odd[i].twice ? 2 : 1, odd[i].attr)) fail_msg("%s: made something", odd[i].what);
            assert_failed_with(odd[i].what, odd[i].status, odd[i].part);
            assert_int_equal(gr_tape_statistics(f->t).tensors, 0);
        }
}

/* A view that just fits, at the end and of nothing. */
static void views_that_fit(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(2, 10));
    const gr_op op = {.name = "odd", .n_in = 1, .shape = claims, .vjp = {twice_too_large}};
    claimed = (gr_type){.dtype = GR_F64, .view = true, .rank = 1, .shape = {5}, .offset = 15};
    assert_true(gr_get(gr_apply(f->t, &op, &x, 1, NULL), 4) == 20.0);
    claimed = (gr_type){.dtype = GR_F64, .view = true, .rank = 1, .shape = {0}, .offset = 20};
    assert_int_equal(gr_size(gr_apply(f->t, &op, &x, 1, NULL)), 0);
}

static void derivatives_that_are_wrong(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(2, 10));
    gr_tape *other = gr_tape_new();
    foreign = gr_exp(other, x);
    static const struct {
        gr_vjp_rule vjp;
        const char *part;
    } rows[] = {
        {foreign_vjp, "backward: the VJP of odd for input 0 is a result of another tape"},
        {spent_vjp, "backward: the VJP of odd for input 0 gave what was given up with gr_give()"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_op op = OP(.shape = gr_shape_same, .vjp = {rows[i].vjp});
        gr_tensor *y = total(f->t, gr_apply(f->t, &op, &x, 1, NULL)), *d;
        gr_clear_error();
        assert_int_equal(gr_backward(f->t, y, GR_RETAIN), GR_ERR_STATE);
        assert_failed_with("backward", GR_ERR_STATE, rows[i].part);
        assert_int_equal(gr_grad(f->t, y, &x, 1, &d, 0), GR_ERR_STATE);
        assert_true(!d && !gr_gradient(x));
        gr_tape_reset(f->t);
    }
    gr_tape_free(other);
}

/* A value that was saved may not change before the last backward; the second of two saved values counts. */
static void saved_values_that_change(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(2, 10));
    const gr_op op = {.name = "odd",
                      .n_in = 1,
                      .shape = gr_shape_same,
                      .forward[GR_ANY_CPU] = {[GR_F64] = saves_twice},
                      .vjp = {saved_vjp}};
    gr_tensor *y = total(f->t, gr_apply(f->t, &op, &x, 1, NULL));
    assert_int_equal(gr_tape_statistics(f->t).tensors, 3);
    ok(gr_backward(f->t, y, GR_RETAIN));
    assert_gradient(x, 1.0);
    assert_int_equal(gr_backward(f->t, y, 0), GR_ERR_STATE);
    assert_failed_with("backward", GR_ERR_STATE,
                       "backward: what odd saved for its derivative, [2,10], was changed after the forward pass");
    assert_gradient(x, 1.0);
}

/* ---- Gradients that are written to ------------------------------------------------------------------------------- */

/* What gr_grad() gives is the caller's to write to: nothing else is computed from it. */
static void a_gradient_by_name_is_nothing_else(void **state)
{
    fixture *f = *state;
    gr_tensor *p = counted(f, 1.0, GR_SHAPE(30)), *q = counted(f, 2.0, GR_SHAPE(30)),
              *zero = own(f, gr_zeros(GR_F64, GR_SHAPE(30))), *d[3];
    gr_tensor *loss = gr_mse(f->t, p, zero, &(gr_loss_options){.reduction = GR_SUM});
    for (int pass = 0; pass < 3; pass++) {
        ok(gr_grad(f->t, loss, &p, 1, d, GR_RETAIN)); /* which the kernel has saved */
        for (int i = 0; i < 30; i++) assert_true(gr_get(d[0], i) == 2.0 * gr_get(p, i));
        gr_f64(d[0])[3] = 1e6;
    }
    gr_tensor *sum = gr_add(f->t, p, q), *cotangent = gr_exp(f->t, zero);
    for (int flags = 0; flags < 2; flags++) {
        gr_tensor *const x[] = {p, q, p};
        ok(gr_vjp(f->t, sum, cotangent, x, 3, d, GR_RETAIN | (flags ? GR_CREATE_GRAPH : 0)));
        for (int k = 0; k < 3; k++) {
            assert_true(gr_get(d[k], 3) == 1.0);
            gr_f64(d[k])[3] = 7.0;
        }
        assert_true(gr_get(cotangent, 3) == 1.0);
    }
}

/* The gradient of a result, kept by GR_RETAIN, may be what its consumer has saved: then writing to it is no secret. */
static void a_retained_gradient_that_is_written_to(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(30)), *zero = own(f, gr_zeros(GR_F64, GR_SHAPE(30)));
    gr_tensor *h = gr_scale(f->t, x, 1.0);
    gr_tensor *loss = gr_mse(f->t, h, zero, &(gr_loss_options){.reduction = GR_SUM});
    ok(gr_backward(f->t, loss, GR_RETAIN));
    gr_f64(gr_gradient(h))[3] = 1e6;
    gr_zero_grad(x);
    if (gr_backward(f->t, loss, 0))
        assert_failed_with("backward", GR_ERR_STATE, "what mse saved for its derivative, [30], was changed");
    else
        for (int i = 0; i < 30; i++) assert_true(gr_get(gr_gradient(x), i) == 2.0 * gr_get(x, i));
}

/* A view of a leaf's gradient sees each new one. */
static void a_view_of_a_gradient(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(6, 5));
    gr_tape *other = gr_tape_new();
    for (int by_tape = 0; by_tape < 2; by_tape++) {
        ok(gr_backward(f->t, total(f->t, gr_square(f->t, x)), 0));
        gr_tensor *g = gr_gradient(x), *view = by_tape ? gr_reshape(other, g, GR_SHAPE(30)) : gr_view(g, GR_SHAPE(30));
        for (int pass = 1; pass < 4; pass++) {
            for (int i = 0; i < 30; i++) assert_true(gr_get(view, i) == 2.0 * pass * gr_get(x, i));
            gr_zero_grad(x);
            gr_tape_reset(f->t);
            ok(gr_backward(f->t, total(f->t, gr_scale(f->t, gr_square(f->t, x), pass + 1.0)), 0));
            for (int i = 0; i < 5; i++) assert_non_null(gr_scale(f->t, x, 99.0)); /* over freed buffers */
        }
        if (!by_tape) gr_tensor_free(view);
        gr_zero_grad(x);
    }
    gr_tape_free(other);
}

#define DEBUG_TEST(name) cmocka_unit_test_setup_teardown(name, begin_debugging, end_debugging)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_function_under_check),
        TEST(what_is_given_up_stays_for_the_check),
        TEST(calls_from_within_an_op),
        DEBUG_TEST(a_deleted_result_is_known),
        DEBUG_TEST(a_gradient_that_was_replaced),
        DEBUG_TEST(the_records_kept_are_bounded),
        TEST(records_that_are_wrong),
        TEST(views_that_fit),
        TEST(derivatives_that_are_wrong),
        TEST(saved_values_that_change),
        TEST(a_gradient_by_name_is_nothing_else),
        TEST(a_retained_gradient_that_is_written_to),
        TEST(a_view_of_a_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
