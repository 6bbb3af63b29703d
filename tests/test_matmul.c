/* test_matmul.c: matrix products against the sum that defines them, taken in double: every form, sizes around those at
 * which the library goes another way, matrices that end where memory may not be read; an infinity stays one, and what
 * is no number stays in its row; and threads. */
#include "helpers.h"

#include <gradus/random.h>

#include "tensor/internal.h"
#if defined _OPENMP
#include <omp.h>
#endif

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

/* A matrix with a margin of NaN in front of it; behind it, where nothing is, the address sanitizer sees who reads on.
 */
enum { MARGIN = 64, LONGEST = 70 };

static void *matrix(gr_dtype dtype, int64_t n, int64_t behind, gr_rng *rng)
{
    const size_t bytes = gr_dtype_bytes(dtype);
    char *m = malloc((size_t)(MARGIN + n + behind) * bytes);
    assert_non_null(m);
    for (int64_t i = 0; i < MARGIN + n + behind; i++) {
        const double x = i < MARGIN || i >= n + MARGIN ? (double)NAN : 2.0 * gr_rng_uniform(rng) - 1.0;
        if (dtype == GR_F32) ((float *)m)[i] = (float)x;
        else ((double *)m)[i] = x;
    }
    return m + MARGIN * bytes;
}

static void drop(gr_dtype dtype, void *m) { free((char *)m - MARGIN * gr_dtype_bytes(dtype)); }

static double at(gr_dtype dtype, const void *m, int64_t i)
{
    return dtype == GR_F32 ? (double)((const float *)m)[i] : ((const double *)m)[i];
}

static const char *describe(gr_dtype dtype, const gr_product *p)
{
    static char text[120];
    snprintf(text, sizeof text, "%s C %s A%s B%s, m %lld, n %lld, k %lld", gr_dtype_name(dtype), p->adds ? "+=" : "=",
             p->ta ? "^T" : "", p->tb ? "^T" : "", (long long)p->m, (long long)p->n, (long long)p->k);
    return text;
}

/* Computes p, whose C holds what `before` holds, and compares: each of k+1 terms is rounded at most k+2 times. */
static void check(gr_dtype dtype, const gr_product *p, const void *before)
{
    const double epsilon = dtype == GR_F32 ? 0x1p-23 : 0x1p-52;
    gr_gemm(dtype, *p);
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = p->adds ? at(dtype, before, i * p->n + j) : 0.0, size = fabs(sum);
            for (int64_t l = 0; l < p->k; l++) {
                const double a = at(dtype, p->a, p->ta ? l * p->m + i : i * p->k + l);
                const double b = at(dtype, p->b, p->tb ? j * p->k + l : l * p->n + j);
                sum += a * b;
                size += fabs(a * b);
            }
            const double found = at(dtype, p->c, i * p->n + j);
            if (isnan(sum) ? !isnan(found) : !(fabs(found - sum) <= (double)(p->k + 2) * epsilon * size))
                fail_msg("%s: element [%lld,%lld] is %.9g, expected %.9g", describe(dtype, p), (long long)i,
                         (long long)j, found, sum);
        }
    for (int64_t i = 1; i <= MARGIN; i++)
        if (!isnan(at(dtype, p->c, -i)) || !isnan(at(dtype, p->c, p->m * p->n + i - 1)))
            fail_msg("%s: wrote beyond C", describe(dtype, p));
}

typedef struct trial {
    gr_dtype dtype;
    void *a, *b, *c, *before;
    gr_product p;
} trial;

static trial draw(gr_dtype dtype, int form, int64_t m, int64_t n, int64_t k)
{
    gr_rng rng = gr_rng_seed((uint64_t)(m * 1000003 + n * 1009 + k));
    trial t = {.dtype = dtype,
               .a = matrix(dtype, m * k, 0, &rng),
               .b = matrix(dtype, k * n, 0, &rng),
               .c = matrix(dtype, m * n, MARGIN, &rng),
               .before = matrix(dtype, m * n, 0, &rng)};
    memcpy(t.c, t.before, (size_t)(m * n) * gr_dtype_bytes(dtype));
    t.p = (gr_product){
        .ta = form & 1, .tb = form & 2, .adds = form & 4, .m = m, .n = n, .k = k, .a = t.a, .b = t.b, .c = t.c};
    return t;
}

static void drop_trial(trial *t)
{
    drop(t->dtype, t->a);
    drop(t->dtype, t->b);
    drop(t->dtype, t->c);
    drop(t->dtype, t->before);
}

