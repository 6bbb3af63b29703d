/* test_params.c: named sets of parameters and buffers. */
#include "optim_kit.h"

/* ---- The set of parameters --------------------------------------------------------------------------------------- */

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
    assert_refused(gr_params_add(params, "v", w), GR_ERR_STATE,
                   "params_add: w [100] is a tensor of a set of parameters, not yours: give a gr_copy()");
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

/* ---- Every allocation fails in turn ------------------------------------------------------------------------------ */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_params),      TEST(test_params_refuse), TEST(test_params_print),
        TEST(test_params_copy), TEST(test_oom_params),    TEST(test_oom_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
