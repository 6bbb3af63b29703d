/* test_random_graphs.c: the gradient checker on graphs that nobody would write by hand: ops, reductions, products,
 * norms, convolutions, losses, drawn at random and joined so that many a node is used twice. All derivatives are right:
 * none may FAIL. Then one node's gradient is made wrong: none may PASS. GRADUS_GRAPHS is the number of graphs.
 *
 * One aim is not reached: of 6,666 right graphs with inputs from 1e-8 to 1e8, whose values lose all digits of one
 * another, 7 FAIL. The test holds that number, which no change may raise. */
#include "helpers.h"

#include <gradus/gradus.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int n_graphs = 300;

/* ---- A graph ---------------------------------------------------------------------------------------------------- */

enum { LEAVES = 4, MAX_STEPS = 40 };

typedef struct step {
    int kind, a, b, option; /* made of values a and b */
} step;

/* Values are the leaves and what the steps make: all of shapes that broadcast to [3,4]. The result is the last of them,
 * or a number made of the last and of every third. */
typedef struct graph {
    step steps[MAX_STEPS];
    int n;
    bool is_scalar;
    int wrong_at; /* the gradient of this step's value is multiplied by `factor`; -1: of none */
    double factor;
} graph;

/* What losses and others need. */
static gr_tensor *mask, *classes, *signs, *rows, *weights;

static gr_tensor *matrix(gr_tape *t, gr_tensor *x) { return gr_broadcast_to(t, x, GR_SHAPE(3, 4)); }
static gr_tensor *image(gr_tape *t, gr_tensor *x) { return gr_reshape(t, matrix(t, x), GR_SHAPE(1, 1, 3, 4)); }
static gr_tensor *planes(gr_tape *t, gr_tensor *x) { return gr_reshape(t, matrix(t, x), GR_SHAPE(1, 2, 2, 3)); }
static gr_tensor *flat(gr_tape *t, gr_tensor *x) { return gr_reshape(t, x, GR_SHAPE(3, 4)); }
static gr_tensor *resized(gr_tape *t, gr_tensor *x, gr_upsample_mode mode)
{
    return flat(t, gr_upsample2d(t, x, 3, 4, mode));
}

/* ---- Kinds of steps --------------------------------------------------------------------------------------------- */

#define STEP(name) static gr_tensor *name(gr_tape *t, gr_tensor *a, gr_tensor *b, int option)

typedef gr_tensor *(*unary)(gr_tape *t, gr_tensor *x);
typedef gr_tensor *(*binary)(gr_tape *t, gr_tensor *a, gr_tensor *b);
typedef gr_tensor *(*reduction)(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep);
typedef gr_tensor *(*loss)(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options);

STEP(smooth)
{
    static const unary f[] = {gr_sin,         gr_cos,  gr_tanh, gr_sigmoid, gr_softplus,   gr_square,
                              gr_log_sigmoid, gr_gelu, gr_silu, gr_neg,     gr_normal_cdf, gr_exp};
    return (void)b, f[option % (int)COUNT(f)](t, a);
}

STEP(kinked)
{
    static const unary f[] = {gr_relu, gr_abs, gr_sign, gr_relu};
    switch (option % 8) {
    case 0: return gr_leaky_relu(t, a, 0.1);
    case 1: return gr_elu(t, a, 0.7);
    case 2: return gr_clamp(t, a, -0.5, 1.0);
    case 3: return gr_where(t, gr_greater(t, a, b), a, b);
    default: return f[option % (int)COUNT(f)](t, a);
    }
}

STEP(affine) { return (void)b, gr_shift(t, gr_scale(t, a, 0.25 * (option % 16) - 2.1), 0.5); }

STEP(both)
{
    static const binary f[] = {gr_add, gr_sub, gr_mul, gr_minimum, gr_maximum, gr_mul, gr_sub};
    return f[option % (int)COUNT(f)](t, a, b);
}

