/* test_tensor.c: what a tensor is: how it is made, looked at, changed, shared and freed, at every rank and for every
 * dtype, and what is refused. */
#include "helpers.h"

#include <gradus/random.h>

#include "tensor/internal.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef struct shape {
    int rank;
    int64_t s[GR_MAX_RANK];
    int64_t size;
} shape;

static const shape shapes[] = {
    {0, {0}, 1},
    {1, {0}, 0},
    {1, {1}, 1},
    {1, {16}, 16},
    {1, {17}, 17},
    {2, {3, 4}, 12},
    {2, {0, 4}, 0},
    {3, {2, 0, 3}, 0},
    {4, {2, 3, 1, 5}, 30},
    {8, {1, 2, 1, 3, 1, 2, 1, 2}, 24},
    {8, {1, 1, 1, 1, 1, 1, 1, 0}, 0},
    {8, {1, 1, 1, 1, 1, 1, 1, 1}, 1},
};

/* A tensor of the wanted dtype and shape with this one value in it. */
static void assert_filled(gr_tensor *t, gr_dtype dtype, const shape *s, double value)
{
    assert_non_null(t);
    assert_int_equal(gr_dtype_of(t), dtype);
    assert_int_equal(gr_rank(t), s->rank);
    assert_int_equal(gr_size(t), s->size);
    for (int i = 0; i < s->rank; i++) {
        assert_int_equal(gr_shape(t)[i], s->s[i]);
        assert_int_equal(gr_dim(t, i), s->s[i]);
        assert_int_equal(gr_dim(t, i - s->rank), s->s[i]);
    }
    assert_int_equal(gr_dim(t, s->rank), -1);
    assert_int_equal(gr_dim(t, -s->rank - 1), -1);
    for (int64_t i = 0; i < s->size; i++) assert_true(gr_get(t, i) == value);
    gr_tensor_free(t);
}

static void filled_tensors(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < GR_N_DTYPES; dtype++)
        for (size_t i = 0; i < COUNT(shapes); i++) {
            const shape *s = &shapes[i];
            gr_dtype d = (gr_dtype)dtype;
            assert_filled(gr_zeros(d, s->rank, s->s), d, s, 0.0);
            assert_filled(gr_ones(d, s->rank, s->s), d, s, 1.0);
            assert_filled(gr_full(d, s->rank, s->s, -7.0), d, s, -7.0);
        }
    assert_filled(gr_scalar(GR_F64, 0.1), GR_F64, &shapes[0], 0.1);
    assert_filled(gr_scalar(GR_F32, 0.1), GR_F32, &shapes[0], (double)0.1f);
    assert_filled(gr_scalar(GR_I32, -3.0), GR_I32, &shapes[0], -3.0);
}

static void from_copies_what_it_is_given(void **state)
{
    (void)state;
    float f[20];
    double d[20];
    int32_t n[20];
    for (int i = 0; i < 20; i++) f[i] = (float)i / 4.0f, d[i] = i / 3.0, n[i] = 1000000007 - i;
    gr_tensor *t[3] = {gr_from(GR_F32, GR_SHAPE(4, 5), f), gr_from(GR_F64, GR_SHAPE(2, 10), d),
                       gr_from(GR_I32, GR_SHAPE(20), n)};
    f[3] = 99.0f, d[3] = 99.0, n[3] = 99;
    for (int i = 0; i < 20; i++) {
        assert_true(gr_get(t[0], i) == i / 4.0);
        assert_true(gr_get(t[1], i) == i / 3.0);
        assert_true(gr_get(t[2], i) == 1000000007.0 - i);
    }
    for (int i = 0; i < 3; i++) gr_tensor_free(t[i]);
    gr_tensor *nothing = gr_from(GR_F32, GR_SHAPE(3, 0), NULL);
    assert_non_null(nothing);
    gr_tensor_free(nothing);
}

