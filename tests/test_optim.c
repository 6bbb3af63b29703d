/* test_optim.c: parameters, optimizers, schedules, clipping.
 *
 * Every optimizer runs beside its textbook recurrence, one element at a time and in long double, on a quadratic whose
 * gradient each side takes at its own weights. */
#include <float.h>

#include <gradus/optim.h>

#include "helpers.h"
#include "tensor/internal.h"

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

static const double nan_ = (double)NAN, infinity = (double)INFINITY;

static void assert_fails(gr_status status, gr_status expected, const char *part)
{
    assert_int_equal(status, expected);
    assert_int_equal(gr_last_status(), expected);
    if (!strstr(gr_last_error(), part)) fail_msg("\"%s\" does not say \"%s\"", gr_last_error(), part);
    gr_clear_error();
}

static void assert_refused(const void *result, gr_status expected, const char *part)
{
    assert_null(result);
    assert_fails(gr_last_status(), expected, part);
}

/* In double, and relative to b; cmocka's own compares floats. */
static void assert_near(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance * fabs(b))) fail_msg("%.17g is not %.17g", a, b);
}

/* Gives w the gradient g, as a backward pass would, through the inside of the tensor. */
static void give(gr_tensor *w, const double g[])
{
    if (!w->grad) w->grad = gr_zeros((gr_dtype)w->dtype, w->rank, w->shape);
    assert_non_null(w->grad);
    for (int64_t i = 0; i < w->size; i++) assert_int_equal(gr_set(w->grad, i, g[i]), GR_OK);
    w->has_grad = true;
}

static void give_all(gr_tensor *w, double g)
{
    if (!w->grad) w->grad = gr_zeros((gr_dtype)w->dtype, w->rank, w->shape);
    assert_non_null(w->grad);
    for (int64_t i = 0; i < w->size; i++) assert_int_equal(gr_set(w->grad, i, g), GR_OK);
    w->has_grad = true;
}

static gr_params *one(gr_dtype dtype, int64_t n, double value)
{
    gr_params *params = gr_params_new();
    assert_non_null(gr_params_add(params, "w", gr_full(dtype, GR_SHAPE(n), value)));
    return params;
}

/* ---- An allocator that counts and fails --------------------------------------------------------------------- */

static struct {
    int calls, live, fail_at; /* 0: never */
} heap;

static void *heap_allocate(void *context, size_t bytes)
{
    (void)context;
    if (++heap.calls == heap.fail_at) return NULL;
    heap.live++;
    return malloc(bytes);
}

static void heap_release(void *context, void *memory)
{
    (void)context;
    heap.live--;
    free(memory);
}

static void watch_heap(void)
{
    memset(&heap, 0, sizeof heap);
    gr_set_allocator(&(gr_allocator){heap_allocate, heap_release, NULL});
}

static void leave_heap(void)
{
    gr_set_allocator(NULL);
    assert_int_equal(heap.live, 0);
}

static void fail_after(int calls)
{
    heap.fail_at = heap.calls + calls;
}

/* ---- Optimizers against their recurrences ------------------------------------------------------------------- */

/* One element: its weight and whatever its optimizer remembers. */
typedef struct element {
    long double w, first, second;
    int t;
} element;

typedef struct rule {
    const char *name;
    gr_optimizer *(*make)(gr_params *params);
    void (*advance)(element *e, long double g, long double lr);
    double lr;
} rule;

static gr_optimizer *make_sgd(gr_params *p)
{
    return gr_sgd(p, NULL);
}

static void sgd(element *e, long double g, long double lr)
{
    e->w = e->w - lr * g;
}

static gr_optimizer *make_sgd_decay(gr_params *p)
{
    return gr_sgd(p, &(gr_sgd_options){.lr = 0.1, .weight_decay = 0.3});
}

static void sgd_decay(element *e, long double g, long double lr)
{
    e->w = e->w - lr * (g + 0.3L * e->w);
}

static gr_optimizer *make_momentum(gr_params *p)
{
    return gr_sgd(p, &(gr_sgd_options){.lr = 0.05, .momentum = 0.8, .weight_decay = 0.2});
}

static void momentum(element *e, long double g, long double lr)
{
    g += 0.2L * e->w;
    e->first = e->t == 1 ? g : 0.8L * e->first + g;
    e->w -= lr * e->first;
}

static gr_optimizer *make_nesterov(gr_params *p)
{
    return gr_sgd(p, &(gr_sgd_options){.lr = 0.05, .momentum = 0.8, .weight_decay = 0.2, .nesterov = true});
}

static void nesterov(element *e, long double g, long double lr)
{
    g += 0.2L * e->w;
    e->first = e->t == 1 ? g : 0.8L * e->first + g;
    e->w -= lr * (g + 0.8L * e->first);
}

static void adam_by(element *e, long double g, long double lr, long double beta1, long double beta2, long double eps)
{
    e->first = beta1 * e->first + (1.0L - beta1) * g;
    e->second = beta2 * e->second + (1.0L - beta2) * g * g;
    long double m = e->first / (1.0L - powl(beta1, e->t)), v = e->second / (1.0L - powl(beta2, e->t));
    e->w -= lr * m / (sqrtl(v) + eps);
}

static gr_optimizer *make_adam(gr_params *p)
{
    return gr_adam(p, NULL);
}

static void adam(element *e, long double g, long double lr)
{
    adam_by(e, g, lr, 0.9L, 0.999L, 1e-8L);
}

static const gr_adam_options adam_all = {.lr = 0.05, .beta1 = 0.8, .beta2 = 0.95, .eps = 0.1, .weight_decay = 0.2};

static gr_optimizer *make_adam_all(gr_params *p)
{
    return gr_adam(p, &adam_all);
}

static void adam_decay(element *e, long double g, long double lr)
{
    adam_by(e, g + 0.2L * e->w, lr, 0.8L, 0.95L, 0.1L);
}

static gr_optimizer *make_adamw(gr_params *p)
{
    return gr_adamw(p, NULL);
}

static gr_optimizer *make_adamw_all(gr_params *p)
{
    return gr_adamw(p, &adam_all);
}

static void adamw_decay(element *e, long double g, long double lr)
{
    e->w *= 1.0L - lr * 0.2L;
    adam_by(e, g, lr, 0.8L, 0.95L, 0.1L);
}

static gr_optimizer *make_rmsprop(gr_params *p)
{
    return gr_rmsprop(p, NULL);
}

static void rmsprop(element *e, long double g, long double lr)
{
    e->first = 0.99L * e->first + 0.01L * g * g;
    e->w -= lr * g / (sqrtl(e->first) + 1e-8L);
}

static gr_optimizer *make_rmsprop_decay(gr_params *p)
{
    return gr_rmsprop(p, &(gr_rmsprop_options){.lr = 0.02, .alpha = 0.9, .eps = 0.1, .weight_decay = 0.2});
}

static void rmsprop_decay(element *e, long double g, long double lr)
{
    g += 0.2L * e->w;
    e->first = 0.9L * e->first + 0.1L * g * g;
    e->w -= lr * g / (sqrtl(e->first) + 0.1L);
}

