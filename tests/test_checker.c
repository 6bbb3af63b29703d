/* test_checker.c: the gradient checker itself: each verdict, each mode, the report in its three forms, what it refuses,
 * and that it leaves everything as it was. */
#include <gradus/check_cmocka.h>

#include "helpers.h"

#include <gradus/gradus.h>

#include "check/check_internal.h"

/* ---- Functions to be checked -------------------------------------------------------------------------------- */

#define FUNCTION(name, ...)                                                        \
    static gr_tensor *name(gr_tape *t, gr_tensor *const x[], int n, void *context) \
    {                                                                              \
        (void)n, (void)context;                                                    \
        return __VA_ARGS__;                                                        \
    }

FUNCTION(mse_of_sigmoid, gr_mse(t, gr_sigmoid(t, x[0]), x[1], NULL))
FUNCTION(just_exp, gr_exp(t, x[0]))
FUNCTION(just_log, gr_log(t, x[0]))
FUNCTION(just_relu, gr_relu(t, x[0]))
FUNCTION(buried, gr_exp(t, gr_scale(t, gr_sin(t, x[0]), 1e-15)))
FUNCTION(just_softmax, gr_softmax(t, x[0], 1))
FUNCTION(sum_of_softmax, gr_sum(t, gr_softmax(t, x[0], 1), GR_ALL_AXES, false))
FUNCTION(detached, gr_add(t, gr_detach(t, gr_square(t, x[0])), gr_scale(t, x[0], 0.0)))
FUNCTION(constant, gr_scale(t, x[0], 0.0))
FUNCTION(flat_to_rounding,
         gr_sub(t, gr_shift(t, gr_scale(t, gr_sin(t, x[0]), 1e-15), 1.0), gr_scale(t, gr_sin(t, x[0]), 1e-15)))
FUNCTION(mean_of_squares, gr_mean(t, gr_square(t, x[0]), GR_ALL_AXES, false))
FUNCTION(nan_at_0, gr_mul(t, x[0], gr_log(t, x[0])))
FUNCTION(aliased, gr_sin(t, gr_scale(t, x[0], 32.0 * 3.14159265358979323846)))

static gr_tensor *leaf(int64_t n, const double *values)
{
    gr_tensor *x = gr_from(GR_F64, GR_SHAPE(n), values);
    assert_non_null(x);
    assert_int_equal(gr_require_grad(x), GR_OK);
    return x;
}

static gr_tensor *random_leaf(int rank, const int64_t shape[], double lo, double hi, uint64_t seed)
{
    gr_rng rng = gr_rng_seed(seed);
    gr_tensor *x = gr_uniform(GR_F64, rank, shape, lo, hi, &rng);
    assert_int_equal(gr_require_grad(x), GR_OK);
    return x;
}

static gr_check_report checked(gr_check_function f, void *context, gr_tensor *const x[], int n,
                               const gr_check_options *o)
{
    gr_check_report r;
    if (gr_check_gradients(f, context, x, n, o, &r)) fail_msg("%s", gr_last_error());
    return r;
}

static gr_check_report at(gr_check_function f, double where)
{
    gr_tensor *x = leaf(1, &where);
    gr_check_report r = checked(f, NULL, &x, 1, NULL);
    gr_tensor_free(x);
    return r;
}

static void expect(const gr_check_report *r, gr_check_verdict v)
{
    if (r->verdict == v) return;
    gr_check_fprint(stdout, r);
    fail_msg("expected %s, got %s", gr_check_verdict_name(v), gr_check_verdict_name(r->verdict));
}

/* ---- A broken op -------------------------------------------------------------------------------------------- */

static gr_status cube_kernel(gr_node *n)
{
    const double *x = gr_read_f64(n->in[0]);
    double *y = gr_f64(n->out);
    for (int64_t i = 0; i < gr_size(n->out); i++) y[i] = x[i] * x[i] * x[i];
    return GR_OK;
}

static gr_tensor *two_thirds_of_it(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_scale(t, gr_square(t, n->in[0]), 2.0));
}

static const gr_op broken_cube = {.name = "broken_cube",
                                  .formula = "y = x^3",
                                  .n_in = 1,
                                  .shape = gr_shape_same,
                                  .forward[GR_ANY_CPU] = {[GR_F64] = cube_kernel},
                                  .vjp = {two_thirds_of_it}};
FUNCTION(with_broken_cube, gr_sum(t, gr_tanh(t, gr_apply(t, &broken_cube, (gr_tensor *[]){gr_neg(t, x[0])}, 1, NULL)),
                                  GR_ALL_AXES, false))

/* A relu that does not tell its branches. */
static gr_status silent_relu_kernel(gr_node *n)
{
    const double *x = gr_read_f64(n->in[0]);
    double *y = gr_f64(n->out);
    for (int64_t i = 0; i < gr_size(n->out); i++) y[i] = x[i] > 0 ? x[i] : x[i] * 0.0;
    return GR_OK;
}

static gr_tensor *silent_relu_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_greater(t, n->in[0], gr_constant(t, GR_F64, 0.0)));
}

static const gr_op silent_relu = {.name = "silent_relu",
                                  .formula = "y = max(x, 0)",
                                  .n_in = 1,
                                  .shape = gr_shape_same,
                                  .forward[GR_ANY_CPU] = {[GR_F64] = silent_relu_kernel},
                                  .vjp = {silent_relu_vjp}};
FUNCTION(with_silent_relu, gr_apply(t, &silent_relu, x, 1, NULL))

/* ---- Verdicts ----------------------------------------------------------------------------------------------- */

static void passes(void **state)
{
    (void)state;
    gr_tensor *x[2] = {random_leaf(GR_SHAPE(3, 4), -2, 2, 1), random_leaf(GR_SHAPE(3, 4), 0, 1, 2)};
    gr_check_report r = checked(mse_of_sigmoid, NULL, x, 2, NULL);
    expect(&r, GR_CHECK_PASS);
    assert_int_equal(r.compared, 24);
    assert_int_equal(r.count[GR_CHECK_PASS], 24);
    assert_int_equal(r.failed, 0);
    assert_int_equal(r.n_worst, GR_CHECK_WORST);
    assert_true(r.worst[0].relative < 1e-9);
    assert_int_equal(r.culprit, -1);
    gr_assert_gradients(mse_of_sigmoid, NULL, x, 2, NULL);
    gr_tensor_free(x[0]);
    gr_tensor_free(x[1]);
}

