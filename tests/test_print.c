/* test_print.c: tensors as text. The texts below are what NumPy's str() gives for the same arrays, with the dtype and
 * shape behind. */
#include "helpers.h"

#include <locale.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef struct row {
    const char *what;
    gr_dtype dtype;
    int rank;
    int64_t shape[GR_MAX_RANK];
    double values[6]; /* or, with a step, 0, step, 2 step, ... */
    double step;
    const char *text;
} row;

// clang-format off
static const row rows[] = {
    {"a scalar", GR_F64, 0, {0}, .values = {1},
     .text =
         "1.0"},
    {"a scalar with all its digits", GR_F64, 0, {0}, .values = {1.0 / 3},
     .text =
         "0.3333333333333333"},
    {"a small scalar", GR_F64, 0, {0}, .values = {1.5e-5},
     .text =
         "1.5e-05"},
    {"a large scalar", GR_F64, 0, {0}, .values = {1e16},
     .text =
         "1e+16"},
    {"a scalar below that", GR_F64, 0, {0}, .values = {-123456789012345.5},
     .text =
         "-123456789012345.5"},
    {"an f32 scalar", GR_F32, 0, {0}, .values = {0.1},
     .text =
         "0.1  f32"},
    {"an index", GR_I32, 0, {0}, .values = {-3},
     .text =
         "-3  i32"},
    {"a scalar that is none", GR_F32, 0, {0}, .values = {(double)NAN},
     .text =
         "nan  f32"},
    {"whole numbers", GR_F64, 1, {3}, .values = {1, 2, 3},
     .text =
         "[1. 2. 3.]  f64[3]"},
    {"a column of the point", GR_F64, 1, {4}, .values = {1, 2.25, -3.5, 10},
     .text =
         "[ 1.    2.25 -3.5  10.  ]  f64[4]"},
    {"signs", GR_F32, 2, {2, 2}, .values = {1, -2, -30, 4},
     .text =
         "[[  1.  -2.]\n"
         " [-30.   4.]]  f32[2,2]"},
    {"thirds in f64", GR_F64, 1, {3}, .values = {1.0 / 3, 2.0 / 3, 1},
     .text =
         "[0.33333333 0.66666667 1.        ]  f64[3]"},
    {"thirds in f32", GR_F32, 1, {3}, .values = {1.0 / 3, 2.0 / 3, 1},
     .text =
         "[0.33333334 0.6666667  1.        ]  f32[3]"},
    {"tenths in f32", GR_F32, 1, {3}, .values = {0.1, 0.2, 0.3},
     .text =
         "[0.1 0.2 0.3]  f32[3]"},
    {"what is left of 0.1 + 0.2", GR_F64, 1, {2}, .values = {0.1 + 0.2, 0.3},
     .text =
         "[0.3 0.3]  f64[2]"},
    {"a minus zero", GR_F64, 1, {2}, .values = {0, -0.0},
     .text =
         "[ 0. -0.]  f64[2]"},
    {"small", GR_F64, 1, {3}, .values = {1e-5, 2e-5, -3e-5},
     .text =
         "[ 1.e-05  2.e-05 -3.e-05]  f64[3]"},
    {"just not small", GR_F64, 1, {2}, .values = {0.0001, 0.05},
     .text =
         "[0.0001 0.05  ]  f64[2]"},
    {"large", GR_F64, 1, {2}, .values = {1e8, 1},
     .text =
         "[1.e+08 1.e+00]  f64[2]"},
    {"just not large", GR_F64, 1, {2}, .values = {99999999, 99999998.5},
     .text =
         "[99999999.  99999998.5]  f64[2]"},
    {"wide", GR_F64, 1, {2}, .values = {1001, 1},
     .text =
         "[1.001e+03 1.000e+00]  f64[2]"},
    {"just not wide", GR_F64, 1, {2}, .values = {1000, 1},
     .text =
         "[1000.    1.]  f64[2]"},
    {"three digits of exponent", GR_F64, 1, {2}, .values = {1e+100, -2.5e-07},
     .text =
         "[ 1.0e+100 -2.5e-007]  f64[2]"},
    {"f32 with exponents", GR_F32, 1, {2}, .values = {1e-07, 123456.7},
     .text =
         "[1.000000e-07 1.234567e+05]  f32[2]"},
    {"not numbers", GR_F64, 1, {4}, .values = {(double)NAN, (double)INFINITY, -(double)INFINITY, 1.5},
     .text =
         "[ nan  inf -inf  1.5]  f64[4]"},
    {"only not numbers", GR_F32, 1, {2}, .values = {(double)NAN, (double)INFINITY},
     .text =
         "[nan inf]  f32[2]"},
    {"not numbers beside exponents", GR_F64, 1, {3}, .values = {(double)NAN, -(double)INFINITY, 1e-09},
     .text =
         "[   nan   -inf 1.e-09]  f64[3]"},
    {"indices", GR_I32, 1, {4}, .values = {1, -20, 300, 0},
     .text =
         "[  1 -20 300   0]  i32[4]"},
    {"a matrix of indices", GR_I32, 2, {2, 3}, .values = {1, 2, 3, -4, 50, 6},
     .text =
         "[[ 1  2  3]\n"
         " [-4 50  6]]  i32[2,3]"},
    {"a matrix", GR_F64, 2, {2, 3}, .values = {1.5, -2, 3, 4, 5.25, 600},
     .text =
         "[[  1.5   -2.     3.  ]\n"
         " [  4.     5.25 600.  ]]  f64[2,3]"},
    {"a row", GR_F64, 2, {1, 2}, .values = {1, 2},
     .text =
         "[[1. 2.]]  f64[1,2]"},
    {"a column", GR_F64, 2, {2, 1}, .values = {1, 2},
     .text =
         "[[1.]\n"
         " [2.]]  f64[2,1]"},
    {"matrices", GR_I32, 3, {2, 2, 2}, .step = 1,
     .text =
         "[[[0 1]\n"
         "  [2 3]]\n"
         "\n"
         " [[4 5]\n"
         "  [6 7]]]  i32[2,2,2]"},
    {"rank 4", GR_I32, 4, {2, 1, 2, 2}, .step = 1,
     .text =
         "[[[[0 1]\n"
         "   [2 3]]]\n"
         "\n"
         "\n"
         " [[[4 5]\n"
         "   [6 7]]]]  i32[2,1,2,2]"},
    {"nothing", GR_F32, 1, {0}, .step = 1,
     .text =
         "[]  f32[0]"},
    {"no rows", GR_F64, 2, {0, 3}, .step = 1,
     .text =
         "[]  f64[0,3]"},
    {"no columns", GR_I32, 2, {3, 0}, .step = 1,
     .text =
         "[]  i32[3,0]"},
    {"a long row", GR_I32, 1, {30}, .step = 1,
     .text =
         "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n"
         " 24 25 26 27 28 29]  i32[30]"},
    {"a long row of fractions", GR_F64, 1, {12}, .step = 0.25,
     .text =
         "[0.   0.25 0.5  0.75 1.   1.25 1.5  1.75 2.   2.25 2.5  2.75]  f64[12]"},
    {"long rows of a matrix", GR_I32, 2, {2, 28}, .step = 1,
     .text =
         "[[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n"
         "  24 25 26 27]\n"
         " [28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51\n"
         "  52 53 54 55]]  i32[2,28]"},
    {"1000 are all shown, 1001 are not", GR_I32, 1, {1001}, .step = 1,
     .text =
         "[   0    1    2 ...  998  999 1000]  i32[1001]"},
    {"a large matrix", GR_I32, 2, {40, 30}, .step = 1,
     .text =
         "[[   0    1    2 ...   27   28   29]\n"
         " [  30   31   32 ...   57   58   59]\n"
         " [  60   61   62 ...   87   88   89]\n"
         " ...\n"
         " [1110 1111 1112 ... 1137 1138 1139]\n"
         " [1140 1141 1142 ... 1167 1168 1169]\n"
         " [1170 1171 1172 ... 1197 1198 1199]]  i32[40,30]"},
    {"a long thin matrix", GR_F64, 2, {501, 2}, .step = 0.5,
     .text =
         "[[0.000e+00 5.000e-01]\n"
         " [1.000e+00 1.500e+00]\n"
         " [2.000e+00 2.500e+00]\n"
         " ...\n"
         " [4.980e+02 4.985e+02]\n"
         " [4.990e+02 4.995e+02]\n"
         " [5.000e+02 5.005e+02]]  f64[501,2]"},
    {"a large tensor of rank 3", GR_I32, 3, {7, 2, 100}, .step = 1,
     .text =
         "[[[   0    1    2 ...   97   98   99]\n"
         "  [ 100  101  102 ...  197  198  199]]\n"
         "\n"
         " [[ 200  201  202 ...  297  298  299]\n"
         "  [ 300  301  302 ...  397  398  399]]\n"
         "\n"
         " [[ 400  401  402 ...  497  498  499]\n"
         "  [ 500  501  502 ...  597  598  599]]\n"
         "\n"
         " ...\n"
         "\n"
         " [[ 800  801  802 ...  897  898  899]\n"
         "  [ 900  901  902 ...  997  998  999]]\n"
         "\n"
         " [[1000 1001 1002 ... 1097 1098 1099]\n"
         "  [1100 1101 1102 ... 1197 1198 1199]]\n"
         "\n"
         " [[1200 1201 1202 ... 1297 1298 1299]\n"
         "  [1300 1301 1302 ... 1397 1398 1399]]]  i32[7,2,100]"},
};
// clang-format on

