/* test_dataset.c: data sets and mini-batches; and every allocation of theirs, and of the readers, failing in turn. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "data_kit.h"

/* ---- Data sets --------------------------------------------------------------------------------------------------- */

/* x [n,2] with i and 10 i in row i, y = i % 3. */
static gr_dataset *counted(gr_dtype dtype, int64_t n)
{
    gr_tensor *x = gr_zeros(dtype, GR_SHAPE(n, 2)), *y = gr_zeros(GR_I32, GR_SHAPE(n));
    for (int64_t i = 0; x && y && i < n; i++) {
        assert_int_equal(gr_set(x, 2 * i, (double)i), GR_OK);
        assert_int_equal(gr_set(x, 2 * i + 1, 10.0 * (double)i), GR_OK);
        assert_int_equal(gr_set(y, i, (double)(i % 3)), GR_OK);
    }
    return gr_dataset_new(x, y);
}

static void dataset_is_made(void **state)
{
    (void)state;
    watch_memory(0);
    gr_dataset *set = counted(GR_F64, 5);
    assert_string_equal(dump(set), "| 0 0 >0 | 1 10 >1 | 2 20 >2 | 3 30 >0 | 4 40 >1 |");
    assert_int_equal(gr_dataset_classes(set), 3);
    gr_dataset_free(set);
    gr_tensor *x = gr_ones(GR_F32, GR_SHAPE(4, 3));
    set = gr_dataset_new(x, x);
    assert_int_equal(gr_dataset_size(set), 4);
    assert_int_equal(gr_dataset_classes(set), 0);
    gr_dataset_free(set);
    set = gr_dataset_new(gr_zeros(GR_I32, GR_SHAPE(2, 5)), gr_full(GR_I32, GR_SHAPE(2, 5), 7.0));
    assert_int_equal(gr_dataset_classes(set), 8);
    gr_dataset_free(set);

    assert_null(gr_dataset_new(NULL, gr_ones(GR_F32, GR_SHAPE(2))));
    assert_error("no x", GR_ERR_NULL, "x is NULL");
    assert_null(gr_dataset_new(gr_ones(GR_F32, GR_SHAPE(2)), NULL));
    assert_error("no y", GR_ERR_NULL, "y is NULL");
    assert_null(gr_dataset_new(gr_ones(GR_F32, GR_SHAPE(2, 3)), gr_ones(GR_F32, GR_SHAPE(3))));
    assert_error("rows", GR_ERR_SHAPE, "x is [2,3] and y [3]");
    assert_null(gr_dataset_new(gr_ones(GR_F32, GR_SHAPE(0, 3)), gr_ones(GR_F32, GR_SHAPE(0))));
    assert_error("no rows", GR_ERR_SHAPE, "one at least");
    assert_null(gr_dataset_new(gr_ones(GR_F32, GR_SCALAR), gr_ones(GR_F32, GR_SCALAR)));
    assert_error("scalars", GR_ERR_SHAPE, "one at least");
    x = gr_ones(GR_F32, GR_SCALAR);
    assert_null(gr_dataset_new(x, x));
    gr_clear_error();
    assert_int_equal(the_watch.live, 0);
    gr_dataset_free(NULL);
    assert_int_equal(gr_dataset_size(NULL), 0);
    assert_null(gr_dataset_x(NULL));
    assert_null(gr_dataset_y(NULL));
    assert_int_equal(gr_dataset_classes(NULL), 0);
    assert_null(gr_dataset_class_name(NULL, 0));
    assert_null(gr_dataset_feature_name(NULL, 0));
}

