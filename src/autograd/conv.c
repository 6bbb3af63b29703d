/* conv.c: convolution. With the convolution y = x * k, its adjoint in x and its adjoint in k there are three products,
 * all linear in both factors, and the derivatives of each are the other two: <y, x * k> = <adjoint(y, k), x> =
 * <kernel(x, y), k>. */
#include "autograd/op_kit.h"

#include "tensor/conv.h"

/* ---- Options and shapes -------------------------------------------------------------------------------------- */

/* The options with 1 for the zeros that stand for it. */
static gr_conv2d_options completed(const gr_conv2d_options *options)
{
    gr_conv2d_options o = *options;
    if (o.groups == 0) o.groups = 1;
    for (int i = 0; i < 2; i++) {
        if (o.stride[i] == 0) o.stride[i] = 1;
        if (o.dilation[i] == 0) o.dilation[i] = 1;
    }
    return o;
}

static gr_status options_of(const gr_node *n, gr_conv2d_options *o)
{
    *o = completed(&((const gr_conv_attr *)n->attr)->o);
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
                return gr_fail(GR_ERR_OPTION, "%s: %s is %lld, expected %lld or more", n->op->name, numbers[k].name,
                               (long long)numbers[k].value, (long long)numbers[k].least);
    }
    return GR_OK;
}

/* (size + 2 padding - dilation (kernel - 1) - 1) / stride + 1, rounded down; below 1 where the kernel does not fit. */
static int64_t result_size(const gr_conv2d_options *o, int i, int64_t size, int64_t kernel)
{
    const int64_t room = size + 2 * o->padding[i] - o->dilation[i] * (kernel - 1) - 1;
    return room < 0 ? 0 : room / o->stride[i] + 1;
}

static int64_t image_size(const gr_conv2d_options *o, int i, int64_t size, int64_t kernel)
{
    return (size - 1) * o->stride[i] - 2 * o->padding[i] + o->dilation[i] * (kernel - 1) + o->output_padding[i] + 1;
}

/* The call of images x, results y and a kernel k, as planes. */
static gr_conv planes(const gr_node *n, const gr_tensor *x, const gr_tensor *y, const gr_tensor *k)
{
    const gr_conv2d_options o = completed(&((const gr_conv_attr *)n->attr)->o);
    gr_conv c = {.n = x->shape[0], .groups = o.groups, .c = x->shape[1] / o.groups, .o = y->shape[1] / o.groups};
    for (int i = 0; i < 2; i++) {
        c.image[i] = x->shape[2 + i];
        c.kernel[i] = k->shape[2 + i];
        c.result[i] = y->shape[2 + i];
        c.stride[i] = o.stride[i];
        c.padding[i] = o.padding[i];
        c.dilation[i] = o.dilation[i];
    }
    return c;
}

static const void *bias_of(const gr_node *n)
{
    return n->n_in > 2 ? n->in[2]->data : NULL;
}

static gr_status expect_ranks(const gr_node *n, const char *what)
{
    if (gr_expect_float(n)) return gr_last_status();
    if (n->in[0]->rank != 4 || n->in[1]->rank != 4)
        return gr_fail(GR_ERR_SHAPE, "%s: expected %s: %s and %s", n->op->name, what, GR_SHAPE_TEXT(n->in[0]),
                       GR_SHAPE_TEXT(n->in[1]));
    return GR_OK;
}

static gr_status expect_bias(const gr_node *n, int64_t channels)
{
    if (n->n_in < 3) return GR_OK;
    const gr_tensor *b = n->in[2];
    if (b->rank == 1 && b->shape[0] == channels) return GR_OK;
    return gr_fail(GR_ERR_SHAPE, "%s: the bias is %s, expected [%lld]", n->op->name, GR_SHAPE_TEXT(b),
                   (long long)channels);
}

static gr_status set_type(gr_type *type, const gr_tensor *like, int64_t n, int64_t channels, const int64_t size[2])
{
    *type = (gr_type){.dtype = gr_type_of(like), .rank = 4, .shape = {n, channels, size[0], size[1]}};
    return GR_OK;
}

/* ---- y = x * k:  dx = conv_transpose2d(g, k),  dk = conv2d_kernel(x, g),  db = sum g -------------------------- */

static gr_status conv_shape(const gr_node *n, gr_type *type)
{
    gr_conv2d_options o;
    const gr_tensor *x = n->in[0], *k = n->in[1];
    if (options_of(n, &o) || expect_ranks(n, "images [n,c,h,w] and a kernel [o,c/groups,kh,kw]"))
        return gr_last_status();
    if (x->shape[1] != k->shape[1] * o.groups || k->shape[0] % o.groups)
        return gr_fail(GR_ERR_SHAPE, "conv2d: the channels of images %s and kernel %s do not fit with %lld group%s",
                       GR_SHAPE_TEXT(x), GR_SHAPE_TEXT(k), (long long)o.groups, o.groups > 1 ? "s" : "");
    const int64_t size[2] = {result_size(&o, 0, x->shape[2], k->shape[2]),
                             result_size(&o, 1, x->shape[3], k->shape[3])};
    if (k->size == 0 || size[0] < 1 || size[1] < 1)
        return gr_fail(
            GR_ERR_SHAPE,
            "conv2d: the kernel %s with dilation [%lld,%lld] does not fit into images %s with padding [%lld,%lld]",
            GR_SHAPE_TEXT(k), (long long)o.dilation[0], (long long)o.dilation[1], GR_SHAPE_TEXT(x),
            (long long)o.padding[0], (long long)o.padding[1]);
    if (expect_bias(n, k->shape[0])) return gr_last_status();
    return set_type(type, x, x->shape[0], k->shape[0], size);
}

