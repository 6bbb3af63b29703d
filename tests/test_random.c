/* test_random.c: random numbers: the same bits everywhere, and the distributions that are promised.
 *
 * The literals come from another implementation, written after the papers in another language; the state 1, 2, 3, 4
 * is the published test vector of xoshiro256++. The steps of a split were taken there by squaring the matrix of one
 * step 128 times. A machine that rounds or fuses differently fails here. */
#include "helpers.h"

#include <gradus/random.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* ---- Bits ---------------------------------------------------------------------------------------------------- */

static void the_published_vector(void **state)
{
    (void)state;
    static const uint64_t expected[] = {41943041u,
                                        58720359u,
                                        3588806011781223u,
                                        3591011842654386u,
                                        9228616714210784205u,
                                        9973669472204895162u,
                                        14011001112246962877u,
                                        12406186145184390807u,
                                        15849039046786891736u,
                                        10450023813501588000u};
    gr_rng rng = {{1, 2, 3, 4}};
    for (size_t i = 0; i < COUNT(expected); i++) assert_true(gr_rng_u64(&rng) == expected[i]);
}

/* By seed: the draws 1, 2, 3 and 1000 as 64 bits, as uniforms, and as normals. */
typedef struct pinned {
    uint64_t seed, u64[4], normal[4];
    double uniform[3];
} pinned;

static const pinned pins[] = {
    {0,
     {0x53175d61490b23df, 0x61da6f3dc380d507, 0x5c0fdf91ec9a7bfc, 0x376300fa032f6483},
     {0xbff8a8af17f2fe67, 0xbf708d7cb6a3955d, 0x3fbc958a80b0b8e6, 0x3fe9a17f342bf54a},
     {0x1.4c5d7585242c8p-2, 0x1.8769bcf70e034p-2, 0x1.703f7e47b269ep-2}},
    {1,
     {0xcfc5d07f6f03c29b, 0xbf424132963fe08d, 0x19a37d5757aaf520, 0x92d52100f9e1da0d},
     {0x3fe7fe2b6e80acbf, 0xbfdb4f02841c1196, 0xbff3f7ed083decfa, 0xbfffef5c176ab293},
     {0x1.9f8ba0fede078p-1, 0x1.7e8482652c7fcp-1, 0x1.9a37d5757aaf0p-4}},
    {42,
     {0xd0764d4f4476689f, 0x519e4174576f3791, 0xfbe07cfb0c24ed8c, 0xa3ed059c1cc38790},
     {0x3fef679d98b6ab7b, 0x3ff571f94d19c30a, 0xbfeedae4f6954ef1, 0xbfc7b87cf0412839},
     {0x1.a0ec9a9e88ecdp-1, 0x1.467905d15dbccp-2, 0x1.f7c0f9f61849dp-1}},
    {UINT64_MAX,
     {0x56ccf8ce948e27b2, 0xe68588432e5a5b90, 0xe3e9b5a48119ca8b, 0x6e67f58f11f35060},
     {0xbfd24e4a5ec26d8a, 0x3fe1bfca99970dd7, 0x3ffb1890ca1af495, 0xbfa08329cc60ec45},
     {0x1.5b33e33a52388p-2, 0x1.cd0b10865cb4bp-1, 0x1.c7d36b4902339p-1}},
};

static void pinned_bits(void **state)
{
    (void)state;
    static const int at[4] = {0, 1, 2, 999};
    for (size_t p = 0; p < COUNT(pins); p++) {
        gr_rng a = gr_rng_seed(pins[p].seed), b = a, c = a;
        for (int i = 0, k = 0; i < 1000; i++) {
            uint64_t word = gr_rng_u64(&a), normal = bits_of(gr_rng_normal(&b));
            double uniform = gr_rng_uniform(&c);
            if (i < 3) assert_true(uniform == pins[p].uniform[i]);
            if (i != at[k]) continue;
            if (word != pins[p].u64[k] || normal != pins[p].normal[k])
                fail_msg("seed %zu, draw %d: %016llx, %016llx", p, i, (unsigned long long)word,
                         (unsigned long long)normal);
            k++;
        }
    }
}

/* offset + scale x is rounded twice: fused to one rounding, some of these would differ. */
static void pinned_tensors(void **state)
{
    (void)state;
    static const uint64_t normal[] = {0x3fd80d668d0e2442, 0x3feaf521c8762e4d, 0xc0013a57368a200e, 0xbfe4a310e2125164};
    static const uint64_t uniform[] = {0x3fc27825324a44f7, 0xbf71d52c37f5ea40, 0x3fc8fb45f275058b, 0x3fbc3f49699d7410};
    gr_rng rng = gr_rng_seed(42);
    gr_tensor *z = gr_normal(GR_F64, GR_SHAPE(4), -0.9, 1.3, &rng);
    rng = gr_rng_seed(42);
    gr_tensor *u = gr_uniform(GR_F64, GR_SHAPE(4), -0.1, 0.2, &rng);
    for (int i = 0; i < 4; i++) {
        assert_true(bits_of(gr_get(z, i)) == normal[i]);
        assert_true(bits_of(gr_get(u, i)) == uniform[i]);
    }
    gr_tensor_free(z);
    gr_tensor_free(u);
}

