/* test_no_false_alarm.c: the gradient checker cries wolf nowhere. Every op and loss of the table, all of them right, at
 * a thousand random points each, at points placed exactly on their kinks, and at logits of +-40, must not come to a
 * single FAIL; and the points at which the checker cannot tell are counted. The number of points is in GRADUS_POINTS.
 */
#include "op_samples.h"

static int points_each = 1000;

/* Over all checks of one kind. */
typedef struct tally {
    int64_t checks, elements, count[GR_CHECK_N_VERDICTS], evaluations;
} tally;

static tally everything;

static void add_report(tally *t, const gr_check_report *r)
{
    if (t != &everything) add_report(&everything, r);
    t->checks++;
    t->elements += r->compared;
    t->evaluations += r->evaluations;
    for (int v = 0; v < GR_CHECK_N_VERDICTS; v++) t->count[v] += r->count[v];
}

static void print_tally(const char *what, const tally *t)
{
    printf("%s: %lld checks, %lld derivatives:", what, (long long)t->checks, (long long)t->elements);
    for (int v = 0; v < GR_CHECK_N_VERDICTS; v++)
        if (t->count[v]) printf(" %lld %s", (long long)t->count[v], gr_check_verdict_name((gr_check_verdict)v));
    printf("; %.1f evaluations each\n", (double)t->evaluations / (double)(t->elements ? t->elements : 1));
}

/* Checks one call at inputs that are made; no element may FAIL. */
static void no_alarm(const call *c, gr_tensor *x[], int samples, uint64_t seed, tally *t)
{
    char text[8192];
    gr_check_report r;
    int n = inputs_of(c->op, c->s);
    if (!require_gradients(c->op, x, n)) return;
    gr_check_options o = {.mode = GR_CHECK_SAMPLED, .samples = samples, .seed = seed};
    if (gr_check_gradients(run_op, (void *)(uintptr_t)c, x, n, &o, &r))
        fail_msg("%s, %s: %s", c->op->name, c->s->what, gr_last_error());
    add_report(t, &r);
    if (getenv("GRADUS_VERBOSE") && r.count[GR_CHECK_UNRESOLVED]) {
        gr_check_format(text, sizeof text, &r);
        printf("%s, %s: %s", c->op->name, c->s->what, text);
    }
    if (!r.count[GR_CHECK_FAIL] && !r.count[GR_CHECK_NONDETERMINISTIC]) return;
    gr_check_format(text, sizeof text, &r);
    fail_msg("%s, %s, seed %llu: %s", c->op->name, c->s->what, (unsigned long long)seed, text);
}

static int usable_samples(const gr_op *op, bool fixed, const sample *usable[], int room)
{
    int n = 0;
    if (!strcmp(op->name, "detach"))
        return 0; /* the one op that is not to be believed: a wrong derivative is its purpose */
    for (int k = 0; k < samples_of(op).count && n < room; k++) {
        const sample *s = &samples_of(op).at[k];
        if (fixed ? s->refused == NULL : is_drawn(op, s)) usable[n++] = s;
    }
    return n;
}

enum { MANY = 64 };

/* ---- Anywhere ----------------------------------------------------------------------------------------------- */

static void random_points(void **state)
{
    (void)state;
    tally t = {0};
    for (int i = 0; gr_op_at(i); i++) {
        const sample *usable[MANY];
        const gr_op *op = gr_op_at(i);
        int n_usable = usable_samples(op, false, usable, MANY);
        for (int p = 0; p < points_each && n_usable; p++) {
            call c = {op, usable[p % n_usable]};
            gr_tensor *x[MAX_INPUTS];
            make_inputs(op, c.s, GR_F64, x, (uint64_t)p + 1);
            no_alarm(&c, x, 8, (uint64_t)p, &t);
            free_inputs(x, inputs_of(op, c.s));
        }
    }
    print_tally("at random points", &t);
    assert_true(10000 * t.count[GR_CHECK_UNRESOLVED] < t.elements);
}

/* The samples as they stand, those at kinks and at the edge of what is defined among them: every element. */
static void samples_as_they_are(void **state)
{
    (void)state;
    tally t = {0};
    for (int i = 0; gr_op_at(i); i++) {
        const sample *usable[MANY];
        const gr_op *op = gr_op_at(i);
        int n_usable = usable_samples(op, true, usable, MANY);
        for (int k = 0; k < n_usable; k++) {
            call c = {op, usable[k]};
            gr_tensor *x[MAX_INPUTS];
            make_inputs(op, c.s, GR_F64, x, 3);
            no_alarm(&c, x, 1000, 3, &t);
            free_inputs(x, inputs_of(op, c.s));
        }
    }
    print_tally("at the samples", &t);
}

