/* upsample.c: images of another size. Every row of the result is a row of x, or a mixture of two, and every column
 * likewise; the derivative hands each gradient back to where its value came from. Both are linear, and each is the
 * other's derivative. */
#include "autograd/op_kit.h"

#include <gradus/nn.h>

/* A kernel call: the small image, the large one. */
typedef struct upsampling {
    gr_upsample_mode mode;
    int64_t planes, small[2], large[2];
    int64_t times[2]; /* the large over the small, where that is an integer, else 0 */
    const void *x;
    void *y;
} upsampling;

static upsampling upsampling_of(const gr_node *n, const gr_tensor *small, const gr_tensor *large);

/* What row or column i of the large image is made of: (1 - share) of `from`, `share` of `next`. */
typedef struct source {
    int64_t from, next;
    double share;
} source;

static inline source source_of(const upsampling *p, int axis, int64_t i)
{
    const int64_t small = p->small[axis], large = p->large[axis];
    if (p->mode == GR_NEAREST) return (source){i * small / large, i * small / large, 0.0};
    double at = p->mode == GR_BILINEAR ? ((double)i + 0.5) * (double)small / (double)large - 0.5
                : large > 1            ? (double)i * (double)(small - 1) / (double)(large - 1)
                                       : 0.0;
    if (at < 0.0) at = 0.0;
    const int64_t from = (int64_t)at;
    return (source){from, from + 1 < small ? from + 1 : from, at - (double)from};
}

/* The first row of the large image whose source, or the next to it, is k or comes after it. */
static inline int64_t first_from(const upsampling *p, int64_t k, bool next)
{
    int64_t low = 0, high = p->large[0];
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const source s = source_of(p, 0, middle);
        if ((next ? s.next : s.from) < k) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* The rows of the large image that row k of the small one has a share in. */
typedef struct range {
    int64_t begin, end;
} range;

static inline range made_of(const upsampling *p, int64_t k)
{
    return (range){first_from(p, k, true), first_from(p, k + 1, false)};
}

/* Nearest, by an integer: each pixel becomes a block. */
static inline bool is_blocks(const upsampling *p)
{
    return p->mode == GR_NEAREST && p->times[0] && p->times[1];
}

static inline int64_t upsample_grain(int64_t elements)
{
    return 2 * GR_GRAIN / elements + 1;
}

enum { COLUMNS_AT_ONCE = 256 };

#define GR_KERNEL_FILE "autograd/upsample.kernels.inc"
#include "tensor/kernel.h"

static upsampling upsampling_of(const gr_node *n, const gr_tensor *small, const gr_tensor *large)
{
    const gr_upsample_attr *a = n->attr;
    upsampling p = {
        .mode = a->mode, .planes = small->shape[0] * small->shape[1], .x = n->in[0]->data, .y = n->out->data};
    for (int i = 0; i < 2; i++) {
        p.small[i] = small->shape[2 + i];
        p.large[i] = large->shape[2 + i];
        p.times[i] = p.large[i] % p.small[i] ? 0 : p.large[i] / p.small[i];
    }
    return p;
}

/* The result is larger than the input, or, of the adjoint, smaller. */
static gr_status resized(const gr_node *n, gr_type *type, bool larger)
{
    const gr_upsample_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    if (gr_expect_float(n) || gr_expect_images(n->op->name, x)) return gr_last_status();
    if (a->mode < 0 || a->mode >= GR_N_UPSAMPLE_MODES)
        return gr_fail(GR_ERR_OPTION, "%s: no such mode: %d", n->op->name, (int)a->mode);
    gr_type_as(type, x);
    for (int i = 0; i < 2; i++) {
        if (larger ? a->size[i] < x->shape[2 + i] : a->size[i] < 1 || a->size[i] > x->shape[2 + i])
            return gr_fail(GR_ERR_OPTION, "%s: %s to %lld x %lld, expected no %s rows and columns", n->op->name,
                           GR_SHAPE_TEXT(x), (long long)a->size[0], (long long)a->size[1], larger ? "fewer" : "more");
        type->shape[2 + i] = a->size[i];
    }
    return GR_OK;
}

static gr_status upsample_shape(const gr_node *n, gr_type *type)
{
    return resized(n, type, true);
}

static gr_status adjoint_shape(const gr_node *n, gr_type *type)
{
    return resized(n, type, false);
}

/* ---- y_i = (1-f) x_k + f x_k+1, for rows and for columns:  dx_k += (1-f) g_i, dx_k+1 += f g_i ------------------- */

/* The other way, from g to the size of `to`. */
static gr_upsample_attr attr_back(const gr_node *n)
{
    const gr_tensor *to = n->in[0];
    return (gr_upsample_attr){.size = {to->shape[2], to->shape[3]}, .mode = ((const gr_upsample_attr *)n->attr)->mode};
}

static gr_tensor *upsample2d_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_upsample_attr a = attr_back(n);
    return GR_CALL(upsample2d_adjoint, &a, g);
}

static gr_tensor *adjoint_vjp(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    const gr_upsample_attr a = attr_back(n);
    return GR_CALL(upsample2d, &a, h);
}

const gr_op gr_op_upsample2d = {.name = "upsample2d",
                                .formula = "y_i = (1-f) x_k + f x_k+1, by rows and by columns",
                                .gradient = "dx_k += (1-f) g_i, dx_k+1 += f g_i",
                                .n_in = 1,
                                .shape = upsample_shape,
                                .attr_size = sizeof(gr_upsample_attr),
                                .forward = GR_KERNELS(upsample2d),
                                .vjp = {upsample2d_vjp}};
const gr_op gr_op_upsample2d_adjoint = {.name = "upsample2d_adjoint",
                                        .formula = "z_k += (1-f) g_i, z_k+1 += f g_i, by rows and by columns",
                                        .gradient = "dg_i = (1-f) h_k + f h_k+1, h that of z",
                                        .n_in = 1,
                                        .shape = adjoint_shape,
                                        .attr_size = sizeof(gr_upsample_attr),
                                        .forward = GR_KERNELS(upsample2d_adjoint),
                                        .vjp = {adjoint_vjp}};

gr_tensor *gr_upsample2d(gr_tape *t, gr_tensor *x, int64_t height, int64_t width, gr_upsample_mode mode)
{
    return GR_CALL(upsample2d, (&(gr_upsample_attr){.size = {height, width}, .mode = mode}), x);
}