static void names_the_broken_op(void **state)
{
    (void)state;
    gr_tensor *x = random_leaf(GR_SHAPE(5), 0.2, 0.9, 3);
    assert_int_equal(gr_set_name(x, "w"), GR_OK);
    for (int mode = GR_CHECK_FULL; mode <= GR_CHECK_PER_NODE; mode++) {
        gr_check_report r = checked(with_broken_cube, NULL, &x, 1, &(gr_check_options){.mode = (gr_check_mode)mode});
        expect(&r, GR_CHECK_FAIL);
        assert_int_equal(r.culprit, 1);
        assert_string_equal(r.culprit_op, "broken_cube");
        if (mode != GR_CHECK_PER_NODE) assert_memory_equal(r.worst[0].place, "w[", 2);
        else assert_string_equal(r.worst[0].op, "broken_cube");
    }
    gr_assert_gradients_are(GR_CHECK_FAIL, with_broken_cube, NULL, &x, 1, NULL);
    gr_tensor_free(x);
}

static void kinks_are_no_failures(void **state)
{
    (void)state;
    gr_check_report r = at(just_relu, 0.0);
    expect(&r, GR_CHECK_KINK);
    assert_true(close_to(r.worst[0].left, 0.0, 1e-9) && close_to(r.worst[0].right, 1.0, 1e-9));
    r = at(just_relu, 1e-9); /* beside it: h is shortened */
    expect(&r, GR_CHECK_PASS);
    r = at(just_relu, -3e-14);
    assert_int_equal(r.count[GR_CHECK_PASS], 1);
    r = at(just_relu, 3e-14);
    expect(&r, GR_CHECK_PASS);
    r = at(with_silent_relu, 0.0);
    expect(&r, GR_CHECK_KINK);
}

/* A relu whose derivative at 0 is 2, which is no slope of either side. */
static gr_tensor *bold_relu_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *zero = gr_constant(t, GR_F64, 0.0);
    return gr_mul(t, g, gr_add(t, gr_greater(t, n->in[0], zero), gr_scale(t, gr_equal(t, n->in[0], zero), 2.0)));
}

static const gr_op bold_relu = {.name = "bold_relu",
                                .formula = "y = max(x, 0)",
                                .n_in = 1,
                                .shape = gr_shape_same,
                                .forward[GR_ANY_CPU] = {[GR_F64] = silent_relu_kernel},
                                .branches = gr_branch_sign,
                                .vjp = {bold_relu_vjp}};
FUNCTION(with_bold_relu, gr_apply(t, &bold_relu, x, 1, NULL))

static void kinks_forgive_nothing_else(void **state)
{
    (void)state;
    gr_check_report r = at(with_bold_relu, 0.5);
    expect(&r, GR_CHECK_PASS);
    r = at(with_bold_relu, 0.0);
    expect(&r, GR_CHECK_FAIL);
    assert_non_null(strstr(r.hint, "between the slopes 0 and 1"));
}

/* An op that jumps when its condition moves is not moved along with the rest. */
FUNCTION(chosen, gr_where(t, gr_equal(t, gr_square(t, x[0]), gr_constant(t, GR_F64, 1.0)), gr_constant(t, GR_F64, 0.0),
                          gr_exp(t, x[0])))

static void steps_are_not_moved_with_the_rest(void **state)
{
    (void)state;
    gr_tensor *x = random_leaf(GR_SHAPE(40), 0.5, 1.5, 3);
    for (int64_t i = 0; i < 40; i += 3) assert_int_equal(gr_set(x, i, 1.0), GR_OK);
    gr_check_report r = checked(chosen, NULL, &x, 1, &(gr_check_options){.mode = GR_CHECK_PER_NODE});
    expect(&r, GR_CHECK_PASS);
    gr_tensor_free(x);
}

static void at_the_edge_of_what_is_defined(void **state)
{
    (void)state;
    gr_check_report r = at(just_log, 1e-7);
    expect(&r, GR_CHECK_PASS);
    r = at(just_log, 1e-15);
    expect(&r, GR_CHECK_PASS);
    r = at(just_exp, 700.0);
    expect(&r, GR_CHECK_PASS);
    r = at(just_log, 1e300);
    expect(&r, GR_CHECK_PASS);
}

static void nan_and_infinity_fail(void **state)
{
    (void)state;
    gr_check_report r = at(nan_at_0, 0.0);
    expect(&r, GR_CHECK_FAIL);
    r = at(just_log, -1.0);
    expect(&r, GR_CHECK_FAIL);
    r = at(just_exp, 1000.0);
    expect(&r, GR_CHECK_FAIL);
    assert_true(*r.hint != '\0');
}

static void nothing_is_no_pass(void **state)
{
    (void)state;
    double value = 0.5;
    gr_tensor *x = gr_from(GR_F64, GR_SHAPE(1), &value), *none = gr_zeros(GR_F64, GR_SHAPE(0));
    gr_check_report r = checked(just_exp, NULL, &x, 1, NULL); /* requires no gradient */
    expect(&r, GR_CHECK_VACUOUS);
    assert_int_equal(r.compared, 0);
    assert_int_equal(gr_require_grad(none), GR_OK);
    r = checked(just_exp, NULL, &none, 1, NULL);
    expect(&r, GR_CHECK_VACUOUS);
    r = at(constant, 0.5);
    expect(&r, GR_CHECK_VACUOUS);
    gr_tensor_free(none);
    gr_tensor_free(x);
    x = random_leaf(GR_SHAPE(2, 3), -1, 1, 4);
    r = checked(sum_of_softmax, NULL, &x, 1, NULL); /* always 1 */
    expect(&r, GR_CHECK_VACUOUS);
    r = checked(just_softmax, NULL, &x, 1, NULL);
    expect(&r, GR_CHECK_PASS);
    gr_tensor_free(x);
}

static void a_gradient_that_does_not_arrive(void **state)
{
    (void)state;
    gr_check_report r = at(detached, 0.5);
    expect(&r, GR_CHECK_FAIL);
    assert_non_null(strstr(r.hint, "0 where the function changes"));
}

