/* pool.h: the windows of pooling, for pool_max.c and pool_avg.c: options, shape rule, and what lies in a window.
 *
 * Tap v of window j of a row is column j stride + v - padding. A row of 7 columns, kernel 3, stride 2, padding 1:
 *
 *     column     -1   0   1   2   3   4   5   6   7
 *     window 0   v=0 v=1 v=2
 *     window 1           v=0 v=1 v=2
 *     window 2                   v=0 v=1 v=2
 *     window 3                           v=0 v=1 v=2
 *
 * Kernels take one tap of many windows at a time, of columns that lie `stride` apart. Taps in the padding are skipped:
 * v = 0 is taken of windows 1 to 3, v = 2 of windows 0 to 2. Rows are likewise, but one window at a time. */
#ifndef GR_AUTOGRAD_POOL_H
#define GR_AUTOGRAD_POOL_H

#include <assert.h>

#include "autograd/op_kit.h"

/* A call of a kernel. */
typedef struct pool2d_call {
    gr_pool_attr a;
    int64_t planes, height, width; /* of the images [planes,height,width], N C planes */
    int64_t rows, columns;         /* of the windows [planes,rows,columns] */
    const void *x, *last;          /* the first and the last input: one and the same, if there is only one */
    void *out;
} pool2d_call;

/* begin .. end-1 */
typedef struct pool2d_range {
    int64_t begin, end;
} pool2d_range;

/* ---- Options and shapes ------------------------------------------------------------------------------------- */

static inline gr_pool_attr pool2d_attr(const gr_pool2d_options *o)
{
    gr_pool_attr a = {.exclude_padding = o && o->exclude_padding};
    for (int i = 0; o && i < 2; i++) {
        a.kernel[i] = o->kernel[i];
        a.stride[i] = o->stride[i] ? o->stride[i] : o->kernel[i];
        a.padding[i] = o->padding[i];
    }
    return a;
}

static inline gr_status pool2d_expect_options(const gr_node *n)
{
    const gr_pool_attr *a = n->attr;
    const long long kernel[] = {a->kernel[0], a->kernel[1]}, stride[] = {a->stride[0], a->stride[1]},
                    padding[] = {a->padding[0], a->padding[1]};
    for (int i = 0; i < 2; i++) {
        if (kernel[i] < 1)
            return gr_fail(GR_ERR_OPTION, "%s: the kernel is %lld x %lld, expected 1 or more", n->op->name, kernel[0],
                           kernel[1]);
        if (stride[i] < 1)
            return gr_fail(GR_ERR_OPTION, "%s: the stride is %lld x %lld, expected 1 or more", n->op->name, stride[0],
                           stride[1]);
        if (padding[i] < 0 || padding[i] > kernel[i] / 2)
            return gr_fail(GR_ERR_OPTION,
                           "%s: the padding is %lld x %lld, expected 0 to half the kernel, which is %lld x %lld",
                           n->op->name, padding[0], padding[1], kernel[0], kernel[1]);
    }
    return GR_OK;
}

/* How many windows there are along an axis, none if the image is smaller than one. */
static inline int64_t pool2d_size(const gr_pool_attr *a, int axis, int64_t size)
{
    const int64_t room = size - a->kernel[axis] + 2 * a->padding[axis];
    return room < 0 ? 0 : room / a->stride[axis] + 1;
}

/* Shape rule: images [N,C,H,W] to [N,C,rows,columns], one element a window. */
static inline gr_status pool2d_shape(const gr_node *n, gr_type *type)
{
    const gr_pool_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    if (gr_expect_float(n) || gr_expect_images(n->op->name, x) || pool2d_expect_options(n)) return gr_last_status();
    gr_type_as(type, x);
    for (int i = 0; i < 2; i++) type->shape[2 + i] = pool2d_size(a, i, x->shape[2 + i]);
    if (!type->shape[2] || !type->shape[3])
        return gr_fail(GR_ERR_SHAPE, "%s: no window of %lld x %lld fits into %s", n->op->name, (long long)a->kernel[0],
                       (long long)a->kernel[1], GR_SHAPE_TEXT(x));
    return GR_OK;
}

/* ---- Windows ------------------------------------------------------------------------------------------------ */

/* The call of n, whose windows lie in `images`, an input or the result. */
static inline pool2d_call pool2d_call_of(const gr_node *n, const gr_tensor *images)
{
    const gr_pool_attr *a = n->attr;
    const int64_t height = images->shape[2], width = images->shape[3];
    const pool2d_call p = {.a = *a,
                           .planes = images->shape[0] * images->shape[1],
                           .height = height,
                           .width = width,
                           .rows = pool2d_size(a, 0, height),
                           .columns = pool2d_size(a, 1, width),
                           .x = n->in[0]->data,
                           .last = n->in[n->n_in - 1]->data,
                           .out = n->out->data};
    assert(p.rows > 0 && p.columns > 0);
    return p;
}

/* The rows (axis 0) or columns (axis 1) of the image that window i of that axis has. */
static inline pool2d_range pool2d_window(const pool2d_call *p, int axis, int64_t i)
{
    const int64_t start = i * p->a.stride[axis] - p->a.padding[axis], end = start + p->a.kernel[axis],
                  size = axis ? p->width : p->height;
    return (pool2d_range){start > 0 ? start : 0, end < size ? end : size};
}

/* Windows from `begin` on that kernels take at once. */
enum { POOL2D_CHUNK = 256 };
static inline pool2d_range pool2d_chunk(const pool2d_call *p, int64_t begin)
{
    return (pool2d_range){begin, p->columns - begin < POOL2D_CHUNK ? p->columns : begin + POOL2D_CHUNK};
}

/* The taps v that are in the image for any of the windows w: a kernel may be far wider than the image. */
static inline pool2d_range pool2d_taps(const pool2d_call *p, pool2d_range w)
{
    const int64_t first = p->a.padding[1] - (w.end - 1) * p->a.stride[1],
                  end = p->width + p->a.padding[1] - w.begin * p->a.stride[1];
    return (pool2d_range){first > 0 ? first : 0, end < p->a.kernel[1] ? end : p->a.kernel[1]};
}

/* Those of the windows w whose tap v, one of pool2d_taps(), is in the image: 0 <= j stride + v - padding < width. None
 * if end <= begin. */
static inline pool2d_range pool2d_windows_of_tap(const pool2d_call *p, int64_t v, pool2d_range w)
{
    const int64_t before = p->a.padding[1] - v, last = p->width - 1 + before, stride = p->a.stride[1];
    const int64_t first = before > 0 ? (before - 1) / stride + 1 : 0, end = last / stride + 1;
    assert(last >= 0);
    return (pool2d_range){first > w.begin ? first : w.begin, end < w.end ? end : w.end};
}

/* Where in the image [height,width] tap v of window j is, in one of its rows. */
static inline int64_t pool2d_place(const pool2d_call *p, int64_t row, int64_t j, int64_t v)
{
    return row * p->width + j * p->a.stride[1] + v - p->a.padding[1];
}

/* How many rows of windows make a span. */
static inline int64_t pool2d_row_grain(const pool2d_call *p)
{
    return gr_grain_for((p->a.kernel[0] < p->height ? p->a.kernel[0] : p->height) * p->width);
}

#endif