static gr_optimizer *make_rmsprop_all(gr_params *p)
{
    return gr_rmsprop(
        p, &(gr_rmsprop_options){.lr = 0.02, .alpha = 0.9, .eps = 0.1, .momentum = 0.7, .weight_decay = 0.2});
}

static void rmsprop_all(element *e, long double g, long double lr)
{
    g += 0.2L * e->w;
    e->first = 0.9L * e->first + 0.1L * g * g;
    e->second = 0.7L * e->second + g / (sqrtl(e->first) + 0.1L);
    e->w -= lr * e->second;
}

static const rule rules[] = {
    {"sgd", make_sgd, sgd, 0.01},
    {"sgd, decay", make_sgd_decay, sgd_decay, 0.1},
    {"sgd, momentum, decay", make_momentum, momentum, 0.05},
    {"sgd, nesterov, decay", make_nesterov, nesterov, 0.05},
    {"adam", make_adam, adam, 0.001},
    {"adam, all options", make_adam_all, adam_decay, 0.05},
    {"adamw", make_adamw, adam, 0.001},
    {"adamw, all options", make_adamw_all, adamw_decay, 0.05},
    {"rmsprop", make_rmsprop, rmsprop, 0.01},
    {"rmsprop, decay", make_rmsprop_decay, rmsprop_decay, 0.02},
    {"rmsprop, all options", make_rmsprop_all, rmsprop_all, 0.02},
};

/* Three parameters: a scalar, one with a vector body and a rest, one that sits every third step out; and one of no
 * elements at all. The quadratic is sum a_k (w_k - c_k)^2 / 2. */
enum { N_PARAMS = 4, N_ELEMENTS = 37, N_STEPS = 30 };
static const int64_t lengths[N_PARAMS] = {1, N_ELEMENTS, 5, 0};

static long double stiffness(int p, int64_t i)
{
    return 0.5L + 0.25L * (long double)((i + 3 * p) % 7);
}

static long double target(int p, int64_t i)
{
    return 1.0L + 0.5L * (long double)((3 * i + p) % 5);
}

static double start(int p, int64_t i)
{
    return -1.5 + 0.0625 * (double)((5 * i + p) % 11);
}

static void run_beside_recurrence(const rule *r, gr_dtype dtype, double tolerance)
{
    gr_params *params = gr_params_new();
    element e[N_PARAMS][N_ELEMENTS] = {0};
    for (int p = 0; p < N_PARAMS; p++) {
        char name[] = {(char)('a' + p), 0};
        gr_tensor *w = gr_params_add(params, name, gr_zeros(dtype, p ? 1 : 0, &lengths[p]));
        assert_non_null(w);
        for (int64_t i = 0; i < lengths[p]; i++) {
            assert_int_equal(gr_set(w, i, start(p, i)), GR_OK);
            e[p][i].w = (long double)start(p, i);
        }
    }
    gr_optimizer *o = r->make(params);
    assert_non_null(o);
    double lr = r->lr, worst = 0.0;
    assert_true(gr_learning_rate(o) == lr);
    for (int step = 0; step < N_STEPS; step++) {
        if (step == 12) {
            lr *= 0.5;
            assert_int_equal(gr_set_learning_rate(o, lr), GR_OK);
        }
        for (int p = 0; p < N_PARAMS; p++) {
            gr_tensor *w = gr_params_at(params, p);
            if (p == 2 && step % 3 == 2) continue;
            double g[N_ELEMENTS] = {0};
            for (int64_t i = 0; i < lengths[p]; i++) {
                g[i] = (double)(stiffness(p, i) * ((long double)gr_get(w, i) - target(p, i)));
                e[p][i].t++;
                r->advance(&e[p][i], stiffness(p, i) * (e[p][i].w - target(p, i)), (long double)lr);
            }
            give(w, g);
        }
        assert_int_equal(gr_step(o), GR_OK);
        for (int p = 0; p < N_PARAMS; p++)
            for (int64_t i = 0; i < lengths[p]; i++) {
                double error = fabs(gr_get(gr_params_at(params, p), i) - (double)e[p][i].w);
                if (!(error <= tolerance))
                    fail_msg("%s, %s, step %d, parameter %d, element %d: %.17g, expected %.17Lg", r->name,
                             gr_dtype_name(dtype), step, p, (int)i, gr_get(gr_params_at(params, p), i), e[p][i].w);
                if (error > worst) worst = error;
            }
    }
    if (getenv("VERBOSE")) printf("%-22s %s worst error %.2g\n", r->name, gr_dtype_name(dtype), worst);
    gr_optimizer_free(o);
    gr_params_free(params);
}

static void test_recurrences(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(rules); i++) {
        run_beside_recurrence(&rules[i], GR_F64, 4e-15);
        run_beside_recurrence(&rules[i], GR_F32, 2e-6);
    }
}

/* The first step from w = 1 with g = 2, by hand. */
static void test_first_step(void **state)
{
    (void)state;
    const struct {
        gr_optimizer *(*make)(gr_params *params);
        double w;
    } cases[] = {
        {make_sgd, 1.0 - 0.01 * 2.0},
        {make_sgd_decay, 1.0 - 0.1 * 2.3},
        {make_momentum, 1.0 - 0.05 * 2.2},
        {make_nesterov, 1.0 - 0.05 * (2.2 + 0.8 * 2.2)},
        {make_adam, 1.0 - 0.001 * 2.0 / (2.0 + 1e-8)},
        {make_adam_all, 1.0 - 0.05 * 2.2 / (2.2 + 0.1)},
        {make_adamw_all, 1.0 - 0.05 * 0.2 - 0.05 * 2.0 / (2.0 + 0.1)},
        {make_rmsprop, 1.0 - 0.01 * 2.0 / (0.2 + 1e-8)},
        {make_rmsprop_all, 1.0 - 0.02 * 2.2 / (sqrt(0.1) * 2.2 + 0.1)},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        gr_params *params = one(GR_F64, 1, 1.0);
        gr_optimizer *o = cases[i].make(params);
        give(gr_params_at(params, 0), (double[]){2.0});
        assert_int_equal(gr_step(o), GR_OK);
        assert_near(gr_get(gr_params_at(params, 0), 0), cases[i].w, 1e-15);
        gr_optimizer_free(o);
        gr_params_free(params);
    }
}