/* x^2 as x times a number that was read off x, in an op's options: half of the gradient is lost. */
FUNCTION(through_an_option, gr_scale(t, x[0], gr_item(x[0])))
FUNCTION(through_an_offset, gr_shift(t, gr_exp(t, gr_scale(t, x[0], 1.0)), gr_item(x[0])))
FUNCTION(an_offset_alone, gr_shift(t, gr_scale(t, x[0], 0.0), gr_item(x[0])))

static void a_gradient_that_goes_around_the_tape(void **state)
{
    (void)state;
    gr_check_report r = at(through_an_option, 0.5);
    expect(&r, GR_CHECK_FAIL);
    r = at(through_an_offset, 0.5);
    expect(&r, GR_CHECK_FAIL);
    assert_true(close_to(r.worst[0].numeric, exp(0.5) + 1.0, 1e-11));
    assert_true(close_to(r.worst[0].above, exp(0.5 + r.worst[0].step) + 0.5 + r.worst[0].step, 1e-12));
    r = at(an_offset_alone, 0.5);
    expect(&r, GR_CHECK_FAIL);
}

static void what_cannot_be_told_is_unresolved(void **state)
{
    (void)state;
    gr_check_report r = at(flat_to_rounding, 0.5);
    assert_true(r.verdict == GR_CHECK_UNRESOLVED || r.verdict == GR_CHECK_VACUOUS);
}

/* A period of the function in every step: the second tableau sees through it. */
static void is_not_fooled_by_a_period(void **state)
{
    (void)state;
    gr_check_report r = at(aliased, 0.25);
    expect(&r, GR_CHECK_PASS);
}

/* ---- Functions that misbehave ------------------------------------------------------------------------------- */

static gr_tensor *random_noise(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n;
    return gr_scale(t, x[0], gr_rng_uniform(context));
}

static gr_tensor *random_offset(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n;
    return gr_shift(t, gr_exp(t, x[0]), gr_rng_uniform(context)); /* whose gradient is the same every time */
}

static gr_tensor *writes_to_its_input(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n, (void)context;
    gr_tensor *y = gr_exp(t, gr_detach(t, x[0]));
    gr_f64(x[1])[2] += 1.0;
    return gr_mul(t, y, x[0]);
}

static gr_tensor *fails(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n, (void)context;
    return gr_matmul(t, x[0], x[0], 0);
}

static void nondeterminism_is_seen(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(1);
    double value = 0.5;
    gr_tensor *x = leaf(1, &value);
    gr_check_report r = checked(random_noise, &rng, &x, 1, NULL);
    expect(&r, GR_CHECK_NONDETERMINISTIC);
    r = checked(random_offset, &rng, &x, 1, NULL);
    expect(&r, GR_CHECK_NONDETERMINISTIC);
    assert_string_equal(r.worst[0].place, "the forward pass");
    gr_tensor_free(x);
}

static int backward_runs;

static gr_tensor *restless_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    return gr_scale(t, g, 1.0 + 1e-15 * backward_runs++);
}

static gr_status add_kernel(gr_node *n);
static const gr_op restless_copy = {.name = "restless_copy",
                                    .formula = "y = x",
                                    .n_in = 1,
                                    .shape = gr_shape_same,
                                    .forward[GR_ANY_CPU] = {[GR_F64] = add_kernel},
                                    .vjp = {restless_vjp}};
FUNCTION(with_restless_copy, gr_apply(t, &restless_copy, x, 1, NULL))

static void nondeterminism_of_backward_is_seen(void **state)
{
    (void)state;
    gr_check_report r = at(with_restless_copy, 0.5);
    expect(&r, GR_CHECK_NONDETERMINISTIC);
    assert_non_null(strstr(r.hint, "two runs differ"));
}

static void inputs_come_back_bit_for_bit(void **state)
{
    (void)state;
    const double values[3] = {0.1, -0.0, 0.3};
    gr_tensor *x[2] = {leaf(3, values), gr_from(GR_F64, GR_SHAPE(3), values)};
    gr_check_report r;
    assert_int_equal(gr_check_gradients(writes_to_its_input, NULL, x, 2, NULL, &r), GR_ERR_STATE);
    assert_failed_with("an input is written to", GR_ERR_STATE, "input 1 was changed at [2]");
    for (int i = 0; i < 2; i++) assert_memory_equal(gr_read_f64(x[i]), values, sizeof values);
    for (int mode = 0; mode < GR_CHECK_N_MODES; mode++) {
        r = checked(just_exp, NULL, x, 1, &(gr_check_options){.mode = (gr_check_mode)mode});
        expect(&r, GR_CHECK_PASS);
        assert_memory_equal(gr_read_f64(x[0]), values, sizeof values);
        assert_null(gr_gradient(x[0]));
    }
    gr_tensor_free(x[0]);
    gr_tensor_free(x[1]);
}

static void accumulated_gradients_stay(void **state)
{
    (void)state;
    const double values[2] = {0.5, 1.0};
    gr_tensor *x = leaf(2, values);
    gr_tape *t = gr_tape_new();
    assert_int_equal(gr_backward(t, gr_sum(t, gr_square(t, x), GR_ALL_AXES, false), 0), GR_OK);
    for (int mode = 0; mode < GR_CHECK_N_MODES; mode++)
        checked(just_exp, NULL, &x, 1, &(gr_check_options){.mode = (gr_check_mode)mode});
    assert_true(gr_get(gr_gradient(x), 0) == 1.0 && gr_get(gr_gradient(x), 1) == 2.0);
    gr_tape_free(t);
    gr_tensor_free(x);
}

