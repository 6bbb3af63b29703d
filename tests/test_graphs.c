/* test_graphs.c: graphs that nobody would write by hand: random ones against finite differences, and ones that are
 * very deep or very wide, on a small stack. */
#include "helpers.h"

#include <pthread.h>

#include <gradus/random.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void ok(gr_status status)
{
    if (status) fail_msg("%s", gr_last_error());
}

static gr_tensor *total(gr_tape *t, gr_tensor *x) { return gr_sum(t, x, GR_ALL_AXES, false); }

/* ---- Random graphs ------------------------------------------------------------------------------------------- */

enum { LEAVES = 4, STEPS = 30 };

/* A graph is its seed. Values have shapes that broadcast to [3,4] and stay small, and every step is smooth. */
typedef struct graph {
    uint64_t seed;
    gr_tensor *index, *choice; /* constants: rows, and which side of a where */
    bool differentiate;        /* the function is made of the gradient's elements */
} graph;

typedef struct builder {
    gr_tape *t;
    gr_rng rng;
    const graph *g;
    gr_tensor *v[LEAVES + STEPS];
    int n;
} builder;

static int draw(builder *b, int bound) { return (int)gr_rng_below(&b->rng, bound); }

static gr_tensor *any(builder *b) { return b->v[draw(b, 4) ? draw(b, b->n) : b->n - 1]; }

static gr_tensor *matrix(builder *b) { return gr_broadcast_to(b->t, any(b), GR_SHAPE(3, 4)); }

static gr_tensor *function(builder *b)
{
    gr_tensor *(*const f[])(gr_tape *, gr_tensor *) = {gr_sin,         gr_cos,  gr_tanh, gr_sigmoid, gr_softplus,
                                                       gr_log_sigmoid, gr_gelu, gr_silu, gr_neg,     gr_normal_cdf};
    return f[draw(b, COUNT(f))](b->t, any(b));
}

static gr_tensor *scaled(builder *b) { return gr_shift(b->t, gr_scale(b->t, any(b), -0.75), 0.5); }

static gr_tensor *tamed(builder *b)
{
    gr_tensor *x = gr_tanh(b->t, any(b));
    switch (draw(b, 5)) {
    case 0: return gr_exp(b->t, x);
    case 1: return gr_expm1(b->t, x);
    case 2: return gr_log1p(b->t, gr_square(b->t, x));
    case 3: return gr_sqrt(b->t, gr_shift(b->t, gr_square(b->t, x), 1.0));
    default: return gr_pow_scalar(b->t, gr_shift(b->t, x, 1.5), 1.5);
    }
}

static gr_tensor *combined(builder *b)
{
    gr_tensor *x = any(b), *y = any(b);
    switch (draw(b, 5)) {
    case 0: return gr_tanh(b->t, gr_mul(b->t, x, y));
    case 1: return gr_div(b->t, x, gr_shift(b->t, gr_square(b->t, y), 2.0));
    case 2: return gr_sub(b->t, x, y);
    case 3: return gr_where(b->t, b->g->choice, x, y);
    default: return gr_tanh(b->t, gr_add(b->t, x, y));
    }
}

static gr_tensor *reduced(builder *b)
{
    gr_tensor *x = matrix(b);
    const int axis = draw(b, 2) - 2;
    switch (draw(b, 6)) {
    case 0: return gr_tanh(b->t, gr_sum(b->t, x, 1, &axis, true));
    case 1: return gr_mean(b->t, x, GR_ALL_AXES, false);
    case 2: return gr_logsumexp(b->t, x, 1, &axis, true);
    case 3: return gr_tanh(b->t, gr_var(b->t, x, 1, &axis, true, 1));
    case 4: return gr_log_softmax(b->t, gr_tanh(b->t, x), axis);
    default: return gr_softmax(b->t, x, axis);
    }
}

static gr_tensor *multiplied(builder *b)
{
    gr_tensor *x = matrix(b), *y = matrix(b);
    gr_tensor *square = draw(b, 2) ? gr_matmul(b->t, x, y, GR_TRANS_B) : gr_matmul(b->t, y, gr_transpose(b->t, x), 0);
    return gr_tanh(b->t, gr_scale(b->t, gr_matmul(b->t, square, x, draw(b, 2) ? GR_TRANS_A : 0), 0.3));
}