/* A large parameter, which is updated in spans by several threads, against the same elements as many small ones. */
static void test_large_equals_small(void **state)
{
    (void)state;
    enum { LARGE = 100003, SMALL = 61 };
    for (int i = 0; i < COUNT(rules); i++)
        for (gr_dtype dtype = GR_F32; dtype <= GR_F64; dtype++) {
            gr_rng rng = gr_rng_seed(7);
            gr_params *large = gr_params_new(), *small = gr_params_new();
            gr_tensor *w = gr_params_add(large, "w", gr_normal(dtype, GR_SHAPE(LARGE), 0.0, 1.0, &rng));
            for (int64_t at = 0; at < LARGE; at += SMALL) {
                char name[32];
                snprintf(name, sizeof name, "w%lld", (long long)at);
                int64_t n = LARGE - at < SMALL ? LARGE - at : SMALL;
                assert_non_null(gr_params_add(
                    small, name, gr_from(dtype, GR_SHAPE(n), (char *)w->data + (size_t)at * gr_dtype_bytes(dtype))));
            }
            gr_optimizer *of_large = rules[i].make(large), *of_small = rules[i].make(small);
            for (int step = 0; step < 3; step++) {
                gr_tensor *g = gr_normal(GR_F64, GR_SHAPE(LARGE), 0.0, 1.0, &rng);
                give(w, gr_read_f64(g));
                for (int p = 0; p < gr_params_count(small); p++)
                    give(gr_params_at(small, p), gr_read_f64(g) + (int64_t)p * SMALL);
                gr_tensor_free(g);
                assert_int_equal(gr_step(of_large), GR_OK);
                assert_int_equal(gr_step(of_small), GR_OK);
            }
            const char *data = w->data;
            for (int p = 0; p < gr_params_count(small); p++) {
                const gr_tensor *part = gr_params_at(small, p);
                if (memcmp(data, part->data, gr_bytes(part)) != 0)
                    fail_msg("%s, %s: bits of %s differ", rules[i].name, gr_dtype_name(dtype), gr_name(part));
                data += gr_bytes(part);
            }
            gr_optimizer_free(of_large);
            gr_optimizer_free(of_small);
            gr_params_free(large);
            gr_params_free(small);
        }
}

/* State that would be denormal is 0: the weight does not move, though the rate would show the smallest motion. */
static void test_denormal_state(void **state)
{
    (void)state;
    gr_params *params = one(GR_F32, 20, 0.0);
    gr_tensor *w = gr_params_at(params, 0);
    gr_optimizer *const optimizers[] = {
        gr_sgd(params, &(gr_sgd_options){.lr = 1e30, .momentum = 0.9}),
        gr_adam(params, &(gr_adam_options){.lr = 1e30, .eps = 1.0, .beta1 = 0.5}),
        gr_rmsprop(params, &(gr_rmsprop_options){.lr = 1e30, .eps = 1.0, .momentum = 0.9}),
    };
    for (int i = 0; i < COUNT(optimizers); i++) {
        give_all(w, 1e-38);
        assert_int_equal(gr_step(optimizers[i]), GR_OK);
        for (int64_t k = 0; k < w->size; k++) assert_true(gr_get(w, k) == 0.0);
        give_all(w, 4e-38);
        assert_int_equal(gr_step(optimizers[i]), GR_OK);
        for (int64_t k = 0; k < w->size; k++) assert_true(gr_get(w, k) != 0.0);
        memset(gr_f32(w), 0, gr_bytes(w));
        gr_optimizer_free(optimizers[i]);
    }
    /* v = 0.01 g^2 is denormal: the root is 0, and eps alone divides. */
    gr_optimizer *o = gr_rmsprop(params, &(gr_rmsprop_options){.lr = 1e-3, .eps = 1e-18});
    give_all(w, 5e-19);
    assert_int_equal(gr_step(o), GR_OK);
    assert_near(gr_get(w, 3), -0.5e-3, 1e-6);
    gr_optimizer_free(o);
    gr_params_free(params);
}

/* The square of a gradient that is finite may not be: such an element stands still, and does not turn into NaN. */
static void test_overflowing_square(void **state)
{
    (void)state;
    gr_params *params = one(GR_F32, 20, 1.0);
    gr_tensor *w = gr_params_at(params, 0);
    gr_optimizer *const optimizers[] = {gr_adam(params, NULL), gr_rmsprop(params, NULL)};
    for (int i = 0; i < COUNT(optimizers); i++) {
        for (int step = 0; step < 3; step++) {
            give_all(w, step == 2 ? 1.0 : 1e30);
            assert_int_equal(gr_step(optimizers[i]), GR_OK);
        }
        for (int64_t k = 0; k < w->size; k++) assert_true(gr_get(w, k) == 1.0);
        gr_optimizer_free(optimizers[i]);
    }
    gr_params_free(params);
}

/* ---- The step ----------------------------------------------------------------------------------------------- */

static void test_step_touches_what_has_a_gradient(void **state)
{
    (void)state;
    gr_params *params = gr_params_new();
    gr_tensor *a = gr_params_add(params, "a", gr_full(GR_F64, GR_SHAPE(3), 1.0));
    gr_tensor *b = gr_params_add(params, "b", gr_full(GR_F64, GR_SHAPE(3), 1.0));
    gr_optimizer *o = gr_sgd(params, &(gr_sgd_options){.lr = 0.5, .momentum = 0.5, .weight_decay = 0.5});
    assert_fails(gr_step(o), GR_ERR_STATE, "none of the 2 parameters");
    assert_true(gr_get(a, 0) == 1.0 && gr_get(b, 0) == 1.0);
    give_all(a, 1.0);
    give_all(b, 1.0);
    gr_zero_grad(b);
    uint32_t of_a = gr_version_of(a), of_b = gr_version_of(b);
    assert_int_equal(gr_step(o), GR_OK);
    assert_true(gr_get(a, 0) == 1.0 - 0.5 * 1.5);
    assert_true(gr_get(b, 0) == 1.0);
    assert_int_equal(gr_version_of(a), of_a + 1);
    assert_int_equal(gr_version_of(b), of_b);
    assert_null(gr_gradient(a));
    assert_null(gr_gradient(b));
    assert_fails(gr_step(o), GR_ERR_STATE, "sgd");
    gr_optimizer_free(o);
    gr_params_free(params);
    assert_fails(gr_step(NULL), GR_ERR_NULL, "step");
    gr_optimizer_free(NULL);
}

/* Parameters that have made the same number of steps at different rates. */
static void test_rates_of_parameters_in_turn(void **state)
{
    (void)state;
    gr_params *params = gr_params_new();
    gr_tensor *a = gr_params_add(params, "a", gr_zeros(GR_F64, GR_SCALAR));
    gr_tensor *b = gr_params_add(params, "b", gr_zeros(GR_F64, GR_SCALAR));
    gr_optimizer *o = gr_adam(params, &(gr_adam_options){.lr = 1.0, .eps = 1.0});
    give_all(a, 1.0);
    assert_int_equal(gr_step(o), GR_OK);
    assert_int_equal(gr_set_learning_rate(o, 0.5), GR_OK);
    give_all(b, 1.0);
    assert_int_equal(gr_step(o), GR_OK);
    assert_near(gr_item(a), -0.5, 1e-15);
    assert_near(gr_item(b), -0.25, 1e-15);
    gr_optimizer_free(o);
    gr_params_free(params);
}

static void test_step_of_a_view(void **state)
{
    (void)state;
    gr_tensor *table = gr_ones(GR_F32, GR_SHAPE(4, 2));
    gr_params *params = gr_params_new();
    gr_tensor *rows = gr_params_add(params, "rows", gr_view_rows(table, 1, 2));
    gr_optimizer *o = gr_sgd(params, &(gr_sgd_options){.lr = 0.5});
    give_all(rows, 1.0);
    uint32_t version = table->version;
    assert_int_equal(gr_step(o), GR_OK);
    assert_int_equal(table->version, version + 1);
    for (int64_t i = 0; i < 8; i++) assert_true(gr_get(table, i) == (i >= 2 && i < 6 ? 0.5 : 1.0));
    gr_params_free(params); /* the optimizer may go last */
    gr_optimizer_free(o);
    gr_tensor_free(table);
}