static void large_data_is_aligned(void **state)
{
    (void)state;
    gr_tensor *t = gr_zeros(GR_F32, GR_SHAPE(17));
    assert_int_equal((uintptr_t)gr_read_f32(t) % 64, 0);
    gr_tensor_free(t);
    t = gr_zeros(GR_F64, GR_SCALAR);
    assert_int_equal((uintptr_t)gr_read_f64(t) % 16, 0);
    gr_tensor_free(t);
}

/* ---- arange -------------------------------------------------------------------------------------------------- */

static void arange(void **state)
{
    (void)state;
    static const struct {
        double start, stop, step;
        int64_t n;
        double last;
    } rows[] = {
        {0, 5, 1, 5, 4},   {0, 5, 2, 3, 4},     {5, 0, -2, 3, 1},       {0, 0, 1, 0, 0},         {3, 3, -1, 0, 0},
        {1, 1.5, 2, 1, 1}, {-1, 1, 0.5, 4, .5}, {0, 1, .1, 10, 9 * .1}, {0, -1, -0.25, 4, -.75},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_tensor *t = gr_arange(GR_F64, rows[i].start, rows[i].stop, rows[i].step);
        assert_non_null(t);
        assert_int_equal(gr_rank(t), 1);
        assert_int_equal(gr_size(t), rows[i].n);
        if (rows[i].n) assert_true(gr_get(t, 0) == rows[i].start && gr_get(t, rows[i].n - 1) == rows[i].last);
        gr_tensor_free(t);
    }
    gr_tensor *classes = gr_arange(GR_I32, 0, 4, 1);
    for (int i = 0; i < 4; i++) assert_int_equal(gr_read_i32(classes)[i], i);
    gr_tensor_free(classes);
}

static void arange_refuses(void **state)
{
    (void)state;
    const double huge = 1e300, inf = (double)INFINITY, nan = (double)NAN;
    const double rows[][3] = {{0, 1, 0},   {0, 0, 0},   {0, 1, -1},   {0, 1, -2},     {1, 0, 1},         {0, inf, 1},
                              {nan, 1, 1}, {0, 1, nan}, {0, huge, 1}, {0, 1, 1e-300}, {-huge, huge, inf}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_clear_error();
        if (gr_arange(GR_F64, rows[i][0], rows[i][1], rows[i][2])) fail_msg("row %zu was not refused", i);
        assert_failed_with("arange", GR_ERR_VALUE, "arange: ");
    }
    assert_null(gr_arange(GR_I32, 0, 1e10, 1e9));
    assert_failed_with("too large", GR_ERR_VALUE, "no value of i32");
}

/* ---- Random values ------------------------------------------------------------------------------------------- */

typedef struct moments {
    double mean, variance, least, most;
} moments;

static moments moments_of(const gr_tensor *t)
{
    moments m = {0.0, 0.0, (double)INFINITY, -(double)INFINITY};
    const double n = (double)gr_size(t);
    for (int64_t i = 0; i < gr_size(t); i++) {
        double x = gr_get(t, i);
        m.mean += x / n;
        m.least = fmin(m.least, x);
        m.most = fmax(m.most, x);
    }
    for (int64_t i = 0; i < gr_size(t); i++) m.variance += pow(gr_get(t, i) - m.mean, 2) / n;
    return m;
}

static void uniform_and_normal(void **state)
{
    (void)state;
    for (int dtype = GR_F32; dtype <= GR_F64; dtype++) {
        gr_rng rng = gr_rng_seed(3);
        gr_tensor *u = gr_uniform((gr_dtype)dtype, GR_SHAPE(100, 200), -3.0, 5.0, &rng);
        gr_tensor *z = gr_normal((gr_dtype)dtype, GR_SHAPE(100, 200), 2.0, 3.0, &rng);
        moments m = moments_of(u), g = moments_of(z);
        assert_true(m.least >= -3.0 && m.least < -2.99 && m.most < 5.0 && m.most > 4.99);
        assert_true(fabs(m.mean - 1.0) < 5.0 * 8.0 / sqrt(12.0 * 20000.0));
        assert_true(fabs(m.variance / (64.0 / 12.0) - 1.0) < 0.03);
        assert_true(fabs(g.mean - 2.0) < 5.0 * 3.0 / sqrt(20000.0));
        assert_true(fabs(g.variance / 9.0 - 1.0) < 5.0 * sqrt(2.0 / 20000.0));
        gr_tensor_free(u);
        gr_tensor_free(z);
    }
}

