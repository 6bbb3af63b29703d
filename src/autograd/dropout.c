/* dropout.c: y = m x / (1-p), where m is 0 with probability p and otherwise 1, so that the mean stays. No mask is
 * stored: the m of an element is a hash of its index and of a key drawn once, so that the derivative, the same op with
 * the same key, finds it again, and so does any thread.
 *
 *     element i of block b:  m = hash(first + i step) >= 2^32 p,  (first, step) = words(key, b) */
#include "autograd/op_kit.h"

enum { DROPOUT_BLOCK = 1 << 14 };

/* The hash: every bit of x moves half of the bits of the result (Wellons, 2018). */
static inline uint32_t dropout_hash(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* The two words of a block, 32 bits each: a step of splitmix64. */
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
    const double p = ((const gr_dropout_attr *)n->attr)->p;
    if (!(p >= 0.0 && p < 1.0))
        return gr_fail(GR_ERR_OPTION, "%s: p is %s, expected 0 or more and less than 1", n->op->name,
                       GR_NUMBER_TEXT(p));
    return gr_shape_same(n, type);
}

static gr_tensor *dropout_vjp(gr_tape *t, const gr_node *n, gr_tensor *g) { return GR_CALL(dropout, n->attr, g); }

const gr_op gr_op_dropout = {GR_NAMED(dropout, "y = m x / (1-p), m = 0 with probability p, else 1", "dx = m g / (1-p)"),
                             .n_in = 1,
                             .shape = dropout_shape,
                             .attr_size = sizeof(gr_dropout_attr),
                             .in_place = true,
                             .forward = GR_KERNELS(dropout),
                             .vjp = {dropout_vjp}};

gr_tensor *gr_dropout(gr_tape *t, gr_tensor *x, double p, gr_rng *rng)
{
    if (!x || !rng) return gr_fail_null("dropout", x ? "rng" : "input 0"), NULL;
    return GR_CALL(dropout, (&(gr_dropout_attr){p, gr_rng_u64(rng)}), x);
}
