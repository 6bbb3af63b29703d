/* test_oom.c: every allocation of a training step made to fail, one after the other, alone and with all that follow.
 * Each time: GR_ERR_MEMORY, nothing lost, nothing half done, and the next try gives the same bits. */
#include "helpers.h"

#include <gradus/gradus.h>

#include "counting.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { PARAMS = 4, BITS = 2 + 6 * 5 + 5 * 4 + 5 + 4 };

/* What a step computes, to compare bit by bit. */
typedef struct outcome {
    double value[BITS];
    int n;
} outcome;

typedef struct model {
    gr_tape *t;
    gr_params *params;
    gr_optimizer *optimizer;
    gr_tensor *w, *v, *b, *c; /* [6,5], [5,4], [5], [4] */
    gr_tensor *x, *classes, *shares, *weight, *index;
} model;

static void note(outcome *o, const gr_tensor *x)
{
    for (int64_t i = 0; i < gr_size(x); i++) {
        assert_true(o->n < BITS);
        o->value[o->n++] = gr_get(x, i);
    }
}

/* ---- The objects --------------------------------------------------------------------------------------------- */

static void free_model(model *m)
{
    gr_tensor *const data[] = {m->x, m->classes, m->shares, m->weight, m->index};
    gr_optimizer_free(m->optimizer);
    gr_tape_free(m->t);
    gr_params_free(m->params);
    for (size_t i = 0; i < COUNT(data); i++) gr_tensor_free(data[i]);
}

static gr_status make_model(model *m)
{
    gr_rng rng = gr_rng_seed(5);
    *m = (model){.t = gr_tape_new(), .params = gr_params_new()};
    m->w = gr_params_add(m->params, "w", gr_normal(GR_F64, GR_SHAPE(6, 5), 0.0, 0.5, &rng));
    m->v = gr_params_add(m->params, "v", gr_xavier_uniform(GR_F64, GR_SHAPE(5, 4), &rng));
    m->b = gr_params_add(m->params, "b", gr_full(GR_F64, GR_SHAPE(5), 0.1));
    m->c = gr_params_add(m->params, "c", gr_zeros(GR_F64, GR_SHAPE(4)));
    m->x = gr_uniform(GR_F64, GR_SHAPE(8, 6), -1.0, 1.0, &rng);
    m->classes = gr_from(GR_I32, GR_SHAPE(8), (int32_t[]){0, 1, 2, 3, 3, 2, 1, 0});
    m->shares = gr_full(GR_F64, GR_SHAPE(8, 4), 0.25);
    m->weight = gr_copy_as(GR_F64, m->shares);
    m->index = gr_from(GR_I32, GR_SHAPE(20), (int32_t[20]){5, 0, 3});
    bool all = m->t && m->w && m->v && m->b && m->c && m->x && m->classes && m->shares && m->weight && m->index;
    if (all) m->optimizer = gr_adam(m->params, &(gr_adam_options){.lr = 0.01});
    if (m->optimizer) return GR_OK;
    free_model(m);
    return gr_last_status();
}

/* ---- The step: ops of every family, and a derivative of a derivative ----------------------------------------- */

static gr_tensor *layers(const model *m)
{
    gr_tape *t = m->t;
    gr_tensor *h = gr_gelu(t, gr_linear(t, m->x, m->w, m->b));
    gr_tensor *halves[] = {gr_slice(t, h, 0, 4, 8), gr_slice(t, h, 0, 0, 4)};
    gr_tensor *columns[] = {gr_slice(t, h, 1, 0, 2), gr_slice(t, h, 1, 2, 5)};
    h = gr_add(t, gr_concat(t, halves, 2, 0), gr_concat(t, columns, 2, 1));
    h = gr_sub(t, h, gr_slice(t, gr_pad(t, h, 0, 2, 0, 0.5), 0, 0, 8));
    h = gr_where(t, gr_greater(t, h, gr_broadcast_to(t, m->b, GR_SHAPE(8, 5))), h, gr_tanh(t, h));
    h = gr_clamp(t, gr_mul(t, h, gr_sigmoid(t, h)), -3.0, 3.0);
    gr_tensor *stacked = gr_stack(t, (gr_tensor *[]){h, gr_relu(t, h)}, 2, 0);
    h = gr_mean(t, gr_matmul(t, stacked, m->v, 0), GR_AXES(0), false);
    return gr_keep(gr_add(t, h, m->c));
}