static void test_step_allocates_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(rules); i++) {
        watch_heap();
        gr_params *params = one(GR_F32, 50000, 1.0);
        gr_params_add(params, "b", gr_scalar(GR_F64, 1.0));
        gr_optimizer *o = rules[i].make(params);
        for (int step = 0; step < 3; step++) {
            give_all(gr_params_at(params, 0), 1.0);
            give_all(gr_params_at(params, 1), 1.0);
            int calls = heap.calls;
            assert_int_equal(gr_clip_grad_norm(params, 1.0, NULL), GR_OK);
            assert_int_equal(gr_clip_grad_value(params, 1.0), GR_OK);
            assert_int_equal(gr_step(o), GR_OK);
            assert_int_equal(heap.calls, calls);
        }
        gr_optimizer_free(o);
        gr_params_free(params);
        leave_heap();
    }
}

static void test_later_parameters(void **state)
{
    (void)state;
    gr_params *params = one(GR_F64, 2, 1.0);
    gr_optimizer *o = gr_sgd(params, NULL);
    gr_tensor *later = NULL;
    for (int i = 0; i < 20; i++) { /* the set's array moves */
        char name[] = {(char)('a' + i), 0};
        later = gr_params_add(params, name, gr_ones(GR_F64, GR_SCALAR));
    }
    give_all(gr_params_at(params, 20), 1.0);
    assert_fails(gr_step(o), GR_ERR_STATE, "none of the 1 parameters");
    give_all(gr_params_get(params, "w"), 1.0);
    assert_int_equal(gr_step(o), GR_OK);
    assert_true(gr_item(later) == 1.0);
    assert_non_null(gr_gradient(later));
    gr_optimizer_free(o);
    gr_params_free(params);
}

/* ---- With a tape -------------------------------------------------------------------------------------------- */

/* y = sum(c w), whose gradient is c. */
static gr_tensor *weighted_sum(gr_tape *t, gr_tensor *c, gr_tensor *w)
{
    return gr_sum(t, gr_mul(t, c, w), GR_ALL_AXES, false);
}

static void test_with_a_tape(void **state)
{
    (void)state;
    gr_params *params = gr_params_new();
    gr_tensor *w = gr_params_add(params, "w", gr_from(GR_F64, GR_SHAPE(3), (double[]){1, 2, 3}));
    gr_tensor *c = gr_from(GR_F64, GR_SHAPE(3), (double[]){4, -5, 6});
    gr_optimizer *o = gr_sgd(params, &(gr_sgd_options){.lr = 0.5});
    gr_tape *t = gr_tape_new();
    gr_tensor *y = weighted_sum(t, c, w);
    assert_int_equal(gr_backward(t, y, GR_RETAIN), GR_OK);
    assert_int_equal(gr_step(o), GR_OK);
    assert_memory_equal(gr_read_f64(w), ((double[]){-1, 4.5, 0}), 3 * sizeof(double));
    assert_fails(gr_backward(t, y, 0), GR_ERR_STATE, "w");
    assert_null(gr_gradient(w));
    gr_tape_reset(t);

    /* Two backwards add up to one step; the step leaves nothing for the next. */
    assert_int_equal(gr_backward(t, weighted_sum(t, c, w), 0), GR_OK);
    assert_int_equal(gr_backward(t, weighted_sum(t, c, w), 0), GR_OK);
    assert_int_equal(gr_step(o), GR_OK);
    assert_memory_equal(gr_read_f64(w), ((double[]){-5, 9.5, -6}), 3 * sizeof(double));
    gr_tape_reset(t);
    assert_int_equal(gr_backward(t, weighted_sum(t, c, w), 0), GR_OK);
    assert_int_equal(gr_step(o), GR_OK);
    assert_memory_equal(gr_read_f64(w), ((double[]){-7, 12, -9}), 3 * sizeof(double));
    gr_tape_free(t);
    gr_optimizer_free(o);
    gr_tensor_free(c);
    gr_params_free(params);
}

/* Every optimizer with its defaults, but for the rate, finds the minimum. */
static void test_training(void **state)
{
    (void)state;
    const double rates[] = {0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.01, 0.01, 0.01};
    for (int i = 0; i < COUNT(rules); i++) {
        gr_params *params = gr_params_new();
        gr_tensor *w = gr_params_add(params, "w", gr_full(GR_F32, GR_SHAPE(4, 5), 1.0));
        gr_optimizer *o = rules[i].make(params);
        assert_int_equal(gr_set_learning_rate(o, rates[i]), GR_OK);
        gr_tape *t = gr_tape_new();
        for (int step = 0; step < 400; step++) {
            assert_int_equal(gr_backward(t, gr_sum(t, gr_square(t, w), GR_ALL_AXES, false), 0), GR_OK);
            assert_int_equal(gr_step(o), GR_OK);
            gr_tape_reset(t);
        }
        for (int64_t k = 0; k < gr_size(w); k++) assert_true(fabs(gr_get(w, k)) < 0.02);
        gr_tape_free(t);
        gr_optimizer_free(o);
        gr_params_free(params);
    }
}

/* ---- Options and rates -------------------------------------------------------------------------------------- */

static void test_refused_options(void **state)
{
    (void)state;
    gr_params *p = one(GR_F32, 3, 1.0), *empty = gr_params_new();
    const double bad[] = {-0.5, -infinity, infinity, nan_};
    for (int i = 0; i < COUNT(bad); i++) {
        double x = bad[i];
        assert_refused(gr_sgd(p, &(gr_sgd_options){.lr = x}), GR_ERR_OPTION, "sgd: lr");
        assert_refused(gr_sgd(p, &(gr_sgd_options){.momentum = x}), GR_ERR_OPTION, "sgd: momentum");
        assert_refused(gr_sgd(p, &(gr_sgd_options){.weight_decay = x}), GR_ERR_OPTION, "sgd: weight_decay");
        assert_refused(gr_adam(p, &(gr_adam_options){.lr = x}), GR_ERR_OPTION, "adam: lr");
        assert_refused(gr_adam(p, &(gr_adam_options){.beta1 = x}), GR_ERR_OPTION, "adam: beta1");
        assert_refused(gr_adam(p, &(gr_adam_options){.beta2 = x}), GR_ERR_OPTION, "adam: beta2");
        assert_refused(gr_adam(p, &(gr_adam_options){.eps = x}), GR_ERR_OPTION, "adam: eps");
        assert_refused(gr_adam(p, &(gr_adam_options){.weight_decay = x}), GR_ERR_OPTION, "adam: weight_decay");
        assert_refused(gr_adamw(p, &(gr_adam_options){.weight_decay = x}), GR_ERR_OPTION, "adamw: weight_decay");
        assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.lr = x}), GR_ERR_OPTION, "rmsprop: lr");
        assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.alpha = x}), GR_ERR_OPTION, "rmsprop: alpha");
        assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.eps = x}), GR_ERR_OPTION, "rmsprop: eps");
        assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.momentum = x}), GR_ERR_OPTION, "rmsprop: momentum");
        assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.weight_decay = x}), GR_ERR_OPTION, "rmsprop: weight_decay");
    }
    assert_refused(gr_sgd(p, &(gr_sgd_options){.momentum = 1.0}), GR_ERR_OPTION, "expected 0 <= momentum < 1");
    assert_refused(gr_adam(p, &(gr_adam_options){.beta1 = 1.0}), GR_ERR_OPTION, "beta1");
    assert_refused(gr_adam(p, &(gr_adam_options){.beta2 = 1.5}), GR_ERR_OPTION, "beta2 is 1.5");
    assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.alpha = 1.0}), GR_ERR_OPTION, "alpha");
    assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.momentum = 1.0}), GR_ERR_OPTION, "momentum");
    assert_refused(gr_sgd(p, &(gr_sgd_options){.nesterov = true}), GR_ERR_OPTION, "nesterov needs a momentum");
    for (int i = 0; i < COUNT(rules); i++) {
        assert_refused(rules[i].make(NULL), GR_ERR_NULL, "the set of parameters");
        assert_refused(rules[i].make(empty), GR_ERR_SHAPE, "empty");
    }
    gr_params_free(empty);
    gr_params_free(p);
}

