/* pool.c: the largest and the mean of each window of an image.
 *
 * Given x's winners max pooling is linear: pick(x, v) takes v where x is largest in its window, spread(x, g) puts g
 * there, and each is the other's derivative. No index is stored: winners are found again, which is cheaper than reading
 * them. */
#include "autograd/op_kit.h"

#include <gradus/nn.h>

/* Windows of a kernel call: rows and columns of an image and of what is pooled from it, and how many images there are.
 */
typedef struct pooling {
    gr_pool_attr a;
    int64_t planes, height, width, rows, columns;
    const void *x, *g;
    void *y;
} pooling;

static pooling pooling_of(const gr_node *n, const gr_tensor *image);

/* The part of a window from `start` on that lies within 0 .. size-1. */
typedef struct range {
    int64_t begin, end;
} range;

static inline range inside(int64_t start, int64_t kernel, int64_t size)
{
    return (range){start > 0 ? start : 0, start + kernel < size ? start + kernel : size};
}

static inline range rows_of_window(const pooling *p, int64_t i)
{
    return inside(i * p->a.stride[0] - p->a.padding[0], p->a.kernel[0], p->height);
}

static inline range columns_of_window(const pooling *p, int64_t j)
{
    return inside(j * p->a.stride[1] - p->a.padding[1], p->a.kernel[1], p->width);
}

/* The v-th column of windows begin .. end-1 of a row: those windows where it lies in the image. */
static inline range windows_of_tap(const pooling *p, int64_t v, range windows)
{
    const int64_t before = p->a.padding[1] - v, last = p->width - 1 + before, stride = p->a.stride[1];
    const int64_t first = before > 0 ? (before - 1) / stride + 1 : 0, end = last < 0 ? 0 : last / stride + 1;
    return (range){first > windows.begin ? first : windows.begin, end < windows.end ? end : windows.end};
}

/* The taps v that lie in the image for any of these windows. */
static inline range taps_of(const pooling *p, range windows)
{
    const int64_t right = p->a.padding[1] - (windows.end - 1) * p->a.stride[1],
                  left = p->a.padding[1] - windows.begin * p->a.stride[1];
    return (range){right > 0 ? right : 0, p->width + left < p->a.kernel[1] ? p->width + left : p->a.kernel[1]};
}

static inline bool is_halving(const pooling *p)
{
    const gr_pool_attr *a = &p->a;
    return a->kernel[0] == 2 && a->kernel[1] == 2 && a->stride[0] == 2 && a->stride[1] == 2 && !a->padding[0] &&
           !a->padding[1];
}

/* Spans of pooled rows, and of images. */
static inline int64_t row_grain(const pooling *p)
{
    return 2 * GR_GRAIN / ((p->a.kernel[0] < p->height ? p->a.kernel[0] : p->height) * p->width) + 1;
}

static inline int64_t plane_grain(const pooling *p)
{
    return 2 * GR_GRAIN / (p->height * p->width) + 1;
}

enum { COLUMNS_AT_ONCE = 256 };

#define GR_KERNEL_FILE "autograd/pool.kernels.inc"
#include "tensor/kernel.h"

/* ---- Shapes ------------------------------------------------------------------------------------------------- */

gr_status gr_expect_images(const char *who, const gr_tensor *x)
{
    if (x->rank != 4) return gr_fail(GR_ERR_SHAPE, "%s: expected images [N,C,H,W]: %s", who, GR_SHAPE_TEXT(x));
    if (!x->shape[2] || !x->shape[3]) return gr_fail(GR_ERR_SHAPE, "%s: images of nothing: %s", who, GR_SHAPE_TEXT(x));
    return GR_OK;
}

static gr_status check_options(const gr_node *n)
{
    const gr_pool_attr *a = n->attr;
    for (int i = 0; i < 2; i++) {
        if (a->kernel[i] < 1)
            return gr_fail(GR_ERR_OPTION, "%s: the kernel is %lld x %lld, expected 1 or more", n->op->name,
                           (long long)a->kernel[0], (long long)a->kernel[1]);
        if (a->stride[i] < 1)
            return gr_fail(GR_ERR_OPTION, "%s: the stride is %lld x %lld, expected 1 or more", n->op->name,
                           (long long)a->stride[0], (long long)a->stride[1]);
        if (a->padding[i] < 0 || a->padding[i] > a->kernel[i] / 2)
            return gr_fail(GR_ERR_OPTION,
                           "%s: the padding is %lld x %lld, expected 0 to half the kernel, which is %lld x %lld",
                           n->op->name, (long long)a->padding[0], (long long)a->padding[1], (long long)a->kernel[0],
                           (long long)a->kernel[1]);
    }
    return GR_OK;
}