static gr_tensor *rearranged(builder *b)
{
    gr_tensor *x = matrix(b), *y = matrix(b), *two[] = {x, y};
    switch (draw(b, 6)) {
    case 0: return gr_reshape(b->t, gr_transpose(b->t, x), GR_SHAPE(3, 4));
    case 1: return gr_slice(b->t, gr_concat(b->t, two, 2, 0), 0, 1, 4);
    case 2: return gr_slice(b->t, gr_concat(b->t, two, 2, 1), 1, 2, 6);
    case 3: return gr_sum(b->t, gr_stack(b->t, two, 2, draw(b, 3)), GR_AXES(0), false);
    case 4: return gr_slice(b->t, gr_pad(b->t, x, 0, 1, 1, 0.25), 0, draw(b, 2), -1);
    default: return gr_gather_rows(b->t, gr_scatter_rows(b->t, x, b->g->index, 3), b->g->index);
    }
}

/* Anything that may come out of a reduction or a stack, as a shape that broadcasts to [3,4]. */
static gr_tensor *fitted(builder *b, gr_tensor *x)
{
    bool fits = gr_rank(x) <= 2;
    for (int i = 1; fits && i <= gr_rank(x); i++) fits = gr_dim(x, -i) == 1 || gr_dim(x, -i) == (i == 1 ? 4 : 3);
    return fits ? x : gr_mean(b->t, x, GR_ALL_AXES, false);
}

/* The steps of the graph, and of them all a weighted sum. */
static gr_tensor *build(gr_tape *t, gr_tensor *const x[], int n, const graph *g)
{
    gr_tensor *(*const steps[])(builder *) = {function, function, scaled,  tamed,      combined,
                                              combined, combined, reduced, multiplied, rearranged};
    builder b = {.t = t, .rng = gr_rng_seed(g->seed), .g = g};
    for (; b.n < n; b.n++) b.v[b.n] = x[b.n];
    gr_tensor *sum = total(t, gr_sin(t, x[0]));
    for (int i = 0; i < STEPS && sum; i++) {
        gr_tensor *v = steps[draw(&b, COUNT(steps))](&b);
        if (!v) return NULL;
        b.v[b.n++] = v = fitted(&b, v);
        if (draw(&b, 3) == 0 || i == STEPS - 1)
            sum = gr_add(t, sum, gr_scale(t, gr_mean(t, v, GR_ALL_AXES, false), 0.5 + 0.1 * i));
    }
    return sum;
}

/* The function, or a number made of its gradient. */
static gr_tensor *evaluate(gr_tape *t, gr_tensor *const x[], const graph *g)
{
    gr_tensor *y = build(t, x, LEAVES, g), *d[LEAVES], *sum = y ? gr_scale(t, y, 0.125) : NULL;
    if (!y || !g->differentiate) return y;
    if (gr_grad(t, y, x, LEAVES, d, GR_CREATE_GRAPH)) return NULL;
    for (int i = 0; i < LEAVES; i++) sum = gr_add(t, sum, total(t, gr_mul(t, d[i], pattern(t, d[i], 0.3 + i))));
    return sum;
}

static void make_leaves(gr_tensor *x[LEAVES], graph *g, uint64_t seed)
{
    gr_rng rng = gr_rng_seed(1000 + seed);
    x[0] = gr_uniform(GR_F64, GR_SHAPE(3, 4), -1, 1, &rng);
    x[1] = gr_uniform(GR_F64, GR_SHAPE(4), -1, 1, &rng);
    x[2] = gr_uniform(GR_F64, GR_SHAPE(3, 1), -1, 1, &rng);
    x[3] = gr_uniform(GR_F64, GR_SCALAR, -1, 1, &rng);
    for (int i = 0; i < LEAVES; i++) ok(gr_require_grad(x[i]));
    g->seed = seed;
    g->index = gr_from(GR_I32, GR_SHAPE(3), (int32_t[]){2, 0, 2});
    g->choice = gr_from(GR_F64, GR_SHAPE(3, 1), (double[]){1, 0, 1});
}