static void test_learning_rate(void **state)
{
    (void)state;
    gr_params *params = one(GR_F64, 3, 1.0);
    gr_optimizer *o = gr_adam(params, &(gr_adam_options){.lr = 0.25});
    assert_true(gr_learning_rate(o) == 0.25);
    const double bad[] = {-1.0, infinity, nan_};
    for (int i = 0; i < COUNT(bad); i++) {
        assert_fails(gr_set_learning_rate(o, bad[i]), GR_ERR_OPTION, "set_learning_rate: lr");
        assert_true(gr_learning_rate(o) == 0.25);
    }
    /* The message of the schedule that failed survives. */
    assert_fails(gr_set_learning_rate(o, gr_schedule_rate(&(gr_schedule){.kind = GR_STEP, .base = 1.0}, 0)),
                 GR_ERR_OPTION, "schedule_rate: gamma");
    assert_true(gr_learning_rate(o) == 0.25);
    assert_int_equal(gr_set_learning_rate(o, 0.0), GR_OK);
    assert_true(gr_learning_rate(o) == 0.0);
    give_all(gr_params_at(params, 0), 1.0);
    assert_int_equal(gr_step(o), GR_OK);
    assert_true(gr_get(gr_params_at(params, 0), 0) == 1.0);
    assert_fails(gr_set_learning_rate(NULL, 1.0), GR_ERR_NULL, "optimizer");
    assert_true(isnan(gr_learning_rate(NULL)));
    assert_fails(gr_last_status(), GR_ERR_NULL, "optimizer");
    gr_optimizer_free(o);
    gr_params_free(params);
}

/* ---- Schedules ---------------------------------------------------------------------------------------------- */

static void assert_rate(const gr_schedule *schedule, int64_t step, double expected)
{
    double rate = gr_schedule_rate(schedule, step);
    if (!(fabs(rate - expected) <= 1e-15 * (1.0 + fabs(expected))))
        fail_msg("kind %d, step %lld: %.17g, expected %.17g", (int)schedule->kind, (long long)step, rate, expected);
}

static void test_schedules(void **state)
{
    (void)state;
    const double pi = acos(-1.0);
    for (int64_t warmup = 0; warmup <= 5; warmup += 5) {
        const gr_schedule constant = {.base = 0.3, .warmup = warmup};
        const gr_schedule steps = {.kind = GR_STEP, .base = 0.3, .gamma = 0.5, .period = 10, .warmup = warmup};
        const gr_schedule exponential = {.kind = GR_EXPONENTIAL, .base = 0.3, .gamma = 0.9, .warmup = warmup};
        const gr_schedule cosine = {.kind = GR_COSINE, .base = 0.3, .final = 0.1, .period = 20, .warmup = warmup};
        const gr_schedule *const all[] = {&constant, &steps, &exponential, &cosine};
        for (int i = 0; i < COUNT(all); i++) {
            for (int64_t step = 0; step < warmup; step++)
                assert_rate(all[i], step, 0.3 * (double)(step + 1) / (double)(warmup + 1));
            assert_true(gr_schedule_rate(all[i], warmup) == 0.3);
        }
        double power = 0.3;
        for (int64_t s = 0; s < 45; s++) {
            assert_rate(&constant, warmup + s, 0.3);
            assert_rate(&steps, warmup + s, s < 10 ? 0.3 : s < 20 ? 0.15 : s < 30 ? 0.075 : s < 40 ? 0.0375 : 0.01875);
            assert_rate(&exponential, warmup + s, power);
            power *= 0.9;
            assert_rate(&cosine, warmup + s, s >= 20 ? 0.1 : 0.2 + 0.1 * cos(pi * (double)s / 20.0));
        }
        assert_rate(&cosine, warmup + 10, 0.2);
        assert_true(gr_schedule_rate(&cosine, warmup + 20) == 0.1);
        assert_true(gr_schedule_rate(&cosine, INT64_MAX) == 0.1);
    }
    assert_rate(&(gr_schedule){.base = 1.0, .warmup = 3}, 0, 0.25);
    assert_rate(&(gr_schedule){.kind = GR_EXPONENTIAL, .base = 0.01, .gamma = 2.0}, 10, 10.24);
    assert_true(gr_schedule_rate(&(gr_schedule){.base = 1.0, .warmup = INT64_MAX}, 0) > 0.0);
}

