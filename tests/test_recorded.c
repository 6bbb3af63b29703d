/* test_recorded.c: over the whole table of ops and losses, in both dtypes.
 *
 * A gradient made under GR_CREATE_GRAPH is the one made without, bit for bit: the engine takes the values of both from
 * the same code. So the bound is 0 units in the last place; two NaNs are equal. It holds at ordinary inputs, far from 0
 * (mean 1e4, spread 1), saturated and infinite ones.
 *
 * And a VJP that needs values which an earlier backward gave back refuses; one that does not need them is right. */
#include "op_samples.h"

/* ---- Inputs ------------------------------------------------------------------------------------------------- */

typedef enum input_kind { ORDINARY, FAR_FROM_0, SATURATED, INFINITE, N_KINDS } input_kind;
static const char *const kind_names[] = {"ordinary", "far from 0", "saturated", "infinite"};

static double value_of_kind(input_kind kind, int64_t i)
{
    static const double saturated[] = {40, -40, 1000, 0, -1000, 17, -90, 710};
    static const double infinite[] = {(double)INFINITY, 1, -(double)INFINITY, 0, -2};
    switch (kind) {
    case FAR_FROM_0: return 1e4 + sin(1.3 * (double)i);
    case SATURATED: return saturated[i % 8];
    default: return infinite[i % 5];
    }
}

/* Replaces what the sample draws for its first input: those behind it are often weights or targets in a range. */
static void make_inputs_of_kind(const call *c, gr_dtype dtype, input_kind kind, gr_tensor *x[])
{
    make_inputs(c->op, c->s, dtype, x, 3);
    const bool replaced = kind != ORDINARY && gr_dtype_of(x[0]) != GR_I32;
    for (int64_t i = 0; replaced && i < gr_size(x[0]); i++)
        assert_int_equal(gr_set(x[0], i, value_of_kind(kind, i)), GR_OK);
}

static int wanted_inputs(gr_tensor *const x[], int n, gr_tensor *wanted[])
{
    int m = 0;
    for (int i = 0; i < n; i++)
        if (gr_requires_grad(x[i])) wanted[m++] = x[i];
    return m;
}

static bool is_sample_of_gradients(const gr_op *op, const sample *s) { return !s->refused && inputs_of(op, s) > 0; }

/* ---- With GR_CREATE_GRAPH and without ----------------------------------------------------------------------- */

static bool same_number(double a, double b)
{
    return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b)); /* +0 is not -0 */
}

/* The number of elements that differ. */
static int64_t compare(const call *c, const char *kind, int input, const gr_tensor *plain, const gr_tensor *recorded)
{
    int64_t wrong = 0;
    assert_int_equal(gr_size(plain), gr_size(recorded));
    for (int64_t i = 0; i < gr_size(plain); i++) {
        if (same_number(gr_get(plain, i), gr_get(recorded, i))) continue;
        if (!wrong++)
            print_error("%s, %s, %s, %s, input %d[%lld]: %.17g, recorded %.17g\n", c->op->name, c->s->what,
                        gr_dtype_name(gr_dtype_of(plain)), kind, input, (long long)i, gr_get(plain, i),
                        gr_get(recorded, i));
    }
    return wrong;
}

/* Both gradients of one call. Returns whether the op took the inputs: a loss refuses a probability above 1. */
static bool compare_call(gr_tape *t, const call *c, gr_dtype dtype, input_kind kind, int64_t *wrong)
{
    const int n = inputs_of(c->op, c->s);
    gr_tensor *x[MAX_INPUTS], *wanted[MAX_INPUTS], *plain[MAX_INPUTS], *recorded[MAX_INPUTS];
    make_inputs_of_kind(c, dtype, kind, x);
    require_gradients(c->op, x, n);
    const int m = wanted_inputs(x, n, wanted);
    gr_tensor *y = gr_apply(t, c->op, x, n, c->s->attr);
    if (!y && kind == ORDINARY) fail_msg("%s, %s: %s", c->op->name, c->s->what, gr_last_error());
    for (int seeded = 0; y && m && gr_requires_grad(y) && seeded < 2; seeded++) {
        gr_tensor *g = seeded || gr_size(y) != 1 ? pattern(t, y, 0.7) : NULL; /* NULL: 1, which has shortcuts */
        if (gr_vjp(t, y, g, wanted, m, plain, GR_RETAIN) || gr_vjp(t, y, g, wanted, m, recorded, GR_CREATE_GRAPH))
            fail_msg("%s, %s: %s", c->op->name, c->s->what, gr_last_error());
        for (int i = 0; i < m; i++) *wrong += compare(c, kind_names[kind], i, plain[i], recorded[i]);
    }
    const bool compared = y && m;
    gr_tape_reset(t);
    free_inputs(x, n);
    return compared;
}

