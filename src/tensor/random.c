/* random.c: the generator xoshiro256++ and the distributions made of its bits, the same bits on every machine.
 *
 * This file is compiled without fused multiply-adds and has its own logarithm, since the last bits of the C library's
 * differ from one machine to the next. */
#include <math.h>

#include "tensor/internal.h"

static uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

/* splitmix64 (Steele, Lea and Flood, 2014): four words of state from one, never all zero. */
gr_rng gr_rng_seed(uint64_t seed)
{
    gr_rng rng;
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        rng.s[i] = z ^ z >> 31;
    }
    return rng;
}

uint64_t gr_rng_u64(gr_rng *rng)
{
    if (!rng) return gr_fail_null("rng_u64", "rng"), 0;
    uint64_t *s = rng->s;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* Moves *rng on by 2^128 steps: `jump` is the generator's polynomial for that, from its authors. */
gr_rng gr_rng_split(gr_rng *rng)
{
    static const uint64_t jump[4] = {0x180ec6d33cfd0aba, 0xd5a61266f0c9392c, 0xa9582618e03fc9aa, 0x39abdc4529b1661c};
    if (!rng) return gr_fail_null("rng_split", "rng"), (gr_rng){{0}};
    gr_rng before = *rng, after = {{0}};
    for (int bit = 0; bit < 256; bit++) {
        if (jump[bit / 64] >> bit % 64 & 1)
            for (int i = 0; i < 4; i++) after.s[i] ^= rng->s[i];
        gr_rng_u64(rng);
    }
    *rng = after;
    return before;
}

double gr_rng_uniform(gr_rng *rng) { return (double)(gr_rng_u64(rng) >> 11) * 0x1p-53; }

/* log x for 0 < x < 1, of operations that IEEE 754 rounds exactly: x = m 2^e with m in [sqrt(1/2), sqrt(2)), and
 * log m = 2 atanh(s) = 2 (s + s^3/3 + s^5/5 + ...) with s = (m-1)/(m+1), |s| < 0.172. */
static double portable_log(double x)
{
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752) {
        m *= 2.0;
        e--;
    }
    double s = (m - 1.0) / (m + 1.0), s2 = s * s, sum = 0.0;
    for (int k = 23; k >= 1; k -= 2) sum = sum * s2 + 1.0 / k;
    return 2.0 * s * sum + e * 0.69314718055994531;
}

/* Marsaglia's polar method: a point drawn in the unit disc gives two independent normals, of which this is one. */
double gr_rng_normal(gr_rng *rng)
{
    if (!rng) return gr_fail_null("rng_normal", "rng"), 0.0;
    for (;;) {
        double u = 2.0 * gr_rng_uniform(rng) - 1.0, v = 2.0 * gr_rng_uniform(rng) - 1.0;
        double r2 = u * u + v * v;
        if (r2 < 1.0 && r2 > 0.0) return u * sqrt(-2.0 * portable_log(r2) / r2);
    }
}

double gr_rng_scaled(gr_rng *rng, gr_distribution draw, double offset, double scale)
{
    return offset + scale * draw(rng);
}

/* Draws at and above the largest multiple of `bound` are repeated, so that no remainder is likelier than another. */
int64_t gr_rng_below(gr_rng *rng, int64_t bound)
{
    if (bound < 1) return 0;
    uint64_t b = (uint64_t)bound, excess = (UINT64_MAX % b + 1) % b, draw;
    do draw = gr_rng_u64(rng);
    while (draw > UINT64_MAX - excess);
    return (int64_t)(draw % b);
}

void gr_rng_permutation(gr_rng *rng, int64_t n, int64_t order[])
{
    if (!rng || !order) {
        gr_fail_null("rng_permutation", rng ? "order" : "rng");
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t j = gr_rng_below(rng, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}