static void refuses(void **state)
{
    (void)state;
    gr_check_report r;
    double value = 0.5;
    gr_tensor *x = leaf(1, &value), *single = gr_ones(GR_F32, GR_SHAPE(2)), *none = NULL;
    assert_int_equal(gr_require_grad(single), GR_OK);
    assert_int_equal(gr_check_gradients(NULL, NULL, &x, 1, NULL, &r), GR_ERR_NULL);
    assert_int_equal(gr_check_gradients(just_exp, NULL, &x, 1, NULL, NULL), GR_ERR_NULL);
    gr_clear_error();
    assert_int_equal(gr_check_gradients(just_exp, NULL, &none, 1, NULL, &r), GR_ERR_NULL);
    assert_int_equal(gr_check_gradients(just_exp, NULL, &x, 0, NULL, &r), GR_ERR_OPTION);
    assert_int_equal(gr_check_gradients(just_exp, NULL, &single, 1, NULL, &r), GR_ERR_DTYPE);
    assert_int_equal(gr_check_gradients(fails, NULL, &x, 1, NULL, &r), GR_ERR_SHAPE);
    assert_failed_with("an op that fails", GR_ERR_SHAPE, "matmul");
    assert_int_equal(gr_check_gradients(just_exp, NULL, &x, 1, &(gr_check_options){.mode = GR_CHECK_N_MODES}, &r),
                     GR_ERR_OPTION);
    assert_int_equal(gr_check_gradients(just_exp, NULL, &x, 1, &(gr_check_options){.order = 3}, &r), GR_ERR_OPTION);
    assert_int_equal(gr_check_gradients(just_exp, NULL, &x, 1, &(gr_check_options){.rtol = -1}, &r), GR_ERR_OPTION);
    gr_check_element e;
    assert_int_equal(gr_check_one(just_exp, NULL, &x, 1, 0, 1, NULL, &e), GR_ERR_INDEX);
    assert_int_equal(gr_check_one(just_exp, NULL, &x, 1, 0, 0, NULL, &e), GR_OK);
    assert_int_equal(e.verdict, GR_CHECK_PASS);
    assert_true(close_to(e.numeric, exp(0.5), 1e-11));
    gr_tensor_free(single);
    gr_tensor_free(x);
}

/* ---- Modes -------------------------------------------------------------------------------------------------- */

/* y = x w + b, wrong in one element of one gradient; context: which input, which element. */
typedef struct flaw {
    int input;
    int64_t element;
    double factor;
} flaw;

static flaw the_flaw;

static gr_status add_kernel(gr_node *n)
{
    memcpy(gr_f64(n->out), gr_read_f64(n->in[0]), (size_t)gr_size(n->out) * sizeof(double));
    return GR_OK;
}

static gr_tensor *flawed_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *mask = gr_result(t, GR_F64, gr_rank(n->in[0]), gr_shape(n->in[0]));
    for (int64_t i = 0; i < gr_size(mask); i++)
        ((double *)mask->data)[i] = i == the_flaw.element ? the_flaw.factor : 1.0;
    return gr_mul(t, g, mask);
}

static const gr_op flawed_copy = {.name = "flawed_copy",
                                  .formula = "y = x",
                                  .n_in = 1,
                                  .shape = gr_shape_same,
                                  .forward[GR_ANY_CPU] = {[GR_F64] = add_kernel},
                                  .vjp = {flawed_vjp}};

/* Two layers on a batch: inputs w1, b1, w2, b2; the flaw lies in front of one of them. */
static gr_tensor *network(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    gr_tensor *const *data = context, *p[4];
    for (int i = 0; i < n; i++) p[i] = i == the_flaw.input ? gr_apply(t, &flawed_copy, &x[i], 1, NULL) : x[i];
    gr_tensor *h = gr_relu(t, gr_linear(t, data[0], p[0], p[1]));
    return gr_bce(t, gr_linear(t, h, p[2], p[3]), data[1], &(gr_loss_options){.from_logits = true});
}

typedef struct model {
    gr_tensor *p[4], *data[2];
} model;

static model new_model(int64_t in, int64_t hidden, int64_t batch)
{
    gr_rng rng = gr_rng_seed(9);
    model m = {
        .p = {gr_normal(GR_F64, GR_SHAPE(in, hidden), 0, 0.1, &rng), gr_normal(GR_F64, GR_SHAPE(hidden), 0, 0.1, &rng),
              gr_normal(GR_F64, GR_SHAPE(hidden, 1), 0, 0.1, &rng), gr_normal(GR_F64, GR_SHAPE(1), 0, 0.1, &rng)},
        .data = {gr_normal(GR_F64, GR_SHAPE(batch, in), 0, 1, &rng),
                 gr_uniform(GR_F64, GR_SHAPE(batch, 1), 0, 1, &rng)}};
    for (int i = 0; i < 4; i++) assert_int_equal(gr_require_grad(m.p[i]), GR_OK);
    return m;
}

static void free_model(model *m)
{
    for (int i = 0; i < 4; i++) gr_tensor_free(m->p[i]);
    for (int i = 0; i < 2; i++) gr_tensor_free(m->data[i]);
}

static void samples_skip_no_input(void **state)
{
    (void)state;
    model m = new_model(40, 50, 6);
    the_flaw = (flaw){-1, 0, 1};
    gr_check_report r = checked(network, m.data, m.p, 4, &(gr_check_options){.mode = GR_CHECK_SAMPLED, .samples = 10});
    expect(&r, GR_CHECK_PASS);
    assert_int_equal(r.compared, 31);
    the_flaw = (flaw){3, 0, 2};
    r = checked(network, m.data, m.p, 4, &(gr_check_options){.mode = GR_CHECK_SAMPLED, .samples = 10});
    expect(&r, GR_CHECK_FAIL);
    assert_int_equal(r.worst[0].input, 3);
    free_model(&m);
}

/* One sample from each of as many stretches: an error in a fifth of the elements that lie side by side is never missed
 * by 10. */
static int64_t spoilt_from;

static gr_tensor *spoilt_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *mask = gr_result(t, GR_F64, gr_rank(n->in[0]), gr_shape(n->in[0]));
    for (int64_t i = 0; i < gr_size(mask); i++)
        ((double *)mask->data)[i] = i >= spoilt_from && i < spoilt_from + 200 ? 1.5 : 1.0;
    return gr_mul(t, g, mask);
}

static const gr_op spoilt_copy = {.name = "spoilt_copy",
                                  .formula = "y = x",
                                  .n_in = 1,
                                  .shape = gr_shape_same,
                                  .forward[GR_ANY_CPU] = {[GR_F64] = add_kernel},
                                  .vjp = {spoilt_vjp}};
FUNCTION(with_spoilt_copy, gr_sum(t, gr_sin(t, gr_apply(t, &spoilt_copy, x, 1, NULL)), GR_ALL_AXES, false))

