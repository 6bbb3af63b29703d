/* test_ops.c: every op of the table, by its samples: values on every dtype, first and second derivatives against
 * differences, refused calls. An op without samples, or whose inputs no sample differentiates, fails. */
#include "op_samples.h"

/* ---- Refused calls ------------------------------------------------------------------------------------------ */

static void refused(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    int count = 0;
    for (int i = 0; gr_op_at(i); i++)
        for (int k = 0; k < samples_of(gr_op_at(i)).count; k++) {
            const gr_op *op = gr_op_at(i);
            const sample *s = &samples_of(op).at[k];
            if (!s->refused) continue;
            gr_tensor *x[MAX_INPUTS];
            make_inputs(op, s, GR_F64, x, 1);
            gr_clear_error();
            gr_tensor *y = gr_apply(t, op, x, inputs_of(op, s), s->attr);
            if (y || !strstr(gr_last_error(), s->refused) || !strstr(gr_last_error(), op->name))
                fail_msg("%s, %s: expected a refusal with \"%s\", got \"%s\"", op->name, s->what, s->refused,
                         gr_last_error());
            free_inputs(x, inputs_of(op, s));
            count++;
        }
    gr_tape_free(t);
    assert_true(count > 30);
}

/* ---- First derivatives -------------------------------------------------------------------------------------- */

static void first_derivatives(void **state)
{
    (void)state;
    for (int i = 0; gr_op_at(i); i++) {
        const gr_op *op = gr_op_at(i);
        int64_t compared[MAX_INPUTS] = {0};
        for (int k = 0; k < samples_of(op).count; k++) {
            call c = {op, &samples_of(op).at[k]};
            if (c.s->refused || c.s->value_only) continue;
            int n = inputs_of(op, c.s);
            gr_tensor *x[MAX_INPUTS];
            make_inputs(op, c.s, GR_F64, x, 7);
            for (int j = 0; j < n; j++) {
                if (!differentiable(op, j, x[j])) continue;
                gr_tensor *alone[MAX_INPUTS];
                for (int m = 0; m < n; m++) alone[m] = gr_copy(x[m]);
                assert_int_equal(gr_require_grad(alone[j]), GR_OK);
                gr_check_report r;
                if (gr_check_gradients(run_op, &c, alone, n, NULL, &r))
                    fail_msg("%s, %s, input %d: %s", op->name, c.s->what, j, gr_last_error());
                if (r.verdict == GR_CHECK_FAIL)
                    fail_msg("%s, %s, input %d[%lld]: analytic %.12g, numeric %.12g", op->name, c.s->what, j,
                             (long long)r.index, r.analytic, r.numeric);
                compared[j] += r.compared;
                free_inputs(alone, n);
            }
            free_inputs(x, n);
        }
        for (int j = 0; j < op->n_in && j < GR_MAX_VJPS; j++)
            if (op->vjp[j] && op->vjp[j] != gr_vjp_zero && !compared[j])
                fail_msg("%s: no sample differentiates input %d", op->name, j);
        if (op->n_in == GR_VARIADIC && !compared[0]) fail_msg("%s: no sample differentiates it", op->name);
    }
}

/* ---- Second derivatives: the gradient of sum(c_i . dy/dx_i) ------------------------------------------------- */

/* Gradients of the op, differentiable, as one number: each weighted by a fixed pattern that is not constant. */
static gr_tensor *gradients_of_op(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const call *c = context;
    gr_tensor *y = gr_apply(t, c->op, x, n, c->s->attr);
    if (!y || !gr_requires_grad(y)) return y;
    gr_tensor *weights = pattern(t, y, 0.7);
    gr_tensor *wanted[MAX_INPUTS], *d[MAX_INPUTS];
    int m = 0;
    for (int i = 0; i < n; i++)
        if (gr_requires_grad(x[i])) wanted[m++] = x[i];
    if (gr_vjp(t, y, weights, wanted, m, d, GR_CREATE_GRAPH)) return NULL;
    gr_tensor *sum = NULL;
    for (int i = 0; i < m; i++) {
        gr_tensor *part = gr_sum(t, gr_mul(t, d[i], pattern(t, d[i], 1.3 + i)), GR_ALL_AXES, false);
        sum = sum ? gr_add(t, sum, part) : part;
    }
    /* A term that depends on every input, so that a gradient that is constant can still be differentiated. */
    for (int i = 0; i < m; i++) sum = gr_add(t, sum, gr_scale(t, gr_sum(t, wanted[i], GR_ALL_AXES, false), 0.125));
    return sum;
}

static gr_tensor *second_of_op(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    gr_tensor *first = gradients_of_op(t, x, n, context);
    if (!first || !gr_requires_grad(first)) return first;
    gr_tensor *wanted[MAX_INPUTS], *d[MAX_INPUTS], *sum = NULL;
    int m = 0;
    for (int i = 0; i < n; i++)
        if (gr_requires_grad(x[i])) wanted[m++] = x[i];
    if (gr_grad(t, first, wanted, m, d, GR_CREATE_GRAPH)) return NULL;
    for (int i = 0; i < m; i++) {
        gr_tensor *part = gr_sum(t, gr_mul(t, d[i], pattern(t, d[i], 2.1 + i)), GR_ALL_AXES, false);
        part = gr_add(t, part, gr_scale(t, gr_sum(t, wanted[i], GR_ALL_AXES, false), 0.125));
        sum = sum ? gr_add(t, sum, part) : part;
    }
    return sum;
}