/* Functions kept away from where they end. */
STEP(guarded)
{
    gr_tensor *positive = gr_shift(t, gr_square(t, b), 0.1);
    switch (option % 6) {
    case 0: return gr_div(t, a, positive);
    case 1: return gr_log(t, positive);
    case 2: return gr_sqrt(t, positive);
    case 3: return gr_pow(t, positive, gr_tanh(t, a));
    case 4: return gr_log1p(t, gr_abs(t, a));
    default: return gr_pow_scalar(t, positive, -1.5);
    }
}

STEP(reduced)
{
    static const reduction f[] = {gr_sum, gr_mean, gr_max, gr_min, gr_logsumexp};
    const int axis = option & 1;
    gr_tensor *x = matrix(t, a);
    (void)b;
    switch (option / 2 % 8) {
    case 0: return gr_var(t, x, 1, &axis, true, 1);
    case 1: return gr_softmax(t, x, axis);
    case 2: return gr_log_softmax(t, x, axis);
    default: return f[option / 16 % (int)COUNT(f)](t, x, 1, &axis, true);
    }
}

STEP(product)
{
    gr_tensor *square = gr_matmul(t, matrix(t, a), matrix(t, b), GR_TRANS_B);
    return gr_matmul(t, square, matrix(t, a), option & 1 ? GR_TRANS_A : 0);
}

STEP(moved)
{
    gr_tensor *x = matrix(t, a), *two[] = {x, matrix(t, b)};
    switch (option % 5) {
    case 0: return flat(t, gr_transpose(t, x));
    case 1: return gr_slice(t, gr_concat(t, two, 2, 0), 0, 1, 4);
    case 2: return gr_sum(t, gr_stack(t, two, 2, 1), GR_AXES(1), false);
    case 3: return gr_slice(t, gr_pad(t, x, 1, 1, 1, 0.25), 1, 0, 4);
    default: return gr_gather_rows(t, gr_scatter_rows(t, x, rows, 3), rows);
    }
}

STEP(normed)
{
    (void)b;
    switch (option % 3) {
    case 0: return gr_layer_norm(t, matrix(t, a), 1 + (option / 3 & 1), NULL, NULL, 0.0);
    case 1: return flat(t, gr_group_norm(t, planes(t, a), 1 + (option / 3 & 1), NULL, NULL, 0.0));
    default:
        return flat(
            t, gr_batch_norm2d(t, planes(t, a), NULL, NULL, NULL, NULL, &(gr_batch_norm_options){.training = true}));
    }
}

STEP(of_images)
{
    const gr_pool2d_options window = {.kernel = {2, 2}, .stride = {1, 1}};
    gr_tensor *kernel = gr_reshape(t, gr_slice(t, matrix(t, b), 0, 0, 1), GR_SHAPE(1, 1, 2, 2));
    switch (option % 3) {
    case 0: return resized(t, gr_conv2d(t, image(t, a), kernel, NULL, NULL), GR_BILINEAR);
    case 1: return resized(t, gr_max_pool2d(t, image(t, a), &window), GR_NEAREST);
    default: return resized(t, gr_avg_pool2d(t, image(t, a), &window), GR_BILINEAR_ALIGNED);
    }
}

STEP(fitted_to)
{
    static const loss f[] = {gr_l1, gr_mse};
    const gr_loss_options each = {.reduction = GR_NONE}, logits = {.from_logits = true, .weight = weights};
    gr_tensor *p = matrix(t, a), *y = matrix(t, b), *targets = flat(t, mask);
    switch (option % 10) {
    case 0: return gr_huber(t, p, y, &(gr_huber_options){.base = each});
    case 1: return gr_smooth_l1(t, p, y, &(gr_smooth_l1_options){.base = each, .beta = 0.5});
    case 2: return gr_hinge(t, p, flat(t, signs), NULL);
    case 3: return gr_bce(t, p, targets, &logits);
    case 4: return gr_cross_entropy(t, p, classes, &(gr_loss_options){.from_logits = true, .label_smoothing = 0.1});
    case 5: return gr_kl(t, p, gr_softmax(t, gr_detach(t, flat(t, signs)), 1), &(gr_loss_options){.from_logits = true});
    case 6: return gr_focal(t, p, targets, &(gr_focal_options){.base = logits});
    case 7: return gr_weighted_bce(t, p, targets, &(gr_weighted_bce_options){.base = logits, .beta = 3.0});
    default: return f[option % (int)COUNT(f)](t, p, y, option & 2 ? NULL : &each);
    }
}