static void gradients_are_the_same(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    int64_t wrong = 0, compared[N_KINDS] = {0};
    for (int i = 0; gr_op_at(i); i++) {
        const gr_op *op = gr_op_at(i);
        int64_t before = compared[ORDINARY];
        for (int k = 0; k < samples_of(op).count; k++)
            for (int at = 0; at < 2 * N_KINDS && is_sample_of_gradients(op, &samples_of(op).at[k]); at++)
                compared[at / 2] += compare_call(t, &(call){op, &samples_of(op).at[k]}, at % 2 ? GR_F32 : GR_F64,
                                                 (input_kind)(at / 2), &wrong);
        const bool has_one = op->n_in == GR_VARIADIC || op->vjp[0];
        if (has_one && compared[ORDINARY] == before) fail_msg("%s: no gradient was compared", op->name);
    }
    for (int kind = 0; kind < N_KINDS; kind++) assert_true(compared[kind] > 400);
    assert_int_equal(wrong, 0);
    gr_tape_free(t);
}

/* ---- Values that an earlier backward gave back -------------------------------------------------------------- */

/* One call at results h of the tape, of which h[gone] is given back by a backward through another branch, and then the
 * gradient of each input by itself. Returns how many were refused. */
static int gradients_without(gr_tape *t, const call *c, int gone)
{
    const int n = inputs_of(c->op, c->s);
    gr_tensor *x[MAX_INPUTS], *h[MAX_INPUTS], *before[MAX_INPUTS] = {NULL}, *d;
    int refused = 0;
    make_inputs(c->op, c->s, GR_F64, x, 3);
    require_gradients(c->op, x, n);
    for (int i = 0; i < n; i++) h[i] = gr_requires_grad(x[i]) ? gr_scale(t, x[i], 1.0) : x[i];
    gr_tensor *y = gr_apply(t, c->op, h, n, c->s->attr);
    if (!y) fail_msg("%s, %s: %s", c->op->name, c->s->what, gr_last_error());
    gr_tensor *g = pattern(t, y, 0.7), *other = gr_sum(t, gr_square(t, h[gone]), GR_ALL_AXES, false);
    const bool has_gradient = gr_requires_grad(y);
    for (int i = 0; has_gradient && i < n; i++)
        if (gr_requires_grad(h[i]) && gr_vjp(t, y, g, &h[i], 1, &before[i], GR_RETAIN))
            fail_msg("%s, %s, input %d: %s", c->op->name, c->s->what, i, gr_last_error());
    if (gr_backward(t, other, 0)) fail_msg("%s, %s: %s", c->op->name, c->s->what, gr_last_error());
    for (int i = 0; has_gradient && i < n; i++)
        for (int flags = GR_RETAIN; before[i] && flags; flags = flags == GR_RETAIN ? GR_CREATE_GRAPH : 0) {
            gr_clear_error();
            const gr_status status = gr_vjp(t, y, g, &h[i], 1, &d, flags);
            if (status && (status != GR_ERR_STATE || !strstr(gr_last_error(), "given back by backward")))
                fail_msg("%s, %s: %s", c->op->name, c->s->what, gr_last_error());
            refused += status != GR_OK;
            for (int64_t k = 0; !status && k < gr_size(d); k++)
                if (!same_number(gr_get(d, k), gr_get(before[i], k)))
                    fail_msg("%s, %s, input %d: %g, was %g", c->op->name, c->s->what, i, gr_get(d, k),
                             gr_get(before[i], k));
        }
    const bool passes = c->op->n_in == GR_VARIADIC || c->op->vjp[gone] != gr_vjp_zero; /* the gradient of h[gone] */
    const gr_status whole = has_gradient ? gr_backward_from(t, y, g, 0) : GR_ERR_STATE;
    if (whole != GR_ERR_STATE && (whole || passes))
        fail_msg("%s, %s: \"%s\" without input %d", c->op->name, c->s->what, gr_last_error(), gone);
    gr_tape_reset(t);
    free_inputs(x, n);
    return refused;
}

static void values_given_back_are_refused(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    int refused = 0;
    for (int i = 0; gr_op_at(i); i++) {
        const gr_op *op = gr_op_at(i);
        for (int k = 0; k < samples_of(op).count; k++) {
            const call c = {op, &samples_of(op).at[k]};
            gr_tensor *x[MAX_INPUTS];
            if (c.s->refused) continue;
            make_inputs(op, c.s, GR_F64, x, 3);
            for (int gone = 0; gone < inputs_of(op, c.s); gone++)
                if (differentiable(op, gone, x[gone])) refused += gradients_without(t, &c, gone);
            free_inputs(x, inputs_of(op, c.s));
        }
    }
    assert_true(refused > 300);
    gr_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_same),
        cmocka_unit_test(values_given_back_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