static void a_copy_draws_the_same(void **state)
{
    (void)state;
    gr_rng a = gr_rng_seed(7), b = a;
    for (int i = 0; i < 100; i++) assert_true(gr_rng_u64(&a) == gr_rng_u64(&b));
    assert_memory_equal(&a, &b, sizeof a);
}

/* ---- Splitting ----------------------------------------------------------------------------------------------- */

static void a_split_is_2_to_the_128_steps(void **state)
{
    (void)state;
    static const gr_rng far[] = {
        {{0xfee4f58cd4a88d82, 0xeb57cb7870f7d5a3, 0x076f2d192bd2720f, 0xb0a71cb77110d77b}},
        {{0x81746704fde896b5, 0x645e944932dae0ae, 0xf4776829231c282c, 0x2393f9798732dba1}},
    };
    static const uint64_t seeds[] = {0, 42};
    for (size_t i = 0; i < COUNT(far); i++) {
        gr_rng rng = gr_rng_seed(seeds[i]), before = rng, split = gr_rng_split(&rng);
        assert_memory_equal(&split, &before, sizeof split);
        assert_memory_equal(&rng, &far[i], sizeof rng);
    }
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Among 5 x 20,000 draws no 64 bits come twice, as they would if two states went the same way. */
static void splits_do_not_meet(void **state)
{
    (void)state;
    enum { STATES = 5, DRAWS = 20000 };
    static uint64_t drawn[STATES * DRAWS];
    gr_rng rng = gr_rng_seed(3), states[STATES];
    for (int i = 0; i < STATES - 2; i++) states[i] = gr_rng_split(&rng);
    states[STATES - 2] = rng;
    states[STATES - 1] = gr_rng_seed(4);
    for (int i = 0; i < STATES; i++)
        for (int k = 0; k < DRAWS; k++) drawn[i * DRAWS + k] = gr_rng_u64(&states[i]);
    qsort(drawn, COUNT(drawn), sizeof *drawn, by_value);
    for (size_t i = 1; i < COUNT(drawn); i++) assert_true(drawn[i] != drawn[i - 1]);
}

/* ---- Distributions ------------------------------------------------------------------------------------------- */

/* sum (observed - expected)^2 / expected over cells that are equally likely */
static double chi_square(const int observed[], int cells, int draws)
{
    const double expected = (double)draws / cells;
    double sum = 0.0;
    for (int i = 0; i < cells; i++) sum += pow(observed[i] - expected, 2) / expected;
    return sum;
}

/* The value that a chi-square of so many degrees of freedom exceeds once in ten thousand (Wilson and Hilferty). */
static double chi_square_limit(int freedom)
{
    const double a = 2.0 / (9.0 * freedom);
    return freedom * pow(1.0 - a + 3.719 * sqrt(a), 3);
}

static void uniform_is_uniform(void **state)
{
    (void)state;
    enum { DRAWS = 100000, CELLS = 100 };
    int cells[CELLS] = {0}, pairs[CELLS] = {0};
    gr_rng rng = gr_rng_seed(12);
    for (int i = 0; i < DRAWS; i++) {
        double u = gr_rng_uniform(&rng), v = gr_rng_uniform(&rng);
        assert_true(u >= 0.0 && u < 1.0 && v >= 0.0 && v < 1.0);
        assert_true(u * 0x1p53 == floor(u * 0x1p53));
        cells[(int)(u * CELLS)]++;
        pairs[(int)(u * 10) * 10 + (int)(v * 10)]++;
    }
    assert_true(chi_square(cells, CELLS, DRAWS) < chi_square_limit(CELLS - 1));
    assert_true(chi_square(pairs, CELLS, DRAWS) < chi_square_limit(CELLS - 1));
    gr_rng ends[] = {{{0, 1, 2, 0}}, {{UINT64_MAX, 1, 2, 1}}}; /* whose next 64 bits are all 0, all 1 */
    assert_true(gr_rng_uniform(&ends[0]) == 0.0);
    assert_true(gr_rng_uniform(&ends[1]) == 1.0 - 0x1p-53);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Kolmogorov and Smirnov: the largest distance between the share of draws below x and Phi(x) = erfc(-x/sqrt 2)/2. */
static double distance_from_normal(double draws[], int n)
{
    qsort(draws, (size_t)n, sizeof *draws, by_size);
    double distance = 0.0;
    for (int i = 0; i < n; i++) {
        const double phi = 0.5 * erfc(-draws[i] / sqrt(2.0));
        distance = fmax(distance, fmax(phi - (double)i / n, (double)(i + 1) / n - phi));
    }
    return distance;
}

static void normal_is_normal(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    static double z[DRAWS];
    gr_rng rng = gr_rng_seed(8);
    double m[4] = {0}, neighbours = 0.0;
    for (int i = 0; i < DRAWS; i++) {
        z[i] = gr_rng_normal(&rng);
        for (int k = 0; k < 4; k++) m[k] += pow(z[i], k + 1) / DRAWS;
        if (i) neighbours += z[i] * z[i - 1] / DRAWS;
    }
    const double sigma = 1.0 / sqrt(DRAWS); /* the moments' standard deviations: 1, sqrt 2, sqrt 15, sqrt 96 of it */
    assert_true(fabs(m[0]) < 4.0 * sigma);
    assert_true(fabs(m[1] - 1.0) < 4.0 * sqrt(2.0) * sigma);
    assert_true(fabs(m[2]) < 4.0 * sqrt(15.0) * sigma);
    assert_true(fabs(m[3] - 3.0) < 4.0 * sqrt(96.0) * sigma);
    assert_true(fabs(neighbours) < 4.0 * sigma);
    assert_true(distance_from_normal(z, DRAWS) < 1.95 * sigma); /* exceeded once in a thousand */
    assert_true(z[0] < -3.9 && z[DRAWS - 1] > 3.9);
}

/* Of the last bound, 3 2^61, a plain remainder would draw each of the lower two thirds half as often again as the
 * upper one. */
static void below_has_no_favourites(void **state)
{
    (void)state;
    enum { DRAWS = 30000 };
    static const struct {
        int64_t bound;
        int cells;
    } rows[] = {{2, 2}, {3, 3}, {7, 7}, {10, 10}, {1000, 1000}, {(int64_t)3 << 61, 3}};
    gr_rng rng = gr_rng_seed(21);
    for (size_t i = 0; i < COUNT(rows); i++) {
        int cells[1000] = {0};
        for (int k = 0; k < DRAWS; k++) {
            int64_t draw = gr_rng_below(&rng, rows[i].bound);
            assert_true(draw >= 0 && draw < rows[i].bound);
            cells[draw / (rows[i].bound / rows[i].cells)]++;
        }
        if (chi_square(cells, rows[i].cells, DRAWS) > chi_square_limit(rows[i].cells - 1))
            fail_msg("below %lld: chi-square %g", (long long)rows[i].bound, chi_square(cells, rows[i].cells, DRAWS));
    }
}

static void below_at_its_edges(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(2), before = rng;
    assert_int_equal(gr_rng_below(&rng, 0), 0);
    assert_int_equal(gr_rng_below(&rng, -5), 0);
    assert_memory_equal(&rng, &before, sizeof rng);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(gr_rng_below(&rng, 1), 0);
        assert_true(gr_rng_below(&rng, INT64_MAX) >= 0);
    }
}

/* ---- Permutations -------------------------------------------------------------------------------------------- */

static void a_permutation_has_each_once(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(6);
    for (int64_t n = 0; n <= 1000; n = n < 5 ? n + 1 : 10 * n) {
        int64_t order[1001];
        bool seen[1000] = {false};
        order[n] = -7;
        gr_rng_permutation(&rng, n, order);
        for (int64_t i = 0; i < n; i++) {
            assert_true(order[i] >= 0 && order[i] < n && !seen[order[i]]);
            seen[order[i]] = true;
        }
        assert_int_equal(order[n], -7);
    }
}

static void permutations_are_equally_likely(void **state)
{
    (void)state;
    enum { DRAWS = 24000 };
    gr_rng rng = gr_rng_seed(17);
    int cells[256] = {0}, orders[24], n = 0;
    for (int i = 0; i < DRAWS; i++) {
        int64_t p[4];
        gr_rng_permutation(&rng, 4, p);
        cells[p[0] << 6 | p[1] << 4 | p[2] << 2 | p[3]]++;
    }
    for (int i = 0; i < 256; i++)
        if (cells[i]) {
            assert_true(n < 24);
            orders[n++] = cells[i];
        }
    assert_int_equal(n, 24);
    assert_true(chi_square(orders, 24, DRAWS) < chi_square_limit(23));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vector),
        cmocka_unit_test(pinned_bits),
        cmocka_unit_test(pinned_tensors),
        cmocka_unit_test(a_copy_draws_the_same),
        cmocka_unit_test(a_split_is_2_to_the_128_steps),
        cmocka_unit_test(splits_do_not_meet),
        cmocka_unit_test(uniform_is_uniform),
        cmocka_unit_test(normal_is_normal),
        cmocka_unit_test(below_has_no_favourites),
        cmocka_unit_test(below_at_its_edges),
        cmocka_unit_test(a_permutation_has_each_once),
        cmocka_unit_test(permutations_are_equally_likely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
