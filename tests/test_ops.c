/* test_ops.c: every op of the table, by its samples: values on every dtype, first and second derivatives against
 * differences, refused calls. An op without samples, or whose inputs no sample differentiates, fails. The ops that
 * `test_ops NAME...` names are tested alone. */
#include "op_samples.h"

/* The ops that the command line names; NULL: all. */
static char **chosen;

/* From *position on, the next op to test; false at the table's end. */
static bool next_op(int *position)
{
    for (; gr_op_at(*position); ++*position) {
        if (!chosen) return true;
        for (char **name = chosen; *name; name++)
            if (!strcmp(gr_op_at(*position)->name, *name)) return true;
    }
    return false;
}

/* ---- Refused calls ------------------------------------------------------------------------------------------ */

static void refused(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    int count = 0;
    for (int i = 0; next_op(&i); i++)
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
    assert_true(chosen || count > 30);
}

/* ---- First derivatives -------------------------------------------------------------------------------------- */

/* The check of the derivative by input j alone, the others being constants. */
static gr_check_report check_alone(call *c, gr_tensor *const x[], int n, int j)
{
    gr_tensor *alone[MAX_INPUTS];
    gr_check_report r;
    for (int m = 0; m < n; m++) alone[m] = gr_copy(x[m]);
    assert_int_equal(gr_require_grad(alone[j]), GR_OK);
    if (gr_check_gradients(run_op, c, alone, n, NULL, &r))
        fail_msg("%s, %s, input %d: %s", c->op->name, c->s->what, j, gr_last_error());
    free_inputs(alone, n);
    return r;
}

/* The derivative of a step is 0: vacuous, or compared with 0 where the step lies. An input without elements has nothing
 * to compare. Of all others the sample says what is expected. */
static bool is_expected(const call *c, int j, const gr_tensor *x, gr_check_verdict verdict)
{
    const bool step = c->op->n_in != GR_VARIADIC && c->op->vjp[j] == gr_vjp_zero;
    if (step) return verdict == GR_CHECK_VACUOUS || verdict == GR_CHECK_PASS;
    return verdict == (gr_size(x) ? c->s->verdict[j] : GR_CHECK_VACUOUS);
}

/* Checks the inputs of one sample and counts the derivatives that were proved; returns how many verdicts are others. */
static int check_sample(call *c, int64_t proved[])
{
    const int n = inputs_of(c->op, c->s);
    gr_tensor *x[MAX_INPUTS];
    int wrong = 0;
    make_inputs(c->op, c->s, GR_F64, x, 7);
    for (int j = 0; j < n; j++) {
        if (!differentiable(c->op, j, x[j])) continue;
        const gr_check_report r = check_alone(c, x, n, j);
        if (r.verdict == GR_CHECK_PASS || r.verdict == GR_CHECK_KINK) proved[j] += r.compared;
        if (is_expected(c, j, x[j], r.verdict)) continue;
        print_error("%s, %s, input %d: %s, expected %s; at %lld: analytic %.12g, numeric %.12g\n", c->op->name,
                    c->s->what, j, gr_check_verdict_name(r.verdict), gr_check_verdict_name(c->s->verdict[j]),
                    (long long)r.index, r.analytic, r.numeric);
        wrong++;
    }
    free_inputs(x, n);
    return wrong;
}

static void first_derivatives(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; next_op(&i); i++) {
        const gr_op *op = gr_op_at(i);
        const sample_list samples = samples_of(op);
        int64_t proved[MAX_INPUTS] = {0};
        for (int k = 0; k < samples.count; k++)
            if (!samples.at[k].refused && !samples.at[k].value_only)
                wrong += check_sample(&(call){op, &samples.at[k]}, proved);
        const bool steps = !strcmp(op->name, "zero_one"); /* whose derivative is 0 wherever there is one */
        for (int j = 0; j < op->n_in && j < GR_MAX_VJPS && !steps; j++)
            if (op->vjp[j] && op->vjp[j] != gr_vjp_zero && !proved[j])
                fail_msg("%s: no sample differentiates input %d", op->name, j);
        if (op->n_in == GR_VARIADIC && !proved[0]) fail_msg("%s: no sample differentiates it", op->name);
    }
    assert_int_equal(wrong, 0);
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

/* Every verdict is PASS, or VACUOUS where no input has an element. Where a sample lies at a kink, higher
 * derivatives are kinks as well, or cannot be resolved. */
static void check_higher(gr_check_function f, double rtol)
{
    for (int i = 0; next_op(&i); i++) {
        const gr_op *op = gr_op_at(i);
        for (int k = 0; k < samples_of(op).count; k++) {
            call c = {op, &samples_of(op).at[k]};
            if (c.s->refused || c.s->value_only) continue;
            const int n = inputs_of(op, c.s);
            gr_tensor *x[MAX_INPUTS];
            make_inputs(op, c.s, GR_F64, x, 11);
            int64_t elements = 0;
            for (int j = 0; j < n; j++) elements += differentiable(op, j, x[j]) ? gr_size(x[j]) : 0;
            gr_check_report r = {.verdict = GR_CHECK_VACUOUS};
            const bool wanted = require_gradients(op, x, n) > 0;
            if (wanted && gr_check_gradients(f, &c, x, n, &(gr_check_options){.rtol = rtol, .atol = 1e-7}, &r))
                fail_msg("%s, %s: %s", op->name, c.s->what, gr_last_error());
            bool sharp = false;
            for (int j = 0; j < n; j++) sharp |= c.s->verdict[j] == GR_CHECK_KINK;
            const bool right = r.verdict == (elements ? GR_CHECK_PASS : GR_CHECK_VACUOUS) ||
                               (sharp && (r.verdict == GR_CHECK_KINK || r.verdict == GR_CHECK_UNRESOLVED));
            if (wanted && !right)
                fail_msg("%s, %s, input %d[%lld]: %s, analytic %.12g, numeric %.12g", op->name, c.s->what, r.input,
                         (long long)r.index, gr_check_verdict_name(r.verdict), r.analytic, r.numeric);
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
    for (int i = 0; next_op(&i); i++) {
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
    for (int i = 0; next_op(&i); i++) {
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

int main(int argc, char *argv[])
{
    if (argc > 1) chosen = argv + 1;
    int first = 0;
    if (!next_op(&first)) return fprintf(stderr, "test_ops: no op of the table has such a name\n"), 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_complete), cmocka_unit_test(refused),
        cmocka_unit_test(first_derivatives),     cmocka_unit_test(second_derivatives),
        cmocka_unit_test(third_derivatives),     cmocka_unit_test(dtypes_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
