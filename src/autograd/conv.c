/* conv.c: convolution, as three products that are each other's derivatives: y = x * k, its adjoint in x, and the
 * gradient of k. All are linear in both inputs: <g, x * k> = <conv_transpose2d(g, k), x> = <conv2d_kernel(x, g), k>.
 * tensor/conv.h has them as loops. */
#include "autograd/op_kit.h"

#include "tensor/conv.h"

/* ---- Options and shapes -------------------------------------------------------------------------------------- */

static const gr_conv_attr *conv_attr(const gr_node *n) { return n->attr; }

static gr_status expect_conv_options(const char *who, const gr_conv2d_options *o)
{
    for (int i = 0; i < 2; i++) {
        const struct {
            const char *name;
            int64_t value, least;
        } numbers[] = {{"stride", o->stride[i], 1},
                       {"dilation", o->dilation[i], 1},
                       {"padding", o->padding[i], 0},
                       {"groups", o->groups, 1},
                       {"output_padding", o->output_padding[i], 0}};
        for (int k = 0; k < GR_COUNT(numbers); k++)
            if (numbers[k].value < numbers[k].least || numbers[k].value > INT32_MAX)
                return gr_fail(GR_ERR_OPTION, "%s: %s is %lld, expected %lld to %d", who, numbers[k].name,
                               (long long)numbers[k].value, (long long)numbers[k].least, INT32_MAX);
    }
    return GR_OK;
}

/* What the three have in common: their options, floats, and inputs of rank 4. */
static gr_status expect_conv(const gr_node *n, const char *inputs)
{
    if (expect_conv_options(n->op->name, &conv_attr(n)->o) || gr_expect_float(n)) return gr_last_status();
    if (n->in[0]->rank == 4 && n->in[1]->rank == 4) return GR_OK;
    return gr_fail(GR_ERR_SHAPE, "%s: expected %s: %s and %s", n->op->name, inputs, GR_SHAPE_TEXT(n->in[0]),
                   GR_SHAPE_TEXT(n->in[1]));
}

/* The images have these channels, and the kernel's first axis is cut into groups. */
static gr_status expect_channels(const gr_node *n, int64_t channels)
{
    const int64_t groups = conv_attr(n)->o.groups;
    const bool fit = n->in[0]->shape[1] == channels;
    if (fit && n->in[1]->shape[0] % groups == 0) return GR_OK;
    return gr_fail(GR_ERR_SHAPE,
                   "%s: the channels of images %s and kernel %s do not fit with %lld group%s: expected %s %lld",
                   n->op->name, GR_SHAPE_TEXT(n->in[0]), GR_SHAPE_TEXT(n->in[1]), (long long)groups,
                   groups > 1 ? "s" : "", fit ? "the kernel's axis 0 to be a multiple of" : "the images' axis 1 to be",
                   (long long)(fit ? groups : channels));
}

static gr_status expect_bias(const gr_node *n, int64_t channels)
{
    if (n->n_in < 3) return GR_OK;
    const gr_tensor *b = n->in[2];
    if (b->rank == 1 && b->shape[0] == channels) return GR_OK;
    return gr_fail(GR_ERR_SHAPE, "%s: the bias is %s, expected [%lld]", n->op->name, GR_SHAPE_TEXT(b),
                   (long long)channels);
}

/* (image + 2 padding - dilation (kernel - 1) - 1) / stride + 1, rounded down; 0 where the kernel does not fit. */
static int64_t result_size(const gr_conv2d_options *o, int i, int64_t image, int64_t kernel)
{
    const int64_t room = image + 2 * o->padding[i] - o->dilation[i] * (kernel - 1) - 1;
    return room < 0 ? 0 : room / o->stride[i] + 1;
}

static int64_t image_size(const gr_conv2d_options *o, int i, int64_t result, int64_t kernel)
{
    return (result - 1) * o->stride[i] - 2 * o->padding[i] + o->dilation[i] * (kernel - 1) + o->output_padding[i] + 1;
}