static gr_tensor *penalties(const model *m, gr_tensor *z)
{
    gr_tape *t = m->t;
    gr_tensor *rows = gr_gather_rows(t, m->w, m->index), *table = gr_scatter_rows(t, rows, m->index, 9);
    gr_tensor *p =
        gr_add(t, gr_sum(t, gr_square(t, table), GR_ALL_AXES, false), gr_var(t, m->v, GR_ALL_AXES, false, 1));
    p = gr_add(t, p, gr_sum(t, gr_max(t, z, GR_AXES(1), true), GR_ALL_AXES, false));
    p = gr_add(t, p, gr_mean(t, gr_logsumexp(t, gr_transpose(t, z), GR_AXES(0), false), GR_ALL_AXES, false));
    p = gr_add(t, p, gr_mean(t, gr_pow_scalar(t, gr_shift(t, gr_abs(t, z), 1.0), 1.5), GR_ALL_AXES, false));
    return gr_cast(t, gr_scale(t, p, 1e-2), GR_F64);
}

static gr_tensor *losses(const model *m, gr_tensor *z)
{
    gr_tape *t = m->t;
    const gr_loss_options logits = {.from_logits = true}, weighted = {.weight = m->weight}, sum = {.reduction = GR_SUM};
    gr_tensor *loss = gr_cross_entropy(t, z, m->classes, &logits);
    loss = gr_add(t, loss, gr_bce(t, z, m->shares, &logits));
    loss = gr_add(t, loss, gr_kl(t, gr_softmax(t, z, 1), m->shares, NULL));
    loss = gr_add(t, loss, gr_mse(t, z, m->shares, &weighted));
    return gr_add(t, loss, gr_scale(t, gr_l1(t, z, gr_detach(t, gr_log_softmax(t, z, 1)), &sum), 0.01));
}

/* Forward, a penalty on the gradient of one weight, backward: all but the change of the parameters. */
static gr_status gradients(const model *m, outcome *o)
{
    gr_tensor *z = layers(m), *loss = losses(m, z), *d[2];
    if (!z || gr_set_name(z, "z")) return gr_last_status();
    gr_status status = gr_grad(m->t, loss, (gr_tensor *[]){m->v, m->c}, 2, d, GR_CREATE_GRAPH);
    if (status) return status;
    gr_tensor *all = gr_add(m->t, loss, penalties(m, z));
    for (int i = 0; i < 2; i++) all = gr_add(m->t, all, gr_sum(m->t, gr_square(m->t, d[i]), GR_ALL_AXES, false));
    if (!all) return gr_last_status();
    status = gr_backward(m->t, all, 0);
    if (status) return status;
    o->n = 0;
    o->value[o->n++] = gr_item(all);
    o->value[o->n++] = gr_get(z, 3);
    for (int i = 0; i < PARAMS; i++) note(o, gr_gradient(gr_params_at(m->params, i)));
    return GR_OK;
}

static gr_status step(model *m, outcome *o)
{
    gr_status status = gradients(m, o);
    if (!status) status = gr_clip_grad_norm(m->params, 1.0, NULL);
    if (!status) status = gr_step(m->optimizer);
    gr_tape_reset(m->t);
    return status;
}

static void assert_same(const outcome *a, const outcome *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->value, b->value, (size_t)a->n * sizeof *a->value);
}

static void assert_out_of_memory(gr_status status, int64_t n)
{
    if (status != GR_ERR_MEMORY || gr_last_status() != GR_ERR_MEMORY || !strstr(gr_last_error(), "out of memory: "))
        fail_msg("allocation %d: \"%s\": %s", (int)n, gr_status_text(status), gr_last_error());
}

