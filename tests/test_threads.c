/* test_threads.c: several tapes in several threads: shared data and parameters read with gr_grad(), parameters of
 * one's own trained with gr_backward(), and errors that stay in their thread. Run under the thread sanitizer too. */
#define _POSIX_C_SOURCE 200112L /* barriers */
#include "helpers.h"

#include <pthread.h>

#include <gradus/gradus.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { MOST_THREADS = 4, STEPS = 10 };

/* ---- Threads that start together ----------------------------------------------------------------------------- */

typedef struct worker {
    int id;
    bool (*work)(struct worker *w); /* false when something was not as it should be */
    void *shared;
    pthread_barrier_t *start;
    bool right;
    double sum;
} worker;

static void *run_worker(void *argument)
{
    worker *w = argument;
    pthread_barrier_wait(w->start);
    w->right = w->work(w);
    return NULL;
}

static void run_together(int n, bool (*work)(worker *w), void *shared, worker workers[])
{
    pthread_t threads[MOST_THREADS];
    pthread_barrier_t start;
    assert_int_equal(pthread_barrier_init(&start, NULL, (unsigned)n), 0);
    for (int i = 0; i < n; i++) {
        workers[i] = (worker){.id = i, .work = work, .shared = shared, .start = &start};
        assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
    }
    for (int i = 0; i < n; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&start);
    for (int i = 0; i < n; i++)
        if (!workers[i].right) fail_msg("thread %d of %d went wrong", i, n);
}

/* ---- A network ----------------------------------------------------------------------------------------------- */

typedef struct network {
    gr_tensor *w, *b, *v;      /* [40,24], [24], [24,3] */
    gr_tensor *x, *y, *weight; /* [240,40], classes, and a factor for each */
} network;

static void make_parameters(network *n, uint64_t seed)
{
    gr_rng rng = gr_rng_seed(seed);
    n->w = gr_kaiming_normal(GR_F32, GR_SHAPE(40, 24), &rng);
    n->b = gr_zeros(GR_F32, GR_SHAPE(24));
    n->v = gr_xavier_normal(GR_F32, GR_SHAPE(24, 3), &rng);
}

static void make_data(network *n)
{
    gr_rng rng = gr_rng_seed(99);
    n->x = gr_normal(GR_F32, GR_SHAPE(240, 40), 0.0, 1.0, &rng);
    n->y = gr_zeros(GR_I32, GR_SHAPE(240));
    for (int i = 0; i < 240; i++) gr_i32(n->y)[i] = (int)gr_rng_below(&rng, 3);
    n->weight = gr_uniform(GR_F32, GR_SHAPE(240), 0.5, 1.5, &rng);
}

static gr_tensor *loss_of(gr_tape *t, const network *n)
{
    const gr_loss_options options = {.from_logits = true, .weight = n->weight};
    gr_tensor *h = gr_gelu(t, gr_linear(t, n->x, n->w, n->b));
    return gr_cross_entropy(t, gr_matmul(t, h, n->v, 0), n->y, &options);
}

static double sum_of(const gr_tensor *x)
{
    double sum = 0.0;
    for (int64_t i = 0; i < gr_size(x); i++) sum += gr_get(x, i) * (1.0 + (double)(i % 7));
    return sum;
}

/* ---- Everything shared, everything only read ----------------------------------------------------------------- */

/* Gradients and a product with the Hessian, of shared parameters. */
static bool differentiate(worker *w)
{
    const network *n = w->shared;
    gr_tensor *const leaves[] = {n->w, n->b, n->v, n->w};
    gr_tape *t = gr_tape_new();
    bool right = t != NULL;
    for (int step = 0; step < STEPS && right; step++) {
        gr_tensor *d[COUNT(leaves)], *hv, *loss = loss_of(t, n);
        right = !gr_grad(t, loss, leaves, COUNT(leaves), d, GR_CREATE_GRAPH);
        gr_tensor *length = gr_sum(t, gr_square(t, right ? d[2] : NULL), GR_ALL_AXES, false);
        right = right && !gr_grad(t, length, &n->w, 1, &hv, 0);
        double sum = right ? gr_item(loss) + sum_of(d[0]) + sum_of(d[1]) + sum_of(hv) : (double)NAN;
        right = right && (step == 0 || sum == w->sum);
        w->sum = sum;
        gr_tape_reset(t);
    }
    gr_tape_free(t);
    return right;
}