/* A product of x [n,groups*c,..], k [groups*o,c,..] and y [n,groups*o,..], one of which is the result. */
static gr_conv conv_of(const gr_node *n, const gr_tensor *x, const gr_tensor *k, const gr_tensor *y)
{
    const gr_conv2d_options *o = &conv_attr(n)->o;
    gr_conv c = {.n = x->shape[0], .groups = o->groups, .c = x->shape[1] / o->groups, .o = y->shape[1] / o->groups};
    for (int i = 0; i < 2; i++) {
        c.x[i] = x->shape[2 + i], c.k[i] = k->shape[2 + i], c.y[i] = y->shape[2 + i];
        c.stride[i] = o->stride[i], c.padding[i] = o->padding[i], c.dilation[i] = o->dilation[i];
    }
    return c;
}

/* ---- The products in VJPs: with the options of n, and rows and columns `like` those of another tensor ---------- */

static gr_conv_attr sized_like(const gr_node *n, const gr_tensor *like)
{
    return (gr_conv_attr){.o = conv_attr(n)->o, .size = {like->shape[2], like->shape[3]}};
}

static gr_tensor *call_conv(gr_tape *t, const gr_node *n, gr_tensor *x, gr_tensor *k)
{
    return GR_CALL(conv2d, n->attr, x, k);
}

static gr_tensor *call_adjoint(gr_tape *t, const gr_node *n, gr_tensor *y, gr_tensor *k, const gr_tensor *like)
{
    const gr_conv_attr a = sized_like(n, like);
    return GR_CALL(conv_transpose2d, &a, y, k);
}

static gr_tensor *call_kernel(gr_tape *t, const gr_node *n, gr_tensor *x, gr_tensor *y, const gr_tensor *like)
{
    const gr_conv_attr a = sized_like(n, like);
    return GR_CALL(conv2d_kernel, &a, x, y);
}

/* db = sum g over all but channels */
static gr_tensor *conv_bias_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    return gr_sum(t, g, GR_AXES(0, 2, 3), false);
}

/* ---- y = x * k + b:  dx = conv_transpose2d(g, k),  dk = conv2d_kernel(x, g),  db = sum g ----------------------- */

static gr_status conv_shape(const gr_node *n, gr_type *type)
{
    const gr_conv2d_options *o = &conv_attr(n)->o;
    const gr_tensor *x = n->in[0], *k = n->in[1];
    if (expect_conv(n, "images [n,c,h,w] and a kernel [o,c/groups,kh,kw]") ||
        expect_channels(n, k->shape[1] * o->groups))
        return gr_last_status();
    const int64_t rows = result_size(o, 0, x->shape[2], k->shape[2]);
    const int64_t columns = result_size(o, 1, x->shape[3], k->shape[3]);
    if (k->size == 0 || rows < 1 || columns < 1)
        return gr_fail(
            GR_ERR_SHAPE,
            "conv2d: the kernel %s with dilation [%lld,%lld] does not fit into images %s with padding [%lld,%lld]",
            GR_SHAPE_TEXT(k), (long long)o->dilation[0], (long long)o->dilation[1], GR_SHAPE_TEXT(x),
            (long long)o->padding[0], (long long)o->padding[1]);
    *type = (gr_type){.dtype = gr_type_of(x), .rank = 4, .shape = {x->shape[0], k->shape[0], rows, columns}};
    return expect_bias(n, k->shape[0]);
}

static gr_status conv_forward(gr_node *n)
{
    const gr_tensor *x = n->in[0], *k = n->in[1], *y = n->out;
    const void *b = n->n_in > 2 ? n->in[2]->data : NULL;
    const gr_conv c = conv_of(n, x, k, y);
    return gr_conv_forward(gr_pool_of(n->tape), gr_type_of(y), &c, x->data, k->data, b, y->data);
}

static gr_tensor *conv_x_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return call_adjoint(t, n, g, n->in[1], n->in[0]);
}