/* How many windows there are along an axis, none if the image is smaller than one. */
static int64_t pooled_size(const gr_pool_attr *a, int axis, int64_t size)
{
    const int64_t room = size - a->kernel[axis] + 2 * a->padding[axis];
    return room < 0 ? 0 : room / a->stride[axis] + 1;
}

static gr_status pooled_shape(const gr_node *n, gr_type *type)
{
    const gr_pool_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    if (gr_expect_float(n) || gr_expect_images(n->op->name, x) || check_options(n)) return gr_last_status();
    gr_type_as(type, x);
    for (int i = 0; i < 2; i++) type->shape[2 + i] = pooled_size(a, i, x->shape[2 + i]);
    if (!type->shape[2] || !type->shape[3])
        return gr_fail(GR_ERR_SHAPE, "%s: no window of %lld x %lld fits into %s", n->op->name, (long long)a->kernel[0],
                       (long long)a->kernel[1], GR_SHAPE_TEXT(x));
    return GR_OK;
}

/* x and, as the second input, something of the shape that it is pooled to. */
static gr_status pooled_pair_shape(const gr_node *n, gr_type *type)
{
    if (pooled_shape(n, type)) return gr_last_status();
    const gr_tensor *g = n->in[1];
    if (g->rank != 4 || memcmp(g->shape, type->shape, 4 * sizeof *g->shape) != 0)
        return gr_fail(GR_ERR_SHAPE, "%s: %s is pooled to %s, not %s", n->op->name, GR_SHAPE_TEXT(n->in[0]),
                       gr_shape_text(&(gr_text){{0}}, 4, type->shape), GR_SHAPE_TEXT(g));
    return GR_OK;
}

static gr_status spread_shape(const gr_node *n, gr_type *type)
{
    if (pooled_pair_shape(n, type)) return gr_last_status();
    gr_type_as(type, n->in[0]);
    return GR_OK;
}

static gr_status avg_adjoint_shape(const gr_node *n, gr_type *type)
{
    const gr_pool_attr *a = n->attr;
    const gr_tensor *g = n->in[0];
    if (gr_expect_float(n) || gr_expect_images(n->op->name, g) || check_options(n)) return gr_last_status();
    gr_type_as(type, g);
    for (int i = 0; i < 2; i++) {
        if (a->size[i] < 1 || pooled_size(a, i, a->size[i]) != g->shape[2 + i])
            return gr_fail(GR_ERR_SHAPE, "%s: %lld x %lld is not pooled to %s", n->op->name, (long long)a->size[0],
                           (long long)a->size[1], GR_SHAPE_TEXT(g));
        type->shape[2 + i] = a->size[i];
    }
    return GR_OK;
}

static pooling pooling_of(const gr_node *n, const gr_tensor *image)
{
    const gr_pool_attr *a = n->attr;
    const int64_t height = image->shape[2], width = image->shape[3];
    return (pooling){.a = *a,
                     .planes = image->shape[0] * image->shape[1],
                     .height = height,
                     .width = width,
                     .rows = pooled_size(a, 0, height),
                     .columns = pooled_size(a, 1, width),
                     .x = n->in[0]->data,
                     .g = n->in[n->n_in - 1]->data,
                     .y = n->out->data};
}

static gr_pool_attr attr_of(const gr_pool2d_options *o)
{
    gr_pool_attr a = {.kernel = {0}};
    for (int i = 0; o && i < 2; i++) {
        a.kernel[i] = o->kernel[i];
        a.stride[i] = o->stride[i] ? o->stride[i] : o->kernel[i];
        a.padding[i] = o->padding[i];
    }
    a.exclude_padding = o && o->exclude_padding;
    return a;
}

/* ---- y = the largest of each window:  dx = g at the winner ---------------------------------------------------- */

/* For the gradient checker: the place of each window's winner. */
static void branch_winners(const gr_node *n, uint64_t *signature)
{
    const gr_tensor *x = n->in[0];
    const pooling p = pooling_of(n, x);
    for (int64_t window = 0; window < p.planes * p.rows * p.columns; window++) {
        const int64_t plane = window / (p.rows * p.columns) * p.height * p.width;
        const range rows = rows_of_window(&p, window / p.columns % p.rows),
                    columns = columns_of_window(&p, window % p.columns);
        int64_t winner = -1;
        double best = 0.0;
        for (int64_t i = rows.begin; i < rows.end; i++)
            for (int64_t j = columns.begin; j < columns.end; j++) {
                const double e = gr_element(x, plane + i * p.width + j);
                if (winner < 0 || (!(best >= e) && best == best)) best = e, winner = plane + i * p.width + j;
            }
        gr_fold_branch(signature, winner);
    }
}