/* ---- All of it, from nothing --------------------------------------------------------------------------------- */

/* Makes everything, trains two steps, frees everything. */
static gr_status whole_life(outcome *last)
{
    model m;
    gr_status status = make_model(&m);
    if (status) return status;
    for (int i = 0; i < 2 && !status; i++) status = step(&m, last);
    free_model(&m);
    return status;
}

/* Losses of regions with weights, an ignored class and class weights: where memory for one of these is missing, the
 * loss must not go on without it. */
static gr_tensor *region_losses(gr_tape *t, gr_tensor *x, gr_tensor *y, gr_tensor *w, gr_tensor *by_class)
{
    const gr_region_options o = {.reduction = GR_SUM,
                                 .from_logits = true,
                                 .softmax = true,
                                 .without_background = true,
                                 .ignore = true,
                                 .ignore_index = 3,
                                 .weight = w,
                                 .class_weight = by_class};
    gr_region_options mean = o, hinge = o;
    mean.reduction = GR_MEAN;
    hinge.softmax = false;
    gr_tensor *l = gr_dice(t, x, y, &(gr_overlap_options){.base = mean});
    l = gr_add(t, l, gr_generalised_dice(t, x, y, &(gr_overlap_options){.base = o}));
    l = gr_add(t, l, gr_focal_tversky(t, x, y, &(gr_focal_tversky_options){.base = o}));
    l = gr_add(t, l, gr_lovasz_hinge(t, x, y, &hinge));
    return gr_add(t, l, gr_lovasz_softmax(t, x, y, &(gr_lovasz_softmax_options){.base = mean}));
}