static gr_tensor *conv_k_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return call_kernel(t, n, n->in[0], g, n->in[1]);
}

const gr_op gr_op_conv2d = {
    GR_NAMED(conv2d, "y = x * k + b",
             "dx = conv_transpose2d(g, k), dk = conv2d_kernel(x, g), db = sum g over all but channels"),
    .n_in = 2,
    .n_optional = 1,
    .shape = conv_shape,
    .attr_size = sizeof(gr_conv_attr),
    .forward[GR_ANY_CPU] = {[GR_F32] = conv_forward, [GR_F64] = conv_forward},
    .vjp = {conv_x_vjp, conv_k_vjp, conv_bias_vjp}};

/* ---- x = y *^T k + b, the adjoint:  dy = conv2d(g, k),  dk = conv2d_kernel(g, y),  db = sum g ------------------- */

static gr_status conv_adjoint_shape(const gr_node *n, gr_type *type)
{
    const gr_conv_attr *a = conv_attr(n);
    const gr_tensor *y = n->in[0], *k = n->in[1];
    if (expect_conv(n, "images [n,c,h,w] and a kernel [c,o/groups,kh,kw]") || expect_channels(n, k->shape[0]))
        return gr_last_status();
    for (int i = 0; i < 2; i++)
        if (k->size == 0 || a->size[i] < 1 || result_size(&a->o, i, a->size[i], k->shape[2 + i]) != y->shape[2 + i])
            return gr_fail(GR_ERR_SHAPE, "conv_transpose2d: images %s and kernel %s cannot give images of [%lld,%lld]",
                           GR_SHAPE_TEXT(y), GR_SHAPE_TEXT(k), (long long)a->size[0], (long long)a->size[1]);
    const int64_t channels = k->shape[1] * a->o.groups;
    *type = (gr_type){.dtype = gr_type_of(y), .rank = 4, .shape = {y->shape[0], channels, a->size[0], a->size[1]}};
    return expect_bias(n, channels);
}

static gr_status conv_adjoint_forward(gr_node *n)
{
    const gr_tensor *y = n->in[0], *k = n->in[1], *x = n->out;
    const void *b = n->n_in > 2 ? n->in[2]->data : NULL;
    const gr_conv c = conv_of(n, x, k, y);
    return gr_conv_adjoint(gr_pool_of(n->tape), gr_type_of(x), &c, y->data, k->data, b, x->data);
}

static gr_tensor *conv_adjoint_y_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return call_conv(t, n, g, n->in[1]);
}

static gr_tensor *conv_adjoint_k_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return call_kernel(t, n, g, n->in[0], n->in[1]);
}

const gr_op gr_op_conv_transpose2d = {
    GR_NAMED(conv_transpose2d, "x = y *^T k + b, the adjoint: <x, u> = <y, u * k> for all u, without b",
             "dy = conv2d(g, k), dk = conv2d_kernel(g, y), db = sum g over all but channels"),
    .n_in = 2,
    .n_optional = 1,
    .shape = conv_adjoint_shape,
    .attr_size = sizeof(gr_conv_attr),
    .forward[GR_ANY_CPU] = {[GR_F32] = conv_adjoint_forward, [GR_F64] = conv_adjoint_forward},
    .vjp = {conv_adjoint_y_vjp, conv_adjoint_k_vjp, conv_bias_vjp}};

/* ---- k = the gradient of the kernel:  dx = conv_transpose2d(y, g),  dy = conv2d(x, g) -------------------------- */