static void shared_parameters(void **state)
{
    (void)state;
    network n;
    worker workers[MOST_THREADS], alone;
    make_data(&n);
    make_parameters(&n, 7);
    gr_tensor *const leaves[] = {n.w, n.b, n.v};
    for (size_t i = 0; i < COUNT(leaves); i++) assert_int_equal(gr_require_grad(leaves[i]), GR_OK);
    assert_int_equal(gr_set_name(n.w, "w"), GR_OK);
    for (int threads = 2; threads <= MOST_THREADS; threads += 2) {
        run_together(threads, differentiate, &n, workers);
        run_together(1, differentiate, &n, &alone);
        for (int i = 0; i < threads; i++) assert_true(workers[i].sum == alone.sum);
    }
    for (size_t i = 0; i < COUNT(leaves); i++) assert_null(gr_gradient(leaves[i]));
    gr_tensor *const all[] = {n.w, n.b, n.v, n.x, n.y, n.weight};
    for (size_t i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

/* ---- Parameters of one's own, data shared -------------------------------------------------------------------- */

static bool train(worker *w)
{
    network n = *(const network *)w->shared;
    gr_params *params = gr_params_new();
    make_parameters(&n, 100 + (uint64_t)w->id);
    n.w = gr_params_add(params, "w", n.w);
    n.b = gr_params_add(params, "b", n.b);
    n.v = gr_params_add(params, "v", n.v);
    gr_optimizer *adam = gr_adam(params, &(gr_adam_options){.lr = 0.01});
    gr_tape *t = gr_tape_new();
    bool right = t && adam;
    double first = 0.0, last = 0.0;
    for (int step = 0; step < STEPS && right; step++) {
        gr_tensor *loss = loss_of(t, &n);
        right = !gr_backward(t, loss, 0) && !gr_step(adam);
        last = gr_item(loss);
        if (step == 0) first = last;
        gr_tape_reset(t);
    }
    w->sum = sum_of(n.w) + sum_of(n.b) + sum_of(n.v) + last;
    gr_tape_free(t);
    gr_optimizer_free(adam);
    gr_params_free(params);
    return right && last < first;
}

static void parameters_of_ones_own(void **state)
{
    (void)state;
    network n = {0};
    worker workers[MOST_THREADS];
    make_data(&n);
    for (int threads = 2; threads <= MOST_THREADS; threads += 2) {
        run_together(threads, train, &n, workers);
        for (int i = 0; i < threads; i++) {
            worker alone = {.id = i, .shared = &n};
            assert_true(train(&alone));
            assert_true(alone.sum == workers[i].sum);
        }
    }
    gr_tensor *const all[] = {n.x, n.y, n.weight};
    for (size_t i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

/* ---- Errors -------------------------------------------------------------------------------------------------- */

static bool fail_often(worker *w)
{
    gr_tensor *shared = w->shared;
    gr_tape *t = gr_tape_new();
    gr_tensor *own = gr_ones(GR_F64, GR_SHAPE(2, 10 + w->id));
    char expected[128];
    snprintf(expected, sizeof expected, "add: shapes do not broadcast: [2,%d] and [3,4]", 10 + w->id);
    bool right = t && own && gr_last_status() == GR_OK;
    for (int i = 0; i < 500 && right; i++) {
        right = !gr_exp(t, gr_add(t, own, shared)) && gr_last_status() == GR_ERR_SHAPE &&
                !strcmp(gr_last_error(), expected);
        gr_clear_error();
        right = right && gr_item(gr_sum(t, gr_mul(t, shared, shared), GR_ALL_AXES, false)) == 12.0 &&
                gr_last_status() == GR_OK;
        if (i % 50 == 0) gr_tape_reset(t);
    }
    gr_tape_free(t);
    gr_tensor_free(own);
    return right;
}

static void errors_stay_in_their_thread(void **state)
{
    (void)state;
    worker workers[MOST_THREADS];
    gr_tensor *shared = gr_ones(GR_F64, GR_SHAPE(3, 4));
    gr_fail(GR_ERR_VALUE, "of the main thread");
    run_together(MOST_THREADS, fail_often, shared, workers);
    assert_string_equal(gr_last_error(), "of the main thread");
    gr_tensor_free(shared);
}

/* ---- Large tensors: every thread may ask for helpers of its own ----------------------------------------------- */

static bool reduce_large(worker *w)
{
    gr_tensor *x = w->shared;
    gr_tape *t = gr_tape_new();
    gr_tensor *d = NULL;
    bool right = true;
    for (int i = 0; i < 3 && right; i++) {
        gr_tensor *y = gr_mean(t, gr_square(t, gr_shift(t, x, 1.0)), GR_ALL_AXES, false);
        right = !gr_grad(t, y, &x, 1, &d, 0);
        w->sum = right ? gr_item(y) + sum_of(d) : (double)NAN;
        gr_tape_reset(t);
    }
    gr_tape_free(t);
    return right;
}

static void large_tensors(void **state)
{
    (void)state;
    worker workers[MOST_THREADS], alone;
    gr_rng rng = gr_rng_seed(3);
    gr_tensor *x = gr_uniform(GR_F32, GR_SHAPE(300, 400), -1.0, 1.0, &rng);
    assert_int_equal(gr_require_grad(x), GR_OK);
    run_together(MOST_THREADS, reduce_large, x, workers);
    run_together(1, reduce_large, x, &alone);
    for (int i = 0; i < MOST_THREADS; i++) assert_true(workers[i].sum == alone.sum);
    gr_tensor_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_parameters), /* first: what the library finds out once, threads find out together */
        cmocka_unit_test(parameters_of_ones_own),
        cmocka_unit_test(errors_stay_in_their_thread),
        cmocka_unit_test(large_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