static void dataset_splits(void **state)
{
    (void)state;
    gr_dataset *set = gr_csv_read(put_text("a,b\n0,r\n1,p\n2,q\n3,p\n4,p\n"), NULL, NULL), *first, *second;
    assert_non_null(set);
    assert_int_equal(gr_dataset_split(set, 0.5, NULL, &first, &second), GR_OK);
    assert_string_equal(dump(first), "a | 0 >2 | 1 >0 | 2 >1 | p q r");
    assert_string_equal(dump(second), "a | 3 >0 | 4 >0 | p q r");
    assert_int_equal(gr_dataset_classes(second), 3);
    gr_dataset_free(first);
    gr_dataset_free(second);
    gr_dataset_free(set);

    set = counted(GR_F32, 1000);
    gr_rng rng = gr_rng_seed(1), same = rng, before = rng;
    gr_dataset *again, *rest;
    assert_int_equal(gr_dataset_split(set, 0.8, &rng, &first, &second), GR_OK);
    assert_int_equal(gr_dataset_split(set, 0.8, &same, &again, &rest), GR_OK);
    assert_int_equal(gr_dataset_size(first), 800);
    assert_int_equal(gr_dataset_size(second), 200);
    assert_memory_equal(gr_read_f32(gr_dataset_x(first)), gr_read_f32(gr_dataset_x(again)), 800 * 2 * sizeof(float));
    assert_memory_equal(gr_read_f32(gr_dataset_x(second)), gr_read_f32(gr_dataset_x(rest)), 200 * 2 * sizeof(float));
    assert_memory_not_equal(&rng, &before, sizeof rng);
    int seen[1000] = {0}, moved = 0;
    for (int k = 0; k < 1000; k++) {
        gr_dataset *half = k < 800 ? first : second;
        int row = k < 800 ? k : k - 800, i = (int)gr_get(gr_dataset_x(half), 2 * row);
        assert_true(gr_get(gr_dataset_x(half), 2 * row + 1) == 10.0 * i);
        assert_int_equal(gr_read_i32(gr_dataset_y(half))[row], i % 3);
        seen[i]++;
        moved += i != k;
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(seen[i], 1);
    assert_true(moved > 900);
    gr_dataset_free(first);
    gr_dataset_free(second);
    gr_dataset_free(again);
    gr_dataset_free(rest);

    static const double shares[] = {0.0, 1.0, -1.0, 2.0, (double)NAN, 0.0001, 0.9999};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        first = second = set;
        assert_int_equal(gr_dataset_split(set, shares[i], &rng, &first, &second), GR_ERR_OPTION);
        assert_null(first);
        assert_null(second);
        assert_error("share", GR_ERR_OPTION, i < 5 ? "expected one between 0 and 1" : "leaves a set without any");
    }
    assert_int_equal(gr_dataset_split(set, 0.5, NULL, &first, NULL), GR_ERR_NULL);
    assert_int_equal(gr_dataset_split(set, 0.5, NULL, NULL, &second), GR_ERR_NULL);
    gr_clear_error();
    assert_int_equal(gr_dataset_split(NULL, 0.5, NULL, &first, &second), GR_ERR_NULL);
    gr_dataset_free(set);
}

static void dataset_standardizes(void **state)
{
    (void)state;
    for (int dtype = GR_F32; dtype <= GR_F64; dtype++) {
        double values[4][3] = {{1e6, 0.1, -3}, {1e6 + 1, 0.1, 5}, {1e6 + 2, 0.1, 5}, {1e6 + 3, 0.1, 5}};
        gr_tensor *x = gr_zeros((gr_dtype)dtype, GR_SHAPE(4, 3, 1));
        gr_tensor *other = gr_full((gr_dtype)dtype, GR_SHAPE(1, 3), 0.0);
        for (int i = 0; i < 12; i++) assert_int_equal(gr_set(x, i, values[i / 3][i % 3]), GR_OK);
        gr_dataset *set = gr_dataset_new(x, gr_zeros(GR_F32, GR_SHAPE(4, 1)));
        gr_dataset *held_out = gr_dataset_new(other, gr_zeros(GR_F32, GR_SHAPE(1, 1)));
        uint32_t version = gr_version_of(x);
        assert_int_equal(gr_dataset_standardize(set, &held_out, 1), GR_OK);
        assert_true(gr_version_of(x) != version);
        double tolerance = dtype == GR_F32 ? 1e-6 : 1e-12;
        for (int j = 0; j < 3; j++) {
            double mean = 0.0, square = 0.0;
            for (int i = 0; i < 4; i++) mean += gr_get(x, 3 * i + j) / 4;
            for (int i = 0; i < 4; i++) square += gr_get(x, 3 * i + j) * gr_get(x, 3 * i + j) / 4;
            assert_true(fabs(mean) < tolerance);
            assert_true(fabs(square - (j == 1 ? 0.0 : 1.0)) < tolerance);
            assert_true(j != 1 || square == 0.0);
        }
        double expected[3] = {-1000001.5 / sqrt(1.25), -(dtype == GR_F32 ? (double)0.1f : 0.1), -3.0 / sqrt(12.0)};
        for (int j = 0; j < 3; j++) assert_true(close_to(gr_get(other, j), expected[j], tolerance));
        gr_dataset_free(set);
        gr_dataset_free(held_out);
    }
}