STEP(overlapped)
{
    const gr_region_options logits = {.from_logits = true, .region = (gr_region)(option / 8 % GR_N_REGIONS)};
    gr_tensor *x = planes(t, a);
    (void)b;
    switch (option % 8) {
    case 0: return gr_dice(t, x, mask, &(gr_overlap_options){.base = logits});
    case 1: return gr_jaccard(t, x, mask, &(gr_overlap_options){.base = logits});
    case 2: return gr_tversky(t, x, mask, &(gr_tversky_options){.base = logits, .fp_weight = 0.3, .fn_weight = 0.7});
    case 3: return gr_focal_tversky(t, x, mask, &(gr_focal_tversky_options){.base = logits});
    case 4: return gr_log_cosh_dice(t, x, mask, &(gr_overlap_options){.base = logits});
    case 5: return gr_dice_bce(t, x, mask, &(gr_compound_options){.base = logits});
    case 6: return gr_lovasz_hinge(t, x, mask, &logits);
    default: return gr_sensitivity_specificity(t, x, mask, &(gr_sensitivity_specificity_options){.base = logits});
    }
}

static const struct kind {
    const char *name;
    gr_tensor *(*make)(gr_tape *t, gr_tensor *a, gr_tensor *b, int option);
    int weight;           /* how often it is drawn */
    double largest_input; /* of the first; a sine of more is noise to any difference */
} kinds[] = {
    {"both", both, 7, 1e300},           {"smooth", smooth, 6, 1e4},         {"kinked", kinked, 5, 1e300},
    {"affine", affine, 2, 1e300},       {"guarded", guarded, 3, 1e300},     {"reduced", reduced, 3, 1e300},
    {"product", product, 2, 1e300},     {"moved", moved, 2, 1e300},         {"normed", normed, 2, 1e300},
    {"of_images", of_images, 2, 1e300}, {"fitted_to", fitted_to, 2, 1e300}, {"overlapped", overlapped, 2, 1e300}};

enum { JOINING = 0 }; /* "both" */

/* ---- Made and run ------------------------------------------------------------------------------------------------ */

/* The same value with its gradient times a factor. */
static gr_status same_kernel(gr_node *n)
{
    memcpy(gr_f64(n->out), gr_read_f64(n->in[0]), (size_t)gr_size(n->out) * sizeof(double));
    return GR_OK;
}

static gr_tensor *wrong_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_scale(t, g, *(const double *)n->attr);
}

static const gr_op wrong_op = {.name = "wrong",
                               .formula = "y = x",
                               .n_in = 1,
                               .attr_size = sizeof(double),
                               .shape = gr_shape_same,
                               .forward[GR_ANY_CPU] = {[GR_F64] = same_kernel},
                               .vjp = {wrong_vjp}};

/* The value of step i, of those before it. */
static gr_tensor *run_step(gr_tape *t, const graph *g, int i, gr_tensor *const v[])
{
    const step *s = &g->steps[i];
    gr_tensor *y = kinds[s->kind].make(t, v[s->a], v[s->b], s->option);
    return y && i == g->wrong_at ? gr_apply(t, &wrong_op, &y, 1, &g->factor) : y;
}