static gr_status life_of_regions(outcome *o)
{
    gr_rng rng = gr_rng_seed(8);
    gr_tape *t = gr_tape_new();
    gr_tensor *all[] = {gr_uniform(GR_F64, GR_SHAPE(4, 4, 1, 3), -2, 2, &rng), gr_zeros(GR_I32, GR_SHAPE(4, 1, 3)),
                        gr_uniform(GR_F64, GR_SHAPE(4, 1, 3), 0.5, 2, &rng),
                        gr_uniform(GR_F64, GR_SHAPE(4), 0.5, 2, &rng)};
    gr_tensor *d, *l = NULL;
    gr_status status = t && all[0] && all[1] && all[2] && all[3] ? gr_require_grad(all[0]) : gr_last_status();
    for (int i = 0; i < 12 && !status; i++) status = gr_set(all[1], i, i % 4);
    if (!status) status = (l = region_losses(t, all[0], all[1], all[2], all[3])) ? GR_OK : gr_last_status();
    if (!status) status = gr_grad(t, l, all, 1, &d, GR_CREATE_GRAPH);
    o->n = 0;
    if (!status) {
        o->value[o->n++] = gr_item(l);
        note(o, d);
    }
    gr_tape_free(t);
    for (size_t i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
    return status;
}

/* A life of the two above, which computes n numbers. */
static void from_nothing(gr_status (*life)(outcome *last), int numbers, bool fail_from)
{
    counting memory;
    outcome expected = {.n = 0}, got = {.n = 0};
    counting_begin(&memory);
    assert_int_equal(life(&expected), GR_OK);
    assert_int_equal(memory.live, 0);
    const int64_t calls = memory.calls;
    assert_int_equal(expected.n, numbers);
    for (int64_t n = 1;; n++) {
        counting_begin(&memory);
        memory.fail_at = n;
        memory.fail_from = fail_from;
        gr_clear_error();
        gr_status status = life(&got);
        if (memory.live || memory.foreign) fail_msg("allocation %d: %d blocks leaked", (int)n, (int)memory.live);
        if (!memory.failures) { /* past the last one */
            assert_int_equal(n, calls + 1);
            assert_int_equal(status, GR_OK);
            break;
        }
        assert_out_of_memory(status, n);
        memory.fail_at = 0;
        assert_int_equal(life(&got), GR_OK);
        assert_same(&got, &expected);
    }
    counting_end();
    assert_true(calls > 60);
}

static void each_allocation_from_nothing(void **state)
{
    (void)state;
    from_nothing(whole_life, 2 + 30 + 20 + 5 + 4, false);
    from_nothing(life_of_regions, 1 + 48, false);
}

static void each_and_all_that_follow_from_nothing(void **state)
{
    (void)state;
    from_nothing(whole_life, 2 + 30 + 20 + 5 + 4, true);
    from_nothing(life_of_regions, 1 + 48, true);
}

/* ---- With objects that stay ---------------------------------------------------------------------------------- */

/* Gradients from before: one parameter has one, another has had one, the rest never. */
static void prepare(model *m)
{
    assert_int_equal(make_model(m), GR_OK);
    gr_tensor *sum = gr_add(m->t, gr_sum(m->t, m->w, GR_ALL_AXES, false), gr_sum(m->t, m->b, GR_ALL_AXES, false));
    assert_int_equal(gr_backward(m->t, sum, 0), GR_OK);
    gr_zero_grad(m->b);
    gr_tape_free(m->t); /* a fresh tape has everything still to allocate */
    m->t = gr_tape_new();
    assert_non_null(m->t);
}

static void assert_untouched(const model *m, const model *twin, int64_t n)
{
    for (int i = 0; i < PARAMS; i++) {
        const gr_tensor *a = gr_params_at(m->params, i), *b = gr_params_at(twin->params, i);
        bool same = !gr_gradient(a) == !gr_gradient(b);
        for (int64_t k = 0; same && k < gr_size(a); k++) {
            same = gr_get(a, k) == gr_get(b, k);
            if (gr_gradient(a)) same = same && gr_get(gr_gradient(a), k) == gr_get(gr_gradient(b), k);
        }
        if (!same) fail_msg("allocation %d changed %s", (int)n, gr_name(a));
    }
}

/* The n-th allocation of the step fails: nothing has changed, and the next try on the same objects succeeds. False when
 * the step has fewer. */
static bool fail_and_try_again(const model *twin, const outcome *expected, int64_t n, bool fail_from)
{
    counting memory;
    model m;
    outcome got = {.n = 0};
    counting_begin(&memory);
    prepare(&m);
    memory.fail_at = memory.calls + n;
    memory.fail_from = fail_from;
    gr_status status = step(&m, &got);
    memory.fail_at = 0;
    const bool failed = memory.failures > 0;
    if (failed) {
        assert_out_of_memory(status, n);
        assert_untouched(&m, twin, n);
        gr_tape_stats s = gr_tape_statistics(m.t);
        assert_true(s.tensors == 0 && s.bytes == 0 && s.nodes == 0);
        status = step(&m, &got);
    }
    assert_int_equal(status, GR_OK);
    assert_same(&got, expected);
    free_model(&m);
    counting_end();
    if (memory.live || memory.foreign) fail_msg("allocation %d: %d blocks leaked", (int)n, (int)memory.live);
    return failed;
}

static void with_objects_that_stay(bool fail_from)
{
    model twin, m;
    outcome expected = {.n = 0};
    prepare(&twin);
    prepare(&m);
    assert_int_equal(step(&m, &expected), GR_OK);
    free_model(&m);
    int64_t n = 1;
    while (fail_and_try_again(&twin, &expected, n, fail_from)) n++;
    assert_true(n > 30);
    free_model(&twin);
}

static void each_allocation_of_a_step(void **state)
{
    (void)state;
    with_objects_that_stay(false);
}

static void each_and_all_that_follow_of_a_step(void **state)
{
    (void)state;
    with_objects_that_stay(true);
}

/* ---- Elsewhere ----------------------------------------------------------------------------------------------- */

/* A result that cannot be had leaves the results before it as they are, on the same tape. */
static void results_before_it_stay(void **state)
{
    (void)state;
    counting memory;
    counting_begin(&memory);
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_full(GR_F64, GR_SHAPE(100), 2.0);
    assert_int_equal(gr_require_grad(x), GR_OK);
    gr_tensor *y = gr_square(t, x), *sum = gr_sum(t, y, GR_ALL_AXES, false), *d;
    memory.fail_at = 1;
    memory.fail_from = true; /* nothing more, from now on */
    assert_null(gr_exp(t, gr_concat(t, (gr_tensor *[]){y, y}, 2, 0)));
    assert_int_equal(gr_last_status(), GR_ERR_MEMORY);
    assert_int_equal(gr_grad(t, sum, &x, 1, &d, GR_RETAIN), GR_ERR_MEMORY);
    assert_null(d);
    memory.fail_at = 0;
    assert_int_equal(gr_grad(t, sum, &x, 1, &d, GR_RETAIN), GR_OK);
    assert_true(gr_get(d, 99) == 4.0 && gr_get(y, 99) == 4.0 && gr_item(sum) == 400.0);
    memory.fail_at = 1;
    assert_int_equal(gr_backward(t, sum, GR_RETAIN), GR_ERR_MEMORY);
    assert_null(gr_gradient(x));
    memory.fail_at = 0;
    assert_int_equal(gr_backward(t, sum, GR_RETAIN), GR_OK);
    assert_true(gr_get(gr_gradient(x), 99) == 4.0);
    gr_tape_free(t);
    gr_tensor_free(x);
    counting_end();
    assert_int_equal(memory.live, 0);
}

static void a_name_stays_when_the_next_cannot_be_had(void **state)
{
    (void)state;
    counting memory;
    counting_begin(&memory);
    gr_tensor *x = gr_ones(GR_F32, GR_SHAPE(3));
    assert_int_equal(gr_set_name(x, "first"), GR_OK);
    memory.fail_at = memory.calls + 1;
    assert_int_equal(gr_set_name(x, "second"), GR_ERR_MEMORY);
    assert_string_equal(gr_name(x), "first");
    gr_tensor_free(x);
    counting_end();
    assert_int_equal(memory.live, 0);
}

/* Text beyond 16 kB needs memory; without it nothing is written rather than a part. */
static void printing_without_memory(void **state)
{
    (void)state;
    counting memory;
    counting_begin(&memory);
    gr_tensor *x = gr_arange(GR_F64, 0, 7776, 1), *view = gr_view(x, GR_SHAPE(6, 6, 6, 6, 6));
    FILE *file = tmpfile();
    assert_non_null(file);
    memory.fail_at = memory.calls + 1;
    gr_clear_error();
    gr_fprint(file, view);
    assert_int_equal(ftell(file), 0);
    assert_int_equal(gr_last_status(), GR_ERR_MEMORY);
    fclose(file);
    gr_tensor_free(view);
    gr_tensor_free(x);
    counting_end();
    assert_int_equal(memory.live, 0);
}

/* More than any machine has. */
static void a_size_that_no_allocator_has(void **state)
{
    (void)state;
    counting memory;
    counting_begin(&memory);
    memory.fail_at = 2; /* the record is had, its 2^45 bytes are not */
    assert_null(gr_zeros(GR_F32, GR_SHAPE((int64_t)1 << 43)));
    assert_string_equal(gr_last_error(), "out of memory: 35184372088832 bytes were asked for");
    counting_end();
    assert_int_equal(memory.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_from_nothing), cmocka_unit_test(each_and_all_that_follow_from_nothing),
        cmocka_unit_test(each_allocation_of_a_step),    cmocka_unit_test(each_and_all_that_follow_of_a_step),
        cmocka_unit_test(results_before_it_stay),       cmocka_unit_test(a_name_stays_when_the_next_cannot_be_had),
        cmocka_unit_test(printing_without_memory),      cmocka_unit_test(a_size_that_no_allocator_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