static void test_refused_schedules(void **state)
{
    (void)state;
    const struct {
        gr_schedule schedule;
        int64_t step;
        const char *part;
    } cases[] = {
        {{.base = 0.0}, 0, "base is 0"},
        {{.base = -1.0}, 0, "base is -1"},
        {{.base = nan_}, 0, "base"},
        {{.base = infinity}, 0, "base is inf"},
        {{.kind = (gr_schedule_kind)4, .base = 1.0}, 0, "no such kind: 4"},
        {{.kind = (gr_schedule_kind)-1, .base = 1.0}, 0, "no such kind"},
        {{.kind = GR_STEP, .base = 1.0, .period = 3}, 0, "gamma is 0, step needs"},
        {{.kind = GR_STEP, .base = 1.0, .gamma = 0.5}, 0, "period is 0, step needs"},
        {{.kind = GR_STEP, .base = 1.0, .gamma = 0.5, .period = -1}, 0, "period is -1"},
        {{.kind = GR_EXPONENTIAL, .base = 1.0}, 0, "gamma is 0, exponential"},
        {{.kind = GR_EXPONENTIAL, .base = 1.0, .gamma = nan_}, 0, "gamma"},
        {{.kind = GR_EXPONENTIAL, .base = 1.0, .gamma = -0.5}, 0, "gamma is -0.5"},
        {{.kind = GR_EXPONENTIAL, .base = 1.0, .gamma = 10.0}, 400, "past every number at step 400"},
        {{.kind = GR_COSINE, .base = 1.0}, 0, "period is 0, cosine"},
        {{.kind = GR_COSINE, .base = 1.0, .period = 3, .final = -0.1}, 0, "final is -0.1"},
        {{.kind = GR_COSINE, .base = 1.0, .period = 3, .final = infinity}, 0, "final is inf"},
        {{.base = 1.0, .warmup = -1}, 0, "warmup is -1"},
        {{.base = 1.0}, -1, "step -1"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        assert_true(isnan(gr_schedule_rate(&cases[i].schedule, cases[i].step)));
        assert_fails(gr_last_status(), GR_ERR_OPTION, cases[i].part);
    }
    assert_true(isnan(gr_schedule_rate(NULL, 0)));
    assert_fails(gr_last_status(), GR_ERR_NULL, "schedule");
}

/* ---- Clipping ----------------------------------------------------------------------------------------------- */

/* Two parameters with gradients of joint norm 13, and one with an old gradient that counts no more. */
static gr_params *with_gradients(void)
{
    gr_params *params = gr_params_new();
    gr_tensor *a = gr_params_add(params, "a", gr_zeros(GR_F64, GR_SHAPE(2, 2)));
    gr_tensor *b = gr_params_add(params, "b", gr_zeros(GR_F32, GR_SHAPE(1)));
    gr_tensor *old = gr_params_add(params, "old", gr_zeros(GR_F64, GR_SHAPE(2)));
    gr_params_add(params, "none", gr_zeros(GR_F64, GR_SHAPE(2)));
    give(a, (double[]){3.0, 0.0, -4.0, 0.0});
    give(b, (double[]){-12.0});
    give(old, (double[]){100.0, nan_});
    gr_zero_grad(old);
    return params;
}

static void assert_gradients(const gr_params *params, double a0, double a2, double b)
{
    const gr_tensor *a = gr_gradient(gr_params_at(params, 0));
    assert_near(gr_get(a, 0), a0, 1e-15);
    assert_true(gr_get(a, 1) == 0.0 && gr_get(a, 3) == 0.0);
    assert_near(gr_get(a, 2), a2, 1e-15);
    assert_true(gr_get(gr_gradient(gr_params_at(params, 1)), 0) == (double)(float)b);
    assert_true(gr_get(gr_params_at(params, 2)->grad, 0) == 100.0);
}

static void test_clip_norm(void **state)
{
    (void)state;
    gr_params *params = with_gradients();
    double norm = 0.0;
    assert_int_equal(gr_clip_grad_norm(params, 14.0, &norm), GR_OK);
    assert_true(norm == 13.0);
    assert_gradients(params, 3.0, -4.0, -12.0);
    norm = 0.0;
    assert_int_equal(gr_clip_grad_norm(params, 13.0, NULL), GR_OK);
    assert_int_equal(gr_clip_grad_norm(params, infinity, &norm), GR_OK);
    assert_true(norm == 13.0);
    assert_gradients(params, 3.0, -4.0, -12.0);
    uint32_t version = gr_gradient(gr_params_at(params, 0))->version;
    assert_int_equal(gr_clip_grad_norm(params, 6.5, &norm), GR_OK);
    assert_int_equal(gr_gradient(gr_params_at(params, 0))->version, version + 1);
    assert_true(norm == 13.0);
    assert_gradients(params, 1.5, -2.0, -6.0);
    assert_int_equal(gr_clip_grad_norm(params, 1.0, &norm), GR_OK);
    assert_true(norm == 6.5);
    assert_gradients(params, 1.5 / 6.5, -2.0 / 6.5, -6.0 / 6.5);
    assert_int_equal(gr_clip_grad_norm(params, 0.999, NULL), GR_OK); /* little above it is above it */
    assert_int_equal(gr_clip_grad_norm(params, infinity, &norm), GR_OK);
    assert_near(norm, 0.999, 1e-7);
    gr_params_zero_grad(params);
    assert_int_equal(gr_clip_grad_norm(params, 1.0, &norm), GR_OK);
    assert_true(norm == 0.0);
    gr_params_free(params);
}

static void test_clip_norm_refuses(void **state)
{
    (void)state;
    gr_params *params = with_gradients();
    const double bad[] = {0.0, -1.0, nan_};
    double norm = 7.0;
    for (int i = 0; i < COUNT(bad); i++) {
        assert_fails(gr_clip_grad_norm(params, bad[i], &norm), GR_ERR_OPTION, "max_norm");
        assert_fails(gr_clip_grad_value(params, bad[i]), GR_ERR_OPTION, "limit");
    }
    assert_true(norm == 7.0);
    assert_fails(gr_clip_grad_norm(NULL, 1.0, NULL), GR_ERR_NULL, "clip_grad_norm");
    assert_fails(gr_clip_grad_value(NULL, 1.0), GR_ERR_NULL, "clip_grad_value");
    assert_gradients(params, 3.0, -4.0, -12.0);

    gr_tensor *a = gr_params_at(params, 0);
    give(a, (double[]){3.0, 5.0, -4.0, nan_});
    assert_fails(gr_clip_grad_norm(params, 1.0, &norm), GR_ERR_VALUE, "the gradient of a is nan at [1,1]");
    assert_true(isnan(norm));
    assert_true(gr_get(gr_gradient(a), 0) == 3.0 && gr_get(gr_gradient(a), 1) == 5.0);
    give(a, (double[]){3.0, -infinity, -4.0, 0.0});
    assert_fails(gr_clip_grad_norm(params, 1.0, &norm), GR_ERR_VALUE, "the gradient of a is -inf at [0,1]");
    assert_true(norm == infinity);
    assert_true(gr_get(gr_gradient(a), 0) == 3.0);
    give(a, (double[]){DBL_MAX, DBL_MAX, 0.0, 0.0});
    assert_fails(gr_clip_grad_norm(params, 1.0, &norm), GR_ERR_VALUE, "the norm is inf");
    assert_true(gr_get(gr_gradient(a), 0) == DBL_MAX);
    gr_params_free(params);
}

/* Norms whose squares no double holds, and factors that no float holds. */
static void test_clip_norm_extremes(void **state)
{
    (void)state;
    const double sizes[] = {1e200, 1e300, 1e-200, 1e-300};
    for (int i = 0; i < COUNT(sizes); i++) {
        gr_params *params = one(GR_F64, 4, 0.0);
        give_all(gr_params_at(params, 0), sizes[i]);
        double norm = 0.0;
        assert_int_equal(gr_clip_grad_norm(params, sizes[i] / 4.0, &norm), GR_OK);
        assert_near(norm / sizes[i], 2.0, 1e-15);
        assert_near(gr_get(gr_gradient(gr_params_at(params, 0)), 3) / sizes[i], 0.125, 1e-15);
        gr_params_free(params);
    }
    gr_params *params = one(GR_F32, 4, 0.0);
    give_all(gr_params_at(params, 0), 3e38);
    double norm = 0.0;
    assert_int_equal(gr_clip_grad_norm(params, 0.5, &norm), GR_OK);
    assert_near(norm / 6e38, 1.0, 1e-7);
    assert_near(gr_get(gr_gradient(gr_params_at(params, 0)), 0), 0.25, 1e-8);
    gr_params_free(params);
}

#if defined __linux__
extern void omp_set_num_threads(int n) __attribute__((weak));
#define SET_THREADS(n) (omp_set_num_threads ? omp_set_num_threads(n) : (void)0)
#else
#define SET_THREADS(n) ((void)(n))
#endif

/* Large enough for several spans and for several rounds of partial sums; the same bits with every number of threads. */
static void test_clip_norm_large(void **state)
{
    (void)state;
    enum { N = 300 * 16384 + 5 };
    gr_rng rng = gr_rng_seed(3);
    gr_params *params = one(GR_F32, N, 0.0);
    gr_tensor *g = gr_normal(GR_F32, GR_SHAPE(N), 0.0, 1.0, &rng);
    gr_params_at(params, 0)->grad = g;
    gr_params_at(params, 0)->has_grad = true;
    long double sum = 0.0L;
    for (int64_t i = 0; i < N; i++) sum += (long double)gr_read_f32(g)[i] * (long double)gr_read_f32(g)[i];
    double norm[3] = {0};
    for (int threads = 0; threads < 3; threads++) {
        SET_THREADS(threads + 1);
        assert_int_equal(gr_clip_grad_norm(params, infinity, &norm[threads]), GR_OK);
        assert_near(norm[threads] / (double)sqrtl(sum), 1.0, 1e-14);
        assert_memory_equal(&norm[threads], &norm[0], sizeof *norm);
    }
    float last = gr_read_f32(g)[N - 1], middle = gr_read_f32(g)[N / 2];
    assert_int_equal(gr_clip_grad_norm(params, norm[0] / 2.0, NULL), GR_OK);
    assert_near((double)gr_read_f32(g)[N - 1], (double)last / 2.0, 1e-7);
    assert_near((double)gr_read_f32(g)[N / 2], (double)middle / 2.0, 1e-7);
    gr_params_free(params);
}

static void test_clip_value(void **state)
{
    (void)state;
    for (gr_dtype dtype = GR_F32; dtype <= GR_F64; dtype++) {
        enum { N = 70000 };
        gr_params *params = one(dtype, N, 0.0);
        gr_params_add(params, "none", gr_zeros(GR_F64, GR_SHAPE(2)));
        double *g = malloc(N * sizeof *g);
        for (int i = 0; i < N; i++) g[i] = 0.001 * (double)(i % 300 - 150);
        g[5] = nan_;
        g[6] = infinity;
        g[7] = -infinity;
        give(gr_params_at(params, 0), g);
        assert_int_equal(gr_clip_grad_value(params, 0.1), GR_OK);
        const gr_tensor *clipped = gr_gradient(gr_params_at(params, 0));
        for (int i = 0; i < N; i++) {
            double x = gr_get(clipped, i), given = dtype == GR_F32 ? (double)(float)g[i] : g[i];
            if (i == 5) assert_true(isnan(x));
            else if (fabs(given) <= 0.1) assert_true(x == given);
            else assert_true(fabs(x) <= 0.1 && fabs(x) > 0.0999999 && (x > 0.0) == (given > 0.0));
        }
        assert_int_equal(gr_clip_grad_value(params, infinity), GR_OK);
        assert_true(isnan(gr_get(clipped, 5)));
        free(g);
        gr_params_free(params);
    }
}

/* ---- The set of parameters ---------------------------------------------------------------------------------- */

static void test_params(void **state)
{
    (void)state;
    gr_params *params = gr_params_new();
    assert_int_equal(gr_params_count(params), 0);
    assert_int_equal(gr_params_elements(params), 0);
    assert_null(gr_params_at(params, 0));
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer%d.w", i);
        gr_tensor *w = gr_full(i % 2 ? GR_F64 : GR_F32, GR_SHAPE(2, i), (double)i);
        assert_ptr_equal(gr_params_add(params, name, w), w);
        assert_true(gr_requires_grad(w));
        assert_string_equal(gr_name(w), name);
        assert_int_equal(gr_params_count(params), i + 1);
        assert_ptr_equal(gr_params_get(params, name), w);
        assert_ptr_equal(gr_params_at(params, i), w);
    }
    assert_int_equal(gr_params_elements(params), 2 * 39 * 40 / 2);
    for (int i = 1; i < 40; i++) assert_true(gr_get(gr_params_at(params, i), 0) == (double)i);
    assert_null(gr_params_at(params, 40));
    assert_null(gr_params_at(params, -1));
    assert_int_equal(gr_last_status(), GR_OK);
    assert_refused(gr_params_get(params, "layer40.w"), GR_ERR_INDEX, "layer40.w");
    assert_refused(gr_params_get(params, NULL), GR_ERR_NULL, "name");
    assert_refused(gr_params_get(NULL, "w"), GR_ERR_NULL, "the set");

    give_all(gr_params_at(params, 1), 1.0);
    give_all(gr_params_at(params, 39), 1.0);
    gr_params_zero_grad(params);
    for (int i = 0; i < 40; i++) assert_null(gr_gradient(gr_params_at(params, i)));
    gr_params_free(params);

    gr_params_free(NULL);
    gr_params_zero_grad(NULL);
    assert_int_equal(gr_params_count(NULL), 0);
    assert_int_equal(gr_params_elements(NULL), 0);
    assert_null(gr_params_at(NULL, 0));
}

