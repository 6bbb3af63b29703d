/* test_matmul.c: matrix products against the triple loop, at sizes around the widths of vectors and the turn from our
 * own loops for a single row or column to OpenBLAS; and that an infinity stays one, wherever it stands. */
#include "helpers.h"

enum { LONGEST = 70 };

static gr_tensor *matrix(gr_dtype dtype, int64_t rows, int64_t columns, double phase)
{
    gr_tensor *x = gr_zeros(dtype, GR_SHAPE(rows, columns));
    for (int64_t i = 0; i < rows * columns; i++) assert_int_equal(gr_set(x, i, sin(phase + 1.7 * (double)i)), GR_OK);
    return x;
}

/* One element of op(A) op(B). */
static double element(const gr_tensor *a, const gr_tensor *b, int flags, int64_t i, int64_t j, int64_t k)
{
    double sum = 0;
    for (int64_t l = 0; l < k; l++)
        sum += gr_get(a, flags & GR_TRANS_A ? l * gr_dim(a, 1) + i : i * gr_dim(a, 1) + l) *
               gr_get(b, flags & GR_TRANS_B ? j * gr_dim(b, 1) + l : l * gr_dim(b, 1) + j);
    return sum;
}

static void check(gr_tape *t, gr_dtype dtype, int flags, int64_t m, int64_t k, int64_t n)
{
    gr_tensor *a = flags & GR_TRANS_A ? matrix(dtype, k, m, 0.3) : matrix(dtype, m, k, 0.3);
    gr_tensor *b = flags & GR_TRANS_B ? matrix(dtype, n, k, 0.9) : matrix(dtype, k, n, 0.9);
    const gr_tensor *c = gr_matmul(t, a, b, flags);
    assert_non_null(c);
    for (int64_t i = 0; i < m * n; i++) {
        const double expected = element(a, b, flags, i / n, i % n, k);
        if (!close_to(gr_get(c, i), expected, dtype == GR_F32 ? 1e-5 : 1e-13))
            fail_msg("[%d,%d] x [%d,%d], flags %d, in %s: element %d is %.9g, expected %.9g", (int)m, (int)k, (int)k, (int)n,
                     flags, gr_dtype_name(dtype), (int)i, gr_get(c, i), expected);
    }
    gr_tape_reset(t);
    gr_tensor_free(a);
    gr_tensor_free(b);
}

static void against_the_triple_loop(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (int d = 0; d < 2; d++)
        for (int flags = 0; flags < 4; flags++)
            for (int64_t k = 1; k <= LONGEST; k++) {
                check(t, d ? GR_F64 : GR_F32, flags, 1 + k % 7, k, 1);
                check(t, d ? GR_F64 : GR_F32, flags, 1, k, 1 + k % 7);
                check(t, d ? GR_F64 : GR_F32, flags, k, 1 + k % 11, 1);
                check(t, d ? GR_F64 : GR_F32, flags, 1, 1 + k % 11, k);
                check(t, d ? GR_F64 : GR_F32, flags, 2 + k % 5, k, 2 + k % 3);
            }
    gr_tape_free(t);
}

/* A row of ones with one infinity, times ones. */
static void infinities_stay(void **state)
{
    (void)state;
    enum { ROWS = 5 };
    gr_tape *t = gr_tape_new();
    for (int64_t k = 1; k <= LONGEST; k++)
        for (int64_t at = 0; at < 2 * k; at++) {
            const gr_dtype dtype = at % 2 ? GR_F64 : GR_F32;
            gr_tensor *a = gr_ones(dtype, GR_SHAPE(ROWS, k)), *x = gr_ones(dtype, GR_SHAPE(k, 1));
            for (int i = 0; i < ROWS; i++) assert_int_equal(gr_set(a, i * k + at / 2, (double)INFINITY), GR_OK);
            const gr_tensor *products[] = {gr_matmul(t, a, x, 0), gr_matmul(t, x, a, GR_TRANS_A | GR_TRANS_B),
                                           gr_matmul(t, gr_transpose(t, a), x, GR_TRANS_A)};
            for (int p = 0; p < 3; p++)
                for (int i = 0; i < ROWS; i++)
                    if (gr_get(products[p], i) != (double)INFINITY)
                        fail_msg("%s, product %d of %d terms, of which the infinity is number %d: %g", gr_dtype_name(dtype), p,
                                 (int)k, (int)at / 2, gr_get(products[p], i));
            gr_tape_reset(t);
            gr_tensor_free(a);
            gr_tensor_free(x);
        }
    gr_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_the_triple_loop),
        cmocka_unit_test(infinities_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