/* A set of views changes what they look into, and a tape that has seen that is told. */
static void standardizing_a_view_is_a_change(void **state)
{
    (void)state;
    gr_tensor *x = gr_uniform(GR_F64, GR_SHAPE(4, 2), 0.0, 1.0, &(gr_rng){{1, 2, 3, 4}});
    gr_dataset *set = gr_dataset_new(gr_view_rows(x, 0, 3), gr_zeros(GR_F64, GR_SHAPE(3)));
    gr_tensor *w = gr_ones(GR_F64, GR_SHAPE(2));
    gr_require_grad(w);
    gr_tape *tape = gr_tape_new();
    gr_tensor *y = gr_sum(tape, gr_mul(tape, x, w), GR_ALL_AXES, false);
    assert_int_equal(gr_dataset_standardize(set, NULL, 0), GR_OK);
    assert_int_equal(gr_backward(tape, y, 0), GR_ERR_STATE);
    assert_error("a view", GR_ERR_STATE, "[4,2], input 0 of mul, was changed");
    gr_tape_free(tape);
    gr_dataset_free(set);
    gr_tensor_free(x);
    gr_tensor_free(w);
}

static void dataset_refuses_to_standardize(void **state)
{
    (void)state;
    gr_dataset *set = counted(GR_F32, 3),
               *integers = gr_dataset_new(gr_zeros(GR_I32, GR_SHAPE(3, 2)), gr_zeros(GR_F32, GR_SHAPE(3)));
    gr_dataset *wide = gr_dataset_new(gr_zeros(GR_F32, GR_SHAPE(3, 4)), gr_zeros(GR_F32, GR_SHAPE(3)));
    gr_dataset *missing = NULL;
    assert_int_equal(gr_dataset_standardize(NULL, NULL, 0), GR_ERR_NULL);
    gr_clear_error();
    assert_int_equal(gr_dataset_standardize(set, NULL, 1), GR_ERR_NULL);
    assert_int_equal(gr_dataset_standardize(set, &wide, -1), GR_ERR_OPTION);
    gr_clear_error();
    assert_int_equal(gr_dataset_standardize(set, &missing, 1), GR_ERR_NULL);
    gr_clear_error();
    assert_int_equal(gr_dataset_standardize(set, &wide, 1), GR_ERR_SHAPE);
    assert_error("features", GR_ERR_SHAPE, "others[0] has 4 features ([3,4]), set 2 ([3,2])");
    assert_int_equal(gr_dataset_standardize(integers, NULL, 0), GR_ERR_DTYPE);
    assert_int_equal(gr_dataset_standardize(set, &integers, 1), GR_ERR_DTYPE);
    assert_int_equal(gr_dataset_standardize(set, &set, 1), GR_ERR_OPTION);
    assert_error("itself", GR_ERR_OPTION, "others[0] is there twice");
    assert_int_equal(gr_set(gr_dataset_x(set), 3, (double)NAN), GR_OK);
    assert_int_equal(gr_dataset_standardize(set, NULL, 0), GR_ERR_VALUE);
    assert_error("NaN", GR_ERR_VALUE, "feature 1 has the mean nan");
    assert_true(gr_get(gr_dataset_x(set), 4) == 2.0);
    gr_dataset_free(set);
    gr_dataset_free(integers);
    gr_dataset_free(wide);
}