static void samples_are_spread(void **state)
{
    (void)state;
    gr_tensor *x = random_leaf(GR_SHAPE(1000), -1, 1, 3);
    for (spoilt_from = 0; spoilt_from <= 800; spoilt_from += 50) {
        gr_check_report r =
            checked(with_spoilt_copy, NULL, &x, 1,
                    &(gr_check_options){.mode = GR_CHECK_SAMPLED, .samples = 10, .seed = (uint64_t)spoilt_from});
        expect(&r, GR_CHECK_FAIL);
        assert_int_equal(r.compared, 10);
    }
    gr_tensor_free(x);
}

/* A hundred thousand parameters: seconds, and the one that is wrong is found. */
static void directions_find_the_culprit(void **state)
{
    (void)state;
    model m = new_model(500, 200, 16);
    the_flaw = (flaw){-1, 0, 1};
    gr_check_options o = {.mode = GR_CHECK_DIRECTIONAL};
    gr_check_report r = checked(network, m.data, m.p, 4, &o);
    expect(&r, GR_CHECK_PASS);
    assert_int_equal(r.compared, 3);
    printf("100,401 parameters in 3 directions: %lld evaluations, %lld backward passes\n", (long long)r.evaluations,
           (long long)r.backwards);
    assert_true(r.evaluations < 120 && r.backwards <= 12); /* half a millisecond each */
    const flaw flaws[] = {{0, 4321, 0}, {1, 5, -1}, {2, 100, 2}, {3, 0, 1.5}};
    for (int i = 0; i < 4; i++) {
        the_flaw = flaws[i];
        r = checked(network, m.data, m.p, 4, &o);
        expect(&r, GR_CHECK_FAIL);
        assert_int_equal(r.worst[0].input, flaws[i].input);
        assert_int_equal(r.worst[0].index, flaws[i].element);
        assert_non_null(r.culprit_op);
        assert_string_equal(r.culprit_op, "flawed_copy");
        assert_true(r.evaluations < 6000);
    }
    free_model(&m);
}

static void one_in_a_thousand_is_found(void **state)
{
    (void)state;
    model m = new_model(40, 50, 6);
    const gr_check_mode modes[] = {GR_CHECK_FULL, GR_CHECK_DIRECTIONAL};
    the_flaw = (flaw){0, 1234, 0.0};
    for (int i = 0; i < 2; i++) {
        gr_check_report r = checked(network, m.data, m.p, 4, &(gr_check_options){.mode = modes[i]});
        expect(&r, GR_CHECK_FAIL);
        assert_int_equal(r.worst[0].index, 1234);
    }
    free_model(&m);
}

FUNCTION(with_flawed_copy, gr_exp(t, gr_apply(t, &flawed_copy, x, 1, NULL)))

/* The direction at the second point sees the element that is no sample; it is wrong at x as well. Of one element alone
 * nobody knows that its factor is a constant. */
static void a_slip_outside_the_samples(void **state)
{
    (void)state;
    gr_tensor *x = random_leaf(GR_SHAPE(20), -1, 1, 6);
    for (int i = 0; i < 20; i++) {
        the_flaw = (flaw){0, i, 2.0};
        gr_check_report r =
            checked(with_flawed_copy, NULL, &x, 1, &(gr_check_options){.mode = GR_CHECK_SAMPLED, .samples = 2});
        expect(&r, GR_CHECK_FAIL);
        assert_int_equal(r.worst[0].index, i);
        assert_null(strstr(r.hint, "second point"));
        assert_null(strstr(r.hint, "constant factor"));
        assert_non_null(strstr(r.hint, "is 2 at 1 of"));
    }
    gr_tensor_free(x);
}

static void jacobians(void **state)
{
    (void)state;
    gr_tensor *x = random_leaf(GR_SHAPE(2, 3), -1, 1, 4);
    gr_check_report r = checked(just_softmax, NULL, &x, 1, &(gr_check_options){.mode = GR_CHECK_JACOBIAN});
    expect(&r, GR_CHECK_PASS);
    assert_int_equal(r.compared, 36);
    assert_true(r.evaluations < 6 * 40);
    gr_tensor_free(x);
    x = random_leaf(GR_SHAPE(3), 0.2, 0.9, 3);
    r = checked(with_broken_cube, NULL, &x, 1, &(gr_check_options){.mode = GR_CHECK_JACOBIAN});
    expect(&r, GR_CHECK_FAIL);
    the_flaw = (flaw){0, 1, 1.001}; /* one entry of nine is wrong: both of its places are told */
    r = checked(with_flawed_copy, NULL, &x, 1, &(gr_check_options){.mode = GR_CHECK_JACOBIAN});
    expect(&r, GR_CHECK_FAIL);
    assert_int_equal(r.compared, 9);
    assert_int_equal(r.failed, 1);
    assert_true(r.worst[0].index == 1 && r.worst[0].output == 1);
    gr_tensor_free(x);
}

static void second_order(void **state)
{
    (void)state;
    gr_tensor *x[2] = {random_leaf(GR_SHAPE(3, 4), -2, 2, 1), random_leaf(GR_SHAPE(3, 4), 0, 1, 2)};
    for (int mode = GR_CHECK_FULL; mode <= GR_CHECK_PER_NODE; mode++) {
        gr_check_report r =
            checked(mse_of_sigmoid, NULL, x, 2, &(gr_check_options){.order = 2, .mode = (gr_check_mode)mode});
        expect(&r, GR_CHECK_PASS);
    }
    gr_tensor_free(x[0]);
    gr_tensor_free(x[1]);
}

/* y = e^x, whose gradient is right and a constant: it cannot be differentiated again. */
static gr_status exp_kernel(gr_node *n)
{
    for (int64_t i = 0; i < gr_size(n->out); i++) gr_f64(n->out)[i] = exp(gr_read_f64(n->in[0])[i]);
    return GR_OK;
}

static gr_tensor *constant_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_detach(t, n->out));
}

static const gr_op once_exp = {.name = "once_exp",
                               .formula = "y = e^x",
                               .n_in = 1,
                               .shape = gr_shape_same,
                               .forward[GR_ANY_CPU] = {[GR_F64] = exp_kernel},
                               .vjp = {constant_vjp}};
FUNCTION(with_once_exp, gr_square(t, gr_apply(t, &once_exp, x, 1, NULL)))