static void check_forms(int64_t m, int64_t n, int64_t k)
{
    for (int i = 0; i < 16; i++) {
        trial t = draw(i & 8 ? GR_F64 : GR_F32, i & 7, m, n, k);
        check(t.dtype, &t.p, t.before);
        drop_trial(&t);
    }
}

static void small(void **state)
{
    (void)state;
    static const int64_t ms[] = {0, 1, 2, 5, 16, 31, 70}, ns[] = {0, 1, 2, 10, 16, 17, 70},
                         ks[] = {0, 1, 3, 8, 15, 16, 17, 40, 130};
    for (int i = 0; i < COUNT(ms); i++)
        for (int j = 0; j < COUNT(ns); j++)
            for (int l = 0; l < COUNT(ks); l++) check_forms(ms[i], ns[j], ks[l]);
}

/* A layer of ten classes, forward and backward; one more row or column than tiles hold; long rows and columns. */
static const int64_t large_sizes[][3] = {
    {64, 10, 784},  {784, 10, 64},   {900, 9, 70},  {257, 16, 512}, {257, 16, 513},  {300, 3, 1025},
    {64, 200, 300}, {129, 129, 127}, {40, 65, 784}, {33, 140, 128}, {700, 1, 513},   {1, 700, 513},
    {5000, 1, 130}, {1, 5000, 130},  {9000, 2, 3},  {193, 49, 129}, {192, 48, 128},  {17, 97, 257},
    {16, 24, 513},  {3, 145, 256},   {383, 25, 65}, {4, 71, 1025},  {420, 410, 400},
};

static void large(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(large_sizes); i++) check_forms(large_sizes[i][0], large_sizes[i][1], large_sizes[i][2]);
}

/* What is no number in one row of A reaches that row of C and no other. */
static void neighbours(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{40, 1, 30}, {40, 1, 3}, {40, 10, 130}, {35, 1, 16}, {40, 70, 40}};
    for (int i = 0; i < COUNT(sizes); i++)
        for (int form = 0; form < 8; form++) {
            trial t = draw(GR_F32, form, sizes[i][0], sizes[i][1], sizes[i][2]);
            for (int64_t l = 0; l < t.p.k; l++) ((float *)t.a)[t.p.ta ? l * t.p.m + 7 : 7 * t.p.k + l] = NAN;
            check(GR_F32, &t.p, t.before);
            drop_trial(&t);
        }
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
                        fail_msg("%s, product %d of %d terms, of which the infinity is number %d: %g",
                                 gr_dtype_name(dtype), p, (int)k, (int)at / 2, gr_get(products[p], i));
            gr_tape_reset(t);
            gr_tensor_free(a);
            gr_tensor_free(x);
        }
    gr_tape_free(t);
}

#if defined _OPENMP
static const int64_t shared_sizes[][3] = {{64, 10, 784},   {900, 9, 200},    {257, 16, 512},  {64, 200, 300},
                                          {129, 129, 128}, {700, 1, 513},    {1, 700, 513},   {5000, 1, 130},
                                          {1, 5000, 130},  {20000, 1, 3},    {257, 16, 513},  {2, 3, 200000},
                                          {700, 600, 130}, {64, 2000, 1100}, {1500, 64, 700}, {33, 33, 2000},
                                          {420, 410, 400}, {300, 900, 400},  {512, 512, 260}};

static void check_threads(int form, const int64_t size[3])
{
    trial one = draw(GR_F32, form, size[0], size[1], size[2]), more = draw(GR_F32, form, size[0], size[1], size[2]);
    const int most = omp_get_max_threads();
    omp_set_num_threads(1);
    gr_gemm(GR_F32, one.p);
    omp_set_num_threads(3);
    gr_gemm(GR_F32, more.p);
    omp_set_num_threads(most);
    if (memcmp(one.c, more.c, (size_t)(one.p.m * one.p.n) * sizeof(float)) != 0)
        fail_msg("%s: one and three threads differ", describe(GR_F32, &one.p));
    drop_trial(&one);
    drop_trial(&more);
}
#endif

static void threads(void **state)
{
    (void)state;
#if defined _OPENMP
    for (int i = 0; i < COUNT(shared_sizes); i++)
        for (int form = 0; form < 8; form++) check_threads(form, shared_sizes[i]);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small),           cmocka_unit_test(large),   cmocka_unit_test(neighbours),
        cmocka_unit_test(infinities_stay), cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests_name("matmul", tests, NULL, NULL);
}