/* What is refused is freed: the heap tells. */
static void test_params_refuse(void **state)
{
    (void)state;
    watch_heap();
    gr_params *params = gr_params_new();
    gr_tensor *w = gr_params_add(params, "w", gr_zeros(GR_F32, GR_SHAPE(100)));
    int live = heap.live;
    assert_refused(gr_params_add(params, "w", gr_zeros(GR_F32, GR_SHAPE(100))), GR_ERR_OPTION, "a parameter w already");
    assert_refused(gr_params_add(params, "", gr_zeros(GR_F32, GR_SHAPE(100))), GR_ERR_OPTION, "empty");
    assert_refused(gr_params_add(params, NULL, gr_zeros(GR_F32, GR_SHAPE(100))), GR_ERR_NULL, "name");
    assert_refused(gr_params_add(NULL, "v", gr_zeros(GR_F32, GR_SHAPE(100))), GR_ERR_NULL, "the set");
    assert_refused(gr_params_add(params, "v", gr_zeros(GR_I32, GR_SHAPE(100))), GR_ERR_DTYPE, "v is i32");
    assert_refused(gr_params_add(params, "v", NULL), GR_ERR_NULL, "params_add: tensor");
    assert_refused(gr_params_add(params, "v", gr_zeros(GR_F32, GR_SHAPE(-1))), GR_ERR_SHAPE, "zeros");
    assert_int_equal(heap.live, live);
    assert_refused(gr_params_add(params, "v", w), GR_ERR_STATE, "in the set already, as w");
    assert_int_equal(heap.live, live);

    gr_tape *t = gr_tape_new();
    gr_tensor *result = gr_square(t, w);
    assert_refused(gr_params_add(params, "v", result), GR_ERR_STATE, "a result of a tape");
    assert_refused(gr_params_add(NULL, "v", result), GR_ERR_STATE, "a result of a tape");
    assert_true(gr_get(result, 0) == 0.0);
    gr_tape_free(t);
    assert_int_equal(heap.live, live);

    t = gr_tape_new();
    assert_int_equal(gr_backward(t, gr_sum(t, gr_square(t, w), GR_ALL_AXES, false), 0), GR_OK);
    assert_refused(gr_params_add(params, "v", gr_gradient(w)), GR_ERR_STATE,
                   "the gradient of another tensor, not yours");
    gr_tape_free(t);

    assert_int_equal(gr_params_count(params), 1);
    assert_non_null(gr_params_add(params, "v", gr_zeros(GR_F32, GR_SHAPE(100))));
    gr_params_free(params);
    leave_heap();
}