static void free_leaves(gr_tensor *x[LEAVES], graph *g)
{
    for (int i = 0; i < LEAVES; i++) gr_tensor_free(x[i]);
    gr_tensor_free(g->index);
    gr_tensor_free(g->choice);
}

static double value_at(gr_tape *t, gr_tensor *const x[], const graph *g, int leaf, int64_t i, double value)
{
    ok(gr_set(x[leaf], i, value));
    gr_tensor *y = evaluate(t, x, g);
    if (!y) fail_msg("graph %d: %s", (int)g->seed, gr_last_error());
    const double f = gr_item(y);
    gr_tape_reset(t);
    return f;
}

static void check_against_differences(uint64_t first, uint64_t last, bool differentiate, double tolerance)
{
    const double h = 0x1p-17;
    gr_tape *t = gr_tape_new();
    for (uint64_t seed = first; seed < last; seed++) {
        gr_tensor *x[LEAVES], *d[LEAVES], *analytic[LEAVES];
        graph g = {.differentiate = differentiate};
        make_leaves(x, &g, seed);
        gr_tensor *y = evaluate(t, x, &g);
        if (!y || gr_grad(t, y, x, LEAVES, d, 0)) fail_msg("graph %d: %s", (int)seed, gr_last_error());
        for (int i = 0; i < LEAVES; i++) analytic[i] = gr_copy(d[i]);
        gr_tape_reset(t);
        for (int i = 0; i < LEAVES; i++)
            for (int64_t k = 0; k < gr_size(x[i]); k++) {
                const double at = gr_get(x[i], k), exact = gr_get(analytic[i], k);
                const double numeric =
                    (value_at(t, x, &g, i, k, at + h) - value_at(t, x, &g, i, k, at - h)) / (2.0 * h);
                ok(gr_set(x[i], k, at));
                if (!close_to(exact, numeric, tolerance))
                    fail_msg("graph %d, leaf %d[%d]: analytic %.12g, numeric %.12g", (int)seed, i, (int)k, exact,
                             numeric);
            }
        for (int i = 0; i < LEAVES; i++) gr_tensor_free(analytic[i]);
        free_leaves(x, &g);
    }
    gr_tape_free(t);
}

static void random_graphs(void **state)
{
    (void)state;
    check_against_differences(0, 400, false, 1e-7);
}

static void gradients_of_random_graphs(void **state)
{
    (void)state;
    check_against_differences(0, 60, true, 1e-7);
}

/* However the gradient is asked for, it is the same; and the tape is empty afterwards. */
static void flags_change_no_gradient(void **state)
{
    (void)state;
    static const int flags[] = {GR_CREATE_GRAPH, GR_RETAIN, 0};
    gr_tape *t = gr_tape_new();
    for (uint64_t seed = 0; seed < 200; seed++) {
        gr_tensor *x[LEAVES], *d[LEAVES];
        graph g = {.differentiate = false};
        make_leaves(x, &g, seed);
        gr_tensor *y = build(t, x, LEAVES, &g);
        ok(gr_grad(t, y, x, LEAVES, d, GR_RETAIN));
        for (size_t k = 0; k < COUNT(flags); k++) {
            for (int i = 0; i < LEAVES; i++) gr_zero_grad(x[i]);
            ok(gr_backward(t, y, flags[k]));
            for (int i = 0; i < LEAVES; i++)
                for (int64_t e = 0; e < gr_size(x[i]); e++) /* a leaf that y does not depend on has none, or zeros */
                    assert_true(
                        close_to(gr_gradient(x[i]) ? gr_get(gr_gradient(x[i]), e) : 0.0, gr_get(d[i], e), 1e-14));
        }
        gr_tape_reset(t);
        assert_int_equal(gr_tape_statistics(t).tensors, 0);
        assert_int_equal(gr_tape_statistics(t).bytes, 0);
        free_leaves(x, &g);
    }
    gr_tape_free(t);
}

/* ---- Deep and wide ------------------------------------------------------------------------------------------- */