static gr_tensor *max_pool2d_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return GR_CALL(max_pool2d_spread, n->attr, n->in[0], g);
}

static gr_tensor *spread_vjp(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    return GR_CALL(max_pool2d_pick, n->attr, n->in[0], h);
}

#define POOLING(samples_) .attr_size = sizeof(gr_pool_attr)

const gr_op gr_op_max_pool2d = {.name = "max_pool2d",
                                .formula = "y = max of a window of x",
                                .gradient = "dx = g at the first winner",
                                .n_in = 1,
                                .shape = pooled_shape,
                                .forward = GR_KERNELS(max_pool2d),
                                .branches = branch_winners,
                                .vjp = {max_pool2d_vjp},
                                POOLING(max_samples)};
const gr_op gr_op_max_pool2d_spread = {.name = "max_pool2d_spread",
                                       .formula = "z = g at the winner of each window of x, 0 elsewhere",
                                       .gradient = "dx = 0, dg = h at the winners, h that of z",
                                       .n_in = 2,
                                       .shape = spread_shape,
                                       .forward = GR_KERNELS(max_pool2d_spread),
                                       .branches = branch_winners,
                                       .vjp = {gr_vjp_zero, spread_vjp},
                                       POOLING(max_pair_samples)};

static gr_tensor *pick_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return GR_CALL(max_pool2d_spread, n->attr, n->in[0], g);
}

gr_tensor *gr_max_pool2d(gr_tape *t, gr_tensor *x, const gr_pool2d_options *options)
{
    const gr_pool_attr a = attr_of(options);
    return GR_CALL(max_pool2d, &a, x);
}

/* ---- y = v at the winner of each window of x:  dv = g there --------------------------------------------------- */

static gr_status pick_shape(const gr_node *n, gr_type *type)
{
    if (pooled_shape(n, type)) return gr_last_status();
    if (!gr_same_shape(n->in[0], n->in[1]))
        return gr_fail(GR_ERR_SHAPE, "%s: shapes differ: %s and %s", n->op->name, GR_SHAPE_TEXT(n->in[0]),
                       GR_SHAPE_TEXT(n->in[1]));
    return GR_OK;
}

const gr_op gr_op_max_pool2d_pick = {.name = "max_pool2d_pick",
                                     .formula = "y = v at the winner of each window of x",
                                     .gradient = "dx = 0, dv = g at the winners",
                                     .n_in = 2,
                                     .shape = pick_shape,
                                     .forward = GR_KERNELS(max_pool2d_pick),
                                     .branches = branch_winners,
                                     .vjp = {gr_vjp_zero, pick_vjp},
                                     POOLING(pick_samples)};

/* ---- y = the mean of each window:  dx = g over the count, for each window that an element lies in -------------- */

static gr_tensor *avg_pool2d_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_pool_attr a = *(const gr_pool_attr *)n->attr;
    for (int i = 0; i < 2; i++) a.size[i] = n->in[0]->shape[2 + i];
    return GR_CALL(avg_pool2d_adjoint, &a, g);
}

static gr_tensor *avg_adjoint_vjp(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    return GR_CALL(avg_pool2d, n->attr, h);
}

const gr_op gr_op_avg_pool2d = {.name = "avg_pool2d",
                                .formula = "y = mean of a window of x",
                                .gradient = "dx = g / count, summed over the windows of an element",
                                .n_in = 1,
                                .shape = pooled_shape,
                                .forward = GR_KERNELS(avg_pool2d),
                                .vjp = {avg_pool2d_vjp},
                                POOLING(avg_samples)};
const gr_op gr_op_avg_pool2d_adjoint = {.name = "avg_pool2d_adjoint",
                                        .formula = "z = g / count, summed over the windows of an element",
                                        .gradient = "dg = mean of a window of h, that of z",
                                        .n_in = 1,
                                        .shape = avg_adjoint_shape,
                                        .forward = GR_KERNELS(avg_pool2d_adjoint),
                                        .vjp = {avg_adjoint_vjp},
                                        POOLING(avg_adjoint_samples)};

gr_tensor *gr_avg_pool2d(gr_tape *t, gr_tensor *x, const gr_pool2d_options *options)
{
    const gr_pool_attr a = attr_of(options);
    return GR_CALL(avg_pool2d, &a, x);
}

gr_tensor *gr_global_avg_pool2d(gr_tape *t, gr_tensor *x)
{
    if (x && gr_expect_images("global_avg_pool2d", x)) return NULL;
    return gr_mean(t, x, GR_AXES(2, 3), true);
}