/* Between 1 and the next number there is nothing but 1: rounding must not let the upper bound in. */
static void uniform_never_reaches_its_upper_bound(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(5);
    gr_tensor *f = gr_uniform(GR_F32, GR_SHAPE(500), 1.0, 1.0 + 0x1p-23, &rng);
    gr_tensor *d = gr_uniform(GR_F64, GR_SHAPE(500), 1.0, 1.0 + 0x1p-52, &rng);
    gr_tensor *one = gr_uniform(GR_F64, GR_SHAPE(5), 2.5, 2.5, &rng);
    for (int64_t i = 0; i < 500; i++) assert_true(gr_get(f, i) == 1.0 && gr_get(d, i) == 1.0);
    for (int64_t i = 0; i < 5; i++) assert_true(gr_get(one, i) == 2.5);
    gr_tensor_free(f);
    gr_tensor_free(d);
    gr_tensor_free(one);
}

static void draws_follow_the_state(void **state)
{
    (void)state;
    gr_rng a = gr_rng_seed(9), b = a, c = a;
    gr_tensor *f = gr_normal(GR_F32, GR_SHAPE(30), 0.5, 2.0, &a), *d = gr_normal(GR_F64, GR_SHAPE(5, 6), 0.5, 2.0, &b);
    for (int64_t i = 0; i < 30; i++) {
        double expected = 0.5 + 2.0 * gr_rng_normal(&c);
        assert_true(gr_get(d, i) == expected && gr_get(f, i) == (double)(float)expected);
    }
    assert_memory_equal(&a, &c, sizeof a);
    assert_memory_equal(&b, &c, sizeof b);
    gr_tensor_free(f);
    gr_tensor_free(d);
}

typedef gr_tensor *(*initialiser)(gr_dtype dtype, int rank, const int64_t s[], gr_rng *rng);

/* Variance 2 / (fan_in + fan_out) or 2 / fan_in, of a matrix [in,out] and of a convolution's [out,in,k,k]. */
static void initialisers(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        initialiser make;
        shape s;
        double variance;
        bool bounded;
    } rows[] = {
        {"xavier_uniform, matrix", gr_xavier_uniform, {2, {300, 100}, 30000}, 2.0 / 400, true},
        {"xavier_normal, matrix", gr_xavier_normal, {2, {300, 100}, 30000}, 2.0 / 400, false},
        {"kaiming_uniform, matrix", gr_kaiming_uniform, {2, {300, 100}, 30000}, 2.0 / 300, true},
        {"kaiming_normal, matrix", gr_kaiming_normal, {2, {300, 100}, 30000}, 2.0 / 300, false},
        {"xavier_uniform, convolution", gr_xavier_uniform, {4, {32, 8, 5, 3}, 3840}, 2.0 / (15 * 40), true},
        {"xavier_normal, convolution", gr_xavier_normal, {4, {32, 8, 5, 3}, 3840}, 2.0 / (15 * 40), false},
        {"kaiming_uniform, convolution", gr_kaiming_uniform, {4, {32, 8, 5, 3}, 3840}, 2.0 / (15 * 8), true},
        {"kaiming_normal, convolution", gr_kaiming_normal, {3, {32, 8, 15}, 3840}, 2.0 / (15 * 8), false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_rng rng = gr_rng_seed(11);
        gr_tensor *w = rows[i].make(GR_F32, rows[i].s.rank, rows[i].s.s, &rng);
        assert_non_null(w);
        moments m = moments_of(w);
        double n = (double)gr_size(w), bound = sqrt(3.0 * rows[i].variance);
        bool bounds_hold = -m.least <= bound && m.most <= bound && m.most > 0.98 * bound;
        if (fabs(m.mean) > 5.0 * sqrt(rows[i].variance / n) ||
            fabs(m.variance / rows[i].variance - 1.0) > 5.0 * sqrt(2.0 / n))
            fail_msg("%s: mean %g, variance %g instead of %g", rows[i].what, m.mean, m.variance, rows[i].variance);
        if (bounds_hold != rows[i].bounded)
            fail_msg("%s: from %g to %g, bound %g", rows[i].what, m.least, m.most, bound);
        gr_tensor_free(w);
    }
}

