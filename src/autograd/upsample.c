/* upsample.c: images of another size. Every row of the result is a row of x, or a mixture of two, and every column
 * likewise; the derivative hands each gradient back to where its value came from. Both are linear, and each is the
 * other's derivative. */
#ifndef K
#include "autograd/internal.h"

#include <gradus/nn.h>

typedef struct upsample_attr {
    int64_t size[2]; /* of the result: rows and columns */
    gr_upsample_mode mode;
} upsample_attr;

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

#define GR_KERNEL_FILE "autograd/upsample.c"
#include "tensor/kernel.h"

static upsampling upsampling_of(const gr_node *n, const gr_tensor *small, const gr_tensor *large)
{
    const upsample_attr *a = n->attr;
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
    const upsample_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    if (gr_same_float(n) || gr_check_images(n->op->name, x)) return gr_last_status();
    if (a->mode < 0 || a->mode >= GR_N_UPSAMPLE_MODES)
        return gr_fail(GR_ERR_OPTION, "%s: no such mode: %d", n->op->name, (int)a->mode);
    gr_type_as(type, x);
    for (int i = 0; i < 2; i++) {
        if (larger ? a->size[i] < x->shape[2 + i] : a->size[i] < 1 || a->size[i] > x->shape[2 + i])
            return gr_fail(GR_ERR_OPTION, "%s: %s to %lld x %lld, expected no %s rows and columns", n->op->name,
                           GR_SHAPE_OF(x), (long long)a->size[0], (long long)a->size[1], larger ? "fewer" : "more");
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
static upsample_attr attr_back(const gr_node *n)
{
    const gr_tensor *to = n->in[0];
    return (upsample_attr){.size = {to->shape[2], to->shape[3]}, .mode = ((const upsample_attr *)n->attr)->mode};
}

static gr_tensor *upsample2d_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const upsample_attr a = attr_back(n);
    return GR_CALL(upsample2d_adjoint, &a, g);
}

static gr_tensor *adjoint_vjp(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    const upsample_attr a = attr_back(n);
    return GR_CALL(upsample2d, &a, h);
}

#define TO(rows, columns, mode_)                 \
    .attr = &(upsample_attr)                     \
    {                                            \
        .size = {rows, columns}, .mode = (mode_) \
    }

static const gr_sample samples[] = {
    {.what = "twice", .in = {GR_IN(-2, 2, 1, 2, 2, 3)}, TO(4, 6, GR_NEAREST)},
    {.what = "three times one, once the other", .in = {GR_IN(-2, 2, 2, 1, 2, 3)}, TO(6, 3, GR_NEAREST)},
    {.what = "nearest, no integer", .in = {GR_IN(-2, 2, 1, 1, 3, 2)}, TO(5, 7, GR_NEAREST)},
    {.what = "bilinear, twice", .in = {GR_IN(-2, 2, 1, 1, 2, 3)}, TO(4, 6, GR_BILINEAR)},
    {.what = "bilinear, no integer", .in = {GR_IN(-2, 2, 1, 2, 3, 2)}, TO(4, 5, GR_BILINEAR)},
    {.what = "corners aligned", .in = {GR_IN(-2, 2, 1, 1, 2, 3)}, TO(3, 7, GR_BILINEAR_ALIGNED)},
    {.what = "corners aligned, one row", .in = {GR_IN(-2, 2, 1, 1, 1, 3)}, TO(1, 4, GR_BILINEAR_ALIGNED)},
    {.what = "one pixel", .in = {GR_IN(-2, 2, 1, 1, 1, 1)}, TO(3, 2, GR_BILINEAR)},
    {.what = "the same size", .in = {GR_IN(-2, 2, 1, 1, 2, 3)}, TO(2, 3, GR_BILINEAR)},
    {.what = "no images", .in = {GR_IN(0, 1, 0, 2, 2, 3)}, TO(4, 6, GR_BILINEAR)},
    {.what = "smaller",
     .in = {GR_IN(0, 1, 1, 1, 4, 4)},
     TO(8, 3, GR_NEAREST),
     .refused = "[1,1,4,4] to 8 x 3, expected no fewer rows and columns"},
    {.what = "no such mode",
     .in = {GR_IN(0, 1, 1, 1, 2, 2)},
     TO(4, 4, (gr_upsample_mode)7),
     .refused = "no such mode: 7"},
    {.what = "images of nothing",
     .in = {GR_IN(0, 1, 1, 1, 2, 0)},
     TO(4, 4, GR_NEAREST),
     .refused = "images of nothing: [1,1,2,0]"},
    {.what = "a matrix",
     .in = {GR_IN(0, 1, 2, 2)},
     TO(4, 4, GR_NEAREST),
     .refused = "expected images [N,C,H,W]: [2,2]"},
    {.what = "class indices",
     .in = {{.rank = 4, .shape = {1, 1, 2, 2}, .integer = true}},
     TO(4, 4, GR_NEAREST),
     .refused = "i32"},
};

static const gr_sample adjoint_samples[] = {
    {.what = "twice", .in = {GR_IN(-2, 2, 1, 2, 4, 6)}, TO(2, 3, GR_NEAREST)},
    {.what = "three times one, once the other", .in = {GR_IN(-2, 2, 2, 1, 6, 3)}, TO(2, 3, GR_NEAREST)},
    {.what = "nearest, no integer", .in = {GR_IN(-2, 2, 1, 1, 5, 7)}, TO(3, 2, GR_NEAREST)},
    {.what = "bilinear, no integer", .in = {GR_IN(-2, 2, 1, 2, 4, 5)}, TO(3, 2, GR_BILINEAR)},
    {.what = "corners aligned", .in = {GR_IN(-2, 2, 1, 1, 3, 7)}, TO(2, 3, GR_BILINEAR_ALIGNED)},
    {.what = "larger",
     .in = {GR_IN(0, 1, 1, 1, 4, 4)},
     TO(2, 8, GR_NEAREST),
     .refused = "[1,1,4,4] to 2 x 8, expected no more rows and columns"},
    {.what = "to nothing", .in = {GR_IN(0, 1, 1, 1, 4, 4)}, TO(0, 2, GR_NEAREST), .refused = "[1,1,4,4] to 0 x 2"},
};

const gr_op gr_op_upsample2d = {.name = "upsample2d",
                                .formula = "y_i = (1-f) x_k + f x_k+1, by rows and by columns",
                                .gradient = "dx_k += (1-f) g_i, dx_k+1 += f g_i",
                                .n_in = 1,
                                .shape = upsample_shape,
                                .attr_size = sizeof(upsample_attr),
                                .forward = GR_KERNELS(upsample2d),
                                .vjp = {upsample2d_vjp},
                                GR_SAMPLES(samples)};
const gr_op gr_op_upsample2d_adjoint = {.name = "upsample2d_adjoint",
                                        .formula = "z_k += (1-f) g_i, z_k+1 += f g_i, by rows and by columns",
                                        .gradient = "dg_i = (1-f) h_k + f h_k+1, h that of z",
                                        .n_in = 1,
                                        .shape = adjoint_shape,
                                        .attr_size = sizeof(upsample_attr),
                                        .forward = GR_KERNELS(upsample2d_adjoint),
                                        .vjp = {adjoint_vjp},
                                        GR_SAMPLES(adjoint_samples)};

gr_tensor *gr_upsample2d(gr_tape *t, gr_tensor *x, int64_t height, int64_t width, gr_upsample_mode mode)
{
    return GR_CALL(upsample2d, (&(upsample_attr){.size = {height, width}, .mode = mode}), x);
}

#else /* ---- once per number type and processor ---------------------------------------------------------------- */

/* ---- Blocks ------------------------------------------------------------------------------------------------- */

GR_INLINE void K(repeat)(const real *restrict x, real *restrict y, int64_t n, const int64_t times)
{
    for (int64_t j = 0; j < n; j++)
        for (int64_t k = 0; k < times; k++) y[j * times + k] = x[j];
}

/* A row of x becomes times[0] rows of y. */
static void K(repeat_span)(void *context, int64_t begin, int64_t end)
{
    const upsampling *p = context;
    const int64_t width = p->large[1], times = p->times[1];
    for (int64_t row = begin; row < end; row++) {
        const real *x = (const real *)p->x + row * p->small[1];
        real *y = (real *)p->y + row * p->times[0] * width;
        if (times == 2) K(repeat)(x, y, p->small[1], 2);
        else K(repeat)(x, y, p->small[1], times);
        for (int64_t k = 1; k < p->times[0]; k++) memcpy(y + k * width, y, (size_t)width * sizeof *y);
    }
}

/* z += the sums of `times` neighbours in g */
GR_INLINE void K(add_neighbours)(const real *restrict g, real *restrict z, int64_t n, const int64_t times)
{
    for (int64_t j = 0; j < n; j++) {
        real sum = g[j * times];
        for (int64_t k = 1; k < times; k++) sum += g[j * times + k];
        z[j] += sum;
    }
}

static void K(add_pairs)(const real *restrict a, const real *restrict b, real *restrict z, int64_t n)
{
    for (int64_t j = 0; j < n; j++) z[j] = (a[2 * j] + a[2 * j + 1]) + (b[2 * j] + b[2 * j + 1]);
}

/* times[0] rows of g are added up to one of z. */
static void K(add_blocks_span)(void *context, int64_t begin, int64_t end)
{
    const upsampling *p = context;
    const int64_t width = p->large[1], times = p->times[1];
    for (int64_t row = begin; row < end; row++) {
        const real *g = (const real *)p->x + row * p->times[0] * width;
        real *z = (real *)p->y + row * p->small[1];
        if (times == 2 && p->times[0] == 2) {
            K(add_pairs)(g, g + width, z, p->small[1]);
            continue;
        }
        memset(z, 0, (size_t)p->small[1] * sizeof *z);
        for (int64_t k = 0; k < p->times[0]; k++) K(add_neighbours)(g + k * width, z, p->small[1], times);
    }
}

/* ---- Mixtures ----------------------------------------------------------------------------------------------- */

/* Some columns of the large row, and their sources, counted from that of the first. There are no more of these than
 * columns, but for one. */
typedef struct K(columns) {
    int64_t begin, n, first, width; /* in the large row; in the small one */
    int32_t from[COLUMNS_AT_ONCE], next[COLUMNS_AT_ONCE];
    real share[COLUMNS_AT_ONCE];
} K(columns);

static void K(find_columns)(const upsampling *p, int64_t begin, K(columns) * c)
{
    const int64_t left = p->large[1] - begin;
    c->begin = begin;
    c->n = left < COLUMNS_AT_ONCE ? left : COLUMNS_AT_ONCE;
    c->first = source_of(p, 1, begin).from;
    c->width = source_of(p, 1, begin + c->n - 1).next - c->first + 1;
    for (int64_t j = 0; j < c->n; j++) {
        const source s = source_of(p, 1, begin + j);
        c->from[j] = (int32_t)(s.from - c->first);
        c->next[j] = (int32_t)(s.next - c->first);
        c->share[j] = (real)s.share;
    }
}

/* A row of the large image: two rows of the small one mixed, then its columns. */
static void K(mix)(const K(columns) * c, const real *restrict a, const real *restrict b, real share, real *restrict y)
{
    real row[COLUMNS_AT_ONCE + 1];
    for (int64_t i = 0; i < c->width; i++) row[i] = a[i] + share * (b[i] - a[i]);
    for (int64_t j = 0; j < c->n; j++) y[j] = row[c->from[j]] + c->share[j] * (row[c->next[j]] - row[c->from[j]]);
}

static void K(take)(const K(columns) * c, const real *restrict x, real *restrict y)
{
    for (int64_t j = 0; j < c->n; j++) y[j] = x[c->from[j]];
}

static void K(upsample_span)(void *context, int64_t begin, int64_t end)
{
    const upsampling *p = context;
    K(columns) c;
    for (int64_t j = 0; j < p->large[1]; j += c.n) {
        K(find_columns)(p, j, &c);
        for (int64_t row = begin; row < end; row++) {
            const source s = source_of(p, 0, row % p->large[0]);
            const real *x = (const real *)p->x + row / p->large[0] * p->small[0] * p->small[1] + c.first;
            real *y = (real *)p->y + row * p->large[1] + j;
            if (p->mode == GR_NEAREST) K(take)(&c, x + s.from * p->small[1], y);
            else K(mix)(&c, x + s.from * p->small[1], x + s.next * p->small[1], (real)s.share, y);
        }
    }
}

static gr_status K(upsample2d)(gr_node *n)
{
    upsampling p = upsampling_of(n, n->in[0], n->out);
    if (is_blocks(&p)) gr_parallel(p.planes * p.small[0], upsample_grain(p.times[0] * p.large[1]), K(repeat_span), &p);
    else gr_parallel(p.planes * p.large[0], upsample_grain(p.large[1]), K(upsample_span), &p);
    return GR_OK;
}

/* z += x by its sources */
static void K(unmix)(const K(columns) * c, bool nearest, const real *restrict x, real *restrict z)
{
    for (int64_t j = 0; nearest && j < c->n; j++) z[c->from[j]] += x[j];
    for (int64_t j = 0; !nearest && j < c->n; j++) {
        const real next = c->share[j] * x[j];
        z[c->from[j]] += x[j] - next;
        z[c->next[j]] += next;
    }
}

/* A row z of the small image: the rows of g that came from it added up, each by its share, then their columns. */
static void K(unmix_rows)(const upsampling *p, const K(columns) * c, int64_t k, const real *g, real *z)
{
    real sum[COLUMNS_AT_ONCE] = {0};
    const range rows = made_of(p, k);
    for (int64_t i = rows.begin; i < rows.end; i++) {
        const source s = source_of(p, 0, i);
        const real share = (real)((s.from == k ? 1 - s.share : 0) + (s.next == k ? s.share : 0));
        const real *restrict row = g + i * p->large[1];
        if (share == 1)
            for (int64_t j = 0; j < c->n; j++) sum[j] += row[j];
        else
            for (int64_t j = 0; j < c->n; j++) sum[j] += share * row[j];
    }
    K(unmix)(c, p->mode == GR_NEAREST, sum, z);
}

static void K(adjoint_span)(void *context, int64_t begin, int64_t end)
{
    const upsampling *p = context;
    K(columns) c;
    memset((real *)p->y + begin * p->small[1], 0, (size_t)((end - begin) * p->small[1]) * sizeof(real));
    for (int64_t j = 0; j < p->large[1]; j += c.n) {
        K(find_columns)(p, j, &c);
        for (int64_t row = begin; row < end; row++) {
            const real *g = (const real *)p->x + row / p->small[0] * p->large[0] * p->large[1] + j;
            K(unmix_rows)(p, &c, row % p->small[0], g, (real *)p->y + row * p->small[1] + c.first);
        }
    }
}

static gr_status K(upsample2d_adjoint)(gr_node *n)
{
    upsampling p = upsampling_of(n, n->out, n->in[0]);
    const int64_t rows = p.planes * p.small[0], grain = upsample_grain((p.large[0] / p.small[0] + 1) * p.large[1]);
    gr_parallel(rows, grain, is_blocks(&p) ? K(add_blocks_span) : K(adjoint_span), &p);
    return GR_OK;
}
#endif
