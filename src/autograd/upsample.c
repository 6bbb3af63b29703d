/* upsample.c: images made larger. By rows, and then by columns, element i of the large image is a mixture of two
 * neighbours in the small one:
 *
 *     y_i = (1-f) x_k + f x_k+1                 dx_k += (1-f) g_i,  dx_k+1 += f g_i
 *
 *     GR_NEAREST:           k = floor(i small / large),  f = 0
 *     GR_BILINEAR:          at = max(0, (i + 1/2) small / large - 1/2),  k = floor(at),  f = at - k
 *     GR_BILINEAR_ALIGNED:  at = i (small - 1) / (large - 1),            k = floor(at),  f = at - k
 *
 * The last element is its own neighbour. Upsampling and its adjoint are linear, and each is the other's derivative. */
#include <assert.h>

#include "autograd/op_kit.h"

/* A call of a kernel: of the small image and the large, rows and columns. */
typedef struct upsample_call {
    gr_upsample_mode mode;
    int64_t planes, small[2], large[2];
    int64_t factor[2]; /* large / small where that is an integer, else 0 */
    const void *x;
    void *y;
} upsample_call;

static upsample_call upsample_call_of(const gr_node *n, const gr_tensor *small, const gr_tensor *large)
{
    upsample_call p = {.mode = ((const gr_upsample_attr *)n->attr)->mode,
                       .planes = small->shape[0] * small->shape[1],
                       .x = n->in[0]->data,
                       .y = n->out->data};
    for (int i = 0; i < 2; i++) {
        p.small[i] = small->shape[2 + i];
        p.large[i] = large->shape[2 + i];
        p.factor[i] = p.large[i] % p.small[i] ? 0 : p.large[i] / p.small[i];
        assert(0 < p.small[i] && p.small[i] <= p.large[i]);
    }
    return p;
}

/* Row or column i of the large image is (1-f) of k and f of `next`. */
typedef struct upsample_pair {
    int64_t k, next;
    double f;
} upsample_pair;

static inline upsample_pair pair_of(const upsample_call *p, int axis, int64_t i)
{
    const int64_t small = p->small[axis], large = p->large[axis];
    if (p->mode == GR_NEAREST) return (upsample_pair){i * small / large, i * small / large, 0.0};
    double at = p->mode == GR_BILINEAR ? ((double)i + 0.5) * (double)small / (double)large - 0.5
                : large > 1            ? (double)i * (double)(small - 1) / (double)(large - 1)
                                       : 0.0;
    if (at < 0.0) at = 0.0;
    const int64_t k = (int64_t)at;
    return (upsample_pair){k, k + 1 < small ? k + 1 : k, at - (double)k};
}

/* The first row of the large image whose k is this one or a later one. */
static inline int64_t first_row_of(const upsample_call *p, int64_t k)
{
    int64_t low = 0, high = p->large[0];
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (pair_of(p, 0, middle).k < k) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Columns of the large image that kernels take at once, and where their pairs are in the small one. */
enum { UPSAMPLE_CHUNK = 256 };
typedef struct upsample_columns {
    int64_t n, first, width;                         /* n of the large image; first .. first+width-1, width <= n+1 */
    int32_t k[UPSAMPLE_CHUNK], next[UPSAMPLE_CHUNK]; /* counted from `first` */
} upsample_columns;

/* Whether each pixel becomes a block of equal ones. */
static inline bool is_blocks(const upsample_call *p) { return p->mode == GR_NEAREST && p->factor[0] && p->factor[1]; }

#define GR_KERNEL_FILE "autograd/upsample.kernels.inc"
#include "tensor/kernel.h"

/* Images [N,C,H,W] to [N,C,size]: larger, or of the adjoint smaller. */
static gr_status resized_shape(const gr_node *n, gr_type *type, bool larger)
{
    const gr_upsample_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    if (gr_expect_float(n) || gr_expect_images(n->op->name, x)) return gr_last_status();
    if ((unsigned)a->mode >= GR_N_UPSAMPLE_MODES)
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

/* The way back, from g to the size of the input. */
static gr_upsample_attr attr_back(const gr_node *n)
{
    const gr_tensor *x = n->in[0];
    return (gr_upsample_attr){.size = {x->shape[2], x->shape[3]}, .mode = ((const gr_upsample_attr *)n->attr)->mode};
}

/* ---- y_i = (1-f) x_k + f x_k+1:  dx_k += (1-f) g_i, dx_k+1 += f g_i ------------------------------------------- */

static gr_status upsample2d_shape(const gr_node *n, gr_type *type) { return resized_shape(n, type, true); }

static gr_tensor *upsample2d_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_upsample_attr a = attr_back(n);
    return GR_CALL(upsample2d_adjoint, &a, g);
}

const gr_op gr_op_upsample2d = {
    GR_NAMED(upsample2d, "y_i = (1-f) x_k + f x_k+1, by rows and by columns", "dx_k += (1-f) g_i, dx_k+1 += f g_i"),
    .n_in = 1,
    .attr_size = sizeof(gr_upsample_attr),
    .shape = upsample2d_shape,
    .forward = GR_KERNELS(upsample2d),
    .vjp = {upsample2d_vjp}};

gr_tensor *gr_upsample2d(gr_tape *t, gr_tensor *x, int64_t height, int64_t width, gr_upsample_mode mode)
{
    return GR_CALL(upsample2d, (&(gr_upsample_attr){.size = {height, width}, .mode = mode}), x);
}

/* ---- z_k += (1-f) g_i, z_k+1 += f g_i:  dg_i = (1-f) h_k + f h_k+1, h that of z --------------------------------- */

static gr_status upsample2d_adjoint_shape(const gr_node *n, gr_type *type) { return resized_shape(n, type, false); }

static gr_tensor *upsample2d_adjoint_vjp(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    const gr_upsample_attr a = attr_back(n);
    return GR_CALL(upsample2d, &a, h);
}

const gr_op gr_op_upsample2d_adjoint = {GR_NAMED(upsample2d_adjoint,
                                                 "z_k += (1-f) g_i, z_k+1 += f g_i, by rows and by columns",
                                                 "dg_i = (1-f) h_k + f h_k+1, h that of z"),
                                        .n_in = 1,
                                        .attr_size = sizeof(gr_upsample_attr),
                                        .shape = upsample2d_adjoint_shape,
                                        .forward = GR_KERNELS(upsample2d_adjoint),
                                        .vjp = {upsample2d_adjoint_vjp}};