static void one_hot_encodes(void **state)
{
    (void)state;
    gr_tensor *index = gr_from(GR_I32, GR_SHAPE(1, 3), (int32_t[]){2, 0, 1});
    for (int dtype = 0; dtype < GR_N_DTYPES; dtype++) {
        gr_tensor *hot = gr_one_hot((gr_dtype)dtype, index, 3);
        assert_non_null(hot);
        assert_int_equal(gr_rank(hot), 3);
        assert_int_equal(gr_dim(hot, 2), 3);
        for (int i = 0; i < 9; i++) assert_true(gr_get(hot, i) == (i == 2 || i == 3 || i == 7 ? 1.0 : 0.0));
        gr_tensor_free(hot);
    }
    assert_null(gr_one_hot(GR_F32, index, 2));
    assert_error("range", GR_ERR_INDEX, "class 2 at [0,0] is outside 0..1");
    assert_null(gr_one_hot(GR_F32, index, -1));
    assert_error("negative", GR_ERR_SHAPE, "negative");
    assert_null(gr_one_hot(GR_F32, NULL, 3));
    assert_error("NULL", GR_ERR_NULL, "one_hot: index is NULL");
    gr_tensor *floats = gr_ones(GR_F32, GR_SHAPE(2)), *deep = gr_zeros(GR_I32, GR_SHAPE(1, 1, 1, 1, 1, 1, 1, 1));
    assert_null(gr_one_hot(GR_F32, floats, 3));
    assert_error("dtype", GR_ERR_DTYPE, "index is f32");
    assert_null(gr_one_hot(GR_F32, deep, 3));
    assert_error("rank", GR_ERR_SHAPE, "no room for another axis");
    gr_tensor_free(index);
    gr_tensor_free(floats);
    gr_tensor_free(deep);
}

static void blobs_are_made(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(3), same = rng;
    gr_dataset *set = gr_make_blobs(1001, 0.25, &rng), *again = gr_make_blobs(1001, 0.25, &same);
    const float *x = gr_read_f32(gr_dataset_x(set));
    assert_memory_equal(x, gr_read_f32(gr_dataset_x(again)), 1001 * 2 * sizeof(float));
    assert_memory_equal(&rng, &same, sizeof rng);
    assert_int_equal(gr_dataset_classes(set), 2);
    double mean[2] = {0.0, 0.0}, square = 0.0;
    for (int i = 0; i < 1001; i++) {
        int class = gr_read_i32(gr_dataset_y(set))[i];
        assert_int_equal(class, i % 2);
        for (int k = 0; k < 2; k++) {
            mean[class] += (double)x[2 * i + k] / 1001;
            double d = (double)x[2 * i + k] - (class ? 1.0 : -1.0);
            square += d * d / 2002;
        }
    }
    assert_true(fabs(mean[0] + 1.0) < 0.05 && fabs(mean[1] - 1.0) < 0.05);
    assert_true(fabs(sqrt(square) - 0.25) < 0.02);
    gr_dataset_free(set);
    gr_dataset_free(again);
    assert_null(gr_make_blobs(0, 1.0, &rng));
    assert_error("no points", GR_ERR_OPTION, "make_blobs: 0 points");
    assert_null(gr_make_blobs(2, -1.0, &rng));
    assert_error("spread", GR_ERR_OPTION, "a spread of -1");
    assert_null(gr_make_blobs(2, (double)NAN, &rng));
    assert_error("spread", GR_ERR_OPTION, "a spread of nan");
    assert_null(gr_make_blobs(2, 1.0, NULL));
    assert_error("NULL", GR_ERR_NULL, "rng is NULL");
    assert_null(gr_make_blobs(INT64_MAX, 1.0, &rng));
    assert_error("too many", GR_ERR_SHAPE, "too many elements");
}

/* ---- Mini-batches ------------------------------------------------------------------------------------------------ */