static void a_wrong_second_derivative(void **state)
{
    (void)state;
    gr_tensor *x = random_leaf(GR_SHAPE(5), -1, 1, 3);
    for (int mode = GR_CHECK_FULL; mode <= GR_CHECK_PER_NODE; mode++) {
        gr_check_options o = {.mode = (gr_check_mode)mode};
        gr_check_report r = checked(with_once_exp, NULL, &x, 1, &o);
        expect(&r, GR_CHECK_PASS);
        o.order = 2;
        r = checked(with_once_exp, NULL, &x, 1, &o);
        expect(&r, GR_CHECK_FAIL);
        assert_string_equal(r.culprit_op, "once_exp");
    }
    gr_tensor_free(x);
}

/* y = e^x, with a shorter way to the first derivative than the one that can be differentiated again, which is wrong by
 * a thousandth: its derivative is the right one of a wrong gradient. */
static gr_tensor *two_ways_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_scale(t, gr_mul(t, g, n->out), gr_is_recording(t) ? 1.001 : 1.0);
}

static const gr_op two_ways_exp = {.name = "two_ways_exp",
                                   .formula = "y = e^x",
                                   .n_in = 1,
                                   .shape = gr_shape_same,
                                   .forward[GR_ANY_CPU] = {[GR_F64] = exp_kernel},
                                   .vjp = {two_ways_vjp}};
FUNCTION(with_two_ways_exp, gr_apply(t, &two_ways_exp, x, 1, NULL))

static void a_gradient_that_is_another_when_recorded(void **state)
{
    (void)state;
    gr_tensor *x = random_leaf(GR_SHAPE(5), -1, 1, 3);
    gr_check_report r = checked(with_two_ways_exp, NULL, &x, 1, NULL);
    expect(&r, GR_CHECK_PASS);
    for (int mode = GR_CHECK_FULL; mode <= GR_CHECK_PER_NODE; mode++) {
        r = checked(with_two_ways_exp, NULL, &x, 1, &(gr_check_options){.mode = (gr_check_mode)mode, .order = 2});
        expect(&r, GR_CHECK_FAIL);
    }
    gr_tensor_free(x);
}

/* y = x, with a VJP that spoils what it saved: the second backward over the same tape is wrong. */
static gr_status saving_kernel(gr_node *n)
{
    if (!gr_save(n, GR_F64, 0, NULL)) return gr_last_status();
    gr_f64(n->saved)[0] = 1.0;
    return add_kernel(n);
}

static gr_tensor *spoiling_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    double *factor = n->saved->data;
    gr_tensor *d = gr_scale(t, g, *factor);
    *factor += 0.5;
    return d;
}

static const gr_op spoiling_copy = {.name = "spoiling_copy",
                                    .formula = "y = x",
                                    .n_in = 1,
                                    .shape = gr_shape_same,
                                    .forward[GR_ANY_CPU] = {[GR_F64] = saving_kernel},
                                    .vjp = {spoiling_vjp}};
FUNCTION(with_spoiling_copy, gr_sum(t, gr_exp(t, gr_apply(t, &spoiling_copy, x, 1, NULL)), GR_ALL_AXES, false))

static void what_does_not_accumulate(void **state)
{
    (void)state;
    const double values[2] = {0.5, 1.0};
    gr_tensor *x = leaf(2, values);
    gr_check_report r = checked(with_spoiling_copy, NULL, &x, 1, NULL);
    expect(&r, GR_CHECK_FAIL); /* it is not linear in g, as the second call sees it */
    r = checked(with_spoiling_copy, NULL, &x, 1, &(gr_check_options){.mode = GR_CHECK_ACCUMULATION});
    expect(&r, GR_CHECK_FAIL);
    assert_int_equal(r.failed, 2);
    assert_true(close_to(r.worst[0].analytic / r.worst[0].numeric, 1.25, 1e-12));
    gr_tensor_free(x);
}

static void accumulation(void **state)
{
    (void)state;
    model m = new_model(4, 5, 3);
    the_flaw = (flaw){-1, 0, 1};
    gr_check_report r = checked(network, m.data, m.p, 4, &(gr_check_options){.mode = GR_CHECK_ACCUMULATION});
    expect(&r, GR_CHECK_PASS);
    assert_int_equal(r.compared, 31);
    free_model(&m);
}

/* y = e^x, in F32 by a series that is too short. */
static gr_status sloppy_kernel(gr_node *n)
{
    for (int64_t i = 0; i < gr_size(n->out); i++) {
        const float v = gr_read_f32(n->in[0])[i];
        gr_f32(n->out)[i] = 1.0f + v * (1.0f + v / 2.0f * (1.0f + v / 3.0f * (1.0f + v / 4.0f)));
    }
    return GR_OK;
}

static gr_tensor *out_vjp(gr_tape *t, const gr_node *n, gr_tensor *g) { return gr_mul(t, g, n->out); }

static const gr_op sloppy_exp = {.name = "sloppy_exp",
                                 .formula = "y = e^x",
                                 .n_in = 1,
                                 .shape = gr_shape_same,
                                 .forward[GR_ANY_CPU] = {[GR_F32] = sloppy_kernel, [GR_F64] = exp_kernel},
                                 .vjp = {out_vjp}};
FUNCTION(with_sloppy_exp, gr_apply(t, &sloppy_exp, x, 1, NULL))

FUNCTION(relu_of_a_difference,
         gr_relu(t, gr_sub(t, gr_square(t, x[0]), gr_constant(t, gr_dtype_of(x[0]), 1.0 + 0x1p-11))))

static void single_precision(void **state)
{
    (void)state;
    gr_tensor *x[2] = {random_leaf(GR_SHAPE(3, 4), -2, 2, 1), random_leaf(GR_SHAPE(3, 4), 0, 1, 2)};
    gr_check_report r = checked(mse_of_sigmoid, NULL, x, 2, &(gr_check_options){.mode = GR_CHECK_F32});
    expect(&r, GR_CHECK_PASS);
    r = checked(mse_of_sigmoid, NULL, x, 2, &(gr_check_options){.mode = GR_CHECK_F32, .rtol = 1e-9});
    expect(&r, GR_CHECK_FAIL);
    r = checked(with_sloppy_exp, NULL, x, 1, NULL);
    expect(&r, GR_CHECK_PASS);
    r = checked(with_sloppy_exp, NULL, x, 1, &(gr_check_options){.mode = GR_CHECK_F32});
    expect(&r, GR_CHECK_FAIL);
    /* (1 + 2^-12)^2 is 2^-24 above the kink, which F32 rounds off. */
    gr_tensor *close = leaf(1, (double[]){1.0 + 0x1p-12});
    r = checked(relu_of_a_difference, NULL, &close, 1, &(gr_check_options){.mode = GR_CHECK_F32});
    expect(&r, GR_CHECK_UNRESOLVED);
    gr_tensor_free(close);
    gr_tensor_free(x[0]);
    gr_tensor_free(x[1]);
}

