/* dropout.c: some elements gone, the others larger, so that the mean stays. No mask is stored: whether an element goes
 * is a hash of its index and of a key drawn once, so that the derivative, the same op with the same key, finds it
 * again, and so does any thread. */
#include "autograd/internal.h"

#include <gradus/nn.h>

typedef struct dropout_attr {
    double p;
    uint64_t key;
} dropout_attr;

/* Blocks of 2^14 elements: each hashes numbers that begin, and are apart, by words of its own. */
enum { BLOCK_BITS = 14 };

/* Every bit of x moves half of the bits of the result (Wellons, 2018). */
static inline uint32_t dropout_mix(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* The two words of a block: a step of splitmix64. */
static inline uint64_t dropout_words(uint64_t key, uint64_t block)
{
    uint64_t z = key + (block + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

#define GR_KERNEL_FILE "autograd/dropout.kernels.inc"
#include "tensor/kernel.h"

/* ---- y = x / (1-p), or 0:  dx = the same of g ------------------------------------------------------------------ */

static gr_status dropout_shape(const gr_node *n, gr_type *type)
{
    const double p = ((const dropout_attr *)n->attr)->p;
    if (!(p >= 0.0 && p < 1.0))
        return gr_fail(GR_ERR_OPTION, "%s: p is %g, expected 0 or more and less than 1", n->op->name, p);
    return gr_shape_same(n, type);
}

static gr_tensor *dropout_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return GR_CALL(dropout, n->attr, g);
}

static const gr_sample samples[] = {
    {.what = "half of a matrix", .in = {GR_IN(-2, 2, 3, 4)}, .attr = &(dropout_attr){0.5, 1}},
    {.what = "more than one vector of any length", .in = {GR_IN(-2, 2, 37)}, .attr = &(dropout_attr){0.25, 2}},
    {.what = "none", .in = {GR_IN(-2, 2, 5)}, .attr = &(dropout_attr){0, 3}},
    {.what = "nothing", .in = {GR_IN(0, 1, 0, 3)}, .attr = &(dropout_attr){0.5, 4}},
    {.what = "all",
     .in = {GR_IN(0, 1, 3)},
     .attr = &(dropout_attr){1, 5},
     .refused = "p is 1, expected 0 or more and less than 1"},
    {.what = "no number", .in = {GR_IN(0, 1, 3)}, .attr = &(dropout_attr){(double)NAN, 6}, .refused = "p is nan"},
    {.what = "class indices",
     .in = {{.rank = 1, .shape = {3}, .integer = true}},
     .attr = &(dropout_attr){0.5, 7},
     .refused = "i32"},
};

const gr_op gr_op_dropout = {.name = "dropout",
                             .formula = "y = m x / (1-p), m = 0 with probability p, else 1",
                             .gradient = "dx = m g / (1-p)",
                             .n_in = 1,
                             .shape = dropout_shape,
                             .attr_size = sizeof(dropout_attr),
                             .in_place = true,
                             .forward = GR_KERNELS(dropout),
                             .vjp = {dropout_vjp},
                             GR_SAMPLES(samples)};

gr_tensor *gr_dropout(gr_tape *t, gr_tensor *x, double p, gr_rng *rng)
{
    if (!x || !rng) return gr_fail_null("dropout", x ? "rng" : "input 0"), NULL;
    return GR_CALL(dropout, (&(dropout_attr){p, gr_rng_u64(rng)}), x);
}