/* One epoch: the rows in the order in which they came. Checks sizes, dtypes and that x and y belong together. */
static void run_epoch(gr_batches *batches, int64_t n, int64_t size, int order[])
{
    int64_t at = 0, count = 0;
    for (; gr_batches_next(batches); count++) {
        gr_tensor *x = gr_batch_x(batches), *y = gr_batch_y(batches);
        int64_t expected = n - at < size ? n - at : size;
        assert_int_equal(gr_dim(x, 0), expected);
        assert_int_equal(gr_dim(x, 1), 2);
        assert_int_equal(gr_dim(y, 0), expected);
        assert_int_equal(gr_dtype_of(y), GR_I32);
        for (int64_t i = 0; i < expected; i++, at++) {
            order[at] = (int)gr_get(x, 2 * i);
            assert_true(gr_get(x, 2 * i + 1) == 10.0 * order[at]);
            assert_int_equal(gr_read_i32(y)[i], order[at] % 3);
        }
    }
    assert_int_equal(at, n);
    assert_int_equal(count, gr_batches_count(batches));
    assert_null(gr_batch_x(batches));
    assert_error("between epochs", GR_ERR_STATE, "batch_x: no batch");
}

static void batches_go_in_order(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 3, 7, 20, 21, INT64_MAX};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        watch_memory(0);
        gr_dataset *set = counted(s % 2 ? GR_F32 : GR_F64, 20);
        gr_batches *batches = gr_batches_new(set, sizes[s], NULL);
        assert_non_null(batches);
        assert_null(gr_batch_y(batches));
        assert_error("before the first", GR_ERR_STATE, "batch_y: no batch before");
        for (int epoch = 0; epoch < 3; epoch++) {
            int order[20];
            run_epoch(batches, 20, sizes[s], order);
            for (int i = 0; i < 20; i++) assert_int_equal(order[i], i);
        }
        gr_batches_free(batches);
        gr_dataset_free(set);
        assert_int_equal(the_watch.live, 0);
    }
}

static void batches_are_shuffled(void **state)
{
    (void)state;
    enum { N = 103, EPOCHS = 4 };
    gr_dataset *set = counted(GR_F32, N);
    gr_rng rng = gr_rng_seed(5), same = rng, before = rng;
    gr_batches *batches = gr_batches_new(set, 10, &rng), *again = gr_batches_new(set, 10, &same);
    assert_memory_not_equal(&rng, &before, sizeof rng);
    int order[EPOCHS][N] = {{0}}, repeated[N];
    for (int e = 0; e < EPOCHS; e++) {
        gr_rng_u64(&rng); /* the order is drawn from a state of its own */
        run_epoch(batches, N, 10, order[e]);
        run_epoch(again, N, 10, repeated);
        assert_memory_equal(order[e], repeated, sizeof repeated);
        int seen[N] = {0};
        for (int i = 0; i < N; i++) seen[order[e][i]]++;
        for (int i = 0; i < N; i++) assert_int_equal(seen[i], 1);
        for (int f = 0; f < e; f++) assert_memory_not_equal(order[e], order[f], sizeof repeated);
    }
    gr_batches_free(batches);
    gr_batches_free(again);
    gr_dataset_free(set);
}

static void batches_allocate_nothing(void **state)
{
    (void)state;
    gr_dataset *set = counted(GR_F32, 50);
    gr_rng rng = gr_rng_seed(5);
    gr_batches *batches = gr_batches_new(set, 16, &rng);
    watch_memory(0);
    for (int epoch = 0; epoch < 3; epoch++)
        while (gr_batches_next(batches)) {}
    assert_int_equal(the_watch.calls, 0);
    gr_set_allocator(NULL);
    gr_batches_free(batches);
    gr_dataset_free(set);
}