/* ---- Shapes that cannot be ----------------------------------------------------------------------------------- */

static void impossible_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int dtype;
        shape s;
        gr_status status;
        const char *part;
    } rows[] = {
        {"rank 9", GR_F32, {9, {1}, 0}, GR_ERR_SHAPE, "rank 9 is outside 0..8"},
        {"rank -1", GR_F32, {-1, {1}, 0}, GR_ERR_SHAPE, "rank -1"},
        {"a negative dimension", GR_F32, {2, {3, -2}, 0}, GR_ERR_SHAPE, "dimension 1 of [3,-2] is negative"},
        {"a negative one beside 0", GR_F32, {2, {0, -2}, 0}, GR_ERR_SHAPE, "negative"},
        {"too many bytes", GR_F64, {1, {(int64_t)1 << 44}, 0}, GR_ERR_SHAPE, "[17592186044416] has too many elements"},
        {"a product that wraps to 0", GR_F32, {2, {(int64_t)1 << 32, (int64_t)1 << 32}, 0}, GR_ERR_SHAPE, "too many"},
        {"one that wraps to 12", GR_F32, {3, {3, 4, ((int64_t)1 << 62) + 1}, 0}, GR_ERR_SHAPE, "too many"},
        {"the largest dimension", GR_F32, {1, {INT64_MAX}, 0}, GR_ERR_SHAPE, "too many"},
        {"huge but for a 0", GR_F32, {2, {0, INT64_MAX}, 0}, GR_ERR_SHAPE, "too many"},
        {"huge before a 0", GR_F32, {2, {INT64_MAX, 0}, 0}, GR_ERR_SHAPE, "too many"},
        {"eight of 2^40",
         GR_F32,
         {8, {1LL << 40, 1LL << 40, 1LL << 40, 1LL << 40, 1LL << 40, 1LL << 40, 1LL << 40, 1LL << 40}, 0},
         GR_ERR_SHAPE,
         "too many"},
        {"no dtype", 3, {1, {1}, 0}, GR_ERR_DTYPE, "no such dtype: 3"},
        {"a negative dtype", -1, {1, {1}, 0}, GR_ERR_DTYPE, "no such dtype"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_dtype dtype = (gr_dtype)rows[i].dtype;
        gr_clear_error();
        if (gr_zeros(dtype, rows[i].s.rank, rows[i].s.s)) fail_msg("%s: zeros made it", rows[i].what);
        assert_failed_with(rows[i].what, rows[i].status, rows[i].part);
        if (gr_full(dtype, rows[i].s.rank, rows[i].s.s, 1.0)) fail_msg("%s: full made it", rows[i].what);
        if (gr_from(dtype, rows[i].s.rank, rows[i].s.s, "")) fail_msg("%s: from made it", rows[i].what);
        assert_failed_with(rows[i].what, rows[i].status, rows[i].part);
    }
    gr_tensor *empty = gr_zeros(GR_F32, GR_SHAPE(0, 1000000, 1000000)); /* each dimension by itself is possible */
    assert_non_null(empty);
    gr_tensor_free(empty);
}

/* ---- Looking and changing ------------------------------------------------------------------------------------ */