static gr_tensor *run_graph(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const graph *g = context;
    gr_tensor *v[LEAVES + MAX_STEPS], *sum;
    for (int i = 0; i < n; i++) v[i] = x[i];
    for (int i = 0; i < g->n; i++)
        if (!(v[n + i] = run_step(t, g, i, v))) return NULL;
    if (!g->is_scalar) return v[n + g->n - 1];
    sum = gr_mean(t, v[n + g->n - 1], GR_ALL_AXES, false);
    for (int i = g->n - 4; i >= 0; i -= 3)
        sum = gr_add(t, sum, gr_scale(t, gr_mean(t, v[n + i], GR_ALL_AXES, false), 0.5 + 0.1 * i));
    return sum;
}

static step draw_step(gr_rng *rng, int n_values)
{
    int total = 0, kind = 0;
    for (size_t k = 0; k < COUNT(kinds); k++) total += kinds[k].weight;
    int at = (int)gr_rng_below(rng, total);
    while (at >= kinds[kind].weight) at -= kinds[kind++].weight;
    const int newest = n_values - 1;
    if (n_values < 2 * LEAVES - 1) /* the first steps join the leaves, with +, - or times */
        return (step){JOINING, n_values == LEAVES ? 0 : newest, n_values - LEAVES + 1, (int)gr_rng_below(rng, 3)};
    return (step){.kind = kind,
                  .a = gr_rng_below(rng, 3) ? newest : (int)gr_rng_below(rng, n_values),
                  .b = (int)gr_rng_below(rng, n_values),
                  .option = (int)gr_rng_below(rng, 1 << 20)};
}

/* Whether values are finite and no larger than that; of a shape that the next steps can take. */
static bool is_tame(const gr_tensor *x, double largest)
{
    for (int64_t i = 0; i < gr_size(x); i++)
        if (!(fabs(gr_get(x, i)) <= largest)) return false;
    for (int i = 1; i <= gr_rank(x); i++)
        if (gr_rank(x) > 2 || (gr_dim(x, -i) != 1 && gr_dim(x, -i) != (i == 1 ? 4 : 3))) return false;
    return true;
}

/* Draws steps until the graph has 5 to 40 nodes or some more; one whose value is not tame is drawn again. */
static void draw_graph(graph *g, gr_tensor *const x[], double largest, gr_rng *rng)
{
    gr_tensor *v[LEAVES + MAX_STEPS];
    gr_tape *t = gr_tape_new();
    const int wanted = 5 + (int)gr_rng_below(rng, 32);
    *g = (graph){.wrong_at = -1, .is_scalar = gr_rng_below(rng, 3) > 0};
    for (int i = 0; i < LEAVES; i++) v[i] = x[i];
    for (int tries = 0; gr_tape_statistics(t).nodes < wanted && g->n < MAX_STEPS && tries < 200; tries++) {
        g->steps[g->n] = draw_step(rng, LEAVES + g->n);
        gr_tensor *y = run_step(t, g, g->n, v);
        if (!y) fail_msg("%s: %s", kinds[g->steps[g->n].kind].name, gr_last_error());
        const step *s = &g->steps[g->n];
        if (is_tame(y, largest) && is_tame(v[s->a], kinds[s->kind].largest_input)) v[LEAVES + g->n++] = y;
    }
    gr_tape_free(t);
}

static void print_graph(const graph *g)
{
    for (int i = 0; i < g->n; i++)
        printf("  v%d = %s(v%d, v%d, %d)%s\n", LEAVES + i, kinds[g->steps[i].kind].name, g->steps[i].a, g->steps[i].b,
               g->steps[i].option, i == g->wrong_at ? " wrong" : "");
    printf("  %s\n", g->is_scalar ? "a number of them" : "the last");
}

/* ---- Inputs ------------------------------------------------------------------------------------------------------ */

/* What the inputs are: N(0,1); that, rounded to halves; of sizes 1e-8 to 1e8. */
typedef enum input_set { NORMAL, HALVES, WIDE, N_INPUT_SETS } input_set;
static const struct {
    const char *name;
    double largest; /* that a node's value may be */
} input_sets[] = {[NORMAL] = {"N(0,1)", 1e3}, [HALVES] = {"halves", 1e3}, [WIDE] = {"1e-8 to 1e8", 1e17}};