static gr_status conv(gr_node *n)
{
    const gr_conv c = planes(n, n->in[0], n->out, n->in[1]);
    return gr_conv_forward(gr_pool_of(n->tape), gr_type_of(n->out), &c, n->in[0]->data, n->in[1]->data, bias_of(n),
                           n->out->data);
}

static gr_tensor *adjoint(gr_tape *t, const gr_node *n, gr_tensor *y, gr_tensor *k, const gr_tensor *like);
static gr_tensor *kernel_of(gr_tape *t, const gr_node *n, gr_tensor *x, gr_tensor *y, const gr_tensor *like);

/* x * k by the options of another call */
static gr_tensor *convolved(gr_tape *t, const gr_node *n, gr_tensor *x, gr_tensor *k)
{
    return GR_CALL(conv2d, n->attr, x, k);
}

static gr_tensor *conv_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return adjoint(t, n, g, n->in[1], n->in[0]);
}

static gr_tensor *conv_k(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return kernel_of(t, n, n->in[0], g, n->in[1]);
}

static gr_tensor *bias(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    return gr_sum(t, g, GR_AXES(0, 2, 3), false);
}

/* ---- x = y *^T k, the adjoint:  dy = conv2d(g, k),  dk = conv2d_kernel(g, y),  db = sum g --------------------- */

static gr_status adjoint_shape(const gr_node *n, gr_type *type)
{
    const gr_conv_attr *a = n->attr;
    gr_conv2d_options o;
    const gr_tensor *y = n->in[0], *k = n->in[1];
    if (options_of(n, &o) || expect_ranks(n, "images [n,c,h,w] and a kernel [c,o/groups,kh,kw]"))
        return gr_last_status();
    if (y->shape[1] != k->shape[0] || y->shape[1] % o.groups)
        return gr_fail(GR_ERR_SHAPE,
                       "conv_transpose2d: the channels of images %s and kernel %s do not fit with %lld group%s",
                       GR_SHAPE_TEXT(y), GR_SHAPE_TEXT(k), (long long)o.groups, o.groups > 1 ? "s" : "");
    for (int i = 0; i < 2; i++)
        if (k->size == 0 || a->size[i] < 1 || result_size(&o, i, a->size[i], k->shape[2 + i]) != y->shape[2 + i])
            return gr_fail(GR_ERR_SHAPE, "conv_transpose2d: images %s and kernel %s cannot give images of [%lld,%lld]",
                           GR_SHAPE_TEXT(y), GR_SHAPE_TEXT(k), (long long)a->size[0], (long long)a->size[1]);
    if (expect_bias(n, k->shape[1] * o.groups)) return gr_last_status();
    return set_type(type, y, y->shape[0], k->shape[1] * o.groups, a->size);
}

static gr_status adjoint_kernel(gr_node *n)
{
    const gr_conv c = planes(n, n->out, n->in[0], n->in[1]);
    return gr_conv_adjoint(gr_pool_of(n->tape), gr_type_of(n->out), &c, n->in[0]->data, n->in[1]->data, bias_of(n),
                           n->out->data);
}

static gr_tensor *adjoint(gr_tape *t, const gr_node *n, gr_tensor *y, gr_tensor *k, const gr_tensor *like)
{
    const gr_conv_attr a = {((const gr_conv_attr *)n->attr)->o, {like->shape[2], like->shape[3]}};
    return GR_CALL(conv_transpose2d, &a, y, k);
}

static gr_tensor *adjoint_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return convolved(t, n, g, n->in[1]);
}

static gr_tensor *adjoint_k(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return kernel_of(t, n, g, n->in[0], n->in[1]);
}

/* ---- k = the gradient of the kernel:  dx = conv_transpose2d(y, g),  dy = conv2d(x, g) ------------------------- */