static void a_null_tensor(void **state)
{
    (void)state;
    assert_int_equal(gr_rank(NULL), 0);
    assert_int_equal(gr_size(NULL), 0);
    assert_null(gr_shape(NULL));
    assert_int_equal(gr_dim(NULL, 0), -1);
    assert_string_equal(gr_name(NULL), "");
    gr_tensor_free(NULL);
    gr_clear_error();
    assert_null(gr_read_f32(NULL));
    assert_failed_with("read_f32", GR_ERR_NULL, "read_f32: tensor is NULL");
}

static void elements_have_one_dtype(void **state)
{
    (void)state;
    gr_tensor *t[3] = {gr_ones(GR_F32, GR_SHAPE(2)), gr_ones(GR_F64, GR_SHAPE(2)), gr_ones(GR_I32, GR_SHAPE(2))};
    for (int i = 0; i < 3; i++) {
        const void *read[3] = {gr_read_f32(t[i]), gr_read_f64(t[i]), gr_read_i32(t[i])};
        const void *write[3] = {gr_f32(t[i]), gr_f64(t[i]), gr_i32(t[i])};
        for (int k = 0; k < 3; k++) {
            assert_int_equal(read[k] != NULL, i == k);
            assert_ptr_equal(read[k], write[k]);
        }
    }
    gr_f32(t[0])[1] = 2.5f, gr_f64(t[1])[1] = 0.1, gr_i32(t[2])[1] = -4;
    assert_true(gr_read_f32(t[0])[1] == 2.5f && gr_read_f64(t[1])[1] == 0.1 && gr_read_i32(t[2])[1] == -4);
    assert_null(gr_f64(t[2]));
    assert_failed_with("f64 of i32", GR_ERR_DTYPE, "f64: the tensor is i32");
    for (int i = 0; i < 3; i++) gr_tensor_free(t[i]);
    assert_string_equal(gr_dtype_name(GR_F32), "f32");
    assert_string_equal(gr_dtype_name(GR_F64), "f64");
    assert_string_equal(gr_dtype_name(GR_I32), "i32");
    assert_string_equal(gr_dtype_name((gr_dtype)7), "no dtype");
}

static void one_element(void **state)
{
    (void)state;
    gr_tensor *t = gr_zeros(GR_F32, GR_SHAPE(2, 3)), *n = gr_zeros(GR_I32, GR_SHAPE(1, 1, 1));
    assert_int_equal(gr_set(t, 5, 0.1), GR_OK);
    assert_true(gr_get(t, 5) == (double)0.1f);
    for (int64_t at = -1; at <= 6; at += 7) {
        assert_true(isnan(gr_get(t, at)));
        assert_failed_with("get", GR_ERR_INDEX, "is outside the 6 elements of [2,3]");
        assert_int_equal(gr_set(t, at, 1.0), GR_ERR_INDEX);
    }
    assert_true(isnan(gr_item(t)));
    assert_failed_with("item", GR_ERR_SHAPE, "item: [2,3] has 6 elements, not one");
    assert_int_equal(gr_set(n, 0, 2147483647.0), GR_OK);
    assert_true(gr_item(n) == 2147483647.0);
    const double none[] = {2147483648.0, -2147483649.0, (double)NAN, -(double)INFINITY};
    for (size_t i = 0; i < COUNT(none); i++) assert_int_equal(gr_set(n, 0, none[i]), GR_ERR_VALUE);
    assert_true(gr_item(n) == 2147483647.0);
    gr_tensor_free(t);
    gr_tensor_free(n);
}

/* ---- Copies -------------------------------------------------------------------------------------------------- */