static void make_leaves(gr_tensor *x[LEAVES], input_set set, gr_rng *rng)
{
    x[0] = gr_normal(GR_F64, GR_SHAPE(3, 4), 0, 1, rng);
    x[1] = gr_normal(GR_F64, GR_SHAPE(4), 0, 1, rng);
    x[2] = gr_normal(GR_F64, GR_SHAPE(3, 1), 0, 1, rng);
    x[3] = gr_normal(GR_F64, GR_SCALAR, 0, 1, rng);
    for (int i = 0; i < LEAVES; i++) {
        for (int64_t k = 0; k < gr_size(x[i]); k++) {
            double *v = gr_f64(x[i]) + k;
            if (set == HALVES) *v = round(2.0 * *v) / 2.0;
            if (set == WIDE) *v = copysign(pow(10.0, 16.0 * gr_rng_uniform(rng) - 8.0), *v);
        }
        assert_int_equal(gr_require_grad(x[i]), GR_OK);
    }
}

static void free_leaves(gr_tensor *x[LEAVES])
{
    for (int i = 0; i < LEAVES; i++) gr_tensor_free(x[i]);
}

/* ---- Right gradients --------------------------------------------------------------------------------------------- */

typedef struct tally {
    int64_t graphs, nodes, least, most, derivatives, verdicts[GR_CHECK_N_VERDICTS], count[GR_CHECK_N_VERDICTS];
} tally;

static int64_t nodes_of(graph *g, gr_tensor *const x[])
{
    gr_tape *t = gr_tape_new();
    assert_non_null(run_graph(t, x, LEAVES, g));
    const int64_t nodes = gr_tape_statistics(t).nodes;
    gr_tape_free(t);
    return nodes;
}

static gr_check_report check_graph(graph *g, gr_tensor *const x[], const gr_check_options *o, tally *t)
{
    gr_check_report r;
    if (gr_check_gradients(run_graph, g, x, LEAVES, o, &r)) {
        print_graph(g);
        fail_msg("%s", gr_last_error());
    }
    t->graphs++;
    t->derivatives += r.compared;
    t->verdicts[r.verdict]++;
    for (int v = 0; v < GR_CHECK_N_VERDICTS; v++) t->count[v] += r.count[v];
    return r;
}

static void print_row(const char *what, const tally *t, const int64_t *count, int64_t all)
{
    printf("| %s | %lld |", what, (long long)all);
    for (int v = 0; v < GR_CHECK_N_VERDICTS; v++) printf(" %lld |", (long long)count[v]);
    if (t->nodes)
        printf(" %lld to %lld nodes, %.1f on average", (long long)t->least, (long long)t->most,
               (double)t->nodes / (double)t->graphs);
    puts("");
}

static void report_case(const char *what, uint64_t seed, const graph *g, const gr_check_report *r)
{
    static char text[8192];
    gr_check_format(text, sizeof text, r);
    printf("%s, graph %llu:\n", what, (unsigned long long)seed);
    print_graph(g);
    puts(text);
}

/* By samples, or by directions. On kinks node by node: where several meet, what a tape makes of their derivatives need
 * be the slope on no side (that of relu(x) - relu(-x) at 0 is 0). */
static gr_check_options options_of(uint64_t seed, input_set set)
{
    if (set == HALVES) return (gr_check_options){.mode = GR_CHECK_PER_NODE, .samples = 2, .seed = seed};
    if (seed % 4 == 3) return (gr_check_options){.mode = GR_CHECK_DIRECTIONAL, .directions = 2, .seed = seed};
    return (gr_check_options){.mode = GR_CHECK_SAMPLED, .samples = 2, .seed = seed};
}