/* ---- Means over many ---------------------------------------------------------------------------------------- */

/* The error of one derivative of a mean does not grow with the number of elements. */
static void a_mean_of_a_million_keeps_its_digits(void **state)
{
    (void)state;
    for (int64_t n = 100; n <= 1000000; n *= 100) {
        gr_tensor *x = random_leaf(GR_SHAPE(n), 0.5, 2, 5);
        gr_check_element e;
        assert_int_equal(gr_check_one(mean_of_squares, NULL, &x, 1, 0, n / 3, NULL, &e), GR_OK);
        double exact = 2.0 * gr_get(x, n / 3) / (double)n;
        printf("a mean over %7lld: relative error %.1e, estimated %.1e\n", (long long)n,
               fabs(e.numeric - exact) / exact, e.error / exact);
        assert_true(fabs(e.numeric - exact) < 1e-12 * exact);
        gr_tensor_free(x);
    }
}

/* ---- Without memory ----------------------------------------------------------------------------------------- */

static int64_t until_failure, blocks;

static void *failing_allocate(void *context, size_t bytes)
{
    (void)context;
    if (until_failure-- == 0) return NULL;
    blocks++;
    return malloc(bytes);
}

static void counting_release(void *context, void *memory)
{
    (void)context;
    blocks -= memory != NULL;
    free(memory);
}

/* Every allocation made to fail in turn: an error, no leak, and the inputs as they were. */
static void without_memory(void **state)
{
    (void)state;
    const double values[3] = {0.3, 0.5, 0.9};
    gr_tensor *x = leaf(3, values);
    int64_t failures = 0;
    for (int mode = 0; mode < GR_CHECK_N_MODES; mode++) {
        gr_status status = GR_ERR_MEMORY;
        for (int64_t k = 0; status; k++) {
            gr_check_report r;
            gr_set_allocator(&(gr_allocator){failing_allocate, counting_release, NULL});
            until_failure = k;
            blocks = 0;
            gr_check_function f = mode == GR_CHECK_F32 ? just_exp : with_broken_cube;
            status = gr_check_gradients(f, NULL, &x, 1, &(gr_check_options){.mode = (gr_check_mode)mode}, &r);
            gr_set_allocator(NULL);
            if (status && status != GR_ERR_MEMORY)
                fail_msg("mode %d, allocation %lld: %s", mode, (long long)k, gr_last_error());
            if (blocks)
                fail_msg("mode %d, allocation %lld: %lld blocks are left", mode, (long long)k, (long long)blocks);
            assert_memory_equal(gr_read_f64(x), values, sizeof values);
            failures += status != GR_OK;
        }
    }
    printf("%lld allocations were made to fail\n", (long long)failures);
    assert_true(failures > 50);
    gr_tensor_free(x);
}

/* ---- Reports ------------------------------------------------------------------------------------------------ */

static void hint_is(gr_check_function f, gr_tensor *x, const char *part)
{
    gr_check_report r = checked(f, NULL, &x, 1, NULL);
    expect(&r, GR_CHECK_FAIL);
    if (!strstr(r.hint, part)) fail_msg("expected a hint with \"%s\", got \"%s\"", part, r.hint);
}

static double wrong_factor;

static gr_tensor *factor_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    return gr_scale(t, g, wrong_factor);
}

static const gr_op factor_copy = {.name = "factor_copy",
                                  .formula = "y = x",
                                  .n_in = 1,
                                  .shape = gr_shape_same,
                                  .forward[GR_ANY_CPU] = {[GR_F64] = add_kernel},
                                  .vjp = {factor_vjp}};
FUNCTION(with_factor, gr_mean(t, gr_exp(t, gr_apply(t, &factor_copy, x, 1, NULL)), GR_ALL_AXES, false))

static void hints(void **state)
{
    (void)state;
    gr_tensor *x = random_leaf(GR_SHAPE(7), -1, 1, 6);
    const struct {
        double factor;
        const char *hint;
    } cases[] = {{2, "is 2"},
                 {0.5, "is 1/2"},
                 {-1, "the sign"},
                 {7, "is 7, a count"},
                 {1.0 / 7, "is 1/7, a count"},
                 {0, "none reached it"},
                 {1.3, "a constant factor"},
                 {-2, "wrong sign"},
                 {(double)NAN, "not finite"}};
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        wrong_factor = cases[i].factor;
        hint_is(with_factor, x, cases[i].hint);
    }
    gr_tensor_free(x);
}

static void hints_without_a_ratio(void **state)
{
    (void)state;
    gr_check_report r = at(constant, 0.5);
    assert_non_null(strstr(r.hint, "both sides are 0 everywhere"));
    r = at(just_log, -1.0);
    assert_non_null(strstr(r.hint, "not finite"));
    gr_tensor *x = random_leaf(GR_SHAPE(9), -1, 1, 4);
    the_flaw = (flaw){0, 4, 2};
    hint_is(with_flawed_copy, x, "is 2 at 1 of 9 elements");
    x->requires_grad = false;
    r = checked(just_exp, NULL, &x, 1, NULL);
    assert_non_null(strstr(r.hint, "no input with elements requires a gradient"));
    gr_tensor_free(x);
    r = at(buried, 0.5);
    expect(&r, GR_CHECK_UNRESOLVED);
    assert_non_null(strstr(r.hint, "too flat, too rough or too inexact"));
}