/* ---- On kinks ----------------------------------------------------------------------------------------------- */

/* Half integers within the sample's bounds: zeros, ties, margins. */
static void round_to_halves(const sample_input *in, gr_tensor *x)
{
    for (int64_t i = 0; i < gr_size(x) && !in->values && !in->integer; i++) {
        double v = round(2.0 * gr_get(x, i)) / 2.0;
        if (v >= in->lo && v <= in->hi) assert_int_equal(gr_set(x, i, v), GR_OK);
    }
}

static void on_kinks(void **state)
{
    (void)state;
    tally t = {0};
    for (int i = 0; gr_op_at(i); i++) {
        const sample *usable[MANY];
        const gr_op *op = gr_op_at(i);
        int n_usable = usable_samples(op, false, usable, MANY);
        for (int p = 0; p < points_each / 20 && n_usable; p++) {
            call c = {op, usable[p % n_usable]};
            gr_tensor *x[MAX_INPUTS];
            make_inputs(op, c.s, GR_F64, x, (uint64_t)p + 1000000);
            for (int j = 0; j < inputs_of(op, c.s); j++) round_to_halves(&c.s->in[j], x[j]);
            no_alarm(&c, x, 3, (uint64_t)p, &t);
            free_inputs(x, inputs_of(op, c.s));
        }
    }
    print_tally("on kinks", &t);
    assert_true(t.count[GR_CHECK_KINK] > points_each / 20);
}

/* One element exactly on the kink, by name. */
static void expect_kink(const char *name, gr_check_function f, const double *at, int n)
{
    gr_tensor *x[2] = {NULL, NULL};
    gr_check_report r;
    for (int i = 0; i < n; i++) {
        x[i] = gr_full(GR_F64, GR_SHAPE(1), at[i]);
        assert_int_equal(gr_require_grad(x[i]), GR_OK);
    }
    if (gr_check_gradients(f, NULL, x, n, NULL, &r)) fail_msg("%s: %s", name, gr_last_error());
    if (r.verdict != GR_CHECK_KINK) fail_msg("%s: expected KINK, got %s", name, gr_check_verdict_name(r.verdict));
    free_inputs(x, n);
}

#define FUNCTION(name, ...)                                                        \
    static gr_tensor *name(gr_tape *t, gr_tensor *const x[], int n, void *context) \
    {                                                                              \
        (void)n, (void)context;                                                    \
        return __VA_ARGS__;                                                        \
    }

FUNCTION(f_relu, gr_relu(t, x[0]))
FUNCTION(f_leaky, gr_leaky_relu(t, x[0], 0.1))
FUNCTION(f_elu, gr_elu(t, x[0], 0.5))
FUNCTION(f_abs, gr_abs(t, x[0]))
FUNCTION(f_clamp, gr_clamp(t, x[0], -1.0, 1.0))
FUNCTION(f_minimum, gr_minimum(t, x[0], x[1]))
FUNCTION(f_maximum, gr_maximum(t, x[0], x[1]))
FUNCTION(f_max, gr_max(t, gr_concat(t, x, 2, 0), GR_ALL_AXES, false))
FUNCTION(f_l1, gr_l1(t, x[0], x[1], NULL))
FUNCTION(f_hinge, gr_hinge(t, x[0], gr_shift(t, gr_detach(t, gr_scale(t, x[0], 0.0)), -1.0), NULL))
FUNCTION(f_after_others, gr_relu(t, gr_sub(t, gr_square(t, x[0]), gr_scale(t, x[0], 0.5))))

static void exactly_on_a_kink(void **state)
{
    (void)state;
    expect_kink("relu at 0", f_relu, (double[]){0}, 1);
    expect_kink("leaky relu at 0", f_leaky, (double[]){0}, 1);
    expect_kink("elu at 0", f_elu, (double[]){0}, 1);
    expect_kink("|x| at 0", f_abs, (double[]){0}, 1);
    expect_kink("clamp at its upper bound", f_clamp, (double[]){1}, 1);
    expect_kink("clamp at its lower bound", f_clamp, (double[]){-1}, 1);
    expect_kink("minimum of equals", f_minimum, (double[]){0.3, 0.3}, 2);
    expect_kink("maximum of equals", f_maximum, (double[]){0.3, 0.3}, 2);
    expect_kink("max of equals", f_max, (double[]){0.3, 0.3}, 2);
    expect_kink("l1 at its target", f_l1, (double[]){0.3, 0.3}, 2);
    expect_kink("hinge at its margin", f_hinge, (double[]){-1}, 1);
    expect_kink("relu behind other ops", f_after_others, (double[]){0.5}, 1);
}