static void copies_are_deep(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(shapes); i++) {
        gr_tensor *t = gr_full(GR_F64, shapes[i].rank, shapes[i].s, 2.0);
        assert_int_equal(gr_require_grad(t), GR_OK);
        gr_tensor *copy = gr_copy(t), *single = gr_copy_as(GR_F32, t), *index = gr_copy_as(GR_I32, t);
        if (gr_size(t)) gr_f64(t)[0] = 9.0;
        assert_false(gr_requires_grad(copy));
        assert_filled(copy, GR_F64, &shapes[i], 2.0);
        assert_filled(single, GR_F32, &shapes[i], 2.0);
        assert_filled(index, GR_I32, &shapes[i], 2.0);
        gr_tensor_free(t);
    }
    gr_tensor *large = gr_from(GR_F64, GR_SHAPE(2, 2), (double[]){1, 2, 3, 3e9});
    assert_null(gr_copy_as(GR_I32, large));
    assert_failed_with("copy_as", GR_ERR_VALUE, "3000000000 at [1,1] is no value of i32");
    gr_tensor_free(large);
}

static void assign(void **state)
{
    (void)state;
    gr_tensor *to = gr_zeros(GR_F32, GR_SHAPE(2, 3)), *from = gr_ones(GR_F32, GR_SHAPE(2, 3));
    gr_tensor *flat = gr_ones(GR_F32, GR_SHAPE(6)), *wide = gr_ones(GR_F64, GR_SHAPE(2, 3));
    uint32_t before = gr_version_of(to);
    assert_int_equal(gr_assign(to, flat), GR_ERR_SHAPE);
    assert_int_equal(gr_assign(to, wide), GR_ERR_DTYPE);
    assert_int_equal(gr_version_of(to), before);
    assert_true(gr_get(to, 0) == 0.0);
    assert_int_equal(gr_assign(to, from), GR_OK);
    assert_true(gr_version_of(to) != before);
    assert_int_equal(gr_assign(to, to), GR_OK);
    for (int64_t i = 0; i < 6; i++) assert_true(gr_get(to, i) == 1.0);
    gr_clear_error();
    assert_int_equal(gr_assign(NULL, from), GR_ERR_NULL);
    gr_tensor *all[] = {to, from, flat, wide};
    for (size_t i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

/* ---- Views --------------------------------------------------------------------------------------------------- */

static void views_share(void **state)
{
    (void)state;
    gr_tensor *t = gr_arange(GR_F64, 0, 24, 1);
    gr_tensor *m = gr_view(t, GR_SHAPE(4, 2, 3)), *rows = gr_view_rows(m, 1, 2), *again = gr_view(rows, GR_SHAPE(12));
    assert_int_equal(gr_dim(rows, 0), 2);
    assert_int_equal(gr_size(again), 12);
    assert_true(gr_get(rows, 0) == 6.0 && gr_get(again, 11) == 17.0);
    gr_f64(again)[0] = -1.0;
    assert_true(gr_get(t, 6) == -1.0 && gr_get(m, 6) == -1.0);
    gr_tensor *none = gr_view_rows(m, 4, 0), *empty = gr_zeros(GR_F32, GR_SHAPE(0, 5)),
              *reshaped = gr_view(empty, GR_SHAPE(7, 0));
    assert_int_equal(gr_size(none), 0);
    assert_int_equal(gr_dim(reshaped, 0), 7);
    gr_tensor *all[] = {again, rows, m, none, t, reshaped, empty};
    for (size_t i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

static void views_count_changes_together(void **state)
{
    (void)state;
    gr_tensor *t = gr_zeros(GR_F32, GR_SHAPE(4, 2)), *rows = gr_view_rows(t, 1, 2), *flat = gr_view(rows, GR_SHAPE(4));
    gr_tensor *family[] = {t, rows, flat};
    for (size_t i = 0; i < COUNT(family); i++) {
        uint32_t before = gr_version_of(t);
        assert_non_null(gr_f32(family[i]));
        for (size_t k = 0; k < COUNT(family); k++) assert_int_equal(gr_version_of(family[k]), before + 1);
        assert_non_null(gr_read_f32(family[i]));
        assert_int_equal(gr_set(family[i], 0, 1.0), GR_OK);
        for (size_t k = 0; k < COUNT(family); k++) assert_int_equal(gr_version_of(family[k]), before + 2);
    }
    for (size_t i = COUNT(family); i-- > 0;) gr_tensor_free(family[i]);
}

static void views_refused(void **state)
{
    (void)state;
    gr_tensor *t = gr_zeros(GR_F32, GR_SHAPE(4, 2)), *scalar = gr_scalar(GR_F32, 1.0);
    assert_null(gr_view(t, GR_SHAPE(3, 3)));
    assert_failed_with("view", GR_ERR_SHAPE, "[3,3] has not as many elements as [4,2]");
    assert_null(gr_view(t, GR_SHAPE(-1, 2)));
    assert_failed_with("view", GR_ERR_SHAPE, "negative");
    static const int64_t bad[][2] = {{-1, 1}, {0, 5}, {5, 0}, {3, 2}, {1, -1}, {1, INT64_MAX}, {INT64_MAX, 1}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_null(gr_view_rows(t, bad[i][0], bad[i][1]));
        assert_failed_with("view_rows", GR_ERR_INDEX, "are not all in [4,2]");
    }
    assert_null(gr_view_rows(scalar, 0, 1));
    assert_failed_with("view_rows", GR_ERR_SHAPE, "a scalar has no rows");
    gr_tensor_free(t);
    gr_tensor_free(scalar);
}

/* ---- Names, and what is not yours to free -------------------------------------------------------------------- */

static void names(void **state)
{
    (void)state;
    char name[] = "weight";
    gr_tensor *t = gr_zeros(GR_F32, GR_SHAPE(2));
    assert_string_equal(gr_name(t), "");
    assert_int_equal(gr_set_name(t, name), GR_OK);
    name[0] = 'W';
    assert_string_equal(gr_name(t), "weight");
    assert_int_equal(gr_set_name(t, gr_name(t)), GR_OK);
    assert_string_equal(gr_name(t), "weight");
    gr_clear_error();
    assert_int_equal(gr_set_name(t, NULL), GR_ERR_NULL);
    assert_string_equal(gr_name(t), "weight");
    gr_tensor_free(t);
}

static void a_result_is_its_tapes(void **state)
{
    (void)state;
    gr_tape *tape = gr_tape_new();
    gr_tensor *x = gr_full(GR_F64, GR_SHAPE(30), 3.0), *y = gr_square(tape, x);
    assert_int_equal(gr_set_name(y, "y"), GR_OK);
    gr_clear_error();
    gr_tensor_free(y);
    assert_failed_with("gr_tensor_free", GR_ERR_STATE,
                       "gr_tensor_free: this [30] is a result of a tape, which frees it");
    assert_true(gr_get(y, 29) == 9.0);
    assert_null(gr_view(y, GR_SHAPE(30)));
    assert_failed_with("view", GR_ERR_STATE, "gr_reshape()");
    assert_int_equal(gr_require_grad(y), GR_ERR_STATE);
    gr_tensor *copy = gr_copy(y);
    gr_tape_free(tape);
    assert_true(gr_get(copy, 29) == 9.0);
    gr_tensor_free(copy);
    gr_tensor_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filled_tensors),
        cmocka_unit_test(from_copies_what_it_is_given),
        cmocka_unit_test(large_data_is_aligned),
        cmocka_unit_test(arange),
        cmocka_unit_test(arange_refuses),
        cmocka_unit_test(uniform_and_normal),
        cmocka_unit_test(uniform_never_reaches_its_upper_bound),
        cmocka_unit_test(draws_follow_the_state),
        cmocka_unit_test(initialisers),
        cmocka_unit_test(impossible_shapes),
        cmocka_unit_test(a_null_tensor),
        cmocka_unit_test(elements_have_one_dtype),
        cmocka_unit_test(one_element),
        cmocka_unit_test(copies_are_deep),
        cmocka_unit_test(assign),
        cmocka_unit_test(views_share),
        cmocka_unit_test(views_count_changes_together),
        cmocka_unit_test(views_refused),
        cmocka_unit_test(names),
        cmocka_unit_test(a_result_is_its_tapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