/* A tape that saved a batch must hear of its being rewritten, also where the last, smaller one did that. */
static void batches_count_as_changes(void **state)
{
    (void)state;
    gr_dataset *set = counted(GR_F32, 10);
    gr_batches *batches = gr_batches_new(set, 8, NULL);
    assert_true(gr_batches_next(batches));
    const gr_tensor *x = gr_batch_x(batches), *y = gr_batch_y(batches);
    uint32_t x_version = gr_version_of(x), y_version = gr_version_of(y);
    assert_true(gr_batches_next(batches));
    assert_int_equal(gr_dim(gr_batch_x(batches), 0), 2);
    assert_true(gr_version_of(x) != x_version && gr_version_of(y) != y_version);
    x_version = gr_version_of(x);
    assert_false(gr_batches_next(batches));
    assert_true(gr_version_of(x) == x_version);
    assert_true(gr_batches_next(batches));
    assert_true(gr_version_of(x) != x_version);
    gr_batches_free(batches);
    gr_dataset_free(set);
}

static void batches_and_tapes(void **state)
{
    (void)state;
    gr_dataset *set = counted(GR_F32, 10);
    gr_batches *batches = gr_batches_new(set, 8, NULL);
    gr_tape *tape = gr_tape_new();
    gr_tensor *w = gr_ones(GR_F32, GR_SHAPE(2, 1));
    gr_require_grad(w);
    assert_true(gr_batches_next(batches));
    gr_tensor *y = gr_sum(tape, gr_matmul(tape, gr_batch_x(batches), w, 0), GR_ALL_AXES, false);
    assert_true(gr_batches_next(batches));
    assert_int_equal(gr_backward(tape, y, 0), GR_ERR_STATE);
    assert_error("a batch that went on", GR_ERR_STATE, "changed");
    assert_null(gr_dataset_new(y, gr_ones(GR_F32, GR_SHAPE(1))));
    assert_error("a tape's result", GR_ERR_STATE, "dataset_new: x is a result of a tape");
    assert_true(isfinite(gr_item(y)));
    gr_tape_reset(tape);
    assert_int_equal(gr_backward(tape, gr_sum(tape, w, GR_ALL_AXES, false), 0), GR_OK);
    assert_null(gr_dataset_new(gr_ones(GR_F32, GR_SHAPE(2)), gr_gradient(w)));
    assert_error("a gradient", GR_ERR_STATE, "dataset_new: y is the gradient of another tensor");
    assert_true(gr_get(gr_gradient(w), 0) == 1.0);
    gr_tape_free(tape);
    gr_tensor_free(w);
    gr_batches_free(batches);
    gr_dataset_free(set);
}

static void batches_refuse(void **state)
{
    (void)state;
    gr_dataset *set = counted(GR_F32, 10);
    assert_null(gr_batches_new(NULL, 1, NULL));
    assert_error("NULL", GR_ERR_NULL, "batches_new: set is NULL");
    assert_null(gr_batches_new(set, 0, NULL));
    assert_error("0", GR_ERR_OPTION, "a batch of 0 rows");
    assert_null(gr_batches_new(set, -1, NULL));
    assert_error("-1", GR_ERR_OPTION, "a batch of -1 rows");
    assert_false(gr_batches_next(NULL));
    assert_null(gr_batch_x(NULL));
    assert_null(gr_batch_y(NULL));
    assert_int_equal(gr_batches_count(NULL), 0);
    gr_batches_free(NULL);
    gr_dataset_free(set);
}

/* ---- Every allocation fails in turn ------------------------------------------------------------------------------ */

/* Each loads, checks and frees what it is about: true when there was memory enough. */

static bool and_free(gr_dataset *set)
{
    bool loaded = set;
    gr_dataset_free(set);
    return loaded;
}

static bool load_csv(void) { return and_free(gr_csv_read(path_of("table.csv"), NULL, NULL)); }

static bool load_csv_numeric(void)
{
    gr_csv_options options = {.target = "a", .drop = "c", .numeric_target = true};
    return and_free(gr_csv_read(path_of("table.csv"), &options, NULL));
}

static bool and_free_tensor(gr_tensor *t)
{
    bool loaded = t;
    gr_tensor_free(t);
    return loaded;
}

static bool load_idx(void) { return and_free_tensor(gr_idx_read(path_of("file.idx"), false)); }