static void check_higher(gr_check_function f, double rtol)
{
    for (int i = 0; gr_op_at(i); i++) {
        const gr_op *op = gr_op_at(i);
        for (int k = 0; k < samples_of(op).count; k++) {
            call c = {op, &samples_of(op).at[k]};
            if (c.s->refused || c.s->value_only) continue;
            int n = inputs_of(op, c.s), wanted = 0;
            gr_tensor *x[MAX_INPUTS];
            make_inputs(op, c.s, GR_F64, x, 11);
            for (int j = 0; j < n; j++)
                if (differentiable(op, j, x[j])) {
                    assert_int_equal(gr_require_grad(x[j]), GR_OK);
                    wanted++;
                }
            gr_check_report r;
            if (wanted && gr_check_gradients(f, &c, x, n, &(gr_check_options){.rtol = rtol, .atol = 1e-7}, &r))
                fail_msg("%s, %s: %s", op->name, c.s->what, gr_last_error());
            if (wanted && r.verdict == GR_CHECK_FAIL)
                fail_msg("%s, %s, input %d[%lld]: analytic %.12g, numeric %.12g", op->name, c.s->what, r.input,
                         (long long)r.index, r.analytic, r.numeric);
            free_inputs(x, n);
        }
    }
}

static void second_derivatives(void **state)
{
    (void)state;
    check_higher(gradients_of_op, 1e-6);
}

static void third_derivatives(void **state)
{
    (void)state;
    check_higher(second_of_op, 1e-5);
}

/* ---- F32 against F64 ---------------------------------------------------------------------------------------- */

static void dtypes_agree(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (int i = 0; gr_op_at(i); i++) {
        const gr_op *op = gr_op_at(i);
        for (int k = 0; k < samples_of(op).count; k++) {
            const sample *s = &samples_of(op).at[k];
            if (s->refused) continue;
            int n = inputs_of(op, s), m = 0;
            gr_tensor *x[2][MAX_INPUTS], *y[2], *d[2][MAX_INPUTS], *wanted[MAX_INPUTS];
            make_inputs(op, s, GR_F32, x[0], 5);
            for (int j = 0; j < n; j++)
                x[1][j] = gr_dtype_of(x[0][j]) == GR_I32 ? gr_copy(x[0][j]) : gr_copy_as(GR_F64, x[0][j]);
            for (int p = 0; p < 2; p++) {
                m = 0;
                for (int j = 0; j < n; j++)
                    if (differentiable(op, j, x[p][j])) {
                        assert_int_equal(gr_require_grad(x[p][j]), GR_OK);
                        wanted[m++] = x[p][j];
                    }
                y[p] = gr_apply(t, op, x[p], n, s->attr);
                if (!y[p]) fail_msg("%s, %s: %s", op->name, s->what, gr_last_error());
                gr_tensor *g = pattern(t, y[p], 0.7);
                assert_non_null(g);
                if (gr_requires_grad(y[p]) && gr_vjp(t, y[p], g, wanted, m, d[p], GR_RETAIN))
                    fail_msg("%s, %s: %s", op->name, s->what, gr_last_error());
                if (!gr_requires_grad(y[p]) || s->value_only) m = 0;
            }
            assert_close_tensors(op->name, s->what, y[0], y[1], 2e-5);
            for (int j = 0; j < m; j++) assert_close_tensors(op->name, s->what, d[0][j], d[1][j], 2e-4);
            gr_tape_reset(t);
            for (int p = 0; p < 2; p++) free_inputs(x[p], n);
        }
    }
    gr_tape_free(t);
}

/* ---- The table itself --------------------------------------------------------------------------------------- */

static void the_table_is_complete(void **state)
{
    (void)state;
    for (int i = 0; gr_op_at(i); i++) {
        const gr_op *op = gr_op_at(i);
        int works = 0, refusals = 0;
        for (int k = 0; k < samples_of(op).count; k++)
            if (samples_of(op).at[k].refused) refusals++;
            else works++;
        if (!op->name || !op->formula || !*op->formula) fail_msg("op %d has no name or formula", i);
        if (!works) fail_msg("%s has no sample that works", op->name);
        for (int k = 0; k < i; k++)
            if (!strcmp(gr_op_at(k)->name, op->name)) fail_msg("%s is twice in the table", op->name);
        if (!refusals && strcmp(op->name, "detach")) fail_msg("%s has no refused sample", op->name);
    }
    assert_null(gr_op_at(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_complete), cmocka_unit_test(refused),
        cmocka_unit_test(first_derivatives),     cmocka_unit_test(second_derivatives),
        cmocka_unit_test(third_derivatives),     cmocka_unit_test(dtypes_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