static gr_status kernel_shape(const gr_node *n, gr_type *type)
{
    const gr_conv_attr *a = n->attr;
    gr_conv2d_options o;
    const gr_tensor *x = n->in[0], *y = n->in[1];
    if (options_of(n, &o) || expect_ranks(n, "images [n,c,h,w] and results [n,o,oh,ow]")) return gr_last_status();
    bool fit = x->shape[0] == y->shape[0] && x->shape[1] % o.groups == 0 && y->shape[1] % o.groups == 0;
    for (int i = 0; i < 2; i++)
        fit = fit && a->size[i] > 0 && result_size(&o, i, x->shape[2 + i], a->size[i]) == y->shape[2 + i];
    if (!fit)
        return gr_fail(GR_ERR_SHAPE, "conv2d_kernel: images %s and results %s do not fit a kernel of [%lld,%lld]",
                       GR_SHAPE_TEXT(x), GR_SHAPE_TEXT(y), (long long)a->size[0], (long long)a->size[1]);
    return set_type(type, x, y->shape[1], x->shape[1] / o.groups, a->size);
}

static gr_status kernel_gradient(gr_node *n)
{
    const gr_conv c = planes(n, n->in[0], n->in[1], n->out);
    return gr_conv_kernel(gr_pool_of(n->tape), gr_type_of(n->out), &c, n->in[0]->data, n->in[1]->data, n->out->data);
}

static gr_tensor *kernel_of(gr_tape *t, const gr_node *n, gr_tensor *x, gr_tensor *y, const gr_tensor *like)
{
    const gr_conv_attr a = {((const gr_conv_attr *)n->attr)->o, {like->shape[2], like->shape[3]}};
    return GR_CALL(conv2d_kernel, &a, x, y);
}

static gr_tensor *kernel_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return adjoint(t, n, n->in[1], g, n->in[0]);
}

static gr_tensor *kernel_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return convolved(t, n, n->in[0], g);
}

/* ---- Samples ------------------------------------------------------------------------------------------------- */

const gr_op gr_op_conv2d = {
    .name = "conv2d",
    .formula = "y = x * k + b",
    .gradient = "dx = conv_transpose2d(g, k), dk = conv2d_kernel(x, g), db = sum g over all but channels",
    .n_in = 2,
    .n_optional = 1,
    .shape = conv_shape,
    .attr_size = sizeof(gr_conv_attr),
    .forward[GR_ANY_CPU] = {[GR_F32] = conv, [GR_F64] = conv},
    .vjp = {conv_x, conv_k, bias}};
const gr_op gr_op_conv_transpose2d = {
    .name = "conv_transpose2d",
    .formula = "x = y *^T k + b, the adjoint: <x, u> = <y, u * k> for all u, without b",
    .gradient = "dy = conv2d(g, k), dk = conv2d_kernel(g, y), db = sum g over all but channels",
    .n_in = 2,
    .n_optional = 1,
    .shape = adjoint_shape,
    .attr_size = sizeof(gr_conv_attr),
    .forward[GR_ANY_CPU] = {[GR_F32] = adjoint_kernel, [GR_F64] = adjoint_kernel},
    .vjp = {adjoint_y, adjoint_k, bias}};
const gr_op gr_op_conv2d_kernel = {.name = "conv2d_kernel",
                                   .formula = "k: <k, u> = <y, x * u> for all u",
                                   .gradient = "dx = conv_transpose2d(y, g), dy = conv2d(x, g)",
                                   .n_in = 2,
                                   .shape = kernel_shape,
                                   .attr_size = sizeof(gr_conv_attr),
                                   .forward[GR_ANY_CPU] = {[GR_F32] = kernel_gradient, [GR_F64] = kernel_gradient},
                                   .vjp = {kernel_x, kernel_y}};

/* ---- As users call them -------------------------------------------------------------------------------------- */

static gr_conv_attr attr_of(const gr_conv2d_options *options)
{
    gr_conv_attr a = {.size = {0, 0}};
    if (options) a.o = *options;
    return a;
}

gr_tensor *gr_conv2d(gr_tape *t, gr_tensor *x, gr_tensor *w, gr_tensor *b, const gr_conv2d_options *options)
{
    const gr_conv_attr a = attr_of(options);
    if (a.o.output_padding[0] || a.o.output_padding[1])
        return gr_fail(GR_ERR_OPTION, "conv2d: output_padding is for conv_transpose2d"), NULL;
    return gr_apply(t, &gr_op_conv2d, (gr_tensor *[]){x, w, b}, b ? 3 : 2, &a);
}

gr_tensor *gr_conv_transpose2d(gr_tape *t, gr_tensor *x, gr_tensor *w, gr_tensor *b, const gr_conv2d_options *options)
{
    gr_conv_attr a = attr_of(options);
    const gr_conv2d_options o = completed(&a.o);
    for (int i = 0; i < 2; i++) {
        if (o.output_padding[i] >= o.stride[i] && o.stride[i] > 0)
            return gr_fail(GR_ERR_OPTION,
                           "conv_transpose2d: output_padding is %lld, expected less than the stride, %lld",
                           (long long)o.output_padding[i], (long long)o.stride[i]),
                   NULL;
        if (x && w && x->rank == 4 && w->rank == 4) a.size[i] = image_size(&o, i, x->shape[2 + i], w->shape[2 + i]);
    }
    return gr_apply(t, &gr_op_conv_transpose2d, (gr_tensor *[]){x, w, b}, b ? 3 : 2, &a);
}