static gr_tensor *tensor_of(const row *r)
{
    gr_tensor *t = gr_zeros(r->dtype, r->rank, r->shape);
    assert_non_null(t);
    for (int64_t i = 0; i < gr_size(t); i++)
        assert_int_equal(gr_set(t, i, r->step != 0.0 ? r->step * (double)i : r->values[i]), GR_OK);
    return t;
}

static void texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[4096];
        gr_tensor *t = tensor_of(&rows[i]);
        size_t length = gr_format(text, sizeof text, t);
        if (strcmp(text, rows[i].text)) fail_msg("%s: expected\n%s\ngot\n%s", rows[i].what, rows[i].text, text);
        assert_int_equal(length, strlen(text));
        gr_tensor_free(t);
    }
}

/* As snprintf: what fits, a 0 behind it, nothing beyond, and the length that was needed. */
static void truncation(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[4096];
        gr_tensor *t = tensor_of(&rows[i]);
        const size_t needed = strlen(rows[i].text);
        assert_int_equal(gr_format(NULL, 0, t), needed);
        for (size_t capacity = 1; capacity <= needed + 2; capacity++) {
            const size_t fits = capacity - 1 < needed ? capacity - 1 : needed;
            memset(text, '#', sizeof text);
            assert_int_equal(gr_format(text, capacity, t), needed);
            assert_memory_equal(text, rows[i].text, fits);
            assert_int_equal(text[fits], '\0');
            assert_int_equal(text[capacity], '#');
        }
        gr_tensor_free(t);
    }
}