/* What the report says of 30 elements, three of which are wrong. */
static void the_report_adds_up(void **state)
{
    (void)state;
    gr_tensor *x = random_leaf(GR_SHAPE(30), 0.5, 1, 4);
    spoilt_from = 27;
    gr_check_report r = checked(with_spoilt_copy, NULL, &x, 1, NULL);
    expect(&r, GR_CHECK_FAIL);
    int64_t counted = 0, binned = 0;
    for (int v = 0; v < GR_CHECK_N_VERDICTS; v++) counted += r.count[v];
    for (int i = 0; i < GR_CHECK_BINS; i++) binned += r.histogram[i];
    assert_true(r.compared == 30 && counted == 30 && binned == 30);
    assert_true(r.count[GR_CHECK_FAIL] == 3 && r.failed == 3 && r.count[GR_CHECK_PASS] == 27);
    assert_int_equal(r.histogram[15], 3); /* relative errors of 1/3 */
    assert_int_equal(r.n_worst, GR_CHECK_WORST);
    for (int i = 0; i < r.n_worst; i++) {
        const gr_check_element *e = &r.worst[i];
        int exponent;
        assert_true(i < 3 ? e->verdict == GR_CHECK_FAIL && e->index >= 27
                          : e->verdict == GR_CHECK_PASS && e->index < 27);
        assert_true(i == 0 || i == 3 || e->relative <= r.worst[i - 1].relative);
        assert_true(close_to(e->numeric, cos(gr_get(x, e->index)), 1e-11));
        assert_true(close_to((e->above - e->below) / (2.0 * e->step), e->numeric, 1e-3));
        assert_true(fabs(e->numeric - cos(gr_get(x, e->index))) <= e->error);
        const double shift = gr_get(x, e->index) + e->step;
        assert_true(shift - gr_get(x, e->index) == e->step &&
                    (frexp(e->step, &exponent) == 0.5 || frexp(e->step, &exponent) == 23.0 / 32.0));
    }
    gr_tensor_free(x);
}

static int count_of(const char *text, char c)
{
    int n = 0;
    for (; *text; text++) n += *text == c;
    return n;
}

/* A line of names and one of 16 fields for each of the worst; one JSON object in which brackets close. */
static void reports_for_programs(void **state)
{
    (void)state;
    gr_tensor *x = random_leaf(GR_SHAPE(12), 0.5, 1, 4);
    spoilt_from = 3;
    gr_check_report r = checked(with_spoilt_copy, NULL, &x, 1, NULL);
    char line[1024], json[16384];
    int lines = 0;
    FILE *file = tmpfile();
    gr_check_fprint_csv(file, &r);
    for (rewind(file); fgets(line, sizeof line, file); lines++) assert_int_equal(count_of(line, ','), 15);
    assert_int_equal(lines, 1 + r.n_worst);
    fclose(file);
    file = tmpfile();
    gr_check_fprint_json(file, &r);
    rewind(file);
    json[fread(json, 1, sizeof json - 1, file)] = '\0';
    fclose(file);
    assert_true(count_of(json, '{') == count_of(json, '}') && count_of(json, '[') == count_of(json, ']') &&
                count_of(json, '"') % 2 == 0);
    assert_int_equal(count_of(json, '{'), 2 + r.n_worst); /* the whole, the counts, each of the worst */
    assert_non_null(strstr(json, "\"failed\": 9"));
    assert_non_null(strstr(json, "\"histogram\": ["));
    gr_tensor_free(x);
}

static void reports_in_three_forms(void **state)
{
    (void)state;
    gr_tensor *x = random_leaf(GR_SHAPE(5), 0.2, 0.9, 3);
    assert_int_equal(gr_set_name(x, "a \"b\""), GR_OK);
    gr_check_report r = checked(with_broken_cube, NULL, &x, 1, NULL);
    char text[8192], small[16];
    size_t length = gr_check_format(text, sizeof text, &r);
    assert_true(length < sizeof text && strlen(text) == length);
    assert_int_equal(gr_check_format(small, sizeof small, &r), length);
    assert_int_equal(strlen(small), sizeof small - 1);
    assert_int_equal(gr_check_format(NULL, 0, &r), length);
    assert_non_null(strstr(text, "broken_cube, node 1"));
    assert_non_null(strstr(text, "hint: "));
    FILE *file = tmpfile();
    gr_check_fprint_json(file, &r);
    gr_check_fprint_csv(file, &r);
    rewind(file);
    length = fread(text, 1, sizeof text - 1, file);
    text[length] = '\0';
    fclose(file);
    assert_non_null(strstr(text, "\"verdict\": \"FAIL\", \"mode\": \"full\""));
    assert_non_null(strstr(text, "a \\\"b\\\"[0]"));
    assert_non_null(strstr(text, "\"a \"\"b\"\"["));
    assert_non_null(strstr(text, "\"culprit_op\": \"broken_cube\""));
    gr_tensor_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes),
        cmocka_unit_test(names_the_broken_op),
        cmocka_unit_test(kinks_are_no_failures),
        cmocka_unit_test(kinks_forgive_nothing_else),
        cmocka_unit_test(steps_are_not_moved_with_the_rest),
        cmocka_unit_test(at_the_edge_of_what_is_defined),
        cmocka_unit_test(nan_and_infinity_fail),
        cmocka_unit_test(nothing_is_no_pass),
        cmocka_unit_test(a_gradient_that_does_not_arrive),
        cmocka_unit_test(a_gradient_that_goes_around_the_tape),
        cmocka_unit_test(what_cannot_be_told_is_unresolved),
        cmocka_unit_test(is_not_fooled_by_a_period),
        cmocka_unit_test(nondeterminism_is_seen),
        cmocka_unit_test(nondeterminism_of_backward_is_seen),
        cmocka_unit_test(inputs_come_back_bit_for_bit),
        cmocka_unit_test(accumulated_gradients_stay),
        cmocka_unit_test(refuses),
        cmocka_unit_test(samples_skip_no_input),
        cmocka_unit_test(samples_are_spread),
        cmocka_unit_test(directions_find_the_culprit),
        cmocka_unit_test(one_in_a_thousand_is_found),
        cmocka_unit_test(a_slip_outside_the_samples),
        cmocka_unit_test(jacobians),
        cmocka_unit_test(second_order),
        cmocka_unit_test(a_wrong_second_derivative),
        cmocka_unit_test(a_gradient_that_is_another_when_recorded),
        cmocka_unit_test(accumulation),
        cmocka_unit_test(what_does_not_accumulate),
        cmocka_unit_test(single_precision),
        cmocka_unit_test(a_mean_of_a_million_keeps_its_digits),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(hints),
        cmocka_unit_test(hints_without_a_ratio),
        cmocka_unit_test(the_report_adds_up),
        cmocka_unit_test(reports_for_programs),
        cmocka_unit_test(reports_in_three_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