static gr_status conv_kernel_shape(const gr_node *n, gr_type *type)
{
    const gr_conv_attr *a = conv_attr(n);
    const gr_tensor *x = n->in[0], *y = n->in[1];
    if (expect_conv(n, "images [n,c,h,w] and results [n,o,oh,ow]")) return gr_last_status();
    bool fit = x->shape[0] == y->shape[0] && x->shape[1] % a->o.groups == 0 && y->shape[1] % a->o.groups == 0;
    for (int i = 0; i < 2; i++)
        fit = fit && a->size[i] > 0 && result_size(&a->o, i, x->shape[2 + i], a->size[i]) == y->shape[2 + i];
    if (!fit)
        return gr_fail(GR_ERR_SHAPE, "conv2d_kernel: images %s and results %s do not fit a kernel of [%lld,%lld]",
                       GR_SHAPE_TEXT(x), GR_SHAPE_TEXT(y), (long long)a->size[0], (long long)a->size[1]);
    const int64_t channels = x->shape[1] / a->o.groups;
    *type = (gr_type){.dtype = gr_type_of(x), .rank = 4, .shape = {y->shape[1], channels, a->size[0], a->size[1]}};
    return GR_OK;
}

static gr_status conv_kernel_forward(gr_node *n)
{
    const gr_tensor *x = n->in[0], *y = n->in[1], *k = n->out;
    const gr_conv c = conv_of(n, x, k, y);
    return gr_conv_kernel(gr_pool_of(n->tape), gr_type_of(k), &c, x->data, y->data, k->data);
}

static gr_tensor *conv_kernel_x_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return call_adjoint(t, n, n->in[1], g, n->in[0]);
}

static gr_tensor *conv_kernel_y_vjp(gr_tape *t, const gr_node *n, gr_tensor *g) { return call_conv(t, n, n->in[0], g); }

const gr_op gr_op_conv2d_kernel = {
    GR_NAMED(conv2d_kernel, "k: <k, u> = <y, x * u> for all u", "dx = conv_transpose2d(y, g), dy = conv2d(x, g)"),
    .n_in = 2,
    .shape = conv_kernel_shape,
    .attr_size = sizeof(gr_conv_attr),
    .forward[GR_ANY_CPU] = {[GR_F32] = conv_kernel_forward, [GR_F64] = conv_kernel_forward},
    .vjp = {conv_kernel_x_vjp, conv_kernel_y_vjp}};

/* ---- As users call them -------------------------------------------------------------------------------------- */

/* The options, where a 0 means 1: of strides, dilations and groups. */
static gr_conv_attr completed(const gr_conv2d_options *options)
{
    gr_conv_attr a = {.o = options ? *options : (gr_conv2d_options){.groups = 1}};
    if (a.o.groups == 0) a.o.groups = 1;
    for (int i = 0; i < 2; i++) {
        if (a.o.stride[i] == 0) a.o.stride[i] = 1;
        if (a.o.dilation[i] == 0) a.o.dilation[i] = 1;
    }
    return a;
}

gr_tensor *gr_conv2d(gr_tape *t, gr_tensor *x, gr_tensor *w, gr_tensor *b, const gr_conv2d_options *options)
{
    const gr_conv_attr a = completed(options);
    if (a.o.output_padding[0] || a.o.output_padding[1])
        return gr_fail(GR_ERR_OPTION, "conv2d: output_padding is for conv_transpose2d"), NULL;
    return gr_apply(t, &gr_op_conv2d, (gr_tensor *[]){x, w, b}, b ? 3 : 2, &a);
}

gr_tensor *gr_conv_transpose2d(gr_tape *t, gr_tensor *x, gr_tensor *w, gr_tensor *b, const gr_conv2d_options *options)
{
    gr_conv_attr a = completed(options);
    if (expect_conv_options("conv_transpose2d", &a.o)) return NULL;
    for (int i = 0; i < 2; i++) {
        if (a.o.output_padding[i] >= a.o.stride[i])
            return gr_fail(GR_ERR_OPTION,
                           "conv_transpose2d: output_padding is %lld, expected less than the stride, %lld",
                           (long long)a.o.output_padding[i], (long long)a.o.stride[i]),
                   NULL;
        if (x && w && x->rank == 4 && w->rank == 4) a.size[i] = image_size(&a.o, i, x->shape[2 + i], w->shape[2 + i]);
    }
    return gr_apply(t, &gr_op_conv_transpose2d, (gr_tensor *[]){x, w, b}, b ? 3 : 2, &a);
}