static void a_thousand_elements_are_shown(void **state)
{
    (void)state;
    char text[8192];
    gr_tensor *t = gr_arange(GR_I32, 0, 1000, 1);
    size_t length = gr_format(text, sizeof text, t);
    assert_true(length < sizeof text && !strstr(text, "..."));
    const char *line = text;
    for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) assert_true(end - line <= 75);
    assert_non_null(strstr(text, "\n 108 109 "));
    assert_non_null(strstr(text, " 998 999]  i32[1000]"));
    gr_tensor_free(t);
}

static void what_has_no_values(void **state)
{
    (void)state;
    char text[128];
    gr_format(text, sizeof text, NULL);
    assert_string_equal(text, "(null)");
    gr_tape *tape = gr_tape_new();
    gr_tensor *x = gr_ones(GR_F64, GR_SHAPE(30));
    assert_int_equal(gr_require_grad(x), GR_OK);
    gr_tensor *y = gr_square(tape, x), *sum = gr_sum(tape, y, GR_ALL_AXES, false);
    assert_int_equal(gr_backward(tape, sum, 0), GR_OK);
    gr_format(text, sizeof text, y);
    assert_string_equal(
        text, "given back by backward: read it before, keep it with gr_keep(), or run backward with GR_RETAIN");
    gr_format(text, sizeof text, sum);
    assert_string_equal(text, "30.0");
    gr_tape_free(tape);
    gr_tensor_free(x);
}

/* A point stays a point where people write a comma. */
static void locales_change_nothing(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    size_t i = 0;
    while (i < COUNT(names) && !setlocale(LC_NUMERIC, names[i])) i++;
    if (i < COUNT(names)) texts(state);
    setlocale(LC_NUMERIC, "C");
    if (i == COUNT(names)) skip();
}

/* gr_fprint() writes all of it, and a new line, however long it is. */
static void to_a_file(void **state)
{
    (void)state;
    static char text[1 << 18], written[1 << 18];
    gr_tensor *t[] = {gr_ones(GR_F64, GR_SHAPE(2, 2)), gr_arange(GR_F64, 0, 7776, 1)};
    gr_tensor *cubes = gr_view(t[1], GR_SHAPE(6, 6, 6, 6, 6)), *shown[] = {t[0], cubes};
    for (size_t i = 0; i < COUNT(shown); i++) {
        FILE *file = tmpfile();
        assert_non_null(file);
        gr_fprint(file, shown[i]);
        rewind(file);
        size_t length = fread(written, 1, sizeof written - 1, file);
        fclose(file);
        written[length] = '\0';
        assert_int_equal(gr_format(text, sizeof text - 1, shown[i]), length - 1);
        strcat(text, "\n");
        assert_string_equal(text, written);
        assert_true(i == 0 || length > 16384);
    }
    gr_tensor_free(cubes);
    for (size_t i = 0; i < COUNT(t); i++) gr_tensor_free(t[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(truncation),
        cmocka_unit_test(a_thousand_elements_are_shown),
        cmocka_unit_test(what_has_no_values),
        cmocka_unit_test(locales_change_nothing),
        cmocka_unit_test(to_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