static void test_params_print(void **state)
{
    (void)state;
    gr_params *params = gr_params_new();
    gr_params_add(params, "hidden.w", gr_zeros(GR_F32, GR_SHAPE(784, 256)));
    gr_params_add(params, "hidden.b", gr_zeros(GR_F32, GR_SHAPE(256)));
    gr_params_add(params, "s", gr_zeros(GR_F64, GR_SCALAR));
    FILE *file = tmpfile();
    assert_non_null(file);
    gr_params_fprint(file, params);
    gr_params_fprint(file, NULL);
    rewind(file);
    char text[512] = {0};
    size_t length = fread(text, 1, sizeof text - 1, file);
    assert_true(length > 0);
    assert_string_equal(text, "hidden.w  f32  [784,256]  200704\n"
                              "hidden.b  f32  [256]         256\n"
                              "s         f64  []              1\n"
                              "total                     200961\n"
                              "total         0\n");
    fclose(file);
    gr_params_free(params);
}

static void test_params_copy(void **state)
{
    (void)state;
    gr_params *params = gr_params_new();
    gr_tensor *a = gr_params_add(params, "a", gr_full(GR_F32, GR_SHAPE(2, 3), 0.1));
    gr_params_add(params, "b", gr_full(GR_F64, GR_SHAPE(1), 0.1));
    give_all(a, 1.0);
    gr_params *copy = gr_params_copy_as(GR_F64, params);
    assert_int_equal(gr_params_count(copy), 2);
    gr_tensor *c = gr_params_get(copy, "a");
    assert_true(c && c != a && gr_dtype_of(c) == GR_F64 && gr_rank(c) == 2 && gr_dim(c, 1) == 3);
    assert_true(gr_get(c, 5) == (double)0.1f);
    assert_true(gr_requires_grad(c));
    assert_null(gr_gradient(c));
    assert_non_null(gr_gradient(a));
    assert_true(gr_get(gr_params_get(copy, "b"), 0) == 0.1);
    gr_params_free(copy);
    copy = gr_params_copy_as(GR_F32, params);
    assert_true(gr_get(gr_params_get(copy, "b"), 0) == (double)0.1f);
    gr_params_free(copy);
    assert_refused(gr_params_copy_as(GR_I32, params), GR_ERR_DTYPE, "i32");
    assert_refused(gr_params_copy_as((gr_dtype)17, params), GR_ERR_DTYPE, "params_copy_as");
    assert_refused(gr_params_copy_as(GR_F32, NULL), GR_ERR_NULL, "the set");
    gr_params_free(params);
}

/* ---- Every allocation fails in turn ------------------------------------------------------------------------- */

static void test_oom_params(void **state)
{
    (void)state;
    watch_heap();
    fail_after(1);
    assert_refused(gr_params_new(), GR_ERR_MEMORY, "out of memory");
    int failures = 0;
    for (bool done = false; !done; failures++) {
        heap.fail_at = 0;
        gr_params *params = gr_params_new();
        for (int i = 0; i < 8; i++) { /* the ninth needs a larger array */
            char name[] = {(char)('a' + i), 0};
            assert_non_null(gr_params_add(params, name, gr_zeros(GR_F64, GR_SCALAR)));
        }
        int live = heap.live;
        gr_tensor *w = gr_zeros(GR_F32, GR_SHAPE(100));
        fail_after(failures + 1);
        done = gr_params_add(params, "new", w) != NULL;
        if (!done) {
            assert_fails(gr_last_status(), GR_ERR_MEMORY, "out of memory");
            assert_in_range(heap.live, live, live); /* the tensor is gone, whatever else is there */
            assert_int_equal(gr_params_count(params), 8);
            assert_refused(gr_params_get(params, "new"), GR_ERR_INDEX, "new");
            heap.fail_at = 0;
            assert_non_null(gr_params_add(params, "new", gr_zeros(GR_F32, GR_SHAPE(100))));
        }
        assert_int_equal(gr_params_count(params), 9);
        assert_non_null(gr_params_get(params, "a"));
        gr_params_free(params);
        assert_int_equal(heap.live, 0);
    }
    assert_int_equal(failures, 3); /* the array, the name, and then none */
    leave_heap();
}

static gr_params *two_params(void)
{
    gr_params *params = one(GR_F32, 100, 1.0);
    assert_non_null(gr_params_add(params, "b", gr_ones(GR_F64, GR_SCALAR)));
    return params;
}

static void test_oom_optimizers(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(rules); i++) {
        watch_heap();
        gr_params *params = two_params();
        int live = heap.live, failures = 0;
        gr_optimizer *o = NULL;
        while (!o) {
            fail_after(++failures);
            o = rules[i].make(params);
            if (o) break;
            assert_fails(gr_last_status(), GR_ERR_MEMORY, "out of memory");
            assert_int_equal(heap.live, live);
        }
        heap.fail_at = 0;
        int states = strncmp(rules[i].name, "adam", 4) == 0 || i == COUNT(rules) - 1 ? 2 : i < 2 ? 0 : 1;
        assert_int_equal(failures, 1 + 1 + 3 * states); /* itself; state of 100 elements in two parts, of one in one */
        give_all(gr_params_at(params, 0), 1.0);
        assert_int_equal(gr_step(o), GR_OK);
        assert_true(gr_get(gr_params_at(params, 0), 99) < 1.0);
        gr_optimizer_free(o);
        gr_params_free(params);
        leave_heap();
    }
}

static void test_oom_copy(void **state)
{
    (void)state;
    watch_heap();
    gr_params *params = two_params(), *copy = NULL;
    int live = heap.live, failures = 0;
    while (!copy) {
        fail_after(++failures);
        copy = gr_params_copy_as(GR_F64, params);
        if (copy) break;
        assert_fails(gr_last_status(), GR_ERR_MEMORY, "out of memory");
        assert_int_equal(heap.live, live);
    }
    heap.fail_at = 0;
    assert_in_range(failures, 6, 12);
    assert_int_equal(gr_params_count(copy), 2);
    gr_params_free(copy);
    gr_params_free(params);
    leave_heap();
}

static int start_afresh(void **state)
{
    (void)state;
    gr_clear_error();
    gr_set_allocator(NULL);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, start_afresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_recurrences),
        TEST(test_first_step),
        TEST(test_large_equals_small),
        TEST(test_denormal_state),
        TEST(test_overflowing_square),
        TEST(test_step_touches_what_has_a_gradient),
        TEST(test_rates_of_parameters_in_turn),
        TEST(test_step_of_a_view),
        TEST(test_step_allocates_nothing),
        TEST(test_later_parameters),
        TEST(test_with_a_tape),
        TEST(test_training),
        TEST(test_refused_options),
        TEST(test_learning_rate),
        TEST(test_schedules),
        TEST(test_refused_schedules),
        TEST(test_clip_norm),
        TEST(test_clip_norm_refuses),
        TEST(test_clip_norm_extremes),
        TEST(test_clip_norm_large),
        TEST(test_clip_value),
        TEST(test_params),
        TEST(test_params_refuse),
        TEST(test_params_print),
        TEST(test_params_copy),
        TEST(test_oom_params),
        TEST(test_oom_optimizers),
        TEST(test_oom_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