/* ---- Saturated ---------------------------------------------------------------------------------------------- */

/* Where a sample draws from both signs, +-40 instead: where sigmoids are flat and exponentials huge. */
static bool saturate(const sample_input *in, gr_tensor *x, gr_rng *rng)
{
    if (in->integer || in->values || in->lo > -1.0 || in->hi < 1.0) return false;
    for (int64_t i = 0; i < gr_size(x); i++)
        assert_int_equal(gr_set(x, i, (gr_rng_below(rng, 2) ? 40.0 : -40.0) + gr_rng_uniform(rng)), GR_OK);
    return true;
}

static void logits_of_40(void **state)
{
    (void)state;
    tally t = {0};
    for (int i = 0; gr_op_at(i); i++) {
        const sample *usable[MANY];
        const gr_op *op = gr_op_at(i);
        int n_usable = usable_samples(op, false, usable, MANY);
        for (int p = 0; p < points_each / 50 && n_usable; p++) {
            call c = {op, usable[p % n_usable]};
            gr_tensor *x[MAX_INPUTS];
            gr_rng rng = gr_rng_seed((uint64_t)p);
            make_inputs(op, c.s, GR_F64, x, (uint64_t)p + 2000000);
            if (saturate(&c.s->in[0], x[0], &rng)) no_alarm(&c, x, 4, (uint64_t)p, &t);
            free_inputs(x, inputs_of(op, c.s));
        }
    }
    print_tally("at logits of +-40", &t);
}

/* ---- Losses made of several ops ------------------------------------------------------------------------------ */

typedef gr_tensor *(*region_loss)(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *regions);

#define REGION_LOSS(name, options)                                                                   \
    static gr_tensor *name(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *regions) \
    {                                                                                                \
        return gr_##name(t, p, y, &(options){.base = *regions});                                     \
    }
REGION_LOSS(sensitivity_specificity, gr_sensitivity_specificity_options)
REGION_LOSS(dice, gr_overlap_options)
REGION_LOSS(tversky, gr_tversky_options)
REGION_LOSS(focal_tversky, gr_focal_tversky_options)
REGION_LOSS(jaccard, gr_overlap_options)
REGION_LOSS(generalised_dice, gr_overlap_options)
REGION_LOSS(log_cosh_dice, gr_overlap_options)
REGION_LOSS(dice_bce, gr_compound_options)
REGION_LOSS(dice_ce, gr_compound_options)
REGION_LOSS(dice_focal, gr_dice_focal_options)
REGION_LOSS(lovasz_softmax, gr_lovasz_softmax_options)

static const struct {
    const char *name;
    region_loss run;
    bool logits_only, softmax;
} region_losses[] = {
    {"sensitivity_specificity", sensitivity_specificity, false, false},
    {"dice", dice, false, false},
    {"tversky", tversky, false, false},
    {"focal_tversky", focal_tversky, false, false},
    {"jaccard", jaccard, false, false},
    {"generalised_dice", generalised_dice, false, false},
    {"log_cosh_dice", log_cosh_dice, false, false},
    {"dice_bce", dice_bce, false, false},
    {"dice_ce", dice_ce, false, true},
    {"dice_focal", dice_focal, false, false},
    {"lovasz_hinge", gr_lovasz_hinge, true, false},
    {"lovasz_softmax", lovasz_softmax, false, true},
};
enum { N_REGION_LOSSES = (int)(sizeof region_losses / sizeof *region_losses) };

typedef struct region_call {
    int which;
    gr_region_options o;
} region_call;

static gr_tensor *run_region(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const region_call *c = context;
    (void)n;
    return region_losses[c->which].run(t, x[0], x[1], &c->o);
}