static bool load_gzip(void) { return and_free_tensor(gr_idx_read(path_of("file.gz"), true)); }

static bool load_pair(void) { return and_free(gr_idx_read_pair(path_of("file.idx"), path_of("labels.idx"))); }

static bool load_blobs(void)
{
    gr_rng rng = gr_rng_seed(1), before = rng;
    bool loaded = and_free(gr_make_blobs(100, 1.0, &rng));
    assert_int_equal(loaded, memcmp(&rng, &before, sizeof rng) != 0);
    return loaded;
}

static bool load_split(void)
{
    gr_rng rng = gr_rng_seed(1), before = rng;
    gr_dataset *set = gr_csv_read(path_of("table.csv"), NULL, NULL), *first = set, *second = set;
    if (!set) return false;
    gr_status status = gr_dataset_split(set, 0.5, &rng, &first, &second);
    if (status) {
        assert_null(first);
        assert_null(second);
        assert_memory_equal(&rng, &before, sizeof rng);
    } else {
        status = gr_dataset_standardize(first, &second, 1);
    }
    gr_dataset_free(first);
    gr_dataset_free(second);
    gr_dataset_free(set);
    return !status;
}

static bool load_batches(void)
{
    gr_rng rng = gr_rng_seed(1), before = rng;
    gr_dataset *set = gr_make_blobs(100, 1.0, &rng);
    before = rng;
    gr_batches *batches = set ? gr_batches_new(set, 30, &rng) : NULL;
    assert_true(batches || memcmp(&rng, &before, sizeof rng) == 0);
    bool loaded = batches && and_free_tensor(gr_one_hot(GR_F32, gr_dataset_y(set), 2));
    gr_batches_free(batches);
    gr_dataset_free(set);
    return loaded;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    char table[4000] = "a,b,c\n"; /* long enough to grow twice */
    for (int i = 0; i < 300; i++) sprintf(table + strlen(table), "%d,%d,%s\n", i, i % 7, i % 5 ? "yes" : "no");
    put_text(table);
    put_labels(0x08, "\2\0\2", 3);
    make_small();
    bool zlib = unpacks();
    put_bytes("file.idx", &file);
    assert_true(every_allocation_fails("csv", load_csv) >= 3);
    assert_true(every_allocation_fails("csv with a numeric target", load_csv_numeric) >= 3);
    assert_true(every_allocation_fails("pair", load_pair) >= 3);
    assert_true(every_allocation_fails("blobs", load_blobs) >= 3);
    assert_true(every_allocation_fails("split", load_split) >= 3);
    assert_true(every_allocation_fails("batches", load_batches) >= 3);
    file.size = 0;
    add_header(&file, 0x08, DIMS(100000));
    memset(file.at + file.size, 7, 100000);
    file.size += 100000;
    put_bytes("file.idx", &file);
    int64_t plain = every_allocation_fails("idx", load_idx);
    put_bytes("file.gz", pack(&file));
    if (zlib && every_allocation_fails("gzip", load_gzip) <= plain) fail_msg("zlib's memory is not ours");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(dataset_is_made, stop_watching),
        cmocka_unit_test_teardown(dataset_splits, stop_watching),
        cmocka_unit_test_teardown(dataset_standardizes, stop_watching),
        cmocka_unit_test(standardizing_a_view_is_a_change),
        cmocka_unit_test_teardown(dataset_refuses_to_standardize, stop_watching),
        cmocka_unit_test(one_hot_encodes),
        cmocka_unit_test(blobs_are_made),
        cmocka_unit_test_teardown(batches_go_in_order, stop_watching),
        cmocka_unit_test(batches_are_shuffled),
        cmocka_unit_test_teardown(batches_allocate_nothing, stop_watching),
        cmocka_unit_test(batches_count_as_changes),
        cmocka_unit_test(batches_and_tapes),
        cmocka_unit_test(batches_refuse),
        cmocka_unit_test_teardown(memory_may_run_out, stop_watching),
    };
    return cmocka_run_group_tests_name("data", tests, make_directory, remove_directory);
}
