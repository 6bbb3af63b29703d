/* optim_kit.h: what the tests of optimizers and parameters share. */
#ifndef GR_TESTS_OPTIM_KIT_H
#define GR_TESTS_OPTIM_KIT_H

#include <float.h>
#include <gradus/optim.h>
#include "helpers.h"
#include "tensor/internal.h"

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

static const double nan_ = (double)NAN, infinity = (double)INFINITY;

static inline void assert_fails(gr_status status, gr_status expected, const char *part)
{
    assert_int_equal(status, expected);
    assert_int_equal(gr_last_status(), expected);
    if (!strstr(gr_last_error(), part)) fail_msg("\"%s\" does not say \"%s\"", gr_last_error(), part);
    gr_clear_error();
}

static inline void assert_refused(const void *result, gr_status expected, const char *part)
{
    assert_null(result);
    assert_fails(gr_last_status(), expected, part);
}

/* In double, and relative to b; cmocka's own compares floats. */
static inline void assert_near(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance * fabs(b))) fail_msg("%.17g is not %.17g", a, b);
}

/* Gives w the gradient g, as a backward pass would, through the inside of the tensor. */
static inline void give(gr_tensor *w, const double g[])
{
    if (!w->grad) w->grad = gr_zeros((gr_dtype)w->dtype, w->rank, w->shape);
    assert_non_null(w->grad);
    for (int64_t i = 0; i < w->size; i++) assert_int_equal(gr_set(w->grad, i, g[i]), GR_OK);
    w->has_grad = true;
}

static inline void give_all(gr_tensor *w, double g)
{
    if (!w->grad) w->grad = gr_zeros((gr_dtype)w->dtype, w->rank, w->shape);
    assert_non_null(w->grad);
    for (int64_t i = 0; i < w->size; i++) assert_int_equal(gr_set(w->grad, i, g), GR_OK);
    w->has_grad = true;
}

static inline gr_params *one(gr_dtype dtype, int64_t n, double value)
{
    gr_params *params = gr_params_new();
    assert_non_null(gr_params_add(params, "w", gr_full(dtype, GR_SHAPE(n), value)));
    return params;
}

/* ---- An allocator that counts and fails -------------------------------------------------------------------------- */

static struct {
    int calls, live, fail_at; /* 0: never */
} heap;

static inline void *heap_allocate(void *context, size_t bytes)
{
    (void)context;
    if (++heap.calls == heap.fail_at) return NULL;
    heap.live++;
    return malloc(bytes);
}

static inline void heap_release(void *context, void *memory)
{
    (void)context;
    heap.live--;
    free(memory);
}

static inline void watch_heap(void)
{
    memset(&heap, 0, sizeof heap);
    gr_set_allocator(&(gr_allocator){heap_allocate, heap_release, NULL});
}

static inline void leave_heap(void)
{
    gr_set_allocator(NULL);
    assert_int_equal(heap.live, 0);
}

static inline void fail_after(int calls) { heap.fail_at = heap.calls + calls; }

/* ---- Optimizers against their recurrences ------------------------------------------------------------------------ */

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

static inline gr_optimizer *make_sgd(gr_params *p) { return gr_sgd(p, NULL); }

static inline void sgd(element *e, long double g, long double lr) { e->w = e->w - lr * g; }

static inline gr_optimizer *make_sgd_decay(gr_params *p)
{
    return gr_sgd(p, &(gr_sgd_options){.lr = 0.1, .weight_decay = 0.3});
}

static inline void sgd_decay(element *e, long double g, long double lr) { e->w = e->w - lr * (g + 0.3L * e->w); }

static inline gr_optimizer *make_momentum(gr_params *p)
{
    return gr_sgd(p, &(gr_sgd_options){.lr = 0.05, .momentum = 0.8, .weight_decay = 0.2});
}

static inline void momentum(element *e, long double g, long double lr)
{
    g += 0.2L * e->w;
    e->first = e->t == 1 ? g : 0.8L * e->first + g;
    e->w -= lr * e->first;
}

static inline gr_optimizer *make_nesterov(gr_params *p)
{
    return gr_sgd(p, &(gr_sgd_options){.lr = 0.05, .momentum = 0.8, .weight_decay = 0.2, .nesterov = true});
}

static inline void nesterov(element *e, long double g, long double lr)
{
    g += 0.2L * e->w;
    e->first = e->t == 1 ? g : 0.8L * e->first + g;
    e->w -= lr * (g + 0.8L * e->first);
}

static inline void adam_by(element *e, long double g, long double lr, long double beta1, long double beta2,
                           long double eps)
{
    e->first = beta1 * e->first + (1.0L - beta1) * g;
    e->second = beta2 * e->second + (1.0L - beta2) * g * g;
    long double m = e->first / (1.0L - powl(beta1, e->t)), v = e->second / (1.0L - powl(beta2, e->t));
    e->w -= lr * m / (sqrtl(v) + eps);
}

static inline gr_optimizer *make_adam(gr_params *p) { return gr_adam(p, NULL); }

static inline void adam(element *e, long double g, long double lr) { adam_by(e, g, lr, 0.9L, 0.999L, 1e-8L); }

static const gr_adam_options adam_all = {.lr = 0.05, .beta1 = 0.8, .beta2 = 0.95, .eps = 0.1, .weight_decay = 0.2};

static inline gr_optimizer *make_adam_all(gr_params *p) { return gr_adam(p, &adam_all); }

static inline void adam_decay(element *e, long double g, long double lr)
{
    adam_by(e, g + 0.2L * e->w, lr, 0.8L, 0.95L, 0.1L);
}

static inline gr_optimizer *make_adamw(gr_params *p) { return gr_adamw(p, NULL); }

static inline gr_optimizer *make_adamw_all(gr_params *p) { return gr_adamw(p, &adam_all); }

static inline void adamw_decay(element *e, long double g, long double lr)
{
    e->w *= 1.0L - lr * 0.2L;
    adam_by(e, g, lr, 0.8L, 0.95L, 0.1L);
}

static inline gr_optimizer *make_rmsprop(gr_params *p) { return gr_rmsprop(p, NULL); }

static inline void rmsprop(element *e, long double g, long double lr)
{
    e->first = 0.99L * e->first + 0.01L * g * g;
    e->w -= lr * g / (sqrtl(e->first) + 1e-8L);
}

static inline gr_optimizer *make_rmsprop_decay(gr_params *p)
{
    return gr_rmsprop(p, &(gr_rmsprop_options){.lr = 0.02, .alpha = 0.9, .eps = 0.1, .weight_decay = 0.2});
}

static inline void rmsprop_decay(element *e, long double g, long double lr)
{
    g += 0.2L * e->w;
    e->first = 0.9L * e->first + 0.1L * g * g;
    e->w -= lr * g / (sqrtl(e->first) + 0.1L);
}

static inline gr_optimizer *make_rmsprop_all(gr_params *p)
{
    return gr_rmsprop(
        p, &(gr_rmsprop_options){.lr = 0.02, .alpha = 0.9, .eps = 0.1, .momentum = 0.7, .weight_decay = 0.2});
}

static inline void rmsprop_all(element *e, long double g, long double lr)
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

/* ---- Every allocation fails in turn ------------------------------------------------------------------------------ */

static inline gr_params *two_params(void)
{
    gr_params *params = one(GR_F32, 100, 1.0);
    assert_non_null(gr_params_add(params, "b", gr_ones(GR_F64, GR_SCALAR)));
    return params;
}

static inline int start_afresh(void **state)
{
    (void)state;
    gr_clear_error();
    gr_set_allocator(NULL);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, start_afresh)

#endif