static int try_right_graphs(input_set set, tally *t)
{
    int bad = 0;
    t->least = INT64_MAX;
    for (uint64_t seed = 0; seed < (uint64_t)n_graphs / N_INPUT_SETS; seed++) {
        gr_rng rng = gr_rng_seed(N_INPUT_SETS * seed + set);
        gr_tensor *x[LEAVES];
        graph g;
        make_leaves(x, set, &rng);
        draw_graph(&g, x, input_sets[set].largest, &rng);
        const int64_t nodes = nodes_of(&g, x);
        t->nodes += nodes;
        t->least = nodes < t->least ? nodes : t->least;
        t->most = nodes > t->most ? nodes : t->most;
        const gr_check_options o = options_of(seed, set);
        const gr_check_report r = check_graph(&g, x, &o, t);
        const bool is_bad = r.count[GR_CHECK_FAIL] || r.count[GR_CHECK_NONDETERMINISTIC];
        if (is_bad || (r.count[GR_CHECK_UNRESOLVED] && set == NORMAL && getenv("GRADUS_VERBOSE")))
            report_case(input_sets[set].name, seed, &g, &r);
        bad += is_bad;
        free_leaves(x);
    }
    return bad;
}

static void print_head(const char *what)
{
    printf("| %s | number | PASS | FAIL | KINK | UNRESOLVED | VACUOUS | NONDETERMINISTIC | |\n"
           "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
           what);
}

static void right_gradients(void **state)
{
    (void)state;
    tally t[N_INPUT_SETS] = {{0}};
    int bad[N_INPUT_SETS];
    for (int set = NORMAL; set < N_INPUT_SETS; set++) bad[set] = try_right_graphs((input_set)set, &t[set]);
    print_head("right gradients");
    for (int set = NORMAL; set < N_INPUT_SETS; set++) {
        print_row(input_sets[set].name, &t[set], t[set].verdicts, t[set].graphs);
        print_row("each derivative", &(tally){0}, t[set].count, t[set].derivatives);
    }
    printf("right graphs that FAIL: %d, %d, %d\n", bad[NORMAL], bad[HALVES], bad[WIDE]);
    assert_int_equal(bad[NORMAL] + bad[HALVES], 0);
    assert_true(952 * (int64_t)bad[WIDE] <= t[WIDE].graphs);
    assert_true(1000 * t[NORMAL].count[GR_CHECK_UNRESOLVED] <= t[NORMAL].derivatives);
}

/* ---- Wrong gradients --------------------------------------------------------------------------------------------- */

enum { MAX_ELEMENTS = 32 };

/* The gradient, each element times that of x: what comes of a change by the same part everywhere. Where the result has
 * several elements their weights are a wave with this phase. */
static int gradient_of(graph *g, gr_tensor *const x[], double phase, double d[MAX_ELEMENTS])
{
    int n = 0;
    gr_tape *t = gr_tape_new();
    gr_tensor *out[LEAVES], *y = run_graph(t, x, LEAVES, g);
    if (y && gr_size(y) != 1) y = gr_sum(t, gr_mul(t, y, pattern(t, y, phase)), GR_ALL_AXES, false);
    if (!y || gr_grad(t, y, x, LEAVES, out, 0)) fail_msg("%s", gr_last_error());
    for (int i = 0; i < LEAVES; i++)
        for (int64_t k = 0; k < gr_size(out[i]); k++) d[n++] = gr_get(out[i], k) * gr_get(x[i], k);
    gr_tape_free(t);
    return n;
}

/* Each x by such a part of itself, up or down. */
static void nudge(gr_tensor *const x[], double by)
{
    for (int i = 0; i < LEAVES; i++)
        for (int64_t k = 0; k < gr_size(x[i]); k++) gr_f64(x[i])[k] *= 1.0 + ((i + k) % 2 ? by : -by);
}

/* Whether the wrong node shows in some element of the gradient: by 1e-5 of it, and that no small one, nor one that is
 * rounding alone, as a gradient of 0 may be: beside x, and with weights beside these, it is another number. */