/* Each of these makes y from x [20] with dy/dx = 1 in every element, by way of very many nodes. */
static gr_tensor *deep(gr_tape *t, gr_tensor *x)
{
    for (int i = 0; i < 34000 && x; i++) x = gr_add(t, gr_scale(t, x, 0.25), gr_scale(t, x, 0.75));
    return total(t, x);
}

/* Residuals through views: what adds up at every link is the view of a gradient. */
static gr_tensor *deep_with_views(gr_tape *t, gr_tensor *x)
{
    for (int i = 0; i < 20000 && x; i++) {
        gr_tensor *branch = gr_scale(t, x, 0.5), *view = gr_reshape(t, x, GR_SHAPE(4, 5));
        x = gr_add(t, branch, gr_reshape(t, gr_scale(t, view, 0.5), GR_SHAPE(20)));
    }
    return total(t, x);
}

static gr_tensor *wide(gr_tape *t, gr_tensor *x)
{
    gr_tensor *sum = NULL;
    for (int i = 0; i < 16384; i++) {
        gr_tensor *branch = gr_scale(t, x, 0x1p-14);
        sum = sum ? gr_add(t, sum, branch) : branch;
    }
    return total(t, sum);
}

static gr_tensor *concatenated(gr_tape *t, gr_tensor *x)
{
    static gr_tensor *many[4096];
    for (size_t i = 0; i < COUNT(many); i++) many[i] = i % 2 ? x : gr_scale(t, x, 1.0);
    return gr_scale(t, total(t, gr_concat(t, many, COUNT(many), 0)), 0x1p-12);
}

typedef struct job {
    gr_tensor *(*make)(gr_tape *t, gr_tensor *x);
    bool failed;
} job;

static void *run_job(void *argument)
{
    job *j = argument;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_ones(GR_F64, GR_SHAPE(20)), *d = NULL;
    j->failed = gr_require_grad(x) != GR_OK;
    for (int step = 0; step < 2 && !j->failed; step++) {
        gr_tensor *y = j->make(t, x);
        j->failed = gr_grad(t, y, &x, 1, &d, GR_RETAIN) || gr_backward(t, y, 0);
        for (int64_t i = 0; i < 20 && !j->failed; i++)
            j->failed = gr_get(d, i) != 1.0 || gr_get(gr_gradient(x), i) != 1.0 + step;
        gr_tape_reset(t);
    }
    gr_tape_free(t);
    gr_tensor_free(x);
    return NULL;
}

/* In a thread with a small stack: nothing may recurse along the graph. */
static void run_on_a_small_stack(gr_tensor *(*make)(gr_tape *t, gr_tensor *x))
{
    job j = {.make = make};
    pthread_t thread;
    pthread_attr_t attributes;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 256 * 1024), 0);
    assert_int_equal(pthread_create(&thread, &attributes, run_job, &j), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    assert_false(j.failed);
}

static void deep_graphs(void **state)
{
    (void)state;
    run_on_a_small_stack(deep);
}

static void deep_graphs_with_views(void **state)
{
    (void)state;
    run_on_a_small_stack(deep_with_views);
}

static void wide_graphs(void **state)
{
    (void)state;
    run_on_a_small_stack(wide);
}

static void wide_nodes(void **state)
{
    (void)state;
    run_on_a_small_stack(concatenated);
}

/* The tenth derivative of e^(x/2): 2^-10 e^(x/2). Each differentiation records what the one before recorded, again. */
static void a_tenth_derivative(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_scalar(GR_F64, 0.8);
    ok(gr_require_grad(x));
    gr_tensor *y = gr_exp(t, gr_scale(t, x, 0.5));
    const double value = gr_item(y);
    for (int order = 1; order <= 10; order++) {
        ok(gr_grad(t, y, &x, 1, &y, GR_CREATE_GRAPH));
        assert_true(close_to(gr_item(y) * pow(2, order), value, 1e-15));
    }
    gr_tape_free(t);
    gr_tensor_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs),
        cmocka_unit_test(gradients_of_random_graphs),
        cmocka_unit_test(flags_change_no_gradient),
        cmocka_unit_test(deep_graphs),
        cmocka_unit_test(deep_graphs_with_views),
        cmocka_unit_test(wide_graphs),
        cmocka_unit_test(wide_nodes),
        cmocka_unit_test(a_tenth_derivative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