static void check_region(const region_call *c, gr_tensor *const x[], int order, tally *t)
{
    char text[8192];
    gr_check_report r;
    const gr_check_options o = {.mode = GR_CHECK_SAMPLED, .samples = 6, .order = order};
    if (gr_check_gradients(run_region, (void *)(uintptr_t)c, x, 2, &o, &r))
        fail_msg("%s: %s", region_losses[c->which].name, gr_last_error());
    add_report(t, &r);
    gr_check_format(text, sizeof text, &r);
    if (r.count[GR_CHECK_FAIL]) fail_msg("%s, order %d: %s", region_losses[c->which].name, order, text);
}

/* Probabilities, logits, and logits of +-40, with masks of 0 and 1. */
static void losses_of_regions(void **state)
{
    (void)state;
    tally t = {0};
    for (int p = 0; p < points_each * N_REGION_LOSSES; p++) {
        const int which = p % N_REGION_LOSSES, kind = p / N_REGION_LOSSES % 250 == 249 ? 2 : p / N_REGION_LOSSES % 2;
        const bool logits = kind || region_losses[which].logits_only;
        region_call c = {.which = which, .o = {.softmax = region_losses[which].softmax && logits}};
        c.o.from_logits = logits && !region_losses[which].logits_only && !c.o.softmax;
        if (region_losses[which].softmax) c.o.from_logits = logits, c.o.softmax = logits;
        gr_rng rng = gr_rng_seed((uint64_t)p);
        gr_tensor *x[2] = {gr_uniform(GR_F64, GR_SHAPE(2, 2, 3, 2), logits ? -4 : 0.05, logits ? 4 : 0.45, &rng),
                           gr_zeros(GR_F64, GR_SHAPE(2, 2, 3, 2))};
        for (int64_t i = 0; i < gr_size(x[1]); i++) {
            const int64_t other = i % 12 < 6 ? i + 6 : i - 6;
            assert_int_equal(gr_set(x[1], i, other < i ? 1.0 - gr_get(x[1], other) : (double)gr_rng_below(&rng, 2)),
                             GR_OK);
            if (kind == 2) assert_int_equal(gr_set(x[0], i, gr_rng_below(&rng, 2) ? 40 : -40), GR_OK);
        }
        assert_int_equal(gr_require_grad(x[0]), GR_OK);
        check_region(&c, x, kind < 2 && p % 7 == 0 ? 2 : 1, &t);
        free_inputs(x, 2);
    }
    print_tally("losses of regions", &t);
}

/* ---- No op is left out -------------------------------------------------------------------------------------- */

/* Every op that can be differentiated was so, at random points or at its samples. */
static void none_is_left_out(void **state)
{
    (void)state;
    for (int i = 0; gr_op_at(i); i++) {
        const gr_op *op = gr_op_at(i);
        if (!strcmp(op->name, "detach")) continue;
        const sample *usable[MANY];
        bool compared[MAX_INPUTS] = {false};
        int n_usable = usable_samples(op, true, usable, MANY);
        for (int k = 0; k < n_usable; k++) {
            gr_tensor *x[MAX_INPUTS];
            make_inputs(op, usable[k], GR_F64, x, 1);
            for (int j = 0; j < inputs_of(op, usable[k]); j++)
                compared[j] |= differentiable(op, j, x[j]) && gr_size(x[j]) > 0;
            free_inputs(x, inputs_of(op, usable[k]));
        }
        for (int j = 0; j < op->n_in && j < GR_MAX_VJPS; j++)
            if (op->vjp[j] && !compared[j]) fail_msg("%s: no sample differentiates input %d", op->name, j);
        if (op->n_in == GR_VARIADIC && !compared[0]) fail_msg("%s: no sample differentiates it", op->name);
    }
}

static void few_are_unresolved(void **state)
{
    (void)state;
    const double share = (double)everything.count[GR_CHECK_UNRESOLVED] / (double)everything.elements;
    print_tally("everywhere", &everything);
    printf("UNRESOLVED: %.4f %%\n", 100.0 * share);
    assert_true(share < 0.001);
}

int main(void)
{
    const char *points = getenv("GRADUS_POINTS");
    if (points && atoi(points) > 0) points_each = atoi(points);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_left_out),  cmocka_unit_test(samples_as_they_are), cmocka_unit_test(exactly_on_a_kink),
        cmocka_unit_test(on_kinks),          cmocka_unit_test(logits_of_40),        cmocka_unit_test(random_points),
        cmocka_unit_test(losses_of_regions), cmocka_unit_test(few_are_unresolved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