static bool is_visible(graph *g, gr_tensor *const x[])
{
    double right[MAX_ELEMENTS], wrong[MAX_ELEMENTS], beside[MAX_ELEMENTS], largest = 0.0;
    gr_tensor *near[LEAVES];
    graph as_it_is = *g;
    as_it_is.wrong_at = -1;
    const int n = gradient_of(&as_it_is, x, 0.0, right);
    gradient_of(g, x, 0.0, wrong);
    for (int i = 0; i < LEAVES; i++) {
        near[i] = gr_copy(x[i]);
        assert_int_equal(gr_require_grad(near[i]), GR_OK);
    }
    nudge(near, 0x1p-44);
    gradient_of(&as_it_is, near, 0x1p-40, beside);
    free_leaves(near);
    for (int k = 0; k < n; k++) largest = fmax(largest, fabs(right[k]));
    for (int k = 0; k < n && largest > 1e-9; k++)
        if (fabs(wrong[k] - right[k]) > 1e-5 * fmax(fabs(right[k]), 1e-3 * largest) &&
            fabs(beside[k] - right[k]) <= 0.1 * fabs(right[k]))
            return true;
    return false;
}

static void wrong_gradients(void **state)
{
    (void)state;
    static const double factors[] = {2.0, -1.0, 1.001};
    static const char *const names[] = {"times 2", "times -1", "times 1.001"};
    tally t[COUNT(factors)] = {{0}};
    int bad = 0;
    for (uint64_t seed = 0; seed < (uint64_t)n_graphs / 5; seed++) {
        gr_rng rng = gr_rng_seed(1000000 + seed);
        gr_tensor *x[LEAVES];
        graph g;
        const input_set set = seed & 1 ? WIDE : NORMAL;
        make_leaves(x, set, &rng);
        draw_graph(&g, x, input_sets[set].largest, &rng);
        const int which = (int)(seed % COUNT(factors));
        g.factor = factors[which];
        g.wrong_at = (int)gr_rng_below(&rng, g.n);
        if (is_visible(&g, x)) {
            const gr_check_report r = check_graph(&g, x, &(gr_check_options){.seed = seed}, &t[which]);
            const bool is_bad = r.verdict != GR_CHECK_FAIL && r.verdict != GR_CHECK_UNRESOLVED;
            if (is_bad || (r.verdict != GR_CHECK_FAIL && getenv("GRADUS_VERBOSE")))
                report_case(names[which], seed, &g, &r);
            bad += is_bad;
        }
        free_leaves(x);
    }
    print_head("wrong gradients");
    for (size_t w = 0; w < COUNT(factors); w++) print_row(names[w], &t[w], t[w].verdicts, t[w].graphs);
    assert_int_equal(bad, 0);
    assert_true(t[0].graphs > n_graphs / 50);
}

/* ---- Constants --------------------------------------------------------------------------------------------------- */

static int make_constants(void **state)
{
    (void)state;
    mask = gr_from(GR_F64, GR_SHAPE(1, 2, 2, 3), (double[]){1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0});
    signs = gr_from(GR_F64, GR_SHAPE(3, 4), (double[]){1, -1, -1, 1, 1, -1, 1, 1, -1, -1, -1, 1});
    weights = gr_from(GR_F64, GR_SHAPE(3, 4), (double[]){1, 2, 0.5, 1, 0, 1, 1, 3, 1, 0.25, 1, 1});
    classes = gr_from(GR_I32, GR_SHAPE(3), (int32_t[]){2, 0, 3});
    rows = gr_from(GR_I32, GR_SHAPE(3), (int32_t[]){2, 0, 2});
    return mask && signs && weights && classes && rows ? 0 : -1;
}

static int free_constants(void **state)
{
    (void)state;
    gr_tensor *const all[] = {mask, signs, weights, classes, rows};
    for (size_t i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
    return 0;
}

int main(void)
{
    const char *graphs = getenv("GRADUS_GRAPHS");
    if (graphs && atoi(graphs) > 0) n_graphs = atoi(graphs);
    const struct CMUnitTest tests[] = {cmocka_unit_test(right_gradients), cmocka_unit_test(wrong_gradients)};
    return cmocka_run_group_tests(tests, make_constants, free_constants);
}
